//! A small net on the cores of a crossbar: neurons dealt out, an axon for each source, delay and type that its core needs.

use super::integers::Levels;
use crate::mutate::Random;
use spikec_chip::bundle::{Bundle, Decoder, DecoderKind, Encoder, Host, Injection, Origin, Place, PopulationSymbols, Provenance, Symbols};
use spikec_chip::crossbar::{Crossbar as Spec, CrossbarImage, CrossbarReset, CrossbarRow, CrossbarTables, Destination, encode_core};
use spikec_chip::image::Image;
use spikec_chip::target::Target;
use spikec_net::*;
use std::collections::{BTreeMap, BTreeSet};

/// Cores of a toy: not the output bus.
const CORES: [u32; 3] = [0, 1, 4];

/// A neuron or channel: (population, index now).
type Source = (usize, u32);

/// The types whose weights add up to `w`.
fn types(levels: &[i32; 4], w: i32) -> Vec<u8> {
    match levels.iter().position(|&l| l == w) {
        Some(k) => vec![k as u8],
        None => {
            assert_eq!(levels[0] + levels[2], w, "a toy's weight is one of its levels or the sum of two");
            vec![0, 2]
        }
    }
}

/// A whole small net on a crossbar chip.
pub(super) fn emit(q: &Quantized<Crossbar>, target: Target, levels: &Levels, r: &mut Random) -> Bundle {
    let net = &q.net;
    let spec = crate::crossbar::spec(&target);
    let core_of: BTreeMap<Source, usize> = neurons(net).map(|source| (source, r.below(CORES.len()))).collect();
    // (core, source, chip delay, type): who hears it.
    let mut heard: BTreeMap<(usize, Source, i64, u8), Vec<Source>> = BTreeMap::new();
    for p in &net.projections {
        for (i, j, w, d) in p.synapses.iter() {
            let (pre, post) = ((p.pre.index(), i), (p.post.index(), j));
            let index = net.population(p.post).origin[j as usize] as usize;
            for kind in types(&levels[post.0][index], w) {
                heard.entry((core_of[&post], pre, net.chip_delay(p, d), kind)).or_default().push(post);
            }
        }
    }
    let mut tables: Vec<CrossbarTables> = CORES
        .iter()
        .map(|&core| CrossbarTables {
            core,
            types: vec![0; *spec.core.axons as usize],
            neurons: vec![CrossbarRow::unused(spec); *spec.core.neurons as usize],
        })
        .collect();
    let mut used = [0usize; CORES.len()];
    let mut connections: BTreeMap<Source, BTreeSet<(u16, u8)>> = BTreeMap::new();
    // Where each source goes: (core, axon, chip delay).
    let mut destinations: BTreeMap<Source, Vec<(usize, u16, i64)>> = BTreeMap::new();
    for ((k, source, delay, kind), posts) in heard {
        // Some axons stay free.
        let axon = used[k] + r.below(2);
        used[k] = axon + 1;
        tables[k].types[axon] = kind;
        destinations.entry(source).or_default().push((k, axon as u16, delay));
        for post in posts {
            connections.entry(post).or_default().insert((axon as u16, kind));
        }
    }
    let mut places: BTreeMap<Source, Vec<Place>> = BTreeMap::new();
    let mut rows = [0usize; CORES.len()];
    let bus = *spec.routing.output_bus;
    let width = *target.topology.width;
    let offset = |from: u32, (x, y): (u32, u32)| (x as i32 - (from % width) as i32, y as i32 - (from / width) as i32);
    for source in neurons(net) {
        let k = core_of[&source];
        let population = &net.populations[source.0];
        let row = row(spec, population, source.1, connections.get(&source), &levels[source.0]);
        let mut all: Vec<Destination> = Vec::new();
        if source.0 == net.output.index() {
            let (dx, dy) = offset(CORES[k], bus);
            all.push(Destination { dx, dy, axon: population.origin[source.1 as usize] as u16, delay: 0 });
        }
        for &(to, axon, delay) in destinations.get(&source).into_iter().flatten() {
            let (dx, dy) = offset(CORES[k], (CORES[to] % width, CORES[to] / width));
            all.push(Destination { dx, dy, axon, delay: (delay - 1) as u8 });
        }
        if all.is_empty() {
            // Nothing hears it: its spikes end behind the last axon.
            all.push(Destination { axon: used[k] as u16, ..Destination::default() });
        }
        for destination in all {
            let index = rows[k] + r.below(2);
            rows[k] = index + 1;
            tables[k].neurons[index] = CrossbarRow { destination, ..row.clone() };
            places.entry(source).or_default().push(Place { core: CORES[k], index: index as u16 });
        }
    }
    let free: BTreeSet<u32> = (0..CORES.len()).filter(|&k| rows[k] == 0).map(|k| CORES[k]).collect();
    tables.retain(|t| !free.contains(&t.core));
    let image = CrossbarImage { cores: tables.iter().map(|t| encode_core(t, spec).expect("a toy fits")).collect() };
    let to_host = |&(k, axon, delay): &(usize, u16, i64)| (Place { core: CORES[k], index: axon }, delay);
    let sent = |source: Source| destinations.get(&source).into_iter().flatten().map(to_host).collect();
    let bundle = whole(q, target.clone(), Image::Crossbar(image), &sent, &places, r);
    assert_eq!(bundle.validate(), []);
    bundle
}

