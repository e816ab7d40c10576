//! The mesh of a board: where each core's router stands, and the hops between routers.
//!
//! In: a [`Topology`]. Out: routers in coordinates of the whole board, and the hops of a message.
//! Invariant: the one place that knows how cores, routers and chips are numbered. Chip k stands in column `k % chip_columns` and row
//! `k / chip_columns` of the board; the mesh goes on across the borders of neighbouring chips.
//! Why: compiler, simulator and exports must agree on a distance.

use crate::target::Topology;

/// A router, in routers from the board's corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Router {
    /// Column.
    pub x: u32,
    /// Row.
    pub y: u32,
}

/// Hops of a message under dimension-order routing (x first).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hops {
    /// In x, within chips.
    pub x: u32,
    /// In y, within chips.
    pub y: u32,
    /// Across the borders of chips.
    pub chip: u32,
}

impl Hops {
    /// All hops.
    pub fn total(self) -> u32 {
        self.x + self.y + self.chip
    }
}

/// Numbers of a board that place its cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mesh {
    /// Routers of a chip in x.
    pub width: u32,
    /// Routers of a chip in y.
    pub height: u32,
    /// Cores at each router.
    pub cores_per_router: u32,
    /// Chips side by side.
    pub chip_columns: u32,
    host_port: Router,
}

impl Mesh {
    /// A square mesh of one core at each router, without borders of chips.
    pub fn square(side: u32) -> Mesh {
        Mesh { width: side, height: side, cores_per_router: 1, chip_columns: 1, host_port: Router { x: 0, y: 0 } }
    }

    /// The mesh of a checked topology.
    pub fn new(t: &Topology) -> Mesh {
        let (x, y) = *t.host_port;
        Mesh {
            width: *t.width,
            height: *t.height,
            cores_per_router: *t.cores_per_router,
            chip_columns: *t.chip_columns,
            host_port: Router { x, y },
        }
    }

    /// Cores of a chip.
    pub fn cores_per_chip(&self) -> u32 {
        self.width * self.height * self.cores_per_router
    }

    /// Router of a physical core.
    pub fn router(&self, core: u32) -> Router {
        let (chip, on_chip) = (core / self.cores_per_chip(), core % self.cores_per_chip());
        let router = on_chip / self.cores_per_router;
        let (column, row) = (chip % self.chip_columns, chip / self.chip_columns);
        Router { x: column * self.width + router % self.width, y: row * self.height + router / self.width }
    }

    /// Place of a physical core among those of its router.
    pub fn slot(&self, core: u32) -> u32 {
        core % self.cores_per_router
    }

    /// Router where the host's messages enter: that of the first chip.
    pub fn host_port(&self) -> Router {
        self.host_port
    }

    /// True when a hop from column x to x + 1 leaves the chip.
    pub fn border_x(&self, x: u32) -> bool {
        (x + 1).is_multiple_of(self.width)
    }

    /// True when a hop from row y to y + 1 leaves the chip.
    pub fn border_y(&self, y: u32) -> bool {
        (y + 1).is_multiple_of(self.height)
    }

    /// Hops from one router to another.
    pub fn hops(&self, from: Router, to: Router) -> Hops {
        let borders_x = (from.x / self.width).abs_diff(to.x / self.width);
        let borders_y = (from.y / self.height).abs_diff(to.y / self.height);
        Hops { x: from.x.abs_diff(to.x) - borders_x, y: from.y.abs_diff(to.y) - borders_y, chip: borders_x + borders_y }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_numbered_by_chip_router_and_slot() {
        let mut topology = crate::testing::loihi1().topology;
        topology.chips.value = 6;
        topology.chip_columns.value = 3;
        let mesh = Mesh::new(&topology);
        assert_eq!((mesh.router(0), mesh.slot(0)), (Router { x: 0, y: 0 }, 0));
        assert_eq!((mesh.router(7), mesh.slot(7)), (Router { x: 1, y: 0 }, 3));
        assert_eq!(mesh.router(127), Router { x: 7, y: 3 });
        assert_eq!(mesh.router(128), Router { x: 8, y: 0 });
        assert_eq!(mesh.router(3 * 128 + 32), Router { x: 0, y: 5 });
    }

    #[test]
    fn hops_across_a_border_count_apart() {
        let mut topology = crate::testing::loihi1().topology;
        topology.chips.value = 4;
        topology.chip_columns.value = 2;
        let mesh = Mesh::new(&topology);
        let at = |x, y| Router { x, y };
        assert_eq!(mesh.hops(at(0, 0), at(3, 2)), Hops { x: 3, y: 2, chip: 0 });
        assert_eq!(mesh.hops(at(7, 0), at(8, 0)), Hops { x: 0, y: 0, chip: 1 });
        assert_eq!(mesh.hops(at(15, 7), at(6, 1)), Hops { x: 8, y: 5, chip: 2 });
        assert!(mesh.border_x(7) && !mesh.border_x(8) && mesh.border_y(3) && !mesh.border_y(4));
    }
}
