//! Cores for nets whose layers have an order: the last layer first, so that the out entries of a neuron are known when it is placed.
//!
//! In: a hypergraph without loops over layers. Out: neurons on cores, within all limits where the net allows it.
//! Invariant: layers are placed after all layers that they feed.
//! Cost: linear in the synapses, but for layers that are grown by overlap.
//! Why: a layer alone binds one resource. A layer whose neurons share no axons (a first layer that a constant drives) loses nothing when it
//! is spread: it fills what the others leave. Layers that are full of out entries are cut so that this fits.

use crate::grow::Grower;
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

/// Layers from the last to the first, `None` where a layer feeds itself or there is a loop over several.
pub fn reverse_order(graph: &Hypergraph) -> Option<Vec<usize>> {
    let layers = graph.layers();
    let mut of_neuron = vec![0u32; graph.neurons() as usize];
    for (l, layer) in layers.iter().enumerate() {
        of_neuron[layer.first as usize..(layer.first + layer.neurons) as usize].fill(l as u32);
    }
    let mut feeds = vec![BTreeSet::new(); layers.len()];
    for v in 0..graph.neurons() {
        let (to, mut last) = (of_neuron[v as usize], u32::MAX);
        for source in graph.in_axons(v).iter().filter_map(|&a| graph.source(a)) {
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

/// Assigns all neurons, opening cores; `order` is [`reverse_order`]. With `shapes`, layers are cut along their geometry where that takes fewer
/// cores.
pub fn pack<P: Pairs>(state: &mut State<P>, order: &[usize], shapes: bool) {
    let (graph, limits) = (state.graph, state.limits);
    let mut grower = Grower::new(graph);
    let layers: Vec<Blocks> = (0..graph.layers().len()).map(|l| blocks(graph, limits, &mut grower, l, shapes)).collect();
    let plan = Plan::new(graph, limits, &layers);
    let mut streams: Vec<Stream> = Vec::new();
    let mut open: Vec<u32> = Vec::new();
    for &l in order {
        if plan.spread[l] {
            streams.push(Stream { neurons: layers[l].blocks.concat(), next: 0 });
            continue;
        }
        let pieces: Vec<&[u32]> = layers[l].blocks.iter().flat_map(|b| pieces(state, b, plan.entries[l])).collect();
        for piece in pieces {
            let first = state.open();
            let mut core = first;
            for &v in piece {
                if state.used(core).neurons > 0 && !state.room(v, core, state.added(v, core)) {
                    core = state.open();
                }
                state.assign(v, core);
            }
            open.extend((first..=core).filter(|&c| state.used(c).neurons < limits.neurons.into()));
        }
    }
    let mut scratch = vec![0i64; state.cores() as usize];
    for core in open {
        fill(state, core, &mut streams, &mut scratch);
    }
    while let Some(waiting) = streams.iter().position(|s| s.next < s.neurons.len()) {
        let core = state.open();
        scratch.push(0);
        fill(state, core, &mut streams, &mut scratch);
        if state.used(core).neurons == 0 {
            // It fits nowhere: the recount will say why.
            let s = &mut streams[waiting];
            state.assign(s.neurons[s.next], core);
            s.next += 1;
        }
    }
}

/// A block cut in pieces of about equal entries, each at most `entries`.
fn pieces<'b, P: Pairs>(state: &State<P>, block: &'b [u32], entries: f64) -> Vec<&'b [u32]> {
    let out: Vec<f64> = block.iter().map(|&v| state.out_entries(v, 0) as f64).collect();
    let total: f64 = out.iter().sum();
    let count = (total / entries).ceil().max(1.0);
    let (mut pieces, mut start, mut sum) = (Vec::new(), 0, 0.0);
    for (k, out) in out.iter().enumerate() {
        sum += out;
        let done = (pieces.len() + 1) as f64;
        if done < count && sum * count >= total * done || k + 1 == block.len() {
            pieces.push(&block[start..=k]);
            start = k + 1;
        }
    }
    pieces
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
    fn new(graph: &Hypergraph, limits: &Limits, layers: &[Blocks]) -> Plan {
        let per_core = f64::from(limits.neurons);
        let entries = f64::from(limits.out_entries);
        // Out entries of a neuron on the mean of its layer, if every block were a core.
        let out = mean_out(graph, layers, f64::from(limits.entry_cost));
        let neurons: Vec<f64> = graph.layers().iter().map(|l| f64::from(l.neurons)).collect();
        let spread: Vec<bool> = layers.iter().map(|b| b.in_slots == 0).collect();
        let fillers: f64 = (0..layers.len()).filter(|&l| spread[l]).map(|l| neurons[l]).sum();
        let mut budgets = vec![f64::INFINITY; layers.len()];
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
        let cores = |l: usize, share: f64| least(l) + (widest(l) - least(l)).max(0.0) * share;
        let taken = |share: f64| tight.iter().map(|&l| cores(l, share) * room(neurons[l] / cores(l, share), out[l])).sum::<f64>();
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

/// Mean out entries of the neurons of each layer, every block a core.
fn mean_out(graph: &Hypergraph, layers: &[Blocks], cost: f64) -> Vec<f64> {
    let mut block_of = vec![0u32; graph.neurons() as usize];
    for (number, block) in layers.iter().flat_map(|b| &b.blocks).enumerate() {
        for &v in block {
            block_of[v as usize] = number as u32;
        }
    }
    let blocks = layers.iter().map(|b| b.blocks.len()).sum::<usize>();
    let mut seen = vec![u32::MAX; blocks];
    let mut mean = Vec::with_capacity(layers.len());
    for layer in graph.layers() {
        let mut pairs = 0u64;
        for v in layer.first..layer.first + layer.neurons {
            for &post in graph.out_neurons(graph.axon(v)) {
                pairs += u64::from(std::mem::replace(&mut seen[block_of[post as usize] as usize], v) != v);
            }
        }
        mean.push(pairs as f64 * cost / f64::from(layer.neurons.max(1)));
    }
    mean
}

/// A layer by itself: next-fit over its tiles, or growth by overlap where that takes fewer cores.
fn blocks(graph: &Hypergraph, limits: &Limits, grower: &mut Grower, l: usize, shapes: bool) -> Blocks {
    let layer = &graph.layers()[l];
    let tiled = (shapes && layer.shape.is_some()).then(|| next_fit(graph, limits, &tiles::order(layer, limits.neurons)));
    let least = layer.neurons.div_ceil(limits.neurons.max(1)) as usize;
    match tiled {
        Some(tiled) if tiled.blocks.len() <= least => return tiled,
        _ => {}
    }
    let neurons: Vec<u32> = (layer.first..layer.first + layer.neurons).collect();
    let grown = grower.grow(&neurons, limits.in_slots, limits.neurons);
    match tiled {
        Some(tiled) if tiled.blocks.len() <= grown.len() => tiled,
        _ => {
            let mut entered = vec![u32::MAX; graph.axons() as usize];
            let mut in_slots = 0;
            for (b, block) in grown.iter().enumerate() {
                for &a in block.iter().flat_map(|&v| graph.in_axons(v)) {
                    in_slots += u64::from(std::mem::replace(&mut entered[a as usize], b as u32) != b as u32);
                }
            }
            Blocks { blocks: grown, in_slots }
        }
    }
}

/// Cuts an order where the next neuron does not fit.
fn next_fit(graph: &Hypergraph, limits: &Limits, order: &[u32]) -> Blocks {
    let mut entered = vec![u32::MAX; graph.axons() as usize];
    let mut blocks: Vec<Vec<u32>> = Vec::new();
    let (mut in_slots, mut used) = (0u64, 0u32);
    for &v in order {
        let axons = graph.in_axons(v);
        let block = blocks.len() as u32;
        let new = axons.iter().filter(|&&a| entered[a as usize] != block).count() as u32;
        match blocks.last_mut() {
            Some(last) if last.len() < limits.neurons as usize && used + new <= limits.in_slots => {
                last.push(v);
                used += new;
            }
            _ => {
                in_slots += u64::from(used);
                used = axons.len() as u32;
                blocks.push(vec![v]);
            }
        }
        let block = blocks.len() as u32;
        for &a in axons {
            entered[a as usize] = block;
        }
    }
    Blocks { blocks, in_slots: in_slots + u64::from(used) }
}
