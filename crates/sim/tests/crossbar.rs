//! Crossbar chips by hand: docs/semantics.md, section 10, line by line.

mod common;

use common::crossbar::{BUS, bundle, chip, chip_with, core, row, spec, to};
use common::{boot, place, population, spikes};
use spikec_chip::bundle::{Bundle, Injection, Origin};
use spikec_chip::crossbar::{CrossbarReset, CrossbarRow, NegativeCompare, Overflow};
use spikec_chip::target::Target;
use spikec_data::Stimulus;
use spikec_sim::{Probe, Record, RunError, RunOptions, SampleRun};

fn all() -> RunOptions {
    let record = Record { spikes: true, potentials: true, copies: true, ..Record::default() };
    RunOptions { record, ..RunOptions::default() }
}

/// One neuron on core 0 that hears axons 0 to 3 of types 0 to 3, one channel each; gives its potentials and the steps in which it fired.
fn trace(target: &Target, neuron: CrossbarRow, steps: &[&[u32]]) -> (Vec<i32>, Vec<u32>, u64) {
    let mut c = core(target, 0);
    c.types[..4].copy_from_slice(&[0, 1, 2, 3]);
    c.neurons[0] = CrossbarRow { destination: to(0, BUS, 0, 0), ..neuron };
    let inputs = (0..4).map(|a| vec![place(0, a)]).collect();
    let bundle = bundle(target, &[c], inputs, vec![], vec![population("o", 0, &[place(0, 0)])]);
    let run = boot(&bundle).run(&spikes(4, steps), &all()).unwrap();
    assert_eq!(u64::from(run.out_counts[0]), run.counters.neuron_spikes);
    let fired = run.spikes.iter().map(|e| e.step).collect();
    (run.output_potentials.iter().map(|p| p[0]).collect(), fired, run.counters.v_clips)
}

#[test]
fn one_neuron_by_hand() {
    let target = chip(8, 4);
    // 5, -3, 7 by type, leak -1; axon 3 is not connected.
    let n = CrossbarRow { leak: -1, reset: 2, ..row(&[0, 1, 2], [5, -3, 7, 100], 10) };
    let (v, fired, _) = trace(&target, n, &[&[0, 3], &[0, 1], &[2], &[], &[1]]);
    assert_eq!((v, fired), (vec![4, 5, 2, 1, -3], vec![2]));
}

#[test]
fn both_resets_and_both_comparisons() {
    let mut target = chip(8, 4);
    let n = CrossbarRow { negative_threshold: -20, reset: 3, ..row(&[0, 1, 2, 3], [9, 1, -23, -1], 10) };
    let steps: &[&[u32]] = &[&[0], &[1], &[2], &[3]];
    assert_eq!(trace(&target, n.clone(), steps).0, [9, 3, -20, -3]);
    let linear = CrossbarRow { mode: CrossbarReset::Linear, weights: vec![17, 0, -28, 0], ..n.clone() };
    assert_eq!(trace(&target, linear.clone(), &[&[0], &[2]]).0, [7, -1]);
    spec(&mut target).neuron.negative_compare.value = NegativeCompare::LessEqual;
    assert_eq!(trace(&target, n, steps).0, [9, 3, -3, -4]);
    assert_eq!(trace(&target, CrossbarRow { weights: vec![0, 0, -20, -25], ..linear }, &[&[2], &[3]]).0, [0, -5]);
}

#[test]
fn potentials_wrap_saturate_or_are_the_hosts() {
    let high = CrossbarRow { negative_threshold: -256, ..row(&[0, 1, 2], [200, 100, -250, 0], 255) };
    assert_eq!(trace(&chip(8, 4), high.clone(), &[&[0], &[1]]), (vec![200, -212], vec![], 1));
    // Sums wrap once: the order of axons doesn't matter.
    assert_eq!(trace(&chip(8, 4), high.clone(), &[&[0], &[0, 1, 2]]), (vec![200, 250], vec![], 0));
    let saturating = chip_with(8, 4, Overflow::Saturate, 9);
    // Clipped to 255 it fires; then -250 - 250 is clipped to -256.
    assert_eq!(trace(&saturating, high.clone(), &[&[0], &[1], &[2], &[2]]), (vec![200, 0, -250, -256], vec![1], 1 + 1));
    let mut unbounded = chip_with(8, 4, Overflow::Unbounded, 32);
    spec(&mut unbounded).neuron.threshold_bits.value = 32;
    let far = CrossbarRow { positive_threshold: 1_000_000, negative_threshold: i32::MIN, ..high };
    let steps: Vec<&[u32]> = vec![&[0, 1]; 20];
    let (v, fired, clips) = trace(&unbounded, far, &steps);
    assert_eq!((v[19], fired.len(), clips), (20 * 300, 0, 0));
    // A linear reset wraps as well: 255 - -256.
    let wraps = CrossbarRow { mode: CrossbarReset::Linear, ..row(&[0], [255, 0, 0, 0], -256) };
    assert_eq!(trace(&chip(8, 4), wraps, &[&[0]]).0, [-1]);
}

