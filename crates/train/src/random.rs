//! Streams of random numbers that are functions of what they are for: nothing of them has to be saved.
//!
//! In: a seed, a purpose, and counters (epoch, step, layer, piece, ...). Out: a generator.
//! Invariant: the same arguments give the same stream on every machine and any number of threads.

use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// What a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Initial weights; counter: layer.
    Init = 1,
    /// Which samples validate; no counter.
    Split,
    /// Order of an epoch's samples; counter: epoch.
    Order,
    /// Affine maps; counters: epoch, sample.
    Augment,
    /// Dropout; counters: step, layer, sample of the batch.
    Dropout,
    /// Noise of Deep R; counters: step, parameter, piece.
    Noise,
    /// Synapses of Deep R; counters: 0 for those of the start; 1 and the step for those that grow.
    Grow,
    /// Poisson spikes, fresh in each epoch; counters: the encoder's seed, epoch. (Samples are told apart by the encoder.)
    Spikes,
}

/// One step of SplitMix64 (Steele, Lea, Flood, 2014), as a mixing function.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A number that depends on all of its arguments.
pub fn hash(seed: u64, purpose: Purpose, counters: &[u64]) -> u64 {
    counters.iter().fold(mix(mix(seed) ^ purpose as u64), |h, &c| mix(h ^ c))
}

/// The generator of a stream.
pub fn stream(seed: u64, purpose: Purpose, counters: &[u64]) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(hash(seed, purpose, counters))
}

/// 0 .. n in random order (Fisher and Yates).
pub fn permutation(n: usize, random: &mut impl Rng) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n as u32).collect();
    for k in (1..n).rev() {
        order.swap(k, random.random_range(0..=k));
    }
    order
}

/// Two independent standard normals (Box and Muller).
pub fn normals(random: &mut impl Rng) -> (f32, f32) {
    let u = 1.0 - f64::from(random.random::<f32>());
    let phase = std::f64::consts::TAU * f64::from(random.random::<f32>());
    let r = (-2.0 * u.ln()).sqrt();
    ((r * phase.cos()) as f32, (r * phase.sin()) as f32)
}
