//! Manual control of the mapping: pins, placement files, strategies and boards, from the command line.

mod common;

use common::{example, spikec};
use std::path::Path;

/// A folder with the recurrent example and a target derived from loihi1 whose cores hold 16 neurons, on `chips` chips of 2 x 2 routers.
fn folder(chips: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["net.ron", "weights.npz", "samples.npz"] {
        std::fs::copy(example("recurrent-integers").join(file), folder.path().join(file)).unwrap();
    }
    let number = |value: u32| format!("(value: {value}, source: \"test\", confidence: Assumed)");
    let small = format!(
        "Derived(base: \"loihi1\", name: \"small\", description: \"small cores\", changes: {{
            \"core.compartments\": {}, \"topology.width\": {}, \"topology.height\": {}, \"topology.chips\": {}, \"topology.chip_columns\": {},
        }})",
        number(16),
        number(2),
        number(2),
        number(chips),
        number(chips),
    );
    std::fs::write(folder.path().join("small.ron"), small).unwrap();
    folder
}

/// The cores that hold neurons of a layer, from a placement file.
fn cores_of(at: &Path, layer: &str) -> Vec<u32> {
    let text = std::fs::read_to_string(at.join("placement.ron")).unwrap();
    let placement: spikec_compile::Placement = ron::from_str(&text).unwrap();
    let of_layer = placement.cores.iter().filter(|c| c.neurons.iter().any(|(name, _)| name == layer));
    of_layer.map(|c| c.core).collect()
}

const COMPILE: [&str; 6] = ["compile", "net.ron", "--target", "small.ron", "-o", "net.spkb"];

fn with(more: &[&'static str]) -> Vec<&'static str> {
    COMPILE.into_iter().chain(more.iter().copied()).collect()
}

#[test]
fn every_strategy_compiles_and_verifies() {
    let folder = folder(1);
    for name in ["portfolio", "sequential", "overlap"] {
        for effort in ["fast", "default"] {
            spikec(folder.path(), &with(&["--partitioner", name, "--effort", effort])).ok();
            spikec(folder.path(), &["verify", "net.ron", "net.spkb", "--input", "samples.npz", "--samples", "2"]).ok();
        }
    }
    // Its ring feeds itself: a strategy that needs an order of the layers says so.
    for name in ["tiles", "layers"] {
        spikec(folder.path(), &with(&["--partitioner", name])).fails(2, &[name, "without loops", "overlap"]);
    }
}

#[test]
fn strategies_with_an_order_compile_and_verify() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for file in ["net.nir", "samples.npz"] {
        std::fs::copy(example("mnist-gradr-poisson").join(file), at.join(file)).unwrap();
    }
    let number = "(value: 64, source: \"test\", confidence: Assumed)";
    let small =
        format!("Derived(base: \"loihi1\", name: \"small\", description: \"small cores\", changes: {{ \"core.compartments\": {number} }})");
    std::fs::write(at.join("small.ron"), small).unwrap();
    spikec(at, &["compile", "net.nir", "--target", "small.ron", "--partitioner", "layers", "--report", "r.json", "-o", "net.spkb"]).ok();
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(at.join("r.json")).unwrap()).unwrap();
    let (cores, least) = (report["cores"].as_u64().unwrap(), report["certificate"]["certificate"]["best"].as_u64().unwrap());
    assert!(least >= 7 && cores >= least && cores <= least + 2, "{cores} cores, at least {least}");
    spikec(at, &["verify", "net.nir", "net.spkb", "--input", "samples.npz", "--samples", "5"]).ok();
    // Flat layers have no tiles.
    spikec(at, &["compile", "net.nir", "--target", "small.ron", "--partitioner", "tiles", "-o", "other.spkb"])
        .fails(2, &["tiles", "shape"]);
}

#[test]
fn several_chips_verify_and_differ_in_nothing_else() {
    let folder = folder(4);
    let number = "(value: 5, source: \"test\", confidence: Assumed)";
    let path = folder.path().join("small.ron");
    let text = std::fs::read_to_string(&path).unwrap().replace("changes: {", &format!("changes: {{ \"core.compartments\": {number},"));
    // The key stands twice: the first of both goes.
    let text = text.replacen("\"core.compartments\": (value: 16, source: \"test\", confidence: Assumed), ", "", 1);
    std::fs::write(&path, text).unwrap();
    spikec(folder.path(), &with(&["--report", "report.json"])).ok();
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.path().join("report.json")).unwrap()).unwrap();
    let cores: Vec<u64> = report["core_usage"].as_array().unwrap().iter().map(|c| c["core"].as_u64().unwrap()).collect();
    assert!(cores.len() >= 14 && cores.iter().all(|&c| c < 64), "{cores:?}");
    spikec(folder.path(), &["verify", "net.ron", "net.spkb", "--input", "samples.npz", "--samples", "2"]).ok();
}

