//! A flat graph into populations and projections.
//!
//! In: [`FlatGraph`]. Out: the populations, projections and output of a [`Network`](spikec_net::Network).
//! Invariant: populations are in the order of computation; a projection to a population from itself or a later one acts one step
//! later, unless a delay is on its way. Each affine node's constant reaches each neuron node once for each way from it, however many sources
//! feed it: of the ways into an operator only the first carries its constant.
//! Cost: operators shared by several ways are copied; the copies are bounded by [`MAX_COPIED`].

use super::graph::{FlatGraph, FlatNode};
use super::kinds::Class;
use super::nodes::{NodeOperators, neuron_model, operators, shape_parameter};
use crate::error::ImportError;
use crate::shape::{Growth, MAX_POPULATION, population_len, squeezed};
use spikec_net::{Operator, PopulationId, TrainedPopulation, TrainedProjection, TrainedRole};
use std::collections::BTreeMap;

/// Ways from populations through operators.
const MAX_WAYS: u64 = 1 << 16;
/// Parameters of all projections.
const MAX_COPIED: u64 = 1 << 28;

/// Most parameters of a neuron.
const PARAMETERS: usize = 7;

/// Parts of a network.
pub(crate) struct Parts {
    pub populations: Vec<TrainedPopulation>,
    pub projections: Vec<TrainedProjection>,
    pub output: PopulationId,
    pub warnings: Vec<String>,
}

/// A way from a population to a node: the last step and what came before.
#[derive(Clone, Copy)]
struct Way {
    source: PopulationId,
    last: Option<usize>,
}

/// A step of a way: an operator node.
struct Step {
    before: Option<usize>,
    node: usize,
    with_constant: bool,
}

struct Builder {
    graph: FlatGraph,
    shapes: Vec<Vec<u32>>,
    operators: Vec<NodeOperators>,
    ways: Vec<Vec<Way>>,
    steps: Vec<Step>,
    way_count: u64,
    copied: u64,
    growth: Growth,
    parts: Parts,
}

/// Builds populations and projections.
///
/// # Errors
/// Shapes that don't chain, operators without input, a missing input, anything but one output behind neurons.
pub(crate) fn build(graph: FlatGraph) -> Result<Parts, ImportError> {
    let n = graph.nodes.len();
    let mut b = Builder {
        graph,
        shapes: vec![Vec::new(); n],
        operators: (0..n).map(|_| NodeOperators::default()).collect(),
        ways: vec![Vec::new(); n],
        steps: Vec::new(),
        way_count: 0,
        copied: 0,
        growth: Growth::default(),
        parts: Parts { populations: Vec::new(), projections: Vec::new(), output: PopulationId(0), warnings: Vec::new() },
    };
    for k in 0..n {
        b.visit(b.graph.order[k])?;
    }
    // Loops are closed: ways from later nodes are known now.
    for k in 0..n {
        b.projections_into(b.graph.order[k])?;
    }
    b.set_output()?;
    if !b.parts.populations.iter().any(|p| p.role == TrainedRole::Input) {
        return Err(ImportError::NoInput);
    }
    name_apart(&mut b.parts);
    Ok(b.parts)
}

impl Builder {
    fn node(&self, i: usize) -> &FlatNode {
        &self.graph.nodes[i]
    }

    fn visit(&mut self, i: usize) -> Result<(), ImportError> {
        let incoming = std::mem::take(&mut self.graph.predecessors[i]);
        let alone = incoming.is_empty() && self.graph.successors[i] == 0;
        let class = self.node(i).class();
        if alone && class != Some(Class::Output) {
            self.parts.warnings.push(format!("node `{}` ({}) has no edges and is ignored", self.node(i).name, self.node(i).kind.name));
            self.graph.predecessors[i] = incoming;
            return Ok(());
        }
        match class {
            Some(Class::Input) => self.input(i, &incoming)?,
            Some(Class::Neurons) => self.neurons(i, &incoming)?,
            Some(Class::Output) => {}
            Some(Class::Operator) | None => self.operator(i, &incoming)?,
            // Refused before.
            Some(Class::Other) => {}
        }
        self.graph.predecessors[i] = incoming;
        Ok(())
    }

    fn input(&mut self, i: usize, incoming: &[usize]) -> Result<(), ImportError> {
        let node = self.node(i);
        if let Some(&from) = incoming.first() {
            return Err(ImportError::EdgeIntoInput { from: self.node(from).name.clone(), node: node.name.clone() });
        }
        let shape = shape_parameter(node, "shape")?.unwrap_or_else(|| vec![1]);
        let population = TrainedPopulation { name: node.name.clone(), shape: shape.clone(), role: TrainedRole::Input };
        self.add_population(i, shape, population)?;
        Ok(())
    }

