//! Which synapses go first: a whole course of removals, of which every prefix is a smaller network.
//!
//! In: layers, a saliency, a cost. Out: [`Course`]: removals in order, with the cost of what is left after each.
//! Invariant: every synapse goes exactly once; a neuron that nothing reaches, or that reaches nothing, goes with its synapses. The same course
//! on any number of threads.
//! Method: greedy by error over cost saved. With costs of the chip the unit of removal is an axon's list: its least salient synapses, as
//! many as save most for what they cost (one, a few, all of them); and a neuron with all its synapses. A list is judged again when its turn comes.
//! Cost: for second order O(n^2) a removal in a row of n synapses; a judgement is linear in a list, a handful of times.

use crate::layer::Layer;
use crate::list::Lists;
use crate::start::{Row, first_cut, row_state};
use rayon::prelude::*;
use serde::Serialize;
use spikec_chip::Target;
use spikec_net::PopulationId;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// What makes a synapse worth keeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Saliency {
    /// Its square, in thresholds, over all layers.
    Magnitude,
    /// Its square over the mean of its layer.
    LayerMagnitude,
    /// Its square times the power of its trace.
    Activity,
    /// The error that the best rest of the row makes up for (optimal brain surgeon).
    SecondOrder,
}

/// What is saved.
#[derive(Debug, Clone, Copy)]
pub enum Cost<'a> {
    /// Each synapse counts alike.
    Synapses,
    /// Words of synaptic memory, for weights of a width, by layer, on a target.
    Words(&'a Target, &'a [u8]),
}

/// A synapse of a net: layer, row (neuron), position in the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// Index of the layer.
    pub layer: u32,
    /// Neuron of its population.
    pub row: u32,
    /// Position in [`Layer::rows`].
    pub position: u32,
}

/// Removals in order.
#[derive(Debug, Clone, Default)]
pub struct Course {
    /// All synapses (of a kernel: its weights), first to last.
    pub removed: Vec<At>,
    /// (removals so far, cost of what is left, error so far) after each step, from none removed on.
    pub steps: Vec<(u32, f64, f64)>,
    /// The first step in which every neuron finds room for its axons in a core, as far as the course knows.
    pub placeable: usize,
}

impl Course {
    /// Synapses left after so many steps.
    pub(crate) fn left(&self, step: usize) -> u32 {
        self.removed.len() as u32 - self.steps[step].0
    }

    /// Whether hardly anything lies between two steps, `a` first.
    pub(crate) fn near(&self, a: usize, b: usize) -> bool {
        b <= a + 1 || self.steps[b].0 - self.steps[a].0 <= self.left(b) / 200
    }
}

/// How to find a course.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Saliency.
    pub saliency: Saliency,
    /// Error in a neuron's potential against the errors that its spikes make in what it drives.
    pub balance: f32,
    /// Synapses that the exact search starts with, at most; others go before it by their saliency at the start.
    pub start: usize,
    /// The output population, whose neurons stay.
    pub output: PopulationId,
}

/// A row that takes part.
#[derive(Clone)]
struct Member {
    layer: u32,
    row: u32,
    state: Row,
    /// Positions that are left.
    alive: Vec<bool>,
    left: u32,
    /// Of the neuron's potential.
    importance: f32,
    /// Lists of its own spikes.
    out: Vec<u32>,
    may_go: bool,
    /// Synapses of each weight, where the row is a kernel.
    sizes: Option<Vec<u32>>,
}

/// An axon's list: synapses of one projection from one neuron or channel.
#[derive(Clone)]
struct List {
    /// (member, position), members ascending.
    synapses: Vec<(u32, u32)>,
    /// Member that spikes on it; `None` for inputs, and where several do.
    source: Option<u32>,
    cost: f64,
    /// Goes with its source or with what it drives, never alone.
    gate: bool,
    /// Part of the source's neurons that spike on it.
    share: f32,
}

#[derive(PartialEq)]
struct Turn {
    /// Error over cost saved.
    price: f64,
    /// List, or neuron beyond the lists.
    id: u32,
}
impl Eq for Turn {}
impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Turn {
    fn cmp(&self, other: &Self) -> Ordering {
        other.price.total_cmp(&self.price).then(other.id.cmp(&self.id))
    }
}

