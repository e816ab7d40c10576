//! The image check: does the image implement the network? No step is simulated.
//!
//! # The argument
//!
//! The bundle says two things: bits (with a host section) that decide what the chip does, and a reference section, a net in registers,
//! that decides what it should do. The user gives a third: the network. Two equalities make a proof.
//!
//! (a) **Bits = reference.** The state of the chip is u, v, the refractory counter and the delay slots of each compartment. All of it is
//! driven by (1) the compartment's registers, (2) the spikes that reach its input axons, through the synapses stored there,
//! and (3) the host's writes. Say that each compartment is one neuron's, and each neuron has one compartment of its own and perhaps others, its
//! *copies*. If (1) each compartment's
//! decays, threshold and refractory period are its neuron's, (2) for each compartment, the multiset of (pre, mantissa, exponent, delay register) that one gets
//! by following every output axon and every host channel to the entries that it reads, each synapse acting on its index plus the base of the input axon, pre being the neuron of the compartment that sends, is the multiset of the
//! reference's synapses into its neuron, with delay register = net delay + skew(post) - skew(pre) - hop, and (3) the host writes each compartment's bias before the chip step
//! skew(p) of its population and computes it from the same terms in the same order, then by induction over chip
//! steps, compartment c in chip step t + skew(p) is in the state of its neuron in network step t, and it does not matter which compartment of a neuron a message comes from: for t = 0 both are zero (the host clears the
//! core; before skew(p) no bias is set and, since every chip delay is at least the hop, nothing has arrived), and a step maps equal states and equal
//! inputs to equal states (docs/semantics.md, section 3, is the law of both). Sums of integers don't
//! depend on the order of synapses, so the multiset is all that matters. Zeros add zero (only filler and zeros of the reference may be stored). An input axon fed by two sources would add
//! what no pair of neurons has, and one fed by none is memory without meaning: both are differences. A list that several input axons share is read once for each, with its base: the multiset is that of what is read, not of what is stored. So are two compartments of a neuron that serve the same core, and a copy that serves none. Every record must be in
//! use and every bit must be what its tables encode to; what is not explained is reported. The decoder reads the compartments of the
//! output population in chip steps skew .. skew + T, which are network steps 0 .. T, and so its answer is the reference's.
//!
//! Neurons of the reference after those of the network are **relays** or a difference. A relay has one synapse, whose weight passes its threshold at once,
//! no bias and no refractory period, and keeps nothing of it: it repeats a spike after the synapse's delay (docs/semantics.md, section 7). So a synapse from a relay is one from
//! what the relay repeats, with both delays added; with every one of them replaced, no relay reaches anything, and the rest is compared.
//!
//! A neuron of which a spike takes the threshold is one whose potential is in u, with v its copy, and synapses onto itself that take the threshold in the
//! next step (docs/semantics.md, section 9). With these replaced by a neuron that subtracts, the rest is compared.
//!
//! (b) **Reference = network.** For a network in registers everything is equal, but for dead neurons: one that no
//! input, host map or constant source reaches, or that reaches no output, can't change an output, and `spikec_net::live` on the *given* net must
//! say so. For a network in floats every register is the nearest to the float it stands for, within bounds that are stated here or declared by the bundle:
//! with `v' = (v - v_reset) * v_units`, the float step of docs/semantics.md becomes the register step, if
//! mantissa * 2^(exponent + align_shift) = w * gain * v_units, threshold * 2^threshold_shift = (threshold - v_reset) * v_units,
//! decay = 4096 * (1 - keep), and bias = (bias - (1 - keep_v) * v_reset) * v_units. The check bounds the distance of each. A register has a range, and the
//! nearest that it holds to an ideal beyond it is the range's end: for weights the largest or smallest mantissa that the format of the projection holds and the
//! accumulator's limit doesn't clip, on the ideal's side of zero (a format without the ideal's sign has no end for it). So every weight is bounded by half a grid step, clipped or
//! not, and one that moves a step is found even among clipped ones. How many weights are clipped, and how far, follows from the scales that the bundle chose; it is
//! counted in [`Rounding`], not judged. What rounding and clipping do to accuracy is measured (`loss`), not proved.
//!
//! Together: the image steps as the reference, and the reference is the given network, exactly or within the stated rounding. The
//! choices that no network holds (target, encoder kind, decoder kind, steps) are part of the statement: [`Choices`] names them.
//!
//! That is the packed family's argument. Those of the crossbars are in `crossbar` and `event`: other state, other wires, the same two parts.
//!
//! In: a bundle and the network as given. Out: [`ImageVerdict`]. Invariant: nothing of the compiler is used. Cost: linear in the
//! synapses, and their sort. Why: a compiler that grades itself proves nothing.

