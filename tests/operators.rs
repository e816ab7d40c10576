//! Networks with kernels, windows, maxima, delays and loops, the whole way: network file to verified bundle.

use spikec_chip::Bundle;
use spikec_compile::{CompileOptions, Input};
use spikec_data::{Array, ArrayData, DataSet, Stimulus, write_npz};
use spikec_fit::write::WriteBack;
use spikec_import::{ImportOptions, Model};
use spikec_net::{Axis, Conv, Float, InputKind, Net, Network, Operator};
use spikec_sim::{Machine, Record, RunOptions};
use spikec_testkit::{generate::random_spikes, shared_dir};
use spikec_verify::{Given, check_behaviour, check_image};
use std::path::Path;

fn bundle_of(net: &Net<Float>, digest: [u8; 32]) -> Bundle {
    let target = spikec_chip::find("loihi1").expect("built in");
    let options = CompileOptions::default();
    spikec_compile::compile(Input::Trained { net, digest }, &target, &options, &mut |_| ()).unwrap_or_else(|e| panic!("{e}")).bundle
}

/// Compiles for loihi1 with the default 8 bits; image and behaviour are those of the network.
#[track_caller]
fn verified(network: &Network, samples: &[Stimulus], steps: Option<u32>) -> (Net<Float>, Machine) {
    let (net, digest) = (network.elaborate(InputKind::Spikes).unwrap_or_else(|e| panic!("{e}")), network.digest());
    let bundle = bundle_of(&net, digest);
    let image = check_image(&bundle, &Given::Trained { net: &net, digest }).unwrap_or_else(|e| panic!("{e}"));
    assert!(image.holds(), "{:?}", image.differences);
    let machine = Machine::boot(bundle.loadable()).unwrap_or_else(|e| panic!("{e}"));
    let behaviour = check_behaviour(&bundle, &machine, samples, steps, &|| ()).unwrap_or_else(|e| panic!("{e}"));
    assert!(behaviour.holds(), "{:?}", behaviour.first_divergence);
    (net, machine)
}

fn read(path: &Path, bytes: &[u8], options: &ImportOptions, arrays: &[u8]) -> Network {
    match spikec_import::read(path, bytes, options, &|_: &Path| Ok(arrays.to_vec())).unwrap_or_else(|e| panic!("{e}")).model {
        Model::Trained(network) => network,
        Model::Registers(_) => panic!("a network in floats"),
    }
}

const NET: &str = r#"Trained(
    name: "all", dt: 1.0,
    populations: [
        (name: "in", shape: [2, 8, 8], neurons: Input),
        (name: "c1", shape: [4, 6, 6], neurons: Lif(tau: 2.0, v_threshold: 0.75)),
        (name: "limit", shape: [4, 6, 6], neurons: Threshold(v_threshold: 0.5)),
        (name: "c2", shape: [2, 3, 3], neurons: If(v_threshold: 1.0)),
        (name: "out", shape: [3], neurons: If(v_threshold: 1.0)),
    ],
    projections: [
        (name: "conv1", pre: "in", post: "c1", chain: [
            Conv2d(weight: "a.npz:w1", bias: [0.0, 0.125, 0.0, 0.0625]),
            BatchNorm(weight: 1.5, bias: [0.0, 0.0, 0.125, 0.0], mean: 0.0, variance: [1.0, 2.0, 0.5, 1.0]),
        ]),
        (name: "same", pre: "c1", post: "limit"),
        (name: "pool", pre: "c1", post: "c2", chain: [MaxPool2d(kernel: 2), Conv2d(weight: "a.npz:w2", padding: "same")]),
        (name: "fc", pre: "c2", post: "out", chain: [AvgPool2d(kernel: 3), Flatten, Delay(delay: [1, 3]), Linear(weight: [1, 2, 2, 1, 3, -1])]),
        (name: "skip", pre: "limit", post: "out", chain: [SumPool2d(kernel: 6), Flatten, Linear(weight: [0.1, 0, 0, 0, 0, 0.1, 0, 0, 0, 0, 0.1, -0.1])]),
        (name: "back", pre: "out", post: "c2", delay: 4, chain: [Linear(weight: "a.npz:w3"), Reshape(shape: [2, 3, 3])]),
        (name: "self", pre: "out", post: "out", delay: 1, chain: [Linear(weight: [0, -1, -1, -1, 0, -1, -1, -1, 0])]),
    ],
    output: "out",
)"#;

