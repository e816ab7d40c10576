//! Compiling for the event crossbar family (tinyODIN, ODIN): one core.
//!
//! In: a net in floats, elaborated and coded; a target of the family; options. Out: a bundle with its report, or every finding.
//! Invariant: data flow one way: lowered -> [`quantize::Integers`] -> [`Rows`] -> bundle; having `Rows` is the proof that the core holds the net.
//! Why so little: there is one core, so nothing is partitioned or placed; what a neuron hears is decided by the rows that the host's events name.

mod drop;
mod quantize;

use crate::crossbar::measure::Measured;
use crate::driver::{CompileError, CompileReport, Compiled, CoreUsage, Input, family_options};
use crate::drop::DroppedReport;
use crate::emit::HostOptions;
use crate::explain;
use crate::families::{self, Trained, bases, family_report, hypergraph, layer_reports, provenance};
use crate::finding::{self, Finding, Severity};
use crate::lower::{LowerReport, lower_all};
use crate::options::CompileOptions;
use crate::pack::usage::Usage;
use crate::placement::{PlacedCore, Placement, runs};
use crate::quantize::{QuantizeReport, lost};
use quantize::Integers;
use serde::Serialize;
use spikec_chip::bundle::{Bundle, Place, Provenance};
use spikec_chip::event::{EventCrossbar as Spec, EventSign, EventTables, EventWord, encode};
use spikec_chip::image::Image;
use spikec_chip::target::Target;
use spikec_map::limits::Limits;
use spikec_net::{Event, Net, PopulationId};

/// What is special to an event crossbar's compilation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventReport {
    /// What rounding did to the weights.
    pub weights: quantize::Errors,
    /// Rows that events name.
    pub rows: u32,
    /// Rows of the host's input channels; the others are of neurons whose spikes it sends back.
    pub input_rows: u32,
    /// Number of the last neuron: an event updates all up to it.
    pub last_neuron: u32,
    /// Inputs of rows that were left out; none where none were.
    pub dropped: Option<DroppedReport>,
}

/// A row: the source that names it, how much later, and the sign of its weights where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    /// Unit (population by population, inputs included).
    source: u32,
    /// Chip steps from the source's spike to its effect.
    delay: u32,
    /// True for the row of negative weights of a source that has both signs by row.
    negative: bool,
}

/// A net on the core.
struct Rows<'a> {
    integers: &'a Integers,
    rows: Vec<Row>,
}

impl<'a> Rows<'a> {
    /// Counts what the core needs.
    ///
    /// # Errors
    /// Every limit that is broken, sorted.
    fn new(integers: &'a Integers, spec: &Spec) -> Result<Rows<'a>, Vec<Finding>> {
        let by_row = *spec.weights.sign == EventSign::EachRow;
        let row = |source, delay, weight: i32| Row { source, delay, negative: by_row && weight < 0 };
        let mut rows: Vec<Row> = integers.synapses.iter().map(|s| row(s.source, s.delay, s.weight)).collect();
        rows.sort_unstable();
        rows.dedup();
        let neurons = integers.quantized.net.neuron_count() as u64;
        let mut findings = Vec::new();
        let remedy = "use a network with fewer neurons: the chip has one core";
        if neurons > u64::from(*spec.core.neurons) {
            findings.push(Finding::error("C01", "neurons", neurons as f64, f64::from(*spec.core.neurons), remedy));
        }
        let remedy = "prune inputs or neurons until fewer of them have synapses: every source needs a row (two, where signs are the row's and it has both)";
        if rows.len() as u64 > u64::from(*spec.core.rows) {
            findings.push(Finding::error("C02", "rows of the synapse memory", rows.len() as f64, f64::from(*spec.core.rows), remedy));
        }
        if findings.is_empty() { Ok(Rows { integers, rows }) } else { Err(findings) }
    }

    fn net(&self) -> &Net<Event> {
        &self.integers.quantized.net
    }

    fn of(&self, source: u32) -> impl Iterator<Item = (u16, u32)> + '_ {
        let first = self.rows.partition_point(|r| r.source < source);
        self.rows[first..].iter().take_while(move |r| r.source == source).enumerate().map(move |(k, r)| ((first + k) as u16, r.delay))
    }