use crate::choices::Choices;
use crate::difference::{At, Differences, Field, Side};
use crate::family::reference;
use crate::owners::{Owners, Seats};
use crate::resolve;
use crate::wellformed::Malformed;
use crate::{crossbar, event, given, host, records};
use serde::Serialize;
use spikec_chip::bundle::Bundle;
use spikec_chip::codec::CodecError;
use spikec_chip::crossbar::CrossbarError;
use spikec_chip::event::EventError;
use spikec_chip::target::Family;
use spikec_net::{Fixed, FixedRules, Float, Net, NetError, Quantized, Scaling};
use spikec_sim::MAX_SHARED;
use thiserror::Error;

/// The network that the image shall implement.
#[derive(Debug, Clone, Copy)]
pub enum Given<'a> {
    /// Floats: elaborated, and with its inputs coded as the bundle's encoder says.
    Trained {
        /// The net.
        net: &'a Net<Float>,
        /// Digest of the network as read (`Network::digest`).
        digest: [u8; 32],
    },
    /// Registers.
    Registers {
        /// The net.
        net: &'a Net<Fixed>,
        /// Its digest (`Net::digest`).
        digest: [u8; 32],
    },
}

impl Given<'_> {
    pub(crate) fn digest(&self) -> [u8; 32] {
        match self {
            Given::Trained { digest, .. } | Given::Registers { digest, .. } => *digest,
        }
    }
}

/// Why the check can't be made.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// The target contradicts itself.
    #[error("target: {0}")]
    Target(spikec_chip::TargetFinding),
    /// An image of another family than the target.
    #[error("the image is of the family {image}, the target of the family {target}")]
    Family {
        /// Family of the image.
        image: &'static str,
        /// Family of the target.
        target: &'static str,
    },
    /// A core of the crossbar family can't be decoded.
    #[error(transparent)]
    Crossbar(CrossbarError),
    /// An event crossbar can't be decoded.
    #[error(transparent)]
    Event(EventError),
    /// A core's bits can't be decoded.
    #[error("core {core}: {source}")]
    Decode {
        /// Physical core.
        core: u32,
        /// Why.
        source: CodecError,
    },
    /// Cores don't ascend.
    #[error("core {core} stands after core {after}, expected ascending cores")]
    CoreOrder {
        /// Physical core.
        core: u32,
        /// The one before it.
        after: u32,
    },
    /// Input axons that share lists read more than can be compared.
    #[error("input axons that share lists read {found} synapses beyond those that are stored, at most {limit} are compared")]
    SharedLists {
        /// Synapses.
        found: u64,
        /// Most that are compared.
        limit: u64,
    },
    /// The reference section can't be read.
    #[error("the reference section can't be read: {0}")]
    Reference(String),
    /// The reference section is no net.
    #[error("reference section: {0}")]
    MalformedReference(NetError),
    /// The reference section has registers that the target has not.
    #[error("reference section: {0}")]
    Registers(Malformed),
    /// The given network is no net.
    #[error("given network: {0}")]
    MalformedNetwork(NetError),
    /// The network is of another kind than the one that the bundle was compiled from.
    #[error("the given network is in {given}, the bundle was compiled from one in {compiled}")]
    Kind {
        /// `floats` or `registers`.
        given: &'static str,
        /// The other.
        compiled: &'static str,
    },
    /// The simulator refuses a sample.
    #[error("sample {sample}: {message}")]
    Sample {
        /// Sample.
        sample: usize,
        /// Why.
        message: String,
    },
    /// The reference interpreter refuses a net.
    #[error("reference interpreter: {0}")]
    Interpreter(String),
    /// A sample's length is not known.
    #[error("sample {sample}: the number of network steps is not known")]
    Steps {
        /// Sample.
        sample: usize,
    },
    /// A sample has another width than the net.
    #[error("sample {sample}: found {found} input channels, expected {expected}")]
    Width {
        /// Sample.
        sample: usize,
        /// Width of the sample.
        found: u32,
        /// Width of the net's inputs.
        expected: u64,
    },
    /// A sample is of another kind than the net's inputs.
    #[error("sample {sample}: found {found}, expected {expected}")]
    SampleKind {
        /// Sample.
        sample: usize,
        /// `spikes` or `values`.
        found: &'static str,
        /// The other.
        expected: &'static str,
    },
    /// A relayed channel spikes more than once in a step.
    #[error("sample {sample}: channel {channel} spikes more than once in step {step}, and relays repeat it once")]
    Repeated {
        /// Sample.
        sample: usize,
        /// Channel, counted over all spike inputs.
        channel: u32,
        /// Network step.
        step: u32,
    },
    /// The float net has other populations than the reference.
    #[error("the float net has {found} populations, the reference {expected}, or their neurons don't match")]
    Populations {
        /// Of the float net.
        found: usize,
        /// Of the reference.
        expected: usize,
    },
    /// Another number of labels than samples.
    #[error("found {found} labels, expected {expected}")]
    Labels {
        /// Labels.
        found: usize,
        /// Samples.
        expected: usize,
    },
}

