//! The image, resolved: bits into tables, tables into synapses between neurons.
//!
//! In: a bundle and its reference net. Out: every stored synapse as (pre neuron, post neuron, mantissa, exponent, delay
//! register), and the differences in compartments, axons and records. Invariant: nothing is read from the reference but
//! names and sizes; `records` asks that every record of every table is used, so that no bit of the image is left unexplained.
//! Cost: linear in the stored synapses, and sorts; memory is that of the synapses of a core, or of [`LISTED`] synapses of several.

use crate::difference::{At, Difference, Differences, Field, Side, Value};
use crate::image::VerifyError;
use crate::owners::{Cell, Owners, Seat, channels, name, place_text};
use spikec_chip::bundle::{Bundle, Place};
use spikec_chip::codec::decode_core;
use spikec_chip::image::{CoreTables, StoredSynapse};
use spikec_chip::target::{Compression, Target};
use spikec_net::{Fixed, Net};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// A synapse, as the chip stores it or as the reference wants it. The order is the order of comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wire {
    pub post: Seat,
    pub pre: Cell,
    pub delay: i64,
    pub exponent: i8,
    pub mantissa: i16,
}

/// Decodes every core of the image; cores must ascend.
pub(crate) fn decode(bundle: &Bundle) -> Result<Vec<CoreTables>, VerifyError> {
    let image = bundle.image.packed();
    let mut cores: Vec<CoreTables> = Vec::with_capacity(image.cores.len());
    for core in &image.cores {
        if let Some(last) = cores.last()
            && last.core >= core.core
        {
            return Err(VerifyError::CoreOrder { core: core.core, after: last.core });
        }
        cores.push(decode_core(core, &bundle.target).map_err(|source| VerifyError::Decode { core: core.core, source })?);
    }
    Ok(cores)
}

/// Most synapses that the input axons of one core may read beyond those that are stored: those of a core are listed at once, 32 bytes each.
pub(crate) const CORE_SHARED: u64 = 1 << 25;

/// Refuses images whose shared lists are read so often that following them would take more time or memory than there may be: `limit` bounds all cores,
/// `of_core` each.
pub(crate) fn bounded(tables: &[CoreTables], limit: u64, of_core: u64) -> Result<(), VerifyError> {
    let again: Vec<u64> = tables.iter().map(CoreTables::read_again).collect();
    let all = again.iter().copied().fold(0, u64::saturating_add);
    let most = again.into_iter().max().unwrap_or(0);
    match (all > limit, most > of_core) {
        (true, _) => Err(VerifyError::SharedLists { found: all, limit }),
        (_, true) => Err(VerifyError::SharedLists { found: most, limit: of_core }),
        _ => Ok(()),
    }
}

/// Compares the registers of every compartment with its neuron's.
pub(crate) fn compare_compartments(net: &Net<Fixed>, tables: &[CoreTables], owners: &Owners, differences: &mut Differences) -> u64 {
    let mut checked = 0;
    for (k, core) in tables.iter().enumerate() {
        for (index, c) in core.compartments.iter().enumerate() {
            let Some(cell) = owners.owner_at(k, index) else {
                let at = At { core: Some(core.core), compartment: Some(index as u16), ..At::default() };
                differences.push(|| Difference {
                    side: Side::Image,
                    at,
                    field: Field::CompartmentOwner,
                    found: Value::Absent,
                    expected: "a neuron of the symbols".into(),
                });
                continue;
            };
            checked += 1;
            let cell = cell.cell;
            let n = &net.populations[cell.population as usize].neurons()[cell.neuron as usize];
            let at = || At { core: Some(core.core), compartment: Some(index as u16), neuron: Some(name(net, cell)), ..At::default() };
            match core.compartment_profiles.get(c.profile as usize) {
                Some(p) => {
                    differences.compare(Side::Image, Field::DecayU, p.decay_u, n.decay_u, at);
                    differences.compare(Side::Image, Field::DecayV, p.decay_v, n.decay_v, at);
                    differences.compare(Side::Image, Field::Refractory, p.refractory, n.refractory, at);
                }
                None => {
                    differences.compare(Side::Image, Field::DecayU, Value::Absent, n.decay_u.into(), at);
                }
            }
            let threshold = core.threshold_profiles.get(c.threshold_profile as usize).copied();
            differences.compare(Side::Image, Field::Threshold, threshold, Some(n.threshold), at);
            // Any exponent of a zero mantissa is a zero bias, but only one of them is what a loader should write.
            differences.compare(Side::Image, Field::LoadBias, (c.bias_mantissa, c.bias_exponent).pair(), (0i16, 0u8).pair(), at);
        }
    }
    checked
}

