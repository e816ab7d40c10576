//! `spikec train`, from files to a network that compiles and verifies; kills and resumes.

use assert_cmd::cargo::CommandCargoExt;
use std::path::Path;
use std::process::{Command, Output};

/// A file of bytes.
fn idx(shape: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, shape.len() as u8];
    shape.iter().for_each(|d| file.extend(d.to_be_bytes()));
    [file, bytes.to_vec()].concat()
}

/// Images of 8 x 8 whose bright quarter is their class, with noise; IDX files in `folder`.
fn data(folder: &Path, n: usize) {
    let mut state = 7u64;
    let mut random = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize
    };
    for name in ["train", "test"] {
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        for _ in 0..n {
            let class = random() % 4;
            labels.push(class as u8);
            for pixel in 0..64 {
                let quarter = pixel / 32 * 2 + pixel % 8 / 4;
                let lit = random() % 100 < if quarter == class { 70 } else { 12 };
                images.push(if lit { 100 + (random() % 156) as u8 } else { 0 });
            }
        }
        std::fs::write(folder.join(format!("{name}.images")), idx(&[n as u32, 8, 8], &images)).unwrap();
        std::fs::write(folder.join(format!("{name}.labels")), idx(&[n as u32], &labels)).unwrap();
    }
}

const MLP: &str = "Linear(outputs: 40), Lif(), Linear(outputs: 4), Lif()";

fn recipe(encoder: &str, layers: &str, rest: &str) -> String {
    format!(
        "(name: \"quarters\", steps: 8, batch: 32, epochs: 4, data: (train: Idx(images: \"train.images\", labels: \"train.labels\"), \
         test: Idx(images: \"test.images\", labels: \"test.labels\"), validation: 50, encoder: {encoder}, augment: (shift: 0.05)), \
         layers: [{layers}], optimizer: Adam(lr: 0.005), {rest})"
    )
}

fn spikec(folder: &Path, arguments: &[&str]) -> Output {
    Command::cargo_bin("spikec").unwrap().current_dir(folder).args(arguments).output().unwrap()
}

#[track_caller]
fn good(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn train(folder: &Path, recipe: &str, net: &str, more: &[&str]) -> Output {
    std::fs::write(folder.join("recipe.ron"), recipe).unwrap();
    spikec(folder, &[&["train", "recipe.ron", "-o", net], more].concat())
}

/// What must not depend on when a run was stopped, nor on the number of threads.
const KEPT: [&str; 8] =
    ["metrics.jsonl", "checkpoint", "best.checkpoint", "best.nir", "best.safetensors", "last.nir", "last.safetensors", "result.json"];

fn same(folder: &Path, one: &str, other: &str) {
    for file in KEPT {
        let read = |run: &str| {
            let text = std::fs::read(folder.join(format!("{run}.run")).join(file)).unwrap();
            if file == "result.json" { String::from_utf8(text).unwrap().replace(run, "").into_bytes() } else { text }
        };
        assert!(read(one) == read(other), "{file} of {one} and {other} differ");
    }
    let net = |name: &str| std::fs::read(folder.join(format!("{name}.nir"))).unwrap();
    assert!(net(one) == net(other), "networks of {one} and {other} differ");
}

#[test]
fn from_files_to_a_verified_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    data(folder, 600);
    let conv = "Conv(outputs: 6, padding: 1), BatchNorm, Lif(), Pool(kind: Max, kernel: 2), Conv(outputs: 8, bias: true), If(), Pool(kind: Average, kernel: 2), Dropout(0.1), Linear(outputs: 4), Lif()";
    let norms = "Linear(outputs: 40), BatchNorm, Lif(), Linear(outputs: 8, bias: true), Lif()";
    for (name, net, encoder, coding, layers, rest) in [
        (
            "direct",
            "direct.nir",
            "Direct(mean: 0.2, std: 0.4)",
            "direct",
            MLP,
            "sparsity: GradR(target: Connectivity(0.3), penalty: 0.2, steer: 2, settle: 1)",
        ),
        ("poisson", "poisson.nir", "Poisson(seed: 4)", "poisson", MLP, "sparsity: DeepR(target: Synapses(700))"),
        (
            "latency",
            "latency.nir",
            "Latency()",
            "latency",
            norms,
            "vote: 2, loss: CrossEntropyCount, sparsity: Magnitude(target: Connectivity(0.4), until: 3, every: 10)",
        ),
        (
            "conv",
            "conv.ron",
            "Poisson(seed: 4)",
            "poisson",
            conv,
            "sparsity: GradR(target: Connectivity(0.5), penalty: 0.2, steer: 2, settle: 1)",
        ),
    ] {
        let out = good(&train(folder, &recipe(encoder, layers, rest).replace("epochs: 4", "epochs: 12"), net, &[]));
        let accuracy: f64 = out.split("test accuracy ").nth(1).and_then(|t| t.split(' ').next()).unwrap().parse().unwrap();
        assert!(accuracy > 80.0, "{name}: {out}");
        let test = format!("{name}-test.npz");
        good(&spikec(
            folder,
            &[
                "data",
                "idx",
                "test.images",
                "--labels",
                "test.labels",
                "--coding",
                coding,
                "--mean",
                "0.2",
                "--std",
                "0.4",
                "--seed",
                "4",
                "--steps",
                "8",
                "-o",
                &test,
            ],
        ));
        let kind = if coding == "direct" { "bias" } else { "spikes" };
        let decoder = if name == "latency" { "vote:2" } else { "count" };
        let compiled = spikec(
            folder,
            &["compile", net, "--target", "loihi1", "--input-coding", kind, "--decoder", decoder, "--steps", "8", "-o", "net.spkb"],
        );
        good(&compiled);
        let verified = good(&spikec(folder, &["verify", net, "net.spkb", "--input", &test]));
        // The float network, read back and run by the reference interpreter, answers as the trained one did.
        let float = verified.split("accuracy: float ").nth(1).and_then(|t| t.split(' ').next()).unwrap_or_else(|| panic!("{verified}"));
        assert!((float.parse::<f64>().unwrap() - accuracy).abs() < 0.4, "{name}: trained {accuracy}, {verified}");
    }
}

