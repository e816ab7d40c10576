//! The inputs of a layer as a picture: how many synapses stay of each.
//!
//! In: the inputs' shape and their counts. Out: lines of text, and SVG.
//! Invariant: at most [`WIDTH`] columns and [`HEIGHT`] lines of text, and [`SIDE`] x [`SIDE`] squares of SVG: where there are more
//! inputs, each place is the mean of a square of them.

use crate::heat_map::glyph;
use crate::table::{count, escape};
use serde::Serialize;
use std::fmt::Write as _;

/// Most columns of the text.
const WIDTH: usize = 96;
/// Most lines of the text.
const HEIGHT: usize = 64;
/// Most squares of a side of the SVG.
const SIDE: usize = 256;
/// Columns of inputs that have no shape.
const ROW: usize = 64;

/// Why inputs make no such picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GridError {
    /// Shape of the inputs.
    pub shape: Vec<u32>,
    /// Rows and columns asked for.
    pub wanted: (usize, usize),
}

impl std::fmt::Display for GridError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let n: u64 = self.shape.iter().map(|&d| u64::from(d)).product();
        let (rows, columns) = self.wanted;
        write!(f, "{n} inputs (shape {:?}) don't fill {rows} x {columns} or several of that, expected a divisor of {n}", self.shape)
    }
}

impl std::error::Error for GridError {}

/// Rows and columns of a picture, and how many channels lie on top of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Grid {
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// Channels; their synapses are added.
    pub channels: usize,
}

/// Most times that an image is longer than wide, or the other way round: what is longer are channels of vectors.
const LONGEST: usize = 16;

/// Rows and columns of a shape whose last two dimensions (but those of size 1) are an image.
pub(super) fn image(shape: &[u32]) -> Option<(usize, usize)> {
    let mut wide = shape.iter().rev().map(|&d| d as usize).filter(|&d| d != 1);
    let (columns, rows) = (wide.next()?, wide.next()?);
    (rows.max(columns) <= rows.min(columns).saturating_mul(LONGEST)).then_some((rows, columns))
}

/// The grid of a shape: its last two dimensions, else its last one as a square or in rows of 64; or the grid that is wanted.
///
/// # Errors
/// A wanted grid that the inputs don't fill.
pub fn grid(shape: &[u32], wanted: Option<(usize, usize)>) -> Result<Grid, GridError> {
    let n: usize = shape.iter().map(|&d| d as usize).product();
    if let Some((rows, columns)) = wanted {
        let size = rows.checked_mul(columns).filter(|&size| size > 0 && n.is_multiple_of(size));
        let size = size.ok_or_else(|| GridError { shape: shape.to_vec(), wanted: (rows, columns) })?;
        return Ok(Grid { rows, columns, channels: n / size });
    }
    let last = shape.iter().rev().map(|&d| d as usize).find(|&d| d != 1).unwrap_or(1);
    let (side, channels) = (last.isqrt(), n / last.max(1));
    Ok(match image(shape) {
        Some((rows, columns)) => Grid { rows, columns, channels: n / (rows * columns).max(1) },
        None if side * side == last => Grid { rows: side, columns: side, channels },
        None => Grid { rows: last.div_ceil(ROW), columns: last.min(ROW), channels },
    })
}

/// Synapses of each input.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Picture {
    /// Layer.
    pub layer: String,
    /// Rows, columns, channels.
    #[serde(flatten)]
    pub grid: Grid,
    /// Synapses at each place, row by row; the last row may be shorter.
    pub synapses: Vec<u64>,
}

/// A picture made small enough.
struct Small {
    columns: usize,
    square: usize,
    /// Mean of each place.
    means: Vec<f64>,
    most: f64,
}

impl Picture {
    pub(super) fn new(layer: &str, grid: Grid, fan_out: &[u32]) -> Self {
        let size = fan_out.len() / grid.channels.max(1);
        let mut synapses = vec![0u64; size];
        for channel in fan_out.chunks(size.max(1)) {
            synapses.iter_mut().zip(channel).for_each(|(sum, &n)| *sum += u64::from(n));
        }
        Picture { layer: layer.into(), grid, synapses }
    }

