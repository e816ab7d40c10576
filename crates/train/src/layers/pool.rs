//! Pools over squares of a map, each channel for itself, without padding; what is left over at the end is passed over.

use crate::tensor::{Shape, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// What becomes of the values of a square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Their mean.
    Average,
    /// The largest (the first of several).
    Max,
}

/// A pool.
#[derive(Debug, Clone)]
pub struct Pool {
    /// Mean or maximum.
    pub kind: Kind,
    /// Map that comes in.
    pub map: Shape,
    /// Side of the squares.
    pub kernel: usize,
    /// Places from one to the next.
    pub stride: usize,
    /// Places of the last pass's maxima, for each row.
    chosen: Vec<u32>,
}

impl Pool {
    /// A pool.
    pub fn new(kind: Kind, map: Shape, kernel: usize, stride: usize) -> Self {
        Pool { kind, map, kernel, stride, chosen: Vec::new() }
    }

    /// Map that goes out.
    pub fn out(&self) -> Shape {
        self.map.windows(self.kernel, self.stride, 0)
    }

    /// Calls `visit` with each value that goes out and each that it comes from.
    #[inline(always)]
    fn visit(&self, mut visit: impl FnMut(usize, usize)) {
        let (out, channels) = (self.out(), self.map.channels);
        for y in 0..out.height {
            for x in 0..out.width {
                for ky in 0..self.kernel {
                    for kx in 0..self.kernel {
                        let from = (y * self.stride + ky) * self.map.width + x * self.stride + kx;
                        for c in 0..channels {
                            visit((y * out.width + x) * channels + c, from * channels + c);
                        }
                    }
                }
            }
        }
    }

    pub(super) fn forward(&mut self, x: &Tensor, y: &mut Tensor) {
        let size = self.out().len();
        y.reshape(x.batch, x.steps, size);
        let rows = y.data.par_chunks_exact_mut(size).zip(x.data.par_chunks_exact(x.size));
        match self.kind {
            Kind::Average => rows.for_each(|(y, x)| {
                let share = 1.0 / (self.kernel * self.kernel) as f32;
                y.fill(0.0);
                self.visit(|to, from| y[to] += x[from]);
                y.iter_mut().for_each(|y| *y *= share);
            }),
            Kind::Max => {
                let mut chosen = std::mem::take(&mut self.chosen);
                chosen.resize(x.rows() * size, 0);
                rows.zip(chosen.par_chunks_exact_mut(size)).for_each(|((y, x), chosen)| {
                    y.fill(f32::NEG_INFINITY);
                    chosen.fill(0);
                    self.visit(|to, from| {
                        if x[from] > y[to] {
                            (y[to], chosen[to]) = (x[from], from as u32);
                        }
                    });
                });
                self.chosen = chosen;
            }
        }
    }

    pub(super) fn backward(&self, dy: &Tensor, dx: &mut Tensor) {
        dx.reshape(dy.batch, dy.steps, self.map.len());
        let rows = dx.data.par_chunks_exact_mut(self.map.len()).zip(dy.data.par_chunks_exact(dy.size));
        match self.kind {
            Kind::Average => rows.for_each(|(dx, dy)| {
                let share = 1.0 / (self.kernel * self.kernel) as f32;
                dx.fill(0.0);
                self.visit(|to, from| dx[from] += dy[to] * share);
            }),
            Kind::Max => rows.zip(self.chosen.par_chunks_exact(dy.size)).for_each(|((dx, dy), chosen)| {
                dx.fill(0.0);
                dy.iter().zip(chosen).for_each(|(dy, &from)| dx[from as usize] += dy);
            }),
        }
    }
}
