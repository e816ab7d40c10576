//! Graphs that are made by hand, one for each rule.

use super::chains::{Parts, build};
use super::file::{RawContent, RawGraph, RawNode};
use super::{graph, kinds};
use crate::error::ImportError;
use crate::hdf5::{RawArray, RawValues};
use spikec_net::{NeuronModel, Operator, TrainedRole};

type Parameters<'a> = &'a [(&'static str, &'a [u64], f32)];

/// A node whose parameters are filled with one value.
fn node(name: &str, kind: &str, parameters: Parameters) -> RawNode {
    let array = |shape: &[u64], value: f32| RawArray {
        shape: shape.to_vec(),
        values: RawValues::Float(vec![value; shape.iter().product::<u64>() as usize]),
    };
    let parameters = parameters.iter().map(|(p, s, v)| (*p, array(s, *v))).collect();
    RawNode { name: name.into(), content: RawContent::Primitive { kind: kinds::find(kind).unwrap(), parameters } }
}

fn shaped(name: &str, kind: &str, shape: &[i64]) -> RawNode {
    let array = RawArray { shape: vec![shape.len() as u64], values: RawValues::Int(shape.to_vec()) };
    RawNode {
        name: name.into(),
        content: RawContent::Primitive { kind: kinds::find(kind).unwrap(), parameters: [("shape", array)].into() },
    }
}

fn neurons(name: &str, shape: &[u64]) -> RawNode {
    node(name, "IF", &[("r", shape, 1.0), ("v_threshold", shape, 1.0)])
}

fn linear(name: &str, outputs: u64, inputs: u64) -> RawNode {
    node(name, "Linear", &[("weight", &[outputs, inputs], 0.5)])
}

fn parts(nodes: Vec<RawNode>, edges: &[(&str, &str)]) -> Result<Parts, ImportError> {
    let edges = edges.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
    build(graph::flatten(RawGraph { nodes, edges }, None)?)
}

fn error(nodes: Vec<RawNode>, edges: &[(&str, &str)]) -> String {
    match parts(nodes, edges) {
        Ok(_) => panic!("the graph was read"),
        Err(e) => {
            assert!(!e.hint().is_empty());
            e.to_string()
        }
    }
}

#[test]
fn shapes_that_do_not_chain_name_both_nodes() {
    let e = error(
        vec![shaped("in", "Input", &[3]), linear("fc", 2, 4), neurons("if", &[2]), shaped("out", "Output", &[2])],
        &[("in", "fc"), ("fc", "if"), ("if", "out")],
    );
    assert_eq!(e, "`in` gives a tensor of shape [3], but `fc` takes [4] (its weight is 2 x 4)");
    let e = error(
        vec![shaped("in", "Input", &[4]), linear("fc", 2, 4), neurons("if", &[3]), shaped("out", "Output", &[3])],
        &[("in", "fc"), ("fc", "if"), ("if", "out")],
    );
    assert_eq!(e, "`fc` gives a tensor of shape [2], but `if` takes [3]");
    let e = error(
        vec![
            shaped("in", "Input", &[4]),
            linear("a", 2, 4),
            linear("b", 3, 4),
            linear("c", 1, 2),
            neurons("if", &[1]),
            shaped("out", "Output", &[1]),
        ],
        &[("in", "a"), ("in", "b"), ("a", "c"), ("b", "c"), ("c", "if"), ("if", "out")],
    );
    assert_eq!(e, "`b` gives a tensor of shape [3], but `c` takes [2] (the shape that `a` gives it)");
    let e = error(
        vec![shaped("in", "Input", &[2, 2]), linear("fc", 2, 4), neurons("if", &[2]), shaped("out", "Output", &[2])],
        &[("in", "fc"), ("fc", "if"), ("if", "out")],
    );
    assert!(e.contains("[2, 2]"), "{e}");
}

#[test]
fn only_dimensions_of_size_one_may_differ() {
    let p = parts(
        vec![shaped("in", "Input", &[1, 4]), linear("fc", 2, 4), neurons("if", &[1, 2]), shaped("out", "Output", &[2, 1])],
        &[("in", "fc"), ("fc", "if"), ("if", "out")],
    )
    .unwrap();
    let shapes: Vec<_> =
        p.projections[0].operators.iter().map(|o| if let Operator::Reshape { shape } = o { shape.clone() } else { vec![] }).collect();
    assert_eq!(shapes, [vec![4], vec![], vec![1, 2]]);
    assert_eq!(p.warnings, Vec::<String>::new());
}