    fn small(&self, width: usize, height: usize) -> Small {
        let Grid { rows, columns, .. } = self.grid;
        let mut square = 1;
        while columns.div_ceil(square) > width || rows.div_ceil(square) > height {
            square *= 2;
        }
        let (across, down) = (columns.div_ceil(square), rows.div_ceil(square));
        let mut sums = vec![(0u64, 0u32); across * down];
        for (k, &n) in self.synapses.iter().enumerate() {
            let sum = &mut sums[k / columns / square * across + k % columns / square];
            *sum = (sum.0 + n, sum.1 + 1);
        }
        // The last row may be shorter.
        while sums.last().is_some_and(|s| s.1 == 0) {
            sums.pop();
        }
        let means: Vec<f64> = sums.iter().map(|&(sum, n)| sum as f64 / f64::from(n.max(1))).collect();
        let most = means.iter().copied().fold(0.0, f64::max);
        Small { columns: across, square, means, most }
    }

    fn title(&self, square: usize) -> String {
        let Grid { rows, columns, channels } = self.grid;
        let mut out = format!("{}: synapses of each input, {rows} x {columns}", self.layer);
        if channels > 1 {
            let _ = write!(out, ", {channels} channels added");
        }
        if square > 1 {
            let _ = write!(out, ", each place the mean of {square} x {square}");
        }
        out
    }

    /// A heat map in block characters.
    pub fn text(&self) -> String {
        let small = self.small(WIDTH, HEIGHT);
        // Characters are about twice as high as wide.
        let twice = if small.columns * 2 <= WIDTH { 2 } else { 1 };
        let shade = |mean: &f64| glyph((*mean > 0.0).then_some(*mean), small.most).to_string().repeat(twice);
        let mut out = format!("{}\n  {}\n", self.title(small.square), legend(small.most));
        for row in small.means.chunks(small.columns.max(1)) {
            let line: String = row.iter().map(shade).collect();
            let _ = writeln!(out, "  {line}");
        }
        out
    }

    /// The picture as SVG.
    pub fn svg(&self, network: &str) -> String {
        let small = self.small(SIDE, SIDE);
        let rows = small.means.len().div_ceil(small.columns.max(1));
        let cell = (560.0 / small.columns.max(rows).max(1) as f64).min(20.0);
        let (left, top) = (20.0, 64.0);
        let (w, h) = ((left * 2.0 + cell * small.columns as f64).max(420.0), top + cell * rows as f64 + 52.0);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w:.1} {h:.1}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n\
             <rect width=\"{w:.1}\" height=\"{h:.1}\" fill=\"#fff\"/>\n<text x=\"{left}\" y=\"24\" font-size=\"15\">{}</text>\n\
             <text x=\"{left}\" y=\"46\">{}</text>\n",
            escape(network),
            escape(&self.title(small.square))
        );
        for (k, &mean) in small.means.iter().enumerate() {
            let (row, column) = (k / small.columns.max(1), k % small.columns.max(1));
            let _ = writeln!(
                out,
                "<rect x=\"{:.2}\" y=\"{:.2}\" width=\"{cell:.2}\" height=\"{cell:.2}\" fill=\"{}\"><title>row {}, column {}: {}</title></rect>",
                left + cell * column as f64,
                top + cell * row as f64,
                colour(mean, small.most),
                row * small.square,
                column * small.square,
                shown(mean)
            );
        }
        let y = h - 34.0;
        let _ = writeln!(out, "<text x=\"{left}\" y=\"{:.1}\">0</text>", y + 12.0);
        for k in 0..=32 {
            let share = f64::from(k) / 32.0;
            let x = left + 14.0 + 6.0 * f64::from(k);
            let _ = writeln!(out, "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"6\" height=\"16\" fill=\"{}\"/>", colour(share, 1.0));
        }
        let _ = writeln!(out, "<text x=\"{:.1}\" y=\"{:.1}\">{} synapses</text>", left + 220.0, y + 12.0, shown(small.most));
        out + "</svg>\n"
    }
}

fn shown(mean: f64) -> String {
    if mean.fract() == 0.0 { count(mean as u64) } else { format!("{mean:.1}") }
}

fn legend(most: f64) -> String {
    let of = |eighths: f64| glyph(Some(eighths / 8.0), 1.0);
    format!("{} none   {}{}{}{} up to {}", glyph(None, 1.0), of(1.0), of(3.0), of(5.0), of(8.0), shown(most))
}

/// White for none, then from pale to dark.
fn colour(mean: f64, most: f64) -> String {
    if mean <= 0.0 || most <= 0.0 {
        return "#f4f4f4".into();
    }
    let share = mean / most;
    let mix = |pale: f64, dark: f64| (pale + (dark - pale) * share).round() as u8;
    format!("#{:02x}{:02x}{:02x}", mix(209.0, 8.0), mix(226.0, 48.0), mix(242.0, 107.0))
}
