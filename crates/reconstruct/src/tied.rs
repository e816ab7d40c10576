//! Kernels as rows: what a population hears that has channels over places.
//!
//! In: a population's ties, a recording. Out: features (taps), rows (channels), and the spikes of each tap.
//! Invariant: a column is a step of a sample *at a place*: each place of a channel hears its own spikes with the same weights, so that a kernel is a
//! row with as many samples as there are places. Places are drawn by sample, the same ones for every recording of as many samples and steps.
//! Cost: taps times columns; there are [`MOST_COLUMNS`] at most, but for one place of each sample.

use crate::features::{Block, Features, Synapse, Trains};
use crate::record::Recording;
use rand::SeedableRng;
use rand::seq::index;
use rand_xoshiro::Xoshiro256PlusPlus;
use spikec_net::{Float, Net, PopulationId, Tap, Ties};

/// Columns to learn from, where there are more.
const MOST_COLUMNS: usize = 1 << 16;
const SEED: u64 = 0x91ace5;

/// Features of a population with ties: a feature is a tap, a row a channel, an index the number of a kernel's weight.
pub(crate) fn features(net: &Net<Float>, ties: &Ties) -> Features {
    let mut features = Features { blocks: Vec::new(), rows: vec![Vec::new(); ties.channels.len()], count: 0 };
    for (block, kernels) in ties.kernels.iter().enumerate() {
        let taps = taps(ties, block);
        for (index, (channel, tap)) in kernels.taps().iter().enumerate() {
            let row = ties.channels.binary_search(channel).expect("a kernel is one of a channel");
            let feature = features.count + taps.binary_search(tap).expect("every tap was gathered");
            features.rows[row].push(Synapse { feature: feature as u32, block: block as u32, index: index as u32 });
        }
        let pre = net.projection(kernels.projection).pre;
        features.blocks.push(Block::of_taps(kernels.projection, pre, features.count as u32));
        features.count += taps.len();
    }
    features.rows.iter_mut().for_each(|row| row.sort_unstable());
    features
}

/// The taps of a block, ascending.
fn taps(ties: &Ties, block: usize) -> Vec<Tap> {
    let mut taps: Vec<Tap> = ties.kernels[block].taps().iter().map(|t| t.1).collect();
    taps.sort_unstable();
    taps.dedup();
    taps
}

/// (sample, place) of each stretch of columns.
fn stretches(places: u32, recording: &Recording) -> Vec<(usize, u32)> {
    let (samples, places) = (recording.samples(), places as usize);
    let each = (MOST_COLUMNS / recording.columns().max(1)).clamp(1, places);
    let mut random = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let of_sample = |s: usize| {
        let mut drawn: Vec<u32> = index::sample(&mut random, places, each).into_iter().map(|p| p as u32).collect();
        drawn.sort_unstable();
        drawn.into_iter().map(|place| (s, place)).collect::<Vec<_>>()
    };
    (0..samples).flat_map(of_sample).collect()
}

/// Columns in which each neuron of a population fired.
fn by_neuron(recording: &Recording, population: PopulationId, neurons: usize) -> Vec<Vec<u32>> {
    let mut of = vec![Vec::new(); neurons];
    for column in 0..recording.columns() {
        recording.fired(population, column).iter().for_each(|&i| of[i as usize].push(column as u32));
    }
    of
}

/// Steps of a sample in which a neuron fired.
fn steps<'a>(fired: &'a [u32], range: &std::ops::Range<usize>) -> impl Iterator<Item = usize> + use<'a> {
    let (start, end) = (range.start, range.end);
    fired[fired.partition_point(|&c| (c as usize) < start)..]
        .iter()
        .map(|&c| c as usize)
        .take_while(move |&c| c < end)
        .map(move |c| c - start)
}

/// The spikes of the taps, as [`features`] numbers them.
pub(crate) fn trains(net: &Net<Float>, ties: &Ties, recording: &Recording) -> Trains {
    let stretches = stretches(ties.places(), recording);
    let mut starts = vec![0u32];
    starts.extend(stretches.iter().scan(0, |end, &(s, _)| {
        *end += recording.of_sample(s).len() as u32;
        Some(*end)
    }));
    let (mut offsets, mut columns) = (vec![0u32], Vec::new());
    for (block, kernels) in ties.kernels.iter().enumerate() {
        let pre = net.projection(kernels.projection).pre;
        let population = net.population(pre);
        let fired = by_neuron(recording, pre, population.len());
        for tap in taps(ties, block) {
            for (k, &(s, place)) in stretches.iter().enumerate() {
                let source = kernels.source(tap, place).and_then(|as_trained| population.origin.binary_search(&as_trained).ok());
                let Some(source) = source else { continue };
                let range = recording.of_sample(s);
                let acting = steps(&fired[source], &range).map(|t| t + usize::from(tap.delay)).filter(|&t| t < range.len());
                columns.extend(acting.map(|t| starts[k] + t as u32));
            }
            offsets.push(columns.len() as u32);
        }
    }
    Trains { starts, offsets, columns }
}

/// Columns in which each channel of `ties` fired, as `recording` has them of population `p` of a net, whose neurons have the same origins.
pub(crate) fn fired(net: &Net<Float>, p: PopulationId, ties: &Ties, recording: &Recording) -> Vec<Vec<u32>> {
    let population = net.population(p);
    let of = by_neuron(recording, p, population.len());
    let mut out = vec![Vec::new(); ties.channels.len()];
    let mut start = 0;
    for (s, place) in stretches(ties.places(), recording) {
        let range = recording.of_sample(s);
        for (out, channel) in out.iter_mut().zip(&ties.channels) {
            if let Ok(j) = population.origin.binary_search(&(channel * ties.places() + place)) {
                out.extend(steps(&of[j], &range).map(|t| (start + t) as u32));
            }
        }
        start += range.len();
    }
    out
}
