//! Mapping instances as networks in chip integers.
//!
//! In: a bare hypergraph (a file of `spikec map`, or [`Stack::graph`]) and a seed. Out: a `Registers` model with its arrays, as
//! docs/network-format.md has them.
//! Invariant: the same graph and seed give the same bytes; synapses stay lists (`Coo`): memory is linear in them.
//! Why these numbers: weights are even (the 8-bit mixed grid) and positive on average, and a layer's threshold is its mean weight times its
//! mean fan-in, so that its neurons fire about as often as those before it, whatever the fan-in; a layer without synapses fires by biases
//! that differ from neuron to neuron, so that spikes spread over the steps.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use spikec_data::{Array, ArrayData, DataSet, SpikeTrain, Stimulus};
use spikec_map::hypergraph::{Hypergraph, Layer, Shape};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Half of the smallest and of the largest weight.
const HALF_WEIGHTS: std::ops::RangeInclusive<i16> = -50..=77;
/// Their mean.
const MEAN_WEIGHT: f64 = 27.0;
/// Threshold of neurons without synapses.
const SOURCE_THRESHOLD: u32 = 100;
/// That of a constant source: below the largest bias without an exponent.
const CONSTANT_THRESHOLD: u32 = 10;
/// Steps from one spike to the next of neurons that only their bias drives.
const PERIODS: std::ops::RangeInclusive<i32> = 3..=24;

/// A model file and the arrays that it names.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The text of the RON file.
    pub ron: String,
    /// The arrays of the `.npz` file.
    pub arrays: Vec<(String, Array)>,
}

impl Model {
    /// The bytes of the `.npz` file.
    pub fn npz(self) -> Vec<u8> {
        let arrays: Vec<(&str, Array)> = self.arrays.iter().map(|(name, array)| (name.as_str(), array.clone())).collect();
        spikec_data::write_npz(&arrays)
    }
}

/// Synapses of a projection.
#[derive(Default)]
struct Coo {
    pre: Vec<u32>,
    post: Vec<u32>,
    weight: Vec<i16>,
}

/// Layers become populations, their synapses projections, the last layer the output; `arrays_file` is what the model calls its `.npz`.
pub fn model(graph: &Hypergraph, name: &str, arrays_file: &str, seed: u64) -> Model {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let layers = graph.layers();
    let mut arrays = Vec::new();
    let mut add = |name: String, data: ArrayData, n: usize| {
        let reference = format!("\"{arrays_file}:{name}\"");
        arrays.push((name, Array { shape: vec![n], data }));
        reference
    };
    let mut ron =
        format!("// Made by the example `instance_network` from a mapping instance, seed {seed}.\nRegisters(\n    name: {name:?},\n");
    let inputs = if graph.inputs() == 0 { String::new() } else { format!("(name: \"in\", n: {})", graph.inputs()) };
    writeln!(ron, "    inputs: [{inputs}],\n    populations: [").expect("a text");
    let mut projections: BTreeMap<(usize, usize), Coo> = BTreeMap::new();
    for (l, layer) in layers.iter().enumerate() {
        let mut synapses = 0;
        for j in 0..layer.neurons {
            for (axon, count) in graph.synapses(layer.first + j) {
                let source = graph.source(axon);
                let pre = source.map_or(0, |s| layers.partition_point(|l| l.first <= s));
                let coo = projections.entry((pre, l)).or_default();
                for _ in 0..count {
                    // A weight of 0 would be no synapse.
                    let half = rng.random_range(HALF_WEIGHTS);
                    coo.pre.push(source.map_or(axon, |s| s - layers[pre - 1].first));
                    coo.post.push(j);
                    coo.weight.push(2 * if half == 0 { 1 } else { half });
                    synapses += 1;
                }
            }
        }
        let threshold = if layer.neurons == 1 && synapses == 0 {
            CONSTANT_THRESHOLD
        } else if synapses == 0 {
            SOURCE_THRESHOLD
        } else {
            (MEAN_WEIGHT * f64::from(synapses) / f64::from(layer.neurons)).ceil() as u32
        };
        let bias = if synapses == 0 {
            let force = threshold as i32 * 64;
            // One neuron alone is a constant source: it fires in every step.
            let period = |rng: &mut ChaCha8Rng| if layer.neurons == 1 { 1 } else { rng.random_range(PERIODS) };
            let biases = (0..layer.neurons).map(|_| (force / period(&mut rng) + 1) as i16).collect();
            add(format!("bias{l}"), ArrayData::I16(biases), layer.neurons as usize)
        } else {
            "0".into()
        };
        let shape = layer.shape.map_or(layer.neurons.to_string(), |s| format!("{}, {}, {}", s.channels, s.height, s.width));
        writeln!(
            ron,
            "        (name: \"layer{l}\", shape: [{shape}], decay_u: 4096, decay_v: {}, threshold: {threshold}, bias_mantissa: {bias}),",
            if synapses == 0 { 0 } else { 128 }
        )
        .expect("a text");
    }
    writeln!(ron, "    ],\n    projections: [").expect("a text");
    for ((pre, post), coo) in projections {
        let n = coo.pre.len();
        let from = if pre == 0 { "in".into() } else { format!("layer{}", pre - 1) };
        let key = format!("_{from}_layer{post}");
        let i = add(format!("i{key}"), ArrayData::U32(coo.pre), n);
        let j = add(format!("j{key}"), ArrayData::U32(coo.post), n);
        let w = add(format!("w{key}"), ArrayData::I16(coo.weight), n);
        let synapses = format!("Coo(pre_index: {i}, post_index: {j}, weight: {w})");
        writeln!(ron, "        (pre: \"{from}\", post: \"layer{post}\", synapses: {synapses}),").expect("a text");
    }
    writeln!(ron, "    ],\n    output: \"layer{}\",\n)", layers.len() - 1).expect("a text");
    Model { ron, arrays }
}

