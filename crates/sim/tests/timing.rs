//! Times and energies: reference points of another simulator, sums counted by hand, and what holds at every level.
#![allow(missing_docs, reason = "a test binary")]

mod common;

use common::*;
use proptest::prelude::*;
use spikec_chip::CoreTables;
use spikec_chip::bundle::{BiasWrite, Bundle, Place};
use spikec_chip::image::SynapseFormat;
use spikec_chip::target::{Compression, Flush};
use spikec_data::Stimulus;
use spikec_sim::timing::{Bound, Energy, Events, LayerKind, Level};
use spikec_sim::{BatchRun, Machine, Record, RunOptions, SampleRun};

const NEVER: u32 = (1 << 17) - 1;

fn timed(bundle: &Bundle, level: Level) -> Machine {
    Machine::boot_timed(bundle.loadable(), level).unwrap()
}

fn run(bundle: &Bundle, level: Level, sample: &Stimulus) -> SampleRun {
    timed(bundle, level).run(sample, &RunOptions::default()).unwrap()
}

/// `sources` neurons on core 0 that fire in step 0, each with dense synapses to all of the `fan` neurons on each of cores 1 ..= `k`;
/// these have a bias, so that they are active, and never fire.
fn all_to_all(sources: usize, k: usize, fan: usize) -> Bundle {
    let keep = profile(4096, 0, 1);
    let mut source = core(0, &vec![(keep, 1); sources]);
    let mut destinations: Vec<CoreTables> = Vec::new();
    let mut to = vec![Vec::new(); sources];
    for d in 1..=k as u32 {
        let mut table = core(d, &vec![(keep, NEVER); fan]);
        table.formats = vec![SynapseFormat { compression: Compression::Dense, ..SPARSE }];
        let list: Vec<_> = (0..fan as u16).map(|c| synapse(c, 2, 0)).collect();
        for places in &mut to {
            places.push(place(d, axon(&mut table, 0, &list)));
        }
        destinations.push(table);
    }
    for (index, to) in to.iter().enumerate() {
        sends(&mut source, index, to);
    }
    let places = |core: u32, n: usize| (0..n as u16).map(|i| place(core, i)).collect::<Vec<Place>>();
    let mut populations = vec![population("sources", 0, &places(0, sources))];
    populations.extend((1..=k as u32).map(|d| population(&format!("d{d}"), 0, &places(d, fan))));
    let mut cores = vec![source];
    cores.extend(destinations);
    let mut bundle = bundle(&cores, Vec::new(), populations);
    let bias = |place, mantissa| BiasWrite { chip_step: 0, place, mantissa, exponent: 0 };
    bundle.host.bias_writes.extend(places(0, sources).into_iter().map(|p| bias(p, 65)));
    for d in 1..=k as u32 {
        bundle.host.bias_writes.extend(places(d, fan).into_iter().map(|p| bias(p, 1)));
    }
    bundle
}

fn one_step(bundle: &Bundle, level: Level) -> SampleRun {
    let options = RunOptions { steps: Some(1), ..RunOptions::default() };
    timed(bundle, level).run(&spikes(0, &[&[]]), &options).unwrap()
}

/// (sources, cores, fan) and the seconds of SANA-FE 2.2.9's `simple` and `cycle` (docs/timing.md, section 5).
const POINTS: [((usize, usize, usize), f64, f64); 8] = [
    ((1, 1, 1), 6.448e-7, 6.690e-7),
    ((1, 1, 64), 1.2208e-6, 1.484e-6),
    ((64, 1, 1), 3.4672e-6, 3.504e-6),
    ((64, 1, 64), 1.71888e-5, 1.7225e-5),
    ((256, 1, 64), 6.69552e-5, 6.6953e-5),
    ((64, 8, 16), 6.152e-6, 6.209e-6),
    ((64, 32, 4), 1.43856e-5, 1.4247e-5),
    ((1024, 1, 1), 4.64752e-5, 4.6704e-5),
];

