//! Quantizing for a crossbar: integers for each neuron, and the axons by which each source enters.
//!
//! In: a lowered `Net<Float>`, the target, how many axons a source may take in a core. Out: [`Wired`]: the net in registers with the codes of its
//! synapses, or every neuron that the chip can't be.
//! Invariant: a synapse weighs what the axons of its code add up to; types of a source are the same in every core; nothing after this chooses a value.
//! Cost: rounds x synapses x 2^axons. Why groups: with fewer axons a source than there are types, sources fall into groups with types of their own,
//! so that a neuron has levels for each.

use super::levels::{self, Wanted};
use super::measure::Measured;
use crate::families::bases;
use crate::finding::{self, Finding};
use crate::quantize::Lost;
use spikec_chip::crossbar::{Crossbar as Spec, CrossbarReset, NegativeCompare, Overflow};
use spikec_net::{
    Crossbar, CrossbarNeuron, CrossbarRules, FireRule, Float, FloatNeuron, FloatRules, Net, Population, PotentialOverflow, Projection,
    Quantized, ResetRule, Role, Scaling, Synapses,
};
use std::collections::BTreeMap;

/// Rounds in which sources look for a better group.
const ROUNDS: usize = 4;
/// Thresholds of at least so many units are made whole; for smaller ones that would cost weights more than it gains (measured: ranc256 with 20 units).
const WHOLE_FROM: f64 = 32.0;
/// Largest threshold in units: finer ones change nothing and use up the range of wide potentials.
const MOST_UNITS: f64 = 4096.0;

/// A synapse as a core has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Input {
    /// Unit (population by population, inputs included) that it comes from.
    pub source: u32,
    /// Chip steps from the source's spike to its effect.
    pub delay: u32,
    /// Types of the axons by which it acts: bit k for type k.
    pub types: u16,
}

/// A net in registers, with the axons of its synapses.
#[derive(Debug, Clone)]
pub struct Wired {
    /// The net.
    pub quantized: Quantized<Crossbar>,
    /// First unit of each population; one entry more at the end.
    pub bases: Vec<u32>,
    /// For each unit, its synapses that are left, ascending; none for inputs.
    pub inputs: Vec<Vec<Input>>,
    /// For each unit, the weight of each type; empty for inputs.
    pub weights: Vec<Vec<i32>>,
    /// What rounding did.
    pub errors: Errors,
    /// What it did to the weights of each population.
    pub lost: Vec<Lost>,
    /// The unit that each unit repeats, itself for those of the network; empty where none repeats.
    pub roots: Vec<u32>,
    /// Neurons that gather sources of another (`gather`): the first that repeat.
    pub gathers: u64,
    /// Sum of the squared errors of the weights, in units of thresholds, each times its source's rate.
    pub effect: f64,
}

/// What rounding did to the weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Errors {
    /// Axons that a source may take in a core.
    pub axons_per_source: u32,
    /// Root of (squared errors / squared weights), each neuron's in units of its threshold.
    pub relative: f64,
    /// Synapses that weigh 0 now.
    pub vanished: u64,
    /// Largest move of a bias that makes up for errors of weights, in float units of v.
    pub bias_moved: f64,
}

/// The rules of a target's neurons.
pub fn rules(spec: &Spec) -> CrossbarRules {
    CrossbarRules {
        potential_bits: *spec.neuron.potential_bits,
        overflow: if *spec.neuron.overflow == Overflow::Wrap { PotentialOverflow::Wrap } else { PotentialOverflow::Saturate },
        floor_inclusive: *spec.neuron.negative_compare == NegativeCompare::LessEqual,
    }
}

/// Largest value of a two's-complement field.
fn most(bits: u8) -> f64 {
    ((1i64 << (bits - 1)) - 1) as f64
}

