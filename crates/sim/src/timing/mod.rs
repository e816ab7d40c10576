//! Time and energy of a run: two levels over the same spikes.
//!
//! In: what the functional simulation does in each chip step. Out: [`SampleTiming`] for each sample, [`BatchTiming`] for all.
//! Invariant: timing watches and never acts: spikes, potentials and counters are the same at every level.
//! Cost: `analytic` adds a pass over the synapses of each spike; `cycle` adds an event for each message and hop.
//! Why: docs/timing.md is the law; every time and energy comes from the target.

mod agenda;
mod costs;
mod links;
mod noc;
mod plan;
mod stopwatch;
mod wave;
mod ways;

pub(crate) use costs::ps;
pub use costs::{Energy, Events};
pub(crate) use links::{Area, LinkLoads, LoadChanges};
pub use links::{Direction, Link};
pub(crate) use plan::Plan;
pub(crate) use stopwatch::{Before, Detail, Recording, Stopwatch};
pub use wave::{Change, Signal, Wave};

use serde::Serialize;
use std::ops::AddAssign;

/// How a run is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Spikes and counters only.
    #[default]
    None,
    /// Sums for each core: the slowest core and the barrier make the step.
    Analytic,
    /// Messages one by one through cores, routers and buffers.
    Cycle,
}

/// What a step's time is spent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// The core that generates longest: compartments and messages out.
    Compute,
    /// The core that receives longest: messages in and synapses.
    Memory,
    /// Waiting for messages, links and room in buffers (level `cycle`).
    Traffic,
    /// The host's sending of spikes.
    Host,
    /// The barrier at the end, or on a crossbar the wait for the next tick.
    Barrier,
}

impl Bound {
    /// All of them, in the order of their declaration.
    pub const ALL: [Bound; 5] = [Bound::Compute, Bound::Memory, Bound::Traffic, Bound::Host, Bound::Barrier];

    /// Lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            Bound::Compute => "compute",
            Bound::Memory => "memory",
            Bound::Traffic => "traffic",
            Bound::Host => "host",
            Bound::Barrier => "barrier",
        }
    }
}

/// One chip step. Times in picoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StepTiming {
    /// All of it, barrier included.
    pub time_ps: u64,
    /// The barrier.
    pub barrier_ps: u64,
    /// Longest generation of a core: compartments, spikes and messages out, without waiting.
    pub generation_ps: u64,
    /// Physical core of the longest generation.
    pub generation_core: u32,
    /// Longest processing of a core: messages in and their synapses.
    pub processing_ps: u64,
    /// Physical core of the longest processing.
    pub processing_core: u32,
    /// The host's sending of spikes.
    pub host_ps: u64,
    /// Time that the busiest link needs for its messages: a bound, and no part of the `analytic` time.
    pub link_ps: u64,
    /// The busiest link; none when no message left its router.
    pub link: Option<Link>,
    /// What took longest.
    pub bound: Bound,
    /// What happened.
    pub events: Events,
}

/// One sample.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SampleTiming {
    /// From the first spike sent to the end of the last chip step, in picoseconds.
    pub time_ps: u64,
    /// The host's sending of the first step's spikes before the first chip step; part of `time_ps`.
    pub load_ps: u64,
    /// The host's register writes: clearing the state and writing biases (assumed figures), not part of `time_ps`.
    pub host_write_ps: u64,
    /// Chip steps that took longer than the chip's ticks are apart: an error of the scheduler on RANC's RTL. 0 in families without ticks.
    pub overruns: u64,
    /// Everything that costs energy.
    pub events: Events,
    /// By chip step.
    pub steps: Vec<StepTiming>,
}

/// One core over all samples. Times in picoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct CoreTiming {
    /// Physical core.
    pub core: u32,
    /// Compartments, spikes and messages out.
    pub generation_ps: u64,
    /// Messages in and their synapses.
    pub processing_ps: u64,
    /// Waiting for room to send (level `cycle`).
    pub stalled_ps: u64,
    /// Chip steps in which this core's generation or processing bound the step.
    pub critical_steps: u64,
    /// Its events: those of its compartments, messages it sent (with their hops) and received (with their synapses).
    pub events: Events,
}

/// One link over all samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LinkTiming {
    /// Which.
    pub link: Link,
    /// Messages that crossed it.
    pub messages: u64,
    /// Flits of these messages.
    pub flits: u64,
    /// Time for which the flits took it.
    pub busy_ps: u64,
    /// Most messages in the buffer behind it at once (level `cycle`).
    pub peak_queue: u32,
}

/// What a layer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerKind {
    /// A population of the network.
    Population,
    /// Compartments that no population has.
    Unnamed,
    /// The host: its messages and register writes.
    Host,
}

/// One population over all samples: its compartments, and all that its spikes caused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayerTiming {
    /// What it is.
    pub kind: LayerKind,
    /// Name as in the network; the host's channels are `input`, compartments without a name `unnamed`.
    pub name: String,
    /// Events that its compartments and spikes caused, wherever they happened.
    pub events: Events,
}

/// All samples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BatchTiming {
    /// How it was timed.
    pub level: Level,
    /// Barrier of the routers in use, in picoseconds; on a crossbar the time for which a tick waits for the next one after its cores.
    pub barrier_ps: u64,
    /// Sum over samples.
    pub overruns: u64,
    /// Sum over samples and steps.
    pub time_ps: u64,
    /// Sum over samples.
    pub load_ps: u64,
    /// Sum over samples.
    pub host_write_ps: u64,
    /// Sum over samples.
    pub events: Events,
    /// By core, ascending.
    pub cores: Vec<CoreTiming>,
    /// Links with messages, by router and direction.
    pub links: Vec<LinkTiming>,
    /// By population.
    pub layers: Vec<LayerTiming>,
    /// Chip steps and their time by what bound them, in the order of [`Bound::ALL`].
    pub bounds: [(u64, u64); 5],
}

/// A core in one chip step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct CoreStep {
    /// Chip step.
    pub chip_step: u32,
    /// Position among the cores of the image.
    pub core: u32,
    /// Compartments that were active.
    pub updates: u32,
    /// Compartments that fired.
    pub spikes: u32,
    /// Messages sent.
    pub messages_out: u32,
    /// Messages received.
    pub messages_in: u32,
    /// Synapses read.
    pub synaptic_ops: u64,
    /// Generation, in picoseconds.
    pub generation_ps: u64,
    /// Processing, in picoseconds.
    pub processing_ps: u64,
    /// Waiting for room to send, in picoseconds.
    pub stalled_ps: u64,
}

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MessageEvent {
    /// Chip step in which it was sent; -1 = before the first.
    pub chip_step: i32,
    /// Physical core that sent it; -1 = the host.
    pub from: i32,
    /// Physical core that received it.
    pub to: u32,
    /// Synapses that it read.
    pub synapses: u32,
    /// When it left its sender, in picoseconds from the step's begin (level `cycle`, else 0).
    pub sent_ps: u64,
    /// When the receiver was done with it (level `cycle`, else 0).
    pub done_ps: u64,
}

impl AddAssign<&CoreTiming> for CoreTiming {
    fn add_assign(&mut self, o: &CoreTiming) {
        self.generation_ps += o.generation_ps;
        self.processing_ps += o.processing_ps;
        self.stalled_ps += o.stalled_ps;
        self.critical_steps += o.critical_steps;
        self.events += o.events;
    }
}
