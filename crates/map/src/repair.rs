//! Legal moves only: takes cores within their limits, and empties cores that others can take in.
//!
//! In: a [`State`] with every neuron assigned. Out: the same, with fewer cores beyond their limits, or fewer cores.
//! Invariant: no move takes a core beyond a limit that it was within.
//! Cost: each try looks at the cores that share axons with a neuron.

use crate::pairs::Pairs;
use crate::state::{NONE, State};

/// Cores that `dissolve` tries to empty before it gives up.
const TRIES: usize = 24;
/// Roomiest cores that are looked at beside those that share axons.
const ROOMY: usize = 8;

/// Scratch of legal moves.
pub struct Repair {
    hits: Vec<(u32, u32)>,
    gather: Vec<u32>,
    entries: Vec<i64>,
}

impl Repair {
    /// Scratch for a number of cores.
    pub fn new(cores: u32) -> Repair {
        Repair { hits: Vec::new(), gather: vec![0; cores as usize], entries: vec![0; cores as usize] }
    }

    /// The core that takes an unassigned neuron at the least input slots, within all limits; `from` and cores without neurons are left out.
    fn best<P: Pairs>(&mut self, state: &State<P>, neuron: u32, from: u32, roomy: &[u32]) -> Option<u32> {
        let axons = state.graph.in_axons(neuron);
        self.hits.clear();
        state.pairs.gather(axons, u32::MAX, &mut self.hits, &mut self.gather);
        self.hits.extend(roomy.iter().map(|&c| (c, 0)));
        self.hits.retain(|&(core, _)| core != from && state.used(core).neurons > 0);
        self.hits.sort_unstable_by_key(|&(core, hits)| (u32::MAX - hits, core));
        let fits = |&&(core, _): &&(u32, u32)| {
            state.room(neuron, core, state.added(neuron, core)) && state.sources_fit(neuron, core, &mut self.entries)
        };
        self.hits.iter().find(fits).map(|&(core, _)| core)
    }

