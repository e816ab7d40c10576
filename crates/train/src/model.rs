//! A network in training: layers in a row, forward and backward.
//!
//! In: the layers of a recipe, batches. Out: outputs, gradients.
//! Invariant: layers fit each other, and can be written as a network of populations and projections (`export`).

use crate::layers::{Conv, Dropout, Flatten, Kind, Layer, Linear, Norm, Parameter, Pass, Pool, Role};
use crate::loss::{Judged, judge};
use crate::neuron::{Firing, Neurons, Reset};
use crate::random::{Purpose, stream};
use crate::recipe::{self, Loss, Recipe, RecipeError};
use crate::surrogate::Surrogate;
use crate::tensor::{Shape, Tensor};
use rand::Rng;

/// Most values of a layer, and most weights of one.
const MAX_VALUES: usize = 1 << 30;

/// Layers at work.
#[derive(Debug, Clone)]
pub struct Model {
    /// Shape of a sample's input.
    pub input: Shape,
    /// The layers.
    pub layers: Vec<Layer>,
    /// Name of each layer, such as `fc1`.
    pub names: Vec<String>,
    /// Shape that each layer gives.
    pub shapes: Vec<Shape>,
    /// Loss.
    pub loss: Loss,
    /// Outputs of a class.
    pub vote: usize,
    /// Network steps.
    pub steps: usize,
    seed: u64,
    activations: Vec<Tensor>,
    gradients: Vec<Tensor>,
}

/// Checks of a layer's numbers.
fn positive(key: &str, x: f32, least: f32) -> Result<(), RecipeError> {
    if x.is_finite() && x >= least && x > 0.0 {
        return Ok(());
    }
    let expected = if least > 0.0 { format!("at least {least}") } else { "a positive number".into() };
    Err(RecipeError::value(key, x, expected, "give a number in this range, or leave it out for the default"))
}

impl Model {
    /// The recipe's layers with random weights, for inputs of this shape and labels below `classes`.
    ///
    /// # Errors
    /// Layers that don't fit each other or the loss, or that no network file can hold.
    pub fn new(recipe: &Recipe, input: Shape, classes: usize) -> Result<Self, RecipeError> {
        let mut model = Model {
            input,
            layers: Vec::new(),
            names: Vec::new(),
            shapes: Vec::new(),
            loss: recipe.loss,
            vote: recipe.vote,
            steps: recipe.steps as usize,
            seed: recipe.seed,
            activations: Vec::new(),
            gradients: Vec::new(),
        };
        let spatial = matches!(
            recipe.layers.iter().find(|l| !matches!(l, recipe::Layer::Dropout(_))),
            Some(recipe::Layer::Conv { .. } | recipe::Layer::Pool { .. } | recipe::Layer::BatchNorm)
        );
        let mut shape = if spatial { input } else { Shape::flat(input.len()) };
        if spatial && input.places() > 1 && input.channels > 1 {
            model.push("input".into(), Layer::Flatten(Flatten { map: input, inverse: true }), input);
        }
        let mut counts = [0usize; 5];
        let mut name = |kind: usize| {
            counts[kind] += 1;
            format!("{}{}", ["fc", "conv", "bn", "pool", "lif"][kind], counts[kind])
        };
        for (k, layer) in recipe.layers.iter().enumerate() {
            let key = |field: &str| format!("layers[{k}].{field}");
            if matches!(layer, recipe::Layer::Linear { .. } | recipe::Layer::Flatten) && shape.places() > 1 {
                let map = shape;
                shape = Shape::flat(map.len());
                model.push(format!("flatten{k}"), Layer::Flatten(Flatten { map, inverse: false }), shape);
            }
            let spiking = matches!(model.layers.last(), Some(Layer::Neurons(n)) if n.firing.is_some());
            let (name, made, out) = match *layer {
                recipe::Layer::Flatten => continue,
                recipe::Layer::Linear { outputs, bias } => {
                    model.size(&key("outputs"), outputs, shape.len().saturating_mul(outputs))?;
                    let (weight, bias) = model.weights(shape.len(), shape.len() * outputs, bias.then_some(outputs));
                    let name = name(0);
                    let layer = Linear::new(&name, shape.len(), outputs, weight, bias);
                    (name, Layer::Linear(layer), Shape::flat(outputs))
                }
                recipe::Layer::Conv { outputs, kernel, stride, padding, bias } => {
                    window(&key("kernel"), shape, kernel, stride, padding)?;
                    let patch = kernel * kernel * shape.channels;
                    model.size(&key("outputs"), outputs, patch.saturating_mul(outputs))?;
                    let (weight, bias) = model.weights(patch, patch * outputs, bias.then_some(outputs));
                    let name = name(1);
                    let layer = Conv::new(&name, shape, outputs, [kernel, stride, padding], weight, bias);
                    let out = layer.out();
                    (name, Layer::Conv(layer), out)
                }
                recipe::Layer::BatchNorm => {
                    let name = name(2);
                    let layer = Norm::new(&name, shape.channels);
                    (name, Layer::Norm(layer), shape)
                }
                recipe::Layer::Pool { kind, kernel, stride } => {
                    let stride = stride.unwrap_or(kernel);
                    window(&key("kernel"), shape, kernel, stride, 0)?;
                    if kind == Kind::Max && !spiking {
                        return Err(RecipeError::value(
                            format!("layers[{k}]"),
                            "a maximum of values that are not spikes",
                            "Pool(kind: Max) right after Lif or If",
                            "chips take the maximum of spikes alone: put the pool after the neurons, or use Average",
                        ));
                    }
                    let layer = Pool::new(kind, shape, kernel, stride);
                    let out = layer.out();
                    (name(3), Layer::Pool(layer), out)
                }
                recipe::Layer::Dropout(share) => {
                    if !(0.0..1.0).contains(&share) {
                        return Err(RecipeError::value(
                            format!("layers[{k}]"),
                            format!("Dropout({share})"),
                            "0 up to but not 1",
                            "0.5 is usual",
                        ));
                    }
                    (format!("dropout{k}"), Layer::Dropout(Dropout::new(share, k as u64)), shape)
                }
                recipe::Layer::Lif { tau, decay_input, threshold, reset, detach, surrogate } => {
                    positive(&key("tau"), tau, 1.0)?;
                    let firing = firing(&key, threshold, reset, detach, surrogate)?;
                    (name(4), Layer::Neurons(leaky(tau, decay_input, Some(firing))), shape)
                }
                recipe::Layer::If { threshold, reset, detach, surrogate } => {
                    let firing = firing(&key, threshold, reset, detach, surrogate)?;
                    (name(4), Layer::Neurons(Neurons::new(1.0, 1.0, Some(firing))), shape)
                }
                recipe::Layer::Readout { tau, decay_input } => {
                    positive(&key("tau"), tau, 1.0)?;
                    ("readout".into(), Layer::Neurons(leaky(tau, decay_input, None)), shape)
                }
            };
            model.size(&format!("layers[{k}]"), out.len(), 1)?;
            shape = out;
            model.push(name, made, out);
        }
        model.check(classes)?;
        Ok(model)
    }

