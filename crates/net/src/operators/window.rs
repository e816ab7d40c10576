//! Windows that slide over the axes of a map.
//!
//! In: sizes, kernels, strides, padding, dilation. Out: sizes of the result, and which positions a window covers.
//! Invariant: an axis that [`Axis::outputs`] accepts has 1 to [`MAX_POPULATION`] positions, and no arithmetic on it overflows.

use crate::elaborate::MAX_POPULATION;
use std::ops::Range;

/// One axis of a map and the window that slides over it, as in PyTorch: position o of the result covers the places
/// `o * stride + k * dilation - padding[0]` for k from 0 to kernel - 1; places outside of the map hold 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axis {
    /// Places of the map.
    pub size: u32,
    /// Taps of the window.
    pub kernel: u32,
    /// Places from one window to the next.
    pub stride: u32,
    /// Places from one tap to the next.
    pub dilation: u32,
    /// Places added before the first and after the last.
    pub padding: [u32; 2],
}

/// What is wrong with the shape of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the messages say what the fields are
pub enum GeometryError {
    #[error("found {found} axes, expected 1 or 2")]
    Axes { found: usize },
    #[error("the {what} of axis {axis} is 0, expected at least 1")]
    Zero { what: &'static str, axis: usize },
    #[error("the number of {what} is 0, expected at least 1")]
    NoneOf { what: &'static str },
    #[error("axis {axis}: the kernel covers {extent} places, but the padded map has only {padded}")]
    KernelTooLarge { axis: usize, extent: u64, padded: u64 },
    #[error("axis {axis}: the padding takes away {found} places, but the result has only {places}")]
    PaddingTooLarge { axis: usize, found: u64, places: u64 },
    #[error("axis {axis}: the window at position {position} lies in the padding alone, which has no average or maximum")]
    OnlyPadding { axis: usize, position: u32 },
    #[error("axis {axis}: an output padding of {found}, expected less than the stride {stride} or the dilation {dilation}")]
    OutputPadding { axis: usize, found: u32, stride: u32, dilation: u32 },
    #[error("axis {axis}: padding `same` with a stride of {stride}, expected 1")]
    SameWithStride { axis: usize, stride: u32 },
    #[error("{groups} groups of {channels} {what}: expected a divisor")]
    Groups { groups: u32, channels: u32, what: &'static str },
    #[error("a weight of {found} values, expected {expected}")]
    WeightCount { found: u64, expected: u64 },
    #[error("the result has {found} values, more than {limit}")]
    TooLarge { found: u64, limit: u64 },
    #[error("axis {axis}: {size} places from {at} on do not fit into {whole}")]
    Outside { axis: usize, at: u32, size: u32, whole: u32 },
}

impl GeometryError {
    /// A remedy.
    pub fn hint(&self) -> &'static str {
        use GeometryError::*;
        match self {
            Axes { .. } => "maps have one axis (Conv1d) or two (Conv2d) beside the channels",
            Zero { .. } | NoneOf { .. } | WeightCount { .. } => "the file contradicts itself: export it again",
            KernelTooLarge { .. } => "pad the map, or use a smaller kernel or dilation",
            PaddingTooLarge { .. } => "use less padding",
            OnlyPadding { .. } => "use less padding: at most half of the kernel",
            OutputPadding { .. } => "use less output padding",
            SameWithStride { .. } => "give the padding in numbers",
            Groups { .. } => "let the groups divide the channels that come in and those that go out",
            TooLarge { .. } => "use a larger stride or smaller maps",
            Outside { .. } => "let the tensor lie inside of the whole",
        }
    }
}

/// `a / b` rounded up; b > 0.
fn ceil(a: i128, b: i128) -> i128 {
    -(-a).div_euclid(b)
}

/// Checked number of positions.
fn positions(found: u64) -> Result<u32, GeometryError> {
    let limit = MAX_POPULATION as u64;
    if found > limit { Err(GeometryError::TooLarge { found, limit }) } else { Ok(found as u32) }
}

impl Axis {
    /// Padding with which a window of stride 1 gives as many positions as the map has; the odd place comes after.
    pub fn same(kernel: u32, dilation: u32) -> [u32; 2] {
        let total = u64::from(dilation) * u64::from(kernel.saturating_sub(1));
        let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        [narrow(total / 2), narrow(total - total / 2)]
    }

    /// Places that a window covers.
    fn extent(&self) -> u64 {
        u64::from(self.dilation) * u64::from(self.kernel - 1) + 1
    }

    pub(super) fn check(&self, axis: usize) -> Result<(), GeometryError> {
        let fields = [("size", self.size), ("kernel", self.kernel), ("stride", self.stride), ("dilation", self.dilation)];
        match fields.iter().find(|(_, n)| *n == 0) {
            Some(&(what, _)) => Err(GeometryError::Zero { what, axis }),
            None => Ok(()),
        }
    }

    /// Positions of the window; `axis` is for errors.
    ///
    /// # Errors
    /// Zeros, and a kernel larger than the padded map.
    pub fn outputs(&self, axis: usize) -> Result<u32, GeometryError> {
        self.check(axis)?;
        let padded = u64::from(self.size) + u64::from(self.padding[0]) + u64::from(self.padding[1]);
        let extent = self.extent();
        if extent > padded {
            return Err(GeometryError::KernelTooLarge { axis, extent, padded });
        }
        positions((padded - extent) / u64::from(self.stride) + 1)
    }

    /// Positions of the transposed window: those of a map whose windows give `size` positions.
    pub(super) fn transposed_outputs(&self, axis: usize, output_padding: u32) -> Result<u32, GeometryError> {
        self.check(axis)?;
        let &Axis { size, stride, dilation, padding, .. } = self;
        if output_padding >= stride.max(dilation) {
            return Err(GeometryError::OutputPadding { axis, found: output_padding, stride, dilation });
        }
        // At most 2^64 + 2^64: kept in 128 bits.
        let places = u128::from(size - 1) * u128::from(stride) + u128::from(self.extent()) + u128::from(output_padding);
        let taken = u128::from(padding[0]) + u128::from(padding[1]);
        let narrow = |n: u128| u64::try_from(n).unwrap_or(u64::MAX);
        if taken >= places {
            return Err(GeometryError::PaddingTooLarge { axis, found: narrow(taken), places: narrow(places) });
        }
        positions(narrow(places - taken))
    }

    /// Place that tap 0 covers at position `o`.
    fn start(&self, o: u32) -> i128 {
        i128::from(o) * i128::from(self.stride) - i128::from(self.padding[0])
    }

    /// Taps that lie in the map at position `o`.
    pub(super) fn taps(&self, o: u32) -> Range<u32> {
        let (start, d) = (self.start(o), i128::from(self.dilation));
        let low = ceil(-start, d).clamp(0, i128::from(self.kernel));
        let high = ceil(i128::from(self.size) - start, d).clamp(low, i128::from(self.kernel));
        low as u32..high as u32
    }

    /// Of `positions` window positions, those at which tap `k` lies in the map.
    pub(super) fn covered(&self, positions: u32, k: u32) -> u64 {
        let offset = i128::from(k) * i128::from(self.dilation) - i128::from(self.padding[0]);
        let low = ceil(-offset, self.stride.into()).max(0);
        let high = ceil(i128::from(self.size) - offset, self.stride.into()).min(positions.into());
        (high - low).max(0) as u64
    }

    /// Of the places of the map, those from which tap `k` of the transposed window reaches one of `positions`.
    pub(super) fn reached(&self, positions: u32, k: u32) -> u64 {
        let offset = i128::from(k) * i128::from(self.dilation) - i128::from(self.padding[0]);
        let low = ceil(-offset, self.stride.into()).max(0);
        let high = ceil(i128::from(positions) - offset, self.stride.into()).min(self.size.into());
        (high - low).max(0) as u64
    }
}

/// Which positions a place of an axis reaches, and by which tap: (tap, position). All numbers are below 2^36 in an axis whose positions were
/// counted, so that nothing overflows. Cost: linear in what is reached.
pub(super) struct Reach {
    axis: Axis,
    positions: i64,
    /// The axis is that of a transposed window.
    transposed: bool,
    /// Positions with a tap at a place are this far apart: dilation over the common divisor with the stride.
    step: i64,
    divisor: i64,
    /// Inverse of the stride over the divisor, modulo `step`.
    inverse: u64,
}

impl Reach {
    pub(super) fn new(axis: Axis, positions: u32, transposed: bool) -> Self {
        let (stride, dilation) = (i64::from(axis.stride), i64::from(axis.dilation));
        // Euclid's algorithm: `x * stride` is `a` modulo the dilation all the way.
        let (mut a, mut b, mut x, mut y) = (dilation, stride, 0i64, 1i64);
        while b != 0 {
            let q = a / b;
            (a, b) = (b, a - q * b);
            (x, y) = (y, x - q * y);
        }
        let step = dilation / a;
        Reach { axis, positions: positions.into(), transposed, step, divisor: a, inverse: x.rem_euclid(step) as u64 }
    }

    /// Replaces `into` by what place `i` reaches, positions ascending.
    pub(super) fn from(&self, i: u32, into: &mut Vec<(u32, u32)>) {
        into.clear();
        let &Axis { kernel, stride, dilation, padding, .. } = &self.axis;
        let (last, stride, dilation) = (i64::from(kernel) - 1, i64::from(stride), i64::from(dilation));
        if self.transposed {
            let first = i64::from(i) * stride - i64::from(padding[0]);
            let low = if first < 0 { (-first + dilation - 1) / dilation } else { 0 };
            let beyond = self.positions - first;
            let high = if beyond > 0 { ((beyond - 1) / dilation).min(last) } else { -1 };
            into.extend((low..=high).map(|k| (k as u32, (first + k * dilation) as u32)));
            return;
        }
        let place = i64::from(i) + i64::from(padding[0]);
        if place % self.divisor != 0 {
            return;
        }
        let low = place - last * dilation;
        let low = if low > 0 { (low + stride - 1) / stride } else { 0 };
        let high = (place / stride).min(self.positions - 1);
        let any = ((place / self.divisor % self.step) as u64 * self.inverse % self.step as u64) as i64;
        let first = low + (any - low).rem_euclid(self.step);
        let positions = std::iter::successors(Some(first), |o| Some(o + self.step)).take_while(|&o| o <= high);
        into.extend(positions.map(|o| (((place - o * stride) / dilation) as u32, o as u32)));
    }
}

/// Two axes, the first one of a single place where there is only one.
pub(super) fn two(axes: &[Axis]) -> [Axis; 2] {
    const LONE: Axis = Axis { size: 1, kernel: 1, stride: 1, dilation: 1, padding: [0, 0] };
    match *axes {
        [x] => [LONE, x],
        [y, x] => [y, x],
        _ => unreachable!("checked: one axis or two"),
    }
}

/// Channels and positions as a shape, checked for its size.
pub(super) fn shape(channels: u32, positions: impl Iterator<Item = Result<u32, GeometryError>>) -> Result<Vec<u32>, GeometryError> {
    let mut shape = vec![channels];
    for n in positions {
        shape.push(n?);
    }
    let found = shape.iter().fold(1u64, |n, &s| n.saturating_mul(s.into()));
    let limit = MAX_POPULATION as u64;
    if found > limit { Err(GeometryError::TooLarge { found, limit }) } else { Ok(shape) }
}
