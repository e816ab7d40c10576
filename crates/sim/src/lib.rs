//! The functional simulator: boots a bundle from its bits alone and runs samples on it.
//!
//! In: a [`spikec_chip::Loadable`] (target, image bits, host section, symbols) and [`spikec_data::Stimulus`]es.
//! Out: [`SampleRun`]s: decoded outputs, recordings and [`Counters`].
//! Invariant: the network is unknown here; every number that acts comes from the decoded bits or the host section.
//! Cost: a run costs its synaptic events plus compartments * chip steps; counters are summed up after the run.
//! Why: docs/semantics.md is the law of every step; this crate and the reference interpreter follow it separately.

pub mod boot;
mod check;
pub mod counters;
mod fabric;
mod host;
mod layout;
mod neuron;
pub mod record;
pub mod run;
pub mod utilization;

pub use boot::{BootError, Machine, Spot};
pub use counters::{CoreCounters, Counters};
pub use record::{Record, SpikeEvent};
pub use run::{BatchRun, RunError, RunOptions, SampleRun};
pub use utilization::CoreUtilization;
