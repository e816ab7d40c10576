//! Hand-made bundles with hand-computed results.

mod common;

use common::{SPARSE, axon, boot, bundle, core, place, population, profile, sends, spikes, synapse};
use rand::{Rng, SeedableRng};
use spikec_chip::bundle::{BiasWrite, Bundle, DecoderKind, Encoder, HostMap};
use spikec_chip::image::SynapseFormat;
use spikec_chip::target::Compression;
use spikec_data::{SpikeTrain, Stimulus, Values};
use spikec_sim::{CoreCounters, Record, RunError, RunOptions, SampleRun, SpikeEvent};

const RECORD: Record = Record { spikes: true, potentials: true, core_steps: false, messages: false, copies: false };

fn steps(steps: u32) -> RunOptions {
    RunOptions { steps: Some(steps), record: RECORD, ..RunOptions::default() }
}

fn run(bundle: &Bundle, sample: &Stimulus, t: u32) -> SampleRun {
    boot(bundle).run(sample, &steps(t)).unwrap()
}

/// (step, neuron) of a population's spikes.
fn spikes_of(run: &SampleRun, population: u32) -> Vec<(u32, u32)> {
    run.spikes.iter().filter(|e| e.population == population).map(|e| (e.step, e.neuron)).collect()
}

/// One neuron, one input of weight `w`.
fn one(decays: (u16, u16), refractory: u8, threshold: u32, w: i16) -> Bundle {
    let mut tables = core(0, &[(profile(decays.0, decays.1, refractory), threshold)]);
    let a = axon(&mut tables, 0, &[synapse(0, w, 0)]);
    bundle(&[tables], vec![vec![place(0, a)]], vec![population("n", 0, &[place(0, 0)])])
}

#[test]
fn one_neuron_by_hand() {
    // w_act = 100 * 64 = 6400; u: 6400, 3200, 1600 + 6400 = 8000, 4000; threshold 200 * 64 = 12800; decay_v = 255:
    // v: 6400; 6001 + 3200 = 9201; 8628 + 8000 = 16628 > 12800: spike, 0; 0 + 4000.
    let run = run(&one((2048, 255), 1, 200, 100), &spikes(1, &[&[0], &[], &[0], &[]]), 4);
    assert_eq!(run.output_potentials, [[6400], [9201], [0], [4000]]);
    assert_eq!((run.out_counts.as_slice(), run.first_spike.as_slice()), (&[1][..], &[Some(2)][..]));
    assert_eq!(run.spikes, [SpikeEvent { chip_step: 2, step: 2, population: 0, neuron: 0 }]);
    assert_eq!((run.steps, run.potentials[0], run.prediction), (4, 4000.0, 0));
}

#[test]
fn input_spikes_that_repeat_add_up() {
    let bundle = one((4096, 0), 1, 1000, 10);
    let run = run(&bundle, &spikes(1, &[&[0, 0, 0], &[0]]), 2);
    assert_eq!(run.output_potentials, [[3 * 640], [4 * 640]]);
    assert_eq!((run.counters.host_spikes, run.counters.synaptic_ops), (4, 4));
}

#[test]
fn refractory_neuron_keeps_v_at_rest_while_u_goes_on() {
    // u = 6400 >> t: 6400, 3200, 1600, 800, 400; spikes at once (threshold 64), then two steps are lost.
    let run = run(&one((2048, 0), 3, 1, 100), &spikes(1, &[&[0]]), 5);
    assert_eq!(spikes_of(&run, 0), [(0, 0), (3, 0)]);
    assert_eq!(run.output_potentials, [[0], [0], [0], [0], [0]]);
}

/// The timeline of docs/semantics.md section 1: x -> hidden (skew 0) -> output (skew 1), every spike passed on.
fn two_layers() -> Bundle {
    let relay = profile(4096, 4096 - 1, 1);
    let mut hidden = core(3, &[(relay, 10)]);
    let mut output = core(9, &[(relay, 10), (relay, 10)]);
    let x = axon(&mut hidden, 0, &[synapse(0, 20, 0)]);
    let h = axon(&mut output, 0, &[synapse(1, 20, 0)]);
    sends(&mut hidden, 0, &[place(9, h)]);
    let populations = vec![population("hidden", 0, &[place(3, 0)]), population("output", 1, &[place(9, 0), place(9, 1)])];
    bundle(&[hidden, output], vec![vec![place(3, x)]], populations)
}

