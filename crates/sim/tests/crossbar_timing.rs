//! Times of crossbar chips: RANC's RTL under Icarus Verilog is the judge of ticks (targets/ranc256.ron).

mod common;

use common::crossbar::{BUS, bundle, chip, core, row, spec, to};
use common::{place, population, spikes};
use spikec_chip::Bundle;
use spikec_chip::crossbar::CrossbarRow;
use spikec_sim::timing::{Bound, LayerKind};
use spikec_sim::{Energy, Level, Machine, Record, RunOptions, SampleRun};

fn timed(bundle: &Bundle, level: Level, steps: &[&[u32]]) -> (SampleRun, spikec_sim::BatchTiming) {
    let machine = Machine::boot_timed(bundle.loadable(), level).unwrap();
    let record = Record { spikes: true, core_steps: true, messages: true, ..Record::default() };
    let options = RunOptions { record, ..RunOptions::default() };
    let batch = machine.run_batch(&[spikes(bundle.host.input_width, steps)], &options, &|| {}).unwrap();
    (batch.samples[0].clone(), batch.timing.unwrap())
}

/// All neurons of core 0 fire when axon 0 is active, to an axon of core `to_core` each.
fn volley(axons: u32, neurons: u32, to_core: u32) -> Bundle {
    let mut target = chip(axons, neurons);
    spec(&mut target).timing_cycles.tick_ns.value = 0.0;
    let (mut a, b) = (core(&target, 0), core(&target, to_core));
    for (n, neuron) in a.neurons.iter_mut().enumerate() {
        *neuron = CrossbarRow { destination: to(0, to_core, (n as u32 % axons) as u16, 0), ..row(&[0], [1; 4], 1) };
    }
    let cores = if to_core == 0 { vec![a] } else { vec![a, b] };
    bundle(&target, &cores, vec![vec![place(0, 0)]], vec![], vec![population("o", 0, &[place(0, 0)])])
}

#[test]
fn ticks_take_what_the_rtl_takes() {
    for (axons, neurons, cycles) in [(256, 256, 66_051), (128, 64, 8_323), (64, 128, 8_451)] {
        for level in [Level::Analytic, Level::Cycle] {
            for steps in [&[&[][..], &[]], &[&[0][..], &[0]]] {
                let (run, _) = timed(&volley(axons, neurons, 1), level, steps);
                let t = run.timing.unwrap();
                assert_eq!(t.steps[0].generation_ps, cycles * 10_000);
                // The last neuron's packet arrives after the tick's end: four merges to the next router, three into its core.
                let late = if steps[0].is_empty() || level == Level::Analytic { 0 } else { 10 - 3 };
                assert_eq!(t.steps[0].time_ps, (cycles + late) * 10_000, "{axons} axons, {neurons} neurons, {level:?}");
                assert_eq!((t.steps[0].barrier_ps, t.overruns), (0, 0));
                assert_eq!(t.steps[0].bound, Bound::Compute);
            }
        }
    }
}

#[test]
fn ticks_wait_for_the_clock_and_may_overrun_it() {
    for level in [Level::Analytic, Level::Cycle] {
        let mut b = volley(256, 256, 1);
        spec(&mut b.target).timing_cycles.tick_ns.value = 1e6;
        let (run, batch) = timed(&b, level, &[&[0], &[]]);
        let t = run.timing.unwrap();
        assert_eq!((t.steps[1].time_ps, t.steps[1].barrier_ps, t.overruns), (1_000_000_000, 339_490_000, 0));
        assert_eq!(batch.barrier_ps, 339_490_000);
        spec(&mut b.target).timing_cycles.tick_ns.value = 6.6e5;
        let (run, batch) = timed(&b, level, &[&[0], &[]]);
        assert_eq!((run.timing.unwrap().overruns, batch.overruns), (2, 2));
    }
}

/// The host's packets are sent during the tick before, two cycles each: 16 take 31 cycles.
#[test]
fn the_host_sends_a_tick_ahead() {
    let mut b = volley(16, 4, 0);
    b.host.input_axons = vec![(0..16).map(|a| place(0, a)).collect()];
    for level in [Level::Analytic, Level::Cycle] {
        let (run, _) = timed(&b, level, &[&[], &[0]]);
        let t = run.timing.unwrap();
        assert_eq!((t.load_ps, t.steps[0].host_ps, t.steps[1].host_ps), (0, 310_000, 0));
        assert_eq!((t.steps[0].events.host_messages, t.steps[1].events.synapses_dense), (16, 4));
        // In a load phase nothing else takes time: the packets' way is east, up and home at level cycle.
        let (run, _) = timed(&b, level, &[&[0], &[]]);
        let load = run.timing.unwrap().load_ps;
        assert_eq!(load, if level == Level::Cycle { (2 * 15 + 4 * 2) * 10_000 } else { 320_000 });
    }
}

#[test]
fn full_buffers_stall_the_core() {
    let mut b = volley(256, 256, 1);
    spec(&mut b.target).timing_cycles.merge.value = 1000;
    let (slow, batch) = timed(&b, Level::Cycle, &[&[0], &[]]);
    let t = slow.timing.as_ref().unwrap();
    // Packets leave every 1000 cycles, the first at 258 + 2000. Four wait; the last one enters when the 252nd has gone, and is the last of 256
    // to pass the link and three merges more.
    let entered = 258 + 1000 + 251 * 1000 + 1;
    let stalled = entered - 256 * 258;
    assert_eq!(batch.cores[0].stalled_ps, stalled * 10_000);
    assert_eq!(t.steps[0].time_ps, (258 + 256 * 1000 + 4 * 1000) * 10_000);
    assert_eq!((t.steps[0].bound, batch.links[0].peak_queue), (Bound::Traffic, 1));
    assert_eq!(slow.core_steps[0].stalled_ps, stalled * 10_000);
    // Without stalls the busiest link alone binds.
    let (_, analytic) = timed(&b, Level::Analytic, &[&[0], &[]]);
    assert_eq!((analytic.cores[0].stalled_ps, analytic.links[0].messages), (0, 256));
    let (plain, batch) = timed(&volley(256, 256, 1), Level::Cycle, &[&[0], &[]]);
    assert_eq!(batch.cores[0].stalled_ps, 0);
    assert_eq!(plain.spikes, slow.spikes);
}

