//! Why a bundle can't be exported.

use spikec_chip::CodecError;
use spikec_chip::crossbar::CrossbarError;
use spikec_chip::event::EventError;
use spikec_sim::{BootError, RunError};

/// Why a bundle can't be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The bundle does not boot.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// A core's bits can't be decoded.
    #[error(transparent)]
    Decode(#[from] CodecError),
    /// The sample does not run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A core of the crossbar family can't be decoded.
    #[error(transparent)]
    Crossbar(#[from] CrossbarError),
    /// An event crossbar can't be decoded.
    #[error(transparent)]
    Event(#[from] EventError),
    /// A bundle of another family.
    #[error("the format {format} holds chips of the family {expected}, the bundle is of the family {found}")]
    Family {
        /// Format.
        format: &'static str,
        /// Family of the bundle.
        found: &'static str,
        /// Family of the format.
        expected: &'static str,
    },
    /// A number of the target that the format doesn't have.
    #[error("the format {format} has {quantity} of {expected}, the target {found}")]
    Target {
        /// Format.
        format: &'static str,
        /// Quantity.
        quantity: &'static str,
        /// Of the target.
        found: String,
        /// Of the format.
        expected: String,
    },
    /// A potential that may leave the bits of the target, which RANC's simulator doesn't have.
    #[error("core ({}, {}), neuron {neuron}: its potential may be {potential}, the target's are {least} ..= {most}", at.0, at.1)]
    Overflow {
        /// Column and row of the core.
        at: (u32, u32),
        /// Row of the core.
        neuron: usize,
        /// The first potential found beyond.
        potential: i64,
        /// Least potential.
        least: i64,
        /// Largest.
        most: i64,
    },
    /// Values where spikes are wanted, or another width.
    #[error("the sample has {found}, expected {expected}")]
    Sample {
        /// What it has.
        found: String,
        /// What it should have.
        expected: String,
    },
    /// A channel that spikes more than once in a step.
    #[error("input channel {channel} spikes more than once in step {step}: an axon can't be active twice")]
    Repeated {
        /// Channel.
        channel: u32,
        /// Network step.
        step: u32,
    },
    /// The sample's length is not known.
    #[error("the number of network steps is not known")]
    Steps,
    /// The reference section can't be read.
    #[error("the reference section can't be read: {0}")]
    Reference(String),
    /// Something that NIR can't say.
    #[error("{place}: {what}")]
    Nir {
        /// Population, neuron or projection.
        place: String,
        /// What NIR can't say.
        what: String,
    },
    /// The NIR file can't be written.
    #[error(transparent)]
    Import(#[from] spikec_import::ImportError),
    /// A core without compartments.
    #[error("core {core} has no compartments: SANA-FE would not count it as used")]
    EmptyCore {
        /// Physical core.
        core: u32,
    },
    /// More compartments than SANA-FE's models hold.
    #[error("core {core} has {found} compartments, SANA-FE's models hold {limit} a core")]
    Compartments {
        /// Physical core.
        core: u32,
        /// Compartments.
        found: usize,
        /// Most of SANA-FE.
        limit: usize,
    },
    /// A delay that SANA-FE's dendrite does not hold.
    #[error("core {core}, compartment {compartment}: a synapse has a delay of {found} more steps, SANA-FE's dendrite holds {limit}")]
    Delay {
        /// Physical core.
        core: u32,
        /// Compartment.
        compartment: u16,
        /// Steps beyond the shortest.
        found: u32,
        /// Most of SANA-FE.
        limit: u32,
    },
    /// A core on another chip than the host's port.
    #[error("core {core} is on chip {chip}: SANA-FE has no borders between chips")]
    OtherChip {
        /// Physical core.
        core: u32,
        /// Its chip.
        chip: u32,
    },
    /// A bias that changes within the sample.
    #[error("core {core}, compartment {compartment}: its bias changes again before chip step {chip_step}, SANA-FE's are constant")]
    BiasChanges {
        /// Physical core.
        core: u32,
        /// Compartment.
        compartment: u16,
        /// Chip step of the second change.
        chip_step: u32,
    },
    /// A channel that spikes more than once in a step.
    #[error("input channel {channel} spikes {times} times in step {step}, SANA-FE's inputs once at most")]
    SpikesTwice {
        /// Channel.
        channel: u32,
        /// Its spikes in that step.
        times: usize,
        /// Network step.
        step: u32,
    },
}

impl ExportError {
    /// A remedy.
    pub fn hint(&self) -> String {
        match self {
            ExportError::Boot(e) => e.hint(),
            ExportError::Family { .. } => "choose a format of the bundle's family (docs/exports.md)".into(),
            ExportError::Target { .. } => "compile for the chip that the format is of".into(),
            ExportError::Overflow { .. } => {
                "compile for a target whose potentials nothing bounds, as RANC's simulator computes (ranc256_sim)".into()
            }
            ExportError::Sample { .. } => "give data of the bundle's inputs".into(),
            ExportError::Repeated { .. } => "choose another sample with --sample".into(),
            ExportError::Steps => "give --steps T".into(),
            ExportError::Nir { .. } => "export in another format".into(),
            ExportError::Import(e) => e.hint(),
            ExportError::Reference(_) => "the bundle was made without its network, or by another version: compile again".into(),
            ExportError::Crossbar(_) | ExportError::Event(_) | ExportError::Decode(_) => {
                "the bundle is damaged or was made by another tool: compile again".into()
            }
            ExportError::Run(e) => e.hint(),
            ExportError::Delay { .. } => "compile a network with shorter delays".into(),
            ExportError::OtherChip { .. } => "compile for a board of one chip".into(),
            ExportError::BiasChanges { .. } => "use a sample of constant values, or --input-coding rate when compiling".into(),
            ExportError::SpikesTwice { .. } => "choose another sample with --sample".into(),
            ExportError::EmptyCore { .. } | ExportError::Compartments { .. } => "compile for a target with smaller cores".into(),
        }
    }
}
