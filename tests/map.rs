//! `spikec map` from outside: files it writes, equal bytes, and what it says of bad input.

mod common;

use common::{Run, spikec};
use spikec_data::{Array, ArrayData, read_npz, write_npz};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn ints(values: impl IntoIterator<Item = i64>) -> Array {
    let values: Vec<i64> = values.into_iter().collect();
    Array { shape: vec![values.len()], data: ArrayData::I64(values) }
}

fn write(folder: &Path, name: &str, arrays: &[(&str, Array)]) {
    std::fs::write(folder.join(name), write_npz(arrays)).unwrap();
}

fn csr(rows: &[Vec<i64>]) -> (Array, Array) {
    let offsets = std::iter::once(0).chain(rows.iter().scan(0, |sum, r| {
        *sum += r.len() as i64;
        Some(*sum)
    }));
    (ints(offsets), ints(rows.concat()))
}

const SIDE: i64 = 24;
const CHANNELS: i64 = 4;
const AREA: i64 = SIDE * SIDE;
const LAYER: i64 = CHANNELS * AREA;

/// Two 3 x 3 convolutions of 4 channels of 24 x 24 over one input channel: 4,608 neurons, at least 5 cores of 1,024.
fn conv() -> Vec<(&'static str, Array)> {
    let mut rows = Vec::new();
    for layer in 0..2 {
        for k in 0..LAYER {
            let (y, x) = (k % AREA / SIDE, k % SIDE);
            let mut row = Vec::new();
            for channel in 0..if layer == 0 { 1 } else { CHANNELS } {
                for (v, u) in (y - 1..=y + 1).flat_map(|v| (x - 1..=x + 1).map(move |u| (v, u))) {
                    // A third of the synapses is left.
                    if (0..SIDE).contains(&v) && (0..SIDE).contains(&u) && (channel + 2 * k + v + u) % 3 == 0 {
                        row.push(if layer == 0 { 0 } else { AREA } + channel * AREA + v * SIDE + u);
                    }
                }
            }
            rows.push(row);
        }
    }
    let (ip, ix) = csr(&rows);
    let rates = (0..AREA + 2 * LAYER).map(|a| (a % 7) as f32 / 16.0).collect::<Vec<f32>>();
    vec![
        ("nin", ints([AREA])),
        ("n", ints([2 * LAYER])),
        ("ip", ip),
        ("ix", ix),
        ("layer", ints((0..2 * LAYER).map(|v| v / LAYER))),
        ("shapes", Array { shape: vec![2, 3], data: ArrayData::I32([4, 24, 24].repeat(2)) }),
        ("rates", Array { shape: vec![rates.len()], data: ArrayData::F32(rates) }),
    ]
}

/// A ring of 2,000 neurons, each with 4 neighbours: loops, and two cores at least.
fn ring() -> Vec<(&'static str, Array)> {
    let rows: Vec<Vec<i64>> = (0..2000i64).map(|v| [-2, -1, 1, 2].map(|d| (v * 7 + d).rem_euclid(2000)).to_vec()).collect();
    let (ip, ix) = csr(&rows);
    vec![("nin", ints([0])), ("n", ints([2000])), ("ip", ip), ("ix", ix), ("layer", ints([0; 2000]))]
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "conv.npz", &conv());
    write(folder.path(), "ring.npz", &ring());
    folder
}

fn map(folder: &Path, instance: &str, more: &[&str]) -> Run {
    spikec(folder, &[&["map", instance, "--target", "loihi1_nengo"], more].concat())
}

fn arrays(folder: &Path, name: &str) -> BTreeMap<String, Vec<i64>> {
    let arrays = read_npz(&std::fs::read(folder.join(name)).unwrap()).unwrap();
    arrays.into_iter().map(|(name, a)| (name, a.to_i64().unwrap())).collect()
}

