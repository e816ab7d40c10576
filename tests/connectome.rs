//! The example with a list of edges: with a list made here, and as its README says with the real one where that stands beside the project.

mod common;

use common::{example, spikec};
use spikec_data::{Array, ArrayData, write_npz};
use std::path::{Path, PathBuf};

fn folder(list: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(example("connectome/net.ron"), folder.path().join("net.ron")).unwrap();
    std::fs::write(folder.path().join("edges.npz"), list).unwrap();
    folder
}

fn pipeline(at: &Path, channels: &str, steps: &str) -> [serde_json::Value; 3] {
    let run = |args: &[&str]| spikec(at, &[&["--json"], args].concat()).ok().json();
    let compiled = run(&["compile", "net.ron", "--target", "loihi1", "-o", "net.spkb"]);
    run(&["data", "random", "--channels", channels, "--steps", steps, "--rate", "0.02", "--seed", "1", "-o", "samples.npz"]);
    let simulated = run(&["simulate", "net.spkb", "--input", "samples.npz"]);
    let verdict = run(&["verify", "net.ron", "net.spkb", "--input", "samples.npz"]);
    assert_eq!(verdict["image"]["total"], 0, "{verdict}");
    assert_eq!(verdict["behaviour"]["equal"], 1, "{verdict}");
    assert_eq!(verdict["behaviour"]["spikes"], simulated["totals"]["neuron_spikes"]);
    [compiled, simulated, verdict]
}

#[test]
fn a_list_of_edges_goes_to_a_verdict() {
    // 300 neurons, each to 12 others.
    let (sources, targets): (Vec<u32>, Vec<u32>) = (0..3600u32).map(|k| (k / 12, (k / 12 + 1 + k % 12 * k % 299) % 300)).unzip();
    let counts = (0..3600).map(|k| (1 + k % 40) as f32).collect();
    let array = |data| Array { shape: vec![3600], data };
    let list = write_npz(&[
        ("src", array(ArrayData::U32(sources))),
        ("dst", array(ArrayData::U32(targets))),
        ("synapse_count", array(ArrayData::F32(counts))),
    ]);
    let folder = folder(&list);
    let [compiled, simulated, _] = pipeline(folder.path(), "300", "200");
    assert_eq!((&compiled["cores"], &compiled["neurons"]), (&1.into(), &300.into()), "{compiled}");
    let share = simulated["firing_share"].as_f64().unwrap();
    assert!((0.001..0.2).contains(&share), "{share}");
    for command in ["check", "inspect"] {
        let target: &[&str] = if command == "check" { &["--target", "loihi1"] } else { &[] };
        let out = spikec(folder.path(), &[&[command, "net.ron"], target].concat()).ok();
        assert!(out.err.contains("repeat another"), "{}", out.err);
    }
    spikec(folder.path(), &["compile", "edges.npz", "--target", "loihi1", "-o", "x.spkb"]).fails(2, &["holds arrays", "Connectome("]);
}

#[test]
fn random_spikes_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |rate: &str, channels: &str, expected: &str| {
        let args = ["data", "random", "--channels", channels, "--steps", "1000000", "--rate", rate, "-o", "x.npz"];
        spikec(folder.path(), &args).fails(2, &[expected]);
    };
    refused("1.5", "10", "from 0 to 1");
    refused("nan", "10", "from 0 to 1");
    refused("0.5", "10000", "too many");
    assert!(!folder.path().join("x.npz").exists());
}

#[test]
fn the_larva_fits_into_the_fewest_cores() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/drosophila_larva_winding_elife_edgelist.npz");
    let Ok(list) = std::fs::read(&path) else {
        eprintln!("skipped: {} is absent", path.display());
        return;
    };
    let [compiled, simulated, verdict] = pipeline(folder(&list).path(), "3554", "1000");
    assert_eq!((&compiled["cores"], &verdict["behaviour"]["spikes"]), (&4.into(), &89_034.into()));
    assert!((0.01..0.05).contains(&simulated["firing_share"].as_f64().unwrap()));
}
