//! Limits that a core's tables must keep, asked by encoder and decoder alike.
//!
//! In: [`CoreTables`] and a checked target. Out: the first violation.
//! Invariant: tables that pass fit every field of [`crate::layout`] and every resource of the core (C01 to C13 and C15 of the
//! limits in docs/target-format.md), and every index in them points into its table.

use crate::codec_error::{CodecError, CodecProblem, Table};
use crate::cost;
use crate::image::*;
use crate::layout::{weight_field, width_code};
use crate::target::{Compression, Packed, Target};

fn at_most(resource: &'static str, need: usize, limit: u32) -> Result<(), CodecProblem> {
    let (need, limit) = (need as u64, u64::from(limit));
    if need <= limit { Ok(()) } else { Err(CodecProblem::TooMany { resource, need, limit }) }
}

fn within(field: &'static str, found: i64, min: i64, max: i64) -> Result<(), CodecProblem> {
    if (min..=max).contains(&found) { Ok(()) } else { Err(CodecProblem::Value { field, found, min, max }) }
}

/// An index into a table of `len` records.
fn index(field: &'static str, found: impl Into<i64>, len: usize) -> Result<(), CodecProblem> {
    within(field, found.into(), 0, len as i64 - 1)
}

/// The first limit that the tables break.
pub(crate) fn check_tables(t: &CoreTables, target: &Target) -> Result<(), CodecError> {
    let at = |table, record: usize| move |problem| CodecError { core: t.core, table, record: record as u32, problem };
    registers(t, target).map_err(at(Table::Registers, 0))?;
    for (i, f) in t.formats.iter().enumerate() {
        format(f, target).map_err(at(Table::Formats, i))?;
    }
    for (i, p) in t.compartment_profiles.iter().enumerate() {
        profile(p, target).map_err(at(Table::CompartmentProfiles, i))?;
    }
    let threshold_max = (1i64 << *target.packed().neuron.threshold_mantissa_bits) - 1;
    for (i, &threshold) in t.threshold_profiles.iter().enumerate() {
        within("mantissa", threshold.into(), 0, threshold_max).map_err(at(Table::ThresholdProfiles, i))?;
    }
    for (i, c) in t.compartments.iter().enumerate() {
        compartment(c, t, target).map_err(at(Table::Compartments, i))?;
    }
    let mut entries = 0u64;
    for (i, o) in t.out_axons.iter().enumerate() {
        entries += out_axon(o, t.core, target).map_err(at(Table::OutAxons, i))?;
    }
    let limit = u64::from(*target.packed().core.out_axon_entries);
    if entries > limit {
        let problem = CodecProblem::TooMany { resource: "output axon entries", need: entries, limit };
        return Err(at(Table::Registers, 0)(problem));
    }
    let mut words = 0;
    // (words, end of the indices) of the lists that are named so far.
    let mut known: Vec<(u32, usize)> = Vec::with_capacity(t.lists.len());
    for (i, axon) in t.in_axons.iter().enumerate() {
        if usize::from(axon.list) == known.len()
            && let Some(new) = t.lists.get(known.len())
        {
            let taken = list(new, t, target).map_err(at(Table::SynapseMemory, i))?;
            words += taken as usize;
            known.push((taken, new.synapses().map(|s| usize::from(s.index) + 1).max().unwrap_or(0)));
        } else {
            shared(axon, &known, target).map_err(at(Table::InAxons, i))?;
        }
        base(axon, known[usize::from(axon.list)].1, t, target).map_err(at(Table::InAxons, i))?;
    }
    if known.len() != t.lists.len() {
        let problem = CodecProblem::Value { field: "lists", found: t.lists.len() as i64, min: 0, max: known.len() as i64 };
        return Err(at(Table::Registers, 0)(problem));
    }
    at_most("synaptic words", words, *target.packed().synapse_memory.usable_words).map_err(at(Table::Registers, 0))?;
    budget(t, entries, words as u64, target.packed()).map_err(at(Table::Registers, 0))
}

