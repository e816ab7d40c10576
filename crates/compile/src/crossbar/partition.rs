//! Partitioning onto crossbars: which neurons share a core.
//!
//! In: [`Wired`]. Out: [`Partitioned`], cores with their axons and rows, or every limit that can't be kept.
//! Invariant: [`Partitioned::new`] counts every core again: its axons (a source, a delay and a type each), and its rows (a neuron for each of its
//! destinations, at least one), splitters included. Having one is the proof that it fits.
//! Cost: neurons of a layer, squared, and their synapses. Why last layer first: a neuron takes as many rows as it has destinations, which are known
//! once its posts have cores.

use super::quantize::{Input, Wired};
use super::relays::kind;
use super::split::{self, Fan, Splits};
use crate::finding::Finding;
use spikec_chip::crossbar::Crossbar as Spec;
use spikec_net::PopulationId;
use std::collections::{BTreeMap, BTreeSet};

/// Shares of a core's rows that are filled at first; less where the rows that loops need were underrated.
const FILLS: [f64; 6] = [1.0, 0.9, 0.75, 0.6, 0.4, 0.2];

/// What a neuron has too much of for any core.
pub const ALONE: &str = "axons of one neuron";

/// What an axon of a core carries: spikes of one source, after one delay, of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AxonKey {
    /// Unit.
    pub source: u32,
    /// Chip steps.
    pub delay: u32,
    /// Type.
    pub kind: u8,
}

/// Axons of a synapse.
pub fn keys(input: &Input) -> impl Iterator<Item = AxonKey> + '_ {
    (0..16u8).filter(|k| input.types >> k & 1 == 1).map(|kind| AxonKey { source: input.source, delay: input.delay, kind })
}

/// A core-to-be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Units, ascending.
    pub units: Vec<u32>,
    /// Axons, ascending: axon number k carries the k-th.
    pub axons: Vec<AxonKey>,
    /// First row of each unit; one entry more at the end.
    pub rows: Vec<u32>,
    /// True where a neuron that nothing hears is here: a row has a destination, so its spikes go to the axon behind the last, which is
    /// connected to nothing.
    pub sink: bool,
}

impl Part {
    /// Axons, the one that is connected to nothing included.
    pub fn axon_count(&self) -> u64 {
        self.axons.len() as u64 + u64::from(self.sink)
    }
}

/// Where a spike of a unit goes: to an axon of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// Part.
    pub part: u32,
    /// Axon of it.
    pub axon: u32,
    /// Chip steps.
    pub delay: u32,
}

/// Parts that fit.
#[derive(Debug, Clone)]
pub struct Partitioned {
    parts: Vec<Part>,
    /// Part of each unit; none for inputs.
    part_of: Vec<Option<u32>>,
    /// For each unit, its destinations, ascending.
    links: Vec<Vec<Link>>,
}

impl Partitioned {
    /// Counts a proposal (a part for each unit that is a neuron) against the target.
    ///
    /// # Errors
    /// Every limit that is broken, sorted.
    pub fn new(wired: &Wired, proposal: &[Option<u32>], spec: &Spec) -> Result<Partitioned, Vec<Finding>> {
        let count = proposal.iter().flatten().max().map_or(0, |&p| p as usize + 1);
        let mut parts = vec![Part::default(); count];
        let mut axons = vec![BTreeSet::new(); count];
        for (unit, part) in proposal.iter().enumerate() {
            let Some(part) = *part else { continue };
            parts[part as usize].units.push(unit as u32);
            axons[part as usize].extend(wired.inputs[unit].iter().flat_map(keys));
        }
        let mut links = vec![Vec::new(); proposal.len()];
        for (p, (part, keys)) in parts.iter_mut().zip(axons).enumerate() {
            part.axons = keys.into_iter().collect();
            for (axon, key) in (0..).zip(&part.axons) {
                links[key.source as usize].push(Link { part: p as u32, axon, delay: key.delay });
            }
        }
        let mut findings = Vec::new();
        for (p, part) in parts.iter_mut().enumerate() {
            part.rows = vec![0];
            for &unit in &part.units {
                let (heard, output) = (links[unit as usize].len(), is_output(wired, unit));
                part.sink |= heard == 0 && !output;
                let rows = rows_of(heard, output);
                part.rows.push(part.rows[part.rows.len() - 1] + rows);
            }
            let need = |resource, used: u64, limit: u32, code, remedy: &str| {
                (used > u64::from(limit)).then(|| Finding::error(code, resource, used as f64, f64::from(limit), remedy).core(p as u32))
            };
            let remedy = "prune the inputs of its neurons, or let sources take fewer axons (--axons-per-source)";
            findings.extend(need("axons", part.axon_count(), *spec.core.axons, "C17", remedy));
            let remedy = "a neuron takes a row for each destination: prune synapses, or let sources take fewer axons (--axons-per-source)";
            findings.extend(need("rows of neurons", part.rows[part.rows.len() - 1].into(), *spec.core.neurons, "C18", remedy));
        }
        crate::finding::sort(&mut findings);
        if !findings.is_empty() {
            return Err(findings);
        }
        Ok(Partitioned { parts, part_of: proposal.to_vec(), links })
    }

