//! Second stage: the most loaded links of the mesh are relieved where that costs few hops.
//!
//! In: messages with their directions, an annealed placement. Out: a placement whose hops + weight * largest link is not higher.
//! Invariant: link loads follow each move exactly; the placement returned is the best one seen at the end of a round.
//! Cost: `budget` units, one for each partner or link that a move looks at.
//! Why a norm: the largest load alone says nothing about the second largest, so that single moves seem useless; the 16-norm of all loads
//! is near the largest and falls with each of the large ones.

use super::anneal::MOVE;
use super::sites::{Allowed, Board, NONE, Places, Point, distance};
use super::traffic::{Graph, Traffic};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Rounds of the whole budget.
const ROUNDS: u64 = 60;
/// Rounds without a move after which no more are tried.
const IDLE: u32 = 4;

/// Messages of a part with a partner.
#[derive(Debug, Clone, Copy)]
struct Flow {
    with: u32,
    out: f64,
    back: f64,
}

/// Messages of each part, both ways.
#[derive(Debug)]
pub(super) struct Flows {
    first: Vec<usize>,
    flows: Vec<Flow>,
}

impl Flows {
    pub fn new(traffic: &Traffic) -> Flows {
        let mut list: Vec<(u32, Flow)> = traffic
            .messages()
            .flat_map(|(a, b, r)| [(a, Flow { with: b, out: r, back: 0.0 }), (b, Flow { with: a, out: 0.0, back: r })])
            .collect();
        list.sort_by_key(|(p, f)| (*p, f.with));
        list.dedup_by(|next, kept| {
            let same = (next.0, next.1.with) == (kept.0, kept.1.with);
            if same {
                kept.1.out += next.1.out;
                kept.1.back += next.1.back;
            }
            same
        });
        let mut first = vec![0usize; traffic.parts() + 1];
        for (p, _) in &list {
            first[*p as usize + 1] += 1;
        }
        for k in 1..first.len() {
            first[k] += first[k - 1];
        }
        Flows { first, flows: list.into_iter().map(|(_, f)| f).collect() }
    }

    fn of(&self, part: u32) -> &[Flow] {
        &self.flows[self.first[part as usize]..self.first[part as usize + 1]]
    }

    fn parts(&self) -> u32 {
        self.first.len() as u32 - 1
    }
}

/// Loads of all directed links, and their norm.
#[derive(Debug, Clone)]
pub(super) struct Links {
    width: usize,
    /// Four for each router: to x + 1, to x - 1, to y + 1, to y - 1.
    pub load: Vec<f64>,
    /// Load that counts as 1 in the norm.
    pub unit: f64,
    /// Sum of (load / unit) ^ 16.
    pub sum: f64,
}

fn sixteenth(x: f64) -> f64 {
    let x2 = x * x;
    let x4 = x2 * x2;
    let x8 = x4 * x4;
    x8 * x8
}

impl Links {
    fn new(board: &Board) -> Links {
        let (width, height) = (board.size[0] as usize, board.size[1] as usize);
        Links { width, load: vec![0.0; 4 * width * height], unit: 1.0, sum: 0.0 }
    }

    pub fn largest(&self) -> f64 {
        self.load.iter().fold(0.0, |m: f64, &l| m.max(l))
    }

    pub fn norm(&self) -> f64 {
        self.unit * self.sum.max(0.0).powf(1.0 / 16.0)
    }

    /// Counts the norm again, in units of the largest load.
    pub fn renew(&mut self) {
        let largest = self.largest();
        self.unit = if largest > 0.0 { largest } else { 1.0 };
        self.sum = self.load.iter().map(|l| sixteenth(l / self.unit)).sum();
    }

    /// Calls `f` with each link of the route from a to b.
    fn route(width: usize, a: Point, b: Point, mut f: impl FnMut(usize)) {
        let (mut x, mut y) = (a[0] as usize, a[1] as usize);
        let (to_x, to_y) = (b[0] as usize, b[1] as usize);
        while x != to_x {
            let up = x < to_x;
            f(4 * (y * width + x) + usize::from(!up));
            x = if up { x + 1 } else { x - 1 };
        }
        while y != to_y {
            let up = y < to_y;
            f(4 * (y * width + x) + 2 + usize::from(!up));
            y = if up { y + 1 } else { y - 1 };
        }
    }

    /// Adds a message's rate (negative: takes it away) along its route.
    fn add(&mut self, a: Point, b: Point, rate: f64) {
        let per = 1.0 / self.unit;
        let (load, sum) = (&mut self.load, &mut self.sum);
        Links::route(self.width, a, b, |link| {
            let old = load[link];
            load[link] = old + rate;
            *sum += sixteenth((old + rate) * per) - sixteenth(old * per);
        });
    }
}

/// Lowers the largest link.
pub(super) struct Leveller<'a> {
    flows: &'a Flows,
    graph: &'a Graph,
    board: &'a Board,
    allowed: &'a Allowed,
    pub(super) places: Places,
    pub(super) links: Links,
    rng: Xoshiro256PlusPlus,
    work: u64,
}

