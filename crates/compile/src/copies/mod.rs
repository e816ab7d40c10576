//! Copies that pay: the same neuron on several cores, so that messages need not go far.
//!
//! In: a mapping. Out: the same mapping with copies, or none.
//! Invariant: what the search proposes goes through `Partitioned::new` and `Placed::new` like any proposal, and is taken only where the recount says that
//! the average step costs less energy and fewer hops, and that the busiest core is no busier. A copy has the neuron's synapses, parameters and
//! biases, so no spike changes (docs/semantics.md, section 6).
//! Cost: one more recount where copies are found.
//! Why two uses: a copy saves hops, and it takes output axons from a core: a neuron that reaches more cores than the target lets one neuron reach
//! (C04), or a core whose neurons need more entries than it has (C03), fits with copies alone.

mod search;
mod terms;
#[cfg(test)]
mod tests;

use crate::finding::Finding;
use crate::partition::{Effort, Partitioned, Proposal, Search};
use crate::pins;
use crate::place::Placed;
use search::Finder;
use serde::Serialize;
use spikec_chip::target::Target;
use spikec_net::Quantized;
pub use terms::Terms;
use terms::{Prices, terms};

/// Whether neurons may stand on several cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Copies {
    /// Each neuron once.
    None,
    /// Where it pays.
    #[default]
    Auto,
}

/// What copies do in a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CopiesReport {
    /// Copies, the neurons themselves not counted.
    pub copies: u64,
    /// Neurons that have copies.
    pub neurons: u64,
    /// The mapping as it is.
    pub with: Terms,
    /// The same mapping without copies; none where it was given with copies, or does not fit without them.
    pub without: Option<Terms>,
}

/// Counts the copies of a mapping; `without` is the mapping before they were found.
pub(crate) fn report(
    q: &Quantized,
    placed: &Placed,
    target: &Target,
    search: &Search,
    steps: Option<u32>,
    without: Option<Terms>,
) -> Option<CopiesReport> {
    let copies = placed.partitioned().copies();
    if copies.is_empty() {
        return None;
    }
    let mut units: Vec<u32> = copies.iter().map(|seat| seat.unit).collect();
    units.dedup();
    let with = terms(q, placed, &Prices::new(q, target, &search.rates, steps));
    Some(CopiesReport { copies: copies.len() as u64, neurons: units.len() as u64, with, without })
}

/// The parts of a mapping with their cores and these copies.
fn proposal(partitioned: &Partitioned, cores: &[u32], copies: &[Vec<u32>]) -> Proposal {
    let wiring = partitioned.wiring();
    let neurons = |units: &[u32]| units.iter().map(|&unit| wiring.reference(unit)).collect::<Vec<_>>();
    Proposal {
        parts: partitioned.parts().iter().map(|part| neurons(&part.pack.units[..part.own])).collect(),
        cores: Some(cores.to_vec()),
        copies: copies.iter().map(|units| neurons(units)).collect(),
        kernels: partitioned.kernels(),
    }
}

/// Adds the copies that pay, and tells what the mapping cost without them; the mapping as it was where none does.
pub(crate) fn improve(q: &Quantized, placed: Placed, target: &Target, search: &Search, steps: Option<u32>) -> (Placed, Option<Terms>) {
    if placed.partitioned().parts().len() < 2 {
        return (placed, None);
    }
    let prices = Prices::new(q, target, &search.rates, steps);
    let cores: Vec<u32> = (0..placed.partitioned().parts().len() as u32).map(|part| placed.core(part)).collect();
    let found = {
        let mut finder = Finder::new(q, target, placed.partitioned(), &cores, &prices, search);
        finder.save();
        finder.found()
    };
    let Some(copies) = found else { return (placed, None) };
    let Ok(partitioned) = Partitioned::new(q, proposal(placed.partitioned(), &cores, &copies), target) else { return (placed, None) };
    let Ok(with) = Placed::new(partitioned, cores, target) else { return (placed, None) };
    let (before, after) = (terms(q, &placed, &prices), terms(q, &with, &prices));
    let less = |a: f64, b: f64| a < b - 1e-9 * b.abs();
    let no_more = |a: f64, b: f64| a <= b + 1e-9 * b.abs();
    let pays = less(after.energy_pj, before.energy_pj) && less(after.hops, before.hops) && no_more(after.busiest_ns, before.busiest_ns);
    if pays && pins::violations(q, &with, &search.pins).is_empty() { (with, Some(before)) } else { (placed, None) }
}

/// Copies with which a mapping fits that passes the limits of output axons alone (C03, C04, or C27 by their bytes); `None` where there is something else, or where none are found.
pub(crate) fn relieve(q: &Quantized, refused: &Partitioned, findings: &[Finding], target: &Target, search: &Search) -> Option<Proposal> {
    if findings.iter().any(|f| !matches!(f.code, "C03" | "C04" | "C27")) {
        return None;
    }
    let cores = match refused.proposed_cores() {
        Some(cores) => cores.to_vec(),
        None => crate::place::along_the_curve(refused, target),
    };
    let prices = Prices::new(q, target, &search.rates, None);
    let mut finder = Finder::new(q, target, refused, &cores, &prices, search);
    let copies = if finder.relieve() { finder.found() } else { None };
    copies.map(|copies| proposal(refused, &cores, &copies))
}

/// Work of a search: messages weighed and synapses packed.
fn work(effort: Effort) -> u64 {
    match effort {
        Effort::Fast => 20_000_000,
        Effort::Default => 200_000_000,
        Effort::Best => 2_000_000_000,
    }
}
