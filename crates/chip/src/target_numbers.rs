//! All numbers of a target: to list them, and to set one by its key.
//!
//! Invariant: every field of every group is named once, here; one that is missing doesn't compile.

use crate::crossbar::{Crossbar, CrossbarCore, CrossbarEnergy, CrossbarNeuronSpec, CrossbarRouting, CrossbarTiming};
use crate::event::{EventCore, EventCrossbar, EventEnergy, EventNeuronSpec, EventTiming, EventWeights};
use crate::target::*;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// A number of a target with where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetNumber {
    /// Path of the key, as in the file.
    pub key: String,
    /// The value as text.
    pub value: String,
    /// Where it was read.
    pub source: String,
    /// How far it can be trusted.
    pub confidence: Confidence,
}

/// Something that sees the numbers of a target.
trait Visit {
    fn number<T: Debug>(&mut self, key: &str, number: &Sourced<T>);
}

/// Something that may change the numbers of a target.
trait VisitMut {
    fn number<T: DeserializeOwned>(&mut self, key: &str, number: &mut Sourced<T>);
}

/// Shows a visitor all fields of a group.
macro_rules! group {
    ($visitor:ident, $path:literal, $value:expr, $type:ident { $($field:ident),* $(,)? }) => {{
        let $type { $($field),* } = $value;
        $( $visitor.number(concat!($path, ".", stringify!($field)), $field); )*
    }};
}

/// Shows a visitor all numbers in the order of the file; `$as` is `as_ref` or `as_mut`.
macro_rules! numbers {
    ($target:ident, $visitor:ident, $as:ident) => {{
        let Target { name: _, description: _, topology, family } = $target;
        group!(
            $visitor,
            "topology",
            topology,
            Topology {
                kind,
                width,
                height,
                cores_per_router,
                chips,
                chip_columns,
                routing,
                cast,
                link_buffer,
                flits_per_spike,
                flush,
                host_port,
                input_hop_steps,
                neuron_hop_steps,
            }
        );
        match family {
            Family::Packed(packed) => {
                let Packed { core, synapse_memory, weights, neuron, timing_ns, energy_pj } = packed.$as();
                group!(
                    $visitor,
                    "core",
                    core,
                    PackedCore {
                        compartments,
                        update_group,
                        in_axons,
                        out_axon_entries,
                        out_axons_per_neuron,
                        out_axon_cost_discrete,
                        out_axon_cost_population,
                        out_axon_cost_off_chip_extra,
                        compartment_profiles,
                        threshold_profiles,
                        delay_slots_total,
                        core_bytes,
                        program_bytes,
                        neuron_bytes,
                        current_bytes,
                        delay_slot_bytes,
                        in_axon_bytes,
                        out_axon_entry_bytes,
                    }
                );
                group!(
                    $visitor,
                    "synapse_memory",
                    synapse_memory,
                    SynapseMemory {
                        words,
                        usable_words,
                        word_bits,
                        max_words_per_axon,
                        terminator_min_free_bits,
                        max_formats,
                        format_id_bits,
                        count_bits,
                        max_synapses_per_entry,
                        entry_align_bits,
                        weight_bits,
                        index_bits,
                        skip_bits,
                        delay_bits,
                        max_delay,
                        compressions,
                        max_axon_base,
                    }
                );
                group!(
                    $visitor,
                    "weights",
                    weights,
                    WeightSpec { signs, mantissa_bits, exponent, align_shift, limit_bits, off_grid, exponent_shift }
                );
                group!(
                    $visitor,
                    "neuron",
                    neuron,
                    NeuronSpec {
                        model,
                        input_bits,
                        u_bits,
                        u_overflow,
                        v_overflow,
                        v_min,
                        v_max,
                        decay_bits,
                        decay_rounding,
                        u_decay_offset,
                        v_decay_offset,
                        threshold_mantissa_bits,
                        threshold_shift,
                        compare,
                        bias_mantissa_bits,
                        bias_exponent_max,
                        refractory,
                        resets,
                        soft_reset_compartments,
                        payload_bits,
                    }
                );
                group!(
                    $visitor,
                    "timing_ns",
                    timing_ns,
                    TimingNs {
                        neuron_access,
                        neuron_update,
                        spike_out,
                        axon_out,
                        axon_in,
                        synapse_dense,
                        synapse_sparse,
                        synapse_conv,
                        hop_x,
                        hop_y,
                        hop_chip,
                        local_port,
                        link_flit,
                        chip_link_flit,
                        barrier_by_tiles,
                        host_write,
                        host_spike,
                    }
                );
                group!(
                    $visitor,
                    "energy_pj",
                    energy_pj,
                    EnergyPj {
                        neuron_access,
                        neuron_update,
                        spike_out,
                        axon_out,
                        axon_in,
                        synapse_dense,
                        synapse_sparse,
                        synapse_conv,
                        hop_x,
                        hop_y,
                        hop_chip,
                        host_write,
                        host_spike,
                    }
                );
            }
            Family::Crossbar(crossbar) => {
                let Crossbar { core, neuron, routing, timing_cycles, energy_pj } = crossbar.$as();
                group!($visitor, "core", core, CrossbarCore { axons, neurons, axon_types, delay_slots });
                group!(
                    $visitor,
                    "neuron",
                    neuron,
                    CrossbarNeuronSpec { potential_bits, weight_bits, leak_bits, threshold_bits, overflow, negative_compare, resets }
                );
                group!($visitor, "routing", routing, CrossbarRouting { offset_bits, max_delay, output_bus, outputs });
                group!($visitor, "timing_cycles", timing_cycles, CrossbarTiming { cycle_ns, per_neuron, per_tick, merge, tick_ns });
                group!($visitor, "energy_pj", energy_pj, CrossbarEnergy { synapse, neuron_update, spike_out, hop, host_spike });
            }
            Family::EventCrossbar(event) => {
                let EventCrossbar { core, weights, neuron, timing_cycles, energy_pj } = event.$as();
                group!($visitor, "core", core, EventCore { neurons, rows, fifo_depth, always_all_neurons });
                group!($visitor, "weights", weights, EventWeights { stored_bits, weight_bits, sign });
                group!($visitor, "neuron", neuron, EventNeuronSpec { word_bits, potential_bits, signed, threshold_bits, leak_bits });
                group!($visitor, "timing_cycles", timing_cycles, EventTiming { cycle_ns, per_neuron, per_spike, push, pop, reference });
                group!($visitor, "energy_pj", energy_pj, EventEnergy { synapse, leak, host_spike });
            }
        }
    }};
}

