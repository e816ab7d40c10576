//! A core's tables as bits, and back.
//!
//! In: [`CoreTables`] and a checked target, or a [`CoreImage`]. Out: the other.
//! Invariant: `decode_core(encode_core(t)) == t`, and whatever decodes encodes to the same bits. Decoding is total: hostile bits
//! give an error that names core, table and record, and memory grows only with the bits that are there.
//! Cost: linear in bits.
//! Why: docs/bundle-format.md is the law; widths come from [`crate::layout`], limits from [`crate::codec_check`].

use crate::bits::{BitReader, BitWriter, from_twos, to_twos, words_of};
use crate::codec_check::check_tables;
pub use crate::codec_error::{CodecError, CodecProblem, Table};
use crate::cost;
use crate::image::*;
use crate::layout::*;
use crate::target::{Compression, Packed, Target};
use std::ops::RangeInclusive;

/// Encodes a core's tables. The target must have passed [`Target::check`].
///
/// Errors: the first value that the target can't hold.
pub fn encode_core(tables: &CoreTables, target: &Target) -> Result<CoreImage, CodecError> {
    check_tables(tables, target)?;
    let at = |table, record: usize| move |problem| CodecError { core: tables.core, table, record: record as u32, problem };
    let l = Layout::new(target);
    let Packed { synapse_memory: m, neuron, .. } = target.packed();

    let mut formats = BitWriter::default();
    for (i, f) in tables.formats.iter().enumerate() {
        write_format(&mut formats, f, target, &l).map_err(at(Table::Formats, i))?;
    }
    let mut memory = BitWriter::default();
    let mut in_axons = BitWriter::default();
    let word_bits = *m.word_bits as usize;
    let mut written: Vec<(usize, u32)> = Vec::with_capacity(tables.lists.len());
    for (i, axon) in tables.in_axons.iter().enumerate() {
        // Lists are named in their order: one that isn't written yet is the next.
        if usize::from(axon.list) == written.len() {
            let start = memory.len();
            for entry in &tables.list(*axon).entries {
                write_entry(&mut memory, entry, tables, target).map_err(at(Table::SynapseMemory, i))?;
                memory.pad_to(start + cost::aligned(m, (memory.len() - start) as u64) as usize);
            }
            let words = cost::words(m, (memory.len() - start) as u64);
            memory.pad_to(start + words as usize * word_bits);
            written.push((start / word_bits, words));
        }
        let (pointer, words) = written[usize::from(axon.list)];
        in_axons.put(pointer as u64, l.word_pointer);
        in_axons.put(words.into(), l.axon_words);
        in_axons.put(axon.base.into(), l.axon_base);
    }
    let mut compartment_profiles = BitWriter::default();
    for p in &tables.compartment_profiles {
        compartment_profiles.put((p.decay_u - *neuron.u_decay_offset).into(), l.decay);
        compartment_profiles.put((p.decay_v - *neuron.v_decay_offset).into(), l.decay);
        compartment_profiles.put(p.refractory.into(), l.refractory);
    }
    let mut threshold_profiles = BitWriter::default();
    for &threshold in &tables.threshold_profiles {
        threshold_profiles.put(threshold.into(), l.threshold);
    }
    let mut compartments = BitWriter::default();
    for c in &tables.compartments {
        compartments.put(c.profile.into(), l.compartment_profile);
        compartments.put(c.threshold_profile.into(), l.threshold_profile);
        compartments.put(to_twos(c.bias_mantissa.into(), l.bias_mantissa), l.bias_mantissa);
        compartments.put(c.bias_exponent.into(), l.bias_exponent);
        compartments.put(c.out_axon_start.into(), l.out_axon_start);
        compartments.put(c.out_axon_count.into(), l.neuron_out_axons);
    }
    let mut out_axons = BitWriter::default();
    for o in &tables.out_axons {
        out_axons.put(o.core.into(), l.core);
        out_axons.put(o.in_axon.into(), l.in_axon);
    }
    let mut registers = BitWriter::default();
    registers.put(tables.compartments.len() as u64, l.compartment_count);
    let delay = width_code("delay bits", &m.delay_bits, tables.delay_bits, 0).map_err(at(Table::Registers, 0))?;
    registers.put(delay, l.delay_code);
    registers.put(tables.formats.len() as u64, l.format_count);
    registers.put(tables.compartment_profiles.len() as u64, l.compartment_profile_count);
    registers.put(tables.threshold_profiles.len() as u64, l.threshold_profile_count);
    registers.put(tables.in_axons.len() as u64, l.in_axon_count);
    registers.put(tables.out_axons.len() as u64, l.out_axon_count);
    registers.put((memory.len() / word_bits) as u64, l.word_count);

    Ok(CoreImage {
        core: tables.core,
        registers: registers.finish(),
        synapse_memory: memory.finish(),
        in_axons: in_axons.finish(),
        formats: formats.finish(),
        compartment_profiles: compartment_profiles.finish(),
        threshold_profiles: threshold_profiles.finish(),
        compartments: compartments.finish(),
        out_axons: out_axons.finish(),
    })
}

