//! A network as a NIR file.
//!
//! In: a [`Network`]. Out: bytes that `nir.read` (Python, 1.0) and [`read_nir`](super::read_nir) read.
//! Invariant: what is written reads back as the same network (a projection may get other names where the reader had added
//! a change of shape); what NIR can't say is an error, not an approximation.
//! Names of nested graphs keep their parts, joined with `.` instead of `/`.

use super::nodes::flattened;
use super::{DISCRETIZATION, FIRE, RESET, keys};
use crate::ImportOptions;
use crate::error::ImportError;
use crate::model::write_spatial::per_channel;
use hdf5_writer::{DatasetBuilder, FILTER_DEFLATE, FilterDescription, Hdf5Builder, WriteOptions};
use spikec_net::{Axis, Conv, Network, NeuronModel, Operator, Pool, PoolKind, TrainedPopulation, TrainedProjection, TrainedRole};
use std::collections::BTreeSet;

/// Version of NIR that is written.
const VERSION: &str = "1.0.8";
/// Arrays from this number of elements are compressed.
const COMPRESS_FROM: usize = 256;
/// Elements of a chunk, about.
const CHUNK: u64 = 1 << 20;
const DEFLATE_LEVEL: u32 = 6;

struct Writer {
    file: Hdf5Builder,
    names: BTreeSet<String>,
    edges: Vec<String>,
    place: String,
}

impl Writer {
    fn failed(&self) -> impl Fn(hdf5_writer::Error) -> ImportError + use<> {
        let place = self.place.clone();
        move |e| ImportError::NotWritable { format: "NIR", place: place.clone(), what: e.to_string() }
    }

    fn add(&mut self, dataset: DatasetBuilder) {
        let file = std::mem::take(&mut self.file);
        self.file = file.dataset(dataset);
    }

    fn text(&mut self, path: &str, text: &str) -> Result<(), ImportError> {
        let dataset = DatasetBuilder::vlen_string_data(path, Vec::<u64>::new(), &[text]).map_err(self.failed())?;
        self.add(dataset);
        Ok(())
    }

    fn floats(&mut self, path: String, shape: &[u32], values: &[f32]) -> Result<(), ImportError> {
        let shape: Vec<u64> = shape.iter().map(|&d| d.into()).collect();
        let mut dataset = DatasetBuilder::typed_data(path, shape.clone(), values).map_err(self.failed())?;
        if values.len() >= COMPRESS_FROM {
            // Whole rows of the first dimension.
            let row: u64 = shape[1..].iter().product();
            let mut chunk = shape.clone();
            chunk[0] = (CHUNK / row.max(1)).clamp(1, shape[0]);
            dataset = dataset.chunked(chunk).filter(FilterDescription { id: FILTER_DEFLATE, name: None, client_data: vec![DEFLATE_LEVEL] });
        }
        self.add(dataset);
        Ok(())
    }

    fn integers(&mut self, path: String, shape: &[u64], values: &[i64]) -> Result<(), ImportError> {
        let dataset = DatasetBuilder::typed_data(path, shape.to_vec(), values).map_err(self.failed())?;
        self.add(dataset);
        Ok(())
    }

    /// Starts a node; returns its name, made unique, and its folder.
    fn node(&mut self, wanted: &str, kind: &str) -> Result<(String, String), ImportError> {
        let base = match wanted.replace('/', ".") {
            s if s.is_empty() || s == "." => "node".to_string(),
            s => s,
        };
        let mut name = base.clone();
        let mut k = 2;
        while !self.names.insert(name.clone()) {
            name = format!("{base}_{k}");
            k += 1;
        }
        self.place = wanted.into();
        let folder = format!("node/nodes/{name}");
        self.text(&format!("{folder}/type"), kind)?;
        Ok((name, folder))
    }

    fn shape(&mut self, path: String, shape: &[u32]) -> Result<(), ImportError> {
        let wide: Vec<i64> = shape.iter().map(|&d| d.into()).collect();
        self.integers(path, &[shape.len() as u64], &wide)
    }

