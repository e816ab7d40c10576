//! `spikec compile`: a network into a bundle.

use crate::args::{
    CompileArgs, CopiesArg, DiscretizationArg, EffortArg, KernelsArg, LayerBitsArg, MappingArgs, NetworkArgs, QuantizerArg, ResetArg,
    SignsArg, TimingPolicyArg,
};
use crate::failure::{DOES_NOT_FIT, Failure};
use crate::files::{self, Files};
use crate::load::{self, Coding, Prepared};
use crate::progress;
use spikec_chip::bundle::DecoderKind;
use spikec_chip::target::Target;
use spikec_compile::explain::Explanation;
use spikec_compile::{
    CompileError, CompileOptions, Compiled, Copies, Effort, Input, Kernels, Placement, Quantizer, Signs, SoftReset, TimingPolicy,
};
use spikec_data::{DataSet, Decode, Stimulus, predict};
use spikec_fit::budget::Budget;
use spikec_fit::widths::{self, Widened, WidthsFailure};
use spikec_reconstruct::Recording;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Runs the command.
pub fn run(args: &CompileArgs, json: bool) -> Result<u8, Failure> {
    let mut files = Files::reading(&[]);
    let output = files.output(&args.output)?;
    let report_file = args.report.as_deref().map(|p| files.output(p)).transpose()?;
    let placement_file = args.write_placement.as_deref().map(|p| files.output(p)).transpose()?;
    let limits = Budget { memory_bytes: args.memory, cores: args.cores, ..Budget::default() };
    let auto = args.mapping.layer_bits.contains(&LayerBitsArg::Auto);
    if !auto && !limits.is_empty() {
        let given = if args.memory.is_some() { "--memory" } else { "--cores" };
        return Err(Failure::input(format!("{given} limits what --layer-bits auto chooses, which is not given"))
            .hint("give --layer-bits auto, or use `spikec fit` to remove synapses"));
    }
    let job = Job::resolve(&args.network, &args.mapping, &mut files)?;
    let (compiled, widths) = if auto {
        let Widened { compiled, report } = job.widths(&limits)?;
        (compiled, Some(report))
    } else {
        (job.compile()?, None)
    };
    let mut report = serde_json::json!(compiled.report);
    if let Some(widths) = &widths {
        report["widths"] = serde_json::json!(widths);
    }
    let bytes = compiled.bundle.to_bytes();
    let size = bytes.len();
    output.commit(&bytes)?;
    if let Some(file) = report_file {
        file.commit(super::to_json(&report).as_bytes())?;
    }
    if let Some(file) = placement_file {
        file.commit(placement_text(&compiled.placement).as_bytes())?;
    }
    if json {
        super::print_json(&report);
    } else {
        super::print(&job.header());
        if let Some(widths) = &widths {
            super::print(&spikec_report::widths::text(widths));
        }
        super::print(&spikec_report::compile::text(&compiled.report));
        let (net, out) = (args.network.network.display(), args.output.display());
        super::print(&format!("{out} written ({size} bytes). Next: spikec verify {net} {out} --input DATA.npz"));
    }
    Ok(0)
}

/// Everything that a compilation needs, resolved.
pub struct Job {
    path: PathBuf,
    /// The chip.
    pub target: Target,
    /// The network.
    pub prepared: Prepared,
    /// How data reach the chip.
    pub coding: Coding,
    /// Options of the compiler.
    pub options: CompileOptions,
}

