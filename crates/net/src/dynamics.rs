//! What the reference interpreter asks of a number system: how weights act, and one step of one neuron.
//!
//! In: parameters and state of a neuron, the sum of its inputs. Out: its next state and whether it fires.
//! Invariant: docs/semantics.md, sections 2 (floats) and 3 (registers), to the letter. Delays and order are not known here.

use crate::fixed::{Bias, Fixed, FixedNeuron, FixedRules};
use crate::float::{FireRule, Float, FloatNeuron, FloatRules, ResetRule};
use crate::net::{Net, Number};
use serde::Serialize;
use std::borrow::Cow;

/// Events in which a register was too small; one count for each neuron and network step. Floats count nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counters {
    /// Currents that wrapped around.
    pub u_wraps: u64,
    /// Potentials that were clipped.
    pub v_clips: u64,
    /// Input sums beyond the accumulator of some public models (not wrapped).
    pub input_overflows: u64,
}

impl std::ops::AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        self.u_wraps += other.u_wraps;
        self.v_clips += other.v_clips;
        self.input_overflows += other.input_overflows;
    }
}

/// State of one neuron.
#[derive(Debug)]
pub struct NeuronState<'a, V> {
    /// Current.
    pub u: &'a mut V,
    /// Potential.
    pub v: &'a mut V,
    /// Steps until the neuron integrates again.
    pub wait: &'a mut u8,
}

/// A value that the interpreter can't compute with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {quantity} is {value}, expected {expected}")]
pub struct ValueError {
    /// `rules`, or the population and neuron.
    pub place: String,
    /// Name of the value.
    pub quantity: &'static str,
    /// The value.
    pub value: i64,
    /// The range.
    pub expected: &'static str,
}

/// A number system in which the reference can compute.
pub trait Dynamics: Number {
    /// A weight as it acts on the sum.
    type Acting: Copy + Send + Sync + std::fmt::Debug;
    /// The sum of the weights that act on a neuron in a step.
    type Sum: Copy + Send + Sync + Default;
    /// A current or a potential.
    type Value: Copy + Send + Sync + Default + PartialEq + Into<f64> + std::fmt::Debug;
    /// What a host map gives a neuron in a step.
    type Analog: Copy + Send + Sync + std::fmt::Debug;

    /// Checks that no value of the net leads out of the arithmetic.
    fn check(net: &Net<Self>) -> Result<(), ValueError>;
    /// The weights of a projection as they act.
    fn acting<'a>(rules: &Self::Rules, format: &Self::Format, weights: &'a [Self::Weight]) -> Cow<'a, [Self::Acting]>;
    /// Adds a weight to a sum.
    fn add(sum: &mut Self::Sum, weight: Self::Acting);
    /// Potential at the start of a sample; the current starts at zero.
    fn start(neuron: &Self::Neuron) -> Self::Value;
    /// One network step of one neuron with the input sum `q` and what the host gives it; true when it fires.
    fn step(
        rules: &Self::Rules,
        neuron: &Self::Neuron,
        state: NeuronState<'_, Self::Value>,
        q: Self::Sum,
        host: Option<Self::Analog>,
        counters: &mut Counters,
    ) -> bool;
}

impl Dynamics for Float {
    type Acting = f32;
    type Sum = f32;
    type Value = f32;
    /// A current, added to the sum.
    type Analog = f32;

    fn check(_: &Net<Self>) -> Result<(), ValueError> {
        Ok(())
    }

    fn acting<'a>(_: &FloatRules, _: &(), weights: &'a [f32]) -> Cow<'a, [f32]> {
        Cow::Borrowed(weights)
    }

    #[inline]
    fn add(sum: &mut f32, weight: f32) {
        *sum += weight;
    }

    fn start(neuron: &FloatNeuron) -> f32 {
        neuron.v_reset
    }

    #[inline]
    fn step(rules: &FloatRules, n: &FloatNeuron, state: NeuronState<'_, f32>, q: f32, host: Option<f32>, _: &mut Counters) -> bool {
        let q = host.map_or(q, |current| q + current);
        *state.u = n.keep_u * *state.u + q;
        *state.v = n.keep_v * *state.v + n.gain * *state.u + n.bias;
        let fires = n.threshold < f32::INFINITY
            && match rules.fire {
                FireRule::Greater => *state.v > n.threshold,
                FireRule::GreaterEqual => *state.v >= n.threshold,
            };
        if fires {
            match rules.reset {
                ResetRule::ToValue => *state.v = n.v_reset,
                ResetRule::Subtract => *state.v -= n.threshold,
            }
        }
        fires
    }
}

/// `value` times `keep` / 4096, the magnitude rounded down.
#[inline]
fn decayed(value: i32, decay: u16) -> i64 {
    // Integer division truncates toward zero, which is the shift of the magnitude.
    value as i64 * (4096 - decay as i64) / 4096
}

/// The low `bits` bits of `x` as a two's-complement number.
#[inline]
fn wrap(x: i64, bits: u8) -> i64 {
    let unused = 64 - bits as u32;
    x << unused >> unused
}

