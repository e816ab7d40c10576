//! Samples: from files' bytes to batches, encoded and augmented.
//!
//! In: bytes of IDX or `.npz` files. Out: [`Samples`], and batches as tensors with classes.
//! Invariant: a sample's input depends on its own index in its file, the seed and (in training) the epoch: not on its batch, nor on the
//! number of threads. Validation and test see what `spikec data` would write.

use crate::random::{Purpose, hash, stream};
use crate::recipe::{Affine, Encoder};
use crate::tensor::{Shape, Tensor};
use rand::Rng;
use rayon::prelude::*;
use spikec_data::{ArrayData, DataError, DataSet, IdxError, SpikeTrain, Stimulus, Values, latency, poisson, read_idx};

/// Most classes.
const MAX_CLASSES: i64 = 1 << 20;

/// Frames of samples.
#[derive(Debug, Clone)]
enum Frames {
    /// One image each.
    Bytes(Vec<u8>),
    /// One frame each.
    Values(Vec<f32>),
    /// Spikes, or a frame a step.
    Steps(Vec<Stimulus>),
}

/// Samples of one shape, with classes.
#[derive(Debug, Clone)]
pub struct Samples {
    /// Shape of a sample: `[channels, height, width]` or `[n]`, channels first.
    pub shape: Vec<usize>,
    /// Class of each.
    pub classes: Vec<u32>,
    /// Of the files' bytes.
    pub digest: [u8; 32],
    frames: Frames,
}

/// Why files are no samples to train with.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SamplesError {
    /// Images or labels are not in IDX.
    #[error("{0}: {1}")]
    Idx(&'static str, IdxError),
    /// Not a data set.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A data set that is no training set.
    #[error("{0}")]
    Unfit(String, &'static str),
}

impl SamplesError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            SamplesError::Idx(_, e) => e.hint(),
            SamplesError::Data(e) => e.hint(),
            SamplesError::Unfit(_, hint) => (*hint).into(),
        }
    }
}

fn unfit(what: impl Into<String>, hint: &'static str) -> SamplesError {
    SamplesError::Unfit(what.into(), hint)
}

impl Samples {
    /// MNIST's two files.
    ///
    /// # Errors
    /// Files that are no IDX, that have no samples, or that don't belong together.
    pub fn from_idx(images: &[u8], labels: &[u8]) -> Result<Self, SamplesError> {
        let (pictures, classes) =
            (read_idx(images).map_err(|e| SamplesError::Idx("images", e))?, read_idx(labels).map_err(|e| SamplesError::Idx("labels", e))?);
        let (n, found) = (pictures.shape[0], classes.len());
        if classes.shape.len() != 1 || found != n {
            return Err(unfit(format!("{n} images, but labels of shape {:?}", classes.shape), "give the images and labels of one set"));
        }
        let shape = match pictures.shape[1..] {
            [height, width] => vec![1, height, width],
            _ => pictures.shape[1..].to_vec(),
        };
        let (ArrayData::U8(bytes), ArrayData::U8(classes)) = (pictures.data, classes.data) else { unreachable!("IDX has bytes") };
        let digest = *blake3::Hasher::new().update(images).update(labels).finalize().as_bytes();
        let samples = Samples { shape, classes: classes.iter().map(|&c| c.into()).collect(), digest, frames: Frames::Bytes(bytes) };
        samples.check()
    }

