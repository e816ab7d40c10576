//! Lower bounds against every partition of small nets.

mod support;

use proptest::prelude::*;
use spikec_map::bounds::lower_bounds;
use support::{KINDS, labelled, net, optimum, random, tight};

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_assignment_takes_fewer_cores(kind in 0..3usize, size in 1..8u32, parallel: bool, labels: bool, seed: u64) {
        let mut rng = random(seed);
        let graph = net(KINDS[kind], size, parallel, &mut rng);
        let mut limits = tight(&graph, 2.5, &mut rng);
        if labels {
            limits = labelled(&graph, limits, &mut rng);
        }
        if let Some(fewest) = optimum(&graph, &limits) {
            for bound in lower_bounds(&graph, &limits) {
                prop_assert!(bound.cores <= fewest.into(), "{bound:?}, but {fewest} cores hold it");
            }
        }
    }
}
