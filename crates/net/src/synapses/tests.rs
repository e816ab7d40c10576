//! Sharing changes nothing but memory; stencils stay stencils; bytes that lie are refused.

use super::*;
use crate::fixed::{Bias, Fixed, FixedNeuron, FixedRules};
use crate::operators::{Axis, Conv};
use crate::quantized::{Quantized, Scaling};
use crate::{Net, Population, PopulationId, Projection, Role, SignMode, WeightFormat, run_sample};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus as Random;

type Tuple = (u32, u32, f32, u16);

/// Synapses of bytes; the message of what is wrong.
fn read<W: Weight + Serialize + serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<Synapses<W>, String> {
    let tables: Tables<W> = postcard::from_bytes(bytes).map_err(|e| e.to_string())?;
    tables.synapses().map_err(|e| e.to_string())
}

/// Rows that are often equal up to where they begin: few weights, few kinds of rows.
fn tuples(rng: &mut Random, pres: u32, delays: u16) -> Vec<Tuple> {
    let kinds: Vec<Vec<(u32, f32, u16)>> = (0..rng.random_range(1..5))
        .map(|_| {
            let n = rng.random_range(0..6);
            (0..n).map(|_| (rng.random_range(0..9), [0.5, -0.0, 0.0, -1.5][rng.random_range(0..4)], rng.random_range(0..=delays))).collect()
        })
        .collect();
    let mut tuples = Vec::new();
    for pre in 0..pres {
        let (kind, base) = (&kinds[rng.random_range(0..kinds.len())], rng.random_range(0..20));
        tuples.extend(kind.iter().map(|&(post, weight, delay)| (pre, base + post, weight, delay)));
    }
    tuples
}

fn bits(t: &Tuple) -> (u32, u32, u32, u16) {
    (t.0, t.1, t.2.to_bits(), t.3)
}

