//! Mapping of the benchmark's instances: cores, slots, hops and time.
//!
//! Run with `cargo bench -p spikec --bench mapping [EFFORT] [NAME ...]`. The instances are those of `../shared/mapping` (relative to the project), and
//! all of the folder that SPIKEC_MAPPING names, for growth with size: sw16k, sw64k, sw256k. Elsewhere nothing is run. One thread, the target
//! `loihi1_nengo`; nets with shapes are mapped with and without them.

use spikec_data::read_npz;
use spikec_map::bounds::lower_bounds;
use spikec_map::check::count;
use spikec_map::instance::Instance;
use spikec_map::limits::Limits;
use spikec_map::mapper::{Job, map_square};
use spikec_map::place::quality;
use spikec_map::portfolio::{Effort, Options};
use std::path::{Path, PathBuf};

/// Stored width of the benchmark's weights.
const WEIGHT_BITS: u8 = 8;

fn files() -> Vec<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/mapping");
    let folders = [Some(shared), std::env::var_os("SPIKEC_MAPPING").map(PathBuf::from)];
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in folders.into_iter().flatten() {
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|e| e.path());
        let mut found: Vec<PathBuf> = entries.filter(|p| p.extension().is_some_and(|e| e == "npz")).collect();
        found.sort_by_key(|p| (std::fs::metadata(p).map_or(0, |m| m.len()), p.clone()));
        found.retain(|p| files.iter().all(|f| f.file_name() != p.file_name()));
        files.extend(found);
    }
    files
}

fn row(path: &Path, shapes: bool, effort: Effort) {
    let bytes = std::fs::read(path).expect("readable");
    let arrays = read_npz(&bytes).expect("a whole npz file");
    let instance = Instance::new(&arrays, shapes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let graph = &instance.graph;
    let known = graph.layers().iter().any(|l| l.shape.is_some());
    let target = spikec_chip::find("loihi1_nengo").expect("built in");
    let limits = Limits::uniform(&target, WEIGHT_BITS);
    let options = Options { strategy: None, effort, seed: 0 };
    let job = Job { graph, limits: &limits, rates: &instance.rates, options: &options };
    let mapped = map_square(&job, &mut |_| ()).expect("few enough cores");
    let mapping = &mapped.mapping;
    let counted = count(graph, &limits, &mapping.parts, mapping.cores, &[]);
    let q = quality(&mapped.traffic, &mapped.mesh, &mapped.physical).expect("placed");
    let least = lower_bounds(graph, &limits).iter().map(|b| b.cores).max().unwrap_or(0);
    println!(
        "| {}{} | {} | {} | {} ({least}){} | {} | {:.0} | {:.1} | {:.2} | {:.2} |",
        path.file_stem().unwrap_or_default().to_string_lossy(),
        if known { ", shapes" } else { "" },
        graph.neurons(),
        mapping.strategy.name(),
        mapping.cores,
        if counted.violations.is_empty() { "" } else { ", illegal" },
        counted.uses.iter().map(|u| u.in_slots).sum::<i64>(),
        q.hops,
        q.largest_link,
        mapped.partitioning.as_secs_f64(),
        mapped.placing.as_secs_f64()
    );
    if shapes && known {
        row(path, false, effort);
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let (efforts, names): (Vec<_>, Vec<_>) = words.iter().map(String::as_str).partition(|w| ["fast", "default", "best"].contains(w));
    let effort = match efforts.first() {
        Some(&"fast") => Effort::Fast,
        Some(&"best") => Effort::Best,
        _ => Effort::Default,
    };
    let mut files = files();
    files.retain(|p| names.is_empty() || p.file_stem().is_some_and(|s| names.iter().any(|n| *n == s)));
    if files.is_empty() {
        println!("skipped: no instances in ../shared/mapping, nor in the folder that SPIKEC_MAPPING names");
        return;
    }
    println!("| instance | neurons | strategy | cores (at least) | input slots | hops | largest link | partition s | placement s |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    pool.install(|| files.iter().for_each(|p| row(p, true, effort)));
}
