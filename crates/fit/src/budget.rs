//! What a network may use.
//!
//! In: limits as the user gave them; the report of a compilation. Out: what is beyond them.
//! Invariant: everything is counted from the compiled parts, nothing is estimated.

use serde::Serialize;
use spikec_chip::Target;
use spikec_compile::CompileReport;

/// Limits, all of which hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Budget {
    /// Cores.
    pub cores: Option<u32>,
    /// Chips of the board.
    pub chips: Option<u32>,
    /// Synapses on the chip.
    pub synapses: Option<u64>,
    /// Bytes of synaptic memory, whole words; where cores have a budget of bytes, all that is charged to it.
    pub memory_bytes: Option<u64>,
    /// Resources of the fullest core, by their code.
    pub core_limits: Vec<(String, u64)>,
}

/// A limit and what is used of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Use {
    /// What is limited, with its unit.
    pub what: String,
    /// How much is used.
    pub used: u64,
    /// How much may be.
    pub allowed: u64,
}

impl Budget {
    /// True when nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Budget::default()
    }

    /// True when only the number of synapses is limited.
    pub fn is_of_synapses(&self) -> bool {
        self.synapses.is_some() && Budget { synapses: None, ..self.clone() }.is_empty()
    }

    /// Every limit with what a compilation uses.
    pub fn uses(&self, report: &CompileReport, target: &Target) -> Vec<Use> {
        let mut uses = Vec::new();
        let mut add = |what: String, used: u64, allowed: Option<u64>| uses.extend(allowed.map(|allowed| Use { what, used, allowed }));
        add("cores".into(), report.cores.into(), self.cores.map(u64::from));
        let per_chip = target.total_cores() / (*target.topology.chips).max(1);
        let mut chips: Vec<u32> = report.core_usage.iter().map(|c| c.core / per_chip.max(1)).collect();
        chips.dedup();
        add("chips".into(), chips.len() as u64, self.chips.map(u64::from));
        add("synapses".into(), report.synapses_on_chip, self.synapses);
        let of_cores = spikec_chip::cost::budget(&target.packed().core).is_some();
        let what = if of_cores { "bytes of the cores' memory" } else { "bytes of synaptic memory" };
        add(what.into(), report.memory_bytes(target), self.memory_bytes);
        for (code, limit) in &self.core_limits {
            let most = report.core_usage.iter().flat_map(|c| &c.resources).filter(|u| u.code == code).max_by_key(|u| u.used);
            let what = most.map_or_else(|| code.clone(), |u| format!("{code} {} of the fullest core", u.resource));
            add(what, most.map_or(0, |u| u.used), Some(*limit));
        }
        uses
    }

    /// Cores that the budget allows at most, where it says.
    pub fn all_cores(&self, target: &Target) -> Option<u32> {
        let per_chip = target.total_cores() / (*target.topology.chips).max(1);
        [self.cores, self.chips.map(|c| c.saturating_mul(per_chip))].into_iter().flatten().min()
    }

    /// Words of synaptic memory that the budget allows at most, as far as it says: where cores have a budget of bytes, neurons and axons take some of it.
    pub fn words(&self, target: &Target) -> Option<u64> {
        let memory = &target.packed().synapse_memory;
        let per_core = u64::from(*memory.usable_words);
        let per_chip = u64::from(target.total_cores() / (*target.topology.chips).max(1)) * per_core;
        let of_cores = self.cores.map(|c| u64::from(c) * per_core);
        let of_chips = self.chips.map(|c| u64::from(c) * per_chip);
        let of_bytes = self.memory_bytes.map(|b| b / (u64::from(*memory.word_bits) / 8).max(1));
        [of_cores, of_chips, of_bytes].into_iter().flatten().min()
    }
}
