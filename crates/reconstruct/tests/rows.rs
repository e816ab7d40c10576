//! Rows, moments and rounding against plain loops over random small nets.

use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use spikec_data::{SpikeTrain, Stimulus};
use spikec_net::{
    FireRule, Float, FloatNeuron, FloatRules, Interpreter, Net, Population, PopulationId, Projection, ResetRule, Role, Synapses,
};
use spikec_reconstruct::{Features, Grid, Kernel, Moments, Recording, Rows, Scale, Teacher, Trains, moments};

const INPUTS: u32 = 6;

/// Inputs, a hidden population that hears itself with a delay, an output.
fn net(seed: u64) -> Net<Float> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let neuron = FloatNeuron {
        keep_u: if rng.random_bool(0.5) { 0.3 } else { 0.0 },
        keep_v: 0.6,
        gain: 0.5,
        bias: 0.02,
        threshold: 1.0,
        v_reset: -0.1,
    };
    let population = |n: u32, role| Population { name: format!("p{n}"), shape: vec![n], origin: (0..n).collect(), skew: 0, role };
    let neurons = |n: u32| population(n, Role::Neurons(vec![neuron; n as usize]));
    let mut tuples = |pres: u32, posts: u32, delays: &[u16]| {
        let mut list = Vec::new();
        for (i, j) in (0..pres).flat_map(|i| (0..posts).map(move |j| (i, j))) {
            if rng.random_bool(0.8) {
                list.push((i, j, rng.random_range(-0.8..1.4f32), delays[rng.random_range(0..delays.len())]));
            }
        }
        Synapses::from_tuples(pres as usize, list)
    };
    let projection = |name: &str, pre, post, synapses| Projection {
        name: name.into(),
        pre: PopulationId(pre),
        post: PopulationId(post),
        format: (),
        synapses,
    };
    let projections = vec![
        projection("in", 0, 1, tuples(INPUTS, 5, &[0, 2])),
        projection("loop", 1, 1, tuples(5, 5, &[1])),
        projection("out", 1, 2, tuples(5, 3, &[0])),
    ];
    let mut input = population(INPUTS, Role::SpikeInput);
    input.name = "input".into();
    Net {
        name: "n".into(),
        rules: FloatRules { fire: FireRule::Greater, reset: ResetRule::ToValue },
        populations: vec![input, neurons(5), neurons(3)],
        projections,
        host_projections: Vec::new(),
        output: PopulationId(2),
    }
}

fn samples(seed: u64, n: usize) -> Vec<Stimulus> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x5eed);
    let one = |rng: &mut Xoshiro256PlusPlus| {
        let steps = rng.random_range(1..7);
        let frames = (0..steps).map(|_| (0..INPUTS).filter(|_| rng.random_bool(0.4)).collect::<Vec<u32>>());
        let (mut offsets, mut channels) = (vec![0u32], Vec::new());
        for frame in frames {
            channels.extend(frame);
            offsets.push(channels.len() as u32);
        }
        Stimulus::Spikes(SpikeTrain { width: INPUTS, offsets, channels })
    };
    (0..n).map(|_| one(&mut rng)).collect()
}

fn scales(net: &Net<Float>, p: PopulationId) -> Vec<Scale> {
    let scale = |n: &FloatNeuron| {
        let unit = n.threshold - n.v_reset;
        Scale { factor: n.gain / unit, bias: (n.bias + (n.keep_v - 1.0) * n.v_reset) / unit, fires: true }
    };
    net.population(p).neurons().iter().map(scale).collect()
}

