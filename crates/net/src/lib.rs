//! The network: as trained, elaborated into synapses, and the reference interpreter.
//!
//! In: nothing (readers live in `spikec-import`). Out: [`Network`] (operators as nodes), [`Net`] (neurons and
//! synapses, generic in its number) and its interpreter.
//! Invariant: nothing here knows a chip or a bundle. A net changes its number by being rebuilt, never in place.

pub mod fixed;
pub mod float;
pub mod ids;
pub mod net;
pub mod network;
pub mod quantized;

pub use fixed::{Bias, Fixed, FixedNeuron, FixedRules, SignMode, WeightFormat};
pub use float::{FireRule, Float, FloatNeuron, FloatRules, ResetRule};
pub use ids::{PopulationId, ProjectionId};
pub use net::{Delays, HostProjection, Net, Number, Population, Projection, Role, Synapses};
pub use network::{Conventions, Discretization, Network, NeuronModel, Operator, TrainedPopulation, TrainedProjection, TrainedRole};
pub use quantized::{Quantized, Scaling};
