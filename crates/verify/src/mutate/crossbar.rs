//! Faults in images and targets of the crossbar family.

use super::{Edit, Mutator, Nudge, Random, choose, fields};
use spikec_chip::bundle::Bundle;
use spikec_chip::crossbar::{
    Crossbar, CrossbarCore, CrossbarCoreImage, CrossbarEnergy, CrossbarImage, CrossbarNeuronSpec, CrossbarReset, CrossbarRouting,
    CrossbarRow, CrossbarTables, CrossbarTiming, Destination, NegativeCompare, Overflow, decode_core, encode_core,
};
use spikec_chip::image::{Bits, Image};
use spikec_chip::target::Family;

fn image(b: &mut Bundle, r: &mut Random, edit: Edit<CrossbarImage>) -> bool {
    match &mut b.image {
        Image::Crossbar(image) => edit(image, r),
        _ => false,
    }
}
fn core(b: &mut Bundle, r: &mut Random, edit: Edit<CrossbarCoreImage>) -> bool {
    image(b, r, &mut |image, r| choose(&mut image.cores, r, edit))
}
/// A core's tables, encoded again after the edit; false when the codec refuses them.
fn tables(b: &mut Bundle, r: &mut Random, edit: Edit<CrossbarTables>) -> bool {
    let Family::Crossbar(spec) = b.target.family.clone() else { return false };
    core(b, r, &mut |core, r| {
        let Ok(mut tables) = decode_core(core, &spec) else { return false };
        edit(&mut tables, r) && encode_core(&tables, &spec).map(|again| *core = again).is_ok()
    })
}
fn row(b: &mut Bundle, r: &mut Random, edit: Edit<CrossbarRow>) -> bool {
    let Family::Crossbar(spec) = b.target.family.clone() else { return false };
    tables(b, r, &mut |t, r| {
        // Mostly rows that are used.
        let used: Vec<usize> = (0..t.neurons.len()).filter(|&k| !t.neurons[k].is_unused(&spec)).collect();
        let any = used.is_empty() || r.below(5) == 0;
        let k = if any { r.below(t.neurons.len()) } else { used[r.below(used.len())] };
        t.neurons.get_mut(k).is_some_and(|row| edit(row, r))
    })
}
fn destination(b: &mut Bundle, r: &mut Random, edit: Edit<Destination>) -> bool {
    row(b, r, &mut |row, r| edit(&mut row.destination, r))
}
fn spec(b: &mut Bundle, r: &mut Random, edit: Edit<Crossbar>) -> bool {
    match &mut b.target.family {
        Family::Crossbar(spec) => edit(spec, r),
        _ => false,
    }
}
fn spec_core(b: &mut Bundle, r: &mut Random, edit: Edit<CrossbarCore>) -> bool {
    spec(b, r, &mut |s, r| edit(&mut s.core, r))
}
fn spec_neuron(b: &mut Bundle, r: &mut Random, edit: Edit<CrossbarNeuronSpec>) -> bool {
    spec(b, r, &mut |s, r| edit(&mut s.neuron, r))
}
fn spec_routing(b: &mut Bundle, r: &mut Random, edit: Edit<CrossbarRouting>) -> bool {
    spec(b, r, &mut |s, r| edit(&mut s.routing, r))
}
fn spec_timing(b: &mut Bundle, r: &mut Random, edit: Edit<CrossbarTiming>) -> bool {
    spec(b, r, &mut |s, r| edit(&mut s.timing_cycles, r))
}
fn spec_energy(b: &mut Bundle, r: &mut Random, edit: Edit<CrossbarEnergy>) -> bool {
    spec(b, r, &mut |s, r| edit(&mut s.energy_pj, r))
}

impl Nudge for CrossbarReset {
    fn nudge(&mut self, _: &mut Random) -> bool {
        *self = match self {
            CrossbarReset::Absolute => CrossbarReset::Linear,
            CrossbarReset::Linear => CrossbarReset::Absolute,
        };
        true
    }
}
impl Nudge for NegativeCompare {
    fn nudge(&mut self, _: &mut Random) -> bool {
        *self = match self {
            NegativeCompare::Less => NegativeCompare::LessEqual,
            NegativeCompare::LessEqual => NegativeCompare::Less,
        };
        true
    }
}
impl Nudge for Overflow {
    fn nudge(&mut self, r: &mut Random) -> bool {
        let others: Vec<Overflow> = [Overflow::Wrap, Overflow::Saturate, Overflow::Unbounded].into_iter().filter(|o| o != self).collect();
        *self = others[r.below(2)];
        true
    }
}

