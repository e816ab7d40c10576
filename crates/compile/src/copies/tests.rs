use super::*;
use crate::fixednets::{Builder, MIXED8, NEURON, changed};
use crate::partition::NeuronRef;
use crate::place::{PlaceOptions, place};
use spikec_net::{Bias, FixedNeuron, PopulationId};

fn neuron(population: u32, neuron: u32) -> NeuronRef {
    NeuronRef { population: PopulationId(population), neuron }
}

/// A source (population 0) that fires in every step and reaches all of `n` neurons.
fn star(n: u32) -> Quantized {
    let mut b = Builder::new();
    let source = FixedNeuron { threshold: 1, bias: Bias { mantissa: 100, exponent: 0 }, ..NEURON };
    let source = b.neurons("source", 0, vec![source]);
    let all = b.neurons("all", 1, vec![NEURON; n as usize]);
    b.connect((source, all), MIXED8, (0..n).map(|j| (0, j, 2, 0)).collect());
    b.build()
}

/// One neuron on each core, the source beside the first.
fn one_each(n: u32) -> Proposal {
    let mut parts: Vec<Vec<NeuronRef>> = (0..n).map(|j| vec![neuron(1, j)]).collect();
    parts[0].insert(0, neuron(0, 0));
    parts.into()
}

fn codes(q: &Quantized, proposal: Proposal, target: &Target) -> Vec<(&'static str, f64)> {
    let refused = Partitioned::new(q, proposal, target).map(|p| p.copies().len());
    refused.map_or_else(|e| e.findings.iter().map(|f| (f.code, f.need)).collect(), |copies| vec![("fits", copies as f64)])
}

#[test]
fn illegal_copies_are_refused_by_name() {
    let (q, target) = (star(3), changed(|_| ()));
    let with = |copies: Vec<Vec<NeuronRef>>| Proposal { copies, ..one_each(3) };
    let source = neuron(0, 0);
    assert_eq!(codes(&q, with(vec![vec![], vec![source]]), &target), [("fits", 1.0)]);
    // Twice on one core, and beside the neuron itself.
    assert_eq!(codes(&q, with(vec![vec![], vec![source, source]]), &target), [("P05", 1.0)]);
    assert_eq!(codes(&q, with(vec![vec![source]]), &target), [("P05", 1.0)]);
    // An output that nobody reads.
    assert_eq!(codes(&q, with(vec![vec![neuron(1, 2)]]), &target), [("P06", 1.0)]);
    // Unknown neurons, copies without a part.
    assert_eq!(codes(&q, with(vec![vec![neuron(7, 0)]]), &target), [("P03", 1.0)]);
    assert_eq!(codes(&q, with(vec![vec![], vec![], vec![], vec![source]]), &target), [("P07", 1.0)]);
    // A copy is no neuron: without one of its own it has no core.
    let mut parts = one_each(3).parts;
    parts[0].remove(0);
    let orphan = Proposal { copies: vec![vec![], vec![source]], ..parts.into() };
    assert_eq!(codes(&q, orphan, &target), [("P01", 1.0)]);
    // Copies take compartments.
    let narrow = changed(|p| p.core.compartments.value = 1);
    let mut parts = one_each(3).parts;
    parts[0].remove(1);
    parts.push(vec![neuron(1, 0)]);
    assert_eq!(codes(&q, Proposal { copies: vec![vec![], vec![source]], ..parts.into() }, &narrow), [("C01", 2.0)]);
}

#[test]
fn each_message_has_one_server_and_is_counted_there() {
    // Chips of two cores: parts 0, 1 and 2, 3.
    let mut target = changed(|_| ());
    (target.topology.width.value, target.topology.height.value, target.topology.cores_per_router.value) = (2, 1, 1);
    target.topology.chips.value = 2;
    let q = star(4);
    let entries =
        |p: &Partitioned| -> Vec<u64> { p.parts().iter().map(|part| part.usage.iter().find(|u| u.code == "C03").unwrap().used).collect() };
    let plain = Partitioned::new(&q, one_each(4), &target).unwrap();
    // Two on its chip, two on the other, which take two entries each.
    assert_eq!(entries(&plain), [6, 0, 0, 0]);
    let with = Proposal { copies: vec![vec![], vec![], vec![], vec![neuron(0, 0)]], ..one_each(4) };
    let with = Partitioned::new(&q, with, &target).unwrap();
    assert_eq!(entries(&with), [2, 0, 0, 2]);
    let servers: Vec<_> = with.messages(0).map(|(from, link)| (from, link.part)).collect();
    assert_eq!(servers, [(Some(0), 0), (Some(0), 1), (Some(3), 2), (Some(3), 3)]);
    assert_eq!(with.place(PopulationId(0), 0), Some((0, 0)));
    assert_eq!(with.parts()[3].pack.units, [4, 0]);
}

/// A mapping with the source on the first core of a row of routers.
fn row(q: &Quantized, n: u32, target: &Target) -> Placed {
    let cores: Vec<u32> = (0..n).collect();
    Placed::new(Partitioned::new(q, Proposal { cores: Some(cores.clone()), ..one_each(n) }, target).unwrap(), cores, target).unwrap()
}

