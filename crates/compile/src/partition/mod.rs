//! Partition: which neurons share a core.
//!
//! In: a `Quantized` and the target. Out: [`Partitioned`], the proof that every part fits a core.
//! Invariant: a strategy ([`Partitioner`]) only proposes; [`Partitioned::new`] is the only constructor, counts every resource from the
//! network again and refuses. A strategy never needs to be trusted.
//! Cost: one exact pack for each part, parts in parallel.

mod blocks;
mod bounds;
mod check;
mod mapped;
mod next_fit;
mod order;
mod sequential;
pub(crate) mod serve;
#[cfg(test)]
mod tests;
mod view;
mod wide;

pub use crate::pack::kernels::Kernels;
pub use crate::pack::{NeuronRef, Usage};
pub use blocks::Blocks;
pub use bounds::{Bound, lower_bounds};
pub use mapped::Mapped;
pub use sequential::Sequential;
pub use serve::Seat;
pub use view::View;
pub(crate) use wide::too_wide;

use crate::copies::Copies;
use crate::finding::{Finding, sort};
use crate::pack::usage::remedy;
use crate::pack::{CorePack, Packer, Wiring};
use rayon::prelude::*;
use serve::Sites;
use spikec_chip::cost;
use spikec_chip::mesh::Mesh;
use spikec_chip::target::Target;
pub use spikec_map::portfolio::Unsuited;
use spikec_map::portfolio::{self, Strategy};
use spikec_net::{PopulationId, Quantized};
use std::ops::Range;

/// What a strategy proposes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Neurons of each part in compartment order. It need not be legal.
    pub parts: Vec<Vec<NeuronRef>>,
    /// Physical core of each part; `None`: parts fill one chip after the other in their order, and placement chooses the cores. Output axons are
    /// counted with the chips of these cores.
    pub cores: Option<Vec<u32>>,
    /// For each part, neurons of other parts of which it holds a copy, in compartment order behind its own; parts beyond the list's end hold none.
    pub copies: Vec<Vec<NeuronRef>>,
    /// Whether input axons share words.
    pub kernels: Kernels,
}

impl From<Vec<Vec<NeuronRef>>> for Proposal {
    fn from(parts: Vec<Vec<NeuronRef>>) -> Self {
        Proposal { parts, cores: None, copies: Vec::new(), kernels: Kernels::Auto }
    }
}

/// A strategy that proposes parts.
pub trait Partitioner {
    /// Its name, as given to `--partitioner`.
    fn name(&self) -> &'static str;
    /// Parts, and where it knows better than their order, their cores. It need not be legal.
    fn propose(&self, q: &Quantized, target: &Target) -> Proposal;
    /// As [`Partitioner::propose`], where no more than `most` parts are of use: `None` as soon as it knows that there will be more.
    fn propose_within(&self, q: &Quantized, target: &Target, most: usize) -> Option<Proposal> {
        let _ = most;
        Some(self.propose(q, target))
    }
}

/// Names of all strategies; `portfolio` tries those that suit the network and keeps the best.
pub const PARTITIONERS: [&str; 6] = ["portfolio", "sequential", "tiles", "layers", "overlap", "blocks"];

pub use spikec_map::portfolio::Effort;

/// What strategies may know beside the network.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Search {
    /// Effort.
    pub effort: Effort,
    /// Seed.
    pub seed: u64,
    /// Spikes of a step of each unit ([`Wiring::unit`]), measured; empty: all alike.
    pub rates: Vec<f32>,
    /// Physical cores that the neurons of a population may be on.
    pub pins: Vec<(PopulationId, Range<u32>)>,
    /// Whether neurons may have copies.
    pub copies: Copies,
    /// Whether input axons share words.
    pub kernels: Kernels,
}

/// Synapses from which on a strategy that packs every neuron several times is no first guess.
pub(crate) const LARGE: usize = 1_000_000;

/// Whether the strategy of that name can be used on a net.
///
/// # Errors
/// What the net lacks for it.
pub fn suits(name: &str, q: &Quantized, target: &Target) -> Result<(), Unsuited> {
    match Strategy::ALL.into_iter().find(|s| s.name() == name) {
        Some(Strategy::Overlap) | None => Ok(()),
        Some(strategy) => {
            portfolio::suits(&View::without_words(q, &Wiring::new(q, target, Kernels::Unrolled), target, &[]).graph, strategy)
        }
    }
}

