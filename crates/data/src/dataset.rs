//! Data sets: samples and labels from a `.npz` or `.npy` file.
//!
//! In: bytes. Out: a [`DataSet`]. A `.npz` holds exactly one of four forms (N samples, T network steps; E events):
//!
//! | arrays | shape | meaning |
//! |---|---|---|
//! | `spikes` | (N, T, channels...) bool or integer | spikes in a step, 0 to 255; trailing axes are flattened |
//! | `spikes_packed` | (N, T, bytes) uint8 | bits in `numpy.packbits` order: first channel = highest bit; 8 * bytes channels, or `width` |
//! | `events_sample`, `events_t`, `events_i` | (E) integers each | one spike each, in any order; equal events are several spikes |
//! | `values` | (N, channels...) or (N, T, channels...) numbers | analog inputs |
//!
//! Which of its two shapes `values` has can't be seen from it ((N, 28, 28) may be images): it is (N, channels...), one frame
//! that holds for the whole sample, unless a scalar `values_per_step` is true.
//! Optional: `labels` or `label` (N) integers; scalars `width` (channels), `steps` (T) and `samples` (N). Events without them
//! have as many channels and steps as the largest index needs, and as many samples as labels, else as the largest index needs.
//! For the other forms these scalars must agree with the shape. Other arrays are passed over.
//! A plain `.npy` of rank 3 or more is `spikes` when bool or integer; a float one is `values`.
//!
//! Spikes may have no channel (`spikes` of shape (N, T, 0), or events with `width` 0): networks without inputs run on the number of steps.
//!
//! Invariant: at least one step, and one channel of values; all samples are of the same kind and length; values are finite.
//! Cost: a few passes over the data, samples in parallel.

mod spikes;
mod write;

use crate::arrays::{Array, ArrayData, ArrayError, MAX_UNPACKED, NPY_MAGIC, read_npy, read_npz};
use crate::stimulus::{Stimulus, Values};
use std::collections::BTreeMap;

/// Most spikes of one channel in one step that `spikes` may hold (bounds the memory that a file can ask for).
const MAX_SPIKES_IN_STEP: i64 = 255;
/// Most spikes of all samples taken (same reason: they take 4 bytes each, but down to half a bit in a file).
const MAX_SPIKES: u64 = 1 << 30;
/// Most samples taken times (steps + [`SAMPLE_OVERHEAD`]) (same reason: 4 bytes each).
const MAX_SAMPLE_STEPS: u64 = 1 << 27;
/// Memory of a sample beside its spikes and steps, in steps.
const SAMPLE_OVERHEAD: u64 = 32;

/// Samples of one width, and their labels.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DataSet {
    /// Number of input channels; that of every sample.
    pub width: u32,
    /// The samples.
    pub samples: Vec<Stimulus>,
    /// Class of each sample.
    pub labels: Option<Vec<i64>>,
}

