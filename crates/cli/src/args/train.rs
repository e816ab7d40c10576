//! The arguments of `spikec train`, exactly as typed.

use clap::Args;
use std::path::PathBuf;

/// `spikec train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// The recipe (docs/training.md): network, data, loss, optimizer and pruning, in RON.
    #[arg(value_name = "RECIPE.ron")]
    pub recipe: PathBuf,
    /// The trained network to write: NET.nir, or NET.ron with its arrays in NET.npz. NET.run beside it keeps metrics and checkpoints.
    #[arg(long, short, value_name = "NET")]
    pub output: PathBuf,
    /// Go on from the last checkpoint in NET.run, as if the run had never stopped.
    #[arg(long)]
    pub resume: bool,
}