#[test]
fn a_killed_run_goes_on_as_if_it_had_not_been() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    data(folder, 600);
    let layers = "Linear(outputs: 600), BatchNorm, Lif(), Dropout(0.2), Linear(outputs: 4), Lif()";
    for (method, rest) in [
        ("grid", "GradR(target: Connectivity(0.2), penalty: 0.1, steer: 2, settle: 1), quantize: (bits: 4, from: 3)"),
        ("gradr", "GradR(target: Connectivity(0.2), penalty: 0.1, steer: 2, settle: 1)"),
        ("deepr", "DeepR(target: Connectivity(0.2), temperature: 1e-4)"),
        ("soft-deepr", "SoftDeepR(start: 0.5, penalty: 0.01, temperature: 1e-4)"),
        ("magnitude", "Magnitude(target: Connectivity(0.2), until: 3, every: 5)"),
        ("stds", "Stds(target: Connectivity(0.2), until: 3, every: 5)"),
    ] {
        let text = recipe("Poisson(seed: 4)", layers, &format!("checkpoint_steps: 3, schedule: Cosine(), sparsity: {rest}"))
            .replace("epochs: 4", "epochs: 6");
        let text = if method == "grid" { text.replace("BatchNorm, ", "") } else { text };
        let (whole, cut) = (format!("{method}-whole"), format!("{method}-cut"));
        good(&train(folder, &text, &format!("{whole}.nir"), &["--threads", "1"]));
        let (mut kills, mut said) = (0, String::new());
        for k in 0..200 {
            let more: &[&str] = if folder.join(format!("{cut}.run")).exists() { &["--resume"] } else { &[] };
            let mut child = Command::cargo_bin("spikec")
                .unwrap()
                .current_dir(folder)
                .args(["train", "recipe.ron", "-o", &format!("{cut}.nir"), "--threads", "2"])
                .args(more)
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            // At other places each time; longer and longer, so that it ends.
            std::thread::sleep(std::time::Duration::from_millis(60 + 45 * k));
            match child.try_wait().unwrap() {
                Some(_) => {
                    let out = child.wait_with_output().unwrap();
                    good(&out);
                    said += &String::from_utf8_lossy(&out.stderr);
                    break;
                }
                None => {
                    child.kill().unwrap();
                    said += &String::from_utf8_lossy(&child.wait_with_output().unwrap().stderr);
                    kills += 1;
                }
            }
        }
        assert!(kills > 0, "{method}: the run was never killed");
        assert!(said.contains("resumed after epoch"), "{method}: no run went on from a checkpoint\n{said}");
        same(folder, &whole, &cut);
    }
}

