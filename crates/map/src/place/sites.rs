//! Places for parts: where each physical core stands, and which cores a part may take.
//!
//! In: the mesh, the number of cores, chips and ranges of parts. Out: [`Board`], coordinates and cores by router; [`Allowed`], a range of
//! cores for each part; [`Places`], parts on cores.
//! Invariant: distances come from [`Mesh::router`]; all hops count alike, so a distance is the Manhattan distance of routers.
//! Why ranges: the cores of a chip have adjacent numbers, so chips, pins and pools of cores are all one rule.

use super::PlaceError;
use spikec_chip::mesh::Mesh;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

/// Most cores of a board.
pub const MAX_CORES: u32 = 1 << 22;
/// No part, or no core.
pub(super) const NONE: u32 = u32::MAX;

/// Column and row of a router.
pub(super) type Point = [i16; 2];

/// Routers between two points.
#[inline]
pub(super) fn distance(a: Point, b: Point) -> i32 {
    (i32::from(a[0]) - i32::from(b[0])).abs() + (i32::from(a[1]) - i32::from(b[1])).abs()
}

/// Physical cores on their routers.
#[derive(Debug, Clone)]
pub(super) struct Board {
    /// Routers in x and in y that have cores.
    pub size: Point,
    /// Routers of a chip in x and y.
    pub chip_size: [u32; 2],
    pub cores_per_chip: u32,
    /// Router of each core.
    pub at: Vec<Point>,
    first: Vec<u32>,
    cores: Vec<u32>,
}

impl Board {
    pub fn new(mesh: &Mesh, cores: u32) -> Result<Board, PlaceError> {
        check_mesh(mesh)?;
        if cores > MAX_CORES {
            return Err(PlaceError::Cores { cores, most: MAX_CORES });
        }
        let mut at = Vec::with_capacity(cores as usize);
        for core in 0..cores {
            at.push(point(mesh, core)?);
        }
        Board::from_points(at, [mesh.width, mesh.height], mesh.cores_per_chip())
    }

    /// From the router of each core.
    pub fn from_points(at: Vec<Point>, chip_size: [u32; 2], cores_per_chip: u32) -> Result<Board, PlaceError> {
        let width = at.iter().map(|p| p[0]).max().map_or(0, |x| x + 1);
        let height = at.iter().map(|p| p[1]).max().map_or(0, |y| y + 1);
        let routers = width as usize * height as usize;
        // A board of few chips in a long row or column has as many routers as cores, at most twice as many with a part of a row.
        if routers > 4 * MAX_CORES as usize {
            return Err(PlaceError::Mesh);
        }
        let key = |p: Point| p[1] as usize * width as usize + p[0] as usize;
        let mut first = vec![0u32; routers + 1];
        for &p in &at {
            first[key(p) + 1] += 1;
        }
        for k in 1..first.len() {
            first[k] += first[k - 1];
        }
        let mut next = first.clone();
        let mut by_router = vec![0u32; at.len()];
        for (core, &p) in at.iter().enumerate() {
            by_router[next[key(p)] as usize] = core as u32;
            next[key(p)] += 1;
        }
        Ok(Board { size: [width, height], chip_size, cores_per_chip, at, first, cores: by_router })
    }

    pub fn cores(&self) -> u32 {
        self.at.len() as u32
    }

    /// Cores of a router of the board.
    #[inline]
    pub fn cores_at(&self, p: Point) -> &[u32] {
        let key = p[1] as usize * self.size[0] as usize + p[0] as usize;
        &self.cores[self.first[key] as usize..self.first[key + 1] as usize]
    }

    /// Smallest and largest point that hold the cores of a range: those of its chip, or the board.
    pub fn bounds(&self, cores: &Range<u32>) -> [Point; 2] {
        let last = [self.size[0] - 1, self.size[1] - 1];
        if cores.start / self.cores_per_chip != (cores.end - 1) / self.cores_per_chip {
            return [[0, 0], last];
        }
        let p = self.at[cores.start as usize];
        let low = [0, 1].map(|k| (u32::from(p[k] as u16) / self.chip_size[k] * self.chip_size[k]) as i16);
        [low, [0, 1].map(|k| (low[k] as u32 + self.chip_size[k] - 1).min(last[k] as u32) as i16)]
    }
}

/// Refuses a mesh without routers, or too many of them for coordinates of 16 bits.
pub(super) fn check_mesh(mesh: &Mesh) -> Result<(), PlaceError> {
    let side = 1..=i16::MAX as u32;
    let per_chip = u64::from(mesh.width) * u64::from(mesh.height) * u64::from(mesh.cores_per_router);
    let fits = side.contains(&mesh.width) && side.contains(&mesh.height) && side.contains(&mesh.chip_columns);
    if fits && mesh.cores_per_router > 0 && per_chip <= u64::from(u32::MAX) { Ok(()) } else { Err(PlaceError::Mesh) }
}

