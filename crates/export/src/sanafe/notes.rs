//! What SANA-FE's YAML can't say exactly.

use spikec_sim::Counters;
use std::fmt;

/// What SANA-FE does not do exactly as the chip (docs/exports.md, section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Compartments that read both dense and other entries: in the YAML all synapses of a neuron have one price.
    TwoPrices {
        /// Compartments.
        compartments: usize,
        /// Synapses with the other price; they are last in the file, after a marker.
        synapses: u64,
    },
    /// A core with delays has one synapse unit only.
    OnePrice {
        /// Physical core.
        core: u32,
        /// Synapses with the wrong price.
        synapses: u64,
    },
    /// Sources with several messages to one core, which SANA-FE joins.
    Joined {
        /// Messages fewer, if every source spikes once.
        messages: u64,
    },
    /// Messages that read no synapse: SANA-FE sends none.
    Silent {
        /// Messages fewer, if every source spikes once.
        messages: u64,
    },
    /// A bias that acts before its first step when the file is loaded alone.
    Early {
        /// Compartments.
        compartments: usize,
        /// The first one's core.
        core: u32,
        /// The first one.
        compartment: u16,
    },
    /// Currents that outlive a step are not rounded in SANA-FE.
    Currents {
        /// Compartments.
        compartments: usize,
        /// The first one's core.
        core: u32,
        /// The first one.
        compartment: u16,
    },
    /// SANA-FE does not count a held compartment as updated.
    Held {
        /// Compartments.
        compartments: usize,
        /// The first one's core.
        core: u32,
        /// The first one.
        compartment: u16,
    },
    /// The sample overflows registers, which SANA-FE has not.
    Overflows {
        /// Updates in which u wrapped.
        u_wraps: u64,
        /// Updates in which v was clipped.
        v_clips: u64,
    },
    /// The host makes biases of each sample's values, and no sample was given.
    NoValues,
}

impl Note {
    /// Wraps and clips of a run, if there were any.
    pub(crate) fn overflows(counters: &Counters) -> Option<Note> {
        let (u_wraps, v_clips) = (counters.u_wraps, counters.v_clips);
        (u_wraps + v_clips > 0).then_some(Note::Overflows { u_wraps, v_clips })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = |f: &mut fmt::Formatter<'_>, n: &usize, core: &u32, compartment: &u16, what: &str| {
            write!(f, "{n} compartments {what}, first core {core}, compartment {compartment}")
        };
        match self {
            Note::TwoPrices { compartments, synapses } => write!(
                f,
                "{compartments} compartments read entries of several kinds (dense, shared, other); SANA-FE's YAML has one price a neuron, so {synapses} synapses have another one's time and energy"
            ),
            Note::OnePrice { core, synapses } => {
                write!(
                    f,
                    "core {core} has delays, and with them one synapse unit: {synapses} synapses have the other one's time and energy"
                )
            }
            Note::Joined { messages } => {
                write!(f, "{messages} messages go to a core that the same source already reaches: SANA-FE joins them")
            }
            Note::Silent { messages } => write!(f, "{messages} messages read no synapse: SANA-FE does not send them"),
            Note::Early { compartments, core, compartment } => {
                first(f, compartments, core, compartment, "have a bias that acts too early if snn.yaml is loaded alone (see bias_writes)")
            }
            Note::Currents { compartments, core, compartment } => {
                first(f, compartments, core, compartment, "have currents that outlive a step, which SANA-FE does not round")
            }
            Note::Held { compartments, core, compartment } => {
                first(f, compartments, core, compartment, "have refractory steps, in which SANA-FE does not count them as updated")
            }
            Note::Overflows { u_wraps, v_clips } => {
                write!(f, "u wraps {u_wraps} times and v is clipped {v_clips} times in this sample; SANA-FE has no such limits")
            }
            Note::NoValues => f.write_str("the host makes biases of a sample's values, and no sample is given: they are missing"),
        }
    }
}
