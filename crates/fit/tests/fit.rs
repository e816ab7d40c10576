//! Fitting small random nets: budgets are kept, the result verifies, bad input is named.

use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use spikec_chip::Target;
use spikec_compile::{CompileOptions, Signs};
use spikec_data::{SpikeTrain, Stimulus};
use spikec_fit::budget::Budget;
use spikec_fit::fit::{FILL, Filed, FitFailure, FitOptions, Fitted, Fitter, Method, Shape, Width};
use spikec_fit::layer::Layer;
use spikec_fit::sculpt::{Block, Cost, Options, Saliency};
use spikec_net::{
    Axis, Conv, FireRule, Float, FloatNeuron, FloatRules, Net, Population, PopulationId, Projection, Quantized, ResetRule, Role, Synapses,
    Ties,
};
use spikec_reconstruct::{Recording, Teacher};

const INPUTS: u32 = 40;
const HIDDEN: u32 = 24;
const OUTPUTS: u32 = 4;

fn net(seed: u64) -> Net<Float> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let neuron = FloatNeuron { keep_u: 0.0, keep_v: 0.5, gain: 0.5, bias: 0.0, threshold: 1.0, v_reset: 0.0 };
    let population = |name: &str, n: u32, role| Population { name: name.into(), shape: vec![n], origin: (0..n).collect(), skew: 0, role };
    let neurons = |n: u32| Role::Neurons(vec![neuron; n as usize]);
    let mut dense = |name: &str, pre: u32, (pres, posts): (u32, u32), most: f32| {
        let pairs = (0..pres).flat_map(|i| (0..posts).map(move |j| (i, j)));
        let tuples = pairs.map(|(i, j)| (i, j, rng.random_range(-0.6..1.0f32) * most, 0)).collect();
        let synapses = Synapses::from_tuples(pres as usize, tuples);
        Projection { name: name.into(), pre: PopulationId(pre), post: PopulationId(pre + 1), format: (), synapses }
    };
    let projections = vec![dense("fc1", 0, (INPUTS, HIDDEN), 0.6), dense("fc2", 1, (HIDDEN, OUTPUTS), 0.8)];
    Net {
        name: "n".into(),
        rules: FloatRules { fire: FireRule::Greater, reset: ResetRule::ToValue },
        populations: vec![
            population("in", INPUTS, Role::SpikeInput),
            population("hidden", HIDDEN, neurons(HIDDEN)),
            population("out", OUTPUTS, neurons(OUTPUTS)),
        ],
        projections,
        host_projections: Vec::new(),
        output: PopulationId(2),
    }
}

fn samples(seed: u64, n: usize, rate: f64) -> Vec<Stimulus> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut one = || {
        let bright: Vec<bool> = (0..INPUTS).map(|_| rng.random_bool(0.4)).collect();
        let frames = (0..8).map(|_| (0..INPUTS).filter(|&i| bright[i as usize] && rng.random_bool(rate)).collect::<Vec<u32>>());
        Stimulus::Spikes(SpikeTrain::from_steps(INPUTS, frames.collect::<Vec<_>>()))
    };
    (0..n).map(|_| one()).collect()
}

fn loihi() -> Target {
    spikec_chip::find("loihi1").expect("built in")
}

fn options(method: Method) -> FitOptions {
    let width = |bits, signs| Width { bits, output_bits: bits, signs };
    FitOptions {
        method,
        widths: vec![width(4, Signs::Mixed), width(3, Signs::Split)],
        balances: vec![0.5],
        unroll: false,
        fill: FILL,
        compile: CompileOptions { default_steps: Some(8), partitioner: "sequential".into(), ..CompileOptions::default() },
    }
}

/// The net as it is: what writing and reading a file would change is tested elsewhere.
fn as_it_is(net: &Net<Float>) -> Result<Filed<()>, String> {
    Ok(Filed { net: net.clone(), digest: [3; 32], network: () })
}

fn fit(net: &Net<Float>, samples: &[Stimulus], method: Method, budget: &Budget) -> Result<Fitted<()>, FitFailure> {
    let target = loihi();
    Fitter::new(net, &target, samples, options(method), std::slice::from_ref(budget), &as_it_is, &mut |_| ())?.fit(budget, &mut |_| ())
}

