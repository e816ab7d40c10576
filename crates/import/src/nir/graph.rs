//! Nested graphs into one flat graph, checked for unknown ends, unsupported nodes and loops.
//!
//! In: [`RawGraph`]. Out: [`FlatGraph`] in topological order.
//! Invariant: input and output nodes of nested graphs are pass nodes: an edge into one leaves it unchanged.

use super::file::{RawContent, RawGraph};
use super::kinds::{self, Class, Kind};
use crate::error::ImportError;
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
    /// Predecessors of each node, ascending in topological order.
    pub predecessors: Vec<Vec<usize>>,
    /// Number of successors of each node.
    pub successors: Vec<usize>,
    /// All nodes; every edge leads from earlier to later, inputs first, else by index.
    pub order: Vec<usize>,
}

#[derive(Default)]
struct Flattener {
    nodes: Vec<FlatNode>,
    edges: Vec<(usize, usize)>,
}

/// Where the edges of a graph's member end.
struct Ports {
    inputs: Vec<usize>,
    outputs: Vec<usize>,
}

impl Flattener {
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
        let end = |from: &str, to: &str, name: &str| {
            members.get(name).ok_or_else(|| ImportError::UnknownEndpoint {
                graph: graph_name.into(),
                from: from.into(),
                to: to.into(),
                missing: name.into(),
                known: members.keys().cloned().collect(),
            })
        };
        let mut seen = BTreeSet::new();
        for (from, to) in &graph.edges {
            let outputs = end(from, to, from)?;
            let inputs = end(from, to, to)?;
            if !seen.insert((from, to)) {
                return Err(ImportError::DuplicateEdge { from: format!("{prefix}{from}"), to: format!("{prefix}{to}") });
            }
            let port = |name: &str, ports: &[usize], kind: &'static str| match ports {
                [one] => Ok(*one),
                _ => Err(ImportError::NestedPorts { graph: format!("{prefix}{name}"), kind, found: ports.len() }),
            };
            let edge = (port(from, &outputs.outputs, "Output")?, port(to, &inputs.inputs, "Input")?);
            self.edges.push(edge);
        }
        Ok(own)
    }
}

/// Flattens and orders a graph.
///
/// # Errors
/// Unknown ends and double edges, nodes that can't be run, then loops.
pub(crate) fn flatten(graph: RawGraph) -> Result<FlatGraph, ImportError> {
    let mut f = Flattener::default();
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
    // Kahn's algorithm; of the ready nodes inputs go first, then by index.
    let rank = |i: usize| (f.nodes[i].class() != Some(Class::Input), i);
    let mut missing: Vec<usize> = predecessors.iter().map(Vec::len).collect();
    let mut ready: BTreeSet<_> = (0..n).filter(|&i| missing[i] == 0).map(rank).collect();
    let mut order = Vec::with_capacity(n);
    while let Some((_, i)) = ready.pop_first() {
        order.push(i);
        for &j in &followers[i] {
            missing[j] -= 1;
            if missing[j] == 0 {
                ready.insert(rank(j));
            }
        }
    }
    if order.len() < n {
        return Err(ImportError::Recurrent { nodes: find_loop(&f.nodes, &predecessors, &missing) });
    }
    let mut position = vec![0; n];
    for (k, &i) in order.iter().enumerate() {
        position[i] = k;
    }
    for p in &mut predecessors {
        p.sort_by_key(|&i| position[i]);
    }
    Ok(FlatGraph { nodes: f.nodes, predecessors, successors: followers.iter().map(Vec::len).collect(), order })
}

/// Names of one loop, starting at its smallest index. Every node with a missing predecessor has one that misses its own.
fn find_loop(nodes: &[FlatNode], predecessors: &[Vec<usize>], missing: &[usize]) -> Vec<String> {
    let Some(mut at) = missing.iter().position(|&m| m > 0) else { return Vec::new() };
    let mut position = BTreeMap::new();
    let mut path = Vec::new();
    while !position.contains_key(&at) {
        position.insert(at, path.len());
        path.push(at);
        match predecessors[at].iter().find(|&&p| missing[p] > 0) {
            Some(&p) => at = p,
            None => return Vec::new(),
        }
    }
    let mut cycle = path.split_off(position[&at]);
    cycle.reverse();
    if let Some(first) = (0..cycle.len()).min_by_key(|&k| cycle[k]) {
        cycle.rotate_left(first);
    }
    cycle.into_iter().filter(|&i| !nodes[i].pass).map(|i| nodes[i].name.clone()).collect()
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

    #[test]
    fn loops_are_named_in_the_order_of_their_edges() {
        let g = graph(
            vec![node("a", "IF"), node("b", "Linear"), node("c", "IF"), node("i", "Input"), node("z", "IF")],
            &[("i", "a"), ("c", "b"), ("b", "a"), ("a", "c"), ("a", "z")],
        );
        assert_eq!(flatten(g).unwrap_err(), ImportError::Recurrent { nodes: vec!["a".into(), "c".into(), "b".into()] });
        let own = graph(vec![node("a", "IF")], &[("a", "a")]);
        let e = flatten(own).unwrap_err();
        assert_eq!(e, ImportError::Recurrent { nodes: vec!["a".into()] });
        assert!(e.to_string().contains("`a` -> `a`"), "{e}");
    }

    #[test]
    fn a_loop_through_a_nested_graph_is_found() {
        let inner = graph(vec![node("in", "Input"), node("lin", "Linear"), node("out", "Output")], &[("in", "lin"), ("lin", "out")]);
        let g = graph(vec![node("a", "IF"), nested("sub", inner)], &[("a", "sub"), ("sub", "a")]);
        assert_eq!(flatten(g).unwrap_err(), ImportError::Recurrent { nodes: vec!["a".into(), "sub/lin".into()] });
    }

    #[test]
    fn nested_graphs_need_one_port() {
        let inner = graph(vec![node("x", "Input"), node("y", "Input"), node("out", "Output")], &[]);
        let g = graph(vec![node("a", "IF"), nested("sub", inner)], &[("a", "sub")]);
        assert_eq!(flatten(g).unwrap_err(), ImportError::NestedPorts { graph: "sub".into(), kind: "Input", found: 2 });
    }

    #[test]
    fn unknown_ends_double_edges_and_unsupported_nodes() {
        let g = graph(vec![node("a", "IF")], &[("a", "b")]);
        assert!(matches!(flatten(g).unwrap_err(), ImportError::UnknownEndpoint { missing, .. } if missing == "b"));
        let g = graph(vec![node("a", "IF"), node("b", "IF")], &[("a", "b"), ("a", "b")]);
        assert!(matches!(flatten(g).unwrap_err(), ImportError::DuplicateEdge { .. }));
        let g = graph(vec![node("a", "Conv2d"), node("b", "Delay")], &[]);
        let e = flatten(g).unwrap_err().to_string();
        assert!(e.contains("`a` (Conv2d), `b` (Delay)") && e.contains("`CubaLIF`"), "{e}");
    }

    #[test]
    fn inputs_come_first() {
        let g = graph(vec![node("a", "LIF"), node("b", "Input"), node("c", "Input")], &[("c", "a")]);
        assert_eq!(flatten(g).unwrap().order, vec![1, 2, 0]);
    }
}
