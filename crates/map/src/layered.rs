//! Cores for nets whose layers have an order: the last layer first, so that the out entries of a neuron are known when it is placed.
//!
//! In: a hypergraph without loops over layers, but for neurons that enter themselves. Out: neurons on cores, within all limits where the net
//! allows it.
//! Invariant: layers are placed after all layers that they feed.
//! Cost: linear in the synapses, but for layers that are grown by overlap.
//! Why: a layer alone binds one resource. A layer whose neurons share no axons (a first layer that a constant drives) loses nothing when it
//! is spread: it fills what the others leave. Layers that are full of out entries are cut so that this fits.

use crate::grow::{Grower, Load, Room};
use crate::hypergraph::Hypergraph;
use crate::limits::Limits;
use crate::pairs::Pairs;
use crate::state::State;
use crate::tiles;
use std::collections::BTreeSet;

/// A layer, cut so that each block fits a core by neurons and input axons.
struct Blocks {
    blocks: Vec<Vec<u32>>,
    in_slots: u64,
}

/// Layers from the last to the first, `None` where a layer feeds itself or there is a loop over several. Neurons that enter themselves, as those of a
/// soft reset do, are no such loop: wherever a neuron is, its own axon enters that core.
pub fn reverse_order(graph: &Hypergraph) -> Option<Vec<usize>> {
    let layers = graph.layers();
    let mut of_neuron = vec![0u32; graph.neurons() as usize];
    for (l, layer) in layers.iter().enumerate() {
        of_neuron[layer.first as usize..(layer.first + layer.neurons) as usize].fill(l as u32);
    }
    let mut feeds = vec![BTreeSet::new(); layers.len()];
    for v in 0..graph.neurons() {
        let (to, mut last) = (of_neuron[v as usize], u32::MAX);
        for source in graph.in_axons(v).iter().filter_map(|&a| graph.source(a)).filter(|&source| source != v) {
            let from = of_neuron[source as usize];
            if from != last {
                feeds[from as usize].insert(to);
                last = from;
            }
        }
    }
    let mut open: Vec<usize> = feeds.iter().map(BTreeSet::len).collect();
    let mut done = vec![false; layers.len()];
    let mut order = Vec::with_capacity(layers.len());
    while order.len() < layers.len() {
        let next = (0..layers.len()).rev().find(|&l| !done[l] && open[l] == 0)?;
        done[next] = true;
        order.push(next);
        for l in 0..layers.len() {
            open[l] -= usize::from(feeds[l].contains(&(next as u32)));
        }
    }
    Some(order)
}

/// Layers in their reverse order, each cut by itself.
pub struct Layered<'a> {
    order: Vec<usize>,
    cutter: Cutter<'a>,
    layers: Vec<Blocks>,
    /// Mean out entries of the neurons of each layer, every block a core.
    out: Vec<f64>,
}

impl<'a> Layered<'a> {
    /// Cuts the layers; `order` is [`reverse_order`]. With `shapes`, layers are cut along their geometry where that takes fewer cores.
    pub fn new(graph: &'a Hypergraph, limits: &'a Limits, order: Vec<usize>, shapes: bool) -> Self {
        let mut cutter = Cutter { graph, limits, grower: Grower::new(graph), shapes, entered: vec![0; graph.axons() as usize], mark: 1 };
        let (layers, out) = first_cut(&mut cutter, &order);
        Layered { order, cutter, layers, out }
    }

    /// Assigns all neurons, opening cores. `share`: how far layers that are full of out entries are thinned so that others can fill their
    /// cores, from 0 (each by itself: more cores, messages stay near) to 1 (every neuron's place is taken).
    pub fn pack<P: Pairs>(&mut self, state: &mut State<P>, share: f64) {
        let Layered { order, cutter, layers, out } = self;
        let plan = Plan::new(cutter.graph, cutter.limits, layers, out, share);
        pack(state, order, cutter, layers, &plan);
    }

