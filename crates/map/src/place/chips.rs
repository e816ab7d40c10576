//! Chips of a board: which chip each part goes to, before cores are chosen.
//!
//! In: traffic (or any other weight of a pair, such as its off-chip axon entries), the board's grid of chips, parts that a chip holds. Out: a
//! chip for each part.
//! Invariant: as few chips as the parts need, in a compact area; no chip holds more than its capacity.
//! Cost: as [`super::place`].
//! Why placement again: chips are routers with `capacity` cores each, so the same annealing serves. An edge between chips costs [`STEP`] hops
//! besides those between the chips, so that few messages leave a chip, and those that do go to near ones. It starts from clusters that grow
//! part by part: a spectral start spreads the layers of a net over the board and cuts more.

use super::anneal::{Schedule, cost};
use super::sites::{Allowed, Board, MAX_CORES, NONE, Places, Point, check_mesh, point};
use super::traffic::Graph;
use super::{Effort, PlaceError, Traffic};
use spikec_chip::mesh::Mesh;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Hops that leaving a chip costs besides the distance.
const STEP: i32 = 2;

/// Routers of a tile in x and y.
const TILE: i16 = 4;

/// Independent runs that share the work: runs often end in different valleys.
const RUNS: u64 = 2;

/// Chooses a chip for each part, so that little traffic crosses chips, and that between near ones.
///
/// `capacity`: parts that a chip holds at most; `chips`: chips of the board. The traffic's rates are the weights of the cut.
///
/// # Errors
/// More parts than the chips hold, a mesh without routers, a board with more than [`MAX_CORES`] cores.
pub fn assign_chips(traffic: &Traffic, mesh: &Mesh, chips: u32, capacity: u32, seed: u64, effort: Effort) -> Result<Vec<u32>, PlaceError> {
    check_mesh(mesh)?;
    let parts = traffic.parts();
    let holds = u64::from(chips) * u64::from(capacity);
    if parts as u64 > holds {
        return Err(PlaceError::NoRoom { parts: parts as u32, cores: holds as u32 });
    }
    if parts == 0 {
        return Ok(Vec::new());
    }
    // A chip holds no more than all parts; this keeps the sites few.
    let capacity = capacity.min(parts as u32);
    let need = (parts as u32).div_ceil(capacity);
    let used = compact(mesh, chips.min(MAX_CORES), need)?;
    if u64::from(need) * u64::from(capacity) > u64::from(MAX_CORES) {
        return Err(PlaceError::Cores { cores: need.saturating_mul(capacity), most: MAX_CORES });
    }
    if need == 1 {
        return Ok(vec![used[0].0; parts]);
    }
    let at: Vec<Point> = used.iter().flat_map(|&(_, p)| std::iter::repeat_n(p, capacity as usize)).collect();
    let size = [0, 1].map(|k| at.iter().map(|p| p[k] as u32).max().unwrap_or(0) + 1);
    let board = Board::from_points(at, size, need * capacity)?;
    let graph = Graph::new(traffic);
    let (allowed, any) = Allowed::new(&board, parts, None, None)?;
    let spread = super::first::<STEP>(&graph, &board, &allowed, any, seed);
    let grown = Places::new(&board, grow(&graph, capacity, &used, seed)?);
    let first = if cost::<STEP>(&graph, &grown) < cost::<STEP>(&graph, &spread) { grown } else { spread };
    let (runs, budget) = super::work(&graph, effort);
    let schedule = Schedule::chips(&graph, budget / RUNS);
    let places = super::chains::<STEP>(&graph, &board, &allowed, &first, seed, (RUNS * runs, &schedule));
    Ok(places.core.iter().map(|&site| used[(site / capacity) as usize].0).collect())
}

/// Fills one chip after the other with parts that hang together, then places the chips: a site (chip * capacity + slot) for each part.
fn grow(graph: &Graph, capacity: u32, used: &[(u32, Point)], seed: u64) -> Result<Vec<u32>, PlaceError> {
    let cluster = clusters(graph, capacity);
    let between = merged(graph, &cluster, used.len());
    let board = Board::from_points(used.iter().map(|u| u.1).collect(), [1, 1], 1)?;
    let (allowed, any) = Allowed::new(&board, used.len(), None, None)?;
    let first = super::first::<0>(&between, &board, &allowed, any, seed);
    let (_, budget) = super::work(&between, Effort::Fast);
    let places = super::chains::<0>(&between, &board, &allowed, &first, seed, (1, &Schedule::new(&between, budget)));
    let mut filled = vec![0u32; used.len()];
    let site = |c: &u32| {
        let slot = &mut filled[*c as usize];
        *slot += 1;
        places.core[*c as usize] * capacity + *slot - 1
    };
    Ok(cluster.iter().map(site).collect())
}

