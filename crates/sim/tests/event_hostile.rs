//! Event crossbars that are wrong never panic, and random ones do what docs/semantics.md, section 11, says event by event.

mod common;

use common::event::{bundle, core, image, spec};
use common::{place, population, spikes};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use spikec_chip::Image;
use spikec_chip::bundle::{Bundle, Injection, Origin, Place};
use spikec_chip::event::{EventImage, EventTables, EventWord};
use spikec_data::{SpikeTrain, Stimulus};
use spikec_sim::{Level, Machine, Record, RunOptions};
use std::collections::{BTreeMap, VecDeque};

/// A random chip of up to 40 neurons; the spikes of every neuron come back to some row.
fn random(seed: u64, open_loop: bool) -> (Bundle, EventTables, SpikeTrain) {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut target = spikec_chip::find(if seed.is_multiple_of(2) { "tinyodin" } else { "odin" }).unwrap();
    let s = spec(&mut target);
    let neurons = rng.random_range(2..40);
    s.core.neurons.value = neurons;
    s.core.rows.value = rng.random_range(neurons..80);
    s.core.fifo_depth.value = rng.random_range(2..7);
    let (s, rows) = (s.clone(), *s.core.rows);
    let mut t = core(&target);
    t.open_loop = open_loop;
    t.last_neuron = rng.random_range(1..neurons) as u8;
    t.negative_rows.iter_mut().for_each(|n| *n = rng.random_bool(0.4));
    let range = s.potential_range();
    for word in &mut t.neurons {
        let potential = rng.random_range(range.0.max(-9)..9) as i16;
        *word = EventWord { potential, threshold: rng.random_range(30..60), leak: rng.random_range(0..5), disabled: rng.random_bool(0.1) };
    }
    let (least, most) = s.weight_range();
    for (k, w) in t.weights.iter_mut().enumerate() {
        *w = match t.negative_rows.get(k / neurons as usize) {
            _ if rng.random_bool(0.5) => 0,
            None => rng.random_range(least..=most),
            Some(true) => rng.random_range(least..=0),
            Some(false) => rng.random_range(0..=most),
        };
    }
    let mut any = || place(0, rng.random_range(0..rows) as u16);
    let inputs: Vec<Vec<Place>> = (0..6).map(|_| vec![any(), any()]).collect();
    let mut injections: Vec<Injection> = (0..neurons as u16)
        .map(|k| Injection { from: Origin::Neuron(place(0, k)), to: any(), delay_steps: 1 + u32::from(k) % 4 })
        .collect();
    injections.push(Injection { from: Origin::Channel(2), to: any(), delay_steps: 5 });
    injections.sort();
    injections.dedup();
    let places: Vec<Place> = (0..neurons as u16).map(|k| place(0, k)).collect();
    let b = bundle(&target, &t, inputs, injections, vec![population("all", 0, &places)]);
    let mut step = || {
        let mut s: Vec<u32> = (0..rng.random_range(0..8)).map(|_| rng.random_range(0..6)).collect();
        s.sort_unstable();
        s
    };
    let train = SpikeTrain::from_steps(6, (0..25).map(|_| step()));
    (b, t, train)
}

/// Spikes as (step, neuron), potentials after each step, dropped events.
type Seen = (Vec<(u32, u32)>, Vec<Vec<i32>>, u64);

