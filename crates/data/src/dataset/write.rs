//! Data sets to `.npz` files.

use super::DataSet;
use crate::arrays::{Array, ArrayData, MAX_UNPACKED, write_npz};
use crate::stimulus::{SpikeTrain, Stimulus};

impl DataSet {
    /// Writes the set as a `.npz` file that [`DataSet::from_bytes`] reads back: `values`; else `spikes_packed` with `width`; else,
    /// when a channel spikes more than once in a step, there is none, or bits would take more than a file may hold, events. The
    /// same set gives the same bytes.
    ///
    /// # Panics
    /// When [`DataSet::check`] finds an error: no file can hold such a set.
    pub fn to_npz(&self) -> Vec<u8> {
        if let Err(e) = self.check() {
            panic!("no file can hold this data set: {e}");
        }
        let trains = self.trains();
        let mut arrays = match self.samples.first() {
            Some(Stimulus::Values(_)) => self.values(),
            Some(_) if self.as_events(&trains) => self.events(&trains),
            _ => self.packed(&trains),
        };
        if let Some(labels) = &self.labels {
            arrays.push(("labels", Array { shape: vec![labels.len()], data: ArrayData::I64(labels.clone()) }));
        }
        write_npz(&arrays)
    }

    fn trains(&self) -> Vec<&SpikeTrain> {
        self.samples
            .iter()
            .filter_map(|s| match s {
                Stimulus::Spikes(train) => Some(train),
                Stimulus::Values(_) => None,
            })
            .collect()
    }

    /// Bytes of `spikes_packed`.
    fn packed_bytes(&self) -> u64 {
        let steps = self.samples.first().and_then(Stimulus::steps).unwrap_or(0);
        (self.samples.len() as u64).saturating_mul(steps.into()).saturating_mul(u64::from(self.width).div_ceil(8))
    }

    /// Spikes are written as events, not as bits.
    fn as_events(&self, trains: &[&SpikeTrain]) -> bool {
        let repeats = |train: &&SpikeTrain| (0..train.steps()).any(|t| train.at(t).windows(2).any(|w| w[0] == w[1]));
        // Bits of no channel would be no bytes, whose shape is refused.
        let large = self.packed_bytes() > MAX_UNPACKED / 2 && events_bytes(trains) < self.packed_bytes();
        self.width == 0 || large || trains.iter().any(repeats)
    }

    /// Bytes of the largest arrays that [`DataSet::to_npz`] writes.
    pub(super) fn file_bytes(&self) -> u64 {
        let trains = self.trains();
        match self.samples.first() {
            None => 0,
            Some(Stimulus::Values(v)) => 4 * (self.samples.len() as u64).saturating_mul(v.frames.len() as u64),
            Some(_) if self.as_events(&trains) => events_bytes(&trains),
            Some(_) => self.packed_bytes(),
        }
    }

    fn values(&self) -> Vec<(&'static str, Array)> {
        let (samples, width) = (self.samples.len(), self.width as usize);
        let frames: Vec<f32> = self
            .samples
            .iter()
            .flat_map(|s| match s {
                Stimulus::Values(v) => v.frames.as_slice(),
                Stimulus::Spikes(_) => &[],
            })
            .copied()
            .collect();
        let data = ArrayData::F32(frames);
        match self.samples[0].steps() {
            None => vec![("values", Array { shape: vec![samples, width], data })],
            Some(steps) => vec![
                ("values", Array { shape: vec![samples, steps as usize, width], data }),
                ("values_per_step", Array { shape: vec![], data: ArrayData::Bool(vec![true]) }),
            ],
        }
    }

    fn packed(&self, trains: &[&SpikeTrain]) -> Vec<(&'static str, Array)> {
        let steps = trains.first().map_or(1, |train| train.steps());
        let bytes = (self.width as usize).div_ceil(8);
        let mut packed = vec![0u8; trains.len() * steps as usize * bytes];
        let every_step = trains.iter().flat_map(|train| (0..steps).map(move |t| train.at(t)));
        for (to, step) in packed.chunks_exact_mut(bytes.max(1)).zip(every_step) {
            for &channel in step {
                to[channel as usize / 8] |= 0x80 >> (channel % 8);
            }
        }
        let shape = vec![trains.len(), steps as usize, bytes];
        vec![("spikes_packed", Array { shape, data: ArrayData::U8(packed) }), ("width", scalar(self.width))]
    }

    fn events(&self, trains: &[&SpikeTrain]) -> Vec<(&'static str, Array)> {
        let steps = trains[0].steps();
        let (mut sample, mut time, mut index) = (Vec::new(), Vec::new(), Vec::new());
        for (n, train) in (0u32..).zip(trains) {
            for t in 0..steps {
                for &channel in train.at(t) {
                    sample.push(n);
                    time.push(t);
                    index.push(channel);
                }
            }
        }
        let column = |v: Vec<u32>| Array { shape: vec![v.len()], data: ArrayData::U32(v) };
        vec![
            ("events_sample", column(sample)),
            ("events_t", column(time)),
            ("events_i", column(index)),
            ("width", scalar(self.width)),
            ("steps", scalar(steps)),
            ("samples", Array { shape: vec![], data: ArrayData::U64(vec![trains.len() as u64]) }),
        ]
    }
}

/// Bytes of the three columns of events.
fn events_bytes(trains: &[&SpikeTrain]) -> u64 {
    12 * trains.iter().map(|t| t.channels.len() as u64).sum::<u64>()
}

fn scalar(value: u32) -> Array {
    Array { shape: vec![], data: ArrayData::U32(vec![value]) }
}