    fn edge(&mut self, from: &str, to: &str) {
        self.edges.extend([from.to_string(), to.to_string()]);
    }

    fn population(&mut self, p: &TrainedPopulation) -> Result<String, ImportError> {
        let model = match &p.role {
            TrainedRole::Input => {
                let (name, folder) = self.node(&p.name, "Input")?;
                self.shape(format!("{folder}/shape"), &p.shape)?;
                return Ok(name);
            }
            TrainedRole::Neurons(model) => model,
        };
        let (name, folder) = self.node(&p.name, model.name())?;
        if *model == NeuronModel::Or {
            return Err(self.refusal(&p.name, "maxima of spikes (OR)".into()));
        }
        for (key, values) in model.parameters() {
            let key = if matches!(model, NeuronModel::Threshold { .. }) { "threshold" } else { key };
            self.floats(format!("{folder}/{key}"), &p.shape, values)?;
        }
        Ok(name)
    }

    /// Writes the operators of a projection and its edges.
    fn projection(&mut self, p: &TrainedProjection, network: &Network, from: &str, to: &str) -> Result<(), ImportError> {
        let refuse = |what: &str| Err(ImportError::NotWritable { format: "NIR", place: p.name.clone(), what: what.into() });
        // The reader gives a step to what closes a loop, and to nothing else; `closes` checks that it will.
        if p.delay_steps > 1 {
            return refuse("a projection with a delay that no loop explains");
        }
        let mut shape = network.populations[p.pre.index()].shape.clone();
        let mut nodes = Vec::new();
        let mut rest = p.operators.as_slice();
        while let Some((operator, after)) = rest.split_first() {
            rest = after;
            match operator {
                Operator::Linear { outputs, inputs, weight } => {
                    let bias = match rest.split_first() {
                        Some((Operator::Bias { bias }, after)) => {
                            rest = after;
                            Some(bias)
                        }
                        _ => None,
                    };
                    shape = vec![*outputs];
                    nodes.push(Written::Matrix([*outputs, *inputs], weight, bias));
                }
                Operator::Bias { .. } => return refuse("a constant without a matrix before it"),
                Operator::Scale { scale } => nodes.push(Written::Scale(shape.clone(), scale)),
                Operator::Reshape { shape: to } => {
                    let Some((start, end)) = as_flatten(&shape, to) else {
                        return refuse("a change of shape that merges no neighbouring dimensions");
                    };
                    nodes.push(Written::Flatten(std::mem::replace(&mut shape, to.clone()), start, end));
                }
                Operator::Conv(c) => {
                    let bias = match rest.split_first() {
                        Some((Operator::Bias { bias }, after)) => {
                            let Some(each) = per_channel(bias, c.outputs as usize) else {
                                return refuse("a convolution whose bias differs within a channel");
                            };
                            rest = after;
                            each
                        }
                        _ => vec![0.0; c.outputs as usize],
                    };
                    shape = c.output_shape().map_err(|e| self.refusal(&p.name, e.to_string()))?;
                    let same = c.axes.iter().all(|a| a.stride == 1 && a.padding == Axis::same(a.kernel, a.dilation));
                    if c.axes.iter().any(|a| a.padding[0] != a.padding[1]) && !same {
                        return refuse("a convolution with other padding before the map than behind it");
                    }
                    nodes.push(Written::Conv(c, bias));
                }
                Operator::Pool(pool) => {
                    shape = pool.output_shape().map_err(|e| self.refusal(&p.name, e.to_string()))?;
                    let plain = |a: &Axis| a.dilation == 1 && a.padding[0] == a.padding[1];
                    if pool.axes.len() != 2 || !pool.axes.iter().all(plain) || pool.kind == PoolKind::AverageInside {
                        return refuse("a pool that is no SumPool2d or AvgPool2d of NIR");
                    }
                    nodes.push(Written::Pool(pool));
                }
                Operator::Delay { delay } => nodes.push(Written::Delay(shape.clone(), delay)),
                other => return refuse(&format!("a {}", other.kind())),
            }
        }
        let names: Vec<&str> = p.name.split('+').collect();
        let mut last = from.to_string();
        for (k, node) in nodes.iter().enumerate() {
            let wanted = match node {
                _ if names.len() == nodes.len() => names[k].to_string(),
                _ => format!("{}_{k}", p.name),
            };
            let name = self.operator(&wanted, node)?;
            self.edge(&last, &name);
            last = name;
        }
        self.edge(&last, to);
        Ok(())
    }

