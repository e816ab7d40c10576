//! Links whose tensors have places: kernels, windows, normalization, parts of larger tensors.
//!
//! In: a link and the shape of the tensor that comes in. Out: its operators and the shape that goes out.

use super::arrays::ArrayFiles;
use super::schema::{Padding, Sizes, Value};
use super::trained::checked_len;
use crate::error::ImportError;
use spikec_net::{Axis, BatchNorm, Conv, ConvTranspose, GeometryError, Operator, Place, Pool, PoolKind};

/// A window as the file gives it.
pub(super) struct Window<'a> {
    pub stride: &'a Sizes,
    pub padding: &'a Padding,
    pub dilation: &'a Sizes,
}

fn bad(place: &str, found: impl Into<String>, expected: impl Into<String>) -> ImportError {
    ImportError::BadValue { place: place.into(), found: found.into(), expected: expected.into() }
}

pub(super) fn geometry(place: &str, kind: &'static str) -> impl Fn(GeometryError) -> ImportError {
    let node = place.to_string();
    move |error| ImportError::Geometry { node: node.clone(), kind, error }
}

/// A number for each axis.
pub(super) fn sizes(place: &str, sizes: &Sizes, rank: usize) -> Result<Vec<u32>, ImportError> {
    match sizes {
        Sizes::One(n) => Ok(vec![*n; rank]),
        Sizes::Each(v) if v.len() == rank => Ok(v.clone()),
        Sizes::Each(v) => Err(bad(place, format!("a list of {} numbers", v.len()), format!("a number, or one for each of {rank} axes"))),
    }
}

/// The sizes of the map behind its channels.
fn map<'a>(place: &str, shape: &'a [u32], rank: usize) -> Result<&'a [u32], ImportError> {
    if shape.len() == rank + 1 {
        return Ok(&shape[1..]);
    }
    let expected = if rank == 1 { "(channels, length)" } else { "(channels, height, width)" };
    Err(bad(place, format!("a tensor of shape {shape:?} that comes in"), format!("one of {expected}; Reshape makes it")))
}

/// Axes of a window over the map of `shape`.
pub(super) fn axes(place: &str, kind: &'static str, shape: &[u32], kernel: &[u32], window: &Window) -> Result<Vec<Axis>, ImportError> {
    let rank = kernel.len();
    let map = map(place, shape, rank)?;
    let stride = sizes(&format!("{place}.stride"), window.stride, rank)?;
    let dilation = sizes(&format!("{place}.dilation"), window.dilation, rank)?;
    let padding = match window.padding {
        Padding::Valid => vec![[0, 0]; rank],
        Padding::Same => {
            if let Some(axis) = stride.iter().position(|&s| s != 1) {
                return Err(geometry(place, kind)(GeometryError::SameWithStride { axis, stride: stride[axis] }));
            }
            kernel.iter().zip(&dilation).map(|(&k, &d)| Axis::same(k, d)).collect()
        }
        Padding::One(n) => vec![[*n, *n]; rank],
        Padding::Each(v) if v.len() == rank => v.clone(),
        Padding::Each(v) => {
            let found = format!("a list of {} paddings", v.len());
            return Err(bad(&format!("{place}.padding"), found, format!("one for each of {rank} axes")));
        }
    };
    let axis = |k: usize| Axis { size: map[k], kernel: kernel[k], stride: stride[k], dilation: dilation[k], padding: padding[k] };
    Ok((0..rank).map(axis).collect())
}

/// A kernel with its mask; its shape (outputs or channels, the other per group, kernel ...).
fn kernel(
    place: &str,
    rank: usize,
    weight: &Value,
    mask: Option<&Value>,
    arrays: &mut ArrayFiles,
) -> Result<(Vec<u32>, Vec<f32>), ImportError> {
    let (shape, mut values) = arrays.tensor(&format!("{place}.weight"), weight, rank + 2)?;
    if let Some(mask) = mask {
        let keep = arrays.mask(&format!("{place}.mask"), mask, &shape)?;
        // A weight of -0.0 is no synapse either and stays what it is.
        values.iter_mut().zip(keep).filter(|(w, keep)| !keep && **w != 0.0).for_each(|(w, _)| *w = 0.0);
    }
    let narrow = |&d: &usize| u32::try_from(d).map_err(|_| bad(&format!("{place}.weight"), format!("{shape:?}"), "sizes below 2^32"));
    Ok((shape.iter().map(narrow).collect::<Result<_, _>>()?, values))
}

