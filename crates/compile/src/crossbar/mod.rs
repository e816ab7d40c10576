//! Compiling for the crossbar family (RANC, TrueNorth).
//!
//! In: a net in floats, elaborated and coded; a target of the family; options. Out: a bundle with its report, or every finding.
//! Invariant: data flow one way, as for packed chips: lowered -> [`quantize::Wired`] -> [`partition::Partitioned`] -> cores -> bundle.
//! Why stages of its own: what binds a crossbar are its axons' types and its neurons' single destinations, which decide about weights (C17) and rows
//! (C18) before anything is partitioned; a packed core has neither.

mod drop;
mod emit;
mod gather;
mod levels;
pub(crate) mod measure;
mod partition;
pub mod quantize;
mod relays;
mod search;
mod split;

use crate::driver::{CompileError, CompileReport, Compiled, CoreUsage, Input};
use crate::drop::DroppedReport;
use crate::emit::HostOptions;
use crate::explain;
use crate::families::{Trained, family_report, hypergraph, layer_reports, provenance};
use crate::finding::{self, Finding};
use crate::lower::{LowerReport, lower_all};
use crate::options::CompileOptions;
use crate::pack::usage::Usage;
use crate::placement::{PlacedCore, Placement, runs};
use crate::quantize::{QuantizeReport, lost};
use crate::retime;
use measure::Measured;
use partition::{Partitioned, keys};
use quantize::{Errors, Wired};
use search::{Choice, Held};
use serde::Serialize;
use spikec_chip::crossbar::{Crossbar as Spec, Overflow};
use spikec_chip::mesh::Mesh;
use spikec_chip::target::Target;
use spikec_map::limits::Limits;
use spikec_map::place::{LINK_SHARE, Request, Traffic, place};
use spikec_map::portfolio::Effort as MapEffort;
use spikec_net::{Float, Net, PopulationId};
use std::collections::BTreeMap;

/// What is special to a crossbar's compilation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CrossbarReport {
    /// What rounding did to the weights.
    pub weights: Errors,
    /// Axons of all cores.
    pub axons: u64,
    /// Connections of all cores.
    pub connections: u64,
    /// Rows of neurons of all cores.
    pub rows: u64,
    /// Of these, rows that repeat a neuron for one more destination.
    pub repeated: u64,
    /// Neurons that repeat another for its destinations, one chip step later (docs/crossbars.md).
    pub splitters: u64,
    /// Neurons that gather sources of a neuron that has more than a core has axons (docs/crossbars.md).
    pub gathers: u64,
    /// Cores where every neuron has copies instead; none where these don't fit.
    pub cores_of_copies: Option<u32>,
    /// Neurons whose potential may pass its bits in the worst case; the simulator counts whether it does.
    pub may_overflow: u64,
    /// Inputs that were left out; none where none were.
    pub dropped: Option<DroppedReport>,
}

/// A net on cores.
struct Placed {
    held: Held,
    /// Core of each part.
    cores: Vec<u32>,
    may_overflow: u64,
    /// Inputs that were left out.
    dropped: Option<DroppedReport>,
    /// What the errors of the weights do, left out inputs included (`Wired::effect`).
    effect: f64,
}

struct Stages {
    lowering: LowerReport,
    /// `None` only if there is an error.
    placed: Option<Placed>,
    findings: Vec<Finding>,
}