#[test]
fn scalar_parameters_take_the_incoming_shape() {
    let p = parts(vec![shaped("in", "Input", &[2, 3]), neurons("if", &[]), shaped("out", "Output", &[7])], &[("in", "if"), ("if", "out")])
        .unwrap();
    assert_eq!(p.populations[1].shape, [2, 3]);
    assert_eq!(
        p.populations[1].role,
        TrainedRole::Neurons(NeuronModel::If { r: vec![1.0; 6], v_threshold: vec![1.0; 6], v_reset: vec![0.0; 6] })
    );
    assert!(p.warnings[0].contains("declares the shape [7]"), "{:?}", p.warnings);
    let e = error(
        vec![shaped("in", "Input", &[2]), node("if", "IF", &[("r", &[2], 1.0), ("v_threshold", &[3], 1.0)]), shaped("out", "Output", &[2])],
        &[("in", "if"), ("if", "out")],
    );
    assert_eq!(e, "parameters of node `if` have different shapes: r [2], v_threshold [3]");
}

#[test]
fn one_output_behind_neurons() {
    let start = || vec![shaped("in", "Input", &[2]), neurons("if", &[2])];
    let e = error(start(), &[("in", "if")]);
    assert!(e.contains("0 Output nodes"), "{e}");
    let mut two = start();
    two.extend([shaped("o1", "Output", &[2]), shaped("o2", "Output", &[2])]);
    let e = error(two, &[("in", "if"), ("if", "o1"), ("if", "o2")]);
    assert!(e.contains("2 Output nodes (`o1`, `o2`)"), "{e}");
    let mut through = start();
    through.extend([linear("fc", 2, 2), shaped("out", "Output", &[2])]);
    let e = error(through, &[("in", "if"), ("if", "fc"), ("fc", "out")]);
    assert_eq!(e, "the Output node `out` is fed by `fc` (Linear), expected exactly one node of neurons");
    let mut input = start();
    input.push(shaped("out", "Output", &[2]));
    let e = error(input, &[("in", "if"), ("in", "out")]);
    assert!(e.contains("`in` (Input)"), "{e}");
    let mut nothing = start();
    nothing.push(shaped("out", "Output", &[2]));
    assert!(error(nothing, &[("in", "if")]).contains("fed by nothing"));
}

#[test]
fn inputs_begin_every_way() {
    let e = error(vec![neurons("if", &[2]), neurons("b", &[2]), shaped("out", "Output", &[2])], &[("if", "b"), ("b", "out")]);
    assert_eq!(e, "the network has no Input node");
    let e = error(
        vec![shaped("in", "Input", &[2]), linear("fc", 2, 2), neurons("if", &[2]), shaped("out", "Output", &[2])],
        &[("in", "if"), ("fc", "if"), ("if", "out")],
    );
    assert_eq!(e, "node `fc` (Linear) has no input");
    let e = error(vec![neurons("if", &[2]), shaped("in", "Input", &[2]), shaped("out", "Output", &[2])], &[("if", "in"), ("in", "out")]);
    assert_eq!(e, "an edge leads from `if` into the Input node `in`");
}

#[test]
fn dead_ends_are_told() {
    let p = parts(
        vec![shaped("in", "Input", &[2]), linear("fc", 9, 2), neurons("free", &[2]), neurons("if", &[2]), shaped("out", "Output", &[2])],
        &[("in", "if"), ("in", "fc"), ("free", "if"), ("if", "out")],
    )
    .unwrap();
    assert_eq!(p.warnings, ["node `fc` (Linear) leads nowhere and is ignored", "nothing feeds the neurons of `free`"]);
}

#[test]
fn ways_that_double_at_every_node_are_bounded() {
    let mut nodes = vec![shaped("in", "Input", &[1]), neurons("if", &[1]), shaped("out", "Output", &[1])];
    let mut edges = vec![("if".to_string(), "out".to_string())];
    let mut last = vec!["in".to_string()];
    for k in 0..40 {
        let pair = vec![format!("a{k:02}"), format!("b{k:02}")];
        for name in &pair {
            nodes.push(linear(name, 1, 1));
            edges.extend(last.iter().map(|l| (l.clone(), name.clone())));
        }
        last = pair;
    }
    edges.push((last[0].clone(), "if".into()));
    let edges: Vec<_> = edges.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let e = error(nodes, &edges);
    assert!(e.contains("ways through operators"), "{e}");
}