#[test]
fn analytic_times_are_those_of_the_reference_points() {
    for ((n, k, fan), simple, _) in POINTS {
        let bundle = all_to_all(n, k, fan);
        let step = one_step(&bundle, Level::Analytic).timing.unwrap().steps[0];
        let seconds = step.time_ps as f64 * 1e-12;
        println!("({n}, {k}, {fan}): analytic {} ps, reference {simple:e} s", step.time_ps);
        assert!((seconds / simple - 1.0).abs() < 1e-3, "({n}, {k}, {fan}): {seconds:e} instead of {simple:e}");
    }
}

#[test]
fn cycle_times_are_near_those_of_the_reference_points() {
    for ((n, k, fan), _, cycle) in POINTS {
        let mut bundle = all_to_all(n, k, fan);
        let step = one_step(&bundle, Level::Cycle).timing.unwrap().steps[0];
        let seconds = step.time_ps as f64 * 1e-12;
        assert!((seconds / cycle - 1.0).abs() < 0.1, "({n}, {k}, {fan}): {seconds:e} instead of {cycle:e}");
        // Flushing along with the update is never slower.
        bundle.target.topology.flush.value = Flush::WithUpdate;
        let with = one_step(&bundle, Level::Cycle).timing.unwrap().steps[0].time_ps;
        assert!(with <= step.time_ps);
        let percent = |s: f64| 100.0 * (s / cycle - 1.0);
        bundle.target.topology.flush.value = Flush::AfterUpdate;
        ungroup(&mut bundle);
        let single = percent(one_step(&bundle, Level::Cycle).timing.unwrap().steps[0].time_ps as f64 * 1e-12);
        println!("({n}, {k}, {fan}) one by one: {single:+.2} %");
        let (after, with) = (percent(seconds), percent(with as f64 * 1e-12));
        println!("({n}, {k}, {fan}): {seconds:.4e} s, reference {cycle:.4e} s, {after:+.2} % ({with:+.2} % with WithUpdate)");
    }
}

/// Compartments are updated one by one.
fn ungroup(bundle: &mut Bundle) {
    let p = bundle.target.packed_mut();
    p.core.update_group.value = 1;
}

/// Nanoseconds of SANA-FE 2.2.9's `cycle` for n messages to 64 active neurons of another core: what tells the rules of the flush apart.
const FLUSH: [(usize, f64); 7] = [(1, 1484.0), (2, 1698.0), (3, 1912.0), (4, 2126.0), (8, 2982.0), (16, 4793.0), (32, 8937.0)];

#[test]
fn the_flush_follows_the_last_update() {
    for (n, cycle) in FLUSH {
        let mut bundle = all_to_all(n, 1, 64);
        let after = one_step(&bundle, Level::Cycle).timing.unwrap().steps[0].time_ps as f64 * 1e-3;
        bundle.target.topology.flush.value = Flush::WithUpdate;
        let with = one_step(&bundle, Level::Cycle).timing.unwrap().steps[0].time_ps as f64 * 1e-3;
        // Compartments one by one instead of in groups of four: what is left is the rule itself.
        bundle.target.topology.flush.value = Flush::AfterUpdate;
        ungroup(&mut bundle);
        let single = one_step(&bundle, Level::Cycle).timing.unwrap().steps[0].time_ps as f64 * 1e-3;
        let percent = |ns: f64| 100.0 * (ns / cycle - 1.0);
        println!(
            "n {n}: {after:.1} ns ({:+.2} %), one by one {single:.1} ns ({:+.2} %), with the update {with:.1} ns ({:+.2} %)",
            percent(after),
            percent(single),
            percent(with)
        );
        assert!(percent(after).abs() < 6.0, "n {n}: {after} ns instead of {cycle}");
        assert!(percent(single).abs() < 0.5, "n {n}: {single} ns instead of {cycle}");
    }
}

#[test]
fn one_spike_takes_the_sum_of_its_way() {
    let timing = one_step(&all_to_all(1, 1, 1), Level::Cycle).timing.unwrap();
    // 6 + 3.7 + 30 + 5.1 to make it, 2 * 2.2 through the router, 16 + 3.8 to read it; the barrier of one tile is 600 ns.
    assert_eq!(timing.steps[0].time_ps, 44_800 + 4400 + 19_800 + 600_000);
    assert_eq!((timing.steps[0].bound, timing.steps[0].barrier_ps), (Bound::Barrier, 600_000));
    // Clearing and writing two biases: four writes of 21.1 ns, shown apart.
    assert_eq!((timing.host_write_ps, timing.load_ps, timing.time_ps), (4 * 21_100, 0, timing.steps[0].time_ps));
}

