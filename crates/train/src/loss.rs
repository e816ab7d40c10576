//! Losses: from what the outputs did over all steps to a number, a gradient, and predictions.
//!
//! In: spikes or potentials (batch, steps, outputs), classes. Out: [`Judged`].
//! Invariant: the loss is the mean over the batch; sums run in f64, in the order of the samples.

use crate::recipe::Loss;
use crate::tensor::Tensor;

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Judged {
    /// Sum of the samples' losses.
    pub loss: f64,
    /// Samples whose best class is theirs (of equals, the first).
    pub correct: u64,
    /// Samples.
    pub samples: u64,
}

/// Judges `y`; the gradient of the mean loss goes into `dy`, where it is wanted. `vote` outputs make a class.
pub fn judge(loss: Loss, vote: usize, y: &Tensor, classes: &[u32], mut dy: Option<&mut Tensor>) -> Judged {
    let (steps, n) = (y.steps, y.size);
    let count = n / vote;
    let mut judged = Judged { samples: y.batch as u64, ..Judged::default() };
    if let Some(dy) = dy.as_deref_mut() {
        dy.reshape(y.batch, steps, n);
    }
    let mut scores = vec![0f32; count];
    let mut slopes = vec![0f32; count];
    for (b, (sample, &class)) in y.data.chunks_exact(steps * n).zip(classes).enumerate() {
        // The score of a class: mean over its outputs of a sum over steps (or of the last one), times `share`.
        let first = if loss == Loss::CrossEntropyLast { steps - 1 } else { 0 };
        let share = match loss {
            Loss::MseRate => 1.0 / (steps * vote) as f32,
            _ => 1.0 / vote as f32,
        };
        scores.fill(0.0);
        for row in sample[first * n..].chunks_exact(n) {
            row.iter().enumerate().for_each(|(k, x)| scores[k / vote] += x);
        }
        scores.iter_mut().for_each(|s| *s *= share);
        let best = (1..count).fold(0, |best, k| if scores[k] > scores[best] { k } else { best });
        judged.correct += u64::from(best == class as usize);
        let of = |k: usize| if k == class as usize { 1f32 } else { 0.0 };
        match loss {
            Loss::MseRate => {
                for k in 0..count {
                    let error = scores[k] - of(k);
                    judged.loss += f64::from(error * error) / count as f64;
                    slopes[k] = 2.0 * error / count as f32;
                }
            }
            _ => {
                let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let sum: f32 = scores.iter().map(|s| (s - most).exp()).sum();
                judged.loss += f64::from(sum.ln() - (scores[class as usize] - most));
                for k in 0..count {
                    slopes[k] = (scores[k] - most).exp() / sum - of(k);
                }
            }
        }
        if let Some(dy) = dy.as_deref_mut() {
            let out = &mut dy.data[b * steps * n..][..steps * n];
            out[..first * n].fill(0.0);
            for row in out[first * n..].chunks_exact_mut(n) {
                row.iter_mut().enumerate().for_each(|(k, d)| *d = slopes[k / vote] * share / y.batch as f32);
            }
        }
    }
    judged
}
