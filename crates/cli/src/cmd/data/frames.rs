//! `spikec data idx` and `spikec data frames`: images and stacks of frames.

use super::classes::{self, Labels};
use crate::args::{CodingArgs, FrameCodingArg, FramesArgs, IdxArgs, NegativeArg};
use crate::cmd;
use crate::failure::Failure;
use crate::files::{self, Files};
use spikec_data::{
    Array, ArrayData, DataSet, SpikeTrain, Stimulus, Values, delta, latency, poisson_frames, rate, read_idx, read_npy, read_npz,
};
use std::path::Path;

/// Steps of spikes of an image.
const STEPS: u32 = 8;
/// MNIST's mean and standard deviation.
const MNIST: (f32, f32) = (0.1307, 0.3081);

/// `spikec data idx`.
pub fn idx(args: &IdxArgs, json: bool) -> Result<u8, Failure> {
    let (path, coding) = (args.images.as_path(), Coding::new(&args.coding, MNIST)?);
    make(path, coding, false, json, || {
        let bytes = files::read(path)?;
        let images = read_idx(&bytes).map_err(|e| Failure::file(path, &e).hint(e.hint()))?;
        Ok((images, None))
    })
}

/// `spikec data frames`.
pub fn run(args: &FramesArgs, json: bool) -> Result<u8, Failure> {
    let (path, coding) = (args.images.as_path(), Coding::new(&args.coding, (0.0, 1.0))?);
    make(path, coding, args.per_step, json, || images(path, args.key.as_deref()))
}

/// The images of a file, and the labels where it has some.
fn images(path: &Path, key: Option<&str>) -> Result<(Array, Option<Array>), Failure> {
    let bytes = files::read(path)?;
    if !bytes.starts_with(b"PK") {
        if let Some(key) = key {
            return Err(Failure::file(path, format_args!("has no array '{key}': it is no .npz file")).hint("leave --key out"));
        }
        let array = if bytes.starts_with(b"\x93NUMPY") {
            read_npy(&bytes).map_err(|e| Failure::file(path, &e).hint(e.hint()))?
        } else {
            read_idx(&bytes).map_err(|e| Failure::file(path, &e).hint("give images in a .npy, .npz or IDX file"))?
        };
        return Ok((array, None));
    }
    let mut arrays = read_npz(&bytes).map_err(|e| Failure::file(path, &e).hint(e.hint()))?;
    let taken = |name: &&String| key.is_none_or(|k| k != name.as_str());
    let labels = ["labels", "label"].map(String::from).iter().filter(taken).find_map(|name| arrays.remove(name));
    let names = arrays.keys().cloned().collect::<Vec<_>>();
    let name = match (key, names.as_slice()) {
        (Some(key), _) => key,
        (None, [only]) => only.as_str(),
        (None, _) => {
            return Err(Failure::file(path, format_args!("has the arrays {names:?}")).hint("say which one with --key"));
        }
    };
    match arrays.remove(name) {
        Some(array) => Ok((array, labels)),
        None => Err(Failure::file(path, format_args!("has no array '{name}', found {names:?}")).hint("name one of them with --key")),
    }
}

/// How values become input, checked.
struct Coding<'a> {
    args: &'a CodingArgs,
    mean: f32,
    std: f32,
}

impl<'a> Coding<'a> {
    fn new(args: &'a CodingArgs, (mean, std): (f32, f32)) -> Result<Self, Failure> {
        let (mean, std) = (args.mean.unwrap_or(mean), args.std.unwrap_or(std));
        if !(std.is_finite() && std > 0.0 && mean.is_finite()) {
            return Err(Failure::input(format!("--mean {mean} --std {std}: the standard deviation must be positive")));
        }
        if args.samples == Some(0) {
            return Err(Failure::input("--samples 0 leaves nothing to write").hint("give at least 1"));
        }
        if let Some(scale) = args.full_scale.filter(|s| !(s.is_finite() && *s > 0.0)) {
            return Err(Failure::input(format!("--full-scale {scale}: expected a positive number")));
        }
        if !(args.threshold.is_finite() && args.threshold > 0.0) {
            return Err(Failure::input(format!("--threshold {}: expected a positive number", args.threshold)));
        }
        Ok(Coding { args, mean, std })
    }

