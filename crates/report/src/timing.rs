//! Time and energy of a simulation as data: every figure has its unit in its name.
//!
//! In: a timed batch and the bundle's target. Out: [`TimingReport`].
//! Invariant: the parts add up: units, cores with the host, layers, and steps with the load phase each give the whole energy.
//! The host's register writes are apart, in time and energy.

use serde::Serialize;
use serde_json::Value;
use spikec_chip::target::{Confidence, Family, Target};
use spikec_chip::{Mesh, Router};
use spikec_sim::timing::{Bound, CoreTiming, Energy, Events, LayerKind, Level, Link};
use spikec_sim::{BatchRun, BatchTiming, SampleTiming};
use std::collections::BTreeMap;

/// Time and energy of a batch.
#[derive(Debug, Clone, Serialize)]
pub struct TimingReport {
    /// How it was timed.
    pub level: Level,
    /// How far the target's times and energies can be trusted.
    pub figures: Figures,
    /// Over the samples: from the first spike sent to the end of the last chip step.
    pub latency_per_inference: SpreadPs,
    /// Over the samples.
    pub energy_per_inference: SpreadPj,
    /// All samples, one after the other.
    pub time_ps: u64,
    /// The barrier at the end of each chip step; on chips with ticks the wait for the next one after the cores.
    pub barrier_ps: u64,
    /// Chip steps that took longer than the chip's ticks are apart, where there are any.
    #[serde(skip_serializing_if = "is_zero")]
    pub overruns: u64,
    /// The chip's steps are ticks of a clock.
    #[serde(skip)]
    pub ticks: bool,
    /// All samples, by unit.
    pub energy: EnergySplit,
    /// All samples: what was counted.
    pub events: Events,
    /// The host's sending of spikes before the first chip step; part of time and energy.
    pub load: Load,
    /// The host's register writes; no part of time and energy.
    pub host_writes: HostWrites,
    /// What bound the chip steps.
    pub bounds: Vec<BoundShare>,
    /// Cores at each router.
    pub cores_per_router: u32,
    /// By core, ascending.
    pub cores: Vec<CoreRow>,
    /// What no core causes: the host's messages and their hops.
    pub host: HostRow,
    /// Links with messages, by router and direction.
    pub links: Vec<LinkRow>,
    /// By population.
    pub layers: Vec<LayerRow>,
    /// By chip step, over the samples that have it.
    pub steps: Vec<StepRow>,
    /// By sample.
    pub samples: Vec<SampleRow>,
}

/// The target's times and energies by confidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Figures {
    /// Read in public code or documents.
    pub public: u32,
    /// Calibrated by others against silicon.
    pub calibrated: u32,
    /// Measured on the chip's own RTL.
    pub measured_on_rtl: u32,
    /// Assumed.
    pub assumed: u32,
    /// Guessed.
    pub guess: u32,
}

/// A time over the samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SpreadPs {
    /// Shortest.
    pub min_ps: u64,
    /// Mean.
    pub mean_ps: f64,
    /// Longest.
    pub max_ps: u64,
}

/// An energy over the samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SpreadPj {
    /// Least.
    pub min_pj: f64,
    /// Mean.
    pub mean_pj: f64,
    /// Most.
    pub max_pj: f64,
}

/// An energy by unit, without the host's register writes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EnergySplit {
    /// Sum of the units.
    pub total_pj: f64,
    /// Compartments: access, update and spike.
    pub neurons_pj: f64,
    /// Synapses read.
    pub synapses_pj: f64,
    /// Messages that cores sent and received.
    pub axons_pj: f64,
    /// Hops.
    pub mesh_pj: f64,
    /// Messages that the host sent.
    pub host_spikes_pj: f64,
}

impl EnergySplit {
    fn of(events: &Events, target: &Target) -> Self {
        let e = Energy::of(events, target);
        EnergySplit {
            total_pj: e.chip_pj(),
            neurons_pj: e.neurons_pj,
            synapses_pj: e.synapses_pj,
            axons_pj: e.axons_pj,
            mesh_pj: e.mesh_pj,
            host_spikes_pj: e.host_spikes_pj,
        }
    }

    /// Units by name.
    pub fn units(&self) -> [(&'static str, f64); 5] {
        [
            ("neurons", self.neurons_pj),
            ("synapses", self.synapses_pj),
            ("axons", self.axons_pj),
            ("mesh", self.mesh_pj),
            ("host spikes", self.host_spikes_pj),
        ]
    }
}

/// The load phases of all samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Load {
    /// Their time.
    pub time_ps: u64,
    /// Their energy.
    pub energy_pj: f64,
}

