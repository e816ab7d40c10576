//! `spikec data`: real data files into DATA.npz.

mod classes;
mod events;
mod frames;
mod random;

use crate::args::DataCommand;
use crate::failure::Failure;

/// Runs the command.
pub fn run(command: &DataCommand, json: bool) -> Result<u8, Failure> {
    match command {
        DataCommand::Idx(args) => frames::idx(args, json),
        DataCommand::Frames(args) => frames::run(args, json),
        DataCommand::Events(args) => events::run(args, json),
        DataCommand::Random(args) => random::run(args, json),
    }
}