#[test]
fn energy_is_counts_times_the_table() {
    let run = one_step(&all_to_all(3, 2, 5), Level::Analytic);
    let events = run.timing.unwrap().events;
    let expected = Events {
        neuron_accesses: 13,
        neuron_updates: 13,
        neuron_spikes: 3,
        messages_out: 6,
        host_messages: 0,
        messages_in: 6,
        synapses_dense: 30,
        synapses_sparse: 0,
        synapses_conv: 0,
        hops_x: 0,
        hops_y: 0,
        hops_chip: 0,
        host_writes: 26,
    };
    assert_eq!(events, expected);
    let target = spikec_chip::find("loihi1").unwrap();
    let energy = Energy::of(&events, &target);
    let near = |a: f64, b: f64| (a - b).abs() < 1e-9 * b.max(1.0);
    assert!(near(energy.neurons_pj, 13.0 * (51.2 + 21.6) + 3.0 * 69.3));
    assert!(near(energy.synapses_pj, 30.0 * 35.5) && near(energy.axons_pj, 6.0 * 111.0));
    assert!(near(energy.host_writes_pj, 26.0 * 111.0) && near(energy.mesh_pj, 0.0));
    assert!(near(energy.chip_pj(), energy.neurons_pj + energy.synapses_pj + energy.axons_pj));
}

/// Input channels 0 .. 8 to neurons on two cores of different tiles, those to an output on a third; delays, decays, refractory.
fn small_net() -> (Bundle, Stimulus) {
    let mut a = core(3, &[(profile(2048, 300, 1), 40), (profile(4096, 0, 3), 20), (profile(4096, 64, 1), 60)]);
    let mut b = core(42, &[(profile(4096, 0, 1), 30), (profile(1000, 10, 2), 50)]);
    let mut out = core(77, &[(profile(4096, 100, 1), 25), (profile(4096, 100, 1), 25)]);
    for table in [&mut a, &mut b, &mut out] {
        table.delay_bits = 3;
        table.formats.push(SynapseFormat { delay_bits: 3, ..SPARSE });
        table.formats.push(SynapseFormat { compression: Compression::Dense, delay_bits: 3, ..SPARSE });
    }
    let mut inputs = vec![Vec::new(); 8];
    for (channel, to) in inputs.iter_mut().enumerate() {
        let weight = 20 + 4 * channel as i16;
        let list = [synapse(0, weight, 0), synapse(1, weight, (channel % 3) as u8), synapse(2, -weight, 0)];
        to.push(place(3, axon(&mut a, 2, &list)));
        if channel % 2 == 0 {
            to.push(place(
                42,
                axon(
                    &mut b,
                    1,
                    &[synapse(1, 60, 1), synapse(0, 40, 0)].map(|mut s| {
                        s.index = 1 - s.index;
                        s
                    }),
                ),
            ));
        }
    }
    for index in 0..3 {
        let mut to = vec![place(77, axon(&mut out, 1, &[synapse(0, 24, 0), synapse(1, 30, 2)]))];
        if index == 1 {
            to.push(place(3, axon(&mut a, 1, &[synapse(2, 80, 0)])));
            to.push(place(42, axon(&mut b, 2, &[synapse(0, 2, 0), synapse(1, 0, 0)])));
        }
        sends(&mut a, index, &to);
    }
    for index in 0..2 {
        sends(&mut b, index, &[place(77, axon(&mut out, 2, &[synapse(0, 12, 0), synapse(1, 14, 0)]))]);
    }
    let at = |core: u32, n: u16| (0..n).map(move |i| place(core, i));
    let hidden: Vec<Place> = at(3, 3).chain(at(42, 2)).collect();
    let output: Vec<Place> = at(77, 2).collect();
    let bundle = bundle(&[a, b, out], inputs, vec![population("hidden", 0, &hidden), population("output", 1, &output)]);
    let steps: Vec<Vec<u32>> = (0..20u32).map(|t| (0..8).filter(|c| (t * 7 + c * 5) % 4 == 0).collect()).collect();
    let refs: Vec<&[u32]> = steps.iter().map(Vec::as_slice).collect();
    (bundle, spikes(8, &refs))
}

