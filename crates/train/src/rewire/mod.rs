//! Pruning while training: which weights are synapses, and how their strengths change.
//!
//! In: parameters with gradients, a step's [`Rule`]. Out: changed parameters: a weight that is no synapse is exactly 0.
//! Invariant: what happens to a weight depends on the seed, the step and its own place, never on the number of threads.

pub mod control;
mod deep_r;
mod grad_r;
pub mod grid;
mod magnitude;
mod stds;

use crate::layers::{Parameter, Role};
use crate::optim::{Moments, Rule};
use crate::random::{Purpose, permutation, stream};
use crate::recipe::{Optimizer, Recipe, RecipeError, Sparsity};
use crate::simd::wide;
use control::Control;
pub use grad_r::Settling;
use grid::Grid;
use rayon::prelude::*;

/// Weights of a piece of work.
pub(crate) const PIECE: usize = 4096;

/// What a method keeps of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Synapses {
    /// Nothing is pruned.
    All,
    /// A sign and a hidden strength: the weight is `sign * max(strength, 0)`.
    Signed {
        /// Strengths.
        strength: Vec<f32>,
        /// Signs, 1 or -1, for good.
        sign: Vec<i8>,
        /// Factor of the penalty of each weight; empty: 1.
        cost: Vec<f32>,
    },
    /// A hidden value behind a soft threshold: the weight is `sign(theta) max(|theta| - width, 0)` until synapses settle.
    Soft {
        /// Hidden values.
        theta: Vec<f32>,
        /// The threshold.
        width: [f32; 1],
    },
    /// Which weights are synapses.
    Masked(Vec<bool>),
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Epoch, from 0.
    pub epoch: u32,
    /// Training steps done.
    pub step: u64,
    /// Training steps of an epoch.
    pub steps_in_epoch: u64,
}

/// All parameters on their way.
#[derive(Debug, Clone)]
pub struct Rewiring {
    /// Method.
    pub method: Sparsity,
    /// Optimizer.
    pub optimizer: Optimizer,
    /// Of each parameter.
    pub moments: Vec<Moments>,
    /// Of each parameter.
    pub synapses: Vec<Synapses>,
    /// Prior, and its steering.
    pub control: Control,
    /// The grid of the weights, where there is one.
    pub grid: Option<Grid>,
    /// No synapse comes or goes any more.
    pub settled: bool,
    weights: u64,
    seed: u64,
}

impl Rewiring {
    /// The recipe's method for these parameters; some weights may become 0 at once.
    ///
    /// # Errors
    /// A target that the network can't have.
    pub fn new(recipe: &Recipe, parameters: &mut [&mut Parameter]) -> Result<Self, RecipeError> {
        let weights: u64 = parameters.iter().filter(|p| p.role == Role::Weight).map(|p| p.value.len() as u64).sum();
        let method = recipe.sparsity.clone();
        let connectivity = match &method {
            Sparsity::Dense | Sparsity::Keep => 1.0,
            Sparsity::GradR { target, .. }
            | Sparsity::DeepR { target, .. }
            | Sparsity::Magnitude { target, .. }
            | Sparsity::Stds { target, .. } => target.connectivity(weights)?,
            Sparsity::SoftDeepR { start, .. } => *start,
        };
        let costs = method.budget().is_some();
        let wanted = (connectivity * weights as f64).round() as u64;
        if wanted == 0 {
            let hint = format!("the network has {weights} weights");
            return Err(RecipeError::value("sparsity.target", connectivity, "at least one synapse", hint));
        }
        // Deep R starts with as many synapses as it wants, anywhere in the network.
        let active = match method {
            Sparsity::DeepR { .. } | Sparsity::SoftDeepR { .. } if wanted < weights => {
                let order = permutation(weights as usize, &mut stream(recipe.seed, Purpose::Grow, &[0]));
                let mut active = vec![false; weights as usize];
                order[..wanted as usize].iter().for_each(|&k| active[k as usize] = true);
                Some(active)
            }
            _ => None,
        };
        let mut before = 0;
        let synapses = parameters
            .iter_mut()
            .map(|p| {
                if p.role != Role::Weight {
                    return Synapses::All;
                }
                let active = active.as_ref().map(|a| &a[before..before + p.value.len()]);
                before += p.value.len();
                match method {
                    Sparsity::Dense => Synapses::All,
                    Sparsity::Keep => Synapses::Masked(p.value.iter().map(|w| *w != 0.0).collect()),
                    Sparsity::Stds { .. } => Synapses::Soft { theta: p.value.clone(), width: [0.0] },
                    Sparsity::Magnitude { .. } => Synapses::Masked(vec![true; p.value.len()]),
                    _ => signed(&mut p.value, active, connectivity, costs),
                }
            })
            .collect();
        Ok(Rewiring {
            optimizer: recipe.optimizer,
            moments: parameters.iter().map(|p| Moments::new(&recipe.optimizer, p.value.len())).collect(),
            synapses,
            control: Control::new(&method, connectivity),
            grid: recipe.quantize.as_ref().map(|q| Grid::new(q, parameters)).transpose()?,
            method,
            settled: false,
            weights,
            seed: recipe.seed,
        })
    }

