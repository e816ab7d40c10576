//! Compilation speed: the dense 784-800-10 net, a recurrent net, and a sparse layer of 65,536 neurons.
//!
//! Run: `cargo bench -p spikec-compile`. The bar: the dense net's partition in less than 0.2 s.

use rand::seq::index::sample;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use spikec_chip::Target;
use spikec_compile::partition::{Effort, Partitioned, Partitioner, Sequential};
use spikec_compile::{CompileOptions, Input, Kernels, compile};
use spikec_net::{
    Bias, Fixed, FixedNeuron, FixedRules, Net, Population, PopulationId, Projection, Quantized, Role, SignMode, Synapses, WeightFormat,
};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: usize = 5;

fn main() {
    let target = spikec_chip::find("loihi1").expect("built in");
    let mut board = target.clone();
    board.topology.chips.value = 16;
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    let dense = |pres: u32, posts: u32| (0..pres).flat_map(|i| (0..posts).map(move |j| (i, j, 2, 0))).collect();
    bench("dense 784-800-10", &chain(&[784, 800, 10], vec![dense(784, 800), dense(800, 10)]), &target);
    let random = |rng: &mut ChaCha8Rng, n: u32, fan_out: usize, reach: u32| {
        let mut synapses = Vec::new();
        for i in 0..n {
            for k in sample(rng, reach as usize, fan_out) {
                synapses.push((i, (i + k as u32) % n, 2 * rng.random_range(1..100i16), 0));
            }
        }
        synapses
    };
    bench("4,096 to 4,096, fan-out 40", &chain(&[4096, 4096], vec![random(rng, 4096, 40, 4096)]), &target);
    bench("65,536 to 65,536, fan-out 64 of 1,024 near", &chain(&[65536, 65536], vec![random(rng, 65536, 64, 1024)]), &board);
    bench("65,536 to 65,536, fan-out 8 of 65,536", &chain(&[65536, 65536], vec![random(rng, 65536, 8, 65536)]), &board);
}

/// Best times of proposal, proof and the whole compilation.
fn bench(name: &str, net: &Net<Fixed>, target: &Target) {
    let options = CompileOptions::default();
    let input = Input::Registers { net, digest: [0; 32] };
    let compiled = match compile(input, target, &options, &mut |_| ()) {
        Ok(c) => c,
        Err(e) => return println!("{name}: {e}"),
    };
    let q = Quantized::from_bytes(&compiled.bundle.reference).expect("our own bytes");
    let propose = best(|| Sequential { effort: Effort::Default, kernels: Kernels::Auto }.propose(&q, target));
    let parts = Sequential { effort: Effort::Default, kernels: Kernels::Auto }.propose(&q, target).parts;
    let prove = best(|| Partitioned::new(&q, parts.clone(), target).expect("it compiled"));
    let whole = best(|| compile(input, target, &options, &mut |_| ()).expect("it compiled"));
    println!(
        "{name}: {} synapses, {} cores; propose {propose:.1} ms, prove {prove:.1} ms, whole compilation {whole:.1} ms",
        q.net.synapse_count(),
        parts.len()
    );
}

/// Milliseconds of the fastest round.
fn best<T>(run: impl Fn() -> T) -> f64 {
    let time = |_| {
        let start = Instant::now();
        black_box(run());
        start.elapsed().as_secs_f64() * 1e3
    };
    (0..ROUNDS).map(time).fold(f64::INFINITY, f64::min)
}

/// Populations in a chain, the first an input.
fn chain(sizes: &[u32], synapses: Vec<Vec<(u32, u32, i16, u16)>>) -> Net<Fixed> {
    let neuron = FixedNeuron { decay_u: 4096, decay_v: 0, threshold: 100, refractory: 1, bias: Bias::default() };
    let population = |(k, &n): (usize, &u32)| Population {
        name: format!("layer{k}"),
        shape: vec![n],
        origin: (0..n).collect(),
        skew: 0,
        role: if k == 0 { Role::SpikeInput } else { Role::Neurons(vec![neuron; n as usize]) },
    };
    let projections = synapses.into_iter().enumerate().map(|(k, synapses)| Projection {
        name: format!("projection{k}"),
        pre: PopulationId::from(k),
        post: PopulationId::from(k + 1),
        format: WeightFormat { bits: 8, exponent: 0, sign: SignMode::Mixed },
        synapses: Synapses::from_tuples(sizes[k] as usize, synapses),
    });
    Net {
        name: "bench".into(),
        rules: FixedRules::default(),
        populations: sizes.iter().enumerate().map(population).collect(),
        projections: projections.collect(),
        host_projections: Vec::new(),
        output: PopulationId::from(sizes.len() - 1),
    }
}
