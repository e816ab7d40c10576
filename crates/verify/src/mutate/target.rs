//! Faults in the target section.
//!
//! Widths and hops by which the image is decoded and the reference computes must be found. Limits, times, energies and names
//! are what the statement is about.

use super::{Catch, Edit, Mutator, Nudge, Random, fields};
use spikec_chip::bundle::Bundle;
use spikec_chip::codec::decode_core;
use spikec_chip::image::{CoreImage, Image};
use spikec_chip::target::{
    EnergyPj, Family, NeuronSpec, Packed, PackedCore, Sourced, SynapseMemory, Target, TimingNs, Topology, WeightSpec,
};

fn target(b: &mut Bundle, r: &mut Random, edit: Edit<Target>) -> bool {
    edit(&mut b.target, r)
}
fn topology(b: &mut Bundle, r: &mut Random, edit: Edit<Topology>) -> bool {
    edit(&mut b.target.topology, r)
}
fn packed(b: &mut Bundle, r: &mut Random, edit: Edit<Packed>) -> bool {
    match &mut b.target.family {
        Family::Packed(p) => edit(p, r),
        _ => false,
    }
}
fn core(b: &mut Bundle, r: &mut Random, edit: Edit<PackedCore>) -> bool {
    packed(b, r, &mut |p, r| edit(&mut p.core, r))
}
fn memory(b: &mut Bundle, r: &mut Random, edit: Edit<SynapseMemory>) -> bool {
    packed(b, r, &mut |p, r| edit(&mut p.synapse_memory, r))
}
fn weights(b: &mut Bundle, r: &mut Random, edit: Edit<WeightSpec>) -> bool {
    packed(b, r, &mut |p, r| edit(&mut p.weights, r))
}
fn neuron(b: &mut Bundle, r: &mut Random, edit: Edit<NeuronSpec>) -> bool {
    packed(b, r, &mut |p, r| edit(&mut p.neuron, r))
}
fn timing(b: &mut Bundle, r: &mut Random, edit: Edit<TimingNs>) -> bool {
    packed(b, r, &mut |p, r| edit(&mut p.timing_ns, r))
}
fn energy(b: &mut Bundle, r: &mut Random, edit: Edit<EnergyPj>) -> bool {
    packed(b, r, &mut |p, r| edit(&mut p.energy_pj, r))
}
fn sourced(b: &mut Bundle, r: &mut Random, edit: Edit<SourcedU32>) -> bool {
    edit(&mut b.target.topology.link_buffer, r)
}
type SourcedU32 = Sourced<u32>;

/// Drops the last of several kinds or widths.
fn fewer<T>(list: &mut Sourced<Vec<T>>) -> bool {
    list.value.len() > 1 && list.value.pop().is_some()
}

/// A kind that has no other value is said to come from elsewhere.
fn only_kind<T>(kind: &mut Sourced<T>, r: &mut Random) -> bool {
    kind.source.nudge(r)
}

fn other_input_hop(bundle: &Bundle, seed: u64) -> Option<Bundle> {
    let mut mutant = bundle.clone();
    let fed = bundle.host.input_axons.iter().any(|a| !a.is_empty());
    (fed && mutant.target.topology.input_hop_steps.nudge(&mut Random::new(seed))).then_some(mutant)
}

fn other_neuron_hop(bundle: &Bundle, seed: u64) -> Option<Bundle> {
    let mut mutant = bundle.clone();
    let fed = match &bundle.image {
        Image::Packed(image) => image.cores.iter().any(|c| !c.out_axons.is_empty()),
        // The hop of these families is 1.
        Image::Crossbar(_) | Image::EventCrossbar(_) => true,
    };
    (fed && mutant.target.topology.neuron_hop_steps.nudge(&mut Random::new(seed))).then_some(mutant)
}

/// Bytes of a neuron with which a few of them are more than all words of any target here.
const DEAR: u32 = 1 << 16;

/// A budget of bytes that everything of the bundle but its fullest core keeps; that one has `short` bytes too many. `None` where cores are too small.
pub(super) fn budgeted(bundle: &Bundle, short: u32) -> Option<Bundle> {
    let (Image::Packed(image), mut mutant) = (&bundle.image, bundle.clone()) else { return None };
    let Family::Packed(packed) = &mut mutant.target.family else { return None };
    let charges = [&packed.core.in_axon_bytes, &packed.core.out_axon_entry_bytes, &packed.core.delay_slot_bytes];
    let given = charges.iter().any(|bytes| ***bytes > 0) || *packed.core.core_bytes > 0;
    let bytes = |core: &CoreImage| -> Option<u32> {
        let neurons = decode_core(core, &bundle.target).ok()?.compartments.len() as u32;
        Some(neurons.checked_mul(DEAR)? + core.synapse_memory.len() as u32 / 8)
    };
    let most = image.cores.iter().map(bytes).collect::<Option<Vec<u32>>>()?.into_iter().max()?;
    (packed.core.neuron_bytes.value, packed.core.core_bytes.value) = (DEAR, most - short);
    (!given && mutant.target.check().is_empty()).then_some(mutant)
}

fn beyond_budget(bundle: &Bundle, _: u64) -> Option<Bundle> {
    budgeted(bundle, 1)
}