impl Dynamics for Fixed {
    type Acting = i32;
    /// Exact: the overflow counters need the true sum.
    type Sum = i64;
    type Value = i32;
    /// A bias, in the place of the neuron's own.
    type Analog = Bias;

    fn check(net: &Net<Self>) -> Result<(), ValueError> {
        let r = &net.rules;
        let rules = [
            ("align_shift", r.align_shift as i64, r.align_shift <= r.weight_limit_bits, "at most weight_limit_bits"),
            ("weight_limit_bits", r.weight_limit_bits as i64, r.weight_limit_bits <= 30, "at most 30"),
            ("input_bits", r.input_bits as i64, r.input_bits <= 62, "at most 62"),
            ("u_bits", r.u_bits as i64, (1..=32).contains(&r.u_bits), "1 to 32"),
            ("v_min", r.v_min as i64, r.v_min <= r.v_max, "at most v_max"),
            ("threshold_shift", r.threshold_shift as i64, r.threshold_shift <= 30, "at most 30"),
        ];
        if let Some(&(quantity, value, _, expected)) = rules.iter().find(|rule| !rule.2) {
            return Err(ValueError { place: "rules".into(), quantity, value, expected });
        }
        for p in &net.populations {
            for (i, n) in p.neurons().iter().enumerate() {
                let registers = [
                    ("decay_u", n.decay_u as i64, n.decay_u <= 4096, "at most 4096"),
                    ("decay_v", n.decay_v as i64, n.decay_v <= 4096, "at most 4096"),
                    ("bias exponent", n.bias.exponent as i64, n.bias.exponent <= Bias::MAX_EXPONENT, "at most 16"),
                ];
                if let Some(&(quantity, value, _, expected)) = registers.iter().find(|register| !register.2) {
                    return Err(ValueError { place: format!("population {}, neuron {i}", p.name), quantity, value, expected });
                }
            }
        }
        Ok(())
    }