fn sorted(mut tuples: Vec<Tuple>) -> Vec<(u32, u32, u32, u16)> {
    tuples.sort_by_key(|&(i, j, _, d)| (i, j, d));
    tuples.iter().map(bits).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn shared_rows_are_the_same_synapses(seed in any::<u64>(), pres in 0u32..40, delays in 0u16..3) {
        let rng = &mut Random::seed_from_u64(seed);
        let tuples = tuples(rng, pres, delays);
        let expected = sorted(tuples.clone());
        let synapses = Synapses::from_tuples(pres as usize, tuples.clone());
        let found: Vec<_> = synapses.iter().map(|t| bits(&t)).collect();
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!((synapses.pres(), synapses.len(), synapses.is_empty()), (pres as usize, expected.len(), expected.is_empty()));
        let steps: Vec<u16> = expected.iter().map(|t| t.3).collect();
        prop_assert_eq!(synapses.delay_bounds(), (steps.iter().copied().min().unwrap_or(0), steps.iter().copied().max().unwrap_or(0)));
        prop_assert_eq!(synapses.uniform_delay().is_some(), steps.windows(2).all(|w| w[0] == w[1]));
        prop_assert!(synapses.templates() <= 5 && synapses.misplaced(30).is_none());
        prop_assert_eq!(synapses.misplaced(0).is_some(), !synapses.is_empty());
        let starts = synapses.starts();
        for (pre, row) in synapses.rows().enumerate() {
            prop_assert_eq!(row.len(), starts[pre + 1] - starts[pre]);
            for (k, (post, weight, delay)) in row.iter().enumerate() {
                prop_assert_eq!((row.post(k), row.weight(k).to_bits(), row.delay(k)), (post, weight.to_bits(), delay));
                prop_assert_eq!(bits(&(pre as u32, post, weight, delay)), expected[starts[pre] + k]);
            }
        }
    }

    #[test]
    fn synapses_are_transposed_mapped_and_changed_one_by_one(seed in any::<u64>(), pres in 1u32..40, delays in 0u16..3) {
        let rng = &mut Random::seed_from_u64(seed);
        let tuples = tuples(rng, pres, delays);
        let synapses = Synapses::from_tuples(pres as usize, tuples.clone());
        let by_post = synapses.transposed(30, |_, _, w| w);
        let turned: Vec<_> = by_post.iter().map(|(j, i, w, d)| (i, j, w, d)).collect();
        prop_assert_eq!(by_post.pres(), 30);
        prop_assert!(by_post.iter().is_sorted_by_key(|(j, i, _, d)| (j, i, d)));
        prop_assert_eq!(sorted(turned), sorted(tuples.clone()));
        let factor = |post: u32| (post % 3) as f32;
        let mapped = synapses.map_weights(|_, post, w| w * factor(post));
        let expected = Synapses::from_tuples(pres as usize, tuples.iter().map(|&(i, j, w, d)| (i, j, w * factor(j), d)).collect());
        prop_assert_eq!((&mapped, mapped.stored()), (&expected, expected.stored()));
        prop_assert_eq!(synapses.map_stored(|w| w * 2.0), synapses.map_weights(|_, _, w| w * 2.0));
        let mut other = synapses.clone();
        for (k, w) in other.weights_mut().iter_mut().enumerate() {
            *w = k as f32;
        }
        let changed: Vec<_> = other.iter().map(|t| bits(&t)).collect();
        let numbered: Vec<_> = synapses.iter().enumerate().map(|(k, (i, j, _, d))| bits(&(i, j, k as f32, d))).collect();
        prop_assert_eq!(changed, numbered);
        prop_assert_eq!(other == synapses, synapses.iter().enumerate().all(|(k, t)| t.2 == k as f32));
        let bytes = postcard::to_stdvec(&other).unwrap();
        prop_assert_eq!(&read::<f32>(&bytes).unwrap(), &other);
        // Rows without synapses are one row again.
        let again = Synapses::from_tuples(pres as usize, other.iter().collect());
        prop_assert_eq!((synapses.is_canonical(), again.is_canonical()), (true, true));
        prop_assert_eq!(other.is_canonical(), other.templates() == again.templates());
    }

    #[test]
    fn bytes_keep_the_sharing(seed in any::<u64>(), pres in 0u32..40, delays in 0u16..3) {
        let rng = &mut Random::seed_from_u64(seed);
        let synapses = Synapses::from_tuples(pres as usize, tuples(rng, pres, delays));
        let bytes = postcard::to_stdvec(&synapses).unwrap();
        let read: Synapses<f32> = read(&bytes).unwrap();
        prop_assert_eq!((&read, read.templates(), read.stored()), (&synapses, synapses.templates(), synapses.stored()));
        prop_assert_eq!(postcard::to_stdvec(&read).unwrap(), bytes);
    }

    #[test]
    fn damaged_bytes_are_an_error_or_sound_synapses(seed in any::<u64>(), pres in 1u32..20) {
        let rng = &mut Random::seed_from_u64(seed);
        let synapses = Synapses::from_tuples(pres as usize, tuples(rng, pres, 2)).map_stored(|w| w as i16);
        let sound = postcard::to_stdvec(&synapses).unwrap();
        for _ in 0..20 {
            let mut bytes = sound.clone();
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(0..bytes.len());
                bytes[at] = rng.random_range(0..=255);
            }
            let Ok(read) = read::<i16>(&bytes) else { continue };
            // Nothing that reads them can panic.
            prop_assert_eq!(read.iter().count(), read.len());
            prop_assert_eq!(read.flat().rows.len(), read.pres());
            let (pres, delay) = (read.pres() as u32, u32::from(read.delay_bounds().1));
            let net = quantized(read, pres, 30).net;
            if let Ok(interpreter) = crate::Interpreter::new(&net) {
                let spikes = spikec_data::SpikeTrain::from_steps(pres, vec![(0..pres).collect::<Vec<_>>()]);
                run_sample(&interpreter, Some(&spikes), &[], 1 + delay.min(300), false);
            }
        }
    }
}

#[test]
fn digests_are_over_the_lists() {
    /// The lists, as digests have always had them.
    #[derive(Serialize)]
    struct Lists {
        offsets: Vec<u32>,
        posts: Vec<u32>,
        weights: Vec<f32>,
        delays: Delays,
    }
    for delays in [0, 2] {
        let rng = &mut Random::seed_from_u64(7);
        let synapses = Synapses::from_tuples(30, tuples(rng, 30, delays));
        let all: Vec<Tuple> = synapses.iter().collect();
        let each = all.iter().map(|t| t.3).collect();
        let lists = Lists {
            offsets: synapses.starts().iter().map(|&s| s as u32).collect(),
            posts: all.iter().map(|t| t.1).collect(),
            weights: all.iter().map(|t| t.2).collect(),
            delays: synapses.uniform_delay().map_or(Delays::Each(each), Delays::Uniform),
        };
        assert_eq!(postcard::to_stdvec(&Logical(&synapses)).unwrap(), postcard::to_stdvec(&lists).unwrap());
    }
}

