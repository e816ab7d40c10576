//! From a neuron model in continuous time to a neuron in steps.
//!
//! In: a [`NeuronModel`] and its [`Conventions`]. Out: one [`StepNeuron`] a neuron, in f64.
//! Invariant: every parameter was finite and every time constant positive; formulas are the table in docs/semantics.md, section 2.

use crate::elaborate::ElaborateError;
use crate::float::{FireRule, FloatNeuron};
use crate::network::{Conventions, Discretization, NeuronModel};

/// A neuron in steps before rounding; the fields are those of [`FloatNeuron`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct StepNeuron {
    pub keep_u: f64,
    pub keep_v: f64,
    pub gain: f64,
    pub bias: f64,
    pub threshold: f64,
    pub v_reset: f64,
}

impl StepNeuron {
    /// Rounds every field to f32 once; the name of the field that isn't finite any more otherwise.
    /// Only the threshold may be infinite, when it is so from the start (a readout).
    pub(crate) fn round(&self) -> Result<FloatNeuron, (&'static str, f64)> {
        let fields = [
            ("keep_u", self.keep_u),
            ("keep_v", self.keep_v),
            ("gain", self.gain),
            ("bias", self.bias),
            ("threshold", if self.threshold == f64::INFINITY { 0.0 } else { self.threshold }),
            ("v_reset", self.v_reset),
        ];
        if let Some(&bad) = fields.iter().find(|(_, x)| !(*x as f32).is_finite()) {
            return Err(bad);
        }
        Ok(FloatNeuron {
            keep_u: self.keep_u as f32,
            keep_v: self.keep_v as f32,
            gain: self.gain as f32,
            bias: self.bias as f32,
            threshold: self.threshold as f32,
            v_reset: self.v_reset as f32,
        })
    }
}

/// The arrays of one population, checked for length and finite values.
struct Parameters<'a> {
    population: &'a str,
    n: usize,
    dt: f64,
    rule: Discretization,
}

impl Parameters<'_> {
    fn check(&self, parameter: &'static str, values: &[f32]) -> Result<(), ElaborateError> {
        let population = || self.population.to_string();
        if values.len() != self.n {
            let (found, expected) = (values.len(), self.n);
            return Err(ElaborateError::ParameterLength { population: population(), parameter, found, expected });
        }
        match values.iter().position(|x| !x.is_finite()) {
            Some(index) => Err(ElaborateError::ParameterNotFinite { population: population(), parameter, index, value: values[index] }),
            None => Ok(()),
        }
    }

    /// Checks a time constant and returns, for each neuron, what a step keeps and what it takes in.
    fn decay(&self, parameter: &'static str, tau: &[f32]) -> Result<Vec<(f64, f64)>, ElaborateError> {
        self.check(parameter, tau)?;
        let mut out = Vec::with_capacity(tau.len());
        for (index, &value) in tau.iter().enumerate() {
            let population = || self.population.to_string();
            if value <= 0.0 {
                return Err(ElaborateError::TauNotPositive { population: population(), parameter, index, value });
            }
            let mut ratio = self.dt / value as f64;
            // A time constant equal to the step but stored in f32 keeps nothing, not a rounding error.
            if (ratio - 1.0).abs() <= f32::EPSILON as f64 {
                ratio = 1.0;
            }
            out.push(match self.rule {
                Discretization::Euler if ratio > 1.0 => {
                    return Err(ElaborateError::TauBelowStep { population: population(), parameter, index, value, dt_s: self.dt });
                }
                Discretization::Euler => (1.0 - ratio, ratio),
                Discretization::Exact => ((-ratio).exp(), -(-ratio).exp_m1()),
            });
        }
        Ok(out)
    }
}

