//! Running samples on an event crossbar.
//!
//! In: a booted [`EventMachine`] and samples. Out: [`SampleRun`]s.
//! Invariant: events of a chip step are processed in ascending order of rows, one after the other; then a time reference leaks all neurons. In
//! closed loop the scheduler goes first, and the host sends when it is empty.

use super::watch::Watch;
use super::{EventMachine, MOST_EVENTS, MOST_SPIKES};
use crate::counters::{CoreCounters, Counters};
use crate::io::Io;
use crate::record::{Names, Record, WatchEvent, finish_repeated};
use crate::run::{Engine, Feed, RunOptions, SampleRun, Wanted};
use crate::run_error::RunError;
use crate::tally::{Stepped, Tally};
use crate::timing::{Detail, Level, Wave};
use spikec_data::SpikeTrain;
use std::collections::VecDeque;

/// What a thread needs to run samples.
pub(crate) struct Seat {
    v: Vec<i32>,
    /// Events of each row that the host sends in this step.
    events: Vec<u64>,
    /// Neurons that spiked in earlier steps, with how often: the last step first, as far back as the host sends spikes back.
    history: VecDeque<Vec<(u32, u64)>>,
    /// Events in the scheduler (closed loop).
    queue: VecDeque<u16>,
    /// Spikes of each neuron in this step.
    times: Vec<u64>,
    /// Spikes of the last event.
    spikes: Vec<u16>,
    /// Lanes that fired in this step, ascending, as often as they did.
    fired: Vec<u32>,
    /// Sum of the weights of the step's events, by watched neuron.
    inputs: Vec<i64>,
    tally: Tally,
    watch: Option<Watch>,
}

/// What a sample counts.
#[derive(Default)]
struct Count {
    events: u64,
    host: u64,
    spikes: u64,
    clips: u64,
    dropped: u64,
}

impl Engine for EventMachine {
    type State = Seat;

    fn io(&self) -> &Io {
        &self.io
    }

    fn names(&self) -> &Names {
        &self.names
    }

    fn cores(&self) -> &[u32] {
        &self.cores
    }

    fn lane(&self, _: usize, compartment: usize) -> Result<u32, usize> {
        if compartment < self.neurons.len() { Ok(compartment as u32) } else { Err(self.neurons.len()) }
    }

    fn level(&self) -> Level {
        self.plan.as_ref().map_or(Level::None, |plan| plan.level)
    }

    fn barrier_ps(&self) -> u64 {
        0
    }

    fn channels(&self) -> usize {
        self.arrivals.channels()
    }

    fn check_spikes(&self, _: &SpikeTrain, _: u32) -> Result<(), RunError> {
        Ok(())
    }

    fn check_record(&self, _: &Record) -> Result<(), RunError> {
        Ok(())
    }

    fn state(&self, record: &Record, _: Option<Wave>) -> Result<Seat, RunError> {
        let n = self.neurons.len();
        Ok(Seat {
            v: vec![0; n],
            events: vec![0; self.rows],
            history: VecDeque::new(),
            queue: VecDeque::new(),
            times: vec![0; n],
            spikes: Vec::with_capacity(n),
            fired: Vec::new(),
            inputs: Vec::new(),
            // A neuron may fire at every event: nothing bounds the spikes of a step.
            tally: Tally::new(n, &self.io, u32::MAX),
            watch: self.plan.as_ref().map(|_| Watch::new(record.core_steps, record.messages)),
        })
    }

