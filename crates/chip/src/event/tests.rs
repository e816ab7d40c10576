use super::*;
use crate::target::{Family, Target};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};

fn target(name: &str) -> Target {
    crate::target_file::find(name).unwrap()
}

fn spec(target: &Target) -> &EventCrossbar {
    match &target.family {
        Family::EventCrossbar(spec) => spec,
        other => panic!("{}", other.name()),
    }
}

fn random_tables(seed: u64, spec: &EventCrossbar) -> EventTables {
    let rng = &mut rand::rngs::StdRng::seed_from_u64(seed);
    let each_row = *spec.weights.sign == EventSign::EachRow;
    let negative_rows: Vec<bool> = (0..if each_row { *spec.core.rows } else { 0 }).map(|_| rng.random()).collect();
    let (least, most) = spec.weight_range();
    let mut weights = Vec::new();
    for row in 0..*spec.core.rows as usize {
        for _ in 0..*spec.core.neurons {
            let weight = rng.random_range(least..=most);
            weights.push(negative_rows.get(row).map_or(weight, |&negative| if negative { -weight.abs() } else { weight.abs() }));
        }
    }
    let (low, high) = spec.potential_range();
    let neurons = (0..*spec.core.neurons)
        .map(|_| EventWord {
            potential: rng.random_range(low..=high) as i16,
            threshold: rng.random_range(0..1u32 << *spec.neuron.threshold_bits) as u16,
            leak: rng.random_range(0..1u32 << *spec.neuron.leak_bits) as u8,
            disabled: rng.random(),
        })
        .collect();
    EventTables { open_loop: rng.random(), last_neuron: rng.random(), negative_rows, neurons, weights }
}

/// tinyODIN's RTL, measured: cycles to process one event that makes 0, 1, 4 and 64 neurons fire; the pop is 1 more.
#[test]
fn cycles_of_an_event() {
    let target = target("tinyodin");
    let spec = spec(&target);
    assert_eq!([0, 1, 4, 64].map(|spikes| spec.event_cycles(255, spikes)), [512, 520, 544, 1024]);
    assert_eq!((spec.event_cycles(9, 0), *spec.timing_cycles.pop), (20, 2));
    assert_eq!(self::spec(&self::target("odin")).event_cycles(9, 0), 512);
}

#[test]
fn ranges() {
    let (tiny, odin) = (target("tinyodin"), target("odin"));
    assert_eq!((spec(&tiny).potential_range(), spec(&tiny).weight_range()), ((-2048, 2047), (-8, 7)));
    assert_eq!((spec(&odin).potential_range(), spec(&odin).weight_range()), ((0, 255), (-7, 7)));
}

/// Words as tinyODIN's documentation has them: potential 11-0, threshold 23-12, leak 30-24, disable 31.
#[test]
fn words_by_hand() {
    let target = target("tinyodin");
    let spec = spec(&target);
    let unused = EventWord::unused(spec);
    let mut tables =
        EventTables { open_loop: true, last_neuron: 129, negative_rows: vec![], neurons: vec![unused; 256], weights: vec![0; 1 << 16] };
    tables.neurons[1] = EventWord { potential: -2, threshold: 0x123, leak: 0x45, disabled: false };
    tables.weights[256 + 3] = -3;
    let image = encode(&tables, spec).unwrap();
    let words: Vec<u64> = image.neurons.clone().into_vec();
    assert_eq!((words[0] & 0xffff_ffff, words[0] >> 32), (0x80ff_f000, 0x4512_3ffe));
    assert_eq!(image.registers.iter_ones().collect::<Vec<_>>(), [0, 1, 8]);
    assert_eq!(image.synapses.into_vec()[16], 0xd000);
    let again = encode(&tables, spec).unwrap();
    assert_eq!(decode(&again, spec).unwrap(), tables);
}

#[test]
fn what_a_field_cannot_hold_is_named() {
    let (tiny, odin) = (target("tinyodin"), target("odin"));
    type Change = fn(&mut EventTables);
    let cases: [(&Target, Change, &str); 6] = [
        (&tiny, |t| t.neurons[3].leak = 128, "neuron 3: leak: found 128, expected 0 ..= 127"),
        (&tiny, |t| t.neurons[3].potential = 2048, "neuron 3: potential: found 2048, expected -2048 ..= 2047"),
        (&tiny, |t| t.weights[256 * 5 + 1] = 8, "row 5: weight: found 8, expected -8 ..= 7"),
        (&tiny, |t| t.weights.truncate(65535), "row 0: found 65535 weights, expected 65536"),
        (&odin, |t| t.neurons[3].potential = -1, "neuron 3: potential: found -1, expected 0 ..= 255"),
        (
            &odin,
            |t| {
                t.negative_rows[5] = true;
                t.weights[256 * 5 + 1] = 2
            },
            "row 5: neuron 1: a weight of 2 in a row of the other sign",
        ),
    ];
    for (target, change, text) in cases {
        let mut tables = random_tables(1, spec(target));
        tables.weights.fill(0);
        change(&mut tables);
        assert_eq!(encode(&tables, spec(target)).unwrap_err().to_string(), text);
    }
    let mut image = encode(&random_tables(1, spec(&odin)), spec(&odin)).unwrap();
    image.neurons.set(127, true);
    assert_eq!(decode(&image, spec(&odin)).unwrap_err().to_string(), "neuron 0: unused bits that are not 0");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn tables_come_back(seed in any::<u64>()) {
        for name in ["tinyodin", "odin"] {
            let target = target(name);
            let tables = random_tables(seed, spec(&target));
            let image = encode(&tables, spec(&target)).unwrap();
            prop_assert_eq!(decode(&image, spec(&target)).unwrap(), tables);
        }
    }
}
