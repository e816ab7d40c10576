//! Gradient Rewiring (Chen, Yu, Fang, Huang, Tian, IJCAI 2021).
//!
//! `s theta <- s theta - rate d - penalty rate cost sign(theta - mu) s`, `w = s max(theta, 0)`: the gradient of a pruned weight is still
//! taken, at w = 0, so it may regrow, with its own sign.

use super::{PIECE, Piece, Synapses};
use crate::layers::Parameter;
use crate::optim::Rule;

/// A step, with a Laplace prior of this penalty and centre (mu).
#[inline(always)]
pub(super) fn step(piece: Piece, rule: &Rule, penalty: f32, centre: f32) {
    let Piece { w, g, first, second, strength, sign, cost, .. } = piece;
    let mut d = [0f32; PIECE];
    let d = &mut d[..w.len()];
    rule.directions(g, w, first, second, true, d);
    let (rate, pull) = (rule.rate, penalty * rule.rate);
    let one = |w: &mut f32, d: f32, theta: &mut f32, sign: i8, pull: f32| {
        let s = f32::from(sign);
        let x = *theta - centre;
        let side = f32::from(u8::from(x > 0.0)) - f32::from(u8::from(x < 0.0));
        *theta -= rate * (s * d) + pull * side;
        // The sum makes -0 to 0.
        *w = s * theta.max(0.0) + 0.0;
    };
    let rows = w.iter_mut().zip(d).zip(strength).zip(sign);
    if cost.is_empty() {
        rows.for_each(|(((w, d), theta), sign)| one(w, *d, theta, *sign, pull));
    } else {
        rows.zip(cost).for_each(|((((w, d), theta), sign), cost)| one(w, *d, theta, *sign, pull * cost));
    }
}

/// A step in which no synapse comes or goes: without a penalty, and a strength stays above 0.
#[inline(always)]
pub(super) fn settled_step(piece: Piece, rule: &Rule) {
    let Piece { w, g, first, second, strength, sign, .. } = piece;
    let mut d = [0f32; PIECE];
    let d = &mut d[..w.len()];
    rule.directions(g, w, first, second, true, d);
    for (((w, d), theta), sign) in w.iter_mut().zip(d).zip(strength).zip(sign) {
        let s = f32::from(*sign);
        let moved = (*theta - rule.rate * (s * *d)).max(f32::MIN_POSITIVE);
        *theta = if *theta > 0.0 { moved } else { *theta };
        *w = s * theta.max(0.0) + 0.0;
    }
}

/// The weakest synapses beyond `wanted` go (of equals, the last).
pub(super) fn settle(synapses: &mut [Synapses], parameters: &mut [&mut Parameter], wanted: u64) {
    let mut all: Vec<f32> = Vec::new();
    for s in synapses.iter() {
        if let Synapses::Signed { strength, .. } = s {
            all.extend(strength.iter().filter(|t| **t > 0.0));
        }
    }
    let excess = (all.len() as u64).saturating_sub(wanted) as usize;
    if excess == 0 {
        return;
    }
    let (below, threshold, _) = all.select_nth_unstable_by(excess - 1, f32::total_cmp);
    let threshold = *threshold;
    let mut equal = excess - below.iter().filter(|t| **t < threshold).count();
    for (s, p) in synapses.iter_mut().zip(parameters.iter_mut()).rev() {
        let Synapses::Signed { strength, .. } = s else { continue };
        for (theta, w) in strength.iter_mut().zip(&mut p.value).rev() {
            let goes = *theta > 0.0 && (*theta < threshold || (*theta == threshold && equal > 0));
            if goes {
                equal -= usize::from(*theta == threshold);
                (*theta, *w) = (-f32::MIN_POSITIVE, 0.0);
            }
        }
    }
}
