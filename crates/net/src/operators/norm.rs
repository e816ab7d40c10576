//! Batch normalization as it is after training: a factor and a constant for each channel.

use super::GeometryError;

/// `y = weight (x - mean) / sqrt(variance + epsilon) + bias`, each channel for itself; the channels are the tensor's first axis.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchNorm {
    /// Factor of each channel (gamma).
    pub weight: Vec<f32>,
    /// Constant of each channel (beta).
    pub bias: Vec<f32>,
    /// Running mean of each channel.
    pub mean: Vec<f32>,
    /// Running variance of each channel.
    pub variance: Vec<f32>,
    /// Added to the variance.
    pub epsilon: f64,
}

impl BatchNorm {
    /// Factor of each channel; empty where the arrays don't fit each other.
    pub fn factors(&self) -> Vec<f64> {
        self.affine().map_or_else(|_| Vec::new(), |of| of.into_iter().map(|(factor, _)| factor).collect())
    }

    /// (factor, constant) of each channel: `y = factor x + constant`.
    ///
    /// # Errors
    /// No channel, or arrays of different lengths.
    pub(crate) fn affine(&self) -> Result<Vec<(f64, f64)>, GeometryError> {
        let channels = self.weight.len();
        if channels == 0 {
            return Err(GeometryError::NoneOf { what: "channels" });
        }
        for other in [&self.bias, &self.mean, &self.variance] {
            if other.len() != channels {
                return Err(GeometryError::WeightCount { found: other.len() as u64, expected: channels as u64 });
            }
        }
        let of = |c: usize| {
            let factor = f64::from(self.weight[c]) / (f64::from(self.variance[c]) + self.epsilon).sqrt();
            (factor, f64::from(self.bias[c]) - factor * f64::from(self.mean[c]))
        };
        Ok((0..channels).map(of).collect())
    }
}