#[test]
fn kernels_windows_maxima_delays_and_loops_verify_on_the_chip() {
    let array = |shape: &[usize]| {
        let n = shape.iter().product::<usize>();
        // A third of the weights is 0.
        let value = |k: usize| if k.is_multiple_of(3) { 0.0 } else { ((k * 7 % 11) as f32 - 4.0) / 8.0 };
        Array { shape: shape.into(), data: ArrayData::F32((0..n).map(value).collect()) }
    };
    let arrays = write_npz(&[("w1", array(&[4, 2, 3, 3])), ("w2", array(&[2, 4, 3, 3])), ("w3", array(&[18, 3]))]);
    let network = read(Path::new("net.ron"), NET.as_bytes(), &ImportOptions::default(), &arrays);
    let names: Vec<&str> = network.populations.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["in", "c1", "limit", "c2", "out", "pool max"]);
    let samples: Vec<Stimulus> = (0..8).map(|seed| Stimulus::Spikes(random_spikes(seed, 128, 60, 0.1))).collect();
    let (net, machine) = verified(&network, &samples, None);
    let fc = net.projections.iter().find(|p| p.name == "fc").unwrap();
    assert_eq!(fc.synapses.uniform_delay(), None);

    // On the chip, too, a maximum fires in the network step of its members, and the threshold neurons repeat what they hear.
    let options = RunOptions { record: Record { spikes: true, ..Record::default() }, ..RunOptions::default() };
    let mut maxima = 0;
    for sample in &samples {
        let run = machine.run(sample, &options).unwrap_or_else(|e| panic!("{e}"));
        let of = |population: u32| {
            let mut spikes: Vec<(u32, u32)> =
                run.spikes.iter().filter(|s| s.population == population).map(|s| (s.step, s.neuron)).collect();
            spikes.sort_unstable();
            spikes
        };
        let c1 = of(1);
        assert_eq!(of(2), c1);
        let mut expected: Vec<(u32, u32)> = c1.iter().map(|&(t, i)| (t, (i / 36 * 3 + i % 36 / 12) * 3 + i % 6 / 2)).collect();
        expected.sort_unstable();
        expected.dedup();
        assert_eq!(of(5), expected);
        maxima += expected.len();
    }
    assert!(maxima > 1000, "only {maxima} spikes of maxima");
}

#[test]
fn a_recurrent_network_of_others_verifies_on_random_input() {
    let Some(shared) = shared_dir() else { return eprintln!("skipped: no shared folder") };
    let options = ImportOptions { dt_s: Some(1e-4), repair_edges: true, ..ImportOptions::default() };
    for name in ["braille_noDelay_bias_zero.nir", "braille_noDelay_bias_zero_subgraph.nir"] {
        let bytes = std::fs::read(shared.join("nets/nir_paper").join(name)).unwrap();
        let network = read(Path::new(name), &bytes, &options, &[]);
        let samples: Vec<Stimulus> = (0..10).map(|seed| Stimulus::Spikes(random_spikes(seed, 12, 256, 0.1))).collect();
        verified(&network, &samples, None);
    }
}

#[test]
fn a_pruned_conv_network_verifies_with_8_bits() {
    let Some(shared) = shared_dir() else { return eprintln!("skipped: no shared folder") };
    let bytes = std::fs::read(shared.join("nets/mnist/conv_poisson_gmp15/net.nir")).unwrap();
    let network = read(Path::new("net.nir"), &bytes, &ImportOptions::default(), &[]);
    let data = DataSet::from_bytes(&std::fs::read(shared.join("data/mnist_test_poisson_T8_seed1234.npz")).unwrap(), Some(100)).unwrap();
    verified(&network, &data.samples, None);
}

#[test]
fn a_fit_of_windows_and_of_uneven_kernels_is_refused_by_name() {
    let refused = |shape: &str, threshold: &str, conv: Option<Conv>| {
        let text = format!(
            "Trained(dt: 1.0, populations: [(name: \"in\", shape: [1, 6], neurons: Input), (name: \"n\", shape: {shape}, neurons: If(v_threshold: {threshold}))], \
             projections: [(name: \"p\", pre: \"in\", post: \"n\", chain: [SumPool1d(kernel: 2)])], output: \"n\")"
        );
        let mut network = read(Path::new("net.ron"), text.as_bytes(), &ImportOptions::default(), &[]);
        if let Some(conv) = conv {
            network.projections[0].operators = vec![Operator::Conv(conv)];
        }
        spikec_fit::write::check(&network, &network.elaborate(InputKind::Spikes).unwrap())
    };
    assert_eq!(refused("[1, 3]", "1.0", None), Err(WriteBack::Operator("p".into(), "SumPool1d")));
    let axis = Axis { size: 6, kernel: 2, stride: 2, dilation: 1, padding: [0, 0] };
    let conv = || Some(Conv { channels: 1, outputs: 1, groups: 1, axes: vec![axis], weight: vec![0.5, -0.25] });
    assert_eq!(refused("[1, 3]", "1.0", conv()), Ok(()));
    assert_eq!(refused("[1, 3]", "[1.0, 2.0, 1.0]", conv()), Err(WriteBack::Untied("p".into())));
}
