//! The mapper as a partitioner: the strategies of `spikec_map` on the net's hypergraph.
//!
//! In: a `Quantized`, the target, and what [`Search`] knows. Out: parts with their physical cores.
//! Cost: a mapping for each encoding that is tried, at most [`TIGHTER`] + 1.
//! Why two encodings: the mapper counts words by the number of an axon's synapses, the packer by where they are. Where memory binds, the mapper
//! hopes for the cheaper encodings and gives its words up in steps until the packer agrees; sparse entries always do.

use super::view::{Encoding, View};
use super::{NeuronRef, Partitioned, Partitioner, Proposal, Search, Sequential};
use crate::copies::Copies;
use crate::pack::Wiring;
use spikec_chip::mesh::Mesh;
use spikec_chip::target::Target;
use spikec_map::board::Board;
use spikec_map::mapper::{Job, Mapped as Cores, map_board};
use spikec_map::portfolio::{Options, Strategy};
use spikec_net::Quantized;
use std::ops::Range;

/// Shares of the memory that are tried with expected encodings.
const TIGHTER: [f64; 3] = [1.0, 0.93, 0.86];

/// A strategy of the mapper, or its portfolio.
#[derive(Debug, Clone)]
pub struct Mapped {
    /// The strategy; `None`: the portfolio.
    pub strategy: Option<Strategy>,
    /// What it may know.
    pub search: Search,
}

impl Partitioner for Mapped {
    fn name(&self) -> &'static str {
        self.strategy.map_or("portfolio", Strategy::name)
    }

    fn propose(&self, q: &Quantized, target: &Target) -> Proposal {
        let found = self.propose_within(q, target, usize::MAX);
        found.unwrap_or_else(|| Sequential { effort: self.search.effort, kernels: self.search.kernels }.propose(q, target))
    }

    fn propose_within(&self, q: &Quantized, target: &Target, most: usize) -> Option<Proposal> {
        let wiring = Wiring::new(q, target, self.search.kernels);
        let memory = &target.packed().synapse_memory;
        // A neuron that reaches more cores than one compartment can may have copies: whether that is enough, the search for them tells.
        let copies = self.search.copies == Copies::Auto;
        if copies && reaches_too_far(&wiring, target) {
            let far = self.map(q, &wiring, target, Encoding::Sparse, 1.0, true);
            return far.map(|(proposal, _)| proposal).filter(|proposal| proposal.parts.len() <= most);
        }
        let safe = self.map(q, &wiring, target, Encoding::Sparse, 1.0, false);
        let safe = if copies && safe.is_none() { self.map(q, &wiring, target, Encoding::Sparse, 1.0, true) } else { safe };
        // Where sparse entries leave half of the memory free, nothing denser would help.
        let binds = safe.as_ref().is_none_or(|(_, fullest)| *fullest > 0.5);
        let most = most.min(safe.as_ref().map_or(usize::MAX, |(safe, _)| safe.parts.len()));
        if memory.compressions.len() > 1 && binds {
            for share in TIGHTER {
                let Some((proposal, _)) = self.map(q, &wiring, target, Encoding::Expected, share, false) else { continue };
                if proposal.parts.len() > most {
                    break;
                }
                if Partitioned::new(q, proposal.clone(), target).is_ok() {
                    return Some(proposal);
                }
            }
        }
        safe.map(|(proposal, _)| proposal).filter(|proposal| proposal.parts.len() <= most)
    }
}

impl Mapped {
    /// A mapping, and the share of the memory that its fullest core uses; `None` where it is not legal as the mapper counts. `far`: a neuron may reach
    /// more cores than the target allows.
    fn map(&self, q: &Quantized, wiring: &Wiring, target: &Target, encoding: Encoding, share: f64, far: bool) -> Option<(Proposal, f64)> {
        let search = &self.search;
        let mut view = View::new(q, wiring, target, &search.pins, encoding)?;
        let all = view.limits.words;
        view.limits.words = (f64::from(all) * share) as u32;
        if let Some(memory) = &mut view.limits.memory {
            memory.bytes = (f64::from(memory.bytes) * share) as u32;
        }
        if far {
            // Each of them may need a compartment anywhere.
            let (graph, most) = (&view.graph, view.limits.out_per_neuron as usize);
            let far = (graph.inputs()..graph.axons()).filter(|&a| graph.out_neurons(a).len() > most).count() as u32;
            view.limits.neurons = view.limits.neurons.saturating_sub(far).max(view.limits.neurons.div_ceil(2));
            view.limits.out_per_neuron = view.limits.out_per_neuron.max(target.total_cores());
        }
        let View { graph, limits, units, axon_units } = &view;
        let rates: Vec<f32> = axon_units.iter().map(|&u| search.rates.get(u as usize).copied().unwrap_or(1.0)).collect();
        let options = Options { strategy: self.strategy, effort: search.effort, seed: search.seed };
        let board = Board { mesh: Mesh::new(&target.topology), chips: *target.topology.chips };
        let range = |v: u32| -> Range<u32> {
            let population = wiring.reference(units[v as usize]).population;
            let pin = search.pins.iter().find(|p| p.0 == population);
            pin.map_or(0..board.cores(), |p| p.1.clone())
        };
        let ranges: Option<&dyn Fn(u32) -> Range<u32>> = if search.pins.is_empty() { None } else { Some(&range) };
        let job = Job { graph, limits, rates: &rates, options: &options };
        let Cores { mapping, physical, .. } = map_board(&job, &board, ranges, &mut |_| ()).ok()?;
        if !mapping.legal {
            return None;
        }
        let mut parts: Vec<Vec<NeuronRef>> = vec![Vec::new(); mapping.cores as usize];
        for (v, &core) in mapping.parts.iter().enumerate() {
            parts[core as usize].push(wiring.reference(units[v]));
        }
        let counted = spikec_map::check::count(graph, limits, &mapping.parts, mapping.cores, &[]);
        let full = |u: &spikec_map::state::Use| (u.words as f64 / f64::from(all.max(1))).max(limits.bytes_share(u, 0));
        let fullest = counted.uses.iter().map(full).fold(0.0, f64::max);
        Some((Proposal { parts, cores: Some(physical), copies: Vec::new(), kernels: search.kernels }, fullest))
    }
}

/// True where a neuron must reach more cores than it may, whatever the assignment.
fn reaches_too_far(wiring: &Wiring, target: &Target) -> bool {
    let core = &target.packed().core;
    let mut posts = vec![0u32; wiring.units() as usize];
    let mut last = vec![u32::MAX; wiring.units() as usize];
    for unit in wiring.neuron_units() {
        for s in wiring.incoming(unit) {
            if std::mem::replace(&mut last[s.source as usize], unit) != unit {
                posts[s.source as usize] += 1;
            }
        }
    }
    wiring.neuron_units().any(|u| posts[u as usize].div_ceil((*core.compartments).max(1)) > *core.out_axons_per_neuron)
}
