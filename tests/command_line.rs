//! The command line from outside: exit codes, errors, outputs that are whole or not there, determinism.

mod common;

use common::{example, spikec};
use std::path::Path;

/// A folder with the Poisson example's files and a bundle of it.
fn compiled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["net.nir", "samples.npz"] {
        std::fs::copy(example("mnist-gradr-poisson").join(file), folder.path().join(file)).unwrap();
    }
    spikec(folder.path(), &["compile", "net.nir", "--target", "loihi1", "-o", "net.spkb", "--report", "report.json"]).ok();
    folder
}

#[test]
fn the_example_compiles_runs_and_verifies() {
    let folder = compiled();
    let at = folder.path();
    let run = spikec(at, &["simulate", "net.spkb", "--input", "samples.npz", "--json", "-o", "run.npz", "--record", "spikes,potentials"])
        .ok()
        .json();
    assert_eq!(run["samples"], 500);
    let accuracy = run["accuracy"].as_f64().unwrap();
    let float = spikec_data::read_npz(&std::fs::read(example("mnist-gradr-poisson/float_predictions.npz")).unwrap()).unwrap();
    let set = spikec_data::DataSet::from_bytes(&std::fs::read(at.join("samples.npz")).unwrap(), None).unwrap();
    let float = float["pred"].to_i64().unwrap();
    let labels = set.labels.unwrap();
    let float_accuracy = float.iter().zip(&labels).filter(|(a, b)| a == b).count() as f64 / labels.len() as f64;
    assert!(accuracy >= float_accuracy - 0.01, "{accuracy} against {float_accuracy}");
    let arrays = spikec_data::read_npz(&std::fs::read(at.join("run.npz")).unwrap()).unwrap();
    let names: Vec<&str> = arrays.keys().map(|k| k.as_str()).collect();
    assert_eq!(
        names,
        [
            "events_chip_step",
            "events_i",
            "events_population",
            "events_sample",
            "events_t",
            "network_steps",
            "out_spike_counts",
            "potentials",
            "prediction"
        ]
    );
    assert_eq!(arrays["out_spike_counts"].shape, [500, 10]);
    assert_eq!(arrays["potentials"].shape, [500, 8, 10]);
    // The recorded spikes of the output population are its counts.
    let column = |name: &str| arrays[name].to_i64().unwrap();
    let output = column("events_population").into_iter().max().unwrap();
    let mut counts = vec![0i64; 500 * 10];
    for (k, p) in column("events_population").into_iter().enumerate() {
        if p == output {
            counts[(column_at(&arrays, "events_sample", k) * 10 + column_at(&arrays, "events_i", k)) as usize] += 1;
        }
    }
    assert_eq!(counts, column("out_spike_counts"));

    let verdict = spikec(at, &["verify", "net.nir", "net.spkb", "--input", "samples.npz", "--samples", "100", "--json"]).ok().json();
    assert_eq!(verdict["image"]["total"], 0);
    assert_eq!(verdict["behaviour"]["equal"], 100);
    let report: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(at.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["cores"], 1);
}

