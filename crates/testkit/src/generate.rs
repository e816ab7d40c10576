//! Random networks, nets and samples.
//!
//! In: a seed. Out: something valid that a Loihi 1 target can hold: delays of recurrent and feedback edges cover the hops of
//! their cycle, registers are in range, and few formats and neuron kinds meet in a population.
//! Why: every differential test draws from here, so what isn't drawn here isn't tested.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use spikec_data::{SpikeTrain, Values};
use spikec_net::{
    Bias, Conventions, Discretization, FireRule, Fixed, FixedNeuron, FixedRules, Float, HostProjection, InputKind, Net, Network,
    NeuronModel, Operator, Population, PopulationId, Projection, ResetRule, Role, SignMode, Synapses, TrainedPopulation, TrainedProjection,
    TrainedRole, WeightFormat,
};

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// An edge between populations with the smallest net delay that every target with one hop between neurons can time.
#[derive(Debug, Clone, Copy)]
struct Edge {
    pre: usize,
    post: usize,
    least_delay: u16,
}

/// Edges of a random net: population 0 is the input, then `layers` populations in a chain, with skips, loops and feedback.
fn edges(rng: &mut ChaCha8Rng, layers: usize) -> Vec<Edge> {
    let mut edges: Vec<Edge> = (0..layers).map(|pre| Edge { pre, post: pre + 1, least_delay: 0 }).collect();
    for post in 1..=layers {
        if rng.random_bool(0.4) {
            edges.push(Edge { pre: post, post, least_delay: 1 });
        }
        if post >= 2 && rng.random_bool(0.3) {
            let pre = rng.random_range(0..post - 1);
            edges.push(Edge { pre, post, least_delay: 0 });
        }
        if post < layers && rng.random_bool(0.3) {
            // Back from a later population: the way forwards may have a hop a layer and no delay at all.
            let pre = rng.random_range(post + 1..=layers);
            edges.push(Edge { pre, post, least_delay: (pre - post + 1) as u16 });
        }
    }
    edges
}

/// A random net in registers with one spike input and 1 to 4 populations of at most `size` neurons.
///
/// It has loops, feedback, skips, delays (of a projection or of each synapse), every sign mode, widths 1 to 6 and 8, exponents,
/// biases, refractory periods, neurons without a way in or out, constant sources, synapses of a neuron onto itself, parallel
/// synapses, synapses of weight 0, and registers large enough to wrap and clip.
pub fn random_fixed_net(seed: u64, size: usize) -> Net<Fixed> {
    fixed_net(&mut rng(seed), size, false)
}

/// As [`random_fixed_net`], but with an analog input whose values the host turns into biases of the first population.
pub fn random_analog_net(seed: u64, size: usize) -> Net<Fixed> {
    fixed_net(&mut rng(seed), size, true)
}

fn fixed_net(rng: &mut ChaCha8Rng, size: usize, analog: bool) -> Net<Fixed> {
    let size = size.max(2);
    let layers = rng.random_range(1..=4usize);
    let sizes: Vec<usize> = (0..=layers).map(|_| rng.random_range(1..=size)).collect();
    let population =
        |name: String, n: usize, role| Population { name, shape: vec![n as u32], origin: (0..n as u32).collect(), skew: 0, role };
    let hot = rng.random_bool(0.15);
    let input = if analog { Role::AnalogInput } else { Role::SpikeInput };
    let mut populations = vec![population("input".into(), sizes[0], input)];
    for (layer, &n) in sizes.iter().enumerate().skip(1) {
        populations.push(population(format!("layer{layer}"), n, Role::Neurons(fixed_neurons(rng, n, hot))));
    }
    let mut projections = Vec::new();
    let mut host_projections = Vec::new();
    for (k, edge) in edges(rng, layers).into_iter().enumerate() {
        let (name, pre, post) = (format!("projection{k}"), PopulationId::from(edge.pre), PopulationId::from(edge.post));
        if analog && edge.pre == 0 {
            if edge.post == 1 {
                host_projections.push(host_projection(rng, name, (pre, sizes[0]), (post, sizes[1])));
            }
            continue;
        }
        let format = weight_format(rng, hot);
        let synapses = fixed_synapses(rng, format, edge, sizes[edge.pre], sizes[edge.post]);
        projections.push(Projection { name, pre, post, format, synapses });
    }
    let output = PopulationId::from(layers);
    Net { name: "random".into(), rules: FixedRules::default(), populations, projections, host_projections, output }
}

