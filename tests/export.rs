//! `spikec export` from outside: the files of a tiny bundle as committed, and what is refused.
//!
//! After an intended change: `SPIKEC_BLESS=1 cargo test -p spikec --test export`, and run tests/external before committing.

mod common;

use common::{example, spikec};
use spikec_data::{Array, ArrayData, write_npz};
use std::path::Path;

fn golden() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

/// Writes DATA.npz with the spikes (sample, step, channel).
fn events(path: &Path, spikes: &[(u32, u32, u32)]) {
    let column = |f: fn(&(u32, u32, u32)) -> u32| Array { shape: vec![spikes.len()], data: ArrayData::U32(spikes.iter().map(f).collect()) };
    let arrays = [("events_sample", column(|s| s.0)), ("events_t", column(|s| s.1)), ("events_i", column(|s| s.2))];
    std::fs::write(path, write_npz(&arrays)).unwrap();
}

/// A folder with `net.spkb`, compiled from a network in registers.
fn compiled(text: &str, target: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("net.ron"), text).unwrap();
    spikec(folder.path(), &["compile", "net.ron", "--target", target, "--steps", "10", "-o", "net.spkb"]).ok();
    folder
}

/// A chain of one input and two neurons with a delay, a bias and a refractory period.
fn chain(delay: u32, more: &str) -> String {
    format!(
        r#"Registers(
    name: "chain", inputs: [(name: "in", n: 2)],
    populations: [
        (name: "a", shape: [2], decay_u: 4096, decay_v: 128, threshold: 90, bias_mantissa: [0, 5], bias_exponent: 2{more}),
        (name: "b", shape: [1], decay_u: 4096, decay_v: 0, threshold: 50),
    ],
    projections: [
        (name: "kick", pre: "in", post: "a", synapses: Coo(pre_index: [0, 1], post_index: [0, 1], weight: [100, -30])),
        (name: "read", pre: "a", post: "b", synapses: Coo(pre_index: [0, 1], post_index: [0, 0], weight: [64, 32], delay: [0, {delay}])),
    ],
    output: "b",
)"#
    )
}

#[test]
fn the_files_of_a_tiny_bundle_are_as_committed() {
    let folder = compiled(&chain(3, ""), "loihi1");
    events(&folder.path().join("in.npz"), &[(0, 0, 0), (0, 1, 0), (1, 0, 1), (1, 2, 0), (1, 3, 0), (1, 3, 1)]);
    let run = spikec(folder.path(), &["export", "net.spkb", "--format", "sana-fe", "-o", "out", "--input", "in.npz", "--sample", "1"]).ok();
    assert!(run.out.contains("2 groups, 5 neurons, 4 edges"), "{}", run.out);
    let found: String = ["arch.yaml", "snn.yaml", "expected.json"]
        .iter()
        .map(|name| format!("==> {name}\n{}", std::fs::read_to_string(folder.path().join("out").join(name)).unwrap()))
        .collect();
    let path = golden().join("chain.sanafe.txt");
    if std::env::var_os("SPIKEC_BLESS").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let first = found.lines().zip(expected.lines()).position(|(a, b)| a != b);
    assert!(found == expected, "the export changed, first in line {first:?} (counted from 0); see the head of tests/export.rs\n{found}");
}

#[test]
fn expected_steps_add_up_to_the_sample() {
    let folder = tempfile::tempdir().unwrap();
    let (net, samples) = (example("mnist-gradr-poisson/net.nir"), example("mnist-gradr-poisson/samples.npz"));
    let (net, samples) = (net.to_str().unwrap(), samples.to_str().unwrap());
    spikec(folder.path(), &["compile", net, "--target", "loihi1", "-o", "net.spkb"]).ok();
    let args = ["export", "net.spkb", "--format", "sana-fe", "-o", "out", "--input", samples, "--sample", "4", "--json"];
    let run = spikec(folder.path(), &args).ok().json();
    assert_eq!(run["files"].as_array().unwrap().len(), 3);
    let expected: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.path().join("out/expected.json")).unwrap()).unwrap();
    let steps = expected["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 1 + 8 + 1);
    let sum = |key: &str| steps.iter().map(|s| s[key].as_f64().unwrap()).sum::<f64>();
    assert!((sum("energy_pj") / expected["energy_pj"].as_f64().unwrap() - 1.0).abs() < 1e-12);
    assert_eq!(sum("time_ps"), expected["time_ps"].as_f64().unwrap());
    assert!(steps[0]["packets"].as_u64().unwrap() > 0, "the load phase sends the first spikes");
    let snn = std::fs::read_to_string(folder.path().join("out/snn.yaml")).unwrap();
    assert_eq!(snn.matches(" -> ").count() as u64, run["edges"].as_u64().unwrap());
    // Without a sample there is nothing to expect, and the network is the same otherwise.
    spikec(folder.path(), &["export", "net.spkb", "--format", "sana-fe", "-o", "bare"]).ok();
    assert!(!folder.path().join("bare/expected.json").exists());
    let bare = std::fs::read_to_string(folder.path().join("bare/snn.yaml")).unwrap();
    assert_eq!(bare.split("  edges:").nth(1), snn.split("  edges:").nth(1));
}