    fn simulate(&self, seat: &mut Seat, feed: &Feed<'_>, options: &RunOptions, wanted: &Wanted) -> Result<(SampleRun, Detail), RunError> {
        let mut run = seat.tally.begin(&self.io, feed.steps);
        for (v, word) in seat.v.iter_mut().zip(&self.neurons) {
            *v = word.potential.into();
        }
        seat.history.clear();
        seat.queue.clear();
        if let Some(watch) = &mut seat.watch {
            watch.start(self);
        }
        let mut count = Count::default();
        let mut chip_steps = feed.steps + self.io.max_skew;
        let mut chip_step = 0;
        while chip_step < chip_steps {
            self.gather(seat, feed, chip_step)?;
            seat.inputs.clear();
            seat.inputs.resize(wanted.watch.len(), 0);
            seat.times.fill(0);
            self.step(seat, chip_step, wanted, &mut count)?;
            self.leak(seat);
            seat.fired.clear();
            for (n, &times) in seat.times.iter().enumerate() {
                seat.fired.extend(std::iter::repeat_n(n as u32, times as usize));
            }
            for (k, &(core, compartment, lane)) in wanted.watch.iter().enumerate() {
                let (v, fired) = (seat.v[lane as usize], seat.times[lane as usize] > 0);
                run.watched.push(WatchEvent { chip_step, core, compartment, input: seat.inputs[k], u: 0, v, fired });
            }
            self.remember(seat);
            let now = Stepped { chip_step, fired: &seat.fired, v: &seat.v };
            if seat.tally.step((&self.io, &self.names), options, wanted, &now, &mut run) {
                chip_steps = chip_step + 1;
            }
            if let Some((plan, watch)) = self.plan.as_ref().zip(seat.watch.as_mut()) {
                watch.after(self, plan, chip_step)?;
            }
            chip_step += 1;
        }
        finish_repeated(&mut run.spikes);
        seat.tally.finish(&self.io, &mut run);
        run.counters = self.counters(&count, chip_steps.into());
        let mut detail = Detail::default();
        if let Some((plan, watch)) = self.plan.as_ref().zip(seat.watch.as_mut()) {
            let (timing, of_run) = watch.finish(self, plan)?;
            detail = of_run;
            run.timing = Some(timing);
            run.core_steps = std::mem::take(&mut detail.core_steps);
            run.messages = std::mem::take(&mut detail.messages);
        }
        Ok((run, detail))
    }
}

impl EventMachine {
    /// Events that the host sends in a chip step: spikes of channels, and of neurons that it sends back.
    fn gather(&self, seat: &mut Seat, feed: &Feed<'_>, chip_step: u32) -> Result<(), RunError> {
        seat.events.fill(0);
        let (events, watch) = (&mut seat.events, &mut seat.watch);
        let (mut of_channels, mut all) = (0u64, 0u64);
        self.arrivals.at(feed, chip_step, |row| {
            events[row as usize] += 1;
            of_channels += 1;
        });
        let mut caused = |lane, n| {
            if let Some((plan, watch)) = self.plan.as_ref().zip(watch.as_mut()) {
                watch.caused(self, plan, lane, n);
            }
        };
        caused(None, of_channels);
        for same in self.arrivals.returns.chunk_by(|a, b| a.0 == b.0) {
            let Some(spiked) = seat.history.get(same[0].0 as usize - 1) else { break };
            for &(neuron, times) in spiked {
                let from = same.partition_point(|r| r.1 < neuron);
                for &(_, _, row) in same[from..].iter().take_while(|r| r.1 == neuron) {
                    events[row as usize] += times;
                    all += times;
                    caused(Some(neuron as usize), times);
                }
            }
        }
        all += of_channels;
        if all > MOST_EVENTS { Err(RunError::TooManyEvents { chip_step, limit: MOST_EVENTS }) } else { Ok(()) }
    }

    /// Processes the events of a step.
    fn step(&self, seat: &mut Seat, chip_step: u32, wanted: &Wanted, count: &mut Count) -> Result<(), RunError> {
        let before = (count.events, count.spikes);
        for row in 0..self.rows {
            for _ in 0..seat.events[row] {
                self.event(seat, row, true, chip_step, wanted, count);
                while let Some(next) = seat.queue.pop_front() {
                    if let Some((plan, watch)) = self.plan.as_ref().zip(seat.watch.as_mut()) {
                        watch.caused(self, plan, Some(usize::from(next)), 1);
                    }
                    self.event(seat, usize::from(next), false, chip_step, wanted, count);
                    self.bounded(before, count, chip_step)?;
                }
                self.bounded(before, count, chip_step)?;
            }
        }
        Ok(())
    }

