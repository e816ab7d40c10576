//! `expected.json`: what spikec's own timing (level `analytic`) says of the sample, step by step in SANA-FE's steps.
//!
//! Invariant: the figures are the simulator's; what SANA-FE does besides (its first step visits compartments) is given apart.

use super::notes::Note;
use super::plan::{Plan, volts};
use serde::Serialize;
use spikec_chip::Loadable;
use spikec_sim::SampleRun;
use spikec_sim::timing::{Energy, Events};

#[derive(Debug, Serialize)]
struct Step {
    /// -1: the load phase.
    chip_step: i64,
    packets: u64,
    hops: u64,
    synaptic_events: u64,
    neuron_updates: u64,
    spikes: u64,
    /// Spikes of input neurons, which SANA-FE counts as spikes and updates.
    input_spikes: u64,
    energy_pj: f64,
    time_ps: u64,
}

/// See the module's head.
#[derive(Debug, Serialize)]
pub(super) struct Expected {
    format: &'static str,
    tool: String,
    target: String,
    sample: usize,
    network_steps: u32,
    /// SANA-FE's step of chip step 0.
    lead: u32,
    barrier_ps: u64,
    /// In the load phase SANA-FE visits every compartment: energy of all, time of the largest core.
    visit_energy_pj: f64,
    visit_time_ps: u64,
    /// (SANA-FE step before which it begins, group, neuron, bias in SANA-FE's units).
    bias_writes: Vec<(u32, String, u16, f64)>,
    /// Position k is SANA-FE's step k.
    steps: Vec<Step>,
    energy_pj: f64,
    time_ps: u64,
    /// (SANA-FE step, group, neuron) of every spike of a neuron with a name within its network steps.
    spikes: Vec<(u32, String, u16)>,
    notes: Vec<String>,
}

impl Expected {
    /// Of a timed run with recorded spikes.
    pub(super) fn new(bundle: Loadable<'_>, plan: &Plan, sample: usize, run: &SampleRun) -> Expected {
        let timing = run.timing.clone().unwrap_or_default();
        let barrier_ps = timing.steps.first().map_or(0, |s| s.barrier_ps);
        let energy = |events: &Events| Energy::of(events, &plan.target).chip_pj();
        let inputs = |step: u32| plan.input.as_ref().and_then(|i| i.counts.get(step as usize)).map_or(0, |&n| u64::from(n));
        let mut steps = Vec::new();
        let mut add = |chip_step: i64, events: &Events, time_ps: u64| {
            let step = steps.len() as u32;
            steps.push(Step {
                chip_step,
                packets: events.messages_in,
                hops: events.hops_x + events.hops_y + events.hops_chip,
                synaptic_events: events.synapses_dense + events.synapses_sparse,
                neuron_updates: events.neuron_updates,
                spikes: events.neuron_spikes,
                input_spikes: inputs(step),
                energy_pj: energy(events),
                time_ps,
            });
        };
        if plan.lead > 0 {
            // The load phase is what the sample has beyond its steps and the host's writes.
            let mut load = Events { host_writes: 0, ..timing.events };
            for step in &timing.steps {
                load = load - Events { host_writes: 0, ..step.events };
            }
            add(-1, &load, timing.load_ps);
        }
        for (k, step) in timing.steps.iter().enumerate() {
            add(k as i64, &step.events, step.time_ps);
        }
        let access = *plan.target.packed().timing_ns.neuron_access;
        let sizes = || plan.cores.iter().map(|c| c.somas.len());
        let all = Events { neuron_accesses: sizes().sum::<usize>() as u64, ..Events::default() };
        let group = |core: u32| format!("core{core}");
        let mut spikes = Vec::new();
        for event in &run.spikes {
            // A copy spikes when its neuron does.
            let population = bundle.symbols.populations.get(event.population as usize);
            for places in population.map_or([&[][..]; 2], |p| [&p.neurons[..], &p.copies[..]]) {
                let from = places.partition_point(|n| n.0 < event.neuron);
                for (_, place) in places[from..].iter().take_while(|n| n.0 == event.neuron) {
                    spikes.push((event.chip_step + plan.lead, group(place.core), place.index));
                }
            }
        }
        spikes.sort_unstable();
        spikes.dedup();
        Expected {
            format: "sana-fe",
            tool: format!("spikec {}", env!("CARGO_PKG_VERSION")),
            target: plan.target.name.clone(),
            sample,
            network_steps: run.steps,
            lead: plan.lead,
            barrier_ps,
            visit_energy_pj: energy(&all),
            visit_time_ps: (sizes().max().unwrap_or(0) as f64 * access * 1000.0).round() as u64,
            bias_writes: plan.biases.iter().map(|b| (b.chip_step + plan.lead, group(b.core), b.compartment, volts(b.bias))).collect(),
            energy_pj: energy(&timing.events),
            time_ps: timing.time_ps,
            steps,
            spikes,
            notes: plan.notes.iter().map(Note::to_string).collect(),
        }
    }

    pub(super) fn json(&self) -> String {
        let mut text = serde_json::to_string(self).unwrap_or_default();
        text.push('\n');
        text
    }
}
