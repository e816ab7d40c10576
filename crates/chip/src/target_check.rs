//! Checks that a target's numbers can be used together.
//!
//! In: a [`Target`]. Out: all findings, sorted by key.
//! Invariant: on a target without findings neither the cost model nor the codec overflows or panics, every index type
//! of [`crate::image`] holds every index, and what is compiled for it boots and can be verified: no step of docs/semantics.md passes 32 bits.
//! Why: a chip description is input; nothing later asks again.

use crate::cost::{self, delay_limit};
use crate::crossbar::Crossbar;
use crate::event::{EventCrossbar, EventSign};
use crate::target::*;
use std::fmt::{Debug, Display};

/// A number of a target that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{key}: found {found}, expected {expected}")]
pub struct TargetFinding {
    /// Path of the key.
    pub key: String,
    /// What stands there.
    pub found: String,
    /// What would do.
    pub expected: String,
}

impl TargetFinding {
    /// A remedy.
    pub fn hint(&self) -> String {
        format!("set {} to {}", self.key, self.expected)
    }
}

/// Most bits of one core's synaptic memory, and most cores of a board, that the tools handle.
const MOST_MEMORY_BITS: u64 = 1 << 32;
const MOST_CORES: u64 = 1 << 20;
/// Most bytes that one thing of a core is charged with.
const MOST_BYTES: u32 = 1 << 16;
/// Most chip steps of a hop: delays and skews of a whole network stay small numbers.
const MOST_HOP_STEPS: i64 = 16;
/// Bits of a weight mantissa, sign not counted: weights are handled with this many, whatever is stored of them.
const MANTISSA_BITS: i64 = 8;
/// Bits of a decay: the step law is in 1/4096 (docs/semantics.md, section 3).
const DECAY_BITS: i64 = 12;
/// Largest magnitude of v, and widths at which the sums of a step stay within 32 bits.
const MOST_V: i64 = 1 << 29;
const MOST_U_BITS: i64 = 28;
const MOST_INPUT_BITS: i64 = 29;
const MOST_LIMIT_BITS: i64 = 27;
const MOST_ALIGN_SHIFT: i64 = 12;
const MOST_BIAS_EXPONENT: i64 = 12;
const MOST_THRESHOLD_SHIFT: i64 = 24;
/// Largest time in ns (a second) and largest energy in pJ of one event.
const MOST_COST: f64 = 1e9;

impl Target {
    /// All numbers that contradict each other or that no chip can have, sorted by key.
    pub fn check(&self) -> Vec<TargetFinding> {
        let mut c = Checker(Vec::new());
        c.require("name", &self.name, !self.name.trim().is_empty(), "a name");
        for n in self.numbers() {
            if n.source.trim().is_empty() {
                c.require(&n.key, "no source", false, "where the number was read");
            }
        }
        c.topology(&self.topology);
        match &self.family {
            Family::Packed(p) => c.packed(p),
            Family::Crossbar(x) => c.crossbar(x, &self.topology),
            Family::EventCrossbar(e) => c.event_crossbar(e, &self.topology),
        }
        c.0.sort();
        c.0.dedup();
        c.0
    }
}

struct Checker(Vec<TargetFinding>);

impl Checker {
    fn require(&mut self, key: &str, found: impl Debug, holds: bool, expected: impl Display) {
        if !holds {
            self.0.push(TargetFinding { key: key.into(), found: format!("{found:?}"), expected: expected.to_string() });
        }
    }

    fn range<T: Copy + Into<i64>>(&mut self, key: &str, found: T, min: i64, max: i64) {
        let found = found.into();
        self.require(key, found, (min..=max).contains(&found), format_args!("{min} ..= {max}"));
    }

    /// A list of widths: ascending, without repetition, each within `min ..= max`.
    fn widths(&mut self, key: &str, widths: &[u8], min: u8, max: u8) {
        let holds = !widths.is_empty() && widths.windows(2).all(|w| w[0] < w[1]) && widths.iter().all(|w| (min..=max).contains(w));
        self.require(key, widths, holds, format_args!("ascending widths within {min} ..= {max}"));
    }

    /// A list of kinds: not empty, without repetition.
    fn kinds<T: Debug + PartialEq>(&mut self, key: &str, kinds: &[T]) {
        let holds = !kinds.is_empty() && (1..kinds.len()).all(|i| !kinds[..i].contains(&kinds[i]));
        self.require(key, kinds, holds, "at least one, none twice");
    }

