//! `spikec compile --layer-bits auto`, on the committed examples: the limit is kept, the bundle verifies, bad input is named.

mod common;

use common::{example, spikec};
use std::path::Path;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["net.nir", "samples.npz"] {
        std::fs::copy(example("mnist-gradr-poisson").join(file), folder.path().join(file)).unwrap();
    }
    folder
}

const COMPILE: [&str; 10] =
    ["compile", "net.nir", "--target", "loihi1", "--input-coding", "spikes", "--effort", "fast", "--layer-bits", "auto"];

fn compile(at: &Path, more: &[&str]) -> common::Run {
    spikec(at, &[&COMPILE[..], more].concat())
}

#[test]
fn a_bundle_keeps_its_limit_and_loses_no_more_than_one_width_for_all() {
    let folder = folder();
    let at = folder.path();
    let limit = 8 * 5000;
    let memory = ["--calibration", "samples.npz", "--memory", "40000"];
    let run = compile(at, &[&memory[..], &["-o", "a.spkb", "--report", "r.json"]].concat()).ok();
    for text in ["spike counts on samples held back", "limit: ", "of 40,000 bytes of synaptic memory", "the next wider choice"] {
        assert!(run.out.contains(text), "no `{text}` in\n{}", run.out);
    }
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(at.join("r.json")).unwrap()).unwrap();
    let widths = &report["widths"];
    let used = widths["limits"][0]["used"].as_u64().unwrap();
    assert!(used <= limit && used > limit * 8 / 10, "{used}");
    assert_eq!(report["memory_words"].as_u64().unwrap() * 8, used);
    // What the report says of each layer is in the bundle.
    let layers = widths["layers"].as_array().unwrap();
    assert_eq!(layers.iter().map(|l| l["words"].as_u64().unwrap()).sum::<u64>(), report["memory_words"].as_u64().unwrap());
    for (layer, quantized) in layers.iter().zip(report["quantization"]["projections"].as_array().unwrap()) {
        assert_eq!((&layer["name"], &layer["bits"]), (&quantized["name"], &quantized["bits"]));
        assert_eq!(layer["tried"].as_array().unwrap().len(), 7, "{layer}");
    }
    // The next wider choice was compiled, and is too large.
    let wider = &widths["next_wider"]["uses"][0];
    assert!(wider["used"].as_u64().unwrap() > limit, "{widths}");
    // As a whole it is no worse than the widest width that fits.
    let candidates = widths["candidates"].as_array().unwrap();
    let distance = |c: &serde_json::Value| c["score"]["distance"].as_f64().unwrap();
    let taken = candidates.iter().find(|c| c["taken"] == true).unwrap();
    let uniform = candidates.iter().find(|c| c["uniform"] == true).unwrap();
    assert!(distance(taken) <= distance(uniform), "{candidates:?}");
    // The image is the network.
    let verdict = spikec(at, &["verify", "net.nir", "a.spkb", "--input", "samples.npz", "--json"]).ok().json();
    assert_eq!(verdict["behaviour"]["equal"], 500);
    assert!(verdict["loss"]["agreement"].as_f64().unwrap() > 0.97, "{}", verdict["loss"]);
    // The same bundle on another number of threads, and with the widths given by name.
    let read = |name: &str| std::fs::read(at.join(name)).unwrap();
    compile(at, &[&memory[..], &["--threads", "3", "-o", "threads.spkb"]].concat()).ok();
    let named: Vec<String> =
        layers.iter().flat_map(|l| ["--layer-bits".into(), format!("{}={}", l["name"].as_str().unwrap(), l["bits"])]).collect();
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    spikec(at, &[&COMPILE[..8], &memory[..2], &named, &["-o", "named.spkb"]].concat()).ok();
    assert!(read("a.spkb") == read("threads.spkb") && read("a.spkb") == read("named.spkb"));
}

#[test]
fn without_samples_weights_are_compared() {
    let folder = folder();
    let at = folder.path();
    let run = compile(at, &["--memory", "40000", "-o", "a.spkb", "--json"]).ok().json();
    let widths = &run["widths"];
    assert_eq!(widths["loss"]["weight-error"]["because"], "no calibration data");
    assert!(run["memory_words"].as_u64().unwrap() <= 5000);
    let candidates = widths["candidates"].as_array().unwrap();
    let of = |flag: &str| candidates.iter().find(|c| c[flag] == true).unwrap()["loss"].as_f64().unwrap();
    assert!(of("taken") <= of("uniform"), "{candidates:?}");
    for layer in widths["layers"].as_array().unwrap() {
        let losses: Vec<f64> = layer["tried"].as_array().unwrap().iter().map(|t| t["loss"].as_f64().unwrap()).collect();
        assert!(losses[0] > losses[6], "{layer}");
    }
    spikec(at, &["verify", "net.nir", "a.spkb", "--input", "samples.npz"]).ok();
    let text = compile(at, &["--memory", "40000", "-o", "a.spkb"]).ok().out;
    assert!(text.contains("squared weight error") && text.contains("no calibration data"), "{text}");
}

