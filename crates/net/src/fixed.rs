//! The chip's registers: neurons and weights of a packed-family core (Loihi 1 and its like).
//!
//! The step law is docs/semantics.md, section 3.

use crate::net::Number;
use serde::{Deserialize, Serialize};

/// Which signs the weights of a format can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SignMode {
    /// Both: -256 ..= 254, on the grid of 2^(9 - bits).
    Mixed,
    /// 0 ..= 255, on the grid of 2^(8 - bits).
    Excitatory,
    /// -255 ..= 0, on the grid of 2^(8 - bits).
    Inhibitory,
    /// -255 ..= 255, on the grid of 2^(8 - bits): each synapse is stored in an entry of its own sign, so that none needs a bit for it.
    Split,
}

/// Format shared by the weights of a projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WeightFormat {
    /// Stored width in bits, 1 ..= 8. The target may store a wider one where it lacks this width.
    pub bits: u8,
    /// Weight exponent: the weight acts as mantissa * 2^exponent.
    pub exponent: i8,
    /// Signs.
    pub sign: SignMode,
}

impl WeightFormat {
    /// log2 of the grid: mantissas are multiples of 2^shift.
    pub fn grid_shift(&self) -> u32 {
        8 - self.bits as u32 + (self.sign == SignMode::Mixed) as u32
    }
    /// Smallest and largest mantissa of the format (both on the grid).
    pub fn mantissa_range(&self) -> (i16, i16) {
        let s = self.grid_shift();
        match self.sign {
            SignMode::Mixed => (-256, 256 - (1 << s)),
            SignMode::Excitatory => (0, 256 - (1 << s)),
            SignMode::Inhibitory => (-(256 - (1 << s)), 0),
            SignMode::Split => (-(256 - (1 << s)), 256 - (1 << s)),
        }
    }
    /// `mantissa` truncated toward zero onto the grid: `trunc(w / 2^s) * 2^s` (Brian2Loihi's rule, Michaelis et al. 2022).
    pub fn on_grid(&self, mantissa: i16) -> i16 {
        let g = 1i16 << self.grid_shift();
        mantissa / g * g
    }
}

/// A bias: `mantissa * 2^exponent`, in units of v.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Bias {
    /// Signed mantissa (13 bits on Loihi 1: at most 4095 in magnitude).
    pub mantissa: i16,
    /// Exponent, 0 ..= 7 on Loihi 1.
    pub exponent: u8,
}

impl Bias {
    /// Largest exponent whose value always fits into i32; no chip has more.
    pub const MAX_EXPONENT: u8 = 16;

    /// The value in units of v; exponents beyond [`Bias::MAX_EXPONENT`] count as that.
    pub fn value(self) -> i32 {
        (self.mantissa as i32) << self.exponent.min(Self::MAX_EXPONENT)
    }
}

/// Registers of a neuron.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixedNeuron {
    /// Effective decay of u in 1/4096: u keeps (4096 - decay_u) / 4096; 4096 keeps nothing. The register's offset is the target's affair.
    pub decay_u: u16,
    /// Effective decay of v in 1/4096.
    pub decay_v: u16,
    /// Threshold mantissa; the threshold is mantissa * 2^threshold_shift.
    pub threshold: u32,
    /// Steps from a spike to the next step that may integrate: 1 = none lost.
    pub refractory: u8,
    /// Constant bias.
    pub bias: Bias,
}

/// Widths and rounding shared by all neurons of a fixed net; they come from the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixedRules {
    /// Weights act as floor(mantissa * 2^exponent) * 2^align_shift.
    pub align_shift: u8,
    /// Acting weights are clipped to +-(2^weight_limit_bits - 2^align_shift).
    pub weight_limit_bits: u8,
    /// |q| beyond 2^input_bits is counted; it changes nothing else.
    pub input_bits: u8,
    /// u wraps at this many bits, sign included.
    pub u_bits: u8,
    /// Smallest v (clipped).
    pub v_min: i32,
    /// Largest v (clipped).
    pub v_max: i32,
    /// Thresholds are mantissa * 2^threshold_shift.
    pub threshold_shift: u8,
}

impl Default for FixedRules {
    /// Loihi 1 as modelled by Brian2Loihi, NxSDK's emulator in nengo-loihi and Lava: 6, 21, 21, 24 bits, +-(2^23 - 1), 6.
    fn default() -> Self {
        FixedRules {
            align_shift: 6,
            weight_limit_bits: 21,
            input_bits: 21,
            u_bits: 24,
            v_min: -(1 << 23) + 1,
            v_max: (1 << 23) - 1,
            threshold_shift: 6,
        }
    }
}

impl FixedRules {
    /// The weight as it acts on u: `clip(floor(mantissa * 2^exponent) * 2^align, +-(2^limit - 2^align))`
    /// (Brian2Loihi, `calcActualWeights`).
    pub fn acting_weight(&self, mantissa: i16, exponent: i8) -> i32 {
        let a = self.align_shift as u32;
        // Beyond these bounds no exponent changes the result any more; within them every shift is defined.
        let exponent = exponent.clamp(-16, 30);
        let scaled: i64 = if exponent >= 0 { (mantissa as i64) << exponent } else { (mantissa as i64) >> (-exponent as u32) };
        let limit = (1i64 << self.weight_limit_bits) - (1i64 << a);
        (scaled.clamp(-(1 << 32), 1 << 32) << a).clamp(-limit, limit) as i32
    }

