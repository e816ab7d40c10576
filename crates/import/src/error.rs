//! Errors of the readers and writers, each with a remedy.

use std::fmt::Write as _;

/// Joins items for a message, at most 100 of them.
fn join(items: impl ExactSizeIterator<Item = String>) -> String {
    const SHOWN: usize = 100;
    let more = items.len().saturating_sub(SHOWN);
    let mut shown = items.take(SHOWN).collect::<Vec<_>>().join(", ");
    if more > 0 {
        let _ = write!(shown, " and {more} more");
    }
    if shown.is_empty() { "nothing".into() } else { shown }
}

pub(crate) fn list<T: AsRef<str>>(names: &[T]) -> String {
    join(names.iter().map(|n| format!("`{}`", n.as_ref())))
}

/// The names that `missing` may mean: equal but for case, or one the beginning or the last part of the other.
pub(crate) fn loosely<'a>(missing: &str, known: &'a [String]) -> Vec<&'a str> {
    let plain = missing.to_lowercase();
    let last = |name: &str| name.rsplit(['.', '/', ':']).next().unwrap_or(name).to_string();
    let fits = |name: &String| {
        let name = name.to_lowercase();
        let nested = !plain.is_empty() && (name.starts_with(&plain) || plain.starts_with(&name));
        nested || last(&name) == last(&plain)
    };
    // The same name in another case is meant before any other.
    match known.iter().filter(|n| n.to_lowercase() == plain).collect::<Vec<_>>()[..] {
        [one] => vec![one.as_str()],
        _ => known.iter().filter(|n| fits(n)).map(String::as_str).collect(),
    }
}

fn typed(nodes: &[(String, String)]) -> String {
    join(nodes.iter().map(|(n, t)| format!("`{n}` ({t})")))
}

fn looped(nodes: &[String]) -> String {
    let mut shown: Vec<String> = nodes.iter().take(12).map(|n| format!("`{n}`")).collect();
    if nodes.len() > 12 {
        shown.push("...".into());
    }
    if let Some(first) = nodes.first() {
        shown.push(format!("`{first}`"));
    }
    shown.join(" -> ")
}

