//! Running samples on crossbar cores.
//!
//! In: a booted [`CrossbarMachine`] and samples. Out: [`SampleRun`]s.
//! Invariant: an axon is active in a tick once, however many spikes come to it; a run starts from the potentials of the image.

use super::CrossbarMachine;
use super::boot::Exit;
use super::watch::Watch;
use crate::counters::{CoreCounters, Counters};
use crate::io::Io;
use crate::record::{Names, Record, WatchEvent, finish};
use crate::run::{Engine, Feed, RunOptions, SampleRun, Wanted};
use crate::run_error::RunError;
use crate::tally::{Stepped, Tally};
use crate::timing::{Detail, Level, Wave};
use spikec_data::SpikeTrain;

/// What a thread needs to run samples.
pub(crate) struct Seat {
    v: Vec<i32>,
    /// Sums of the weights of one core's neurons; of all cores where neurons are watched.
    sums: Vec<i64>,
    /// `[slot][core][word]`: axons that are active.
    ring: Vec<u64>,
    /// Lanes that fired in the last tick, ascending.
    fired: Vec<u32>,
    /// Axons of the host's packets for the next tick.
    host: Vec<u32>,
    cores: Vec<CoreCounters>,
    tally: Tally,
    watch: Option<Watch>,
}

impl Engine for CrossbarMachine {
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

    fn lane(&self, position: usize, compartment: usize) -> Result<u32, usize> {
        if compartment < self.neurons { Ok((position * self.neurons + compartment) as u32) } else { Err(self.neurons) }
    }

    fn level(&self) -> Level {
        self.plan.as_ref().map_or(Level::None, |plan| plan.level)
    }

    fn barrier_ps(&self) -> u64 {
        self.plan.as_ref().map_or(0, |plan| plan.wait_ps())
    }

    fn channels(&self) -> usize {
        self.arrivals.channels()
    }

    fn check_spikes(&self, train: &SpikeTrain, steps: u32) -> Result<(), RunError> {
        for step in 0..train.steps().min(steps) {
            if let Some(same) = train.at(step).chunk_by(|a, b| a == b).find(|c| c.len() > 1) {
                return Err(RunError::RepeatedSpike { channel: same[0], times: same.len() as u64, step });
            }
        }
        Ok(())
    }

    fn check_record(&self, _: &Record) -> Result<(), RunError> {
        Ok(())
    }

    fn state(&self, record: &Record, _: Option<Wave>) -> Result<Seat, RunError> {
        let lanes = self.cores.len() * self.neurons;
        Ok(Seat {
            v: vec![0; lanes],
            sums: vec![0; lanes],
            ring: vec![0; self.slots * self.cores.len() * self.axon_words()],
            fired: Vec::new(),
            host: Vec::new(),
            cores: Vec::new(),
            tally: Tally::new(lanes, &self.io, 1),
            watch: self.plan.as_ref().map(|plan| Watch::new(self, plan, record.core_steps, record.messages)),
        })
    }

