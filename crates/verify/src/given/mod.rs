//! The reference section against the network as given: what both number systems have in common.
//!
//! In: the given net and the reference net. Out: differences, and the map from given to kept neurons. Invariant: a neuron that the
//! reference lacks is dead by `spikec_net::live` on the *given* net; nothing is taken from the reference but what is compared. Cost: linear.

pub(crate) mod integers;
pub(crate) mod registers;
pub(crate) mod relays;
pub(crate) mod soft;
pub(crate) mod trained;

use crate::difference::{At, Difference, Differences, Field, NeuronName, Side, Value};
use crate::host::{hex, list};
use crate::image::{Checked, Given};
use spikec_chip::bundle::Bundle;
use spikec_net::{Float, HostProjection, Liveness, Net, Number, Projection, Quantized, Role, live};
use std::borrow::Cow;

pub(crate) const SIDE: Side = Side::Network;

pub(crate) fn item(text: &str) -> At {
    At { item: Some(text.to_string()), ..At::default() }
}

/// The digest that the reference names is the given network's.
pub(crate) fn compare_digest<R: Number>(quantized: &Quantized<R>, given: &Given, differences: &mut Differences) {
    differences.compare(SIDE, Field::Digest, hex(&quantized.network_digest), hex(&given.digest()), At::default);
}

/// The given network with the lags that the bundle declares: projections that act some network steps later, as its user allowed.
pub(crate) fn lagged<'a, N: Number>(net: &'a Net<N>, options: &[(String, String)], differences: &mut Differences) -> Cow<'a, Net<N>> {
    let mut lagged = Cow::Borrowed(net);
    for (_, lag) in options.iter().filter(|(name, _)| name == "lag") {
        let parts = lag.rsplit_once('=').and_then(|(name, steps)| Some((name, steps.parse::<u16>().ok()?)));
        if !parts.is_some_and(|(name, steps)| lagged.to_mut().lag(name, steps)) {
            let found = Value::Text(format!("lag {lag}"));
            let at = || item(lag);
            differences.push(|| Difference { side: SIDE, at: at(), field: Field::Delay, found, expected: "PROJECTION=STEPS".into() });
        }
    }
    lagged
}

/// For each given population and neuron: its index in the reference, `None` when it was removed.
pub(crate) type Kept = Vec<Vec<Option<u32>>>;

/// Populations by number, name, shape, role and neurons; the output. The net's own name is its file's: it says nothing. `None` when the populations can't be matched at all.
pub(crate) fn compare_populations<N: Liveness, R: Number>(
    given: &Net<N>,
    reference: &Net<R>,
    differences: &mut Differences,
    checked: &mut Checked,
) -> Option<Kept> {
    let count = given.populations.len();
    if !differences.compare(SIDE, Field::Count, reference.populations.len(), count, || item("populations")) {
        return None;
    }
    differences.compare(SIDE, Field::Output, reference.output.0, given.output.0, At::default);
    let alive = live(given);
    let kept = kept_neurons(given, reference);
    for (k, (g, r)) in given.populations.iter().zip(&reference.populations).enumerate() {
        differences.compare(SIDE, Field::Name, r.name.as_str(), g.name.as_str(), || item(&g.name));
        if r.shape != g.shape {
            differences.push(|| Difference {
                side: SIDE,
                at: item(&g.name),
                field: Field::Shape,
                found: list(&r.shape),
                expected: list(&g.shape),
            });
        }
        differences.compare(SIDE, Field::Role, role(&r.role), role(&g.role), || item(&g.name));
        let at = |index: u32| At { neuron: Some(NeuronName { population: k as u32, name: g.name.clone(), index }), ..At::default() };
        for &index in r.origin.iter().filter(|&i| g.origin.binary_search(i).is_err()) {
            differences.push(|| Difference {
                side: SIDE,
                at: at(index),
                field: Field::AddedNeuron,
                found: "a neuron".into(),
                expected: Value::Absent,
            });
        }
        for (j, _) in kept[k].iter().enumerate().filter(|(_, n)| n.is_none()) {
            checked.removed_neurons += 1;
            if alive[k][j] {
                differences.push(|| Difference {
                    side: SIDE,
                    at: at(g.origin[j]),
                    field: Field::RemovedNeuron,
                    found: Value::Absent,
                    expected: "kept: it can change an output".into(),
                });
            }
        }
    }
    Some(kept)
}

