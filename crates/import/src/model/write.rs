//! A network as a RON model beside its arrays, for frameworks that train on.
//!
//! In: a [`Network`], the name of the array file. Out: the text, and the bytes of a `.npz` file.
//! Invariant: what is written reads back as the same network, with the same digest, or is refused: the writer reads it.
//! Arrays are named as in a state dict: `LAYER.weight` (outputs, inputs), `LAYER.bias`, `LAYER.mask`, which is true where a
//! synapse stays, `LAYER.scale`, and `POPULATION.tau` and the like where the neurons of a population differ.

use super::read_model;
use super::write_spatial::{self, per_channel, window};
use crate::error::ImportError;
use crate::{ImportOptions, Model, conventions};
use spikec_data::{Array, ArrayData, write_npz};
use spikec_net::{Network, NeuronModel, Operator, TrainedPopulation, TrainedProjection, TrainedRole};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

fn refused(place: &str, what: impl Into<String>) -> ImportError {
    ImportError::NotWritable { format: "a RON model", place: place.into(), what: what.into() }
}

/// A text in RON's quotes.
fn quoted(text: &str) -> Result<String, ImportError> {
    ron::to_string(text).map_err(|e| refused(text, e.to_string()))
}

/// A number in the fewest digits that the reader takes for the same f32; `None` for what is no number.
fn number(x: f32) -> Option<String> {
    let short = format!("{x:?}");
    let same = |text: &str| text.parse::<f64>().is_ok_and(|y| (y as f32).to_bits() == x.to_bits());
    x.is_finite().then(|| if same(&short) { short } else { format!("{:?}", f64::from(x)) })
}

/// A name that a reference can hold and every tool can unpack.
fn plain(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = name.chars().map(plain).take(200).collect();
    let name = name.trim_matches(['.', '_']);
    if name.is_empty() { "unnamed".into() } else { name.into() }
}

/// The model's name in RON.
fn variant(model: &NeuronModel) -> &'static str {
    match model {
        NeuronModel::Lif { .. } => "Lif",
        NeuronModel::If { .. } => "If",
        NeuronModel::CubaLif { .. } => "CubaLif",
        NeuronModel::Li { .. } => "Li",
        NeuronModel::CubaLi { .. } => "CubaLi",
        NeuronModel::Threshold { .. } => "Threshold",
        NeuronModel::Or => "Or",
    }
}

struct Writer<'a> {
    file: &'a str,
    arrays: Vec<(String, Array)>,
    owners: BTreeSet<String>,
}

