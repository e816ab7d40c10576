//! Batch normalisation: each channel over batch, steps and places (Ioffe and Szegedy, 2015).

use super::{Parameter, Role};
use crate::product::column_sums;
use crate::tensor::Tensor;
use rayon::prelude::*;

/// Share by which running statistics follow those of a batch.
const MOMENTUM: f32 = 0.1;
/// Rows of a piece.
const ROWS: usize = 256;

/// `y = factor (x - mean) / sqrt(variance + epsilon) + constant`.
#[derive(Debug, Clone)]
pub struct Norm {
    /// Channels.
    pub channels: usize,
    /// Factor of each channel.
    pub factor: Parameter,
    /// Constant of each channel.
    pub constant: Parameter,
    /// Running mean.
    pub mean: Vec<f32>,
    /// Running variance (unbiased).
    pub variance: Vec<f32>,
    /// Added to the variance.
    pub epsilon: f32,
    /// Normalised values of the last training pass.
    normal: Vec<f32>,
    /// `1 / sqrt(variance + epsilon)` of the last pass.
    scale: Vec<f32>,
}

impl Norm {
    /// Factors 1, constants 0.
    pub fn new(name: &str, channels: usize) -> Self {
        Norm {
            channels,
            factor: Parameter::new(format!("{name}.weight"), Role::Other, vec![1.0; channels]),
            constant: Parameter::new(format!("{name}.bias"), Role::Other, vec![0.0; channels]),
            mean: vec![0.0; channels],
            variance: vec![1.0; channels],
            epsilon: 1e-5,
            normal: Vec::new(),
            scale: Vec::new(),
        }
    }

    pub(super) fn forward(&mut self, x: &Tensor, y: &mut Tensor, training: bool) {
        let c = self.channels;
        y.reshape(x.batch, x.steps, x.size);
        let (mean, variance) = if training {
            let n = (x.data.len() / c) as f32;
            let mean: Vec<f32> = column_sums(&x.data, c).iter().map(|s| s / n).collect();
            self.normal.resize(x.data.len(), 0.0);
            rows(&mut self.normal, c, &x.data, |d, x| (0..c).for_each(|k| d[k] = (x[k] - mean[k]) * (x[k] - mean[k])));
            let variance: Vec<f32> = column_sums(&self.normal, c).iter().map(|s| s / n).collect();
            for k in 0..c {
                self.mean[k] += MOMENTUM * (mean[k] - self.mean[k]);
                self.variance[k] += MOMENTUM * (variance[k] * n / (n - 1.0).max(1.0) - self.variance[k]);
            }
            (mean, variance)
        } else {
            (self.mean.clone(), self.variance.clone())
        };
        self.scale = variance.iter().map(|v| 1.0 / (v + self.epsilon).sqrt()).collect();
        let (scale, factor, constant) = (&self.scale, &self.factor.value, &self.constant.value);
        self.normal.resize(x.data.len(), 0.0);
        rows(&mut self.normal, c, &x.data, |n, x| (0..c).for_each(|k| n[k] = (x[k] - mean[k]) * scale[k]));
        rows(&mut y.data, c, &self.normal, |y, n| (0..c).for_each(|k| y[k] = n[k] * factor[k] + constant[k]));
    }

    pub(super) fn backward(&mut self, dy: &Tensor, dx: Option<&mut Tensor>) {
        let c = self.channels;
        let n = (dy.data.len() / c) as f32;
        self.constant.gradient = column_sums(&dy.data, c);
        let mut product = vec![0f32; dy.data.len()];
        let normal = &self.normal;
        product.par_chunks_mut(1 << 14).enumerate().for_each(|(k, p)| {
            let at = k << 14;
            p.iter_mut().zip(&dy.data[at..]).zip(&normal[at..]).for_each(|((p, dy), x)| *p = dy * x);
        });
        self.factor.gradient = column_sums(&product, c);
        let Some(dx) = dx else { return };
        dx.reshape(dy.batch, dy.steps, dy.size);
        let (db, dg, factor, scale) = (&self.constant.gradient, &self.factor.gradient, &self.factor.value, &self.scale);
        dx.data.par_chunks_mut(ROWS * c).enumerate().for_each(|(piece, dx)| {
            let at = piece * ROWS * c;
            let rows = dx.chunks_exact_mut(c).zip(dy.data[at..].chunks_exact(c)).zip(normal[at..].chunks_exact(c));
            rows.for_each(|((dx, dy), x)| {
                (0..c).for_each(|k| dx[k] = factor[k] * scale[k] * (dy[k] - db[k] / n - x[k] * dg[k] / n));
            });
        });
    }
}

/// Rows of `to` from those of `from`, in parallel.
fn rows(to: &mut [f32], c: usize, from: &[f32], of: impl Fn(&mut [f32], &[f32]) + Sync) {
    to.par_chunks_mut(ROWS * c).zip(from.par_chunks(ROWS * c)).for_each(|(to, from)| {
        to.chunks_exact_mut(c).zip(from.chunks_exact(c)).for_each(|(to, from)| of(to, from));
    });
}
