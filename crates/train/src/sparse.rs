//! Lists of the values that matter: spikes of rows, rows of channels, weights of inputs; and sums over them.
//!
//! In: dense matrices with many equal values. Out: [`Lists`], and sums of the rows of another matrix that they name.
//! Invariant: every sum runs in ascending order of its list, whatever the number of threads or the width of vectors.

use crate::simd::wide;
use rayon::prelude::*;
use std::ops::Range;

/// Columns that are summed up at once.
const BLOCK: usize = 64;
/// Rows of a source whose blocks stay in the first cache: 24 KiB.
pub const PART: usize = 96;
/// Rows of sums from which on a block of the source is worth its copy.
const REUSED: usize = 32;

/// A block of a part of a source.
#[repr(align(64))]
struct Tile([f32; PART * BLOCK]);

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
        Self::of_parts(data, columns, columns, background)
    }

    /// The same with lists of their own for each `part` columns of a row, one after the other.
    pub fn of_parts(data: &[f32], columns: usize, part: usize, background: f32) -> Self {
        wide(
            #[inline(always)]
            || {
                let mut lists = Lists { starts: vec![0], ..Lists::default() };
                let mut ones = true;
                let mut places = vec![0u32; part];
                for row in data.chunks_exact(columns) {
                    for (row, first) in row.chunks(part).zip((0u32..).step_by(part)) {
                        let mut n = 0;
                        for (&x, k) in row.iter().zip(first..) {
                            places[n] = k;
                            n += usize::from(x != background);
                        }
                        for &k in &places[..n] {
                            let v = row[(k - first) as usize] - background;
                            ones &= v == 1.0;
                            lists.value.push(v);
                        }
                        lists.index.extend_from_slice(&places[..n]);
                        lists.starts.push(lists.index.len() as u32);
                    }
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
        self.transposed_part(columns, first, 0..self.len(), 1)
    }

    /// The same of the lists `range`, of which `parts` after each other are a row; the index of the first row is `first`.
    fn transposed_part(&self, columns: usize, first: usize, range: Range<usize>, parts: usize) -> Self {
        let mut starts = vec![0u32; columns + 1];
        let (from, to) = (self.starts[range.start] as usize, self.starts[range.end] as usize);
        self.index[from..to].iter().for_each(|&c| starts[c as usize + 1] += 1);
        for c in 0..columns {
            starts[c + 1] += starts[c];
        }
        let mut next = starts.clone();
        let n = to - from;
        let mut out = Lists { starts, index: vec![0; n], value: vec![0.0; if self.value.is_empty() { 0 } else { n }] };
        for (k, list) in range.enumerate() {
            let row = k / parts;
            let (index, value) = self.list(list);
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

/// Lists of the rows of a matrix, in pieces of some rows, those of a row in parts of [`PART`] columns.
#[derive(Debug, Clone, Default)]
pub struct Pieces {
    /// Rows of a piece (of the last: the rest).
    pub rows: usize,
    /// Parts of a row.
    pub parts: usize,
    /// The pieces.
    pub pieces: Vec<Lists>,
}

impl Pieces {
    /// Lists of (rows, `columns`), in parallel.
    pub fn of_rows(data: &[f32], columns: usize, background: f32, rows: usize) -> Self {
        let pieces = data.par_chunks(rows * columns).map(|piece| Lists::of_parts(piece, columns, PART, background)).collect();
        Pieces { rows, parts: columns.div_ceil(PART), pieces }
    }

    /// Rows of which [`Self::transposed`] makes lists, `rows` in all.
    pub fn row_parts(&self, rows: usize) -> Vec<Range<usize>> {
        let piece = |first: usize| parts(self.rows.min(rows - first)).into_iter().map(move |p| first + p.start..first + p.end);
        (0..rows).step_by(self.rows).flat_map(piece).collect()
    }

    /// By columns, each [`PART`] rows of a piece for themselves: their lists follow each other.
    pub fn transposed(&self, columns: usize) -> Vec<Lists> {
        let of = |(k, piece): (usize, &Lists)| {
            let rows = piece.len() / self.parts;
            let part = |p: Range<usize>| {
                piece.transposed_part(columns, k * self.rows + p.start, p.start * self.parts..p.end * self.parts, self.parts)
            };
            parts(rows).into_iter().map(part).collect::<Vec<_>>()
        };
        self.pieces.par_iter().enumerate().flat_map(of).collect()
    }
}

/// Parts of `n` rows.
pub fn parts(n: usize) -> Vec<Range<usize>> {
    (0..n).step_by(PART).map(|from| from..(from + PART).min(n)).collect()
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

/// Adds to each row of `out` (rows, `columns`) the rows of `source` (any, `columns`) that its lists name, times their values; `list` gives
/// the list of a part and a row, and a row's parts follow each other.
/// `parts` are the rows of the source that each part names. Columns are taken in blocks and lists in parts, so that a block of a part of the
/// source, copied to where loads are aligned, stays in the first cache while all rows use it.
pub fn gather<'a>(
    parts: &[Range<usize>],
    list: impl Fn(usize, usize) -> (&'a [u32], &'a [f32]),
    source: &[f32],
    columns: usize,
    out: &mut [f32],
) {
    let rows = out.len() / columns;
    let mut tile = (columns >= BLOCK && rows >= REUSED).then_some(Tile([0.0; PART * BLOCK]));
    wide(
        #[inline(always)]
        || {
            let mut at = 0;
            macro_rules! blocks {
                ($($width:literal)*) => {$(
                    while columns - at >= $width {
                        for (k, part) in parts.iter().enumerate() {
                            let mut copied = tile.as_mut().filter(|_| $width == BLOCK && part.len() <= PART);
                            if let Some(tile) = &mut copied {
                                for (to, row) in tile.0.chunks_exact_mut(BLOCK).zip(part.clone()) {
                                    to.copy_from_slice(&source[row * columns + at..][..BLOCK]);
                                }
                            }
                            for (r, row) in out.chunks_exact_mut(columns).enumerate() {
                                let row = &mut row[at..at + $width];
                                match &copied {
                                    Some(tile) => block::<$width>(list(k, r), part.start, &tile.0, BLOCK, row),
                                    None => block::<$width>(list(k, r), 0, &source[at..], columns, row),
                                }
                            }
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

/// As [`gather`] for a row of `W` columns of a source whose first row is called `first`.
#[inline(always)]
fn block<const W: usize>((index, value): (&[u32], &[f32]), first: usize, source: &[f32], columns: usize, out: &mut [f32]) {
    if index.is_empty() {
        return;
    }
    let row = |k: u32| -> &[f32; W] { source[(k as usize - first) * columns..][..W].try_into().expect("W values") };
    let mut sum = [0f32; W];
    sum.copy_from_slice(out);
    if value.is_empty() {
        for &k in index {
            let row = row(k);
            for l in 0..W {
                sum[l] += row[l];
            }
        }
    } else {
        for (&k, &v) in index.iter().zip(value) {
            let row = row(k);
            for l in 0..W {
                sum[l] += v * row[l];
            }
        }
    }
    out.copy_from_slice(&sum);
}
