use super::kernels::Kernels;
use super::*;
use crate::fixednets::*;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use spikec_chip::encode_core;
use spikec_chip::image::{Compartment, CoreTables};
use spikec_net::{SignMode, WeightFormat};
use std::collections::{BTreeMap, BTreeSet};

/// One core fed by `inputs` channels: random densities, one to three kinds of weights, delays, parallel synapses.
fn random_core(seed: u64) -> Quantized {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let (inputs, n) = (rng.random_range(1..40), rng.random_range(1..200u32));
    let mut b = Builder::new();
    let input = b.input(inputs);
    let layer = b.neurons("layer", 0, vec![NEURON; n as usize]);
    let most_delay = if rng.random_bool(0.5) { 0 } else { 5 };
    for kind in 0..rng.random_range(1..=3) {
        let format = WeightFormat { bits: rng.random_range(4..=8), exponent: kind, sign: SignMode::Mixed };
        let mut synapses = Vec::new();
        for i in 0..inputs {
            let density = rng.random_range(0.0f64..1.1).powi(2).min(1.0);
            for j in (0..n).filter(|_| rng.random_bool(density)).collect::<Vec<_>>() {
                for _ in 0..if rng.random_bool(0.02) { 2 } else { 1 } {
                    synapses.push((i, j, 32 * rng.random_range(1..8), rng.random_range(0..=most_delay)));
                }
            }
        }
        b.connect((input, layer), format, synapses);
    }
    b.build()
}

fn filled<'a>(q: &'a Quantized, wiring: &'a Wiring, target: &'a Target) -> Packer<'a> {
    let mut packer = Packer::new(q, wiring, target);
    for unit in wiring.neuron_units() {
        packer.push(unit);
    }
    packer
}

fn tables(pack: &CorePack) -> CoreTables {
    let compartments = pack.profiles.iter().map(|&(profile, threshold_profile)| Compartment {
        profile,
        threshold_profile,
        bias_mantissa: 0,
        bias_exponent: 0,
        out_axon_start: 0,
        out_axon_count: 0,
    });
    CoreTables {
        core: 0,
        delay_bits: pack.delay_bits,
        formats: pack.formats.clone(),
        lists: pack.lists.iter().map(|l| l.list.clone()).collect(),
        in_axons: pack.in_axons.iter().map(|a| a.axon).collect(),
        compartment_profiles: pack.compartment_profiles.clone(),
        threshold_profiles: pack.threshold_profiles.clone(),
        compartments: compartments.collect(),
        out_axons: Vec::new(),
    }
}

/// (source, compartment, mantissa, exponent, delay), sorted; filler left out.
type Listed = Vec<(u32, u16, i16, i8, u16)>;

fn listed_in_net(q: &Quantized, wiring: &Wiring) -> Listed {
    let mut out = Vec::new();
    for unit in wiring.neuron_units() {
        let post = (unit - wiring.unit(wiring.reference(unit).population, 0)) as u16;
        out.extend(wiring.incoming(unit).map(|s| (s.source, post, s.mantissa, wiring.classes()[s.class as usize].exponent, s.delay)));
    }
    assert_eq!(out.len(), q.net.synapse_count());
    out.sort_unstable();
    out
}