    fn push(&mut self, name: String, layer: Layer, out: Shape) {
        self.names.push(name);
        self.layers.push(layer);
        self.shapes.push(out);
    }

    fn size(&self, key: &str, outputs: usize, weights: usize) -> Result<(), RecipeError> {
        if outputs == 0 || outputs > MAX_VALUES || weights > MAX_VALUES {
            let expected = format!("1 up to what makes {MAX_VALUES} weights or values");
            return Err(RecipeError::value(key, outputs, expected, "use a smaller layer"));
        }
        Ok(())
    }

    /// Weights and biases, uniform up to the root of 1 / `fan_in`, as PyTorch's layers start.
    fn weights(&self, fan_in: usize, n: usize, bias: Option<usize>) -> (Vec<f32>, Option<Vec<f32>>) {
        let mut random = stream(self.seed, Purpose::Init, &[self.layers.len() as u64]);
        let bound = 1.0 / (fan_in as f32).sqrt();
        let mut draw = |n: usize| (0..n).map(|_| random.random_range(-bound..bound)).collect::<Vec<f32>>();
        (draw(n), bias.map(draw))
    }

    fn check(&self, classes: usize) -> Result<(), RecipeError> {
        let neurons: Vec<&Neurons> = self.layers.iter().filter_map(|l| if let Layer::Neurons(n) = l { Some(n) } else { None }).collect();
        let last = self.layers.last();
        let spiking = matches!(self.loss, Loss::MseRate | Loss::CrossEntropyCount);
        let fits = matches!(last, Some(Layer::Neurons(n)) if n.firing.is_some() == spiking);
        if !fits {
            let (found, expected) = (last.map_or("no layer", |_| "another"), if spiking { "Lif or If" } else { "Readout" });
            let hint = format!("{:?} judges what {expected} gives: end the layers with it, or take another loss", self.loss);
            return Err(RecipeError::value("layers", format!("{found} at the end"), expected, hint));
        }
        if neurons[..neurons.len() - 1].iter().any(|n| n.firing.is_none()) {
            return Err(RecipeError::value("layers", "a Readout between layers", "one at the end", "use Lif or If for hidden layers"));
        }
        let resets: Vec<Reset> = neurons.iter().filter_map(|n| n.firing).map(|f| f.reset).collect();
        if resets.windows(2).any(|r| r[0] != r[1]) {
            return Err(RecipeError::value(
                "layers",
                "both resets",
                "one reset in all layers",
                "a network file has one reset rule for all",
            ));
        }
        let outputs = self.shapes.last().map_or(0, Shape::len);
        let expected = classes * self.vote;
        if outputs < expected || !outputs.is_multiple_of(self.vote) {
            let hint = format!("the labels have {classes} classes of {} outputs each", self.vote);
            return Err(RecipeError::value("layers", format!("{outputs} outputs"), format!("{expected}"), hint));
        }
        if !self.parameters().iter().any(|p| p.role == Role::Weight) {
            return Err(RecipeError::value("layers", "no weights", "a Linear or Conv", "add one"));
        }
        Ok(())
    }

