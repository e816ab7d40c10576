//! Neurons move to where their messages go, once the cores have places.
//!
//! In: a legal assignment with a place for each core, and the rate of each axon. Out: the same cores, with fewer spikes times hops.
//! Invariant: no limit is passed that was not; a neuron moves only where the exact change of rate times hops is a gain.
//! Cost: for each pass, a few steps for each (axon, core) pair of each neuron that is visited.
//! Why: only after placement is it known what is near. A neuron without shared input axons (a first layer driven by a constant, pooling) costs the
//! same slots on every core, so the partition has no reason to put it near its posts: those [`Settle::drift`]. What is bound by shared axons
//! gains less, from the rates on the rim of its core: those [`Settle::exchange`].

mod drift;
mod exchange;

use crate::pairs::Pairs;
use crate::state::State;

/// Where a core stands.
pub type Point = (i32, i32);

/// Cores at a point and next to it that are looked at: all of a mesh with one core at each router.
const NEAR: usize = 8;

/// What a message costs beside its hops, in hops: it is sent and received also where it stays on its core, and takes a slot.
const MESSAGE: f32 = 1.0;

fn distance(a: Point, b: Point) -> f32 {
    ((a.0 - b.0).abs() + (a.1 - b.1).abs()) as f32
}

/// The settling of an assignment.
pub struct Settle<'s, 'a, P> {
    state: &'s mut State<'a, P>,
    points: &'s [Point],
    rates: &'s [f32],
    /// Cores at each point of the mesh, row by row.
    at: Vec<Vec<u32>>,
    width: i32,
    entries: Vec<i64>,
    hits: Vec<(u32, u32)>,
    gather: Vec<u32>,
    ends: Vec<(Point, f32)>,
}

impl<'s, 'a, P: Pairs> Settle<'s, 'a, P> {
    /// Of a complete assignment; `points` is the router of each core.
    pub fn new(state: &'s mut State<'a, P>, points: &'s [Point], rates: &'s [f32]) -> Self {
        let width = points.iter().map(|p| p.0 + 1).max().unwrap_or(1);
        let height = points.iter().map(|p| p.1 + 1).max().unwrap_or(1);
        let mut at = vec![Vec::new(); (width * height) as usize];
        for (core, p) in points.iter().enumerate() {
            at[(p.1 * width + p.0) as usize].push(core as u32);
        }
        let cores = points.len();
        Settle { state, points, rates, at, width, entries: vec![0; cores], hits: Vec::new(), gather: vec![0; cores], ends: Vec::new() }
    }

    /// Cores at a point and next to it, without `from`.
    fn near(&self, goal: Point, from: u32) -> impl Iterator<Item = u32> + '_ {
        let steps = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)].map(|(dx, dy)| (goal.0 + dx, goal.1 + dy));
        let inside = |p: &Point| p.0 >= 0 && p.1 >= 0 && p.0 < self.width;
        let points = steps.into_iter().filter(inside).filter_map(|p| self.at.get((p.1 * self.width + p.0) as usize));
        points.flatten().copied().filter(move |&c| c != from).take(NEAR)
    }

    /// Swaps two neurons if that gains and fits; what it saved.
    fn swap(&mut self, (a, home_a): (u32, u32), (b, home_b): (u32, u32)) -> f64 {
        let first = self.gain(a, home_a, home_b);
        self.state.unassign(a);
        self.state.assign(a, home_b);
        let second = self.gain(b, home_b, home_a);
        if first + second > 0.0 {
            self.state.unassign(b);
            self.state.assign(b, home_a);
            if self.state.within(home_a) && self.state.within(home_b) && self.sources_within(a) && self.sources_within(b) {
                return f64::from(first + second);
            }
            self.state.unassign(b);
            self.state.assign(b, home_b);
        }
        self.state.unassign(a);
        self.state.assign(a, home_a);
        0.0
    }

    fn sources_within(&self, v: u32) -> bool {
        let graph = self.state.graph;
        let sources = graph.in_axons(v).iter().filter_map(|&a| graph.source(a));
        let fits = |s| {
            let core = self.state.part(s);
            self.state.destinations_fit(s) && self.state.used(core).out_entries <= self.state.most_entries(core)
        };
        sources.into_iter().all(fits)
    }

    /// A neuron fits a core, its new entries fit its sources' cores, and it leaves no core empty.
    fn room(&mut self, v: u32, to: u32) -> bool {
        self.state.used(self.state.part(v)).neurons > 1
            && self.state.room(v, to, self.state.added(v, to))
            && self.state.sources_fit(v, to, &mut self.entries)
    }

    /// Rate times hops that moving a neuron saves.
    fn gain(&self, v: u32, from: u32, to: u32) -> f32 {
        let graph = self.state.graph;
        let (a, b) = (self.points[from as usize], self.points[to as usize]);
        let axon = graph.axon(v);
        let mut hops = 0.0;
        self.state.pairs.each(axon, |c, _| hops += distance(a, self.points[c as usize]) - distance(b, self.points[c as usize]));
        let mut sum = self.rates[axon as usize] * hops;
        for (axon, synapses) in graph.synapses(v) {
            let Some(source) = graph.source(axon) else { continue };
            // A neuron that enters itself sends from where it goes to.
            let s = if source == v { b } else { self.points[self.state.part(source) as usize] };
            let mut hops = 0.0;
            if self.state.pairs.count(axon, from) == synapses {
                hops += distance(s, a) + MESSAGE;
            }
            if self.state.pairs.count(axon, to) == 0 {
                hops -= distance(s, b) + MESSAGE;
            }
            sum += self.rates[axon as usize] * hops;
        }
        sum
    }

    /// The weighted median of the cores that the neuron's messages go to and come from, each axis by itself.
    fn median(&mut self, v: u32, from: u32) -> Option<Point> {
        let graph = self.state.graph;
        let axon = graph.axon(v);
        let ends = &mut self.ends;
        ends.clear();
        self.state.pairs.each(axon, |c, _| ends.push((self.points[c as usize], self.rates[axon as usize])));
        for (axon, synapses) in graph.synapses(v) {
            let Some(source) = graph.source(axon) else { continue };
            if self.state.pairs.count(axon, from) == synapses {
                ends.push((self.points[self.state.part(source) as usize], self.rates[axon as usize]));
            }
        }
        let half = ends.iter().map(|e| e.1).sum::<f32>() / 2.0;
        let mut along = |key: fn(&(Point, f32)) -> i32| {
            ends.sort_unstable_by_key(key);
            let mut sum = 0.0;
            let reaches = |e: &&(Point, f32)| {
                sum += e.1;
                sum >= half
            };
            ends.iter().find(reaches).map(key)
        };
        Some((along(|e| e.0.0)?, along(|e| e.0.1)?))
    }
}
