//! The crossbar family (RANC, TrueNorth): cores that are read tick by tick.
//!
//! In: the image's bits and the host section. Out: a [`CrossbarMachine`] that runs samples.
//! Invariant: docs/semantics.md, section 10; a machine that booted can't index out of its tables or overflow, whatever the bundle was.
//! Cost: a tick costs its synaptic operations plus the neurons that are used.

mod boot;
mod law;
mod mesh;
mod run;
mod watch;

use crate::arrivals::Arrivals;
use crate::io::Io;
use crate::record::Names;
use crate::utilization::CoreUtilization;
use boot::Exit;
use law::{Law, Row};
use watch::Plan;

/// A booted machine of the crossbar family. A lane is `core position * neurons + neuron`; axons are numbered the same way.
#[derive(Debug)]
pub(crate) struct CrossbarMachine {
    law: Law,
    /// Axons of a core.
    axons: usize,
    /// Neurons of a core, used or not.
    neurons: usize,
    /// Types of axons.
    types: usize,
    /// Slots of the ring of delays.
    slots: usize,
    /// Physical cores, ascending.
    pub(crate) cores: Vec<u32>,
    /// Neurons of each core that are used, ascending.
    used: Vec<Vec<u16>>,
    /// Registers by lane.
    rows: Vec<Row>,
    /// `[core][type][neuron]`.
    weights: Vec<i32>,
    /// Type by axon.
    type_of: Vec<u8>,
    /// `[core][axon][word]`: a bit for each neuron that hears the axon.
    crossings: Vec<u64>,
    /// Neurons that hear each axon.
    degrees: Vec<u32>,
    /// Where each lane's spikes go.
    exits: Vec<Exit>,
    /// Hops of each lane's packets in x and y.
    hops: Vec<(u32, u32)>,
    /// Hops of the host's packets to each core in x and y.
    host_hops: Vec<(u32, u32)>,
    arrivals: Arrivals,
    io: Io,
    names: Names,
    pub(crate) utilization: Vec<CoreUtilization>,
    plan: Option<Plan>,
}

impl CrossbarMachine {
    /// Words of a core's axons in a slot.
    fn axon_words(&self) -> usize {
        self.axons.div_ceil(64)
    }
    /// Words of an axon's neurons.
    fn neuron_words(&self) -> usize {
        self.neurons.div_ceil(64)
    }
}
