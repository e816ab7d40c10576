//! Tests of the whole stage on small nets.

use super::weights::{acting_unit, ideal_mantissa};
use super::*;
use crate::finding::Severity;
use crate::fixednets::changed;
use crate::lower::{LowerOptions, lower};
use crate::testnets::{channels, loihi, population, projection, random_net, random_spikes};
use proptest::prelude::*;
use spikec_data::{SpikeTrain, Stimulus, Values};
use spikec_net::{Bias, FireRule, FixedNeuron, FloatNeuron, FloatRules, Interpreter, Projection, ResetRule, SignMode, WeightFormat};

const IF: FloatNeuron = FloatNeuron { keep_u: 0.0, keep_v: 1.0, gain: 1.0, bias: 0.0, threshold: 1.0, v_reset: 0.0 };
const BIAS: (i16, u8) = (4095, 7);

fn net(fire: FireRule, populations: Vec<Population<Float>>, projections: Vec<Projection<Float>>) -> Net<Float> {
    Net {
        name: "net".into(),
        rules: FloatRules { fire, reset: ResetRule::ToValue },
        output: PopulationId::from(populations.len() - 1),
        populations,
        projections,
        host_projections: Vec::new(),
    }
}

fn with(method: Quantizer, weight_bits: u8) -> QuantizeOptions {
    QuantizeOptions { weight_bits, method, ..QuantizeOptions::default() }
}

fn units(q: &Quantized) -> &[Vec<f64>] {
    match &q.scaling {
        Scaling::Scaled { v_units, .. } => v_units,
        Scaling::Exact => panic!("quantized nets are scaled"),
    }
}

/// In the order of the synapses.
fn weights(synapses: &spikec_net::Synapses<i16>) -> Vec<i16> {
    synapses.iter().map(|s| s.2).collect()
}

/// One layer on `n` inputs.
fn layer(fire: FireRule, neurons: Vec<FloatNeuron>, n: u32, synapses: Vec<(u32, u32, f32, u16)>) -> Net<Float> {
    net(fire, vec![channels(n), population("a", neurons)], vec![projection("fc", (0, 1), n as usize, synapses)])
}

#[test]
fn weights_that_are_on_the_grid_are_recovered() {
    let mantissas = [254i16, -100, 36, 2, -254, 88];
    let synapses = mantissas.iter().enumerate().map(|(i, &m)| (i as u32 % 3, i as u32 / 3, m as f32 / 1500.0, 0));
    let trained = layer(FireRule::Greater, vec![IF; 2], 3, synapses.collect());
    for method in [Quantizer::MaxAbs, Quantizer::RowScale] {
        let (q, report) = quantize(&trained, [0; 32], &loihi(), &with(method, 8)).unwrap();
        let p = &q.net.projections[0];
        assert_eq!(p.format, WeightFormat { bits: 8, exponent: 0, sign: SignMode::Mixed });
        let found: Vec<i16> = (0..6).map(|i| p.synapses.iter().find(|s| (s.0, s.1) == (i % 3, i / 3)).unwrap().2).collect();
        assert_eq!(found, mantissas, "{method:?}");
        assert!(q.net.populations[1].neurons().iter().all(|n| n.threshold == 1500));
        assert!(report.deviation_steps < 1e-3 && report.vanished == 0, "{report:?}");
    }
}

#[test]
fn a_sum_that_is_exactly_the_threshold_fires_only_with_greater_equal() {
    for fire in [FireRule::Greater, FireRule::GreaterEqual] {
        let trained = layer(fire, vec![IF; 2], 2, vec![(0, 0, 0.5, 0), (1, 0, 0.25, 0), (0, 1, 1.0, 0)]);
        let (q, _) = quantize(&trained, [0; 32], &loihi(), &QuantizeOptions::default()).unwrap();
        let sample = Stimulus::Spikes(SpikeTrain::from_steps(2, [vec![0], vec![0], vec![0], vec![1], vec![1]]));
        let float = Interpreter::new(&trained).unwrap().sample(&sample, None, false).unwrap();
        let (fixed, _) = Interpreter::new(&q.net).unwrap().sample(&sample, None, BIAS, false).unwrap();
        assert_eq!(float.out_counts, fixed.out_counts, "{fire:?}");
        assert_eq!(float.first_spike, fixed.first_spike, "{fire:?}");
        let ties = if fire == FireRule::GreaterEqual { vec![2, 3] } else { vec![1, 1] };
        assert_eq!(fixed.out_counts, ties);
    }
}