    fn refusal(&self, place: &str, what: String) -> ImportError {
        ImportError::NotWritable { format: "NIR", place: place.into(), what }
    }

    fn axes(&mut self, path: String, axes: &[Axis], of: impl Fn(&Axis) -> u32) -> Result<(), ImportError> {
        let values: Vec<u32> = axes.iter().map(of).collect();
        match values[..] {
            [one] => self.integers(path, &[], &[one.into()]),
            _ => self.shape(path, &values),
        }
    }

    fn operator(&mut self, wanted: &str, operator: &Written) -> Result<String, ImportError> {
        match operator {
            Written::Matrix(shape, weight, bias) => {
                let (name, folder) = self.node(wanted, if bias.is_some() { "Affine" } else { "Linear" })?;
                self.floats(format!("{folder}/weight"), shape, weight)?;
                if let Some(bias) = bias {
                    self.floats(format!("{folder}/bias"), &shape[..1], bias)?;
                }
                Ok(name)
            }
            Written::Scale(shape, scale) => {
                let (name, folder) = self.node(wanted, "Scale")?;
                self.floats(format!("{folder}/scale"), shape, scale)?;
                Ok(name)
            }
            Written::Conv(c, bias) => {
                let (name, folder) = self.node(wanted, if c.axes.len() == 1 { "Conv1d" } else { "Conv2d" })?;
                let dims: Vec<u32> = [c.outputs, c.channels / c.groups].into_iter().chain(c.axes.iter().map(|a| a.kernel)).collect();
                self.floats(format!("{folder}/weight"), &dims, &c.weight)?;
                self.floats(format!("{folder}/bias"), &[c.outputs], bias)?;
                self.axes(format!("{folder}/input_shape"), &c.axes, |a| a.size)?;
                self.axes(format!("{folder}/stride"), &c.axes, |a| a.stride)?;
                self.axes(format!("{folder}/dilation"), &c.axes, |a| a.dilation)?;
                self.integers(format!("{folder}/groups"), &[], &[c.groups.into()])?;
                match c.axes.iter().all(|a| a.padding[0] == a.padding[1]) {
                    true => self.axes(format!("{folder}/padding"), &c.axes, |a| a.padding[0])?,
                    false => self.text(&format!("{folder}/padding"), "same")?,
                }
                Ok(name)
            }
            Written::Pool(pool) => {
                let (name, folder) = self.node(wanted, if pool.kind == PoolKind::Sum { "SumPool2d" } else { "AvgPool2d" })?;
                self.axes(format!("{folder}/kernel_size"), &pool.axes, |a| a.kernel)?;
                self.axes(format!("{folder}/stride"), &pool.axes, |a| a.stride)?;
                self.axes(format!("{folder}/padding"), &pool.axes, |a| a.padding[0])?;
                Ok(name)
            }
            Written::Delay(shape, delay) => {
                let (name, folder) = self.node(wanted, "Delay")?;
                self.floats(format!("{folder}/delay"), shape, delay)?;
                Ok(name)
            }
            Written::Flatten(shape, start, end) => {
                let (name, folder) = self.node(wanted, "Flatten")?;
                self.shape(format!("{folder}/input_type"), shape)?;
                self.integers(format!("{folder}/start_dim"), &[], &[*start])?;
                self.integers(format!("{folder}/end_dim"), &[], &[*end])?;
                Ok(name)
            }
        }
    }
}

