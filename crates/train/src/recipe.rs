//! The recipe: everything that a training run depends on, as RON (docs/training.md has every key).
//!
//! In: text. Out: a [`Recipe`] whose values make sense, or an error that names the key, what was found, what is expected, and a remedy.
//! Invariant: a recipe that [`Recipe::read`] returns has finite numbers in their ranges; files and shapes are checked where they are used.

mod check;

use crate::layers::Kind;
use crate::neuron::Reset;
use crate::surrogate::Surrogate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Name of the network.
    #[serde(default = "default_name")]
    pub name: String,
    /// Seed of everything random.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// Network steps of a sample.
    pub steps: u32,
    /// Samples of a batch.
    #[serde(default = "default_batch")]
    pub batch: usize,
    /// Passes over the training samples.
    pub epochs: u32,
    /// Samples and how they become input.
    pub data: Data,
    /// The network.
    pub layers: Vec<Layer>,
    /// What is made small.
    #[serde(default)]
    pub loss: Loss,
    /// Outputs of a class; their mean counts.
    #[serde(default = "one")]
    pub vote: usize,
    /// How gradients become changes.
    #[serde(default)]
    pub optimizer: Optimizer,
    /// How the learning rate changes.
    #[serde(default)]
    pub schedule: Schedule,
    /// How synapses are pruned.
    #[serde(default)]
    pub sparsity: Sparsity,
    /// A network of these layers whose weights training starts from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<PathBuf>,
    /// Weights on a grid of few levels, where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantize: Option<Quantize>,
    /// Memory that training may take beside the samples, in GiB.
    #[serde(default = "memory_gib")]
    pub memory_gib: f64,
    /// Training steps between checkpoints within an epoch; 0: one at the end of each epoch alone.
    #[serde(default)]
    pub checkpoint_steps: u64,
}

/// Weights on a grid of few levels while they learn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantize {
    /// Bits of a weight, its sign among them.
    pub bits: u8,
    /// From this epoch on (from 0).
    #[serde(default)]
    pub from: u32,
    /// Bits of layers, by name, that have others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub layers: BTreeMap<String, u8>,
}

/// Samples and how they become input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Training samples.
    pub train: Source,
    /// Test samples: looked at once, at the end.
    #[serde(default)]
    pub test: Option<Source>,
    /// Training samples that are held back to choose by.
    #[serde(default)]
    pub validation: usize,
    /// Only this many training samples (before any is held back).
    #[serde(default)]
    pub samples: Option<usize>,
    /// Shape of a sample, `[channels, height, width]` or `[n]`; default: the file's.
    #[serde(default)]
    pub shape: Option<Vec<usize>>,
    /// How values become input.
    #[serde(default)]
    pub encoder: Encoder,
    /// Random maps of training images.
    #[serde(default)]
    pub augment: Option<Affine>,
}

/// Files of samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Source {
    /// MNIST's format, gzipped or not; a byte b is the value b / 255.
    Idx {
        /// Images.
        images: PathBuf,
        /// Classes.
        labels: PathBuf,
    },
    /// Arrays as `spikec data` writes them (docs/data-format.md), with labels.
    Npz(PathBuf),
}

/// How values become input.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Encoder {
    /// Spikes or values as the file has them.
    #[default]
    Given,
    /// `(value - mean) / std` as a current that is the same in every step.
    Direct {
        /// Taken off.
        #[serde(default)]
        mean: f32,
        /// Divided by.
        #[serde(default = "unit")]
        std: f32,
    },
    /// A spike in a step with the value as its probability.
    Poisson {
        /// Seed of the spikes of validation and test (as `spikec data idx --coding poisson --seed`), and of training where they are not fresh.
        #[serde(default)]
        seed: u64,
        /// Other spikes in each epoch.
        #[serde(default = "yes")]
        fresh: bool,
    },
    /// A spike for each value, earlier for larger ones; values are not negative.
    Latency {
        /// The value that spikes at once.
        #[serde(default = "unit")]
        full_scale: f32,
    },
}

impl Encoder {
    /// It makes spikes of values, other ones in each step.
    pub fn spikes(&self) -> bool {
        matches!(self, Encoder::Poisson { .. } | Encoder::Latency { .. })
    }
}

/// Random affine maps: turned, shifted, scaled.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Affine {
    /// Most degrees to each side.
    #[serde(default)]
    pub degrees: f32,
    /// Largest shift as a share of width and height.
    #[serde(default)]
    pub shift: f32,
    /// Smallest and largest scale.
    #[serde(default = "same_scale")]
    pub scale: (f32, f32),
    /// Mean of the four nearest pixels instead of the nearest.
    #[serde(default)]
    pub bilinear: bool,
}

