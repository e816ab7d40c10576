//! Dropout: in training, some values of a sample are 0 in all of its steps.

use super::Pass;
use crate::random::{Purpose, stream};
use crate::tensor::Tensor;
use rand::Rng;
use rayon::prelude::*;

/// Values stay with probability `1 - share` and are divided by it.
#[derive(Debug, Clone)]
pub struct Dropout {
    /// Share of values that are dropped, 0 up to but not 1.
    pub share: f32,
    /// Number of the layer, for its random numbers.
    pub layer: u64,
    /// Factors of the last pass, (batch, size); empty outside of training.
    factors: Vec<f32>,
}

impl Dropout {
    /// Of the `layer`-th layer.
    pub fn new(share: f32, layer: u64) -> Self {
        Dropout { share, layer, factors: Vec::new() }
    }

    pub(super) fn forward(&mut self, x: &Tensor, y: &mut Tensor, pass: &Pass) {
        self.factors.clear();
        if pass.training && self.share > 0.0 {
            self.factors.resize(x.batch * x.size, 0.0);
            let (share, layer) = (self.share, self.layer);
            self.factors.par_chunks_exact_mut(x.size).enumerate().for_each(|(b, factors)| {
                let mut random = stream(pass.seed, Purpose::Dropout, &[pass.step, layer, b as u64]);
                factors.iter_mut().for_each(|f| *f = if random.random::<f32>() < share { 0.0 } else { 1.0 / (1.0 - share) });
            });
        }
        self.turn(x, y);
    }

    pub(super) fn backward(&self, dy: &Tensor, dx: &mut Tensor) {
        self.turn(dy, dx);
    }

    fn turn(&self, from: &Tensor, to: &mut Tensor) {
        to.reshape(from.batch, from.steps, from.size);
        if self.factors.is_empty() {
            to.data.copy_from_slice(&from.data);
            return;
        }
        let samples = to.data.par_chunks_exact_mut(from.sample()).zip(from.data.par_chunks_exact(from.sample()));
        samples.zip(self.factors.par_chunks_exact(from.size)).for_each(|((to, from), factors)| {
            for (to, from) in to.chunks_exact_mut(factors.len()).zip(from.chunks_exact(factors.len())) {
                to.iter_mut().zip(from).zip(factors).for_each(|((to, from), f)| *to = from * f);
            }
        });
    }
}
