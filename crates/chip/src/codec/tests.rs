//! Tests of the codec: bits by hand, limits, round trips, damage.

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
        lists: vec![
            SynapseList {
                entries: vec![
                    SynapseEntry {
                        format: 0,
                        synapses: vec![
                            StoredSynapse { index: 1, mantissa: -6, delay: 5 },
                            StoredSynapse { index: 1, mantissa: 254, delay: 0 },
                        ],
                    },
                    SynapseEntry {
                        format: 1,
                        synapses: vec![
                            StoredSynapse { index: 0, mantissa: -240, delay: 0 },
                            StoredSynapse { index: 3, mantissa: -16, delay: 0 },
                        ],
                    },
                ],
            },
            SynapseList::default(),
        ],
        in_axons: vec![InAxon { list: 0, base: 0 }, InAxon { list: 1, base: 0 }],
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
    assert_eq!(image.in_axons, by_hand(&[(0, 14), (2, 9), (0, 8), (2, 14), (1, 9), (0, 8)]));
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
        (|t| t.in_axons = vec![t.in_axons[0]; 4097], Table::Registers, 0, "input axons"),
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
        (|t| t.lists[0].entries[1].format = 2, Table::SynapseMemory, 0, "format"),
        (|t| t.lists[0].entries[0].synapses.clear(), Table::SynapseMemory, 0, "synapses of an entry"),
        (|t| t.lists[0].entries[0].synapses[1].index = 0, Table::SynapseMemory, 0, "index 0 after 1"),
        (|t| t.lists[0].entries[1].synapses[1].index = 0, Table::SynapseMemory, 0, "index 0 after 0"),
        (|t| t.lists[0].entries[0].synapses[1].index = 4, Table::SynapseMemory, 0, "index"),
        (|t| t.in_axons[0].base = 1, Table::InAxons, 0, "base + index: found 4, expected 0 ..= 3"),
        (|t| t.in_axons[1].base = 256, Table::InAxons, 1, "base: found 256, expected 0 ..= 255"),
        (|t| t.in_axons[0].list = 1, Table::InAxons, 0, "list: found 1, expected 0 ..= 0"),
        (|t| t.in_axons.push(InAxon { list: 3, base: 0 }), Table::InAxons, 2, "list: found 3, expected 0 ..= 2"),
        (|t| t.in_axons.truncate(1), Table::Registers, 0, "lists"),
        (|t| t.lists[0].entries[0].synapses[0].delay = 7, Table::SynapseMemory, 0, "delay"),
        (|t| t.lists[0].entries[0].synapses[0].mantissa = 3, Table::SynapseMemory, 0, "mantissa 3 is no multiple of 2"),
        (|t| t.lists[0].entries[0].synapses[0].mantissa = 256, Table::SynapseMemory, 0, "mantissa: found 256, expected -256 ..= 254"),
        (|t| t.lists[0].entries[1].synapses[0].mantissa = 16, Table::SynapseMemory, 0, "mantissa: found 16, expected -240 ..= 0"),
        (|t| t.lists[1].entries = vec![t.lists[0].entries[0].clone(); 400], Table::SynapseMemory, 1, "words of an input axon"),
        (
            |t| {
                t.lists[1].entries = vec![t.lists[0].entries[0].clone(); 300];
                t.lists = vec![t.lists[1].clone(); 84];
                t.in_axons = (0..84).map(|list| InAxon { list, base: 0 }).collect()
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

/// Axons that share words: by hand, up to the largest base, and what only bits can break there.
#[test]
fn shared_lists_by_hand() {
    let target = loihi1();
    let mut tables = CoreTables { compartments: vec![small().compartments[0]; 300], ..small() };
    tables.in_axons = [(0, 0), (1, 7), (0, 255), (0, 3)].map(|(list, base)| InAxon { list, base }).to_vec();
    let image = encode_core(&tables, &target).unwrap();
    assert_eq!(image.synapse_memory, encode_core(&small(), &target).unwrap().synapse_memory);
    let words = words_of(&image.in_axons);
    let mut reader = BitReader::new(&words, 0..image.in_axons.len());
    let records: Vec<_> = (0..4).map(|_| [14, 9, 8].map(|width| reader.take(width).unwrap())).collect();
    assert_eq!(records, [[0, 2, 0], [2, 1, 7], [0, 2, 255], [0, 2, 3]]);
    assert_eq!(decode_core(&image, &target).unwrap(), tables);
    assert_eq!(tables.readers(), [3, 1]);
    // The middle of a list, and a list cut short.
    for (record, bit) in [(2, 0), (3, 14)] {
        let mut moved = image.clone();
        let at = record * 31 + bit;
        let other = !moved.in_axons[at];
        moved.in_axons.set(at, other);
        let error = decode_core(&moved, &target).unwrap_err();
        assert_eq!((error.table, error.record), (Table::InAxons, record as u32));
        assert!(matches!(error.problem, CodecProblem::Pointer { expected: 3, .. }), "{error}");
    }
    // The highest base reaches compartment 258; one compartment fewer, and it reaches none.
    tables.compartments.truncate(259);
    assert!(encode_core(&tables, &target).is_ok());
    tables.compartments.truncate(258);
    let error = encode_core(&tables, &target).unwrap_err();
    let problem = CodecProblem::Value { field: "base + index", found: 258, min: 0, max: 257 };
    assert_eq!((error.table, error.record, error.problem), (Table::InAxons, 2, problem));
    // A target without bases has no shared words.
    let mut bare = target;
    let p = bare.packed_mut();
    p.synapse_memory.max_axon_base.value = 0;
    assert_eq!(encode_core(&small(), &bare).unwrap().in_axons.len(), 2 * 23);
    let shared = CoreTables { in_axons: [0, 1, 0].map(|list| InAxon { list, base: 0 }).to_vec(), ..small() };
    let error = encode_core(&shared, &bare).unwrap_err();
    assert_eq!((error.table, error.record), (Table::InAxons, 2));
    assert!(matches!(error.problem, CodecProblem::Unsupported { field: "list", .. }), "{error}");
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
    moved.in_axons.set(31, true);
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

/// Entries that end at words, lists that end with their words: by hand, and what only bits can break there.
#[test]
fn aligned_entries_without_terminators() {
    let target = loihi1_nengo();
    let format = SynapseFormat { index_bits: 10, skip_bits: 0, delay_bits: 0, exponent: 0, ..small().formats[0] };
    let entry = |n: u16| SynapseEntry {
        format: 0,
        synapses: (0..n).map(|i| StoredSynapse { index: i % 4, mantissa: 2 * i as i16, delay: 0 }).collect(),
    };
    let (one, three, four) = (entry(1), entry(3), entry(4));
    let lists = [vec![], vec![one, three], vec![four], vec![]];
    let mut tables = CoreTables { delay_bits: 0, formats: vec![format], lists: vec![], in_axons: vec![], ..small() };
    for entries in lists {
        tables.push_axon(entries);
    }
    let image = encode_core(&tables, &target).unwrap();
    let mut bits = Bits::new();
    let mut put = |fields: &[(u64, usize)]| {
        for &(value, width) in fields {
            bits.extend((0..width).map(|i| i < 64 && value >> i & 1 == 1));
        }
    };
    put(&[(1, 3), (1, 7), (0, 8), (0, 10), (0, 64 - 28)]);
    put(&[(1, 3), (3, 7), (0, 8), (0, 10), (1, 8), (1, 10), (2, 8), (2, 10)]);
    put(&[(1, 3), (4, 7), (0, 8), (0, 10), (1, 8), (1, 10), (2, 8), (2, 10), (3, 8), (3, 10), (0, 128 - 82)]);
    assert_eq!(image.synapse_memory, bits);
    let records: Vec<(u64, u64, u64)> = {
        let words = words_of(&image.in_axons);
        let mut reader = BitReader::new(&words, 0..image.in_axons.len());
        (0..4).map(|_| (reader.take(15).unwrap(), reader.take(15).unwrap(), reader.take(8).unwrap())).collect()
    };
    assert_eq!(records, [(0, 0, 0), (0, 2, 0), (2, 2, 0), (4, 0, 0)]);
    assert_eq!(decode_core(&image, &target).unwrap(), tables);
    for bit in [28, 63, 128 + 82, 255] {
        let mut set = image.clone();
        set.synapse_memory.set(bit, true);
        let error = decode_core(&set, &target).unwrap_err();
        assert_eq!((error.table, error.problem), (Table::SynapseMemory, CodecProblem::Padding { bit: bit as u64 }));
    }
    // An entry without format id: the rest of its list is no zeros.
    let mut headless = image.clone();
    headless.synapse_memory.set(64, false);
    assert!(decode_core(&headless, &target).is_err());
    // A list without words is nobody's to share.
    let mut again = tables.clone();
    again.in_axons.push(InAxon { list: 0, base: 0 });
    let error = encode_core(&again, &target).unwrap_err();
    assert_eq!((error.table, error.record), (Table::InAxons, 4));
    assert!(error.to_string().contains("words of a shared list: found 0"), "{error}");
    // All of the memory, and an empty list where it ends.
    let mut full = tables.clone();
    (full.lists, full.in_axons) = (vec![], vec![]);
    full.push_axon(vec![entry(3); 16_384]);
    full.push_axon(vec![]);
    let image = encode_core(&full, &target).unwrap();
    assert_eq!(image.synapse_memory.len(), 1 << 20);
    assert_eq!(decode_core(&image, &target).unwrap(), full);
    full.lists[1].entries.push(entry(1));
    let problem = encode_core(&full, &target).unwrap_err().problem;
    assert_eq!(problem, CodecProblem::TooMany { resource: "synaptic words", need: 16_385, limit: 16_384 });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn tables_come_back(seed in any::<u64>(), size in 1usize..200, which in 0usize..4) {
        let target = targets()[which].clone();
        let tables = random_tables(seed, size, &target);
        let image = encode_core(&tables, &target).unwrap();
        prop_assert_eq!(decode_core(&image, &target).unwrap(), tables);
    }

    /// What decodes encodes to the same bits, whichever bits were flipped.
    #[test]
    fn flipped_bits_never_panic(seed in any::<u64>(), size in 1usize..40, which in 0usize..4, flips in 1usize..6) {
        let target = targets()[which].clone();
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
    fn random_bits_never_panic(seed in any::<u64>(), which in 0usize..4) {
        let target = targets()[which].clone();
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