/// A layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // docs/training.md, and the layers themselves
pub enum Layer {
    Linear {
        outputs: usize,
        #[serde(default)]
        bias: bool,
    },
    Conv {
        outputs: usize,
        #[serde(default = "three")]
        kernel: usize,
        #[serde(default = "one")]
        stride: usize,
        #[serde(default)]
        padding: usize,
        #[serde(default)]
        bias: bool,
    },
    BatchNorm,
    Pool {
        kind: Kind,
        kernel: usize,
        #[serde(default)]
        stride: Option<usize>,
    },
    Dropout(f32),
    Flatten,
    Lif {
        #[serde(default = "two")]
        tau: f32,
        #[serde(default = "yes")]
        decay_input: bool,
        #[serde(default = "unit")]
        threshold: f32,
        #[serde(default = "hard")]
        reset: Reset,
        #[serde(default = "yes")]
        detach: bool,
        #[serde(default = "arctan")]
        surrogate: Surrogate,
    },
    If {
        #[serde(default = "unit")]
        threshold: f32,
        #[serde(default = "hard")]
        reset: Reset,
        #[serde(default = "yes")]
        detach: bool,
        #[serde(default = "arctan")]
        surrogate: Surrogate,
    },
    Readout {
        #[serde(default = "two")]
        tau: f32,
        #[serde(default = "yes")]
        decay_input: bool,
    },
}

/// What is made small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Loss {
    /// Mean square of rate (spikes a step) less 1 for the class and 0 for the others.
    #[default]
    MseRate,
    /// Cross-entropy of the spike counts.
    CrossEntropyCount,
    /// Cross-entropy of the sums of a readout's potentials over all steps.
    CrossEntropySum,
    /// Cross-entropy of a readout's potentials after the last step.
    CrossEntropyLast,
}

/// How gradients become changes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Optimizer {
    /// Kingma and Ba, 2015.
    Adam {
        /// Learning rate.
        #[serde(default = "rate")]
        lr: f32,
        /// Shares kept of the means of gradients and of their squares.
        #[serde(default = "betas")]
        betas: (f32, f32),
        /// Added to the root.
        #[serde(default = "epsilon")]
        epsilon: f32,
        /// Share of the weight added to its gradient.
        #[serde(default)]
        weight_decay: f32,
    },
    /// Gradient descent with momentum.
    Sgd {
        /// Learning rate.
        lr: f32,
        /// Share kept of the last change.
        #[serde(default)]
        momentum: f32,
        /// Share of the weight added to its gradient.
        #[serde(default)]
        weight_decay: f32,
    },
}

/// How the learning rate changes, by epochs.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Schedule {
    /// Not at all.
    #[default]
    Constant,
    /// Times `factor` every `epochs` epochs.
    Step {
        /// Epochs.
        epochs: u32,
        /// Factor.
        factor: f32,
    },
    /// Half a cosine from the rate to `least` times the rate, over the whole run, step by step.
    Cosine {
        /// Share of the rate that is left at the end.
        #[serde(default)]
        least: f32,
    },
}

/// How many synapses are wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Target {
    /// Share of all weights.
    Connectivity(f64),
    /// Number of weights that are not 0.
    Synapses(u64),
    /// What the compiled network may take of a chip; all limits hold.
    Budget {
        /// The chip: a name, or a file.
        target: String,
        /// Cores.
        #[serde(default)]
        cores: Option<u32>,
        /// Words of synaptic memory.
        #[serde(default)]
        memory: Option<u64>,
        /// Bits of a weight on the chip.
        #[serde(default = "eight")]
        weight_bits: u8,
        /// Epochs between two counts.
        #[serde(default = "two_epochs")]
        every: u32,
    },
}

/// How synapses are pruned.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Sparsity {
    /// None is.
    #[default]
    Dense,
    /// Weights that are 0 stay 0: for a network to start from.
    Keep,
    /// Gradient Rewiring (Chen et al., IJCAI 2021).
    GradR {
        /// Target of the prior.
        target: Target,
        /// Strength of the prior (alpha).
        #[serde(default = "penalty")]
        penalty: f32,
        /// Epochs after which the target should be met: the penalty is steered towards it; 0: it stays as it is.
        #[serde(default)]
        steer: u32,
        /// Last epochs without a prior: in their first third the weakest synapses beyond the target go, then none comes or goes.
        #[serde(default)]
        settle: u32,
        /// Penalty that steering doesn't pass in its epochs. Adam's direction is about 1 where gradients agree, so what pulls half as much leaves
        /// only weights whose gradients agree, and shrinks these too.
        #[serde(default = "quarter")]
        most: f32,
    },
    /// Deep R (Bellec et al., ICLR 2018): as many synapses from the first step on.
    DeepR {
        /// Target.
        target: Target,
        /// Pull of each weight to 0.
        #[serde(default = "penalty")]
        penalty: f32,
        /// Temperature of the noise.
        #[serde(default)]
        temperature: f32,
    },
    /// Soft Deep R (same paper): no constraint on their number, which follows from penalty and least strength.
    SoftDeepR {
        /// Share of weights that are synapses at the start.
        #[serde(default = "full")]
        start: f64,
        /// Pull of each weight to 0.
        #[serde(default = "penalty")]
        penalty: f32,
        /// Temperature of the noise.
        #[serde(default)]
        temperature: f32,
        /// Least strength of what is no synapse.
        #[serde(default = "least")]
        least: f32,
    },
    /// STDS (Chen et al., ICML 2022): a soft threshold grows until the target is reached; then no synapse comes or goes.
    Stds {
        /// Target.
        target: Target,
        /// Epoch from which on the threshold grows.
        #[serde(default)]
        from: u32,
        /// Epoch in which the target is reached.
        until: u32,
        /// Training steps between.
        #[serde(default = "twenty_five")]
        every: u64,
        /// A threshold for each layer, not one for all together.
        #[serde(default)]
        by_layer: bool,
    },
    /// The smallest weights go, a few at a time (Zhu and Gupta, 2017).
    Magnitude {
        /// Target.
        target: Target,
        /// Epoch from which on they go.
        #[serde(default)]
        from: u32,
        /// Epoch in which the target is reached.
        until: u32,
        /// Training steps between.
        #[serde(default = "hundred")]
        every: u64,
        /// The smallest of each layer, not of all together.
        #[serde(default)]
        by_layer: bool,
    },
}

