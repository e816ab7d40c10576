//! A target as text: every number with its source and confidence.

use crate::table::{count, table};
use serde::Serialize;
use spikec_chip::Target;
use spikec_chip::cost::budget;
use spikec_chip::target::{Confidence, Family};
use std::collections::BTreeMap;

/// The description, one number a line; keys and values are as a derived target file writes them.
pub fn text(target: &Target) -> String {
    let mut out = format!("{}: {}\n", target.name, target.description);
    let numbers = target.numbers();
    let width = numbers.iter().map(|n| n.key.len()).max().unwrap_or(0);
    for n in numbers {
        out.push_str(&format!("  {:<width$}  {}  [{:?}: {}]\n", n.key, n.value, n.confidence, n.source));
    }
    out
}

/// A target in one row: family, limits, how far its numbers can be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Name.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// Family.
    pub family: &'static str,
    /// Cores of the board.
    pub cores: u32,
    /// What a core holds.
    pub limits: String,
    /// Numbers by confidence, from public to guess.
    pub confidence: BTreeMap<Confidence, usize>,
}

impl Summary {
    /// Of a target.
    pub fn new(target: &Target) -> Summary {
        let limits = match &target.family {
            Family::Packed(p) => format!(
                "{} compartments, {} input axons, {} words of {} bits{}",
                count((*p.core.compartments).into()),
                count((*p.core.in_axons).into()),
                count((*p.synapse_memory.usable_words).into()),
                *p.synapse_memory.word_bits,
                budget(&p.core).map_or_else(String::new, |bytes| format!(", within {} bytes in all", count(bytes)))
            ),
            Family::Crossbar(x) => format!(
                "{} axons of {} types x {} neurons, {}-bit potentials ({})",
                *x.core.axons,
                *x.core.axon_types,
                *x.core.neurons,
                *x.neuron.potential_bits,
                format!("{:?}", *x.neuron.overflow).to_lowercase()
            ),
            Family::EventCrossbar(x) => format!(
                "{} rows x {} neurons, {}-bit weights, {}-bit potentials",
                *x.core.rows, *x.core.neurons, *x.weights.stored_bits, *x.neuron.potential_bits
            ),
        };
        let mut confidence = BTreeMap::new();
        for number in target.numbers() {
            *confidence.entry(number.confidence).or_default() += 1;
        }
        Summary {
            name: target.name.clone(),
            description: target.description.clone(),
            family: target.family.name(),
            cores: target.usable_cores(),
            limits,
            confidence,
        }
    }
}

/// Targets as a table.
pub fn list(targets: &[Summary]) -> String {
    let confidence = |s: &Summary| {
        let words: Vec<String> = s.confidence.iter().map(|(c, n)| format!("{n} {}", c.word())).collect();
        words.join(", ")
    };
    let rows = targets.iter().map(|s| vec![s.name.clone(), s.family.into(), count(s.cores.into()), s.limits.clone(), confidence(s)]);
    let mut out = table(&["target", "family", "cores", "a core holds", "numbers by confidence"], rows);
    for s in targets {
        out.push_str(&format!("\n{:<15} {}", s.name, s.description));
    }
    out
}
