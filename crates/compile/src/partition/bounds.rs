//! Lower bounds of the number of cores, one for each resource: no partition can use fewer.

use crate::pack::Wiring;
use crate::pack::kernels::Kernels;
use crate::pack::usage::CORE_BYTES;
use serde::Serialize;
use spikec_chip::cost;
use spikec_chip::target::{Sign, Target};
use spikec_net::Quantized;

/// A lower bound of the number of cores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// Constraint, `C01`...
    pub code: &'static str,
    /// Resource.
    pub resource: &'static str,
    /// The network's need, whatever the partition.
    pub need: u64,
    /// What one core has.
    pub per_core: u64,
    /// Cores that this takes at least.
    pub cores: u64,
}

/// Lower bounds by resource, in the order of their codes.
///
/// Input axons: each source with a synapse takes one at least. Output axons: each such neuron one entry. Words: the
/// lists of a source are at least its weights and delays, rounded up once, wherever they are. Tables (C08, C09): no core
/// holds more distinct records. Where axons share words, only every distinct synapse is stored once at least. Bytes (C27): all of these together,
/// at the narrowest delays, beside what every core takes.
pub fn lower_bounds(q: &Quantized, target: &Target, kernels: Kernels) -> Vec<Bound> {
    let wiring = Wiring::new(q, target, kernels);
    let (core, memory) = (&target.packed().core, &target.packed().synapse_memory);
    let mut bits = vec![0u64; wiring.units() as usize];
    let mut present = vec![false; wiring.classes().len()];
    for s in wiring.neuron_units().flat_map(|u| wiring.incoming(u)) {
        bits[s.source as usize] += u64::from(wiring.classes()[s.class as usize].bits);
        present[s.class as usize] = true;
    }
    let sources = bits.iter().filter(|&&b| b > 0).count() as u64;
    let senders = wiring.neuron_units().filter(|&u| bits[u as usize] > 0).count() as u64;
    let words = if wiring.shares() {
        let bits = wiring.distinct().iter().map(|s| u64::from(wiring.classes()[usize::from(s.0)].bits)).sum();
        if bits == 0 { 0 } else { u64::from(cost::words(memory, bits)) }
    } else {
        bits.iter().filter(|&&b| b > 0).map(|&b| u64::from(cost::words(memory, b))).sum()
    };
    let mut kinds: Vec<(Sign, i8)> =
        wiring.classes().iter().zip(&present).filter(|(_, p)| **p).map(|(c, _)| (c.sign, c.exponent)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let all = || q.net.populations.iter().flat_map(|p| p.neurons());
    let mut profiles: Vec<_> = all().map(|n| (n.decay_u, n.decay_v, n.refractory)).collect();
    profiles.sort_unstable();
    profiles.dedup();
    let mut thresholds: Vec<u32> = all().map(|n| n.threshold).collect();
    thresholds.sort_unstable();
    thresholds.dedup();
    let entries = senders * u64::from(cost::out_axon_entries(core, false));
    let charged = cost::Charged {
        compartments: wiring.neuron_units().count() as u64,
        currents: all().filter(|n| cost::keeps_current(&target.packed().neuron, n.decay_u)).count() as u64,
        delay_bits: memory.delay_bits.iter().copied().min().unwrap_or(0),
        in_axons: sources,
        out_entries: entries,
        words,
    };
    let program = u64::from(*core.program_bytes);
    let bytes = cost::core_bytes(target.packed(), &charged).saturating_sub(program);
    let bound = |code, resource, need: u64, per_core: u32| Bound {
        code,
        resource,
        need,
        per_core: per_core.into(),
        cores: need.div_ceil(u64::from(per_core).max(1)),
    };
    let mut bounds = vec![
        bound("C01", "compartments", wiring.neuron_units().count() as u64, *core.compartments),
        bound("C02", "input axons", sources, *core.in_axons),
        bound("C03", "output axon entries", entries, *core.out_axon_entries),
        bound("C05", "synaptic memory words", words, *memory.usable_words),
        bound("C08", "synapse formats", kinds.len() as u64, *memory.max_formats),
        bound("C09", "compartment profiles", profiles.len() as u64, *core.compartment_profiles),
        bound("C09", "threshold profiles", thresholds.len() as u64, *core.threshold_profiles),
    ];
    bounds.extend(cost::budget(core).map(|_| bound("C27", CORE_BYTES, bytes, *core.core_bytes - *core.program_bytes)));
    bounds
}
