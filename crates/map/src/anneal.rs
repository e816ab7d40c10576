//! Annealing of an assignment: neurons move between cores until no limit is passed and few slots are used.
//!
//! In: a [`State`] with every neuron assigned, legal or not. Out: the same state, better.
//! Invariant: only `State` counts; what a visit reckons decides where a neuron goes and nothing else.
//! Cost: a visit looks at the cores of each axon of the neuron.
//! Why: limits as prices let neurons pass through cores that are full: greedy moves get stuck as soon as slots are used to 98 %. A visit
//! weighs all cores at once (a heat bath), which takes hardly longer than one proposal.

use crate::pairs::Pairs;
use crate::state::{NONE, State, Use};
use rand::Rng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;

/// What an annealing is given.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// Rounds over the neurons; those that keep staying are left out of some.
    pub sweeps: u32,
    /// Temperature at the begin, in slots.
    pub hot: f32,
    /// Temperature at the end.
    pub cold: f32,
    /// Price of a slot beyond a limit at the begin, in slots.
    pub soft: f32,
    /// Price at the end.
    pub hard: f32,
    /// What the price rises by with each slot beyond a limit that a core has already, from the begin to the end.
    pub steep: f32,
    /// Neurons may go where none of their axons is: cores are so full that any room counts.
    pub anywhere: bool,
}

impl Schedule {
    /// One of several rounds.
    pub(crate) fn part(&self, round: u32, rounds: u32) -> Schedule {
        let between = |a: f32, b: f32, t: f32| a * (b / a).powf(t);
        let (from, to) = (round as f32 / rounds as f32, (round + 1) as f32 / rounds as f32);
        Schedule {
            sweeps: self.sweeps.div_ceil(rounds),
            hot: between(self.hot, self.cold, from),
            cold: between(self.hot, self.cold, to),
            soft: between(self.soft, self.hard, from),
            hard: between(self.soft, self.hard, to),
            ..*self
        }
    }
}

/// Anneals.
pub fn anneal<P: Pairs>(state: &mut State<P>, schedule: &Schedule, rng: &mut Xoshiro256PlusPlus) {
    if state.cores() < 2 {
        return;
    }
    let mut order: Vec<u32> = (0..state.graph.neurons()).collect();
    let mut visit = Visit::new(state);
    (visit.steep, visit.anywhere) = (schedule.steep, schedule.anywhere);
    // Visits in a row that left a neuron where it is.
    let mut stays = vec![0u8; order.len()];
    for sweep in 0..schedule.sweeps {
        let t = sweep as f32 / (schedule.sweeps.max(2) - 1) as f32;
        visit.temperature = schedule.hot * (schedule.cold / schedule.hot).powf(t);
        visit.price = schedule.soft * (schedule.hard / schedule.soft).powf(t);
        order.shuffle(rng);
        for &neuron in &order {
            let stay = &mut stays[neuron as usize];
            if rng.random_range(0..PATIENCE + *stay) >= PATIENCE {
                continue;
            }
            let before = state.part(neuron);
            visit.go(state, neuron, rng);
            *stay = if state.part(neuron) == before { (*stay + 1).min(MOST_STAYS) } else { 0 };
        }
    }
}

/// Costs beyond the least, in temperatures, from which on a core is not chosen: once in a hundred thousand visits.
const UNLIKELY: f32 = 7.0;

/// A neuron that stayed n times in a row is visited with a chance of PATIENCE / (PATIENCE + n), n at most [`MOST_STAYS`].
const PATIENCE: u8 = 8;
const MOST_STAYS: u8 = 8;

/// Cores that are drawn where a neuron may go anywhere; the emptiest is a choice.
const DRAWN: usize = 4;

/// Scratch of visits.
struct Visit {
    temperature: f32,
    price: f32,
    steep: f32,
    anywhere: bool,
    /// Weight of a neuron, an out entry, a word and a byte, in slots.
    weights: [f32; 4],
    /// Words of an axon's first synapse on a core, and of one more on the mean. They decide prices alone: `State` counts.
    words: [f32; 2],
    hits: Vec<(u32, u32)>,
    scratch: Vec<u32>,
    costs: Vec<(f32, u32)>,
}