/// The host's register writes of all samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct HostWrites {
    /// Registers written: biases, and each compartment's state before a sample.
    pub registers: u64,
    /// Their time, one after the other.
    pub time_ps: u64,
    /// Their energy.
    pub energy_pj: f64,
    /// How far their figures can be trusted.
    pub confidence: Confidence,
}

/// Steps that the same thing bound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BoundShare {
    /// What.
    pub bound: Bound,
    /// Chip steps of all samples.
    pub steps: u64,
    /// Of all their chip steps.
    pub fraction_of_steps: f64,
    /// Time of these steps.
    pub time_ps: u64,
    /// Of the time of all chip steps.
    pub fraction_of_time: f64,
}

/// A core over all samples.
#[derive(Debug, Clone, Serialize)]
pub struct CoreRow {
    /// Physical core.
    pub core: u32,
    /// Column of its router.
    pub router_x: u32,
    /// Row of its router.
    pub router_y: u32,
    /// Its place at the router.
    pub router_slot: u32,
    /// Messages received.
    pub messages_in: u64,
    /// Messages sent.
    pub messages_out: u64,
    /// Synapses read.
    pub synaptic_ops: u64,
    /// Updates of active compartments.
    pub updates: u64,
    /// Spikes of its compartments.
    pub spikes: u64,
    /// Updating compartments and making messages.
    pub generation_ps: u64,
    /// Receiving messages and reading synapses.
    pub processing_ps: u64,
    /// Generation and processing.
    pub busy_ps: u64,
    /// The longer of generation and processing, of all the time.
    pub busy_fraction: f64,
    /// Waiting for room to send (level `cycle`).
    pub stalled_ps: u64,
    /// Chip steps that its generation or processing bound.
    pub critical_steps: u64,
    /// Energy of what it did, and of the hops of what it sent.
    pub energy: EnergySplit,
}

/// The host over all samples.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct HostRow {
    /// Messages sent.
    pub messages: u64,
    /// Their energy and that of their hops.
    pub energy: EnergySplit,
}

/// A link over all samples.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct LinkRow {
    /// Which.
    #[serde(flatten)]
    pub link: Link,
    /// Messages that crossed it.
    pub messages: u64,
    /// Their flits.
    pub flits: u64,
    /// Time that they took it.
    pub busy_ps: u64,
    /// Of all the time.
    pub busy_fraction: f64,
    /// Most messages that waited behind it at once (level `cycle`).
    pub peak_queue_messages: u32,
}

/// A population over all samples.
#[derive(Debug, Clone, Serialize)]
pub struct LayerRow {
    /// Population, host, or compartments without a population.
    pub kind: LayerKind,
    /// Name; the host's channels are `input`.
    pub name: String,
    /// Spikes (of `input`: messages of the host).
    pub spikes: u64,
    /// Energy of its compartments and of all that its spikes caused.
    pub energy: EnergySplit,
}

/// A chip step over the samples that have it.
#[derive(Debug, Clone, Serialize)]
pub struct StepRow {
    /// Chip step.
    pub chip_step: u32,
    /// Samples that have it.
    pub samples: u64,
    /// Its time, barrier included.
    pub time: SpreadPs,
    /// Sum over the samples.
    pub energy_pj: f64,
    /// What bound it most often.
    pub bound: Bound,
    /// Longest generation of a core in any sample.
    pub max_generation_ps: u64,
    /// Longest processing of a core in any sample.
    pub max_processing_ps: u64,
    /// Longest time that the busiest link needs for its flits in any sample: a bound, and no part of the time at level `analytic`.
    pub max_link_ps: u64,
    /// Core that bound it most often; none where no core did.
    pub critical_core: Option<u32>,
    /// Link that was busiest most often; none where no message left its router.
    pub busiest_link: Option<Link>,
}

/// A sample.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct SampleRow {
    /// Chip steps.
    pub chip_steps: u64,
    /// From the first spike sent to the end of the last chip step.
    pub time_ps: u64,
    /// All units but the host's register writes.
    pub energy_pj: f64,
    /// The host's register writes, not part of `time_ps`.
    pub host_write_ps: u64,
    /// Their energy, not part of `energy_pj`.
    pub host_write_pj: f64,
}

