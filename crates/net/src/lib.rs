//! The network: as trained, elaborated into synapses, and the reference interpreter.
//!
//! In: nothing (readers live in `spikec-import`). Out: [`Network`] (operators as nodes), [`Net`] (neurons and
//! synapses, generic in its number) and its interpreter.
//! Invariant: nothing here knows a chip or a bundle. A net changes its number by being rebuilt, never in place.

pub mod check;
pub mod coding;
mod constant;
pub mod crossbar;
pub mod digest;
mod discretize;
pub mod drive;
pub mod dynamics;
pub mod elaborate;
pub mod event;
pub mod fixed;
pub mod float;
mod fold;
pub mod ids;
pub mod liveness;
pub mod net;
pub mod network;
pub mod operators;
pub mod quantized;
pub mod reference;
pub mod synapses;
pub mod ties;
mod unroll;
mod wires;

pub use check::NetError;
pub use coding::{CodingError, InputCoding, code_inputs};
pub use crossbar::{Crossbar, CrossbarNeuron, CrossbarRules, PotentialOverflow};
pub use drive::{Drive, fixed_drive, float_drive};
pub use dynamics::{Counters, Dynamics, ValueError};
pub use elaborate::{ElaborateError, InputKind};
pub use event::{Event, EventInterpreter, EventNeuron, EventRules};
pub use fixed::{Bias, Fixed, FixedNeuron, FixedRules, SignMode, WeightFormat};
pub use float::{FireRule, Float, FloatNeuron, FloatRules, ResetRule};
pub use ids::{PopulationId, ProjectionId};
pub use liveness::{Entering, Liveness, live, live_of};
pub use net::{HostProjection, Net, Number, Population, Projection, Role};
pub use network::{Conventions, Discretization, Network, NeuronModel, Operator, TrainedPopulation, TrainedProjection, TrainedRole};
pub use operators::{Axis, BatchNorm, Conv, ConvTranspose, GeometryError, Place, Pool, PoolKind};
pub use quantized::{Quantized, Scaling, Section, SectionError};
pub use reference::{Interpreter, Observer, Recorder, ReferenceError, ReferenceRun, run_sample};
pub use synapses::{Builder, Delays, Row, Synapses, TableError, Tables, Weight};
pub use ties::{Kernels, Tap, Ties};
pub use unroll::{MOST_WEIGHTS, UnrollError};
pub use wires::Wires;