fn write_format(out: &mut BitWriter, f: &SynapseFormat, target: &Target, l: &Layout) -> Result<(), CodecProblem> {
    let m = &target.packed().synapse_memory;
    out.put(width_code("weight bits", &m.weight_bits, f.weight_bits, 1)?, l.weight_code);
    out.put(width_code("index bits", &m.index_bits, f.index_bits, 1)?, l.index_code);
    let skip = if f.skip_bits == 0 { 0 } else { width_code("skip bits", &m.skip_bits, f.skip_bits, 1)? };
    out.put(skip, l.skip_code);
    out.put(width_code("delay bits", &m.delay_bits, f.delay_bits, 0)?, l.delay_code);
    out.put(compression_code(f.compression), KIND_BITS);
    out.put(sign_code(f.sign), KIND_BITS);
    out.put(to_twos(f.exponent.into(), l.exponent), l.exponent);
    Ok(())
}

fn write_entry(out: &mut BitWriter, entry: &SynapseEntry, tables: &CoreTables, target: &Target) -> Result<(), CodecProblem> {
    let Packed { synapse_memory: m, weights, .. } = target.packed();
    let f = &tables.formats[usize::from(entry.format)];
    out.put(u64::from(entry.format) + 1, *m.format_id_bits as u8);
    out.put(entry.synapses.len() as u64, *m.count_bits as u8);
    if f.compression != Compression::Sparse {
        out.put(entry.synapses[0].index.into(), f.index_bits);
    }
    for (i, s) in entry.synapses.iter().enumerate() {
        out.put(weight_field(weights, f, s.mantissa)?, f.weight_bits);
        out.put(s.delay.into(), f.delay_bits);
        match f.compression {
            Compression::Sparse => out.put(s.index.into(), f.index_bits),
            Compression::RunLength => {
                let skip = entry.synapses.get(i + 1).map_or(0, |next| next.index - s.index - 1);
                out.put(skip.into(), f.skip_bits);
            }
            Compression::Dense => {}
        }
    }
    Ok(())
}

