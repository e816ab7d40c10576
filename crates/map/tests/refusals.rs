//! How often what fits is refused, on nets so small that every partition can be tried. `--example refusals` prints the rates.

mod support;

use spikec_map::portfolio::Effort;
use support::{KINDS, refusals};

#[test]
fn little_is_refused_and_few_cores_are_wasted() {
    for (labels, effort, legal, fewest) in [
        (false, Effort::Fast, 0.98, 0.93),
        (false, Effort::Default, 0.98, 0.93),
        (true, Effort::Fast, 0.98, 0.93),
        (true, Effort::Default, 0.98, 0.93),
    ] {
        for kind in KINDS {
            let found = refusals(kind, labels, 150, effort, &mut |_| ());
            assert!(found.cases > 50, "{kind:?}, {labels}: {found:?}");
            assert!(found.legal_share() >= legal, "{kind:?}, {labels}, {effort:?}: {found:?}");
            assert!(found.fewest_share() >= fewest, "{kind:?}, {labels}, {effort:?}: {found:?}");
        }
    }
}
