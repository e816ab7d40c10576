//! Settling against a recount of limits and of rate times hops.

mod support;

use proptest::prelude::*;
use rand::Rng;
use rand::seq::SliceRandom;
use spikec_map::check::count;
use spikec_map::limits::Limits;
use spikec_map::pairs::{Lists, Pairs, Table};
use spikec_map::portfolio::{Effort, Options, map};
use spikec_map::settle::{Point, Settle};
use spikec_map::state::State;
use support::{KINDS, labelled, net, random, rates, recount, tight, traffic};

/// Settles; what `settle` says it saved.
fn settled<P: Pairs>(state: &mut State<P>, points: &[Point], rates: &[f32], exchange: bool, seed: u64) -> f64 {
    let mut settle = Settle::new(state, points, rates);
    if exchange { settle.exchange() } else { settle.drift(2, &mut random(seed)) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn settling_saves_what_it_says_and_keeps_the_limits(
        kind in 0..3usize, size in 2..30u32, labels: bool, table: bool, parallel: bool, scattered: bool, seed: u64,
    ) {
        let mut rng = random(seed);
        let parallel = parallel && !table;
        let graph = net(KINDS[kind], size, parallel, &mut rng);
        let mut limits: Limits = tight(&graph, 3.0, &mut rng);
        if labels {
            limits = labelled(&graph, limits, &mut rng);
        }
        let rates = rates(&graph, &mut rng);
        let (mut parts, mut cores);
        if scattered {
            // Any assignment is legal for the limits that it needs.
            cores = rng.random_range(2..6);
            parts = (0..size.max(graph.neurons())).map(|_| rng.random_range(0..cores)).collect::<Vec<u32>>();
            parts.truncate(graph.neurons() as usize);
            cores = spikec_map::repair::compact(&mut parts, cores);
            (limits.labels, limits.levels) = (Vec::new(), None);
            let counted = count(&graph, &limits, &parts, cores, &[]);
            let most = |f: fn(&spikec_map::state::Use) -> i64| counted.uses.iter().map(f).max().unwrap_or(0) as u32;
            (limits.neurons, limits.in_slots) = (most(|u| u.neurons), most(|u| u.in_slots));
            (limits.out_entries, limits.words) = (most(|u| u.out_entries) + rng.random_range(0..3), most(|u| u.words));
            limits.out_per_neuron = cores;
            if let Some(memory) = &mut limits.memory {
                memory.bytes = counted.uses.iter().map(|u| memory.taken(u, 0)).max().unwrap_or(0) as u32;
            }
        } else {
            let mapping = map(&graph, &limits, &Options { strategy: None, effort: Effort::Fast, seed }, &mut |_| ());
            prop_assume!(mapping.legal);
            (parts, cores) = (mapping.parts, mapping.cores);
        }
        prop_assume!(recount(&graph, &limits, &parts, cores).violations.is_empty());
        let mut places: Vec<Point> = (0..cores as i32 + 3).map(|k| (k % 4, k / 4)).collect();
        places.shuffle(&mut rng);
        let points = &places[..cores as usize];
        for exchange in [false, true] {
            let before = traffic(&graph, &parts, points, &rates);
            let (after, saved);
            if table {
                let mut state = State::new(&graph, &limits, Table::new(&graph, cores), cores, Vec::new());
                parts.iter().enumerate().for_each(|(v, &p)| state.assign(v as u32, p));
                saved = settled(&mut state, points, &rates, exchange, seed);
                after = state.into_parts();
            } else {
                let mut state = State::new(&graph, &limits, Lists::new(&graph, cores), cores, Vec::new());
                parts.iter().enumerate().for_each(|(v, &p)| state.assign(v as u32, p));
                saved = settled(&mut state, points, &rates, exchange, seed);
                after = state.into_parts();
            }
            let counted = recount(&graph, &limits, &after, cores);
            prop_assert!(counted.violations.is_empty(), "{:?}", counted.violations);
            let now = traffic(&graph, &after, points, &rates);
            // What it saves is rate times (hops and one for the message), to f32's rounding; hops alone may rise by no more than messages fell.
            prop_assert!((before.0 - now.0 - saved).abs() <= 1e-4 * before.0.max(1.0), "{} - {} is not {saved}", before.0, now.0);
            prop_assert!(saved >= 0.0);
            let messages_fell = (before.0 - before.1) - (now.0 - now.1);
            prop_assert!(before.1 - now.1 >= saved - messages_fell - 1e-4 * before.0.max(1.0));
            parts = after;
        }
    }
}
