//! Faults in the reference section.

use super::{Edit, Mutator, Nudge, Random, choose, fields};
use crate::family::Registers;
use spikec_chip::bundle::Bundle;
use spikec_net::{
    Bias, Crossbar, Delays, Event, Fixed, FixedNeuron, FixedRules, HostProjection, Net, Population, Projection, Quantized, Role, Scaling,
    Section, SignMode, Synapses, Tables, Weight, WeightFormat,
};

pub(super) fn quantized<N: Registers>(b: &mut Bundle, r: &mut Random, edit: Edit<Quantized<N>>) -> bool {
    if !N::holds(b) {
        return false;
    }
    let Ok(mut q) = Quantized::<N>::from_bytes(&b.reference) else { return false };
    let done = edit(&mut q, r);
    b.reference = q.to_bytes();
    done
}
type FixedQuantized = Quantized<Fixed>;
type FixedNet = Net<Fixed>;
type FixedPopulation = Population<Fixed>;
type FixedProjection = Projection<Fixed>;
type FixedTables = Tables<i16>;
/// A synapse by itself: how rows are stored is no statement about the net.
pub(super) struct Synapse<W> {
    pub pre: u32,
    pub post: u32,
    pub weight: W,
    pub delay: u16,
}
type FixedSynapse = Synapse<i16>;

fn net(b: &mut Bundle, r: &mut Random, edit: Edit<FixedNet>) -> bool {
    quantized::<Fixed>(b, r, &mut |q, r| edit(&mut q.net, r))
}
fn rules(b: &mut Bundle, r: &mut Random, edit: Edit<FixedRules>) -> bool {
    net(b, r, &mut |n, r| edit(&mut n.rules, r))
}
fn population(b: &mut Bundle, r: &mut Random, edit: Edit<FixedPopulation>) -> bool {
    net(b, r, &mut |n, r| choose(&mut n.populations, r, edit))
}
fn neuron(b: &mut Bundle, r: &mut Random, edit: Edit<FixedNeuron>) -> bool {
    net(b, r, &mut |n, r| {
        let mut all: Vec<&mut FixedNeuron> = n.populations.iter_mut().flat_map(neurons).collect();
        let k = r.below(all.len());
        all.get_mut(k).is_some_and(|n| edit(n, r))
    })
}
fn neurons(p: &mut Population<Fixed>) -> &mut [FixedNeuron] {
    match &mut p.role {
        Role::Neurons(n) => n,
        Role::SpikeInput | Role::AnalogInput => &mut [],
    }
}
fn bias(b: &mut Bundle, r: &mut Random, edit: Edit<Bias>) -> bool {
    neuron(b, r, &mut |n, r| edit(&mut n.bias, r))
}
fn projection(b: &mut Bundle, r: &mut Random, edit: Edit<FixedProjection>) -> bool {
    net(b, r, &mut |n, r| choose(&mut n.projections, r, edit))
}
fn weight_format(b: &mut Bundle, r: &mut Random, edit: Edit<WeightFormat>) -> bool {
    projection(b, r, &mut |p, r| edit(&mut p.format, r))
}
/// Edits a list of synapses at one of them.
type AtSynapse<'a, W> = &'a mut dyn FnMut(&mut Vec<Synapse<W>>, usize, &mut Random) -> bool;
/// Edits the list of all synapses at one of them.
pub(super) fn one_of<W: Weight>(synapses: &mut Synapses<W>, r: &mut Random, edit: AtSynapse<W>) -> bool {
    let mut all: Vec<Synapse<W>> = synapses.iter().map(|(pre, post, weight, delay)| Synapse { pre, post, weight, delay }).collect();
    let k = r.below(all.len());
    let done = k < all.len() && edit(&mut all, k, r);
    let tuples = all.into_iter().map(|Synapse { pre, post, weight, delay }| (pre, post, weight, delay)).collect();
    *synapses = Synapses::from_tuples(synapses.pres(), tuples);
    done
}
fn synapse(b: &mut Bundle, r: &mut Random, edit: Edit<FixedSynapse>) -> bool {
    projection(b, r, &mut |p, r| one_of(&mut p.synapses, r, &mut |all, k, r| edit(&mut all[k], r)))
}
/// The tables of a projection as the bytes have them, whatever they come to.
fn tables(b: &mut Bundle, r: &mut Random, edit: Edit<Tables<i16>>) -> bool {
    let Ok(mut section) = Section::<Fixed>::from_bytes(&b.reference) else { return false };
    let done = choose(&mut section.net.projections, r, &mut |p, r| edit(&mut p.synapses, r));
    b.reference = section.to_bytes();
    done
}
fn host_projection(b: &mut Bundle, r: &mut Random, edit: Edit<HostProjection>) -> bool {
    net(b, r, &mut |n, r| choose(&mut n.host_projections, r, edit))
}

