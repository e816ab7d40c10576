//! Second moments of what a population hears: how errors of its weights add up in its potentials.
//!
//! In: the spikes of the features, as trained (what the teacher heard) and as they are now (what the neurons will hear). Out: [`Moments`].
//!
//! A spike of feature f in column c adds to the potential in the columns after it: the trace `x_f` is the train, filtered by the current's
//! and the potential's memory, resets left out. With weights q the neurons hear `q x`, the teacher `w x'`; the squared difference over all
//! columns is `q H q - 2 q C w + ...` with `H = x x^T`, `C = x x'^T`. A constant bias adds `b r` with the trace r of a constant; at
//! its best value for each q it takes `r` out of H and C (it is *profiled out*).
//! Method: Frantar and Alistarh, Optimal Brain Compression, NeurIPS 2022, with traces in the place of activations.
//! Cost: features^2 columns multiplications; memory features^2 numbers, and the traces of a slice of the columns.

use crate::features::Trains;
use crate::matrix;
use rayon::prelude::*;

/// The memory of a neuron: shares of the current and the potential kept in a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kernel {
    /// Share of the current kept.
    pub keep_u: f32,
    /// Share of the potential kept.
    pub keep_v: f32,
}

/// Columns that are filtered at a time.
const SLICE: usize = 4096;

/// Moments of a population's features. Matrices are row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// Number of features now.
    pub count: usize,
    /// `H`, the bias profiled out, with damping on the diagonal; `count` x `count`.
    pub now: Vec<f32>,
    /// `C`, the bias profiled out, without damping; a column for each feature of the teacher. `None` where it is `H` without damping.
    pub cross: Option<Vec<f32>>,
    /// What is kept to find the best bias.
    pub bias: BiasMoments,
    /// Added to the diagonals.
    pub damping: f32,
}

/// What a constant bias needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct BiasMoments {
    /// `x r` of each feature now.
    pub now: Vec<f32>,
    /// `x' r` of each feature as the teacher heard it.
    pub teacher: Vec<f32>,
    /// `r r`.
    pub power: f32,
}

impl BiasMoments {
    /// The best change of the bias, per step, for weights that went from `w` to `q` (both by feature).
    pub fn change(&self, w: impl Iterator<Item = (usize, f32)>, q: impl Iterator<Item = (usize, f32)>) -> f32 {
        if self.power <= 0.0 {
            return 0.0;
        }
        let wanted: f64 = w.map(|(f, x)| f64::from(x * self.teacher[f])).sum();
        let given: f64 = q.map(|(f, x)| f64::from(x * self.now[f])).sum();
        ((wanted - given) / f64::from(self.power)) as f32
    }
}

/// The traces of some samples, by feature (row-major, one row a feature).
pub fn traces(trains: &Trains, kernel: Kernel, samples: std::ops::Range<usize>) -> Vec<f32> {
    let (start, end) = (trains.starts[samples.start] as usize, trains.starts[samples.end] as usize);
    let columns = end - start;
    let mut x = vec![0f32; trains.features() * columns];
    if columns == 0 {
        return x;
    }
    x.par_chunks_mut(columns).enumerate().for_each(|(f, row)| {
        let spikes = trains.of_feature(f);
        let first = spikes.partition_point(|&c| (c as usize) < start);
        for &c in spikes[first..].iter().take_while(|&&c| (c as usize) < end) {
            row[c as usize - start] += 1.0;
        }
        for s in samples.clone() {
            filter(&mut row[trains.starts[s] as usize - start..trains.starts[s + 1] as usize - start], kernel);
        }
    });
    x
}

/// Filters a train of one sample by the memory of current and potential.
pub fn filter(row: &mut [f32], kernel: Kernel) {
    let (mut u, mut v) = (0f32, 0f32);
    for x in row {
        u = kernel.keep_u * u + *x;
        v = kernel.keep_v * v + u;
        *x = v;
    }
}

/// The trace of a bias of 1 in each step of a sample.
pub fn ramp(steps: usize, keep_v: f32) -> Vec<f32> {
    let mut v = 0f32;
    (0..steps)
        .map(|_| {
            v = keep_v * v + 1.0;
            v
        })
        .collect()
}

/// Slices of samples with at most [`SLICE`] columns each (a longer sample is a slice of its own).
pub fn slices(starts: &[u32]) -> Vec<std::ops::Range<usize>> {
    let mut out: Vec<std::ops::Range<usize>> = Vec::new();
    let mut first = 0;
    for s in 0..starts.len() - 1 {
        if (starts[s + 1] - starts[first]) as usize > SLICE && s > first {
            out.push(first..s);
            first = s;
        }
    }
    out.push(first..starts.len() - 1);
    out
}

/// Sums over the columns, before the bias is profiled out.
#[derive(Debug, Clone)]
pub(crate) struct Raw {
    /// `x x^T`, n x n.
    h: Vec<f32>,
    /// `x x'^T`, n x m; `None` where the neurons hear what the teacher heard.
    cross: Option<Vec<f32>>,
    bias: BiasMoments,
}

