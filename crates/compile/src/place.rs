//! Placement: which physical core each part gets.
//!
//! In: [`Partitioned`]. Out: [`Placed`]: a physical core for each part, no core twice.
//! Invariant: a part sits on the chip with which the partition counted its output axons (off-chip destinations cost more).
//! Cost: that of `spikec_map::place`, where the partition has no cores in mind.

use crate::finding::Finding;
use crate::pack::usage::remedy;
use crate::partition::{FitError, Partitioned};
use spikec_chip::mesh::Mesh;
use spikec_chip::target::{Target, Topology};
use spikec_map::place::{self as map, Request, Traffic};
use spikec_map::portfolio::Effort;
use spikec_map::tiles::hilbert;

/// Parts with their physical cores.
#[derive(Debug)]
pub struct Placed {
    partitioned: Partitioned,
    cores: Vec<u32>,
}

impl Placed {
    /// Checks an assignment of physical cores to parts.
    ///
    /// # Errors
    /// C16 when there are more parts than cores, a core is not on the board, is used twice, or is on another chip than the partition counted.
    pub fn new(partitioned: Partitioned, cores: Vec<u32>, target: &Target) -> Result<Placed, FitError> {
        let parts = partitioned.parts().len();
        let per_chip = target.topology.cores_per_chip().max(1);
        let mut findings = Vec::new();
        let mut add = |what: &str, need: f64, limit: f64| findings.push(Finding::error("C16", what, need, limit, remedy("C16")));
        if cores.len() != parts {
            add("cores for parts", parts as f64, cores.len() as f64);
        }
        let mut seen = vec![false; target.total_cores() as usize];
        for (part, &core) in cores.iter().enumerate() {
            match seen.get_mut(core as usize) {
                None => add("physical core number", core.into(), f64::from(target.total_cores()) - 1.0),
                Some(true) => add("parts on one core", 2.0, 1.0),
                Some(_) if core / per_chip != partitioned.chip(part as u32) => {
                    add("chip of a part", (core / per_chip).into(), partitioned.chip(part as u32).into())
                }
                Some(used) => *used = true,
            }
        }
        if findings.is_empty() { Ok(Placed { partitioned, cores }) } else { Err(FitError { findings }) }
    }

    /// The parts.
    pub fn partitioned(&self) -> &Partitioned {
        &self.partitioned
    }
    /// Physical core of a part.
    pub fn core(&self, part: u32) -> u32 {
        self.cores[part as usize]
    }
    /// Parts in ascending order of their physical cores.
    pub fn parts_by_core(&self) -> Vec<u32> {
        let mut parts: Vec<u32> = (0..self.cores.len() as u32).collect();
        parts.sort_unstable_by_key(|&p| self.cores[p as usize]);
        parts
    }
}

/// How to place.
#[derive(Debug, Clone, Copy)]
pub struct PlaceOptions<'a> {
    /// Effort.
    pub effort: Effort,
    /// Seed.
    pub seed: u64,
    /// Spikes of a step of each unit, measured; empty: all alike.
    pub rates: &'a [f32],
}

/// Gives each part a physical core of its chip: the one that was proposed, or the one that annealing finds.
///
/// # Errors
/// As [`Placed::new`].
pub fn place(partitioned: Partitioned, target: &Target, options: &PlaceOptions) -> Result<Placed, FitError> {
    let cores = match partitioned.proposed_cores() {
        Some(cores) => cores.to_vec(),
        None => annealed(&partitioned, target, options),
    };
    Placed::new(partitioned, cores, target)
}

/// Along a Hilbert curve over each chip's routers, one chip after the other: neighbouring parts talk most.
pub(crate) fn along_the_curve(partitioned: &Partitioned, target: &Target) -> Vec<u32> {
    let order = hilbert_cores(&target.topology);
    let per_chip = order.len().max(1);
    let core = |k: usize| (k / per_chip * per_chip) as u32 + order.get(k % per_chip).copied().unwrap_or(0);
    (0..partitioned.parts().len()).map(core).collect()
}

/// Along the curve, then annealed.
fn annealed(partitioned: &Partitioned, target: &Target, options: &PlaceOptions) -> Vec<u32> {
    let start = along_the_curve(partitioned, target);
    let parts = start.len();
    if parts < 2 || parts as u64 > u64::from(target.total_cores()) {
        return start;
    }
    let mesh = Mesh::new(&target.topology);
    let (messages, host) = messages(partitioned, options.rates);
    let chips: Vec<u32> = (0..parts as u32).map(|part| partitioned.chip(part)).collect();
    let found = Traffic::new(parts as u32, messages).and_then(|traffic| {
        map::place(&Request {
            traffic: &traffic,
            mesh: &mesh,
            cores: target.total_cores(),
            chips: Some(&chips),
            pins: None,
            host: Some(&host),
            start: None,
            link_share: map::LINK_SHARE,
            seed: options.seed,
            effort: options.effort,
        })
    });
    found.unwrap_or(start)
}

/// Messages between different parts, and those of the host to each part, in a step.
pub(crate) fn messages(partitioned: &Partitioned, rates: &[f32]) -> (Vec<(u32, u32, f64)>, Vec<f64>) {
    let wiring = partitioned.wiring();
    let mut host = vec![0.0; partitioned.parts().len()];
    let mut between = Vec::new();
    for unit in 0..wiring.units() {
        let rate = f64::from(rates.get(unit as usize).copied().unwrap_or(1.0));
        for (from, link) in partitioned.messages(unit) {
            match from {
                None => host[link.part as usize] += rate,
                Some(from) if from != link.part => between.push((from, link.part, rate)),
                Some(_) => {}
            }
        }
    }
    (between, host)
}

/// Cores of a chip in the order of a Hilbert curve over its routers.
fn hilbert_cores(topology: &Topology) -> Vec<u32> {
    let (width, height, slots) = (*topology.width, *topology.height, *topology.cores_per_router);
    let side = width.max(height).max(1).next_power_of_two();
    let mut routers: Vec<(u64, u32)> = (0..height).flat_map(|y| (0..width).map(move |x| (hilbert(side, x, y), y * width + x))).collect();
    routers.sort_unstable();
    routers.into_iter().flat_map(|(_, r)| (0..slots).map(move |s| r * slots + s)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_visits_every_point_once_and_goes_by_neighbours() {
        for side in [1u32, 2, 4, 8, 16] {
            let mut at = vec![(0i64, 0i64); (side * side) as usize];
            for y in 0..side {
                for x in 0..side {
                    at[hilbert(side, x, y) as usize] = (x.into(), y.into());
                }
            }
            let mut sorted = at.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), at.len());
            for w in at.windows(2) {
                assert_eq!((w[0].0 - w[1].0).abs() + (w[0].1 - w[1].1).abs(), 1, "side {side}");
            }
        }
    }

    #[test]
    fn every_core_of_a_chip_is_used_once() {
        let target = spikec_chip::find("loihi1").expect("built in");
        let mut cores = hilbert_cores(&target.topology);
        cores.sort_unstable();
        assert_eq!(cores, (0..target.topology.cores_per_chip()).collect::<Vec<_>>());
    }
}
