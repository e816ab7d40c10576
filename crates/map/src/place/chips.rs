//! Chips of a board: which chip each part goes to, before cores are chosen.
//!
//! In: traffic (or any other weight of a pair, such as its off-chip axon entries), the board's grid of chips, parts that a chip holds. Out: a
//! chip for each part.
//! Invariant: as few chips as the parts need, in a compact area; no chip holds more than its capacity.
//! Cost: as [`super::place`].
//! Why placement again: chips are routers with `capacity` cores each, so the same start and annealing serve. An edge between chips costs
//! [`STEP`] hops besides those between the chips, so that few messages leave a chip, and those that do go to near ones.

use super::anneal::Schedule;
use super::sites::{Allowed, Board, MAX_CORES, Point, check_mesh, point};
use super::traffic::Graph;
use super::{Effort, PlaceError, Traffic};
use spikec_chip::mesh::Mesh;

/// Hops that leaving a chip costs besides the distance.
const STEP: i32 = 2;

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
    let first = super::first::<STEP>(&graph, &board, &allowed, any, seed);
    let (runs, budget) = super::work(&graph, effort);
    let schedule = Schedule { beside: 0, ..Schedule::new(&graph, budget) };
    let places = super::chains::<STEP>(&graph, &board, &allowed, &first, seed, (runs, &schedule));
    Ok(places.core.iter().map(|&site| used[(site / capacity) as usize].0).collect())
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
