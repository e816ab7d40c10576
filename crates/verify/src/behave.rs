//! The behaviour check: the simulator on the bits against the reference interpreter on the reference section, spike for spike.
//!
//! In: a bundle, its booted machine, and samples. Out: how many samples are equal, and the first divergence, explained.
//! Invariant: the two engines share no step law; every neuron of every population, and every copy of it, is compared in every network step, and then what the decoder
//! reads: counts, first spikes, potentials, class. The result doesn't depend on the number of threads. Memory holds the spikes of
//! `CHUNK` samples. Cost: both engines' run. Why: the image check proves that the bits say what the reference says; this shows
//! that a machine which only has the bits does it.

use crate::cause::{self, LikelyCause};
use crate::difference::NeuronName;
use crate::given::relays;
use crate::image::{VerifyError, reference};
use rayon::prelude::*;
use serde::Serialize;
use spikec_chip::bundle::{Bundle, Encoder, Place};
use spikec_data::{SpikeTrain, Stimulus, latency, predict, rate};
use spikec_net::{Bias, Drive, Fixed, Interpreter, Net, Observer, PopulationId, ReferenceRun, fixed_drive, run_sample};
use spikec_sim::{CopyEvent, Machine, Record, RunError, RunOptions, SampleRun, SpikeEvent};
use std::fmt;

/// Samples whose spikes are held at a time.
const CHUNK: usize = 64;

/// What diverged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Whether a neuron fired in a step (1 or 0).
    Spike,
    /// The number of network steps.
    Steps,
    /// The spike count of an output.
    Count,
    /// The first spike of an output (-1: none).
    FirstSpike,
    /// The potential of an output after the last step.
    Potential,
    /// The class.
    Prediction,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            What::Spike => "spike",
            What::Steps => "number of network steps",
            What::Count => "spike count",
            What::FirstSpike => "step of the first spike",
            What::Potential => "potential after the last step",
            What::Prediction => "class",
        })
    }
}

/// The first place where the simulator and the reference part.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Divergence {
    /// Sample.
    pub sample: usize,
    /// What diverged.
    pub what: What,
    /// Network step.
    pub step: u32,
    /// Chip step: network step + skew of the population.
    pub chip_step: u32,
    /// Neuron; of a class: the output that the reference names.
    pub neuron: NeuronName,
    /// Its core.
    pub core: Option<u32>,
    /// Its compartment.
    pub compartment: Option<u16>,
    /// True when that is a copy of the neuron.
    pub copy: bool,
    /// The reference's value.
    pub reference: f64,
    /// The simulator's value.
    pub simulated: f64,
    /// The reference's u after the step.
    pub u: Option<i32>,
    /// The reference's v after the step (a neuron that fired is reset).
    pub v: Option<i32>,
    /// What it is probably due to.
    pub likely_cause: LikelyCause,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Divergence { sample, what, step, chip_step, neuron, core, compartment, copy, reference, simulated, u, v, likely_cause } = self;
        write!(f, "sample {sample}, network step {step} (chip step {chip_step}), {neuron}")?;
        if let (Some(core), Some(compartment)) = (core, compartment) {
            let copy = if *copy { "its copy on " } else { "" };
            write!(f, " ({copy}core {core} compartment {compartment})")?;
        }
        write!(f, ": {what}: simulated {simulated}, reference {reference}")?;
        if let (Some(u), Some(v)) = (u, v) {
            write!(f, " (its u {u}, v {v} after the step)")?;
        }
        write!(f, "; likely cause: {likely_cause}")
    }
}

/// Result of the behaviour check.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BehaviourVerdict {
    /// Samples compared.
    pub samples: usize,
    /// Samples in which nothing diverged.
    pub equal: usize,
    /// Network steps compared.
    pub steps: u64,
    /// Spikes of the reference, all neurons.
    pub spikes: u64,
    /// Of the first sample that diverges.
    pub first_divergence: Option<Divergence>,
}