    fn topology(&mut self, t: &Topology) {
        self.range("topology.width", *t.width, 1, 1 << 15);
        self.range("topology.height", *t.height, 1, 1 << 15);
        self.range("topology.cores_per_router", *t.cores_per_router, 1, 1 << 15);
        self.range("topology.chips", *t.chips, 1, 1 << 15);
        self.range("topology.chip_columns", *t.chip_columns, 1, i64::from(*t.chips).max(1));
        let factors = [*t.width, *t.height, *t.cores_per_router, *t.chips];
        let cores = factors.iter().try_fold(1u64, |product, &f| product.checked_mul(u64::from(f)));
        let found = format!("{} chips of {} x {} x {} cores", *t.chips, *t.width, *t.height, *t.cores_per_router);
        self.require("topology.chips", found, cores.is_some_and(|n| n <= MOST_CORES), format_args!("at most {MOST_CORES} cores"));
        let single = *t.kind != TopologyKind::Mesh || *t.cores_per_router == 1;
        self.require("topology.cores_per_router", *t.cores_per_router, single, "1 in a Mesh (or kind: ConcentratedMesh)");
        self.range("topology.link_buffer", *t.link_buffer, 1, 1 << 20);
        self.range("topology.flits_per_spike", *t.flits_per_spike, 1, 1 << 10);
        let inside = t.host_port.0 < *t.width && t.host_port.1 < *t.height;
        self.require("topology.host_port", *t.host_port, inside, format_args!("a router of the {} x {} mesh", *t.width, *t.height));
        self.range("topology.input_hop_steps", *t.input_hop_steps, 0, MOST_HOP_STEPS);
        self.range("topology.neuron_hop_steps", *t.neuron_hop_steps, 1, MOST_HOP_STEPS);
    }

    fn packed(&mut self, p: &Packed) {
        self.core(&p.core);
        self.budget(p);
        self.memory(&p.synapse_memory, &p.core);
        self.encodings(&p.synapse_memory, p);
        self.weights(&p.weights);
        self.neuron(&p.neuron, *p.weights.align_shift);
        self.costs(&p.timing_ns, &p.energy_pj);
    }

    fn core(&mut self, c: &PackedCore) {
        self.range("core.compartments", *c.compartments, 1, 1 << 16);
        self.range("core.update_group", *c.update_group, 1, i64::from(*c.compartments).max(1));
        self.range("core.in_axons", *c.in_axons, 1, 1 << 16);
        self.range("core.out_axon_entries", *c.out_axon_entries, 1, u16::MAX.into());
        let entries = i64::from(*c.out_axon_entries).clamp(1, u16::MAX.into());
        self.range("core.out_axons_per_neuron", *c.out_axons_per_neuron, 1, entries);
        self.range("core.out_axon_cost_discrete", *c.out_axon_cost_discrete, 1, entries);
        self.range("core.out_axon_cost_population", *c.out_axon_cost_population, 1, entries);
        self.range("core.out_axon_cost_off_chip_extra", *c.out_axon_cost_off_chip_extra, 0, entries);
        self.range("core.compartment_profiles", *c.compartment_profiles, 1, 256);
        self.range("core.threshold_profiles", *c.threshold_profiles, 1, 256);
        self.range("core.delay_slots_total", *c.delay_slots_total, (*c.compartments).into(), u32::MAX.into());
    }

