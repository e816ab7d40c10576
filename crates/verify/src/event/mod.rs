//! The image check of the event crossbar family.
//!
//! # The argument
//!
//! (a) **Bits = reference.** The state of the chip is the potential of each neuron. It is driven by events, one after the other, each of which names a row, and by
//! the time reference that ends a chip step; spikes reach other neurons by the host alone (the core is in open loop), which sends them back in as events of rows. A named row has one
//! source and one delay: a channel (`input_axons`: 0; injections: theirs) or a neuron (injections alone), so it comes in chip step t as often as its source spiked in step t less that delay.
//! Within a chip step the host sends rows in ascending order. The reference lets a neuron hear its synapses by ascending (population, neuron, delay) of their source (docs/semantics.md, section 11); for one post neuron the chip delay is the net
//! delay and a constant of the two populations, so rows that ascend by (population, neuron, chip delay) are in the reference's order.
//! If (1) each neuron's threshold and leak are the reference's and (2) the weights of its column, row by row, are those of the reference's synapses into it, by source and delay, then equal
//! potentials stay equal through a step. Two things need care. *Events that the reference doesn't have*: the chip updates every neuron at every event, also by a weight of 0. Such an update changes
//! nothing, and fires nothing where the potential is below the threshold; after an event it always is (a neuron that reaches it is at 0, and thresholds are at least 1), leaking towards 0 keeps it there, and that it begins there is asked.
//! *Two weights for one synapse*: where signs are the rows', a source and delay may have two rows that follow each other, the positive one first; each neuron has a weight in one of them at most, so no sum is split.
//! For the same reason the reference may not have two synapses of the same pre, post and delay: they would be two events.
//!
//! Neuron and reference begin alike: a neuron of population p is at `start` in network step 0, chip step skew(p). No event that means something to it comes before, but time references do: its potential at load time is
//! `start`, and as much further from 0 as they take away.
//!
//! Nothing is left unexplained: the core is in open loop, `last_neuron` is the last one used, the neurons of the network are not disabled, others are as `EventWord::unused` makes them, rows without a source are 0, a row with one
//! has a weight other than 0, every bit is what the tables encode to.
//!
//! (b) **Reference = network**: `given::integers`. What it says is what the registers are, not that steps are the same: the network adds up the inputs of a step before it asks for the
//! threshold, this chip asks after each. That difference is the family's, in every image, and is measured (`loss`), not proved.
//!
//! In: a bundle of the family, and the network as given. Out: differences. Cost: linear in rows times neurons and synapses, and a sort of the latter.

use crate::crossbar::wires::{ChipSynapse, chip_synapses};
use crate::crossbar::{compare_host, unread};
use crate::difference::{At, Difference, Differences, Field, Side, Value};
use crate::given::integers;
use crate::host;
use crate::image::{Checked, Given, ImageVerdict, VerifyError};
use crate::owners::{Cell, Owners, Seat, Seats, channels, name, place_text};
use crate::wellformed::{MAX_SKEW, Malformed, Part, within};
use spikec_chip::bundle::{Bundle, Origin, Place};
use spikec_chip::event::{EventCrossbar, EventImage, EventSign, EventTables, EventWord, decode, encode};
use spikec_chip::image::Image;
use spikec_chip::target::{Family, Target};
use spikec_net::{Event, EventNeuron, EventRules, Net, Quantized};

/// The whole check.
pub(crate) fn check(bundle: &Bundle, given: &Given) -> Result<ImageVerdict, VerifyError> {
    integers::check::<Event>(bundle, given)
}

/// The family's part of a target.
pub(crate) fn spec(target: &Target) -> &EventCrossbar {
    match &target.family {
        Family::EventCrossbar(spec) => spec,
        other => unreachable!("`Registers::holds` was asked first: {}", other.name()),
    }
}

fn image(bundle: &Bundle) -> &EventImage {
    match &bundle.image {
        Image::EventCrossbar(image) => image,
        other => unreachable!("`Registers::holds` was asked first: {}", other.family()),
    }
}