    fn add_population(&mut self, i: usize, shape: Vec<u32>, population: TrainedPopulation) -> Result<PopulationId, ImportError> {
        self.growth.neurons(&population.name, population.len())?;
        let id = PopulationId::from(self.parts.populations.len());
        self.parts.populations.push(population);
        self.shapes[i] = shape;
        self.ways[i] = vec![Way { source: id, last: None }];
        Ok(id)
    }

    fn mismatch(&self, from: usize, to: usize, expected: String) -> ImportError {
        ImportError::ShapeMismatch {
            from: self.node(from).name.clone(),
            found: self.shapes[from].clone(),
            to: self.node(to).name.clone(),
            expected,
        }
    }

    /// Shape of the one tensor that all of `incoming` give.
    fn incoming_shape(&self, i: usize, incoming: &[usize]) -> Result<Vec<u32>, ImportError> {
        let Some(&first) = incoming.first() else {
            let node = self.node(i);
            return Err(ImportError::NothingFeeds { node: node.name.clone(), kind: node.kind.name.into() });
        };
        for &other in &incoming[1..] {
            if self.shapes[other] != self.shapes[first] {
                let expected = format!("{:?} (the shape that `{}` gives it)", self.shapes[first], self.node(first).name);
                return Err(self.mismatch(other, i, expected));
            }
        }
        Ok(self.shapes[first].clone())
    }

    fn operator(&mut self, i: usize, incoming: &[usize]) -> Result<(), ImportError> {
        let shape = self.incoming_shape(i, incoming)?;
        if self.graph.successors[i] == 0 {
            self.parts.warnings.push(format!("node `{}` ({}) leads nowhere and is ignored", self.node(i).name, self.node(i).kind.name));
        }
        let pass = self.node(i).pass;
        if pass {
            self.shapes[i] = shape;
        } else {
            if matches!(self.node(i).kind.name, "Scale" | "Delay") {
                let place = self.node(i).name.clone();
                self.growth.repeated(&place, shape.iter().map(|&d| d as usize).product())?;
            }
            let ops = operators(&mut self.graph.nodes[i], &shape).map_err(|e| e.at(self, incoming, i))?;
            self.growth.repeated(&self.graph.nodes[i].name, ops.repeated as usize)?;
            self.shapes[i] = ops.shape.clone();
            self.operators[i] = ops;
        }
        let before: Vec<Way> = incoming.iter().flat_map(|&p| self.ways[p].iter().copied()).collect();
        self.way_count += before.len() as u64;
        if self.way_count > MAX_WAYS {
            return Err(ImportError::TooLarge {
                place: self.node(i).name.clone(),
                what: "ways through operators",
                found: self.way_count,
                limit: MAX_WAYS,
            });
        }
        let mut ways = Vec::with_capacity(before.len());
        for (k, way) in before.into_iter().enumerate() {
            if pass {
                ways.push(way);
                continue;
            }
            self.steps.push(Step { before: way.last, node: i, with_constant: k == 0 });
            ways.push(Way { source: way.source, last: Some(self.steps.len() - 1) });
        }
        self.ways[i] = ways;
        Ok(())
    }

    fn neurons(&mut self, i: usize, incoming: &[usize]) -> Result<(), ImportError> {
        if incoming.is_empty() {
            self.parts.warnings.push(format!("nothing feeds the neurons of `{}`", self.node(i).name));
        }
        // What closes a loop has no shape yet.
        let fed = incoming.iter().map(|&p| self.shapes[p].clone()).find(|shape| !shape.is_empty());
        let (model, shape) = neuron_model(&mut self.graph.nodes[i], fed.as_deref())?;
        let name = self.node(i).name.clone();
        self.growth.repeated(&name, PARAMETERS * shape.iter().map(|&d| d as usize).product::<usize>())?;
        self.add_population(i, shape.clone(), TrainedPopulation { name, shape, role: TrainedRole::Neurons(model) })?;
        Ok(())
    }

    fn projections_into(&mut self, i: usize) -> Result<(), ImportError> {
        let incoming = self.graph.predecessors[i].clone();
        let (Some(Class::Neurons), Some(id)) = (self.node(i).class(), self.ways[i].first().map(|w| w.source)) else { return Ok(()) };
        let shape = self.shapes[i].clone();
        for p in incoming {
            if squeezed(&self.shapes[p]) != squeezed(&shape) {
                return Err(self.mismatch(p, i, format!("{shape:?}")));
            }
            let reshape = (self.shapes[p] != shape).then(|| shape.clone());
            for k in 0..self.ways[p].len() {
                let mut projection = self.projection(self.ways[p][k], id, reshape.clone())?;
                let waits = projection.operators.iter().any(|o| matches!(o, Operator::Delay { .. }));
                if projection.pre >= id && !waits {
                    projection.delay_steps = 1;
                    let names = |id: PopulationId| &self.parts.populations[id.index()].name;
                    let (from, to) = (names(projection.pre), names(id));
                    let warning = format!("`{from}` -> `{to}` closes a loop: spikes of step t act in step t + 1");
                    self.parts.warnings.push(warning);
                }
                self.parts.projections.push(projection);
            }
        }
        Ok(())
    }