    /// One budget of bytes for all that a core holds: what is charged to it, and that a neuron fits.
    fn budget(&mut self, p: &Packed) {
        let (c, m) = (&p.core, &p.synapse_memory);
        let charges = [
            ("core.program_bytes", *c.program_bytes, *c.core_bytes),
            ("core.neuron_bytes", *c.neuron_bytes, MOST_BYTES),
            ("core.current_bytes", *c.current_bytes, MOST_BYTES),
            ("core.delay_slot_bytes", *c.delay_slot_bytes, MOST_BYTES),
            ("core.in_axon_bytes", *c.in_axon_bytes, MOST_BYTES),
            ("core.out_axon_entry_bytes", *c.out_axon_entry_bytes, MOST_BYTES),
        ];
        let Some(budget) = cost::budget(c) else {
            for (key, bytes, _) in charges {
                self.require(key, bytes, bytes == 0, "0, or core.core_bytes above 0: without a budget nothing is charged");
            }
            return;
        };
        self.range("core.core_bytes", *c.core_bytes, 1, (MOST_MEMORY_BITS / 8) as i64);
        for (key, bytes, most) in charges {
            self.range(key, bytes, 0, most.into());
        }
        let word_bits = *m.word_bits;
        self.require("synapse_memory.word_bits", word_bits, word_bits.is_multiple_of(8), "a multiple of 8 beside core.core_bytes");
        let words = budget.saturating_sub((*c.program_bytes).into()) / u64::from(cost::word_bytes(m)).max(1);
        let within = u64::from(*m.usable_words) <= words;
        let expected = format_args!("at most {words}, the words of core.core_bytes less core.program_bytes").to_string();
        self.require("synapse_memory.usable_words", *m.usable_words, within, expected);
        // One neuron that keeps its current, with a synapse from itself.
        let widest = |widths: &[u8]| widths.iter().copied().max().unwrap_or(0);
        let synapse = [&m.weight_bits, &m.delay_bits, &m.index_bits, &m.skip_bits].map(|w| u64::from(widest(w))).iter().sum::<u64>();
        let entry = cost::aligned(m, u64::from(*m.format_id_bits) + u64::from(*m.count_bits) + synapse);
        let alone = cost::Charged {
            compartments: 1,
            currents: 1,
            delay_bits: widest(&m.delay_bits),
            in_axons: 1,
            out_entries: cost::out_axon_entries(c, true).into(),
            words: cost::words(m, entry).into(),
        };
        let least = cost::core_bytes(p, &alone);
        let expected = format_args!("at least {least}, what one neuron with one synapse takes").to_string();
        self.require("core.core_bytes", budget, least <= budget, expected);
    }

    fn memory(&mut self, m: &SynapseMemory, core: &PackedCore) {
        self.range("synapse_memory.word_bits", *m.word_bits, 1, 1 << 16);
        let words = (MOST_MEMORY_BITS / u64::from(*m.word_bits).max(1)) as i64;
        self.range("synapse_memory.words", *m.words, 1, words);
        self.range("synapse_memory.usable_words", *m.usable_words, 1, (*m.words).into());
        self.range("synapse_memory.max_words_per_axon", *m.max_words_per_axon, 1, (*m.usable_words).into());
        self.range("synapse_memory.format_id_bits", *m.format_id_bits, 1, 8);
        let (id_bits, count_bits) = ((*m.format_id_bits).min(8), (*m.count_bits).min(16));
        let free = *m.terminator_min_free_bits;
        let holds = free == 0 || (id_bits..=*m.word_bits).contains(&free);
        let expected = format_args!("{id_bits} ..= {}, or 0 for lists without terminators", *m.word_bits).to_string();
        self.require("synapse_memory.terminator_min_free_bits", free, holds, expected);
        // Id 0 is the terminator's.
        self.range("synapse_memory.max_formats", *m.max_formats, 1, (1i64 << id_bits) - 1);
        self.range("synapse_memory.count_bits", *m.count_bits, 1, 16);
        self.range("synapse_memory.max_synapses_per_entry", *m.max_synapses_per_entry, 1, (1i64 << count_bits) - 1);
        let align = *m.entry_align_bits;
        let divides = align >= 1 && m.word_bits.is_multiple_of(align);
        self.require("synapse_memory.entry_align_bits", align, divides, format_args!("a divisor of word_bits = {}", *m.word_bits));
        self.widths("synapse_memory.index_bits", &m.index_bits, 1, 16);
        let reach = m.index_bits.iter().any(|&w| w >= 16 || u64::from(*core.compartments) <= 1u64 << w);
        self.require("synapse_memory.index_bits", &*m.index_bits, reach, format_args!("a width that holds {} indices", *core.compartments));
        self.widths("synapse_memory.delay_bits", &m.delay_bits, 0, 8);
        self.range("synapse_memory.max_delay", *m.max_delay, 0, u8::MAX.into());
        self.range("synapse_memory.max_axon_base", *m.max_axon_base, 0, u16::MAX.into());
        let reach = m.delay_bits.iter().map(|&w| delay_limit(w)).max().unwrap_or(0);
        let needed = format_args!("a width that reaches the largest delay {} (2^bits - 2)", *m.max_delay).to_string();
        self.require("synapse_memory.delay_bits", &*m.delay_bits, reach >= *m.max_delay, needed);
        let slots = m.delay_bits.iter().all(|&w| 1u64 << w.min(32) <= u64::from(*core.delay_slots_total));
        self.require(
            "synapse_memory.delay_bits",
            &*m.delay_bits,
            slots,
            format_args!("2^bits at most core.delay_slots_total = {}", *core.delay_slots_total),
        );
    }

