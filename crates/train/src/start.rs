//! Weights from a network that is there already: to be trained on, with its zeros or without.
//!
//! In: a model as it was drawn, a network whose matrices are as large. Out: the model with the network's weights and biases; its neurons stay the recipe's.
//! Invariant: the layers are the same, matrix by matrix and pool by pool; a weight that is 0 is so without a sign.

use crate::export;
use crate::layers::{Layer, Parameter};
use crate::model::Model;
use crate::recipe::RecipeError;
use spikec_net::{Axis, Network, Operator, TrainedRole};

/// A matrix of a network with what is added after it.
struct Matrix<'a> {
    name: &'a str,
    values: &'a [f32],
    bias: Option<&'a [f32]>,
}

fn refused(found: impl Into<String>, expected: impl Into<String>) -> RecipeError {
    let hint = "`start` needs the network of these layers, such as one that a recipe with them trained or `spikec fit` pruned";
    RecipeError::value("start", found.into(), expected, hint)
}

/// What an operator is, beside its weights; none of what moves no value and of biases.
fn described(operator: &Operator) -> Option<String> {
    let windows = |axes: &[Axis]| {
        let of = |a: &Axis| format!("{} (stride {}, padding {:?}, dilation {})", a.kernel, a.stride, a.padding, a.dilation);
        axes.iter().map(of).collect::<Vec<_>>().join(" x ")
    };
    match operator {
        Operator::Linear { outputs, inputs, .. } => Some(format!("a matrix of {outputs} x {inputs}")),
        Operator::Conv(c) => {
            Some(format!("{} kernels of {} on {} channels in {} groups", c.outputs, windows(&c.axes), c.channels, c.groups))
        }
        Operator::Pool(p) => Some(format!("a pool ({:?}) of {} on {} channels", p.kind, windows(&p.axes), p.channels)),
        Operator::Bias { .. } | Operator::Reshape { .. } => None,
        other => Some(other.kind().into()),
    }
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
    let own = export::network(model, "own");
    let (found, expected) = (chain(network)?, chain(&own)?);
    let count = |all: &[(&str, &Operator)]| all.iter().filter(|(_, o)| o.weights().is_some()).count();
    if count(&found) != count(&expected) {
        return Err(refused(format!("a network of {} matrices", count(&found)), format!("{}, as the recipe has", count(&expected))));
    }
    let parts = |all: &[(&str, &Operator)]| all.iter().filter_map(|(name, o)| Some((name.to_string(), described(o)?))).collect::<Vec<_>>();
    let (parts_found, parts_expected) = (parts(&found), parts(&expected));
    for (k, (name, found)) in parts_found.iter().enumerate() {
        let expected = parts_expected.get(k).map_or("no more layers", |(_, e)| e);
        if found != expected {
            return Err(refused(format!("{found} in {name}"), expected));
        }
    }
    if let Some((_, missing)) = parts_expected.get(parts_found.len()) {
        return Err(refused("a network that ends before the recipe's layers do", missing.clone()));
    }
    let layers = model.layers.iter_mut().filter_map(|l| match l {
        Layer::Linear(l) => Some((l.inputs, l.outputs, &mut l.weight, &mut l.bias)),
        Layer::Conv(l) => Some((l.map.channels, l.outputs, &mut l.weight, &mut l.bias)),
        _ => None,
    });
    for ((channels, outputs, weight, bias), m) in layers.zip(matrices(&found)) {
        if let Some(w) = m.values.iter().find(|w| !w.is_finite()) {
            return Err(refused(format!("{w} in {}", m.name), "finite weights"));
        }
        weight.value = export::inside(m.values, channels, outputs).into_iter().map(|w| w + 0.0).collect();
        take_bias(bias.as_mut(), m, outputs)?;
    }
    Ok(())
}

/// The matrices, each with what is added right after it.
fn matrices<'a>(chain: &[(&'a str, &'a Operator)]) -> Vec<Matrix<'a>> {
    let mut all: Vec<Matrix> = Vec::new();
    for &(name, operator) in chain {
        match (operator, all.last_mut()) {
            (Operator::Bias { bias }, Some(matrix)) => matrix.bias = Some(bias),
            (other, _) => all.extend(other.weights().map(|values| Matrix { name, values, bias: None })),
        }
    }
    all
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

/// The operators of a network that is a chain, from its input on, with the names of their projections.
fn chain(network: &Network) -> Result<Vec<(&str, &Operator)>, RecipeError> {
    let mut inputs = (0..network.populations.len()).filter(|&p| matches!(network.populations[p].role, TrainedRole::Input));
    let (mut at, other) = (inputs.next(), inputs.next());
    let branches = || refused("a network with branches, loops or delays", "a chain of layers");
    let mut all: Vec<(&str, &Operator)> = Vec::new();
    let mut seen = 0;
    while let Some(pre) = at {
        let mut next = network.projections.iter().filter(|p| p.pre.index() == pre);
        let (projection, second) = (next.next(), next.next());
        at = projection.map(|p| p.post.index());
        let Some(projection) = projection else { break };
        seen += 1;
        if second.is_some() || seen > network.projections.len() || projection.delay_steps != 0 {
            return Err(branches());
        }
        let mut matrix = false;
        for operator in &projection.operators {
            if matches!(operator, Operator::Bias { .. }) && !matrix {
                return Err(refused(format!("a bias that is not right behind a matrix in {}", projection.name), "one that is"));
            }
            matrix = operator.weights().is_some();
            all.push((&projection.name, operator));
        }
    }
    if other.is_some() || seen != network.projections.len() {
        return Err(branches());
    }
    Ok(all)
}
