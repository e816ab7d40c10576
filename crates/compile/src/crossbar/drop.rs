//! Inputs that a core has no axons for, left out: what `--drop-inputs` does, and what a refusal says that it would do.
//!
//! In: a lowered net, which neurons have too many sources, what samples tell of rates. Out: the net without their least important synapses.
//! Invariant: a neuron keeps the synapses of the largest expected squared effect, weight squared times how often the source speaks (without samples all speak
//! alike); no other neuron loses any. The mean of what a neuron loses is known where rates are, and its leak makes up for it.
//! Cost: a sort of the synapses of those neurons; at most [`ROUNDS`] times the quantizer's.
//! Why no sums of parts instead: a spike carries one bit, so a further neuron can hand on that a sum passed a threshold, not the sum (docs/crossbars.md).

use super::measure::Measured;
use super::quantize::{self, Wired};
use crate::drop::{Dropped, DroppedReport, Weighed, each, inputs, offer, others, strip, weighed};
use crate::families::bases;
use crate::finding::Finding;
use crate::options::CompileOptions;
use spikec_chip::crossbar::Crossbar as Spec;
use spikec_chip::target::{Family, Target};
use spikec_net::{Float, Net};
use std::collections::BTreeMap;

/// Rounds that look for as many inputs as the axons hold: how many axons an input takes is known once it is quantized.
const ROUNDS: usize = 4;

/// A synapse that a neuron may lose.
struct Candidate {
    weighed: Weighed,
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
                    own[unit].push(Candidate { weighed: weighed(net, p, (post, weight), rate), place: (k, i, s) });
                }
            }
        }
    }
    let mut kept = each(net, &true);
    for (own, limit) in own.iter_mut().zip(limits) {
        let Some(limit) = limit.filter(|&limit| limit < own.len()) else { continue };
        // The largest effect first, then the largest weight, then the order of the net.
        own.sort_by(|a, b| {
            let (v, w) = (a.weighed, b.weighed);
            w.effect.total_cmp(&v.effect).then(w.square.total_cmp(&v.square)).then(a.place.cmp(&b.place))
        });
        own[limit..].iter().for_each(|c| kept[c.place.0][c.place.1][c.place.2] = false);
    }
    strip(net, measured, &kept)
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
    let mut said = vec![offer(net, (&fitted.net, &fitted.dropped), options)];
    let most = inputs(net).into_iter().max().unwrap_or(0);
    if let Family::Crossbar(spec) = &target.family
        && axons > 1
        && most <= *spec.core.axons as usize
    {
        said.push("--axons-per-source 1 fits".into());
    }
    said.extend(others(net, target));
    let said = format!(" [{}]", said.join("; "));
    findings
        .iter_mut()
        .filter(|f| f.code == "C17" && f.resource.starts_with(super::partition::ALONE))
        .for_each(|f| f.remedy.push_str(&said));
}
