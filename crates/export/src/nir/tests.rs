use super::*;
use spikec_chip::bundle::{Decoder, DecoderKind, Encoder, Host, Provenance, Symbols};
use spikec_chip::crossbar::CrossbarImage;
use spikec_chip::image::Image;
use spikec_data::SpikeTrain;
use spikec_import::{ImportOptions, read_nir};
use spikec_net::{
    Bias, CrossbarRules, InputKind, Interpreter, Population, PotentialOverflow, Projection, Scaling, SignMode, Synapses, WeightFormat,
    run_sample,
};

fn bundle<N: Number>(net: Net<N>, target: &str) -> Bundle {
    let reference = Quantized { net, scaling: Scaling::Exact, network_digest: [0; 32] }.to_bytes();
    Bundle {
        target: spikec_chip::find(target).expect("it is built in"),
        image: Image::Crossbar(CrossbarImage::default()),
        host: Host {
            input_width: 2,
            encoder: Encoder::Spikes,
            input_axons: vec![],
            injections: vec![],
            maps: vec![],
            bias_writes: vec![],
            default_steps: None,
            max_skew: 0,
            decoder: Decoder { kind: DecoderKind::Count, outputs: vec![], skew: 0 },
        },
        symbols: Symbols { populations: vec![], output: 0 },
        provenance: Provenance {
            tool: String::new(),
            network_name: String::new(),
            network_digest: String::new(),
            options: vec![],
            seed: 0,
        },
        reference,
    }
}

/// in (3) -> h (3, one removed) -> o (2), with delays and a loop.
fn net<N: Number>(rules: N::Rules, neuron: impl Fn(usize) -> N::Neuron, format: N::Format, weight: impl Fn(i32) -> N::Weight) -> Net<N> {
    let population = |name: &str, n: u32, origin: Vec<u32>, role| Population { name: name.into(), shape: vec![n], origin, skew: 0, role };
    let projection = |name: &str, pre: u32, post: u32, pres: usize, all: &[(u32, u32, i32, u16)]| Projection {
        name: name.into(),
        pre: PopulationId(pre),
        post: PopulationId(post),
        format: format.clone(),
        synapses: Synapses::from_tuples(pres, all.iter().map(|&(i, j, w, d)| (i, j, weight(w), d)).collect()),
    };
    Net {
        name: "net".into(),
        rules,
        populations: vec![
            population("in", 3, vec![0, 1, 2], Role::SpikeInput),
            population("h", 3, vec![0, 2], Role::Neurons(vec![neuron(0), neuron(1)])),
            population("o", 2, vec![0, 1], Role::Neurons(vec![neuron(2), neuron(3)])),
        ],
        projections: vec![
            projection("a", 0, 1, 3, &[(0, 0, 8, 0), (1, 0, -2, 0), (1, 1, 10, 0), (2, 1, 6, 2)]),
            projection("b", 1, 2, 2, &[(0, 0, 12, 0), (0, 1, -4, 0), (1, 1, 16, 1)]),
            projection("c", 2, 1, 2, &[(1, 0, 4, 1)]),
        ],
        host_projections: vec![],
        output: PopulationId(2),
    }
}

/// The file reads back as the network, and in floats it has the spikes of the registers.
fn same_spikes<N: spikec_net::Dynamics>(net: &Net<N>, nir: &Nir, mixed: u64) {
    let (again, _) = read_nir(&nir.bytes, &ImportOptions { name: "net".into(), ..ImportOptions::default() }).expect("it reads back");
    let floats = again.elaborate(InputKind::Spikes).expect("it elaborates");
    let (a, b) = (Interpreter::new(net).expect("it runs"), Interpreter::new(&floats).expect("it runs"));
    let mut spikes = 0;
    for seed in 0..20u64 {
        let bit = |t: u64, c: u64| (seed + 1).wrapping_mul(t + 3).wrapping_mul(c + 5).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60 > mixed;
        let train = SpikeTrain::from_steps(3, (0..16).map(|t| (0..3u32).filter(|&c| bit(t, c.into())).collect::<Vec<_>>()));
        let (x, y) = (run_sample(&a, Some(&train), &[], 16, false), run_sample(&b, Some(&train), &[], 16, false));
        assert_eq!((&x.out_counts, &x.first_spike), (&y.out_counts, &y.first_spike), "{seed}");
        spikes += x.out_counts.iter().sum::<u32>();
    }
    assert!(spikes > 10, "{spikes}");
}

