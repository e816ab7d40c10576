//! Regions: counts of a part are those of the whole, and large nets with loops are annealed in them.

mod support;

use proptest::prelude::*;
use rand::Rng;
use rand::seq::SliceRandom;
use spikec_map::check::count;
use spikec_map::grow::{Grower, Room};
use spikec_map::hypergraph::Hypergraph;
use spikec_map::limits::Limits;
use spikec_map::pairs::{Lists, Table};
use spikec_map::portfolio::{Effort, Mapping, Options, Strategy, map};
use spikec_map::region::{Region, Scratch, groups};
use spikec_map::regional::regional;
use support::{KINDS, Random, net, random, recount, tight};

/// Neurons on a ring: most synapses come from near, some from anywhere. The numbers of the neurons say nothing about where they stand.
fn ring(neurons: u32, rng: &mut Random) -> Hypergraph {
    let mut number: Vec<u32> = (0..neurons).collect();
    number.shuffle(rng);
    let mut rows = vec![Vec::new(); neurons as usize];
    for at in 0..neurons {
        let mut row: Vec<u32> = (0..8).map(|_| number[((at + neurons + rng.random_range(0..21) - 10) % neurons) as usize]).collect();
        row.extend((0..2).map(|_| rng.random_range(0..neurons)));
        row.sort_unstable();
        row.dedup();
        rows[number[at as usize] as usize] = row;
    }
    support::graph(0, &rows, Vec::new())
}

/// Small cores, so that there are many.
fn small(graph: &Hypergraph) -> Limits {
    let mut limits = tight(graph, 1.5, &mut random(1));
    (limits.neurons, limits.in_slots, limits.out_entries, limits.words) = (24, 80, 120, 2000);
    limits.out_per_neuron = u32::MAX;
    limits.entry_cost = 1;
    limits
}

fn grown(graph: &Hypergraph, limits: &Limits) -> Vec<Vec<u32>> {
    let neurons: Vec<u32> = (0..graph.neurons()).collect();
    let room = Room::of(limits, f64::INFINITY);
    Grower::new(graph).grow(&neurons, room, &|_| 0.0)
}

fn with(effort: Effort, seed: u64) -> Options {
    Options { strategy: None, effort, seed }
}