impl Writer<'_> {
    /// What the arrays of a population or an operator are called, made unique.
    fn owner(&mut self, name: &str) -> String {
        let base = plain(name);
        let mut owner = base.clone();
        let mut k = 2;
        while !self.owners.insert(owner.clone()) {
            owner = format!("{base}_{k}");
            k += 1;
        }
        owner
    }

    /// Adds an array and returns the reference to it.
    fn reference(&mut self, name: String, shape: &[u32], data: ArrayData) -> Result<String, ImportError> {
        let text = quoted(&format!("{}:{name}", self.file))?;
        self.arrays.push((name, Array { shape: shape.iter().map(|&d| d as usize).collect(), data }));
        Ok(text)
    }

    fn floats(&mut self, name: String, shape: &[u32], values: &[f32]) -> Result<String, ImportError> {
        self.reference(name, shape, ArrayData::F32(values.to_vec()))
    }

    fn population(&mut self, p: &TrainedPopulation) -> Result<String, ImportError> {
        let (name, shape) = (quoted(&p.name)?, &p.shape);
        let TrainedRole::Neurons(model) = &p.role else {
            return Ok(format!("(name: {name}, shape: {shape:?}, neurons: Input)"));
        };
        let owner = self.owner(&p.name);
        let mut parameters = Vec::new();
        for (key, values) in model.parameters() {
            let first = values.first().copied().unwrap_or(0.0);
            let alike = values.iter().all(|v| v.to_bits() == first.to_bits());
            let value = match number(first).filter(|_| alike) {
                Some(number) => number,
                None => self.floats(format!("{owner}.{key}"), shape, values)?,
            };
            parameters.push(format!("{key}: {value}"));
        }
        if parameters.is_empty() {
            return Ok(format!("(name: {name}, shape: {shape:?}, neurons: {})", variant(model)));
        }
        Ok(format!("(name: {name}, shape: {shape:?}, neurons: {}({}))", variant(model), parameters.join(", ")))
    }

    /// The references to a kernel and its mask.
    fn kernel(&mut self, owner: &str, dims: &[u32], weight: &[f32]) -> Result<String, ImportError> {
        let stays = weight.iter().map(|w| *w != 0.0).collect();
        let mask = self.reference(format!("{owner}.mask"), dims, ArrayData::Bool(stays))?;
        Ok(format!("weight: {}, mask: {mask}", self.floats(format!("{owner}.weight"), dims, weight)?))
    }

    /// The chain of a projection, an operator a line.
    fn chain(&mut self, p: &TrainedProjection, pre: &TrainedPopulation) -> Result<Vec<String>, ImportError> {
        let mut shape = pre.shape.clone();
        let mut lines = Vec::new();
        let mut last = String::new();
        let names = names(p);
        for (k, operator) in p.operators.iter().enumerate() {
            lines.push(match operator {
                Operator::Linear { outputs, inputs, weight } => {
                    last = self.owner(&names[k]);
                    shape = vec![*outputs];
                    format!("Linear({})", self.kernel(&last, &[*outputs, *inputs], weight)?)
                }
                Operator::Bias { bias } => {
                    // The bias of a layer is called after its matrix.
                    if k == 0 || p.operators[k - 1].weights().is_none() {
                        last = self.owner(&names[k]);
                    }
                    if biased(p, k) {
                        continue;
                    }
                    format!("Bias(bias: {})", self.floats(format!("{last}.bias"), &shape, bias)?)
                }
                Operator::Scale { scale } => {
                    last = self.owner(&names[k]);
                    format!("Scale(scale: {})", self.floats(format!("{last}.scale"), &shape, scale)?)
                }
                Operator::Reshape { shape: to } => {
                    let flattens = to.len() == 1 && *to != shape;
                    shape.clone_from(to);
                    if flattens { "Flatten".into() } else { format!("Reshape(shape: {to:?})") }
                }
                Operator::Conv(c) => {
                    last = self.owner(&names[k]);
                    shape = c.output_shape().map_err(|e| refused(&p.name, e.to_string()))?;
                    let dims: Vec<u32> = [c.outputs, c.channels / c.groups].into_iter().chain(c.axes.iter().map(|a| a.kernel)).collect();
                    let mut keys = self.kernel(&last, &dims, &c.weight)? + &self.bias(p, k, &last, c.outputs)? + &window(&c.axes, 1);
                    if c.groups != 1 {
                        let _ = write!(keys, ", groups: {}", c.groups);
                    }
                    format!("{}({keys})", operator.kind())
                }
                Operator::ConvTranspose(c) => {
                    last = self.owner(&names[k]);
                    shape = c.output_shape().map_err(|e| refused(&p.name, e.to_string()))?;
                    let dims: Vec<u32> = [c.channels, c.outputs / c.groups].into_iter().chain(c.axes.iter().map(|a| a.kernel)).collect();
                    let mut keys = self.kernel(&last, &dims, &c.weight)? + &self.bias(p, k, &last, c.outputs)? + &window(&c.axes, 1);
                    let _ = write!(keys, ", output_padding: {:?}, groups: {}", c.output_padding, c.groups);
                    format!("{}({keys})", operator.kind())
                }
                Operator::Pool(pool) => {
                    shape = pool.output_shape().map_err(|e| refused(&p.name, e.to_string()))?;
                    write_spatial::pool(pool).ok_or_else(|| refused(&p.name, "an average over a dilated window"))?
                }
                Operator::BatchNorm(n) => {
                    last = self.owner(&names[k]);
                    let channels = [n.weight.len() as u32];
                    let arrays = [("weight", &n.weight), ("bias", &n.bias), ("mean", &n.mean), ("variance", &n.variance)];
                    let mut keys = Vec::new();
                    for (key, values) in arrays {
                        keys.push(format!("{key}: {}", self.floats(format!("{last}.{key}"), &channels, values)?));
                    }
                    format!("BatchNorm({}, epsilon: {:?})", keys.join(", "), n.epsilon)
                }
                Operator::Place(part) => {
                    shape.clone_from(&part.whole);
                    format!("Place(at: {:?}, shape: {:?})", part.at, part.whole)
                }
                Operator::Delay { delay } => {
                    last = self.owner(&names[k]);
                    format!("Delay(delay: {})", self.floats(format!("{last}.delay"), &shape, delay)?)
                }
            });
        }
        Ok(lines)
    }

    /// The key of a kernel's bias, where operator k has one for each channel behind it.
    fn bias(&mut self, p: &TrainedProjection, k: usize, owner: &str, channels: u32) -> Result<String, ImportError> {
        match p.operators.get(k + 1) {
            Some(Operator::Bias { bias }) if biased(p, k + 1) => {
                let each = per_channel(bias, channels as usize).unwrap_or_default();
                Ok(format!(", bias: {}", self.floats(format!("{owner}.bias"), &[channels], &each)?))
            }
            _ => Ok(String::new()),
        }
    }
}