/// A bias as text, for differences.
trait Pair {
    fn pair(self) -> Value;
}
impl Pair for (i16, u8) {
    fn pair(self) -> Value {
        bias_value(self.0, self.1)
    }
}

/// A bias register as a value.
pub(crate) fn bias_value(mantissa: i16, exponent: u8) -> Value {
    Value::Text(format!("{mantissa} * 2^{exponent}"))
}

/// What feeds an input axon.
#[derive(Clone, Copy)]
enum Feed {
    Nobody,
    One(Seat),
    /// Two compartments of one neuron.
    Twice(Cell),
    Many,
}

/// Synapses that act, and zeros that are stored as synapses; both sorted.
#[derive(Default)]
struct Wires {
    acting: Vec<Wire>,
    zeros: Vec<Wire>,
}

impl Wires {
    fn add(&mut self, wire: Wire) {
        if wire.mantissa == 0 { self.zeros.push(wire) } else { self.acting.push(wire) }
    }
    fn sorted(mut self) -> Self {
        self.acting.sort_unstable();
        self.zeros.sort_unstable();
        self
    }
}

/// Which compartment of a neuron with copies serves which core.
#[derive(Default)]
struct Service {
    servers: BTreeMap<(Cell, u32), Seat>,
    active: BTreeSet<Seat>,
}

impl Service {
    /// Notes that `source` sends to a core; another compartment of its neuron must not.
    fn serve(&mut self, source: Seat, core: u32, owners: &Owners, net: &Net<Fixed>, differences: &mut Differences) {
        if owners.seats(source.cell) == 1 {
            return;
        }
        self.active.insert(source);
        let first = *self.servers.entry((source.cell, core)).or_insert(source);
        if first != source {
            let text = |seat| owners.place(seat).map_or_else(|| "no place".into(), place_text);
            differences.push(|| Difference {
                side: Side::Image,
                at: At { core: Some(core), pre: Some(name(net, source.cell)), ..At::default() },
                field: Field::Server,
                found: format!("{} and {}", text(first), text(source)).into(),
                expected: "one".into(),
            });
        }
    }

    /// A copy that serves no core is memory without meaning.
    fn unread(&self, owners: &Owners, net: &Net<Fixed>, differences: &mut Differences) {
        for (&cell, places) in &owners.copies {
            let active = |nth: usize| self.active.contains(&Seat { cell, nth: 1 + nth as u32 });
            for (_, place) in places.iter().enumerate().filter(|(nth, _)| !active(*nth)) {
                let at = || At { core: Some(place.core), compartment: Some(place.index), neuron: Some(name(net, cell)), ..At::default() };
                differences.push(|| Difference {
                    side: Side::Image,
                    at: at(),
                    field: Field::Server,
                    found: "a copy that serves no core".into(),
                    expected: "a use".into(),
                });
            }
        }
    }
}

/// What feeds each input axon of each core: every output axon and host input axon, followed to its end.
pub(crate) struct Feeds(Vec<Vec<Feed>>);

