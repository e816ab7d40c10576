//! Drives: what the host's maps give the neurons of a population, frame by frame.
//!
//! In: a net with host projections and a sample's values. Out: one [`Drive`] a host projection.
//! Invariant: arithmetic is `spikec_data::host` (docs/semantics.md, section 4) and nothing else.
//! Cost: one multiplication a term and frame; a constant sample has one frame.

use crate::fixed::{Bias, Fixed};
use crate::float::Float;
use crate::ids::PopulationId;
use crate::net::{HostProjection, Net, Number, Role};
use spikec_data::{Values, bias_register, host_sum};

/// What the host gives each neuron of a population.
///
/// Frame k acts in network step k + `delay_steps`; when `constant`, the only frame acts in every step from `delay_steps` on.
/// In other steps the population gets nothing from the host: no current (floats), its own bias (registers).
#[derive(Debug, Clone, PartialEq)]
pub struct Drive<A> {
    /// The driven population.
    pub post: PopulationId,
    /// One value a neuron and frame.
    pub frames: Vec<Vec<A>>,
    /// True when the first frame holds for the whole sample.
    pub constant: bool,
    /// Net delay in network steps.
    pub delay_steps: u32,
}

impl<A> Drive<A> {
    /// The frame that acts in network step `t`.
    pub fn at(&self, t: u32) -> Option<&[A]> {
        let k = t.checked_sub(self.delay_steps)?;
        self.frames.get(if self.constant { 0 } else { k as usize }).map(Vec::as_slice)
    }
}

/// The currents of a sample: `sum * gain` rounded to f32, one drive a host projection.
///
/// The values' channels are those of the analog input populations as trained, one population after the other; a channel
/// that the frame doesn't have counts as 0 (check `values.width` against `Net::value_width` first).
pub fn float_drive(net: &Net<Float>, values: &Values) -> Vec<Drive<f32>> {
    drive(net, values, |sum| sum as f32)
}

/// The biases of a sample as the chip's registers hold them, and how many saturated; one drive a host projection.
///
/// `mantissa_max` and `exponent_max` are the target's. Channels as for [`float_drive`].
pub fn fixed_drive(net: &Net<Fixed>, values: &Values, mantissa_max: i16, exponent_max: u8) -> (Vec<Drive<Bias>>, u64) {
    let mut saturations = 0;
    let drives = drive(net, values, |sum| {
        let register = bias_register(sum, mantissa_max, exponent_max);
        saturations += register.saturated as u64;
        Bias { mantissa: register.mantissa, exponent: register.exponent }
    });
    (drives, saturations)
}

fn drive<N: Number, A>(net: &Net<N>, values: &Values, mut value: impl FnMut(f64) -> A) -> Vec<Drive<A>> {
    let mut first = 0usize;
    let mut firsts = Vec::with_capacity(net.populations.len());
    for p in &net.populations {
        firsts.push(first);
        if matches!(p.role, Role::AnalogInput) {
            first += p.trained_len();
        }
    }
    let count = if values.constant { values.frame_count().min(1) } else { values.frame_count() };
    let frames = |h: &HostProjection, value: &mut dyn FnMut(f64) -> A| {
        let origin = &net.population(h.pre).origin;
        let mut now = vec![0f32; origin.len()];
        (0..count)
            .filter_map(|t| values.frame(t))
            .map(|frame| {
                for (x, &o) in now.iter_mut().zip(origin) {
                    *x = frame.get(firsts[h.pre.index()] + o as usize).copied().unwrap_or(0.0);
                }
                (0..h.constants.len())
                    .map(|j| {
                        let row = h.offsets[j] as usize..h.offsets[j + 1] as usize;
                        value(host_sum(h.constants[j], &h.weights[row.clone()], &h.channels[row], &now) * h.gains[j])
                    })
                    .collect()
            })
            .collect()
    };
    (net.host_projections.iter())
        .map(|h| Drive { post: h.post, frames: frames(h, &mut value), constant: values.constant, delay_steps: h.delay_steps })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::{FixedNeuron, FixedRules};
    use crate::net::Population;

    /// Two analog inputs (3 channels, of which channel 1 was removed, and 1 channel) into two populations.
    fn net() -> Net<Fixed> {
        let neuron = FixedNeuron { decay_u: 4096, decay_v: 0, threshold: 1, refractory: 1, bias: Bias::default() };
        let population =
            |name: &str, shape: u32, origin: Vec<u32>, role| Population { name: name.into(), shape: vec![shape], origin, skew: 0, role };
        let map = |pre, post, channels: Vec<u32>, weights: Vec<f32>, delay_steps| HostProjection {
            name: "h".into(),
            pre: PopulationId(pre),
            post: PopulationId(post),
            offsets: vec![0, channels.len() as u32],
            channels,
            weights,
            constants: vec![0.5],
            gains: vec![100.0],
            delay_steps,
        };
        Net {
            name: "net".into(),
            rules: FixedRules::default(),
            populations: vec![
                population("a", 3, vec![0, 2], Role::AnalogInput),
                population("b", 1, vec![0], Role::AnalogInput),
                population("x", 1, vec![0], Role::Neurons(vec![neuron])),
                population("y", 1, vec![0], Role::Neurons(vec![neuron])),
            ],
            projections: vec![],
            host_projections: vec![map(0, 2, vec![0, 1], vec![2.0, -1.0], 0), map(1, 3, vec![0], vec![1.0], 1)],
            output: PopulationId(3),
        }
    }

    #[test]
    fn channels_are_those_as_trained() {
        let values = Values { width: 4, frames: vec![1.0, 9.0, 0.25, 8.0], constant: true };
        let (drives, saturations) = fixed_drive(&net(), &values, 4095, 7);
        assert_eq!(saturations, 0);
        assert_eq!(drives[0].at(7), Some([Bias { mantissa: 225, exponent: 0 }].as_slice()));
        assert_eq!(drives[1].at(0), None, "before the delay");
        assert_eq!(drives[1].at(1), Some([Bias { mantissa: 850, exponent: 0 }].as_slice()));
    }

    #[test]
    fn frames_shift_with_the_delay_and_end() {
        let values = Values { width: 4, frames: vec![0.0, 0.0, 0.0, 1e9, 0.0, 0.0, 0.0, -1.0], constant: false };
        let (drives, saturations) = fixed_drive(&net(), &values, 4095, 7);
        assert_eq!(saturations, 1);
        assert_eq!(drives[1].at(1), Some([Bias { mantissa: 4095, exponent: 7 }].as_slice()));
        assert_eq!(drives[1].at(2), Some([Bias { mantissa: -50, exponent: 0 }].as_slice()));
        assert_eq!((drives[1].at(0), drives[1].at(3)), (None, None));
    }
}