impl Job {
    /// From the arguments; `files` learns what is read.
    pub fn resolve(network: &NetworkArgs, mapping: &MappingArgs, files: &mut Files) -> Result<Self, Failure> {
        let target_file = load::is_target_file(&mapping.target).then(|| Path::new(&mapping.target));
        let inputs = [Some(network.network.as_path()), mapping.calibration.as_deref(), target_file, mapping.placement.as_deref()];
        for input in inputs.into_iter().flatten() {
            files.read_also(input)?;
        }
        let target = load::target(&mapping.target)?;
        let (calibration, digest) = mapping.calibration.as_deref().map(load::calibration).transpose()?.unzip();
        let (model, arrays) = load::network(network)?;
        arrays.iter().try_for_each(|p| files.read_also(p))?;
        let coding = Coding::resolve(mapping.input_coding, mapping.full_scale, &model, calibration.as_ref())?;
        let prepared = load::prepare(&network.network, model, coding, mapping.reset == ResetArg::Hard)?;
        if let (Some(set), Some(path)) = (&calibration, &mapping.calibration)
            && set.width as usize != prepared.data_width()
        {
            let message = format!("has {} channels, the network has {} inputs", set.width, prepared.data_width());
            return Err(Failure::file(path, message).hint("calibrate with data of this network"));
        }
        let decoder = decoder(&mapping.decoder)?;
        let placement = mapping.placement.as_deref().map(placement).transpose()?;
        if let (Some(placement), Some(path)) = (&placement, &mapping.placement)
            && placement.target != target.name
        {
            let message = format!("was made for target {}, not {}", placement.target, target.name);
            return Err(Failure::file(path, message).hint("write one for this target, or change its name in the file"));
        }
        let samples = Arc::new(calibration.map_or(Vec::new(), |set| coding.coded(set.samples, mapping.steps)));
        let options = CompileOptions {
            weight_bits: mapping.weight_bits,
            layer_bits: layer_bits(mapping),
            tune: mapping.tune,
            signs: match mapping.signs {
                SignsArg::Mixed => Signs::Mixed,
                SignsArg::Split => Signs::Split,
            },
            quantizer: quantizer(mapping, &samples),
            teacher: None,
            encoder: coding.encoder(),
            decoder,
            default_steps: mapping.steps,
            partitioner: mapping.partitioner.clone(),
            effort: match mapping.effort {
                EffortArg::Fast => Effort::Fast,
                EffortArg::Default => Effort::Default,
                EffortArg::Best => Effort::Best,
            },
            pins: mapping.pins.clone(),
            calibration: samples.clone(),
            placement,
            copies: match mapping.copies {
                CopiesArg::None => Copies::None,
                CopiesArg::Auto => Copies::Auto,
            },
            kernels: match mapping.kernels {
                KernelsArg::Auto => Kernels::Auto,
                KernelsArg::Shared => Kernels::Shared,
                KernelsArg::Unrolled => Kernels::Unrolled,
            },
            remove_dead: !mapping.keep_dead,
            timing: match mapping.timing_policy {
                TimingPolicyArg::Exact => TimingPolicy::Exact,
                TimingPolicyArg::AllowLag => TimingPolicy::AllowLag,
            },
            soft_reset: if mapping.reset == ResetArg::Leak { SoftReset::Leak } else { SoftReset::Exact },
            axons_per_source: mapping.axons_per_source,
            drop_inputs: mapping.drop_inputs,
            weight_error: mapping.weight_error,
            seed: mapping.seed,
            provenance: provenance(network, mapping, (&target, quantizer(mapping, &samples)), coding, &prepared, digest),
        };
        Ok(Job { path: network.network.clone(), target, prepared, coding, options })
    }