/// Trace of a feature by the step law, sample by sample.
fn trace(trains: &Trains, feature: usize, kernel: Kernel) -> Vec<f32> {
    let mut row = vec![0f32; trains.column_count()];
    trains.of_feature(feature).iter().for_each(|&c| row[c as usize] += 1.0);
    for s in trains.starts.windows(2) {
        moments::filter(&mut row[s[0] as usize..s[1] as usize], kernel);
    }
    row
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn traces_without_resets_add_up_to_the_potential(seed in 0u64..1 << 32) {
        // A neuron that never fires is never reset: its potential is the sum of its traces and of its bias.
        let mut net = net(seed);
        let Role::Neurons(neurons) = &mut net.populations[2].role else { unreachable!() };
        neurons.iter_mut().for_each(|n| (n.threshold, n.v_reset) = (f32::INFINITY, 0.0));
        let samples = samples(seed, 4);
        let recording = Recording::of_floats(&net, &samples, None).unwrap();
        let p = PopulationId(2);
        let features = Features::of(&net, p);
        let trains = Trains::of(&features, &recording);
        let n = net.population(p).neurons()[0];
        let kernel = Kernel { keep_u: n.keep_u, keep_v: n.keep_v };
        let interpreter = Interpreter::new(&net).unwrap();
        for (s, sample) in samples.iter().enumerate() {
            let run = interpreter.sample(sample, None, true).unwrap();
            let last = recording.of_sample(s).end - 1;
            let ramp = moments::ramp(recording.of_sample(s).len(), n.keep_v);
            for j in 0..3 {
                let sum: f32 = features.rows[j].iter().map(|x| {
                    let block = &features.blocks[x.block as usize];
                    let weight = net.projection(block.projection).synapses.iter().nth(x.index as usize).unwrap().2;
                    assert_eq!(block.weight(&net, x), weight);
                    n.gain * weight * trace(&trains, x.feature as usize, kernel)[last]
                }).sum();
                let v = sum + n.bias * ramp[ramp.len() - 1];
                prop_assert!((f64::from(v) - run.potentials[j]).abs() < 1e-4, "{v} {}", run.potentials[j]);
            }
        }
    }

    #[test]
    fn moments_are_sums_over_columns(seed in 0u64..1 << 32) {
        let net = net(seed);
        let samples = samples(seed, 5);
        let recording = Recording::of_floats(&net, &samples, None).unwrap();
        for p in [1, 2].map(PopulationId) {
            let features = Features::of(&net, p);
            let trains = Trains::of(&features, &recording);
            let n = net.population(p).neurons()[0];
            let kernel = Kernel { keep_u: n.keep_u, keep_v: n.keep_v };
            let moments = Moments::of(&trains, Some(&trains), kernel, 0.0);
            let x: Vec<Vec<f32>> = (0..features.count).map(|f| trace(&trains, f, kernel)).collect();
            let r: Vec<f32> = (0..samples.len()).flat_map(|s| moments::ramp(recording.of_sample(s).len(), kernel.keep_v)).collect();
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
            for (a, b) in (0..features.count).flat_map(|a| (0..features.count).map(move |b| (a, b))) {
                let by_hand = dot(&x[a], &x[b]) - dot(&x[a], &r) * dot(&x[b], &r) / dot(&r, &r);
                let damping = if a == b { f64::from(moments.damping) } else { 0.0 };
                let found = f64::from(moments.now[a * features.count + b]);
                prop_assert!((found - by_hand - damping).abs() < 1e-3 * (1.0 + by_hand.abs()), "{found} {by_hand}");
                let cross = f64::from(moments.cross.as_ref().unwrap()[a * features.count + b]);
                prop_assert!((cross - by_hand).abs() < 1e-3 * (1.0 + by_hand.abs()));
            }
        }
    }

    #[test]
    fn rounding_is_no_worse_than_the_nearest_and_says_its_error(seed in 0u64..1 << 32, step in 0.02f32..0.3) {
        let net = net(seed);
        let samples = samples(seed, 30);
        let taught = Recording::of_floats(&net, &samples, None).unwrap();
        let p = PopulationId(2);
        let rows = Rows::of(&net, p, None, &Teacher::of(&net, &taught), None, scales(&net, p));
        let features = Features::of(&net, p);
        let trains = Trains::of(&features, &taught);
        let n = net.population(p).neurons()[0];
        let moments = Moments::of(&trains, None, Kernel { keep_u: n.keep_u, keep_v: n.keep_v }, 0.01);
        let grid = Grid { step, least: -4.0, most: 3.0 };
        for j in 0..rows.len() {
            let work = rows.work(j, true);
            let (steps, error) = rows.round(&work, &[grid], 20);
            prop_assert!(steps.iter().all(|s| s.fract() == 0.0 && (-4.0..=3.0).contains(s)));
            let count = moments.count;
            let of = |values: &[f32]| {
                let d: Vec<f64> = values.iter().zip(&work.best).map(|(v, b)| f64::from(v - b)).collect();
                let f: Vec<usize> = features.rows[j].iter().map(|s| s.feature as usize).collect();
                (0..d.len()).flat_map(|a| (0..d.len()).map(move |b| (a, b))).map(|(a, b)| d[a] * f64::from(moments.now[f[a] * count + f[b]]) * d[b]).sum::<f64>()
            };
            let found = of(&Rows::values(&work, &[grid], &steps));
            let nearest: Vec<f32> = work.best.iter().map(|&x| grid.nearest(x) * step).collect();
            prop_assert!((found - f64::from(error)).abs() < 1e-3 * (1.0 + found), "{found} {error}");
            prop_assert!(found <= of(&nearest) * (1.0 + 1e-3) + 1e-6, "{found} {}", of(&nearest));
        }
    }

    #[test]
    fn what_the_teacher_hears_teaches_its_own_weights(seed in 0u64..1 << 32) {
        // A net that equals its teacher, but is another value: its best weights are those it has.
        let (net, teacher) = (net(seed), net(seed));
        let samples = samples(seed, 60);
        let taught = Recording::of_floats(&teacher, &samples, None).unwrap();
        for p in [1, 2].map(PopulationId) {
            let rows = Rows::of(&net, p, None, &Teacher::of(&teacher, &taught), Some(&taught), scales(&net, p));
            let plain = Rows::of(&net, p, None, &Teacher::of(&net, &taught), None, scales(&net, p));
            for j in 0..rows.len() {
                for careful in [false, true] {
                    let (work, wanted) = (rows.work(j, careful), plain.work(j, careful));
                    let near = work.best.iter().zip(&wanted.best).all(|(a, b)| (a - b).abs() < 2e-2 * (1.0 + b.abs()));
                    prop_assert!(near, "{careful} {:?} {:?}", work.best, wanted.best);
                    prop_assert!(rows.bias_change(j, &work, &work.best).abs() < 2e-2);
                }
            }
        }
    }
}

