//! Toys: random small networks, and an emitter (`emit`) that is as simple as can be. It shares nothing with the compiler.

mod emit;
mod emit_crossbar;
mod emit_event;
mod integers;

pub(crate) use emit::emit;
pub(crate) use integers::{Chip, IntegerToy};

use crate::image::{Given, ImageVerdict, VerifyError, check_image};
use crate::mutate::Random;
use spikec_chip::bundle::{Bundle, Encoder};
use spikec_chip::target::Target;
use spikec_data::{SpikeTrain, Stimulus, Values, bias_register};
use spikec_net::*;

/// A network as a user would give it.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Registers(Net<Fixed>),
    /// Before input coding.
    Trained(Net<Float>),
}

/// A network and its bundle.
#[derive(Debug, Clone)]
pub(crate) struct Toy {
    pub source: Source,
    pub digest: [u8; 32],
    pub bundle: Bundle,
}

/// Kinds of toys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Registers,
    Spikes,
    Bias,
    Rate,
    Latency,
}

pub(crate) const KINDS: [Kind; 5] = [Kind::Registers, Kind::Spikes, Kind::Bias, Kind::Rate, Kind::Latency];

impl Toy {
    pub fn new(kind: Kind, seed: u64) -> Toy {
        let mut r = Random::new(seed.wrapping_mul(977) + kind as u64);
        match kind {
            Kind::Registers => {
                let sizes = sizes(&mut r);
                let net = random_net(&mut r, sizes, Role::SpikeInput, fixed_rules(), random_registers, random_fixed_projection);
                Toy::of_registers(net, &mut r)
            }
            Kind::Spikes => Toy::of_trained(random_float(&mut r, Role::SpikeInput), Encoder::Spikes, &mut r),
            Kind::Bias => Toy::of_trained(random_float(&mut r, Role::AnalogInput), Encoder::Bias, &mut r),
            Kind::Rate => Toy::of_trained(random_float(&mut r, Role::AnalogInput), Encoder::Rate { full_scale: 1.5 }, &mut r),
            Kind::Latency => Toy::of_trained(random_float(&mut r, Role::AnalogInput), Encoder::Latency { full_scale: 1.0 }, &mut r),
        }
    }

    pub fn of_registers(net: Net<Fixed>, r: &mut Random) -> Toy {
        let digest = net.digest();
        let quantized = Quantized { net: lower(&net), scaling: Scaling::Exact, network_digest: digest };
        Toy { bundle: emit(&quantized, Encoder::Spikes, r), source: Source::Registers(net), digest }
    }

    pub fn of_trained(plain: Net<Float>, encoder: Encoder, r: &mut Random) -> Toy {
        let digest = plain.digest();
        let coded = code_inputs(plain.clone(), coding(&encoder)).expect("a toy's inputs can be coded");
        let quantized = quantize(&lower(&coded), digest);
        Toy { bundle: emit(&quantized, encoder, r), source: Source::Trained(plain), digest }
    }

    /// The image check of another bundle against this network, its inputs coded as that bundle's encoder says.
    pub fn check(&self, bundle: &Bundle) -> Result<ImageVerdict, VerifyError> {
        self.with_given(bundle, |given| check_image(bundle, given))
    }

    /// Calls `f` with the network as given for a bundle.
    pub fn with_given<T>(&self, bundle: &Bundle, f: impl FnOnce(&Given) -> T) -> T {
        match &self.source {
            Source::Registers(net) => f(&Given::Registers { net, digest: self.digest }),
            Source::Trained(plain) => {
                // A net that can't be coded in that way is given as it is.
                let coded = code_inputs(plain.clone(), coding(&bundle.host.encoder)).unwrap_or_else(|_| plain.clone());
                f(&Given::Trained { net: &coded, digest: self.digest })
            }
        }
    }

    pub fn quantized(&self) -> Quantized {
        Quantized::from_bytes(&self.bundle.reference).expect("a toy's reference can be read")
    }

    /// A random sample.
    pub fn sample(&self, r: &mut Random, steps: u32) -> Stimulus {
        let width = self.bundle.host.input_width;
        match self.bundle.host.encoder {
            Encoder::Spikes => {
                let step = |r: &mut Random| (0..width).filter(|_| r.below(2) == 0).collect();
                Stimulus::Spikes(SpikeTrain::from_steps(width, (0..steps).map(|_| step(r)).collect::<Vec<_>>()))
            }
            _ => {
                let constant = r.below(2) == 0;
                let frames = if constant { width } else { width * steps };
                let frames = (0..frames).map(|_| real(r) * 2.0).collect();
                Stimulus::Values(Values { width, frames, constant })
            }
        }
    }
}

