//! The hypergraph of a quantized net, with what a core of the target holds: what the mapper sees.
//!
//! In: a `Quantized`, its [`Wiring`] and the target. Out: [`View`].
//! Invariant: `Encoding::Sparse` words are never fewer than sparse entries take, so that a mapping that is legal in the view packs (but where a
//! core has more widths of weights than formats, and entries are widened); with `Encoding::Expected` only the exact recount tells.
//! Cost: linear in the synapses.

use crate::pack::Wiring;
use crate::pack::wiring::registers;
use spikec_chip::cost;
use spikec_chip::image::SynapseFormat;
use spikec_chip::target::{Compression, Target};
use spikec_map::hypergraph::{Hypergraph, Layer, Shape};
use spikec_map::limits::{Labels, Levels, Limits, Memory, guaranteed_format, words_table};
use spikec_net::{PopulationId, Quantized};
use std::collections::BTreeMap;
use std::ops::Range;

/// How the words of an axon are reckoned before it is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Sparse entries, which are always there: enough for every packing.
    Sparse,
    /// The cheapest encoding at the density of the axon's posts: it may take more where the posts of a core are spread.
    Expected,
}

/// A net as the mapper sees it.
#[derive(Debug)]
pub struct View {
    /// The hypergraph.
    pub graph: Hypergraph,
    /// What a core holds.
    pub limits: Limits,
    /// Unit of each neuron of the hypergraph.
    pub units: Vec<u32>,
    /// Unit of each axon.
    pub axon_units: Vec<u32>,
}

impl View {
    /// `None` where the net has more kinds of synapses than a core has formats: which kinds share a core is for the packer alone to say.
    pub fn new(q: &Quantized, wiring: &Wiring, target: &Target, pins: &[(PopulationId, Range<u32>)], encoding: Encoding) -> Option<View> {
        let mut kinds: Vec<_> = wiring.classes().iter().map(|c| (c.sign, c.exponent)).collect();
        kinds.sort_unstable();
        kinds.dedup();
        if kinds.len() > *target.packed().synapse_memory.max_formats as usize {
            return None;
        }
        let mut view = View::without_words(q, wiring, target, pins);
        (view.limits.words_of, view.limits.class_of_axon) = words(q, wiring, target, &view, encoding);
        Some(view)
    }

    /// The view with everything but the words of axons: `limits.words_of` is empty.
    pub(crate) fn without_words(q: &Quantized, wiring: &Wiring, target: &Target, pins: &[(PopulationId, Range<u32>)]) -> View {
        let net = &q.net;
        let (core, memory) = (&target.packed().core, &target.packed().synapse_memory);
        let units: Vec<u32> = wiring.neuron_units().collect();
        let mut axon_of = vec![0u32; wiring.units() as usize];
        let mut axon_units: Vec<u32> = (0..wiring.units()).filter(|&u| !wiring.is_neuron(u)).collect();
        let inputs = axon_units.len() as u32;
        axon_units.extend(&units);
        for (axon, &unit) in axon_units.iter().enumerate() {
            axon_of[unit as usize] = axon as u32;
        }
        let mut offsets = Vec::with_capacity(units.len() + 1);
        offsets.push(0);
        let mut axons = Vec::with_capacity(wiring.synapse_count());
        for &unit in &units {
            axons.extend(wiring.incoming(unit).map(|s| axon_of[s.source as usize]));
            offsets.push(axons.len());
        }
        let graph = Hypergraph::new(inputs, offsets, axons, layers(q));

        let reach = memory.index_bits.iter().map(|&b| 1u32 << b.min(16)).max().unwrap_or(1);
        let neurons = (*core.compartments).min(reach);
        let profiles = label(units.iter().map(|&u| {
            let n = registers(net, wiring.reference(u));
            (n.decay_u, n.decay_v, n.refractory)
        }));
        let thresholds = label(units.iter().map(|&u| registers(net, wiring.reference(u)).threshold));
        let mut labels: Vec<Labels> = Vec::new();
        if !pins.is_empty() {
            let group = |u: u32| pins.iter().find(|p| p.0 == wiring.reference(u).population).map(|p| (p.1.start, p.1.end));
            let (of_neuron, kinds) = label(units.iter().map(|&u| group(u)));
            labels.push(Labels { of_neuron, kinds, most: 1 });
        }
        let tables = [(profiles, (*core.compartment_profiles).min(256)), (thresholds, (*core.threshold_profiles).min(256))];
        // Those that no core can have too many of are left out.
        let binding = tables.into_iter().filter(|((_, kinds), most)| u32::from(*kinds) > *most);
        labels.extend(binding.map(|((of_neuron, kinds), most)| Labels { of_neuron, kinds, most }));
        let limits = Limits {
            neurons,
            in_slots: (*core.in_axons).min(1 << 16),
            out_entries: *core.out_axon_entries,
            out_per_neuron: *core.out_axons_per_neuron,
            entry_cost: cost::out_axon_entries(core, false),
            off_chip_extra: cost::out_axon_entries(core, true) - cost::out_axon_entries(core, false),
            words: *memory.usable_words,
            words_of: Vec::new(),
            class_of_axon: Vec::new(),
            labels,
            levels: levels(wiring, target, &units, neurons),
            memory: Memory::of(target.packed()).map(|memory| {
                let keeps = |u: u32| cost::keeps_current(&target.packed().neuron, registers(net, wiring.reference(u)).decay_u);
                let own = units.iter().map(|&u| if keeps(u) { *core.current_bytes } else { 0 }).collect();
                Memory { own, ..memory }
            }),
        };
        View { graph, limits, units, axon_units }
    }
}