impl BehaviourVerdict {
    /// True when every sample is equal.
    pub fn holds(&self) -> bool {
        self.equal == self.samples
    }
}

/// A divergence before it is explained. The order is that of time, then of the network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Parting {
    pub what: What,
    pub step: u32,
    pub population: u32,
    /// Index as trained.
    pub index: u32,
    /// The copy that diverged; `None`: the neuron's own compartment.
    pub copy: Option<Place>,
    pub reference: f64,
    pub simulated: f64,
}

/// One sample's share of the verdict.
struct Compared {
    steps: u64,
    spikes: u64,
    parting: Option<Parting>,
}

/// The reference's inputs of a sample.
pub(crate) struct Inputs {
    train: Option<SpikeTrain>,
    drives: Vec<Drive<Bias>>,
    pub steps: u32,
}

/// The bundle's reference, ready to run.
pub(crate) struct Reference<'a> {
    pub bundle: &'a Bundle,
    pub net: &'a Net<Fixed>,
    pub interpreter: Interpreter<'a, Fixed>,
    /// Input channels that relays repeat.
    relayed: std::collections::BTreeSet<u32>,
}

impl<'a> Reference<'a> {
    pub fn new(bundle: &'a Bundle, net: &'a Net<Fixed>) -> Result<Self, VerifyError> {
        let interpreter = Interpreter::new(net).map_err(|e| VerifyError::Interpreter(e.to_string()))?;
        Ok(Reference { bundle, net, interpreter, relayed: relays::channels(net) })
    }

    /// The first channel of a train that relays repeat and that spikes more than once in a step: the network adds up all of its spikes, a
    /// relay one. Relays are the populations that `given::relays` accepts; any neuron of one synapse that repeats input is taken for one here.
    fn repeated(&self, train: &SpikeTrain, steps: u32) -> Option<(u32, u32)> {
        if self.relayed.is_empty() {
            return None;
        }
        (0..steps).find_map(|t| {
            let pairs = train.at(t).windows(2).find(|pair| pair[0] == pair[1] && self.relayed.contains(&pair[0]));
            pairs.map(|pair| (pair[0], t))
        })
    }

    /// What the encoder makes of a sample.
    pub fn inputs(&self, sample: usize, stimulus: &Stimulus, steps: Option<u32>) -> Result<Inputs, VerifyError> {
        let steps = network_steps(self.bundle, sample, stimulus, steps)?;
        let (found, expected) = (stimulus.width(), self.bundle.host.input_width);
        if found != expected {
            return Err(VerifyError::Width { sample, found, expected: expected.into() });
        }
        let (train, drives) = match (&self.bundle.host.encoder, stimulus) {
            (Encoder::Spikes, Stimulus::Spikes(train)) => (Some(train.clone()), Vec::new()),
            (Encoder::Rate { full_scale }, Stimulus::Values(values)) => (Some(rate(values, steps, *full_scale)), Vec::new()),
            (Encoder::Latency { full_scale }, Stimulus::Values(values)) => (Some(latency(values, steps, *full_scale)), Vec::new()),
            (Encoder::Bias, Stimulus::Values(values)) => {
                let spec = &self.bundle.target.packed().neuron;
                let mantissa_max = ((1i32 << (*spec.bias_mantissa_bits - 1)) - 1) as i16;
                (None, fixed_drive(self.net, values, mantissa_max, *spec.bias_exponent_max).0)
            }
            (Encoder::Spikes, Stimulus::Values(_)) => return Err(VerifyError::SampleKind { sample, found: "values", expected: "spikes" }),
            (_, Stimulus::Spikes(_)) => return Err(VerifyError::SampleKind { sample, found: "spikes", expected: "values" }),
        };
        if let Some((channel, step)) = train.as_ref().and_then(|t| self.repeated(t, steps)) {
            return Err(VerifyError::Repeated { sample, channel, step });
        }
        Ok(Inputs { train, drives, steps })
    }

    /// Runs a sample; `record` keeps every spike.
    pub fn run(&self, inputs: &Inputs, record: bool) -> ReferenceRun {
        run_sample(&self.interpreter, inputs.train.as_ref(), &inputs.drives, inputs.steps, record)
    }