/// One bit more, or the last one less, or another one.
pub(super) fn damage(bits: &mut Bits, r: &mut Random) -> bool {
    match r.below(3) {
        0 => bits.push(r.below(2) == 1),
        1 => return bits.pop().is_some(),
        _ => {
            let k = r.below(bits.len());
            let Some(bit) = bits.get(k).map(|b| !*b) else { return false };
            bits.set(k, bit);
        }
    }
    true
}

/// One connection more or less.
fn other_connection(row: &mut CrossbarRow, axons: u16, r: &mut Random) -> bool {
    let axon = r.below(usize::from(axons)) as u16;
    match row.connections.binary_search(&axon) {
        Ok(k) => {
            row.connections.remove(k);
        }
        Err(k) => row.connections.insert(k, axon),
    }
    true
}

pub(super) fn push(out: &mut Vec<Mutator>) {
    fields!(out, CrossbarImage, image, {
        cores: Refusal => |i, r| if i.cores.len() > 1 && r.below(2) == 0 { i.cores.swap(0, 1); true } else { i.cores.pop().is_some() },
    });
    fields!(out, CrossbarCoreImage, core, {
        core: Refusal,
        types: Refusal => |c, r| damage(&mut c.types, r),
        rows: Refusal => |c, r| damage(&mut c.rows, r),
    });
    fields!(out, CrossbarTables, tables, {
        core: Refusal,
        types: Refusal,
        neurons: Refusal => |t, r| {
            // Rows that differ in their destination alone are two places of a neuron: either may be either.
            let k = r.below(t.neurons.len().saturating_sub(1));
            let bare = |row: &CrossbarRow| CrossbarRow { destination: Destination::default(), ..row.clone() };
            t.neurons.len() > 1 && bare(&t.neurons[k]) != bare(&t.neurons[k + 1]) && {
                t.neurons.swap(k, k + 1);
                true
            }
        },
    });
    fields!(out, CrossbarRow, row, {
        connections: Refusal => |row, r| other_connection(row, 60, r),
        potential: Refusal,
        reset: Refusal,
        weights: Refusal,
        leak: Refusal,
        positive_threshold: Refusal,
        negative_threshold: Refusal,
        mode: Refusal,
        destination: Refusal => |row, _| std::mem::take(&mut row.destination) != Destination::default(),
    });
    fields!(out, Destination, destination, {
        dx: Refusal,
        dy: Refusal,
        axon: Refusal,
        delay: Refusal,
    });
    fields!(out, Crossbar, spec, {
        core: Refusal => |s, r| s.core.neurons.nudge(r),
        neuron: Refusal => |s, r| s.neuron.weight_bits.nudge(r),
        routing: Refusal => |s, r| s.routing.offset_bits.nudge(r),
        timing_cycles: Statement => |s, r| s.timing_cycles.merge.nudge(r),
        energy_pj: Statement => |s, r| s.energy_pj.hop.nudge(r),
    });
    fields!(out, CrossbarCore, spec_core, {
        axons: Refusal,
        neurons: Refusal,
        axon_types: Refusal,
        delay_slots: Refusal,
    });
    fields!(out, CrossbarNeuronSpec, spec_neuron, {
        potential_bits: Refusal,
        weight_bits: Refusal,
        leak_bits: Refusal,
        threshold_bits: Refusal,
        // What never passes its bits may wrap as well.
        overflow: Statement,
        negative_compare: Refusal,
        resets: Statement => |n, _| n.resets.value.len() > 1 && n.resets.value.pop().is_some(),
    });
    fields!(out, CrossbarRouting, spec_routing, {
        offset_bits: Refusal,
        max_delay: Statement,
        output_bus: Refusal,
        outputs: Statement,
    });
    fields!(out, CrossbarTiming, spec_timing, {
        cycle_ns: Statement,
        per_neuron: Statement,
        per_tick: Statement,
        merge: Statement,
        tick_ns: Statement,
    });
    fields!(out, CrossbarEnergy, spec_energy, {
        synapse: Statement,
        neuron_update: Statement,
        spike_out: Statement,
        hop: Statement,
        host_spike: Statement,
    });
}