#[test]
fn given_widths_stay_and_room_for_everything_is_used() {
    let folder = folder();
    let at = folder.path();
    let run = compile(at, &["--layer-bits", "fc1=3", "--cores", "1", "-o", "a.spkb", "--json"]).ok().json();
    let layers = run["widths"]["layers"].as_array().unwrap();
    let bits = |name: &str| layers.iter().find(|l| l["name"] == name).unwrap()["bits"].as_u64().unwrap();
    assert_eq!((bits("fc1"), bits("fc2")), (3, 8));
    assert!(run["widths"]["next_wider"].is_null());
    // None is wider than the user allows.
    let run = compile(at, &["--weight-bits", "5", "--memory", "1000000", "-o", "a.spkb", "--json"]).ok().json();
    assert_eq!(run["widths"]["widths"], serde_json::json!([1, 2, 3, 4, 5]));
    assert!(run["widths"]["layers"].as_array().unwrap().iter().all(|l| l["bits"] == 5), "{}", run["widths"]);
    // A chip of one width has no choice.
    let nengo = ["compile", "net.nir", "--target", "loihi1_nengo", "--layer-bits", "auto", "--memory", "1000000", "-o", "n.spkb", "--json"];
    assert_eq!(spikec(at, &nengo).ok().json()["widths"]["widths"], serde_json::json!([8]));
}

#[test]
fn words_are_shared_by_the_projections_of_a_net_with_loops() {
    let folder = folder();
    let at = folder.path();
    for file in ["net.ron", "weights.npz"] {
        std::fs::copy(example("recurrent-integers").join(file), at.join(file)).unwrap();
    }
    let report = spikec(at, &["compile", "net.ron", "--target", "loihi1", "--steps", "10", "-o", "r.spkb", "--json"]).ok().json();
    let words: Vec<u64> = report["projection_words"].as_array().unwrap().iter().map(|w| w.as_u64().unwrap()).collect();
    assert_eq!(words.len(), report["quantization"]["projections"].as_array().unwrap().len());
    assert!(words.len() > 2 && words.iter().all(|&w| w > 0), "{words:?}");
    assert_eq!(words.iter().sum::<u64>(), report["memory_words"].as_u64().unwrap());
}

#[test]
fn what_can_not_be_searched_is_named() {
    let folder = folder();
    let at = folder.path();
    let out = ["-o", "a.spkb"];
    let refuse = |more: &[&str], code: i32, says: &[&str]| {
        compile(at, &[more, &out].concat()).fails(code, says);
        assert!(!at.join("a.spkb").exists(), "{more:?} left a file");
    };
    refuse(&[], 2, &["nothing is limited", "--memory", "--cores"]);
    refuse(&["--memory", "8"], 3, &["the widths that take least (fc1=", "bytes of synaptic memory, 8 allowed", "spikec fit"]);
    refuse(&["--cores", "0"], 3, &["use 1 cores, 0 allowed"]);
    refuse(&["--memory", "40000", "--layer-bits", "fc9=3"], 2, &["fc9", "fc1, fc2"]);
    refuse(&["--memory", "40000", "--layer-bits", "fc2=9"], 2, &["9 bits", "1 to 8"]);
    refuse(&["--memory", "40000", "--layer-bits", "fc2=automatic"], 2, &["automatic", "number of bits"]);
    refuse(&["--memory", "x"], 2, &["--memory"]);
    let nengo = ["compile", "net.nir", "--target", "loihi1_nengo", "--layer-bits", "auto", "--memory", "9999", "-o", "a.spkb"];
    spikec(at, &[&nengo[..], &["--weight-bits", "4"]].concat()).fails(2, &["at most 4", "narrowest", "have 8", "--weight-bits 8"]);
    spikec(at, &nengo).fails(3, &["fc1=8, fc2=8", "9999 allowed"]);
    // A limit without the search, and the search in other commands.
    spikec(at, &[&COMPILE[..8], &["--memory", "40000", "-o", "a.spkb"]].concat()).fails(2, &["--memory limits", "--layer-bits auto"]);
    spikec(at, &["check", "net.nir", "--target", "loihi1", "--layer-bits", "auto"]).fails(2, &["only compile searches widths"]);
    let fit = ["fit", "net.nir", "--target", "loihi1", "--input", "samples.npz", "--memory", "9000", "--layer-bits", "auto", "-o", "s.nir"];
    spikec(at, &fit).fails(2, &["only compile searches widths", "--widths"]);
    for file in ["net.ron", "weights.npz"] {
        std::fs::copy(example("recurrent-integers").join(file), at.join(file)).unwrap();
    }
    spikec(at, &["compile", "net.ron", "--target", "loihi1", "--layer-bits", "auto", "--memory", "9000", "-o", "a.spkb"])
        .fails(2, &["chip integers", "--layer-bits auto"]);
}
