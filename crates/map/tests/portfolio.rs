//! Mappings of random nets: complete, numbered, counted, repeatable.

mod support;

use proptest::prelude::*;
use spikec_chip::mesh::Mesh;
use spikec_map::board::Board;
use spikec_map::bounds::lower_bounds;
use spikec_map::check::count;
use spikec_map::hypergraph::{Hypergraph, Layer, Shape};
use spikec_map::limits::Limits;
use spikec_map::mapper::{Job, Mapped, map_board, map_square};
use spikec_map::messages::messages;
use spikec_map::place::quality;
use spikec_map::portfolio::{Effort, Mapping, Options, Strategy, map, suits};
use std::collections::BTreeSet;
use support::{KINDS, labelled, net, random, rates, recount, tight};

const EFFORTS: [Effort; 3] = [Effort::Fast, Effort::Default, Effort::Best];

fn whole(graph: &Hypergraph, limits: &Limits, mapping: &Mapping) {
    let counted = recount(graph, limits, &mapping.parts, mapping.cores);
    assert_eq!(mapping.legal, counted.violations.is_empty(), "{:?}", counted.violations);
    assert_eq!(mapping.in_slots as i64, counted.uses.iter().map(|u| u.in_slots).sum::<i64>());
    if mapping.legal {
        assert!(lower_bounds(graph, limits).iter().all(|b| b.cores <= mapping.cores.into()));
    }
}

fn placed(graph: &Hypergraph, mapped: &Mapped, rates: &[f32], cores: u32) {
    let distinct: BTreeSet<u32> = mapped.physical.iter().copied().collect();
    assert_eq!(distinct.len() as u32, mapped.mapping.cores);
    assert!(distinct.iter().all(|&c| c < cores));
    let traffic = messages(graph, &mapped.mapping.parts, mapped.mapping.cores, rates);
    let hops: f64 = traffic.iter().map(|&(from, to, rate)| rate * f64::from(hops(&mapped.mesh, &mapped.physical, from, to))).sum();
    let q = quality(&mapped.traffic, &mapped.mesh, &mapped.physical).expect("placed");
    assert!((q.hops - hops).abs() <= 1e-6 * hops.max(1.0), "{} {hops}", q.hops);
}