    /// Number of a unit among the neurons of the core.
    fn neuron(&self, unit: u32) -> u16 {
        self.integers.neuron_of[unit as usize].expect("only neurons are asked for")
    }

    fn tables(&self, spec: &Spec) -> EventTables {
        let n = *spec.core.neurons as usize;
        let mut weights = vec![0i8; n * *spec.core.rows as usize];
        let by_row = *spec.weights.sign == EventSign::EachRow;
        for s in &self.integers.synapses {
            let key = Row { source: s.source, delay: s.delay, negative: by_row && s.weight < 0 };
            let row = self.rows.binary_search(&key).expect("every synapse has a row");
            weights[row * n + usize::from(self.neuron(s.post))] = s.weight as i8;
        }
        let mut words = vec![EventWord::unused(spec); n];
        let mut used = 0;
        for (p, population) in self.net().populations.iter().enumerate() {
            for (j, neuron) in population.neurons().iter().enumerate() {
                let at = usize::from(self.neuron(self.integers.bases[p] + j as u32));
                used = used.max(at);
                words[at] = EventWord {
                    potential: neuron.start as i16,
                    threshold: neuron.threshold as u16,
                    leak: neuron.leak as u8,
                    disabled: false,
                };
            }
        }
        let mut negative_rows = Vec::new();
        if by_row {
            negative_rows = self.rows.iter().map(|r| r.negative).collect();
            negative_rows.resize(*spec.core.rows as usize, false);
        }
        EventTables { open_loop: true, last_neuron: used as u8, negative_rows, neurons: words, weights }
    }

    fn emit(&self, target: &Target, spec: &Spec, host: HostOptions, provenance: Provenance) -> Bundle {
        let net = self.net();
        let place = |unit| Place { core: 0, index: self.neuron(unit) };
        let links = |unit| self.of(unit).map(|(row, delay)| (Place { core: 0, index: row }, delay)).collect();
        let image = encode(&self.tables(spec), spec).unwrap_or_else(|e| panic!("a net that fits can't be encoded: {e}"));
        Bundle {
            target: target.clone(),
            image: Image::EventCrossbar(image),
            host: families::host(net, host, &links, &place, true),
            symbols: families::symbols(net, &|p, k| vec![place(self.integers.bases[p.index()] + k)]),
            provenance,
            reference: self.integers.quantized.to_bytes(),
        }
    }
}

struct Stages {
    integers: Integers,
    dropped: Option<DroppedReport>,
    lowering: LowerReport,
    findings: Vec<Finding>,
}