/// Whether operator k is a bias that the kernel before it writes.
fn biased(p: &TrainedProjection, k: usize) -> bool {
    let channels = match k.checked_sub(1).map(|before| &p.operators[before]) {
        Some(Operator::Conv(c)) => c.outputs,
        Some(Operator::ConvTranspose(c)) => c.outputs,
        _ => return false,
    };
    matches!(&p.operators[k], Operator::Bias { bias } if per_channel(bias, channels as usize).is_some())
}

/// What each operator of a projection is called: its node's name where the projection has them all, else after the projection.
fn names(p: &TrainedProjection) -> Vec<String> {
    let follows = |k: usize| k > 0 && p.operators[k - 1].weights().is_some() && matches!(p.operators[k], Operator::Bias { .. });
    // A bias belongs to the node of the matrix before it.
    let mut node = 0;
    let nodes: Vec<usize> = (0..p.operators.len())
        .map(|k| {
            node += usize::from(k > 0 && !follows(k));
            node
        })
        .collect();
    let own: Vec<&str> = p.name.split('+').collect();
    let matrices = p.operators.iter().filter_map(Operator::weights).count();
    let named = |k: usize| match &p.operators[k] {
        _ if own.len() == node + 1 => own[nodes[k]].to_string(),
        operator if operator.weights().is_some() && matrices == 1 => p.name.clone(),
        _ => format!("{}_{}", p.name, nodes[k]),
    };
    (0..p.operators.len()).map(named).collect()
}

/// Writes a network as a RON model whose arrays are in the file called `arrays` beside it; returns the text and that file.
/// The same network gives the same bytes.
///
/// # Errors
/// [`ImportError::NotWritable`] for delays over 65535 steps, conventions that no table has, and whatever else would not read
/// back as it is.
pub fn write_model(network: &Network, arrays: &str) -> Result<(String, Vec<u8>), ImportError> {
    let Network { name, conventions: c, populations, projections, output } = network;
    let mut w = Writer { file: arrays, arrays: Vec::new(), owners: BTreeSet::new() };
    if conventions::find(&c.name).is_err() {
        return Err(refused("convention", format!("`{}`, expected one of {}", c.name, conventions::names().join(", "))));
    }
    let mut text = String::from(
        "// A network of spikec (docs/network-format.md). For each layer the arrays are LAYER.weight (outputs, inputs), LAYER.bias, and\n\
         // LAYER.mask: true where a synapse stays; weights that the mask hides are read as 0.\nTrained(\n",
    );
    let _ = writeln!(text, "    name: {},\n    dt: {:?},\n    convention: {},", quoted(name)?, c.dt_s, quoted(&c.name)?);
    let _ = writeln!(text, "    fire: {:?},\n    reset: {:?},\n    discretization: {:?},", c.fire, c.reset, c.discretization);
    text.push_str("    populations: [\n");
    for p in populations {
        let _ = writeln!(text, "        {},", w.population(p)?);
    }
    text.push_str("    ],\n    projections: [\n");
    for p in projections {
        let (pre, post) = (&populations[p.pre.index()], &populations[p.post.index()]);
        let Ok(delay) = u16::try_from(p.delay_steps) else {
            return Err(refused(&p.name, format!("a delay of {} steps, expected 0 to 65535", p.delay_steps)));
        };
        let _ = write!(text, "        (name: {}, pre: {}, post: {}", quoted(&p.name)?, quoted(&pre.name)?, quoted(&post.name)?);
        let delay = if delay == 0 { String::new() } else { format!(", delay: {delay}") };
        match w.chain(p, pre)? {
            chain if chain.is_empty() => {
                let _ = writeln!(text, "{delay}),");
            }
            chain => {
                let _ = writeln!(text, "{delay}, chain: [\n            {},\n        ]),", chain.join(",\n            "));
            }
        }
    }
    let _ = writeln!(text, "    ],\n    output: {},\n)", quoted(&populations[output.index()].name)?);
    let (names, arrays): (Vec<String>, Vec<Array>) = w.arrays.into_iter().unzip();
    let bytes = write_npz(&names.iter().map(String::as_str).zip(arrays).collect::<Vec<_>>());
    same(network, &text, &bytes)?;
    Ok((text, bytes))
}

/// Refuses files that do not read back as the network.
fn same(network: &Network, text: &str, arrays: &[u8]) -> Result<(), ImportError> {
    let path = Path::new("written.ron");
    let again = read_model(path, text.as_bytes(), &ImportOptions::default(), &|_: &Path| Ok(arrays.to_vec()))
        .map_err(|e| refused(&network.name, format!("it would not read back: {e}")))?;
    match again.model {
        Model::Trained(read) if read.name == network.name && read.digest() == network.digest() => Ok(()),
        _ => Err(refused(&network.name, "it would read back as another network")),
    }
}
