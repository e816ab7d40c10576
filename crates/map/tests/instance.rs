//! The instance reader: every finding, and files that claim more than they hold.

use spikec_data::{Array, ArrayData};
use spikec_map::instance::{Instance, InstanceFinding};
use std::collections::BTreeMap;

type Arrays = BTreeMap<String, Array>;

fn array(data: ArrayData) -> Array {
    let mut array = Array { shape: Vec::new(), data };
    array.shape = vec![array.len()];
    array
}

fn ints(values: &[i64]) -> Array {
    array(ArrayData::I64(values.to_vec()))
}

/// Two inputs; four neurons in layers of 2 and 2.
fn good() -> Arrays {
    let list = [
        ("nin", ints(&[2])),
        ("n", ints(&[4])),
        ("ip", ints(&[0, 2, 3, 5, 6])),
        ("ix", array(ArrayData::I32(vec![0, 1, 1, 2, 3, 2]))),
        ("layer", ints(&[1, 1, 2, 2])),
        ("shapes", ints(&[2, 1, 1, 1, 2, 1])),
        ("rates", array(ArrayData::F32(vec![0.5, 0.0, 1.0, 0.25, 0.125, 2.0]))),
    ];
    list.into_iter().map(|(name, a)| (name.to_string(), a)).collect()
}

/// The good file with one array replaced.
fn with(name: &str, a: Array) -> Arrays {
    let mut arrays = good();
    arrays.insert(name.into(), a);
    arrays
}

fn without(name: &str) -> Arrays {
    let mut arrays = good();
    arrays.remove(name);
    arrays
}

#[track_caller]
fn findings(arrays: &Arrays) -> Vec<InstanceFinding> {
    let error = Instance::new(arrays, true).expect_err("refused");
    assert!(error.to_string().starts_with(&format!("{} findings; first: ", error.0.len())));
    error.0
}

/// The only finding, as it is written.
#[track_caller]
fn one(arrays: &Arrays) -> String {
    let list = findings(arrays);
    assert_eq!(list.len(), 1, "{list:?}");
    list[0].to_string()
}

#[test]
fn a_good_file_is_read() {
    let instance = Instance::new(&good(), true).expect("good");
    let graph = &instance.graph;
    assert_eq!((graph.inputs(), graph.neurons(), graph.pins()), (2, 4, 6));
    assert_eq!(graph.in_axons(2), [2, 3]);
    assert_eq!(graph.out_neurons(graph.axon(0)), [2, 3]);
    assert_eq!(instance.rates, [0.5, 0.0, 1.0, 0.25, 0.125, 2.0]);
    let layers: Vec<_> = graph.layers().iter().map(|l| (l.first, l.neurons, l.shape.map(|s| (s.channels, s.height, s.width)))).collect();
    assert_eq!(layers, [(0, 2, Some((2, 1, 1))), (2, 2, Some((1, 2, 1)))]);
    let plain = Instance::new(&good(), false).expect("good");
    assert!(plain.graph.layers().iter().all(|l| l.shape.is_none()));
    // `shapes` may be missing or empty, `rates` missing: one spike a step.
    for arrays in [without("shapes"), with("shapes", ints(&[]))] {
        assert!(Instance::new(&arrays, true).expect("good").graph.layers()[0].shape.is_none());
    }
    assert_eq!(Instance::new(&without("rates"), true).expect("good").rates, [1.0; 6]);
    // What a file has beside its arrays is not looked at; scalars may be arrays of one element or of none.
    let mut more = with("alt", array(ArrayData::F32(vec![f32::NAN])));
    more.insert("n".into(), Array { shape: Vec::new(), data: ArrayData::U16(vec![4]) });
    assert!(Instance::new(&more, true).is_ok());
}

#[test]
fn layers_are_runs_of_equal_ids() {
    let arrays = with("layer", ints(&[7, -1, -1, 7]));
    let instance = Instance::new(&arrays, false).expect("ids need no order");
    assert_eq!(instance.graph.layers().iter().map(|l| l.neurons).collect::<Vec<_>>(), [1, 2, 1]);
}

#[test]
fn missing_arrays_are_named() {
    for name in ["nin", "n", "ip", "ix", "layer"] {
        assert_eq!(findings(&without(name))[0], InstanceFinding::Missing(name));
        assert_eq!(one(&without(name)), format!("no array `{name}`"));
    }
    let names: Vec<String> = findings(&Arrays::new()).iter().map(|f| f.to_string()).collect();
    assert_eq!(names, ["nin", "n", "ip", "ix", "layer"].map(|n| format!("no array `{n}`")));
}

#[test]
fn other_kinds_of_elements_are_named() {
    for name in ["nin", "n", "ip", "ix", "layer", "shapes"] {
        let halves = array(ArrayData::F64(vec![0.5; good()[name].len()]));
        assert_eq!(one(&with(name, halves)), format!("`{name}`: found float64, expected integers"));
    }
    // Integers in floats are integers; integers that f32 can't hold are no rates, and no offsets.
    let offsets = array(ArrayData::F64(vec![0.0, 2.0, 3.0, 5.0, 6.0]));
    assert!(Instance::new(&with("ip", offsets), true).is_ok());
    let list = findings(&with("rates", array(ArrayData::U32(vec![u32::MAX; 6]))));
    assert_eq!(list[0].to_string(), "`rates`: found uint32, expected floats");
    let huge = array(ArrayData::U64(vec![u64::MAX; 6]));
    assert_eq!(one(&with("ix", huge)), "`ix`: found uint64, expected integers");
}