/// A format; in a hot net the weights are as large as they can be.
fn weight_format(rng: &mut ChaCha8Rng, hot: bool) -> WeightFormat {
    let bits = [1, 2, 3, 4, 5, 6, 8, 8, 8, 8][rng.random_range(0..10)];
    let exponent = match rng.random_range(0..10) {
        _ if hot => rng.random_range(6..=7),
        0 => rng.random_range(-7..=7),
        _ => rng.random_range(-2..=2),
    };
    let sign = [SignMode::Mixed, SignMode::Split, SignMode::Excitatory, SignMode::Excitatory, SignMode::Inhibitory][rng.random_range(0..5)];
    WeightFormat { bits, exponent, sign }
}

/// Neurons of a population: at most 3 kinds, each with its own bias now and then. In a hot net currents pile up.
fn fixed_neurons(rng: &mut ChaCha8Rng, n: usize, hot: bool) -> Vec<FixedNeuron> {
    let kinds: Vec<FixedNeuron> = (0..rng.random_range(1..=3))
        .map(|_| FixedNeuron {
            decay_u: if hot { rng.random_range(1..=100) } else { [rng.random_range(1..=4096), 4096, 2048, 1][rng.random_range(0..4)] },
            decay_v: [rng.random_range(0..=4095), 0, 1024, 4095][rng.random_range(0..4)],
            threshold: if rng.random_bool(0.05) { rng.random_range(0..1 << 17) } else { rng.random_range(0..600) },
            refractory: if rng.random_bool(0.5) { 1 } else { rng.random_range(2..=9) },
            bias: Bias::default(),
        })
        .collect();
    (0..n)
        .map(|_| {
            let mut neuron = kinds[rng.random_range(0..kinds.len())];
            if rng.random_bool(0.15) {
                let exponent = if rng.random_bool(0.2) { rng.random_range(0..=7) } else { 0 };
                neuron.bias = Bias { mantissa: rng.random_range(-4095..=4095), exponent };
            }
            neuron
        })
        .collect()
}

fn fixed_synapses(rng: &mut ChaCha8Rng, format: WeightFormat, edge: Edge, pres: usize, posts: usize) -> Synapses<i16> {
    let density = rng.random_range(0.05..0.9);
    let uniform = rng.random_bool(0.5);
    let most = if rng.random_bool(0.1) { 40 } else { 5 };
    let base = edge.least_delay + if rng.random_bool(0.5) { 0 } else { rng.random_range(0..=most) };
    // Neurons that nothing enters, and neurons that nothing leaves.
    let silent: Vec<bool> = (0..pres).map(|_| rng.random_bool(0.1)).collect();
    let closed: Vec<bool> = (0..posts).map(|_| rng.random_bool(0.1)).collect();
    let (low, high) = format.mantissa_range();
    let shift = format.grid_shift();
    let mut tuples = Vec::new();
    for i in (0..pres).filter(|&i| !silent[i]) {
        for j in (0..posts).filter(|&j| !closed[j]) {
            if !rng.random_bool(density) {
                continue;
            }
            for _ in 0..if rng.random_bool(0.04) { 2 } else { 1 } {
                let mut mantissa = 0;
                while mantissa == 0 && !rng.random_bool(0.02) {
                    mantissa = rng.random_range(low >> shift..=high >> shift) << shift;
                }
                let delay = if uniform { base } else { edge.least_delay + rng.random_range(0..=most) };
                tuples.push((i as u32, j as u32, mantissa, delay));
            }
        }
    }
    Synapses::from_tuples(pres, tuples)
}

