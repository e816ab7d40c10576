//! Convolutions and transposed convolutions.
//!
//! In: kernels as trained. Out: columns of synapses; a weight is exactly the kernel's, and kernel entries that are 0 give none.
//! Why lists of taps: a pruned kernel costs what is left of it.

use super::Columns;
use super::window::{Axis, GeometryError, Reach, shape, two};
use crate::synapses::{Builder, Synapses};

/// A convolution over one axis or two (cross-correlation, as every framework has it).
#[derive(Debug, Clone, PartialEq)]
pub struct Conv {
    /// Channels that come in.
    pub channels: u32,
    /// Channels that go out.
    pub outputs: u32,
    /// Groups of channels that don't see each other.
    pub groups: u32,
    /// Height and width, or length alone.
    pub axes: Vec<Axis>,
    /// Row-major (outputs, channels / groups, kernel of each axis); exact zeros are absent synapses.
    pub weight: Vec<f32>,
}

/// A transposed convolution over one axis or two: each value is spread by the kernel. `axes` describe the convolution that it
/// transposes: their `size` is that of the map that comes in here.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvTranspose {
    /// Channels that come in.
    pub channels: u32,
    /// Channels that go out.
    pub outputs: u32,
    /// Groups of channels that don't see each other.
    pub groups: u32,
    /// Height and width, or length alone.
    pub axes: Vec<Axis>,
    /// Places added to the end of each axis of the result.
    pub output_padding: Vec<u32>,
    /// Row-major (channels, outputs / groups, kernel of each axis), as PyTorch has it; exact zeros are absent synapses.
    pub weight: Vec<f32>,
}

fn check(channels: u32, outputs: u32, groups: u32, axes: &[Axis], weight: usize) -> Result<(), GeometryError> {
    if !(1..=2).contains(&axes.len()) {
        return Err(GeometryError::Axes { found: axes.len() });
    }
    for (what, n) in [("channels", channels), ("output channels", outputs), ("groups", groups)] {
        if n == 0 {
            return Err(GeometryError::NoneOf { what });
        }
    }
    for (what, n) in [("channels", channels), ("output channels", outputs)] {
        if n % groups != 0 {
            return Err(GeometryError::Groups { groups, channels: n, what });
        }
    }
    axes.iter().enumerate().try_for_each(|(k, a)| a.check(k))?;
    let sizes = [u64::from(outputs), u64::from(channels / groups)].into_iter().chain(axes.iter().map(|a| a.kernel.into()));
    let expected = sizes.fold(1u64, u64::saturating_mul);
    let found = weight as u64;
    if found == expected { Ok(()) } else { Err(GeometryError::WeightCount { found, expected }) }
}

/// Shape of what comes in: channels, then the axes.
fn input_shape(channels: u32, axes: &[Axis]) -> Vec<u32> {
    std::iter::once(channels).chain(axes.iter().map(|a| a.size)).collect()
}

/// A tap of a kernel that is not 0.
struct Tap {
    /// Output channel within the group.
    output: u32,
    /// Row and column of the kernel.
    at: [u32; 2],
    weight: f32,
}

/// A convolution or its transpose, ready to yield columns.
pub(super) struct ConvColumns<'a> {
    axes: [Axis; 2],
    /// Channels that a group takes in, and that it gives.
    inside: usize,
    outside: usize,
    /// Positions of the result.
    positions: [u32; 2],
    outputs: usize,
    /// (outputs, channels / groups, kernel), transposed (channels, outputs / groups, kernel).
    weight: &'a [f32],
    transposed: bool,
    /// What is left of the kernel: `offsets[c]..offsets[c + 1]` are the taps of channel c, in the order of what they reach.
    taps: Vec<Tap>,
    offsets: Vec<usize>,
    reach: [Reach; 2],
    /// What the place at hand reaches on each axis, as (tap, position); and by tap, [`NOWHERE`] for the others.
    reached: [Vec<(u32, u32)>; 2],
    of_tap: [Vec<u32>; 2],
}