/// Populations of neurons, with their shapes.
fn layers(q: &Quantized) -> Vec<Layer> {
    let mut layers = Vec::new();
    let mut first = 0;
    for population in q.net.populations.iter().filter(|p| !p.is_input()) {
        let whole = population.len() == population.trained_len();
        let shape = match population.shape[..] {
            [channels, height, width] if channels > 0 && height > 0 && width > 0 => Some(Shape { channels, height, width }),
            [height, width] if height > 1 && width > 1 => Some(Shape { channels: 1, height, width }),
            _ => None,
        };
        let origin = if whole || shape.is_none() { Vec::new() } else { population.origin.clone() };
        let neurons = population.len() as u32;
        layers.push(Layer { first, neurons, shape, origin });
        first += neurons;
    }
    layers.retain(|l| l.neurons > 0);
    layers
}

/// Numbers of equal things, in the order of their first; at most 65,535 of them, the rest alike.
fn label<T: Ord>(things: impl Iterator<Item = T>) -> (Vec<u16>, u16) {
    let mut known: BTreeMap<T, u16> = BTreeMap::new();
    let of_neuron = things
        .map(|thing| {
            let next = known.len().min(usize::from(u16::MAX) - 1) as u16;
            *known.entry(thing).or_insert(next)
        })
        .collect();
    (of_neuron, known.len().min(usize::from(u16::MAX)) as u16)
}

/// Neurons of a core by the widest delay on it; `None` where delays never matter.
fn levels(wiring: &Wiring, target: &Target, units: &[u32], neurons: u32) -> Option<Levels> {
    let (core, memory) = (&target.packed().core, &target.packed().synapse_memory);
    let widest = memory.delay_bits.iter().copied().max().unwrap_or(0);
    let bits_of = |u: u32| {
        let most = wiring.incoming(u).map(|s| s.delay).max().unwrap_or(0);
        cost::delay_bits(memory, most.into()).unwrap_or(widest)
    };
    let of_neuron: Vec<u8> = units.iter().map(|&u| bits_of(u)).collect();
    let most = of_neuron.iter().copied().max().unwrap_or(0);
    let most_neurons: Vec<u32> = (0..=most).map(|bits| (*core.delay_slots_total >> bits.min(31)).min(neurons)).collect();
    let dear = *core.delay_slot_bytes > 0 && cost::budget(core).is_some() && most > 0;
    (dear || most_neurons.iter().any(|&n| n < neurons)).then_some(Levels { of_neuron, most_neurons })
}

