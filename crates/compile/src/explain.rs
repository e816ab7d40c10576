//! Why a network takes the cores that it takes, and why not one core less.
//!
//! In: a `Quantized`, the target, and the use of each core of a compilation. Out: [`Explanation`]: lower bounds with an argument, and where
//! they leave a gap, how full the cores are.
//! Invariant: the limits that bounds are drawn from are those of the best encoding that any core could have, so that a bound holds whatever
//! the packer does; nothing here decides anything.
//! Cost: linear in the synapses, and what [`spikec_map::proof`] takes.

use crate::driver::{CompileError, CompileOptions, CompileReport, CoreUsage, Input};
use crate::lower::{LowerOptions, lower_all};
use crate::pack::Wiring;
use crate::pack::wiring::registers;
use crate::partition::lower_bounds;
use crate::quantize::{QuantizeOptions, adopt_all, quantize_all};
use serde::Serialize;
use spikec_chip::bundle::DecoderKind;
use spikec_chip::cost;
use spikec_chip::image::SynapseFormat;
use spikec_chip::target::{Compression, SynapseMemory, Target};
use spikec_map::bounds::Bound;
use spikec_map::hypergraph::{Hypergraph, Layer};
use spikec_map::limits::{Labels, Levels, Limits};
use spikec_map::proof::{Certificate, WORK, certificate_named};
use spikec_net::Quantized;

/// Steps that a table of words takes at most; beyond, its entries are bounded more loosely.
const TABLE: usize = 40_000_000;

/// Use of a resource over all cores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Total {
    /// Resource.
    pub resource: &'static str,
    /// Used on all cores together.
    pub used: u64,
    /// What all these cores have.
    pub available: u64,
    /// Used on the fullest core.
    pub fullest: u64,
    /// What one core has.
    pub per_core: u64,
}

/// How many cores, how many at least, and what lies between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Cores that the compilation takes.
    pub cores: u32,
    /// Lower bounds and their argument.
    pub certificate: Certificate,
    /// True when no partition takes fewer cores.
    pub optimal: bool,
    /// Resources that a core has much of, the fullest of all cores together first.
    pub totals: Vec<Total>,
    /// Why not one core less: the proof, or what is known about the gap.
    pub one_less: Vec<String>,
}

/// Explains a compilation whose report is at hand: lowers and quantizes again, which gives the same network.
///
/// # Errors
/// Those of lowering and quantizing: none where the compilation had none.
pub fn explain(input: Input, target: &Target, options: &CompileOptions, report: &CompileReport) -> Result<Explanation, CompileError> {
    let lowering = LowerOptions { remove_dead: options.remove_dead };
    let q = match input {
        Input::Trained { net, digest } => {
            let lowered = lower_all(net.clone(), target, &lowering)?;
            let comparable_outputs = options.decoder == DecoderKind::Potential;
            let quantizing = QuantizeOptions { weight_bits: options.weight_bits, method: options.quantizer, comparable_outputs };
            quantize_all(&lowered.net, digest, target, &quantizing)?.0
        }
        Input::Registers { net, digest } => adopt_all(lower_all(net.clone(), target, &lowering)?.net, digest, target).0,
    };
    Ok(explain_cores(&q, target, &report.core_usage))
}

/// Explains a partition by the use of its cores.
pub fn explain_cores(q: &Quantized, target: &Target, usage: &[CoreUsage]) -> Explanation {
    let certificate = certificate(q, target);
    let cores = usage.len() as u32;
    let totals = totals(usage);
    let optimal = u64::from(cores) == certificate.best;
    let one_less = if optimal { certificate.argument.clone() } else { gap(cores, &certificate, &totals) };
    Explanation { cores, certificate, optimal, totals, one_less }
}

/// Lower bounds of the number of cores, with their argument.
pub fn certificate(q: &Quantized, target: &Target) -> Certificate {
    let wiring = Wiring::new(q, target);
    let (graph, limits) = problem(q, &wiring, target);
    let populations: Vec<&str> = q.net.populations.iter().filter(|p| !p.is_input()).map(|p| p.name.as_str()).collect();
    let name = |v: u32| {
        let layer = graph.layers().partition_point(|l| l.first <= v);
        layer.checked_sub(1).map_or_else(String::new, |l| populations[l].to_string())
    };
    let mut found = certificate_named(&graph, &limits, &name, WORK);
    for bound in lower_bounds(q, target) {
        let (resource, cores) = (bound.resource, bound.cores);
        if cores > found.best {
            (found.best, found.binding) = (cores, resource.into());
            found.argument = vec![
                format!("The network needs {} {resource}, a core has {}: at least {cores} cores.", bound.need, bound.per_core),
                format!("So {} cores are not enough.", cores - 1),
            ];
        } else if bound.code != "C08" {
            // The certificate has it.
            continue;
        }
        found.bounds.push(Bound { resource, need: bound.need, per_core: bound.per_core, cores });
    }
    found
}