/// Follows every output axon and host input axon.
pub(crate) fn feeds(bundle: &Bundle, net: &Net<Fixed>, tables: &[CoreTables], owners: &Owners, differences: &mut Differences) -> Feeds {
    let mut feeds: Vec<Vec<Feed>> = tables.iter().map(|t| vec![Feed::Nobody; t.in_axons.len()]).collect();
    let position = |core: u32| tables.binary_search_by_key(&core, |t| t.core).ok();
    let mut service = Service::default();
    let mut feed = |source: Seat, place: Place, from: At, differences: &mut Differences| {
        let slot = position(place.core).and_then(|k| feeds[k].get_mut(place.index as usize));
        match slot {
            None => differences.push(|| Difference {
                side: if from.core.is_some() { Side::Image } else { Side::Host },
                at: from,
                field: Field::OutAxon,
                found: place_text(place).into(),
                expected: "an input axon of the image".into(),
            }),
            Some(slot @ Feed::Nobody) => {
                *slot = Feed::One(source);
                service.serve(source, place.core, owners, net, differences);
            }
            Some(slot) => {
                let same = matches!(slot, Feed::One(Seat { cell, .. }) | Feed::Twice(cell) if *cell == source.cell);
                *slot = if same { Feed::Twice(source.cell) } else { Feed::Many };
            }
        }
    };
    for (k, core) in tables.iter().enumerate() {
        let mut next = 0;
        for (index, c) in core.compartments.iter().enumerate() {
            let owner = owners.owner_at(k, index);
            let at =
                || At { core: Some(core.core), compartment: Some(index as u16), neuron: owner.map(|o| name(net, o.cell)), ..At::default() };
            let (start, end) = (c.out_axon_start as usize, c.out_axon_start as usize + c.out_axon_count as usize);
            // Compartments share the table out among them, in their order: no record is read twice, none is left over.
            differences.compare(Side::Image, Field::OutAxon, start, next, at);
            next = end;
            // A compartment without an owner is reported already; its axons have no source then.
            let (Some(source), Some(records)) = (owner, core.out_axons.get(start..end)) else { continue };
            for record in records {
                feed(source, Place { core: record.core, index: record.in_axon }, at(), differences);
            }
        }
        let at = || At { core: Some(core.core), item: Some("output axon table".into()), ..At::default() };
        differences.compare(Side::Image, Field::UnusedRecord, core.out_axons.len(), next, at);
    }
    let channels = channels(net);
    for (channel, places) in bundle.host.input_axons.iter().enumerate() {
        let cell = channels.get(channel).copied().flatten();
        for &place in places {
            match cell {
                Some(cell) => feed(Seat { cell, nth: 0 }, place, At { pre: Some(name(net, cell)), ..At::default() }, differences),
                None => differences.push(|| Difference {
                    side: Side::Host,
                    at: At { item: Some(format!("input channel {channel}")), ..At::default() },
                    field: Field::InAxonSource,
                    found: place_text(place).into(),
                    expected: Value::Absent,
                }),
            }
        }
    }
    service.unread(owners, net, differences);
    Feeds(feeds)
}

/// The synapses behind the input axons of some cores. The zeros that fill the gaps of dense entries (delay 0) are left out.
fn wires(
    net: &Net<Fixed>,
    tables: &[CoreTables],
    (owners, Feeds(feeds)): (&Owners, &Feeds),
    cores: Range<usize>,
    differences: &mut Differences,
) -> Wires {
    let mut all = Wires::default();
    for (k, core) in cores.clone().zip(&tables[cores]) {
        for (index, axon) in core.in_axons.iter().enumerate() {
            let at = || At { core: Some(core.core), in_axon: Some(index as u16), ..At::default() };
            let pre = match feeds[k][index] {
                Feed::One(pre) => pre.cell,
                other => {
                    let found = match other {
                        Feed::Twice(cell) if owners.seats(cell) > 1 => format!("more than one: {} twice", name(net, cell)),
                        Feed::Nobody => "none".into(),
                        _ => "more than one".into(),
                    };
                    differences.push(|| Difference {
                        side: Side::Image,
                        at: at(),
                        field: Field::InAxonSource,
                        found: found.into(),
                        expected: "one".into(),
                    });
                    continue;
                }
            };
            for entry in &core.list(*axon).entries {
                let Some(format) = core.formats.get(entry.format as usize) else { continue };
                for s in without_filler(format.compression, &entry.synapses) {
                    let compartment = axon.compartment(s);
                    let owner = if compartment < core.compartments.len() { owners.owner_at(k, compartment) } else { None };
                    match owner {
                        Some(post) => all.add(Wire { post, pre, delay: s.delay as i64, exponent: format.exponent, mantissa: s.mantissa }),
                        None => differences.push(|| Difference {
                            side: Side::Image,
                            at: At { compartment: Some(compartment.min(65535) as u16), pre: Some(name(net, pre)), ..at() },
                            field: Field::Synapse,
                            found: s.mantissa.into(),
                            expected: "a compartment with a neuron".into(),
                        }),
                    }
                }
            }
        }
    }
    all.sorted()
}

/// The synapses of an entry without the zeros that fill the gaps of a dense one. A zero at either end fills no gap: it is a synapse, and zeros between
/// it and the others may fill one.
fn without_filler(compression: Compression, synapses: &[StoredSynapse]) -> impl Iterator<Item = &StoredSynapse> {
    let dense = compression == Compression::Dense;
    let inner = 1..synapses.len().saturating_sub(1);
    synapses.iter().enumerate().filter(move |(k, s)| !(dense && (s.mantissa, s.delay) == (0, 0) && inner.contains(k))).map(|(_, s)| s)
}

