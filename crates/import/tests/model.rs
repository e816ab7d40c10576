//! RON models: the examples of docs/network-format.md, and what is refused.

use spikec_data::{Array, ArrayData, write_npy, write_npz};
use spikec_import::{ImportError, ImportOptions, Imported, Model, conventions, read};
use spikec_net::{
    Bias, Discretization, FireRule, Fixed, FixedNeuron, InputKind, Net, Network, NeuronModel, Operator, PopulationId, ResetRule, Role,
    SignMode, TrainedRole, WeightFormat,
};
use std::collections::BTreeSet;
use std::path::Path;

fn document() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/network-format.md")).unwrap()
}

/// The document's examples.
fn examples() -> Vec<String> {
    let text = document();
    let blocks: Vec<String> = text.split("```ron\n").skip(1).map(|b| b.split("```").next().unwrap().to_string()).collect();
    assert_eq!(blocks.len(), 4);
    blocks
}

fn f32s(shape: &[usize], values: &[f32]) -> Array {
    Array { shape: shape.to_vec(), data: ArrayData::F32(values.to_vec()) }
}

fn ints(shape: &[usize], values: &[i64]) -> Array {
    Array { shape: shape.to_vec(), data: ArrayData::I64(values.to_vec()) }
}

/// A safetensors file with one bfloat16 matrix (2, 2) `w` = [[1, 2], [-1, 0.5]] and others of every kind.
fn safetensors() -> Vec<u8> {
    let tensors: [(&str, &str, &[u8]); 10] = [
        ("w", "BF16", &[0x80, 0x3f, 0x00, 0x40, 0x80, 0xbf, 0x00, 0x3f]),
        ("half", "F16", &[0x00, 0x3c, 0x00, 0x40, 0x00, 0xbc, 0x00, 0x38]),
        ("f32", "F32", &[0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 128, 191, 0, 0, 0, 63]),
        ("i8", "I8", &[1, 2, 255, 0]),
        ("i16", "I16", &[1, 0, 2, 0, 255, 255, 0, 0]),
        ("i32", "I32", &[1, 0, 0, 0, 2, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0]),
        ("u8", "U8", &[1, 2, 3, 0]),
        ("bool", "BOOL", &[1, 0, 0, 1]),
        ("c", "C64", &[0; 32]),
        ("f64", "F64", &[0, 0, 0, 0, 0, 0, 240, 63, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 240, 191, 0, 0, 0, 0, 0, 0, 224, 63]),
    ];
    let mut header = Vec::new();
    let mut data = Vec::new();
    for (name, dtype, bytes) in tensors {
        let (start, end) = (data.len(), data.len() + bytes.len());
        header.push(format!("\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":[2,2],\"data_offsets\":[{start},{end}]}}"));
        data.extend_from_slice(bytes);
    }
    let mut header = format!("{{{}}}", header.join(","));
    while header.len() % 8 != 0 {
        header.push(' ');
    }
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
}

fn load(path: &Path) -> Result<Vec<u8>, std::io::Error> {
    let w1: Vec<f32> = (0..24).map(|k| k as f32).collect();
    let mask1 = Array { shape: vec![4, 6], data: ArrayData::Bool((0..24).map(|k| k % 2 == 0).collect()) };
    match path.to_str().unwrap() {
        "nets/weights.npz" => Ok(write_npz(&[("w1", f32s(&[4, 6], &w1)), ("mask1", mask1)])),
        "nets/w2.npy" => Ok(write_npy(&f32s(&[2, 4], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]))),
        "nets/weights.safetensors" => Ok(safetensors()),
        "nets/ring.npz" => Ok(write_npz(&[
            ("w", ints(&[3, 3], &[0, 8, 13, -13, 0, 0, 7, 0, 16])),
            ("mask", ints(&[3, 3], &[1, 1, 1, 1, 1, 1, 1, 1, 0])),
            ("i", ints(&[3], &[2, 0, 2])),
            ("j", ints(&[3], &[1, 2, 0])),
            ("v", ints(&[3], &[-10, -20, 0])),
            ("d", ints(&[3], &[0, 5, 1])),
        ])),
        "nets/broken.npz" => Ok(b"PK\x03\x04 nonsense".to_vec()),
        _ => Err(std::io::Error::new(std::io::ErrorKind::NotFound, "no such file")),
    }
}