#[test]
fn a_pinned_layer_stays_on_its_cores() {
    let folder = folder(1);
    spikec(folder.path(), &with(&["--pin", "out=9..10", "--write-placement", "placement.ron"])).ok();
    let cores = cores_of(folder.path(), "out");
    assert!(!cores.is_empty() && cores.iter().all(|c| (9..=10).contains(c)), "{cores:?}");
    let ring = cores_of(folder.path(), "ring");
    assert!(ring.iter().all(|c| !cores.contains(c)), "{ring:?} shares cores with the pinned layer");
    spikec(folder.path(), &["verify", "net.ron", "net.spkb", "--input", "samples.npz", "--samples", "2"]).ok();
}

#[test]
fn pins_that_cannot_be_are_named() {
    let folder = folder(1);
    let at = folder.path();
    spikec(at, &with(&["--pin", "nobody=0..1"])).fails(3, &["P10", "nobody", "ring, out"]);
    spikec(at, &with(&["--pin", "out=10..99"])).fails(3, &["P11", "out", "0..16"]);
    spikec(at, &with(&["--pin", "out=0..1", "--pin", "out=2..3"])).fails(3, &["P12", "out"]);
    spikec(at, &with(&["--pin", "ring=0..1"])).fails(3, &["ring"]);
    spikec(at, &with(&["--pin", "out"])).fails(2, &["LAYER=CORE..CORE"]);
    spikec(at, &with(&["--pin", "out=5..2"])).fails(2, &["first core not after the last"]);
    assert!(!at.join("net.spkb").exists());
}

#[test]
fn a_placement_is_written_edited_and_read_back() {
    let folder = folder(1);
    let at = folder.path();
    spikec(at, &with(&["--write-placement", "placement.ron"])).ok();
    let first = std::fs::read(at.join("net.spkb")).unwrap();
    let text = std::fs::read_to_string(at.join("placement.ron")).unwrap();
    spikec(at, &with(&["--placement", "placement.ron", "--write-placement", "again.ron"])).ok();
    assert_eq!(std::fs::read_to_string(at.join("again.ron")).unwrap(), text);
    assert_ne!(first, std::fs::read(at.join("net.spkb")).unwrap(), "provenance says that a placement was given");

    // Edited: a core gets another number.
    let mut placement: spikec_compile::Placement = ron::from_str(&text).unwrap();
    let free = (0..16).find(|c| placement.cores.iter().all(|p| p.core != *c)).unwrap();
    placement.cores[0].core = free;
    std::fs::write(at.join("edited.ron"), ron::to_string(&placement).unwrap()).unwrap();
    spikec(at, &with(&["--placement", "edited.ron"])).ok();
    spikec(at, &["verify", "net.ron", "net.spkb", "--input", "samples.npz", "--samples", "2"]).ok();
}

