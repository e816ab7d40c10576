//! The portfolio: strategies propose, the best legal assignment wins.
//!
//! In: a hypergraph, limits and options. Out: [`Mapping`], a core for each neuron.
//! Invariant: the same input and options give the same result, on any number of threads; effort is counted in visits, not in time.
//! Cost: linear in the synapses for nets whose layers have an order; for others, `Effort` visits of each neuron.
//! Why: no strategy is best everywhere. Nets whose layers have an order are packed last layer first, along tiles where shapes are known; nets with
//! loops grow by overlap, and annealing makes room where every slot is needed.

use crate::anneal::{Schedule, anneal};
use crate::bounds::lower_bounds;
use crate::grow::{Grower, Room};
use crate::heal::heal;
use crate::hypergraph::Hypergraph;
use crate::layered::{Layered, reverse_order};
use crate::limits::Limits;
use crate::pairs::{Lists, Pairs, Table};
use crate::repair::{Repair, compact};
use crate::state::State;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::Serialize;

/// How hard to search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effort {
    /// A first good result.
    Fast,
    /// Annealed.
    #[default]
    Default,
    /// Annealed for long.
    Best,
}

/// A way to assign neurons to cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Last layer first, tiles along the shapes.
    Tiles,
    /// Last layer first, layers grown by overlap.
    Layers,
    /// All neurons grown by overlap, then annealed.
    Overlap,
}

impl Strategy {
    /// All strategies, in the order in which ties are decided.
    pub const ALL: [Strategy; 3] = [Strategy::Tiles, Strategy::Layers, Strategy::Overlap];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Tiles => "tiles",
            Strategy::Layers => "layers",
            Strategy::Overlap => "overlap",
        }
    }
}

/// Options of a mapping.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// One strategy; `None`: the portfolio.
    pub strategy: Option<Strategy>,
    /// Effort.
    pub effort: Effort,
    /// Seed.
    pub seed: u64,
}

/// A core for each neuron.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Core of each neuron.
    pub parts: Vec<u32>,
    /// Cores.
    pub cores: u32,
    /// Input slots of all cores.
    pub in_slots: u64,
    /// True when every core is within its limits.
    pub legal: bool,
    /// Strategy that found it.
    pub strategy: Strategy,
}

/// Why a strategy does not suit a net.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsuited {
    /// No layer has a known shape.
    NoShapes,
    /// A layer feeds itself, or layers feed one another in a loop.
    Loops,
}

/// Whether a strategy can be used on a net; [`map`] takes [`Strategy::Overlap`] where it can't.
///
/// # Errors
/// What the net lacks.
pub fn suits(graph: &Hypergraph, strategy: Strategy) -> Result<(), Unsuited> {
    suited(graph, reverse_order(graph).is_some(), strategy)
}

fn suited(graph: &Hypergraph, ordered: bool, strategy: Strategy) -> Result<(), Unsuited> {
    match strategy {
        Strategy::Overlap => Ok(()),
        Strategy::Tiles | Strategy::Layers if !ordered => Err(Unsuited::Loops),
        Strategy::Tiles if graph.layers().iter().all(|l| l.shape.is_none()) => Err(Unsuited::NoShapes),
        Strategy::Tiles | Strategy::Layers => Ok(()),
    }
}

/// Synapses up to which annealing is tried where the layers' order did not help.
const AFFORDABLE: usize = 1 << 21;

/// True when every neuron would fit a core of its own, the others wherever they like.
fn fits_alone(graph: &Hypergraph, limits: &Limits) -> bool {
    (0..graph.neurons()).all(|v| {
        let words: u64 = graph.synapses(v).map(|(axon, synapses)| u64::from(limits.words(axon, synapses))).sum();
        let sends = !graph.out_neurons(graph.axon(v)).is_empty();
        graph.in_axons(v).len() as u64 <= limits.in_slots.into()
            && words <= limits.words.into()
            && (!sends || limits.entry_cost <= limits.out_entries)
    })
}

