//! Sources of axons, and connections against synapses.

use super::spec;
use crate::difference::{At, Difference, Differences, Field, Side, Value};
use crate::owners::{Cell, Owners, Seat, channels, name, place_text};
use spikec_chip::bundle::{Bundle, Origin, Place};
use spikec_chip::crossbar::{CrossbarRow, CrossbarTables, Destination};
use spikec_net::{Crossbar, Net, Number};

/// What feeds an axon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Feed {
    Nobody,
    /// A source, its spikes so many chip steps later.
    One(Cell, i64),
    Many,
}

/// The feed of each axon of each core.
pub(super) struct Feeds {
    feeds: Vec<Vec<Feed>>,
    /// The axon of each core behind the last that a neuron hears: spikes end there.
    ends: Vec<usize>,
}

/// Follows the host's channels and every row's destination.
pub(super) fn feeds(
    bundle: &Bundle,
    net: &Net<Crossbar>,
    tables: &[CrossbarTables],
    owners: &Owners,
    differences: &mut Differences,
) -> Feeds {
    let end = |(k, t): (usize, &CrossbarTables)| {
        let owned = t.neurons.iter().enumerate().filter(|(j, _)| owners.owner_at(k, *j).is_some());
        owned.flat_map(|(_, row)| row.connections.last()).map(|&a| usize::from(a) + 1).max().unwrap_or(0)
    };
    let mut feeds = Feeds {
        feeds: tables.iter().map(|t| vec![Feed::Nobody; t.types.len()]).collect(),
        ends: tables.iter().enumerate().map(end).collect(),
    };
    let channels = channels(net);
    let first = bundle.host.input_axons.iter().enumerate();
    let first = first.flat_map(|(channel, places)| places.iter().map(move |&place| (channel, place, 0)));
    let later = bundle.host.injections.iter().filter_map(|i| match i.from {
        Origin::Channel(channel) => Some((channel as usize, i.to, i64::from(i.delay_steps))),
        Origin::Neuron(_) => None,
    });
    for (channel, place, delay) in first.chain(later) {
        let at = At { item: Some(format!("input channel {channel}")), ..At::default() };
        match channels.get(channel).copied().flatten() {
            Some(cell) => {
                let at = At { pre: Some(name(net, cell)), ..at };
                feeds.feed(tables, (cell, delay), place, Side::Host, at, differences);
            }
            None => differences.push(|| Difference {
                side: Side::Host,
                at,
                field: Field::InAxonSource,
                found: place_text(place).into(),
                expected: Value::Absent,
            }),
        }
    }
    for injection in &bundle.host.injections {
        if let Origin::Neuron(place) = injection.from {
            differences.push(|| Difference {
                side: Side::Host,
                at: At { core: Some(place.core), compartment: Some(place.index), ..At::default() },
                field: Field::Injections,
                found: "a neuron's spike that the host sends".into(),
                expected: "spikes of channels: a neuron sends its own".into(),
            });
        }
    }
    for (k, core) in tables.iter().enumerate() {
        for (index, row) in core.neurons.iter().enumerate() {
            let Some(seat) = owners.owner_at(k, index) else { continue };
            let at = || At { core: Some(core.core), compartment: Some(index as u16), neuron: Some(name(net, seat.cell)), ..At::default() };
            feeds.follow(bundle, net, tables, core.core, (seat, row, owners.seats(seat.cell) == 1), at, differences);
        }
    }
    feeds
}

impl Feeds {
    fn feed(
        &mut self,
        tables: &[CrossbarTables],
        (cell, delay): (Cell, i64),
        place: Place,
        side: Side,
        at: At,
        differences: &mut Differences,
    ) {
        let core = tables.binary_search_by_key(&place.core, |t| t.core).ok();
        match core.and_then(|k| self.feeds[k].get_mut(usize::from(place.index))) {
            Some(slot @ Feed::Nobody) => *slot = Feed::One(cell, delay),
            Some(slot) => *slot = Feed::Many,
            None => differences.push(|| Difference {
                side,
                at,
                field: Field::Destination,
                found: place_text(place).into(),
                expected: "an axon of the image".into(),
            }),
        }
    }