/// A net before its first removal, from which courses for different costs start.
#[derive(Clone)]
pub struct Block {
    options: Options,
    members: Vec<Member>,
    lists: Vec<List>,
    /// Lists of each position, by member.
    list_of: Vec<Vec<u32>>,
    /// What went before.
    gone: Vec<At>,
}

struct Sculpture<'a> {
    block: Block,
    cost_of: Cost<'a>,
    /// Sizes of lists by layer, for as many neurons as there were when they were last counted; empty where words don't count.
    sizes: Vec<Lists<'a>>,
    /// Compartment of each member: its place among the neurons that are left.
    compartment: Vec<u32>,
    /// Whether each member is left; how many are, and were when compartments were last counted.
    there: Vec<bool>,
    neurons: usize,
    counted: usize,
    course: Course,
    cost: f64,
    error: f64,
}

impl Block {
    /// Finds a course of removals.
    pub fn course(&self, cost: Cost) -> Course {
        let mut sculpture = Sculpture::new(self.clone(), cost);
        sculpture.run();
        sculpture.course
    }
}

/// The part of a row's neurons that spike on one feature of another layer: a kernel hears all places of a channel, a neuron one.
fn share(from: &Layer, to: &Layer, row: u32) -> f32 {
    if to.ties.is_some() { 1.0 } else { 1.0 / from.neurons_of(row).max(1) as f32 }
}

/// Sum of the squared weights (in thresholds) with which each neuron of each layer drives others, times their importance.
fn importances(layers: &[Layer], output: PopulationId, balance: f32) -> Vec<Vec<f32>> {
    let mut of: Vec<Vec<f32>> = layers.iter().map(|l| vec![if l.population == output { 1.0 } else { 0.0 }; l.rows.len()]).collect();
    let layer_of = |p: PopulationId| layers.iter().position(|l| l.population == p);
    // From the output backwards; loops settle for what a few rounds give.
    for _ in 0..layers.len().clamp(1, 8) {
        let mut next: Vec<Vec<f32>> = layers.iter().map(|l| vec![if l.population == output { 1.0 } else { 0.0 }; l.rows.len()]).collect();
        for (l, layer) in layers.iter().enumerate() {
            for (j, row) in layer.features.rows.iter().enumerate() {
                for (s, &w) in row.iter().zip(&layer.rows[j]) {
                    if let Some(from) = layer_of(layer.features.blocks[s.block as usize].pre) {
                        let square = if layer.gate { 1.0 } else { w * w };
                        for &row in &layer.sources[s.feature as usize] {
                            next[from][row as usize] += balance * square * of[l][j] * share(&layers[from], layer, row);
                        }
                    }
                }
            }
        }
        of = next;
    }
    of
}

