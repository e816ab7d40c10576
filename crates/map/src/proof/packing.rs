//! Neurons as items of different sizes: rounding that tells how many fit.
//!
//! In: additive costs of neurons. Out: a bound by resource, where rounding helps.
//! Invariant: for costs c of the neurons of one core, which has C: value each `ceil((k + 1) c / C) - 1`. The values are below `(k + 1) c / C`
//! each, thus below k + 1 together, and whole: at most k. So the values of all neurons, divided by k, bound the cores, for every k.
//! Cost: the different costs, for each k. Why: with k the number that fit, it counts items of one size exactly, which sums don't.

use super::spread::Costs;
use super::{Proof, at_least};
use crate::bounds::Bound;

/// Largest k.
const MOST: u64 = 128;
/// Different costs and values of k at most: of more, fewer k are tried.
const STEPS: u64 = 4_000_000;

/// The best bound of each resource.
pub(super) fn proofs(costs: &[Costs]) -> Vec<Proof> {
    costs.iter().filter_map(proof).collect()
}

fn proof(costs: &Costs) -> Option<Proof> {
    let per_core = costs.per_core;
    let total: u64 = costs.of_neuron.iter().sum();
    if per_core == 0 || total <= per_core {
        return None;
    }
    let mut sorted = costs.of_neuron.clone();
    sorted.sort_unstable();
    let kinds: Vec<(u64, u64)> = sorted.chunk_by(|a, b| a == b).map(|c| (c[0], c.len() as u64)).collect();
    let most = (STEPS / kinds.len() as u64).clamp(1, MOST);
    let value = |k: u64, c: u64| (u128::from(c) * u128::from(k + 1)).div_ceil(per_core.into()).saturating_sub(1) as u64;
    let (mut best, mut of) = (0, 1);
    for k in 1..=most {
        let sum: u64 = kinds.iter().map(|&(c, n)| value(k, c) * n).sum();
        if sum.div_ceil(k) > best {
            (best, of) = (sum.div_ceil(k), k);
        }
    }
    if best <= total.div_ceil(per_core) {
        return None;
    }
    let resource = match costs.resource {
        "input axons" => "input axons (by neuron)",
        "words" => "words (by neuron)",
        "bytes" => "bytes (by neuron)",
        _ => "out entries (by neuron)",
    };
    let sum: u64 = kinds.iter().map(|&(c, n)| value(of, c) * n).sum();
    let bound = Bound { resource, need: sum, per_core: of, cores: best };
    let argument = vec![
        format!(
            "A neuron that takes more than j / {} of a core's {} counts j: the neurons of one core count {of} together at most.",
            of + 1,
            costs.resource
        ),
        format!("All neurons count {sum}: {}.", at_least(&bound)),
    ];
    Some(Proof { bound, argument })
}