    /// As [`Layered::pack`], every neuron on a core of its chip: `hints` names the chip of each neuron. Cores are cut again with the entries that
    /// their chip makes of them.
    pub fn pack_on_chips<P: Pairs>(&mut self, state: &mut State<P>, hints: &[u32]) {
        let Layered { order, cutter, layers, .. } = self;
        let chips = hints.iter().max().map_or(0, |&most| most + 1);
        // A core of each chip without neurons tells what a neuron's entries would be there.
        let probes: Vec<u32> = (0..chips).map(|chip| state.open_on(chip)).collect();
        let mut streams: Vec<Vec<Stream>> = (0..chips).map(|_| Vec::new()).collect();
        let mut open: Vec<Vec<u32>> = vec![Vec::new(); chips as usize];
        for &l in order.iter() {
            let spread = layers[l].in_slots == 0;
            let mut of_chip: Vec<Vec<u32>> = vec![Vec::new(); chips as usize];
            layers[l].blocks.iter().flatten().for_each(|&v| of_chip[hints[v as usize] as usize].push(v));
            for (chip, here) in (0..chips).zip(of_chip).filter(|(_, here)| !here.is_empty()) {
                if spread {
                    streams[chip as usize].push(Stream { neurons: here, next: 0 });
                    continue;
                }
                let out = |v: u32| state.out_entries(v, probes[chip as usize]) as f64 + to_itself(state.graph, state.limits, v);
                let blocks = cutter.cut_some(l, &here, f64::from(state.limits.out_entries), &out);
                for block in blocks {
                    open[chip as usize].extend(place(state, &block, &mut |state| state.open_on(chip)));
                }
            }
        }
        for chip in 0..chips {
            let streams = &mut streams[chip as usize];
            fill_all(state, std::mem::take(&mut open[chip as usize]), streams, &mut |state| state.open_on(chip));
        }
    }
}

fn pack<P: Pairs>(state: &mut State<P>, order: &[usize], cutter: &mut Cutter, layers: &[Blocks], plan: &Plan) {
    let mut streams: Vec<Stream> = Vec::new();
    let mut open: Vec<u32> = Vec::new();
    for &l in order {
        if plan.spread[l] {
            streams.push(Stream { neurons: layers[l].blocks.concat(), next: 0 });
            continue;
        }
        let out = |v: u32| state.out_entries(v, 0) as f64 + to_itself(state.graph, state.limits, v);
        let most = |blocks: &[Vec<u32>]| blocks.iter().map(|b| b.iter().map(|&v| out(v)).sum::<f64>()).fold(0.0, f64::max);
        let again = (most(&layers[l].blocks) > plan.entries[l]).then(|| cutter.cut(l, plan.entries[l], &out).blocks);
        for block in again.as_ref().unwrap_or(&layers[l].blocks) {
            open.extend(place(state, block, &mut |state| state.open()));
        }
    }
    fill_all(state, open, &mut streams, &mut |state| state.open());
}

/// Entries that a neuron has on whatever core it is, for its own axon.
fn to_itself(graph: &Hypergraph, limits: &Limits, neuron: u32) -> f64 {
    if graph.enters_itself(neuron) { f64::from(limits.entry_cost) } else { 0.0 }
}

/// Puts a block on a core of its own, and on more where it does not fit. Those of them with places left.
fn place<P: Pairs>(state: &mut State<P>, block: &[u32], more: &mut dyn FnMut(&mut State<P>) -> u32) -> Vec<u32> {
    let first = more(state);
    let mut core = first;
    for &v in block {
        if state.used(core).neurons > 0 && !state.room(v, core, state.added(v, core)) {
            core = more(state);
        }
        state.assign(v, core);
    }
    (first..=core).filter(|&c| state.used(c).neurons < state.limits.neurons.into()).collect()
}

/// Fills open cores from the streams, then cores that `more` opens, until nobody waits.
fn fill_all<P: Pairs>(state: &mut State<P>, open: Vec<u32>, streams: &mut [Stream], more: &mut dyn FnMut(&mut State<P>) -> u32) {
    let mut scratch = vec![0i64; state.cores() as usize];
    for core in open {
        fill(state, core, streams, &mut scratch);
    }
    while let Some(waiting) = streams.iter().position(|s| s.next < s.neurons.len()) {
        let core = more(state);
        scratch.push(0);
        fill(state, core, streams, &mut scratch);
        if state.used(core).neurons == 0 {
            // It fits nowhere: the recount will say why.
            let s = &mut streams[waiting];
            state.assign(s.neurons[s.next], core);
            s.next += 1;
        }
    }
}

/// Neurons that wait for a core, in their order.
struct Stream {
    neurons: Vec<u32>,
    next: usize,
}