fn stages(
    given: &Trained,
    target: &Target,
    spec: &Spec,
    options: &CompileOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<Stages, CompileError> {
    let types = *spec.core.axon_types;
    let axons = match options.axons_per_source {
        Some(found) if !(1..=types).contains(&found) => return Err(CompileError::AxonsPerSource { found, most: types }),
        Some(n) => n..=n,
        None => 1..=types,
    };
    progress("lowering");
    let lowered = lower_all(given.net.clone(), target, &options.lowering())?;
    let net = &lowered.net;
    let output = net.population(net.output);
    if output.is_empty() {
        return Err(CompileError::NothingLeft(output.name.clone()));
    }
    let mut findings = lowered.findings;
    findings.extend(quantize::unheld(net, spec));
    let outputs = output.trained_len() as u64;
    if outputs > u64::from(*spec.routing.outputs) {
        let remedy = "use a network with fewer outputs";
        findings.push(Finding::error("C18", "outputs of the output bus", outputs as f64, f64::from(*spec.routing.outputs), remedy));
    }
    // Neurons that the chip can't be have no registers that mean anything: nothing is said of what comes after.
    let mut placed = None;
    if finding::errors(&findings).is_none() {
        let measured = Measured::new(net, &options.calibration, options.default_steps);
        let board = Board { target, spec };
        let mut refused = Vec::new();
        for axons in axons {
            progress("quantizing");
            let mut wired = quantize::quantize(net, given.digest, (spec, axons as usize), &measured, &[], &BTreeMap::new());
            let again = |net: &Net<Float>| Measured::new(net, &options.calibration, options.default_steps);
            let crowded: Vec<bool> = drop::needs(&wired).into_iter().map(|need| need > *spec.core.axons as usize).collect();
            if crowded.contains(&true)
                && let Some(gathered) = gather::quantize(net, given.digest, target, (spec, axons as usize), &crowded, &again)
            {
                wired = gathered;
            }
            // What is too much is left out, or it is said what that would do.
            let fitted = if options.drop_inputs || refused.is_empty() {
                drop::fit((net, &wired), given.digest, (spec, axons as usize), &measured, &again)
            } else {
                None
            };
            progress("partitioning");
            let (held, dropped) = match &fitted {
                Some(f) if options.drop_inputs => {
                    let report = drop::report(net, &f.wired, &f.dropped, spec);
                    (board.hold(f.wired.clone(), &f.measured, options), Some((report, f.dropped.effect)))
                }
                _ => (board.hold(wired, &measured, options), None),
            };
            match held {
                Ok(mut found) => {
                    found.dropped = dropped.map(|(report, _)| report);
                    found.effect += dropped.map_or(0.0, |(_, effect)| effect);
                    placed = truer(placed, found, options.drop_inputs);
                }
                // What the fewest axons need is what is said.
                Err(mut found) if refused.is_empty() => {
                    if let Some(f) = &fitted {
                        drop::alternatives(&mut found, net, f, target, axons as usize, options);
                    }
                    refused = found;
                }
                Err(_) => {}
            }
        }
        match &placed {
            Some(p) => findings.extend(losses(p, spec, options)),
            None => findings.extend(refused),
        }
    }
    finding::sort(&mut findings);
    findings.dedup();
    let placed = placed.filter(|_| finding::errors(&findings).is_none());
    let lowering = placed.as_ref().map_or(lowered.report.clone(), |p| timed(lowered.report, lowered.net, &p.held));
    Ok(Stages { lowering, placed, findings })
}

/// What lowering did, with the relays, and with the skews and delays that splitters made longer.
fn timed(mut report: LowerReport, mut net: Net<Float>, held: &Held) -> LowerReport {
    report.relays = held.relays.clone();
    let populations = net.populations.iter_mut().zip(&mut report.populations).zip(&held.wired.quantized.net.populations);
    populations.for_each(|((n, l), p)| (n.skew, l.skew) = (p.skew, p.skew));
    for (l, p) in report.projections.iter_mut().zip(&net.projections) {
        l.chip_delay = retime::chip_delay_range(&net, p);
    }
    report
}

/// The one whose weights lose less, by how often their sources speak where inputs may be left out; the first of equals, whose sources take fewer axons.
fn truer(best: Option<Placed>, other: Placed, by_effect: bool) -> Option<Placed> {
    let loss = |p: &Placed| if by_effect { p.effect } else { p.held.wired.errors.relative };
    Some(match best {
        Some(best) if loss(&best) <= loss(&other) => best,
        _ => other,
    })
}

/// What the registers lose: errors of weights beyond what is allowed (C17), potentials that may pass their bits (C14).
fn losses(placed: &Placed, spec: &Spec, options: &CompileOptions) -> Vec<Finding> {
    let wired = &placed.held.wired;
    let mut findings: Vec<Finding> = lost::beyond(&wired.quantized.net, &wired.lost, options.weight_error).collect();
    if placed.may_overflow > 0 && *spec.neuron.overflow != Overflow::Saturate {
        let limit = (1i64 << (*spec.neuron.potential_bits - 1)) as f64;
        let what = format!("potentials that may pass +-{limit:.0} in the worst case");
        let remedy = "the simulator counts those that do; ranges are measured on calibration data, where given";
        findings.push(Finding::warning("C14", what, placed.may_overflow as f64, 0.0, remedy));
    }
    findings
}

/// Neurons whose potential may pass its bits: above by a threshold and the largest input of a step, below by any input that inhibits.
fn overflows(wired: &Wired) -> u64 {
    let net = &wired.quantized.net;
    let (least, most) = net.rules.range();
    let mut count = 0;
    for (p, population) in net.populations.iter().enumerate() {
        for (j, n) in population.neurons().iter().enumerate() {
            let unit = wired.bases[p] as usize + j;
            let weights = wired.inputs[unit]
                .iter()
                .map(|i| (0..16).filter(|k| i.types >> k & 1 == 1).map(|k| i64::from(wired.weights[unit][k])).sum::<i64>());
            let (mut up, mut down) = (0, 0);
            weights.for_each(|w| if w > 0 { up += w } else { down += w });
            let leak = i64::from(n.leak);
            let falls = down + leak.min(0) < 0;
            let high = i64::from(n.threshold).max(i64::from(n.start)) - 1 + up + leak.max(0);
            // Below, potentials only stop at a floor that lies above the least of them by more than a step's input.
            let low = i64::from(n.floor) + down + leak.min(0);
            count += u64::from(high > most || (falls && low < least));
        }
    }
    count
}

/// C13: neurons whose leak, which acts before their population's first step too, would make them fire, or start beyond their bits.
fn early_leaks(wired: &Wired) -> Vec<Finding> {
    let net = &wired.quantized.net;
    let (least, most) = net.rules.range();
    let mut findings = Vec::new();
    for p in net.populations.iter().filter(|p| p.skew > 0) {
        let skew = i64::from(p.skew);
        let held = |n: &spikec_net::CrossbarNeuron| {
            let (start, leak) = (i64::from(n.start), i64::from(n.leak));
            let first = start - skew * leak;
            let ends = [first + leak, start];
            (least..=most).contains(&first) && ends.iter().all(|&v| v < i64::from(n.threshold) && v > i64::from(n.floor))
        };
        let count = p.neurons().iter().filter(|n| n.leak != 0 && !held(n)).count();
        if count > 0 {
            let remedy = "make the biases smaller: they act in the steps before the layer's first input comes, and the potential can't start that much lower or higher";
            findings.push(Finding::error("C13", "neurons whose bias acts too early", count as f64, 0.0, remedy).layer(&p.name));
        }
    }
    findings
}

struct Board<'a> {
    target: &'a Target,
    spec: &'a Spec,
}