#[test]
fn recordings_do_not_depend_on_threads() {
    let net = net(7);
    let samples = samples(7, 40);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Recording::of_floats(&net, &samples, None).unwrap())
    };
    let one = run(1);
    assert_eq!(one, run(4));
    assert_eq!(one.samples(), 40);
    assert!(one.spikes(PopulationId(0)) > 0 && one.spikes(PopulationId(1)) > 0);
}

#[test]
fn a_smaller_net_learns_from_a_part_of_what_was_summed_up() {
    // The first layer without some synapses and inputs: the moments that the teacher kept and those of a recording are the same.
    for seed in 0..20 {
        let mut teacher = net(seed);
        // Without the loop the layer hears inputs alone.
        teacher.projections[1].synapses = Synapses::from_tuples(5, Vec::new());
        let mut small = teacher.clone();
        for projection in small.projections.iter_mut().filter(|q| q.post == PopulationId(1)) {
            let mut left = spikec_net::Builder::new();
            for (i, row) in projection.synapses.rows().enumerate() {
                left.push_row(row.iter().enumerate().filter(|(k, _)| i % 3 != 0 && (i + k) % 2 == 0).map(|(_, s)| s));
            }
            projection.synapses = left.finish();
        }
        let samples = samples(seed, 40);
        let taught = Recording::of_floats(&teacher, &samples, None).unwrap();
        let now = Recording::of_floats(&small, &samples, None).unwrap();
        let p = PopulationId(1);
        let teacher = Teacher::of(&teacher, &taught);
        let features = teacher.heard_by_both(&small, p).unwrap();
        assert_eq!(features.len(), Features::of(&small, p).count);
        assert!(features.len() < Features::of(teacher.net(), p).count && teacher.heard_by_both(&small, PopulationId(2)).is_none());
        for _ in 0..2 {
            let kept = Rows::of(&small, p, None, &teacher, None, scales(&small, p));
            let recorded = Rows::of(&small, p, None, &teacher, Some(&now), scales(&small, p));
            for (j, careful) in (0..kept.len()).flat_map(|j| [(j, false), (j, true)]) {
                let (a, b) = (kept.work(j, careful), recorded.work(j, careful));
                assert!(
                    a.best.iter().zip(&b.best).all(|(a, b)| (a - b).abs() <= 1e-4 * (1.0 + b.abs())),
                    "{seed} {:?} {:?}",
                    a.best,
                    b.best
                );
                assert!((kept.bias_change(j, &a, &a.best) - recorded.bias_change(j, &b, &b.best)).abs() < 1e-3);
            }
        }
    }
}
