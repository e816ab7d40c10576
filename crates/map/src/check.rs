//! The recount: what each core uses, from the hypergraph and the assignment alone.
//!
//! In: an assignment by whoever. Out: [`Counted`], with every core beyond a limit.
//! Invariant: shares no counting with [`crate::state`], whose increments it judges; a plain loop over the neurons of each core.
//! Cost: linear in the synapses.

use crate::hypergraph::Hypergraph;
use crate::limits::Limits;
use crate::state::Use;

/// A core beyond a limit.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Violation {
    /// Core; for the entries of one neuron its core.
    pub core: u32,
    /// Resource.
    pub resource: &'static str,
    /// Used.
    pub used: i64,
    /// Available.
    pub available: i64,
}

/// Use of all cores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Use of each core.
    pub uses: Vec<Use>,
    /// What is beyond a limit, by core.
    pub violations: Vec<Violation>,
}

/// Counts an assignment: `parts[i]` below `cores` for every neuron. `chips` is the chip of each core; empty for one chip.
pub fn count(graph: &Hypergraph, limits: &Limits, parts: &[u32], cores: u32, chips: &[u32]) -> Counted {
    let mut members: Vec<Vec<u32>> = vec![Vec::new(); cores as usize];
    for (v, &core) in parts.iter().enumerate() {
        members[core as usize].push(v as u32);
    }
    let mut uses = vec![Use::default(); cores as usize];
    let mut violations = Vec::new();
    let mut synapses = vec![0u32; graph.axons() as usize];
    let mut destinations = vec![0u32; graph.neurons() as usize];
    for core in 0..cores {
        let list = &members[core as usize];
        let mut axons = Vec::new();
        for &v in list {
            for (axon, count) in graph.synapses(v) {
                if synapses[axon as usize] == 0 {
                    axons.push(axon);
                }
                synapses[axon as usize] += count;
            }
        }
        uses[core as usize].neurons = list.len() as i64;
        uses[core as usize].in_slots = axons.len() as i64;
        uses[core as usize].own = limits.memory.as_ref().map_or(0, |m| list.iter().map(|&v| m.own(v)).sum());
        for axon in axons {
            uses[core as usize].words += i64::from(limits.words(axon, synapses[axon as usize]));
            synapses[axon as usize] = 0;
            if let Some(source) = graph.source(axon) {
                let from = parts[source as usize];
                let away = !chips.is_empty() && chips[from as usize] != chips[core as usize];
                uses[from as usize].out_entries += i64::from(limits.entry_cost + if away { limits.off_chip_extra } else { 0 });
                destinations[source as usize] += 1;
            }
        }
    }
    for core in 0..cores {
        let (used, list) = (uses[core as usize], &members[core as usize]);
        let highest = limits.levels.as_ref().and_then(|levels| list.iter().map(|&v| levels.of_neuron[v as usize]).max()).unwrap_or(0);
        let most = limits.levels.as_ref().map_or(limits.neurons, |levels| levels.most_neurons[usize::from(highest)].min(limits.neurons));
        let mut check = |resource, used: i64, available: u32| {
            if used > i64::from(available) {
                violations.push(Violation { core, resource, used, available: available.into() });
            }
        };
        check("neurons", used.neurons, most);
        check("input axons", used.in_slots, limits.in_slots);
        check("out entries", used.out_entries, limits.out_entries);
        check("words", used.words, limits.words);
        if let Some(m) = &limits.memory {
            let parts = [
                (used.neurons, i64::from(m.neuron) + (i64::from(m.slot) << highest)),
                (used.in_slots, m.in_slot.into()),
                (used.out_entries, m.out_entry.into()),
                (used.words, m.word.into()),
            ];
            check("bytes", used.own + parts.iter().map(|(n, bytes)| n * bytes).sum::<i64>(), m.bytes);
        }
        let widest = list.iter().map(|&v| destinations[v as usize]).max().unwrap_or(0);
        check("destinations of a neuron", widest.into(), limits.out_per_neuron);
        for labels in &limits.labels {
            let mut kinds: Vec<u16> = list.iter().map(|&v| labels.of_neuron[v as usize]).collect();
            kinds.sort_unstable();
            kinds.dedup();
            check("profiles", kinds.len() as i64, labels.most);
        }
    }
    Counted { uses, violations }
}
