//! What a mapping costs in an average step, in the target's figures (docs/timing.md).
//!
//! In: [`Placed`] and rates. Out: [`Terms`]. Invariant: counted from the packed parts with plain loops; nothing of the search is asked.
//! Cost: linear in the input axons and entries.

use crate::choose::{Rank, rank};
use crate::pack::wiring::registers;
use crate::place::Placed;
use serde::Serialize;
use spikec_chip::cost::Read;
use spikec_chip::mesh::{Mesh, Router};
use spikec_chip::target::{Compression, Target};
use spikec_net::{PopulationId, Quantized};

/// Slots, entries and words of all cores, and what an average step costs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Terms {
    /// Compartments.
    pub compartments: u64,
    /// Input axons.
    pub in_axons: u64,
    /// Output axon entries.
    pub out_entries: u64,
    /// Words of synaptic memory.
    pub words: u64,
    /// Hops between cores in a step, by the rates.
    pub hops: f64,
    /// Picojoules of a step: every compartment active, every message and synapse by the rates, the host's writes shared by the steps of a sample.
    pub energy_pj: f64,
    /// Nanoseconds of the busiest core in a step.
    pub busiest_ns: f64,
}

/// What the figures of the target say of single events, in picojoules.
#[derive(Debug, Clone)]
pub(super) struct Prices<'a> {
    target: &'a Target,
    pub mesh: Mesh,
    rates: &'a [f32],
    /// Steps of a sample.
    steps: f64,
    /// Populations that a host map drives.
    mapped: Vec<bool>,
}

impl<'a> Prices<'a> {
    /// `rates`: spikes of a step of each unit, empty: all 1; `steps`: of a sample, where they are known.
    pub fn new(q: &Quantized, target: &'a Target, rates: &'a [f32], steps: Option<u32>) -> Self {
        let mapped = (0..q.net.populations.len()).map(|p| q.net.host_projections.iter().any(|h| h.post.index() == p)).collect();
        Prices { target, mesh: Mesh::new(&target.topology), rates, steps: f64::from(steps.unwrap_or(1).max(1)), mapped }
    }

    /// Spikes of a step.
    pub fn rate(&self, unit: u32) -> f64 {
        f64::from(self.rates.get(unit as usize).copied().unwrap_or(1.0))
    }
    /// The way of a message.
    fn way(&self, from: Router, to: Router) -> f64 {
        let (hops, e) = (self.mesh.hops(from, to), &self.target.packed().energy_pj);
        f64::from(hops.x) * *e.hop_x + f64::from(hops.y) * *e.hop_y + f64::from(hops.chip) * *e.hop_chip
    }
    /// The way from one physical core to another.
    pub fn hops(&self, from: u32, to: u32) -> f64 {
        self.way(self.mesh.router(from), self.mesh.router(to))
    }
    /// A message of a core, without its way.
    pub fn message(&self) -> f64 {
        let e = &self.target.packed().energy_pj;
        *e.axon_out + *e.axon_in
    }
    /// A message of the host.
    pub fn host_message(&self, to: u32) -> f64 {
        let e = &self.target.packed().energy_pj;
        *e.host_spike + *e.axon_in + self.way(self.mesh.host_port(), self.mesh.router(to))
    }
    /// A synapse that is read.
    pub fn synapse(&self, compression: Compression, shared: bool) -> f64 {
        let e = &self.target.packed().energy_pj;
        match Read::of(shared, compression) {
            Read::Conv => *e.synapse_conv,
            Read::Dense => *e.synapse_dense,
            Read::Sparse => *e.synapse_sparse,
        }
    }
    /// A compartment in a step: updated, fired by its rate, its state and bias written by the host.
    pub fn compartment(&self, q: &Quantized, unit: u32, (population, neuron): (PopulationId, u32)) -> f64 {
        let e = &self.target.packed().energy_pj;
        let biased = registers(&q.net, crate::pack::NeuronRef { population, neuron }).bias.mantissa != 0;
        let writes = (1.0 + f64::from(u8::from(biased))) / self.steps + f64::from(u8::from(self.mapped[population.index()]));
        *e.neuron_access + *e.neuron_update + self.rate(unit) * *e.spike_out + writes * *e.host_write
    }
}

/// Counts a mapping.
pub(super) fn terms(q: &Quantized, placed: &Placed, prices: &Prices) -> Terms {
    let partitioned = placed.partitioned();
    let wiring = partitioned.wiring();
    let Rank { busiest_ns, hops, .. } = rank(placed, prices.target, prices.rates);
    let mut all = Terms { compartments: 0, in_axons: 0, out_entries: 0, words: 0, hops, energy_pj: 0.0, busiest_ns };
    for part in partitioned.parts() {
        all.compartments += part.pack.units.len() as u64;
        all.in_axons += part.pack.in_axons.len() as u64;
        all.words += part.pack.words();
        all.out_entries += part.usage.iter().filter(|u| u.code == "C03").map(|u| u.used).sum::<u64>();
        for &unit in &part.pack.units {
            let n = wiring.reference(unit);
            all.energy_pj += prices.compartment(q, unit, (n.population, n.neuron));
        }
        for axon in &part.pack.in_axons {
            let list = part.pack.list(axon);
            let of = |e: &spikec_chip::image::SynapseEntry| {
                e.synapses.len() as f64 * prices.synapse(part.pack.formats[usize::from(e.format)].compression, list.readers > 1)
            };
            all.energy_pj += prices.rate(axon.source) * list.list.entries.iter().map(of).sum::<f64>();
        }
    }
    for unit in 0..wiring.units() {
        for (from, link) in partitioned.messages(unit) {
            let to = placed.core(link.part);
            let cost = from.map_or_else(|| prices.host_message(to), |from| prices.message() + prices.hops(placed.core(from), to));
            all.energy_pj += prices.rate(unit) * cost;
        }
    }
    all
}
