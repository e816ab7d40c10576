//! The compiler: lower, quantize, partition, place, emit.

pub mod finding;
pub use finding::{Finding, Severity};
