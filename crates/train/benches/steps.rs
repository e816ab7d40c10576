//! Training steps a second, batches given: 784-800-10, T = 8, batch 128, and a small convolutional network.
//!
//! Run with `cargo bench -p spikec-train --bench steps -- [NET] [THREADS] [SECONDS]`; NET is one of the names below. The same terms in
//! PyTorch: tests/external/torch_speed.py.

use rand::Rng;
use spikec_train::layers::Parameter;
use spikec_train::model::Model;
use spikec_train::random::{Purpose, stream};
use spikec_train::recipe::Recipe;
use spikec_train::rewire::{Clock, Rewiring};
use spikec_train::tensor::{Shape, Tensor};
use std::time::Instant;

const T: usize = 8;
const BATCH: usize = 128;

/// Name, layers, spikes instead of currents, sparsity.
const NETS: [(&str, &str, bool, &str); 7] = [
    ("dense", "Linear(outputs: 800), Lif(), Linear(outputs: 10), Lif()", false, "Dense"),
    ("dense-poisson", "Linear(outputs: 800), Lif(), Linear(outputs: 10), Lif()", true, "Dense"),
    ("gradr", "Linear(outputs: 800), Lif(), Linear(outputs: 10), Lif()", false, "GradR(target: Connectivity(0.01), penalty: 0.05)"),
    ("gradr-poisson", "Linear(outputs: 800), Lif(), Linear(outputs: 10), Lif()", true, "GradR(target: Connectivity(0.01), penalty: 0.05)"),
    ("deepr-poisson", "Linear(outputs: 800), Lif(), Linear(outputs: 10), Lif()", true, "DeepR(target: Connectivity(0.01))"),
    (
        "conv",
        "Conv(outputs: 8, kernel: 5), Lif(), Pool(kind: Average, kernel: 2), Conv(outputs: 16), Lif(), Pool(kind: Average, kernel: 2), Linear(outputs: 10), Lif()",
        false,
        "Dense",
    ),
    (
        "conv-large",
        "Conv(outputs: 32, padding: 1), BatchNorm, Lif(), Pool(kind: Max, kernel: 2), Conv(outputs: 64, padding: 1), BatchNorm, Lif(), Pool(kind: Max, kernel: 2), Linear(outputs: 10), Lif()",
        false,
        "Dense",
    ),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let wanted = arguments.first().map_or("all", |s| s.as_str());
    let threads = arguments.get(1).and_then(|s| s.parse().ok()).unwrap_or(1);
    let seconds: f64 = arguments.get(2).and_then(|s| s.parse().ok()).unwrap_or(3.0);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("threads start");
    for (name, layers, spikes, sparsity) in NETS.iter().filter(|n| wanted == "all" || n.0 == wanted) {
        let text = format!("(steps: {T}, epochs: 1, data: (train: Npz(\"-\")), layers: [{layers}], sparsity: {sparsity})");
        let recipe = Recipe::read(&text).unwrap_or_else(|e| panic!("{e}"));
        let mut model = Model::new(&recipe, Shape { channels: 1, height: 28, width: 28 }, 10).unwrap_or_else(|e| panic!("{e}"));
        let mut rewiring = Rewiring::new(&recipe, &mut model.parameters_mut()).unwrap_or_else(|e| panic!("{e}"));
        let mut random = stream(1, Purpose::Spikes, &[]);
        // As MNIST: a fifth of the pixels are not black.
        let batches: Vec<(Tensor, Vec<u32>)> = (0..8)
            .map(|_| {
                let steps = if *spikes { T } else { 1 };
                let background = if *spikes { 0.0 } else { -0.4242 };
                let lit: Vec<bool> = (0..BATCH * 784).map(|_| random.random_bool(0.2)).collect();
                let value = |b: usize, i: usize, random: &mut rand_xoshiro::Xoshiro256PlusPlus| match (lit[b * 784 + i], spikes) {
                    (false, _) => background,
                    (true, true) => f32::from(u8::from(random.random_bool(0.65))),
                    (true, false) => random.random_range(-0.4f32..2.8),
                };
                let data = (0..BATCH * steps * 784).map(|k| value(k / 784 / steps, k % 784, &mut random)).collect();
                (Tensor { batch: BATCH, steps, size: 784, data, background }, (0..BATCH as u32).map(|b| b % 10).collect())
            })
            .collect();
        let mut step = 0u64;
        let mut go = |n: u64| {
            for _ in 0..n {
                let (x, classes) = &batches[step as usize % batches.len()];
                model.learn(x, classes, step);
                let mut parameters: Vec<&mut Parameter> = model.parameters_mut();
                rewiring.step(&mut parameters, 1.0, Clock { epoch: 0, step, steps_in_epoch: 1000 }, 1);
                step += 1;
            }
        };
        // Until the weights are pruned, where they are.
        go(if sparsity.starts_with("GradR") { 1500 } else { 3 });
        let (started, cpu, mut n) = (Instant::now(), cpu_seconds(), 0);
        while started.elapsed().as_secs_f64() < seconds {
            go(5);
            n += 5;
        }
        let (wall, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        let connectivity = rewiring.count(&model.parameters()) as f64 / rewiring.weights() as f64;
        println!(
            "{name}: {:.1} steps_per_second {:.1} steps_per_cpu_second, {threads} threads, connectivity {:.2} %",
            n as f64 / wall,
            n as f64 / cpu,
            100.0 * connectivity
        );
    }
}

/// CPU time of this process in seconds, where the system tells.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
    let ticks = |k: usize| fields.get(k).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
