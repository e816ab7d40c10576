//! Encoders: analog values to spikes.
//!
//! In: values. Out: a [`SpikeTrain`]. Invariant: the same arguments give the same spikes on every machine.
//! Cost: steps times channels. Callers bound `steps` times channels below 2^32: a train counts its spikes in u32.

use crate::stimulus::{SpikeTrain, Values};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Bernoulli ("Poisson") spikes: in each step, channel i spikes with probability `values[i]`.
///
/// Random numbers: ChaCha8, key = `seed` (little endian, zeros after it), stream = `sample`; one 32-bit draw for each step and
/// channel, channels fastest. A channel spikes iff `(draw >> 8) * 2^-24 < values[i]`: never at 0 (or below, or NaN), always at 1.
///
/// # Panics
/// When there are more than `u32::MAX` spikes or channels.
pub fn poisson(values: &[f32], steps: u32, seed: u64, sample: u64) -> SpikeTrain {
    bernoulli(values.len(), (0..steps).map(|_| values), seed, sample)
}

/// As [`poisson`], with the frame of each step as its probabilities. Steps beyond the last frame have no spikes.
///
/// # Panics
/// When there are more than `u32::MAX` spikes.
pub fn poisson_frames(values: &Values, steps: u32, seed: u64, sample: u64) -> SpikeTrain {
    bernoulli(values.width as usize, (0..steps).map(|t| values.frame(t).unwrap_or(&[])), seed, sample)
}

fn bernoulli<'a>(width: usize, frames: impl Iterator<Item = &'a [f32]>, seed: u64, sample: u64) -> SpikeTrain {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut random = ChaCha8Rng::from_seed(key);
    random.set_stream(sample);
    let mut train = SpikeTrain::empty(u32::try_from(width).expect("fewer than 2^32 channels"));
    for frame in frames {
        for (channel, &p) in (0..).zip(frame) {
            if (random.next_u32() >> 8) as f32 / 16_777_216.0 < p {
                train.channels.push(channel);
            }
        }
        train.end_step();
    }
    train
}

/// Step of the phases of neighbouring channels: the golden ratio's fraction spreads any number of them evenly.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// Rate code: 2 * width channels, value i drives channel i with its positive part and channel width + i with its negative part.
///
/// A channel adds |value| / `full_scale` (f64) in each step to an accumulator that starts at `frac(1/2 + i * 0.6180339887498949)`
/// for value i; at 1 or more it spikes (once) and takes 1 off. The phases (a golden-ratio sequence) keep channels of equal values
/// from spiking all in the same step: a leaky neuron would see waves instead of a current. Steps beyond the values' last frame add nothing. No spikes when `full_scale` is not positive.
///
/// # Panics
/// When there are more than `u32::MAX` spikes or channels.
pub fn rate(values: &Values, steps: u32, full_scale: f64) -> SpikeTrain {
    let width = values.width as usize;
    let mut train = SpikeTrain::empty(two_channels_each(values));
    let mut sums: Vec<f64> = (0..2 * width).map(|channel| (0.5 + (channel % width.max(1)) as f64 * GOLDEN).fract()).collect();
    for t in 0..steps {
        if let Some(frame) = values.frame(t).filter(|_| full_scale > 0.0) {
            for (channel, sum) in (0..).zip(&mut sums) {
                let negative = channel as usize >= width;
                let value = f64::from(frame[channel as usize - if negative { width } else { 0 }]);
                *sum += (if negative { -value } else { value }).max(0.0) / full_scale;
                if *sum >= 1.0 {
                    *sum -= 1.0;
                    train.channels.push(channel);
                }
            }
        }
        train.end_step();
    }
    train
}

/// Latency code: channels as for [`rate`]; at most one spike each, earlier for larger values.
///
/// The spike is in step `round((1 - min(|value| / full_scale, 1)) * (steps - 1))` (f64, halves away from zero); none for
/// |value| < `full_scale` / 256. Of values by step, the first frame counts. No spikes when `full_scale` is not positive.
///
/// # Panics
/// When there are more than `u32::MAX` channels.
pub fn latency(values: &Values, steps: u32, full_scale: f64) -> SpikeTrain {
    let mut train = SpikeTrain::empty(two_channels_each(values));
    let mut spikes = Vec::new();
    if let (Some(frame), Some(last)) = (values.frame(0).filter(|_| full_scale > 0.0), steps.checked_sub(1)) {
        for (i, &value) in (0..).zip(frame) {
            let size = f64::from(value).abs();
            if size >= full_scale / 256.0 {
                let step = ((1.0 - (size / full_scale).min(1.0)) * f64::from(last)).round() as u32;
                spikes.push((step, if value > 0.0 { i } else { values.width + i }));
            }
        }
    }
    spikes.sort_unstable();
    let mut spikes = spikes.into_iter().peekable();
    for t in 0..steps {
        while let Some((_, channel)) = spikes.next_if(|&(step, _)| step == t) {
            train.channels.push(channel);
        }
        train.end_step();
    }
    train
}