/// Most synapses that the reference may have beside those of the image, in all and of a core, for them to be listed one by one.
const MISSING_LISTED: u64 = 1 << 24;

/// Synapses of the image and the reference that are listed at once, where no core alone has more.
const LISTED: u64 = 1 << 24;

/// Synapses of the reference for each core, and those of compartments that are on none.
fn declared(net: &Net<Fixed>, owners: &Owners) -> (Vec<u64>, u64) {
    let mut fan_in: Vec<Vec<u64>> = net.populations.iter().map(|p| vec![0; p.neurons().len()]).collect();
    for p in &net.projections {
        p.synapses.rows().for_each(|row| row.posts().for_each(|j| fan_in[p.post.index()][j as usize] += 1));
    }
    let (mut of_core, mut nowhere) = (vec![0; owners.cores.len()], 0);
    for (population, fan_in) in (0..).zip(&fan_in) {
        for (neuron, &n) in (0..).zip(fan_in) {
            let cell = Cell { population, neuron };
            for nth in 0..owners.seats(cell) {
                *owners.position(Seat { cell, nth }).map_or(&mut nowhere, |k| &mut of_core[k]) += n;
            }
        }
    }
    (of_core, nowhere)
}

/// Compares the synapses of the image, followed from their sources, with those of the reference, a few cores at a time; the number of the reference's.
/// `None`, with a difference, where the reference declares far more synapses than the image has: few bytes can, and a list of them would take more
/// memory than any bundle that holds them. `listed` are those of the image and the reference that are held at once, where no core alone has more.
pub(crate) fn compare_synapses_by(
    listed: u64,
    (net, target): (&Net<Fixed>, &Target),
    tables: &[CoreTables],
    (owners, feeds): (&Owners, &Feeds),
    differences: &mut Differences,
) -> Option<u64> {
    let stored: Vec<u64> =
        tables.iter().map(|t| t.lists.iter().map(|list| list.len() as u64).sum::<u64>().saturating_add(t.read_again())).collect();
    let all: u64 = stored.iter().sum();
    let refuse = |all: u64, declared: u64, core: Option<u32>, differences: &mut Differences| {
        let at = || At { core, ..At::default() };
        differences.push(|| Difference {
            side: Side::Image,
            at: at(),
            field: Field::Synapse,
            found: format!("{all} in all").into(),
            expected: format!("{declared} in all").into(),
        });
    };
    if net.synapse_count() as u64 > all + MISSING_LISTED {
        refuse(all, net.synapse_count() as u64, None, differences);
        return None;
    }
    let (wanted, nowhere) = declared(net, owners);
    let beyond = (0..tables.len()).find(|&k| wanted[k] > stored[k] + MISSING_LISTED);
    if let Some(k) = beyond {
        refuse(stored[k], wanted[k], Some(tables[k].core), differences);
        return None;
    }
    if nowhere > MISSING_LISTED {
        refuse(0, nowhere, None, differences);
        return None;
    }
    let (mut first, mut count) = (0, 0);
    loop {
        let (mut end, mut size) = (first, if first == 0 { nowhere } else { 0 });
        while end < tables.len() && (end == first || size + stored[end] + wanted[end] <= listed) {
            size += stored[end] + wanted[end];
            end += 1;
        }
        let whole = first == 0 && end == tables.len();
        let found = wires(net, tables, (owners, feeds), first..end, differences);
        // Compartments that are nowhere belong to the first cores.
        let here = |seat: Seat| whole || owners.position(seat).map_or(first == 0, |k| (first..end).contains(&k));
        let wanted = wanted_wires(net, target, owners, (first == 0, here), differences);
        compare_wires(net, owners, &found.acting, &wanted.acting, differences);
        compare_zeros(net, &found.zeros, &wanted.zeros, differences);
        count += wanted.acting.len() as u64;
        first = end;
        if first >= tables.len() {
            return Some(count);
        }
    }
}

/// [`compare_synapses_by`] as many as memory should hold at once.
pub(crate) fn compare_synapses(
    nets: (&Net<Fixed>, &Target),
    tables: &[CoreTables],
    places: (&Owners, &Feeds),
    differences: &mut Differences,
) -> Option<u64> {
    compare_synapses_by(LISTED, nets, tables, places, differences)
}

