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
    /// Visits of each neuron.
    pub sweeps: u32,
    /// Temperature at the begin, in slots.
    pub hot: f32,
    /// Temperature at the end.
    pub cold: f32,
    /// Price of a slot beyond a limit at the begin, in slots.
    pub soft: f32,
    /// Price at the end.
    pub hard: f32,
}

/// Anneals.
pub fn anneal<P: Pairs>(state: &mut State<P>, schedule: &Schedule, rng: &mut Xoshiro256PlusPlus) {
    if state.cores() < 2 {
        return;
    }
    let mut order: Vec<u32> = (0..state.graph.neurons()).collect();
    let mut visit = Visit::new(state);
    for sweep in 0..schedule.sweeps {
        let t = sweep as f32 / (schedule.sweeps.max(2) - 1) as f32;
        visit.temperature = schedule.hot * (schedule.cold / schedule.hot).powf(t);
        visit.price = schedule.soft * (schedule.hard / schedule.soft).powf(t);
        order.shuffle(rng);
        for &neuron in &order {
            visit.go(state, neuron, rng);
        }
    }
}

/// Excess over the limits of a core, weighed so that a core's worth of every resource is equal.
fn excess<P: Pairs>(state: &State<P>, core: u32, used: Use) -> f64 {
    let l = state.limits;
    let over = |used: i64, limit: i64, weight: f64| (used - limit).max(0) as f64 * weight;
    let weight = |limit: u32| f64::from(l.in_slots) / f64::from(limit.max(1));
    over(used.neurons, state.most_neurons(core, None), weight(l.neurons))
        + over(used.in_slots, l.in_slots.into(), 1.0)
        + over(used.out_entries, l.out_entries.into(), weight(l.out_entries))
        + over(used.words, l.words.into(), weight(l.words))
}

/// Excess of the whole assignment.
pub fn total_excess<P: Pairs>(state: &State<P>) -> f64 {
    (0..state.cores()).map(|c| excess(state, c, state.used(c))).sum()
}

/// Scratch of visits.
struct Visit {
    temperature: f32,
    price: f32,
    /// Weight of a neuron, an out entry and a word, in slots.
    weights: [f32; 3],
    hits: Vec<(u32, u32)>,
    scratch: Vec<u32>,
    costs: Vec<(f32, u32)>,
}

impl Visit {
    fn new<P: Pairs>(state: &State<P>) -> Visit {
        let l = state.limits;
        let weight = |limit: u32| l.in_slots as f32 / limit.max(1) as f32;
        Visit {
            temperature: 1.0,
            price: 1.0,
            weights: [weight(l.neurons), weight(l.out_entries), weight(l.words)],
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
        state.pairs.gather(axons, &mut self.hits, &mut self.scratch);
        let alone = state.pairs.alone(graph, neuron, from);
        let own = state.out_entries(neuron, from) as f32;
        let [weight_n, weight_o, _] = self.weights;
        let mut least = f32::MAX;
        for &(core, hits) in &self.hits {
            let used = state.used(core);
            let (mut new, mut in_slots, mut neurons, mut out) =
                (axons.len() as u32 - hits, used.in_slots as f32, used.neurons as f32, used.out_entries as f32);
            if core == from {
                new = alone;
                neurons -= 1.0;
                in_slots -= alone as f32;
                out -= own;
            }
            let new = new as f32;
            let over = |used: f32, add: f32, limit: u32| (add - (limit as f32 - used).max(0.0)).max(0.0);
            let excess = over(in_slots, new, limits.in_slots)
                + weight_n * over(neurons, 1.0, limits.neurons)
                + weight_o * over(out, own, limits.out_entries);
            let cost = new + self.price * excess;
            self.costs.push((cost, core));
            least = least.min(cost);
        }
        let mut total = 0f32;
        let scale = 1.0 / self.temperature;
        self.costs.retain_mut(|c| {
            let x = (least - c.0) * scale;
            let near = x > -12.0;
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
