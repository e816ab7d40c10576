//! Lower bounds of the number of cores, by resource.

use crate::hypergraph::Hypergraph;
use crate::limits::{Limits, Memory};
use serde::Serialize;

/// A lower bound: no assignment takes fewer cores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// Resource.
    pub resource: &'static str,
    /// What the net needs, however it is assigned.
    pub need: u64,
    /// What a core has.
    pub per_core: u64,
    /// Cores.
    pub cores: u64,
}

/// Bounds by resource. Input axons: each axon with a post takes a slot at least; out entries: each neuron's axon with a post one entry; words:
/// the least words that an axon's synapses take over all ways to spread them over cores; bytes: all of these together.
pub fn lower_bounds(graph: &Hypergraph, limits: &Limits) -> Vec<Bound> {
    let mut synapses = vec![0u32; graph.axons() as usize];
    for v in 0..graph.neurons() {
        for (axon, count) in graph.synapses(v) {
            synapses[axon as usize] += count;
        }
    }
    let used = synapses.iter().filter(|&&s| s > 0).count() as u64;
    let senders = (0..graph.neurons()).filter(|&v| synapses[graph.axon(v) as usize] > 0).count() as u64;
    let classes = limits.words_of.len();
    let mut least: Vec<Vec<u32>> = vec![Vec::new(); classes];
    let mut words = 0u64;
    for (axon, &count) in synapses.iter().enumerate().filter(|(_, s)| **s > 0) {
        let class = limits.class_of_axon.get(axon).map_or(0, |&c| usize::from(c));
        words += u64::from(least_words(&mut least[class], &limits.words_of[class], count));
    }
    let bound = |resource, need: u64, per_core: u32| Bound {
        resource,
        need,
        per_core: per_core.into(),
        cores: need.div_ceil(u64::from(per_core).max(1)),
    };
    let entries = senders * u64::from(limits.entry_cost);
    let mut bounds = vec![
        bound("neurons", graph.neurons().into(), limits.neurons),
        bound("input axons", used, limits.in_slots),
        bound("out entries", entries, limits.out_entries),
        bound("words", words, limits.words),
    ];
    bounds.extend(limits.memory.as_ref().map(|m| bound("bytes", bytes(m, graph.neurons(), used, entries, words), m.bytes)));
    bounds
}

/// Bytes of so many things, on however many cores: the slots of a neuron are those of the lowest level.
pub(crate) fn bytes(m: &Memory, neurons: u32, in_slots: u64, out_entries: u64, words: u64) -> u64 {
    let own: u64 = m.own.iter().map(|&bytes| u64::from(bytes)).sum();
    let each = [(u64::from(neurons), m.neuron + m.slot), (in_slots, m.in_slot), (out_entries, m.out_entry), (words, m.word)];
    own + each.iter().map(|&(n, bytes)| n * u64::from(bytes)).sum::<u64>()
}

/// Words of the cheapest synapse over all counts, times the synapses: no way to spread them takes fewer.
fn least_words(rate: &mut Vec<u32>, table: &[u32], synapses: u32) -> u32 {
    // rate[0] / rate[1] is the least ratio of words to synapses.
    if rate.is_empty() {
        let best = (1..table.len()).min_by(|&a, &b| (u64::from(table[a]) * b as u64).cmp(&(u64::from(table[b]) * a as u64)));
        *rate = best.map_or(vec![0, 1], |n| vec![table[n], n as u32]);
    }
    (u64::from(synapses) * u64::from(rate[0])).div_ceil(u64::from(rate[1])).max(1) as u32
}
