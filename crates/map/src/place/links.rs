//! Hops of a placement and the loads of the mesh's links.
//!
//! In: traffic, mesh, a core for each part. Out: [`Quality`].
//! Invariant: every message goes alone (unicast), first in x along its sender's row, then in y along its receiver's column.
//! Cost: O(pairs + routers): loads are summed from where routes begin and end.

use super::sites::{Point, check_mesh, point};
use super::{PlaceError, Traffic};
use spikec_chip::mesh::{Mesh, Router};

/// How good a placement is. Loads and hops are rates: spikes a step, times hops.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Quality {
    /// Rate times hops of all messages: `hops_x + hops_y + hops_chip`.
    pub hops: f64,
    /// Of these, in x within chips.
    pub hops_x: f64,
    /// Of these, in y within chips.
    pub hops_y: f64,
    /// Of these, across borders of chips.
    pub hops_chip: f64,
    /// Rate of the messages between cores of different chips.
    pub off_chip: f64,
    /// Load of the most loaded directed link between neighbouring routers.
    pub largest_link: f64,
    /// Hops of the longest route.
    pub longest: u32,
}

/// Counts hops and link loads of a placement. `cores`: physical core of each part.
///
/// # Errors
/// A mesh without routers or with too many, cores for another number of parts, a core used twice.
pub fn quality(traffic: &Traffic, mesh: &Mesh, cores: &[u32]) -> Result<Quality, PlaceError> {
    check_mesh(mesh)?;
    if cores.len() != traffic.parts() {
        return Err(PlaceError::Length { given: cores.len(), parts: traffic.parts() });
    }
    let mut used: Vec<(u32, u32)> = cores.iter().copied().zip(0..).collect();
    used.sort_unstable();
    if let Some(w) = used.windows(2).find(|w| w[0].0 == w[1].0) {
        return Err(PlaceError::Twice { core: w[0].0, parts: [w[0].1, w[1].1] });
    }
    let at = cores.iter().map(|&core| point(mesh, core)).collect::<Result<Vec<Point>, _>>()?;
    let router = |p: Point| Router { x: p[0] as u32, y: p[1] as u32 };
    let mut q = Quality::default();
    for (from, to, rate) in traffic.messages() {
        let hops = mesh.hops(router(at[from as usize]), router(at[to as usize]));
        q.hops += rate * f64::from(hops.total());
        q.hops_x += rate * f64::from(hops.x);
        q.hops_y += rate * f64::from(hops.y);
        q.hops_chip += rate * f64::from(hops.chip);
        q.off_chip += if hops.chip > 0 { rate } else { 0.0 };
        q.longest = q.longest.max(hops.total());
    }
    q.largest_link = largest_link(traffic, &at);
    Ok(q)
}

/// Largest load of a link, from the ends of each straight piece of a route.
fn largest_link(traffic: &Traffic, at: &[Point]) -> f64 {
    // A piece is (direction, line, from, to, rate); on each line loads change only at the pieces' ends.
    let mut ends: Vec<(u8, i16, i16, f64)> = Vec::new();
    let mut add = |axis: u8, line: i16, from: i16, to: i16, rate: f64| {
        let (low, high) = (from.min(to), from.max(to));
        if low < high {
            let direction = 2 * axis + u8::from(to < from);
            ends.push((direction, line, low, rate));
            ends.push((direction, line, high, -rate));
        }
    };
    for (from, to, rate) in traffic.messages() {
        let (a, b) = (at[from as usize], at[to as usize]);
        add(0, a[1], a[0], b[0], rate);
        add(1, b[0], a[1], b[1], rate);
    }
    ends.sort_by_key(|e| (e.0, e.1, e.2));
    let (mut largest, mut load, mut line) = (0.0f64, 0.0, (4, 0));
    for same in ends.chunk_by(|a, b| (a.0, a.1, a.2) == (b.0, b.1, b.2)) {
        if (same[0].0, same[0].1) != line {
            line = (same[0].0, same[0].1);
            load = 0.0;
        }
        load += same.iter().map(|e| e.3).sum::<f64>();
        largest = largest.max(load);
    }
    largest
}
