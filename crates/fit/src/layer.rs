//! A population's synapses as weights in thresholds, with the moments of what it hears.
//!
//! In: the net in floats and a recording of it. Out: [`Layer`].
//! Invariant: rows and weights are in the order of [`Features::rows`]; a weight of 1 brings a neuron from rest to its threshold.
//! Cost: features^2 columns multiplications.

use spikec_net::{Float, FloatNeuron, Net, PopulationId};
use spikec_reconstruct::rows::DAMPING;
use spikec_reconstruct::{Features, Moments, Recording, Trains, mean_kernel};

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
}

/// Factor from a weight to thresholds.
pub fn factor(neuron: &FloatNeuron) -> f32 {
    neuron.gain / unit(neuron)
}

/// What a threshold is, from rest; 1 for a readout.
pub fn unit(neuron: &FloatNeuron) -> f32 {
    if neuron.threshold.is_finite() { neuron.threshold - neuron.v_reset } else { 1.0 }
}

impl Layer {
    /// Of a population that has synapses.
    pub fn of(net: &Net<Float>, population: PopulationId, taught: &Recording) -> Self {
        let features = Features::of(net, population);
        let neurons = net.population(population).neurons();
        let moments = Moments::of(&Trains::of(&features, taught), None, mean_kernel(neurons), DAMPING);
        let weight = |s: &spikec_reconstruct::features::Synapse, factor: f32| {
            let projection = features.blocks[s.block as usize].projection;
            net.projection(projection).synapses.weights[s.index as usize] * factor
        };
        let rows = features.rows.iter().zip(neurons).map(|(row, n)| row.iter().map(|s| weight(s, factor(n))).collect()).collect();
        Layer { population, features, moments, rows }
    }
}