fn column_at(arrays: &std::collections::BTreeMap<String, spikec_data::Array>, name: &str, k: usize) -> i64 {
    match &arrays[name].data {
        spikec_data::ArrayData::U32(v) => v[k] as i64,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_same_bytes_on_any_number_of_threads() {
    let folder = compiled();
    let at = folder.path();
    let first = std::fs::read(at.join("net.spkb")).unwrap();
    for threads in ["1", "2"] {
        spikec(at, &["compile", "net.nir", "--target", "loihi1", "-o", "again.spkb", "--threads", threads]).ok();
        assert!(std::fs::read(at.join("again.spkb")).unwrap() == first, "{threads} threads");
        spikec(
            at,
            &[
                "simulate",
                "net.spkb",
                "--input",
                "samples.npz",
                "-o",
                &format!("run{threads}.npz"),
                "--record",
                "spikes",
                "--threads",
                threads,
            ],
        )
        .ok();
    }
    assert!(std::fs::read(at.join("run1.npz")).unwrap() == std::fs::read(at.join("run2.npz")).unwrap());
}

#[test]
fn another_network_does_not_verify() {
    let folder = compiled();
    let at = folder.path();
    let other = example("mnist-gradr-direct").join("net.nir");
    spikec(at, &["verify", other.to_str().unwrap(), "net.spkb"]).fails(1, &["differ"]);
}

#[test]
fn flipped_and_truncated_bundles_are_refused() {
    let folder = compiled();
    let at = folder.path();
    let bytes = std::fs::read(at.join("net.spkb")).unwrap();
    for k in [0, 40, bytes.len() / 3, bytes.len() / 2, bytes.len() - 30, bytes.len() - 1] {
        let mut bad = bytes.clone();
        bad[k] ^= 4;
        std::fs::write(at.join("bad.spkb"), &bad).unwrap();
        spikec(at, &["simulate", "bad.spkb", "--input", "samples.npz"]).fails(2, &["bad.spkb"]);
        std::fs::write(at.join("bad.spkb"), &bytes[..k]).unwrap();
        spikec(at, &["simulate", "bad.spkb", "--input", "samples.npz"]).fails(2, &["bad.spkb"]);
    }
}

#[test]
fn bad_networks_are_named_and_the_old_output_stays() {
    let folder = compiled();
    let at = folder.path();
    let old = std::fs::read(at.join("net.spkb")).unwrap();
    let nir = std::fs::read(at.join("net.nir")).unwrap();
    for (name, bytes) in [("short.nir", &nir[..nir.len() / 2]), ("tiny.nir", &nir[..3]), ("empty.nir", &[][..])] {
        std::fs::write(at.join(name), bytes).unwrap();
        spikec(at, &["compile", name, "--target", "loihi1", "-o", "net.spkb"]).fails(2, &[name]);
    }
    spikec(at, &["compile", "nowhere.nir", "--target", "loihi1", "-o", "net.spkb"]).fails(2, &["nowhere.nir"]);
    spikec(at, &["compile", "net.nir", "--target", "loihi9", "-o", "net.spkb"]).fails(2, &["loihi9", "loihi1"]);
    spikec(at, &["compile", "net.nir", "--target", "loihi1", "-o", "no/such/folder/x.spkb"]).fails(2, &["no/such/folder/x.spkb"]);
    spikec(at, &["compile", "net.nir", "--target", "loihi1", "-o", "net.spkb", "--partitioner", "nobody"])
        .fails(2, &["nobody", "sequential"]);
    spikec(at, &["compile", "net.nir", "--target", "loihi1", "-o", "net.spkb", "--input-coding", "rate"]).fails(2, &["--full-scale"]);
    spikec(at, &["compile", "net.nir", "--target", "loihi1", "-o", "net.spkb", "--decoder", "vote:0"]).fails(2, &["vote:0"]);
    spikec(at, &["compile", "net.nir", "--target", "loihi1", "-o", "net.spkb", "--weight-bits", "9"]).fails(2, &["9"]);
    std::fs::write(at.join("m.ron"), "Trained(\n  name: \"x\",\n  colour: 3,\n)\n").unwrap();
    spikec(at, &["compile", "m.ron", "--target", "loihi1", "-o", "net.spkb"]).fails(2, &["m.ron:3", "colour"]);
    assert!(std::fs::read(at.join("net.spkb")).unwrap() == old);
    // Nothing half-written is left behind.
    let left: Vec<_> =
        std::fs::read_dir(at).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).filter(|n| n.contains("tmp")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn bad_data_are_named() {
    let folder = compiled();
    let at = folder.path();
    let write = |name: &str, arrays: &[(&str, spikec_data::Array)]| std::fs::write(at.join(name), spikec_data::write_npz(arrays)).unwrap();
    let array = |shape: &[usize], data| spikec_data::Array { shape: shape.to_vec(), data };
    use spikec_data::ArrayData::*;
    write("narrow.npz", &[("spikes", array(&[1, 2, 3], Bool(vec![true; 6])))]);
    spikec(at, &["simulate", "net.spkb", "--input", "narrow.npz"]).fails(2, &["narrow.npz", "784", "3"]);
    write("values.npz", &[("values", array(&[1, 784], F32(vec![0.5; 784])))]);
    spikec(at, &["simulate", "net.spkb", "--input", "values.npz"]).fails(2, &["values.npz", "--input-coding"]);
    write("nan.npz", &[("values", array(&[1, 784], F32(vec![f32::NAN; 784])))]);
    spikec(at, &["simulate", "net.spkb", "--input", "nan.npz"]).fails(2, &["nan.npz"]);
    write("nothing.npz", &[("colours", array(&[1], U8(vec![1])))]);
    spikec(at, &["simulate", "net.spkb", "--input", "nothing.npz"]).fails(2, &["nothing.npz", "spikes"]);
    let npz = std::fs::read(at.join("samples.npz")).unwrap();
    std::fs::write(at.join("cut.npz"), &npz[..npz.len() / 2]).unwrap();
    spikec(at, &["simulate", "net.spkb", "--input", "cut.npz"]).fails(2, &["cut.npz"]);
    spikec(at, &["simulate", "net.spkb", "--input", "samples.npz", "--samples", "0"]).fails(2, &["--samples"]);
    spikec(at, &["simulate", "net.spkb", "--input", "samples.npz", "--record", "spikes"]).fails(2, &["-o"]);
}

#[test]
fn targets_are_listed_shown_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    spikec(at, &["target", "list"]).ok();
    let shown = spikec(at, &["target", "show", "loihi1"]).ok();
    assert!(shown.out.contains("compartments") && shown.out.contains("1024"), "{}", shown.out);
    spikec(at, &["target", "check", "loihi1"]).ok();
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../targets/loihi1.ron")).unwrap();
    let broken = text.replacen("compartments: (value: 1024", "compartments: (value: 0", 1);
    assert_ne!(broken, text);
    std::fs::write(at.join("broken.ron"), broken).unwrap();
    spikec(at, &["target", "check", "broken.ron"]).fails(2, &["compartments"]);
    spikec(at, &["target", "check", "./nothing.ron"]).fails(2, &["nothing.ron"]);
    std::fs::write(at.join("key.ron"), text.replacen("compartments:", "compartmentz:", 1)).unwrap();
    spikec(at, &["target", "check", "key.ron"]).fails(2, &["key.ron:", "compartmentz"]);
}

#[test]
fn what_does_not_fit_is_listed_with_exit_code_3() {
    let folder = compiled();
    let at = folder.path();
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../targets/loihi1.ron")).unwrap();
    // One core with 64 compartments: neither the neurons nor the axons fit.
    let mut small = text.replacen("compartments: (value: 1024", "compartments: (value: 64", 1);
    for key in ["width", "height", "cores_per_router"] {
        let from = small.find(&format!("{key}: (value: ")).unwrap() + key.len() + 9;
        let to = from + small[from..].find(',').unwrap();
        small.replace_range(from..to, " 1");
    }
    std::fs::write(at.join("small.ron"), small).unwrap();
    spikec(at, &["check", "net.nir", "--target", "small.ron"]).fails(3, &["C16", "does not fit"]);
    spikec(at, &["compile", "net.nir", "--target", "small.ron", "-o", "small.spkb"]).fails(3, &["C16"]);
    assert!(!at.join("small.spkb").exists());
    spikec(at, &["check", "net.nir", "--target", "loihi1"]).ok();
}

#[test]
fn inspect_shows_networks_bundles_and_targets() {
    let folder = compiled();
    let at = folder.path();
    assert!(spikec(at, &["inspect", "net.nir"]).ok().out.contains("32,424"));
    assert!(spikec(at, &["inspect", "net.spkb"]).ok().out.contains("core 0"));
    assert!(spikec(at, &["inspect", "loihi1"]).ok().out.contains("in_axons"));
    spikec(at, &["inspect", "net.spkb", "--format", "json"]).ok().json();
    spikec(at, &["inspect", "net.spkb", "--diff", "net.spkb"]).ok();
    spikec(at, &["compile", "net.nir", "--target", "loihi1", "-o", "four.spkb", "--weight-bits", "4"]).ok();
    spikec(at, &["inspect", "net.spkb", "--diff", "four.spkb"]).fails(1, &["-", "+"]);
}

#[test]
fn the_direct_coded_example_runs_with_every_coding() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for file in ["net.nir", "samples.npz"] {
        std::fs::copy(example("mnist-gradr-direct").join(file), at.join(file)).unwrap();
    }
    for (coding, steps, least) in [("bias", "8", 0.97), ("rate", "16", 0.9), ("latency", "16", 0.0)] {
        spikec(
            at,
            &[
                "compile",
                "net.nir",
                "--target",
                "loihi1",
                "-o",
                "net.spkb",
                "--input-coding",
                coding,
                "--calibration",
                "samples.npz",
                "--steps",
                steps,
            ],
        )
        .ok();
        let run = spikec(at, &["simulate", "net.spkb", "--input", "samples.npz", "--json"]).ok().json();
        assert!(run["accuracy"].as_f64().unwrap() >= least, "{coding}: {}", run["accuracy"]);
        let verdict = spikec(at, &["verify", "net.nir", "net.spkb", "--input", "samples.npz", "--json", "--samples", "50"]).ok().json();
        assert_eq!(verdict["behaviour"]["equal"], 50, "{coding}");
    }
}

#[test]
fn idx_files_become_data() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut images = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2];
    images.extend([0u8, 255, 128, 0, 255, 255, 0, 0]);
    std::fs::write(at.join("images"), &images).unwrap();
    std::fs::write(at.join("labels"), [0, 0, 8, 1, 0, 0, 0, 2, 7, 1]).unwrap();
    spikec(at, &["data", "idx", "images", "--labels", "labels", "--coding", "poisson", "--steps", "5", "-o", "p.npz"]).ok();
    let set = spikec_data::DataSet::from_bytes(&std::fs::read(at.join("p.npz")).unwrap(), None).unwrap();
    assert_eq!((set.width, set.samples.len(), set.labels), (4, 2, Some(vec![7, 1])));
    spikec(at, &["data", "idx", "images", "-o", "d.npz"]).ok();
    let set = spikec_data::DataSet::from_bytes(&std::fs::read(at.join("d.npz")).unwrap(), None).unwrap();
    let spikec_data::Stimulus::Values(v) = &set.samples[0] else { panic!() };
    assert!((v.frames[1] - (1.0 - 0.1307) / 0.3081).abs() < 1e-6);
    spikec(at, &["data", "idx", "labels", "-o", "x.npz"]).fails(2, &["labels"]);
    std::fs::write(at.join("short"), &images[..20]).unwrap();
    spikec(at, &["data", "idx", "short", "-o", "x.npz"]).fails(2, &["short"]);
    assert!(!at.join("x.npz").exists());
}

#[test]
fn completions_and_help_work() {
    let folder = tempfile::tempdir().unwrap();
    assert!(spikec(folder.path(), &["completions", "bash"]).ok().out.contains("spikec"));
    spikec(folder.path(), &["--help"]).ok();
    spikec(folder.path(), &["frobnicate"]).fails(2, &["frobnicate"]);
}
