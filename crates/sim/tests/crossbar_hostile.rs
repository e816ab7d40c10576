//! Crossbar chips that are wrong: booting names core and neuron, and nothing panics whatever the bits are. And many that are right: as a machine
//! that does nothing but follow docs/semantics.md, section 10, neuron by neuron.

mod common;

use common::crossbar::{BUS, bundle, chip, core, image, row, spec, to};
use common::{place, population, spikes};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use spikec_chip::Image;
use spikec_chip::bundle::{BiasWrite, Bundle, Encoder, Injection, Origin};
use spikec_chip::crossbar::{CrossbarCoreImage, CrossbarReset, CrossbarRow, CrossbarTables, NegativeCompare, Overflow, decode_core};
use spikec_chip::target::{Family, Target};
use spikec_data::{SpikeTrain, Stimulus, Values};
use spikec_sim::{Level, Machine, Record, RunOptions};

fn good() -> Bundle {
    good_with(16)
}

fn good_with(outputs: u32) -> Bundle {
    let mut target = chip(8, 4);
    spec(&mut target).routing.outputs.value = outputs;
    let (mut a, mut b) = (core(&target, 1), core(&target, 18));
    a.neurons[2] = CrossbarRow { destination: to(1, 18, 5, 2), ..row(&[0], [1; 4], 1) };
    a.neurons[3] = CrossbarRow { leak: 3, destination: to(1, 1, 0, 0), ..row(&[0, 7], [9; 4], 10) };
    b.neurons[3] = CrossbarRow { destination: to(18, BUS, 0, 0), ..row(&[5], [1; 4], 1) };
    let injection = Injection { from: Origin::Channel(1), to: place(1, 7), delay_steps: 3 };
    let populations = vec![population("h", 0, &[place(1, 2), place(1, 3)]), population("o", 1, &[place(18, 3)])];
    bundle(&target, &[a, b], vec![vec![place(1, 0)], vec![]], vec![injection], populations)
}

fn cores(b: &mut Bundle) -> &mut Vec<CrossbarCoreImage> {
    match &mut b.image {
        Image::Crossbar(image) => &mut image.cores,
        other => panic!("{}", other.family()),
    }
}

/// Changes a core's tables.
fn tables(b: &mut Bundle, k: usize, change: impl FnOnce(&mut CrossbarTables)) {
    let mut target = b.target.clone();
    let mut t = decode_core(&cores(b)[k], spec(&mut target)).unwrap();
    change(&mut t);
    let Image::Crossbar(changed) = image(&target, &[t]) else { unreachable!() };
    cores(b)[k] = changed.cores[0].clone();
}

/// Boots and, when that works, runs samples of both kinds at all levels.
fn exercise(bundle: &Bundle) -> Result<(), String> {
    for level in [Level::None, Level::Analytic, Level::Cycle] {
        let machine = Machine::boot_timed(bundle.loadable(), level).map_err(|e| {
            assert!(!e.hint().is_empty());
            e.to_string()
        })?;
        let record = Record { spikes: true, potentials: true, copies: true, ..Record::default() };
        let options = RunOptions { steps: Some(3), record, ..RunOptions::default() };
        let width = bundle.host.input_width.min(1000);
        let channels: Vec<u32> = (0..width).collect();
        let values = Values { width, frames: vec![1e30; width as usize], constant: true };
        for sample in [spikes(width, &[&channels, &[], &channels]), Stimulus::Values(values)] {
            let _ = machine.run(&sample, &options);
        }
    }
    Ok(())
}

type Change = fn(&mut Bundle);