fn listed_in_pack(pack: &CorePack) -> Listed {
    let mut out = Vec::new();
    for axon in &pack.in_axons {
        for entry in &pack.list(axon).list.entries {
            let exponent = pack.formats[entry.format as usize].exponent;
            out.extend(
                entry.synapses.iter().map(|s| (axon.source, axon.axon.compartment(s) as u16, s.mantissa, exponent, u16::from(s.delay))),
            );
        }
    }
    out.retain(|s| s.2 != 0);
    out.sort_unstable();
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// A pack holds every synapse once, its counts are those of the bits, and it is no larger than any uniform encoding.
    #[test]
    fn a_pack_is_whole_counted_and_small(seed: u64) {
        let (q, target) = (random_core(seed), changed(|p| {
            p.synapse_memory.max_formats.value = 15;
            (p.core.core_bytes.value, p.core.program_bytes.value, p.core.neuron_bytes.value) = (1 << 20, 77, 12);
            (p.core.current_bytes.value, p.core.delay_slot_bytes.value, p.core.in_axon_bytes.value) = (3, 2, 5);
        }));
        let wiring = Wiring::new(&q, &target, Kernels::Auto);
        let pack = filled(&q, &wiring, &target).pack();
        prop_assert_eq!(listed_in_pack(&pack), listed_in_net(&q, &wiring));
        let image = encode_core(&tables(&pack), &target).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(image.synapse_memory.len() as u64, pack.words() * 64);
        let used = |code| pack.usage.iter().find(|u| u.code == code).map(|u| u.used);
        prop_assert_eq!(used("C05"), Some(pack.words()));
        prop_assert_eq!(used("C02"), Some(pack.in_axons.len() as u64));
        prop_assert_eq!(used("C08"), Some(pack.formats.len() as u64));
        let n = pack.units.len() as u64;
        let bytes = 77 + n * (12 + (2 << pack.delay_bits)) + 5 * pack.in_axons.len() as u64 + 8 * pack.words();
        prop_assert_eq!(used("C27"), Some(bytes));
        // One encoding for everything, by the cost model alone.
        let memory = &target.packed().synapse_memory;
        let n = pack.units.len() as u32;
        let mut lists: BTreeMap<(u32, i8), Vec<u16>> = BTreeMap::new();
        for (source, post, _, exponent, _) in listed_in_net(&q, &wiring) {
            lists.entry((source, exponent)).or_default().push(post);
        }
        for (compression, skip_bits, fill) in [
            (Compression::Sparse, 0, false),
            (Compression::RunLength, 2, false),
            (Compression::RunLength, 3, false),
            (Compression::RunLength, 4, false),
            (Compression::RunLength, 5, false),
            (Compression::Dense, 0, false),
            (Compression::Dense, 0, true),
        ] {
            let mut bits: BTreeMap<u32, u64> = BTreeMap::new();
            for ((source, exponent), posts) in &lists {
                let kind = pack.formats.iter().find(|f| f.exponent == *exponent).expect("every exponent has a format");
                let index_bits = cost::index_bits(memory, n - 1).expect("fits");
                let f = SynapseFormat { compression, skip_bits, index_bits, ..*kind };
                *bits.entry(*source).or_default() += cost::list_bits(memory, &f, &cost::split(memory, &f, posts, fill));
            }
            let words: u64 = bits.values().map(|&b| u64::from(cost::words(memory, b))).sum();
            prop_assert!(pack.words() <= words, "{:?} {} {}: {} < {}", compression, skip_bits, fill, words, pack.words());
        }
    }

    /// With few formats the pack is still whole, keeps the limit where it can, and is not smaller than without it.
    #[test]
    fn few_formats_lose_nothing(seed: u64, limit in 3u32..7) {
        let (q, target) = (random_core(seed), changed(|p| p.synapse_memory.max_formats.value = limit));
        let wiring = Wiring::new(&q, &target, Kernels::Auto);
        let pack = filled(&q, &wiring, &target).pack();
        prop_assert_eq!(listed_in_pack(&pack), listed_in_net(&q, &wiring));
        prop_assert!(pack.formats.len() <= limit as usize, "three kinds of weights can share {} formats: {:?}", limit, pack.formats);
        encode_core(&tables(&pack), &target).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let free = changed(|p| p.synapse_memory.max_formats.value = 15);
        prop_assert!(filled(&q, &wiring, &free).pack().words() <= pack.words());
    }

    /// What is needed by the first k neurons of a filled packer is what a packer of k neurons needs; and the search finds
    /// the largest k that fits.
    #[test]
    fn prefixes_are_exact_and_the_search_is_right(seed: u64, usable in 3u32..400, bytes: bool) {
        let q = random_core(seed);
        let target = changed(|p| {
            p.synapse_memory.usable_words.value = usable;
            p.synapse_memory.max_words_per_axon.value = usable.min(20);
            if bytes {
                // Neurons, axons and entries take as many bytes as words may.
                (p.core.core_bytes.value, p.core.neuron_bytes.value, p.core.in_axon_bytes.value) = (8 * usable + 40, 9, 4);
                (p.core.delay_slot_bytes.value, p.core.out_axon_entry_bytes.value) = (1, 6);
            }
        });
        let entries = |unit: u32| u64::from(unit % 3);
        let wiring = Wiring::new(&q, &target, Kernels::Auto);
        let charged = |most: usize| {
            let mut packer = Packer::new(&q, &wiring, &target);
            for unit in wiring.neuron_units().take(most) {
                packer.push(unit);
                packer.charge(entries(unit));
            }
            packer
        };
        let mut packer = charged(usize::MAX);
        let n = packer.len();
        let mut largest = 0;
        for k in 1..=n {
            let need = packer.need(k);
            if k % 17 == 1 {
                let pack = charged(k).pack();
                prop_assert_eq!((need.words, need.in_axons), (pack.words(), pack.in_axons.len() as u64));
                let used = pack.usage.iter().find(|u| u.code == "C27").map_or(0, |u| u.used);
                prop_assert_eq!(need.bytes, used);
            }
            if packer.fits(&need) {
                largest = k;
            }
        }
        let (found, need) = packer.largest(n);
        prop_assert!(packer.fits(&need) || found == 1);
        // Words hardly ever shrink when a neuron is added, but they can: then the search may stop one short.
        prop_assert!(found == largest.max(1) || !packer.fits(&charged(usize::MAX).need(found + 1)), "{} {}", found, largest);
    }
}