    /// Widths and compressions; the widest entry of one synapse fits into an axon's list.
    fn encodings(&mut self, m: &SynapseMemory, p: &Packed) {
        self.kinds("synapse_memory.compressions", &m.compressions);
        self.widths("synapse_memory.weight_bits", &m.weight_bits, 1, *p.weights.mantissa_bits);
        let signed = m.weight_bits.iter().any(|&w| w >= 2);
        self.require("synapse_memory.weight_bits", &*m.weight_bits, signed, "a width of 2 bits or more, which holds a sign");
        let run_length = m.compressions.contains(&Compression::RunLength);
        if run_length || !m.skip_bits.is_empty() {
            self.widths("synapse_memory.skip_bits", &m.skip_bits, 1, 16);
        }
        let widest = |widths: &[u8]| u64::from(widths.iter().copied().max().unwrap_or(0));
        let synapse = widest(&m.weight_bits) + widest(&m.delay_bits) + widest(&m.index_bits) + widest(&m.skip_bits);
        let header = u64::from(*m.format_id_bits) + u64::from(*m.count_bits);
        let list = u64::from(*m.word_bits) * u64::from(*m.max_words_per_axon);
        let needed = cost::aligned(m, header + synapse) + u64::from(*m.terminator_min_free_bits);
        let found = format!("{} bits x {} words of an axon", *m.word_bits, *m.max_words_per_axon);
        self.require(
            "synapse_memory.word_bits",
            found,
            list >= needed,
            format_args!("at least {needed} bits for an entry of one synapse and the terminator"),
        );
    }

    fn weights(&mut self, w: &WeightSpec) {
        self.kinds("weights.signs", &w.signs);
        self.range("weights.mantissa_bits", *w.mantissa_bits, MANTISSA_BITS, MANTISSA_BITS);
        let (low, high) = *w.exponent;
        let holds = (-15..=0).contains(&low) && (0..=15).contains(&high);
        self.require("weights.exponent", (low, high), holds, "(smallest, largest), -15 ..= 0 and 0 ..= 15");
        self.range("weights.align_shift", *w.align_shift, 0, MOST_ALIGN_SHIFT);
        // The largest mantissa acts as it is at the largest exponent.
        let widest = i64::from(*w.align_shift) + MANTISSA_BITS + i64::from(high.clamp(0, 15));
        self.range("weights.limit_bits", *w.limit_bits, widest, MOST_LIMIT_BITS);
    }

    fn neuron(&mut self, n: &NeuronSpec, align_shift: u8) {
        self.range("neuron.input_bits", *n.input_bits, i64::from(align_shift).min(MOST_ALIGN_SHIFT) + 1, MOST_INPUT_BITS);
        self.range("neuron.u_bits", *n.u_bits, 2, MOST_U_BITS);
        self.range("neuron.v_min", *n.v_min, -MOST_V, 0);
        self.range("neuron.v_max", *n.v_max, 1, MOST_V);
        self.range("neuron.decay_bits", *n.decay_bits, DECAY_BITS, DECAY_BITS);
        // A register of all ones plus the offset keeps nothing; more would turn the sign.
        self.range("neuron.u_decay_offset", *n.u_decay_offset, 0, 1);
        self.range("neuron.v_decay_offset", *n.v_decay_offset, 0, 1);
        self.range("neuron.threshold_mantissa_bits", *n.threshold_mantissa_bits, 1, 31);
        let widest = (31 - i64::from(*n.threshold_mantissa_bits).min(31)).min(MOST_THRESHOLD_SHIFT);
        self.range("neuron.threshold_shift", *n.threshold_shift, 0, widest);
        let least = 1i64 << (*n.threshold_shift).min(31);
        let reached = i64::from(*n.v_max) > least;
        self.require("neuron.v_max", *n.v_max, reached, format_args!("more than {least}, the smallest threshold (2^threshold_shift)"));
        self.range("neuron.bias_mantissa_bits", *n.bias_mantissa_bits, 2, 16);
        self.range("neuron.bias_exponent_max", *n.bias_exponent_max, 0, MOST_BIAS_EXPONENT);
        let (low, high) = *n.refractory;
        self.require("neuron.refractory", (low, high), 1 <= low && low <= high, "(smallest, largest), at least 1");
        self.kinds("neuron.resets", &n.resets);
        self.range("neuron.soft_reset_compartments", *n.soft_reset_compartments, 1, 1 << 16);
        self.range("neuron.payload_bits", *n.payload_bits, 0, 32);
    }

