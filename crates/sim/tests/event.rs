//! Event crossbars by hand: docs/semantics.md, section 11, line by line; and tinyODIN's cycles.

mod common;

use common::event::{bundle, core, neuron, spec, weights};
use common::{boot, place, population, spikes};
use spikec_chip::bundle::{Bundle, Injection, Origin, Place};
use spikec_chip::event::EventTables;
use spikec_chip::target::Target;
use spikec_data::Stimulus;
use spikec_sim::timing::{Bound, LayerKind};
use spikec_sim::{Energy, Level, Machine, Probe, Record, RunError, RunOptions, SampleRun};

fn tinyodin() -> Target {
    spikec_chip::find("tinyodin").unwrap()
}

fn all() -> RunOptions {
    RunOptions { record: Record { spikes: true, potentials: true, ..Record::default() }, ..RunOptions::default() }
}

fn row(k: u16) -> Place {
    place(0, k)
}

/// `inputs` channels enter rows 0 .. of their number; the neurons 0 .. `outputs` are the output population.
fn chip(target: &Target, tables: &EventTables, inputs: u16, outputs: u16, injections: Vec<Injection>) -> Bundle {
    let places: Vec<Place> = (0..outputs).map(row).collect();
    bundle(target, tables, (0..inputs).map(|k| vec![row(k)]).collect(), injections, vec![population("o", 0, &places)])
}

fn run(bundle: &Bundle, steps: &[&[u32]]) -> SampleRun {
    boot(bundle).run(&spikes(bundle.host.input_width, steps), &all()).unwrap()
}

/// (step, neuron) of recorded spikes.
fn fired(run: &SampleRun) -> Vec<(u32, u32)> {
    run.spikes.iter().map(|e| (e.step, e.neuron)).collect()
}

#[test]
fn a_neuron_fires_at_every_event_that_reaches_its_threshold() {
    let target = tinyodin();
    let mut t = core(&target);
    neuron(&mut t, 0, 6, 2);
    weights(&mut t, &[(0, 0, 4), (1, 0, 7), (2, 0, -5)]);
    let r = run(&chip(&target, &t, 3, 1, vec![]), &[&[0], &[0, 1], &[1, 1, 1], &[2], &[], &[0, 2], &[]]);
    // 4 leaks to 2; 2 + 4 fires, 7 fires; three times 7; -5 leaks to -3, -1; -1 + 4 - 5 = -2, 0 after the leak.
    assert_eq!(r.output_potentials.concat(), [2, 0, 0, -3, -1, 0, 0]);
    assert_eq!(fired(&r), [(1, 0), (1, 0), (2, 0), (2, 0), (2, 0)]);
    assert_eq!((r.out_counts, r.first_spike, r.counters.neuron_spikes), (vec![5], vec![Some(1)], 5));
    assert_eq!((r.counters.host_spikes, r.counters.synaptic_ops, r.counters.neuron_accesses), (9, 9 * 256, 7 * 256));
}

#[test]
fn events_come_in_ascending_order_of_rows() {
    let target = tinyodin();
    let mut t = core(&target);
    // Row 0 first: -5 then 5, no spike. Row 1 first would be 10 >= 8.
    neuron(&mut t, 0, 8, 0);
    weights(&mut t, &[(0, 0, -5), (1, 0, 7), (2, 0, 3)]);
    let mut b = chip(&target, &t, 3, 1, vec![]);
    b.host.input_axons = vec![vec![row(1)], vec![row(2), row(0)]];
    b.host.input_width = 2;
    let r = run(&b, &[&[0, 1], &[]]);
    assert_eq!((r.output_potentials.concat(), r.out_counts), (vec![5, 5], vec![0]));
}

