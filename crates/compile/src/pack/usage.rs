//! Counts of a core's resources against the target's limits.

use crate::finding::Finding;
use serde::Serialize;
use spikec_chip::target::Packed;

/// The resource that a delay needs.
pub const DELAY_REGISTER: &str = "delay register (chip steps)";

/// The resource that everything in a core shares, where the target has a budget of bytes.
pub const CORE_BYTES: &str = "bytes of the core's memory";

/// Need and limit of one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Constraint, `C01`...
    pub code: &'static str,
    /// What it is, with its unit.
    pub resource: &'static str,
    /// How much is used.
    pub used: u64,
    /// How much there is.
    pub available: u64,
}

impl Usage {
    /// The violation, if there is one.
    pub fn finding(&self) -> Option<Finding> {
        (self.used > self.available)
            .then(|| Finding::error(self.code, self.resource, self.used as f64, self.available as f64, remedy(self.code)))
    }
}

/// What a core needs, apart from its output axons.
#[derive(Debug, Clone, Copy)]
pub(super) struct CoreNeed {
    pub compartments: u64,
    pub in_axons: u64,
    pub words: u64,
    pub longest_axon: u64,
    pub longest_entry: u64,
    pub formats: u64,
    pub compartment_profiles: u64,
    pub threshold_profiles: u64,
    pub max_delay: u64,
    pub delay_slots: u64,
    pub bytes: u64,
}

/// All resources of a core but the output axons, by code. Bytes are those of everything but output axons.
pub(super) fn of_core(target: &Packed, n: &CoreNeed) -> Vec<Usage> {
    let (core, memory) = (&target.core, &target.synapse_memory);
    let usage = |code, resource, used, available| Usage { code, resource, used, available };
    let indices = memory.index_bits.iter().map(|&b| 1u64 << b.min(16)).max().unwrap_or(1);
    let delay = memory.delay_bits.iter().map(|&b| u64::from(spikec_chip::cost::delay_limit(b))).max().unwrap_or(0);
    // The image's own fields are 16 bits (axons) and 8 bits (profiles) wide.
    let mut all = vec![
        usage("C01", "compartments", n.compartments, (*core.compartments).into()),
        usage("C02", "input axons", n.in_axons, u64::from(*core.in_axons).min(1 << 16)),
        usage("C05", "synaptic memory words", n.words, (*memory.usable_words).into()),
        usage("C06", "words of the longest input axon", n.longest_axon, (*memory.max_words_per_axon).into()),
        usage("C07", "synapses of the longest entry", n.longest_entry, (*memory.max_synapses_per_entry).into()),
        usage("C08", "synapse formats", n.formats, (*memory.max_formats).into()),
        usage("C09", "compartment profiles", n.compartment_profiles, u64::from(*core.compartment_profiles).min(256)),
        usage("C09", "threshold profiles", n.threshold_profiles, u64::from(*core.threshold_profiles).min(256)),
        usage("C11", DELAY_REGISTER, n.max_delay, delay.min((*memory.max_delay).into()).min(255)),
        usage("C11", "dendritic accumulator slots", n.delay_slots, (*core.delay_slots_total).into()),
        usage("C15", "indices of compartments", n.compartments, indices),
    ];
    all.extend(spikec_chip::cost::budget(core).map(|budget| usage("C27", CORE_BYTES, n.bytes, budget)));
    all
}

/// What to do when a limit is passed by the best that the compiler can do.
pub fn remedy(code: &str) -> &'static str {
    match code {
        "C01" => "put fewer neurons on the core",
        "C02" => "prune the fan-in of the core's neurons, or put fewer neurons on the core",
        "C03" => "prune synapses so that neurons reach fewer cores, or put fewer neurons on the core",
        "C04" => "prune the neuron's fan-out so that it reaches fewer cores",
        "C05" => "prune, store narrower weights (--weight-bits), or put fewer neurons on the core",
        "C06" => "store narrower weights or delays: one synapse alone is too wide for an axon",
        "C07" => "cut the entry",
        "C08" => "give projections the same weight exponent and sign mode, or put fewer neurons on the core",
        "C09" => "share decays, refractory periods and thresholds between neurons, or put fewer neurons on the core",
        "C10" => "quantize the network for this target",
        "C11" => "use shorter delays, or put fewer neurons on the core",
        "C15" => "put fewer neurons on the core: indices do not reach the last ones",
        "C27" => "prune, store narrower weights (--weight-bits), or put fewer neurons on the core: state, axons and words share its bytes",
        "C16" => "use a larger board, prune, or store narrower weights",
        _ => "",
    }
}