#[test]
fn two_layers_follow_the_skew_timeline() {
    let run = run(&two_layers(), &spikes(1, &[&[0], &[], &[0]]), 3);
    assert_eq!(spikes_of(&run, 0), [(0, 0), (2, 0)]);
    assert_eq!(spikes_of(&run, 1), [(0, 1), (2, 1)]);
    let chip: Vec<_> = run.spikes.iter().map(|e| e.chip_step).collect();
    assert_eq!(chip, [0, 2, 1, 3]);
    assert_eq!((run.counters.chip_steps, run.out_counts, run.prediction), (4, vec![0, 2], 1));
    assert_eq!(run.first_spike, [None, Some(0)]);
    assert_eq!(run.output_potentials.len(), 3);
}

#[test]
fn input_after_the_last_step_is_ignored_and_missing_steps_are_silent() {
    let bundle = two_layers();
    let cut = run(&bundle, &spikes(1, &[&[0], &[0], &[0], &[0]]), 2);
    assert_eq!(cut.out_counts, [0, 2]);
    let padded = run(&bundle, &spikes(1, &[&[0]]), 5);
    assert_eq!((padded.out_counts, padded.counters.chip_steps), (vec![0, 1], 6));
}

#[test]
fn counters_by_hand() {
    // Input 0 reaches 2 axons: core 3 (2 synapses) and core 9 (1). Hidden 0 sends to core 9 (1 synapse) and to itself (2).
    let relay = profile(4096, 4095, 1);
    let mut a = core(3, &[(relay, 10), (relay, 1000)]);
    let mut b = core(9, &[(relay, 1000)]);
    let x3 = axon(&mut a, 0, &[synapse(0, 20, 0), synapse(1, 20, 0)]);
    let x9 = axon(&mut b, 0, &[synapse(0, -20, 0)]);
    let h9 = axon(&mut b, 0, &[synapse(0, 2, 0)]);
    let h3 = axon(&mut a, 0, &[synapse(0, -2, 0), synapse(1, 2, 0)]);
    sends(&mut a, 0, &[place(9, h9), place(3, h3)]);
    let populations = vec![population("h", 0, &[place(3, 0), place(3, 1)]), population("o", 1, &[place(9, 0)])];
    let mut bundle = bundle(&[a, b], vec![vec![place(3, x3), place(9, x9)]], populations);
    bundle.host.bias_writes = vec![BiasWrite { chip_step: 1, place: place(9, 0), mantissa: 3, exponent: 1 }];
    let c = run(&bundle, &spikes(1, &[&[0], &[], &[0]]), 3).counters;
    // Hidden 0 fires in chip steps 0 and 2. Routers: core 3 -> router 0 (0, 0), core 9 -> router 2 (2, 0); host port (0, 0).
    assert_eq!((c.chip_steps, c.host_spikes, c.host_writes), (4, 4, 1));
    assert_eq!((c.neuron_spikes, c.messages, c.hops), (2, 4, 2 * 2 + 2 * 2));
    assert_eq!((c.synaptic_ops, c.neuron_accesses), (2 * 3 + 2 * 3, 3 * 4));
    assert_eq!((c.u_wraps, c.v_clips, c.input_overflows, c.bias_saturations), (0, 0, 0, 0));
    let three = CoreCounters { core: 3, messages_in: 4, messages_out: 4, synaptic_ops: 8, neuron_spikes: 2 };
    let nine = CoreCounters { core: 9, messages_in: 4, messages_out: 0, synaptic_ops: 4, neuron_spikes: 0 };
    assert_eq!(c.per_core, [three, nine]);
}

#[test]
fn spikes_of_the_last_chip_step_are_sent() {
    let relay = profile(4096, 4095, 1);
    let mut a = core(0, &[(relay, 10)]);
    let x = axon(&mut a, 0, &[synapse(0, 20, 0)]);
    let own = axon(&mut a, 0, &[synapse(0, 2, 0)]);
    sends(&mut a, 0, &[place(0, own)]);
    let bundle = bundle(&[a], vec![vec![place(0, x)]], vec![population("n", 0, &[place(0, 0)])]);
    let c = run(&bundle, &spikes(1, &[&[0], &[0]]), 2).counters;
    // The chip sends them before the host clears it; they change nothing any more.
    assert_eq!((c.neuron_spikes, c.messages, c.synaptic_ops), (2, 2, 4));
}

