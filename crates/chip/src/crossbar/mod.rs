//! The crossbar family (RANC, TrueNorth): what a core holds, and its image.
//!
//! A core is a binary crossbar of axons by neurons. Each axon has a type, each neuron a weight for each type and one destination: a spike
//! goes to one axon of one core, after a number of ticks. The step law is docs/semantics.md, section 10.

mod codec;

pub use codec::{CrossbarError, CrossbarProblem, CrossbarTable, decode_core, encode_core};

use crate::image::Bits;
use crate::target::Sourced;
use serde::{Deserialize, Serialize};

/// Description of the crossbar family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crossbar {
    /// What a core holds.
    pub core: CrossbarCore,
    /// Neurons.
    pub neuron: CrossbarNeuronSpec,
    /// Destinations.
    pub routing: CrossbarRouting,
    /// Clock cycles.
    pub timing_cycles: CrossbarTiming,
    /// Picojoules.
    pub energy_pj: CrossbarEnergy,
}

/// What a core holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrossbarCore {
    /// Axons: rows of the crossbar.
    pub axons: Sourced<u32>,
    /// Neurons: columns of the crossbar.
    pub neurons: Sourced<u32>,
    /// Types of axons, and weights of each neuron (C17).
    pub axon_types: Sourced<u32>,
    /// Ticks for which an axon's spikes can wait, the present one included.
    pub delay_slots: Sourced<u32>,
}

/// Neurons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrossbarNeuronSpec {
    /// Bits of the potential and of its reset value, sign included.
    pub potential_bits: Sourced<u8>,
    /// Bits of a weight, sign included.
    pub weight_bits: Sourced<u8>,
    /// Bits of the leak, sign included: it is added in every tick.
    pub leak_bits: Sourced<u8>,
    /// Bits of the thresholds, sign included.
    pub threshold_bits: Sourced<u8>,
    /// What the potential does beyond its bits.
    pub overflow: Sourced<Overflow>,
    /// How the potential is compared with the negative threshold.
    pub negative_compare: Sourced<NegativeCompare>,
    /// Resets that a neuron can have.
    pub resets: Sourced<Vec<CrossbarReset>>,
}

/// What a potential does beyond its bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Overflow {
    /// Its low bits stay, as a two's-complement number.
    Wrap,
    /// It stays at the end of its range, once the inputs and the leak of the tick are added up.
    Saturate,
    /// It is a number of the host's that nothing bounds; what passes the bits is refused.
    Unbounded,
}

/// How a potential is compared with the negative threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum NegativeCompare {
    /// potential < threshold.
    Less,
    /// potential <= threshold.
    LessEqual,
}

/// What a spike, or a potential beyond the negative threshold, does to the potential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CrossbarReset {
    /// The reset value after a spike, its negative beyond the negative threshold.
    Absolute,
    /// The threshold that was passed is taken away.
    Linear,
}

/// Destinations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrossbarRouting {
    /// Bits of the offset to a destination core in x and in y each, sign included (C19).
    pub offset_bits: Sourced<u8>,
    /// Largest delay of a destination in ticks: a spike of tick t acts in tick t + 1 + delay.
    pub max_delay: Sourced<u32>,
    /// Router (x, y) at which the output bus stands instead of a core: a spike sent there leaves the chip, its axon being the number of the output.
    pub output_bus: Sourced<(u32, u32)>,
    /// Outputs of the bus.
    pub outputs: Sourced<u32>,
}

/// Clock cycles. A tick of a core takes `neurons * (axons + per_neuron) + per_tick` and what its packets wait.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrossbarTiming {
    /// Nanoseconds of a cycle.
    pub cycle_ns: Sourced<f64>,
    /// Each neuron in each tick, beside a cycle an axon.
    pub per_neuron: Sourced<u32>,
    /// Each tick.
    pub per_tick: Sourced<u32>,
    /// Each packet on a link or a port of a router.
    pub merge: Sourced<u32>,
    /// Ticks come this many nanoseconds apart where that is longer than the slowest core takes; 0: as fast as the cores.
    pub tick_ns: Sourced<f64>,
}

/// Energies in picojoules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrossbarEnergy {
    /// Each synapse that a spike reaches.
    pub synapse: Sourced<f64>,
    /// Each neuron of a used core in each tick.
    pub neuron_update: Sourced<f64>,
    /// Each neuron that fires.
    pub spike_out: Sourced<f64>,
    /// Each hop of a packet.
    pub hop: Sourced<f64>,
    /// Each packet that the host sends.
    pub host_spike: Sourced<f64>,
}