    fn bounded(&self, before: (u64, u64), count: &Count, chip_step: u32) -> Result<(), RunError> {
        for (n, limit) in [(count.events - before.0, MOST_EVENTS), (count.spikes - before.1, MOST_SPIKES)] {
            if n > limit {
                return Err(RunError::TooManyEvents { chip_step, limit });
            }
        }
        Ok(())
    }

    /// An event: each neuron adds its weight of the row and fires at once; `pushed`: the host sent it.
    fn event(&self, seat: &mut Seat, row: usize, pushed: bool, chip_step: u32, wanted: &Wanted, count: &mut Count) {
        let n = self.neurons.len();
        let weights = &self.weights[row * n..row * n + self.updated];
        let (least, most) = self.range;
        seat.spikes.clear();
        for (k, ((v, word), &weight)) in seat.v.iter_mut().zip(&self.neurons).zip(weights).enumerate() {
            let sum = *v + i32::from(weight);
            let held = sum.clamp(least, most);
            count.clips += u64::from(held != sum);
            *v = held;
            if held >= i32::from(word.threshold) {
                *v = 0;
                if !word.disabled {
                    seat.spikes.push(k as u16);
                }
            }
        }
        for (input, &(_, _, lane)) in seat.inputs.iter_mut().zip(&wanted.watch) {
            *input += weights.get(lane as usize).map_or(0, |&w| i64::from(w));
        }
        count.events += 1;
        count.host += u64::from(pushed);
        count.spikes += seat.spikes.len() as u64;
        for &neuron in &seat.spikes {
            seat.times[usize::from(neuron)] += 1;
            match self.scheduler {
                // The event that is processed keeps its place until it is done.
                Some(depth) if seat.queue.len() + 1 >= depth => count.dropped += 1,
                Some(_) => seat.queue.push_back(neuron),
                None => {}
            }
        }
        if let Some((plan, watch)) = self.plan.as_ref().zip(seat.watch.as_mut()) {
            watch.event(self, plan, chip_step, pushed, &seat.spikes);
        }
    }

    /// A time reference: potentials move towards 0.
    fn leak(&self, seat: &mut Seat) {
        for (v, word) in seat.v.iter_mut().zip(&self.neurons).take(self.updated) {
            let leak = i32::from(word.leak);
            *v -= (*v).clamp(-leak, leak);
        }
    }

    /// Keeps the step's spikes as long as the host sends them back.
    fn remember(&self, seat: &mut Seat) {
        let Some(longest) = self.arrivals.returns.last().map(|r| r.0 as usize) else { return };
        let mut spiked = if seat.history.len() >= longest { seat.history.pop_back().unwrap_or_default() } else { Vec::new() };
        spiked.clear();
        spiked.extend(seat.times.iter().enumerate().filter(|t| *t.1 > 0).map(|(n, &times)| (n as u32, times)));
        seat.history.push_front(spiked);
    }

    fn counters(&self, count: &Count, chip_steps: u64) -> Counters {
        let synaptic_ops = count.events * self.updated as u64;
        let core = CoreCounters { core: 0, messages_in: count.host, messages_out: count.spikes, synaptic_ops, neuron_spikes: count.spikes };
        Counters {
            chip_steps,
            synaptic_ops,
            host_spikes: count.host,
            neuron_spikes: count.spikes,
            messages: count.spikes,
            neuron_accesses: self.updated as u64 * chip_steps,
            v_clips: count.clips,
            dropped_events: count.dropped,
            per_core: vec![core],
            ..Counters::default()
        }
    }
}
