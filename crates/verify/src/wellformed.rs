//! Are the registers of the reference section registers of the target? Ranges, before anything computes with them.
//!
//! In: the reference section's net, whose lengths and indices `Net::check` has checked. Out: the first value out of range.
//! Invariant: no arithmetic of a check or of the reference interpreter can overflow on a net that passes. Cost: one pass.
//! Why: the reference section is bytes from a file, and a digest only says that nobody changed them by accident.

use spikec_chip::target::Target;
use spikec_net::{Fixed, Net};
use thiserror::Error;

/// A part of a net.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The net itself.
    Net,
    /// A population.
    Population(u32),
    /// A projection.
    Projection(u32),
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Part::Net => f.write_str("the net"),
            Part::Population(k) => write!(f, "population {k}"),
            Part::Projection(k) => write!(f, "projection {k}"),
        }
    }
}

/// A value that no net of the target has.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{part}: {what}: found {found}, expected {expected}")]
pub struct Malformed {
    /// Where.
    pub part: Part,
    /// The quantity.
    pub what: &'static str,
    /// Its value.
    pub found: i64,
    /// The value or bound that it breaks.
    pub expected: i64,
}

fn equal(part: Part, what: &'static str, found: usize, expected: usize) -> Result<(), Malformed> {
    if found == expected { Ok(()) } else { Err(Malformed { part, what, found: found as i64, expected: expected as i64 }) }
}

pub(crate) fn within(part: Part, what: &'static str, found: i64, low: i64, high: i64) -> Result<(), Malformed> {
    if found < low {
        Err(Malformed { part, what, found, expected: low })
    } else if found > high {
        Err(Malformed { part, what, found, expected: high })
    } else {
        Ok(())
    }
}

/// Largest skew, in chip steps.
pub(crate) const MAX_SKEW: i64 = 1 << 20;

/// Checks the registers of a fixed net against the target's ranges: formats, mantissas on their grid, decays, thresholds,
/// biases, refractory periods and the rules' widths.
pub fn check_registers(net: &Net<Fixed>, target: &Target) -> Result<(), Malformed> {
    let spec = target.packed();
    let (weights, neuron) = (&spec.weights, &spec.neuron);
    let r = &net.rules;
    // The reference computes decays in 1/4096 (docs/semantics.md, section 3).
    within(Part::Net, "decay bits of the target", *neuron.decay_bits as i64, 12, 12)?;
    within(Part::Net, "align shift", r.align_shift as i64, 0, 24)?;
    within(Part::Net, "weight limit bits", r.weight_limit_bits as i64, r.align_shift as i64, 30)?;
    within(Part::Net, "input bits", r.input_bits as i64, 1, 62)?;
    within(Part::Net, "u bits", r.u_bits as i64, 2, 32)?;
    within(Part::Net, "threshold shift", r.threshold_shift as i64, 0, 24)?;
    within(Part::Net, "smallest v", r.v_min as i64, i32::MIN as i64, 0)?;
    within(Part::Net, "largest v", r.v_max as i64, 0, i32::MAX as i64)?;
    let (e_min, e_max) = *weights.exponent;
    for (k, p) in net.projections.iter().enumerate() {
        let part = Part::Projection(k as u32);
        within(part, "weight bits", p.format.bits as i64, 1, 8)?;
        within(part, "weight exponent", p.format.exponent as i64, (e_min as i64).max(-16), (e_max as i64).min(16))?;
        let (low, high) = p.format.mantissa_range();
        let grid = 1i16 << p.format.grid_shift();
        for &m in p.synapses.distinct_weights() {
            within(part, "weight mantissa", m as i64, low as i64, high as i64)?;
            equal(part, "weight mantissa off its grid by", (m % grid).unsigned_abs() as usize, 0)?;
        }
    }
    let register_max = (1i64 << *neuron.decay_bits) - 1;
    let (u0, v0) = (*neuron.u_decay_offset as i64, *neuron.v_decay_offset as i64);
    let threshold_max = (1i64 << (*neuron.threshold_mantissa_bits).min(31)) - 1;
    let bias_max = (1i64 << (*neuron.bias_mantissa_bits).clamp(1, 16).saturating_sub(1)) - 1;
    let (refractory_min, refractory_max) = *neuron.refractory;
    for (k, p) in net.populations.iter().enumerate() {
        let part = Part::Population(k as u32);
        within(part, "skew", p.skew as i64, 0, if p.is_input() { 0 } else { MAX_SKEW })?;
        for n in p.neurons() {
            within(part, "decay of u", n.decay_u as i64, u0, u0 + register_max)?;
            within(part, "decay of v", n.decay_v as i64, v0, v0 + register_max)?;
            within(part, "threshold", n.threshold as i64, 0, threshold_max)?;
            within(part, "refractory period", n.refractory as i64, (refractory_min as i64).max(1), refractory_max as i64)?;
            within(part, "bias mantissa", n.bias.mantissa as i64, -bias_max, bias_max)?;
            within(part, "bias exponent", n.bias.exponent as i64, 0, (*neuron.bias_exponent_max as i64).min(15))?;
        }
    }
    Ok(())
}
