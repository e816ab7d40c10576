//! The net as a packer sees it: each neuron's incoming synapses, with chip delays and stored weight widths.
//!
//! In: a `Quantized` and the target. Out: [`Wiring`], synapses by postsynaptic neuron, equal rows stored once as in the net.
//! Invariant: a *unit* numbers neurons and input channels of all populations in net order; each unit is one axon to a core.
//! Cost: time is linear in the synapses, memory in those that are stored. Why: partitioner and packer ask for the synapses of a neuron, the net stores those from one.

use super::kernels::{self, Kernels};
use crate::finding::Finding;
use spikec_chip::cost;
use spikec_chip::target::{Sign, Target};
use spikec_net::{Fixed, Net, PopulationId, Quantized, Role, SignMode, Synapses};
use std::collections::HashSet;

/// A neuron of a net.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NeuronRef {
    /// Its population.
    pub population: PopulationId,
    /// Its index among the surviving neurons of the population.
    pub neuron: u32,
}

/// What the weights of a synapse format share, whatever names the posts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WeightClass {
    /// Sign mode.
    pub sign: Sign,
    /// Weight exponent.
    pub exponent: i8,
    /// Stored width in bits.
    pub bits: u8,
}

/// A synapse that enters a neuron.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incoming {
    /// Unit of the presynaptic neuron or channel.
    pub source: u32,
    /// Weight mantissa.
    pub mantissa: i16,
    /// Delay register: chip delay less the hop, 0 ..= 65535.
    pub delay: u16,
    /// Index into [`Wiring::classes`].
    pub class: u16,
}

/// A projection by postsynaptic neuron.
#[derive(Debug)]
struct Entering {
    synapses: Synapses<i16>,
    /// Unit of its first presynaptic neuron.
    sources: u32,
    /// Delay register less the net delay.
    skew: i64,
    /// Classes of mantissas that are not negative, and of negative ones.
    classes: [u16; 2],
}

impl Entering {
    /// Class and delay register of a synapse.
    fn register(&self, mantissa: i16, delay: u16) -> (u16, u16) {
        (self.classes[usize::from(mantissa < 0)], (i64::from(delay) + self.skew).clamp(0, 65535) as u16)
    }
}

/// Incoming synapses of every unit.
#[derive(Debug)]
pub struct Wiring {
    /// First unit of each population, then the number of units.
    bases: Vec<u32>,
    neurons: Vec<bool>,
    /// By population.
    entering: Vec<Vec<Entering>>,
    synapses: usize,
    classes: Vec<WeightClass>,
    shares: bool,
    problems: Vec<Finding>,
}

/// The sign modes of stored formats: of weights that are not negative, and of negative ones.
pub fn stored_signs(sign: SignMode) -> [Sign; 2] {
    match sign {
        SignMode::Mixed => [Sign::Mixed; 2],
        SignMode::Excitatory => [Sign::Excitatory; 2],
        SignMode::Inhibitory => [Sign::Inhibitory; 2],
        SignMode::Split => [Sign::Excitatory, Sign::Inhibitory],
    }
}

impl Wiring {
    /// Builds the view. What no core could ever hold (a delay below the hop, a weight width that the target lacks) is in
    /// [`Wiring::problems`].
    pub fn new(q: &Quantized, target: &Target, kernels: Kernels) -> Wiring {
        let net = &q.net;
        let memory = &target.packed().synapse_memory;
        let mut problems = Vec::new();
        let mut bases = vec![0u32];
        for p in &net.populations {
            bases.push(bases.last().copied().unwrap_or(0) + p.len() as u32);
        }
        let mut entering: Vec<Vec<Entering>> = net.populations.iter().map(|_| Vec::new()).collect();
        let mut classes: Vec<WeightClass> = Vec::new();
        for p in &net.projections {
            let widest = memory.weight_bits.iter().copied().max().unwrap_or(8);
            let bits = cost::stored_weight_bits(memory, p.format.bits).unwrap_or_else(|| {
                let remedy = format!("use weights of at most {widest} bits");
                problems.push(Finding::error("C12", "weight width (bits)", p.format.bits.into(), widest.into(), remedy).layer(&*p.name));
                widest
            });
            let signs = stored_signs(p.format.sign);
            let seen = |negative: bool| signs[0] == signs[1] || p.synapses.distinct_weights().iter().any(|&w| (w < 0) == negative);
            let classes_of = [(signs[0], false), (signs[1], true)].map(|(sign, negative)| {
                if !seen(negative) {
                    return 0;
                }
                let class = WeightClass { sign, exponent: p.format.exponent, bits };
                classes.iter().position(|c| *c == class).unwrap_or_else(|| {
                    classes.push(class);
                    classes.len() - 1
                }) as u16
            });
            let input = net.population(p.pre).is_input();
            let hop = i64::from(if input { *target.topology.input_hop_steps } else { *target.topology.neuron_hop_steps });
            let skew = net.chip_delay(p, 0) - hop;
            let least = i64::from(p.synapses.delay_bounds().0) + skew;
            if least < 0 && !p.synapses.is_empty() {
                let remedy = "lower the net again: a synapse acts before its spike can arrive";
                problems.push(Finding::error("C11", "least chip delay (steps)", (least + hop) as f64, hop as f64, remedy).layer(&*p.name));
            }
            let synapses = p.synapses.transposed(net.population(p.post).len(), |_, _, mantissa| mantissa);
            entering[p.post.index()].push(Entering { synapses, sources: bases[p.pre.index()], skew, classes: classes_of });
        }
        let neurons = net.populations.iter().map(|p| !p.is_input()).collect();
        let mut wiring = Wiring { bases, neurons, entering, synapses: net.synapse_count(), classes, shares: false, problems };
        wiring.shares = kernels::shares(kernels, &wiring, target);
        wiring
    }

