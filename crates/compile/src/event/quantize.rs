//! Quantizing for an event crossbar: a scale for each neuron, integers for its weights.
//!
//! In: a lowered `Net<Float>`, the target, what samples tell of rates. Out: [`Integers`], or every neuron that the chip can't be.
//! Invariant: the potential counts `v_units` for one float unit, weights and threshold alike; what rounding adds up to on average is near 0 where
//! rates are known.
//! Cost: candidate scales x synapses.

use super::seats;
use crate::crossbar::measure::Measured;
use crate::crossbar::quantize::repeated;
use crate::finding::{self, Finding};
use crate::quantize::Lost;
use serde::Serialize;
use spikec_chip::event::EventCrossbar as Spec;
use spikec_net::{
    Event, EventNeuron, EventRules, FireRule, Float, FloatNeuron, FloatRules, Net, Population, Projection, Quantized, ResetRule, Role,
    Scaling, Synapses,
};

/// Scales that are tried for a neuron, from a third of the one at which its largest weight just fits to this many times that.
const CANDIDATES: u32 = 48;
const FINEST: f64 = 1.6;

/// A synapse in integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synapse {
    /// Unit that it comes from.
    pub source: u32,
    /// Unit that it acts on.
    pub post: u32,
    /// Chip steps.
    pub delay: u32,
    /// Weight, not 0.
    pub weight: i32,
}

/// A net in registers.
#[derive(Debug, Clone)]
pub struct Integers {
    /// The net.
    pub quantized: Quantized<Event>,
    /// First unit of each population; one entry more at the end.
    pub bases: Vec<u32>,
    /// Neuron of the core that each unit is; none for inputs.
    pub neuron_of: Vec<Option<u16>>,
    /// Its synapses.
    pub synapses: Vec<Synapse>,
    /// What rounding did.
    pub errors: Errors,
    /// What it did to the weights of each population.
    pub lost: Vec<Lost>,
}

/// What rounding did to the weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Errors {
    /// Root of (squared errors / squared weights), each neuron's in units of its threshold.
    pub relative: f64,
    /// Synapses that weigh 0 now.
    pub vanished: u64,
    /// Synapses beyond the largest weight.
    pub clipped: u64,
}

/// Everything about the neurons that the chip can't be (C13), sorted.
pub fn unheld(net: &Net<Float>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if net.rules.reset == ResetRule::Subtract {
        let remedy = "train with a hard reset to 0: this chip sets a potential that fires to 0";
        findings.push(Finding::error("C13", "neurons with a reset by subtraction", net.neuron_count() as f64, 0.0, remedy));
    }
    for p in net.populations.iter().filter(|p| !p.is_input()) {
        let mut refuse = |what: &str, remedy: &str, held: &dyn Fn(&FloatNeuron) -> bool| {
            let count = p.neurons().iter().filter(|n| !held(n)).count();
            if count > 0 {
                findings.push(Finding::error("C13", what, count as f64, 0.0, remedy).layer(&p.name));
            }
        };
        let remedy = "train integrate-and-fire neurons (NIR IF): this chip's leak takes a constant, and keeps the potential whole";
        refuse("neurons whose potential decays by a factor", remedy, &|n| n.keep_v == 1.0);
        refuse("neurons with a current that lasts", "use neurons without a filtered current", &|n| n.keep_u == 0.0);
        let remedy = "give the readout a threshold and decode its spikes: this chip sends spikes, no potentials";
        refuse("neurons that never fire", remedy, &|n| n.threshold < f32::INFINITY);
        refuse("neurons that reset to other than 0", "train with a reset to 0", &|n| n.v_reset == 0.0);
        refuse("neurons whose threshold is not above 0", "raise the threshold", &|n| n.threshold > 0.0);
        refuse("neurons with a bias", "train without biases: this chip adds weights of events alone", &|n| n.bias == 0.0);
    }
    for h in &net.host_projections {
        let remedy = "compile with --input-coding rate, latency or spikes: neurons of this chip have no biases";
        findings.push(Finding::error("C13", "terms that the host computes", h.weights.len() as f64, 0.0, remedy).layer(&h.name));
    }
    findings.extend(repeated(net));
    finding::sort(&mut findings);
    findings
}

