//! Text tables of events: one event a line.
//!
//! Columns are separated by commas, semicolons, tabs or spaces; `#` starts a comment line. A first line that is no event names the
//! columns. Rule for a cut file: the last line may lack its line end only where its last column is the polarity, which is one digit:
//! a time that lost digits would still be a time.

use super::{Event, EventError};

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Microseconds.
    T,
    /// Column of the picture.
    X,
    /// Row of the picture.
    Y,
    /// Polarity: 0 or -1, 1.
    P,
    /// Passed over.
    Other,
}

impl Column {
    /// The column that a name stands for, whatever its case.
    pub fn named(name: &str) -> Column {
        match name.to_ascii_lowercase().as_str() {
            "t" | "ts" | "t_us" | "time" | "time_us" | "timestamp" | "timestamp_us" | "timestamps" => Column::T,
            "x" | "x_pos" | "x-pos" => Column::X,
            "y" | "y_pos" | "y-pos" => Column::Y,
            "p" | "pol" | "polarity" | "on" => Column::P,
            _ => Column::Other,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Column::T => "t",
            Column::X => "x",
            Column::Y => "y",
            Column::P => "p",
            Column::Other => "other",
        }
    }
}

/// The columns that an event needs.
const NEEDED: [Column; 4] = [Column::T, Column::X, Column::Y, Column::P];

/// Reads a table. `columns`: the order of the columns; a header is then passed over. Without it the header says the order, or it is t, x, y, p.
///
/// # Errors
/// `CutLine`, `Fields`, `Field`, `Header` or `Text`.
pub fn read_table(bytes: &[u8], columns: Option<&[Column]>) -> Result<Vec<Event>, EventError> {
    let mut order: Vec<Column> = columns.unwrap_or(&NEEDED).to_vec();
    let mut places = places(&order, String::new, 0)?;
    let mut events = Vec::new();
    let (mut at, mut first) = (0u64, true);
    for (line, raw) in (1u64..).zip(bytes.split_inclusive(|&b| b == b'\n')) {
        let here = at;
        at += raw.len() as u64;
        let text = std::str::from_utf8(raw).map_err(|_| EventError::Text { line, at: here })?;
        let text = if line == 1 { text.strip_prefix('\u{feff}').unwrap_or(text) } else { text };
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let fields: Vec<&str> = split(text).collect();
        let heading = std::mem::take(&mut first) && fields.iter().all(|f| f.parse::<f64>().is_err());
        if heading {
            if columns.is_none() {
                order = fields.iter().map(|f| Column::named(f.trim_matches('"'))).collect();
                places = self::places(&order, || excerpt(text), line)?;
            }
            continue;
        }
        if fields.len() < order.len() {
            return Err(EventError::Fields { line, at: here, expected: order.len(), found: fields.len() });
        }
        let field = |k: usize| fields[places[k]];
        let wrong = |k: usize, expected| EventError::Field { line, at: here, column: NEEDED[k].name(), found: excerpt(field(k)), expected };
        let number = |k: usize| integer(field(k));
        let t = number(0).ok_or_else(|| wrong(0, "microseconds as a 64-bit integer"))?;
        let pixel = |k: usize| number(k).and_then(|n| u32::try_from(n).ok()).ok_or_else(|| wrong(k, "0 to 4294967295"));
        let (x, y) = (pixel(1)?, pixel(2)?);
        let on = match number(3) {
            Some(1) => true,
            Some(0 | -1) => false,
            _ => return Err(wrong(3, "0 (or -1) or 1")),
        };
        if !raw.ends_with(b"\n") && !ends_with_polarity(&fields, places[3]) {
            let column = order.get(fields.len() - 1).copied().unwrap_or(Column::Other).name().into();
            return Err(EventError::CutLine { line, at: here, column });
        }
        events.push(Event { t, x, y, on });
    }
    Ok(events)
}

/// The last field is a polarity, and of one digit: nothing can be missing from it.
fn ends_with_polarity(fields: &[&str], place: usize) -> bool {
    place + 1 == fields.len() && matches!(fields[place], "0" | "1" | "-1" | "+1")
}

/// Where t, x, y and p stand.
fn places(order: &[Column], header: impl Fn() -> String, line: u64) -> Result<[usize; 4], EventError> {
    let mut places = [0; 4];
    for (place, column) in places.iter_mut().zip(NEEDED) {
        let found = order.iter().position(|&c| c == column);
        *place = found.ok_or_else(|| EventError::Header { line, found: header(), missing: column.name() })?;
    }
    Ok(places)
}

fn split(line: &str) -> Box<dyn Iterator<Item = &str> + '_> {
    match [',', ';', '\t'].into_iter().find(|&c| line.contains(c)) {
        Some(separator) => Box::new(line.split(separator).map(str::trim)),
        None => Box::new(line.split_whitespace()),
    }
}

/// An integer, also written as `12.0`.
fn integer(field: &str) -> Option<i64> {
    let whole = match field.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|b| b == b'0') => whole,
        _ => field,
    };
    whole.parse().ok()
}

/// The start of a text, for messages.
fn excerpt(text: &str) -> String {
    text.chars().take(40).collect()
}