#[test]
fn potentials_are_clipped_and_leaks_stop_at_zero() {
    let target = tinyodin();
    let mut t = core(&target);
    neuron(&mut t, 0, 4095, 100);
    neuron(&mut t, 1, 4095, 1);
    weights(&mut t, &[(0, 0, -8), (0, 1, 7), (1, 1, 1)]);
    let often = vec![0; 300];
    let r = run(&chip(&target, &t, 2, 2, vec![]), &[&often, &[1], &[], &[]]);
    // -2400 is clipped to -2048 from the 257th event on; 2100 to 2047 from the 293rd.
    assert_eq!(r.counters.v_clips, 44 + 8);
    assert_eq!(r.output_potentials, [[-1948, 2046], [-1848, 2046], [-1748, 2045], [-1648, 2044]]);
    let r = run(&chip(&target, &t, 2, 2, vec![]), &[&[0], &[]]);
    assert_eq!(r.output_potentials, [[0, 6], [0, 5]]);
}

#[test]
fn disabled_neurons_reset_and_keep_quiet_and_those_behind_the_last_stand_still() {
    let target = tinyodin();
    let mut t = core(&target);
    for k in 0..4 {
        neuron(&mut t, k, 10, 1);
        weights(&mut t, &[(0, k, 6)]);
    }
    t.neurons[1].disabled = true;
    t.neurons[3].potential = 5;
    t.last_neuron = 2;
    let r = run(&chip(&target, &t, 1, 4, vec![]), &[&[0], &[0]]);
    assert_eq!(r.output_potentials, [[5, 5, 5, 5], [0, 0, 0, 5]]);
    assert_eq!(fired(&r), [(1, 0), (1, 2)]);
    assert_eq!((r.counters.synaptic_ops, r.counters.messages), (6, 2));
}

#[test]
fn the_host_sends_spikes_back_as_often_as_they_came() {
    let target = tinyodin();
    let mut t = core(&target);
    neuron(&mut t, 0, 3, 0);
    neuron(&mut t, 1, 100, 0);
    weights(&mut t, &[(0, 0, 3), (1, 1, 5), (2, 1, 7)]);
    let back = |row_of, delay_steps| Injection { from: Origin::Neuron(row(0)), to: row(row_of), delay_steps };
    let later = Injection { from: Origin::Channel(0), to: row(2), delay_steps: 4 };
    let b = chip(&target, &t, 1, 2, vec![later, back(1, 1), back(2, 3)]);
    let r = run(&b, &[&[0, 0], &[], &[0], &[], &[], &[]]);
    // Neuron 0: 2, 0, 1 spikes. Neuron 1: 2 * 5 in step 1; 5 + 2 * 7 in step 3; 2 * 7 of the channel in step 4; 7 in step 5.
    assert_eq!(r.output_potentials.iter().map(|v| v[1]).collect::<Vec<_>>(), [0, 10, 10, 29, 43, 50]);
    assert_eq!((r.out_counts, r.counters.host_spikes), (vec![3, 0], 3 + 2 + 1 + 2 + 2 + 1));
    let mut b = chip(&target, &t, 1, 2, vec![back(1, 0)]);
    assert!(Machine::boot(b.loadable()).unwrap_err().to_string().contains("delay_steps (from a neuron) is 0"));
    b.host.injections = vec![back(256, 1)];
    assert!(Machine::boot(b.loadable()).unwrap_err().to_string().contains("injections 0: core 0 has 256 rows, but row 256"));
}

#[test]
fn odin_has_no_negative_potentials_and_a_sign_for_each_row() {
    let target = spikec_chip::find("odin").unwrap();
    let mut t = core(&target);
    neuron(&mut t, 0, 200, 3);
    t.negative_rows[1] = true;
    t.last_neuron = 0;
    weights(&mut t, &[(0, 0, 7), (1, 0, -4)]);
    // Behind the last neuron, and updated all the same.
    neuron(&mut t, 9, 7, 0);
    weights(&mut t, &[(0, 9, 7)]);
    let mut b = chip(&target, &t, 2, 10, vec![]);
    let r = run(&b, &[&[0, 0], &[1, 1], &[1, 1], &[0]]);
    assert_eq!(r.output_potentials.iter().map(|v| v[0]).collect::<Vec<_>>(), [11, 0, 0, 4]);
    assert_eq!((r.counters.v_clips, r.counters.synaptic_ops), (2, 7 * 256));
    assert_eq!(r.out_counts[9], 3);
    assert_eq!(boot(&b).family(), "EventCrossbar");
    b.target = tinyodin();
    assert!(Machine::boot(b.loadable()).is_err());
}

