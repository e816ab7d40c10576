//! Products of activations with a matrix of weights and back, dense or by lists, whichever costs less.
//!
//! In: rows of activations (rows, inputs), weights (inputs, outputs), gradients. Out: rows and gradients.
//! Invariant: every sum runs over its whole length, in its order, within one piece: the result does not depend on how work is cut, nor on the
//! number of threads. Where products are fused (`matrixmultiply`), it depends on the processor's kind.

use crate::sparse::{Lists, Pieces, density, gather, parts, scatter};
use crate::tensor::Tensor;
use rayon::prelude::*;

/// Activations of up to this density are summed by lists.
const LISTED: f64 = 0.5;
/// Weights of up to this density are kept as lists too.
const PRUNED: f64 = 0.1;
/// Least rows of a piece.
const ROWS: usize = 32;
/// Pieces of a thread.
const PIECES: usize = 4;

/// A matrix with its strides (row, column).
#[derive(Clone, Copy)]
struct Strided<'a>(&'a [f32], usize, usize);

/// `c = a b + beta c` for `a` (m, k), `b` (k, n), each with its strides (row, column), and row-major `c` (m, n).
pub fn dense_product([m, k, n]: [usize; 3], a: (&[f32], [usize; 2]), b: (&[f32], [usize; 2]), beta: f32, c: &mut [f32]) {
    dense(m, k, n, Strided(a.0, a.1[0], a.1[1]), Strided(b.0, b.1[0], b.1[1]), beta, c);
}

fn dense(m: usize, k: usize, n: usize, a: Strided, b: Strided, beta: f32, c: &mut [f32]) {
    let last = |s: &Strided, rows: usize, columns: usize| (rows - 1) * s.1 + (columns - 1) * s.2;
    if m == 0 || n == 0 || k == 0 {
        if beta == 0.0 {
            c.fill(0.0);
        }
        return;
    }
    assert!(last(&a, m, k) < a.0.len() && last(&b, k, n) < b.0.len() && m * n <= c.len());
    // SAFETY: the last element of each matrix lies in its slice.
    unsafe {
        matrixmultiply::sgemm(
            m,
            k,
            n,
            1.0,
            a.0.as_ptr(),
            a.1 as isize,
            a.2 as isize,
            b.0.as_ptr(),
            b.1 as isize,
            b.2 as isize,
            beta,
            c.as_mut_ptr(),
            n as isize,
            1,
        );
    }
}

/// A matrix of weights (inputs, outputs) at work.
#[derive(Debug, Clone, Default)]
pub struct Product {
    inputs: usize,
    outputs: usize,
    /// Lists of the activations of the last forward pass, where they are sparse.
    active: Option<Pieces>,
    background: f32,
    /// The weights of each input, where they are sparse.
    pruned: Option<Lists>,
}

impl Product {
    /// A product of this size.
    pub fn new(inputs: usize, outputs: usize) -> Self {
        Product { inputs, outputs, ..Product::default() }
    }

    /// `y = x w`, for rows of x (rows, inputs); y is overwritten.
    pub fn forward(&mut self, x: &Tensor, weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        let (inputs, outputs) = (self.inputs, self.outputs);
        let rows = x.data.len() / inputs;
        self.background = x.background;
        self.pruned = (density(weight, 0.0) <= PRUNED).then(|| Lists::of_rows(weight, outputs, 0.0));
        let sparse = density(&x.data, x.background) <= LISTED;
        let piece = piece(rows);
        self.active = sparse.then(|| Pieces::of_rows(&x.data, inputs, x.background, piece));
        let base = self.base(weight, bias);
        y.par_chunks_mut(piece * outputs).enumerate().for_each(|(k, y)| {
            match &base {
                Some(base) => y.chunks_exact_mut(outputs).for_each(|row| row.copy_from_slice(base)),
                None => y.fill(0.0),
            }
            match (&self.active, &self.pruned) {
                (Some(active), Some(pruned)) => {
                    let lists = &active.pieces[k];
                    y.chunks_exact_mut(outputs).enumerate().for_each(|(r, row)| {
                        (0..active.parts).for_each(|part| scatter(lists.list(r * active.parts + part), pruned, row));
                    });
                }
                (Some(active), None) => {
                    let lists = &active.pieces[k];
                    gather(&parts(inputs), |part, r| lists.list(r * active.parts + part), weight, outputs, y);
                }
                _ => {
                    let rows = y.len() / outputs;
                    let x = &x.data[k * piece * inputs..][..rows * inputs];
                    dense(rows, inputs, outputs, Strided(x, inputs, 1), Strided(weight, outputs, 1), 1.0, y);
                }
            }
        });
    }

