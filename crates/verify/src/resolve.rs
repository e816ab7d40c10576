//! The image, resolved: bits into tables, tables into synapses between neurons.
//!
//! In: a bundle and its reference net. Out: every stored synapse as (pre neuron, post neuron, mantissa, exponent, delay
//! register), and the differences in compartments, axons and records. Invariant: nothing is read from the reference but
//! names and sizes; every record of every table must be used exactly as the chip would use it, so that no bit of the image is left unexplained.
//! Cost: linear in the stored synapses, and one sort.

use crate::difference::{At, Difference, Differences, Field, NeuronName, Side, Value};
use crate::image::VerifyError;
use spikec_chip::bundle::{Bundle, Place};
use spikec_chip::codec::{decode_core, encode_core};
use spikec_chip::cost;
use spikec_chip::image::{CoreImage, CoreTables, Image, StoredSynapse};
use spikec_chip::target::{Compression, Target};
use spikec_net::{Fixed, Net, Role};

/// A neuron or input channel of the reference net, by its index now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Cell {
    pub population: u32,
    pub neuron: u32,
}

/// A synapse, as the chip stores it or as the reference wants it. The order is the order of comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wire {
    pub post: Cell,
    pub pre: Cell,
    pub delay: i64,
    pub exponent: i8,
    pub mantissa: i16,
}