impl<'a> Leveller<'a> {
    pub fn new(flows: &'a Flows, graph: &'a Graph, board: &'a Board, allowed: &'a Allowed, places: Places, seed: u64) -> Leveller<'a> {
        let mut l = Leveller {
            flows,
            graph,
            board,
            allowed,
            places,
            links: Links::new(board),
            rng: Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x6c69_6e6b),
            work: 0,
        };
        l.count();
        l
    }

    /// Counts all loads again.
    fn count(&mut self) {
        self.links.load.iter_mut().for_each(|l| *l = 0.0);
        for p in 0..self.flows.parts() {
            for f in self.flows.of(p).iter().filter(|f| f.out > 0.0) {
                self.links.add(self.places.pos[p as usize], self.places.pos[f.with as usize], f.out);
            }
        }
        self.links.renew();
    }

    pub(super) fn hops(&self) -> f64 {
        super::anneal::cost::<0>(self.graph, &self.places) * self.graph.scale
    }

    /// Adds (sign 1) or takes away (sign -1) the messages of a part; those with `except` are left out.
    fn load(&mut self, part: u32, except: u32, sign: f64) {
        let here = self.places.pos[part as usize];
        for f in self.flows.of(part).iter().filter(|f| f.with != except) {
            let there = self.places.pos[f.with as usize];
            self.work += 2 * distance(here, there) as u64;
            if f.out > 0.0 {
                self.links.add(here, there, sign * f.out);
            }
            if f.back > 0.0 {
                self.links.add(there, here, sign * f.back);
            }
        }
    }

    /// Change of hops when `part` goes to `to`; its messages with `except` are left out.
    fn change(&mut self, part: u32, to: Point, except: u32) -> f64 {
        let from = self.places.pos[part as usize];
        self.work += self.flows.of(part).len() as u64;
        let of = |f: &Flow| {
            let p = self.places.pos[f.with as usize];
            if f.with == except { 0.0 } else { (f.out + f.back) * f64::from(distance(p, to) - distance(p, from)) }
        };
        self.flows.of(part).iter().map(of).sum()
    }

    fn total(&self, part: u32) -> f64 {
        self.flows.of(part).iter().map(|f| f.out + f.back).sum()
    }

    /// Moves `part` to `core` when hops + weight * norm falls.
    pub(super) fn attempt(&mut self, part: u32, core: u32, weight: f64) -> bool {
        self.work += MOVE;
        let from = self.places.core[part as usize];
        let other = self.places.part[core as usize];
        let (here, there) = (self.places.pos[part as usize], self.board.at[core as usize]);
        if here == there || !self.allowed.may(part, core) || (other != NONE && !self.allowed.may(other, from)) {
            return false;
        }
        let mut hops = self.change(part, there, other);
        let mut most = self.total(part);
        if other != NONE {
            hops += self.change(other, here, part);
            most += self.total(other);
        }
        // No link loses more than what the two parts send and receive.
        if hops >= weight * most {
            return false;
        }
        let (before, sum) = (self.links.norm(), self.links.sum);
        self.turn(part, core, other);
        let better = hops + weight * (self.links.norm() - before) < 0.0;
        if !better {
            self.turn(part, from, other);
            // Loads far above the unit would leave their rounding in the sum.
            self.links.sum = sum;
        }
        better
    }

    /// Moves a part, and the one on its new core, with their messages.
    fn turn(&mut self, part: u32, core: u32, other: u32) {
        self.load(part, NONE, -1.0);
        if other != NONE {
            self.load(other, part, -1.0);
        }
        self.places.swap(self.board, part, core);
        self.load(part, NONE, 1.0);
        if other != NONE {
            self.load(other, part, 1.0);
        }
    }

    /// Parts with messages over links that carry nearly the largest load.
    fn on_hot_links(&mut self) -> Vec<u32> {
        let limit = 0.85 * self.links.largest();
        let mut parts = Vec::new();
        for p in 0..self.flows.parts() {
            for f in self.flows.of(p).iter().filter(|f| f.out > 0.0) {
                let (a, b) = (self.places.pos[p as usize], self.places.pos[f.with as usize]);
                let mut hot = false;
                Links::route(self.links.width, a, b, |link| hot |= self.links.load[link] >= limit);
                self.work += distance(a, b) as u64;
                if hot {
                    parts.extend([p, f.with]);
                }
            }
        }
        parts
    }

    /// Rounds of moves; `share` as in [`super::Request::link_share`].
    pub fn run(mut self, share: f64, budget: u64) -> Places {
        let largest = self.links.largest();
        if largest <= 0.0 || self.flows.parts() == 0 {
            return self.places;
        }
        let weight = share * self.hops() / largest;
        let mut best = (self.hops() + weight * largest, self.places.clone());
        let round = (budget / ROUNDS).max(1);
        let mut idle = 0;
        while self.work < budget && idle < IDLE {
            let mut moved = false;
            let hot = self.on_hot_links();
            let end = self.work + round;
            while self.work < end {
                let of_hot = !hot.is_empty() && self.rng.random_range(0..4) > 0;
                let part = if of_hot { hot[self.rng.random_range(0..hot.len())] } else { self.rng.random_range(0..self.flows.parts()) };
                let reach = if self.rng.random_range(0..2) == 0 { 1 } else { 4 };
                self.work += MOVE;
                let at = self.places.pos[part as usize];
                let to = [0, 1].map(|k| (at[k] + self.rng.random_range(-reach..=reach)).clamp(0, self.board.size[k] - 1));
                let cores = self.board.cores_at(to);
                if !cores.is_empty() {
                    let core = cores[self.rng.random_range(0..cores.len())];
                    moved |= self.attempt(part, core, weight);
                }
            }
            idle = if moved { 0 } else { idle + 1 };
            self.count();
            let cost = self.hops() + weight * self.links.largest();
            if cost < best.0 {
                best = (cost, self.places.clone());
            }
        }
        best.1
    }
}