    /// Follows the destination of a row.
    #[allow(clippy::too_many_arguments)]
    fn follow(
        &mut self,
        bundle: &Bundle,
        net: &Net<Crossbar>,
        tables: &[CrossbarTables],
        from: u32,
        (seat, row, alone): (Seat, &CrossbarRow, bool),
        at: impl Fn() -> At,
        differences: &mut Differences,
    ) {
        let (spec, topology) = (spec(&bundle.target), &bundle.target.topology);
        let (width, height) = (*topology.width, *topology.height);
        let Destination { dx, dy, axon, delay } = row.destination;
        let (x, y) = (i64::from(from % width) + i64::from(dx), i64::from(from / width) + i64::from(dy));
        let inside = (0..i64::from(width)).contains(&x) && (0..i64::from(height)).contains(&y);
        let bus = *spec.routing.output_bus;
        let to_bus = inside && (x as u32, y as u32) == bus;
        let text = || -> Value {
            let place = if to_bus { "the output bus, output".into() } else { format!("router ({x}, {y}) axon") };
            format!("{place} {axon} delay {delay}").into()
        };
        let p = &net.populations[seat.cell.population as usize];
        let output = (seat.cell.population == net.output.0 && seat.nth == 0).then(|| p.origin[seat.cell.neuron as usize]);
        let expected: Value = match output {
            Some(index) if !(to_bus && u32::from(axon) == index && delay == 0) => format!("the output bus, output {index} delay 0").into(),
            None if to_bus => "a core: only the places of output neurons send to the bus".into(),
            None if !inside => format!("a router of the {width} x {height} mesh").into(),
            None => {
                let place = Place { core: y as u32 * width + x as u32, index: axon };
                // A neuron that nothing hears has to send somewhere: behind the last axon of its own core that anything hears.
                let k = tables.binary_search_by_key(&from, |t| t.core).ok();
                let end = k.is_some_and(|k| self.ends[k] == usize::from(axon)) && (dx, dy, delay) == (0, 0, 0);
                if end && usize::from(axon) < tables[k.unwrap_or(0)].types.len() && alone {
                    return;
                }
                self.feed(tables, (seat.cell, 1 + i64::from(delay)), place, Side::Image, at(), differences);
                return;
            }
            Some(_) => return,
        };
        differences.push(|| Difference { side: Side::Image, at: at(), field: Field::Destination, found: text(), expected });
    }
}

/// A sum of weights from one source with one delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Wire {
    pre: Cell,
    delay: i64,
    weight: i64,
}

/// Adds up the weights of each (key, source, delay); sums of 0 are none.
fn summed<K: Copy + Ord>(mut all: Vec<(K, Wire)>) -> Vec<(K, Wire)> {
    all.sort_unstable();
    let mut out: Vec<(K, Wire)> = Vec::with_capacity(all.len());
    for (key, wire) in all {
        match out.last_mut() {
            Some((k, last)) if (*k, last.pre, last.delay) == (key, wire.pre, wire.delay) => last.weight += wire.weight,
            _ => out.push((key, wire)),
        }
    }
    out.retain(|(_, wire)| wire.weight != 0);
    out
}

/// Most synapses that the reference may have beside the connections of the image for them to be listed one by one.
const MISSING_LISTED: usize = 1 << 24;

/// Compares what each row hears with the reference's synapses; how many were compared.
pub(super) fn compare(
    net: &Net<Crossbar>,
    tables: &[CrossbarTables],
    owners: &Owners,
    Feeds { feeds, ends: _ }: &Feeds,
    differences: &mut Differences,
) -> u64 {
    check_axons(net, tables, owners, feeds, differences);
    let connections: usize = tables.iter().flat_map(|t| &t.neurons).map(|row| row.connections.len()).sum();
    let declared = net.synapse_count();
    if declared > connections + MISSING_LISTED {
        differences.push(|| Difference {
            side: Side::Image,
            at: At::default(),
            field: Field::Synapse,
            found: format!("{connections} connections in all").into(),
            expected: format!("{declared} synapses in all").into(),
        });
        return 0;
    }
    let wanted = wanted(net, differences);
    let mut compared = 0;
    for (k, core) in tables.iter().enumerate() {
        for (index, row) in core.neurons.iter().enumerate() {
            let Some(seat) = owners.owner_at(k, index) else { continue };
            let at = || At { core: Some(core.core), compartment: Some(index as u16), neuron: Some(name(net, seat.cell)), ..At::default() };
            let found = heard(core, row, &feeds[k], at, differences);
            let from = wanted.partition_point(|w| w.0 < seat.cell);
            let to = from + wanted[from..].partition_point(|w| w.0 == seat.cell);
            compare_row(net, &found, &wanted[from..to], at, differences);
            compared += (to - from) as u64;
        }
    }
    compared
}

/// What a row hears. Weights that nothing hears, and connections that add nothing, are reported.
fn heard(core: &CrossbarTables, row: &CrossbarRow, feeds: &[Feed], at: impl Fn() -> At, differences: &mut Differences) -> Vec<((), Wire)> {
    let mut types = vec![false; row.weights.len()];
    let mut all = Vec::with_capacity(row.connections.len());
    for &axon in &row.connections {
        let kind = usize::from(core.types[usize::from(axon)]);
        let weight = row.weights[kind];
        types[kind] = true;
        if weight == 0 {
            differences.push(|| Difference {
                side: Side::Image,
                at: At { in_axon: Some(axon), ..at() },
                field: Field::Weight,
                found: format!("a connection of weight 0 (type {kind})").into(),
                expected: "no connection, or a weight".into(),
            });
        }
        // An axon without a source, or with several, is reported by itself.
        if let Feed::One(pre, delay) = feeds[usize::from(axon)] {
            all.push(((), Wire { pre, delay, weight: weight.into() }));
        }
    }
    for (kind, _) in types.iter().enumerate().filter(|(_, heard)| !**heard) {
        let at = || At { item: Some(format!("type {kind}, which it doesn't hear")), ..at() };
        differences.compare(Side::Image, Field::Weight, row.weights[kind], 0, at);
    }
    summed(all)
}

