//! Fits a network into a budget.
//!
//! In: a net in floats, a target, a budget, calibration samples. Out: which synapses stay, with which weights, and the bundle; or all synapses,
//! with a width for each layer ([`widths`]).
//! Invariant: the compiled bundle keeps the budget exactly.

pub mod budget;
pub mod fit;
pub mod frontier;
pub mod knapsack;
pub mod layer;
pub mod list;
pub mod refit;
pub mod sculpt;
mod start;
pub mod whole;
pub mod widths;
pub mod write;
