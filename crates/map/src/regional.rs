//! Annealing of large nets, region by region.
//!
//! In: cores grown by overlap. Out: a [`Mapping`], legal where repair finds a way.
//! Invariant: the same input and seed give the same result, on any number of threads: regions of a round are joined in their order.
//! Cost: linear in the synapses: as many visits of each neuron as a small net gets, each to the cores of one region.
//! Why rounds: a border between regions stands still, so each round cuts elsewhere. Why regions open and empty cores: how many cores a net takes is
//! known only when it is annealed, and room on the other side of the net helps no core that is full.

use crate::anneal::{Schedule, anneal};
use crate::grow::{Grower, Room};
use crate::hypergraph::Hypergraph;
use crate::limits::Limits;
use crate::overlap::{SCOUT, SCOUTING, WARM, need, parts_of, schedule, spread};
use crate::pairs::{Lists, Pairs, Table};
use crate::portfolio::{Effort, Mapping, Options, Strategy, finish, fits_alone};
use crate::region::{Region, Scratch, groups};
use crate::repair::fill;
use crate::state::State;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

/// Cores of a region when it is cut: a word has bits for more, which it may open.
const REGION: u32 = 48;
/// Rounds and sweeps of all rounds together, by effort.
const FAST: (u32, u32) = (8, 48);
const DEFAULT: (u32, u32) = (16, 160);
const BEST: (u32, u32) = (50, 3000);
/// What annealing saves beside the first, short one; most of it in the first rounds.
const SAVING: f64 = 0.03;
/// How full the cores of a region may be on the mean, and how much less with each try.
const FULL: f64 = 0.996;
const LOOSER: f64 = 0.02;
/// Share of a core that a region may lack: its neighbours may have it.
const LACK: f64 = 0.5;
/// Tries to become legal.
const TRIES: u32 = 8;
/// Share of the cores beyond a limit from which on repair is not tried before another annealing.
const MANY: f64 = 0.25;

/// Anneals cores that were grown by overlap, and repairs them.
pub fn regional(graph: &Hypergraph, limits: &Limits, options: &Options, blocks: &[Vec<u32>]) -> Mapping {
    let (rounds, sweeps) = match options.effort {
        Effort::Fast => FAST,
        Effort::Default => DEFAULT,
        Effort::Best => BEST,
    };
    let mut net = Regional::new(graph, limits, blocks, options.seed);
    net.round(&Schedule { hot: SCOUT, ..schedule(SCOUTING) }, None);
    net.anneal(&schedule(sweeps), rounds, 0);
    let hopeless = !fits_alone(graph, limits);
    for tries in 1.. {
        let state = net.state();
        // Labels and levels are left to repair: annealing knows nothing of them.
        let bad = (0..state.cores()).filter(|&core| fill(&state, core) > 1.0).count();
        let last = hopeless || tries == TRIES;
        if last || bad as f64 <= MANY * f64::from(state.cores()) {
            let mapping = finish(state, Strategy::Overlap, 0);
            if mapping.legal || last {
                return mapping;
            }
        }
        // The annealing goes on from what it was before repair, with a little more room.
        net.anneal(&Schedule { hot: WARM, ..schedule(sweeps.div_ceil(4)) }, AGAIN, tries);
    }
    unreachable!("the last try returns")
}

/// Rounds of an annealing that begins again.
const AGAIN: u32 = 2;

/// A net on cores.
pub(crate) struct Regional<'a> {
    pub(crate) graph: &'a Hypergraph,
    pub(crate) limits: &'a Limits,
    /// Core of each neuron.
    pub(crate) parts: Vec<u32>,
    /// Cores.
    pub(crate) cores: u32,
    /// Cores of a region when it is cut.
    most: u32,
    /// Group of each core in the last grouping; empty: none.
    grouping: Vec<u32>,
    rng: Xoshiro256PlusPlus,
}

/// How a round fits the cores of a region to what they hold.
#[derive(Debug, Clone, Copy)]
struct Fit {
    /// What is expected to be left of the slots in the end, as a share.
    left: f64,
    /// How full cores may be on the mean.
    full: f64,
    /// Cores may be emptied; else only opened.
    empty: bool,
}

impl<'a> Regional<'a> {
    /// From `blocks`, a core each.
    fn new(graph: &'a Hypergraph, limits: &'a Limits, blocks: &[Vec<u32>], seed: u64) -> Self {
        Regional::of(graph, limits, parts_of(graph, blocks), blocks.len() as u32, REGION, seed)
    }

    /// From an assignment; regions have `most` cores.
    pub(crate) fn of(graph: &'a Hypergraph, limits: &'a Limits, parts: Vec<u32>, cores: u32, most: u32, seed: u64) -> Self {
        Regional { graph, limits, parts, cores, most, grouping: Vec::new(), rng: Xoshiro256PlusPlus::seed_from_u64(seed) }
    }

