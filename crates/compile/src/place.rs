//! Placement: which physical core each part gets.
//!
//! In: [`Partitioned`]. Out: [`Placed`]: a physical core for each part, no core twice.
//! Invariant: part k sits on chip k / cores_per_chip, as the partition counted its output axons (off-chip destinations cost more).
//! Cost: O(parts + routers log routers).
//! Why Hilbert: neighbouring parts talk most, and neighbours on the curve are neighbours on the mesh.

use crate::finding::Finding;
use crate::pack::usage::remedy;
use crate::partition::{FitError, Partitioned};
use spikec_chip::target::{Target, Topology};

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
                Some(_) if core / per_chip != part as u32 / per_chip => {
                    add("chip of a part", (core / per_chip).into(), (part as u32 / per_chip).into())
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

/// Places parts along a Hilbert curve over each chip's routers, one chip after the other.
pub fn place(partitioned: Partitioned, target: &Target) -> Result<Placed, FitError> {
    let order = hilbert_cores(&target.topology);
    let per_chip = order.len().max(1);
    let parts = partitioned.parts().len();
    let cores = (0..parts).map(|k| (k / per_chip * per_chip) as u32 + order.get(k % per_chip).copied().unwrap_or(0)).collect();
    Placed::new(partitioned, cores, target)
}

/// Cores of a chip in the order of a Hilbert curve over its routers.
fn hilbert_cores(topology: &Topology) -> Vec<u32> {
    let (width, height, slots) = (*topology.width, *topology.height, *topology.cores_per_router);
    let side = width.max(height).max(1).next_power_of_two();
    let mut routers: Vec<(u64, u32)> =
        (0..height).flat_map(|y| (0..width).map(move |x| (hilbert_index(side, x, y), y * width + x))).collect();
    routers.sort_unstable();
    routers.into_iter().flat_map(|(_, r)| (0..slots).map(move |s| r * slots + s)).collect()
}

/// Position of (x, y) on the Hilbert curve that fills a square of `side` (a power of two).
fn hilbert_index(side: u32, x: u32, y: u32) -> u64 {
    let (mut x, mut y, mut index) = (u64::from(x), u64::from(y), 0);
    let mut s = u64::from(side) / 2;
    while s > 0 {
        let (rx, ry) = (u64::from(x & s > 0), u64::from(y & s > 0));
        index += s * s * ((3 * rx) ^ ry);
        // Turn the quadrant so that the curve goes on.
        if ry == 0 {
            if rx == 1 {
                (x, y) = (s.wrapping_sub(1).wrapping_sub(x), s.wrapping_sub(1).wrapping_sub(y));
            }
            (x, y) = (y, x);
        }
        (x, y) = (x & (s - 1), y & (s - 1));
        s /= 2;
    }
    index
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
                    at[hilbert_index(side, x, y) as usize] = (x.into(), y.into());
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