/// Decodes every core of the image; cores must ascend.
pub(crate) fn decode(bundle: &Bundle) -> Result<Vec<CoreTables>, VerifyError> {
    let Image::Packed(image) = &bundle.image;
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

/// The name of a cell.
pub(crate) fn name(net: &Net<Fixed>, cell: Cell) -> NeuronName {
    let p = &net.populations[cell.population as usize];
    NeuronName { population: cell.population, name: p.name.clone(), index: p.origin[cell.neuron as usize] }
}

/// Where neurons are, both ways.
pub(crate) struct Owners {
    cores: Vec<u32>,
    owners: Vec<Vec<Option<Cell>>>,
    /// Place of each neuron of each population; empty for inputs.
    pub places: Vec<Vec<Option<Place>>>,
}

impl Owners {
    /// Binds compartments to neurons through the symbols, and reports where that is no bijection.
    pub fn new(bundle: &Bundle, net: &Net<Fixed>, tables: &[CoreTables], differences: &mut Differences) -> Self {
        let mut all = Owners {
            cores: tables.iter().map(|t| t.core).collect(),
            owners: tables.iter().map(|t| vec![None; t.compartments.len()]).collect(),
            places: net.populations.iter().map(|p| vec![None; p.neurons().len()]).collect(),
        };
        for (k, (p, symbols)) in net.populations.iter().zip(&bundle.symbols.populations).enumerate() {
            let mut after = None;
            for &(index, place) in &symbols.neurons {
                let at = || At {
                    core: Some(place.core),
                    compartment: Some(place.index),
                    neuron: Some(NeuronName { population: k as u32, name: p.name.clone(), index }),
                    ..At::default()
                };
                let mut report = |found: Value, expected: Value| {
                    differences.push(|| Difference { side: Side::Symbols, at: at(), field: Field::Place, found, expected });
                };
                let neuron = if p.is_input() { None } else { p.origin.binary_search(&index).ok() };
                let Some(neuron) = neuron else {
                    report(place_text(place).into(), "no such neuron in the reference".into());
                    continue;
                };
                if after.is_some_and(|a| a >= index) {
                    report(index.into(), "indices as trained, ascending".into());
                }
                after = Some(index);
                let cell = Cell { population: k as u32, neuron: neuron as u32 };
                if let Some(other) = all.places[k][neuron] {
                    report(place_text(place).into(), place_text(other).into());
                    continue;
                }
                let Some(slot) = all.slot(place) else {
                    report(place_text(place).into(), "a compartment of the image".into());
                    continue;
                };
                if let Some(other) = *slot {
                    let other = name(net, other).to_string();
                    report(place_text(place).into(), format!("a compartment of its own ({other} is there)").into());
                    continue;
                }
                *slot = Some(cell);
                all.places[k][neuron] = Some(place);
            }
            for (neuron, place) in all.places[k].iter().enumerate() {
                if place.is_none() {
                    let cell = Cell { population: k as u32, neuron: neuron as u32 };
                    let at = || At { neuron: Some(name(net, cell)), ..At::default() };
                    differences.push(|| Difference {
                        side: Side::Symbols,
                        at: at(),
                        field: Field::Place,
                        found: Value::Absent,
                        expected: "a compartment".into(),
                    });
                }
            }
        }
        all
    }

    fn slot(&mut self, place: Place) -> Option<&mut Option<Cell>> {
        let k = self.cores.binary_search(&place.core).ok()?;
        self.owners[k].get_mut(place.index as usize)
    }

    /// The neuron at a place.
    pub fn owner(&self, place: Place) -> Option<Cell> {
        let k = self.cores.binary_search(&place.core).ok()?;
        self.owners[k].get(place.index as usize).copied().flatten()
    }

    /// The neuron at compartment `index` of the core at position `k`.
    fn owner_at(&self, k: usize, index: usize) -> Option<Cell> {
        self.owners[k][index]
    }
}

pub(crate) fn place_text(place: Place) -> String {
    format!("core {} index {}", place.core, place.index)
}

/// The population and index now of each spiking input channel, channels as trained in population order; `None` = removed.
pub(crate) fn channels(net: &Net<Fixed>) -> Vec<Option<Cell>> {
    let mut all = Vec::new();
    for (k, p) in net.populations.iter().enumerate() {
        if matches!(p.role, Role::SpikeInput) {
            let start = all.len();
            all.resize(start + p.trained_len(), None);
            for (neuron, &index) in p.origin.iter().enumerate() {
                all[start + index as usize] = Some(Cell { population: k as u32, neuron: neuron as u32 });
            }
        }
    }
    all
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
    One(Cell),
    Many,
}

/// Synapses that act, and zeros that are stored as synapses; both sorted.
#[derive(Default)]
pub(crate) struct Wires {
    pub acting: Vec<Wire>,
    pub zeros: Vec<Wire>,
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

/// Follows every output axon and host input axon to the synapses behind it. The zeros that fill the gaps of dense entries (delay 0) are
/// left out.
pub(crate) fn wires(bundle: &Bundle, net: &Net<Fixed>, tables: &[CoreTables], owners: &Owners, differences: &mut Differences) -> Wires {
    let mut feeds: Vec<Vec<Feed>> = tables.iter().map(|t| vec![Feed::Nobody; t.in_axons.len()]).collect();
    let position = |core: u32| tables.binary_search_by_key(&core, |t| t.core).ok();
    let mut feed = |source: Cell, place: Place, from: At, differences: &mut Differences| {
        let slot = position(place.core).and_then(|k| feeds[k].get_mut(place.index as usize));
        match slot {
            None => differences.push(|| Difference {
                side: if from.core.is_some() { Side::Image } else { Side::Host },
                at: from,
                field: Field::OutAxon,
                found: place_text(place).into(),
                expected: "an input axon of the image".into(),
            }),
            Some(slot @ Feed::Nobody) => *slot = Feed::One(source),
            Some(slot) => *slot = Feed::Many,
        }
    };
    for (k, core) in tables.iter().enumerate() {
        let mut next = 0;
        for (index, c) in core.compartments.iter().enumerate() {
            let owner = owners.owner_at(k, index);
            let at = || At { core: Some(core.core), compartment: Some(index as u16), neuron: owner.map(|o| name(net, o)), ..At::default() };
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
                Some(cell) => feed(cell, place, At { pre: Some(name(net, cell)), ..At::default() }, differences),
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
    let mut all = Wires::default();
    for (k, core) in tables.iter().enumerate() {
        for (index, axon) in core.in_axons.iter().enumerate() {
            let at = || At { core: Some(core.core), in_axon: Some(index as u16), ..At::default() };
            let pre = match feeds[k][index] {
                Feed::One(pre) => pre,
                other => {
                    let found = if matches!(other, Feed::Many) { "more than one" } else { "none" };
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
            for entry in &axon.entries {
                let Some(format) = core.formats.get(entry.format as usize) else { continue };
                for s in without_filler(format.compression, &entry.synapses) {
                    let owner =
                        if (s.compartment as usize) < core.compartments.len() { owners.owner_at(k, s.compartment as usize) } else { None };
                    match owner {
                        Some(post) => all.add(Wire { post, pre, delay: s.delay as i64, exponent: format.exponent, mantissa: s.mantissa }),
                        None => differences.push(|| Difference {
                            side: Side::Image,
                            at: At { compartment: Some(s.compartment), pre: Some(name(net, pre)), ..at() },
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

/// The synapses of an entry without the zeros that fill the gaps of a dense one. Zeros at its ends fill no gap.
fn without_filler(compression: Compression, synapses: &[StoredSynapse]) -> impl Iterator<Item = &StoredSynapse> {
    let blank = |s: &StoredSynapse| (s.mantissa, s.delay) == (0, 0);
    let first = synapses.iter().position(|s| !blank(s)).unwrap_or(synapses.len());
    let last = synapses.iter().rposition(|s| !blank(s)).unwrap_or(0);
    let dense = compression == Compression::Dense;
    synapses.iter().enumerate().filter(move |(k, s)| !(dense && blank(s) && (first..last).contains(k))).map(|(_, s)| s)
}

/// Every record is used.
fn records_used(core: u32, table: &'static str, uses: &[u64], differences: &mut Differences) {
    for (record, _) in uses.iter().enumerate().filter(|(_, uses)| **uses == 0) {
        differences.push(|| Difference {
            side: Side::Image,
            at: At { core: Some(core), item: Some(format!("{table} {record}")), ..At::default() },
            field: Field::UnusedRecord,
            found: "no use".into(),
            expected: "a use".into(),
        });
    }
}

/// No bit is left unexplained: the bits are what their tables encode to, every record is used, none is repeated, and the delay bits
/// are the fewest that hold the core's delays. (Limits of the target are the decoder's: what decodes, fits.)
pub(crate) fn check_records(bundle: &Bundle, tables: &[CoreTables], differences: &mut Differences) {
    let Image::Packed(image) = &bundle.image;
    for (bits, core) in image.cores.iter().zip(tables) {
        check_bits(bits, core, &bundle.target, differences);
        let mut formats = vec![0u64; core.formats.len()];
        let mut largest_delay = 0u32;
        for entry in core.in_axons.iter().flat_map(|a| &a.entries) {
            if let Some(uses) = formats.get_mut(entry.format as usize) {
                *uses += 1;
            }
            largest_delay = entry.synapses.iter().fold(largest_delay, |m, s| m.max(s.delay as u32));
        }
        records_used(core.core, "synapse format", &formats, differences);
        let mut profiles = vec![0u64; core.compartment_profiles.len()];
        let mut thresholds = vec![0u64; core.threshold_profiles.len()];
        for c in &core.compartments {
            if let Some(uses) = profiles.get_mut(c.profile as usize) {
                *uses += 1;
            }
            if let Some(uses) = thresholds.get_mut(c.threshold_profile as usize) {
                *uses += 1;
            }
        }
        records_used(core.core, "compartment profile", &profiles, differences);
        records_used(core.core, "threshold profile", &thresholds, differences);
        not_repeated(core.core, "synapse format", &core.formats, differences);
        not_repeated(core.core, "compartment profile", &core.compartment_profiles, differences);
        not_repeated(core.core, "threshold profile", &core.threshold_profiles, differences);
        let memory = &bundle.target.packed().synapse_memory;
        let wanted = cost::delay_bits(memory, largest_delay);
        let at = || At { core: Some(core.core), ..At::default() };
        differences.compare(Side::Image, Field::DelayBits, Some(core.delay_bits), wanted, at);
    }
}

fn check_bits(bits: &CoreImage, core: &CoreTables, target: &Target, differences: &mut Differences) {
    let mut report = |memory: &'static str, found: Value, expected: Value| {
        differences.push(|| Difference {
            side: Side::Image,
            at: At { core: Some(core.core), item: Some(memory.into()), ..At::default() },
            field: Field::UnreadBits,
            found,
            expected,
        });
    };
    let again = match encode_core(core, target) {
        Ok(again) => again,
        Err(e) => return report("decoded tables", e.to_string().into(), "tables that the codec encodes".into()),
    };
    let CoreImage {
        core: _,
        registers,
        synapse_memory,
        in_axons,
        formats,
        compartment_profiles,
        threshold_profiles,
        compartments,
        out_axons,
    } = bits;
    for (memory, found, expected) in [
        ("registers", registers, &again.registers),
        ("synapse memory", synapse_memory, &again.synapse_memory),
        ("input axon table", in_axons, &again.in_axons),
        ("format table", formats, &again.formats),
        ("compartment profile table", compartment_profiles, &again.compartment_profiles),
        ("threshold profile table", threshold_profiles, &again.threshold_profiles),
        ("compartment table", compartments, &again.compartments),
        ("output axon table", out_axons, &again.out_axons),
    ] {
        if found.len() != expected.len() {
            report(memory, format!("{} bits", found.len()).into(), format!("{} bits", expected.len()).into());
        } else if let Some(bit) = (0..found.len()).find(|&b| found[b] != expected[b]) {
            report(memory, format!("{} at bit {bit}", found[bit] as u8).into(), (expected[bit] as u8).into());
        }
    }
}

fn not_repeated<T: PartialEq>(core: u32, table: &'static str, records: &[T], differences: &mut Differences) {
    for (k, record) in records.iter().enumerate() {
        if let Some(first) = records[..k].iter().position(|r| r == record) {
            differences.push(|| Difference {
                side: Side::Image,
                at: At { core: Some(core), item: Some(format!("{table} {k}")), ..At::default() },
                field: Field::RepeatedRecord,
                found: format!("the same as {first}").into(),
                expected: "a record of its own".into(),
            });
        }
    }
}

/// The synapses that the reference wants. Reports chip delays shorter than the hop.
pub(crate) fn wanted_wires(net: &Net<Fixed>, target: &Target, differences: &mut Differences) -> Wires {
    let mut all = Wires::default();
    for p in &net.projections {
        let from_input = net.population(p.pre).is_input();
        let hop = if from_input { *target.topology.input_hop_steps } else { *target.topology.neuron_hop_steps } as i64;
        for (pre, post, mantissa, d_net) in p.synapses.iter() {
            let (pre, post) = (Cell { population: p.pre.0, neuron: pre }, Cell { population: p.post.0, neuron: post });
            let d_chip = net.chip_delay(p, d_net);
            if d_chip < hop {
                let at = || At { pre: Some(name(net, pre)), neuron: Some(name(net, post)), item: Some(p.name.clone()), ..At::default() };
                differences.push(|| Difference {
                    side: Side::Network,
                    at: at(),
                    field: Field::ChipDelay,
                    found: d_chip.into(),
                    expected: format!("at least {hop}").into(),
                });
            }
            all.add(Wire { post, pre, delay: d_chip - hop, exponent: p.format.exponent, mantissa });
        }
    }
    all.sorted()
}

/// A stored zero that is no filler must be a synapse of the reference; one of the reference need not be stored.
pub(crate) fn compare_zeros(net: &Net<Fixed>, found: &[Wire], wanted: &[Wire], differences: &mut Differences) {
    let mut wanted = wanted.iter().peekable();
    for zero in found {
        while wanted.next_if(|w| *w < zero).is_some() {}
        if wanted.next_if(|w| *w == zero).is_none() {
            let at = || At { pre: Some(name(net, zero.pre)), neuron: Some(name(net, zero.post)), ..At::default() };
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
pub(crate) fn compare_wires(net: &Net<Fixed>, owners: &Owners, found: &[Wire], wanted: &[Wire], differences: &mut Differences) {
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
        let place = owners.places[post.population as usize][post.neuron as usize];
        let at = || At {
            core: place.map(|p| p.core),
            compartment: place.map(|p| p.index),
            pre: Some(name(net, pre)),
            neuron: Some(name(net, post)),
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
