//! The choice between proposals: every one is counted, the best that fits wins.
//!
//! In: strategies. Out: [`Placed`], or what stands in the way of the last.
//! Invariant: fewest cores; of equals, the shortest busy time of the busiest core by the analytic model's law (docs/timing.md), then fewest spikes
//! times hops, then the first.
//! Cost: a packing for each strategy; for large nets the first that fits is taken.

use crate::copies::{self, Copies};
use crate::finding::sort;
use crate::pack::{PackedAxon, PackedList};
use crate::partition::{FitError, LARGE, Partitioned, Partitioner, Proposal, Search};
use crate::pins;
use crate::place::{PlaceOptions, Placed, messages, place};
use spikec_chip::cost::Read;
use spikec_chip::image::SynapseEntry;
use spikec_chip::mesh::Mesh;
use spikec_chip::target::Target;
use spikec_map::place::{Traffic, quality};
use spikec_net::Quantized;

/// The best of the strategies' proposals; `certificate` tells how many cores there must be at least.
pub(crate) fn choose(
    q: &Quantized,
    target: &Target,
    strategies: &[Box<dyn Partitioner>],
    search: &Search,
    certificate: &dyn Fn() -> u64,
) -> Result<Placed, FitError> {
    let options = PlaceOptions { effort: search.effort, seed: search.seed, rates: &search.rates };
    let mut best: Option<(Rank, Placed)> = None;
    let mut refused: Option<FitError> = None;
    let counted = |proposal: Proposal| {
        let placed = place(partitioned(q, proposal, target, search)?, target, &options)?;
        let findings = pins::violations(q, &placed, &search.pins);
        if findings.is_empty() { Ok(placed) } else { Err(FitError { findings }) }
    };
    for (k, strategy) in strategies.iter().enumerate() {
        let most = best.as_ref().map_or(usize::MAX, |(rank, _)| rank.cores);
        let Some(proposal) = strategy.propose_within(q, target, most) else { continue };
        match counted(proposal) {
            Ok(placed) => {
                let rank = rank(&placed, target, &search.rates);
                if best.as_ref().is_none_or(|(r, _)| rank.before(r)) {
                    best = Some((rank, placed));
                }
                // For large nets the next one would take long; for others, a proof that it can't save a core is cheap beside it.
                let cores = best.as_ref().map_or(u64::MAX, |(rank, _)| rank.cores as u64);
                let large = q.net.synapse_count() >= LARGE && strategy.name() != "blocks";
                let last = k + 1 == strategies.len() || large;
                if last || cores == 1 || cores <= certificate() {
                    break;
                }
            }
            Err(e) => refused = Some(e),
        }
    }
    match (best, refused) {
        (Some((_, placed)), _) => Ok(placed),
        (None, Some(e)) => Err(e),
        // Nothing that was found fits: the first guess tells why.
        (None, None) => counted(strategies.first().map_or_else(|| Vec::new().into(), |s| s.propose(q, target))),
    }
}

/// Counts a proposal; one that passes only limits of output axons is counted again with copies.
fn partitioned(q: &Quantized, proposal: Proposal, target: &Target, search: &Search) -> Result<Partitioned, FitError> {
    let (partitioned, mut findings) = Partitioned::counted(q, &proposal, target);
    if findings.is_empty() {
        return Ok(partitioned);
    }
    if search.copies == Copies::Auto
        && let Some(with) = copies::relieve(q, &partitioned, &findings, target, search)
        && let Ok(relieved) = Partitioned::new(q, with, target)
    {
        return Ok(relieved);
    }
    sort(&mut findings);
    Err(FitError { findings })
}

/// What proposals are compared by.
#[derive(Debug)]
pub(crate) struct Rank {
    pub cores: usize,
    /// Nanoseconds of the busiest core in a step.
    pub busiest_ns: f64,
    /// Hops between cores in a step.
    pub hops: f64,
}

impl Rank {
    fn before(&self, other: &Rank) -> bool {
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(b.abs());
        if self.cores != other.cores {
            self.cores < other.cores
        } else if !near(self.busiest_ns, other.busiest_ns) {
            self.busiest_ns < other.busiest_ns
        } else {
            self.hops < other.hops && !near(self.hops, other.hops)
        }
    }
}

/// Ranks a mapping.
pub(crate) fn rank(placed: &Placed, target: &Target, rates: &[f32]) -> Rank {
    let partitioned = placed.partitioned();
    let parts = partitioned.parts();
    let ns = &target.packed().timing_ns;
    let rate = |unit: u32| f64::from(rates.get(unit as usize).copied().unwrap_or(1.0));
    let busy = |part: usize| {
        let pack = &parts[part].pack;
        let each = |shared: bool, e: &SynapseEntry| match Read::of(shared, pack.formats[usize::from(e.format)].compression) {
            Read::Conv => *ns.synapse_conv,
            Read::Dense => *ns.synapse_dense,
            Read::Sparse => *ns.synapse_sparse,
        };
        let read = |list: &PackedList| list.list.entries.iter().map(|e| each(list.readers > 1, e) * e.synapses.len() as f64).sum::<f64>();
        let received = |a: &PackedAxon| rate(a.source) * (*ns.axon_in + read(pack.list(a)));
        let received: f64 = pack.in_axons.iter().map(received).sum();
        let links = |u: u32| partitioned.sent(u, part as u32).count() as f64;
        let sent: f64 = pack.units.iter().map(|&u| rate(u) * (*ns.spike_out + *ns.axon_out * links(u))).sum();
        let updates = pack.units.len() as f64 * (*ns.neuron_access + *ns.neuron_update);
        received.max(sent + updates)
    };
    let busiest_ns = (0..parts.len()).map(busy).fold(0.0, f64::max);
    let (between, _) = messages(partitioned, rates);
    let cores: Vec<u32> = (0..parts.len() as u32).map(|part| placed.core(part)).collect();
    let hops = Traffic::new(parts.len() as u32, between)
        .and_then(|traffic| quality(&traffic, &Mesh::new(&target.topology), &cores))
        .map_or(f64::INFINITY, |q| q.hops);
    Rank { cores: parts.len(), busiest_ns, hops }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixednets::{all_to_all, changed, mnist};
    use crate::partition::Sequential;

    /// A synapse is charged as what it is read from.
    #[test]
    fn dense_lists_have_the_price_of_dense_lists() {
        let q = mnist(60, all_to_all(784, 60), all_to_all(60, 10));
        let busiest = |dense: f64, sparse: f64| {
            let target = changed(|p| {
                p.timing_ns.synapse_dense.value = dense;
                p.timing_ns.synapse_sparse.value = sparse;
            });
            let search = Search::default();
            let proposal = Sequential { effort: search.effort, kernels: search.kernels }.propose(&q, &target);
            let options = PlaceOptions { effort: search.effort, seed: 0, rates: &[] };
            let placed = Partitioned::new(&q, proposal, &target).and_then(|p| place(p, &target, &options));
            let placed = placed.unwrap_or_else(|e| panic!("{e}"));
            rank(&placed, &target, &[]).busiest_ns
        };
        let (least, dense, sparse) = (busiest(1.0, 1.0), busiest(2.0, 1.0), busiest(1.0, 2.0));
        // Every list is dense: 784 of 60 synapses and 60 of 10.
        assert_eq!((dense - least, sparse - least), (f64::from(784 * 60 + 60 * 10), 0.0));
    }
}