    /// Runs a sample before an observer.
    pub fn watch(&self, inputs: &Inputs, observer: &mut impl Observer<Fixed>) {
        self.interpreter.run(inputs.train.as_ref(), &inputs.drives, inputs.steps, observer);
    }
}

/// Network steps of a sample: as asked for, else as the data say, else the bundle's default.
pub(crate) fn network_steps(bundle: &Bundle, sample: usize, stimulus: &Stimulus, steps: Option<u32>) -> Result<u32, VerifyError> {
    steps.or(stimulus.steps()).or(bundle.host.default_steps).filter(|&t| t > 0).ok_or(VerifyError::Steps { sample })
}

/// Runs every sample on both engines and compares. `machine` is booted from `bundle`; `on_done` is called after each sample.
///
/// Errors: a reference section that is none, a sample that doesn't fit.
pub fn check_behaviour(
    bundle: &Bundle,
    machine: &Machine,
    samples: &[Stimulus],
    steps: Option<u32>,
    on_done: &(dyn Fn() + Sync),
) -> Result<BehaviourVerdict, VerifyError> {
    let quantized = reference(bundle)?;
    let both = Reference::new(bundle, &quantized.net)?;
    let options = RunOptions { steps, record: Record { spikes: true, copies: true, ..Record::default() }, ..RunOptions::default() };
    let mut verdict = BehaviourVerdict { samples: samples.len(), equal: 0, steps: 0, spikes: 0, first_divergence: None };
    let mut first: Option<(usize, Parting, Vec<SpikeEvent>)> = None;
    for (chunk, stimuli) in samples.chunks(CHUNK).enumerate() {
        let base = chunk * CHUNK;
        let runs = machine.run_batch(stimuli, &options, &|| ()).map_err(|e| refused(base, e))?.samples;
        let compared: Vec<Result<Compared, VerifyError>> = stimuli
            .par_iter()
            .zip(&runs)
            .enumerate()
            .map(|(k, (stimulus, run))| {
                let inputs = both.inputs(base + k, stimulus, steps)?;
                let expected = both.run(&inputs, true);
                let spikes = expected.spikes.iter().flatten().map(|s| s.len() as u64).sum();
                let parting = compare(&both, inputs.steps, &expected, run);
                on_done();
                Ok(Compared { steps: u64::from(inputs.steps), spikes, parting })
            })
            .collect();
        for (k, result) in compared.into_iter().enumerate() {
            let Compared { steps, spikes, parting } = result?;
            verdict.steps += steps;
            verdict.spikes += spikes;
            match parting {
                None => verdict.equal += 1,
                Some(parting) if first.is_none() => first = Some((base + k, parting, events_of(&runs[k], parting.copy))),
                Some(_) => {}
            }
        }
    }
    if let Some((sample, parting, events)) = first {
        let inputs = both.inputs(sample, &samples[sample], steps)?;
        verdict.first_divergence = Some(explain(&both, sample, &inputs, parting, &events));
    }
    Ok(verdict)
}

/// Spikes of all neurons, or of one copy.
fn events_of(run: &SampleRun, copy: Option<Place>) -> Vec<SpikeEvent> {
    match copy {
        None => run.spikes.clone(),
        Some(place) => run.copy_spikes.iter().filter(|e| (e.core, e.compartment) == (place.core, place.index)).map(|e| e.spike).collect(),
    }
}

fn refused(base: usize, error: RunError) -> VerifyError {
    match error {
        RunError::InSample { sample, error } => VerifyError::Sample { sample: base + sample, message: error.to_string() },
        other => VerifyError::Sample { sample: base, message: other.to_string() },
    }
}

