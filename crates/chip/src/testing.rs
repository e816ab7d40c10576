//! Random valid tables for the tests of this crate.

use crate::cost;
use crate::image::*;
use crate::layout::mantissa_of;
use crate::target::*;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// The built-in Loihi 1 target.
pub(crate) fn loihi1() -> Target {
    crate::target_file::find("loihi1").unwrap()
}

/// Loihi 1 under nengo-loihi's rule: entries in whole words, lists without terminators.
pub(crate) fn loihi1_nengo() -> Target {
    crate::target_file::find("loihi1_nengo").unwrap()
}

/// Targets of unlike codecs.
pub(crate) fn targets() -> [Target; 4] {
    [loihi1(), loihi1_nengo(), odd_target(), crate::target_file::find("loihi1_pohoiki").unwrap()]
}

/// A target unlike Loihi 1 in every width that the codec uses.
pub(crate) fn odd_target() -> Target {
    let mut t = loihi1();
    t.name = "odd".into();
    t.topology.width.value = 3;
    t.topology.chips.value = 2;
    let p = t.packed_mut();
    p.core.compartments.value = 97;
    p.core.in_axons.value = 33;
    p.core.out_axon_entries.value = 77;
    p.core.out_axons_per_neuron.value = 9;
    p.core.compartment_profiles.value = 3;
    p.core.threshold_profiles.value = 1;
    p.core.delay_slots_total.value = 1000;
    let m = &mut p.synapse_memory;
    m.words.value = 3000;
    m.usable_words.value = 2999;
    m.word_bits.value = 35;
    m.entry_align_bits.value = 5;
    m.max_words_per_axon.value = 200;
    m.terminator_min_free_bits.value = 5;
    m.format_id_bits.value = 3;
    m.max_formats.value = 5;
    m.count_bits.value = 4;
    m.max_synapses_per_entry.value = 13;
    m.weight_bits.value = vec![2, 5, 7];
    m.index_bits.value = vec![3, 7];
    m.skip_bits.value = vec![1, 4];
    m.delay_bits.value = vec![0, 2];
    m.max_delay.value = 2;
    m.max_axon_base.value = 11;
    p.weights.exponent.value = (-9, 2);
    p.neuron.threshold_mantissa_bits.value = 20;
    p.neuron.bias_mantissa_bits.value = 7;
    p.neuron.bias_exponent_max.value = 4;
    p.neuron.refractory.value = (1, 17);
    assert_eq!(t.check(), []);
    t
}

fn pick<T: Copy>(rng: &mut StdRng, list: &[T]) -> T {
    *list.choose(rng).unwrap()
}

/// A valid format, for a core of `delay_bits`.
pub(crate) fn random_format(rng: &mut StdRng, target: &Target) -> SynapseFormat {
    let Packed { synapse_memory: m, weights, .. } = target.packed();
    let compression = pick(rng, &m.compressions);
    SynapseFormat {
        weight_bits: pick(rng, &m.weight_bits),
        index_bits: pick(rng, &m.index_bits),
        skip_bits: if compression == Compression::RunLength { pick(rng, &m.skip_bits) } else { 0 },
        delay_bits: pick(rng, &m.delay_bits),
        compression,
        sign: pick(rng, &weights.signs),
        exponent: rng.random_range(weights.exponent.0..=weights.exponent.1),
    }
}

/// Entries of one format for posts (ascending), with random weights and delays.
pub(crate) fn random_entries(
    rng: &mut StdRng,
    target: &Target,
    formats: &[SynapseFormat],
    format: u8,
    posts: &[u16],
    delay_bits: u8,
    fill: bool,
) -> Vec<SynapseEntry> {
    let Packed { synapse_memory: m, weights, .. } = target.packed();
    let f = &formats[usize::from(format)];
    let delay_max = cost::delay_limit(f.delay_bits).min(cost::delay_limit(delay_bits)).min(*m.max_delay);
    let sections = cost::split(m, f, posts, fill);
    let mut entries = Vec::new();
    for s in sections {
        let mut synapses: Vec<StoredSynapse> = Vec::new();
        for &post in &posts[s.range] {
            while f.compression == Compression::Dense && synapses.last().is_some_and(|l| l.index + 1 < post) {
                let index = synapses[synapses.len() - 1].index + 1;
                synapses.push(StoredSynapse { index, mantissa: 0, delay: 0 });
            }
            let mantissa = mantissa_of(weights, f, rng.random_range(0..1u64 << f.weight_bits));
            synapses.push(StoredSynapse { index: post, mantissa, delay: rng.random_range(0..=delay_max) as u8 });
        }
        assert_eq!(synapses.len(), usize::from(s.stored));
        entries.push(SynapseEntry { format, synapses });
    }
    entries
}

