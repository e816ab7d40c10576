//! Weights: from floats to mantissas on the grid, once the scales are known.
//!
//! In: a float projection, its format, the scale of each post neuron. Out: the projection in mantissas, and its errors.
//! Invariant: no mantissa is 0 and every one acts exactly as `mantissa * 2^exponent * 2^align_shift` (neither the floor
//! of negative exponents nor the clip of large weights changes it).

use super::neuron::Prepared;
use super::report::ProjectionQuantized;
use spikec_net::{Builder, Fixed, FixedRules, Float, Projection, SignMode, WeightFormat};

/// What one unit of the mantissa adds to u.
pub fn acting_unit(format: WeightFormat, rules: &FixedRules) -> f64 {
    2f64.powi(format.exponent as i32 + rules.align_shift as i32)
}

/// The mantissa that the law asks for: `w * gain * v_units / 2^(exponent + align_shift)`, not rounded.
pub fn ideal_mantissa(weight: f32, gain: f64, v_units: f64, format: WeightFormat, rules: &FixedRules) -> f64 {
    weight as f64 * gain * v_units / acting_unit(format, rules)
}

/// Rounds a projection: to the nearest mantissa on the grid, half away from zero, clipped to the range; or to the mantissas `chosen` for
/// its synapses (0: the synapse goes).
pub fn round(
    projection: &Projection<Float>,
    format: WeightFormat,
    post: &Prepared,
    v_units: &[f64],
    rules: &FixedRules,
    chosen: Option<&[i16]>,
) -> (Projection<Fixed>, ProjectionQuantized) {
    let synapses = &projection.synapses;
    let grid = (1i16 << format.grid_shift()) as f64;
    let (least, most) = rules.mantissa_range(format);
    let (least, most) = (least as f64, most as f64);
    let (mut vanished, mut clipped, mut max_error, mut deviation) = (0u64, 0u64, 0f64, 0f64);
    let (mut steps2, mut error2, mut weight2) = (0f64, 0f64, 0f64);
    let mut out = Builder::new();
    let mut next = 0;
    for row in synapses.rows() {
        for (k, (to, weight, delay)) in (next..).zip(row.iter()) {
            let j = to as usize;
            let ideal = ideal_mantissa(weight, post.neurons[j].gain, v_units[j], format, rules);
            let mantissa = chosen.map_or(((ideal / grid).round() * grid).clamp(least, most), |chosen| chosen[k].into());
            let error = mantissa - ideal;
            clipped += (error.abs() > 0.5 * grid) as u64;
            max_error = max_error.max(error.abs() / grid);
            deviation = deviation.max((mantissa - rules.held_mantissa(format, ideal)).abs() / grid);
            steps2 += (error / grid).powi(2);
            let relative = 1.0 / (v_units[j] * if post.neurons[j].threshold.is_finite() { post.neurons[j].threshold } else { 1.0 });
            error2 += (error * relative).powi(2);
            weight2 += (ideal * relative).powi(2);
            if mantissa == 0.0 {
                vanished += 1;
                continue;
            }
            out.push(to, mantissa as i16, delay);
        }
        out.end_row();
        next += row.len();
    }
    let out = out.finish();
    let report = ProjectionQuantized {
        name: projection.name.clone(),
        bits: format.bits,
        exponent: format.exponent,
        sign: format.sign,
        synapses: out.len() as u64,
        vanished,
        clipped,
        max_error_steps: max_error,
        deviation_steps: deviation,
        rms_error_steps: (steps2 / synapses.len().max(1) as f64).sqrt(),
        relative_error: if weight2 > 0.0 { (error2 / weight2).sqrt() } else { 0.0 },
    };
    let fixed = Projection { name: projection.name.clone(), pre: projection.pre, post: projection.post, format, synapses: out };
    (fixed, report)
}

/// The sign mode that holds the weights seen.
pub fn sign_of(positive: bool, negative: bool) -> SignMode {
    match (positive, negative) {
        (true, true) => SignMode::Mixed,
        (false, true) => SignMode::Inhibitory,
        _ => SignMode::Excitatory,
    }
}