/// Everything about the neurons that the chip can't be (C13), sorted.
pub fn unheld(net: &Net<Float>, spec: &Spec) -> Vec<Finding> {
    let mut findings = Vec::new();
    let reset = if net.rules.reset == ResetRule::Subtract { CrossbarReset::Linear } else { CrossbarReset::Absolute };
    if !spec.neuron.resets.contains(&reset) {
        findings.push(Finding::error(
            "C13",
            format!("neurons with the reset {reset:?}"),
            net.neuron_count() as f64,
            0.0,
            "train with the other reset",
        ));
    }
    for p in net.populations.iter().filter(|p| !p.is_input()) {
        let mut refuse = |what: &str, remedy: &str, held: &dyn Fn(&FloatNeuron) -> bool| {
            let count = p.neurons().iter().filter(|n| !held(n)).count();
            if count > 0 {
                findings.push(Finding::error("C13", what, count as f64, 0.0, remedy).layer(&p.name));
            }
        };
        let remedy = "train integrate-and-fire neurons (NIR IF): this chip's leak adds a constant, and keeps the potential whole";
        refuse("neurons whose potential decays by a factor", remedy, &|n| n.keep_v == 1.0);
        refuse("neurons with a current that lasts", "use neurons without a filtered current", &|n| n.keep_u == 0.0);
        let remedy = "give the readout a threshold and decode its spikes: this chip sends spikes, no potentials";
        refuse("neurons that never fire", remedy, &|n| n.threshold < f32::INFINITY);
        refuse("neurons whose threshold is not above their reset value", "raise the threshold", &|n| n.threshold > n.v_reset);
    }
    for h in &net.host_projections {
        let remedy =
            "compile with --input-coding rate, latency or spikes: neurons of this chip have no biases that a host writes for each sample";
        findings.push(Finding::error("C13", "terms that the host computes", h.weights.len() as f64, 0.0, remedy).layer(&h.name));
    }
    findings.extend(repeated(net));
    finding::sort(&mut findings);
    findings
}

/// C17: synapses that repeat another of the same neurons and delay; a crossing holds one.
pub fn repeated(net: &Net<Float>) -> Option<Finding> {
    let mut ends: Vec<(u32, u32, u32, u32, i64)> = Vec::with_capacity(net.synapse_count());
    for p in &net.projections {
        ends.extend(p.synapses.iter().map(|(i, j, _, d)| (p.pre.0, i, p.post.0, j, net.chip_delay(p, d))));
    }
    ends.sort_unstable();
    let twice = ends.windows(2).filter(|w| w[0] == w[1]).count();
    let what = "synapses that repeat another of the same neurons and delay";
    (twice > 0).then(|| Finding::error("C17", what, twice as f64, 0.0, "add their weights up in the network"))
}

/// A synapse before it has a code.
struct Given {
    source: u32,
    delay: u32,
    weight: f64,
    /// Projection, row, synapse of the row: where it goes in the net.
    place: (u32, u32, u32),
}