struct Given {
    weight: f64,
    cost: f64,
    place: (usize, usize, usize),
}

/// Quantizes; `unheld` found nothing that makes its numbers meaningless.
pub fn quantize(net: &Net<Float>, digest: [u8; 32], spec: &Spec, measured: &Measured) -> Integers {
    let (bases, neuron_of) = seats(net);
    let mut given: Vec<Vec<Given>> = neuron_of.iter().map(|_| Vec::new()).collect();
    for (k, p) in net.projections.iter().enumerate() {
        for (i, row) in p.synapses.rows().enumerate() {
            for (s, (post, weight, _)) in row.iter().enumerate() {
                let neuron = &net.population(p.post).neurons()[post as usize];
                given[(bases[p.post.index()] + post) as usize].push(Given {
                    weight: f64::from(neuron.gain) * f64::from(weight),
                    cost: measured.rate(bases[p.pre.index()] + i as u32),
                    place: (k, i, s),
                });
            }
        }
    }
    let mut errors = Errors::default();
    let (mut lost, mut deviation) = (vec![Lost::default(); net.populations.len()], 0.0f64);
    let mut rows: Vec<Vec<Vec<i32>>> = net.projections.iter().map(|p| p.synapses.rows().map(|row| vec![0; row.len()]).collect()).collect();
    let (mut v_units, mut populations) = (Vec::new(), Vec::new());
    for (p, population) in net.populations.iter().enumerate() {
        let (mut units, mut neurons) = (Vec::new(), Vec::new());
        for (j, neuron) in population.neurons().iter().enumerate() {
            let own = &given[bases[p] as usize + j];
            let scale = scale(neuron, own, spec);
            let weights = rounded(own, scale, spec, measured.known());
            let threshold = f64::from(neuron.threshold) * scale;
            let (least, most) = spec.weight_range();
            for (g, &weight) in own.iter().zip(&weights) {
                let error = f64::from(weight) - g.weight * scale;
                let held = (g.weight * scale).clamp(least.into(), most.into());
                errors.clipped += u64::from((held - g.weight * scale).abs() > 0.5);
                errors.vanished += u64::from(weight == 0);
                deviation = deviation.max(error.abs());
                lost[p].add(g.weight * scale / threshold, error / threshold);
                rows[g.place.0][g.place.1][g.place.2] = weight;
            }
            units.push(scale);
            neurons.push(registers(neuron, &net.rules, scale, spec));
        }
        v_units.push(units);
        populations.push(Population {
            name: population.name.clone(),
            shape: population.shape.clone(),
            origin: population.origin.clone(),
            skew: population.skew,
            role: match population.role {
                Role::SpikeInput => Role::SpikeInput,
                Role::AnalogInput => Role::AnalogInput,
                Role::Neurons(_) => Role::Neurons(neurons),
            },
        });
    }
    errors.relative = lost.iter().fold(Lost::default(), |all, l| all + *l).relative();
    let (mut projections, mut synapses) = (Vec::new(), Vec::new());
    for (k, p) in net.projections.iter().enumerate() {
        let mut tuples = Vec::new();
        for (i, (row, weights)) in p.synapses.rows().zip(&rows[k]).enumerate() {
            for ((post, _, delay), &weight) in row.iter().zip(weights).filter(|(_, w)| **w != 0) {
                tuples.push((i as u32, post, weight, delay));
                synapses.push(Synapse {
                    source: bases[p.pre.index()] + i as u32,
                    post: bases[p.post.index()] + post,
                    delay: net.chip_delay(p, delay).max(0) as u32,
                    weight,
                });
            }
        }
        if !tuples.is_empty() {
            let synapses = Synapses::from_tuples(net.population(p.pre).len(), tuples);
            projections.push(Projection { name: p.name.clone(), pre: p.pre, post: p.post, format: (), synapses });
        }
    }
    let (v_min, v_max) = spec.potential_range();
    let fixed = Net {
        name: net.name.clone(),
        rules: EventRules { v_min, v_max },
        populations,
        projections,
        host_projections: Vec::new(),
        output: net.output,
    };
    let scaling = Scaling::Scaled { v_units, deviation_steps: deviation, bias_deviation: 0.0 };
    Integers { quantized: Quantized { net: fixed, scaling, network_digest: digest }, bases, neuron_of, synapses, errors, lost }
}

