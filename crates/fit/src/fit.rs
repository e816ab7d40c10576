//! The driver: removes synapses until the compiled bundle keeps the budget, and no more.
//!
//! In: a net in floats, a target, samples. Out: [`Fitted`], for each budget.
//! Invariant: a result was compiled, and its report keeps the budget. The same input, options and seed give the same result on any number of
//! threads. Cost: one course of removals for all budgets; for each budget and candidate a dozen packings, and a few refits.

use crate::budget::{Budget, Use};
use crate::layer::Layer;
use crate::refit::{Kept, pruned};
use crate::sculpt::{Block, Cost, Course, Options, Saliency};
use crate::whole;
use rayon::prelude::*;
use serde::Serialize;
use spikec_chip::Target;
use spikec_chip::bundle::DecoderKind;
use spikec_compile::{CompileError, CompileOptions, Compiled, Input, Quantizer, Signs, bias_limits, compile};
use spikec_data::{Decode, Stimulus, predict};
use spikec_net::{Float, Net, PopulationId, Quantized, ReferenceError, Ties};
use spikec_reconstruct::rows::LARGEST_FEATURES;
use spikec_reconstruct::{Features, Recording, Teacher};
use std::borrow::Cow;
use std::sync::Arc;

mod failure;
mod search;

pub use failure::FitFailure;

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

/// What goes at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Single synapses, parts of axons' lists, neurons.
    Free,
    /// Whole axons and whole neurons of dense layers, which stay dense.
    Whole,
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
    /// All layers are tuned together at the end (with `reconstruct`).
    pub tune: bool,
}

impl Default for Method {
    fn default() -> Self {
        Method { saliency: Saliency::SecondOrder, chip_cost: true, reconstruct: true, tune: true }
    }
}

/// Share of a budget that is as good as all of it.
pub const FILL: f64 = 0.995;

/// How to fit.
#[derive(Debug, Clone)]
pub struct FitOptions {
    /// Method.
    pub method: Method,
    /// Widths to try; the best on samples held back is taken.
    pub widths: Vec<Width>,
    /// Error of a neuron's potential against what its spikes do; see [`Options::balance`].
    pub balances: Vec<f32>,
    /// Kernels go synapse by synapse (the network must be unrolled, [`spikec_net::Network::unrolled`], to be written back).
    pub unroll: bool,
    /// Share of a budget that is as good as all of it: larger nets are not looked for then ([`FILL`]).
    pub fill: f64,
    /// Options of the compiler, but for widths, signs, quantizer, teacher and calibration.
    pub compile: CompileOptions,
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
    /// Mean Kullback-Leibler divergence of the classes' shares, as softmax of the spike counts, in nats: what candidates are judged by. It
    /// leaves out what all outputs have in common.
    pub divergence: f64,
}

/// A candidate that was tried, as it was first looked at: at the budget as it seems before rounding, a few percent off.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// How weights are stored.
    pub width: Width,
    /// What went at a time.
    pub shape: Shape,
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
    /// Weights of the layer's kernels as trained, and left, where neurons share them.
    pub kernel_weights: Option<(u64, u64)>,
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
    /// What went at a time.
    pub shape: Shape,
    /// Balance taken.
    pub balance: f32,
    /// Score of what was taken.
    pub score: Score,
    /// How well it did before all layers were tuned together; `None` where they were not, or it was no better.
    pub untuned: Option<Score>,
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
pub type File<'a, F> = dyn Fn(&Net<Float>) -> Result<Filed<F>, String> + Sync + 'a;

/// Kullback-Leibler divergence of the softmax of `found` from that of `wanted`, in nats.
fn divergence(wanted: &[u32], found: &[u32]) -> f64 {
    let log_shares = |counts: &[u32]| {
        let most = counts.iter().copied().max().unwrap_or(0);
        let log_sum = counts.iter().map(|&c| (f64::from(c) - f64::from(most)).exp()).sum::<f64>().ln();
        counts.iter().map(|&c| f64::from(c) - f64::from(most) - log_sum).collect::<Vec<f64>>()
    };
    log_shares(wanted).iter().zip(log_shares(found)).map(|(p, q)| p.exp() * (p - q)).sum()
}