/// Fills a core from the streams, the one that is most behind first.
fn fill<P: Pairs>(state: &mut State<P>, core: u32, streams: &mut [Stream], scratch: &mut [i64]) {
    loop {
        let mut best: Option<(f64, usize)> = None;
        for (i, s) in streams.iter().enumerate() {
            let Some(&v) = s.neurons.get(s.next) else { continue };
            let done = s.next as f64 / s.neurons.len() as f64;
            if best.is_none_or(|b| done < b.0) && state.room(v, core, state.added(v, core)) && state.sources_fit(v, core, scratch) {
                best = Some((done, i));
            }
        }
        let Some((_, i)) = best else { return };
        let s = &mut streams[i];
        state.assign(s.neurons[s.next], core);
        s.next += 1;
    }
}

/// Layers whose neurons have more than so many times the entries of a core are cut; for less, a cut costs more input axons than it is worth.
const TIGHT: f64 = 1.5;

/// How layers share cores.
struct Plan {
    /// Layers that fill what others leave.
    spread: Vec<bool>,
    /// Out entries of a layer that a core takes at most, so that the layers that are spread can fill the rest.
    entries: Vec<f64>,
}

impl Plan {
    /// `out`: mean out entries of the neurons of each layer.
    fn new(graph: &Hypergraph, limits: &Limits, layers: &[Blocks], out: &[f64], share: f64) -> Plan {
        let per_core = f64::from(limits.neurons);
        let entries = f64::from(limits.out_entries);
        let neurons: Vec<f64> = graph.layers().iter().map(|l| f64::from(l.neurons)).collect();
        let spread: Vec<bool> = layers.iter().map(|b| b.in_slots == 0).collect();
        let fillers: f64 = (0..layers.len()).filter(|&l| spread[l]).map(|l| neurons[l]).sum();
        let mut budgets = vec![entries; layers.len()];
        if fillers == 0.0 {
            return Plan { spread, entries: budgets };
        }
        let filler_out = (0..layers.len()).filter(|&l| spread[l]).map(|l| neurons[l] * out[l]).sum::<f64>() / fillers;
        // Fillers that a core with `n` neurons of `o` entries each can take.
        let room = |n: f64, o: f64| {
            let by_out = if filler_out > 0.0 { ((entries - n * o) / filler_out).max(0.0) } else { f64::INFINITY };
            by_out.min(per_core - n)
        };
        let tight: Vec<usize> = (0..layers.len()).filter(|&l| !spread[l] && out[l] * per_core > TIGHT * entries).collect();
        let mut supply = fillers;
        for (l, b) in layers.iter().enumerate().filter(|(l, _)| !spread[*l] && !tight.contains(l)) {
            let n = neurons[l] / b.blocks.len().max(1) as f64;
            supply -= room(n, out[l]) * b.blocks.len() as f64;
        }
        // Cores of a tight layer at which fillers take up every neuron, and the least that hold its entries.
        let widest = |l: usize| {
            let n = (entries - filler_out * per_core) / (out[l] - filler_out);
            if n >= 1.0 { neurons[l] / n } else { neurons[l] }
        };
        let least = |l: usize| neurons[l] * out[l] / entries;
        let (mut low, mut high) = (0.0, 1.0);
        let cores = |l: usize, thinned: f64| least(l) + (widest(l) - least(l)).max(0.0) * thinned * share;
        let taken = |thinned: f64| tight.iter().map(|&l| cores(l, thinned) * room(neurons[l] / cores(l, thinned), out[l])).sum::<f64>();
        if taken(1.0) > supply {
            for _ in 0..40 {
                let middle = 0.5 * (low + high);
                if taken(middle) > supply { high = middle } else { low = middle }
            }
        } else {
            low = 1.0;
        }
        for l in tight {
            budgets[l] = (neurons[l] / cores(l, low)) * out[l];
        }
        Plan { spread, entries: budgets }
    }
}

/// Every layer cut by itself, its posts' blocks being cores, and the mean out entries of its neurons then.
fn first_cut(cutter: &mut Cutter, order: &[usize]) -> (Vec<Blocks>, Vec<f64>) {
    let graph = cutter.graph;
    let cost = f64::from(cutter.limits.entry_cost);
    let mut layers: Vec<Blocks> = graph.layers().iter().map(|_| Blocks { blocks: Vec::new(), in_slots: 0 }).collect();
    let mut mean = vec![0.0; layers.len()];
    let mut block_of = vec![0usize; graph.neurons() as usize];
    let mut seen: Vec<u32> = Vec::new();
    let mut out = vec![0f64; graph.neurons() as usize];
    for &l in order {
        let layer = &graph.layers()[l];
        let range = layer.first..layer.first + layer.neurons;
        for v in range.clone() {
            let posts = graph.out_neurons(graph.axon(v)).iter().filter(|&&post| post != v);
            let new = posts.filter(|&&post| std::mem::replace(&mut seen[block_of[post as usize]], v) != v);
            out[v as usize] = new.count() as f64 * cost + to_itself(graph, cutter.limits, v);
        }
        mean[l] = range.map(|v| out[v as usize]).sum::<f64>() / f64::from(layer.neurons.max(1));
        layers[l] = cutter.cut(l, f64::from(cutter.limits.out_entries), &|v| out[v as usize]);
        for block in &layers[l].blocks {
            for &v in block {
                block_of[v as usize] = seen.len();
            }
            seen.push(u32::MAX);
        }
    }
    (layers, mean)
}

