//! What compilations of all families have in common, and what those share whose synapses are crossings.
//!
//! In: nets in any number, options. Out: provenance, reports, and the host's and symbols' sections where no packed core needs its own.
//! Invariant: nothing here knows a family's registers; where neurons stand and where spikes go comes from the caller.

use crate::driver::{CompileError, CompileReport, CoreUsage, Input, LayerReport};
use crate::emit::HostOptions;
use crate::explain::Explanation;
use crate::finding::{Finding, Severity};
use crate::lower::LowerReport;
use crate::options::CompileOptions;
use crate::pack::kernels::Kernels;
use crate::partition::{PARTITIONERS, Usage};
use crate::quantize::{QuantizeReport, SoftReset};
use spikec_chip::Target;
use spikec_chip::bundle::{Decoder, DecoderKind, Encoder, Host, Injection, Origin, Place, PopulationSymbols, Provenance, Symbols};
use spikec_map::hypergraph::{Hypergraph, Layer};
use spikec_net::{Float, Net, Number, Population, PopulationId, Role};
use std::collections::BTreeSet;

/// Where a bundle comes from; `more` are options that the compilation chose. What was asked for and not done (`tuned`) is none.
pub(crate) fn provenance(
    network: &str,
    digest: [u8; 32],
    options: &CompileOptions,
    (lowering, tuned): (&LowerReport, bool),
    more: &[(String, String)],
) -> Provenance {
    let lags = lowering.lags.iter().map(|l| ("lag".to_string(), format!("{}={}", l.projection, l.steps)));
    let asked = options.provenance.iter().filter(|(name, _)| name != "tune" || tuned);
    Provenance {
        tool: concat!("spikec ", env!("CARGO_PKG_VERSION")).into(),
        network_name: network.into(),
        network_digest: digest.iter().map(|b| format!("{b:02x}")).collect(),
        options: asked.cloned().chain(lags).chain(more.iter().cloned()).collect(),
        seed: options.seed,
    }
}

/// Each population of neurons; the first `trained` populations are the network's own, relays stand after them.
pub(crate) fn layer_reports<N: Number>(
    net: &Net<N>,
    trained: usize,
    part_of: &dyn Fn(PopulationId, u32) -> Option<u32>,
) -> Vec<LayerReport> {
    let of = |(p, population): (usize, &Population<N>)| {
        let id = PopulationId::from(p);
        let cores: BTreeSet<u32> = (0..population.len() as u32).filter_map(|k| part_of(id, k)).collect();
        LayerReport {
            name: population.name.clone(),
            trained: if p < trained { population.trained_len() as u64 } else { 0 },
            neurons: population.len() as u64,
            synapses_on_chip: net.projections.iter().filter(|p| p.post == id).map(|p| p.synapses.len() as u64).sum(),
            host_terms: net.host_projections.iter().filter(|p| p.post == id).map(|p| p.weights.len() as u64).sum(),
            cores: cores.len() as u32,
            skew: population.skew,
        }
    };
    net.populations.iter().enumerate().filter(|(_, p)| !p.is_input()).map(of).collect()
}

/// The fullest resource of all cores, of those that a core has much of.
pub(crate) fn fullest(core_usage: &[CoreUsage], counts: impl Fn(&Usage) -> bool) -> Option<Usage> {
    let share = |u: &Usage| if u.available == 0 { 0.0 } else { u.used as f64 / u.available as f64 };
    let counted = core_usage.iter().flat_map(|c| &c.resources).filter(|u| counts(u));
    counted.max_by(|a, b| share(a).total_cmp(&share(b))).copied()
}

/// The report of a compilation for a chip without synaptic words: its synapses are places of a crossbar.
pub(crate) fn family_report<N: Number>(
    net: &Net<N>,
    target: &Target,
    lowering: LowerReport,
    placed: (Vec<LayerReport>, Vec<CoreUsage>),
    certificate: Explanation,
    quantization: QuantizeReport,
    findings: Vec<Finding>,
) -> CompileReport {
    let (layers, core_usage) = placed;
    CompileReport {
        network: net.name.clone(),
        target: target.name.clone(),
        cores: core_usage.len() as u32,
        board_cores: target.usable_cores(),
        neurons: net.neuron_count() as u64,
        trained_neurons: layers.iter().map(|l| l.trained).sum(),
        synapses_on_chip: net.synapse_count() as u64,
        host_terms: net.host_term_count() as u64,
        memory_words: 0,
        projection_words: Vec::new(),
        shared: None,
        bits_per_synapse: None,
        max_skew: net.max_skew(),
        binds: fullest(&core_usage, |_| true),
        layers,
        core_usage,
        lower_bounds: Vec::new(),
        certificate,
        crossbar: None,
        event: None,
        copies: None,
        lowering,
        quantization,
        warnings: findings.into_iter().filter(|f| f.severity == Severity::Warning).collect(),
    }
}

/// A network in floats, for a family that has registers of its own.
pub(crate) struct Trained<'a> {
    pub net: &'a Net<Float>,
    pub digest: [u8; 32],
}

