//! Random hypergraphs and limits, and counting by plain loops.
#![allow(dead_code, reason = "each test binary uses a part")]

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use spikec_map::check::{Counted, count};
use spikec_map::hypergraph::{Hypergraph, Layer, Shape};
use spikec_map::limits::{Labels, Levels, Limits, Memory};
use spikec_map::portfolio::{Effort, Options, map};
use spikec_map::state::{NONE, Use};
use std::collections::{BTreeMap, BTreeSet};

pub type Random = Xoshiro256PlusPlus;

pub fn random(seed: u64) -> Random {
    Random::seed_from_u64(seed)
}

/// Kind of a random net.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One layer with loops, self loops too.
    Recurrent,
    /// Layers that feed the next ones; in some nets, neurons also feed themselves.
    Layered,
    /// The same with shapes; each neuron sees a square of the layer before.
    Shaped,
}

pub const KINDS: [Kind; 3] = [Kind::Recurrent, Kind::Layered, Kind::Shaped];

/// A net of about `size` neurons (at least one); with `parallel`, some synapses are doubled.
pub fn net(kind: Kind, size: u32, parallel: bool, rng: &mut Random) -> Hypergraph {
    let inputs = rng.random_range(0..4u32);
    let mut rows: Vec<Vec<u32>> = Vec::new();
    let mut layers = Vec::new();
    if kind == Kind::Recurrent {
        let density = rng.random_range(0.05..0.6);
        rows = (0..size).map(|_| (0..inputs + size).filter(|_| rng.random_bool(density)).collect()).collect();
        layers.push(Layer { first: 0, neurons: size, shape: None, origin: Vec::new() });
    }
    while (rows.len() as u32) < size {
        let first = rows.len() as u32;
        let left = size - first;
        let before = layers.last().cloned();
        let shape = Shape { channels: rng.random_range(1..3), height: rng.random_range(1..4), width: rng.random_range(1..4) };
        let all = shape.channels * shape.height * shape.width;
        let shape = (kind == Kind::Shaped && all <= left).then_some(shape);
        let neurons = if shape.is_some() { all } else { rng.random_range(1..=left) };
        let here = Layer { first, neurons, shape, origin: Vec::new() };
        let density = rng.random_range(0.1..0.9);
        for k in 0..neurons {
            let sources: Vec<u32> = match (&before, shape.and_then(|s| Some((s, before.as_ref()?.shape?)))) {
                (None, _) => (0..inputs).collect(),
                (Some(b), None) => (0..b.neurons).map(|j| inputs + b.first + j).collect(),
                (Some(b), Some((to, from))) => {
                    let (_, y, x) = here.place(to, k);
                    let near = |&j: &u32| {
                        let (_, v, u) = b.place(from, j);
                        v.abs_diff(y) <= 1 && u.abs_diff(x) <= 1
                    };
                    (0..b.neurons).filter(near).map(|j| inputs + b.first + j).collect()
                }
            };
            rows.push(sources.into_iter().filter(|_| rng.random_bool(density)).collect());
        }
        layers.push(here);
    }
    // Soft resets come as neurons that enter themselves.
    if kind != Kind::Recurrent && rng.random_bool(0.3) {
        rows.iter_mut().zip(inputs..).for_each(|(row, own)| row.push(own));
    }
    if parallel {
        for row in &mut rows {
            let more: Vec<u32> = row.iter().copied().filter(|_| rng.random_bool(0.3)).collect();
            row.extend(more);
        }
    }
    graph(inputs, &rows, layers)
}

/// The hypergraph with these axons of each neuron; without layers, all neurons are one.
pub fn graph(inputs: u32, rows: &[Vec<u32>], mut layers: Vec<Layer>) -> Hypergraph {
    let mut offsets = vec![0];
    for row in rows {
        offsets.push(offsets[offsets.len() - 1] + row.len());
    }
    if layers.is_empty() {
        layers.push(Layer { first: 0, neurons: rows.len() as u32, shape: None, origin: Vec::new() });
    }
    Hypergraph::new(inputs, offsets, rows.concat(), layers)
}

