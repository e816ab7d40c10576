//! Running samples: what is the same for every family.
//!
//! In: a booted [`Machine`] and samples. Out: [`SampleRun`]s in the order of the samples.
//! Invariant: a run starts from a cleared machine, so results don't depend on earlier samples, threads or order.
//! Cost: a family's loop; samples run on all threads, and their details are added up in their order.

use crate::boot::{AnyMachine, Machine};
use crate::check::MAX_CHIP_STEPS;
use crate::counters::Counters;
use crate::io::Io;
use crate::record::{CopyEvent, Names, Probe, Record, SpikeEvent, WatchEvent};
use crate::run_error::RunError;
use crate::timing::{BatchTiming, CoreStep, Detail, Level, MessageEvent, SampleTiming, Wave};
use crate::totals::Totals;
use rayon::prelude::*;
use serde::Serialize;
use spikec_chip::bundle::Encoder;
use spikec_data::{SpikeTrain, Stimulus, Values, latency, rate};

/// Samples that run before their details are added up: bounds the memory of a batch.
const CHUNK: usize = 256;

/// How to run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunOptions {
    /// Network steps; `None`: as the data say, else the bundle's default.
    pub steps: Option<u32>,
    /// What to record.
    pub record: Record,
    /// Stop a sample when no later spike can change its prediction.
    pub until_decision: bool,
    /// Keep the prediction after each network step.
    pub curve: bool,
    /// Neurons whose u and v are recorded after each of their network steps.
    pub probes: Vec<Probe>,
    /// (physical core, compartment) that are watched in every chip step.
    pub watch: Vec<(u32, u16)>,
}

/// What came out of one sample.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SampleRun {
    /// Network steps.
    pub steps: u32,
    /// Spikes of each output, by index as trained.
    pub out_counts: Vec<u32>,
    /// First network step in which each output spiked.
    pub first_spike: Vec<Option<u32>>,
    /// v of each output after the last network step (0 where the neuron was removed).
    pub potentials: Vec<f64>,
    /// Class.
    pub prediction: u32,
    /// Spikes, if recorded.
    pub spikes: Vec<SpikeEvent>,
    /// Spikes of copies, if recorded.
    pub copy_spikes: Vec<CopyEvent>,
    /// v of each output after each network step, if recorded: `[step][output]`.
    pub output_potentials: Vec<Vec<i32>>,
    /// u of each output after each network step, if potentials are recorded: `[step][output]`; 0 in families whose neurons have no u.
    pub output_currents: Vec<Vec<i32>>,
    /// v of each probe after each network step of its population, if any: `[step][probe]`.
    pub probe_potentials: Vec<Vec<i32>>,
    /// u of the same; 0 in families whose neurons have no u.
    pub probe_currents: Vec<Vec<i32>>,
    /// What the watched compartments did, by chip step.
    pub watched: Vec<WatchEvent>,
    /// Prediction after each network step, if asked for.
    pub curve: Vec<u32>,
    /// Network steps after which no later spike could change the prediction (with `until_decision`, the run ended there).
    pub decided_after: Option<u32>,
    /// Events.
    pub counters: Counters,
    /// Time and energy; none at timing level `None`.
    pub timing: Option<SampleTiming>,
    /// Every core in every chip step, if recorded.
    pub core_steps: Vec<CoreStep>,
    /// Every message, if recorded.
    pub messages: Vec<MessageEvent>,
}

/// What came out of a batch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BatchRun {
    /// In the order of the samples.
    pub samples: Vec<SampleRun>,
    /// Sum of their counters.
    pub totals: Counters,
    /// Sum of their times and events; none at timing level `None`.
    pub timing: Option<BatchTiming>,
}

/// A sample, checked: its steps and what the host makes of it.
pub(crate) struct Feed<'a> {
    pub steps: u32,
    /// For a host that writes biases.
    pub values: Option<&'a Values>,
    spikes: Option<&'a SpikeTrain>,
    /// What the encoder makes of values.
    coded: Option<SpikeTrain>,
}

impl Feed<'_> {
    /// Channels that spike in a network step, ascending; none beyond the sample.
    #[inline]
    pub(crate) fn at(&self, step: u32) -> &[u32] {
        match self.coded.as_ref().or(self.spikes) {
            Some(train) if step < self.steps => train.at(step),
            _ => &[],
        }
    }
}

/// Options, resolved to lanes.
pub(crate) struct Wanted {
    /// (lane, skew of its population); no lane for a neuron that was removed.
    pub probes: Vec<(Option<u32>, u32)>,
    /// (physical core, compartment, lane).
    pub watch: Vec<(u32, u16, u32)>,
}

