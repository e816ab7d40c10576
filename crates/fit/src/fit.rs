//! The driver: removes synapses until the compiled bundle keeps the budget, and no more.
//!
//! In: a net in floats, a target, samples. Out: [`Fitted`], for each budget.
//! Invariant: a result was compiled, and its report keeps the budget. The same input, options and seed give the same result on any number of
//! threads. Cost: one course of removals for all budgets; for each budget and candidate a dozen packings, and a few refits.

use crate::budget::{Budget, Use};
use crate::layer::Layer;
use crate::refit::{Kept, Samples, all, pruned, refit};
use crate::sculpt::{Block, Cost, Course, Options, Saliency};
use serde::Serialize;
use spikec_chip::Target;
use spikec_compile::{CompileError, CompileOptions, Compiled, Input, Quantizer, Signs, compile};
use spikec_data::{Decode, Stimulus, predict};
use spikec_net::{Float, Net, PopulationId, Quantized, ReferenceError};
use spikec_reconstruct::Recording;
use thiserror::Error;

/// How weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Width {
    /// Stored width in bits.
    pub bits: u8,
    /// Width of the weights into the output population.
    pub output_bits: u8,
    /// How both signs are stored.
    pub signs: Signs,
}

/// Which synapses go first, and what the others do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Method {
    /// What makes a synapse worth keeping.
    pub saliency: Saliency,
    /// Error is weighed against words of memory, not against synapses.
    pub chip_cost: bool,
    /// Weights are refitted and reconstructed; otherwise they stay, rounded to the nearest.
    pub reconstruct: bool,
}

impl Default for Method {
    fn default() -> Self {
        Method { saliency: Saliency::SecondOrder, chip_cost: true, reconstruct: true }
    }
}

/// How to fit.
#[derive(Debug, Clone)]
pub struct FitOptions {
    /// Method.
    pub method: Method,
    /// Widths to try; the best on samples held back is taken.
    pub widths: Vec<Width>,
    /// Error of a neuron's potential against what its spikes do; see [`Options::balance`].
    pub balances: Vec<f32>,
    /// Options of the compiler, but for widths, signs, quantizer, teacher and calibration.
    pub compile: CompileOptions,
}

/// Why nothing fits.
#[derive(Debug, Error)]
pub enum FitFailure {
    /// No limit was given.
    #[error("no budget: nothing is limited")]
    NoBudget,
    /// The net can't be compiled at all.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// Samples do not fit the net.
    #[error("calibration: {0}")]
    Samples(#[from] ReferenceError),
    /// Too few samples to hold some back.
    #[error("calibration: {found} samples, expected at least {expected}")]
    FewSamples {
        /// As given.
        found: usize,
        /// Fewest.
        expected: usize,
    },
    /// No sample makes a neuron fire.
    #[error("calibration: no spike reaches a neuron in any sample")]
    Silent,
    /// Even a net with almost no synapse needs more.
    #[error("budget: {} needs {} at least, {} allowed", .0.what, .0.used, .0.allowed)]
    TooSmall(Use),
    /// Writing the net back failed.
    #[error("{0}")]
    WriteBack(String),
}

impl FitFailure {
    /// A remedy.
    pub fn hint(&self) -> String {
        match self {
            FitFailure::NoBudget => "give --cores, --chips, --synapses, --memory or --limit".into(),
            FitFailure::Compile(e) => e.hint(),
            FitFailure::Samples(e) => e.hint(),
            FitFailure::FewSamples { .. } => "give some hundred samples; labels are not needed".into(),
            FitFailure::Silent => "calibrate with data that the network was trained for, coded in the same way".into(),
            FitFailure::TooSmall(_) => "raise the budget, or choose a target whose cores hold more".into(),
            FitFailure::WriteBack(_) => "fit a network whose projections are one matrix each".into(),
        }
    }
}

/// How well a net does what the teacher does, on samples that it was not fitted to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Score {
    /// Samples held back.
    pub samples: usize,
    /// Share of samples with the teacher's class.
    pub agreement: f64,
    /// Mean sum over outputs of the squared difference of spike counts.
    pub distance: f64,
}

