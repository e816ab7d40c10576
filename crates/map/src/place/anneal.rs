//! Simulated annealing: parts are moved and swapped so that rate times hops falls.
//!
//! In: partners of each part, the board, allowed cores, a first placement. Out: a better placement.
//! Invariant: a move keeps all cores distinct and every part in its range; a change of cost is exact, from the partners of the moved parts.
//! Cost: `budget` units, one for each partner that a move looks at and [`MOVE`] for the move itself.
//! Why a window: at low temperature only near moves are accepted; the window shrinks so that near 44 % of the moves are, as VPR's does.

use super::sites::{Allowed, Board, NONE, Places, Point, distance};
use super::traffic::Graph;
use rand::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Work of a move besides its partners.
pub(super) const MOVE: u64 = 12;

/// Course of an annealing. Temperatures are in mean absolute changes of moves to a neighbouring router.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    /// Work units.
    pub budget: u64,
    /// First temperature.
    pub hot: f64,
    /// Last temperature.
    pub cold: f64,
    /// Part of the moves, of 256, that go next to a partner.
    pub directed: u64,
    /// Routers that such a move may end beside the partner.
    pub beside: i32,
}

impl Schedule {
    /// The course for some work. Much work melts the first placement; little keeps its large shape and repairs the small one.
    pub fn new(graph: &Graph, budget: u64) -> Schedule {
        let moves = Schedule::moves(graph, budget);
        Schedule { budget, hot: (moves / 8.0).powf(0.4).clamp(1.0, 8.0), cold: 0.1, directed: 64, beside: 1 }
    }

    /// The course for a placement that is good already.
    pub fn repair(budget: u64) -> Schedule {
        Schedule { budget, hot: 0.7, cold: 0.1, directed: 64, beside: 1 }
    }

    /// The course for parts on chips: colder, for the clusters of the start are good, and nearly all moves go to a partner's chip.
    pub fn chips(graph: &Graph, budget: u64) -> Schedule {
        let moves = Schedule::moves(graph, budget);
        Schedule { budget, hot: (moves / 2000.0).clamp(0.03, 0.3), cold: 0.03, directed: 248, beside: 0 }
    }

    /// Moves of each part, about.
    fn moves(graph: &Graph, budget: u64) -> f64 {
        budget as f64 / (MOVE * graph.parts() as u64 + 2 * graph.edges() as u64).max(1) as f64
    }
}

/// Anneals parts of a board. An edge costs its weight times the hops between its ends, and `STEP` hops more when there are any.
pub(super) struct Annealer<'a, const STEP: i32> {
    graph: &'a Graph,
    board: &'a Board,
    allowed: &'a Allowed,
    /// Parts that have a choice.
    movable: Vec<u32>,
    bounds: Vec<[Point; 2]>,
    pub places: Places,
    rng: Xoshiro256PlusPlus,
    work: u64,
}

impl<'a, const STEP: i32> Annealer<'a, STEP> {
    pub fn new(graph: &'a Graph, board: &'a Board, allowed: &'a Allowed, places: Places, seed: u64) -> Self {
        let movable = (0..graph.parts() as u32).filter(|&p| allowed.ranges[p as usize].len() > 1).collect();
        let bounds = allowed.ranges.iter().map(|r| board.bounds(r)).collect();
        Annealer { graph, board, allowed, movable, bounds, places, rng: Xoshiro256PlusPlus::seed_from_u64(seed), work: 0 }
    }

    /// Weight times hops of all edges, in units of the graph's scale.
    pub fn cost(&self) -> f64 {
        cost::<STEP>(self.graph, &self.places)
    }

    /// Change of cost when `part` alone goes to `to`; its edge to `except` is left out.
    #[inline]
    fn change(&mut self, part: u32, to: Point, except: u32) -> f32 {
        let from = self.places.pos[part as usize];
        let edges = self.graph.of(part);
        self.work += edges.len() as u64;
        let port = self.graph.port;
        let mut sum = self.graph.host(part) * (length::<STEP>(port, to) - length::<STEP>(port, from)) as f32;
        for e in edges {
            let p = self.places.pos[e.to as usize];
            let d = length::<STEP>(p, to) - length::<STEP>(p, from);
            sum += if e.to == except { 0.0 } else { e.weight * d as f32 };
        }
        sum
    }

    /// Change of cost when `part` goes to `core` and the part there, if any, to its core. None when that is not allowed or pointless.
    pub(super) fn change_of_move(&mut self, part: u32, core: u32) -> Option<f32> {
        let from = self.places.core[part as usize];
        let (here, there) = (self.places.pos[part as usize], self.board.at[core as usize]);
        if here == there || !self.allowed.may(part, core) {
            return None;
        }
        let other = self.places.part[core as usize];
        if other == NONE {
            return Some(self.change(part, there, NONE));
        }
        if !self.allowed.may(other, from) {
            return None;
        }
        Some(self.change(part, there, other) + self.change(other, here, part))
    }