/// Image of a crossbar chip.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CrossbarImage {
    /// The cores that are used, ascending by `core`.
    pub cores: Vec<CrossbarCoreImage>,
}

/// The bits of one core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrossbarCoreImage {
    /// Physical core: y * width + x.
    pub core: u32,
    /// Types of the axons, axon 0 first, as many bits each as the types take.
    pub types: Bits,
    /// Rows of the neurons, neuron 0 first. A row from its highest bit to its lowest: connections (the last axon first), potential, reset value,
    /// weights (type 0 first), leak, positive threshold, negative threshold, reset mode, dx, dy, axon, delay.
    pub rows: Bits,
}

/// One core's tables, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrossbarTables {
    /// Physical core.
    pub core: u32,
    /// Type of each axon; as many as the core has axons.
    pub types: Vec<u8>,
    /// As many as the core has neurons.
    pub neurons: Vec<CrossbarRow>,
}

/// A neuron of a core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrossbarRow {
    /// Axons whose spikes the neuron gets, ascending.
    pub connections: Vec<u16>,
    /// Potential at load time.
    pub potential: i32,
    /// Reset value.
    pub reset: i32,
    /// Weight for each type.
    pub weights: Vec<i32>,
    /// Added in each tick.
    pub leak: i32,
    /// It fires at this potential and above.
    pub positive_threshold: i32,
    /// Below this potential (or at it: `NegativeCompare`) it is reset without a spike.
    pub negative_threshold: i32,
    /// How it is reset.
    pub mode: CrossbarReset,
    /// Where its spikes go.
    pub destination: Destination,
}

/// Where a neuron's spikes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Destination {
    /// Routers to the east (negative: west).
    pub dx: i32,
    /// Routers to the north, the direction of larger y (negative: south).
    pub dy: i32,
    /// Axon there, or output of the bus.
    pub axon: u16,
    /// Ticks that the spike waits: it acts in tick t + 1 + delay.
    pub delay: u8,
}

impl CrossbarRow {
    /// A neuron that is not used: it hears nothing and never fires.
    pub fn unused(spec: &Crossbar) -> CrossbarRow {
        let most = |bits: u8| ((1i64 << (bits - 1)) - 1) as i32;
        CrossbarRow {
            connections: Vec::new(),
            potential: 0,
            reset: 0,
            weights: vec![0; *spec.core.axon_types as usize],
            leak: 0,
            positive_threshold: most(*spec.neuron.threshold_bits),
            negative_threshold: -most(*spec.neuron.threshold_bits),
            mode: CrossbarReset::Absolute,
            destination: Destination::default(),
        }
    }
    /// True for a row as [`CrossbarRow::unused`] makes it.
    pub fn is_unused(&self, spec: &Crossbar) -> bool {
        *self == CrossbarRow::unused(spec)
    }
}

impl Crossbar {
    /// Bits of an axon's type.
    pub fn type_bits(&self) -> u8 {
        crate::bits::bits_for(u64::from(*self.core.axon_types) - 1)
    }
    /// Bits of a destination's axon: the axons of a core or the outputs of the bus, whichever are more.
    pub fn axon_bits(&self) -> u8 {
        crate::bits::bits_for(u64::from((*self.core.axons).max(*self.routing.outputs)) - 1)
    }
    /// Bits of a destination's delay.
    pub fn delay_bits(&self) -> u8 {
        crate::bits::bits_for(u64::from(*self.core.delay_slots) - 1)
    }
    /// Bits of a neuron's row.
    pub fn row_bits(&self) -> usize {
        let n = &self.neuron;
        *self.core.axons as usize
            + 2 * usize::from(*n.potential_bits)
            + *self.core.axon_types as usize * usize::from(*n.weight_bits)
            + usize::from(*n.leak_bits)
            + 2 * usize::from(*n.threshold_bits)
            + 1
            + 2 * usize::from(*self.routing.offset_bits)
            + usize::from(self.axon_bits())
            + usize::from(self.delay_bits())
    }
    /// Clock cycles of a core in a tick without stalls (RANC's RTL: 66,051 for 256 neurons and 256 axons).
    pub fn tick_cycles(&self) -> u64 {
        let t = &self.timing_cycles;
        u64::from(*self.core.neurons) * (u64::from(*self.core.axons) + u64::from(*t.per_neuron)) + u64::from(*t.per_tick)
    }
}

#[cfg(test)]
mod tests;
