//! A batch's timing: the details of its samples, added up in their order.
//!
//! Invariant: integers only, so the order of threads can't matter.

use crate::run_error::RunError;
use crate::timing::{BatchTiming, Bound, CoreTiming, Detail, Events, Level, LinkTiming, SampleTiming};
use std::collections::BTreeMap;

/// Adds up.
#[derive(Debug)]
pub(crate) struct Totals {
    timing: BatchTiming,
    links: BTreeMap<crate::timing::Link, LinkTiming>,
}

impl Totals {
    pub(crate) fn new(level: Level, barrier_ps: u64, cores: &[u32]) -> Totals {
        let cores = cores.iter().map(|&core| CoreTiming { core, ..CoreTiming::default() }).collect();
        let timing = BatchTiming {
            level,
            barrier_ps,
            overruns: 0,
            time_ps: 0,
            load_ps: 0,
            host_write_ps: 0,
            events: Events::default(),
            cores,
            links: Vec::new(),
            layers: Vec::new(),
            bounds: [(0, 0); 5],
        };
        Totals { timing, links: BTreeMap::new() }
    }

    /// Adds a sample.
    ///
    /// # Errors
    /// [`RunError::RunTooLong`] where the batch lasts longer than times can say; no other sum is larger than the time.
    pub(crate) fn add(&mut self, sample: &SampleTiming, detail: &Detail) -> Result<(), RunError> {
        let t = &mut self.timing;
        t.time_ps = t.time_ps.checked_add(sample.time_ps).filter(|&sum| sum <= i64::MAX as u64).ok_or(RunError::RunTooLong)?;
        t.load_ps += sample.load_ps;
        t.overruns += sample.overruns;
        t.host_write_ps =
            t.host_write_ps.checked_add(sample.host_write_ps).filter(|&sum| sum <= i64::MAX as u64).ok_or(RunError::RunTooLong)?;
        t.events += sample.events;
        for step in &sample.steps {
            let bound = &mut t.bounds[Bound::ALL.iter().position(|b| *b == step.bound).unwrap_or(0)];
            bound.0 += 1;
            bound.1 = bound.1.saturating_add(step.time_ps);
        }
        for (total, core) in t.cores.iter_mut().zip(&detail.cores) {
            *total += core;
        }
        for link in &detail.links {
            let none = LinkTiming { messages: 0, flits: 0, busy_ps: 0, peak_queue: 0, ..*link };
            let total = self.links.entry(link.link).or_insert(none);
            total.messages += link.messages;
            total.flits += link.flits;
            total.busy_ps = total.busy_ps.saturating_add(link.busy_ps);
            total.peak_queue = total.peak_queue.max(link.peak_queue);
        }
        for layer in &detail.layers {
            match t.layers.iter_mut().find(|l| (l.kind, &l.name) == (layer.kind, &layer.name)) {
                Some(total) => total.events += layer.events,
                None => t.layers.push(layer.clone()),
            }
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> BatchTiming {
        self.timing.links = self.links.into_values().collect();
        self.timing
    }
}
