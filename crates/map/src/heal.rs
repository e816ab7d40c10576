//! The last resort: random moves and swaps until no limit is passed.
//!
//! In: a [`State`] with every neuron assigned, beyond some limit. Out: the same, within all limits where that was found.
//! Invariant: only `State` counts; the excess is that of the cores that a move touches, exactly.
//! Cost: bounded by `work`: each move costs the axons of its neuron, their cores and its posts.
//! Why: what stands in the way are limits that several cores share (out entries, destinations), labels, or words, which the annealing does
//! not weigh: a legal move of one neuron may not exist, where two together do.

use crate::pairs::Pairs;
use crate::state::State;
use rand::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// Excess that is accepted at first and at last, as a share of a limit.
const HOT: f64 = 0.5;
const COLD: f64 = 0.02;
/// Share of the moves that are swaps.
const SWAPS: f64 = 0.35;

/// Excess of a core, each resource as a share of its limit.
fn excess<P: Pairs>(state: &State<P>, core: u32) -> f64 {
    let (used, l) = (state.used(core), state.limits);
    let over = |used: i64, limit: i64| (used - limit).max(0) as f64 / limit.max(1) as f64;
    over(used.neurons, state.most_neurons(core, None))
        + over(used.in_slots, l.in_slots.into())
        + over(used.out_entries, l.out_entries.into())
        + over(used.words, l.words.into())
        + if l.memory.is_some() { l.bytes_over(&used, state.level(core, None)) } else { 0.0 }
        + state.labels_over(core) as f64
}

/// Destinations of a neuron beyond the limit, as a share of it.
fn wide<P: Pairs>(state: &State<P>, neuron: u32) -> f64 {
    let (has, most) = (state.pairs.cores_of(state.graph.axon(neuron)), state.limits.out_per_neuron);
    f64::from(has.saturating_sub(most)) / f64::from(most.max(1))
}

struct Heal<'s, 'a, P> {
    state: &'s mut State<'a, P>,
    /// Neurons of each core, and where each stands in its list.
    members: Vec<Vec<u32>>,
    index: Vec<u32>,
    excess: Vec<f64>,
    /// Cores beyond a limit, in no order, and where each stands in the list.
    bad: Vec<u32>,
    place: Vec<u32>,
    /// Neurons with too many destinations; may hold some that no longer have.
    wide: Vec<u32>,
    touched: Vec<u32>,
    sources: Vec<u32>,
}

const NOWHERE: u32 = u32::MAX;

impl<P: Pairs> Heal<'_, '_, P> {
    fn shift(&mut self, v: u32, to: u32) {
        let from = self.state.part(v);
        self.state.unassign(v);
        self.state.assign(v, to);
        let list = &mut self.members[from as usize];
        let at = self.index[v as usize] as usize;
        list.swap_remove(at);
        if let Some(&moved) = list.get(at) {
            self.index[moved as usize] = at as u32;
        }
        self.index[v as usize] = self.members[to as usize].len() as u32;
        self.members[to as usize].push(v);
    }

    /// Takes over the excess of a core.
    fn judge(&mut self, core: u32) {
        let excess = excess(self.state, core);
        self.excess[core as usize] = excess;
        let at = self.place[core as usize];
        if excess > 0.0 && at == NOWHERE {
            self.place[core as usize] = self.bad.len() as u32;
            self.bad.push(core);
        } else if excess == 0.0 && at != NOWHERE {
            self.place[core as usize] = NOWHERE;
            self.bad.swap_remove(at as usize);
            if let Some(&moved) = self.bad.get(at as usize) {
                self.place[moved as usize] = at;
            }
        }
    }

    /// A neuron that has to do with what is beyond a limit.
    fn choose(&self, rng: &mut Xoshiro256PlusPlus) -> u32 {
        let graph = self.state.graph;
        let narrow = self.bad.is_empty() || !self.wide.is_empty() && rng.random_bool(0.3);
        let v = if narrow && !self.wide.is_empty() {
            self.wide[rng.random_range(0..self.wide.len())]
        } else if self.bad.is_empty() || rng.random_bool(0.15) {
            rng.random_range(0..graph.neurons())
        } else {
            let list = &self.members[self.bad[rng.random_range(0..self.bad.len())] as usize];
            list[rng.random_range(0..list.len())]
        };
        let posts = graph.out_neurons(graph.axon(v));
        if !posts.is_empty() && rng.random_bool(0.4) { posts[rng.random_range(0..posts.len())] } else { v }
    }