#[test]
fn each_damage_is_named() {
    assert_eq!(exercise(&good()), Ok(()));
    let cases: &[(Change, &str)] = &[
        (|b| tables(b, 0, |t| t.neurons[2].destination.dx = -2), "core 1, neuron 2: its destination lies at router (-1, 1)"),
        (|b| tables(b, 0, |t| t.neurons[2].destination.dy = 16), "router (2, 16), beyond the mesh of 16 x 16"),
        (|b| tables(b, 0, |t| t.neurons[2].destination.dx = 2), "core 1, neuron 2: core 19 is not in the image"),
        (|b| tables(b, 0, |t| t.neurons[2].destination.axon = 8), "core 1, neuron 2: axon of the destination is 8, expected 0 to 7"),
        (
            |b| {
                *b = good_with(3);
                tables(b, 1, |t| t.neurons[3].destination.axon = 3)
            },
            "core 18, neuron 3: output of the bus is 3, expected 0 to 2",
        ),
        (|b| cores(b).swap(0, 1), "core 1 stands after core 18"),
        (|b| cores(b)[1].core = 1, "core 1 stands after core 1"),
        (|b| cores(b)[1].core = 256, "core is 256, expected 0 to 255"),
        (|b| cores(b)[1].core = 255, "core 255 stands at the router of the output bus"),
        (|b| cores(b)[0].rows.truncate(10), "core 1, neuron 0: found 10 bits of rows"),
        (|b| cores(b)[0].types.push(true), "core 1, axon 0: found 17 bits of axon types"),
        (|b| cores(b)[1].rows.clear(), "core 18, neuron 0"),
        (|b| b.host.input_axons[1] = vec![place(1, 8)], "input_axons 1: core 1 has 8 input axons, but input axon 8"),
        (|b| b.host.input_axons[0][0].core = 2, "input_axons 0: core 2 is not in the image"),
        (|b| b.host.injections[0].to.index = 8, "injections 0: core 1 has 8 input axons"),
        (|b| b.host.injections[0].from = Origin::Channel(2), "injections 0: channel is 2"),
        (|b| b.host.injections[0].delay_steps = 70_000, "injections 0: delay_steps is 70000"),
        (|b| b.host.injections[0].from = Origin::Neuron(place(1, 2)), "injections 0: spikes of neurons"),
        (|b| b.host.bias_writes = vec![BiasWrite { chip_step: 0, place: place(1, 0), mantissa: 1, exponent: 0 }], "bias writes"),
        (|b| b.host.decoder.outputs[0] = Some(place(18, 4)), "decoder output 0: core 18 has 4 neurons, but neuron 4"),
        (|b| b.symbols.populations[0].neurons[1].1.core = 0, "symbols: population 0: core 0 is not in the image"),
        (|b| b.host.max_skew = u32::MAX, "max_skew"),
        (|b| b.target = spikec_chip::find("tinyodin").unwrap(), "the image is of the family Crossbar, the target of EventCrossbar"),
        (|b| b.target = spikec_chip::find("loihi1").unwrap(), "the image is of the family Crossbar, the target of Packed"),
        (|b| b.target = spikec_chip::find("ranc256").unwrap(), "core 1, axon 0: found 16 bits"),
        (|b| spec(&mut b.target).core.axons.value = 0, "target: core.axons"),
    ];
    for (k, (change, text)) in cases.iter().enumerate() {
        let mut bundle = good();
        change(&mut bundle);
        let error = exercise(&bundle).unwrap_err();
        assert!(error.contains(text), "case {k}: {error}");
    }
}

#[test]
fn a_wider_axon_field_than_the_cores_have_axons_is_checked() {
    let mut b = good();
    b.host.encoder = Encoder::Bias;
    b.host.input_axons.clear();
    b.host.injections.clear();
    assert_eq!(exercise(&b), Ok(()), "a host without input spikes");
}

proptest! {
    #[test]
    fn flipped_bits_never_panic(flips in prop::collection::vec((0usize..2, any::<bool>(), any::<prop::sample::Index>()), 1..12)) {
        let mut b = good();
        for (core, rows, at) in flips {
            let c = &mut cores(&mut b)[core];
            let bits = if rows { &mut c.rows } else { &mut c.types };
            let k = at.index(bits.len());
            let bit = bits[k];
            bits.set(k, !bit);
        }
        let _ = exercise(&b);
    }

    #[test]
    fn wild_host_numbers_never_panic(
        channel: u32, core in 0u32..400, index: u16, delay: u32, skew: u32, width in 0u32..4, x in 0u32..20, y in 0u32..20,
    ) {
        let changes: [&dyn Fn(&mut Bundle); 7] = [
            &|b| b.host.injections.push(Injection { from: Origin::Channel(channel), to: place(core, index), delay_steps: delay }),
            &|b| b.host.injections[0].delay_steps = delay,
            &|b| b.host.input_axons[0].push(place(core, index % 16)),
            &|b| { b.host.max_skew = skew; b.host.decoder.skew = skew; b.symbols.populations[1].skew = skew % (1 << 21) },
            &|b| b.host.input_width = width,
            &|b| b.target.topology.host_port.value = (x, y),
            &|b| b.symbols.populations[0].copies.push((channel, place(core, index))),
        ];
        for change in changes {
            let mut b = good();
            change(&mut b);
            let _ = exercise(&b);
        }
    }
}