/// A candidate that was tried.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// How weights are stored.
    pub width: Width,
    /// Balance.
    pub balance: f32,
    /// Its score.
    pub score: Score,
    /// Synapses on the chip.
    pub synapses: u64,
    /// Words of memory.
    pub words: u64,
    /// Cores.
    pub cores: u32,
}

/// What a layer lost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerFit {
    /// Population.
    pub name: String,
    /// Neurons as trained.
    pub neurons: u64,
    /// Neurons that some synapse reaches.
    pub neurons_left: u64,
    /// Axons that reach it, as trained.
    pub axons: u64,
    /// Axons left.
    pub axons_left: u64,
    /// Synapses as trained.
    pub synapses: u64,
    /// Synapses that stay (the quantizer may round some to 0).
    pub synapses_left: u64,
}

/// What was done.
#[derive(Debug, Clone, Serialize)]
pub struct FitReport {
    /// The budget, with what is used of it.
    pub budget: Vec<Use>,
    /// What the next larger network would use, where one was tried.
    pub next_larger: Vec<Use>,
    /// Method.
    pub method: Method,
    /// Width taken.
    pub width: Width,
    /// Balance taken.
    pub balance: f32,
    /// Score of what was taken.
    pub score: Score,
    /// Everything tried.
    pub candidates: Vec<Candidate>,
    /// Layers.
    pub layers: Vec<LayerFit>,
}

/// A net within a budget.
#[derive(Debug)]
pub struct Fitted<F> {
    /// Its bundle and report.
    pub compiled: Compiled,
    /// What was done.
    pub report: FitReport,
    /// As it was filed.
    pub filed: Filed<F>,
}

/// A fitted net as it is read back from where it is written.
#[derive(Debug)]
pub struct Filed<F> {
    /// Elaborated, inputs coded.
    pub net: Net<Float>,
    /// Digest of the network.
    pub digest: [u8; 32],
    /// The network itself.
    pub network: F,
}

/// Turns a fitted net into what will be written, and back.
pub type File<'a, F> = dyn Fn(&Net<Float>) -> Result<Filed<F>, String> + 'a;

/// Fewest samples: some are held back.
const FEWEST: usize = 10;
/// One of this many samples is held back.
const HELD_BACK: usize = 5;

/// A net ready to be fitted to any number of budgets.
pub struct Fitter<'a, F> {
    net: &'a Net<Float>,
    target: &'a Target,
    options: FitOptions,
    used: Vec<Stimulus>,
    held_back: Vec<Stimulus>,
    taught: Recording,
    wanted: Recording,
    layers: Vec<Layer>,
    courses: Vec<(f32, Width, Course)>,
    file: &'a File<'a, F>,
}

/// A kept set that compiles within a budget.
struct Found<F> {
    compiled: Compiled,
    filed: Filed<F>,
    kept: Kept,
    next_larger: Vec<Use>,
}

