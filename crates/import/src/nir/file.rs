//! HDF5 of a NIR file into plain nodes and edges.
//!
//! In: bytes. Out: [`RawGraph`], the file's tree with decoded parameters; nothing is interpreted yet.
//! Invariant: whatever the bytes are, the reading ends, with memory bounded by [`Budget`].
//! Cost: one pass; only parameters of executable nodes are decoded.

use super::kinds::{self, Kind};
use crate::error::ImportError;
use crate::hdf5::{Budget, MAX_NAME, RawArray, RawValues, corrupt, decode_f64, numbers, open, raw_bytes, strings, text, with_root};
use hdf5_reader::group::Group;
use hdf5_reader::{Dataset, Datatype, VarLenKind};
use std::collections::BTreeMap;

/// Graphs inside of graphs.
pub(crate) const MAX_DEPTH: usize = 32;
/// Edges of one graph.
const MAX_EDGES: u64 = 1 << 18;

/// A node with its parameters.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RawNode {
    pub name: String,
    /// `None`: a nested graph.
    pub content: RawContent,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RawContent {
    Primitive { kind: &'static Kind, parameters: BTreeMap<&'static str, RawArray> },
    Graph(RawGraph),
}

/// A graph as in the file; nodes ascending by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct RawGraph {
    pub nodes: Vec<RawNode>,
    pub edges: Vec<(String, String)>,
}

/// A whole file.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct RawFile {
    pub graph: RawGraph,
    /// NIR version, if the file has one.
    pub version: Option<String>,
    /// Texts and numbers (as text) of `node/metadata`.
    pub metadata: BTreeMap<String, String>,
}

/// Reads a whole file.
///
/// # Errors
/// [`ImportError::Corrupt`] also where the HDF5 library panics.
pub(crate) fn read_file(bytes: &[u8]) -> Result<RawFile, ImportError> {
    with_root(bytes, |root, budget| {
        let (groups, datasets) = root.member_names().map_err(corrupt("/"))?;
        if !groups.iter().any(|g| g == "node") {
            return Err(ImportError::NotNir { missing: "node".into() });
        }
        let version = match datasets.iter().any(|d| d == "version") {
            true => Some(text(&open(root, "version", "version")?, "version", budget)?),
            false => None,
        };
        let node = root.group("node").map_err(corrupt("node"))?;
        let kind = kind_of(&node, "node", budget)?;
        if kind != kinds::GRAPH {
            return Err(ImportError::NotNir { missing: format!("node of type {} (found {kind})", kinds::GRAPH) });
        }
        let graph = read_graph(&node, "", 0, budget)?;
        Ok(RawFile { graph, version, metadata: read_metadata(&node, budget)? })
    })
}

fn kind_of(node: &Group, place: &str, budget: &Budget) -> Result<String, ImportError> {
    let (_, datasets) = node.member_names().map_err(corrupt(place))?;
    if !datasets.iter().any(|d| d == "type") {
        return Err(ImportError::MissingParameter { node: place.into(), kind: "no type".into(), parameter: "type".into() });
    }
    text(&open(node, "type", place)?, place, budget)
}

/// `prefix` is empty or ends with `/`.
fn read_graph(group: &Group, prefix: &str, depth: usize, budget: &Budget) -> Result<RawGraph, ImportError> {
    let place = if prefix.is_empty() { "node" } else { prefix.trim_end_matches('/') };
    if depth >= MAX_DEPTH {
        return Err(ImportError::TooDeep { node: place.into(), limit: MAX_DEPTH });
    }
    let missing =
        |parameter: &str| ImportError::MissingParameter { node: place.into(), kind: kinds::GRAPH.into(), parameter: parameter.into() };
    let (groups, datasets) = group.member_names().map_err(corrupt(place))?;
    if !groups.iter().any(|g| g == "nodes") {
        return Err(missing("nodes"));
    }
    if !datasets.iter().any(|d| d == "edges") {
        return Err(missing("edges"));
    }
    let (mut members, _) = group.group("nodes").and_then(|g| g.members()).map_err(corrupt(place))?;
    members.sort_by(|a, b| a.name().cmp(b.name()));
    Budget::take(&budget.nodes, members.len() as u64, place, "nodes")?;
    let mut nodes = Vec::with_capacity(members.len());
    for member in &members {
        let name = format!("{prefix}{}", member.name());
        if name.len() > MAX_NAME {
            return Err(ImportError::TooLarge {
                place: place.into(),
                what: "bytes in a name",
                found: name.len() as u64,
                limit: MAX_NAME as u64,
            });
        }
        let kind = kind_of(member, &name, budget)?;
        let content = if kind == kinds::GRAPH {
            RawContent::Graph(read_graph(member, &format!("{name}/"), depth + 1, budget)?)
        } else {
            let kind =
                kinds::find(&kind).ok_or_else(|| ImportError::UnknownNodeType { node: name.clone(), kind, known: kinds::names() })?;
            RawContent::Primitive { kind, parameters: read_parameters(member, &name, kind, budget)? }
        };
        nodes.push(RawNode { name: member.name().into(), content });
    }
    Ok(RawGraph { nodes, edges: read_edges(&open(group, "edges", place)?, place, budget)? })
}