    fn acting<'a>(rules: &FixedRules, format: &Self::Format, weights: &'a [i16]) -> Cow<'a, [i32]> {
        Cow::Owned(weights.iter().map(|&m| rules.acting_weight(m, format.exponent)).collect())
    }

    #[inline]
    fn add(sum: &mut i64, weight: i32) {
        *sum += weight as i64;
    }

    fn start(_: &FixedNeuron) -> i32 {
        0
    }

    #[inline]
    fn step(rules: &FixedRules, n: &FixedNeuron, state: NeuronState<'_, i32>, q: i64, host: Option<Bias>, counters: &mut Counters) -> bool {
        counters.input_overflows += (q.abs() > 1 << rules.input_bits) as u64;
        let u = decayed(*state.u, n.decay_u) + q;
        let wrapped = wrap(u, rules.u_bits);
        counters.u_wraps += (wrapped != u) as u64;
        *state.u = wrapped as i32;
        if *state.wait > 0 {
            *state.wait -= 1;
            return false;
        }
        let v = decayed(*state.v, n.decay_v) + wrapped + host.unwrap_or(n.bias).value() as i64;
        let clipped = v.clamp(rules.v_min as i64, rules.v_max as i64);
        counters.v_clips += (clipped != v) as u64;
        *state.v = clipped as i32;
        let fires = clipped > (n.threshold as i64) << rules.threshold_shift;
        if fires {
            *state.v = 0;
            *state.wait = n.refractory.saturating_sub(1);
        }
        fires
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps one register neuron through `inputs` and returns (u, v, fired) after each.
    fn run(n: &FixedNeuron, inputs: &[(i64, Option<Bias>)]) -> (Vec<(i32, i32, bool)>, Counters) {
        let (mut u, mut v, mut wait, mut counters) = (0, 0, 0, Counters::default());
        let states = inputs.iter().map(|&(q, host)| {
            let state = NeuronState { u: &mut u, v: &mut v, wait: &mut wait };
            let fired = Fixed::step(&FixedRules::default(), n, state, q, host, &mut counters);
            (u, v, fired)
        });
        (states.collect(), counters)
    }

    fn neuron(decay_u: u16, decay_v: u16, threshold: u32, refractory: u8) -> FixedNeuron {
        FixedNeuron { decay_u, decay_v, threshold, refractory, bias: Bias::default() }
    }

    #[test]
    fn decays_truncate_the_magnitude() {
        assert_eq!((decayed(5, 1024), decayed(-5, 1024)), (3, -3));
        assert_eq!((decayed(-1, 1), decayed(-1, 0), decayed(1 << 23, 4096)), (0, -1, 0));
        let (states, _) = run(&neuron(2048, 1024, 1000, 1), &[(-7, None), (0, None), (0, None)]);
        assert_eq!(states, [(-7, -7, false), (-3, -8, false), (-1, -7, false)]);
    }

    #[test]
    fn fires_strictly_above_the_threshold() {
        let (states, _) = run(&neuron(4096, 0, 1, 1), &[(64, None), (1, None), (65, None)]);
        assert_eq!(states, [(64, 64, false), (1, 0, true), (65, 0, true)]);
    }

    #[test]
    fn refractory_steps_lose_potential_but_not_current() {
        let (states, _) = run(&neuron(0, 0, 1, 3), &[(65, None), (10, None), (0, None), (-74, None), (0, None)]);
        assert_eq!(states, [(65, 0, true), (75, 0, false), (75, 0, false), (1, 1, false), (1, 2, false)]);
        let (states, _) = run(&neuron(4096, 0, 1, 1), &[(65, None), (65, None)]);
        assert!(states[0].2 && states[1].2, "a refractory period of 1 loses no step");
    }

    #[test]
    fn u_wraps_and_v_clips_and_both_are_counted() {
        let (states, counters) = run(&neuron(0, 0, 1 << 17, 1), &[(1 << 23, None)]);
        assert_eq!(states, [(-(1 << 23), -(1 << 23) + 1, false)]);
        assert_eq!(counters, Counters { u_wraps: 1, v_clips: 1, input_overflows: 1 });
        let (states, counters) = run(&neuron(0, 0, 1 << 17, 1), &[(-(1 << 23), None), (-1, None)]);
        assert_eq!(states[1], ((1 << 23) - 1, 0, false));
        assert_eq!(counters, Counters { u_wraps: 1, v_clips: 1, input_overflows: 1 });
        let top = (1i32 << 23) - 1;
        let (states, counters) = run(&neuron(0, 0, 1 << 17, 1), &[(top as i64, None), (0, None)]);
        assert_eq!((states[1].1, counters.v_clips, counters.u_wraps), (top, 1, 0));
        let (_, counters) = run(&neuron(4096, 4096, 1 << 17, 1), &[(1 << 21, None), (-(1 << 21), None), ((1 << 21) + 1, None)]);
        assert_eq!(counters.input_overflows, 1, "2^21 itself doesn't pass it");
    }

    #[test]
    fn the_width_of_the_input_only_counts() {
        let run = |rules: FixedRules, q: i64| {
            let (mut u, mut v, mut wait, mut counters) = (0, 0, 0, Counters::default());
            let state = NeuronState { u: &mut u, v: &mut v, wait: &mut wait };
            Fixed::step(&rules, &neuron(0, 0, 1000, 1), state, q, None, &mut counters);
            (u, v, counters.input_overflows)
        };
        let narrow = FixedRules { input_bits: 8, ..FixedRules::default() };
        assert_eq!((run(narrow, 257), run(narrow, -256)), ((257, 257, 1), (-256, -256, 0)));
        let wide = FixedRules { input_bits: 22, ..FixedRules::default() };
        assert_eq!((run(FixedRules::default(), (1 << 21) + 1).2, run(wide, (1 << 21) + 1).2), (1, 0));
    }

    #[test]
    fn a_clipped_potential_can_fire() {
        let (states, counters) = run(&neuron(0, 0, 1 << 16, 1), &[((1 << 23) - 1, None), (0, None)]);
        assert!(states.iter().all(|s| s.2 && s.1 == 0), "{states:?}");
        assert_eq!(counters.v_clips, 0);
    }

    #[test]
    fn the_host_replaces_the_bias() {
        let mut n = neuron(4096, 4096, 1000, 1);
        n.bias = Bias { mantissa: 7, exponent: 2 };
        let (states, _) = run(&n, &[(0, None), (0, Some(Bias { mantissa: -3, exponent: 1 })), (1, None)]);
        assert_eq!(states.iter().map(|s| s.1).collect::<Vec<_>>(), [28, -6, 29]);
    }

    #[test]
    fn float_rules() {
        let n = FloatNeuron { keep_u: 0.5, keep_v: 0.5, gain: 2.0, bias: 0.25, threshold: 1.0, v_reset: -0.5 };
        let step = |fire, reset, v: f32, q: f32, host| {
            let (mut u, mut v, mut wait) = (1.0, v, 0);
            let state = NeuronState { u: &mut u, v: &mut v, wait: &mut wait };
            let fired = Float::step(&FloatRules { fire, reset }, &n, state, q, host, &mut Counters::default());
            (u, v, fired)
        };
        // v = 0.5 * v + 2 * (0.5 + q) + 0.25
        assert_eq!(step(FireRule::Greater, ResetRule::ToValue, -0.5, 0.0, None), (0.5, 1.0, false));
        assert_eq!(step(FireRule::GreaterEqual, ResetRule::ToValue, -0.5, 0.0, None), (0.5, -0.5, true));
        assert_eq!(step(FireRule::GreaterEqual, ResetRule::Subtract, -0.5, 0.0, Some(0.5)), (1.0, 1.0, true));
        let readout = FloatNeuron { threshold: f32::INFINITY, ..n };
        let (mut u, mut v, mut wait) = (f32::MAX, f32::MAX, 0);
        let state = NeuronState { u: &mut u, v: &mut v, wait: &mut wait };
        let rules = FloatRules { fire: FireRule::GreaterEqual, reset: ResetRule::ToValue };
        assert!(!Float::step(&rules, &readout, state, f32::MAX, None, &mut Counters::default()));
        assert_eq!(v, f32::INFINITY);
    }
}