    /// A core that a neuron may go to: of one that it has to do with, or any.
    fn goal(&self, v: u32, rng: &mut Xoshiro256PlusPlus) -> u32 {
        let graph = self.state.graph;
        let axons = graph.in_axons(v);
        let near = if axons.is_empty() || rng.random_bool(0.4) {
            graph.out_neurons(graph.axon(v))
        } else {
            graph.out_neurons(axons[rng.random_range(0..axons.len())])
        };
        if near.is_empty() || rng.random_bool(0.3) {
            rng.random_range(0..self.state.cores())
        } else {
            self.state.part(near[rng.random_range(0..near.len())])
        }
    }

    /// One move or swap, kept by its excess; the work.
    fn go(&mut self, temperature: f64, rng: &mut Xoshiro256PlusPlus) -> u64 {
        let v = self.choose(rng);
        let (from, to) = (self.state.part(v), self.goal(v, rng));
        if from == to {
            return 1;
        }
        let list = &self.members[to as usize];
        let partner = (!list.is_empty() && rng.random_bool(SWAPS)).then(|| list[rng.random_range(0..list.len())]);
        let graph = self.state.graph;
        let moved = [Some(v), partner];
        self.touched.clear();
        self.touched.extend([from, to]);
        self.sources.clear();
        for &u in moved.iter().flatten() {
            self.sources.extend(graph.in_axons(u).iter().filter_map(|&a| graph.source(a)));
        }
        self.sources.sort_unstable();
        self.sources.dedup();
        self.touched.extend(self.sources.iter().map(|&s| self.state.part(s)));
        self.touched.sort_unstable();
        self.touched.dedup();
        let spread = |heal: &Self| heal.sources.iter().map(|&s| wide(heal.state, s)).sum::<f64>();
        let before = self.touched.iter().map(|&c| self.excess[c as usize]).sum::<f64>() + spread(self);
        self.shift(v, to);
        if let Some(u) = partner {
            self.shift(u, from);
        }
        let after = self.touched.iter().map(|&c| excess(self.state, c)).sum::<f64>() + spread(self);
        if after <= before || rng.random::<f64>() < ((before - after) / temperature).exp() {
            for k in 0..self.touched.len() {
                self.judge(self.touched[k]);
            }
            let state = &*self.state;
            self.wide.extend(self.sources.iter().copied().filter(|&s| !state.destinations_fit(s)));
        } else {
            self.shift(v, from);
            if let Some(u) = partner {
                self.shift(u, to);
            }
        }
        let axons = moved.iter().flatten().map(|&u| graph.in_axons(u).len() + graph.out_neurons(graph.axon(u)).len());
        8 + 4 * axons.sum::<usize>() as u64
    }

    /// Nothing is beyond a limit.
    fn done(&mut self) -> bool {
        let state = &*self.state;
        if !self.wide.is_empty() && self.bad.is_empty() || self.wide.len() > 4 * state.graph.neurons() as usize {
            self.wide.retain(|&v| !state.destinations_fit(v));
            self.wide.sort_unstable();
            self.wide.dedup();
        }
        self.bad.is_empty() && self.wide.is_empty()
    }
}

/// Moves neurons until everything is within its limits, or `work` steps are gone. True in the first case.
pub fn heal<P: Pairs>(state: &mut State<P>, work: u64, rng: &mut Xoshiro256PlusPlus) -> bool {
    let (neurons, cores) = (state.graph.neurons(), state.cores());
    let mut members: Vec<Vec<u32>> = vec![Vec::new(); cores as usize];
    let mut index = Vec::with_capacity(neurons as usize);
    for &core in state.parts() {
        index.push(members[core as usize].len() as u32);
        members[core as usize].push(index.len() as u32 - 1);
    }
    let wide = (0..neurons).filter(|&v| !state.destinations_fit(v)).collect();
    let (excess, place) = (vec![0.0; cores as usize], vec![NOWHERE; cores as usize]);
    let mut heal = Heal { state, members, index, excess, bad: Vec::new(), place, wide, touched: Vec::new(), sources: Vec::new() };
    (0..cores).for_each(|core| heal.judge(core));
    let mut done = 0;
    while !heal.done() {
        if done >= work {
            return false;
        }
        let temperature = HOT * (COLD / HOT).powf(done as f64 / work as f64);
        done += heal.go(temperature, rng);
    }
    true
}
