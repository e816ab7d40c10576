//! `spikec inspect`: networks, bundles, targets, differences and masks.

mod common;

use common::{compiled, spikec};

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
    spikec(at, &["inspect", "net.spkb", "--diff", "four.spkb"])
        .fails(1, &["--- net.spkb", "-    (\"weight-bits\", \"8\")", "+    (\"weight-bits\", \"4\")"]);
    spikec(at, &["inspect", "net.spkb", "--synapses", "--diff", "four.spkb"]).fails(1, &[" core 0", "-  axon 0 -> compartment"]);
    for other in ["net.nir", "loihi1"] {
        spikec(at, &["inspect", "net.spkb", "--diff", other]).fails(2, &["bundle", "same kind"]);
    }
}

/// The mask of a network is that of its bundle, but for the neurons that are dead.
#[test]
fn inspect_shows_the_mask() {
    let folder = compiled();
    let at = folder.path();
    let shown = spikec(at, &["inspect", "net.nir"]).ok().out;
    for text in ["synapses that stay", "of 627,200", "inputs without", "least / median / most", "without outputs"] {
        assert!(shown.contains(text), "no `{text}` in\n{shown}");
    }
    let net = spikec(at, &["inspect", "net.nir", "--json"]).ok().json()["mask"].clone();
    let bundle = spikec(at, &["inspect", "net.spkb", "--json"]).ok().json()["mask"].clone();
    let fc = &net["layers"][0];
    assert_eq!((fc["name"].as_str(), fc["possible"].as_u64(), fc["inputs"].as_u64()), (Some("fc1"), Some(627_200), Some(784)));
    let (all, on_chip) = (fc["kept"].as_u64().unwrap(), bundle["layers"][0]["kept"].as_u64().unwrap());
    assert!(on_chip <= all && on_chip > all * 9 / 10, "{on_chip} of {all}");
    let chip: u64 = bundle["layers"].as_array().unwrap().iter().map(|l| l["kept"].as_u64().unwrap()).sum();
    assert_eq!(
        chip,
        spikec(at, &["verify", "net.nir", "net.spkb", "--json"]).ok().json()["image"]["checked"]["synapses"].as_u64().unwrap()
    );
    assert!(bundle["populations"][1]["without_inputs"].as_u64() >= net["populations"][1]["without_inputs"].as_u64());
    // A layer alone: its inputs are a picture.
    let one = spikec(at, &["inspect", "net.nir", "--mask", "fc1", "--svg", "m.svg"]).ok().out;
    assert!(one.contains("fc1: synapses of each input, 28 x 28") && !one.contains("fc2") && one.lines().count() > 28, "{one}");
    assert_eq!(std::fs::read_to_string(at.join("m.svg")).unwrap().matches("<title>row ").count(), 784);
    let one = spikec(at, &["inspect", "net.nir", "--mask", "fc1", "--grid", "14x14", "--json"]).ok().json();
    assert_eq!((one["picture"]["rows"].as_u64(), one["picture"]["channels"].as_u64()), (Some(14), Some(4)));
    for sums in [&one["fan_out"], &one["fan_in"], &one["picture"]["synapses"]] {
        assert_eq!(sums.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum::<u64>(), all);
    }
    let name = bundle["layers"][0]["name"].as_str().unwrap();
    let same = spikec(at, &["inspect", "net.nir", "--mask", name, "--json"]).ok().json();
    assert_eq!((&same["layer"]["name"], &same["fan_in"]), (&fc["name"], &one["fan_in"]));
    spikec(at, &["inspect", "net.spkb", "--mask", name]).ok();
    for (arguments, says) in [
        (&["net.nir", "--mask", "fc9"][..], &["net.nir", "no layer `fc9`", "`fc1`, `fc2`"][..]),
        (&["net.nir", "--mask", "fc1", "--grid", "5x5"], &["layer `fc1`", "784 inputs", "5 x 5", "--grid"]),
        (&["net.nir", "--mask", "fc1", "--grid", "28"], &["ROWSxCOLUMNS"]),
        (&["loihi1", "--mask", "fc1"], &["loihi1", "has no layers"]),
        (&["net.nir", "--svg", "x.svg"], &["--mask"]),
        (&["net.nir", "--mask", "fc1", "--svg", "net.nir"], &["is an input"]),
    ] {
        spikec(at, &[&["inspect"], arguments].concat()).fails(2, says);
    }
}
