//! Running samples.
//!
//! In: a booted [`Machine`] and samples. Out: [`SampleRun`]s in the order of the samples.
//! Invariant: a run starts from a cleared machine, so results don't depend on earlier samples, threads or order.
//! Cost: the loop only adds weights, updates compartments and notes spikes; everything else is counted afterwards.

use crate::boot::Machine;
use crate::check::MAX_CHIP_STEPS;
use crate::counters::{CoreCounters, Counters};
use crate::fabric::Ring;
use crate::layout::IDLE;
use crate::neuron::{Faults, Lanes};
use crate::record::{CopyEvent, Probe, Record, SpikeEvent, WatchEvent, finish, finish_copies};
use crate::routes::FanOut;
use crate::run_error::RunError;
use crate::timing::{BatchTiming, Before, CoreStep, Detail, Level, MessageEvent, Plan, Recording, SampleTiming, Stopwatch, Wave};
use crate::totals::Totals;
use rayon::prelude::*;
use serde::Serialize;
use spikec_chip::bundle::Encoder;
use spikec_data::{SpikeTrain, Stimulus, Values, latency, predict, rate, settled};

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
    /// u of each output after each network step, if potentials are recorded: `[step][output]`.
    pub output_currents: Vec<Vec<i32>>,
    /// v of each probe after each network step of its population, if any: `[step][probe]`.
    pub probe_potentials: Vec<Vec<i32>>,
    /// u of the same.
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
struct Prepared<'a> {
    steps: u32,
    values: Option<&'a Values>,
    spikes: Option<&'a SpikeTrain>,
}

