//! The reference section against a network in floats: every register is the nearest to the float that it stands for.
//!
//! The ideal values follow from docs/semantics.md, sections 2 and 3, with `v' = (v - v_reset) * v_units` (see the head of `image.rs`).
//! Bounds: weights, as far as the bundle declares (half a grid step for plain rounding) from the ideal, or from the end of the format's
//! range where the ideal is beyond it; thresholds and decays, half a register step (a decay that the register can't
//! reach: its nearest end, at most one step away); biases, half a step of their exponent (one beyond the largest register: the largest), or
//! as far as the bundle declares that reconstruction moved them; host gains, 1e-12 relative, and constants besides as far as that; everything
//! else, nothing. What was moved on purpose is the network's own only by the digest, which must match.

use super::*;
use crate::image::Rounding;
use crate::resolve::bias_value;
use spikec_chip::target::{NeuronSpec, Target};
use spikec_data::bias_register;
use spikec_net::{Bias, FireRule, Fixed, FixedNeuron, Float, FloatNeuron};

/// What the bundle says about its rounding.
pub(crate) struct Scales<'a> {
    /// v units of each population's neurons.
    pub v_units: &'a [Vec<f64>],
    /// Largest distance of a weight in grid steps.
    pub deviation_steps: f64,
    /// Largest move of a bias in float units of v.
    pub bias_deviation: f64,
    /// Potentials from which spikes subtract may leak, as its user allowed.
    pub leak: bool,
}

/// Slack for sums that were computed in another order.
pub(super) const SLACK: f64 = 1e-6;

/// Compares a network in floats.
pub(crate) fn compare(
    given: &Net<Float>,
    reference: &Net<Fixed>,
    scales: &Scales,
    target: &Target,
    differences: &mut Differences,
    checked: &mut Checked,
    rounding: &mut Rounding,
) {
    rounding.declared_steps = scales.deviation_steps;
    rounding.declared_bias = scales.bias_deviation;
    for (declared, expected) in [(scales.deviation_steps, "a number of grid steps"), (scales.bias_deviation, "a potential")] {
        if !(declared >= 0.0 && declared.is_finite()) {
            let field = Field::Deviation;
            differences.push(|| Difference { side: SIDE, at: At::default(), field, found: declared.into(), expected: expected.into() });
        }
    }
    let Some(kept) = compare_populations(given, reference, differences, checked) else { return };
    if !compare_scales(reference, scales.v_units, differences) {
        return;
    }
    for (k, (g, r)) in given.populations.iter().zip(&reference.populations).enumerate() {
        for (j, (wanted, kept)) in g.neurons().iter().zip(&kept[k]).enumerate() {
            let Some(n) = kept.map(|n| n as usize).filter(|&n| n < r.neurons().len()) else { continue };
            let at = || At { neuron: Some(given_name(given, k, j)), ..At::default() };
            let law = Law {
                fire: given.rules.fire,
                shift: reference.rules.threshold_shift,
                spec: &target.packed().neuron,
                bias_deviation: scales.bias_deviation,
                subtracts: super::soft::subtracts(given, k, j),
                leak: scales.leak,
            };
            law.compare_neuron(wanted, &r.neurons()[n], scales.v_units[k][n], at, differences, rounding);
        }
    }
    for (g, r) in pair_projections(given, reference, &kept, differences) {
        compare_weights((given, reference), (g, r), &kept, scales, differences, checked, rounding);
    }
    for (g, r) in pair_host_projections(given, reference, &kept, differences) {
        compare_host_map((given, reference), (g, r), &kept, scales, differences);
    }
}

/// One positive scale for each neuron. False when they can't be used.
pub(super) fn compare_scales<N: Number>(reference: &Net<N>, v_units: &[Vec<f64>], differences: &mut Differences) -> bool {
    if !differences.compare(SIDE, Field::Count, v_units.len(), reference.populations.len(), || item("v units")) {
        return false;
    }
    let mut sound = true;
    for (p, units) in reference.populations.iter().zip(v_units) {
        sound &= differences.compare(SIDE, Field::Count, units.len(), p.neurons().len(), || item(&format!("v units of {}", p.name)));
        for &u in units.iter().filter(|u| !(u.is_finite() && **u > 0.0)) {
            sound = false;
            differences.push(|| Difference {
                side: SIDE,
                at: item(&p.name),
                field: Field::VUnits,
                found: u.into(),
                expected: "a positive number".into(),
            });
        }
    }
    sound
}