/// Largest threshold that a potential can reach.
fn most_threshold(spec: &Spec) -> f64 {
    f64::from(spec.potential_range().1).min(((1u32 << *spec.neuron.threshold_bits) - 1).into())
}

fn registers(n: &FloatNeuron, rules: &FloatRules, scale: f64, spec: &Spec) -> EventNeuron {
    let threshold = f64::from(n.threshold) * scale;
    let threshold = match rules.fire {
        FireRule::Greater => threshold.floor() + 1.0,
        FireRule::GreaterEqual => threshold.ceil(),
    };
    EventNeuron { threshold: threshold.clamp(1.0, most_threshold(spec)) as i32, leak: 0, start: 0 }
}

/// Units of potential for one float unit: the scale of least weighted squared error.
fn scale(n: &FloatNeuron, own: &[Given], spec: &Spec) -> f64 {
    let threshold = f64::from(n.threshold).abs().max(f64::MIN_POSITIVE);
    let limit = (most_threshold(spec) - 1.0).max(1.0) / threshold;
    let (least, most) = spec.weight_range();
    let largest = own.iter().map(|g| g.weight.abs()).fold(0.0, f64::max);
    if largest == 0.0 {
        return limit;
    }
    let full = f64::from(most.max(-least)) / largest;
    let error = |scale: f64| -> f64 {
        own.iter().map(|g| g.cost * ((g.weight * scale).round().clamp(least.into(), most.into()) / scale - g.weight).powi(2)).sum()
    };
    let candidates = (0..=CANDIDATES).map(|k| full * (1.0 / 3.0 + (FINEST - 1.0 / 3.0) * f64::from(k) / f64::from(CANDIDATES)));
    let held = candidates.map(|s| s.min(limit)).map(|s| (error(s), s));
    held.min_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1))).map_or(limit, |best| best.1)
}

/// Rounded weights; where rates are known, a few are rounded the other way, so that errors cancel on average.
fn rounded(own: &[Given], scale: f64, spec: &Spec, known: bool) -> Vec<i32> {
    let (least, most) = spec.weight_range();
    let held = |w: f64| w.round().clamp(least.into(), most.into());
    let mut weights: Vec<f64> = own.iter().map(|g| held(g.weight * scale)).collect();
    if known {
        let mut drift: f64 = own.iter().zip(&weights).map(|(g, w)| g.cost * (w - g.weight * scale)).sum();
        // The weights nearest to a tie first.
        let mut order: Vec<usize> = (0..own.len()).collect();
        let distance = |k: usize| {
            let exact = own[k].weight * scale;
            0.5 - (exact - exact.round()).abs()
        };
        order.sort_by(|&a, &b| distance(a).total_cmp(&distance(b)).then(a.cmp(&b)));
        for k in order {
            let exact = own[k].weight * scale;
            // A weight beyond the range has no other side, and one of 0 stays pruned.
            let step = if weights[k] > exact { -1.0 } else { 1.0 };
            let other = weights[k] + step;
            let allowed =
                (f64::from(least)..=f64::from(most)).contains(&other) && (exact - weights[k]).abs() <= 0.5 && own[k].weight != 0.0;
            let next = drift + own[k].cost * step;
            if allowed && next.abs() < drift.abs() {
                (weights[k], drift) = (other, next);
            }
        }
    }
    weights.into_iter().map(|w| w as i32).collect()
}
