//! The image: what a loader writes to the chip, as real bits, and its decoded tables.
//!
//! Invariant: `codec::encode_core` and `codec::decode_core` are inverse; the bits alone decide what the chip does.
//! docs/bundle-format.md is the law for every field.

use crate::crossbar::CrossbarImage;
use crate::event::EventImage;
use crate::target::{Compression, Sign};
use bitvec::prelude::*;

/// Bits of a memory or table: LSB first within 64-bit words.
pub type Bits = BitVec<u64, Lsb0>;

/// One family's image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    /// The packed family's.
    Packed(PackedImage),
    /// The crossbar family's.
    Crossbar(CrossbarImage),
    /// The event crossbar family's.
    EventCrossbar(EventImage),
}

impl Image {
    /// Name of the family.
    pub fn family(&self) -> &'static str {
        match self {
            Image::Packed(_) => "Packed",
            Image::Crossbar(_) => "Crossbar",
            Image::EventCrossbar(_) => "EventCrossbar",
        }
    }
    /// The packed family's image.
    ///
    /// # Panics
    /// For an image of another family: what is only the packed family's is behind a `match` on the family.
    pub fn packed(&self) -> &PackedImage {
        match self {
            Image::Packed(image) => image,
            other => panic!("an image of the family {}", other.family()),
        }
    }
    /// The packed family's image, to be changed.
    ///
    /// # Panics
    /// As [`Image::packed`].
    pub fn packed_mut(&mut self) -> &mut PackedImage {
        match self {
            Image::Packed(image) => image,
            other => panic!("an image of the family {}", other.family()),
        }
    }
}

/// Image of a packed-family chip or board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedImage {
    /// The cores that are used, ascending by `core`.
    pub cores: Vec<CoreImage>,
}

/// The bits of one core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreImage {
    /// Physical core: chip * cores_per_chip + router * cores_per_router + slot, router = y * width + x.
    pub core: u32,
    /// Registers that the whole core shares: number of compartments, delay bits, table lengths.
    pub registers: Bits,
    /// Synaptic memory, from word 0 to the last word used.
    pub synapse_memory: Bits,
    /// Input axon table ("synapse map").
    pub in_axons: Bits,
    /// Synapse formats; id 0 is the terminator and has no record.
    pub formats: Bits,
    /// Compartment profiles.
    pub compartment_profiles: Bits,
    /// Threshold profiles.
    pub threshold_profiles: Bits,
    /// Compartments.
    pub compartments: Bits,
    /// Output axon table.
    pub out_axons: Bits,
}

/// Synapse format record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SynapseFormat {
    /// Stored weight width in bits.
    pub weight_bits: u8,
    /// Stored index width in bits (Sparse: each synapse; else: the entry's prefix).
    pub index_bits: u8,
    /// Stored skip width in bits (RunLength only, else 0).
    pub skip_bits: u8,
    /// Stored delay width in bits.
    pub delay_bits: u8,
    /// How entries name their posts.
    pub compression: Compression,
    /// Sign mode.
    pub sign: Sign,
    /// Weight exponent.
    pub exponent: i8,
}

/// One synapse as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoredSynapse {
    /// Compartment of this core, less the base of the input axon that reads the list.
    pub index: u16,
    /// Weight mantissa on the format's grid, -256 ..= 255.
    pub mantissa: i16,
    /// Delay register in chip steps: arrival is 1 + delay steps after a neuron's spike, delay steps after a host spike.
    pub delay: u8,
}

/// One synaptic entry: synapses of one format under one header. Dense entries may hold zeros (filler).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SynapseEntry {
    /// Index into `CoreTables::formats` (the stored id is one more: id 0 terminates).
    pub format: u8,
    /// The synapses, indices ascending (strictly for RunLength and Dense).
    pub synapses: Vec<StoredSynapse>,
}

/// A list of synaptic memory: what a spike reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct SynapseList {
    /// Entries in the order of memory.
    pub entries: Vec<SynapseEntry>,
}

impl SynapseList {
    /// All synapses, filler included.
    pub fn synapses(&self) -> impl Iterator<Item = &StoredSynapse> {
        self.entries.iter().flat_map(|e| &e.synapses)
    }
    /// Number of synapses, filler included.
    pub fn len(&self) -> usize {
        self.entries.iter().map(|e| e.synapses.len()).sum()
    }
    /// True without synapses.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An input axon: the list that its spike reads, and where it acts. Axons may share a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InAxon {
    /// Index into `CoreTables::lists`.
    pub list: u16,
    /// Compartment on which a synapse of index 0 acts.
    pub base: u16,
}