    /// The parts.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }
    /// Part and place within it of a unit that is a neuron.
    pub fn seat(&self, unit: u32) -> Option<(u32, usize)> {
        let part = self.part_of[unit as usize]?;
        let at = self.parts[part as usize].units.binary_search(&unit).ok()?;
        Some((part, at))
    }
    /// Rows that repeat a neuron.
    pub fn repeated(&self) -> u64 {
        self.parts.iter().map(|p| u64::from(p.rows[p.rows.len() - 1]) - p.units.len() as u64).sum()
    }
    /// Where the spikes of a unit go, ascending.
    pub fn links(&self, unit: u32) -> &[Link] {
        &self.links[unit as usize]
    }
}

/// Rows of a neuron with `links` destinations; an output has one more, the bus.
pub fn rows_of(links: usize, output: bool) -> u32 {
    (links + usize::from(output)).max(1) as u32
}

/// True for a unit of the output population.
pub fn is_output(wired: &Wired, unit: u32) -> bool {
    let p = wired.quantized.net.output.index();
    (wired.bases[p]..wired.bases[p + 1]).contains(&unit)
}

/// Neurons that no core can hold, whatever shares it with them (C17, C18).
pub fn alone(wired: &Wired, spec: &Spec) -> Vec<Finding> {
    let mut worst: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
    let axons = u64::from(*spec.core.axons);
    for (p, population) in wired.quantized.net.populations.iter().enumerate() {
        for j in 0..population.neurons().len() {
            let need: u64 = wired.inputs[wired.bases[p] as usize + j].iter().map(|i| u64::from(i.types.count_ones())).sum();
            if need > axons {
                let entry = worst.entry(p).or_default();
                *entry = (entry.0 + 1, entry.1.max(need));
            }
        }
    }
    let finding = |(p, (count, need)): (usize, (u64, u64))| {
        let name = &wired.quantized.net.populations[p].name;
        let remedy = "leave the least important inputs out (--drop-inputs), prune the network, let sources take fewer axons (--axons-per-source), or split the layer into groups that vote (--decoder vote:G)";
        Finding::error("C17", format!("{ALONE} ({count} such neurons)"), need as f64, axons as f64, remedy).layer(name)
    };
    worst.into_iter().map(finding).collect()
}

/// Proposes parts: neurons whose sources overlap share a core. The best of a few fills that can be counted. The net comes back with the splitters that
/// `splits` asks for, and how many these are.
///
/// # Errors
/// Every limit that the last fill breaks.
pub fn partition(wired: &Wired, spec: &Spec, splits: &Splits) -> Result<(Wired, Partitioned, u64), Vec<Finding>> {
    let mut last = alone(wired, spec);
    if !last.is_empty() {
        return Err(last);
    }
    // An axon is left for neurons that nothing hears, where there are any and it costs no neuron its core.
    let heard: BTreeSet<u32> = wired.inputs.iter().flatten().map(|i| i.source).collect();
    let unheard =
        (0..wired.inputs.len() as u32).any(|u| !heard.contains(&u) && !is_output(wired, u) && !wired.weights[u as usize].is_empty());
    let axons = *spec.core.axons - u32::from(unheard);
    for fill in FILLS {
        let rows = ((f64::from(*spec.core.neurons) * fill) as u32).max(1);
        let proposal = propose(wired, axons, rows, *spec.core.neurons, splits);
        let found = match kind(spec).filter(|_| splits.any()) {
            Some(kind) => {
                let (split, proposal, splitters) = split::split(wired, proposal, (axons, *spec.core.neurons), splits, kind.neuron);
                Partitioned::new(&split, &proposal, spec).map(|parts| (split, parts, splitters))
            }
            None => Partitioned::new(wired, &proposal, spec).map(|parts| (wired.clone(), parts, 0)),
        };
        match found {
            Ok(found) => return Ok(found),
            Err(findings) => last = findings,
        }
    }
    Err(last)
}

