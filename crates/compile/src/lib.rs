//! The compiler: lower, quantize, partition, place, emit.
//!
//! In: a `Net<Float>` (elaborated, inputs coded) or a `Net<Fixed>`, and a `Target`. Out: a `Bundle` and a report.
//! Invariant: data flow one way; each stage's type is the proof of what it says; nothing here does IO.

mod choose;
pub mod copies;
pub mod crossbar;
pub mod driver;
pub mod drop;
pub mod emit;
pub mod event;
pub mod explain;
mod families;
pub mod finding;
#[cfg(test)]
mod fixednets;
pub mod lower;
pub mod options;
pub mod pack;
pub mod partition;
pub mod pins;
pub mod place;
pub mod placement;
pub mod quantize;
mod rates;
pub mod relay;
pub mod retime;
#[cfg(test)]
mod testnets;

pub use copies::{Copies, CopiesReport};
pub use driver::{CompileError, CompileReport, Compiled, Effort, Input, SharedReport, check, compile};
pub use finding::{Finding, Severity, lines as finding_lines};
pub use lower::TimingPolicy;
pub use options::{CompileOptions, teacher};
pub use partition::{FitError, Kernels, NeuronRef, PARTITIONERS, Partitioned, Partitioner};
pub use pins::Pin;
pub use place::Placed;
pub use placement::Placement;
pub use quantize::{Quantizer, Signs, SoftReset, bias_limits};