    fn input(&self) -> Input<'_> {
        match &self.prepared {
            Prepared::Trained { net, digest, .. } => Input::Trained { net, digest: *digest },
            Prepared::Registers { net, digest } => Input::Registers { net, digest: *digest },
        }
    }

    /// Compiles, with the stages on stderr.
    pub fn compile(&self) -> Result<Compiled, Failure> {
        let bar = progress::stages();
        let result = spikec_compile::compile(self.input(), &self.target, &self.options, &mut |stage| {
            bar.set_message(stage.to_string());
            bar.tick();
        });
        bar.finish_and_clear();
        result.map_err(|e| self.failure(&e))
    }

    /// Compiles without a word.
    pub fn quietly(&self) -> Result<Compiled, CompileError> {
        spikec_compile::compile(self.input(), &self.target, &self.options, &mut |_| ())
    }

    /// The class that the network as trained gives each sample; none for a network in registers.
    pub fn trained_predictions(&self, set: &DataSet) -> Result<Option<Vec<u32>>, Failure> {
        let Prepared::Trained { net, .. } = &self.prepared else { return Ok(None) };
        let recording =
            Recording::of_floats(net, &set.samples, self.options.default_steps).map_err(|e| Failure::input(&e).hint(e.hint()))?;
        Ok(Some(recording.out_counts().iter().map(|c| predict(Decode::Count, c, &[], &[])).collect()))
    }

    /// Compiles with the widths that a search finds.
    fn widths(&self, limits: &Budget) -> Result<Widened, Failure> {
        let Prepared::Trained { net, digest, .. } = &self.prepared else {
            return Err(Failure::file(&self.path, "is a network in chip integers: its widths are given")
                .hint("compile the network that it was made from, or leave out --layer-bits auto"));
        };
        let bar = progress::stages();
        let result = widths::search(net, *digest, &self.target, &self.options, limits, &mut |stage| {
            bar.set_message(stage.to_string());
            bar.tick();
        });
        bar.finish_and_clear();
        result.map_err(|e| match &e {
            WidthsFailure::Compile(e) => self.failure(e),
            WidthsFailure::TooSmall { .. } => Failure::file(&self.path, &e).hint(e.hint()).code(DOES_NOT_FIT),
            _ => Failure::input(&e).hint(e.hint()),
        })
    }

    /// Why it takes as many cores as it does.
    pub fn explain(&self) -> Result<Explanation, Failure> {
        Ok(self.compile()?.report.certificate)
    }

    /// Every finding.
    pub fn check(&self) -> Result<Vec<spikec_compile::Finding>, Failure> {
        spikec_compile::check(self.input(), &self.target, &self.options).map_err(|e| self.failure(&e))
    }

    /// What was read and how it was understood.
    pub fn header(&self) -> String {
        match &self.prepared {
            Prepared::Trained { network, .. } => {
                format!("{}\ninput coding: {}", spikec_report::network::header(network), self.coding.name())
            }
            Prepared::Registers { net, .. } => format!("network {}: chip integers, taken as they are", net.name),
        }
    }

    /// What to say of an error of the compiler.
    pub fn failure(&self, error: &CompileError) -> Failure {
        let path = &self.path;
        match error {
            // The options' and the target's own faults.
            CompileError::Partitioner(_)
            | CompileError::Unsuited { .. }
            | CompileError::Target(_)
            | CompileError::Option { .. }
            | CompileError::AxonsPerSource { .. }
            | CompileError::Quantize(_) => Failure::input(error).hint(error.hint()),
            CompileError::Findings(findings) => {
                let message = format!("does not fit {}: {} errors", self.target.name, findings.len());
                let hint = "`spikec check` lists the warnings as well";
                Failure::file(path, message).findings(findings).hint(hint).code(DOES_NOT_FIT)
            }
            CompileError::Registers { .. } | CompileError::Vote { .. } | CompileError::NothingLeft(_) | CompileError::Net(_) => {
                Failure::file(path, error).hint(error.hint())
            }
        }
    }
}

/// Widths that are given by name.
fn layer_bits(mapping: &MappingArgs) -> Vec<(String, u8)> {
    let given = mapping.layer_bits.iter().filter_map(|l| match l {
        LayerBitsArg::Width(layer, bits) => Some((layer.clone(), *bits)),
        LayerBitsArg::Auto => None,
    });
    given.collect()
}

/// Refuses a search for widths where there is none.
pub fn refuse_auto(mapping: &MappingArgs, hint: &str) -> Result<(), Failure> {
    match mapping.layer_bits.contains(&LayerBitsArg::Auto) {
        true => Err(Failure::input("--layer-bits auto: only compile searches widths").hint(hint)),
        false => Ok(()),
    }
}

/// The method asked for, or the best for what there is.
fn quantizer(mapping: &MappingArgs, samples: &[Stimulus]) -> Quantizer {
    // Constant samples of an unknown length can't be run.
    let runs = !samples.is_empty() && samples.iter().all(|s| mapping.steps.or(s.steps()).is_some());
    match mapping.quantizer {
        Some(QuantizerArg::MaxAbs) => Quantizer::MaxAbs,
        Some(QuantizerArg::RowScale) => Quantizer::RowScale,
        Some(QuantizerArg::Reconstruct) => Quantizer::Reconstruct,
        None if runs => Quantizer::Reconstruct,
        None => Quantizer::RowScale,
    }
}