    /// One core at a router, on one chip.
    fn single_cores(&mut self, t: &Topology) {
        self.range("topology.cores_per_router", *t.cores_per_router, 1, 1);
        self.range("topology.chips", *t.chips, 1, 1);
        self.range("topology.input_hop_steps", *t.input_hop_steps, 0, 0);
        self.range("topology.neuron_hop_steps", *t.neuron_hop_steps, 1, 1);
    }

    fn cost(&mut self, key: &str, found: f64, least: f64) {
        self.require(key, found, (least..=MOST_COST).contains(&found), format_args!("{least} ..= {MOST_COST:e}"));
    }

    fn crossbar(&mut self, x: &Crossbar, t: &Topology) {
        self.single_cores(t);
        let (c, n, r, cycles, e) = (&x.core, &x.neuron, &x.routing, &x.timing_cycles, &x.energy_pj);
        self.range("core.axons", *c.axons, 1, 1 << 14);
        self.range("core.neurons", *c.neurons, 1, 1 << 14);
        let crossing = u64::from(*c.axons) * u64::from(*c.neurons);
        self.require(
            "core.neurons",
            *c.neurons,
            crossing <= 1 << 24,
            format_args!("at most {} with {} axons", (1u64 << 24) / u64::from((*c.axons).max(1)), *c.axons),
        );
        self.range("core.axon_types", *c.axon_types, 1, 16);
        self.range("core.delay_slots", *c.delay_slots, 2, 256);
        self.range("neuron.potential_bits", *n.potential_bits, 2, 32);
        self.range("neuron.weight_bits", *n.weight_bits, 2, 32);
        self.range("neuron.leak_bits", *n.leak_bits, 2, 32);
        self.range("neuron.threshold_bits", *n.threshold_bits, 2, 32);
        self.kinds("neuron.resets", &n.resets);
        self.range("routing.offset_bits", *r.offset_bits, 2, 17);
        // A spike can't come into the slot that is being read.
        self.range("routing.max_delay", *r.max_delay, 0, i64::from((*c.delay_slots).clamp(2, 256)) - 2);
        let inside = r.output_bus.0 < *t.width && r.output_bus.1 < *t.height;
        self.require("routing.output_bus", *r.output_bus, inside, format_args!("a router of the {} x {} mesh", *t.width, *t.height));
        let more = u64::from(*t.width) * u64::from(*t.height) > 1;
        self.require("topology.width", *t.width, more, "a router for a core beside the output bus");
        self.range("routing.outputs", *r.outputs, 1, 1 << 16);
        self.cost("timing_cycles.cycle_ns", *cycles.cycle_ns, 0.001);
        self.cost("timing_cycles.tick_ns", *cycles.tick_ns, 0.0);
        self.range("timing_cycles.per_neuron", *cycles.per_neuron, 0, 1 << 16);
        self.range("timing_cycles.per_tick", *cycles.per_tick, 0, 1 << 16);
        self.range("timing_cycles.merge", *cycles.merge, 1, 1 << 16);
        self.cost("energy_pj.synapse", *e.synapse, 0.0);
        self.cost("energy_pj.neuron_update", *e.neuron_update, 0.0);
        self.cost("energy_pj.spike_out", *e.spike_out, 0.0);
        self.cost("energy_pj.hop", *e.hop, 0.0);
        self.cost("energy_pj.host_spike", *e.host_spike, 0.0);
    }