    /// A random part and core: next to a partner with probability `directed` / 256, else within the window.
    pub(super) fn propose(&mut self, window: i32, schedule: &Schedule) -> Option<(u32, u32)> {
        self.work += MOVE;
        let (r, s) = (self.rng.next_u64(), self.rng.next_u64());
        let pick = |bits: u64, n: usize| (((bits & 0xffff_ffff) * n as u64) >> 32) as usize;
        let part = self.movable[pick(r, self.movable.len())];
        let edges = self.graph.of(part);
        let [low, high] = self.bounds[part as usize];
        let (centre, reach) = if (r >> 32) & 255 < schedule.directed && !edges.is_empty() {
            (self.places.pos[edges[pick(s, edges.len())].to as usize], schedule.beside)
        } else {
            (self.places.pos[part as usize], window)
        };
        let t = self.rng.next_u64();
        let mut to = [0i16; 2];
        for k in 0..2 {
            let (c, l, h) = (i32::from(centre[k]), i32::from(low[k]), i32::from(high[k]));
            let (a, b) = ((c - reach).clamp(l, h), (c + reach).clamp(l, h));
            to[k] = (a + pick(t >> (32 * k), (b - a + 1) as usize) as i32) as i16;
        }
        let cores = self.board.cores_at(to);
        if cores.is_empty() { None } else { Some((part, cores[pick(s >> 32, cores.len())])) }
    }

    fn unit(&mut self) -> f64 {
        (self.rng.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Mean absolute change of some moves within a window.
    fn mean_change(&mut self, window: i32, schedule: &Schedule) -> f64 {
        let (mut sum, mut n) = (0.0, 0u32);
        for _ in 0..2000 {
            if let Some((part, core)) = self.propose(window, schedule)
                && let Some(d) = self.change_of_move(part, core)
            {
                sum += f64::from(d.abs());
                n += 1;
            }
        }
        sum / f64::from(n.max(1))
    }

    /// Runs a schedule.
    pub fn run(&mut self, schedule: &Schedule) {
        if self.movable.is_empty() || self.board.cores() < 2 {
            return;
        }
        let widest = i32::from(self.board.size[0].max(self.board.size[1]));
        let near = Schedule { directed: 0, ..*schedule };
        let (far, near) = (self.mean_change(widest, &near), self.mean_change(1, &near));
        if far.max(near) <= 0.0 {
            return;
        }
        let near = near.max(far * 1e-3);
        let (hot, cold) = (near * schedule.hot, near * schedule.cold);
        self.work = 0;
        let batch = (schedule.budget / 1000).max(1);
        let mut window = f64::from(widest);
        while self.work < schedule.budget {
            let done = self.work as f64 / schedule.budget as f64;
            let temperature = hot * (cold / hot).powf(done);
            let (tried, accepted) = self.batch(self.work + batch, temperature, window.round() as i32, schedule);
            let rate = f64::from(accepted) / f64::from(tried.max(1));
            window = (window * (0.56 + rate)).clamp(1.0, f64::from(widest));
        }
        // Last, only what lowers the cost.
        let end = self.work + schedule.budget / 20;
        self.batch(end, 0.0, 2, schedule);
    }

    /// Moves until `end` units of work: how many were possible, and how many made.
    fn batch(&mut self, end: u64, temperature: f64, window: i32, schedule: &Schedule) -> (u32, u32) {
        let (mut tried, mut accepted) = (0, 0);
        while self.work < end {
            let Some((part, core)) = self.propose(window, schedule) else { continue };
            let Some(d) = self.change_of_move(part, core) else { continue };
            tried += 1;
            let d = f64::from(d);
            if d <= 0.0 || (d < 16.0 * temperature && self.unit() < (-d / temperature).exp()) {
                self.places.swap(self.board, part, core);
                accepted += 1;
            }
        }
        (tried, accepted)
    }
}

/// Hops of an edge, and `STEP` more when there are any.
#[inline]
fn length<const STEP: i32>(a: Point, b: Point) -> i32 {
    let hops = distance(a, b);
    if STEP != 0 && hops > 0 { hops + STEP } else { hops }
}

/// Weight times length of all edges.
pub(super) fn cost<const STEP: i32>(graph: &Graph, places: &Places) -> f64 {
    let at = |p: u32| places.pos[p as usize];
    let of = |p: u32| graph.of(p).iter().map(move |e| f64::from(e.weight) * f64::from(length::<STEP>(at(p), at(e.to))));
    let host = |p: u32| f64::from(graph.host(p)) * f64::from(length::<STEP>(graph.port, at(p)));
    let parts = 0..graph.parts() as u32;
    parts.clone().flat_map(of).sum::<f64>() / 2.0 + parts.map(host).sum::<f64>()
}
