//! What acts otherwise than the network as given is refused, or declared in the bundle: lags of tight loops, resets.

mod common;

use common::spikec;
use std::path::Path;

#[test]
fn a_tight_loop_is_refused_or_lags_as_the_bundle_says() {
    let folder = tempfile::tempdir().unwrap();
    let net = r#"Trained(dt: 1.0, populations: [
        (name: "in", shape: [2], neurons: Input),
        (name: "a", shape: [2], neurons: If(v_threshold: 1.0)),
        (name: "b", shape: [2], neurons: If(v_threshold: 1.0)),
    ], projections: [
        (name: "x", pre: "in", post: "a", chain: [Linear(weight: [0.6, 0.2, 0.1, 0.7])]),
        (name: "y", pre: "a", post: "b", chain: [Linear(weight: [0.8, 0.1, 0.3, 0.6])]),
        (name: "back", pre: "b", post: "a", chain: [Linear(weight: [-0.3, 0.2, 0.2, -0.4])], delay: 1),
    ], output: "b")"#;
    std::fs::write(folder.path().join("loop.ron"), net).unwrap();
    let spikec = |args: &[&str]| spikec(folder.path(), args);
    let compile = ["compile", "loop.ron", "--target", "loihi1", "--steps", "20", "-o", "b.spkb"];
    let refused = spikec(&compile);
    assert!(
        refused.code != 0 && refused.err.contains("--timing-policy allow-lag") && refused.err.contains("b -[back]-> a"),
        "{}",
        refused.err
    );
    let lagging = spikec(&[&compile[..], &["--timing-policy", "allow-lag"]].concat()).ok();
    assert!(lagging.out.contains("lag: back acts 1 network step(s) later"), "{}", lagging.out);
    spikec(&["data", "random", "--channels", "2", "--steps", "20", "--rate", "0.5", "--samples", "20", "-o", "d.npz"]).ok();
    let verified = spikec(&["verify", "loop.ron", "b.spkb", "--input", "d.npz"]).ok();
    assert!(verified.out.contains("behaviour: equal"), "{}", verified.out);
}

/// Two layers that subtract, and random input.
fn subtracting(at: &Path, neurons: &str) {
    let text = format!(
        "Trained(dt: 1.0, convention: \"spikingjelly\", reset: Subtract,
            populations: [(name: \"in\", shape: [4], neurons: Input), (name: \"a\", shape: [6], neurons: {neurons}), (name: \"b\", shape: [2], neurons: {neurons})],
            projections: [
                (pre: \"in\", post: \"a\", chain: [Linear(weight: [{}]), Bias(bias: 0.125)]),
                (pre: \"a\", post: \"b\", chain: [Linear(weight: [1, 0.5, -0.25, 1, 0.75, -0.5, 0.5, 1, 1, -0.5, 0.25, 0.5])]),
            ],
            output: \"b\")",
        (0..24).map(|k| (f64::from(k * 7 % 11) / 4.0 - 0.75).to_string()).collect::<Vec<_>>().join(", ")
    );
    std::fs::write(at.join("soft.ron"), text).unwrap();
    let random =
        ["data", "random", "--channels", "4", "--steps", "60", "--rate", "0.4", "--samples", "10", "--seed", "1", "-o", "random.npz"];
    spikec(at, &random).ok();
}

#[test]
fn soft_reset_is_exact_or_as_declared() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let compile = ["compile", "soft.ron", "--target", "loihi1", "-o", "soft.spkb"];
    let verify = ["verify", "soft.ron", "soft.spkb", "--input", "random.npz"];
    let with = |more: &[&'static str]| [&compile[..], more].concat();
    subtracting(at, "Lif(tau: 4.0, v_threshold: 1.0)");
    let out = spikec(at, &compile).ok().out;
    assert!(out.contains("soft reset: 6 neurons of a, ") && !out.contains("leaks in a step"), "{out}");
    // The file's own reset stands beside its convention, in the proof as well.
    let out = spikec(at, &verify).ok().out;
    assert!(out.contains("soft reset: 8 of the neurons take a threshold from their own current") && out.contains("image: equal"), "{out}");
    // A hard reset is another network: the statement says so.
    spikec(at, &with(&["--reset", "hard"])).ok();
    let out = spikec(at, &verify).ok().out;
    assert!(out.contains("reset hard") && !out.contains("take a threshold"), "{out}");

    // Potentials that never leak.
    subtracting(at, "If(v_threshold: 1.0)");
    let says = ["soft.ron: does not fit loihi1", "keep more of their potential than a current can", "--reset leak"];
    spikec(at, &compile).fails(3, &says);
    let measured = [
        "[floats, 10 samples: --reset hard: same class for ",
        "; --reset leak: same class for 90.0 %, 0.2 of 119.6 output spikes apart a sample",
    ];
    spikec(at, &with(&["--calibration", "random.npz"])).fails(3, &measured);
    let out = spikec(at, &with(&["--reset", "leak"])).ok().out;
    assert!(out.contains("0.02 % of a potential leaks in a step"), "{out}");
    let out = spikec(at, &verify).ok().out;
    assert!(out.contains("reset leak") && out.contains("image: equal"), "{out}");
}