impl InAxon {
    /// Compartment on which a synapse of the list acts.
    pub fn compartment(&self, synapse: &StoredSynapse) -> usize {
        usize::from(self.base) + usize::from(synapse.index)
    }
}

/// Compartment profile record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CompartmentProfile {
    /// Effective decay of u in 1/4096, 1 ..= 4096 on Loihi 1 (the register holds it less the target's offset).
    pub decay_u: u16,
    /// Effective decay of v in 1/4096.
    pub decay_v: u16,
    /// Refractory period in steps, 1 = none lost.
    pub refractory: u8,
}

/// Compartment record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compartment {
    /// Index into `compartment_profiles`.
    pub profile: u8,
    /// Index into `threshold_profiles`.
    pub threshold_profile: u8,
    /// Bias mantissa at load time (before the host's schedule writes).
    pub bias_mantissa: i16,
    /// Bias exponent at load time.
    pub bias_exponent: u8,
    /// First entry in `out_axons`.
    pub out_axon_start: u16,
    /// Number of entries in `out_axons`.
    pub out_axon_count: u16,
}

/// Output axon record: one message for each spike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutAxon {
    /// Destination core (physical number).
    pub core: u32,
    /// Input axon of that core.
    pub in_axon: u16,
}

/// A core's tables, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreTables {
    /// Physical core.
    pub core: u32,
    /// Delay bits of the dendritic accumulator: delays reach 2^bits - 2; 0 = no delays.
    pub delay_bits: u8,
    /// Synapse formats.
    pub formats: Vec<SynapseFormat>,
    /// Lists of synaptic memory, in the order in which input axons name them first.
    pub lists: Vec<SynapseList>,
    /// Input axons.
    pub in_axons: Vec<InAxon>,
    /// Compartment profiles.
    pub compartment_profiles: Vec<CompartmentProfile>,
    /// Thresholds: mantissas.
    pub threshold_profiles: Vec<u32>,
    /// Compartments.
    pub compartments: Vec<Compartment>,
    /// Output axons. An off-chip destination takes its extra entries by the target's cost, counted, not stored.
    pub out_axons: Vec<OutAxon>,
}

impl CoreTables {
    /// The list that an input axon reads; empty where there is no such list.
    pub fn list(&self, axon: InAxon) -> &SynapseList {
        static EMPTY: SynapseList = SynapseList { entries: Vec::new() };
        self.lists.get(usize::from(axon.list)).unwrap_or(&EMPTY)
    }
    /// Input axons that read each list.
    pub fn readers(&self) -> Vec<u32> {
        let mut readers = vec![0; self.lists.len()];
        for axon in &self.in_axons {
            if let Some(count) = readers.get_mut(usize::from(axon.list)) {
                *count += 1;
            }
        }
        readers
    }
    /// Synapses that input axons read beyond those that are stored: of a shared list, all of them for each reader but one.
    pub fn read_again(&self) -> u64 {
        let again = |(list, n): (&SynapseList, u32)| list.len() as u64 * u64::from(n.saturating_sub(1));
        self.lists.iter().zip(self.readers()).map(again).sum()
    }
    /// Adds an input axon with a list of its own, whose indices are compartments: its number.
    pub fn push_axon(&mut self, entries: Vec<SynapseEntry>) -> u16 {
        self.in_axons.push(InAxon { list: self.lists.len() as u16, base: 0 });
        self.lists.push(SynapseList { entries });
        (self.in_axons.len() - 1) as u16
    }
    /// Puts lists into the order in which input axons name them first, and leaves out those that none names.
    pub fn order_lists(&mut self) {
        let mut new = vec![None; self.lists.len()];
        let mut lists = Vec::with_capacity(self.lists.len());
        for axon in &mut self.in_axons {
            let Some(number) = new.get_mut(usize::from(axon.list)) else { continue };
            let number = *number.get_or_insert_with(|| {
                lists.push(std::mem::take(&mut self.lists[usize::from(axon.list)]));
                (lists.len() - 1) as u16
            });
            axon.list = number;
        }
        self.lists = lists;
    }
}
