//! A waveform of chosen cores at level `cycle`: changes of signals, for a VCD file.
//!
//! In: what the stopwatch sees. Out: [`Wave::changes`], sorted by time.
//! Invariant: times are picoseconds from the sample's begin; of changes at the same time and signal the last one holds.

use serde::Serialize;

/// What a signal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Signal {
    /// Chip step (0 while the host loads the first spikes, then from 1).
    Step,
    /// 1 while the chip waits at the barrier.
    Barrier,
    /// 1 while the core updates compartments and sends.
    Update,
    /// 1 while it waits for room to send.
    Stalled,
    /// 1 while it reads synapses.
    Receive,
    /// Messages that came and wait.
    Queue,
    /// Messages sent so far.
    Sent,
    /// Messages done with so far.
    Received,
}

/// A change of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Change {
    /// Picoseconds from the sample's begin.
    pub time_ps: u64,
    /// Which core of [`Wave::cores`]; 0 for the chip's signals.
    pub core: u32,
    /// Signal.
    pub signal: Signal,
    /// New value, or change of a counter (`Queue`, `Sent`, `Received`).
    pub value: i64,
}

/// Changes of the signals of chosen cores.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wave {
    /// (position in the image, physical number) of the cores.
    cores: Vec<(usize, u32)>,
    changes: Vec<Change>,
}

impl Wave {
    /// Records nothing yet.
    pub(crate) fn new(cores: Vec<(usize, u32)>) -> Wave {
        Wave { cores, changes: Vec::new() }
    }

    /// Physical numbers of the cores.
    pub fn cores(&self) -> impl Iterator<Item = u32> + '_ {
        self.cores.iter().map(|c| c.1)
    }

    /// All changes by time, counters as their new value; each signal of a time once.
    pub fn changes(&self) -> Vec<Change> {
        let mut sorted = self.changes.clone();
        sorted.sort_by_key(|c| (c.time_ps, c.core, c.signal));
        let mut counters = std::collections::BTreeMap::new();
        for change in &mut sorted {
            if matches!(change.signal, Signal::Queue | Signal::Sent | Signal::Received) {
                let sum = counters.entry((change.core, change.signal)).or_insert(0);
                *sum += change.value;
                change.value = *sum;
            }
        }
        sorted.dedup_by(|later, kept| {
            let same = (later.time_ps, later.core, later.signal) == (kept.time_ps, kept.core, kept.signal);
            if same {
                kept.value = later.value;
            }
            same
        });
        sorted
    }

    pub(crate) fn clear(&mut self) {
        self.changes.clear();
    }

    fn change(&mut self, time_ps: u64, position: usize, signal: Signal, value: i64) {
        if let Some(core) = self.cores.iter().position(|c| c.0 == position) {
            self.changes.push(Change { time_ps, core: core as u32, signal, value });
        }
    }

    fn span(&mut self, from: u64, until: u64, position: usize, signal: Signal) {
        if from < until {
            self.change(from, position, signal, 1);
            self.change(until, position, signal, 0);
        }
    }

    pub(crate) fn sent(&mut self, time: u64, position: usize) {
        self.change(time, position, Signal::Sent, 1);
    }

    pub(crate) fn stalled(&mut self, from: u64, until: u64, position: usize) {
        self.span(from, until, position, Signal::Stalled);
    }

    pub(crate) fn received(&mut self, came: u64, start: u64, end: u64, position: usize) {
        self.change(came, position, Signal::Queue, 1);
        self.change(start, position, Signal::Queue, -1);
        self.span(start, end, position, Signal::Receive);
        self.change(end, position, Signal::Received, 1);
    }

    pub(crate) fn updated(&mut self, from: u64, until: u64, position: usize) {
        self.span(from, until, position, Signal::Update);
    }

    pub(crate) fn step(&mut self, chip_step: i32, begin: u64, barrier: u64, end: u64) {
        let mut chip = |time_ps, signal, value| self.changes.push(Change { time_ps, core: 0, signal, value });
        chip(begin, Signal::Step, i64::from(chip_step) + 1);
        chip(barrier, Signal::Barrier, 1);
        chip(end, Signal::Barrier, 0);
    }
}
