//! Axons that must enter several cores: bounds of two resources at a time.
//!
//! In: a hypergraph, limits, and neurons that can't share a core. Out: the cores that each axon enters at least; additive costs of neurons.
//! Invariant: on every core of every assignment the costs of its neurons add up to no more than the core has, resource by resource.
//! Cost: one pass over the synapses; where an axon has more posts than a core can hold, a few more and a sort of the neurons.
//! Why: an axon with f posts of which a core holds m at most enters f / m cores, rounded up, and takes an input axon, words and out entries on
//! each. How many a core holds follows from the other resources: the lightest posts of the axon that fit. A neuron costs, of an axon that
//! it shares with others, the part that it has at least: one of m posts, and its synapses at the cheapest rate of words that m posts allow.

use super::{Proof, at_least, bound};
use crate::hypergraph::Hypergraph;
use crate::limits::{Limits, Memory};

/// One unit of a resource, for the parts that neurons take.
pub(super) const ONE: u64 = 1 << 20;
/// Rounds in which what a core holds sharpens the costs, and the costs what a core holds.
const ROUNDS: usize = 2;

/// Additive costs of neurons.
pub(super) struct Costs {
    /// Resource.
    pub resource: &'static str,
    /// What a core has.
    pub per_core: u64,
    /// Cost of each neuron.
    pub of_neuron: Vec<u64>,
}

/// What is known of each axon.
pub(super) struct Spread {
    /// Posts of each axon.
    posts: Vec<u32>,
    /// Synapses of each axon.
    synapses: Vec<u64>,
    /// Most parallel synapses of each axon.
    parallel: Vec<u32>,
    /// Posts of each axon that a core holds at most.
    together: Vec<u32>,
    /// Cores that each axon enters at least.
    cores: Vec<u32>,
    /// For each class of words: the synapses 1 ..= n at which a synapse is cheapest, for each n.
    cheapest: Vec<Vec<u32>>,
}

impl Spread {
    pub fn new(graph: &Hypergraph, limits: &Limits, apart: &[u32]) -> Spread {
        let axons = graph.axons() as usize;
        let posts: Vec<u32> = (0..graph.axons()).map(|a| graph.out_neurons(a).len() as u32).collect();
        let (mut synapses, mut parallel) = (vec![0u64; axons], vec![0u32; axons]);
        for (axon, n) in (0..graph.neurons()).flat_map(|v| graph.synapses(v)) {
            synapses[axon as usize] += u64::from(n);
            parallel[axon as usize] = parallel[axon as usize].max(n);
        }
        let together = posts.iter().map(|&f| f.min(limits.neurons).max(1)).collect();
        let mut cores = vec![0u32; axons];
        for &axon in apart.iter().flat_map(|&v| graph.in_axons(v)) {
            cores[axon as usize] += 1;
        }
        let cheapest = limits.words_of.iter().map(|t| cheapest(t)).collect();
        let mut spread = Spread { posts, synapses, parallel, together, cores, cheapest };
        spread.enter();
        for _ in 0..ROUNDS {
            let mut changed = false;
            for costs in spread.costs(graph, limits) {
                changed |= spread.sharpen(graph, &costs);
            }
            spread.enter();
            if !changed {
                break;
            }
        }
        spread
    }

    /// Cores that axons enter, by the posts that a core holds.
    fn enter(&mut self) {
        for ((cores, &posts), &together) in self.cores.iter_mut().zip(&self.posts).zip(&self.together) {
            *cores = (*cores).max(posts.div_ceil(together));
        }
    }

    /// Out entries that a neuron takes at least.
    pub fn entries(&self, graph: &Hypergraph, limits: &Limits, neuron: u32) -> u64 {
        u64::from(self.cores[graph.axon(neuron) as usize]) * u64::from(limits.entry_cost)
    }

    /// Words of a synapse of an axon at the cheapest rate: words, and of how many synapses.
    fn rate(&self, limits: &Limits, axon: usize) -> (u64, u64) {
        let class = limits.class_of_axon.get(axon).map_or(0, |&c| usize::from(c));
        let cheapest = &self.cheapest[class];
        let most = (u64::from(self.together[axon]) * u64::from(self.parallel[axon])).min(self.synapses[axon]);
        match cheapest.get(most as usize).or(cheapest.last()) {
            Some(&n) if n > 0 => (limits.words_of[class][n as usize].into(), n.into()),
            _ => (0, 1),
        }
    }