    /// The whole state.
    fn state(&self) -> State<'a, Lists> {
        self.spacious(0)
    }

    /// The whole state, where as many cores more may be opened.
    pub(crate) fn spacious(&self, spare: u32) -> State<'a, Lists> {
        let pairs = Lists::new(self.graph, self.cores.saturating_add(spare));
        let mut state = State::new(self.graph, self.limits, pairs, self.cores, Vec::new());
        for (v, &core) in self.parts.iter().enumerate() {
            state.assign(v as u32, core);
        }
        state
    }

    /// Groups the cores anew, opens or empties some if told to, and anneals each group by itself.
    fn round(&mut self, schedule: &Schedule, fit: Option<Fit>) {
        let (graph, limits, cores) = (self.graph, self.limits, self.cores);
        let groups = groups(graph, &self.parts, cores, self.most, &self.grouping);
        let mut group_of = vec![0; cores as usize];
        for (g, group) in groups.iter().enumerate() {
            group.iter().for_each(|&core| group_of[core as usize] = g);
        }
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); groups.len()];
        for (v, &core) in self.parts.iter().enumerate() {
            members[group_of[core as usize]].push(v as u32);
        }
        let jobs: Vec<_> = groups.into_iter().zip(members).map(|(group, members)| (group, members, self.rng.random())).collect();
        let parts = &self.parts;
        let done: Vec<(Vec<u32>, Vec<u32>, u32)> = jobs
            .into_par_iter()
            .map_init(
                || Scratch::new(graph, cores),
                |scratch, (group, members, seed)| {
                    let region = Region::new(graph, limits, parts, group, members, scratch);
                    let local = region.locals(parts, scratch);
                    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
                    let (local, cores) = if Table::serves(&region.graph, 2 * region.cores.len() as u32) {
                        annealed(&region, local, schedule, fit, &mut rng, |cores| Table::new(&region.graph, cores))
                    } else {
                        annealed(&region, local, schedule, fit, &mut rng, |cores| Lists::new(&region.graph, cores))
                    };
                    (region.neurons, local, cores)
                },
            )
            .collect();
        self.cores = 0;
        self.grouping.clear();
        for (g, (neurons, local, cores)) in done.into_iter().enumerate() {
            for (v, core) in neurons.into_iter().zip(local) {
                self.parts[v as usize] = self.cores + core;
            }
            self.cores += cores;
            self.grouping.resize(self.cores as usize, g as u32);
        }
    }

    /// Anneals in rounds, each with its part of the schedule. The first try may empty cores.
    fn anneal(&mut self, schedule: &Schedule, rounds: u32, tries: u32) {
        for round in 0..rounds {
            let from = round as f32 / rounds as f32;
            let saving = if tries == 0 { SAVING * f64::from(1.0 - from).powi(3) } else { 0.0 };
            // What a core leaves behind takes a while to settle.
            let empty = tries == 0 && round + 2 < rounds;
            let fit = Fit { left: 1.0 - saving, full: FULL - LOOSER * f64::from(tries), empty };
            self.round(&schedule.part(round, rounds), Some(fit));
        }
    }

    /// One round, on as many cores as there are.
    pub(crate) fn fixed(&mut self, schedule: &Schedule) {
        self.round(schedule, None);
    }

    /// Cores that the input slots of all cores would fill, those beyond a limit counted twice.
    pub(crate) fn need(&self) -> f64 {
        let (state, limit) = (self.state(), i64::from(self.limits.in_slots));
        let slots = (0..state.cores()).map(|c| state.used(c).in_slots);
        let sum: i64 = slots.map(|used| used + (used - limit).max(0)).sum();
        (sum as f64 / limit.max(1) as f64).ceil()
    }
}

/// Fits the number of cores and anneals. The core of each neuron, and the number of cores.
fn annealed<P: Pairs>(
    region: &Region,
    mut local: Vec<u32>,
    schedule: &Schedule,
    fit: Option<Fit>,
    rng: &mut Xoshiro256PlusPlus,
    pairs: impl Fn(u32) -> P,
) -> (Vec<u32>, u32) {
    let cores = region.cores.len() as u32;
    let mut state = region.state(pairs(cores), cores);
    local.iter().zip(0..).for_each(|(&core, v)| state.assign(v, core));
    if let Some(fit) = fit {
        let wanted = ((need(&state, fit.left) / fit.full - LACK).ceil() as u32).clamp(1, 2 * cores);
        if fit.empty && wanted < cores {
            state = region.state(pairs(wanted), wanted);
            spread(&mut state, &local, cores);
        } else if wanted > cores {
            split(&mut local, &state, wanted - cores);
            state = region.state(pairs(wanted), wanted);
            local.iter().zip(0..).for_each(|(&core, v)| state.assign(v, core));
        }
    }
    anneal(&mut state, schedule, rng);
    let cores = state.cores();
    (state.into_parts(), cores)
}

/// Halves the fullest cores, as many as given; the halves are new cores.
fn split<P: Pairs>(parts: &mut [u32], state: &State<P>, count: u32) {
    let mut fullest: Vec<(f64, u32)> = (0..state.cores()).map(|core| (fill(state, core), core)).collect();
    fullest.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut grower = Grower::new(state.graph);
    for (&(_, core), new) in fullest.iter().take(count as usize).zip(state.cores()..) {
        let members: Vec<u32> = (0..state.graph.neurons()).filter(|&v| parts[v as usize] == core).collect();
        let half = Room { neurons: (members.len() as u32).div_ceil(2), in_slots: u32::MAX, out_entries: f64::INFINITY, bytes: None };
        for &v in grower.grow(&members, half, &|_| 0.0).first().into_iter().flatten() {
            parts[v as usize] = new;
        }
    }
}
