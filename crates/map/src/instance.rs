//! The benchmark format of mapping: a bare hypergraph in a `.npz`.
//!
//! In: arrays `nin`, `n`, `ip`, `ix`, `layer`, and where they are known `shapes` and `rates` (a file's `alt` is never read). Out: [`Instance`].
//! Invariant: nothing is trusted: every finding is named, with the place of its first and the number of all.
//! Cost: linear in the synapses.

use crate::hypergraph::{Hypergraph, Layer, Shape};
use spikec_data::Array;
use std::collections::BTreeMap;
use std::fmt;

/// A mapping problem.
#[derive(Debug)]
pub struct Instance {
    /// The hypergraph.
    pub graph: Hypergraph,
    /// Spikes of each axon in a step.
    pub rates: Vec<f32>,
}

/// What is wrong with an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstanceFinding {
    /// An array is missing.
    Missing(&'static str),
    /// An array has another kind of elements.
    Kind {
        /// Array.
        array: &'static str,
        /// Its elements.
        found: &'static str,
        /// What is expected.
        expected: &'static str,
    },
    /// An array has another length.
    Length {
        /// Array.
        array: &'static str,
        /// Its length.
        found: usize,
        /// What is expected.
        expected: usize,
    },
    /// Elements out of their range.
    Range {
        /// Array.
        array: &'static str,
        /// Index of the first.
        index: usize,
        /// The value there.
        found: String,
        /// What is expected.
        expected: String,
        /// How many there are.
        count: usize,
    },
    /// An axon stands twice in the row of a neuron.
    Duplicate {
        /// The first neuron with one.
        neuron: usize,
        /// The axon.
        axon: i64,
        /// How many there are.
        count: usize,
    },
}

impl fmt::Display for InstanceFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InstanceFinding::Missing(array) => write!(f, "no array `{array}`"),
            InstanceFinding::Kind { array, found, expected } => write!(f, "`{array}`: found {found}, expected {expected}"),
            InstanceFinding::Length { array, found, expected } => write!(f, "`{array}`: found {found} elements, expected {expected}"),
            InstanceFinding::Range { array, index, found, expected, count } => {
                write!(f, "`{array}[{index}]`: found {found}, expected {expected} ({count} such)")
            }
            InstanceFinding::Duplicate { neuron, axon, count } => {
                write!(f, "`ix`: axon {axon} stands twice in the row of neuron {neuron} ({count} such)")
            }
        }
    }
}

/// An instance that is none: every finding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} findings; first: {}", .0.len(), .0[0])]
pub struct InstanceError(pub Vec<InstanceFinding>);

/// Most neurons and inputs together, and most synapses: what the mapper's numbers can count.
const MOST: i64 = 1 << 31;

/// Inputs beyond the synapses that a file without `rates` may claim: memory grows with what a file holds.
const SILENT: i64 = 1 << 22;

struct Reader<'a> {
    arrays: &'a BTreeMap<String, Array>,
    findings: Vec<InstanceFinding>,
}

impl Reader<'_> {
    fn integers(&mut self, array: &'static str, needed: bool) -> Option<Vec<i64>> {
        let Some(found) = self.arrays.get(array) else {
            if needed {
                self.findings.push(InstanceFinding::Missing(array));
            }
            return None;
        };
        let values = found.to_i64();
        if values.is_none() {
            let found = found.dtype_name();
            self.findings.push(InstanceFinding::Kind { array, found, expected: "integers" });
        }
        values
    }

    fn scalar(&mut self, array: &'static str) -> Option<i64> {
        let values = self.integers(array, true)?;
        if values.len() != 1 {
            self.findings.push(InstanceFinding::Length { array, found: values.len(), expected: 1 });
            return None;
        }
        self.each(array, &values, |v| (0..MOST).contains(&v), "0 .. 2^31").then(|| values[0])
    }

    fn length(&mut self, array: &'static str, found: usize, expected: usize) -> bool {
        if found != expected {
            self.findings.push(InstanceFinding::Length { array, found, expected });
        }
        found == expected
    }

    fn each<T: Copy + fmt::Display>(&mut self, array: &'static str, values: &[T], good: impl Fn(T) -> bool, expected: &str) -> bool {
        let mut bad = values.iter().enumerate().filter(|(_, v)| !good(**v));
        let first = bad.next();
        if let Some((index, value)) = first {
            let count = 1 + bad.count();
            self.findings.push(InstanceFinding::Range { array, index, found: value.to_string(), expected: expected.into(), count });
        }
        first.is_none()
    }
}

