//! Gathers: further neurons that take some of a neuron's sources, where that is exact.
//!
//! In: a lowered net, and which neurons have more sources than a core has axons. Out: the net in registers with gathers, or nothing where they would not
//! be exact or not enough.
//! Invariant: a gather fires in the steps in which any of its sources does, one chip step before its neuron, and its spike makes the neuron fire, as the spike
//! of any of its sources alone would. That is so of sources that *strike* (weight at least the threshold above the reset value), of a neuron that nothing
//! inhibits (no negative weight, no negative bias) and that is reset to a value: its potential is never below the value of its reset, so one strike makes it
//! fire, and however many there are, it is reset to the same. All other sums need more than the one bit that a spike carries.
//! Cost: linear in the synapses, and a quantizing more.

use super::measure::Measured;
use super::quantize::{self, Input, Wired};
use super::relays::{self, Repeats};
use crate::families::bases;
use crate::relay::free_name;
use crate::retime::{delay_findings, skews_with_slack};
use spikec_chip::crossbar::{Crossbar as Spec, Overflow};
use spikec_chip::target::Target;
use spikec_net::{FireRule, Float, FloatNeuron, Net, Population, PopulationId, Projection, ResetRule, Role, Scaling, Synapses};
use std::collections::BTreeMap;

/// Weight of a gather, in units of what strikes: the largest register of a weight shall hold what passes a threshold of `>`, too.
const STRIKE: f32 = 1.02;

/// Whether a spike of this weight alone makes the neuron fire, from its reset value.
fn strikes(fire: FireRule, n: &FloatNeuron, weight: f32) -> bool {
    let (w, needed) = (f64::from(n.gain) * f64::from(weight), f64::from(n.threshold) - f64::from(n.v_reset));
    if fire == FireRule::Greater { w > needed } else { w >= needed }
}

/// A synapse that strikes: projection, presynaptic neuron, net delay.
type Strike = (usize, u32, u16);

/// A unit, and the synapses that one of its gathers hears.
type Gathered<'a> = (u32, &'a [Strike]);

/// Of each unit that needs gathers, the synapses that strike; `None` where gathers are not exact for one of them, or not enough.
fn plan(net: &Net<Float>, crowded: &[bool], (room, axons, most): (usize, usize, usize)) -> Option<BTreeMap<u32, Vec<Strike>>> {
    if net.rules.reset != ResetRule::ToValue {
        return None;
    }
    let bases = bases(net);
    let mut strikes_of: BTreeMap<u32, Vec<Strike>> =
        (0..crowded.len() as u32).filter(|&u| crowded[u as usize]).map(|u| (u, Vec::new())).collect();
    let mut weak: BTreeMap<u32, usize> = BTreeMap::new();
    for (x, p) in net.projections.iter().enumerate() {
        for (i, j, weight, delay) in p.synapses.iter() {
            let unit = bases[p.post.index()] + j;
            let Some(strikes_of) = strikes_of.get_mut(&unit) else { continue };
            let n = &net.population(p.post).neurons()[j as usize];
            if n.gain * weight < 0.0 || n.bias < 0.0 {
                return None;
            }
            if strikes(net.rules.fire, n, weight) {
                strikes_of.push((x, i, delay));
            } else {
                *weak.entry(unit).or_default() += 1;
            }
        }
    }
    let enough = |(unit, strikes): (&u32, &Vec<Strike>)| {
        let of_projection = strikes.chunk_by(|a, b| a.0 == b.0).map(|own| own.len().div_ceil(most));
        let gathers: usize = of_projection.sum();
        (weak.get(unit).copied().unwrap_or(0) + gathers) * axons <= room
    };
    strikes_of.iter().all(enough).then_some(strikes_of)
}

