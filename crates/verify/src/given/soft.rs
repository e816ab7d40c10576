//! Soft reset in the reference: potentials that live in currents, with synapses that take thresholds away, put back into neurons that subtract.
//!
//! In: the reference section (without relays), and a given net in floats whose spikes subtract. Out: the reference without those synapses, each such
//! neuron with the decay of its potential where the given net has it; or differences. Invariant: by docs/semantics.md, section 9, each condition of which
//! is checked here, the neuron that comes out, reset by subtraction, has the potential and spikes of the reference's, within the rounding of a unit of
//! v and half a threshold mantissa a spike. Cost: linear in the neurons.
//! Why: the given network knows nothing of currents that stand for potentials; that they do must follow from the reference alone.

use super::{SIDE, claimed, item, kept_neurons};
use crate::difference::{At, Difference, Differences, Field, NeuronName, Value};
use crate::image::Checked;
use spikec_net::{Bias, FireRule, Fixed, FixedNeuron, FixedRules, Float, Net, Population, PopulationId, Projection, Quantized, Role};
use std::borrow::Cow;

/// Denominator of decays.
const ONE: u64 = 4096;

/// Whether a spike of the given neuron takes the threshold from something that lasts.
pub(crate) fn subtracts(given: &Net<Float>, population: usize, neuron: usize) -> bool {
    given.populations.get(population).and_then(|p| p.neurons().get(neuron)).is_some_and(|n| given.rules.subtracts(n))
}

/// The reference with neurons that subtract; as it is where the given net has none. `None` when they don't, which has been reported.
pub(crate) fn contract<'a>(
    quantized: Cow<'a, Quantized>,
    given: &Net<Float>,
    differences: &mut Differences,
    checked: &mut Checked,
) -> Option<Cow<'a, Quantized>> {
    let net = &quantized.net;
    let any = (0..given.populations.len()).any(|p| (0..given.populations[p].neurons().len()).any(|j| subtracts(given, p, j)));
    // Other populations are reported with them.
    if !any || net.populations.len() != given.populations.len() {
        return Some(quantized);
    }
    let before = differences.total;
    // Index in the given net of each neuron of the reference. An unknown one is reported with the populations.
    let known = |p: usize, j: usize| {
        let origin = net.populations[p].origin.get(j)?;
        given.populations[p].origin.binary_search(origin).ok()
    };
    let soft = |p: usize, j: usize| known(p, j).is_some_and(|j| subtracts(given, p, j));
    // What stands after all projections of the given network, in the order of populations: nothing else is ours, whatever its name.
    let first = claimed(given, net, &kept_neurons(given, net)).end;
    let (mut taken, mut projections): (Vec<Vec<i64>>, Vec<Projection<Fixed>>) =
        (net.populations.iter().map(|p| vec![0; p.len()]).collect(), Vec::with_capacity(net.projections.len()));
    let mut last = (PopulationId::from(0), i8::MAX);
    for (k, p) in net.projections.iter().enumerate() {
        if k < first {
            projections.push(p.clone());
            continue;
        }
        if p.pre != p.post || p.name != name(net, p.post) {
            let at = || item(&p.name);
            differences.push(|| Difference {
                side: SIDE,
                at: at(),
                field: Field::Count,
                found: "a projection".into(),
                expected: Value::Absent,
            });
            continue;
        }
        if p.post < last.0 || (p.post == last.0 && p.format.exponent > last.1) || p.synapses.is_empty() {
            let at = || item(&p.name);
            let (found, expected) =
                ("out of order, or empty".into(), "one projection for each exponent, the largest first, by population".into());
            differences.push(|| Difference { side: SIDE, at: at(), field: Field::Count, found, expected });
        }
        last = (p.post, p.format.exponent);
        for (i, j, mantissa, delay) in p.synapses.iter() {
            let at = || at(net, p.post.index(), j as usize);
            if i != j || !soft(p.post.index(), j as usize) {
                let found = Value::Text(format!("a synapse that takes from neuron {j} what neuron {i} has fired for"));
                let expected = "from itself, where a spike subtracts".into();
                differences.push(|| Difference { side: SIDE, at: at(), field: Field::Synapse, found, expected });
            }
            differences.compare(SIDE, Field::Delay, delay, 1, at);
            taken[p.post.index()][j as usize] += i64::from(net.rules.acting_weight(mantissa, p.format.exponent));
        }
    }
    // Where nothing takes anything and something should, the whole network was reset to zero.
    let takes = |p: usize, j: usize, n: &FixedNeuron| soft(p, j) && wanted(&net.rules, given.rules.fire, n) != 0;
    let lacking = |(p, population): (usize, &Population<Fixed>)| population.neurons().iter().enumerate().any(|(j, n)| takes(p, j, n));
    if first == net.projections.len() && net.populations.iter().enumerate().any(lacking) {
        let (found, expected) = ("to zero".into(), "subtract".into());
        differences.push(|| Difference { side: SIDE, at: At::default(), field: Field::Reset, found, expected });
        return None;
    }
    let mut populations = net.populations.clone();
    for (p, population) in populations.iter_mut().enumerate() {
        let driven = net.host_projections.iter().find(|h| h.post.index() == p).map(|h| h.name.as_str());
        let Role::Neurons(neurons) = &mut population.role else { continue };
        for (j, n) in neurons.iter_mut().enumerate() {
            let Some(origin) = known(p, j).filter(|&j| subtracts(given, p, j)) else { continue };
            checked.soft += 1;
            let at = || at(net, p, j);
            check(&net.rules, given.rules.fire, n, taken[p][j], at, differences);
            // The current starts at 0, and so does the potential that lives in it.
            let start = given.populations[p].neurons()[origin].v_reset;
            if start != 0.0 {
                let expected = Value::Real(start.into());
                differences.push(|| Difference { side: SIDE, at: at(), field: Field::Start, found: 0.0.into(), expected });
            }
            // What the host writes is added to v, of which nothing is kept.
            if let Some(map) = driven {
                let found = Value::Text(format!("host map {map}"));
                let expected = "none into a neuron from which a spike subtracts".into();
                differences.push(|| Difference { side: SIDE, at: at(), field: Field::Bias, found, expected });
            }
            // The potential's own decay, and no filter before it.
            (n.decay_u, n.decay_v) = (ONE as u16, n.decay_u);
        }
    }
    let rest = Net { populations, projections, ..net.clone() };
    let rest = Quantized { net: rest, scaling: quantized.scaling.clone(), network_digest: quantized.network_digest };
    (differences.total == before).then_some(Cow::Owned(rest))
}

