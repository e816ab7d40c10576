//! Blocks of convolutions whose axons share words: which channels, rows and columns of a layer a core holds.
//!
//! In: a `Quantized` whose cores share words ([`Wiring::shares`]), and the target. Out: parts, or nothing where words are not shared.
//! Invariant: every part but one of a single neuron keeps the limits of its own neurons (C01, C02, C05-C09, C11, C15, and C27 with the output axons
//! that are known by then), by exact packing.
//! Cost: a few hundred packs of a core for each layer.
//! Why: unrolled, a core holds as many positions as its memory has kernels; shared, it holds a kernel once, and its distinct edges, whatever the
//! positions. Then few channels at many positions are better than all channels at few, as far as input and output axons allow. Layers are cut
//! from the last to the first, so that the output axons of a layer's neurons are known; each looks ahead to what its cut asks of the layers
//! before it.

use super::{NeuronRef, Partitioned, Partitioner, Proposal, Search, Sequential};
use crate::pack::{Packer, Wiring};
use spikec_chip::cost;
use spikec_chip::target::Target;
use spikec_net::{PopulationId, Quantized};
use std::ops::Range;

/// Blocks of channels, rows and columns.
#[derive(Debug, Clone)]
pub struct Blocks {
    /// What it may know.
    pub search: Search,
}

impl Partitioner for Blocks {
    fn name(&self) -> &'static str {
        "blocks"
    }

    fn propose(&self, q: &Quantized, target: &Target) -> Proposal {
        let found = self.propose_within(q, target, usize::MAX);
        found.unwrap_or_else(|| Sequential { effort: self.search.effort, kernels: self.search.kernels }.propose(q, target))
    }

    fn propose_within(&self, q: &Quantized, target: &Target, most: usize) -> Option<Proposal> {
        let wiring = Wiring::new(q, target, self.search.kernels);
        if !wiring.shares() || !self.search.pins.is_empty() {
            return None;
        }
        let core = &target.packed().core;
        // Two axes are rows and columns, or channels and places.
        let flat = q.net.populations.iter().any(|p| !p.is_input() && p.shape.len() == 2 && p.shape.iter().all(|&s| s > 1));
        let mut best: Option<Proposal> = None;
        for channels in [false, true].into_iter().take(1 + usize::from(flat)) {
            let mut cutter = Cutter {
                wiring: &wiring,
                target,
                packer: Packer::new(q, &wiring, target),
                layers: layers(q, &wiring, channels),
                marks: vec![u32::MAX; wiring.units() as usize],
                mark: 0,
            };
            let plans: Vec<Vec<Cut>> = (0..cutter.layers.len()).map(|l| cutter.cuts(l)).collect();
            // Where the parts may be on several chips, an entry of another chip costs more: first as if none were.
            let mut costs = vec![cost::out_axon_entries(core, false), cost::out_axon_entries(core, true)];
            costs.truncate(if *target.topology.chips > 1 { 2 } else { 1 });
            for entry_cost in costs {
                let parts = cutter.parts(&plans, entry_cost);
                let worth = best.as_ref().map_or(most, |best| most.min(best.parts.len().saturating_sub(1)));
                if parts.len() > worth {
                    break;
                }
                let parts: Vec<Vec<NeuronRef>> = parts.into_iter().map(|p| p.into_iter().map(|u| wiring.reference(u)).collect()).collect();
                let proposal = Proposal { kernels: self.search.kernels, ..parts.into() };
                if Partitioned::new(q, proposal.clone(), target).is_ok() {
                    best = Some(proposal);
                    break;
                }
            }
        }
        best
    }
}

/// A population of neurons on its grid.
struct Layer {
    population: usize,
    /// Channels, rows, columns.
    size: [u32; 3],
    /// Unit of each position, channels outermost; `u32::MAX` where the neuron was removed.
    grid: Vec<u32>,
    neurons: usize,
}

impl Layer {
    /// Units of a block, by channel, row and column, or with the channels innermost.
    fn block(&self, [c, y, x]: [Range<u32>; 3], innermost: bool) -> Vec<u32> {
        let at = |c: u32, y: u32, x: u32| self.grid[((c * self.size[1] + y) * self.size[2] + x) as usize];
        let mut units = Vec::with_capacity(c.len() * y.len() * x.len());
        if innermost {
            y.for_each(|y| x.clone().for_each(|x| c.clone().for_each(|c| units.push(at(c, y, x)))));
        } else {
            c.for_each(|c| y.clone().for_each(|y| x.clone().for_each(|x| units.push(at(c, y, x)))));
        }
        units.retain(|&u| u != u32::MAX);
        units
    }

