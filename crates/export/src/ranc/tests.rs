use super::bound::overflow;
use super::*;
use crate::Sample;
use serde_json::{Value, json};
use spikec_chip::bundle::{Bundle, Decoder, DecoderKind, Encoder, Host, Injection, Origin, Place, PopulationSymbols, Provenance, Symbols};
use spikec_chip::crossbar::{CrossbarImage, CrossbarReset, CrossbarRow, Destination, NegativeCompare, Overflow, encode_core};
use spikec_chip::target::Target;
use spikec_data::{SpikeTrain, Stimulus};
use spikec_net::{Crossbar as Number, Interpreter, Quantized, run_sample};

/// RANC with two columns and rows of cores, each of 3 axons and 2 neurons; the bus at (1, 1).
fn small(name: &str) -> Target {
    let mut target = spikec_chip::find(name).expect("it is built in");
    let Family::Crossbar(spec) = &mut target.family else { panic!("another family") };
    (spec.core.axons.value, spec.core.neurons.value, spec.routing.outputs.value) = (3, 2, 2);
    spec.routing.output_bus.value = (1, 1);
    (target.topology.width.value, target.topology.height.value) = (2, 2);
    target
}

fn row() -> CrossbarRow {
    CrossbarRow {
        connections: vec![0, 2],
        potential: 2,
        reset: 1,
        weights: vec![0, -2, 0, 7],
        leak: -1,
        positive_threshold: 6,
        negative_threshold: -20,
        mode: CrossbarReset::Absolute,
        destination: Destination { dx: 1, dy: 1, axon: 1, delay: 0 },
    }
}

/// Core 0 with one neuron, output 1 of the bus; two channels, the first of which comes again two steps later, on axon 2.
fn bundle(target: Target) -> Bundle {
    let Family::Crossbar(spec) = &target.family else { panic!("another family") };
    let tables = CrossbarTables { core: 0, types: vec![1, 0, 3], neurons: vec![row(), CrossbarRow::unused(spec)] };
    let image = CrossbarImage { cores: vec![encode_core(&tables, spec).expect("it fits")] };
    let axon = |index| Place { core: 0, index };
    let populations =
        |name: &str, n, input, neurons| PopulationSymbols { name: name.into(), shape: vec![n], skew: 0, input, neurons, copies: vec![] };
    Bundle {
        host: Host {
            input_width: 2,
            encoder: Encoder::Spikes,
            input_axons: vec![vec![axon(0)], vec![]],
            injections: vec![Injection { from: Origin::Channel(1), to: axon(2), delay_steps: 2 }],
            maps: vec![],
            bias_writes: vec![],
            default_steps: None,
            max_skew: 0,
            decoder: Decoder { kind: DecoderKind::Count, outputs: vec![None, Some(axon(0))], skew: 0 },
        },
        symbols: Symbols {
            populations: vec![populations("in", 2, true, vec![]), populations("out", 2, false, vec![(1, axon(0))])],
            output: 1,
        },
        provenance: Provenance {
            tool: "test".into(),
            network_name: "small".into(),
            network_digest: String::new(),
            options: vec![],
            seed: 0,
        },
        image: Image::Crossbar(image),
        target,
        reference: Vec::new(),
    }
}

fn written(write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).expect("memory can be written");
    String::from_utf8(out).expect("it is text")
}

fn spikes(width: u32, steps: &[&[u32]]) -> Stimulus {
    Stimulus::Spikes(SpikeTrain::from_steps(width, steps.iter().map(|s| s.to_vec())))
}

