//! `spikec fit` from the command line, on the committed example: the budget is kept, the result verifies, bad input is named.

mod common;

use common::{example, spikec};
use spikec_data::{Array, ArrayData, write_npz};
use std::path::Path;

/// A folder with the Poisson-coded example.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["net.nir", "samples.npz"] {
        std::fs::copy(example("mnist-gradr-poisson").join(file), folder.path().join(file)).unwrap();
    }
    folder
}

const FIT: [&str; 7] = ["fit", "net.nir", "--target", "loihi1", "--input-coding", "spikes", "--input"];

fn fit(at: &Path, more: &[&str]) -> common::Run {
    spikec(at, &[&FIT[..], &["samples.npz"], more].concat())
}

#[test]
fn a_network_is_fitted_into_a_tenth_of_its_memory_and_verifies() {
    let folder = folder();
    let at = folder.path();
    let bytes = 8 * 1500;
    let run =
        fit(at, &["--memory", "12000", "--widths", "3/5,2/4s", "-o", "small.nir", "--bundle", "small.spkb", "--report", "r.json"]).ok();
    for text in ["lif1", "budget: ", "bytes of synaptic memory", "same class for", "--trained net.nir"] {
        assert!(run.out.contains(text), "no `{text}` in\n{}", run.out);
    }
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(at.join("r.json")).unwrap()).unwrap();
    let used = report["fit"]["budget"][0]["used"].as_u64().unwrap();
    assert!(used <= bytes && used > bytes * 9 / 10, "{used}");
    assert_eq!(report["compile"]["memory_words"].as_u64().unwrap() * 8, used);
    assert!(report["fit"]["candidates"].as_array().unwrap().len() >= 2);
    let verdict =
        spikec(at, &["verify", "small.nir", "small.spkb", "--trained", "net.nir", "--input", "samples.npz", "--json"]).ok().json();
    assert_eq!(verdict["behaviour"]["equal"], 500);
    assert!(verdict["loss"]["agreement"].as_f64().unwrap() > 0.97, "{}", verdict["loss"]);
    // The network is one like any other.
    let shown = spikec(at, &["inspect", "small.nir"]).ok().out;
    assert!(shown.contains("fc1"), "{shown}");
    spikec(at, &["compile", "small.nir", "--target", "loihi1", "--input-coding", "spikes", "-o", "again.spkb"]).ok();
    // Another network's bundle is not this one's.
    spikec(at, &["verify", "net.nir", "small.spkb"]).fails(1, &["digest"]);
}

/// The network goes on elsewhere: as a model whose arrays hold weights and masks.
#[test]
fn a_fitted_network_is_written_as_a_model_to_be_trained_on() {
    let folder = folder();
    let at = folder.path();
    let budget = ["--synapses", "2000", "--widths", "4"];
    let run = fit(at, &[&budget[..], &["-o", "small.ron", "--bundle", "small.spkb"]].concat()).ok();
    assert!(run.out.contains("small.ron, small.npz, small.spkb written"), "{}", run.out);
    let verdict =
        spikec(at, &["verify", "small.ron", "small.spkb", "--trained", "net.nir", "--input", "samples.npz", "--json"]).ok().json();
    assert_eq!((verdict["behaviour"]["equal"].as_u64(), verdict["image"]["differences"].as_array().map(Vec::len)), (Some(500), Some(0)));
    spikec(at, &["compile", "small.ron", "--target", "loihi1", "--input-coding", "spikes", "-o", "again.spkb"]).ok();
    spikec(at, &["verify", "small.ron", "again.spkb"]).ok();
    // It is the network that NIR holds.
    fit(at, &[&budget[..], &["-o", "small.nir"]].concat()).ok();
    let digest = |file: &str| spikec(at, &["inspect", file, "--json"]).ok().json()["digest"].clone();
    assert_eq!(digest("small.ron"), digest("small.nir"));
    // Weights are (out, in), and the mask says which stay: tuned ones are taken, but none comes back.
    let mut arrays = spikec_data::read_npz(&std::fs::read(at.join("small.npz")).unwrap()).unwrap();
    for (layer, shape) in [("fc1", [800, 784]), ("fc2", [10, 800])] {
        let (weight, mask) = (&arrays[&format!("{layer}.weight")], &arrays[&format!("{layer}.mask")]);
        assert_eq!((&weight.shape[..], &mask.shape[..], mask.dtype_name()), (&shape[..], &shape[..], "bool"));
        let spikec_data::ArrayData::F32(weights) = &weight.data else { panic!("{}", weight.dtype_name()) };
        assert_eq!(weights.iter().map(|w| *w != 0.0).collect::<Vec<_>>(), mask.to_bool().unwrap());
    }
    let kept = |file: &str| spikec(at, &["inspect", file, "--json"]).ok().json()["projections"][1]["weights"].clone();
    let before = kept("small.ron");
    if let Some(spikec_data::ArrayData::F32(w)) = arrays.get_mut("fc2.weight").map(|a| &mut a.data) {
        w.iter_mut().for_each(|w| *w += 0.125);
    }
    let arrays: Vec<_> = arrays.iter().map(|(n, a)| (n.as_str(), a.clone())).collect();
    std::fs::write(at.join("small.npz"), spikec_data::write_npz(&arrays)).unwrap();
    assert_eq!(kept("small.ron"), before);
    spikec(at, &["verify", "small.ron", "small.spkb"]).fails(1, &["digest"]);
    // Another kind of file is refused before the work, and so is one that would be lost.
    let files = std::fs::read_dir(at).unwrap().count();
    fit(at, &[&budget[..], &["-o", "small.h5"]].concat()).fails(2, &["small.h5", "extension `h5`", ".nir", ".ron"]);
    fit(at, &[&budget[..], &["-o", "samples.ron"]].concat()).fails(2, &["samples.npz", "is an input"]);
    fit(at, &[&budget[..], &["-o", "x.ron", "--report", "x.npz"]].concat()).fails(2, &["x.npz", "written twice"]);
    assert_eq!(std::fs::read_dir(at).unwrap().count(), files);
}