#[test]
fn delays_are_kept_by_synapse_and_may_outlast_the_sample() {
    // Input 0 with delays 0, 2, 5 to three neurons; neuron 0 sends to neuron 3 with delay 1: 1 + 1 steps later.
    let relay = profile(4096, 4095, 1);
    let mut a = core(0, &[(relay, 10); 4]);
    a.delay_bits = 3;
    a.formats = vec![SynapseFormat { delay_bits: 3, ..SPARSE }];
    let x = axon(&mut a, 0, &[synapse(0, 20, 0), synapse(1, 20, 2), synapse(2, 20, 5)]);
    let h = axon(&mut a, 0, &[synapse(3, 20, 1)]);
    sends(&mut a, 0, &[place(0, h)]);
    let places: Vec<_> = (0..4).map(|k| place(0, k)).collect();
    let bundle = bundle(&[a], vec![vec![place(0, x)]], vec![population("n", 0, &places)]);
    let machine = boot(&bundle);
    let sample = spikes(1, &[&[0], &[0]]);
    let long = machine.run(&sample, &steps(7)).unwrap();
    assert_eq!(spikes_of(&long, 0), [(0, 0), (1, 0), (2, 1), (2, 3), (3, 1), (3, 3), (5, 2), (6, 2)]);
    assert_eq!(long.counters.synaptic_ops, 2 * 3 + 2);
    // What is still in the delay slots after a short sample must not reach the next one.
    let batch = machine.run_batch(&[sample.clone(), spikes(1, &[&[], &[]]), sample], &steps(4), &|| ()).unwrap();
    assert_eq!(batch.samples[0], batch.samples[2]);
    assert!(batch.samples[1].spikes.is_empty());
}

#[test]
fn biases_start_with_their_population() {
    // Bias 3 * 2^5 = 96 a step, threshold 4 * 64 = 256, no decay: v = 96, 192, spike, ...
    let mut a = core(0, &[(profile(4096, 0, 1), 4), (profile(4096, 0, 1), 4)]);
    a.compartments[0].bias_mantissa = 4000; // the loader's bias is cleared before each sample
    let populations = vec![population("early", 0, &[place(0, 0)]), population("late", 2, &[place(0, 1)])];
    let mut bundle = bundle(&[a], vec![vec![]], populations);
    let write = |chip_step, index| BiasWrite { chip_step, place: place(0, index), mantissa: 3, exponent: 5 };
    bundle.host.bias_writes = vec![write(2, 1), write(0, 0)];
    let run = run(&bundle, &spikes(1, &[]), 4);
    assert_eq!(spikes_of(&run, 0), [(2, 0)]);
    assert_eq!(spikes_of(&run, 1), [(2, 0)]);
    assert_eq!(run.output_potentials, [[96], [192], [0], [96]]);
    assert_eq!(run.counters.host_writes, 2);
}

/// Two neurons (skew 1) that integrate the biases of a map of 3 channels, of which it uses the last two.
fn analog() -> Bundle {
    let a = core(0, &[(profile(4096, 0, 1), 1000), (profile(4096, 0, 1), 1000)]);
    let mut bundle = bundle(&[a], vec![], vec![population("n", 1, &[place(0, 0), place(0, 1)])]);
    bundle.host.encoder = Encoder::Bias;
    bundle.host.input_width = 3;
    bundle.host.decoder.kind = DecoderKind::Potential;
    bundle.host.maps = vec![HostMap {
        name: "map".into(),
        first_channel: 1,
        delay_steps: 0,
        targets: vec![place(0, 0), place(0, 1)],
        offsets: vec![0, 1, 3],
        channels: vec![1, 0, 1],
        weights: vec![2.0, 1.0, -1.0],
        constants: vec![0.0, 0.5],
        gains: vec![10.0, 100.0],
    }];
    bundle
}

fn values(frames: &[f32], constant: bool) -> Stimulus {
    Stimulus::Values(Values { width: 3, frames: frames.to_vec(), constant })
}

#[test]
fn host_maps_become_biases() {
    let machine = boot(&analog());
    // Sums: 2 * 3 = 6 and 0.5 + 4 - 3 = 1.5; biases 60 and 150 in each step.
    let run = machine.run(&values(&[9.0, 4.0, 3.0], true), &steps(2)).unwrap();
    assert_eq!(run.output_potentials, [[60, 150], [120, 300]]);
    assert_eq!((run.counters.host_writes, run.counters.chip_steps, run.prediction), (2, 3, 1));
    // A frame for each step; the second: sums 2 and 0.5 - 1: biases 20 and -50.
    let run = machine.run(&values(&[9.0, 4.0, 3.0, 9.0, 0.0, 1.0], false), &steps(2)).unwrap();
    assert_eq!(run.output_potentials, [[60, 150], [80, 100]]);
    assert_eq!((run.counters.host_writes, run.counters.bias_saturations), (4, 0));
    // 1e6 * 2 * 10 passes 4095 * 2^7.
    let run = machine.run(&values(&[0.0, 0.0, 1e6], true), &steps(1)).unwrap();
    assert_eq!((run.output_potentials[0][0], run.counters.bias_saturations), (0, 2), "4095 * 128 passes the threshold");
    assert_eq!(run.out_counts, [1, 0]);
}

