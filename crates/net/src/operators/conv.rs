//! Convolutions and transposed convolutions.
//!
//! In: kernels as trained. Out: rows of synapses; a weight is exactly the kernel's, and kernel entries that are 0 give none.
//! Why lists of taps: a pruned kernel costs what is left of it.

use super::Rows;
use super::window::{Axis, GeometryError, shape, two};
use crate::fold::{Columns, Terms};
use crate::net::{Delays, Synapses};

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

/// What is left of a kernel: for each (output channel, channel of its group, row of the kernel) the taps that are not 0.
struct Taps {
    offsets: Vec<usize>,
    taps: Vec<(u32, f64)>,
}

impl Taps {
    /// `rows` rows of the kernel of `width` taps, `at(row)` being where each starts.
    fn new(rows: usize, width: usize, weight: &[f32], at: impl Fn(usize) -> usize) -> Self {
        let mut taps = Taps { offsets: vec![0], taps: Vec::new() };
        for row in 0..rows {
            let values = &weight[at(row)..at(row) + width];
            taps.taps.extend(values.iter().enumerate().filter(|(_, w)| **w != 0.0).map(|(k, &w)| (k as u32, f64::from(w))));
            taps.offsets.push(taps.taps.len());
        }
        taps
    }

    fn row(&self, row: usize) -> &[(u32, f64)] {
        &self.taps[self.offsets[row]..self.offsets[row + 1]]
    }
}

/// A convolution or its transpose, ready to yield rows.
pub(super) struct ConvRows {
    axes: [Axis; 2],
    /// Channels that a group takes in, and that it gives.
    inside: usize,
    outside: usize,
    /// Positions of the result.
    positions: [u32; 2],
    outputs: usize,
    taps: Taps,
    transposed: bool,
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

    /// All synapses, by the values that come in; posts ascend. Cost: linear in them, and in the kernel's places.
    ///
    /// # Errors
    /// As [`Conv::output_shape`].
    pub fn synapses(&self) -> Result<Synapses<f32>, GeometryError> {
        let rows = self.rows()?;
        let mut terms = Terms { offsets: vec![0], columns: Vec::new(), delays: Vec::new(), weights: Vec::new() };
        let mut row = Vec::new();
        for r in 0..rows.outputs() {
            row.clear();
            rows.row(r, &mut row);
            terms.columns.extend(row.iter().map(|t| t.0));
            terms.weights.extend(row.iter().map(|t| t.1 as f32));
            terms.offsets.push(terms.columns.len() as u32);
        }
        let inputs = self.input_shape().iter().map(|&d| d as usize).product();
        let Columns { offsets, rows: posts, weights, .. } = terms.by_column(inputs);
        Ok(Synapses { offsets, posts, weights, delays: Delays::Uniform(0) })
    }

    /// Number of [`Conv::synapses`], without making them.
    ///
    /// # Errors
    /// As [`Conv::output_shape`].
    pub fn synapse_count(&self) -> Result<u64, GeometryError> {
        Ok(self.rows()?.count())
    }

    pub(crate) fn rows(&self) -> Result<impl Rows + use<>, GeometryError> {
        let shape = self.output_shape()?;
        let axes = two(&self.axes);
        let inside = (self.channels / self.groups) as usize;
        let (height, width) = (axes[0].kernel as usize, axes[1].kernel as usize);
        let rows = self.outputs as usize * inside * height;
        Ok(ConvRows {
            axes,
            inside,
            outside: (self.outputs / self.groups) as usize,
            positions: positions(&shape),
            outputs: self.outputs as usize,
            taps: Taps::new(rows, width, &self.weight, |row| row * width),
            transposed: false,
        })
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

    pub(crate) fn rows(&self) -> Result<impl Rows + use<>, GeometryError> {
        let shape = self.output_shape()?;
        let axes = two(&self.axes);
        let (inside, outside) = ((self.channels / self.groups) as usize, (self.outputs / self.groups) as usize);
        let (height, width) = (axes[0].kernel as usize, axes[1].kernel as usize);
        let rows = self.outputs as usize * inside * height;
        // From (output, channel of the group, row) to (channel, output of the group, row).
        let at = |row: usize| {
            let (y, channel, output) = (row % height, row / height % inside, row / height / inside);
            let group = output / outside;
            (((group * inside + channel) * outside + output % outside) * height + y) * width
        };
        Ok(ConvRows {
            axes,
            inside,
            outside,
            positions: positions(&shape),
            outputs: self.outputs as usize,
            taps: Taps::new(rows, width, &self.weight, at),
            transposed: true,
        })
    }
}

fn positions(shape: &[u32]) -> [u32; 2] {
    match *shape {
        [_, x] => [1, x],
        [_, y, x] => [y, x],
        _ => unreachable!("checked: one axis or two"),
    }
}

impl Rows for ConvRows {
    fn outputs(&self) -> usize {
        self.outputs * self.positions[0] as usize * self.positions[1] as usize
    }

    fn row(&self, row: usize, into: &mut Vec<(u32, f64)>) {
        let [height, width] = self.positions.map(|n| n as usize);
        let (x, y, output) = ((row % width) as u32, (row / width % height) as u32, row / width / height);
        let [down, across] = &self.axes;
        let first = output / self.outside * self.inside;
        let kernel = down.kernel as usize;
        let base = |channel: usize, place: u32| ((first + channel) as u32 * down.size + place) * across.size;
        if self.transposed {
            // Later taps reach from earlier places.
            for channel in 0..self.inside {
                for ky in (0..down.kernel).rev() {
                    let Some(place) = down.source(y, ky) else { continue };
                    let base = base(channel, place);
                    let taps = self.taps.row((output * self.inside + channel) * kernel + ky as usize);
                    into.extend(taps.iter().rev().filter_map(|&(kx, w)| across.source(x, kx).map(|i| (base + i, w))));
                }
            }
            return;
        }
        let (rows, columns) = (down.taps(y), across.taps(x));
        for channel in 0..self.inside {
            for ky in rows.clone() {
                let base = base(channel, down.place(y, ky));
                let taps = self.taps.row((output * self.inside + channel) * kernel + ky as usize);
                into.extend(taps.iter().filter(|(kx, _)| columns.contains(kx)).map(|&(kx, w)| (base + across.place(x, kx), w)));
            }
        }
    }

    fn count(&self) -> u64 {
        let [down, across] = &self.axes;
        let of = |axis: &Axis, positions: u32, k: u32| {
            if self.transposed { axis.reached(positions, k) } else { axis.covered(positions, k) }
        };
        let columns: Vec<u64> = (0..across.kernel).map(|k| of(across, self.positions[1], k)).collect();
        let rows: Vec<u64> = (0..down.kernel).map(|k| of(down, self.positions[0], k)).collect();
        let row = |r: usize| -> u64 {
            let taps: u64 = self.taps.row(r).iter().map(|&(k, _)| columns[k as usize]).sum();
            taps.saturating_mul(rows[r % rows.len()])
        };
        (0..self.taps.offsets.len() - 1).map(row).fold(0, u64::saturating_add)
    }
}
