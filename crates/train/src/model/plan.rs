//! The layers of a recipe before they are made: names, shapes, and what training them takes of memory.
//!
//! In: a recipe, the shape of an input. Out: a [`Plan`], or what does not fit.
//! Invariant: nothing that grows with a recipe's numbers is allocated here; what [`Plan::check_memory`] passes stays below the recipe's limit.

use crate::layers::Kind;
use crate::recipe::{Layer, Optimizer, Recipe, RecipeError, Sparsity};
use crate::tensor::Shape;

/// Most values of a layer, and most weights of one.
const MAX_VALUES: usize = 1 << 30;
/// Most steps of a leak: beyond it, a potential in f32 hardly leaks.
const MAX_TAU: f32 = 1e6;
/// Bytes of a number.
const FLOAT: u128 = 4;
/// Copies of all that is saved while a checkpoint is made: its arrays, its body, and the body with its hash.
const COPIES: u128 = 3;
/// Bytes of a weight while a network is written: the network, its file.
const WRITTEN: u128 = 24;
/// Pieces of a convolution's gradient, each with a copy of its weights.
const PIECES: u128 = 16;

/// What a planned layer is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'a> {
    /// A map into a vector, or back.
    Flatten {
        /// Back.
        inverse: bool,
    },
    /// The k-th layer of the recipe.
    Layer(usize, &'a Layer),
}

/// A layer to be.
#[derive(Debug, Clone)]
pub(super) struct Planned<'a> {
    /// Its name.
    pub name: String,
    /// Shape that comes in.
    pub from: Shape,
    /// Shape that goes out.
    pub out: Shape,
    /// What it is.
    pub step: Step<'a>,
}

/// Layers to be, which fit each other.
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    recipe: &'a Recipe,
    input: Shape,
    pub(super) layers: Vec<Planned<'a>>,
}

/// Bytes that training takes, beside the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// What layers give and keep for the way back, for a batch.
    pub activations: u128,
    /// Patches of convolutions, a row of the batch for each thread.
    pub patches: u128,
    /// Weights with their gradients, moments and strengths, and the copies that checkpoints and networks take.
    pub weights: u128,
}

impl Memory {
    /// All of it.
    pub fn total(&self) -> u128 {
        self.activations + self.patches + self.weights
    }
}

