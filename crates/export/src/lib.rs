//! Bundles in the formats of other tools, to cross-check the simulator and to go on with them.
//!
//! In: a [`spikec_chip::Loadable`] and, if wanted, a sample; for `nir` the whole bundle; for `ranc::read` RANC's file. Out: files, and notes on what the
//! format can't say; a bundle.
//! Invariant: a feature that the other tool would run differently is refused by name or noted, never dropped in silence.
//! Cost: linear in the image; files are streamed.
//! Why: docs/exports.md says what is exact and what is not.

pub mod error;
mod expected;
pub mod nir;
pub mod odin;
pub mod ranc;
mod sample;
pub mod sanafe;

pub use error::ExportError;
pub use sample::Sample;