    /// Costs by resource.
    pub fn costs(&self, graph: &Hypergraph, limits: &Limits) -> Vec<Costs> {
        let axons = 0..graph.axons() as usize;
        let slot: Vec<u64> = axons.clone().map(|a| ONE / u64::from(self.together[a])).collect();
        let word: Vec<u64> = axons.map(|a| self.rate(limits, a)).map(|(words, n)| words * ONE / n).collect();
        let neurons = 0..graph.neurons();
        let slots: Vec<u64> = neurons.clone().map(|v| graph.in_axons(v).iter().map(|&a| slot[a as usize]).sum()).collect();
        let words: Vec<u64> = neurons.clone().map(|v| graph.synapses(v).map(|(a, n)| word[a as usize] * u64::from(n)).sum()).collect();
        let entries: Vec<u64> = neurons.clone().map(|v| self.entries(graph, limits, v) * ONE).collect();
        let costs = |resource, per_core: u32, of_neuron| Costs { resource, per_core: u64::from(per_core) * ONE, of_neuron };
        let bytes = limits.memory.as_ref().map(|m| {
            let of = |v: u32| {
                let i = v as usize;
                let parts = [(slots[i], m.in_slot), (words[i], m.word), (entries[i], m.out_entry), (ONE, m.neuron + m.slot)];
                m.own(v) as u64 * ONE + parts.iter().map(|&(n, bytes)| n * u64::from(bytes)).sum::<u64>()
            };
            costs("bytes", m.bytes, neurons.map(of).collect())
        });
        let mut all = vec![
            costs("input axons", limits.in_slots, slots),
            costs("words", limits.words, words),
            costs("out entries", limits.out_entries, entries),
        ];
        all.extend(bytes);
        all
    }

    /// Fewer posts of an axon on a core: its lightest ones are those that fit. True if any axon's became fewer.
    fn sharpen(&mut self, graph: &Hypergraph, costs: &Costs) -> bool {
        let mut sum = vec![0u64; self.posts.len()];
        let add = |sum: &mut [u64], v: u32| {
            for &a in graph.in_axons(v) {
                sum[a as usize] += costs.of_neuron[v as usize];
            }
        };
        (0..graph.neurons()).for_each(|v| add(&mut sum, v));
        if sum.iter().all(|&s| s <= costs.per_core) {
            return false;
        }
        let mut order: Vec<u32> = (0..graph.neurons()).collect();
        order.sort_unstable_by_key(|&v| (costs.of_neuron[v as usize], v));
        sum.fill(0);
        let mut fit = vec![0u32; self.posts.len()];
        for v in order {
            add(&mut sum, v);
            for &a in graph.in_axons(v) {
                fit[a as usize] += u32::from(sum[a as usize] <= costs.per_core);
            }
        }
        let mut changed = false;
        for (together, fit) in self.together.iter_mut().zip(fit) {
            // A post that fits nowhere: there is no assignment, and any bound is true.
            let least = fit.max(1);
            changed |= least < *together;
            *together = least.min(*together);
        }
        changed
    }

    /// Bounds by resource.
    pub fn proofs(&self, graph: &Hypergraph, limits: &Limits) -> Vec<Proof> {
        let (mut slots, mut entries, mut words, mut several) = (0u64, 0u64, 0u64, 0u64);
        for a in (0..self.posts.len()).filter(|&a| self.posts[a] > 0) {
            let cores = u64::from(self.cores[a]);
            let (rate, of) = self.rate(limits, a);
            let least = limits.words(a as u32, 1);
            slots += cores;
            several += u64::from(cores > 1);
            entries += if graph.source(a as u32).is_some() { cores * u64::from(limits.entry_cost) } else { 0 };
            words += (self.synapses[a] * rate).div_ceil(of).max(cores * u64::from(least));
        }
        let proof = |resource, need, per_core: u32| {
            let bound = bound(resource, need, per_core.into());
            let unit = resource.trim_end_matches(" (spread)");
            let argument = vec![
                format!(
                    "{several} axons have posts that don't fit one core together: counted on as many cores as they enter at least, the axons \
                     take {slots} places."
                ),
                format!("The net needs {need} {unit}, a core has {per_core}: {}.", at_least(&bound)),
            ];
            Proof { bound, argument }
        };
        if several == 0 {
            return Vec::new();
        }
        let mut proofs = vec![
            proof("input axons (spread)", slots, limits.in_slots),
            proof("out entries (spread)", entries, limits.out_entries),
            proof("words (spread)", words, limits.words),
        ];
        let bytes = |m: &Memory| proof("bytes (spread)", crate::bounds::bytes(m, graph.neurons(), slots, entries, words), m.bytes);
        proofs.extend(limits.memory.as_ref().map(bytes));
        proofs
    }
}

/// For each n the number of synapses up to n at which one takes the fewest words.
fn cheapest(table: &[u32]) -> Vec<u32> {
    let mut best = 0usize;
    let cheaper = |n: usize, best: usize| best == 0 || u64::from(table[n]) * (best as u64) < u64::from(table[best]) * n as u64;
    (0..table.len())
        .map(|n| {
            if n > 0 && cheaper(n, best) {
                best = n;
            }
            best as u32
        })
        .collect()
}
