//! What the outputs of a sample did and what is recorded of it, for families whose potentials are all of a neuron's state.
//!
//! In: after each chip step the lanes that fired and all potentials. Out: counts, first spikes, potentials and recordings of a [`SampleRun`].
//! Invariant: a lane that fired several times in a step counts as often.

use crate::io::Io;
use crate::record::Names;
use crate::run::{RunOptions, SampleRun, Wanted};
use spikec_data::{predict, settled};

/// What a family knows of a chip step.
pub(crate) struct Stepped<'a> {
    pub chip_step: u32,
    /// Lanes that fired, ascending; one that fired several times stands as often.
    pub fired: &'a [u32],
    /// Potentials by lane.
    pub v: &'a [i32],
}

/// Spikes of a sample so far.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Spikes of each lane.
    counts: Vec<u32>,
    /// First chip step of a spike of each lane.
    first: Vec<u32>,
    /// Spikes of each output before its first network step.
    earlier: Vec<u32>,
    /// Most spikes of a neuron in a step that can be relied on.
    most_at_once: u32,
}

impl Tally {
    /// For neurons that fire at most `most_at_once` times in a step.
    pub(crate) fn new(lanes: usize, io: &Io, most_at_once: u32) -> Tally {
        Tally { counts: vec![0; lanes], first: vec![u32::MAX; lanes], earlier: vec![0; io.outputs.len()], most_at_once }
    }

    /// Begins a sample.
    pub(crate) fn begin(&mut self, io: &Io, steps: u32) -> SampleRun {
        self.counts.fill(0);
        self.first.fill(u32::MAX);
        self.earlier.fill(0);
        let n = io.outputs.len();
        SampleRun { steps, out_counts: vec![0; n], first_spike: vec![None; n], potentials: vec![0.0; n], ..SampleRun::default() }
    }

    /// Notes a chip step; true where no later spike can change the prediction and the run is to end.
    pub(crate) fn step(
        &mut self,
        (io, names): (&Io, &Names),
        options: &RunOptions,
        wanted: &Wanted,
        now: &Stepped<'_>,
        run: &mut SampleRun,
    ) -> bool {
        let (chip_step, skew, steps) = (now.chip_step, io.output_skew, run.steps);
        let outputs = || io.outputs.iter().map(|o| o.map(|lane| lane as usize));
        if chip_step == skew {
            // What the outputs did before their first network step doesn't count.
            for (lane, count) in outputs().zip(&mut self.earlier) {
                if let Some(lane) = lane {
                    *count = self.counts[lane];
                    self.first[lane] = u32::MAX;
                }
            }
        }
        for &lane in now.fired {
            let lane = lane as usize;
            self.counts[lane] = self.counts[lane].saturating_add(1);
            self.first[lane] = self.first[lane].min(chip_step);
        }
        if options.record.spikes {
            names.record(chip_step, steps, now.fired, &mut run.spikes);
        }
        if options.record.copies {
            names.record_copies(chip_step, steps, now.fired, &mut run.copy_spikes);
        }
        for (k, &(lane, skew)) in wanted.probes.iter().enumerate() {
            let Some(step) = chip_step.checked_sub(skew).filter(|&t| t < steps) else { continue };
            for (table, known) in [(&mut run.probe_potentials, true), (&mut run.probe_currents, false)] {
                if table.len() <= step as usize {
                    table.resize(step as usize + 1, vec![0; wanted.probes.len()]);
                }
                table[step as usize][k] = lane.filter(|_| known).map_or(0, |lane| now.v[lane as usize]);
            }
        }
        let Some(step) = chip_step.checked_sub(skew).filter(|&t| t < steps) else { return false };
        if options.record.potentials {
            run.output_potentials.push(outputs().map(|o| o.map_or(0, |lane| now.v[lane])).collect());
            run.output_currents.push(vec![0; io.outputs.len()]);
        }
        if options.curve || options.until_decision || step + 1 == steps {
            for (k, lane) in outputs().enumerate() {
                if let Some(lane) = lane {
                    run.out_counts[k] = self.counts[lane] - self.earlier[k];
                    run.first_spike[k] = Some(self.first[lane]).filter(|&c| c != u32::MAX).map(|c| c - skew);
                    run.potentials[k] = f64::from(now.v[lane]);
                }
            }
        }
        if options.curve {
            run.curve.push(predict(io.decode, &run.out_counts, &run.first_spike, &run.potentials));
        }
        if options.until_decision && run.decided_after.is_none() {
            let possible = (steps - step - 1).saturating_mul(self.most_at_once);
            let left: Vec<u32> = outputs().map(|o| if o.is_some() { possible } else { 0 }).collect();
            if settled(io.decode, &run.out_counts, &run.first_spike, &left) {
                run.decided_after = Some(step + 1);
                return true;
            }
        }
        false
    }

    /// Ends a sample.
    pub(crate) fn finish(&self, io: &Io, run: &mut SampleRun) {
        crate::record::finish_copies(&mut run.copy_spikes);
        run.prediction = predict(io.decode, &run.out_counts, &run.first_spike, &run.potentials);
    }
}
