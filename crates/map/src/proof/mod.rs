//! Certificates: how many cores a hypergraph needs at least, and why, in numbers that a person can follow.
//!
//! In: a hypergraph and limits. Out: [`Certificate`]: lower bounds, the best of them, and its argument.
//! Invariant: no assignment within the limits takes fewer cores than any of the bounds (property test against all assignments of tiny nets).
//! Cost: a few passes over the synapses, and [`WORK`] steps at most for what could take longer: a proof that needs more is given up.
//! Why subsets of neurons prove something for all: take neurons off a core, and its neurons, input axons and words don't rise (tables of
//! words are made monotone first, downwards, which only weakens a proof). Its out entries fall too, and a bound would overlook that they
//! were needed; so out entries are charged to the sender: an axon with posts enters a number of cores at least, whatever the assignment, and
//! a core with some of the neurons pays at least what these send. Each core of any assignment, cut down to the chosen neurons, therefore
//! passes the tests by which a proof tells what one core can hold, and the cores that remain are no more than before.

mod classes;
mod overlap;
mod packing;
mod prices;
mod sharing;
mod spread;
#[cfg(test)]
mod tests;

use crate::bounds::{Bound, lower_bounds};
use crate::hypergraph::Hypergraph;
use crate::limits::Limits;
use serde::Serialize;

/// Steps of all proofs of a hypergraph whose work is not linear in its synapses.
pub const WORK: u64 = 200_000_000;

/// How many cores are needed at least, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// Lower bounds, simple ones first.
    pub bounds: Vec<Bound>,
    /// The largest.
    pub best: u64,
    /// Its resource.
    pub binding: String,
    /// Why one core less is not enough, line by line.
    pub argument: Vec<String>,
}

/// A bound with its argument.
#[derive(Debug, Clone)]
struct Proof {
    bound: Bound,
    argument: Vec<String>,
}

/// Steps that are left.
#[derive(Debug)]
struct Budget(u64);

impl Budget {
    /// Takes steps; false when there are not as many.
    fn take(&mut self, steps: u64) -> bool {
        let enough = self.0 >= steps;
        self.0 = self.0.saturating_sub(steps);
        enough
    }
}

/// The certificate of a hypergraph whose layers are called by their number.
pub fn certificate(graph: &Hypergraph, limits: &Limits) -> Certificate {
    let name = |v: u32| match graph.layers().partition_point(|l| l.first <= v) {
        0 => "the net".into(),
        layer => format!("layer {}", layer - 1),
    };
    certificate_named(graph, limits, &name, WORK)
}

/// The certificate; `name` tells where a neuron is, `work` bounds the steps of what is not linear.
pub fn certificate_named(graph: &Hypergraph, limits: &Limits, name: &dyn Fn(u32) -> String, work: u64) -> Certificate {
    let limits = &monotone(limits);
    let mut proofs: Vec<Proof> = lower_bounds(graph, limits).into_iter().map(simple).collect();
    proofs.extend(by_label(graph, limits));
    proofs.extend(by_level(graph, limits));
    let mut budget = Budget(work / 2);
    let alone = sharing::apart(graph, limits, &mut budget);
    proofs.extend(sharing::proof(graph, limits, &alone, name));
    let spread = spread::Spread::new(graph, limits, &alone);
    proofs.extend(spread.proofs(graph, limits));
    proofs.extend(packing::proofs(&spread.costs(graph, limits)));
    let least = |proofs: &[Proof]| proofs.iter().map(|p| p.bound.cores).max().unwrap_or(0);
    if let Some(overlap) = overlap::Overlap::new(graph, limits, least(&proofs), &mut budget) {
        proofs.extend(overlap.proofs(graph, limits));
        proofs.extend(packing::proofs(&[overlap.costs]));
    }
    budget.0 += work / 2;
    proofs.extend(classes::proof(graph, limits, &spread, least(&proofs), name, &mut budget));
    // Of equal ones the simplest.
    let best = proofs.iter().rev().max_by_key(|p| p.bound.cores).expect("a bound for each resource");
    let (cores, binding, mut argument) = (best.bound.cores, best.bound.resource.to_string(), best.argument.clone());
    if cores > 1 {
        argument.push(format!("So {} are not enough.", plural(cores - 1, "core")));
    }
    Certificate { bounds: proofs.into_iter().map(|p| p.bound).collect(), best: cores, binding, argument }
}

/// "1 core", "2 cores".
fn plural(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Limits whose tables of words rise: each entry is the least of itself and those after it.
fn monotone(limits: &Limits) -> Limits {
    let mut limits = limits.clone();
    for table in &mut limits.words_of {
        for n in (1..table.len()).rev() {
            table[n - 1] = table[n - 1].min(table[n]);
        }
    }
    limits
}

fn bound(resource: &'static str, need: u64, per_core: u64) -> Bound {
    Bound { resource, need, per_core, cores: need.div_ceil(per_core.max(1)) }
}

fn simple(bound: Bound) -> Proof {
    let what = match bound.resource {
        "neurons" => "Each neuron takes a place",
        "input axons" => "Each axon with a post takes an input axon on one core at least",
        "out entries" => "Each neuron with a post takes out entries for one core at least",
        "bytes" => "Neurons, input axons, out entries and words share the bytes of a core, and none takes fewer than by its own bound",
        _ => "However the synapses of each axon are spread over cores, they take no fewer words",
    };
    let argument =
        vec![format!("{what}: the net needs {} {}, a core has {}: {}.", bound.need, bound.resource, bound.per_core, at_least(&bound))];
    Proof { bound, argument }
}

fn at_least(bound: &Bound) -> String {
    format!("at least {}", plural(bound.cores, "core"))
}

/// A core holds a few labels only, and each label is somewhere.
fn by_label(graph: &Hypergraph, limits: &Limits) -> Option<Proof> {
    let proofs = limits.labels.iter().filter(|_| graph.neurons() > 0).map(|labels| {
        let mut kinds = labels.of_neuron.clone();
        kinds.sort_unstable();
        kinds.dedup();
        let bound = bound("profiles", kinds.len() as u64, labels.most.into());
        let argument = vec![format!("The neurons have {} profiles, a core holds {}: {}.", bound.need, bound.per_core, at_least(&bound))];
        Proof { bound, argument }
    });
    proofs.max_by_key(|p| p.bound.cores)
}

/// Neurons of a level take their share of a core that holds as few as that level allows.
fn by_level(graph: &Hypergraph, limits: &Limits) -> Option<Proof> {
    let levels = limits.levels.as_ref()?;
    const ONE: u64 = 1 << 32;
    let most = |level: u8| levels.most_neurons[usize::from(level)].min(limits.neurons).max(1);
    let need: u64 = (0..graph.neurons()).map(|v| ONE / u64::from(most(levels.of_neuron[v as usize]))).sum();
    let cores = need.div_ceil(ONE);
    let bound = Bound { resource: "neurons by delay", need: graph.neurons().into(), per_core: limits.neurons.into(), cores };
    let argument = vec![format!(
        "A core holds fewer neurons where their delays are long; with each neuron's share by its own delays, {} fill {:.2} cores.",
        plural(bound.need, "neuron"),
        need as f64 / ONE as f64
    )];
    Some(Proof { bound, argument })
}