    /// Weights that could be synapses.
    pub fn weights(&self) -> u64 {
        self.weights
    }

    /// Synapses that are wanted.
    pub fn wanted(&self) -> u64 {
        (self.control.target * self.weights as f64).round() as u64
    }

    /// Weights that are synapses.
    pub fn count(&self, parameters: &[&Parameter]) -> u64 {
        let of = |p: &&&Parameter| p.role == Role::Weight;
        parameters.iter().filter(of).map(|p| p.value.par_iter().filter(|w| **w != 0.0).count() as u64).sum()
    }

    /// Where a step is in settling which weights are synapses, of Grad R to an end that is wanted.
    pub fn settling(&self, clock: Clock, epochs: u32) -> Option<Settling> {
        let Sparsity::GradR { settle: settle @ 1.., .. } = self.method else { return None };
        Settling::at(clock, epochs, settle).filter(|_| !self.settled)
    }

    /// Settles on this many synapses.
    pub(crate) fn settle_on(&mut self, synapses: u64) {
        self.control.target = synapses as f64 / self.weights as f64;
    }

    /// Weights that would be synapses if the grid were finer.
    pub(crate) fn strong(&self) -> u64 {
        let of = |s: &Synapses| match s {
            Synapses::Signed { strength, .. } => strength.iter().filter(|t| **t > 0.0).count() as u64,
            _ => 0,
        };
        self.synapses.iter().map(of).sum()
    }

    /// What the parameters would be with `n` synapses, the strongest alone or more than there are, as fine as they are; no state is changed.
    pub(crate) fn show_strongest(&self, parameters: &mut [&mut Parameter], n: u64) {
        if let Some(grid) = &self.grid {
            grid.show_fine(parameters);
        }
        // What grows counts as what is there.
        grad_r::settle(&mut self.synapses.clone(), parameters, &self.moments, |_| n, 1.0);
    }

    /// Changes the parameters by their gradients. `factor` is the schedule's.
    pub fn step(&mut self, parameters: &mut [&mut Parameter], factor: f32, clock: Clock, epochs: u32) {
        let Clock { epoch, step, steps_in_epoch } = clock;
        let Some(mut grid) = self.grid.take() else { return self.change(parameters, factor, clock, epochs) };
        if step > u64::from(grid.from) * steps_in_epoch {
            grid.lift(parameters);
        }
        self.change(parameters, factor, clock, epochs);
        if epoch >= grid.from {
            // After the middle the steps stay: each other choice moves weights that are between two levels.
            let chooses = step.is_multiple_of(steps_in_epoch) && epoch <= grid.from + (epochs - grid.from) / 2;
            grid.put(parameters, chooses);
        }
        self.grid = Some(grid);
    }