/// Limits that are a little more than the neediest neuron asks for: `slack` times at most. No labels, levels and chips.
pub fn tight(graph: &Hypergraph, slack: f64, rng: &mut Random) -> Limits {
    let words_of = vec![table(rng), table(rng)];
    let class_of_axon = (0..graph.axons()).map(|_| rng.random_range(0..2)).collect();
    let mut limits = Limits {
        neurons: rng.random_range(1..=6),
        in_slots: u32::MAX,
        out_entries: u32::MAX,
        out_per_neuron: u32::MAX,
        entry_cost: rng.random_range(1..=2),
        off_chip_extra: 0,
        words: u32::MAX,
        words_of,
        class_of_axon,
        labels: Vec::new(),
        levels: None,
        memory: None,
    };
    let mut above = |least: u32| (f64::from(least.max(1)) * rng.random_range(1.0..slack)).ceil() as u32;
    let most = |f: &dyn Fn(u32) -> u32| (0..graph.neurons()).map(f).max().unwrap_or(0);
    limits.in_slots = above(most(&|v| graph.in_axons(v).len() as u32));
    let words = most(&|v| graph.synapses(v).map(|(a, n)| limits.words(a, n)).sum());
    limits.words = above(words);
    let fan_out = most(&|v| graph.out_neurons(graph.axon(v)).len() as u32);
    limits.out_entries = above((fan_out * limits.entry_cost).div_ceil(2));
    let destinations = above(fan_out.div_ceil(2));
    if rng.random_bool(0.5) {
        limits.out_per_neuron = destinations;
    }
    limits
}

/// Words that never fall with the synapses.
fn table(rng: &mut Random) -> Vec<u32> {
    let (header, each, word) = (rng.random_range(0..3), rng.random_range(1..4u32), rng.random_range(1..4));
    (0..=rng.random_range(2..9)).map(|n| if n == 0 { 0 } else { (header + n * each).div_ceil(word) }).collect()
}

/// The same limits with bytes that all of a core shares: a few times what the neediest neuron takes alone.
pub fn budgeted(graph: &Hypergraph, mut limits: Limits, rng: &mut Random) -> Limits {
    let mut bytes = |most: u32| rng.random_range(0..=most);
    let (neuron, slot, in_slot, out_entry, word) = (bytes(6), bytes(3), bytes(4), bytes(4), bytes(8));
    let own = (0..graph.neurons()).map(|_| bytes(5)).collect();
    let memory = Memory { bytes: 0, neuron, own, slot, in_slot, out_entry, word };
    let alone = |v: u32| {
        let words = graph.synapses(v).map(|(a, n)| i64::from(limits.words(a, n))).sum();
        let posts = graph.out_neurons(graph.axon(v)).len().div_ceil(2) as i64;
        let out_entries = posts * i64::from(limits.entry_cost + limits.off_chip_extra);
        memory.taken(&Use { neurons: 1, in_slots: graph.in_axons(v).len() as i64, out_entries, words, own: memory.own(v) }, 2)
    };
    let most = (0..graph.neurons()).map(alone).max().unwrap_or(0).max(1) as u32;
    limits.memory = Some(Memory { bytes: rng.random_range(most..=3 * most), ..memory });
    limits
}

/// The same limits with labels, levels and, for half of the nets, a budget of bytes.
pub fn labelled(graph: &Hypergraph, mut limits: Limits, rng: &mut Random) -> Limits {
    for kinds in [2u16, 3] {
        let of_neuron = (0..graph.neurons()).map(|_| rng.random_range(0..kinds)).collect();
        limits.labels.push(Labels { of_neuron, kinds, most: rng.random_range(1..=kinds.into()) });
    }
    let most_neurons = vec![limits.neurons, limits.neurons.div_ceil(2), 1];
    limits.levels = Some(Levels { of_neuron: (0..graph.neurons()).map(|_| rng.random_range(0..3)).collect(), most_neurons });
    if rng.random_bool(0.5) { budgeted(graph, limits, rng) } else { limits }
}

pub fn rates(graph: &Hypergraph, rng: &mut Random) -> Vec<f32> {
    (0..graph.axons()).map(|_| *[0.0, 0.05, 0.3, 1.0, rng.random::<f32>()].choose(rng).expect("some")).collect()
}

/// Synapses of each (axon, core) pair that is there.
pub fn pairs(graph: &Hypergraph, parts: &[u32]) -> BTreeMap<(u32, u32), u32> {
    let mut all = BTreeMap::new();
    for (v, &core) in parts.iter().enumerate().filter(|p| *p.1 != NONE) {
        for (axon, synapses) in graph.synapses(v as u32) {
            *all.entry((axon, core)).or_default() += synapses;
        }
    }
    all
}

/// Use of each core by an assignment that may be incomplete.
pub fn uses(graph: &Hypergraph, limits: &Limits, parts: &[u32], cores: u32, chips: &[u32]) -> Vec<Use> {
    let mut uses = vec![Use::default(); cores as usize];
    for (v, &core) in parts.iter().enumerate().filter(|p| *p.1 != NONE) {
        uses[core as usize].neurons += 1;
        uses[core as usize].own += limits.memory.as_ref().and_then(|m| m.own.get(v)).map_or(0, |&bytes| i64::from(bytes));
    }
    for ((axon, core), synapses) in pairs(graph, parts) {
        uses[core as usize].in_slots += 1;
        uses[core as usize].words += i64::from(limits.words(axon, synapses));
        let from = graph.source(axon).map_or(NONE, |s| parts[s as usize]);
        if from != NONE {
            let away = !chips.is_empty() && chips[from as usize] != chips[core as usize];
            uses[from as usize].out_entries += i64::from(limits.entry_cost) + if away { i64::from(limits.off_chip_extra) } else { 0 };
        }
    }
    uses
}

