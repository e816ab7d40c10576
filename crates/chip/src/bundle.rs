//! The bundle: one self-contained file that a loader, a simulator and a verifier read.
//!
//! Invariant: what the simulator needs is in [`Loadable`]; the reference section is bytes that this crate can't read.

use crate::image::Image;
use crate::target::Target;
use serde::{Deserialize, Serialize};
use spikec_data::Decode;

/// Where an input channel's spikes go, or an output neuron sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Physical core.
    pub core: u32,
    /// Input axon or compartment of that core.
    pub index: u16,
}

/// A linear map that the host computes for each sample; its sums become bias registers.
///
/// For target k: `sum = constants[k] + sum over ascending terms of weight * value[channel]` in f64 without fused
/// multiply-add; bias in v units = round half to even of `sum * gains[k]`, then `host::bias_register`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostMap {
    /// Name of the projection.
    pub name: String,
    /// First analog channel of this map's input in the sample's values.
    pub first_channel: u32,
    /// Network steps of delay before a frame acts.
    pub delay_steps: u32,
    /// Compartment of each target.
    pub targets: Vec<Place>,
    /// `offsets[k]..offsets[k + 1]` are the terms of target k.
    pub offsets: Vec<u32>,
    /// Channel of each term, ascending within a target.
    pub channels: Vec<u32>,
    /// Weight of each term, as trained.
    pub weights: Vec<f32>,
    /// Constant of each target.
    pub constants: Vec<f64>,
    /// v units for one unit of the sum.
    pub gains: Vec<f64>,
}

/// How a sample's data become spikes and biases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Encoder {
    /// The sample's spikes go to the input axons as they are.
    Spikes,
    /// The sample's values become biases by `HostMap`s.
    Bias,
    /// The sample's values become spikes of two channels each (positive, negative: channel i and width + i):
    /// each channel adds |value| / full_scale a step to an accumulator that starts at frac(1/2 + i * 0.6180339887498949) and spikes when it reaches 1, less 1.
    Rate {
        /// Value that spikes in every step.
        full_scale: f64,
    },
    /// The sample's values become at most one spike of two channels each (as for `Rate`): step
    /// round((1 - min(|value| / full_scale, 1)) * (steps - 1)); none for a value below full_scale / 256.
    Latency {
        /// Value that spikes in step 0.
        full_scale: f64,
    },
}

/// Biases of a population that the host writes when its first network step comes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BiasWrite {
    /// Chip step (= the population's skew) before which the write is done; 0 = before the sample starts.
    pub chip_step: u32,
    /// Compartment.
    pub place: Place,
    /// Mantissa.
    pub mantissa: i16,
    /// Exponent.
    pub exponent: u8,
}

/// What the decoder makes of the outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DecoderKind {
    /// Most spikes.
    Count,
    /// Earliest spike; classes that never spike come last.
    FirstSpike,
    /// Outputs in groups of this many; most spikes of a group.
    Vote(u32),
    /// Largest potential at the end of the output's last network step.
    Potential,
    /// No class: spikes only (prediction is the count's).
    Spikes,
}

impl From<DecoderKind> for Decode {
    /// The decoder as the host's arithmetic knows it.
    fn from(kind: DecoderKind) -> Decode {
        match kind {
            DecoderKind::Count => Decode::Count,
            DecoderKind::FirstSpike => Decode::FirstSpike,
            DecoderKind::Vote(group) => Decode::Vote(group),
            DecoderKind::Potential => Decode::Potential,
            DecoderKind::Spikes => Decode::Spikes,
        }
    }
}

/// Decoder of the output population. Ties go to the first index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decoder {
    /// What it does.
    pub kind: DecoderKind,
    /// Where each output sits, by index as trained; `None` = the neuron was removed and never spikes.
    pub outputs: Vec<Option<Place>>,
    /// Skew of the output population.
    pub skew: u32,
}

/// Where a spike comes from that the host sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// A spiking input channel (after the encoder).
    Channel(u32),
    /// A neuron whose spikes the host sends back in.
    Neuron(Place),
}

/// A spike that the host sends beyond `Host::input_axons`: one of a channel that acts later, or one of a neuron that it sends back in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Injection {
    /// Where it comes from.
    pub from: Origin,
    /// Input axon (or row) that it is sent to.
    pub to: Place,
    /// Chip steps from the spike's own chip step (network step t of a channel: chip step t) to the one in which it acts.
    pub delay_steps: u32,
}

/// Everything that the host does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// Channels of the data (before `Rate` and `Latency` double them).
    pub input_width: u32,
    /// From data to spikes and biases.
    pub encoder: Encoder,
    /// For each spiking input channel (after the encoder): its input axons. Injected at chip step t for network step t.
    pub input_axons: Vec<Vec<Place>>,
    /// What else the host sends, ascending; none on chips of the packed family, whose synapses hold delays.
    pub injections: Vec<Injection>,
    /// Host maps for `Encoder::Bias`; their bias is written at chip step t + skew for network step t.
    pub maps: Vec<HostMap>,
    /// Constant biases. A compartment that a map also drives gets the map's bias, whose constants include this one.
    pub bias_writes: Vec<BiasWrite>,
    /// Network steps of a sample where the data and the user don't say.
    pub default_steps: Option<u32>,
    /// Largest skew: a sample takes steps + this many chip steps.
    pub max_skew: u32,
    /// Outputs.
    pub decoder: Decoder,
}

/// A population's name and shape, and where its neurons are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PopulationSymbols {
    /// Name as in the network.
    pub name: String,
    /// Shape as trained.
    pub shape: Vec<u32>,
    /// Network step t is computed in chip step t + skew.
    pub skew: u32,
    /// True for input channels (no places).
    pub input: bool,
    /// (index as trained, place), ascending.
    pub neurons: Vec<(u32, Place)>,
    /// Copies: (index as trained, place) of further compartments that are the same neuron on other cores, ascending. Recordings and the decoder take the
    /// place in `neurons`.
    pub copies: Vec<(u32, Place)>,
}

/// Names for people and recordings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Symbols {
    /// Populations in the order of the network.
    pub populations: Vec<PopulationSymbols>,
    /// Index of the output population.
    pub output: u32,
}

/// Where the bundle comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Tool and version.
    pub tool: String,
    /// Name of the network.
    pub network_name: String,
    /// BLAKE3 of the network as given, hex.
    pub network_digest: String,
    /// Options of the compilation, in a fixed order: (name, value).
    pub options: Vec<(String, String)>,
    /// Seed.
    pub seed: u64,
}

/// A bundle.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// The target it was compiled for.
    pub target: Target,
    /// The bits.
    pub image: Image,
    /// What the host does.
    pub host: Host,
    /// Names.
    pub symbols: Symbols,
    /// Origin.
    pub provenance: Provenance,
    /// The quantized network, as bytes that only the verifier reads.
    pub reference: Vec<u8>,
}

/// What a chip and its host are given: everything but the reference.
#[derive(Debug, Clone, Copy)]
pub struct Loadable<'a> {
    /// The target.
    pub target: &'a Target,
    /// The bits.
    pub image: &'a Image,
    /// What the host does.
    pub host: &'a Host,
    /// Names.
    pub symbols: &'a Symbols,
}

impl Bundle {
    /// The part that a simulator may see.
    pub fn loadable(&self) -> Loadable<'_> {
        Loadable { target: &self.target, image: &self.image, host: &self.host, symbols: &self.symbols }
    }
}