    /// A `.npz` file (docs/data-format.md) with labels.
    ///
    /// # Errors
    /// Files that are no data set, or have no labels.
    pub fn from_npz(bytes: &[u8]) -> Result<Self, SamplesError> {
        let set = DataSet::from_bytes(bytes, None)?;
        let labels = set.labels.ok_or_else(|| unfit("has no labels", "training needs a class for each sample: add the array 'labels'"))?;
        if let Some(bad) = labels.iter().find(|l| !(0..MAX_CLASSES).contains(*l)) {
            return Err(unfit(format!("has the label {bad}, expected 0 to {}", MAX_CLASSES - 1), "number the classes from 0"));
        }
        let constant = set.samples.iter().all(|s| matches!(s, Stimulus::Values(v) if v.constant));
        let frames = if constant {
            let values = set.samples.iter().flat_map(|s| if let Stimulus::Values(v) = s { &v.frames[..] } else { &[] });
            Frames::Values(values.copied().collect())
        } else {
            Frames::Steps(set.samples)
        };
        let classes = labels.iter().map(|&l| l as u32).collect();
        Samples { shape: vec![set.width as usize], classes, digest: *blake3::hash(bytes).as_bytes(), frames }.check()
    }

    fn check(self) -> Result<Self, SamplesError> {
        if self.classes.is_empty() || self.width() == 0 {
            return Err(unfit("has no samples", "give a file with samples"));
        }
        Ok(self)
    }

    /// Takes the shape that the recipe says.
    ///
    /// # Errors
    /// Another number of values.
    pub fn reshape(&mut self, shape: &[usize]) -> Result<(), SamplesError> {
        let n = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if n != Some(self.width()) || !matches!(shape.len(), 1 | 3) {
            let what = format!("data.shape is {shape:?}, but a sample has {} values (shape {:?})", self.width(), self.shape);
            return Err(unfit(what, "give [channels, height, width] or [n] with as many values"));
        }
        self.shape = shape.to_vec();
        Ok(())
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// Values of a sample's frame.
    pub fn width(&self) -> usize {
        self.shape.iter().product()
    }

    /// Number of classes: one more than the largest label.
    pub fn class_count(&self) -> usize {
        self.classes.iter().max().map_or(0, |m| *m as usize + 1)
    }

    /// Shape of what a network gets.
    pub fn input(&self) -> Shape {
        match self.shape[..] {
            [channels, height, width] => Shape { channels, height, width },
            _ => Shape::flat(self.width()),
        }
    }
}

/// How samples become input.
#[derive(Debug, Clone)]
pub struct Encoding {
    /// Encoder.
    pub encoder: Encoder,
    /// Random maps, in training alone.
    pub augment: Option<Affine>,
    /// Seed of the recipe.
    pub seed: u64,
    /// Network steps.
    pub steps: usize,
}

impl Encoding {
    /// Checks that these samples can be encoded so.
    ///
    /// # Errors
    /// Spikes that are to be encoded, another number of steps, negative values for latencies, images that are none.
    pub fn check(&self, samples: &Samples) -> Result<(), SamplesError> {
        if let Frames::Steps(list) = &samples.frames {
            if self.encoder != Encoder::Given {
                return Err(unfit("has spikes or a frame for each step, which are input already", "leave data.encoder out"));
            }
            if let Some(found) = list.iter().find_map(|s| s.steps().filter(|s| *s as usize != self.steps)) {
                let what = format!("has {found} steps, the recipe {}", self.steps);
                return Err(unfit(what, "let `steps` be that of the data, or bin them anew"));
            }
        }
        if let (Encoder::Latency { .. }, Frames::Values(values)) = (self.encoder, &samples.frames)
            && let Some(bad) = values.iter().find(|v| **v < 0.0)
        {
            let what = format!("has the value {bad}, but the latency of a spike says 0 and more alone");
            return Err(unfit(what, "give the sizes, or positive and negative parts as two channels"));
        }
        if self.augment.is_some() && (samples.input().places() < 2 || matches!(samples.frames, Frames::Steps(_))) {
            return Err(unfit("has no images, which data.augment could turn", "leave data.augment out, or give data.shape"));
        }
        Ok(())
    }

    /// True where all that a network gets of these samples is spikes.
    pub fn spikes(&self, samples: &Samples) -> bool {
        let given = |frames: &Frames| matches!(frames, Frames::Steps(list) if list.iter().all(|s| matches!(s, Stimulus::Spikes(_))));
        self.encoder.spikes() || given(&samples.frames)
    }