/// Coordinates of parts from tiles of [`TILE`] x [`TILE`] routers: clusters that fill a tile are placed as parts are.
pub(super) fn tiled(graph: &Graph, board: &Board, seed: u64) -> Vec<[f64; 2]> {
    let [width, height] = board.size.map(|s| (s + TILE - 1) / TILE);
    let points: Vec<Point> = (0..height).flat_map(|y| (0..width).map(move |x| [x, y])).collect();
    let routers = board.size[0] as usize * board.size[1] as usize;
    let capacity = (board.at.len() * (TILE * TILE) as usize).div_ceil(routers.max(1)).max(1);
    let need = graph.parts().div_ceil(capacity);
    let cluster = clusters(graph, capacity as u32);
    let size = [width as u32, height as u32];
    let tiles = Board::from_points(points, size, u32::MAX).and_then(|tiles| {
        let between = merged(graph, &cluster, need);
        let (allowed, any) = Allowed::new(&tiles, need, None, None)?;
        let first = super::first::<0>(&between, &tiles, &allowed, any, seed);
        let (_, budget) = super::work(&between, Effort::Fast);
        Ok(super::chains::<0>(&between, &tiles, &allowed, &first, seed, (1, &Schedule::new(&between, budget))))
    });
    match tiles {
        Ok(places) => cluster.iter().map(|&c| places.pos[c as usize].map(f64::from)).collect(),
        // Fewer tiles than clusters: cores that are missing in the board's rows.
        Err(_) => vec![[0.0; 2]; graph.parts()],
    }
}

/// Clusters as parts.
fn merged(graph: &Graph, cluster: &[u32], clusters: usize) -> Graph {
    let pairs = (0..graph.parts() as u32).flat_map(|p| graph.of(p).iter().map(move |e| (p, e)));
    let pairs = pairs.map(|(p, e)| (cluster[p as usize], cluster[e.to as usize], f64::from(e.weight)));
    Graph::from_pairs(clusters, pairs.filter(|m| m.0 != m.1).collect())
}

/// Cluster of each part: clusters grow one after the other, each by the part that adds least to the cut towards the parts that remain.
fn clusters(graph: &Graph, capacity: u32) -> Vec<u32> {
    let n = graph.parts();
    let mut cluster = vec![NONE; n];
    // Weight to the parts that remain, and to the cluster that grows.
    let mut outside: Vec<f64> = (0..n as u32).map(|p| graph.of(p).iter().map(|e| f64::from(e.weight)).sum()).collect();
    let mut inside = vec![0.0f64; n];
    // Entries that no longer tell the truth are skipped when they come up.
    let mut seeds: BinaryHeap<Reverse<(Key, u32)>> = (0..n as u32).map(|p| Reverse((Key(outside[p as usize]), p))).collect();
    let mut border: BinaryHeap<(Key, Reverse<u32>)> = BinaryHeap::new();
    let (mut current, mut filled) = (0, 0);
    for _ in 0..n {
        if filled == capacity {
            (current, filled) = (current + 1, 0);
            border.drain().for_each(|(_, Reverse(p))| inside[p as usize] = 0.0);
        }
        let next = loop {
            let fits = |p: u32, key: f64, now: f64| cluster[p as usize] == NONE && key == now;
            if let Some((Key(key), Reverse(p))) = border.pop() {
                if fits(p, key, inside[p as usize] - outside[p as usize]) {
                    break Some(p);
                }
            } else if let Some(Reverse((Key(key), p))) = seeds.pop() {
                if fits(p, key, outside[p as usize]) {
                    break Some(p);
                }
            } else {
                break None;
            }
        };
        let Some(part) = next else { break };
        cluster[part as usize] = current;
        filled += 1;
        for e in graph.of(part).iter().filter(|e| cluster[e.to as usize] == NONE) {
            let (p, w) = (e.to as usize, f64::from(e.weight));
            outside[p] -= w;
            inside[p] += w;
            border.push((Key(inside[p] - outside[p]), Reverse(e.to)));
            seeds.push(Reverse((Key(outside[p]), e.to)));
        }
    }
    cluster
}

/// A number that sorts.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Key(f64);

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Key) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Key) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// The `need` chips nearest to the first one, with their column and row, by number.
fn compact(mesh: &Mesh, chips: u32, need: u32) -> Result<Vec<(u32, Point)>, PlaceError> {
    let side = [mesh.width, mesh.height];
    let mut all = Vec::new();
    for chip in 0..chips {
        let Some(core) = chip.checked_mul(mesh.cores_per_chip()) else { break };
        let Ok(p) = point(mesh, core) else { break };
        all.push((chip, [0, 1].map(|k| (p[k] as u32 / side[k]) as i16)));
    }
    if all.len() < need as usize {
        return Err(PlaceError::Mesh);
    }
    all.sort_by_key(|&(chip, p)| (p[0].max(p[1]), chip));
    all.truncate(need as usize);
    all.sort_unstable();
    Ok(all)
}