/// Posts and the compression of their single list, for 8-bit weights among 100 compartments.
fn compression_of(posts: &[u32]) -> Vec<Compression> {
    let mut b = Builder::new();
    let input = b.input(1);
    let layer = b.neurons("layer", 0, vec![NEURON; 100]);
    b.connect((input, layer), MIXED8, posts.iter().map(|&j| (0, j, 2, 0)).collect());
    let (q, target) = (b.build(), loihi());
    let wiring = Wiring::new(&q, &target, Kernels::Auto);
    let pack = filled(&q, &wiring, &target).pack();
    let compressions = pack.lists[0].list.entries.iter().map(|e| pack.formats[e.format as usize].compression);
    compressions.collect()
}

#[test]
fn density_decides_the_compression() {
    assert_eq!(compression_of(&[70]), [Compression::Sparse]);
    assert_eq!(compression_of(&[3, 50, 97]), [Compression::Sparse]);
    assert_eq!(compression_of(&(0..100).step_by(3).collect::<Vec<_>>()), [Compression::RunLength]);
    assert_eq!(compression_of(&(20..80).collect::<Vec<_>>()), [Compression::Dense]);
    // One gap in a dense row: 8 bits of filler are less than a header of 17.
    assert_eq!(compression_of(&(20..70).filter(|&j| j != 40).collect::<Vec<_>>()), [Compression::Dense]);
}

#[test]
fn filler_is_zero_and_parallel_synapses_stay_apart() {
    let mut b = Builder::new();
    let input = b.input(2);
    let layer = b.neurons("layer", 0, vec![NEURON; 60]);
    let dense = (0..60).filter(|&j| j != 30).map(|j| (0, j, 4, 0));
    b.connect((input, layer), MIXED8, dense.chain([(1, 7, 2, 0), (1, 7, 2, 0), (1, 7, -6, 0)]).collect());
    let (q, target) = (b.build(), loihi());
    let wiring = Wiring::new(&q, &target, Kernels::Auto);
    let pack = filled(&q, &wiring, &target).pack();
    let first = &pack.lists[0].list.entries[0].synapses;
    assert_eq!(first.len(), 60);
    assert_eq!(first[30], StoredSynapse { index: 30, mantissa: 0, delay: 0 });
    let second = &pack.lists[1].list.entries;
    let stored: Vec<_> = second.iter().flat_map(|e| &e.synapses).map(|s| (s.index, s.mantissa)).collect();
    assert_eq!(stored, [(7, 2), (7, 2), (7, -6)]);
}