/// Follows the law for one sample: potentials of all neurons after each tick, and how many axons were hit again.
struct Naive<'a> {
    target: &'a Target,
    cores: Vec<CrossbarTables>,
    /// (tick, core, axon) of spikes on their way.
    flying: std::collections::BTreeSet<(u32, u32, u16)>,
    v: Vec<Vec<i64>>,
    merged: u64,
}

impl Naive<'_> {
    fn fly(&mut self, tick: u32, core: u32, axon: u16) {
        self.merged += u64::from(!self.flying.insert((tick, core, axon)));
    }

    /// One tick: (core, neuron) of those that fire.
    fn tick(&mut self, tick: u32) -> Vec<(u32, usize)> {
        let Family::Crossbar(spec) = &self.target.family else { unreachable!() };
        let spec = spec.clone();
        let bits = if *spec.neuron.overflow == Overflow::Unbounded { 32 } else { *spec.neuron.potential_bits };
        let (least, most) = (-(1i64 << (bits - 1)), (1i64 << (bits - 1)) - 1);
        let hold = |mut v: i64| match *spec.neuron.overflow {
            Overflow::Saturate => v.max(least).min(most),
            _ => {
                while v > most {
                    v -= 1 << bits;
                }
                while v < least {
                    v += 1 << bits;
                }
                v
            }
        };
        let mut fired = Vec::new();
        for (k, t) in self.cores.clone().iter().enumerate() {
            for (n, r) in t.neurons.iter().enumerate() {
                let heard = r.connections.iter().filter(|&&a| self.flying.contains(&(tick, t.core, a)));
                let sum: i64 = heard.map(|&a| i64::from(r.weights[usize::from(t.types[usize::from(a)])])).sum();
                let v = hold(self.v[k][n] + sum + i64::from(r.leak));
                let (high, low) = (i64::from(r.positive_threshold), i64::from(r.negative_threshold));
                let linear = r.mode == CrossbarReset::Linear;
                let less = if *spec.neuron.negative_compare == NegativeCompare::Less { v < low } else { v <= low };
                self.v[k][n] = if v >= high {
                    fired.push((t.core, n));
                    if linear { hold(v - high) } else { hold(r.reset.into()) }
                } else if less {
                    if linear { hold(v - low) } else { hold(-i64::from(r.reset)) }
                } else {
                    v
                };
            }
        }
        self.flying.retain(|f| f.0 > tick);
        for &(core, n) in &fired {
            let t = self.cores.iter().find(|t| t.core == core).unwrap();
            let d = t.neurons[n].destination;
            let to = (core % 16).wrapping_add_signed(d.dx) + 16 * (core / 16).wrapping_add_signed(d.dy);
            if to != BUS {
                self.fly(tick + 1 + u32::from(d.delay), to, d.axon);
            }
        }
        fired
    }
}

