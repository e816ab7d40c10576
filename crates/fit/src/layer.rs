//! A population's synapses as weights in thresholds, with the moments of what it hears.
//!
//! In: the net in floats and a recording of it. Out: [`Layer`].
//! Invariant: rows and weights are in the order of [`Features::rows`]; a weight of 1 brings a neuron from rest to its threshold.
//! Cost: features^2 columns multiplications.

use spikec_net::{Float, Net, PopulationId};
use spikec_reconstruct::rows::{self, DAMPING};
use spikec_reconstruct::{Features, Moments, Recording, Scale, Trains, matrix, mean_kernel};

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

impl Layer {
    /// Of a population that has synapses.
    pub fn of(net: &Net<Float>, population: PopulationId, taught: &Recording) -> Self {
        let features = Features::of(net, population);
        let neurons = net.population(population).neurons();
        let moments = Moments::of(&Trains::of(&features, taught), None, mean_kernel(neurons), DAMPING);
        let row = |(j, n)| rows::weights(net, &features, j, Scale::of(n).factor).into_iter().map(|w| w.1).collect();
        let rows = neurons.iter().enumerate().map(row).collect();
        Layer { population, features, moments, rows }
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
