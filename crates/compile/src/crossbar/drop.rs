//! Inputs that a core has no axons for, left out: what `--drop-inputs` does, and what a refusal says that it would do.
//!
//! In: a lowered net, which neurons have too many sources, what samples tell of rates. Out: the net without their least important synapses.
//! Invariant: a neuron keeps the synapses of the largest expected squared effect, weight squared times how often the source speaks (without samples all speak
//! alike); no other neuron loses any. The mean of what a neuron loses is known where rates are, and its leak makes up for it.
//! Cost: a sort of the synapses of those neurons; at most [`ROUNDS`] times the quantizer's.
//! Why no sums of parts instead: a spike carries one bit, so a further neuron can hand on that a sum passed a threshold, not the sum (docs/crossbars.md).

use super::DroppedReport;
use super::measure::Measured;
use super::quantize::{self, Wired};
use crate::families::bases;
use crate::finding::Finding;
use crate::options::CompileOptions;
use crate::quantize::agreement;
use spikec_chip::crossbar::Crossbar as Spec;
use spikec_chip::target::{Family, Target};
use spikec_chip::target_file::builtin;
use spikec_net::{Float, Net, Synapses};
use std::collections::BTreeMap;

/// Rounds that look for as many inputs as the axons hold: how many axons an input takes is known once it is quantized.
const ROUNDS: usize = 4;

/// What was left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dropped {
    /// Synapses.
    pub synapses: u64,
    /// Neurons that lost some.
    pub neurons: u64,
    /// Of the energy (squared weights, in units of the threshold) of these neurons, the share that they lost.
    pub share: f64,
    /// Sum of the squared weights that were lost, in units of thresholds, each times its source's rate.
    pub effect: f64,
    /// For each unit, what it loses in a step on average, in float units of v; empty where nothing is lost or no rates are known.
    pub means: Vec<f64>,
}

/// A synapse that a neuron may lose.
struct Candidate {
    effect: f64,
    square: f64,
    mean: f64,
    /// Projection, row, synapse of the row.
    place: (usize, usize, usize),
}

/// The net in which each unit keeps as many synapses as `limits` says, where it does.
pub fn without(net: &Net<Float>, measured: &Measured, limits: &[Option<usize>]) -> (Net<Float>, Dropped) {
    let bases = bases(net);
    let mut own: Vec<Vec<Candidate>> = limits.iter().map(|_| Vec::new()).collect();
    for (k, p) in net.projections.iter().enumerate() {
        for (i, row) in p.synapses.rows().enumerate() {
            let rate = measured.rate(bases[p.pre.index()] + i as u32);
            for (s, (post, weight, _)) in row.iter().enumerate() {
                let unit = (bases[p.post.index()] + post) as usize;
                if limits[unit].is_some() {
                    let n = &net.population(p.post).neurons()[post as usize];
                    let w = f64::from(n.gain) * f64::from(weight);
                    let square = (w / f64::from(n.threshold)).powi(2);
                    own[unit].push(Candidate { effect: rate * square, square, mean: rate * w, place: (k, i, s) });
                }
            }
        }
    }
    let mut kept: Vec<Vec<Vec<bool>>> =
        net.projections.iter().map(|p| p.synapses.rows().map(|row| vec![true; row.len()]).collect()).collect();
    let mut dropped = Dropped { means: vec![0.0; if measured.known() { limits.len() } else { 0 }], ..Dropped::default() };
    let (mut all, mut lost) = (0.0, 0.0);
    for (unit, own) in own.iter_mut().enumerate() {
        let Some(limit) = limits[unit].filter(|&limit| limit < own.len()) else { continue };
        // The largest effect first, then the largest weight, then the order of the net.
        own.sort_by(|a, b| b.effect.total_cmp(&a.effect).then(b.square.total_cmp(&a.square)).then(a.place.cmp(&b.place)));
        all += own.iter().map(|c| c.square).sum::<f64>();
        dropped.neurons += 1;
        for c in &own[limit..] {
            dropped.synapses += 1;
            (lost, dropped.effect) = (lost + c.square, dropped.effect + c.effect);
            if let Some(mean) = dropped.means.get_mut(unit) {
                *mean += c.mean;
            }
            kept[c.place.0][c.place.1][c.place.2] = false;
        }
    }
    dropped.share = if all > 0.0 { lost / all } else { 0.0 };
    let mut rest = net.clone();
    for (p, kept) in rest.projections.iter_mut().zip(&kept).filter(|(_, kept)| kept.iter().flatten().any(|k| !k)) {
        let rows = p.synapses.rows().zip(kept).enumerate();
        let left = rows.flat_map(|(i, (row, kept))| {
            let left = row.iter().zip(kept).filter(|(_, kept)| **kept);
            left.map(|((post, weight, delay), _)| (i as u32, post, weight, delay)).collect::<Vec<_>>()
        });
        p.synapses = Synapses::from_tuples(p.synapses.pres(), left.collect());
    }
    (rest, dropped)
}

/// Axons that each unit takes.
pub fn needs(wired: &Wired) -> Vec<usize> {
    wired.inputs.iter().map(|own| own.iter().map(|i| i.types.count_ones() as usize).sum()).collect()
}

