//! Toys of the crossbar families: random small float networks whose weights a crossbar can hold, their registers, and small chips.

use super::{emit_crossbar, emit_event, lower, of, random_net, real};
use crate::family::Registers;
use crate::image::{Given, ImageVerdict, VerifyError, check_image};
use crate::mutate::Random;
use spikec_chip::bundle::Bundle;
use spikec_chip::target::{Family, Target};
use spikec_data::{SpikeTrain, Stimulus};
use spikec_net::*;

/// Chips of the toys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chip {
    /// RANC's RTL: 9 bits that wrap.
    Ranc,
    /// RANC's simulator: 32 bits, reset at the negative threshold too.
    RancSim,
    TrueNorth,
    TinyOdin,
    Odin,
}

impl Chip {
    pub const ALL: [Chip; 5] = [Chip::Ranc, Chip::RancSim, Chip::TrueNorth, Chip::TinyOdin, Chip::Odin];

    /// The chip with less of everything.
    pub fn target(self) -> Target {
        let name = match self {
            Chip::Ranc => "ranc256",
            Chip::RancSim => "ranc256_sim",
            Chip::TrueNorth => "truenorth",
            Chip::TinyOdin => "tinyodin",
            Chip::Odin => "odin",
        };
        let mut target = spikec_chip::find(name).expect("it is built in");
        match &mut target.family {
            Family::Crossbar(spec) => {
                (target.topology.width.value, target.topology.height.value) = (3, 2);
                (spec.core.axons.value, spec.core.neurons.value, spec.routing.outputs.value) = (110, 90, 20);
                spec.routing.output_bus.value = (2, 1);
            }
            Family::EventCrossbar(spec) => (spec.core.rows.value, spec.core.neurons.value) = (64, 20),
            Family::Packed(_) => unreachable!("no packed chip is named above"),
        }
        target
    }

    fn event(self) -> bool {
        matches!(self, Chip::TinyOdin | Chip::Odin)
    }
}

/// A network and its bundle.
#[derive(Debug, Clone)]
pub(crate) struct IntegerToy {
    pub net: Net<Float>,
    pub digest: [u8; 32],
    pub bundle: Bundle,
}

/// Four weights of each neuron of each population, by index as trained; a crossbar's rows hold no others, but sums of them.
pub(super) type Levels = Vec<Vec<[i32; 4]>>;

impl IntegerToy {
    pub fn new(chip: Chip, seed: u64) -> IntegerToy {
        let mut r = Random::new(seed.wrapping_mul(1789) + chip as u64);
        let target = chip.target();
        let sizes = [3 + r.below(3), 3 + r.below(3), 2 + r.below(2)];
        let levels: Levels = (0..3).map(|p| (0..sizes[p]).map(|_| levels(&mut r, chip)).collect()).collect();
        let reset = if chip.event() { ResetRule::ToValue } else { of(&mut r, &[ResetRule::ToValue, ResetRule::Subtract]) };
        let rules = FloatRules { fire: of(&mut r, &[FireRule::Greater, FireRule::GreaterEqual]), reset };
        let unit = if chip.event() { 12.0 } else { 64.0 };
        let neurons = |r: &mut Random, n: usize| (0..n).map(|_| neuron(r, chip)).collect();
        // The posts' levels by projection, in the order of `random_net`.
        let posts = std::cell::Cell::new(0);
        let mut net: Net<Float> = random_net(&mut r, sizes, Role::SpikeInput, rules, neurons, |_, pairs| {
            let post = [1, 2, 1, 2][posts.replace(posts.get() + 1)];
            let of_pair = |(i, j, (), d): (u32, u32, (), u16)| {
                let l = &levels[post][j as usize];
                let k = (7 * i + 3 * j + 5 * u32::from(d)) % 5;
                // The fifth is a sum of two.
                (i, j, if k < 4 { l[k as usize] } else { l[0] + l[2] } as f32, d)
            };
            ((), pairs.into_iter().map(of_pair).collect())
        });
        // Integers to floats of the neuron's own scale, off the grid by less than half a unit.
        let gains: Vec<Vec<f32>> = net.populations.iter().map(|p| p.neurons().iter().map(|n| n.gain).collect()).collect();
        // In some toys all weights that leave one neuron vanish: nothing hears it.
        let silent = r.below(3) == 0;
        for p in &mut net.projections {
            let gains = &gains[p.post.index()];
            let from = p.pre.index();
            p.synapses = p.synapses.map_weights(|i, j, w| {
                let w = if silent && (from, i) == (1, 0) { 0.0 } else { w };
                (w + 0.3 * real(&mut r)) / (gains[j as usize] * unit)
            });
        }
        let digest = net.digest();
        let low = lower(&net);
        let bundle = if chip.event() {
            let q = quantize(&low, &net.rules, digest, f64::from(unit), EventLaw(target.clone()));
            emit_event::emit(&q, target, &mut r)
        } else {
            let q = quantize(&low, &net.rules, digest, f64::from(unit), CrossbarLaw(target.clone()));
            emit_crossbar::emit(&q, target, &levels, &mut r)
        };
        IntegerToy { net, digest, bundle }
    }

