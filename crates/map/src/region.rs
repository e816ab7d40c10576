//! Regions: cores that share many axons, with their neurons as a small hypergraph of its own.
//!
//! In: an assignment of all neurons. Out: groups of cores ([`groups`]), and for each group a [`Region`] that can be annealed by itself.
//! Invariant: what a region's state counts on its cores is what the whole state counts there, as long as no other region changes (property test).
//! Cost: linear in the synapses for all regions of a grouping.
//! Why: most of a neuron's choices are the cores around its own. Within a region a table of axons by cores is small enough for the cache, and what
//! a visit costs does not grow with the net. Borders stand still for one round; the next grouping has them inside.

use crate::hypergraph::Hypergraph;
use crate::limits::{Limits, Memory};
use crate::pairs::Pairs;
use crate::state::{State, Use};

/// Neurons of some cores and the axons that enter them, numbered anew.
#[derive(Debug)]
pub struct Region {
    /// The hypergraph: axons of neurons of the region are theirs, others are inputs.
    pub graph: Hypergraph,
    /// What a core holds.
    pub limits: Limits,
    /// The neurons, by their numbers in the whole.
    pub neurons: Vec<u32>,
    /// The cores, by their numbers in the whole.
    pub cores: Vec<u32>,
    /// What each neuron takes wherever in the region it is: entries of destinations beyond the region, and axons that enter no other neuron here.
    pub fixed: Vec<Use>,
}

/// Scratch of [`Region::new`], used again for each region.
#[derive(Debug)]
pub struct Scratch {
    /// For each axon: neurons of the region that it enters; after that its number there.
    axons: Vec<u32>,
    touched: Vec<u32>,
    /// Neuron that had each core as a destination last.
    seen: Vec<u32>,
    /// Number of each core within the region.
    inside: Vec<u32>,
}

/// Neither seen nor inside.
const NO: u32 = u32::MAX;
/// Number of an axon that enters a single neuron of a region, from outside.
const LONE: u32 = u32::MAX - 1;

impl Scratch {
    /// For a hypergraph on a number of cores.
    pub fn new(graph: &Hypergraph, cores: u32) -> Scratch {
        Scratch {
            axons: vec![0; graph.axons() as usize],
            touched: Vec::new(),
            seen: vec![NO; cores as usize],
            inside: vec![NO; cores as usize],
        }
    }
}

impl Region {
    /// The region of `cores` and the neurons that are on them, ascending.
    pub fn new(graph: &Hypergraph, limits: &Limits, parts: &[u32], cores: Vec<u32>, neurons: Vec<u32>, scratch: &mut Scratch) -> Region {
        let Scratch { axons: number, touched, seen, inside } = scratch;
        for (i, &core) in cores.iter().enumerate() {
            inside[core as usize] = i as u32;
        }
        for &v in &neurons {
            for &a in graph.in_axons(v) {
                if number[a as usize] == 0 {
                    touched.push(a);
                }
                number[a as usize] += 1;
            }
        }
        let here = |a: u32| graph.source(a).is_some_and(|v| inside[parts[v as usize] as usize] != NO);
        let mut inputs = 0;
        let mut classes = Vec::new();
        for &a in touched.iter().filter(|&&a| !here(a)) {
            let posts = number[a as usize];
            number[a as usize] = if posts == 1 { LONE } else { inputs };
            if posts > 1 {
                inputs += 1;
                classes.extend(limits.class_of_axon.get(a as usize));
            }
        }
        for (i, &v) in neurons.iter().enumerate() {
            number[graph.axon(v) as usize] = inputs + i as u32;
            classes.extend(limits.class_of_axon.get(graph.axon(v) as usize));
        }
        let mut fixed = vec![Use::default(); neurons.len()];
        let mut offsets = Vec::with_capacity(neurons.len() + 1);
        offsets.push(0);
        let mut axons = Vec::new();
        for (&v, fixed) in neurons.iter().zip(&mut fixed) {
            for (a, synapses) in graph.synapses(v) {
                match number[a as usize] {
                    LONE => {
                        fixed.in_slots += 1;
                        fixed.words += i64::from(limits.words(a, synapses));
                    }
                    number => axons.extend((0..synapses).map(|_| number)),
                }
            }
            offsets.push(axons.len());
            for &post in graph.out_neurons(graph.axon(v)) {
                let core = parts[post as usize] as usize;
                if inside[core] == NO && std::mem::replace(&mut seen[core], v) != v {
                    fixed.out_entries += i64::from(limits.entry_cost);
                }
            }
        }
        for a in touched.drain(..).chain(neurons.iter().map(|&v| graph.axon(v))) {
            number[a as usize] = 0;
        }
        for &core in &cores {
            inside[core as usize] = NO;
        }
        seen.fill(NO);
        // Labels and levels play no part in annealing: each neuron has the slots of its own level.
        let memory = limits.memory.as_ref().map(|m| {
            let slots = |v: u32| limits.levels.as_ref().map_or(0, |l| (m.slot << l.of_neuron[v as usize].min(16)) - m.slot);
            let own = neurons.iter().map(|&v| m.own(v) as u32 + slots(v)).collect();
            Memory { own, ..*m }
        });
        let limits =
            Limits { words_of: limits.words_of.clone(), class_of_axon: classes, labels: Vec::new(), levels: None, memory, ..*limits };
        Region { graph: Hypergraph::new(inputs, offsets, axons, Vec::new()), limits, neurons, cores, fixed }
    }