/// Delta code (send on change): channels as for [`rate`], i for a rise of value i and width + i for a fall.
///
/// Each value has a level that the receiver can follow: 0 before the first step, or the value of the first frame where `from_first`.
/// In a step, a value that is `threshold` or more above its level spikes (once) in channel i and the level rises by `threshold`; one
/// that is as much below it spikes in channel width + i and the level falls (f64). So a large change takes several steps, and a
/// still picture comes as value / `threshold` spikes. No spikes in steps beyond the last frame, or when `threshold` is not positive.
///
/// # Panics
/// When there are more than `u32::MAX` spikes or channels.
pub fn delta(values: &Values, steps: u32, threshold: f64, from_first: bool) -> SpikeTrain {
    let mut train = SpikeTrain::empty(two_channels_each(values));
    let first = values.frame(0).filter(|_| from_first);
    let mut levels: Vec<f64> = match first {
        Some(frame) => frame.iter().map(|&v| v.into()).collect(),
        None => vec![0.0; values.width as usize],
    };
    let mut falls = Vec::new();
    for t in 0..steps {
        if let Some(frame) = values.frame(t).filter(|_| threshold > 0.0) {
            for ((i, level), &value) in (0..).zip(&mut levels).zip(frame) {
                let change = f64::from(value) - *level;
                if change >= threshold {
                    *level += threshold;
                    train.channels.push(i);
                } else if change <= -threshold {
                    *level -= threshold;
                    falls.push(values.width + i);
                }
            }
            train.channels.append(&mut falls);
        }
        train.end_step();
    }
    train
}

