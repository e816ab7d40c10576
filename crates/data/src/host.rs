//! Arithmetic of the host: weighted sums of analog values and the chip's bias registers (docs/semantics.md, section 4).
//!
//! Invariant: f64, ascending channels, no fused multiply-add, so that every engine gets the same bits.

/// Weighted sum of a frame: `constant + sum of weights[k] * frame[channels[k]]`, in f64, in the order given.
///
/// `channels` ascend and are as many as `weights`.
///
/// # Panics
/// When a channel is not below `frame.len()`.
pub fn host_sum(constant: f64, weights: &[f32], channels: &[u32], frame: &[f32]) -> f64 {
    debug_assert_eq!(weights.len(), channels.len());
    debug_assert!(channels.is_sorted());
    let mut sum = constant;
    for (&weight, &channel) in weights.iter().zip(channels) {
        sum += f64::from(weight) * f64::from(frame[channel as usize]);
    }
    sum
}

/// A bias as the chip stores it: `mantissa * 2^exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BiasRegister {
    /// Signed mantissa.
    pub mantissa: i16,
    /// Power of two.
    pub exponent: u8,
    /// True when the value was beyond the largest register.
    pub saturated: bool,
}

/// Register of a bias in v units.
///
/// The value is rounded to an integer (half to even), then to `round_half_even(value / 2^e)` with the smallest exponent e
/// for which that lies within `+-mantissa_max`. Beyond `exponent_max` it saturates; NaN counts as saturated, with mantissa 0.
pub fn bias_register(value: f64, mantissa_max: i16, exponent_max: u8) -> BiasRegister {
    let value = value.round_ties_even();
    for exponent in 0..=exponent_max {
        let mantissa = (value * 2f64.powi(-i32::from(exponent))).round_ties_even();
        if mantissa.abs() <= f64::from(mantissa_max) {
            return BiasRegister { mantissa: mantissa as i16, exponent, saturated: false };
        }
    }
    let sign = if value.is_nan() { 0.0 } else { value.signum() };
    BiasRegister { mantissa: (sign * f64::from(mantissa_max)) as i16, exponent: exponent_max, saturated: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(mantissa: i16, exponent: u8, saturated: bool) -> BiasRegister {
        BiasRegister { mantissa, exponent, saturated }
    }

    #[test]
    fn sums_in_order_without_fusing() {
        assert_eq!(host_sum(0.5, &[2.0, -1.0], &[1, 3], &[9.0, 4.0, 9.0, 0.25]), 8.25);
        assert_eq!(host_sum(-3.0, &[], &[], &[]), -3.0);
        // 2^53 + 1 rounds to 2^53 (half to even) each time; another order would give 2^53 + 2.
        assert_eq!(host_sum(2f64.powi(53), &[1.0, 1.0], &[0, 1], &[1.0, 1.0]), 2f64.powi(53));
        // a * a needs 48 bits: exact in f64, inexact in f32.
        let a = 1.0 + f32::EPSILON;
        assert_eq!(host_sum(0.0, &[a], &[0], &[a]), f64::from(a) * f64::from(a));
        assert_ne!(host_sum(0.0, &[a], &[0], &[a]), f64::from(a * a));
    }

    #[test]
    fn biases_take_the_smallest_exponent() {
        let cases = [
            (0.0, register(0, 0, false)),
            (0.5, register(0, 0, false)),
            (1.5, register(2, 0, false)),
            (-2.5, register(-2, 0, false)),
            (4095.0, register(4095, 0, false)),
            (4095.5, register(2048, 1, false)),
            (-4095.0, register(-4095, 0, false)),
            (-4096.0, register(-2048, 1, false)),
            (4097.0, register(2048, 1, false)), // 2048.5 to even
            (4099.0, register(2050, 1, false)), // 2049.5 to even
            (8190.0, register(4095, 1, false)),
            (8191.0, register(2048, 2, false)), // 4095.5 would round to 4096; 2047.75 rounds to 2048
            (4095.0 * 128.0, register(4095, 7, false)),
            (4095.0 * 128.0 + 64.0, register(4095, 7, true)), // 4095.5 rounds to 4096
            (1e300, register(4095, 7, true)),
            (f64::NEG_INFINITY, register(-4095, 7, true)),
            (f64::NAN, register(0, 7, true)),
        ];
        for (value, expected) in cases {
            assert_eq!(bias_register(value, 4095, 7), expected, "{value}");
        }
    }

    #[test]
    fn registers_equal_the_definition_in_integers() {
        for value in -70_000i64..70_000 {
            let found = bias_register(value as f64, 4095, 7);
            let expected = (0..8u8)
                .map(|e| {
                    let (floor, rest, half) = (value >> e, value & ((1 << e) - 1), (1i64 << e) / 2);
                    let up = e > 0 && (rest > half || rest == half && floor & 1 == 1);
                    (floor + i64::from(up), e)
                })
                .find(|(m, _)| m.abs() <= 4095)
                .unwrap();
            assert_eq!((i64::from(found.mantissa), found.exponent, found.saturated), (expected.0, expected.1, false));
        }
    }
}