fn rules() -> CrossbarRules {
    CrossbarRules { potential_bits: 20, overflow: PotentialOverflow::Saturate, floor_inclusive: false }
}

fn crossbar_neuron(k: usize, linear: bool) -> CrossbarNeuron {
    let start = if linear { 0 } else { -1 };
    CrossbarNeuron { leak: [0, 1, -1, 0][k], threshold: 9 + k as i32, floor: -(1 << 18), reset: start, linear, start }
}

#[test]
fn crossbars_have_the_same_spikes_in_floats() {
    for linear in [false, true] {
        let net = net::<Crossbar>(rules(), |k| crossbar_neuron(k, linear), (), |w| w);
        let nir = nir(&bundle(net.clone(), "truenorth")).expect("NIR can say it");
        assert_eq!(nir.notes.len(), 1);
        same_spikes(&net, &nir, 6);
    }
}

#[test]
fn weights_and_thresholds_are_the_integers() {
    let net = net::<Crossbar>(rules(), |k| crossbar_neuron(k, false), (), |w| w);
    let nir = nir(&bundle(net, "truenorth")).expect("NIR can say it");
    let linear = |k: usize| {
        let find = |o: &Operator| if let Operator::Linear { weight, .. } = o { Some(weight.clone()) } else { None };
        nir.network.projections[k].operators.iter().find_map(find).expect("a matrix")
    };
    // Rows by post neuron as trained: the removed one hears nothing.
    assert_eq!(linear(0), [8.0, -2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 10.0, 0.0]);
    assert_eq!(nir.network.projections[1].operators[0], Operator::Delay { delay: vec![2.0; 3] });
    assert_eq!(linear(1), [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 6.0]);
    let TrainedRole::Neurons(NeuronModel::If { v_threshold, v_reset, .. }) = &nir.network.populations[1].role else { panic!("IF") };
    assert_eq!((v_threshold, v_reset), (&vec![9.0, 9.0, 10.0], &vec![-1.0, -1.0, -1.0]));
}

#[test]
fn packed_neurons_leak_and_filter() {
    let format = WeightFormat { bits: 8, exponent: 0, sign: SignMode::Mixed };
    for decay_u in [4096, 2048] {
        let neuron = |k: usize| FixedNeuron { decay_u, decay_v: 1024, threshold: 7 + k as u32, refractory: 1, bias: Bias::default() };
        let net = net::<Fixed>(spikec_net::FixedRules::default(), neuron, format, |w| w as i16);
        let nir = nir(&bundle(net.clone(), "loihi1")).expect("NIR can say it");
        same_spikes(&net, &nir, 5);
    }
}

#[test]
fn what_nir_can_not_say_is_named() {
    let refusal = |change: &dyn Fn(usize, &mut CrossbarNeuron)| {
        let neuron = |k: usize| {
            let mut n = crossbar_neuron(k, false);
            change(k, &mut n);
            n
        };
        nir(&bundle(net::<Crossbar>(rules(), neuron, (), |w| w), "truenorth")).map(|_| ()).expect_err("NIR can't say it").to_string()
    };
    assert_eq!(
        refusal(&|k, n| if k == 1 {
            n.start = 3
        }),
        "h[2]: a start at 3 and a reset to -1"
    );
    assert_eq!(refusal(&|k, n| n.linear = k > 1), "o[0]: two kinds of reset in one network");
    let e =
        nir(&Bundle { reference: vec![1, 2], ..bundle(net::<Crossbar>(rules(), |k| crossbar_neuron(k, false), (), |w| w), "truenorth") });
    assert!(matches!(e, Err(ExportError::Reference(_))));
}