#[test]
fn one_sign_has_one_more_bit() {
    let trained = layer(FireRule::Greater, vec![IF], 2, vec![(0, 0, -1.0, 0), (1, 0, -0.003, 0)]);
    let (q, _) = quantize(&trained, [0; 32], &loihi(), &with(Quantizer::MaxAbs, 8)).unwrap();
    let p = &q.net.projections[0];
    assert_eq!((p.format.sign, weights(&p.synapses)), (SignMode::Inhibitory, vec![-255, -1]));
    let mut mixed = loihi();
    let packed = mixed.packed_mut();
    packed.weights.signs.value = vec![spikec_chip::target::Sign::Mixed];
    let (q, report) = quantize(&trained, [0; 32], &mixed, &with(Quantizer::MaxAbs, 8)).unwrap();
    assert_eq!((q.net.projections[0].format.sign, weights(&q.net.projections[0].synapses)), (SignMode::Mixed, vec![-254]));
    assert_eq!((report.vanished, report.synapses), (1, 1));
}

#[test]
fn a_projection_of_small_weights_gets_a_smaller_exponent() {
    let trained = net(
        FireRule::Greater,
        vec![channels(2), population("a", vec![IF; 2])],
        vec![
            projection("large", (0, 1), 2, vec![(0, 0, 1.0, 0), (1, 1, -1.0, 0)]),
            projection("small", (0, 1), 2, vec![(0, 1, 0.01, 0), (1, 0, -0.02, 0)]),
        ],
    );
    let (q, report) = quantize(&trained, [0; 32], &loihi(), &QuantizeOptions::default()).unwrap();
    let exponents: Vec<i8> = q.net.projections.iter().map(|p| p.format.exponent).collect();
    assert_eq!(exponents, [3, -1], "level 1024 and more needs 2^3; 2^-1 is the last that acts without rounding");
    assert!(report.projections[1].relative_error < 0.02, "{report:?}");
    assert!(q.net.populations[1].neurons()[0].threshold >= 1024);
}

#[test]
fn constant_sources_and_biases_keep_their_rate() {
    // No synapse at all: thresholds of 1024 mantissas; leak and reset as trained.
    let neuron = FloatNeuron { keep_v: 0.9, bias: 0.3, v_reset: 0.25, ..IF };
    let trained = net(FireRule::Greater, vec![channels(1), population("a", vec![neuron; 2])], vec![]);
    let (q, report) = quantize(&trained, [0; 32], &loihi(), &QuantizeOptions::default()).unwrap();
    assert_eq!(q.net.populations[1].neurons()[0].threshold, 1024);
    let sample = Stimulus::Spikes(SpikeTrain::from_steps(1, vec![vec![]; 60]));
    let float = Interpreter::new(&trained).unwrap().sample(&sample, None, false).unwrap();
    let (fixed, _) = Interpreter::new(&q.net).unwrap().sample(&sample, None, BIAS, false).unwrap();
    assert!(float.out_counts[0] > 5);
    assert_eq!(float.out_counts, fixed.out_counts);
    assert!(report.populations[1].keep_v_error < 0.5 / 4096.0 && report.populations[1].bias_error <= 8.0);
}