/// Recounts, and checks that every core has a neuron.
#[track_caller]
pub fn recount(graph: &Hypergraph, limits: &Limits, parts: &[u32], cores: u32) -> Counted {
    assert_eq!(parts.len() as u32, graph.neurons());
    let used: BTreeSet<u32> = parts.iter().copied().collect();
    assert!(used.iter().copied().eq(0..cores), "cores {used:?} of {cores}");
    count(graph, limits, parts, cores, &[])
}

/// Rate times (hops + 1) of all messages of neurons, those that stay on their core included; and rate times hops alone.
pub fn traffic(graph: &Hypergraph, parts: &[u32], points: &[(i32, i32)], rates: &[f32]) -> (f64, f64) {
    let (mut priced, mut hops) = (0.0, 0.0);
    for &(axon, core) in pairs(graph, parts).keys() {
        let Some(source) = graph.source(axon) else { continue };
        let (a, b) = (points[parts[source as usize] as usize], points[core as usize]);
        let distance = f64::from((a.0 - b.0).abs() + (a.1 - b.1).abs());
        priced += f64::from(rates[axon as usize]) * (distance + 1.0);
        hops += f64::from(rates[axon as usize]) * distance;
    }
    (priced, hops)
}

/// Every partition of the neurons into cores, each once: `see` gets the cores of the neurons and their number.
pub fn every_partition(neurons: u32, see: &mut dyn FnMut(&[u32], u32)) {
    fn go(parts: &mut Vec<u32>, left: u32, cores: u32, see: &mut dyn FnMut(&[u32], u32)) {
        if left == 0 {
            return see(parts, cores);
        }
        for core in 0..=cores {
            parts.push(core);
            go(parts, left - 1, cores.max(core + 1), see);
            parts.pop();
        }
    }
    go(&mut Vec::new(), neurons, 0, see);
}

/// The fewest cores of a legal assignment.
pub fn optimum(graph: &Hypergraph, limits: &Limits) -> Option<u32> {
    let mut best = None;
    every_partition(graph.neurons(), &mut |parts, cores| {
        if best.is_none_or(|b| cores < b) && count(graph, limits, parts, cores, &[]).violations.is_empty() {
            best = Some(cores);
        }
    });
    best
}

/// What a search found of what there is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Found {
    /// Cases with a legal assignment.
    pub cases: u32,
    /// Of those: a legal assignment was found.
    pub legal: u32,
    /// Of those: with the fewest cores that there can be.
    pub fewest: u32,
    /// Cores beyond the fewest, in all cases with a legal assignment.
    pub more: u32,
}

impl Found {
    /// Share of the cases for which a legal assignment was found.
    pub fn legal_share(&self) -> f64 {
        f64::from(self.legal) / f64::from(self.cases)
    }
    /// Share of the cases for which one with the fewest cores was found.
    pub fn fewest_share(&self) -> f64 {
        f64::from(self.fewest) / f64::from(self.cases)
    }
}

/// Random cases of 2 to 7 neurons of a kind, against every partition; `labels`: with labels and levels. `refused` hears the seeds of cases that
/// have a legal assignment and were refused.
pub fn refusals(kind: Kind, labels: bool, cases: u64, effort: Effort, refused: &mut dyn FnMut(u64)) -> Found {
    let mut found = Found::default();
    for seed in 0..cases {
        let (graph, limits) = case(kind, labels, seed);
        let Some(fewest) = optimum(&graph, &limits) else { continue };
        let mapping = map(&graph, &limits, &Options { strategy: None, effort, seed }, &mut |_| ());
        found.cases += 1;
        if mapping.legal {
            found.legal += 1;
            found.fewest += u32::from(mapping.cores == fewest);
            found.more += mapping.cores - fewest;
        } else {
            refused(seed);
        }
    }
    found
}

/// A case of [`refusals`].
pub fn case(kind: Kind, labels: bool, seed: u64) -> (Hypergraph, Limits) {
    let mut rng = random(seed);
    let size = rng.random_range(2..=7);
    let parallel = rng.random_bool(0.2);
    let graph = net(kind, size, parallel, &mut rng);
    let limits = tight(&graph, 2.0, &mut rng);
    let limits = if labels { labelled(&graph, limits, &mut rng) } else { limits };
    (graph, limits)
}