#[test]
fn other_lengths_are_named() {
    assert_eq!(one(&with("n", ints(&[4, 4]))), "`n`: found 2 elements, expected 1");
    assert_eq!(one(&with("nin", ints(&[]))), "`nin`: found 0 elements, expected 1");
    assert_eq!(one(&with("ip", ints(&[0, 6]))), "`ip`: found 2 elements, expected 5");
    assert_eq!(one(&with("ip", ints(&[]))), "`ip`: found 0 elements, expected 5");
    assert_eq!(one(&with("layer", ints(&[0; 5]))), "`layer`: found 5 elements, expected 4");
    assert_eq!(one(&with("shapes", ints(&[4, 1, 1]))), "`shapes`: found 3 elements, expected 6");
    assert_eq!(one(&with("rates", array(ArrayData::F32(vec![1.0; 4])))), "`rates`: found 4 elements, expected 6");
}

#[test]
fn values_out_of_range_are_named_with_their_place() {
    for (name, values, text) in [
        ("nin", vec![-1], "`nin[0]`: found -1, expected 0 .. 2^31 (1 such)"),
        ("n", vec![1 << 31], "`n[0]`: found 2147483648, expected 0 .. 2^31 (1 such)"),
        ("n", vec![0], "`n[0]`: found 0, expected at least one neuron, and fewer than 2^31 axons (1 such)"),
        ("ix", vec![0, 1, 1, 2, 6, -1], "`ix[4]`: found 6, expected 0 .. 6 (inputs, then neurons) (2 such)"),
        ("ip", vec![0, 3, 2, 5, 6], "`ip[2]`: found 2, expected offsets that rise from 0 to the 6 elements of `ix` (1 such)"),
        ("ip", vec![1, 2, 3, 5, 6], "`ip[0]`: found 1, expected offsets that rise from 0 to the 6 elements of `ix` (1 such)"),
        ("ip", vec![0, 2, 3, 5, 7], "`ip[4]`: found 7, expected offsets that rise from 0 to the 6 elements of `ix` (1 such)"),
        ("ip", vec![-5, 2, 3, 5, 6], "`ip[0]`: found -5, expected offsets that rise from 0 to the 6 elements of `ix` (1 such)"),
        (
            "ip",
            vec![0, 2, 3, 5, i64::MAX],
            "`ip[4]`: found 9223372036854775807, expected offsets that rise from 0 to the 6 elements of `ix` (1 such)",
        ),
        ("shapes", vec![2, 1, 1, 3, 1, 1], "`shapes[3]`: found [3, 1, 1], expected a shape of 2 neurons (1 such)"),
        ("shapes", vec![-2, -1, 1, 1, 2, 1], "`shapes[0]`: found [-2, -1, 1], expected a shape of 2 neurons (1 such)"),
        (
            "shapes",
            vec![2, 1, 1, 1 << 62, 1 << 62, 8],
            "`shapes[3]`: found [4611686018427387904, 4611686018427387904, 8], expected a shape of 2 neurons (1 such)",
        ),
    ] {
        assert_eq!(one(&with(name, ints(&values))), text);
    }
    for bad in [f32::NAN, f32::INFINITY, -0.5] {
        let text = format!("`rates[1]`: found {bad}, expected spikes of a step, not negative (2 such)");
        assert_eq!(one(&with("rates", array(ArrayData::F32(vec![0.5, bad, 1.0, bad, 0.0, 0.0])))), text);
    }
}

#[test]
fn axons_that_stand_twice_are_named() {
    let arrays = with("ix", ints(&[0, 1, 1, 2, 2, 2]));
    assert_eq!(findings(&arrays), [InstanceFinding::Duplicate { neuron: 2, axon: 2, count: 1 }]);
    assert_eq!(one(&arrays), "`ix`: axon 2 stands twice in the row of neuron 2 (1 such)");
}

#[test]
fn all_findings_come_at_once() {
    let mut arrays = with("ix", ints(&[0, 1, 9, 2, 3, 2]));
    arrays.insert("layer".into(), ints(&[0]));
    arrays.insert("rates".into(), array(ArrayData::F32(vec![-1.0; 6])));
    assert_eq!(findings(&arrays).len(), 3);
}

/// Memory that the process has asked for, in bytes; `None` where the system does not tell.
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmPeak:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[test]
fn small_files_that_claim_much_take_little_memory() {
    let before = memory();
    let most = (1i64 << 31) - 1;
    for (inputs, rates) in [(most - 4, false), (most, false), (most - 4, true), (most, true), (1 << 23, false)] {
        let mut arrays = with("nin", ints(&[inputs]));
        if !rates {
            arrays.remove("rates");
        }
        // Ids that are in range as claimed.
        arrays.insert("ix".into(), ints(&[0, 1, 1, inputs, inputs + 1, inputs]));
        findings(&arrays);
    }
    findings(&with("n", ints(&[most])));
    if let (Some(before), Some(after)) = (before, memory()) {
        // Each thread of the tests may reserve an arena of 64 MiB.
        assert!(after - before < 1 << 30, "{} MiB", (after - before) >> 20);
    }
    // Inputs without synapses are fine where the file holds a rate for each, and a few million without.
    let mut arrays = with("nin", ints(&[1_000_000]));
    arrays.insert("ix".into(), ints(&[0, 1, 1, 1_000_000, 1_000_001, 1_000_000]));
    arrays.insert("rates".into(), array(ArrayData::F32(vec![0.5; 1_000_004])));
    assert_eq!(Instance::new(&arrays, true).expect("held").graph.inputs(), 1_000_000);
    arrays.remove("rates");
    assert!(Instance::new(&arrays, true).is_ok());
}
