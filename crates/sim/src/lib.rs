//! The simulator: boots a bundle from its bits alone, runs samples on it, and times them.
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
mod routes;
pub mod run;
mod run_error;
pub mod timing;
mod totals;
pub mod utilization;
mod view;

pub use boot::{BootError, Machine, Spot};
pub use check::MAX_SHARED;
pub use counters::{CoreCounters, Counters};
pub use record::{CopyEvent, Probe, Record, SpikeEvent, WatchEvent};
pub use run::{BatchRun, RunOptions, SampleRun};
pub use run_error::RunError;
pub use timing::{BatchTiming, Energy, Level, SampleTiming};
pub use utilization::CoreUtilization;
pub use view::{Arithmetic, BiasChange};