#[test]
fn copies_are_made_where_the_way_costs_more_than_a_compartment() {
    let long = |n: u32, hop: f64| {
        let mut target = changed(|p| p.energy_pj.hop_x.value = hop);
        (target.topology.width.value, target.topology.height.value, target.topology.cores_per_router.value) = (n, 1, 1);
        target
    };
    let q = star(16);
    // A compartment that fires and is written: 51.2 + 21.6 + 69.3 + 2 * 111.0 / 100 pJ a step; all ways: 0 + 1 + ... + 15 hops.
    for (hop, made) in [(0.5, 0), (3.0, 1), (1000.0, 15)] {
        let target = long(16, hop);
        let (with, without) = improve(&q, row(&q, 16, &target), &target, &Search::default(), Some(100));
        let copies = with.partitioned().copies().len();
        assert_eq!((copies, without.is_some()), (made, made > 0), "{hop}");
        if let Some(before) = without {
            let report = report(&q, &with, &target, &Search::default(), Some(100), Some(before)).unwrap();
            let cost = 51.2 + 21.6 + 69.3 + 2.22;
            let saved = (before.hops - report.with.hops) * hop - made as f64 * cost;
            assert!((before.energy_pj - report.with.energy_pj - saved).abs() < 1e-6 * before.energy_pj, "{report:?}");
            assert_eq!((report.copies, report.neurons), (made as u64, 1));
        }
    }
    // Without measured rates nobody knows whether other neurons fire; with them a silent one has no copy.
    let mut quiet = star(16);
    let spikec_net::Role::Neurons(source) = &mut quiet.net.populations[0].role else { unreachable!() };
    source[0].bias.mantissa = 10;
    let target = long(16, 100.0);
    let count = |rates: Vec<f32>| {
        let search = Search { rates, ..Search::default() };
        improve(&quiet, row(&quiet, 16, &target), &target, &search, Some(100)).0.partitioned().copies().len()
    };
    assert_eq!(count(Vec::new()), 0);
    assert_eq!(count([vec![1e-3; 17]].concat()), 0);
    assert!(count([vec![0.5], vec![0.1; 16]].concat()) > 3);
}

#[test]
fn pinned_layers_have_copies_on_their_own_cores_alone() {
    let mut target = changed(|p| p.energy_pj.hop_x.value = 100.0);
    (target.topology.width.value, target.topology.height.value, target.topology.cores_per_router.value) = (16, 1, 1);
    let q = star(16);
    let parts: Vec<Vec<NeuronRef>> = std::iter::once(vec![neuron(0, 0)]).chain((0..15).map(|j| vec![neuron(1, j)])).collect();
    let mut parts = parts;
    parts[15].push(neuron(1, 15));
    let cores: Vec<u32> = (0..16).collect();
    let placed = || {
        let proposal = Proposal { parts: parts.clone(), cores: Some(cores.clone()), copies: Vec::new(), kernels: Default::default() };
        Placed::new(Partitioned::new(&q, proposal, &target).unwrap(), cores.clone(), &target).unwrap()
    };
    // Only the source talks: no core gets busier than its.
    let search = Search { rates: [vec![1.0], vec![1e-3; 16]].concat(), ..Search::default() };
    assert!(improve(&q, placed(), &target, &search, Some(100)).1.is_some());
    let search = Search { pins: vec![(PopulationId(0), 0..1)], ..search };
    assert!(improve(&q, placed(), &target, &search, Some(100)).1.is_none());
}

#[test]
fn annealed_placements_keep_their_copies() {
    let q = star(6);
    let target = changed(|_| ());
    let with = Proposal { copies: vec![vec![], vec![], vec![], vec![neuron(0, 0)]], ..one_each(6) };
    let partitioned = Partitioned::new(&q, with, &target).unwrap();
    let options = PlaceOptions { effort: Effort::Default, seed: 0, rates: &[] };
    let placed = place(partitioned, &target, &options).unwrap();
    assert_eq!(placed.partitioned().copies().len(), 1);
}

#[test]
fn copies_relieve_a_core_whose_output_axons_take_too_many_bytes() {
    let q = star(16);
    let of = |bytes: u32, neuron: u32| {
        let target = changed(|p| {
            (p.core.core_bytes.value, p.core.neuron_bytes.value) = (bytes, neuron);
            (p.core.in_axon_bytes.value, p.core.out_axon_entry_bytes.value) = (4, 10);
            (p.synapse_memory.usable_words.value, p.synapse_memory.max_words_per_axon.value) = (8, 8);
        });
        let cores = Proposal { cores: Some((0..16).collect()), ..one_each(16) };
        let (counted, findings) = Partitioned::counted(&q, &cores, &target);
        // Two neurons, an input axon with its word, 16 entries.
        let seen: Vec<_> = findings.iter().map(|f| (f.code, f.core, f.need)).collect();
        assert_eq!(seen, [("C27", Some(0), f64::from(2 * neuron + 4 + 8 + 160))]);
        relieve(&q, &counted, &findings, &target, &Search::default()).map(|proposal| Partitioned::new(&q, proposal, &target))
    };
    let relieved = of(130, 10).expect("found").unwrap_or_else(|e| panic!("{e}"));
    let copies = relieved.copies().len();
    assert!((1..8).contains(&copies), "{copies} copies");
    // A copy and the entry to its own core take two bytes more than there are.
    assert!(of(100, 40).is_none());
}
