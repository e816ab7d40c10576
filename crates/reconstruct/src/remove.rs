//! Removing weights one after the other, the rest making up for each: which ones, and what each removal costs.
//!
//! In: the inverse of a row's second moments, its best weights. Out: the order in which weights go, with what each adds to the error
//! `(q - w) H (q - w)`.
//! Method: optimal brain surgeon (Hassibi and Stork 1993), exactly: the weight with the least `w^2 / [H^-1]` goes, the others move along
//! its column of `H^-1`, and the inverse loses its row and column.
//! Cost: n^3 / 3 multiplications for a whole row; columns are taken out in batches, by one product of matrices each.

/// Removals between two products.
const BATCH: usize = 32;

/// A row that loses weights.
#[derive(Debug, Clone)]
pub struct Shrinking {
    /// Position in the row as given, of each weight that was there at the last product.
    at: Vec<u32>,
    alive: Vec<bool>,
    /// Inverse at the last product, `at.len()` squared.
    base: Vec<f32>,
    /// Columns taken out since, each over `at`: the inverse now is `base - sum p p'`.
    pending: Vec<f32>,
    /// Diagonal of the inverse now.
    diagonal: Vec<f32>,
    /// Weights now, 0 where they are gone.
    weights: Vec<f32>,
    left: usize,
}

impl Shrinking {
    /// A row with its inverse (n x n).
    pub fn new(inverse: Vec<f32>, weights: Vec<f32>) -> Self {
        Self::over((0..weights.len() as u32).collect(), inverse, weights)
    }

    /// As [`Shrinking::new`], of the weights at some positions (ascending) of a longer row.
    pub fn over(positions: Vec<u32>, inverse: Vec<f32>, weights: Vec<f32>) -> Self {
        let n = weights.len();
        assert!(inverse.len() == n * n && positions.len() == n);
        let diagonal = (0..n).map(|k| inverse[k * n + k].max(f32::MIN_POSITIVE)).collect();
        Shrinking { at: positions, alive: vec![true; n], base: inverse, pending: Vec::new(), diagonal, weights, left: n }
    }

