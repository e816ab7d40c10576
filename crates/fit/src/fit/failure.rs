//! Why no net fits, and what may help.
//!
//! In: what the driver met. Out: [`FitFailure`]. Invariant: each has a remedy.

use crate::budget::Use;
use spikec_compile::CompileError;
use spikec_net::ReferenceError;
use thiserror::Error;

/// Why nothing fits.
#[derive(Debug, Error)]
pub enum FitFailure {
    /// No limit was given.
    #[error("no budget: nothing is limited")]
    NoBudget,
    /// The net can't be compiled at all.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// Samples do not fit the net.
    #[error("calibration: {0}")]
    Samples(#[from] ReferenceError),
    /// A decoder by which candidates can't be judged.
    #[error("decoder: results are judged by spike counts")]
    Decoder,
    /// A population that hears too much.
    #[error("population {population}: found {features} axons (with their delays), expected {limit} at most")]
    TooWide {
        /// The population.
        population: String,
        /// What it hears.
        features: usize,
        /// Most.
        limit: usize,
    },
    /// Too few samples to hold some back.
    #[error("calibration: {found} samples, expected at least {expected}")]
    FewSamples {
        /// As given.
        found: usize,
        /// Fewest.
        expected: usize,
    },
    /// No sample makes a neuron fire.
    #[error("calibration: no spike reaches a neuron in any sample")]
    Silent,
    /// No net of the course keeps the budget.
    #[error("budget: the smallest network that still reaches its output takes {} {}, {} allowed", .0.used, .0.what, .0.allowed)]
    TooSmall(Use),
    /// Writing the net back failed.
    #[error("{0}")]
    WriteBack(String),
}

impl FitFailure {
    /// A remedy.
    pub fn hint(&self) -> String {
        match self {
            FitFailure::NoBudget => "give --cores, --chips, --synapses, --memory or --limit".into(),
            FitFailure::Compile(e) => e.hint(),
            FitFailure::Samples(e) => e.hint(),
            FitFailure::Decoder => "fit a network whose outputs spike, with --decoder count".into(),
            FitFailure::TooWide { .. } => "prune it by other means first, or leave the layer out of the network".into(),
            FitFailure::FewSamples { .. } => "give some hundred samples; labels are not needed".into(),
            FitFailure::Silent => "calibrate with data that the network was trained for, coded in the same way".into(),
            FitFailure::TooSmall(_) => "raise the budget, or choose a target whose cores hold more".into(),
            FitFailure::WriteBack(_) => "fit a network whose projections are one matrix each".into(),
        }
    }
}
