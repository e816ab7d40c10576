//! `Target`: what a chip can hold, how long and how much energy things take. Data from `targets/*.ron`.
//!
//! Invariant: no chip number stands in code; every number carries its source and a confidence.

use crate::crossbar::Crossbar;
use crate::event::EventCrossbar;
use serde::{Deserialize, Serialize};

/// How far a number can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Confidence {
    /// Read in public code or documents.
    Public,
    /// Calibrated by others against silicon.
    Calibrated,
    /// Measured on the chip's own RTL.
    MeasuredOnRtl,
    /// From memory, inferred or chosen.
    Assumed,
    /// Chosen where nothing is known: another number may be as good.
    Guess,
}

impl Confidence {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Confidence::Public => "public",
            Confidence::Calibrated => "calibrated",
            Confidence::MeasuredOnRtl => "measured on RTL",
            Confidence::Assumed => "assumed",
            Confidence::Guess => "guess",
        }
    }
}

/// A value with its source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it was read.
    pub source: String,
    /// How far it can be trusted.
    pub confidence: Confidence,
}

/// The source of a number that a file may leave out, and does.
pub(crate) const NOT_GIVEN: &str = "not given";

impl<T: Default + PartialEq> Sourced<T> {
    /// A number that a file leaves out: 0, of which neither file nor list has a trace.
    fn not_given() -> Self {
        Sourced { value: T::default(), source: NOT_GIVEN.into(), confidence: Confidence::Assumed }
    }
    /// True for such a number.
    pub fn is_not_given(&self) -> bool {
        self.source == NOT_GIVEN && self.value == T::default()
    }
}

impl<T> std::ops::Deref for Sourced<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// A chip description.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Name, as given to `--target`.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// Chips, cores and the mesh.
    pub topology: Topology,
    /// The family and everything that only it has.
    pub family: Family,
}

/// Families of chips; one module each in compiler and simulator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Family {
    /// Synaptic entries packed into memory words, axon tables, formats and profiles (Loihi 1, Loihi-2-like).
    Packed(Box<Packed>),
    /// A binary crossbar of typed axons by neurons, one destination a neuron (RANC, TrueNorth).
    Crossbar(Box<Crossbar>),
    /// One core whose neurons are updated at every event (tinyODIN, ODIN).
    EventCrossbar(Box<EventCrossbar>),
}

impl Family {
    /// Name as in target files.
    pub fn name(&self) -> &'static str {
        match self {
            Family::Packed(_) => "Packed",
            Family::Crossbar(_) => "Crossbar",
            Family::EventCrossbar(_) => "EventCrossbar",
        }
    }
}

impl Target {
    /// The packed family's description.
    ///
    /// # Panics
    /// For a target of another family: what is only the packed family's is behind a `match` on the family.
    pub fn packed(&self) -> &Packed {
        match &self.family {
            Family::Packed(p) => p,
            other => panic!("target {} is of the family {}", self.name, other.name()),
        }
    }
    /// The packed family's description, to be changed.
    ///
    /// # Panics
    /// As [`Target::packed`].
    pub fn packed_mut(&mut self) -> &mut Packed {
        match &mut self.family {
            Family::Packed(p) => p,
            other => panic!("the target is of the family {}", other.name()),
        }
    }
    /// Largest delay of a neuron's spike in chip steps, the hop included, that needs no neuron that repeats it; `None`: any.
    pub fn longest_delay(&self) -> Option<u32> {
        let hop = *self.topology.neuron_hop_steps;
        match &self.family {
            Family::Packed(p) => Some(hop + *p.synapse_memory.max_delay),
            Family::Crossbar(c) => Some(hop + *c.routing.max_delay),
            Family::EventCrossbar(_) => None,
        }
    }
    /// Cores of the whole board that can hold neurons: at a crossbar's output bus stands none.
    pub fn usable_cores(&self) -> u32 {
        self.total_cores() - u32::from(matches!(self.family, Family::Crossbar(_)))
    }
    /// Number of cores of the whole board.
    pub fn total_cores(&self) -> u32 {
        *self.topology.chips * self.topology.cores_per_chip()
    }
}

