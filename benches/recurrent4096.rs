//! Simulation speed at every timing level: 4,096 recurrent neurons, 163,840 synapses, 100 steps, compiled for loihi1, run on one thread
//! with all counters.
//!
//! Run with `cargo bench --bench recurrent4096`. Where `../shared/bench` exists (relative to the project), its network is used, and its
//! plain C++ loop over the logical network is compiled and timed in turn with ours (A B A B ...), so that the ratio holds on a noisy machine;
//! elsewhere a random network of the same size is made.

use spikec_compile::{CompileOptions, Input};
use spikec_data::{SpikeTrain, Stimulus, read_npz};
use spikec_net::Synapses;
use spikec_net::net::{Population, Projection, Role};
use spikec_net::{Bias, Fixed, FixedNeuron, FixedRules, Net, PopulationId, SignMode, WeightFormat};
use spikec_sim::{Level, Machine, RunOptions};
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
    let forced = Synapses::from_tuples(N as usize, (0..N).map(|i| (i, i, 254, 0)).collect());
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
    let compiled = spikec_compile::compile(
        Input::Registers { net: &net, digest: net.digest() },
        &target,
        &CompileOptions { partitioner: "sequential".into(), ..CompileOptions::default() },
        &mut |_| (),
    )
    .unwrap_or_else(|e| panic!("{e}"));
    let image = compiled.bundle.image.packed();
    println!("compiled in {:.3} s: {} cores", started.elapsed().as_secs_f64(), image.cores.len());

    let stimulus = Stimulus::Spikes(instance.train.clone());
    let options = RunOptions::default();
    let machines = [Level::None, Level::Analytic, Level::Cycle]
        .map(|level| Machine::boot_timed(compiled.bundle.loadable(), level).expect("our own bundle boots"));
    let once = machines[2].run(&stimulus, &options).expect("the stimulus fits");
    let timing = once.timing.as_ref().expect("timed");
    // The plain loop counts events that act: those of the last step's spikes don't.
    let last = timing.steps.last().map_or(0, |s| s.events.synapses_dense + s.events.synapses_sparse);
    let acting = once.counters.synaptic_ops - last;
    let e = &timing.events;
    let (messages, hops) = (e.messages_in, e.hops_x + e.hops_y);
    println!("one run: {} spikes, {acting} synaptic events that act, {messages} messages, {hops} hops", once.counters.neuron_spikes);
    println!("one run on the chip: {:.1} us", timing.time_ps as f64 * 1e-6);

    let yardstick = folder.as_deref().and_then(compile_yardstick);
    let names = ["none", "analytic", "cycle"];
    let mut ratios: [Vec<f64>; 3] = Default::default();
    for round in 0..ROUNDS {
        let mut speeds = [0.0; 3];
        for ((machine, speed), runs) in machines.iter().zip(&mut speeds).zip([RUNS, RUNS / 4, RUNS / 10]) {
            let started = Instant::now();
            for _ in 0..runs {
                machine.run(&stimulus, &options).expect("the stimulus fits");
            }
            *speed = f64::from(runs) / started.elapsed().as_secs_f64();
        }
        let theirs = yardstick.as_ref().and_then(|(program, data)| run_yardstick(program, data));
        print!("round {round}:");
        for (level, (name, speed)) in names.iter().zip(speeds).enumerate() {
            print!(" {name} {:.1} M events/s", speed * acting as f64 / 1e6);
            if let Some(theirs) = theirs {
                ratios[level].push(speed * acting as f64 / 1e6 / theirs);
            }
            if level == 2 {
                print!(" = {:.2} M messages/s and {:.2} M hops/s", speed * messages as f64 / 1e6, speed * hops as f64 / 1e6);
            }
        }
        println!("{}", theirs.map_or(String::new(), |t| format!(", plain loop {t:.1}")));
    }
    for (name, ratios) in names.iter().zip(&mut ratios) {
        ratios.sort_by(f64::total_cmp);
        if let (Some(least), Some(most)) = (ratios.first(), ratios.last()) {
            println!("{name}: {:.3} of the plain loop's events a second (median), {least:.3} .. {most:.3}", ratios[ratios.len() / 2]);
        }
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