/// Decodes a core's bits. The target must have passed [`Target::check`].
///
/// Errors: the first record that isn't as docs/bundle-format.md says. Never panics.
pub fn decode_core(image: &CoreImage, target: &Target) -> Result<CoreTables, CodecError> {
    let l = Layout::new(target);
    let Packed { core, synapse_memory: m, neuron, .. } = target.packed();
    let at = |table, record: usize| move |problem| CodecError { core: image.core, table, record: record as u32, problem };

    length(&image.registers, 1, l.registers()).map_err(at(Table::Registers, 0))?;
    let register_words = words_of(&image.registers);
    let mut r = Fields(BitReader::new(&register_words, 0..image.registers.len()));
    let compartment_count = r.count("compartments", l.compartment_count, *core.compartments).map_err(at(Table::Registers, 0))?;
    let delay_bits = r.next(l.delay_code).and_then(|c| width_of("delay bits", &m.delay_bits, c, 0)).map_err(at(Table::Registers, 0))?;
    let format_count = r.count("synapse formats", l.format_count, *m.max_formats).map_err(at(Table::Registers, 0))?;
    let profile_count =
        r.count("compartment profiles", l.compartment_profile_count, *core.compartment_profiles).map_err(at(Table::Registers, 0))?;
    let threshold_count =
        r.count("threshold profiles", l.threshold_profile_count, *core.threshold_profiles).map_err(at(Table::Registers, 0))?;
    let in_axon_count = r.count("input axons", l.in_axon_count, *core.in_axons).map_err(at(Table::Registers, 0))?;
    let out_axon_count = r.count("output axons", l.out_axon_count, *core.out_axon_entries).map_err(at(Table::Registers, 0))?;
    let word_count = r.count("synaptic words", l.word_count, *m.usable_words).map_err(at(Table::Registers, 0))?;

    let formats = records(&image.formats, format_count, l.format_record(), Table::Formats, image.core, |r| read_format(r, target, &l))?;
    let compartment_profiles =
        records(&image.compartment_profiles, profile_count, l.compartment_profile_record(), Table::CompartmentProfiles, image.core, |r| {
            Ok(CompartmentProfile {
                decay_u: r.next(l.decay)? as u16 + *neuron.u_decay_offset,
                decay_v: r.next(l.decay)? as u16 + *neuron.v_decay_offset,
                refractory: r.next(l.refractory)? as u8,
            })
        })?;
    let threshold_profiles =
        records(&image.threshold_profiles, threshold_count, l.threshold.into(), Table::ThresholdProfiles, image.core, |r| {
            Ok(r.next(l.threshold)? as u32)
        })?;
    let compartments = records(&image.compartments, compartment_count, l.compartment_record(), Table::Compartments, image.core, |r| {
        Ok(Compartment {
            profile: r.next(l.compartment_profile)? as u8,
            threshold_profile: r.next(l.threshold_profile)? as u8,
            bias_mantissa: from_twos(r.next(l.bias_mantissa)?, l.bias_mantissa) as i16,
            bias_exponent: r.next(l.bias_exponent)? as u8,
            out_axon_start: r.next(l.out_axon_start)? as u16,
            out_axon_count: r.next(l.neuron_out_axons)? as u16,
        })
    })?;
    let out_axons = records(&image.out_axons, out_axon_count, l.out_axon_record(), Table::OutAxons, image.core, |r| {
        Ok(OutAxon { core: r.next(l.core)? as u32, in_axon: r.next(l.in_axon)? as u16 })
    })?;
    let axons = records(&image.in_axons, in_axon_count, l.in_axon_record(), Table::InAxons, image.core, |r| {
        Ok((r.next(l.word_pointer)? as usize, r.next(l.axon_words)? as usize, r.next(l.axon_base)? as u16))
    })?;

    length(&image.synapse_memory, word_count, (*m.word_bits).into()).map_err(at(Table::SynapseMemory, 0))?;
    let memory = words_of(&image.synapse_memory);
    let mut in_axons = Vec::with_capacity(axons.len());
    let mut lists: Vec<SynapseList> = Vec::new();
    // (first word, words) of the lists so far, ascending.
    let mut read: Vec<(usize, usize)> = Vec::new();
    let mut end = 0;
    for (i, &(pointer, words, base)) in axons.iter().enumerate() {
        // A pointer into what is read already is that of a list before; an empty list is never shared.
        if pointer < end
            && *m.max_axon_base > 0
            && let Ok(list) = read.binary_search(&(pointer, words))
        {
            in_axons.push(InAxon { list: list as u16, base });
            continue;
        }
        check_list(pointer, words, cost::words(m, 0) as usize..=word_count.saturating_sub(pointer), end).map_err(at(Table::InAxons, i))?;
        end = pointer + words;
        let word_bits = *m.word_bits as usize;
        let reader = BitReader::new(&memory, pointer * word_bits..end * word_bits);
        in_axons.push(InAxon { list: lists.len() as u16, base });
        lists.push(read_list(Fields(reader), words, &formats, target).map_err(at(Table::SynapseMemory, i))?);
        read.push((pointer, words));
    }
    if end != word_count {
        let problem = CodecProblem::Words { found: word_count as u64, expected: end as u64 };
        return Err(at(Table::Registers, 0)(problem));
    }
    let tables = CoreTables {
        core: image.core,
        delay_bits,
        formats,
        lists,
        in_axons,
        compartment_profiles,
        threshold_profiles,
        compartments,
        out_axons,
    };
    check_tables(&tables, target)?;
    Ok(tables)
}

/// Reads fields; running out of bits is an error.
struct Fields<'a>(BitReader<'a>);

impl Fields<'_> {
    fn next(&mut self, width: u8) -> Result<u64, CodecProblem> {
        let expected = self.0.at() as u64 + u64::from(width);
        self.0.take(width).ok_or(CodecProblem::Length { found: self.0.at() as u64, expected })
    }

    fn count(&mut self, field: &'static str, width: u8, limit: u32) -> Result<usize, CodecProblem> {
        let found = self.next(width)?;
        if found > u64::from(limit) {
            return Err(CodecProblem::TooMany { resource: field, need: found, limit: limit.into() });
        }
        Ok(found as usize)
    }
}

fn length(bits: &Bits, records: usize, record_bits: u64) -> Result<(), CodecProblem> {
    let (found, expected) = (bits.len() as u64, records as u64 * record_bits);
    if found == expected { Ok(()) } else { Err(CodecProblem::Length { found, expected }) }
}

/// Reads a table of equal records.
fn records<T>(
    bits: &Bits,
    count: usize,
    record_bits: u64,
    table: Table,
    core: u32,
    read: impl Fn(&mut Fields) -> Result<T, CodecProblem>,
) -> Result<Vec<T>, CodecError> {
    length(bits, count, record_bits).map_err(|problem| CodecError { core, table, record: 0, problem })?;
    let words = words_of(bits);
    let mut fields = Fields(BitReader::new(&words, 0..bits.len()));
    (0..count).map(|i| read(&mut fields).map_err(|problem| CodecError { core, table, record: i as u32, problem })).collect()
}

