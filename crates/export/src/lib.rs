//! Bundles in the formats of other tools, to cross-check the simulator and to go on with them.
//!
//! In: a [`spikec_chip::Loadable`] and, if wanted, a sample. Out: text files, and notes on what the format can't say.
//! Invariant: a feature that the other tool would run differently is refused by name or noted, never dropped in silence.
//! Cost: linear in the image; files are streamed.
//! Why: docs/exports.md says what is exact and what is not.

pub mod error;
pub mod sanafe;

pub use error::ExportError;