/// The hypergraph of a network, and what a core holds of it at best.
fn problem(q: &Quantized, wiring: &Wiring, target: &Target) -> (Hypergraph, Limits) {
    let (core, memory) = (&target.packed().core, &target.packed().synapse_memory);
    let neurons: Vec<u32> = wiring.neuron_units().collect();
    let inputs = wiring.units() - neurons.len() as u32;
    // Axons: channels first, then neurons, both in the order of units.
    let mut axon_of = vec![0u32; wiring.units() as usize];
    let (mut channel, mut next) = (0, neurons.iter().copied().peekable());
    let mut neuron = inputs;
    for (unit, axon) in axon_of.iter_mut().enumerate() {
        let of = if next.next_if_eq(&(unit as u32)).is_some() { &mut neuron } else { &mut channel };
        *axon = *of;
        *of += 1;
    }
    let (mut offsets, mut axons) = (vec![0], Vec::with_capacity(wiring.synapse_count()));
    // Narrowest weight and delay of each axon.
    let mut narrowest = vec![(u8::MAX, u8::MAX); wiring.units() as usize];
    let widest_delay = memory.delay_bits.iter().copied().max().unwrap_or(0);
    let delay_bits = |delay: u16| cost::delay_bits(memory, delay.into()).unwrap_or(widest_delay);
    let mut levels = Vec::with_capacity(neurons.len());
    for &unit in &neurons {
        let mut level = 0;
        for s in wiring.incoming(unit) {
            let axon = axon_of[s.source as usize];
            let (weight, delay) = (wiring.classes()[s.class as usize].bits, delay_bits(s.delay));
            let least = &mut narrowest[axon as usize];
            *least = (least.0.min(weight), least.1.min(delay));
            level = level.max(delay);
            axons.push(axon);
        }
        levels.push(level);
        offsets.push(axons.len());
    }
    let mut layers = Vec::new();
    let mut first = 0;
    for population in q.net.populations.iter().filter(|p| !p.is_input()) {
        let neurons = population.len() as u32;
        layers.push(Layer { first, neurons, shape: None, origin: Vec::new() });
        first += neurons;
    }
    let mut graph = Hypergraph::new(inputs, offsets, axons, layers);
    let places = memory.index_bits.iter().map(|&b| 1u32 << b.min(16)).max().unwrap_or(1).min(*core.compartments);
    let mut parallel = (0..graph.neurons()).flat_map(|v| graph.synapses(v)).map(|(_, n)| n).max().unwrap_or(1);
    if parallel as usize * places as usize > TABLE {
        // Tables that long are not made: one synapse of those that are parallel counts.
        let rows = || (0..graph.neurons()).map(|v| graph.in_axons(v));
        let offsets = std::iter::once(0)
            .chain(rows().scan(0, |sum, row| {
                *sum += row.len();
                Some(*sum)
            }))
            .collect();
        graph = Hypergraph::new(inputs, offsets, rows().flatten().copied().collect(), graph.layers().to_vec());
        parallel = 1;
    }
    let (tables, class_of_axon) = tables(&narrowest, |(weight, delay)| words_table(memory, (weight, delay), places, parallel));
    let slots = *core.delay_slots_total;
    let limits = Limits {
        cores: target.total_cores(),
        neurons: places,
        in_slots: (*core.in_axons).min(1 << 16),
        out_entries: *core.out_axon_entries,
        out_per_neuron: *core.out_axons_per_neuron,
        entry_cost: cost::out_axon_entries(core, false),
        off_chip_extra: 0,
        cores_per_chip: u32::MAX,
        words: *memory.usable_words,
        words_of: tables,
        class_of_axon,
        labels: profiles(q, wiring, &neurons, target),
        levels: Some(Levels { of_neuron: levels, most_neurons: (0..=widest_delay).map(|b| slots >> b.min(31)).collect() }),
    };
    (graph, limits)
}

/// A table of words for each (weight, delay) width, and the table of each axon. An axon without synapses has any.
fn tables(widths: &[(u8, u8)], table: impl Fn((u8, u8)) -> Vec<u32>) -> (Vec<Vec<u32>>, Vec<u8>) {
    let mut kinds: Vec<(u8, u8)> = widths.iter().copied().filter(|w| w.0 < u8::MAX).collect();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.len() > 256 || kinds.is_empty() {
        // An axon's table is a byte: one stands for all, with the least of both widths.
        let least = (kinds.iter().map(|w| w.0).min().unwrap_or(0), kinds.iter().map(|w| w.1).min().unwrap_or(0));
        return (vec![table(least)], Vec::new());
    }
    let class_of_axon = widths.iter().map(|w| kinds.binary_search(w).unwrap_or(0) as u8).collect();
    (kinds.into_iter().map(table).collect(), class_of_axon)
}