/// Cuts a layer by itself: next-fit over its tiles, or growth by overlap where that takes fewer cores.
struct Cutter<'a> {
    graph: &'a Hypergraph,
    limits: &'a Limits,
    grower: Grower<'a>,
    shapes: bool,
    /// Mark of the block that each axon entered last, and the newest mark.
    entered: Vec<u32>,
    mark: u32,
}

impl Cutter<'_> {
    /// Some of a layer's neurons, in the order of its tiles, in blocks of at most `entries` out entries.
    fn cut_some(&mut self, l: usize, neurons: &[u32], entries: f64, out: &dyn Fn(u32) -> f64) -> Vec<Vec<u32>> {
        let room = Room::of(self.limits, entries);
        let fitted = self.next_fit(room, neurons, out).blocks;
        let least = neurons.len().div_ceil(self.limits.neurons.max(1) as usize);
        if self.shapes && self.graph.layers()[l].shape.is_some() && fitted.len() <= least {
            return fitted;
        }
        let grown = self.grower.grow(neurons, room, out);
        if fitted.len() <= grown.len() { fitted } else { grown }
    }

    /// Blocks of at most `entries` out entries, which `out` tells.
    fn cut(&mut self, l: usize, entries: f64, out: &dyn Fn(u32) -> f64) -> Blocks {
        let layer = &self.graph.layers()[l];
        let room = Room::of(self.limits, entries);
        let order = (self.shapes && layer.shape.is_some()).then(|| tiles::order(layer, self.limits.neurons));
        let tiled = order.map(|order| self.next_fit(room, &order, out));
        let neurons: Vec<u32> = (layer.first..layer.first + layer.neurons).collect();
        let by_out = neurons.iter().map(|&v| out(v)).sum::<f64>() / entries;
        let least = f64::from(layer.neurons.div_ceil(self.limits.neurons.max(1))).max(by_out.ceil());
        match tiled {
            Some(tiled) if tiled.blocks.len() as f64 <= least => return tiled,
            _ => {}
        }
        let grown = self.grower.grow(&neurons, room, out);
        match tiled {
            Some(tiled) if tiled.blocks.len() <= grown.len() => tiled,
            _ => {
                let in_slots = self.in_slots(&grown);
                Blocks { blocks: grown, in_slots }
            }
        }
    }

    /// Cuts an order where the next neuron does not fit.
    fn next_fit(&mut self, room: Room, order: &[u32], out: &dyn Fn(u32) -> f64) -> Blocks {
        let mut blocks: Vec<Vec<u32>> = Vec::new();
        let (mut in_slots, mut load) = (0u64, Load::default());
        for &v in order {
            let axons = self.graph.in_axons(v);
            let new = axons.iter().filter(|&&a| self.entered[a as usize] != self.mark).count() as u32;
            match blocks.last_mut() {
                Some(last) if room.holds(load.with(axons.len(), new, out(v))) => {
                    last.push(v);
                    load = load.with(axons.len(), new, out(v));
                }
                _ => {
                    in_slots += u64::from(load.in_slots);
                    load = Load::default().with(axons.len(), axons.len() as u32, out(v));
                    blocks.push(vec![v]);
                    self.mark += 1;
                }
            }
            for &a in axons {
                self.entered[a as usize] = self.mark;
            }
        }
        // The next order begins with a block of its own.
        self.mark += 1;
        Blocks { blocks, in_slots: in_slots + u64::from(load.in_slots) }
    }

    /// Input slots of blocks.
    fn in_slots(&mut self, blocks: &[Vec<u32>]) -> u64 {
        let mut in_slots = 0;
        for block in blocks {
            self.mark += 1;
            for &a in block.iter().flat_map(|&v| self.graph.in_axons(v)) {
                in_slots += u64::from(std::mem::replace(&mut self.entered[a as usize], self.mark) != self.mark);
            }
        }
        in_slots
    }
}
