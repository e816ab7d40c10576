//! Sum and average pooling.
//!
//! In: a window a channel. Out: columns whose values are 1, or 1 over the number of values that an average is over.

use super::Columns;
use super::window::{Axis, GeometryError, Reach, shape, two};

/// What becomes of the values under a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolKind {
    /// Their sum.
    Sum,
    /// Their sum over the number of taps, those in the padding too (PyTorch's `count_include_pad`, its default).
    Average,
    /// Their sum over the number of taps that lie in the map.
    AverageInside,
}

/// Pooling over one axis or two, each channel for itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Pool {
    /// Sum or average.
    pub kind: PoolKind,
    /// Channels.
    pub channels: u32,
    /// Height and width, or length alone.
    pub axes: Vec<Axis>,
}

struct PoolColumns {
    kind: PoolKind,
    channels: usize,
    axes: [Axis; 2],
    positions: [u32; 2],
    reach: [Reach; 2],
    /// What the place at hand reaches on each axis.
    reached: [Vec<(u32, u32)>; 2],
}

impl Pool {
    /// Shape of what comes in.
    pub fn input_shape(&self) -> Vec<u32> {
        std::iter::once(self.channels).chain(self.axes.iter().map(|a| a.size)).collect()
    }

    /// Shape of what goes out; a last window that doesn't fit is left out.
    ///
    /// # Errors
    /// Zeros, a kernel that doesn't fit, an average over padding alone, a result that is too large.
    pub fn output_shape(&self) -> Result<Vec<u32>, GeometryError> {
        if !(1..=2).contains(&self.axes.len()) {
            return Err(GeometryError::Axes { found: self.axes.len() });
        }
        if self.channels == 0 {
            return Err(GeometryError::NoneOf { what: "channels" });
        }
        let shape = shape(self.channels, self.axes.iter().enumerate().map(|(k, a)| a.outputs(k)))?;
        if self.kind == PoolKind::AverageInside {
            for (axis, (a, &n)) in self.axes.iter().zip(&shape[1..]).enumerate() {
                if let Some(position) = (0..n).find(|&o| a.taps(o).is_empty()) {
                    return Err(GeometryError::OnlyPadding { axis, position });
                }
            }
        }
        Ok(shape)
    }

    pub(crate) fn columns(&self) -> Result<impl Columns + use<>, GeometryError> {
        let positions = match self.output_shape()?[..] {
            [_, x] => [1, x],
            [_, y, x] => [y, x],
            _ => unreachable!("checked: one axis or two"),
        };
        let axes = two(&self.axes);
        let reach = [0, 1].map(|a| Reach::new(axes[a], positions[a], false));
        Ok(PoolColumns { kind: self.kind, channels: self.channels as usize, axes, positions, reach, reached: Default::default() })
    }
}

impl Columns for PoolColumns {
    fn outputs(&self) -> usize {
        self.channels * self.positions[0] as usize * self.positions[1] as usize
    }

    fn column(&mut self, column: usize, into: &mut Vec<(u32, f64)>) {
        let [down, across] = &self.axes;
        let (height, width) = (down.size as usize, across.size as usize);
        let (x, y, channel) = ((column % width) as u32, (column / width % height) as u32, column / width / height);
        let [rows, columns] = &mut self.reached;
        self.reach[0].from(y, rows);
        self.reach[1].from(x, columns);
        for &(_, oy) in &*rows {
            let base = (channel as u32 * self.positions[0] + oy) * self.positions[1];
            into.extend(columns.iter().map(|&(_, ox)| {
                let value = match self.kind {
                    PoolKind::Sum => 1.0,
                    PoolKind::Average => 1.0 / (f64::from(down.kernel) * f64::from(across.kernel)),
                    PoolKind::AverageInside => 1.0 / (down.taps(oy).len() as f64 * across.taps(ox).len() as f64),
                };
                (base + ox, value)
            }));
        }
    }

    fn count(&self) -> u64 {
        let sum = |axis: usize| (0..self.positions[axis]).map(|o| self.axes[axis].taps(o).len() as u64).fold(0, u64::saturating_add);
        (self.channels as u64).saturating_mul(sum(0)).saturating_mul(sum(1))
    }
}
