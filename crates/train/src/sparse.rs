//! Lists of the values that matter: spikes of rows, rows of channels, weights of inputs; and sums over them.
//!
//! In: dense matrices with many equal values. Out: [`Lists`], and sums of the rows of another matrix that they name.
//! Invariant: every sum runs in ascending order of its list, whatever the number of threads or the width of vectors.

use crate::simd::wide;
use rayon::prelude::*;

/// Lists of indices, with a value for each or 1 for all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lists {
    /// Where each list begins, and the end.
    pub starts: Vec<u32>,
    /// Indices, ascending within a list.
    pub index: Vec<u32>,
    /// Values; empty when each is 1.
    pub value: Vec<f32>,
}

impl Lists {
    /// The `k`-th list; the values are empty when each is 1.
    #[inline(always)]
    pub fn list(&self, k: usize) -> (&[u32], &[f32]) {
        let range = self.starts[k] as usize..self.starts[k + 1] as usize;
        (&self.index[range.clone()], if self.value.is_empty() { &[] } else { &self.value[range] })
    }

    /// Number of lists.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What differs from `background` in each row of (rows, `columns`), as differences from it.
    pub fn of_rows(data: &[f32], columns: usize, background: f32) -> Self {
        wide(
            #[inline(always)]
            || {
                let mut lists = Lists { starts: vec![0], ..Lists::default() };
                let mut ones = true;
                let mut places = vec![0u32; columns];
                for row in data.chunks_exact(columns) {
                    let mut n = 0;
                    for (k, &x) in row.iter().enumerate() {
                        places[n] = k as u32;
                        n += usize::from(x != background);
                    }
                    for &k in &places[..n] {
                        let v = row[k as usize] - background;
                        ones &= v == 1.0;
                        lists.value.push(v);
                    }
                    lists.index.extend_from_slice(&places[..n]);
                    lists.starts.push(lists.index.len() as u32);
                }
                if ones {
                    lists.value.clear();
                }
                lists
            },
        )
    }

    /// The same values by columns; the index of row 0 is `first`.
    pub fn transposed(&self, columns: usize, first: usize) -> Self {
        let mut starts = vec![0u32; columns + 1];
        self.index.iter().for_each(|&c| starts[c as usize + 1] += 1);
        for c in 0..columns {
            starts[c + 1] += starts[c];
        }
        let mut next = starts.clone();
        let mut out = Lists { starts, index: vec![0; self.index.len()], value: vec![0.0; self.value.len()] };
        for row in 0..self.len() {
            let (index, value) = self.list(row);
            for (k, &c) in index.iter().enumerate() {
                let at = next[c as usize] as usize;
                next[c as usize] += 1;
                out.index[at] = (first + row) as u32;
                if !value.is_empty() {
                    out.value[at] = value[k];
                }
            }
        }
        out
    }
}

/// Lists of the rows of a matrix, in pieces of some rows.
#[derive(Debug, Clone, Default)]
pub struct Pieces {
    /// Rows of a piece (of the last: the rest).
    pub rows: usize,
    /// The pieces.
    pub pieces: Vec<Lists>,
}

impl Pieces {
    /// Lists of (rows, `columns`), in parallel.
    pub fn of_rows(data: &[f32], columns: usize, background: f32, rows: usize) -> Self {
        let pieces = data.par_chunks(rows * columns).map(|part| Lists::of_rows(part, columns, background)).collect();
        Pieces { rows, pieces }
    }

    /// By columns, each piece for itself: their lists follow each other.
    pub fn transposed(&self, columns: usize) -> Vec<Lists> {
        self.pieces.par_iter().enumerate().map(|(k, piece)| piece.transposed(columns, k * self.rows)).collect()
    }
}

/// Share of values that differ from `background`.
pub fn density(data: &[f32], background: f32) -> f64 {
    let count = |part: &[f32]| {
        wide(
            #[inline(always)]
            || part.iter().map(|&x| u32::from(x != background)).sum::<u32>(),
        )
    };
    let n: u64 = data.par_chunks(1 << 16).map(|part| u64::from(count(part))).sum();
    n as f64 / data.len().max(1) as f64
}

/// Adds to each row of `out` (rows, `columns`) the rows of `source` (any, `columns`) that its lists name, times their values.
/// Columns are taken in blocks, so that a block of the source stays in the cache while all rows use it.
pub fn gather<'a, I>(lists: impl Fn(usize) -> I, source: &[f32], columns: usize, out: &mut [f32])
where
    I: Iterator<Item = (&'a [u32], &'a [f32])>,
{
    wide(
        #[inline(always)]
        || {
            let mut at = 0;
            macro_rules! blocks {
                ($($width:literal)*) => {$(
                    while columns - at >= $width {
                        for (r, row) in out.chunks_exact_mut(columns).enumerate() {
                            block::<$width>(lists(r), source, columns, at, row);
                        }
                        at += $width;
                    }
                )*};
            }
            blocks!(64 16 8 2 1);
        },
    );
}

/// Adds to a row of `out` (`outputs`) the sparse rows of weights that a list of inputs names, times the list's values.
#[inline(always)]
pub fn scatter((index, value): (&[u32], &[f32]), weights: &Lists, out: &mut [f32]) {
    for (k, &i) in index.iter().enumerate() {
        let x = value.get(k).copied().unwrap_or(1.0);
        let (posts, weight) = weights.list(i as usize);
        for (&j, &w) in posts.iter().zip(weight) {
            out[j as usize] += x * w;
        }
    }
}

/// As [`gather`] for the columns from `at` on, `W` of them.
#[inline(always)]
fn block<'a, const W: usize>(
    lists: impl Iterator<Item = (&'a [u32], &'a [f32])>,
    source: &[f32],
    columns: usize,
    at: usize,
    out: &mut [f32],
) {
    let mut sum = [0f32; W];
    sum.copy_from_slice(&out[at..at + W]);
    for (index, value) in lists {
        if value.is_empty() {
            for &k in index {
                let row: &[f32; W] = source[k as usize * columns + at..][..W].try_into().expect("W values");
                for l in 0..W {
                    sum[l] += row[l];
                }
            }
        } else {
            for (&k, &v) in index.iter().zip(value) {
                let row: &[f32; W] = source[k as usize * columns + at..][..W].try_into().expect("W values");
                for l in 0..W {
                    sum[l] += v * row[l];
                }
            }
        }
    }
    out[at..at + W].copy_from_slice(&sum);
}