    /// What each row of y has before the listed activations are added: the bias, and the background times the sum of all weights.
    fn base(&self, weight: &[f32], bias: Option<&[f32]>) -> Option<Vec<f32>> {
        if self.active.is_none() || self.background == 0.0 {
            return bias.map(<[f32]>::to_vec);
        }
        let mut base = column_sums(weight, self.outputs);
        base.iter_mut().for_each(|s| *s *= self.background);
        if let Some(bias) = bias {
            base.iter_mut().zip(bias).for_each(|(s, b)| *s += b);
        }
        Some(base)
    }

    /// Gradient of the weights (inputs, outputs), from that of y (rows, outputs), for the x of the last forward pass; overwritten.
    pub fn weight_gradient(&self, x: &Tensor, dy: &[f32], gradient: &mut [f32]) {
        let (inputs, outputs) = (self.inputs, self.outputs);
        let rows = dy.len() / outputs;
        let piece = piece(inputs);
        match &self.active {
            Some(active) => {
                let (columns, parts) = (active.transposed(inputs), active.row_parts(rows));
                let base = (self.background != 0.0).then(|| {
                    let mut sums = column_sums(dy, outputs);
                    sums.iter_mut().for_each(|s| *s *= self.background);
                    sums
                });
                gradient.par_chunks_mut(piece * outputs).enumerate().for_each(|(k, out)| {
                    match &base {
                        Some(base) => out.chunks_exact_mut(outputs).for_each(|row| row.copy_from_slice(base)),
                        None => out.fill(0.0),
                    }
                    gather(&parts, |part, r| columns[part].list(k * piece + r), dy, outputs, out);
                });
            }
            None => gradient.par_chunks_mut(piece * outputs).enumerate().for_each(|(k, out)| {
                let n = out.len() / outputs;
                dense(n, rows, outputs, Strided(&x.data[k * piece..], 1, inputs), Strided(dy, outputs, 1), 0.0, out);
            }),
        }
    }

    /// Gradient of x (rows, inputs), from that of y (rows, outputs); overwritten.
    pub fn input_gradient(&self, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
        let (inputs, outputs) = (self.inputs, self.outputs);
        let piece = ROWS.max((dy.len() / outputs).div_ceil(64));
        dx.par_chunks_mut(piece * inputs).enumerate().for_each(|(k, dx)| {
            let rows = dx.len() / inputs;
            let dy = &dy[k * piece * outputs..][..rows * outputs];
            match &self.pruned {
                Some(pruned) => {
                    for (dx, dy) in dx.chunks_exact_mut(inputs).zip(dy.chunks_exact(outputs)) {
                        for (i, dx) in dx.iter_mut().enumerate() {
                            let (index, value) = pruned.list(i);
                            *dx = index.iter().zip(value).map(|(&j, w)| dy[j as usize] * w).sum();
                        }
                    }
                }
                None => dense(rows, outputs, inputs, Strided(dy, outputs, 1), Strided(weight, 1, outputs), 0.0, dx),
            }
        });
    }
}

/// Rows of a piece: a few pieces for each thread, so that what is copied into the cache serves many rows. No sum depends on it.
fn piece(rows: usize) -> usize {
    rows.div_ceil(PIECES * rayon::current_num_threads()).max(ROWS)
}