impl Target {
    /// All numbers in the order of the file, those apart that it leaves out.
    pub fn numbers(&self) -> Vec<TargetNumber> {
        let mut list = List(Vec::new());
        let visitor = &mut list;
        numbers!(self, visitor, as_ref);
        list.0
    }

    /// Sets the number of that key from RON text; `None` when there is no such key.
    pub(crate) fn set_number(&mut self, key: &str, ron: &str) -> Option<Result<(), ron::error::SpannedError>> {
        let mut change = Change { key, ron, done: None };
        let visitor = &mut change;
        numbers!(self, visitor, as_mut);
        change.done
    }
}

struct List(Vec<TargetNumber>);

impl Visit for List {
    fn number<T: Debug>(&mut self, key: &str, number: &Sourced<T>) {
        let value = format!("{:?}", number.value);
        if number.source == NOT_GIVEN && value == "0" {
            return;
        }
        self.0.push(TargetNumber { key: key.into(), value, source: number.source.clone(), confidence: number.confidence });
    }
}

struct Change<'a> {
    key: &'a str,
    ron: &'a str,
    done: Option<Result<(), ron::error::SpannedError>>,
}

impl VisitMut for Change<'_> {
    fn number<T: DeserializeOwned>(&mut self, key: &str, number: &mut Sourced<T>) {
        if key == self.key {
            self.done = Some(ron::from_str(self.ron).map(|new| *number = new));
        }
    }
}
