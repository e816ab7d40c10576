//! A population's synapses as weights in thresholds, with the moments of what it hears.
//!
//! In: the net in floats and a recording of it. Out: [`Layer`].
//! Invariant: rows and weights are in the order of [`Features::rows`]; a weight of 1 brings a neuron from rest to its threshold. A row is a neuron, or,
//! where neurons share a kernel, the kernel of a channel, whose weights stand for a synapse at every place.
//! Cost: features^2 columns multiplications.

use spikec_net::{Float, Net, PopulationId, Ties};
use spikec_reconstruct::rows::DAMPING;
use spikec_reconstruct::{Ears, Features, Moments, Recording, Scale, Teacher, is_gate, matrix, mean_kernel};

/// A population with its synapses.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The population.
    pub population: PopulationId,
    /// What it hears.
    pub features: Features,
    /// Moments of that, as trained.
    pub moments: Moments,
    /// Weights in thresholds.
    pub rows: Vec<Vec<f32>>,
    /// Where rows are kernels.
    pub ties: Option<Ties>,
    /// Each synapse alone makes its neuron fire: none goes but with its source.
    pub gate: bool,
    /// Rows of the layer before that spike on each feature; empty for inputs.
    pub sources: Vec<Vec<u32>>,
    /// Errors of a row stand for those of so many columns for each that was looked at.
    pub share: f32,
    /// Synapses of each weight, where rows are kernels.
    sizes: Option<Vec<Vec<u32>>>,
}

impl Layer {
    /// Of all populations of the teacher that have synapses; with `unroll`, rows are neurons where they might be kernels.
    pub fn all(teacher: &Teacher, unroll: bool) -> Vec<Self> {
        let (net, taught) = (teacher.net(), teacher.recording());
        let with_synapses = |p: &usize| net.projections.iter().any(|q| q.post.index() == *p && !q.synapses.is_empty());
        let of = |p| Layer::of(net, PopulationId::from(p), taught, unroll);
        let mut layers: Vec<Layer> = (0..net.populations.len()).filter(with_synapses).map(of).collect();
        let sources: Vec<Vec<Vec<u32>>> = layers.iter().map(|layer| sources(net, &layers, layer)).collect();
        layers.iter_mut().zip(sources).for_each(|(layer, sources)| layer.sources = sources);
        layers
    }

    fn of(net: &Net<Float>, population: PopulationId, taught: &Recording, unroll: bool) -> Self {
        let ears = Ears::of(net, population, Ties::of(net, population).filter(|_| !unroll));
        let neurons = net.population(population).neurons();
        let trains = ears.trains(net, taught);
        let moments = Moments::of(&trains, None, mean_kernel(neurons), DAMPING);
        let scales = Ears::scales(ears.ties.as_ref(), neurons.iter().map(Scale::of).collect());
        let row = |(j, s): (usize, &Scale)| ears.weights(net, j, s.factor).into_iter().map(|w| w.1).collect();
        let rows = scales.iter().enumerate().map(row).collect();
        let places = ears.ties.as_ref().map_or(1, |t| t.places() as usize);
        let share = (places * taught.columns()) as f32 / trains.column_count().max(1) as f32;
        let sizes = ears.ties.as_ref().map(|ties| sizes(net, ties, &ears.features));
        let gate = is_gate(net, population);
        Layer { population, features: ears.features, moments, rows, ties: ears.ties, gate, sources: Vec::new(), share, sizes }
    }

    /// Synapses of the weight at `position` of a row.
    pub fn size(&self, row: usize, position: usize) -> u32 {
        self.sizes.as_ref().map_or(1, |sizes| sizes[row][position])
    }

    /// The row of a neuron.
    pub fn row_of(&self, neuron: u32) -> u32 {
        self.ties.as_ref().map_or(neuron, |t| t.channel_of[neuron as usize])
    }

    /// Neurons of a row.
    pub fn neurons_of(&self, row: u32) -> usize {
        self.ties.as_ref().map_or(1, |t| t.channel_of.iter().filter(|c| **c == row).count())
    }

    /// Least pivot of a factor of the moments.
    pub(crate) fn floor(&self) -> f32 {
        (self.moments.damping * 1e-3).max(f32::MIN_POSITIVE)
    }

    /// The inverse of the moments of all features.
    pub(crate) fn inverse(&self) -> Vec<f32> {
        let n = self.moments.count;
        matrix::inverse(&matrix::cholesky(&self.moments.now, n, self.floor()), n)
    }
}

/// Synapses of each weight of each row.
fn sizes(net: &Net<Float>, ties: &Ties, features: &Features) -> Vec<Vec<u32>> {
    let of_block = |kernels: &spikec_net::Kernels| {
        let mut of = vec![0u32; kernels.taps().len()];
        let numbers: Vec<u32> = (0..of.len() as u32).collect();
        ties.spread(net, kernels.projection, &numbers).into_iter().for_each(|k| of[k as usize] += 1);
        of
    };
    let blocks: Vec<Vec<u32>> = ties.kernels.iter().map(of_block).collect();
    features.rows.iter().map(|row| row.iter().map(|s| blocks[s.block as usize][s.index as usize]).collect()).collect()
}

/// Rows of the layers before that spike on each of a layer's features.
fn sources(net: &Net<Float>, layers: &[Layer], layer: &Layer) -> Vec<Vec<u32>> {
    let mut of = vec![Vec::new(); layer.features.count];
    for (b, block) in layer.features.blocks.iter().enumerate() {
        let Some(before) = layers.iter().find(|l| l.population == block.pre) else { continue };
        match &layer.ties {
            None => block.sources.iter().enumerate().for_each(|(k, s)| of[block.first as usize + k].push(before.row_of(s.1))),
            Some(ties) => {
                let mut of_weight: Vec<u32> = vec![0; ties.kernels[b].taps().len()];
                let row =
                    |row: &Vec<spikec_reconstruct::features::Synapse>| row.iter().filter(|s| s.block as usize == b).copied().collect();
                let synapses: Vec<Vec<_>> = layer.features.rows.iter().map(row).collect();
                synapses.iter().flatten().for_each(|s| of_weight[s.index as usize] = s.feature);
                let features = ties.spread(net, block.projection, &of_weight);
                for ((pre, ..), feature) in net.projection(block.projection).synapses.iter().zip(features) {
                    let (rows, row) = (&mut of[feature as usize], before.row_of(pre));
                    if rows.last() != Some(&row) {
                        rows.push(row);
                    }
                }
            }
        }
    }
    for rows in &mut of {
        rows.sort_unstable();
        rows.dedup();
    }
    of
}