fn import(text: &str) -> Result<Imported, ImportError> {
    let options = ImportOptions { name: "stem".into(), ..Default::default() };
    read(Path::new("nets/model.ron"), text.as_bytes(), &options, &load)
}

fn trained(text: &str) -> Network {
    match import(text).unwrap() {
        Imported { model: Model::Trained(n), warnings } if warnings.is_empty() => n,
        other => panic!("{other:?}"),
    }
}

fn registers(text: &str) -> (Net<Fixed>, Vec<String>) {
    match import(text).unwrap() {
        Imported { model: Model::Registers(n), warnings } => (n, warnings),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_trained_example() {
    let n = trained(&examples()[0]);
    assert_eq!(n.name, "two layers");
    let c = &n.conventions;
    assert_eq!((c.name.as_str(), c.dt_s), ("spikingjelly", 1.0));
    assert_eq!((c.fire, c.reset, c.discretization), (FireRule::Greater, ResetRule::ToValue, Discretization::Euler));
    assert_eq!(n.populations[0].shape, [1, 2, 3]);
    let thresholds = NeuronModel::If { r: vec![1.0; 2], v_threshold: vec![1.0, 0.5], v_reset: vec![0.0; 2] };
    assert_eq!(n.populations[2].role, TrainedRole::Neurons(thresholds));
    let w1: Vec<f32> = (0..24).map(|k| if k % 2 == 0 { k as f32 } else { 0.0 }).collect();
    assert_eq!(
        n.projections[0].operators,
        [
            Operator::Scale { scale: vec![3.25; 6] },
            Operator::Bias { bias: vec![-0.5; 6] },
            Operator::Reshape { shape: vec![6] },
            Operator::Linear { outputs: 4, inputs: 6, weight: w1 },
        ]
    );
    assert_eq!(n.projections[1].name, "hidden -> out");
    assert_eq!(
        n.projections[1].operators,
        [Operator::Linear { outputs: 2, inputs: 4, weight: (1..=8).map(|k| k as f32).collect() }, Operator::Bias { bias: vec![0.1, 0.2] },]
    );
    let own = &n.projections[2];
    assert_eq!((own.pre, own.post, own.delay_steps), (PopulationId(2), PopulationId(2), 1));
    assert_eq!(n.output, PopulationId(2));
}

#[test]
fn the_example_of_the_other_models() {
    let n = trained(&examples()[1]);
    assert_eq!(n.name, "stem");
    let names: Vec<_> = n.populations[1..].iter().map(|p| if let TrainedRole::Neurons(m) = &p.role { m.name() } else { "Input" }).collect();
    assert_eq!(names, ["CubaLIF", "LI", "CubaLI"]);
    assert_eq!(n.projections[0].operators, []);
    assert_eq!(n.projections[2].operators, [Operator::Linear { outputs: 2, inputs: 2, weight: vec![1.0, 2.0, -1.0, 0.5] }]);
    // Defaults are what the example states.
    let mut short = examples()[1].clone();
    for default in [", r: 1.0", ", v_leak: 0.0", ", v_reset: 0.0", ", w_in: 1.0"] {
        short = short.replace(default, "");
    }
    assert!(!short.contains("v_leak"));
    assert_eq!(trained(&short), n);
}

#[test]
fn examples_elaborate() {
    for (example, synapses) in [(0, 12 + 8 + 2), (1, 2 + 2 + 4)] {
        let net = trained(&examples()[example]).elaborate(InputKind::Spikes).unwrap();
        // An exact zero (the first weight of w1) is no synapse.
        assert_eq!(net.synapse_count(), synapses - usize::from(example == 0));
    }
}

#[test]
fn every_dtype_of_safetensors() {
    let model = |array: &str| {
        format!(
            "Trained(dt: 1, populations: [(name: \"i\", shape: [2], neurons: Input), (name: \"o\", shape: [2], neurons: If(v_threshold: 1))],
             projections: [(pre: \"i\", post: \"o\", chain: [Linear(weight: \"weights.safetensors:{array}\")])], output: \"o\")"
        )
    };
    for (array, expected) in [
        ("half", [1.0, 2.0, -1.0, 0.5]),
        ("f32", [1.0, 2.0, -1.0, 0.5]),
        ("f64", [1.0, 2.0, -1.0, 0.5]),
        ("i8", [1.0, 2.0, -1.0, 0.0]),
        ("i16", [1.0, 2.0, -1.0, 0.0]),
        ("i32", [1.0, 2.0, -1.0, 0.0]),
        ("u8", [1.0, 2.0, 3.0, 0.0]),
        ("bool", [1.0, 0.0, 0.0, 1.0]),
    ] {
        let n = trained(&model(array));
        assert_eq!(n.projections[0].operators, [Operator::Linear { outputs: 2, inputs: 2, weight: expected.to_vec() }], "{array}");
    }
    // Complex numbers are no weights.
    assert!(matches!(import(&model("c")).unwrap_err(), ImportError::MissingArray { known, .. } if known.len() == 9));
}

#[test]
fn the_register_example() {
    let (n, warnings) = registers(&examples()[2]);
    assert_eq!(n.name, "ring");
    assert_eq!(n.populations[0].role, Role::SpikeInput);
    let neuron = FixedNeuron { decay_u: 4096, decay_v: 128, threshold: 100, refractory: 2, bias: Bias::default() };
    assert_eq!(n.populations[1].role, Role::Neurons(vec![neuron; 3]));
    assert_eq!(n.populations[1].origin, [0, 1, 2]);
    let all = |k: usize| n.projections[k].synapses.iter().collect::<Vec<_>>();
    // From an input the net delay is the register, from a neuron one more.
    assert_eq!(all(0), [(0, 0, 255, 0)]);
    assert_eq!(n.projections[0].format, WeightFormat { bits: 8, exponent: 0, sign: SignMode::Excitatory });
    // Mixed, 6 bits: multiples of 8. 13 -> 8, -13 -> -8, 7 -> 0 (gone), 16 is masked.
    assert_eq!(all(1), [(0, 1, -8, 3), (1, 0, 8, 3), (2, 0, 8, 3)]);
    assert_eq!(n.projections[1].synapses.uniform_delay(), Some(3));
    assert_eq!(all(2), [(0, 2, -20, 6), (2, 1, -10, 1)]);
    assert_eq!(n.output, PopulationId(1));
    assert_eq!(
        warnings,
        [
            "`ring -> ring`: 3 of 4 weights are no multiples of 8 and were truncated toward zero",
            "`ring -> ring`: 1 of 4 synapses have weight 0 and were left out",
            "`ring -> ring`: 1 of 3 synapses have weight 0 and were left out",
        ]
    );
    let given = ImportOptions { dt_s: Some(1.0), ..Default::default() };
    let again = read(Path::new("nets/model.ron"), examples()[2].as_bytes(), &given, &load).unwrap();
    assert_eq!(again.warnings.len(), 4);
}

/// Each key that the parser knows stands in the document: an unknown key in every bracket makes it list them.
#[test]
fn every_key_is_documented() {
    let document = document();
    let mut keys = BTreeSet::new();
    for example in examples() {
        for (at, _) in example.match_indices('(') {
            let probe = format!("{}no_such_key: 0, {}", &example[..=at], &example[at + 1..]);
            let ImportError::Ron { message, line, column, .. } = import(&probe).unwrap_err() else { panic!("{probe}") };
            assert!(message.contains("no_such_key"), "{message}");
            let found: String = probe.lines().nth(line - 1).unwrap().chars().skip(column - 1).collect();
            assert!(found.starts_with("no_such_key"), "line {line}, column {column}: {found}");
            let known = message.split_once(", expected ").map_or("", |(_, k)| k);
            keys.extend(known.split('`').skip(1).step_by(2).map(str::to_string));
        }
    }
    assert_eq!(keys.len(), 50, "{keys:?}");
    for key in keys {
        assert!(
            document.contains(&format!("`{key}`")) || document.contains(&format!("`{key}: ")) || document.contains(&format!("{key}: ")),
            "{key}"
        );
    }
}

#[test]
fn the_table_of_conventions_is_the_code() {
    let document = document();
    for c in conventions::ALL {
        let default = if c.name == "nir" { " (default)" } else { "" };
        let fire = if c.fire == FireRule::Greater { "`>`" } else { "`>=`" };
        let reset = if c.reset == ResetRule::ToValue { "to `v_reset`" } else { "subtract" };
        let steps = if c.discretization == Discretization::Euler { "Euler" } else { "exact" };
        let row = format!("| `{}`{default} | {fire} | {reset} | {steps} |", c.name);
        assert!(document.contains(&row), "{row}");
    }
}

#[test]
fn options_win_over_the_file() {
    let options = ImportOptions { dt_s: Some(0.25), convention: Some("sinabs".into()), ..Default::default() };
    let imported = read(Path::new("nets/model.ron"), examples()[0].as_bytes(), &options, &load).unwrap();
    let Model::Trained(n) = imported.model else { panic!() };
    let c = n.conventions;
    assert_eq!((c.dt_s, c.name.as_str(), c.fire, c.reset), (0.25, "sinabs", FireRule::GreaterEqual, ResetRule::Subtract));
    assert_eq!(c.discretization, Discretization::Exact);
    let options = ImportOptions { discretization: Some(Discretization::Exact), ..Default::default() };
    let Model::Trained(n) = read(Path::new("nets/model.ron"), examples()[0].as_bytes(), &options, &load).unwrap().model else { panic!() };
    assert_eq!((n.conventions.discretization, n.conventions.fire), (Discretization::Exact, FireRule::Greater));
}

/// Replaces the first `from` of an example; returns the error.
fn broken(example: usize, from: &str, to: &str) -> ImportError {
    let text = examples()[example].clone();
    assert!(text.contains(from), "{from}");
    import(&text.replacen(from, to, 1)).unwrap_err()
}

#[test]
fn places_of_syntax_errors() {
    for (text, place) in [("Trained(\n  dt: 1.0,\n  colour: 3)", (3, 3)), ("Trained(dt: x)", (1, 13)), ("Registers(", (1, 10))] {
        let e = import(text).unwrap_err();
        let ImportError::Ron { line, column, path, .. } = &e else { panic!("{e}") };
        assert_eq!((*line, *column), place, "{e}");
        assert_eq!(path, "nets/model.ron");
    }
    let e = read(Path::new("m.ron"), b"Trained(\n \xff", &ImportOptions::default(), &load).unwrap_err();
    assert!(matches!(e, ImportError::Ron { line: 2, column: 2, .. }), "{e}");
}

#[test]
fn wrong_arrays_are_named() {
    let e = broken(0, "weights.npz:w1", "weights.npz:w9");
    assert!(e.to_string().contains("`mask1`, `w1`"), "{e}");
    for (from, to, expected) in [
        ("\"weights.npz:w1\"", "\"other.npz:w1\"", "`other.npz`"),
        ("\"weights.npz:w1\"", "\"broken.npz:w1\"", "`broken.npz`"),
        ("\"weights.npz:w1\"", "\"weights.npz\"", "isn't a reference"),
        ("\"weights.npz:w1\"", "\"weights.txt:w1\"", "not a .npz"),
        ("\"weights.npz:w1\"", "1.0", "projections[0].chain[3].weight"),
        ("\"weights.npz:mask1\"", "\"w2.npy\"", "[4, 6]"),
        ("\"w2.npy\"", "\"weights.npz:w1\"", "(outputs, 4)"),
        ("[0.1, 0.2]", "[0.1, 0.2, 0.3]", "3 numbers"),
        ("[0, -1, -1, 0]", "[0, -1, -1]", "3 numbers"),
        ("v_threshold: [1.0, 0.5]", "v_threshold: [1.0]", "populations[2].neurons.v_threshold"),
    ] {
        let e = broken(0, from, to).to_string();
        assert!(e.contains(expected), "{to}: {e}");
    }
}

#[test]
fn wrong_names_and_shapes_are_named() {
    for (from, to, expected) in [
        ("post: \"hidden\"", "post: \"hiden\"", "no population `hiden`; there are `hidden`, `image`, `out`"),
        ("post: \"hidden\"", "post: \"image\"", "the input `image`"),
        ("name: \"out\"", "name: \"hidden\"", "`hidden` is used twice"),
        ("output: \"out\"", "output: \"image\"", "`output` is the input `image`"),
        ("shape: [1, 2, 3], neurons: Input", "shape: [1, 2, 3], neurons: If(v_threshold: 1)", "no Input"),
        ("shape: [4]", "shape: [0]", "populations[1].shape"),
        ("shape: [4]", "shape: [4294967295, 4294967295]", "populations[1].shape"),
        ("shape: [4]", "shape: [5]", "the neurons of `hidden`"),
        ("Flatten,", "Reshape(shape: [2, 4]),", "`projections[0].chain[2].shape` is [2, 4], expected a shape with 6 elements"),
        ("Flatten,", "Reshape(shape: []),", "projections[0].chain[2].shape"),
        ("dt: 1.0,", "", "how long a step is"),
        ("dt: 1.0", "dt: -1.0", "not a positive number"),
        ("\"spikingjelly\"", "\"jelly\"", "unknown convention `jelly`"),
    ] {
        let e = broken(0, from, to).to_string();
        assert!(e.contains(expected), "{to}: {e}");
    }
}

#[test]
fn registers_have_ranges() {
    for (from, to, expected) in [
        ("decay_u: 4096", "decay_u: 0", "populations[0].decay_u[0]"),
        ("decay_v: 128", "decay_v: 4097", "from 0 to 4096"),
        ("threshold: 100", "threshold: 0.5", "a whole number"),
        ("threshold: 100", "threshold: [1, 2]", "3 whole numbers"),
        ("refractory: 2", "refractory: 0", "from 1 to 255"),
        ("bias_exponent: 0", "bias_exponent: 16", "from 0 to 15"),
        ("weight: [255]", "weight: [256]", "from 0 to 255"),
        ("weight: [255]", "weight: [-1]", "from 0 to 255"),
        ("pre_index: [0]", "pre_index: [1]", "from 0 to 0"),
        ("post_index: [0]", "post_index: [3]", "from 0 to 2"),
        ("pre_index: [0]", "pre_index: [0, 0]", "post_index"),
        ("delay: 0)", "delay: 65535)", "from 0 to 65534"),
        ("weight_bits: 8", "weight_bits: 9", "1 to 8"),
        ("weight_exponent: 0", "weight_exponent: -9", "-8 to 7"),
        ("ring.npz:mask", "ring.npz:i", "[3, 3]"),
        ("post: \"ring\"", "post: \"start\"", "the input `start`"),
        ("name: \"start\"", "name: \"ring\"", "used twice"),
    ] {
        let e = broken(2, from, to).to_string();
        assert!(e.contains(expected), "{to}: {e}");
    }
}

#[test]
fn a_grid_wider_than_the_range_leaves_nothing() {
    // 1 bit, excitatory: multiples of 128.
    let text = examples()[2].replacen("weight_bits: 8", "weight_bits: 1", 1);
    let (n, warnings) = registers(&text);
    assert_eq!(n.projections[0].synapses.iter().collect::<Vec<_>>(), [(0, 0, 128, 0)]);
    assert_eq!(warnings.len(), 4);
}
