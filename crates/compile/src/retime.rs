//! Retiming: the skew of each population, so that a spike has the chip steps that it needs on its way.
//!
//! In: a net with net delays, and the target's hops. Out: one skew a population, and the chip delays they give.
//! Invariant: for every synapse `d_net + s(post) - s(pre) >= hop`; inputs have skew 0 and no skew is negative. Of all
//! solutions this is the earliest: each skew is the smallest that any solution has. A chain of L layers gets 0, 1, 2, ...
//! Cost: Bellman-Ford (petgraph's), O(populations * projections) at worst, a few sweeps for a feed-forward net.
//! Why: Leiserson and Saxe, "Retiming Synchronous Circuitry" (1991): difference constraints, feasible exactly when no
//! cycle has less net delay than hops; the earliest solution is the longest path. Skip connections balance by themselves.

use crate::finding::Finding;
use petgraph::algo::{bellman_ford, find_negative_cycle};
use petgraph::graph::{DiGraph, NodeIndex};
use spikec_chip::Target;
use spikec_chip::target::Family;
use spikec_chip::validate::MAX_SKEW;
use spikec_net::{Net, Number, Projection};
use thiserror::Error;

/// A loop of projections whose net delay is too short for the chip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TightLoop {
    /// Names of the populations, in the order of the loop.
    pub populations: Vec<String>,
    /// Names of the projections; `projections[k]` leaves `populations[k]`.
    pub projections: Vec<String>,
    /// Sum of the smallest net delays, in network steps.
    pub net_delay_steps: u64,
    /// Sum of the hops, in chip steps.
    pub hop_steps: u64,
}

impl std::fmt::Display for TightLoop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (population, projection) in self.populations.iter().zip(&self.projections) {
            write!(f, "{population} -[{projection}]-> ")?;
        }
        write!(f, "{}", self.populations.first().map_or("", |s| s))
    }
}

/// Why a net has no skews.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RetimeError {
    /// A loop needs more chip steps than its delay allows.
    #[error("loop {0}: found a net delay of {n} steps, expected at least the {h} chip steps of its hops", n = .0.net_delay_steps, h = .0.hop_steps)]
    Infeasible(TightLoop),
    /// A skew does not fit into 32 bits (hops of the target are absurd).
    #[error("population {population}: found a skew of {skew} chip steps, expected at most {max}", max = u32::MAX)]
    Overflow {
        /// Name.
        population: String,
        /// Skew.
        skew: i64,
    },
}

impl RetimeError {
    /// A remedy.
    pub fn hint(&self) -> String {
        match self {
            RetimeError::Infeasible(tight) => format!(
                "give the projections of the loop {} more step(s) of delay in all, for instance one for the edge that closes it, or let it lag: --timing-policy allow-lag",
                tight.hop_steps - tight.net_delay_steps
            ),
            RetimeError::Overflow { .. } => "check neuron_hop_steps and input_hop_steps of the target".into(),
        }
    }
}

/// `s(post) - s(pre) >= need`.
struct Constraint {
    pre: usize,
    post: usize,
    need: i64,
}

/// Chip steps that a spike of the projection's pre needs at least.
pub fn hop_steps<N: Number>(net: &Net<N>, projection: &Projection<N>, target: &Target) -> u32 {
    let t = &target.topology;
    if net.population(projection.pre).is_input() { *t.input_hop_steps } else { *t.neuron_hop_steps }
}

