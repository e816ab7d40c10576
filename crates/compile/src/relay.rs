//! Relays: neurons that repeat a spike where a chip delay is beyond the largest that a synapse, or a destination, holds.
//!
//! In: a net in registers with skews, of any family; what one of its neurons is that only repeats. Out: the same net with relay populations after all others, whose synapses all have chip delays that the
//! target holds. Invariant: the neurons of the net have the same spikes in the same network steps and chip steps; no skew is larger than before.
//! Cost: O(synapses + relays). Why: delays are exact or they are wrong; a skip over many layers, or a long delay, must wait somewhere.
//!
//! Relay k of a population fires a fixed number of chip steps after each spike of its neuron: one hop and the largest delay more than relay k - 1. A
//! synapse leaves the first relay from which its post is within reach, so all projections that leave a population share one chain, and a neuron has only
//! the relays that its own synapses need. docs/semantics.md, section 7, is the law.

use crate::finding::Finding;
use crate::quantize::{Registers, fixed_rules};
use crate::retime::delay_findings;
use serde::Serialize;
use spikec_chip::Target;
use spikec_chip::cost::stored_weight_bits;
use spikec_chip::target::Sign;
use spikec_net::{
    Bias, Builder, Fixed, FixedNeuron, FixedRules, Net, Number, Population, PopulationId, Projection, Quantized, Role, Scaling, SignMode,
    WeightFormat,
};

/// What relays were made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct RelayReport {
    /// Relay neurons.
    pub neurons: u64,
    /// Populations of relays, in net order.
    pub populations: Vec<RelayPopulation>,
    /// Projections that leave relays, in net order.
    pub projections: Vec<RelayedProjection>,
    /// For each projection of the net with relays, the one that it is a part of, counted in the net without; those into relays come after. Empty
    /// without relays.
    #[serde(skip)]
    pub part_of: Vec<usize>,
}

impl RelayReport {
    /// C11 warnings: a channel may spike more than once in a step, a relay may not.
    pub fn warnings<N: Number>(&self, net: &Net<N>) -> Vec<Finding> {
        let firsts = net.populations.iter().filter(|p| p.is_input()).filter_map(|p| self.populations.iter().find(|r| r.of == p.name));
        let warning = |r: &RelayPopulation| {
            let resource = "relayed input channels, whose spikes of one step are repeated as one";
            let remedy = "give data in which such a channel spikes at most once in a step";
            Finding::warning("C11", resource, f64::from(r.neurons), 0.0, remedy).layer(&r.of)
        };
        firsts.map(warning).collect()
    }
    /// Sums over the parts of each projection of the net without relays, then the values of those into relays.
    pub fn by_projection(&self, values: Vec<u64>) -> Vec<u64> {
        if self.part_of.is_empty() {
            return values;
        }
        let mut sums = vec![0; self.part_of.iter().max().map_or(0, |&k| k + 1)];
        self.part_of.iter().zip(values).for_each(|(&k, value)| sums[k] += value);
        sums
    }
}

/// A population of relays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RelayPopulation {
    /// Name.
    pub name: String,
    /// The population that it repeats.
    pub of: String,
    /// Relays: the neurons or channels of that population whose synapses need one.
    pub neurons: u32,
    /// Chip steps from a spike to its repetition.
    pub chip_steps: u64,
}

/// A projection with synapses that leave relays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RelayedProjection {
    /// Name.
    pub name: String,
    /// Its synapses that leave relays.
    pub synapses: u64,
    /// Most relays on the way of one of them.
    pub relays: u32,
    /// Largest chip delay, in chip steps.
    pub chip_delay: i64,
    /// Largest chip delay that the target holds.
    pub limit: i64,
}

/// How far a synapse reaches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach {
    /// Largest delay register.
    pub max_delay: i64,
    /// Chip steps that a neuron's spike needs at least.
    pub neuron_hop: i64,
    /// Those of an input's; none where the host sends each spike as late as it is wanted, so that inputs need no relays.
    pub input_hop: Option<i64>,
}

