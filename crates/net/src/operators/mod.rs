//! Operators of a chain that are not plain matrices: convolutions, pooling, normalization, and where tensors are put.
//!
//! In: what a reader found. Out: shapes, and the rows of the matrix that an operator is, one at a time.
//! Invariant: rows are yielded with ascending columns and without zeros; nothing dense is ever made. A column is the row-major
//! index of a value of the tensor that comes in, a row that of one that goes out.
//! Cost: linear in the synapses that a row yields, up to the taps that fall into the padding.

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

/// The rows of a sparse matrix, one after the other in any order.
pub(crate) trait Rows {
    /// Number of rows.
    fn outputs(&self) -> usize;
    /// Appends the terms of row `row` to `into`: (column, value), columns ascending, values not 0.
    fn row(&self, row: usize, into: &mut Vec<(u32, f64)>);
    /// Number of terms of all rows.
    fn count(&self) -> u64;
}

/// A dense matrix, row-major.
pub(crate) struct Dense<'a> {
    /// Values.
    pub weight: &'a [f32],
    /// Columns, not 0.
    pub columns: usize,
}

impl Rows for Dense<'_> {
    fn outputs(&self) -> usize {
        self.weight.len() / self.columns
    }

    fn row(&self, row: usize, into: &mut Vec<(u32, f64)>) {
        let values = &self.weight[row * self.columns..(row + 1) * self.columns];
        into.extend(values.iter().enumerate().filter(|(_, w)| **w != 0.0).map(|(c, &w)| (c as u32, f64::from(w))));
    }

    fn count(&self) -> u64 {
        self.weight.iter().filter(|w| **w != 0.0).count() as u64
    }
}

#[cfg(test)]
mod tests;
