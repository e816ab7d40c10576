//! Widths and codes of the image's records, from the target alone. docs/bundle-format.md lists them.
//!
//! Invariant: a value within the target's limits fits its field; encoder and decoder take every width from here.

use crate::bits::bits_for;
use crate::codec_error::CodecProblem;
use crate::image::SynapseFormat;
use crate::target::{Compression, Packed, Sign, Target, WeightSpec};

/// Field widths in bits, in the order in which the records hold them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    // Registers.
    pub(crate) compartment_count: u8,
    pub(crate) delay_code: u8,
    pub(crate) format_count: u8,
    pub(crate) compartment_profile_count: u8,
    pub(crate) threshold_profile_count: u8,
    pub(crate) in_axon_count: u8,
    pub(crate) out_axon_count: u8,
    pub(crate) word_count: u8,
    // Input axon record. An empty list without a terminator may start where the memory ends.
    pub(crate) word_pointer: u8,
    pub(crate) axon_words: u8,
    pub(crate) axon_base: u8,
    // Format record (and the registers' `delay_code`).
    pub(crate) weight_code: u8,
    pub(crate) index_code: u8,
    pub(crate) skip_code: u8,
    pub(crate) exponent: u8,
    // Compartment profile.
    pub(crate) decay: u8,
    pub(crate) refractory: u8,
    // Threshold profile.
    pub(crate) threshold: u8,
    // Compartment record.
    pub(crate) compartment_profile: u8,
    pub(crate) threshold_profile: u8,
    pub(crate) bias_mantissa: u8,
    pub(crate) bias_exponent: u8,
    pub(crate) out_axon_start: u8,
    pub(crate) neuron_out_axons: u8,
    // Output axon record.
    pub(crate) core: u8,
    pub(crate) in_axon: u8,
}

/// Bits of the compression's and of the sign's code.
pub(crate) const KIND_BITS: u8 = 2;

impl Layout {
    pub(crate) fn new(target: &Target) -> Self {
        let Packed { core, synapse_memory: m, weights, neuron, .. } = target.packed();
        let count = |limit: u32| bits_for(limit.into());
        let index = |limit: u32| bits_for(u64::from(limit).saturating_sub(1));
        let codes = |widths: &[u8]| bits_for(widths.len() as u64);
        let (low, high) = *weights.exponent;
        // Two's complement: the sign and the larger of high and -low - 1.
        let exponent = 1 + bits_for(high.max(0) as u64).max(bits_for((-i64::from(low) - 1).max(0) as u64));
        Layout {
            compartment_count: count(*core.compartments),
            delay_code: index(m.delay_bits.len() as u32),
            format_count: count(*m.max_formats),
            compartment_profile_count: count(*core.compartment_profiles),
            threshold_profile_count: count(*core.threshold_profiles),
            in_axon_count: count(*core.in_axons),
            out_axon_count: count(*core.out_axon_entries),
            word_count: count(*m.usable_words),
            word_pointer: if *m.terminator_min_free_bits == 0 { count(*m.usable_words) } else { index(*m.usable_words) },
            axon_words: count(*m.max_words_per_axon),
            axon_base: count(*m.max_axon_base),
            weight_code: codes(&m.weight_bits),
            index_code: codes(&m.index_bits),
            skip_code: codes(&m.skip_bits),
            exponent,
            decay: *neuron.decay_bits,
            refractory: count(neuron.refractory.1.into()),
            threshold: *neuron.threshold_mantissa_bits,
            compartment_profile: index(*core.compartment_profiles),
            threshold_profile: index(*core.threshold_profiles),
            bias_mantissa: *neuron.bias_mantissa_bits,
            bias_exponent: count((*neuron.bias_exponent_max).into()),
            out_axon_start: count(*core.out_axon_entries),
            neuron_out_axons: count(*core.out_axons_per_neuron),
            core: index(target.total_cores()),
            in_axon: index(*core.in_axons),
        }
    }

    pub(crate) fn registers(&self) -> u64 {
        sum(&[
            self.compartment_count,
            self.delay_code,
            self.format_count,
            self.compartment_profile_count,
            self.threshold_profile_count,
            self.in_axon_count,
            self.out_axon_count,
            self.word_count,
        ])
    }

    pub(crate) fn in_axon_record(&self) -> u64 {
        sum(&[self.word_pointer, self.axon_words, self.axon_base])
    }

    pub(crate) fn format_record(&self) -> u64 {
        sum(&[self.weight_code, self.index_code, self.skip_code, self.delay_code, KIND_BITS, KIND_BITS, self.exponent])
    }