/// Chips, cores and the mesh.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// Shape of the network on chip.
    pub kind: Sourced<TopologyKind>,
    /// Routers in x.
    pub width: Sourced<u32>,
    /// Routers in y.
    pub height: Sourced<u32>,
    /// Cores at each router.
    pub cores_per_router: Sourced<u32>,
    /// Chips of the board.
    pub chips: Sourced<u32>,
    /// Chips side by side in x; chip k stands in column k % chip_columns, row k / chip_columns. The mesh goes on across their borders.
    pub chip_columns: Sourced<u32>,
    /// Routing.
    pub routing: Sourced<Routing>,
    /// How a spike reaches several cores.
    pub cast: Sourced<Cast>,
    /// Messages that a link buffers.
    pub link_buffer: Sourced<u32>,
    /// Flits of a spike message.
    pub flits_per_spike: Sourced<u32>,
    /// When the mesh is flushed at the end of a step (timing level `cycle` only).
    pub flush: Sourced<Flush>,
    /// Router (x, y) where host spikes and host writes enter the mesh.
    pub host_port: Sourced<(u32, u32)>,
    /// Chip steps from a host spike's injection to its earliest effect (0: inserted before the step in which it acts).
    pub input_hop_steps: Sourced<u32>,
    /// Chip steps from a neuron's spike to its earliest effect on another.
    pub neuron_hop_steps: Sourced<u32>,
}

impl Topology {
    /// Cores of one chip.
    pub fn cores_per_chip(&self) -> u32 {
        *self.width * *self.height * *self.cores_per_router
    }
}

/// Shape of the network on chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TopologyKind {
    /// Mesh with several cores at a router.
    ConcentratedMesh,
    /// Mesh with one core at a router.
    Mesh,
}

/// Routing of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Routing {
    /// X first, then Y.
    DimensionOrderXy,
}

/// How a spike reaches several cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cast {
    /// One message for each destination core.
    Unicast,
}

/// When the messages in flight are flushed at the end of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Flush {
    /// After the last core's update: the step ends as long after it as the mesh takes to drain after the last message was sent.
    AfterUpdate,
    /// Along with the update: the step ends when both are over.
    WithUpdate,
}

/// Description of the packed family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packed {
    /// What a core holds.
    pub core: PackedCore,
    /// Synaptic memory and its formats.
    pub synapse_memory: SynapseMemory,
    /// Weights.
    pub weights: WeightSpec,
    /// Neurons.
    pub neuron: NeuronSpec,
    /// Nanoseconds.
    pub timing_ns: TimingNs,
    /// Picojoules.
    pub energy_pj: EnergyPj,
}

/// What a core holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackedCore {
    /// Compartments (C01).
    pub compartments: Sourced<u32>,
    /// Compartments are updated in groups of this many.
    pub update_group: Sourced<u32>,
    /// Input axons (C02).
    pub in_axons: Sourced<u32>,
    /// Output axon entries (C03).
    pub out_axon_entries: Sourced<u32>,
    /// Output axons of one neuron (C04).
    pub out_axons_per_neuron: Sourced<u32>,
    /// Entries of a discrete output axon.
    pub out_axon_cost_discrete: Sourced<u32>,
    /// Entries of a population output axon.
    pub out_axon_cost_population: Sourced<u32>,
    /// Entries more when the destination is on another chip.
    pub out_axon_cost_off_chip_extra: Sourced<u32>,
    /// Compartment profiles: distinct (decay_u, decay_v, refractory) (C09).
    pub compartment_profiles: Sourced<u32>,
    /// Threshold profiles: distinct thresholds (C09).
    pub threshold_profiles: Sourced<u32>,
    /// Dendritic accumulator slots: compartments * 2^delay_bits (C11).
    pub delay_slots_total: Sourced<u32>,
    /// Bytes of the memory that all of a core shares (C27); 0: there is no such memory, and nothing below is charged.
    #[serde(default = "Sourced::not_given", skip_serializing_if = "Sourced::is_not_given")]
    pub core_bytes: Sourced<u32>,
    /// Bytes of it that the neurons' program and the small tables take on every core.
    #[serde(default = "Sourced::not_given", skip_serializing_if = "Sourced::is_not_given")]
    pub program_bytes: Sourced<u32>,
    /// Bytes of a compartment's state.
    #[serde(default = "Sourced::not_given", skip_serializing_if = "Sourced::is_not_given")]
    pub neuron_bytes: Sourced<u32>,
    /// Bytes more of one whose current u outlives a step.
    #[serde(default = "Sourced::not_given", skip_serializing_if = "Sourced::is_not_given")]
    pub current_bytes: Sourced<u32>,
    /// Bytes of a slot of the dendritic accumulator: 2^delay_bits for each compartment.
    #[serde(default = "Sourced::not_given", skip_serializing_if = "Sourced::is_not_given")]
    pub delay_slot_bytes: Sourced<u32>,
    /// Bytes of an input axon, its words apart.
    #[serde(default = "Sourced::not_given", skip_serializing_if = "Sourced::is_not_given")]
    pub in_axon_bytes: Sourced<u32>,
    /// Bytes of an output axon entry.
    #[serde(default = "Sourced::not_given", skip_serializing_if = "Sourced::is_not_given")]
    pub out_axon_entry_bytes: Sourced<u32>,
}