/// Quantizes; `unheld` found nothing. `axons` = axons that a source may take in a core, 1 to the number of types; `means`: what each unit hears in a step
/// on average beside its synapses, in float units of v, which its leak stands for (empty: nothing); `reaches`: potentials that units must hold, besides.
pub fn quantize(
    net: &Net<Float>,
    digest: [u8; 32],
    (spec, axons): (&Spec, usize),
    measured: &Measured,
    means: &[f64],
    reaches: &BTreeMap<u32, f64>,
) -> Wired {
    let bases = bases(net);
    let units = *bases.last().unwrap_or(&0) as usize;
    let mut given: Vec<Vec<Given>> = (0..units).map(|_| Vec::new()).collect();
    for (k, p) in net.projections.iter().enumerate() {
        for (i, row) in p.synapses.rows().enumerate() {
            for (s, (post, weight, delay)) in row.iter().enumerate() {
                let neuron = &net.population(p.post).neurons()[post as usize];
                given[(bases[p.post.index()] + post) as usize].push(Given {
                    source: bases[p.pre.index()] + i as u32,
                    delay: net.chip_delay(p, delay).max(0) as u32,
                    weight: f64::from(neuron.gain) * f64::from(weight),
                    place: (k as u32, i as u32, s as u32),
                });
            }
        }
    }
    let types = *spec.core.axon_types as usize;
    let group_of = groups(&given, axons, types / axons, measured);
    let sources = Sources { axons, types, group_of: &group_of, measured };
    let mut wired = Wired {
        quantized: Quantized { net: shell(net, spec), scaling: Scaling::Exact, network_digest: digest },
        inputs: vec![Vec::new(); units],
        weights: vec![Vec::new(); units],
        errors: Errors { axons_per_source: axons as u32, ..Errors::default() },
        lost: vec![Lost::default(); net.populations.len()],
        roots: Vec::new(),
        gathers: 0,
        effect: 0.0,
        bases,
    };
    let mut rows: Vec<Vec<Vec<i32>>> = net.projections.iter().map(|p| p.synapses.rows().map(|row| vec![0; row.len()]).collect()).collect();
    let (mut v_units, mut deviation) = (Vec::new(), 0.0f64);
    for (p, population) in net.populations.iter().enumerate() {
        let mut neurons = Vec::new();
        let mut units = Vec::new();
        for (j, neuron) in population.neurons().iter().enumerate() {
            let unit = wired.bases[p] as usize + j;
            let own = &given[unit];
            let (levels, codes) = sources.fit(own, 1.0, &levels::fit);
            let mean = means.get(unit).copied().unwrap_or(0.0);
            let bias = f64::from(neuron.bias) + mean - sources.drift(own, 1.0, &levels, &codes);
            let reach = reaches.get(&(unit as u32)).copied().unwrap_or(0.0);
            let range = measured.range(unit, neuron, own.iter().map(|g| g.weight)).max(reach);
            let scale = scale(neuron, &levels, bias, spec, range);
            let (mut levels, mut codes) =
                sources.fit(own, scale, &|wanted, k| levels::fit_integers(wanted, k, most(*spec.neuron.weight_bits)));
            // A sum of nothing needs no axon, and a type that the neuron hears no axon of has no weight: no bit of the image says anything for nothing.
            codes.iter_mut().filter(|types| levels::sum(&levels, **types) == 0.0).for_each(|types| *types = 0);
            let heard = codes.iter().fold(0, |all, types| all | types);
            levels.iter_mut().enumerate().filter(|(k, _)| heard >> k & 1 == 0).for_each(|(_, level)| *level = 0.0);
            for (g, &types) in own.iter().zip(&codes) {
                let weight = levels::sum(&levels, types) as i32;
                let error = f64::from(weight) - g.weight * scale;
                deviation = deviation.max(error.abs());
                let threshold = f64::from(neuron.threshold) * scale;
                wired.lost[p].add(g.weight * scale / threshold, error / threshold);
                wired.effect += measured.rate(g.source) * (error / threshold).powi(2);
                rows[g.place.0 as usize][g.place.1 as usize][g.place.2 as usize] = weight;
                if types == 0 {
                    wired.errors.vanished += 1;
                } else {
                    wired.inputs[unit].push(Input { source: g.source, delay: g.delay, types });
                }
            }
            wired.inputs[unit].sort_unstable();
            wired.weights[unit] = levels.iter().map(|&l| l as i32).collect();
            let limit = most(*spec.neuron.leak_bits);
            let given_bias = f64::from(neuron.bias) * scale;
            let leak = (given_bias + mean * scale - sources.drift(own, scale, &levels, &codes)).clamp(-limit, limit);
            wired.errors.bias_moved = wired.errors.bias_moved.max((leak - given_bias).abs() / scale);
            neurons.push(registers(neuron, &net.rules, scale, leak.round() as i32, spec));
            units.push(scale);
        }
        v_units.push(units);
        if !population.is_input() {
            wired.quantized.net.populations[p].role = Role::Neurons(neurons);
        }
    }
    for (k, p) in net.projections.iter().enumerate() {
        let tuples = p.synapses.rows().zip(&rows[k]).enumerate().flat_map(|(i, (row, weights))| {
            let left = row.iter().zip(weights).filter(|(_, w)| **w != 0);
            left.map(move |((post, _, delay), &weight)| (i as u32, post, weight, delay)).collect::<Vec<_>>()
        });
        let synapses = Synapses::from_tuples(net.population(p.pre).len(), tuples.collect());
        wired.quantized.net.projections.push(Projection { name: p.name.clone(), pre: p.pre, post: p.post, format: (), synapses });
    }
    wired.quantized.net.projections.retain(|p| !p.synapses.is_empty());
    wired.errors.relative = wired.lost.iter().fold(Lost::default(), |all, l| all + *l).relative();
    let bias_deviation = wired.errors.bias_moved;
    wired.quantized.scaling = Scaling::Scaled { v_units, deviation_steps: deviation, bias_deviation };
    wired
}