/// Each axon has one source and is heard, or has none and is as no axon.
fn check_axons(net: &Net<Crossbar>, tables: &[CrossbarTables], owners: &Owners, feeds: &[Vec<Feed>], differences: &mut Differences) {
    for (k, core) in tables.iter().enumerate() {
        let mut heard = vec![false; core.types.len()];
        for (index, row) in core.neurons.iter().enumerate() {
            if owners.owner_at(k, index).is_some() {
                row.connections.iter().for_each(|&a| heard[usize::from(a)] = true);
            }
        }
        for (axon, (&feed, &kind)) in feeds[k].iter().zip(&core.types).enumerate() {
            let at = || At { core: Some(core.core), in_axon: Some(axon as u16), ..At::default() };
            let mut report = |at: At, field, found: &str, expected: &str| {
                differences.push(|| Difference { side: Side::Image, at, field, found: found.into(), expected: expected.into() });
            };
            match feed {
                Feed::Many => report(at(), Field::InAxonSource, "more than one source or delay", "one"),
                Feed::Nobody if heard[axon] => report(at(), Field::InAxonSource, "none, and a connection", "one"),
                Feed::One(cell, _) if !heard[axon] => {
                    let at = At { pre: Some(name(net, cell)), ..at() };
                    report(at, Field::UnusedRecord, "an axon that no neuron hears", "a use");
                }
                Feed::Nobody => {
                    differences.compare(Side::Image, Field::AxonType, kind, 0, at);
                }
                Feed::One(..) => {}
            }
        }
    }
}

/// A synapse of the reference: post, pre, chip delay, weight.
pub(crate) type ChipSynapse<W> = (Cell, Cell, i64, W);

/// The reference's synapses, in net order. Reports chip delays shorter than the hop.
pub(crate) fn chip_synapses<N: Number>(net: &Net<N>, differences: &mut Differences) -> Vec<ChipSynapse<N::Weight>> {
    let mut all = Vec::with_capacity(net.synapse_count());
    for p in &net.projections {
        let hop = i64::from(!net.population(p.pre).is_input());
        for (pre, post, weight, delay) in p.synapses.iter() {
            let (pre, post) = (Cell { population: p.pre.0, neuron: pre }, Cell { population: p.post.0, neuron: post });
            let delay = net.chip_delay(p, delay);
            if delay < hop {
                let at = || At { pre: Some(name(net, pre)), neuron: Some(name(net, post)), item: Some(p.name.clone()), ..At::default() };
                differences.push(|| Difference {
                    side: Side::Network,
                    at: at(),
                    field: Field::ChipDelay,
                    found: delay.into(),
                    expected: format!("at least {hop}").into(),
                });
            }
            all.push((post, pre, delay, weight));
        }
    }
    all
}

/// The reference's synapses by their post neuron.
fn wanted(net: &Net<Crossbar>, differences: &mut Differences) -> Vec<(Cell, Wire)> {
    let wire = |(post, pre, delay, weight): ChipSynapse<i32>| (post, Wire { pre, delay, weight: weight.into() });
    summed(chip_synapses(net, differences).into_iter().map(wire).collect())
}

/// Compares two ascending lists. Wires of one source are matched in order, so that a changed weight or delay is one difference and not two.
fn compare_row(net: &Net<Crossbar>, found: &[((), Wire)], wanted: &[(Cell, Wire)], at: impl Fn() -> At, differences: &mut Differences) {
    let (mut i, mut j) = (0, 0);
    while i < found.len() || j < wanted.len() {
        let next = match (found.get(i), wanted.get(j)) {
            (Some(a), Some(b)) => a.1.pre.min(b.1.pre),
            (Some(a), None) => a.1.pre,
            (None, Some(b)) => b.1.pre,
            (None, None) => break,
        };
        let a: Vec<Wire> = found[i..].iter().map(|f| f.1).take_while(|w| w.pre == next).collect();
        let b: Vec<Wire> = wanted[j..].iter().map(|w| w.1).take_while(|w| w.pre == next).collect();
        (i, j) = (i + a.len(), j + b.len());
        if a == b {
            continue;
        }
        let at = || At { pre: Some(name(net, next)), ..at() };
        for k in 0..a.len().max(b.len()) {
            match (a.get(k), b.get(k)) {
                (Some(l), Some(r)) => {
                    differences.compare(Side::Image, Field::ChipDelay, l.delay, r.delay, at);
                    differences.compare(Side::Image, Field::Weight, l.weight, r.weight, at);
                }
                (l, r) => {
                    differences.compare(Side::Image, Field::Synapse, l.map(|w| w.weight), r.map(|w| w.weight), at);
                }
            }
        }
    }
}