impl VerifyError {
    /// A remedy.
    pub fn hint(&self) -> String {
        match self {
            VerifyError::Target(finding) => finding.hint(),
            VerifyError::Decode { .. }
            | VerifyError::Crossbar(_)
            | VerifyError::Event(_)
            | VerifyError::Family { .. }
            | VerifyError::CoreOrder { .. }
            | VerifyError::Reference(_)
            | VerifyError::MalformedReference(_)
            | VerifyError::Registers(_) => "the bundle is damaged or was written by another version: compile it again".into(),
            VerifyError::SharedLists { .. } => "compile with --kernels unrolled".into(),
            VerifyError::MalformedNetwork(_) => "the network's file is damaged or its reader has a bug".into(),
            VerifyError::Kind { compiled, .. } => format!("give the network in {compiled} that the bundle was compiled from"),
            VerifyError::Sample { .. } => "check the data file against the network's inputs".into(),
            VerifyError::Interpreter(_) => "the network has a cycle without delay, or its inputs and outputs don't fit".into(),
            VerifyError::Steps { .. } => "give --steps T".into(),
            VerifyError::Width { .. } => "give data of the network's input width".into(),
            VerifyError::SampleKind { expected, .. } => format!("give a data file with {expected}, or compile with another --input-coding"),
            VerifyError::Repeated { .. } => "give data in which a relayed channel spikes at most once in a step".into(),
            VerifyError::Populations { .. } => "give the network that the bundle was compiled from".into(),
            VerifyError::Labels { .. } => "give one label for each sample".into(),
        }
    }
}

/// What was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Checked {
    /// Cores decoded.
    pub cores: u64,
    /// Compartments compared with a neuron.
    pub compartments: u64,
    /// Of these, copies: the same neuron in another core.
    pub copies: u64,
    /// Synapses followed through axons and compared.
    pub synapses: u64,
    /// Terms of host maps compared.
    pub host_terms: u64,
    /// Bias writes compared.
    pub bias_writes: u64,
    /// Spiking input channels compared.
    pub input_channels: u64,
    /// Synapses of the given network between kept neurons, compared with the reference.
    pub given_synapses: u64,
    /// Neurons and channels of the given network that were removed, each shown dead.
    pub removed_neurons: u64,
    /// Neurons of the reference that only repeat others, each shown to.
    pub relays: u64,
    /// Synapses of the given network that the bundle declares to lack, for a core has no axons for them.
    pub dropped: u64,
    /// Neurons of the reference from whose current a spike takes the threshold, each shown to be one whose potential it takes it from.
    pub soft: u64,
}

