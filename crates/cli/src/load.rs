//! Files into typed values: networks, targets, data, bundles.

use crate::args::{CodingArg, DiscretizationArg, NetworkArgs};
use crate::failure::Failure;
use crate::files;
use spikec_chip::Bundle;
use spikec_chip::Target;
use spikec_chip::bundle::{DecoderKind, Encoder};
use spikec_data::{DataSet, Stimulus, Values};
use spikec_import::{ImportError, ImportOptions, Imported, Model};
use spikec_net::{Discretization, Fixed, Float, InputCoding, InputKind, Net, Network, ResetRule, code_inputs};
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// What a network file says, with what the user added; and the files beside it that were read.
pub fn network(args: &NetworkArgs) -> Result<(Model, Vec<PathBuf>), Failure> {
    let (imported, files) = import(args)?;
    warn(args, &imported);
    Ok((imported.model, files))
}

/// As [`network`], with options that a bundle remembers: where they mean nothing to the file, the user is not told off for them.
pub fn network_again(user: &NetworkArgs, remembered: &NetworkArgs) -> Result<(Model, Vec<PathBuf>), Failure> {
    let (imported, files) = import(remembered)?;
    if matches!(imported.model, Model::Registers(_)) {
        network(user)
    } else {
        warn(remembered, &imported);
        Ok((imported.model, files))
    }
}

fn warn(args: &NetworkArgs, imported: &Imported) {
    for warning in &imported.warnings {
        eprintln!("warning: {}: {warning}", args.network.display());
    }
}

fn import(args: &NetworkArgs) -> Result<(Imported, Vec<PathBuf>), Failure> {
    let path = &args.network;
    let bytes = files::read(path)?;
    let options = ImportOptions {
        dt_s: args.dt,
        convention: args.convention.clone(),
        discretization: args.discretization.map(|d| match d {
            DiscretizationArg::Euler => Discretization::Euler,
            DiscretizationArg::Exact => Discretization::Exact,
        }),
        name: path.file_stem().map_or_else(|| "network".into(), |s| s.to_string_lossy().into_owned()),
        repair_edges: args.repair_edges,
    };
    let arrays = RefCell::new(Vec::new());
    let beside = |p: &Path| {
        arrays.borrow_mut().push(p.to_path_buf());
        std::fs::read(p)
    };
    let imported = spikec_import::read(path, &bytes, &options, &beside).map_err(|e| {
        let failure = Failure::file(path, &e).hint(e.hint());
        match (&e, String::from_utf8(bytes.clone())) {
            (ImportError::Ron { line, column, message, .. }, Ok(text)) => failure.caret(path, &text, *line, *column, message),
            _ => failure,
        }
    })?;
    Ok((imported, arrays.into_inner()))
}

/// Whether a target is named by its file.
pub fn is_target_file(name: &str) -> bool {
    name.ends_with(".ron") || name.contains(['/', '\\'])
}

/// A chip: a built-in name, or a file that is checked itself.
pub fn target(name: &str) -> Result<Target, Failure> {
    let path = Path::new(name);
    if !is_target_file(name) {
        return spikec_chip::find(name).map_err(|e| Failure::input(&e).hint(e.hint()));
    }
    let (target, findings) = target_file(path)?;
    if let Some(first) = findings.first() {
        return Err(Failure::file(path, format_args!("the target contradicts itself ({} findings): {first}", findings.len()))
            .hint(format!("`spikec target check {name}` lists them all")));
    }
    Ok(target)
}

/// A chip description with the findings of its own check.
pub fn target_file(path: &Path) -> Result<(Target, Vec<String>), Failure> {
    let text = files::read_text(path)?;
    let target = Target::parse_ron(&text).map_err(|e| {
        let failure = Failure::file(path, &e).hint(e.hint());
        match e.place() {
            Some((line, column, message)) => failure.caret(path, &text, line, column, &message),
            None => failure,
        }
    })?;
    let findings = target.check().iter().map(|f| f.to_string()).collect();
    Ok((target, findings))
}

/// Samples.
pub fn data(path: &Path, take: Option<usize>) -> Result<DataSet, Failure> {
    if take == Some(0) {
        return Err(Failure::input("--samples 0 leaves nothing to run").hint("give at least 1"));
    }
    let bytes = files::read(path)?;
    let set = DataSet::from_bytes(&bytes, take).map_err(|e| Failure::file(path, &e).hint(e.hint()))?;
    if set.samples.is_empty() {
        return Err(Failure::file(path, "has no samples"));
    }
    Ok(set)
}