#[test]
fn the_image_says_where_a_potential_starts() {
    let n = CrossbarRow { potential: 7, leak: 2, ..row(&[], [0; 4], 12) };
    assert_eq!(trace(&chip(8, 4), n, &[&[], &[], &[], &[]]), (vec![9, 11, 0, 2], vec![2], 0));
}

/// A neuron on core 1 that channel 0 drives, and one on core 18 that hears its axon 5 after `delay`.
fn chain(delay: u8) -> Bundle {
    let target = chip(8, 4);
    let (mut a, mut b) = (core(&target, 1), core(&target, 18));
    a.neurons[2] = CrossbarRow { destination: to(1, 18, 5, delay), ..row(&[0], [1; 4], 1) };
    b.neurons[3] = CrossbarRow { destination: to(18, BUS, 0, 0), ..row(&[5], [1; 4], 1) };
    let skew = 1 + u32::from(delay);
    let populations = vec![population("h", 0, &[place(1, 2)]), population("o", skew, &[place(18, 3)])];
    bundle(&target, &[a, b], vec![vec![place(1, 0)]], vec![], populations)
}

#[test]
fn delays_of_0_to_14_ticks() {
    for delay in 0..=14 {
        let run = boot(&chain(delay)).run(&spikes(1, &[&[0], &[], &[0], &[0], &[]]), &all()).unwrap();
        let steps = |population| run.spikes.iter().filter(|e| e.population == population).map(|e| e.step).collect::<Vec<_>>();
        assert_eq!((steps(0), steps(1)), (vec![0, 2, 3], vec![0, 2, 3]), "delay {delay}");
        assert!(run.spikes.iter().all(|e| e.chip_step == e.step + if e.population == 0 { 0 } else { 1 + u32::from(delay) }));
        assert_eq!((run.out_counts, run.first_spike), (vec![3], vec![Some(0)]));
    }
}

#[test]
fn counters_by_hand() {
    let run = boot(&chain(3)).run(&spikes(1, &[&[0], &[]]), &all()).unwrap();
    let c = &run.counters;
    // Core 18 stands at (2, 1): 2 hops from core 1 at (1, 0), 27 from the bus at (15, 15). The host is at (0, 0).
    assert_eq!((c.chip_steps, c.neuron_spikes, c.messages, c.host_spikes, c.hops), (6, 2, 2, 1, 2 + 27 + 1));
    assert_eq!((c.synaptic_ops, c.neuron_accesses, c.merged_spikes, c.v_clips), (2, 12, 0, 0));
    let cores: Vec<_> = c.per_core.iter().map(|c| (c.core, c.messages_in, c.messages_out, c.synaptic_ops, c.neuron_spikes)).collect();
    assert_eq!(cores, [(1, 1, 1, 1, 1), (18, 1, 1, 1, 1)]);
}

#[test]
fn an_axon_is_active_once() {
    let target = chip(8, 4);
    let mut c = core(&target, 0);
    for k in 0..2 {
        c.neurons[k] = CrossbarRow { destination: to(0, 0, 4, 0), ..row(&[0], [1; 4], 1) };
    }
    c.neurons[2] = CrossbarRow { destination: to(0, BUS, 0, 0), ..row(&[4], [3, 0, 0, 0], 100) };
    let b = bundle(&target, &[c], vec![vec![place(0, 0), place(0, 0)]], vec![], vec![population("o", 0, &[place(0, 2)])]);
    let run = boot(&b).run(&spikes(1, &[&[0], &[], &[]]), &all()).unwrap();
    assert_eq!(run.output_potentials, [[0], [3], [3]]);
    // The host's second packet, and the second neuron's.
    assert_eq!((run.counters.merged_spikes, run.counters.messages, run.counters.host_spikes), (2, 2, 2));
}

/// A neuron of two destinations stands twice; an output stands first on the bus and again for its axon.
#[test]
fn places_of_one_neuron_spike_together() {
    let target = chip(8, 4);
    let mut c = core(&target, 0);
    let twice = row(&[0], [2, 0, 0, 0], 4);
    c.neurons[0] = CrossbarRow { destination: to(0, BUS, 0, 0), ..twice.clone() };
    c.neurons[3] = CrossbarRow { destination: to(0, 0, 1, 0), ..twice };
    c.neurons[1] = CrossbarRow { destination: to(0, BUS, 1, 0), ..row(&[1], [1; 4], 1) };
    let mut o = population("o", 0, &[place(0, 0), place(0, 1)]);
    o.copies = vec![(0, place(0, 3))];
    let run = boot(&bundle(&target, &[c], vec![vec![place(0, 0)]], vec![], vec![o])).run(&spikes(1, &[&[0], &[0], &[0]]), &all()).unwrap();
    assert_eq!(run.spikes.iter().map(|e| (e.step, e.neuron)).collect::<Vec<_>>(), [(1, 0), (2, 1)]);
    let copies: Vec<_> = run.copy_spikes.iter().map(|c| (c.spike.step, c.spike.neuron, c.core, c.compartment)).collect();
    assert_eq!(copies, [(1, 0, 0, 3)]);
    assert_eq!((run.out_counts, run.counters.neuron_spikes), (vec![1, 1], 3));
}