#[test]
fn the_simulators_input_is_as_by_hand() {
    let bundle = bundle(small("ranc256_sim"));
    let stimulus = spikes(2, &[&[1], &[0]]);
    let export = RancJson::new(bundle.loadable(), Some(Sample { index: 0, stimulus: &stimulus, steps: None })).expect("it fits");
    assert_eq!(export.size(), (1, 1, 2));
    let found: Value = serde_json::from_str(&written(|out| export.input(out))).expect("it is JSON");
    let packet = |axon: u32| json!({"destination_core": [0, 0], "destination_axon": axon, "destination_tick": 0});
    let expected = json!({
        // Channel 0 of step 1; channel 1 of step 0, two steps later.
        "packets": [[], [packet(0)], [packet(2)], []],
        "output_bus": {"coordinates": [1, 1], "num_outputs": 2},
        "cores": [{
            "coordinates": [0, 0],
            "axons": [1, 0, 3],
            "neurons": [
                {
                    "reset_potential": 1, "weights": [0, -2, 0, 7], "leak": -1, "positive_threshold": 6, "negative_threshold": -20,
                    "destination_core_offset": [1, 1], "destination_axon": 1, "destination_tick": 0, "current_potential": 2, "reset_mode": 0
                },
                {
                    "reset_potential": 0, "weights": [0, 0, 0, 0], "leak": 0, "positive_threshold": 2147483647,
                    "negative_threshold": -2147483647, "destination_core_offset": [0, 0], "destination_axon": 0, "destination_tick": 0,
                    "current_potential": 0, "reset_mode": 0
                }
            ],
            "connections": [[1, 0, 1], [0, 0, 0]]
        }]
    });
    assert_eq!(found, expected);
    let config: Value = serde_json::from_str(&written(|out| export.config(out))).expect("it is JSON");
    let expected = json!({
        "num_neurons": 2, "num_axons": 3, "num_cores_x": 2, "num_cores_y": 2, "num_weights": 4, "max_tick_offset": 16,
        "neuron_reset_type": 1, "neuron_block_trace_verbosity": 0, "core_controller_trace_verbosity": 0, "scheduler_trace_verbosity": 0
    });
    assert_eq!(config, expected);
    let twice = spikes(2, &[&[0, 0]]);
    let e = RancJson::new(bundle.loadable(), Some(Sample { index: 0, stimulus: &twice, steps: None })).expect_err("an axon is active once");
    assert_eq!(e.to_string(), "input channel 0 spikes more than once in step 0: an axon can't be active twice");
}

#[test]
fn nine_bits_are_exported_where_no_potential_can_leave_them() {
    // Potentials go down to -20 by the floor, and to 2 - 3 * 3 in three ticks.
    let bundle = bundle(small("ranc256"));
    assert!(RancJson::new(bundle.loadable(), None).is_ok(), "the floor holds it");
    let edited = |edit: &dyn Fn(&mut CrossbarRow)| {
        let mut bundle = bundle.clone();
        let Family::Crossbar(spec) = bundle.target.family.clone() else { panic!("another family") };
        let Image::Crossbar(image) = &mut bundle.image else { panic!("another family") };
        let mut tables = decode_core(&image.cores[0], &spec).expect("it decodes");
        edit(&mut tables.neurons[0]);
        image.cores[0] = encode_core(&tables, &spec).expect("it fits");
        bundle
    };
    let deep = edited(&|row| row.negative_threshold = -256);
    let e = RancJson::new(deep.loadable(), None).expect_err("nothing stops it above -256, and 2 - 87 * 3 is below");
    assert_eq!(e.to_string(), "core (0, 0), neuron 0: its potential may be -259, the target's are -256 ..= 255");
    let stimulus = spikes(2, &[&[1], &[0]]);
    assert!(
        RancJson::new(deep.loadable(), Some(Sample { index: 0, stimulus: &stimulus, steps: None })).is_ok(),
        "two steps don't reach it"
    );
    let high = edited(&|row| (row.positive_threshold, row.weights[3]) = (250, 255));
    assert!(RancJson::new(high.loadable(), None).is_err());
}