/// Neuron k fires and feeds row k: neurons 1 .. 3 hear row 0, neuron 4 hears 1 and 2.
fn closed(fifo: u32) -> Bundle {
    let mut target = tinyodin();
    spec(&mut target).core.fifo_depth.value = fifo;
    let mut t = core(&target);
    t.open_loop = false;
    for k in 0..5 {
        neuron(&mut t, k, if k == 4 { 100 } else { 5 }, 0);
    }
    weights(&mut t, &[(10, 0, 5), (0, 1, 5), (0, 2, 5), (0, 3, 5), (1, 4, 1), (2, 4, 2), (3, 4, 4), (11, 4, -8)]);
    let mut b = chip(&target, &t, 2, 5, vec![]);
    b.host.input_axons = vec![vec![row(10)], vec![row(11)]];
    b
}

#[test]
fn in_closed_loop_spikes_enter_the_scheduler_and_may_be_dropped() {
    let r = run(&closed(128), &[&[0], &[]]);
    assert_eq!(r.output_potentials[0], [0, 0, 0, 0, 7]);
    assert_eq!((r.counters.host_spikes, r.counters.neuron_spikes, r.counters.dropped_events), (1, 4, 0));
    assert_eq!(r.counters.synaptic_ops, 5 * 256);
    // Of the three spikes of row 0's event only so many find room: the event has its own place until it is done, as in the RTL's scheduler.
    for (fifo, v) in [(2, 1), (3, 3), (4, 7)] {
        let r = run(&closed(fifo), &[&[0], &[]]);
        assert_eq!((r.output_potentials[0][4], r.counters.dropped_events), (v, 4 - u64::from(fifo)), "{fifo}");
        assert_eq!(r.counters.neuron_spikes, 4, "dropped ones left for the host");
    }
    let r = run(&closed(1), &[&[0], &[]]);
    assert_eq!((r.output_potentials[0][4], r.counters.neuron_spikes, r.counters.dropped_events), (0, 1, 1));
    // The host's second event waits until the scheduler is empty: -8 after 1 + 2 + 4, and clipped nowhere.
    let r = run(&closed(128), &[&[0, 1]]);
    assert_eq!(r.output_potentials[0][4], -1);
}

#[test]
fn spikes_without_end_are_refused() {
    let target = tinyodin();
    let mut t = core(&target);
    neuron(&mut t, 0, 5, 0);
    weights(&mut t, &[(0, 0, 5)]);
    t.open_loop = false;
    t.last_neuron = 0;
    let b = chip(&target, &t, 1, 1, vec![]);
    let error = boot(&b).run(&spikes(1, &[&[], &[0]]), &all()).unwrap_err();
    assert!(matches!(error, RunError::TooManyEvents { chip_step: 1, .. }) && !error.hint().is_empty(), "{error}");
    // In open loop every spike comes back to every row: 16 times as many events in each step.
    t.open_loop = true;
    t.last_neuron = 15;
    let mut back = Vec::new();
    for k in 0..16u16 {
        neuron(&mut t, k.into(), 5, 0);
        (0..16).for_each(|r| weights(&mut t, &[(r, k.into(), 5)]));
        back.push(Injection { from: Origin::Neuron(row(k)), to: row(k), delay_steps: 1 });
    }
    let b = chip(&target, &t, 1, 16, back);
    let steps: Vec<&[u32]> = vec![&[0]; 10];
    let error = boot(&b).run(&spikes(1, &steps), &all()).unwrap_err();
    assert!(matches!(error, RunError::TooManyEvents { .. }), "{error}");
}

