//! Networks in floats, the whole way: constants that enter filtered currents, random networks against their reference.

use spikec_chip::Bundle;
use spikec_compile::{CompileOptions, Input};
use spikec_data::Stimulus;
use spikec_import::{ImportOptions, Model};
use spikec_net::{Float, InputCoding, InputKind, Net, Network, PopulationId, code_inputs};
use spikec_sim::{Machine, Record, RunOptions};
use spikec_testkit::generate;
use spikec_verify::{Given, check_behaviour, check_image, loss};
use std::path::Path;

fn bundle_of(net: &Net<Float>, digest: [u8; 32], options: &CompileOptions) -> Result<Bundle, spikec_compile::CompileError> {
    let target = spikec_chip::find("loihi1").expect("built in");
    Ok(spikec_compile::compile(Input::Trained { net, digest }, &target, options, &mut |_| ())?.bundle)
}

/// Image and behaviour of `bundle` are those of `net`.
#[track_caller]
fn verifies(bundle: &Bundle, net: &Net<Float>, digest: [u8; 32], samples: &[Stimulus], steps: Option<u32>) {
    let image = check_image(bundle, &Given::Trained { net, digest }).unwrap_or_else(|e| panic!("{e}"));
    assert!(image.holds(), "{:?}", image.differences);
    let machine = Machine::boot(bundle.loadable()).unwrap_or_else(|e| panic!("{e}"));
    let behaviour = check_behaviour(bundle, &machine, samples, steps, &|| ()).unwrap_or_else(|e| panic!("{e}"));
    assert!(behaviour.holds(), "{:?}", behaviour.first_divergence);
}

/// Two layers of CubaLIF with constants (one of them 0), and a CubaLI readout with one.
const CONSTANTS: &str = r#"Trained(
    name: "constants", dt: 1.0,
    populations: [
        (name: "in", shape: [2], neurons: Input),
        (name: "hidden", shape: [3], neurons: CubaLif(tau_syn: 2.0, tau_mem: 4.0, v_threshold: 1.0)),
        (name: "out", shape: [2], neurons: CubaLif(tau_syn: 4.0, tau_mem: 2.0, v_threshold: 0.5)),
    ],
    projections: [
        (pre: "in", post: "hidden", delay: 2, chain: [Linear(weight: [2.0, 0.0, -1.0, 3.0, 0.5, 0.5]), Bias(bias: [1.5, 0.0, -0.25])]),
        (pre: "hidden", post: "out", chain: [Linear(weight: [1.0, 2.0, 0.0, -1.0, 0.0, 1.5]), Bias(bias: [0.125, 1.0])]),
    ],
    output: "out",
)"#;

fn network(text: &str) -> Network {
    let nothing = |p: &Path| Err(std::io::Error::other(format!("{} is not wanted", p.display())));
    let options = ImportOptions { name: "net".into(), ..ImportOptions::default() };
    match spikec_import::read(Path::new("net.ron"), text.as_bytes(), &options, &nothing).unwrap_or_else(|e| panic!("{e}")).model {
        Model::Trained(network) => network,
        Model::Registers(_) => panic!("a network in floats"),
    }
}

#[test]
fn constants_enter_filtered_currents_from_step_0_on() {
    let network = network(CONSTANTS);
    let (net, digest) = (network.elaborate(InputKind::Spikes).unwrap(), network.digest());
    let bundle =
        bundle_of(&net, digest, &CompileOptions { quantizer: spikec_compile::Quantizer::MaxAbs, ..CompileOptions::default() }).unwrap();
    let skews: Vec<(&str, u32)> = bundle.symbols.populations.iter().map(|p| (p.name.as_str(), p.skew)).collect();
    assert_eq!(skews, [("in", 0), ("hidden", 1), ("out", 2), ("constant", 0)]);
    let silence = Stimulus::Spikes(spikec_data::SpikeTrain::from_steps(2, vec![Vec::<u32>::new(); 40]));
    let samples: Vec<Stimulus> =
        (0..6).map(|s| Stimulus::Spikes(generate::random_spikes(s, 2, 40, 0.3))).chain([silence.clone()]).collect();
    verifies(&bundle, &net, digest, &samples, None);
    // Without input, hidden neuron 0 is a CubaLIF with the current 1.5 in every step: keep_u 1/2, keep_v 3/4, gain 1/8.
    let machine = Machine::boot(bundle.loadable()).unwrap();
    let run = machine.run(&silence, &RunOptions { record: Record { spikes: true, ..Record::default() }, ..RunOptions::default() }).unwrap();
    let found: Vec<u32> = run.spikes.iter().filter(|s| (s.population, s.neuron) == (1, 0)).map(|s| s.step).collect();
    let (mut u, mut v, mut expected) = (0.0, 0.0, Vec::new());
    for t in 0..40 {
        u = 0.5 * u + 1.5;
        v = 0.75 * v + 0.125 * u;
        if v > 1.0 {
            v = 0.0;
            expected.push(t);
        }
    }
    assert!(expected.len() > 3 && found == expected, "{found:?}, expected {expected:?}");
    let source = run.spikes.iter().filter(|s| s.population == 3).map(|s| s.step);
    assert!(source.eq(0..40), "the source fires in every network step");
}