    /// Smallest and largest mantissa that `weight_limit_bits` doesn't clip: the format's range, less its ends where the limit is
    /// narrower. Both are on the grid.
    pub fn mantissa_range(&self, format: WeightFormat) -> (i16, i16) {
        let (mut least, mut most) = format.mantissa_range();
        let grid = 1i16 << format.grid_shift();
        let limit = (1i64 << self.weight_limit_bits) - (1i64 << self.align_shift);
        let clips = |m: i16| (m as f64 * 2f64.powi(format.exponent as i32 + self.align_shift as i32)).abs() > limit as f64;
        while least < 0 && clips(least) {
            least += grid;
        }
        while most > 0 && clips(most) {
            most -= grid;
        }
        (least, most)
    }

    /// The nearest value to an ideal mantissa in the format's range ([`FixedRules::mantissa_range`]), off the grid. A value of a
    /// sign that the format lacks stays as it is: no end of the range stands for it.
    pub fn held_mantissa(&self, format: WeightFormat, ideal: f64) -> f64 {
        let (least, most) = self.mantissa_range(format);
        let lacking = (format.sign == SignMode::Excitatory && ideal < 0.0) || (format.sign == SignMode::Inhibitory && ideal > 0.0);
        if lacking { ideal } else { ideal.clamp(least as f64, most as f64) }
    }
}

/// The number system of the chip.
#[derive(Debug, Clone, PartialEq)]
pub struct Fixed;

impl Number for Fixed {
    /// Mantissa on the format's grid, -256 ..= 255.
    type Weight = i16;
    type Neuron = FixedNeuron;
    type Format = WeightFormat;
    type Rules = FixedRules;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_and_ranges() {
        let format = |bits, sign| WeightFormat { bits, exponent: 0, sign };
        assert_eq!(format(8, SignMode::Mixed).mantissa_range(), (-256, 254));
        assert_eq!(format(8, SignMode::Excitatory).mantissa_range(), (0, 255));
        assert_eq!(format(6, SignMode::Inhibitory).mantissa_range(), (-252, 0));
        assert_eq!(format(1, SignMode::Mixed).mantissa_range(), (-256, 0));
        assert_eq!((format(1, SignMode::Split).mantissa_range(), format(2, SignMode::Split).grid_shift()), ((-128, 128), 6));
        assert_eq!((format(6, SignMode::Mixed).on_grid(-7), format(8, SignMode::Mixed).on_grid(-7)), (0, -6));
    }

    #[test]
    fn acting_weights_floor_align_and_clip() {
        let rules = FixedRules::default();
        assert_eq!(rules.acting_weight(-7, 0), -448);
        assert_eq!((rules.acting_weight(6, -2), rules.acting_weight(-6, -2)), (64, -128));
        assert_eq!((rules.acting_weight(255, 7), rules.acting_weight(255, 8)), (255 << 13, (1 << 21) - (1 << 6)));
        assert_eq!((rules.acting_weight(-256, 7), rules.acting_weight(1, i8::MAX)), (-(1 << 21) + (1 << 6), (1 << 21) - (1 << 6)));
        assert_eq!((rules.acting_weight(254, i8::MIN), rules.acting_weight(-1, i8::MIN), rules.acting_weight(0, i8::MAX)), (0, -64, 0));
    }

    #[test]
    fn only_mantissas_that_the_limit_does_not_clip_are_in_range() {
        let rules = FixedRules::default();
        let format = |bits, exponent, sign| WeightFormat { bits, exponent, sign };
        assert_eq!(rules.mantissa_range(format(8, 0, SignMode::Mixed)), (-256, 254));
        // -256 * 2^7 * 2^6 = -2^21 would be clipped by one unit.
        assert_eq!(rules.mantissa_range(format(8, 7, SignMode::Mixed)), (-254, 254));
        assert_eq!(rules.mantissa_range(format(4, 7, SignMode::Mixed)), (-224, 224));
        assert_eq!(rules.mantissa_range(format(8, 7, SignMode::Excitatory)), (0, 255));
        assert_eq!(rules.mantissa_range(format(4, 0, SignMode::Inhibitory)), (-240, 0));
        assert_eq!(rules.mantissa_range(format(8, i8::MAX, SignMode::Mixed)), (0, 0));
        let held = |sign, ideal| rules.held_mantissa(format(8, 0, sign), ideal);
        assert_eq!([300.0, 254.5, 3.25, -1e9].map(|x| held(SignMode::Mixed, x)), [254.0, 254.0, 3.25, -256.0]);
        assert_eq!((held(SignMode::Excitatory, 300.0), held(SignMode::Excitatory, -300.0)), (255.0, -300.0), "no end stands for a sign");
        assert_eq!((held(SignMode::Inhibitory, -300.0), held(SignMode::Inhibitory, 300.0)), (-255.0, 300.0));
        assert!(held(SignMode::Mixed, f64::NAN).is_nan());
    }

    #[test]
    fn biases() {
        assert_eq!(Bias { mantissa: -4095, exponent: 7 }.value(), -4095 * 128);
        assert_eq!(Bias { mantissa: i16::MIN, exponent: 255 }.value(), i32::MIN);
    }
}
