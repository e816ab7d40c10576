//! Every operator in a RON model and, where NIR has it, in a NIR file: read, written, read again; maxima of spikes.

use proptest::prelude::*;
use spikec_data::{Array, ArrayData, SpikeTrain, write_npz};
use spikec_import::{ImportError, ImportOptions, Model, read_model, read_nir, write_model, write_nir};
use spikec_net::*;
use std::path::Path;

/// A model whose chain is `chain`, from an input of shape `pre` to neurons of shape `post`; arrays by name.
fn text(pre: &str, post: &str, chain: &str) -> String {
    format!(
        "Trained(dt: 1.0, populations: [(name: \"in\", shape: {pre}, neurons: Input), (name: \"n\", shape: {post}, neurons: If(v_threshold: 1.0))], \
         projections: [(name: \"p\", pre: \"in\", post: \"n\", chain: [{chain}])], output: \"n\")"
    )
}

fn array(shape: &[usize]) -> Array {
    let n: usize = shape.iter().product();
    Array { shape: shape.into(), data: ArrayData::F32((0..n).map(|k| (k % 7) as f32 - 3.0).collect()) }
}

fn read(text: &str, arrays: &[(&str, Array)]) -> Result<Network, ImportError> {
    let bytes = write_npz(arrays);
    let load = |_: &Path| Ok(bytes.clone());
    let model = read_model(Path::new("net.ron"), text.as_bytes(), &ImportOptions::default(), &load)?.model;
    match model {
        Model::Trained(n) => Ok(n),
        Model::Registers(_) => panic!("not trained"),
    }
}

/// Writes the network as a model, reads it back, and returns the text.
fn again(n: &Network) -> String {
    let (text, arrays) = write_model(n, "net.npz").unwrap();
    let load = |_: &Path| Ok(arrays.clone());
    let read = read_model(Path::new("net.ron"), text.as_bytes(), &ImportOptions::default(), &load).unwrap().model;
    let Model::Trained(read) = read else { panic!("not trained") };
    assert_eq!(read.projections, n.projections);
    assert_eq!(read.populations, n.populations);
    text
}

fn axis(size: u32, kernel: u32, stride: u32, dilation: u32, padding: [u32; 2]) -> Axis {
    Axis { size, kernel, stride, dilation, padding }
}

#[test]
fn links_become_operators_and_are_written_again() {
    let chain = r#"
        Conv2d(weight: "a.npz:w", mask: "a.npz:m", bias: [1, 2, 3, 4], stride: [1, 2], padding: [1, [0, 2]], dilation: 2, groups: 2),
        BatchNorm(mean: [1, 2, 3, 4], variance: 0.5, epsilon: 0.25),
        AvgPool2d(kernel: 2, stride: 1, padding: 1, count_include_pad: false),
        ConvTranspose2d(weight: "a.npz:t", stride: 2, output_padding: [1, 0]),
        Place(at: [1, 0, 0], shape: [3, 17, 10]),
        SumPool2d(kernel: [17, 2]),
        Reshape(shape: [3, 5]),
        Conv1d(weight: "a.npz:v", padding: "same"),
        AvgPool1d(kernel: 5),
        Flatten,
        Delay(delay: [0, 3]),
    "#;
    let mut mask = array(&[4, 1, 2, 2]);
    mask.data = ArrayData::Bool((0..16).map(|k| k % 3 != 0).collect());
    let arrays = [("w", array(&[4, 1, 2, 2])), ("m", mask), ("t", array(&[4, 1, 1, 2])), ("v", array(&[2, 3, 2]))];
    let n = read(&text("[2, 7, 8]", "[2]", chain), &arrays).unwrap();
    let ops = &n.projections[0].operators;
    let kinds: Vec<&str> = ops.iter().map(Operator::kind).collect();
    let expected = [
        "Conv2d",
        "Bias",
        "BatchNorm",
        "AvgPool2d",
        "ConvTranspose2d",
        "Place",
        "SumPool2d",
        "Reshape",
        "Conv1d",
        "AvgPool1d",
        "Reshape",
        "Delay",
    ];
    assert_eq!(kinds, expected);
    let Operator::Conv(c) = &ops[0] else { panic!() };
    assert_eq!(c.axes, [axis(7, 2, 1, 2, [1, 1]), axis(8, 2, 2, 2, [0, 2])]);
    assert_eq!((c.channels, c.outputs, c.groups, c.output_shape().unwrap()), (2, 4, 2, vec![4, 7, 4]));
    assert!(c.weight.iter().enumerate().all(|(k, &w)| w == if k % 3 != 0 { (k % 7) as f32 - 3.0 } else { 0.0 }));
    let Operator::Bias { bias } = &ops[1] else { panic!() };
    assert_eq!((bias.len(), bias[0], bias[27], bias[28], bias[111]), (112, 1.0, 1.0, 2.0, 4.0));
    let Operator::Pool(p) = &ops[3] else { panic!() };
    assert_eq!((p.kind, p.output_shape().unwrap()), (PoolKind::AverageInside, vec![4, 8, 5]));
    let Operator::ConvTranspose(c) = &ops[4] else { panic!() };
    assert_eq!((c.channels, c.outputs, c.output_shape().unwrap()), (4, 1, vec![1, 16, 10]));
    let Operator::Conv(c) = &ops[8] else { panic!() };
    assert_eq!(c.axes, [axis(5, 2, 1, 1, [0, 1])]);
    assert_eq!(n.elaborate(InputKind::Spikes).unwrap().check(), Ok(()));
    let written = again(&n);
    assert!(written.contains("padding: [[1, 1], [0, 2]], dilation: 2, groups: 2"), "{written}");
    assert!(written.contains("bias: \"net.npz:") && !written.contains("Bias("), "{written}");
}