#[test]
fn a_delayed_map_acts_later() {
    let mut bundle = analog();
    bundle.host.maps[0].delay_steps = 1;
    let run = run(&bundle, &values(&[9.0, 4.0, 3.0, 9.0, 0.0, 1.0], false), 2);
    assert_eq!(run.output_potentials, [[0, 0], [60, 150]]);
}

#[test]
fn rate_and_latency_encode_values() {
    // Channels 0..2 positive, 3..5 negative parts; neuron k hears channel k only.
    let relay = profile(4096, 4095, 1);
    let mut a = core(0, &[(relay, 10); 6]);
    let inputs = (0..6).map(|k| vec![place(0, axon(&mut a, 0, &[synapse(k, 20, 0)]))]).collect();
    let places: Vec<_> = (0..6).map(|k| place(0, k)).collect();
    let mut bundle = bundle(&[a], inputs, vec![population("n", 0, &places)]);
    bundle.host.input_width = 3;
    bundle.host.encoder = Encoder::Rate { full_scale: 2.0 };
    let sample = values(&[2.0, -1.0, 0.0], true);
    assert_eq!(run(&bundle, &sample, 8).out_counts, [8, 0, 0, 0, 4, 0]);
    bundle.host.encoder = Encoder::Latency { full_scale: 2.0 };
    let run = run(&bundle, &sample, 9);
    assert_eq!(run.first_spike, [Some(0), None, None, None, Some(4), None]);
}

#[test]
fn wraps_and_clips_reach_the_counters() {
    // 254 * 2^7 = 32512 units = 2080768 of v: u passes 2^23 with the fifth spike, v is clipped before that.
    let mut bundle = one((1, 0), 1, 131_071, 254);
    let mut tables = core(0, &[(profile(1, 0, 1), 131_071)]);
    tables.formats[0].exponent = 7;
    axon(&mut tables, 0, &[synapse(0, 254, 0)]);
    bundle.image = common::bundle(&[tables], vec![], vec![population("n", 0, &[place(0, 0)])]).image;
    let w = 2_080_768i64;
    let (mut u, mut v, mut wraps, mut clips, mut expected) = (0i64, 0i64, 0, 0, Vec::new());
    for _ in 0..6 {
        u = u * 4095 / 4096 + w;
        if u >= 1 << 23 {
            u -= 1 << 24;
            wraps += 1;
        }
        v += u;
        if v > 8_388_607 {
            v = 8_388_607;
            clips += 1;
        }
        v = if v > 131_071 * 64 { 0 } else { v };
        expected.push(vec![v as i32]);
    }
    assert!(wraps > 0 && clips > 0, "the case must do both");
    let run = run(&bundle, &spikes(1, &[&[0][..]; 6]), 6);
    assert_eq!(run.output_potentials, expected);
    assert_eq!((run.counters.u_wraps, run.counters.v_clips, run.counters.input_overflows), (wraps, clips, 0));
    let two_at_once = boot(&bundle).run(&spikes(1, &[&[0, 0]]), &steps(1)).unwrap();
    assert_eq!(two_at_once.counters.input_overflows, 1);
}

#[test]
fn dense_filler_is_read_but_adds_nothing_and_axons_may_be_shared() {
    let relay = profile(4096, 0, 1);
    let mut a = core(0, &vec![(relay, 1000); 40]);
    a.formats = vec![SynapseFormat { index_bits: 6, compression: Compression::Dense, ..SPARSE }];
    let row: Vec<_> = (0..40).map(|k| synapse(k, if k % 3 == 0 { 0 } else { 2 * k as i16 }, 0)).collect();
    let x = axon(&mut a, 0, &row);
    // Both inputs use the same axon; the second reaches it twice.
    let inputs = vec![vec![place(0, x)], vec![place(0, x), place(0, x)]];
    let places: Vec<_> = (0..40).map(|k| place(0, k)).collect();
    let bundle = bundle(&[a], inputs, vec![population("n", 0, &places)]);
    let run = run(&bundle, &spikes(2, &[&[0], &[1]]), 2);
    let expected = |times: i32| (0..40).map(|k| if k % 3 == 0 { 0 } else { times * 2 * k * 64 }).collect::<Vec<i32>>();
    assert_eq!(run.output_potentials, [expected(1), expected(3)]);
    assert_eq!((run.counters.synaptic_ops, run.counters.host_spikes), (120, 3));
}

