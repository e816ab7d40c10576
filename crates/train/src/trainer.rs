//! A training run, step by step.
//!
//! In: a recipe and samples. Out: metrics of each epoch, the model as it stands, checkpoints.
//! Invariant: everything that the next step depends on is in the checkpoint or follows from the recipe: a run that is stopped and resumed
//! goes on as if nothing had been.

mod budget;

use crate::data::{Encoding, Samples, SamplesError};
use crate::layers::{Layer, Role};
use crate::loss::Judged;
use crate::model::Model;
use crate::model::plan::Plan;
use crate::optim::factor;
use crate::random::{Purpose, permutation, stream};
use crate::recipe::{Recipe, RecipeError, Sparsity};
use crate::rewire::control::{Budget, Usage};
use crate::rewire::{Clock, Rewiring, Synapses};
use crate::start;
use crate::tensor::Tensor;
use serde::Serialize;
use spikec_net::Network;

/// Share of the wanted synapses that may be over when the best network is chosen.
const OVER: f64 = 0.05;

/// Why a run can't start or go on.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TrainError {
    /// Recipe.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// Samples.
    #[error("{0}: {1}")]
    Samples(&'static str, SamplesError),
    /// A number that is none.
    #[error("epoch {epoch}, step {step}: the {what} is not finite")]
    NotFinite {
        /// Epoch, from 1.
        epoch: u32,
        /// Training step, from 1.
        step: u64,
        /// What.
        what: String,
    },
    /// The budget can't be counted.
    #[error("epoch {epoch}: the budget can't be counted: {why}")]
    Budget {
        /// Epoch, from 1.
        epoch: u32,
        /// Why.
        why: String,
    },
}

impl TrainError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            TrainError::Recipe(e) => e.hint(),
            TrainError::Samples(_, e) => e.hint(),
            TrainError::NotFinite { .. } => {
                "the last checkpoint is from before: lower optimizer.lr (or the weights' scale) and train anew".into()
            }
            TrainError::Budget { .. } => "check the target and the compile options".into(),
        }
    }
}

/// Metrics of an epoch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Epoch {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Training steps so far.
    pub step: u64,
    /// Mean loss of the training samples, as they were seen.
    pub loss: f64,
    /// Share of them that was right.
    pub accuracy: f64,
    /// The same of the samples held back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_loss: Option<f64>,
    /// The same of the samples held back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_accuracy: Option<f64>,
    /// Weights that are not 0.
    pub synapses: u64,
    /// Their share.
    pub connectivity: f64,
    /// The same by layer.
    pub layers: Vec<f64>,
    /// Penalty of the prior, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub penalty: Option<f32>,
    /// What the network takes of the budget, where there is one and it was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Usage>,
    /// It is the best so far of those that have as few synapses as wanted.
    pub best: bool,
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Progress {
    /// Epochs done.
    pub epoch: u32,
    /// Steps of the next one that are done.
    pub in_epoch: u64,
    /// Steps done.
    pub step: u64,
    /// What became of the samples of the unfinished epoch.
    pub judged: Judged,
    /// Epoch (from 1) of the best network, and its accuracy.
    pub best: Option<(u32, f64)>,
}

/// A run.
pub struct Trainer {
    /// Recipe.
    pub recipe: Recipe,
    /// Model.
    pub model: Model,
    /// Pruning.
    pub rewiring: Rewiring,
    /// Where it is.
    pub progress: Progress,
    /// Digest of the training samples, of the network that it starts from, and of what counts a budget.
    pub digest: [u8; 32],
    samples: Samples,
    encoding: Encoding,
    train: Vec<u32>,
    held: Vec<u32>,
    order: Option<(u32, Vec<u32>)>,
    x: Tensor,
    budget: Option<Box<dyn Budget>>,
}

impl Trainer {
    /// A run at its start.
    ///
    /// # Errors
    /// Layers, samples and targets that don't fit each other.
    pub fn new(recipe: Recipe, samples: Samples) -> Result<Self, TrainError> {
        Self::starting(recipe, samples, None)
    }

