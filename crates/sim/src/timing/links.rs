//! Links of the mesh and their load.
//!
//! In: messages as (router, router). Out: messages on every link of the used rectangle of the board.
//! Invariant: x first, then y, as the mesh routes.
//! Cost: at most four additions a message, whatever its length; one pass over the routers a step.

use crate::boot::BootError;
use crate::packed::fabric::small;
use crate::packed::routes::FanOut;
use serde::Serialize;
use spikec_chip::{Mesh, Router};

/// Where a link leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To x + 1.
    East,
    /// To x - 1.
    West,
    /// To y + 1.
    South,
    /// To y - 1.
    North,
}

/// All directions, in the order of their numbers.
pub(crate) const DIRECTIONS: [Direction; 4] = [Direction::East, Direction::West, Direction::South, Direction::North];

/// A link: from a router to its neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Link {
    /// Column of the router that sends.
    pub x: u32,
    /// Row of the router that sends.
    pub y: u32,
    /// Where to.
    pub direction: Direction,
}

/// The rectangle of routers that messages can cross.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Area {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
}

impl Area {
    /// The smallest that holds all; `routers` is not empty.
    pub(crate) fn around(routers: impl Iterator<Item = Router> + Clone) -> Area {
        let (mut least, mut most) = (Router { x: u32::MAX, y: u32::MAX }, Router { x: 0, y: 0 });
        for r in routers {
            least = Router { x: least.x.min(r.x), y: least.y.min(r.y) };
            most = Router { x: most.x.max(r.x), y: most.y.max(r.y) };
        }
        let least = Router { x: least.x.min(most.x), y: least.y.min(most.y) };
        Area { x: least.x, y: least.y, width: most.x - least.x + 1, height: most.y - least.y + 1 }
    }
    pub(crate) fn routers(&self) -> usize {
        self.width as usize * self.height as usize
    }
    /// Number of a router.
    pub(crate) fn index(&self, r: Router) -> usize {
        (r.y - self.y) as usize * self.width as usize + (r.x - self.x) as usize
    }
    /// Router of a number.
    pub(crate) fn router(&self, index: usize) -> Router {
        Router { x: self.x + (index % self.width as usize) as u32, y: self.y + (index / self.width as usize) as u32 }
    }
    /// Link number `4 * router + direction`.
    pub(crate) fn link(&self, number: usize) -> Link {
        let Router { x, y } = self.router(number / 4);
        Link { x, y, direction: DIRECTIONS[number % 4] }
    }
    /// True when a link leaves its chip.
    pub(crate) fn leaves_chip(&self, number: usize, mesh: &Mesh) -> bool {
        let Link { x, y, direction } = self.link(number);
        match direction {
            Direction::East => mesh.border_x(x),
            Direction::West => x > 0 && mesh.border_x(x - 1),
            Direction::South => mesh.border_y(y),
            Direction::North => y > 0 && mesh.border_y(y - 1),
        }
    }
}

/// What one spike of each source adds to the loads: changes along rows and columns.
#[derive(Debug, Clone)]
pub(crate) struct LoadChanges {
    offsets: Vec<u32>,
    /// (index in [`LinkLoads`], change), merged.
    changes: Vec<(u32, i32)>,
}

impl LoadChanges {
    /// Of sources whose routers `from` tells; `routers` are those of the destination cores.
    pub(crate) fn new(area: Area, fan_out: &FanOut, routers: &[u32], from: impl Fn(usize) -> u32) -> Result<LoadChanges, BootError> {
        let to = |source| fan_out.of(source).iter().map(|link| routers[link.core as usize]);
        LoadChanges::of_ways(area, (0..fan_out.sums.len()).map(|source| (from(source), to(source))))
    }

    /// Of sources with their routers and those that one spike of them goes to, all by number in the area.
    pub(crate) fn of_ways<T: IntoIterator<Item = u32>>(
        area: Area,
        sources: impl Iterator<Item = (u32, T)>,
    ) -> Result<LoadChanges, BootError> {
        let mut all = LoadChanges { offsets: vec![0], changes: Vec::new() };
        let mut own: Vec<(u32, i32)> = Vec::new();
        for (from, routers) in sources {
            own.clear();
            for to in routers {
                way(area, from, to, &mut own);
            }
            own.sort_unstable_by_key(|c| c.0);
            own.dedup_by(|later, kept| {
                let same = later.0 == kept.0;
                if same {
                    kept.1 += later.1;
                }
                same
            });
            all.changes.extend(own.iter().filter(|c| c.1 != 0));
            all.offsets.push(small(all.changes.len())?);
        }
        Ok(all)
    }