/// The net without neurons and synapses.
fn shell(net: &Net<Float>, spec: &Spec) -> Net<Crossbar> {
    let populations = net.populations.iter().map(|p| Population {
        name: p.name.clone(),
        shape: p.shape.clone(),
        origin: p.origin.clone(),
        skew: p.skew,
        role: match p.role {
            Role::SpikeInput => Role::SpikeInput,
            Role::AnalogInput => Role::AnalogInput,
            Role::Neurons(_) => Role::Neurons(Vec::new()),
        },
    });
    Net {
        name: net.name.clone(),
        rules: rules(spec),
        populations: populations.collect(),
        projections: Vec::new(),
        host_projections: Vec::new(),
        output: net.output,
    }
}

/// Registers of a neuron whose potential counts `scale` units for one float unit.
fn registers(n: &FloatNeuron, rules: &FloatRules, scale: f64, leak: i32, spec: &Spec) -> CrossbarNeuron {
    // `scale` makes large thresholds whole, but for the rounding of a division.
    let (threshold, whole) = (f64::from(n.threshold) * scale, (f64::from(n.threshold) * scale).round());
    let threshold = if (threshold - whole).abs() <= 1e-9 * whole.abs() { whole } else { threshold };
    let threshold = match rules.fire {
        FireRule::Greater => threshold.floor() + 1.0,
        FireRule::GreaterEqual => threshold.ceil(),
    };
    let reset = (f64::from(n.v_reset) * scale).round() as i32;
    CrossbarNeuron {
        leak,
        threshold: threshold.min(most(*spec.neuron.threshold_bits)) as i32,
        floor: -(1i64 << (*spec.neuron.threshold_bits - 1)) as i32,
        reset: if rules.reset == ResetRule::ToValue { reset } else { 0 },
        linear: rules.reset == ResetRule::Subtract,
        start: reset,
    }
}

/// Units of potential for one float unit: as fine as weights, threshold, bias and the range of the potential allow. Where a threshold has units
/// enough it is made whole: a weight that reaches it exactly shall do so on the chip too.
fn scale(n: &FloatNeuron, levels: &[f64], bias: f64, spec: &Spec, range: f64) -> f64 {
    let largest = levels.iter().fold(0.0, |most: f64, l| most.max(l.abs()));
    let potential = most(*spec.neuron.potential_bits).min(most(*spec.neuron.threshold_bits));
    let threshold = f64::from(n.threshold.abs().max(f32::MIN_POSITIVE));
    let limits = [
        (most(*spec.neuron.weight_bits), largest),
        (most(*spec.neuron.threshold_bits) - 1.0, threshold),
        (most(*spec.neuron.leak_bits), bias.abs()),
        (potential, range.max(f64::from(n.v_reset.abs()))),
        (MOST_UNITS, threshold),
    ];
    let finest = limits.iter().filter(|(_, need)| *need > 0.0).map(|(limit, need)| limit / need).fold(f64::INFINITY, f64::min);
    if finest * threshold >= WHOLE_FROM { (finest * threshold).floor() / threshold } else { finest }
}