/// Why a file is not a data set.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs)]
pub enum DataError {
    #[error(transparent)]
    Array(#[from] ArrayError),
    #[error("neither .npz nor .npy: the file starts with {found:02x?}")]
    Format { found: Vec<u8> },
    #[error("no samples: expected 'spikes', 'spikes_packed', 'events_sample/t/i' or 'values', found {found:?}")]
    NoSamples { found: Vec<String> },
    #[error("samples in more than one form: '{first}' and '{second}'")]
    SeveralForms { first: &'static str, second: &'static str },
    #[error("array '{missing}' is missing: events are 'events_sample', 'events_t' and 'events_i'")]
    PartOfEvents { missing: &'static str },
    #[error("both 'labels' and 'label' are there")]
    SeveralLabels,
    #[error("array '{array}': elements are {found}, expected {expected}")]
    Type { array: String, found: &'static str, expected: &'static str },
    #[error("array '{array}': shape {found:?}, expected {expected}")]
    Shape { array: String, found: Vec<usize>, expected: &'static str },
    #[error("array '{array}': {found} elements, expected {expected}, one for each {of}")]
    Length { array: String, found: usize, expected: usize, of: &'static str },
    #[error("scalar '{scalar}' is {found}, expected {expected}")]
    Scalar { scalar: &'static str, found: i64, expected: String },
    #[error("array '{array}' at {position:?}: {found}, expected 0 to {max}")]
    Range { array: String, position: Vec<usize>, found: i64, max: u64 },
    #[error("array '{array}' at {position:?}: {found} is not a finite 32-bit float")]
    NotFinite { array: String, position: Vec<usize>, found: f32 },
    #[error("array 'spikes_packed' at {position:?}: bits set beyond channel {width}")]
    Padding { position: Vec<usize>, width: u32 },
    #[error("{samples} samples of {steps} steps: samples * (steps + 32) passes the limit of {limit}")]
    TooLarge { samples: u64, steps: u64, limit: u64 },
    #[error("more than {limit} spikes")]
    TooManySpikes { limit: u64 },
    #[error("the arrays need {needed} bytes unpacked, a compressed file may hold {limit}")]
    TooManyBytes { needed: u64, limit: u64 },
    #[error("sample {sample}: {found}, expected {expected} as in the whole data set")]
    Mixed { sample: usize, found: String, expected: String },
}

impl DataError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            DataError::Array(e) => e.hint(),
            DataError::Format { .. } => "write the data with numpy.savez_compressed".into(),
            DataError::NoSamples { .. } | DataError::PartOfEvents { .. } => {
                "save (samples, steps, channels) as 'spikes' or (samples, channels) as 'values', with 'labels'".into()
            }
            DataError::SeveralForms { .. } | DataError::SeveralLabels => "keep one of them".into(),
            DataError::Type { expected, .. } => format!("convert it to {expected} (numpy's astype)"),
            DataError::Shape { .. } | DataError::Length { .. } => "reshape the array (axis order: sample, step, channel)".into(),
            DataError::Scalar { scalar, .. } => format!("correct '{scalar}' or leave it out"),
            DataError::Range { .. } => "check how the array was made; spikes and indices can't be negative".into(),
            DataError::NotFinite { .. } => "replace it: numpy.nan_to_num".into(),
            DataError::Padding { .. } => "correct 'width', or zero the bits after the last channel".into(),
            DataError::TooLarge { .. } | DataError::TooManySpikes { .. } | DataError::TooManyBytes { .. } => {
                "take fewer samples, or split the data set".into()
            }
            DataError::Mixed { .. } => "split the data set".into(),
        }
    }
}

impl DataSet {
    /// Checks that a data set of this size can be read back, before one is made.
    ///
    /// # Errors
    /// `TooLarge`, or `TooManySpikes`.
    pub fn check_size(samples: u64, steps: u64, spikes: u64) -> Result<(), DataError> {
        bounded(samples, steps)?;
        if spikes > MAX_SPIKES { Err(DataError::TooManySpikes { limit: MAX_SPIKES }) } else { Ok(()) }
    }

    /// Checks that the file of this set can be read back: its arrays together keep the limit of a compressed file.
    ///
    /// # Errors
    /// `TooLarge`, `TooManySpikes` or `TooManyBytes`.
    pub fn check_file(&self) -> Result<(), DataError> {
        let spikes = |s: &Stimulus| match s {
            Stimulus::Spikes(train) => train.channels.len() as u64,
            Stimulus::Values(_) => 0,
        };
        let steps = self.samples.first().and_then(Stimulus::steps).unwrap_or(0);
        Self::check_size(self.samples.len() as u64, steps.into(), self.samples.iter().map(spikes).sum())?;
        let (needed, limit) = (self.file_bytes(), MAX_UNPACKED);
        if needed > limit { Err(DataError::TooManyBytes { needed, limit }) } else { Ok(()) }
    }

    /// Reads a `.npz` or `.npy` file; `take` keeps only the first samples (of the samples and the labels).
    ///
    /// # Errors
    /// Any [`DataError`] but `Mixed`; of several in the samples, the first one's.
    pub fn from_bytes(bytes: &[u8], take: Option<usize>) -> Result<DataSet, DataError> {
        if bytes.starts_with(NPY_MAGIC) {
            let array = read_npy(bytes)?;
            let name = match array.data {
                ArrayData::F32(_) | ArrayData::F64(_) => "values",
                _ => "spikes",
            };
            Source { arrays: BTreeMap::from([(name.to_owned(), array)]) }.data_set(take)
        } else if bytes.starts_with(b"PK") {
            Source { arrays: read_npz(bytes)? }.data_set(take)
        } else {
            Err(DataError::Format { found: bytes[..bytes.len().min(8)].to_vec() })
        }
    }

    /// Checks that all samples have the width of the set, and the kind and steps of the first sample, and that there are as
    /// many labels as samples: what a file can hold.
    ///
    /// # Errors
    /// `Mixed`, or `Length` for labels.
    pub fn check(&self) -> Result<(), DataError> {
        let describe = |s: &Stimulus| {
            let kind = if matches!(s, Stimulus::Spikes(_)) { "spikes" } else { "values" };
            let steps = s.steps().map_or("constant".into(), |t| format!("{t} steps"));
            format!("{kind}, {} channels, {steps}", s.width())
        };
        let expected = self.samples.first().map(&describe).unwrap_or_default();
        for (sample, stimulus) in self.samples.iter().enumerate() {
            let found = describe(stimulus);
            if found != expected {
                return Err(DataError::Mixed { sample, found, expected });
            }
            let whole = match stimulus {
                Stimulus::Spikes(_) => true,
                Stimulus::Values(v) if v.constant => v.frames.len() == v.width as usize,
                Stimulus::Values(v) => v.width > 0 && v.frames.len().is_multiple_of(v.width as usize),
            };
            let no_values = self.width == 0 && matches!(stimulus, Stimulus::Values(_));
            if stimulus.width() != self.width || no_values || stimulus.steps() == Some(0) || !whole {
                let expected = format!("{} channels (values: at least 1), at least 1 step, whole frames", self.width);
                return Err(DataError::Mixed { sample, found, expected });
            }
        }
        match &self.labels {
            Some(labels) if labels.len() != self.samples.len() => {
                Err(DataError::Length { array: "labels".into(), found: labels.len(), expected: self.samples.len(), of: "sample" })
            }
            _ => Ok(()),
        }
    }
}

/// Arrays by name, while a data set is made of them.
struct Source {
    arrays: BTreeMap<String, Array>,
}

/// The forms of samples.
#[derive(Clone, Copy)]
enum Form {
    Dense,
    Packed,
    Events,
    Values,
}

/// Every array name that stands for a form.
const FORMS: [(&str, Form); 6] = [
    ("spikes", Form::Dense),
    ("spikes_packed", Form::Packed),
    ("events_sample", Form::Events),
    ("events_t", Form::Events),
    ("events_i", Form::Events),
    ("values", Form::Values),
];

impl Source {
    fn data_set(mut self, take: Option<usize>) -> Result<DataSet, DataError> {
        let take = take.unwrap_or(usize::MAX);
        let present: Vec<(&'static str, Form)> = FORMS.into_iter().filter(|(name, _)| self.arrays.contains_key(*name)).collect();
        let Some(&(first, form)) = present.first() else {
            return Err(DataError::NoSamples { found: self.arrays.into_keys().collect() });
        };
        if let Some(&(second, _)) = present.iter().find(|(_, f)| *f as u8 != form as u8) {
            return Err(DataError::SeveralForms { first, second });
        }
        let mut labels = self.labels()?;
        let label_count = labels.as_ref().map(Vec::len);
        let (count, width, samples) = match form {
            Form::Dense => self.dense(take)?,
            Form::Packed => self.packed(take)?,
            Form::Events => self.events(label_count, take)?,
            Form::Values => self.values(take)?,
        };
        if let Some(found) = label_count.filter(|&found| found != count) {
            return Err(DataError::Length { array: "labels".into(), found, expected: count, of: "sample" });
        }
        if let Some(labels) = &mut labels {
            labels.truncate(take);
        }
        Ok(DataSet { width, samples, labels })
    }

    fn labels(&mut self) -> Result<Option<Vec<i64>>, DataError> {
        let found = match (self.arrays.remove("labels"), self.arrays.remove("label")) {
            (Some(_), Some(_)) => return Err(DataError::SeveralLabels),
            (labels, label) => labels.or(label),
        };
        found.map(|array| integers("labels", &array)).transpose()
    }

    /// A scalar, or any array of one element.
    fn scalar(&self, name: &'static str) -> Result<Option<i64>, DataError> {
        let Some(array) = self.arrays.get(name) else { return Ok(None) };
        if array.len() != 1 {
            return Err(DataError::Shape { array: name.into(), found: array.shape.clone(), expected: "a scalar" });
        }
        let value =
            array.to_i64().ok_or_else(|| DataError::Type { array: name.into(), found: array.dtype_name(), expected: "64-bit integers" })?;
        Ok(Some(value[0]))
    }

    /// Checks that a scalar, if there, is what the shape says.
    fn agree(&self, scalar: &'static str, shape: usize) -> Result<(), DataError> {
        match self.scalar(scalar)? {
            Some(found) if usize::try_from(found) != Ok(shape) => {
                Err(DataError::Scalar { scalar, found, expected: format!("{shape} as the shape of the samples says") })
            }
            _ => Ok(()),
        }
    }

    /// Samples, steps and channels of a (N, T, channels...) array; at least one step and `least` channels.
    fn stepped_shape(&self, name: &str, shape: &[usize], least: u32) -> Result<(usize, usize, u32), DataError> {
        let expected = match least {
            0 => "(samples, steps, channels...), steps at least 1",
            _ => "(samples, steps, channels...), steps and channels at least 1",
        };
        let wrong = || DataError::Shape { array: name.into(), found: shape.to_vec(), expected };
        let &[samples, steps, ref channels @ ..] = shape else { return Err(wrong()) };
        let width = width_of(channels, least).filter(|_| steps > 0 && !channels.is_empty()).ok_or_else(wrong)?;
        self.agree("samples", samples)?;
        self.agree("steps", steps)?;
        Ok((samples, steps, width))
    }

    /// Number of samples in the file, channels, and the samples taken, of analog values.
    fn values(&mut self, take: usize) -> Result<(usize, u32, Vec<Stimulus>), DataError> {
        let name = "values";
        let per_step = match self.scalar("values_per_step")? {
            None | Some(0) => false,
            Some(1) => true,
            Some(found) => return Err(DataError::Scalar { scalar: "values_per_step", found, expected: "true or false".into() }),
        };
        let array = self.arrays.remove(name).expect("the caller found it");
        let (samples, width, frame) = if per_step {
            let (samples, steps, width) = self.stepped_shape(name, &array.shape, 1)?;
            (samples, width, steps.saturating_mul(width as usize))
        } else {
            let expected = "(samples, channels...), channels at least 1";
            let wrong = || DataError::Shape { array: name.into(), found: array.shape.clone(), expected };
            let Some((&samples, channels)) = array.shape.split_first() else { return Err(wrong()) };
            let width = width_of(channels, 1).filter(|_| !channels.is_empty()).ok_or_else(wrong)?;
            self.agree("samples", samples)?;
            (samples, width, width as usize)
        };
        self.agree("width", width as usize)?;
        let shape = array.shape.clone();
        let found = array.dtype_name();
        let frames = match array.data {
            ArrayData::F32(frames) => frames,
            _ => array.to_f32().ok_or(DataError::Type { array: name.into(), found, expected: "float32" })?,
        };
        let taken = samples.min(take);
        bounded(taken as u64, 0)?;
        let frames = &frames[..if taken == samples { frames.len() } else { taken * frame }];
        if let Some(k) = frames.iter().position(|x| !x.is_finite()) {
            return Err(DataError::NotFinite { array: name.into(), position: position(k, &shape), found: frames[k] });
        }
        let sample = |frames: &[f32]| Stimulus::Values(Values { width, frames: frames.to_vec(), constant: !per_step });
        Ok((samples, width, frames.chunks_exact(frame).map(sample).collect()))
    }
}

/// Checks that the samples taken fit into memory.
fn bounded(samples: u64, steps: u64) -> Result<(), DataError> {
    if samples.saturating_mul(steps.saturating_add(SAMPLE_OVERHEAD)) > MAX_SAMPLE_STEPS {
        return Err(DataError::TooLarge { samples, steps, limit: MAX_SAMPLE_STEPS });
    }
    Ok(())
}

/// Product of the axes when it is at least `least` and below 2^32.
fn width_of(channels: &[usize], least: u32) -> Option<u32> {
    let product = channels.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis))?;
    u32::try_from(product).ok().filter(|&n| n >= least)
}

/// The elements of a rank 1 integer array.
fn integers(name: &str, array: &Array) -> Result<Vec<i64>, DataError> {
    if array.shape.len() != 1 {
        return Err(DataError::Shape { array: name.into(), found: array.shape.clone(), expected: "one axis" });
    }
    let wrong = || DataError::Type { array: name.into(), found: array.dtype_name(), expected: "64-bit integers" };
    array.to_i64().ok_or_else(wrong)
}

/// Index along each axis of element `k` in C order.
fn position(mut k: usize, shape: &[usize]) -> Vec<usize> {
    let mut position: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&axis| {
            let index = k % axis.max(1);
            k /= axis.max(1);
            index
        })
        .collect();
    position.reverse();
    position
}

#[cfg(test)]
mod tests;