/// Distances that rounding made, for a network in floats; 0 for registers.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Rounding {
    /// The largest distance of a weight that the bundle declares, in grid steps.
    pub declared_steps: f64,
    /// The largest move of a bias that the bundle declares, in float units of v: reconstruction makes up for errors of weights.
    pub declared_bias: f64,
    /// Largest distance of a bias from its ideal, in float units of v.
    pub bias_moved: f64,
    /// Largest distance of a weight mantissa from its ideal in the format's range, in grid steps (of a crossbar's weight: in integers).
    pub weight_steps: f64,
    /// Weights whose ideal is more than half a grid step beyond the format's range; its end stands for them.
    pub clipped_weights: u64,
    /// Largest distance of an ideal from the format's range, in grid steps.
    pub clip_steps: f64,
    /// Largest distance of a threshold, in register steps (on crossbars: from the nearest threshold that is the same for integers).
    pub threshold_steps: f64,
    /// Largest distance of a decay, in register steps.
    pub decay_steps: f64,
    /// Constant biases beyond the largest register, which stands for them.
    pub saturated_biases: u64,
    /// Neurons of a crossbar whose negative threshold, which stands for none, a long enough sample might reach.
    pub reachable_floors: u64,
    /// What neurons that lack declared synapses lost of their squared weights, as a share of all of them.
    pub dropped_share: f64,
}

/// Result of the image check.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImageVerdict {
    /// The first differences, in the order of the checks.
    pub differences: Vec<crate::difference::Difference>,
    /// All differences, counted.
    pub total: u64,
    /// What was compared.
    pub checked: Checked,
    /// Distances that rounding made.
    pub rounding: Rounding,
    /// The choices under which the statement holds.
    pub choices: Choices,
}

impl ImageVerdict {
    /// True when nothing differs.
    pub fn holds(&self) -> bool {
        self.total == 0
    }
}

/// Part (a): bits and host section against the reference net. False where the reference has so many more synapses than the image that nothing should list
/// them, which has been reported.
pub(crate) fn compare_with_reference(
    bundle: &Bundle,
    quantized: &Quantized,
    differences: &mut Differences,
    checked: &mut Checked,
) -> Result<bool, VerifyError> {
    let net = &quantized.net;
    compare_rules(net, bundle, differences);
    let tables = resolve::decode(bundle)?;
    checked.cores = tables.len() as u64;
    resolve::bounded(&tables, MAX_SHARED, resolve::CORE_SHARED)?;
    host::compare_symbols(bundle, quantized, differences);
    let cores: Vec<(u32, usize)> = tables.iter().map(|t| (t.core, t.compartments.len())).collect();
    let owners = Owners::new(bundle, net, Seats { cores: &cores, beside: false }, differences);
    records::check_records(bundle, &tables, differences);
    checked.copies = owners.copy_count();
    checked.compartments = resolve::compare_compartments(net, &tables, &owners, differences);
    let feeds = resolve::feeds(bundle, net, &tables, &owners, differences);
    let synapses = resolve::compare_synapses((net, &bundle.target), &tables, (&owners, &feeds), differences);
    checked.synapses = synapses.unwrap_or(0);
    host::compare_host(bundle, net, &owners, differences, checked);
    Ok(synapses.is_some())
}

/// The widths by which the reference computes are the target's.
fn compare_rules(net: &Net<Fixed>, bundle: &Bundle, differences: &mut Differences) {
    let spec = bundle.target.packed();
    let target = FixedRules {
        align_shift: *spec.weights.align_shift,
        weight_limit_bits: *spec.weights.limit_bits,
        input_bits: *spec.neuron.input_bits,
        u_bits: *spec.neuron.u_bits,
        v_min: *spec.neuron.v_min,
        v_max: *spec.neuron.v_max,
        threshold_shift: *spec.neuron.threshold_shift,
    };
    let text = |rules: &FixedRules| format!("{rules:?}");
    differences.compare(Side::Image, Field::Rules, text(&net.rules), text(&target), At::default);
}