/// Quantizes with gathers for the units of `crowded`; `None` where that is not exact, or not enough. `again` measures a net.
pub fn quantize(
    net: &Net<Float>,
    digest: [u8; 32],
    target: &Target,
    (spec, axons): (&Spec, usize),
    crowded: &[bool],
    again: &dyn Fn(&Net<Float>) -> Measured,
) -> Option<Wired> {
    let kind = relays::kind(spec).filter(|k| !k.neuron.linear)?;
    let potential = (1usize << (*spec.neuron.potential_bits - 1)) - 1;
    // A gather's sum is the number of its sources that spike, and must not pass its bits.
    let most = potential.min(*spec.core.axons as usize);
    let plan = plan(net, crowded, (*spec.core.axons as usize, axons, most))?;
    // One chip step more for the projections that take the way through gathers.
    let mut longer = vec![false; net.projections.len()];
    plan.values().flatten().for_each(|s| longer[s.0] = true);
    let wanted = longer.clone();
    let skews = skews_with_slack(net, target, &mut longer).filter(|_| longer == wanted)?;
    let mut timed = net.clone();
    timed.populations.iter_mut().zip(&skews).for_each(|(p, &skew)| p.skew = skew);
    if !delay_findings(&timed, target).is_empty() {
        return None;
    }
    // Each neuron is quantized with one synapse in place of all that strike, of little more than the weight that does.
    let mut rest = timed.clone();
    let bases = bases(net);
    for (x, p) in rest.projections.iter_mut().enumerate().filter(|(x, _)| wanted[*x]) {
        let post = &net.populations[p.post.index()];
        let kept = p.synapses.iter().filter_map(|(i, j, w, d)| match plan.get(&(bases[p.post.index()] + j)) {
            Some(strikes) if strikes.binary_search(&(x, i, d)).is_ok() => {
                let n = &post.neurons()[j as usize];
                (strikes[0] == (x, i, d)).then_some((i, j, STRIKE * (n.threshold - n.v_reset) / n.gain, d))
            }
            _ => Some((i, j, w, d)),
        });
        p.synapses = Synapses::from_tuples(p.synapses.pres(), kept.collect());
    }
    let measured = again(&rest);
    let gathers_of = |strikes: &Vec<Strike>| strikes.chunk_by(|a, b| a.0 == b.0).map(|own| own.len().div_ceil(most)).sum::<usize>();
    let reaches = reaches(&rest, &bases, &plan.iter().map(|(&unit, strikes)| (unit, gathers_of(strikes))).collect());
    let mut wired = quantize::quantize(&rest, digest, (spec, axons), &measured, &[], &reaches);
    // The axon types by which a gather acts, and its weight.
    let mut blows = BTreeMap::new();
    for (&unit, strikes) in &plan {
        let (x, i, d) = strikes[0];
        let p = &timed.projections[x];
        let (source, delay) = (bases[p.pre.index()] + i, timed.chip_delay(p, d).max(0) as u32);
        let struck = blow(&mut wired, spec, unit, (source, delay))?;
        if *spec.neuron.overflow == Overflow::Wrap && !held(&wired, unit, gathers_of(strikes) as i64 * i64::from(struck.1)) {
            return None;
        }
        blows.insert(unit, struck);
    }
    Some(with_gathers(wired, (net, &timed), &plan, &blows, most, kind.neuron))
}

/// What the potential of a unit must hold so that no sum of its gathers and its other synapses passes its bits, in float units of v.
fn reaches(rest: &Net<Float>, bases: &[u32], gathers: &BTreeMap<u32, usize>) -> BTreeMap<u32, f64> {
    let mut reaches: BTreeMap<u32, f64> = BTreeMap::new();
    for p in &rest.projections {
        for (_, j, weight, _) in p.synapses.iter() {
            let unit = bases[p.post.index()] + j;
            if let Some(&gathers) = gathers.get(&unit) {
                let n = &rest.population(p.post).neurons()[j as usize];
                let (threshold, reset) = (f64::from(n.threshold), f64::from(n.v_reset));
                // One synapse that strikes is counted, as many gathers will.
                let start = threshold + f64::from(n.bias) + gathers as f64 * f64::from(STRIKE) * (threshold - reset);
                *reaches.entry(unit).or_insert(1.05 * start) += 1.05 * f64::from(n.gain) * f64::from(weight);
            }
        }
    }
    reaches
}

/// Whether no input of a step takes a unit's potential beyond its bits, `gathers` being the sum of those.
fn held(wired: &Wired, unit: u32, gathers: i64) -> bool {
    let p = wired.bases.partition_point(|&b| b <= unit) - 1;
    let n = &wired.quantized.net.populations[p].neurons()[(unit - wired.bases[p]) as usize];
    let weights = &wired.weights[unit as usize];
    let sum = |types: u16| (0..weights.len()).filter(|k| types >> k & 1 == 1).map(|k| i64::from(weights[k])).sum::<i64>();
    let up: i64 = wired.inputs[unit as usize].iter().map(|i| sum(i.types).max(0)).sum();
    i64::from(n.threshold.max(n.start + 1)) - 1 + up + gathers + i64::from(n.leak) <= wired.quantized.net.rules.range().1
}

/// Takes the synapse that stands for all that strike out of a unit's inputs, and makes its weight one that does in registers too: (types, weight).
fn blow(wired: &mut Wired, spec: &Spec, unit: u32, (source, delay): (u32, u32)) -> Option<(u16, i32)> {
    let p = wired.bases.partition_point(|&b| b <= unit) - 1;
    let n = &wired.quantized.net.populations[p].neurons()[(unit - wired.bases[p]) as usize];
    let needed = i64::from(n.threshold) - i64::from(n.start.min(n.reset));
    let inputs = &mut wired.inputs[unit as usize];
    let at = inputs.iter().position(|i| (i.source, i.delay) == (source, delay))?;
    let types = inputs.remove(at).types;
    let weights = &mut wired.weights[unit as usize];
    let sum_of =
        |weights: &[i32], types: u16| (0..weights.len()).filter(|k| types >> k & 1 == 1).map(|k| i64::from(weights[k])).sum::<i64>();
    let sum = |weights: &[i32]| sum_of(weights, types);
    // Rounding must not inhibit what nothing inhibits.
    if n.leak < 0 || inputs.iter().any(|i| sum_of(weights, i.types) < 0) {
        return None;
    }
    let lacking = needed - sum(weights);
    if lacking > 0 {
        // A type of its own may have what is lacking.
        let others = inputs.iter().fold(0, |all, i| all | i.types);
        let own = (0..weights.len()).find(|k| (types & !others) >> k & 1 == 1)?;
        let raised = i64::from(weights[own]) + lacking;
        if raised >= 1 << (*spec.neuron.weight_bits - 1) {
            return None;
        }
        weights[own] = raised as i32;
    }
    Some((types, sum(weights) as i32))
}

