//! Timing, the whole way: random graphs with long delays and loops, skips over many layers, and a residual network of 50 layers.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use spikec_chip::{Bundle, Target};
use spikec_compile::{CompileError, CompileOptions, Compiled, Input};
use spikec_data::{SpikeTrain, Stimulus};
use spikec_net::operators::{Axis, Conv};
use spikec_net::*;
use spikec_sim::{Machine, Record, RunOptions};
use spikec_testkit::generate::random_spikes;
use spikec_verify::{Given, check_behaviour, check_image};

fn loihi1() -> Target {
    spikec_chip::find("loihi1").expect("built in")
}

/// loihi1 with another largest delay.
fn reaching(max_delay: u32) -> Target {
    let mut target = loihi1();
    let packed = target.packed_mut();
    packed.synapse_memory.max_delay.value = max_delay;
    target.name = "short".into();
    assert!(target.check().is_empty(), "{:?}", target.check());
    target
}

fn options() -> CompileOptions {
    CompileOptions { partitioner: "sequential".into(), copies: spikec_compile::Copies::None, ..CompileOptions::default() }
}

fn compile(input: Input, target: &Target) -> Result<Compiled, CompileError> {
    spikec_compile::compile(input, target, &options(), &mut |_| ())
}

/// A random graph in registers: edges to later populations have any delay, others at least the hops that lead back, with delays up to `most`.
fn random_graph(seed: u64, loops: bool, most: u16) -> Net<Fixed> {
    let r = &mut ChaCha8Rng::seed_from_u64(seed);
    let count = r.random_range(3..=7usize);
    let mut populations = Vec::new();
    for p in 0..count {
        let n = r.random_range(2..=6u32);
        let neuron = |r: &mut ChaCha8Rng| FixedNeuron {
            decay_u: [4096, 2048][r.random_range(0..2)],
            decay_v: [0, 1024, 4095][r.random_range(0..3)],
            threshold: r.random_range(50..300),
            refractory: r.random_range(1..=2),
            bias: Bias { mantissa: if r.random_bool(0.1) { 2000 } else { 0 }, exponent: 0 },
        };
        let role = if p == 0 { Role::SpikeInput } else { Role::Neurons((0..n).map(|_| neuron(r)).collect()) };
        let name = if p == 0 { "input".into() } else { format!("p{p}") };
        populations.push(Population { name, shape: vec![n], origin: (0..n).collect(), skew: 0, role });
    }
    let mut projections = Vec::new();
    for pre in 0..count {
        for post in 1..count {
            let back = post <= pre;
            let wanted = if post == pre + 1 {
                1.0
            } else if back {
                0.25 * f64::from(u8::from(loops))
            } else {
                0.4
            };
            if !r.random_bool(wanted) || (back && pre == 0) {
                continue;
            }
            let least = if back { (pre - post + 1) as u16 } else { 0 };
            let range = if r.random_bool(0.5) { least..=most.max(least) } else { least..=least };
            let (a, b) = (populations[pre].len() as u32, populations[post].len() as u32);
            let pairs: Vec<(u32, u32)> = (0..a).flat_map(|i| (0..b).map(move |j| (i, j))).collect();
            let tuples = pairs.into_iter().filter(|_| r.random_bool(0.7)).collect::<Vec<_>>();
            let tuples = tuples.into_iter().map(|(i, j)| (i, j, 2 * r.random_range(-40..120i16), r.random_range(range.clone()))).collect();
            projections.push(Projection {
                name: format!("{pre} to {post}"),
                pre: PopulationId::from(pre),
                post: PopulationId::from(post),
                format: WeightFormat { bits: 8, exponent: 0, sign: SignMode::Mixed },
                synapses: Synapses::from_tuples(a as usize, tuples),
            });
        }
    }
    let output = PopulationId::from(count - 1);
    Net { name: "graph".into(), rules: FixedRules::default(), populations, projections, host_projections: Vec::new(), output }
}

