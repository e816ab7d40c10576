//! A waveform as a VCD file (IEEE 1364-2005, section 18), which GTKWave and its like show.
//!
//! In: [`Wave`]. Out: bytes. Scopes `chip` and `core_N` within it; times in picoseconds from the sample's begin.
//! Invariant: a signal is written when it changes and at no other time; all are 0 before their first change.

use spikec_sim::CoreCounters;
use spikec_sim::timing::{Signal, Wave};
use std::io;
use vcd::{IdCode, SimulationCommand, TimescaleUnit, Value, Writer};

/// Most changes in a waveform: bounds memory (about 100 bytes a change) and file (about 15).
pub const MOST_CHANGES: u64 = 20_000_000;

const CHIP: [(&str, Signal); 2] = [("step", Signal::Step), ("barrier", Signal::Barrier)];
const CORE: [(&str, Signal); 6] = [
    ("update", Signal::Update),
    ("stalled", Signal::Stalled),
    ("receive", Signal::Receive),
    ("queue", Signal::Queue),
    ("sent", Signal::Sent),
    ("received", Signal::Received),
];

/// Most changes that cores with these counters can make.
pub fn changes(cores: &[&CoreCounters], chip_steps: u64) -> u64 {
    let steps = (chip_steps + 1) * (3 + 2 * cores.len() as u64);
    // A message sent may have stalled its core; one received comes, starts and ends.
    cores.iter().fold(steps, |sum, c| sum.saturating_add(3 * c.messages_out + 5 * c.messages_in))
}

fn width(signal: Signal) -> u32 {
    match signal {
        Signal::Barrier | Signal::Update | Signal::Stalled | Signal::Receive => 1,
        Signal::Step | Signal::Queue => 32,
        Signal::Sent | Signal::Received => 64,
    }
}

/// The waveform as VCD; `about` says what was simulated.
pub fn vcd(wave: &Wave, about: &str) -> io::Result<Vec<u8>> {
    let mut w = Writer::new(Vec::new());
    w.version(concat!("spikec ", env!("CARGO_PKG_VERSION")))?;
    w.comment(&about.replace('$', "_"))?;
    w.timescale(1, TimescaleUnit::PS)?;
    w.add_module("chip")?;
    let mut signals = Vec::new(); // (core, signal, id, value)
    for (name, signal) in CHIP {
        signals.push((0, signal, w.add_wire(width(signal), name)?, 0));
    }
    for (k, core) in wave.cores().enumerate() {
        w.add_module(&format!("core_{core}"))?;
        for (name, signal) in CORE {
            signals.push((k as u32, signal, w.add_wire(width(signal), name)?, 0));
        }
        w.upscope()?;
    }
    w.upscope()?;
    w.enddefinitions()?;
    signals.sort_unstable_by_key(|s| (s.0, s.1));
    w.timestamp(0)?;
    w.begin(SimulationCommand::Dumpvars)?;
    for &(_, signal, id, value) in &signals {
        change(&mut w, signal, id, value)?;
    }
    w.end()?;
    let mut now = 0;
    for c in wave.changes() {
        let Ok(k) = signals.binary_search_by_key(&(c.core, c.signal), |s| (s.0, s.1)) else { continue };
        let (_, signal, id, value) = &mut signals[k];
        if *value == c.value {
            continue;
        }
        *value = c.value;
        if c.time_ps != now {
            now = c.time_ps;
            w.timestamp(now)?;
        }
        change(&mut w, *signal, *id, c.value)?;
    }
    Ok(std::mem::take(w.writer()))
}

fn change(w: &mut Writer<Vec<u8>>, signal: Signal, id: IdCode, value: i64) -> io::Result<()> {
    if width(signal) == 1 {
        return w.change_scalar(id, value != 0);
    }
    // Leading zeros may be left away.
    let bits = (64 - value.leading_zeros()).max(1);
    w.change_vector(id, (0..bits).rev().map(|bit| Value::from(value >> bit & 1 == 1)))
}