fn spikes_of(run: &SampleRun) -> (Vec<u32>, Vec<Option<u32>>, Vec<f64>, u32, spikec_sim::Counters) {
    (run.out_counts.clone(), run.first_spike.clone(), run.potentials.clone(), run.prediction, run.counters.clone())
}

#[test]
fn every_level_has_the_same_spikes() {
    let (bundle, sample) = small_net();
    let options = RunOptions { record: Record { spikes: true, potentials: true, ..Record::default() }, ..RunOptions::default() };
    let runs = [Level::None, Level::Analytic, Level::Cycle].map(|level| timed(&bundle, level).run(&sample, &options).unwrap());
    assert!(runs[0].spikes.len() > 20);
    for run in &runs[1..] {
        assert_eq!(spikes_of(run), spikes_of(&runs[0]));
        assert_eq!((&run.spikes, &run.output_potentials), (&runs[0].spikes, &runs[0].output_potentials));
    }
    assert!(runs[0].timing.is_none());
    // Both timed levels count the same events, and the mesh only adds time.
    let (analytic, cycle) = (runs[1].timing.as_ref().unwrap(), runs[2].timing.as_ref().unwrap());
    assert_eq!(analytic.events, cycle.events);
    for (a, c) in analytic.steps.iter().zip(&cycle.steps) {
        assert!(c.time_ps >= a.time_ps);
        assert_eq!((a.generation_ps, a.processing_ps, a.link_ps), (c.generation_ps, c.processing_ps, c.link_ps));
    }
}

#[test]
fn events_agree_with_the_counters() {
    let (bundle, sample) = small_net();
    let run = run(&bundle, Level::Cycle, &sample);
    let (events, c) = (run.timing.as_ref().unwrap().events, &run.counters);
    assert_eq!(events.messages_out, c.messages);
    assert_eq!(events.host_messages, c.host_spikes);
    assert_eq!(events.synapses_dense + events.synapses_sparse + events.synapses_conv, c.synaptic_ops);
    assert_eq!(events.hops_x + events.hops_y + events.hops_chip, c.hops);
    assert_eq!((events.neuron_accesses, events.neuron_spikes), (c.neuron_accesses, c.neuron_spikes));
    assert_eq!(events.host_writes, c.host_writes + 7);
    assert!(events.neuron_updates < events.neuron_accesses && events.neuron_updates > 0);
}

fn batch(bundle: &Bundle, level: Level, samples: &[Stimulus], record: Record) -> BatchRun {
    timed(bundle, level).run_batch(samples, &RunOptions { record, ..RunOptions::default() }, &|| {}).unwrap()
}

#[test]
fn cores_layers_steps_and_links_add_up() {
    let (bundle, sample) = small_net();
    let record = Record { core_steps: true, messages: true, ..Record::default() };
    for level in [Level::Analytic, Level::Cycle] {
        let batch = batch(&bundle, level, &[sample.clone(), sample.clone()], record);
        let timing = batch.timing.as_ref().unwrap();
        let one = batch.samples[0].timing.as_ref().unwrap();
        assert_eq!(Some(one), batch.samples[1].timing.as_ref());
        assert_eq!(timing.time_ps, 2 * one.time_ps);
        assert_eq!(one.time_ps, one.load_ps + one.steps.iter().map(|s| s.time_ps).sum::<u64>());
        let sum = |list: &mut dyn Iterator<Item = Events>| {
            let mut total = Events::default();
            list.for_each(|e| total += e);
            total
        };
        assert_eq!(sum(&mut timing.layers.iter().map(|l| l.events)), timing.events);
        let cores = sum(&mut timing.cores.iter().map(|c| c.events));
        // What the host sends and writes belongs to no core.
        let host = timing.layers.iter().find(|l| l.kind == LayerKind::Host).unwrap().events;
        let others = Events { messages_in: 0, synapses_dense: 0, synapses_sparse: 0, synapses_conv: 0, ..host };
        assert_eq!(sum(&mut [cores, others].into_iter()), timing.events);
        let links: u64 = timing.links.iter().map(|l| l.messages).sum();
        assert_eq!(links, timing.events.hops_x + timing.events.hops_y);
        assert_eq!(timing.bounds.iter().map(|b| b.0).sum::<u64>(), 2 * one.steps.len() as u64);
        // Recordings add up to the same.
        let run = &batch.samples[0];
        assert_eq!(run.messages.len() as u64, one.events.messages_in);
        assert_eq!(run.messages.iter().map(|m| u64::from(m.synapses)).sum::<u64>(), run.counters.synaptic_ops);
        assert_eq!(run.core_steps.iter().map(|c| u64::from(c.updates)).sum::<u64>(), one.events.neuron_updates);
        if level == Level::Cycle {
            assert!(run.messages.iter().all(|m| m.done_ps > m.sent_ps && m.sent_ps > 0));
        }
    }
}

