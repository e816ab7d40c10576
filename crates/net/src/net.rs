//! `Net<N>`: neurons and synapses, generic in the number.
//!
//! In: `Network::elaborate` (floats) or an integer network file (registers). Out: what lowering, quantizing, the
//! reference interpreter and the image check all read.
//! Invariant: synapses are rows by presynaptic neuron, posts ascending within a row (equal posts: by delay), and equal rows are stored once
//! (`synapses`); `origin` maps each neuron to its index in the population as trained; before lowering it is the identity and `skew` is 0.

use crate::ids::{PopulationId, ProjectionId};
use crate::synapses::{Synapses, Weight};
use serde::{Deserialize, Serialize};

/// A number system for nets: floats as trained, or the chip's registers.
pub trait Number: 'static + Clone + std::fmt::Debug + PartialEq {
    /// Weight of a synapse.
    type Weight: Weight + Serialize + serde::de::DeserializeOwned;
    /// Parameters of a neuron.
    type Neuron: Clone + PartialEq + std::fmt::Debug + Send + Sync + Serialize + serde::de::DeserializeOwned;
    /// Format shared by the weights of a projection.
    type Format: Clone + PartialEq + std::fmt::Debug + Send + Sync + Serialize + serde::de::DeserializeOwned;
    /// Rules shared by all neurons of the net.
    type Rules: Clone + PartialEq + std::fmt::Debug + Send + Sync + Serialize + serde::de::DeserializeOwned;
}

/// What a population is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Role<N: Number> {
    /// External channels that spike; `origin.len()` channels.
    SpikeInput,
    /// External channels with analog values; only host projections leave it.
    AnalogInput,
    /// Neurons with their parameters.
    Neurons(Vec<N::Neuron>),
}

/// A population of a net.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Population<N: Number> {
    /// Name as in the network.
    pub name: String,
    /// Shape as trained (row-major), kept for geometry and recordings; its product is the trained length.
    pub shape: Vec<u32>,
    /// Index as trained of each surviving neuron, ascending. Its length is the population's size now.
    pub origin: Vec<u32>,
    /// Network step t is computed in chip step t + skew. 0 before lowering and for inputs.
    pub skew: u32,
    /// Inputs or neurons.
    pub role: Role<N>,
}

impl<N: Number> Population<N> {
    /// Number of neurons or channels now.
    pub fn len(&self) -> usize {
        self.origin.len()
    }
    /// True when no neuron is left.
    pub fn is_empty(&self) -> bool {
        self.origin.is_empty()
    }
    /// Number of neurons or channels as trained.
    pub fn trained_len(&self) -> usize {
        self.shape.iter().map(|&s| s as usize).product()
    }
    /// True for spike and analog inputs.
    pub fn is_input(&self) -> bool {
        !matches!(self.role, Role::Neurons(_))
    }
    /// The neurons' parameters; empty for inputs.
    pub fn neurons(&self) -> &[N::Neuron] {
        match &self.role {
            Role::Neurons(n) => n,
            _ => &[],
        }
    }
}

/// Synapses that run on the chip.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(bound = "")]
pub struct Projection<N: Number> {
    /// Name as in the network.
    pub name: String,
    /// Presynaptic population (spike input or neurons).
    pub pre: PopulationId,
    /// Postsynaptic population (neurons).
    pub post: PopulationId,
    /// Format of the weights.
    pub format: N::Format,
    /// The synapses.
    pub synapses: Synapses<N::Weight>,
}

/// A linear map from analog inputs that the host computes: its sums become the bias of the post neurons.
///
/// Sum of neuron j: `offset[j] + sum over ascending i of weight[j, i] * value[i]`, in f64, without fused multiply-add;
/// the bias in steps of the post's number is that sum times `gain[j]` (for floats 1: the sum is the current q).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostProjection {
    /// Name as in the network.
    pub name: String,
    /// Analog input population.
    pub pre: PopulationId,
    /// Postsynaptic population (neurons).
    pub post: PopulationId,
    /// `offsets[j]..offsets[j + 1]` are the terms of post neuron j.
    pub offsets: Vec<u32>,
    /// Input channel of each term, ascending within a row.
    pub channels: Vec<u32>,
    /// Weight of each term, as trained.
    pub weights: Vec<f32>,
    /// Constant of each post neuron.
    pub constants: Vec<f64>,
    /// Factor of each post neuron from the sum to the post's number (registers: v units). 1 for floats.
    pub gains: Vec<f64>,
    /// Net delay in network steps.
    pub delay_steps: u32,
}

/// A net of neurons and synapses.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(bound = "")]
pub struct Net<N: Number> {
    /// Name.
    pub name: String,
    /// Rules shared by all neurons.
    pub rules: N::Rules,
    /// All populations.
    pub populations: Vec<Population<N>>,
    /// All projections on the chip.
    pub projections: Vec<Projection<N>>,
    /// All projections on the host.
    pub host_projections: Vec<HostProjection>,
    /// The population that the decoder reads.
    pub output: PopulationId,
}

impl<N: Number> Net<N> {
    /// The population `id`.
    pub fn population(&self, id: PopulationId) -> &Population<N> {
        &self.populations[id.index()]
    }
    /// The projection `id`.
    pub fn projection(&self, id: ProjectionId) -> &Projection<N> {
        &self.projections[id.index()]
    }
    /// Makes all net delays of the projection `name` longer; false, and nothing done, where it isn't the only one of that name or its delays
    /// would be beyond 16 bits.
    pub fn lag(&mut self, name: &str, steps: u16) -> bool {
        let mut named = self.projections.iter_mut().filter(|p| p.name == name);
        let (Some(p), None) = (named.next(), named.next()) else { return false };
        p.synapses.lag(steps)
    }
    /// Number of synapses on the chip.
    pub fn synapse_count(&self) -> usize {
        self.projections.iter().map(|p| p.synapses.len()).sum()
    }
    /// Number of terms that the host computes.
    pub fn host_term_count(&self) -> usize {
        self.host_projections.iter().map(|p| p.weights.len()).sum()
    }
    /// Number of neurons (inputs not counted).
    pub fn neuron_count(&self) -> usize {
        self.populations.iter().filter(|p| !p.is_input()).map(|p| p.len()).sum()
    }
    /// Largest skew: a sample of T network steps takes T + this many chip steps.
    pub fn max_skew(&self) -> u32 {
        self.populations.iter().map(|p| p.skew).max().unwrap_or(0)
    }
    /// Chip delay of a synapse of `projection` with net delay `d_net`, in chip steps:
    /// `d_net + skew(post) - skew(pre)` (Leiserson and Saxe's retiming). Negative only before lowering.
    pub fn chip_delay(&self, projection: &Projection<N>, d_net: u16) -> i64 {
        d_net as i64 + self.population(projection.post).skew as i64 - self.population(projection.pre).skew as i64
    }
}