/// Valid tables of core 1 with at most `size` compartments, axons and posts an axon.
pub(crate) fn random_tables(seed: u64, size: usize, target: &Target) -> CoreTables {
    let rng = &mut StdRng::seed_from_u64(seed);
    let Packed { core, synapse_memory: m, neuron, .. } = target.packed();
    let delay_bits = pick(rng, &m.delay_bits);
    let compartments = rng.random_range(1..=size.min(*core.compartments as usize).min(*core.delay_slots_total as usize >> delay_bits));
    let formats: Vec<_> = (0..rng.random_range(1..=*m.max_formats)).map(|_| random_format(rng, target)).collect();
    let (mut lists, mut in_axons): (Vec<SynapseList>, Vec<InAxon>) = Default::default();
    for _ in 0..rng.random_range(0..=size.min(*core.in_axons as usize)) {
        let most_base = (*m.max_axon_base).min(compartments as u32 - 1) as u16;
        if most_base > 0 && !lists.is_empty() && rng.random_bool(0.3) {
            let list = rng.random_range(0..lists.len());
            let end = lists[list].synapses().map(|s| s.index + 1).max().unwrap_or(0);
            if end > 0 {
                in_axons.push(InAxon { list: list as u16, base: rng.random_range(0..=most_base.min(compartments as u16 - end)) });
                continue;
            }
        }
        let base = if rng.random_bool(0.5) { 0 } else { rng.random_range(0..=most_base) };
        let mut list = SynapseList::default();
        for _ in 0..rng.random_range(0..3) {
            let format = rng.random_range(0..formats.len()) as u8;
            let f = &formats[usize::from(format)];
            let end = (compartments - usize::from(base)).min(1 << f.index_bits);
            let density = rng.random_range(0.0..1.0);
            let mut posts: Vec<u16> = (0..end as u16).filter(|_| rng.random_bool(density)).collect();
            if f.compression == Compression::Sparse && rng.random_bool(0.3) {
                posts = posts.iter().flat_map(|&p| [p, p]).collect();
            }
            let fill = rng.random_bool(0.5);
            list.entries.extend(random_entries(rng, target, &formats, format, &posts, delay_bits, fill));
        }
        in_axons.push(InAxon { list: lists.len() as u16, base });
        lists.push(list);
    }
    let limit = *core.out_axon_entries as usize / cost::out_axon_entries(core, true) as usize;
    let out_axons: Vec<_> = (0..rng.random_range(0..=size.min(limit)))
        .map(|_| OutAxon { core: rng.random_range(0..target.total_cores()), in_axon: rng.random_range(0..*core.in_axons) as u16 })
        .collect();
    let decay_max = (1u16 << *neuron.decay_bits) - 1;
    let compartment_profiles: Vec<_> = (0..rng.random_range(1..=*core.compartment_profiles))
        .map(|_| CompartmentProfile {
            decay_u: rng.random_range(0..=decay_max) + *neuron.u_decay_offset,
            decay_v: rng.random_range(0..=decay_max) + *neuron.v_decay_offset,
            refractory: rng.random_range(neuron.refractory.0..=neuron.refractory.1),
        })
        .collect();
    let threshold_profiles: Vec<u32> =
        (0..rng.random_range(1..=*core.threshold_profiles)).map(|_| rng.random_range(0..1 << *neuron.threshold_mantissa_bits)).collect();
    let bias_max = (1i32 << (*neuron.bias_mantissa_bits - 1)) - 1;
    let compartments = (0..compartments)
        .map(|_| {
            let out_axon_start = rng.random_range(0..=out_axons.len()) as u16;
            let most = (out_axons.len() as u16 - out_axon_start).min(*core.out_axons_per_neuron as u16);
            Compartment {
                profile: rng.random_range(0..compartment_profiles.len()) as u8,
                threshold_profile: rng.random_range(0..threshold_profiles.len()) as u8,
                bias_mantissa: rng.random_range(-bias_max..=bias_max) as i16,
                bias_exponent: rng.random_range(0..=*neuron.bias_exponent_max),
                out_axon_start,
                out_axon_count: rng.random_range(0..=most),
            }
        })
        .collect();
    CoreTables { core: 1, delay_bits, formats, lists, in_axons, compartment_profiles, threshold_profiles, compartments, out_axons }
}