fn coding(encoder: &Encoder) -> InputCoding {
    match encoder {
        Encoder::Spikes => InputCoding::Spikes,
        Encoder::Bias => InputCoding::Bias,
        Encoder::Rate { full_scale } => InputCoding::Rate { full_scale: *full_scale },
        Encoder::Latency { full_scale } => InputCoding::Latency { full_scale: *full_scale },
    }
}

pub(crate) fn target() -> Target {
    spikec_chip::find("loihi1").expect("loihi1 is built in")
}

fn fixed_rules() -> FixedRules {
    FixedRules::default()
}

/// -1 .. 1.
fn real(r: &mut Random) -> f32 {
    r.below(2001) as f32 / 1000.0 - 1.0
}

pub(super) fn of<T: Copy>(r: &mut Random, values: &[T]) -> T {
    values[r.below(values.len())]
}

/// Tuples (pre, post, weight, delay) of a random projection.
type Tuples<W> = Vec<(u32, u32, W, u16)>;

fn random_pairs(r: &mut Random, pres: usize, posts: usize, delays: &[u16]) -> Tuples<()> {
    let mut all = Vec::new();
    for i in 0..pres as u32 {
        for j in 0..posts as u32 {
            for _ in 0..1 + r.below(8) / 7 {
                if r.below(5) < 2 {
                    all.push((i, j, (), of(r, delays)));
                }
            }
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// Neurons of a net's populations.
fn sizes(r: &mut Random) -> [usize; 3] {
    [3 + r.below(5), 3 + r.below(8), 2 + r.below(4)]
}

/// in -> h -> o, h -> h (recurrent) and in -> o (skip), sparse.
fn random_net<N: Number>(
    r: &mut Random,
    sizes: [usize; 3],
    input: Role<N>,
    rules: N::Rules,
    neurons: impl Fn(&mut Random, usize) -> Vec<N::Neuron>,
    projection: impl Fn(&mut Random, Tuples<()>) -> (N::Format, Tuples<N::Weight>),
) -> Net<N> {
    let population = |name: &str, n: usize, role| Population {
        name: name.into(),
        shape: vec![1, n as u32],
        origin: (0..n as u32).collect(),
        skew: 0,
        role,
    };
    let analog = input == Role::AnalogInput;
    let populations = vec![
        population("in", sizes[0], input),
        population("h", sizes[1], Role::Neurons(neurons(r, sizes[1]))),
        population("o", sizes[2], Role::Neurons(neurons(r, sizes[2]))),
    ];
    let mut projections = Vec::new();
    let edges: [(&str, usize, usize, &[u16]); 4] =
        [("in-h", 0, 1, &[0]), ("h-o", 1, 2, &[0, 2]), ("h-h", 1, 1, &[1, 3]), ("in-o", 0, 2, &[0, 1])];
    for (name, pre, post, delays) in edges.into_iter().filter(|e| !(analog && e.1 == 0)) {
        let pairs = random_pairs(r, sizes[pre], sizes[post], delays);
        let (format, tuples) = projection(r, pairs);
        let synapses = Synapses::from_tuples(sizes[pre], tuples);
        projections.push(Projection { name: name.into(), pre: pre.into(), post: post.into(), format, synapses });
    }
    let mut host_projections = Vec::new();
    if analog {
        host_projections.push(random_map(r, sizes[0], sizes[1]));
    }
    Net { name: "toy".into(), rules, populations, projections, host_projections, output: PopulationId(2) }
}

fn random_map(r: &mut Random, inputs: usize, posts: usize) -> HostProjection {
    let (mut offsets, mut channels, mut weights) = (vec![0], Vec::new(), Vec::new());
    for _ in 0..posts {
        for c in 0..inputs as u32 {
            if r.below(2) == 0 {
                channels.push(c);
                weights.push(real(r) + 0.0005);
            }
        }
        offsets.push(channels.len() as u32);
    }
    HostProjection {
        name: "map".into(),
        pre: PopulationId(0),
        post: PopulationId(1),
        offsets,
        channels,
        weights,
        constants: (0..posts).map(|_| f64::from(real(r)) * 0.1).collect(),
        gains: vec![1.0; posts],
        delay_steps: r.below(2) as u32,
    }
}

fn random_registers(r: &mut Random, n: usize) -> Vec<FixedNeuron> {
    let one = |r: &mut Random| FixedNeuron {
        decay_u: of(r, &[4096, 2048, 900]),
        decay_v: of(r, &[0, 300, 4095]),
        threshold: of(r, &[60, 150, 333]),
        refractory: of(r, &[1, 1, 2, 4]),
        bias: of(
            r,
            &[
                Bias::default(),
                Bias { mantissa: 700, exponent: 0 },
                Bias { mantissa: -33, exponent: 3 },
                Bias { mantissa: 99, exponent: 5 },
            ],
        ),
    };
    (0..n).map(|_| one(r)).collect()
}

fn random_fixed_projection(r: &mut Random, pairs: Tuples<()>) -> (WeightFormat, Tuples<i16>) {
    let format = WeightFormat {
        bits: of(r, &[8, 8, 6, 4]),
        exponent: of(r, &[0, 1, -1, 2]),
        sign: of(r, &[SignMode::Mixed, SignMode::Mixed, SignMode::Excitatory, SignMode::Inhibitory]),
    };
    let (low, high) = format.mantissa_range();
    let weight = |r: &mut Random| format.on_grid(low + r.below((high - low) as usize + 1) as i16);
    // Some weights are a kernel's: alike wherever j - i is.
    let kernel = [weight(r), weight(r)];
    let repeats = r.below(2) == 0;
    let of_pair = |r: &mut Random, i: u32, j: u32| if repeats { kernel[(i + j) as usize % 2] } else { weight(r) };
    let tuples = pairs.into_iter().map(|(i, j, (), d)| (i, j, of_pair(r, i, j), d)).collect();
    (format, tuples)
}

fn random_float(r: &mut Random, input: Role<Float>) -> Net<Float> {
    let rules = FloatRules { fire: of(r, &[FireRule::Greater, FireRule::GreaterEqual]), reset: ResetRule::ToValue };
    let analog = input == Role::AnalogInput;
    let neurons = |r: &mut Random, n: usize| {
        let one = |r: &mut Random| FloatNeuron {
            keep_u: if analog { 0.0 } else { of(r, &[0.0, 0.5, 0.75]) },
            keep_v: of(r, &[0.9, 0.5, 1.0]),
            gain: of(r, &[1.0, 0.3]),
            bias: of(r, &[0.0, 0.0, 0.12, -0.05]),
            threshold: of(r, &[0.5, 1.0, 0.7]),
            v_reset: of(r, &[0.0, 0.0, -0.1]),
        };
        (0..n).map(|_| one(r)).collect()
    };
    let sizes = sizes(r);
    random_net(r, sizes, input, rules, neurons, |r, pairs| {
        ((), pairs.into_iter().map(|(i, j, (), d)| (i, j, real(r) + 0.0005, d)).collect())
    })
}

/// Removes what is dead and sets the skews: 1 for the output, 0 for the rest.
fn lower<N: Liveness>(net: &Net<N>) -> Net<N> {
    let keep = live(net);
    let index: Vec<Vec<Option<u32>>> = keep
        .iter()
        .map(|k| {
            let mut next = 0;
            k.iter()
                .map(|&kept| {
                    next += kept as u32;
                    kept.then(|| next - 1)
                })
                .collect()
        })
        .collect();
    let keep = &keep;
    let chosen = |k: usize| (0..keep[k].len()).filter(move |&i| keep[k][i]);
    let mut out = net.clone();
    for (k, p) in out.populations.iter_mut().enumerate() {
        p.origin = chosen(k).map(|i| net.populations[k].origin[i]).collect();
        p.skew = u32::from(k == net.output.index());
        if let Role::Neurons(n) = &mut p.role {
            *n = chosen(k).map(|i| net.populations[k].neurons()[i].clone()).collect();
        }
    }
    for p in &mut out.projections {
        let (pre, post) = (&index[p.pre.index()], &index[p.post.index()]);
        let tuples = p.synapses.iter().filter_map(|(i, j, w, d)| Some((pre[i as usize]?, post[j as usize]?, w, d))).collect();
        p.synapses = Synapses::from_tuples(pre.iter().flatten().count(), tuples);
    }
    out.projections.retain(|p| !p.synapses.is_empty());
    for h in &mut out.host_projections {
        let old = h.clone();
        (h.offsets, h.channels, h.weights) = (vec![0], Vec::new(), Vec::new());
        for j in chosen(h.post.index()) {
            for k in old.offsets[j] as usize..old.offsets[j + 1] as usize {
                h.channels.push(index[h.pre.index()][old.channels[k] as usize].expect("a channel of a live neuron is live"));
                h.weights.push(old.weights[k]);
            }
            h.offsets.push(h.channels.len() as u32);
        }
        h.constants = chosen(h.post.index()).map(|j| old.constants[j]).collect();
        h.gains = chosen(h.post.index()).map(|j| old.gains[j]).collect();
    }
    out
}

/// Every threshold at 400 mantissas, mixed 8-bit weights, the least exponent that holds the largest weight.
fn quantize(net: &Net<Float>, network_digest: [u8; 32]) -> Quantized {
    const LEVEL: f64 = 400.0;
    let units: Vec<Vec<f64>> = net
        .populations
        .iter()
        .map(|p| p.neurons().iter().map(|n| LEVEL * 64.0 / (f64::from(n.threshold) - f64::from(n.v_reset))).collect())
        .collect();
    let bias_of = |n: &FloatNeuron| f64::from(n.bias) - (1.0 - f64::from(n.keep_v)) * f64::from(n.v_reset);
    let register = |n: &FloatNeuron, units: f64| {
        let decay = |keep: f32, low: f64| (4096.0 * (1.0 - f64::from(keep))).round().clamp(low, low + 4095.0) as u16;
        let bias = bias_register(bias_of(n) * units, 4095, 7);
        FixedNeuron {
            decay_u: decay(n.keep_u, 1.0),
            decay_v: decay(n.keep_v, 0.0),
            threshold: LEVEL as u32 - u32::from(net.rules.fire == FireRule::GreaterEqual),
            refractory: 1,
            bias: Bias { mantissa: bias.mantissa, exponent: bias.exponent },
        }
    };
    let populations = net.populations.iter().zip(&units).map(|(p, units)| Population {
        name: p.name.clone(),
        shape: p.shape.clone(),
        origin: p.origin.clone(),
        skew: p.skew,
        role: match &p.role {
            Role::SpikeInput => Role::SpikeInput,
            Role::AnalogInput => Role::AnalogInput,
            Role::Neurons(n) => Role::Neurons(n.iter().zip(units).map(|(n, &u)| register(n, u)).collect()),
        },
    });
    let projections = net.projections.iter().map(|p| {
        let ideal = |j: u32, w: f32| {
            f64::from(w) * f64::from(net.population(p.post).neurons()[j as usize].gain) * units[p.post.index()][j as usize] / 64.0
        };
        let largest = p.synapses.iter().map(|(_, j, w, _)| ideal(j, w).abs()).fold(0.0, f64::max);
        let exponent = (0..8).find(|&e| largest / f64::from(1 << e) < 254.0).expect("a toy's weights are small");
        let scaled = p.synapses.iter().map(|(i, j, w, d)| (i, j, ((ideal(j, w) / f64::from(1 << exponent) / 2.0).round() * 2.0) as i16, d));
        Projection {
            name: p.name.clone(),
            pre: p.pre,
            post: p.post,
            format: WeightFormat { bits: 8, exponent, sign: SignMode::Mixed },
            synapses: Synapses::from_tuples(net.population(p.pre).len(), scaled.filter(|s| s.2 != 0).collect()),
        }
    });
    let host_projections = net.host_projections.iter().map(|h| {
        let mut out = h.clone();
        for (j, n) in net.population(h.post).neurons().iter().enumerate() {
            let gain = h.gains[j] * f64::from(n.gain);
            out.gains[j] = gain * units[h.post.index()][j];
            out.constants[j] += if bias_of(n) == 0.0 { 0.0 } else { bias_of(n) / gain };
        }
        out
    });
    let fixed = Net {
        name: net.name.clone(),
        rules: fixed_rules(),
        populations: populations.collect(),
        projections: projections.collect(),
        host_projections: host_projections.collect(),
        output: net.output,
    };
    Quantized { net: fixed, scaling: Scaling::Scaled { v_units: units, deviation_steps: 0.5, bias_deviation: 0.0 }, network_digest }
}

#[test]
fn toys_are_not_trivial() {
    let mut removed = 0;
    for kind in KINDS {
        let toys: Vec<Toy> = (0..20).map(|seed| Toy::new(kind, seed)).collect();
        let synapses: usize = toys.iter().map(|t| t.quantized().net.synapse_count()).sum();
        assert!(synapses > 200, "{kind:?}: {synapses} synapses");
        removed += toys.iter().map(|t| t.check(&t.bundle).expect("a toy can be checked").checked.removed_neurons).sum::<u64>();
    }
    assert!(removed > 0, "no toy has a dead neuron");
}

#[test]
fn some_toys_have_copies() {
    let copies =
        |kind| (0..20).map(move |seed| Toy::new(kind, seed)).map(|t| t.check(&t.bundle).expect("a toy can be checked").checked.copies);
    for kind in KINDS {
        let (all, with) = copies(kind).fold((0, 0), |(all, with), n| (all + n, with + u32::from(n > 0)));
        assert!(all > 10 && with < 20, "{kind:?}: {all} copies in {with} toys");
    }
}