/// The earliest skews of all populations, in chip steps. Projections without a synapse bind nothing; host projections
/// bind nothing either (the host writes a frame before the step in which it acts, and skews are not negative).
///
/// Errors: a loop with less net delay than hops is named.
pub fn skews<N: Number>(net: &Net<N>, target: &Target) -> Result<Vec<u32>, RetimeError> {
    let used: Vec<&Projection<N>> = net.projections.iter().filter(|p| !p.synapses.is_empty()).collect();
    let constraints: Vec<Constraint> = used.iter().map(|p| constraint(net, p, target)).collect();
    let skews = earliest(net.populations.len(), &constraints).map_err(|cycle| {
        RetimeError::Infeasible(TightLoop {
            populations: cycle.iter().map(|&k| net.population(used[k].pre).name.clone()).collect(),
            projections: cycle.iter().map(|&k| used[k].name.clone()).collect(),
            net_delay_steps: cycle.iter().map(|&k| used[k].synapses.delay_bounds().0 as u64).sum(),
            hop_steps: cycle.iter().map(|&k| hop_steps(net, used[k], target) as u64).sum(),
        })
    })?;
    let narrow =
        |(p, s): (usize, i64)| u32::try_from(s).map_err(|_| RetimeError::Overflow { population: net.populations[p].name.clone(), skew: s });
    skews.into_iter().enumerate().map(narrow).collect()
}

fn constraint<N: Number>(net: &Net<N>, p: &Projection<N>, target: &Target) -> Constraint {
    let need = i64::from(hop_steps(net, p, target)) - i64::from(p.synapses.delay_bounds().0);
    Constraint { pre: p.pre.index(), post: p.post.index(), need }
}

/// The earliest skews with which each projection of `longer` has one chip step more than its hop. Where a loop has no slack for that, its last projection
/// that wants one goes without, and is false in `longer` then. `None` where not even the hops fit.
pub(crate) fn skews_with_slack<N: Number>(net: &Net<N>, target: &Target, longer: &mut [bool]) -> Option<Vec<u32>> {
    let used: Vec<usize> = (0..net.projections.len()).filter(|&k| !net.projections[k].synapses.is_empty()).collect();
    loop {
        let of = |&k: &usize| {
            let plain = constraint(net, &net.projections[k], target);
            Constraint { need: plain.need + i64::from(longer[k]), ..plain }
        };
        let constraints: Vec<Constraint> = used.iter().map(of).collect();
        match earliest(net.populations.len(), &constraints) {
            Ok(skews) => return skews.into_iter().map(|s| u32::try_from(s).ok()).collect(),
            Err(cycle) => {
                let tight = cycle.iter().map(|&k| used[k]).filter(|&k| longer[k]).max()?;
                longer[tight] = false;
            }
        }
    }
}

/// The constraints as a graph of negated needs, and a source from which every node has a distance of at most 0. The longest path of
/// needs to a node is then its shortest distance, negated. Needs have 33 bits and f64 has 53: sums are exact.
fn graph<'a>(nodes: usize, constraints: impl Iterator<Item = &'a Constraint>) -> (DiGraph<(), f64>, NodeIndex) {
    let mut graph = DiGraph::with_capacity(nodes + 1, nodes);
    for _ in 0..nodes {
        graph.add_node(());
    }
    let source = graph.add_node(());
    for c in constraints {
        graph.add_edge(NodeIndex::new(c.pre), NodeIndex::new(c.post), -(c.need as f64));
    }
    for p in 0..nodes {
        graph.add_edge(source, NodeIndex::new(p), 0.0);
    }
    (graph, source)
}

/// Smallest non-negative solution, or the constraints of a cycle whose needs sum to more than 0, in its order.
fn earliest(nodes: usize, constraints: &[Constraint]) -> Result<Vec<i64>, Vec<usize>> {
    let (graph, source) = graph(nodes, constraints.iter());
    match bellman_ford(&graph, source) {
        Ok(paths) => Ok(paths.distances[..nodes].iter().map(|&d| -d as i64).collect()),
        Err(_) => Err(tight_cycle(nodes, constraints)),
    }
}