impl Nudge for Delays {
    fn nudge(&mut self, r: &mut Random) -> bool {
        match self {
            Delays::Uniform(d) => d.nudge(r),
            Delays::Each(each) => each.nudge(r),
        }
    }
}

/// One delay, written for each post.
fn delays_one_by_one(bundle: &Bundle, seed: u64) -> Option<Bundle> {
    let mut mutant = bundle.clone();
    let done = tables(&mut mutant, &mut Random::new(seed), &mut |t, _| match t.delays {
        Delays::Uniform(d) => {
            t.delays = Delays::Each(vec![d; t.gaps.len()]);
            !t.gaps.is_empty()
        }
        Delays::Each(_) => false,
    });
    done.then_some(mutant)
}

/// The same synapses, every row with weights of its own.
fn rows_one_by_one(bundle: &Bundle, seed: u64) -> Option<Bundle> {
    let mut mutant = bundle.clone();
    let done = projection(&mut mutant, &mut Random::new(seed), &mut |p, _| {
        let before = p.synapses.templates();
        p.synapses.weights_mut();
        p.synapses.templates() != before
    });
    done.then_some(mutant)
}

pub(super) fn swap<T: PartialEq>(list: &mut [T], r: &mut Random) -> bool {
    let k = r.below(list.len().saturating_sub(1));
    list.len() > 1 && list[k] != list[k + 1] && {
        list.swap(k, k + 1);
        true
    }
}

impl Nudge for SignMode {
    fn nudge(&mut self, _: &mut Random) -> bool {
        *self = match self {
            SignMode::Mixed => SignMode::Excitatory,
            SignMode::Excitatory => SignMode::Inhibitory,
            SignMode::Inhibitory => SignMode::Split,
            SignMode::Split => SignMode::Mixed,
        };
        true
    }
}

impl Nudge for Bias {
    fn nudge(&mut self, r: &mut Random) -> bool {
        self.mantissa.nudge(r)
    }
}

fn other_role(role: &mut Role<Fixed>, r: &mut Random) -> bool {
    match role {
        Role::SpikeInput => *role = Role::AnalogInput,
        Role::AnalogInput => *role = Role::SpikeInput,
        Role::Neurons(n) => return swap(n, r),
    }
    true
}

pub(super) fn other_scaling(scaling: &mut Scaling, r: &mut Random) -> bool {
    match scaling {
        Scaling::Exact => *scaling = Scaling::Scaled { v_units: Vec::new(), deviation_steps: 0.5, bias_deviation: 0.0 },
        Scaling::Scaled { v_units, deviation_steps, bias_deviation } => match r.below(4) {
            0 => *scaling = Scaling::Exact,
            1 => *deviation_steps = -1.0,
            2 => *bias_deviation = -1.0,
            _ => {
                let mut all: Vec<&mut f64> = v_units.iter_mut().flatten().collect();
                let k = r.below(all.len());
                return all.get_mut(k).is_some_and(|u| u.nudge(r));
            }
        },
    }
    true
}

/// Edits the scaling, whatever the number.
fn scaling(bundle: &Bundle, seed: u64, edit: fn(&mut Scaling, &mut Random) -> bool) -> Option<Bundle> {
    let mut mutant = bundle.clone();
    let r = &mut Random::new(seed);
    let done = quantized::<Fixed>(&mut mutant, r, &mut |q, r| edit(&mut q.scaling, r))
        || quantized::<Crossbar>(&mut mutant, r, &mut |q, r| edit(&mut q.scaling, r))
        || quantized::<Event>(&mut mutant, r, &mut |q, r| edit(&mut q.scaling, r));
    done.then_some(mutant)
}

