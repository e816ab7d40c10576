//! The whole compilation, and the check that tells everything that stands in its way.
//!
//! In: an elaborated, input-coded net (or one in registers), a target, options. Out: [`Compiled`], or every finding.
//! Invariant: the same input and options give the same bundle, on any number of threads.

use crate::choose::choose;
use crate::copies::{self, Copies, CopiesReport};
use crate::crossbar::{self, CrossbarReport};
use crate::emit::{HostOptions, emit};
use crate::event::{self, EventReport};
use crate::explain::{self, Explanation};
use crate::families::{fullest, layer_reports, provenance, votes};
use crate::finding::{self, Finding, Severity};
use crate::lower::{LowerReport, lower_all};
use crate::options::CompileOptions;
use crate::pack::kernels::Kernels;
use crate::pack::share::words_by_projection;
use crate::pack::{Wiring, usage};
pub use crate::partition::Effort;
use crate::partition::Partitioned;
use crate::partition::{Bound, FitError, PARTITIONERS, Search, Unsuited, Usage, lower_bounds, partitioners, suits, too_wide};
use crate::pins;
use crate::place::Placed;
use crate::placement::Placement;
use crate::quantize::{Guide, QuantizeError, QuantizeOptions, QuantizeReport, adopt_all, measure_soft_resets, reconstruct_all};
use crate::rates;
use crate::relay::{self, RelayReport};
use serde::Serialize;
use spikec_chip::Target;
use spikec_chip::bundle::{Bundle, DecoderKind};
use spikec_chip::target::Family;
use spikec_map::proof::Certificate;
use spikec_net::{Fixed, Float, Net, NetError, Quantized};
use std::cell::OnceCell;
use thiserror::Error;

/// The network to compile.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// Floats: elaborated, inputs coded.
    Trained {
        /// The net.
        net: &'a Net<Float>,
        /// Digest of the network as given.
        digest: [u8; 32],
    },
    /// Chip integers.
    Registers {
        /// The net.
        net: &'a Net<Fixed>,
        /// Its digest.
        digest: [u8; 32],
    },
}

