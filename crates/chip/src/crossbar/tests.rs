use super::*;
use crate::target::{Family, Target};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};

fn target(name: &str) -> Target {
    crate::target_file::find(name).unwrap()
}

fn spec(target: &Target) -> &Crossbar {
    match &target.family {
        Family::Crossbar(spec) => spec,
        other => panic!("{}", other.name()),
    }
}

fn random_tables(seed: u64, spec: &Crossbar) -> CrossbarTables {
    let rng = &mut rand::rngs::StdRng::seed_from_u64(seed);
    let signed = |rng: &mut rand::rngs::StdRng, bits: u8| rng.random_range(-(1i64 << (bits - 1))..1i64 << (bits - 1)) as i32;
    let n = &spec.neuron;
    let types = (0..*spec.core.axons).map(|_| rng.random_range(0..*spec.core.axon_types) as u8).collect();
    let neurons = (0..*spec.core.neurons)
        .map(|_| CrossbarRow {
            connections: (0..*spec.core.axons as u16).filter(|_| rng.random_bool(0.1)).collect(),
            potential: signed(rng, *n.potential_bits),
            reset: signed(rng, *n.potential_bits),
            weights: (0..*spec.core.axon_types).map(|_| signed(rng, *n.weight_bits)).collect(),
            leak: signed(rng, *n.leak_bits),
            positive_threshold: signed(rng, *n.threshold_bits),
            negative_threshold: signed(rng, *n.threshold_bits),
            mode: if rng.random() { CrossbarReset::Linear } else { CrossbarReset::Absolute },
            destination: Destination {
                dx: signed(rng, *spec.routing.offset_bits),
                dy: signed(rng, *spec.routing.offset_bits),
                axon: rng.random_range(0..256),
                delay: rng.random_range(0..=*spec.routing.max_delay) as u8,
            },
        })
        .collect();
    CrossbarTables { core: 7, types, neurons }
}

/// RANC's RTL, measured: `N * (A + 2) + 3` cycles a tick.
#[test]
fn cycles_of_a_tick() {
    let mut target = target("ranc256");
    let cycles = |target: &mut Target, neurons: u32, axons: u32| {
        let Family::Crossbar(spec) = &mut target.family else { unreachable!() };
        (spec.core.neurons.value, spec.core.axons.value) = (neurons, axons);
        spec.tick_cycles()
    };
    assert_eq!([cycles(&mut target, 256, 256), cycles(&mut target, 64, 128), cycles(&mut target, 128, 64)], [66_051, 8_323, 8_451]);
}

/// A row is RANC's 368 bits, in the order of its CSRAM.
#[test]
fn a_row_by_hand() {
    let target = target("ranc256");
    let spec = spec(&target);
    assert_eq!((spec.row_bits(), spec.type_bits(), spec.axon_bits(), spec.delay_bits()), (368, 2, 8, 4));
    let mut tables = CrossbarTables { core: 3, types: vec![0; 256], neurons: vec![CrossbarRow::unused(spec); 256] };
    tables.types[1] = 2;
    tables.neurons[0] = CrossbarRow {
        connections: vec![0, 255],
        potential: -1,
        reset: 2,
        weights: vec![1, -1, 3, -256],
        leak: -2,
        positive_threshold: 255,
        negative_threshold: -255,
        mode: CrossbarReset::Linear,
        destination: Destination { dx: -1, dy: 5, axon: 200, delay: 14 },
    };
    let image = encode_core(&tables, spec).unwrap();
    assert_eq!((image.types.len(), image.rows.len()), (512, 256 * 368));
    assert_eq!(image.types.iter_ones().collect::<Vec<_>>(), [3]);
    let highest_first: String = (0..368).rev().map(|i| if image.rows[i] { '1' } else { '0' }).collect();
    let connections = format!("1{}1", "0".repeat(254));
    let fields = [
        connections.as_str(),
        "111111111", // potential -1
        "000000010", // reset 2
        "000000001", // weights 1, -1, 3, -256
        "111111111",
        "000000011",
        "100000000",
        "111111110", // leak -2
        "011111111", // positive threshold 255
        "100000001", // negative threshold -255
        "1",         // linear
        "111111111", // dx -1
        "000000101", // dy 5
        "11001000",  // axon 200
        "1110",      // delay 14
    ];
    assert_eq!(highest_first, fields.concat());
    assert_eq!(decode_core(&image, spec).unwrap(), tables);
}

#[test]
fn what_a_field_cannot_hold_is_named() {
    let target = target("ranc256");
    let spec = spec(&target);
    type Change = fn(&mut CrossbarTables);
    let cases: [(Change, &str); 9] = [
        (|t| t.types[4] = 4, "core 7, axon 4: type: found 4, expected 0 ..= 3"),
        (|t| t.types.truncate(255), "core 7, axon 0: found 255 axons, expected 256"),
        (|t| t.neurons.truncate(255), "core 7, neuron 0: found 255 neurons, expected 256"),
        (|t| t.neurons[9].leak = 256, "core 7, neuron 9: leak: found 256, expected -256 ..= 255"),
        (|t| t.neurons[9].weights[2] = -257, "core 7, neuron 9: weight: found -257, expected -256 ..= 255"),
        (|t| t.neurons[9].destination.dx = 256, "core 7, neuron 9: dx: found 256"),
        (|t| t.neurons[9].destination.delay = 15, "core 7, neuron 9: delay: found 15, expected 0 ..= 14"),
        (|t| t.neurons[9].connections = vec![3, 3], "core 7, neuron 9: connections"),
        (|t| t.neurons[9].connections = vec![256], "core 7, neuron 9: connections"),
    ];
    for (change, text) in cases {
        let mut tables = random_tables(1, spec);
        change(&mut tables);
        let error = encode_core(&tables, spec).unwrap_err().to_string();
        assert!(error.starts_with(text), "{error}");
    }
    let mut image = encode_core(&random_tables(1, spec), spec).unwrap();
    image.rows.push(false);
    assert_eq!(decode_core(&image, spec).unwrap_err().to_string(), "core 7, neuron 0: found 94209 bits of rows, expected 94208");
    let mut image = encode_core(&random_tables(1, spec), spec).unwrap();
    (0..4).for_each(|i| image.rows.set(i, true));
    assert!(decode_core(&image, spec).unwrap_err().to_string().starts_with("core 7, neuron 0: delay: found 15"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn tables_come_back(seed in any::<u64>()) {
        for name in ["ranc256", "ranc256_sim", "truenorth"] {
            let target = target(name);
            let tables = random_tables(seed, spec(&target));
            let image = encode_core(&tables, spec(&target)).unwrap();
            prop_assert_eq!(decode_core(&image, spec(&target)).unwrap(), tables);
        }
    }
}
