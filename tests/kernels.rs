//! Words that input axons share: random convolutions the whole way, with shared words and without.

mod common;

use common::spikec;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use spikec_chip::{Bundle, Target, decode_core, encode_core};
use spikec_compile::{CompileOptions, Compiled, Input, Kernels};
use spikec_data::{Array, ArrayData, Stimulus, write_npz};
use spikec_import::{ImportOptions, Model};
use spikec_net::{Float, InputKind, Net};
use spikec_sim::{Level, Machine, Record, RunOptions};
use spikec_testkit::generate::random_spikes;
use spikec_verify::{Given, check_behaviour, check_image};
use std::path::Path;

/// Two convolutions of random size and weights, a third of them 0, and a dense layer: the network file and its arrays.
fn convolutions(seed: u64) -> (String, Vec<u8>, u32) {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let (channels, side) = (rng.random_range(1..3u32), rng.random_range(7..13u32));
    let mut size = (channels, side);
    let (mut populations, mut projections) =
        (format!("(name: \"in\", shape: [{channels}, {side}, {side}], neurons: Input),"), String::new());
    let mut arrays = Vec::new();
    let mut array = |name: &str, shape: Vec<usize>, rng: &mut ChaCha8Rng| {
        let n = shape.iter().product::<usize>();
        let value = |_| if rng.random_bool(0.3) { 0.0 } else { rng.random_range(-0.5f32..0.9) };
        arrays.push((name.to_string(), Array { shape, data: ArrayData::F32((0..n).map(value).collect()) }));
    };
    let mut pre = "in".to_string();
    for layer in 0..2 {
        let (outputs, kernel, stride) = (rng.random_range(2..7u32), rng.random_range(2..4u32), rng.random_range(1..3u32));
        let padding = rng.random_range(0..kernel);
        let grid = (size.1 + 2 * padding - kernel) / stride + 1;
        array(&format!("w{layer}"), [outputs, size.0, kernel, kernel].map(|n| n as usize).to_vec(), rng);
        populations += &format!("(name: \"c{layer}\", shape: [{outputs}, {grid}, {grid}], neurons: If(v_threshold: 1.0)),");
        projections += &format!(
            "(name: \"conv{layer}\", pre: \"{pre}\", post: \"c{layer}\", chain: [Conv2d(weight: \"a.npz:w{layer}\", stride: {stride}, padding: {padding})]),"
        );
        (pre, size) = (format!("c{layer}"), (outputs, grid));
    }
    let n = size.0 * size.1 * size.1;
    array("fc", vec![4, n as usize], rng);
    populations += "(name: \"out\", shape: [4], neurons: If(v_threshold: 1.0)),";
    projections += &format!("(name: \"fc\", pre: \"{pre}\", post: \"out\", chain: [Flatten, Linear(weight: \"a.npz:fc\")]),");
    let text = format!("Trained(name: \"conv\", dt: 1.0, populations: [{populations}], projections: [{projections}], output: \"out\")");
    let arrays: Vec<(&str, Array)> = arrays.iter().map(|(name, array)| (name.as_str(), array.clone())).collect();
    (text, write_npz(&arrays), channels * side * side)
}

/// Loihi 1 with cores so small that a network takes several; or cores of so many bytes, for neurons, axons and words alike.
fn small(rng: &mut ChaCha8Rng, bytes: bool) -> Target {
    let mut target = spikec_chip::find("loihi1").expect("built in");
    let p = target.packed_mut();
    p.core.compartments.value = rng.random_range(60..400);
    p.core.in_axons.value = rng.random_range(300..1500);
    p.synapse_memory.usable_words.value = rng.random_range(400..3000);
    if bytes {
        target = spikec_chip::find("loihi2").expect("built in");
        let p = target.packed_mut();
        p.core.core_bytes.value = rng.random_range(6000..26_000);
        p.synapse_memory.usable_words.value = (p.core.core_bytes.value - p.core.program_bytes.value) / 8;
        p.synapse_memory.max_words_per_axon.value = 256;
        assert_eq!(target.check(), []);
    }
    target
}

fn compiled(net: &Net<Float>, digest: [u8; 32], target: &Target, kernels: Kernels) -> Option<Compiled> {
    let options = CompileOptions { kernels, ..CompileOptions::default() };
    spikec_compile::compile(Input::Trained { net, digest }, target, &options, &mut |_| ()).ok()
}

/// (step, population, neuron), sorted.
type Spikes = Vec<(u32, u32, u32)>;