fn role<N: Number>(role: &Role<N>) -> &'static str {
    match role {
        Role::SpikeInput => "spike input",
        Role::AnalogInput => "analog input",
        Role::Neurons(_) => "neurons",
    }
}

/// Whether any synapse of a given projection is between kept neurons.
fn has_kept<N: Number>(p: &Projection<N>, kept: &Kept) -> bool {
    p.synapses.iter().any(|(i, j, _, _)| kept[p.pre.index()][i as usize].is_some() && kept[p.post.index()][j as usize].is_some())
}

/// For each given population and neuron: its index in the reference; of populations that both have.
pub(crate) fn kept_neurons<N: Number, R: Number>(given: &Net<N>, reference: &Net<R>) -> Kept {
    let pairs = given.populations.iter().zip(&reference.populations);
    pairs.map(|(g, r)| g.origin.iter().map(|i| r.origin.binary_search(i).ok().map(|n| n as u32)).collect()).collect()
}

/// Which given projections the reference has.
pub(crate) struct Claimed {
    /// For each given projection, its index in the reference, and whether it must have one.
    pub of_given: Vec<(Option<usize>, bool)>,
    /// The first projection of the reference after all that the given net has.
    pub end: usize,
}

/// The projections of the reference that are the given net's. One that lost all its synapses may be absent; every other must be there, in order,
/// with its name and ends.
pub(crate) fn claimed<N: Number, R: Number>(given: &Net<N>, reference: &Net<R>, kept: &Kept) -> Claimed {
    let mut end = 0;
    let claim = |g: &Projection<N>| {
        let wanted = has_kept(g, kept);
        let r = reference.projections.get(end);
        let same = |r: &Projection<R>| r.name == g.name && (r.pre, r.post) == (g.pre, g.post) && (wanted || r.synapses.is_empty());
        let index = r.is_some_and(same).then_some(end);
        end += usize::from(index.is_some());
        (index, wanted)
    };
    let of_given = given.projections.iter().map(claim).collect();
    Claimed { of_given, end }
}

/// Pairs of (given, reference) projections; what has no partner, and should, is reported.
pub(crate) fn pair_projections<'g, 'r, N: Number, R: Number>(
    given: &'g Net<N>,
    reference: &'r Net<R>,
    kept: &Kept,
    differences: &mut Differences,
) -> Vec<(&'g Projection<N>, &'r Projection<R>)> {
    let mut pairs = Vec::new();
    let claimed = claimed(given, reference, kept);
    for (g, claim) in given.projections.iter().zip(claimed.of_given) {
        match claim {
            (Some(r), _) => pairs.push((g, &reference.projections[r])),
            (None, true) => differences.push(|| Difference {
                side: SIDE,
                at: item(&g.name),
                field: Field::Count,
                found: Value::Absent,
                expected: "a projection of this name and these ends".into(),
            }),
            (None, false) => {}
        }
    }
    for r in &reference.projections[claimed.end..] {
        differences.push(|| Difference {
            side: SIDE,
            at: item(&r.name),
            field: Field::Count,
            found: "a projection".into(),
            expected: Value::Absent,
        });
    }
    pairs
}

/// Pairs of (given, reference) host projections, and their rows: `row(given post)` is the reference post. A host projection of
/// which no post is kept may be absent.
pub(crate) fn pair_host_projections<'g, 'r, N: Number, R: Number>(
    given: &'g Net<N>,
    reference: &'r Net<R>,
    kept: &Kept,
    differences: &mut Differences,
) -> Vec<(&'g HostProjection, &'r HostProjection)> {
    let mut pairs = Vec::new();
    let mut rest = reference.host_projections.iter().peekable();
    for g in &given.host_projections {
        let wanted = kept[g.post.index()].iter().any(Option::is_some);
        match rest.next_if(|r| r.name == g.name && (r.pre, r.post) == (g.pre, g.post)) {
            Some(r) => {
                differences.compare(SIDE, Field::Delay, r.delay_steps, g.delay_steps, || item(&g.name));
                pairs.push((g, r));
            }
            None if wanted => differences.push(|| Difference {
                side: SIDE,
                at: item(&g.name),
                field: Field::Count,
                found: Value::Absent,
                expected: "a host projection of this name and these ends".into(),
            }),
            None => {}
        }
    }
    for r in rest {
        differences.push(|| Difference {
            side: SIDE,
            at: item(&r.name),
            field: Field::Count,
            found: "a host projection".into(),
            expected: Value::Absent,
        });
    }
    pairs
}

