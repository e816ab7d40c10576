//! Parameters of neurons: from floats to the chip's coordinates (reset at 0), then to registers.
//!
//! In: float neurons, then the scale of each. Out: [`Prepared`], then fixed neurons and their errors.
//! Invariant: every register is in the target's range; what had to be moved there is counted and warned about (C13).

use super::report::PopulationQuantized;
use super::{Registers, input_role, soft};
use crate::finding::Finding;
use spikec_data::bias_register;
use spikec_net::{Bias, FireRule, Fixed, FixedNeuron, FixedRules, Float, FloatNeuron, Net, Population, Role};
use std::collections::BTreeSet;

/// A neuron with v measured from its reset: it starts at 0 and is reset to 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shifted {
    /// Share of the current kept, as trained.
    pub keep_u: f64,
    /// Share of the potential kept, as trained.
    pub keep_v: f64,
    /// Factor from the current to the potential.
    pub gain: f64,
    /// `bias + (keep_v - 1) * v_reset`.
    pub bias: f64,
    /// `threshold - v_reset`; infinite for a readout.
    pub threshold: f64,
    /// Register.
    pub decay_u: u16,
    /// Register.
    pub decay_v: u16,
    /// Its potential lives in its current, from which a spike subtracts (`soft.rs`).
    pub soft: bool,
}

/// The neurons of a population in the chip's coordinates; empty for inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// The neurons.
    pub neurons: Vec<Shifted>,
}

/// All populations in the chip's coordinates. What no register holds is found (C13), and a neuron that can be held stands in its place.
pub fn prepare(net: &Net<Float>, registers: &Registers, findings: &mut Vec<Finding>) -> Vec<Prepared> {
    let one = |p: &Population<Float>| {
        let mut unheld: Vec<Unheld> = Vec::new();
        let neurons = p.neurons().iter().zip(&p.origin).map(|(n, &origin)| {
            shifted(n, registers).unwrap_or_else(|(what, found, expected, limit)| {
                match unheld.iter_mut().find(|u| u.what == what) {
                    Some(u) => u.more += 1,
                    None => unheld.push(Unheld { what, origin, found, expected, limit, more: 0 }),
                }
                shifted(&STAND_IN, registers).expect("a plain neuron can be held")
            })
        });
        let into_current =
            |(n, given): (Shifted, &FloatNeuron)| if net.rules.subtracts(given) { soft::into_current(n, registers) } else { n };
        let neurons = neurons.zip(p.neurons()).map(into_current).collect();
        let prepared = Prepared { neurons };
        findings.extend(unheld.iter().map(|u| u.finding(&p.name)));
        prepared
    };
    net.populations.iter().map(one).collect()
}

const STAND_IN: FloatNeuron = FloatNeuron { keep_u: 0.0, keep_v: 0.0, gain: 1.0, bias: 0.0, threshold: 1.0, v_reset: 0.0 };

/// A parameter that no register holds: of which neuron first, and of how many more.
struct Unheld {
    what: &'static str,
    origin: u32,
    found: f64,
    expected: &'static str,
    limit: f64,
    more: usize,
}

impl Unheld {
    fn finding(&self, layer: &str) -> Finding {
        let more = if self.more > 0 { format!(" (and {} more)", self.more) } else { String::new() };
        let remedy = format!("expected {}: change the neuron's parameter, or dt", self.expected);
        Finding::error("C13", format!("{}, neuron {}{more}", self.what, self.origin), self.found, self.limit, remedy).layer(layer)
    }
}

