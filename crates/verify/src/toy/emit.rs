//! A whole small net on two cores: neurons dealt out, some with a copy on the other core, one input axon for each source and core, formats by
//! projection and compression.

use super::{of, target};
use crate::mutate::Random;
use spikec_chip::bundle::{BiasWrite, Bundle, Decoder, DecoderKind, Encoder, Host, HostMap, Place, PopulationSymbols, Provenance, Symbols};
use spikec_chip::codec::encode_core;
use spikec_chip::cost;
use spikec_chip::image::{
    Compartment, CompartmentProfile, CoreTables, Image, InAxon, OutAxon, PackedImage, StoredSynapse, SynapseEntry, SynapseFormat,
    SynapseList,
};
use spikec_chip::target::{Compression, Sign};
use spikec_net::*;
use std::collections::BTreeMap;

/// Physical cores of a toy.
const CORES: [u32; 2] = [3, 57];

/// Finds or adds a record.
fn record<T: PartialEq>(table: &mut Vec<T>, value: T) -> u8 {
    let at = table.iter().position(|v| *v == value).unwrap_or_else(|| {
        table.push(value);
        table.len() - 1
    });
    at as u8
}

fn sign(mode: SignMode) -> Sign {
    match mode {
        SignMode::Mixed => Sign::Mixed,
        SignMode::Excitatory => Sign::Excitatory,
        SignMode::Inhibitory => Sign::Inhibitory,
        SignMode::Split => unreachable!("toys have no split formats"),
    }
}

