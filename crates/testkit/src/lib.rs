//! Generators, mutators and oracle readers for the tests of the other crates.
//!
//! In: a seed, or committed vectors. Out: networks, nets, samples and expected results.
//! Invariant: the same seed gives the same value on every machine; what is generated is valid by construction.
//! For tests only: readers panic where a test should stop.

pub mod board;
pub mod generate;
pub mod gradr;
pub mod instance;
pub mod oracle;

use std::path::PathBuf;

/// The root of the project.
pub fn project_dir() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The folder of large shared files (data sets, trained networks) beside the project, if it is there.
pub fn shared_dir() -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared"));
    path.is_dir().then_some(path)
}
