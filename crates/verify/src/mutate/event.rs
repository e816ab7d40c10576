//! Faults in images and targets of the event crossbar family.

use super::crossbar::damage;
use super::{Edit, Mutator, Nudge, Random, choose, fields};
use spikec_chip::bundle::Bundle;
use spikec_chip::event::{
    EventCore, EventCrossbar, EventEnergy, EventImage, EventNeuronSpec, EventSign, EventTables, EventTiming, EventWeights, EventWord,
    decode, encode,
};
use spikec_chip::image::Image;
use spikec_chip::target::Family;

fn image(b: &mut Bundle, r: &mut Random, edit: Edit<EventImage>) -> bool {
    match &mut b.image {
        Image::EventCrossbar(image) => edit(image, r),
        _ => false,
    }
}
/// The tables, encoded again after the edit; false when the codec refuses them.
fn tables(b: &mut Bundle, r: &mut Random, edit: Edit<EventTables>) -> bool {
    let Family::EventCrossbar(spec) = b.target.family.clone() else { return false };
    image(b, r, &mut |image, r| {
        let Ok(mut tables) = decode(image, &spec) else { return false };
        edit(&mut tables, r) && encode(&tables, &spec).map(|again| *image = again).is_ok()
    })
}
fn word(b: &mut Bundle, r: &mut Random, edit: Edit<EventWord>) -> bool {
    tables(b, r, &mut |t, r| choose(&mut t.neurons, r, edit))
}
fn spec(b: &mut Bundle, r: &mut Random, edit: Edit<EventCrossbar>) -> bool {
    match &mut b.target.family {
        Family::EventCrossbar(spec) => edit(spec, r),
        _ => false,
    }
}
fn spec_core(b: &mut Bundle, r: &mut Random, edit: Edit<EventCore>) -> bool {
    spec(b, r, &mut |s, r| edit(&mut s.core, r))
}
fn spec_weights(b: &mut Bundle, r: &mut Random, edit: Edit<EventWeights>) -> bool {
    spec(b, r, &mut |s, r| edit(&mut s.weights, r))
}
fn spec_neuron(b: &mut Bundle, r: &mut Random, edit: Edit<EventNeuronSpec>) -> bool {
    spec(b, r, &mut |s, r| edit(&mut s.neuron, r))
}
fn spec_timing(b: &mut Bundle, r: &mut Random, edit: Edit<EventTiming>) -> bool {
    spec(b, r, &mut |s, r| edit(&mut s.timing_cycles, r))
}
fn spec_energy(b: &mut Bundle, r: &mut Random, edit: Edit<EventEnergy>) -> bool {
    spec(b, r, &mut |s, r| edit(&mut s.energy_pj, r))
}

impl Nudge for EventSign {
    fn nudge(&mut self, _: &mut Random) -> bool {
        *self = match self {
            EventSign::EachWeight => EventSign::EachRow,
            EventSign::EachRow => EventSign::EachWeight,
        };
        true
    }
}

/// Swaps two rows that differ, with their signs.
fn swap_rows(t: &mut EventTables, r: &mut Random) -> bool {
    let neurons = t.neurons.len();
    let k = r.below((t.weights.len() / neurons).saturating_sub(1));
    let (a, b) = t.weights.split_at_mut((k + 1) * neurons);
    let (a, b) = (&mut a[k * neurons..], &mut b[..neurons]);
    let differ = a != b;
    a.swap_with_slice(b);
    if !t.negative_rows.is_empty() {
        t.negative_rows.swap(k, k + 1);
    }
    differ
}

pub(super) fn push(out: &mut Vec<Mutator>) {
    fields!(out, EventImage, image, {
        registers: Refusal => |i, r| damage(&mut i.registers, r),
        neurons: Refusal => |i, r| damage(&mut i.neurons, r),
        synapses: Refusal => |i, r| damage(&mut i.synapses, r),
    });
    fields!(out, EventTables, tables, {
        open_loop: Refusal,
        last_neuron: Refusal,
        negative_rows: Refusal,
        neurons: Refusal => |t, r| {
            let k = r.below(t.neurons.len().saturating_sub(1));
            t.neurons.swap(k, k + 1);
            t.neurons[k] != t.neurons[k + 1]
        },
        weights: Refusal => |t, r| if r.below(2) == 0 { swap_rows(t, r) } else { t.weights.nudge(r) },
    });
    fields!(out, EventWord, word, {
        potential: Refusal,
        threshold: Refusal,
        leak: Refusal,
        disabled: Refusal,
    });
    fields!(out, EventCrossbar, spec, {
        core: Refusal => |s, r| s.core.neurons.nudge(r),
        weights: Refusal => |s, r| s.weights.sign.nudge(r),
        neuron: Refusal => |s, r| s.neuron.potential_bits.nudge(r),
        timing_cycles: Statement => |s, r| s.timing_cycles.push.nudge(r),
        energy_pj: Statement => |s, r| s.energy_pj.leak.nudge(r),
    });
    fields!(out, EventCore, spec_core, {
        neurons: Refusal,
        rows: Refusal,
        fifo_depth: Statement,
        always_all_neurons: Statement,
    });
    fields!(out, EventWeights, spec_weights, {
        stored_bits: Refusal,
        // Weights that don't need the bit read the same without it.
        weight_bits: Statement,
        sign: Refusal,
    });
    fields!(out, EventNeuronSpec, spec_neuron, {
        word_bits: Refusal,
        potential_bits: Refusal,
        signed: Refusal,
        threshold_bits: Refusal,
        leak_bits: Refusal,
    });
    fields!(out, EventTiming, spec_timing, {
        cycle_ns: Statement,
        per_neuron: Statement,
        per_spike: Statement,
        push: Statement,
        pop: Statement,
        reference: Statement,
    });
    fields!(out, EventEnergy, spec_energy, {
        synapse: Statement,
        leak: Statement,
        host_spike: Statement,
    });
}