/// What is wrong with a network file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ImportError {
    // The file as a whole.
    /// Neither the extension nor the first bytes are known.
    #[error("unknown kind of network file (extension `{extension}`); known: {}", list(.known))]
    UnknownFormat {
        /// Extension of the path, may be empty.
        extension: String,
        /// What can be read.
        known: Vec<&'static str>,
    },
    /// Arrays, without the model that says what they are.
    #[error("a .{extension} file holds arrays, not a network: it doesn't say what its neurons do")]
    ArraysAlone {
        /// Extension of the path.
        extension: String,
    },
    /// The HDF5 structure is broken.
    #[error("corrupt HDF5 file at `{place}`: {detail}")]
    Corrupt {
        /// Path inside of the file.
        place: String,
        /// What the HDF5 reader says.
        detail: String,
    },
    /// No HDF5 signature.
    #[error("not an HDF5 file: the signature is missing")]
    NotHdf5,
    /// An array of another kind of values.
    #[error("the array `{place}` is {found}, expected integers, booleans or floats of 32 or 64 bits")]
    WrongArray {
        /// Path inside of the file.
        place: String,
        /// What it has.
        found: String,
    },
    /// HDF5, but not NIR.
    #[error("not a NIR file: `{missing}` is missing")]
    NotNir {
        /// Missing object.
        missing: String,
    },
    /// HDF5, but not lava-dl's.
    #[error("not a lava-dl .net file: `{missing}` is missing")]
    NotNetx {
        /// Missing object.
        missing: String,
    },
    /// More than any honest file has.
    #[error("`{place}` has {found} {what}, more than the limit of {limit}")]
    TooLarge {
        /// Path or node.
        place: String,
        /// Unit of the numbers.
        what: &'static str,
        /// Found.
        found: u64,
        /// Limit.
        limit: u64,
    },
    // Conventions.
    /// No such convention.
    #[error("unknown convention `{name}`; known: {}", list(.known))]
    UnknownConvention {
        /// As given.
        name: String,
        /// All names.
        known: Vec<&'static str>,
    },
    /// Neither the file nor the options have a step.
    #[error("the file doesn't say how long a step is (no `node/metadata/dt`)")]
    NoDt,
    /// The step is not a positive finite number.
    #[error("the step length `{found}` ({place}) is not a positive number")]
    BadDt {
        /// As found.
        found: String,
        /// Where.
        place: &'static str,
    },
    // Nodes of a NIR graph.
    /// A dataset of a node is missing.
    #[error("node `{node}` ({kind}) has no `{parameter}`")]
    MissingParameter {
        /// Node.
        node: String,
        /// Its type.
        kind: String,
        /// Missing dataset.
        parameter: String,
    },
    /// A dataset has the wrong kind of values.
    #[error("`{parameter}` of node `{node}` is {found}, expected {expected}")]
    WrongType {
        /// Node.
        node: String,
        /// Dataset.
        parameter: String,
        /// Found type.
        found: String,
        /// Expected type.
        expected: &'static str,
    },
    /// A dataset has the wrong shape.
    #[error("`{parameter}` of node `{node}` has shape {found:?}, expected {expected}")]
    WrongShape {
        /// Node.
        node: String,
        /// Dataset.
        parameter: String,
        /// Found.
        found: Vec<u64>,
        /// Expected.
        expected: String,
    },
    /// A type that NIR 1.0 doesn't have.
    #[error("node `{node}` has the unknown type `{kind}`; NIR 1.0 has {}", list(.known))]
    UnknownNodeType {
        /// Node.
        node: String,
        /// As found.
        kind: String,
        /// All types.
        known: Vec<&'static str>,
    },
    /// Types that are recognised but can't be run.
    #[error("not executable yet: {}; executable nodes: {}", typed(.nodes), list(.executable))]
    NotExecutable {
        /// (node, type) in name order.
        nodes: Vec<(String, String)>,
        /// Types that can be run.
        executable: Vec<&'static str>,
    },
    /// An edge names a node that isn't there.
    #[error("the edge `{from}` -> `{to}`{} names `{missing}`, which isn't a node there; nodes: {}", if .graph.is_empty() { String::new() } else { format!(" of the nested graph `{}`", .graph) }, list(.known))]
    UnknownEndpoint {
        /// Nested graph, empty for the outermost.
        graph: String,
        /// Source of the edge.
        from: String,
        /// Target of the edge.
        to: String,
        /// The one that is missing.
        missing: String,
        /// The graph's nodes.
        known: Vec<String>,
    },
    /// The same edge twice.
    #[error("the edge `{from}` -> `{to}` is there twice")]
    DuplicateEdge {
        /// Source.
        from: String,
        /// Target.
        to: String,
    },
    /// A nested graph without exactly one input or output node where an edge needs it.
    #[error("the nested graph `{graph}` has {found} {kind} nodes, expected exactly 1 for its edges")]
    NestedPorts {
        /// Nested graph.
        graph: String,
        /// `Input` or `Output`.
        kind: &'static str,
        /// How many it has.
        found: usize,
    },
    /// Graphs inside of graphs, too deep.
    #[error("graphs are nested deeper than {limit} levels at `{node}`")]
    TooDeep {
        /// Node at which the limit was met.
        node: String,
        /// The limit.
        limit: usize,
    },
    /// A cycle of operators alone.
    #[error("the loop {} has no neurons: its values would depend on themselves", looped(.nodes))]
    LoopWithoutNeurons {
        /// Nodes of one loop, in the order of its edges.
        nodes: Vec<String>,
    },
    /// Sizes of an operator that don't go together.
    #[error("node `{node}` ({kind}): {error}")]
    Geometry {
        /// Node, or key of a model.
        node: String,
        /// Its type.
        kind: &'static str,
        /// What is wrong.
        error: spikec_net::GeometryError,
    },
    /// Not exactly one Output node with exactly one neuron population before it.
    #[error("the network has {found} Output nodes{}, expected exactly 1", if .nodes.is_empty() { String::new() } else { format!(" ({})", list(.nodes)) })]
    OutputCount {
        /// How many.
        found: usize,
        /// Their names.
        nodes: Vec<String>,
    },
    /// The Output node isn't fed by exactly one neuron node.
    #[error("the Output node `{output}` is fed by {}, expected exactly one node of neurons", typed(.from))]
    OutputSource {
        /// Output node.
        output: String,
        /// (node, type) of what feeds it.
        from: Vec<(String, String)>,
    },
    /// Nothing comes in.
    #[error("the network has no Input node")]
    NoInput,
    /// An operator without anything before it.
    #[error("node `{node}` ({kind}) has no input")]
    NothingFeeds {
        /// Node.
        node: String,
        /// Its type.
        kind: String,
    },
    /// An Input node has an edge into it.
    #[error("an edge leads from `{from}` into the Input node `{node}`")]
    EdgeIntoInput {
        /// Source of the edge.
        from: String,
        /// Input node.
        node: String,
    },
    /// Shapes that don't chain.
    #[error("`{from}` gives a tensor of shape {found:?}, but `{to}` takes {expected}")]
    ShapeMismatch {
        /// Node before.
        from: String,
        /// Shape of its output.
        found: Vec<u32>,
        /// Node after.
        to: String,
        /// What it takes.
        expected: String,
    },
    /// Parameters of a node that don't broadcast to one shape.
    #[error("parameters of node `{node}` have different shapes: {}", .shapes.iter().map(|(n, s)| format!("{n} {s:?}")).collect::<Vec<_>>().join(", "))]
    ParameterShapes {
        /// Node.
        node: String,
        /// (parameter, shape).
        shapes: Vec<(String, Vec<u64>)>,
    },
    // RON models.
    /// Syntax errors, unknown keys, wrong types.
    #[error("line {line}, column {column}: {message}")]
    Ron {
        /// The file.
        path: String,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// An array file can't be loaded.
    #[error("array file `{file}` (of `{place}`): {detail}")]
    ArrayFile {
        /// As in the model.
        file: String,
        /// Key that refers to it.
        place: String,
        /// What went wrong.
        detail: String,
        /// It could not be read at all.
        missing: bool,
    },
    /// The array isn't in its file.
    #[error("`{file}` has no array `{array}` (of `{place}`); it has {}", list(.known))]
    MissingArray {
        /// The file.
        file: String,
        /// The array.
        array: String,
        /// Key that refers to it.
        place: String,
        /// What the file has.
        known: Vec<String>,
    },
    /// A reference that isn't `FILE:ARRAY`.
    #[error("`{reference}` (of `{place}`) isn't a reference to an array")]
    BadReference {
        /// As found.
        reference: String,
        /// Key.
        place: String,
    },
    /// An array or a number of the wrong kind.
    #[error("`{place}` is {found}, expected {expected}")]
    BadValue {
        /// Key, e.g. `projections[0].weight`.
        place: String,
        /// Found.
        found: String,
        /// Expected.
        expected: String,
    },
    /// A name that is used twice.
    #[error("`{place}`: the name `{name}` is used twice")]
    DuplicateName {
        /// Key.
        place: String,
        /// The name.
        name: String,
    },
    /// A population that doesn't exist.
    #[error("`{place}`: no population `{name}`; there are {}", list(.known))]
    UnknownPopulation {
        /// Key.
        place: String,
        /// As given.
        name: String,
        /// All names.
        known: Vec<String>,
    },
    // Writing.
    /// The format can't express this.
    #[error("`{place}` can't be written as {format}: {what}")]
    NotWritable {
        /// `NIR` or `a RON model`.
        format: &'static str,
        /// Population or projection.
        place: String,
        /// What the format lacks.
        what: String,
    },
}