/// Sums of the columns of (rows, `columns`), in pieces of rows.
pub fn column_sums(data: &[f32], columns: usize) -> Vec<f32> {
    let piece = |part: &[f32]| {
        let mut sums = vec![0f32; columns];
        part.chunks_exact(columns).for_each(|row| sums.iter_mut().zip(row).for_each(|(s, x)| *s += x));
        sums
    };
    let parts: Vec<Vec<f32>> = data.par_chunks(128 * columns).map(piece).collect();
    let mut parts = parts.into_iter();
    let mut sums = parts.next().unwrap_or_else(|| vec![0.0; columns]);
    parts.for_each(|part| sums.iter_mut().zip(part).for_each(|(s, x)| *s += x));
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    fn random(random: &mut Xoshiro256PlusPlus, n: usize, density: f64, background: f32, ones: bool) -> Vec<f32> {
        (0..n)
            .map(|_| match random.random_bool(density) {
                true if ones => background + 1.0,
                true => random.random_range(-1.0..1.0),
                false => background,
            })
            .collect()
    }

    /// The same bits however work is cut.
    #[test]
    fn products_do_not_depend_on_threads() {
        let mut r = Xoshiro256PlusPlus::seed_from_u64(6);
        let (rows, inputs, outputs) = (700, 210, 150);
        for (density, weights) in [(0.2, 1.0), (0.9, 1.0), (0.2, 0.05)] {
            let data = random(&mut r, rows * inputs, density, -0.4, false);
            let x = Tensor { batch: rows, steps: 1, size: inputs, data, background: -0.4 };
            let w = random(&mut r, inputs * outputs, weights, 0.0, false);
            let dy = random(&mut r, rows * outputs, 1.0, 0.0, false);
            let on = |threads| {
                let work = || {
                    let mut p = Product::new(inputs, outputs);
                    let (mut y, mut dw, mut dx) = (vec![0.0; dy.len()], vec![0.0; w.len()], vec![0.0; x.data.len()]);
                    p.forward(&x, &w, None, &mut y);
                    p.weight_gradient(&x, &dy, &mut dw);
                    p.input_gradient(&w, &dy, &mut dx);
                    [y, dw, dx].map(|all| all.into_iter().map(f32::to_bits).collect::<Vec<_>>())
                };
                rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
            };
            let one = on(1);
            assert!(on(3) == one && on(5) == one, "density {density}, weights {weights}");
        }
    }

    /// All ways of computing agree with the plain sums, in f64.
    #[test]
    fn products_are_the_plain_sums() {
        let mut r = Xoshiro256PlusPlus::seed_from_u64(5);
        for (case, (density, background, ones, weights)) in [
            (0.2, 0.0, true, 1.0),
            (0.2, -0.4, false, 1.0),
            (0.9, 0.0, false, 1.0),
            (0.2, 0.0, true, 0.05),
            (0.9, 0.0, false, 0.05),
            (0.3, 0.25, false, 0.05),
        ]
        .into_iter()
        .enumerate()
        {
            let (rows, inputs, outputs) = (171, 153, 91);
            let x =
                Tensor { batch: rows, steps: 1, size: inputs, data: random(&mut r, rows * inputs, density, background, ones), background };
            let w = random(&mut r, inputs * outputs, weights, 0.0, false);
            let bias = random(&mut r, outputs, 1.0, 0.0, false);
            let dy = random(&mut r, rows * outputs, 1.0, 0.0, false);
            let mut p = Product::new(inputs, outputs);
            let mut y = vec![f32::NAN; rows * outputs];
            p.forward(&x, &w, Some(&bias), &mut y);
            let (mut dw, mut dx) = (vec![f32::NAN; w.len()], vec![f32::NAN; x.data.len()]);
            p.weight_gradient(&x, &dy, &mut dw);
            p.input_gradient(&w, &dy, &mut dx);
            let close = |found: f32, expected: f64| assert!((f64::from(found) - expected).abs() < 2e-5, "case {case}: {found} {expected}");
            let sum = |n: usize, of: &dyn Fn(usize) -> (f32, f32)| (0..n).map(|k| f64::from(of(k).0) * f64::from(of(k).1)).sum::<f64>();
            for row in 0..rows {
                for j in 0..outputs {
                    let s = sum(inputs, &|i| (x.data[row * inputs + i], w[i * outputs + j]));
                    close(y[row * outputs + j], s + f64::from(bias[j]));
                }
                for i in 0..inputs {
                    close(dx[row * inputs + i], sum(outputs, &|j| (dy[row * outputs + j], w[i * outputs + j])));
                }
            }
            for i in 0..inputs {
                for j in 0..outputs {
                    close(dw[i * outputs + j], sum(rows, &|r| (x.data[r * inputs + i], dy[r * outputs + j])));
                }
            }
        }
    }
}
