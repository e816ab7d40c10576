//! `Quantized`: a net in the chip's registers, with what it claims about the network it came from.

use crate::fixed::Fixed;
use crate::net::{Net, Number};
use crate::synapses::MAX_SYNAPSES;
use serde::{Deserialize, Serialize};

/// Most synapses of all projections of a reference section.
pub const MAX_NET_SYNAPSES: u64 = 2 * MAX_SYNAPSES;

/// How the registers relate to the floats they came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Scaling {
    /// The network was given in registers: everything must be equal.
    Exact,
    /// Rounded from floats.
    Scaled {
        /// For each population, for each surviving neuron: v units (registers) for one float unit of v. Empty for inputs.
        v_units: Vec<Vec<f64>>,
        /// Largest distance of a weight mantissa from its ideal value, in grid steps (0.5 = plain rounding). An ideal beyond the
        /// format's range counts as the end of the range (`FixedRules::held_mantissa`).
        deviation_steps: f64,
        /// Largest distance of a bias from its ideal before it was rounded to a register, in float units of v; more than 0 where
        /// reconstruction made it up for errors of the weights.
        bias_deviation: f64,
    },
}

/// A lowered net in registers: dead neurons gone, skews set, rules from the target. The bundle's reference section holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Quantized<N: Number = Fixed> {
    /// The net.
    pub net: Net<N>,
    /// Its relation to the network as given.
    pub scaling: Scaling,
    /// BLAKE3 of the network as given (`Network::digest` or `Net::digest`).
    pub network_digest: [u8; 32],
}

impl<N: Number> Quantized<N> {
    /// Bytes of the bundle's reference section.
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("a Quantized has no type that postcard refuses")
    }

    /// Reads the bytes of a reference section; says why not. Memory is linear in the bytes; more than [`MAX_NET_SYNAPSES`] are refused,
    /// however few bytes declare them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, postcard::Error> {
        let (value, rest) = postcard::take_from_bytes::<Self>(bytes)?;
        let synapses = value.net.projections.iter().map(|p| p.synapses.len() as u64).fold(0, u64::saturating_add);
        if rest.is_empty() && synapses <= MAX_NET_SYNAPSES { Ok(value) } else { Err(postcard::Error::DeserializeBadEncoding) }
    }
}