/// Discretizes the `n` neurons of `population`.
pub(crate) fn discretize(
    population: &str,
    n: usize,
    model: &NeuronModel,
    conventions: &Conventions,
) -> Result<Vec<StepNeuron>, ElaborateError> {
    let p = Parameters { population, n, dt: conventions.dt_s, rule: conventions.discretization };
    let leaky = |tau: &[f32], r: &[f32], v_leak: &[f32]| -> Result<Vec<StepNeuron>, ElaborateError> {
        let mem = p.decay("tau", tau)?;
        p.check("r", r)?;
        p.check("v_leak", v_leak)?;
        Ok((0..n).map(|i| membrane(mem[i], r[i], v_leak[i])).collect())
    };
    let cuba = |tau_syn: &[f32], tau_mem: &[f32], r: &[f32], v_leak: &[f32], w_in: &[f32]| {
        let syn = p.decay("tau_syn", tau_syn)?;
        let mem = p.decay("tau_mem", tau_mem)?;
        p.check("r", r)?;
        p.check("v_leak", v_leak)?;
        p.check("w_in", w_in)?;
        Ok((0..n)
            .map(|i| {
                let m = membrane(mem[i], r[i], v_leak[i]);
                StepNeuron { keep_u: syn[i].0, gain: w_in[i] as f64 * syn[i].1 * m.gain, ..m }
            })
            .collect())
    };
    let fires = |neurons: Vec<StepNeuron>, v_threshold: &[f32], v_reset: &[f32]| -> Result<Vec<StepNeuron>, ElaborateError> {
        p.check("v_threshold", v_threshold)?;
        p.check("v_reset", v_reset)?;
        let with = |(i, s): (usize, StepNeuron)| StepNeuron { threshold: v_threshold[i] as f64, v_reset: v_reset[i] as f64, ..s };
        Ok(neurons.into_iter().enumerate().map(with).collect())
    };
    match model {
        NeuronModel::Lif { tau, r, v_leak, v_threshold, v_reset } => fires(leaky(tau, r, v_leak)?, v_threshold, v_reset),
        NeuronModel::If { r, v_threshold, v_reset } => {
            p.check("r", r)?;
            let neurons = r.iter().map(|&r| StepNeuron { gain: r as f64 * p.dt, ..membrane((1.0, 0.0), r, 0.0) }).collect();
            fires(neurons, v_threshold, v_reset)
        }
        NeuronModel::CubaLif { tau_syn, tau_mem, r, v_leak, v_threshold, v_reset, w_in } => {
            fires(cuba(tau_syn, tau_mem, r, v_leak, w_in)?, v_threshold, v_reset)
        }
        NeuronModel::Li { tau, r, v_leak } => leaky(tau, r, v_leak),
        NeuronModel::CubaLi { tau_syn, tau_mem, r, v_leak, w_in } => cuba(tau_syn, tau_mem, r, v_leak, w_in),
        NeuronModel::Threshold { v_threshold } => {
            p.check("v_threshold", v_threshold)?;
            // Strictly above: at least the next number.
            let threshold = |t: f32| if conventions.fire == FireRule::GreaterEqual { t.next_up() } else { t };
            Ok(v_threshold.iter().map(|&t| memoryless(threshold(t))).collect())
        }
        NeuronModel::Or => Ok(vec![memoryless(0.5); n]),
    }
}

/// A neuron whose v is the input of the step.
fn memoryless(threshold: f32) -> StepNeuron {
    StepNeuron { keep_u: 0.0, keep_v: 0.0, gain: 1.0, bias: 0.0, threshold: threshold.into(), v_reset: 0.0 }
}