#[test]
fn a_bias_that_differs_within_a_channel_stays_by_itself() {
    let chain = r#"Conv1d(weight: "a.npz:v"), Bias(bias: [1, 2, 3, 4])"#;
    let n = read(&text("[3, 3]", "[2, 2]", chain), &[("v", array(&[2, 3, 2]))]).unwrap();
    assert!(again(&n).contains("Bias("));
    let e = write_nir(&n).unwrap_err().to_string();
    assert!(e.contains("a convolution whose bias differs within a channel"), "{e}");
}

#[test]
fn nir_takes_what_it_has_and_refuses_the_rest_by_name() {
    let take = |pre: &str, post: &str, chain: &str, arrays: &[(&str, Array)]| {
        let n = read(&text(pre, post, chain), arrays).unwrap();
        write_nir(&n).map(|bytes| (n, read_nir(&bytes, &ImportOptions::default()).unwrap().0))
    };
    let v = [("v", array(&[2, 3, 2]))];
    let w = [("w", array(&[4, 1, 2, 3]))];
    for (pre, post, chain, arrays) in [
        ("[3, 5]", "[2, 3]", r#"Conv1d(weight: "a.npz:v", stride: 2, padding: 1, bias: 0.5)"#, v.as_slice()),
        ("[3, 5]", "[2, 5]", r#"Conv1d(weight: "a.npz:v", padding: "same")"#, &v),
        ("[2, 5, 6]", "[4, 3, 4]", r#"Conv2d(weight: "a.npz:w", groups: 2, stride: [2, 1], padding: [1, 0], dilation: [2, 1])"#, &w),
        ("[2, 5, 6]", "[2, 2, 4]", "SumPool2d(kernel: [2, 3], stride: [3, 1])", &[]),
        ("[2, 4, 4]", "[2, 3, 3]", "AvgPool2d(kernel: 2, padding: 1), Delay(delay: 3)", &[]),
    ] {
        match take(pre, post, chain, arrays) {
            Ok((n, read)) => assert_eq!(n.projections[0].operators, read.projections[0].operators, "{chain}"),
            Err(e) => panic!("{chain}: {e}"),
        }
    }
    let t = [("t", array(&[3, 1, 2]))];
    for (pre, post, chain, arrays, what) in [
        ("[3, 5]", "[1, 6]", r#"ConvTranspose1d(weight: "a.npz:t")"#, t.as_slice(), "a ConvTranspose1d"),
        ("[3, 5]", "[2, 6]", r#"Conv1d(weight: "a.npz:v", padding: [[0, 2]])"#, &v, "other padding before the map than behind it"),
        ("[2, 4]", "[2, 2]", "SumPool1d(kernel: 2)", &[], "no SumPool2d or AvgPool2d of NIR"),
        ("[2, 4, 4]", "[2, 2, 2]", "AvgPool2d(kernel: 2, count_include_pad: false)", &[], "no SumPool2d or AvgPool2d of NIR"),
        ("[2, 4]", "[2, 4]", "BatchNorm(variance: 1)", &[], "a BatchNorm"),
        ("[2, 4]", "[3, 4]", "Place(at: [0, 0], shape: [3, 4])", &[], "a Place"),
    ] {
        let Err(e) = take(pre, post, chain, arrays) else { panic!("{chain} was written") };
        assert!(e.to_string().contains(what), "{e}");
    }
}

#[test]
fn loops_are_written_to_nir_where_it_closes_them_itself() {
    let model = |delay: u32| {
        format!(
            "Trained(dt: 1.0, populations: [(name: \"in\", shape: [2], neurons: Input), (name: \"n\", shape: [2], neurons: If(v_threshold: 1.0)), \
             (name: \"t\", shape: [2], neurons: Threshold(v_threshold: 0.5))], \
             projections: [(pre: \"in\", post: \"n\"), (pre: \"n\", post: \"n\", chain: [Linear(weight: [0, 1, 1, 0])], delay: {delay}), \
             (pre: \"n\", post: \"t\")], output: \"t\")"
        )
    };
    let n = read(&model(1), &[]).unwrap();
    let (back, _) = read_nir(&write_nir(&n).unwrap(), &ImportOptions::default()).unwrap();
    assert_eq!(back.populations, n.populations);
    assert_eq!(back.projections.iter().map(|p| p.delay_steps).collect::<Vec<_>>(), [0, 1, 0]);
    again(&n);
    let e = write_nir(&read(&model(2), &[]).unwrap()).unwrap_err().to_string();
    assert!(e.contains("a delay that no loop explains"), "{e}");
}

#[test]
fn bad_links_name_key_found_and_expected() {
    let v = [("v", array(&[2, 3, 2])), ("z", array(&[2, 0, 2]))];
    let e = |chain: &str| {
        let e = read(&text("[3, 5]", "[1]", chain), &v).unwrap_err();
        assert!(!e.hint().is_empty());
        e.to_string()
    };
    for (chain, expected) in [
        (
            r#"Conv1d(weight: [1, 2])"#,
            "`projections[0].chain[0].weight` is a list of 2 numbers, expected a reference to an array of rank 3: a list has no shape",
        ),
        (
            r#"Conv2d(weight: "a.npz:v")"#,
            "`projections[0].chain[0].weight` is an array of float32 [2, 3, 2], expected an array of rank 4 without a size of 0",
        ),
        (r#"Conv1d(weight: "a.npz:z")"#, "without a size of 0"),
        (
            r#"Conv1d(weight: "a.npz:v", groups: 3)"#,
            "a kernel [2, 3, 2] with 3 groups, for 9 channels, expected one for the 3 channels that come in",
        ),
        (
            r#"Conv1d(weight: "a.npz:v", stride: 0)"#,
            "node `projections[0].chain[0]` (Conv1d): the stride of axis 0 is 0, expected at least 1",
        ),
        (
            r#"Conv1d(weight: "a.npz:v", stride: [1, 1])"#,
            "`projections[0].chain[0].stride` is a list of 2 numbers, expected a number, or one for each of 1 axes",
        ),
        (r#"Conv1d(weight: "a.npz:v", padding: "full")"#, "full"),
        (r#"Conv1d(weight: "a.npz:v", padding: [[1, 2, 3]])"#, "a pair [before, after]"),
        (r#"Conv1d(weight: "a.npz:v", padding: "same", stride: 2)"#, "padding `same` with a stride of 2, expected 1"),
        (
            r#"Flatten, Conv1d(weight: "a.npz:v")"#,
            "a tensor of shape [15] that comes in, expected one of (channels, length); Reshape makes it",
        ),
        (r#"SumPool1d(kernel: 6)"#, "axis 0: the kernel covers 6 places, but the padded map has only 5"),
        (r#"MaxPool1d(kernel: 6)"#, "axis 0: the kernel covers 6 places"),
        (r#"Scale(scale: 2), MaxPool1d(kernel: 2)"#, "a maximum of values behind a Scale, expected one of spikes"),
        (r#"BatchNorm(variance: 1, epsilon: -1)"#, "`projections[0].chain[0].epsilon` is -1, expected a number from 0 on"),
        (r#"Place(at: [1, 1], shape: [3, 6])"#, "axis 0: 3 places from 1 on do not fit into 3"),
        (r#"Place(at: [1], shape: [3])"#, "three lists of the same length"),
        (r#"Conv1d(weight: "a.npz:v", kernel: 2)"#, "kernel"),
    ] {
        let found = e(chain);
        assert!(found.contains(expected), "{chain}: {found}");
    }
}

/// Spikes of the chip-free reference: of population `p`, (step, neuron).
fn spikes(net: &Net<Float>, train: &SpikeTrain, steps: u32, p: usize) -> Vec<Vec<u32>> {
    run_sample(&Interpreter::new(net).unwrap(), Some(train), &[], steps, true).spikes[p].clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn maxima_of_spikes_are_exact_in_the_same_step(
        seed in any::<u64>(),
        kernel in (1u32..4, 1u32..4),
        stride in (1u32..4, 1u32..4),
        padding in 0u32..2,
        greater in any::<bool>(),
        subtract in any::<bool>(),
    ) {
        let (h, w, steps) = (5u32, 6u32, 12u32);
        let outputs = |size: u32, k: u32, s: u32| (size + 2 * padding - k) / s + 1;
        let (oh, ow) = (outputs(h, kernel.0, stride.0), outputs(w, kernel.1, stride.1));
        let chain = format!("MaxPool2d(kernel: [{}, {}], stride: [{}, {}], padding: {padding})", kernel.0, kernel.1, stride.0, stride.1);
        let mut n = read(&text("[2, 5, 6]", &format!("[2, {oh}, {ow}]"), &chain), &[]).unwrap();
        n.conventions.fire = if greater { FireRule::Greater } else { FireRule::GreaterEqual };
        n.conventions.reset = if subtract { ResetRule::Subtract } else { ResetRule::ToValue };
        prop_assert_eq!(n.populations.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["in", "n", "p max"]);
        prop_assert_eq!(&n.populations[2].role, &TrainedRole::Neurons(NeuronModel::Or));
        let net = n.elaborate(InputKind::Spikes).unwrap();
        prop_assert_eq!(net.check(), Ok(()));
        let mut train = SpikeTrain::empty(2 * h * w);
        let mut state = seed | 1;
        for _ in 0..steps {
            for c in 0..2 * h * w {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                if state >> 60 == 0 {
                    train.channels.push(c);
                }
            }
            train.offsets.push(train.channels.len() as u32);
        }
        for (t, fired) in spikes(&net, &train, steps, 2).iter().enumerate() {
            let now = &train.channels[train.offsets[t] as usize..train.offsets[t + 1] as usize];
            let mut expected = Vec::new();
            for (c, y, x) in (0..2).flat_map(|c| (0..oh).flat_map(move |y| (0..ow).map(move |x| (c, y, x)))) {
                let covers = |size: u32, k: u32, s: u32, o: u32, i: u32| i < size && (o * s..o * s + k).contains(&(i + padding));
                let any = now.iter().any(|&i| {
                    i / (h * w) == c && covers(h, kernel.0, stride.0, y, i / w % h) && covers(w, kernel.1, stride.1, x, i % w)
                });
                if any {
                    expected.push((c * oh + y) * ow + x);
                }
            }
            prop_assert_eq!(fired, &expected, "step {}", t);
        }
    }
}

#[test]
fn maxima_of_anything_but_spikes_are_refused() {
    let n = read(&text("[1, 4]", "[1, 2]", "MaxPool1d(kernel: 2)"), &[]).unwrap();
    let e = n.elaborate(InputKind::Analog).unwrap_err();
    assert!(matches!(e, ElaborateError::NotOr { found: "analog values", .. }), "{e}");
    again(&n);
    let e = write_nir(&n).unwrap_err().to_string();
    assert!(e.contains("`p max` can't be written as NIR: maxima of spikes"), "{e}");
    let mut weighted = n.clone();
    weighted.projections[0].operators.push(Operator::Scale { scale: vec![0.5; 2] });
    assert!(matches!(weighted.elaborate(InputKind::Spikes), Err(ElaborateError::NotOr { found: "other weights", .. })));
    let mut constant = n;
    constant.projections[0].operators.push(Operator::Bias { bias: vec![0.5; 2] });
    assert!(matches!(constant.elaborate(InputKind::Spikes), Err(ElaborateError::NotOr { found: "a constant", .. })));
}

#[test]
fn branches_are_concatenated_by_their_places() {
    // [a; b] through one matrix, as two projections.
    let chain = |at: u32| format!("Flatten, Place(at: [{at}], shape: [5]), Linear(weight: [1, 2, 3, 4, 5])");
    let model = format!(
        "Trained(dt: 1.0, populations: [(name: \"a\", shape: [2], neurons: Input), (name: \"b\", shape: [1, 3], neurons: Input), \
         (name: \"n\", shape: [1], neurons: If(v_threshold: 100.0))], projections: [(name: \"pa\", pre: \"a\", post: \"n\", chain: [{}]), \
         (name: \"pb\", pre: \"b\", post: \"n\", chain: [{}])], output: \"n\")",
        chain(0),
        chain(2)
    );
    let n = read(&model, &[]).unwrap();
    let net = n.elaborate(InputKind::Spikes).unwrap();
    assert_eq!(net.projections[0].synapses.iter().map(|s| s.2).collect::<Vec<_>>(), [1.0, 2.0]);
    assert_eq!(net.projections[1].synapses.iter().map(|s| s.2).collect::<Vec<_>>(), [3.0, 4.0, 5.0]);
    again(&n);
}