/// Everything together keeps the budget of bytes (C27), where there is one. Profiles of compartments have been checked.
fn budget(t: &CoreTables, out_entries: u64, words: u64, packed: &Packed) -> Result<(), CodecProblem> {
    let Some(limit) = cost::budget(&packed.core) else { return Ok(()) };
    let need = cost::core_bytes(packed, &cost::Charged::of(t, out_entries, words, &packed.neuron));
    if need <= limit { Ok(()) } else { Err(CodecProblem::TooMany { resource: "bytes of the core's memory", need, limit }) }
}

fn registers(t: &CoreTables, target: &Target) -> Result<(), CodecProblem> {
    let Packed { core, synapse_memory: m, .. } = target.packed();
    index("core", t.core, target.total_cores() as usize)?;
    at_most("compartments", t.compartments.len(), *core.compartments)?;
    width_code("delay bits", &m.delay_bits, t.delay_bits, 0)?;
    let slots = cost::delay_slots(t.compartments.len() as u32, t.delay_bits);
    at_most("delay slots", slots as usize, *core.delay_slots_total)?;
    at_most("synapse formats", t.formats.len(), *m.max_formats)?;
    at_most("compartment profiles", t.compartment_profiles.len(), *core.compartment_profiles)?;
    at_most("threshold profiles", t.threshold_profiles.len(), *core.threshold_profiles)?;
    at_most("input axons", t.in_axons.len(), *core.in_axons)?;
    at_most("output axons", t.out_axons.len(), *core.out_axon_entries)
}

fn format(f: &SynapseFormat, target: &Target) -> Result<(), CodecProblem> {
    let Packed { synapse_memory: m, weights, .. } = target.packed();
    width_code("weight bits", &m.weight_bits, f.weight_bits, 1)?;
    width_code("index bits", &m.index_bits, f.index_bits, 1)?;
    width_code("delay bits", &m.delay_bits, f.delay_bits, 0)?;
    match f.compression {
        Compression::RunLength => width_code("skip bits", &m.skip_bits, f.skip_bits, 1).map(|_| ())?,
        Compression::Sparse | Compression::Dense => within("skip bits", f.skip_bits.into(), 0, 0)?,
    }
    if !m.compressions.contains(&f.compression) {
        return Err(CodecProblem::Unsupported { field: "compression", found: format!("{:?}", f.compression) });
    }
    if !weights.signs.contains(&f.sign) {
        return Err(CodecProblem::Unsupported { field: "sign", found: format!("{:?}", f.sign) });
    }
    within("exponent", f.exponent.into(), weights.exponent.0.into(), weights.exponent.1.into())
}

fn profile(p: &CompartmentProfile, target: &Target) -> Result<(), CodecProblem> {
    let n = &target.packed().neuron;
    let register_max = (1i64 << *n.decay_bits) - 1;
    let (u, v) = (i64::from(*n.u_decay_offset), i64::from(*n.v_decay_offset));
    within("decay of u", p.decay_u.into(), u, register_max + u)?;
    within("decay of v", p.decay_v.into(), v, register_max + v)?;
    within("refractory period", p.refractory.into(), n.refractory.0.into(), n.refractory.1.into())
}

fn compartment(c: &Compartment, t: &CoreTables, target: &Target) -> Result<(), CodecProblem> {
    let Packed { core, neuron, .. } = target.packed();
    index("profile", c.profile, t.compartment_profiles.len())?;
    index("threshold profile", c.threshold_profile, t.threshold_profiles.len())?;
    let mantissa_max = (1i64 << (*neuron.bias_mantissa_bits - 1)) - 1;
    within("bias mantissa", c.bias_mantissa.into(), -mantissa_max, mantissa_max)?;
    within("bias exponent", c.bias_exponent.into(), 0, (*neuron.bias_exponent_max).into())?;
    at_most("output axons of a neuron", c.out_axon_count.into(), *core.out_axons_per_neuron)?;
    let end = i64::from(c.out_axon_start) + i64::from(c.out_axon_count);
    within("end of the output axons", end, 0, t.out_axons.len() as i64)
}