pub(super) fn push(out: &mut Vec<Mutator>) {
    fields!(out, Target, target, {
        name: Statement,
        description: Statement,
        topology: Statement => |t, r| t.topology.chips.nudge(r),
        family: Statement => |t, r| {
            match &mut t.family {
                Family::Packed(p) => p.core.in_axons.nudge(r),
                Family::Crossbar(x) => x.energy_pj.synapse.nudge(r),
                Family::EventCrossbar(x) => x.energy_pj.synapse.nudge(r),
            }
        },
    });
    fields!(out, Topology, topology, {
        kind: Statement,
        width: Statement,
        height: Statement,
        cores_per_router: Statement,
        chips: Statement,
        chip_columns: Statement,
        routing: Statement => |t, r| only_kind(&mut t.routing, r),
        cast: Statement => |t, r| only_kind(&mut t.cast, r),
        link_buffer: Statement,
        flits_per_spike: Statement,
        flush: Statement,
        host_port: Statement,
        input_hop_steps: Statement,
        neuron_hop_steps: Statement,
    });
    out.push(Mutator { name: "Topology.input_hop_steps, with synapses from inputs", catch: Catch::Refusal, apply: other_input_hop });
    out.push(Mutator { name: "Topology.neuron_hop_steps, with synapses from neurons", catch: Catch::Refusal, apply: other_neuron_hop });
    out.push(Mutator { name: "PackedCore.core_bytes, a byte less than a core takes", catch: Catch::Refusal, apply: beyond_budget });
    fields!(out, SourcedU32, sourced, {
        value: Statement,
        source: Statement,
        confidence: Statement,
    });
    fields!(out, Packed, packed, {
        core: Statement => |p, r| p.core.compartments.nudge(r),
        synapse_memory: Statement => |p, r| p.synapse_memory.words.nudge(r),
        weights: Statement => |p, r| p.weights.exponent.nudge(r),
        neuron: Statement => |p, r| p.neuron.refractory.nudge(r),
        timing_ns: Statement => |p, r| p.timing_ns.axon_in.nudge(r),
        energy_pj: Statement => |p, r| p.energy_pj.hop_x.nudge(r),
    });
    fields!(out, PackedCore, core, {
        compartments: Statement,
        update_group: Statement,
        in_axons: Statement,
        out_axon_entries: Statement,
        out_axons_per_neuron: Statement,
        out_axon_cost_discrete: Statement,
        out_axon_cost_population: Statement,
        out_axon_cost_off_chip_extra: Statement,
        compartment_profiles: Statement,
        threshold_profiles: Statement,
        delay_slots_total: Statement,
        core_bytes: Statement,
        program_bytes: Statement,
        neuron_bytes: Statement,
        current_bytes: Statement,
        delay_slot_bytes: Statement,
        in_axon_bytes: Statement,
        out_axon_entry_bytes: Statement,
    });
    fields!(out, SynapseMemory, memory, {
        words: Statement,
        usable_words: Statement,
        word_bits: Refusal,
        max_words_per_axon: Statement,
        terminator_min_free_bits: Statement,
        max_formats: Statement,
        format_id_bits: Refusal,
        count_bits: Refusal,
        max_synapses_per_entry: Statement,
        entry_align_bits: Statement,
        weight_bits: Statement => |m, _| fewer(&mut m.weight_bits),
        index_bits: Statement => |m, _| fewer(&mut m.index_bits),
        skip_bits: Statement => |m, _| fewer(&mut m.skip_bits),
        delay_bits: Statement => |m, _| fewer(&mut m.delay_bits),
        max_delay: Statement,
        compressions: Statement => |m, _| fewer(&mut m.compressions),
        max_axon_base: Statement,
    });
    fields!(out, WeightSpec, weights, {
        signs: Statement => |w, _| fewer(&mut w.signs),
        mantissa_bits: Refusal,
        exponent: Statement,
        align_shift: Refusal,
        limit_bits: Refusal,
        off_grid: Statement => |w, r| only_kind(&mut w.off_grid, r),
        exponent_shift: Statement => |w, r| only_kind(&mut w.exponent_shift, r),
    });
    fields!(out, NeuronSpec, neuron, {
        model: Statement => |n, r| only_kind(&mut n.model, r),
        u_overflow: Statement => |n, r| only_kind(&mut n.u_overflow, r),
        v_overflow: Statement => |n, r| only_kind(&mut n.v_overflow, r),
        decay_rounding: Statement => |n, r| only_kind(&mut n.decay_rounding, r),
        input_bits: Refusal,
        u_bits: Refusal,
        v_min: Refusal,
        v_max: Refusal,
        decay_bits: Refusal,
        u_decay_offset: Refusal,
        v_decay_offset: Refusal,
        threshold_mantissa_bits: Refusal,
        threshold_shift: Refusal,
        compare: Statement => |n, r| only_kind(&mut n.compare, r),
        bias_mantissa_bits: Refusal,
        bias_exponent_max: Statement,
        refractory: Statement,
        resets: Statement => |n, r| only_kind(&mut n.resets, r),
        soft_reset_compartments: Statement,
        payload_bits: Statement,
    });
    fields!(out, TimingNs, timing, {
        neuron_access: Statement,
        neuron_update: Statement,
        spike_out: Statement,
        axon_out: Statement,
        axon_in: Statement,
        synapse_dense: Statement,
        synapse_sparse: Statement,
        synapse_conv: Statement,
        hop_x: Statement,
        hop_y: Statement,
        hop_chip: Statement,
        local_port: Statement,
        link_flit: Statement,
        chip_link_flit: Statement,
        barrier_by_tiles: Statement,
        host_write: Statement,
        host_spike: Statement,
    });
    fields!(out, EnergyPj, energy, {
        neuron_access: Statement,
        neuron_update: Statement,
        spike_out: Statement,
        axon_out: Statement,
        axon_in: Statement,
        synapse_dense: Statement,
        synapse_sparse: Statement,
        synapse_conv: Statement,
        hop_x: Statement,
        hop_y: Statement,
        hop_chip: Statement,
        host_write: Statement,
        host_spike: Statement,
    });
}
