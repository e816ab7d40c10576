//! The registers of crossbar chips (RANC, TrueNorth): integrate-and-fire neurons with an additive leak.
//!
//! The step law is docs/semantics.md, section 10.

use crate::dynamics::{Counters, Dynamics, NeuronState, ValueError};
use crate::liveness::Liveness;
use crate::net::{Net, Number};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What a potential does beyond its bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PotentialOverflow {
    /// Its low bits stay, as a two's-complement number.
    Wrap,
    /// It stays at the end of its range.
    Saturate,
}

/// Rules shared by all neurons of a net for a crossbar chip; they come from the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrossbarRules {
    /// Bits of a potential, sign included, at most 32.
    pub potential_bits: u8,
    /// What it does beyond them, once the inputs and the leak of a step are added.
    pub overflow: PotentialOverflow,
    /// True where a potential is reset at the negative threshold itself, false where only below it.
    pub floor_inclusive: bool,
}

impl CrossbarRules {
    /// Least and largest potential.
    pub fn range(&self) -> (i64, i64) {
        let half = 1i64 << (self.potential_bits.clamp(1, 32) - 1);
        (-half, half - 1)
    }

    fn held(&self, v: i64) -> i64 {
        let (least, most) = self.range();
        match self.overflow {
            PotentialOverflow::Wrap => (v - least).rem_euclid(most - least + 1) + least,
            PotentialOverflow::Saturate => v.clamp(least, most),
        }
    }
}

/// Registers of a neuron.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrossbarNeuron {
    /// Added in each step, after the inputs.
    pub leak: i32,
    /// It fires at this potential and above.
    pub threshold: i32,
    /// Negative threshold: beyond it the potential is reset without a spike.
    pub floor: i32,
    /// Potential after a spike, its negative beyond the floor (only where the reset isn't linear).
    pub reset: i32,
    /// True where the threshold that was passed is taken away.
    pub linear: bool,
    /// Potential at the start.
    pub start: i32,
}

/// The number system of crossbar chips.
#[derive(Debug, Clone, PartialEq)]
pub struct Crossbar;

impl Number for Crossbar {
    /// As it acts: the sum of a neuron's weights over the axons that the source enters by.
    type Weight = i32;
    type Neuron = CrossbarNeuron;
    type Format = ();
    type Rules = CrossbarRules;
}

impl Dynamics for Crossbar {
    type Acting = i32;
    type Sum = i64;
    type Value = i32;
    /// Nothing: neurons have no bias that a host writes.
    type Analog = ();

    fn check(net: &Net<Self>) -> Result<(), ValueError> {
        let bits = net.rules.potential_bits;
        if (1..=32).contains(&bits) {
            return Ok(());
        }
        Err(ValueError { place: "rules".into(), quantity: "potential_bits", value: bits.into(), expected: "1 to 32" })
    }

    fn acting<'a>(_: &CrossbarRules, _: &(), weights: &'a [i32]) -> Cow<'a, [i32]> {
        Cow::Borrowed(weights)
    }

    #[inline]
    fn add(sum: &mut i64, weight: i32) {
        *sum += i64::from(weight);
    }

    fn start(neuron: &CrossbarNeuron) -> i32 {
        neuron.start
    }

    #[inline]
    fn step(
        rules: &CrossbarRules,
        n: &CrossbarNeuron,
        state: NeuronState<'_, i32>,
        q: i64,
        _: Option<()>,
        counters: &mut Counters,
    ) -> bool {
        let sum = i64::from(*state.v) + q + i64::from(n.leak);
        let v = rules.held(sum);
        counters.v_clips += u64::from(v != sum);
        let (threshold, floor) = (i64::from(n.threshold), i64::from(n.floor));
        let fires = v >= threshold;
        let low = !fires && if rules.floor_inclusive { v <= floor } else { v < floor };
        let next = match (fires, low, n.linear) {
            (true, _, true) => v - threshold,
            (true, _, false) => n.reset.into(),
            (_, true, true) => v - floor,
            (_, true, false) => -i64::from(n.reset),
            _ => v,
        };
        *state.v = rules.held(next) as i32;
        fires
    }
}

impl Liveness for Crossbar {
    /// Without input the potential goes up by the leak, in steps, until it fires; where it goes down it may wrap.
    fn fires_alone(_: &CrossbarRules, n: &CrossbarNeuron) -> bool {
        n.leak != 0 || n.start >= n.threshold || n.reset >= n.threshold
    }

    fn moves_alone(n: &CrossbarNeuron) -> bool {
        n.leak != 0 || n.start != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTL: CrossbarRules = CrossbarRules { potential_bits: 9, overflow: PotentialOverflow::Wrap, floor_inclusive: false };
    const NEURON: CrossbarNeuron = CrossbarNeuron { leak: 0, threshold: 10, floor: -20, reset: 3, linear: false, start: 0 };

    /// (potential, fired) after each step.
    fn run(rules: CrossbarRules, n: CrossbarNeuron, inputs: &[i64]) -> (Vec<(i32, bool)>, u64) {
        let (mut u, mut v, mut wait, mut counters) = (0, Crossbar::start(&n), 0, Counters::default());
        let step = |&q: &i64| {
            let state = NeuronState { u: &mut u, v: &mut v, wait: &mut wait };
            let fired = Crossbar::step(&rules, &n, state, q, None, &mut counters);
            (v, fired)
        };
        let states = inputs.iter().map(step).collect();
        (states, counters.v_clips)
    }

    #[test]
    fn both_resets_and_both_thresholds() {
        assert_eq!(run(RTL, NEURON, &[9, 1, -23, -1]).0, [(9, false), (3, true), (-20, false), (-3, false)]);
        let linear = CrossbarNeuron { linear: true, ..NEURON };
        assert_eq!(run(RTL, linear, &[17, -28]).0, [(7, true), (-1, false)]);
        let inclusive = CrossbarRules { floor_inclusive: true, ..RTL };
        assert_eq!(run(inclusive, NEURON, &[-20]).0, [(-3, false)]);
        assert_eq!(run(inclusive, linear, &[-20, -25]).0, [(0, false), (-5, false)]);
    }

    #[test]
    fn the_leak_is_added_after_the_inputs_and_may_fire() {
        let n = CrossbarNeuron { leak: 4, start: 1, ..NEURON };
        assert_eq!(run(RTL, n, &[0, 2, 0]).0, [(5, false), (3, true), (7, false)]);
    }

    #[test]
    fn nine_bits_wrap_and_twenty_saturate() {
        let n = CrossbarNeuron { threshold: 255, floor: -256, ..NEURON };
        assert_eq!(run(RTL, n, &[200, 100]), (vec![(200, false), (-212, false)], 1));
        let saturating = CrossbarRules { overflow: PotentialOverflow::Saturate, ..RTL };
        assert_eq!(run(saturating, n, &[200, 100, -1000]), (vec![(200, false), (3, true), (-256, false)], 2));
        // A reset by subtraction may wrap too: 255 - -256.
        let n = CrossbarNeuron { threshold: -256, linear: true, ..NEURON };
        assert_eq!(run(RTL, n, &[255]).0, [(-1, true)]);
        let wide = CrossbarRules { potential_bits: 32, ..RTL };
        assert_eq!(run(wide, NEURON, &[i64::from(i32::MAX) + 1]), (vec![(-3, false)], 1));
    }
}
