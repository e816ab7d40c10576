//! The strategy for nets with loops: cores grown by overlap, then annealed; large nets in regions.
//!
//! In: a hypergraph, limits and options. Out: a [`Mapping`], legal where repair finds a way.
//! Invariant: the same input and options give the same result, on any number of threads.
//! Cost: a number of visits of each neuron that does not grow with the net; a visit looks at the cores of one region.
//! Why: growing is good already, so what annealing has to do is local.

use crate::anneal::{Schedule, anneal};
use crate::bounds::lower_bounds;
use crate::grow::{Grower, Room};
use crate::heal::heal;
use crate::hypergraph::Hypergraph;
use crate::limits::Limits;
use crate::pages::{self, pages};
use crate::pairs::{Lists, Pairs, Table};
use crate::portfolio::{Effort, Mapping, Options, Strategy, finish, fits_alone};
use crate::regional::regional;
use crate::repair::Repair;
use crate::state::State;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// Grown cores up to which a net is annealed as a whole: as many as a word has bits.
const ALONE: u32 = 64;
/// Sweeps of a first annealing that tells how many cores it will take.
pub(crate) const SCOUTING: u32 = 12;
/// Synapses that the rounds of an annealing look at, at default effort: large nets get fewer rounds.
const ANNEALING: usize = 200_000_000;
/// Temperature at which an assignment that is nearly legal begins again.
pub(crate) const WARM: f32 = 1.0;
/// Temperature of the first annealing.
pub(crate) const SCOUT: f32 = 0.5;
/// What the real annealing saves beside the first one.
const SAVING: f64 = 0.96;

/// Maps a net, with loops or without.
pub fn overlap(graph: &Hypergraph, limits: &Limits, options: &Options) -> Mapping {
    let neurons: Vec<u32> = (0..graph.neurons()).collect();
    let room = Room::of(limits, f64::INFINITY);
    let blocks = Grower::new(graph).grow(&neurons, room, &|_| 0.0);
    let sweeps = match options.effort {
        Effort::Fast => ((ANNEALING / 8 / graph.pins().max(1)) as u32).clamp(SCOUTING, 30),
        Effort::Default => ((ANNEALING / graph.pins().max(1)) as u32).clamp(SCOUTING, 240),
        Effort::Best => 3000,
    };
    let cores = blocks.len() as u32;
    if pages::applies(limits) && fits_alone(graph, limits) {
        pages(graph, limits, options, parts_of(graph, &blocks), cores)
    } else if cores > ALONE {
        let mapping = regional(graph, limits, options, &blocks);
        // Input axons that hardly overlap: annealing on as few cores as the slots seem to fill may end far beyond the limits.
        let mapping = better(mapping, || grown(graph, limits, &blocks));
        opened(graph, limits, options, mapping, |cores| Lists::new(graph, cores))
    } else if Table::serves(graph, cores * 2) {
        annealed(graph, limits, options, &blocks, sweeps, |cores| Table::new(graph, cores))
    } else {
        annealed(graph, limits, options, &blocks, sweeps, |cores| Lists::new(graph, cores))
    }
}

/// The core of each neuron.
pub(crate) fn parts_of(graph: &Hypergraph, blocks: &[Vec<u32>]) -> Vec<u32> {
    let mut parts = vec![0; graph.neurons() as usize];
    for (core, block) in blocks.iter().enumerate() {
        block.iter().for_each(|&v| parts[v as usize] = core as u32);
    }
    parts
}

/// The grown cores, repaired.
fn grown(graph: &Hypergraph, limits: &Limits, blocks: &[Vec<u32>]) -> Mapping {
    let cores = blocks.len() as u32;
    let mut state = State::new(graph, limits, Lists::new(graph, 2 * cores), cores, Vec::new());
    parts_of(graph, blocks).into_iter().zip(0..).for_each(|(core, v)| state.assign(v, core));
    finish(state, Strategy::Overlap, cores)
}

/// An illegal mapping gives way to another that is legal.
fn better(mapping: Mapping, other: impl FnOnce() -> Mapping) -> Mapping {
    if mapping.legal {
        return mapping;
    }
    let other = other();
    if other.legal { other } else { mapping }
}

/// The schedule of an annealing.
pub(crate) fn schedule(sweeps: u32) -> Schedule {
    Schedule { sweeps, hot: 2.5, cold: 0.2, soft: 0.6, hard: 5.0, steep: 0.0, anywhere: false }
}

/// Cores that the use of all cores would fill, by the resource that is used most, once annealing has brought what depends on it down to a share.
pub(crate) fn need<P: Pairs>(state: &State<P>, share: f64) -> f64 {
    let mut all = [0i64; 4];
    let mut bytes = 0.0;
    let l = state.limits;
    for (core, u) in (0..state.cores()).map(|c| (c, state.used(c))) {
        for (sum, used) in all.iter_mut().zip([u.neurons, u.in_slots, u.out_entries, u.words]) {
            *sum += used;
        }
        if l.memory.is_some() {
            bytes += l.bytes_share(&u, state.level(core, None));
        }
    }
    let each = all.into_iter().zip([(l.neurons, 1.0), (l.in_slots, share), (l.out_entries, share), (l.words, share)]);
    each.map(|(sum, (limit, share))| share * sum as f64 / f64::from(limit.max(1))).fold(share * bytes, f64::max)
}

