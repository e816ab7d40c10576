//! Random float nets and spikes for this crate's tests, small enough to run by the hundred.

use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use spikec_chip::Target;
use spikec_data::{SpikeTrain, Stimulus};
use spikec_net::{FireRule, Float, FloatNeuron, FloatRules, Net, Population, PopulationId, Projection, ResetRule, Role, Synapses};

/// Loihi 1, as shipped.
pub fn loihi() -> Target {
    spikec_chip::target_file::find("loihi1").expect("loihi1 is built in")
}

/// A stream of random numbers.
pub fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// A population of `neurons`.
pub fn population(name: &str, neurons: Vec<FloatNeuron>) -> Population<Float> {
    let n = neurons.len() as u32;
    Population { name: name.into(), shape: vec![n], origin: (0..n).collect(), skew: 0, role: Role::Neurons(neurons) }
}

/// `n` spike channels.
pub fn channels(n: u32) -> Population<Float> {
    Population { name: "input".into(), shape: vec![n], origin: (0..n).collect(), skew: 0, role: Role::SpikeInput }
}

/// A projection from (pre, post, weight, delay).
pub fn projection(name: &str, (pre, post): (u32, u32), pres: usize, synapses: Vec<(u32, u32, f32, u16)>) -> Projection<Float> {
    Projection {
        name: name.into(),
        pre: PopulationId(pre),
        post: PopulationId(post),
        format: (),
        synapses: Synapses::from_tuples(pres, synapses),
    }
}

/// A net: input, two to four layers in a chain, sometimes a skip, sometimes a loop with delay, sparse weights, some
/// neurons without a way in or out, some with a bias that fires, sometimes a readout at the end.
pub fn random_net(seed: u64) -> Net<Float> {
    let mut r = rng(seed);
    let fire = if r.random_bool(0.5) { FireRule::Greater } else { FireRule::GreaterEqual };
    let layers = r.random_range(2..=4usize);
    let readout = r.random_bool(0.3);
    let mut populations = vec![channels(r.random_range(3..12))];
    for layer in 0..layers {
        let n = r.random_range(2..14usize);
        let keep_u = if r.random_bool(0.3) { r.random_range(0.0..0.9) } else { 0.0 };
        let v_reset = if r.random_bool(0.3) { r.random_range(-0.5..0.5) } else { 0.0 };
        let neuron = |r: &mut ChaCha8Rng| FloatNeuron {
            keep_u,
            keep_v: *[1.0, 0.5, 0.9].get(r.random_range(0..3usize)).unwrap(),
            gain: r.random_range(0.3..1.5),
            bias: if r.random_bool(0.2) { r.random_range(-0.2..0.4) } else { 0.0 },
            threshold: if readout && layer + 1 == layers { f32::INFINITY } else { r.random_range(0.6..2.0) },
            v_reset,
        };
        populations.push(population(&format!("layer{layer}"), (0..n).map(|_| neuron(&mut r)).collect()));
    }
    let mut projections = Vec::new();
    let mut connect = |r: &mut ChaCha8Rng, name: String, pre: usize, post: usize, delays: std::ops::Range<u16>| {
        let density = r.random_range(0.1..0.9);
        let scale = 2f32.powi(r.random_range(-3..2));
        let mut synapses = Vec::new();
        for i in 0..populations[pre].len() as u32 {
            for j in 0..populations[post].len() as u32 {
                if r.random_bool(density) {
                    let w: f32 = scale * r.random_range(-1.0..1.5);
                    synapses.push((i, j, if w == 0.0 { scale } else { w }, r.random_range(delays.clone())));
                }
            }
        }
        projections.push(projection(&name, (pre as u32, post as u32), populations[pre].len(), synapses));
    };
    for layer in 0..layers {
        let delays = if r.random_bool(0.3) { 0..4 } else { 0..1 };
        connect(&mut r, format!("fc{layer}"), layer, layer + 1, delays);
    }
    if r.random_bool(0.4) {
        connect(&mut r, "skip".into(), 1, layers, 0..3);
    }
    if r.random_bool(0.4) {
        connect(&mut r, "loop".into(), 2, 1, 2..5);
    }
    Net {
        name: format!("random {seed}"),
        rules: FloatRules { fire, reset: ResetRule::ToValue },
        output: PopulationId::from(populations.len() - 1),
        populations,
        projections,
        host_projections: Vec::new(),
    }
}

/// A sample of random spikes for `net`.
pub fn random_spikes(net: &Net<Float>, seed: u64, steps: u32) -> Stimulus {
    let mut r = rng(seed);
    let width = net.spike_width() as u32;
    let rate = r.random_range(0.1..0.7);
    let steps = (0..steps).map(|_| (0..width).filter(|_| r.random_bool(rate)).collect::<Vec<u32>>()).collect::<Vec<_>>();
    Stimulus::Spikes(SpikeTrain::from_steps(width, steps))
}