fn slots(graph: &Hypergraph, limits: &Limits, blocks: &[Vec<u32>]) -> u64 {
    let mut parts = vec![0; graph.neurons() as usize];
    blocks.iter().zip(0..).for_each(|(block, core)| block.iter().for_each(|&v| parts[v as usize] = core));
    count(graph, limits, &parts, blocks.len() as u32, &[]).uses.iter().map(|u| u.in_slots as u64).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_region_counts_what_the_whole_counts(kind in 0..3usize, size in 2..40u32, cores in 1..12u32, parallel: bool, seed: u64) {
        let mut rng = random(seed);
        let graph = net(KINDS[kind], size, parallel, &mut rng);
        let limits = tight(&graph, 3.0, &mut rng);
        let parts: Vec<u32> = (0..graph.neurons()).map(|_| rng.random_range(0..cores)).collect();
        let whole = count(&graph, &limits, &parts, cores, &[]);
        let mut all: Vec<u32> = (0..cores).collect();
        all.shuffle(&mut rng);
        // The same scratch for several regions.
        let mut scratch = Scratch::new(&graph, cores);
        for of_region in all.chunks(rng.random_range(1..=cores) as usize) {
            let neurons: Vec<u32> = (0..graph.neurons()).filter(|&v| of_region.contains(&parts[v as usize])).collect();
            let region = Region::new(&graph, &limits, &parts, of_region.to_vec(), neurons, &mut scratch);
            let local = region.locals(&parts, &mut scratch);
            let mut lists = region.state(Lists::new(&region.graph, of_region.len() as u32), of_region.len() as u32);
            local.iter().zip(0..).for_each(|(&core, v)| lists.assign(v, core));
            for (&core, here) in of_region.iter().zip(0..) {
                prop_assert_eq!(lists.used(here), whole.uses[core as usize]);
            }
            if Table::serves(&region.graph, of_region.len() as u32) {
                let mut table = region.state(Table::new(&region.graph, of_region.len() as u32), of_region.len() as u32);
                local.iter().zip(0..).for_each(|(&core, v)| table.assign(v, core));
                // Neurons that come and go leave the counts right.
                for v in 0..region.graph.neurons() {
                    let to = rng.random_range(0..of_region.len() as u32);
                    table.unassign(v);
                    let (before, add) = (table.used(to), table.added(v, to));
                    table.assign(v, to);
                    prop_assert_eq!(table.used(to).in_slots, before.in_slots + add.in_slots);
                    prop_assert_eq!(table.used(to).words, before.words + add.words);
                    prop_assert_eq!(table.used(to).out_entries, before.out_entries + add.out_entries);
                }
                let mut moved = parts.clone();
                region.neurons.iter().zip(table.parts()).for_each(|(&v, &core)| moved[v as usize] = of_region[core as usize]);
                let counted = count(&graph, &limits, &moved, cores, &[]);
                for (&core, here) in of_region.iter().zip(0..) {
                    prop_assert_eq!(table.used(here).in_slots, counted.uses[core as usize].in_slots);
                    prop_assert_eq!(table.used(here).out_entries, counted.uses[core as usize].out_entries);
                    prop_assert_eq!(table.used(here).words, counted.uses[core as usize].words);
                }
            }
        }
    }

    #[test]
    fn groups_have_every_core_once(size in 1..60u32, cores in 1..20u32, most in 1..8u32, seed: u64) {
        let mut rng = random(seed);
        let graph = net(KINDS[0], size, false, &mut rng);
        let parts: Vec<u32> = (0..graph.neurons()).map(|_| rng.random_range(0..cores)).collect();
        let mut before = Vec::new();
        for _ in 0..3 {
            let groups = groups(&graph, &parts, cores, most, &before);
            prop_assert!(groups.len() as u32 <= cores.div_ceil(most));
            prop_assert!(groups.iter().all(|group| !group.is_empty() && group.len() as u32 <= most));
            before = vec![u32::MAX; cores as usize];
            for (group, g) in groups.iter().zip(0..) {
                for &core in group {
                    prop_assert_eq!(std::mem::replace(&mut before[core as usize], g), u32::MAX);
                }
            }
            prop_assert!(before.iter().all(|&g| g != u32::MAX));
        }
    }
}

#[test]
fn many_cores_are_annealed_in_regions() {
    let graph = ring(4000, &mut random(5));
    let limits = small(&graph);
    let blocks = grown(&graph, &limits);
    assert!(blocks.len() > 64 * 3, "{}", blocks.len());
    for (effort, share) in [(Effort::Fast, 0.97), (Effort::Default, 0.965)] {
        let mapping = regional(&graph, &limits, &with(effort, 3), &blocks);
        let counted = recount(&graph, &limits, &mapping.parts, mapping.cores);
        assert!(mapping.legal && counted.violations.is_empty(), "{:?}", counted.violations);
        assert_eq!(mapping.in_slots as i64, counted.uses.iter().map(|u| u.in_slots).sum::<i64>());
        // It is what the portfolio takes, and better than what was grown.
        assert_eq!(map(&graph, &limits, &with(effort, 3), &mut |_| ()), mapping);
        let before = slots(&graph, &limits, &blocks);
        assert!(mapping.in_slots as f64 <= share * before as f64, "{} of {before}", mapping.in_slots);
        assert!(f64::from(mapping.cores) <= 0.98 * blocks.len() as f64, "{} of {}", mapping.cores, blocks.len());
    }
}