/// The synapses that the reference wants, for each compartment of the post neuron that is `here`. Reports chip delays shorter than the hop where asked.
fn wanted_wires(
    net: &Net<Fixed>,
    target: &Target,
    owners: &Owners,
    (report, here): (bool, impl Fn(Seat) -> bool),
    differences: &mut Differences,
) -> Wires {
    let mut all = Wires::default();
    for p in &net.projections {
        let from_input = net.population(p.pre).is_input();
        let hop = if from_input { *target.topology.input_hop_steps } else { *target.topology.neuron_hop_steps } as i64;
        for (pre, post, mantissa, d_net) in p.synapses.iter() {
            let (pre, post) = (Cell { population: p.pre.0, neuron: pre }, Cell { population: p.post.0, neuron: post });
            let d_chip = net.chip_delay(p, d_net);
            if report && d_chip < hop {
                let at = || At { pre: Some(name(net, pre)), neuron: Some(name(net, post)), item: Some(p.name.clone()), ..At::default() };
                differences.push(|| Difference {
                    side: Side::Network,
                    at: at(),
                    field: Field::ChipDelay,
                    found: d_chip.into(),
                    expected: format!("at least {hop}").into(),
                });
            }
            let seats = if owners.copies.is_empty() { 1 } else { owners.seats(post) };
            for seat in (0..seats).map(|nth| Seat { cell: post, nth }).filter(|&seat| here(seat)) {
                all.add(Wire { post: seat, pre, delay: d_chip - hop, exponent: p.format.exponent, mantissa });
            }
        }
    }
    all.sorted()
}

/// A stored zero that is no filler must be a synapse of the reference; one of the reference need not be stored.
fn compare_zeros(net: &Net<Fixed>, found: &[Wire], wanted: &[Wire], differences: &mut Differences) {
    let mut wanted = wanted.iter().peekable();
    for zero in found {
        while wanted.next_if(|w| *w < zero).is_some() {}
        if wanted.next_if(|w| *w == zero).is_none() {
            let at = || At { pre: Some(name(net, zero.pre)), neuron: Some(name(net, zero.post.cell)), ..At::default() };
            let found = format!("a stored zero, delay register {}", zero.delay);
            differences.push(|| Difference {
                side: Side::Image,
                at: at(),
                field: Field::Synapse,
                found: found.into(),
                expected: Value::Absent,
            });
        }
    }
}

/// Compares two sorted lists of synapses. Synapses of the same pair of neurons are matched in order, so that a changed weight is one
/// difference and not two.
fn compare_wires(net: &Net<Fixed>, owners: &Owners, found: &[Wire], wanted: &[Wire], differences: &mut Differences) {
    let pair = |w: &Wire| (w.post, w.pre);
    let (mut i, mut j) = (0, 0);
    while i < found.len() || j < wanted.len() {
        let next = match (found.get(i), wanted.get(j)) {
            (Some(a), Some(b)) => pair(a).min(pair(b)),
            (Some(a), None) => pair(a),
            (None, Some(b)) => pair(b),
            (None, None) => break,
        };
        let run = |wires: &[Wire], from: usize| wires[from..].iter().take_while(|w| pair(w) == next).count();
        let (a, b) = (run(found, i), run(wanted, j));
        let (left, right) = (&found[i..i + a], &wanted[j..j + b]);
        (i, j) = (i + a, j + b);
        if left == right {
            continue;
        }
        let (post, pre) = next;
        let place = owners.place(post);
        let at = || At {
            core: place.map(|p| p.core),
            compartment: place.map(|p| p.index),
            pre: Some(name(net, pre)),
            neuron: Some(name(net, post.cell)),
            ..At::default()
        };
        for k in 0..a.max(b) {
            match (left.get(k), right.get(k)) {
                (Some(l), Some(r)) => {
                    differences.compare(Side::Image, Field::DelayRegister, l.delay, r.delay, at);
                    differences.compare(Side::Image, Field::Exponent, l.exponent, r.exponent, at);
                    differences.compare(Side::Image, Field::Mantissa, l.mantissa, r.mantissa, at);
                }
                (l, r) => {
                    differences.compare(Side::Image, Field::Synapse, l.map(|w| w.mantissa), r.map(|w| w.mantissa), at);
                }
            }
        }
    }
}
