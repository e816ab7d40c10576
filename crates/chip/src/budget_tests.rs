//! One budget of bytes for all that a core holds: what targets may say of it, and that codec and sum agree.

use crate::codec::{CodecProblem, decode_core, encode_core};
use crate::cost::{self, Charged};
use crate::image::CoreTables;
use crate::target::{PackedCore, Target};
use crate::target_file::find;
use crate::testing::{loihi1, random_tables};
use proptest::prelude::*;

fn loihi2() -> Target {
    find("loihi2").unwrap()
}

/// Charges of a core, in the order of the keys.
fn charges(core: &mut PackedCore) -> [&mut u32; 6] {
    [
        &mut core.program_bytes.value,
        &mut core.neuron_bytes.value,
        &mut core.current_bytes.value,
        &mut core.delay_slot_bytes.value,
        &mut core.in_axon_bytes.value,
        &mut core.out_axon_entry_bytes.value,
    ]
}

/// Findings of a changed target: keys and texts.
fn findings(mut target: Target, change: impl FnOnce(&mut Target)) -> Vec<(String, String)> {
    change(&mut target);
    target.check().into_iter().map(|f| (f.key.clone(), f.to_string())).collect()
}

#[test]
fn a_sum_counted_by_hand() {
    let mut target = loihi1();
    let core = &mut target.packed_mut().core;
    core.core_bytes.value = 1 << 20;
    charges(core).into_iter().zip([100, 7, 3, 2, 5, 11]).for_each(|(bytes, value)| *bytes = value);
    let charged = Charged { compartments: 10, currents: 4, delay_bits: 3, in_axons: 6, out_entries: 9, words: 20 };
    // The program, 10 neurons, 4 currents, 10 * 8 slots, 6 axons, 9 entries, 20 words of 8 bytes.
    assert_eq!(cost::core_bytes(target.packed(), &charged), 100 + 70 + 12 + 160 + 30 + 99 + 160);
    assert_eq!(cost::budget(&target.packed().core), Some(1 << 20));
    // What no core can hold does not overflow.
    let most =
        Charged { compartments: u64::MAX, currents: u64::MAX, delay_bits: 255, in_axons: u64::MAX, out_entries: u64::MAX, words: u64::MAX };
    assert_eq!(cost::core_bytes(target.packed(), &most), u64::MAX);
    let free = loihi1();
    assert_eq!((cost::budget(&free.packed().core), cost::core_bytes(free.packed(), &most)), (None, 0));
}

#[test]
fn only_what_clears_the_current_has_none() {
    let neuron = &loihi2().packed().neuron.clone();
    assert_eq!([0, 1, 4095, 4096].map(|decay| cost::keeps_current(neuron, decay)), [true, true, true, false]);
}

#[test]
fn contradictions_are_named() {
    let packed = |t: &mut Target, change: fn(&mut PackedCore)| change(&mut t.packed_mut().core);
    // A charge without a budget, each by itself.
    for k in 0..6 {
        let found = findings(loihi1(), |t| *charges(&mut t.packed_mut().core)[k] = 4);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].1.ends_with("expected 0, or core.core_bytes above 0: without a budget nothing is charged"), "{found:?}");
    }
    // A budget for words that the memory has more of.
    let found = findings(loihi1(), |t| packed(t, |c| c.core_bytes.value = 131_063));
    assert_eq!(
        found,
        [(
            "synapse_memory.usable_words".to_string(),
            "synapse_memory.usable_words: found 16383, expected at most 16382, the words of core.core_bytes less core.program_bytes"
                .to_string()
        )]
    );
    assert_eq!(findings(loihi1(), |t| packed(t, |c| c.core_bytes.value = 131_064)), []);
    // Words that are no bytes.
    let odd = findings(loihi2(), |t| {
        t.packed_mut().synapse_memory.word_bits.value = 60;
        t.packed_mut().synapse_memory.usable_words.value = 20_000;
    });
    assert!(odd.iter().any(|f| f.1 == "synapse_memory.word_bits: found 60, expected a multiple of 8 beside core.core_bytes"), "{odd:?}");
    // Less than one neuron needs: 2048 for the program, 12 + 3 + 64 * 3 of the neuron, an axon, two entries, a word.
    let alone = 2048 + 12 + 3 + 192 + 4 + 8 + 8;
    let small = |bytes: u32| {
        findings(loihi2(), |t| {
            let p = t.packed_mut();
            p.core.core_bytes.value = bytes;
            (p.synapse_memory.usable_words.value, p.synapse_memory.max_words_per_axon.value) = (1, 1);
        })
    };
    assert_eq!(small(alone), []);
    let found = small(alone - 1);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        found[0].1,
        format!("core.core_bytes: found {}, expected at least {alone}, what one neuron with one synapse takes", alone - 1)
    );
    // Numbers that no core has; sums of them don't overflow.
    let wild = findings(loihi2(), |t| {
        t.packed_mut().core.core_bytes.value = u32::MAX;
        charges(&mut t.packed_mut().core).into_iter().for_each(|bytes| *bytes = u32::MAX);
    });
    for key in ["core.core_bytes", "core.neuron_bytes", "core.current_bytes", "core.delay_slot_bytes", "core.in_axon_bytes"] {
        assert!(wild.iter().any(|f| f.0 == key), "{key}: {wild:?}");
    }
    let payload = findings(loihi2(), |t| t.packed_mut().neuron.payload_bits.value = 33);
    assert_eq!(payload, [("neuron.payload_bits".to_string(), "neuron.payload_bits: found 33, expected 0 ..= 32".to_string())]);
}

