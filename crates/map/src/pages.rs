//! Pagination: fewest cores where neurons and input axons alone bind, as on crossbars.
//!
//! In: an assignment. Out: a [`Mapping`], never a worse one than that assignment, repaired.
//! Invariant: the same input and seed give the same result, on any number of threads; only what repair made legal is remembered.
//! Cost: a number of visits of each neuron by effort, fewer in large nets.
//! Why: without out entries and words nothing couples the cores, and no bound says what overlap can do: the cores that a net needs are found by
//! annealing. Neurons pass through overloaded cores ("overload and remove" for the pagination problem, Grange, Kacem and Martin,
//! arXiv:1605.00558). The price of an overload must be low at first and rise with the overload, or everything ends on few cores, where all share all.

use crate::anneal::Schedule;
use crate::bounds::lower_bounds;
use crate::hypergraph::Hypergraph;
use crate::limits::Limits;
use crate::overlap::spread;
use crate::pairs::Lists;
use crate::portfolio::{Effort, Mapping, Options, Strategy, finish};
use crate::regional::Regional;
use crate::state::State;

/// True when neurons and input axons are all that a core has.
pub fn applies(limits: &Limits) -> bool {
    limits.entry_cost == 0
        && limits.off_chip_extra == 0
        && limits.words_of.iter().flatten().all(|&words| words == 0)
        && limits.labels.is_empty()
        && limits.levels.is_none()
        && limits.memory.is_none()
}

/// Steps of all sweeps together, and sweeps at least and at most, at default effort.
const WORK: u64 = 2_400_000_000;
const SWEEPS: (u64, u64) = (1000, 9000);
/// A visit takes as many steps beside one for each axon.
const VISIT: u64 = 16;
/// How many times fewer or more sweeps other efforts take.
const FAST: u64 = 40;
const BEST: u64 = 4;
/// Cores up to which a net is annealed as a whole, and cores of a region where there are more.
const WHOLE: u32 = 128;
const REGION: u32 = 48;
/// Rounds of an annealing: regions are cut anew for each.
const ROUNDS: u32 = 32;
/// Annealings after the main one, each with this share of the sweeps.
const AGAIN: u32 = 4;

/// From hot and soft to cold and hard.
const MAIN: Schedule = Schedule { sweeps: 0, hot: 1.5, cold: 0.5, soft: 0.2, hard: 4.0, steep: 0.005, anywhere: true };
/// What is nearly legal, once more.
const WARM: Schedule = Schedule { hot: 0.9, cold: 0.35, soft: 1.0, hard: 8.0, ..MAIN };

/// Searches for fewer cores, from `parts` on `cores`.
pub fn pages(graph: &Hypergraph, limits: &Limits, options: &Options, parts: Vec<u32>, cores: u32) -> Mapping {
    let sweeps = (WORK / (u64::from(graph.neurons()) * VISIT + graph.pins() as u64).max(1)).clamp(SWEEPS.0, SWEEPS.1);
    let sweeps = match options.effort {
        Effort::Fast => sweeps.div_ceil(FAST),
        Effort::Default => sweeps,
        Effort::Best => sweeps * BEST,
    } as u32;
    let least = lower_bounds(graph, limits).iter().map(|b| b.cores).max().unwrap_or(1).max(1);
    let most = if cores <= WHOLE { WHOLE } else { REGION };
    let mut net = Regional::of(graph, limits, parts, cores, most, options.seed);
    let mut best = legal(&net);
    let part = |net: &mut Regional, best: &mut Mapping, schedule: &Schedule, sweeps: u32| {
        let schedule = Schedule { sweeps, ..*schedule };
        let rounds = ROUNDS.min(sweeps);
        for round in 0..rounds {
            net.fixed(&schedule.part(round, rounds));
            // Small nets are judged after each of the last rounds: what repair makes of them is chance.
            if round + 1 < rounds && (net.cores > WHOLE || round < rounds / 2) {
                continue;
            }
            let found = legal(net);
            if found.legal && (!best.legal || (found.cores, found.in_slots) < (best.cores, best.in_slots)) {
                *best = found;
            }
        }
    };
    let done = |best: &Mapping| best.legal && u64::from(best.cores) <= least;
    if done(&best) || cores < 2 {
        return best;
    }
    // How many cores it may take, where there is room.
    part(&mut net, &mut best, &MAIN, sweeps.div_ceil(8));
    let mut wanted = (net.need() as u64).clamp(least, u64::from(best.cores - 1).max(least)) as u32;
    net = fewer(net, wanted, most, options.seed);
    part(&mut net, &mut best, &MAIN, sweeps.div_ceil(2));
    for _ in 0..AGAIN {
        if done(&best) {
            break;
        }
        if best.legal && best.cores <= wanted {
            // Less than the last annealing needed, if it left room.
            wanted = (net.need() as u64).clamp(least, u64::from(best.cores - 1).max(least)) as u32;
            net = fewer(net, wanted, most, options.seed);
        }
        part(&mut net, &mut best, &WARM, sweeps.div_ceil(8));
    }
    best
}

/// The state of a net, repaired: overloaded cores give to others and to new ones.
fn legal(net: &Regional) -> Mapping {
    let cores = net.cores;
    finish(net.spacious(cores), Strategy::Overlap, cores)
}

/// The same on fewer cores, if it has more.
fn fewer<'a>(net: Regional<'a>, cores: u32, most: u32, seed: u64) -> Regional<'a> {
    if cores >= net.cores {
        return net;
    }
    let mut state = State::new(net.graph, net.limits, Lists::new(net.graph, cores), cores, Vec::new());
    spread(&mut state, &net.parts, net.cores);
    Regional::of(net.graph, net.limits, state.into_parts(), cores, most, seed ^ u64::from(cores))
}