    pub fn given(&self) -> Given<'_> {
        Given::Trained { net: &self.net, digest: self.digest }
    }

    pub fn check(&self, bundle: &Bundle) -> Result<ImageVerdict, VerifyError> {
        check_image(bundle, &self.given())
    }

    pub fn quantized<N: Registers>(&self) -> Quantized<N> {
        Quantized::from_bytes(&self.bundle.reference).expect("a toy's reference can be read")
    }

    /// A random sample; no channel spikes twice in a step.
    pub fn sample(&self, r: &mut Random, steps: u32) -> Stimulus {
        let width = self.bundle.host.input_width;
        let step = |r: &mut Random| (0..width).filter(|_| r.below(2) == 0).collect();
        Stimulus::Spikes(SpikeTrain::from_steps(width, (0..steps).map(|_| step(r)).collect::<Vec<_>>()))
    }
}

/// Four different weights, none of them 0, nor the sum of the first and the third.
fn levels(r: &mut Random, chip: Chip) -> [i32; 4] {
    let most = if chip.event() { 3 } else { 30 };
    loop {
        let mut level = || (1 + r.below(most)) as i32 * if r.below(3) == 0 { -1 } else { 1 };
        let l = [level(), level(), level(), level()];
        let sum = l[0] + l[2];
        let mut all = [l[0], l[1], l[2], l[3], sum, 0];
        all.sort_unstable();
        if all.windows(2).all(|w| w[0] != w[1]) {
            return l;
        }
    }
}

fn neuron(r: &mut Random, chip: Chip) -> FloatNeuron {
    let event = chip.event();
    FloatNeuron {
        keep_u: 0.0,
        keep_v: 1.0,
        gain: of(r, &[1.0, 0.5]),
        bias: if event { 0.0 } else { of(r, &[0.0, 0.0, 0.12, -0.05]) },
        threshold: of(r, &[0.5, 1.0, 0.7]),
        v_reset: if event { 0.0 } else { of(r, &[0.0, 0.0, -0.1]) },
    }
}

/// From floats to the registers of a number.
trait Law<N: Number> {
    fn rules(&self) -> N::Rules;
    fn neuron(&self, n: &FloatNeuron, rules: &FloatRules, unit: f64) -> N::Neuron;
}

fn threshold(n: &FloatNeuron, rules: &FloatRules, unit: f64) -> i32 {
    let t = f64::from(n.threshold) * unit;
    (if rules.fire == FireRule::Greater { t.floor() + 1.0 } else { t.ceil() }) as i32
}

struct CrossbarLaw(Target);

impl Law<Crossbar> for CrossbarLaw {
    fn rules(&self) -> CrossbarRules {
        use spikec_chip::crossbar::{NegativeCompare, Overflow};
        let n = &crate::crossbar::spec(&self.0).neuron;
        let saturates = *n.overflow == Overflow::Saturate;
        CrossbarRules {
            potential_bits: *n.potential_bits,
            overflow: if saturates { PotentialOverflow::Saturate } else { PotentialOverflow::Wrap },
            floor_inclusive: *n.negative_compare == NegativeCompare::LessEqual,
        }
    }