/// The image check. An `Err` is a bundle (or a given network) that can't be compared at all; a verdict with differences is one that was.
pub fn check_image(bundle: &Bundle, given: &Given) -> Result<ImageVerdict, VerifyError> {
    match bundle.target.family {
        Family::Packed(_) => check_packed(bundle, given),
        Family::Crossbar(_) => crossbar::check(bundle, given),
        Family::EventCrossbar(_) => event::check(bundle, given),
    }
}

fn check_packed(bundle: &Bundle, given: &Given) -> Result<ImageVerdict, VerifyError> {
    let quantized = reference::<Fixed>(bundle)?;
    let (mut differences, mut checked, mut rounding) = (Differences::default(), Checked::default(), Rounding::default());
    let populations = match given {
        Given::Trained { net, .. } => net.check().map(|()| net.populations.len()),
        Given::Registers { net, .. } => net.check().map(|()| net.populations.len()),
    };
    let populations = populations.map_err(VerifyError::MalformedNetwork)?;
    let comparable = compare_with_reference(bundle, &quantized, &mut differences, &mut checked)?;
    given::compare_digest(&quantized, given, &mut differences);
    if !comparable {
        // Whatever lists the synapses of such a reference takes more memory than any bundle that holds them.
        return Ok(verdict(bundle, &quantized, differences, checked, rounding));
    }
    // Few synapses enough to store them again as they would be written.
    if let Some(p) = quantized.net.projections.iter().find(|p| !p.synapses.is_canonical()) {
        return Err(VerifyError::Reference(format!("projection {}: its synapses are not stored as they would be written", p.name)));
    }
    let contracted = given::relays::contract(&quantized, populations, &mut Default::default(), &mut differences, &mut checked);
    let contracted = match given {
        Given::Trained { net, .. } => contracted.and_then(|q| given::soft::contract(q, net, &mut differences, &mut checked)),
        Given::Registers { .. } => contracted,
    };
    let contracted = contracted.as_deref();
    match (given, &quantized.scaling) {
        (Given::Trained { net, .. }, Scaling::Scaled { .. }) => {
            let net = &*given::lagged(net, &bundle.provenance.options, &mut differences);
            if let Some(Quantized { net: reference, scaling: Scaling::Scaled { v_units, deviation_steps, bias_deviation }, .. }) =
                contracted
            {
                let scales = given::trained::Scales {
                    v_units,
                    deviation_steps: *deviation_steps,
                    bias_deviation: *bias_deviation,
                    leak: bundle.provenance.options.iter().any(|(name, value)| (name.as_str(), value.as_str()) == ("reset", "leak")),
                };
                given::trained::compare(net, reference, &scales, &bundle.target, &mut differences, &mut checked, &mut rounding);
            }
        }
        (Given::Registers { net, .. }, Scaling::Exact) => {
            let net = &*given::lagged(net, &bundle.provenance.options, &mut differences);
            if let Some(Quantized { net: reference, .. }) = contracted {
                given::registers::compare(net, reference, &mut differences, &mut checked);
            }
        }
        (Given::Trained { .. }, Scaling::Exact) => return Err(VerifyError::Kind { given: "floats", compiled: "registers" }),
        (Given::Registers { .. }, Scaling::Scaled { .. }) => return Err(VerifyError::Kind { given: "registers", compiled: "floats" }),
    }
    Ok(verdict(bundle, &quantized, differences, checked, rounding))
}

fn verdict(bundle: &Bundle, quantized: &Quantized, differences: Differences, checked: Checked, rounding: Rounding) -> ImageVerdict {
    let choices = Choices::of(bundle, quantized);
    ImageVerdict { differences: differences.kept, total: differences.total, checked, rounding, choices }
}

#[cfg(test)]
#[path = "image_tests.rs"]
mod tests;