/// The packer in the loop: the network that is taken keeps the budget when it is compiled, and fills most of it.
#[test]
fn a_network_is_trained_into_a_budget() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    data(folder, 600);
    let soft = "Linear(outputs: 40), If(reset: Soft), Linear(outputs: 4), If(reset: Soft)";
    for (name, layers, budget, words) in
        [("words", MLP, "memory: 90", 90), ("core", MLP, "cores: 1, memory: 200, weight_bits: 4", 200), ("soft", soft, "memory: 120", 120)]
    {
        let target = format!("Budget(target: \"loihi1\", {budget})");
        let rest = format!("sparsity: GradR(target: {target}, penalty: 0.2, steer: 12, settle: 6)");
        let text = recipe("Poisson(seed: 4)", layers, &rest).replace("epochs: 4", "epochs: 24");
        let net = format!("{name}.nir");
        let out = good(&train(folder, &text, &net, &[]));
        let result: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.join(format!("{name}.run/result.json"))).unwrap()).unwrap();
        assert_eq!(result["meets_target"], true, "{out}");
        let command = out.split("next: spikec ").nth(1).unwrap().trim().replace("OUT.spkb", "net.spkb");
        good(&spikec(folder, &[&command.split(' ').collect::<Vec<_>>()[..], &["--report", "report.json"]].concat()));
        let report: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.join("report.json")).unwrap()).unwrap();
        let found = report["memory_words"].as_u64().unwrap();
        assert_eq!(Some(found), result["budget"]["words"].as_u64(), "the words that were counted are those of the bundle");
        assert_eq!(report["cores"], 1);
        assert!(found <= words && found > words / 2, "{found} of {words}\n{out}");
        assert!(result["test_accuracy"].as_f64().unwrap() > 0.8, "{out}");
    }
}

/// Weights that learned on a grid are the chip's integers: nothing is rounded again.
#[test]
fn weights_on_a_grid_compile_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    data(folder, 600);
    for (bits, levels) in [(4u32, 7), (3, 3)] {
        let rest =
            format!("quantize: (bits: {bits}, from: 8), sparsity: GradR(target: Connectivity(0.3), penalty: 0.2, steer: 4, settle: 4)");
        let text = recipe("Poisson(seed: 4)", MLP, &rest).replace("epochs: 4", "epochs: 16");
        let net = format!("grid{bits}.nir");
        let out = good(&train(folder, &text, &net, &[]));
        let command = out.split("next: spikec ").nth(1).unwrap().trim().replace("OUT.spkb", "net.spkb");
        assert!(command.contains(&format!("--weight-bits {bits}")), "{command}");
        good(&spikec(folder, &[&command.split(' ').collect::<Vec<_>>()[..], &["--report", "report.json"]].concat()));
        let report: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.join("report.json")).unwrap()).unwrap();
        let layers = report["quantization"]["projections"].as_array().unwrap();
        assert_eq!(layers.len(), 2);
        for layer in layers {
            let number = |key: &str| layer[key].as_f64().unwrap_or_else(|| panic!("{key}: {layer}"));
            // Steps to each side, half of 0.1 % of which is the threshold's rounding.
            assert!(number("max_error_steps") < f64::from(levels) * 1e-3, "{layer}");
            assert!(number("vanished") == 0.0 && number("clipped") == 0.0 && number("bits") == f64::from(bits), "{layer}");
        }
        let accuracy: f64 = out.split("test accuracy ").nth(1).and_then(|t| t.split(' ').next()).unwrap().parse().unwrap();
        assert!(accuracy > 80.0, "{out}");
    }
}

