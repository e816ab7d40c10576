//! The contract: what a chip can hold ([`Target`]), what things cost ([`cost`]), and what is loaded ([`Bundle`]).
//!
//! Invariant: compiler and simulator both depend on this crate and never on each other; nothing here knows a network.

pub mod bundle;
pub mod cost;
pub mod image;
pub mod target;
pub mod target_check;
pub mod target_file;

pub use bundle::{Bundle, Loadable};
pub use image::{CoreImage, CoreTables, Image, PackedImage};
pub use target::Target;
pub use target_check::TargetFinding;
pub use target_file::{TargetError, TargetNumber, builtin, find};