/// Router of a core of a checked mesh.
pub(super) fn point(mesh: &Mesh, core: u32) -> Result<Point, PlaceError> {
    let chip = core / mesh.cores_per_chip();
    let far = |k: u32, side: u32| u64::from(k + 1) * u64::from(side) > i16::MAX as u64;
    if far(chip % mesh.chip_columns, mesh.width) || far(chip / mesh.chip_columns, mesh.height) {
        return Err(PlaceError::Mesh);
    }
    let r = mesh.router(core);
    Ok([r.x as i16, r.y as i16])
}

/// Cores each part may take.
#[derive(Debug, Clone)]
pub(super) struct Allowed {
    pub ranges: Vec<Range<u32>>,
}

impl Allowed {
    /// Joins chips and pins; an assignment that keeps to them.
    pub fn new(board: &Board, parts: usize, chips: Option<&[u32]>, pins: Option<&[Range<u32>]>) -> Result<(Allowed, Vec<u32>), PlaceError> {
        let cores = board.cores();
        if parts > cores as usize {
            return Err(PlaceError::NoRoom { parts: parts as u32, cores });
        }
        for given in [chips.map(<[_]>::len), pins.map(<[_]>::len)].into_iter().flatten() {
            if given != parts {
                return Err(PlaceError::Length { given, parts });
            }
        }
        let per_chip = u64::from(board.cores_per_chip);
        let mut ranges = Vec::with_capacity(parts);
        for part in 0..parts {
            let mut range = 0..cores;
            if let Some(&chip) = chips.and_then(|c| c.get(part)) {
                let start = (u64::from(chip) * per_chip).min(cores.into()) as u32;
                range = start..(u64::from(start) + per_chip).min(cores.into()) as u32;
            }
            if let Some(pin) = pins.and_then(|p| p.get(part)) {
                range = range.start.max(pin.start)..range.end.min(pin.end);
            }
            if range.is_empty() {
                return Err(PlaceError::NoCore { part: part as u32 });
            }
            ranges.push(range);
        }
        let allowed = Allowed { ranges };
        let cores = allowed.matching(cores)?;
        Ok((allowed, cores))
    }

    pub fn may(&self, part: u32, core: u32) -> bool {
        self.ranges[part as usize].contains(&core)
    }

    /// Core for each part: at each core the waiting part whose range ends first (exact for ranges).
    fn matching(&self, cores: u32) -> Result<Vec<u32>, PlaceError> {
        let mut by_start: Vec<u32> = (0..self.ranges.len() as u32).collect();
        by_start.sort_by_key(|&p| self.ranges[p as usize].start);
        let mut result = vec![NONE; self.ranges.len()];
        let mut waiting = BinaryHeap::new();
        let mut next = by_start.into_iter().peekable();
        for core in 0..cores {
            while let Some(p) = next.next_if(|&p| self.ranges[p as usize].start <= core) {
                waiting.push(Reverse((self.ranges[p as usize].end, p)));
            }
            if let Some(Reverse((end, part))) = waiting.pop() {
                if end <= core {
                    return Err(PlaceError::NoCore { part });
                }
                result[part as usize] = core;
            }
        }
        match waiting.pop() {
            Some(Reverse((_, part))) => Err(PlaceError::NoCore { part }),
            None => Ok(result),
        }
    }
}

/// Parts on cores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Places {
    /// Core of each part.
    pub core: Vec<u32>,
    /// Part of each core, or [`NONE`].
    pub part: Vec<u32>,
    /// Router of each part.
    pub pos: Vec<Point>,
}

impl Places {
    pub fn new(board: &Board, core: Vec<u32>) -> Places {
        let mut part = vec![NONE; board.at.len()];
        for (p, &c) in core.iter().enumerate() {
            part[c as usize] = p as u32;
        }
        let pos = core.iter().map(|&c| board.at[c as usize]).collect();
        Places { core, part, pos }
    }

    /// Puts a part on a core; the part that was there, if any, takes its core.
    pub fn swap(&mut self, board: &Board, part: u32, core: u32) {
        let (from, other) = (self.core[part as usize], self.part[core as usize]);
        self.part[from as usize] = other;
        self.part[core as usize] = part;
        self.core[part as usize] = core;
        self.pos[part as usize] = board.at[core as usize];
        if other != NONE {
            self.core[other as usize] = from;
            self.pos[other as usize] = board.at[from as usize];
        }
    }
}
