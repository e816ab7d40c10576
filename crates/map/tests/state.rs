//! Counts of an assignment as neurons come and go, against plain loops.

mod support;

use proptest::prelude::*;
use rand::Rng;
use rand::seq::SliceRandom;
use spikec_map::check::count;
use spikec_map::hypergraph::Hypergraph;
use spikec_map::limits::Limits;
use spikec_map::pairs::{Lists, Pairs, Table};
use spikec_map::state::{NONE, State};
use support::{KINDS, labelled, net, pairs, random, tight, uses};

/// Every question that pairs answer, against the synapses of each (axon, core) pair.
fn questions<P: Pairs>(graph: &Hypergraph, state: &State<P>) {
    let naive = pairs(graph, state.parts());
    let cores = state.cores();
    for axon in 0..graph.axons() {
        let mut listed = Vec::new();
        state.pairs.each(axon, |core, synapses| listed.push((core, synapses)));
        listed.sort_unstable();
        let expected: Vec<(u32, u32)> = naive.range((axon, 0)..(axon + 1, 0)).map(|(k, &n)| (k.1, n)).collect();
        assert_eq!(listed, expected);
        assert_eq!(state.pairs.cores_of(axon), expected.len() as u32);
        for core in 0..cores {
            assert_eq!(state.pairs.count(axon, core), naive.get(&(axon, core)).copied().unwrap_or(0));
        }
    }
    let mut scratch = vec![0; cores as usize];
    for v in 0..graph.neurons() {
        let mut hits = vec![(u32::MAX, 7)];
        state.pairs.gather(graph.in_axons(v), u32::MAX, &mut hits, &mut scratch);
        assert_eq!(hits.remove(0), (u32::MAX, 7), "what was there stays");
        hits.sort_unstable();
        let of = |core: u32| graph.in_axons(v).iter().filter(|&&a| naive.contains_key(&(a, core))).count() as u32;
        let expected: Vec<(u32, u32)> = (0..cores).map(|core| (core, of(core))).filter(|h| h.1 > 0).collect();
        assert_eq!(hits, expected);
        for most_new in [0, 1, 2, 5, 40] {
            let mut few = Vec::new();
            let looked = state.pairs.gather(graph.in_axons(v), most_new, &mut few, &mut scratch);
            few.sort_unstable();
            assert!(few.iter().eq(expected.iter().filter(|h| looked - h.1 <= most_new)), "{most_new}");
        }
        assert!(scratch.iter().all(|&s| s == 0));
        let core = state.part(v);
        if core != NONE {
            let alone = graph.synapses(v).filter(|&(a, m)| naive[&(a, core)] == m).count() as u32;
            assert_eq!(state.pairs.alone(graph, v, core), alone);
        }
    }
}

/// What `added`, `room` and `sources_fit` foretell of an assignment, then the assignment.
fn foretold<P: Pairs>(graph: &Hypergraph, state: &mut State<P>, v: u32, core: u32) {
    let before: Vec<_> = (0..state.cores()).map(|c| state.used(c)).collect();
    let destinations: Vec<u32> = (0..graph.neurons()).map(|s| state.pairs.cores_of(graph.axon(s))).collect();
    let add = state.added(v, core);
    let room = state.room(v, core, add);
    let mut scratch = vec![0; state.cores() as usize];
    let fit = state.sources_fit(v, core, &mut scratch);
    assert!(scratch.iter().all(|&s| s == 0));
    state.assign(v, core);
    let after = state.used(core);
    let was = before[core as usize];
    assert_eq!(after.neurons, was.neurons + add.neurons);
    assert_eq!(after.in_slots, was.in_slots + add.in_slots);
    assert_eq!(after.out_entries, was.out_entries + add.out_entries);
    assert_eq!(after.words, was.words + add.words);
    assert_eq!(room, state.within(core));
    let risen = |c: u32| c != core && state.used(c).out_entries > before[c as usize].out_entries;
    let cores_fit = (0..state.cores()).all(|c| !risen(c) || state.used(c).out_entries <= state.most_entries(c));
    let more = |s: u32| state.pairs.cores_of(graph.axon(s)) > destinations[s as usize];
    let few = (0..graph.neurons()).all(|s| !more(s) || state.destinations_fit(s));
    assert_eq!(fit, cores_fit && few);
}

