//! lava-dl's networks from file to verdict, where they stand beside the project.

mod common;

use common::spikec;
use spikec_data::{Array, ArrayData, write_npz};
use std::path::PathBuf;

fn file(name: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/nets/netx").join(name);
    if !path.is_file() {
        eprintln!("skipped: {} is absent", path.display());
        return None;
    }
    Some(path.display().to_string())
}

#[test]
fn networks_of_lava_dl_go_to_a_verdict() {
    let nets = [
        ("tiny/tiny.net", 768, "count", 52_317),
        ("bootstrap_mnist/network.net", 784, "potential", 486_638),
        ("oxford/network.net", 200, "count", 90_396),
    ];
    for (name, width, decoder, synapses) in nets {
        let Some(net) = file(name) else { return };
        let folder = tempfile::tempdir().unwrap();
        let run = |args: &[&str]| spikec(folder.path(), &[&["--json"], args].concat()).ok().json();
        let compiled = run(&["compile", &net, "--target", "loihi1", "--decoder", decoder, "--steps", "16", "-o", "net.spkb"]);
        assert_eq!(compiled["synapses_on_chip"], synapses, "{compiled}");
        if name.starts_with("oxford") {
            run(&["data", "random", "--channels", "200", "--steps", "16", "--rate", "0.1", "--samples", "4", "-o", "data.npz"]);
        } else {
            let values = (0..4 * width).map(|k| ((k * 37) % 101) as f32 / 50.0 - 1.0).collect();
            let array = Array { shape: vec![4, width], data: ArrayData::F32(values) };
            std::fs::write(folder.path().join("data.npz"), write_npz(&[("values", array)])).unwrap();
        }
        let verdict = run(&["verify", &net, "net.spkb", "--input", "data.npz"]);
        assert_eq!((&verdict["image"]["total"], &verdict["behaviour"]["equal"]), (&0.into(), &4.into()), "{name}: {verdict}");
        assert!(verdict["behaviour"]["spikes"].as_u64() > Some(20), "{name}: {verdict}");
        let shown = spikec(folder.path(), &["inspect", &net]).ok().out;
        assert!(shown.contains("chip neuron"), "{shown}");
        let coded = ["compile", &net, "--target", "loihi1", "--input-coding", if width == 200 { "bias" } else { "spikes" }, "-o", "x.spkb"];
        spikec(folder.path(), &coded).fails(2, &["its inputs are", "leave --input-coding away"]);
    }
}