impl<'a> Plan<'a> {
    /// Names and shapes for inputs of this shape.
    ///
    /// # Errors
    /// Layers that don't fit each other, and numbers out of their ranges.
    pub fn new(recipe: &'a Recipe, input: Shape) -> Result<Self, RecipeError> {
        let spatial = matches!(
            recipe.layers.iter().find(|l| !matches!(l, Layer::Dropout(_))),
            Some(Layer::Conv { .. } | Layer::Pool { .. } | Layer::BatchNorm)
        );
        let mut layers: Vec<Planned> = Vec::new();
        let mut shape = if spatial { input } else { Shape::flat(input.len()) };
        if spatial && input.places() > 1 && input.channels > 1 {
            layers.push(Planned { name: "input".into(), from: input, out: input, step: Step::Flatten { inverse: true } });
        }
        let mut counts = [0usize; 5];
        let mut name = |kind: usize| {
            counts[kind] += 1;
            format!("{}{}", ["fc", "conv", "bn", "pool", "lif"][kind], counts[kind])
        };
        // The layer that made a vector of the map.
        let mut flattened = (!spatial).then_some(0);
        for (k, layer) in recipe.layers.iter().enumerate() {
            let key = |field: &str| format!("layers[{k}].{field}");
            if matches!(layer, Layer::Linear { .. } | Layer::Flatten) {
                flattened.get_or_insert(k);
                if shape.places() > 1 {
                    let (map, flat) = (shape, Shape::flat(shape.len()));
                    layers.push(Planned { name: format!("flatten{k}"), from: map, out: flat, step: Step::Flatten { inverse: false } });
                    shape = flat;
                }
            }
            let spiking = matches!(layers.last(), Some(Planned { step: Step::Layer(_, Layer::Lif { .. } | Layer::If { .. }), .. }));
            let remedy = match flattened {
                _ if shape.places() > 1 => "use a smaller kernel, or padding".into(),
                _ if input.places() == 1 => "maps need [channels, height, width]: give data.shape if the file is flat".into(),
                Some(k) => format!("layers[{k}] makes a vector of the map: put convolutions and pools before it"),
                None => "one place is left of the map: use fewer or smaller strides and pools before".into(),
            };
            let (name, out) = match *layer {
                Layer::Flatten => continue,
                Layer::Linear { outputs, .. } => {
                    size(&key("outputs"), outputs, shape.len().saturating_mul(outputs))?;
                    (name(0), Shape::flat(outputs))
                }
                Layer::Conv { outputs, kernel, stride, padding, .. } => {
                    let out = window(&key("kernel"), shape, kernel, stride, padding, &remedy)?;
                    let patch = kernel.saturating_mul(kernel).saturating_mul(shape.channels);
                    size(&key("outputs"), outputs, patch.saturating_mul(outputs))?;
                    (name(1), Shape { channels: outputs, ..out })
                }
                Layer::BatchNorm => (name(2), shape),
                Layer::Pool { kind, kernel, stride } => {
                    let out = window(&key("kernel"), shape, kernel, stride.unwrap_or(kernel), 0, &remedy)?;
                    if kind == Kind::Max && !spiking {
                        return Err(RecipeError::value(
                            format!("layers[{k}]"),
                            "a maximum of values that are not spikes",
                            "Pool(kind: Max) right after Lif or If",
                            "chips take the maximum of spikes alone: put the pool after the neurons, or use Average",
                        ));
                    }
                    (name(3), out)
                }
                Layer::Dropout(share) => {
                    if !(0.0..1.0).contains(&share) {
                        let found = format!("Dropout({share})");
                        return Err(RecipeError::value(format!("layers[{k}]"), found, "0 up to but not 1", "0.5 is usual"));
                    }
                    (format!("dropout{k}"), shape)
                }
                Layer::Lif { tau, threshold, surrogate, .. } => {
                    leak(&key("tau"), tau)?;
                    positive(&key("threshold"), threshold)?;
                    positive(&key("surrogate"), surrogate.alpha())?;
                    (name(4), shape)
                }
                Layer::If { threshold, surrogate, .. } => {
                    positive(&key("threshold"), threshold)?;
                    positive(&key("surrogate"), surrogate.alpha())?;
                    (name(4), shape)
                }
                Layer::Readout { tau, .. } => {
                    leak(&key("tau"), tau)?;
                    ("readout".into(), shape)
                }
            };
            let values = out.channels.checked_mul(out.height).and_then(|n| n.checked_mul(out.width));
            size(&format!("layers[{k}]"), values.unwrap_or(usize::MAX), 1)?;
            layers.push(Planned { name, from: shape, out, step: Step::Layer(k, layer) });
            shape = out;
        }
        Ok(Plan { recipe, input, layers })
    }

    /// What training takes with inputs of `steps` steps (1 where they are the same in all), on `threads` threads.
    pub fn memory(&self, steps: u32, threads: usize) -> Memory {
        let (batch, all) = (self.recipe.batch as u128, u128::from(self.recipe.steps));
        let values = |rows: u128, shape: Shape| rows * shape.len() as u128 * FLOAT;
        let mut steps = u128::from(steps);
        let mut memory = Memory { activations: values(batch * steps, self.input), patches: 0, weights: 0 };
        let adam = matches!(self.recipe.optimizer, Optimizer::Adam { .. });
        // Bytes of a weight beside its value and gradient.
        let pruned = match self.recipe.sparsity {
            Sparsity::Dense => 0,
            // Costs as well.
            _ if self.recipe.sparsity.budget().is_some() => 9,
            Sparsity::Magnitude { .. } | Sparsity::Keep => 1,
            Sparsity::Stds { .. } => FLOAT,
            Sparsity::GradR { .. } | Sparsity::DeepR { .. } | Sparsity::SoftDeepR { .. } => 5,
        };
        let finer = if self.recipe.quantize.is_some() { FLOAT } else { 0 };
        let saved = FLOAT + if adam { 2 } else { 1 } * FLOAT + pruned + finer;
        let kept = saved + FLOAT + (COPIES * saved).max(WRITTEN);
        for Planned { from, out, step, .. } in &self.layers {
            let rows = batch * steps;
            let keeps = match step {
                Step::Flatten { .. } => 0,
                Step::Layer(_, layer) => match **layer {
                    Layer::Linear { outputs, bias } => {
                        memory.weights += (from.len() * outputs + usize::from(bias) * outputs) as u128 * kept;
                        // Lists of up to half the values, and the same by columns: an index and a value each.
                        2 * values(rows, *from)
                    }
                    Layer::Conv { outputs, kernel, bias, .. } => {
                        let patch = (kernel * kernel * from.channels) as u128;
                        let weights = patch * outputs as u128;
                        memory.weights += (weights + u128::from(bias) * outputs as u128) * kept + PIECES.min(rows) * weights * FLOAT;
                        // A patch for each place, or lists of what is not 0 in it, twice.
                        memory.patches = memory.patches.max(2 * patch * out.places() as u128 * FLOAT * threads as u128);
                        0
                    }
                    Layer::BatchNorm => {
                        memory.weights += 2 * from.channels as u128 * kept;
                        2 * values(rows, *out)
                    }
                    Layer::Pool { kind: Kind::Max, .. } => values(rows, *out),
                    Layer::Pool { .. } | Layer::Flatten => 0,
                    Layer::Dropout(_) => values(batch, *out),
                    Layer::Lif { .. } | Layer::If { .. } | Layer::Readout { .. } => {
                        steps = all;
                        values(batch * all, *out)
                    }
                },
            };
            memory.activations += keeps + 2 * values(batch * steps, *out);
        }
        memory
    }

