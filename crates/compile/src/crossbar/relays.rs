//! Relays of a crossbar: the net of [`Wired`] with the neurons that repeat spikes for delays beyond a destination's slots.
//!
//! In: [`Wired`], timed. Out: the same with relay populations after all others, and no delay that a destination can't hold; or why not (C11, C01).
//! Invariant: `relay::insert_as` decides which relays there are, as for packed chips; here only the synapses' axons follow. A relay repeats by a weight of
//! one unit that is its threshold, and takes one axon of its core and a row for each of its destinations. Inputs need none: the host sends late.

use super::quantize::{Input, Wired};
use crate::families::bases;
use crate::finding::Finding;
use crate::quantize::Lost;
use crate::relay::{self, Kind, Reach, RelayReport};
use crate::retime::delay_findings;
use spikec_chip::crossbar::{Crossbar as Spec, CrossbarReset};
use spikec_chip::target::Target;
use spikec_net::{Crossbar, CrossbarNeuron, Quantized};

/// A neuron that fires for each spike of its one source, in the tick in which it hears it, and keeps nothing; `None` where registers hold no 1.
pub(super) fn kind(spec: &Spec) -> Option<Kind<Crossbar>> {
    let n = &spec.neuron;
    if (*n.weight_bits).min(*n.threshold_bits).min(*n.potential_bits) < 2 {
        return None;
    }
    let floor = -(1i64 << (*n.threshold_bits - 1)) as i32;
    let linear = !n.resets.contains(&CrossbarReset::Absolute);
    let neuron = CrossbarNeuron { leak: 0, threshold: 1, floor, reset: 0, linear, start: 0 };
    Some(Kind { neuron, weight: 1, format: () })
}

/// A neuron that repeats, as a unit: what it hears, and the unit of the network that it stands for.
pub(super) struct Repeats {
    /// What it hears, and after how many chip steps: one unit, several of a gather.
    pub heard: Vec<(u32, u32)>,
    /// The unit that it repeats in the end, the first of those of a gather.
    pub root: u32,
}

impl Wired {
    /// The unit that this one repeats, itself for most.
    pub fn root(&self, unit: u32) -> u32 {
        self.roots.get(unit as usize).copied().unwrap_or(unit)
    }

    /// The net with neurons that repeat as its last units: `quantized` is it, `last` are they, in its order; `of` says from which unit, and after how many
    /// chip steps, a synapse of an older unit comes now.
    pub(super) fn with_repeaters(self, quantized: Quantized<Crossbar>, last: &[Repeats], of: impl Fn(u32, &Input) -> (u32, u32)) -> Wired {
        let Wired { mut inputs, mut weights, errors, mut lost, mut roots, gathers, effect, quantized: _, bases: _ } = self;
        // The type by which a unit's spikes come anyhow, so that a core that hears both has one axon for it.
        let mut types = vec![1u16; inputs.len()];
        for input in inputs.iter().flatten() {
            types[input.source as usize] = input.types & input.types.wrapping_neg();
        }
        for (unit, own) in inputs.iter_mut().enumerate() {
            for input in own.iter_mut() {
                (input.source, input.delay) = of(unit as u32, input);
            }
            own.sort_unstable();
        }
        let kinds = weights.iter().map(Vec::len).max().unwrap_or(0);
        roots.extend(roots.len() as u32..inputs.len() as u32);
        for repeats in last {
            // A gather's sources may have different types: a relay has the type of what it repeats.
            let own = |&(source, _): &(u32, u32)| types[if repeats.heard.len() > 1 { source } else { repeats.root } as usize];
            let heard = repeats.heard.iter().map(|heard| Input { source: heard.0, delay: heard.1, types: own(heard) });
            let mut heard: Vec<Input> = heard.collect();
            heard.sort_unstable();
            let all = heard.iter().fold(0, |all, i| all | i.types);
            weights.push((0..kinds).map(|k| i32::from(all >> k & 1)).collect());
            inputs.push(heard);
            roots.push(repeats.root);
        }
        lost.resize(quantized.net.populations.len(), Lost::default());
        let bases = bases(&quantized.net);
        Wired { quantized, bases, inputs, weights, errors, lost, roots, gathers, effect }
    }
}

/// Inserts the relays that the net needs.
///
/// # Errors
/// Delays that no relay can make (C11), more neurons than the board has (C01).
pub(super) fn relayed(wired: Wired, target: &Target, spec: &Spec) -> Result<(Wired, RelayReport), Vec<Finding>> {
    let findings = delay_findings(&wired.quantized.net, target);
    if findings.is_empty() {
        return Ok((wired, RelayReport::default()));
    }
    // A gather hears the network's own neurons.
    if wired.gathers > 0 {
        return Err(findings);
    }
    let reach =
        Reach { max_delay: i64::from(*spec.routing.max_delay), neuron_hop: i64::from(*target.topology.neuron_hop_steps), input_hop: None };
    let room = (u64::from(target.usable_cores()) * u64::from(*spec.core.neurons), "rows of neurons of the board");
    let (quantized, inserted) = relay::insert_as(wired.quantized.clone(), target, &reach, |_| kind(spec), room);
    let inserted = inserted?;
    let (old, new) = (wired.bases.clone(), bases(&quantized.net));
    let hop = Some(reach.neuron_hop);
    let of = |unit: u32| {
        let p = old.partition_point(|&b| b <= unit) - 1;
        (p, (unit - old[p]) as usize)
    };
    // Relay `k` of a unit, from 1 on.
    let relay = |(p, i): (usize, usize), k: usize| {
        let (id, index) = &inserted.stages[p][k - 1];
        new[id.index()] + index[i].expect("a synapse that needs a relay has it")
    };
    let mut last = Vec::new();
    for (p, stages) in inserted.stages.iter().enumerate() {
        for (k, (_, index)) in (1..).zip(stages) {
            for i in (0..index.len()).filter(|&i| index[i].is_some()) {
                let root = old[p] + i as u32;
                let heard = if k == 1 { root } else { relay((p, i), k - 1) };
                let before = if k == 1 { 0 } else { reach.offset(k - 1, hop) };
                last.push(Repeats { heard: vec![(heard, (reach.offset(k, hop) - before) as u32)], root });
            }
        }
    }
    let is_input: Vec<bool> = quantized.net.populations.iter().map(|p| p.is_input()).collect();
    let moved = |_: u32, input: &Input| {
        let (p, i) = of(input.source);
        let k = reach.relays(input.delay.into(), if is_input[p] { None } else { hop });
        if k == 0 { (input.source, input.delay) } else { (relay((p, i), k), input.delay - reach.offset(k, hop) as u32) }
    };
    Ok((wired.with_repeaters(quantized, &last, moved), inserted.report))
}