fn name(net: &Net<Fixed>, population: PopulationId) -> String {
    format!("{} soft reset", net.population(population).name)
}

fn at(net: &Net<Fixed>, population: usize, neuron: usize) -> At {
    let p = &net.populations[population];
    let index = p.origin.get(neuron).copied().unwrap_or(neuron as u32);
    At { neuron: Some(NeuronName { population: population as u32, name: p.name.clone(), index }), ..At::default() }
}

/// v is what u is now, and a spike takes `level`, as far as a step keeps it, from u in the next: then u is a potential that the spike took `level` from.
fn check(rules: &FixedRules, fire: FireRule, n: &FixedNeuron, taken: i64, at: impl Fn() -> At, differences: &mut Differences) {
    let FixedNeuron { decay_u: _, decay_v, threshold: _, refractory, bias } = *n;
    // At most one step of the register more than nothing is kept of the last v, as for every decay that a register doesn't reach.
    if u64::from(decay_v) + 1 < ONE {
        differences.compare(SIDE, Field::DecayV, decay_v, ONE as u16 - 1, &at);
    }
    differences.compare(SIDE, Field::Refractory, refractory, 1, &at);
    if bias != Bias::default() {
        let found = crate::resolve::bias_value(bias.mantissa, bias.exponent);
        differences.compare(SIDE, Field::Bias, found, crate::resolve::bias_value(0, 0), &at);
    }
    differences.compare(SIDE, Field::Subtracted, taken, wanted(rules, fire, n), &at);
}

/// What the synapses of a neuron onto itself weigh in all: less the threshold, as far as a step keeps it.
fn wanted(rules: &FixedRules, fire: FireRule, n: &FixedNeuron) -> i64 {
    let level = u64::from(n.threshold) + u64::from(fire == FireRule::GreaterEqual);
    let kept = (level << rules.threshold_shift.min(30)) * ONE.saturating_sub(u64::from(n.decay_u));
    let unit = ONE << rules.align_shift.min(30);
    -(((kept + unit / 2) / unit) as i64) << rules.align_shift.min(30)
}