    /// All blocks of at most this size, as even as they can be.
    fn blocks(&self, size: [u32; 3], innermost: bool) -> Vec<Vec<u32>> {
        let bands = |k: usize| {
            let (whole, n) = (self.size[k], self.size[k].div_ceil(size[k]));
            (0..n).map(move |i| i * whole / n..(i + 1) * whole / n)
        };
        let mut blocks = Vec::new();
        for y in bands(1) {
            for x in bands(2) {
                for c in bands(0) {
                    blocks.push(self.block([c, y.clone(), x.clone()], innermost));
                }
            }
        }
        blocks.retain(|b| !b.is_empty());
        blocks
    }
}

/// `channels`: of two axes, the first is one of channels.
fn layers(q: &Quantized, wiring: &Wiring, channels: bool) -> Vec<Layer> {
    let mut layers = Vec::new();
    for (p, population) in q.net.populations.iter().enumerate().filter(|(_, p)| !p.is_input() && !p.is_empty()) {
        let size = match population.shape[..] {
            [c, h, w] if u64::from(c) * u64::from(h) * u64::from(w) == population.trained_len() as u64 => [c, h, w],
            [c, w] if channels && u64::from(c) * u64::from(w) == population.trained_len() as u64 => [c, 1, w],
            [h, w] if u64::from(h) * u64::from(w) == population.trained_len() as u64 => [1, h, w],
            _ => [population.trained_len() as u32, 1, 1],
        };
        let mut grid = vec![u32::MAX; population.trained_len()];
        for (k, &origin) in population.origin.iter().enumerate() {
            grid[origin as usize] = wiring.unit(PopulationId::from(p), k as u32);
        }
        layers.push(Layer { population: p, size, grid, neurons: population.len() });
    }
    layers
}

/// A way to cut a layer, and what a block of it in the middle needs.
#[derive(Debug, Clone)]
struct Cut {
    /// Channels, rows and columns of a block at most.
    size: [u32; 3],
    /// Channels stand innermost in the order of compartments.
    innermost: bool,
    /// Input axons of a block from each layer, in the order of layers.
    sources: Vec<u32>,
    /// Bytes of a block but for its output axons; 0 without a budget.
    bytes: u64,
}

impl Cut {
    fn neurons(&self) -> u32 {
        self.size.iter().product()
    }
    fn blocks(&self, layer: &Layer) -> u64 {
        (0..3).map(|k| u64::from(layer.size[k].div_ceil(self.size[k]))).product()
    }
    /// The same with fewer channels; their bytes are not asked for again.
    fn with_channels(&self, channels: u32) -> Cut {
        Cut { size: [channels, self.size[1], self.size[2]], ..self.clone() }
    }
}

/// Different sizes of `n` even bands, the largest first.
fn sizes(whole: u32) -> Vec<u32> {
    let mut sizes: Vec<u32> = (1..=whole).map(|n| whole.div_ceil(n)).collect();
    sizes.dedup();
    sizes
}

/// Bands of rows and columns that are tried for a layer at most.
const MOST_TILES: usize = 48;

struct Cutter<'a> {
    wiring: &'a Wiring,
    target: &'a Target,
    packer: Packer<'a>,
    layers: Vec<Layer>,
    /// Scratch: last block that a unit was seen in.
    marks: Vec<u32>,
    mark: u32,
}