/// The net with gathers as populations after all others, one for each projection and number of a gather among its neuron's.
fn with_gathers(
    wired: Wired,
    (net, timed): (&Net<Float>, &Net<Float>),
    plan: &BTreeMap<u32, Vec<Strike>>,
    blows: &BTreeMap<u32, (u16, i32)>,
    most: usize,
    neuron: spikec_net::CrossbarNeuron,
) -> Wired {
    let bases = wired.bases.clone();
    let mut quantized = wired.quantized.clone();
    let mut populations = quantized.net.populations.clone();
    // (projection, number) -> its neurons: (unit, sources with their delays).
    let mut gathers: BTreeMap<(usize, usize), Vec<Gathered>> = BTreeMap::new();
    for (&unit, strikes) in plan {
        for own in strikes.chunk_by(|a, b| a.0 == b.0) {
            for (c, part) in own.chunks(most).enumerate() {
                gathers.entry((own[0].0, c)).or_default().push((unit, part));
            }
        }
    }
    let (mut parts, mut feeders, mut last) = (BTreeMap::<usize, Vec<Projection<_>>>::new(), Vec::new(), Vec::new());
    let first = wired.inputs.len() as u32;
    let mut heard: BTreeMap<u32, Vec<Input>> = BTreeMap::new();
    for (&(x, c), neurons) in &gathers {
        let p = &timed.projections[x];
        let (id, post) = (PopulationId::from(populations.len()), &timed.populations[p.post.index()]);
        let name = free_name(&populations, &format!("gather {} of {}", c + 1, p.name));
        let local = |unit: u32| unit - bases[p.post.index()];
        let (mut into, mut out) = (Vec::new(), Vec::new());
        for (g, (unit, part)) in (0..).zip(neurons) {
            let (types, weight) = blows[unit];
            into.extend(part.iter().map(|&(_, i, d)| (i, g, 1, d)));
            out.push((g, local(*unit), weight, 0));
            heard.entry(*unit).or_default().push(Input { source: first + last.len() as u32, delay: 1, types });
            let source = |&(_, i, d): &Strike| (bases[p.pre.index()] + i, (timed.chip_delay(p, d) - 1) as u32);
            last.push(Repeats { heard: part.iter().map(source).collect(), root: bases[p.pre.index()] + part[0].1 });
        }
        let pres = net.population(p.pre).len();
        let synapses = Synapses::from_tuples(pres, into);
        feeders.push(Projection { name: name.clone(), pre: p.pre, post: id, format: (), synapses });
        let synapses = Synapses::from_tuples(neurons.len(), out);
        parts.entry(x).or_default().push(Projection { name: p.name.clone(), pre: id, post: p.post, format: (), synapses });
        populations.push(Population {
            name,
            shape: post.shape.clone(),
            origin: neurons.iter().map(|(unit, _)| post.origin[local(*unit) as usize]).collect(),
            skew: post.skew - 1,
            role: Role::Neurons(vec![neuron; neurons.len()]),
        });
    }
    // What is left of each projection without what strikes, then its gathers.
    let mut left = std::mem::take(&mut quantized.net.projections).into_iter().peekable();
    let mut projections = Vec::new();
    for (x, p) in net.projections.iter().enumerate() {
        if let Some(mut own) = left.next_if(|l| l.name == p.name && (l.pre, l.post) == (p.pre, p.post)) {
            let stands = |i: u32, j: u32, d: u16| plan.get(&(bases[p.post.index()] + j)).is_some_and(|s| s[0] == (x, i, d));
            let kept = own.synapses.iter().filter(|&(i, j, _, d)| !stands(i, j, d)).collect();
            own.synapses = Synapses::from_tuples(own.synapses.pres(), kept);
            projections.extend(Some(own).filter(|own| !own.synapses.is_empty()));
        }
        projections.extend(parts.remove(&x).into_iter().flatten());
    }
    if let Scaling::Scaled { v_units, .. } = &mut quantized.scaling {
        v_units.extend(gathers.values().map(|neurons| vec![1.0; neurons.len()]));
    }
    quantized.net.populations = populations;
    quantized.net.projections = projections.into_iter().chain(feeders).collect();
    let mut all = wired.with_repeaters(quantized, &last, |_, input| (input.source, input.delay));
    all.gathers = last.len() as u64;
    for (unit, inputs) in heard {
        all.inputs[unit as usize].extend(inputs);
        all.inputs[unit as usize].sort_unstable();
    }
    all
}
