//! The order in which neurons are put into cores: neighbours share axons.
//!
//! Populations in net order. Shapes (C, H, W) go by square tiles of positions that hold about a core's compartments, channels
//! innermost: a convolution's neurons at one position share all their inputs (an order by channel takes four times the cores).
//! Every other shape is row-major.

use crate::pack::Wiring;
use spikec_net::{PopulationId, Quantized};
use std::cmp::Ordering;

/// Units of all neurons in the order of packing.
pub(super) fn tensor_order(q: &Quantized, wiring: &Wiring, compartments: u32) -> Vec<u32> {
    let mut order = Vec::new();
    for (p, population) in q.net.populations.iter().enumerate().filter(|(_, p)| !p.is_input()) {
        let id = PopulationId::from(p);
        let mut indices: Vec<u32> = (0..population.len() as u32).collect();
        if let [channels, height, width] = population.shape[..]
            && channels > 0
            && height > 0
            && width > 0
        {
            let side = ((compartments / channels).max(1).isqrt()).max(1);
            indices.sort_by_key(|&i| {
                let (area, origin) = (u64::from(height) * u64::from(width), u64::from(population.origin[i as usize]));
                let (channel, at) = (origin / area, origin % area);
                let (y, x) = (at / u64::from(width), at % u64::from(width));
                let side = u64::from(side);
                (y / side, x / side, y % side, x % side, channel)
            });
        }
        order.extend(indices.into_iter().map(|i| wiring.unit(id, i)));
    }
    order
}

/// Orders that may need fewer cores than `first`: populations from the last to the first; within populations, neurons by falling fan-in,
/// and neurons with common sources together.
pub(super) fn other_orders(wiring: &Wiring, first: &[u32]) -> [Vec<u32>; 3] {
    let population = |u: u32| wiring.reference(u).population;
    let sorted = |compare: &dyn Fn(u32, u32) -> Ordering| {
        let mut order = first.to_vec();
        order.sort_by(|&a, &b| compare(a, b));
        order
    };
    let sources = |u: u32| wiring.incoming(u).map(|s| s.source);
    [
        sorted(&|a, b| population(b).cmp(&population(a))),
        sorted(&|a, b| population(a).cmp(&population(b)).then(wiring.fan_in(b).cmp(&wiring.fan_in(a)))),
        sorted(&|a, b| population(a).cmp(&population(b)).then_with(|| sources(a).cmp(sources(b)))),
    ]
}
