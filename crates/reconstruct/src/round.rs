//! Rounding a row of weights onto grids, so that its error in the potential is least.
//!
//! In: the row's second moments H over its support, the best real weights, a grid for each weight. Out: grid steps, and the error
//! `(q - w) H (q - w)`.
//! Method: weights are fixed one after the other, those whose error costs most first, and the rest makes up for each error (Frantar et
//! al., GPTQ, ICLR 2023; the same as Babai's nearest plane); then single weights move while that helps (coordinate descent).
//! Invariant: every result is on its grid and in its range. Cost: n^2 multiplications for each, with the factor of H shared or n^3 / 6.

use crate::matrix;

/// The values that a weight can take: `step * k`, `least <= k <= most`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// Distance of neighbours.
    pub step: f32,
    /// Smallest multiple.
    pub least: f32,
    /// Largest multiple.
    pub most: f32,
}

impl Grid {
    /// The multiple nearest to `x`.
    #[inline]
    pub fn nearest(&self, x: f32) -> f32 {
        (x / self.step).round().clamp(self.least, self.most)
    }
}

/// H over a support in the order in which weights are fixed, with its factor.
#[derive(Debug, Clone)]
pub struct Factor {
    /// Position in the support of the k-th weight to be fixed.
    order: Vec<u32>,
    /// Upper triangular R with H = R R^T in that order; row-major.
    upper: Vec<f32>,
}

impl Factor {
    /// Of `h` (n x n, row-major, positive definite). Cost: n^3 / 6 multiplications.
    pub fn of(h: &[f32], n: usize) -> Self {
        let mut order: Vec<u32> = (0..n as u32).collect();
        let diagonal = |k: u32| h[k as usize * n + k as usize];
        order.sort_by(|&a, &b| diagonal(b).total_cmp(&diagonal(a)).then(a.cmp(&b)));
        // The lower factor of the reversed order, reversed, is upper triangular.
        let reversed = matrix::part(h, n, order.iter().rev().map(|&k| k as usize));
        let floor = (0..n).map(|k| h[k * n + k]).fold(0f32, f32::max) * 1e-7;
        let mut upper = matrix::cholesky(&reversed, n, floor.max(f32::MIN_POSITIVE));
        upper.reverse();
        Factor { order, upper }
    }

    /// Solves H x = b in place. Cost: n^2 multiplications.
    pub fn solve(&self, x: &mut [f32]) {
        let n = self.order.len();
        let mut y: Vec<f32> = self.order.iter().map(|&k| x[k as usize]).collect();
        // R z = b from the end, then R' y = z from the start.
        for i in (0..n).rev() {
            let row = &self.upper[i * n..(i + 1) * n];
            let sum: f32 = row[i + 1..].iter().zip(&y[i + 1..]).map(|(a, b)| a * b).sum();
            y[i] = (y[i] - sum) / row[i];
        }
        for i in 0..n {
            let row = &self.upper[i * n..(i + 1) * n];
            y[i] /= row[i];
            let value = y[i];
            y[i + 1..].iter_mut().zip(&row[i + 1..]).for_each(|(y, &a)| *y -= a * value);
        }
        self.order.iter().zip(y).for_each(|(&k, y)| x[k as usize] = y);
    }
}

/// A row to be rounded.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// H over the support, n x n.
    pub h: &'a [f32],
    /// The best real weights.
    pub best: &'a [f32],
    /// Index in `grids` of each weight.
    pub grid_of: &'a [u32],
}

impl Row<'_> {
    fn n(&self) -> usize {
        self.best.len()
    }

    /// One weight after the other, each error made up for by the rest. The result is in grid steps; the error is exact.
    pub fn nearest_plane(&self, factor: &Factor, grids: &[Grid]) -> (Vec<f32>, f32) {
        let n = self.n();
        let mut steps = vec![0f32; n];
        let mut carried = vec![0f32; n];
        let mut error = 0f32;
        for k in 0..n {
            let at = factor.order[k] as usize;
            let grid = grids[self.grid_of[at] as usize];
            let row = &factor.upper[k * n + k..(k + 1) * n];
            let ideal = self.best[at] - carried[k] / row[0];
            steps[at] = grid.nearest(ideal);
            let value = steps[at] * grid.step;
            let missed = (value - ideal) * row[0];
            error += missed * missed;
            let moved = value - self.best[at];
            if moved != 0.0 {
                for (c, &r) in carried[k..].iter_mut().zip(row) {
                    *c += r * moved;
                }
            }
        }
        (steps, error)
    }

    /// Moves single weights to better grid points until none helps, at most `sweeps` times through the row; the error.
    pub fn descend(&self, grids: &[Grid], steps: &mut [f32], sweeps: usize) -> f32 {
        let n = self.n();
        let grid = |k: usize| grids[self.grid_of[k] as usize];
        let mut gradient = vec![0f32; n];
        let mut error = 0f32;
        let missed: Vec<f32> = (0..n).map(|k| steps[k] * grid(k).step - self.best[k]).collect();
        for (k, &d) in missed.iter().enumerate().filter(|(_, d)| **d != 0.0) {
            gradient.iter_mut().zip(&self.h[k * n..(k + 1) * n]).for_each(|(g, &h)| *g += h * d);
        }
        error += gradient.iter().zip(&missed).map(|(g, d)| g * d).sum::<f32>();
        for _ in 0..sweeps {
            let mut moved = false;
            for k in 0..n {
                let (grid, diagonal) = (grid(k), self.h[k * n + k]);
                let here = steps[k] * grid.step;
                let there = grid.nearest(here - gradient[k] / diagonal);
                let d = there * grid.step - here;
                let gain = d * (2.0 * gradient[k] + d * diagonal);
                if there != steps[k] && gain < 0.0 {
                    steps[k] = there;
                    error += gain;
                    moved = true;
                    gradient.iter_mut().zip(&self.h[k * n..(k + 1) * n]).for_each(|(g, &h)| *g += h * d);
                }
            }
            if !moved {
                break;
            }
        }
        error.max(0.0)
    }
}
