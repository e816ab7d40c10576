//! What spikec's simulator says of a sample: for whoever runs the exported files elsewhere.

use crate::error::ExportError;
use crate::sample::Sample;
use serde::Serialize;
use spikec_chip::Loadable;
use spikec_sim::{Machine, Record, RunOptions};

#[derive(Debug, Serialize)]
struct Expected<'a> {
    format: &'a str,
    tool: String,
    target: &'a str,
    sample: usize,
    network_steps: u32,
    /// (chip step, core, neuron) of each spike of a neuron with a name within its network steps, its own place; ascending.
    spikes: Vec<(u32, u32, u16)>,
    out_counts: Vec<u32>,
    prediction: u32,
}

/// `expected.json`.
pub(crate) fn json(bundle: Loadable<'_>, format: &str, sample: &Sample<'_>) -> Result<String, ExportError> {
    let machine = Machine::boot(bundle)?;
    let record = Record { spikes: true, ..Record::default() };
    let run = machine.run(sample.stimulus, &RunOptions { steps: sample.steps, record, ..RunOptions::default() })?;
    let place = |population: u32, neuron: u32| {
        let neurons = &bundle.symbols.populations.get(population as usize)?.neurons;
        neurons.binary_search_by_key(&neuron, |n| n.0).ok().map(|k| neurons[k].1)
    };
    let mut spikes: Vec<(u32, u32, u16)> =
        run.spikes.iter().filter_map(|e| place(e.population, e.neuron).map(|p| (e.chip_step, p.core, p.index))).collect();
    spikes.sort_unstable();
    let expected = Expected {
        format,
        tool: format!("spikec {}", env!("CARGO_PKG_VERSION")),
        target: &bundle.target.name,
        sample: sample.index,
        network_steps: run.steps,
        spikes,
        out_counts: run.out_counts,
        prediction: run.prediction,
    };
    let mut text = serde_json::to_string(&expected).unwrap_or_default();
    text.push('\n');
    Ok(text)
}
