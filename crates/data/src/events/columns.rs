//! Events as arrays x, y, t, p: those of a `.npz` or an HDF5 file, of one recording or of many one after the other.

use super::{Event, EventError};
use crate::arrays::{Array, ArrayData};
use std::collections::BTreeMap;

/// Names of each array, in the order of preference.
const NAMES: [(&str, &[&str]); 4] = [
    ("x", &["x", "xs", "events_x"]),
    ("y", &["y", "ys", "events_y"]),
    ("t", &["t", "t_us", "ts", "timestamp", "timestamps", "events_t"]),
    ("p", &["p", "pol", "polarity", "ps", "events_p"]),
];

/// Arrays of events. Recordings are turned into [`Event`]s one at a time.
#[derive(Debug, Clone)]
pub struct EventColumns {
    x: ArrayData,
    y: ArrayData,
    t: ArrayData,
    p: ArrayData,
    /// Recording k is the events `offsets[k]..offsets[k + 1]`.
    offsets: Vec<usize>,
    /// Class of each recording, where the file has `labels` or `label`.
    pub labels: Option<Vec<i64>>,
    /// Name of each recording, where the file has `sample_id`.
    pub sample_ids: Option<Vec<i64>>,
}

/// Arrays that say more than the events.
const OTHERS: [&str; 4] = ["offsets", "labels", "label", "sample_id"];

impl EventColumns {
    /// Every name of an array that [`EventColumns::new`] looks at.
    pub fn names() -> Vec<&'static str> {
        NAMES.iter().flat_map(|(_, names)| names.iter().copied()).chain(OTHERS).collect()
    }

    /// Takes the arrays by name. `offsets` (recordings + 1) says where recordings start; without it there is one.
    ///
    /// # Errors
    /// `Missing`, `Shape` or `Element`; elements of x, y, t and p are looked at by [`EventColumns::recording`].
    pub fn new(mut arrays: BTreeMap<String, Array>) -> Result<Self, EventError> {
        let mut taken = Vec::with_capacity(NAMES.len());
        for (name, names) in NAMES {
            match names.iter().find_map(|n| arrays.remove(*n)) {
                Some(array) => taken.push((name, array)),
                None => return Err(EventError::Missing { missing: name, found: arrays.into_keys().collect() }),
            }
        }
        let events = taken[0].1.len();
        for (array, a) in &taken {
            if a.shape != [events] {
                return Err(EventError::Shape {
                    array,
                    found: a.shape.clone(),
                    expected: format!("({events},), as x has {events} elements"),
                });
            }
        }
        let offsets = match arrays.remove("offsets") {
            None => vec![0, events],
            Some(array) => offsets(&array, events)?,
        };
        let recordings = offsets.len() - 1;
        let mut each = |array: &'static str, names: &[&str]| match names.iter().find_map(|n| arrays.remove(*n)) {
            None => Ok(None),
            Some(a) if a.len() != recordings => {
                let expected = format!("{recordings} elements, one for each recording");
                Err(EventError::Shape { array, found: a.shape, expected })
            }
            Some(a) => match a.to_i64() {
                Some(v) => Ok(Some(v)),
                None => Err(EventError::Element { array, at: 0, found: a.dtype_name().into(), expected: "integers".into() }),
            },
        };
        let labels = each("labels", &["labels", "label"])?;
        let sample_ids = each("sample_id", &["sample_id"])?;
        let mut data = taken.into_iter().map(|(_, a)| a.data);
        let mut next = || data.next().expect("four arrays were taken");
        Ok(EventColumns { x: next(), y: next(), t: next(), p: next(), offsets, labels, sample_ids })
    }

    /// Number of recordings.
    pub fn recordings(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The events of recording `k`, in the file's order. Polarities are 0 (or -1) and 1.
    ///
    /// # Errors
    /// `Element`.
    ///
    /// # Panics
    /// When there are no more than `k` recordings.
    pub fn recording(&self, k: usize) -> Result<Vec<Event>, EventError> {
        let range = self.offsets[k]..self.offsets[k + 1];
        let mut events = Vec::with_capacity(range.len());
        for at in range {
            let wrong = |array, data: &ArrayData, expected: &str| EventError::Element {
                array,
                at,
                found: integer_at(data, at).map_or("no integer".into(), |n| n.to_string()),
                expected: expected.into(),
            };
            let pixel = |array, data: &ArrayData| {
                integer_at(data, at).and_then(|n| u32::try_from(n).ok()).ok_or_else(|| wrong(array, data, "0 to 4294967295"))
            };
            let t = integer_at(&self.t, at).ok_or_else(|| wrong("t", &self.t, "microseconds as 64-bit integers"))?;
            let on = match integer_at(&self.p, at) {
                Some(1) => true,
                Some(0 | -1) => false,
                _ => return Err(wrong("p", &self.p, "0 (or -1) or 1")),
            };
            events.push(Event { t, x: pixel("x", &self.x)?, y: pixel("y", &self.y)?, on });
        }
        Ok(events)
    }
}

/// Starts of the recordings and the end of the last.
fn offsets(array: &Array, events: usize) -> Result<Vec<usize>, EventError> {
    let name = "offsets";
    let found = array.shape.clone();
    if found.len() != 1 || array.is_empty() {
        return Err(EventError::Shape { array: name, found, expected: "(recordings + 1,)".into() });
    }
    let mut offsets = Vec::with_capacity(array.len());
    let mut least = 0;
    for at in 0..array.len() {
        let value = integer_at(&array.data, at);
        match value.and_then(|n| usize::try_from(n).ok()).filter(|&n| n >= least && n <= events && (at > 0 || n == 0)) {
            Some(n) => {
                least = n;
                offsets.push(n);
            }
            None => {
                let expected = if at == 0 { "0".into() } else { format!("{least} to {events}: offsets ascend up to the number of events") };
                let found = value.map_or("no integer".into(), |n| n.to_string());
                return Err(EventError::Element { array: name, at, found, expected });
            }
        }
    }
    if least != events {
        let expected = format!("{events}, the number of events");
        return Err(EventError::Element { array: name, at: array.len() - 1, found: least.to_string(), expected });
    }
    Ok(offsets)
}

/// One element as an integer; floats only where they are one.
fn integer_at(data: &ArrayData, at: usize) -> Option<i64> {
    let whole = |x: f64| (x.trunc() == x && x.abs() < 9_007_199_254_740_992.0).then_some(x as i64);
    match data {
        ArrayData::Bool(v) => Some(i64::from(v[at])),
        ArrayData::U8(v) => Some(v[at].into()),
        ArrayData::U16(v) => Some(v[at].into()),
        ArrayData::U32(v) => Some(v[at].into()),
        ArrayData::U64(v) => i64::try_from(v[at]).ok(),
        ArrayData::I8(v) => Some(v[at].into()),
        ArrayData::I16(v) => Some(v[at].into()),
        ArrayData::I32(v) => Some(v[at].into()),
        ArrayData::I64(v) => Some(v[at]),
        ArrayData::F32(v) => whole(v[at].into()),
        ArrayData::F64(v) => whole(v[at]),
    }
}
