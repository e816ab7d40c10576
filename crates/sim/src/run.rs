//! Running samples.
//!
//! In: a booted [`Machine`] and samples. Out: [`SampleRun`]s in the order of the samples.
//! Invariant: a run starts from a cleared machine, so results don't depend on earlier samples, threads or order.
//! Cost: the loop only adds weights, updates compartments and notes spikes; everything else is counted afterwards.

use crate::boot::Machine;
use crate::check::MAX_CHIP_STEPS;
use crate::counters::{CoreCounters, Counters};
use crate::fabric::{FanOut, Ring};
use crate::layout::IDLE;
use crate::neuron::{Faults, Lanes};
use crate::record::{Record, SpikeEvent, finish};
use rayon::prelude::*;
use serde::Serialize;
use spikec_chip::bundle::Encoder;
use spikec_data::{SpikeTrain, Stimulus, Values, latency, predict, rate};

/// How to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunOptions {
    /// Network steps; `None`: as the data say, else the bundle's default.
    pub steps: Option<u32>,
    /// What to record.
    pub record: Record,
}

/// What came out of one sample.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
    /// v of each output after each network step, if recorded: `[step][output]`.
    pub output_potentials: Vec<Vec<i32>>,
    /// u of each output after each network step, if potentials are recorded: `[step][output]`.
    pub output_currents: Vec<Vec<i32>>,
    /// Events.
    pub counters: Counters,
}

/// What came out of a batch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BatchRun {
    /// In the order of the samples.
    pub samples: Vec<SampleRun>,
    /// Sum of their counters.
    pub totals: Counters,
}

/// Why a sample can't run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The sample has another width than the bundle's input.
    #[error("the sample has {found} channels, the bundle expects {expected}")]
    Width {
        /// Of the sample.
        found: u32,
        /// Of the bundle.
        expected: u32,
    },
    /// Neither data nor options nor bundle say how many steps, or they say 0.
    #[error("the number of steps is unknown or 0")]
    NoSteps,
    /// Too many steps.
    #[error("{found} chip steps, at most {limit} are supported")]
    TooManySteps {
        /// Chip steps asked for.
        found: u64,
        /// Most that are supported.
        limit: u64,
    },
    /// The values end before the last step.
    #[error("the sample has values for {found} steps, {expected} are asked for")]
    TooFewFrames {
        /// Frames of the sample.
        found: u32,
        /// Steps.
        expected: u32,
    },
    /// Values for a bundle that takes spikes.
    #[error("the sample has values, but the bundle's encoder takes spikes")]
    ValuesGiven,
    /// Spikes for a bundle that takes values.
    #[error("the sample has spikes, but the bundle's encoder ({encoder}) takes values")]
    SpikesGiven {
        /// The encoder.
        encoder: &'static str,
    },
    /// A spike train that breaks its own rules.
    #[error("step {step} of the sample's spikes is malformed: channels must ascend and stay below {width}")]
    Malformed {
        /// Network step.
        step: u32,
        /// Number of channels.
        width: u32,
    },
    /// NaN or infinite values.
    #[error("value {channel} of frame {frame} is not finite")]
    NotFinite {
        /// Frame.
        frame: usize,
        /// Channel.
        channel: usize,
    },
    /// A channel spikes so often within one step that a sum could pass 32 bits.
    #[error("a channel spikes {times} times in step {step}: the inputs could add up to more than 32 bits hold")]
    TooManyAtOnce {
        /// Spikes of the channel in that step.
        times: u64,
        /// Network step.
        step: u32,
    },
    /// Error of one sample of a batch.
    #[error("sample {sample}: {error}")]
    InSample {
        /// Index of the sample.
        sample: usize,
        /// What is wrong with it.
        error: Box<RunError>,
    },
}

impl RunError {
    /// A remedy.
    pub fn hint(&self) -> String {
        match self {
            RunError::Width { expected, .. } => {
                format!("give data with {expected} channels, or compile the network that these data are for")
            }
            RunError::NoSteps => "give --steps, or compile with --steps to store a default".into(),
            RunError::TooManySteps { .. } => "give fewer --steps".into(),
            RunError::TooFewFrames { found, .. } => format!("give --steps {found} or less"),
            RunError::ValuesGiven => "compile with --input-coding bias (or rate, latency), or give spikes".into(),
            RunError::SpikesGiven { .. } => "compile with --input-coding spikes, or give values".into(),
            RunError::Malformed { .. } => "mend the data".into(),
            RunError::NotFinite { .. } => "remove NaN and infinities from the data".into(),
            RunError::TooManyAtOnce { .. } => "use shorter bins, or a smaller weight exponent".into(),
            RunError::InSample { error, .. } => error.hint(),
        }
    }
}

