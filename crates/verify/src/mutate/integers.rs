//! Faults in reference sections of the crossbar families.

use super::reference::{one_of, quantized, swap};
use super::{Edit, Mutator, Nudge, Random, choose, fields};
use crate::family::Registers;
use spikec_chip::bundle::Bundle;
use spikec_net::{
    Crossbar, CrossbarNeuron, CrossbarRules, Event, EventNeuron, EventRules, Net, Number, Population, PotentialOverflow, Projection,
    Quantized, Role,
};

fn net<N: Registers>(b: &mut Bundle, r: &mut Random, edit: Edit<Net<N>>) -> bool {
    quantized::<N>(b, r, &mut |q, r| edit(&mut q.net, r))
}
fn rules<N: Registers>(b: &mut Bundle, r: &mut Random, edit: Edit<N::Rules>) -> bool {
    net::<N>(b, r, &mut |n, r| edit(&mut n.rules, r))
}
fn population<N: Registers>(b: &mut Bundle, r: &mut Random, edit: Edit<Population<N>>) -> bool {
    net::<N>(b, r, &mut |n, r| choose(&mut n.populations, r, edit))
}
fn neuron<N: Registers>(b: &mut Bundle, r: &mut Random, edit: Edit<N::Neuron>) -> bool {
    net::<N>(b, r, &mut |n, r| {
        let mut all: Vec<&mut N::Neuron> = n
            .populations
            .iter_mut()
            .flat_map(|p| match &mut p.role {
                Role::Neurons(n) => &mut n[..],
                Role::SpikeInput | Role::AnalogInput => &mut [],
            })
            .collect();
        let k = r.below(all.len());
        all.get_mut(k).is_some_and(|n| edit(n, r))
    })
}
fn projection<N: Registers>(b: &mut Bundle, r: &mut Random, edit: Edit<Projection<N>>) -> bool {
    net::<N>(b, r, &mut |n, r| choose(&mut n.projections, r, edit))
}

fn other_role<N: Number>(role: &mut Role<N>, r: &mut Random) -> bool {
    match role {
        Role::SpikeInput => *role = Role::AnalogInput,
        Role::AnalogInput => *role = Role::SpikeInput,
        Role::Neurons(n) => return swap(n, r),
    }
    true
}

/// Another synapse in the place of one: its pre, post, weight or delay.
fn other_synapse<N: Registers + Number<Weight = i32>>(p: &mut Projection<N>, r: &mut Random) -> bool {
    let pres = p.synapses.pres() as u32;
    one_of(&mut p.synapses, r, &mut |all, k, r| {
        let before: Vec<_> = all.iter().map(|s| (s.pre, s.post, s.weight, s.delay)).collect();
        let s = &mut all[k];
        let done = match r.below(4) {
            0 => s.pre.nudge(r),
            1 => s.post.nudge(r),
            2 => s.weight.nudge(r),
            _ => s.delay.nudge(r),
        };
        let mut after: Vec<_> = all.iter().map(|s| (s.pre, s.post, s.weight, s.delay)).collect();
        after.sort_unstable();
        // A synapse that takes the place of an equal one is none, and one of a neuron that isn't there is no net.
        done && all[k].pre < pres && after != before
    })
}

impl Nudge for PotentialOverflow {
    fn nudge(&mut self, _: &mut Random) -> bool {
        *self = match self {
            PotentialOverflow::Wrap => PotentialOverflow::Saturate,
            PotentialOverflow::Saturate => PotentialOverflow::Wrap,
        };
        true
    }
}

/// On chips whose potentials don't pass their bits it says nothing what they would do there.
fn other_overflow(bundle: &Bundle, seed: u64) -> Option<Bundle> {
    use spikec_chip::crossbar::Overflow;
    let spikec_chip::target::Family::Crossbar(spec) = &bundle.target.family else { return None };
    let mut mutant = bundle.clone();
    let bounded = *spec.neuron.overflow != Overflow::Unbounded;
    let done = rules::<Crossbar>(&mut mutant, &mut Random::new(seed), &mut |n: &mut CrossbarRules, r| n.overflow.nudge(r));
    (bounded && done).then_some(mutant)
}

/// The mutators of everything that is alike in both numbers.
macro_rules! of_number {
    ($out:ident, $number:ident, $net:ident, $population:ident, $projection:ident, $quantized:ident) => {
        type $quantized = Quantized<$number>;
        type $net = Net<$number>;
        type $population = Population<$number>;
        type $projection = Projection<$number>;
        fields!($out, $quantized, quantized::<$number>, {
            net: Refusal => |q, r| q.net.name.nudge(r),
            scaling: Refusal => |q, r| super::reference::other_scaling(&mut q.scaling, r),
            network_digest: Refusal,
        });
        fields!($out, $net, net::<$number>, {
            name: Refusal,
            rules: Refusal => |n, r| {
                let wrong = n.populations.iter_mut().find(|p| !p.is_input());
                wrong.is_some_and(|p| p.skew.nudge(r))
            },
            populations: Refusal => |n, r| swap(&mut n.populations, r),
            projections: Refusal => |n, r| swap(&mut n.projections, r),
            host_projections: Refusal => |n, _| {
                let posts = n.populations.iter().position(|p| !p.is_input()).unwrap_or(0);
                let count = n.populations[posts].len();
                n.host_projections.push(spikec_net::HostProjection {
                    name: "map".into(),
                    pre: 0.into(),
                    post: posts.into(),
                    offsets: vec![0; count + 1],
                    channels: Vec::new(),
                    weights: Vec::new(),
                    constants: vec![0.0; count],
                    gains: vec![1.0; count],
                    delay_steps: 0,
                });
                true
            },
            output: Refusal => |n, r| n.output.0.nudge(r),
        });
        fields!($out, $population, population::<$number>, {
            name: Refusal,
            shape: Refusal,
            origin: Refusal,
            skew: Refusal,
            role: Refusal => |p, r| other_role(&mut p.role, r),
        });
        fields!($out, $projection, projection::<$number>, {
            name: Refusal,
            pre: Refusal => |p, r| p.pre.0.nudge(r),
            post: Refusal => |p, r| p.post.0.nudge(r),
            format: Refusal => |p, r| one_of(&mut p.synapses, r, &mut |all, k, _| {
                all.remove(k);
                true
            }),
            synapses: Refusal => |p, r| other_synapse(p, r),
        });
    };
}

pub(super) fn push(out: &mut Vec<Mutator>) {
    of_number!(out, Crossbar, CrossbarNet, CrossbarPopulation, CrossbarProjection, CrossbarQuantized);
    fields!(out, CrossbarRules, rules::<Crossbar>, {
        potential_bits: Refusal,
        overflow: Refusal => |_, _| false,
        floor_inclusive: Refusal,
    });
    out.push(Mutator { name: "CrossbarRules.overflow, where it acts", catch: super::Catch::Refusal, apply: other_overflow });
    fields!(out, CrossbarNeuron, neuron::<Crossbar>, {
        leak: Refusal,
        threshold: Refusal,
        floor: Refusal,
        reset: Refusal,
        linear: Refusal,
        start: Refusal,
    });
    of_number!(out, Event, EventNet, EventPopulation, EventProjection, EventQuantized);
    fields!(out, EventRules, rules::<Event>, {
        v_min: Refusal,
        v_max: Refusal,
    });
    fields!(out, EventNeuron, neuron::<Event>, {
        threshold: Refusal,
        leak: Refusal,
        start: Refusal,
    });
}