fn read_format(r: &mut Fields, target: &Target, l: &Layout) -> Result<SynapseFormat, CodecProblem> {
    let m = &target.packed().synapse_memory;
    let weight_bits = width_of("weight bits", &m.weight_bits, r.next(l.weight_code)?, 1)?;
    let index_bits = width_of("index bits", &m.index_bits, r.next(l.index_code)?, 1)?;
    let skip_bits = match r.next(l.skip_code)? {
        0 => 0,
        code => width_of("skip bits", &m.skip_bits, code, 1)?,
    };
    Ok(SynapseFormat {
        weight_bits,
        index_bits,
        skip_bits,
        delay_bits: width_of("delay bits", &m.delay_bits, r.next(l.delay_code)?, 0)?,
        compression: compression_of(r.next(KIND_BITS)?)?,
        sign: sign_of(r.next(KIND_BITS)?)?,
        exponent: from_twos(r.next(l.exponent)?, l.exponent) as i8,
    })
}

/// A list of `words` words at word `pointer`, where `expected` is the end of the list before and `allowed` are its possible lengths.
fn check_list(pointer: usize, words: usize, allowed: RangeInclusive<usize>, expected: usize) -> Result<(), CodecProblem> {
    if pointer != expected {
        return Err(CodecProblem::Pointer { found: pointer as u64, expected: expected as u64 });
    }
    if !allowed.contains(&words) {
        return Err(CodecProblem::Value { field: "words", found: words as i64, min: *allowed.start() as i64, max: *allowed.end() as i64 });
    }
    Ok(())
}

/// Reads a list, `words` words long.
fn read_list(mut r: Fields, words: usize, formats: &[SynapseFormat], target: &Target) -> Result<SynapseList, CodecProblem> {
    let m = &target.packed().synapse_memory;
    let start = r.0.at();
    let mut list = SynapseList::default();
    let mut end = start;
    // Without terminators a list also ends where no format id fits any more.
    while *m.terminator_min_free_bits > 0 || r.0.left() >= *m.format_id_bits as usize {
        match read_entry(&mut r, formats, target) {
            Ok(Some(entry)) => list.entries.push(entry),
            Ok(None) => break,
            Err(CodecProblem::Length { .. }) => return Err(CodecProblem::Unterminated { words: words as u64 }),
            Err(problem) => return Err(problem),
        }
        end = start + cost::aligned(m, (r.0.at() - start) as u64) as usize;
        if let Some(bit) = r.0.pass_zeros(end) {
            return Err(CodecProblem::Padding { bit: bit as u64 });
        }
    }
    let taken = u64::from(cost::words(m, (end - start) as u64));
    if taken != words as u64 {
        return Err(CodecProblem::Words { found: words as u64, expected: taken });
    }
    match r.0.first_one_left() {
        Some(bit) => Err(CodecProblem::Padding { bit: bit as u64 }),
        None => Ok(list),
    }
}

/// Reads one entry; `None` at the terminator.
fn read_entry(r: &mut Fields, formats: &[SynapseFormat], target: &Target) -> Result<Option<SynapseEntry>, CodecProblem> {
    let Packed { synapse_memory: m, weights, .. } = target.packed();
    let id = r.next(*m.format_id_bits as u8)?;
    if id == 0 {
        return Ok(None);
    }
    let f = formats.get(id as usize - 1).ok_or(CodecProblem::Value {
        field: "format id",
        found: id as i64,
        min: 0,
        max: formats.len() as i64,
    })?;
    let count = r.next(*m.count_bits as u8)?;
    let mut next = if f.compression == Compression::Sparse { 0 } else { r.next(f.index_bits)? };
    let mut synapses = Vec::with_capacity(count as usize);
    let mut skip = 0;
    for _ in 0..count {
        let mantissa = mantissa_of(weights, f, r.next(f.weight_bits)?);
        let delay = r.next(f.delay_bits)? as u8;
        match f.compression {
            Compression::Sparse => next = r.next(f.index_bits)?,
            Compression::RunLength => skip = r.next(f.skip_bits)?,
            Compression::Dense => {}
        }
        let index =
            u16::try_from(next).map_err(|_| CodecProblem::Value { field: "index", found: next as i64, min: 0, max: u16::MAX.into() })?;
        synapses.push(StoredSynapse { index, mantissa, delay });
        next += 1 + skip;
    }
    if skip != 0 {
        return Err(CodecProblem::Value { field: "skip of the last synapse", found: skip as i64, min: 0, max: 0 });
    }
    Ok(Some(SynapseEntry { format: (id - 1) as u8, synapses }))
}

#[cfg(test)]
mod tests;