#[test]
fn seven_bits_are_stored_as_eight() {
    let mut b = Builder::new();
    let input = b.input(1);
    let layer = b.neurons("layer", 0, vec![NEURON; 3]);
    b.connect((input, layer), WeightFormat { bits: 7, exponent: 0, sign: SignMode::Mixed }, vec![(0, 0, 4, 0), (0, 2, -256, 0)]);
    let (q, target) = (b.build(), loihi());
    let wiring = Wiring::new(&q, &target, Kernels::Auto);
    let pack = filled(&q, &wiring, &target).pack();
    assert!(pack.formats.iter().all(|f| f.weight_bits == 8));
    assert_eq!(listed_in_pack(&pack), [(0, 0, 4, 0, 0), (0, 2, -256, 0, 0)]);
}

/// A convolution of random kernel, stride and padding into one core, with one to three kinds of weights.
fn random_convolution(seed: u64) -> Quantized {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let (channels, side, kernel) = (rng.random_range(1..4u32), rng.random_range(4..9u32), rng.random_range(1..4u32));
    let (stride, padding) = (rng.random_range(1..3u32), rng.random_range(0..kernel));
    let outputs = rng.random_range(1..6u32);
    let grid = (side + 2 * padding - kernel) / stride + 1;
    let mut b = Builder::new();
    let input = b.input(channels * side * side);
    let layer = b.tensor("conv", 0, &[outputs, grid, grid]);
    for kind in 0..rng.random_range(1..=3) {
        let density = rng.random_range(0.3..1.0);
        let mut synapses = Vec::new();
        for (o, c, ky, kx) in quadruples(outputs, channels, kernel, kernel) {
            if !rng.random_bool(density) {
                continue;
            }
            let (weight, delay) = (2 * rng.random_range(1..100i16), rng.random_range(0..3u16) * u16::from(rng.random_bool(0.2)));
            for (y, x) in (0..grid).flat_map(|y| (0..grid).map(move |x| (y, x))) {
                let (iy, ix) = ((y * stride + ky).wrapping_sub(padding), (x * stride + kx).wrapping_sub(padding));
                if iy < side && ix < side {
                    synapses.push(((c * side + iy) * side + ix, (o * grid + y) * grid + x, weight, delay));
                }
            }
        }
        b.connect((input, layer), WeightFormat { bits: 8, exponent: kind, sign: SignMode::Mixed }, synapses);
    }
    b.build()
}

fn quadruples(a: u32, b: u32, c: u32, d: u32) -> impl Iterator<Item = (u32, u32, u32, u32)> {
    (0..a * b * c * d).map(move |k| (k / (b * c * d), k / (c * d) % b, k / d % c, k % d))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Distinct synapses, taken from lists as the net stores them, are those of all neurons.
    #[test]
    fn distinct_synapses_are_those_that_enter_neurons(seed: u64) {
        for q in [random_convolution(seed), random_core(seed)] {
            let wiring = Wiring::new(&q, &loihi(), Kernels::Auto);
            let entering = wiring.neuron_units().flat_map(|u| wiring.incoming(u)).map(|s| (s.class, s.mantissa, s.delay));
            let entering: BTreeSet<_> = entering.collect();
            prop_assert_eq!(wiring.distinct(), entering.into_iter().collect::<Vec<_>>());
        }
    }

    /// Shared or not, a pack holds the same synapses; sharing takes no more words, no other axons, and the bits are as many as were counted.
    #[test]
    fn shared_packs_hold_the_same_and_are_no_larger(seed: u64, formats in 1u32..8) {
        let q = random_convolution(seed);
        let target = changed(|p| p.synapse_memory.max_formats.value = formats);
        let packs = [Kernels::Unrolled, Kernels::Shared].map(|kernels| {
            let wiring = Wiring::new(&q, &target, kernels);
            let mut packer = filled(&q, &wiring, &target);
            let (need, pack) = (packer.need(packer.len()), packer.pack());
            assert_eq!(listed_in_pack(&pack), listed_in_net(&q, &wiring));
            assert_eq!((need.words, need.in_axons), (pack.words(), pack.in_axons.len() as u64));
            let fits = packer.fits(&need);
            (pack, fits)
        });
        let [(own, own_fits), (shared, shared_fits)] = &packs;
        prop_assert!(!own_fits || *shared_fits);
        prop_assert!(!own_fits || shared.words() <= own.words());
        prop_assert_eq!(shared.in_axons.len(), own.in_axons.len());
        prop_assert!(own.lists.iter().all(|l| l.readers == 1) && own.in_axons.iter().all(|a| a.axon.base == 0));
        let readers: u32 = shared.lists.iter().map(|l| l.readers).sum();
        prop_assert_eq!(readers as usize, shared.in_axons.len());
        if *shared_fits {
            let tables = tables(shared);
            let image = encode_core(&tables, &target).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!(image.synapse_memory.len() as u64, shared.words() * 64);
            prop_assert_eq!(spikec_chip::decode_core(&image, &target).map_err(|e| TestCaseError::fail(e.to_string()))?, tables);
        }
    }

    /// How many neurons fit is found with shared words as without: the need of that many fits.
    #[test]
    fn the_largest_number_of_neurons_fits_with_shared_words(seed: u64, words in 5u32..200) {
        let q = random_convolution(seed);
        let target = changed(|p| p.synapse_memory.usable_words.value = words);
        let wiring = Wiring::new(&q, &target, Kernels::Shared);
        let mut packer = filled(&q, &wiring, &target);
        let (taken, need) = packer.largest(packer.len());
        prop_assert!(taken == 1 || packer.fits(&need));
        prop_assert_eq!(need.words, packer.need(taken).words);
    }
}