#[test]
fn the_host_sends_a_channel_later_too() {
    let target = chip(8, 4);
    let mut c = core(&target, 0);
    c.types[1] = 1;
    c.neurons[0] = CrossbarRow { destination: to(0, BUS, 0, 0), ..row(&[0, 1], [1, 10, 0, 0], 100) };
    let later = |channel, axon, delay_steps| Injection { from: Origin::Channel(channel), to: place(0, axon), delay_steps };
    let injections = vec![later(0, 1, 2), later(1, 0, 0), later(1, 1, 40)];
    let mut b = bundle(&target, &[c], vec![vec![place(0, 0)], vec![]], injections, vec![population("o", 0, &[place(0, 0)])]);
    let run = boot(&b).run(&spikes(2, &[&[0], &[1], &[0], &[], &[0]]), &all()).unwrap();
    assert_eq!(run.output_potentials.concat(), [1, 2, 13, 13, 24]);
    assert_eq!(run.counters.host_spikes, 1 + 1 + 2 + 2);
    b.host.injections[0].from = Origin::Neuron(place(0, 0));
    let error = spikec_sim::Machine::boot(b.loadable()).unwrap_err();
    assert!(error.to_string().contains("injections 0: spikes of neurons are not sent back"), "{error}");
}

#[test]
fn a_channel_spikes_once_in_a_step() {
    let machine = boot(&chain(0));
    let twice = spikes(1, &[&[], &[0, 0]]);
    let refused = RunError::RepeatedSpike { channel: 0, times: 2, step: 1 };
    assert_eq!(machine.run(&twice, &all()).unwrap_err(), refused);
    let batch = machine.run_batch(&[spikes(1, &[&[0]]), twice], &all(), &|| {}).unwrap_err();
    assert_eq!(batch, RunError::InSample { sample: 1, error: Box::new(refused) });
}

#[test]
fn probes_watches_and_what_the_family_lacks() {
    let machine = boot(&chain(0));
    let options = RunOptions {
        probes: vec![Probe { population: 1, neuron: 0 }, Probe { population: 0, neuron: 0 }],
        watch: vec![(18, 3), (1, 0)],
        ..RunOptions::default()
    };
    let run = machine.run(&spikes(1, &[&[0], &[]]), &options).unwrap();
    assert_eq!(run.probe_potentials, [[0, 0], [0, 0]]);
    let of = |core| run.watched.iter().filter(|w| w.core == core).map(|w| (w.input, w.v, w.fired)).collect::<Vec<_>>();
    assert_eq!(of(18), [(0, 0, false), (1, 0, true), (0, 0, false)]);
    assert_eq!(of(1), [(0, 0, false); 3]);
    let wave = machine.run_wave(&spikes(1, &[&[0]]), &RunOptions::default(), &[1]).unwrap_err();
    assert!(wave.to_string().contains("a waveform") && wave.to_string().contains("Crossbar") && !wave.hint().is_empty());
    assert!(matches!(machine.bias_changes(None, 3), Err(RunError::NotInFamily { .. })));
    assert!(spikec_sim::Arithmetic::new(&chip(8, 4)).is_err());
    let unknown = RunOptions { watch: vec![(1, 4)], ..RunOptions::default() };
    assert!(machine.run(&spikes(1, &[&[0]]), &unknown).unwrap_err().to_string().contains("compartments 0 to 3"));
}

#[test]
fn utilization_is_counted_from_the_bits() {
    let machine = boot(&chain(0));
    let used = machine.utilization();
    assert_eq!(used.iter().map(|u| u.core).collect::<Vec<_>>(), [1, 18]);
    assert_eq!(used[1].resources, [("neuron_rows", 1, 4), ("axons", 1, 8), ("connections", 1, 32)]);
    assert_eq!(machine.family(), "Crossbar");
}

#[test]
fn batches_equal_single_runs_on_any_number_of_threads() {
    let machine = boot(&chain(2));
    let samples: Vec<Stimulus> = (0..40u32).map(|k| spikes(1, &[if k % 3 == 0 { &[0] } else { &[] }, &[], &[0]])).collect();
    let single: Vec<SampleRun> = samples.iter().map(|s| machine.run(s, &all()).unwrap()).collect();
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let batch = pool.install(|| machine.run_batch(&samples, &all(), &|| {})).unwrap();
        assert_eq!(batch.samples, single);
    }
}

#[test]
fn a_decision_ends_a_run_early() {
    let machine = boot(&chain(0));
    let options = RunOptions { until_decision: true, curve: true, ..RunOptions::default() };
    let run = machine.run(&spikes(1, &[&[0], &[], &[]]), &options).unwrap();
    // One output: its class is settled from the start.
    assert_eq!((run.decided_after, run.counters.chip_steps, run.curve), (Some(1), 2, vec![0]));
}
