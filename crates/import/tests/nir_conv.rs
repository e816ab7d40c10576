//! Trained convolutional and recurrent networks, beside the project: spike counts of the float reference against those of an
//! independent simulator. Skipped where the files are absent; all samples with `SPIKEC_FULL=1`.

use spikec_data::{Array, DataSet, SpikeTrain, read_npz};
use spikec_import::{ImportOptions, read_nir};
use spikec_net::{InputKind, Interpreter, Network, ResetRule, run_sample};
use spikec_testkit::shared_dir;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn shared() -> Option<PathBuf> {
    let found = shared_dir();
    if found.is_none() {
        eprintln!("skipped: no shared folder");
    }
    found
}

fn full() -> bool {
    std::env::var("SPIKEC_FULL").is_ok_and(|v| v == "1")
}

fn arrays(path: &Path) -> BTreeMap<String, Array> {
    read_npz(&std::fs::read(path).unwrap()).unwrap()
}

fn network(path: &Path, options: ImportOptions) -> (Network, Vec<String>) {
    read_nir(&std::fs::read(path).unwrap(), &options).unwrap()
}

#[test]
fn a_pruned_conv_network_gives_the_same_counts() {
    let Some(shared) = shared() else { return };
    let folder = shared.join("nets/mnist/conv_poisson_gmp15");
    let (network, warnings) = network(&folder.join("net.nir"), ImportOptions::default());
    assert_eq!(warnings, Vec::<String>::new());
    let net = network.elaborate(InputKind::Spikes).unwrap();
    // The synapses that the file's own list states.
    assert_eq!(net.projections.iter().map(|p| p.synapses.len()).collect::<Vec<_>>(), [10802, 7625, 1176]);
    let samples = if full() { 10_000 } else { 500 };
    let bytes = std::fs::read(shared.join("data/mnist_test_poisson_T8_seed1234.npz")).unwrap();
    let data = DataSet::from_bytes(&bytes, Some(samples)).unwrap();
    let counts = arrays(&folder.join("float_predictions.npz"))["out_spike_counts"].to_i64().unwrap();
    let interpreter = Interpreter::new(&net).unwrap();
    let differ = |k: &usize| {
        let run = interpreter.sample(&data.samples[*k], Some(8), false).unwrap();
        !run.out_counts.iter().map(|&c| i64::from(c)).eq(counts[k * 10..k * 10 + 10].iter().copied())
    };
    let different: Vec<usize> = (0..samples).filter(differ).collect();
    eprintln!("{samples} samples, different: {different:?}");
    assert!(different.is_empty(), "{different:?}");
}

/// A spike for each event: several in a step are several spikes.
fn train(steps: &[BTreeMap<u32, u32>]) -> SpikeTrain {
    let mut train = SpikeTrain::empty(2 * 34 * 34);
    for step in steps {
        step.iter().for_each(|(&channel, &n)| train.channels.extend(std::iter::repeat_n(channel, n as usize)));
        train.offsets.push(train.channels.len() as u32);
    }
    train
}

/// The 100 test recordings of N-MNIST, in steps of 1 ms.
fn recordings(shared: &Path, samples: usize, first: i64) -> Vec<SpikeTrain> {
    let data = arrays(&shared.join("data/nmnist/nmnist_small_1000train_100test.npz"));
    let column = |name: &str| data[name].to_i64().unwrap();
    let (x, y, p, t, offsets) = (column("x"), column("y"), column("p"), column("t_us"), column("offsets"));
    let test = column("is_test");
    let tests = (0..test.len()).filter(|&k| test[k] != 0).take(samples);
    tests
        .map(|k| {
            let mut steps: Vec<BTreeMap<u32, u32>> = vec![BTreeMap::new(); 300];
            for e in offsets[k] as usize..offsets[k + 1] as usize {
                let channel = ((p[e] ^ first) * 34 * 34 + y[e] * 34 + x[e]) as u32;
                if let Some(step) = steps.get_mut((t[e] / 1000) as usize) {
                    *step.entry(channel).or_default() += 1;
                }
            }
            train(&steps)
        })
        .collect()
}