#[test]
fn what_sana_fe_can_not_say_is_noted() {
    let folder = compiled(&chain(1, ", refractory: 3").replace("decay_u: 4096, decay_v: 0", "decay_u: 2048, decay_v: 0"), "loihi1");
    let run = spikec(folder.path(), &["export", "net.spkb", "--format", "sana-fe", "-o", "out"]).ok();
    for note in ["1 compartments have currents that outlive a step", "2 compartments have refractory steps"] {
        assert!(run.out.contains(note), "no `{note}` in\n{}", run.out);
    }
    let snn = std::fs::read_to_string(folder.path().join("out/snn.yaml")).unwrap();
    assert!(snn.contains("input_decay: 0.5") && snn.contains("refractory_delay: 3"), "{snn}");
}

#[test]
fn what_sana_fe_can_not_run_is_refused_by_name() {
    let export = ["export", "net.spkb", "--format", "sana-fe", "-o", "out"];
    let folder = compiled(&chain(6, ""), "loihi1");
    spikec(folder.path(), &export).fails(2, &["core 0, compartment 2: a synapse has a delay of 6 more steps, SANA-FE's dendrite holds 5"]);
    assert!(!folder.path().join("out").exists());

    let folder = compiled(&chain(0, ""), "loihi1");
    events(&folder.path().join("in.npz"), &[(0, 3, 1), (0, 3, 1)]);
    let with = |more: &[&str]| spikec(folder.path(), &[&export[..], &["--input", "in.npz"], more].concat());
    with(&[]).fails(2, &["input channel 1 spikes 2 times in step 3"]);
    with(&["--sample", "7"]).fails(2, &["has 1 samples, there is no sample 7"]);
    spikec(folder.path(), &["export", "net.spkb", "--format", "nest", "-o", "out"]).fails(2, &["sana-fe"]);
    spikec(folder.path(), &[&export[..], &["--steps", "3"]].concat()).fails(2, &["--input"]);
    std::fs::write(folder.path().join("out"), "a file").unwrap();
    spikec(folder.path(), &export).fails(2, &["out: can't be made"]);

    let loihi = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../targets/loihi1.ron")).unwrap();
    let board = [
        ("width: (value: 8", "width: (value: 1"),
        ("height: (value: 4", "height: (value: 1"),
        ("cores_per_router: (value: 4", "cores_per_router: (value: 1"),
        ("chips: (value: 1", "chips: (value: 2"),
        ("compartments: (value: 1024", "compartments: (value: 2"),
        ("update_group: (value: 4", "update_group: (value: 1"),
    ]
    .iter()
    .fold(loihi, |text, (from, to)| text.replacen(from, to, 1));
    std::fs::write(folder.path().join("board.ron"), board).unwrap();
    spikec(folder.path(), &["compile", "net.ron", "--target", "board.ron", "--steps", "10", "-o", "net.spkb"]).ok();
    std::fs::remove_file(folder.path().join("out")).unwrap();
    spikec(folder.path(), &export).fails(2, &["core 1 is on chip 1: SANA-FE has no borders between chips"]);
}

#[test]
fn biases_that_change_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let net = r#"Trained(
    dt: 1.0, populations: [(name: "in", shape: [1], neurons: Input), (name: "out", shape: [1], neurons: Lif(tau: 2.0, v_threshold: 1.0))],
    projections: [(pre: "in", post: "out", chain: [Linear(weight: [0.5])])], output: "out",
)"#;
    std::fs::write(folder.path().join("net.ron"), net).unwrap();
    let values = Array { shape: vec![1, 4, 1], data: ArrayData::F32(vec![0.5, 0.5, 0.7, 0.5]) };
    let by_step = Array { shape: vec![], data: ArrayData::Bool(vec![true]) };
    std::fs::write(folder.path().join("in.npz"), write_npz(&[("values", values), ("values_per_step", by_step)])).unwrap();
    let args = ["compile", "net.ron", "--target", "loihi1", "--input-coding", "bias", "--steps", "4", "-o", "net.spkb"];
    spikec(folder.path(), &args).ok();
    let export = ["export", "net.spkb", "--format", "sana-fe", "-o", "out"];
    spikec(folder.path(), &[&export[..], &["--input", "in.npz"]].concat())
        .fails(2, &["core 0, compartment 0: its bias changes again before chip step 2"]);
    let run = spikec(folder.path(), &export).ok();
    assert!(run.out.contains("biases of a sample's values, and no sample is given"), "{}", run.out);
}
