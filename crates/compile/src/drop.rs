//! Synapses that a chip of crossbars has no room for, left out (`--drop-inputs`).
//!
//! In: a lowered net, which of its synapses stay, what samples tell of rates. Out: the net without the others, and what that takes from it.
//! Invariant: nothing is chosen here; each family says what its cores lack room for (`crossbar::drop`, `event::drop`).
//! Cost: linear in the synapses.

use crate::crossbar::measure::Measured;
use crate::families::bases;
use crate::options::CompileOptions;
use crate::quantize::agreement;
use serde::Serialize;
use spikec_chip::event::EventSign;
use spikec_chip::target::{Family, Target};
use spikec_chip::target_file::builtin;
use spikec_net::{Float, Net, Projection, Synapses};
use std::collections::BTreeSet;

/// Inputs that were left out, for a core has no axons or rows for them (`--drop-inputs`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DroppedReport {
    /// Synapses.
    pub synapses: u64,
    /// Neurons that lost some.
    pub neurons: u64,
    /// Share that they lost of the energy (squared weights, in units of the threshold) of all their synapses.
    pub share: f64,
    /// All synapses that the chip lacks of those that might have been left out, what rounding took included: what the bundle declares.
    pub absent: u64,
}

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
    /// For each unit, what it loses in a step on average, in float units of v; empty where no rates are known.
    pub means: Vec<f64>,
}

/// Something of each synapse: projection, row, synapse of the row.
pub type EachSynapse<T> = Vec<Vec<Vec<T>>>;

/// What a synapse does.
#[derive(Debug, Clone, Copy)]
pub struct Weighed {
    /// Squared weight in units of the threshold.
    pub square: f64,
    /// That, times how often the source speaks: the expected squared effect of a step.
    pub effect: f64,
    /// Expected effect of a step, in float units of v.
    pub mean: f64,
}

/// What a synapse of the projection does, whose source speaks at `rate`.
pub fn weighed(net: &Net<Float>, p: &Projection<Float>, (post, weight): (u32, f32), rate: f64) -> Weighed {
    let n = &net.population(p.post).neurons()[post as usize];
    let w = f64::from(n.gain) * f64::from(weight);
    let square = (w / f64::from(n.threshold)).powi(2);
    Weighed { square, effect: rate * square, mean: rate * w }
}

/// The same for each synapse.
pub fn each<T: Clone>(net: &Net<Float>, value: &T) -> EachSynapse<T> {
    net.projections.iter().map(|p| p.synapses.rows().map(|row| vec![value.clone(); row.len()]).collect()).collect()
}

/// The net with those synapses that are `kept`.
pub fn strip(net: &Net<Float>, measured: &Measured, kept: &EachSynapse<bool>) -> (Net<Float>, Dropped) {
    let bases = bases(net);
    let units = *bases.last().unwrap_or(&0) as usize;
    let mut dropped = Dropped { means: vec![0.0; if measured.known() { units } else { 0 }], ..Dropped::default() };
    // Energy of each unit, what is lost of it, and how many synapses.
    let mut sums = vec![(0.0, 0.0, 0u64); units];
    let mut rest = net.clone();
    for ((p, left), kept) in net.projections.iter().zip(&mut rest.projections).zip(kept) {
        let mut stay = Vec::new();
        for (i, (row, kept)) in p.synapses.rows().zip(kept).enumerate() {
            let rate = measured.rate(bases[p.pre.index()] + i as u32);
            for ((post, weight, delay), &kept) in row.iter().zip(kept) {
                let unit = (bases[p.post.index()] + post) as usize;
                let one = weighed(net, p, (post, weight), rate);
                sums[unit].0 += one.square;
                if kept {
                    stay.push((i as u32, post, weight, delay));
                    continue;
                }
                (sums[unit].1, sums[unit].2) = (sums[unit].1 + one.square, sums[unit].2 + 1);
                dropped.effect += one.effect;
                if let Some(mean) = dropped.means.get_mut(unit) {
                    *mean += one.mean;
                }
            }
        }
        if stay.len() < p.synapses.len() {
            left.synapses = Synapses::from_tuples(p.synapses.pres(), stay);
        }
    }
    let (mut all, mut lost) = (0.0, 0.0);
    for (energy, gone, count) in sums.into_iter().filter(|s| s.2 > 0) {
        (all, lost) = (all + energy, lost + gone);
        (dropped.synapses, dropped.neurons) = (dropped.synapses + count, dropped.neurons + 1);
    }
    dropped.share = if all > 0.0 { lost / all } else { 0.0 };
    (rest, dropped)
}

/// Synapses that end at each unit.
pub fn inputs(net: &Net<Float>) -> Vec<usize> {
    let bases = bases(net);
    let mut inputs = vec![0; *bases.last().unwrap_or(&0) as usize];
    for p in &net.projections {
        p.synapses.rows().for_each(|row| row.posts().for_each(|post| inputs[(bases[p.post.index()] + post) as usize] += 1));
    }
    inputs
}

/// What the option would do, measured: what goes, and in how many samples the floats say the same without it.
pub fn offer(net: &Net<Float>, (rest, dropped): (&Net<Float>, &Dropped), options: &CompileOptions) -> String {
    let mut said = format!(
        "--drop-inputs would leave {} of {} synapses out, {:.1} % of the energy of their neurons' weights",
        dropped.synapses,
        net.synapse_count(),
        100.0 * dropped.share
    );
    let agreement = agreement((net, rest), &options.calibration, options.default_steps, options.decoder.into());
    if let Some((samples, same)) = agreement {
        said += &format!(", and give the same class for {:.1} % of {samples} samples in floats", 100.0 * same);
    }
    said
}

/// Other built-in targets whose cores take as many sources of a neuron as the net has; none where there are none.
pub fn others(net: &Net<Float>, target: &Target) -> Option<String> {
    let most = inputs(net).into_iter().max().unwrap_or(0);
    let bases = bases(net);
    let speak = |p: &Projection<Float>| {
        let base = bases[p.pre.index()] as usize;
        p.synapses.rows().enumerate().filter(|(_, row)| !row.is_empty()).map(move |(i, _)| base + i).collect::<Vec<_>>()
    };
    let sources = net.projections.iter().flat_map(speak).collect::<BTreeSet<_>>().len();
    let holds = |other: &Target| match &other.family {
        Family::Packed(p) => *p.core.in_axons as usize >= most,
        Family::Crossbar(c) => *c.core.axons as usize >= most,
        Family::EventCrossbar(e) => {
            let rows = if *e.weights.sign == EventSign::EachRow { 2 * sources } else { sources };
            *e.core.rows as usize >= rows && *e.core.neurons as usize >= net.neuron_count()
        }
    };
    let others = builtin().iter().filter(|(name, text)| *name != target.name && Target::from_ron(text).is_ok_and(|t| holds(&t)));
    let others: Vec<&str> = others.map(|(name, _)| *name).collect();
    (!others.is_empty()).then(|| format!("targets whose cores take {most} sources of a neuron: {}", others.join(", ")))
}