fn hops(mesh: &Mesh, physical: &[u32], from: u32, to: u32) -> u32 {
    let (a, b) = (mesh.router(physical[from as usize]), mesh.router(physical[to as usize]));
    a.x.abs_diff(b.x) + a.y.abs_diff(b.y)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mappings_are_complete_and_counted(kind in 0..3usize, size in 1..40u32, parallel: bool, labels: bool, effort in 0..2usize, seed: u64) {
        let mut rng = random(seed);
        let graph = net(KINDS[kind], size, parallel, &mut rng);
        let mut limits = tight(&graph, 3.0, &mut rng);
        if labels {
            limits = labelled(&graph, limits, &mut rng);
        }
        for strategy in [None, Some(Strategy::Tiles), Some(Strategy::Layers), Some(Strategy::Overlap)] {
            let options = Options { strategy, effort: EFFORTS[effort], seed };
            whole(&graph, &limits, &map(&graph, &limits, &options, &mut |_| ()));
        }
    }

    #[test]
    fn placed_mappings_are_complete_and_counted(kind in 0..3usize, size in 1..40u32, effort in 0..3usize, seed: u64) {
        let mut rng = random(seed);
        let graph = net(KINDS[kind], size, false, &mut rng);
        let limits = tight(&graph, 3.0, &mut rng);
        let rates = rates(&graph, &mut rng);
        // Best effort anneals long: small nets only.
        let effort = if size < 8 { EFFORTS[effort] } else { EFFORTS[effort.min(1)] };
        let options = Options { strategy: None, effort, seed };
        let job = Job { graph: &graph, limits: &limits, rates: &rates, options: &options };
        let mapped = map_square(&job, &mut |_| ()).expect("small");
        whole(&graph, &limits, &mapped.mapping);
        let side = f64::from(mapped.mapping.cores).sqrt().ceil() as u32;
        prop_assert_eq!((mapped.mesh.width, mapped.mesh.height), (side, side));
        placed(&graph, &mapped, &rates, side * side);
        // Again, and with other numbers of threads.
        for threads in [1, 2] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            let again = pool.install(|| map_square(&job, &mut |_| ())).expect("small");
            prop_assert_eq!(&again.mapping, &mapped.mapping);
            prop_assert_eq!(&again.physical, &mapped.physical);
        }
    }

    #[test]
    fn boards_of_several_chips_get_counted_chips(kind in 0..3usize, size in 1..30u32, extra in 0..3u32, seed: u64) {
        let mut rng = random(seed);
        let graph = net(KINDS[kind], size, false, &mut rng);
        let mut limits = tight(&graph, 3.0, &mut rng);
        limits.off_chip_extra = extra;
        let rates = rates(&graph, &mut rng);
        // Chips of 2 x 2 routers with two cores each.
        let mut mesh = Mesh::square(2);
        (mesh.cores_per_router, mesh.chip_columns) = (2, 2);
        let board = Board { mesh, chips: 6 };
        let options = Options { strategy: None, effort: Effort::Fast, seed };
        let job = Job { graph: &graph, limits: &limits, rates: &rates, options: &options };
        let Ok(mapped) = map_board(&job, &board, None, &mut |_| ()) else {
            // More cores than the board has, or than a chip where entries between chips cost more (seed 17842779837251845003, kind 2, size 28).
            prop_assert!(extra > 0 || map(&graph, &limits, &options, &mut |_| ()).cores > board.cores());
            return Ok(());
        };
        let cores = mapped.mapping.cores;
        let used: BTreeSet<u32> = mapped.mapping.parts.iter().copied().collect();
        prop_assert!(used.iter().copied().eq(0..cores));
        let distinct: BTreeSet<u32> = mapped.physical.iter().copied().collect();
        prop_assert_eq!(distinct.len() as u32, cores);
        prop_assert!(distinct.iter().all(|&c| c < 48));
        let chips: Vec<u32> = mapped.physical.iter().map(|c| c / 8).collect();
        let counted = count(&graph, &limits, &mapped.mapping.parts, cores, &chips);
        prop_assert!(!mapped.mapping.legal || counted.violations.is_empty(), "{:?}", counted.violations);
    }

    #[test]
    fn other_numbers_of_the_inputs_change_nothing_that_counts(size in 1..30u32, seed: u64) {
        let mut rng = random(seed);
        let graph = net(KINDS[seed as usize % 3], size, false, &mut rng);
        let mut limits = tight(&graph, 3.0, &mut rng);
        limits.class_of_axon = Vec::new();
        let inputs = graph.inputs();
        let other = |a: u32| if a < inputs { (a + 1) % inputs } else { a };
        let rows: Vec<Vec<u32>> = (0..graph.neurons()).map(|v| graph.in_axons(v).iter().map(|&a| other(a)).collect()).collect();
        let turned = support::graph(inputs, &rows, graph.layers().to_vec());
        let options = Options { strategy: None, effort: Effort::Default, seed };
        let (a, b) = (map(&graph, &limits, &options, &mut |_| ()), map(&turned, &limits, &options, &mut |_| ()));
        whole(&turned, &limits, &b);
        // The assignment of one is one of the other, with the same use of every core.
        prop_assert_eq!(recount(&graph, &limits, &a.parts, a.cores), recount(&turned, &limits, &a.parts, a.cores));
        prop_assert_eq!(recount(&graph, &limits, &b.parts, b.cores), recount(&turned, &limits, &b.parts, b.cores));
        prop_assert_eq!(a.legal, b.legal);
    }
}

#[test]
fn neurons_without_synapses_take_a_place() {
    let graph = support::graph(0, &vec![Vec::new(); 10], Vec::new());
    let mut limits = tight(&graph, 1.5, &mut random(1));
    limits.neurons = 4;
    for effort in EFFORTS {
        let mapping = map(&graph, &limits, &Options { strategy: None, effort, seed: 0 }, &mut |_| ());
        whole(&graph, &limits, &mapping);
        assert_eq!((mapping.legal, mapping.cores, mapping.in_slots), (true, 3, 0));
    }
}