fn read_parameters(
    node: &Group,
    name: &str,
    kind: &'static Kind,
    budget: &Budget,
) -> Result<BTreeMap<&'static str, RawArray>, ImportError> {
    let mut found = BTreeMap::new();
    if !kind.executable() {
        return Ok(found);
    }
    let (_, datasets) = node.member_names().map_err(corrupt(name))?;
    for p in kind.parameters {
        if datasets.iter().any(|d| d == p.name) {
            let dataset = open(node, p.name, &format!("{name}/{}", p.name))?;
            let is_text = matches!(dataset.dtype(), Datatype::String { .. } | Datatype::VarLen { kind: VarLenKind::String, .. });
            let array = match p.text && is_text {
                true => RawArray { shape: Vec::new(), values: RawValues::Text(text(&dataset, &format!("{name}/{}", p.name), budget)?) },
                false => numbers(&dataset, name, p.name, budget)?,
            };
            found.insert(p.name, array);
        } else if p.required {
            return Err(ImportError::MissingParameter { node: name.into(), kind: kind.name.into(), parameter: p.name.into() });
        }
    }
    Ok(found)
}

fn read_edges(dataset: &Dataset, graph: &str, budget: &Budget) -> Result<Vec<(String, String)>, ImportError> {
    let place = format!("{graph}/edges");
    // An empty list is written as an array of floats without elements.
    if dataset.num_elements().map_err(corrupt(&place))? == 0 {
        return Ok(Vec::new());
    }
    let shape = dataset.shape();
    if shape.len() != 2 || shape[1] != 2 {
        return Err(ImportError::WrongShape {
            node: graph.into(),
            parameter: "edges".into(),
            found: shape.to_vec(),
            expected: "(edges, 2)".into(),
        });
    }
    if shape[0] > MAX_EDGES {
        return Err(ImportError::TooLarge { place, what: "edges", found: shape[0], limit: MAX_EDGES });
    }
    let names = strings(dataset, &place, budget)?;
    Ok(names.chunks_exact(2).map(|e| (e[0].clone(), e[1].clone())).collect())
}

fn read_metadata(node: &Group, budget: &Budget) -> Result<BTreeMap<String, String>, ImportError> {
    const PLACE: &str = "node/metadata";
    let mut found = BTreeMap::new();
    let (groups, _) = node.member_names().map_err(corrupt(PLACE))?;
    if !groups.iter().any(|g| g == "metadata") {
        return Ok(found);
    }
    let metadata = node.group("metadata").map_err(corrupt(PLACE))?;
    let (_, names) = metadata.member_names().map_err(corrupt(PLACE))?;
    for name in names {
        let place = format!("{PLACE}/{name}");
        let dataset = open(&metadata, &name, &place)?;
        let count = dataset.num_elements().map_err(corrupt(&place))?;
        if count != 1 {
            // What is said in several numbers is no step length, but must not be taken for silence either.
            if name == super::keys::DT {
                found.insert(name, format!("{count} values"));
            }
            continue;
        }
        let value = match dataset.dtype() {
            Datatype::String { .. } | Datatype::VarLen { .. } => text(&dataset, &place, budget)?,
            Datatype::FixedPoint { .. } | Datatype::FloatingPoint { .. } => {
                let (raw, dtype) = raw_bytes(&dataset, &place, budget)?;
                // In f64: metadata are read as they are, e.g. dt.
                match decode_f64(&raw, dtype) {
                    Some(v) => v.to_string(),
                    None => continue,
                }
            }
            _ => continue,
        };
        found.insert(name, value);
    }
    Ok(found)
}