impl Board<'_> {
    /// The net on cores, or every limit that it breaks.
    fn hold(&self, wired: Wired, measured: &Measured, options: &CompileOptions) -> Result<Placed, Vec<Finding>> {
        let held = Choice { target: self.target, spec: self.spec, effort: options.effort }.hold(&wired)?;
        let cores = self.place(&held.wired, &held.parts, measured, options)?;
        let may_overflow = overflows(&held.wired);
        let effect = held.wired.effect;
        Ok(Placed { held, cores, may_overflow, dropped: None, effect })
    }

    /// Router of the output bus, as a core's number.
    fn bus(&self) -> u32 {
        let (x, y) = *self.spec.routing.output_bus;
        y * *self.target.topology.width + x
    }

    /// A core for each part, none at the bus, all destinations within reach (C16, C19).
    fn place(&self, wired: &Wired, parts: &Partitioned, measured: &Measured, options: &CompileOptions) -> Result<Vec<u32>, Vec<Finding>> {
        let count = parts.parts().len() as u32;
        let cores = self.target.total_cores();
        if count > self.target.usable_cores() {
            let remedy = "prune the network, let sources take fewer axons (--axons-per-source), or use a larger board";
            return Err(vec![Finding::error("C16", "cores", f64::from(count), f64::from(self.target.usable_cores()), remedy)]);
        }
        let (mut messages, mut host) = (Vec::new(), vec![0.0; count as usize]);
        for unit in 0..wired.inputs.len() as u32 {
            let rate = measured.rate(wired.root(unit)).min(1.0);
            for link in parts.links(unit) {
                match parts.seat(unit) {
                    Some((from, _)) => messages.push((from, link.part, rate)),
                    None => host[link.part as usize] += rate,
                }
            }
        }
        let traffic = Traffic::new(count, messages).unwrap_or_else(|e| panic!("messages between parts: {e}"));
        let mesh = Mesh::new(&self.target.topology);
        let effort = match options.effort {
            crate::partition::Effort::Fast => MapEffort::Fast,
            crate::partition::Effort::Default => MapEffort::Default,
            crate::partition::Effort::Best => MapEffort::Best,
        };
        let request = Request {
            traffic: &traffic,
            mesh: &mesh,
            cores,
            chips: None,
            pins: None,
            host: Some(&host),
            start: None,
            link_share: LINK_SHARE,
            seed: options.seed,
            effort,
        };
        let mut placed = place(&request).unwrap_or_else(|e| panic!("parts within the board can't be placed: {e}"));
        let bus = self.bus();
        if let Some(at) = placed.iter().position(|&c| c == bus) {
            // There are fewer parts than cores: the nearest that is free.
            let (x, y) = (bus % mesh_width(self.target), bus / mesh_width(self.target));
            let far = |c: u32| (c % mesh_width(self.target)).abs_diff(x) + (c / mesh_width(self.target)).abs_diff(y);
            placed[at] = (0..cores).filter(|c| *c != bus && !placed.contains(c)).min_by_key(|&c| (far(c), c)).expect("a core is free");
        }
        let findings = self.reach(wired, parts, &placed);
        if findings.is_empty() { Ok(placed) } else { Err(findings) }
    }

    /// C19: offsets beyond their bits.
    fn reach(&self, wired: &Wired, parts: &Partitioned, placed: &[u32]) -> Vec<Finding> {
        let width = mesh_width(self.target);
        let most = (1i64 << (*self.spec.routing.offset_bits - 1)) - 1;
        let offset = |from: u32, to: u32| {
            let d = |a: u32, b: u32| (i64::from(a) - i64::from(b)).abs();
            d(to % width, from % width).max(d(to / width, from / width))
        };
        let mut worst: BTreeMap<u32, i64> = BTreeMap::new();
        for (unit, _) in wired.inputs.iter().enumerate() {
            let Some((part, _)) = parts.seat(unit as u32) else { continue };
            let from = placed[part as usize];
            let to = parts.links(unit as u32).iter().map(|l| placed[l.part as usize]);
            let bus = partition::is_output(wired, unit as u32).then(|| self.bus());
            let far = to.chain(bus).map(|to| offset(from, to)).max().unwrap_or(0);
            if far > most {
                let entry = worst.entry(from).or_default();
                *entry = far.max(*entry);
            }
        }
        let finding = |(core, far): (u32, i64)| {
            Finding::error("C19", "routers to a destination", far as f64, most as f64, "use a smaller board").core(core)
        };
        worst.into_iter().map(finding).collect()
    }
}

