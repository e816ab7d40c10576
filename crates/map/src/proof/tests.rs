use super::*;
use crate::check::count;
use crate::instance::Instance;
use crate::limits::{Labels, Levels, Memory};
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

fn limits(neurons: u32, in_slots: u32, out_entries: u32, words: u32, table: Vec<u32>) -> Limits {
    Limits {
        neurons,
        in_slots,
        out_entries,
        out_per_neuron: u32::MAX,
        entry_cost: 1,
        off_chip_extra: 0,
        words,
        words_of: vec![table],
        class_of_axon: Vec::new(),
        labels: Vec::new(),
        levels: None,
        memory: None,
    }
}

fn graph(inputs: u32, rows: &[Vec<u32>]) -> Hypergraph {
    let mut offsets = vec![0];
    for row in rows {
        offsets.push(offsets.last().unwrap() + row.len());
    }
    Hypergraph::new(inputs, offsets, rows.concat(), Vec::new())
}

/// Fewest cores over all assignments; `None` when none is legal.
fn fewest(graph: &Hypergraph, limits: &Limits) -> Option<u64> {
    fn assign(graph: &Hypergraph, limits: &Limits, parts: &mut Vec<u32>, cores: u32, best: &mut Option<u64>) {
        if best.is_some_and(|b| u64::from(cores) >= b) {
            return;
        }
        if parts.len() == graph.neurons() as usize {
            if count(graph, limits, parts, cores, &[]).violations.is_empty() {
                *best = Some(cores.into());
            }
            return;
        }
        for core in 0..=cores {
            parts.push(core);
            assign(graph, limits, parts, cores.max(core + 1), best);
            parts.pop();
        }
    }
    let mut best = None;
    assign(graph, limits, &mut Vec::new(), 0, &mut best);
    best
}

/// A tiny net: rows from a few patterns (classes), or each its own; sometimes parallel synapses.
fn tiny(rng: &mut SmallRng) -> Hypergraph {
    let (inputs, neurons) = (rng.random_range(1..7u32), rng.random_range(1..8u32));
    let density = rng.random_range(0.1..1.0);
    let row = |rng: &mut SmallRng| -> Vec<u32> {
        let twice = rng.random_bool(0.2);
        (0..inputs + neurons).filter(|_| rng.random_bool(density)).flat_map(|a| if twice { vec![a, a] } else { vec![a] }).collect()
    };
    let patterns: Vec<Vec<u32>> = (0..rng.random_range(1..=3)).map(|_| row(rng)).collect();
    let classes = rng.random_bool(0.6);
    let rows: Vec<Vec<u32>> = (0..neurons)
        .map(|_| if classes && rng.random_bool(0.9) { patterns[rng.random_range(0..patterns.len())].clone() } else { row(rng) })
        .collect();
    graph(inputs, &rows)
}