/// A sample, checked: its steps and what the host makes of it.
struct Prepared<'a> {
    steps: u32,
    values: Option<&'a Values>,
    spikes: Option<&'a SpikeTrain>,
}

/// The dynamic state of a machine; one for each thread.
struct State {
    u: Vec<i32>,
    v: Vec<i32>,
    /// Empty when no class has refractory steps.
    held: Vec<i32>,
    bias: Vec<i32>,
    ring: Ring,
    /// Lanes that fired in the last chip step, ascending within a class.
    fired: Vec<u32>,
    /// Spikes of each lane.
    counts: Vec<u32>,
    /// First chip step of a spike of each lane.
    first: Vec<u32>,
    /// Spikes of each input channel.
    input_counts: Vec<u32>,
}

impl State {
    fn new(machine: &Machine) -> State {
        let n = machine.layout.lanes();
        let holds = machine.layout.classes.iter().any(|c| c.params.hold > 0);
        State {
            u: vec![0; n],
            v: vec![0; n],
            held: vec![0; if holds { n } else { 0 }],
            bias: vec![0; n],
            ring: Ring::new(n, machine.fabric.slots),
            fired: Vec::with_capacity(n),
            counts: vec![0; n],
            first: vec![u32::MAX; n],
            input_counts: vec![0; machine.fabric.inputs.len()],
        }
    }

    /// What the host does before each sample.
    fn clear(&mut self) {
        self.u.fill(0);
        self.v.fill(0);
        self.held.fill(0);
        self.bias.fill(0);
        self.ring.clear();
        self.fired.clear();
        self.counts.fill(0);
        self.first.fill(u32::MAX);
        self.input_counts.fill(0);
    }
}

impl Machine {
    /// Runs one sample.
    ///
    /// # Errors
    /// [`RunError`] where the sample doesn't suit the bundle.
    pub fn run(&self, sample: &Stimulus, options: &RunOptions) -> Result<SampleRun, RunError> {
        self.run_with(&mut State::new(self), sample, options)
    }

    /// Runs samples on all threads of the current rayon pool; `on_done` is called after each.
    ///
    /// # Errors
    /// [`RunError::InSample`] names the first sample that doesn't suit the bundle, before any sample runs.
    pub fn run_batch(&self, samples: &[Stimulus], options: &RunOptions, on_done: &(dyn Fn() + Sync)) -> Result<BatchRun, RunError> {
        for (sample, stimulus) in samples.iter().enumerate() {
            self.prepare(stimulus, options).map_err(|e| RunError::InSample { sample, error: Box::new(e) })?;
        }
        let runs: Vec<Result<SampleRun, RunError>> = samples
            .par_iter()
            .map_init(
                || State::new(self),
                |state, sample| {
                    let run = self.run_with(state, sample, options);
                    on_done();
                    run
                },
            )
            .collect();
        let mut batch = BatchRun { samples: Vec::with_capacity(samples.len()), totals: Counters::default() };
        for (sample, run) in runs.into_iter().enumerate() {
            let run = run.map_err(|e| RunError::InSample { sample, error: Box::new(e) })?;
            batch.totals += &run.counters;
            batch.samples.push(run);
        }
        Ok(batch)
    }