#[test]
fn mixed_parameters_share_a_core() {
    // 20 neurons with thresholds 1, 2, 3, 1, 2, 3, ... and different refractory periods, driven with 2 units a step.
    let parameters: Vec<_> = (0..20).map(|k| (profile(4096, 0, 1 + (k % 2) as u8), 1 + k % 3)).collect();
    let mut a = core(5, &parameters);
    let x = axon(&mut a, 0, &(0..20).map(|k| synapse(k, 2, 0)).collect::<Vec<_>>());
    let places: Vec<_> = (0..20).map(|k| place(5, k)).collect();
    let bundle = bundle(&[a], vec![vec![place(5, x)]], vec![population("n", 0, &places)]);
    let run = run(&bundle, &spikes(1, &[&[0][..]; 12]), 12);
    let expected = |k: u32| {
        let needs = [1, 2, 2][k as usize % 3]; // spikes of 2 until the sum passes 1 + k % 3
        let period = needs + k % 2;
        (12 - needs) / period + 1
    };
    assert_eq!(run.out_counts, (0..20).map(expected).collect::<Vec<_>>());
}

#[test]
fn removed_and_doubled_neurons() {
    let mut bundle = two_layers();
    // Output 0 was removed; hidden stands for two neurons of the network.
    bundle.host.decoder.outputs[0] = None;
    bundle.symbols.populations[1].neurons.remove(0);
    bundle.symbols.populations[0].shape = vec![2];
    bundle.symbols.populations[0].neurons = vec![(0, place(3, 0)), (1, place(3, 0))];
    let run = run(&bundle, &spikes(1, &[&[0]]), 1);
    assert_eq!((run.out_counts.clone(), run.first_spike.clone()), (vec![0, 1], vec![None, Some(0)]));
    assert_eq!((spikes_of(&run, 0), spikes_of(&run, 1)), (vec![(0, 0), (0, 1)], vec![(0, 1)]));
    assert_eq!(run.potentials, [0.0, 0.0]);
}

#[test]
fn samples_that_do_not_suit_are_refused() {
    let machine = boot(&two_layers());
    let try_run = |sample: &Stimulus, t: Option<u32>| {
        machine.run(sample, &RunOptions { steps: t, record: RECORD, ..RunOptions::default() }).unwrap_err()
    };
    assert_eq!(try_run(&spikes(2, &[&[0]]), None), RunError::Width { found: 2, expected: 1 });
    assert_eq!(try_run(&spikes(1, &[]), Some(0)), RunError::NoSteps);
    assert_eq!(try_run(&spikes(1, &[]), None), RunError::NoSteps);
    let wrong = Stimulus::Values(Values { width: 1, frames: vec![1.0], constant: true });
    assert_eq!(try_run(&wrong, Some(1)), RunError::ValuesGiven);
    assert!(try_run(&wrong, Some(1)).hint().contains("--input-coding bias"));
    assert!(matches!(try_run(&spikes(1, &[&[0]]), Some(u32::MAX)), RunError::TooManySteps { .. }));
    let Stimulus::Spikes(mut train) = spikes(1, &[&[0], &[0]]) else { unreachable!() };
    train.channels[1] = 7;
    assert_eq!(try_run(&Stimulus::Spikes(train.clone()), None), RunError::Malformed { step: 1, width: 1 });
    train.offsets[1] = 9;
    assert_eq!(try_run(&Stimulus::Spikes(train), None), RunError::Malformed { step: 0, width: 1 });

    let machine = boot(&analog());
    let try_run = |sample: &Stimulus, t: Option<u32>| {
        machine.run(sample, &RunOptions { steps: t, record: RECORD, ..RunOptions::default() }).unwrap_err()
    };
    assert_eq!(try_run(&spikes(3, &[&[0]]), None), RunError::SpikesGiven { encoder: "bias" });
    assert_eq!(try_run(&values(&[0.0; 3], true), None), RunError::NoSteps);
    assert_eq!(try_run(&values(&[0.0; 6], false), Some(3)), RunError::TooFewFrames { found: 2, expected: 3 });
    assert_eq!(try_run(&values(&[], true), Some(3)), RunError::TooFewFrames { found: 0, expected: 1 });
    assert_eq!(try_run(&values(&[0.0, f32::NAN, 0.0], true), Some(1)), RunError::NotFinite { frame: 0, channel: 1 });
    let batch = machine.run_batch(&[values(&[0.0; 3], true), spikes(3, &[&[0]])], &steps(1), &|| ());
    let expected = RunError::InSample { sample: 1, error: Box::new(RunError::SpikesGiven { encoder: "bias" }) };
    assert_eq!(batch.unwrap_err(), expected);
}

