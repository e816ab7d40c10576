//! Single nodes: neuron models with their shapes, operators with theirs.

use super::chains::{OperatorError, checked_shape};
use super::graph::FlatNode;
use super::spatial;
use crate::error::ImportError;
use crate::hdf5::{RawArray, RawValues};
use crate::shape::{broadcast_shape, broadcast_to, squeezed};
use spikec_net::{NeuronModel, Operator};

/// Operators of one node.
#[derive(Default)]
pub(crate) struct NodeOperators {
    pub linear: Vec<Operator>,
    /// What is added, whatever comes in.
    pub constant: Option<Operator>,
    /// Shape of the result.
    pub shape: Vec<u32>,
    /// Numbers held.
    pub elements: u64,
    /// Of those, numbers that repeat others.
    pub repeated: u64,
}

/// A parameter that is a list of integers, e.g. `shape`; `None` where the node lacks it, `[1]` where it is empty.
pub(crate) fn shape_parameter(node: &FlatNode, name: &'static str) -> Result<Option<Vec<u32>>, ImportError> {
    let Some(array) = node.parameters.get(name) else { return Ok(None) };
    let wrong = |expected: &str| ImportError::WrongShape {
        node: node.name.clone(),
        parameter: name.into(),
        found: array.shape.clone(),
        expected: expected.into(),
    };
    if array.shape.len() > 1 || array.shape.first().is_some_and(|&n| n > 32) {
        return Err(wrong("a list of at most 32 sizes"));
    }
    let sizes: Option<Vec<u64>> = match &array.values {
        RawValues::Int(v) => v.iter().map(|&x| u64::try_from(x).ok()).collect(),
        RawValues::Float(v) => v.iter().map(|&x| (x >= 0.0 && x.fract() == 0.0 && x < 1e9).then_some(x as u64)).collect(),
        RawValues::Text(_) => None,
    };
    let sizes = sizes.ok_or_else(|| ImportError::WrongType {
        node: node.name.clone(),
        parameter: name.into(),
        found: "a list with negative or fractional numbers".into(),
        expected: "sizes",
    })?;
    let shape = checked_shape(&node.name, name, &sizes)?;
    Ok(Some(if shape.is_empty() { vec![1] } else { shape }))
}

fn integer(node: &FlatNode, name: &'static str, default: i64) -> Result<i64, ImportError> {
    match node.parameters.get(name) {
        None => Ok(default),
        Some(RawArray { values: RawValues::Int(v), .. }) if v.len() == 1 => Ok(v[0]),
        Some(_) => Err(ImportError::WrongType {
            node: node.name.clone(),
            parameter: name.into(),
            found: "something else".into(),
            expected: "an integer",
        }),
    }
}