/// Runs a compiled net on samples held back, of which the teacher made `wanted`.
pub(crate) fn score(
    compiled: &Compiled,
    target: &Target,
    held_back: &[Stimulus],
    wanted: &Recording,
    steps: Option<u32>,
) -> Result<Score, ReferenceError> {
    let q = Quantized::from_bytes(&compiled.bundle.reference).expect("the compiler's own bytes");
    let now = Recording::of_registers(&q.net, held_back, steps, bias_limits(target))?;
    let class = |counts: &[u32]| predict(Decode::Count, counts, &[], &[]);
    let pairs = || now.out_counts().iter().zip(wanted.out_counts());
    let n = held_back.len();
    let same = pairs().filter(|(a, b)| class(a) == class(b)).count();
    let divergence = pairs().map(|(a, b)| divergence(b, a)).sum::<f64>() / n as f64;
    Ok(Score { samples: n, agreement: same as f64 / n as f64, distance: now.count_distance(wanted), divergence })
}

/// Samples to use, and those held back.
pub(crate) fn hold_back(samples: &[Stimulus]) -> (Vec<Stimulus>, Vec<Stimulus>) {
    let (used, held_back): (Vec<_>, Vec<_>) = samples.iter().enumerate().partition(|(k, _)| k % HELD_BACK != HELD_BACK - 1);
    let of = |list: Vec<(usize, &Stimulus)>| list.into_iter().map(|(_, s)| s.clone()).collect();
    (of(used), of(held_back))
}

/// Synapses that the search for a budget starts with: those that it can hold, roughly, and as many again to choose from.
fn room(budget: &Budget, net: &Net<Float>, target: &Target) -> usize {
    // Five to ten bits a synapse.
    let of_words = budget.words(target).map_or(u64::MAX, |words| words.saturating_mul(20));
    let most = budget.synapses.unwrap_or(u64::MAX).saturating_mul(2).min(of_words).max(LEAST_START);
    most.min(net.synapse_count() as u64) as usize
}

/// Whether whole axons and neurons may be worth their room in a budget.
fn suits_whole(budget: &Budget, target: &Target) -> bool {
    budget.words(target).is_none_or(|words| words >= WHOLE_FROM)
}

/// Width of each layer's weights.
fn layer_bits(layers: &[Layer], output: PopulationId, width: Width) -> Vec<u8> {
    layers.iter().map(|l| if l.population == output { width.output_bits } else { width.bits }).collect()
}

/// The whole removals that leave the least error, of those by which the cores of the budgets can be dealt out.
fn whole_course(layers: &[Layer], options: &Options, cost: Cost, target: &Target, budgets: &[Budget]) -> Option<Course> {
    if layers.iter().any(|l| l.ties.is_some()) {
        return None;
    }
    let cores = budgets.iter().filter_map(|b| b.all_cores(target)).max();
    let plans = cores.map_or_else(Vec::new, |cores| whole::Plan::of_cores(layers, options.output, target, cores as usize));
    if plans.is_empty() {
        return whole::course(layers, options, cost, &whole::Plan::whole(layers.len()));
    }
    let courses: Vec<Option<Course>> = plans.par_iter().map(|plan| whole::course(layers, options, cost, plan)).collect();
    // Where each part first finds room in the axons of its core.
    let error = |course: &Course| course.steps.get(course.placeable).map_or(f64::INFINITY, |s| s.2);
    courses.into_iter().flatten().min_by(|a, b| error(a).total_cmp(&error(b)))
}

/// A candidate as it was first looked at.
fn candidate<F>(way: &Way, first: &search::Tried<F>, score: Score) -> Option<Candidate> {
    let (compiled, _) = first.compiled.as_ref()?;
    let Way { balance, width, shape, .. } = *way;
    let (synapses, words, cores) = (compiled.report.synapses_on_chip, compiled.report.memory_words, compiled.report.cores);
    Some(Candidate { width, shape, balance, score, synapses, words, cores })
}