/// A pruned network is trained on: its zeros stay, and the grid takes the rest; a network of other layers is refused.
#[test]
fn a_network_is_trained_on_with_its_zeros() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    data(folder, 600);
    let sparse = "sparsity: GradR(target: Connectivity(0.3), penalty: 0.2, steer: 2, settle: 1)";
    good(&train(folder, &recipe("Poisson(seed: 4)", MLP, sparse), "first.nir", &[]));
    let on = "start: \"first.nir\", sparsity: Keep, quantize: (bits: 4, layers: {\"fc1\": 3, \"fc2\": 5}, from: 1)";
    let out = good(&train(folder, &recipe("Poisson(seed: 4)", MLP, on), "on.nir", &[]));
    let command = out.split("next: spikec ").nth(1).unwrap().trim().replace("OUT.spkb", "net.spkb");
    assert!(command.contains("--weight-bits 4") && command.contains("fc1=3") && command.contains("--layer-bits fc2=5"), "{command}");
    good(&spikec(folder, &[&command.split(' ').collect::<Vec<_>>()[..], &["--report", "report.json"]].concat()));
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.join("report.json")).unwrap()).unwrap();
    for (k, bits) in [3, 5].into_iter().enumerate() {
        let layer = &report["quantization"]["projections"][k];
        assert!(layer["bits"] == bits && layer["max_error_steps"].as_f64().unwrap() < 0.02, "{layer}");
    }
    let mask = |run: &str| {
        let bytes = std::fs::read(folder.join(format!("{run}.run/best.safetensors"))).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        ["fc1.mask", "fc2.mask"].map(|name| file.tensor(name).unwrap().data().to_vec()).concat()
    };
    let (first, then) = (mask("first"), mask("on"));
    assert!(first.iter().zip(&then).all(|(a, b)| a >= b), "what was pruned is back");
    let count = |m: &[u8]| m.iter().filter(|b| **b != 0).count();
    assert!(2 * count(&then) > count(&first), "{} of {} synapses", count(&then), count(&first));
    // It can be pruned on; without a step of training it is what it was.
    let less = "start: \"first.nir\", sparsity: Magnitude(target: Connectivity(0.1), until: 2, every: 4)";
    good(&train(folder, &recipe("Poisson(seed: 4)", MLP, less), "less.nir", &[]));
    assert!(count(&mask("less")) < count(&first) / 2);
    let still = recipe("Poisson(seed: 4)", MLP, "start: \"first.nir\", sparsity: Keep").replace("lr: 0.005", "lr: 0.0");
    good(&train(folder, &still, "still.nir", &[]));
    let accuracy = |run: &str| {
        let text = std::fs::read(folder.join(format!("{run}.run/result.json"))).unwrap();
        serde_json::from_slice::<serde_json::Value>(&text).unwrap()["test_accuracy"].as_f64().unwrap()
    };
    assert_eq!(accuracy("still"), accuracy("first"));
    let fails = |rest: &str, layers: &str, words: &[&str]| {
        let said = train(folder, &recipe("Poisson(seed: 4)", layers, rest), "bad.nir", &[]);
        let error = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.status.code() == Some(2) && words.iter().all(|w| error.contains(w)), "{error}");
        assert!(!folder.join("bad.nir").exists() && !folder.join("bad.run").exists());
    };
    fails("sparsity: Keep", MLP, &["Keep without start"]);
    fails(
        "start: \"first.nir\", sparsity: DeepR(target: Connectivity(0.3))",
        MLP,
        &["`start`", "rewires", "Keep, Magnitude, Stds or Dense"],
    );
    fails(on, &MLP.replace("40", "41"), &["`start` is a matrix of 40 x", "expected a matrix of 41 x"]);
    fails(on, &MLP.replace(", Linear(outputs: 4), Lif()", ""), &["a network of 2 matrices, expected 1"]);
    fails(&on.replace("first.nir", "none.nir"), MLP, &["none.nir"]);
    fails(&on.replace("fc2", "fc9"), MLP, &["`quantize.layers` is fc9, expected one of fc1, fc2"]);
    std::fs::write(folder.join("cut.nir"), &std::fs::read(folder.join("first.nir")).unwrap()[..3000]).unwrap();
    fails(&on.replace("first.nir", "cut.nir"), MLP, &["cut.nir"]);
}

