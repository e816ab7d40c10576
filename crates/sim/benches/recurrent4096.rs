//! Simulation speed: `recurrent4096` on one thread, and a dense 784-800-10 net on two.
//!
//! Run: `cargo bench -p spikec-sim`. The bar for the first is `shared/bench/yardstick.cpp` in the same session.

#[path = "../tests/common/mod.rs"]
mod common;

use spikec_data::{SpikeTrain, Stimulus};
use spikec_sim::{Machine, RunOptions};
use std::hint::black_box;
use std::time::Instant;

fn main() {
    match common::recurrent4096() {
        Some((bundle, input)) => recurrent(&common::boot(&bundle), &input),
        None => eprintln!("recurrent4096.bin is not there: skipped"),
    }
    dense();
}

fn recurrent(machine: &Machine, input: &Stimulus) {
    let options = RunOptions::default();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let inputs = vec![input.clone(); 100];
    let mut best = f64::INFINITY;
    let mut counters = spikec_sim::Counters::default();
    for _ in 0..20 {
        let start = Instant::now();
        let batch = pool.install(|| machine.run_batch(black_box(&inputs), &options, &|| ())).unwrap();
        best = best.min(start.elapsed().as_secs_f64() / inputs.len() as f64);
        counters = batch.samples.into_iter().next().unwrap().counters;
    }
    let rate = counters.synaptic_ops as f64 / best / 1e6;
    println!("recurrent4096: spikes/run {} events/run {} sec/run {best:.5} Mev/s {rate:.2}", counters.neuron_spikes, counters.synaptic_ops);
}

fn dense() {
    let noise = |a: usize, b: usize, c: usize| ((a * 7919 + b * 104_729 + c * 1_299_709) % 9973) as i16;
    let bundle = common::dense_net(&[784, 800, 10], 400, |l, pre, post| (noise(l, pre, post) % 40 - 19) * 2);
    let start = Instant::now();
    let machine = common::boot(&bundle);
    let boot = start.elapsed().as_secs_f64();
    let sample = |s: usize| {
        let steps = (0..8).map(|t| (0..784u32).filter(|&c| noise(s, t, c as usize) % 8 == 0).collect::<Vec<_>>());
        Stimulus::Spikes(SpikeTrain::from_steps(784, steps))
    };
    let samples: Vec<Stimulus> = (0..10_000).map(sample).collect();
    let start = Instant::now();
    let batch = machine.run_batch(&samples, &RunOptions::default(), &|| ()).unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let (ops, spikes) = (batch.totals.synaptic_ops, batch.totals.neuron_spikes);
    println!(
        "784-800-10 x 10,000: boot {boot:.3} s, {seconds:.2} s, {ops} events, {spikes} spikes, {:.0} Mev/s",
        ops as f64 / seconds / 1e6
    );
}