/// Every neuron of the given net spikes on the chip in the network step in which it spikes in the interpreter, and in the chip step that is its skew later.
/// Number of spikes compared.
#[track_caller]
fn same_spikes(net: &Net<Fixed>, bundle: &Bundle, train: &SpikeTrain, steps: u32) -> usize {
    let machine = Machine::boot(bundle.loadable()).unwrap_or_else(|e| panic!("{e}"));
    let options = RunOptions { record: Record { spikes: true, ..Record::default() }, ..RunOptions::default() };
    let run = machine.run(&Stimulus::Spikes(train.clone()), &options).unwrap_or_else(|e| panic!("{e}"));
    let interpreter = Interpreter::new(net).unwrap_or_else(|e| panic!("{e}"));
    let expected = run_sample(&interpreter, Some(train), &[], steps, true);
    let mut compared = 0;
    for (p, population) in net.populations.iter().enumerate().filter(|(_, p)| !p.is_input()) {
        let symbols = &bundle.symbols.populations[p];
        let kept = |j: &u32| symbols.neurons.iter().any(|(n, _)| n == j);
        let wanted = expected.spikes[p].iter().enumerate().flat_map(|(t, fired)| fired.iter().map(move |&j| (t as u32, j)));
        let wanted: Vec<(u32, u32)> = wanted.filter(|(_, j)| kept(j)).collect();
        let events = || run.spikes.iter().filter(|e| e.population as usize == p);
        let mut found: Vec<(u32, u32)> = events().map(|e| (e.step, e.neuron)).collect();
        found.sort_unstable();
        assert_eq!(found, wanted, "{}", population.name);
        assert!(events().all(|e| e.chip_step == e.step + symbols.skew));
        compared += wanted.len();
    }
    assert_eq!((&run.out_counts, &run.first_spike), (&expected.out_counts, &expected.first_spike));
    compared
}

/// Random spikes, at most one of a channel in a step.
fn single_spikes(seed: u64, width: u32, steps: u32) -> SpikeTrain {
    let train = random_spikes(seed, width, steps, 0.3);
    let once = |t| {
        let mut channels = train.at(t).to_vec();
        channels.dedup();
        channels
    };
    SpikeTrain::from_steps(width, (0..steps).map(once).collect::<Vec<_>>())
}

/// Compiles random graphs for a target and compares; returns how many needed relays.
fn graphs(seeds: std::ops::Range<u64>, loops: bool, most: u16, target: &Target) -> usize {
    let (mut relayed, mut spikes) = (0, 0);
    for seed in seeds {
        let net = random_graph(seed, loops, most);
        let digest = net.digest();
        let compiled = match compile(Input::Registers { net: &net, digest }, target) {
            Ok(compiled) => compiled,
            Err(CompileError::NothingLeft(_)) => continue,
            Err(e) => panic!("{seed}: {e}"),
        };
        let bundle = Bundle::from_bytes(&compiled.bundle.to_bytes()).unwrap_or_else(|e| panic!("{e}"));
        let image = check_image(&bundle, &Given::Registers { net: &net, digest }).unwrap_or_else(|e| panic!("{seed}: {e}"));
        assert!(image.holds(), "{seed}: {:?}", image.differences);
        assert_eq!(image.checked.relays, compiled.report.lowering.relays.neurons);
        let steps = 120 + u32::from(most);
        spikes += same_spikes(&net, &bundle, &single_spikes(seed, net.populations[0].len() as u32, steps), steps);
        relayed += usize::from(image.checked.relays > 0);
    }
    assert!(spikes > 1000, "only {spikes} spikes");
    relayed
}

#[test]
fn random_graphs_without_loops_keep_their_timing() {
    assert_eq!(graphs(0..60, false, 12, &loihi1()), 0);
    assert!(graphs(100..160, false, 200, &loihi1()) > 30);
    assert!(graphs(200..260, false, 12, &reaching(1)) > 30);
}

#[test]
fn random_graphs_with_loops_keep_their_timing() {
    assert_eq!(graphs(0..60, true, 12, &loihi1()), 0);
    assert!(graphs(100..160, true, 200, &loihi1()) > 30);
    assert!(graphs(200..260, true, 12, &reaching(3)) > 30);
}

/// A network in floats: `shape` of the input, then populations and projections as they are added.
struct Builder {
    network: Network,
}

