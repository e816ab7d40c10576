//! Layers: each turns activations into activations and gradients back.
//!
//! In: a [`Tensor`] for the batch. Out: another, and on the way back the gradient of the first and those of the parameters.
//! Invariant: a layer keeps from its forward pass what its backward pass needs; backward is called after forward, with the same input.

pub mod conv;
pub mod dropout;
pub mod flatten;
pub mod linear;
pub mod norm;
pub mod pool;

use crate::neuron::Neurons;
use crate::tensor::Tensor;
pub use conv::Conv;
pub use dropout::Dropout;
pub use flatten::Flatten;
pub use linear::Linear;
pub use norm::Norm;
pub use pool::{Kind, Pool};

/// What a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Weights of synapses: pruned and decayed.
    Weight,
    /// Anything else.
    Other,
}

/// A parameter and its gradient.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Name of the layer and of the parameter, such as `fc1.weight`.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// Values.
    pub value: Vec<f32>,
    /// Gradient of the loss with respect to the values.
    pub gradient: Vec<f32>,
}

impl Parameter {
    /// With a gradient of 0.
    pub fn new(name: String, role: Role, value: Vec<f32>) -> Self {
        Parameter { name, role, gradient: vec![0.0; value.len()], value }
    }
}

/// What a pass is for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pass {
    /// Statistics of the batch and dropout, or those of training and none.
    pub training: bool,
    /// Network steps.
    pub steps: usize,
    /// Seed of dropout.
    pub seed: u64,
    /// Number of the training step.
    pub step: u64,
}

/// A layer.
#[derive(Debug, Clone)]
pub enum Layer {
    /// A matrix.
    Linear(Linear),
    /// A convolution.
    Conv(Conv),
    /// Batch normalisation.
    Norm(Norm),
    /// A pool.
    Pool(Pool),
    /// Dropout.
    Dropout(Dropout),
    /// A map into a vector.
    Flatten(Flatten),
    /// Neurons.
    Neurons(Neurons),
}

impl Layer {
    /// Activations `y` of activations `x`.
    pub fn forward(&mut self, x: &Tensor, y: &mut Tensor, pass: &Pass) {
        match self {
            Layer::Linear(l) => l.forward(x, y),
            Layer::Conv(l) => l.forward(x, y),
            Layer::Norm(l) => l.forward(x, y, pass.training),
            Layer::Pool(l) => l.forward(x, y),
            Layer::Dropout(l) => l.forward(x, y, pass),
            Layer::Flatten(l) => l.forward(x, y),
            Layer::Neurons(l) => l.forward(x, pass.steps, y),
        }
    }

    /// Gradients of the parameters, and of `x` where it is wanted, from that of `y`.
    pub fn backward(&mut self, x: &Tensor, dy: &Tensor, dx: Option<&mut Tensor>) {
        match self {
            Layer::Linear(l) => l.backward(x, dy, dx),
            Layer::Conv(l) => l.backward(x, dy, dx),
            Layer::Norm(l) => l.backward(dy, dx),
            Layer::Pool(l) => dx.into_iter().for_each(|dx| l.backward(dy, dx)),
            Layer::Dropout(l) => dx.into_iter().for_each(|dx| l.backward(dy, dx)),
            Layer::Flatten(l) => dx.into_iter().for_each(|dx| l.backward(dy, dx)),
            Layer::Neurons(l) => dx.into_iter().for_each(|dx| l.backward(dy, x.steps, dx)),
        }
    }

    /// Its parameters, in a fixed order.
    pub fn parameters(&self) -> Vec<&Parameter> {
        match self {
            Layer::Linear(l) => [Some(&l.weight), l.bias.as_ref()].into_iter().flatten().collect(),
            Layer::Conv(l) => [Some(&l.weight), l.bias.as_ref()].into_iter().flatten().collect(),
            Layer::Norm(l) => vec![&l.factor, &l.constant],
            _ => Vec::new(),
        }
    }

    /// The same, to be changed.
    pub fn parameters_mut(&mut self) -> Vec<&mut Parameter> {
        match self {
            Layer::Linear(l) => [Some(&mut l.weight), l.bias.as_mut()].into_iter().flatten().collect(),
            Layer::Conv(l) => [Some(&mut l.weight), l.bias.as_mut()].into_iter().flatten().collect(),
            Layer::Norm(l) => vec![&mut l.factor, &mut l.constant],
            _ => Vec::new(),
        }
    }
}