/// The first divergence of a sample: spikes by (step, population, neuron), then what the decoder reads.
fn compare(both: &Reference, steps: u32, expected: &ReferenceRun, run: &SampleRun) -> Option<Parting> {
    let net = both.net;
    let output = net.output.0;
    let whole = |what, reference: f64, simulated: f64, index| Parting {
        what,
        step: steps.saturating_sub(1),
        population: output,
        index,
        copy: None,
        reference,
        simulated,
    };
    if run.steps != steps {
        return Some(whole(What::Steps, steps.into(), run.steps.into(), 0));
    }
    let mut first: Option<Parting> = None;
    for (p, population) in net.populations.iter().enumerate().filter(|(_, p)| !p.is_input()) {
        let from = run.spikes.partition_point(|e| (e.population as usize) < p);
        let mut events = run.spikes[from..].iter().take_while(|e| e.population as usize == p).peekable();
        for t in 0..first.map_or(steps, |f| f.step) {
            let mut wanted = expected.spikes[p].get(t as usize).into_iter().flatten().map(|&j| population.origin[j as usize]);
            let parted = loop {
                let found = events.next_if(|e| e.step == t).map(|e| e.neuron);
                match (wanted.next(), found) {
                    (None, None) => break None,
                    (a, b) if a == b => continue,
                    // Both ascend: the smaller one is missing on the other side.
                    (Some(a), b) if b.is_none_or(|b| a < b) => break Some((a, 1.0, 0.0)),
                    (_, Some(b)) => break Some((b, 0.0, 1.0)),
                    (Some(_), None) => unreachable!("the guard above holds for it"),
                }
            };
            if let Some((index, reference, simulated)) = parted {
                first = Some(Parting { what: What::Spike, step: t, population: p as u32, index, copy: None, reference, simulated });
                break;
            }
        }
    }
    let time = |p: &Parting| (p.step, p.population, p.index);
    if let Some(copy) = compare_copies(both, expected, run)
        && first.is_none_or(|own| time(&copy) < time(&own))
    {
        first = Some(copy);
    }
    if first.is_some() {
        return first;
    }
    // A population that the network has not, or a step beyond the end, would be an event that nothing above looked at.
    let looked_at: usize = expected.spikes.iter().flatten().map(Vec::len).sum();
    if run.spikes.len() != looked_at {
        let stray = run.spikes.iter().find(|e| e.step >= steps || net.populations.get(e.population as usize).is_none_or(|p| p.is_input()));
        let (population, index, step) =
            stray.map_or((output, 0, 0), |e| (e.population.min(net.populations.len() as u32 - 1), e.neuron, e.step));
        return Some(Parting { what: What::Spike, step, population, index, copy: None, reference: 0.0, simulated: 1.0 });
    }
    let at = |v: &[u32], k: usize| v.get(k).map_or(-1.0, |&n| f64::from(n));
    let spike = |v: &[Option<u32>], k: usize| v.get(k).copied().flatten().map_or(-1.0, f64::from);
    let potential = |v: &[f64], k: usize| v.get(k).copied().unwrap_or(f64::NAN);
    for k in 0..expected.out_counts.len().max(run.out_counts.len()) {
        for (what, reference, simulated) in [
            (What::Count, at(&expected.out_counts, k), at(&run.out_counts, k)),
            (What::FirstSpike, spike(&expected.first_spike, k), spike(&run.first_spike, k)),
            (What::Potential, potential(&expected.potentials, k), potential(&run.potentials, k)),
        ] {
            if reference != simulated {
                return Some(whole(what, reference, simulated, k as u32));
            }
        }
    }
    let class = predict(both.bundle.host.decoder.kind.into(), &expected.out_counts, &expected.first_spike, &expected.potentials);
    (class != run.prediction).then(|| whole(What::Prediction, class.into(), run.prediction.into(), class))
}