#[test]
fn a_decision_waits_where_more_spikes_can_come() {
    let target = tinyodin();
    let mut t = core(&target);
    (0..2).for_each(|k| neuron(&mut t, k, 3, 0));
    weights(&mut t, &[(0, 0, 3), (1, 1, 3)]);
    let mut b = chip(&target, &t, 2, 2, vec![]);
    let options = RunOptions { until_decision: true, ..all() };
    // One against six spikes in the last step.
    let steps: &[&[u32]] = &[&[0, 0, 0], &[], &[], &[1, 1, 1, 1, 1, 1]];
    let r = boot(&b).run(&spikes(2, steps), &options).unwrap();
    assert_eq!((r.prediction, r.decided_after), (1, Some(4)));
    b.host.decoder.kind = spikec_chip::bundle::DecoderKind::FirstSpike;
    let r = boot(&b).run(&spikes(2, steps), &options).unwrap();
    assert_eq!((r.prediction, r.decided_after, r.counters.chip_steps), (0, Some(1), 1));
}

#[test]
fn probes_watches_utilization_and_what_the_family_lacks() {
    let target = tinyodin();
    let mut t = core(&target);
    neuron(&mut t, 0, 6, 0);
    weights(&mut t, &[(0, 0, 4), (1, 0, -1)]);
    let machine = boot(&chip(&target, &t, 2, 1, vec![]));
    let options = RunOptions { probes: vec![Probe { population: 0, neuron: 0 }], watch: vec![(0, 0), (0, 7)], ..all() };
    let r = machine.run(&spikes(2, &[&[0], &[0, 0, 1]]), &options).unwrap();
    assert_eq!((r.probe_potentials.concat(), r.probe_currents.concat()), (vec![4, 3], vec![0, 0]));
    let w: Vec<_> = r.watched.iter().map(|w| (w.compartment, w.input, w.v, w.fired)).collect();
    assert_eq!(w, [(0, 4, 4, false), (7, 0, 0, false), (0, 7, 3, true), (7, 0, 0, false)]);
    assert_eq!(machine.utilization()[0].resources, [("neurons", 1, 256), ("synapse_rows", 2, 256), ("synapses", 2, 65_536)]);
    assert!(matches!(machine.run_wave(&spikes(2, &[&[0]]), &all(), &[0]), Err(RunError::NotInFamily { .. })));
    let timed = RunOptions { record: Record { core_steps: true, ..Record::default() }, ..RunOptions::default() };
    assert!(matches!(machine.run(&spikes(2, &[&[0]]), &timed), Err(RunError::NotTimed { .. })));
}

/// An event that makes `n` of 256 neurons fire.
fn volley(n: usize) -> Bundle {
    let target = tinyodin();
    let mut t = core(&target);
    for k in 0..256 {
        neuron(&mut t, k, if k < n { 5 } else { 100 }, 0);
        weights(&mut t, &[(0, k, 5)]);
    }
    chip(&target, &t, 1, 256, vec![])
}

