//! How full the cores are, counted from the decoded bits; each family counts its own resources.
//!
//! Invariant: nothing the compiler said is believed.

use serde::Serialize;

/// Resources of one core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CoreUtilization {
    /// Physical core.
    pub core: u32,
    /// (resource, used, available).
    pub resources: Vec<(&'static str, u64, u64)>,
}