/// Cores beyond the lower bound, as a share, up to which no other strategy is tried.
const CLOSE: f64 = 1.15;

/// Maps; `progress` hears what is tried.
pub fn map(graph: &Hypergraph, limits: &Limits, options: &Options, progress: &mut dyn FnMut(&str)) -> Mapping {
    let order = reverse_order(graph);
    let applies = |s: Strategy| suited(graph, order.is_some(), s).is_ok();
    let chosen: Vec<Strategy> = match options.strategy {
        Some(s) if applies(s) => vec![s],
        Some(_) => vec![Strategy::Overlap],
        None if options.effort == Effort::Best => Strategy::ALL.into_iter().filter(|&s| applies(s)).collect(),
        // A strategy that knows more about the net leaves nothing to those that know less.
        None if applies(Strategy::Tiles) => vec![Strategy::Tiles],
        None => Strategy::ALL.into_iter().filter(|&s| applies(s)).collect(),
    };
    let mut best: Option<Mapping> = None;
    let least = lower_bounds(graph, limits).iter().map(|b| b.cores).max().unwrap_or(1);
    // Where none of these fits, the others may.
    let others = Strategy::ALL.into_iter().filter(|&s| applies(s) && options.strategy.is_none() && !chosen.contains(&s));
    let affordable = |s: Strategy| s != Strategy::Overlap || graph.pins() <= AFFORDABLE;
    let others: Vec<Strategy> = others.filter(|&s| affordable(s) && fits_alone(graph, limits)).collect();
    for (k, &strategy) in chosen.iter().chain(&others).enumerate() {
        if k >= chosen.len() && best.as_ref().is_some_and(|b| b.legal) {
            break;
        }
        // Annealing is for what the layers leave far from the bound.
        let close = |m: &Mapping| m.legal && f64::from(m.cores) <= CLOSE * least as f64;
        if options.strategy.is_none() && options.effort != Effort::Best && best.as_ref().is_some_and(close) {
            break;
        }
        progress(strategy.name());
        let mapping = match (&order, strategy) {
            (Some(order), Strategy::Tiles | Strategy::Layers) => ordered(graph, limits, order, strategy, least),
            _ => overlap(graph, limits, options),
        };
        let rank = |m: &Mapping| (!m.legal, m.cores, m.in_slots);
        if best.as_ref().is_none_or(|b| rank(&mapping) < rank(b)) {
            best = Some(mapping);
        }
    }
    best.expect("at least one strategy applies")
}

/// Cores beyond the lower bound that are worth messages that stay near: 3 %.
const NEAR: f64 = 1.03;
/// Shares of thinning that are tried, until the cores are near the lower bound.
const SHARES: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

fn ordered(graph: &Hypergraph, limits: &Limits, order: &[usize], strategy: Strategy, least: u64) -> Mapping {
    let mut layered = Layered::new(graph, limits, order.to_vec(), strategy == Strategy::Tiles);
    let mut best: Option<Mapping> = None;
    for share in SHARES {
        let mut state = State::new(graph, limits, Lists::new(graph, u32::MAX), 0, Vec::new());
        layered.pack(&mut state, share);
        let mapping = finish(state, strategy, graph.neurons());
        let near = f64::from(mapping.cores) <= NEAR * least as f64;
        let same = best.as_ref().is_some_and(|b| b.parts == mapping.parts);
        if best.as_ref().is_none_or(|b| (!mapping.legal, mapping.cores) < (!b.legal, b.cores)) {
            best = Some(mapping);
        }
        if same || best.as_ref().is_some_and(|b| b.legal) && near {
            break;
        }
    }
    best.expect("at least one share")
}