impl Raw {
    /// Of `now` against `teacher`; `None` where the neurons hear what the teacher heard. Cost: n (n / 2 + m) columns multiplications.
    pub fn of(now: &Trains, teacher: Option<&Trains>, kernel: Kernel) -> Self {
        let (n, m) = (now.features(), teacher.map_or(0, Trains::features));
        let mut h = vec![0f32; n * n];
        let mut cross = teacher.map(|_| vec![0f32; n * m]);
        let mut bias = BiasMoments { now: vec![0.0; n], teacher: vec![0.0; if teacher.is_some() { m } else { n }], power: 0.0 };
        for slice in slices(&now.starts) {
            let columns = (now.starts[slice.end] - now.starts[slice.start]) as usize;
            let x = traces(now, kernel, slice.clone());
            let ramps: Vec<f32> = slice.clone().flat_map(|s| ramp((now.starts[s + 1] - now.starts[s]) as usize, kernel.keep_v)).collect();
            matrix::add_square(&mut h, &x, (n, columns));
            add_ramps(&mut bias.now, &x, &ramps);
            bias.power += ramps.iter().map(|r| r * r).sum::<f32>();
            match (teacher, &mut cross) {
                (Some(teacher), Some(cross)) => {
                    let y = traces(teacher, kernel, slice);
                    matrix::add_product(cross, &x, &y, (n, m, columns));
                    add_ramps(&mut bias.teacher, &y, &ramps);
                }
                _ => add_ramps(&mut bias.teacher, &x, &ramps),
            }
        }
        matrix::mirror(&mut h, n);
        Raw { h, cross, bias }
    }

    /// Of some of the features, where the neurons hear what the teacher heard: those of all against them.
    pub fn part(&self, features: &[u32]) -> Raw {
        let n = self.bias.now.len();
        let h = matrix::part(&self.h, n, features.iter().map(|&f| f as usize));
        let mut cross = Vec::with_capacity(features.len() * n);
        features.iter().for_each(|&f| cross.extend_from_slice(&self.h[f as usize * n..(f as usize + 1) * n]));
        let now = features.iter().map(|&f| self.bias.now[f as usize]).collect();
        Raw { h, cross: Some(cross), bias: BiasMoments { now, teacher: self.bias.teacher.clone(), power: self.bias.power } }
    }

    /// With the bias profiled out, and damped by a share of the mean diagonal.
    pub fn profiled(self, damping: f32) -> Moments {
        let Raw { mut h, mut cross, bias } = self;
        let n = bias.now.len();
        profile_out(&mut h, &bias.now, &bias.now, bias.power);
        if let Some(cross) = &mut cross {
            profile_out(cross, &bias.now, &bias.teacher, bias.power);
        }
        let mean = (0..n).map(|i| f64::from(h[i * n + i])).sum::<f64>() / n.max(1) as f64;
        let damping = (f64::from(damping) * mean).max(1e-6) as f32;
        (0..n).for_each(|i| h[i * n + i] += damping);
        Moments { count: n, now: h, cross, bias, damping }
    }
}

impl Moments {
    /// Moments of `now` against `teacher`; `None` where the neurons hear what the teacher heard. `damping` is a share of the mean diagonal.
    pub fn of(now: &Trains, teacher: Option<&Trains>, kernel: Kernel, damping: f32) -> Self {
        Raw::of(now, teacher, kernel).profiled(damping)
    }

    /// What the best weights q over `prior`'s features solve, `H q = wanted`: `C w` for the teacher's weights w, and the damping that pulls q
    /// to `prior`. Both rows are (feature, weight), `prior` by features now; the result is in its order.
    pub fn wanted(&self, teacher: &[(u32, f32)], prior: &[(u32, f32)]) -> Vec<f32> {
        let n = self.count;
        let mut out: Vec<f32> = match &self.cross {
            Some(cross) => {
                let m = self.bias.teacher.len();
                let row = |f: usize| &cross[f * m..(f + 1) * m];
                let sum = |&(f, _): &(u32, f32)| teacher.iter().map(|&(g, w)| w * row(f as usize)[g as usize]).sum();
                prior.iter().map(sum).collect()
            }
            None => {
                // H is symmetric: whole rows at a time.
                let mut all = vec![0f32; n];
                for &(f, w) in teacher {
                    let f = f as usize;
                    all.iter_mut().zip(&self.now[f * n..(f + 1) * n]).for_each(|(out, &h)| *out += w * h);
                    all[f] -= self.damping * w;
                }
                prior.iter().map(|&(f, _)| all[f as usize]).collect()
            }
        };
        out.iter_mut().zip(prior).for_each(|(out, &(_, w))| *out += self.damping * w);
        out
    }
}

fn add_ramps(sums: &mut [f32], x: &[f32], ramps: &[f32]) {
    if !ramps.is_empty() {
        sums.iter_mut().zip(x.chunks(ramps.len())).for_each(|(sum, row)| *sum += row.iter().zip(ramps).map(|(x, r)| x * r).sum::<f32>());
    }
}

/// `matrix -= a b^T / power`.
fn profile_out(matrix: &mut [f32], a: &[f32], b: &[f32], power: f32) {
    if power > 0.0 && !a.is_empty() {
        let n = b.len();
        matrix.par_chunks_mut(n).zip(a).for_each(|(row, &a)| row.iter_mut().zip(b).for_each(|(x, &b)| *x -= a * b / power));
    }
}
