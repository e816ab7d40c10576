//! The mask of a network: which synapses stay, by layer, by neuron and by input.
//!
//! In: a network as read, or a bundle's decoded cores ([`Wiring`]). Out: counts, spreads and pictures, and their text.
//! Invariant: a bundle's synapses are counted from its bits, those of copies once. Cost: a pass over the weights or the stored
//! synapses; memory is two counts a neuron and layer, never the matrix.

mod bundle;
mod network;
mod picture;

pub use bundle::of_bundle;
pub use network::of_model;
pub use picture::{GridError, Picture, grid};

use crate::table::{count, percent, table};
use serde::Serialize;
use std::fmt::Write as _;

/// How many synapses each input and each neuron of every layer has.
#[derive(Debug, Clone, PartialEq)]
pub struct Wiring {
    /// Populations.
    pub populations: Vec<Population>,
    /// Layers: matrices between populations.
    pub layers: Vec<Layer>,
    /// Index of the output population.
    pub output: usize,
}

/// A population.
#[derive(Debug, Clone, PartialEq)]
pub struct Population {
    /// Name.
    pub name: String,
    /// Shape as trained.
    pub shape: Vec<u32>,
    /// Input channels.
    pub input: bool,
}

impl Population {
    fn len(&self) -> usize {
        self.shape.iter().map(|&d| d as usize).product()
    }
}

/// A layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Name.
    pub name: String,
    /// Population before.
    pub pre: usize,
    /// Population behind.
    pub post: usize,
    /// Its inputs are the neurons of `pre` (not those of another matrix).
    pub first: bool,
    /// Its outputs are the neurons of `post`.
    pub last: bool,
    /// Computed by the host.
    pub on_host: bool,
    /// Synapses that there could be.
    pub possible: u64,
    /// Synapses of each input.
    pub fan_out: Vec<u32>,
    /// Synapses of each output.
    pub fan_in: Vec<u32>,
}

impl Layer {
    fn kept(&self) -> u64 {
        self.fan_out.iter().map(|&n| u64::from(n)).sum()
    }
}

/// The mask for people and programs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MaskView {
    /// Layers.
    pub layers: Vec<LayerView>,
    /// Populations.
    pub populations: Vec<PopulationView>,
    /// Layers whose inputs have a two-dimensional shape.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<Picture>,
}

/// A layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerView {
    /// Name.
    pub name: String,
    /// Population before.
    pub pre: String,
    /// Population behind.
    pub post: String,
    /// Computed by the host.
    pub on_host: bool,
    /// Synapses that stay.
    pub kept: u64,
    /// Synapses that there could be.
    pub possible: u64,
    /// Inputs (axons).
    pub inputs: u64,
    /// Inputs without a synapse in this layer.
    pub inputs_without: u64,
    /// Outputs.
    pub outputs: u64,
    /// Outputs without a synapse in this layer.
    pub outputs_without: u64,
    /// Synapses of an input that has any.
    pub fan_out: Option<Spread>,
    /// Synapses of an output that has any.
    pub fan_in: Option<Spread>,
}

/// Least, median and most.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Least.
    pub min: u32,
    /// Median (the lower one of two).
    pub median: u32,
    /// Most.
    pub max: u32,
}

/// A population.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PopulationView {
    /// Name.
    pub name: String,
    /// Neurons or channels as trained.
    pub neurons: u64,
    /// Neurons that no synapse reaches; none for inputs.
    pub without_inputs: Option<u64>,
    /// Neurons or channels that reach no other; none for the output.
    pub without_outputs: Option<u64>,
}

/// A layer with all its counts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OneLayer {
    /// The layer.
    pub layer: LayerView,
    /// Its inputs as a picture.
    pub picture: Picture,
    /// Synapses of each input.
    pub fan_out: Vec<u32>,
    /// Synapses of each output.
    pub fan_in: Vec<u32>,
}

fn spread(counts: &[u32]) -> Option<Spread> {
    let mut some: Vec<u32> = counts.iter().copied().filter(|&n| n > 0).collect();
    some.sort_unstable();
    Some(Spread { min: *some.first()?, median: some[(some.len() - 1) / 2], max: *some.last()? })
}

fn without(counts: &[u32]) -> u64 {
    counts.iter().filter(|&&n| n == 0).count() as u64
}

impl Wiring {
    /// The layer of a name, or the only one between two populations (`PRE -> POST`).
    pub fn find(&self, name: &str) -> Option<&Layer> {
        let between = |l: &&Layer| self.ends(l) == name;
        let only = || self.layers.iter().find(between).filter(|_| self.layers.iter().filter(between).count() == 1);
        self.layers.iter().find(|l| l.name == name).or_else(only)
    }

    /// Names of all layers.
    pub fn names(&self) -> Vec<&str> {
        self.layers.iter().map(|l| l.name.as_str()).collect()
    }

