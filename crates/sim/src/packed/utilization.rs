//! How full the cores of the packed family are, counted from the decoded bits.
//!
//! In: decoded tables and image. Out: used and available amounts of each core and resource.
//! Invariant: costs come from [`spikec_chip::cost`]; nothing the compiler said is believed.

use crate::utilization::CoreUtilization;
use spikec_chip::{CoreImage, CoreTables, Target, cost};

/// Counts one core.
pub(crate) fn count(image: &CoreImage, tables: &CoreTables, target: &Target) -> CoreUtilization {
    let packed = target.packed();
    let (c, m) = (&packed.core, &packed.synapse_memory);
    let chip = |core: u32| core / target.topology.cores_per_chip();
    let entries = |core: u32| u64::from(cost::out_axon_entries(c, chip(core) != chip(tables.core)));
    let words = (image.synapse_memory.len() as u64).div_ceil(u64::from(*m.word_bits));
    let compartments = tables.compartments.len() as u64;
    let out_entries: u64 = tables.out_axons.iter().map(|a| entries(a.core)).sum();
    let mut resources = vec![
        ("compartments", compartments, u64::from(*c.compartments)),
        ("in_axons", tables.in_axons.len() as u64, u64::from(*c.in_axons)),
        ("out_axon_entries", out_entries, u64::from(*c.out_axon_entries)),
        ("synapse_words", words, u64::from(*m.usable_words)),
        ("synapse_formats", tables.formats.len() as u64, u64::from(*m.max_formats)),
        ("compartment_profiles", tables.compartment_profiles.len() as u64, u64::from(*c.compartment_profiles)),
        ("threshold_profiles", tables.threshold_profiles.len() as u64, u64::from(*c.threshold_profiles)),
        ("delay_slots", cost::delay_slots(compartments as u32, tables.delay_bits), u64::from(*c.delay_slots_total)),
    ];
    if let Some(budget) = cost::budget(c) {
        let charged = cost::Charged::of(tables, out_entries, words, &packed.neuron);
        resources.push(("core_bytes", cost::core_bytes(packed, &charged), budget));
    }
    CoreUtilization { core: tables.core, resources }
}