impl Reach {
    /// Chip steps from one relay to the next.
    fn stride(&self) -> i64 {
        self.max_delay + 1
    }
    /// Hop of a population's spikes; none where the host delays them.
    fn hop<N: Number>(&self, population: &Population<N>) -> Option<i64> {
        if population.is_input() { self.input_hop } else { Some(self.neuron_hop) }
    }
    /// Relays that a synapse of this chip delay needs, `hop` being that of its pre.
    pub fn relays(&self, chip_delay: i64, hop: Option<i64>) -> usize {
        let Some(hop) = hop else { return 0 };
        let beyond = (chip_delay - hop - self.max_delay).max(0);
        (beyond as u64).div_ceil(self.stride() as u64) as usize
    }
    /// Chip steps from a spike to its repetition by relay `k`, from 1 on.
    pub fn offset(&self, k: usize, hop: Option<i64>) -> i64 {
        k as i64 * self.stride() + hop.unwrap_or(self.neuron_hop) - self.neuron_hop
    }
}

/// The chain of relays of one population.
struct Chain {
    /// Relays of each neuron.
    depth: Vec<usize>,
    /// Net delay from the population to each relay of the chain.
    net_delay: Vec<u16>,
}

impl Chain {
    fn of<N: Number>(net: &Net<N>, p: usize, reach: &Reach) -> Chain {
        let population = &net.populations[p];
        let hop = reach.hop(population);
        let mut depth = vec![0; population.len()];
        // Smallest net delay among the synapses that leave relay k, for each k.
        let mut least: Vec<u16> = Vec::new();
        for projection in net.projections.iter().filter(|x| x.pre.index() == p) {
            for (i, _, _, d) in projection.synapses.iter() {
                let k = reach.relays(net.chip_delay(projection, d), hop);
                if k > 0 {
                    depth[i as usize] = k.max(depth[i as usize]);
                    least.resize(k.max(least.len()), u16::MAX);
                    least[k - 1] = least[k - 1].min(d);
                }
            }
        }
        // A relay takes as much of the net delay as all behind it have and as keeps its skew from being negative: so its skew is the smallest.
        let mut rest = u16::MAX;
        let mut net_delay = vec![0; least.len()];
        for (k, own) in least.iter().enumerate().rev() {
            rest = rest.min(*own);
            let steps = i64::from(population.skew) + reach.offset(k + 1, hop);
            net_delay[k] = u16::try_from(steps).unwrap_or(u16::MAX).min(rest);
        }
        Chain { depth, net_delay }
    }

    /// Neurons that have a relay `k`.
    fn neurons(&self, k: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.depth.len()).filter(move |&i| self.depth[i] >= k)
    }
}

/// Inserts the relays that the net needs.
///
/// Errors (C11, C01): a delay that no relay can make, or more neurons than the board has; the net comes back as it was.
pub fn insert(q: Quantized, target: &Target) -> (Quantized, Result<RelayReport, Vec<Finding>>) {
    let hop = |input| i64::from(if input { *target.topology.input_hop_steps } else { *target.topology.neuron_hop_steps });
    let packed = target.packed();
    let reach = Reach { max_delay: i64::from(*packed.synapse_memory.max_delay), neuron_hop: hop(false), input_hop: Some(hop(true)) };
    let room = (u64::from(target.total_cores()) * u64::from(*packed.core.compartments), "compartments of the board");
    let (q, inserted) = insert_as(q, target, &reach, |net| Kind::of(net, target), room);
    (q, inserted.map(|i| i.report))
}

/// What [`insert_as`] made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inserted {
    /// For people.
    pub report: RelayReport,
    /// Of each population, its relay populations, and of each relay population the index of each neuron's relay; empty without relays.
    pub stages: Vec<Vec<(PopulationId, Vec<Option<u32>>)>>,
}

/// As [`insert`], for a family whose neurons that repeat are of the kind that `kind` makes, where there is one; `room`: neurons of the board, and what
/// they are called.
pub(crate) fn insert_as<N: Number>(
    q: Quantized<N>,
    target: &Target,
    reach: &Reach,
    kind: impl FnOnce(&Net<N>) -> Option<Kind<N>>,
    (room, resource): (u64, &str),
) -> (Quantized<N>, Result<Inserted, Vec<Finding>>) {
    let findings = delay_findings(&q.net, target);
    if findings.is_empty() {
        return (q, Ok(Inserted::default()));
    }
    let short = |f: &Finding| f.limit == 0.0 && reach.max_delay > 0;
    let possible = (1..=reach.stride()).contains(&reach.neuron_hop) && !findings.iter().any(short);
    let Some(kind) = kind(&q.net).filter(|_| possible) else { return (q, Err(findings)) };
    let net = &q.net;
    let chains: Vec<Chain> = (0..net.populations.len()).map(|p| Chain::of(net, p, reach)).collect();
    let relays: u64 = chains.iter().flat_map(|c| &c.depth).map(|&k| k as u64).sum();
    let need = net.neuron_count() as u64 + relays;
    if need > room {
        let resource = format!("{resource}, with {relays} relay neurons for delays beyond the chip's");
        let remedy = "shorten the delays, or use a board with more cores";
        let beyond = Finding::error("C01", resource, need as f64, room as f64, remedy);
        return (q, Err(findings.into_iter().chain([beyond]).collect()));
    }
    let (q, inserted) = build(q, &chains, reach, &kind);
    (q, Ok(inserted))
}

