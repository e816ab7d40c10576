//! What integers lose of a population's weights, for chips whose weights have few levels.

use crate::finding::Finding;
use spikec_net::{Net, Number};

/// Squares of weights and of their errors, each in units of its neuron's threshold.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Lost {
    weights: f64,
    errors: f64,
}

impl Lost {
    /// Counts a weight and its error.
    pub(crate) fn add(&mut self, weight: f64, error: f64) {
        self.weights += weight * weight;
        self.errors += error * error;
    }

    /// Root of (squared errors / squared weights); 0 without weights.
    pub fn relative(&self) -> f64 {
        if self.weights > 0.0 { (self.errors / self.weights).sqrt() } else { 0.0 }
    }
}

impl std::ops::Add for Lost {
    type Output = Lost;
    fn add(self, o: Lost) -> Lost {
        Lost { weights: self.weights + o.weights, errors: self.errors + o.errors }
    }
}

/// C17: populations whose weights lose more than is allowed.
pub(crate) fn beyond<N: Number>(net: &Net<N>, lost: &[Lost], allowed: f64) -> impl Iterator<Item = Finding> {
    let of = net.populations.iter().zip(lost).filter(move |(_, l)| l.relative() > allowed);
    let remedy = "give calibration data, fewer or more --axons-per-source on a crossbar, retrain with smaller ranges of weights and potentials, or allow it with --weight-error";
    of.map(move |(p, l)| {
        Finding::error("C17", "error of the weights, of their root mean square", l.relative(), allowed, remedy).layer(&p.name)
    })
}
