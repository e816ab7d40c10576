//! Graphs that are made by hand, one for each rule.

use super::chains::{Parts, build};
use super::file::{RawArray, RawContent, RawGraph, RawNode, RawValues};
use super::{graph, kinds};
use crate::error::ImportError;
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