fn host_projection(
    rng: &mut ChaCha8Rng,
    name: String,
    (pre, channels_of_pre): (PopulationId, usize),
    (post, posts): (PopulationId, usize),
) -> HostProjection {
    let density = rng.random_range(0.1..1.0);
    let (mut offsets, mut channels, mut weights) = (vec![0], Vec::new(), Vec::new());
    for _ in 0..posts {
        for c in 0..channels_of_pre {
            if rng.random_bool(density) {
                channels.push(c as u32);
                weights.push(rng.random_range(-1.0..1.0f32));
            }
        }
        offsets.push(channels.len() as u32);
    }
    let constants = (0..posts).map(|_| if rng.random_bool(0.3) { rng.random_range(-1.0..1.0) } else { 0.0 }).collect();
    let gain = 2f64.powf(rng.random_range(8.0..16.0));
    let delay_steps = if rng.random_bool(0.2) { rng.random_range(1..=3) } else { 0 };
    HostProjection { name, pre, post, offsets, channels, weights, constants, gains: vec![gain; posts], delay_steps }
}

/// A random network as trained: LIF, IF and CubaLIF populations joined by chains of `Linear`, `Bias`, `Scale` and `Reshape`,
/// with loops, feedback, skips and pruned weights; sometimes the output is a readout (LI).
pub fn random_network(seed: u64) -> Network {
    let rng = &mut rng(seed);
    let layers = rng.random_range(1..=3usize);
    let shapes: Vec<Vec<u32>> = (0..=layers)
        .map(|_| {
            let n = rng.random_range(1..=12u32);
            if rng.random_bool(0.3) { vec![rng.random_range(1..=3), 2, n] } else { vec![n] }
        })
        .collect();
    let population = |name: String, shape: &Vec<u32>, role| TrainedPopulation { name, shape: shape.clone(), role };
    let mut populations = vec![population("input".into(), &shapes[0], TrainedRole::Input)];
    for (layer, shape) in shapes.iter().enumerate().skip(1) {
        let n = shape.iter().product::<u32>() as usize;
        let model = neuron_model(rng, n, layer == layers);
        populations.push(population(format!("layer{layer}"), shape, TrainedRole::Neurons(model)));
    }
    let reads_out = |p: &TrainedPopulation| matches!(p.role, TrainedRole::Neurons(NeuronModel::Li { .. }));
    let mut projections = Vec::new();
    for edge in edges(rng, layers) {
        let (pre, post) = (&populations[edge.pre], &populations[edge.post]);
        if reads_out(pre) {
            continue;
        }
        projections.push(TrainedProjection {
            name: format!("fc{}", projections.len()),
            pre: PopulationId::from(edge.pre),
            post: PopulationId::from(edge.post),
            operators: operators(rng, pre, post),
            delay_steps: edge.least_delay as u32 + if rng.random_bool(0.2) { rng.random_range(1..=4) } else { 0 },
        });
    }
    let discretization = if rng.random_bool(0.7) { Discretization::Euler } else { Discretization::Exact };
    let fire = if rng.random_bool(0.7) { FireRule::Greater } else { FireRule::GreaterEqual };
    let conventions = Conventions { name: "random".into(), dt_s: 1.0, fire, reset: ResetRule::ToValue, discretization };
    Network { name: "random".into(), conventions, populations, projections, output: PopulationId::from(layers) }
}