    fn neuron(&self, n: &FloatNeuron, rules: &FloatRules, unit: f64) -> CrossbarNeuron {
        let spec = &crate::crossbar::spec(&self.0).neuron;
        let linear = rules.reset == ResetRule::Subtract;
        let start = (f64::from(n.v_reset) * unit).round() as i32;
        CrossbarNeuron {
            leak: (f64::from(n.bias) * unit).round() as i32,
            threshold: threshold(n, rules, unit),
            floor: -(1i64 << ((*spec.threshold_bits).min(*spec.potential_bits) - 1)) as i32,
            reset: if linear { 0 } else { start },
            linear,
            start,
        }
    }
}

struct EventLaw(Target);

impl Law<Event> for EventLaw {
    fn rules(&self) -> EventRules {
        let (v_min, v_max) = crate::event::spec(&self.0).potential_range();
        EventRules { v_min, v_max }
    }

    fn neuron(&self, n: &FloatNeuron, rules: &FloatRules, unit: f64) -> EventNeuron {
        EventNeuron { threshold: threshold(n, rules, unit), leak: 0, start: 0 }
    }
}

/// One scale for all, plain rounding.
fn quantize<N: Number<Weight = i32, Format = ()>>(
    net: &Net<Float>,
    rules: &FloatRules,
    network_digest: [u8; 32],
    unit: f64,
    law: impl Law<N>,
) -> Quantized<N> {
    let populations = net.populations.iter().map(|p| Population {
        name: p.name.clone(),
        shape: p.shape.clone(),
        origin: p.origin.clone(),
        skew: p.skew,
        role: match &p.role {
            Role::Neurons(n) => Role::Neurons(n.iter().map(|n| law.neuron(n, rules, unit)).collect()),
            _ => Role::SpikeInput,
        },
    });
    let projections = net.projections.iter().map(|p| {
        let gain = |j: u32| f64::from(net.population(p.post).neurons()[j as usize].gain);
        let rounded = p.synapses.iter().map(|(i, j, w, d)| (i, j, (f64::from(w) * gain(j) * unit).round() as i32, d));
        Projection {
            name: p.name.clone(),
            pre: p.pre,
            post: p.post,
            format: (),
            synapses: Synapses::from_tuples(net.population(p.pre).len(), rounded.filter(|s| s.2 != 0).collect()),
        }
    });
    let quantized = Net {
        name: net.name.clone(),
        rules: law.rules(),
        populations: populations.collect(),
        projections: projections.collect(),
        host_projections: Vec::new(),
        output: net.output,
    };
    let v_units = quantized.populations.iter().map(|p| vec![unit; p.neurons().len()]).collect();
    Quantized { net: quantized, scaling: Scaling::Scaled { v_units, deviation_steps: 0.5, bias_deviation: 0.0 }, network_digest }
}

#[test]
fn toys_of_crossbars_are_not_trivial() {
    for chip in Chip::ALL {
        let toys: Vec<IntegerToy> = (0..20).map(|seed| IntegerToy::new(chip, seed)).collect();
        let verdicts: Vec<ImageVerdict> = toys.iter().map(|t| t.check(&t.bundle).expect("a toy can be checked")).collect();
        for (seed, verdict) in verdicts.iter().enumerate() {
            let lines: Vec<String> = verdict.differences.iter().map(ToString::to_string).collect();
            assert!(verdict.holds(), "{chip:?} {seed}: {lines:#?}");
        }
        let sum = |of: fn(&ImageVerdict) -> u64| verdicts.iter().map(of).sum::<u64>();
        assert!(sum(|v| v.checked.synapses) > 300, "{chip:?}: {} synapses", sum(|v| v.checked.synapses));
        assert!(sum(|v| v.checked.given_synapses) > 200 && sum(|v| v.checked.compartments) > 100);
        assert_eq!(sum(|v| v.checked.copies) > 100, !chip.event(), "{chip:?}");
        assert!(toys.iter().any(|t| !t.bundle.host.injections.is_empty()));
        for toy in &toys {
            assert_eq!(Bundle::from_bytes(&toy.bundle.to_bytes()).as_ref(), Ok(&toy.bundle), "{chip:?}");
        }
    }
}
