//! Optimizers: from gradients to directions, and the learning rate of a step.
//!
//! In: gradients, one step after the other. Out: for each weight a direction `d`; the weight changes by `-rate * d`.
//! Invariant: elementwise, so that no order matters. Adam's forms are those of its authors (algorithm 1) as PyTorch computes them:
//! `d = m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)`, `rate = lr / (1 - beta1^t)`.

use crate::recipe::{Optimizer, Schedule};

/// What an optimizer remembers of a parameter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moments {
    /// Mean of gradients (of plain descent: the last change).
    pub first: Vec<f32>,
    /// Mean of their squares (Adam alone).
    pub second: Vec<f32>,
}

impl Moments {
    /// At the start, for `n` weights.
    pub fn new(optimizer: &Optimizer, n: usize) -> Self {
        let second = if matches!(optimizer, Optimizer::Adam { .. }) { n } else { 0 };
        Moments { first: vec![0.0; n], second: vec![0.0; second] }
    }
}

/// The learning rate's factor in a step.
pub fn factor(schedule: Schedule, epoch: u32, epochs: u32, step: u64, steps_in_epoch: u64) -> f32 {
    match schedule {
        Schedule::Constant => 1.0,
        Schedule::Step { epochs, factor } => factor.powi((epoch / epochs) as i32),
        Schedule::Cosine { least } => {
            let done = step as f64 / (u64::from(epochs) * steps_in_epoch).max(1) as f64;
            let share = 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos());
            (f64::from(least) + (1.0 - f64::from(least)) * share) as f32
        }
    }
}

/// The optimizer in one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// Factor of the direction.
    pub rate: f32,
    /// Learning rate, without Adam's correction.
    pub lr: f32,
    adam: bool,
    keep: (f32, f32),
    root: f32,
    epsilon: f32,
    decay: f32,
}

impl Rule {
    /// Step `t` (from 1), the learning rate times `factor`.
    pub fn new(optimizer: &Optimizer, factor: f32, t: u64) -> Self {
        match *optimizer {
            Optimizer::Adam { lr, betas, epsilon, weight_decay } => {
                let bias = |beta: f32| 1.0 - f64::from(beta).powf(t as f64);
                let lr = lr * factor;
                Rule {
                    rate: (f64::from(lr) / bias(betas.0)) as f32,
                    lr,
                    adam: true,
                    keep: betas,
                    root: bias(betas.1).sqrt() as f32,
                    epsilon,
                    decay: weight_decay,
                }
            }
            Optimizer::Sgd { lr, momentum, weight_decay } => {
                let lr = lr * factor;
                Rule { rate: lr, lr, adam: false, keep: (momentum, 0.0), root: 1.0, epsilon: 0.0, decay: weight_decay }
            }
        }
    }

    /// The directions of gradients `g` at weights `w`; `decays`: weights decay.
    #[inline(always)]
    pub fn directions(&self, g: &[f32], w: &[f32], first: &mut [f32], second: &mut [f32], decays: bool, d: &mut [f32]) {
        let decay = if decays { self.decay } else { 0.0 };
        let (b1, b2) = self.keep;
        if self.adam {
            let rows = d.iter_mut().zip(g).zip(w).zip(first).zip(second);
            rows.for_each(|((((d, g), w), m), v)| {
                let g = g + decay * w;
                *m = b1 * *m + (1.0 - b1) * g;
                *v = b2 * *v + (1.0 - b2) * (g * g);
                *d = *m / (v.sqrt() / self.root + self.epsilon);
            });
        } else {
            let rows = d.iter_mut().zip(g).zip(w).zip(first);
            rows.for_each(|(((d, g), w), m)| {
                *m = b1 * *m + (g + decay * w);
                *d = *m;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 10 epochs of 5 steps.
    #[test]
    fn schedules_are_their_curves() {
        let at = |schedule, step: u64| factor(schedule, (step / 5) as u32, 10, step, 5);
        assert_eq!([0, 17, 49].map(|s| at(Schedule::Constant, s)), [1.0; 3]);
        // From the first step of every third epoch on.
        let stairs = Schedule::Step { epochs: 3, factor: 0.1 };
        let close = |found: f32, expected: f32| assert!((found - expected).abs() < 1e-6, "{found}, expected {expected}");
        for (step, expected) in [(0, 1.0), (14, 1.0), (15, 0.1), (29, 0.1), (30, 0.01), (45, 0.001), (49, 0.001)] {
            close(at(stairs, step), expected);
        }
        // (1 + cos(pi step / 50)) / 2, step by step, between the bounds.
        for least in [0.0, 0.2] {
            let cosine = Schedule::Cosine { least };
            close(at(cosine, 0), 1.0);
            close(at(cosine, 25), (1.0 + least) / 2.0);
            close(at(cosine, 10), least + (1.0 - least) * 0.904_508_5);
            close(at(cosine, 50), least);
            close(at(cosine, 60), least);
            assert!((0..50).all(|s| at(cosine, s + 1) < at(cosine, s)), "it falls in every step");
        }
    }
}