    /// A state of the region on a number of cores, all neurons unassigned.
    pub fn state<P: Pairs>(&self, pairs: P, cores: u32) -> State<'_, P> {
        State::new(&self.graph, &self.limits, pairs, cores, Vec::new()).with_fixed(&self.fixed)
    }

    /// Core of each neuron, by the region's own numbers.
    pub fn locals(&self, parts: &[u32], scratch: &mut Scratch) -> Vec<u32> {
        self.cores.iter().zip(0..).for_each(|(&core, i)| scratch.inside[core as usize] = i);
        let locals = self.neurons.iter().map(|&v| scratch.inside[parts[v as usize] as usize]).collect();
        self.cores.iter().for_each(|&core| scratch.inside[core as usize] = NO);
        locals
    }
}

/// Cores that an axon enters up to which it counts for the kinship of cores.
const KIN: usize = 32;

/// Cores in groups of `most` at most, those with most common axons together. `before` is the group of each core in the last grouping (empty:
/// none); groups now begin with the cores that lost most by it.
pub fn groups(graph: &Hypergraph, parts: &[u32], cores: u32, most: u32, before: &[u32]) -> Vec<Vec<u32>> {
    let kin = Kin::new(graph, parts, cores);
    let count = cores.div_ceil(most.max(1)).max(1);
    let most = cores.div_ceil(count) as usize;
    let mut order: Vec<(f32, u32)> = (0..cores).map(|core| (kin.lost(core, before), core)).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut first = order.into_iter().map(|(_, core)| core);
    let mut free = vec![true; cores as usize];
    let mut score = vec![0f32; cores as usize];
    let mut groups = Vec::new();
    while let Some(seed) = first.find(|&core| free[core as usize]) {
        let mut group = Vec::with_capacity(most);
        let mut rim: Vec<u32> = Vec::new();
        let mut next = Some(seed);
        while let Some(core) = next {
            free[core as usize] = false;
            group.push(core);
            for &(other, shared) in kin.of(core) {
                if free[other as usize] {
                    if score[other as usize] == 0.0 {
                        rim.push(other);
                    }
                    score[other as usize] += shared / kin.total[other as usize];
                }
            }
            rim.retain(|&core| free[core as usize]);
            next = rim.iter().copied().max_by(|&a, &b| score[a as usize].total_cmp(&score[b as usize]).then(b.cmp(&a)));
            next = next.filter(|_| group.len() < most);
            // Nobody is akin: whoever is free.
            if next.is_none() && group.len() < most {
                next = (0..cores).find(|&core| free[core as usize]);
            }
        }
        for core in rim {
            score[core as usize] = 0.0;
        }
        for &core in &group {
            score[core as usize] = 0.0;
        }
        group.sort_unstable();
        groups.push(group);
    }
    groups
}

/// How many axons each two cores share.
struct Kin {
    offsets: Vec<usize>,
    kin: Vec<(u32, f32)>,
    /// Sum for each core.
    total: Vec<f32>,
}

impl Kin {
    fn new(graph: &Hypergraph, parts: &[u32], cores: u32) -> Kin {
        // Each axon's posts by core; then, core by core, the cores of the axons that enter it.
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); cores as usize];
        let mut starts = vec![0usize];
        let mut entered: Vec<u32> = Vec::new();
        let mut seen = vec![NO; cores as usize];
        for a in 0..graph.axons() {
            let start = entered.len();
            for &post in graph.out_neurons(a) {
                let core = parts[post as usize];
                if std::mem::replace(&mut seen[core as usize], a) != a {
                    entered.push(core);
                }
            }
            if entered.len() - start > KIN {
                entered.truncate(start);
            }
            entered[start..].iter().for_each(|&core| members[core as usize].push(a));
            starts.push(entered.len());
        }
        let mut shared = vec![0f32; cores as usize];
        let (mut offsets, mut kin, mut total) = (vec![0], Vec::new(), Vec::new());
        let mut touched: Vec<u32> = Vec::new();
        for (core, axons) in members.iter().enumerate() {
            for &a in axons {
                let others = &entered[starts[a as usize]..starts[a as usize + 1]];
                for &other in others {
                    if shared[other as usize] == 0.0 {
                        touched.push(other);
                    }
                    shared[other as usize] += 1.0 / others.len() as f32;
                }
            }
            let mut sum = f32::MIN_POSITIVE;
            for other in touched.drain(..) {
                let shared = std::mem::take(&mut shared[other as usize]);
                if other as usize != core {
                    kin.push((other, shared));
                    sum += shared;
                }
            }
            offsets.push(kin.len());
            total.push(sum);
        }
        Kin { offsets, kin, total }
    }

    fn of(&self, core: u32) -> &[(u32, f32)] {
        &self.kin[self.offsets[core as usize]..self.offsets[core as usize + 1]]
    }

    /// Share of a core's kinship that another group has.
    fn lost(&self, core: u32, before: &[u32]) -> f32 {
        let Some(&group) = before.get(core as usize) else { return 0.0 };
        let others = self.of(core).iter().filter(|k| before.get(k.0 as usize) != Some(&group));
        others.map(|k| k.1).sum::<f32>() / self.total[core as usize]
    }
}