/// A 3 x 3 kernel of all weights over maps of this size.
fn conv(channels: u32, outputs: u32, size: u32, stride: u32) -> Conv {
    let axis = Axis { size, kernel: 3, stride, dilation: 1, padding: [1, 1] };
    let weight = (1..=outputs * channels * 9).map(|k| k as f32).collect();
    Conv { channels, outputs, groups: 1, axes: vec![axis; 2], weight }
}

#[test]
fn a_convolution_stores_a_row_for_each_class_of_places_and_not_for_each_place() {
    for size in [8, 16, 64] {
        let synapses = conv(3, 4, size, 1).synapses().unwrap();
        let inside = 3 * u64::from(size) - 2;
        assert_eq!((synapses.len() as u64, synapses.pres() as u32), (12 * inside * inside, 3 * size * size));
        // Nine classes a channel; corners have 4 taps, edges 6, the others 9.
        assert_eq!((synapses.templates(), synapses.stored()), (3 * 9, 3 * 4 * (4 * 4 + 4 * 6 + 9)));
        let by_post = synapses.transposed((4 * size * size) as usize, |_, _, w| w);
        assert_eq!((by_post.templates(), by_post.stored()), (4 * 9, synapses.stored()));
        // With a stride of 2 places alternate; the last row and column have no window beyond.
        let strided = conv(3, 4, size, 2).synapses().unwrap();
        assert!(strided.templates() <= 3 * 9, "{}", strided.templates());
    }
    // Channels have their weights, but their posts are alike, and those at opposite borders as well.
    let synapses = conv(5, 4, 16, 1).synapses().unwrap();
    assert_eq!(synapses.patterns.len() - 1, 4);
    assert_eq!(synapses.posts.len(), 4 * (4 + 6 + 6 + 9));
}

#[test]
fn rows_alike_are_one_wherever_they_come_from() {
    let one_to_one = Synapses::from_tuples(1000, (0..1000).map(|i| (i, i, 1.0, 3)).collect());
    assert_eq!((one_to_one.templates(), one_to_one.stored(), one_to_one.uniform_delay()), (1, 1, Some(3)));
    let dense = Synapses::from_tuples(10, (0..10).flat_map(|i| (0..50).map(move |j| (i, j, (i * 50 + j) as f32, 0))).collect());
    assert_eq!((dense.templates(), dense.stored(), dense.posts.len()), (10, 500, 50));
    // A delay that comes late changes none of the rows before.
    let late = Synapses::from_tuples(4, vec![(0, 0, 1.0, 1), (1, 1, 1.0, 1), (2, 2, 1.0, 2), (3, 3, 1.0, 1)]);
    assert_eq!((late.templates(), late.uniform_delay()), (2, None));
    let empty = Synapses::<f32>::from_tuples(5, vec![]);
    assert_eq!((empty.pres(), empty.len(), empty.templates(), empty.delay_bounds()), (5, 0, 1, (0, 0)));
}

#[test]
fn many_rows_of_one_hash_take_no_longer() {
    // Whatever rows a file has, each looks at a bounded number of places: equal hashes are the worst there is.
    let mut table = super::builder::tests_table();
    let start = std::time::Instant::now();
    for number in 0..200_000 {
        assert_eq!(table(17, number), number);
    }
    assert!(start.elapsed().as_secs() < 2);
}

/// A net with one projection, in registers.
fn quantized(synapses: Synapses<i16>, pres: u32, posts: u32) -> Quantized {
    let neuron = FixedNeuron { decay_u: 4096, decay_v: 0, threshold: 1, refractory: 1, bias: Bias::default() };
    let population = |name: &str, n: u32, role| Population { name: name.into(), shape: vec![n], origin: (0..n).collect(), skew: 0, role };
    let net: Net<Fixed> = Net {
        name: "net".into(),
        rules: FixedRules::default(),
        populations: vec![population("in", pres, Role::SpikeInput), population("out", posts, Role::Neurons(vec![neuron; posts as usize]))],
        projections: vec![Projection {
            name: "p".into(),
            pre: PopulationId(0),
            post: PopulationId(1),
            format: WeightFormat { bits: 8, exponent: 0, sign: SignMode::Mixed },
            synapses,
        }],
        host_projections: vec![],
        output: PopulationId(1),
    };
    Quantized { net, scaling: Scaling::Exact, network_digest: [0; 32] }
}