    /// A run at its start, with the weights of a network.
    ///
    /// # Errors
    /// Those of [`Self::new`], and a network of other layers.
    pub fn starting(recipe: Recipe, mut samples: Samples, network: Option<&Network>) -> Result<Self, TrainError> {
        let of = |e| TrainError::Samples("data.train", e);
        if let Some(shape) = &recipe.data.shape {
            samples.reshape(shape).map_err(of)?;
        }
        let encoding =
            Encoding { encoder: recipe.data.encoder, augment: recipe.data.augment, seed: recipe.seed, steps: recipe.steps as usize };
        encoding.check(&samples).map_err(of)?;
        if recipe.sparsity.budget().is_some() && !encoding.spikes(&samples) {
            let hint = "take Poisson or Latency: what analog values reach is computed on the host, where no budget counts it";
            return Err(RecipeError::value("data.encoder", "analog input beside a Budget", "spikes", hint).into());
        }
        let n = recipe.data.samples.unwrap_or(samples.len()).min(samples.len());
        if recipe.data.validation >= n {
            let hint = format!("there are {n} training samples");
            return Err(RecipeError::value("data.validation", recipe.data.validation, format!("fewer than {n}"), hint).into());
        }
        let mut train = permutation(n, &mut stream(recipe.seed, Purpose::Split, &[]));
        let mut held = train.split_off(n - recipe.data.validation);
        train.sort_unstable();
        held.sort_unstable();
        Plan::new(&recipe, samples.input())?.check_memory(Some(encoding.input_steps(&samples) as u32))?;
        let mut model = Model::new(&recipe, samples.input(), samples.class_count())?;
        let mut digest = samples.digest;
        if let Some(network) = network {
            start::take(&mut model, network)?;
            digest = *blake3::Hasher::new().update(&digest).update(&network.digest()).finalize().as_bytes();
        }
        let rewiring = Rewiring::new(&recipe, &mut model.parameters_mut())?;
        Ok(Trainer {
            model,
            rewiring,
            progress: Progress::default(),
            digest,
            samples,
            encoding,
            train,
            held,
            order: None,
            x: Tensor::default(),
            budget: None,
            recipe,
        })
    }

    /// Steps of an epoch.
    pub fn steps_in_epoch(&self) -> u64 {
        self.train.len().div_ceil(self.recipe.batch) as u64
    }

    /// Training samples.
    pub fn training_samples(&self) -> usize {
        self.train.len()
    }

    /// Of the next step.
    fn clock(&self) -> Clock {
        let Progress { epoch, step, .. } = self.progress;
        Clock { epoch, step, steps_in_epoch: self.steps_in_epoch() }
    }

    /// True when all epochs are done.
    pub fn done(&self) -> bool {
        self.progress.epoch >= self.recipe.epochs
    }

