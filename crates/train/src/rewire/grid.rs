//! Weights on a grid of few levels while they learn: what a chip's few bits hold.
//!
//! In: parameters as a method left them. Out: weights of layers, each a whole multiple of its layer's step, up to as many as the bits have on both sides
//! of 0; and the finer weights behind them, which methods change.
//! Invariant: the network that learns, is judged and is written is the one on the grid; its gradient is that of the weights on the grid, applied to the
//! finer ones ("straight through": Bengio, Leonard, Courville, arXiv:1308.3432; for weights Hubara et al., arXiv:1609.07061). What is 0 because it is
//! pruned is 0 on the grid; what is too weak for half a step is 0 there too, and comes back when it is stronger.
//! Cost: one more copy of the weights; once an epoch up to the middle of those on the grid, a pass over them for each of [`CANDIDATES`] steps.

use super::PIECE;
use crate::layers::{Parameter, Role};
use crate::recipe::{Quantize, RecipeError};
use rayon::prelude::*;

/// Steps that are tried for a layer, from this share of the one at which its largest weight is the last level to that one.
const CANDIDATES: u32 = 64;
const LEAST: f32 = 0.1;

/// The grid of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// From the end of the first step of this epoch (from 0) on.
    pub from: u32,
    /// Of each parameter, its step; 0: it has none.
    pub step: Vec<f32>,
    /// Of each parameter that is weights, what is behind it.
    pub fine: Vec<Vec<f32>>,
    /// Of each parameter, levels to each side of 0.
    levels: Vec<f32>,
}

impl Grid {
    /// Of a recipe, for these parameters.
    ///
    /// # Errors
    /// A layer that is none.
    pub fn new(quantize: &Quantize, parameters: &[&mut Parameter]) -> Result<Self, RecipeError> {
        let layer = |p: &Parameter| p.name.split('.').next().unwrap_or_default().to_string();
        let names: Vec<String> = parameters.iter().filter(|p| p.role == Role::Weight).map(|p| layer(p)).collect();
        if let Some(unknown) = quantize.layers.keys().find(|k| !names.contains(k)) {
            let expected = format!("one of {}", names.join(", "));
            return Err(RecipeError::value("quantize.layers", unknown, expected, "name layers with weights"));
        }
        let bits = |p: &Parameter| quantize.layers.get(&layer(p)).copied().unwrap_or(quantize.bits);
        let fine = |p: &&mut Parameter| if p.role == Role::Weight { vec![0.0; p.value.len()] } else { Vec::new() };
        Ok(Grid {
            from: quantize.from,
            step: vec![0.0; parameters.len()],
            fine: parameters.iter().map(fine).collect(),
            levels: parameters.iter().map(|p| levels(bits(p))).collect(),
        })
    }

    /// The finer weights in the place of those on the grid, for a method to change.
    pub fn lift(&mut self, parameters: &mut [&mut Parameter]) {
        for (p, fine) in parameters.iter_mut().zip(&mut self.fine).filter(|(_, fine)| !fine.is_empty()) {
            std::mem::swap(&mut p.value, fine);
        }
    }

    /// A copy of the finer weights in the place of those on the grid, where there are such.
    pub(super) fn show_fine(&self, parameters: &mut [&mut Parameter]) {
        for ((p, fine), _) in parameters.iter_mut().zip(&self.fine).zip(&self.step).filter(|(_, step)| **step > 0.0) {
            p.value.copy_from_slice(fine);
        }
    }

    /// The weights on the grid in the place of the finer ones; `choose`: with other steps.
    pub fn put(&mut self, parameters: &mut [&mut Parameter], choose: bool) {
        let rows = parameters.iter_mut().zip(&mut self.fine).zip(&mut self.step).zip(&self.levels);
        for (((p, fine), step), &levels) in rows.filter(|(((_, fine), _), _)| !fine.is_empty()) {
            // What comes back in a layer that was empty when its step was chosen needs one.
            if choose || (*step == 0.0 && p.value.iter().any(|w| *w != 0.0)) {
                *step = best_step(&p.value, levels);
            }
            let step = *step;
            fine.copy_from_slice(&p.value);
            let pieces = p.value.par_chunks_mut(PIECE);
            pieces.for_each(|piece| piece.iter_mut().for_each(|w| *w = nearest(*w, step, levels)));
        }
    }
}

/// Levels to each side of 0 of weights with a sign.
fn levels(bits: u8) -> f32 {
    ((1u32 << (bits - 1)) - 1) as f32
}

/// The multiple of `step` nearest to `w`, without a sign where it is 0.
fn nearest(w: f32, step: f32, levels: f32) -> f32 {
    if step > 0.0 { (w / step).round().clamp(-levels, levels) * step + 0.0 } else { 0.0 }
}

/// The step of least squared error; 0 where all weights are.
fn best_step(weights: &[f32], levels: f32) -> f32 {
    let there: Vec<f32> = weights.iter().copied().filter(|w| *w != 0.0).collect();
    let largest = there.iter().fold(0f32, |a, w| a.max(w.abs()));
    if largest < f32::MIN_POSITIVE * levels {
        return 0.0;
    }
    let tried = (0..CANDIDATES).into_par_iter().map(|k| {
        let share = 1.0 - (1.0 - LEAST) * k as f32 / (CANDIDATES - 1) as f32;
        let step = share * largest / levels;
        let error: f64 = there.iter().map(|&w| f64::from(nearest(w, step, levels) - w).powi(2)).sum();
        (error, step)
    });
    // The first of equals: the widest.
    let tried: Vec<(f64, f32)> = tried.collect();
    tried.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)).map_or(0.0, |best| best.1)
}