    /// Number of units.
    pub fn units(&self) -> u32 {
        self.bases.last().copied().unwrap_or(0)
    }
    /// The unit of neuron or channel `index` of `population`; the caller knows that it exists.
    pub fn unit(&self, population: PopulationId, index: u32) -> u32 {
        self.bases[population.index()] + index
    }
    /// The unit of a neuron; `None` when there is no such neuron.
    pub fn neuron_unit(&self, n: NeuronRef) -> Option<u32> {
        let p = n.population.index();
        (self.neurons.get(p) == Some(&true) && n.neuron < self.bases[p + 1] - self.bases[p]).then(|| self.bases[p] + n.neuron)
    }
    /// The neuron or channel of a unit.
    pub fn reference(&self, unit: u32) -> NeuronRef {
        let p = self.bases.partition_point(|&b| b <= unit) - 1;
        NeuronRef { population: PopulationId::from(p), neuron: unit - self.bases[p] }
    }
    /// Units of all neurons, ascending.
    pub fn neuron_units(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.neurons.len()).filter(|&p| self.neurons[p]).flat_map(|p| self.bases[p]..self.bases[p + 1])
    }
    /// True when the unit is a neuron, false for an input channel.
    pub fn is_neuron(&self, unit: u32) -> bool {
        self.neurons[self.reference(unit).population.index()]
    }
    /// The projections into a unit, and its row of each.
    fn entering(&self, unit: u32) -> (&[Entering], usize) {
        let NeuronRef { population, neuron } = self.reference(unit);
        (&self.entering[population.index()], neuron as usize)
    }
    /// Synapses into a unit, by projection, then presynaptic index.
    pub fn incoming(&self, unit: u32) -> impl Iterator<Item = Incoming> + '_ {
        let (entering, row) = self.entering(unit);
        entering.iter().flat_map(move |e| {
            e.synapses.row(row).iter().map(|(source, mantissa, delay)| {
                let (class, delay) = e.register(mantissa, delay);
                Incoming { source: e.sources + source, mantissa, delay, class }
            })
        })
    }
    /// Class, mantissa and delay register of each synapse as a core stores it, every one that there is once; ascending.
    pub fn distinct(&self) -> Vec<(u16, i16, u16)> {
        let mut distinct = HashSet::new();
        for e in self.entering.iter().flatten() {
            distinct.extend(e.synapses.distinct_synapses().map(|(mantissa, delay)| {
                let (class, delay) = e.register(mantissa, delay);
                (class, mantissa, delay)
            }));
        }
        let mut distinct: Vec<_> = distinct.into_iter().collect();
        distinct.sort_unstable();
        distinct
    }
    /// Number of [`Wiring::incoming`].
    pub fn fan_in(&self, unit: u32) -> usize {
        let (entering, row) = self.entering(unit);
        entering.iter().map(|e| e.synapses.row(row).len()).sum()
    }
    /// Number of synapses.
    pub fn synapse_count(&self) -> usize {
        self.synapses
    }
    /// Weight classes of the net.
    pub fn classes(&self) -> &[WeightClass] {
        &self.classes
    }
    /// Whether input axons of a core share words where their lists are translates.
    pub fn shares(&self) -> bool {
        self.shares
    }
    /// What no core could hold.
    pub fn problems(&self) -> &[Finding] {
        &self.problems
    }
}

/// Registers of a unit that is a neuron.
pub(crate) fn registers(net: &Net<Fixed>, n: NeuronRef) -> &spikec_net::FixedNeuron {
    match &net.population(n.population).role {
        Role::Neurons(v) => &v[n.neuron as usize],
        Role::SpikeInput | Role::AnalogInput => unreachable!("only neurons are packed"),
    }
}
