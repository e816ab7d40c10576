//! The packer in the loop: the longest prefix of a course that keeps a budget.
//!
//! In: a course of removals, a budget. Out: the largest net of the course whose compiled bundle keeps the budget.
//! Invariant: what is returned was compiled with the weights that it gets. Cost: a dozen packings, and up to [`CAREFUL_ROUNDS`] refits.

use super::{Filed, FitFailure, Fitter, Found, Shape, Way};
use crate::budget::{Budget, Use};
use crate::refit::{Kept, Samples, all, pruned, refit};
use crate::sculpt::Course;
use spikec_compile::{CompileError, CompileOptions, Compiled, Effort, Input, compile};
use spikec_net::{Float, Net};

/// Refits and compilations for a budget, at most.
const CAREFUL_ROUNDS: u32 = 6;

/// A net of a course with the weights that it gets.
pub(super) struct Tried<F> {
    step: usize,
    /// Share of the budget that it takes; a little more than 1 where it can't be compiled.
    full: f64,
    /// Its bundle, and what it takes.
    pub(super) compiled: Option<(Compiled, Vec<Use>)>,
    filed: Filed<F>,
    kept: Kept,
}

impl<F> Fitter<'_, F> {
    /// The net after so many steps of a course.
    pub(super) fn kept(&self, course: &Course, step: usize) -> Kept {
        let mut kept = all(&self.layers);
        for at in &course.removed[..course.steps[step].0 as usize] {
            kept[at.layer as usize][at.row as usize][at.position as usize] = false;
        }
        kept
    }

    /// Packs the net after so many steps without fitting its weights: what is beyond the budget, `None` where it can't be compiled.
    fn beyond(&self, net: &Net<Float>, options: &CompileOptions, budget: &Budget) -> Result<Option<Vec<Use>>, FitFailure> {
        match compile(Input::Trained { net, digest: [0; 32] }, self.target, options, &mut |_| ()) {
            Ok(compiled) => Ok(Some(budget.uses(&compiled.report, self.target).into_iter().filter(|u| u.used > u.allowed).collect())),
            Err(CompileError::Findings(_) | CompileError::NothingLeft(_)) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Options by which nets of a course are only packed.
    fn quick(&self, way: &Way) -> CompileOptions {
        let packed = self.compile_options(way.width, false);
        match way.shape {
            // A dense layer is packed in order as well as in any.
            Shape::Whole => CompileOptions { effort: Effort::Fast, partitioner: "sequential".into(), ..packed },
            Shape::Free => CompileOptions { effort: Effort::Fast, ..packed },
        }
    }

    /// The first step of a course that keeps the budget when only packed: around where the course says that it is, then by halves.
    fn packs(&self, budget: &Budget, way: &Way) -> Result<usize, FitFailure> {
        let (course, quick) = (&way.course, self.quick(way));
        let last = course.steps.len() - 1;
        let (mut fits, mut beyond) = (last, course.placeable.saturating_sub(1));
        let mut step = self.guess(budget, course).max(course.placeable).min(last);
        let mut stride = (last / 100).max(1);
        while !course.near(beyond, fits) {
            let net = pruned(self.net, &self.layers, &self.kept(course, step));
            let list = if net.synapse_count() == 0 { Some(Vec::new()) } else { self.beyond(&net, &quick, budget)? };
            match list {
                Some(list) if list.is_empty() => {
                    fits = step;
                    step = if beyond == 0 { fits.saturating_sub(stride).max(fits / 2).max(course.placeable) } else { (beyond + fits) / 2 };
                }
                _ => {
                    beyond = step.max(1);
                    step = if fits == last { (beyond + stride).min(beyond.midpoint(fits)) } else { beyond.midpoint(fits) };
                }
            }
            stride *= 2;
        }
        Ok(fits)
    }

    /// The net after `step` steps with the weights that it gets; `None` where nothing is left of it.
    fn careful(&self, budget: &Budget, way: &Way, step: usize) -> Result<Option<Tried<F>>, FitFailure> {
        let options = self.compile_options(way.width, self.options.method.reconstruct);
        let kept = self.kept(&way.course, step);
        let small = pruned(self.net, &self.layers, &kept);
        let net = if self.options.method.reconstruct {
            refit(&self.teacher, small, Samples { samples: &self.used, steps: self.options.compile.default_steps })?
        } else {
            small
        };
        let filed = (self.file)(&net).map_err(FitFailure::WriteBack)?;
        let (full, compiled) = match compile(Input::Trained { net: &filed.net, digest: filed.digest }, self.target, &options, &mut |_| ()) {
            Ok(compiled) => {
                let uses = budget.uses(&compiled.report, self.target);
                let share = |u: &Use| if u.used == 0 { 0.0 } else { u.used as f64 / u.allowed as f64 };
                (uses.iter().map(share).fold(0.0, f64::max), Some((compiled, uses)))
            }
            Err(CompileError::Findings(_)) => (1.0 + 1.0 / 16.0, None),
            Err(CompileError::NothingLeft(_)) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        Ok(Some(Tried { step, full, compiled, filed, kept }))
    }

    /// A first look at a course: the net that keeps the budget when only packed, with the weights that it gets. It may take a little more then.
    pub(super) fn first(&self, budget: &Budget, way: &Way) -> Result<Option<Tried<F>>, FitFailure> {
        self.careful(budget, way, self.packs(budget, way)?)
    }

    /// The largest net of a course within the budget, from its first look. Rounding removes synapses too, so that a larger net may keep the budget.
    pub(super) fn within(&self, budget: &Budget, way: &Way, first: Option<Tried<F>>) -> Result<Found<F>, FitFailure> {
        let course = &way.course;
        let last = course.steps.len() - 1;
        let mut found: Option<(Found<F>, usize)> = None;
        let mut next_larger: (usize, Vec<Use>) = (0, Vec::new());
        let mut next = first;
        for round in 0..CAREFUL_ROUNDS {
            let Some(Tried { step, full, compiled, filed, kept }) = next.take() else { break };
            match compiled {
                Some((compiled, _)) if full <= 1.0 => found = Some((Found { compiled, filed, kept, next_larger: Vec::new() }, step)),
                Some((_, uses)) => next_larger = (step, uses),
                None => {}
            }
            let low = next_larger.0;
            let step = match &found {
                // By as much as it is too large, and a little more each time.
                None => {
                    let beyond =
                        (f64::from(course.left(step)) * (full - 1.0).min(0.5)) as u32 + (course.left(step) >> (7 - round.min(6))) + 1;
                    let wanted = course.left(step).saturating_sub(beyond);
                    course.steps.partition_point(|s| course.removed.len() as u32 - s.0 > wanted).clamp(step + 1, last.max(step + 1))
                }
                // Cores are whole; what is nearly full is full.
                Some((_, at))
                    if full <= 1.0
                        && (full > self.options.fill || budget.words(self.target).is_none() && budget.synapses.is_none())
                        && *at == step =>
                {
                    break;
                }
                Some((_, at)) if low > 0 && course.near(low, *at) => break,
                Some((_, at)) if low > 0 => low.midpoint(*at),
                Some((_, at)) => {
                    let wanted =
                        course.steps[*at].0.saturating_sub((f64::from(course.left(*at)) * (1.0 / full.max(0.5) - 1.0) * 0.9) as u32);
                    let before = course.steps.partition_point(|s| s.0 < wanted).min(at.saturating_sub(1));
                    if budget.cores.is_some() || budget.chips.is_some() || before == *at { break } else { before }
                }
            };
            if step > last {
                break;
            }
            if round + 1 < CAREFUL_ROUNDS {
                next = self.careful(budget, way, step)?;
            }
        }
        match found {
            Some((found, _)) => Ok(Found { next_larger: next_larger.1, ..found }),
            None => Err(self.too_small(budget, &self.quick(way), course)?),
        }
    }

    /// What the smallest net of a course that still reaches its output takes of a budget that it exceeds.
    fn too_small(&self, budget: &Budget, options: &CompileOptions, course: &Course) -> Result<FitFailure, FitFailure> {
        let (mut whole, mut nothing) = (0, course.steps.len());
        let mut smallest = None;
        while whole + 1 < nothing {
            let step = whole.midpoint(nothing);
            let net = pruned(self.net, &self.layers, &self.kept(course, step));
            match compile(Input::Trained { net: &net, digest: [0; 32] }, self.target, options, &mut |_| ()) {
                Ok(compiled) => (whole, smallest) = (step, Some(compiled)),
                Err(CompileError::NothingLeft(_)) => nothing = step,
                // Too large for the chip: smaller ones are still something.
                Err(CompileError::Findings(_)) => whole = step,
                Err(e) => return Err(e.into()),
            }
        }
        let uses = smallest.map(|c| budget.uses(&c.report, self.target)).unwrap_or_default();
        let share = |u: &Use| u.used as f64 / u.allowed.max(1) as f64;
        let beyond = uses.into_iter().max_by(|a, b| share(a).total_cmp(&share(b)));
        let board = u64::from(self.target.total_cores());
        Ok(FitFailure::TooSmall(beyond.unwrap_or_else(|| Use { what: "cores of the board".into(), used: board + 1, allowed: board })))
    }

    /// The step at which a course says that the budget is kept.
    fn guess(&self, budget: &Budget, course: &Course) -> usize {
        let all = course.removed.len() as u64;
        let of_words = match budget.words(self.target) {
            Some(words) if self.options.method.chip_cost => course.steps.partition_point(|s| s.1 > words as f64),
            // About ten bits a synapse.
            Some(words) => course.steps.partition_point(|s| (all - u64::from(s.0)) / 6 > words),
            None => 0,
        };
        let of_synapses = budget.synapses.map_or(0, |n| course.steps.partition_point(|s| all - u64::from(s.0) > n));
        of_words.max(of_synapses).max(course.steps.len() / 100)
    }
}