#[test]
fn what_is_wrong_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    data(folder, 60);
    std::fs::write(folder.join("wide.images"), idx(&[60, 8, 9], &[7; 60 * 72])).unwrap();
    std::fs::write(folder.join("more.labels"), idx(&[60], &[7; 60])).unwrap();
    let text = recipe("Direct()", MLP, "sparsity: Dense").replace("validation: 50", "validation: 5");
    let fails = |text: &str, net: &str, more: &[&str], words: &[&str]| {
        let out = train(folder, text, net, more);
        let error = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(2), "{error}");
        assert!(words.iter().all(|w| error.contains(w)), "{words:?}: {error}");
        assert!(!error.contains("panicked"));
    };
    for (from, to, words) in [
        ("steps: 8", "stepps: 8", &["recipe.ron", "stepps", "steps"][..]),
        ("sparsity: Dense", "sparsity: GradR(target: Synapses(99999999))", &["sparsity.target", "99999999", "hint"]),
        ("train.images", "no.images", &["no.images", "can't be read"]),
        ("train.labels", "test.images", &["labels"]),
        ("validation: 5", "validation: 60", &["data.validation", "60"]),
        ("Linear(outputs: 4)", "Linear(outputs: 3)", &["3 outputs", "4"]),
        ("encoder: Direct()", "encoder: Direct(std: -1.0)", &["data.encoder.std"]),
        ("lr: 0.005", "lr: 1e999", &["optimizer.lr"]),
        ("test.images", "none.images", &["none.images", "can't be read"]),
        ("test.images", "wide.images", &["data.test", "8, 9", "8, 8", "same data"]),
        ("test.labels", "more.labels", &["data.test", "in 8 classes", "in 4 classes"]),
        ("batch: 32", "batch: 32, memory_gib: 0.0001", &["memory_gib", "0.0001", "at least", "batch (32)"]),
        ("Linear(outputs: 40)", "Conv(outputs: 4, stride: 4294967297)", &["layers[0].stride", "4294967297"]),
    ] {
        assert!(text.contains(from), "{from}");
        fails(&text.replace(from, to), "a.nir", &[], words);
    }
    let steered = "penalty: 0.1, steer: 2";
    for (sparsity, words) in [
        (format!("GradR(target: Budget(target: \"loihi9\", cores: 1), {steered})"), &["loihi9"][..]),
        (format!("GradR(target: Budget(target: \"tinyodin\", cores: 1), {steered})"), &["tinyodin", "family", "Packed"]),
        (format!("GradR(target: Budget(target: \"loihi1\", cores: 0), {steered})"), &["sparsity.target.cores", "0"]),
        (format!("GradR(target: Budget(target: \"loihi1\", cores: 129), {steered})"), &["sparsity.target.cores", "129", "128"]),
        (
            format!("GradR(target: Budget(target: \"loihi1\", cores: 1, weight_bits: 9), {steered})"),
            &["loihi1", "found 9", "sparsity.target.weight_bits"],
        ),
        (format!("GradR(target: Budget(target: \"loihi1\"), {steered})"), &["sparsity.target", "cores or memory"]),
        (format!("GradR(target: Budget(target: \"loihi1\", cores: 1, chips: 1), {steered})"), &["chips", "cores"]),
        ("GradR(target: Budget(target: \"loihi1\", cores: 1))".into(), &["sparsity.steer", "0"]),
        ("DeepR(target: Budget(target: \"loihi1\", cores: 1))".into(), &["DeepR", "GradR"]),
        ("Magnitude(target: Budget(target: \"loihi1\", cores: 1), until: 2)".into(), &["Magnitude", "GradR"]),
        ("Stds(target: Budget(target: \"loihi1\", cores: 1), until: 2)".into(), &["Stds", "GradR"]),
    ] {
        let text = text.replace("sparsity: Dense", &format!("sparsity: {sparsity}"));
        fails(&text.replace("Direct()", "Poisson()"), "a.nir", &[], words);
    }
    let budget = format!("sparsity: GradR(target: Budget(target: \"loihi1\", cores: 1), {steered})");
    fails(&text.replace("sparsity: Dense", &budget), "a.nir", &[], &["data.encoder", "Poisson"]);
    assert!(!folder.join("a.run").exists(), "a run that can't start leaves no folder");
    let max = text.replace("Linear(outputs: 40)", "Conv(outputs: 4)").replace("Lif(), Linear", "Lif(), Pool(kind: Max, kernel: 2), Linear");
    fails(&max, "a.nir", &[], &["NIR", "OR"]);
    fails(&text, "a.xyz", &[], &["xyz"]);
    fails(&text, "a.nir", &["--resume"], &["nothing to resume"]);
    good(&train(folder, &text, "a.nir", &[]));
    fails(&text, "a.nir", &[], &["a.run", "--resume"]);
    fails(&text.replace("lr: 0.005", "lr: 0.006"), "a.nir", &["--resume"], &["another recipe", "optimizer", "0.005"]);
    // A finished run that is resumed says the same again.
    good(&train(folder, &text, "a.nir", &["--resume"]));
    let checkpoint = folder.join("a.run/checkpoint");
    let bytes = std::fs::read(&checkpoint).unwrap();
    for cut in [0, 10, 40, bytes.len() - 1] {
        std::fs::write(&checkpoint, &bytes[..cut]).unwrap();
        fails(&text, "a.nir", &["--resume"], &["checkpoint", "damaged"]);
    }
    std::fs::write(&checkpoint, &bytes).unwrap();
    let mut changed = std::fs::read(folder.join("train.images")).unwrap();
    *changed.last_mut().unwrap() ^= 1;
    std::fs::write(folder.join("train.images"), changed).unwrap();
    fails(&text, "a.nir", &["--resume"], &["other training samples"]);
    // A loss that overflows: it says where, and what was good stays.
    let wild = text
        .replace("Adam(lr: 0.005)", "Sgd(lr: 1000.0, weight_decay: 1.0)")
        .replace("epochs: 4", "epochs: 400")
        .replace("sparsity: Dense", "loss: CrossEntropySum")
        .replace("Linear(outputs: 4), Lif()", "Linear(outputs: 4, bias: true), Readout()");
    fails(&wild, "wild.nir", &[], &["epoch", "step", "not finite", "hint"]);
    assert!(!folder.join("wild.nir").exists());
}
