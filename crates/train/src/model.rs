//! A network in training: layers in a row, forward and backward.
//!
//! In: the layers of a recipe, batches. Out: outputs, gradients.
//! Invariant: layers fit each other, and can be written as a network of populations and projections (`export`).

pub mod plan;

use crate::layers::{Conv, Dropout, Flatten, Layer, Linear, Norm, Parameter, Pass, Pool, Role};
use crate::loss::{Judged, judge};
use crate::neuron::{Firing, Neurons, Reset};
use crate::random::{Purpose, stream};
use crate::recipe::{self, Loss, Recipe, RecipeError};
use crate::tensor::{Shape, Tensor};
use plan::{Plan, Planned, Step};
use rand::Rng;

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

impl Model {
    /// The recipe's layers with random weights, for inputs of this shape and labels below `classes`.
    ///
    /// # Errors
    /// Layers that don't fit each other or the loss, that no network file can hold, or that take more memory than the recipe allows.
    pub fn new(recipe: &Recipe, input: Shape, classes: usize) -> Result<Self, RecipeError> {
        let plan = Plan::new(recipe, input)?;
        plan.check_memory(None)?;
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
        for planned in plan.layers {
            let (made, name) = (model.make(&planned), planned.name);
            model.names.push(name);
            model.layers.push(made);
            model.shapes.push(planned.out);
        }
        model.check(classes)?;
        Ok(model)
    }

    /// A planned layer with its first weights.
    fn make(&self, Planned { name, from, out, step }: &Planned) -> Layer {
        let (k, layer) = match *step {
            Step::Flatten { inverse } => return Layer::Flatten(Flatten { map: *from, inverse }),
            Step::Layer(k, layer) => (k, layer),
        };
        let spikes = |threshold, reset, detach, surrogate| Some(Firing { threshold, reset, detach, surrogate, smooth: false });
        match *layer {
            recipe::Layer::Linear { outputs, bias } => {
                let (weight, bias) = self.weights(from.len(), from.len() * outputs, bias.then_some(outputs));
                Layer::Linear(Linear::new(name, from.len(), outputs, weight, bias))
            }
            recipe::Layer::Conv { outputs, kernel, stride, padding, bias } => {
                let patch = kernel * kernel * from.channels;
                let (weight, bias) = self.weights(patch, patch * outputs, bias.then_some(outputs));
                Layer::Conv(Conv::new(name, *from, outputs, [kernel, stride, padding], weight, bias))
            }
            recipe::Layer::BatchNorm => Layer::Norm(Norm::new(name, from.channels)),
            recipe::Layer::Pool { kind, kernel, stride } => Layer::Pool(Pool::new(kind, *from, kernel, stride.unwrap_or(kernel))),
            recipe::Layer::Dropout(share) => Layer::Dropout(Dropout::new(share, k as u64)),
            recipe::Layer::Flatten => Layer::Flatten(Flatten { map: *out, inverse: false }),
            recipe::Layer::Lif { tau, decay_input, threshold, reset, detach, surrogate } => {
                Layer::Neurons(leaky(tau, decay_input, spikes(threshold, reset, detach, surrogate)))
            }
            recipe::Layer::If { threshold, reset, detach, surrogate } => {
                Layer::Neurons(Neurons::new(1.0, 1.0, spikes(threshold, reset, detach, surrogate)))
            }
            recipe::Layer::Readout { tau, decay_input } => Layer::Neurons(leaky(tau, decay_input, None)),
        }
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

#[cfg(test)]
mod tests;