fn annealed<P: Pairs>(
    graph: &Hypergraph,
    limits: &Limits,
    options: &Options,
    blocks: &[Vec<u32>],
    sweeps: u32,
    pairs: impl Fn(u32) -> P,
) -> Mapping {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(options.seed);
    let grown = blocks.len() as u32;
    let mut state = State::new(graph, limits, pairs(grown), grown, Vec::new());
    for (core, block) in blocks.iter().enumerate() {
        for &v in block {
            state.assign(v, core as u32);
        }
    }
    anneal(&mut state, &Schedule { hot: SCOUT, ..schedule(SCOUTING) }, &mut rng);
    if grown < 2 {
        return opened(graph, limits, options, finish(state, Strategy::Overlap, 0), pairs);
    }
    let hopeless = !fits_alone(graph, limits);
    let mut cores = (need(&state, SAVING).ceil() as u32).clamp(1, grown.max(1));
    let scouted = state.into_parts();
    let mut best: Option<Mapping> = None;
    // More cores until it is legal; the grown cores are legal but for out entries, so twice as many are enough for a net that fits at all.
    while cores <= grown * 2 {
        let mut state = State::new(graph, limits, pairs(cores), cores, Vec::new());
        match &best {
            None => {
                spread(&mut state, &scouted, grown);
                anneal(&mut state, &schedule(sweeps), &mut rng);
            }
            // What the last round found is good but for a few cores: what they have too much goes to new ones, and a short annealing evens it out.
            Some(last) => {
                for (v, &core) in last.parts.iter().enumerate() {
                    state.assign(v as u32, core);
                }
                Repair::new(cores).legalise(&mut state, 0);
                anneal(&mut state, &Schedule { hot: WARM, ..schedule(sweeps.div_ceil(4)) }, &mut rng);
            }
        }
        let mapping = finish(state, Strategy::Overlap, 0);
        let done = mapping.legal || hopeless;
        best = Some(mapping);
        if done {
            break;
        }
        cores += (cores / 50).max(1);
    }
    opened(graph, limits, options, best.expect("at least one round"), pairs)
}

/// Numbers of cores that the last resort tries.
const RESORTS: usize = 8;
/// Work of the last resort for each of them: for each neuron, and at most.
const RESORT_EACH: u64 = 20_000;
const RESORT_MOST: u64 = 20_000_000;

/// An illegal assignment repaired once more, with as many cores again that may be opened; then by random moves, on about as many cores.
fn opened<P: Pairs>(graph: &Hypergraph, limits: &Limits, options: &Options, mapping: Mapping, pairs: impl Fn(u32) -> P) -> Mapping {
    if mapping.legal {
        return mapping;
    }
    let most = (2 * mapping.cores).max(16).min(graph.neurons());
    let mut state = State::new(graph, limits, pairs(2 * mapping.cores), mapping.cores, Vec::new());
    for (v, &core) in mapping.parts.iter().enumerate() {
        state.assign(v as u32, core);
    }
    let repaired = finish(state, mapping.strategy, mapping.cores);
    if repaired.legal || !fits_alone(graph, limits) {
        return repaired;
    }
    let least = lower_bounds(graph, limits).iter().map(|b| b.cores).max().map_or(1, |b| b.clamp(1, most.into()) as u32);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(options.seed);
    let step = (mapping.cores / 25).max(1);
    let mut tries: Vec<u32> = (least..=most).filter(|k| k.abs_diff(mapping.cores).is_multiple_of(step)).collect();
    tries.sort_by_key(|k| (k.abs_diff(mapping.cores), *k));
    for cores in tries.into_iter().take(RESORTS) {
        let mut state = State::new(graph, limits, pairs(cores), cores, Vec::new());
        spread(&mut state, &mapping.parts, mapping.cores);
        if heal(&mut state, (RESORT_EACH * u64::from(graph.neurons())).min(RESORT_MOST), &mut rng) {
            return finish(state, mapping.strategy, 0);
        }
    }
    repaired
}

/// Takes over the largest cores of an assignment, and gives the neurons of the others to those that share most axons, the emptier the likelier.
pub(crate) fn spread<P: Pairs>(state: &mut State<P>, parts: &[u32], from: u32) {
    let mut members: Vec<Vec<u32>> = vec![Vec::new(); from as usize];
    for (v, &p) in parts.iter().enumerate() {
        members[p as usize].push(v as u32);
    }
    members.sort_by_key(|m| std::cmp::Reverse(m.len()));
    let kept = state.cores().min(from) as usize;
    for (core, list) in members[..kept].iter().enumerate() {
        for &v in list {
            state.assign(v, core as u32);
        }
    }
    let mut hits = Vec::new();
    let mut scratch = vec![0; state.cores() as usize];
    let limits = state.limits;
    for &v in members[kept..].iter().flatten() {
        hits.clear();
        state.pairs.gather(state.graph.in_axons(v), u32::MAX, &mut hits, &mut scratch);
        let full = |core: u32| {
            let used = state.used(core);
            let share = |used: i64, limit: u32| (used as f64 / f64::from(limit.max(1)) - 1.0).max(0.0);
            let bytes = if limits.memory.is_some() { limits.bytes_over(&used, state.level(core, None)) } else { 0.0 };
            share(used.in_slots, limits.in_slots) + share(used.neurons, limits.neurons) + bytes
        };
        let score = |&(core, hits): &(u32, u32)| f64::from(hits) - 400.0 * full(core);
        let best = hits.iter().copied().max_by(|a, b| score(a).total_cmp(&score(b)).then(b.0.cmp(&a.0)));
        let core = best.map_or_else(|| (0..state.cores()).min_by_key(|&c| state.used(c).neurons).unwrap_or(0), |b| b.0);
        state.assign(v, core);
    }
}