#[test]
fn coded_values_reach_filtered_currents_with_their_constants() {
    let network = network(CONSTANTS);
    let (plain, digest) = (network.elaborate(InputKind::Analog).unwrap(), network.digest());
    let net = code_inputs(plain.clone(), InputCoding::Rate { full_scale: 1.0 }).unwrap();
    let encoder = spikec_chip::bundle::Encoder::Rate { full_scale: 1.0 };
    let bundle = bundle_of(&net, digest, &CompileOptions { encoder, default_steps: Some(30), ..CompileOptions::default() }).unwrap();
    let samples: Vec<Stimulus> = (0..4).map(|s| Stimulus::Values(generate::random_values(s, 2, None))).collect();
    verifies(&bundle, &net, digest, &samples, None);
    let set = spikec_data::DataSet { width: 2, samples, labels: None };
    loss(&plain, &bundle, &set, None, &|| ()).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn random_networks_run_as_their_reference_and_verify() {
    let (mut compiled, mut sources) = (0, 0);
    for seed in 0..80 {
        let network = generate::random_network(seed);
        let (net, digest) = (network.elaborate(InputKind::Spikes).unwrap(), network.digest());
        // Loops that are too tight for the chip are refused, and nothing may be left of a net.
        let Ok(bundle) = bundle_of(&net, digest, &CompileOptions::default()) else { continue };
        compiled += 1;
        sources += usize::from(net.populations.len() > network.populations.len());
        assert!(net.populations.len() <= network.populations.len() + 1);
        assert_eq!(net.output, PopulationId::from(network.populations.len() - 1));
        let samples: Vec<Stimulus> =
            (0..3).map(|k| Stimulus::Spikes(generate::random_spikes(seed * 10 + k, net.spike_width() as u32, 20, 0.3))).collect();
        verifies(&bundle, &net, digest, &samples, None);
    }
    assert!(compiled > 40 && sources > 5, "{compiled} of 80 compiled, {sources} with a constant source");
}

#[test]
fn reconstructed_random_networks_verify_at_every_width_and_with_split_signs() {
    use spikec_compile::{Quantizer, Signs};
    let (mut compiled, mut moved, mut split) = (0, 0, 0);
    for seed in 0..48 {
        let network = generate::random_network(seed);
        let (net, digest) = (network.elaborate(InputKind::Spikes).unwrap(), network.digest());
        let samples: Vec<Stimulus> =
            (0..12).map(|k| Stimulus::Spikes(generate::random_spikes(seed * 100 + k, net.spike_width() as u32, 20, 0.3))).collect();
        let options = |calibration: &[Stimulus]| CompileOptions {
            weight_bits: 1 + (seed % 8) as u8,
            signs: if seed % 3 == 0 { Signs::Split } else { Signs::Mixed },
            quantizer: Quantizer::Reconstruct,
            calibration: calibration.to_vec().into(),
            ..CompileOptions::default()
        };
        let Ok(bundle) = bundle_of(&net, digest, &options(&samples[3..])) else { continue };
        compiled += 1;
        let image = check_image(&bundle, &Given::Trained { net: &net, digest }).unwrap();
        moved += usize::from(image.rounding.declared_bias > 0.0);
        let q = <spikec_net::Quantized>::from_bytes(&bundle.reference).unwrap();
        split += usize::from(q.net.projections.iter().any(|p| p.format.sign == spikec_net::SignMode::Split));
        verifies(&bundle, &net, digest, &samples[..3], None);
        // Zeros stay zero.
        assert!(q.net.synapse_count() <= net.synapse_count());
        // A bias that moved farther than declared is found.
        if let (true, spikec_net::Scaling::Scaled { v_units, deviation_steps, bias_deviation }) =
            (image.rounding.bias_moved > 0.05, q.scaling.clone())
        {
            let less = spikec_net::Scaling::Scaled { v_units, deviation_steps, bias_deviation: bias_deviation * 0.5 };
            let mutant = Bundle { reference: spikec_net::Quantized { scaling: less, ..q.clone() }.to_bytes(), ..bundle.clone() };
            let verdict = check_image(&mutant, &Given::Trained { net: &net, digest }).unwrap();
            assert!(verdict.differences.iter().any(|d| d.field == spikec_verify::Field::Bias), "{:?}", verdict.differences);
        }
        // The same on any number of threads; without samples it is the row scale.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let again = pool.install(|| bundle_of(&net, digest, &options(&samples[3..]))).unwrap();
        assert!(again.to_bytes() == bundle.to_bytes(), "seed {seed}");
        if let Ok(plain) = bundle_of(&net, digest, &options(&[])) {
            let by_weights = bundle_of(&net, digest, &CompileOptions { quantizer: Quantizer::RowScale, ..options(&[]) }).unwrap();
            assert_eq!(plain.reference, by_weights.reference);
        }
    }
    assert!(compiled > 20 && moved > 10 && split > 5, "{compiled} compiled, {moved} with moved biases, {split} with split signs");
}

#[test]
fn a_population_that_hears_too_much_to_be_reconstructed_is_rounded_by_row_scale_and_says_so() {
    let weights: Vec<String> = (0..8193).map(|k| format!("{}", 0.01 + 0.0001 * f64::from(k % 97))).collect();
    let text = format!(
        r#"Trained(
            name: "wide", dt: 1.0,
            populations: [(name: "in", shape: [8193], neurons: Input), (name: "out", shape: [1], neurons: Lif(tau: 2.0, v_threshold: 4.0))],
            projections: [(pre: "in", post: "out", chain: [Linear(weight: [{}])])],
            output: "out",
        )"#,
        weights.join(", ")
    );
    let net = network(&text).elaborate(InputKind::Spikes).unwrap();
    let target = spikec_chip::find("loihi1").unwrap();
    let calibration = vec![Stimulus::Spikes(generate::random_spikes(1, 8193, 5, 0.1))];
    let options =
        CompileOptions { quantizer: spikec_compile::Quantizer::Reconstruct, calibration: calibration.into(), ..CompileOptions::default() };
    // One core has too few axons for it as well; `check` finds everything.
    let found = spikec_compile::check(Input::Trained { net: &net, digest: [0; 32] }, &target, &options).unwrap();
    let said = found.iter().find(|f| f.resource == "axons to reconstruct with").unwrap_or_else(|| panic!("{found:?}"));
    assert_eq!((said.layer.as_deref(), said.need, said.limit), (Some("out"), 8193.0, 8192.0));
}

