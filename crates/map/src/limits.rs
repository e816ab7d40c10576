//! What a core holds, in the terms of a hypergraph.
//!
//! Invariant: a core within these limits can be packed by the target's own rules; the words are those of the encoding that is always there.

use crate::state::Use;
use spikec_chip::cost;
use spikec_chip::image::SynapseFormat;
use spikec_chip::target::{Compression, Family, Packed, Sign, SynapseMemory, Target};

/// A format in which every list of posts below `neurons` can be stored.
pub fn guaranteed_format(memory: &SynapseMemory, neurons: u32, weight_bits: u8, delay_bits: u8) -> SynapseFormat {
    let widest = |bits: &[u8]| bits.iter().copied().max().unwrap_or(0);
    let compression = [Compression::Sparse, Compression::Dense, Compression::RunLength];
    SynapseFormat {
        weight_bits: cost::stored_weight_bits(memory, weight_bits).unwrap_or_else(|| widest(&memory.weight_bits)),
        index_bits: cost::index_bits(memory, neurons.saturating_sub(1)).unwrap_or_else(|| widest(&memory.index_bits)),
        skip_bits: widest(&memory.skip_bits),
        delay_bits,
        compression: compression.into_iter().find(|c| memory.compressions.contains(c)).unwrap_or(Compression::Sparse),
        sign: Sign::Mixed,
        exponent: 0,
    }
}

/// Words of 0 .. `most` synapses of an axon in such a format, wherever they are.
pub fn words_table(memory: &SynapseMemory, format: &SynapseFormat, most: u32) -> Vec<u32> {
    let bits = |n: u32| match format.compression {
        Compression::Sparse => cost::uncut_bits(memory, format, n),
        Compression::RunLength | Compression::Dense => u64::from(n) * cost::entry_bits(memory, format, 1),
    };
    (0..=most).map(|n| if n == 0 { 0 } else { cost::words(memory, bits(n)) }).collect()
}

/// What limits the neurons of a core beside their axons: labels of which it holds a few kinds only (profiles, thresholds).
#[derive(Debug, Clone)]
pub struct Labels {
    /// Label of each neuron, 0 .. kinds.
    pub of_neuron: Vec<u16>,
    /// Number of labels.
    pub kinds: u16,
    /// Distinct labels that a core holds.
    pub most: u32,
}

/// Neurons that a core holds, which falls with the highest level among them (delays).
#[derive(Debug, Clone)]
pub struct Levels {
    /// Level of each neuron.
    pub of_neuron: Vec<u8>,
    /// Neurons of a core whose highest level this is; not rising.
    pub most_neurons: Vec<u32>,
}

/// Bytes that all of a core shares: what each thing takes of them.
#[derive(Debug, Clone)]
pub struct Memory {
    /// Bytes of a core, less what every core takes.
    pub bytes: u32,
    /// Of a neuron's state.
    pub neuron: u32,
    /// More of each neuron; empty: nothing.
    pub own: Vec<u32>,
    /// Of each of the 2^level slots of a neuron.
    pub slot: u32,
    /// Of an input axon.
    pub in_slot: u32,
    /// Of an output axon entry.
    pub out_entry: u32,
    /// Of a word.
    pub word: u32,
}

impl Memory {
    /// Of a target's core; `None` where it has no budget of bytes. What neurons take beside their state is left out.
    pub fn of(packed: &Packed) -> Option<Memory> {
        let core = &packed.core;
        cost::budget(core).map(|_| Memory {
            bytes: core.core_bytes.saturating_sub(*core.program_bytes),
            neuron: *core.neuron_bytes,
            own: Vec::new(),
            slot: *core.delay_slot_bytes,
            in_slot: *core.in_axon_bytes,
            out_entry: *core.out_axon_entry_bytes,
            word: cost::word_bytes(&packed.synapse_memory),
        })
    }

    /// What a neuron takes beside what all do.
    pub fn own(&self, neuron: u32) -> i64 {
        self.own.get(neuron as usize).map_or(0, |&bytes| bytes.into())
    }

    /// Bytes of what a core holds whose highest level is `level`.
    pub fn taken(&self, used: &Use, level: u32) -> i64 {
        let neuron = i64::from(self.neuron) + (i64::from(self.slot) << level.min(16));
        used.own
            + used.neurons * neuron
            + used.in_slots * i64::from(self.in_slot)
            + used.out_entries * i64::from(self.out_entry)
            + used.words * i64::from(self.word)
    }
}

