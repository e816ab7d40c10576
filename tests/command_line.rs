//! The command line from outside: exit codes, errors, outputs that are whole or not there, determinism.

mod common;

use common::{compiled, example, spikec};
use std::path::Path;

/// A model in registers: one input channel into two neurons with these keys, by these synapses.
fn registers(neuron: &str, synapses: &str, more_projections: &str) -> String {
    format!(
        "Registers(
            inputs: [(name: \"in\", n: 1)],
            populations: [(name: \"a\", shape: [2], decay_u: 4096, decay_v: 128, {neuron})],
            projections: [(pre: \"in\", post: \"a\", sign_mode: mixed, synapses: {synapses}), {more_projections}],
            output: \"a\",
        )"
    )
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
fn a_renamed_network_is_the_same_network() {
    let folder = compiled();
    let at = folder.path();
    std::fs::copy(at.join("net.nir"), at.join("renamed.nir")).unwrap();
    spikec(at, &["verify", "renamed.nir", "net.spkb"]).ok();
}

#[test]
#[cfg(unix)]
fn outputs_replace_nothing_but_old_outputs() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    let folder = compiled();
    let at = folder.path();
    let compile = |out: &str, more: &[&str]| spikec(at, &[&["compile", "net.nir", "--target", "loihi1", "-o", out], more].concat());
    // Inputs and other outputs, also by another way.
    symlink("net.nir", at.join("link.nir")).unwrap();
    std::fs::create_dir(at.join("d")).unwrap();
    for out in ["net.nir", "./d/../net.nir", "link.nir"] {
        compile(out, &[]).fails(2, &[out, "input"]);
    }
    compile("a.spkb", &["--report", "./a.spkb"]).fails(2, &["./a.spkb", "twice"]);
    compile("samples.npz", &["--calibration", "samples.npz"]).fails(2, &["samples.npz", "input"]);
    spikec(at, &["simulate", "net.spkb", "--input", "samples.npz", "-o", "net.spkb"]).fails(2, &["net.spkb", "input"]);
    spikec(at, &["data", "idx", "net.spkb", "-o", "net.spkb"]).fails(2, &["net.spkb", "input"]);
    // Arrays beside a model are inputs too.
    std::fs::create_dir(at.join("m")).unwrap();
    let weights = spikec_data::Array { shape: vec![2, 1], data: spikec_data::ArrayData::I64(vec![64, -64]) };
    std::fs::write(at.join("m/arrays.npz"), spikec_data::write_npz(&[("w", weights)])).unwrap();
    std::fs::write(at.join("m/model.ron"), registers("threshold: 10", "Dense(weight: \"arrays.npz:w\", delay: 0)", "")).unwrap();
    spikec(at, &["compile", "m/model.ron", "--target", "loihi1", "-o", "m/x.spkb"]).ok();
    let arrays = std::fs::read(at.join("m/arrays.npz")).unwrap();
    spikec(at, &["compile", "m/model.ron", "--target", "loihi1", "-o", "m/arrays.npz"]).fails(2, &["m/arrays.npz", "input"]);
    assert!(std::fs::read(at.join("m/arrays.npz")).unwrap() == arrays);
    // Folders, pipes and devices.
    compile("d", &[]).fails(2, &["d: can't be written", "folder"]);
    assert!(std::process::Command::new("mkfifo").arg(at.join("pipe")).status().unwrap().success());
    compile("pipe", &[]).fails(2, &["pipe", "regular file"]);
    assert!(std::fs::metadata(at.join("pipe")).unwrap().file_type().is_fifo());
    compile("/dev/null", &[]).fails(2, &["/dev/null", "regular file"]);
    // A link stays, and what it names is written, also when nothing is there yet.
    symlink("d/real.spkb", at.join("link.spkb")).unwrap();
    compile("link.spkb", &[]).ok();
    compile("link.spkb", &[]).ok();
    assert!(at.join("link.spkb").is_symlink() && at.join("d/real.spkb").is_file());
    symlink("around", at.join("around")).unwrap();
    compile("around", &[]).fails(2, &["around", "links"]);
    // The temporary file's name is nobody's business.
    let failed = compile("no/such/x.spkb", &[]).fails(2, &["its folder does not exist"]);
    assert!(!failed.err.contains(".spikec-"), "{}", failed.err);
}

#[test]
fn absurd_and_idle_options_are_usage_errors() {
    let folder = compiled();
    let at = folder.path();
    spikec(at, &["inspect", "net.spkb", "--threads", "65535"]).fails(2, &["65535", "1024"]);
    spikec(at, &["inspect", "net.spkb", "--threads", "64"]).ok();
    spikec(at, &["verify", "net.nir", "net.spkb", "--samples", "5"]).fails(2, &["--input"]);
    spikec(at, &["verify", "net.nir", "net.spkb", "--steps", "5"]).fails(2, &["--input"]);
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
    for (name, labels) in [("high.npz", vec![3, 10]), ("low.npz", vec![9, -1])] {
        let spikes = array(&[2, 1, 784], Bool(vec![true; 2 * 784]));
        let label = labels[1].to_string();
        write(name, &[("spikes", spikes), ("labels", array(&[2], I64(labels)))]);
        for command in [&["simulate", "net.spkb"][..], &["verify", "net.nir", "net.spkb"]] {
            spikec(at, &[command, &["--input", name]].concat()).fails(2, &[name, "sample 1", &label, "0 to 9"]);
        }
    }
    write("narrow_values.npz", &[("values", array(&[1, 3], F32(vec![0.5; 3])))]);
    for command in [&["check"][..], &["compile", "-o", "x.spkb"]] {
        let more = ["net.nir", "--target", "loihi1", "--calibration", "narrow_values.npz"];
        spikec(at, &[command, &more].concat()).fails(2, &["narrow_values.npz", "3 channels", "784"]);
    }
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
fn check_explains_why_not_one_core_less() {
    let folder = compiled();
    let at = folder.path();
    let explained = spikec(at, &["check", "net.nir", "--target", "loihi1", "--explain"]).ok();
    for part in ["lower bound by", "all cores together", "why not one core less:"] {
        assert!(explained.out.contains(part), "{}", explained.out);
    }
    let found = spikec(at, &["check", "net.nir", "--target", "loihi1", "--explain", "--json"]).json();
    let (cores, best) = (found["certificate"]["cores"].as_u64(), found["certificate"]["certificate"]["best"].as_u64());
    assert!(best >= Some(1) && best <= cores, "{found}");
    assert!(spikec(at, &["check", "net.nir", "--target", "loihi1", "--json"]).json().get("certificate").is_none());
}

#[test]
fn check_lists_the_findings_of_every_stage_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut small = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../targets/loihi1.ron")).unwrap();
    for key in ["width", "height", "cores_per_router", "compartments", "update_group"] {
        let from = small.find(&format!("{key}: (value: ")).unwrap() + key.len() + 9;
        let to = from + small[from..].find(',').unwrap();
        small.replace_range(from..to, " 1");
    }
    std::fs::write(at.join("small.ron"), small).unwrap();
    // A delay (C11), a weight exponent (C12), a threshold (C13) and two neurons for one compartment (C16).
    let more = |name: &str, exponent: i32, delay: u32| {
        format!(
            "(pre: \"in\", post: \"a\", name: \"{name}\", weight_exponent: {exponent},
              synapses: Coo(pre_index: [0], post_index: [0], weight: [64], delay: {delay}))"
        )
    };
    let synapses = "Coo(pre_index: [0, 0], post_index: [0, 1], weight: [64, -64])";
    let net = registers("threshold: 200000", synapses, &format!("{}, {}", more("late", 0, 99), more("exponent", -8, 0)));
    std::fs::write(at.join("net.ron"), net).unwrap();
    let check = spikec(at, &["check", "net.ron", "--target", "small.ron"]).fails(3, &["C11", "C12", "C13", "C16", "does not fit"]);
    let order: Vec<&str> = check.out.lines().filter_map(|l| l.trim().strip_prefix("error ")).map(|l| &l[..3]).collect();
    assert!(order.is_sorted() && order.len() >= 4, "{}", check.out);
    let found = spikec(at, &["check", "net.ron", "--target", "small.ron", "--json"]).json();
    let failed = spikec(at, &["compile", "net.ron", "--target", "small.ron", "-o", "x.spkb", "--json"]).fails(3, &["net.ron"]);
    let errors: Vec<_> = found["findings"].as_array().unwrap().iter().filter(|f| f["severity"] == "error").cloned().collect();
    assert_eq!(failed.json()["findings"].as_array().unwrap(), &errors);
    assert!(errors.iter().any(|f| f["code"] == "C11" && f["layer"] == "late"), "{errors:?}");
    // People read each of them once.
    let failed = spikec(at, &["compile", "net.ron", "--target", "small.ron", "-o", "x.spkb"]).fails(3, &["net.ron: does not fit"]);
    assert_eq!(failed.err.matches("late: delay register").count(), 1, "{}", failed.err);
    assert!(!at.join("x.spkb").exists());
    let failed = spikec(at, &["compile", "nowhere.ron", "--target", "loihi1", "-o", "x.spkb", "--json"]).fails(2, &["nowhere.ron"]);
    assert_eq!(failed.json()["findings"], serde_json::json!([]));

    // Soft reset, loops without delay and neurons that no register holds are findings too.
    let lif = "If(r: 1.0, v_threshold: [1.0, 0.0], v_reset: 0.0)";
    let trained = format!(
        "Trained(dt: 1.0, reset: Subtract,
            populations: [(name: \"in\", shape: [1], neurons: Input), (name: \"a\", shape: [2], neurons: {lif}), (name: \"b\", shape: [2], neurons: {lif})],
            projections: [
                (pre: \"in\", post: \"a\", chain: [Linear(weight: [1, 1])]),
                (pre: \"a\", post: \"b\", chain: [Linear(weight: [1, 1, 1, 1])]),
                (pre: \"b\", post: \"a\", chain: [Linear(weight: [1, 1, 1, 1])], delay: 1),
            ],
            output: \"b\")"
    );
    std::fs::write(at.join("soft.ron"), trained).unwrap();
    let says = ["soft.ron", "loop b -[b -> a]-> a -[a -> b]-> b", "soft reset", "threshold above the reset potential, neuron 1"];
    spikec(at, &["check", "soft.ron", "--target", "loihi1"]).fails(3, &says[1..]);
    spikec(at, &["compile", "soft.ron", "--target", "loihi1", "-o", "x.spkb"]).fails(3, &says);
    // Errors that are no findings name the file.
    let nothing = registers("threshold: 10", "Coo(pre_index: [], post_index: [], weight: [])", "");
    std::fs::write(at.join("nothing.ron"), nothing).unwrap();
    spikec(at, &["compile", "nothing.ron", "--target", "loihi1", "-o", "x.spkb"])
        .fails(2, &["nothing.ron: no neuron of the output", "--keep-dead"]);
}

#[test]
fn a_bundle_remembers_the_options_and_verifies_without_a_word() {
    let folder = compiled();
    let at = folder.path();
    let more = ["--keep-dead", "--steps", "5", "--calibration", "samples.npz"];
    spikec(at, &[&["compile", "net.nir", "--target", "loihi1", "-o", "x.spkb"][..], &more].concat()).ok();
    let shown = spikec(at, &["inspect", "x.spkb"]).ok().out;
    for option in ["(\"steps\", \"5\")", "(\"keep-dead\", \"true\")", "(\"calibration\", \""] {
        assert!(shown.contains(option), "no {option} in {shown}");
    }
    assert_eq!(spikec(at, &["verify", "net.nir", "x.spkb"]).ok().err, "");
    std::fs::write(at.join("r.ron"), registers("threshold: 10", "Coo(pre_index: [0], post_index: [0], weight: [64])", "")).unwrap();
    let other = spikec(at, &["verify", "r.ron", "x.spkb"]).fails(2, &["registers"]);
    assert!(!other.err.contains("warning"), "{}", other.err);
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
    spikec(at, &["data", "idx", "images", "--samples", "0", "-o", "x.npz"]).fails(2, &["--samples 0"]);
    // A file of one light pixel an image, and more images and steps than can be read back.
    let many = [&[0, 0, 8, 3, 0, 0, 0x20, 0, 0, 0, 0, 1, 0, 0, 0, 1][..], &vec![1; 0x2000]].concat();
    std::fs::write(at.join("many"), many).unwrap();
    let absurd = spikec(at, &["data", "idx", "many", "--coding", "poisson", "--steps", "100000", "-o", "x.npz"]);
    absurd.fails(2, &["x.npz", "8192 samples of 100000 steps", "--steps"]);
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

#[test]
#[cfg(unix)]
fn endless_files_and_names_with_escapes_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    spikec(at, &["inspect", "/dev/zero"]).fails(2, &["/dev/zero", "is a device", "expected a file"]);
    std::fs::copy(example("mnist-gradr-poisson").join("net.nir"), at.join("a\u{1b}[31mb.nir")).unwrap();
    let run = spikec(at, &["inspect", "a\u{1b}[31mb.nir"]).ok();
    assert!(!run.out.contains('\u{1b}') && run.out.contains("\\u{1b}[31m"), "{}", run.out);
    let run = spikec(at, &["inspect", "no\u{1b}[31m.nir"]).fails(2, &["\\u{1b}"]);
    assert!(!run.err.contains('\u{1b}'), "{}", run.err);
}

#[test]
fn a_bundle_says_that_edges_were_repaired() {
    let Some(shared) = spikec_testkit::shared_dir() else { return eprintln!("skipped: no shared folder") };
    let net = shared.join("nets/nir_paper/braille_noDelay_bias_zero_subgraph.nir");
    let folder = tempfile::tempdir().unwrap();
    let net = net.to_str().unwrap();
    let compile = ["compile", net, "--dt", "1e-4", "--target", "loihi1", "-o", "b.spkb"];
    let refused = spikec(folder.path(), &compile);
    assert!(refused.code == 2 && refused.err.contains("--repair-edges"), "{}", refused.err);
    spikec(folder.path(), &[&compile[..], &["--repair-edges"]].concat()).ok();
    spikec(folder.path(), &["verify", net, "b.spkb"]).ok();
}
