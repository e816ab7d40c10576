//! Neurons that are bound to no core drift to the middle of their messages, and change places with others that are not bound either.

use super::Settle;
use crate::pairs::Pairs;
use rand::Rng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;

/// Partners that are looked at on a full core.
const PARTNERS: usize = 3;

/// Neurons of each core that may move, and where each stands in its list (`u32::MAX`: it may not).
struct Loose {
    of_core: Vec<Vec<u32>>,
    index: Vec<u32>,
}

impl Loose {
    fn shift(&mut self, v: u32, from: u32, to: u32) {
        let at = self.index[v as usize] as usize;
        let list = &mut self.of_core[from as usize];
        list.swap_remove(at);
        if let Some(&moved) = list.get(at) {
            self.index[moved as usize] = at as u32;
        }
        self.index[v as usize] = self.of_core[to as usize].len() as u32;
        self.of_core[to as usize].push(v);
    }
}

impl<P: Pairs> Settle<'_, '_, P> {
    /// Visits every neuron `passes` times that has three quarters of its axons on its core for itself alone. Returns the rate times hops that
    /// were saved.
    pub fn drift(&mut self, passes: u32, rng: &mut Xoshiro256PlusPlus) -> f64 {
        let state = &self.state;
        let mut loose = Loose { of_core: vec![Vec::new(); self.points.len()], index: vec![u32::MAX; state.graph.neurons() as usize] };
        let mut order = Vec::new();
        for v in 0..state.graph.neurons() {
            let core = state.part(v);
            if 4 * state.pairs.alone(state.graph, v, core) >= 3 * state.graph.in_axons(v).len() as u32 {
                loose.index[v as usize] = loose.of_core[core as usize].len() as u32;
                loose.of_core[core as usize].push(v);
                order.push(v);
            }
        }
        let mut saved = 0.0;
        for _ in 0..passes {
            order.shuffle(rng);
            saved += order.iter().map(|&v| self.visit(&mut loose, v, rng)).sum::<f64>();
        }
        saved
    }

    /// Tries to bring one neuron nearer to its messages; what that saved.
    fn visit(&mut self, loose: &mut Loose, v: u32, rng: &mut Xoshiro256PlusPlus) -> f64 {
        let from = self.state.part(v);
        let Some(goal) = self.median(v, from).filter(|&goal| goal != self.points[from as usize]) else { return 0.0 };
        let mut goals: Vec<(f32, u32)> = self.near(goal, from).map(|to| (self.gain(v, from, to), to)).filter(|g| g.0 > 0.0).collect();
        goals.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut best: Option<(f32, u32, Option<u32>)> = None;
        for &(gain, to) in &goals {
            if best.is_some_and(|b| b.0 >= gain) {
                break;
            }
            if self.room(v, to) {
                best = Some((gain, to, None));
                break;
            }
            let partners = &loose.of_core[to as usize];
            for _ in 0..PARTNERS.min(partners.len()) {
                let u = partners[rng.random_range(0..partners.len())];
                let both = gain + self.gain(u, to, from);
                if both > 1e-6 && best.is_none_or(|b| both > b.0) {
                    best = Some((both, to, Some(u)));
                }
            }
        }
        match best {
            None => 0.0,
            Some((gain, to, None)) => {
                self.state.unassign(v);
                self.state.assign(v, to);
                loose.shift(v, from, to);
                gain.into()
            }
            Some((_, to, Some(u))) => {
                let saved = self.swap((v, from), (u, to));
                if saved > 0.0 {
                    loose.shift(v, from, to);
                    loose.shift(u, to, from);
                }
                saved
            }
        }
    }
}