/// Limits that bind now and then. Tables of words need not rise.
fn tight(rng: &mut SmallRng, graph: &Hypergraph) -> Limits {
    let widest = (0..graph.neurons()).map(|v| graph.in_axons(v).len() as u32).max().unwrap_or(1).max(1);
    let mut table = vec![0u32];
    for _ in 0..rng.random_range(1..9) {
        let last = *table.last().unwrap();
        let rise = if rng.random_bool(0.15) { -1 } else { rng.random_range(0..4) };
        table.push(last.saturating_add_signed(rise).max(1));
    }
    let most = *table.iter().max().unwrap();
    let mut l = limits(
        rng.random_range(1..6),
        rng.random_range(widest..widest + 6),
        rng.random_range(2..16),
        widest * most + rng.random_range(0..3 * most * widest),
        table,
    );
    l.entry_cost = rng.random_range(1..3);
    if rng.random_bool(0.3) {
        l.class_of_axon = (0..graph.axons()).map(|_| rng.random_range(0..2)).collect();
        l.words_of.push(vec![0, 1, 1, 2]);
    }
    if rng.random_bool(0.2) {
        l.labels.push(Labels {
            of_neuron: (0..graph.neurons()).map(|_| rng.random_range(0..4)).collect(),
            kinds: 4,
            most: rng.random_range(1..4),
        });
    }
    if rng.random_bool(0.2) {
        let first = rng.random_range(2..6u32);
        let most_neurons = vec![first, first - 1, (first - 1).div_ceil(2)];
        l.levels = Some(Levels { of_neuron: (0..graph.neurons()).map(|_| rng.random_range(0..3)).collect(), most_neurons });
    }
    if rng.random_bool(0.4) {
        let mut bytes = |most: u32| rng.random_range(0..=most);
        let (neuron, slot, in_slot, out_entry, word) = (bytes(6), bytes(2), bytes(4), bytes(4), bytes(4));
        let own = if bytes(1) == 0 { Vec::new() } else { (0..graph.neurons()).map(|_| bytes(4)).collect() };
        let most = 14 + widest * (in_slot + word * most) + 4 * out_entry;
        l.memory = Some(Memory { bytes: most + bytes(2 * most), neuron, own, slot, in_slot, out_entry, word });
    }
    l
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn no_assignment_beats_a_bound(seed: u64) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let graph = tiny(&mut rng);
        let limits = tight(&mut rng, &graph);
        let work = if rng.random_bool(0.3) { rng.random_range(0..2000) } else { WORK };
        let found = certificate_named(&graph, &limits, &|_| "a layer".into(), work);
        if let Some(fewest) = fewest(&graph, &limits) {
            for bound in &found.bounds {
                prop_assert!(bound.cores <= fewest, "{bound:?}, but {fewest} are enough");
            }
        }
        prop_assert_eq!(found.best, found.bounds.iter().map(|b| b.cores).max().unwrap());
        prop_assert!(!found.argument.is_empty());
    }

    #[test]
    fn prices_never_pass_what_classes_need(seed: u64) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let n = rng.random_range(1..4usize);
        let mut choices: Vec<Vec<u32>> = (0..rng.random_range(1..6)).map(|_| (0..n).map(|_| rng.random_range(0..5)).collect()).collect();
        choices.extend((0..n).map(|c| (0..n).map(|i| u32::from(i == c)).collect()));
        let members: Vec<u32> = (0..n).map(|_| rng.random_range(1..8)).collect();
        let found = prices::prices(&choices, &members).unwrap();
        // Cores by breadth: what is left after each choice.
        let mut left = vec![members.clone()];
        let mut cores = 0;
        while !left.iter().any(|l| l.iter().all(|&x| x == 0)) {
            cores += 1;
            left = left.iter().flat_map(|l| choices.iter().map(|c| l.iter().zip(c).map(|(x, y)| x.saturating_sub(*y)).collect())).collect();
            left.sort();
            left.dedup();
        }
        prop_assert!(found.cores() <= cores);
    }
}

/// How often the best bound is the optimum, and how often it beats the simple ones.
#[test]
fn bounds_are_often_the_optimum() {
    let (mut all, mut met, mut better) = (0, 0, 0);
    for seed in 0..400 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let graph = tiny(&mut rng);
        let limits = tight(&mut rng, &graph);
        if let Some(fewest) = fewest(&graph, &limits) {
            let found = certificate(&graph, &limits);
            let simple = lower_bounds(&graph, &monotone(&limits)).iter().map(|b| b.cores).max().unwrap();
            (all, met, better) = (all + 1, met + u64::from(found.best == fewest), better + u64::from(found.best > simple));
        }
    }
    println!("{all} nets that fit, {met} bounds met, {better} beyond the simple ones");
    assert!(met * 2 > all && better * 10 > all, "{all} nets that fit, {met} bounds met, {better} beyond the simple ones");
}

/// The 784-800-10 net in small: inputs -> hidden -> outputs.
fn dense(layers: &[u32]) -> Hypergraph {
    let mut rows = Vec::new();
    let mut first = 0;
    for pair in layers.windows(2) {
        rows.extend((0..pair[1]).map(|_| (first..first + pair[0]).collect()));
        first += pair[0];
    }
    graph(layers[0], &rows)
}

