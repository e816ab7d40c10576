//! Splitters: neurons that repeat another for its destinations, beside the copies of a neuron that do so by hearing all that it hears.
//!
//! In: [`Wired`] and a part for each neuron; which neurons to split. Out: the net with the splitters as populations after all others, and parts for them.
//! Invariant: a splitter is a relay (docs/semantics.md, section 7) that fires one chip step after its neuron; a synapse through it is shorter by that step, so
//! only synapses of two chip steps and more take this way, and all spikes stay where they were.
//! Cost: synapses, and for each splitter the logarithm of the parts.
//! Why: a copy takes a row for each destination and every input axon of its neuron; a splitter takes those rows and one axon, on any core that has room,
//! and a row more of its neuron. One layer of splitters is enough: it reaches rows x rows destinations.

use super::quantize::{Input, Wired};
use super::relays::Repeats;
use crate::relay::free_name;
use spikec_net::{Builder, Crossbar, CrossbarNeuron, Net, Population, PopulationId, Projection, Quantized, Role, Scaling};
use std::collections::{BTreeMap, BTreeSet};

/// Which neurons have splitters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Splits {
    /// For each population of the network, how many destinations that a splitter could serve a neuron must have; none: no neuron has a splitter.
    pub least: Vec<Option<u32>>,
}

impl Splits {
    /// Least destinations of a unit; none where it is not split.
    pub fn least(&self, wired: &Wired, unit: u32) -> Option<u32> {
        if self.least.is_empty() {
            return None;
        }
        let p = wired.bases.partition_point(|&b| b <= wired.root(unit)) - 1;
        self.least.get(p).copied().flatten()
    }
    /// True where some neuron may have one.
    pub fn any(&self) -> bool {
        self.least.iter().any(Option::is_some)
    }
}

/// Destinations of a unit: parts, by the delay of the synapses there.
#[derive(Debug, Clone, Default)]
pub struct Fan {
    /// Types of (part, delay), and whether a splitter can't serve it.
    to: BTreeMap<(u32, u32), (u16, bool)>,
    /// Axons that only the unit itself can serve.
    near: u32,
    /// Axons that a splitter can.
    far: u32,
}

impl Fan {
    /// Adds a synapse to a neuron of `part`; `repeats`: that neuron is a relay, which hears its neuron or the relay before it and nothing else.
    pub fn add(&mut self, part: u32, input: &Input, repeats: bool) {
        let (types, direct) = self.to.entry((part, input.delay)).or_insert((0, input.delay < 2));
        let new = (input.types & !*types).count_ones();
        *types |= input.types;
        if repeats && !*direct {
            *direct = true;
            let moved = types.count_ones() - new;
            (self.near, self.far) = (self.near + moved, self.far - moved);
        }
        *(if *direct { &mut self.near } else { &mut self.far }) += new;
    }

    /// Destinations of the unit itself, its splitters being destinations: those that serve at least `least` axons, `rows` each.
    pub fn links(&self, least: Option<u32>, rows: u32) -> usize {
        match least {
            Some(least) if self.far >= least.max(2) => (self.near + self.far.div_ceil(rows)) as usize,
            _ => (self.near + self.far) as usize,
        }
    }

    /// The parts of each splitter of the unit, and its rows.
    fn chunks(&self, least: Option<u32>, rows: u32) -> Vec<(BTreeSet<u32>, u32)> {
        let mut chunks: Vec<(BTreeSet<u32>, u32)> = Vec::new();
        if least.is_none_or(|least| self.far < least.max(2)) {
            return chunks;
        }
        // All that a part hears of the unit by splitters, it hears of one.
        let mut of_part: BTreeMap<u32, u32> = BTreeMap::new();
        for ((part, _), (types, _)) in self.to.iter().filter(|(_, (_, direct))| !direct) {
            *of_part.entry(*part).or_default() += types.count_ones();
        }
        for (part, axons) in of_part {
            match chunks.last_mut().filter(|(_, used)| used + axons <= rows) {
                Some((parts, used)) => {
                    parts.insert(part);
                    *used += axons;
                }
                None => chunks.push((BTreeSet::from([part]), axons)),
            }
        }
        chunks
    }
}

impl Wired {
    /// Whether a unit repeats another.
    pub fn repeats(&self, unit: u32) -> bool {
        self.root(unit) != unit
    }
}

/// Room of parts, by free rows; parts without a free axon have none.
struct Room {
    free: Vec<(u32, u32)>,
    by_rows: BTreeSet<(u32, u32)>,
    whole: (u32, u32),
}