/// Reads a placement file.
fn placement(path: &Path) -> Result<Placement, Failure> {
    let text = files::read_text(path)?;
    ron::from_str(&text).map_err(|e| {
        let at = e.span.start;
        Failure::file(path, format_args!("is no placement: {}", e.code))
            .hint("`spikec compile --write-placement` writes one")
            .caret(path, &text, at.line, at.col, "here")
    })
}

/// A placement as people edit it: a core on each line.
fn placement_text(placement: &Placement) -> String {
    let config = ron::ser::PrettyConfig::new().depth_limit(2).struct_names(false);
    ron::ser::to_string_pretty(placement, config).expect("a placement holds numbers and names alone") + "\n"
}

fn decoder(text: &str) -> Result<DecoderKind, Failure> {
    Ok(match text {
        "count" => DecoderKind::Count,
        "first-spike" => DecoderKind::FirstSpike,
        "potential" => DecoderKind::Potential,
        "spikes" => DecoderKind::Spikes,
        _ => match text.strip_prefix("vote:").and_then(|g| g.parse::<u32>().ok()) {
            Some(group) if group > 0 => DecoderKind::Vote(group),
            _ => {
                return Err(Failure::input(format!("no decoder `{text}`"))
                    .hint("one of: count, first-spike, vote:G (groups of G outputs), potential, spikes"));
            }
        },
    })
}

/// Options for the bundle's provenance: what `verify` needs to read the network in the same way, and what the user chose.
fn provenance(
    given: &NetworkArgs,
    mapping: &MappingArgs,
    (target, quantizer): (&Target, Quantizer),
    coding: Coding,
    prepared: &Prepared,
    calibration: Option<blake3::Hash>,
) -> Vec<(String, String)> {
    let mut options: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: String| options.push((name.to_string(), value));
    // Its name: where its file was is nobody's business.
    add("target", target.name.clone());
    if let Prepared::Trained { network, .. } = prepared {
        // Only what the user said: given again, it would pass over what the file says of its own.
        if given.convention.is_some() {
            add("convention", network.conventions.name.clone());
        }
        add("dt", network.conventions.dt_s.to_string());
    }
    if given.repair_edges {
        add("repair-edges", "uniquely".into());
    }
    if let Some(d) = given.discretization {
        add(
            "discretization",
            match d {
                DiscretizationArg::Euler => "euler",
                DiscretizationArg::Exact => "exact",
            }
            .into(),
        );
    }
    add("input-coding", coding.name().into());
    if let Coding::Rate(x) | Coding::Latency(x) = coding {
        add("full-scale", x.to_string());
    }
    add("weight-bits", mapping.weight_bits.to_string());
    for (layer, bits) in layer_bits(mapping) {
        add("layer-bits", format!("{layer}={bits}"));
    }
    if mapping.tune {
        add("tune", "calibration".into());
    }
    if mapping.signs != SignsArg::Mixed {
        add("signs", format!("{:?}", mapping.signs));
    }
    add("quantizer", format!("{quantizer:?}"));
    add("decoder", mapping.decoder.clone());
    add("effort", format!("{:?}", mapping.effort));
    add("partitioner", mapping.partitioner.clone());
    add("copies", if mapping.copies == CopiesArg::None { "none" } else { "auto" }.into());
    if mapping.kernels != KernelsArg::Auto {
        add("kernels", format!("{:?}", mapping.kernels).to_lowercase());
    }
    for pin in &mapping.pins {
        add("pin", format!("{}={}..{}", pin.layer, pin.cores.start, pin.cores.end.saturating_sub(1)));
    }
    if mapping.placement.is_some() {
        add("placement", "given".into());
    }
    if let Some(steps) = mapping.steps {
        add("steps", steps.to_string());
    }
    if mapping.timing_policy == TimingPolicyArg::AllowLag {
        add("timing-policy", "allow-lag".into());
    }
    match mapping.reset {
        ResetArg::Exact => {}
        ResetArg::Leak => add("reset", "leak".into()),
        ResetArg::Hard => add("reset", "hard".into()),
    }
    if mapping.keep_dead {
        add("keep-dead", "true".into());
    }
    if let Some(digest) = calibration {
        add("calibration", digest.to_hex().to_string());
    }
    options
}