/// Candidates whose first look is within this factor of the best one's divergence are filled up to the budget too.
const CLOSE: f64 = 1.05;
/// Fewest samples: some are held back.
pub(crate) const FEWEST: usize = 10;
/// One of this many samples is held back.
const HELD_BACK: usize = 5;
/// The balance of whole removals over that of single ones: dense nets with few errors want most of their neurons (measured: at a core and two
/// of MNIST, 0.02 to 0.05 leave a fifth of the error that 0.5 leaves).
const WHOLE_BALANCE: f32 = 0.05;
/// Whole axons and neurons are tried where there is room for this many words.
const WHOLE_FROM: u64 = 3_000;
/// Fewest synapses to start with, where there are so many.
const LEAST_START: u64 = 80_000;
/// Most synapses that a course of single synapses starts with.
const LARGEST_START: usize = 200_000;

/// A net ready to be fitted to any number of budgets.
pub struct Fitter<'a, F> {
    net: &'a Net<Float>,
    target: &'a Target,
    options: FitOptions,
    used: Arc<Vec<Stimulus>>,
    held_back: Vec<Stimulus>,
    /// As weights are refitted to it.
    teacher: Teacher<'a>,
    /// As the compiler reconstructs potentials by it.
    lowered: Option<Arc<Teacher<'static>>>,
    wanted: Recording,
    layers: Vec<Layer>,
    courses: Vec<Way>,
    file: &'a File<'a, F>,
}

/// A course with what it was made for.
struct Way {
    balance: f32,
    width: Width,
    shape: Shape,
    course: Course,
}

/// A way with its first look, and the score of that.
type Look<'a, F> = (&'a Way, Option<search::Tried<F>>, Option<Score>);

/// A kept set that compiles within a budget.
struct Found<F> {
    compiled: Compiled,
    filed: Filed<F>,
    kept: Kept,
    next_larger: Vec<Use>,
}