/// A leaky membrane that keeps no current and never fires.
fn membrane((keep, take): (f64, f64), r: f32, v_leak: f32) -> StepNeuron {
    StepNeuron { keep_u: 0.0, keep_v: keep, gain: r as f64 * take, bias: v_leak as f64 * take, threshold: f64::INFINITY, v_reset: 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::ResetRule;

    fn conventions(dt_s: f64, discretization: Discretization) -> Conventions {
        Conventions { name: "test".into(), dt_s, fire: FireRule::Greater, reset: ResetRule::ToValue, discretization }
    }

    fn lif(tau: f32) -> NeuronModel {
        NeuronModel::Lif { tau: vec![tau], r: vec![3.0], v_leak: vec![0.5], v_threshold: vec![1.0], v_reset: vec![0.25] }
    }

    fn one(model: &NeuronModel, dt: f64, rule: Discretization) -> Result<StepNeuron, ElaborateError> {
        discretize("p", 1, model, &conventions(dt, rule)).map(|n| n[0])
    }

    #[test]
    fn lif_by_both_rules() {
        let euler = one(&lif(4.0), 1.0, Discretization::Euler).unwrap();
        assert_eq!(euler, StepNeuron { keep_u: 0.0, keep_v: 0.75, gain: 0.75, bias: 0.125, threshold: 1.0, v_reset: 0.25 });
        let exact = one(&lif(4.0), 1.0, Discretization::Exact).unwrap();
        let keep = (-0.25f64).exp();
        assert_eq!(exact.keep_v, keep);
        assert!((exact.gain - 3.0 * (1.0 - keep)).abs() < 1e-15 && (exact.bias - 0.5 * (1.0 - keep)).abs() < 1e-15);
    }

    #[test]
    fn if_and_readouts() {
        let model = NeuronModel::If { r: vec![2.0], v_threshold: vec![1.0], v_reset: vec![0.0] };
        let neuron = one(&model, 0.5, Discretization::Euler).unwrap();
        assert_eq!((neuron.keep_v, neuron.gain, neuron.bias), (1.0, 1.0, 0.0));
        let li = NeuronModel::Li { tau: vec![2.0], r: vec![1.0], v_leak: vec![0.0] };
        let neuron = one(&li, 1.0, Discretization::Euler).unwrap();
        assert_eq!(neuron.threshold, f64::INFINITY);
        assert_eq!(neuron.round().unwrap().threshold, f32::INFINITY);
    }

    #[test]
    fn cuba_lif_by_both_rules() {
        let model = NeuronModel::CubaLif {
            tau_syn: vec![2.0],
            tau_mem: vec![4.0],
            r: vec![3.0],
            v_leak: vec![1.0],
            v_threshold: vec![1.0],
            v_reset: vec![0.0],
            w_in: vec![5.0],
        };
        let euler = one(&model, 1.0, Discretization::Euler).unwrap();
        assert_eq!((euler.keep_u, euler.keep_v, euler.gain, euler.bias), (0.5, 0.75, 5.0 * 0.5 * 3.0 * 0.25, 0.25));
        let exact = one(&model, 1.0, Discretization::Exact).unwrap();
        assert_eq!((exact.keep_u, exact.keep_v), ((-0.5f64).exp(), (-0.25f64).exp()));
        assert!((exact.gain - 15.0 * (1.0 - exact.keep_u) * (1.0 - exact.keep_v)).abs() < 1e-14);
    }

    #[test]
    fn a_threshold_is_strict_by_both_rules() {
        let model = NeuronModel::Threshold { v_threshold: vec![1.5, -0.0] };
        let mut c = conventions(1.0, Discretization::Euler);
        assert_eq!(discretize("p", 2, &model, &c).unwrap()[0].threshold, 1.5);
        c.fire = FireRule::GreaterEqual;
        let neurons = discretize("p", 2, &model, &c).unwrap();
        assert_eq!(neurons.iter().map(|n| n.threshold as f32).collect::<Vec<_>>(), [1.5f32.next_up(), f32::from_bits(1)]);
        assert_eq!(discretize("p", 3, &NeuronModel::Or, &c).unwrap(), vec![memoryless(0.5); 3]);
    }

    #[test]
    fn time_constants_are_checked() {
        assert!(matches!(one(&lif(0.5), 1.0, Discretization::Euler), Err(ElaborateError::TauBelowStep { index: 0, value: 0.5, .. })));
        assert!(one(&lif(0.5), 1.0, Discretization::Exact).is_ok());
        for rule in [Discretization::Euler, Discretization::Exact] {
            for tau in [0.0, -1.0] {
                assert!(matches!(one(&lif(tau), 1.0, rule), Err(ElaborateError::TauNotPositive { .. })));
            }
        }
        // 1e-4 isn't a float: the ratio of the f32 to the f64 isn't 1, but the neuron keeps nothing.
        assert_eq!(one(&lif(1e-4), 1e-4, Discretization::Euler).unwrap().keep_v, 0.0);
    }

    #[test]
    fn bad_values_are_named() {
        let model = NeuronModel::Lif {
            tau: vec![2.0; 3],
            r: vec![1.0, 1.0, f32::NAN],
            v_leak: vec![0.0; 3],
            v_threshold: vec![1.0; 3],
            v_reset: vec![0.0; 3],
        };
        let error = discretize("hidden", 3, &model, &conventions(1.0, Discretization::Euler)).unwrap_err();
        assert!(
            matches!(&error, ElaborateError::ParameterNotFinite { population, parameter: "r", index: 2, value } if population == "hidden" && value.is_nan())
        );
        let error = discretize("hidden", 4, &lif(2.0), &conventions(1.0, Discretization::Euler)).unwrap_err();
        assert!(matches!(error, ElaborateError::ParameterLength { parameter: "tau", found: 1, expected: 4, .. }));
    }
}