fn neuron_model(rng: &mut ChaCha8Rng, n: usize, output: bool) -> NeuronModel {
    let (one, zero) = (vec![1.0f32; n], vec![0.0f32; n]);
    let tau = |rng: &mut ChaCha8Rng| vec![[1.0, 2.0, 4.0, rng.random_range(1.5..10.0)][rng.random_range(0..4)]; n];
    let v_leak: Vec<f32> = (0..n).map(|_| if rng.random_bool(0.1) { rng.random_range(-0.5..1.5) } else { 0.0 }).collect();
    match rng.random_range(0..10) {
        0 if output => NeuronModel::Li { tau: tau(rng), r: one, v_leak },
        0..=5 => NeuronModel::Lif { tau: tau(rng), r: one.clone(), v_leak, v_threshold: one, v_reset: zero },
        6 | 7 => NeuronModel::If { r: one.clone(), v_threshold: one, v_reset: zero },
        _ => NeuronModel::CubaLif {
            tau_syn: tau(rng),
            tau_mem: tau(rng),
            r: one.clone(),
            v_leak,
            v_threshold: one.clone(),
            v_reset: zero,
            w_in: one,
        },
    }
}

fn operators(rng: &mut ChaCha8Rng, pre: &TrainedPopulation, post: &TrainedPopulation) -> Vec<Operator> {
    let (inputs, outputs) = (pre.len() as u32, post.len() as u32);
    let density = rng.random_range(0.1..1.0);
    let spread = 3.0 / (inputs as f32 * density as f32).sqrt();
    let mut operators = Vec::new();
    if pre.shape.len() > 1 {
        operators.push(Operator::Reshape { shape: vec![inputs] });
    }
    if rng.random_bool(0.15) {
        operators.push(Operator::Scale { scale: (0..inputs).map(|_| rng.random_range(0.5..1.5)).collect() });
    }
    let mut matrix = |outputs: u32, inputs: u32| {
        let weight = (0..outputs * inputs).map(|_| if rng.random_bool(density) { rng.random_range(-0.6..1.0) * spread } else { 0.0 });
        Operator::Linear { outputs, inputs, weight: weight.collect() }
    };
    if inputs % 3 == 0 {
        operators.push(matrix(4, inputs));
        operators.push(matrix(outputs, 4));
    } else {
        operators.push(matrix(outputs, inputs));
    }
    if rng.random_bool(0.4) {
        operators.push(Operator::Bias { bias: (0..outputs).map(|_| rng.random_range(-0.3..0.5)).collect() });
    }
    if rng.random_bool(0.15) {
        operators.push(Operator::Scale { scale: (0..outputs).map(|_| rng.random_range(0.5..1.5)).collect() });
    }
    if post.shape.len() > 1 {
        operators.push(Operator::Reshape { shape: post.shape.clone() });
    }
    operators
}

/// A random net in floats with a spike input: an elaborated [`random_network`].
pub fn random_float_net(seed: u64) -> Net<Float> {
    random_network(seed).elaborate(InputKind::Spikes).expect("a random network is valid")
}

/// Random input spikes: each channel spikes in a step with probability `rate`, now and then twice.
pub fn random_spikes(seed: u64, width: u32, steps: u32, rate: f64) -> SpikeTrain {
    let rng = &mut rng(seed);
    let mut step = || {
        let mut channels = Vec::new();
        for c in (0..width).filter(|_| rng.random_bool(rate)).collect::<Vec<_>>() {
            channels.extend(std::iter::repeat_n(c, if rng.random_bool(0.03) { 2 } else { 1 }));
        }
        channels
    };
    let steps: Vec<_> = (0..steps).map(|_| step()).collect();
    SpikeTrain::from_steps(width, steps)
}

/// Random values in -1 .. 1: one frame for the whole sample when `steps` is `None`, else one a step.
pub fn random_values(seed: u64, width: u32, steps: Option<u32>) -> Values {
    let rng = &mut rng(seed);
    let frames = (0..width as usize * steps.unwrap_or(1) as usize).map(|_| rng.random_range(-1.0..1.0f32)).collect();
    Values { width, frames, constant: steps.is_none() }
}
