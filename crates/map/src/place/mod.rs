//! Placement: which physical core each part gets.
//!
//! In: [`Traffic`] between parts, the board's mesh, and what parts are bound to. Out: a core for each part, no core twice, and its
//! [`Quality`].
//! Invariant: pure; the same input and seed give the same result on any number of threads; effort is counted in work, not in seconds.
//! Cost: a fixed number of moves for each part (see [`Effort`]).
//! Why annealing: the nets are small graphs (some thousand parts) whose best layout no closed form gives; a move costs the partners of two parts.

mod anneal;
mod chips;
mod level;
mod links;
mod sites;
mod spectral;
mod start;
#[cfg(test)]
mod tests;
mod traffic;

pub use chips::assign_chips;
pub use links::{Quality, quality};
pub use sites::MAX_CORES;
pub use traffic::{MAX_PARTS, MAX_RATE, Traffic};

use crate::portfolio::Effort;
use anneal::{Annealer, Schedule};
use rayon::prelude::*;
use sites::{Allowed, Board, Places};
use spikec_chip::mesh::Mesh;
use std::ops::Range;
use traffic::Graph;

/// Why there is no placement.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlaceError {
    /// More parts than supported.
    #[error("{parts} parts, at most {most} are supported")]
    Parts {
        /// Given.
        parts: u32,
        /// Limit.
        most: u32,
    },
    /// More cores than supported.
    #[error("{cores} physical cores, at most {most} are supported")]
    Cores {
        /// Given.
        cores: u32,
        /// Limit.
        most: u32,
    },
    /// A message names a part that does not exist.
    #[error("part {part} of {parts} parts")]
    NoPart {
        /// Named.
        part: u32,
        /// Number of parts.
        parts: u32,
    },
    /// A rate that is no rate.
    #[error("the rate of the messages from part {from} to part {to} is {rate}, not a number from 0 to {MAX_RATE:e}")]
    Rate {
        /// Sender.
        from: u32,
        /// Receiver.
        to: u32,
        /// Given.
        rate: f64,
    },
    /// A list with another number of entries than there are parts.
    #[error("{given} entries for {parts} parts")]
    Length {
        /// Entries.
        given: usize,
        /// Number of parts.
        parts: usize,
    },
    /// A mesh without routers, or with more than 32767 in a row or column.
    #[error("the mesh has no routers, or more than 32767 in a row or column")]
    Mesh,
    /// More parts than cores.
    #[error("{parts} parts for {cores} physical cores")]
    NoRoom {
        /// Number of parts.
        parts: u32,
        /// Number of cores.
        cores: u32,
    },
    /// Chips and pins leave no core for a part: other parts need all that it may take.
    #[error("no physical core is left for part {part} among those it may take")]
    NoCore {
        /// A part that remains.
        part: u32,
    },
    /// Two parts on one core.
    #[error("physical core {core} is given to parts {} and {}", parts[0], parts[1])]
    Twice {
        /// The core.
        core: u32,
        /// The parts.
        parts: [u32; 2],
    },
}

/// Exchange rate that halves the largest link of conv nets for less than 1 % more hops (see [`Request::link_share`]).
pub const LINK_SHARE: f64 = 0.1;

/// What is to be placed, and where.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Messages between parts.
    pub traffic: &'a Traffic,
    /// The board's routers.
    pub mesh: &'a Mesh,
    /// Number of physical cores: `0..cores`.
    pub cores: u32,
    /// Chip of each part, or none when parts may go anywhere.
    pub chips: Option<&'a [u32]>,
    /// Physical cores each part may take (`k..k + 1` pins it to core k), or none.
    pub pins: Option<&'a [Range<u32>]>,
    /// Rate of the messages that each part gets from the host (they enter at its router), or none.
    pub host: Option<&'a [f64]>,
    /// A placement to go on from, its large shape kept; none: the best of some cheap ones.
    pub start: Option<&'a [u32]>,
    /// Exchange rate of the second stage: a largest link lower by x % is worth `link_share` times x % more hops. 0 leaves the stage out.
    pub link_share: f64,
    /// Seed of the random moves.
    pub seed: u64,
    /// Work.
    pub effort: Effort,
}

