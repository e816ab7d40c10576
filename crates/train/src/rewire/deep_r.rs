//! Deep R and soft Deep R (Bellec, Kappel, Maass, Legenstein, ICLR 2018, algorithms 1 and 2).
//!
//! A synapse: `theta <- theta - rate s d - lr penalty + sqrt(2 lr temperature) noise`; below 0 it is none any more. Deep R grows as many
//! others at once, drawn from all that are none, at strength 0; in soft Deep R those that are none walk by noise alone. No strength falls below `least`.
//! The paper descends plainly; with Adam, d and rate are Adam's, for every method alike.

use super::{PIECE, Piece, Synapses};
use crate::layers::Parameter;
use crate::optim::{Moments, Rule};
use crate::random::{Purpose, normals, stream};
use rand::Rng;

/// Strength of a synapse that has just grown.
const GROWN: f32 = 1e-12;

/// Where noise comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Noise {
    pub seed: u64,
    pub step: u64,
    pub parameter: u64,
    pub temperature: f32,
}

/// A step; with `least` the soft one. Gradients of what is no synapse count for nothing, nor for its moments.
pub(super) fn step(piece: Piece, rule: &Rule, penalty: f32, least: Option<f32>, noise: Noise) {
    let Piece { number, w, g, first, second, strength, sign, .. } = piece;
    let mut random = stream(noise.seed, Purpose::Noise, &[noise.step, noise.parameter, number as u64]);
    let size = (2.0 * rule.lr * noise.temperature).sqrt();
    let mut spare = None;
    let mut draw = || {
        if size == 0.0 {
            return 0.0;
        }
        size * spare.take().unwrap_or_else(|| {
            let (one, other) = normals(&mut random);
            spare = Some(other);
            one
        })
    };
    let mut d = [0f32; PIECE];
    // The moments of what is no synapse stay 0.
    let masked: Vec<f32> = g.iter().zip(&*strength).map(|(g, t)| if *t > 0.0 { *g } else { 0.0 }).collect();
    rule.directions(&masked, w, first, second, true, &mut d[..w.len()]);
    for k in 0..w.len() {
        let theta = &mut strength[k];
        if *theta > 0.0 {
            *theta += draw() - rule.rate * (f32::from(sign[k]) * d[k]) - rule.lr * penalty;
            *theta = theta.max(least.unwrap_or(f32::NEG_INFINITY));
            if *theta <= 0.0 {
                first[k] = 0.0;
                second.get_mut(k).into_iter().for_each(|v| *v = 0.0);
            }
        } else if let Some(least) = least {
            *theta = (*theta + draw()).max(least);
        }
        w[k] = if *theta > 0.0 { f32::from(sign[k]) * *theta } else { 0.0 };
    }
}

/// Grows `missing` synapses, drawn from all that are none.
pub(super) fn grow(
    parameters: &mut [&mut Parameter],
    synapses: &mut [Synapses],
    moments: &mut [Moments],
    missing: u64,
    weights: u64,
    seed: u64,
    step: u64,
) {
    let mut random = stream(seed, Purpose::Grow, &[1, step]);
    for _ in 0..missing {
        // There are some: fewer are wanted than there are weights.
        loop {
            let mut at = random.random_range(0..weights) as usize;
            let mut k = 0;
            let found = loop {
                if let Synapses::Signed { strength, sign, .. } = &mut synapses[k] {
                    if at < strength.len() {
                        break (strength[at] <= 0.0).then(|| {
                            strength[at] = GROWN;
                            f32::from(sign[at]) * GROWN
                        });
                    }
                    at -= strength.len();
                }
                k += 1;
            };
            if let Some(w) = found {
                parameters[k].value[at] = w;
                moments[k].first[at] = 0.0;
                moments[k].second.get_mut(at).into_iter().for_each(|v| *v = 0.0);
                break;
            }
        }
    }
}