#[test]
fn a_small_layer_costs_a_core() {
    // Words of n synapses: n / 4, rounded up. A core holds 10 inputs x 3 words: 12 hidden neurons, or an output (24 axons) and 0 hidden.
    let graph = dense(&[10, 24, 2]);
    let table: Vec<u32> = (0..=64u32).map(|n| n.div_ceil(4)).collect();
    let limits = limits(64, 1000, 1000, 30, table);
    let found = certificate(&graph, &limits);
    // Sums: 24 x 10 / 4 + 2 x 24 / 4 = 72 words of 30.
    assert_eq!(found.bounds.iter().find(|b| b.resource == "words").unwrap().cores, 3);
    assert_eq!((found.best, found.binding.as_str()), (3, "words"));
    let tighter = Limits { words: 29, ..limits.clone() };
    let found = certificate(&graph, &tighter);
    // 20 words are 8 hidden neurons: 3 cores of them and one for the outputs.
    assert_eq!((found.best, found.binding.as_str()), (4, "classes of equal neurons"));
    let text = found.argument.join("\n");
    for part in [
        "A core holds 8 of A at most: 9 would need 30 of 29 words.",
        "3 cores hold 16 of the 24 neurons of A at most",
        "So 3 cores are not enough.",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn large_neurons_each_take_a_core() {
    // Five neurons with 6 axons each, of which two are common: two together need 10 of 9.
    let rows: Vec<Vec<u32>> = (0..5).map(|i| [vec![0, 1], (2 + 4 * i..6 + 4 * i).collect()].concat()).collect();
    let found = certificate(&graph(22, &rows), &limits(64, 9, 100, 1000, vec![0, 1, 1, 2]));
    assert_eq!((found.best, found.binding.as_str()), (5, "neurons that can't share a core"));
    // The common axons enter five cores: a bound of two resources, too.
    let raised = found.bounds.iter().find(|b| b.resource == "input axons (spread)").unwrap();
    assert_eq!((raised.need, raised.cores), (5 * 6, 4));
}

#[test]
fn many_classes_are_priced() {
    let graph = dense(&[784, 800, 800, 800, 10]);
    let limits = Limits::uniform(&spikec_chip::target_file::find("loihi1_nengo").unwrap(), 8);
    let found = certificate(&graph, &limits);
    let simple = lower_bounds(&graph, &limits).iter().map(|b| b.cores).max().unwrap();
    println!("{simple} by sums\n{}", found.argument.join("\n"));
    assert!(found.best > simple && found.argument.iter().any(|l| l.starts_with("With prices")), "{found:?}");
}

#[test]
fn mnist_dense_needs_13_cores() {
    let limits = Limits::uniform(&spikec_chip::target_file::find("loihi1_nengo").unwrap(), 8);
    let found = certificate(&dense(&[784, 800, 10]), &limits);
    println!("{}", found.argument.join("\n"));
    assert_eq!((found.best, found.binding.as_str()), (13, "classes of equal neurons"));
    assert!(found.argument.iter().any(|l| l.starts_with("12 cores hold 796 of the 800 neurons of A at most")), "{found:?}");
}

/// `SPIKEC_MAPPING` is the folder of the benchmark's instances.
#[test]
fn the_benchmark_instance_of_mnist_needs_13_cores() {
    let Some(folder) = std::env::var_os("SPIKEC_MAPPING") else {
        println!("skipped: SPIKEC_MAPPING names no folder with mnist_dense.npz");
        return;
    };
    let bytes = std::fs::read(std::path::Path::new(&folder).join("mnist_dense.npz")).unwrap();
    let instance = Instance::new(&spikec_data::read_npz(&bytes).unwrap(), true).unwrap();
    let limits = Limits::uniform(&spikec_chip::target_file::find("loihi1_nengo").unwrap(), 8);
    assert_eq!(certificate(&instance.graph, &limits).best, 13);
}

#[test]
fn random_rows_share_few_axons() {
    // 200 neurons with 40 of 800 inputs each, cores of 160 input axons: sums say 5 cores.
    let mut rng = SmallRng::seed_from_u64(3);
    let rows: Vec<Vec<u32>> =
        (0..200).map(|_| rand::seq::index::sample(&mut rng, 800, 40).into_iter().map(|a| a as u32).collect()).collect();
    let (net, limits) = (graph(800, &rows), limits(64, 160, 4096, 16384, (0..=64).collect()));
    let found = certificate(&net, &limits);
    println!("{}", found.argument.join("\n"));
    assert!(found.best >= 20, "{found:?}");
}

#[test]
fn large_nets_stay_within_the_work() {
    let mut rng = SmallRng::seed_from_u64(1);
    let neurons = 20_000u32;
    let rows: Vec<Vec<u32>> = (0..neurons).map(|_| (0..60).map(|_| rng.random_range(0..neurons)).collect()).collect();
    let rows: Vec<Vec<u32>> = rows
        .into_iter()
        .map(|mut r| {
            r.sort();
            r.dedup();
            r
        })
        .collect();
    let net = graph(0, &rows);
    // Slots so few that all neurons are large, and pairs are tried until the work is done.
    let clock = std::time::Instant::now();
    let few = certificate(&net, &limits(1024, 100, 4096, 16384, (0..=1024).collect()));
    println!("{:?}, {} cores by {}", clock.elapsed(), few.best, few.binding);
    assert!(few.best > 200);
    let mut budget = Budget(1_000_000);
    let found = sharing::apart(&net, &limits(1024, 100, 4096, 16384, (0..=1024).collect()), &mut budget);
    assert!(budget.0 == 0 && found.len() > 100 && found.len() < 300, "{}", found.len());
}