/// A small valid bundle: three input channels, two cores of four neurons in all, three outputs of which one is removed.
pub(crate) fn small_bundle() -> crate::bundle::Bundle {
    use crate::bundle::*;
    let target = loihi1();
    let format = SynapseFormat {
        weight_bits: 8,
        index_bits: 6,
        skip_bits: 0,
        delay_bits: 0,
        compression: Compression::Sparse,
        sign: Sign::Mixed,
        exponent: 0,
    };
    let list = |index, mantissa| SynapseList {
        entries: vec![SynapseEntry { format: 0, synapses: vec![StoredSynapse { index, mantissa, delay: 0 }] }],
    };
    let compartment = |out_axon_start, out_axon_count| Compartment {
        profile: 0,
        threshold_profile: 0,
        bias_mantissa: 0,
        bias_exponent: 0,
        out_axon_start,
        out_axon_count,
    };
    let core = |core, lists: Vec<SynapseList>, compartments, out_axons| CoreTables {
        core,
        delay_bits: 0,
        formats: vec![format],
        in_axons: (0..lists.len() as u16).map(|list| InAxon { list, base: 0 }).collect(),
        lists,
        compartment_profiles: vec![CompartmentProfile { decay_u: 4096, decay_v: 0, refractory: 1 }],
        threshold_profiles: vec![100],
        compartments,
        out_axons,
    };
    let hidden = core(
        2,
        vec![list(0, 64), list(1, -32)],
        vec![compartment(0, 1), compartment(1, 1)],
        vec![OutAxon { core: 9, in_axon: 0 }, OutAxon { core: 9, in_axon: 1 }],
    );
    let output = core(9, vec![list(0, 20), list(1, 22)], vec![compartment(0, 0); 2], vec![]);
    let cores = [hidden, output].iter().map(|t| crate::codec::encode_core(t, &target).unwrap()).collect();
    let place = |core, index| Place { core, index };
    let symbols = |name: &str, shape: &[u32], skew, input, neurons: &[(u32, Place)]| PopulationSymbols {
        name: name.into(),
        shape: shape.to_vec(),
        skew,
        input,
        neurons: neurons.to_vec(),
        copies: vec![],
    };
    Bundle {
        target,
        image: Image::Packed(PackedImage { cores }),
        host: Host {
            input_width: 3,
            encoder: Encoder::Spikes,
            input_axons: vec![vec![place(2, 0)], vec![], vec![place(2, 0), place(2, 1)]],
            injections: Vec::new(),
            maps: vec![],
            bias_writes: vec![BiasWrite { chip_step: 1, place: place(9, 1), mantissa: -7, exponent: 3 }],
            default_steps: Some(10),
            max_skew: 1,
            decoder: Decoder { kind: DecoderKind::Count, outputs: vec![Some(place(9, 0)), None, Some(place(9, 1))], skew: 1 },
        },
        symbols: Symbols {
            populations: vec![
                symbols("input", &[3], 0, true, &[]),
                symbols("hidden", &[2, 2], 0, false, &[(0, place(2, 0)), (3, place(2, 1))]),
                symbols("output", &[3], 1, false, &[(0, place(9, 0)), (2, place(9, 1))]),
            ],
            output: 2,
        },
        provenance: Provenance {
            tool: "spikec 0.1.0".into(),
            network_name: "tiny \"quoted\"".into(),
            network_digest: "00ff".into(),
            options: vec![("weight-bits".into(), "8".into()), ("decoder".into(), "count".into())],
            seed: u64::MAX,
        },
        reference: b"the verifier's".to_vec(),
    }
}

/// As [`small_bundle`], with analog inputs and a host map.
pub(crate) fn small_analog_bundle() -> crate::bundle::Bundle {
    use crate::bundle::*;
    let mut bundle = small_bundle();
    bundle.host.encoder = Encoder::Bias;
    bundle.host.input_axons.clear();
    bundle.host.maps = vec![HostMap {
        name: "first".into(),
        first_channel: 0,
        delay_steps: 0,
        targets: vec![Place { core: 2, index: 0 }, Place { core: 2, index: 1 }],
        offsets: vec![0, 2, 3],
        channels: vec![0, 2, 1],
        weights: vec![0.5, -1.25, 3.0],
        constants: vec![0.1, -0.2],
        gains: vec![64.0, 64.0],
    }];
    bundle
}