const NOWHERE: u32 = u32::MAX;

impl<'a> ConvColumns<'a> {
    fn new((channels, outputs, groups): (u32, u32, u32), axes: &[Axis], shape: &[u32], weight: &'a [f32], transposed: bool) -> Self {
        let axes = two(axes);
        let positions = positions(shape);
        let mut made = ConvColumns {
            axes,
            inside: (channels / groups) as usize,
            outside: (outputs / groups) as usize,
            positions,
            outputs: outputs as usize,
            weight,
            transposed,
            taps: Vec::new(),
            offsets: vec![0],
            reach: [0, 1].map(|a| Reach::new(axes[a], positions[a], transposed)),
            reached: Default::default(),
            of_tap: axes.map(|a| vec![NOWHERE; a.kernel as usize]),
        };
        let (height, width) = (axes[0].kernel, axes[1].kernel);
        // Later taps of a window reach earlier positions.
        let order = |k: u32, n: u32| if transposed { k } else { n - 1 - k };
        for channel in 0..channels as usize {
            for output in 0..made.outside {
                let kernel = made.kernel(channel, output);
                for (ky, kx) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
                    let at = [order(ky, height), order(kx, width)];
                    let weight = kernel[(at[0] * width + at[1]) as usize];
                    if weight != 0.0 {
                        made.taps.push(Tap { output: output as u32, at, weight });
                    }
                }
            }
            made.offsets.push(made.taps.len());
        }
        made
    }

    /// The kernel from `channel` to output channel `output` of its group.
    fn kernel(&self, channel: usize, output: usize) -> &'a [f32] {
        let size = self.axes[0].kernel as usize * self.axes[1].kernel as usize;
        let index = match self.transposed {
            true => channel * self.outside + output,
            false => (channel / self.inside * self.outside + output) * self.inside + channel % self.inside,
        };
        &self.weight[index * size..][..size]
    }
}

impl Conv {
    /// Shape of what comes in.
    pub fn input_shape(&self) -> Vec<u32> {
        input_shape(self.channels, &self.axes)
    }

    /// Shape of what goes out.
    ///
    /// # Errors
    /// Zeros, groups that don't divide, a weight of another length, a kernel that doesn't fit, a result that is too large.
    pub fn output_shape(&self) -> Result<Vec<u32>, GeometryError> {
        check(self.channels, self.outputs, self.groups, &self.axes, self.weight.len())?;
        shape(self.outputs, self.axes.iter().enumerate().map(|(k, a)| a.outputs(k)))
    }

    /// All synapses, by the values that come in; posts ascend. Time is linear in them; places far from the borders share what is stored.
    ///
    /// # Errors
    /// As [`Conv::output_shape`].
    pub fn synapses(&self) -> Result<Synapses<f32>, GeometryError> {
        let mut columns = self.columns()?;
        let mut builder = Builder::new();
        let mut terms = Vec::new();
        let inputs: usize = self.input_shape().iter().map(|&d| d as usize).product();
        for column in 0..inputs {
            terms.clear();
            columns.column(column, &mut terms);
            builder.push_row(terms.iter().map(|&(row, w)| (row, w as f32, 0)));
        }
        Ok(builder.finish())
    }

    /// Number of [`Conv::synapses`], without making them.
    ///
    /// # Errors
    /// As [`Conv::output_shape`].
    pub fn synapse_count(&self) -> Result<u64, GeometryError> {
        Ok(self.columns()?.count())
    }

    pub(crate) fn columns(&self) -> Result<impl Columns + '_, GeometryError> {
        let shape = self.output_shape()?;
        Ok(ConvColumns::new((self.channels, self.outputs, self.groups), &self.axes, &shape, &self.weight, false))
    }
}

impl ConvTranspose {
    /// Shape of what comes in.
    pub fn input_shape(&self) -> Vec<u32> {
        input_shape(self.channels, &self.axes)
    }

