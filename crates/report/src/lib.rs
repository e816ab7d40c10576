//! Reports as JSON and as tables for a terminal.
//!
//! In: what the stages return. Out: serializable views and their text. Invariant: every number is measured or computed
//! by the stage that it comes from; nothing is estimated here, and nothing is printed here.

pub mod bundle;
pub mod certificate;
pub mod compile;
pub mod crossing;
pub mod curve;
pub mod fit;
pub mod heat_map;
pub mod mask;
pub mod network;
pub mod plot;
pub mod recording;
pub mod run;
pub mod table;
pub mod target;
pub mod timing;
mod timing_text;
pub mod utilization;
pub mod verify;
pub mod watch;
pub mod waveform;
pub mod widths;