    fn event_crossbar(&mut self, x: &EventCrossbar, t: &Topology) {
        self.single_cores(t);
        self.range("topology.width", *t.width, 1, 1);
        self.range("topology.height", *t.height, 1, 1);
        let (c, w, n, cycles, e) = (&x.core, &x.weights, &x.neuron, &x.timing_cycles, &x.energy_pj);
        self.range("core.neurons", *c.neurons, 1, 256);
        self.range("core.rows", *c.rows, 1, 1 << 12);
        self.range("core.fifo_depth", *c.fifo_depth, 1, 1 << 16);
        let most = if *w.sign == EventSign::EachRow { 7 } else { 8 };
        self.range("weights.weight_bits", *w.weight_bits, if *w.sign == EventSign::EachRow { 1 } else { 2 }, most);
        self.range("weights.stored_bits", *w.stored_bits, (*w.weight_bits).into(), 8);
        self.range("neuron.potential_bits", *n.potential_bits, 2, if *n.signed { 16 } else { 15 });
        self.range("neuron.threshold_bits", *n.threshold_bits, 1, 16);
        self.range("neuron.leak_bits", *n.leak_bits, 1, 8);
        let fields = i64::from(*n.potential_bits) + i64::from(*n.threshold_bits) + i64::from(*n.leak_bits) + 1;
        self.range("neuron.word_bits", *n.word_bits, fields, 1 << 10);
        self.cost("timing_cycles.cycle_ns", *cycles.cycle_ns, 0.001);
        self.range("timing_cycles.per_neuron", *cycles.per_neuron, 1, 1 << 16);
        self.range("timing_cycles.per_spike", *cycles.per_spike, 0, 1 << 16);
        self.range("timing_cycles.push", *cycles.push, 0, 1 << 16);
        self.range("timing_cycles.pop", *cycles.pop, 0, 1 << 16);
        self.range("timing_cycles.reference", *cycles.reference, 0, 1 << 16);
        self.cost("energy_pj.synapse", *e.synapse, 0.0);
        self.cost("energy_pj.leak", *e.leak, 0.0);
        self.cost("energy_pj.host_spike", *e.host_spike, 0.0);
    }

    fn costs(&mut self, timing: &TimingNs, energy: &EnergyPj) {
        let TimingNs { barrier_by_tiles: barrier, .. } = timing;
        // A latency of 0 would let a message overtake the event that causes it; the times of a step add up in picoseconds.
        macro_rules! costs {
            ($path:literal, $table:ident, $least:expr => $($field:ident),*) => {
                $( self.require(concat!($path, ".", stringify!($field)), *$table.$field,
                    ($least..=MOST_COST).contains(&*$table.$field), format_args!("{} ..= {MOST_COST:e}", $least)); )*
            };
        }
        costs!("timing_ns", timing, 0.0 => neuron_access, neuron_update, spike_out, axon_out, axon_in, synapse_dense,
            synapse_sparse, synapse_conv, host_write, host_spike);
        costs!("timing_ns", timing, 0.001 => hop_x, hop_y, hop_chip, local_port, link_flit, chip_link_flit);
        costs!("energy_pj", energy, 0.0 => neuron_access, neuron_update, spike_out, axon_out, axon_in, synapse_dense,
            synapse_sparse, synapse_conv, hop_x, hop_y, hop_chip, host_write, host_spike);
        let holds = barrier.first().is_some_and(|&(tiles, _)| tiles <= 1)
            && barrier.windows(2).all(|w| w[0].0 < w[1].0)
            && barrier.iter().all(|&(_, ns)| (0.0..=MOST_COST).contains(&ns));
        self.require("timing_ns.barrier_by_tiles", &**barrier, holds, "(tiles, ns) from 1 tile on, tiles ascending, finite times");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{loihi1, random_tables};
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};

