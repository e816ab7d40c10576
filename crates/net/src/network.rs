//! The network as trained: populations with their shapes, and projections as chains of linear operators.
//!
//! In: what a reader found in a file. Out: an arena of populations and projections.
//! Invariant: parameters are in the file's own units (seconds, volts); nothing is discretized or folded here.

use crate::float::{FireRule, ResetRule};
use crate::ids::PopulationId;
use crate::operators::{BatchNorm, Conv, ConvTranspose, Place, Pool, PoolKind};
use serde::{Deserialize, Serialize};

/// How continuous time becomes steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Discretization {
    /// Forward Euler: keep = 1 - dt / tau, gain = dt / tau.
    Euler,
    /// Exact exponential: keep = exp(-dt / tau), gain = 1 - keep.
    Exact,
}

/// What a network file can't say and the user (or the framework's name) must.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conventions {
    /// Name of the convention these were taken from, e.g. `spikingjelly`.
    pub name: String,
    /// Length of a network step in seconds (in the file's unit of time).
    pub dt_s: f64,
    /// Fires at `>` or at `>=` the threshold.
    pub fire: FireRule,
    /// What a spike does to the potential.
    pub reset: ResetRule,
    /// How continuous time becomes steps.
    pub discretization: Discretization,
}

/// A neuron model with its parameters, each an array of length n (the population's neurons), in the file's units.
///
/// Definitions follow NIR 1.0 (Pedersen et al., 2024): LIF `tau dv/dt = (v_leak - v) + r I`;
/// IF `dv/dt = r I`; Threshold `z = I > v_threshold`; CubaLIF `tau_syn dI/dt = -I + w_in S`, `tau_mem dv/dt = (v_leak - v) + r I`;
/// LI and CubaLI the same without firing.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // the parameters are those of the equations above
pub enum NeuronModel {
    /// Leaky integrate-and-fire.
    Lif { tau: Vec<f32>, r: Vec<f32>, v_leak: Vec<f32>, v_threshold: Vec<f32>, v_reset: Vec<f32> },
    /// Integrate-and-fire.
    If { r: Vec<f32>, v_threshold: Vec<f32>, v_reset: Vec<f32> },
    /// Current-based leaky integrate-and-fire.
    CubaLif {
        tau_syn: Vec<f32>,
        tau_mem: Vec<f32>,
        r: Vec<f32>,
        v_leak: Vec<f32>,
        v_threshold: Vec<f32>,
        v_reset: Vec<f32>,
        w_in: Vec<f32>,
    },
    /// Leaky integrator: never fires; a readout.
    Li { tau: Vec<f32>, r: Vec<f32>, v_leak: Vec<f32> },
    /// Current-based leaky integrator: never fires; a readout.
    CubaLi { tau_syn: Vec<f32>, tau_mem: Vec<f32>, r: Vec<f32>, v_leak: Vec<f32>, w_in: Vec<f32> },
    /// Fires in a step in which its input is above the threshold (strictly, whatever the conventions say); no memory.
    Threshold { v_threshold: Vec<f32> },
    /// Fires in a step in which any of its presynaptic neurons fires: the maximum of spikes. No memory, no parameter;
    /// every synapse into it weighs 1.
    Or,
}

impl NeuronModel {
    /// The model's NIR name.
    pub fn name(&self) -> &'static str {
        match self {
            NeuronModel::Lif { .. } => "LIF",
            NeuronModel::If { .. } => "IF",
            NeuronModel::CubaLif { .. } => "CubaLIF",
            NeuronModel::Li { .. } => "LI",
            NeuronModel::CubaLi { .. } => "CubaLI",
            NeuronModel::Threshold { .. } => "Threshold",
            NeuronModel::Or => "OR",
        }
    }

    /// The parameters in the order of the equations, by NIR's names.
    pub fn parameters(&self) -> Vec<(&'static str, &[f32])> {
        macro_rules! named {
            ($($field:ident),*) => { vec![$((stringify!($field), $field.as_slice())),*] };
        }
        match self {
            NeuronModel::Lif { tau, r, v_leak, v_threshold, v_reset } => named!(tau, r, v_leak, v_threshold, v_reset),
            NeuronModel::If { r, v_threshold, v_reset } => named!(r, v_threshold, v_reset),
            NeuronModel::CubaLif { tau_syn, tau_mem, r, v_leak, v_threshold, v_reset, w_in } => {
                named!(tau_syn, tau_mem, r, v_leak, v_threshold, v_reset, w_in)
            }
            NeuronModel::Li { tau, r, v_leak } => named!(tau, r, v_leak),
            NeuronModel::CubaLi { tau_syn, tau_mem, r, v_leak, w_in } => named!(tau_syn, tau_mem, r, v_leak, w_in),
            NeuronModel::Threshold { v_threshold } => named!(v_threshold),
            NeuronModel::Or => Vec::new(),
        }
    }
}

