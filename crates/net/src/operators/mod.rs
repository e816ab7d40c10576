//! Operators of a chain that are not plain matrices: convolutions, pooling, normalization, and where tensors are put.
//!
//! In: what a reader found. Out: shapes, and the columns of the matrix that an operator is, one at a time: what a presynaptic neuron reaches.
//! Invariant: columns are yielded with ascending rows and without zeros; nothing dense is ever made. A column is the row-major
//! index of a value of the tensor that comes in, a row that of one that goes out.
//! Cost: linear in the synapses that a column yields, up to the taps of a pruned kernel that fall into the padding.

mod conv;
mod norm;
mod place;
mod pool;
mod window;

pub use conv::{Conv, ConvTranspose};
pub use norm::BatchNorm;
pub use place::Place;
pub use pool::{Pool, PoolKind};
pub use window::{Axis, GeometryError};

/// The columns of a sparse matrix, one after the other in any order.
pub(crate) trait Columns {
    /// Number of rows.
    fn outputs(&self) -> usize;
    /// Appends the terms of `column` to `into`: (row, value), rows ascending, values not 0.
    fn column(&mut self, column: usize, into: &mut Vec<(u32, f64)>);
    /// Number of terms of all columns.
    fn count(&self) -> u64;
}

/// A dense matrix, row-major.
pub(crate) struct Dense<'a> {
    /// Values.
    weight: &'a [f32],
    /// Columns, not 0.
    columns: usize,
    /// The terms of the columns from `first` on: a column of a row-major matrix is all over the memory.
    block: [Vec<(u32, f64)>; BLOCK],
    first: Option<usize>,
}

/// Columns that are gathered at once.
const BLOCK: usize = 16;

impl<'a> Dense<'a> {
    /// `weight` is a matrix of so many columns.
    pub(crate) fn new(weight: &'a [f32], columns: usize) -> Self {
        Dense { weight, columns, block: Default::default(), first: None }
    }
}

impl Columns for Dense<'_> {
    fn outputs(&self) -> usize {
        self.weight.len() / self.columns
    }

    fn column(&mut self, column: usize, into: &mut Vec<(u32, f64)>) {
        let first = column - column % BLOCK;
        if self.first != Some(first) {
            self.first = Some(first);
            self.block.iter_mut().for_each(Vec::clear);
            let columns = first..(first + BLOCK).min(self.columns);
            for (row, values) in (0..).zip(self.weight.chunks_exact(self.columns)) {
                for (terms, &value) in self.block.iter_mut().zip(&values[columns.clone()]) {
                    if value != 0.0 {
                        terms.push((row, f64::from(value)));
                    }
                }
            }
        }
        into.extend_from_slice(&self.block[column - first]);
    }

    fn count(&self) -> u64 {
        self.weight.iter().filter(|w| **w != 0.0).count() as u64
    }
}

#[cfg(test)]
mod tests;
