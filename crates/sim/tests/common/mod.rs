//! Hand-made bundles for the tests and the benchmark.
#![allow(dead_code, missing_docs, reason = "each test binary uses a part")]

pub mod crossbar;
pub mod event;

use spikec_chip::bundle::{Bundle, Decoder, DecoderKind, Encoder, Host, Injection, Place, PopulationSymbols, Provenance, Symbols};
use spikec_chip::image::{Compartment, CompartmentProfile, OutAxon, StoredSynapse, SynapseEntry, SynapseFormat};
use spikec_chip::target::{Compression, Sign};
use spikec_chip::{CoreTables, Image, PackedImage, Target, codec::encode_core};
use spikec_data::{SpikeTrain, Stimulus};
use spikec_sim::Machine;
use std::path::PathBuf;

pub const SPARSE: SynapseFormat = SynapseFormat {
    weight_bits: 8,
    index_bits: 10,
    skip_bits: 0,
    delay_bits: 0,
    compression: Compression::Sparse,
    sign: Sign::Mixed,
    exponent: 0,
};

pub fn place(core: u32, index: u16) -> Place {
    Place { core, index }
}

pub fn synapse(compartment: u16, mantissa: i16, delay: u8) -> StoredSynapse {
    StoredSynapse { index: compartment, mantissa, delay }
}

/// A core without axons whose compartments have the given (profile, threshold mantissa).
pub fn core(core: u32, neurons: &[(CompartmentProfile, u32)]) -> CoreTables {
    let mut tables = CoreTables {
        core,
        delay_bits: 0,
        formats: vec![SPARSE],
        lists: Vec::new(),
        in_axons: Vec::new(),
        compartment_profiles: Vec::new(),
        threshold_profiles: Vec::new(),
        compartments: Vec::new(),
        out_axons: Vec::new(),
    };
    for &(profile, threshold) in neurons {
        let p = position(&mut tables.compartment_profiles, profile);
        let t = position(&mut tables.threshold_profiles, threshold);
        tables.compartments.push(Compartment {
            profile: p as u8,
            threshold_profile: t as u8,
            bias_mantissa: 0,
            bias_exponent: 0,
            out_axon_start: 0,
            out_axon_count: 0,
        });
    }
    tables
}

fn position<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    list.iter().position(|x| *x == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}

pub fn profile(decay_u: u16, decay_v: u16, refractory: u8) -> CompartmentProfile {
    CompartmentProfile { decay_u, decay_v, refractory }
}

/// Adds an input axon with entries of up to 60 synapses of one format; gives its index.
pub fn axon(core: &mut CoreTables, format: u8, synapses: &[StoredSynapse]) -> u16 {
    let entries = synapses.chunks(60).map(|s| SynapseEntry { format, synapses: s.to_vec() }).collect();
    core.push_axon(entries)
}

/// Gives compartment `index` its output axons; call with ascending compartments.
pub fn sends(core: &mut CoreTables, index: usize, to: &[Place]) {
    core.compartments[index].out_axon_start = core.out_axons.len() as u16;
    core.compartments[index].out_axon_count = to.len() as u16;
    core.out_axons.extend(to.iter().map(|p| OutAxon { core: p.core, in_axon: p.index }));
}

pub fn population(name: &str, skew: u32, places: &[Place]) -> PopulationSymbols {
    let neurons: Vec<_> = places.iter().enumerate().map(|(k, p)| (k as u32, *p)).collect();
    PopulationSymbols { name: name.into(), shape: vec![places.len() as u32], skew, input: false, neurons, copies: Vec::new() }
}

/// A bundle for loihi1; the last population is the output, decoded by `Count`.
pub fn bundle(cores: &[CoreTables], input_axons: Vec<Vec<Place>>, populations: Vec<PopulationSymbols>) -> Bundle {
    bundle_for(spikec_chip::find("loihi1").unwrap(), cores, input_axons, populations)
}

/// The same for another target of the packed family.
pub fn bundle_for(target: Target, cores: &[CoreTables], input_axons: Vec<Vec<Place>>, populations: Vec<PopulationSymbols>) -> Bundle {
    let images = cores.iter().map(|c| encode_core(c, &target).unwrap()).collect();
    assemble(target, Image::Packed(PackedImage { cores: images }), input_axons, Vec::new(), populations)
}

/// A bundle of any family; the last population is the output, decoded by `Count`.
pub fn assemble(
    target: Target,
    image: Image,
    input_axons: Vec<Vec<Place>>,
    injections: Vec<Injection>,
    populations: Vec<PopulationSymbols>,
) -> Bundle {
    let output = populations.last().unwrap();
    let decoder = Decoder { kind: DecoderKind::Count, outputs: output.neurons.iter().map(|(_, p)| Some(*p)).collect(), skew: output.skew };
    let host = Host {
        input_width: input_axons.len() as u32,
        encoder: Encoder::Spikes,
        input_axons,
        injections,
        maps: Vec::new(),
        bias_writes: Vec::new(),
        default_steps: None,
        max_skew: populations.iter().map(|p| p.skew).max().unwrap(),
        decoder,
    };
    let symbols = Symbols { output: populations.len() as u32 - 1, populations };
    let provenance =
        Provenance { tool: "test".into(), network_name: "test".into(), network_digest: String::new(), options: Vec::new(), seed: 0 };
    Bundle { target, image, host, symbols, provenance, reference: Vec::new() }
}

