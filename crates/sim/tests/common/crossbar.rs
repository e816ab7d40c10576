//! Hand-made crossbar chips.

use super::assemble;
use spikec_chip::Image;
use spikec_chip::bundle::{Bundle, Injection, Place, PopulationSymbols};
use spikec_chip::crossbar::{Crossbar, CrossbarImage, CrossbarReset, CrossbarRow, CrossbarTables, Destination, Overflow, encode_core};
use spikec_chip::target::{Family, Target};

/// The family's description, to be changed.
pub fn spec(target: &mut Target) -> &mut Crossbar {
    match &mut target.family {
        Family::Crossbar(c) => c,
        other => panic!("{}", other.name()),
    }
}

/// ranc256 with other numbers of axons and neurons.
pub fn chip(axons: u32, neurons: u32) -> Target {
    let mut target = spikec_chip::find("ranc256").unwrap();
    spec(&mut target).core.axons.value = axons;
    spec(&mut target).core.neurons.value = neurons;
    target
}

/// The same with another overflow and width of potentials.
pub fn chip_with(axons: u32, neurons: u32, overflow: Overflow, bits: u8) -> Target {
    let mut target = chip(axons, neurons);
    let n = &mut spec(&mut target).neuron;
    (n.overflow.value, n.potential_bits.value) = (overflow, bits);
    target
}

/// A core without used neurons; every axon is of type 0.
pub fn core(target: &Target, core: u32) -> CrossbarTables {
    let spec = spec(&mut target.clone()).clone();
    let unused = CrossbarRow::unused(&spec);
    CrossbarTables { core, types: vec![0; *spec.core.axons as usize], neurons: vec![unused; *spec.core.neurons as usize] }
}

/// A neuron that hears `connections`, with weights by type; absolute reset to 0.
pub fn row(connections: &[u16], weights: [i32; 4], threshold: i32) -> CrossbarRow {
    CrossbarRow {
        connections: connections.to_vec(),
        potential: 0,
        reset: 0,
        weights: weights.to_vec(),
        leak: 0,
        positive_threshold: threshold,
        negative_threshold: -200,
        mode: CrossbarReset::Absolute,
        destination: Destination::default(),
    }
}

/// Destination of a neuron of core `from`: an axon of core `to`, on a mesh 16 wide.
pub fn to(from: u32, core: u32, axon: u16, delay: u8) -> Destination {
    let offset = |of: fn(u32) -> u32| of(core) as i32 - of(from) as i32;
    Destination { dx: offset(|c| c % 16), dy: offset(|c| c / 16), axon, delay }
}

/// Core number of the output bus of ranc256.
pub const BUS: u32 = 255;

pub fn image(target: &Target, cores: &[CrossbarTables]) -> Image {
    let spec = spec(&mut target.clone()).clone();
    Image::Crossbar(CrossbarImage { cores: cores.iter().map(|c| encode_core(c, &spec).unwrap()).collect() })
}

pub fn bundle(
    target: &Target,
    cores: &[CrossbarTables],
    input_axons: Vec<Vec<Place>>,
    injections: Vec<Injection>,
    populations: Vec<PopulationSymbols>,
) -> Bundle {
    assemble(target.clone(), image(target, cores), input_axons, injections, populations)
}