/// Reads the map and the report, and counts everything again from the instance.
fn recounted(folder: &Path, instance: &[(&str, Array)], map_file: &str, report: &serde_json::Value) {
    let of = |name: &str| &instance.iter().find(|a| a.0 == name).unwrap().1;
    let list = |name: &str| of(name).to_i64().unwrap();
    let (nin, n, ip, ix) = (list("nin")[0], list("n")[0] as usize, list("ip"), list("ix"));
    let rates = instance.iter().find(|a| a.0 == "rates").map(|a| a.1.to_f32().unwrap());
    let rate = |axon: i64| rates.as_ref().map_or(1.0, |r| f64::from(r[axon as usize]));
    let file = arrays(folder, map_file);
    assert_eq!(file.keys().collect::<Vec<_>>(), ["core_chip", "core_x", "core_y", "part"]);
    let (part, x, y) = (&file["part"], &file["core_x"], &file["core_y"]);
    let cores = x.len() as i64;
    assert_eq!((part.len(), y.len() as i64, report["cores"].as_i64()), (n, cores, Some(cores)));
    assert!(part.iter().copied().collect::<BTreeSet<_>>().into_iter().eq(0..cores));
    let side = report["mesh_side"].as_i64().unwrap();
    assert_eq!(side, (cores as f64).sqrt().ceil() as i64);
    assert!(x.iter().chain(y).all(|&k| (0..side).contains(&k)) && file["core_chip"].iter().all(|&c| c == 0));
    assert_eq!(x.iter().zip(y).collect::<BTreeSet<_>>().len() as i64, cores);

    let mut pairs: BTreeMap<(i64, i64), u64> = BTreeMap::new();
    for v in 0..n {
        for &axon in &ix[ip[v] as usize..ip[v + 1] as usize] {
            *pairs.entry((axon, part[v])).or_default() += 1;
        }
    }
    let up = |bits: u64| bits.div_ceil(64);
    let words = |n: u64| n / 64 * up(64 * 18 + 10) + if n.is_multiple_of(64) { 0 } else { up(n % 64 * 18 + 10) };
    let mut uses = vec![[0u64; 4]; cores as usize];
    part.iter().for_each(|&p| uses[p as usize][0] += 1);
    let (mut hops, mut links) = (0.0, BTreeMap::<_, f64>::new());
    for (&(axon, core), &synapses) in &pairs {
        uses[core as usize][1] += 1;
        uses[core as usize][3] += words(synapses);
        if axon < nin {
            continue;
        }
        let from = part[(axon - nin) as usize] as usize;
        uses[from][2] += 1;
        let to = core as usize;
        hops += rate(axon) * ((x[from] - x[to]).abs() + (y[from] - y[to]).abs()) as f64;
        // First along x, then along y.
        let mut at = (x[from], y[from]);
        while at != (x[to], y[to]) {
            let next = if at.0 != x[to] { (at.0 + (x[to] - at.0).signum(), at.1) } else { (at.0, at.1 + (y[to] - at.1).signum()) };
            *links.entry((at, next)).or_default() += rate(axon);
            at = next;
        }
    }
    let sum = |k: usize| uses.iter().map(|u| u[k]).sum::<u64>();
    assert!(uses.iter().all(|u| u[0] <= 1024 && u[1] <= 4096 && u[2] <= 4096 && u[3] <= 16_384), "{uses:?}");
    assert_eq!(report["in_slots"], sum(1));
    assert_eq!(report["out_slots"], sum(2));
    assert_eq!(report["memory_words"], sum(3));
    let near = |key: &str, value: f64| {
        let found = report[key].as_f64().unwrap();
        assert!((found - value).abs() <= 1e-4 * value.max(1.0), "{key}: {found}, counted {value}");
    };
    near("hops", hops);
    near("largest_link", links.values().copied().fold(0.0, f64::max));
    assert_eq!(report["neurons"].as_u64(), Some(n as u64));
    assert_eq!(report["external_inputs"].as_i64(), Some(nin));
    assert_eq!(report["synapses"].as_u64(), Some(ix.len() as u64));
    assert_eq!(report["legal"], true);
    assert_eq!(report["violations"], serde_json::json!([]));
    let bounds: Vec<u64> = report["lower_bound"].as_array().unwrap().iter().map(|b| b["cores"].as_u64().unwrap()).collect();
    assert_eq!(report["least_cores"].as_u64(), bounds.iter().copied().max());
    assert_eq!(report["slack"].as_i64(), Some(cores - report["least_cores"].as_i64().unwrap()));
}

#[test]
fn maps_and_reports_are_what_a_recount_says() {
    let folder = folder();
    let at = folder.path();
    for (file, instance, more, strategy) in [
        ("conv.npz", conv(), &[][..], "tiles"),
        ("conv.npz", conv(), &["--no-shapes", "--partitioner", "layers"], "layers"),
        ("conv.npz", conv(), &["--partitioner", "overlap", "--effort", "fast", "--seed", "3"], "overlap"),
        ("ring.npz", ring(), &[], "overlap"),
    ] {
        let run = map(at, file, &[&["-o", "map.npz", "--report", "report.json", "--json"], more].concat()).ok();
        let report: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(at.join("report.json")).unwrap()).unwrap();
        assert_eq!(run.json(), report);
        assert_eq!((&report["strategy"], &report["target"]), (&strategy.into(), &"loihi1_nengo".into()));
        assert_eq!(report["instance"].as_str().unwrap(), file.trim_end_matches(".npz"));
        recounted(at, &instance, "map.npz", &report);
    }
    let text = map(at, "ring.npz", &[]).ok().out;
    for line in ["ring on loihi1_nengo: 2000 neurons, 8000 synapses, strategy overlap", "cores 2 (at least 2: neurons;", "mesh 2 x 2"] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn the_same_bytes_on_any_number_of_threads() {
    let folder = folder();
    let at = folder.path();
    for file in ["conv.npz", "ring.npz"] {
        let bytes: Vec<Vec<u8>> = ["1", "2", "2"]
            .into_iter()
            .map(|threads| {
                map(at, file, &["-o", "map.npz", "--threads", threads]).ok();
                std::fs::read(at.join("map.npz")).unwrap()
            })
            .collect();
        assert!(bytes[0] == bytes[1] && bytes[1] == bytes[2], "{file}");
    }
}