#[test]
fn a_step_takes_at_least_its_busiest_core_and_the_barrier() {
    let (bundle, sample) = small_net();
    for level in [Level::Analytic, Level::Cycle] {
        for step in run(&bundle, level, &sample).timing.unwrap().steps {
            assert!(step.time_ps >= step.generation_ps.max(step.processing_ps).max(step.host_ps) + step.barrier_ps);
        }
    }
}

#[test]
fn an_input_that_cancels_still_makes_a_compartment_active() {
    let mut a = core(0, &[(profile(4096, 0, 1), 100); 4]);
    let inputs = [(0, 10), (0, -10), (1, 0)]
        .map(|(compartment, weight)| vec![place(0, axon(&mut a, 0, &[synapse(compartment, weight, 0)]))])
        .to_vec();
    let bundle = bundle(&[a], inputs, vec![population("p", 0, &[place(0, 0), place(0, 1), place(0, 2), place(0, 3)])]);
    let run = run(&bundle, Level::Analytic, &spikes(3, &[&[0, 1, 2], &[], &[0], &[]]));
    let active: Vec<u64> = run.timing.unwrap().steps.iter().map(|s| s.events.neuron_updates).collect();
    // Two compartments are reached in step 0, none in step 1, one in step 2, which then holds a potential.
    assert_eq!(active, [2, 0, 1, 1]);
}

#[test]
fn host_spikes_are_sent_a_step_ahead() {
    let mut a = core(0, &[(profile(4096, 0, 1), 1000)]);
    let inputs = vec![vec![place(0, axon(&mut a, 0, &[synapse(0, 2, 0)]))]; 1];
    let bundle = bundle(&[a], inputs, vec![population("p", 0, &[place(0, 0)])]);
    let timing = run(&bundle, Level::Analytic, &spikes(1, &[&[0], &[], &[0]])).timing.unwrap();
    // Before the first step: one message of 5.1 ns against 16 + 4.7 ns at its receiver, and a barrier.
    assert_eq!(timing.load_ps, 20_700 + 600_000);
    assert_eq!(timing.steps.iter().map(|s| s.events.host_messages).collect::<Vec<_>>(), [0, 1, 0]);
    // With a hop of one step the host sends in the step itself.
    let mut hop = bundle;
    hop.target.topology.input_hop_steps.value = 1;
    let timing = run(&hop, Level::Analytic, &spikes(1, &[&[0], &[], &[0]])).timing.unwrap();
    assert_eq!((timing.load_ps, timing.steps.iter().map(|s| s.events.host_messages).collect::<Vec<_>>()), (0, vec![1, 0, 1]));
}

#[test]
fn threads_and_neighbours_change_nothing() {
    let (bundle, sample) = small_net();
    let samples: Vec<Stimulus> = (0..5).map(|_| sample.clone()).collect();
    let record = Record { core_steps: true, messages: true, ..Record::default() };
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let one = pool(1).install(|| batch(&bundle, Level::Cycle, &samples, record));
    assert_eq!(pool(4).install(|| batch(&bundle, Level::Cycle, &samples, record)), one);
    assert_eq!(timed(&bundle, Level::Cycle).run(&sample, &RunOptions { record, ..RunOptions::default() }).unwrap(), one.samples[4]);
}