/// A family's machine, as the runner sees it.
pub(crate) trait Engine: Sync {
    /// What a thread needs to run samples.
    type State;
    fn io(&self) -> &Io;
    fn names(&self) -> &Names;
    /// Physical numbers of the cores, ascending.
    fn cores(&self) -> &[u32];
    /// Lanes of the compartments of the core at a position of `cores`: their number, and the lane of one.
    fn lane(&self, position: usize, compartment: usize) -> Result<u32, usize>;
    fn level(&self) -> Level;
    /// What a chip step takes beyond its work.
    fn barrier_ps(&self) -> u64;
    /// Checks the spikes of a sample; they ascend within a step and stay below the channels.
    fn check_spikes(&self, train: &SpikeTrain, steps: u32) -> Result<(), RunError>;
    /// Channels of `input_axons`.
    fn channels(&self) -> usize;
    /// Refuses what the family can't record.
    fn check_record(&self, record: &Record) -> Result<(), RunError>;
    fn state(&self, record: &Record, wave: Option<Wave>) -> Result<Self::State, RunError>;
    fn simulate(
        &self,
        state: &mut Self::State,
        feed: &Feed<'_>,
        options: &RunOptions,
        wanted: &Wanted,
    ) -> Result<(SampleRun, Detail), RunError>;
}

/// Calls a function with the machine of whatever family.
macro_rules! each_family {
    ($machine:expr, $m:ident => $call:expr) => {
        match &$machine.0 {
            AnyMachine::Packed($m) => $call,
            AnyMachine::Crossbar($m) => $call,
            AnyMachine::Event($m) => $call,
        }
    };
}

impl Machine {
    /// Runs one sample.
    ///
    /// # Errors
    /// [`RunError`] where the sample doesn't suit the bundle.
    pub fn run(&self, sample: &Stimulus, options: &RunOptions) -> Result<SampleRun, RunError> {
        each_family!(self, m => Ok(run_one(&**m, sample, options, None)?.0))
    }

    /// Runs one sample and records the waveform of cores (physical numbers) at timing level `cycle`.
    ///
    /// # Errors
    /// [`RunError`] where the sample doesn't suit the bundle, a core is not in the image, the level is another, or the chip's family has no
    /// waveforms.
    pub fn run_wave(&self, sample: &Stimulus, options: &RunOptions, cores: &[u32]) -> Result<(SampleRun, Wave), RunError> {
        let AnyMachine::Packed(m) = &self.0 else {
            return Err(RunError::NotInFamily { what: "a waveform", family: self.family() });
        };
        if self.level() != Level::Cycle {
            return Err(RunError::NotTimed { what: "a waveform", need: "cycle" });
        }
        let mut chosen = Vec::with_capacity(cores.len());
        for &core in cores {
            let position = m.cores().binary_search(&core).map_err(|_| unknown_core(m.cores(), core))?;
            chosen.push((position, core));
        }
        let (run, detail) = run_one(&**m, sample, options, Some(Wave::new(chosen)))?;
        Ok((run, detail.wave.unwrap_or_default()))
    }

    /// Runs samples on all threads of the current rayon pool; `on_done` is called after each.
    ///
    /// # Errors
    /// [`RunError::InSample`] names the first sample that doesn't suit the bundle, before any sample runs.
    pub fn run_batch(&self, samples: &[Stimulus], options: &RunOptions, on_done: &(dyn Fn() + Sync)) -> Result<BatchRun, RunError> {
        each_family!(self, m => run_batch(&**m, samples, options, on_done))
    }

    /// The level at which this machine times its runs.
    pub fn level(&self) -> Level {
        each_family!(self, m => m.level())
    }
}

fn run_one<E: Engine>(engine: &E, sample: &Stimulus, options: &RunOptions, wave: Option<Wave>) -> Result<(SampleRun, Detail), RunError> {
    let wanted = wanted(engine, options)?;
    check_record(engine, &options.record)?;
    let mut state = engine.state(&options.record, wave)?;
    engine.simulate(&mut state, &feed(engine, sample, options)?, options, &wanted)
}

fn run_batch<E: Engine>(engine: &E, samples: &[Stimulus], options: &RunOptions, on_done: &(dyn Fn() + Sync)) -> Result<BatchRun, RunError> {
    for (sample, stimulus) in samples.iter().enumerate() {
        prepare(engine, stimulus, options).map_err(|e| RunError::InSample { sample, error: Box::new(e) })?;
    }
    let wanted = wanted(engine, options)?;
    check_record(engine, &options.record)?;
    let mut batch = BatchRun { samples: Vec::with_capacity(samples.len()), totals: Counters::default(), timing: None };
    let mut totals = (engine.level() != Level::None).then(|| Totals::new(engine.level(), engine.barrier_ps(), engine.cores()));
    for (c, chunk) in samples.chunks(CHUNK).enumerate() {
        let runs: Vec<Result<(SampleRun, Detail), RunError>> = chunk
            .par_iter()
            .map_init(
                || engine.state(&options.record, None),
                |state, sample| {
                    let state = state.as_mut().map_err(|e| e.clone())?;
                    let run = engine.simulate(state, &feed(engine, sample, options)?, options, &wanted);
                    on_done();
                    run
                },
            )
            .collect();
        for (k, run) in runs.into_iter().enumerate() {
            let sample = c * CHUNK + k;
            let (run, detail) = run.map_err(|e| RunError::InSample { sample, error: Box::new(e) })?;
            batch.totals += &run.counters;
            if let (Some(totals), Some(timing)) = (&mut totals, &run.timing) {
                totals.add(timing, &detail)?;
            }
            batch.samples.push(run);
        }
    }
    batch.timing = totals.map(Totals::finish);
    Ok(batch)
}

