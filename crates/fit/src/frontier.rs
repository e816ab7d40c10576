//! What a network loses for what it saves, over a ladder of budgets.
//!
//! In: points, measured. Out: the same by method, and the knee of each.
//! Invariant: a knee is one of the points. Cost: linear.

use crate::fit::{Method, Score, Width};
use serde::Serialize;

/// A fitted and measured network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// Method.
    pub method: Method,
    /// Bytes of synaptic memory that it was allowed.
    pub allowed_bytes: u64,
    /// Bytes that it takes.
    pub memory_bytes: u64,
    /// Words that it takes.
    pub words: u64,
    /// Width taken.
    pub width: Width,
    /// Cores.
    pub cores: u32,
    /// Synapses on the chip.
    pub synapses: u64,
    /// Against the network as trained, on calibration samples held back.
    pub score: Score,
    /// Of the samples of the test, the share with the right class; `None` without labels.
    pub accuracy: Option<f64>,
    /// Of the samples of the test, the share with the trained network's class; `None` without a test.
    pub agreement: Option<f64>,
    /// Synaptic operations for a sample.
    pub synaptic_ops: f64,
    /// Energy for a sample, in pJ (analytic timing).
    pub energy_pj: f64,
    /// Time for a sample, in ps (analytic timing).
    pub latency_ps: f64,
}

impl Point {
    /// What is plotted: the share of samples that keep their class, of the test where there is one.
    pub fn quality(&self) -> f64 {
        self.agreement.unwrap_or(self.score.agreement)
    }
}

/// The knee of a method's points (by falling memory): the point farthest above the straight line between the ends, memory taken as its
/// logarithm (the *kneedle* of Satopaa et al. 2011). `None` for fewer than three points.
pub fn knee(points: &[&Point]) -> Option<usize> {
    let (first, last) = (points.first()?, points.last()?);
    let x = |p: &Point| (p.memory_bytes.max(1) as f64).ln();
    let (width, height) = (x(first) - x(last), first.quality() - last.quality());
    if points.len() < 3 || width <= 0.0 || height <= 0.0 {
        return None;
    }
    let above = |p: &Point| (p.quality() - last.quality()) / height - (x(p) - x(last)) / width;
    (0..points.len()).max_by(|&a, &b| above(points[a]).total_cmp(&above(points[b])).then(b.cmp(&a)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use spikec_compile::Signs;

    fn point(bytes: u64, quality: f64) -> Point {
        Point {
            method: Method::default(),
            allowed_bytes: bytes,
            memory_bytes: bytes,
            words: bytes / 8,
            width: Width { bits: 3, output_bits: 5, signs: Signs::Mixed },
            cores: 1,
            synapses: 1,
            score: Score { samples: 10, agreement: quality, distance: 0.0, divergence: 0.0 },
            accuracy: None,
            agreement: None,
            synaptic_ops: 0.0,
            energy_pj: 0.0,
            latency_ps: 0.0,
        }
    }

    #[test]
    fn the_knee_is_where_the_loss_begins() {
        let points: Vec<Point> = [(1024, 0.99), (512, 0.985), (256, 0.98), (128, 0.80), (64, 0.6)].map(|(b, q)| point(b, q)).into();
        let all: Vec<&Point> = points.iter().collect();
        assert_eq!(knee(&all), Some(2));
        assert_eq!(knee(&all[..2]), None);
        let flat = [point(9, 0.5), point(8, 0.5), point(7, 0.5)];
        assert_eq!(knee(&flat.iter().collect::<Vec<_>>()), None);
    }
}