fn two_channels_each(values: &Values) -> u32 {
    values.width.checked_mul(2).expect("fewer than 2^32 channels")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn constant(frames: &[f32]) -> Values {
        Values { width: frames.len() as u32, frames: frames.to_vec(), constant: true }
    }

    fn steps(train: &SpikeTrain) -> Vec<Vec<u32>> {
        (0..train.steps()).map(|t| train.at(t).to_vec()).collect()
    }

    #[test]
    fn poisson_is_a_function_of_seed_and_sample() {
        let values: Vec<f32> = (0..1000).map(|i| i as f32 / 1000.0).collect();
        let train = poisson(&values, 20, 7, 3);
        assert_eq!((train.width, train.steps()), (1000, 20));
        assert_eq!(train, poisson(&values, 20, 7, 3));
        assert_eq!(train.at(5), poisson(&values, 6, 7, 3).at(5), "more steps leave earlier ones alone");
        assert_ne!(train, poisson(&values, 20, 7, 4));
        assert_ne!(train, poisson(&values, 20, 8, 3));
    }

    /// First block of ChaCha8 with an all-zero key, counter and stream (Strombergson's test vectors, TC1).
    #[test]
    fn poisson_draws_from_chacha8() {
        let first = u32::from_le_bytes([0x3e, 0x00, 0xef, 0x2f]);
        let p = (first >> 8) as f32 / 16_777_216.0;
        assert_eq!(poisson(&[p], 1, 0, 0).channels, [0u32; 0]);
        assert_eq!(poisson(&[p.next_up()], 1, 0, 0).channels, [0]);
    }

    #[test]
    fn poisson_rates_and_extremes() {
        let train = poisson(&[0.0, 1.0, f32::NAN, -1.0, 2.0, 0.25], 10_000, 1, 0);
        let mut counts = [0; 6];
        train.channels.iter().for_each(|&c| counts[c as usize] += 1);
        assert_eq!(counts[..5], [0, 10_000, 0, 0, 10_000]);
        // Binomial(10000, 1/4) has a standard deviation of 43: this is 5 of them.
        assert!((2283..=2717).contains(&counts[5]), "{counts:?}");
    }

    #[test]
    fn rate_accumulates_from_spread_phases() {
        let train = rate(&constant(&[1.0, -0.5, 0.25, 0.0, 3.0]), 5, 1.0);
        assert_eq!(train.width, 10);
        // Phases .5, .118, .736, .354, .972 of the five values.
        assert_eq!(steps(&train), [vec![0, 4], vec![0, 2, 4, 6], vec![0, 4], vec![0, 4, 6], vec![0, 4]]);
        assert_eq!(steps(&rate(&constant(&[1.0]), 2, 0.0)), [vec![0u32; 0], vec![]]);
    }

    #[test]
    fn rate_follows_frames_and_signs() {
        let values = Values { width: 1, frames: vec![0.5, -0.5, 0.25], constant: false };
        // Positive: 1.0 spike, then 0.25; negative: 1.0 spike. Nothing after the last frame.
        assert_eq!(steps(&rate(&values, 5, 1.0)), [vec![0], vec![1], vec![], vec![], vec![]]);
    }

    #[test]
    fn latency_puts_large_values_first() {
        let train = latency(&constant(&[2.0, 1.0, 5.0, -2.0, 1.0 / 128.0, 0.0078, 0.0, -0.5]), 5, 2.0);
        assert_eq!(train.width, 16);
        assert_eq!(steps(&train), [vec![0, 2, 11], vec![], vec![1], vec![15], vec![4]]);
        assert_eq!(steps(&latency(&constant(&[1.0, -0.1]), 1, 1.0)), [vec![0, 3]]);
        assert_eq!(latency(&constant(&[1.0]), 0, 1.0).steps(), 0);
        assert_eq!(latency(&constant(&[1.0]), 3, f64::NAN).channels.len(), 0);
        // Half a step rounds away from zero: (1 - 0.5) * 1 = 0.5.
        assert_eq!(steps(&latency(&constant(&[0.5]), 2, 1.0)), [vec![], vec![0]]);
    }

    #[test]
    fn delta_follows_changes() {
        let frames = |list: &[[f32; 2]]| Values { width: 2, frames: list.concat(), constant: false };
        let film = frames(&[[0.5, -0.25], [1.0, -0.25], [1.0, 0.0], [0.0, 0.24], [0.0, 0.25]]);
        let none = vec![];
        assert_eq!(steps(&delta(&film, 6, 0.25, false)), [vec![0, 3], vec![0], vec![0, 1], vec![2], vec![1, 2], none.clone()]);
        assert_eq!(steps(&delta(&film, 5, 0.25, true)), [none.clone(), vec![0], vec![0, 1], vec![2], vec![1, 2]]);
        // A still picture: value / threshold spikes, then silence.
        assert_eq!(steps(&delta(&constant(&[0.6, 0.1]), 4, 0.25, false)), [vec![0], vec![0], none.clone(), none.clone()]);
        assert_eq!(delta(&film, 3, 0.0, false).channels.len() + delta(&film, 3, f64::NAN, false).channels.len(), 0);
    }

    #[test]
    fn the_sum_of_deltas_is_near_the_value() {
        // Slow changes: the level never lags a threshold behind.
        let value = |t: u32| (f64::from(t) * 0.1).sin() as f32;
        let film = Values { width: 1, frames: (0..200).map(value).collect(), constant: false };
        let train = delta(&film, 200, 0.125, false);
        let mut level = 0.0;
        for t in 0..200 {
            level += train.at(t).iter().map(|&c| if c == 0 { 0.125 } else { -0.125 }).sum::<f64>();
            assert!((level - f64::from(value(t))).abs() < 0.125, "step {t}");
        }
    }

    #[test]
    fn poisson_of_frames_is_poisson_of_each() {
        let still = [0.0, 0.3, 1.0];
        assert_eq!(poisson_frames(&constant(&still), 50, 7, 3), poisson(&still, 50, 7, 3));
        let film = Values { width: 2, frames: [[0.0, 1.0], [1.0, 0.0]].concat(), constant: false };
        assert_eq!(steps(&poisson_frames(&film, 3, 1, 0)), [vec![1], vec![0], vec![]]);
        // Rates within five standard deviations, and another seed gives other spikes.
        let (n, p) = (20_000u32, 0.3f64);
        let train = poisson_frames(&constant(&[p as f32]), n, 5, 0);
        let deviation = (f64::from(n) * p * (1.0 - p)).sqrt();
        assert!((train.channels.len() as f64 - f64::from(n) * p).abs() < 5.0 * deviation);
        assert_ne!(train, poisson_frames(&constant(&[p as f32]), n, 6, 0));
    }
}