#[test]
fn bounds_by_hand() {
    let Family::Crossbar(mut spec) = small("ranc256").family else { panic!("another family") };
    let bound = |row: &CrossbarRow, spec: &Crossbar, ticks| overflow(row, &[1, 0, 3], spec, ticks);
    // Up to 5 below the threshold, and 7 - 1 more: 11. Down to the floor -20, less 3: -23.
    assert_eq!(bound(&row(), &spec, None), None);
    let linear = CrossbarRow { mode: CrossbarReset::Linear, ..row() };
    assert_eq!(bound(&linear, &spec, None), None, "6 a tick at most, and 6 taken away");
    // 9 a tick, and 6 taken away: 3 more each time it fires.
    let more = CrossbarRow { weights: vec![0, -2, 0, 10], ..linear };
    assert_eq!(bound(&more, &spec, None), Some(257), "5 + 81 * 3 + 9");
    assert_eq!(bound(&more, &spec, Some(20)), None);
    assert!(bound(&more, &spec, Some(200)).is_some_and(|v| v > 255));
    // By -1 a tick to the floor itself, where `<=` resets and `<` doesn't.
    let alone = CrossbarRow { connections: vec![], negative_threshold: -256, ..row() };
    assert_eq!(bound(&alone, &spec, None), Some(-257));
    spec.neuron.negative_compare.value = NegativeCompare::LessEqual;
    assert_eq!(bound(&alone, &spec, None), None);
    spec.neuron.overflow.value = Overflow::Saturate;
    let reset = CrossbarRow { reset: -256, connections: vec![], leak: -255, ..row() };
    assert_eq!(bound(&reset, &spec, None), Some(256), "the negative of the reset value");
}

#[test]
fn memories_are_as_by_hand() {
    let bundle = bundle(small("ranc256"));
    let export = RancMem::new(bundle.loadable(), None).expect("it is of the RTL's kind");
    assert_eq!(
        (export.size(), export.names(0), export.names(3)),
        ((4, 1), ["csram_000.mem", "tc_000.mem"].map(String::from), ["csram_003.mem", "tc_003.mem"].map(String::from))
    );
    // Connections (the last axon first), potential, reset value, four weights, leak, both thresholds, mode, dx, dy, axon, delay.
    let used = concat!(
        "101",
        "000000010",
        "000000001",
        "000000000",
        "111111110",
        "000000000",
        "000000111",
        "111111111",
        "000000110",
        "111101100",
        "0",
        "000000001",
        "000000001",
        "01",
        "0000"
    );
    let unused = concat!(
        "000",
        "000000000",
        "000000000",
        "000000000",
        "000000000",
        "000000000",
        "000000000",
        "000000000",
        "011111111",
        "100000001",
        "0",
        "000000000",
        "000000000",
        "00",
        "0000"
    );
    assert_eq!(written(|out| export.csram(0, out)), format!("{used}\n{unused}\n"));
    assert_eq!(written(|out| export.types(0, out)), "01\n00\n11\n");
    assert_eq!(written(|out| export.csram(2, out)), format!("{unused}\n{unused}\n"));
    assert_eq!(written(|out| export.types(2, out)), "00\n00\n00\n");
    assert_eq!((export.events(), export.expected()), (None, None));
    let e = RancMem::new(self::bundle(small("ranc256_sim")).loadable(), None).expect_err("the RTL wraps");
    assert_eq!(e.to_string(), "the format ranc-mem has an overflow of Wrap, the target Unbounded");
    // RANC's own size: 368 bits a row.
    let Family::Crossbar(spec) = spikec_chip::find("ranc256").expect("it is built in").family else { panic!("another family") };
    assert_eq!(spec.row_bits(), 368);
}