    /// One sample's input from its values (1 = full scale).
    fn stimulus(&self, mut values: Values, steps: u32, sample: u64) -> Stimulus {
        let both = self.args.negative == NegativeArg::Channels;
        Stimulus::Spikes(match self.args.coding {
            FrameCodingArg::Direct => {
                values.frames.iter_mut().for_each(|v| *v = (*v - self.mean) / self.std);
                return Stimulus::Values(values);
            }
            FrameCodingArg::Poisson if both => poisson_frames(&by_sign(&values), steps, self.args.seed, sample),
            FrameCodingArg::Poisson => poisson_frames(&values, steps, self.args.seed, sample),
            FrameCodingArg::Rate => one_side(rate(&values, steps, 1.0), both),
            FrameCodingArg::Latency => one_side(latency(&values, steps, 1.0), both),
            FrameCodingArg::Delta => delta(&values, steps, self.args.threshold, self.args.from_first),
        })
    }

    /// Channels of a pixel.
    fn channels(&self) -> u32 {
        match self.args.coding {
            FrameCodingArg::Direct => 1,
            FrameCodingArg::Delta => 2,
            _ if self.args.negative == NegativeArg::Channels => 2,
            _ => 1,
        }
    }

    /// Values may be below 0.
    fn takes_negative(&self) -> bool {
        matches!(self.args.coding, FrameCodingArg::Direct | FrameCodingArg::Delta) || self.args.negative == NegativeArg::Channels
    }

    fn describe(&self, full_scale: f32, steps: u32) -> String {
        match self.args.coding {
            FrameCodingArg::Direct => format!("direct values (pixel / {full_scale} - {}) / {}", self.mean, self.std),
            FrameCodingArg::Poisson => format!("Poisson spikes, {steps} steps, seed {}", self.args.seed),
            FrameCodingArg::Rate => format!("regular spikes, {steps} steps"),
            FrameCodingArg::Latency => format!("latency spikes, {steps} steps"),
            FrameCodingArg::Delta => format!("spikes on changes of {} of {full_scale}, {steps} steps", self.args.threshold),
        }
    }
}

/// Without the channels of negative parts, unless `both`: the caller knows that they are silent.
fn one_side(mut train: SpikeTrain, both: bool) -> SpikeTrain {
    if !both {
        train.width /= 2;
    }
    train
}

/// The positive parts, then the sizes of the negative parts, of each frame.
fn by_sign(values: &Values) -> Values {
    let width = values.width as usize;
    let mut frames = Vec::with_capacity(2 * values.frames.len());
    for frame in values.frames.chunks_exact(width.max(1)) {
        frames.extend(frame.iter().map(|v| v.max(0.0)));
        frames.extend(frame.iter().map(|v| (-v).max(0.0)));
    }
    Values { width: 2 * values.width, frames, constant: values.constant }
}

