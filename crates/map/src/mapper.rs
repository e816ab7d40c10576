//! From a hypergraph to placed cores: partition, placement, and neurons that settle near their messages.
//!
//! In: a hypergraph, limits, rates and a board. Out: [`Mapped`], a core for each neuron and a physical core for each core.
//! Invariant: the same input and options give the same result, on any number of threads.
//! Cost: see [`crate::portfolio`], [`crate::place`] and [`crate::settle`].
//! Why several rounds: neurons settle by what is near, and cores are placed by what settled on them.

use crate::board::{Board, onto_chips};
use crate::hypergraph::Hypergraph;
use crate::limits::Limits;
use crate::messages::{host_messages, messages};
use crate::pairs::Lists;
use crate::place::{LINK_SHARE, PlaceError, Request, Traffic, place};
use crate::portfolio::{Effort, Mapping, Options, Strategy, map};
use crate::settle::{Point, Settle};
use crate::state::State;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use spikec_chip::mesh::Mesh;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Neurons on cores, and cores on the mesh.
#[derive(Debug)]
pub struct Mapped {
    /// The assignment.
    pub mapping: Mapping,
    /// Physical core of each core.
    pub physical: Vec<u32>,
    /// The mesh.
    pub mesh: Mesh,
    /// Messages between the cores.
    pub traffic: Traffic,
    /// What the partition took.
    pub partitioning: Duration,
    /// What the placement took, settling included.
    pub placing: Duration,
}

/// What is mapped.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// The hypergraph.
    pub graph: &'a Hypergraph,
    /// What a core holds.
    pub limits: &'a Limits,
    /// Spikes of each axon in a step.
    pub rates: &'a [f32],
    /// Options.
    pub options: &'a Options,
}

/// Synapses of all rounds of settling at default effort.
const WORK: usize = 12_000_000;

/// Rounds of placing and settling: as many as small nets can afford, for each brings less.
fn rounds(effort: Effort, pins: usize) -> usize {
    match effort {
        Effort::Fast => 0,
        Effort::Default => (WORK / pins.max(1)).clamp(1, 3),
        Effort::Best => 6,
    }
}

/// Maps onto the benchmark's mesh: a square of single cores, as small as it can be. Messages of external inputs do not count.
///
/// # Errors
/// More cores than a placement can have.
pub fn map_square(job: &Job, progress: &mut dyn FnMut(&str)) -> Result<Mapped, PlaceError> {
    let clock = Instant::now();
    let mapping = map(job.graph, job.limits, job.options, progress);
    let partitioning = clock.elapsed();
    progress("placement");
    let side = f64::from(mapping.cores).sqrt().ceil() as u32;
    let room = Room { mesh: Mesh::square(side), cores: side * side, chips: None, ranges: None, host: false };
    settled(job, mapping, &room, partitioning)
}

/// Maps onto a board. `ranges`: physical cores that each neuron may be on, by the label that `limits.labels` keep apart (a core has neurons of one
/// label), or none.
///
/// # Errors
/// More cores than a placement can have, than the board has where they may be, or than a chip has where entries between chips cost more and no
/// assignment was found.
pub fn map_board(
    job: &Job,
    board: &Board,
    ranges: Option<&dyn Fn(u32) -> Range<u32>>,
    progress: &mut dyn FnMut(&str),
) -> Result<Mapped, PlaceError> {
    let clock = Instant::now();
    let mapping = map(job.graph, job.limits, job.options, progress);
    let several = mapping.cores > board.cores_per_chip();
    let (mapping, chips) = if several && ranges.is_none() {
        progress("chips");
        let (mapping, chips) = onto_chips(job.graph, job.limits, job.rates, board, mapping, job.options)?;
        (mapping, Some(chips))
    } else {
        (mapping, None)
    };
    let partitioning = clock.elapsed();
    progress("placement");
    let ranges = ranges.map(|range| {
        let mut of_core = vec![0..board.cores(); mapping.cores as usize];
        for (v, &core) in mapping.parts.iter().enumerate() {
            of_core[core as usize] = range(v as u32);
        }
        of_core
    });
    let cores = if chips.is_some() || ranges.is_some() { board.cores() } else { board.cores().min(board.cores_per_chip()) };
    settled(job, mapping, &Room { mesh: board.mesh, cores, chips, ranges, host: true }, partitioning)
}

/// Where cores may be placed.
struct Room {
    mesh: Mesh,
    cores: u32,
    chips: Option<Vec<u32>>,
    ranges: Option<Vec<Range<u32>>>,
    /// Messages of external inputs count, from the host's router.
    host: bool,
}

fn settled(job: &Job, mut mapping: Mapping, room: &Room, partitioning: Duration) -> Result<Mapped, PlaceError> {
    let Job { graph, limits, rates, options } = *job;
    let clock = Instant::now();
    let traffic_of = |parts: &[u32]| -> Result<(Traffic, Option<Vec<f64>>), PlaceError> {
        let traffic = Traffic::new(mapping.cores, messages(graph, parts, mapping.cores, rates))?;
        Ok((traffic, room.host.then(|| host_messages(graph, parts, mapping.cores, rates))))
    };
    let placed = |(traffic, host): &(Traffic, Option<Vec<f64>>), start: Option<&[u32]>, effort: Effort, link_share: f64| {
        place(&Request {
            traffic,
            mesh: &room.mesh,
            cores: room.cores,
            chips: room.chips.as_deref(),
            pins: room.ranges.as_deref(),
            host: host.as_deref(),
            start,
            link_share,
            seed: options.seed,
            effort,
        })
    };
    let mut traffic = traffic_of(&mapping.parts)?;
    // Annealed assignments are near their best in slots, which decide their messages.
    let settles = mapping.legal && mapping.strategy != Strategy::Overlap && mapping.cores > 1;
    let first = if settles && options.effort != Effort::Best { Effort::Fast } else { options.effort };
    let mut physical = placed(&traffic, None, first, 0.0)?;
    if settles {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(options.seed);
        let chips = room.chips.clone().unwrap_or_default();
        let mut state = State::new(graph, limits, Lists::new(graph, mapping.cores), mapping.cores, chips);
        for (v, &core) in mapping.parts.iter().enumerate() {
            state.assign(v as u32, core);
        }
        let rounds = rounds(options.effort, graph.pins());
        for round in 0..=rounds {
            let points: Vec<Point> = physical.iter().map(|&c| room.mesh.router(c)).map(|r| (r.x as i32, r.y as i32)).collect();
            let mut settle = Settle::new(&mut state, &points, rates);
            settle.drift(2, &mut rng);
            if round > 0 || rounds > 1 {
                settle.exchange();
                settle.drift(1, &mut rng);
            }
            if round < rounds {
                // From the start again: it finds another large shape, to which the neurons settle once more.
                traffic = traffic_of(state.parts())?;
                physical = placed(&traffic, None, Effort::Default, 0.0)?;
            }
        }
        mapping.in_slots = state.in_slots() as u64;
        let parts = state.into_parts();
        traffic = traffic_of(&parts)?;
        mapping.parts = parts;
    }
    physical = placed(&traffic, Some(&physical), first, LINK_SHARE)?;
    Ok(Mapped { mapping, physical, mesh: room.mesh, traffic: traffic.0, partitioning, placing: clock.elapsed() })
}
