//! Why a bundle can't be exported.

use spikec_chip::CodecError;
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
    /// A chip of another family.
    #[error("chips of the family {family} have no form in SANA-FE")]
    Family {
        /// The family.
        family: &'static str,
    },
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
            ExportError::Family { .. } => "compile for a chip of the family Packed, or choose another --format".into(),
            ExportError::Decode(_) => "the bundle is damaged or was made by another tool: compile again".into(),
            ExportError::Run(e) => e.hint(),
            ExportError::Delay { .. } => "compile a network with shorter delays".into(),
            ExportError::OtherChip { .. } => "compile for a board of one chip".into(),
            ExportError::BiasChanges { .. } => "use a sample of constant values, or --input-coding rate when compiling".into(),
            ExportError::SpikesTwice { .. } => "choose another sample with --sample".into(),
            ExportError::EmptyCore { .. } | ExportError::Compartments { .. } => "compile for a target with smaller cores".into(),
        }
    }
}