#[test]
fn the_same_files_on_any_number_of_threads() {
    let folder = folder();
    let at = folder.path();
    let budget = ["--synapses", "2000", "--widths", "4"];
    for (threads, name) in [("1", "one"), ("3", "three")] {
        let (net, bundle) = (format!("{name}.nir"), format!("{name}.spkb"));
        fit(at, &[&budget[..], &["--threads", threads, "-o", &net, "--bundle", &bundle]].concat()).ok();
    }
    let read = |name: &str| std::fs::read(at.join(name)).unwrap();
    assert!(read("one.nir") == read("three.nir") && read("one.spkb") == read("three.spkb"));
}

#[test]
fn a_frontier_has_a_point_for_each_budget_and_method() {
    let folder = folder();
    let at = folder.path();
    let run =
        fit(at, &["--frontier", "--ladder", "16000,8000,4000", "--test", "samples.npz", "--plot", "f.svg", "--report", "f.json", "--json"])
            .ok();
    let points = run.json();
    let points = points.as_array().unwrap();
    assert_eq!(points.len(), 6);
    for p in points {
        assert!(p["memory_bytes"].as_u64() <= p["allowed_bytes"].as_u64() && p["cores"] == 1, "{p}");
        assert!(p["energy_pj"].as_f64().unwrap() > 0.0 && p["latency_ps"].as_f64().unwrap() > 0.0 && p["accuracy"].is_number(), "{p}");
    }
    // Half the memory, less work; and second order keeps more than magnitude where little is left.
    let agreement = |k: usize| points[k]["agreement"].as_f64().unwrap();
    assert!(agreement(0) >= agreement(2) && agreement(2) > agreement(5) + 0.05, "{points:?}");
    assert!(points[0]["synaptic_ops"].as_f64() > points[2]["synaptic_ops"].as_f64());
    let svg = std::fs::read_to_string(at.join("f.svg")).unwrap();
    assert_eq!(svg.matches("<circle").count(), 6);
}