fn row(spec: &Spec, p: &Population<Crossbar>, j: u32, connections: Option<&BTreeSet<(u16, u8)>>, levels: &[[i32; 4]]) -> CrossbarRow {
    let n = p.neurons()[j as usize];
    let mut weights = vec![0; *spec.core.axon_types as usize];
    for &(_, kind) in connections.into_iter().flatten() {
        weights[usize::from(kind)] = levels[p.origin[j as usize] as usize][usize::from(kind)];
    }
    CrossbarRow {
        connections: connections.into_iter().flatten().map(|c| c.0).collect(),
        potential: n.start - p.skew as i32 * n.leak,
        reset: n.reset,
        weights,
        leak: n.leak,
        positive_threshold: n.threshold,
        negative_threshold: n.floor,
        mode: if n.linear { CrossbarReset::Linear } else { CrossbarReset::Absolute },
        destination: Destination::default(),
    }
}

/// All neurons of a net.
pub(super) fn neurons<N: Number>(net: &Net<N>) -> impl Iterator<Item = Source> + '_ {
    net.populations.iter().enumerate().flat_map(|(p, population)| (0..population.neurons().len() as u32).map(move |j| (p, j)))
}

/// Host, symbols and provenance around an image. `sent` says where the host sends a channel's spikes, and how many steps later.
pub(super) fn whole<N: Number>(
    q: &Quantized<N>,
    target: Target,
    image: Image,
    sent: &dyn Fn(Source) -> Vec<(Place, i64)>,
    places: &BTreeMap<Source, Vec<Place>>,
    r: &mut Random,
) -> Bundle {
    let net = &q.net;
    let (mut input_axons, mut injections): (Vec<Vec<Place>>, Vec<Injection>) = (Vec::new(), Vec::new());
    for (p, population) in net.populations.iter().enumerate().filter(|(_, p)| p.is_input()) {
        for index in 0..population.trained_len() as u32 {
            let now = population.origin.binary_search(&index).ok();
            let all = now.map(|i| sent((p, i as u32))).unwrap_or_default();
            let from = Origin::Channel(input_axons.len() as u32);
            input_axons.push(all.iter().filter(|s| s.1 == 0).map(|s| s.0).collect());
            let later = all.iter().filter(|s| s.1 > 0);
            injections.extend(later.map(|&(to, delay)| Injection { from, to, delay_steps: delay as u32 }));
        }
    }
    for (&source, places) in places.iter().filter(|_| matches!(image, Image::EventCrossbar(_))) {
        let from = Origin::Neuron(places[0]);
        injections.extend(sent(source).into_iter().map(|(to, delay)| Injection { from, to, delay_steps: delay as u32 }));
    }
    injections.sort_unstable();
    let output = net.population(net.output);
    let first = |p: usize, j: usize| places.get(&(p, j as u32)).and_then(|places| places.first().copied());
    let outputs = (0..output.trained_len() as u32).map(|i| first(net.output.index(), output.origin.binary_search(&i).ok()?));
    let host = Host {
        input_width: net.spike_width() as u32,
        encoder: Encoder::Spikes,
        input_axons,
        injections,
        maps: Vec::new(),
        bias_writes: Vec::new(),
        default_steps: Some(9),
        max_skew: net.max_skew(),
        decoder: Decoder {
            kind: super::of(r, &[DecoderKind::Count, DecoderKind::FirstSpike, DecoderKind::Spikes, DecoderKind::Vote(1)]),
            outputs: outputs.collect(),
            skew: output.skew,
        },
    };
    let populations = net.populations.iter().enumerate().map(|(p, population)| {
        let all = |from: usize, to: usize| {
            let of = move |(j, &index): (usize, &u32)| {
                let places = places.get(&(p, j as u32)).map_or(&[][..], |v| &v[..]);
                let mut some: Vec<(u32, Place)> = places.iter().skip(from).take(to).map(|&place| (index, place)).collect();
                some.sort_unstable();
                some
            };
            population.origin.iter().enumerate().flat_map(of).collect()
        };
        PopulationSymbols {
            name: population.name.clone(),
            shape: population.shape.clone(),
            skew: population.skew,
            input: population.is_input(),
            neurons: all(0, 1),
            copies: all(1, usize::MAX),
        }
    });
    let symbols = Symbols { populations: populations.collect(), output: net.output.0 };
    let provenance = Provenance {
        tool: "toy".into(),
        network_name: net.name.clone(),
        network_digest: crate::host::hex(&q.network_digest),
        options: vec![("toy".into(), "yes".into())],
        seed: 7,
    };
    Bundle { target, image, host, symbols, provenance, reference: q.to_bytes() }
}
