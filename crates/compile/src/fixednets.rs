//! Nets in registers and targets for the tests of packing, partition, placement and emission.

use rand::Rng;
use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;
use spikec_chip::Target;
use spikec_chip::target::Packed;
use spikec_net::{
    Bias, Fixed, FixedNeuron, FixedRules, Net, Population, PopulationId, Projection, Quantized, Role, Scaling, SignMode, Synapses,
    WeightFormat,
};

pub const NEURON: FixedNeuron =
    FixedNeuron { decay_u: 4096, decay_v: 0, threshold: 100, refractory: 1, bias: Bias { mantissa: 0, exponent: 0 } };
pub const MIXED8: WeightFormat = WeightFormat { bits: 8, exponent: 0, sign: SignMode::Mixed };

/// Loihi 1, as shipped.
pub fn loihi() -> Target {
    spikec_chip::find("loihi1").expect("built in")
}

/// Loihi 1 with some numbers changed.
pub fn changed(change: impl FnOnce(&mut Packed)) -> Target {
    let mut target = loihi();
    let packed = target.packed_mut();
    change(packed);
    target
}

/// A net under construction: populations, then synapses between them.
pub struct Builder {
    net: Net<Fixed>,
}

impl Builder {
    pub fn new() -> Self {
        Builder {
            net: Net {
                name: "hand-made".into(),
                rules: FixedRules::default(),
                populations: Vec::new(),
                projections: Vec::new(),
                host_projections: Vec::new(),
                output: PopulationId(0),
            },
        }
    }

    fn population(&mut self, name: &str, shape: &[u32], skew: u32, role: Role<Fixed>) -> PopulationId {
        let origin = (0..shape.iter().product()).collect();
        self.net.populations.push(Population { name: name.into(), shape: shape.to_vec(), origin, skew, role });
        PopulationId::from(self.net.populations.len() - 1)
    }

    pub fn input(&mut self, n: u32) -> PopulationId {
        self.population("input", &[n], 0, Role::SpikeInput)
    }

    /// Neurons that step `skew` chip steps late; the last ones added are the output.
    pub fn neurons(&mut self, name: &str, skew: u32, neurons: Vec<FixedNeuron>) -> PopulationId {
        let n = neurons.len() as u32;
        self.net.output = self.population(name, &[n], skew, Role::Neurons(neurons));
        self.net.output
    }

    /// Equal neurons in a tensor.
    pub fn tensor(&mut self, name: &str, skew: u32, shape: &[u32]) -> PopulationId {
        let n: u32 = shape.iter().product();
        self.net.output = self.population(name, shape, skew, Role::Neurons(vec![NEURON; n as usize]));
        self.net.output
    }

    /// Synapses (pre, post, mantissa, net delay).
    pub fn connect(&mut self, (pre, post): (PopulationId, PopulationId), format: WeightFormat, synapses: Vec<(u32, u32, i16, u16)>) {
        let name = format!("projection{}", self.net.projections.len());
        let synapses = Synapses::from_tuples(self.net.population(pre).len(), synapses);
        self.net.projections.push(Projection { name, pre, post, format, synapses });
    }

    pub fn build(self) -> Quantized {
        assert_eq!(self.net.check(), Ok(()));
        quantized(self.net)
    }
}

/// A net whose skews are set, as it would come from `adopt`.
pub fn quantized(net: Net<Fixed>) -> Quantized {
    Quantized { net, scaling: Scaling::Exact, network_digest: [0; 32] }
}

/// Every pair, with nonzero weights in no pattern: no two rows are alike.
pub fn all_to_all(pres: u32, posts: u32) -> Vec<(u32, u32, i16, u16)> {
    let weight = |i: u32, j: u32| 2 * (((i * posts + j).wrapping_mul(0x9e37_79b1) >> 16) % 100);
    (0..pres).flat_map(|i| (0..posts).map(move |j| (i, j, 2 + weight(i, j) as i16, 0))).collect()
}

/// `count` random pairs without repetition.
pub fn sparse(seed: u64, pres: u32, posts: u32, count: usize) -> Vec<(u32, u32, i16, u16)> {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let mut pairs = sample(rng, pres as usize * posts as usize, count).into_vec();
    pairs.sort_unstable();
    let pair = |k: usize| (k as u32 / posts, k as u32 % posts);
    pairs.into_iter().map(|k| (pair(k).0, pair(k).1, 2 * rng.random_range(1..100), 0)).collect()
}

/// Three layers of 784, `hidden` and 10.
pub fn mnist(hidden: u32, first: Vec<(u32, u32, i16, u16)>, second: Vec<(u32, u32, i16, u16)>) -> Quantized {
    let mut b = Builder::new();
    let input = b.input(784);
    let middle = b.neurons("hidden", 0, vec![NEURON; hidden as usize]);
    let output = b.neurons("output", 1, vec![NEURON; 10]);
    b.connect((input, middle), MIXED8, first);
    b.connect((middle, output), MIXED8, second);
    b.build()
}

/// `n` neurons that each have `fan_out` random posts among them, and one input channel each.
pub fn recurrent(seed: u64, n: u32, fan_out: usize) -> Quantized {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let mut b = Builder::new();
    let input = b.input(n);
    let all = b.neurons("recurrent", 0, vec![NEURON; n as usize]);
    b.connect((input, all), MIXED8, (0..n).map(|i| (i, i, 2, 0)).collect());
    let mut synapses = Vec::new();
    for i in 0..n {
        for j in sample(rng, n as usize, fan_out) {
            synapses.push((i, j as u32, 2 * rng.random_range(1..100), 1));
        }
    }
    b.connect((all, all), MIXED8, synapses);
    b.build()
}
