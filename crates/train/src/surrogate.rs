//! Surrogate derivatives of the spike: what stands for the derivative of a step function.
//!
//! In: a potential minus its threshold. Out: a slope. Invariant: each slope is the derivative of [`Surrogate::smooth`].

use serde::{Deserialize, Serialize};
use std::f32::consts::{FRAC_PI_2, PI};

/// A surrogate; its parameter (alpha) is the sharpness: the larger, the narrower.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Surrogate {
    /// `a/2 / (1 + (pi/2 a x)^2)` (Fang et al., ICCV 2021).
    Arctan(f32),
    /// `a s(ax) (1 - s(ax))`, s the logistic function.
    Sigmoid(f32),
    /// `a max(0, 1 - a |x|)` (Esser et al., 2016).
    Triangle(f32),
    /// `1 / (1 + a |x|)^2` (Zenke and Ganguli, 2018).
    SuperSpike(f32),
}

fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

impl Surrogate {
    /// Its sharpness.
    pub fn alpha(self) -> f32 {
        match self {
            Surrogate::Arctan(a) | Surrogate::Sigmoid(a) | Surrogate::Triangle(a) | Surrogate::SuperSpike(a) => a,
        }
    }

    /// The slope at `x`.
    pub fn slope(self, x: f32) -> f32 {
        match self {
            Surrogate::Arctan(a) => arctan(a)(x),
            Surrogate::Sigmoid(a) => sigmoid(a)(x),
            Surrogate::Triangle(a) => triangle(a)(x),
            Surrogate::SuperSpike(a) => super_spike(a)(x),
        }
    }

    /// The function whose derivative the slope is: a smoothed step.
    pub fn smooth(self, x: f32) -> f32 {
        match self {
            Surrogate::Arctan(a) => (FRAC_PI_2 * a * x).atan() / PI + 0.5,
            Surrogate::Sigmoid(a) => logistic(a * x),
            Surrogate::Triangle(a) => {
                let y = (a * x).clamp(-1.0, 1.0);
                0.5 + y - 0.5 * y * y.abs()
            }
            Surrogate::SuperSpike(a) => x / (1.0 + a * x.abs()),
        }
    }
}

/// Slope of [`Surrogate::Arctan`].
#[inline(always)]
pub fn arctan(a: f32) -> impl Fn(f32) -> f32 + Copy + Sync {
    let (half, square) = (a * 0.5, FRAC_PI_2 * FRAC_PI_2 * a * a);
    move |x| half / (1.0 + square * (x * x))
}

/// Slope of [`Surrogate::Sigmoid`].
#[inline(always)]
pub fn sigmoid(a: f32) -> impl Fn(f32) -> f32 + Copy + Sync {
    move |x| {
        let s = logistic(a * x);
        a * s * (1.0 - s)
    }
}

/// Slope of [`Surrogate::Triangle`].
#[inline(always)]
pub fn triangle(a: f32) -> impl Fn(f32) -> f32 + Copy + Sync {
    move |x| a * (1.0 - a * x.abs()).max(0.0)
}

/// Slope of [`Surrogate::SuperSpike`].
#[inline(always)]
pub fn super_spike(a: f32) -> impl Fn(f32) -> f32 + Copy + Sync {
    move |x| {
        let d = 1.0 + a * x.abs();
        1.0 / (d * d)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_derivatives() {
        for s in [Surrogate::Arctan(2.0), Surrogate::Sigmoid(4.0), Surrogate::Triangle(0.8), Surrogate::SuperSpike(10.0)] {
            for x in [-2.0f32, -0.7, -0.1, 0.05, 0.3, 1.1] {
                let e = 1e-3;
                let slope = (s.smooth(x + e) - s.smooth(x - e)) / (2.0 * e);
                assert!((slope - s.slope(x)).abs() < 2e-3, "{s:?} at {x}: {slope} {}", s.slope(x));
            }
        }
    }
}
