//! Nodes whose tensors have places: convolutions and pools; and delays.

use super::chains::OperatorError;
use super::graph::FlatNode;
use super::nodes::{NodeOperators, take};
use crate::error::ImportError;
use crate::hdf5::{RawArray, RawValues};
use crate::shape::{broadcast_to, squeezed};
use spikec_net::{Axis, Conv, GeometryError, Operator, Pool, PoolKind};

fn geometry(node: &FlatNode, error: GeometryError) -> OperatorError {
    OperatorError::Node(ImportError::Geometry { node: node.name.clone(), kind: node.kind.name, error })
}

/// One number for each axis from a scalar, or an array of as many.
fn per_axis(node: &FlatNode, name: &'static str, array: &RawArray, rank: usize) -> Result<Vec<u32>, ImportError> {
    let whole: Option<Vec<u32>> = match &array.values {
        RawValues::Int(v) => v.iter().map(|&x| u32::try_from(x).ok()).collect(),
        RawValues::Float(v) => v.iter().map(|&x| (x.fract() == 0.0 && (0.0..16_777_216.0).contains(&x)).then_some(x as u32)).collect(),
        RawValues::Text(_) => None,
    };
    let whole = whole.ok_or_else(|| ImportError::WrongType {
        node: node.name.clone(),
        parameter: name.into(),
        found: match &array.values {
            RawValues::Text(text) => format!("`{text}`"),
            _ => "negative, fractional or huge".into(),
        },
        expected: if name == "padding" { "whole numbers from 0 on, `same` or `valid`" } else { "whole numbers from 0 on" },
    })?;
    match whole[..] {
        [one] => Ok(vec![one; rank]),
        _ if whole.len() == rank && array.shape.len() == 1 => Ok(whole),
        _ => Err(ImportError::WrongShape {
            node: node.name.clone(),
            parameter: name.into(),
            found: array.shape.clone(),
            expected: format!("a number, or one for each of {rank} axes"),
        }),
    }
}

fn parameter<'a>(node: &'a FlatNode, name: &'static str) -> Result<&'a RawArray, ImportError> {
    node.parameters.get(name).ok_or_else(|| ImportError::MissingParameter {
        node: node.name.clone(),
        kind: node.kind.name.into(),
        parameter: name.into(),
    })
}

/// A size that fits into 32 bits; 0 where it doesn't, which no geometry takes.
fn narrow(size: u64) -> u32 {
    u32::try_from(size).unwrap_or(0)
}

/// The shape (channels, one size for each axis) that `shape` is; only dimensions of size 1 may differ: a batch axis, or a lone channel.
fn with_channels(shape: &[u32], channels: u32, rank: usize) -> Option<Vec<u32>> {
    let mut inner = shape;
    while inner.len() > rank + 1 && inner[0] == 1 {
        inner = &inner[1..];
    }
    match inner.len() {
        n if n == rank + 1 && inner[0] == channels => Some(inner.to_vec()),
        n if n == rank && channels == 1 => Some([&[1], inner].concat()),
        _ => None,
    }
}

fn reshaped(shape: &[u32], to: &[u32]) -> Vec<Operator> {
    if shape == to { Vec::new() } else { vec![Operator::Reshape { shape: to.into() }] }
}

