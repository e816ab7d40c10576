//! Choices: what a bundle says that no network can confirm or deny.
//!
//! In: a bundle and its reference section. Out: [`Choices`], a part of every verdict. Invariant: every field of a bundle is either compared by the image check
//! or shown here. Why: "this image implements that network" is a statement about a target, an encoder, a decoder and a number of
//! steps that a user chose; a changed choice makes another statement, which may be true as well.

use crate::family::Registers;
use serde::Serialize;
use spikec_chip::bundle::{Bundle, DecoderKind, Encoder, Host, Provenance};
use spikec_chip::target::Target;
use spikec_net::{Quantized, Scaling, WeightFormat};

/// The choices under which a verdict holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Choices {
    /// The target, with all its numbers and sources.
    pub target: Target,
    /// From data to spikes and biases.
    pub encoder: Encoder,
    /// What the decoder makes of the outputs.
    pub decoder: DecoderKind,
    /// Network steps where the data and the user don't say.
    pub default_steps: Option<u32>,
    /// Tool and version.
    pub tool: String,
    /// Name of the network.
    pub network_name: String,
    /// Options of the compilation.
    pub options: Vec<(String, String)>,
    /// Seed.
    pub seed: u64,
    /// Weight format of each projection: what its mantissas are a grid of. None on crossbars, whose weights are integers.
    pub formats: Vec<(String, WeightFormat)>,
    /// The bound on the deviation of weights that the bundle declares, in grid steps; `None` for a network in registers.
    pub deviation_steps: Option<f64>,
    /// The bound on the move of biases that the bundle declares, in float units of v; `None` for a network in registers.
    pub bias_deviation: Option<f64>,
}

impl Choices {
    /// The choices of a bundle with this reference section.
    pub(crate) fn of<N: Registers>(bundle: &Bundle, quantized: &Quantized<N>) -> Choices {
        let Bundle { target, image: _, host, symbols: _, provenance, reference: _ } = bundle;
        let Host { input_width: _, encoder, input_axons: _, injections: _, maps: _, bias_writes: _, default_steps, max_skew: _, decoder } =
            host;
        let Provenance { tool, network_name, network_digest: _, options, seed } = provenance;
        Choices {
            target: target.clone(),
            encoder: encoder.clone(),
            decoder: decoder.kind,
            default_steps: *default_steps,
            tool: tool.clone(),
            network_name: network_name.clone(),
            options: options.clone(),
            seed: *seed,
            formats: N::formats(&quantized.net),
            deviation_steps: match &quantized.scaling {
                Scaling::Exact => None,
                Scaling::Scaled { v_units: _, deviation_steps, bias_deviation: _ } => Some(*deviation_steps),
            },
            bias_deviation: match &quantized.scaling {
                Scaling::Exact => None,
                Scaling::Scaled { v_units: _, deviation_steps: _, bias_deviation } => Some(*bias_deviation),
            },
        }
    }

    /// One line: the choices that change what the image computes.
    pub fn line(&self) -> String {
        let encoder = match &self.encoder {
            Encoder::Spikes => "spikes".to_string(),
            Encoder::Bias => "bias".to_string(),
            Encoder::Rate { full_scale } => format!("rate, full scale {full_scale}"),
            Encoder::Latency { full_scale } => format!("latency, full scale {full_scale}"),
        };
        let decoder = match self.decoder {
            DecoderKind::Count => "count".to_string(),
            DecoderKind::FirstSpike => "first-spike".to_string(),
            DecoderKind::Vote(group) => format!("vote:{group}"),
            DecoderKind::Potential => "potential".to_string(),
            DecoderKind::Spikes => "spikes".to_string(),
        };
        let steps = self.default_steps.map_or_else(|| "from the data".to_string(), |t| t.to_string());
        let lags: String = self.options.iter().filter(|(name, _)| name == "lag").map(|(_, lag)| format!(", lag {lag}")).collect();
        let resets: String = self.options.iter().filter(|(name, _)| name == "reset").map(|(_, reset)| format!(", reset {reset}")).collect();
        let dropped = self.options.iter().filter(|(name, _)| name == "dropped-inputs");
        let dropped: String = dropped.map(|(_, n)| format!(", {n} synapses left out")).collect();
        format!("target {}, encoder {encoder}, decoder {decoder}, steps {steps}{resets}{lags}{dropped}", self.target.name)
    }
}
