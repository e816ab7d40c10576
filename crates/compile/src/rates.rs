//! Spike rates from calibration data: how much each neuron and input channel talks.
//!
//! In: the quantized net and some samples. Out: spikes of a step of each unit, in net order.
//! Invariant: measured with the reference interpreter, so by what the chip will do; empty where nothing can be measured.
//! Cost: a run for each sample, at most [`SAMPLES`].

use crate::quantize::bias_limits;
use spikec_chip::target::Target;
use spikec_data::Stimulus;
use spikec_net::{Interpreter, Quantized};

/// Samples that are run.
const SAMPLES: usize = 16;
/// Least rate: what never spoke in a few samples may still speak.
const LEAST: f32 = 1e-3;

/// Measures the rates; empty without samples, and where they do not fit the net (whoever uses the data says so).
pub(crate) fn measure(q: &Quantized, target: &Target, samples: &[Stimulus], steps: Option<u32>) -> Vec<f32> {
    let net = &q.net;
    let Ok(interpreter) = Interpreter::new(net) else { return Vec::new() };
    let bases: Vec<usize> = net
        .populations
        .iter()
        .scan(0, |sum, p| {
            let base = *sum;
            *sum += p.len();
            Some(base)
        })
        .collect();
    let units: usize = net.populations.iter().map(|p| p.len()).sum();
    let (mut counts, mut all_steps) = (vec![0u64; units], 0u64);
    for sample in samples.iter().take(SAMPLES) {
        let Ok((run, _)) = interpreter.sample(sample, steps, bias_limits(target), true) else { continue };
        all_steps += u64::from(steps.or(sample.steps()).unwrap_or(0));
        for (p, steps) in run.spikes.iter().enumerate() {
            for &j in steps.iter().flatten() {
                counts[bases[p] + j as usize] += 1;
            }
        }
        if let Stimulus::Spikes(train) = sample {
            let mut first = 0;
            for (p, population) in net.populations.iter().enumerate().filter(|(_, p)| p.is_input()) {
                for &channel in &train.channels {
                    let Some(at) = channel.checked_sub(first) else { continue };
                    if let Ok(k) = population.origin.binary_search(&at) {
                        counts[bases[p] + k] += 1;
                    }
                }
                first += population.trained_len() as u32;
            }
        }
    }
    if all_steps == 0 {
        return Vec::new();
    }
    counts.iter().map(|&n| (n as f32 / all_steps as f32).max(LEAST)).collect()
}