/// A cycle of needs that sum to more than 0; there is one.
///
/// `find_negative_cycle` starts its walk at a node that a last sweep would move, and gets lost where that node's shortest path so
/// far doesn't come from the cycle. Its answer is checked; while it is none, a constraint without which the rest still has no
/// solution goes. When none can go, what is left is one cycle and nothing else, and a walk on it can't leave it.
fn tight_cycle(nodes: usize, constraints: &[Constraint]) -> Vec<usize> {
    let mut left: Vec<usize> = (0..constraints.len()).collect();
    let mut needed = 0;
    loop {
        let (whole, source) = graph(nodes, left.iter().map(|&k| &constraints[k]));
        let cycle = find_negative_cycle(&whole, source).and_then(|path| cycle_along(&path, constraints, &left));
        if let Some(cycle) = cycle {
            return cycle;
        }
        while needed < left.len() {
            let k = left.remove(needed);
            let (rest, source) = graph(nodes, left.iter().map(|&k| &constraints[k]));
            if bellman_ford(&rest, source).is_err() {
                break;
            }
            left.insert(needed, k);
            needed += 1;
        }
        if needed == left.len() {
            return left;
        }
    }
}

/// The constraints of `left` along the nodes of `path` and back to its first, the largest need of parallel ones; `None` where that is no
/// cycle of needs that sum to more than 0.
fn cycle_along(path: &[NodeIndex], constraints: &[Constraint], left: &[usize]) -> Option<Vec<usize>> {
    let ends = path.iter().zip(path.iter().cycle().skip(1));
    let step = |(a, b): (&NodeIndex, &NodeIndex)| {
        let between = left.iter().copied().filter(|&k| (constraints[k].pre, constraints[k].post) == (a.index(), b.index()));
        between.min_by_key(|&k| (-constraints[k].need, k))
    };
    let cycle: Vec<usize> = ends.map(step).collect::<Option<_>>()?;
    (cycle.iter().map(|&k| constraints[k].need).sum::<i64>() > 0).then_some(cycle)
}

/// Smallest and largest chip delay of a projection's synapses, with the skews of the net.
pub fn chip_delay_range<N: Number>(net: &Net<N>, projection: &Projection<N>) -> (i64, i64) {
    let (least, most) = projection.synapses.delay_bounds();
    (net.chip_delay(projection, least), net.chip_delay(projection, most))
}

