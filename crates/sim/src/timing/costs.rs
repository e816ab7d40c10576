//! Times of the target in picoseconds, and the energy of counted events.
//!
//! In: the target's `timing_ns` and `energy_pj`. Out: integers to add up, and [`EnergyPj`] of [`Events`].
//! Invariant: an energy is its count times the target's figure, nothing else.

use crate::packed::routes::AxonOps;
use serde::Serialize;
use spikec_chip::target::{EnergyPj, Family, Target, TimingNs};
use std::ops::{AddAssign, Sub};

/// Times in picoseconds.
#[derive(Debug, Clone)]
pub(crate) struct CostsPs {
    pub access: u64,
    pub update: u64,
    pub spike_out: u64,
    pub axon_out: u64,
    pub axon_in: u64,
    pub synapse_dense: u64,
    pub synapse_sparse: u64,
    pub synapse_conv: u64,
    pub hop_x: u64,
    pub hop_y: u64,
    pub hop_chip: u64,
    pub local_port: u64,
    /// A spike message's flits on a link within a chip.
    pub link: u64,
    /// The same between chips.
    pub chip_link: u64,
    pub host_write: u64,
    pub host_spike: u64,
    /// The barrier of the routers in use.
    pub barrier: u64,
}

/// Nanoseconds as whole picoseconds.
pub(crate) fn ps(ns: f64) -> u64 {
    (ns * 1000.0).round() as u64
}

impl CostsPs {
    /// Of a checked target; `tiles` routers are in use.
    pub(crate) fn new(target: &Target, tiles: u32) -> CostsPs {
        let t: &TimingNs = &target.packed().timing_ns;
        let barrier = t.barrier_by_tiles.iter().rev().find(|(least, _)| *least <= tiles).map_or(0.0, |(_, ns)| *ns);
        let flits = u64::from(*target.topology.flits_per_spike);
        CostsPs {
            access: ps(*t.neuron_access),
            update: ps(*t.neuron_update),
            spike_out: ps(*t.spike_out),
            axon_out: ps(*t.axon_out),
            axon_in: ps(*t.axon_in),
            synapse_dense: ps(*t.synapse_dense),
            synapse_sparse: ps(*t.synapse_sparse),
            synapse_conv: ps(*t.synapse_conv),
            hop_x: ps(*t.hop_x),
            hop_y: ps(*t.hop_y),
            hop_chip: ps(*t.hop_chip),
            local_port: ps(*t.local_port),
            link: flits * ps(*t.link_flit),
            chip_link: flits * ps(*t.chip_link_flit),
            host_write: ps(*t.host_write),
            host_spike: ps(*t.host_spike),
            barrier: ps(barrier),
        }
    }

    /// What a message costs its receiver.
    pub(crate) fn service(&self, ops: &AxonOps) -> u64 {
        let synapses = [(ops.dense, self.synapse_dense), (ops.sparse, self.synapse_sparse), (ops.conv, self.synapse_conv)];
        self.axon_in + synapses.iter().map(|&(n, each)| u64::from(n) * each).sum::<u64>()
    }
}

/// Counted events, each of which costs energy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Events {
    /// Compartments * chip steps.
    pub neuron_accesses: u64,
    /// Of these, compartments with something to do: v or a decaying u not 0, a bias, an input (also one of weight 0), or held.
    pub neuron_updates: u64,
    /// Spikes of compartments.
    pub neuron_spikes: u64,
    /// Messages that cores sent.
    pub messages_out: u64,
    /// Messages that the host sent.
    pub host_messages: u64,
    /// Messages that cores received.
    pub messages_in: u64,
    /// Synapses read in dense entries, filler included.
    pub synapses_dense: u64,
    /// Synapses read in sparse and run-length entries.
    pub synapses_sparse: u64,
    /// Synapses read in entries of any kind that several input axons share, filler included.
    pub synapses_conv: u64,
    /// Hops in x within chips.
    pub hops_x: u64,
    /// Hops in y within chips.
    pub hops_y: u64,
    /// Hops between chips.
    pub hops_chip: u64,
    /// Registers that the host wrote: biases, and each compartment's state before a sample.
    pub host_writes: u64,
}