/// Samples with the digest of their file.
pub fn calibration(path: &Path) -> Result<(DataSet, blake3::Hash), Failure> {
    let digest = blake3::hash(&files::read(path)?);
    Ok((data(path, None)?, digest))
}

/// Refuses labels that name no class of the decoder.
pub fn check_labels(set: &DataSet, path: &Path, bundle: &Bundle) -> Result<(), Failure> {
    let outputs = bundle.host.decoder.outputs.len();
    let classes = match bundle.host.decoder.kind {
        DecoderKind::Vote(group) => outputs / group.max(1) as usize,
        DecoderKind::Count | DecoderKind::FirstSpike | DecoderKind::Potential | DecoderKind::Spikes => outputs,
    };
    let labels = set.labels.iter().flatten().enumerate();
    match labels.into_iter().find(|(_, label)| !usize::try_from(**label).is_ok_and(|l| l < classes)) {
        None => Ok(()),
        Some((sample, label)) => {
            let message = format!(
                "the label of sample {sample} is {label}, expected 0 to {} (the network has {classes} classes)",
                classes.max(1) - 1
            );
            Err(Failure::file(path, message).hint("number the classes from 0, or leave the labels out"))
        }
    }
}

/// A bundle, all digests checked.
pub fn bundle(path: &Path) -> Result<Bundle, Failure> {
    let bytes = files::read(path)?;
    Bundle::from_bytes(&bytes).map_err(|e| Failure::file(path, &e).hint(e.hint()))
}

/// How a network's data reach the chip, resolved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Coding {
    /// The data are spikes.
    Spikes,
    /// Values become biases.
    Bias,
    /// Values become rates.
    Rate(f64),
    /// Values become times.
    Latency(f64),
}

impl Coding {
    /// From the arguments, the network and the calibration data.
    pub fn resolve(arg: CodingArg, full_scale: Option<f64>, model: &Model, calibration: Option<&DataSet>) -> Result<Self, Failure> {
        if let Some(x) = full_scale
            && !(x.is_finite() && x > 0.0)
        {
            return Err(Failure::input(format!("--full-scale {x} is not a positive number")));
        }
        let scale = || {
            full_scale.or_else(|| calibration.and_then(largest_value)).ok_or_else(|| {
                Failure::input("the scale of the analog values is not known")
                    .hint("give --full-scale X (the largest magnitude of a value) or --calibration DATA.npz")
            })
        };
        Ok(match arg {
            CodingArg::Spikes => Coding::Spikes,
            CodingArg::Bias => Coding::Bias,
            CodingArg::Rate => Coding::Rate(scale()?),
            CodingArg::Latency => Coding::Latency(scale()?),
            CodingArg::Auto if hears_values(model) => Coding::Bias,
            CodingArg::Auto => match calibration.and_then(|c| c.samples.first()) {
                Some(Stimulus::Values(_)) => Coding::Bias,
                _ => Coding::Spikes,
            },
        })
    }

    /// From a bundle's encoder.
    pub fn of_encoder(encoder: &Encoder) -> Self {
        match encoder {
            Encoder::Spikes => Coding::Spikes,
            Encoder::Bias => Coding::Bias,
            Encoder::Rate { full_scale } => Coding::Rate(*full_scale),
            Encoder::Latency { full_scale } => Coding::Latency(*full_scale),
        }
    }

    /// Samples as the coded net hears them; `steps` is for samples that don't say (those that can't be coded without are left out).
    pub fn coded(self, samples: Vec<Stimulus>, steps: Option<u32>) -> Vec<Stimulus> {
        let spikes = |values: &Values| {
            let steps = steps.or(if values.constant { None } else { Some(values.frame_count()) })?;
            Some(Stimulus::Spikes(match self {
                Coding::Rate(full_scale) => spikec_data::rate(values, steps, full_scale),
                Coding::Latency(full_scale) => spikec_data::latency(values, steps, full_scale),
                Coding::Spikes | Coding::Bias => return Some(Stimulus::Values(values.clone())),
            }))
        };
        let coded = samples.into_iter().filter_map(|sample| match &sample {
            Stimulus::Values(values) => spikes(values),
            Stimulus::Spikes(_) => Some(sample),
        });
        coded.collect()
    }

