//! The sequential partitioner: an order of the neurons, next-fit, balanced.

use super::next_fit::{Cut, NextFit};
use super::order::{other_orders, tensor_order};
use super::{Effort, Kernels, Partitioner, Proposal};
use crate::pack::{Packer, Wiring};
use spikec_chip::target::Target;
use spikec_net::Quantized;

/// Probes for the smallest cap on a part's neurons that takes no more cores.
const BALANCE_PROBES: usize = 4;

/// Neurons in tensor order (or the best of a few others), as many on each core as fit, then equal numbers on the same number of cores. Populations share
/// cores.
#[derive(Debug, Clone, Copy)]
pub struct Sequential {
    /// `Fast` does not equalise the cores; `Best` tries more orders.
    pub effort: Effort,
    /// Whether input axons share words.
    pub kernels: Kernels,
}

impl Partitioner for Sequential {
    fn name(&self) -> &'static str {
        "sequential"
    }

    fn propose(&self, q: &Quantized, target: &Target) -> Proposal {
        let wiring = Wiring::new(q, target, self.kernels);
        let mut order = tensor_order(q, &wiring, *target.packed().core.compartments);
        let mut packer = Packer::new(q, &wiring, target);
        let mut solve = |order: &[u32]| NextFit { wiring: &wiring, target, order }.solve(&mut packer, usize::MAX);
        let mut best = solve(&order);
        if self.effort == Effort::Best {
            for other in other_orders(&wiring, &order) {
                let proposal = solve(&other);
                if proposal.legal && (!best.legal || proposal.ranges.len() < best.ranges.len()) {
                    (best, order) = (proposal, other);
                }
            }
        }
        if self.effort != Effort::Fast {
            best = balance(&NextFit { wiring: &wiring, target, order: &order }, &mut packer, best);
        }
        let parts: Vec<Vec<_>> = best.ranges.into_iter().map(|r| order[r].iter().map(|&u| wiring.reference(u)).collect()).collect();
        Proposal { kernels: self.kernels, ..parts.into() }
    }
}

/// The same number of parts with the smallest largest part that a few probes find: caps from the mean to the present largest.
fn balance(next_fit: &NextFit, packer: &mut Packer, mut best: Cut) -> Cut {
    let parts = best.ranges.len();
    if parts < 2 || !best.legal || parts as u64 > u64::from(next_fit.target.total_cores()) {
        return best;
    }
    let mut low = next_fit.order.len().div_ceil(parts);
    let mut high = best.ranges.iter().map(|r| r.len()).max().unwrap_or(low);
    let mut cap = low;
    for _ in 0..BALANCE_PROBES {
        if cap >= high {
            break;
        }
        let probe = next_fit.solve(packer, cap);
        if probe.legal && probe.ranges.len() <= parts {
            high = cap;
            best = probe;
        } else {
            low = cap + 1;
        }
        cap = low + (high - low) / 2;
    }
    best
}