    /// Each change contradicts the rest, and a finding names the key.
    #[test]
    fn each_contradiction_is_named() {
        type Change = fn(&mut Target);
        fn p(t: &mut Target) -> &mut Packed {
            t.packed_mut()
        }
        let cases: &[(Change, &str)] = &[
            (|t| t.name.clear(), "name"),
            (|t| t.topology.width.source.clear(), "topology.width"),
            (|t| t.topology.height.value = 0, "topology.height"),
            (
                |t| {
                    t.topology.chips.value = 1 << 15;
                    t.topology.width.value = 1 << 15
                },
                "topology.chips",
            ),
            (|t| t.topology.kind.value = TopologyKind::Mesh, "topology.cores_per_router"),
            (|t| t.topology.host_port.value = (0, 4), "topology.host_port"),
            (|t| t.topology.neuron_hop_steps.value = 0, "topology.neuron_hop_steps"),
            (|t| p(t).core.compartments.value = 0, "core.compartments"),
            (|t| p(t).core.update_group.value = 0, "core.update_group"),
            (|t| p(t).core.in_axons.value = 70_000, "core.in_axons"),
            (|t| p(t).core.out_axons_per_neuron.value = 5000, "core.out_axons_per_neuron"),
            (|t| p(t).core.compartment_profiles.value = 257, "core.compartment_profiles"),
            (|t| p(t).core.delay_slots_total.value = 1023, "core.delay_slots_total"),
            (|t| p(t).synapse_memory.usable_words.value = 16_385, "synapse_memory.usable_words"),
            (|t| p(t).synapse_memory.words.value = u32::MAX, "synapse_memory.words"),
            (|t| p(t).synapse_memory.max_words_per_axon.value = 16_384, "synapse_memory.max_words_per_axon"),
            (|t| p(t).synapse_memory.terminator_min_free_bits.value = 3, "synapse_memory.terminator_min_free_bits"),
            (|t| p(t).synapse_memory.terminator_min_free_bits.value = 65, "synapse_memory.terminator_min_free_bits"),
            (|t| p(t).synapse_memory.entry_align_bits.value = 0, "synapse_memory.entry_align_bits"),
            (|t| p(t).synapse_memory.entry_align_bits.value = 24, "synapse_memory.entry_align_bits"),
            (|t| p(t).synapse_memory.entry_align_bits.value = 128, "synapse_memory.entry_align_bits"),
            (
                |t| {
                    p(t).synapse_memory.max_words_per_axon.value = 1;
                    p(t).synapse_memory.entry_align_bits.value = 64
                },
                "synapse_memory.word_bits",
            ),
            (|t| p(t).synapse_memory.max_formats.value = 16, "synapse_memory.max_formats"),
            (|t| p(t).synapse_memory.format_id_bits.value = 2, "synapse_memory.max_formats"),
            (|t| p(t).synapse_memory.count_bits.value = 5, "synapse_memory.max_synapses_per_entry"),
            (|t| p(t).synapse_memory.index_bits.value = vec![6, 9], "synapse_memory.index_bits"),
            (|t| p(t).synapse_memory.index_bits.value = vec![10, 9], "synapse_memory.index_bits"),
            (|t| p(t).synapse_memory.delay_bits.value = vec![0, 3], "synapse_memory.delay_bits"),
            (|t| p(t).core.delay_slots_total.value = 32, "synapse_memory.delay_bits"),
            (|t| p(t).synapse_memory.max_delay.value = 300, "synapse_memory.max_delay"),
            (|t| p(t).synapse_memory.max_axon_base.value = 65536, "synapse_memory.max_axon_base"),
            (|t| p(t).synapse_memory.skip_bits.value = vec![], "synapse_memory.skip_bits"),
            (|t| p(t).synapse_memory.weight_bits.value = vec![1, 9], "synapse_memory.weight_bits"),
            (|t| p(t).synapse_memory.weight_bits.value = vec![1], "synapse_memory.weight_bits"),
            (|t| p(t).synapse_memory.weight_bits.value = vec![0, 8], "synapse_memory.weight_bits"),
            (|t| p(t).synapse_memory.compressions.value = vec![], "synapse_memory.compressions"),
            (
                |t| {
                    p(t).synapse_memory.max_words_per_axon.value = 1;
                    p(t).synapse_memory.word_bits.value = 40
                },
                "synapse_memory.word_bits",
            ),
            (|t| p(t).weights.signs.value = vec![Sign::Mixed, Sign::Mixed], "weights.signs"),
            (|t| p(t).weights.mantissa_bits.value = 15, "weights.mantissa_bits"),
            (|t| p(t).weights.exponent.value = (7, -7), "weights.exponent"),
            (|t| p(t).weights.align_shift.value = 21, "weights.align_shift"),
            (|t| p(t).weights.align_shift.value = 13, "weights.align_shift"),
            (|t| p(t).weights.limit_bits.value = 28, "weights.limit_bits"),
            (|t| p(t).weights.limit_bits.value = 20, "weights.limit_bits"),
            (|t| p(t).weights.mantissa_bits.value = 7, "weights.mantissa_bits"),
            (|t| p(t).weights.exponent.value = (1, 7), "weights.exponent"),
            (|t| t.topology.neuron_hop_steps.value = 17, "topology.neuron_hop_steps"),
            (|t| t.topology.input_hop_steps.value = 17, "topology.input_hop_steps"),
            (|t| p(t).neuron.input_bits.value = 30, "neuron.input_bits"),
            (|t| p(t).neuron.input_bits.value = 6, "neuron.input_bits"),
            (|t| p(t).neuron.u_bits.value = 29, "neuron.u_bits"),
            (|t| p(t).neuron.v_min.value = 5, "neuron.v_min"),
            (|t| p(t).neuron.v_min.value = -(1 << 29) - 1, "neuron.v_min"),
            (|t| p(t).neuron.v_max.value = (1 << 29) + 1, "neuron.v_max"),
            (|t| p(t).neuron.v_max.value = 64, "neuron.v_max"),
            (|t| p(t).neuron.v_max.value = 0, "neuron.v_max"),
            (|t| p(t).neuron.decay_bits.value = 13, "neuron.decay_bits"),
            (|t| p(t).neuron.decay_bits.value = 3, "neuron.decay_bits"),
            (|t| p(t).neuron.u_decay_offset.value = 2, "neuron.u_decay_offset"),
            (|t| p(t).neuron.threshold_shift.value = 15, "neuron.threshold_shift"),
            (|t| p(t).neuron.bias_mantissa_bits.value = 1, "neuron.bias_mantissa_bits"),
            (|t| p(t).neuron.bias_exponent_max.value = 13, "neuron.bias_exponent_max"),
            (|t| p(t).neuron.refractory.value = (0, 63), "neuron.refractory"),
            (|t| p(t).neuron.resets.value = vec![], "neuron.resets"),
            (|t| p(t).timing_ns.hop_x.value = -1.0, "timing_ns.hop_x"),
            (|t| p(t).energy_pj.axon_in.value = f64::NAN, "energy_pj.axon_in"),
            (|t| p(t).timing_ns.barrier_by_tiles.value.swap(1, 2), "timing_ns.barrier_by_tiles"),
            (|t| p(t).timing_ns.barrier_by_tiles.value.clear(), "timing_ns.barrier_by_tiles"),
            (
                |t| {
                    p(t).timing_ns.barrier_by_tiles.value.remove(0);
                },
                "timing_ns.barrier_by_tiles",
            ),
        ];
        for (i, (change, key)) in cases.iter().enumerate() {
            let mut target = loihi1();
            change(&mut target);
            let findings = target.check();
            assert!(findings.iter().any(|f| f.key == *key), "case {i}, {key}: {findings:?}");
            assert!(findings.is_sorted());
        }
    }