enum Written<'a> {
    Matrix([u32; 2], &'a [f32], Option<&'a Vec<f32>>),
    Scale(Vec<u32>, &'a [f32]),
    /// With a bias for each channel.
    Conv(&'a Conv, Vec<f32>),
    Pool(&'a Pool),
    Delay(Vec<u32>, &'a [f32]),
    /// Shape before, first and last dimension.
    Flatten(Vec<u32>, i64, i64),
}

/// The dimensions that a Flatten from `shape` to `to` merges; -1 for the last one, as NIR's frameworks write it.
fn as_flatten(shape: &[u32], to: &[u32]) -> Option<(i64, i64)> {
    let rank = shape.len() as i64;
    (0..rank)
        .flat_map(|s| (s..rank).rev().map(move |e| (s, e)))
        .find(|&(s, e)| flattened(shape, s, e).as_deref() == Some(to))
        .map(|(s, e)| (s, if e == rank - 1 { -1 } else { e }))
}

fn word<T: PartialEq>(table: &[(&'static str, T)], value: &T) -> &'static str {
    table.iter().find(|(_, v)| v == value).map_or("", |(t, _)| t)
}

/// Writes a network as NIR 1.0 (HDF5, large arrays compressed). The same network gives the same bytes.
///
/// # Errors
/// [`ImportError::NotWritable`] for delays, constants without a matrix before them, and changes of shape that NIR's
/// Flatten can't do.
pub fn write_nir(network: &Network) -> Result<Vec<u8>, ImportError> {
    let mut w = Writer { file: Hdf5Builder::new(), names: BTreeSet::new(), edges: Vec::new(), place: "version".into() };
    w.text("version", VERSION)?;
    w.text("node/type", "NIRGraph")?;
    let c = &network.conventions;
    for (key, value) in [
        (keys::NAME, network.name.as_str()),
        (keys::DT, &c.dt_s.to_string()),
        (keys::CONVENTION, &c.name),
        (keys::FIRE, word(&FIRE, &c.fire)),
        (keys::RESET, word(&RESET, &c.reset)),
        (keys::DISCRETIZATION, word(&DISCRETIZATION, &c.discretization)),
    ] {
        w.text(&format!("node/metadata/{key}"), value)?;
    }
    let mut names = Vec::with_capacity(network.populations.len());
    for p in &network.populations {
        names.push(w.population(p)?);
    }
    for p in &network.projections {
        w.projection(p, network, &names[p.pre.index()], &names[p.post.index()])?;
    }
    let (output, folder) = w.node("output", "Output")?;
    w.shape(format!("{folder}/shape"), &network.populations[network.output.index()].shape)?;
    w.edge(&names[network.output.index()], &output);
    let edges = DatasetBuilder::vlen_string_data("node/edges", vec![w.edges.len() as u64 / 2, 2], &w.edges).map_err(w.failed())?;
    w.add(edges);
    let failed = w.failed();
    let bytes = w.file.into_plan().and_then(|plan| plan.encode(WriteOptions::default())).map_err(failed)?;
    closes(network, &bytes)?;
    Ok(bytes)
}

/// Refuses files whose loops would not close as the network's do: the reader decides by the order of computation.
fn closes(network: &Network, bytes: &[u8]) -> Result<(), ImportError> {
    let Some(late) = network.projections.iter().find(|p| p.delay_steps != 0) else { return Ok(()) };
    let refusal = |what: String| ImportError::NotWritable { format: "NIR", place: late.name.clone(), what };
    let options = ImportOptions { name: network.name.clone(), ..ImportOptions::default() };
    let (read, _) = super::read_nir(bytes, &options).map_err(|e| refusal(format!("it would not read back: {e}")))?;
    let ways = |n: &Network| {
        let name = |id: spikec_net::PopulationId| n.populations[id.index()].name.replace('/', ".");
        let mut ways: Vec<_> = n.projections.iter().map(|p| (name(p.pre), name(p.post), p.delay_steps)).collect();
        ways.sort();
        ways
    };
    if ways(network) == ways(&read) { Ok(()) } else { Err(refusal("a projection with a delay that no loop explains".into())) }
}