    /// Shape of what goes out: `(size - 1) stride + dilation (kernel - 1) + 1 + output padding - padding` for each axis.
    ///
    /// # Errors
    /// As [`Conv::output_shape`]; padding that leaves nothing, output padding that reaches a whole stride.
    pub fn output_shape(&self) -> Result<Vec<u32>, GeometryError> {
        check(self.channels, self.outputs, self.groups, &self.axes, self.weight.len())?;
        if self.output_padding.len() != self.axes.len() {
            return Err(GeometryError::Axes { found: self.output_padding.len() });
        }
        let sizes = self.axes.iter().zip(&self.output_padding).enumerate();
        shape(self.outputs, sizes.map(|(k, (a, &more))| a.transposed_outputs(k, more)))
    }

    pub(crate) fn columns(&self) -> Result<impl Columns + '_, GeometryError> {
        let shape = self.output_shape()?;
        Ok(ConvColumns::new((self.channels, self.outputs, self.groups), &self.axes, &shape, &self.weight, true))
    }
}

fn positions(shape: &[u32]) -> [u32; 2] {
    match *shape {
        [_, x] => [1, x],
        [_, y, x] => [y, x],
        _ => unreachable!("checked: one axis or two"),
    }
}

impl Columns for ConvColumns<'_> {
    fn outputs(&self) -> usize {
        self.outputs * self.positions[0] as usize * self.positions[1] as usize
    }

    fn column(&mut self, column: usize, into: &mut Vec<(u32, f64)>) {
        let (height, width) = (self.axes[0].size as usize, self.axes[1].size as usize);
        let (x, y, channel) = ((column % width) as u32, (column / width % height) as u32, column / width / height);
        let [rows, columns] = &mut self.reached;
        self.reach[0].from(y, rows);
        self.reach[1].from(x, columns);
        let first = channel / self.inside * self.outside;
        let [down, across] = self.positions;
        let base = |output: usize, oy: u32| ((first + output) as u32 * down + oy) * across;
        let taps = &self.taps[self.offsets[channel]..self.offsets[channel + 1]];
        let ([rows, columns], width) = (&self.reached, self.axes[1].kernel);
        if taps.len() >= self.outside * rows.len() * columns.len() {
            for output in 0..self.outside {
                let kernel = self.kernel(channel, output);
                for &(ky, oy) in rows {
                    let (kernel, base) = (&kernel[(ky * width) as usize..][..width as usize], base(output, oy));
                    let weights = columns.iter().map(|&(kx, ox)| (base + ox, f64::from(kernel[kx as usize])));
                    into.extend(weights.filter(|t| t.1 != 0.0));
                }
            }
            return;
        }
        let mark = |of_tap: &mut [Vec<u32>; 2], blank: bool| {
            for (of_tap, reached) in of_tap.iter_mut().zip(&self.reached) {
                reached.iter().for_each(|&(k, o)| of_tap[k as usize] = if blank { NOWHERE } else { o });
            }
        };
        mark(&mut self.of_tap, false);
        let [by_row, by_column] = &self.of_tap;
        into.extend(taps.iter().filter_map(|tap| {
            let (oy, ox) = (by_row[tap.at[0] as usize], by_column[tap.at[1] as usize]);
            (oy != NOWHERE && ox != NOWHERE).then(|| (base(tap.output as usize, oy) + ox, f64::from(tap.weight)))
        }));
        mark(&mut self.of_tap, true);
    }

    fn count(&self) -> u64 {
        let of = |a: usize| -> Vec<u64> {
            let (axis, positions) = (&self.axes[a], self.positions[a]);
            (0..axis.kernel).map(|k| if self.transposed { axis.reached(positions, k) } else { axis.covered(positions, k) }).collect()
        };
        let (rows, columns) = (of(0), of(1));
        let of_tap = |tap: &Tap| rows[tap.at[0] as usize].saturating_mul(columns[tap.at[1] as usize]);
        self.taps.iter().map(of_tap).fold(0, u64::saturating_add)
    }
}
