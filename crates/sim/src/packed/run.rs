//! Running samples on packed cores.
//!
//! In: a booted [`PackedMachine`] and samples. Out: [`SampleRun`]s.
//! Invariant: a run starts from a cleared machine.
//! Cost: the loop only adds weights, updates compartments and notes spikes; everything else is counted afterwards.

use super::PackedMachine;
use super::fabric::Ring;
use super::layout::IDLE;
use super::neuron::{Faults, Lanes};
use super::routes::FanOut;
use crate::counters::{CoreCounters, Counters};
use crate::io::Io;
use crate::record::{Names, Record, WatchEvent, finish, finish_copies};
use crate::run::{Engine, Feed, RunOptions, SampleRun, Wanted};
use crate::run_error::RunError;
use crate::timing::{Before, Detail, Level, Recording, Stopwatch, Wave};
use spikec_data::{SpikeTrain, predict, settled};

/// State and stopwatch of a thread.
pub(crate) struct Seat {
    state: State,
    /// Where this machine times its runs.
    stopwatch: Option<Stopwatch>,
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
    fn new(machine: &PackedMachine) -> State {
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

impl Engine for PackedMachine {
    type State = Seat;

    fn io(&self) -> &Io {
        &self.io
    }

    fn names(&self) -> &Names {
        &self.names
    }

    fn cores(&self) -> &[u32] {
        &self.layout.cores
    }

    fn lane(&self, position: usize, compartment: usize) -> Result<u32, usize> {
        let lanes = self.layout.lanes_of_core(position);
        lanes.get(compartment).copied().ok_or(lanes.len())
    }

    fn level(&self) -> Level {
        self.plan.as_ref().map_or(Level::None, |plan| plan.level)
    }

    fn barrier_ps(&self) -> u64 {
        self.plan.as_ref().map_or(0, |plan| plan.costs.barrier)
    }

    fn channels(&self) -> usize {
        self.fabric.inputs.len()
    }

    /// No sum of inputs can pass i32.
    fn check_spikes(&self, train: &SpikeTrain, steps: u32) -> Result<(), RunError> {
        for step in 0..train.steps().min(steps) {
            let times = train.at(step).chunk_by(|a, b| a == b).map(|c| c.len() as u64).max().unwrap_or(0);
            if times > 1 && self.fabric.input_sum.saturating_mul(times).saturating_add(self.fabric.neuron_sum) > i32::MAX as u64 {
                return Err(RunError::TooManyAtOnce { times, step });
            }
        }
        Ok(())
    }

    fn check_record(&self, _: &Record) -> Result<(), RunError> {
        Ok(())
    }

    fn state(&self, record: &Record, wave: Option<Wave>) -> Result<Seat, RunError> {
        let stopwatch = match &self.plan {
            None => None,
            Some(plan) => {
                let recording = Recording { core_steps: record.core_steps, messages: record.messages, wave };
                // The same mesh was made once at boot.
                Some(Stopwatch::new(self, plan, recording).map_err(|_| RunError::RunTooLong)?)
            }
        };
        Ok(Seat { state: State::new(self), stopwatch })
    }

    fn simulate(&self, seat: &mut Seat, feed: &Feed<'_>, options: &RunOptions, wanted: &Wanted) -> Result<(SampleRun, Detail), RunError> {
        let (state, steps, values) = (&mut seat.state, feed.steps, feed.values);
        let stopwatch = &mut self.plan.as_ref().zip(seat.stopwatch.as_mut());
        let at = |step: u32| feed.at(step);

        state.clear();
        if let Some((plan, stopwatch)) = stopwatch {
            stopwatch.start(self, plan, at(0))?;
        }
        let mut counters = Counters::default();
        let mut faults = Faults::default();
        let outputs: Vec<Option<usize>> = self.io.outputs.iter().map(|o| o.map(|lane| lane as usize)).collect();
        let n = outputs.len();
        let mut run =
            SampleRun { steps, out_counts: vec![0; n], first_spike: vec![None; n], potentials: vec![0.0; n], ..SampleRun::default() };
        let mut earlier = vec![0; n];
        let mut chip_steps = steps + self.io.max_skew;
        let skew = self.io.output_skew;
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
                    run.curve.push(predict(self.io.decode, &run.out_counts, &run.first_spike, &run.potentials));
                }
                if options.until_decision && run.decided_after.is_none() {
                    let left: Vec<u32> = outputs.iter().map(|o| if o.is_some() { steps - step - 1 } else { 0 }).collect();
                    if settled(self.io.decode, &run.out_counts, &run.first_spike, &left) {
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
        run.prediction = predict(self.io.decode, &run.out_counts, &run.first_spike, &run.potentials);
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
}

impl PackedMachine {
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
