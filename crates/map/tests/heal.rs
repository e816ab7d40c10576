//! The last resort against a recount, from random assignments of nets of which a legal one is known.

mod support;

use proptest::prelude::*;
use rand::Rng;
use spikec_map::check::count;
use spikec_map::heal::heal;
use spikec_map::pairs::Lists;
use spikec_map::state::{State, Use};
use support::{KINDS, net, random, tight};

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn healed_is_legal_and_counts_stay_exact(kind in 0..3usize, size in 2..25u32, slack in 0..3u32, work in 0..200_000u64, seed: u64) {
        let mut rng = random(seed);
        let graph = net(KINDS[kind], size, seed % 5 == 0, &mut rng);
        let mut limits = tight(&graph, 2.0, &mut rng);
        let cores = rng.random_range(2..6);
        let known: Vec<u32> = (0..graph.neurons()).map(|_| rng.random_range(0..cores)).collect();
        let counted = count(&graph, &limits, &known, cores, &[]);
        let most = |f: fn(&Use) -> i64| counted.uses.iter().map(f).max().unwrap_or(0) as u32 + slack;
        (limits.neurons, limits.in_slots) = (most(|u| u.neurons), most(|u| u.in_slots));
        (limits.out_entries, limits.words) = (most(|u| u.out_entries), most(|u| u.words));
        let mut state = State::new(&graph, &limits, Lists::new(&graph, cores), cores, Vec::new());
        for v in 0..graph.neurons() {
            state.assign(v, rng.random_range(0..cores));
        }
        let healed = heal(&mut state, work, &mut rng);
        let counted = count(&graph, &limits, state.parts(), cores, &[]);
        for core in 0..cores {
            prop_assert_eq!(state.used(core), counted.uses[core as usize]);
        }
        prop_assert_eq!(healed, counted.violations.is_empty(), "{:?}", counted.violations);
    }
}
