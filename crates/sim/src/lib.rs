//! The simulator: boots a bundle from its bits alone, runs samples on it, and times them.
//!
//! In: a [`spikec_chip::Loadable`] (target, image bits, host section, symbols) and [`spikec_data::Stimulus`]es.
//! Out: [`SampleRun`]s: decoded outputs, recordings and [`Counters`].
//! Invariant: the network is unknown here; every number that acts comes from the decoded bits or the host section.
//! Cost: a run costs its synaptic events plus compartments * chip steps; counters are summed up after the run.
//! Why: docs/semantics.md is the law of every step; this crate and the reference interpreter follow it separately.

mod arrivals;
pub mod boot;
mod check;
pub mod counters;
mod crossbar;
mod event;
mod io;
mod packed;
pub mod record;
pub mod run;
mod run_error;
mod tally;
pub mod timing;
mod totals;
pub mod utilization;

pub use boot::{BootError, Machine, Spot};
pub use counters::{CoreCounters, Counters};
pub use packed::numbers::MAX_SHARED;
pub use packed::view::{Arithmetic, BiasChange};
pub use record::{CopyEvent, Probe, Record, SpikeEvent, WatchEvent};
pub use run::{BatchRun, RunOptions, SampleRun};
pub use run_error::RunError;
pub use timing::{BatchTiming, Energy, Level, SampleTiming};
pub use utilization::CoreUtilization;
