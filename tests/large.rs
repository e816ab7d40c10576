//! A convolutional network without inputs over many chips, from file to verdict: what `benches/million.rs` does at size, with some 10,000 neurons.

mod common;

use common::spikec;
use spikec_data::{ArrayData, read_npz};
use spikec_testkit::instance::{Stack, Stage, model, silence};

const STACK: Stack<'static> = Stack {
    side: 12,
    stages: &[Stage::Conv(24), Stage::Conv(24), Stage::Conv(24), Stage::Pool, Stage::Full(64), Stage::Full(10)],
    density: 0.04,
    seed: 5,
};

/// Chips of 4 cores of 256 neurons.
const TARGET: [(&str, &str); 7] = [
    ("topology.width", "2"),
    ("topology.height", "1"),
    ("topology.cores_per_router", "2"),
    ("topology.chips", "32"),
    ("topology.chip_columns", "8"),
    ("topology.host_port", "(0, 0)"),
    ("core.compartments", "256"),
];

fn target() -> String {
    let change = |(key, value)| format!("        \"{key}\": (value: {value}, source: \"chosen\", confidence: Assumed),\n");
    let changes: String = TARGET.into_iter().map(change).collect();
    format!(
        "Derived(\n    base: \"loihi1\",\n    name: \"tiny-chips\",\n    description: \"chips of 4 cores\",\n    changes: {{\n{changes}    }},\n)\n"
    )
}

#[test]
fn a_network_without_inputs_goes_from_file_to_verdict_on_many_chips() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let graph = STACK.graph();
    let written = model(&graph, "stack", "stack.npz", 3);
    assert_eq!(written, model(&graph, "stack", "stack.npz", 3), "the same seed, the same network");
    std::fs::write(path("stack.ron"), &written.ron).expect("written");
    std::fs::write(path("stack.npz"), written.npz()).expect("written");
    std::fs::write(path("data.npz"), silence(2, 24, 0)).expect("written");
    std::fs::write(path("tiny.ron"), target()).expect("written");
    let run = |args: &[&str]| spikec(folder.path(), args).ok();

    run(&["check", "stack.ron", "--target", "tiny.ron"]);
    let report = run(&["--json", "compile", "stack.ron", "--target", "tiny.ron", "-o", "stack.spkb"]).json();
    let (cores, neurons) = (report["cores"].as_u64().expect("a number"), report["neurons"].as_u64().expect("a number"));
    assert!(cores > 32 && neurons > 9_000, "{cores} cores, {neurons} neurons");
    assert_eq!(report["core_usage"].as_array().map(Vec::len), Some(cores as usize), "JSON has every core");
    let text = run(&["compile", "stack.ron", "--target", "tiny.ron", "-o", "again.spkb"]).out;
    assert!(text.lines().count() < 60 && text.contains("cores more"), "{text}");
    assert!(std::fs::read(path("stack.spkb")).expect("readable") == std::fs::read(path("again.spkb")).expect("readable"));

    let verdict = run(&["--json", "verify", "stack.ron", "stack.spkb", "--input", "data.npz"]).json();
    assert_eq!(verdict["image"]["total"], 0, "{verdict}");
    assert_eq!((&verdict["behaviour"]["equal"], &verdict["behaviour"]["steps"]), (&2.into(), &48.into()), "{verdict}");
    assert!(verdict["behaviour"]["spikes"].as_u64() > Some(10_000), "{verdict}");
    let mut counts = Vec::new();
    for timing in ["none", "analytic", "cycle"] {
        let text = run(&["simulate", "stack.spkb", "--input", "data.npz", "--timing", timing, "-o", "run.npz"]).out;
        assert!(text.lines().count() < 120, "{text}");
        let run = read_npz(&std::fs::read(path("run.npz")).expect("readable")).expect("arrays");
        counts.push(run["out_spike_counts"].data.clone());
    }
    assert!(counts.iter().all(|c| *c == counts[0]));
    let fired = match &counts[0] {
        ArrayData::U32(v) => v.iter().any(|&n| n > 0),
        other => panic!("{other:?}"),
    };
    assert!(fired, "spikes reach the last layer");
}
