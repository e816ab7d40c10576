//! The three forms of spikes in a file.

use super::{DataError, MAX_SPIKES, MAX_SPIKES_IN_STEP, Source, bounded, integers, position};
use crate::arrays::{Array, ArrayData};
use crate::stimulus::{SpikeTrain, Stimulus};
use rayon::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Number of samples in the file, channels, and the samples taken.
type Samples = (usize, u32, Vec<Stimulus>);

/// Builds the samples taken, in parallel; of several errors the first sample's.
fn collect(taken: usize, steps: usize, sample: impl Fn(usize) -> Result<SpikeTrain, DataError> + Sync) -> Result<Vec<Stimulus>, DataError> {
    bounded(taken as u64, steps as u64)?;
    let total = AtomicU64::new(0);
    let build = |n| {
        if total.load(Relaxed) > MAX_SPIKES {
            return Err(TOO_MANY);
        }
        let train = sample(n)?;
        total.fetch_add(train.channels.len() as u64, Relaxed);
        Ok(Stimulus::Spikes(train))
    };
    let built: Vec<_> = (0..taken).into_par_iter().map(build).collect();
    if total.into_inner() > MAX_SPIKES { Err(TOO_MANY) } else { built.into_iter().collect() }
}

const TOO_MANY: DataError = DataError::TooManySpikes { limit: MAX_SPIKES };

impl Source {
    /// `spikes`: a number of spikes for each sample, step and channel.
    pub(super) fn dense(&mut self, take: usize) -> Result<Samples, DataError> {
        let Array { shape, data } = self.arrays.remove("spikes").expect("the caller found it");
        let (samples, _, width) = self.stepped_shape("spikes", &shape, 0)?;
        self.agree("width", width as usize)?;
        let d = Dense { shape: &shape, width, taken: samples.min(take) };
        let taken = match &data {
            ArrayData::Bool(v) => d.samples(v, i64::from),
            ArrayData::U8(v) => d.samples(v, i64::from),
            ArrayData::U16(v) => d.samples(v, i64::from),
            ArrayData::U32(v) => d.samples(v, i64::from),
            ArrayData::U64(v) => d.samples(v, |x| i64::try_from(x).unwrap_or(i64::MAX)),
            ArrayData::I8(v) => d.samples(v, i64::from),
            ArrayData::I16(v) => d.samples(v, i64::from),
            ArrayData::I32(v) => d.samples(v, i64::from),
            ArrayData::I64(v) => d.samples(v, |x| x),
            ArrayData::F32(_) => Err(float("float32")),
            ArrayData::F64(_) => Err(float("float64")),
        }?;
        Ok((samples, width, taken))
    }

    /// `spikes_packed`: a bit for each sample, step and channel, first channel in the highest bit.
    pub(super) fn packed(&mut self, take: usize) -> Result<Samples, DataError> {
        let Array { shape, data } = self.arrays.remove("spikes_packed").expect("the caller found it");
        let wrong = |expected| DataError::Shape { array: "spikes_packed".into(), found: shape.clone(), expected };
        let &[samples, steps, bytes] = shape.as_slice() else {
            return Err(wrong("(samples, steps, bytes)"));
        };
        let ArrayData::U8(data) = data else {
            let found = Array { shape: vec![], data }.dtype_name();
            return Err(DataError::Type { array: "spikes_packed".into(), found, expected: "uint8" });
        };
        self.agree("samples", samples)?;
        self.agree("steps", steps)?;
        let full = bytes.checked_mul(8).and_then(|n| u32::try_from(n).ok()).filter(|&n| n > 0 && steps > 0);
        let full = full.ok_or_else(|| wrong("(samples, steps, bytes), steps and bytes at least 1"))?;
        let width = match self.scalar("width")? {
            None => full,
            Some(found) => u32::try_from(found).ok().filter(|w| (full - 7..=full).contains(w)).ok_or_else(|| DataError::Scalar {
                scalar: "width",
                found,
                expected: format!("{} to {full} for {bytes} bytes a step", full - 7),
            })?,
        };
        let padding = u8::try_from((1u32 << (full - width)) - 1).expect("at most 7 bits");
        let taken = collect(samples.min(take), steps, |n| {
            let sample = &data[n * steps * bytes..(n + 1) * steps * bytes];
            let spikes = sample.iter().map(|b| b.count_ones() as usize).sum();
            let mut train = SpikeTrain { channels: Vec::with_capacity(spikes), ..SpikeTrain::empty(width) };
            train.offsets.reserve_exact(steps);
            for (t, step) in sample.chunks_exact(bytes).enumerate() {
                if step[bytes - 1] & padding != 0 {
                    return Err(DataError::Padding { position: vec![n, t, bytes - 1], width });
                }
                for (first, &byte) in (0u32..).step_by(8).zip(step) {
                    let mut left = byte;
                    while left != 0 {
                        let bit = left.leading_zeros();
                        train.channels.push(first + bit);
                        left &= !(0x80 >> bit);
                    }
                }
                end_step(&mut train)?;
            }
            Ok(train)
        })?;
        Ok((samples, width, taken))
    }

