//! Growth of cores by overlap: a core takes the neuron whose axons it has most of already.
//!
//! In: a hypergraph and some of its neurons. Out: blocks of neurons that fit a core by neurons and input axons.
//! Cost: one step for each post of each (axon, core) pair, and a heap.
//! Why: recovers tiles and modules where nobody knows the geometry. Axons of few posts say more about a neighbourhood than hubs, so they
//! weigh more.

use crate::hypergraph::Hypergraph;
use crate::limits::Limits;
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
    /// Bytes that all of it shares.
    pub bytes: Option<Bytes>,
}

/// What things take of a core's bytes, on the mean: blocks are a beginning, the counts of [`crate::state`] decide.
#[derive(Debug, Clone, Copy)]
pub struct Bytes {
    most: f64,
    neuron: f64,
    /// An axon with its first synapse.
    in_slot: f64,
    /// A synapse more.
    synapse: f64,
    out_entry: f64,
}

/// What a block uses.
#[derive(Debug, Clone, Copy, Default)]
pub struct Load {
    /// Neurons.
    pub neurons: u32,
    /// Input axons.
    pub in_slots: u32,
    /// Synapses; parallel ones count one.
    pub synapses: u64,
    /// Out entries.
    pub out_entries: f64,
}

impl Load {
    /// With a neuron of so many axons more, of which `new` are not there yet.
    pub fn with(self, axons: usize, new: u32, out_entries: f64) -> Load {
        Load {
            neurons: self.neurons + 1,
            in_slots: self.in_slots + new,
            synapses: self.synapses + axons as u64,
            out_entries: self.out_entries + out_entries,
        }
    }
}

impl Room {
    /// A core, with so many out entries at most.
    pub fn of(limits: &Limits, out_entries: f64) -> Room {
        let bytes = limits.memory.as_ref().map(|m| {
            let table = limits.words_of.first().map_or(&[][..], Vec::as_slice);
            let word = f64::from(m.word);
            let each = table.last().map_or(0.0, |&words| word * f64::from(words) / (table.len() - 1).max(1) as f64);
            let first = table.get(1).map_or(0.0, |&words| word * f64::from(words));
            let own = m.own.iter().map(|&bytes| f64::from(bytes)).sum::<f64>() / m.own.len().max(1) as f64;
            Bytes {
                most: m.bytes.into(),
                neuron: f64::from(m.neuron) + f64::from(m.slot) + own,
                in_slot: f64::from(m.in_slot) + (first - each).max(0.0),
                synapse: each,
                out_entry: m.out_entry.into(),
            }
        });
        Room { neurons: limits.neurons, in_slots: limits.in_slots, out_entries, bytes }
    }

    /// True when a block fits.
    pub fn holds(&self, load: Load) -> bool {
        load.neurons <= self.neurons
            && load.in_slots <= self.in_slots
            && load.out_entries <= self.out_entries
            && self.bytes.is_none_or(|b| {
                let taken = f64::from(load.neurons) * b.neuron
                    + f64::from(load.in_slots) * b.in_slot
                    + load.synapses as f64 * b.synapse
                    + load.out_entries * b.out_entry;
                taken <= b.most
            })
    }
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
        let most = room.neurons;
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
            let (block, mut load, mut failures) = (self.blocks, Load::default(), 0);
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
                let with = load.with(axons.len(), new, out(v));
                if !members.is_empty() && !room.holds(with) {
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
                load = with;
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