/// The node's neurons. `fed`: shape of the tensor that comes in, taken where all parameters are scalars.
///
/// # Errors
/// Parameters whose shapes don't broadcast together.
pub(crate) fn neuron_model(node: &mut FlatNode, fed: Option<&[u32]>) -> Result<(NeuronModel, Vec<u32>), ImportError> {
    let mut shape: Vec<u64> = Vec::new();
    for array in node.parameters.values() {
        shape = broadcast_shape(&shape, &array.shape).ok_or_else(|| ImportError::ParameterShapes {
            node: node.name.clone(),
            shapes: node.parameters.iter().map(|(n, a)| (n.to_string(), a.shape.clone())).collect(),
        })?;
    }
    if shape.is_empty() {
        shape = fed.map_or(vec![1], |s| s.iter().map(|&d| d.into()).collect());
    }
    let narrow = checked_shape(&node.name, "v_threshold", &shape)?;
    let name = node.name.clone();
    let parameters = &mut node.parameters;
    let mut take = |parameter: &'static str, default: Option<f32>| -> Result<Vec<f32>, ImportError> {
        let (values, from) = match (parameters.remove(parameter), default) {
            (Some(a), _) => (a.values.into_f32(), a.shape),
            (None, Some(d)) => (vec![d], Vec::new()),
            (None, None) => {
                return Err(ImportError::MissingParameter { node: name.clone(), kind: node.kind.name.into(), parameter: parameter.into() });
            }
        };
        broadcast_to(values, &from, &shape).ok_or_else(|| ImportError::WrongShape {
            node: name.clone(),
            parameter: parameter.into(),
            found: from.clone(),
            expected: format!("{shape:?}"),
        })
    };
    let model = match node.kind.name {
        "LIF" => NeuronModel::Lif {
            tau: take("tau", None)?,
            r: take("r", None)?,
            v_leak: take("v_leak", None)?,
            v_threshold: take("v_threshold", None)?,
            v_reset: take("v_reset", Some(0.0))?,
        },
        "IF" => NeuronModel::If { r: take("r", None)?, v_threshold: take("v_threshold", None)?, v_reset: take("v_reset", Some(0.0))? },
        "CubaLIF" => NeuronModel::CubaLif {
            tau_syn: take("tau_syn", None)?,
            tau_mem: take("tau_mem", None)?,
            r: take("r", None)?,
            v_leak: take("v_leak", None)?,
            v_threshold: take("v_threshold", None)?,
            v_reset: take("v_reset", Some(0.0))?,
            w_in: take("w_in", Some(1.0))?,
        },
        "Threshold" => NeuronModel::Threshold { v_threshold: take("threshold", None)? },
        "LI" => NeuronModel::Li { tau: take("tau", None)?, r: take("r", None)?, v_leak: take("v_leak", None)? },
        _ => NeuronModel::CubaLi {
            tau_syn: take("tau_syn", None)?,
            tau_mem: take("tau_mem", None)?,
            r: take("r", None)?,
            v_leak: take("v_leak", None)?,
            w_in: take("w_in", Some(1.0))?,
        },
    };
    Ok((model, narrow))
}

/// The node's operators on a tensor of shape `shape`; takes the parameters out of the node.
///
/// # Errors
/// [`OperatorError::Takes`] where the tensor doesn't fit.
pub(crate) fn operators(node: &mut FlatNode, shape: &[u32]) -> Result<NodeOperators, OperatorError> {
    match node.kind.name {
        "Scale" => scale(node, shape),
        "Flatten" => flatten(node, shape),
        "Conv1d" | "Conv2d" => spatial::conv(node, shape),
        "SumPool2d" | "AvgPool2d" => spatial::pool(node, shape),
        "Delay" => spatial::delay(node, shape),
        _ => linear(node, shape),
    }
}

pub(super) fn take(node: &mut FlatNode, parameter: &'static str) -> Result<RawArray, ImportError> {
    node.parameters.remove(parameter).ok_or_else(|| ImportError::MissingParameter {
        node: node.name.clone(),
        kind: node.kind.name.into(),
        parameter: parameter.into(),
    })
}

fn linear(node: &mut FlatNode, shape: &[u32]) -> Result<NodeOperators, OperatorError> {
    let weight = take(node, "weight")?;
    let wrong = |expected: String| ImportError::WrongShape {
        node: node.name.clone(),
        parameter: "weight".into(),
        found: weight.shape.clone(),
        expected,
    };
    let &[o, i] = weight.shape.as_slice() else { return Err(wrong("(outputs, inputs)".into()).into()) };
    let (Ok(outputs), Ok(inputs)) = (checked_shape(&node.name, "weight", &[o]), checked_shape(&node.name, "weight", &[i])) else {
        return Err(wrong("(outputs, inputs), none of them 0 or huge".into()).into());
    };
    let (outputs, inputs) = (outputs[0], inputs[0]);
    let mut chain = Vec::new();
    if shape != [inputs] {
        // Only dimensions of size 1 may differ: a batch axis that was kept.
        if squeezed(shape) != squeezed(&[inputs]) {
            return Err(OperatorError::Takes(format!("[{inputs}] (its weight is {outputs} x {inputs})")));
        }
        chain.push(Operator::Reshape { shape: vec![inputs] });
    }
    let elements = o * i;
    chain.push(Operator::Linear { outputs, inputs, weight: weight.values.into_f32() });
    let constant = match node.kind.name {
        "Affine" => {
            let bias = take(node, "bias")?;
            let found = bias.shape.clone();
            let values = broadcast_to(bias.values.into_f32(), &bias.shape, &[o]).ok_or_else(|| ImportError::WrongShape {
                node: node.name.clone(),
                parameter: "bias".into(),
                found,
                expected: format!("[{outputs}]"),
            })?;
            Some(Operator::Bias { bias: values })
        }
        _ => None,
    };
    Ok(NodeOperators { linear: chain, constant, shape: vec![outputs], elements: elements + o, repeated: 0 })
}