#[test]
fn what_can_not_be_fitted_is_named() {
    let folder = folder();
    let at = folder.path();
    let out = ["-o", "small.nir"];
    let refuse = |more: &[&str], code: i32, says: &[&str]| {
        fit(at, &[more, &out].concat()).fails(code, says);
        assert!(!at.join("small.nir").exists(), "{more:?} left a file");
    };
    refuse(&[], 2, &["no budget", "--cores"]);
    refuse(&["--cores", "0"], 3, &["cores", "0 allowed"]);
    refuse(&["--memory", "8"], 3, &["the smallest network that still reaches its output takes", "bytes of synaptic memory, 8 allowed"]);
    refuse(&["--cores", "0", "--memory", "18446744073709551615"], 3, &["takes 1 cores, 0 allowed"]);
    refuse(&["--limit", "C01=1", "--keep-dead", "--widths", "3"], 3, &["810 C01 compartments", "1 allowed"]);
    refuse(&["--memory", "9000", "--decoder", "potential"], 2, &["spike counts", "--decoder count"]);
    refuse(&["--limit", "C99=4"], 2, &["C99", "C02"]);
    refuse(&["--memory", "9000", "--widths", "3/9"], 2, &["3/9", "1 to 8"]);
    refuse(&["--memory", "9000", "--balance=-1"], 2, &["balance", "positive"]);
    refuse(&["--memory", "9000", "--frontier"], 2, &["cannot be used with"]);
    spikec(at, &["fit", "net.nir", "--target", "loihi1", "--memory", "9000", "-o", "small.nir"]).fails(2, &["samples", "--input"]);
    // Data of another width, and data without a spike.
    let header = |shape: &str| {
        let mut h = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}");
        while (h.len() + 11) % 64 != 0 {
            h.push(' ');
        }
        h + "\n"
    };
    for (name, shape, count, code, says) in [
        ("narrow.npy", "(20, 8, 5)", 20 * 8 * 5, 2, "has 5 channels"),
        ("silent.npy", "(20, 8, 784)", 20 * 8 * 784, 2, "no spike"),
        ("few.npy", "(3, 8, 784)", 3 * 8 * 784, 2, "3 samples"),
    ] {
        let header = header(shape);
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(std::iter::repeat_n(0u8, count));
        std::fs::write(at.join(name), bytes).unwrap();
        spikec(at, &[&FIT[..], &[name, "--memory", "9000", "-o", "small.nir"]].concat()).fails(code, &[says]);
    }
    std::fs::copy(example("recurrent-integers").join("net.ron"), at.join("net.ron")).unwrap();
    std::fs::copy(example("recurrent-integers").join("weights.npz"), at.join("weights.npz")).unwrap();
    std::fs::copy(example("recurrent-integers").join("samples.npz"), at.join("r.npz")).unwrap();
    spikec(at, &["fit", "net.ron", "--target", "loihi1", "--input", "r.npz", "--memory", "9000", "-o", "small.nir"])
        .fails(2, &["chip integers", "made from"]);
}

/// A convolution whose pooling and matrix are one chain: refused as kernels, fitted synapse by synapse with `--unroll`.
#[test]
fn kernels_and_pooling_are_fitted_synapse_by_synapse() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let floats = |n: usize, by: usize| (0..n).map(|k| ((k * by) % n) as f32 / n as f32 - 0.25).collect();
    let array = |shape: &[usize], by| Array { shape: shape.to_vec(), data: ArrayData::F32(floats(shape.iter().product(), by)) };
    std::fs::write(at.join("a.npz"), write_npz(&[("w", array(&[2, 1, 3, 3], 7)), ("fc", array(&[3, 8], 5))])).unwrap();
    let net = r#"Trained(
    dt: 1.0, convention: "spikingjelly",
    populations: [
        (name: "in", shape: [1, 6, 6], neurons: Input),
        (name: "c", shape: [2, 4, 4], neurons: If(v_threshold: 1.0)),
        (name: "out", shape: [3], neurons: If(v_threshold: 1.0)),
    ],
    projections: [
        (name: "conv", pre: "in", post: "c", chain: [Conv2d(weight: "a.npz:w")]),
        (name: "fc", pre: "c", post: "out", chain: [SumPool2d(kernel: 2), Flatten, Linear(weight: "a.npz:fc")]),
    ],
    output: "out",
)"#;
    std::fs::write(at.join("net.ron"), net).unwrap();
    let random = ["data", "random", "--channels", "36", "--steps", "12", "--rate", "0.3", "--samples", "80", "-o", "in.npz"];
    spikec(at, &random).ok();
    let fit =
        ["fit", "net.ron", "--target", "loihi1", "--input-coding", "spikes", "--steps", "12", "--input", "in.npz", "--synapses", "150"];
    spikec(at, &[&fit[..], &["-o", "small.ron"]].concat()).fails(2, &["SumPool2d", "--unroll"]);
    spikec(at, &[&fit[..], &["--unroll", "--widths", "8", "-o", "small.ron", "--bundle", "small.spkb"]].concat()).ok();
    let verdict = spikec(at, &["verify", "small.ron", "small.spkb", "--trained", "net.ron", "--input", "in.npz", "--json"]).ok().json();
    assert_eq!(verdict["behaviour"]["equal"], 80);
    assert!(verdict["loss"]["agreement"].as_f64().unwrap() > 0.5, "{}", verdict["loss"]);
    // NIR holds it as well.
    spikec(at, &[&fit[..], &["--unroll", "--widths", "8", "-o", "small.nir", "--bundle", "nir.spkb"]].concat()).ok();
    spikec(at, &["verify", "small.nir", "nir.spkb", "--input", "in.npz"]).ok();
    for file in ["small.ron", "small.nir"] {
        let shown = spikec(at, &["inspect", file, "--json"]).ok().json();
        let kept: u64 = (0..2).map(|k| shown["projections"][k]["weights"].as_u64().unwrap()).sum();
        assert!((100..=150).contains(&kept), "{}", shown["projections"]);
    }
}