/// Ranges of the reference's registers.
pub(crate) fn check_registers(net: &Net<Event>, target: &Target) -> Result<(), Malformed> {
    let spec = spec(target);
    let n = &spec.neuron;
    let (least, most) = spec.potential_range();
    within(Part::Net, "host maps", net.host_projections.len() as i64, 0, 0)?;
    for (k, p) in net.populations.iter().enumerate() {
        let part = Part::Population(k as u32);
        within(part, "skew", p.skew.into(), 0, if p.is_input() { 0 } else { MAX_SKEW })?;
        for EventNeuron { threshold, leak, start } in p.neurons() {
            within(part, "threshold", (*threshold).into(), 1, (1 << *n.threshold_bits) - 1)?;
            within(part, "leak", (*leak).into(), 0, (1 << *n.leak_bits) - 1)?;
            within(part, "potential at the start", (*start).into(), least.into(), most.into())?;
        }
    }
    let (least, most) = spec.weight_range();
    for (k, p) in net.projections.iter().enumerate() {
        for &weight in p.synapses.distinct_weights() {
            within(Part::Projection(k as u32), "weight", weight.into(), least.into(), most.into())?;
        }
    }
    Ok(())
}

/// Part (a).
pub(crate) fn compare(
    bundle: &Bundle,
    quantized: &Quantized<Event>,
    differences: &mut Differences,
    checked: &mut Checked,
) -> Result<(), VerifyError> {
    let (net, spec) = (&quantized.net, spec(&bundle.target));
    let (v_min, v_max) = spec.potential_range();
    let (found, expected) = (format!("{:?}", net.rules), format!("{:?}", EventRules { v_min, v_max }));
    differences.compare(Side::Image, Field::Rules, found, expected, At::default);
    let tables = decode(image(bundle), spec).map_err(VerifyError::Event)?;
    checked.cores = 1;
    check_bits(bundle, &tables, differences);
    host::compare_symbols(bundle, quantized, differences);
    let seats = Seats { cores: &[(0, tables.neurons.len())], beside: false };
    let owners = Owners::new(bundle, net, seats, differences);
    checked.copies = owners.copy_count();
    checked.compartments = compare_neurons(net, spec, &tables, &owners, differences);
    let feeds = feeds(bundle, net, tables.weights.len() / tables.neurons.len().max(1), &owners, differences);
    check_rows(net, spec, &tables, &feeds, differences);
    checked.synapses = compare_weights(net, &tables, &feeds, &owners, differences);
    compare_host(bundle, net, &owners, differences, checked);
    Ok(())
}

fn check_bits(bundle: &Bundle, tables: &EventTables, differences: &mut Differences) {
    match encode(tables, spec(&bundle.target)) {
        Ok(again) => {
            let EventImage { registers, neurons, synapses } = image(bundle);
            unread(None, "registers", registers, &again.registers, differences);
            unread(None, "neurons", neurons, &again.neurons, differences);
            unread(None, "synapses", synapses, &again.synapses, differences);
        }
        Err(e) => differences.push(|| Difference {
            side: Side::Image,
            at: At { item: Some("decoded tables".into()), ..At::default() },
            field: Field::UnreadBits,
            found: e.to_string().into(),
            expected: "tables that the codec encodes".into(),
        }),
    }
}

/// The registers and the words of neurons; the neurons that are the network's.
fn compare_neurons(net: &Net<Event>, spec: &EventCrossbar, tables: &EventTables, owners: &Owners, differences: &mut Differences) -> u64 {
    let side = Side::Image;
    differences.compare(side, Field::OpenLoop, u8::from(tables.open_loop), 1, At::default);
    let last = (0..tables.neurons.len()).rev().find(|&n| owners.owner_at(0, n).is_some()).unwrap_or(0);
    differences.compare(side, Field::LastNeuron, usize::from(tables.last_neuron), last, At::default);
    let mut checked = 0;
    for (index, word) in tables.neurons.iter().enumerate() {
        let place = || At { core: Some(0), compartment: Some(index as u16), ..At::default() };
        let Some(Seat { cell, .. }) = owners.owner_at(0, index) else {
            if *word != EventWord::unused(spec) {
                differences.push(|| Difference {
                    side,
                    at: place(),
                    field: Field::CompartmentOwner,
                    found: "a word that is used, of no neuron".into(),
                    expected: "a neuron of the symbols, or the unused word".into(),
                });
            }
            continue;
        };
        checked += 1;
        let at = || At { neuron: Some(name(net, cell)), ..place() };
        let p = &net.populations[cell.population as usize];
        let EventNeuron { threshold, leak, start } = p.neurons()[cell.neuron as usize];
        let EventWord { potential, threshold: found_threshold, leak: found_leak, disabled } = *word;
        differences.compare(side, Field::Threshold, i32::from(found_threshold), threshold, at);
        differences.compare(side, Field::Leak, i32::from(found_leak), leak, at);
        differences.compare(side, Field::Disabled, u8::from(disabled), 0, at);
        let first = i64::from(start) + i64::from(start.signum()) * i64::from(leak) * i64::from(p.skew);
        differences.compare(side, Field::Potential, i64::from(potential), first, at);
        if i32::from(potential) >= threshold {
            differences.push(|| Difference {
                side,
                at: at(),
                field: Field::Potential,
                found: potential.into(),
                expected: format!("below the threshold {threshold}: any event would fire it").into(),
            });
        }
    }
    checked
}

