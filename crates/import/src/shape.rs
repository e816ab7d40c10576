//! Shapes of tensors: sizes, broadcasting, squeezing. All row-major.

use crate::error::ImportError;

/// Most neurons and channels of a network.
pub(crate) const MAX_POPULATION: u64 = 1 << 24;
/// Most numbers that come from repeating others.
const MAX_REPEATED: u64 = 1 << 27;

/// Counts what a small file can make large.
#[derive(Default)]
pub(crate) struct Growth {
    neurons: u64,
    repeated: u64,
}

impl Growth {
    /// Adds a population's neurons or channels.
    pub fn neurons(&mut self, place: &str, n: usize) -> Result<(), ImportError> {
        self.neurons += n as u64;
        Self::check(place, "neurons and channels up to here", self.neurons, MAX_POPULATION)
    }
    /// Adds numbers that repeat others.
    pub fn repeated(&mut self, place: &str, n: usize) -> Result<(), ImportError> {
        self.repeated += n as u64;
        Self::check(place, "repeated parameters up to here", self.repeated, MAX_REPEATED)
    }
    fn check(place: &str, what: &'static str, found: u64, limit: u64) -> Result<(), ImportError> {
        if found > limit { Err(ImportError::TooLarge { place: place.into(), what, found, limit }) } else { Ok(()) }
    }
}

/// Number of elements; `None` beyond [`MAX_POPULATION`] or where a dimension is 0.
pub(crate) fn population_len(shape: &[u64]) -> Option<usize> {
    let n = shape.iter().try_fold(1u64, |n, &d| n.checked_mul(d).filter(|&n| n <= MAX_POPULATION))?;
    (n > 0).then_some(n as usize)
}

/// The shape without dimensions of size 1.
pub(crate) fn squeezed(shape: &[u32]) -> Vec<u32> {
    shape.iter().copied().filter(|&d| d != 1).collect()
}

/// The common shape of two arrays by numpy's rule: aligned at the last dimension, sizes equal or 1.
pub(crate) fn broadcast_shape(a: &[u64], b: &[u64]) -> Option<Vec<u64>> {
    let rank = a.len().max(b.len());
    let dim = |s: &[u64], k: usize| (k + s.len()).checked_sub(rank).map_or(1, |i| s[i]);
    (0..rank)
        .map(|k| match (dim(a, k), dim(b, k)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

/// `values` of shape `from`, repeated to shape `to`; `None` where they don't broadcast or a length is wrong.
pub(crate) fn broadcast_to(values: Vec<f32>, from: &[u64], to: &[u64]) -> Option<Vec<f32>> {
    let n = population_len(to)?;
    if broadcast_shape(from, to)? != to || values.len() as u64 != from.iter().product::<u64>() {
        return None;
    }
    if values.len() == n {
        return Some(values);
    }
    // Strides of `from` along the dimensions of `to`, 0 where it repeats.
    let mut strides = vec![0usize; to.len()];
    let mut stride = 1usize;
    for (k, &d) in from.iter().enumerate().rev() {
        if d != 1 {
            strides[k + to.len() - from.len()] = stride;
        }
        stride *= d as usize;
    }
    let mut index = vec![0u64; to.len()];
    let mut at = 0usize;
    let mut out = Vec::with_capacity(n);
    for _ in 0..n {
        out.push(values[at]);
        for k in (0..to.len()).rev() {
            index[k] += 1;
            at += strides[k];
            if index[k] < to[k] {
                break;
            }
            at -= strides[k] * to[k] as usize;
            index[k] = 0;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_and_columns_repeat() {
        assert_eq!(broadcast_to(vec![2.0], &[], &[3]), Some(vec![2.0; 3]));
        assert_eq!(broadcast_to(vec![1.0, 2.0], &[2, 1], &[2, 3]), Some(vec![1.0, 1.0, 1.0, 2.0, 2.0, 2.0]));
        assert_eq!(broadcast_to(vec![1.0, 2.0, 3.0], &[3], &[2, 3]), Some(vec![1.0, 2.0, 3.0, 1.0, 2.0, 3.0]));
        assert_eq!(broadcast_to(vec![1.0, 2.0], &[2, 1, 1], &[2, 1, 2]), Some(vec![1.0, 1.0, 2.0, 2.0]));
        assert_eq!(broadcast_to(vec![1.0, 2.0], &[2], &[3]), None);
        assert_eq!(broadcast_to(vec![1.0, 2.0], &[2], &[1]), None);
    }

    #[test]
    fn huge_shapes_are_refused() {
        assert_eq!(population_len(&[u64::MAX, u64::MAX]), None);
        assert_eq!(population_len(&[1 << 20, 1 << 20]), None);
        assert_eq!(population_len(&[4, 0]), None);
        assert_eq!(population_len(&[]), Some(1));
        assert_eq!(population_len(&[3, 5]), Some(15));
    }
}
