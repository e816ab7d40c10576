//! Simulation speed: 4,096 recurrent neurons, 163,840 synapses, 100 steps, compiled for loihi1 and run on one thread with all counters.
//!
//! Run with `cargo bench --bench recurrent4096`. Where `../shared/bench` exists (relative to the project), its network is used, and its
//! plain C++ loop over the logical network is compiled and timed in turn with ours (A B A B ...), so that the ratio holds on a noisy machine;
//! elsewhere a random network of the same size is made.

use spikec_compile::{CompileOptions, Input};
use spikec_data::{SpikeTrain, Stimulus, read_npz};
use spikec_net::net::{Delays, Population, Projection, Role, Synapses};
use spikec_net::{Bias, Fixed, FixedNeuron, FixedRules, Net, PopulationId, SignMode, WeightFormat};
use spikec_sim::{Machine, RunOptions};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

const N: u32 = 4096;
const STEPS: u32 = 100;
const RUNS: u32 = 200;
const ROUNDS: usize = 7;

struct Instance {
    synapses: Vec<(u32, u32, i16, u16)>,
    train: SpikeTrain,
}

fn shared() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/bench");
    folder.join("recurrent4096.npz").exists().then_some(folder)
}

fn from_file(path: &Path) -> Instance {
    let arrays = read_npz(&std::fs::read(path).expect("readable")).expect("a whole npz file");
    let ints = |name: &str| arrays[name].to_i64().expect("integers");
    let (pre, post, w) = (ints("pre"), ints("post"), ints("w"));
    let synapses = (0..pre.len()).map(|k| (pre[k] as u32, post[k] as u32, w[k] as i16, 1)).collect();
    let mut steps = vec![Vec::new(); STEPS as usize];
    for (t, i) in ints("events_t").into_iter().zip(ints("events_i")) {
        steps[t as usize].push(i as u32);
    }
    Instance { synapses, train: SpikeTrain::from_steps(N, steps) }
}

fn random() -> Instance {
    // A linear congruential generator (Knuth's MMIX constants) is enough for a workload.
    let mut state = 1u64;
    let mut next = |below: u32| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((state >> 33) % below as u64) as u32
    };
    let synapses = (0..N).flat_map(|i| (0..40).map(move |_| i)).map(|i| (i, next(N), 2 * (next(17) as i16 - 8), 1)).collect();
    let steps = (0..STEPS).map(|_| (0..N).filter(|_| next(50) == 0).collect());
    Instance { synapses, train: SpikeTrain::from_steps(N, steps.collect::<Vec<_>>()) }
}

fn net(instance: &Instance) -> Net<Fixed> {
    let format = WeightFormat { bits: 8, exponent: 0, sign: SignMode::Mixed };
    let neuron = FixedNeuron { decay_u: 2048, decay_v: 255, threshold: 200, refractory: 1, bias: Bias::default() };
    let population = |name: &str, role| Population { name: name.into(), shape: vec![N], origin: (0..N).collect(), skew: 0, role };
    let forced =
        Synapses { offsets: (0..=N).collect(), posts: (0..N).collect(), weights: vec![254; N as usize], delays: Delays::Uniform(0) };
    Net {
        name: "recurrent4096".into(),
        rules: FixedRules::default(),
        populations: vec![population("input", Role::SpikeInput), population("neurons", Role::Neurons(vec![neuron; N as usize]))],
        projections: vec![
            Projection { name: "forced".into(), pre: PopulationId(0), post: PopulationId(1), format, synapses: forced },
            Projection {
                name: "recurrent".into(),
                pre: PopulationId(1),
                post: PopulationId(1),
                format,
                synapses: Synapses::from_tuples(N as usize, instance.synapses.clone()),
            },
        ],
        host_projections: Vec::new(),
        output: PopulationId(1),
    }
}

fn main() {
    let folder = shared();
    let instance = folder.as_ref().map_or_else(random, |f| from_file(&f.join("recurrent4096.npz")));
    let net = net(&instance);
    let target = spikec_chip::find("loihi1").expect("built in");
    let started = Instant::now();
    let compiled =
        spikec_compile::compile(Input::Registers { net: &net, digest: net.digest() }, &target, &CompileOptions::default(), &mut |_| ())
            .unwrap_or_else(|e| panic!("{e}"));
    let spikec_chip::Image::Packed(image) = &compiled.bundle.image;
    println!("compiled in {:.3} s: {} cores", started.elapsed().as_secs_f64(), image.cores.len());

    let machine = Machine::boot(compiled.bundle.loadable()).expect("our own bundle boots");
    let stimulus = Stimulus::Spikes(instance.train.clone());
    let options = RunOptions::default();
    let once = machine.run(&stimulus, &options).expect("the stimulus fits");
    println!("one run: {} spikes, {} synaptic events", once.counters.neuron_spikes, once.counters.synaptic_ops);

    let yardstick = folder.as_deref().and_then(compile_yardstick);
    let mut ratios = Vec::new();
    for round in 0..ROUNDS {
        let started = Instant::now();
        let mut events = 0u64;
        for _ in 0..RUNS {
            events += machine.run(&stimulus, &options).expect("the stimulus fits").counters.synaptic_ops;
        }
        let ours = events as f64 / started.elapsed().as_secs_f64() / 1e6;
        match yardstick.as_ref().and_then(|(program, data)| run_yardstick(program, data)) {
            Some(theirs) => {
                println!("round {round}: {ours:.1} M events/s, plain loop {theirs:.1} M events/s, ratio {:.2}", ours / theirs);
                ratios.push(ours / theirs);
            }
            None => println!("round {round}: {ours:.1} M events/s"),
        }
    }
    if !ratios.is_empty() {
        ratios.sort_by(f64::total_cmp);
        println!("ratio: median {:.2}, {:.2} .. {:.2}", ratios[ratios.len() / 2], ratios[0], ratios[ratios.len() - 1]);
    }
}

fn compile_yardstick(folder: &Path) -> Option<(PathBuf, PathBuf)> {
    let program = std::env::temp_dir().join(format!("yardstick-{}", std::process::id()));
    let built = Command::new("c++").arg("-O2").arg(folder.join("yardstick.cpp")).arg("-o").arg(&program).output().ok()?;
    built.status.success().then(|| (program, folder.join("recurrent4096.bin")))
}

fn run_yardstick(program: &Path, data: &Path) -> Option<f64> {
    let output = Command::new(program).arg(data).arg(RUNS.to_string()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split("Mev/s").nth(1)?.trim().parse().ok()
}
