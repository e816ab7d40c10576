//! Growth of cores by overlap: a core takes the neuron whose axons it has most of already.
//!
//! In: a hypergraph and some of its neurons. Out: blocks of neurons that fit a core by neurons and input axons.
//! Cost: one step for each post of each (axon, core) pair, and a heap.
//! Why: recovers tiles and modules where nobody knows the geometry. Axons of few posts say more about a neighbourhood than hubs, so they
//! weigh more.

use crate::hypergraph::Hypergraph;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A neuron on the rim of the growing core. Entries go stale when the neuron's score grows; the newest is on top.
#[derive(PartialEq)]
struct Rim {
    score: f32,
    neuron: u32,
}
impl Eq for Rim {}
impl PartialOrd for Rim {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Rim {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.neuron.cmp(&self.neuron))
    }
}

/// Neurons of the rim that may fail to fit before a core is closed.
const FAILURES: u32 = 50;

/// What a block may use.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Neurons.
    pub neurons: u32,
    /// Input axons.
    pub in_slots: u32,
    /// Out entries.
    pub out_entries: f64,
}

/// Grows cores; keeps its scratch between calls.
pub struct Grower<'a> {
    graph: &'a Hypergraph,
    /// What sharing an axon is worth.
    worth: Vec<f32>,
    /// Worth of all axons of a neuron.
    total: Vec<f32>,
    free: Vec<bool>,
    /// Worth of the neuron's axons that the growing core has.
    shared: Vec<f32>,
    /// Block that an axon entered last.
    entered: Vec<u32>,
    blocks: u32,
}

impl<'a> Grower<'a> {
    /// A grower of a hypergraph.
    pub fn new(graph: &'a Hypergraph) -> Self {
        let worth: Vec<f32> = (0..graph.axons()).map(|a| 1.0 / (graph.out_neurons(a).len().max(1) as f32).sqrt()).collect();
        let sum = |v: u32| graph.in_axons(v).iter().map(|&a| worth[a as usize]).sum::<f32>().max(f32::MIN_POSITIVE);
        let n = graph.neurons() as usize;
        Grower {
            graph,
            total: (0..graph.neurons()).map(sum).collect(),
            worth,
            free: vec![false; n],
            shared: vec![0.0; n],
            entered: vec![u32::MAX; graph.axons() as usize],
            blocks: 0,
        }
    }

    fn score(&self, neuron: u32) -> f32 {
        self.shared[neuron as usize] / self.total[neuron as usize]
    }

    /// Blocks within `room` (a neuron beyond it is a block by itself); `out` tells the out entries of a neuron.
    pub fn grow(&mut self, neurons: &[u32], room: Room, out: &dyn Fn(u32) -> f64) -> Vec<Vec<u32>> {
        let Room { neurons: most, in_slots, out_entries } = room;
        let graph = self.graph;
        for &v in neurons {
            self.free[v as usize] = true;
        }
        let mut first_free = neurons.iter().copied();
        let mut blocks = Vec::new();
        let mut heap = BinaryHeap::new();
        let mut rim: Vec<u32> = Vec::new();
        let mut placed = 0;
        while placed < neurons.len() {
            // Start with the neuron that the last block left behind with most of its axons.
            let left = rim.iter().copied().filter(|&v| self.free[v as usize]);
            let left = left.max_by(|&a, &b| self.score(a).total_cmp(&self.score(b)).then(b.cmp(&a)));
            for v in rim.drain(..) {
                self.shared[v as usize] = 0.0;
            }
            heap.clear();
            let (block, mut used, mut entries, mut failures) = (self.blocks, 0u32, 0f64, 0);
            self.blocks += 1;
            let mut members: Vec<u32> = Vec::new();
            let mut seed = left;
            while members.len() < most as usize {
                let next = match heap.pop() {
                    Some(Rim { score, neuron }) if !self.free[neuron as usize] || score != self.score(neuron) => continue,
                    Some(top) => Some(top.neuron),
                    None => seed.take().filter(|&v| self.free[v as usize]).or_else(|| first_free.find(|&v| self.free[v as usize])),
                };
                let Some(v) = next else { break };
                let axons = graph.in_axons(v);
                let new = axons.iter().filter(|&&a| self.entered[a as usize] != block).count() as u32;
                if !members.is_empty() && (used + new > in_slots || entries + out(v) > out_entries) {
                    failures += 1;
                    if self.shared[v as usize] == 0.0 {
                        rim.push(v); // it came from the list of free neurons, which won't name it again
                        break;
                    }
                    if failures > FAILURES {
                        break;
                    }
                    continue;
                }
                self.free[v as usize] = false;
                members.push(v);
                used += new;
                entries += out(v);
                for &a in axons {
                    if std::mem::replace(&mut self.entered[a as usize], block) == block {
                        continue;
                    }
                    for &u in graph.out_neurons(a) {
                        if self.free[u as usize] {
                            if self.shared[u as usize] == 0.0 {
                                rim.push(u);
                            }
                            self.shared[u as usize] += self.worth[a as usize];
                            heap.push(Rim { score: self.score(u), neuron: u });
                        }
                    }
                }
            }
            placed += members.len();
            if members.is_empty() {
                // Every free neuron that the list has not named yet was passed over: begin the list again.
                first_free = neurons.iter().copied();
            } else {
                blocks.push(members);
            }
        }
        for v in rim {
            self.shared[v as usize] = 0.0;
        }
        blocks
    }
}
