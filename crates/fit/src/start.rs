//! Where a course starts: which synapses take part, and the state of their rows.
//!
//! In: layers and the importance of their neurons. Out: rows that say what each removal costs; what went before, where there are too many.
//! Invariant: a row's weights make up for those that went before. Cost: n^3 / 2 multiplications for a row of n synapses that starts exactly;
//! for one that is cut first, n^3 / 3 more.

use crate::layer::Layer;
use crate::sculpt::{At, Options, Saliency};
use rayon::prelude::*;
use spikec_reconstruct::matrix;
use spikec_reconstruct::remove::Shrinking;

/// Longest row that is inverted exactly; of longer ones the best are kept beforehand.
pub const LONGEST_ROW: usize = 1024;

/// A row that loses synapses.
#[derive(Clone)]
pub(crate) enum Row {
    Exact(Box<Shrinking>),
    /// Weights and costs by position, 0 where they are gone.
    Fixed {
        weights: Vec<f32>,
        costs: Vec<f32>,
    },
}

impl Row {
    pub fn cost(&self, position: u32) -> f32 {
        match self {
            Row::Exact(row) => row.cost(position).unwrap_or(0.0),
            Row::Fixed { costs, .. } => costs[position as usize],
        }
    }
    pub fn weight(&self, position: u32) -> f32 {
        match self {
            Row::Exact(row) => row.weight(position),
            Row::Fixed { weights, .. } => weights[position as usize],
        }
    }
    pub fn remove(&mut self, position: u32) {
        match self {
            Row::Exact(row) => {
                row.remove(position);
            }
            Row::Fixed { weights, costs } => {
                weights[position as usize] = 0.0;
                costs[position as usize] = 0.0;
            }
        }
    }
}

/// Alive positions of every row, and what went before the search: the least salient at the start, where there are too many.
pub(crate) fn first_cut(layers: &[Layer], importance: &[Vec<f32>], options: &Options, all: usize) -> (Vec<Vec<Vec<bool>>>, Vec<At>) {
    let mut alive: Vec<Vec<Vec<bool>>> = layers.iter().map(|l| l.rows.iter().map(|r| vec![true; r.len()]).collect()).collect();
    let long = layers.iter().flat_map(|l| &l.rows).any(|r| r.len() > LONGEST_ROW);
    if options.saliency != Saliency::SecondOrder || all <= options.start && !long {
        return (alive, Vec::new());
    }
    // A sample of rows says at which price as many are left as the search may start with.
    let jobs: Vec<(usize, usize)> = layers.iter().enumerate().flat_map(|(l, layer)| (0..layer.rows.len()).map(move |j| (l, j))).collect();
    let inverses: Vec<Option<Vec<f32>>> = layers.iter().map(shared_inverse).collect();
    let trace = |l: usize, j: usize, stop: f32| -> Vec<(u32, f32)> {
        let mut row = start_row(&layers[l], j, inverses[l].as_deref());
        let (mut out, mut worst) = (row.gone, 0f32);
        while let Some((position, cost)) = row.state.remove_least() {
            worst = worst.max(cost * importance[l][j]);
            if worst > stop {
                break;
            }
            out.push((row.support[position as usize], worst));
        }
        out
    };
    let sample: Vec<(usize, usize)> = jobs.iter().copied().step_by(jobs.len().div_ceil(48).max(1)).collect();
    let traces: Vec<Vec<(u32, f32)>> = sample.par_iter().map(|&(l, j)| trace(l, j, f32::INFINITY)).collect();
    let sampled: usize = sample.iter().map(|&(l, j)| layers[l].rows[j].len()).sum();
    let mut prices: Vec<f32> = traces.iter().flatten().map(|t| t.1).collect();
    prices.sort_by(f32::total_cmp);
    let keep = sampled as f64 * options.start as f64 / all as f64;
    let cut = prices.len().saturating_sub(keep as usize);
    // Nothing more than what rows are too long by, where there is room for all.
    let stop = if all <= options.start { -1.0 } else { prices.get(cut.saturating_sub(1)).copied().unwrap_or(0.0) };
    let removed: Vec<Vec<(u32, f32)>> = jobs.par_iter().map(|&(l, j)| trace(l, j, stop)).collect();
    let mut gone: Vec<(f32, At)> = Vec::new();
    for (&(l, j), removed) in jobs.iter().zip(removed) {
        for (position, price) in removed {
            alive[l][j][position as usize] = false;
            gone.push((price, At { layer: l as u32, row: j as u32, position }));
        }
    }
    gone.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    (alive, gone.into_iter().map(|g| g.1).collect())
}