    /// The built-in target's text with some integers replaced; `None` where the result can't be read.
    fn mutant(seed: u64) -> Option<Target> {
        let rng = &mut rand::rngs::StdRng::seed_from_u64(seed);
        let base = if rng.random() { "loihi1" } else { "loihi2" };
        let mut text = crate::target_file::builtin().iter().find(|t| t.0 == base)?.1.to_string();
        for _ in 0..rng.random_range(1..5) {
            let marks: Vec<usize> = text.match_indices("(value: ").map(|(at, mark)| at + mark.len()).collect();
            let start = marks[rng.random_range(0..marks.len())];
            let digits = text[start..].find([',', ']', ')']).unwrap_or(0);
            let old: i64 = text[start..start + digits].trim_start_matches(['(', '[']).parse().unwrap_or(3);
            let edges = [
                0,
                1,
                2,
                3,
                7,
                8,
                16,
                31,
                32,
                255,
                256,
                4096,
                65_535,
                65_536,
                i64::from(i32::MAX),
                i64::from(u32::MAX),
                old / 2,
                old * 2,
                old + 1,
                old - 1,
                -old,
            ];
            let open = text[start..].starts_with(['(', '[']) as usize;
            text.replace_range(start + open..start + digits, &edges[rng.random_range(0..edges.len())].to_string());
        }
        Target::parse_ron(&text).ok()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Codec and cost work on every target that passes.
        #[test]
        fn checked_targets_never_panic(seed in any::<u64>()) {
            if let Some(target) = mutant(seed) && target.check().is_empty() {
                let tables = random_tables(seed, 12, &target);
                match crate::codec::encode_core(&tables, &target) {
                    Ok(image) => prop_assert_eq!(crate::codec::decode_core(&image, &target).unwrap(), tables),
                    Err(e) => prop_assert!(matches!(e.problem, crate::codec::CodecProblem::TooMany { .. } | crate::codec::CodecProblem::Value { .. }), "{}", e),
                }
            }
        }
    }

    #[test]
    fn many_mutants_pass() {
        let passing = (0..300).filter_map(mutant).filter(|t| t.check().is_empty()).count();
        assert!(passing > 30, "only {passing} of 300 mutants reach the codec");
    }
}
