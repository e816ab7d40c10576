//! The event crossbar family (tinyODIN, ODIN): one core whose neurons are updated at every event.
//!
//! An event names a row of the synapse memory; each neuron in turn adds its weight of that row and fires at once where it reaches its threshold.
//! The host sends the events of a step in ascending order of rows, then a time reference that leaks all neurons. The law is docs/semantics.md,
//! section 11.

mod codec;

pub use codec::{EventError, EventProblem, EventTable, decode, encode};

use crate::image::Bits;
use crate::target::Sourced;
use serde::{Deserialize, Serialize};

/// Description of the event crossbar family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventCrossbar {
    /// What the core holds.
    pub core: EventCore,
    /// Weights.
    pub weights: EventWeights,
    /// Neurons.
    pub neuron: EventNeuronSpec,
    /// Clock cycles.
    pub timing_cycles: EventTiming,
    /// Picojoules.
    pub energy_pj: EventEnergy,
}

/// What the core holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventCore {
    /// Neurons.
    pub neurons: Sourced<u32>,
    /// Rows of the synapse memory: addresses that an event can name.
    pub rows: Sourced<u32>,
    /// Events that the scheduler holds (C26).
    pub fifo_depth: Sourced<u32>,
    /// True where an event updates all neurons of the core, false where it stops after the last neuron that is used.
    pub always_all_neurons: Sourced<bool>,
}

/// Weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventWeights {
    /// Bits of a synapse in memory.
    pub stored_bits: Sourced<u8>,
    /// Bits of its weight: of a two's-complement number, or of a magnitude where the sign is the row's.
    pub weight_bits: Sourced<u8>,
    /// Where the sign is.
    pub sign: Sourced<EventSign>,
}

/// Where the sign of a weight is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EventSign {
    /// In each weight: two's complement.
    EachWeight,
    /// One for all weights of a row (C24), in a register of the core.
    EachRow,
}

/// Neurons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventNeuronSpec {
    /// Bits of a neuron's word in memory.
    pub word_bits: Sourced<u32>,
    /// Bits of the potential.
    pub potential_bits: Sourced<u8>,
    /// True where the potential is a two's-complement number, false where it is never below 0.
    pub signed: Sourced<bool>,
    /// Bits of the threshold.
    pub threshold_bits: Sourced<u8>,
    /// Bits of the leak: what a time reference takes from the potential's magnitude.
    pub leak_bits: Sourced<u8>,
}

/// Clock cycles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventTiming {
    /// Nanoseconds of a cycle.
    pub cycle_ns: Sourced<f64>,
    /// Each neuron that an event or a time reference updates.
    pub per_neuron: Sourced<u32>,
    /// Each spike that leaves the core, at a receiver that answers a cycle later.
    pub per_spike: Sourced<u32>,
    /// Each event that comes into the scheduler, with the handshake of its sender.
    pub push: Sourced<u32>,
    /// Each event that leaves the scheduler.
    pub pop: Sourced<u32>,
    /// Each time reference, for the handshake of its sender.
    pub reference: Sourced<u32>,
}

/// Energies in picojoules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventEnergy {
    /// Each update of a neuron by an event.
    pub synapse: Sourced<f64>,
    /// Each update of a neuron by a time reference.
    pub leak: Sourced<f64>,
    /// Each event between the host and the core.
    pub host_spike: Sourced<f64>,
}

/// Image of an event crossbar: what is written over its configuration port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventImage {
    /// Registers: open loop (1 bit), last neuron (as many bits as a neuron's number), sign of each row (a bit a row, 1 = negative; only where the
    /// sign is the row's).
    pub registers: Bits,
    /// Words of the neurons, neuron 0 first.
    pub neurons: Bits,
    /// Synapses: row by row, neuron 0 first within a row.
    pub synapses: Bits,
}

/// The tables, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTables {
    /// True where spikes of the core go to the host alone; false where they also enter the scheduler.
    pub open_loop: bool,
    /// Number of the last neuron that events update.
    pub last_neuron: u8,
    /// True for each row whose weights are negative; empty where weights have signs.
    pub negative_rows: Vec<bool>,
    /// As many as the core has.
    pub neurons: Vec<EventWord>,
    /// Weights as they act, `[row * neurons + neuron]`.
    pub weights: Vec<i8>,
}

/// A neuron of the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventWord {
    /// Potential at load time.
    pub potential: i16,
    /// It fires at this potential and above.
    pub threshold: u16,
    /// What a time reference takes from the potential's magnitude.
    pub leak: u8,
    /// True where its spikes stay within.
    pub disabled: bool,
}

impl EventWord {
    /// A neuron that is not used.
    pub fn unused(spec: &EventCrossbar) -> EventWord {
        EventWord { potential: 0, threshold: ((1u32 << *spec.neuron.threshold_bits) - 1) as u16, leak: 0, disabled: true }
    }
}

impl EventCrossbar {
    /// Least and largest potential.
    pub fn potential_range(&self) -> (i32, i32) {
        let bits = *self.neuron.potential_bits;
        if *self.neuron.signed { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) }
    }
    /// Least and largest weight.
    pub fn weight_range(&self) -> (i8, i8) {
        let bits = *self.weights.weight_bits;
        match *self.weights.sign {
            EventSign::EachWeight => (-(1i16 << (bits - 1)) as i8, ((1i16 << (bits - 1)) - 1) as i8),
            EventSign::EachRow => (-((1i16 << bits) - 1) as i8, ((1i16 << bits) - 1) as i8),
        }
    }
    /// Neurons that an event updates.
    pub fn updated(&self, last_neuron: u8) -> u32 {
        if *self.core.always_all_neurons { *self.core.neurons } else { u32::from(last_neuron) + 1 }
    }
    /// Clock cycles to process an event that is taken from the scheduler: tinyODIN's RTL takes 512 for 256 neurons and no spike, 8 more a spike.
    pub fn event_cycles(&self, last_neuron: u8, spikes: u64) -> u64 {
        let t = &self.timing_cycles;
        u64::from(*t.per_neuron) * u64::from(self.updated(last_neuron)) + u64::from(*t.per_spike) * spikes
    }
}

#[cfg(test)]
mod tests;
