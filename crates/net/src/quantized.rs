//! `Quantized`: a net in the chip's registers, with what it claims about the network it came from; and its bytes, read in two steps.
//!
//! In: the bytes of a reference section. Out: a [`Section`], whose tables of synapses nothing has compared yet, and of that a [`Quantized`], or what
//! is wrong with it. Invariant: memory is linear in the bytes, however many synapses they declare.

use crate::fixed::Fixed;
use crate::ids::PopulationId;
use crate::net::{HostProjection, Net, Number, Population, Projection};
use crate::synapses::{MAX_SYNAPSES, TableError, Tables};
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
#[derive(Debug, Clone, PartialEq, Serialize)]
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
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SectionError> {
        Section::from_bytes(bytes)?.quantized()
    }
}

/// Why a reference section can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the messages say what the fields are
pub enum SectionError {
    #[error("{0}")]
    Encoding(postcard::Error),
    #[error("{0} bytes follow its end")]
    Trailing(usize),
    #[error("projection {projection}: {error}")]
    Synapses { projection: String, error: TableError },
    #[error("it declares {0} synapses in all, at most {MAX_NET_SYNAPSES} are read")]
    TooMany(u64),
}

/// A [`Quantized`] as its bytes have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Section<N: Number = Fixed> {
    /// The net.
    pub net: SectionNet<N>,
    /// Its relation to the network as given.
    pub scaling: Scaling,
    /// BLAKE3 of the network as given.
    pub network_digest: [u8; 32],
}

/// A [`Net`] as its bytes have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
#[allow(missing_docs)] // as in the net
pub struct SectionNet<N: Number> {
    pub name: String,
    pub rules: N::Rules,
    pub populations: Vec<Population<N>>,
    pub projections: Vec<SectionProjection<N>>,
    pub host_projections: Vec<HostProjection>,
    pub output: PopulationId,
}

/// A [`Projection`] as its bytes have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
#[allow(missing_docs)] // as in the projection
pub struct SectionProjection<N: Number> {
    pub name: String,
    pub pre: PopulationId,
    pub post: PopulationId,
    pub format: N::Format,
    pub synapses: Tables<N::Weight>,
}

impl<N: Number> Section<N> {
    /// Decodes the bytes; the tables of synapses may contradict each other.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SectionError> {
        let (section, rest) = postcard::take_from_bytes::<Self>(bytes).map_err(SectionError::Encoding)?;
        if rest.is_empty() { Ok(section) } else { Err(SectionError::Trailing(rest.len())) }
    }

    /// Its bytes: those of the [`Quantized`] that it is.
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("a section has no type that postcard refuses")
    }

    /// The net, if every table fits the others.
    pub fn quantized(self) -> Result<Quantized<N>, SectionError> {
        let Section { net, scaling, network_digest } = self;
        let SectionNet { name, rules, populations, projections, host_projections, output } = net;
        let mut all = 0u64;
        let projection = |p: SectionProjection<N>| {
            let SectionProjection { name, pre, post, format, synapses } = p;
            let synapses = match synapses.synapses() {
                Ok(synapses) => synapses,
                Err(error) => return Err(SectionError::Synapses { projection: name, error }),
            };
            all = all.saturating_add(synapses.len() as u64);
            Ok(Projection { name, pre, post, format, synapses })
        };
        let projections = projections.into_iter().map(projection).collect::<Result<_, _>>()?;
        if all > MAX_NET_SYNAPSES {
            return Err(SectionError::TooMany(all));
        }
        let net = Net { name, rules, populations, projections, host_projections, output };
        Ok(Quantized { net, scaling, network_digest })
    }
}