fn check_record<E: Engine>(engine: &E, record: &Record) -> Result<(), RunError> {
    if engine.level() == Level::None {
        match (record.core_steps, record.messages) {
            (true, _) => return Err(RunError::NotTimed { what: "the cores' steps", need: "analytic" }),
            (_, true) => return Err(RunError::NotTimed { what: "messages", need: "analytic" }),
            _ => {}
        }
    }
    engine.check_record(record)
}

fn unknown_core(cores: &[u32], core: u32) -> RunError {
    let known: Vec<String> = cores.iter().take(16).map(u32::to_string).collect();
    let more = if cores.len() > 16 { " and more" } else { "" };
    RunError::Unknown { what: format!("core {core}"), known: format!("the cores {}{more}", known.join(", ")) }
}

fn wanted<E: Engine>(engine: &E, options: &RunOptions) -> Result<Wanted, RunError> {
    let mut watch = Vec::with_capacity(options.watch.len());
    for &(core, compartment) in &options.watch {
        let position = engine.cores().binary_search(&core).map_err(|_| unknown_core(engine.cores(), core))?;
        let lane = engine.lane(position, usize::from(compartment)).map_err(|count| RunError::Unknown {
            what: format!("compartment {compartment} of core {core}"),
            known: format!("the compartments 0 to {}", count.saturating_sub(1)),
        })?;
        watch.push((core, compartment, lane));
    }
    Ok(Wanted { probes: engine.names().find(&options.probes)?, watch })
}

fn prepare<'a, E: Engine>(engine: &E, sample: &'a Stimulus, options: &RunOptions) -> Result<Feed<'a>, RunError> {
    let io = engine.io();
    let (found, expected) = (sample.width(), io.input_width);
    if found != expected {
        return Err(RunError::Width { found, expected });
    }
    match (sample, &io.encoder) {
        (Stimulus::Values(_), Encoder::Spikes) => return Err(RunError::ValuesGiven),
        (Stimulus::Spikes(_), encoder) if *encoder != Encoder::Spikes => {
            return Err(RunError::SpikesGiven { encoder: encoder_name(encoder) });
        }
        _ => {}
    }
    let steps = options.steps.or(sample.steps()).or(io.default_steps).filter(|&t| t > 0).ok_or(RunError::NoSteps)?;
    let chip_steps = u64::from(steps) + u64::from(io.max_skew);
    if chip_steps > MAX_CHIP_STEPS {
        return Err(RunError::TooManySteps { found: chip_steps, limit: MAX_CHIP_STEPS });
    }
    match sample {
        Stimulus::Spikes(train) => {
            check_train(engine, train, steps)?;
            Ok(Feed { steps, values: None, spikes: Some(train), coded: None })
        }
        Stimulus::Values(values) => {
            let frames = values.frame_count();
            let needed = if values.constant { 1 } else { steps };
            if frames < needed && values.width > 0 {
                return Err(RunError::TooFewFrames { found: frames, expected: needed });
            }
            if let Some(at) = values.frames.iter().position(|x| !x.is_finite()) {
                let width = values.width.max(1) as usize;
                return Err(RunError::NotFinite { frame: at / width, channel: at % width });
            }
            Ok(Feed { steps, values: Some(values), spikes: None, coded: None })
        }
    }
}

/// As [`prepare`], and what the encoder makes of values.
fn feed<'a, E: Engine>(engine: &E, sample: &'a Stimulus, options: &RunOptions) -> Result<Feed<'a>, RunError> {
    let mut feed = prepare(engine, sample, options)?;
    feed.coded = match (&engine.io().encoder, feed.values) {
        (Encoder::Rate { full_scale }, Some(values)) => Some(rate(values, feed.steps, *full_scale)),
        (Encoder::Latency { full_scale }, Some(values)) => Some(latency(values, feed.steps, *full_scale)),
        _ => None,
    };
    if let Some(train) = &feed.coded {
        check_train(engine, train, feed.steps)?;
    }
    feed.values = feed.values.filter(|_| engine.io().encoder == Encoder::Bias);
    Ok(feed)
}

/// Checks a train's rules, and the family's.
fn check_train<E: Engine>(engine: &E, train: &SpikeTrain, steps: u32) -> Result<(), RunError> {
    let width = train.width.min(engine.channels() as u32);
    for step in 0..train.steps().min(steps) {
        let malformed = RunError::Malformed { step, width };
        let (from, to) = (train.offsets[step as usize] as usize, train.offsets[step as usize + 1] as usize);
        let Some(channels) = train.channels.get(from..to) else { return Err(malformed) };
        if !channels.is_sorted() || channels.last().is_some_and(|&c| c >= width) {
            return Err(malformed);
        }
    }
    engine.check_spikes(train, steps)
}

fn encoder_name(encoder: &Encoder) -> &'static str {
    match encoder {
        Encoder::Spikes => "spikes",
        Encoder::Bias => "bias",
        Encoder::Rate { .. } => "rate",
        Encoder::Latency { .. } => "latency",
    }
}