/// The terms of a host row: channels as trained, and weights bit for bit.
pub(crate) fn compare_host_terms<N: Number, R: Number>(
    nets: (&Net<N>, &Net<R>),
    pair: (&HostProjection, &HostProjection),
    rows: (usize, usize),
    at: impl Fn() -> At,
    differences: &mut Differences,
) {
    let ((g, r), (i, j)) = (pair, rows);
    let (a, b) = (g.offsets[i] as usize..g.offsets[i + 1] as usize, r.offsets[j] as usize..r.offsets[j + 1] as usize);
    let trained = |origin: &[u32], channels: &[u32]| -> Vec<u32> { channels.iter().map(|&c| origin[c as usize]).collect() };
    let wanted = trained(&nets.0.population(g.pre).origin, &g.channels[a.clone()]);
    let found = trained(&nets.1.population(r.pre).origin, &r.channels[b.clone()]);
    if found != wanted {
        differences.push(|| Difference { side: SIDE, at: at(), field: Field::HostChannels, found: list(&found), expected: list(&wanted) });
    } else if let Some((x, y)) = crate::host::first_other(&r.weights[b], &g.weights[a]) {
        differences.push(|| Difference {
            side: SIDE,
            at: at(),
            field: Field::HostWeights,
            found: (x as f64).into(),
            expected: (y as f64).into(),
        });
    }
}

/// Name of a given neuron.
pub(crate) fn given_name<N: Number>(net: &Net<N>, population: usize, neuron: usize) -> NeuronName {
    let p = &net.populations[population];
    NeuronName { population: population as u32, name: p.name.clone(), index: p.origin[neuron] }
}

/// Where a synapse of the given net is.
pub(crate) fn synapse_at<N: Number>(net: &Net<N>, p: &Projection<N>, pre: u32, post: u32) -> At {
    At {
        item: Some(p.name.clone()),
        pre: Some(given_name(net, p.pre.index(), pre as usize)),
        neuron: Some(given_name(net, p.post.index(), post as usize)),
        ..At::default()
    }
}

/// A given synapse between kept neurons, beside what the reference has for it.
pub(crate) struct Beside<W> {
    /// Presynaptic and postsynaptic neuron of the given net.
    pub ends: (u32, u32),
    /// Postsynaptic neuron of the reference.
    pub post: u32,
    /// The given weight.
    pub given: f32,
    /// The reference's; none where it has no such synapse.
    pub found: Option<W>,
}

/// Walks the synapses of a pair of projections side by side; `each` judges every given one. What the reference has beside is reported.
pub(crate) fn side_by_side<R: Number>(
    nets: (&Net<Float>, &Net<R>),
    pair: (&Projection<Float>, &Projection<R>),
    kept: &Kept,
    differences: &mut Differences,
    each: &mut dyn FnMut(Beside<R::Weight>, &mut Differences),
) where
    Value: From<Option<R::Weight>>,
{
    let ((given, reference), (g, r)) = (nets, pair);
    for (i, row) in kept[g.pre.index()].iter().enumerate() {
        let Some(row) = *row else { continue };
        let mut found = r.synapses.row(row as usize).iter().peekable();
        let extra = |(post, weight, _): (u32, R::Weight, u16), differences: &mut Differences| {
            let at = || At {
                pre: Some(given_name(given, g.pre.index(), i)),
                neuron: Some(NeuronName {
                    population: r.post.0,
                    name: given.population(g.post).name.clone(),
                    index: reference.population(r.post).origin[post as usize],
                }),
                ..item(&g.name)
            };
            differences.compare(SIDE, Field::Synapse, Some(weight), None, at);
        };
        for (post, weight, delay) in g.synapses.row(i).iter() {
            let Some(j) = kept[g.post.index()][post as usize] else { continue };
            let key = (j, delay);
            while let Some(other) = found.next_if(|s| (s.0, s.2) < key) {
                extra(other, differences);
            }
            let found = found.next_if(|s| (s.0, s.2) == key).map(|s| s.1);
            each(Beside { ends: (i as u32, post), post: j, given: weight, found }, differences);
        }
        found.for_each(|other| extra(other, differences));
    }
}