/// A whole small net on two cores.
pub(crate) fn emit(q: &Quantized, encoder: Encoder, r: &mut Random) -> Bundle {
    let (net, target) = (&q.net, target());
    let memory = &target.packed().synapse_memory;
    let mut tables: Vec<CoreTables> = CORES
        .iter()
        .map(|&core| CoreTables {
            core,
            delay_bits: 0,
            formats: vec![],
            lists: vec![],
            in_axons: vec![],
            compartment_profiles: vec![],
            threshold_profiles: vec![],
            compartments: vec![],
            out_axons: vec![],
        })
        .collect();
    // Neurons dealt out. In half of the toys, some that send have a copy on the other core.
    let copying = r.below(2) == 0;
    let sends = |p: usize, j: u32| net.projections.iter().any(|q| q.pre.index() == p && q.synapses.iter().any(|s| s.0 == j && s.2 != 0));
    let mut seats: BTreeMap<(usize, u32), Vec<(usize, u16)>> = BTreeMap::new();
    for (p, population) in net.populations.iter().enumerate() {
        for (j, n) in population.neurons().iter().enumerate() {
            let k = r.below(CORES.len());
            let copy = copying && r.below(3) == 0 && sends(p, j as u32);
            for k in std::iter::once(k).chain(copy.then_some(1 - k)) {
                let t = &mut tables[k];
                seats.entry((p, j as u32)).or_default().push((k, t.compartments.len() as u16));
                let FixedNeuron { decay_u, decay_v, threshold, refractory, bias: _ } = *n;
                let compartment = Compartment {
                    profile: record(&mut t.compartment_profiles, CompartmentProfile { decay_u, decay_v, refractory }),
                    threshold_profile: record(&mut t.threshold_profiles, threshold),
                    bias_mantissa: 0,
                    bias_exponent: 0,
                    out_axon_start: 0,
                    out_axon_count: 0,
                };
                t.compartments.push(compartment);
            }
        }
    }
    // Synapses by (core, source), then by projection.
    type Lists = BTreeMap<usize, Vec<StoredSynapse>>;
    let mut fans: BTreeMap<(usize, usize, u32), Lists> = BTreeMap::new();
    for (projection, p) in net.projections.iter().enumerate() {
        let hop = i64::from(!net.population(p.pre).is_input());
        for (i, j, mantissa, d) in p.synapses.iter().filter(|s| s.2 != 0) {
            let delay = (net.chip_delay(p, d) - hop) as u8;
            for &(k, compartment) in &seats[&(p.post.index(), j)] {
                let lists = fans.entry((k, p.pre.index(), i)).or_default();
                lists.entry(projection).or_default().push(StoredSynapse { index: compartment, mantissa, delay });
            }
        }
    }
    let largest =
        |k: usize| fans.iter().filter(|(key, _)| key.0 == k).flat_map(|(_, l)| l.values().flatten()).map(|s| s.delay).max().unwrap_or(0);
    for (k, t) in tables.iter_mut().enumerate() {
        t.delay_bits = cost::delay_bits(memory, largest(k).into()).expect("a toy's delays are short");
    }
    let mut axons: BTreeMap<(usize, u32), Vec<Place>> = BTreeMap::new();
    let compressions: Vec<Compression> =
        net.projections.iter().map(|_| of(r, &[Compression::Sparse, Compression::RunLength, Compression::Dense])).collect();
    for ((k, pre, i), lists) in fans {
        let t = &mut tables[k];
        let mut list = SynapseList::default();
        // Any base up to the first compartment will do.
        let first = lists.values().flatten().map(|s| s.index).min().unwrap_or(0);
        let base = if r.below(3) > 0 { first } else { r.below(usize::from(first) + 1) as u16 };
        for (projection, mut synapses) in lists {
            synapses.iter_mut().for_each(|s| s.index -= base);
            synapses.sort_unstable();
            let parallel = synapses.windows(2).any(|w| w[0].index == w[1].index);
            let compression = if parallel { Compression::Sparse } else { compressions[projection] };
            let f = net.projections[projection].format;
            let format = SynapseFormat {
                weight_bits: cost::stored_weight_bits(memory, f.bits).expect("a stored width"),
                index_bits: 6,
                skip_bits: if compression == Compression::RunLength { 2 } else { 0 },
                delay_bits: t.delay_bits,
                compression,
                sign: sign(f.sign),
                exponent: f.exponent,
            };
            let posts: Vec<u16> = synapses.iter().map(|s| s.index).collect();
            for section in cost::split(memory, &format, &posts, true) {
                let mut stored = synapses[section.range.clone()].to_vec();
                if compression == Compression::Dense {
                    for index in section.first..section.first + section.stored {
                        if !stored.iter().any(|s| s.index == index) {
                            stored.push(StoredSynapse { index, mantissa: 0, delay: 0 });
                        }
                    }
                    stored.sort_unstable();
                }
                list.entries.push(SynapseEntry { format: record(&mut t.formats, format), synapses: stored });
            }
        }
        axons.entry((pre, i)).or_default().push(Place { core: CORES[k], index: t.in_axons.len() as u16 });
        let known = t.lists.iter().position(|l| *l == list);
        let number = known.unwrap_or_else(|| {
            t.lists.push(list);
            t.lists.len() - 1
        });
        t.in_axons.push(InAxon { list: number as u16, base });
    }
    // Each core that a neuron sends to is served by one of its seats, each copy serves one core at least.
    let mut seated: Vec<((usize, u16), Vec<Place>)> = Vec::new();
    for (key, seats) in &seats {
        let mut served = vec![Vec::new(); seats.len()];
        for (n, &axon) in axons.get(key).into_iter().flatten().enumerate() {
            let seat = if n == 0 { seats.len() - 1 } else { r.below(seats.len()) };
            served[seat].push(axon);
        }
        seated.extend(seats.iter().copied().zip(served));
    }
    seated.sort_unstable();
    for ((k, compartment), out) in seated {
        let t = &mut tables[k];
        let c = &mut t.compartments[compartment as usize];
        (c.out_axon_start, c.out_axon_count) = (t.out_axons.len() as u16, out.len() as u16);
        t.out_axons.extend(out.into_iter().map(|a| OutAxon { core: a.core, in_axon: a.index }));
    }
    tables.retain(|t| !t.compartments.is_empty());
    let image = PackedImage { cores: tables.iter().map(|t| encode_core(t, &target).expect("a toy fits")).collect() };
    let places = |p: usize, j: u32| -> Vec<Place> {
        seats.get(&(p, j)).into_iter().flatten().map(|&(k, index)| Place { core: CORES[k], index }).collect()
    };
    let host = host(net, encoder, &axons, &places, r);
    let symbols = symbols(net, &places);
    let provenance = Provenance {
        tool: "toy".into(),
        network_name: net.name.clone(),
        network_digest: crate::host::hex(&q.network_digest),
        options: vec![("toy".into(), "yes".into())],
        seed: 7,
    };
    Bundle { target, image: Image::Packed(image), host, symbols, provenance, reference: q.to_bytes() }
}

