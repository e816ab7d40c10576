//! Loading and simulating large bundles: time of each part, and the peak of the process's memory.
//!
//! Run with `cargo bench -p spikec --bench scale`. A bundle of 18,000 neurons and 700,000 synapses is read and booted; then a board of 1,000 cores
//! with a million neurons and 12 million synapses runs 8 steps at every timing level.

use spikec_chip::Bundle;
use spikec_data::{SpikeTrain, Stimulus};
use spikec_sim::{Level, Machine, RunOptions};
use spikec_testkit::board::Board;
use std::time::Instant;

/// Peak resident memory in MiB, where the system tells.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

fn peak() -> String {
    peak_mib().map_or(String::new(), |mib| format!(", peak memory so far {mib} MiB"))
}

fn seconds<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let started = Instant::now();
    let result = work();
    (result, started.elapsed().as_secs_f64())
}

fn load(name: &str, board: Board, level: Level) -> Machine {
    let (bytes, made) = seconds(|| board.bundle().to_bytes());
    println!("{name}: made in {made:.2} s, {:.1} MB{}", bytes.len() as f64 / 1e6, peak());
    let (bundle, read) = seconds(|| Bundle::from_bytes(&bytes).expect("our own bundle"));
    let (machine, boot) = seconds(|| Machine::boot_timed(bundle.loadable(), level).expect("our own bundle boots"));
    println!("{name}: read in {read:.3} s, booted for {level:?} in {boot:.3} s{}", peak());
    machine
}

fn main() {
    let small = Board { cores: 18, neurons: 1000, axons: 3, synapses: 13, reach: 9, period: 10, seed: 1 };
    for level in [Level::None, Level::Analytic, Level::Cycle] {
        load("18 cores, 18,000 neurons, 702,000 synapses", small, level);
    }
    let large = Board { cores: 1000, neurons: 1000, axons: 3, synapses: 4, reach: 30, period: 10, seed: 2 };
    let stimulus = Stimulus::Spikes(SpikeTrain::from_steps(0, vec![Vec::new(); 8]));
    for level in [Level::None, Level::Analytic, Level::Cycle] {
        let machine = load("1,000 cores, 1,000,000 neurons, 12,000,000 synapses", large, level);
        let (run, time) = seconds(|| machine.run(&stimulus, &RunOptions::default()).expect("it runs"));
        let c = &run.counters;
        println!(
            "{level:?}: 8 steps in {time:.3} s, {} spikes, {} messages, {} hops, {} synaptic operations{}",
            c.neuron_spikes,
            c.messages,
            c.hops,
            c.synaptic_ops,
            peak()
        );
        if let Some(timing) = run.timing {
            println!("{level:?}: {:.1} us on the chip", timing.time_ps as f64 * 1e-6);
        }
    }
}