/// Synaptic memory and its formats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SynapseMemory {
    /// Words that exist.
    pub words: Sourced<u32>,
    /// Words that may be used (C05).
    pub usable_words: Sourced<u32>,
    /// Bits of a word.
    pub word_bits: Sourced<u32>,
    /// Words of one input axon (C06).
    pub max_words_per_axon: Sourced<u32>,
    /// An axon's list leaves at least this many free bits for the terminator in its last word, or takes one word more; 0: lists have no
    /// terminator.
    pub terminator_min_free_bits: Sourced<u32>,
    /// Distinct formats of a core (C08).
    pub max_formats: Sourced<u32>,
    /// Bits of the format id that heads an entry.
    pub format_id_bits: Sourced<u32>,
    /// Bits of the synapse count that heads an entry.
    pub count_bits: Sourced<u32>,
    /// Synapses of one entry (C07).
    pub max_synapses_per_entry: Sourced<u32>,
    /// An entry takes a multiple of this many bits.
    pub entry_align_bits: Sourced<u32>,
    /// Weight widths that can be stored.
    pub weight_bits: Sourced<Vec<u8>>,
    /// Index widths that can be stored (C15).
    pub index_bits: Sourced<Vec<u8>>,
    /// Skip widths that can be stored.
    pub skip_bits: Sourced<Vec<u8>>,
    /// Delay widths that can be stored (C11: delay <= 2^bits - 2; 0 bits: no delay).
    pub delay_bits: Sourced<Vec<u8>>,
    /// Largest delay register (C11).
    pub max_delay: Sourced<u32>,
    /// Compressions.
    pub compressions: Sourced<Vec<Compression>>,
    /// Largest compartment base of an input axon; 0: input axons have no base, and none shares the words of another.
    #[serde(default = "no_base")]
    pub max_axon_base: Sourced<u32>,
}

/// What a target file says that is silent about bases.
fn no_base() -> Sourced<u32> {
    Sourced { value: 0, source: "not given: no input axon shares words".into(), confidence: Confidence::Assumed }
}

/// How an entry names its posts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Compression {
    /// An index with each synapse.
    Sparse,
    /// A first index, then the gap to the next post with each synapse.
    RunLength,
    /// A first index, then consecutive posts.
    Dense,
}

/// Weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightSpec {
    /// Signs that formats can have (C12).
    pub signs: Sourced<Vec<Sign>>,
    /// Mantissa bits, sign not counted.
    pub mantissa_bits: Sourced<u8>,
    /// Smallest and largest exponent (C12).
    pub exponent: Sourced<(i8, i8)>,
    /// Weights act as floor(mantissa * 2^exponent) * 2^align_shift.
    pub align_shift: Sourced<u8>,
    /// Acting weights are clipped to +-(2^limit_bits - 2^align_shift).
    pub limit_bits: Sourced<u8>,
    /// Rule for mantissas off the grid.
    pub off_grid: Sourced<OffGrid>,
    /// Where the exponent acts.
    pub exponent_shift: Sourced<ExponentShift>,
}

/// Sign mode of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Sign {
    /// Both signs.
    Mixed,
    /// Not negative.
    Excitatory,
    /// Not positive.
    Inhibitory,
}

/// Rule for weight mantissas that are no multiple of the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OffGrid {
    /// Toward zero (Brian2Loihi).
    TowardZero,
}

/// Where a weight's exponent acts; public models differ for negative exponents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExponentShift {
    /// On each weight, which is floored, before the sum.
    EachWeight,
}

