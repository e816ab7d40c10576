//! STDS: weights behind a soft threshold that grows while they learn (Chen, Yu, Fang, Ma, Huang, Tian, "State Transition of Dendritic Spines
//! Improves Learning of Sparse Spiking Neural Networks", ICML 2022).
//!
//! `w = sign(theta) max(|theta| - width, 0)`; the gradient of w is applied to theta, also where w is 0: what is pruned can grow again, with either sign.
//! The paper raises the width to a given end; here it is what leaves the share of weights that is wanted by then.

use super::{PIECE, Piece, Synapses, magnitude};
use crate::layers::Parameter;
use crate::optim::Rule;

/// The weight of a theta.
fn behind(theta: f32, width: f32) -> f32 {
    // The sum makes -0 to 0.
    (theta.abs() - width).max(0.0).copysign(theta) + 0.0
}

/// A step.
#[inline(always)]
pub(super) fn step(piece: Piece, rule: &Rule, width: f32) {
    let Piece { w, g, first, second, strength, .. } = piece;
    let mut d = [0f32; PIECE];
    let d = &mut d[..w.len()];
    rule.directions(g, strength, first, second, true, d);
    for ((w, d), theta) in w.iter_mut().zip(d).zip(strength) {
        *theta -= rule.rate * *d;
        *w = behind(*theta, width);
    }
}

/// A step in which no synapse comes or goes, and the weights themselves learn.
#[inline(always)]
pub(super) fn settled_step(piece: Piece, rule: &Rule) {
    let Piece { w, g, first, second, .. } = piece;
    let mut d = [0f32; PIECE];
    let d = &mut d[..w.len()];
    rule.directions(g, w, first, second, true, d);
    w.iter_mut().zip(d).for_each(|(w, d)| *w = if *w == 0.0 { 0.0 } else { *w - rule.rate * *d });
}

/// Widens the thresholds to the share `keep` of the weights, of each parameter or of all together; they never narrow.
pub(super) fn widen(parameters: &mut [&mut Parameter], synapses: &mut [Synapses], keep: f64, by_layer: bool) {
    for group in magnitude::groups(synapses, by_layer) {
        let thetas = |k: usize| match &synapses[k] {
            Synapses::Soft { theta, .. } => theta.as_slice(),
            _ => &[],
        };
        let mut sizes: Vec<f32> = group.iter().flat_map(|&k| thetas(k).iter().map(|t| t.abs())).collect();
        let goes = sizes.len() - ((sizes.len() as f64 * keep).round() as usize).min(sizes.len());
        if goes == 0 {
            continue;
        }
        let wanted = *sizes.select_nth_unstable_by(goes - 1, f32::total_cmp).1;
        for &k in &group {
            let Synapses::Soft { theta, width } = &mut synapses[k] else { continue };
            width[0] = width[0].max(wanted);
            parameters[k].value.iter_mut().zip(theta).for_each(|(w, theta)| *w = behind(*theta, width[0]));
        }
    }
}