    #[inline]
    fn of(&self, source: usize) -> &[(u32, i32)] {
        &self.changes[self.offsets[source] as usize..self.offsets[source + 1] as usize]
    }
}

/// Appends the changes that a message from one router number of the area to another makes.
fn way(area: Area, from: u32, to: u32, changes: &mut Vec<(u32, i32)>) {
    let w = area.width;
    let table = LinkLoads::table(area) as u32;
    let (from_x, from_y, to_x, to_y) = (from % w, from / w, to % w, to / w);
    let row = from_y * w;
    if to_x > from_x {
        changes.extend([(row + from_x, 1), (row + to_x, -1)]);
    } else if to_x < from_x {
        // The links west of to_x + 1 ..= from_x.
        changes.extend([(table + row + to_x + 1, 1), (table + row + from_x + 1, -1)]);
    }
    if to_y > from_y {
        changes.extend([(2 * table + from_y * w + to_x, 1), (2 * table + to_y * w + to_x, -1)]);
    } else if to_y < from_y {
        changes.extend([(3 * table + (to_y + 1) * w + to_x, 1), (3 * table + (from_y + 1) * w + to_x, -1)]);
    }
}

/// Messages on each link, gathered as differences along rows and columns.
#[derive(Debug, Clone)]
pub(crate) struct LinkLoads {
    area: Area,
    /// `[direction][router]`: change of the load from one router to the next.
    changes: Vec<i32>,
    any: bool,
}

impl LinkLoads {
    pub(crate) fn new(area: Area) -> LinkLoads {
        LinkLoads { area, changes: vec![0; 4 * LinkLoads::table(area)], any: false }
    }

    /// Entries of a direction: one for each router, and a row for ends beyond the last.
    fn table(area: Area) -> usize {
        area.routers() + area.width as usize + 1
    }

    /// Adds the messages of one spike of a source.
    #[inline]
    pub(crate) fn add(&mut self, of: &LoadChanges, source: usize) {
        let changes = of.of(source);
        self.any |= !changes.is_empty();
        for &(at, change) in changes {
            self.changes[at as usize] += change;
        }
    }

    /// Calls `each(link number, messages)` for every link with messages, and empties the loads.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(usize, u64)) {
        if !std::mem::take(&mut self.any) {
            return;
        }
        let w = self.area.width as usize;
        let (routers, table) = (self.area.routers(), LinkLoads::table(self.area));
        for direction in 0..2 {
            let mut load = 0i64;
            for (r, change) in self.changes[direction * table..(direction + 1) * table].iter_mut().enumerate() {
                load += i64::from(std::mem::take(change));
                if load > 0 && r < routers {
                    each(4 * r + direction, load as u64);
                }
            }
        }
        for direction in 2..4 {
            for x in 0..w {
                let mut load = 0i64;
                for r in (x..routers + w).step_by(w) {
                    load += i64::from(std::mem::take(&mut self.changes[direction * table + r]));
                    if load > 0 && r < routers {
                        each(4 * r + direction, load as u64);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    /// Walks a message's way.
    fn walk(area: Area, from: usize, to: usize, loads: &mut [u64]) {
        let w = area.width as usize;
        let mut at = from;
        while at % w != to % w {
            let east = to % w > at % w;
            loads[4 * at + usize::from(!east)] += 1;
            at = if east { at + 1 } else { at - 1 };
        }
        while at / w != to / w {
            let south = to / w > at / w;
            loads[4 * at + if south { 2 } else { 3 }] += 1;
            at = if south { at + w } else { at - w };
        }
    }

    #[test]
    fn differences_give_what_walking_gives() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for (width, height) in [(1, 1), (1, 5), (6, 1), (4, 3), (8, 4)] {
            let area = Area { x: 3, y: 2, width, height };
            let n = area.routers();
            let mut loads = LinkLoads::new(area);
            let mut changes = Vec::new();
            for _ in 0..3 {
                let mut walked = vec![0; 4 * n];
                for _ in 0..200 {
                    let (from, to) = (rng.random_range(0..n), rng.random_range(0..n));
                    changes.clear();
                    way(area, from as u32, to as u32, &mut changes);
                    loads.any |= !changes.is_empty();
                    changes.iter().for_each(|c| loads.changes[c.0 as usize] += c.1);
                    walk(area, from, to, &mut walked);
                }
                let mut found = vec![0; 4 * n];
                loads.drain(|link, load| found[link] += load);
                assert_eq!(found, walked);
            }
        }
    }
}