/// Populations, those whose posts come first before them; loops in net order.
fn last_first(wired: &Wired) -> Vec<usize> {
    let net = &wired.quantized.net;
    let n = net.populations.len();
    let mut after = vec![BTreeSet::new(); n];
    for p in net.projections.iter().filter(|p| p.pre != p.post) {
        after[p.pre.index()].insert(p.post.index());
    }
    let mut left: BTreeSet<usize> = (0..n).filter(|&p| !net.population(PopulationId::from(p)).is_input()).collect();
    let mut order = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let ready = left.iter().rev().find(|&&p| after[p].iter().all(|q| !left.contains(q))).copied();
        let next = ready.unwrap_or_else(|| *left.last().expect("it is not empty"));
        left.remove(&next);
        order.push(next);
    }
    order
}

fn propose(wired: &Wired, axons: u32, rows: u32, whole: u32, splits: &Splits) -> Vec<Option<u32>> {
    let units = wired.inputs.len();
    let mut proposal: Vec<Option<u32>> = vec![None; units];
    let (mut core, mut held, mut used): (u32, BTreeSet<AxonKey>, u32) = (0, BTreeSet::new(), 0);
    // Destinations of each source so far.
    let mut sent: Vec<Fan> = vec![Fan::default(); units];
    let mut empty = true;
    for p in last_first(wired) {
        let all: Vec<u32> = (wired.bases[p]..wired.bases[p + 1]).collect();
        let mut hearers: BTreeMap<AxonKey, Vec<u32>> = BTreeMap::new();
        for &unit in &all {
            for key in wired.inputs[unit as usize].iter().flat_map(keys) {
                hearers.entry(key).or_default().push(unit - wired.bases[p]);
            }
        }
        let need: Vec<u32> = all.iter().map(|&u| wired.inputs[u as usize].iter().map(|i| i.types.count_ones()).sum()).collect();
        let mut overlap = vec![0u32; all.len()];
        let recount = |held: &BTreeSet<AxonKey>, overlap: &mut [u32]| {
            overlap.fill(0);
            for key in held {
                hearers.get(key).into_iter().flatten().for_each(|&j| overlap[j as usize] += 1);
            }
        };
        recount(&held, &mut overlap);
        let mut left: Vec<u32> = (0..all.len() as u32).collect();
        while !left.is_empty() {
            let rows_of = |j: u32| {
                let unit = all[j as usize];
                rows_of(sent[unit as usize].links(splits.least(wired, unit), whole), is_output(wired, unit))
            };
            let fits = |j: u32| {
                let new = need[j as usize] - overlap[j as usize];
                held.len() as u32 + new <= axons && used + rows_of(j) <= rows
            };
            // The fewest new axons; in an empty core the neuron with the most, so that the others gather around it.
            let best = if empty {
                left.iter().enumerate().max_by_key(|&(at, &j)| (need[j as usize], usize::MAX - at)).map(|(at, _)| at)
            } else {
                let fitting = left.iter().enumerate().filter(|(_, j)| fits(**j));
                fitting
                    .min_by_key(|&(at, &j)| (need[j as usize] - overlap[j as usize], u32::MAX - overlap[j as usize], at))
                    .map(|(at, _)| at)
            };
            let Some(at) = best else {
                // Even a core of its own is too small: the recount says by how much.
                (core, used, empty) = (core + 1, 0, true);
                held.clear();
                overlap.fill(0);
                continue;
            };
            let j = left.remove(at);
            let unit = all[j as usize] as usize;
            used += rows_of(j);
            empty = false;
            proposal[unit] = Some(core);
            for input in &wired.inputs[unit] {
                sent[input.source as usize].add(core, input, wired.repeats(unit as u32));
            }
            for key in wired.inputs[unit].iter().flat_map(keys) {
                if held.insert(key) {
                    hearers.get(&key).into_iter().flatten().for_each(|&k| overlap[k as usize] += 1);
                }
            }
        }
    }
    proposal
}
