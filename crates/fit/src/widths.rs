//! A width for each layer, so that the compiled bundle keeps a limit and the network changes least; all synapses stay.
//!
//! In: a net in floats, a target, limits, samples if there are any. Out: the bundle, and [`WidthsReport`].
//! Invariant: the bundle was compiled with the widths of the report and keeps the limits exactly; compiling with these widths by name gives it
//! again. The same on any number of threads. Cost: a compilation for each layer and width, and a dozen more.
//! Method: sensitivities as in HAWQ (Dong et al., 2019), measured rather than estimated: each layer alone is given each width, which says what that does
//! to the outputs and how many words it takes as packed. Both are taken to add up, a knapsack finds the widths ([`crate::knapsack`]), and compiling them
//! tells the truth: what does not keep the limits goes down the frontier, and what leaves room goes up.

use crate::budget::{Budget, Use};
use crate::fit::{FEWEST, Score, hold_back, score};
use crate::knapsack::{Choice, Selection, frontier};
use serde::Serialize;
use spikec_chip::Target;
use spikec_chip::bundle::DecoderKind;
use spikec_compile::{CompileError, CompileOptions, Compiled, Input, Quantizer, compile};
use spikec_data::Stimulus;
use spikec_net::{Float, Net, ReferenceError};
use spikec_reconstruct::Recording;
use thiserror::Error;

/// Selections of the frontier that are judged as a whole, the widest that fits first.
const CONTENDERS: usize = 3;

/// What a width does to the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Squared distance of the outputs' spike counts on samples held back ([`Score::distance`]), beyond that of the widest widths. The divergence
    /// of classes hangs on the few samples between two of them: for so small differences it is mostly noise.
    OutputDistance,
    /// Squared error of the weights as a share of the layer's squared weights, each relative to its neuron's threshold.
    WeightError {
        /// Why outputs are not compared.
        because: String,
    },
}

/// A layer at a width, the others at the widest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Tried {
    /// Width in bits.
    pub bits: u8,
    /// Its words of memory and its loss; `None`: does not fit the target so, or nothing is left.
    pub words: Option<u64>,
    /// See [`Loss`].
    pub loss: Option<f64>,
    /// On samples held back.
    pub score: Option<Score>,
}

/// A layer with its width.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerWidth {
    /// Projection.
    pub name: String,
    /// Width in bits.
    pub bits: u8,
    /// Words of memory in the bundle.
    pub words: u64,
    /// Loss when it alone has this width; `None`: its width was given.
    pub loss: Option<f64>,
    /// Every width tried; none where its width was given.
    pub tried: Vec<Tried>,
}

/// Widths that were compiled as a whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// Width of each layer that has a choice.
    pub bits: Vec<u8>,
    /// Words of memory: in the bundle where it was compiled with all samples, else as added up.
    pub words: u64,
    /// Losses of its layers, added up.
    pub loss: f64,
    /// On samples held back.
    pub score: Option<Score>,
    /// All layers have one width.
    pub uniform: bool,
    /// Taken.
    pub taken: bool,
}

/// What the next wider choice would take.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NextWider {
    /// Width of each layer that has a choice.
    pub bits: Vec<u8>,
    /// What it would use; empty where it does not fit the target.
    pub uses: Vec<Use>,
    /// Why it does not fit the target.
    pub finding: Option<String>,
}

/// Which widths were chosen, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WidthsReport {
    /// Limits, with what is used of them.
    pub limits: Vec<Use>,
    /// What the losses are.
    pub loss: Loss,
    /// Widths tried.
    pub widths: Vec<u8>,
    /// Width of the other layers while one was tried: the widest that fits the target.
    pub base: u8,
    /// Layers.
    pub layers: Vec<LayerWidth>,
    /// What was compared.
    pub candidates: Vec<Candidate>,
    /// The next wider choice of the frontier; `None`: every layer has its best width.
    pub next_wider: Option<NextWider>,
}

