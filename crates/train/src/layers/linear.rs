//! A matrix, with or without a bias.
//!
//! Invariant: weights are (inputs, outputs), so that those of an input lie side by side.

use super::{Parameter, Role};
use crate::product::{Product, column_sums};
use crate::tensor::Tensor;

/// `y = x w + b`.
#[derive(Debug, Clone)]
pub struct Linear {
    /// Length of x.
    pub inputs: usize,
    /// Length of y.
    pub outputs: usize,
    /// Shape (inputs, outputs).
    pub weight: Parameter,
    /// Shape (outputs).
    pub bias: Option<Parameter>,
    product: Product,
}

impl Linear {
    /// With the weights (inputs, outputs) given.
    pub fn new(name: &str, inputs: usize, outputs: usize, weight: Vec<f32>, bias: Option<Vec<f32>>) -> Self {
        assert_eq!(weight.len(), inputs * outputs);
        Linear {
            inputs,
            outputs,
            weight: Parameter::new(format!("{name}.weight"), Role::Weight, weight),
            bias: bias.map(|b| Parameter::new(format!("{name}.bias"), Role::Other, b)),
            product: Product::new(inputs, outputs),
        }
    }

    pub(super) fn forward(&mut self, x: &Tensor, y: &mut Tensor) {
        y.reshape(x.batch, x.steps, self.outputs);
        self.product.forward(x, &self.weight.value, self.bias.as_ref().map(|b| &b.value[..]), &mut y.data);
    }

    pub(super) fn backward(&mut self, x: &Tensor, dy: &Tensor, dx: Option<&mut Tensor>) {
        self.product.weight_gradient(x, &dy.data, &mut self.weight.gradient);
        if let Some(bias) = &mut self.bias {
            bias.gradient = column_sums(&dy.data, self.outputs);
        }
        if let Some(dx) = dx {
            dx.reshape(x.batch, x.steps, self.inputs);
            self.product.input_gradient(&self.weight.value, &dy.data, &mut dx.data);
        }
    }
}