    pub(crate) fn compartment_profile_record(&self) -> u64 {
        sum(&[self.decay, self.decay, self.refractory])
    }

    pub(crate) fn compartment_record(&self) -> u64 {
        sum(&[
            self.compartment_profile,
            self.threshold_profile,
            self.bias_mantissa,
            self.bias_exponent,
            self.out_axon_start,
            self.neuron_out_axons,
        ])
    }

    pub(crate) fn out_axon_record(&self) -> u64 {
        sum(&[self.core, self.in_axon])
    }
}

fn sum(widths: &[u8]) -> u64 {
    widths.iter().map(|&w| u64::from(w)).sum()
}

/// Code of a stored width: its position in the target's list, plus `first`.
pub(crate) fn width_code(field: &'static str, widths: &[u8], bits: u8, first: u64) -> Result<u64, CodecProblem> {
    let position = widths.iter().position(|&w| w == bits);
    position.map(|p| p as u64 + first).ok_or_else(|| CodecProblem::Unsupported { field, found: bits.to_string() })
}

/// Width that a code stands for.
pub(crate) fn width_of(field: &'static str, widths: &[u8], code: u64, first: u64) -> Result<u8, CodecProblem> {
    let width = code.checked_sub(first).and_then(|p| widths.get(usize::try_from(p).ok()?));
    width.copied().ok_or_else(|| CodecProblem::Unsupported { field, found: format!("code {code}") })
}

pub(crate) fn compression_code(compression: Compression) -> u64 {
    match compression {
        Compression::Sparse => 0,
        Compression::RunLength => 1,
        Compression::Dense => 3,
    }
}

pub(crate) fn compression_of(code: u64) -> Result<Compression, CodecProblem> {
    match code {
        0 => Ok(Compression::Sparse),
        1 => Ok(Compression::RunLength),
        3 => Ok(Compression::Dense),
        _ => Err(CodecProblem::Unsupported { field: "compression", found: format!("code {code}") }),
    }
}

pub(crate) fn sign_code(sign: Sign) -> u64 {
    match sign {
        Sign::Mixed => 1,
        Sign::Excitatory => 2,
        Sign::Inhibitory => 3,
    }
}

pub(crate) fn sign_of(code: u64) -> Result<Sign, CodecProblem> {
    match code {
        1 => Ok(Sign::Mixed),
        2 => Ok(Sign::Excitatory),
        3 => Ok(Sign::Inhibitory),
        _ => Err(CodecProblem::Unsupported { field: "sign", found: format!("code {code}") }),
    }
}

/// log2 of the grid of a format's mantissas.
fn grid_shift(w: &WeightSpec, f: &SynapseFormat) -> u32 {
    u32::from((*w.mantissa_bits).saturating_sub(f.weight_bits)) + u32::from(f.sign == Sign::Mixed)
}

/// The weight field of a mantissa: mixed, two's complement of mantissa >> shift; else |mantissa| >> shift.
pub(crate) fn weight_field(w: &WeightSpec, f: &SynapseFormat, mantissa: i16) -> Result<u64, CodecProblem> {
    let shift = grid_shift(w, f);
    let value = if f.sign == Sign::Inhibitory { -i64::from(mantissa) } else { i64::from(mantissa) };
    if value & ((1 << shift) - 1) != 0 {
        return Err(CodecProblem::OffGrid { mantissa, step: 1 << shift });
    }
    let stored = value >> shift;
    let (min, max) = match f.sign {
        Sign::Mixed => (-(1i64 << (f.weight_bits - 1)), (1i64 << (f.weight_bits - 1)) - 1),
        Sign::Excitatory | Sign::Inhibitory => (0, (1i64 << f.weight_bits) - 1),
    };
    if !(min..=max).contains(&stored) {
        let (a, b) = if f.sign == Sign::Inhibitory { (-max, -min) } else { (min, max) };
        return Err(CodecProblem::Value { field: "mantissa", found: mantissa.into(), min: a << shift, max: b << shift });
    }
    Ok(crate::bits::to_twos(stored, f.weight_bits))
}

/// The mantissa of a weight field.
pub(crate) fn mantissa_of(w: &WeightSpec, f: &SynapseFormat, field: u64) -> i16 {
    let shift = grid_shift(w, f);
    let value = match f.sign {
        Sign::Mixed => crate::bits::from_twos(field, f.weight_bits) << shift,
        Sign::Excitatory => (field as i64) << shift,
        Sign::Inhibitory => -((field as i64) << shift),
    };
    value as i16
}