/// The neuron's bias with v measured from its reset.
fn shifted_bias(n: &FloatNeuron) -> f64 {
    n.bias as f64 - (1.0 - n.keep_v as f64) * n.v_reset as f64
}

/// What turns a float neuron into registers.
struct Law<'a> {
    fire: FireRule,
    shift: u8,
    spec: &'a NeuronSpec,
    bias_deviation: f64,
    /// Its potential has the register of a current (`soft.rs`).
    subtracts: bool,
    /// It may leak by one step of that register where it doesn't in the network.
    leak: bool,
}

impl Law<'_> {
    fn compare_neuron(
        &self,
        wanted: &FloatNeuron,
        found: &FixedNeuron,
        v_units: f64,
        at: impl Fn() -> At,
        differences: &mut Differences,
        rounding: &mut Rounding,
    ) {
        let FixedNeuron { decay_u, decay_v, threshold, refractory, bias } = *found;
        let largest = (1i64 << *self.spec.decay_bits) - 1;
        for (field, found, keep, offset) in [
            (Field::DecayU, decay_u, wanted.keep_u, *self.spec.u_decay_offset as i64),
            (
                Field::DecayV,
                decay_v,
                wanted.keep_v,
                if self.subtracts { *self.spec.u_decay_offset } else { *self.spec.v_decay_offset } as i64,
            ),
        ] {
            let ideal = 4096.0 * (1.0 - keep as f64);
            let nearest = ideal.clamp(offset as f64, (offset + largest) as f64);
            let steps = (found as f64 - ideal).abs();
            rounding.decay_steps = rounding.decay_steps.max(steps);
            let reach = if self.subtracts && !self.leak { 0.5 } else { 1.0 };
            if !((found as f64 - nearest).abs() <= 0.5 + SLACK && steps <= reach + SLACK) {
                let expected = Value::Within(nearest - 0.5, nearest + 0.5);
                differences.push(|| Difference { side: SIDE, at: at(), field, found: found.into(), expected });
            }
        }
        differences.compare(SIDE, Field::Refractory, refractory, 1, &at);
        self.compare_threshold(wanted, threshold, v_units, &at, differences, rounding);
        let ideal = shifted_bias(wanted) * v_units;
        let mantissa_max = ((1i32 << (*self.spec.bias_mantissa_bits - 1)) - 1) as i16;
        let nearest = bias_register(ideal, mantissa_max, *self.spec.bias_exponent_max);
        let step = f64::from(1u32 << nearest.exponent);
        rounding.saturated_biases += nearest.saturated as u64;
        let close = bias.exponent == nearest.exponent && (bias.value() as f64 - ideal).abs() <= 0.5 * step + SLACK * ideal.abs().max(1.0);
        let equal = bias == Bias { mantissa: nearest.mantissa, exponent: nearest.exponent };
        // A bias that was moved on purpose may need another exponent.
        let moved = (bias.value() as f64 - ideal).abs();
        // A register rounds twice: to an integer, then to a multiple of 2^exponent.
        let half_step = 0.5 + 0.5 * 2f64.powi(bias.exponent.into()) + SLACK * ideal.abs().max(1.0);
        let reach = self.bias_deviation * v_units * (1.0 + SLACK) + half_step;
        let as_declared = self.bias_deviation > 0.0 && bias.exponent <= *self.spec.bias_exponent_max && moved <= reach;
        rounding.bias_moved = rounding.bias_moved.max(moved / v_units);
        if !(equal || close && !nearest.saturated || as_declared) {
            let (found, expected) = (bias_value(bias.mantissa, bias.exponent), bias_value(nearest.mantissa, nearest.exponent));
            differences.push(|| Difference { side: SIDE, at: at(), field: Field::Bias, found, expected });
        }
    }

    /// `v >= threshold` becomes `v > threshold - 1 register step`: potentials that are multiples of the step agree exactly.
    fn compare_threshold(
        &self,
        wanted: &FloatNeuron,
        found: u32,
        v_units: f64,
        at: impl Fn() -> At,
        differences: &mut Differences,
        rounding: &mut Rounding,
    ) {
        if wanted.threshold == f32::INFINITY {
            let never = (1u32 << *self.spec.threshold_mantissa_bits) - 1;
            differences.compare(SIDE, Field::Threshold, found, never, at);
            return;
        }
        let distance = wanted.threshold as f64 - wanted.v_reset as f64;
        let below = if self.fire == FireRule::GreaterEqual { 1.0 } else { 0.0 };
        let ideal = distance * v_units / 2f64.powi(self.shift as i32) - below;
        let steps = (found as f64 - ideal).abs();
        rounding.threshold_steps = rounding.threshold_steps.max(steps);
        if steps.is_nan() || steps > 0.5 + SLACK {
            let expected = Value::Within(ideal - 0.5, ideal + 0.5);
            differences.push(|| Difference { side: SIDE, at: at(), field: Field::Threshold, found: found.into(), expected });
        }
    }
}