#[test]
fn waveforms_follow_the_messages() {
    let (bundle, sample) = small_net();
    let machine = timed(&bundle, Level::Cycle);
    let (run, wave) = machine.run_wave(&sample, &RunOptions::default(), &[77, 3]).unwrap();
    assert_eq!(run, machine.run(&sample, &RunOptions::default()).unwrap(), "watching changes nothing");
    let changes = wave.changes();
    assert!(changes.is_sorted_by_key(|c| c.time_ps));
    let last = |core, signal| changes.iter().rev().find(|c| (c.core, c.signal) == (core, signal)).unwrap().value;
    let timing = run.timing.unwrap();
    let into_77 = run.counters.per_core.iter().find(|c| c.core == 77).unwrap().messages_in;
    let from_3 = run.counters.per_core.iter().find(|c| c.core == 3).unwrap().messages_out;
    use spikec_sim::timing::Signal;
    assert_eq!(last(0, Signal::Received), into_77 as i64);
    assert_eq!(last(1, Signal::Sent), from_3 as i64);
    assert_eq!((last(0, Signal::Queue), last(0, Signal::Receive), last(0, Signal::Barrier)), (0, 0, 0));
    assert_eq!(changes.last().unwrap().time_ps, timing.time_ps);
    assert!(machine.run_wave(&sample, &RunOptions::default(), &[4]).is_err());
    assert!(timed(&bundle, Level::Analytic).run_wave(&sample, &RunOptions::default(), &[3]).is_err());
}

#[test]
fn a_decision_ends_a_run_early_and_stays() {
    let (bundle, sample) = small_net();
    let machine = timed(&bundle, Level::Analytic);
    let whole = machine.run(&sample, &RunOptions { curve: true, ..RunOptions::default() }).unwrap();
    let early = machine.run(&sample, &RunOptions { until_decision: true, ..RunOptions::default() }).unwrap();
    assert_eq!(early.prediction, whole.prediction);
    let after = early.decided_after.unwrap();
    assert!(after <= whole.steps && early.counters.chip_steps == u64::from(after) + 1);
    assert_eq!(whole.curve.len(), 20);
    assert!(whole.curve[after as usize - 1..].iter().all(|&p| p == whole.prediction));
    assert!(early.timing.unwrap().time_ps <= whole.timing.unwrap().time_ps);
}

#[test]
fn recordings_need_their_level() {
    let (bundle, sample) = small_net();
    for record in [Record { core_steps: true, ..Record::default() }, Record { messages: true, ..Record::default() }] {
        let error = timed(&bundle, Level::None).run(&sample, &RunOptions { record, ..RunOptions::default() }).unwrap_err();
        assert!(error.hint().contains("--timing"), "{error}: {}", error.hint());
    }
}

#[test]
fn times_that_add_up_to_too_much_are_refused() {
    type Change = fn(&mut spikec_chip::Target);
    fn ns(t: &mut spikec_chip::Target) -> &mut spikec_chip::target::TimingNs {
        let p = t.packed_mut();
        &mut p.timing_ns
    }
    let cases: [(Change, Level, &str); 5] = [
        (|t| ns(t).synapse_dense.value = 1e9, Level::Analytic, "synapse times"),
        (|t| ns(t).neuron_access.value = 1e9, Level::Analytic, "neuron_access"),
        (|t| ns(t).host_spike.value = 1e9, Level::Cycle, "host_spike"),
        (|t| (ns(t).link_flit.value, t.topology.flits_per_spike.value) = (1e9, 1024), Level::Cycle, "link_flit"),
        (|t| ns(t).hop_chip.value = 1e9, Level::Cycle, "hop_chip"),
    ];
    for (change, level, key) in cases {
        let (mut bundle, _) = small_net();
        change(&mut bundle.target);
        let error = Machine::boot_timed(bundle.loadable(), level).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(key) && error.hint().contains("smaller times"), "{error}");
        // Level none reads no time, and analytic none of the mesh.
        assert!(Machine::boot(bundle.loadable()).is_ok());
        assert!(level == Level::Analytic || key == "host_spike" || Machine::boot_timed(bundle.loadable(), Level::Analytic).is_ok());
    }
}