fn mesh_width(target: &Target) -> u32 {
    *target.topology.width
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
    let Stages { lowering, placed, findings } = stages(&given, target, spec, options, progress)?;
    let Some(placed) = placed else {
        return Err(CompileError::Findings(finding::errors(&findings).unwrap_or(findings)));
    };
    progress("emitting");
    let Placed { held, cores, .. } = &placed;
    let (wired, parts) = (&held.wired, &held.parts);
    let host = HostOptions { encoder: options.encoder.clone(), decoder: options.decoder, default_steps: options.default_steps };
    let mut extra = vec![("axons-per-source".to_string(), wired.errors.axons_per_source.to_string())];
    extra.extend(placed.dropped.map(|d| ("dropped-inputs".to_string(), d.absent.to_string())));
    let provenance = provenance(&wired.quantized.net.name, wired.quantized.network_digest, options, (&lowering, false), &extra);
    let emitter = emit::Emitter { wired, partitioned: parts, cores, target, spec };
    let bundle = emitter.emit(host, provenance);
    let placement = placement(wired, parts, cores, target);
    let report = report(&placed, target, spec, lowering, findings);
    Ok(Compiled { bundle, report, placement })
}

fn placement(wired: &Wired, partitioned: &Partitioned, cores: &[u32], target: &Target) -> Placement {
    let net = &wired.quantized.net;
    let neuron = |&unit: &u32| {
        let p = wired.bases.partition_point(|&b| b <= unit) - 1;
        (net.populations[p].name.as_str(), net.populations[p].origin[(unit - wired.bases[p]) as usize])
    };
    let of =
        |(part, &core): (&partition::Part, &u32)| PlacedCore { core, neurons: runs(part.units.iter().map(neuron)), copies: Vec::new() };
    let mut placed: Vec<PlacedCore> = partitioned.parts().iter().zip(cores).map(of).collect();
    placed.sort_by_key(|c| c.core);
    Placement { target: target.name.clone(), cores: placed }
}

