//! `spikec data`: real data files into DATA.npz.

use crate::args::{DataCommand, IdxArgs, IdxCodingArg, RandomArgs};
use crate::failure::Failure;
use crate::files::{self, Files};
use spikec_data::{Array, ArrayData, DataSet, Stimulus, Values, poisson, read_idx};
use std::path::Path;

/// Runs the command.
pub fn run(command: &DataCommand, json: bool) -> Result<u8, Failure> {
    match command {
        DataCommand::Idx(args) => idx(args, json),
        DataCommand::Random(args) => random(args, json),
    }
}

fn random(args: &RandomArgs, json: bool) -> Result<u8, Failure> {
    let RandomArgs { channels, steps, rate, samples, seed, .. } = *args;
    if !(0.0..=1.0).contains(&rate) {
        return Err(Failure::input(format!("--rate {rate}: a probability is from 0 to 1")));
    }
    let output = Files::default().output(&args.output)?;
    let (each, samples_wide) = (u64::from(steps) * u64::from(channels), u64::from(samples));
    // One draw for each channel and step: what would take hours is refused as well as what could not be read back.
    const MOST_DRAWS: u64 = 1 << 36;
    let fail = |e: &dyn std::fmt::Display| Failure::file(&args.output, e).hint("use fewer --steps, --channels or --samples");
    if each >= 1 << 32 || each.saturating_mul(samples_wide) > MOST_DRAWS {
        return Err(fail(&format_args!("{channels} channels for {steps} steps in {samples} samples are too many to draw")));
    }
    let spikes = (each as f64 * f64::from(samples) * f64::from(rate)).ceil() as u64;
    DataSet::check_size(samples_wide, steps.into(), spikes).map_err(|e| fail(&e))?;
    let rates = vec![rate; channels as usize];
    let drawn = (0..samples_wide).map(|k| Stimulus::Spikes(poisson(&rates, steps, seed, k))).collect();
    output.commit(&DataSet { width: channels, samples: drawn, labels: None }.to_npz())?;
    let what = format!("{steps} steps, each channel spikes with probability {rate}, seed {seed}");
    if json {
        super::print_json(&serde_json::json!({ "samples": samples, "width": channels, "coding": what, "output": args.output }));
    } else {
        super::print(&format!("{}: {samples} samples of {channels} channels, {what}", args.output.display()));
    }
    Ok(0)
}

fn idx(args: &IdxArgs, json: bool) -> Result<u8, Failure> {
    if !(args.std.is_finite() && args.std > 0.0 && args.mean.is_finite()) {
        return Err(Failure::input(format!("--mean {} --std {}: the standard deviation must be positive", args.mean, args.std)));
    }
    if args.samples == Some(0) {
        return Err(Failure::input("--samples 0 leaves nothing to write").hint("give at least 1"));
    }
    let mut inputs = vec![args.images.as_path()];
    inputs.extend(args.labels.as_deref());
    let output = Files::reading(&inputs).output(&args.output)?;
    let (shape, pixels) = bytes_of(&args.images)?;
    let [count, rest @ ..] = shape.as_slice() else {
        return Err(Failure::file(&args.images, "has no axis of images"));
    };
    let width: usize = rest.iter().product();
    if rest.is_empty() || width == 0 {
        return Err(Failure::file(&args.images, format_args!("has shape {shape:?}; expected images (count, rows, columns)"))
            .hint("did you give the labels file?"));
    }
    let n = args.samples.unwrap_or(*count).min(*count);
    if n == 0 {
        return Err(Failure::file(&args.images, "has no images"));
    }
    check_size(args, &pixels[..n * width], n as u64)?;
    let labels = match &args.labels {
        None => None,
        Some(path) => {
            let (shape, labels) = bytes_of(path)?;
            if shape.len() != 1 || shape[0] != *count {
                return Err(Failure::file(path, format_args!("has shape {shape:?}; expected one label for each of the {count} images")));
            }
            Some(labels[..n].iter().map(|&b| b as i64).collect())
        }
    };
    let samples = (0..n).map(|k| {
        let image = &pixels[k * width..(k + 1) * width];
        match args.coding {
            IdxCodingArg::Direct => Stimulus::Values(Values {
                width: width as u32,
                frames: image.iter().map(|&p| (p as f32 / 255.0 - args.mean) / args.std).collect(),
                constant: true,
            }),
            IdxCodingArg::Poisson => {
                let rates: Vec<f32> = image.iter().map(|&p| p as f32 / 255.0).collect();
                Stimulus::Spikes(poisson(&rates, args.steps, args.seed, k as u64))
            }
        }
    });
    let set = DataSet { width: width as u32, samples: samples.collect(), labels };
    output.commit(&set.to_npz())?;
    let coding = match args.coding {
        IdxCodingArg::Direct => format!("direct values (pixel / 255 - {}) / {}", args.mean, args.std),
        IdxCodingArg::Poisson => format!("Poisson spikes, {} steps, seed {}", args.steps, args.seed),
    };
    if json {
        super::print_json(&serde_json::json!({ "samples": n, "width": width, "coding": coding, "output": args.output }));
    } else {
        super::print(&format!("{}: {n} samples of {width} channels, {coding}", args.output.display()));
    }
    Ok(0)
}

/// The file could be read back: asked before it is made.
fn check_size(args: &IdxArgs, pixels: &[u8], images: u64) -> Result<(), Failure> {
    let poisson = args.coding == IdxCodingArg::Poisson;
    let (steps, spikes) = if poisson {
        let light: u64 = pixels.iter().map(|&p| u64::from(p)).sum();
        (u64::from(args.steps), light.saturating_mul(args.steps.into()) / 255)
    } else {
        (0, 0)
    };
    let hint = if poisson { "use fewer --steps or fewer --samples" } else { "use fewer --samples" };
    DataSet::check_size(images, steps, spikes).map_err(|e| Failure::file(&args.output, e).hint(hint))
}

fn bytes_of(path: &Path) -> Result<(Vec<usize>, Vec<u8>), Failure> {
    let bytes = files::read(path)?;
    let Array { shape, data } = read_idx(&bytes).map_err(|e| Failure::file(path, &e).hint(e.hint()))?;
    match data {
        ArrayData::U8(v) => Ok((shape, v)),
        _ => Err(Failure::file(path, "holds no unsigned bytes")),
    }
}
