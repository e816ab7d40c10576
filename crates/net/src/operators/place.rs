//! A tensor as a part of a larger one: what concatenation is made of.

use super::Columns;
use super::window::{GeometryError, shape};

/// Puts a tensor of shape `size` into one of shape `whole` that is 0 elsewhere, its first value at `at`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Shape of what comes in.
    pub size: Vec<u32>,
    /// Index of its first value in the whole.
    pub at: Vec<u32>,
    /// Shape of what goes out.
    pub whole: Vec<u32>,
}

impl Place {
    /// Shape of what goes out.
    ///
    /// # Errors
    /// Different ranks, zeros, a part that sticks out, a whole that is too large.
    pub fn output_shape(&self) -> Result<Vec<u32>, GeometryError> {
        let rank = self.whole.len();
        if rank == 0 || rank > 32 || self.size.len() != rank || self.at.len() != rank {
            return Err(GeometryError::Axes { found: self.size.len() });
        }
        for axis in 0..rank {
            let (at, size, whole) = (self.at[axis], self.size[axis], self.whole[axis]);
            if size == 0 {
                return Err(GeometryError::Zero { what: "size", axis });
            }
            if u64::from(at) + u64::from(size) > u64::from(whole) {
                return Err(GeometryError::Outside { axis, at, size, whole });
            }
        }
        shape(self.whole[0], self.whole[1..].iter().map(|&n| Ok(n)))
    }

    pub(crate) fn columns(&self) -> Result<impl Columns + use<>, GeometryError> {
        self.output_shape()?;
        Ok(PlaceColumns(self.clone()))
    }
}

struct PlaceColumns(Place);

impl Columns for PlaceColumns {
    fn outputs(&self) -> usize {
        self.0.whole.iter().map(|&n| n as usize).product()
    }

    fn column(&mut self, column: usize, into: &mut Vec<(u32, f64)>) {
        let (mut rest, mut row, mut stride) = (column, 0, 1);
        for axis in (0..self.0.whole.len()).rev() {
            let (size, whole) = (self.0.size[axis] as usize, self.0.whole[axis] as usize);
            row += (rest % size + self.0.at[axis] as usize) * stride;
            rest /= size;
            stride *= whole;
        }
        into.push((row as u32, 1.0));
    }

    fn count(&self) -> u64 {
        self.0.size.iter().map(|&n| u64::from(n)).product()
    }
}