impl Builder {
    fn new(shape: [u32; 3]) -> Self {
        let conventions = Conventions {
            name: "nir".into(),
            dt_s: 1.0,
            fire: FireRule::Greater,
            reset: ResetRule::ToValue,
            discretization: Discretization::Euler,
        };
        let input = TrainedPopulation { name: "input".into(), shape: shape.into(), role: TrainedRole::Input };
        Builder {
            network: Network {
                name: "residual".into(),
                conventions,
                populations: vec![input],
                projections: Vec::new(),
                output: PopulationId(0),
            },
        }
    }
    fn shape(&self, p: PopulationId) -> [u32; 3] {
        self.network.populations[p.index()].shape.clone().try_into().expect("three dimensions")
    }
    /// Neurons that fire at a potential above 0.75; the last are the output.
    fn population(&mut self, shape: &[u32]) -> PopulationId {
        let n = shape.iter().product::<u32>() as usize;
        let model = NeuronModel::If { r: vec![1.0; n], v_threshold: vec![0.75; n], v_reset: vec![0.0; n] };
        let name = format!("layer{}", self.network.populations.len());
        self.network.populations.push(TrainedPopulation { name, shape: shape.into(), role: TrainedRole::Neurons(model) });
        self.network.output = PopulationId::from(self.network.populations.len() - 1);
        self.network.output
    }
    fn join(&mut self, pre: PopulationId, post: PopulationId, operators: Vec<Operator>) {
        let name = format!("{} to {}", pre.index(), post.index());
        self.network.projections.push(TrainedProjection { name, pre, post, operators, delay_steps: 0 });
    }
    /// A kernel, half of it 0, and the shape that it makes.
    fn kernel(&self, r: &mut ChaCha8Rng, pre: PopulationId, outputs: u32, kernel: u32, stride: u32) -> (Operator, [u32; 3]) {
        let [channels, height, width] = self.shape(pre);
        let axis = |size| Axis { size, kernel, stride, dilation: 1, padding: [kernel / 2; 2] };
        let n = (channels * outputs * kernel * kernel) as usize;
        let row = (channels * kernel * kernel) as usize;
        // No row is all zeros: every layer stays on the way.
        let weight = (0..n)
            .map(|k| {
                if k % row > 0 && r.random_bool(0.5) {
                    0.0
                } else {
                    f32::from(r.random_range(1..=4i8)) / 8.0 * if r.random_bool(0.3) { -1.0 } else { 1.0 }
                }
            })
            .collect();
        let conv = Conv { channels, outputs, groups: 1, axes: vec![axis(height), axis(width)], weight };
        (Operator::Conv(conv), [outputs, height.div_ceil(stride), width.div_ceil(stride)])
    }
    fn conv(&mut self, r: &mut ChaCha8Rng, pre: PopulationId, outputs: u32, kernel: u32, stride: u32) -> PopulationId {
        let (operator, shape) = self.kernel(r, pre, outputs, kernel, stride);
        let post = self.population(&shape);
        self.join(pre, post, vec![operator]);
        post
    }
    /// 1x1, 3x3, 1x1, and the input added before the last neurons fire.
    fn bottleneck(&mut self, r: &mut ChaCha8Rng, pre: PopulationId, narrow: u32, wide: u32, stride: u32) -> PopulationId {
        let a = self.conv(r, pre, narrow, 1, 1);
        let b = self.conv(r, a, narrow, 3, stride);
        let c = self.conv(r, b, wide, 1, 1);
        let same = self.shape(pre) == self.shape(c);
        let skip = if same { Vec::new() } else { vec![self.kernel(r, pre, wide, 1, stride).0] };
        self.join(pre, c, skip);
        c
    }
}