/// The law, with nothing but lists.
fn naive(b: &Bundle, t: &EventTables, train: &SpikeTrain) -> Seen {
    let s = spec(&mut b.target.clone()).clone();
    let (n, (least, most)) = (t.neurons.len(), s.potential_range());
    let updated = if *s.core.always_all_neurons { n } else { usize::from(t.last_neuron) + 1 };
    let mut v: Vec<i32> = t.neurons.iter().map(|w| w.potential.into()).collect();
    let mut due: BTreeMap<(u32, u16), u32> = BTreeMap::new();
    let (mut spikes, mut potentials, mut dropped) = (Vec::new(), Vec::new(), 0);
    for step in 0..train.steps() {
        for &channel in train.at(step) {
            for p in &b.host.input_axons[channel as usize] {
                *due.entry((step, p.index)).or_default() += 1;
            }
            for i in b.host.injections.iter().filter(|i| i.from == Origin::Channel(channel)) {
                *due.entry((step + i.delay_steps, i.to.index)).or_default() += 1;
            }
        }
        let mut host: VecDeque<u16> = due.range((step, 0)..(step + 1, 0)).flat_map(|((_, row), &k)| vec![*row; k as usize]).collect();
        let mut fifo = VecDeque::new();
        while let Some(row) = fifo.pop_front().or_else(|| host.pop_front()) {
            // The event has its place until it is done.
            let places = *s.core.fifo_depth as usize - 1;
            let mut out = Vec::new();
            for (k, v) in v[..updated].iter_mut().enumerate() {
                *v = (*v + i32::from(t.weights[usize::from(row) * n + k])).max(least).min(most);
                if *v >= i32::from(t.neurons[k].threshold) {
                    *v = 0;
                    if !t.neurons[k].disabled {
                        out.push(k as u16);
                    }
                }
            }
            for k in out {
                spikes.push((step, u32::from(k)));
                for i in b.host.injections.iter().filter(|i| i.from == Origin::Neuron(place(0, k))) {
                    *due.entry((step + i.delay_steps, i.to.index)).or_default() += 1;
                }
                if t.open_loop {
                    continue;
                }
                if fifo.len() < places { fifo.push_back(k) } else { dropped += 1 }
            }
        }
        for (v, word) in v[..updated].iter_mut().zip(&t.neurons) {
            let leak = i32::from(word.leak);
            *v = if *v > 0 { (*v - leak).max(0) } else { (*v + leak).min(0) };
        }
        potentials.push(v.clone());
    }
    spikes.sort_unstable();
    (spikes, potentials, dropped)
}

#[test]
fn random_chips_do_what_the_law_says_at_every_level() {
    let (mut fired, mut lost) = (0, 0);
    for seed in 0..60 {
        let (b, t, train) = random(seed, seed % 3 != 0);
        let expected = naive(&b, &t, &train);
        fired += expected.0.len();
        lost += expected.2;
        let options = RunOptions { record: Record { spikes: true, potentials: true, ..Record::default() }, ..RunOptions::default() };
        let mut first = None;
        for level in [Level::None, Level::Analytic, Level::Cycle] {
            let machine = Machine::boot_timed(b.loadable(), level).unwrap();
            let mut run = machine.run(&Stimulus::Spikes(train.clone()), &options).unwrap();
            let spikes: Vec<(u32, u32)> = run.spikes.iter().map(|e| (e.step, e.neuron)).collect();
            assert!((spikes, run.output_potentials.clone(), run.counters.dropped_events) == expected, "seed {seed}");
            for (k, &count) in run.out_counts.iter().enumerate() {
                assert_eq!(count as usize, expected.0.iter().filter(|s| s.1 == k as u32).count());
            }
            run.timing = None;
            assert!(*first.get_or_insert(run.clone()) == run, "seed {seed}: {level:?} differs");
        }
    }
    assert!(fired > 2_000 && lost > 50, "{fired} spikes, {lost} dropped");
}

/// Boots and, when that works, runs at all levels.
fn exercise(bundle: &Bundle) -> Result<(), String> {
    for level in [Level::None, Level::Analytic, Level::Cycle] {
        let machine = Machine::boot_timed(bundle.loadable(), level).map_err(|e| {
            assert!(!e.hint().is_empty());
            e.to_string()
        })?;
        let options = RunOptions { steps: Some(3), record: Record { spikes: true, ..Record::default() }, ..RunOptions::default() };
        let channels: Vec<u32> = (0..bundle.host.input_width.min(1000)).flat_map(|c| [c, c]).collect();
        let _ = machine.run(&spikes(bundle.host.input_width.min(1000), &[&channels, &[], &channels]), &options);
    }
    Ok(())
}