impl Room {
    fn of(wired: &Wired, proposal: &[Option<u32>], fans: &[Fan], splits: &Splits, whole: (u32, u32)) -> Room {
        let (axons, rows) = whole;
        let parts = proposal.iter().flatten().max().map_or(0, |&p| p as usize + 1);
        let (mut used, mut keys) = (vec![0u32; parts], vec![BTreeSet::new(); parts]);
        for (unit, part) in proposal.iter().enumerate() {
            let Some(part) = part.map(|p| p as usize) else { continue };
            let links = fans[unit].links(splits.least(wired, unit as u32), rows);
            used[part] += super::partition::rows_of(links, super::partition::is_output(wired, unit as u32));
            keys[part].extend(wired.inputs[unit].iter().flat_map(super::partition::keys));
        }
        let free: Vec<(u32, u32)> =
            used.iter().zip(&keys).map(|(&u, k)| (rows.saturating_sub(u), axons.saturating_sub(k.len() as u32))).collect();
        let by_rows = (0..).zip(&free).filter(|(_, (_, axons))| *axons > 0).map(|(part, (rows, _))| (*rows, part)).collect();
        Room { free, by_rows, whole }
    }

    /// The part with the least room for a splitter of so many rows; a new one where none has any.
    fn take(&mut self, rows: u32) -> u32 {
        let found = self.by_rows.range((rows, 0)..).next().copied();
        let part = match found {
            Some(entry) => {
                self.by_rows.remove(&entry);
                entry.1
            }
            None => {
                self.free.push((self.whole.1, self.whole.0));
                self.free.len() as u32 - 1
            }
        };
        let free = &mut self.free[part as usize];
        *free = (free.0.saturating_sub(rows), free.1 - 1);
        if free.1 > 0 {
            self.by_rows.insert((free.0, part));
        }
        part
    }
}

/// Splits: the net with splitters, which are as `neuron`, the parts with theirs, how many there are. `whole`: axons and rows of a core.
pub fn split(
    wired: &Wired,
    mut proposal: Vec<Option<u32>>,
    whole: (u32, u32),
    splits: &Splits,
    neuron: CrossbarNeuron,
) -> (Wired, Vec<Option<u32>>, u64) {
    let net = &wired.quantized.net;
    let mut fans = vec![Fan::default(); wired.inputs.len()];
    for (unit, part) in proposal.iter().enumerate() {
        let Some(part) = *part else { continue };
        for input in &wired.inputs[unit] {
            fans[input.source as usize].add(part, input, wired.repeats(unit as u32));
        }
    }
    // For each unit, the parts and rows of its splitters.
    let chunks: Vec<Vec<(BTreeSet<u32>, u32)>> =
        (0..wired.inputs.len() as u32)
            .map(|unit| {
                if proposal[unit as usize].is_none() { Vec::new() } else { fans[unit as usize].chunks(splits.least(wired, unit), whole.1) }
            })
            .collect();
    let mut room = Room::of(wired, &proposal, &fans, splits, whole);
    let mut order: Vec<(u32, usize)> = (0..).zip(&chunks).flat_map(|(u, own)| (0..own.len()).map(move |c| (u, c))).collect();
    order.sort_by_key(|&(u, c)| (std::cmp::Reverse(chunks[u as usize][c].1), u, c));
    let seats: BTreeMap<(u32, usize), u32> = order.into_iter().map(|(u, c)| ((u, c), room.take(chunks[u as usize][c].1))).collect();
    // Splitter of a synapse: none, or the number of one of its unit's.
    let chunk = |source: u32, delay: u32, part: u32| {
        let served = fans[source as usize].to.get(&(part, delay)).is_some_and(|(_, direct)| !direct);
        if served { chunks[source as usize].iter().position(|(parts, _)| parts.contains(&part)) } else { None }
    };
    // Populations: one for each number of a splitter among its unit's.
    let mut index: BTreeMap<(u32, usize), u32> = BTreeMap::new();
    let mut last = Vec::new();
    let first = wired.inputs.len() as u32;
    let mut made: Vec<Made> = Vec::new();
    for p in 0..net.populations.len() {
        let own = wired.bases[p]..wired.bases[p + 1];
        let most = own.clone().map(|u| chunks[u as usize].len()).max().unwrap_or(0);
        for c in 0..most {
            let neurons: Vec<u32> = own.clone().filter(|&u| chunks[u as usize].len() > c).collect();
            for &u in &neurons {
                index.insert((u, c), first + last.len() as u32);
                last.push(Repeats { heard: vec![(u, 1)], root: wired.root(u) });
                proposal.push(Some(seats[&(u, c)]));
            }
            made.push(Made { population: p, number: c, neurons });
        }
    }
    let part_of = |unit: u32| proposal[unit as usize].expect("a neuron has a part");
    let quantized = with_splitters(wired, &made, neuron, &|source, delay, post| chunk(source, delay, part_of(post)));
    let of = |unit: u32, input: &Input| match chunk(input.source, input.delay, part_of(unit)) {
        Some(c) => (index[&(input.source, c)], input.delay - 1),
        None => (input.source, input.delay),
    };
    let splitters = last.len() as u64;
    let split = wired.clone().with_repeaters(quantized, &last, of);
    (split, proposal, splitters)
}