#[test]
fn regions_are_the_same_on_any_number_of_threads() {
    let graph = ring(3000, &mut random(6));
    let limits = small(&graph);
    let run = |threads: usize, seed: u64| -> Mapping {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| map(&graph, &limits, &with(Effort::Fast, seed), &mut |_| ()))
    };
    let one = run(1, 9);
    assert_eq!(one.strategy, Strategy::Overlap);
    assert!(one.cores > 64);
    assert_eq!(run(2, 9), one);
    assert_eq!(run(4, 9), one);
    assert_ne!(run(1, 10).parts, one.parts);
}

#[test]
fn what_no_core_holds_ends_after_one_annealing_in_regions() {
    // One neuron with more axons than a core takes.
    let mut rng = random(7);
    let ring = ring(3000, &mut rng);
    let mut rows: Vec<Vec<u32>> = (0..ring.neurons()).map(|v| ring.in_axons(v).to_vec()).collect();
    rows[17] = (0..100).collect();
    let graph = support::graph(0, &rows, Vec::new());
    let limits = small(&graph);
    let mapping = map(&graph, &limits, &with(Effort::Fast, 0), &mut |_| ());
    assert!(!mapping.legal);
    assert!(!recount(&graph, &limits, &mapping.parts, mapping.cores).violations.is_empty());
}

/// Neurons that share few axons: input axons bind far above what any bound says.
fn strangers(neurons: u32, rng: &mut Random) -> Hypergraph {
    let inputs = 400;
    let rows: Vec<Vec<u32>> = (0..neurons)
        .map(|_| {
            let mut row: Vec<u32> = (0..16).map(|_| rng.random_range(0..inputs + neurons)).collect();
            row.sort_unstable();
            row.dedup();
            row
        })
        .collect();
    support::graph(inputs, &rows, Vec::new())
}

#[test]
fn an_illegal_annealing_hides_no_legal_growth() {
    let graph = strangers(600, &mut random(3));
    for entry_cost in [0, 1] {
        let mut limits = tight(&graph, 1.5, &mut random(1));
        (limits.neurons, limits.in_slots, limits.out_entries, limits.words) = (64, 64, 100_000, 1_000_000);
        (limits.out_per_neuron, limits.entry_cost) = (u32::MAX, entry_cost);
        (limits.words_of, limits.class_of_axon) = (vec![vec![entry_cost]], Vec::new());
        let grown = grown(&graph, &limits).len() as u32;
        assert!(grown > 64, "{grown}");
        let mapping = map(&graph, &limits, &with(Effort::Default, 0), &mut |_| ());
        let counted = recount(&graph, &limits, &mapping.parts, mapping.cores);
        assert!(mapping.legal && counted.violations.is_empty(), "{entry_cost}: {} cores of {grown}", mapping.cores);
        assert!(mapping.cores <= grown, "{entry_cost}: {} cores of {grown}", mapping.cores);
    }
}

#[test]
fn crossbars_take_fewer_cores_than_growth_on_any_number_of_threads() {
    // The last has axons of many more posts than cores: repair must not open more than the lists hold.
    for (neurons, slots) in [(60, 64), (400, 40), (3000, 400)] {
        let graph = strangers(neurons, &mut random(5));
        let mut limits = tight(&graph, 1.5, &mut random(1));
        (limits.neurons, limits.in_slots, limits.out_entries, limits.words) = (256, slots, u32::MAX, u32::MAX);
        (limits.out_per_neuron, limits.entry_cost) = (u32::MAX, 0);
        (limits.words_of, limits.class_of_axon) = (vec![vec![0]], Vec::new());
        let grown = grown(&graph, &limits).len() as u32;
        for seed in [0, 1] {
            let options = with(Effort::Fast, seed);
            let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
            let mapping = one.install(|| map(&graph, &limits, &options, &mut |_| ()));
            let counted = recount(&graph, &limits, &mapping.parts, mapping.cores);
            assert!(mapping.legal && counted.violations.is_empty() && mapping.cores < grown, "{} cores of {grown}", mapping.cores);
            let two = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
            assert_eq!(two.install(|| map(&graph, &limits, &options, &mut |_| ())), mapping);
        }
    }
}