/// One neuron with many weights and one that is larger than the format's range at the scale that is best for the many.
fn clipped_net() -> Net<Float> {
    let weights: Vec<String> =
        (0..200).map(|k| if k == 0 { "0.9".into() } else { format!("{}", 0.1 + 0.002 * f64::from(k % 97)) }).collect();
    let text = format!(
        r#"Trained(
            name: "clipped", dt: 1.0,
            populations: [(name: "in", shape: [200], neurons: Input), (name: "out", shape: [1], neurons: Lif(tau: 2.0, v_threshold: 4.0))],
            projections: [(pre: "in", post: "out", chain: [Linear(weight: [{}])])],
            output: "out",
        )"#,
        weights.join(", ")
    );
    network(&text).elaborate(InputKind::Spikes).unwrap()
}

#[test]
fn a_weight_one_grid_step_away_is_found_where_others_are_clipped() {
    let net = clipped_net();
    let bundle = bundle_of(&net, [7; 32], &CompileOptions { weight_bits: 4, ..CompileOptions::default() }).unwrap();
    let given = Given::Trained { net: &net, digest: [7; 32] };
    let verdict = check_image(&bundle, &given).unwrap();
    assert!(verdict.holds(), "{:?}", verdict.differences);
    assert!(verdict.rounding.clipped_weights == 1 && verdict.rounding.clip_steps > 1.0, "{:?}", verdict.rounding);
    assert!(verdict.rounding.declared_steps <= 0.5, "{:?}", verdict.rounding);
    let quantized = <spikec_net::Quantized>::from_bytes(&bundle.reference).unwrap();
    let grid = 1i16 << quantized.net.projections[0].format.grid_shift();
    for (k, &mantissa) in quantized.net.projections[0].synapses.clone().weights_mut().iter().enumerate() {
        let mut other = quantized.clone();
        let synapses = &mut other.net.projections[0].synapses;
        synapses.weights_mut()[k] = if mantissa > 128 { mantissa - grid } else { mantissa + grid };
        // Stored as it would be written, so that only the weight is wrong.
        *synapses = spikec_net::Synapses::from_tuples(synapses.pres(), synapses.iter().collect());
        let mutant = Bundle { reference: other.to_bytes(), ..bundle.clone() };
        let found = check_image(&mutant, &given).unwrap().differences;
        let moved = |d: &spikec_verify::Difference| (d.side, d.field) == (spikec_verify::Side::Network, spikec_verify::Field::Mantissa);
        assert_eq!(found.iter().filter(|d| moved(d)).count(), 1, "synapse {k}: {found:?}");
    }
}