    /// The change itself, of weights as fine as they are.
    fn change(&mut self, parameters: &mut [&mut Parameter], factor: f32, clock: Clock, epochs: u32) {
        let rule = Rule::new(&self.optimizer, factor, clock.step + 1);
        let settling = self.settling(clock, epochs);
        if let Some(at) = settling {
            let wanted = self.wanted();
            if at.prunes() {
                grad_r::settle(&mut self.synapses, parameters, &self.moments, |found| at.keeps(found, wanted), grad_r::WEAK);
            }
            self.settled = at.ends();
        }
        for (k, p) in parameters.iter_mut().enumerate() {
            let (moments, decays) = (&mut self.moments[k], p.role == Role::Weight);
            let (seed, step, parameter) = (self.seed, clock.step, k as u64);
            let noise = |temperature| deep_r::Noise { seed, step, parameter, temperature };
            let synapses = &mut self.synapses[k];
            if let Synapses::Soft { width: [width], .. } = *synapses {
                match self.settled {
                    true => pieces(p, moments, synapses, |piece| stds::settled_step(piece, &rule)),
                    false => pieces(p, moments, synapses, |piece| stds::step(piece, &rule, width)),
                }
                continue;
            }
            if !matches!(synapses, Synapses::Signed { .. }) {
                pieces(p, moments, synapses, |piece| plain(piece, &rule, decays));
                continue;
            }
            match self.method {
                Sparsity::GradR { .. } if self.settled || settling.is_some() => {
                    pieces(p, moments, synapses, |piece| grad_r::settled_step(piece, &rule))
                }
                Sparsity::GradR { .. } => {
                    let (penalty, centre) = (self.control.penalty, self.control.centre());
                    pieces(p, moments, synapses, |piece| grad_r::step(piece, &rule, penalty, centre));
                }
                Sparsity::DeepR { penalty, temperature, .. } => {
                    pieces(p, moments, synapses, |piece| deep_r::step(piece, &rule, penalty, None, noise(temperature)));
                }
                Sparsity::SoftDeepR { penalty, temperature, least, .. } => {
                    pieces(p, moments, synapses, |piece| deep_r::step(piece, &rule, penalty, Some(least), noise(temperature)));
                }
                Sparsity::Dense | Sparsity::Keep | Sparsity::Magnitude { .. } | Sparsity::Stds { .. } => {
                    unreachable!("they keep no strengths")
                }
            }
        }
        match self.method {
            Sparsity::DeepR { .. } => {
                let missing = self.wanted().saturating_sub(self.count_of(parameters));
                deep_r::grow(parameters, &mut self.synapses, &mut self.moments, missing, self.weights, self.seed, clock.step);
            }
            Sparsity::Magnitude { from, until, every, by_layer, .. } => {
                if let Some(keep) = self.keeps(clock, from, until, every) {
                    magnitude::prune(parameters, &mut self.synapses, keep, by_layer);
                }
            }
            Sparsity::Stds { from, until, every, by_layer, .. } => {
                if let Some(keep) = self.keeps(clock, from, until, every) {
                    stds::widen(parameters, &mut self.synapses, keep, by_layer);
                    self.settled = clock.step + 1 == u64::from(until) * clock.steps_in_epoch;
                }
            }
            Sparsity::GradR { .. } if !self.settled && settling.is_none() && (clock.step + 1).is_multiple_of(control::EVERY) => {
                let found = self.count_of(parameters) as f64 / self.weights as f64;
                self.control.steer(found, clock.step + 1, clock.steps_in_epoch);
            }
            _ => {}
        }
    }

    /// The share of weights that gradual pruning leaves after a step, where it prunes then.
    fn keeps(&self, clock: Clock, from: u32, until: u32, every: u64) -> Option<f64> {
        let (at, done) = (|epoch: u32| u64::from(epoch) * clock.steps_in_epoch, clock.step + 1);
        let prunes = (done.is_multiple_of(every) && done < at(until)) || done == at(until);
        prunes.then(|| magnitude::share(self.wanted() as f64 / self.weights as f64, done, at(from), at(until)))
    }

    fn count_of(&self, parameters: &[&mut Parameter]) -> u64 {
        self.count(&parameters.iter().map(|p| &**p).collect::<Vec<_>>())
    }
}

