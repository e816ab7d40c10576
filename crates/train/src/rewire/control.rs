//! Steering of Grad R's prior, towards a connectivity or towards a budget that only a compiler can count.
//!
//! In: the connectivity found, every [`EVERY`] steps; what a [`Budget`] says, every few epochs. Out: penalty and centre of the prior.
//! Invariant: a function of the training so far alone; its state is in the checkpoint.

use crate::recipe::Sparsity;
use serde::Serialize;
use spikec_net::Network;

/// Training steps between two looks at the connectivity.
pub const EVERY: u64 = 25;
/// How strongly a deviation (in logarithms) turns the logarithm of the penalty, each time.
const GAIN: f64 = 0.2;
/// Most that one look raises it.
const MOST: f64 = 0.2;
/// How many times faster it falls: what is pruned by mistake is slow to regrow.
const FALL: f64 = 4.0;
/// Looks that it looks ahead: strengths take time to fall below 0, so what a penalty does is seen late.
const AHEAD: u64 = 4;
/// Factors of the recipe's penalty within which it stays.
const RANGE: (f64, f64) = (1e-3, 1e3);

/// What a network takes of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Usage {
    /// Words of synaptic memory: as packed, or where there are no `cores` an estimate.
    pub words: u64,
    /// Cores, where the network was packed.
    pub cores: Option<u32>,
    /// Largest share that is taken of a limit: 1 is all of it.
    pub share: f64,
    /// It was packed, and all limits hold.
    pub fits: bool,
}

/// A budget that is counted elsewhere: a chip's memory, by a compiler.
pub trait Budget {
    /// What a synapse costs at each place, in any unit: for each operator with weights, in the order of the network's projections
    /// and operators, as many values as it has weights. `None`: the same everywhere.
    ///
    /// # Errors
    /// Why it can't be said; training stops with it.
    fn marginal_costs(&mut self, network: &Network) -> Result<Option<Vec<Vec<f32>>>, String>;

    /// Compiles the network and says what it takes.
    ///
    /// # Errors
    /// Why it can't be compiled at any size; training stops with it.
    fn usage(&mut self, network: &Network) -> Result<Usage, String>;
}

/// The prior and its steering.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Control {
    /// Penalty now (alpha).
    pub penalty: f32,
    /// Connectivity that is wanted in the end.
    pub target: f64,
    /// Connectivity at the last look.
    pub before: f64,
    start: f32,
    steer: u32,
    most: f32,
}

impl Control {
    /// Of a method; others than Grad R have none.
    pub fn new(method: &Sparsity, connectivity: f64) -> Self {
        let (penalty, steer, most) = match method {
            Sparsity::GradR { penalty, steer, most, .. } => (*penalty, *steer, *most),
            _ => (0.0, 0, 0.0),
        };
        Control { penalty, target: connectivity, before: 1.0, start: penalty, steer, most }
    }

    /// Centre of the prior (mu), whose share above 0 is the target: `ln(2 c) / alpha` for c up to a half.
    pub fn centre(&self) -> f32 {
        let c = self.target;
        let x = if c <= 0.5 { (2.0 * c).ln() } else { -(2.0 * (1.0 - c)).ln() };
        (x / f64::from(self.penalty)) as f32
    }

    /// Turns the penalty after a look at the connectivity. What is wanted by now falls to the target and stays there; its logarithm with the square root of
    /// time: what is weak goes fast, then each of fewer synapses has longer.
    pub fn steer(&mut self, found: f64, step: u64, steps_in_epoch: u64) {
        if self.steer == 0 {
            return;
        }
        let found = found.max(1e-9);
        let then = (step + AHEAD * EVERY) as f64 / (u64::from(self.steer) * steps_in_epoch).max(1) as f64;
        let wanted = self.target.powf(then.min(1.0).sqrt());
        let expected = found.ln() + AHEAD as f64 * (found / self.before).ln();
        let turn = (GAIN * (expected - wanted.ln())).clamp(-FALL * MOST, MOST);
        self.before = found;
        let start = f64::from(self.start);
        let steering = step < u64::from(self.steer) * steps_in_epoch;
        let most = if steering { start.max(self.most.into()) } else { start * RANGE.1 };
        self.penalty = (f64::from(self.penalty) * turn.exp()).clamp(start * RANGE.0, most) as f32;
    }

    /// Changes the target after a look at a budget of which a `share` is taken: to the connectivity found, `found`, over that share. (Not
    /// the target itself is changed: the connectivity follows it late, and it would run away.)
    pub fn aim(&mut self, share: f64, found: f64) {
        self.target = (found.max(1e-6) / share.clamp(1e-3, 1e3)).clamp(1e-7, 1.0 - 1e-7);
    }
}
