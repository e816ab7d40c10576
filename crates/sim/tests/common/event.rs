//! Hand-made event crossbars.

use super::assemble;
use spikec_chip::Image;
use spikec_chip::bundle::{Bundle, Injection, Place, PopulationSymbols};
use spikec_chip::event::{EventCrossbar, EventTables, EventWord, encode};
use spikec_chip::target::{Family, Target};

/// The family's description, to be changed.
pub fn spec(target: &mut Target) -> &mut EventCrossbar {
    match &mut target.family {
        Family::EventCrossbar(c) => c,
        other => panic!("{}", other.name()),
    }
}

/// An open-loop core of the target without used neurons, whose events update them all.
pub fn core(target: &Target) -> EventTables {
    let spec = spec(&mut target.clone()).clone();
    let (neurons, rows) = (*spec.core.neurons as usize, *spec.core.rows as usize);
    let signs = if spec.weight_range().0 == -spec.weight_range().1 { rows } else { 0 };
    EventTables {
        open_loop: true,
        last_neuron: (neurons - 1) as u8,
        negative_rows: vec![false; signs],
        neurons: vec![EventWord::unused(&spec); neurons],
        weights: vec![0; rows * neurons],
    }
}

/// Sets a neuron's registers.
pub fn neuron(tables: &mut EventTables, k: usize, threshold: u16, leak: u8) {
    tables.neurons[k] = EventWord { potential: 0, threshold, leak, disabled: false };
}

/// Sets weights: (row, neuron, weight).
pub fn weights(tables: &mut EventTables, list: &[(usize, usize, i8)]) {
    let n = tables.neurons.len();
    for &(row, neuron, weight) in list {
        tables.weights[row * n + neuron] = weight;
    }
}

pub fn image(target: &Target, tables: &EventTables) -> Image {
    Image::EventCrossbar(encode(tables, spec(&mut target.clone())).unwrap())
}

pub fn bundle(
    target: &Target,
    tables: &EventTables,
    input_axons: Vec<Vec<Place>>,
    injections: Vec<Injection>,
    populations: Vec<PopulationSymbols>,
) -> Bundle {
    assemble(target.clone(), image(target, tables), input_axons, injections, populations)
}
