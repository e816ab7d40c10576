//! Nested graphs into one flat graph, checked for unknown ends and unsupported nodes.
//!
//! In: [`RawGraph`]. Out: [`FlatGraph`] in the order of computation.
//! Invariant: input and output nodes of nested graphs are pass nodes: an edge into one leaves it unchanged.

use super::file::{RawContent, RawGraph};
use super::kinds::{self, Class, Kind};
use super::order::order;
use crate::error::{ImportError, loosely};
use crate::hdf5::RawArray;
use std::collections::{BTreeMap, BTreeSet};

/// A primitive of the flat graph.
#[derive(Debug)]
pub(crate) struct FlatNode {
    /// Names of the enclosing graphs and its own, joined with `/`.
    pub name: String,
    pub kind: &'static Kind,
    pub parameters: BTreeMap<&'static str, RawArray>,
    /// Input or output of a nested graph: passes its tensor on.
    pub pass: bool,
}

impl FlatNode {
    /// `None` for pass nodes.
    pub fn class(&self) -> Option<Class> {
        (!self.pass).then_some(self.kind.class)
    }
}

/// A graph without graphs in it.
#[derive(Debug, Default)]
pub(crate) struct FlatGraph {
    pub nodes: Vec<FlatNode>,
    /// Predecessors of each node, ascending in the order of computation.
    pub predecessors: Vec<Vec<usize>>,
    /// Number of successors of each node.
    pub successors: Vec<usize>,
    /// All nodes; every edge leads from earlier to later, but for those into neurons that close a loop. Inputs first, else by index.
    pub order: Vec<usize>,
}

#[derive(Default)]
struct Flattener<'a> {
    nodes: Vec<FlatNode>,
    edges: Vec<(usize, usize)>,
    /// What was changed; `None`: nothing may be.
    repairs: Option<&'a mut Vec<String>>,
}

/// Where the edges of a graph's member end.
struct Ports {
    inputs: Vec<usize>,
    outputs: Vec<usize>,
}

impl Flattener<'_> {
    /// Adds a graph's nodes and edges; returns its Input and Output nodes.
    fn add(&mut self, graph: RawGraph, prefix: &str) -> Result<Ports, ImportError> {
        let mut members = BTreeMap::new();
        let mut own = Ports { inputs: Vec::new(), outputs: Vec::new() };
        for node in graph.nodes {
            let name = format!("{prefix}{}", node.name);
            let ports = match node.content {
                RawContent::Graph(inner) => self.add(inner, &format!("{name}/"))?,
                RawContent::Primitive { kind, parameters } => {
                    let id = self.nodes.len();
                    match kind.class {
                        Class::Input => own.inputs.push(id),
                        Class::Output => own.outputs.push(id),
                        _ => {}
                    }
                    let pass = !prefix.is_empty() && matches!(kind.class, Class::Input | Class::Output);
                    self.nodes.push(FlatNode { name, kind, parameters, pass });
                    Ports { inputs: vec![id], outputs: vec![id] }
                }
            };
            members.insert(node.name, ports);
        }
        let graph_name = prefix.trim_end_matches('/');
        let known: Vec<String> = members.keys().cloned().collect();
        let mut seen = BTreeSet::new();
        for (from, to) in &graph.edges {
            let mut end = |name: &str| {
                if let Some(ports) = members.get(name) {
                    return Ok((name.to_string(), ports));
                }
                match (&mut self.repairs, loosely(name, &known).as_slice()) {
                    (Some(repairs), &[one]) => {
                        let place = if graph_name.is_empty() { String::new() } else { format!(" of the nested graph `{graph_name}`") };
                        repairs.push(format!("the edge `{from}` -> `{to}`{place}: `{name}` was read as `{one}`"));
                        Ok((one.to_string(), &members[one]))
                    }
                    _ => Err(ImportError::UnknownEndpoint {
                        graph: graph_name.into(),
                        from: from.clone(),
                        to: to.clone(),
                        missing: name.into(),
                        known: known.clone(),
                    }),
                }
            };
            let (from, outputs) = end(from)?;
            let (to, inputs) = end(to)?;
            if !seen.insert((from.clone(), to.clone())) {
                return Err(ImportError::DuplicateEdge { from: format!("{prefix}{from}"), to: format!("{prefix}{to}") });
            }
            let port = |name: &str, ports: &[usize], kind: &'static str| match ports {
                [one] => Ok(*one),
                _ => Err(ImportError::NestedPorts { graph: format!("{prefix}{name}"), kind, found: ports.len() }),
            };
            let edge = (port(&from, &outputs.outputs, "Output")?, port(&to, &inputs.inputs, "Input")?);
            self.edges.push(edge);
        }
        Ok(own)
    }
}

