//! Networks made for RANC from outside: read, exported again, simulated, and what is refused.

mod common;

use common::spikec;
use serde_json::Value;

/// One core of two axons and two neurons in RANC's notation: axon 0 makes neuron 0 fire, which sends to axon 1; that makes neuron 1 fire.
const NET: &str = r#"{
    "packets": [[{"destination_core": [0, 0], "destination_axon": 0, "destination_tick": 0}], [], [], []],
    "output_bus": {"coordinates": [15, 15], "num_outputs": 2},
    "cores": [{
        "coordinates": [0, 0], "axons": [0, 1], "connections": [[1, 0], [0, 1]],
        "neurons": [
            {"reset_potential": 0, "weights": [4, 0, 0, 0], "leak": 0, "positive_threshold": 4, "negative_threshold": -100,
             "destination_core_offset": [0, 0], "destination_axon": 1, "destination_tick": 0, "current_potential": 0, "reset_mode": 0},
            {"reset_potential": 0, "weights": [0, 9, 0, 0], "leak": 0, "positive_threshold": 9, "negative_threshold": -100,
             "destination_core_offset": [15, 15], "destination_axon": 1, "destination_tick": 0, "current_potential": 0, "reset_mode": 0}
        ]
    }]
}"#;

#[test]
fn a_network_is_read_and_exported_again() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("net.json"), NET).unwrap();
    let run = spikec(folder.path(), &["import-ranc", "net.json", "-o", "net.spkb", "--data", "net.npz", "--pad"]).ok();
    assert!(run.out.contains("1 input channels, 2 neurons, 2 outputs; 1 packets in 4 steps"), "{}", run.out);
    let export = ["export", "net.spkb", "--format", "ranc-json", "-o", "out", "--input", "net.npz"];
    let run = spikec(folder.path(), &export).ok();
    assert!(run.out.contains("1 cores, 2 neurons, 1 packets"), "{}", run.out);
    let read = |name: &str| -> Value { serde_json::from_str(&std::fs::read_to_string(at("out").join(name)).unwrap()).unwrap() };
    let (found, given): (Value, Value) = (read("input.json"), serde_json::from_str(NET).unwrap());
    assert_eq!((&found["packets"], &found["cores"][0]["neurons"][1]), (&given["packets"], &given["cores"][0]["neurons"][1]));
    assert_eq!(read("config.json")["num_axons"], 256);
    // The packet acts in chip step 0, the neuron's spike a step later.
    let expected = read("expected.json");
    assert_eq!(expected["spikes"], serde_json::json!([[0, 0, 0], [1, 0, 1]]));
    assert_eq!(expected["out_counts"], serde_json::json!([0, 1]));
    // Its potentials can't leave 9 bits: it may be compiled memory of the RTL, and be exported from it.
    spikec(folder.path(), &["import-ranc", "net.json", "--target", "ranc256", "-o", "rtl.spkb", "--pad"]).ok();
    spikec(folder.path(), &["export", "rtl.spkb", "--format", "ranc-json", "-o", "rtl"]).ok();
    let run = spikec(folder.path(), &["export", "rtl.spkb", "--format", "ranc-mem", "-o", "mem"]).ok();
    assert!(run.out.contains("256 cores, 1 of them in use"), "{}", run.out);
    let row = std::fs::read_to_string(at("mem").join("csram_000.mem")).unwrap();
    assert_eq!((row.lines().count(), row.lines().map(str::len).max()), (256, Some(368)));
    let run = spikec(folder.path(), &["export", "net.spkb", "--format", "nir", "-o", "nir"]).ok();
    assert!(run.out.contains("3 populations, 2 projections"), "{}", run.out);
    spikec(folder.path(), &["inspect", "nir/net.nir"]).ok();
}

#[test]
fn what_does_not_fit_is_named_by_core() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("net.json"), NET).unwrap();
    let run = spikec(folder.path(), &["import-ranc", "net.json", "-o", "net.spkb"]);
    assert_eq!(run.code, 2, "{}", run.err);
    assert!(run.err.contains("core (0,0): found 2 axons, expected 256") && run.err.contains("core (0,0): found 2 neurons"), "{}", run.err);
    assert!(!folder.path().join("net.spkb").exists());
    spikec(folder.path(), &["import-ranc", "net.json", "-o", "net.spkb", "--pad"]).ok();
    let run = spikec(folder.path(), &["export", "net.spkb", "--format", "odin-spi", "-o", "out"]);
    assert!(run.code != 0 && run.err.contains("of the family EventCrossbar"), "{}", run.err);
}