impl Block {
    /// Of the layers of a net, connected.
    pub fn new(layers: &[Layer], options: Options) -> Self {
        let importance = importances(layers, options.output, options.balance);
        let all: usize = layers.iter().flat_map(|l| &l.rows).map(Vec::len).sum();
        let (alive, gone) = first_cut(layers, &importance, &options, all);
        let mut members: Vec<Member> = Vec::new();
        let jobs: Vec<(usize, usize)> =
            layers.iter().enumerate().flat_map(|(l, layer)| (0..layer.rows.len()).map(move |j| (l, j))).collect();
        let mean_square: Vec<f32> = layers
            .iter()
            .map(|l| {
                let n: usize = l.rows.iter().map(Vec::len).sum();
                (l.rows.iter().flatten().map(|w| f64::from(w * w)).sum::<f64>() / n.max(1) as f64).max(f64::from(f32::MIN_POSITIVE)) as f32
            })
            .collect();
        let states: Vec<Row> =
            jobs.par_iter().map(|&(l, j)| row_state(&layers[l], j, &alive[l][j], options.saliency, mean_square[l])).collect();
        for (&(l, j), state) in jobs.iter().zip(states) {
            let alive = alive[l][j].clone();
            let left = alive.iter().filter(|a| **a).count() as u32;
            let importance = match options.saliency {
                Saliency::SecondOrder => importance[l][j] * layers[l].share,
                _ => 1.0,
            };
            let may_go = layers[l].population != options.output;
            let sizes = layers[l].ties.as_ref().map(|_| (0..alive.len()).map(|k| layers[l].size(j, k)).collect());
            members.push(Member { layer: l as u32, row: j as u32, state, alive, left, importance, out: Vec::new(), may_go, sizes });
        }
        let first_member: Vec<u32> = layers
            .iter()
            .scan(0u32, |sum, l| {
                let first = *sum;
                *sum += l.rows.len() as u32;
                Some(first)
            })
            .collect();
        // Lists: one for each source of each block.
        let mut lists: Vec<List> = Vec::new();
        let mut list_of: Vec<Vec<u32>> = members.iter().map(|m| vec![u32::MAX; m.alive.len()]).collect();
        for (l, layer) in layers.iter().enumerate() {
            let base = lists.len() as u32;
            let pre_of: Vec<PopulationId> = {
                let blocks = layer.features.blocks.iter();
                let ends = layer.features.blocks.iter().skip(1).map(|b| b.first as usize).chain([layer.features.count]);
                blocks.zip(ends).flat_map(|(b, end)| std::iter::repeat_n(b.pre, end - b.first as usize)).collect()
            };
            for (sources, pre) in layer.sources.iter().zip(pre_of) {
                let from = layers.iter().position(|l| l.population == pre);
                let (source, share) = match (from, &sources[..]) {
                    (Some(from), &[row]) => (Some(first_member[from] + row), share(&layers[from], layer, row)),
                    _ => (None, 1.0),
                };
                lists.push(List { synapses: Vec::new(), source, cost: 0.0, gate: layer.gate, share });
            }
            for (j, row) in layer.features.rows.iter().enumerate() {
                let member = first_member[l] + j as u32;
                for (position, s) in row.iter().enumerate() {
                    let list = base + s.feature;
                    list_of[member as usize][position] = list;
                    if members[member as usize].alive[position] {
                        lists[list as usize].synapses.push((member, position as u32));
                    }
                }
            }
        }
        for (k, list) in lists.iter().enumerate() {
            if let Some(source) = list.source {
                members[source as usize].out.push(k as u32);
            }
        }
        Block { options, members, lists, list_of, gone }
    }
}

impl<'a> Sculpture<'a> {
    fn new(block: Block, cost_of: Cost<'a>) -> Self {
        let neurons = block.members.len();
        let course = Course { removed: block.gone.clone(), ..Course::default() };
        let compartment = vec![0; neurons];
        let mut sculpture = Sculpture {
            block,
            cost_of,
            sizes: Vec::new(),
            compartment,
            there: Vec::new(),
            neurons,
            counted: usize::MAX,
            course,
            cost: 0.0,
            error: 0.0,
        };
        sculpture.there = (0..neurons).map(|m| sculpture.is_there(m)).collect();
        sculpture.neurons = sculpture.there.iter().filter(|there| **there).count();
        sculpture.count();
        sculpture.course.steps.push((sculpture.course.removed.len() as u32, sculpture.cost, 0.0));
        sculpture
    }

    /// Whether a neuron is needed: something reaches it, or its spikes reach something.
    fn is_there(&self, m: usize) -> bool {
        let member = &self.block.members[m];
        !member.may_go || member.left > 0 || member.out.iter().any(|&l| !self.block.lists[l as usize].synapses.is_empty())
    }

    /// Counts compartments and the cost of all lists again.
    fn count(&mut self) {
        self.counted = self.neurons;
        if let Cost::Words(target, bits) = self.cost_of {
            let mut next = 0;
            for m in 0..self.block.members.len() {
                self.compartment[m] = next;
                next += u32::from(self.is_there(m));
            }
            let most = *target.packed().core.compartments;
            self.sizes = bits.iter().map(|&bits| Lists::new(target, bits, next.clamp(1, most))).collect();
        }
        self.cost = 0.0;
        for k in 0..self.block.lists.len() {
            let cost = self.list_cost(self.block.lists[k].synapses.iter().copied());
            self.block.lists[k].cost = cost;
            self.cost += cost;
        }
    }

    /// Synapses of a weight; `None` where it is one, of a neuron.
    fn size(&self, (member, position): (u32, u32)) -> Option<f64> {
        self.block.members[member as usize].sizes.as_ref().map(|sizes| f64::from(sizes[position as usize]))
    }