fn host(
    net: &Net<Fixed>,
    encoder: Encoder,
    axons: &BTreeMap<(usize, u32), Vec<Place>>,
    places: &dyn Fn(usize, u32) -> Vec<Place>,
    r: &mut Random,
) -> Host {
    let mut input_axons = Vec::new();
    for (p, population) in net.populations.iter().enumerate().filter(|(_, p)| p.role == Role::SpikeInput) {
        for index in 0..population.trained_len() as u32 {
            let now = population.origin.binary_search(&index).ok();
            input_axons.push(now.and_then(|i| axons.get(&(p, i as u32)).cloned()).unwrap_or_default());
        }
    }
    let mut bias_writes = Vec::new();
    for (p, population) in net.populations.iter().enumerate() {
        for (j, n) in population.neurons().iter().enumerate().filter(|(_, n)| n.bias.mantissa != 0) {
            let Bias { mantissa, exponent } = n.bias;
            bias_writes.extend(places(p, j as u32).into_iter().map(|place| BiasWrite {
                chip_step: population.skew,
                place,
                mantissa,
                exponent,
            }));
        }
    }
    // A row for each seat of a neuron.
    let maps = net.host_projections.iter().map(|h| {
        let mut map = HostMap {
            name: h.name.clone(),
            first_channel: 0,
            delay_steps: h.delay_steps,
            targets: vec![],
            offsets: vec![0],
            channels: vec![],
            weights: vec![],
            constants: vec![],
            gains: vec![],
        };
        for j in 0..h.constants.len() {
            let terms = h.offsets[j] as usize..h.offsets[j + 1] as usize;
            for place in places(h.post.index(), j as u32) {
                map.targets.push(place);
                map.channels.extend(h.channels[terms.clone()].iter().map(|&c| net.population(h.pre).origin[c as usize]));
                map.weights.extend(&h.weights[terms.clone()]);
                map.offsets.push(map.channels.len() as u32);
                map.constants.push(h.constants[j]);
                map.gains.push(h.gains[j]);
            }
        }
        map
    });
    let output = net.population(net.output);
    let output_place =
        |index: u32| output.origin.binary_search(&index).ok().and_then(|j| places(net.output.index(), j as u32).first().copied());
    let input_width = match encoder {
        Encoder::Spikes => net.spike_width(),
        Encoder::Bias => net.value_width(),
        Encoder::Rate { .. } | Encoder::Latency { .. } => net.spike_width() / 2,
    };
    Host {
        input_width: input_width as u32,
        encoder,
        input_axons,
        injections: Vec::new(),
        maps: maps.collect(),
        bias_writes,
        default_steps: Some(9),
        max_skew: net.max_skew(),
        decoder: Decoder {
            kind: of(r, &[DecoderKind::Count, DecoderKind::FirstSpike, DecoderKind::Potential, DecoderKind::Spikes, DecoderKind::Vote(1)]),
            outputs: (0..output.trained_len() as u32).map(output_place).collect(),
            skew: output.skew,
        },
    }
}

fn symbols(net: &Net<Fixed>, places: &dyn Fn(usize, u32) -> Vec<Place>) -> Symbols {
    let all = |p: usize, population: &Population<Fixed>, range: fn(&[Place]) -> &[Place]| -> Vec<(u32, Place)> {
        let of = |(j, &index): (usize, &u32)| range(&places(p, j as u32)).iter().map(|&place| (index, place)).collect::<Vec<_>>();
        population.origin.iter().enumerate().flat_map(of).collect()
    };
    let populations = net.populations.iter().enumerate().map(|(p, population)| PopulationSymbols {
        name: population.name.clone(),
        shape: population.shape.clone(),
        skew: population.skew,
        input: population.is_input(),
        neurons: all(p, population, |places| places.get(..1).unwrap_or_default()),
        copies: all(p, population, |places| places.get(1..).unwrap_or_default()),
    });
    Symbols { populations: populations.collect(), output: net.output.0 }
}
