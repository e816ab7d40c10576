//! Recordings of event cameras: readers of their files, and events binned to network steps.
//!
//! In: bytes of N-MNIST `.bin` files, of text tables and of arrays. Out: [`Event`]s, and by [`Binning`] a
//! [`SpikeTrain`](crate::SpikeTrain) with a [`Tally`] of what became of each event.
//! Invariant: memory grows with the bytes that a file really holds. A file that is cut in the middle of a record is an error.
//! What the formats and the channels are: docs/data-format.md.

mod atis;
mod binning;
mod columns;
mod table;
#[cfg(test)]
mod tests;

pub use atis::read_atis;
pub use binning::{BinError, Binning, Channels, Crop, Start, Tally};
pub use columns::EventColumns;
pub use table::{Column, read_table};

/// One event of a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Event {
    /// Microseconds.
    pub t: i64,
    /// Column, from 0.
    pub x: u32,
    /// Row, from 0.
    pub y: u32,
    /// The pixel became brighter (polarity 1), not darker (0).
    pub on: bool,
}

/// Why bytes are not a recording.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum EventError {
    #[error("the event record at byte {at} is cut off: expected {expected} bytes, found {found}")]
    CutRecord { at: u64, expected: u64, found: u64 },
    #[error("line {line} (byte {at}) may be cut off: it ends without a line end, in the column '{column}'")]
    CutLine { line: u64, at: u64, column: String },
    #[error("line {line} (byte {at}): {found} columns, expected at least {expected}")]
    Fields { line: u64, at: u64, expected: usize, found: usize },
    #[error("line {line} (byte {at}), column '{column}': found '{found}', expected {expected}")]
    Field { line: u64, at: u64, column: &'static str, found: String, expected: &'static str },
    #[error("line {line}: the header '{found}' names no column '{missing}'")]
    Header { line: u64, found: String, missing: &'static str },
    #[error("line {line} (byte {at}): not text: expected UTF-8")]
    Text { line: u64, at: u64 },
    #[error("no array '{missing}' of events: expected x, y, t and p, found {found:?}")]
    Missing { missing: &'static str, found: Vec<String> },
    #[error("array '{array}': shape {found:?}, expected {expected}")]
    Shape { array: &'static str, found: Vec<usize>, expected: String },
    #[error("array '{array}' at {at}: found {found}, expected {expected}")]
    Element { array: &'static str, at: usize, found: String, expected: String },
}

impl EventError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            EventError::CutRecord { .. } => {
                "the file is damaged, its transfer was cut off, or it has another format (--format): copy it again or leave it out"
            }
            EventError::CutLine { .. } => "copy the file again; if it is whole, end its last line",
            EventError::Fields { .. } | EventError::Field { .. } => {
                "copy the file again if it was cut off; name its columns with --columns, such as t,x,y,p"
            }
            EventError::Header { .. } => "name the columns in their order with --columns, such as t,x,y,p",
            EventError::Text { .. } => "say what the file is with --format",
            EventError::Missing { .. } => "save the events as four arrays of one length: x, y, p (0 or 1) and t (microseconds)",
            EventError::Shape { .. } | EventError::Element { .. } => "check how the arrays were made",
        }
    }
}