/// What is quantized again without the inputs that are too many.
pub struct Fitted {
    /// The net in floats without them.
    pub net: Net<Float>,
    /// In registers.
    pub wired: Wired,
    /// What was left out.
    pub dropped: Dropped,
    /// What samples tell of the net without them.
    pub measured: Measured,
}

/// Leaves out what is too many for the axons of a core; `None` where nothing is. `again` measures a net.
pub fn fit(
    (net, wired): (&Net<Float>, &Wired),
    digest: [u8; 32],
    (spec, axons): (&Spec, usize),
    measured: &Measured,
    again: &dyn Fn(&Net<Float>) -> Measured,
) -> Option<Fitted> {
    let room = *spec.core.axons as usize;
    let mut limits: Vec<Option<usize>> = vec![None; wired.inputs.len()];
    // So many fit whatever the levels are.
    let sure = (room / axons).max(1);
    for ((limit, need), own) in limits.iter_mut().zip(needs(wired)).zip(&wired.inputs).filter(|((_, need), _)| *need > room) {
        *limit = Some((room * own.len() / need).max(sure));
    }
    if limits.iter().all(Option::is_none) {
        return None;
    }
    let mut later = None;
    for round in 0..=ROUNDS {
        let (rest, dropped) = without(net, measured, &limits);
        let later = later.get_or_insert_with(|| again(&rest));
        let wired = quantize::quantize(&rest, digest, (spec, axons), later, &dropped.means, &BTreeMap::new());
        let mut fits = true;
        for ((limit, need), own) in limits.iter_mut().zip(needs(&wired)).zip(&wired.inputs).filter(|((_, need), _)| *need > room) {
            let less = if round + 1 >= ROUNDS { sure } else { (room * own.len() / need).max(sure) };
            (*limit, fits) = (Some(less), false);
        }
        if fits {
            return Some(Fitted { net: rest, wired, dropped, measured: std::mem::take(later) });
        }
    }
    None
}

/// Synapses that end at each unit.
fn inputs(net: &Net<Float>) -> Vec<usize> {
    let bases = bases(net);
    let mut inputs = vec![0; *bases.last().unwrap_or(&0) as usize];
    for p in &net.projections {
        p.synapses.rows().for_each(|row| row.posts().for_each(|post| inputs[(bases[p.post.index()] + post) as usize] += 1));
    }
    inputs
}

/// What was left out, and what the bundle declares: of all neurons whose sources could need more axons than there are, the synapses that the chip lacks.
pub fn report(net: &Net<Float>, wired: &Wired, dropped: &Dropped, spec: &Spec) -> DroppedReport {
    let crowded = |given: usize| given * wired.errors.axons_per_source as usize > *spec.core.axons as usize;
    let lacking = inputs(net).into_iter().zip(&wired.inputs).filter(|(given, _)| crowded(*given));
    let absent = lacking.map(|(given, own)| (given - own.len()) as u64).sum();
    DroppedReport { synapses: dropped.synapses, neurons: dropped.neurons, share: dropped.share, absent }
}

/// Adds to the refusals of neurons with too many sources (C17) what else there is, measured: without their least important inputs, with fewer axons a
/// source, on other built-in targets.
pub fn alternatives(findings: &mut [Finding], net: &Net<Float>, fitted: &Fitted, target: &Target, axons: usize, options: &CompileOptions) {
    let dropped = &fitted.dropped;
    let mut said = vec![format!(
        "--drop-inputs would leave {} of {} synapses out, {:.1} % of the energy of their neurons' weights",
        dropped.synapses,
        net.synapse_count(),
        100.0 * dropped.share
    )];
    let agreement = agreement((net, &fitted.net), &options.calibration, options.default_steps, options.decoder.into());
    if let Some((samples, same)) = agreement {
        said[0] += &format!(", and give the same class for {:.1} % of {samples} samples in floats", 100.0 * same);
    }
    let most = inputs(net).into_iter().max().unwrap_or(0);
    if let Family::Crossbar(spec) = &target.family
        && axons > 1
        && most <= *spec.core.axons as usize
    {
        said.push("--axons-per-source 1 fits".into());
    }
    let holds = |other: &Target| match &other.family {
        Family::Packed(p) => *p.core.in_axons as usize >= most,
        Family::Crossbar(c) => *c.core.axons as usize >= most,
        Family::EventCrossbar(e) => *e.core.rows as usize >= most + net.neuron_count() && *e.core.neurons as usize >= net.neuron_count(),
    };
    let others = builtin().iter().filter(|(name, text)| *name != target.name && Target::from_ron(text).is_ok_and(|t| holds(&t)));
    let others: Vec<&str> = others.map(|(name, _)| *name).collect();
    if !others.is_empty() {
        said.push(format!("targets whose cores take {most} sources of a neuron: {}", others.join(", ")));
    }
    let said = format!(" [{}]", said.join("; "));
    findings
        .iter_mut()
        .filter(|f| f.code == "C17" && f.resource.starts_with(super::partition::ALONE))
        .for_each(|f| f.remedy.push_str(&said));
}
