//! Relays: neurons of the reference that only repeat others, put back into the synapses that they lengthen.
//!
//! In: the reference section, and how many populations the given network has. Out: the reference without the populations after those, every synapse
//! that leaves one of them leaving the neuron that it repeats (those that it gathers, where any of these makes its post fire), with the delays of the way added up. Invariant: the net that comes out has the same spikes
//! in its populations, by the law of docs/semantics.md, section 7, each condition of which is checked here, or a difference is reported. Cost: linear
//! in the synapses, times the relays on the way of one.
//! Why: the given network knows no relays; that they change nothing must follow from the reference alone.

use super::{SIDE, item};
use crate::difference::{At, Difference, Differences, Field, NeuronName, Value};
use crate::family::Registers;
use crate::image::Checked;
use spikec_net::{Bias, FixedNeuron, FixedRules, Net, Number, PopulationId, Projection, Quantized, Role, Scaling, Synapses};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// What a relay hears: (population, neuron, net delay).
type Heard = (usize, u32, u16);

/// Synapses that a gather stands for: (projection of the net without relays, presynaptic, postsynaptic neuron).
pub(crate) type Struck = BTreeSet<(usize, u32, u32)>;

/// The reference without relays; as it is where it has none. `None` when they are no relays, which has been reported.
pub(crate) fn contract<'a, N: Registers>(
    quantized: &'a Quantized<N>,
    given: usize,
    struck: &mut Struck,
    differences: &mut Differences,
    checked: &mut Checked,
) -> Option<Cow<'a, Quantized<N>>> {
    let net = &quantized.net;
    if net.populations.len() <= given || net.output.index() >= given {
        return Some(Cow::Borrowed(quantized));
    }
    let before = differences.total;
    let scaling = contract_scaling(&quantized.scaling, net, given, differences);
    let heard = heard(net, given, differences);
    check_use(net, given, differences);
    checked.relays = net.populations[given..].iter().map(|p| p.len() as u64).sum();
    if differences.total > before {
        return None;
    }
    let projections = contract_projections(net, given, &heard, struck, differences);
    let rest = Net {
        name: net.name.clone(),
        rules: net.rules.clone(),
        populations: net.populations[..given].to_vec(),
        projections,
        host_projections: net.host_projections.clone(),
        output: net.output,
    };
    let rest = Quantized { net: rest, scaling, network_digest: quantized.network_digest };
    (differences.total == before).then_some(Cow::Owned(rest))
}

/// Input channels, counted over all spike inputs as trained, that a neuron of a single synapse repeats: all that can be relays of inputs.
pub(crate) fn channels<N: Registers>(net: &Net<N>) -> BTreeSet<u32> {
    let mut entering: Vec<Vec<u32>> = net.populations.iter().map(|p| vec![0; p.neurons().len()]).collect();
    for p in &net.projections {
        p.synapses.rows().for_each(|row| row.posts().for_each(|j| entering[p.post.index()][j as usize] += 1));
    }
    let (mut first, mut channels) = (0, BTreeSet::new());
    for (k, input) in net.populations.iter().enumerate().filter(|(_, p)| matches!(p.role, Role::SpikeInput)) {
        // A relay has the name of the projection into it.
        for p in net.projections.iter().filter(|p| p.pre.index() == k && p.name == net.population(p.post).name) {
            for (i, j, weight, _) in p.synapses.iter() {
                let (relays, j) = (net.population(p.post).neurons(), j as usize);
                if entering[p.post.index()][j] == 1 && N::repeats(&net.rules, &relays[j], &p.format, weight) {
                    channels.insert(first + input.origin[i as usize]);
                }
            }
        }
        first += input.trained_len() as u32;
    }
    channels
}

fn at<N: Number>(net: &Net<N>, population: usize, neuron: usize) -> At {
    let p = &net.populations[population];
    let index = p.origin.get(neuron).copied().unwrap_or(neuron as u32);
    At { neuron: Some(NeuronName { population: population as u32, name: p.name.clone(), index }), ..At::default() }
}

fn added<N: Number>(
    net: &Net<N>,
    (population, neuron): (usize, usize),
    found: &'static str,
    expected: &'static str,
    differences: &mut Differences,
) {
    let at = || at(net, population, neuron);
    differences.push(|| Difference { side: SIDE, at: at(), field: Field::AddedNeuron, found: found.into(), expected: expected.into() });
}