#[test]
fn a_residual_network_of_50_layers_has_the_skews_of_its_longest_ways_and_verifies() {
    let r = &mut ChaCha8Rng::seed_from_u64(50);
    let mut b = Builder::new([3, 8, 8]);
    let mut last = b.conv(r, PopulationId(0), 4, 3, 1);
    for (stage, blocks) in [3, 4, 6, 3].into_iter().enumerate() {
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            last = b.bottleneck(r, last, 2 + stage as u32, 4 + 2 * stage as u32, stride);
        }
    }
    let [c, y, x] = b.shape(last);
    let inputs = c * y * x;
    let weight = (0..10 * inputs).map(|k| ((k * 5 % 9) as f32 - 4.0) / 8.0).collect();
    let out = b.population(&[10]);
    b.join(last, out, vec![Operator::Reshape { shape: vec![inputs] }, Operator::Linear { outputs: 10, inputs, weight }]);
    let network = b.network;
    assert_eq!(network.populations.len(), 51);
    let (net, digest) = (network.elaborate(InputKind::Spikes).unwrap_or_else(|e| panic!("{e}")), network.digest());
    let compiled = compile(Input::Trained { net: &net, digest }, &loihi1()).unwrap_or_else(|e| panic!("{e}"));
    // Each layer is a hop later than the one before it; skips wait for the longer way.
    let skews: Vec<u32> = compiled.bundle.symbols.populations[1..].iter().map(|p| p.skew).collect();
    assert_eq!(skews, (0..50).collect::<Vec<_>>());
    let skip = compiled.report.lowering.projections.iter().find(|p| p.name == "1 to 4").expect("a skip");
    assert_eq!(skip.chip_delay, (3, 3));
    assert_eq!(compiled.report.lowering.relays.neurons, 0);

    let bundle = &compiled.bundle;
    let image = check_image(bundle, &Given::Trained { net: &net, digest }).unwrap_or_else(|e| panic!("{e}"));
    assert!(image.holds(), "{:?}", image.differences);
    let machine = Machine::boot(bundle.loadable()).unwrap_or_else(|e| panic!("{e}"));
    let samples: Vec<Stimulus> = (0..4).map(|seed| Stimulus::Spikes(random_spikes(seed, 192, 20, 0.3))).collect();
    let behaviour = check_behaviour(bundle, &machine, &samples, None, &|| ()).unwrap_or_else(|e| panic!("{e}"));
    assert!(behaviour.holds() && behaviour.spikes > 10_000, "{behaviour:?}");
}

#[test]
fn a_skip_over_150_layers_goes_through_shared_relays() {
    let r = &mut ChaCha8Rng::seed_from_u64(1);
    let mut b = Builder::new([1, 2, 4]);
    let first = b.conv(r, PopulationId(0), 1, 1, 1);
    // The kernel of one weight may be 0: the first layer repeats the input in any case.
    b.network.projections[0].operators.clear();
    let mut last = first;
    for layer in 0..150 {
        let next = b.population(&[1, 2, 4]);
        b.join(last, next, Vec::new());
        last = next;
        if layer == 79 || layer == 149 {
            let scale = Operator::Scale { scale: vec![0.5; 8] };
            b.join(first, next, vec![scale.clone()]);
            b.join(PopulationId(0), next, vec![scale]);
        }
    }
    let (net, digest) = (b.network.elaborate(InputKind::Spikes).unwrap(), b.network.digest());
    let compiled = compile(Input::Trained { net: &net, digest }, &loihi1()).unwrap_or_else(|e| panic!("{e}"));
    let relays = &compiled.report.lowering.relays;
    let made: Vec<_> = relays.populations.iter().map(|p| (p.name.as_str(), p.of.as_str(), p.neurons, p.chip_steps)).collect();
    let expected = [
        ("relay 1 of input", "input", 8, 62),
        ("relay 2 of input", "input", 8, 125),
        ("relay 1 of layer1", "layer1", 8, 63),
        ("relay 2 of layer1", "layer1", 8, 126),
    ];
    assert_eq!(made, expected);
    let skips: Vec<_> = relays.projections.iter().map(|p| (p.name.as_str(), p.synapses, p.relays, p.chip_delay, p.limit)).collect();
    let expected = [("1 to 81", 8, 1, 80, 63), ("0 to 81", 8, 1, 80, 62), ("1 to 151", 8, 2, 150, 63), ("0 to 151", 8, 2, 150, 62)];
    assert_eq!(skips, expected);
    assert_eq!((relays.neurons, compiled.report.max_skew, compiled.report.trained_neurons), (32, 150, 151 * 8));
    let words: u64 = compiled.report.projection_words.iter().sum();
    assert_eq!(
        (words, compiled.report.projection_words.len()),
        (compiled.report.memory_words, compiled.report.quantization.projections.len())
    );
    let text = spikec_report::compile::text(&compiled.report);
    assert!(text.contains("relays: 8 synapses of 0 to 151 leave relay neurons, 2 at most on the way: 150 chip steps"), "{text}");

    let bundle = &compiled.bundle;
    let image = check_image(bundle, &Given::Trained { net: &net, digest }).unwrap_or_else(|e| panic!("{e}"));
    assert!(image.holds(), "{:?}", image.differences);
    assert_eq!(image.checked.relays, 32);
    let machine = Machine::boot(bundle.loadable()).unwrap_or_else(|e| panic!("{e}"));
    let samples = [Stimulus::Spikes(single_spikes(3, 8, 30))];
    let behaviour = check_behaviour(bundle, &machine, &samples, None, &|| ()).unwrap_or_else(|e| panic!("{e}"));
    assert!(behaviour.holds() && behaviour.spikes > 5_000, "{behaviour:?}");
    // A relay repeats a channel once a step, whatever it heard.
    let twice = [Stimulus::Spikes(SpikeTrain::from_steps(8, vec![vec![0], vec![3, 3]]))];
    let error = check_behaviour(bundle, &machine, &twice, None, &|| ()).unwrap_err().to_string();
    assert_eq!(error, "sample 0: channel 3 spikes more than once in step 1, and relays repeat it once");
    assert!(compiled.report.warnings.iter().any(|w| w.code == "C11" && w.layer.as_deref() == Some("input")));
}