#[test]
fn a_batch_longer_than_its_counters_is_refused() {
    let (mut bundle, sample) = small_net();
    let p = bundle.target.packed_mut();
    // The busiest core has three compartments of 0.3 s each: a million steps take 9e17 ps.
    p.timing_ns.neuron_access.value = 3e8;
    let machine = timed(&bundle, Level::Analytic);
    let options = RunOptions { steps: Some(1_000_000), ..RunOptions::default() };
    assert!(machine.run(&sample, &options).is_ok());
    let samples = vec![sample; 11];
    assert_eq!(machine.run_batch(&samples, &options, &|| {}).unwrap_err(), spikec_sim::RunError::RunTooLong);
}

#[test]
fn far_cores_talk_over_many_hops() {
    let mut cores: Vec<CoreTables> = [0, 1000, 2047].map(|c| core(c, &[(profile(4096, 0, 1), 1)])).to_vec();
    let mut axons = Vec::new();
    for table in &mut cores {
        axons.push(axon(table, 0, &[synapse(0, 2, 0)]));
    }
    sends(&mut cores[0], 0, &[place(2047, axons[2])]);
    let mut target = spikec_chip::find("loihi1").unwrap();
    target.topology.width.value = 64;
    target.topology.height.value = 8;
    let bundle = bundle_for(target, &cores, vec![vec![place(0, axons[0])]], vec![population("p", 0, &[place(2047, 0)])]);
    let timing = run(&bundle, Level::Cycle, &spikes(1, &[&[0], &[]])).timing.unwrap();
    // One way of 63 hops in x and 7 in y.
    assert_eq!(timing.events.hops_x + timing.events.hops_y, 70);
    let way = 6000 + 3700 + 30_000 + 5100 + 4400 + 63 * 4100 + 7 * 6500 + 20_700;
    assert_eq!(timing.steps[0].time_ps - timing.steps[0].barrier_ps, way);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Moving cores to other places of the mesh changes times, never spikes; renumbering within a router changes nothing at all.
    #[test]
    fn places_change_times_only(seed in 0u32..8, swap in any::<bool>()) {
        let (bundle, sample) = small_net();
        let base = run(&bundle, Level::Cycle, &sample);
        let moved = remap(&bundle, |core| if swap { core } else { (core / 4 + seed) % 32 * 4 + core % 4 });
        let other = run(&moved, Level::Cycle, &sample);
        prop_assert_eq!(&other.out_counts, &base.out_counts);
        prop_assert_eq!(other.counters.synaptic_ops, base.counters.synaptic_ops);
        let rotated = remap(&bundle, |core| core / 4 * 4 + (core + seed) % 4);
        let other = run(&rotated, Level::Cycle, &sample);
        let times = |r: &SampleRun| r.timing.as_ref().unwrap().steps.iter().map(|s| (s.time_ps, s.events)).collect::<Vec<_>>();
        prop_assert_eq!(times(&other), times(&base));
    }
}

/// The bundle with every core at another place.
fn remap(bundle: &Bundle, to: impl Fn(u32) -> u32) -> Bundle {
    let mut b = bundle.clone();
    let target = b.target.clone();
    let image = b.image.packed_mut();
    let mut cores: Vec<_> = image
        .cores
        .iter()
        .map(|c| {
            let mut tables = spikec_chip::decode_core(c, &target).unwrap();
            tables.core = to(tables.core);
            tables.out_axons.iter_mut().for_each(|o| o.core = to(o.core));
            tables
        })
        .collect();
    cores.sort_by_key(|c| c.core);
    image.cores = cores.iter().map(|c| spikec_chip::encode_core(c, &target).unwrap()).collect();
    b.host.input_axons.iter_mut().flatten().for_each(|p| p.core = to(p.core));
    b.host.decoder.outputs.iter_mut().flatten().for_each(|p| p.core = to(p.core));
    b.symbols.populations.iter_mut().flat_map(|p| &mut p.neurons).for_each(|n| n.1.core = to(n.1.core));
    b
}