/// The strategies of that name in the order in which they are tried, for a net of so many synapses.
pub fn partitioners(name: &str, search: &Search, synapses: usize) -> Option<Vec<Box<dyn Partitioner>>> {
    let sequential = || -> Box<dyn Partitioner> { Box::new(Sequential { effort: search.effort, kernels: search.kernels }) };
    let blocks = || -> Box<dyn Partitioner> { Box::new(Blocks { search: search.clone() }) };
    let mapped = |strategy| -> Box<dyn Partitioner> { Box::new(Mapped { strategy, search: search.clone() }) };
    Some(match name {
        // Sequential parts know nothing of pins.
        "portfolio" if !search.pins.is_empty() => vec![mapped(None)],
        // Blocks have nothing to propose where words are not shared.
        "portfolio" if synapses >= LARGE => vec![blocks(), mapped(None), sequential()],
        "portfolio" => vec![blocks(), sequential(), mapped(None)],
        "blocks" => vec![blocks()],
        "sequential" => vec![sequential()],
        "tiles" => vec![mapped(Some(Strategy::Tiles))],
        "layers" => vec![mapped(Some(Strategy::Layers))],
        "overlap" => vec![mapped(Some(Strategy::Overlap))],
        _ => return None,
    })
}

/// The network does not fit; every violation, sorted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("does not fit: {} violations{}", findings.len(), findings.first().map(|f| format!("; first: {f}")).unwrap_or_default())]
pub struct FitError {
    /// What is violated.
    pub findings: Vec<Finding>,
}

impl FitError {
    /// The first finding's remedy.
    pub fn hint(&self) -> String {
        self.findings.first().map(|f| f.remedy.clone()).unwrap_or_default()
    }
}

/// A part: the neurons of one core, packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The core's tables without output axons; `pack.units` are its neurons, then its copies of others.
    pub pack: CorePack,
    /// Its own neurons: those from here on are copies.
    pub own: usize,
    /// All resources, C03 and C04 included.
    pub usage: Vec<Usage>,
}

/// Where an axon's spikes go: a part and an input axon of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// Part.
    pub part: u32,
    /// Input axon of that part.
    pub in_axon: u16,
}

/// Parts that fit: having one is the proof.
#[derive(Debug)]
pub struct Partitioned {
    wiring: Wiring,
    kernels: Kernels,
    parts: Vec<Part>,
    /// For each unit: its links, CSR.
    link_offsets: Vec<u32>,
    links: Vec<Link>,
    /// Part that serves each link, `u32::MAX` for input channels; empty without copies, where the neuron's own part does.
    served: Vec<u32>,
    /// For each unit: (part, compartment), `None` for input channels.
    places: Vec<Option<(u32, u16)>>,
    /// Copies by unit and part.
    copies: Vec<Seat>,
    /// Chip of each part.
    chips: Vec<u32>,
    /// Physical core of each part as proposed.
    cores: Option<Vec<u32>>,
}

impl Partitioned {
    /// Counts every resource of every part and of the board from the network itself. Parts are on the chips of the proposed cores; without these,
    /// they are cores of one chip in order, then of the next chip.
    ///
    /// # Errors
    /// All violations: a neuron that is missing, unknown or assigned twice (P01-P03), an empty part (P04), a copy beside its neuron or another copy
    /// of it (P05), that nothing reads (P06) or without a part (P07), and limits C01-C16.
    pub fn new(q: &Quantized, proposal: impl Into<Proposal>, target: &Target) -> Result<Partitioned, FitError> {
        let (partitioned, mut findings) = Partitioned::counted(q, &proposal.into(), target);
        if findings.is_empty() {
            return Ok(partitioned);
        }
        sort(&mut findings);
        Err(FitError { findings })
    }

