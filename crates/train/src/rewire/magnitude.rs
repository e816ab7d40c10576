//! Gradual pruning of the smallest weights (Zhu and Gupta, 2017): what is gone stays gone.

use super::Synapses;
use crate::layers::Parameter;

/// Share of what has to go that is still there: the cube of the share of time that is left.
pub(super) fn left(progress: f64) -> f64 {
    (1.0 - progress.min(1.0)).powi(3)
}

/// Share of weights that stay after `step` steps: `target + (1 - target) (1 - progress)^3` from step `from` to `until`.
pub(super) fn share(target: f64, step: u64, from: u64, until: u64) -> f64 {
    let progress = step.saturating_sub(from) as f64 / until.saturating_sub(from).max(1) as f64;
    target + (1.0 - target) * left(progress)
}

/// Parameters that are pruned: each by itself, or all together.
pub(super) fn groups(synapses: &[Synapses], by_layer: bool) -> Vec<Vec<usize>> {
    let pruned: Vec<usize> = (0..synapses.len()).filter(|&k| !matches!(synapses[k], Synapses::All)).collect();
    if by_layer { pruned.iter().map(|&k| vec![k]).collect() } else { vec![pruned] }
}

/// Keeps this share of the largest weights, of each parameter or of all together (of equals, the first).
pub(super) fn prune(parameters: &mut [&mut Parameter], synapses: &mut [Synapses], keep: f64, by_layer: bool) {
    for group in groups(synapses, by_layer) {
        let mut sizes: Vec<f32> = group.iter().flat_map(|&k| parameters[k].value.iter().map(|w| w.abs())).collect();
        let stays = ((sizes.len() as f64 * keep).round() as usize).min(sizes.len());
        let goes = sizes.len() - stays;
        if goes == 0 {
            continue;
        }
        let (_, threshold, above) = sizes.select_nth_unstable_by(goes - 1, f32::total_cmp);
        let threshold = *threshold;
        let mut equal = stays - above.iter().filter(|w| **w > threshold).count();
        for &k in &group {
            let Synapses::Masked(mask) = &mut synapses[k] else { continue };
            for (w, m) in parameters[k].value.iter_mut().zip(mask) {
                let size = w.abs();
                let stays = size > threshold || (size == threshold && equal > 0);
                equal -= usize::from(stays && size == threshold);
                *m &= stays;
                if !*m {
                    *w = 0.0;
                }
            }
        }
    }
}