/// What names a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Feed {
    Nobody,
    One(Cell, i64),
    Many,
}

fn feeds(bundle: &Bundle, net: &Net<Event>, rows: usize, owners: &Owners, differences: &mut Differences) -> Vec<Feed> {
    let mut feeds = vec![Feed::Nobody; rows];
    let mut feed = |source: Option<(Cell, i64)>, place: Place, from: String, differences: &mut Differences| {
        let slot = if place.core == 0 { feeds.get_mut(usize::from(place.index)) } else { None };
        let at = At { item: Some(from), ..At::default() };
        let report = |field, expected: Value| {
            differences.push(|| Difference { side: Side::Host, at, field, found: place_text(place).into(), expected });
        };
        match (slot, source) {
            (None, _) => report(Field::Destination, "a row of core 0".into()),
            (_, None) => report(Field::InAxonSource, Value::Absent),
            (Some(slot @ Feed::Nobody), Some((cell, delay))) => *slot = Feed::One(cell, delay),
            (Some(slot), _) => *slot = Feed::Many,
        }
    };
    let channels = channels(net);
    let channel = |c: usize, delay: i64| channels.get(c).copied().flatten().map(|cell| (cell, delay));
    for (c, places) in bundle.host.input_axons.iter().enumerate() {
        for &place in places {
            feed(channel(c, 0), place, format!("input channel {c}"), differences);
        }
    }
    for injection in &bundle.host.injections {
        let delay = i64::from(injection.delay_steps);
        match injection.from {
            Origin::Channel(c) => feed(channel(c as usize, delay), injection.to, format!("input channel {c}"), differences),
            Origin::Neuron(from) => {
                let source = owners.owner(from).map(|seat| (seat.cell, delay));
                feed(source, injection.to, format!("a spike of {}", place_text(from)), differences);
            }
        }
    }
    feeds
}

/// Rows by themselves: their order, their sources and their signs.
fn check_rows(net: &Net<Event>, spec: &EventCrossbar, tables: &EventTables, feeds: &[Feed], differences: &mut Differences) {
    let neurons = tables.neurons.len();
    // The last named row: its source and delay, its number, and whether its sign is positive and the row of the other sign may follow.
    let mut last: Option<((Cell, i64), usize, bool)> = None;
    for (row, (&feed, weights)) in feeds.iter().zip(tables.weights.chunks(neurons)).enumerate() {
        let negative = tables.negative_rows.get(row).copied();
        let at = || At { core: Some(0), in_axon: Some(row as u16), ..At::default() };
        let mut report = |at: At, field, found: Value, expected: &str| {
            differences.push(|| Difference { side: Side::Image, at, field, found, expected: expected.into() });
        };
        let empty = weights.iter().all(|&w| w == 0);
        let (pre, delay) = match feed {
            Feed::One(pre, delay) => (pre, delay),
            Feed::Many => {
                report(at(), Field::InAxonSource, "more than one source or delay".into(), "one");
                continue;
            }
            Feed::Nobody => {
                if !empty {
                    report(at(), Field::InAxonSource, "none, and a weight".into(), "one");
                }
                if negative == Some(true) {
                    report(at(), Field::RowSign, "negative".into(), "positive: no source names it");
                }
                continue;
            }
        };
        let at = || At { pre: Some(name(net, pre)), ..at() };
        if empty {
            report(at(), Field::UnusedRecord, "a row that no neuron hears".into(), "a use");
        }
        if let Some((key, before, open)) = last {
            let pair = key == (pre, delay) && open && before + 1 == row && negative == Some(true);
            if key >= (pre, delay) && !pair {
                let found = format!("delay {delay} after row {before} of {} delay {}", name(net, key.0), key.1);
                report(
                    at(),
                    Field::RowOrder,
                    found.into(),
                    "rows by (population, neuron, delay), each once, or a positive and a negative one",
                );
            }
        }
        last = Some(((pre, delay), row, *spec.weights.sign == EventSign::EachRow && negative == Some(false)));
    }
}