#[test]
fn budgets_are_kept_and_nearly_used() {
    let (net, samples) = (net(1), samples(1, 200, 0.6));
    let all = Budget::default();
    let cases = [
        Budget { synapses: Some(300), ..all.clone() },
        Budget { memory_bytes: Some(8 * 60), ..all.clone() },
        Budget { memory_bytes: Some(8 * 60), synapses: Some(120), ..all.clone() },
        Budget { core_limits: vec![("C02".into(), 30)], ..all.clone() },
        Budget { core_limits: vec![("C01".into(), 15), ("C05".into(), 70)], ..all },
    ];
    for budget in cases {
        let fitted = fit(&net, &samples, Method::default(), &budget).unwrap_or_else(|e| panic!("{budget:?}: {e}"));
        let uses = &fitted.report.budget;
        assert!(!uses.is_empty() && uses.iter().all(|u| u.used <= u.allowed), "{budget:?}: {uses:?}");
        assert!(uses.iter().any(|u| u.used * 10 >= u.allowed * 8), "{budget:?} is hardly used: {uses:?}");
        assert!(fitted.report.candidates.len() >= 2 && fitted.report.score.samples == 40);
        // What the report says is what the bundle holds.
        let image = fitted.compiled.bundle.image.packed();
        let words: usize = image.cores.iter().map(|c| c.synapse_memory.len().div_ceil(64)).sum();
        assert_eq!(words as u64, fitted.compiled.report.memory_words);
    }
}

/// A convolution of 3x3 in steps of two on 8x8 places, and a dense layer; the corner hears nothing, for the kernel's first row and column are 0.
fn convolved(seed: u64) -> Net<Float> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let axis = Axis { size: 8, kernel: 3, stride: 2, dilation: 1, padding: [2, 1] };
    let mut weight: Vec<f32> = (0..6 * 9).map(|_| rng.random_range(-0.5..1.0)).collect();
    for kernel in weight.chunks_mut(9) {
        [0, 1, 2, 3, 6].into_iter().for_each(|k| kernel[k] = 0.0);
    }
    let conv = Conv { channels: 1, outputs: 6, groups: 1, axes: vec![axis, axis], weight };
    let (shape, synapses) = (conv.output_shape().unwrap(), conv.synapses().unwrap());
    let mut net = net(seed);
    let places: u32 = shape.iter().product();
    let neuron = net.populations[1].neurons()[0];
    let dense = (0..places).flat_map(|i| (0..OUTPUTS).map(move |j| (i, j)));
    let dense = dense.map(|(i, j)| (i, j, rng.random_range(-0.4..0.5f32), 0)).collect();
    net.populations[0] = Population { name: "in".into(), shape: vec![1, 8, 8], origin: (0..64).collect(), skew: 0, role: Role::SpikeInput };
    let role = Role::Neurons(vec![neuron; places as usize]);
    net.populations[1] = Population { name: "map".into(), shape, origin: (0..places).collect(), skew: 0, role };
    net.projections[0].synapses = synapses;
    net.projections[1].synapses = Synapses::from_tuples(places as usize, dense);
    net
}

#[test]
fn kernels_are_pruned_as_kernels() {
    let net = convolved(5);
    let samples: Vec<Stimulus> = {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(6);
        let mut one = || {
            let bright: Vec<bool> = (0..64).map(|_| rng.random_bool(0.4)).collect();
            let frames = (0..8).map(|_| (0..64).filter(|&i| bright[i as usize] && rng.random_bool(0.6)).collect::<Vec<u32>>());
            Stimulus::Spikes(SpikeTrain::from_steps(64, frames.collect::<Vec<_>>()))
        };
        (0..100).map(|_| one()).collect()
    };
    let all = net.synapse_count() as u64;
    for (method, share) in
        [(Method::default(), 0.35), (Method { saliency: Saliency::Magnitude, chip_cost: false, ..Method::default() }, 0.4)]
    {
        let budget = Budget { synapses: Some((all as f64 * share) as u64), ..Budget::default() };
        let fitted = fit(&net, &samples, method, &budget).unwrap();
        let used = &fitted.report.budget[0];
        assert!(used.used <= used.allowed && used.used * 10 >= used.allowed * 7, "{used:?}");
        // What is left of the map is kernels with fewer weights: each at every place, with one weight.
        let (before, after) = (Ties::of(&net, PopulationId(1)).unwrap(), Ties::of(&fitted.filed.net, PopulationId(1)).unwrap());
        let (trained, left) = fitted.report.layers[0].kernel_weights.unwrap();
        assert_eq!((before.kernels[0].taps().len() as u64, after.kernels[0].taps().len() as u64), (trained, left));
        // By magnitude alone the dense layer may go first.
        assert!((left < trained || !method.chip_cost) && fitted.report.layers[1].kernel_weights.is_none());
        let kept = |pre, post| after.kernels[0].index(pre, post, 0).is_some();
        let expected = net.projections[0].synapses.iter().filter(|s| kept(s.0, s.1)).count();
        assert_eq!(fitted.filed.net.projections[0].synapses.len(), expected);
        // And in the chip's integers.
        let q = <Quantized>::from_bytes(&fitted.compiled.bundle.reference).unwrap();
        let mut mantissas = std::collections::BTreeMap::new();
        let map = &q.net.projections[0];
        let (pres, posts) = (&q.net.population(map.pre).origin, &q.net.population(map.post).origin);
        for (pre, post, mantissa, _) in map.synapses.iter() {
            let k = after.kernels[0].index(pres[pre as usize], posts[post as usize], 0).unwrap();
            assert_eq!(*mantissas.entry(k).or_insert(mantissa), mantissa, "a kernel's weight is one mantissa");
        }
    }
}