#[test]
fn a_small_section_that_declares_a_gigantic_net_is_refused() {
    // 2^16 rows of 2^16 synapses each, which one row of weights stands for: 4 Gi synapses from 1 MB, most of it neurons.
    let mut builder = Builder::new();
    (0..1 << 16).for_each(|post| builder.push(post, 2i16, 0));
    builder.end_row();
    let mut synapses = builder.finish();
    let full = synapses.clone();
    synapses.rows = vec![synapses.rows[0]; 1 << 16];
    synapses.len = 1 << 32;
    let bytes = quantized(synapses.clone(), 1 << 16, 1 << 16).to_bytes();
    assert!(bytes.len() < 1_200_000, "{}", bytes.len());
    let refused = |bytes: &[u8]| <Quantized>::from_bytes(bytes).unwrap_err().to_string();
    assert_eq!(refused(&bytes), "projection p: there are more than 1073741824 synapses in a projection");
    // Below the bound of a projection, but in many of them.
    synapses.rows.truncate(1 << 13);
    synapses.len = 1 << 29;
    let mut q = quantized(synapses, 1 << 13, 1 << 16);
    assert!(<Quantized>::from_bytes(&q.to_bytes()).is_ok());
    q.net.projections = vec![q.net.projections[0].clone(); 5];
    assert_eq!(refused(&q.to_bytes()), "it declares 2684354560 synapses in all, at most 2147483648 are read");
    let bytes = [&quantized(full.clone(), 1, 1 << 16).to_bytes()[..], &[0; 3]].concat();
    assert_eq!(refused(&bytes), "3 bytes follow its end");
    let sound = quantized(full, 1, 1 << 16);
    assert_eq!(Quantized::from_bytes(&sound.to_bytes()).unwrap(), sound);
}

#[test]
fn tables_that_contradict_each_other_are_refused() {
    let good = Synapses::from_tuples(4, vec![(0, 1, 2i16, 0), (0, 4, 3, 1), (1, 0, 2, 0), (2, 5, 2, 0), (2, 8, 3, 1)]);
    let none = Synapses::<i16>::from_tuples(2, vec![]);
    type Damage = fn(&mut Synapses<i16>);
    let cases: &[(Damage, &str)] = &[
        (|s| s.weights.truncate(1), "weights are not one for each post"),
        (|s| s.weights.push(1), "weights are not one for each post"),
        (|s| s.posts[1] = u32::MAX - 1, "row 2 ends beyond 2^32"),
        (|s| s.posts.push(0), "lengths of the patterns"),
        (|s| s.patterns[1] = 1, "does not begin at its base"),
        (|s| s.patterns.push(3), "a pattern is of no template"),
        (|s| s.rows[2].base = u32::MAX, "row 2 ends beyond 2^32"),
        (|s| s.rows[3].base = 1, "row 3 has no synapse"),
        (|s| s.delays = Delays::Each(vec![0]), "delays are not one for each post"),
        (|s| s.templates.push(Template { pattern: 1, start: 3 }), "weights are not one for each post"),
    ];
    let bytes = postcard::to_stdvec(&good).unwrap();
    assert_eq!(read::<i16>(&bytes).unwrap(), good);
    for (case, (damage, expected)) in cases.iter().enumerate() {
        let mut bad = good.clone();
        damage(&mut bad);
        let error = read::<i16>(&postcard::to_stdvec(&bad).unwrap()).unwrap_err();
        assert!(error.contains(expected), "case {case}: {error:?} does not say {expected:?}");
    }
    // A delay of no synapse.
    let late = Synapses { delays: Delays::Uniform(3), ..none.clone() };
    assert!(read::<i16>(&postcard::to_stdvec(&late).unwrap()).is_err());
    let mut lagged = none;
    assert!(lagged.lag(3));
    assert!(read::<i16>(&postcard::to_stdvec(&lagged).unwrap()).is_ok());
}
