//! From a hypergraph to placed cores: partition, placement, and neurons that settle near their messages.
//!
//! In: a hypergraph, limits, rates and a board. Out: [`Mapped`], a core for each neuron and a physical core for each core.
//! Invariant: the same input and options give the same result, on any number of threads.
//! Cost: see [`crate::portfolio`], [`crate::place`] and [`crate::settle`].
//! Why twice: neurons settle by what is near, and cores are placed by what settled on them.

use crate::hypergraph::Hypergraph;
use crate::limits::Limits;
use crate::messages::messages;
use crate::pairs::Lists;
use crate::place::{self, LINK_SHARE, PlaceError, Request, Traffic, place};
use crate::portfolio::{Effort, Mapping, Options, Strategy, map};
use crate::settle::{Point, Settle};
use crate::state::State;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use spikec_chip::mesh::Mesh;
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

/// Synapses of all rounds of settling at default effort.
const WORK: usize = 12_000_000;

/// Maps onto the benchmark's mesh: a square of single cores, as small as it can be.
///
/// # Errors
/// More cores than a placement can have.
pub fn map_square(
    graph: &Hypergraph,
    limits: &Limits,
    rates: &[f32],
    options: &Options,
    progress: &mut dyn FnMut(&str),
) -> Result<Mapped, PlaceError> {
    let clock = Instant::now();
    let mut mapping = map(graph, limits, options, progress);
    let partitioning = clock.elapsed();
    progress("placement");
    let clock = Instant::now();
    let side = f64::from(mapping.cores).sqrt().ceil() as u32;
    let mesh = Mesh::square(side);
    let traffic_of = |parts: &[u32]| Traffic::new(mapping.cores, messages(graph, parts, mapping.cores, rates));
    let mut traffic = traffic_of(&mapping.parts)?;
    let placed = |traffic: &Traffic, start: Option<&[u32]>, effort: place::Effort, link_share: f64| {
        let (cores, seed) = (side * side, options.seed);
        place(&Request { traffic, mesh: &mesh, cores, chips: None, pins: None, start, link_share, seed, effort })
    };
    let first = if options.effort == Effort::Best { place::Effort::Default } else { place::Effort::Fast };
    let mut physical = placed(&traffic, None, first, 0.0)?;
    // Annealed assignments are near their best in slots, which decide their messages.
    if mapping.legal && mapping.strategy != Strategy::Overlap {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(options.seed);
        let mut state = State::new(graph, limits, Lists::new(graph, u32::MAX), mapping.cores, Vec::new());
        for (v, &core) in mapping.parts.iter().enumerate() {
            state.assign(v as u32, core);
        }
        let rounds = rounds(options.effort, graph.pins());
        for round in 0..=rounds {
            let points: Vec<Point> = physical.iter().map(|&c| mesh.router(c)).map(|r| (r.x as i32, r.y as i32)).collect();
            let mut settle = Settle::new(&mut state, &points, rates);
            settle.drift(2, &mut rng);
            if round > 0 || rounds > 1 {
                settle.exchange();
                settle.drift(1, &mut rng);
            }
            if round < rounds {
                // From the start again: it finds another large shape, to which the neurons settle once more.
                traffic = traffic_of(state.parts())?;
                physical = placed(&traffic, None, place::Effort::Default, 0.0)?;
            }
        }
        mapping.in_slots = state.in_slots() as u64;
        mapping.parts = state.into_parts();
        traffic = traffic_of(&mapping.parts)?;
    }
    let last = if options.effort == Effort::Default && mapping.strategy != Strategy::Overlap {
        first
    } else {
        match options.effort {
            Effort::Fast => place::Effort::Fast,
            Effort::Default => place::Effort::Default,
            Effort::Best => place::Effort::Best,
        }
    };
    physical = placed(&traffic, Some(&physical), last, LINK_SHARE)?;
    Ok(Mapped { mapping, physical, mesh, traffic, partitioning, placing: clock.elapsed() })
}

/// Rounds of placing and settling: as many as small nets can afford, for each brings less.
fn rounds(effort: Effort, pins: usize) -> usize {
    match effort {
        Effort::Fast => 0,
        Effort::Default => (WORK / pins.max(1)).clamp(1, 3),
        Effort::Best => 6,
    }
}
