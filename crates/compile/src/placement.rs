//! A placement as a file: which neurons are on which core, to be written, edited and read back.
//!
//! In: [`Placed`]. Out: RON text, and back.
//! Invariant: a file proves nothing: what it says goes through `Partitioned::new` and `Placed::new` as any proposal does.
//! Cost: linear in the neurons.

use crate::finding::{Finding, sort};
use crate::pack::kernels::Kernels;
use crate::pack::usage::remedy;
use crate::partition::{FitError, NeuronRef, Partitioned, Proposal};
use crate::pins;
use crate::place::Placed;
use serde::{Deserialize, Serialize};
use spikec_chip::target::Target;
use spikec_net::{PopulationId, Quantized};
use std::collections::BTreeMap;
use std::ops::Range;

/// Copies that a placement may have.
const MOST_COPIES: u64 = 1 << 24;

/// Neurons on physical cores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// Target that it was made for.
    pub target: String,
    /// Cores in any order.
    pub cores: Vec<PlacedCore>,
}

/// The neurons of a core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlacedCore {
    /// Physical core.
    pub core: u32,
    /// Neurons by layer, in compartment order: runs of indices as trained, ends not included: `("fc1", [(0, 40), (57, 58)])`.
    pub neurons: Vec<Runs>,
    /// Neurons of other cores of which a copy is here, in the same way, in compartment order behind the core's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<Runs>,
}

/// A layer, and runs of its neurons.
pub type Runs = (String, Vec<(u32, u32)>);

/// Neurons, each by its layer and its index as trained, as runs.
pub(crate) fn runs<'a>(neurons: impl Iterator<Item = (&'a str, u32)>) -> Vec<Runs> {
    let mut all: Vec<Runs> = Vec::new();
    for (layer, at) in neurons {
        match all.last_mut() {
            Some((name, runs)) if name == layer => match runs.last_mut() {
                Some(run) if run.1 == at => run.1 += 1,
                _ => runs.push((at, at + 1)),
            },
            _ => all.push((layer.to_string(), vec![(at, at + 1)])),
        }
    }
    all
}

impl Placement {
    /// What a compilation placed.
    pub fn of(q: &Quantized, placed: &Placed, target: &Target) -> Placement {
        let partitioned = placed.partitioned();
        let runs = |units: &[u32]| {
            runs(units.iter().map(|&unit| {
                let n = partitioned.wiring().reference(unit);
                let population = q.net.population(n.population);
                (population.name.as_str(), population.origin[n.neuron as usize])
            }))
        };
        let cores = placed.parts_by_core().into_iter().map(|part| {
            let held = &partitioned.parts()[part as usize];
            let (own, copies) = held.pack.units.split_at(held.own);
            PlacedCore { core: placed.core(part), neurons: runs(own), copies: runs(copies) }
        });
        Placement { target: target.name.clone(), cores: cores.collect() }
    }

    /// The placement on a net, checked like any other.
    ///
    /// # Errors
    /// Layers (P20) and neurons (P21) that the net does not have (or that were removed as dead), cores twice (P22), more neurons than the board has
    /// compartments (C01), and all that
    /// [`Partitioned::new`], [`Placed::new`] and pins refuse.
    pub(crate) fn apply(
        &self,
        q: &Quantized,
        target: &Target,
        pinned: &[(PopulationId, Range<u32>)],
        kernels: Kernels,
    ) -> Result<Placed, FitError> {
        let mut findings = Vec::new();
        let mut unknown: BTreeMap<&str, u64> = BTreeMap::new();
        let mut seen: BTreeMap<u32, u32> = BTreeMap::new();
        let (mut parts, mut cores, mut copies) = (Vec::new(), Vec::new(), Vec::new());
        let board = u64::from(target.total_cores()) * u64::from(*target.packed().core.compartments);
        let (mut size, most) = (0u64, 2 * q.net.neuron_count() as u64 + board.min(MOST_COPIES));
        for placed in &self.cores {
            *seen.entry(placed.core).or_default() += 1;
            let mut lists = [&placed.neurons, &placed.copies].map(|runs| neurons_of(q, placed.core, runs, &mut unknown, &mut findings));
            // What a board can't hold is not written out: a short file could name the same neurons for every core.
            size += lists.iter().flatten().map(|r| (r.1.end - r.1.start) as u64).sum::<u64>();
            if size > most {
                let finding = Finding::error("C01", "compartments of the board", size as f64, most as f64, remedy("C01"));
                findings.push(finding.core(placed.core));
                break;
            }
            let [own, copied] = lists.each_mut().map(|list| {
                let neurons = list.drain(..).flat_map(|(population, range)| range.map(move |neuron| NeuronRef { population, neuron }));
                neurons.collect::<Vec<_>>()
            });
            if !own.is_empty() || !copied.is_empty() {
                parts.push(own);
                cores.push(placed.core);
                copies.push(copied);
            }
        }
        for (layer, count) in unknown {
            let finding =
                Finding::error("P21", "neurons beyond the layer", count as f64, 0.0, "name indices as trained, ends not included");
            findings.push(finding.layer(layer));
        }
        for (&core, &times) in seen.iter().filter(|(_, n)| **n > 1) {
            findings.push(Finding::error("P22", "entries of one core", times.into(), 1.0, "join them").core(core));
        }
        if !findings.is_empty() {
            sort(&mut findings);
            return Err(FitError { findings });
        }
        let partitioned = Partitioned::new(q, Proposal { parts, cores: Some(cores.clone()), copies, kernels }, target)?;
        let placed = Placed::new(partitioned, cores, target)?;
        let findings = pins::violations(q, &placed, pinned);
        if findings.is_empty() { Ok(placed) } else { Err(FitError { findings }) }
    }
}

/// Runs of surviving neurons by population; what the net has not goes to `unknown` and `findings`.
fn neurons_of<'a>(
    q: &Quantized,
    core: u32,
    layers: &'a [Runs],
    unknown: &mut BTreeMap<&'a str, u64>,
    findings: &mut Vec<Finding>,
) -> Vec<(PopulationId, Range<u32>)> {
    let net = &q.net;
    let mut list = Vec::new();
    for (layer, runs) in layers {
        let Some(p) = net.populations.iter().position(|p| p.name == *layer && !p.is_input()) else {
            let finding = Finding::error("P20", "layers of that name", 0.0, 1.0, "name a layer of neurons of this network");
            findings.push(finding.core(core).layer(&**layer));
            continue;
        };
        let population = &net.populations[p];
        for &(start, end) in runs {
            // A removed neuron needs no core; a trained index beyond the layer is a mistake.
            let most = population.trained_len() as u32;
            if start > end || end > most {
                *unknown.entry(layer).or_default() += u64::from(end.max(start).saturating_sub(start.min(most)).max(1));
                continue;
            }
            let at = |index: u32| population.origin.partition_point(|&o| o < index) as u32;
            list.push((PopulationId::from(p), at(start)..at(end)));
        }
    }
    list
}
