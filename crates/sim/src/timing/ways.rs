//! The ways through the mesh: which port of a router leads to a core.
//!
//! In: where routers and cores are. Out: [`Ways::way`].
//! Invariant: x first, then y, then into the core. Ports 0 to 3 of a router lead east, west, south, north, the others into its cores.
//! Cost: a byte for each router and core where that is at most a mebibyte; else the way is worked out each time.

use super::links::Area;

/// Where a core or a router is: column and row, and which of its router's ports is the core's.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seat {
    pub x: u32,
    pub y: u32,
    pub port: u32,
}

/// The ways out of routers.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    /// Of each core.
    seats: Vec<Seat>,
    /// Of each router.
    routers: Vec<Seat>,
    /// `[router][core]`: the port that leads there; nothing for a large mesh.
    table: Vec<u8>,
    /// Entries of a router in the table, or 1.
    pub stride: u32,
}

impl Ways {
    /// Most bytes of the table.
    const TABLE: usize = 1 << 20;

    pub(crate) fn new(seats: Vec<Seat>, routers: Vec<Seat>) -> Ways {
        let mut ways = Ways { seats, routers, table: Vec::new(), stride: 1 };
        if ways.seats.len() * ways.routers.len() <= Ways::TABLE {
            let (seats, routers) = (&ways.seats, &ways.routers);
            ways.stride = seats.len() as u32;
            ways.table = routers.iter().flat_map(|&r| seats.iter().map(move |&s| Ways::walk(r, s) as u8)).collect();
        }
        ways
    }

    /// The port of a router that leads to a core: x first, then y, then into the core.
    fn walk(router: Seat, core: Seat) -> u32 {
        if core.x != router.x {
            u32::from(core.x < router.x)
        } else if core.y != router.y {
            2 + u32::from(core.y < router.y)
        } else {
            core.port
        }
    }

    /// The port that leads to a core, of the router whose number times `stride` is given.
    #[inline]
    pub(crate) fn way(&self, row: u32, to: u32) -> u32 {
        match self.table.get((row + to) as usize) {
            Some(&way) => u32::from(way),
            None => Ways::walk(self.routers[row as usize], self.seats[to as usize]),
        }
    }
}

/// The router next to another in a direction: to x + 1, x - 1, y + 1, y - 1.
pub(crate) fn neighbour(area: Area, r: u32, direction: u32) -> Option<u32> {
    let (x, y) = (r % area.width, r / area.width);
    match direction {
        0 => (x + 1 < area.width).then(|| r + 1),
        1 => (x > 0).then(|| r - 1),
        2 => (y + 1 < area.height).then(|| r + area.width),
        _ => (y > 0).then(|| r - area.width),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_and_walk_agree() {
        let seats: Vec<Seat> = (0..60).map(|k| Seat { x: k / 2 % 5, y: k / 10, port: 4 + k % 2 }).collect();
        let routers: Vec<Seat> = (0..30).map(|r| Seat { x: r % 5, y: r / 5, port: 0 }).collect();
        let ways = Ways::new(seats.clone(), routers.clone());
        let large = Ways { seats, routers, table: Vec::new(), stride: 1 };
        for router in 0..30 {
            for core in 0..60 {
                assert_eq!(ways.way(router * ways.stride, core), large.way(router, core));
            }
        }
        // Router 12 is at (2, 2); core 24 sits there, core 25 beside it, cores 22, 26, 4, 44 at (1, 2), (3, 2), (2, 0), (2, 4).
        assert_eq!([24, 25, 26, 22, 44, 4].map(|core| large.way(12, core)), [4, 5, 0, 1, 2, 3]);
    }
}