impl<'a, F> Fitter<'a, F> {
    /// Records the net and finds the courses of removal; `most` synapses may stay at most, as far as the budgets say.
    ///
    /// # Errors
    /// Samples that are too few, silent or of another net.
    pub fn new(
        net: &'a Net<Float>,
        target: &'a Target,
        samples: &[Stimulus],
        options: FitOptions,
        most: usize,
        file: &'a File<'a, F>,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Self, FitFailure> {
        if samples.len() < FEWEST {
            return Err(FitFailure::FewSamples { found: samples.len(), expected: FEWEST });
        }
        let (mut used, mut held_back) = (Vec::new(), Vec::new());
        for (k, sample) in samples.iter().enumerate() {
            if k % HELD_BACK == HELD_BACK - 1 { held_back.push(sample.clone()) } else { used.push(sample.clone()) }
        }
        progress("recording");
        let steps = options.compile.default_steps;
        let taught = Recording::of_floats(net, &used, steps)?;
        let wanted = Recording::of_floats(net, &held_back, steps)?;
        let with_synapses = |p: &usize| net.projections.iter().any(|q| q.post.index() == *p && !q.synapses.is_empty());
        let layers: Vec<Layer> =
            (0..net.populations.len()).filter(with_synapses).map(|p| Layer::of(net, PopulationId::from(p), &taught)).collect();
        let spikes: usize = net.projections.iter().map(|p| taught.spikes(p.pre)).sum();
        if spikes == 0 {
            return Err(FitFailure::Silent);
        }
        progress("finding an order of removals");
        let mut courses = Vec::new();
        for &balance in &options.balances {
            let block = Block::new(&layers, Options { saliency: options.method.saliency, balance, start: most, output: net.output });
            for &width in &options.widths {
                let bits: Vec<u8> =
                    layers.iter().map(|l| if l.population == net.output { width.output_bits } else { width.bits }).collect();
                let cost = if options.method.chip_cost { Cost::Words(target, &bits) } else { Cost::Synapses };
                courses.push((balance, width, block.course(cost)));
                if !options.method.chip_cost {
                    // The same for all widths.
                    let course = courses[courses.len() - 1].2.clone();
                    courses.extend(options.widths[1..].iter().map(|&w| (balance, w, course.clone())));
                    break;
                }
            }
        }
        Ok(Fitter { net, target, options, used, held_back, taught, wanted, layers, courses, file })
    }

    /// The best net within a budget.
    ///
    /// # Errors
    /// A budget that even the smallest net exceeds, and what no compilation could mend.
    pub fn fit(&self, budget: &Budget, progress: &mut dyn FnMut(&str)) -> Result<Fitted<F>, FitFailure> {
        if budget.is_empty() {
            return Err(FitFailure::NoBudget);
        }
        let mut best: Option<(Found<F>, usize, Score)> = None;
        let mut candidates = Vec::new();
        let mut failure = None;
        for (k, (balance, width, course)) in self.courses.iter().enumerate() {
            progress(&format!(
                "{}/{} bits, {}",
                width.bits,
                width.output_bits,
                if width.signs == Signs::Split { "split signs" } else { "mixed signs" }
            ));
            let found = match self.within(budget, *width, course) {
                Ok(found) => found,
                Err(e @ FitFailure::TooSmall(_)) => {
                    failure.get_or_insert(e);
                    continue;
                }
                Err(e) => return Err(e),
            };
            let score = self.score(&found.compiled)?;
            candidates.push(Candidate {
                width: *width,
                balance: *balance,
                score,
                synapses: found.compiled.report.synapses_on_chip,
                words: found.compiled.report.memory_words,
                cores: found.compiled.report.cores,
            });
            if best.as_ref().is_none_or(|(_, _, other)| score.distance < other.distance) {
                best = Some((found, k, score));
            }
        }
        let Some((found, k, score)) = best else { return Err(failure.unwrap_or(FitFailure::NoBudget)) };
        let (balance, width, _) = self.courses[k];
        let report = FitReport {
            budget: budget.uses(&found.compiled.report, self.target),
            next_larger: found.next_larger,
            method: self.options.method,
            width,
            balance,
            score,
            candidates,
            layers: self.layer_fits(&found.kept),
        };
        Ok(Fitted { compiled: found.compiled, report, filed: found.filed })
    }

    /// Compiler options for a width.
    fn compile_options(&self, width: Width, reconstruct: bool) -> CompileOptions {
        let mut provenance = self.options.compile.provenance.clone();
        let quantizer = if reconstruct { Quantizer::Reconstruct } else { Quantizer::RowScale };
        provenance.push(("weight-bits".into(), width.bits.to_string()));
        for (layer, bits) in self.layer_bits(width) {
            provenance.push(("layer-bits".into(), format!("{layer}={bits}")));
        }
        provenance.push(("signs".into(), format!("{:?}", width.signs)));
        provenance.push(("quantizer".into(), format!("{quantizer:?}, fitted")));
        CompileOptions {
            provenance,
            weight_bits: width.bits,
            layer_bits: self.layer_bits(width),
            signs: width.signs,
            quantizer,
            calibration: if reconstruct { self.used.clone() } else { Vec::new() },
            teacher: reconstruct.then(|| self.net.clone()),
            ..self.options.compile.clone()
        }
    }

    /// Projections whose width is not the others'.
    fn layer_bits(&self, width: Width) -> Vec<(String, u8)> {
        let into_output = self.net.projections.iter().filter(|p| p.post == self.net.output && width.output_bits != width.bits);
        into_output.map(|p| (p.name.clone(), width.output_bits)).collect()
    }

    /// The net after so many steps of a course.
    fn kept(&self, course: &Course, step: usize) -> Kept {
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

    /// The largest net of a course within the budget.
    fn within(&self, budget: &Budget, width: Width, course: &Course) -> Result<Found<F>, FitFailure> {
        let quick = self.compile_options(width, false);
        let last = course.steps.len() - 1;
        // The first step that keeps the budget when only packed, by bisection from where the course says that it is.
        let (mut fits, mut beyond) = (last, 0);
        let guess = match (budget.words(self.target), budget.synapses) {
            (Some(words), _) if self.options.method.chip_cost => course.steps.partition_point(|s| s.1 > words as f64),
            (_, Some(synapses)) => {
                let all: u64 = self.layers.iter().flat_map(|l| &l.rows).map(|r| r.len() as u64).sum();
                course.steps.partition_point(|s| all - u64::from(s.0) > synapses)
            }
            _ => last / 2,
        };
        let mut step = guess.clamp(1, last.saturating_sub(1).max(1)).min(last);
        let mut smallest: Option<Use> = None;
        let near =
            |a: usize, b: usize| course.steps[b].0 - course.steps[a].0 <= 1 + (course.removed.len() as u32 - course.steps[b].0) / 200;
        for round in 0..24 {
            let net = pruned(self.net, &self.layers, &self.kept(course, step));
            match self.beyond(&net, &quick, budget)? {
                Some(list) if list.is_empty() => fits = step,
                Some(list) => {
                    smallest = list.into_iter().next();
                    beyond = step;
                }
                // Nothing is left: too far; or it does not fit the chip: not far enough.
                None if step > last / 2 && fits == last && round > 20 => break,
                None => {
                    let left = net.synapse_count();
                    if left == 0 || course.steps[step].1 <= 0.0 { fits = step } else { beyond = step }
                }
            }
            if fits <= beyond + 1 || near(beyond, fits) {
                break;
            }
            // Near the guess, then halves.
            let stride = (last / 64).max(1) << round.min(6);
            step = match (fits == last, beyond == 0) {
                (true, _) if beyond > 0 => (beyond + stride).min((beyond + fits) / 2),
                (_, true) if fits < last => fits.saturating_sub(stride).max(fits / 2),
                _ => (beyond + fits) / 2,
            };
        }
        // Rounding removes synapses too, so that a larger net may keep the budget: back while it does.
        let careful = self.compile_options(width, self.options.method.reconstruct);
        let mut found: Option<Found<F>> = None;
        let mut next_larger: Vec<Use> = Vec::new();
        let (mut low, mut high) = (0usize, last);
        let mut step = fits;
        for round in 0..7 {
            let kept = self.kept(course, step);
            let small = pruned(self.net, &self.layers, &kept);
            let net = if self.options.method.reconstruct {
                refit(self.net, &self.taught, small, Samples { samples: &self.used, steps: self.options.compile.default_steps })?
            } else {
                small
            };
            let filed = (self.file)(&net).map_err(FitFailure::WriteBack)?;
            let compiled = compile(Input::Trained { net: &filed.net, digest: filed.digest }, self.target, &careful, &mut |_| ());
            let beyond: Option<Vec<Use>> = match &compiled {
                Ok(c) => Some(budget.uses(&c.report, self.target)),
                Err(CompileError::Findings(_)) => None,
                Err(CompileError::NothingLeft(_)) if found.is_none() => {
                    return Err(match smallest {
                        Some(smallest) => FitFailure::TooSmall(smallest),
                        None => compiled.map(|_| FitFailure::NoBudget).unwrap_or_else(FitFailure::Compile),
                    });
                }
                Err(_) => return compiled.map(|_| unreachable!()).map_err(FitFailure::Compile),
            };
            match (beyond, compiled) {
                (Some(uses), Ok(compiled)) if uses.iter().all(|u| u.used <= u.allowed) => {
                    high = step;
                    let full = uses.iter().map(|u| u.used as f64 / u.allowed.max(1) as f64).fold(0.0, f64::max);
                    found = Some(Found { compiled, filed, kept, next_larger: Vec::new() });
                    if full > 0.995 && budget.cores.is_none() {
                        break;
                    }
                }
                (uses, _) => {
                    next_larger = uses.unwrap_or_default();
                    low = step;
                }
            }
            if high <= low + 1 || step == 0 {
                break;
            }
            step = match (&found, low == 0) {
                // Not found: further along, faster and faster.
                (None, _) => (step + (((last - step) / 64).max(1) << round)).min(last),
                // Found, and nothing beyond it seen: back by a share of what is left.
                (Some(_), true) => {
                    let left = course.removed.len() as u32 - course.steps[high].0;
                    let wanted = course.steps[high].0.saturating_sub(left / 12 + 1);
                    course.steps.partition_point(|s| s.0 < wanted).min(high - 1)
                }
                _ => (low + high) / 2,
            };
            if found.is_some() && low > 0 && near(low, high) {
                break;
            }
        }
        match found {
            Some(found) => Ok(Found { next_larger, ..found }),
            None => Err(FitFailure::TooSmall(next_larger.into_iter().find(|u| u.used > u.allowed).or(smallest).unwrap_or(Use {
                what: "cores of the board".into(),
                used: u64::from(self.target.total_cores()) + 1,
                allowed: self.target.total_cores().into(),
            }))),
        }
    }

    /// Runs the compiled net on the samples held back.
    fn score(&self, compiled: &Compiled) -> Result<Score, FitFailure> {
        let q = Quantized::from_bytes(&compiled.bundle.reference).expect("the compiler's own bytes");
        let neuron = &self.target.packed().neuron;
        let limits = (((1i32 << (*neuron.bias_mantissa_bits - 1)) - 1) as i16, *neuron.bias_exponent_max);
        let now = Recording::of_registers(&q.net, &self.held_back, self.options.compile.default_steps, limits)?;
        let class = |counts: &[u32]| predict(Decode::Count, counts, &[], &[]);
        let pairs = || now.out_counts().iter().zip(self.wanted.out_counts());
        let n = self.held_back.len();
        let same = pairs().filter(|(a, b)| class(a) == class(b)).count();
        let squares = |(a, b): (&Vec<u32>, &Vec<u32>)| a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>();
        Ok(Score { samples: n, agreement: same as f64 / n as f64, distance: pairs().map(squares).sum::<f64>() / n as f64 })
    }

    fn layer_fits(&self, kept: &Kept) -> Vec<LayerFit> {
        let one = |(layer, kept): (&Layer, &Vec<Vec<bool>>)| {
            let mut axons = vec![false; layer.features.count];
            for (row, kept) in layer.features.rows.iter().zip(kept) {
                row.iter().zip(kept).filter(|(_, k)| **k).for_each(|(s, _)| axons[s.feature as usize] = true);
            }
            LayerFit {
                name: self.net.population(layer.population).name.clone(),
                neurons: layer.rows.len() as u64,
                neurons_left: kept.iter().filter(|r| r.contains(&true)).count() as u64,
                axons: layer.features.count as u64,
                axons_left: axons.iter().filter(|a| **a).count() as u64,
                synapses: layer.rows.iter().map(|r| r.len() as u64).sum(),
                synapses_left: kept.iter().flatten().filter(|k| **k).count() as u64,
            }
        };
        self.layers.iter().zip(kept).map(one).collect()
    }
}
