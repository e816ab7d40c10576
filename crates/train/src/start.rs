//! Weights from a network that is there already: to be trained on, with its zeros or without.
//!
//! In: a model as it was drawn, a network whose matrices are as large. Out: the model with the network's weights and biases; its neurons stay the recipe's.
//! Invariant: a weight that is 0 keeps the sign that was drawn for it (as the sign of its zero), so that methods with signs have one.

use crate::export;
use crate::layers::{Layer, Parameter};
use crate::model::Model;
use crate::recipe::RecipeError;
use spikec_net::{Network, Operator, TrainedRole};

/// A matrix of a network with what is added after it.
struct Matrix<'a> {
    name: &'a str,
    operator: &'a Operator,
    bias: Option<&'a [f32]>,
}

fn refused(found: impl Into<String>, expected: impl Into<String>) -> RecipeError {
    let hint = "`start` needs the network of these layers, such as one that a recipe with them trained or `spikec fit` pruned";
    RecipeError::value("start", found.into(), expected, hint)
}

/// Takes the weights of `network`.
///
/// # Errors
/// Layers that are not the recipe's: what is found and what is expected.
pub fn take(model: &mut Model, network: &Network) -> Result<(), RecipeError> {
    if model.layers.iter().any(|l| matches!(l, Layer::Norm(_))) {
        let hint = "networks have it folded into their weights: leave it out of the recipe";
        return Err(RecipeError::value("start", "a network for layers with BatchNorm", "layers without it", hint));
    }
    let matrices = chain(network)?;
    let wanted = model.layers.iter().filter(|l| matches!(l, Layer::Linear(_) | Layer::Conv(_))).count();
    if matrices.len() != wanted {
        return Err(refused(format!("a network of {} matrices", matrices.len()), format!("{wanted}, as the recipe has")));
    }
    let layers = model.layers.iter_mut().filter_map(|l| match l {
        Layer::Linear(l) => Some((format!("a matrix of {} x {}", l.outputs, l.inputs), l.inputs, l.outputs, &mut l.weight, &mut l.bias)),
        Layer::Conv(l) => {
            let said = format!("{} kernels of {} x {} on {} channels", l.outputs, l.kernel, l.kernel, l.map.channels);
            Some((said, l.map.channels, l.outputs, &mut l.weight, &mut l.bias))
        }
        _ => None,
    });
    for ((expected, channels, outputs, weight, bias), m) in layers.zip(matrices) {
        let (found, values) = match m.operator {
            Operator::Linear { outputs, inputs, weight } => (format!("a matrix of {outputs} x {inputs}"), weight),
            Operator::Conv(c) if c.groups == 1 => {
                let sides: Vec<String> = c.axes.iter().map(|a| a.kernel.to_string()).collect();
                (format!("{} kernels of {} on {} channels", c.outputs, sides.join(" x "), c.channels), &c.weight)
            }
            other => return Err(refused(format!("{} in {}", other.kind(), m.name), expected)),
        };
        if found != expected || values.len() != weight.value.len() {
            return Err(refused(format!("{found} in {}", m.name), expected));
        }
        if let Some(w) = values.iter().find(|w| !w.is_finite()) {
            return Err(refused(format!("{w} in {}", m.name), "finite weights"));
        }
        let values = export::inside(values, channels, outputs);
        weight.value.iter_mut().zip(values).for_each(|(w, v)| *w = if v == 0.0 { 0f32.copysign(*w) } else { v });
        take_bias(bias.as_mut(), m, outputs)?;
    }
    Ok(())
}

fn take_bias(bias: Option<&mut Parameter>, m: Matrix, outputs: usize) -> Result<(), RecipeError> {
    let Some(bias) = bias else {
        let none = m.bias.is_none_or(|b| b.iter().all(|&b| b == 0.0));
        return if none { Ok(()) } else { Err(refused(format!("biases after {}", m.name), "none: the recipe's layer has `bias: false`")) };
    };
    bias.value.fill(0.0);
    let Some(values) = m.bias else { return Ok(()) };
    let places = (values.len() / outputs).max(1);
    let same = values.len() == places * outputs && values.chunks(places).all(|c| c.iter().all(|b| b.is_finite() && *b == c[0]));
    if !same {
        return Err(refused(format!("biases after {} that differ within a channel", m.name), "one finite bias for each output"));
    }
    bias.value.iter_mut().zip(values.chunks(places)).for_each(|(b, c)| *b = c[0]);
    Ok(())
}

/// The matrices of a network that is a chain, from its input on.
fn chain(network: &Network) -> Result<Vec<Matrix<'_>>, RecipeError> {
    let mut at = network.populations.iter().position(|p| matches!(p.role, TrainedRole::Input));
    let mut matrices: Vec<Matrix> = Vec::new();
    let mut seen = 0;
    while let Some(pre) = at {
        let mut next = network.projections.iter().filter(|p| p.pre.index() == pre);
        let (projection, other) = (next.next(), next.next());
        if other.is_some() || seen > network.projections.len() {
            return Err(refused("a network with branches or loops", "a chain of layers"));
        }
        seen += 1;
        for operator in projection.iter().flat_map(|p| &p.operators) {
            let name = projection.map_or("", |p| p.name.as_str());
            match operator {
                Operator::Bias { bias } if matrices.last().is_some_and(|m| m.bias.is_none() && m.name == name) => {
                    matrices.last_mut().expect("it is there").bias = Some(bias);
                }
                Operator::Reshape { .. } | Operator::Pool(_) => {}
                other if other.weights().is_some() => matrices.push(Matrix { name, operator, bias: None }),
                other => return Err(refused(format!("{} in {name}", other.kind()), "matrices, biases and pools")),
            }
        }
        at = projection.map(|p| p.post.index());
    }
    Ok(matrices)
}