#[test]
fn default_steps_of_the_bundle_come_last() {
    let mut bundle = analog();
    bundle.host.default_steps = Some(5);
    let machine = boot(&bundle);
    let run = |sample: &Stimulus, t| machine.run(sample, &RunOptions { steps: t, ..RunOptions::default() }).unwrap().steps;
    assert_eq!(run(&values(&[0.0; 3], true), None), 5);
    assert_eq!(run(&values(&[0.0; 6], false), None), 2);
    assert_eq!(run(&values(&[0.0; 6], false), Some(1)), 1);
}

#[test]
fn batches_equal_single_runs_on_any_number_of_threads() {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
    let weights: Vec<i16> = (0..50 * 50).map(|_| rng.random_range(-50..60) * 2).collect();
    let machine = boot(&common::dense_net(&[30, 50, 5], 100, |l, pre, post| weights[(l * 37 + pre * 50 + post) % weights.len()]));
    let mut sample = || {
        let density = rng.random_range(0.0..0.6);
        let mut step = || (0..30).filter(|_| rng.random_bool(density)).collect::<Vec<u32>>();
        let channels: Vec<Vec<u32>> = (0..6).map(|_| step()).collect();
        Stimulus::Spikes(SpikeTrain::from_steps(30, channels))
    };
    let samples: Vec<Stimulus> = (0..40).map(|_| sample()).collect();
    let options = RunOptions { record: RECORD, ..RunOptions::default() };
    let single: Vec<SampleRun> = samples.iter().map(|s| machine.run(s, &options).unwrap()).collect();
    assert!(single.iter().any(|r| r.spikes.iter().any(|e| e.population == 1)), "the outputs must do something");
    assert!(single.iter().any(|r| r.out_counts != single[0].out_counts));
    for threads in [1, 2] {
        let done = std::sync::atomic::AtomicUsize::new(0);
        let on_done = || {
            done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let batch = pool.install(|| machine.run_batch(&samples, &options, &on_done)).unwrap();
        assert_eq!(batch.samples, single);
        assert_eq!(done.into_inner(), 40);
        let spikes: u64 = single.iter().map(|r| r.counters.neuron_spikes).sum();
        let ops: u64 = single.iter().map(|r| r.counters.per_core.iter().map(|c| c.synaptic_ops).sum::<u64>()).sum();
        assert_eq!((batch.totals.neuron_spikes, batch.totals.synaptic_ops), (spikes, ops));
    }
}

#[test]
fn utilization_is_counted_from_the_bits() {
    let machine = boot(&two_layers());
    let of = |core: usize, name: &str| {
        let (_, used, available) = machine.utilization()[core].resources.iter().find(|r| r.0 == name).unwrap();
        (*used, *available)
    };
    assert_eq!(machine.utilization().iter().map(|u| u.core).collect::<Vec<_>>(), [3, 9]);
    assert_eq!((of(0, "compartments"), of(1, "compartments")), ((1, 1024), (2, 1024)));
    assert_eq!((of(0, "in_axons"), of(0, "out_axon_entries"), of(1, "out_axon_entries")), ((1, 4096), (1, 4096), (0, 4096)));
    assert_eq!((of(0, "synapse_words"), of(0, "synapse_formats"), of(0, "delay_slots")), ((1, 16383), (1, 7), (1, 8192)));
}

#[test]
fn the_benchmark_net_gives_the_expected_events() {
    let Some((bundle, input)) = common::recurrent4096() else {
        eprintln!("recurrent4096.bin is not there: skipped");
        return;
    };
    let c = boot(&bundle).run(&input, &RunOptions::default()).unwrap().counters;
    // 537,965 that act, and 4,800 of the spikes of the last step.
    assert_eq!((c.neuron_spikes, c.synaptic_ops, c.u_wraps, c.v_clips), (13_367, 537_965 + 4800, 0, 0));
}