#[test]
fn strategies_that_do_not_suit_are_refused() {
    let folder = folder();
    let at = folder.path();
    let remedy = "use --partitioner layers";
    map(at, "conv.npz", &["--no-shapes", "--partitioner", "tiles"])
        .fails(2, &["conv.npz", "tiles needs `shapes`", "leave out --no-shapes", remedy]);
    let without: Vec<_> = conv().into_iter().filter(|a| a.0 != "shapes").collect();
    write(at, "bare.npz", &without);
    map(at, "bare.npz", &["--partitioner", "tiles"]).fails(2, &["bare.npz", "tiles needs `shapes`", "(channels, height, width)", remedy]);
    map(at, "ring.npz", &["--partitioner", "layers", "-o", "map.npz"])
        .fails(2, &["ring.npz", "layers without loops", "--partitioner overlap"]);
    assert!(!at.join("map.npz").exists());
}

#[test]
fn bad_instances_are_named() {
    let folder = folder();
    let at = folder.path();
    map(at, "nowhere.npz", &[]).fails(2, &["nowhere.npz"]);
    std::fs::write(at.join("text.npz"), "no zip file").unwrap();
    map(at, "text.npz", &[]).fails(2, &["text.npz", "not a whole .npz"]);
    let mut bad: Vec<_> = ring().into_iter().filter(|a| a.0 != "layer").collect();
    bad[3].1 = ints((0..8000).map(|k| if k == 5 { 2000 } else { k % 2000 }));
    write(at, "bad.npz", &bad);
    let run = map(at, "bad.npz", &["-o", "map.npz", "--report", "report.json"]);
    run.fails(2, &["bad.npz", "no array `layer`", "`ix[5]`: found 2000, expected 0 .. 2000", "docs/map-format.md"]);
    write(
        at,
        "much.npz",
        &[("nin", ints([i64::from(i32::MAX) - 1])), ("n", ints([1])), ("ip", ints([0, 0])), ("ix", ints([])), ("layer", ints([0]))],
    );
    map(at, "much.npz", &[]).fails(2, &["much.npz", "`nin[0]`: found 2147483646"]);
    map(at, "ring.npz", &["--partitioner", "tile"]).fails(2, &["tile"]);
    spikec(at, &["map", "ring.npz", "--target", "loihi9"]).fails(2, &["loihi9"]);
    assert!(!at.join("map.npz").exists() && !at.join("report.json").exists());
}

#[test]
fn what_does_not_fit_is_said_and_reported() {
    let folder = folder();
    let at = folder.path();
    // One neuron with 5,000 input axons.
    let (ip, ix) = csr(&[(0..5000).collect()]);
    write(at, "wide.npz", &[("nin", ints([5000])), ("n", ints([1])), ("ip", ip), ("ix", ix), ("layer", ints([0]))]);
    let run = map(at, "wide.npz", &["-o", "map.npz", "--report", "report.json"]);
    run.fails(3, &["wide.npz", "core 0: input axons: need 5000, limit 4096", "prune"]);
    assert!(!at.join("map.npz").exists());
    let report: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(at.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["legal"], false);
    assert_eq!(report["violations"][0], serde_json::json!({"core": 0, "resource": "input axons", "used": 5000, "available": 4096}));
}

#[test]
fn outputs_replace_no_input() {
    let folder = folder();
    let at = folder.path();
    let before = std::fs::read(at.join("ring.npz")).unwrap();
    std::fs::create_dir(at.join("d")).unwrap();
    for out in ["ring.npz", "./d/../ring.npz"] {
        map(at, "ring.npz", &["-o", out]).fails(2, &[out, "input"]);
        map(at, "ring.npz", &["--report", out]).fails(2, &[out, "input"]);
    }
    map(at, "ring.npz", &["-o", "a", "--report", "./a"]).fails(2, &["./a", "twice"]);
    let target = spikec(at, &["target", "show", "loihi1"]).ok().out;
    std::fs::write(at.join("chip.ron"), target).unwrap();
    spikec(at, &["map", "ring.npz", "--target", "chip.ron", "-o", "chip.ron"]).fails(2, &["chip.ron", "input"]);
    assert!(std::fs::read(at.join("ring.npz")).unwrap() == before);
}