#[test]
fn copies_are_placed_by_file_verified_and_shown() {
    let folder = folder(1);
    let at = folder.path();
    let room = std::fs::read_to_string(at.join("small.ron")).unwrap();
    spikec(at, &with(&["--copies", "none", "--write-placement", "placement.ron"])).ok();
    spikec(at, &["simulate", "net.spkb", "--input", "samples.npz", "--record", "spikes", "-o", "plain.npz"]).ok();
    let plain: spikec_compile::Placement = ron::from_str(&std::fs::read_to_string(at.join("placement.ron")).unwrap()).unwrap();
    // Room for copies: the cores above are full.
    std::fs::write(at.join("small.ron"), room.replace("value: 16,", "value: 32,")).unwrap();
    let given = |copies: &[(usize, &str, u32)]| {
        let mut placement = plain.clone();
        for &(core, layer, neuron) in copies {
            placement.cores[core].copies.push((layer.into(), vec![(neuron, neuron + 1)]));
        }
        std::fs::write(at.join("copies.ron"), ron::to_string(&placement).unwrap()).unwrap();
        spikec(at, &with(&["--placement", "copies.ron", "--write-placement", "again.ron", "--report", "r.json"]))
    };
    let (layer, runs) = plain.cores[0].neurons[0].clone();
    let neuron = runs[0].0;
    // One of the other cores reads it.
    let readers: Vec<usize> = (1..plain.cores.len()).filter(|&core| given(&[(core, &layer, neuron)]).code == 0).collect();
    let reader = *readers.first().expect("the neuron reaches another core");
    given(&[(reader, &layer, neuron), (reader, &layer, neuron)]).fails(3, &["P05", "copies beside the same neuron"]);
    given(&[(0, &layer, neuron)]).fails(3, &["P05"]);
    if let Some(other) = (1..plain.cores.len()).find(|core| !readers.contains(core)) {
        given(&[(other, &layer, neuron)]).fails(3, &["P06", "copies that nothing reads"]);
    }
    given(&[(reader, "nobody", 0)]).fails(3, &["P20", "nobody"]);
    let run = given(&[(reader, &layer, neuron)]).ok();
    assert!(run.out.contains("copies: 1 of 1 neurons"), "{}", run.out);
    assert_eq!(std::fs::read_to_string(at.join("again.ron")).unwrap().matches("copies").count(), 1);
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(at.join("r.json")).unwrap()).unwrap();
    assert_eq!(report["copies"]["copies"].as_u64(), Some(1), "{}", report["copies"]);
    let verified = spikec(at, &["verify", "net.ron", "net.spkb", "--input", "samples.npz", "--samples", "4", "--json"]).ok().json();
    assert_eq!(verified["image"]["checked"]["copies"].as_u64(), Some(1));
    let shown = spikec(at, &["inspect", "net.spkb"]).ok().out;
    assert!(shown.contains(&format!("copies of {layer}: 1\n  neuron {neuron}: core {}", plain.cores[reader].core)), "{shown}");
    spikec(at, &["simulate", "net.spkb", "--input", "samples.npz", "--record", "spikes", "-o", "copies.npz"]).ok();
    assert_eq!(std::fs::read(at.join("plain.npz")).unwrap(), std::fs::read(at.join("copies.npz")).unwrap());
}

#[test]
fn placements_that_are_wrong_are_refused_by_name() {
    let folder = folder(1);
    let at = folder.path();
    spikec(at, &with(&["--write-placement", "placement.ron"])).ok();
    std::fs::remove_file(at.join("net.spkb")).unwrap();
    let text = std::fs::read_to_string(at.join("placement.ron")).unwrap();
    let placement: spikec_compile::Placement = ron::from_str(&text).unwrap();
    let give = |edit: &dyn Fn(&mut spikec_compile::Placement), code: i32, expected: &[&str]| {
        let mut changed = placement.clone();
        edit(&mut changed);
        std::fs::write(at.join("wrong.ron"), ron::to_string(&changed).unwrap()).unwrap();
        spikec(at, &with(&["--placement", "wrong.ron"])).fails(code, expected);
    };
    give(&|p| p.target = "loihi1".into(), 2, &["wrong.ron", "loihi1", "small"]);
    give(&|p| p.cores[0].neurons[0].0 = "nobody".into(), 3, &["P20", "nobody"]);
    give(&|p| p.cores[0].neurons[0].1.push((60, 90)), 3, &["P21"]);
    give(&|p| p.cores[1].core = p.cores[0].core, 3, &["P22"]);
    give(&|p| p.cores[0].core = 4000, 3, &["C16", "physical core number"]);
    give(&|p| drop(p.cores.pop()), 3, &["P01", "neurons without a core"]);
    let double = |p: &mut spikec_compile::Placement| {
        let stolen = p.cores[0].neurons[0].clone();
        p.cores[1].neurons.push(stolen);
    };
    give(&double, 3, &["P02"]);
    std::fs::write(at.join("wrong.ron"), "Placement(").unwrap();
    spikec(at, &with(&["--placement", "wrong.ron"])).fails(2, &["wrong.ron", "is no placement", "--write-placement"]);
    assert!(!at.join("net.spkb").exists());
    // Neither is an input ever replaced.
    spikec(at, &["compile", "net.ron", "--target", "small.ron", "--placement", "placement.ron", "-o", "placement.ron"])
        .fails(2, &["placement.ron", "input"]);
}
