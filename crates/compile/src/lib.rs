//! The compiler: lower, quantize, partition, place, emit.

pub mod finding;
pub mod retime;
pub use finding::{Finding, Severity};