#[test]
fn second_order_with_reconstruction_keeps_more_than_magnitude() {
    let (net, samples) = (net(2), samples(2, 400, 0.6));
    let budget = Budget { synapses: Some(200), ..Budget::default() };
    let distance = |method| fit(&net, &samples, method, &budget).unwrap().report.score.divergence;
    let ours = distance(Method::default());
    let magnitude = distance(Method { saliency: Saliency::Magnitude, chip_cost: false, reconstruct: false, tune: true });
    let refitted = distance(Method { saliency: Saliency::Magnitude, chip_cost: false, reconstruct: true, tune: true });
    assert!(ours < refitted && refitted < magnitude, "{ours} {refitted} {magnitude}");
}

#[test]
fn the_same_on_any_number_of_threads() {
    let (net, samples) = (net(3), samples(3, 80, 0.6));
    let budget = Budget { memory_bytes: Some(400), ..Budget::default() };
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fit(&net, &samples, Method::default(), &budget).unwrap())
    };
    let (one, three) = (run(1), run(3));
    assert_eq!(one.compiled.bundle.to_bytes(), three.compiled.bundle.to_bytes());
    assert_eq!(one.filed.net, three.filed.net);
}

#[test]
fn a_course_takes_every_synapse_once_and_costs_fall_to_nothing() {
    let (net, samples) = (net(4), samples(4, 60, 0.6));
    let taught = Recording::of_floats(&net, &samples, None).unwrap();
    let layers = Layer::all(&Teacher::of(&net, &taught), false);
    let target = loihi();
    for saliency in [Saliency::Magnitude, Saliency::LayerMagnitude, Saliency::Activity, Saliency::SecondOrder] {
        for start in [usize::MAX, 300] {
            let block = Block::new(&layers, Options { saliency, balance: 0.5, start, output: net.output });
            for cost in [Cost::Synapses, Cost::Words(&target, &[3, 5])] {
                let course = block.course(cost);
                let mut removed = course.removed.clone();
                removed.sort();
                removed.dedup();
                assert_eq!((course.removed.len(), removed.len()), (net.synapse_count(), net.synapse_count()), "{saliency:?}");
                let (_, last, _) = *course.steps.last().unwrap();
                assert!(last.abs() < 1e-6 && course.steps.windows(2).all(|w| w[0].0 < w[1].0), "{saliency:?} {last}");
            }
        }
    }
}

/// `inputs` channels into two neurons that are the output.
fn wide(inputs: u32) -> Net<Float> {
    let mut net = net(7);
    net.populations[0].shape = vec![inputs];
    net.populations[0].origin = (0..inputs).collect();
    net.populations.remove(1);
    net.projections.truncate(1);
    let Role::Neurons(neurons) = &mut net.populations[1].role else { panic!("neurons") };
    neurons.truncate(2);
    (net.populations[1].shape, net.populations[1].origin) = (vec![2], vec![0, 1]);
    let tuples = (0..inputs).flat_map(|i| (0..2).map(move |j| (i, j, 0.1 + 0.001 * ((i * 7 + j) % 97) as f32, 0))).collect();
    net.projections[0].synapses = Synapses::from_tuples(inputs as usize, tuples);
    net.output = PopulationId(1);
    net
}

fn wide_samples(inputs: u32) -> Vec<Stimulus> {
    let step = |k: u32, t: u32| (0..inputs).filter(|i| (i * 31 + k * 17 + t * 5).is_multiple_of(41)).collect::<Vec<u32>>();
    (0..20).map(|k| Stimulus::Spikes(SpikeTrain::from_steps(inputs, (0..4).map(|t| step(k, t)).collect::<Vec<_>>()))).collect()
}

#[test]
fn rows_too_long_for_an_inverse_lose_the_least_salient_first_and_wider_ones_are_refused() {
    let net = wide(1100);
    let taught = Recording::of_floats(&net, &wide_samples(1100), None).unwrap();
    let layers = Layer::all(&Teacher::of(&net, &taught), false);
    let options = Options { saliency: Saliency::SecondOrder, balance: 0.5, start: usize::MAX, output: net.output };
    let course = Block::new(&layers, options).course(Cost::Synapses);
    let mut removed = course.removed.clone();
    removed.sort();
    removed.dedup();
    assert_eq!((course.removed.len(), removed.len()), (2200, 2200));
    // What rows are too long by is gone before the first step.
    assert_eq!(course.steps[0].0, 2 * (1100 - 1024));
    let refused = fit(&wide(8193), &wide_samples(8193), Method::default(), &Budget { cores: Some(1), ..Budget::default() }).unwrap_err();
    assert!(matches!(refused, FitFailure::TooWide { features: 8193, limit: 8192, .. }), "{refused}");
}