#[test]
fn what_is_written_is_read_again() {
    let bundle = bundle(small("ranc256_sim"));
    let stimulus = spikes(2, &[&[1], &[0], &[0, 1]]);
    let export = RancJson::new(bundle.loadable(), Some(Sample { index: 0, stimulus: &stimulus, steps: None })).expect("it fits");
    let text = written(|out| export.input(out));
    let again = read(text.as_bytes(), "again", &bundle.target, false, None).expect("it is RANC's");
    assert_eq!(again.bundle.image, bundle.image);
    assert_eq!(again.bundle.validate(), []);
    // Channels by core and axon: axon 0, then axon 2. Channel 1 of the sample comes two steps later.
    assert_eq!(again.bundle.host.input_axons, vec![vec![Place { core: 0, index: 0 }], vec![Place { core: 0, index: 2 }]]);
    let Stimulus::Spikes(expected) = spikes(2, &[&[], &[0], &[0, 1], &[], &[1]]) else { panic!("spikes") };
    assert_eq!(again.packets, expected);
    // The reference: 2 - 1; 1 - 2 - 1; -2 - 2 + 7 - 1; 2 - 1; 1 + 7 - 1 fires, and is 1.
    let q = Quantized::<Number>::from_bytes(&again.bundle.reference).expect("it can be read");
    let interpreter = Interpreter::new(&q.net).expect("it runs");
    let run = run_sample(&interpreter, Some(&again.packets), &[], 5, true);
    assert_eq!((run.out_counts.clone(), run.first_spike[1], run.potentials[1]), (vec![0, 1], Some(4), 1.0));
    let run = run_sample(&interpreter, Some(&again.packets), &[], 4, true);
    assert_eq!(run.potentials[1], 1.0, "2, 1, -2, 2, 1");
}

/// Two cores: axon 0 of the first makes its neuron fire, which sends to axon 1 of the second, two ticks later.
const CHAIN: &str = r#"{
    "packets": [[{"destination_core": [0, 0], "destination_axon": 0, "destination_tick": 1}], []],
    "output_bus": {"coordinates": [1, 1], "num_outputs": 2},
    "cores": [
        {"coordinates": [0, 0], "axons": [0, 0], "connections": [[1]],
         "neurons": [{"reset_potential": 0, "weights": [5], "leak": 0, "positive_threshold": 5, "negative_threshold": -9,
            "destination_core_offset": [1, 0], "destination_axon": 1, "destination_tick": 1, "current_potential": 0, "reset_mode": 0}]},
        {"coordinates": [1, 0], "axons": [0, 2, 0], "connections": [[0, 1, 0]],
         "neurons": [{"reset_potential": 0, "weights": [0, 0, 8, 0], "leak": 0, "positive_threshold": 8, "negative_threshold": -9,
            "destination_core_offset": [0, 1], "destination_axon": 0, "destination_tick": 0, "current_potential": 0, "reset_mode": 1}]}
    ]
}"#;

#[test]
fn networks_of_ranc_run() {
    let target = small("ranc256_sim");
    let imported = read(CHAIN.as_bytes(), "chain", &target, true, None).expect("lists may be short");
    assert_eq!(imported.bundle.validate(), []);
    assert_eq!(imported.bundle.host.default_steps, Some(2));
    let q = Quantized::<Number>::from_bytes(&imported.bundle.reference).expect("it can be read");
    let interpreter = Interpreter::new(&q.net).expect("it runs");
    // The packet acts a tick later, the neuron's spike two ticks after that.
    let run = run_sample(&interpreter, Some(&imported.packets), &[], 5, true);
    assert_eq!((run.spikes[1].clone(), run.first_spike.clone()), (vec![vec![], vec![0], vec![], vec![], vec![]], vec![Some(3), None]));
    // Without --pad every list that is too short is named.
    let e = read(CHAIN.as_bytes(), "chain", &target, false, None).expect_err("lists are short");
    let text = e.to_string();
    for line in [
        "core (0,0): found 2 axons, expected 3",
        "core (0,0): found 1 neurons, expected 2",
        "core (0,0), neuron 0: found 1 weights, expected 4",
        "core (0,0), neuron 0: found 1 connections, expected 3",
        "core (1,0): found 1 neurons, expected 2",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}: {text}");
    }
}