/// Entries that an output axon takes.
fn out_axon(o: &OutAxon, core: u32, target: &Target) -> Result<u64, CodecProblem> {
    let p = &target.packed().core;
    index("core", o.core, target.total_cores() as usize)?;
    index("input axon", o.in_axon, *p.in_axons as usize)?;
    let chip = |core: u32| core / target.topology.cores_per_chip();
    Ok(cost::out_axon_entries(p, chip(o.core) != chip(core)).into())
}

/// A list that another axon named before, where the target lets axons share: empty ones have no words to share.
fn shared(axon: &InAxon, known: &[(u32, usize)], target: &Target) -> Result<(), CodecProblem> {
    let next = known.len() as i64;
    if i64::from(axon.list) >= next {
        // The next list would do, if there were one.
        let missing = i64::from(axon.list) == next;
        return Err(CodecProblem::Value { field: "list", found: axon.list.into(), min: 0, max: next - i64::from(missing) });
    }
    if *target.packed().synapse_memory.max_axon_base == 0 {
        return Err(CodecProblem::Unsupported { field: "list", found: "words that two input axons share".into() });
    }
    let words = i64::from(known[usize::from(axon.list)].0);
    within("words of a shared list", words, 1, i64::MAX)
}

/// The base is within the target's, and every synapse acts on a compartment: `end` is beyond the list's indices.
fn base(axon: &InAxon, end: usize, t: &CoreTables, target: &Target) -> Result<(), CodecProblem> {
    within("base", axon.base.into(), 0, (*target.packed().synapse_memory.max_axon_base).into())?;
    let last = (usize::from(axon.base) + end.max(1) - 1) as i64;
    if end == 0 { Ok(()) } else { within("base + index", last, 0, t.compartments.len() as i64 - 1) }
}

/// Words that a list takes.
fn list(list: &SynapseList, t: &CoreTables, target: &Target) -> Result<u32, CodecProblem> {
    let m = &target.packed().synapse_memory;
    let mut bits = 0;
    for e in &list.entries {
        index("format", e.format, t.formats.len())?;
        let f = &t.formats[usize::from(e.format)];
        entry(e, f, t, target)?;
        bits += cost::entry_bits(m, f, e.synapses.len() as u32);
    }
    let words = cost::words(m, bits);
    at_most("words of an input axon", words as usize, *m.max_words_per_axon)?;
    Ok(words)
}

fn entry(e: &SynapseEntry, f: &SynapseFormat, t: &CoreTables, target: &Target) -> Result<(), CodecProblem> {
    let Packed { synapse_memory: m, weights, .. } = target.packed();
    within("synapses of an entry", e.synapses.len() as i64, 1, (*m.max_synapses_per_entry).into())?;
    let delay_max = cost::delay_limit(f.delay_bits).min(cost::delay_limit(t.delay_bits)).min(*m.max_delay);
    for (i, s) in e.synapses.iter().enumerate() {
        index("index", s.index, t.compartments.len())?;
        if i == 0 || f.compression == Compression::Sparse {
            within("index", s.index.into(), 0, (1i64 << f.index_bits) - 1)?;
        }
        within("delay", s.delay.into(), 0, delay_max.into())?;
        weight_field(weights, f, s.mantissa)?;
    }
    for w in e.synapses.windows(2) {
        let (previous, found) = (w[0].index, w[1].index);
        let gap = i64::from(found) - i64::from(previous) - 1;
        let storable = match f.compression {
            Compression::Sparse => gap >= -1,
            Compression::RunLength => gap >= 0 && gap < 1i64 << f.skip_bits,
            Compression::Dense => gap == 0,
        };
        if !storable {
            return Err(CodecProblem::Order { compression: f.compression, previous, found });
        }
    }
    Ok(())
}