impl Visit {
    fn new<P: Pairs>(state: &State<P>) -> Visit {
        let l = state.limits;
        let weight = |limit: u32| l.in_slots as f32 / limit.max(1) as f32;
        let table = l.words_of.first().map_or(&[][..], Vec::as_slice);
        let each = table.last().map_or(0.0, |&words| words as f32 / (table.len() - 1).max(1) as f32);
        Visit {
            temperature: 1.0,
            price: 1.0,
            steep: 0.0,
            anywhere: false,
            weights: [weight(l.neurons), weight(l.out_entries), weight(l.words), weight(l.memory.as_ref().map_or(u32::MAX, |m| m.bytes))],
            words: [table.get(1).map_or(0.0, |&words| words as f32), each],
            hits: Vec::new(),
            scratch: vec![0; state.cores() as usize],
            costs: Vec::new(),
        }
    }

    /// Takes a neuron off its core and puts it where the heat bath says.
    fn go<P: Pairs>(&mut self, state: &mut State<P>, neuron: u32, rng: &mut Xoshiro256PlusPlus) {
        let (graph, limits) = (state.graph, state.limits);
        let axons = graph.in_axons(neuron);
        if axons.is_empty() {
            return;
        }
        let from = state.part(neuron);
        self.hits.clear();
        self.costs.clear();
        let alone = state.pairs.alone(graph, neuron, from);
        let own = state.out_entries(neuron, from) as f32;
        let fixed = state.fixed(neuron);
        let (fixed_slots, fixed_words) = (fixed.in_slots as f32, fixed.words as f32);
        let [weight_n, weight_o, weight_w, weight_b] = self.weights;
        let [first, each] = self.words;
        let words = |new: f32| first * new + each * (axons.len() as f32 - new).max(0.0);
        let (price, steep) = (self.price, self.steep);
        let over = |used: i64, add: f32, limit: u32| (add - ((i64::from(limit) - used) as f32).max(0.0)).max(0.0);
        // Bytes that others share: neuron, axons, entries and words together.
        let memory = limits.memory.as_ref();
        let own_bytes = memory.map_or(0, |m| m.own(neuron));
        let bytes = |used: &Use, new: f32| {
            let Some(m) = memory else { return 0.0 };
            let add = Use {
                neurons: 1,
                in_slots: (fixed_slots + new) as i64,
                out_entries: own as i64,
                words: (fixed_words + words(new)) as i64,
                own: own_bytes,
            };
            over(m.taken(used, 0), m.taken(&add, 0) as f32, m.bytes)
        };
        let cost = |used: Use, new: f32| {
            let excess = over(used.in_slots, fixed_slots + new, limits.in_slots)
                + weight_n * over(used.neurons, 1.0, limits.neurons)
                + weight_o * over(used.out_entries, own, limits.out_entries)
                + weight_w * over(used.words, fixed_words + words(new), limits.words)
                + weight_b * bytes(&used, new);
            let already = (used.in_slots - i64::from(limits.in_slots)).max(0) as f32;
            new + price * excess + steep * excess * (excess + 2.0 * already)
        };
        // To stay is always a choice, and bounds what others may cost.
        let mut used = state.used(from);
        used.neurons -= 1;
        used.in_slots -= i64::from(alone) + fixed.in_slots;
        used.out_entries -= own as i64;
        used.words -= words(alone as f32) as i64 + fixed.words;
        used.own -= own_bytes;
        let mut least = cost(used, alone as f32);
        self.costs.push((least, from));
        let reach = UNLIKELY * self.temperature;
        let looked = state.pairs.gather(axons, (least + reach) as u32, &mut self.hits, &mut self.scratch);
        for &(core, hits) in &self.hits {
            let new = (looked - hits) as f32;
            if new > least + reach || core == from {
                continue;
            }
            let cost = cost(state.used(core), new);
            self.costs.push((cost, core));
            least = least.min(cost);
        }
        if self.anywhere && looked as f32 <= least + reach {
            let drawn = (0..DRAWN).map(|_| rng.random_range(0..state.cores()));
            let core = drawn.min_by_key(|&c| (state.used(c).in_slots, c)).expect("some are drawn");
            if core != from && self.hits.iter().all(|h| h.0 != core) {
                let cost = cost(state.used(core), looked as f32);
                self.costs.push((cost, core));
                least = least.min(cost);
            }
        }
        let mut total = 0f32;
        let scale = 1.0 / self.temperature;
        self.costs.retain_mut(|c| {
            let x = (least - c.0) * scale;
            let near = x > -UNLIKELY;
            if near {
                c.0 = x.exp();
                total += c.0;
            }
            near
        });
        let mut at = rng.random::<f32>() * total;
        let mut to = from;
        for &(p, core) in &self.costs {
            at -= p;
            if at < 0.0 {
                to = core;
                break;
            }
        }
        if to != from && to != NONE {
            state.unassign(neuron);
            state.assign(neuron, to);
        }
    }
}