/// Strengths and signs of weights; those that are not active become 0, the others grow so that sums keep their spread.
fn signed(value: &mut [f32], active: Option<&[bool]>, connectivity: f64, costs: bool) -> Synapses {
    let sign: Vec<i8> = value.iter().map(|w| if *w < 0.0 { -1 } else { 1 }).collect();
    let grow = if active.is_some() { (1.0 / connectivity.sqrt()) as f32 } else { 1.0 };
    let strength: Vec<f32> =
        (0..value.len()).map(|k| if active.is_none_or(|a| a[k]) { value[k].abs() * grow } else { -f32::MIN_POSITIVE }).collect();
    value.iter_mut().zip(&strength).zip(&sign).for_each(|((w, &s), &sign)| *w = if s > 0.0 { f32::from(sign) * s } else { 0.0 });
    let cost = if costs { vec![1.0; value.len()] } else { Vec::new() };
    Synapses::Signed { strength, sign, cost }
}

/// Some weights of a parameter, with all that is kept of them; what a method does not keep is empty.
pub(crate) struct Piece<'a> {
    /// Number of the piece.
    pub number: usize,
    pub w: &'a mut [f32],
    pub g: &'a [f32],
    pub first: &'a mut [f32],
    pub second: &'a mut [f32],
    pub strength: &'a mut [f32],
    pub sign: &'a [i8],
    pub cost: &'a [f32],
    pub mask: &'a [bool],
}

/// Cuts a parameter into pieces, and works on them in parallel, compiled for wide vectors.
fn pieces(p: &mut Parameter, moments: &mut Moments, synapses: &mut Synapses, work: impl Fn(Piece) + Sync) {
    fn cut<T>(all: &mut [T], n: usize) -> Vec<&mut [T]> {
        if all.is_empty() { (0..n).map(|_| Default::default()).collect() } else { all.chunks_mut(PIECE).collect() }
    }
    fn part<T>(all: &[T], number: usize) -> &[T] {
        if all.is_empty() { all } else { &all[number * PIECE..all.len().min((number + 1) * PIECE)] }
    }
    let n = p.value.len().div_ceil(PIECE);
    let (strength, sign, cost, mask): (&mut [f32], &[i8], &[f32], &[bool]) = match synapses {
        Synapses::All => (&mut [], &[], &[], &[]),
        Synapses::Signed { strength, sign, cost } => (strength, sign, cost, &[]),
        Synapses::Soft { theta, .. } => (theta, &[], &[], &[]),
        Synapses::Masked(mask) => (&mut [], &[], &[], mask),
    };
    let (second, strength) = (cut(&mut moments.second, n), cut(strength, n));
    let rows = p.value.chunks_mut(PIECE).zip(p.gradient.chunks(PIECE)).zip(moments.first.chunks_mut(PIECE)).zip(second).zip(strength);
    let all: Vec<Piece> = rows
        .enumerate()
        .map(|(number, ((((w, g), first), second), strength))| {
            let (sign, cost, mask) = (part(sign, number), part(cost, number), part(mask, number));
            Piece { number, w, g, first, second, strength, sign, cost, mask }
        })
        .collect();
    all.into_par_iter().for_each(|piece| {
        wide(
            #[inline(always)]
            || work(piece),
        );
    });
}

/// The plain change of all weights, or of those of a mask.
#[inline(always)]
fn plain(piece: Piece, rule: &Rule, decays: bool) {
    let Piece { w, g, first, second, mask, .. } = piece;
    let mut d = [0f32; PIECE];
    let d = &mut d[..w.len()];
    rule.directions(g, w, first, second, decays, d);
    if mask.is_empty() {
        w.iter_mut().zip(d).for_each(|(w, d)| *w -= rule.rate * *d);
    } else {
        w.iter_mut().zip(d).zip(mask).for_each(|((w, d), m)| *w = if *m { *w - rule.rate * *d } else { 0.0 });
    }
}

#[cfg(test)]
mod tests;
