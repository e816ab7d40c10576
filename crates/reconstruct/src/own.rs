//! What one neuron of the teacher did, and the moments of traces that end where it fired.
//!
//! In: the spikes of the features, the teacher's potentials and spikes of this neuron. Out: [`Own`], moments of its own, in which errors may
//! weigh more near the threshold.
//! Invariant: resets are the teacher's (*teacher forced*), so the error stays a sum of squares. Cost: n^2 columns multiplications a neuron.
//! Why: moments that all neurons share can't know when each of them is reset. Teacher forcing: Williams and Zipser 1989.

use crate::features::Trains;
use crate::matrix;
use crate::moments::Kernel;

/// What a neuron of the teacher did, column by column.
#[derive(Debug, Clone)]
pub struct Watched {
    /// It fired, and so was reset.
    pub fired: Vec<bool>,
    /// Its potential before a reset, in thresholds.
    pub potential: Vec<f32>,
    /// Weight of an error.
    pub weight: Vec<f32>,
}

/// How errors weigh.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Importance {
    /// Distance from the threshold, in thresholds, at which an error weighs about four tenths of one at the threshold.
    pub width: f32,
    /// Weight of an error far from it.
    pub floor: f32,
}

impl Importance {
    /// Weight at a potential: the logistic density of the distance from the threshold (1), at most 1.
    pub fn weight(&self, potential: f32) -> f32 {
        let p = 1.0 / (1.0 + ((potential - 1.0) / self.width).exp());
        self.floor + (1.0 - self.floor) * 4.0 * p * (1.0 - p)
    }
}

/// Potentials of a neuron that is reset when the teacher's fired: what `weights` (feature, weight) and a constant `bias` add up to.
pub fn potentials(trains: &Trains, weights: &[(u32, f32)], bias: f32, kernel: Kernel, fired: &[bool]) -> Vec<f32> {
    let mut v = vec![bias; trains.column_count()];
    let mut currents = vec![0f32; trains.column_count()];
    for &(f, w) in weights {
        for &c in trains.of_feature(f as usize) {
            currents[c as usize] += w;
        }
    }
    for s in trains.starts.windows(2) {
        let (mut current, mut potential) = (0f32, 0f32);
        for c in s[0] as usize..s[1] as usize {
            current = kernel.keep_u * current + currents[c];
            potential = kernel.keep_v * potential + current + v[c];
            v[c] = potential;
            if fired[c] {
                potential = 0.0;
            }
        }
    }
    v
}

/// Calls `f(column, response)` for every column in which one spike or more of a feature are felt.
#[inline]
fn responses(trains: &Trains, feature: usize, kernel: Kernel, fired: &[bool], mut f: impl FnMut(usize, f32)) {
    let spikes = trains.of_feature(feature);
    let (mut k, mut sample) = (0, 0);
    while k < spikes.len() {
        // The sample of the next spike.
        if trains.starts[sample + 1] <= spikes[k] {
            sample += trains.starts[sample + 1..].partition_point(|&start| start <= spikes[k]);
        }
        let end = trains.starts[sample + 1] as usize;
        let (mut current, mut potential) = (0f32, 0f32);
        let mut c = spikes[k] as usize;
        while c < end {
            let mut arrived = 0f32;
            while k < spikes.len() && spikes[k] as usize == c {
                arrived += 1.0;
                k += 1;
            }
            current = kernel.keep_u * current + arrived;
            potential = kernel.keep_v * potential + current;
            f(c, potential);
            if fired[c] {
                potential = 0.0;
                if kernel.keep_u == 0.0 {
                    // Nothing is felt until the next spike.
                    match spikes.get(k) {
                        Some(&next) if (next as usize) < end => c = next as usize,
                        _ => break,
                    }
                    continue;
                }
            }
            c += 1;
        }
    }
}

/// Moments of one neuron's own traces: `H` and `H q = wanted` for the best weights, the bias profiled out.
#[derive(Debug, Clone)]
pub struct Own {
    /// n x n, with damping on the diagonal.
    pub h: Vec<f32>,
    /// What the best weights solve.
    pub wanted: Vec<f32>,
    /// Response to the bias, of each feature.
    pub ramps: Vec<f32>,
    /// Response to the bias, of the teacher's potential.
    pub ramp_wanted: f32,
    /// Of the bias with itself.
    pub power: f32,
}

impl Own {
    /// Over `features`, damped toward `prior` by a share of the mean diagonal. Cost: n^2 columns multiplications.
    pub fn of(trains: &Trains, kernel: Kernel, watched: &Watched, features: &[u32], prior: &[f32], damping: f32) -> Self {
        let (n, columns) = (features.len(), trains.column_count());
        let roots: Vec<f32> = watched.weight.iter().map(|w| w.sqrt()).collect();
        let mut x = vec![0f32; n * columns];
        for (row, &f) in x.chunks_mut(columns.max(1)).zip(features) {
            responses(trains, f as usize, kernel, &watched.fired, |c, response| row[c] = response * roots[c]);
        }
        let target: Vec<f32> = watched.potential.iter().zip(&roots).map(|(v, r)| v * r).collect();
        let mut ramp = potentials(trains, &[], 1.0, kernel, &watched.fired);
        ramp.iter_mut().zip(&roots).for_each(|(x, r)| *x *= r);
        let mut h = vec![0f32; n * n];
        matrix::add_square(&mut h, &x, (n, columns));
        matrix::mirror(&mut h, n);
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let mut wanted: Vec<f32> = x.chunks(columns.max(1)).map(|row| dot(row, &target)).collect();
        let ramps: Vec<f32> = x.chunks(columns.max(1)).map(|row| dot(row, &ramp)).collect();
        let (power, ramp_wanted) = (dot(&ramp, &ramp), dot(&ramp, &target));
        if power > 0.0 {
            for i in 0..n {
                (0..n).for_each(|k| h[i * n + k] -= ramps[i] * ramps[k] / power);
                wanted[i] -= ramps[i] * ramp_wanted / power;
            }
        }
        let mean = (0..n).map(|i| h[i * n + i]).sum::<f32>() / n.max(1) as f32;
        let damping = (damping * mean).max(1e-6);
        for i in 0..n {
            h[i * n + i] += damping;
            wanted[i] += damping * prior[i];
        }
        Own { h, wanted, ramps, ramp_wanted, power }
    }

    /// The best constant bias, in thresholds a step, for weights over the features.
    pub fn bias(&self, weights: &[f32]) -> Option<f32> {
        let given: f32 = weights.iter().zip(&self.ramps).map(|(w, r)| w * r).sum();
        (self.power > 0.0).then(|| (self.ramp_wanted - given) / self.power)
    }
}