impl ImportError {
    /// A remedy, may be empty.
    pub fn hint(&self) -> String {
        use ImportError::*;
        match self {
            UnknownFormat { .. } => "name the file .nir (NIR, HDF5), .net (lava-dl, HDF5) or .ron (a model in RON beside its arrays)".into(),
            ArraysAlone { extension } if ["csv", "tsv"].contains(&extension.as_str()) => {
                "write a model beside it that names it, a .ron file: Connectome(edges: \"FILE.csv\", neuron: (decay_u: 1024, decay_v: 205, threshold: 500)), see docs/network-format.md, section 5".into()
            }
            ArraysAlone { .. } => "write a model beside it that names its arrays, a .ron file: Trained(...) for trained weights, Connectome(...) for a list of edges; see docs/network-format.md".into(),
            Corrupt { .. } => "copy or export the file again".into(),
            NotHdf5 => "NIR and lava-dl files are HDF5; export with nir.write(path, graph), or with lava-dl's net.export_hdf5(path)".into(),
            WrongArray { .. } => "write it again as numbers".into(),
            NotNir { .. } => "a NIR file has the group `node`; lava-dl's files, which have the group `layer`, are called .net".into(),
            NotNetx { .. } => "export the network again with lava-dl's net.export_hdf5(path); docs/network-format.md, section 6, lists what is read".into(),
            TooLarge { .. } => "the file is damaged, or not meant for this tool".into(),
            UnknownConvention { .. } => "give one of the listed names to --convention".into(),
            NoDt => "give the step length in the file's unit of time with --dt, e.g. --dt 1 or --dt 1e-4".into(),
            BadDt { .. } => "give a positive number with --dt".into(),
            MissingParameter { .. } | WrongType { .. } | WrongShape { .. } | ParameterShapes { .. } => {
                "export the network again with nir 1.0, or with lava-dl's net.export_hdf5".into()
            }
            UnknownNodeType { .. } => "export the network with nodes of NIR 1.0 only".into(),
            NotExecutable { .. } => "replace these nodes by executable ones, e.g. an integrator by a LI readout".into(),
            UnknownEndpoint { missing, known, .. } => match loosely(missing, known).as_slice() {
                [] => "mend the graph's `edges`".into(),
                [one] => format!("mend the graph's `edges`, or let --repair-edges read `{missing}` as `{one}`"),
                several => format!("mend the graph's `edges`: `{missing}` may mean {}", list(several)),
            },
            DuplicateEdge { .. } => "mend the graph's `edges`".into(),
            NestedPorts { .. } => "give each nested graph one Input and one Output node".into(),
            TooDeep { .. } => "flatten the graph before exporting it".into(),
            LoopWithoutNeurons { .. } => "put neurons into the loop: their spikes act one step later".into(),
            Geometry { error, .. } => error.hint().into(),
            OutputCount { .. } => "keep one Output node, behind the population that is decoded".into(),
            OutputSource { .. } => {
                "let the Output node follow a LIF, IF, CubaLIF, LI or CubaLI node; put a readout (LI) behind a last linear layer".into()
            }
            NoInput => "add an Input node".into(),
            NothingFeeds { .. } => "connect it to an Input node or remove it".into(),
            EdgeIntoInput { .. } => "remove the edge".into(),
            ShapeMismatch { .. } => "put a Flatten between them, or mend the shapes".into(),
            Ron { .. } => "docs/network-format.md lists every key".into(),
            ArrayFile { missing: true, .. } => "paths are relative to the folder of the RON file".into(),
            ArrayFile { .. } => "the file is damaged or of another kind: write it again (numpy.savez, numpy.save, safetensors, or torch.save(model.state_dict(), FILE))".into(),
            MissingArray { .. } => "name one of the file's arrays".into(),
            BadReference { .. } => "write \"weights.npz:w1\", \"weights.safetensors:w1\", \"weights.pth:fc1.weight\" or \"w1.npy\"".into(),
            BadValue { .. } | DuplicateName { .. } | UnknownPopulation { .. } => "see docs/network-format.md".into(),
            NotWritable { format: "NIR", .. } => "write the network as a RON model instead: name the file .ron".into(),
            NotWritable { .. } => "docs/network-format.md, section 3, says what a model can hold".into(),
        }
    }
}
