//! The mask of a bundle: synapses as the cores store them, and the terms of the host's maps.
//!
//! A synapse is counted at its neuron's own compartment, not at those of copies; what a dense entry holds between synapses is
//! none. Layers are called after their populations, maps by their names: an image does not know projections.

use super::{Layer, Population, Wiring};
use spikec_chip::bundle::{Bundle, Encoder, Place};
use spikec_chip::image::CoreTables;
use std::collections::{BTreeMap, HashMap};

/// A neuron or channel: population, and index as trained.
type Cell = (usize, u32);

/// Layers by their ends.
struct Layers<'a> {
    populations: &'a [Population],
    found: BTreeMap<(usize, usize), Layer>,
}

impl Layers<'_> {
    fn count(&mut self, pre: Cell, post: Cell) {
        let layer = self.found.entry((pre.0, post.0)).or_insert_with(|| empty(self.populations, pre.0, post.0));
        add(layer, pre.1, post.1);
    }
}

fn add(layer: &mut Layer, pre: u32, post: u32) {
    if let (Some(out), Some(into)) = (layer.fan_out.get_mut(pre as usize), layer.fan_in.get_mut(post as usize)) {
        *out += 1;
        *into += 1;
    }
}

fn empty(populations: &[Population], pre: usize, post: usize) -> Layer {
    let (from, to) = (&populations[pre], &populations[post]);
    let name = format!("{} -> {}", from.name, to.name);
    let possible = from.len() as u64 * to.len() as u64;
    let (fan_out, fan_in) = (vec![0; from.len()], vec![0; to.len()]);
    Layer { name, pre, post, first: true, last: true, on_host: false, possible, fan_out, fan_in }
}

/// Counts the synapses of a bundle; `tables` are its cores, decoded.
pub fn of_bundle(bundle: &Bundle, tables: &[CoreTables]) -> Wiring {
    let populations: Vec<Population> =
        bundle.symbols.populations.iter().map(|p| Population { name: p.name.clone(), shape: p.shape.clone(), input: p.input }).collect();
    let mut own: HashMap<Place, Cell> = HashMap::new();
    let mut copies: HashMap<Place, Cell> = HashMap::new();
    for (k, p) in bundle.symbols.populations.iter().enumerate() {
        own.extend(p.neurons.iter().map(|&(index, place)| (place, (k, index))));
        copies.extend(p.copies.iter().map(|&(index, place)| (place, (k, index))));
    }
    let mut sources: HashMap<Place, Vec<Cell>> = HashMap::new();
    let channels = |k: usize| (0..populations[k].len() as u32).map(move |c| (k, c));
    let inputs = (0..populations.len()).filter(|&k| populations[k].input);
    for (axons, cell) in bundle.host.input_axons.iter().zip(inputs.clone().flat_map(channels)) {
        axons.iter().for_each(|&axon| sources.entry(axon).or_default().push(cell));
    }
    for core in tables {
        for (index, compartment) in core.compartments.iter().enumerate() {
            let place = Place { core: core.core, index: index as u16 };
            let Some(&cell) = own.get(&place).or_else(|| copies.get(&place)) else { continue };
            let start = usize::from(compartment.out_axon_start);
            let axons = core.out_axons.iter().skip(start).take(compartment.out_axon_count.into());
            axons.for_each(|a| sources.entry(Place { core: a.core, index: a.in_axon }).or_default().push(cell));
        }
    }
    let mut layers = Layers { populations: &populations, found: BTreeMap::new() };
    for core in tables {
        for (index, axon) in core.in_axons.iter().enumerate() {
            let Some(from) = sources.get(&Place { core: core.core, index: index as u16 }) else { continue };
            for synapse in core.list(*axon).synapses().filter(|s| s.mantissa != 0) {
                let Some(&post) = own.get(&Place { core: core.core, index: axon.compartment(synapse) as u16 }) else { continue };
                from.iter().for_each(|&pre| layers.count(pre, post));
            }
        }
    }
    let mut all = Vec::new();
    if bundle.host.encoder == Encoder::Bias {
        let mut first = HashMap::new();
        inputs.fold(0u32, |at, k| {
            first.insert(at, k);
            at.saturating_add(populations[k].len() as u32)
        });
        for map in &bundle.host.maps {
            let Some(&pre) = first.get(&map.first_channel) else { continue };
            let targets = map.targets.iter().zip(map.offsets.windows(2)).filter_map(|(place, terms)| Some((own.get(place)?, terms)));
            let mut layer: Option<Layer> = None;
            for (&(post, neuron), terms) in targets {
                let layer = layer.get_or_insert_with(|| Layer { name: map.name.clone(), on_host: true, ..empty(&populations, pre, post) });
                for term in (terms[0] as usize..terms[1] as usize).filter(|&t| map.weights.get(t).is_some_and(|w| *w != 0.0)) {
                    map.channels.get(term).iter().for_each(|&&channel| add(layer, channel, neuron));
                }
            }
            all.extend(layer);
        }
    }
    all.extend(layers.found.into_values());
    Wiring { output: bundle.symbols.output as usize, populations, layers: all }
}