fn report(placed: &Placed, target: &Target, spec: &Spec, lowering: LowerReport, findings: Vec<Finding>) -> CompileReport {
    let Placed { held, cores, may_overflow, dropped, effect: _ } = placed;
    let (wired, partitioned) = (&held.wired, &held.parts);
    let net = &wired.quantized.net;
    let part_of = |p: usize, j: u32| partitioned.seat(wired.bases[p] + j).map(|s| s.0);
    let layers = layer_reports(net, lowering.populations.len(), &|p, j| part_of(p.index(), j));
    let (mut axons, mut connections, mut rows) = (0, 0, 0);
    let mut core_usage: Vec<CoreUsage> = Vec::new();
    for (part, &core) in partitioned.parts().iter().zip(cores) {
        let of_unit = |u: u32| wired.inputs[u as usize].iter().map(|i| u64::from(i.types.count_ones())).sum::<u64>();
        let own: u64 = part.units.iter().map(|&u| of_unit(u)).sum();
        let used = u64::from(part.rows[part.rows.len() - 1]);
        (axons, connections, rows) = (axons + part.axon_count(), connections + own, rows + used);
        let usage = |code, resource, used, available: u32| Usage { code, resource, used, available: available.into() };
        core_usage.push(CoreUsage {
            core,
            resources: vec![
                usage("C17", "axons", part.axon_count(), *spec.core.axons),
                usage("C18", "rows of neurons", used, *spec.core.neurons),
            ],
        });
    }
    core_usage.sort_by_key(|c| c.core);
    let crossbar = CrossbarReport {
        weights: wired.errors,
        axons,
        connections,
        rows,
        repeated: rows - net.neuron_count() as u64,
        splitters: held.splitters,
        gathers: wired.gathers,
        cores_of_copies: held.cores_of_copies.filter(|_| held.splitters > 0),
        may_overflow: *may_overflow,
        dropped: *dropped,
    };
    // Each source, delay and type is an axon of its own.
    let axons_of = |p: PopulationId, k: u32| wired.inputs[(wired.bases[p.index()] + k) as usize].iter().flat_map(keys).collect::<Vec<_>>();
    let certificate = spikec_map::proof::certificate(&hypergraph(net, &axons_of), &Limits::uniform(target, 8));
    let explanation = explain::explain(certificate, &core_usage);
    let quantization = QuantizeReport::none(net.synapse_count() as u64, wired.errors.vanished);
    let report = family_report(net, target, lowering, (layers, core_usage), explanation, quantization, findings);
    CompileReport { crossbar: Some(crossbar), ..report }
}

#[cfg(test)]
mod tests;
