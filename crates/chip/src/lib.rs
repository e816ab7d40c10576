//! The contract: what a chip can hold ([`Target`]), what things cost ([`cost`]), and what is loaded ([`Bundle`]).
//!
//! Invariant: compiler and simulator both depend on this crate and never on each other; nothing here knows a network.

mod archive;
mod bits;
#[cfg(test)]
mod budget_tests;
pub mod bundle;
pub mod codec;
mod codec_check;
mod codec_error;
pub mod container;
pub mod cost;
pub mod crossbar;
pub mod event;
mod field;
pub mod image;
mod layout;
pub mod mesh;
mod sections;
pub mod target;
pub mod target_check;
mod target_derived;
pub mod target_file;
pub mod target_numbers;
#[cfg(test)]
mod testing;
pub mod validate;

pub use bundle::{Bundle, Loadable};
pub use codec::{CodecError, CodecProblem, Table, decode_core, encode_core};
pub use container::BundleError;
pub use field::FieldProblem;
pub use image::{CoreImage, CoreTables, Image, PackedImage};
pub use mesh::{Hops, Mesh, Router};
pub use sections::FramingError;
pub use target::Target;
pub use target_check::TargetFinding;
pub use target_file::{TargetError, builtin, find};
pub use target_numbers::TargetNumber;
pub use validate::BundleFinding;
