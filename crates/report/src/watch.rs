//! Watched compartments, step by step.

use crate::table::{count, table};
use serde::Serialize;
use spikec_chip::bundle::Symbols;
use spikec_sim::{SampleRun, WatchEvent};

/// Chip steps shown before the rest is only counted.
const SHOWN: usize = 200;

/// A compartment in one sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Watched {
    /// Physical core.
    pub core: u32,
    /// Compartment of the core.
    pub compartment: u16,
    /// Neurons of the network that it is: population and index as trained.
    pub neurons: Vec<(String, u32)>,
    /// By chip step.
    pub steps: Vec<WatchedStep>,
}

/// A chip step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WatchedStep {
    /// Chip step.
    pub chip_step: u32,
    /// Sum of the weights that arrived, in units of v.
    pub input: i64,
    /// u after the update.
    pub u: i32,
    /// v after the update and reset.
    pub v: i32,
    /// It fired.
    pub fired: bool,
}

/// What a sample's run saw of the watched compartments, in the order of `places`.
pub fn watched(run: &SampleRun, places: &[(u32, u16)], symbols: &Symbols) -> Vec<Watched> {
    let of = |&(core, compartment): &(u32, u16)| {
        let here = |e: &&WatchEvent| (e.core, e.compartment) == (core, compartment);
        let step = |e: &WatchEvent| WatchedStep { chip_step: e.chip_step, input: e.input, u: e.u, v: e.v, fired: e.fired };
        let neurons = symbols.populations.iter().flat_map(|p| {
            let mine = p.neurons.iter().chain(&p.copies).filter(|(_, place)| (place.core, place.index) == (core, compartment));
            mine.map(|(neuron, _)| (p.name.clone(), *neuron))
        });
        Watched { core, compartment, neurons: neurons.collect(), steps: run.watched.iter().filter(here).map(step).collect() }
    };
    places.iter().map(of).collect()
}

/// A table of a compartment's steps.
pub fn text(w: &Watched) -> String {
    let neurons: Vec<String> = w.neurons.iter().map(|(population, neuron)| format!("neuron {neuron} of {population}")).collect();
    let named = if neurons.is_empty() { String::new() } else { format!(" ({})", neurons.join(", ")) };
    let mut out = format!("core {}, compartment {}{named}:\n", w.core, w.compartment);
    let rows = w.steps.iter().take(SHOWN).map(|s| {
        let fired = if s.fired { "fired" } else { "" };
        vec![s.chip_step.to_string(), s.input.to_string(), s.u.to_string(), s.v.to_string(), fired.to_string()]
    });
    out.push_str(&table(&["chip step", "input", "u", "v", ""], rows));
    out.push('\n');
    if w.steps.len() > SHOWN {
        out.push_str(&format!("and {} chip steps more (--json has them all)\n", count((w.steps.len() - SHOWN) as u64)));
    }
    out
}