/// Repairs what is beyond a limit (opening `spare` cores at most), empties what others can take in, and numbers the cores.
fn finish<P: Pairs>(mut state: State<P>, strategy: Strategy, spare: u32) -> Mapping {
    let mut repair = Repair::new(state.cores());
    let legal = repair.legalise(&mut state, spare);
    if legal {
        repair.dissolve(&mut state);
    }
    let in_slots = state.in_slots() as u64;
    let cores = state.cores();
    let mut parts = state.into_parts();
    let cores = compact(&mut parts, cores);
    Mapping { parts, cores, in_slots, legal, strategy }
}

/// Sweeps of a first annealing that tells how many cores it will take.
const SCOUTING: u32 = 12;
/// Synapses that the rounds of an annealing look at, at default effort: large nets get fewer rounds.
const ANNEALING: usize = 270_000_000;
/// Temperature at which an assignment that is nearly legal begins again.
const WARM: f32 = 1.0;
/// What the real annealing saves beside the first one.
const SAVING: f64 = 0.96;

fn overlap(graph: &Hypergraph, limits: &Limits, options: &Options) -> Mapping {
    let neurons: Vec<u32> = (0..graph.neurons()).collect();
    let room = Room { neurons: limits.neurons, in_slots: limits.in_slots, out_entries: f64::INFINITY };
    let blocks = Grower::new(graph).grow(&neurons, room, &|_| 0.0);
    let sweeps = match options.effort {
        Effort::Fast => ((ANNEALING / 8 / graph.pins().max(1)) as u32).clamp(SCOUTING, 40),
        Effort::Default => ((ANNEALING / graph.pins().max(1)) as u32).clamp(SCOUTING, 320),
        Effort::Best => 3000,
    };
    let cores = blocks.len() as u32;
    if Table::serves(graph, cores * 2) && cores <= 256 {
        annealed(graph, limits, options, &blocks, sweeps, |cores| Table::new(graph, cores))
    } else {
        annealed(graph, limits, options, &blocks, sweeps, |cores| Lists::new(graph, cores))
    }
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
    let schedule = |sweeps: u32| Schedule { sweeps, hot: 2.5, cold: 0.2, soft: 0.6, hard: 5.0 };
    anneal(&mut state, &Schedule { hot: 0.5, ..schedule(SCOUTING) }, &mut rng);
    if grown < 2 {
        return opened(graph, limits, options, finish(state, Strategy::Overlap, 0), pairs);
    }
    let hopeless = !fits_alone(graph, limits);
    let need = |state: &State<P>| {
        let (mut most, mut all) = (0.0f64, [0i64; 4]);
        for u in (0..state.cores()).map(|c| state.used(c)) {
            for (sum, used) in all.iter_mut().zip([u.neurons, u.in_slots, u.out_entries, u.words]) {
                *sum += used;
            }
        }
        for (sum, limit) in all.into_iter().zip([limits.neurons, limits.in_slots, limits.out_entries, limits.words]) {
            most = most.max(sum as f64 / f64::from(limit.max(1)));
        }
        most
    };
    let mut cores = ((SAVING * need(&state)).ceil() as u32).clamp(1, grown.max(1));
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
fn spread<P: Pairs>(state: &mut State<P>, parts: &[u32], from: u32) {
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
        state.pairs.gather(state.graph.in_axons(v), &mut hits, &mut scratch);
        let full = |core: u32| {
            let used = state.used(core);
            let share = |used: i64, limit: u32| (used as f64 / f64::from(limit.max(1)) - 1.0).max(0.0);
            share(used.in_slots, limits.in_slots) + share(used.neurons, limits.neurons)
        };
        let score = |&(core, hits): &(u32, u32)| f64::from(hits) - 400.0 * full(core);
        let best = hits.iter().copied().max_by(|a, b| score(a).total_cmp(&score(b)).then(b.0.cmp(&a.0)));
        let core = best.map_or_else(|| (0..state.cores()).min_by_key(|&c| state.used(c).neurons).unwrap_or(0), |b| b.0);
        state.assign(v, core);
    }
}