/// Options, resolved to lanes.
struct Wanted {
    /// (lane, skew of its population); no lane for a neuron that was removed.
    probes: Vec<(Option<u32>, u32)>,
    /// (physical core, compartment, lane).
    watch: Vec<(u32, u16, u32)>,
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
            ring: Ring::new(n, machine.fabric.slots, machine.fabric.exact),
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
        let wanted = self.wanted(options)?;
        Ok(self.run_with(&mut State::new(self), &mut self.stopwatch(options, None)?, sample, options, &wanted)?.0)
    }

    /// Runs one sample and records the waveform of cores (physical numbers) at timing level `cycle`.
    ///
    /// # Errors
    /// [`RunError`] where the sample doesn't suit the bundle, a core is not in the image, or the level is another.
    pub fn run_wave(&self, sample: &Stimulus, options: &RunOptions, cores: &[u32]) -> Result<(SampleRun, Wave), RunError> {
        if self.level() != Level::Cycle {
            return Err(RunError::NotTimed { what: "a waveform", need: "cycle" });
        }
        let mut chosen = Vec::with_capacity(cores.len());
        for &core in cores {
            let position = self.layout.core_index(core).ok_or_else(|| self.unknown_core(core))?;
            chosen.push((position, core));
        }
        let wanted = self.wanted(options)?;
        let mut stopwatch = self.stopwatch(options, Some(Wave::new(chosen)))?;
        let (run, detail) = self.run_with(&mut State::new(self), &mut stopwatch, sample, options, &wanted)?;
        Ok((run, detail.wave.unwrap_or_default()))
    }

    /// Runs samples on all threads of the current rayon pool; `on_done` is called after each.
    ///
    /// # Errors
    /// [`RunError::InSample`] names the first sample that doesn't suit the bundle, before any sample runs.
    pub fn run_batch(&self, samples: &[Stimulus], options: &RunOptions, on_done: &(dyn Fn() + Sync)) -> Result<BatchRun, RunError> {
        for (sample, stimulus) in samples.iter().enumerate() {
            self.prepare(stimulus, options).map_err(|e| RunError::InSample { sample, error: Box::new(e) })?;
        }
        let wanted = self.wanted(options)?;
        self.stopwatch(options, None)?;
        let mut batch = BatchRun { samples: Vec::with_capacity(samples.len()), totals: Counters::default(), timing: None };
        let mut totals = self.plan.as_ref().map(|plan| Totals::new(self, plan));
        for (c, chunk) in samples.chunks(CHUNK).enumerate() {
            let runs: Vec<Result<(SampleRun, Detail), RunError>> = chunk
                .par_iter()
                .map_init(
                    || (State::new(self), self.stopwatch(options, None)),
                    |(state, stopwatch), sample| {
                        let stopwatch = stopwatch.as_mut().map_err(|e| e.clone())?;
                        let run = self.run_with(state, stopwatch, sample, options, &wanted);
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

    /// The level at which this machine times its runs.
    pub fn level(&self) -> Level {
        self.plan.as_ref().map_or(Level::None, |plan| plan.level)
    }

    fn unknown_core(&self, core: u32) -> RunError {
        let known: Vec<String> = self.layout.cores.iter().take(16).map(u32::to_string).collect();
        let more = if self.layout.cores.len() > 16 { " and more" } else { "" };
        RunError::Unknown { what: format!("core {core}"), known: format!("the cores {}{more}", known.join(", ")) }
    }

    fn wanted(&self, options: &RunOptions) -> Result<Wanted, RunError> {
        let mut watch = Vec::with_capacity(options.watch.len());
        for &(core, compartment) in &options.watch {
            let k = self.layout.core_index(core).ok_or_else(|| self.unknown_core(core))?;
            let lanes = self.layout.lanes_of_core(k);
            let lane = lanes.get(usize::from(compartment)).copied().ok_or_else(|| RunError::Unknown {
                what: format!("compartment {compartment} of core {core}"),
                known: format!("the compartments 0 to {}", lanes.len().saturating_sub(1)),
            })?;
            watch.push((core, compartment, lane));
        }
        Ok(Wanted { probes: self.names.find(&options.probes)?, watch })
    }

    /// The plan and a stopwatch, where this machine times its runs.
    fn stopwatch(&self, options: &RunOptions, wave: Option<Wave>) -> Result<Option<(&Plan, Stopwatch)>, RunError> {
        let Some(plan) = &self.plan else {
            return match (options.record.core_steps, options.record.messages) {
                (true, _) => Err(RunError::NotTimed { what: "the cores' steps", need: "analytic" }),
                (_, true) => Err(RunError::NotTimed { what: "messages", need: "analytic" }),
                _ => Ok(None),
            };
        };
        let recording = Recording { core_steps: options.record.core_steps, messages: options.record.messages, wave };
        // The same mesh was made once at boot.
        let stopwatch = Stopwatch::new(self, plan, recording).map_err(|_| RunError::RunTooLong)?;
        Ok(Some((plan, stopwatch)))
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

    fn run_with(
        &self,
        state: &mut State,
        stopwatch: &mut Option<(&Plan, Stopwatch)>,
        sample: &Stimulus,
        options: &RunOptions,
        wanted: &Wanted,
    ) -> Result<(SampleRun, Detail), RunError> {
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
        let at = |step: u32| train.map_or(&[][..], |t| if step < steps { t.at(step) } else { &[] });
        let values = values.filter(|_| self.host.encoder == Encoder::Bias);

        state.clear();
        if let Some((plan, stopwatch)) = stopwatch {
            stopwatch.start(self, plan, at(0))?;
        }
        let mut counters = Counters::default();
        let mut faults = Faults::default();
        let outputs: Vec<Option<usize>> = self.host.outputs.iter().map(|o| o.map(|lane| lane as usize)).collect();
        let n = outputs.len();
        let mut run =
            SampleRun { steps, out_counts: vec![0; n], first_spike: vec![None; n], potentials: vec![0.0; n], ..SampleRun::default() };
        let mut earlier = vec![0; n];
        let mut chip_steps = steps + self.host.max_skew;
        let skew = self.host.output_skew;
        let follows = options.curve || options.until_decision;
        let mut chip_step = 0;
        while chip_step < chip_steps {
            if chip_step == skew {
                // What the outputs' compartments did before their first network step doesn't count.
                for (lane, count) in outputs.iter().zip(&mut earlier) {
                    if let Some(lane) = *lane {
                        *count = state.counts[lane];
                        state.first[lane] = u32::MAX;
                    }
                }
            }
            self.host.write_biases(chip_step.into(), steps, values, &mut state.bias, &mut counters);
            self.deliver(state, at(chip_step));
            if let Some((plan, stopwatch)) = stopwatch {
                let touched = state.ring.touched();
                let before = Before { u: &state.u, v: &state.v, held: &state.held, bias: &state.bias, touched };
                stopwatch.before_update(plan, before);
            }
            let watched = run.watched.len();
            for &(core, compartment, lane) in &wanted.watch {
                let input = i64::from(state.ring.current()[lane as usize]) << self.law.align;
                run.watched.push(WatchEvent { chip_step, core, compartment, input, u: 0, v: 0, fired: false });
            }
            self.update(state, &mut faults);
            for (event, &(_, _, lane)) in run.watched[watched..].iter_mut().zip(&wanted.watch) {
                (event.u, event.v) = (state.u[lane as usize], state.v[lane as usize]);
                event.fired = state.fired.contains(&lane);
            }
            for &lane in &state.fired {
                let lane = lane as usize;
                self.fabric.fetch_source(lane);
                state.counts[lane] += 1;
                state.first[lane] = state.first[lane].min(chip_step);
            }
            if options.record.spikes {
                self.names.record(chip_step, steps, &state.fired, &mut run.spikes);
            }
            if options.record.copies {
                self.names.record_copies(chip_step, steps, &state.fired, &mut run.copy_spikes);
            }
            self.probe(&wanted.probes, chip_step, steps, state, &mut run);
            if let Some(step) = chip_step.checked_sub(skew).filter(|&t| t < steps) {
                if options.record.potentials {
                    run.output_potentials.push(outputs.iter().map(|o| o.map_or(0, |lane| state.v[lane])).collect());
                    run.output_currents.push(outputs.iter().map(|o| o.map_or(0, |lane| state.u[lane])).collect());
                }
                if follows || step + 1 == steps {
                    for (k, lane) in outputs.iter().enumerate() {
                        if let Some(lane) = *lane {
                            run.out_counts[k] = state.counts[lane] - earlier[k];
                            run.first_spike[k] = Some(state.first[lane]).filter(|&c| c != u32::MAX).map(|c| c - skew);
                            run.potentials[k] = f64::from(state.v[lane]);
                        }
                    }
                }
                if options.curve {
                    run.curve.push(predict(self.host.decode, &run.out_counts, &run.first_spike, &run.potentials));
                }
                if options.until_decision && run.decided_after.is_none() {
                    let left: Vec<u32> = outputs.iter().map(|o| if o.is_some() { steps - step - 1 } else { 0 }).collect();
                    if settled(self.host.decode, &run.out_counts, &run.first_spike, &left) {
                        run.decided_after = Some(step + 1);
                        chip_steps = chip_step + 1;
                    }
                }
            }
            if let Some((plan, stopwatch)) = stopwatch {
                // Spikes that act in the step for which they are given are sent during the step before.
                let sent = if plan.load_phase { chip_step + 1 } else { chip_step };
                let host = if sent < chip_steps { at(sent) } else { &[] };
                stopwatch.after_update(self, plan, chip_step, &state.fired, host)?;
            }
            chip_step += 1;
        }
        finish(&mut run.spikes);
        finish_copies(&mut run.copy_spikes);
        counters.chip_steps = chip_steps.into();
        counters.u_wraps = faults.u_wraps;
        counters.v_clips = faults.v_clips;
        counters.input_overflows = faults.input_overflows;
        self.count(state, &mut counters);
        run.prediction = predict(self.host.decode, &run.out_counts, &run.first_spike, &run.potentials);
        let mut detail = Detail::default();
        if let Some((plan, stopwatch)) = stopwatch {
            let (timing, of_run) = stopwatch.finish(self, plan, &state.counts, &state.input_counts, counters.host_writes);
            if timing.time_ps > i64::MAX as u64 {
                return Err(RunError::RunTooLong);
            }
            detail = of_run;
            run.timing = Some(timing);
            run.core_steps = std::mem::take(&mut detail.core_steps);
            run.messages = std::mem::take(&mut detail.messages);
        }
        run.counters = counters;
        Ok((run, detail))
    }

    /// Notes u and v of the probes whose population is at one of its network steps; 0 for a neuron that was removed.
    fn probe(&self, probes: &[(Option<u32>, u32)], chip_step: u32, steps: u32, state: &State, run: &mut SampleRun) {
        for (k, &(lane, skew)) in probes.iter().enumerate() {
            let Some(step) = chip_step.checked_sub(skew).filter(|&t| t < steps) else { continue };
            for (table, values) in [(&mut run.probe_potentials, &state.v), (&mut run.probe_currents, &state.u)] {
                if table.len() <= step as usize {
                    table.resize(step as usize + 1, vec![0; probes.len()]);
                }
                table[step as usize][k] = lane.map_or(0, |lane| values[lane as usize]);
            }
        }
    }

    /// The first half of a chip step: spikes of the step before and of the host arrive.
    #[inline]
    fn deliver(&self, state: &mut State, channels: &[u32]) {
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
    }

    /// The second half: every compartment is updated.
    #[inline]
    fn update(&self, state: &mut State, faults: &mut Faults) {
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
    fn count(&self, state: &State, counters: &mut Counters) {
        let mut cores: Vec<CoreCounters> = self.layout.cores.iter().map(|&core| CoreCounters { core, ..CoreCounters::default() }).collect();
        for (&count, &core) in state.counts.iter().zip(&self.layout.core_of) {
            if core != IDLE {
                cores[core as usize].neuron_spikes += u64::from(count);
            }
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
        counters.neuron_accesses = self.layout.lane_of.len() as u64 * counters.chip_steps;
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
        let links = fan_out.of(source);
        for link in links {
            let core = &mut self.cores[link.core as usize];
            core.messages_in += count;
            core.synaptic_ops += count * link.ops.all();
        }
        self.hops += count * fan_out.sums[source].hops();
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