macro_rules! each_field {
    ($a:ident, $b:ident, $op:tt) => {{
        $a.neuron_accesses $op $b.neuron_accesses;
        $a.neuron_updates $op $b.neuron_updates;
        $a.neuron_spikes $op $b.neuron_spikes;
        $a.messages_out $op $b.messages_out;
        $a.host_messages $op $b.host_messages;
        $a.messages_in $op $b.messages_in;
        $a.synapses_dense $op $b.synapses_dense;
        $a.synapses_sparse $op $b.synapses_sparse;
        $a.synapses_conv $op $b.synapses_conv;
        $a.hops_x $op $b.hops_x;
        $a.hops_y $op $b.hops_y;
        $a.hops_chip $op $b.hops_chip;
        $a.host_writes $op $b.host_writes;
    }};
}

impl AddAssign for Events {
    fn add_assign(&mut self, o: Events) {
        each_field!(self, o, +=);
    }
}

impl Sub for Events {
    type Output = Events;
    fn sub(mut self, o: Events) -> Events {
        each_field!(self, o, -=);
        self
    }
}

/// Energy in picojoules, by unit.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Energy {
    /// Compartments: access, update and spike.
    pub neurons_pj: f64,
    /// Synapses read.
    pub synapses_pj: f64,
    /// Messages that cores sent and received.
    pub axons_pj: f64,
    /// Hops.
    pub mesh_pj: f64,
    /// Messages that the host sent.
    pub host_spikes_pj: f64,
    /// Registers that the host wrote (assumed figures; not in [`Energy::chip_pj`]).
    pub host_writes_pj: f64,
}

impl Energy {
    /// Counts times the target's figures; units without a figure in the target's family take nothing.
    pub fn of(events: &Events, target: &Target) -> Energy {
        let n = |count: u64, pj: f64| count as f64 * pj;
        let synapses = events.synapses_dense + events.synapses_sparse + events.synapses_conv;
        match &target.family {
            Family::Packed(p) => Energy::packed(events, &p.energy_pj),
            Family::Crossbar(x) => Energy {
                neurons_pj: n(events.neuron_updates, *x.energy_pj.neuron_update) + n(events.neuron_spikes, *x.energy_pj.spike_out),
                synapses_pj: n(synapses, *x.energy_pj.synapse),
                mesh_pj: n(events.hops_x + events.hops_y + events.hops_chip, *x.energy_pj.hop),
                host_spikes_pj: n(events.host_messages, *x.energy_pj.host_spike),
                ..Energy::default()
            },
            Family::EventCrossbar(x) => Energy {
                neurons_pj: n(events.neuron_updates, *x.energy_pj.leak),
                synapses_pj: n(synapses, *x.energy_pj.synapse),
                host_spikes_pj: n(events.host_messages + events.messages_out, *x.energy_pj.host_spike),
                ..Energy::default()
            },
        }
    }

    fn packed(events: &Events, e: &EnergyPj) -> Energy {
        let n = |count: u64, pj: f64| count as f64 * pj;
        Energy {
            neurons_pj: n(events.neuron_accesses, *e.neuron_access)
                + n(events.neuron_updates, *e.neuron_update)
                + n(events.neuron_spikes, *e.spike_out),
            synapses_pj: n(events.synapses_dense, *e.synapse_dense)
                + n(events.synapses_sparse, *e.synapse_sparse)
                + n(events.synapses_conv, *e.synapse_conv),
            axons_pj: n(events.messages_out, *e.axon_out) + n(events.messages_in, *e.axon_in),
            mesh_pj: n(events.hops_x, *e.hop_x) + n(events.hops_y, *e.hop_y) + n(events.hops_chip, *e.hop_chip),
            host_spikes_pj: n(events.host_messages, *e.host_spike),
            host_writes_pj: n(events.host_writes, *e.host_write),
        }
    }

    /// All but the host's register writes.
    pub fn chip_pj(&self) -> f64 {
        self.neurons_pj + self.synapses_pj + self.axons_pj + self.mesh_pj + self.host_spikes_pj
    }
}