/// A weight: (post, pre, delay, weight).
type Wire = ChipSynapse<i32>;

/// Compares the weights of the image with the reference's synapses; how many were compared.
fn compare_weights(net: &Net<Event>, tables: &EventTables, feeds: &[Feed], owners: &Owners, differences: &mut Differences) -> u64 {
    let neurons = tables.neurons.len();
    // A neuron hears as many rows as there are at most: more synapses than that are not all in the image.
    let (declared, room) = (net.synapse_count(), tables.weights.len());
    let mut all = Vec::new();
    for (row, (&feed, weights)) in feeds.iter().zip(tables.weights.chunks(neurons)).enumerate() {
        let source = if let Feed::One(pre, delay) = feed { Some((pre, delay)) } else { None };
        for (index, &weight) in weights.iter().enumerate().filter(|(_, w)| **w != 0) {
            match (owners.owner_at(0, index), source) {
                (Some(seat), Some((pre, delay))) => all.push((seat.cell, pre, delay, i32::from(weight))),
                (None, _) => differences.push(|| Difference {
                    side: Side::Image,
                    at: At { core: Some(0), compartment: Some(index as u16), in_axon: Some(row as u16), ..At::default() },
                    field: Field::Synapse,
                    found: weight.into(),
                    expected: "a neuron".into(),
                }),
                // A row without a source is reported by itself.
                (Some(_), None) => {}
            }
        }
    }
    if declared > room + (1 << 20) {
        differences.push(|| Difference {
            side: Side::Image,
            at: At::default(),
            field: Field::Synapse,
            found: format!("room for {room} synapses").into(),
            expected: format!("{declared} synapses").into(),
        });
        return 0;
    }
    let wanted = wanted(net, differences);
    all.sort_unstable();
    let at = |w: &Wire| {
        let place = owners.place(Seat { cell: w.0, nth: 0 });
        At {
            core: place.map(|p| p.core),
            compartment: place.map(|p| p.index),
            pre: Some(name(net, w.1)),
            neuron: Some(name(net, w.0)),
            ..At::default()
        }
    };
    // One neuron of one source by (delay, weight): a changed weight or delay is one difference and not two.
    let (mut i, mut j) = (0, 0);
    let pair = |w: &Wire| (w.0, w.1);
    while i < all.len() || j < wanted.len() {
        let next = all.get(i).map(pair).into_iter().chain(wanted.get(j).map(pair)).min();
        let a: Vec<Wire> = all[i..].iter().copied().take_while(|w| Some(pair(w)) == next).collect();
        let b: Vec<Wire> = wanted[j..].iter().copied().take_while(|w| Some(pair(w)) == next).collect();
        (i, j) = (i + a.len(), j + b.len());
        for k in 0..a.len().max(b.len()) {
            match (a.get(k), b.get(k)) {
                (Some(l), Some(r)) => {
                    differences.compare(Side::Image, Field::ChipDelay, l.2, r.2, || at(l));
                    differences.compare(Side::Image, Field::Weight, l.3, r.3, || at(l));
                }
                (l, r) => {
                    let at = || l.or(r).map(at).unwrap_or_default();
                    differences.compare(Side::Image, Field::Synapse, l.map(|w| w.3), r.map(|w| w.3), at);
                }
            }
        }
    }
    wanted.len() as u64
}

/// The reference's synapses, sorted. Reports chip delays shorter than the hop, and two synapses that are two events of one source.
fn wanted(net: &Net<Event>, differences: &mut Differences) -> Vec<Wire> {
    let mut all = chip_synapses(net, differences);
    // An event of weight 0 does nothing.
    all.retain(|s| s.3 != 0);
    all.sort_unstable();
    for two in all.windows(2).filter(|two| (two[0].0, two[0].1, two[0].2) == (two[1].0, two[1].1, two[1].2)) {
        let at = || At { pre: Some(name(net, two[0].1)), neuron: Some(name(net, two[0].0)), ..At::default() };
        differences.push(|| Difference {
            side: Side::Network,
            at: at(),
            field: Field::Synapse,
            found: format!("{} and {} of the same delay", two[0].3, two[1].3).into(),
            expected: "one: each is an event".into(),
        });
    }
    all
}

#[cfg(test)]
mod tests;
