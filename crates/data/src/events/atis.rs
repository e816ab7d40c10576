//! The records of N-MNIST and N-Caltech101 (`.bin`): 40 bits an event.
//!
//! Bytes: x; y; polarity in the highest bit, then bits 22 to 16 of the time; bits 15 to 8; bits 7 to 0. The time is in
//! microseconds. A record with y = 240 is no event: it says that the clock overflowed, and all times after it are 2^13 us later.

use super::{Event, EventError};

/// Bytes of a record.
const RECORD: usize = 5;
/// The y of a record that stands for an overflow of the clock.
const OVERFLOW_Y: u8 = 240;
/// Microseconds by which an overflow moves the times after it.
const OVERFLOW_US: i64 = 1 << 13;

/// Reads a `.bin` file; records of overflows are applied and left out.
///
/// # Errors
/// `CutRecord` when the file ends inside of a record.
pub fn read_atis(bytes: &[u8]) -> Result<Vec<Event>, EventError> {
    let (records, rest) = bytes.as_chunks::<RECORD>();
    if !rest.is_empty() {
        let at = (bytes.len() - rest.len()) as u64;
        return Err(EventError::CutRecord { at, expected: RECORD as u64, found: rest.len() as u64 });
    }
    let mut base = 0;
    let mut events = Vec::with_capacity(records.len());
    for &[x, y, high, middle, low] in records {
        if y == OVERFLOW_Y {
            base += OVERFLOW_US;
            continue;
        }
        let t = base + (i64::from(high & 127) << 16 | i64::from(middle) << 8 | i64::from(low));
        events.push(Event { t, x: x.into(), y: y.into(), on: high >> 7 == 1 });
    }
    Ok(events)
}