fn larger_deviation(bundle: &Bundle, seed: u64) -> Option<Bundle> {
    scaling(bundle, seed, |scaling, r| match scaling {
        Scaling::Exact => false,
        Scaling::Scaled { v_units: _, deviation_steps, bias_deviation: _ } => deviation_steps.nudge(r),
    })
}

fn larger_bias_deviation(bundle: &Bundle, seed: u64) -> Option<Bundle> {
    scaling(bundle, seed, |scaling, r| match scaling {
        Scaling::Exact => false,
        Scaling::Scaled { v_units: _, deviation_steps: _, bias_deviation } => bias_deviation.nudge(r),
    })
}

pub(super) fn push(out: &mut Vec<Mutator>) {
    fields!(out, FixedQuantized, quantized::<Fixed>, {
        net: Refusal => |q, r| q.net.name.nudge(r),
        scaling: Refusal => |q, r| other_scaling(&mut q.scaling, r),
        network_digest: Refusal,
    });
    out.push(Mutator { name: "Scaling.deviation_steps", catch: super::Catch::Statement, apply: larger_deviation });
    out.push(Mutator { name: "Scaling.bias_deviation", catch: super::Catch::Statement, apply: larger_bias_deviation });
    fields!(out, FixedNet, net, {
        name: Refusal,
        rules: Refusal => |n, r| n.rules.v_max.nudge(r),
        populations: Refusal => |n, r| swap(&mut n.populations, r),
        projections: Refusal => |n, r| swap(&mut n.projections, r),
        host_projections: Refusal => |n, r| {
            let k = r.below(n.host_projections.len());
            let lost = k < n.host_projections.len();
            if lost {
                n.host_projections.remove(k);
            }
            lost
        },
        output: Refusal => |n, r| n.output.0.nudge(r),
    });
    fields!(out, FixedRules, rules, {
        align_shift: Refusal,
        weight_limit_bits: Refusal,
        input_bits: Refusal,
        u_bits: Refusal,
        v_min: Refusal,
        v_max: Refusal,
        threshold_shift: Refusal,
    });
    fields!(out, FixedPopulation, population, {
        name: Refusal,
        shape: Refusal,
        origin: Refusal,
        skew: Refusal,
        role: Refusal => |p, r| other_role(&mut p.role, r),
    });
    fields!(out, FixedNeuron, neuron, {
        decay_u: Refusal,
        decay_v: Refusal,
        threshold: Refusal,
        refractory: Refusal,
        bias: Refusal,
    });
    fields!(out, Bias, bias, {
        mantissa: Refusal,
        exponent: Refusal,
    });
    fields!(out, FixedProjection, projection, {
        name: Refusal,
        pre: Refusal => |p, r| p.pre.0.nudge(r),
        post: Refusal => |p, r| p.post.0.nudge(r),
        format: Statement => |p, r| p.format.bits.nudge(r),
        synapses: Refusal => |p, r| one_of(&mut p.synapses, r, &mut |all, k, _| {
            all.remove(k);
            true
        }),
    });
    fields!(out, WeightFormat, weight_format, {
        bits: Statement,
        exponent: Refusal,
        sign: Statement,
    });
    fields!(out, FixedSynapse, synapse, {
        pre: Refusal,
        post: Refusal,
        weight: Refusal => |s, r| {
            s.weight -= [1, 2, 4, 8, 16, 32, 64, 128][r.below(8)];
            true
        },
        delay: Refusal,
    });
    fields!(out, FixedTables, tables, {
        rows: Refusal,
        templates: Refusal,
        lengths: Refusal,
        gaps: Refusal,
        delays: Refusal,
        weights: Refusal,
    });
    out.push(Mutator { name: "Tables.delays, one by one", catch: super::Catch::Refusal, apply: delays_one_by_one });
    out.push(Mutator { name: "Tables.rows, one by one", catch: super::Catch::Refusal, apply: rows_one_by_one });
    fields!(out, HostProjection, host_projection, {
        name: Refusal,
        pre: Refusal => |h, r| h.pre.0.nudge(r),
        post: Refusal => |h, r| h.post.0.nudge(r),
        offsets: Refusal,
        channels: Refusal,
        weights: Refusal,
        constants: Refusal,
        gains: Refusal,
        delay_steps: Refusal,
    });
}
