//! Neurons in time: LIF, IF and leaky readouts, forward and backward.
//!
//! In: currents (batch, steps or 1, n). Out: spikes (or potentials of a readout) for each step, and gradients of the currents.
//! Law (docs/semantics.md, section 2, with `keep_u` 0): `h = keep v + gain x`; spike when `h >= threshold`; then `v = 0`, or `v = h - threshold`.
//! Invariant: gradients are those of this law with the surrogate's slope for the spike's; a detached reset has no gradient by its spike.

use crate::simd::wide;
use crate::surrogate::{Surrogate, arctan, sigmoid, super_spike, triangle};
use crate::tensor::Tensor;
use rayon::prelude::*;

/// What a spike does to the potential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Reset {
    /// To 0.
    Hard,
    /// Less the threshold.
    Soft,
}

/// When and how neurons spike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Firing {
    /// Potential from which on they do.
    pub threshold: f32,
    /// What it does to the potential.
    pub reset: Reset,
    /// The reset has no gradient.
    pub detach: bool,
    /// Slope.
    pub surrogate: Surrogate,
    /// Spikes are the smoothed step: what finite differences are taken of.
    pub smooth: bool,
}

/// A population of equal neurons.
#[derive(Debug, Clone, PartialEq)]
pub struct Neurons {
    /// Share of the potential kept in a step.
    pub keep: f32,
    /// Factor of the current.
    pub gain: f32,
    /// How they fire; a readout does not.
    pub firing: Option<Firing>,
    /// Potentials before the reset, (batch, steps, n).
    potentials: Vec<f32>,
}

impl Neurons {
    /// Neurons at rest.
    pub fn new(keep: f32, gain: f32, firing: Option<Firing>) -> Self {
        Neurons { keep, gain, firing, potentials: Vec::new() }
    }

    /// `steps` steps from rest.
    pub fn forward(&mut self, x: &Tensor, steps: usize, y: &mut Tensor) {
        let n = x.size;
        y.reshape(x.batch, steps, n);
        let (keep, gain, firing, each) = (self.keep, self.gain, self.firing, x.steps > 1);
        self.potentials.resize(y.data.len(), 0.0);
        let samples = self.potentials.par_chunks_exact_mut(steps * n).zip(y.data.par_chunks_exact_mut(steps * n));
        samples.zip(x.data.par_chunks_exact(x.steps * n)).for_each(|((h, s), x)| {
            let mut v = vec![0f32; n];
            for (t, (h, s)) in h.chunks_exact_mut(n).zip(s.chunks_exact_mut(n)).enumerate() {
                let x = if each { &x[t * n..][..n] } else { &x[..n] };
                wide(
                    #[inline(always)]
                    || step(&mut v, x, h, s, keep, gain, firing),
                );
            }
        });
    }

    /// Gradient of the currents from that of the spikes, `dy`; in one step where the current is the same in all.
    pub fn backward(&self, dy: &Tensor, steps: usize, dx: &mut Tensor) {
        let n = dy.size;
        dx.reshape(dy.batch, steps, n);
        match self.firing {
            None => self.readout(dy, steps, dx),
            Some(f) => match f.surrogate {
                Surrogate::Arctan(a) => self.through(dy, f, arctan(a), steps, dx),
                Surrogate::Sigmoid(a) => self.through(dy, f, sigmoid(a), steps, dx),
                Surrogate::Triangle(a) => self.through(dy, f, triangle(a), steps, dx),
                Surrogate::SuperSpike(a) => self.through(dy, f, super_spike(a), steps, dx),
            },
        }
    }

    fn readout(&self, dy: &Tensor, steps: usize, dx: &mut Tensor) {
        let n = dy.size;
        dx.data.par_chunks_exact_mut(steps * n).zip(dy.data.par_chunks_exact(dy.sample())).for_each(|(dx, dy)| {
            let mut dv = vec![0f32; n];
            dx.fill(0.0);
            for t in (0..dy.len() / n).rev() {
                let at = if steps > 1 { t * n } else { 0 };
                let rows = dx[at..][..n].iter_mut().zip(&dy[t * n..][..n]).zip(&mut dv);
                rows.for_each(|((dx, dy), dv)| {
                    let dh = dy + *dv;
                    *dx += self.gain * dh;
                    *dv = self.keep * dh;
                });
            }
        });
    }