    /// One step; the metrics of the epoch where it was its last.
    ///
    /// # Errors
    /// A loss or a weight that is not finite (the model is then as before the step, or not to be used); a budget that can't be counted.
    pub fn step(&mut self) -> Result<Option<Epoch>, TrainError> {
        let steps_in_epoch = self.steps_in_epoch();
        let Progress { epoch, in_epoch, step, .. } = self.progress;
        if self.order.as_ref().is_none_or(|(of, _)| *of != epoch) {
            let order = permutation(self.train.len(), &mut stream(self.recipe.seed, Purpose::Order, &[epoch.into()]));
            self.order = Some((epoch, order.iter().map(|&k| self.train[k as usize]).collect()));
        }
        if self.recipe.sparsity.budget().is_some() {
            self.before_step()?;
        }
        let (_, order) = self.order.as_ref().expect("made above");
        let from = in_epoch as usize * self.recipe.batch;
        let ids = &order[from..order.len().min(from + self.recipe.batch)];
        let classes = self.encoding.batch(&self.samples, ids, Some(epoch), &mut self.x);
        let judged = self.model.learn(&self.x, &classes, step);
        let not_finite = |what: String| TrainError::NotFinite { epoch: epoch + 1, step: step + 1, what };
        if !judged.loss.is_finite() {
            return Err(not_finite("loss".into()));
        }
        if let Some(p) = self.model.parameters().iter().find(|p| !finite(&p.gradient)) {
            return Err(not_finite(format!("gradient of {}", p.name)));
        }
        let rate = factor(self.recipe.schedule, epoch, self.recipe.epochs, step, steps_in_epoch);
        let clock = self.clock();
        self.rewiring.step(&mut self.model.parameters_mut(), rate, clock, self.recipe.epochs);
        let p = &mut self.progress;
        p.judged.loss += judged.loss;
        p.judged.correct += judged.correct;
        p.judged.samples += judged.samples;
        (p.step, p.in_epoch) = (step + 1, in_epoch + 1);
        if p.in_epoch < steps_in_epoch {
            return Ok(None);
        }
        (p.epoch, p.in_epoch) = (epoch + 1, 0);
        self.end().map(Some)
    }

    fn end(&mut self) -> Result<Epoch, TrainError> {
        let seen = std::mem::take(&mut self.progress.judged);
        let (epoch, step) = (self.progress.epoch, self.progress.step);
        self.check_finite()?;
        let usage = self.weigh(epoch)?;
        let fits = self.recipe.sparsity.budget().is_none() || usage.is_some_and(|u| u.fits);
        let held = std::mem::take(&mut self.held);
        let validation =
            (!held.is_empty()).then(|| judge(&mut self.model, &self.encoding, &self.samples, &held, self.recipe.batch, &mut self.x));
        self.held = held;
        let share = |j: &Judged| (j.loss / j.samples.max(1) as f64, j.correct as f64 / j.samples.max(1) as f64);
        let (loss, accuracy) = share(&seen);
        let parameters = self.model.parameters();
        let synapses = self.rewiring.count(&parameters);
        let weights = parameters.iter().filter(|p| p.role == Role::Weight);
        let layers = weights.map(|p| p.value.iter().filter(|w| **w != 0.0).count() as f64 / p.value.len() as f64).collect();
        let validation = validation.as_ref().map(share);
        // Without samples held back there is nothing to choose by: the last one is taken.
        let score = validation.map_or(f64::INFINITY, |v| v.1);
        let better = self.progress.best.is_none_or(|(_, best)| score > best || score == f64::INFINITY);
        let on_grid = self.recipe.quantize.as_ref().is_none_or(|q| epoch > q.from);
        let best = better && self.has_few(synapses, epoch) && fits && on_grid;
        if best {
            self.progress.best = Some((epoch, score));
        }
        Ok(Epoch {
            epoch,
            step,
            loss,
            accuracy,
            validation_loss: validation.map(|v| v.0),
            validation_accuracy: validation.map(|v| v.1),
            synapses,
            connectivity: synapses as f64 / self.rewiring.weights() as f64,
            layers,
            penalty: matches!(self.recipe.sparsity, Sparsity::GradR { .. }).then_some(self.rewiring.control.penalty),
            budget: usage,
            best,
        })
    }