/// One neuron; the error is (parameter, value, expected, nearest value).
fn shifted(n: &FloatNeuron, registers: &Registers) -> Result<Shifted, (&'static str, f64, &'static str, f64)> {
    for (what, value) in [("share of the current kept", n.keep_u), ("share of the potential kept", n.keep_v)] {
        if !(0.0..=1.0).contains(&value) {
            return Err((what, value as f64, "0 to 1 (dt at most the time constant)", if value < 0.0 { 0.0 } else { 1.0 }));
        }
    }
    for (what, value) in [("gain", n.gain), ("bias", n.bias), ("reset potential", n.v_reset)] {
        if !value.is_finite() {
            return Err((what, value as f64, "a finite number", f32::MAX.into()));
        }
    }
    let (keep_u, keep_v, v_reset) = (n.keep_u as f64, n.keep_v as f64, n.v_reset as f64);
    let threshold = n.threshold as f64 - v_reset;
    if threshold.is_nan() || threshold <= 0.0 {
        return Err(("threshold above the reset potential", threshold, "more than 0", 0.0));
    }
    let decay =
        |keep: f64, (least, most): (u32, u32)| ((1.0 - keep) * registers.decay_one as f64).round().clamp(least as f64, most as f64) as u16;
    Ok(Shifted {
        keep_u,
        keep_v,
        gain: n.gain as f64,
        bias: n.bias as f64 + (keep_v - 1.0) * v_reset,
        threshold,
        decay_u: decay(keep_u, registers.decay_u),
        decay_v: decay(keep_v, registers.decay_v),
        soft: false,
    })
}

/// Threshold mantissa for a scale; `None` where the threshold is infinite (the largest one then).
fn threshold(n: &Shifted, v_units: f64, fire: FireRule, rules: &FixedRules, registers: &Registers) -> (u32, f64) {
    if n.threshold.is_infinite() {
        return (registers.threshold, 0.0);
    }
    let below = (fire == FireRule::GreaterEqual) as u32 as f64;
    let ideal = n.threshold * v_units / 2f64.powi(rules.threshold_shift as i32);
    let mantissa = (ideal.round() - below).clamp(1.0, registers.reachable as f64);
    (mantissa as u32, (mantissa + below - ideal).abs() / ideal)
}

/// The population in registers, its errors, and findings about what had to be moved into range.
pub fn registers(
    net: &Net<Float>,
    population: &Population<Float>,
    prepared: &Prepared,
    v_units: &[f64],
    rules: &FixedRules,
    registers: &Registers,
    findings: &mut Vec<Finding>,
) -> (Role<Fixed>, PopulationQuantized) {
    let mut report = PopulationQuantized::new(&population.name, prepared.neurons.len());
    if population.is_input() {
        return (input_role(&population.role), report);
    }
    let (mut thresholds, mut neurons) = (BTreeSet::new(), Vec::with_capacity(prepared.neurons.len()));
    let (mut slow, mut saturated) = (Worst::default(), Worst::default());
    for (n, &units) in prepared.neurons.iter().zip(v_units) {
        let (mantissa, error) = threshold(n, units, net.rules.fire, rules, registers);
        thresholds.insert(mantissa);
        report.threshold_error = report.threshold_error.max(error);

        let kept = |decay: u16| 1.0 - decay as f64 / registers.decay_one as f64;
        for (keep, decay, worst) in [(n.keep_u, n.decay_u, &mut report.keep_u_error), (n.keep_v, n.decay_v, &mut report.keep_v_error)] {
            let error = (kept(decay) - keep).abs();
            *worst = worst.max(error);
            // A time constant that is off by more than 5 %; keeping all (keep = 1) can't be compared that way.
            slow.add(if keep < 1.0 { error / (1.0 - keep) } else { error * registers.decay_one as f64 }, 0.05);
        }

        let ideal = n.bias * units;
        let bias = bias_register(ideal, registers.bias_mantissa, registers.bias_exponent);
        saturated.add(ideal.abs(), if bias.saturated { 0.0 } else { f64::INFINITY });
        let bias = Bias { mantissa: bias.mantissa, exponent: bias.exponent };
        report.bias_error = report.bias_error.max((bias.value() as f64 - ideal).abs());
        neurons.push(FixedNeuron {
            decay_u: n.decay_u,
            decay_v: n.decay_v,
            threshold: mantissa,
            refractory: 1u8.clamp(registers.refractory.0, registers.refractory.1),
            bias,
        });
    }
    report.thresholds = thresholds.into_iter().collect();
    let remedy = "use a larger dt, or expect the rounded time constants";
    findings.extend(slow.finding("relative error of a decay", 0.05, remedy, &population.name));
    let remedy = "the bias is many thresholds a step: expect the largest register instead";
    findings.extend(saturated.finding("bias (v units)", registers.bias_max(), remedy, &population.name));
    if report.threshold_error > 1.0 / 256.0 {
        let remedy = "the thresholds differ too much for one scale: don't compare the potentials of this population";
        findings.push(
            Finding::warning("C13", "relative error of a threshold", report.threshold_error, 1.0 / 256.0, remedy).layer(&population.name),
        );
    }
    (Role::Neurons(neurons), report)
}