macro_rules! defaults {
    ($($name:ident -> $type:ty = $value:expr;)*) => { $(fn $name() -> $type { $value })* };
}
defaults! {
    default_name -> String = "net".into();
    default_seed -> u64 = 2020;
    default_batch -> usize = 128;
    one -> usize = 1;
    two -> f32 = 2.0;
    three -> usize = 3;
    hundred -> u64 = 100;
    twenty_five -> u64 = 25;
    unit -> f32 = 1.0;
    full -> f64 = 1.0;
    yes -> bool = true;
    hard -> Reset = Reset::Hard;
    arctan -> Surrogate = Surrogate::Arctan(2.0);
    rate -> f32 = 1e-3;
    betas -> (f32, f32) = (0.9, 0.999);
    epsilon -> f32 = 1e-8;
    penalty -> f32 = 1e-3;
    quarter -> f32 = 0.25;
    least -> f32 = -0.1;
    eight -> u8 = 8;
    two_epochs -> u32 = 2;
    memory_gib -> f64 = 8.0;
    same_scale -> (f32, f32) = (1.0, 1.0);
}

impl Default for Optimizer {
    fn default() -> Self {
        Optimizer::Adam { lr: rate(), betas: betas(), epsilon: epsilon(), weight_decay: 0.0 }
    }
}

/// What is wrong with a recipe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    /// It is no recipe.
    #[error("line {line}, column {column}: {message}")]
    Text {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What the reader says.
        message: String,
    },
    /// A value makes no sense.
    #[error("`{key}` is {found}, expected {expected}")]
    Value {
        /// Place, such as `layers[2].tau`.
        key: String,
        /// What stands there.
        found: String,
        /// What could.
        expected: String,
        /// Remedy.
        hint: String,
    },
}

impl RecipeError {
    /// A value that makes no sense.
    pub fn value(key: impl Into<String>, found: impl ToString, expected: impl Into<String>, hint: impl Into<String>) -> Self {
        RecipeError::Value { key: key.into(), found: found.to_string(), expected: expected.into(), hint: hint.into() }
    }
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            RecipeError::Text { .. } => "docs/training.md lists every key of a recipe".into(),
            RecipeError::Value { hint, .. } => hint.clone(),
        }
    }
}

impl Recipe {
    /// Reads and checks.
    ///
    /// # Errors
    /// Text that is no recipe; values that make no sense.
    pub fn read(text: &str) -> Result<Self, RecipeError> {
        let options = ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
        let recipe: Recipe = options.from_str(text).map_err(|e| RecipeError::Text {
            line: e.span.start.line,
            column: e.span.start.col,
            message: e.code.to_string(),
        })?;
        recipe.check()?;
        Ok(recipe)
    }
}

impl Sparsity {
    /// The budget that it keeps, where it does.
    pub fn budget(&self) -> Option<&Target> {
        match self {
            Sparsity::GradR { target: target @ Target::Budget { .. }, .. } => Some(target),
            _ => None,
        }
    }
}

impl Target {
    /// Share of `weights` weights; of a budget all, until it is counted.
    ///
    /// # Errors
    /// More synapses than weights.
    pub fn connectivity(&self, weights: u64) -> Result<f64, RecipeError> {
        match *self {
            Target::Budget { .. } => Ok(1.0),
            Target::Connectivity(c) => Ok(c),
            Target::Synapses(n) if n < weights => Ok(n as f64 / weights as f64),
            Target::Synapses(n) => Err(RecipeError::value(
                "sparsity.target",
                format!("Synapses({n})"),
                format!("fewer than the network's {weights} weights"),
                "give a smaller number, or leave `sparsity` out",
            )),
        }
    }
}

#[cfg(test)]
mod tests;