#[test]
fn one_fitter_serves_large_and_small_budgets() {
    // Large and small budgets of one dense net together, as a frontier has them.
    let (net, samples) = (net(8), samples(8, 60, 0.6));
    let target = loihi();
    let budgets = [100_000u64, 400].map(|bytes| Budget { memory_bytes: Some(bytes), ..Budget::default() });
    let fitter = Fitter::new(&net, &target, &samples, options(Method::default()), &budgets, &as_it_is, &mut |_| ()).unwrap();
    for budget in &budgets {
        let fitted = fitter.fit(budget, &mut |_| ()).unwrap_or_else(|e| panic!("{budget:?}: {e}"));
        assert!(fitted.report.budget.iter().all(|u| u.used <= u.allowed));
    }
}

#[test]
fn the_largest_weights_stay_by_magnitude() {
    let (net, samples) = (net(5), samples(5, 20, 0.6));
    let taught = Recording::of_floats(&net, &samples, None).unwrap();
    let layers = Layer::all(&Teacher::of(&net, &taught), false);
    let block = Block::new(&layers, Options { saliency: Saliency::Magnitude, balance: 1.0, start: usize::MAX, output: net.output });
    let weight = |at: &spikec_fit::sculpt::At| layers[at.layer as usize].rows[at.row as usize][at.position as usize].abs();
    let course = block.course(Cost::Synapses);
    // Neurons that nothing reaches any more go at once; until the first of them, weights go by size.
    let first: Vec<f32> = course.removed[..200].iter().map(weight).collect();
    assert!(first.windows(2).all(|w| w[0] <= w[1]));
}

#[test]
fn what_can_not_be_done_is_named() {
    let net = net(6);
    let good = samples(6, 40, 0.6);
    let refuse = |samples: &[Stimulus], budget: Budget| fit(&net, samples, Method::default(), &budget).unwrap_err();
    let budget = || Budget { synapses: Some(100), ..Budget::default() };
    assert!(matches!(refuse(&good, Budget::default()), FitFailure::NoBudget));
    assert!(matches!(refuse(&good[..3], budget()), FitFailure::FewSamples { found: 3, expected: 10 }));
    assert!(matches!(refuse(&samples(6, 40, 0.0), budget()), FitFailure::Silent));
    let narrow: Vec<Stimulus> = (0..20).map(|_| Stimulus::Spikes(SpikeTrain::from_steps(3, vec![vec![0u32]; 4]))).collect();
    assert!(matches!(refuse(&narrow, budget()), FitFailure::Samples(_)));
    for small in [
        Budget { cores: Some(0), ..Budget::default() },
        Budget { synapses: Some(0), ..Budget::default() },
        Budget { memory_bytes: Some(7), ..Budget::default() },
        Budget { core_limits: vec![("C01".into(), 1)], ..Budget::default() },
    ] {
        let error = refuse(&good, small.clone());
        let FitFailure::TooSmall(least) = &error else { panic!("{small:?}: {error}") };
        assert!(least.used > least.allowed && !error.hint().is_empty(), "{least:?}");
    }
}

#[test]
fn cores_are_dealt_out_where_layers_hear_more_than_a_core_does() {
    let (net, samples) = (net(7), samples(7, 200, 0.6));
    let mut target = spikec_chip::find("tiny").expect("built in");
    let packed = target.packed_mut();
    let core = &mut packed.core;
    (core.in_axons.value, core.compartments.value) = (16, 8);
    let budget = Budget { cores: Some(7), ..Budget::default() };
    let options = FitOptions {
        widths: vec![Width { bits: 4, output_bits: 4, signs: Signs::Mixed }],
        compile: CompileOptions { default_steps: Some(8), ..CompileOptions::default() },
        ..options(Method::default())
    };
    let fitter = Fitter::new(&net, &target, &samples, options, std::slice::from_ref(&budget), &as_it_is, &mut |_| ()).unwrap();
    let fitted = fitter.fit(&budget, &mut |_| ()).unwrap();
    assert!(fitted.compiled.report.cores <= 7);
    // Together the cores hear more inputs, and the outputs more hidden neurons, than one core could.
    let whole = fitted.report.candidates.iter().find(|c| c.shape == Shape::Whole).expect("whole removals were tried");
    assert!(whole.synapses > 16 * u64::from(HIDDEN - 8), "{whole:?}");
    assert!(fitted.report.layers[0].axons_left > 16, "{:?}", fitted.report.layers);
}