/// Why there is no bundle.
#[derive(Debug, Error)]
pub enum CompileError {
    /// No partitioner of that name.
    #[error("no partitioner named `{0}`")]
    Partitioner(String),
    /// A strategy that the network does not suit.
    #[error("partitioner {partitioner} needs {}", match why { Unsuited::NoShapes => "a layer with a shape (channels, rows, columns)", Unsuited::Loops => "layers without loops: a layer feeds itself or an earlier one" })]
    Unsuited {
        /// The strategy.
        partitioner: String,
        /// What the network lacks.
        why: Unsuited,
    },
    /// An option that means nothing for the target's family.
    #[error("{option} means nothing for target {target}, a chip of the family {family}")]
    Option {
        /// Option.
        option: &'static str,
        /// Target.
        target: String,
        /// Name of its family.
        family: &'static str,
    },
    /// A network in registers for a family that has others.
    #[error("the network is in registers of packed chips (Loihi); target {target} is of the family {family}")]
    Registers {
        /// Target.
        target: String,
        /// Name of its family.
        family: &'static str,
    },
    /// More axons a source than there are types, or none.
    #[error("axons a source: found {found}, expected 1 to {most}")]
    AxonsPerSource {
        /// Axons asked for.
        found: u32,
        /// Types of axons.
        most: u32,
    },
    /// The target contradicts itself.
    #[error("the target contradicts itself: {}", .0.join("; "))]
    Target(Vec<String>),
    /// A vote over groups that do not divide the outputs.
    #[error("decoder vote:{group}: found {outputs} outputs, expected a multiple of {group}")]
    Vote {
        /// Outputs of a group.
        group: u32,
        /// Outputs of the network.
        outputs: usize,
    },
    /// Nothing reaches the output.
    #[error("no neuron of the output population {0} can ever be reached: nothing is left to compile")]
    NothingLeft(String),
    /// Not a well-formed net.
    #[error(transparent)]
    Net(#[from] NetError),
    /// An option of quantizing.
    #[error(transparent)]
    Quantize(#[from] QuantizeError),
    /// The target can't hold it: all errors, sorted, at least one.
    #[error("the network does not fit the target: {}", finding::first(.0))]
    Findings(Vec<Finding>),
}

impl CompileError {
    /// A remedy.
    pub fn hint(&self) -> String {
        match self {
            CompileError::Partitioner(_) => format!("one of: {}", PARTITIONERS.join(", ")),
            CompileError::Unsuited { .. } => "use --partitioner portfolio, which takes what suits, or overlap".into(),
            CompileError::Option { option, .. } => format!("leave {option} out, or choose another target: `spikec target list`"),
            CompileError::Registers { .. } => "give the network in floats, or choose a target of the packed family".into(),
            CompileError::AxonsPerSource { .. } => "an axon has one type; a source may enter a core by one axon of each".into(),
            CompileError::Target(_) => "`spikec target check` lists every contradiction".into(),
            CompileError::Vote { .. } => "choose a group size that divides the outputs".into(),
            CompileError::NothingLeft(_) => {
                "the network's weights do not connect inputs to outputs; --keep-dead compiles it all the same".into()
            }
            CompileError::Net(e) => e.hint(),
            CompileError::Quantize(e) => e.hint(),
            CompileError::Findings(findings) => findings[0].remedy.clone(),
        }
    }
    /// The findings behind it.
    pub fn findings(&self) -> &[Finding] {
        match self {
            CompileError::Findings(findings) => findings,
            _ => &[],
        }
    }
    /// True when the target's family has no meaning for what was given: another chip may take it.
    pub fn of_target(&self) -> bool {
        matches!(self, CompileError::Option { .. } | CompileError::Registers { .. } | CompileError::AxonsPerSource { .. })
    }
    /// True when the network is well-formed but the target can't hold it.
    pub fn does_not_fit(&self) -> bool {
        !self.findings().is_empty()
    }
    /// The first finding that fewer synapses and neurons would not mend: what no register of the chip can be, or can hold.
    pub fn beyond_registers(&self) -> Option<&Finding> {
        let registers = ["C10", "C11", "C12", "C13", "C14", "C17"];
        self.findings().iter().find(|f| f.severity == Severity::Error && registers.contains(&f.code))
    }
}

/// A bundle with its report.
#[derive(Debug)]
pub struct Compiled {
    /// The bundle.
    pub bundle: Bundle,
    /// What was done.
    pub report: CompileReport,
    /// Which neurons are on which core, to be edited and used again.
    pub placement: Placement,
}

/// What a compilation did.
#[derive(Debug, Clone, Serialize)]
pub struct CompileReport {
    /// Network.
    pub network: String,
    /// Target.
    pub target: String,
    /// Cores used.
    pub cores: u32,
    /// Cores of the board.
    pub board_cores: u32,
    /// Neurons on the chip.
    pub neurons: u64,
    /// Neurons as trained.
    pub trained_neurons: u64,
    /// Synapses on the chip.
    pub synapses_on_chip: u64,
    /// Terms of linear maps that the host computes: not deployed.
    pub host_terms: u64,
    /// Words of synaptic memory.
    pub memory_words: u64,
    /// Words of each projection, in the order of `quantization.projections`; they add up to `memory_words`.
    pub projection_words: Vec<u64>,
    /// Lists that several input axons of a core read; none where no core shares words.
    pub shared: Option<SharedReport>,
    /// Bits of synaptic memory for one synapse.
    pub bits_per_synapse: Option<f64>,
    /// Largest skew: a sample of T network steps takes T + this many chip steps.
    pub max_skew: u32,
    /// Layers.
    pub layers: Vec<LayerReport>,
    /// Cores in the order of their physical numbers.
    pub core_usage: Vec<CoreUsage>,
    /// Lower bounds of the number of cores.
    pub lower_bounds: Vec<Bound>,
    /// Why these cores and not one less.
    pub certificate: Explanation,
    /// What is special to a crossbar; none for other families.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crossbar: Option<CrossbarReport>,
    /// What is special to an event crossbar; none for other families.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<EventReport>,
    /// Copies of neurons and what they do; none without copies.
    pub copies: Option<CopiesReport>,
    /// The fullest resource of all cores.
    pub binds: Option<Usage>,
    /// What lowering did.
    pub lowering: LowerReport,
    /// What quantizing did.
    pub quantization: QuantizeReport,
    /// Warnings.
    pub warnings: Vec<Finding>,
}

impl CompileReport {
    /// Bytes of a packed chip's memory that the network takes: of its synaptic memory, whole words; where the cores have a budget of bytes (C27), all that
    /// is charged to it: program, neurons, axons and words of the cores that are used.
    pub fn memory_bytes(&self, target: &Target) -> u64 {
        let packed = target.packed();
        if spikec_chip::cost::budget(&packed.core).is_some() {
            return self.core_usage.iter().flat_map(|c| &c.resources).filter(|u| u.code == "C27").map(|u| u.used).sum();
        }
        self.memory_words * u64::from(*packed.synapse_memory.word_bits) / 8
    }
}

/// Words that input axons share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SharedReport {
    /// Cores that share words.
    pub cores: u32,
    /// Lists that several input axons read.
    pub lists: u64,
    /// Their words.
    pub words: u64,
    /// Input axons that read them.
    pub in_axons: u64,
    /// Words that these would take with a list each.
    pub unshared_words: u64,
}

impl SharedReport {
    fn of(partitioned: &Partitioned) -> Option<SharedReport> {
        let mut all = SharedReport::default();
        for part in partitioned.parts() {
            let shared = || part.pack.lists.iter().filter(|l| l.readers > 1);
            all.cores += u32::from(shared().next().is_some());
            for list in shared() {
                let (words, readers) = (u64::from(list.words), u64::from(list.readers));
                all.lists += 1;
                all.words += words;
                all.in_axons += readers;
                all.unshared_words += words * readers;
            }
        }
        (all.lists > 0).then_some(all)
    }
}

/// A population of neurons.
#[derive(Debug, Clone, Serialize)]
pub struct LayerReport {
    /// Name.
    pub name: String,
    /// Neurons as trained; 0 for relays.
    pub trained: u64,
    /// Neurons on the chip.
    pub neurons: u64,
    /// Synapses into it on the chip.
    pub synapses_on_chip: u64,
    /// Host terms into it.
    pub host_terms: u64,
    /// Cores that hold some of it.
    pub cores: u32,
    /// Skew in chip steps.
    pub skew: u32,
}

/// Resources of a core.
#[derive(Debug, Clone, Serialize)]
pub struct CoreUsage {
    /// Physical core.
    pub core: u32,
    /// Need and limit of each resource.
    pub resources: Vec<Usage>,
}

/// What the stages made, with everything that stands in the way of a bundle.
struct Stages {
    q: Quantized,
    lowering: LowerReport,
    quantization: QuantizeReport,
    /// `None` only if there is a finding that is an error.
    placed: Option<Placed>,
    copies: Option<CopiesReport>,
    /// Made where it was asked for.
    certificate: OnceCell<Certificate>,
    /// Errors and warnings, sorted.
    findings: Vec<Finding>,
}

/// Refuses options that mean nothing for the family.
pub(crate) fn family_options(target: &Target, options: &CompileOptions) -> Result<(), CompileError> {
    let (crossbar, packed) = (matches!(target.family, Family::Crossbar(_)), matches!(target.family, Family::Packed(_)));
    let given = [("--axons-per-source", options.axons_per_source.is_some() && !crossbar), ("--drop-inputs", options.drop_inputs && packed)];
    match given.into_iter().find(|(_, set)| *set) {
        Some((option, _)) => Err(CompileError::Option { option, target: target.name.clone(), family: target.family.name() }),
        None => Ok(()),
    }
}

/// Runs every stage; none stops at what the target can't hold.
fn stages(input: Input, target: &Target, options: &CompileOptions, progress: &mut dyn FnMut(&str)) -> Result<Stages, CompileError> {
    let contradictions: Vec<String> = target.check().iter().map(|f| f.to_string()).collect();
    if !contradictions.is_empty() {
        return Err(CompileError::Target(contradictions));
    }
    family_options(target, options)?;
    if !PARTITIONERS.contains(&options.partitioner.as_str()) {
        return Err(CompileError::Partitioner(options.partitioner.clone()));
    }
    let lower_options = options.lowering();
    progress("lowering");
    let (q, mut lowering, mut quantization, mut findings, timed) = match input {
        Input::Trained { net, digest } => {
            if let Some((layer, _)) = options.layer_bits.iter().find(|(layer, _)| !net.projections.iter().any(|p| p.name == *layer)) {
                let names = net.projections.iter().map(|p| p.name.clone()).collect();
                return Err(QuantizeError::Layer { found: layer.clone(), names }.into());
            }
            let lowered = lower_all(net.clone(), target, &lower_options)?;
            progress("quantizing");
            let quantizing = QuantizeOptions {
                weight_bits: options.weight_bits,
                layer_bits: options.layer_bits.clone(),
                signs: options.signs,
                method: options.quantizer,
                tune: options.tune,
                comparable_outputs: options.decoder == DecoderKind::Potential,
                soft_reset: options.soft_reset,
            };
            let guide = Guide { samples: &options.calibration, steps: options.default_steps, teacher: options.teacher.as_deref() };
            let (q, mut report) = reconstruct_all(&lowered.net, digest, target, &quantizing, &guide)?;
            measure_soft_resets(&mut report.findings, net, target, &options.calibration, options.default_steps, options.decoder.into());
            (q, lowered.report, report, lowered.findings, lowered.timed)
        }
        Input::Registers { net, digest } => {
            let lowered = lower_all(net.clone(), target, &lower_options)?;
            let (q, report) = adopt_all(lowered.net, digest, target);
            (q, lowered.report, report, lowered.findings, lowered.timed)
        }
    };
    let (q, relayed) = if timed { relay::insert(q, target) } else { (q, Ok(RelayReport::default())) };
    lowering.relays = relayed.unwrap_or_else(|beyond| {
        findings.extend(beyond);
        RelayReport::default()
    });
    quantization.add_relays(&q.net, &lowering.relays);
    quantization.findings.extend(lowering.relays.warnings(&q.net));
    let output = q.net.population(q.net.output);
    if output.is_empty() {
        return Err(CompileError::NothingLeft(output.name.clone()));
    }
    votes(&q.net, options.decoder)?;
    progress("partitioning");
    let delays_found = !findings.is_empty();
    findings.extend(quantization.findings.iter().cloned());
    findings.extend(board_findings(&q, target, options.kernels));
    suits(&options.partitioner, &q, target).map_err(|why| CompileError::Unsuited { partitioner: options.partitioner.clone(), why })?;
    let (pinned, pin_findings) = pins::resolve(&q, target, &options.pins);
    let contradicted = !pin_findings.is_empty();
    findings.extend(pin_findings);
    let search = Search {
        effort: options.effort,
        seed: options.seed,
        rates: if timed { rates::measure(&q, target, &options.calibration, options.default_steps) } else { Vec::new() },
        pins: if contradicted { Vec::new() } else { pinned },
        copies: options.copies,
        kernels: options.kernels,
    };
    let certificate = OnceCell::new();
    let wide = too_wide(&q, &Wiring::new(&q, target, options.kernels), target);
    let placed = match &options.placement {
        // No search finds a core for these.
        _ if !wide.is_empty() => Err(FitError { findings: wide }),
        Some(placement) => placement.apply(&q, target, &search.pins, options.kernels),
        None => {
            let strategies = partitioners(&options.partitioner, &search, q.net.synapse_count()).expect("the name is known");
            choose(&q, target, &strategies, &search, &|| {
                certificate.get_or_init(|| explain::certificate(&q, target, false, options.kernels)).best
            })
        }
    };
    let search_copies = options.copies == Copies::Auto && options.placement.is_none();
    let (placed, without) = match placed {
        Ok(placed) if search_copies && timed => {
            let (placed, without) = copies::improve(&q, placed, target, &search, options.default_steps);
            (Ok(placed), without)
        }
        other => (other, None),
    };
    let placed = match placed {
        Ok(placed) => Some(placed),
        Err(e) => {
            // Where lowering found the delays by projection, what they do to each core is nothing new.
            let new = |f: &Finding| !(f.code == "C11" && delays_found && (f.core.is_none() || f.resource == usage::DELAY_REGISTER));
            findings.extend(e.findings.into_iter().filter(new));
            None
        }
    };
    // Without skews, delays mean nothing: a partition that fits proves nothing.
    let placed = placed.filter(|_| timed);
    let copies = placed.as_ref().and_then(|placed| copies::report(&q, placed, target, &search, options.default_steps, without));
    finding::sort(&mut findings);
    findings.dedup();
    Ok(Stages { q, lowering, quantization, placed, copies, certificate, findings })
}

/// Resources of the whole board that are too few whatever the partition (C16).
fn board_findings(q: &Quantized, target: &Target, kernels: Kernels) -> Vec<Finding> {
    let cores = u64::from(target.total_cores());
    let beyond = lower_bounds(q, target, kernels).into_iter().filter(|bound| bound.cores > cores);
    beyond
        .map(|bound| {
            let resource = format!("{} of the whole board", bound.resource);
            let limit = (bound.per_core * cores) as f64;
            Finding::error("C16", resource, bound.need as f64, limit, usage::remedy("C16"))
        })
        .collect()
}

/// Compiles; `progress` hears the name of each stage as it starts.
pub fn compile(input: Input, target: &Target, options: &CompileOptions, progress: &mut dyn FnMut(&str)) -> Result<Compiled, CompileError> {
    match &target.family {
        Family::Packed(_) => {}
        Family::Crossbar(spec) => return crossbar::compile(input, target, spec, options, progress),
        Family::EventCrossbar(spec) => return event::compile(input, target, spec, options, progress),
    }
    let Stages { q, lowering, quantization, placed, copies, certificate, findings } = stages(input, target, options, progress)?;
    if let Some(errors) = finding::errors(&findings) {
        return Err(CompileError::Findings(errors));
    }
    let placed = placed.expect("a partition that is refused, or that has no skews, has a finding");
    progress("emitting");
    let host = HostOptions { encoder: options.encoder.clone(), decoder: options.decoder, default_steps: options.default_steps };
    let provenance = provenance(&q.net.name, q.network_digest, options, (&lowering, quantization.tuned.is_some()), &[]);
    let bundle = emit(&q, &placed, target, host, provenance);
    // With copies, output axons may be on other cores than the neuron: bounds that take them for the neuron's core say nothing then.
    let found = certificate.into_inner().filter(|_| copies.is_none());
    let certificate = found.unwrap_or_else(|| explain::certificate(&q, target, copies.is_some(), options.kernels));
    let report = CompileReport { copies, ..report(&q, &placed, target, lowering, quantization, certificate) };
    let placement = Placement::of(&q, &placed, target);
    Ok(Compiled { bundle, report, placement })
}

/// Everything that stands in the way of a compilation, and every warning; sorted. Empty of errors = it fits.
///
/// A register that the target can't hold is counted as the nearest that it can, and a loop that it can't time as it is, so that the
/// findings of one stage don't hide those of the next.
///
/// # Errors
/// What makes the question meaningless: a bad option, a target that contradicts itself, a net that is none.
pub fn check(input: Input, target: &Target, options: &CompileOptions) -> Result<Vec<Finding>, CompileError> {
    match &target.family {
        Family::Packed(_) => {}
        Family::Crossbar(spec) => return crossbar::check(input, target, spec, options),
        Family::EventCrossbar(spec) => return event::check(input, target, spec, options),
    }
    Ok(stages(input, target, options, &mut |_| ())?.findings)
}

fn report(
    q: &Quantized,
    placed: &Placed,
    target: &Target,
    lowering: LowerReport,
    quantization: QuantizeReport,
    certificate: Certificate,
) -> CompileReport {
    let net = &q.net;
    let partitioned = placed.partitioned();
    let words: u64 = partitioned.parts().iter().map(|p| p.pack.words()).sum();
    let synapses = net.synapse_count() as u64;
    let layers = layer_reports(net, lowering.populations.len(), &|id, k| partitioned.place(id, k).map(|(part, _)| part));
    let core_usage: Vec<CoreUsage> = placed
        .parts_by_core()
        .into_iter()
        .map(|part| CoreUsage { core: placed.core(part), resources: partitioned.parts()[part as usize].usage.clone() })
        .collect();
    // Tables that are small by nature (profiles, formats, entries) are full without binding anything.
    let binds = fullest(&core_usage, |u| ["C01", "C02", "C03", "C05", "C11", "C27"].contains(&u.code));
    let warnings = quantization.findings.iter().filter(|f| f.severity == Severity::Warning).cloned().collect();
    CompileReport {
        network: net.name.clone(),
        target: target.name.clone(),
        cores: core_usage.len() as u32,
        board_cores: target.total_cores(),
        neurons: net.neuron_count() as u64,
        trained_neurons: net.populations[..lowering.populations.len()]
            .iter()
            .filter(|p| !p.is_input())
            .map(|p| p.trained_len() as u64)
            .sum(),
        synapses_on_chip: synapses,
        host_terms: net.host_term_count() as u64,
        memory_words: words,
        projection_words: lowering.relays.by_projection(words_by_projection(q, partitioned, target)),
        shared: SharedReport::of(partitioned),
        bits_per_synapse: (synapses > 0).then(|| words as f64 * f64::from(*target.packed().synapse_memory.word_bits) / synapses as f64),
        max_skew: net.max_skew(),
        layers,
        certificate: explain::explain(certificate, &core_usage),
        core_usage,
        lower_bounds: lower_bounds(q, target, partitioned.kernels()),
        crossbar: None,
        event: None,
        copies: None,
        binds,
        lowering,
        quantization,
        warnings,
    }
}