    /// Moves neurons off cores that are beyond a limit; those that no core takes go to a core without neurons, and `spare` such cores may be
    /// opened (pairs must have been made for as many). True when everything is within its limits after it.
    pub fn legalise<P: Pairs>(&mut self, state: &mut State<P>, mut spare: u32) -> bool {
        // Nobody moves to a core beyond a limit: its neurons are among those that it has now.
        let bad: Vec<u32> = (0..state.cores()).filter(|&c| !state.within(c)).collect();
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); state.cores() as usize];
        if !bad.is_empty() {
            state.parts().iter().zip(0..).for_each(|(&core, v)| members[core as usize].push(v));
        }
        for core in bad {
            let mut moved = true;
            while moved && !state.within(core) {
                moved = self.relieve(state, core, &members[core as usize], &mut spare);
            }
        }
        for v in 0..state.graph.neurons() {
            if !state.destinations_fit(v) {
                self.gather_posts(state, v);
            }
        }
        (0..state.cores()).all(|c| state.within(c)) && (0..state.graph.neurons()).all(|v| state.destinations_fit(v))
    }

    /// Moves neurons off one core until it is within its limits. True when any moved.
    fn relieve<P: Pairs>(&mut self, state: &mut State<P>, core: u32, members: &[u32], spare: &mut u32) -> bool {
        let mut roomy = roomy(state);
        // Neurons that alone bring most axons leave first: they give back most.
        let mut members: Vec<(u32, u32)> = members
            .iter()
            .copied()
            .filter(|&v| state.part(v) == core)
            .map(|v| (state.pairs.alone(state.graph, v, core) + state.out_entries(v, core) as u32, v))
            .collect();
        members.sort_unstable_by_key(|&(gain, v)| (u32::MAX - gain, v));
        let mut any = false;
        for (_, v) in members {
            if state.within(core) {
                break;
            }
            state.unassign(v);
            let to = self.best(state, v, core, &roomy).or_else(|| {
                let empty = self.empty(state, core, spare).filter(|_| state.used(core).neurons > 0)?;
                let fits = state.room(v, empty, state.added(v, empty)) && state.sources_fit(v, empty, &mut self.entries);
                fits.then(|| roomy.push(empty));
                fits.then_some(empty)
            });
            any |= to.is_some();
            state.assign(v, to.unwrap_or(core));
        }
        any
    }

    /// A core without neurons, on the chip of `core` if there is one; opened if need be.
    fn empty<P: Pairs>(&mut self, state: &mut State<P>, core: u32, spare: &mut u32) -> Option<u32> {
        let chips = state.chips();
        let away = |c: u32| !chips.is_empty() && chips[c as usize] != chips[core as usize];
        let found = (0..state.cores()).filter(|&c| state.used(c).neurons == 0).min_by_key(|&c| (away(c), c));
        if found.is_some() || *spare == 0 || !chips.is_empty() {
            return found;
        }
        *spare -= 1;
        self.gather.push(0);
        self.entries.push(0);
        Some(state.open())
    }

    /// Moves posts of a neuron that has too many destinations to others of its destinations, the cores with fewest posts first.
    fn gather_posts<P: Pairs>(&mut self, state: &mut State<P>, neuron: u32) {
        let (graph, axon) = (state.graph, state.graph.axon(neuron));
        let mut cores = Vec::new();
        state.pairs.each(axon, |core, synapses| cores.push((synapses, core)));
        cores.sort_unstable();
        let cores: Vec<u32> = cores.into_iter().map(|c| c.1).collect();
        let mut stay = 0;
        for (i, &core) in cores.iter().enumerate() {
            for &v in graph.out_neurons(axon) {
                if state.destinations_fit(neuron) {
                    return;
                }
                if state.part(v) == core && state.used(core).neurons > 1 {
                    state.unassign(v);
                    let to = self.best(state, v, core, &cores[i + 1..]);
                    state.assign(v, to.unwrap_or(core));
                    if to.is_none() {
                        // One post that can't leave keeps the destination, wherever the others go.
                        stay += 1;
                        break;
                    }
                }
            }
            if stay > state.limits.out_per_neuron {
                return;
            }
        }
    }

    /// Empties cores whose neurons all fit elsewhere, the emptiest first. Returns how many.
    pub fn dissolve<P: Pairs>(&mut self, state: &mut State<P>) -> u32 {
        let mut order: Vec<u32> = (0..state.cores()).filter(|&c| state.used(c).neurons > 0).collect();
        order.sort_by(|&a, &b| fill(state, a).total_cmp(&fill(state, b)).then(a.cmp(&b)));
        let tried = &order[..order.len().min(TRIES)];
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); tried.len()];
        let mut place = vec![usize::MAX; state.cores() as usize];
        for (i, &core) in tried.iter().enumerate() {
            place[core as usize] = i;
        }
        for v in 0..state.graph.neurons() {
            if let Some(list) = members.get_mut(place[state.part(v) as usize]) {
                list.push(v);
            }
        }
        let mut emptied = 0;
        for &core in tried {
            // Others may have moved in since.
            let members: Vec<u32> = members.iter().flatten().copied().filter(|&v| state.part(v) == core).collect();
            let roomy = roomy(state);
            let mut moved = Vec::with_capacity(members.len());
            for &v in &members {
                state.unassign(v);
                match self.best(state, v, core, &roomy) {
                    Some(to) => {
                        state.assign(v, to);
                        moved.push(v);
                    }
                    None => {
                        state.assign(v, core);
                        break;
                    }
                }
            }
            if moved.len() == members.len() {
                emptied += 1;
            } else {
                for v in moved {
                    state.unassign(v);
                    state.assign(v, core);
                }
            }
        }
        emptied
    }
}

/// How full a core is of its fullest resource.
pub(crate) fn fill<P: Pairs>(state: &State<P>, core: u32) -> f64 {
    let (u, l) = (state.used(core), state.limits);
    let share = |used: i64, limit: u32| used as f64 / f64::from(limit.max(1));
    let bytes = if l.memory.is_some() { l.bytes_share(&u, state.level(core, None)) } else { 0.0 };
    let most = share(u.neurons, l.neurons).max(share(u.in_slots, l.in_slots)).max(share(u.out_entries, l.out_entries));
    most.max(share(u.words, l.words)).max(bytes)
}

/// Cores with the most room, by their fullest resource.
fn roomy<P: Pairs>(state: &State<P>) -> Vec<u32> {
    let mut cores: Vec<(f64, u32)> = (0..state.cores()).filter(|&c| state.used(c).neurons > 0).map(|c| (fill(state, c), c)).collect();
    cores.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    cores.truncate(ROOMY);
    cores.into_iter().map(|(_, c)| c).collect()
}

/// Cores without neurons go; the others are numbered in their order. Returns the number of cores.
pub fn compact(parts: &mut [u32], cores: u32) -> u32 {
    let mut used = vec![false; cores as usize];
    for &p in parts.iter().filter(|&&p| p != NONE) {
        used[p as usize] = true;
    }
    let mut next = 0;
    let number: Vec<u32> = used
        .into_iter()
        .map(|used| {
            next += u32::from(used);
            next.wrapping_sub(1)
        })
        .collect();
    for p in parts.iter_mut().filter(|p| **p != NONE) {
        *p = number[*p as usize];
    }
    next
}
