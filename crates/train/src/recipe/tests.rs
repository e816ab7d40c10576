//! What is read, and what is refused.

use super::*;

const SMALL: &str = r#"(
        steps: 8, epochs: 2,
        data: (train: Idx(images: "a", labels: "b"), encoder: Direct(mean: 0.1307, std: 0.3081)),
        layers: [Linear(outputs: 800), Lif(), Linear(outputs: 10), Lif(tau: 4.0, reset: Soft)],
        sparsity: GradR(target: Connectivity(0.04), penalty: 0.06),
    )"#;

#[test]
fn defaults_are_the_papers() {
    let r = Recipe::read(SMALL).unwrap();
    assert_eq!((r.seed, r.batch, r.loss), (2020, 128, Loss::MseRate));
    assert_eq!(r.optimizer, Optimizer::Adam { lr: 1e-3, betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: 0.0 });
    let Layer::Lif { tau, threshold, reset, detach, surrogate, .. } = r.layers[1] else { panic!() };
    assert_eq!((tau, threshold, reset, detach, surrogate), (2.0, 1.0, Reset::Hard, true, Surrogate::Arctan(2.0)));
}

#[test]
fn what_makes_no_sense_is_named() {
    for (from, to, words) in [
        ("steps: 8", "steps: 0", ["`steps`", "0", "1 to 4096"]),
        ("epochs: 2", "epochs: 2, seeed: 3", ["seeed", "expected", "seed"]),
        ("std: 0.3081", "std: 0.0", ["data.encoder.std", "0", "positive"]),
        ("Connectivity(0.04)", "Connectivity(1.5)", ["sparsity.target", "1.5", "below 1"]),
        ("Connectivity(0.04)", "Synapses(0)", ["sparsity.target", "Synapses(0)", "at least one"]),
        ("penalty: 0.06", "penalty: 0.06, settle: 2", ["sparsity.settle", "2", "at most 1"]),
        ("penalty: 0.06", "penalty: NaN", ["sparsity.penalty", "NaN", "positive"]),
        (
            "GradR(target: Connectivity(0.04), penalty: 0.06)",
            "Magnitude(target: Connectivity(0.04), until: 0)",
            ["sparsity.until", "0", "1 to 2"],
        ),
        ("Linear(outputs: 800)", "Conv(outputs: 8, kernel: 8589934592)", ["layers[0].kernel", "8589934592", "at most 4096"]),
        ("Linear(outputs: 800)", "Conv(outputs: 8, stride: 4294967296)", ["layers[0].stride", "4294967296", "at most 4096"]),
        ("Linear(outputs: 800)", "Conv(outputs: 8, kernel: 4097, padding: 4096)", ["layers[0].kernel", "4097", "at most 4096"]),
        ("Linear(outputs: 800)", "Pool(kind: Average, kernel: 2, stride: 4294967296)", ["layers[0].stride", "4294967296", "at most 4096"]),
        ("epochs: 2", "epochs: 2, memory_gib: 0.0", ["memory_gib", "0", "positive"]),
        ("epochs: 2", "epochs: 2, quantize: (bits: 1)", ["quantize.bits", "1", "2 to 8"]),
        ("epochs: 2", "epochs: 2, quantize: (bits: 4, from: 2)", ["quantize.from", "2", "fewer than the 2 epochs"]),
        ("epochs: 2", "epochs: 2, start: \"a.nir\"", ["start", "beside a method that rewires", "Keep, Magnitude, Stds or Dense"]),
        ("Lif(), ", "", ["layers[1] beside quantize", "right after a matrix", "neurons between"]),
        ("Lif(), ", "BatchNorm, Lif(), ", ["layers[1] beside quantize", "BatchNorm", "on their grid"]),
        ("Lif()", "Lief()", ["Lief", "Lif", "Linear"]),
        ("steps: 8,", "", ["steps", "missing", ""]),
    ] {
        assert!(SMALL.contains(from));
        let text = SMALL.replacen(from, to, 1);
        let text = if words[0].contains("beside quantize") { text.replace("epochs: 2", "epochs: 2, quantize: (bits: 4)") } else { text };
        let error = Recipe::read(&text).unwrap_err();
        let text = error.to_string();
        assert!(words.iter().all(|w| text.contains(w)), "{from} -> {to}: {text}");
        assert!(!error.hint().is_empty());
    }
    assert!(Target::Synapses(10).connectivity(10).is_err());
}