impl Cutter<'_> {
    /// Words and bytes of these neurons where they keep a core's own limits; `entries`: output axon entries of each unit, empty: none.
    fn fits(&mut self, units: &[u32], entries: &[u64]) -> Option<(u64, u64)> {
        self.packer.clear();
        for &u in units {
            if !self.packer.push(u) {
                return None;
            }
            self.packer.charge(entries.get(u as usize).copied().unwrap_or(0));
        }
        let need = self.packer.need(units.len());
        self.packer.fits(&need).then_some((need.words, need.bytes))
    }

    /// A block of that size in the middle of a layer.
    fn middle(&self, l: usize, size: [u32; 3], innermost: bool) -> Vec<u32> {
        let layer = &self.layers[l];
        let band = |k: usize| {
            let start = (layer.size[k] - size[k]) / 2;
            start..start + size[k]
        };
        layer.block([0..size[0], band(1), band(2)], innermost)
    }

    /// Sources of a block by layer.
    fn sources(&mut self, units: &[u32]) -> Vec<u32> {
        let mut counts = vec![0; self.layers.len()];
        self.each_source(units, |cutter, source| {
            let population = cutter.wiring.reference(source).population.index();
            if let Ok(l) = cutter.layers.binary_search_by_key(&population, |layer| layer.population) {
                counts[l] += 1;
            }
        });
        counts
    }

    /// Calls `f` once for each source of some neurons.
    fn each_source(&mut self, units: &[u32], mut f: impl FnMut(&Self, u32)) {
        self.mark += 1;
        for &unit in units {
            for s in self.wiring.incoming(unit) {
                if std::mem::replace(&mut self.marks[s.source as usize], self.mark) != self.mark {
                    f(self, s.source);
                }
            }
        }
    }

    /// For each tile of positions that is worth a try, the most channels that fit.
    fn cuts(&mut self, l: usize) -> Vec<Cut> {
        let whole = self.layers[l].size;
        let most = *self.target.packed().core.compartments;
        let (rows, columns, channels) = (sizes(whole[1]), sizes(whole[2]), sizes(whole[0]));
        // Squares, whole rows and whole columns: the others have longer edges.
        let mut tiles: Vec<(u32, u32)> = Vec::new();
        for &h in &rows {
            let near = columns.iter().copied().min_by_key(|w| w.abs_diff(h)).unwrap_or(1);
            let wide = columns.iter().copied().min_by_key(|w| w.abs_diff(2 * h)).unwrap_or(1);
            tiles.extend([(h, near), (h, wide), (h, whole[2])]);
        }
        tiles.extend(columns.iter().map(|&w| (whole[1], w)));
        tiles.retain(|&(h, w)| u64::from(h) * u64::from(w) <= u64::from(most));
        tiles.sort_unstable_by_key(|&(h, w)| (std::cmp::Reverse(h * w), h));
        tiles.dedup();
        if tiles.len() > MOST_TILES {
            let step = tiles.len() as f64 / MOST_TILES as f64;
            tiles = (0..MOST_TILES).map(|k| tiles[(k as f64 * step) as usize]).collect();
        }
        let mut cuts = Vec::new();
        for (h, w) in tiles {
            let able: Vec<u32> = channels.iter().copied().filter(|c| u64::from(*c) * u64::from(h * w) <= u64::from(most)).collect();
            // The largest number of channels that fits, in either order of compartments. Words that are shared need not grow with the channels: where they
            // shrink, the number that is found fits, and a larger one that fits may be missed.
            let best = [false, true].into_iter().filter_map(|innermost| {
                let k = able.partition_point(|&c| self.fits(&self.middle(l, [c, h, w], innermost), &[]).is_none());
                able.get(k).map(|&c| (c, innermost))
            });
            let best = best.max_by_key(|&(c, innermost)| (c, !innermost));
            if let Some((c, innermost)) = best {
                let middle = self.middle(l, [c, h, w], innermost);
                let (sources, bytes) = (self.sources(&middle), self.fits(&middle, &[]).map_or(0, |fits| fits.1));
                cuts.push(Cut { size: [c, h, w], innermost, sources, bytes });
            }
        }
        cuts
    }

    /// Parts of all layers, small ones joined. `entry_cost`: output axon entries of a message.
    fn parts(&mut self, plans: &[Vec<Cut>], entry_cost: u32) -> Vec<Vec<u32>> {
        let core = &self.target.packed().core;
        let (limit, entry_bytes, budget) = (u64::from(*core.out_axon_entries), *core.out_axon_entry_bytes, cost::budget(core));
        let alone: Vec<u64> = (0..plans.len()).map(|l| plans[l].iter().map(|c| c.blocks(&self.layers[l])).min().unwrap_or(1)).collect();
        // A neuron that enters itself (soft reset) has an entry for that wherever it is.
        let near = u64::from(cost::out_axon_entries(core, false));
        let enters_itself = |u: u32| self.wiring.incoming(u).any(|s| s.source == u);
        let mut entries = vec![0u64; self.wiring.units() as usize];
        for unit in self.wiring.neuron_units().filter(|&u| enters_itself(u)) {
            entries[unit as usize] = near;
        }
        let (itself, mut home, mut number) = (entries.clone(), vec![0u32; entries.len()], 0);
        let mut of_layer: Vec<Vec<Vec<u32>>> = vec![Vec::new(); plans.len()];
        for l in (0..plans.len()).rev() {
            let layer = &self.layers[l];
            let own: u64 = layer.grid.iter().filter(|&&u| u != u32::MAX).map(|&u| entries[u as usize]).sum();
            let mean = (own as f64 / layer.neurons.max(1) as f64).max(1e-9);
            let room = (limit as f64 / mean).min(f64::from(u32::MAX)) as u32;
            // Channels whose bytes and those of their output axons a core has, by the mean.
            let within_bytes = |cut: &Cut, entries: f64| {
                let each = cut.bytes as f64 / f64::from(cut.size[0].max(1)) + entries * f64::from(entry_bytes);
                budget.map_or(u32::MAX, |budget| (budget as f64 / each.max(1e-9)) as u32)
            };
            let score = |cut: &Cut| {
                let blocks = cut.blocks(layer);
                let before = cut.sources.iter().enumerate().filter(|(_, n)| **n > 0).map(|(s, &n)| {
                    let asked = blocks as f64 * f64::from(n) * f64::from(entry_cost);
                    alone[s].max((asked / limit as f64).ceil() as u64)
                });
                let links: u64 = cut.sources.iter().map(|&n| u64::from(n)).sum();
                (blocks + before.sum::<u64>(), blocks * links)
            };
            let within = plans[l].iter().filter_map(|cut| {
                let area = (cut.size[1] * cut.size[2]).max(1);
                let channels = (room / area).min(cut.size[0]).min(within_bytes(cut, mean * f64::from(area)));
                (channels > 0).then(|| cut.with_channels(channels))
            });
            let chosen = within.min_by_key(|cut| (score(cut), std::cmp::Reverse(cut.neurons())));
            let chosen = chosen.unwrap_or(Cut { size: [1, 1, 1], innermost: false, sources: Vec::new(), bytes: 0 });
            let mut parts = Vec::new();
            for block in self.layers[l].blocks(chosen.size, chosen.innermost) {
                self.cut_to_fit(block, &entries, limit, &mut parts);
            }
            for part in &parts {
                number += 1;
                part.iter().for_each(|&u| home[u as usize] = number);
                let there = |u: u32| itself[u as usize] > 0 && home[u as usize] == number;
                self.each_source(part, |_, source| {
                    if !there(source) {
                        entries[source as usize] += u64::from(entry_cost)
                    }
                });
            }
            of_layer[l] = parts;
        }
        self.join(of_layer.concat(), &entries, limit)
    }

    /// Halves a block until its parts fit.
    fn cut_to_fit(&mut self, block: Vec<u32>, entries: &[u64], limit: u64, parts: &mut Vec<Vec<u32>>) {
        let sent: u64 = block.iter().map(|&u| entries[u as usize]).sum();
        if block.len() < 2 || (sent <= limit && self.fits(&block, entries).is_some()) {
            parts.push(block);
            return;
        }
        let mut first = block;
        let second = first.split_off(first.len() / 2);
        self.cut_to_fit(first, entries, limit, parts);
        self.cut_to_fit(second, entries, limit, parts);
    }

    /// Joins parts that fit one core together: the largest first, each takes the first of the others that it can.
    fn join(&mut self, parts: Vec<Vec<u32>>, entries: &[u64], limit: u64) -> Vec<Vec<u32>> {
        let packed = self.target.packed();
        let most = *packed.core.compartments as usize;
        let (in_axons, words) = (u64::from(*packed.core.in_axons), u64::from(*packed.synapse_memory.usable_words));
        struct Bin {
            units: Vec<u32>,
            need: [u64; 3],
            first: usize,
        }
        let mut items: Vec<Bin> = Vec::new();
        for (first, units) in parts.into_iter().enumerate() {
            let mut sources = 0;
            self.each_source(&units, |_, _| sources += 1);
            let sent = units.iter().map(|&u| entries[u as usize]).sum();
            let words = self.fits(&units, entries).map_or(u64::MAX / 4, |fits| fits.0);
            items.push(Bin { units, need: [sent, sources, words], first });
        }
        items.sort_by_key(|b| (std::cmp::Reverse(b.units.len()), b.first));
        let limits = [limit, in_axons, words];
        let mut bins: Vec<Bin> = Vec::new();
        for item in items {
            let room = |b: &Bin| {
                b.units.len() + item.units.len() <= most && b.need.iter().zip(item.need).zip(limits).all(|((a, b), most)| a + b <= most)
            };
            let mut home = None;
            for k in (0..bins.len()).filter(|&k| room(&bins[k])).take(4).collect::<Vec<_>>() {
                let both: Vec<u32> = bins[k].units.iter().chain(&item.units).copied().collect();
                if self.fits(&both, entries).is_some() {
                    home = Some((k, both));
                    break;
                }
            }
            match home {
                Some((k, both)) => {
                    let bin = &mut bins[k];
                    bin.units = both;
                    bin.need.iter_mut().zip(item.need).for_each(|(a, b)| *a += b);
                    bin.first = bin.first.min(item.first);
                }
                None => bins.push(item),
            }
        }
        bins.sort_by_key(|b| b.first);
        bins.into_iter().map(|b| b.units).collect()
    }
}
