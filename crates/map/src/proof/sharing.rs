//! Neurons that can't share a core: each of them is on a core of its own.
//!
//! In: a hypergraph and limits. Out: neurons of which no two fit one core.
//! Invariant: every pair is tested by the union of its axons, not by sums.
//! Cost: the synapses of the neurons already found, for each large neuron, within the budget: what is found by then stands.
//! Why greedy: the largest neurons exclude each other most; a largest such set is as hard to find as it is to map.

use super::{Budget, Proof, at_least, bound};
use crate::hypergraph::Hypergraph;
use crate::limits::Limits;

/// What a neuron takes of an empty core.
struct Alone {
    neuron: u32,
    slots: u64,
    words: u64,
}

/// Neurons that are on different cores in every assignment, the largest first.
pub(super) fn apart(graph: &Hypergraph, limits: &Limits, budget: &mut Budget) -> Vec<u32> {
    let (slots, words) = (u64::from(limits.in_slots), u64::from(limits.words));
    let mut large: Vec<Alone> = (0..graph.neurons())
        .map(|neuron| Alone {
            neuron,
            slots: graph.in_axons(neuron).len() as u64,
            words: graph.synapses(neuron).map(|(a, n)| u64::from(limits.words(a, n))).sum(),
        })
        // One that fits nowhere says nothing of the others.
        .filter(|v| v.slots <= slots && v.words <= words && (2 * v.slots > slots || 2 * v.words > words))
        .collect();
    let share = |v: &Alone| (v.slots * words.max(1)).max(v.words * slots.max(1));
    large.sort_by_key(|v| (std::cmp::Reverse(share(v)), v.neuron));
    let mut found: Vec<Alone> = Vec::new();
    let mut counts = vec![0u32; graph.axons() as usize];
    for candidate in large {
        for (axon, n) in graph.synapses(candidate.neuron) {
            counts[axon as usize] = n;
        }
        let mut all = budget.take(candidate.slots);
        for other in &found {
            all = all && budget.take(other.slots);
            if !all {
                break;
            }
            let (mut union_slots, mut union_words) = (candidate.slots + other.slots, candidate.words + other.words);
            for (axon, n) in graph.synapses(other.neuron) {
                let mine = counts[axon as usize];
                if mine > 0 {
                    union_slots -= 1;
                    let apart = u64::from(limits.words(axon, mine)) + u64::from(limits.words(axon, n));
                    union_words = (union_words + u64::from(limits.words(axon, mine.saturating_add(n)))).saturating_sub(apart);
                }
            }
            all = union_slots > slots || union_words > words;
        }
        for &axon in graph.in_axons(candidate.neuron) {
            counts[axon as usize] = 0;
        }
        if all {
            found.push(candidate);
        }
        if budget.0 == 0 {
            break;
        }
    }
    found.into_iter().map(|v| v.neuron).collect()
}

/// As many cores as there are such neurons.
pub(super) fn proof(graph: &Hypergraph, limits: &Limits, apart: &[u32], name: &dyn Fn(u32) -> String) -> Option<Proof> {
    let (&first, &last) = (apart.first()?, apart.last()?);
    let bound = bound("neurons that can't share a core", apart.len() as u64, 1);
    let argument = vec![format!(
        "{} neurons with {} to {} input axons each (the first is neuron {first}, in {}): any two of them together need more than the {} input \
         axons or the {} words of a core, so each is on a core of its own: {}.",
        apart.len(),
        graph.in_axons(last).len(),
        graph.in_axons(first).len(),
        name(first),
        limits.in_slots,
        limits.words,
        at_least(&bound)
    )];
    (apart.len() > 1).then_some(Proof { bound, argument })
}