    /// Steps of an encoded sample: 1 where its input is the same in all.
    pub fn input_steps(&self, samples: &Samples) -> usize {
        if self.encoder.spikes() || matches!(samples.frames, Frames::Steps(_)) { self.steps } else { 1 }
    }

    /// The samples `ids` as a batch; in training (`epoch`) augmented and, where asked for, with fresh spikes.
    pub fn batch(&self, samples: &Samples, ids: &[u32], epoch: Option<u32>, x: &mut Tensor) -> Vec<u32> {
        let n = samples.width();
        x.reshape(ids.len(), self.input_steps(samples), n);
        let sample = x.sample();
        x.data.par_chunks_exact_mut(sample).zip(ids).for_each(|(out, &id)| self.one(samples, id, epoch, out));
        if let Encoder::Direct { mean, std } = self.encoder {
            x.background = (0.0 - mean) / std;
        }
        ids.iter().map(|&id| samples.classes[id as usize]).collect()
    }

    /// One sample, (steps or 1, width).
    fn one(&self, samples: &Samples, id: u32, epoch: Option<u32>, out: &mut [f32]) {
        let n = samples.width();
        let at = id as usize * n;
        let mut frame: Vec<f32> = match &samples.frames {
            Frames::Bytes(bytes) => bytes[at..at + n].iter().map(|&b| f32::from(b) / 255.0).collect(),
            Frames::Values(values) => values[at..at + n].to_vec(),
            Frames::Steps(list) => return spread(&list[id as usize], n, out),
        };
        if let (Some(affine), Some(epoch)) = (self.augment, epoch) {
            let mut random = stream(self.seed, Purpose::Augment, &[epoch.into(), id.into()]);
            frame = turned(&frame, samples.input(), &affine, &mut random);
        }
        match self.encoder {
            Encoder::Given => out.copy_from_slice(&frame),
            Encoder::Direct { mean, std } => out.iter_mut().zip(&frame).for_each(|(o, v)| *o = (v - mean) / std),
            Encoder::Poisson { seed, fresh } => {
                let seed = match epoch {
                    Some(epoch) if fresh => hash(self.seed, Purpose::Spikes, &[seed, epoch.into()]),
                    _ => seed,
                };
                fill(&poisson(&frame, self.steps as u32, seed, id.into()), n, out);
            }
            Encoder::Latency { full_scale } => {
                let values = Values { width: n as u32, frames: frame, constant: true };
                fill(&latency(&values, self.steps as u32, full_scale.into()), n, out);
            }
        }
    }
}

/// The spikes of the first `n` channels.
fn fill(train: &SpikeTrain, n: usize, out: &mut [f32]) {
    out.fill(0.0);
    for (t, row) in (0..).zip(out.chunks_exact_mut(n)) {
        train.at(t).iter().filter(|c| (**c as usize) < n).for_each(|&c| row[c as usize] += 1.0);
    }
}

fn spread(stimulus: &Stimulus, n: usize, out: &mut [f32]) {
    match stimulus {
        Stimulus::Spikes(train) => fill(train, n, out),
        Stimulus::Values(values) => {
            for (t, row) in (0..).zip(out.chunks_exact_mut(n)) {
                values.frame(t).into_iter().for_each(|frame| row.copy_from_slice(frame));
            }
        }
    }
}

/// The image, channels first, turned about its centre, scaled and shifted (by whole pixels) at random; 0 from outside.
fn turned(image: &[f32], shape: Shape, affine: &Affine, random: &mut impl Rng) -> Vec<f32> {
    let (w, h) = (shape.width as f32, shape.height as f32);
    let mut within = |most: f32| if most > 0.0 { random.random_range(-most..=most) } else { 0.0 };
    let angle = within(affine.degrees).to_radians();
    let (right, down) = (within(affine.shift * w).round(), within(affine.shift * h).round());
    let (low, high) = affine.scale;
    let scale = if high > low { random.random_range(low..=high) } else { low };
    // From a pixel of the result to the place it comes from.
    let (sin, cos) = angle.sin_cos();
    let (sin, cos) = (sin / scale, cos / scale);
    let centre = ((w - 1.0) / 2.0, (h - 1.0) / 2.0);
    let mut out = vec![0.0; image.len()];
    let pixel = |channel: usize, x: f32, y: f32| {
        let inside = x >= 0.0 && y >= 0.0 && x < w && y < h;
        if inside { image[(channel * shape.height + y as usize) * shape.width + x as usize] } else { 0.0 }
    };
    for y in 0..shape.height {
        for x in 0..shape.width {
            let (dx, dy) = (x as f32 - centre.0 - right, y as f32 - centre.1 - down);
            let (sx, sy) = (cos * dx + sin * dy + centre.0, cos * dy - sin * dx + centre.1);
            for channel in 0..shape.channels {
                out[(channel * shape.height + y) * shape.width + x] = if affine.bilinear {
                    let (fx, fy) = (sx.floor(), sy.floor());
                    let (ax, ay) = (sx - fx, sy - fy);
                    let row = |y: f32| (1.0 - ax) * pixel(channel, fx, y) + ax * pixel(channel, fx + 1.0, y);
                    (1.0 - ay) * row(fy) + ay * row(fy + 1.0)
                } else {
                    pixel(channel, sx.round(), sy.round())
                };
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idx(shape: &[u32], data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, shape.len() as u8];
        shape.iter().for_each(|d| bytes.extend(d.to_be_bytes()));
        [bytes, data.to_vec()].concat()
    }

    fn images() -> Samples {
        let data: Vec<u8> = (0..3 * 20).map(|k| (k * 4) as u8).collect();
        Samples::from_idx(&idx(&[3, 4, 5], &data), &idx(&[3], &[2, 0, 1])).unwrap()
    }

    fn encoding(encoder: Encoder, augment: Option<Affine>) -> Encoding {
        Encoding { encoder, augment, seed: 5, steps: 6 }
    }

    #[test]
    fn idx_becomes_currents_and_spikes() {
        let samples = images();
        assert_eq!((samples.shape.clone(), samples.class_count(), samples.len()), (vec![1, 4, 5], 3, 3));
        let mut x = Tensor::default();
        let classes = encoding(Encoder::Direct { mean: 0.5, std: 2.0 }, None).batch(&samples, &[2, 0], Some(1), &mut x);
        assert_eq!((classes, x.batch, x.steps, x.background), (vec![1, 2], 2, 1, -0.25));
        assert_eq!(x.data[1], (164.0 / 255.0 - 0.5) / 2.0);
        // Poisson: as the shared encoder has it, whatever the batch; fresh in each epoch of training alone.
        let poisson_of = |fresh, epoch, ids: &[u32]| {
            let mut x = Tensor::default();
            encoding(Encoder::Poisson { seed: 9, fresh }, None).batch(&samples, ids, epoch, &mut x);
            x.data
        };
        let fixed = poisson_of(false, Some(3), &[0, 1]);
        let mut expected = vec![0.0; 120];
        let values: Vec<f32> = (20..40).map(|k| (k * 4) as f32 / 255.0).collect();
        fill(&poisson(&values, 6, 9, 1), 20, &mut expected);
        assert_eq!(fixed[120..], expected);
        assert_eq!(fixed[120..], poisson_of(true, None, &[1]));
        assert_ne!(poisson_of(true, Some(3), &[1]), poisson_of(true, Some(4), &[1]));
        assert_eq!(poisson_of(true, Some(3), &[2, 1])[120..], poisson_of(true, Some(3), &[1]));
        // Fresh spikes are others with another seed of the recipe; those of the test are not.
        let reseeded = |epoch| {
            let mut x = Tensor::default();
            let other = Encoding { seed: 6, ..encoding(Encoder::Poisson { seed: 9, fresh: true }, None) };
            other.batch(&samples, &[1], epoch, &mut x);
            x.data
        };
        assert_ne!(reseeded(Some(3)), poisson_of(true, Some(3), &[1]));
        assert_eq!(reseeded(None), poisson_of(true, None, &[1]));
    }

    #[test]
    fn affine_maps_turn_and_shift() {
        let shape = Shape { channels: 1, height: 5, width: 5 };
        let mut image = vec![0.0; 25];
        image[5 + 3] = 1.0;
        let mut random = stream(1, Purpose::Augment, &[]);
        let still = Affine { degrees: 0.0, shift: 0.0, scale: (1.0, 1.0), bilinear: false };
        assert_eq!(turned(&image, shape, &still, &mut random), image);
        assert_eq!(turned(&image, shape, &Affine { bilinear: true, ..still }, &mut random), image);
        // All that is there stays there: a large scale makes it larger, a small one smaller.
        let area =
            |scale, random: &mut _| turned(&[1.0; 25], shape, &Affine { scale: (scale, scale), ..still }, random).iter().sum::<f32>();
        assert_eq!((area(1.0, &mut random), area(0.2, &mut random)), (25.0, 1.0));
        // A quarter turn moves the pixel by one, to either side.
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let out = turned(&image, shape, &Affine { degrees: 180.0, shift: 0.2, ..still }, &mut random);
            seen.extend(out.iter().position(|v| *v == 1.0));
        }
        assert!(seen.len() > 12, "{seen:?}");
    }

    #[test]
    fn files_that_are_no_samples_are_refused() {
        let labels = idx(&[3], &[0, 1, 2]);
        let two = idx(&[2, 1, 1], &[0, 1]);
        assert!(Samples::from_idx(&two, &labels).unwrap_err().to_string().contains("2 images, but labels of shape [3]"));
        assert!(Samples::from_idx(&two[..5], &labels).unwrap_err().to_string().starts_with("images: "));
        assert!(Samples::from_idx(&two, &labels[..9]).unwrap_err().to_string().starts_with("labels: "));
        assert!(Samples::from_idx(&idx(&[0, 2, 2], &[]), &idx(&[0], &[])).is_err());
        assert!(images().reshape(&[3, 4]).is_err() && images().reshape(&[7]).is_err() && images().reshape(&[20]).is_ok());
        let values = spikec_data::Array { shape: vec![2, 3], data: ArrayData::F32(vec![0.5; 6]) };
        let file = |extra: &[(&'static str, ArrayData)]| {
            let mut all = vec![("values", values.clone())];
            all.extend(extra.iter().map(|(k, d)| (*k, spikec_data::Array { shape: vec![2], data: d.clone() })));
            spikec_data::write_npz(&all)
        };
        assert!(Samples::from_npz(&file(&[])).unwrap_err().to_string().contains("no labels"));
        assert!(Samples::from_npz(&file(&[("labels", ArrayData::I64(vec![0, -1]))])).unwrap_err().to_string().contains("label -1"));
        let set = Samples::from_npz(&file(&[("labels", ArrayData::I64(vec![0, 1]))])).unwrap();
        let affine = Affine { degrees: 9.0, shift: 0.0, scale: (1.0, 1.0), bilinear: false };
        assert!(encoding(Encoder::Given, Some(affine)).check(&set).is_err());
        assert!(encoding(Encoder::Given, None).check(&set).is_ok());
        // Latencies have no sign.
        let latency = |first: f32| {
            let data = ArrayData::F32([vec![first], vec![0.5; 5]].concat());
            let values = spikec_data::Array { shape: vec![2, 3], data };
            let labels = spikec_data::Array { shape: vec![2], data: ArrayData::I64(vec![0, 1]) };
            let set = Samples::from_npz(&spikec_data::write_npz(&[("values", values), ("labels", labels)])).unwrap();
            encoding(Encoder::Latency { full_scale: 1.0 }, None).check(&set)
        };
        assert!(latency(0.0).is_ok());
        assert!(latency(-0.25).unwrap_err().to_string().contains("-0.25"));
    }
}
