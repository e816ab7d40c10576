//! Tuning small random nets on coarse grids.

use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use spikec_data::{SpikeTrain, Stimulus};
use spikec_net::{FireRule, Float, FloatNeuron, FloatRules, Net, Population, PopulationId, Projection, ResetRule, Role, Synapses};
use spikec_reconstruct::Recording;
use spikec_reconstruct::tune::{Standing, Tuned, tune};

const INPUTS: u32 = 30;
const SIZES: [u32; 3] = [INPUTS, 24, 4];
const STEP: f32 = 0.25;

/// Inputs, a hidden population that hears itself, outputs; with delays of their own where `delayed`.
fn net(seed: u64, reset: ResetRule, delayed: bool) -> Net<Float> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let neuron = FloatNeuron { keep_u: 0.2, keep_v: 0.6, gain: 0.5, bias: 0.02, threshold: 1.0, v_reset: 0.0 };
    let mut projection = |name: &str, pre: u32, post: u32, delays: &[u16], size: f32| {
        let pairs = (0..SIZES[pre as usize]).flat_map(|i| (0..SIZES[post as usize]).map(move |j| (i, j)));
        let tuples = pairs.map(|(i, j)| (i, j, size * rng.random_range(-0.7..1.0f32), delays[rng.random_range(0..delays.len())])).collect();
        let synapses = Synapses::from_tuples(SIZES[pre as usize] as usize, tuples);
        Projection { name: name.into(), pre: PopulationId(pre), post: PopulationId(post), format: (), synapses }
    };
    let mixed: &[u16] = if delayed { &[0, 2] } else { &[0] };
    let projections = vec![projection("in", 0, 1, mixed, 0.8), projection("loop", 1, 1, &[1], 0.3), projection("out", 1, 2, mixed, 0.8)];
    let population = |name: &str, n: u32, role| Population { name: name.into(), shape: vec![n], origin: (0..n).collect(), skew: 0, role };
    Net {
        name: "n".into(),
        rules: FloatRules { fire: FireRule::Greater, reset },
        populations: vec![
            population("in", SIZES[0], Role::SpikeInput),
            population("hidden", SIZES[1], Role::Neurons(vec![neuron; SIZES[1] as usize])),
            population("out", SIZES[2], Role::Neurons(vec![neuron; SIZES[2] as usize])),
        ],
        projections,
        host_projections: Vec::new(),
        output: PopulationId(2),
    }
}

fn samples(seed: u64, n: usize) -> Vec<Stimulus> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut one = || {
        let rates: Vec<f64> = (0..INPUTS).map(|_| rng.random_range(0.0..0.7)).collect();
        let frames = (0..8).map(|_| (0..INPUTS).filter(|&i| rng.random_bool(rates[i as usize])).collect::<Vec<u32>>());
        Stimulus::Spikes(SpikeTrain::from_steps(INPUTS, frames.collect::<Vec<_>>()))
    };
    (0..n).map(|_| one()).collect()
}

/// Every weight at the nearest multiple, a third of them gone.
fn standing(net: &Net<Float>) -> Vec<Standing> {
    let one = |p: &Projection<Float>| {
        let nearest = |(k, (_, _, w, _)): (usize, (u32, u32, f32, u16))| if k % 3 == 0 { 0.0 } else { (w / STEP).round().clamp(-3.0, 3.0) };
        let multiples = p.synapses.iter().enumerate().map(nearest).collect();
        Standing { steps: vec![STEP; SIZES[p.post.index()] as usize], range: (-3.0, 3.0), multiples }
    };
    net.projections.iter().map(one).collect()
}

/// The net where it stands.
fn at(net: &Net<Float>, multiples: &[Vec<f32>], bias_changes: Option<&[Vec<f32>]>) -> Net<Float> {
    let mut out = net.clone();
    for (p, multiples) in out.projections.iter_mut().zip(multiples) {
        p.synapses.weights_mut().iter_mut().zip(multiples).for_each(|(w, m)| *w = m * STEP);
    }
    for (p, population) in out.populations.iter_mut().enumerate() {
        if let (Role::Neurons(neurons), Some(changes)) = (&mut population.role, bias_changes) {
            neurons.iter_mut().zip(&changes[p]).for_each(|(n, c)| n.bias += c);
        }
    }
    out
}

fn distance(net: &Net<Float>, samples: &[Stimulus], taught: &Recording) -> f64 {
    let now = Recording::of_floats(net, samples, None).unwrap();
    let pairs = now.out_counts().iter().flatten().zip(taught.out_counts().iter().flatten());
    pairs.map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>() / samples.len() as f64
}

fn tuned(net: &Net<Float>, samples: &[Stimulus], taught: &Recording) -> Tuned {
    let theirs: Vec<(PopulationId, Vec<u32>)> = (0..3).map(|p| (PopulationId(p), (0..SIZES[p as usize]).collect())).collect();
    tune(net, &standing(net), samples, None, taught, &theirs).unwrap().expect("there is something to tune by")
}

#[test]
fn outputs_come_nearer_on_samples_that_were_not_seen() {
    for (seed, reset, delayed) in [(1, ResetRule::ToValue, false), (2, ResetRule::ToValue, true), (3, ResetRule::Subtract, false)] {
        let net = net(seed, reset, delayed);
        let (seen, others) = (samples(seed, 600), samples(seed + 100, 200));
        let taught = Recording::of_floats(&net, &seen, None).unwrap();
        let wanted = Recording::of_floats(&net, &others, None).unwrap();
        let start: Vec<Vec<f32>> = standing(&net).into_iter().map(|s| s.multiples).collect();
        let result = tuned(&net, &seen, &taught);
        let before = distance(&at(&net, &start, None), &others, &wanted);
        let after = distance(&at(&net, &result.multiples, Some(&result.bias_changes)), &others, &wanted);
        assert!(before > 1.0 && after < 0.5 * before, "seed {seed}: {before} before, {after} after");
        for (multiples, start) in result.multiples.iter().zip(&start) {
            assert_eq!(multiples.len(), start.len());
            assert!(multiples.iter().zip(start).all(|(m, s)| *s != 0.0 || *m == 0.0), "a synapse came back");
            assert!(multiples.iter().all(|m| m.fract() == 0.0 && m.abs() <= 3.0), "off the grid");
        }
        assert!(result.bias_changes[0].is_empty() && result.bias_changes[1].len() == SIZES[1] as usize);
    }
}

#[test]
fn threads_do_not_matter() {
    let net = net(5, ResetRule::ToValue, true);
    let seen = samples(5, 230);
    let taught = Recording::of_floats(&net, &seen, None).unwrap();
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let result = pool.install(|| tuned(&net, &seen, &taught));
        (result.multiples, result.bias_changes)
    };
    assert_eq!(on(1), on(3));
}

#[test]
fn readouts_and_missing_samples_leave_nothing_to_tune_by() {
    let mut net = net(6, ResetRule::ToValue, false);
    let seen = samples(6, 20);
    let taught = Recording::of_floats(&net, &seen, None).unwrap();
    let theirs: Vec<(PopulationId, Vec<u32>)> = (0..3).map(|p| (PopulationId(p), (0..SIZES[p as usize]).collect())).collect();
    assert!(tune(&net, &standing(&net), &[], None, &taught, &theirs).unwrap().is_none());
    if let Role::Neurons(neurons) = &mut net.populations[2].role {
        neurons[0].threshold = f32::INFINITY;
    }
    assert!(tune(&net, &standing(&net), &seen, None, &taught, &theirs).unwrap().is_none());
}