#[test]
fn host_sums_become_biases_of_the_same_spikes() {
    let neuron = FloatNeuron { keep_v: 0.5, gain: 0.5, bias: 0.125, v_reset: -0.25, ..IF };
    let mut trained = net(FireRule::GreaterEqual, vec![channels(4), population("a", vec![neuron; 3])], vec![]);
    trained.populations[0].role = Role::AnalogInput;
    trained.host_projections.push(HostProjection {
        name: "fc".into(),
        pre: PopulationId(0),
        post: PopulationId(1),
        offsets: vec![0, 2, 4, 4],
        channels: vec![0, 1, 2, 3],
        weights: vec![1.0, 0.7, -0.5, 2.3],
        constants: vec![0.0, 0.3, 0.0],
        gains: vec![1.0; 3],
        delay_steps: 0,
    });
    let (q, _) = quantize(&trained, [0; 32], &loihi(), &QuantizeOptions::default()).unwrap();
    let values = Values { width: 4, frames: vec![0.9, 1.3, 0.8, 1.1], constant: true };
    let sample = Stimulus::Values(values);
    let float = Interpreter::new(&trained).unwrap().sample(&sample, Some(40), false).unwrap();
    let (fixed, saturated) = Interpreter::new(&q.net).unwrap().sample(&sample, Some(40), BIAS, false).unwrap();
    assert!(float.out_counts[0] > 3 && float.out_counts[1] > 3 && float.out_counts[2] == 0);
    assert_eq!((fixed.out_counts, saturated), (float.out_counts, 0));
    for (j, potential) in fixed.potentials.iter().enumerate() {
        let back = potential / units(&q)[1][j] + neuron.v_reset as f64;
        assert!((back - float.potentials[j]).abs() < 1e-3, "{back} {}", float.potentials[j]);
    }

    trained.populations[1] = population("a", vec![FloatNeuron { keep_u: 0.5, ..neuron }; 3]);
    let error = quantize(&trained, [0; 32], &loihi(), &QuantizeOptions::default()).unwrap_err();
    assert!(error.to_string().contains("share of the current that a keeps"), "{error}");
    assert!(error.hint().contains("--input-coding"));
}

#[test]
fn potentials_can_be_compared_where_they_are() {
    let readout = FloatNeuron { threshold: f32::INFINITY, keep_v: 0.75, ..IF };
    let synapses = vec![(0, 0, 0.9, 0), (1, 0, -0.1, 0), (0, 1, 0.02, 0), (1, 1, 0.01, 0)];
    let trained = layer(FireRule::Greater, vec![readout; 2], 2, synapses.clone());
    let (q, _) = quantize(&trained, [0; 32], &loihi(), &QuantizeOptions::default()).unwrap();
    assert_eq!(units(&q)[1][0], units(&q)[1][1]);
    assert!(q.net.populations[1].neurons().iter().all(|n| n.threshold == 131_071));
    // The same for neurons that fire, only when asked.
    let trained = layer(FireRule::Greater, vec![IF, FloatNeuron { threshold: 0.5, ..IF }], 2, synapses);
    let scales = |comparable_outputs| {
        let options = QuantizeOptions { comparable_outputs, ..QuantizeOptions::default() };
        let (q, _) = quantize(&trained, [0; 32], &loihi(), &options).unwrap();
        let thresholds: Vec<f64> = q.net.populations[1].neurons().iter().map(|n| n.threshold as f64).collect();
        (units(&q)[1].clone(), thresholds)
    };
    let (one, thresholds) = scales(true);
    assert_eq!(one[0], one[1]);
    assert!((thresholds[0] / 2.0 - thresholds[1]).abs() <= 0.5);
    assert_ne!(scales(false).0[0], scales(false).0[1]);
}