impl TimingReport {
    /// Of a batch; none where it was not timed.
    pub fn new(batch: &BatchRun, target: &Target) -> Option<Self> {
        let all = batch.timing.as_ref()?;
        let timings: Vec<&SampleTiming> = batch.samples.iter().filter_map(|s| s.timing.as_ref()).collect();
        let samples: Vec<SampleRow> = timings.iter().map(|t| sample(t, target)).collect();
        let n = samples.len().max(1) as f64;
        let energy = EnergySplit::of(&all.events, target);
        let mut load = Events::default();
        for t in &timings {
            load += load_events(t);
        }
        Some(TimingReport {
            level: all.level,
            figures: figures(target),
            latency_per_inference: SpreadPs {
                min_ps: samples.iter().map(|s| s.time_ps).min().unwrap_or(0),
                mean_ps: all.time_ps as f64 / n,
                max_ps: samples.iter().map(|s| s.time_ps).max().unwrap_or(0),
            },
            energy_per_inference: SpreadPj {
                min_pj: samples.iter().map(|s| s.energy_pj).reduce(f64::min).unwrap_or(0.0),
                mean_pj: energy.total_pj / n,
                max_pj: samples.iter().map(|s| s.energy_pj).fold(0.0, f64::max),
            },
            time_ps: all.time_ps,
            barrier_ps: all.barrier_ps,
            overruns: all.overruns,
            ticks: matches!(target.family, Family::Crossbar(_)),
            energy,
            events: all.events,
            load: Load { time_ps: all.load_ps, energy_pj: Energy::of(&load, target).chip_pj() },
            host_writes: host_writes(all, target),
            bounds: bounds(all),
            cores_per_router: *target.topology.cores_per_router,
            cores: all.cores.iter().map(|c| core(c, all.time_ps, target)).collect(),
            host: host(all, target),
            links: all
                .links
                .iter()
                .map(|l| LinkRow {
                    link: l.link,
                    messages: l.messages,
                    flits: l.flits,
                    busy_ps: l.busy_ps,
                    busy_fraction: fraction(l.busy_ps, all.time_ps),
                    peak_queue_messages: l.peak_queue,
                })
                .collect(),
            layers: all
                .layers
                .iter()
                .map(|l| LayerRow {
                    kind: l.kind,
                    name: l.name.clone(),
                    spikes: l.events.neuron_spikes + l.events.host_messages,
                    energy: EnergySplit::of(&l.events, target),
                })
                .collect(),
            steps: steps(&timings, target),
            samples,
        })
    }
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

fn fraction(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// What a sample's load phase did: all that its steps and the host's register writes did not.
pub fn load_events(t: &SampleTiming) -> Events {
    let mut rest = Events { host_writes: 0, ..t.events };
    for step in &t.steps {
        rest = rest - step.events;
    }
    rest
}

fn sample(t: &SampleTiming, target: &Target) -> SampleRow {
    let energy = Energy::of(&t.events, target);
    SampleRow {
        chip_steps: t.steps.len() as u64,
        time_ps: t.time_ps,
        energy_pj: energy.chip_pj(),
        host_write_ps: t.host_write_ps,
        host_write_pj: energy.host_writes_pj,
    }
}

fn host_writes(all: &BatchTiming, target: &Target) -> HostWrites {
    let confidence = match &target.family {
        Family::Packed(p) => p.timing_ns.host_write.confidence.max(p.energy_pj.host_write.confidence),
        // No figure: nothing is written.
        Family::Crossbar(_) | Family::EventCrossbar(_) => Confidence::Assumed,
    };
    HostWrites {
        registers: all.events.host_writes,
        time_ps: all.host_write_ps,
        energy_pj: Energy::of(&all.events, target).host_writes_pj,
        confidence,
    }
}

fn bounds(all: &BatchTiming) -> Vec<BoundShare> {
    let steps: u64 = all.bounds.iter().map(|b| b.0).sum();
    let time: u64 = all.bounds.iter().fold(0, |sum, b| sum.saturating_add(b.1));
    let share = |(bound, &(n, ps)): (Bound, &(u64, u64))| BoundShare {
        bound,
        steps: n,
        fraction_of_steps: fraction(n, steps),
        time_ps: ps,
        fraction_of_time: fraction(ps, time),
    };
    Bound::ALL.into_iter().zip(&all.bounds).map(share).collect()
}

fn core(c: &CoreTiming, time_ps: u64, target: &Target) -> CoreRow {
    let mesh = Mesh::new(&target.topology);
    let Router { x, y } = mesh.router(c.core);
    CoreRow {
        core: c.core,
        router_x: x,
        router_y: y,
        router_slot: mesh.slot(c.core),
        messages_in: c.events.messages_in,
        messages_out: c.events.messages_out,
        synaptic_ops: c.events.synapses_dense + c.events.synapses_sparse + c.events.synapses_conv,
        updates: c.events.neuron_updates,
        spikes: c.events.neuron_spikes,
        generation_ps: c.generation_ps,
        processing_ps: c.processing_ps,
        busy_ps: c.generation_ps.saturating_add(c.processing_ps),
        busy_fraction: fraction(c.generation_ps.max(c.processing_ps), time_ps),
        stalled_ps: c.stalled_ps,
        critical_steps: c.critical_steps,
        energy: EnergySplit::of(&c.events, target),
    }
}

fn host(all: &BatchTiming, target: &Target) -> HostRow {
    let mut rest = all.events;
    for c in &all.cores {
        rest = rest - c.events;
    }
    HostRow { messages: rest.host_messages, energy: EnergySplit::of(&rest, target) }
}

/// Sums of one chip step.
#[derive(Default)]
struct StepSum {
    samples: u64,
    time_ps: u64,
    min_ps: u64,
    max_ps: u64,
    generation_ps: u64,
    processing_ps: u64,
    link_ps: u64,
    events: Events,
    bounds: BTreeMap<Bound, u64>,
    cores: BTreeMap<u32, u64>,
    links: BTreeMap<Link, u64>,
}

fn steps(timings: &[&SampleTiming], target: &Target) -> Vec<StepRow> {
    let most = timings.iter().map(|t| t.steps.len()).max().unwrap_or(0);
    let row = |k: usize| {
        let mut sum = StepSum { min_ps: u64::MAX, ..StepSum::default() };
        for step in timings.iter().filter_map(|t| t.steps.get(k)) {
            sum.samples += 1;
            sum.time_ps = sum.time_ps.saturating_add(step.time_ps);
            sum.min_ps = sum.min_ps.min(step.time_ps);
            sum.max_ps = sum.max_ps.max(step.time_ps);
            sum.generation_ps = sum.generation_ps.max(step.generation_ps);
            sum.processing_ps = sum.processing_ps.max(step.processing_ps);
            sum.link_ps = sum.link_ps.max(step.link_ps);
            sum.events += step.events;
            *sum.bounds.entry(step.bound).or_default() += 1;
            match step.bound {
                Bound::Compute => *sum.cores.entry(step.generation_core).or_default() += 1,
                Bound::Memory => *sum.cores.entry(step.processing_core).or_default() += 1,
                _ => {}
            }
            if let Some(link) = step.link {
                *sum.links.entry(link).or_default() += 1;
            }
        }
        StepRow {
            chip_step: k as u32,
            samples: sum.samples,
            time: SpreadPs { min_ps: sum.min_ps, mean_ps: sum.time_ps as f64 / sum.samples.max(1) as f64, max_ps: sum.max_ps },
            energy_pj: Energy::of(&sum.events, target).chip_pj(),
            bound: most_frequent(&sum.bounds).unwrap_or(Bound::Barrier),
            max_generation_ps: sum.generation_ps,
            max_processing_ps: sum.processing_ps,
            max_link_ps: sum.link_ps,
            critical_core: most_frequent(&sum.cores),
            busiest_link: most_frequent(&sum.links),
        }
    };
    (0..most).map(row).collect()
}

/// The first of those that were seen most often.
fn most_frequent<K: Copy + Ord>(seen: &BTreeMap<K, u64>) -> Option<K> {
    seen.iter().rev().max_by_key(|(_, n)| **n).map(|(key, _)| *key)
}

/// Counts the figures of the target's times and energies by their confidence.
fn figures(target: &Target) -> Figures {
    fn walk(value: &Value, figures: &mut Figures) {
        let Value::Object(map) = value else { return };
        match map.get("confidence").and_then(Value::as_str) {
            Some("Public") => figures.public += 1,
            Some("Calibrated") => figures.calibrated += 1,
            Some("MeasuredOnRtl") => figures.measured_on_rtl += 1,
            Some("Guess") => figures.guess += 1,
            Some(_) => figures.assumed += 1,
            None => map.values().for_each(|inner| walk(inner, figures)),
        }
    }
    let mut figures = Figures::default();
    let tables = match &target.family {
        Family::Packed(p) => [serde_json::to_value(&p.timing_ns), serde_json::to_value(&p.energy_pj)],
        Family::Crossbar(c) => [serde_json::to_value(&c.timing_cycles), serde_json::to_value(&c.energy_pj)],
        Family::EventCrossbar(e) => [serde_json::to_value(&e.timing_cycles), serde_json::to_value(&e.energy_pj)],
    };
    for value in tables.into_iter().flatten() {
        walk(&value, &mut figures);
    }
    figures
}