    /// Number of weights left.
    pub fn len(&self) -> usize {
        self.left
    }
    /// True when no weight is left.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// Positions (in the row as given), weights and what their removal would cost, of all that are left; ascending by position.
    pub fn costs(&self) -> impl Iterator<Item = (u32, f32, f32)> + '_ {
        let one = |k: usize| (self.at[k], self.weights[k], self.weights[k] * self.weights[k] / self.diagonal[k]);
        (0..self.at.len()).filter(|&k| self.alive[k]).map(one)
    }

    /// What the removal of one weight would cost now; `None` when it is gone.
    pub fn cost(&self, position: u32) -> Option<f32> {
        let k = self.at.binary_search(&position).ok().filter(|&k| self.alive[k])?;
        Some(self.weights[k] * self.weights[k] / self.diagonal[k])
    }

    /// A weight now, 0 where it is gone.
    pub fn weight(&self, position: u32) -> f32 {
        self.at.binary_search(&position).map_or(0.0, |k| self.weights[k])
    }

    /// Removes the weight at a position; what it cost. Nothing happens where it is gone.
    pub fn remove(&mut self, position: u32) -> f32 {
        match self.at.binary_search(&position) {
            Ok(k) if self.alive[k] => self.take_out(k),
            _ => 0.0,
        }
    }

    /// Removes the weight that costs least; its position and what it cost.
    pub fn remove_least(&mut self) -> Option<(u32, f32)> {
        let cost = |k: usize| self.weights[k] * self.weights[k] / self.diagonal[k];
        let least = (0..self.at.len()).filter(|&k| self.alive[k]).min_by(|&a, &b| cost(a).total_cmp(&cost(b)))?;
        let position = self.at[least];
        Some((position, self.take_out(least)))
    }

    fn take_out(&mut self, k: usize) -> f32 {
        let n = self.at.len();
        let (weight, diagonal) = (self.weights[k], self.diagonal[k]);
        let mut row = self.base[k * n..(k + 1) * n].to_vec();
        for p in self.pending.chunks(n) {
            let share = p[k];
            row.iter_mut().zip(p).for_each(|(r, p)| *r -= share * p);
        }
        let factor = weight / diagonal;
        self.weights.iter_mut().zip(&row).for_each(|(w, r)| *w -= factor * r);
        let root = diagonal.sqrt();
        row.iter_mut().for_each(|r| *r /= root);
        self.diagonal.iter_mut().zip(&row).for_each(|(d, p)| *d = (*d - p * p).max(f32::MIN_POSITIVE));
        self.pending.extend(row);
        self.weights[k] = 0.0;
        self.alive[k] = false;
        self.left -= 1;
        for k in 0..n {
            if !self.alive[k] {
                self.weights[k] = 0.0;
            }
        }
        if self.pending.len() == BATCH * n {
            self.settle();
        }
        weight * weight / diagonal
    }

    /// Takes the pending columns out of the inverse, and what is gone out of everything.
    fn settle(&mut self) {
        let n = self.at.len();
        let kept: Vec<usize> = (0..n).filter(|&k| self.alive[k]).collect();
        let m = kept.len();
        let batch = self.pending.len() / n.max(1);
        let mut base: Vec<f32> = Vec::with_capacity(m * m);
        kept.iter().for_each(|&a| base.extend(kept.iter().map(|&b| self.base[a * n + b])));
        let pending: Vec<f32> = self.pending.chunks(n.max(1)).flat_map(|p| kept.iter().map(|&k| p[k])).collect();
        if m > 0 {
            // SAFETY: `pending` is `batch` x m, `base` m x m.
            unsafe {
                matrixmultiply::sgemm(
                    m,
                    batch,
                    m,
                    -1.0,
                    pending.as_ptr(),
                    1,
                    m as isize,
                    pending.as_ptr(),
                    m as isize,
                    1,
                    1.0,
                    base.as_mut_ptr(),
                    m as isize,
                    1,
                );
            }
        }
        self.base = base;
        self.pending.clear();
        self.at = kept.iter().map(|&k| self.at[k]).collect();
        self.diagonal = kept.iter().map(|&k| self.diagonal[k]).collect();
        self.weights = kept.iter().map(|&k| self.weights[k]).collect();
        self.alive = vec![true; m];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix;
    use rand::{Rng, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    /// The least error with the weights of `support` alone: by solving for them.
    fn best_error(h: &[f32], n: usize, w: &[f32], support: &[u32]) -> (f64, Vec<f32>) {
        let m = support.len();
        let sub: Vec<f32> = support.iter().flat_map(|&a| support.iter().map(move |&b| h[a as usize * n + b as usize])).collect();
        let right = |a: u32| (0..n).map(|k| h[a as usize * n + k] * w[k]).sum::<f32>();
        let mut x: Vec<f32> = support.iter().map(|&a| right(a)).collect();
        let l = matrix::cholesky(&sub, m, 1e-9);
        matrix::solve(&l, m, &mut x);
        let mut d = w.iter().map(|w| -w).collect::<Vec<f32>>();
        support.iter().zip(&x).for_each(|(&a, x)| d[a as usize] += x);
        let error = (0..n).map(|i| (0..n).map(|k| f64::from(d[i]) * f64::from(h[i * n + k]) * f64::from(d[k])).sum::<f64>()).sum();
        (error, x)
    }

    #[test]
    fn each_removal_costs_what_the_best_rest_misses() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(3);
        let (n, columns) = (75, 200);
        let x: Vec<f32> = (0..n * columns).map(|_| rng.random_range(-1.0..1.0)).collect();
        let mut h = vec![0.0; n * n];
        matrix::add_product(&mut h, &x, &x, (n, n, columns));
        (0..n).for_each(|i| h[i * n + i] += 5.0);
        let w: Vec<f32> = (0..n).map(|_| rng.random_range(-1.0..1.0)).collect();
        let inverse = matrix::inverse(&matrix::cholesky(&h, n, 1e-9), n);
        let mut row = Shrinking::new(inverse, w.clone());
        let mut sum = 0.0;
        for step in 1..n {
            let least = row.costs().map(|c| c.2).fold(f32::INFINITY, f32::min);
            let (position, cost) = row.remove_least().unwrap();
            assert!((cost - least).abs() <= 1e-6 && row.cost(position).is_none() && row.len() == n - step);
            sum += f64::from(cost);
            if step % 9 == 0 {
                let support: Vec<u32> = row.costs().map(|c| c.0).collect();
                let (error, best) = best_error(&h, n, &w, &support);
                assert!((error - sum).abs() < 2e-3 * sum, "{step}: {sum} {error}");
                assert!(row.costs().zip(best).all(|(c, b)| (c.1 - b).abs() < 1e-3), "{step}");
            }
        }
        assert_eq!(row.remove(u32::MAX), 0.0);
    }
}