fn bits(b: &mut Bundle) -> &mut EventImage {
    match &mut b.image {
        Image::EventCrossbar(image) => image,
        other => panic!("{}", other.family()),
    }
}

type Change = fn(&mut Bundle);

#[test]
fn each_damage_is_named() {
    let good = || random(2, true).0;
    assert_eq!(exercise(&good()), Ok(()));
    let cases: &[(Change, &str)] = &[
        (|b| bits(b).registers.truncate(1), "registers 0: found 1 bits of registers"),
        (|b| bits(b).neurons.clear(), "neuron 0: found 0 bits of neurons"),
        (|b| bits(b).synapses.push(false), "row 0: found"),
        (|b| b.host.input_axons[0][0].core = 1, "input_axons 0: core 1 is not in the image"),
        (|b| b.host.input_axons[0][0].index = 80, "input_axons 0: core 0 has"),
        (|b| b.host.decoder.outputs[1] = Some(place(0, 40)), "decoder output 1: core 0 has"),
        (|b| b.symbols.populations[0].neurons[0].1.core = 3, "symbols: population 0: core 3"),
        (|b| b.host.injections[0].from = Origin::Channel(6), "injections 0: channel is 6, expected 0 to 5"),
        (|b| b.host.injections[0].from = Origin::Neuron(place(0, 200)), "injections 0: core 0 has"),
        (|b| b.host.input_width = 7, "input_axons: channels is 6, expected 7"),
        (|b| b.target = spikec_chip::find("ranc256").unwrap(), "the image is of the family EventCrossbar, the target of Crossbar"),
        (|b| spec(&mut b.target).core.neurons.value = 300, "target: core.neurons"),
        (
            |b| {
                let s = spec(&mut b.target);
                (s.core.neurons.value, s.core.rows.value) = (8, 4);
                let mut t = core(&b.target);
                t.open_loop = false;
                b.image = image(&b.target, &t);
                b.host.input_axons.iter_mut().flatten().for_each(|p| p.index = 0);
                b.host.injections.clear();
                b.host.decoder.outputs.truncate(8);
                b.symbols.populations[0].neurons.truncate(8);
                b.symbols.populations[0].shape = vec![8];
            },
            "updated neurons in closed loop is 8, expected 0 to 4",
        ),
    ];
    for (k, (change, text)) in cases.iter().enumerate() {
        let mut b = good();
        change(&mut b);
        let error = exercise(&b).unwrap_err();
        assert!(error.contains(text), "case {k}: {error}");
    }
}

proptest! {
    #[test]
    fn flipped_bits_never_panic(seed in 0u64..6, open: bool, flips in prop::collection::vec((0usize..3, any::<prop::sample::Index>()), 1..10)) {
        let mut b = random(seed, open).0;
        for (table, at) in flips {
            let image = bits(&mut b);
            let bits = [&mut image.registers, &mut image.neurons, &mut image.synapses].into_iter().nth(table).unwrap();
            let k = at.index(bits.len());
            let bit = bits[k];
            bits.set(k, !bit);
        }
        let _ = exercise(&b);
    }

    #[test]
    fn wild_host_numbers_never_panic(channel: u32, core in 0u32..3, index: u16, delay: u32, skew: u32, width in 0u32..9) {
        let changes: [&dyn Fn(&mut Bundle); 5] = [
            &|b| b.host.injections.push(Injection { from: Origin::Channel(channel), to: place(core, index), delay_steps: delay }),
            &|b| b.host.injections.push(Injection { from: Origin::Neuron(place(core, index % 64)), to: place(0, 0), delay_steps: delay }),
            &|b| b.host.input_axons[0].push(place(core, index % 100)),
            &|b| { b.host.max_skew = skew; b.host.decoder.skew = skew; b.symbols.populations[0].skew = skew % (1 << 21) },
            &|b| b.host.input_width = width,
        ];
        for change in changes {
            let mut b = random(1, true).0;
            change(&mut b);
            let _ = exercise(&b);
        }
    }
}