    /// Parameters of all layers, in a fixed order.
    pub fn parameters(&self) -> Vec<&Parameter> {
        self.layers.iter().flat_map(Layer::parameters).collect()
    }

    /// The same, to be changed.
    pub fn parameters_mut(&mut self) -> Vec<&mut Parameter> {
        self.layers.iter_mut().flat_map(Layer::parameters_mut).collect()
    }

    /// Outputs of a batch: spikes, or a readout's potentials, (batch, steps, outputs).
    pub fn forward(&mut self, x: &Tensor, training: bool, step: u64) -> &Tensor {
        let pass = Pass { training, steps: self.steps, seed: self.seed, step };
        self.activations.resize_with(self.layers.len(), Tensor::default);
        for k in 0..self.layers.len() {
            let (before, after) = self.activations.split_at_mut(k);
            self.layers[k].forward(before.last().unwrap_or(x), &mut after[0], &pass);
        }
        self.activations.last().expect("a model has layers")
    }

    /// Forward and backward: the parameters' gradients of the mean loss.
    pub fn learn(&mut self, x: &Tensor, classes: &[u32], step: u64) -> Judged {
        self.forward(x, true, step);
        let n = self.layers.len();
        self.gradients.resize_with(n, Tensor::default);
        let judged = judge(self.loss, self.vote, &self.activations[n - 1], classes, Some(&mut self.gradients[n - 1]));
        // Nothing is learned before the first layer with parameters.
        let first = self.layers.iter().position(|l| !l.parameters().is_empty()).unwrap_or(0);
        for k in (first..n).rev() {
            let (before, after) = self.gradients.split_at_mut(k);
            let x = if k == 0 { x } else { &self.activations[k - 1] };
            self.layers[k].backward(x, &after[0], if k > first { before.last_mut() } else { None });
        }
        judged
    }

    /// Judges a batch without learning.
    pub fn test(&mut self, x: &Tensor, classes: &[u32]) -> Judged {
        self.forward(x, false, 0);
        judge(self.loss, self.vote, self.activations.last().expect("a model has layers"), classes, None)
    }

    /// Spikes become the smoothed step, so that finite differences can be taken.
    #[cfg(test)]
    pub(crate) fn smooth(&mut self) {
        for layer in &mut self.layers {
            if let Layer::Neurons(Neurons { firing: Some(f), .. }) = layer {
                f.smooth = true;
            }
        }
    }
}

fn leaky(tau: f32, decay_input: bool, firing: Option<Firing>) -> Neurons {
    Neurons::new(1.0 - 1.0 / tau, if decay_input { 1.0 / tau } else { 1.0 }, firing)
}

fn firing(key: &dyn Fn(&str) -> String, threshold: f32, reset: Reset, detach: bool, surrogate: Surrogate) -> Result<Firing, RecipeError> {
    positive(&key("threshold"), threshold, 0.0)?;
    positive(&key("surrogate"), surrogate.alpha(), 0.0)?;
    Ok(Firing { threshold, reset, detach, surrogate, smooth: false })
}

fn window(key: &str, shape: Shape, kernel: usize, stride: usize, padding: usize) -> Result<(), RecipeError> {
    let side = shape.height.min(shape.width);
    let most = side.saturating_add(padding.saturating_mul(2));
    if kernel == 0 || stride == 0 || padding >= kernel || kernel > most {
        let found = format!("kernel {kernel}, stride {stride}, padding {padding}");
        let expected = format!(
            "1 to {most} for the kernel on a map of {} x {}, a stride of at least 1, less padding than kernel",
            shape.height, shape.width
        );
        return Err(RecipeError::value(key, found, expected, "maps need [channels, height, width]: give data.shape if the file is flat"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