#[test]
fn messages_have_their_times() {
    let b = volley(256, 256, 0);
    let (run, _) = timed(&b, Level::Cycle, &[&[0], &[]]);
    let m = run.messages[0];
    assert_eq!((m.chip_step, m.from, m.to, m.synapses, m.sent_ps, m.done_ps), (-1, -1, 0, 256, 0, 80_000));
    let m = run.messages[1];
    assert_eq!((m.chip_step, m.from, m.to, m.synapses, m.sent_ps, m.done_ps), (0, 0, 0, 256, 2_580_000, 2_660_000));
    assert_eq!(run.messages.len(), 257 + 256);
}

#[test]
fn parts_add_up_and_energy_is_counts_times_the_table() {
    let mut target = chip(16, 8);
    let e = &mut spec(&mut target).energy_pj;
    (e.synapse.value, e.neuron_update.value, e.spike_out.value, e.hop.value, e.host_spike.value) = (2.0, 3.0, 5.0, 7.0, 11.0);
    let (mut a, mut c) = (core(&target, 17), core(&target, 40));
    for n in 0..3 {
        a.neurons[n] = CrossbarRow { destination: to(17, 40, n as u16 % 2, n as u8), ..row(&[0, 1], [1; 4], 1) };
    }
    c.neurons[5] = CrossbarRow { destination: to(40, BUS, 0, 0), ..row(&[0, 1], [1; 4], 1) };
    let populations = vec![population("h", 0, &[place(17, 0), place(17, 1)]), population("o", 1, &[place(40, 5)])];
    let b = bundle(&target, &[a, c], vec![vec![place(17, 0)], vec![place(17, 1), place(17, 0)]], vec![], populations);
    for level in [Level::Analytic, Level::Cycle] {
        let (run, batch) = timed(&b, level, &[&[0, 1], &[1], &[], &[0]]);
        let (events, c) = (batch.events, &run.counters);
        assert_eq!((events.synapses_dense, events.neuron_spikes, events.messages_out), (c.synaptic_ops, c.neuron_spikes, c.messages));
        assert_eq!((events.hops_x + events.hops_y, events.host_messages), (c.hops, c.host_spikes));
        assert_eq!((events.neuron_updates, events.neuron_accesses), (2 * 8 * 5, c.neuron_accesses));
        let energy = Energy::of(&events, &b.target);
        assert_eq!(energy.synapses_pj, 2.0 * c.synaptic_ops as f64);
        assert_eq!(energy.neurons_pj, 3.0 * 80.0 + 5.0 * c.neuron_spikes as f64);
        assert_eq!((energy.mesh_pj, energy.host_spikes_pj), (7.0 * c.hops as f64, 11.0 * c.host_spikes as f64));
        assert_eq!((energy.axons_pj, energy.host_writes_pj), (0.0, 0.0));
        let total = energy.chip_pj();
        let layers: f64 = batch.layers.iter().map(|l| Energy::of(&l.events, &b.target).chip_pj()).sum();
        assert!((layers - total).abs() < 1e-9, "{layers} {total}");
        let kinds: Vec<_> = batch.layers.iter().map(|l| (l.kind, l.name.as_str())).collect();
        let named =
            [(LayerKind::Population, "h"), (LayerKind::Population, "o"), (LayerKind::Unnamed, "unnamed"), (LayerKind::Host, "input")];
        assert_eq!(kinds, named);
        let mut rest = batch.events;
        for core in &batch.cores {
            rest = rest - core.events;
        }
        assert_eq!((rest.host_messages, rest.neuron_updates, rest.synapses_dense, rest.messages_out), (c.host_spikes, 0, 0, 0));
        let t = run.timing.unwrap();
        assert_eq!(t.time_ps, t.load_ps + t.steps.iter().map(|s| s.time_ps).sum::<u64>());
        let crossings: u64 = batch.links.iter().map(|l| l.messages).sum();
        assert_eq!(crossings, c.hops);
        assert_eq!(run.core_steps.len(), 2 * 5);
    }
}

#[test]
fn what_is_too_long_or_too_large_is_refused() {
    let mut b = volley(256, 256, 1);
    spec(&mut b.target).timing_cycles.cycle_ns.value = 1e9;
    let error = Machine::boot_timed(b.loadable(), Level::Analytic).unwrap_err();
    assert!(error.to_string().contains("the cycles of a tick") && !error.hint().is_empty(), "{error}");
    assert!(Machine::boot(b.loadable()).is_ok());
    // 256 packets of 65,536 cycles each: every tick is long, but none too long to run; at a ms a cycle the second is.
    let mut b = volley(256, 256, 1);
    spec(&mut b.target).timing_cycles.merge.value = 1 << 16;
    spec(&mut b.target).timing_cycles.cycle_ns.value = 10_000.0;
    let machine = Machine::boot_timed(b.loadable(), Level::Cycle).unwrap();
    let error = machine.run(&spikes(1, &[&[0]]), &RunOptions::default()).unwrap_err();
    assert!(error.to_string().contains("chip step 0 takes longer than"), "{error}");
}