impl<'a, F> Fitter<'a, F> {
    /// Records the net and finds the courses of removal that `budgets` ask for.
    ///
    /// # Errors
    /// Samples that are too few, silent or of another net.
    pub fn new(
        net: &'a Net<Float>,
        target: &'a Target,
        samples: &[Stimulus],
        mut options: FitOptions,
        budgets: &[Budget],
        file: &'a File<'a, F>,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Self, FitFailure> {
        if samples.len() < FEWEST {
            return Err(FitFailure::FewSamples { found: samples.len(), expected: FEWEST });
        }
        let silent_outputs = net.population(net.output).neurons().iter().all(|n| n.threshold == f32::INFINITY);
        if options.compile.decoder != DecoderKind::Count || silent_outputs {
            return Err(FitFailure::Decoder);
        }
        for (p, population) in net.populations.iter().enumerate() {
            let (id, limit) = (PopulationId::from(p), LARGEST_FEATURES);
            let ties = Ties::of(net, id).filter(|_| !options.unroll);
            let features = ties.map_or_else(|| Features::at_most(net, id), |ties| ties.tap_count());
            if features > limit {
                return Err(FitFailure::TooWide { population: population.name.clone(), features, limit });
            }
        }
        options.compile.calibration = Arc::default();
        let (used, held_back) = hold_back(samples);
        progress("recording");
        let steps = options.compile.default_steps;
        let teacher = Teacher::run(Cow::Borrowed(net), &used, steps)?;
        let wanted = Recording::of_floats(net, &held_back, steps)?;
        let layers = Layer::all(&teacher, options.unroll);
        let spikes: usize = net.projections.iter().map(|p| teacher.recording().spikes(p.pre)).sum();
        if spikes == 0 {
            return Err(FitFailure::Silent);
        }
        progress("finding an order of removals");
        let rooms = budgets.iter().map(|b| room(b, net, target));
        let start = rooms.clone().filter(|room| *room <= LARGEST_START).max();
        let mut courses = Vec::new();
        for &balance in &options.balances {
            let how = Options { saliency: options.method.saliency, balance, start: start.unwrap_or(LARGEST_START), output: net.output };
            let exact = options.method.saliency == Saliency::SecondOrder && options.method.chip_cost;
            let for_whole = Options { balance: balance * WHOLE_BALANCE, ..how };
            let whole_of = |width: &Width| -> Option<Course> {
                let bits = layer_bits(&layers, net.output, *width);
                let any = budgets.iter().any(|b| suits_whole(b, target));
                if exact && any { whole_course(&layers, &for_whole, Cost::Words(target, &bits), target, budgets) } else { None }
            };
            let wholes: Vec<Option<Course>> = options.widths.par_iter().map(whole_of).collect();
            let block = (start.is_some() || wholes.iter().any(Option::is_none)).then(|| Block::new(&layers, how));
            let free_of = |(width, whole): (&Width, &Option<Course>)| -> Option<Course> {
                let block = block.as_ref().filter(|_| whole.is_none() || start.is_some())?;
                let bits = layer_bits(&layers, net.output, *width);
                Some(block.course(if options.method.chip_cost { Cost::Words(target, &bits) } else { Cost::Synapses }))
            };
            // By synapses all widths have the same course.
            let different = if options.method.chip_cost { options.widths.len() } else { options.widths.len().min(1) };
            let frees: Vec<Option<Course>> = options.widths[..different].par_iter().zip(&wholes[..different]).map(free_of).collect();
            for (k, (&width, whole)) in options.widths.iter().zip(wholes).enumerate() {
                let free = frees[k.min(different - 1)].clone();
                courses.extend(whole.map(|course| Way { balance, width, shape: Shape::Whole, course }));
                courses.extend(free.map(|course| Way { balance, width, shape: Shape::Free, course }));
            }
        }
        let used = Arc::new(used);
        let lowered = match options.method.reconstruct {
            true => {
                let with_samples = CompileOptions { calibration: used.clone(), ..options.compile.clone() };
                Some(Arc::new(spikec_compile::teacher(net, target, &with_samples)?))
            }
            false => None,
        };
        Ok(Fitter { net, target, options, used, held_back, teacher, lowered, wanted, layers, courses, file })
    }

    /// The best net within a budget.
    ///
    /// # Errors
    /// A budget that even the smallest net exceeds, and what no compilation could mend.
    pub fn fit(&self, budget: &Budget, progress: &mut dyn FnMut(&str)) -> Result<Fitted<F>, FitFailure> {
        if budget.is_empty() {
            return Err(FitFailure::NoBudget);
        }
        // Budgets that hold much of a dense net leave no single synapse worth an index, and small ones no whole axon worth its room.
        let suits = |way: &Way| match way.shape {
            Shape::Whole => suits_whole(budget, self.target),
            Shape::Free => room(budget, self.net, self.target) <= LARGEST_START,
        };
        let any = self.courses.iter().any(suits);
        let mut looks: Vec<Look<F>> = Vec::new();
        for way in self.courses.iter().filter(|way| !any || suits(way)) {
            let Width { bits, output_bits, signs } = way.width;
            progress(&format!("{bits}/{output_bits} bits, {}", if signs == Signs::Split { "split signs" } else { "mixed signs" }));
            let first = self.first(budget, way)?;
            let score = match first.as_ref().and_then(|f| f.compiled.as_ref()) {
                Some((compiled, _)) => Some(self.score(compiled)?),
                None => None,
            };
            looks.push((way, first, score));
        }
        let candidates: Vec<Candidate> =
            looks.iter().filter_map(|(way, first, score)| candidate(way, first.as_ref()?, (*score)?)).collect();
        // What has no score yet may still fit when it is smaller; sorting is stable.
        let divergence = |score: &Option<Score>| score.map_or(f64::INFINITY, |s| s.divergence);
        looks.sort_by(|a, b| divergence(&a.2).total_cmp(&divergence(&b.2)));
        let worth = looks.first().map_or(0.0, |l| divergence(&l.2) * CLOSE);
        let mut best: Option<(Found<F>, &Way, Score)> = None;
        let mut failure = None;
        for (way, first, score) in looks {
            if best.is_some() && divergence(&score) > worth {
                break;
            }
            progress("filling the budget");
            let found = match self.within(budget, way, first) {
                Ok(found) => found,
                Err(e @ FitFailure::TooSmall(_)) => {
                    failure.get_or_insert(e);
                    continue;
                }
                Err(e) => return Err(e),
            };
            let score = self.score(&found.compiled)?;
            if best.as_ref().is_none_or(|(_, _, other)| score.divergence < other.divergence) {
                best = Some((found, way, score));
            }
        }
        let Some((mut found, &Way { balance, width, shape, .. }, mut score)) = best else {
            return Err(failure.unwrap_or(FitFailure::NoBudget));
        };
        let mut untuned = None;
        if self.options.method.reconstruct && self.options.method.tune {
            progress("tuning");
            untuned = self.tune(budget, width, &mut found, &mut score)?;
        }
        let report = FitReport {
            budget: budget.uses(&found.compiled.report, self.target),
            next_larger: found.next_larger,
            method: self.options.method,
            width,
            shape,
            balance,
            score,
            untuned,
            candidates,
            layers: self.layer_fits(&found.kept),
        };
        Ok(Fitted { compiled: found.compiled, report, filed: found.filed })
    }

    /// Tunes what was found, and takes that if it still keeps the budget and does better on the samples held back; then the score before.
    fn tune(&self, budget: &Budget, width: Width, found: &mut Found<F>, score: &mut Score) -> Result<Option<Score>, FitFailure> {
        let options = CompileOptions { tune: true, ..self.compile_options(width, true) };
        let input = Input::Trained { net: &found.filed.net, digest: found.filed.digest };
        let compiled = match compile(input, self.target, &options, &mut |_| ()) {
            Ok(compiled) => compiled,
            // The last weights of a small net may have gone.
            Err(CompileError::Findings(_) | CompileError::NothingLeft(_)) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let fits = budget.uses(&compiled.report, self.target).iter().all(|u| u.used <= u.allowed);
        let tuned = self.score(&compiled)?;
        if fits && tuned.divergence < score.divergence {
            found.compiled = compiled;
            return Ok(Some(std::mem::replace(score, tuned)));
        }
        Ok(None)
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
            calibration: if reconstruct { self.used.clone() } else { Arc::default() },
            teacher: self.lowered.clone().filter(|_| reconstruct),
            ..self.options.compile.clone()
        }
    }

    /// Projections whose width is not the others'.
    fn layer_bits(&self, width: Width) -> Vec<(String, u8)> {
        let into_output = self.net.projections.iter().filter(|p| p.post == self.net.output && width.output_bits != width.bits);
        into_output.map(|p| (p.name.clone(), width.output_bits)).collect()
    }

    /// Runs the compiled net on the samples held back.
    fn score(&self, compiled: &Compiled) -> Result<Score, FitFailure> {
        Ok(score(compiled, self.target, &self.held_back, &self.wanted, self.options.compile.default_steps)?)
    }

    fn layer_fits(&self, kept: &Kept) -> Vec<LayerFit> {
        let small = pruned(self.net, &self.layers, kept);
        let reached = |net: &Net<Float>, p: PopulationId| {
            let into = || net.projections.iter().filter(move |q| q.post == p);
            let mut neurons = vec![false; net.population(p).len()];
            into().flat_map(|q| q.synapses.iter()).for_each(|(_, post, _, _)| neurons[post as usize] = true);
            let axons = into().map(|q| q.synapses.rows().filter(|row| !row.is_empty()).count() as u64).sum();
            let synapses = into().map(|q| q.synapses.len() as u64).sum();
            (neurons.iter().filter(|n| **n).count() as u64, axons, synapses)
        };
        let one = |(layer, kept): (&Layer, &Vec<Vec<bool>>)| {
            let population = self.net.population(layer.population);
            let ((_, axons, synapses), (neurons_left, axons_left, synapses_left)) =
                (reached(self.net, layer.population), reached(&small, layer.population));
            let left = kept.iter().flatten().filter(|k| **k).count() as u64;
            let kernel_weights = layer.ties.is_some().then(|| (layer.rows.iter().map(|r| r.len() as u64).sum(), left));
            LayerFit {
                name: population.name.clone(),
                neurons: population.len() as u64,
                neurons_left,
                axons,
                axons_left,
                synapses,
                synapses_left,
                kernel_weights,
            }
        };
        self.layers.iter().zip(kept).map(one).collect()
    }
}