/// Spikes of a run at every level of timing: the same at all.
fn spikes(bundle: &Bundle, sample: &Stimulus) -> Spikes {
    let options = RunOptions { record: Record { spikes: true, ..Record::default() }, ..RunOptions::default() };
    let mut found: Option<Spikes> = None;
    for level in [Level::None, Level::Analytic, Level::Cycle] {
        let machine = Machine::boot_timed(bundle.loadable(), level).unwrap_or_else(|e| panic!("{e}"));
        let run = machine.run(sample, &options).unwrap_or_else(|e| panic!("{e}"));
        let mut spikes: Spikes = run.spikes.iter().map(|s| (s.step, s.population, s.neuron)).collect();
        spikes.sort_unstable();
        assert!(found.as_ref().is_none_or(|f| *f == spikes), "{level:?}");
        found = Some(spikes);
    }
    found.unwrap_or_default()
}

fn readers(bundle: &Bundle) -> u32 {
    let image = bundle.image.packed();
    let cores = image.cores.iter().map(|c| decode_core(c, &bundle.target).expect("it decodes"));
    cores.flat_map(|t| t.readers()).filter(|&n| n > 1).sum()
}

#[test]
fn random_convolutions_fire_alike_with_shared_words_and_without() {
    let (mut cores, mut words, mut sharing, mut fired, mut several) = ([0, 0], [0, 0], 0, 0, 0);
    for (seed, bytes) in (0..24).map(|seed| (seed, false)).chain((0..16).map(|seed| (seed, true))) {
        let (text, arrays, inputs) = convolutions(seed);
        let read = spikec_import::read(Path::new("net.ron"), text.as_bytes(), &ImportOptions::default(), &|_: &Path| Ok(arrays.clone()));
        let Model::Trained(network) = read.unwrap_or_else(|e| panic!("{e}\n{text}")).model else { panic!("floats") };
        let (net, digest) = (network.elaborate(InputKind::Spikes).unwrap_or_else(|e| panic!("{e}")), network.digest());
        let target = small(&mut ChaCha8Rng::seed_from_u64(seed), bytes);
        let sample = Stimulus::Spikes(random_spikes(seed, inputs, 20, 0.2));
        let mut both: Vec<Spikes> = Vec::new();
        let kinds = [Kernels::Unrolled, Kernels::Shared].map(|kernels| compiled(&net, digest, &target, kernels));
        // What fits without sharing fits with it.
        assert!(kinds[0].is_none() || kinds[1].is_some(), "{seed}");
        for (k, compiled) in kinds.iter().enumerate() {
            let Some(Compiled { bundle, report, .. }) = compiled else { continue };
            let bundle = Bundle::from_bytes(&bundle.to_bytes()).unwrap_or_else(|e| panic!("{e}"));
            let image = check_image(&bundle, &Given::Trained { net: &net, digest }).unwrap_or_else(|e| panic!("{e}"));
            assert!(image.holds(), "{seed}: {:?}", image.differences);
            let machine = Machine::boot(bundle.loadable()).unwrap_or_else(|e| panic!("{e}"));
            let behaviour =
                check_behaviour(&bundle, &machine, std::slice::from_ref(&sample), None, &|| ()).unwrap_or_else(|e| panic!("{e}"));
            assert!(behaviour.holds(), "{seed}: {:?}", behaviour.first_divergence);
            let shared = report.shared.map_or(0, |s| s.in_axons);
            // What no assignment can beat is not beaten.
            assert!(report.certificate.certificate.best <= report.cores.into(), "{seed}");
            assert_eq!(u64::from(readers(&bundle)), shared);
            assert!(k == 1 || shared == 0);
            sharing += u64::from(shared > 0);
            several += u64::from(bytes && report.cores > 1);
            if kinds[0].is_some() {
                cores[k] += report.cores;
                words[k] += report.memory_words;
            }
            both.push(spikes(&bundle, &sample));
        }
        assert!(both.windows(2).all(|w| w[0] == w[1]), "{seed}");
        fired += both.first().map_or(0, Vec::len);
    }
    assert!(sharing >= 20 && fired > 10_000, "{sharing} bundles share words, {fired} spikes");
    assert!(several > 10, "{several} bundles for a budget of bytes take several cores");
    assert!(cores[1] < cores[0] && 3 * words[1] < 2 * words[0], "{cores:?} cores, {words:?} words");
}