/// Tables of words, and the table of each axon.
fn words(q: &Quantized, wiring: &Wiring, target: &Target, view: &View, encoding: Encoding) -> (Vec<Vec<u32>>, Vec<u8>) {
    let memory = &target.packed().synapse_memory;
    let widest = memory.delay_bits.iter().copied().max().unwrap_or(0);
    let delays = wiring.neuron_units().flat_map(|u| wiring.incoming(u)).map(|s| s.delay);
    let delay_bits = cost::delay_bits(memory, delays.max().unwrap_or(0).into()).unwrap_or(widest);
    // Widest weight and number of kinds of each source's synapses.
    let mut kinds: Vec<(u8, Vec<u16>)> = vec![(0, Vec::new()); wiring.units() as usize];
    for s in wiring.neuron_units().flat_map(|u| wiring.incoming(u)) {
        let (bits, classes) = &mut kinds[s.source as usize];
        *bits = (*bits).max(wiring.classes()[s.class as usize].bits);
        if !classes.contains(&s.class) {
            classes.push(s.class);
        }
    }
    let posts = posts_of(q);
    let mut known: BTreeMap<(u8, u16, u8), u8> = BTreeMap::new();
    let mut tables = Vec::new();
    let mut class_of_axon = Vec::with_capacity(view.axon_units.len());
    for (axon, &unit) in view.axon_units.iter().enumerate() {
        let (bits, classes) = &kinds[unit as usize];
        let population = wiring.reference(unit).population;
        let density = view.graph.out_neurons(axon as u32).len() as f64 / (posts[population.index()].max(1)) as f64;
        // Steps of a tenth: a table for each would be too many.
        let tenth = if encoding == Encoding::Expected { (density * 10.0).floor().min(10.0) as u8 } else { 0 };
        let key = (*bits, classes.len() as u16, tenth);
        let class = *known.entry(key).or_insert_with(|| {
            let format = guaranteed_format(memory, view.limits.neurons, (*bits).max(1), delay_bits);
            tables.push(table(target, &format, classes.len() as u64, f64::from(tenth) / 10.0, view.limits.neurons, encoding));
            (tables.len() - 1).min(255) as u8
        });
        class_of_axon.push(class);
    }
    if tables.len() > 256 {
        // Sound and simple: the largest of all for everyone.
        let longest = tables.iter().map(Vec::len).max().unwrap_or(1);
        let most = (0..longest).map(|n| tables.iter().map(|t| t[n.min(t.len() - 1)]).max().unwrap_or(0)).collect();
        return (vec![most], Vec::new());
    }
    if tables.is_empty() {
        tables.push(vec![0, 1]);
    }
    (tables, class_of_axon)
}

/// Neurons of the populations that each population's neurons reach.
fn posts_of(q: &Quantized) -> Vec<usize> {
    let net = &q.net;
    let mut posts: Vec<BTreeMap<usize, usize>> = vec![BTreeMap::new(); net.populations.len()];
    for p in &net.projections {
        posts[p.pre.index()].insert(p.post.index(), net.population(p.post).len());
    }
    posts.iter().map(|p| p.values().sum()).collect()
}

fn table(target: &Target, format: &SynapseFormat, kinds: u64, density: f64, most: u32, encoding: Encoding) -> Vec<u32> {
    let memory = &target.packed().synapse_memory;
    let mut table = words_table(memory, format, most);
    // Each kind beyond the first may begin entries of its own, and round them up.
    let more = kinds.saturating_sub(1) * (cost::header_bits(memory, format) + u64::from(*memory.entry_align_bits) - 1);
    if more > 0 {
        let bits = |n: u32| u64::from(table[n as usize]) * u64::from(*memory.word_bits) + more;
        table = (0..=most).map(|n| if n == 0 { 0 } else { cost::words(memory, bits(n)) }).collect();
    }
    let dense = memory.compressions.contains(&Compression::Dense);
    if encoding == Encoding::Expected && dense && density > 0.0 {
        let each = f64::from(format.weight_bits + format.delay_bits);
        let dense = SynapseFormat { compression: Compression::Dense, ..*format };
        let per_entry = f64::from(*memory.max_synapses_per_entry).max(1.0);
        let header = cost::header_bits(memory, &dense) as f64;
        for (n, words) in table.iter_mut().enumerate().skip(1) {
            let stored = n as f64 / density;
            let bits = stored * each + (stored / per_entry).ceil() * header;
            *words = (*words).min(cost::words(memory, bits.ceil() as u64));
        }
    }
    table
}