fn build<N: Number>(q: Quantized<N>, chains: &[Chain], reach: &Reach, kind: &Kind<N>) -> (Quantized<N>, Inserted) {
    let Quantized { net, mut scaling, network_digest } = q;
    let hops: Vec<Option<i64>> = net.populations.iter().map(|p| reach.hop(p)).collect();
    let mut report = RelayReport::default();
    let mut populations = net.populations.clone();
    let mut feeders = Vec::new();
    // Of each population, its relay populations, and of each relay population the index of each neuron's relay.
    let mut stages: Vec<Vec<(PopulationId, Vec<Option<u32>>)>> = Vec::new();
    for (p, chain) in chains.iter().enumerate() {
        let population = &net.populations[p];
        let mut own: Vec<(PopulationId, Vec<Option<u32>>)> = Vec::new();
        for (k, &n) in chain.net_delay.iter().enumerate() {
            let neurons: Vec<usize> = chain.neurons(k + 1).collect();
            let mut index = vec![None; population.len()];
            neurons.iter().enumerate().for_each(|(r, &i)| index[i] = Some(r as u32));
            let (pre, rows, before) = match own.last() {
                Some((id, index)) => (*id, index.clone(), chain.net_delay[k - 1]),
                None => (PopulationId::from(p), (0..population.len() as u32).map(Some).collect(), 0),
            };
            let (id, steps) = (PopulationId::from(populations.len()), reach.offset(k + 1, hops[p]));
            let name = free_name(&populations, &format!("relay {} of {}", k + 1, population.name));
            let posts = |i: usize| rows[i].map(|_| index[i]);
            let mut synapses = Builder::new();
            for post in (0..population.len()).filter_map(posts) {
                synapses.push_row(post.map(|post| (post, kind.weight, n - before)));
            }
            let synapses = synapses.finish();
            feeders.push(Projection { name: name.clone(), pre, post: id, format: kind.format.clone(), synapses });
            report.neurons += neurons.len() as u64;
            report.populations.push(RelayPopulation {
                name: name.clone(),
                of: population.name.clone(),
                neurons: neurons.len() as u32,
                chip_steps: steps as u64,
            });
            populations.push(Population {
                name,
                shape: population.shape.clone(),
                origin: neurons.iter().map(|&i| population.origin[i]).collect(),
                skew: (i64::from(population.skew) + steps - i64::from(n)) as u32,
                role: Role::Neurons(vec![kind.neuron.clone(); neurons.len()]),
            });
            own.push((id, index));
        }
        stages.push(own);
    }
    let mut projections = Vec::new();
    for (x, projection) in net.projections.iter().enumerate() {
        let p = projection.pre.index();
        let stage = |d: u16| reach.relays(net.chip_delay(projection, d), hops[p]);
        let (least, most) = projection.synapses.delay_bounds();
        if stage(most) == 0 {
            projections.push(projection.clone());
            report.part_of.push(x);
            continue;
        }
        let mut relayed = 0;
        for k in stage(least)..=stage(most) {
            let rows = match k {
                0 => (projection.pre, None, 0),
                _ => (stages[p][k - 1].0, Some(&stages[p][k - 1].1), chains[p].net_delay[k - 1]),
            };
            let piece = piece(projection, rows, |d| stage(d) == k);
            relayed += if k > 0 { piece.synapses.len() as u64 } else { 0 };
            if !piece.synapses.is_empty() {
                projections.push(piece);
                report.part_of.push(x);
            }
        }
        report.projections.push(RelayedProjection {
            name: projection.name.clone(),
            synapses: relayed,
            relays: stage(most) as u32,
            chip_delay: net.chip_delay(projection, most),
            limit: reach.max_delay + hops[p].unwrap_or(reach.neuron_hop),
        });
    }
    report.part_of.extend((0..feeders.len()).map(|f| net.projections.len() + f));
    projections.extend(feeders);
    if let Scaling::Scaled { v_units, .. } = &mut scaling {
        v_units.extend(report.populations.iter().map(|p| vec![1.0; p.neurons as usize]));
    }
    let net = Net { populations, projections, ..net };
    (Quantized { net, scaling, network_digest }, Inserted { report, stages })
}