/// Two channels with the same two synapses, `apart` compartments from each other.
fn two_translates(apart: u32) -> CorePack {
    let mut b = Builder::new();
    let input = b.input(2);
    let layer = b.neurons("layer", 0, vec![NEURON; 300]);
    let first = 9;
    let pair = |i: u32, at: u32| [(i, at, 2, 0), (i, at + 3, -8, 0)];
    b.connect((input, layer), MIXED8, pair(0, first).into_iter().chain(pair(1, first + apart)).collect());
    let (q, target) = (b.build(), loihi());
    let wiring = Wiring::new(&q, &target, Kernels::Shared);
    let pack = filled(&q, &wiring, &target).pack();
    assert_eq!(listed_in_pack(&pack), listed_in_net(&q, &wiring));
    assert!(encode_core(&tables(&pack), &target).is_ok());
    pack
}

#[test]
fn translates_share_words_up_to_the_largest_base() {
    let near = two_translates(255);
    assert_eq!((near.lists.len(), near.lists[0].readers, near.words()), (1, 2, 1));
    assert_eq!(near.in_axons.iter().map(|a| (a.axon.list, a.axon.base)).collect::<Vec<_>>(), [(0, 0), (0, 255)]);
    let far = two_translates(256);
    assert_eq!((far.lists.len(), far.words()), (2, 2));
    assert_eq!(far.in_axons.iter().map(|a| (a.axon.list, a.axon.base)).collect::<Vec<_>>(), [(0, 9), (1, 255)]);
    // The second's first post is 265: with the largest base it keeps an index of 10.
    assert_eq!(far.lists[1].list.synapses().map(|s| s.index).collect::<Vec<_>>(), [10, 13]);
}

#[test]
fn only_nets_that_repeat_their_weights_share_by_themselves() {
    let shares = |q: &Quantized, kernels, target: &Target| Wiring::new(q, target, kernels).shares();
    let mut b = Builder::new();
    let input = b.input(36);
    let layer = b.tensor("conv", 0, &[2, 4, 4]);
    let synapses =
        quadruples(2, 16, 3, 3).map(|(o, at, y, x)| ((at / 4 + y) * 6 + at % 4 + x, o * 16 + at, 2 * (o * 9 + y * 3 + x) as i16 + 2, 0));
    b.connect((input, layer), MIXED8, synapses.collect());
    let (conv, random) = (b.build(), mnist(20, all_to_all(784, 20), all_to_all(20, 10)));
    let bare = changed(|p| p.synapse_memory.max_axon_base.value = 0);
    for (kernels, of_conv, of_random) in [(Kernels::Auto, true, false), (Kernels::Shared, true, true), (Kernels::Unrolled, false, false)] {
        assert_eq!((shares(&conv, kernels, &loihi()), shares(&random, kernels, &loihi())), (of_conv, of_random), "{kernels:?}");
        assert!(!shares(&conv, kernels, &bare) && !shares(&random, kernels, &bare));
    }
}