impl Instance {
    /// Reads an instance from the arrays of its file. Without `shapes` if they are not wanted.
    ///
    /// # Errors
    /// All findings.
    pub fn new(arrays: &BTreeMap<String, Array>, with_shapes: bool) -> Result<Instance, InstanceError> {
        let mut r = Reader { arrays, findings: Vec::new() };
        let (inputs, neurons) = (r.scalar("nin"), r.scalar("n"));
        let (offsets, axons) = (r.integers("ip", true), r.integers("ix", true));
        let layer = r.integers("layer", true);
        let shapes = if with_shapes { r.integers("shapes", false) } else { None };
        let (Some(inputs), Some(neurons)) = (inputs, neurons) else { return Err(InstanceError(r.findings)) };
        if inputs + neurons >= MOST || neurons == 0 {
            let expected = "at least one neuron, and fewer than 2^31 axons".into();
            r.findings.push(InstanceFinding::Range { array: "n", index: 0, found: neurons.to_string(), expected, count: 1 });
            return Err(InstanceError(r.findings));
        }
        let (n, total) = (neurons as usize, (inputs + neurons) as usize);
        let synapses = axons.as_ref().map_or(0, |a| a.len() as i64);
        if !arrays.contains_key("rates") && inputs > SILENT + synapses {
            let expected = format!("at most {SILENT} inputs more than synapses, or `rates`");
            r.findings.push(InstanceFinding::Range { array: "nin", index: 0, found: inputs.to_string(), expected, count: 1 });
            return Err(InstanceError(r.findings));
        }
        let rates = match arrays.get("rates") {
            None => vec![1.0; total],
            Some(array) => array.to_f32().unwrap_or_else(|| {
                r.findings.push(InstanceFinding::Kind { array: "rates", found: array.dtype_name(), expected: "floats" });
                Vec::new()
            }),
        };
        let whole = r.length("rates", rates.len(), total);
        if whole {
            r.each("rates", &rates, |x| x.is_finite() && x >= 0.0, "spikes of a step, not negative");
        }
        if let (Some(offsets), Some(axons)) = (&offsets, &axons)
            && r.length("ip", offsets.len(), n + 1)
        {
            let rising = offsets.is_sorted() && offsets[0] == 0 && offsets[n] as usize == axons.len() && offsets[n] < MOST;
            if !rising {
                let index = offsets.windows(2).position(|w| w[0] > w[1]).map_or(if offsets[0] == 0 { n } else { 0 }, |i| i + 1);
                let expected = format!("offsets that rise from 0 to the {} elements of `ix`", axons.len());
                r.findings.push(InstanceFinding::Range { array: "ip", index, found: offsets[index].to_string(), expected, count: 1 });
            }
            let in_range = r.each("ix", axons, |a| (0..total as i64).contains(&a), &format!("0 .. {total} (inputs, then neurons)"));
            if rising && in_range && whole {
                duplicates(offsets, axons, total, &mut r.findings);
            }
        }
        let layers = match &layer {
            Some(ids) if r.length("layer", ids.len(), n) => layers(ids, shapes.as_deref(), &mut r),
            _ => Vec::new(),
        };
        if !r.findings.is_empty() {
            return Err(InstanceError(r.findings));
        }
        let offsets = offsets.into_iter().flatten().map(|o| o as usize).collect();
        let axons = axons.into_iter().flatten().map(|a| a as u32).collect();
        Ok(Instance { graph: Hypergraph::new(inputs as u32, offsets, axons, layers), rates })
    }
}

fn duplicates(offsets: &[i64], axons: &[i64], total: usize, findings: &mut Vec<InstanceFinding>) {
    let mut seen = vec![u32::MAX; total];
    let (mut first, mut count) = (None, 0);
    for (v, w) in offsets.windows(2).enumerate() {
        for &a in &axons[w[0] as usize..w[1] as usize] {
            if std::mem::replace(&mut seen[a as usize], v as u32) == v as u32 {
                count += 1;
                first.get_or_insert((v, a));
            }
        }
    }
    if let Some((neuron, axon)) = first {
        findings.push(InstanceFinding::Duplicate { neuron, axon, count });
    }
}

/// Runs of equal layer ids; shapes go with them in order.
fn layers(ids: &[i64], shapes: Option<&[i64]>, r: &mut Reader) -> Vec<Layer> {
    let mut layers: Vec<Layer> = Vec::new();
    for (v, id) in ids.iter().enumerate() {
        if v == 0 || *id != ids[v - 1] {
            layers.push(Layer { first: v as u32, neurons: 0, shape: None, origin: Vec::new() });
        }
        layers.last_mut().expect("pushed with the first neuron").neurons += 1;
    }
    let Some(shapes) = shapes.filter(|s| !s.is_empty()) else { return layers };
    if !r.length("shapes", shapes.len(), 3 * layers.len()) {
        return layers;
    }
    for (i, (layer, shape)) in layers.iter_mut().zip(shapes.chunks(3)).enumerate() {
        let size = shape.iter().try_fold(1i64, |product, &s| if s > 0 { product.checked_mul(s) } else { None });
        if size != Some(layer.neurons.into()) {
            let (found, expected) = (format!("{shape:?}"), format!("a shape of {} neurons", layer.neurons));
            r.findings.push(InstanceFinding::Range { array: "shapes", index: 3 * i, found, expected, count: 1 });
            continue;
        }
        let at = |k: usize| shape[k] as u32;
        layer.shape = Some(Shape { channels: at(0), height: at(1), width: at(2) });
    }
    layers
}