#[test]
fn more_relays_than_the_board_has_neurons_are_refused() {
    let mut net = random_graph(1, false, 0);
    let long = net.projections.last_mut().unwrap();
    let delayed = long.synapses.iter().map(|(i, j, w, _)| (i, j, w, u16::MAX)).collect();
    long.synapses = Synapses::from_tuples(long.synapses.pres(), delayed);
    let target = spikec_chip::find("tiny").expect("built in");
    let error = compile(Input::Registers { net: &net, digest: net.digest() }, &target).unwrap_err();
    assert!(error.findings().iter().any(|f| f.code == "C01" && f.resource.contains("relay neurons")), "{error:?}");
}

#[test]
fn a_tight_loop_is_refused_or_lags_as_declared() {
    let mut b = Builder::new([1, 1, 4]);
    let layers: Vec<PopulationId> = (0..3).map(|_| b.population(&[1, 1, 4])).collect();
    b.join(PopulationId(0), layers[0], Vec::new());
    b.join(layers[0], layers[1], Vec::new());
    b.join(layers[1], layers[2], Vec::new());
    b.join(layers[2], layers[0], vec![Operator::Scale { scale: vec![-0.5; 4] }]);
    b.network.projections.last_mut().unwrap().delay_steps = 1;
    let (net, digest) = (b.network.elaborate(InputKind::Spikes).unwrap(), b.network.digest());
    let input = Input::Trained { net: &net, digest };
    let error = compile(input, &loihi1()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("layer3 -[3 to 1]-> layer1") && text.contains("need 3, limit 1"), "{text}");
    assert!(error.hint().contains("2 more step(s)") && error.hint().contains("--timing-policy allow-lag"), "{}", error.hint());

    let options = CompileOptions { timing: spikec_compile::TimingPolicy::AllowLag, ..options() };
    let compiled = spikec_compile::compile(input, &loihi1(), &options, &mut |_| ()).unwrap_or_else(|e| panic!("{e}"));
    assert!(spikec_report::compile::text(&compiled.report).contains("lag: 3 to 1 acts 2 network step(s) later than in the network"));
    let mut bundle = compiled.bundle;
    assert_eq!(bundle.provenance.options, [("lag".to_string(), "3 to 1=2".to_string())]);
    let image = check_image(&bundle, &Given::Trained { net: &net, digest }).unwrap_or_else(|e| panic!("{e}"));
    assert!(image.holds() && image.choices.line().ends_with("lag 3 to 1=2"), "{:?}", image.differences);
    let machine = Machine::boot(bundle.loadable()).unwrap_or_else(|e| panic!("{e}"));
    let behaviour = check_behaviour(&bundle, &machine, &[Stimulus::Spikes(single_spikes(1, 4, 60))], None, &|| ()).unwrap();
    assert!(behaviour.holds() && behaviour.spikes > 50, "{behaviour:?}");
    // A lag that is not declared, another one, and nonsense differ.
    for lags in [vec![], vec!["3 to 1=1"], vec!["3 to 1=x"], vec!["3 to 1=2", "nowhere=1"], vec!["3 to 1=65535"]] {
        bundle.provenance.options = lags.iter().map(|lag| ("lag".to_string(), lag.to_string())).collect();
        let image = check_image(&bundle, &Given::Trained { net: &net, digest }).unwrap_or_else(|e| panic!("{e}"));
        assert!(!image.holds(), "{lags:?}");
    }
}