    /// What each synapse of a kernel's weight saves: it is one of the long lists of many axons.
    fn cost_of_one(&self, member: u32) -> f64 {
        self.sizes.get(self.block.members[member as usize].layer as usize).map_or(1.0, Lists::words_of_one)
    }

    fn list_cost(&self, synapses: impl Iterator<Item = (u32, u32)>) -> f64 {
        let mut layer = 0;
        let (mut posts, mut of_kernels) = (Vec::new(), 0.0);
        for (member, position) in synapses {
            match self.size((member, position)) {
                Some(size) => of_kernels += size * self.cost_of_one(member),
                None => {
                    layer = self.block.members[member as usize].layer;
                    posts.push(self.compartment[member as usize]);
                }
            }
        }
        let of_neurons = self.sizes.get(layer as usize).map_or(posts.len() as f64, |lists| lists.cost(&posts));
        of_kernels + of_neurons
    }

    fn price_of(&self, (member, position): (u32, u32)) -> f64 {
        let m = &self.block.members[member as usize];
        f64::from(m.importance) * f64::from(m.state.cost(position))
    }

    /// Best removal from a list: how many of its least salient synapses (in that order), and the price.
    fn judge(&self, list: &List) -> Option<(Vec<(u32, u32)>, f64)> {
        if list.synapses.is_empty() || list.gate {
            return None;
        }
        if let Some(&(member, _)) = list.synapses.first().filter(|s| self.size(**s).is_some()) {
            // Each weight of a kernel saves its own synapses.
            let one = self.cost_of_one(member);
            let price = |s: &(u32, u32)| self.price_of(*s) / (self.size(*s).unwrap_or(1.0) * one);
            let least = list.synapses.iter().map(|s| (price(s), *s)).min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))?;
            return Some((vec![least.1], least.0));
        }
        let mut order: Vec<(f64, u32, u32)> = list.synapses.iter().map(|&s| (self.price_of(s), s.0, s.1)).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let n = order.len();
        if let Cost::Synapses = self.cost_of {
            return Some((vec![(order[0].1, order[0].2)], order[0].0));
        }
        let mut best = (f64::INFINITY, n);
        let (mut k, mut error, mut counted) = (1, 0.0, 0);
        loop {
            order[counted..k].iter().for_each(|o| error += o.0);
            counted = k;
            let mut kept: Vec<u32> = order[k..].iter().map(|o| o.1).collect();
            kept.sort_unstable();
            let saved = list.cost - self.list_cost(kept.into_iter().map(|m| (m, 0)));
            if saved > 1e-9 && error / saved < best.0 {
                best = (error / saved, k);
            }
            if k == n {
                break;
            }
            k = (k + 1 + k / 4).min(n);
        }
        Some((order[..best.1].iter().map(|o| (o.1, o.2)).collect(), best.0))
    }

    /// Price of a neuron with all its synapses: what its spikes carry, over the cost of both its sides.
    fn judge_neuron(&self, member: u32) -> Option<f64> {
        let m = &self.block.members[member as usize];
        if !m.may_go || m.left == 0 && m.out.iter().all(|&l| self.block.lists[l as usize].synapses.is_empty()) {
            return None;
        }
        if m.out.iter().any(|&l| self.block.lists[l as usize].gate) {
            // What its spikes carry is known only behind the gate.
            return None;
        }
        let mut saved: f64 = m.out.iter().map(|&l| self.block.lists[l as usize].cost).sum();
        let error: f64 = m.out.iter().flat_map(|&l| &self.block.lists[l as usize].synapses).map(|&s| self.price_of(s)).sum();
        for position in (0..m.alive.len()).filter(|&k| m.alive[k]) {
            let list = &self.block.lists[self.block.list_of[member as usize][position] as usize];
            saved += list.cost / list.synapses.len().max(1) as f64;
        }
        (saved > 0.0).then(|| error / saved)
    }

    fn run(&mut self) {
        let n = self.block.lists.len() as u32;
        let mut heap: BinaryHeap<Turn> = (0..n)
            .into_par_iter()
            .filter_map(|k| self.judge(&self.block.lists[k as usize]).map(|j| Turn { price: j.1, id: k }))
            .collect::<Vec<_>>()
            .into();
        if self.block.options.saliency == Saliency::SecondOrder {
            for m in 0..self.block.members.len() as u32 {
                heap.extend(self.judge_neuron(m).map(|price| Turn { price, id: n + m }));
            }
        }
        while let Some(turn) = heap.pop() {
            let (now, removed) = if turn.id < n {
                match self.judge(&self.block.lists[turn.id as usize]) {
                    Some((synapses, price)) => (price, Some(synapses)),
                    None => continue,
                }
            } else {
                match self.judge_neuron(turn.id - n) {
                    Some(price) => (price, None),
                    None => continue,
                }
            };
            // Still first?
            let still = heap.peek().is_none_or(|next| now <= next.price * (1.0 + 1e-6) || now <= turn.price);
            if !still {
                heap.push(Turn { price: now, id: turn.id });
                continue;
            }
            match removed {
                Some(synapses) => {
                    for s in synapses {
                        self.error += self.price_of(s);
                        self.take(s);
                    }
                    if !self.block.lists[turn.id as usize].synapses.is_empty() {
                        heap.push(Turn { price: now, id: turn.id });
                    }
                }
                None => {
                    let m = turn.id - n;
                    let lists = self.block.members[m as usize].out.clone();
                    for l in lists {
                        for s in self.block.lists[l as usize].synapses.clone() {
                            self.error += self.price_of(s);
                            self.take(s);
                        }
                    }
                }
            }
            // Fewer neurons have smaller numbers, closer together.
            if self.neurons + self.neurons / 32 < self.counted && !self.sizes.is_empty() {
                self.count();
            }
            self.course.steps.push((self.course.removed.len() as u32, self.cost, self.error));
        }
    }

    /// Removes a synapse, and what nothing needs any more because of it.
    fn take(&mut self, s: (u32, u32)) {
        let mut todo = vec![s];
        while let Some((member, position)) = todo.pop() {
            let m = &mut self.block.members[member as usize];
            if !std::mem::replace(&mut m.alive[position as usize], false) {
                continue;
            }
            m.state.remove(position);
            m.left -= 1;
            self.course.removed.push(At { layer: m.layer, row: m.row, position });
            if m.left == 0 && m.may_go {
                // Nothing reaches the neuron any more.
                for &l in &self.block.members[member as usize].out {
                    todo.extend(self.block.lists[l as usize].synapses.iter().copied());
                }
            }
            let l = self.block.list_of[member as usize][position as usize] as usize;
            self.block.lists[l].synapses.retain(|&other| other != (member, position));
            let cost = self.list_cost(self.block.lists[l].synapses.iter().copied());
            self.cost += cost - self.block.lists[l].cost;
            self.block.lists[l].cost = cost;
            self.recount(member);
            let Some(source) = self.block.lists[l].source else { continue };
            self.recount(source);
            self.weigh(source);
            let source = &self.block.members[source as usize];
            if source.may_go && source.out.iter().all(|&l| self.block.lists[l as usize].synapses.is_empty()) {
                // It reaches nothing any more.
                let me = self.block.lists[l].source.expect("just seen");
                todo.extend((0..source.alive.len()).filter(|&k| source.alive[k]).map(|k| (me, k as u32)));
            }
        }
    }

    /// Counts a neuron off that nothing needs any more.
    fn recount(&mut self, m: u32) {
        if self.there[m as usize] && !self.is_there(m as usize) {
            self.there[m as usize] = false;
            self.neurons -= 1;
        }
    }

    /// Importance of a neuron from what it still drives.
    fn weigh(&mut self, member: u32) {
        if self.block.options.saliency != Saliency::SecondOrder || !self.block.members[member as usize].may_go {
            return;
        }
        let lists = self.block.members[member as usize].out.iter().map(|&l| &self.block.lists[l as usize]);
        let square = |list: &List, &(m, position): &(u32, u32)| {
            let m = &self.block.members[m as usize];
            (if list.gate { 1.0 } else { m.state.weight(position).powi(2) }) * m.importance * list.share
        };
        let sum: f32 = lists.map(|list| list.synapses.iter().map(|s| square(list, s)).sum::<f32>()).sum();
        self.block.members[member as usize].importance = self.block.options.balance * sum;
    }
}