#[test]
fn hostile_shapes_are_errors() {
    for shape in [&[-1i64][..], &[0], &[i64::MAX, i64::MAX], &[1 << 20, 1 << 20], &[1; 40]] {
        let e =
            error(vec![shaped("in", "Input", shape), neurons("if", &[]), shaped("out", "Output", &[2])], &[("in", "if"), ("if", "out")]);
        assert!(e.contains("`shape` of node `in`"), "{e}");
    }
    let e = error(
        vec![
            shaped("in", "Input", &[2]),
            node("fc", "Linear", &[("weight", &[2, 2, 2], 1.0)]),
            neurons("if", &[2]),
            shaped("out", "Output", &[2]),
        ],
        &[("in", "fc"), ("fc", "if"), ("if", "out")],
    );
    assert!(e.contains("(outputs, inputs)"), "{e}");
    let e = error(
        vec![
            shaped("in", "Input", &[2]),
            node("fc", "Affine", &[("weight", &[2, 2], 1.0), ("bias", &[3], 1.0)]),
            neurons("if", &[2]),
            shaped("out", "Output", &[2]),
        ],
        &[("in", "fc"), ("fc", "if"), ("if", "out")],
    );
    assert_eq!(e, "`bias` of node `fc` has shape [3], expected [2]");
}