    /// What [`Partitioned::new`] counts, and every violation: no proof unless there is none.
    pub(crate) fn counted(q: &Quantized, proposal: &Proposal, target: &Target) -> (Partitioned, Vec<Finding>) {
        let wiring = Wiring::new(q, target, proposal.kernels);
        let mut findings = wiring.problems().to_vec();
        check::registers(q, target, &mut findings);
        let check::Assignment { units, own, places, copies } = check::assignment(q, &wiring, proposal, &mut findings);
        let packs: Vec<CorePack> = units
            .par_iter()
            .map_init(
                || Packer::new(q, &wiring, target),
                |packer, units| {
                    packer.clear();
                    for &unit in units {
                        packer.push(unit);
                    }
                    packer.pack()
                },
            )
            .collect();
        let (link_offsets, links) = links_of(&wiring, &packs);
        let per_chip = target.topology.cores_per_chip().max(1);
        let cores = proposal.cores.clone();
        let core = |part: usize| cores.as_ref().map_or(part as u32, |cores| cores.get(part).copied().unwrap_or(u32::MAX));
        let chips: Vec<u32> = (0..packs.len()).map(|part| core(part) / per_chip).collect();
        let mesh = Mesh::new(&target.topology);
        let sites = Sites { mesh: &mesh, chips: &chips, cores: cores.as_deref() };
        let served = serve::servers(&links, &link_offsets, &places, &copies, sites);
        let parts = packs.into_iter().zip(own).map(|(pack, own)| Part { usage: pack.usage.clone(), pack, own }).collect();
        let kernels = proposal.kernels;
        let mut all = Partitioned { wiring, kernels, parts, link_offsets, links, served, places, copies, chips, cores };
        for (index, size) in units.iter().map(Vec::len).enumerate() {
            let [entries, most] = all.out_axon_usage(target, index as u32);
            let part = &mut all.parts[index];
            // What is packed knows the bytes of everything but the entries.
            let bytes = part.usage.iter_mut().find(|u| u.code == "C27");
            bytes.into_iter().for_each(|b| b.used += entries.used * u64::from(*target.packed().core.out_axon_entry_bytes));
            part.usage.extend([entries, most]);
            part.usage.sort_by_key(|u| u.code);
            let part = &all.parts[index];
            for usage in &part.usage {
                // A part beyond the compartment numbers was packed only so far; its true size still stands here.
                let usage = if usage.code == "C01" { Usage { used: size as u64, ..*usage } } else { *usage };
                let finding = usage.finding().map(|f| f.core(index as u32).layer(layer(q, &all.wiring, &part.pack.units)));
                findings.extend(finding.map(|f| alone(f, q, &all.wiring, &part.pack.units)));
            }
        }
        let unread = |seat: &&Seat| all.places[seat.unit as usize].is_some() && all.sent(seat.unit, seat.part).next().is_none();
        check::unread(q, &all.wiring, all.copies.iter().filter(unread), &mut findings);
        let total = target.total_cores();
        if all.parts.len() as u64 > u64::from(total) {
            findings.push(Finding::error("C16", "cores of the board", all.parts.len() as f64, total.into(), remedy("C16")));
        }
        (all, findings)
    }