/// Places parts so that rate times hops is low.
///
/// Returns the physical core of each part; [`quality`] counts it.
///
/// # Errors
/// More parts than cores, lists of another length than there are parts, chips and pins that leave no core for a part, a mesh without routers.
pub fn place(request: &Request) -> Result<Vec<u32>, PlaceError> {
    let board = Board::new(request.mesh, request.cores)?;
    let mut graph = Graph::new(request.traffic);
    if let Some(rates) = request.host {
        if rates.len() != graph.parts() {
            return Err(PlaceError::Length { given: rates.len(), parts: graph.parts() });
        }
        let port = request.mesh.host_port();
        graph = graph.with_host(rates, [port.x.min(32767) as i16, port.y.min(32767) as i16]);
    }
    let (allowed, any) = Allowed::new(&board, graph.parts(), request.chips, request.pins)?;
    let (runs, budget) = work(&graph, request.effort);
    let (first, schedule) = match request.start {
        Some(cores) => (begun(&board, &allowed, graph.parts(), cores)?, Schedule::repair(budget)),
        None => (first::<0>(&graph, &board, &allowed, any, request.seed), Schedule::new(&graph, budget)),
    };
    let best = chains::<0>(&graph, &board, &allowed, &first, request.seed, (runs, &schedule));
    let best = if request.link_share > 0.0 && request.link_share.is_finite() {
        let flows = level::Flows::new(request.traffic);
        level::Leveller::new(&flows, &graph, &board, &allowed, best, request.seed).run(request.link_share, budget)
    } else {
        best
    };
    Ok(best.core)
}

/// A given placement, checked.
fn begun(board: &Board, allowed: &Allowed, parts: usize, cores: &[u32]) -> Result<Places, PlaceError> {
    if cores.len() != parts {
        return Err(PlaceError::Length { given: cores.len(), parts });
    }
    let mut taken = std::collections::BTreeMap::new();
    for (part, &core) in cores.iter().enumerate() {
        let part = part as u32;
        if core >= board.cores() || !allowed.may(part, core) {
            return Err(PlaceError::NoCore { part });
        }
        if let Some(other) = taken.insert(core, part) {
            return Err(PlaceError::Twice { core, parts: [other, part] });
        }
    }
    Ok(Places::new(board, cores.to_vec()))
}

/// The best of independent runs, each of some work.
fn chains<const STEP: i32>(
    graph: &Graph,
    board: &Board,
    allowed: &Allowed,
    first: &Places,
    seed: u64,
    (runs, schedule): (u64, &Schedule),
) -> Places {
    let ends: Vec<(f64, Places)> = (0..runs)
        .into_par_iter()
        .map(|run| {
            let mut annealer = Annealer::<STEP>::new(graph, board, allowed, first.clone(), seed.wrapping_add(run));
            annealer.run(schedule);
            (annealer.cost(), annealer.places)
        })
        .collect();
    let none = (anneal::cost::<STEP>(graph, first), first.clone());
    // The earliest of equals, on any number of threads.
    ends.into_iter().fold(none, |best, end| if end.0 < best.0 { end } else { best }).1
}

/// Parts from which on tiles of parts are placed first: below, the annealing of single parts melts any start.
const TILED: usize = 2000;

/// The best of some cheap placements: in the given order along a Hilbert curve, of many parts by tiles, and spectral ones at several angles.
fn first<const STEP: i32>(graph: &Graph, board: &Board, allowed: &Allowed, any: Vec<u32>, seed: u64) -> Places {
    let mut tries = vec![Places::new(board, any)];
    if let Some(groups) = start::groups(allowed) {
        tries.push(Places::new(board, start::hilbert(board, &groups)));
        let at = spectral::coordinates(graph, seed);
        if graph.parts() >= TILED {
            let at = chips::tiled(graph, board, seed);
            tries.push(Places::new(board, start::press(board, &groups, &at)));
        }
        tries.extend(spectral::turned(&at).map(|at| Places::new(board, start::press(board, &groups, &at))));
    }
    let costs: Vec<f64> = tries.iter().map(|p| anneal::cost::<STEP>(graph, p)).collect();
    let best = (0..tries.len()).min_by(|&a, &b| costs[a].total_cmp(&costs[b])).unwrap_or(0);
    tries.swap_remove(best)
}

/// Independent runs, and work units for each: 12,000 moves for each part while that is cheap, far fewer for large boards.
fn work(graph: &Graph, effort: Effort) -> (u64, u64) {
    let (parts, edges) = (graph.parts() as u64, graph.edges() as u64);
    let all = 12_000 * (anneal::MOVE * parts + 2 * edges);
    let budget = all.min(800_000_000 + 200 * edges + 4_000 * parts).max(4_000_000);
    match effort {
        Effort::Fast => (1, budget / 10),
        Effort::Default => (1, budget),
        Effort::Best => (4, 4 * budget),
    }
}