/// A random chip with random cores; the channels enter random axons, some later.
fn random(seed: u64) -> (Bundle, Vec<CrossbarTables>, SpikeTrain) {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let (axons, neurons) = (rng.random_range(1..80), rng.random_range(1..80));
    let mut target = chip(axons, neurons);
    let n = &mut spec(&mut target).neuron;
    n.potential_bits.value = rng.random_range(6..12);
    n.weight_bits.value = rng.random_range(2..9);
    n.threshold_bits.value = rng.random_range(3..10);
    n.overflow.value = [Overflow::Wrap, Overflow::Saturate, Overflow::Unbounded][rng.random_range(0..3)];
    n.negative_compare.value = [NegativeCompare::Less, NegativeCompare::LessEqual][rng.random_range(0..2)];
    let bits = [*n.potential_bits, *n.weight_bits, *n.leak_bits, *n.threshold_bits];
    let ids = [3, 20, 21, 200];
    let mut cores = Vec::new();
    for id in ids {
        let mut c = core(&target, id);
        c.types.iter_mut().for_each(|t| *t = rng.random_range(0..4));
        for neuron in &mut c.neurons {
            if rng.random_bool(0.3) {
                continue;
            }
            let mut signed = |bits: u8| rng.random_range(-(1i32 << (bits - 1))..1 << (bits - 1));
            let (potential, reset) = (signed(bits[0]), signed(bits[0]));
            let weights = (0..4).map(|_| signed(bits[1])).collect();
            let leak = signed(bits[2].min(3));
            let (high, low) = (signed(bits[3]).abs(), -signed(bits[3]).abs());
            let mode = if rng.random_bool(0.5) { CrossbarReset::Linear } else { CrossbarReset::Absolute };
            let connections = (0..axons as u16).filter(|_| rng.random_bool(0.3)).collect();
            let goal = if rng.random_bool(0.2) { BUS } else { ids[rng.random_range(0..4)] };
            let destination = to(id, goal, rng.random_range(0..axons) as u16, rng.random_range(0..15));
            let most = (1 << (bits[3] - 1)) - 1;
            let (positive_threshold, negative_threshold) = (high.clamp(1, most), low.max(-most));
            *neuron =
                CrossbarRow { connections, potential, reset, weights, leak, positive_threshold, negative_threshold, mode, destination };
        }
        cores.push(c);
    }
    let mut any = || place(ids[rng.random_range(0..4)], rng.random_range(0..axons) as u16);
    let inputs = (0..5).map(|_| vec![any(), any()]).collect();
    let mut injections: Vec<Injection> =
        (0..6).map(|k| Injection { from: Origin::Channel(k % 5), to: any(), delay_steps: k * k }).collect();
    injections.sort();
    let places: Vec<_> = ids.iter().flat_map(|&id| (0..neurons as u16).map(move |n| place(id, n))).collect();
    let b = bundle(&target, &cores, inputs, injections, vec![population("all", 0, &places)]);
    let steps: Vec<Vec<u32>> = (0..40).map(|_| (0..5).filter(|_| rng.random_bool(0.4)).collect()).collect();
    (b, cores, SpikeTrain::from_steps(5, steps))
}

#[test]
fn random_chips_do_what_the_law_says_at_every_level() {
    let mut fired = 0;
    for seed in 0..40 {
        let (b, cores, train) = random(seed);
        let v = cores.iter().map(|c| c.neurons.iter().map(|r| r.potential.into()).collect()).collect();
        let mut naive = Naive { target: &b.target, cores, flying: Default::default(), v, merged: 0 };
        let neurons = naive.cores[0].neurons.len();
        let mut spikes = Vec::new();
        let mut potentials = Vec::new();
        for t in 0..40 {
            for (channel, places) in b.host.input_axons.iter().enumerate().filter(|(c, _)| train.at(t).contains(&(*c as u32))) {
                places.iter().for_each(|p| naive.fly(t, p.core, p.index));
                let _ = channel;
            }
            for i in &b.host.injections {
                let Origin::Channel(channel) = i.from else { unreachable!() };
                if t >= i.delay_steps && train.at(t - i.delay_steps).contains(&channel) {
                    naive.fly(t, i.to.core, i.to.index);
                }
            }
            for (core, n) in naive.tick(t) {
                let k = naive.cores.iter().position(|c| c.core == core).unwrap();
                spikes.push((t, (k * neurons + n) as u32));
            }
            potentials.push(naive.v.iter().flatten().map(|&v| v as i32).collect::<Vec<i32>>());
        }
        spikes.sort_unstable();
        fired += spikes.len();
        let record = Record { spikes: true, potentials: true, ..Record::default() };
        let options = RunOptions { record, ..RunOptions::default() };
        let mut first = None;
        for level in [Level::None, Level::Analytic, Level::Cycle] {
            let machine = Machine::boot_timed(b.loadable(), level).unwrap();
            let mut run = machine.run(&Stimulus::Spikes(train.clone()), &options).unwrap();
            let found: Vec<(u32, u32)> = run.spikes.iter().map(|e| (e.step, e.neuron)).collect();
            assert_eq!(found, spikes, "seed {seed}");
            assert!(run.output_potentials == potentials, "seed {seed}: potentials differ");
            assert_eq!(run.counters.merged_spikes, naive.merged);
            run.timing = None;
            assert!(*first.get_or_insert(run.clone()) == run, "seed {seed}: {level:?} differs");
        }
    }
    assert!(fired > 10_000, "{fired} spikes");
}