/// A Conv2d with a kernel of ones: (outputs, channels / groups, height, width), and its integer parameters.
fn conv(name: &str, weight: &[u64], integers: &[(&'static str, &[i64])]) -> RawNode {
    let mut node = node(name, "Conv2d", &[("weight", weight, 1.0)]);
    let RawContent::Primitive { parameters, .. } = &mut node.content else { unreachable!() };
    for (key, values) in [("stride", &[1i64][..]), ("padding", &[0]), ("dilation", &[1]), ("groups", &[1])].iter().chain(integers) {
        parameters.insert(key, RawArray { shape: vec![values.len() as u64], values: RawValues::Int(values.to_vec()) });
    }
    node
}

fn behind(input: &[i64], operator: RawNode) -> Result<Parts, ImportError> {
    let name = operator.name.clone();
    parts(
        vec![
            shaped("in", "Input", input),
            operator,
            node("if", "IF", &[("r", &[], 1.0), ("v_threshold", &[], 1.0)]),
            shaped("out", "Output", &[1]),
        ],
        &[("in", &name), (&name, "if"), ("if", "out")],
    )
}

#[test]
fn shapes_of_convolutions_are_inferred_through_the_chain() {
    let p = parts(
        vec![
            shaped("in", "Input", &[1, 2, 9, 8]),
            conv("c1", &[4, 1, 3, 3], &[("groups", &[2]), ("padding", &[1])]),
            conv("c2", &[3, 4, 2, 2], &[("stride", &[2, 3])]),
            node("if", "IF", &[("r", &[], 1.0), ("v_threshold", &[], 1.0)]),
            shaped("out", "Output", &[1]),
        ],
        &[("in", "c1"), ("c1", "c2"), ("c2", "if"), ("if", "out")],
    )
    .unwrap();
    assert_eq!(p.populations[1].shape, [3, 4, 3]);
    let kinds: Vec<&str> = p.projections[0].operators.iter().map(Operator::kind).collect();
    assert_eq!(kinds, ["Reshape", "Conv2d", "Conv2d"], "the batch axis goes");
}

#[test]
fn bad_convolutions_name_node_found_and_expected() {
    let e = |input: &[i64], node: RawNode| match behind(input, node) {
        Ok(_) => panic!("the graph was read"),
        Err(e) => {
            assert!(!e.hint().is_empty());
            e.to_string()
        }
    };
    let two = [2, 5, 5];
    assert_eq!(
        e(&two, conv("c", &[1, 3, 3, 3], &[])),
        "`in` gives a tensor of shape [2, 5, 5], but `c` takes 3 channels of two dimensions"
    );
    assert_eq!(
        e(&two, conv("c", &[1, 2, 3, 3], &[("input_shape", &[5, 6])])),
        "`in` gives a tensor of shape [2, 5, 5], but `c` takes [2, 5, 6] (its channels and input_shape)"
    );
    assert_eq!(e(&[50], conv("c", &[1, 2, 3, 3], &[])), "`in` gives a tensor of shape [50], but `c` takes 2 channels of two dimensions");
    assert_eq!(
        e(&two, conv("c", &[1, 2, 3, 7], &[])),
        "node `c` (Conv2d): axis 1: the kernel covers 7 places, but the padded map has only 5"
    );
    assert_eq!(
        e(&two, conv("c", &[1, 2, 3, 3], &[("stride", &[1, 0])])),
        "node `c` (Conv2d): the stride of axis 1 is 0, expected at least 1"
    );
    assert_eq!(
        e(&two, conv("c", &[3, 1, 3, 3], &[("groups", &[2])])),
        "node `c` (Conv2d): 2 groups of 3 output channels: expected a divisor"
    );
    assert_eq!(
        e(&two, conv("c", &[3, 2, 3, 3], &[("groups", &[0])])),
        "`in` gives a tensor of shape [2, 5, 5], but `c` takes 0 channels of two dimensions"
    );
    let wrong = e(&two, conv("c", &[1, 2, 3, 3], &[("stride", &[1, 1, 1])]));
    assert_eq!(wrong, "`stride` of node `c` has shape [3], expected a number, or one for each of 2 axes");
    let wrong = e(&two, conv("c", &[1, 2, 3, 3], &[("padding", &[-1])]));
    assert_eq!(wrong, "`padding` of node `c` is negative, fractional or huge, expected whole numbers from 0 on, `same` or `valid`");
    let text = |padding: &str, stride: i64| {
        let mut node = conv("c", &[1, 2, 3, 3], &[("stride", &[stride])]);
        let RawContent::Primitive { parameters, .. } = &mut node.content else { unreachable!() };
        parameters.insert("padding", RawArray { shape: vec![], values: RawValues::Text(padding.into()) });
        node
    };
    assert!(e(&two, text("reflect", 1)).contains("`padding` of node `c` is `reflect`"));
    assert!(e(&two, text("same", 2)).contains("padding `same` with a stride of 2"));
    assert_eq!(behind(&two, text("same", 1)).unwrap().populations[1].shape, [1, 5, 5]);
    assert_eq!(behind(&two, text("valid", 2)).unwrap().populations[1].shape, [1, 2, 2]);
    let pool = node("p", "SumPool2d", &[("kernel_size", &[2], 6.0), ("stride", &[2], 1.0), ("padding", &[2], 0.0)]);
    assert_eq!(e(&two, pool), "node `p` (SumPool2d): axis 0: the kernel covers 6 places, but the padded map has only 5");
    let pool = node("p", "SumPool2d", &[("kernel_size", &[2], 2.0), ("stride", &[], 1.0), ("padding", &[], 0.0)]);
    assert_eq!(e(&[9], pool), "`in` gives a tensor of shape [9], but `p` takes a tensor of channels, height and width");
}

#[test]
fn a_bias_of_a_channel_stands_at_each_place_and_counts_once() {
    let with_bias = |name: &str| {
        let mut node = conv(name, &[2, 1, 2, 2], &[]);
        let RawContent::Primitive { parameters, .. } = &mut node.content else { unreachable!() };
        parameters.insert("bias", RawArray { shape: vec![2], values: RawValues::Float(vec![1.0, 2.0]) });
        node
    };
    let p = parts(
        vec![
            shaped("in", "Input", &[1, 3, 3]),
            neurons("a", &[1, 3, 3]),
            with_bias("c"),
            neurons("sum", &[2, 2, 2]),
            shaped("out", "Output", &[8]),
        ],
        &[("in", "a"), ("in", "c"), ("a", "c"), ("c", "sum"), ("sum", "out")],
    )
    .unwrap();
    // Two branches are added: of the two ways through the convolution one carries its constant.
    let into: Vec<_> = p.projections.iter().filter(|p| p.post.0 == 2).collect();
    let kinds = |k: usize| into[k].operators.iter().map(Operator::kind).collect::<Vec<_>>();
    assert_eq!((into.len(), kinds(0), kinds(1)), (2, vec!["Conv2d", "Bias"], vec!["Conv2d"]));
    assert_eq!(into[0].operators[1], Operator::Bias { bias: vec![1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0] });
}

#[test]
fn loops_through_several_populations_close_once() {
    // a and b form a loop, c hears both; the input reaches a through an operator that b feeds too.
    let p = parts(
        vec![
            shaped("in", "Input", &[2]),
            linear("fc", 2, 2),
            neurons("a", &[2]),
            neurons("b", &[2]),
            neurons("c", &[2]),
            shaped("out", "Output", &[2]),
        ],
        &[("in", "fc"), ("b", "fc"), ("fc", "a"), ("a", "b"), ("a", "c"), ("b", "c"), ("c", "c"), ("c", "out")],
    )
    .unwrap();
    let ways: Vec<_> = p.projections.iter().map(|p| (p.pre.0, p.post.0, p.delay_steps)).collect();
    assert_eq!(ways, [(0, 1, 0), (2, 1, 1), (1, 2, 0), (1, 3, 0), (2, 3, 0), (3, 3, 1)]);
    assert_eq!(
        p.warnings,
        ["`b` -> `a` closes a loop: spikes of step t act in step t + 1", "`c` -> `c` closes a loop: spikes of step t act in step t + 1"]
    );
}

#[test]
fn a_loop_with_a_delay_needs_no_other() {
    let delay = node("wait", "Delay", &[("delay", &[2], 3.0)]);
    let p = parts(
        vec![shaped("in", "Input", &[2]), neurons("a", &[2]), delay, shaped("out", "Output", &[2])],
        &[("in", "a"), ("a", "wait"), ("wait", "a"), ("a", "out")],
    )
    .unwrap();
    assert_eq!((p.projections[1].delay_steps, p.warnings.len()), (0, 0));
    assert_eq!(p.projections[1].operators, [Operator::Delay { delay: vec![3.0; 2] }]);
}