pub fn boot(bundle: &Bundle) -> Machine {
    Machine::boot(bundle.loadable()).unwrap()
}

pub fn spikes(width: u32, steps: &[&[u32]]) -> Stimulus {
    Stimulus::Spikes(SpikeTrain::from_steps(width, steps.iter().map(|s| s.to_vec())))
}

/// The folder with shared data beside the project, if it is there.
pub fn shared_dir() -> Option<PathBuf> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    dir.is_dir().then_some(dir)
}

/// The benchmark net `recurrent4096` on 16 cores of 256 neurons, and its forced inputs.
pub fn recurrent4096() -> Option<(Bundle, Stimulus)> {
    let bytes = std::fs::read(shared_dir()?.join("bench/recurrent4096.bin")).ok()?;
    let ints: Vec<i32> = bytes.as_chunks::<4>().0.iter().map(|c| i32::from_le_bytes(*c)).collect();
    let [n, t, m, s] = [ints[0], ints[1], ints[2], ints[3]].map(|x| x as usize);
    let synapses: Vec<[i32; 3]> = ints[4..4 + 3 * m].as_chunks::<3>().0.to_vec();
    let events: Vec<[i32; 2]> = ints[4 + 3 * m..4 + 3 * m + 2 * s].as_chunks::<2>().0.to_vec();
    const PER_CORE: usize = 256;
    let cores = n / PER_CORE;
    let mut tables: Vec<CoreTables> = (0..cores).map(|c| core(c as u32, &[(profile(2048, 255, 1), 200); PER_CORE])).collect();
    for table in &mut tables {
        table.formats[0].index_bits = 8;
    }
    let mut lists = vec![Vec::new(); n * cores];
    for [pre, post, w] in synapses {
        let (core, index) = (post as usize / PER_CORE, post as usize % PER_CORE);
        lists[pre as usize * cores + core].push(synapse(index as u16, w as i16, 0));
    }
    for pre in 0..n {
        let mut to = Vec::new();
        for core in 0..cores {
            let list = &mut lists[pre * cores + core];
            list.sort_by_key(|s| s.index);
            if !list.is_empty() {
                to.push(place(core as u32, axon(&mut tables[core], 0, list)));
            }
        }
        sends(&mut tables[pre / PER_CORE], pre % PER_CORE, &to);
    }
    let at = |i: usize| (i / PER_CORE, (i % PER_CORE) as u16);
    let inputs = (0..n)
        .map(|i| {
            let (core, index) = at(i);
            vec![place(core as u32, axon(&mut tables[core], 0, &[synapse(index, 254, 0)]))]
        })
        .collect();
    let places: Vec<Place> = (0..n).map(|i| place(at(i).0 as u32, at(i).1)).collect();
    let mut steps = vec![Vec::new(); t];
    for [step, channel] in events {
        steps[step as usize].push(channel as u32);
    }
    let bundle = bundle(&tables, inputs, vec![population("recurrent", 0, &places)]);
    Some((bundle, Stimulus::Spikes(SpikeTrain::from_steps(n as u32, steps))))
}

/// A dense net of layers of the given sizes with pseudo-random weights, in dense entries, at most 128 neurons a core.
pub fn dense_net(sizes: &[usize], threshold: u32, weight: impl Fn(usize, usize, usize) -> i16) -> Bundle {
    const PER_CORE: usize = 128;
    let format = SynapseFormat { index_bits: 8, compression: Compression::Dense, ..SPARSE };
    let mut tables: Vec<CoreTables> = Vec::new();
    let mut layers: Vec<Vec<Place>> = Vec::new();
    let mut inputs: Vec<Vec<Place>> = vec![Vec::new(); sizes[0]];
    for layer in 1..sizes.len() {
        let mut places = Vec::new();
        let mut outs: Vec<Vec<Place>> = vec![Vec::new(); sizes[layer - 1]];
        for first in (0..sizes[layer]).step_by(PER_CORE) {
            let n = PER_CORE.min(sizes[layer] - first);
            let id = tables.len() as u32;
            let mut table = core(id, &vec![(profile(4096, 128, 1), threshold); n]);
            table.formats = vec![format];
            for (pre, out) in outs.iter_mut().enumerate() {
                let list: Vec<_> = (0..n).map(|k| synapse(k as u16, weight(layer, pre, first + k), 0)).collect();
                out.push(place(id, axon(&mut table, 0, &list)));
            }
            places.extend((0..n).map(|k| place(id, k as u16)));
            tables.push(table);
        }
        if layer == 1 {
            inputs = outs;
        } else {
            for (p, to) in layers[layer - 2].iter().zip(outs) {
                sends(&mut tables[p.core as usize], p.index.into(), &to);
            }
        }
        layers.push(places);
    }
    let populations = layers.iter().enumerate().map(|(k, p)| population(&format!("layer{k}"), k as u32, p)).collect();
    bundle(&tables, inputs, populations)
}