/// Every given synapse between kept neurons acts as the reference's does, within the declared distance of what the format holds; one
/// that the reference lacks acts as zero. The reference has no other.
fn compare_weights(
    nets: (&Net<Float>, &Net<Fixed>),
    pair: (&Projection<Float>, &Projection<Fixed>),
    kept: &Kept,
    scales: &Scales,
    differences: &mut Differences,
    checked: &mut Checked,
    rounding: &mut Rounding,
) {
    let ((given, reference), (g, r)) = (nets, pair);
    let unit = 2f64.powi(r.format.exponent as i32 + reference.rules.align_shift as i32);
    let grid = f64::from(1u32 << r.format.grid_shift());
    side_by_side(nets, pair, kept, differences, &mut |s, differences| {
        checked.given_synapses += 1;
        let gain = f64::from(given.population(g.post).neurons()[s.ends.1 as usize].gain);
        let ideal = f64::from(s.given) * gain * scales.v_units[r.post.index()][s.post as usize] / unit;
        let held = reference.rules.held_mantissa(r.format, ideal);
        let beyond = (ideal - held).abs() / grid;
        rounding.clipped_weights += u64::from(beyond > 0.5);
        rounding.clip_steps = rounding.clip_steps.max(beyond);
        let acting = f64::from(reference.rules.acting_weight(s.found.unwrap_or(0), r.format.exponent)) / unit;
        let steps = (acting - held).abs() / grid;
        rounding.weight_steps = rounding.weight_steps.max(steps);
        if steps.is_nan() || steps > scales.deviation_steps + SLACK {
            let reach = scales.deviation_steps * grid;
            let at = || synapse_at(given, g, s.ends.0, s.ends.1);
            let expected = Value::Within(held - reach, held + reach);
            differences.push(|| Difference { side: SIDE, at: at(), field: Field::Mantissa, found: s.found.into(), expected });
        }
    });
}

/// The same terms, and `sum * gain` is the float current times `gain * v_units` plus the bias.
fn compare_host_map(
    nets: (&Net<Float>, &Net<Fixed>),
    pair: (&HostProjection, &HostProjection),
    kept: &Kept,
    scales: &Scales,
    differences: &mut Differences,
) {
    let ((given, _), (g, r)) = (nets, pair);
    let v_units = &scales.v_units[r.post.index()];
    for (i, row) in kept[g.post.index()].iter().enumerate() {
        let Some(j) = row.map(|n| n as usize) else { continue };
        let at = || At { neuron: Some(given_name(given, g.post.index(), i)), ..item(&g.name) };
        compare_host_terms(nets, pair, (i, j), at, differences);
        let n = &given.population(g.post).neurons()[i];
        if n.keep_u != 0.0 {
            // A bias goes to v, and a filtered current would not.
            differences.push(|| Difference {
                side: SIDE,
                at: at(),
                field: Field::DecayU,
                found: "a host map into the bias".into(),
                expected: "a neuron without current memory".into(),
            });
            continue;
        }
        let gain = g.gains[i] * n.gain as f64;
        let (wanted_gain, bias) = (gain * v_units[j], shifted_bias(n));
        let wanted_constant = if bias == 0.0 { g.constants[i] } else { g.constants[i] + bias / gain };
        // A constant may be moved as far as the bias that it stands for.
        let reach = scales.bias_deviation * (1.0 + SLACK) / gain.abs();
        for (field, found, wanted, reach) in
            [(Field::HostGain, r.gains[j], wanted_gain, 0.0), (Field::HostConstant, r.constants[j], wanted_constant, reach)]
        {
            let near = (found - wanted).abs() <= 1e-12 * wanted.abs() + reach;
            if !near {
                differences.push(|| Difference { side: SIDE, at: at(), field, found: found.into(), expected: wanted.into() });
            }
        }
    }
}