#[test]
fn what_no_register_holds_is_refused_by_name() {
    let plain = || layer(FireRule::Greater, vec![IF], 1, vec![(0, 0, 1.0, 0)]);
    let refuse = |net: &Net<Float>, bits| quantize(net, [0; 32], &loihi(), &with(Quantizer::RowScale, bits)).unwrap_err();
    for bits in [0, 9] {
        assert_eq!(refuse(&plain(), bits), QuantizeError::WeightBits { found: bits, max: 8 });
    }
    let mut soft = plain();
    soft.rules.reset = ResetRule::Subtract;
    let error = refuse(&soft, 8);
    assert!(error.to_string().contains("C13 a: neurons with soft reset") && error.hint().contains("--reset leak"), "{error}");
    let mut never = layer(FireRule::Greater, vec![FloatNeuron { threshold: 1.0, v_reset: 1.0, ..IF }], 1, vec![(0, 0, 1.0, 0)]);
    never.populations[1].origin = vec![7];
    let text = refuse(&never, 8).to_string();
    assert!(text.contains("C13 a: threshold above the reset potential, neuron 7: need 0") && text.contains("more than 0"), "{text}");
    // All at once.
    never.rules.reset = ResetRule::Subtract;
    never.populations[1] = population("a", vec![FloatNeuron { keep_v: 2.0, ..IF }, FloatNeuron { threshold: 0.0, ..IF }, IF]);
    let target = changed(|p| p.neuron.refractory.value = (2, 63));
    let found = quantize(&never, [0; 32], &target, &QuantizeOptions::default()).unwrap_err();
    let kinds: Vec<&str> = found.findings().iter().map(|f| f.resource.as_str()).collect();
    let expected = [
        "neurons with soft reset (v - threshold) that keep more of their potential than a current can",
        "share of the potential kept, neuron 0",
        "smallest refractory period (steps)",
        "threshold above the reset potential, neuron 1",
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn thresholds_stay_where_v_can_pass_them() {
    let target = changed(|p| p.neuron.v_max.value = 6500);
    let net = layer(FireRule::Greater, vec![IF; 2], 2, vec![(0, 0, 1.0, 0), (1, 1, 0.001, 0)]);
    let (q, _) = quantize(&net, [0; 32], &target, &QuantizeOptions::default()).unwrap();
    for n in q.net.populations[1].neurons() {
        assert!((n.threshold as i32) << 6 < 6500, "{n:?}");
    }
    let mut given = q.net;
    given.rules = FixedRules::default();
    let Role::Neurons(neurons) = &mut given.populations[1].role else { panic!() };
    (neurons[0].threshold, neurons[1].threshold) = (101, 102);
    let (_, report) = adopt(given, [0; 32], &target).unwrap();
    let found: Vec<_> = report.findings.iter().filter(|f| f.code == "C13").map(|f| (f.need, f.limit, f.resource.clone())).collect();
    assert_eq!(found, [(102.0, 101.0, "threshold mantissa below v_max (1 neurons never fire)".to_string())]);
}

#[test]
fn worst_cases_are_bounded_and_warned_about() {
    // 500 weights of one threshold each in a step: q holds 32,768 levels and u 131,072.
    let synapses = (0..600).map(|i| (i, 0, if i < 500 { 1.0 } else { -1.0 }, 0)).collect();
    let neuron = FloatNeuron { keep_u: 0.75, keep_v: 0.5, ..IF };
    let (q, report) =
        quantize(&layer(FireRule::Greater, vec![neuron], 600, synapses), [0; 32], &loihi(), &with(Quantizer::MaxAbs, 8)).unwrap();
    let p = &q.net.projections[0];
    let acting: i64 =
        weights(&p.synapses).iter().filter(|m| **m > 0).map(|&m| q.net.rules.acting_weight(m, p.format.exponent) as i64).sum();
    let bounds = &report.populations[1];
    assert_eq!(bounds.bound_q, acting as f64);
    assert_eq!(bounds.bound_u, 4.0 * acting as f64);
    assert_eq!(p.format.exponent, -1, "u could wrap: the exponent goes as low as is free");
    let found: Vec<_> = report.findings.iter().map(|f| (f.code, f.severity, f.resource.split(' ').next().unwrap(), f.need)).collect();
    let expected = [("C14", Severity::Warning, "q,", acting as f64), ("C14", Severity::Warning, "u", 4.0 * acting as f64)];
    assert_eq!(found, expected);
    // A readout without leak has no bound.
    let readout = FloatNeuron { threshold: f32::INFINITY, ..IF };
    let (_, report) =
        quantize(&layer(FireRule::Greater, vec![readout], 1, vec![(0, 0, 1.0, 0)]), [0; 32], &loihi(), &with(Quantizer::MaxAbs, 8))
            .unwrap();
    assert_eq!(report.populations[1].bound_v, None);
    assert!(report.findings.iter().any(|f| f.resource.starts_with("v of a readout")));
}

/// What takes a threshold away does so once for each spike, and is no inhibition of every step.
#[test]
fn what_takes_thresholds_away_is_no_inhibition() {
    let neuron = FloatNeuron { keep_v: 0.99, ..IF };
    let mut net = layer(FireRule::Greater, vec![neuron], 3, vec![(0, 0, 0.01, 0), (1, 0, 0.002, 0), (2, 0, -0.002, 0)]);
    net.rules.reset = ResetRule::Subtract;
    let (q, report) = quantize(&net, [0; 32], &loihi(), &with(Quantizer::MaxAbs, 8)).unwrap();
    let (p, n) = (&q.net.projections[0], q.net.populations[1].neurons()[0]);
    assert!(q.net.projections.len() > 1 && report.soft.len() == 1);
    let acting = |sign: i64| {
        let weights = weights(&p.synapses).into_iter().map(|m| i64::from(q.net.rules.acting_weight(m, p.format.exponent)) * sign);
        weights.filter(|&w| w > 0).sum::<i64>() as f64
    };
    let bounds = &report.populations[1];
    assert_eq!(bounds.bound_q, acting(1));
    let (threshold, below) = (f64::from(n.threshold << 6), acting(-1) * 4096.0 / f64::from(n.decay_u));
    assert_eq!(bounds.bound_u, (acting(1) + threshold).max(below));
    assert_eq!(report.findings, []);
}

/// A convolution of random weights, in floats.
fn convolution() -> Net<Float> {
    let axis = spikec_net::Axis { size: 6, kernel: 3, stride: 1, dilation: 1, padding: [0, 0] };
    let weight = (0..18).map(|k| (k * 7 % 11) as f32 / 10.0 - 0.3).collect();
    let conv = spikec_net::Conv { channels: 1, outputs: 2, groups: 1, axes: vec![axis; 2], weight };
    let mut net = layer(FireRule::Greater, vec![FloatNeuron { keep_v: 0.5, ..IF }; 32], 36, vec![]);
    net.populations[0].shape = vec![1, 6, 6];
    net.populations[1].shape = vec![2, 4, 4];
    net.projections[0].synapses = conv.synapses().unwrap();
    net
}

#[test]
fn tuning_that_was_not_done_is_said_and_no_choice() {
    let dense = |i: u32, j: u32| (i, j, ((i * 5 + j * 3) % 7) as f32 / 7.0 - 0.2, 0);
    let single = layer(FireRule::Greater, vec![IF; 4], 6, (0..6).flat_map(|i| (0..4).map(move |j| dense(i, j))).collect());
    for (net, kernels) in [(convolution(), true), (single, false)] {
        let options = crate::CompileOptions {
            tune: true,
            quantizer: Quantizer::Reconstruct,
            calibration: (0..8).map(|seed| random_spikes(&net, seed, 10)).collect::<Vec<_>>().into(),
            provenance: vec![("tune".into(), "calibration".into()), ("x".into(), "y".into())],
            ..crate::CompileOptions::default()
        };
        let input = crate::Input::Trained { net: &net, digest: [0; 32] };
        let compiled = crate::compile(input, &loihi(), &options, &mut |_| ()).unwrap();
        let said = compiled.report.quantization.findings.iter().any(|f| f.code == "C12" && f.resource.contains("nothing is tuned"));
        let tuned = compiled.bundle.provenance.options.iter().any(|o| o.0 == "tune");
        assert_eq!((said, tuned), (kernels, !kernels));
        assert_eq!(compiled.report.quantization.tuned.is_some(), !kernels);
        assert!(compiled.bundle.provenance.options.iter().any(|o| o.0 == "x"));
    }
}

#[test]
fn adopting_lists_every_violation_and_changes_only_the_rules() {
    let good = FixedNeuron { decay_u: 4096, decay_v: 0, threshold: 10, refractory: 1, bias: Bias { mantissa: 5, exponent: 1 } };
    let make = |neurons: Vec<FixedNeuron>, format: WeightFormat, weights: &[i16]| Net::<Fixed> {
        name: "registers".into(),
        rules: FixedRules { u_bits: 20, ..FixedRules::default() },
        populations: vec![
            Population { name: "in".into(), shape: vec![1], origin: vec![0], skew: 0, role: Role::SpikeInput },
            Population { name: "a".into(), shape: vec![2], origin: vec![0, 1], skew: 0, role: Role::Neurons(neurons) },
        ],
        projections: vec![Projection {
            name: "fc".into(),
            pre: PopulationId(0),
            post: PopulationId(1),
            format,
            synapses: spikec_net::Synapses::from_tuples(
                1,
                weights.iter().enumerate().map(|(j, &w)| (0, j as u32, w, 63 * j as u16)).collect(),
            ),
        }],
        host_projections: Vec::new(),
        output: PopulationId(1),
    };
    let format = WeightFormat { bits: 8, exponent: 0, sign: SignMode::Mixed };
    let (q, report) = adopt(make(vec![good; 2], format, &[4]), [3; 32], &loihi()).unwrap();
    assert_eq!((q.scaling, q.net.rules.u_bits, q.network_digest), (Scaling::Exact, 24, [3; 32]));
    assert_eq!((report.populations[1].bound_q, report.deviation_steps), (256.0, 0.0));

    let bad = FixedNeuron { decay_u: 0, decay_v: 4096, threshold: 0, refractory: 0, bias: Bias { mantissa: 4096, exponent: 8 } };
    let broken = make(vec![good, bad], WeightFormat { exponent: 8, ..format }, &[3, 300]);
    let error = adopt(broken, [0; 32], &loihi()).unwrap_err();
    let found: Vec<_> = error.findings().iter().map(|f| (f.code, f.resource.split(" (").next().unwrap(), f.need)).collect();
    let expected = [
        ("C11", "delay register", 63.0),
        ("C12", "weight exponent", 8.0),
        ("C12", "weight mantissa", 300.0),
        ("C12", "weight mantissa off the grid", 3.0),
        ("C13", "bias exponent", 8.0),
        ("C13", "bias mantissa", 4096.0),
        ("C13", "decay of u", 0.0),
        ("C13", "decay of v", 4096.0),
        ("C13", "refractory period", 0.0),
        ("C13", "threshold mantissa", 0.0),
    ];
    let mut sorted = found.clone();
    sorted.sort_by_key(|f| (f.0, f.1));
    assert_eq!(sorted, expected);
    assert!(error.findings().iter().all(|f| f.layer.is_some()));
}

#[test]
fn profiles_are_allotted_by_neurons() {
    let of = |sizes: &[usize], profiles| {
        let populations = sizes.iter().map(|&n| if n == 0 { channels(3) } else { population("p", vec![IF; n]) });
        allot(&net(FireRule::Greater, populations.collect(), vec![]), profiles, Quantizer::RowScale)
    };
    assert_eq!(of(&[0, 800, 10], 8), [0, 7, 1]);
    assert_eq!(of(&[0, 100, 100, 50], 8), [0, 3, 3, 2]);
    assert_eq!(of(&[3, 3, 3], 2), [1, 1, 1]);
    assert_eq!(of(&[0], 8), [0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn every_quantized_net_obeys_the_law(seed in any::<u64>(), bits in 2u8..=8, max_abs in any::<bool>()) {
        let target = loihi();
        let method = if max_abs { Quantizer::MaxAbs } else { Quantizer::RowScale };
        let (trained, _) = lower(random_net(seed), &target, &LowerOptions::default()).unwrap();
        let (q, report) = quantize(&trained, [0; 32], &target, &with(method, bits)).unwrap();
        prop_assert!(q.net.check().is_ok());
        let (v_units, deviation) = (units(&q), report.deviation_steps);
        prop_assert_eq!(&q.scaling, &Scaling::Scaled { v_units: v_units.to_vec(), deviation_steps: deviation, bias_deviation: 0.0 });

        for (float, fixed) in trained.projections.iter().zip(&q.net.projections) {
            prop_assert_eq!(fixed.format.bits, bits);
            let grid = (1i16 << fixed.format.grid_shift()) as f64;
            let (least, most) = fixed.format.mantissa_range();
            let mut rest = fixed.synapses.iter().peekable();
            for (i, j, w, d) in float.synapses.iter() {
                let m = rest.next_if(|s| (s.0, s.1, s.3) == (i, j, d)).map_or(0, |s| s.2);
                let gain = trained.population(float.post).neurons()[j as usize].gain as f64;
                let ideal = ideal_mantissa(w, gain, v_units[float.post.index()][j as usize], fixed.format, &q.net.rules);
                let held = q.net.rules.held_mantissa(fixed.format, ideal);
                prop_assert!((m as f64 - held).abs() / grid <= deviation + 1e-9, "{m} {ideal}");
                prop_assert!(m == 0 || (m > 0) == (w > 0.0));
            }
            prop_assert!(rest.next().is_none(), "a synapse that the network lacks");
            for &m in fixed.synapses.distinct_weights() {
                prop_assert!(m != 0 && (least..=most).contains(&m) && fixed.format.on_grid(m) == m);
                let acting = q.net.rules.acting_weight(m, fixed.format.exponent) as f64;
                prop_assert_eq!(acting, m as f64 * acting_unit(fixed.format, &q.net.rules));
            }
        }
        prop_assert!(deviation <= 0.5, "{}", deviation);
        let clipped: u64 = report.projections.iter().map(|p| p.clipped).sum();
        prop_assert!(!max_abs || clipped == 0 || report.projections.iter().all(|p| p.max_error_steps < 0.501), "nothing clips");
        let profiles: usize = report.populations.iter().map(|p| p.thresholds.len()).sum();
        prop_assert!(profiles <= 8, "{profiles}");
        for (p, population) in trained.populations.iter().enumerate() {
            for (j, n) in population.neurons().iter().enumerate() {
                let fixed = q.net.populations[p].neurons()[j];
                prop_assert!((1..=131_071).contains(&fixed.threshold));
                if n.threshold.is_finite() {
                    let below = (trained.rules.fire == FireRule::GreaterEqual) as u32;
                    let level = (n.threshold as f64 - n.v_reset as f64) * v_units[p][j] / 64.0;
                    prop_assert!((level - (fixed.threshold + below) as f64).abs() < 1e-6 * level, "{level}");
                }
            }
        }
        // The same input twice gives the same registers.
        prop_assert_eq!(&q, &quantize(&trained, [0; 32], &target, &with(method, bits)).unwrap().0);
    }

    #[test]
    fn row_scales_are_at_least_as_good_as_one_scale(seed in any::<u64>(), bits in 2u8..=8) {
        let target = loihi();
        let (trained, _) = lower(random_net(seed), &target, &LowerOptions::default()).unwrap();
        let error = |method| {
            let report = quantize(&trained, [0; 32], &target, &with(method, bits)).unwrap().1;
            report.projections.iter().map(|p| p.relative_error).collect::<Vec<_>>()
        };
        // Each population's sum falls, not each projection's: compare where a population has one projection.
        let alone = |k: usize| trained.projections.iter().filter(|p| p.post == trained.projections[k].post).count() == 1;
        for (k, (row, max)) in error(Quantizer::RowScale).into_iter().zip(error(Quantizer::MaxAbs)).enumerate() {
            prop_assert!(!alone(k) || row <= max * 1.001 + 1e-6, "{row} {max}");
        }
    }

    #[test]
    fn eight_bits_spike_nearly_as_floats(seed in any::<u64>()) {
        let target = loihi();
        let (trained, _) = lower(random_net(seed), &target, &LowerOptions::default()).unwrap();
        let (q, _) = quantize(&trained, [0; 32], &target, &QuantizeOptions::default()).unwrap();
        let sample = random_spikes(&trained, seed ^ 7, 4);
        let float = Interpreter::new(&trained).unwrap().sample(&sample, None, true).unwrap();
        let (fixed, _) = Interpreter::new(&q.net).unwrap().sample(&sample, None, BIAS, true).unwrap();
        let count = |spikes: &[Vec<Vec<u32>>]| spikes.iter().flatten().map(Vec::len).sum::<usize>();
        let differ: usize = float.spikes.iter().zip(&fixed.spikes).flat_map(|(a, b)| a.iter().zip(b)).map(|(a, b)| {
            a.iter().filter(|i| !b.contains(i)).count() + b.iter().filter(|i| !a.contains(i)).count()
        }).sum();
        // One neuron that differs makes those behind it differ, most in nets with few spikes; over 4 steps that stays small.
        prop_assert!(differ * 4 <= count(&float.spikes) + 32, "{} of {} spikes differ", differ, count(&float.spikes));
    }
}