    /// `events_sample`, `events_t`, `events_i`: a sample, step and channel for each spike.
    pub(super) fn events(&mut self, label_count: Option<usize>, take: usize) -> Result<Samples, DataError> {
        const NAMES: [&str; 3] = ["events_sample", "events_t", "events_i"];
        let mut columns = [const { Vec::new() }; 3];
        for (column, name) in columns.iter_mut().zip(NAMES) {
            let array = self.arrays.remove(name).ok_or(DataError::PartOfEvents { missing: name })?;
            *column = integers(name, &array)?;
        }
        for (column, name) in columns.iter().zip(NAMES) {
            if column.len() != columns[0].len() {
                return Err(DataError::Length { array: name.into(), found: column.len(), expected: columns[0].len(), of: "event" });
            }
        }
        let [sample, t, i] = &columns;
        let from_labels = label_count.map(|n| n as u64);
        let samples = self.extent("samples", NAMES[0], sample, from_labels, 0)?;
        let steps = self.extent("steps", NAMES[1], t, None, 1)?;
        let width = self.extent("width", NAMES[2], i, None, 0)?;
        let taken = samples.min(take as u64);
        bounded(taken, steps)?;
        // Events of each sample as (t, i) keys, by a counting sort over samples. All indices are in 0..2^32 here.
        let taken = taken as usize;
        let mut ends = vec![0usize; taken + 1];
        for &n in sample {
            if let Some(end) = ends.get_mut(n as usize + 1) {
                *end += 1;
            }
        }
        for n in 0..taken {
            ends[n + 1] += ends[n];
        }
        let mut keys = vec![0u64; ends[taken]];
        let mut next = ends.clone();
        for ((&n, &t), &i) in sample.iter().zip(t).zip(i) {
            if (n as usize) < taken {
                keys[next[n as usize]] = (t as u64) << 32 | i as u64;
                next[n as usize] += 1;
            }
        }
        let width = width as u32;
        let built = collect(taken, steps as usize, |n| {
            let mut keys = keys[ends[n]..ends[n + 1]].to_vec();
            keys.sort_unstable();
            let mut train = SpikeTrain { channels: Vec::with_capacity(keys.len()), ..SpikeTrain::empty(width) };
            let mut keys = keys.into_iter().peekable();
            for t in 0..steps {
                while let Some(key) = keys.next_if(|key| key >> 32 == t) {
                    train.channels.push(key as u32);
                }
                end_step(&mut train)?;
            }
            Ok(train)
        })?;
        Ok((samples as usize, width, built))
    }

    /// The number of indices (below 2^32): the scalar if given, else `other`, else the largest index + 1. Checks every index.
    fn extent(&self, scalar: &'static str, name: &str, indices: &[i64], other: Option<u64>, least: u64) -> Result<u64, DataError> {
        let limit = u64::from(u32::MAX);
        let given = self.scalar(scalar)?;
        let unsaid = || {
            let expected = "at least one event, or the scalars 'width' and 'steps'";
            DataError::Shape { array: name.into(), found: vec![0], expected }
        };
        let extent = match given {
            Some(found) => u64::try_from(found).ok().filter(|n| (least..=limit).contains(n)).ok_or_else(|| DataError::Scalar {
                scalar,
                found,
                expected: format!("{least} to {limit}"),
            })?,
            // That there is no channel must be said.
            None if indices.is_empty() && scalar == "width" => return Err(unsaid()),
            None => other.unwrap_or_else(|| indices.iter().max().map_or(0, |&max| max.saturating_add(1).max(0) as u64)).min(limit),
        };
        if extent < least && indices.is_empty() {
            return Err(unsaid());
        }
        match indices.iter().position(|&k| !u64::try_from(k).is_ok_and(|k| k < extent)) {
            Some(k) => Err(DataError::Range {
                array: name.into(),
                position: vec![k],
                found: indices[k],
                max: if given.is_some() || other.is_some() { extent.saturating_sub(1) } else { limit - 1 },
            }),
            None => Ok(extent),
        }
    }
}

fn float(found: &'static str) -> DataError {
    DataError::Type { array: "spikes".into(), found, expected: "bool or uint8" }
}

/// Ends a step, if the sample does not have too many spikes.
fn end_step(train: &mut SpikeTrain) -> Result<(), DataError> {
    if train.channels.len() as u64 > MAX_SPIKES {
        return Err(TOO_MANY);
    }
    train.end_step();
    Ok(())
}

struct Dense<'a> {
    shape: &'a [usize],
    width: u32,
    taken: usize,
}

impl Dense<'_> {
    fn samples<T: Copy + Sync>(&self, data: &[T], count: impl Fn(T) -> i64 + Sync) -> Result<Vec<Stimulus>, DataError> {
        let width = self.width as usize;
        let steps = self.shape[1];
        collect(self.taken, steps, |n| {
            let mut train = SpikeTrain::empty(self.width);
            let start = n * steps * width;
            for t in 0..steps {
                let step = &data[start + t * width..start + (t + 1) * width];
                for (channel, &value) in (0u32..).zip(step) {
                    match count(value) {
                        0 => {}
                        1 => train.channels.push(channel),
                        _ if train.channels.len() as u64 > MAX_SPIKES => return Err(TOO_MANY),
                        k @ 2..=MAX_SPIKES_IN_STEP => train.channels.extend((0..k).map(|_| channel)),
                        found => {
                            return Err(DataError::Range {
                                array: "spikes".into(),
                                position: position(start + t * width + channel as usize, self.shape),
                                found,
                                max: MAX_SPIKES_IN_STEP as u64,
                            });
                        }
                    }
                }
                end_step(&mut train)?;
            }
            Ok(train)
        })
    }
}