    /// All that a checkpoint or a network would hold is finite.
    ///
    /// # Errors
    /// The first parameter, statistic or moment that is not.
    pub(crate) fn check_finite(&self) -> Result<(), TrainError> {
        let Progress { epoch, in_epoch, step, .. } = self.progress;
        // At the end of an epoch it is counted already.
        let epoch = epoch + u32::from(in_epoch > 0);
        let failed = |what: String| Err(TrainError::NotFinite { epoch, step, what });
        let parameters = self.model.parameters();
        if let Some(p) = parameters.iter().find(|p| !finite(&p.value)) {
            return failed(format!("parameter {}", p.name));
        }
        for (layer, name) in self.model.layers.iter().zip(&self.model.names) {
            if let Layer::Norm(norm) = layer
                && !(finite(&norm.mean) && finite(&norm.variance))
            {
                return failed(format!("running mean or variance of {name}"));
            }
        }
        for ((p, moments), synapses) in parameters.iter().zip(&self.rewiring.moments).zip(&self.rewiring.synapses) {
            if !(finite(&moments.first) && finite(&moments.second)) {
                return failed(format!("mean gradient of {}", p.name));
            }
            if let Synapses::Signed { strength, .. } | Synapses::Soft { theta: strength, .. } = synapses
                && !finite(strength)
            {
                return failed(format!("strength of {}", p.name));
            }
        }
        if let Some(grid) = &self.rewiring.grid
            && let Some((p, _)) = parameters.iter().zip(&grid.fine).find(|(_, fine)| !finite(fine))
        {
            return failed(format!("parameter {}, behind its grid", p.name));
        }
        Ok(())
    }

    /// As few synapses as are wanted.
    fn has_few(&self, synapses: u64, epoch: u32) -> bool {
        match self.recipe.sparsity {
            Sparsity::Dense | Sparsity::Keep | Sparsity::SoftDeepR { .. } => true,
            Sparsity::Magnitude { until, .. } | Sparsity::Stds { until, .. } => epoch >= until,
            _ if self.recipe.sparsity.budget().is_some() => true,
            Sparsity::GradR { settle: 1.., .. } => self.rewiring.settled,
            _ => synapses as f64 <= self.rewiring.wanted() as f64 * (1.0 + OVER),
        }
    }

    /// Takes other samples, such as those of the test, to be judged later; nothing is run.
    ///
    /// # Errors
    /// Samples of another shape, with other classes, or that can't be encoded so.
    pub fn check_test(&self, mut samples: Samples) -> Result<Test, TrainError> {
        let of = |e| TrainError::Samples("data.test", e);
        if let Some(shape) = &self.recipe.data.shape {
            samples.reshape(shape).map_err(of)?;
        }
        self.encoding.check(&samples).map_err(of)?;
        let (steps, expected) = (self.encoding.input_steps(&samples), self.encoding.input_steps(&self.samples));
        if steps != expected {
            let said = |steps| if steps == 1 { "values that are the same in all steps" } else { "values or spikes of each step" };
            return Err(RecipeError::value("data.test", said(steps), said(expected), "give the test set of the same data").into());
        }
        if samples.input() != self.samples.input() || samples.class_count() > self.samples.class_count() {
            let said = |s: &Samples| format!("samples of shape {:?} in {} classes", s.shape, s.class_count());
            let expected = format!("{} at most, as for training", said(&self.samples));
            return Err(RecipeError::value("data.test", said(&samples), expected, "give the test set of the same data").into());
        }
        Ok(Test(samples))
    }

    /// Judges them with the model as it stands.
    pub fn test(&mut self, Test(samples): &Test) -> Judged {
        let ids: Vec<u32> = (0..samples.len() as u32).collect();
        judge(&mut self.model, &self.encoding, samples, &ids, self.recipe.batch, &mut self.x)
    }
}

/// Samples that a trainer found to fit its network.
pub struct Test(Samples);

fn judge(model: &mut Model, encoding: &Encoding, samples: &Samples, ids: &[u32], batch: usize, x: &mut Tensor) -> Judged {
    let mut sum = Judged::default();
    for ids in ids.chunks(batch) {
        let classes = encoding.batch(samples, ids, None, x);
        let judged = model.test(x, &classes);
        sum.loss += judged.loss;
        sum.correct += judged.correct;
        sum.samples += judged.samples;
    }
    sum
}

/// All are finite. A sum is not finite when a value is not; when it overflows, each is looked at.
fn finite(values: &[f32]) -> bool {
    values.iter().map(|v| v.abs()).sum::<f32>().is_finite() || values.iter().all(|v| v.is_finite())
}