/// From images to the file.
fn make(
    path: &Path,
    coding: Coding,
    per_step: bool,
    json: bool,
    read: impl FnOnce() -> Result<(Array, Option<Array>), Failure>,
) -> Result<u8, Failure> {
    let args = coding.args;
    let mut inputs = vec![path];
    inputs.extend(args.labels.as_deref());
    let output = Files::reading(&inputs).output(&args.output)?;
    let (images, own_labels) = read()?;
    let (count, frames, width) = shape(path, &images, per_step)?;
    let n = args.samples.unwrap_or(count).min(count);
    if n == 0 {
        return Err(Failure::file(path, "has no images"));
    }
    if per_step && args.coding == FrameCodingArg::Latency {
        return Err(
            Failure::input("--coding latency takes one image a sample, not a frame a step").hint("leave --per-step out, or use delta")
        );
    }
    let steps = match args.steps {
        None if per_step => frames,
        None => STEPS,
        Some(steps) if per_step && steps > frames => {
            return Err(
                Failure::file(path, format_args!("has {frames} frames a sample, fewer than --steps {steps}")).hint("use fewer --steps")
            );
        }
        Some(steps) => steps,
    };
    let spiking = args.coding != FrameCodingArg::Direct;
    let hint = if spiking { "use fewer --steps or fewer --samples" } else { "use fewer --samples" };
    let sized = |spikes| classes::check_size(&args.output, n as u64, if spiking || per_step { steps.into() } else { 0 }, spikes, hint);
    sized(0)?;
    let channels = u64::from(width) * u64::from(coding.channels());
    if spiking && channels.saturating_mul(steps.into()) >= 1 << 32 {
        return Err(Failure::file(path, format_args!("{channels} channels in {steps} steps: expected a product below 2^32")).hint(hint));
    }
    let labels = labels(args.labels.as_deref(), own_labels, path, count)?.map(|mut l| {
        l.truncate(n);
        l
    });
    let full_scale = args.full_scale.unwrap_or(if matches!(images.data, ArrayData::U8(_)) { 255.0 } else { 1.0 });
    let (mut samples, mut spikes) = (Vec::with_capacity(n), 0u64);
    let size = frames as usize * width as usize;
    for k in 0..n {
        let start = k * size;
        let taken = if per_step { steps as usize * width as usize } else { size };
        let part = images.part(start..start + taken);
        let mut frames = part.to_f32().ok_or_else(|| {
            Failure::file(path, format_args!("image {k} has integers that are not exact in 32-bit floats")).hint("save it as float32")
        })?;
        for (at, value) in frames.iter_mut().enumerate() {
            if !value.is_finite() || *value < 0.0 && !coding.takes_negative() {
                let expected = if value.is_finite() { "a value from 0 up" } else { "a finite number" };
                let hint = if value.is_finite() {
                    "--negative channels gives negative values channels of their own"
                } else {
                    "numpy.nan_to_num replaces it"
                };
                return Err(Failure::file(path, format_args!("image {k}, element {at}: found {value}, expected {expected}")).hint(hint));
            }
            *value /= full_scale;
        }
        let stimulus = coding.stimulus(Values { width, frames, constant: !per_step }, steps, k as u64);
        if let Stimulus::Spikes(train) = &stimulus {
            spikes += train.channels.len() as u64;
            sized(spikes)?;
        }
        samples.push(stimulus);
    }
    let width = width * coding.channels();
    let set = DataSet { width, samples, labels };
    set.check_file().map_err(|e| Failure::file(&args.output, &e).hint(hint))?;
    output.commit(&set.to_npz())?;
    let coding = coding.describe(full_scale, steps);
    if json {
        let spikes = spiking.then_some(spikes);
        cmd::print_json(
            &serde_json::json!({ "samples": n, "width": width, "coding": coding, "spikes": spikes, "labels": set.labels.is_some(), "output": args.output }),
        );
    } else {
        let spikes = if spiking { format!(", {spikes} spikes") } else { String::new() };
        cmd::print(&format!("{}: {n} samples of {width} channels, {coding}{spikes}", args.output.display()));
    }
    Ok(0)
}

/// Images, frames of each, and values of a frame.
fn shape(path: &Path, images: &Array, per_step: bool) -> Result<(usize, u32, u32), Failure> {
    let shape = images.shape.as_slice();
    let (expected, axes) = if per_step { ("frames (count, steps, rows, columns)", 2) } else { ("images (count, rows, columns)", 1) };
    let frames = if per_step { shape.get(1).copied().unwrap_or(0) } else { 1 };
    let values = shape.get(axes..).map_or(0, |rest| if rest.is_empty() { 0 } else { rest.iter().product::<usize>() });
    // Rates and changes have two channels each.
    match (shape.first(), u32::try_from(frames), u32::try_from(values)) {
        (Some(&count), Ok(frames @ 1..), Ok(values @ 1..=0x7fff_fff0)) => Ok((count, frames, values)),
        _ => Err(Failure::file(path, format_args!("has shape {shape:?}; expected {expected}")).hint("did you give the labels file?")),
    }
}

/// A class for each of the images: those of the file that was given, else the images' own.
fn labels(given: Option<&Path>, own: Option<Array>, images: &Path, count: usize) -> Result<Option<Vec<i64>>, Failure> {
    let (labels, path) = match (given, own) {
        (Some(path), _) => (Labels::read(path)?, path),
        (None, Some(array)) => (Labels::of_array(array, images)?, images),
        (None, None) => return Ok(None),
    };
    match labels {
        Labels::InOrder(labels) if labels.len() == count => Ok(Some(labels)),
        Labels::InOrder(labels) => {
            Err(Failure::file(path, format_args!("has {} labels; expected one label for each of the {count} images", labels.len())))
        }
        Labels::ByName(_) => {
            Err(Failure::file(path, "has names; images have none").hint("write a class on each line, in the order of the images"))
        }
    }
}