/// Neurons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeuronSpec {
    /// What a compartment computes in a step.
    pub model: Sourced<CompartmentModel>,
    /// Bits of the accumulated input of one step, sign not counted (C14: reported bound).
    pub input_bits: Sourced<u8>,
    /// Bits of u, sign included.
    pub u_bits: Sourced<u8>,
    /// What u does beyond its bits.
    pub u_overflow: Sourced<CurrentOverflow>,
    /// What v does beyond `v_min` and `v_max`.
    pub v_overflow: Sourced<PotentialOverflow>,
    /// Smallest v (clipped).
    pub v_min: Sourced<i32>,
    /// Largest v (clipped).
    pub v_max: Sourced<i32>,
    /// Bits of the decays: a decay d keeps (2^bits - d) / 2^bits.
    pub decay_bits: Sourced<u8>,
    /// How decayed values are rounded.
    pub decay_rounding: Sourced<DecayRounding>,
    /// Offset from the register to the effective decay of u.
    pub u_decay_offset: Sourced<u16>,
    /// Offset from the register to the effective decay of v.
    pub v_decay_offset: Sourced<u16>,
    /// Bits of the threshold's mantissa (C13).
    pub threshold_mantissa_bits: Sourced<u8>,
    /// Thresholds are mantissa * 2^shift.
    pub threshold_shift: Sourced<u8>,
    /// How v is compared with the threshold.
    pub compare: Sourced<Compare>,
    /// Bits of the bias's mantissa, sign included (C13).
    pub bias_mantissa_bits: Sourced<u8>,
    /// Largest exponent of a bias (C13).
    pub bias_exponent_max: Sourced<u8>,
    /// Smallest and largest refractory period in steps, 1 = none lost.
    pub refractory: Sourced<(u8, u8)>,
    /// Resets that a neuron can have.
    pub resets: Sourced<Vec<Reset>>,
    /// Compartments of a neuron with soft reset.
    pub soft_reset_compartments: Sourced<u32>,
    /// Bits of a payload that the chip's spikes can carry beside their event; no image here has any. 0: spikes are events alone.
    #[serde(default = "Sourced::not_given", skip_serializing_if = "Sourced::is_not_given")]
    pub payload_bits: Sourced<u8>,
}

/// What a compartment computes in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CompartmentModel {
    /// A leaky current u that a leaky potential v integrates (docs/semantics.md, section 3).
    CubaLif,
}

/// What u does beyond its bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CurrentOverflow {
    /// Its low bits stay, as a two's-complement number.
    Wrap,
}

/// What v does beyond its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PotentialOverflow {
    /// It stays at the end of the range.
    Clip,
}

/// How decayed values are rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DecayRounding {
    /// Their magnitude is floored.
    TowardZero,
}

/// How v is compared with the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compare {
    /// v > threshold.
    StrictlyGreater,
}

/// Reset of a neuron.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reset {
    /// v := 0.
    Zero,
}

/// Times in nanoseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimingNs {
    /// Each neuron in each step.
    pub neuron_access: Sourced<f64>,
    /// More for an active neuron.
    pub neuron_update: Sourced<f64>,
    /// More for a neuron that fires.
    pub spike_out: Sourced<f64>,
    /// Each message sent.
    pub axon_out: Sourced<f64>,
    /// Each message received.
    pub axon_in: Sourced<f64>,
    /// Each synapse of a dense entry.
    pub synapse_dense: Sourced<f64>,
    /// Each synapse of a sparse or run-length entry.
    pub synapse_sparse: Sourced<f64>,
    /// Each synapse of a shared kernel.
    pub synapse_conv: Sourced<f64>,
    /// Each hop in x.
    pub hop_x: Sourced<f64>,
    /// Each hop in y.
    pub hop_y: Sourced<f64>,
    /// Each hop across the border of two chips, in either direction.
    pub hop_chip: Sourced<f64>,
    /// From a core (or the host) into its router, and again from the router into a core.
    pub local_port: Sourced<f64>,
    /// From one flit to the next on a link or local port within a chip.
    pub link_flit: Sourced<f64>,
    /// From one flit to the next on a link between two chips.
    pub chip_link_flit: Sourced<f64>,
    /// (tiles, ns): the barrier by mapped tiles; the entry with the largest key <= tiles holds.
    pub barrier_by_tiles: Sourced<Vec<(u32, f64)>>,
    /// Each write of the host to a register.
    pub host_write: Sourced<f64>,
    /// Each message that the host sends.
    pub host_spike: Sourced<f64>,
}

/// Energies in picojoules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnergyPj {
    /// Each neuron in each step.
    pub neuron_access: Sourced<f64>,
    /// More for an active neuron.
    pub neuron_update: Sourced<f64>,
    /// More for a neuron that fires.
    pub spike_out: Sourced<f64>,
    /// Each message sent.
    pub axon_out: Sourced<f64>,
    /// Each message received.
    pub axon_in: Sourced<f64>,
    /// Each synapse of a dense entry.
    pub synapse_dense: Sourced<f64>,
    /// Each synapse of a sparse or run-length entry.
    pub synapse_sparse: Sourced<f64>,
    /// Each synapse of a shared kernel.
    pub synapse_conv: Sourced<f64>,
    /// Each hop in x.
    pub hop_x: Sourced<f64>,
    /// Each hop in y.
    pub hop_y: Sourced<f64>,
    /// Each hop across the border of two chips, in either direction.
    pub hop_chip: Sourced<f64>,
    /// Each write of the host to a register.
    pub host_write: Sourced<f64>,
    /// Each message that the host sends.
    pub host_spike: Sourced<f64>,
}