/// A relay stands for no neuron as trained: its scale is 1.
fn contract_scaling<N: Number>(scaling: &Scaling, net: &Net<N>, given: usize, differences: &mut Differences) -> Scaling {
    let Scaling::Scaled { v_units, deviation_steps, bias_deviation } = scaling else { return Scaling::Exact };
    for (k, p) in net.populations.iter().enumerate().skip(given) {
        let whole = v_units.get(k).is_some_and(|units| units.len() == p.neurons().len() && units.iter().all(|&u| u == 1.0));
        if !whole {
            let found = Value::Text(format!("{:?}", v_units.get(k).map(|u| u.iter().find(|u| **u != 1.0))));
            let at = || item(&p.name);
            differences.push(|| Difference { side: SIDE, at: at(), field: Field::VUnits, found, expected: "1 for each relay".into() });
        }
    }
    let v_units = v_units.iter().take(given).cloned().collect();
    Scaling::Scaled { v_units, deviation_steps: *deviation_steps, bias_deviation: *bias_deviation }
}

/// For each relay, what it hears: one synapse that makes it fire, and nothing else; for a gather several, of neurons of one population.
fn heard<N: Registers>(net: &Net<N>, given: usize, differences: &mut Differences) -> Vec<Vec<Vec<Heard>>> {
    let mut heard: Vec<Vec<Vec<Heard>>> = net.populations[given..].iter().map(|p| vec![Vec::new(); p.len()]).collect();
    let mut weights: Vec<Vec<Vec<N::Weight>>> = net.populations[given..].iter().map(|p| vec![Vec::new(); p.len()]).collect();
    // The projections into relays stand after all others, in the order of their populations: no order of the reference is left unexplained.
    let into: Vec<usize> = net.projections.iter().map(|p| if p.post.index() >= given { p.post.index() } else { 0 }).collect();
    for (pair, p) in into.windows(2).zip(&net.projections[1.min(net.projections.len())..]).filter(|(pair, _)| pair[1] < pair[0]) {
        let found = Value::Text(format!("after the projection into population {}", pair[0]));
        let at = || item(&p.name);
        let expected = "projections into relays last, in the order of populations".into();
        differences.push(|| Difference { side: SIDE, at: at(), field: Field::Count, found, expected });
    }
    for p in net.projections.iter().filter(|p| p.post.index() >= given) {
        // A relay repeats its neuron or the relay before it, in the order of populations: so no ring of relays hears itself alone.
        if p.pre >= p.post {
            let at = || item(&p.name);
            differences.push(|| Difference {
                side: SIDE,
                at: at(),
                field: Field::AddedNeuron,
                found: "a relay of a later population".into(),
                expected: "of an earlier one".into(),
            });
        }
        // Its name says nothing else; and no bit of the reference is left unexplained.
        let name = net.population(p.post).name.as_str();
        differences.compare(SIDE, Field::Name, p.name.as_str(), name, || item(&p.name));
        for (i, j, weight, delay) in p.synapses.iter() {
            let (r, j) = (p.post.index(), j as usize);
            let relay = net.populations[r].neurons().get(j);
            if !relay.is_some_and(|n| N::repeats(&net.rules, n, &p.format, weight)) {
                added(net, (r, j), "a neuron that may stay silent, or remember", "a relay: one spike in, one spike out", differences);
            }
            heard[r - given][j].push((p.pre.index(), i, delay));
            weights[r - given][j].push(weight);
        }
    }
    for h in net.host_projections.iter().filter(|h| h.post.index() >= given) {
        added(net, (h.post.index(), 0), "a host map into a relay", "none", differences);
    }
    for (k, relays) in heard.iter().enumerate() {
        for (j, own) in relays.iter().enumerate() {
            let neuron = net.populations[given + k].neurons().get(j);
            match own.as_slice() {
                [] => added(net, (given + k, j), "a neuron that hears nothing", "a neuron of the network, or a relay of one", differences),
                &[(p, i, _)] => {
                    if p >= given && heard[p - given].get(i as usize).is_some_and(|h| h.len() > 1) {
                        added(net, (given + k, j), "a relay of a gather", "of a neuron of the network, or a relay of one", differences);
                    }
                }
                several => {
                    let one = several.iter().all(|h| h.0 == several[0].0 && h.0 < given);
                    let gathers = neuron.is_some_and(|n| N::gathers(&net.rules, n, &weights[k][j]));
                    if !one || !gathers {
                        added(net, (given + k, j), "a relay of two synapses", "one, or a gather of one population's neurons", differences);
                    }
                }
            }
        }
    }
    heard
}

/// With `u = v = 0`, a spike of this weight makes the neuron fire in that step, and leaves u at 0 in the next; a spike leaves v at 0. So it fires in the
/// steps in which it hears a spike and in no other.
pub(crate) fn repeats(rules: &FixedRules, n: &FixedNeuron, weight: i32) -> bool {
    let FixedNeuron { decay_u, decay_v: _, threshold, refractory, bias } = *n;
    let (w, threshold) = (i64::from(weight), i64::from(threshold) << rules.threshold_shift.min(30));
    let kept = (w * (4096 - i64::from(decay_u.min(4096)))) >> 12;
    let fits = w < 1 << (rules.u_bits.clamp(1, 32) - 1);
    w.min(i64::from(rules.v_max)) > threshold && fits && kept == 0 && refractory == 1 && bias == Bias::default()
}