#[test]
fn every_finding_is_named_by_core_and_neuron() {
    let target = small("ranc256");
    let read = |text: &str| read(text.as_bytes(), "net", &target, true, None).map(|_| ()).expect_err("it doesn't fit").to_string();
    let changes: [(&str, &str, &str); 8] = [
        ("\"leak\": 0", "\"leak\": 300", "core (0,0), neuron 0: leak: found 300, expected -256 ..= 255"),
        ("[0, 2, 0]", "[0, 4, 0]", "core (1,0): type of axon 1: found 4, expected 0 ..= 3"),
        ("\"axons\": [0, 0]", "\"axons\": [0, 0, 0, 0]", "core (0,0): found 4 axons, expected 3"),
        ("\"coordinates\": [1, 0]", "\"coordinates\": [2, 0]", "core (2,0): expected a core of the 2 x 2 grid"),
        (
            "\"destination_tick\": 1, \"current",
            "\"destination_tick\": 15, \"current",
            "core (0,0), neuron 0: destination_tick: found 15, expected 0 ..= 14",
        ),
        (
            "[1, 0], \"destination_axon\": 1",
            "[0, 0], \"destination_axon\": 0",
            "core (0,0): packet of tick 0: axon 0 has a neuron that sends to it",
        ),
        ("[1, 1], \"num_outputs\": 2", "[0, 1], \"num_outputs\": 3", "output bus: found (0,1), the target's is (1,1)"),
        ("[0, 1], \"destination_axon\": 0", "[0, 1], \"destination_axon\": 2", "core (1,0), neuron 0: found output 2, the bus has 2"),
    ];
    for (from, to, expected) in changes {
        assert!(CHAIN.contains(from), "{from}");
        let text = read(&CHAIN.replacen(from, to, 1));
        assert!(text.lines().any(|l| l == expected), "{expected}: {text}");
    }
    // Several at once, and no such JSON.
    let two = CHAIN.replace("\"negative_threshold\": -9", "\"negative_threshold\": -900");
    assert_eq!(read(&two).lines().count(), 2);
    assert_eq!(read("{\"packets\": 3}"), "line 1, column 13: invalid type: integer `3`, expected a sequence");
    let other = spikec_chip::find("tinyodin").expect("it is built in");
    assert!(matches!(super::read(b"{}", "net", &other, true, None), Err(RancError::Family { .. })));
}

#[test]
fn packets_of_the_rtl_are_as_by_hand() {
    let mut bundle = bundle(small("ranc256"));
    // The core is the one of column 1, row 0 now, below the bus.
    let Family::Crossbar(spec) = &bundle.target.family else { panic!("another family") };
    let neuron = CrossbarRow { destination: Destination { dx: 0, ..row().destination }, ..row() };
    let tables = CrossbarTables { core: 1, types: vec![1, 0, 3], neurons: vec![neuron, CrossbarRow::unused(spec)] };
    bundle.image = Image::Crossbar(CrossbarImage { cores: vec![encode_core(&tables, spec).expect("it fits")] });
    bundle.host.input_axons[0][0].core = 1;
    bundle.host.injections[0].to.core = 1;
    bundle.symbols.populations[1].neurons[0].1.core = 1;
    bundle.host.decoder.outputs[1] = Some(Place { core: 1, index: 0 });
    let stimulus = spikes(2, &[&[0, 1], &[0]]);
    let sample = Sample { index: 4, stimulus: &stimulus, steps: None };
    let export = RancMem::new(bundle.loadable(), Some(sample)).expect("it is of the RTL's kind");
    let read = |text: Option<&str>| -> Value { serde_json::from_str(text.expect("there is a sample")).expect("JSON") };
    // dx 1, dy 0, two bits of axon, four of delay: axon 0 in steps 0 and 1; axon 2 two steps after channel 1.
    let (first, delayed) = (1u64 << 15, 1 << 15 | 2 << 4);
    assert_eq!(read(export.events()), json!({ "sample": 4, "network_steps": 2, "packets": [[first], [first], [delayed], []] }));
    let expected = read(export.expected());
    assert_eq!((&expected["format"], &expected["sample"]), (&json!("ranc-mem"), &json!(4)));
    let twice = spikes(2, &[&[0, 0]]);
    let e = RancMem::new(bundle.loadable(), Some(Sample { index: 0, stimulus: &twice, steps: None })).expect_err("an axon is active once");
    assert!(e.to_string().contains("input channel 0"), "{e}");
}