/// The first spike of a copy that its neuron has not, or the other way round: by (step, population, neuron, core).
fn compare_copies(both: &Reference, expected: &ReferenceRun, run: &SampleRun) -> Option<Parting> {
    let key = |e: &CopyEvent| (e.spike.population, e.spike.step, e.spike.neuron, e.core, e.compartment);
    let mut wanted = Vec::new();
    for (p, symbols) in both.bundle.symbols.populations.iter().enumerate().filter(|(_, p)| !p.copies.is_empty()) {
        let (Some(population), Some(steps)) = (both.net.populations.get(p), expected.spikes.get(p)) else { continue };
        for (t, fired) in steps.iter().enumerate() {
            for index in fired.iter().map(|&j| population.origin[j as usize]) {
                let from = symbols.copies.partition_point(|c| c.0 < index);
                let mine = symbols.copies[from..].iter().take_while(|c| c.0 == index);
                wanted.extend(mine.map(|(_, place)| (p as u32, t as u32, index, place.core, place.index)));
            }
        }
    }
    let mut found = run.copy_spikes.iter().map(key).peekable();
    let mut wanted = wanted.into_iter().peekable();
    let mut first: Option<(u32, u32, u32, Place, f64, f64)> = None;
    loop {
        let (key, reference, simulated) = match (wanted.peek().copied(), found.peek().copied()) {
            (None, None) => break,
            (Some(a), Some(b)) if a == b => {
                wanted.next();
                found.next();
                continue;
            }
            (Some(a), b) if b.is_none_or(|b| a < b) => (wanted.next().unwrap_or(a), 1.0, 0.0),
            (_, Some(b)) => (found.next().unwrap_or(b), 0.0, 1.0),
            (Some(_), None) => unreachable!("the guard above holds for it"),
        };
        let (population, step, index, core, compartment) = key;
        let place = Place { core, index: compartment };
        if first.is_none_or(|f| (step, population, index, place) < (f.0, f.1, f.2, f.3)) {
            first = Some((step, population, index, place, reference, simulated));
        }
    }
    first.map(|(step, population, index, place, reference, simulated)| Parting {
        what: What::Spike,
        step,
        population,
        index,
        copy: Some(place),
        reference,
        simulated,
    })
}

/// Watches one neuron.
pub(crate) struct Probe {
    population: PopulationId,
    /// Index now; `None` when it was removed.
    neuron: Option<usize>,
    /// (u, v) after each step.
    pub states: Vec<(i32, i32)>,
    /// Steps in which it fired.
    pub spikes: Vec<u32>,
}

impl Observer<Fixed> for Probe {
    fn step(&mut self, t: u32, population: PopulationId, u: &[i32], v: &[i32], fired: &[u32]) {
        let Some(j) = self.neuron.filter(|_| population == self.population) else { return };
        self.states.push((u[j], v[j]));
        if fired.binary_search(&(j as u32)).is_ok() {
            self.spikes.push(t);
        }
    }
}

/// Runs the reference again with a probe, and asks for the cause.
fn explain(both: &Reference, sample: usize, inputs: &Inputs, parting: Parting, events: &[SpikeEvent]) -> Divergence {
    let Parting { what, step, population, index, copy, reference, simulated } = parting;
    let p = &both.net.populations[population as usize];
    let neuron = p.origin.binary_search(&index).ok();
    let mut probe = Probe { population: PopulationId(population), neuron, states: Vec::new(), spikes: Vec::new() };
    both.watch(inputs, &mut probe);
    let place = copy.or_else(|| place(both.bundle, population, index));
    let state = probe.states.get(step as usize).copied();
    Divergence {
        sample,
        what,
        step,
        chip_step: step.saturating_add(p.skew),
        neuron: NeuronName { population, name: p.name.clone(), index },
        core: place.map(|p| p.core),
        compartment: place.map(|p| p.index),
        copy: copy.is_some(),
        reference,
        simulated,
        u: state.map(|s| s.0),
        v: state.map(|s| s.1),
        likely_cause: cause::find(both, inputs, &parting, &probe, events),
    }
}

fn place(bundle: &Bundle, population: u32, index: u32) -> Option<Place> {
    let neurons = &bundle.symbols.populations.get(population as usize)?.neurons;
    neurons.iter().find(|(n, _)| *n == index).map(|(_, place)| *place)
}

#[cfg(test)]
#[path = "behave_tests.rs"]
mod tests;
