//! The sequential partitioner: tensor order, next-fit, balanced.

use super::next_fit::{NextFit, Proposal};
use super::order::tensor_order;
use super::{NeuronRef, Partitioner};
use crate::pack::{Packer, Wiring};
use spikec_chip::target::Target;
use spikec_net::Quantized;

/// Probes for the smallest cap on a part's neurons that takes no more cores.
const BALANCE_PROBES: usize = 4;

/// Neurons in tensor order, as many on each core as fit, then equal numbers on the same number of cores. Populations share
/// cores.
#[derive(Debug, Clone, Copy)]
pub struct Sequential {
    /// Equalise the cores.
    pub balance: bool,
}

impl Partitioner for Sequential {
    fn name(&self) -> &'static str {
        "sequential"
    }

    fn propose(&self, q: &Quantized, target: &Target) -> Vec<Vec<NeuronRef>> {
        let wiring = Wiring::new(q, target);
        let order = tensor_order(q, &wiring, *target.packed().core.compartments);
        let mut packer = Packer::new(q, &wiring, target);
        let next_fit = NextFit { wiring: &wiring, target, order: &order };
        let mut best = next_fit.solve(&mut packer, usize::MAX);
        if self.balance {
            best = balance(&next_fit, &mut packer, best);
        }
        best.ranges.into_iter().map(|r| order[r].iter().map(|&u| wiring.reference(u)).collect()).collect()
    }
}

/// The same number of parts with the smallest largest part that a few probes find: caps from the mean to the present largest.
fn balance(next_fit: &NextFit, packer: &mut Packer, mut best: Proposal) -> Proposal {
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