/// By which axons sources enter cores.
struct Sources<'a> {
    /// Axons of a source.
    axons: usize,
    /// Types of all groups.
    types: usize,
    /// Group of each unit: the one with types `group * axons ..`.
    group_of: &'a [u8],
    measured: &'a Measured,
}

impl Sources<'_> {
    /// Levels of a neuron for all types, and for each synapse the types whose levels it sums; for weights times `scale`.
    fn fit(&self, given: &[Given], scale: f64, fit: &dyn Fn(&[Wanted], usize) -> levels::Fit) -> (Vec<f64>, Vec<u16>) {
        let (mut all, mut types) = (vec![0.0; self.types], vec![0; given.len()]);
        for group in 0..self.types / self.axons {
            let own = || given.iter().enumerate().filter(|(_, g)| usize::from(self.group_of[g.source as usize]) == group);
            let wanted: Vec<Wanted> = own().map(|(_, g)| Wanted { weight: g.weight * scale, cost: self.measured.rate(g.source) }).collect();
            let fitted = fit(&wanted, self.axons);
            let first = group * self.axons;
            all[first..first + self.axons].copy_from_slice(&fitted.levels);
            own().zip(fitted.codes).for_each(|((k, _), code)| types[k] = code << first);
        }
        (all, types)
    }

    /// What errors of a neuron's weights, which sum `levels`, add to its potential in a step on average; 0 where no rates are known.
    fn drift(&self, given: &[Given], scale: f64, levels: &[f64], types: &[u16]) -> f64 {
        if !self.measured.known() {
            return 0.0;
        }
        let of = |(g, &types): (&Given, &u16)| self.measured.rate(g.source) * (levels::sum(levels, types) - g.weight * scale);
        given.iter().zip(types).map(of).sum()
    }
}

/// A group for each source, so that neurons' levels fit best. One group: all in it.
fn groups(given: &[Vec<Given>], axons: usize, groups: usize, measured: &Measured) -> Vec<u8> {
    let mut group_of = vec![0u8; given.len()];
    if groups < 2 {
        return group_of;
    }
    // At first by the mean weight of a source, so that excitation and inhibition fall apart.
    let (mut sums, mut counts) = (vec![0.0; given.len()], vec![0u32; given.len()]);
    for g in given.iter().flatten() {
        sums[g.source as usize] += g.weight;
        counts[g.source as usize] += 1;
    }
    let mut order: Vec<usize> = (0..given.len()).filter(|&s| counts[s] > 0).collect();
    order.sort_by(|&a, &b| (sums[a] / f64::from(counts[a])).total_cmp(&(sums[b] / f64::from(counts[b]))).then(a.cmp(&b)));
    for (rank, &source) in order.iter().enumerate() {
        group_of[source] = (rank * groups / order.len().max(1)) as u8;
    }
    for _ in 0..ROUNDS {
        let mut errors = vec![vec![0.0; groups]; given.len()];
        for own in given.iter().filter(|own| !own.is_empty()) {
            let (fitted, _) = Sources { axons, types: groups * axons, group_of: &group_of, measured }.fit(own, 1.0, &levels::fit);
            for g in own {
                for (group, error) in errors[g.source as usize].iter_mut().enumerate() {
                    let levels = &fitted[group * axons..(group + 1) * axons];
                    *error += levels::assign(&[Wanted { weight: g.weight, cost: measured.rate(g.source) }], levels).1;
                }
            }
        }
        let mut moved = false;
        for (source, errors) in errors.iter().enumerate().filter(|(s, _)| counts[*s] > 0) {
            let now = usize::from(group_of[source]);
            let best = (0..groups).min_by(|&a, &b| errors[a].total_cmp(&errors[b]).then((a != now).cmp(&(b != now)))).unwrap_or(now);
            moved |= best != now;
            group_of[source] = best as u8;
        }
        if !moved {
            break;
        }
    }
    group_of
}