fn stages(
    given: &Trained,
    target: &Target,
    spec: &Spec,
    options: &CompileOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<Stages, CompileError> {
    family_options(target, options)?;
    progress("lowering");
    let lowered = lower_all(given.net.clone(), target, &options.lowering())?;
    let mut findings = lowered.findings;
    findings.extend(quantize::unheld(&lowered.net));
    let output = lowered.net.population(lowered.net.output);
    if output.is_empty() {
        return Err(CompileError::NothingLeft(output.name.clone()));
    }
    progress("quantizing");
    let net = &lowered.net;
    let measured = Measured::new(net, &options.calibration, options.default_steps);
    let mut integers = quantize::quantize(net, given.digest, spec, &measured);
    let mut refused = Rows::new(&integers, spec).err().unwrap_or_default();
    let mut dropped = None;
    if refused.iter().any(|f| f.code == "C02")
        && let Some((rest, gone)) = drop::without(net, &measured, spec)
    {
        if options.drop_inputs {
            let measured = Measured::new(&rest, &options.calibration, options.default_steps);
            integers = quantize::quantize(&rest, given.digest, spec, &measured);
            refused = Rows::new(&integers, spec).err().unwrap_or_default();
            dropped = Some(drop::report(net, &integers.quantized.net, &gone));
        } else {
            drop::alternatives(&mut refused, net, (&rest, &gone), target, options);
        }
    }
    findings.extend(lost::beyond(&integers.quantized.net, &integers.lost, options.weight_error));
    findings.extend(refused);
    finding::sort(&mut findings);
    findings.dedup();
    Ok(Stages { integers, dropped, lowering: lowered.report, findings })
}

/// Everything that stands in the way, and every warning; sorted.
///
/// # Errors
/// What makes the question meaningless.
pub fn check(input: Input, target: &Target, spec: &Spec, options: &CompileOptions) -> Result<Vec<Finding>, CompileError> {
    let given = Trained::of(input, target, options)?;
    Ok(stages(&given, target, spec, options, &mut |_| ())?.findings)
}

/// Compiles; `progress` hears the name of each stage as it starts.
///
/// # Errors
/// Options that mean nothing for the family, and every finding.
pub fn compile(
    input: Input,
    target: &Target,
    spec: &Spec,
    options: &CompileOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<Compiled, CompileError> {
    let given = Trained::of(input, target, options)?;
    let Stages { integers, dropped, lowering, findings } = stages(&given, target, spec, options, progress)?;
    if findings.iter().any(|f| f.severity == Severity::Error) {
        return Err(CompileError::Findings(finding::errors(&findings).unwrap_or_default()));
    }
    let rows = Rows::new(&integers, spec).expect("what it found was among the findings");
    progress("emitting");
    let host = HostOptions { encoder: options.encoder.clone(), decoder: options.decoder, default_steps: options.default_steps };
    let net = &integers.quantized.net;
    let declared: Vec<(String, String)> = dropped.iter().map(|d| ("dropped-inputs".into(), d.absent.to_string())).collect();
    let provenance = provenance(&net.name, integers.quantized.network_digest, options, (&lowering, false), &declared);
    let bundle = rows.emit(target, spec, host, provenance);
    let neurons = net.populations.iter().filter(|p| !p.is_input());
    let neurons = runs(neurons.flat_map(|p| p.origin.iter().map(|&at| (p.name.as_str(), at))));
    let core = PlacedCore { core: 0, neurons, copies: Vec::new() };
    let placement = Placement { target: target.name.clone(), cores: vec![core] };
    let report = report(&rows, (target, spec), lowering, dropped, findings);
    Ok(Compiled { bundle, report, placement })
}

fn report(
    rows: &Rows,
    (target, spec): (&Target, &Spec),
    lowering: LowerReport,
    dropped: Option<DroppedReport>,
    findings: Vec<Finding>,
) -> CompileReport {
    let net = rows.net();
    let usage = |code, resource, used: usize, available: u32| Usage { code, resource, used: used as u64, available: available.into() };
    let resources = vec![
        usage("C01", "neurons", net.neuron_count(), *spec.core.neurons),
        usage("C02", "rows of the synapse memory", rows.rows.len(), *spec.core.rows),
    ];
    let core_usage = vec![CoreUsage { core: 0, resources }];
    let rows_of = |p: PopulationId, k: u32| {
        let unit = rows.integers.bases[p.index()] + k;
        let own = rows.integers.synapses.iter().filter(move |s| s.post == unit);
        own.map(|s| (s.source, s.delay)).collect::<Vec<_>>()
    };
    let certificate = spikec_map::proof::certificate(&hypergraph(net, &rows_of), &Limits::uniform(target, 8));
    let explanation = explain::explain(certificate, &core_usage);
    let event = EventReport {
        weights: rows.integers.errors,
        rows: rows.rows.len() as u32,
        input_rows: rows.rows.iter().filter(|r| rows.integers.neuron_of[r.source as usize].is_none()).count() as u32,
        last_neuron: net.neuron_count().saturating_sub(1) as u32,
        dropped,
    };
    let layers = layer_reports(net, lowering.populations.len(), &|_, _| Some(0));
    let quantization = QuantizeReport::none(net.synapse_count() as u64, rows.integers.errors.vanished);
    let report = family_report(net, target, lowering, (layers, core_usage), explanation, quantization, findings);
    CompileReport { event: Some(event), ..report }
}

/// First unit of each population of the lowered net, and which neuron of the core each unit is.
fn seats(net: &Net<spikec_net::Float>) -> (Vec<u32>, Vec<Option<u16>>) {
    let bases = bases(net);
    let mut neuron_of = vec![None; *bases.last().unwrap_or(&0) as usize];
    let mut next = 0u32;
    for (p, _) in net.populations.iter().enumerate().filter(|(_, p)| !p.is_input()) {
        for unit in bases[p]..bases[p + 1] {
            // Beyond the core's neurons nothing is emitted.
            neuron_of[unit as usize] = Some(next.min(u16::MAX.into()) as u16);
            next += 1;
        }
    }
    (bases, neuron_of)
}

#[cfg(test)]
mod tests;