fn scale(node: &mut FlatNode, shape: &[u32]) -> Result<NodeOperators, OperatorError> {
    let array = take(node, "scale")?;
    let to: Vec<u64> = shape.iter().map(|&d| d.into()).collect();
    let takes = OperatorError::Takes(format!("{:?} (the shape of its scale)", array.shape));
    let narrow: Vec<u32> = array.shape.iter().map(|&d| u32::try_from(d).unwrap_or(0)).collect();
    let from = if squeezed(&narrow) == squeezed(shape) { to.clone() } else { array.shape };
    let scale = broadcast_to(array.values.into_f32(), &from, &to).ok_or(takes)?;
    let elements = scale.len() as u64;
    Ok(NodeOperators { linear: vec![Operator::Scale { scale }], constant: None, shape: shape.to_vec(), elements, repeated: 0 })
}

/// `start_dim` and `end_dim` count without a batch axis, as the files of NIR's frameworks do; negative ones count from the end.
fn flatten(node: &mut FlatNode, shape: &[u32]) -> Result<NodeOperators, OperatorError> {
    if let Some(declared) = shape_parameter(node, "input_type")?
        && squeezed(&declared) != squeezed(shape)
    {
        return Err(OperatorError::Takes(format!("{declared:?} (its input_type)")));
    }
    let (start, end) = (integer(node, "start_dim", 1)?, integer(node, "end_dim", -1)?);
    let flat =
        flattened(shape, start, end).ok_or_else(|| OperatorError::Takes(format!("a tensor with the dimensions {start} to {end}")))?;
    let mut linear = Vec::new();
    if flat != shape {
        linear.push(Operator::Reshape { shape: flat.clone() });
    }
    Ok(NodeOperators { linear, shape: flat, ..NodeOperators::default() })
}

/// The shape with dimensions `start ..= end` merged; a vector stays one where `start` is 1 (the default counts a batch axis).
pub(crate) fn flattened(shape: &[u32], start: i64, end: i64) -> Option<Vec<u32>> {
    let rank = shape.len() as i64;
    if start == rank && (end == -1 || end == rank) {
        return Some(shape.to_vec());
    }
    let from_end = |d: i64| if d < 0 { d.checked_add(rank) } else { Some(d) };
    let (s, e) = (from_end(start)?, from_end(end)?);
    if s < 0 || e >= rank || s > e {
        return None;
    }
    let (s, e) = (s as usize, e as usize);
    let mut out = shape[..s].to_vec();
    out.push(shape[s..=e].iter().product());
    out.extend(&shape[e + 1..]);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flatten_counts_without_a_batch_axis() {
        assert_eq!(flattened(&[16, 7, 7], 0, -1), Some(vec![784]));
        assert_eq!(flattened(&[16, 7, 7], 1, -1), Some(vec![16, 49]));
        assert_eq!(flattened(&[16, 7, 7], 0, 1), Some(vec![112, 7]));
        assert_eq!(flattened(&[16, 7, 7], -2, 2), Some(vec![16, 49]));
        assert_eq!(flattened(&[784], 1, -1), Some(vec![784]));
        assert_eq!(flattened(&[784], 0, -1), Some(vec![784]));
        for (s, e) in [(2, 1), (0, 3), (-4, -1), (4, -1), (i64::MIN, -1), (0, i64::MIN)] {
            assert_eq!(flattened(&[16, 7, 7], s, e), None, "{s} {e}");
        }
    }
}