/// tinyODIN's RTL takes 512, 520, 544 and 1,024 cycles for an event with 0, 1, 4 and 64 spikes, and two more with the pop; 512 for a time
/// reference; the host 6 to push an event, 8 for a time reference (tests/external/tinyodin_rtl.py).
#[test]
fn events_take_what_the_rtl_takes() {
    for (n, cycles) in [(0, 512), (1, 520), (4, 544), (64, 1024)] {
        for level in [Level::Analytic, Level::Cycle] {
            let b = volley(n);
            let machine = Machine::boot_timed(b.loadable(), level).unwrap();
            let record = Record { core_steps: true, messages: true, ..Record::default() };
            let r = machine.run(&spikes(1, &[&[0], &[]]), &RunOptions { record, ..RunOptions::default() }).unwrap();
            let t = r.timing.unwrap();
            assert_eq!((t.steps[0].generation_ps, t.steps[0].host_ps), ((cycles + 2 + 512) * 10_000, (6 + 8) * 10_000));
            assert_eq!((t.steps[0].time_ps, t.steps[1].time_ps), ((8 + cycles + 8 + 512) * 10_000, 5_200_000));
            assert_eq!((t.time_ps, t.steps[0].bound), (t.steps[0].time_ps + t.steps[1].time_ps, Bound::Compute));
            assert_eq!((t.steps[0].events.neuron_spikes, t.steps[0].events.synapses_dense), (n as u64, 256));
            let m = &r.messages[0];
            let done = if level == Level::Cycle { (8 + cycles) * 10_000 } else { 0 };
            assert_eq!((r.messages.len(), m.from, m.to, m.synapses, m.done_ps), (1, -1, 0, 256, done));
            assert_eq!((r.core_steps.len(), r.core_steps[0].spikes), (2, n as u32));
        }
    }
    // Fewer neurons take fewer cycles.
    let target = tinyodin();
    let mut t = core(&target);
    t.last_neuron = 99;
    let b = chip(&target, &t, 1, 1, vec![]);
    let r = Machine::boot_timed(b.loadable(), Level::Analytic).unwrap().run(&spikes(1, &[&[0, 0]]), &all()).unwrap();
    assert_eq!(r.timing.unwrap().time_ps, 3 * (8 + 200) * 10_000);
}

#[test]
fn closed_loops_push_nothing_and_parts_add_up() {
    for mut b in [closed(128), closed(1), volley(64)] {
        let e = &mut spec(&mut b.target).energy_pj;
        (e.synapse.value, e.leak.value, e.host_spike.value) = (2.0, 3.0, 5.0);
        let first = b.symbols.populations[0].neurons[0];
        b.symbols.populations.insert(0, population("h", 0, &[first.1]));
        b.symbols.output = 1;
        let machine = Machine::boot_timed(b.loadable(), Level::Cycle).unwrap();
        let batch = machine.run_batch(&[spikes(b.host.input_width, &[&[0], &[], &[0]])], &all(), &|| {}).unwrap();
        let (t, c) = (batch.timing.unwrap(), &batch.totals);
        let events = c.synaptic_ops / 256;
        let cycles = 6 * c.host_spikes + 514 * events + 8 * c.neuron_spikes + 3 * (8 + 512);
        assert_eq!(t.time_ps, cycles * 10_000);
        assert_eq!((t.events.host_messages, t.events.messages_out), (c.host_spikes, c.neuron_spikes));
        let total = Energy::of(&t.events, &b.target);
        assert_eq!((total.synapses_pj, total.neurons_pj), (2.0 * c.synaptic_ops as f64, 3.0 * 3.0 * 256.0));
        assert_eq!(total.host_spikes_pj, 5.0 * (c.host_spikes + c.neuron_spikes) as f64);
        let layers: f64 = t.layers.iter().map(|l| Energy::of(&l.events, &b.target).chip_pj()).sum();
        assert_eq!(layers, total.chip_pj());
        assert!(t.layers.iter().any(|l| l.kind == LayerKind::Host));
        let rest = t.events - t.cores[0].events;
        assert_eq!((rest.host_messages, rest.messages_out, rest.synapses_dense), (c.host_spikes, 0, 0));
    }
}

#[test]
fn batches_equal_single_runs_on_any_number_of_threads() {
    let b = closed(2);
    let samples: Vec<Stimulus> = (0..40u32).map(|k| spikes(2, &[if k % 3 == 0 { &[0] } else { &[1] }, &[], &[0, 0, 1]])).collect();
    for level in [Level::None, Level::Analytic, Level::Cycle] {
        let machine = Machine::boot_timed(b.loadable(), level).unwrap();
        let single: Vec<SampleRun> = samples.iter().map(|s| machine.run(s, &all()).unwrap()).collect();
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(pool.install(|| machine.run_batch(&samples, &all(), &|| {})).unwrap().samples, single);
        }
    }
}