#[test]
fn a_small_network_of_gradient_rewiring_compiles_and_verifies() {
    let gradr = spikec_testkit::gradr::Gradr::new(8, 16, 0.3, 1);
    let arrays: Vec<_> = gradr.arrays.iter().map(|(name, array)| (name.as_str(), array.clone())).collect();
    let npz = spikec_data::write_npz(&arrays);
    let beside = |_: &Path| Ok(npz.clone());
    let text = gradr.text("gradr.npz");
    let model =
        spikec_import::read(Path::new("gradr.ron"), text.as_bytes(), &ImportOptions::default(), &beside).unwrap_or_else(|e| panic!("{e}"));
    let Model::Trained(network) = model.model else { panic!("a network in floats") };
    let digest = network.digest();
    let elaborated = network.elaborate(InputKind::Analog).unwrap_or_else(|e| panic!("{e}"));
    let values = |seed: u64| (0..3 * 16 * 16).map(|k| ((k * 7 + seed * 13) % 41) as f32 / 10.0 - 2.0).collect();
    let sample = |seed| Stimulus::Values(spikec_data::Values { width: 768, frames: values(seed), constant: true });
    let samples: Vec<Stimulus> = (0..3).map(sample).collect();
    // The first layer by the host's biases, and on the chip.
    for (coding, encoder) in [
        (InputCoding::Bias, spikec_chip::bundle::Encoder::Bias),
        (InputCoding::Rate { full_scale: 2.0 }, spikec_chip::bundle::Encoder::Rate { full_scale: 2.0 }),
    ] {
        let net = code_inputs(elaborated.clone(), coding).unwrap_or_else(|e| panic!("{e}"));
        let decoder = spikec_chip::bundle::DecoderKind::Vote(10);
        let options = CompileOptions { encoder, decoder, default_steps: Some(8), ..CompileOptions::default() };
        let bundle = bundle_of(&net, digest, &options).unwrap_or_else(|e| panic!("{e}"));
        // 3 layers, pool, 3 layers, pool, 2 layers: each a hop after the one before it, the first at once where the host drives it.
        assert_eq!(bundle.symbols.populations.iter().map(|p| p.skew).collect::<Vec<_>>(), [0, 0, 1, 2, 4, 5, 6, 8, 9, 3, 7]);
        verifies(&bundle, &net, digest, &samples, Some(8));
        let loss =
            loss(&elaborated, &bundle, &spikec_data::DataSet { width: 768, samples: samples.clone(), labels: None }, Some(8), &|| ());
        let loss = loss.unwrap_or_else(|e| panic!("{e}"));
        assert!(loss.populations.iter().filter(|p| p.neurons > 0).all(|p| p.quantized_rate > 0.0), "{:?}", loss.populations);
    }
}