/// The graph with one neuron more, in a layer before the others, that reaches all of them: a constant source, as elaboration adds one for constants
/// into filtered currents.
pub fn with_constant(graph: &Hypergraph) -> Hypergraph {
    let inputs = graph.inputs();
    let (mut offsets, mut axons) = (vec![0, 0], Vec::new());
    for v in 0..graph.neurons() {
        axons.push(inputs);
        for (axon, count) in graph.synapses(v) {
            axons.extend(std::iter::repeat_n(axon + u32::from(axon >= inputs), count as usize));
        }
        offsets.push(axons.len());
    }
    let mut layers = vec![Layer { first: 0, neurons: 1, shape: None, origin: Vec::new() }];
    layers.extend(graph.layers().iter().map(|l| Layer { first: l.first + 1, ..l.clone() }));
    Hypergraph::new(inputs, offsets, axons, layers)
}

/// `samples` samples of `steps` steps without a spike, for a network of `width` input channels: a data file.
pub fn silence(samples: usize, steps: u32, width: u32) -> Vec<u8> {
    let train = SpikeTrain::from_steps(width, vec![Vec::new(); steps as usize]);
    DataSet { width, samples: vec![Stimulus::Spikes(train); samples], labels: None }.to_npz()
}

/// A stage of a pruned convolutional network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// 3 x 3, padded by 1, to so many channels.
    Conv(u32),
    /// 2 x 2 with stride 2, every channel by itself; not pruned.
    Pool,
    /// All to so many neurons.
    Full(u32),
}

/// A pruned convolutional network whose first stage has no inputs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stack<'a> {
    /// Height and width of the first stage.
    pub side: u32,
    /// The stages, first one `Conv`.
    pub stages: &'a [Stage],
    /// Share of the kernels' weights (and of full matrices) that is kept.
    pub density: f64,
    /// Which ones.
    pub seed: u64,
}

impl Stack<'_> {
    /// The network of Gradient Rewiring (Chen et al. 2021) for CIFAR-10 at 0.73 %: 1,067,108 neurons, about 12 million synapses.
    pub const MILLION: Stack<'static> = Stack {
        side: 32,
        stages: &[
            Stage::Conv(256),
            Stage::Conv(256),
            Stage::Conv(256),
            Stage::Pool,
            Stage::Conv(256),
            Stage::Conv(256),
            Stage::Conv(256),
            Stage::Pool,
            Stage::Full(2048),
            Stage::Full(100),
        ],
        density: 0.0073,
        seed: 4,
    };

    /// The hypergraph.
    pub fn graph(&self) -> Hypergraph {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let (mut offsets, mut axons, mut layers) = (vec![0], Vec::new(), Vec::<Layer>::new());
        let mut before = Shape { channels: 0, height: self.side, width: self.side };
        for stage in self.stages {
            let start = layers.last().map_or(0, |l| l.first);
            let shape = match *stage {
                Stage::Conv(channels) => Shape { channels, ..before },
                Stage::Pool => Shape { height: before.height / 2, width: before.width / 2, ..before },
                Stage::Full(neurons) => Shape { channels: neurons, height: 1, width: 1 },
            };
            let at = |c: u32, y: u32, x: u32| start + (c * before.height + y) * before.width + x;
            for c in 0..shape.channels {
                let inputs = match stage {
                    Stage::Conv(_) => before.channels * 9,
                    Stage::Pool => 0,
                    Stage::Full(_) => before.channels * before.height * before.width,
                };
                let kept: Vec<u32> = (0..inputs).filter(|_| rng.random_bool(self.density)).collect();
                for y in 0..shape.height {
                    for x in 0..shape.width {
                        match stage {
                            Stage::Conv(_) => axons.extend(kept.iter().filter_map(|k| {
                                let (sy, sx) = ((y + k % 9 / 3).wrapping_sub(1), (x + k % 3).wrapping_sub(1));
                                (sy < before.height && sx < before.width).then(|| at(k / 9, sy, sx))
                            })),
                            Stage::Pool => axons.extend([(0, 0), (0, 1), (1, 0), (1, 1)].map(|(dy, dx)| at(c, 2 * y + dy, 2 * x + dx))),
                            Stage::Full(_) => axons.extend(kept.iter().map(|k| start + k)),
                        }
                        offsets.push(axons.len());
                    }
                }
            }
            let first = layers.last().map_or(0, |l| l.first + l.neurons);
            let neurons = shape.channels * shape.height * shape.width;
            layers.push(Layer { first, neurons, shape: Some(shape), origin: Vec::new() });
            before = shape;
        }
        Hypergraph::new(0, offsets, axons, layers)
    }
}