/// The worst of the values beyond a limit, and how many there are.
#[derive(Debug, Default)]
pub struct Worst {
    count: usize,
    value: f64,
}

impl Worst {
    /// Takes note of `value` when it is beyond `limit`.
    pub fn add(&mut self, value: f64, limit: f64) {
        if value > limit {
            self.count += 1;
            self.value = self.value.max(value);
        }
    }
    /// A C13 warning, if there was any.
    fn finding(&self, what: &str, limit: f64, remedy: &str, layer: &str) -> Option<Finding> {
        let resource = format!("{what}, {} registers", self.count);
        (self.count > 0).then(|| Finding::warning("C13", resource, self.value, limit, remedy).layer(layer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTERS: Registers = Registers {
        decay_one: 4096,
        decay_u: (1, 4096),
        decay_v: (0, 4095),
        threshold: 131_071,
        reachable: 131_071,
        bias_mantissa: 4095,
        bias_exponent: 7,
        refractory: (1, 64),
    };
    const LIF: FloatNeuron = FloatNeuron { keep_u: 0.0, keep_v: 0.5, gain: 0.5, bias: 0.25, threshold: 1.0, v_reset: 0.0 };

    #[test]
    fn the_reset_is_moved_to_zero() {
        // In both coordinates: three steps with u = 0.3, by hand.
        let n = FloatNeuron { v_reset: -0.5, ..LIF };
        let s = shifted(&n, &REGISTERS).unwrap();
        let (mut v, mut w) = (n.v_reset as f64, 0.0);
        for _ in 0..3 {
            v = 0.5 * v + 0.5 * 0.3 + 0.25;
            w = s.keep_v * w + s.gain * 0.3 + s.bias;
        }
        assert!((v - (w - 0.5)).abs() < 1e-12);
        assert_eq!(s.threshold, 1.5);
        assert_eq!((s.decay_u, s.decay_v), (4096, 2048));
    }

    #[test]
    fn decays_are_clamped_to_their_ranges_and_nonsense_is_refused() {
        let s = shifted(&FloatNeuron { keep_u: 1.0, keep_v: 0.0, ..LIF }, &REGISTERS).unwrap();
        assert_eq!((s.decay_u, s.decay_v), (1, 4095));
        for bad in [
            FloatNeuron { keep_v: 1.5, ..LIF },
            FloatNeuron { keep_u: -0.1, ..LIF },
            FloatNeuron { keep_u: f32::NAN, ..LIF },
            FloatNeuron { threshold: 0.0, ..LIF },
            FloatNeuron { threshold: 1.0, v_reset: 2.0, ..LIF },
            FloatNeuron { threshold: f32::NAN, ..LIF },
            FloatNeuron { gain: f32::INFINITY, ..LIF },
        ] {
            assert!(shifted(&bad, &REGISTERS).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_fire_rules_agree_on_the_smallest_v_that_fires() {
        let rules = FixedRules::default();
        let s = shifted(&LIF, &REGISTERS).unwrap();
        let units = 64.0 * 1000.0;
        let (greater, _) = threshold(&s, units, FireRule::Greater, &rules, &REGISTERS);
        let (equal, error) = threshold(&s, units, FireRule::GreaterEqual, &rules, &REGISTERS);
        assert_eq!((greater, equal, error), (1000, 999, 0.0));
        // v = threshold exactly: only >= fires.
        let v = units as i64;
        assert!(v <= (greater as i64) << 6 && v > (equal as i64) << 6);
        assert_eq!(threshold(&Shifted { threshold: f64::INFINITY, ..s }, 1.0, FireRule::Greater, &rules, &REGISTERS).0, 131_071);
    }
}