/// A population of splitters: those of this number of the population's neurons.
struct Made {
    population: usize,
    number: usize,
    /// The neurons that have one, as units, ascending.
    neurons: Vec<u32>,
}

/// Presynaptic and postsynaptic neuron, weight, net delay.
type Tuple = (u32, u32, i32, u16);

/// The net with populations of splitters; `chunk(source, chip delay, post)`: the number of the splitter that a synapse takes.
fn with_splitters(
    wired: &Wired,
    made: &[Made],
    neuron: CrossbarNeuron,
    chunk: &dyn Fn(u32, u32, u32) -> Option<usize>,
) -> Quantized<Crossbar> {
    let Quantized { net, scaling, network_digest } = wired.quantized.clone();
    // Which of its parts each synapse belongs to, and the smallest net delay of each part.
    let mut pieces: BTreeMap<(usize, Option<usize>), Vec<Tuple>> = BTreeMap::new();
    let mut least: BTreeMap<(usize, usize), u16> = BTreeMap::new();
    for (x, projection) in net.projections.iter().enumerate() {
        let (pre, post) = (projection.pre.index(), projection.post.index());
        for (i, j, weight, d) in projection.synapses.iter() {
            let delay = net.chip_delay(projection, d).max(0) as u32;
            let c = chunk(wired.bases[pre] + i, delay, wired.bases[post] + j);
            if let Some(c) = c {
                let least = least.entry((pre, c)).or_insert(d);
                *least = d.min(*least);
            }
            pieces.entry((x, c)).or_default().push((i, j, weight, d));
        }
    }
    let mut populations = net.populations.clone();
    let (mut feeders, mut ids) = (Vec::new(), BTreeMap::new());
    for Made { population, number, neurons } in made {
        let whole = &net.populations[*population];
        // As much of the net delay as all behind it have and as keeps its skew from being negative, as relays do.
        let before = u32::from(least[&(*population, *number)]).min(whole.skew + 1);
        let id = PopulationId::from(populations.len());
        let name = free_name(&populations, &format!("splitter {} of {}", number + 1, whole.name));
        let at = |u: &u32| (u - wired.bases[*population]) as usize;
        let mut index = vec![None; whole.len()];
        (0..).zip(neurons).for_each(|(k, u)| index[at(u)] = Some(k));
        let mut synapses = Builder::new();
        for post in &index {
            synapses.push_row(post.map(|post| (post, 1, before as u16)));
        }
        let synapses = synapses.finish();
        feeders.push(Projection { name: name.clone(), pre: PopulationId::from(*population), post: id, format: (), synapses });
        populations.push(Population {
            name,
            shape: whole.shape.clone(),
            origin: neurons.iter().map(|u| whole.origin[at(u)]).collect(),
            skew: whole.skew + 1 - before,
            role: Role::Neurons(vec![neuron; neurons.len()]),
        });
        ids.insert((*population, *number), (id, index, before as u16));
    }
    let mut projections = Vec::new();
    for ((x, c), tuples) in pieces {
        let whole = &net.projections[x];
        let (pre, tuples) = match c {
            None => (whole.pre, tuples),
            Some(c) => {
                let (id, index, before) = &ids[&(whole.pre.index(), c)];
                let of = |(i, j, w, d): Tuple| (index[i as usize].expect("it has a splitter"), j, w, d - before);
                (*id, tuples.into_iter().map(of).collect())
            }
        };
        let synapses = spikec_net::Synapses::from_tuples(populations[pre.index()].len(), tuples);
        projections.push((x, Projection { name: whole.name.clone(), pre, post: whole.post, format: (), synapses }));
    }
    let projections = ordered(&net, projections);
    let mut scaling = scaling;
    if let Scaling::Scaled { v_units, .. } = &mut scaling {
        v_units.extend(made.iter().map(|m| vec![1.0; m.neurons.len()]));
    }
    let net = Net { populations, projections: projections.into_iter().chain(feeders).collect(), ..net };
    Quantized { net, scaling, network_digest }
}

/// Parts of one projection follow each other by ascending population, so that they can be told to be one; those into relays stay last.
fn ordered(net: &Net<Crossbar>, mut parts: Vec<(usize, Projection<Crossbar>)>) -> Vec<Projection<Crossbar>> {
    // Relays have made parts of projections before: those of one name and post that follow each other, from ascending populations.
    let mut whole = vec![0usize; net.projections.len()];
    for x in 1..net.projections.len() {
        let (a, b) = (&net.projections[x - 1], &net.projections[x]);
        let same = a.name == b.name && a.post == b.post && a.pre < b.pre;
        whole[x] = whole[x - 1] + usize::from(!same);
    }
    parts.sort_by_key(|(x, p)| (whole[*x], p.pre));
    parts.into_iter().map(|(_, p)| p).collect()
}