/// Why there are no widths.
#[derive(Debug, Error)]
pub enum WidthsFailure {
    /// No limit was given.
    #[error("layer bits auto: nothing is limited")]
    NoLimit,
    /// The target has no width up to the widest that is allowed.
    #[error("weight bits: found at most {found}, the narrowest weights of the target have {narrowest}")]
    NoWidth {
        /// As asked.
        found: u8,
        /// Of the target.
        narrowest: u8,
    },
    /// The net can't be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// Samples do not fit the net.
    #[error("calibration: {0}")]
    Samples(#[from] ReferenceError),
    /// No output spikes.
    #[error("calibration: no output of the network spikes in any of the {0} samples that are held back to compare widths")]
    Silent(usize),
    /// The least is too much.
    #[error("layer bits auto: the widths that take least ({widths}) use {} {}, {} allowed", .beyond.used, .beyond.what, .beyond.allowed)]
    TooSmall {
        /// Each layer with its width.
        widths: String,
        /// The limit that is missed by the largest share.
        beyond: Use,
    },
}

impl WidthsFailure {
    /// A remedy.
    pub fn hint(&self) -> String {
        match self {
            WidthsFailure::NoLimit => "give --memory BYTES or --cores N: what the widths shall keep".into(),
            WidthsFailure::NoWidth { narrowest, .. } => format!("allow --weight-bits {narrowest} or more"),
            WidthsFailure::Compile(e) => e.hint(),
            WidthsFailure::Samples(e) => e.hint(),
            WidthsFailure::Silent(_) => "calibrate with data that the network was trained for, coded in the same way".into(),
            WidthsFailure::TooSmall { .. } => "raise the limit, or let `spikec fit` remove synapses as well".into(),
        }
    }
}

/// A bundle with the widths that were found.
#[derive(Debug)]
pub struct Widened {
    /// The bundle and its report.
    pub compiled: Compiled,
    /// Which widths, and why.
    pub report: WidthsReport,
}

/// Finds the widths of all projections that `options.layer_bits` does not give, none above `options.weight_bits`.
///
/// # Errors
/// Limits that the least widths exceed, a net that does not fit the target at any width, samples of another net.
pub fn search(
    net: &Net<Float>,
    digest: [u8; 32],
    target: &Target,
    options: &CompileOptions,
    limits: &Budget,
    progress: &mut dyn FnMut(&str),
) -> Result<Widened, WidthsFailure> {
    if limits.is_empty() {
        return Err(WidthsFailure::NoLimit);
    }
    let stored = &target.packed().synapse_memory.weight_bits;
    let mut widths: Vec<u8> = stored.iter().copied().filter(|&bits| bits <= options.weight_bits).collect();
    widths.sort_unstable();
    widths.dedup();
    if widths.is_empty() {
        let narrowest = stored.iter().copied().min().unwrap_or(0);
        return Err(WidthsFailure::NoWidth { found: options.weight_bits, narrowest });
    }
    let mut names: Vec<String> = Vec::new();
    for p in net.projections.iter().filter(|p| !p.synapses.is_empty()) {
        if !names.contains(&p.name) && options.layer_bits.iter().all(|(layer, _)| *layer != p.name) {
            names.push(p.name.clone());
        }
    }
    progress("recording");
    let (judge, mut quick) = Judge::of(net, options)?;
    if let Loss::WeightError { .. } = judge.loss {
        // Reconstruction moves weights on purpose: how far says nothing.
        quick.quantizer = if quick.quantizer == Quantizer::MaxAbs { Quantizer::MaxAbs } else { Quantizer::RowScale };
    }
    let mut search = Search { net, digest, target, options, quick, limits, names, judge, scores: Vec::new() };
    let table = search.measure(&widths, progress)?;
    let settled = search.settle(&table, progress)?;
    search.decide(&widths, table, settled, progress)
}

/// What tells how good widths are.
struct Judge {
    loss: Loss,
    held_back: Vec<Stimulus>,
    wanted: Option<Recording>,
}

impl Judge {
    /// With the options of compilations that are judged: they must not see what is held back.
    fn of(net: &Net<Float>, options: &CompileOptions) -> Result<(Judge, CompileOptions), WidthsFailure> {
        let samples = &options.calibration;
        let silent_outputs = net.population(net.output).neurons().iter().all(|n| n.threshold == f32::INFINITY);
        let because = if samples.is_empty() {
            "no calibration data".into()
        } else if silent_outputs || options.decoder == DecoderKind::Potential {
            "the outputs are read by their potential".into()
        } else if samples.iter().any(|s| s.steps().or(options.default_steps).is_none()) {
            "samples of no length, --steps not given".into()
        } else if samples.len() < FEWEST {
            format!("{} samples, {FEWEST} are needed to hold some back", samples.len())
        } else {
            let (used, held_back) = hold_back(samples);
            let wanted = Recording::of_floats(net, &held_back, options.default_steps)?;
            if wanted.out_counts().iter().flatten().all(|&n| n == 0) {
                return Err(WidthsFailure::Silent(held_back.len()));
            }
            let judge = Judge { loss: Loss::OutputDistance, held_back, wanted: Some(wanted) };
            return Ok((judge, CompileOptions { calibration: used.into(), ..options.clone() }));
        };
        Ok((Judge { loss: Loss::WeightError { because }, held_back: Vec::new(), wanted: None }, options.clone()))
    }
}

struct Search<'a> {
    net: &'a Net<Float>,
    digest: [u8; 32],
    target: &'a Target,
    options: &'a CompileOptions,
    /// Options of compilations that are judged.
    quick: CompileOptions,
    limits: &'a Budget,
    /// Layers that have a choice.
    names: Vec<String>,
    judge: Judge,
    /// Scores by widths.
    scores: Vec<(Vec<u8>, Score)>,
}

