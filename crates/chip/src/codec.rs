//! A core's tables as bits, and back.
//!
//! In: [`CoreTables`] and a checked target, or a [`CoreImage`]. Out: the other.
//! Invariant: `decode_core(encode_core(t)) == t`, and whatever decodes encodes to the same bits. Decoding is total: hostile bits
//! give an error that names core, table and record, and memory grows only with the bits that are there.
//! Cost: linear in bits.
//! Why: docs/bundle-format.md is the law; widths come from [`crate::layout`], limits from [`crate::codec_check`].

use crate::bits::{BitReader, BitWriter, from_twos, to_twos};
use crate::codec_check::check_tables;
pub use crate::codec_error::{CodecError, CodecProblem, Table};
use crate::cost;
use crate::image::*;
use crate::layout::*;
use crate::target::{Compression, Packed, Target};

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
    for (i, axon) in tables.in_axons.iter().enumerate() {
        let start = memory.len();
        for entry in &axon.entries {
            write_entry(&mut memory, entry, tables, target).map_err(at(Table::SynapseMemory, i))?;
        }
        let words = cost::words(m, (memory.len() - start) as u64);
        memory.pad_to(start + words as usize * word_bits);
        in_axons.put((start / word_bits) as u64, l.word_pointer);
        in_axons.put(words.into(), l.axon_words);
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
        out.put(entry.synapses[0].compartment.into(), f.index_bits);
    }
    for (i, s) in entry.synapses.iter().enumerate() {
        out.put(weight_field(weights, f, s.mantissa)?, f.weight_bits);
        out.put(s.delay.into(), f.delay_bits);
        match f.compression {
            Compression::Sparse => out.put(s.compartment.into(), f.index_bits),
            Compression::RunLength => {
                let skip = entry.synapses.get(i + 1).map_or(0, |next| next.compartment - s.compartment - 1);
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
    let mut r = Fields(BitReader::new(&image.registers));
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
    let lists = records(&image.in_axons, in_axon_count, l.in_axon_record(), Table::InAxons, image.core, |r| {
        Ok((r.next(l.word_pointer)? as usize, r.next(l.axon_words)? as usize))
    })?;

    length(&image.synapse_memory, word_count, (*m.word_bits).into()).map_err(at(Table::SynapseMemory, 0))?;
    let mut in_axons = Vec::with_capacity(lists.len());
    let mut end = 0;
    for (i, &(pointer, words)) in lists.iter().enumerate() {
        let axon = read_list(image, pointer, words, end, word_count, &formats, target);
        in_axons.push(axon.map_err(|(table, problem)| at(table, i)(problem))?);
        end = pointer + words;
    }
    if end != word_count {
        let problem = CodecProblem::Words { found: word_count as u64, expected: end as u64 };
        return Err(at(Table::SynapseMemory, lists.len())(problem));
    }
    let tables =
        CoreTables { core: image.core, delay_bits, formats, in_axons, compartment_profiles, threshold_profiles, compartments, out_axons };
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
    let mut fields = Fields(BitReader::new(bits));
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

/// Reads the list of one input axon: `words` words from word `pointer`, which must be `expected`.
fn read_list(
    image: &CoreImage,
    pointer: usize,
    words: usize,
    expected: usize,
    word_count: usize,
    formats: &[SynapseFormat],
    target: &Target,
) -> Result<InAxon, (Table, CodecProblem)> {
    let m = &target.packed().synapse_memory;
    if pointer != expected {
        return Err((Table::InAxons, CodecProblem::Pointer { found: pointer as u64, expected: expected as u64 }));
    }
    if words == 0 || pointer + words > word_count {
        let found = words as i64;
        return Err((
            Table::InAxons,
            CodecProblem::Value { field: "words", found, min: 1, max: (word_count - pointer.min(word_count)) as i64 },
        ));
    }
    let word_bits = *m.word_bits as usize;
    let start = pointer * word_bits;
    let list = &image.synapse_memory[start..start + words * word_bits];
    let mut reader = BitReader::new(list);
    let mut axon = InAxon::default();
    let mut bits = 0;
    loop {
        match read_entry(&mut reader, formats, target) {
            Ok(Some(entry)) => axon.entries.push(entry),
            Ok(None) => break,
            Err(CodecProblem::Length { .. }) => {
                return Err((Table::SynapseMemory, CodecProblem::Unterminated { words: words as u64 }));
            }
            Err(problem) => return Err((Table::SynapseMemory, problem)),
        }
        bits = reader.at() as u64;
    }
    let taken = u64::from(cost::words(m, bits));
    if taken != words as u64 {
        return Err((Table::SynapseMemory, CodecProblem::Words { found: words as u64, expected: taken }));
    }
    match reader.first_one_left() {
        Some(bit) => Err((Table::SynapseMemory, CodecProblem::Padding { bit: (start + bit) as u64 })),
        None => Ok(axon),
    }
}

/// Reads one entry; `None` at the terminator.
fn read_entry(reader: &mut BitReader, formats: &[SynapseFormat], target: &Target) -> Result<Option<SynapseEntry>, CodecProblem> {
    let Packed { synapse_memory: m, weights, .. } = target.packed();
    let mut r = Fields(reader.clone());
    let id = r.next(*m.format_id_bits as u8)?;
    if id == 0 {
        *reader = r.0;
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
        let compartment = u16::try_from(next).map_err(|_| CodecProblem::Value {
            field: "compartment",
            found: next as i64,
            min: 0,
            max: u16::MAX.into(),
        })?;
        synapses.push(StoredSynapse { compartment, mantissa, delay });
        next += 1 + skip;
    }
    if skip != 0 {
        return Err(CodecProblem::Value { field: "skip of the last synapse", found: skip as i64, min: 0, max: 0 });
    }
    *reader = r.0;
    Ok(Some(SynapseEntry { format: (id - 1) as u8, synapses }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Sign;
    use crate::testing::*;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};

    fn small() -> CoreTables {
        CoreTables {
            core: 5,
            delay_bits: 3,
            formats: vec![
                SynapseFormat {
                    weight_bits: 8,
                    index_bits: 6,
                    skip_bits: 0,
                    delay_bits: 3,
                    compression: Compression::Sparse,
                    sign: Sign::Mixed,
                    exponent: -2,
                },
                SynapseFormat {
                    weight_bits: 4,
                    index_bits: 6,
                    skip_bits: 2,
                    delay_bits: 0,
                    compression: Compression::RunLength,
                    sign: Sign::Inhibitory,
                    exponent: 7,
                },
            ],
            in_axons: vec![
                InAxon {
                    entries: vec![
                        SynapseEntry {
                            format: 0,
                            synapses: vec![
                                StoredSynapse { compartment: 1, mantissa: -6, delay: 5 },
                                StoredSynapse { compartment: 1, mantissa: 254, delay: 0 },
                            ],
                        },
                        SynapseEntry {
                            format: 1,
                            synapses: vec![
                                StoredSynapse { compartment: 0, mantissa: -240, delay: 0 },
                                StoredSynapse { compartment: 3, mantissa: -16, delay: 0 },
                            ],
                        },
                    ],
                },
                InAxon::default(),
            ],
            compartment_profiles: vec![CompartmentProfile { decay_u: 4096, decay_v: 128, refractory: 2 }],
            threshold_profiles: vec![100, 131_071],
            compartments: (0..4)
                .map(|i| Compartment {
                    profile: 0,
                    threshold_profile: (i % 2) as u8,
                    bias_mantissa: -3 * i,
                    bias_exponent: 1,
                    out_axon_start: 0,
                    out_axon_count: i as u16 / 2,
                })
                .collect(),
            out_axons: vec![OutAxon { core: 7, in_axon: 300 }],
        }
    }

    /// The bits of a small core, written out by hand from docs/bundle-format.md.
    #[test]
    fn bits_by_hand() {
        let image = encode_core(&small(), &loihi1()).unwrap();
        let by_hand = |fields: &[(u64, u8)]| {
            let mut bits = Bits::new();
            for &(value, width) in fields {
                bits.extend((0..width).map(|i| value >> i & 1 == 1));
            }
            bits
        };
        assert_eq!(image.core, 5);
        assert_eq!(image.registers, by_hand(&[(4, 11), (1, 3), (2, 3), (1, 6), (2, 4), (2, 13), (1, 13), (3, 14)]));
        assert_eq!(image.in_axons, by_hand(&[(0, 14), (2, 9), (2, 14), (1, 9)]));
        assert_eq!(
            image.formats,
            by_hand(&[(7, 3), (1, 3), (0, 3), (1, 3), (0, 2), (1, 2), (14, 4), (4, 3), (1, 3), (1, 3), (0, 3), (1, 2), (3, 2), (7, 4),])
        );
        assert_eq!(image.compartment_profiles, by_hand(&[(4095, 12), (128, 12), (2, 6)]));
        assert_eq!(image.threshold_profiles, by_hand(&[(100, 17), (131_071, 17)]));
        assert_eq!(
            image.compartments,
            by_hand(&[
                (0, 5),
                (0, 3),
                (0, 13),
                (1, 3),
                (0, 13),
                (0, 9),
                (0, 5),
                (1, 3),
                (8192 - 3, 13),
                (1, 3),
                (0, 13),
                (0, 9),
                (0, 5),
                (0, 3),
                (8192 - 6, 13),
                (1, 3),
                (0, 13),
                (1, 9),
                (0, 5),
                (1, 3),
                (8192 - 9, 13),
                (1, 3),
                (0, 13),
                (1, 9),
            ])
        );
        assert_eq!(image.out_axons, by_hand(&[(7, 7), (300, 12)]));
        assert_eq!(
            image.synapse_memory,
            by_hand(&[
                (1, 4),
                (2, 6),
                (256 - 3, 8),
                (5, 3),
                (1, 6),
                (127, 8),
                (0, 3),
                (1, 6),
                (2, 4),
                (2, 6),
                (0, 6),
                (15, 4),
                (2, 2),
                (1, 4),
                (0, 2),
                (0, 128 - 72),
                (0, 64),
            ])
        );
        assert_eq!(decode_core(&image, &loihi1()).unwrap(), small());
    }

    /// Each change breaks one limit, and the error names its table and record.
    #[test]
    fn limits_are_named() {
        type Change = fn(&mut CoreTables);
        let cases: &[(Change, Table, u32, &str)] = &[
            (|t| t.core = 128, Table::Registers, 0, "core"),
            (|t| t.delay_bits = 2, Table::Registers, 0, "delay bits"),
            (|t| t.formats = vec![t.formats[0]; 8], Table::Registers, 0, "synapse formats"),
            (|t| t.compartments = vec![t.compartments[0]; 1025], Table::Registers, 0, "compartments"),
            (
                |t| {
                    t.compartments = vec![t.compartments[0]; 513];
                    t.delay_bits = 4
                },
                Table::Registers,
                0,
                "delay slots",
            ),
            (|t| t.in_axons = vec![InAxon::default(); 4097], Table::Registers, 0, "input axons"),
            (|t| t.out_axons = vec![t.out_axons[0]; 4097], Table::Registers, 0, "output axons"),
            (|t| t.threshold_profiles = vec![1; 9], Table::Registers, 0, "threshold profiles"),
            (|t| t.compartment_profiles = vec![t.compartment_profiles[0]; 33], Table::Registers, 0, "compartment profiles"),
            (|t| t.formats[1].weight_bits = 7, Table::Formats, 1, "weight bits"),
            (|t| t.formats[0].skip_bits = 2, Table::Formats, 0, "skip bits"),
            (|t| t.formats[0].exponent = -8, Table::Formats, 0, "exponent"),
            (|t| t.compartment_profiles[0].decay_u = 0, Table::CompartmentProfiles, 0, "decay of u"),
            (|t| t.compartment_profiles[0].decay_v = 4096, Table::CompartmentProfiles, 0, "decay of v"),
            (|t| t.compartment_profiles[0].refractory = 0, Table::CompartmentProfiles, 0, "refractory"),
            (|t| t.threshold_profiles[1] = 1 << 17, Table::ThresholdProfiles, 1, "mantissa"),
            (|t| t.compartments[2].profile = 1, Table::Compartments, 2, "profile"),
            (|t| t.compartments[3].threshold_profile = 2, Table::Compartments, 3, "threshold profile"),
            (|t| t.compartments[3].bias_mantissa = -4096, Table::Compartments, 3, "bias mantissa"),
            (|t| t.compartments[3].bias_exponent = 8, Table::Compartments, 3, "bias exponent"),
            (|t| t.compartments[3].out_axon_start = 1, Table::Compartments, 3, "output axons"),
            (|t| t.out_axons[0].core = 128, Table::OutAxons, 0, "core"),
            (|t| t.out_axons[0].in_axon = 4096, Table::OutAxons, 0, "input axon"),
            (|t| t.in_axons[0].entries[1].format = 2, Table::SynapseMemory, 0, "format"),
            (|t| t.in_axons[0].entries[0].synapses.clear(), Table::SynapseMemory, 0, "synapses of an entry"),
            (|t| t.in_axons[0].entries[0].synapses[1].compartment = 0, Table::SynapseMemory, 0, "compartment 0 after 1"),
            (|t| t.in_axons[0].entries[1].synapses[1].compartment = 0, Table::SynapseMemory, 0, "compartment 0 after 0"),
            (|t| t.in_axons[0].entries[0].synapses[1].compartment = 4, Table::SynapseMemory, 0, "compartment"),
            (|t| t.in_axons[0].entries[0].synapses[0].delay = 7, Table::SynapseMemory, 0, "delay"),
            (|t| t.in_axons[0].entries[0].synapses[0].mantissa = 3, Table::SynapseMemory, 0, "mantissa 3 is no multiple of 2"),
            (
                |t| t.in_axons[0].entries[0].synapses[0].mantissa = 256,
                Table::SynapseMemory,
                0,
                "mantissa: found 256, expected -256 ..= 254",
            ),
            (|t| t.in_axons[0].entries[1].synapses[0].mantissa = 16, Table::SynapseMemory, 0, "mantissa: found 16, expected -240 ..= 0"),
            (|t| t.in_axons[1].entries = vec![t.in_axons[0].entries[0].clone(); 400], Table::SynapseMemory, 1, "words of an input axon"),
            (
                |t| {
                    t.in_axons[1].entries = vec![t.in_axons[0].entries[0].clone(); 300];
                    t.in_axons = vec![t.in_axons[1].clone(); 84]
                },
                Table::Registers,
                0,
                "synaptic words",
            ),
        ];
        for (i, (change, table, record, text)) in cases.iter().enumerate() {
            let mut tables = small();
            change(&mut tables);
            let error = encode_core(&tables, &loihi1()).unwrap_err();
            assert_eq!((error.table, error.record), (*table, *record), "case {i}: {error}");
            assert!(error.to_string().contains(text), "case {i}: {error}");
            assert!(!error.hint().is_empty());
        }
    }

    #[test]
    fn off_chip_messages_take_more_entries() {
        let mut target = odd_target();
        let mut tables = CoreTables { core: 0, ..random_tables(1, 4, &target) };
        let there = target.topology.cores_per_chip();
        tables.out_axons = vec![OutAxon { core: there, in_axon: 0 }; 38];
        assert!(encode_core(&tables, &target).is_ok());
        tables.out_axons.push(OutAxon { core: there, in_axon: 0 });
        let error = encode_core(&tables, &target).unwrap_err();
        assert_eq!(error.problem, CodecProblem::TooMany { resource: "output axon entries", need: 78, limit: 77 });
        target.topology.width.value *= 2;
        assert!(encode_core(&tables, &target).is_ok());
    }

    /// Structure that only bits can break.
    #[test]
    fn damaged_lists_are_named() {
        let target = loihi1();
        let image = encode_core(&small(), &target).unwrap();
        let mut set = image.clone();
        set.synapse_memory.set(127, true);
        let error = decode_core(&set, &target).unwrap_err();
        assert_eq!((error.table, error.record, error.problem), (Table::SynapseMemory, 0, CodecProblem::Padding { bit: 127 }));
        let mut moved = image.clone();
        moved.in_axons.set(23, true);
        let error = decode_core(&moved, &target).unwrap_err();
        assert_eq!((error.table, error.record), (Table::InAxons, 1));
        assert_eq!(error.problem, CodecProblem::Pointer { found: 3, expected: 2 });
        let mut short = image.clone();
        short.synapse_memory.truncate(128);
        assert_eq!(decode_core(&short, &target).unwrap_err().problem, CodecProblem::Length { found: 128, expected: 192 });
        let mut open = image;
        open.synapse_memory.fill(true);
        assert!(decode_core(&open, &target).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn tables_come_back(seed in any::<u64>(), size in 1usize..200, odd in any::<bool>()) {
            let target = if odd { odd_target() } else { loihi1() };
            let tables = random_tables(seed, size, &target);
            let image = encode_core(&tables, &target).unwrap();
            prop_assert_eq!(decode_core(&image, &target).unwrap(), tables);
        }

        /// What decodes encodes to the same bits, whichever bits were flipped.
        #[test]
        fn flipped_bits_never_panic(seed in any::<u64>(), size in 1usize..40, odd in any::<bool>(), flips in 1usize..6) {
            let target = if odd { odd_target() } else { loihi1() };
            let mut image = encode_core(&random_tables(seed, size, &target), &target).unwrap();
            let rng = &mut rand::rngs::StdRng::seed_from_u64(!seed);
            for _ in 0..flips {
                let tables = [
                    &mut image.registers, &mut image.synapse_memory, &mut image.in_axons, &mut image.formats,
                    &mut image.compartment_profiles, &mut image.threshold_profiles, &mut image.compartments, &mut image.out_axons,
                ];
                let table = tables.into_iter().nth(rng.random_range(0..8)).unwrap();
                if !table.is_empty() {
                    let at = rng.random_range(0..table.len());
                    let bit = !table[at];
                    table.set(at, bit);
                }
            }
            if let Ok(tables) = decode_core(&image, &target) {
                prop_assert_eq!(encode_core(&tables, &target).unwrap(), image);
            }
        }

        /// Random bits of the right lengths, so that decoding gets as deep as it can.
        #[test]
        fn random_bits_never_panic(seed in any::<u64>(), odd in any::<bool>()) {
            let target = if odd { odd_target() } else { loihi1() };
            let rng = &mut rand::rngs::StdRng::seed_from_u64(seed);
            let mut image = encode_core(&random_tables(seed, 30, &target), &target).unwrap();
            for table in [&mut image.synapse_memory, &mut image.formats, &mut image.compartments] {
                let density = rng.random_range(0.0..1.0);
                for mut bit in table.iter_mut() {
                    *bit = rng.random_bool(density);
                }
            }
            if let Ok(tables) = decode_core(&image, &target) {
                prop_assert_eq!(encode_core(&tables, &target).unwrap(), image.clone());
            }
            image.registers.fill(true);
            prop_assert!(decode_core(&image, &target).is_err());
        }
    }
}
