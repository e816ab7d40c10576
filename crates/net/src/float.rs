//! Floats: neurons as trained, one network step at a time.
//!
//! The step (docs/semantics.md, section 2), all in f32:
//! `u = keep_u * u + q; v = keep_v * v + gain * u + bias`, spike when `v` passes the threshold, then reset.

use crate::net::Number;
use serde::{Deserialize, Serialize};

/// Whether a neuron fires at the threshold or above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FireRule {
    /// v > threshold.
    Greater,
    /// v >= threshold.
    GreaterEqual,
}

/// What a spike does to the potential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResetRule {
    /// v := v_reset (hard reset).
    ToValue,
    /// v := v - threshold (soft reset).
    Subtract,
}

/// Rules shared by all neurons of a float net.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FloatRules {
    /// Fires at `>` or `>=`.
    pub fire: FireRule,
    /// Hard or soft reset.
    pub reset: ResetRule,
}

impl FloatRules {
    /// True where a spike takes the threshold from a potential of which the next step keeps something: where soft reset differs from a hard one.
    pub fn subtracts(&self, n: &FloatNeuron) -> bool {
        self.reset == ResetRule::Subtract && n.threshold < f32::INFINITY && n.keep_v != 0.0
    }
    /// True where a constant of the neuron comes from the constant source: its current is filtered, or a chip will keep its potential there.
    pub fn constant_enters_current(&self, n: &FloatNeuron) -> bool {
        n.keep_u != 0.0 || (self.subtracts(n) && n.gain != 0.0)
    }
}

/// Parameters of a neuron in steps. A neuron starts each sample at `v = v_reset`, `u = 0`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FloatNeuron {
    /// Share of the current kept in a step, 0 = no current memory.
    pub keep_u: f32,
    /// Share of the potential kept in a step.
    pub keep_v: f32,
    /// Factor from the current to the potential.
    pub gain: f32,
    /// Added to the potential in each step.
    pub bias: f32,
    /// Threshold; infinite for a neuron that never fires.
    pub threshold: f32,
    /// Potential after a hard reset and at the start.
    pub v_reset: f32,
}

/// The number system of trained nets.
#[derive(Debug, Clone, PartialEq)]
pub struct Float;

impl Number for Float {
    type Weight = f32;
    type Neuron = FloatNeuron;
    /// Nothing is shared by float weights.
    type Format = ();
    type Rules = FloatRules;
}