/// What was measured of each layer at each width.
struct Table {
    base: u8,
    /// Words of layers that have no choice.
    rest: u64,
    layers: Vec<Vec<Tried>>,
}

impl Table {
    /// Words and loss of widths, added up.
    fn sum(&self, bits: &[u8]) -> Option<Choice> {
        let mut sum = Choice { words: self.rest, loss: 0.0 };
        for (tried, bits) in self.layers.iter().zip(bits) {
            let (words, loss) = tried.iter().find(|t| t.bits == *bits).and_then(|t| t.words.zip(t.loss))?;
            (sum.words, sum.loss) = (sum.words + words, sum.loss + loss);
        }
        Some(sum)
    }
}

/// The widest selection of the frontier that keeps the limits.
struct Settled {
    frontier: Vec<Vec<u8>>,
    at: usize,
    compiled: Compiled,
    next_wider: Option<NextWider>,
}

impl Search<'_> {
    /// Compiles with these widths; `Err` inside: the target can't hold it.
    fn compile(&self, options: &CompileOptions, bits: &[u8]) -> Result<Result<Compiled, CompileError>, WidthsFailure> {
        let mut options = options.clone();
        // As if the widths had been given by name.
        let named = |(name, _): &(String, String)| name == "layer-bits" || name == "weight-bits";
        let place = options.provenance.iter().rposition(named).map_or(options.provenance.len(), |k| k + 1);
        let chosen = self.names.iter().zip(bits);
        let said = chosen.clone().map(|(layer, bits)| ("layer-bits".to_owned(), format!("{layer}={bits}")));
        options.provenance.splice(place..place, said);
        options.layer_bits.extend(chosen.map(|(layer, bits)| (layer.clone(), *bits)));
        match compile(Input::Trained { net: self.net, digest: self.digest }, self.target, &options, &mut |_| ()) {
            Ok(compiled) => Ok(Ok(compiled)),
            Err(e @ (CompileError::Findings(_) | CompileError::NothingLeft(_))) => Ok(Err(e)),
            Err(e) => Err(e.into()),
        }
    }

    /// Words and squared weight error of a layer.
    fn of_layer(&self, compiled: &Compiled, name: &str) -> (u64, f64) {
        let report = &compiled.report;
        let all = report.quantization.projections.iter().zip(&report.projection_words).filter(|(p, _)| p.name == name);
        all.fold((0, 0.0), |(words, error), (p, w)| (words + w, error + p.relative_error.powi(2)))
    }

    fn score(&mut self, compiled: &Compiled, bits: &[u8]) -> Result<Option<Score>, WidthsFailure> {
        let Some(wanted) = &self.judge.wanted else { return Ok(None) };
        let score = score(compiled, self.target, &self.judge.held_back, wanted, self.options.default_steps)?;
        self.scores.push((bits.to_vec(), score));
        Ok(Some(score))
    }

    /// The score of widths, compiled without what is held back.
    fn score_of(&mut self, bits: &[u8]) -> Result<Option<Score>, WidthsFailure> {
        if self.judge.wanted.is_none() {
            return Ok(None);
        }
        if let Some((_, score)) = self.scores.iter().find(|(b, _)| b == bits) {
            return Ok(Some(*score));
        }
        match self.compile(&self.quick, bits)? {
            Ok(compiled) => self.score(&compiled, bits),
            Err(_) => Ok(None),
        }
    }

    /// Each layer at each width, the others at the widest that fits the target.
    fn measure(&mut self, widths: &[u8], progress: &mut dyn FnMut(&str)) -> Result<Table, WidthsFailure> {
        let mut failure = None;
        let mut found = None;
        for &bits in widths.iter().rev() {
            progress(&format!("all layers at {bits} bits"));
            match self.compile(&self.quick, &vec![bits; self.names.len()])? {
                Ok(compiled) => {
                    found = Some((bits, compiled));
                    break;
                }
                Err(e) => failure = Some(e),
            }
        }
        let Some((base, whole)) = found else { return Err(failure.expect("there is a width").into()) };
        let uniform = vec![base; self.names.len()];
        let widest = self.score(&whole, &uniform)?;
        let least = widest.map(|s| s.distance);
        let mut layers = Vec::new();
        let mut rest = whole.report.memory_words;
        for l in 0..self.names.len() {
            let name = self.names[l].clone();
            let mut tried = Vec::new();
            for &width in widths {
                let mut bits = uniform.clone();
                bits[l] = width;
                if width == base {
                    let (words, error) = self.of_layer(&whole, &name);
                    rest -= words;
                    tried.push(Tried {
                        bits: width,
                        words: Some(words),
                        loss: Some(if least.is_some() { 0.0 } else { error }),
                        score: widest,
                    });
                    continue;
                }
                progress(&format!("{name} at {width} bits"));
                let one = match self.compile(&self.quick, &bits)? {
                    Err(_) => Tried { bits: width, words: None, loss: None, score: None },
                    Ok(compiled) => {
                        let (words, error) = self.of_layer(&compiled, &name);
                        let score = self.score(&compiled, &bits)?;
                        // What is better than the widest is so by chance.
                        let loss = score.zip(least).map_or(error, |(score, least)| (score.distance - least).max(0.0));
                        Tried { bits: width, words: Some(words), loss: Some(loss), score }
                    }
                };
                tried.push(one);
            }
            layers.push(tried);
        }
        Ok(Table { base, rest, layers })
    }

    /// Walks the frontier to the widest selection that keeps the limits.
    fn settle(&self, table: &Table, progress: &mut dyn FnMut(&str)) -> Result<Settled, WidthsFailure> {
        let choices = |tried: &Vec<Tried>| -> Vec<(u8, Choice)> {
            tried.iter().filter_map(|t| t.words.zip(t.loss).map(|(words, loss)| (t.bits, Choice { words, loss }))).collect()
        };
        let layers: Vec<Vec<(u8, Choice)>> = table.layers.iter().map(choices).collect();
        let bare: Vec<Vec<Choice>> = layers.iter().map(|l| l.iter().map(|c| c.1).collect()).collect();
        let selections = frontier(&bare);
        let bits = |s: &Selection| s.chosen.iter().zip(&layers).map(|(&k, l)| l[k].0).collect::<Vec<u8>>();
        let words = |k: usize| selections[k].words + table.rest;
        let allowed = self.limits.words(self.target).unwrap_or(u64::MAX);
        let last = selections.len() - 1;
        let mut at = (0..=last).rev().find(|&k| words(k) <= allowed).unwrap_or(0);
        let mut fits: Option<(usize, Compiled)> = None;
        let mut beyond: Option<(usize, NextWider)> = None;
        let mut stride = 1;
        loop {
            let widths = bits(&selections[at]);
            progress(&format!("compiling {}", self.named(&widths)));
            let mut over = 0;
            match self.compile(self.options, &widths)? {
                Ok(compiled) => {
                    let uses = self.limits.uses(&compiled.report, self.target);
                    if uses.iter().all(|u| u.used <= u.allowed) {
                        fits = Some((at, compiled));
                    } else {
                        over = compiled.report.memory_words.saturating_sub(allowed);
                        beyond = Some((at, NextWider { bits: widths, uses, finding: None }));
                    }
                }
                Err(e) if at == 0 => return Err(e.into()),
                Err(e) => beyond = Some((at, NextWider { bits: widths, uses: Vec::new(), finding: Some(e.to_string()) })),
            }
            at = match (&fits, &beyond) {
                (Some((f, _)), None) if *f == last => break,
                (Some((f, _)), None) => (f + stride).min(last),
                (Some((f, _)), Some((b, _))) if f + 1 >= *b => break,
                (Some((f, _)), Some((b, _))) => f.midpoint(*b),
                (None, Some((0, wider))) => {
                    let share = |u: &&Use| u.used as f64 / u.allowed.max(1) as f64;
                    let missed = wider.uses.iter().filter(|u| u.used > u.allowed).max_by(|a, b| share(a).total_cmp(&share(b)));
                    let beyond = missed.expect("it does not keep the limits").clone();
                    return Err(WidthsFailure::TooSmall { widths: self.named(&wider.bits), beyond });
                }
                (None, Some((b, _))) => {
                    // By as much as it is too large, and a little more each time.
                    let smaller = (0..*b).rev().find(|&k| words(k) + over <= words(*b)).unwrap_or(0);
                    smaller.min(b.saturating_sub(stride))
                }
                (None, None) => unreachable!("it keeps the limits or it does not"),
            };
            stride *= 2;
        }
        let (at, compiled) = fits.expect("the loop ends with one that fits");
        Ok(Settled { frontier: selections.iter().map(bits).collect(), at, compiled, next_wider: beyond.map(|b| b.1) })
    }

    /// `fc1=2, fc2=5`.
    fn named(&self, bits: &[u8]) -> String {
        let each: Vec<String> = self.names.iter().zip(bits).map(|(name, bits)| format!("{name}={bits}")).collect();
        each.join(", ")
    }

    /// Compiles with all samples; `None`: a limit is not kept.
    fn within(&self, bits: &[u8]) -> Result<Option<Compiled>, WidthsFailure> {
        let compiled = self.compile(self.options, bits)?.ok();
        Ok(compiled.filter(|c| self.limits.uses(&c.report, self.target).iter().all(|u| u.used <= u.allowed)))
    }

    /// The best of a few as a whole, for losses only nearly add up: of the widest that keep the limits, and the widest width for all.
    fn decide(mut self, widths: &[u8], table: Table, settled: Settled, progress: &mut dyn FnMut(&str)) -> Result<Widened, WidthsFailure> {
        let allowed = self.limits.words(self.target).unwrap_or(u64::MAX);
        let Settled { frontier, at, compiled, next_wider } = settled;
        let mut found: Vec<(Candidate, Option<Compiled>)> = Vec::new();
        let mut first = Some(compiled);
        for k in (0..=at).rev().take(CONTENDERS) {
            let bits = &frontier[k];
            progress(&format!("comparing {}", self.named(bits)));
            let score = self.score_of(bits)?;
            let candidate = self.candidate(&table, bits, score);
            found.push((candidate, first.take()));
        }
        for &width in widths.iter().rev() {
            let bits = vec![width; self.names.len()];
            // Far beyond the limit when added up: packing finds no more than a few words.
            let near = table.sum(&bits).is_some_and(|sum| sum.words <= allowed.saturating_add(allowed / 16));
            if found.iter().any(|(c, compiled)| c.bits == bits && compiled.is_some()) {
                break;
            }
            if !near {
                continue;
            }
            progress(&format!("comparing all layers at {width} bits"));
            if let Some(compiled) = self.within(&bits)? {
                let score = self.score_of(&bits)?;
                found.retain(|(c, _)| c.bits != bits);
                found.push((self.candidate(&table, &bits, score), Some(compiled)));
                break;
            }
        }
        // The stable order breaks ties: the widest selection of the frontier comes first.
        let judged = |c: &Candidate| c.score.map_or(c.loss, |s| s.distance);
        let mut order: Vec<usize> = (0..found.len()).filter(|&k| self.judge.wanted.is_none() || found[k].0.score.is_some()).collect();
        order.sort_by(|&a, &b| judged(&found[a].0).total_cmp(&judged(&found[b].0)));
        let mut taken = None;
        for k in order {
            let compiled = match found[k].1.take() {
                Some(compiled) => Some(compiled),
                None => self.within(&found[k].0.bits)?,
            };
            if let Some(compiled) = compiled {
                taken = Some((k, compiled));
                break;
            }
        }
        let (k, compiled) = match taken {
            Some(taken) => taken,
            // None could be judged: without what is held back it does not fit.
            None => (0, self.within(&frontier[at])?.expect("the same widths kept the limits before")),
        };
        for (c, compiled) in &mut found {
            c.words = compiled.as_ref().map_or(c.words, |c| c.report.memory_words);
        }
        found[k].0.taken = true;
        found[k].0.words = compiled.report.memory_words;
        let bits = found[k].0.bits.clone();
        let mut layers = self.layers(&table, &bits, &compiled);
        for (layer, width) in &self.options.layer_bits {
            let (words, _) = self.of_layer(&compiled, layer);
            layers.push(LayerWidth { name: layer.clone(), bits: *width, words, loss: None, tried: Vec::new() });
        }
        let report = WidthsReport {
            limits: self.limits.uses(&compiled.report, self.target),
            loss: self.judge.loss,
            widths: widths.to_vec(),
            base: table.base,
            layers,
            candidates: found.into_iter().map(|f| f.0).collect(),
            next_wider,
        };
        Ok(Widened { compiled, report })
    }

    fn candidate(&self, table: &Table, bits: &[u8], score: Option<Score>) -> Candidate {
        let sum = table.sum(bits).unwrap_or(Choice { words: 0, loss: f64::INFINITY });
        let uniform = bits.windows(2).all(|w| w[0] == w[1]);
        Candidate { bits: bits.to_vec(), words: sum.words, loss: sum.loss, score, uniform, taken: false }
    }

    fn layers(&self, table: &Table, bits: &[u8], compiled: &Compiled) -> Vec<LayerWidth> {
        let one = |((name, tried), bits): ((&String, &Vec<Tried>), &u8)| LayerWidth {
            name: name.clone(),
            bits: *bits,
            words: self.of_layer(compiled, name).0,
            loss: tried.iter().find(|t| t.bits == *bits).and_then(|t| t.loss),
            tried: tried.clone(),
        };
        self.names.iter().zip(&table.layers).zip(bits).map(one).collect()
    }
}