/// The synapses of a projection whose net delay is `mine`, from a relay population that has `before` of the delay behind it (or from the pre itself).
fn piece<N: Number>(
    projection: &Projection<N>,
    (pre, relay, before): (PopulationId, Option<&Vec<Option<u32>>>, u16),
    mine: impl Fn(u16) -> bool,
) -> Projection<N> {
    let whole = &projection.synapses;
    let mut synapses = Builder::new();
    for (_, row) in whole.rows().enumerate().filter(|(i, _)| relay.is_none_or(|r| r[*i].is_some())) {
        synapses.push_row(row.iter().filter(|s| mine(s.2)).map(|(post, weight, delay)| (post, weight, delay - before)));
    }
    let synapses = synapses.finish();
    Projection { name: projection.name.clone(), pre, post: projection.post, format: projection.format.clone(), synapses }
}

pub(crate) fn free_name<N: Number>(populations: &[Population<N>], name: &str) -> String {
    let names = std::iter::once(name.to_string()).chain((2..).map(|k| format!("{name} ({k})")));
    names.into_iter().find(|name| populations.iter().all(|p| p.name != *name)).expect("there are more numbers than populations")
}

/// A relay's registers.
#[derive(Debug, Clone)]
pub(crate) struct Kind<N: Number> {
    /// Its parameters.
    pub neuron: N::Neuron,
    /// Weight of its one synapse.
    pub weight: N::Weight,
    /// Format of that.
    pub format: N::Format,
}

impl Kind<Fixed> {
    /// A neuron that fires at once and forgets, with a threshold that the net has already where one can be passed (cores hold few of them).
    /// `None` where the target has no such registers.
    fn of(net: &Net<Fixed>, target: &Target) -> Option<Kind<Fixed>> {
        let (registers, rules, packed) = (Registers::of(target), fixed_rules(target), target.packed());
        if registers.refractory.0 > 1 {
            return None;
        }
        let sign = if packed.weights.signs.contains(&Sign::Excitatory) { SignMode::Excitatory } else { SignMode::Mixed };
        // One bit of both signs is 0 or negative.
        let least = if sign == SignMode::Mixed { 2 } else { 1 };
        let bits = (least..=8u8).find(|&b| stored_weight_bits(&packed.synapse_memory, b).is_some())?;
        let mut thresholds: Vec<u32> = net.populations.iter().flat_map(|p| p.neurons()).map(|n| n.threshold).filter(|&t| t > 0).collect();
        thresholds.sort_unstable();
        thresholds.dedup();
        thresholds.push(1);
        let (first, last) = *packed.weights.exponent;
        let decay = |d: u32| d as u16;
        for threshold in thresholds {
            let neuron = FixedNeuron {
                decay_u: decay(registers.decay_u.1),
                decay_v: decay(registers.decay_v.1),
                threshold,
                refractory: 1,
                bias: Bias::default(),
            };
            for exponent in first..=last {
                let format = WeightFormat { bits, exponent, sign };
                let weight = format.mantissa_range().1;
                if repeats(&rules, &neuron, rules.acting_weight(weight, exponent)) {
                    return Some(Kind { neuron, weight, format });
                }
            }
        }
        None
    }
}

/// One spike of this weight makes the neuron fire, and nothing of it is left in the next step.
fn repeats(rules: &FixedRules, n: &FixedNeuron, weight: i32) -> bool {
    let (w, kept) = (i64::from(weight), 4096 - i64::from(n.decay_u.min(4096)));
    w > i64::from(n.threshold) << rules.threshold_shift.min(30)
        && w <= i64::from(rules.v_max)
        && w < 1 << (rules.u_bits.clamp(1, 32) - 1)
        && (w * kept) >> 12 == 0
}