/// Compartment profiles and threshold profiles (C09).
fn profiles(q: &Quantized, wiring: &Wiring, neurons: &[u32], target: &Target) -> Vec<Labels> {
    let core = &target.packed().core;
    let of = |key: &dyn Fn(u32) -> (u32, u32, u32), most: u32| {
        let keys: Vec<_> = neurons.iter().map(|&u| key(u)).collect();
        let mut kinds = keys.clone();
        kinds.sort_unstable();
        kinds.dedup();
        let label = |k| kinds.binary_search(k).unwrap_or(0).min(usize::from(u16::MAX) - 1) as u16;
        Labels { of_neuron: keys.iter().map(label).collect(), kinds: kinds.len().min(usize::from(u16::MAX)) as u16, most }
    };
    let neuron = |unit: u32| registers(&q.net, wiring.reference(unit));
    let profile = |u: u32| (neuron(u).decay_u.into(), neuron(u).decay_v.into(), neuron(u).refractory.into());
    vec![of(&profile, (*core.compartment_profiles).min(256)), of(&|u| (neuron(u).threshold, 0, 0), (*core.threshold_profiles).min(256))]
}

/// Words that n synapses of an axon take at least, of weights and delays this wide, at most `parallel` into each of `places` neurons: of all
/// ways to cut them into entries, each under the compression that suits it best.
fn words_table(memory: &SynapseMemory, (weight_bits, delay_bits): (u8, u8), places: u32, parallel: u32) -> Vec<u32> {
    let most = places as usize * parallel as usize;
    let longest = (*memory.max_synapses_per_entry).clamp(1, u32::from(u16::MAX)) as usize;
    let least = |bits: &[u8]| bits.iter().copied().min().unwrap_or(0);
    let entry = |index_bits: u8, n: u32| {
        let bits = memory.compressions.iter().map(|&compression| {
            let skip_bits = if compression == Compression::RunLength { least(&memory.skip_bits) } else { 0 };
            let sign = spikec_chip::target::Sign::Mixed;
            let f = SynapseFormat { weight_bits, index_bits, skip_bits, delay_bits, compression, sign, exponent: 0 };
            cost::entry_bits(memory, &f, n)
        });
        bits.min().unwrap_or(0)
    };
    // n synapses have n / parallel posts, and an index must reach the last.
    let width =
        |n: usize| cost::index_bits(memory, (n.div_ceil(parallel as usize) as u32).saturating_sub(1)).unwrap_or(least(&memory.index_bits));
    let mut words = vec![0u32; most + 1];
    let mut n = 1;
    while n <= most {
        let index_bits = width(n);
        let end = (n..=most).find(|&m| width(m) != index_bits).unwrap_or(most + 1);
        let entries: Vec<u64> = (1..=longest.min(most) as u32).map(|k| entry(index_bits, k)).collect();
        if end * entries.len() <= TABLE {
            let mut bits = vec![0u64; end];
            for m in 1..end {
                bits[m] = (1..=entries.len().min(m)).map(|k| bits[m - k] + entries[k - 1]).min().unwrap_or(0);
            }
            (n..end).for_each(|m| words[m] = cost::words(memory, bits[m]));
        } else {
            (n..end).for_each(|m| words[m] = cost::words(memory, m as u64 * u64::from(weight_bits)));
        }
        n = end;
    }
    words
}

/// Sums over cores of the resources that a core has much of, the fullest first.
fn totals(usage: &[CoreUsage]) -> Vec<Total> {
    let mut totals: Vec<Total> = Vec::new();
    for u in usage.iter().flat_map(|c| &c.resources).filter(|u| ["C01", "C02", "C03", "C05"].contains(&u.code)) {
        match totals.iter_mut().find(|t| t.resource == u.resource) {
            Some(t) => (t.used, t.available, t.fullest) = (t.used + u.used, t.available + u.available, t.fullest.max(u.used)),
            None => {
                let (resource, used, available) = (u.resource, u.used, u.available);
                totals.push(Total { resource, used, available, fullest: used, per_core: available });
            }
        }
    }
    totals.sort_by(|a, b| (u128::from(b.used) * u128::from(a.available)).cmp(&(u128::from(a.used) * u128::from(b.available))));
    totals
}

/// What is known where no bound is as large as the number of cores.
fn gap(cores: u32, certificate: &Certificate, totals: &[Total]) -> Vec<String> {
    let mut lines = certificate.argument.clone();
    lines.push(format!("No bound excludes {} cores: whether one core less is enough is not known.", cores.saturating_sub(1)));
    if let Some(t) = totals.first() {
        let share = |available: u64| 100.0 * t.used as f64 / available.max(1) as f64;
        let less = t.available - t.per_core.min(t.available);
        lines.push(format!(
            "The fullest resource over all cores is {}: {} of {} used, {:.1} % left ({} of {} on the fullest core).",
            t.resource,
            t.used,
            t.available,
            100.0 - share(t.available),
            t.fullest,
            t.per_core
        ));
        if share(less) > 100.0 {
            lines.push(format!("One core less would have to save {} of it by placing neurons together that share more.", t.used - less));
        } else {
            lines.push(format!("One core less would be {:.1} % full of it, if neurons could be divided at will.", share(less)));
        }
    }
    lines
}