    fn projection(&mut self, way: Way, post: PopulationId, reshape: Option<Vec<u32>>) -> Result<TrainedProjection, ImportError> {
        let mut steps = Vec::new();
        let mut at = way.last;
        while let Some(s) = at {
            steps.push(s);
            at = self.steps[s].before;
        }
        let mut chain = Vec::new();
        let mut names = Vec::new();
        for &s in steps.iter().rev() {
            let Step { node, with_constant, .. } = self.steps[s];
            let ops = &self.operators[node];
            self.copied += ops.elements + 1;
            if self.copied > MAX_COPIED {
                return Err(ImportError::TooLarge {
                    place: self.node(node).name.clone(),
                    what: "parameters in all projections",
                    found: self.copied,
                    limit: MAX_COPIED,
                });
            }
            chain.extend(ops.linear.iter().cloned());
            if with_constant {
                chain.extend(ops.constant.clone());
            }
            names.push(self.node(node).name.clone());
        }
        chain.extend(reshape.map(|shape| Operator::Reshape { shape }));
        Ok(TrainedProjection { name: names.join("+"), pre: way.source, post, operators: chain, delay_steps: 0 })
    }

    fn set_output(&mut self) -> Result<(), ImportError> {
        let outputs: Vec<usize> = (0..self.graph.nodes.len()).filter(|&i| self.node(i).class() == Some(Class::Output)).collect();
        let &[output] = outputs.as_slice() else {
            let nodes = outputs.iter().map(|&i| self.node(i).name.clone()).collect();
            return Err(ImportError::OutputCount { found: outputs.len(), nodes });
        };
        // Through the ports of nested graphs.
        let mut sources = self.graph.predecessors[output].clone();
        while let &[one] = sources.as_slice() {
            if !self.node(one).pass {
                break;
            }
            sources = self.graph.predecessors[one].clone();
        }
        let named = |i: &usize| (self.node(*i).name.clone(), self.node(*i).kind.name.to_string());
        match sources.as_slice() {
            &[one] if self.node(one).class() == Some(Class::Neurons) => {
                self.parts.output = self.ways[one][0].source;
                let population = &self.parts.populations[self.parts.output.index()];
                let declared = shape_parameter(self.node(output), "shape").ok().flatten();
                if let Some(shape) = declared
                    && squeezed(&shape) != squeezed(&population.shape)
                {
                    let warning = format!(
                        "`{}` declares the shape {shape:?}, but `{}` has {:?}",
                        self.node(output).name,
                        population.name,
                        population.shape
                    );
                    self.parts.warnings.push(warning);
                }
                Ok(())
            }
            other => Err(ImportError::OutputSource { output: self.node(output).name.clone(), from: other.iter().map(named).collect() }),
        }
    }
}

/// Names projections without operators, and those of the same name, by their ends.
fn name_apart(parts: &mut Parts) {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for p in &parts.projections {
        *count.entry(p.name.clone()).or_default() += 1;
    }
    for p in &mut parts.projections {
        let ends = format!("{} -> {}", parts.populations[p.pre.index()].name, parts.populations[p.post.index()].name);
        if p.name.is_empty() {
            p.name = ends;
        } else if count[&p.name] > 1 {
            p.name = format!("{} ({ends})", p.name);
        }
    }
}

/// What an operator node says about a tensor that it can't take.
pub(crate) enum OperatorError {
    /// The node itself is wrong.
    Node(ImportError),
    /// It takes another shape.
    Takes(String),
}

impl From<ImportError> for OperatorError {
    fn from(e: ImportError) -> Self {
        OperatorError::Node(e)
    }
}

impl OperatorError {
    fn at(self, builder: &Builder, incoming: &[usize], node: usize) -> ImportError {
        match self {
            OperatorError::Node(e) => e,
            OperatorError::Takes(expected) => match incoming.first() {
                Some(&from) => builder.mismatch(from, node, expected),
                None => ImportError::NothingFeeds { node: builder.node(node).name.clone(), kind: builder.node(node).kind.name.into() },
            },
        }
    }
}

/// Checks a shape read from a file and narrows it.
pub(crate) fn checked_shape(node: &str, parameter: &str, shape: &[u64]) -> Result<Vec<u32>, ImportError> {
    if population_len(shape).is_none() {
        return Err(ImportError::WrongShape {
            node: node.into(),
            parameter: parameter.into(),
            found: shape.to_vec(),
            expected: format!("1 to {MAX_POPULATION} elements"),
        });
    }
    Ok(shape.iter().map(|&d| d as u32).collect())
}
