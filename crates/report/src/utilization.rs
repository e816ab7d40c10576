//! How full the cores are: used and available amounts of each resource.
//!
//! Invariant: a simulation counts them again from the decoded bits, under the names that a compilation's report uses.

use crate::table::{bar, count, percent, table};
use serde::Serialize;
use spikec_sim::CoreUtilization;

/// A core and its resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CoreUse {
    /// Physical core.
    pub core: u32,
    /// Resources, in a fixed order.
    pub resources: Vec<Use>,
}

/// One resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Use {
    /// Name, as in a compilation's report.
    pub resource: &'static str,
    /// How much is used.
    pub used: u64,
    /// How much there is.
    pub available: u64,
}

/// Of a booted machine.
pub fn of_cores(cores: &[CoreUtilization]) -> Vec<CoreUse> {
    let resources = |c: &CoreUtilization| {
        c.resources.iter().map(|&(name, used, available)| Use { resource: compiler_name(name), used, available }).collect()
    };
    cores.iter().map(|c| CoreUse { core: c.core, resources: resources(c) }).collect()
}

/// What a compilation's report calls a resource of the simulator.
fn compiler_name(resource: &'static str) -> &'static str {
    match resource {
        "in_axons" => "input axons",
        "out_axon_entries" => "output axon entries",
        "synapse_words" => "synaptic memory words",
        "synapse_formats" => "synapse formats",
        "compartment_profiles" => "compartment profiles",
        "threshold_profiles" => "threshold profiles",
        "delay_slots" => "dendritic accumulator slots",
        "core_bytes" => "bytes of the core's memory",
        "neuron_rows" => "rows of neurons",
        "synapse_rows" => "rows of the synapse memory",
        other => other,
    }
}

/// True for what a core holds much of; tables of a few records (formats, profiles) are full without being short.
fn counted(resource: &str) -> bool {
    !["profile", "format", "longest", "of one neuron", "indices", "entry"].iter().any(|small| resource.contains(small))
        || resource.contains("entries")
}

/// One line a core: the fullest resource, drawn, and the others in figures.
pub fn text(cores: &[CoreUse]) -> String {
    const SHOWN: usize = 16;
    let share = |u: &Use| if u.available == 0 { 0.0 } else { u.used as f64 / u.available as f64 };
    let mut rows = Vec::new();
    for c in cores.iter().take(SHOWN) {
        let Some(u) = c.resources.iter().filter(|u| counted(u.resource)).max_by(|a, b| share(a).total_cmp(&share(b))) else { continue };
        rows.push(vec![
            c.core.to_string(),
            u.resource.to_string(),
            format!("{} / {}", count(u.used), count(u.available)),
            percent(u.used as f64, u.available as f64),
            format!("{:<20}", bar(share(u), 20)),
        ]);
    }
    let mut out = table(&["core", "fullest resource", "used / available", "", ""], rows);
    out.push('\n');
    if cores.len() > SHOWN {
        out.push_str(&format!("and {} cores more (--json has them all)\n", cores.len() - SHOWN));
    }
    out
}