    /// As the bundle's encoder.
    pub fn encoder(self) -> Encoder {
        match self {
            Coding::Spikes => Encoder::Spikes,
            Coding::Bias => Encoder::Bias,
            Coding::Rate(full_scale) => Encoder::Rate { full_scale },
            Coding::Latency(full_scale) => Encoder::Latency { full_scale },
        }
    }

    /// As an option's value.
    pub fn name(self) -> &'static str {
        match self {
            Coding::Spikes => "spikes",
            Coding::Bias => "bias",
            Coding::Rate(_) => "rate",
            Coding::Latency(_) => "latency",
        }
    }
}

/// Whether a net in registers has inputs with analog values.
fn hears_values(model: &Model) -> bool {
    matches!(model, Model::Registers(net) if net.populations.iter().any(|p| p.role == spikec_net::Role::AnalogInput))
}

fn largest_value(set: &DataSet) -> Option<f64> {
    let mut largest = 0.0f32;
    for sample in &set.samples {
        if let Stimulus::Values(v) = sample {
            largest = v.frames.iter().fold(largest, |m, x| m.max(x.abs()));
        }
    }
    (largest > 0.0).then_some(largest as f64)
}

/// A network, ready for the compiler or the verifier.
pub enum Prepared {
    /// From floats.
    Trained {
        /// As read, but for the reset that was asked for.
        network: Box<Network>,
        /// Neurons and synapses, inputs coded.
        net: Net<Float>,
        /// As elaborated, before input coding: what the float reference runs.
        plain: Net<Float>,
        /// Digest of the network as read.
        digest: [u8; 32],
    },
    /// Already in registers.
    Registers {
        /// As read.
        net: Net<Fixed>,
        /// Its digest.
        digest: [u8; 32],
    },
}

impl Prepared {
    /// Channels that the data of a sample have.
    pub fn data_width(&self) -> usize {
        fn inputs<N: spikec_net::Number>(net: &Net<N>) -> usize {
            net.populations.iter().filter(|p| p.is_input()).map(|p| p.trained_len()).sum()
        }
        match self {
            Prepared::Trained { plain, .. } => inputs(plain),
            Prepared::Registers { net, .. } => inputs(net),
        }
    }
}

/// Elaborates a model and codes its inputs. With `hard`, a spike resets to zero even where the network subtracts; what the float reference runs and
/// the digest stay the network's own.
pub fn prepare(path: &Path, model: Model, coding: Coding, hard: bool) -> Result<Prepared, Failure> {
    match model {
        Model::Registers(_) if coding != if hears_values(&model) { Coding::Bias } else { Coding::Spikes } => {
            let inputs = if hears_values(&model) { "values that become biases" } else { "spikes" };
            let message = format_args!("is a network in chip integers: its inputs are {inputs}, not `{}`", coding.name());
            Err(Failure::file(path, message).hint("leave --input-coding away"))
        }
        Model::Registers(net) => {
            let digest = net.digest();
            Ok(Prepared::Registers { net, digest })
        }
        Model::Trained(mut network) => {
            let digest = network.digest();
            let kind = if coding == Coding::Spikes { InputKind::Spikes } else { InputKind::Analog };
            let plain = network.elaborate(kind).map_err(|e| Failure::file(path, &e).hint(e.hint()))?;
            let coded = match coding {
                Coding::Spikes => InputCoding::Spikes,
                Coding::Bias => InputCoding::Bias,
                Coding::Rate(full_scale) => InputCoding::Rate { full_scale },
                Coding::Latency(full_scale) => InputCoding::Latency { full_scale },
            };
            let mut reset = plain.clone();
            if hard && network.conventions.reset == ResetRule::Subtract {
                network.conventions.reset = ResetRule::ToValue;
                reset = network.elaborate(kind).map_err(|e| Failure::file(path, &e).hint(e.hint()))?;
            }
            let net = code_inputs(reset, coded).map_err(|e| Failure::file(path, &e).hint(e.hint()))?;
            Ok(Prepared::Trained { network: Box::new(network), net, plain, digest })
        }
    }
}
