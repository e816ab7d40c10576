//! How often the mapper refuses what fits, and how often it takes more cores than it must, on nets so small that every partition can be tried.
//!
//! Run with `cargo run --release -p spikec-map --example refusals [CASES]`.

#[path = "../tests/support/mod.rs"]
mod support;

use spikec_map::portfolio::Effort;
use support::{KINDS, refusals};

fn main() {
    let cases = std::env::args().nth(1).map_or(400, |n| n.parse().expect("a number of cases"));
    println!("| nets | effort | that fit | found | with the fewest cores | cores more | first refused |");
    println!("|---|---|---|---|---|---|---|");
    for labels in [false, true] {
        for kind in KINDS {
            for effort in [Effort::Fast, Effort::Default, Effort::Best] {
                let mut first = Vec::new();
                let found = refusals(kind, labels, cases, effort, &mut |seed| first.push(seed));
                first.truncate(5);
                println!(
                    "| {kind:?}{} | {effort:?} | {} | {:.2} % | {:.2} % | {} | {first:?} |",
                    if labels { ", labels" } else { "" },
                    found.cases,
                    100.0 * found.legal_share(),
                    100.0 * found.fewest_share(),
                    found.more
                );
            }
        }
    }
}