/// Flattens and orders a graph. `repairs`: names of edges may be resolved loosely; what was changed is added there.
///
/// # Errors
/// Unknown ends and double edges, nodes that can't be run, then loops without neurons.
pub(crate) fn flatten(graph: RawGraph, repairs: Option<&mut Vec<String>>) -> Result<FlatGraph, ImportError> {
    let mut f = Flattener { repairs, ..Flattener::default() };
    f.add(graph, "")?;
    let unsupported: Vec<_> = f.nodes.iter().filter(|n| !n.kind.executable()).map(|n| (n.name.clone(), n.kind.name.to_string())).collect();
    if !unsupported.is_empty() {
        return Err(ImportError::NotExecutable { nodes: unsupported, executable: kinds::executable() });
    }
    let n = f.nodes.len();
    let mut predecessors = vec![Vec::new(); n];
    let mut followers = vec![Vec::new(); n];
    for &(from, to) in &f.edges {
        predecessors[to].push(from);
        followers[from].push(to);
    }
    let order = order(&f.nodes, &predecessors, &followers)?;
    let mut position = vec![0; n];
    for (k, &i) in order.iter().enumerate() {
        position[i] = k;
    }
    for p in &mut predecessors {
        p.sort_by_key(|&i| position[i]);
    }
    Ok(FlatGraph { nodes: f.nodes, predecessors, successors: followers.iter().map(Vec::len).collect(), order })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nir::file::RawNode;

    fn node(name: &str, kind: &str) -> RawNode {
        RawNode { name: name.into(), content: RawContent::Primitive { kind: kinds::find(kind).unwrap(), parameters: BTreeMap::new() } }
    }
    fn graph(nodes: Vec<RawNode>, edges: &[(&str, &str)]) -> RawGraph {
        RawGraph { nodes, edges: edges.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect() }
    }
    fn nested(name: &str, g: RawGraph) -> RawNode {
        RawNode { name: name.into(), content: RawContent::Graph(g) }
    }

    fn names(f: &FlatGraph) -> Vec<&str> {
        f.order.iter().map(|&i| f.nodes[i].name.as_str()).collect()
    }

    #[test]
    fn loops_open_at_the_neurons_nearest_to_the_inputs() {
        let g = graph(
            vec![node("a", "IF"), node("b", "Linear"), node("c", "IF"), node("i", "Input"), node("z", "IF")],
            &[("i", "c"), ("c", "b"), ("b", "a"), ("a", "c"), ("a", "z"), ("z", "z")],
        );
        assert_eq!(names(&flatten(g, None).unwrap()), ["i", "c", "b", "a", "z"]);
        // Nothing feeds the loop: by name.
        let own = graph(vec![node("a", "IF"), node("b", "IF")], &[("b", "a"), ("a", "b")]);
        assert_eq!(names(&flatten(own, None).unwrap()), ["a", "b"]);
    }

    #[test]
    fn a_loop_needs_neurons() {
        let inner = graph(vec![node("in", "Input"), node("lin", "Linear"), node("out", "Output")], &[("in", "lin"), ("lin", "out")]);
        let g = graph(vec![node("a", "Scale"), nested("sub", inner)], &[("a", "sub"), ("sub", "a")]);
        let e = flatten(g, None).unwrap_err();
        assert_eq!(e, ImportError::LoopWithoutNeurons { nodes: vec!["a".into(), "sub/lin".into()] });
        assert!(e.to_string().contains("`a` -> `sub/lin` -> `a`"), "{e}");
    }

    #[test]
    fn loops_in_a_row_are_all_opened() {
        let name = |k: usize| format!("n{k:03}");
        let mut edges = vec![("i".to_string(), name(0))];
        for k in 0..200 {
            edges.push((name(k), name(k + 1)));
            edges.push((name(k + 1), name(k)));
        }
        let nodes = (0..=200).map(|k| node(&name(k), "IF")).chain([node("i", "Input")]).collect();
        let f = flatten(RawGraph { nodes, edges }, None).unwrap();
        assert_eq!(names(&f)[1..], (0..=200).map(name).collect::<Vec<_>>());
    }

    #[test]
    fn loose_names_are_repaired_where_one_node_fits() {
        let make = |to: &str| {
            let inner =
                graph(vec![node("input", "Input"), node("lif1", "IF"), node("output", "Output")], &[("input", to), ("Lif1", "output")]);
            graph(vec![node("a", "IF"), nested("sub", inner)], &[("a", "sub")])
        };
        let e = flatten(make("lif"), None).unwrap_err();
        assert_eq!(
            e.to_string(),
            "the edge `input` -> `lif` of the nested graph `sub` names `lif`, which isn't a node there; nodes: `input`, `lif1`, `output`"
        );
        assert!(e.hint().contains("--repair-edges read `lif` as `lif1`"), "{}", e.hint());
        let mut repairs = Vec::new();
        flatten(make("lif"), Some(&mut repairs)).unwrap();
        assert_eq!(
            repairs,
            [
                "the edge `input` -> `lif` of the nested graph `sub`: `lif` was read as `lif1`",
                "the edge `Lif1` -> `output` of the nested graph `sub`: `Lif1` was read as `lif1`"
            ]
        );
        // What fits nothing, or several, is not guessed.
        for to in ["fc", ""] {
            assert!(matches!(flatten(make(to), Some(&mut Vec::new())), Err(ImportError::UnknownEndpoint { .. })));
        }
        let two = graph(vec![node("a", "IF"), node("lif1", "IF"), node("lif2", "IF")], &[("a", "lif")]);
        let e = flatten(two, Some(&mut Vec::new())).unwrap_err();
        assert!(e.hint().contains("may mean `lif1`, `lif2`"), "{}", e.hint());
    }

    #[test]
    fn nested_graphs_need_one_port() {
        let inner = graph(vec![node("x", "Input"), node("y", "Input"), node("out", "Output")], &[]);
        let g = graph(vec![node("a", "IF"), nested("sub", inner)], &[("a", "sub")]);
        assert_eq!(flatten(g, None).unwrap_err(), ImportError::NestedPorts { graph: "sub".into(), kind: "Input", found: 2 });
    }

    #[test]
    fn unknown_ends_double_edges_and_unsupported_nodes() {
        let g = graph(vec![node("a", "IF")], &[("a", "b")]);
        assert!(matches!(flatten(g, None).unwrap_err(), ImportError::UnknownEndpoint { missing, .. } if missing == "b"));
        let g = graph(vec![node("a", "IF"), node("b", "IF")], &[("a", "b"), ("a", "b")]);
        assert!(matches!(flatten(g, None).unwrap_err(), ImportError::DuplicateEdge { .. }));
        let inner = graph(vec![node("in", "Input"), node("i", "I"), node("out", "Output")], &[("in", "i"), ("i", "out")]);
        let g = graph(vec![node("a", "I"), node("b", "IF"), nested("sub", inner)], &[]);
        let e = flatten(g, None).unwrap_err().to_string();
        assert!(e.contains("`a` (I), `sub/i` (I)") && e.contains("`CubaLIF`"), "{e}");
    }

    #[test]
    fn inputs_come_first() {
        let g = graph(vec![node("a", "LIF"), node("b", "Input"), node("c", "Input")], &[("c", "a")]);
        assert_eq!(flatten(g, None).unwrap().order, vec![1, 2, 0]);
    }
}