    fn prepare<'a>(&self, sample: &'a Stimulus, options: &RunOptions) -> Result<Prepared<'a>, RunError> {
        let (found, expected) = (sample.width(), self.host.input_width);
        if found != expected {
            return Err(RunError::Width { found, expected });
        }
        match (sample, &self.host.encoder) {
            (Stimulus::Values(_), Encoder::Spikes) => return Err(RunError::ValuesGiven),
            (Stimulus::Spikes(_), encoder) if *encoder != Encoder::Spikes => {
                return Err(RunError::SpikesGiven { encoder: encoder_name(encoder) });
            }
            _ => {}
        }
        let steps = options.steps.or(sample.steps()).or(self.host.default_steps).filter(|&t| t > 0).ok_or(RunError::NoSteps)?;
        let chip_steps = u64::from(steps) + u64::from(self.host.max_skew);
        if chip_steps > MAX_CHIP_STEPS {
            return Err(RunError::TooManySteps { found: chip_steps, limit: MAX_CHIP_STEPS });
        }
        match sample {
            Stimulus::Spikes(train) => {
                self.check_spikes(train, steps)?;
                Ok(Prepared { steps, values: None, spikes: Some(train) })
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
                Ok(Prepared { steps, values: Some(values), spikes: None })
            }
        }
    }

    /// Checks a train's rules, and that no sum of inputs can pass i32.
    fn check_spikes(&self, train: &SpikeTrain, steps: u32) -> Result<(), RunError> {
        let width = train.width.min(self.fabric.inputs.len() as u32);
        for step in 0..train.steps().min(steps) {
            let malformed = RunError::Malformed { step, width };
            let (from, to) = (train.offsets[step as usize] as usize, train.offsets[step as usize + 1] as usize);
            let Some(channels) = train.channels.get(from..to) else { return Err(malformed) };
            if !channels.is_sorted() || channels.last().is_some_and(|&c| c >= width) {
                return Err(malformed);
            }
            let times = channels.chunk_by(|a, b| a == b).map(|c| c.len() as u64).max().unwrap_or(0);
            if times > 1 && self.fabric.input_sum.saturating_mul(times).saturating_add(self.fabric.neuron_sum) > i32::MAX as u64 {
                return Err(RunError::TooManyAtOnce { times, step });
            }
        }
        Ok(())
    }

    fn run_with(&self, state: &mut State, sample: &Stimulus, options: &RunOptions) -> Result<SampleRun, RunError> {
        let Prepared { steps, values, spikes } = self.prepare(sample, options)?;
        let coded = match (&self.host.encoder, values) {
            (Encoder::Rate { full_scale }, Some(values)) => Some(rate(values, steps, *full_scale)),
            (Encoder::Latency { full_scale }, Some(values)) => Some(latency(values, steps, *full_scale)),
            _ => None,
        };
        if let Some(train) = &coded {
            self.check_spikes(train, steps)?;
        }
        let train = coded.as_ref().or(spikes);
        let values = values.filter(|_| self.host.encoder == Encoder::Bias);

        state.clear();
        let mut counters = Counters::default();
        let mut faults = Faults::default();
        let mut events = Vec::new();
        let (mut output_potentials, mut output_currents) = (Vec::new(), Vec::new());
        let lane_of = |o: &Option<u32>| o.map(|lane| lane as usize);
        let outputs: Vec<Option<usize>> = self.host.outputs.iter().map(lane_of).collect();
        let mut out_counts = vec![0; outputs.len()];
        let mut first_spike = vec![None; outputs.len()];
        let mut potentials = vec![0.0; outputs.len()];
        let chip_steps = steps + self.host.max_skew;
        let skew = self.host.output_skew;
        for chip_step in 0..chip_steps {
            if chip_step == skew {
                // What the outputs' compartments did before their first network step doesn't count.
                for (lane, count) in outputs.iter().zip(&mut out_counts) {
                    if let Some(lane) = *lane {
                        *count = state.counts[lane];
                        state.first[lane] = u32::MAX;
                    }
                }
            }
            self.host.write_biases(chip_step.into(), steps, values, &mut state.bias, &mut counters);
            self.step(state, train.map_or(&[], |t| if chip_step < steps { t.at(chip_step) } else { &[] }), &mut faults);
            for &lane in &state.fired {
                let lane = lane as usize;
                self.fabric.fetch_source(lane);
                state.counts[lane] += 1;
                state.first[lane] = state.first[lane].min(chip_step);
            }
            if options.record.spikes {
                self.names.record(chip_step, steps, &state.fired, &mut events);
            }
            let Some(step) = chip_step.checked_sub(skew).filter(|&t| t < steps) else { continue };
            if options.record.potentials {
                output_potentials.push(outputs.iter().map(|o| o.map_or(0, |lane| state.v[lane])).collect());
                output_currents.push(outputs.iter().map(|o| o.map_or(0, |lane| state.u[lane])).collect());
            }
            if step + 1 == steps {
                for (k, lane) in outputs.iter().enumerate() {
                    if let Some(lane) = *lane {
                        out_counts[k] = state.counts[lane] - out_counts[k];
                        first_spike[k] = Some(state.first[lane]).filter(|&c| c != u32::MAX).map(|c| c - skew);
                        potentials[k] = f64::from(state.v[lane]);
                    }
                }
            }
        }
        finish(&mut events);
        counters.chip_steps = chip_steps.into();
        counters.u_wraps = faults.u_wraps;
        counters.v_clips = faults.v_clips;
        counters.input_overflows = faults.input_overflows;
        self.count(state, &mut counters);
        let prediction = predict(self.host.decode, &out_counts, &first_spike, &potentials);
        Ok(SampleRun {
            steps,
            out_counts,
            first_spike,
            potentials,
            prediction,
            spikes: events,
            output_potentials,
            output_currents,
            counters,
        })
    }

    /// One chip step: spikes of the step before and of the host arrive, then every compartment is updated.
    #[inline]
    fn step(&self, state: &mut State, channels: &[u32], faults: &mut Faults) {
        for (k, &lane) in state.fired.iter().enumerate() {
            if let Some(&later) = state.fired.get(k + 2) {
                self.fabric.fetch_synapses(later as usize);
            }
            self.fabric.deliver(&self.fabric.neurons[lane as usize], self.neuron_ahead, &mut state.ring);
        }
        for &channel in channels {
            self.fabric.deliver(&self.fabric.inputs[channel as usize], self.input_ahead, &mut state.ring);
            state.input_counts[channel as usize] += 1;
        }
        state.fired.clear();
        let input = state.ring.current();
        for class in &self.layout.classes {
            let at = class.start..class.end;
            let lanes = Lanes {
                u: &mut state.u[at.clone()],
                v: &mut state.v[at.clone()],
                held: if class.params.hold > 0 { &mut state.held[at.clone()] } else { &mut [] },
                input: &mut input[at.clone()],
                bias: &state.bias[at],
            };
            self.kernel.step(&self.law, class, lanes, &mut state.fired, faults);
        }
        state.ring.advance();
    }

    /// Sums up what the spikes of a finished run caused.
    fn count(&self, state: &mut State, counters: &mut Counters) {
        let mut cores: Vec<CoreCounters> = self.layout.cores.iter().map(|&core| CoreCounters { core, ..CoreCounters::default() }).collect();
        for (&count, &core) in state.counts.iter().zip(&self.layout.core_of) {
            if core != IDLE {
                cores[core as usize].neuron_spikes += u64::from(count);
            }
        }
        // The spikes of the last chip step were never delivered.
        for &lane in &state.fired {
            state.counts[lane as usize] -= 1;
        }
        let mut arrivals = Arrivals { cores: &mut cores, hops: 0 };
        for (lane, &count) in state.counts.iter().enumerate().filter(|c| *c.1 > 0) {
            let sent = arrivals.add(&self.fabric.neuron_fan_out, lane, count);
            arrivals.cores[self.layout.core_of[lane] as usize].messages_out += sent;
            counters.messages += sent;
        }
        for (channel, &count) in state.input_counts.iter().enumerate().filter(|c| *c.1 > 0) {
            counters.host_spikes += arrivals.add(&self.fabric.input_fan_out, channel, count);
        }
        counters.hops = arrivals.hops;
        counters.synaptic_ops = cores.iter().map(|c| c.synaptic_ops).sum();
        counters.neuron_spikes = cores.iter().map(|c| c.neuron_spikes).sum();
        counters.neuron_updates = self.layout.lane_of.len() as u64 * counters.chip_steps;
        counters.per_core = cores;
    }
}

struct Arrivals<'a> {
    cores: &'a mut [CoreCounters],
    hops: u64,
}

impl Arrivals<'_> {
    /// Adds what `count` spikes of a source cause at their destinations; gives the number of messages.
    fn add(&mut self, fan_out: &FanOut, source: usize, count: u32) -> u64 {
        let count = u64::from(count);
        let (links, hops) = fan_out.of(source);
        for link in links {
            let core = &mut self.cores[link.core as usize];
            core.messages_in += count;
            core.synaptic_ops += count * u64::from(link.ops);
        }
        self.hops += count * hops;
        count * links.len() as u64
    }
}

fn encoder_name(encoder: &Encoder) -> &'static str {
    match encoder {
        Encoder::Spikes => "spikes",
        Encoder::Bias => "bias",
        Encoder::Rate { .. } => "rate",
        Encoder::Latency { .. } => "latency",
    }
}