/// What a core holds.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Neurons of a core.
    pub neurons: u32,
    /// Input axons: one for each distinct axon that enters.
    pub in_slots: u32,
    /// Output axon entries.
    pub out_entries: u32,
    /// Destination cores of one neuron.
    pub out_per_neuron: u32,
    /// Entries of a destination on the neuron's own chip.
    pub entry_cost: u32,
    /// Entries more of one on another chip.
    pub off_chip_extra: u32,
    /// Words of synaptic memory.
    pub words: u32,
    /// `words_of[class][n]`: words of an axon's n synapses on one core; the last entry stands for more.
    pub words_of: Vec<Vec<u32>>,
    /// Class of each axon; empty: all 0.
    pub class_of_axon: Vec<u8>,
    /// Labels.
    pub labels: Vec<Labels>,
    /// Levels.
    pub levels: Option<Levels>,
    /// Bytes that everything above shares.
    pub memory: Option<Memory>,
}

impl Limits {
    /// What a target's core holds of synapses that are all of one kind: `format` is that of the sparse entries, or of entries of one synapse
    /// where the target has no sparse ones. The mesh is the board of the benchmark: as many cores as are needed, on one chip.
    ///
    /// A crossbar holds synapses for nothing: its axons and neurons are what a core has. An event crossbar is one core, with its rows for axons.
    pub fn uniform(target: &Target, weight_bits: u8) -> Limits {
        let crossbar = |neurons: u32, in_slots: u32| Limits {
            neurons,
            in_slots,
            // One neuron may stand several times in its core, a destination each: the compiler's affair, not the benchmark's.
            out_entries: i32::MAX as u32,
            out_per_neuron: i32::MAX as u32,
            entry_cost: 0,
            off_chip_extra: 0,
            words: i32::MAX as u32,
            words_of: vec![vec![0]],
            class_of_axon: Vec::new(),
            labels: Vec::new(),
            levels: None,
            memory: None,
        };
        match &target.family {
            Family::Crossbar(x) => return crossbar(*x.core.neurons, *x.core.axons),
            Family::EventCrossbar(x) => return crossbar(*x.core.neurons, *x.core.rows),
            Family::Packed(_) => {}
        }
        let (core, memory) = (&target.packed().core, &target.packed().synapse_memory);
        let neurons = (*core.compartments).min(u32::from(u16::MAX));
        let format = guaranteed_format(memory, neurons, weight_bits, 0);
        Limits {
            neurons,
            in_slots: *core.in_axons,
            out_entries: *core.out_axon_entries,
            out_per_neuron: *core.out_axons_per_neuron,
            entry_cost: cost::out_axon_entries(core, false),
            off_chip_extra: 0,
            words: *memory.usable_words,
            words_of: vec![words_table(memory, &format, neurons)],
            class_of_axon: Vec::new(),
            labels: Vec::new(),
            levels: None,
            memory: Memory::of(target.packed()),
        }
    }

    /// True when a core that holds this has bytes for it.
    pub fn bytes_fit(&self, used: &Use, level: u32) -> bool {
        self.memory.as_ref().is_none_or(|m| m.taken(used, level) <= m.bytes.into())
    }

    /// Bytes beyond those of a core, as a share of them.
    pub fn bytes_over(&self, used: &Use, level: u32) -> f64 {
        self.memory.as_ref().map_or(0.0, |m| (m.taken(used, level) - i64::from(m.bytes)).max(0) as f64 / f64::from(m.bytes.max(1)))
    }

    /// Share of its bytes that a core uses.
    pub fn bytes_share(&self, used: &Use, level: u32) -> f64 {
        self.memory.as_ref().map_or(0.0, |m| m.taken(used, level) as f64 / f64::from(m.bytes.max(1)))
    }

    /// Out entries that a core can have beside what else it uses.
    pub fn entries_beside(&self, used: &Use, level: u32) -> i64 {
        let most = i64::from(self.out_entries);
        match &self.memory {
            Some(m) if m.out_entry > 0 => {
                let free = i64::from(m.bytes) - m.taken(&Use { out_entries: 0, ..*used }, level);
                most.min(free.div_euclid(m.out_entry.into()))
            }
            // Entries take none, but the others may be too many.
            Some(_) if !self.bytes_fit(used, level) => -1,
            _ => most,
        }
    }

    /// Words of `synapses` of an axon on one core.
    pub fn words(&self, axon: u32, synapses: u32) -> u32 {
        let class = self.class_of_axon.get(axon as usize).map_or(0, |&c| usize::from(c));
        let table = &self.words_of[class];
        match table.get(synapses as usize) {
            Some(&w) => w,
            // Beyond the table: as many whole tables, and the rest.
            None => {
                let most = table.len() as u32 - 1;
                table[most as usize].saturating_mul(synapses / most.max(1)) + table[(synapses % most.max(1)) as usize]
            }
        }
    }
}
