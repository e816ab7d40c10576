//! Toys: random small networks, and an emitter that is as simple as can be: neurons dealt out to two cores, one input axon for each
//! source and core, formats by projection and compression. It shares nothing with the compiler.

use crate::image::{Given, ImageVerdict, VerifyError, check_image};
use crate::mutate::Random;
use spikec_chip::bundle::{BiasWrite, Bundle, Decoder, DecoderKind, Encoder, Host, HostMap, Place, PopulationSymbols, Provenance, Symbols};
use spikec_chip::codec::encode_core;
use spikec_chip::cost;
use spikec_chip::image::{
    Compartment, CompartmentProfile, CoreTables, Image, InAxon, OutAxon, PackedImage, StoredSynapse, SynapseEntry, SynapseFormat,
};
use spikec_chip::target::{Compression, Sign, Target};
use spikec_data::{SpikeTrain, Stimulus, Values, bias_register};
use spikec_net::*;
use std::collections::BTreeMap;

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
                let net = random_net(&mut r, Role::SpikeInput, fixed_rules(), random_registers, random_fixed_projection);
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

fn of<T: Copy>(r: &mut Random, values: &[T]) -> T {
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

/// in -> h -> o, h -> h (recurrent) and in -> o (skip), sparse.
fn random_net<N: Number>(
    r: &mut Random,
    input: Role<N>,
    rules: N::Rules,
    neurons: impl Fn(&mut Random, usize) -> Vec<N::Neuron>,
    projection: impl Fn(&mut Random, Tuples<()>) -> (N::Format, Tuples<N::Weight>),
) -> Net<N> {
    let sizes = [3 + r.below(5), 3 + r.below(8), 2 + r.below(4)];
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
    let tuples = pairs.into_iter().map(|(i, j, (), d)| (i, j, weight(r), d)).collect();
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
    random_net(r, input, rules, neurons, |r, pairs| ((), pairs.into_iter().map(|(i, j, (), d)| (i, j, real(r) + 0.0005, d)).collect()))
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

/// Physical cores of a toy.
const CORES: [u32; 2] = [3, 57];

/// Finds or adds a record.
fn record<T: PartialEq>(table: &mut Vec<T>, value: T) -> u8 {
    let at = table.iter().position(|v| *v == value).unwrap_or_else(|| {
        table.push(value);
        table.len() - 1
    });
    at as u8
}

fn sign(mode: SignMode) -> Sign {
    match mode {
        SignMode::Mixed => Sign::Mixed,
        SignMode::Excitatory => Sign::Excitatory,
        SignMode::Inhibitory => Sign::Inhibitory,
        SignMode::Split => unreachable!("toys have no split formats"),
    }
}

/// A whole small net on two cores.
pub(crate) fn emit(q: &Quantized, encoder: Encoder, r: &mut Random) -> Bundle {
    let (net, target) = (&q.net, target());
    let memory = &target.packed().synapse_memory;
    let mut tables: Vec<CoreTables> = CORES
        .iter()
        .map(|&core| CoreTables {
            core,
            delay_bits: 0,
            formats: vec![],
            in_axons: vec![],
            compartment_profiles: vec![],
            threshold_profiles: vec![],
            compartments: vec![],
            out_axons: vec![],
        })
        .collect();
    // Neurons dealt out.
    let mut seats: BTreeMap<(usize, u32), (usize, u16)> = BTreeMap::new();
    for (p, population) in net.populations.iter().enumerate() {
        for (j, n) in population.neurons().iter().enumerate() {
            let k = r.below(CORES.len());
            let t = &mut tables[k];
            seats.insert((p, j as u32), (k, t.compartments.len() as u16));
            let FixedNeuron { decay_u, decay_v, threshold, refractory, bias: _ } = *n;
            let compartment = Compartment {
                profile: record(&mut t.compartment_profiles, CompartmentProfile { decay_u, decay_v, refractory }),
                threshold_profile: record(&mut t.threshold_profiles, threshold),
                bias_mantissa: 0,
                bias_exponent: 0,
                out_axon_start: 0,
                out_axon_count: 0,
            };
            t.compartments.push(compartment);
        }
    }
    // Synapses by (core, source), then by projection.
    type Lists = BTreeMap<usize, Vec<StoredSynapse>>;
    let mut fans: BTreeMap<(usize, usize, u32), Lists> = BTreeMap::new();
    for (projection, p) in net.projections.iter().enumerate() {
        let hop = i64::from(!net.population(p.pre).is_input());
        for (i, j, mantissa, d) in p.synapses.iter().filter(|s| s.2 != 0) {
            let (k, compartment) = seats[&(p.post.index(), j)];
            let delay = (net.chip_delay(p, d) - hop) as u8;
            fans.entry((k, p.pre.index(), i)).or_default().entry(projection).or_default().push(StoredSynapse {
                compartment,
                mantissa,
                delay,
            });
        }
    }
    let largest =
        |k: usize| fans.iter().filter(|(key, _)| key.0 == k).flat_map(|(_, l)| l.values().flatten()).map(|s| s.delay).max().unwrap_or(0);
    for (k, t) in tables.iter_mut().enumerate() {
        t.delay_bits = cost::delay_bits(memory, largest(k).into()).expect("a toy's delays are short");
    }
    let mut axons: BTreeMap<(usize, u32), Vec<Place>> = BTreeMap::new();
    let compressions: Vec<Compression> =
        net.projections.iter().map(|_| of(r, &[Compression::Sparse, Compression::RunLength, Compression::Dense])).collect();
    for ((k, pre, i), lists) in fans {
        let t = &mut tables[k];
        let mut axon = InAxon::default();
        for (projection, mut synapses) in lists {
            synapses.sort_unstable();
            let parallel = synapses.windows(2).any(|w| w[0].compartment == w[1].compartment);
            let compression = if parallel { Compression::Sparse } else { compressions[projection] };
            let f = net.projections[projection].format;
            let format = SynapseFormat {
                weight_bits: cost::stored_weight_bits(memory, f.bits).expect("a stored width"),
                index_bits: 6,
                skip_bits: if compression == Compression::RunLength { 2 } else { 0 },
                delay_bits: t.delay_bits,
                compression,
                sign: sign(f.sign),
                exponent: f.exponent,
            };
            let posts: Vec<u16> = synapses.iter().map(|s| s.compartment).collect();
            for section in cost::split(memory, &format, &posts, true) {
                let mut stored = synapses[section.range.clone()].to_vec();
                if compression == Compression::Dense {
                    for compartment in section.first..section.first + section.stored {
                        if !stored.iter().any(|s| s.compartment == compartment) {
                            stored.push(StoredSynapse { compartment, mantissa: 0, delay: 0 });
                        }
                    }
                    stored.sort_unstable();
                }
                axon.entries.push(SynapseEntry { format: record(&mut t.formats, format), synapses: stored });
            }
        }
        axons.entry((pre, i)).or_default().push(Place { core: CORES[k], index: t.in_axons.len() as u16 });
        t.in_axons.push(axon);
    }
    let mut seated: Vec<_> = seats.iter().collect();
    seated.sort_unstable_by_key(|(_, seat)| **seat);
    for (&(p, j), &(k, compartment)) in seated {
        let t = &mut tables[k];
        let out: Vec<OutAxon> = axons.get(&(p, j)).into_iter().flatten().map(|a| OutAxon { core: a.core, in_axon: a.index }).collect();
        let c = &mut t.compartments[compartment as usize];
        (c.out_axon_start, c.out_axon_count) = (t.out_axons.len() as u16, out.len() as u16);
        t.out_axons.extend(out);
    }
    tables.retain(|t| !t.compartments.is_empty());
    let image = PackedImage { cores: tables.iter().map(|t| encode_core(t, &target).expect("a toy fits")).collect() };
    let place = |p: usize, j: u32| seats.get(&(p, j)).map(|&(k, index)| Place { core: CORES[k], index });
    let host = host(net, encoder, &axons, &place, r);
    let symbols = symbols(net, &place);
    let provenance = Provenance {
        tool: "toy".into(),
        network_name: net.name.clone(),
        network_digest: crate::host::hex(&q.network_digest),
        options: vec![("toy".into(), "yes".into())],
        seed: 7,
    };
    Bundle { target, image: Image::Packed(image), host, symbols, provenance, reference: q.to_bytes() }
}

fn host(
    net: &Net<Fixed>,
    encoder: Encoder,
    axons: &BTreeMap<(usize, u32), Vec<Place>>,
    place: &dyn Fn(usize, u32) -> Option<Place>,
    r: &mut Random,
) -> Host {
    let mut input_axons = Vec::new();
    for (p, population) in net.populations.iter().enumerate().filter(|(_, p)| p.role == Role::SpikeInput) {
        for index in 0..population.trained_len() as u32 {
            let now = population.origin.binary_search(&index).ok();
            input_axons.push(now.and_then(|i| axons.get(&(p, i as u32)).cloned()).unwrap_or_default());
        }
    }
    let mut bias_writes = Vec::new();
    for (p, population) in net.populations.iter().enumerate() {
        for (j, n) in population.neurons().iter().enumerate().filter(|(_, n)| n.bias.mantissa != 0) {
            let place = place(p, j as u32).expect("every neuron has a seat");
            bias_writes.push(BiasWrite { chip_step: population.skew, place, mantissa: n.bias.mantissa, exponent: n.bias.exponent });
        }
    }
    let maps = net.host_projections.iter().map(|h| HostMap {
        name: h.name.clone(),
        first_channel: 0,
        delay_steps: h.delay_steps,
        targets: (0..h.constants.len() as u32).map(|j| place(h.post.index(), j).expect("every neuron has a seat")).collect(),
        offsets: h.offsets.clone(),
        channels: h.channels.iter().map(|&c| net.population(h.pre).origin[c as usize]).collect(),
        weights: h.weights.clone(),
        constants: h.constants.clone(),
        gains: h.gains.clone(),
    });
    let output = net.population(net.output);
    let output_place = |index: u32| output.origin.binary_search(&index).ok().and_then(|j| place(net.output.index(), j as u32));
    let input_width = match encoder {
        Encoder::Spikes => net.spike_width(),
        Encoder::Bias => net.value_width(),
        Encoder::Rate { .. } | Encoder::Latency { .. } => net.spike_width() / 2,
    };
    Host {
        input_width: input_width as u32,
        encoder,
        input_axons,
        maps: maps.collect(),
        bias_writes,
        default_steps: Some(9),
        max_skew: net.max_skew(),
        decoder: Decoder {
            kind: of(r, &[DecoderKind::Count, DecoderKind::FirstSpike, DecoderKind::Potential, DecoderKind::Spikes, DecoderKind::Vote(1)]),
            outputs: (0..output.trained_len() as u32).map(output_place).collect(),
            skew: output.skew,
        },
    }
}

fn symbols(net: &Net<Fixed>, place: &dyn Fn(usize, u32) -> Option<Place>) -> Symbols {
    let populations = net.populations.iter().enumerate().map(|(p, population)| PopulationSymbols {
        name: population.name.clone(),
        shape: population.shape.clone(),
        skew: population.skew,
        input: population.is_input(),
        neurons: population.origin.iter().enumerate().filter_map(|(j, &index)| Some((index, place(p, j as u32)?))).collect(),
    });
    Symbols { populations: populations.collect(), output: net.output.0 }
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
