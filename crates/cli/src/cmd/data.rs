//! `spikec data`: real data files into DATA.npz.

use crate::args::{DataCommand, IdxArgs, IdxCodingArg};
use crate::failure::Failure;
use crate::files::{self, Files};
use spikec_data::{Array, ArrayData, DataSet, Stimulus, Values, poisson, read_idx};
use std::io::Read;
use std::path::Path;

/// Largest IDX file that is read, unpacked.
const MAX_IDX_BYTES: u64 = 4 << 30;

/// Runs the command.
pub fn run(command: &DataCommand, json: bool) -> Result<u8, Failure> {
    match command {
        DataCommand::Idx(args) => idx(args, json),
    }
}

fn idx(args: &IdxArgs, json: bool) -> Result<u8, Failure> {
    if !(args.std.is_finite() && args.std > 0.0 && args.mean.is_finite()) {
        return Err(Failure::input(format!("--mean {} --std {}: the standard deviation must be positive", args.mean, args.std)));
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

fn bytes_of(path: &Path) -> Result<(Vec<usize>, Vec<u8>), Failure> {
    let mut bytes = files::read(path)?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(bytes.as_slice())
            .take(MAX_IDX_BYTES)
            .read_to_end(&mut plain)
            .map_err(|e| Failure::file(path, format_args!("is no whole gzip file: {e}")))?;
        bytes = plain;
    }
    let Array { shape, data } = read_idx(&bytes).map_err(|e| Failure::file(path, &e).hint(e.hint()))?;
    match data {
        ArrayData::U8(v) => Ok((shape, v)),
        _ => Err(Failure::file(path, "holds no unsigned bytes")),
    }
}