/// What a trained population is.
#[derive(Debug, Clone, PartialEq)]
pub enum TrainedRole {
    /// External input channels.
    Input,
    /// Neurons.
    Neurons(NeuronModel),
}

/// A population as trained.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainedPopulation {
    /// Name of the node in the file (nested graphs: joined with `/`).
    pub name: String,
    /// Shape of the tensor; neurons in row-major (C) order.
    pub shape: Vec<u32>,
    /// Input channels or neurons.
    pub role: TrainedRole,
}

impl TrainedPopulation {
    /// Number of neurons or channels.
    pub fn len(&self) -> usize {
        self.shape.iter().map(|&s| s as usize).product()
    }
    /// True when there is no neuron or channel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A linear operator of a projection's chain, applied in order to the pre tensor.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // each variant explains its fields
pub enum Operator {
    /// y = W x. `weight` is row-major (outputs, inputs); exact zeros are absent synapses.
    Linear { outputs: u32, inputs: u32, weight: Vec<f32> },
    /// y = x + b, b of the tensor's length.
    Bias { bias: Vec<f32> },
    /// y = s * x, elementwise, s of the tensor's length.
    Scale { scale: Vec<f32> },
    /// Reshape; row-major order is kept, so that no value moves. `shape` is the new shape.
    Reshape { shape: Vec<u32> },
    /// A convolution over one axis or two.
    Conv(Conv),
    /// A transposed convolution over one axis or two.
    ConvTranspose(ConvTranspose),
    /// Sums or averages under a window.
    Pool(Pool),
    /// A factor and a constant for each channel, applied after the mask: what is 0 stays 0.
    BatchNorm(BatchNorm),
    /// A part of a larger tensor that is 0 elsewhere.
    Place(Place),
    /// Each value comes later by its own delay, in the file's unit of time, rounded to network steps.
    Delay { delay: Vec<f32> },
}

impl Operator {
    /// What it is called.
    pub fn kind(&self) -> &'static str {
        match self {
            Operator::Linear { .. } => "Linear",
            Operator::Bias { .. } => "Bias",
            Operator::Scale { .. } => "Scale",
            Operator::Reshape { .. } => "Reshape",
            Operator::Conv(c) => {
                if c.axes.len() == 1 {
                    "Conv1d"
                } else {
                    "Conv2d"
                }
            }
            Operator::ConvTranspose(c) => {
                if c.axes.len() == 1 {
                    "ConvTranspose1d"
                } else {
                    "ConvTranspose2d"
                }
            }
            Operator::Pool(p) => match (p.kind, p.axes.len()) {
                (PoolKind::Sum, 1) => "SumPool1d",
                (PoolKind::Sum, _) => "SumPool2d",
                (_, 1) => "AvgPool1d",
                _ => "AvgPool2d",
            },
            Operator::BatchNorm(_) => "BatchNorm",
            Operator::Place(_) => "Place",
            Operator::Delay { .. } => "Delay",
        }
    }

    /// Weights that a mask could prune: those of matrices and kernels.
    pub fn weights(&self) -> Option<&[f32]> {
        match self {
            Operator::Linear { weight, .. } => Some(weight),
            Operator::Conv(c) => Some(&c.weight),
            Operator::ConvTranspose(c) => Some(&c.weight),
            _ => None,
        }
    }
}

/// A projection as trained: a chain of linear operators from one population to another.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainedProjection {
    /// Names of the operator nodes joined with `+`, e.g. `fc1`.
    pub name: String,
    /// Presynaptic population.
    pub pre: PopulationId,
    /// Postsynaptic population.
    pub post: PopulationId,
    /// The chain, in the order of application; empty = identity.
    pub operators: Vec<Operator>,
    /// Net delay in network steps: 0 crosses within a step, as frameworks do.
    pub delay_steps: u32,
}

/// A network as trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Name (file stem or metadata).
    pub name: String,
    /// What the file can't say.
    pub conventions: Conventions,
    /// All populations.
    pub populations: Vec<TrainedPopulation>,
    /// All projections.
    pub projections: Vec<TrainedProjection>,
    /// The population that the decoder reads.
    pub output: PopulationId,
}
