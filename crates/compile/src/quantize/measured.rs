//! Accuracy of both methods on the trained MNIST nets, against the float reference. `SPIKEC_FULL=1` runs all 10,000 images
//! at 8, 6, 5 and 4 bits and prints the table (`--nocapture`); otherwise 500 images at 8 bits.

use super::{QuantizeOptions, Quantizer, quantize};
use crate::lower::{LowerOptions, lower};
use crate::testnets::{channels, loihi, population, projection};
use rayon::prelude::*;
use spikec_data::{DataSet, Decode, predict, read_npz};
use spikec_net::{FireRule, Float, FloatNeuron, FloatRules, Interpreter, Net, PopulationId, ResetRule};
use std::path::{Path, PathBuf};

fn shared_dir() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    dir.is_dir().then_some(dir)
}

/// 784-800-10, LIF with tau 2, from its `weights.npz`.
fn mnist(dir: &Path, name: &str) -> Net<Float> {
    let bytes = std::fs::read(dir.join("nets/mnist").join(name).join("weights.npz")).unwrap();
    let arrays = read_npz(&bytes).unwrap();
    let lif = FloatNeuron { keep_u: 0.0, keep_v: 0.5, gain: 0.5, bias: 0.0, threshold: 1.0, v_reset: 0.0 };
    let mut populations = vec![channels(784)];
    let mut projections = Vec::new();
    for (k, array) in ["w1", "w2"].map(|name| &arrays[name]).into_iter().enumerate() {
        let (outputs, inputs) = (array.shape[0], array.shape[1]);
        let weights = array.to_f32().unwrap();
        let dense = (0..outputs * inputs).map(|a| ((a % inputs) as u32, (a / inputs) as u32, weights[a], 0));
        projections.push(projection(&format!("fc{k}"), (k as u32, k as u32 + 1), inputs, dense.filter(|s| s.2 != 0.0).collect()));
        populations.push(population(&format!("lif{k}"), vec![lif; outputs]));
    }
    let rules = FloatRules { fire: FireRule::Greater, reset: ResetRule::ToValue };
    Net { name: name.into(), rules, populations, projections, host_projections: Vec::new(), output: PopulationId(2) }
}

/// Predictions of all samples.
fn predictions<T: Sync>(samples: &[T], run: impl Fn(&T) -> Vec<u32> + Sync) -> Vec<u32> {
    samples.par_iter().map(|s| predict(Decode::Count, &run(s), &[], &[])).collect()
}

fn share(a: &[u32], b: impl IntoIterator<Item = u32>) -> f64 {
    100.0 * a.iter().zip(b).filter(|(a, b)| **a == *b).count() as f64 / a.len() as f64
}

#[test]
fn mnist_nets_keep_their_classes() {
    let Some(dir) = shared_dir() else {
        eprintln!("skipped: no ../shared beside the project");
        return;
    };
    let full = std::env::var("SPIKEC_FULL").is_ok_and(|v| v == "1");
    let bytes = std::fs::read(dir.join("data/mnist_test_poisson_T8_seed1234.npz")).unwrap();
    let data = DataSet::from_bytes(&bytes, (!full).then_some(500)).unwrap();
    let labels: Vec<u32> = data.labels.as_ref().unwrap().iter().map(|&l| l as u32).collect();
    let target = loihi();
    for name in ["fc800_poisson_gradr", "fc800_poisson_dense"] {
        let trained = mnist(&dir, name);
        let (net, _) = lower(trained, &target, &LowerOptions::default()).unwrap();
        let interpreter = Interpreter::new(&net).unwrap();
        let float = predictions(&data.samples, |s| interpreter.sample(s, None, false).unwrap().out_counts);
        let float_accuracy = share(&float, labels.iter().copied());
        println!("{name}: {} samples, float {float_accuracy:.2} %", data.samples.len());
        for bits in if full { vec![8u8, 6, 5, 4] } else { vec![8] } {
            for method in [Quantizer::MaxAbs, Quantizer::RowScale] {
                let options = QuantizeOptions { weight_bits: bits, method, ..QuantizeOptions::default() };
                let start = std::time::Instant::now();
                let (q, report) = quantize(&net, [0; 32], &target, &options).unwrap();
                let seconds = start.elapsed().as_secs_f64();
                let interpreter = Interpreter::new(&q.net).unwrap();
                let fixed = predictions(&data.samples, |s| interpreter.sample(s, None, (4095, 7), false).unwrap().0.out_counts);
                let (accuracy, agreement) = (share(&fixed, labels.iter().copied()), share(&float, fixed.iter().copied()));
                let errors: Vec<f64> = report.projections.iter().map(|p| p.relative_error).collect();
                println!(
                    "  {bits} bits {method:?}: accuracy {accuracy:.2}, agreement {agreement:.2}, vanished {}, weight errors {errors:.4?}, exponents {:?}, thresholds {:?}, {seconds:.3} s",
                    report.vanished,
                    report.projections.iter().map(|p| p.exponent).collect::<Vec<_>>(),
                    report.populations.iter().map(|p| p.thresholds.clone()).collect::<Vec<_>>(),
                );
                if bits == 8 {
                    // One scale for the layer is worse, and held to less. Of 500 images, 2 that become right by chance are
                    // 0.4 points: there only a loss counts.
                    let least = if method == Quantizer::RowScale { 99.5 } else { 99.0 };
                    assert!(agreement >= least, "{name} {method:?}: {agreement}");
                    let change = accuracy - float_accuracy;
                    assert!(change >= -0.3 && (!full || change <= 0.3), "{name} {method:?}: {accuracy} {float_accuracy}");
                }
            }
        }
    }
}