impl<'a> Trained<'a> {
    /// The network, if it is in floats and no option is set that only packed chips know.
    pub fn of(input: Input<'a>, target: &Target, options: &CompileOptions) -> Result<Trained<'a>, CompileError> {
        let contradictions: Vec<String> = target.check().iter().map(|f| f.to_string()).collect();
        if !contradictions.is_empty() {
            return Err(CompileError::Target(contradictions));
        }
        let family = target.family.name();
        let given = [
            ("--layer-bits", !options.layer_bits.is_empty()),
            ("--tune", options.tune),
            ("--pin", !options.pins.is_empty()),
            ("--placement", options.placement.is_some()),
            ("--partitioner", options.partitioner != PARTITIONERS[0]),
            ("--kernels shared", options.kernels == Kernels::Shared),
            ("--reset leak", options.soft_reset == SoftReset::Leak),
        ];
        if let Some(&(option, _)) = given.iter().find(|(_, set)| *set) {
            return Err(CompileError::Option { option, target: target.name.clone(), family });
        }
        let Input::Trained { net, digest } = input else {
            return Err(CompileError::Registers { target: target.name.clone(), family });
        };
        if options.decoder == DecoderKind::Potential {
            return Err(CompileError::Option { option: "--decoder potential", target: target.name.clone(), family });
        }
        votes(net, options.decoder)?;
        Ok(Trained { net, digest })
    }
}

/// Refuses a vote over groups that do not divide the outputs.
pub(crate) fn votes<N: Number>(net: &Net<N>, decoder: DecoderKind) -> Result<(), CompileError> {
    let outputs = net.population(net.output).trained_len();
    match decoder {
        DecoderKind::Vote(group) if !outputs.is_multiple_of(group.max(1) as usize) => Err(CompileError::Vote { group, outputs }),
        _ => Ok(()),
    }
}

/// First unit of each population, inputs included, and the number of units.
pub(crate) fn bases<N: Number>(net: &Net<N>) -> Vec<u32> {
    let mut bases = vec![0];
    for p in &net.populations {
        bases.push(bases[bases.len() - 1] + p.len() as u32);
    }
    bases
}

/// What the host of a chip does whose neurons have no biases that it writes. `links`: where the spikes of a unit go that it sends, as (place, chip steps later);
/// `place`: where a unit that is a neuron stands; `sent_back`: the host sends spikes of neurons too.
pub(crate) fn host<N: Number>(
    net: &Net<N>,
    options: HostOptions,
    links: &dyn Fn(u32) -> Vec<(Place, u32)>,
    place: &dyn Fn(u32) -> Place,
    sent_back: bool,
) -> Host {
    let bases = bases(net);
    let (mut input_axons, mut injections) = (Vec::new(), Vec::new());
    for (p, population) in net.populations.iter().enumerate() {
        let first = input_axons.len();
        let input = matches!(population.role, Role::SpikeInput);
        input_axons.resize(first + if input { population.trained_len() } else { 0 }, Vec::new());
        for (k, &origin) in population.origin.iter().enumerate().filter(|_| input || sent_back) {
            let unit = bases[p] + k as u32;
            let channel = first + origin as usize;
            for (to, delay_steps) in links(unit) {
                match (input, delay_steps) {
                    (true, 0) => input_axons[channel].push(to),
                    (true, _) => injections.push(Injection { from: Origin::Channel(channel as u32), to, delay_steps }),
                    (false, _) => injections.push(Injection { from: Origin::Neuron(place(unit)), to, delay_steps }),
                }
            }
        }
    }
    input_axons.iter_mut().for_each(|axons| axons.sort_unstable());
    injections.sort_unstable();
    let output = net.population(net.output);
    let mut outputs = vec![None; output.trained_len()];
    for (k, &origin) in output.origin.iter().enumerate() {
        outputs[origin as usize] = Some(place(bases[net.output.index()] + k as u32));
    }
    let width = input_axons.len() as u32;
    Host {
        input_width: if options.encoder == Encoder::Spikes { width } else { width / 2 },
        encoder: options.encoder,
        input_axons,
        injections,
        maps: Vec::new(),
        bias_writes: Vec::new(),
        default_steps: options.default_steps,
        max_skew: net.max_skew(),
        decoder: Decoder { kind: options.decoder, outputs, skew: output.skew },
    }
}

/// Names, and where the neurons are: the first of a unit's places is the neuron, the others are copies.
pub(crate) fn symbols<N: Number>(net: &Net<N>, places: &dyn Fn(PopulationId, u32) -> Vec<Place>) -> Symbols {
    let of = |(p, population): (usize, &Population<N>)| {
        let (mut neurons, mut copies) = (Vec::new(), Vec::new());
        for (k, &origin) in population.origin.iter().enumerate().filter(|_| !population.is_input()) {
            let places = places(PopulationId::from(p), k as u32);
            neurons.extend(places.first().map(|&place| (origin, place)));
            copies.extend(places.iter().skip(1).map(|&place| (origin, place)));
        }
        PopulationSymbols {
            name: population.name.clone(),
            shape: population.shape.clone(),
            skew: population.skew,
            input: population.is_input(),
            neurons,
            copies,
        }
    };
    Symbols { populations: net.populations.iter().enumerate().map(of).collect(), output: net.output.0 }
}

/// The hypergraph that bounds cores: for each neuron, in net order, the axons that it takes of a core, as any numbers.
pub(crate) fn hypergraph<N: Number, K: Ord>(net: &Net<N>, axons: &dyn Fn(PopulationId, u32) -> Vec<K>) -> Hypergraph {
    let (mut offsets, mut keys, mut layers) = (vec![0], Vec::new(), Vec::new());
    for (p, population) in net.populations.iter().enumerate().filter(|(_, p)| !p.is_input() && !p.is_empty()) {
        layers.push(Layer { first: offsets.len() as u32 - 1, neurons: population.len() as u32, shape: None, origin: Vec::new() });
        for k in 0..population.len() as u32 {
            keys.extend(axons(PopulationId::from(p), k));
            offsets.push(keys.len());
        }
    }
    let mut distinct: Vec<&K> = keys.iter().collect();
    distinct.sort_unstable();
    distinct.dedup();
    let numbers = keys.iter().map(|k| distinct.binary_search(&k).expect("every key is among the distinct ones") as u32);
    let (numbers, count) = (numbers.collect(), distinct.len() as u32);
    Hypergraph::new(count, offsets, numbers, layers)
}