    /// The parts.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }
    /// Chip of a part, by which its output axons were counted.
    pub fn chip(&self, part: u32) -> u32 {
        self.chips[part as usize]
    }
    /// Physical cores as proposed.
    pub fn proposed_cores(&self) -> Option<&[u32]> {
        self.cores.as_deref()
    }
    /// Whether input axons share words, as proposed.
    pub fn kernels(&self) -> Kernels {
        self.kernels
    }
    /// The net as the packer saw it.
    pub fn wiring(&self) -> &Wiring {
        &self.wiring
    }
    /// Input axons that a unit's spikes reach, by part.
    pub fn links(&self, unit: u32) -> &[Link] {
        &self.links[self.link_offsets[unit as usize] as usize..self.link_offsets[unit as usize + 1] as usize]
    }
    /// The links of a unit with the part that serves each: that of the neuron or of a copy; `None` for input channels.
    pub fn messages(&self, unit: u32) -> impl Iterator<Item = (Option<u32>, Link)> + '_ {
        let first = self.link_offsets[unit as usize] as usize;
        let primary = self.places[unit as usize].map(|place| place.0);
        let from = move |k: usize| self.served.get(first + k).map_or(primary, |&part| Some(part).filter(|_| primary.is_some()));
        self.links(unit).iter().enumerate().map(move |(k, &link)| (from(k), link))
    }
    /// The links that the copy of a unit in `part` serves (the neuron itself where that is its part), by part and input axon.
    pub fn sent(&self, unit: u32, part: u32) -> impl Iterator<Item = Link> + '_ {
        self.messages(unit).filter(move |m| m.0 == Some(part)).map(|m| m.1)
    }
    /// Copies, by unit and part.
    pub fn copies(&self) -> &[Seat] {
        &self.copies
    }
    /// Copies of a unit, by part.
    pub fn copies_of(&self, unit: u32) -> &[Seat] {
        let from = self.copies.partition_point(|seat| seat.unit < unit);
        let mine = self.copies[from..].partition_point(|seat| seat.unit == unit);
        &self.copies[from..from + mine]
    }
    /// C03 and C04 of a part: entries of its output axon table, and output axons of its neuron with the most.
    fn out_axon_usage(&self, target: &Target, part: u32) -> [Usage; 2] {
        let core = &target.packed().core;
        let chip = |part: u32| self.chips[part as usize];
        let (mut entries, mut most) = (0u64, 0u64);
        for &unit in &self.parts[part as usize].pack.units {
            let mut axons = 0;
            for link in self.sent(unit, part) {
                axons += 1;
                entries += u64::from(cost::out_axon_entries(core, chip(link.part) != chip(part)));
            }
            most = most.max(axons);
        }
        [
            Usage { code: "C03", resource: "output axon entries", used: entries, available: (*core.out_axon_entries).into() },
            Usage { code: "C04", resource: "output axons of one neuron", used: most, available: (*core.out_axons_per_neuron).into() },
        ]
    }
    /// Part and compartment of a unit, not of its copies; `None` for input channels.
    pub fn unit_place(&self, unit: u32) -> Option<(u32, u16)> {
        self.places[unit as usize]
    }
    /// Part and compartment of a neuron, not of its copies.
    pub fn place(&self, population: PopulationId, neuron: u32) -> Option<(u32, u16)> {
        self.places[self.wiring.unit(population, neuron) as usize]
    }
}

/// Links of every unit, CSR, by part and input axon.
fn links_of(wiring: &Wiring, packs: &[CorePack]) -> (Vec<u32>, Vec<Link>) {
    let mut offsets = vec![0u32; wiring.units() as usize + 1];
    for axon in packs.iter().flat_map(|p| &p.in_axons) {
        offsets[axon.source as usize + 1] += 1;
    }
    for i in 1..offsets.len() {
        offsets[i] += offsets[i - 1];
    }
    let mut next = offsets.clone();
    let mut links = vec![Link { part: 0, in_axon: 0 }; *offsets.last().unwrap_or(&0) as usize];
    for (part, pack) in packs.iter().enumerate() {
        for (in_axon, axon) in pack.in_axons.iter().enumerate() {
            let at = &mut next[axon.source as usize];
            links[*at as usize] = Link { part: part as u32, in_axon: in_axon as u16 };
            *at += 1;
        }
    }
    (offsets, links)
}

/// A neuron that fills a core by itself can't share it with fewer: its own fan-in is too large.
fn alone(finding: Finding, q: &Quantized, wiring: &Wiring, units: &[u32]) -> Finding {
    let &[unit] = units else { return finding };
    if !matches!(finding.code, "C02" | "C05" | "C27") {
        return finding;
    }
    let neuron = wiring.reference(unit);
    let trained = q.net.population(neuron.population).origin[neuron.neuron as usize];
    let narrower = if finding.code != "C02" { ", or store narrower weights (--weight-bits)" } else { "" };
    let fan_in = wiring.fan_in(unit);
    Finding { remedy: format!("neuron {trained} alone needs more than a core: prune its fan-in of {fan_in} synapses{narrower}"), ..finding }
}

/// Names of the populations of a part, at most three.
fn layer(q: &Quantized, wiring: &Wiring, units: &[u32]) -> String {
    let mut populations: Vec<PopulationId> = units.iter().map(|&u| wiring.reference(u).population).collect();
    populations.sort_unstable();
    populations.dedup();
    let names: Vec<&str> = populations.iter().take(3).map(|&p| q.net.population(p).name.as_str()).collect();
    names.join("+") + if populations.len() > 3 { "+..." } else { "" }
}