#[test]
fn a_conv_network_of_sinabs_gives_the_same_counts_by_hard_and_by_soft_reset() {
    let Some(shared) = shared() else { return };
    let (mut network, warnings) =
        network(&shared.join("nets/nir_paper/cnn_sinabs.nir"), ImportOptions { dt_s: Some(1.0), ..Default::default() });
    assert_eq!(warnings, Vec::<String>::new());
    let counts = arrays(&shared.join("nets/nir_paper/cnn_sinabs_nmnist100_outcounts.npz"));
    let samples = if full() { 100 } else { 10 };
    // The last digit is the polarity that comes first; several spikes a step (`multi_0`) are more than a neuron can fire.
    for (name, reset, first) in [("hard_0", ResetRule::ToValue, 0), ("soft_0", ResetRule::Subtract, 0), ("soft_1", ResetRule::Subtract, 1)]
    {
        network.conventions.reset = reset;
        let net = network.elaborate(InputKind::Spikes).unwrap();
        assert_eq!(net.projections.iter().map(|p| p.synapses.len()).collect::<Vec<_>>(), [199_712, 541_696, 247_808, 131_072, 2_560]);
        let interpreter = Interpreter::new(&net).unwrap();
        let expected = counts[name].to_f32().unwrap();
        let trains = recordings(&shared, samples, first);
        let differ = |k: &usize| {
            let out = run_sample(&interpreter, Some(&trains[*k]), &[], 300, false).out_counts;
            !out.iter().map(|&c| c as f32).eq(expected[k * 10..k * 10 + 10].iter().copied())
        };
        let different: Vec<usize> = (0..samples).filter(differ).collect();
        eprintln!("{name}: {samples} samples, different: {different:?}");
        assert!(different.is_empty(), "{name}: {different:?}");
    }
}

#[test]
fn a_recurrent_network_closes_its_loop_one_step_later() {
    let Some(shared) = shared() else { return };
    let folder = shared.join("nets/nir_paper");
    let options = ImportOptions { dt_s: Some(1e-4), ..Default::default() };
    let (whole, warnings) = network(&folder.join("braille_noDelay_bias_zero.nir"), options.clone());
    assert_eq!(warnings, ["`lif1.lif` -> `lif1.lif` closes a loop: spikes of step t act in step t + 1"]);
    let ends: Vec<_> = whole.projections.iter().map(|p| (p.name.as_str(), p.pre.0, p.post.0, p.delay_steps)).collect();
    assert_eq!(ends, [("fc1", 0, 1, 0), ("lif1.w_rec", 1, 1, 1), ("fc2", 1, 2, 0)]);
    let net = whole.elaborate(InputKind::Spikes).unwrap();
    assert_eq!(net.check(), Ok(()));

    // The same network with a nested graph, whose edges say `lif` where the node is called `lif1`.
    let path = folder.join("braille_noDelay_bias_zero_subgraph.nir");
    let e = read_nir(&std::fs::read(&path).unwrap(), &options).unwrap_err();
    assert!(e.to_string().contains("`input` -> `lif` of the nested graph `lif1` names `lif`"), "{e}");
    assert!(e.hint().contains("--repair-edges"), "{}", e.hint());
    let (repaired, warnings) = network(&path, ImportOptions { repair_edges: true, ..options });
    // Four edges name it five times; then the loop.
    assert_eq!(warnings.iter().filter(|w| w.ends_with("`lif` was read as `lif1`")).count(), 4, "{warnings:?}");
    assert_eq!(warnings.len(), 5, "{warnings:?}");
    let again = repaired.elaborate(InputKind::Spikes).unwrap();
    let synapses = |n: &spikec_net::Net<spikec_net::Float>| n.projections.iter().map(|p| p.synapses.clone()).collect::<Vec<_>>();
    assert_eq!(synapses(&net), synapses(&again));
}