/// C11: delay registers (`chip delay - hop`) that the target can't hold, one finding a projection.
pub fn delay_findings<N: Number>(net: &Net<N>, target: &Target) -> Vec<Finding> {
    let Some(longest) = target.longest_delay() else { return Vec::new() };
    let register = longest - *target.topology.neuron_hop_steps;
    let check = |p: &Projection<N>| {
        if p.synapses.is_empty() {
            return None;
        }
        let hop = hop_steps(net, p, target) as i64;
        // The host of a crossbar sends each spike of an input as late as it is wanted.
        let by_host = matches!(target.family, Family::Crossbar(_)) && net.population(p.pre).is_input();
        let max = if by_host { MAX_SKEW } else { register };
        let (least, most) = chip_delay_range(net, p);
        let (need, limit, remedy) = if most - hop > max as i64 {
            (most - hop, max as i64, "shorten the delay: relay neurons can't make it on this board")
        } else if least < hop {
            (least - hop, 0, "lower the net again: its skews do not fit its delays")
        } else {
            return None;
        };
        let resource = "delay register (chip steps beyond the hop)";
        Some(Finding::error("C11", resource, need as f64, limit as f64, remedy).layer(&p.name))
    };
    net.projections.iter().filter_map(check).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn constraints(edges: &[(usize, usize, i64)]) -> Vec<Constraint> {
        edges.iter().map(|&(pre, post, need)| Constraint { pre, post, need }).collect()
    }

    /// All assignments up to `bound`, the smallest sum first: the earliest solution is below every other one.
    fn brute_force(nodes: usize, edges: &[(usize, usize, i64)], bound: i64) -> Option<Vec<i64>> {
        let total = (bound + 1).pow(nodes as u32);
        let digits = |mut code: i64| {
            (0..nodes)
                .map(|_| {
                    let d = code % (bound + 1);
                    code /= bound + 1;
                    d
                })
                .collect::<Vec<_>>()
        };
        (0..total).map(digits).filter(|s| edges.iter().all(|&(a, b, need)| s[b] - s[a] >= need)).min_by_key(|s| s.iter().sum::<i64>())
    }

    #[test]
    fn a_chain_counts_its_layers_and_a_skip_waits() {
        // input -> a -> b -> c, and a -> c
        let s = earliest(4, &constraints(&[(0, 1, 0), (1, 2, 1), (2, 3, 1), (1, 3, 1)]));
        assert_eq!(s, Ok(vec![0, 0, 1, 2]));
    }

    #[test]
    fn a_tight_loop_is_returned_in_order() {
        let cycle = earliest(4, &constraints(&[(0, 1, 0), (1, 2, 1), (2, 3, 1), (3, 1, -1)])).unwrap_err();
        let mut sorted = cycle.clone();
        sorted.sort();
        assert_eq!(sorted, [1, 2, 3]);
        let place = |k| cycle.iter().position(|&c| c == k).unwrap();
        assert_eq!((place(1) + 1) % 3, place(2));
    }

    #[test]
    fn a_node_that_the_loop_reaches_by_a_worse_path_does_not_hide_it() {
        // After the sweeps, 0 would still move 2, whose path so far comes from 3.
        let edges = [(0, 1, 1), (1, 0, 0), (0, 2, 0), (3, 2, 2)];
        let (whole, source) = graph(4, constraints(&edges).iter());
        let lost = find_negative_cycle(&whole, source).and_then(|path| cycle_along(&path, &constraints(&edges), &[0, 1, 2, 3]));
        assert_eq!(lost, None, "a walk that isn't lost any more: `tight_cycle` can be simpler");
        let mut cycle = earliest(4, &constraints(&edges)).unwrap_err();
        cycle.sort_unstable();
        assert_eq!(cycle, [0, 1]);
        // A loop on one population, and parallel projections: the one with the larger need binds.
        assert_eq!(earliest(1, &constraints(&[(0, 0, 0), (0, 0, 1)])), Err(vec![1]));
    }

    fn is_tight_cycle(cycle: &[usize], edges: &[(usize, usize, i64)]) -> bool {
        let closed = cycle.iter().zip(cycle.iter().cycle().skip(1)).all(|(&a, &b)| edges[a].1 == edges[b].0);
        !cycle.is_empty() && closed && cycle.iter().map(|&k| edges[k].2).sum::<i64>() > 0
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn larger_nets_get_a_solution_or_a_cycle(edges in prop::collection::vec((0usize..7, 0usize..7, -6i64..=3), 0..16)) {
            match earliest(7, &constraints(&edges)) {
                Ok(s) => prop_assert!(edges.iter().all(|&(a, b, need)| s[b] - s[a] >= need) && s.iter().all(|&s| s >= 0)),
                Err(cycle) => prop_assert!(is_tight_cycle(&cycle, &edges), "{:?}", cycle),
            }
        }

        #[test]
        fn the_solution_is_the_smallest_and_infeasible_means_a_positive_cycle(
            edges in prop::collection::vec((0usize..4, 0usize..4, -2i64..=1), 0..7)
        ) {
            let found = earliest(4, &constraints(&edges));
            // Needs of at most 1 over at most 3 steps: a solution within 0..=3 exists if any does.
            let best = brute_force(4, &edges, 3);
            match (found, best) {
                (Ok(s), Some(b)) => prop_assert_eq!(s, b),
                (Err(cycle), None) => prop_assert!(is_tight_cycle(&cycle, &edges), "{:?}", cycle),
                (found, best) => prop_assert!(false, "found {:?}, brute force {:?}", found, best),
            }
        }
    }
}