/// What a convolution's link says beside its window.
pub(super) struct Kernel<'a> {
    pub weight: &'a Value,
    pub mask: Option<&'a Value>,
    pub bias: Option<&'a Value>,
    pub groups: u32,
    /// Of a transposed convolution.
    pub output_padding: Option<&'a Sizes>,
}

/// A convolution or its transpose, and a bias for each channel.
pub(super) fn conv(
    place: &str,
    rank: usize,
    shape: &[u32],
    given: &Kernel,
    window: &Window,
    arrays: &mut ArrayFiles,
) -> Result<(Vec<Operator>, Vec<u32>), ImportError> {
    let (sizes_of, weight) = kernel(place, rank, given.weight, given.mask, arrays)?;
    let kind = match (given.output_padding.is_some(), rank) {
        (false, 1) => "Conv1d",
        (false, _) => "Conv2d",
        (true, 1) => "ConvTranspose1d",
        (true, _) => "ConvTranspose2d",
    };
    let axes = axes(place, kind, shape, &sizes_of[2..], window)?;
    let groups = given.groups;
    let (first, second) = (sizes_of[0], sizes_of[1].saturating_mul(groups));
    let (channels, outputs) = if given.output_padding.is_some() { (first, second) } else { (second, first) };
    if channels != shape[0] {
        let found = format!("a kernel {sizes_of:?} with {groups} groups, for {channels} channels");
        return Err(bad(&format!("{place}.weight"), found, format!("one for the {} channels that come in", shape[0])));
    }
    let (operator, result) = match given.output_padding {
        None => {
            let conv = Conv { channels, outputs, groups, axes, weight };
            let result = conv.output_shape();
            (Operator::Conv(conv), result)
        }
        Some(more) => {
            let output_padding = sizes(&format!("{place}.output_padding"), more, rank)?;
            let conv = ConvTranspose { channels, outputs, groups, axes, output_padding, weight };
            let result = conv.output_shape();
            (Operator::ConvTranspose(conv), result)
        }
    };
    let result = result.map_err(geometry(place, kind))?;
    let mut operators = vec![operator];
    if let Some(bias) = given.bias {
        let each = arrays.floats(&format!("{place}.bias"), bias, outputs as usize)?;
        let places: usize = result[1..].iter().map(|&d| d as usize).product();
        arrays.growth.repeated(place, places * each.len())?;
        operators.push(Operator::Bias { bias: each.iter().flat_map(|&b| std::iter::repeat_n(b, places)).collect() });
    }
    Ok((operators, result))
}

/// A pool; without a stride windows stand side by side.
pub(super) fn pool(
    place: &str,
    kind: PoolKind,
    shape: &[u32],
    kernel: &[u32],
    window: &Window,
) -> Result<(Operator, Vec<u32>), ImportError> {
    let axes = axes(place, "pool", shape, kernel, window)?;
    let pool = Pool { kind, channels: shape[0], axes };
    let result = pool.output_shape().map_err(geometry(place, "pool"))?;
    Ok((Operator::Pool(pool), result))
}

/// A normalization: an array for each channel, or one number for all.
pub(super) fn norm(
    place: &str,
    shape: &[u32],
    [weight, bias, mean, variance]: [&Value; 4],
    epsilon: f64,
    arrays: &mut ArrayFiles,
) -> Result<Operator, ImportError> {
    if !(epsilon.is_finite() && epsilon >= 0.0) {
        return Err(bad(&format!("{place}.epsilon"), epsilon.to_string(), "a number from 0 on"));
    }
    let mut each = |key: &str, value: &Value| arrays.floats(&format!("{place}.{key}"), value, shape[0] as usize);
    Ok(Operator::BatchNorm(BatchNorm {
        weight: each("weight", weight)?,
        bias: each("bias", bias)?,
        mean: each("mean", mean)?,
        variance: each("variance", variance)?,
        epsilon,
    }))
}

/// A tensor of `shape` as a part of one of shape `whole`.
pub(super) fn part(place: &str, shape: &[u32], at: &[u32], whole: &[u32]) -> Result<(Operator, Vec<u32>), ImportError> {
    checked_len(&format!("{place}.shape"), whole)?;
    if at.len() != whole.len() || shape.len() != whole.len() {
        let found = format!("a tensor of shape {shape:?} that comes in, at {at:?} of {whole:?}");
        return Err(bad(place, found, "three lists of the same length"));
    }
    let part = Place { size: shape.into(), at: at.into(), whole: whole.into() };
    let result = part.output_shape().map_err(geometry(place, "Place"))?;
    Ok((Operator::Place(part), result))
}