/// A random walk of assignments; `make` makes pairs for a number of cores.
fn walk<P: Pairs>(graph: &Hypergraph, limits: &Limits, chips: bool, seed: u64, make: impl Fn(&Hypergraph, u32) -> P) -> Vec<Vec<u32>> {
    let mut rng = random(seed);
    let most = rng.random_range(2..7u32);
    let first = if chips { 0 } else { rng.random_range(1..=most) };
    let mut state = State::new(graph, limits, make(graph, most), first, Vec::new());
    let mut of_core = Vec::new();
    let mut trail = Vec::new();
    for step in 0..60 {
        if state.cores() == 0 || state.cores() < most && rng.random_bool(0.1) {
            let opened = if chips {
                of_core.push(rng.random_range(0..2));
                state.open_on(of_core[of_core.len() - 1])
            } else {
                state.open()
            };
            assert_eq!(opened + 1, state.cores());
        }
        let v = rng.random_range(0..graph.neurons());
        if state.part(v) == NONE {
            let core = rng.random_range(0..state.cores());
            foretold(graph, &mut state, v, core);
        } else {
            state.unassign(v);
        }
        let naive = uses(graph, limits, state.parts(), state.cores(), &of_core);
        for core in 0..state.cores() {
            assert_eq!(state.used(core), naive[core as usize], "step {step}, core {core}");
        }
        assert_eq!(state.in_slots(), naive.iter().map(|u| u.in_slots).sum::<i64>());
        if step % 10 == 0 {
            questions(graph, &state);
        }
        trail.push(state.parts().to_vec());
    }
    let mut rest: Vec<u32> = (0..graph.neurons()).filter(|&v| state.part(v) == NONE).collect();
    rest.shuffle(&mut rng);
    for v in rest {
        let core = rng.random_range(0..state.cores());
        foretold(graph, &mut state, v, core);
    }
    questions(graph, &state);
    let counted = count(graph, limits, state.parts(), state.cores(), &of_core);
    for core in 0..state.cores() {
        assert_eq!(state.used(core), counted.uses[core as usize]);
        let single = "destinations of a neuron";
        let passed = counted.violations.iter().any(|x| x.core == core && x.resource != single);
        assert_eq!(state.within(core), !passed, "core {core}: {:?}", counted.violations);
        let members = (0..graph.neurons()).filter(|&v| state.part(v) == core);
        let wide = members.filter(|&v| !state.destinations_fit(v)).count() > 0;
        assert_eq!(wide, counted.violations.iter().any(|x| x.core == core && x.resource == single));
    }
    trail.push(state.into_parts());
    trail
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn counts_are_those_of_a_recount(kind in 0..3usize, size in 1..12u32, parallel: bool, labels: bool, chips: bool, seed: u64) {
        let mut rng = random(seed);
        let graph = net(KINDS[kind], size, parallel, &mut rng);
        let mut limits = tight(&graph, 2.0, &mut rng);
        if labels {
            limits = labelled(&graph, limits, &mut rng);
        }
        limits.off_chip_extra = 2;
        let lists = walk(&graph, &limits, chips, seed, Lists::new);
        if !graph.has_parallel() {
            prop_assert!(Table::serves(&graph, 8));
            prop_assert_eq!(lists, walk(&graph, &limits, chips, seed, Table::new));
        }
    }
}

#[test]
fn tables_and_lists_agree_on_many_cores_and_axons() {
    // 300 neurons, fans of up to 280 axons, 150 cores: more than two words of cores, and sums of many bits.
    let mut rng = random(3);
    let mut rows: Vec<Vec<u32>> = (0..300).map(|_| (0..300u32).filter(|_| rng.random_bool(0.1)).collect()).collect();
    rows[7] = (0..280).collect();
    rows[8] = (10..300).collect();
    let graph = support::graph(0, &rows, Vec::new());
    let mut limits = tight(&graph, 1.5, &mut rng);
    limits.class_of_axon = Vec::new();
    let (mut table, mut lists) = (
        State::new(&graph, &limits, Table::new(&graph, 150), 150, Vec::new()),
        State::new(&graph, &limits, Lists::new(&graph, 150), 150, Vec::new()),
    );
    // First all on one core, then spread.
    for spread in [1, 150] {
        for v in 0..graph.neurons() {
            let core = 149 - rng.random_range(0..spread);
            if table.part(v) != NONE {
                table.unassign(v);
                lists.unassign(v);
            }
            table.assign(v, core);
            lists.assign(v, core);
        }
        questions(&graph, &table);
        questions(&graph, &lists);
        assert!((0..150).all(|c| table.used(c) == lists.used(c)));
    }
}

#[test]
fn tables_serve_where_their_fields_hold_every_count() {
    let line = |rows: Vec<Vec<u32>>| support::graph(1, &rows, Vec::new());
    assert!(Table::serves(&line(vec![vec![0]; 65_535]), 8));
    assert!(!Table::serves(&line(vec![vec![0]; 65_536]), 8), "the count of one pair would not fit");
    assert!(!Table::serves(&line(vec![vec![0, 0]]), 8), "parallel synapses");
    assert!(!Table::serves(&line(vec![vec![0]; 60_000]), 1 << 14), "too large");
}

#[test]
fn words_beyond_the_table_are_whole_tables_and_a_rest() {
    let graph = Hypergraph::new(1, vec![0, 1], vec![0], Vec::new());
    let mut limits = tight(&graph, 1.5, &mut random(1));
    limits.words_of = vec![vec![0, 2, 3, 5]];
    limits.class_of_axon = Vec::new();
    assert_eq!([0, 1, 3, 4, 6, 8].map(|n| limits.words(0, n)), [0, 2, 5, 7, 10, 13]);
}

#[test]
fn parallel_synapses_are_merged_and_rows_sorted() {
    let graph = Hypergraph::new(2, vec![0, 3, 5], vec![3, 0, 3, 1, 2], Vec::new());
    assert_eq!(graph.synapses(0).collect::<Vec<_>>(), [(0, 1), (3, 2)]);
    assert_eq!(graph.synapses(1).collect::<Vec<_>>(), [(1, 1), (2, 1)]);
    assert_eq!((graph.pins(), graph.axons(), graph.has_parallel()), (4, 4, true));
    assert_eq!(graph.out_neurons(graph.axon(0)), [1]);
    assert_eq!(graph.out_neurons(graph.axon(1)), [0]);
    assert_eq!((graph.source(1), graph.source(2)), (None, Some(0)));
}
