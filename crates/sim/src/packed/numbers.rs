//! Numbers of a packed target that the simulator relies on, checked once.
//!
//! In: the target of a bundle, which may be hostile. Out: the [`Law`] and the host's limits, or the field that is out of range.
//! Invariant: with a checked law no step of a compartment can overflow i32 (see [`Law`]).

use crate::boot::{BootError, Spot};
use crate::check::{range, topology};
use crate::packed::neuron::Law;
use spikec_chip::Target;
use spikec_chip::target::Family;

/// Synapses of all input axons together beyond those that are stored: shared lists are laid out for each axon.
pub const MAX_SHARED: u64 = 1 << 28;
/// Output axons of all compartments together.
pub(crate) const MAX_LINKS: u64 = 1 << 25;

/// What the simulator takes from the target.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbers {
    pub law: Law,
    /// Acting weights are at most this many units of 2^align.
    pub weight_limit: i32,
    pub threshold_shift: u32,
    pub bias_mantissa_max: i16,
    pub bias_exponent_max: u8,
    pub neuron_hop: u32,
    pub input_hop: u32,
    pub total_cores: u32,
}

impl Numbers {
    /// Reads and checks the target.
    pub(crate) fn new(target: &Target) -> Result<Numbers, BootError> {
        let spot = Spot::target();
        let t = &target.topology;
        let total_cores = topology(t)?;
        let Family::Packed(p) = &target.family else {
            return Err(BootError::Family { image: "Packed", target: target.family.name() });
        };
        range(spot, "synapse_memory.word_bits", *p.synapse_memory.word_bits, 1, 1 << 16)?;
        let w = &p.weights;
        range(spot, "weights.align_shift", *w.align_shift, 0, 12)?;
        range(spot, "weights.limit_bits", *w.limit_bits, i128::from(*w.align_shift) + 1, 27)?;
        let n = &p.neuron;
        range(spot, "neuron.input_bits", *n.input_bits, 1, 29)?;
        range(spot, "neuron.u_bits", *n.u_bits, 2, 28)?;
        range(spot, "neuron.v_min", *n.v_min, -(1 << 29), 0)?;
        range(spot, "neuron.v_max", *n.v_max, 0, 1 << 29)?;
        range(spot, "neuron.decay_bits", *n.decay_bits, 1, 15)?;
        range(spot, "neuron.threshold_shift", *n.threshold_shift, 0, 31)?;
        range(spot, "neuron.bias_mantissa_bits", *n.bias_mantissa_bits, 2, 16)?;
        range(spot, "neuron.bias_exponent_max", *n.bias_exponent_max, 0, 12)?;
        let align = u32::from(*w.align_shift);
        let law = Law {
            align,
            u_bits: u32::from(*n.u_bits),
            input_limit: (1i32 << *n.input_bits) >> align,
            v_min: *n.v_min,
            v_max: *n.v_max,
            decay_bits: u32::from(*n.decay_bits),
        };
        Ok(Numbers {
            law,
            weight_limit: (1 << (u32::from(*w.limit_bits) - align)) - 1,
            threshold_shift: u32::from(*n.threshold_shift),
            bias_mantissa_max: ((1i32 << (*n.bias_mantissa_bits - 1)) - 1) as i16,
            bias_exponent_max: *n.bias_exponent_max,
            neuron_hop: *t.neuron_hop_steps,
            input_hop: *t.input_hop_steps,
            total_cores,
        })
    }

    /// `clip(floor(mantissa * 2^exponent), limit)`: the acting weight in units of 2^align.
    pub(crate) fn acting(&self, mantissa: i16, exponent: i8) -> i32 {
        let m = i64::from(mantissa);
        let limit = i64::from(self.weight_limit);
        let units = if exponent >= 0 { m << exponent.min(40) } else { m >> exponent.unsigned_abs().min(63) };
        units.clamp(-limit, limit) as i32
    }

    /// Threshold of a mantissa, in v units.
    pub(crate) fn threshold(&self, mantissa: u32) -> i32 {
        (u64::from(mantissa) << self.threshold_shift).min(i32::MAX as u64) as i32
    }

    /// Checks a bias register; gives its value in v units.
    pub(crate) fn bias(&self, spot: Spot, mantissa: i16, exponent: u8) -> Result<i32, BootError> {
        let max = i128::from(self.bias_mantissa_max);
        range(spot, "mantissa", mantissa, -max, max)?;
        range(spot, "exponent", exponent, 0, i128::from(self.bias_exponent_max))?;
        Ok(i32::from(mantissa) << exponent)
    }
}