#[test]
fn a_neuron_that_no_core_holds_is_a_quick_refusal() {
    let graph = support::graph(9, &[(0..9).collect(), vec![10], vec![9]], Vec::new());
    let mut limits = tight(&graph, 1.5, &mut random(1));
    limits.in_slots = 8;
    for effort in EFFORTS {
        let mapping = map(&graph, &limits, &Options { strategy: None, effort, seed: 0 }, &mut |_| ());
        whole(&graph, &limits, &mapping);
        assert!(!mapping.legal);
    }
}

#[test]
fn destinations_of_one_neuron_are_limited() {
    // One neuron into 12 that share nothing else; two fit a core, so it has seven destinations at most and six at least.
    let rows: Vec<Vec<u32>> = (0..13u32).map(|v| if v == 0 { vec![0] } else { vec![v, 13] }).collect();
    let graph = support::graph(13, &rows, Vec::new());
    let mut limits = tight(&graph, 1.5, &mut random(1));
    (limits.neurons, limits.in_slots, limits.words, limits.out_entries) = (2, 8, 1000, 1000);
    for (most, legal) in [(12, true), (7, true), (5, false)] {
        limits.out_per_neuron = most;
        let mapping = map(&graph, &limits, &Options { strategy: None, effort: Effort::Default, seed: 0 }, &mut |_| ());
        whole(&graph, &limits, &mapping);
        assert_eq!(
            mapping.legal,
            legal,
            "{most}: {:?} {:?}",
            mapping.parts,
            recount(&graph, &limits, &mapping.parts, mapping.cores).violations
        );
    }
}

/// Soft resets make synapses of neurons onto themselves: the order of layers is what it is without them, and their entries are counted.
#[test]
fn neurons_that_enter_themselves_are_no_loop_of_layers() {
    let shape = Shape { channels: 4, height: 6, width: 6 };
    let layer = |first| Layer { first, neurons: 144, shape: Some(shape), origin: Vec::new() };
    let layers = vec![layer(0), layer(144), layer(288)];
    let rows = |itself: bool| -> Vec<Vec<u32>> {
        let near = |l: usize, k: u32| -> Vec<u32> {
            let (_, y, x) = layers[l].place(shape, k);
            let near = |&j: &u32| {
                let (_, v, u) = layers[l].place(shape, j);
                v.abs_diff(y) <= 1 && u.abs_diff(x) <= 1
            };
            let before = if l == 0 { 0 } else { 36 + layers[l - 1].first };
            let from = if l == 0 { 36 } else { 144 };
            (0..from).filter(near).map(|j| before + j).collect()
        };
        (0..3)
            .flat_map(|l| (0..144).map(move |k| (l, k)))
            .map(|(l, k)| {
                let own = itself.then_some(36 + layers[l].first + k);
                near(l, k).into_iter().chain(own).collect()
            })
            .collect()
    };
    let mut limits = tight(&support::graph(36, &rows(true), layers.clone()), 1.5, &mut random(1));
    (limits.neurons, limits.in_slots, limits.words, limits.out_entries, limits.entry_cost) = (36, 200, 10_000, 120, 1);
    limits.out_per_neuron = 30;
    for strategy in [Strategy::Tiles, Strategy::Layers] {
        let mapped = |itself: bool| {
            let graph = support::graph(36, &rows(itself), layers.clone());
            suits(&graph, strategy).expect("no loop of layers");
            let mapping = map(&graph, &limits, &Options { strategy: Some(strategy), effort: Effort::Default, seed: 0 }, &mut |_| ());
            whole(&graph, &limits, &mapping);
            assert!(mapping.legal && mapping.strategy == strategy, "{strategy:?}");
            mapping.cores
        };
        let (without, with) = (mapped(false), mapped(true));
        assert!(with <= without + without / 3, "{without} {with}");
    }
    // A neuron that enters another one of its layer is a loop.
    let mut rows = rows(true);
    rows[0].push(36 + 1);
    let graph = support::graph(36, &rows, layers);
    assert!(suits(&graph, Strategy::Tiles).is_err());
}

#[test]
fn seeds_are_the_only_chance() {
    let mut rng = random(11);
    let graph = net(KINDS[0], 120, false, &mut rng);
    let mut limits = tight(&graph, 1.2, &mut rng);
    limits.neurons = 20;
    let with = |seed| map(&graph, &limits, &Options { strategy: None, effort: Effort::Default, seed }, &mut |_| ());
    assert_eq!(with(5), with(5));
}