    fn through(&self, dy: &Tensor, f: Firing, slope: impl Fn(f32) -> f32 + Copy + Sync, steps: usize, dx: &mut Tensor) {
        let (n, keep, gain, hard) = (dy.size, self.keep, self.gain, f.reset == Reset::Hard);
        let samples = dx.data.par_chunks_exact_mut(steps * n).zip(dy.data.par_chunks_exact(dy.sample()));
        samples.zip(self.potentials.par_chunks_exact(dy.sample())).for_each(|((dx, dy), h)| {
            let mut dv = vec![0f32; n];
            dx.fill(0.0);
            for t in (0..dy.len() / n).rev() {
                let at = if steps > 1 { t * n } else { 0 };
                let (dx, dy, h) = (&mut dx[at..][..n], &dy[t * n..][..n], &h[t * n..][..n]);
                wide(
                    #[inline(always)]
                    || {
                        let rows = dx.iter_mut().zip(dy).zip(h).zip(&mut dv[..n]);
                        // What of dv passes the reset, and what comes through its spike.
                        macro_rules! back {
                            ($passes:expr, $spike:expr) => {
                                rows.for_each(|(((dx, &dy), &h), dv)| {
                                    let x = h - f.threshold;
                                    let dh = (dy + *dv * $spike(h)) * slope(x) + *dv * $passes(x);
                                    *dx += gain * dh;
                                    *dv = keep * dh;
                                })
                            };
                        }
                        let none = |_: f32| 0.0f32;
                        let all = |_: f32| 1.0f32;
                        let silent = |x: f32| if x >= 0.0 { 0.0f32 } else { 1.0 };
                        let fall = |h: f32| -h;
                        let threshold = |_: f32| -f.threshold;
                        match (hard, f.detach, f.smooth) {
                            (true, true, false) => back!(silent, none),
                            (true, false, false) => back!(silent, fall),
                            (false, true, _) => back!(all, none),
                            (false, false, _) => back!(all, threshold),
                            (true, true, true) => back!(|x| 1.0 - f.surrogate.smooth(x), none),
                            (true, false, true) => back!(|x| 1.0 - f.surrogate.smooth(x), fall),
                        }
                    },
                );
            }
        });
    }
}

/// One step of a sample's neurons: potentials `h` before the reset, spikes `s` (of a readout: potentials).
#[inline(always)]
fn step(v: &mut [f32], x: &[f32], h: &mut [f32], s: &mut [f32], keep: f32, gain: f32, firing: Option<Firing>) {
    let rows = v.iter_mut().zip(x).zip(h.iter_mut()).zip(s.iter_mut());
    match firing {
        None => rows.for_each(|(((v, x), h), s)| {
            *v = keep * *v + gain * x;
            (*h, *s) = (*v, *v);
        }),
        Some(f) if f.smooth => rows.for_each(|(((v, x), h), s)| {
            *h = keep * *v + gain * x;
            *s = f.surrogate.smooth(*h - f.threshold);
            *v = if f.reset == Reset::Hard { (1.0 - *s) * *h } else { *h - f.threshold * *s };
        }),
        Some(Firing { threshold, reset: Reset::Hard, .. }) => rows.for_each(|(((v, x), h), s)| {
            *h = keep * *v + gain * x;
            let fires = *h >= threshold;
            *s = if fires { 1.0 } else { 0.0 };
            *v = if fires { 0.0 } else { *h };
        }),
        Some(Firing { threshold, reset: Reset::Soft, .. }) => rows.for_each(|(((v, x), h), s)| {
            *h = keep * *v + gain * x;
            *s = if *h >= threshold { 1.0 } else { 0.0 };
            *v = *h - threshold * *s;
        }),
    }
}
