//! Why a sample can't run.

/// Why a sample can't run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The sample has another width than the bundle's input.
    #[error("the sample has {found} channels, the bundle expects {expected}")]
    Width {
        /// Of the sample.
        found: u32,
        /// Of the bundle.
        expected: u32,
    },
    /// Neither data nor options nor bundle say how many steps, or they say 0.
    #[error("the number of steps is unknown or 0")]
    NoSteps,
    /// Too many steps.
    #[error("{found} chip steps, at most {limit} are supported")]
    TooManySteps {
        /// Chip steps asked for.
        found: u64,
        /// Most that are supported.
        limit: u64,
    },
    /// The values end before the last step.
    #[error("the sample has values for {found} steps, {expected} are asked for")]
    TooFewFrames {
        /// Frames of the sample.
        found: u32,
        /// Steps.
        expected: u32,
    },
    /// Values for a bundle that takes spikes.
    #[error("the sample has values, but the bundle's encoder takes spikes")]
    ValuesGiven,
    /// Spikes for a bundle that takes values.
    #[error("the sample has spikes, but the bundle's encoder ({encoder}) takes values")]
    SpikesGiven {
        /// The encoder.
        encoder: &'static str,
    },
    /// A spike train that breaks its own rules.
    #[error("step {step} of the sample's spikes is malformed: channels must ascend and stay below {width}")]
    Malformed {
        /// Network step.
        step: u32,
        /// Number of channels.
        width: u32,
    },
    /// NaN or infinite values.
    #[error("value {channel} of frame {frame} is not finite")]
    NotFinite {
        /// Frame.
        frame: usize,
        /// Channel.
        channel: usize,
    },
    /// A channel spikes so often within one step that a sum could pass 32 bits.
    #[error("a channel spikes {times} times in step {step}: the inputs could add up to more than 32 bits hold")]
    TooManyAtOnce {
        /// Spikes of the channel in that step.
        times: u64,
        /// Network step.
        step: u32,
    },
    /// The mesh came to a standstill.
    #[error("{}: {waiting} messages wait and nothing moves; the first waits at router ({x}, {y})", step_name(*chip_step))]
    Stalled {
        /// Chip step; -1 = before the first.
        chip_step: i32,
        /// Column of the router.
        x: u32,
        /// Row of the router.
        y: u32,
        /// Messages left.
        waiting: u64,
    },
    /// A step lasts longer than times can say.
    #[error("{} takes longer than 4 s: the target's hops, link_flit or other times are too long", step_name(*chip_step))]
    StepTooLong {
        /// Chip step; -1 = before the first.
        chip_step: i32,
    },
    /// The sample, or all samples together, last longer than times can say.
    #[error("the run takes longer than 2^63 ps (106 days): times are counted in picoseconds")]
    RunTooLong,
    /// A channel spikes several times in a step: an axon can't be active twice.
    #[error("channel {channel} spikes {times} times in step {step}: an axon of a crossbar can be active once")]
    RepeatedSpike {
        /// Channel after the encoder.
        channel: u32,
        /// Its spikes in that step.
        times: u64,
        /// Network step.
        step: u32,
    },
    /// More events in a step than are simulated.
    #[error("chip step {chip_step}: more than {limit} events; spikes make more spikes without end")]
    TooManyEvents {
        /// Chip step.
        chip_step: u32,
        /// Most events.
        limit: u64,
    },
    /// Something is asked for that the chip's family hasn't.
    #[error("{what} can't be had of chips of the family {family}")]
    NotInFamily {
        /// What is asked for.
        what: &'static str,
        /// The family.
        family: &'static str,
    },
    /// A recording needs a level of timing.
    #[error("{what} can be recorded at timing level {need} only")]
    NotTimed {
        /// What is asked for.
        what: &'static str,
        /// Level that has it.
        need: &'static str,
    },
    /// Something is asked for of a core, compartment or neuron that the bundle hasn't.
    #[error("{what} is not in the bundle; it has {known}")]
    Unknown {
        /// What is asked for.
        what: String,
        /// What there is.
        known: String,
    },
    /// Error of one sample of a batch.
    #[error("sample {sample}: {error}")]
    InSample {
        /// Index of the sample.
        sample: usize,
        /// What is wrong with it.
        error: Box<RunError>,
    },
}

impl RunError {
    /// A remedy.
    pub fn hint(&self) -> String {
        match self {
            RunError::Width { expected, .. } => {
                format!("give data with {expected} channels, or compile the network that these data are for")
            }
            RunError::NoSteps => "give --steps, or compile with --steps to store a default".into(),
            RunError::TooManySteps { .. } => "give fewer --steps".into(),
            RunError::TooFewFrames { found, .. } => format!("give --steps {found} or less"),
            RunError::ValuesGiven => "compile with --input-coding bias (or rate, latency), or give spikes".into(),
            RunError::SpikesGiven { .. } => "compile with --input-coding spikes, or give values".into(),
            RunError::Malformed { .. } => "mend the data".into(),
            RunError::NotFinite { .. } => "remove NaN and infinities from the data".into(),
            RunError::TooManyAtOnce { .. } => "use shorter bins, or a smaller weight exponent".into(),
            RunError::RepeatedSpike { .. } => "use shorter bins, or binary spikes".into(),
            RunError::TooManyEvents { .. } => "raise the thresholds, or weaken the net's loops".into(),
            RunError::NotInFamily { .. } => "leave it out, or compile for a chip of the family Packed".into(),
            RunError::Stalled { .. } => "this is a bug of the simulator or a target without a way between two cores: report it".into(),
            RunError::StepTooLong { .. } => "give smaller times in the target's timing_ns and compile again".into(),
            RunError::RunTooLong => "give fewer --steps or --samples, or smaller times in the target's timing_ns".into(),
            RunError::NotTimed { need, .. } => format!("add --timing {need}"),
            RunError::Unknown { .. } => "spikec inspect lists the bundle's populations and cores".into(),
            RunError::InSample { error, .. } => error.hint(),
        }
    }
}

/// Chip steps count from 0; before the first the host loads its spikes.
fn step_name(chip_step: i32) -> String {
    if chip_step < 0 { "the load phase before chip step 0".into() } else { format!("chip step {chip_step}") }
}