/// A convolution that fills memory long before compartments takes as many cores as its neurons do once the kernel is stored once.
#[test]
fn a_layer_bound_by_memory_takes_fewer_cores() {
    let weights: Vec<f32> = (0..16 * 4 * 9).map(|k| ((k * 37 % 101) as f32 - 40.0) / 100.0).collect();
    let arrays = write_npz(&[("w", Array { shape: vec![16, 4, 3, 3], data: ArrayData::F32(weights) })]);
    let text = "Trained(name: \"one\", dt: 1.0, populations: [(name: \"in\", shape: [4, 20, 20], neurons: Input), (name: \"c\", shape: [16, 18, 18], \
                neurons: If(v_threshold: 1.0))], projections: [(name: \"conv\", pre: \"in\", post: \"c\", chain: [Conv2d(weight: \"a.npz:w\")])], output: \"c\")";
    let read = spikec_import::read(Path::new("net.ron"), text.as_bytes(), &ImportOptions::default(), &|_: &Path| Ok(arrays.clone()));
    let Model::Trained(network) = read.unwrap_or_else(|e| panic!("{e}")).model else { panic!("floats") };
    let (net, digest) = (network.elaborate(InputKind::Spikes).expect("a net"), network.digest());
    let mut target = spikec_chip::find("loihi1").expect("built in");
    let p = target.packed_mut();
    p.synapse_memory.usable_words.value = 1500;
    let cores = |kernels| compiled(&net, digest, &target, kernels).expect("it fits").report.cores;
    let (unrolled, shared) = (cores(Kernels::Unrolled), cores(Kernels::Auto));
    assert!(shared <= 7 && unrolled >= 2 * shared, "{unrolled} cores, {shared} with shared words");
    // A target without bases has nothing to share.
    let p = target.packed_mut();
    p.synapse_memory.max_axon_base.value = 0;
    let without = compiled(&net, digest, &target, Kernels::Shared).expect("it fits").report;
    assert_eq!((without.cores, without.shared), (unrolled, None));
}

/// A base that leads beyond the last compartment, and lists that begin within others, are refused by name wherever a bundle is read.
#[test]
fn hostile_bases_are_refused() {
    let (text, arrays, _) = convolutions(3);
    let read = spikec_import::read(Path::new("net.ron"), text.as_bytes(), &ImportOptions::default(), &|_: &Path| Ok(arrays.clone()));
    let Model::Trained(network) = read.unwrap_or_else(|e| panic!("{e}")).model else { panic!("floats") };
    let (net, digest) = (network.elaborate(InputKind::Spikes).expect("a net"), network.digest());
    let target = spikec_chip::find("loihi1").expect("built in");
    let good = compiled(&net, digest, &target, Kernels::Auto).expect("it fits").bundle;
    assert!(readers(&good) > 0);
    let image = good.image.packed();
    let tables = decode_core(&image.cores[0], &target).expect("it decodes");
    // Records are 14 bits of pointer, 9 of words and 8 of base.
    let record = 14 + 9 + 8;
    let last = tables.in_axons.len() - 1;
    let mut beyond = tables.clone();
    beyond.compartments.truncate(beyond.compartments.len() - 1);
    assert!(encode_core(&beyond, &target).unwrap_err().to_string().contains("base + index"));
    let set = |bits: std::ops::Range<usize>, value: bool| {
        let mut bundle = good.clone();
        let image = bundle.image.packed_mut();
        bits.for_each(|bit| image.cores[0].in_axons.set(last * record + bit, value));
        bundle
    };
    assert!(tables.compartments.len() < 256, "the largest base leads beyond the core");
    let cases = [(23..31, true, "base + index"), (0..14, true, "list")];
    for (bits, value, says) in cases {
        let bundle = set(bits, value);
        let boot = Machine::boot(bundle.loadable()).expect_err("it must not boot").to_string();
        let container = Bundle::from_bytes(&bundle.to_bytes()).expect_err("it must not be read").to_string();
        let image = check_image(&bundle, &Given::Trained { net: &net, digest }).expect_err("it can't be compared").to_string();
        for message in [boot, container, image] {
            assert!(message.contains(says), "{says}: {message}");
        }
    }
}

#[test]
fn the_command_line_says_what_is_shared() {
    let folder = tempfile::tempdir().unwrap();
    let (text, arrays, _) = convolutions(5);
    std::fs::write(folder.path().join("net.ron"), text).unwrap();
    std::fs::write(folder.path().join("a.npz"), arrays).unwrap();
    let compile = |kernels: &str| {
        let run = spikec(
            folder.path(),
            &["compile", "net.ron", "--target", "loihi1", "--kernels", kernels, "-o", "a.spkb", "--report", "r.json"],
        )
        .ok();
        let report: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.path().join("r.json")).unwrap()).unwrap();
        (run.out, report, spikec(folder.path(), &["inspect", "a.spkb"]).ok().out)
    };
    let (out, report, inspect) = compile("shared");
    assert!(out.contains("kernels: ") && out.contains("shared lists"), "{out}");
    assert!(inspect.contains("shared words: ") && inspect.contains("at base"), "{inspect}");
    let (out, plain, inspect) = compile("unrolled");
    assert!(!out.contains("kernels: ") && !inspect.contains("shared words") && !inspect.contains("at base"));
    assert!(plain["shared"].is_null());
    assert!(report["shared"]["words"].as_u64() < report["shared"]["unshared_words"].as_u64());
    assert!(report["memory_words"].as_u64() < plain["memory_words"].as_u64());
}
