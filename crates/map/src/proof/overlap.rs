//! How many neurons can share the input axons of a core, by how much any two of them overlap.
//!
//! In: a hypergraph and limits. Out: bounds, and costs of neurons in input axons.
//! Invariant: for m neurons S on a core, neuron v of them with d axons and o axons in common with the others of S (counted by pair): S has
//! `sum over v of d^2 / (d + o)` axons at least, and o is at most what v has in common with the m - 1 neurons most similar to it.
//! Cost: the posts of each axon squared, within the budget: beyond it there is no bound.
//! Why it is true: axons of S = sum over v and its axons a of 1 / (neurons of S that a enters), and the mean of reciprocals is at least the
//! reciprocal of the mean (de Caen's bound of a union).

use super::{Budget, Proof, at_least, bound};
use crate::hypergraph::Hypergraph;
use crate::limits::Limits;
use crate::proof::spread::{Costs, ONE};

/// Overlaps of a neuron with others: (axons in common, neurons), the most first.
type Similar = Vec<(u32, u32)>;

/// Neurons that tell whether all are worth it.
const SAMPLE: u32 = 128;

/// What is known of the overlaps.
pub(super) struct Overlap {
    /// Neurons that a core holds at most.
    pub most: u32,
    /// Costs in input axons.
    pub costs: Costs,
}

impl Overlap {
    /// `None` beyond the budget, or where a sample shows no chance of more than `least` cores.
    pub fn new(graph: &Hypergraph, limits: &Limits, least: u64, budget: &mut Budget) -> Option<Overlap> {
        let steps: u64 = (0..graph.axons()).map(|a| graph.out_neurons(a).len() as u64).map(|f| f * f).sum();
        let limit = u64::from(limits.in_slots) * ONE;
        let places = limits.neurons.min(graph.neurons()).max(1);
        let step = graph.neurons().div_ceil(SAMPLE).max(1) as usize;
        // The sample's steps are part of these.
        if !budget.take(steps) {
            return None;
        }
        let sample: Vec<u32> = (0..graph.neurons()).step_by(step).collect();
        let costs = similar(graph, &sample).iter().zip(&sample).map(|(s, &v)| cost(graph, v, s, places)).sum::<u64>();
        let mean = costs / (sample.len() as u64).max(1);
        let hopeless = mean * u64::from(places) <= limit && mean * u64::from(graph.neurons()) < limit.saturating_mul(least);
        if hopeless || sample.is_empty() {
            return None;
        }
        let all: Vec<u32> = (0..graph.neurons()).collect();
        let similar = similar(graph, &all);
        let cost = |v: u32, m: u32| cost(graph, v, &similar[v as usize], m);
        // True when the m neurons of least cost, thus any m, have more axons than a core.
        let exceeds = |m: u32| {
            let mut costs: Vec<u64> = (0..graph.neurons()).map(|v| cost(v, m)).collect();
            let m = m as usize;
            if m < costs.len() {
                costs.select_nth_unstable(m);
            }
            m <= costs.len() && costs[..m].iter().sum::<u64>() > limit
        };
        // A set of more neurons than one that exceeds exceeds as well, whether or not its own costs tell.
        let (mut most, mut beyond) = (1, places);
        if beyond > 1 && exceeds(beyond) {
            while beyond - most > 1 {
                let m = most + (beyond - most) / 2;
                if exceeds(m) { beyond = m } else { most = m }
            }
        } else {
            most = beyond;
        }
        let of_neuron = (0..graph.neurons()).map(|v| cost(v, most)).collect();
        Some(Overlap { most, costs: Costs { resource: "input axons", per_core: limit, of_neuron } })
    }

    /// Bounds, where overlaps tell more than the number of axons.
    pub fn proofs(&self, graph: &Hypergraph, limits: &Limits) -> Vec<Proof> {
        if self.most == limits.neurons.min(graph.neurons()) {
            return Vec::new();
        }
        let (more, slots) = (self.most + 1, limits.in_slots);
        let why = format!(
            "Any {more} neurons have more than {slots} input axons together, even if each is with those {} that share most axons with it: a \
             core holds {} at most.",
            self.most, self.most
        );
        let count = bound("neurons that share input axons", graph.neurons().into(), self.most.into());
        let need = self.costs.of_neuron.iter().sum::<u64>().div_ceil(ONE);
        let sum = bound("input axons (shared by as many)", need, slots.into());
        let total =
            format!("Of an axon that it shares, each neuron takes a part: of cores with {} neurons, {need} axons in all.", self.most);
        vec![
            Proof { argument: vec![why.clone(), format!("The net has {}: {}.", graph.neurons(), at_least(&count))], bound: count },
            Proof { argument: vec![why, total, format!("A core has {slots}: {}.", at_least(&sum))], bound: sum },
        ]
    }
}

/// Part of a core's input axons that a neuron takes beside m - 1 others.
fn cost(graph: &Hypergraph, v: u32, similar: &Similar, m: u32) -> u64 {
    let d = graph.in_axons(v).len() as u64;
    let (mut left, mut common) = (m - 1, 0u64);
    for &(axons, neurons) in similar {
        let n = neurons.min(left);
        common += u64::from(axons) * u64::from(n);
        left -= n;
    }
    if d == 0 { 0 } else { d * d * ONE / (d + common) }
}

/// Overlaps of some neurons with all others.
fn similar(graph: &Hypergraph, neurons: &[u32]) -> Vec<Similar> {
    let mut common = vec![0u32; graph.neurons() as usize];
    let mut seen: Vec<u32> = Vec::new();
    let of = |&v: &u32| {
        for &u in graph.in_axons(v).iter().flat_map(|&a| graph.out_neurons(a)).filter(|&&u| u != v) {
            if common[u as usize] == 0 {
                seen.push(u);
            }
            common[u as usize] += 1;
        }
        let mut counts: Vec<u32> = seen.iter().map(|&u| std::mem::take(&mut common[u as usize])).collect();
        seen.clear();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        counts.chunk_by(|a, b| a == b).map(|c| (c[0], c.len() as u32)).collect()
    };
    neurons.iter().map(of).collect()
}