/// A relay that nobody hears is a neuron without meaning.
fn check_use<N: Number>(net: &Net<N>, given: usize, differences: &mut Differences) {
    let mut used: Vec<Vec<bool>> = net.populations[given..].iter().map(|p| vec![false; p.len()]).collect();
    for p in net.projections.iter().filter(|p| p.pre.index() >= given) {
        for (i, row) in p.synapses.rows().enumerate() {
            used[p.pre.index() - given][i] |= !row.is_empty();
        }
    }
    for (k, used) in used.iter().enumerate() {
        for (j, _) in used.iter().enumerate().filter(|(_, used)| !**used) {
            added(net, (given + k, j), "a relay that nobody hears", "a use", differences);
        }
    }
}

/// The projections between populations of the network. The parts of one projection, which follow each other, the one with fewer relays on the way
/// first, become one again.
fn contract_projections<N: Registers>(
    net: &Net<N>,
    given: usize,
    heard: &[Vec<Vec<Heard>>],
    struck: &mut Struck,
    differences: &mut Differences,
) -> Vec<Projection<N>> {
    let hindered = if heard.iter().flatten().any(|h| h.len() > 1) { N::hindered(net) } else { Vec::new() };
    let mut gathered: Vec<(u32, u32)> = Vec::new();
    let mut used: BTreeSet<(PopulationId, u32)> = BTreeSet::new();
    let mut out: Vec<Projection<N>> = Vec::new();
    // Of the last projection: its pre before contraction.
    let mut last: Option<PopulationId> = None;
    for p in net.projections.iter().filter(|p| p.post.index() < given) {
        if p.pre.index() < given {
            out.push(p.clone());
            last = Some(p.pre);
            continue;
        }
        let mut root = None;
        let mut tuples = Vec::with_capacity(p.synapses.len());
        for (i, j, w, d) in p.synapses.iter() {
            let of_gather = heard[p.pre.index() - given][i as usize].as_slice();
            // With one use each, gathers make no more synapses than there are.
            if of_gather.len() > 1 && !used.insert((p.pre, i)) {
                added(net, (p.pre.index(), i as usize), "a gather that several neurons hear", "one", differences);
                continue;
            }
            let origins = match of_gather {
                several @ [_, _, ..] => several.iter().map(|&(p, k, before)| (p, k, u32::from(before) + u32::from(d))).collect(),
                _ => vec![origin(given, heard, (p.pre.index(), i), u32::from(d))],
            };
            if of_gather.len() > 1 {
                let post = &net.population(p.post).neurons()[j as usize];
                if !N::strikes(post, w) || hindered[p.post.index()][j as usize] {
                    added(
                        net,
                        (p.pre.index(), i as usize),
                        "a gather whose spike may leave its neuron silent",
                        "one that makes it fire",
                        differences,
                    );
                }
                gathered.extend(origins.iter().map(|o| (o.1, j)));
            }
            for (population, neuron, delay) in origins {
                let one = *root.get_or_insert(population) == population;
                match u16::try_from(delay) {
                    Ok(delay) if one => tuples.push((neuron, j, w, delay)),
                    _ => {
                        let found = "relays of several populations, or of too long a delay";
                        added(net, (p.pre.index(), i as usize), found, "of one", differences)
                    }
                }
            }
        }
        let Some(root) = root.filter(|&r| r < given) else { continue };
        let pre = PopulationId::from(root);
        let same = |o: &Projection<N>| o.name == p.name && (o.pre, o.post) == (pre, p.post) && o.format == p.format;
        let pres = net.populations[root].len();
        match out.last_mut().filter(|o| same(o) && last.is_some_and(|l| l < p.pre)) {
            Some(o) => {
                let whole = std::mem::take(&mut o.synapses);
                o.synapses = Synapses::from_tuples(pres, whole.iter().chain(tuples).collect());
            }
            None => {
                let synapses = Synapses::from_tuples(pres, tuples);
                out.push(Projection { name: p.name.clone(), pre, post: p.post, format: p.format.clone(), synapses });
            }
        }
        struck.extend(gathered.drain(..).map(|(i, j)| (out.len() - 1, i, j)));
        last = Some(p.pre);
    }
    out
}

/// The neuron of the network that a relay repeats, and the net delay to the relay added to `delay`. Ends, as populations on the way descend.
fn origin(given: usize, heard: &[Vec<Vec<Heard>>], (mut population, mut neuron): (usize, u32), mut delay: u32) -> (usize, u32, u32) {
    while population >= given
        && let Some(&(p, i, d)) = heard[population - given][neuron as usize].first()
    {
        (population, neuron) = (p, i);
        delay = delay.saturating_add(u32::from(d));
    }
    (population, neuron, delay)
}