struct Start {
    state: Shrinking,
    /// Position in the whole row of each weight of `state`.
    support: Vec<u32>,
    /// What a row that is too long lost beforehand.
    gone: Vec<(u32, f32)>,
}

/// The inverse of all features, where some row has them all.
fn shared_inverse(layer: &Layer) -> Option<Vec<f32>> {
    let n = layer.moments.count;
    (layer.rows.iter().any(|r| r.len() == n) && n > 0).then(|| layer.inverse())
}

/// The inverse over a support.
fn inverse_of(layer: &Layer, j: usize, support: &[u32]) -> Vec<f32> {
    let (n, m) = (layer.moments.count, support.len());
    let feature = |k: u32| layer.features.rows[j][k as usize].feature as usize;
    let h = matrix::part(&layer.moments.now, n, support.iter().map(|&k| feature(k)));
    matrix::inverse(&matrix::cholesky(&h, m, layer.floor()), m)
}

fn start_row(layer: &Layer, j: usize, shared: Option<&[f32]>) -> Start {
    let weights = &layer.rows[j];
    let n = layer.moments.count;
    let mut support: Vec<u32> = (0..weights.len() as u32).collect();
    let mut gone = Vec::new();
    if weights.len() > LONGEST_ROW {
        let h = |k: u32| {
            let f = layer.features.rows[j][k as usize].feature as usize;
            match shared {
                Some(inverse) if weights.len() == n => 1.0 / inverse[f * n + f],
                _ => layer.moments.now[f * n + f],
            }
        };
        let saliency = |k: u32| weights[k as usize].powi(2) * h(k);
        support.sort_by(|&a, &b| saliency(b).total_cmp(&saliency(a)).then(a.cmp(&b)));
        gone = support.split_off(LONGEST_ROW).into_iter().map(|k| (k, 0.0)).collect();
        support.sort_unstable();
    }
    let inverse = match shared {
        Some(inverse) if support.len() == n => inverse.to_vec(),
        _ => inverse_of(layer, j, &support),
    };
    let weights = best_weights(layer, j, &support);
    Start { state: Shrinking::new(inverse, weights), support, gone }
}

/// Weights of a support that make up for the rest of the row.
pub fn best_weights(layer: &Layer, j: usize, support: &[u32]) -> Vec<f32> {
    let weights = &layer.rows[j];
    if support.len() == weights.len() {
        return weights.clone();
    }
    let n = layer.moments.count;
    let row = &layer.features.rows[j];
    let m = support.len();
    let feature = |k: u32| row[k as usize].feature as usize;
    let all: Vec<(u32, f32)> = row.iter().zip(weights).map(|(s, &w)| (s.feature, w)).collect();
    let wanted = layer.moments.wanted(&all, &all);
    let h = matrix::part(&layer.moments.now, n, support.iter().map(|&k| feature(k)));
    let mut x: Vec<f32> = support.iter().map(|&k| wanted[k as usize]).collect();
    matrix::solve(&matrix::cholesky(&h, m, layer.floor()), m, &mut x);
    x
}

pub(crate) fn row_state(layer: &Layer, j: usize, alive: &[bool], saliency: Saliency, mean_square: f32) -> Row {
    let weights = &layer.rows[j];
    let h = |k: usize| {
        let f = layer.features.rows[j][k].feature as usize;
        layer.moments.now[f * layer.moments.count + f] - layer.moments.damping
    };
    let fixed = |cost: &dyn Fn(usize) -> f32| Row::Fixed { weights: weights.clone(), costs: (0..weights.len()).map(cost).collect() };
    match saliency {
        Saliency::Magnitude => fixed(&|k| weights[k].powi(2)),
        Saliency::LayerMagnitude => fixed(&|k| weights[k].powi(2) / mean_square),
        Saliency::Activity => fixed(&|k| weights[k].powi(2) * h(k).max(0.0)),
        Saliency::SecondOrder => {
            let support: Vec<u32> = (0..weights.len() as u32).filter(|&k| alive[k as usize]).collect();
            Row::Exact(Box::new(Shrinking::over(support.clone(), inverse_of(layer, j, &support), best_weights(layer, j, &support))))
        }
    }
}