    /// Refuses what takes more than the recipe's `memory_gib`. `steps`: those of an input, where that is known.
    ///
    /// # Errors
    /// What it takes, what it may, and how to make it less.
    pub fn check_memory(&self, steps: Option<u32>) -> Result<(), RecipeError> {
        let steps = steps.unwrap_or(if self.recipe.data.encoder.spikes() { self.recipe.steps } else { 1 });
        let memory = self.memory(steps, rayon::current_num_threads());
        let gib = |bytes: u128| bytes as f64 / (1u64 << 30) as f64;
        let limit = self.recipe.memory_gib;
        if gib(memory.total()) <= limit {
            return Ok(());
        }
        let expected = format!(
            "at least {:.2}, which training takes: {:.2} for activations, {:.2} for patches of convolutions, {:.2} for weights",
            gib(memory.total()) + 0.005,
            gib(memory.activations),
            gib(memory.patches),
            gib(memory.weights)
        );
        let (batch, steps) = (self.recipe.batch, self.recipe.steps);
        let hint =
            format!("lower batch ({batch}) or steps ({steps}), take smaller layers, or raise memory_gib where the machine has as much");
        Err(RecipeError::value("memory_gib", limit, expected, hint))
    }
}

/// Checks of a layer's numbers.
fn positive(key: &str, x: f32) -> Result<(), RecipeError> {
    if x.is_finite() && x > 0.0 {
        return Ok(());
    }
    Err(RecipeError::value(key, x, "a positive number", "give a number in this range, or leave it out for the default"))
}

fn leak(key: &str, tau: f32) -> Result<(), RecipeError> {
    if (1.0..=MAX_TAU).contains(&tau) {
        return Ok(());
    }
    Err(RecipeError::value(key, tau, format!("1 to {MAX_TAU}"), "take If for neurons that don't leak, or leave it out for the default"))
}

fn size(key: &str, outputs: usize, weights: usize) -> Result<(), RecipeError> {
    if outputs == 0 || outputs > MAX_VALUES || weights > MAX_VALUES {
        let expected = format!("1 up to what makes {MAX_VALUES} weights or values");
        return Err(RecipeError::value(key, outputs, expected, "use a smaller layer"));
    }
    Ok(())
}

/// The places that windows give, with the channels of the map.
fn window(key: &str, map: Shape, kernel: usize, stride: usize, padding: usize, remedy: &str) -> Result<Shape, RecipeError> {
    let most = map.height.min(map.width).saturating_add(padding.saturating_mul(2));
    if kernel == 0 || stride == 0 || padding >= kernel || kernel > most {
        let found = format!("kernel {kernel}, stride {stride}, padding {padding}");
        let expected = format!(
            "1 to {most} for the kernel on a map of {} x {}, a stride of at least 1, less padding than kernel",
            map.height, map.width
        );
        return Err(RecipeError::value(key, found, expected, remedy));
    }
    Ok(map.windows(kernel, stride, padding))
}
