//! Gradient Rewiring (Chen, Yu, Fang, Huang, Tian, IJCAI 2021).
//!
//! `s theta <- s theta - rate d - penalty rate cost sign(theta - mu) s`, `w = s max(theta, 0)`: the gradient of a pruned weight is still
//! taken, at w = 0, so it may regrow, with its own sign.

use super::control::EVERY;
use super::magnitude::left;
use super::{Clock, PIECE, Piece, Synapses};
use crate::layers::Parameter;
use crate::optim::{Moments, Rule};

/// Strength of a synapse that grows where others are missing, of the mean of its layer's: it does little until it has learned.
pub(super) const WEAK: f32 = 0.1;

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

/// Least looks on the way, where there are as many steps.
const LOOKS: u64 = 8;

/// Where a step is between the first in which synapses only go and the first in which none does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settling {
    /// Steps since the first.
    done: u64,
    /// Steps from the first to the last.
    all: u64,
}

impl Settling {
    /// Of a step: the first third of the last `settle` epochs is for it.
    pub(super) fn at(Clock { step, steps_in_epoch, .. }: Clock, epochs: u32, settle: u32) -> Option<Self> {
        let first = u64::from(epochs.saturating_sub(settle)) * steps_in_epoch;
        let all = (u64::from(settle.min(epochs)) * steps_in_epoch / 3).saturating_sub(1);
        Some(Settling { done: step.checked_sub(first)?, all }).filter(|s| s.done <= all)
    }

    /// It is the first step.
    pub fn begins(&self) -> bool {
        self.done == 0
    }

    /// It is the last one: the number that is wanted is reached.
    pub fn ends(&self) -> bool {
        self.done == self.all
    }

    /// Synapses go in this step.
    pub(super) fn prunes(&self) -> bool {
        self.done.is_multiple_of(self.every()) || self.ends()
    }

    /// Steps between two looks; few where there are few.
    fn every(&self) -> u64 {
        EVERY.min((self.all / LOOKS).max(1))
    }

    /// How many of the synapses that are found stay: what is beyond the number wanted falls with the cube of the time left, as in gradual
    /// magnitude pruning. Where there are fewer, all that is missing grows in the first step or, if still missing, in the last.
    pub(super) fn keeps(&self, found: u64, wanted: u64) -> u64 {
        let Some(excess) = found.checked_sub(wanted) else { return if self.begins() || self.ends() { wanted } else { found } };
        if self.ends() {
            return wanted;
        }
        // Of what was left after the last look.
        let left = |done: u64| left(done as f64 / self.all as f64);
        let share = left(self.done) / left(self.done.saturating_sub(self.every()));
        wanted + (excess as f64 * share).round() as u64
    }
}

/// The weakest synapses beyond those that `keep` says (of the number found) go (of equals, the last); where there are fewer, others grow, to the
/// share `strength` of their layer's mean.
pub(super) fn settle(
    synapses: &mut [Synapses],
    parameters: &mut [&mut Parameter],
    moments: &[Moments],
    keep: impl Fn(u64) -> u64,
    strength: f32,
) {
    let mut all: Vec<f32> = Vec::new();
    for s in synapses.iter() {
        if let Synapses::Signed { strength, .. } = s {
            all.extend(strength.iter().filter(|t| **t > 0.0));
        }
    }
    let wanted = keep(all.len() as u64);
    let excess = (all.len() as u64).saturating_sub(wanted) as usize;
    if excess == 0 {
        return grow(synapses, parameters, moments, wanted as usize - all.len(), strength);
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

/// As many as are `missing` become synapses: those whose mean gradient would strengthen them most (as Evci et al., ICML 2020, grow by
/// gradients; of equals, the first). What no gradient strengthens stays pruned.
fn grow(synapses: &mut [Synapses], parameters: &mut [&mut Parameter], moments: &[Moments], missing: usize, share: f32) {
    let mut all: Vec<(f32, usize, usize)> = Vec::new();
    for (p, (s, moments)) in synapses.iter().zip(moments).enumerate() {
        let Synapses::Signed { strength, sign, .. } = s else { continue };
        let gains = strength.iter().zip(sign).zip(&moments.first).map(|((t, s), m)| if *t > 0.0 { 0.0 } else { -f32::from(*s) * m });
        all.extend(gains.enumerate().filter(|(_, gain)| *gain > 0.0).map(|(k, gain)| (gain, p, k)));
    }
    let order = |a: &(f32, usize, usize), b: &(f32, usize, usize)| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2)));
    let grown = missing.min(all.len());
    if grown < all.len() && grown > 0 {
        all.select_nth_unstable_by(grown - 1, order);
    }
    let mean = |s: &Synapses| {
        let Synapses::Signed { strength, .. } = s else { return 0.0 };
        let (sum, n) = strength.iter().filter(|t| **t > 0.0).fold((0f64, 0u64), |(sum, n), t| (sum + f64::from(*t), n + 1));
        (sum / n.max(1) as f64) as f32
    };
    let new: Vec<f32> = synapses.iter().map(|s| (share * mean(s)).max(f32::MIN_POSITIVE)).collect();
    for &(_, p, k) in &all[..grown] {
        let Synapses::Signed { strength, sign, .. } = &mut synapses[p] else { continue };
        strength[k] = new[p];
        parameters[p].value[k] = f32::from(sign[k]) * new[p];
    }
}