    fn simulate(&self, seat: &mut Seat, feed: &Feed<'_>, options: &RunOptions, wanted: &Wanted) -> Result<(SampleRun, Detail), RunError> {
        let mut run = seat.tally.begin(&self.io, feed.steps);
        for (v, row) in seat.v.iter_mut().zip(&self.rows) {
            *v = row.start;
        }
        seat.ring.fill(0);
        seat.fired.clear();
        seat.host.clear();
        seat.cores.clear();
        seat.cores.extend(self.cores.iter().map(|&core| CoreCounters { core, ..CoreCounters::default() }));
        let mut counters = Counters::default();
        let mut chip_steps = feed.steps + self.io.max_skew;
        self.arrivals.at(feed, 0, |axon| seat.host.push(axon));
        if let Some((plan, watch)) = self.plan.as_ref().zip(seat.watch.as_mut()) {
            watch.start(self, plan, &seat.host)?;
        }
        let mut chip_step = 0;
        while chip_step < chip_steps {
            self.enter(seat, chip_step, &mut counters);
            self.tick(seat, chip_step, &mut counters);
            for &(core, compartment, lane) in &wanted.watch {
                let fired = seat.fired.binary_search(&lane).is_ok();
                let (input, v) = (seat.sums[lane as usize], seat.v[lane as usize]);
                run.watched.push(WatchEvent { chip_step, core, compartment, input, u: 0, v, fired });
            }
            self.send(seat, chip_step, &mut counters);
            let now = Stepped { chip_step, fired: &seat.fired, v: &seat.v };
            if seat.tally.step((&self.io, &self.names), options, wanted, &now, &mut run) {
                chip_steps = chip_step + 1;
            }
            seat.host.clear();
            if chip_step + 1 < chip_steps {
                self.arrivals.at(feed, chip_step + 1, |axon| seat.host.push(axon));
            }
            if let Some((plan, watch)) = self.plan.as_ref().zip(seat.watch.as_mut()) {
                watch.after(self, plan, chip_step, &seat.fired, &seat.host)?;
            }
            chip_step += 1;
        }
        finish(&mut run.spikes);
        seat.tally.finish(&self.io, &mut run);
        counters.chip_steps = chip_steps.into();
        counters.neuron_accesses = self.used.iter().map(|u| u.len() as u64).sum::<u64>() * u64::from(chip_steps);
        counters.neuron_spikes = seat.cores.iter().map(|c| c.neuron_spikes).sum();
        counters.synaptic_ops = seat.cores.iter().map(|c| c.synaptic_ops).sum();
        counters.messages = counters.neuron_spikes;
        counters.per_core = seat.cores.clone();
        run.counters = counters;
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

impl CrossbarMachine {
    /// The host's packets make axons active in this tick.
    fn enter(&self, seat: &mut Seat, chip_step: u32, counters: &mut Counters) {
        let slot = chip_step as usize % self.slots;
        for k in 0..seat.host.len() {
            let axon = seat.host[k] as usize;
            let core = axon / self.axons;
            let (x, y) = self.host_hops[core];
            counters.host_spikes += 1;
            counters.hops += u64::from(x) + u64::from(y);
            seat.cores[core].messages_in += 1;
            self.activate(seat, slot, axon, None, counters);
        }
    }

    /// Makes an axon active in a slot; `lane`: the neuron that sends, none for the host.
    #[inline]
    fn activate(&self, seat: &mut Seat, slot: usize, axon: usize, lane: Option<usize>, counters: &mut Counters) {
        let (core, index) = (axon / self.axons, axon % self.axons);
        let word = &mut seat.ring[(slot * self.cores.len() + core) * self.axon_words() + index / 64];
        let bit = 1 << (index % 64);
        if *word & bit != 0 {
            counters.merged_spikes += 1;
            return;
        }
        *word |= bit;
        if let Some((plan, watch)) = self.plan.as_ref().zip(seat.watch.as_mut()) {
            watch.activates(plan, slot * self.cores.len() * self.axons + axon, lane);
        }
    }

    /// Reads the active axons and updates the neurons of every core.
    fn tick(&self, seat: &mut Seat, chip_step: u32, counters: &mut Counters) {
        let slot = chip_step as usize % self.slots;
        seat.fired.clear();
        if let Some(watch) = &mut seat.watch {
            watch.begin();
        }
        for core in 0..self.cores.len() {
            let lanes = core * self.neurons..(core + 1) * self.neurons;
            let words = (slot * self.cores.len() + core) * self.axon_words()..(slot * self.cores.len() + core + 1) * self.axon_words();
            let sums = &mut seat.sums[lanes.clone()];
            sums.fill(0);
            for (w, word) in seat.ring[words].iter_mut().enumerate() {
                let mut active = std::mem::take(word);
                while active != 0 {
                    let axon = core * self.axons + w * 64 + active.trailing_zeros() as usize;
                    active &= active - 1;
                    self.integrate(core, axon, sums);
                    let synapses = u64::from(self.degrees[axon]);
                    seat.cores[core].synaptic_ops += synapses;
                    if let Some(watch) = &mut seat.watch {
                        watch.reads(core, slot * self.cores.len() * self.axons + axon, synapses);
                    }
                }
            }
            let (rows, v) = (&self.rows[lanes.clone()], &mut seat.v[lanes.clone()]);
            for &n in &self.used[core] {
                let n = usize::from(n);
                if self.law.tick(&rows[n], &mut v[n], sums[n], &mut counters.v_clips) {
                    seat.fired.push((lanes.start + n) as u32);
                }
            }
        }
    }

    /// Adds an axon's weights to the sums of its core's neurons.
    #[inline]
    fn integrate(&self, core: usize, axon: usize, sums: &mut [i64]) {
        let words = self.neuron_words();
        let kind = core * self.types + usize::from(self.type_of[axon]);
        let weights = &self.weights[kind * self.neurons..(kind + 1) * self.neurons];
        for (w, &word) in self.crossings[axon * words..(axon + 1) * words].iter().enumerate() {
            let mut heard = word;
            while heard != 0 {
                let n = w * 64 + heard.trailing_zeros() as usize;
                heard &= heard - 1;
                sums[n] += i64::from(weights[n]);
            }
        }
    }

    /// The spikes of a tick go to their slots.
    fn send(&self, seat: &mut Seat, chip_step: u32, counters: &mut Counters) {
        for k in 0..seat.fired.len() {
            let lane = seat.fired[k] as usize;
            let (x, y) = self.hops[lane];
            counters.hops += u64::from(x) + u64::from(y);
            let from = &mut seat.cores[lane / self.neurons];
            from.neuron_spikes += 1;
            from.messages_out += 1;
            if let Exit::Core { axon, ahead } = self.exits[lane] {
                seat.cores[axon as usize / self.axons].messages_in += 1;
                let slot = (chip_step as usize + ahead as usize) % self.slots;
                self.activate(seat, slot, axon as usize, Some(lane), counters);
            }
        }
    }
}
