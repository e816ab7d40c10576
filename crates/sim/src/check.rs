//! Limits that hold for every family, and the topology of a target, checked once.
//!
//! In: numbers of a bundle, which may be hostile. Out: the field that is out of range.
//! Invariant: what passes these checks can be added up and indexed without overflow.

use crate::boot::{BootError, Spot};
use spikec_chip::target::Topology;

/// Longest sample in chip steps.
pub(crate) const MAX_CHIP_STEPS: u64 = 1 << 24;
/// Largest skew or delay of a host map, in steps.
pub(crate) const MAX_SKEW: u32 = 1 << 20;
/// Cells (compartments * delay slots and their like) that a state may hold.
pub(crate) const MAX_CELLS: u64 = 1 << 27;

/// Longest chip step in picoseconds (4.4 s): sums of steps stay within 64 bits.
pub(crate) const STEP_LIMIT_PS: u64 = 1 << 42;

/// Refuses a number outside `low..=high`.
pub(crate) fn range(spot: Spot, field: &'static str, found: impl Into<i128>, low: i128, high: i128) -> Result<(), BootError> {
    let found = found.into();
    if (low..=high).contains(&found) { Ok(()) } else { Err(BootError::Range { spot, field, found, low, high }) }
}

/// Checks the topology; gives the cores of the board.
pub(crate) fn topology(t: &Topology) -> Result<u32, BootError> {
    let spot = Spot::target();
    for (field, value) in [
        ("topology.width", *t.width),
        ("topology.height", *t.height),
        ("topology.cores_per_router", *t.cores_per_router),
        ("topology.chips", *t.chips),
    ] {
        range(spot, field, value, 1, 1 << 16)?;
    }
    let per_chip = u128::from(*t.width) * u128::from(*t.height) * u128::from(*t.cores_per_router);
    let cores = per_chip * u128::from(*t.chips);
    range(spot, "topology: cores of the board", cores as i128, 1, 1 << 24)?;
    range(spot, "topology.host_port x", t.host_port.0, 0, i128::from(*t.width) - 1)?;
    range(spot, "topology.host_port y", t.host_port.1, 0, i128::from(*t.height) - 1)?;
    range(spot, "topology.neuron_hop_steps", *t.neuron_hop_steps, 1, 16)?;
    range(spot, "topology.input_hop_steps", *t.input_hop_steps, 0, 16)?;
    Ok(cores as u32)
}