#[test]
fn what_a_file_leaves_out_leaves_no_trace() {
    let (before, after) = (loihi1(), loihi2());
    let keys =
        ["core_bytes", "program_bytes", "neuron_bytes", "current_bytes", "delay_slot_bytes", "in_axon_bytes", "out_axon_entry_bytes"];
    let text = (before.to_ron(), after.to_ron());
    for key in keys.into_iter().chain(["payload_bits"]) {
        assert!(!text.0.contains(key) && text.1.contains(key), "{key}");
        assert!(before.numbers().iter().all(|n| !n.key.ends_with(key)) && after.numbers().iter().any(|n| n.key.ends_with(key)), "{key}");
    }
    // A derived target may have a budget where its base has none.
    let derived = r#"Derived(base: "loihi1", name: "mine", description: "d", changes: {
        "core.core_bytes": (value: 140000, source: "s", confidence: Guess),
        "core.neuron_bytes": (value: 24, source: "s", confidence: Guess),
    })"#;
    let mine = Target::from_ron(derived).unwrap();
    assert_eq!((*mine.packed().core.core_bytes, *mine.packed().core.neuron_bytes), (140_000, 24));
    assert_eq!(Target::from_ron(&mine.to_ron()).unwrap(), mine);
    let without = derived.replace("core.core_bytes", "neuron.payload_bits").replace("140000", "24");
    assert!(Target::from_ron(&without).unwrap_err().to_string().contains("without a budget nothing is charged"));
}

/// Bytes of tables, by a plain loop.
fn recounted(t: &CoreTables, target: &Target, words: u64) -> u64 {
    let (core, n) = (&target.packed().core, &target.packed().neuron);
    let per_chip = target.topology.cores_per_chip();
    let mut bytes = u64::from(*core.program_bytes) + 8 * words;
    for c in &t.compartments {
        let keeps = u32::from(t.compartment_profiles[usize::from(c.profile)].decay_u) < 1 << *n.decay_bits;
        bytes += u64::from(*core.neuron_bytes) + if keeps { u64::from(*core.current_bytes) } else { 0 };
        bytes += (1 << t.delay_bits) * u64::from(*core.delay_slot_bytes);
    }
    bytes += t.in_axons.len() as u64 * u64::from(*core.in_axon_bytes);
    for o in &t.out_axons {
        let entries = if o.core / per_chip == t.core / per_chip { 1 } else { 2 };
        bytes += entries * u64::from(*core.out_axon_entry_bytes);
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Tables are refused by encoder and decoder as soon as one byte is missing.
    #[test]
    fn the_codec_keeps_the_budget_to_the_byte(seed: u64, chips in 1u32..3) {
        let mut target = loihi2();
        target.topology.chips.value = chips;
        let tables = random_tables(seed, 12, &target);
        let Ok(image) = encode_core(&tables, &target) else { return Ok(()) };
        let words = image.synapse_memory.len() as u64 / 64;
        let bytes = recounted(&tables, &target, words);
        let with = |bytes: u64| {
            let mut target = target.clone();
            target.packed_mut().core.core_bytes.value = bytes as u32;
            target
        };
        prop_assert_eq!(encode_core(&tables, &with(bytes)).unwrap(), image.clone());
        prop_assert_eq!(decode_core(&image, &with(bytes)).unwrap(), tables.clone());
        let short = with(bytes - 1);
        for error in [encode_core(&tables, &short).unwrap_err(), decode_core(&image, &short).unwrap_err()] {
            let expected = CodecProblem::TooMany { resource: "bytes of the core's memory", need: bytes, limit: bytes - 1 };
            prop_assert_eq!(error.problem, expected);
        }
    }
}