/// Conv1d and Conv2d: weight (outputs, channels / groups, kernel ...).
pub(super) fn conv(node: &mut FlatNode, shape: &[u32]) -> Result<NodeOperators, OperatorError> {
    let rank = if node.kind.name == "Conv1d" { 1 } else { 2 };
    let weight = take(node, "weight")?;
    if weight.shape.len() != rank + 2 {
        return Err(OperatorError::Node(ImportError::WrongShape {
            node: node.name.clone(),
            parameter: "weight".into(),
            found: weight.shape,
            expected: if rank == 1 { "(outputs, channels, length)" } else { "(outputs, channels, height, width)" }.into(),
        }));
    }
    let each = |name: &'static str| per_axis(node, name, parameter(node, name)?, rank);
    let (stride, dilation) = (each("stride")?, each("dilation")?);
    let groups = per_axis(node, "groups", parameter(node, "groups")?, 1)?[0];
    let channels = narrow(weight.shape[1].saturating_mul(groups.into()));
    let declared = match node.parameters.get("input_shape") {
        Some(array) if !array.values.is_empty() => Some(per_axis(node, "input_shape", array, rank)?),
        _ => None,
    };
    let takes = || match &declared {
        Some(sizes) => {
            format!("[{channels}, {}] (its channels and input_shape)", sizes.iter().map(|d| d.to_string()).collect::<Vec<_>>().join(", "))
        }
        None => format!("{channels} channels of {}", if rank == 1 { "one dimension" } else { "two dimensions" }),
    };
    let mut taken = with_channels(shape, channels, rank);
    if let Some(sizes) = &declared {
        let whole = [&[channels], sizes.as_slice()].concat();
        taken = if squeezed(&whole) == squeezed(shape) { Some(whole) } else { None };
    }
    let taken = taken.ok_or_else(|| OperatorError::Takes(takes()))?;
    let mut axes: Vec<Axis> = (0..rank)
        .map(|k| Axis {
            size: taken[k + 1],
            kernel: narrow(weight.shape[k + 2]),
            stride: stride[k],
            dilation: dilation[k],
            padding: [0, 0],
        })
        .collect();
    match parameter(node, "padding")? {
        RawArray { values: RawValues::Text(text), .. } if text == "valid" => {}
        RawArray { values: RawValues::Text(text), .. } if text == "same" => {
            for (axis, a) in axes.iter_mut().enumerate() {
                if a.stride != 1 {
                    return Err(geometry(node, GeometryError::SameWithStride { axis, stride: a.stride }));
                }
                a.padding = Axis::same(a.kernel, a.dilation);
            }
        }
        array => {
            let padding = per_axis(node, "padding", array, rank)?;
            axes.iter_mut().zip(padding).for_each(|(a, p)| a.padding = [p, p]);
        }
    }
    let outputs = narrow(weight.shape[0]);
    let conv = Conv { channels, outputs, groups, axes, weight: weight.values.into_f32() };
    let result = conv.output_shape().map_err(|e| geometry(node, e))?;
    let (constant, elements) = (bias(node, &result)?, conv.weight.len() as u64);
    let repeated = if constant.is_some() { result.iter().map(|&d| u64::from(d)).product() } else { 0 };
    let mut linear = reshaped(shape, &taken);
    linear.push(Operator::Conv(conv));
    Ok(NodeOperators { linear, constant, shape: result, elements: elements + repeated, repeated })
}

/// The bias of each channel at every place; a bias of zeros is none.
fn bias(node: &mut FlatNode, shape: &[u32]) -> Result<Option<Operator>, OperatorError> {
    let Some(bias) = node.parameters.remove("bias") else { return Ok(None) };
    let found = bias.shape.clone();
    let each = broadcast_to(bias.values.into_f32(), &found, &[shape[0].into()]).ok_or_else(|| ImportError::WrongShape {
        node: node.name.clone(),
        parameter: "bias".into(),
        found,
        expected: format!("[{}]", shape[0]),
    })?;
    if each.iter().all(|&b| b == 0.0) {
        return Ok(None);
    }
    let places = shape[1..].iter().map(|&d| d as usize).product();
    Ok(Some(Operator::Bias { bias: each.iter().flat_map(|&b| std::iter::repeat_n(b, places)).collect() }))
}

/// SumPool2d and AvgPool2d; averages count the padding, as those of the frameworks that write NIR do by default.
pub(super) fn pool(node: &mut FlatNode, shape: &[u32]) -> Result<NodeOperators, OperatorError> {
    let kind = if node.kind.name == "SumPool2d" { PoolKind::Sum } else { PoolKind::Average };
    let each = |name: &'static str| per_axis(node, name, parameter(node, name)?, 2);
    let (kernel, stride, padding) = (each("kernel_size")?, each("stride")?, each("padding")?);
    let extra = shape.len().saturating_sub(3);
    if shape.len() < 3 || shape[..extra].iter().any(|&d| d != 1) {
        return Err(OperatorError::Takes("a tensor of channels, height and width".into()));
    }
    let taken = &shape[extra..];
    let axis = |k: usize| Axis { size: taken[k + 1], kernel: kernel[k], stride: stride[k], dilation: 1, padding: [padding[k], padding[k]] };
    let pool = Pool { kind, channels: taken[0], axes: vec![axis(0), axis(1)] };
    let result = pool.output_shape().map_err(|e| geometry(node, e))?;
    let mut linear = reshaped(shape, taken);
    linear.push(Operator::Pool(pool));
    Ok(NodeOperators { linear, shape: result, ..NodeOperators::default() })
}

/// A delay for each value of the tensor, in the file's unit of time.
pub(super) fn delay(node: &mut FlatNode, shape: &[u32]) -> Result<NodeOperators, OperatorError> {
    let array = take(node, "delay")?;
    let to: Vec<u64> = shape.iter().map(|&d| d.into()).collect();
    let takes = OperatorError::Takes(format!("{:?} (the shape of its delay)", array.shape));
    let own: Vec<u32> = array.shape.iter().map(|&d| narrow(d)).collect();
    let from = if squeezed(&own) == squeezed(shape) { to.clone() } else { array.shape };
    let delay = broadcast_to(array.values.into_f32(), &from, &to).ok_or(takes)?;
    let elements = delay.len() as u64;
    Ok(NodeOperators { linear: vec![Operator::Delay { delay }], shape: shape.to_vec(), elements, ..NodeOperators::default() })
}
