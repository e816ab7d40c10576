//! The part of the host that every family has: encoder, steps, outputs and the decoder.
//!
//! In: the bundle's host section and symbols, and where compartments stand. Out: [`Io`].
//! Invariant: every output is a lane that exists; there is a list of input axons for each channel after the encoder.

use crate::boot::{BootError, Spot};
use crate::check::{MAX_SKEW, range};
use crate::record::FindLane;
use spikec_chip::bundle::{DecoderKind, Encoder, Host, Symbols};
use spikec_data::Decode;

/// Encoder, steps and outputs, resolved to lanes.
#[derive(Debug)]
pub(crate) struct Io {
    pub encoder: Encoder,
    pub input_width: u32,
    pub default_steps: Option<u32>,
    pub max_skew: u32,
    /// Lane of each output, by index as trained.
    pub outputs: Vec<Option<u32>>,
    pub output_skew: u32,
    pub decode: Decode,
}

impl Io {
    /// Checks encoder, skews and decoder; `lane` finds the lane of a place.
    pub(crate) fn new(host: &Host, symbols: &Symbols, lane: FindLane<'_>) -> Result<Io, BootError> {
        let at = Spot::host("host", 0);
        range(at, "max_skew", host.max_skew, 0, MAX_SKEW.into())?;
        let channels = match host.encoder {
            Encoder::Spikes => u64::from(host.input_width),
            Encoder::Bias => 0,
            Encoder::Rate { full_scale } | Encoder::Latency { full_scale } => {
                if !(full_scale.is_finite() && full_scale > 0.0) {
                    return Err(BootError::NotFinite { spot: at, field: "full_scale (above 0)" });
                }
                2 * u64::from(host.input_width)
            }
        };
        let given = if host.input_axons.iter().all(Vec::is_empty) && channels == 0 { 0 } else { host.input_axons.len() };
        range(at, "input_axons: channels", given as u64, channels.into(), channels.into())?;
        let decoder = &host.decoder;
        let spot = Spot::host("decoder", 0);
        range(spot, "skew", decoder.skew, 0, host.max_skew.into())?;
        let output = symbols.populations.get(symbols.output as usize).ok_or(BootError::Range {
            spot: Spot::host("symbols", 0),
            field: "output",
            found: symbols.output.into(),
            low: 0,
            high: symbols.populations.len() as i128 - 1,
        })?;
        range(spot, "skew (as the output population's)", decoder.skew, output.skew.into(), output.skew.into())?;
        let size = crate::record::size(output).max(1);
        range(spot, "outputs", decoder.outputs.len() as u64, size.into(), size.into())?;
        let mut outputs = Vec::with_capacity(decoder.outputs.len());
        for (k, place) in decoder.outputs.iter().enumerate() {
            outputs.push(place.map(|p| lane(Spot::host("decoder output", k), p)).transpose()?);
        }
        let decode = match decoder.kind {
            DecoderKind::Count => Decode::Count,
            DecoderKind::FirstSpike => Decode::FirstSpike,
            DecoderKind::Vote(group) => {
                range(spot, "vote: outputs of a group", group, 1, outputs.len() as i128)?;
                Decode::Vote(group)
            }
            DecoderKind::Potential => Decode::Potential,
            DecoderKind::Spikes => Decode::Spikes,
        };
        Ok(Io {
            encoder: host.encoder.clone(),
            input_width: host.input_width,
            default_steps: host.default_steps,
            max_skew: host.max_skew,
            outputs,
            output_skew: decoder.skew,
            decode,
        })
    }
}