    fn ends(&self, l: &Layer) -> String {
        format!("{} -> {}", self.populations[l.pre].name, self.populations[l.post].name)
    }

    fn layer(&self, l: &Layer) -> LayerView {
        LayerView {
            name: l.name.clone(),
            pre: self.populations[l.pre].name.clone(),
            post: self.populations[l.post].name.clone(),
            on_host: l.on_host,
            kept: l.kept(),
            possible: l.possible,
            inputs: l.fan_out.len() as u64,
            inputs_without: without(&l.fan_out),
            outputs: l.fan_in.len() as u64,
            outputs_without: without(&l.fan_in),
            fan_out: spread(&l.fan_out),
            fan_in: spread(&l.fan_in),
        }
    }

    fn population(&self, k: usize) -> PopulationView {
        let p = &self.populations[k];
        let mut fed = vec![false; p.len()];
        let mut feeds = vec![false; p.len()];
        let mark = |marks: &mut [bool], counts: &[u32]| marks.iter_mut().zip(counts).for_each(|(m, &n)| *m |= n > 0);
        for l in &self.layers {
            if l.post == k && l.last {
                mark(&mut fed, &l.fan_in);
            }
            if l.pre == k && l.first {
                mark(&mut feeds, &l.fan_out);
            }
        }
        let without = |marks: &[bool]| marks.iter().filter(|m| !**m).count() as u64;
        PopulationView {
            name: p.name.clone(),
            neurons: p.len() as u64,
            without_inputs: (!p.input).then(|| without(&fed)),
            without_outputs: (k != self.output).then(|| without(&feeds)),
        }
    }

    /// All layers, with pictures of those whose inputs come from outside in two dimensions and are not all alike.
    pub fn view(&self) -> MaskView {
        let pictured = |l: &&Layer| {
            let p = &self.populations[l.pre];
            p.input && l.first && picture::image(&p.shape).is_some() && l.fan_out.iter().any(|n| *n != l.fan_out[0])
        };
        let pictures = self.layers.iter().filter(pictured).filter_map(|l| self.picture(l, None).ok());
        MaskView {
            layers: self.layers.iter().map(|l| self.layer(l)).collect(),
            populations: (0..self.populations.len()).map(|k| self.population(k)).collect(),
            pictures: pictures.collect(),
        }
    }

    /// One layer; `wanted` are the rows and columns of its picture, where the shape doesn't say.
    ///
    /// # Errors
    /// Inputs that don't fill such a picture.
    pub fn one(&self, l: &Layer, wanted: Option<(usize, usize)>) -> Result<OneLayer, GridError> {
        Ok(OneLayer { layer: self.layer(l), picture: self.picture(l, wanted)?, fan_out: l.fan_out.clone(), fan_in: l.fan_in.clone() })
    }

    fn picture(&self, l: &Layer, wanted: Option<(usize, usize)>) -> Result<Picture, GridError> {
        let flat = [l.fan_out.len() as u32];
        let shape = if l.first { &self.populations[l.pre].shape[..] } else { &flat };
        Ok(Picture::new(&l.name, grid(shape, wanted)?, &l.fan_out))
    }
}

fn layers(layers: &[LayerView]) -> String {
    let fan = |s: Option<Spread>| s.map_or("-".into(), |s| format!("{} / {} / {}", s.min, s.median, s.max));
    let missing = |without: u64, all: u64| format!("{} of {}", count(without), count(all));
    let rows = layers.iter().map(|l| {
        vec![
            if l.on_host { format!("{} (host)", l.name) } else { l.name.clone() },
            format!("{} of {}", count(l.kept), count(l.possible)),
            percent(l.kept as f64, l.possible as f64),
            missing(l.inputs_without, l.inputs),
            missing(l.outputs_without, l.outputs),
            fan(l.fan_out),
            fan(l.fan_in),
        ]
    });
    let headings = ["layer", "synapses that stay", "share", "inputs without", "neurons without", "fan-out", "fan-in"];
    table(&headings, rows) + "\n"
}

/// What the columns of fans are.
const FANS: &str = "fan-out of inputs and fan-in of neurons: least / median / most, of those that have synapses\n";

/// The view as text.
pub fn text(v: &MaskView) -> String {
    let mut out = layers(&v.layers) + FANS;
    let number = |n: Option<u64>| n.map_or("-".into(), count);
    let rows = v.populations.iter().map(|p| vec![p.name.clone(), count(p.neurons), number(p.without_inputs), number(p.without_outputs)]);
    let _ = writeln!(out, "{}", table(&["population", "neurons", "without inputs", "without outputs"], rows));
    v.pictures.iter().for_each(|p| out.push_str(&p.text()));
    out
}

/// A layer as text.
pub fn text_of_one(one: &OneLayer) -> String {
    layers(std::slice::from_ref(&one.layer)) + FANS + &one.picture.text()
}

#[cfg(test)]
mod tests;
