//! Crossbars and event crossbars from end to end: what is compiled boots, and the simulator gives, at every level of timing, the spikes that the
//! reference interpreters give of the bundle's quantized network.

use spikec_chip::Target;
use spikec_chip::target::Family;
use spikec_compile::{CompileOptions, Input};
use spikec_data::{SpikeTrain, Stimulus};
use spikec_net::{Crossbar, Dynamics, Event, EventInterpreter, Float, InputKind, Interpreter, Net, Observer, PopulationId, Quantized};
use spikec_net::{ResetRule, Role};
use spikec_sim::{Level, Machine, Record, RunOptions};
use spikec_testkit::generate;

const STEPS: u32 = 20;

/// A random net of neurons that integrate and fire: crossbars have no other.
fn net(seed: u64) -> Net<Float> {
    let mut net = generate::random_network(seed).elaborate(InputKind::Spikes).unwrap();
    net.rules.reset = ResetRule::ToValue;
    for p in &mut net.populations {
        let Role::Neurons(neurons) = &mut p.role else { continue };
        for n in neurons {
            let threshold = if n.threshold < f32::INFINITY { n.threshold } else { 1.0 };
            (n.keep_u, n.keep_v, n.bias, n.v_reset, n.threshold) = (0.0, 1.0, 0.0, 0.0, threshold);
        }
    }
    net
}

/// Cores of a few axons and neurons, so that small nets spread over many.
fn small(name: &str) -> Target {
    let mut target = spikec_chip::find(name).unwrap();
    if let Family::Crossbar(spec) = &mut target.family {
        (spec.core.axons.value, spec.core.neurons.value, spec.routing.outputs.value) = (64, 20, 64);
    }
    target
}

/// (population, step, neuron) of every spike, ascending.
struct Spikes<'a, N: Dynamics>(&'a Net<N>, Vec<(u32, u32, u32)>);

impl<N: Dynamics> Observer<N> for Spikes<'_, N> {
    fn step(&mut self, t: u32, p: PopulationId, _: &[N::Value], _: &[N::Value], fired: &[u32]) {
        let origin = &self.0.population(p).origin;
        self.1.extend(fired.iter().map(|&j| (p.index() as u32, t, origin[j as usize])));
    }
}

/// Random spikes; a channel of a crossbar spikes once in a step at most.
fn spikes(seed: u64, width: u32, family: &Family) -> SpikeTrain {
    let train = generate::random_spikes(seed, width, STEPS, 0.4);
    let step = |t| {
        let mut channels = train.at(t).to_vec();
        if matches!(family, Family::Crossbar(_)) {
            channels.dedup();
        }
        channels
    };
    SpikeTrain::from_steps(width, (0..STEPS).map(step))
}

fn reference(bytes: &[u8], family: &Family, train: &SpikeTrain) -> Vec<(u32, u32, u32)> {
    let mut spikes = if matches!(family, Family::Crossbar(_)) {
        let net = Quantized::<Crossbar>::from_bytes(bytes).unwrap().net;
        let mut seen = Spikes(&net, Vec::new());
        Interpreter::new(&net).unwrap().run(Some(train), &[], STEPS, &mut seen);
        seen.1
    } else {
        let net = Quantized::<Event>::from_bytes(bytes).unwrap().net;
        let mut seen = Spikes(&net, Vec::new());
        EventInterpreter::new(&net).unwrap().run(Some(train), STEPS, &mut seen);
        seen.1
    };
    spikes.sort_unstable();
    spikes
}

#[test]
fn compiled_nets_spike_as_the_reference_does() {
    for name in ["ranc256", "ranc256_sim", "truenorth", "tinyodin", "odin"] {
        let (mut ran, mut fired, mut cores) = (0, 0, 0);
        for seed in 0..24 {
            let (float, target) = (net(seed), small(name));
            let width = float.populations.iter().filter(|p| p.is_input()).map(|p| p.trained_len() as u32).sum();
            let input = Input::Trained { net: &float, digest: [1; 32] };
            let Ok(done) = spikec_compile::compile(input, &target, &CompileOptions::default(), &mut |_| ()) else { continue };
            let bundle = done.bundle;
            let record = Record { spikes: true, ..Record::default() };
            let options = RunOptions { record, steps: Some(STEPS), ..RunOptions::default() };
            let train = spikes(seed, width, &target.family);
            let expected = reference(&bundle.reference, &target.family, &train);
            let mut first = None;
            for level in [Level::None, Level::Analytic, Level::Cycle] {
                let machine = Machine::boot_timed(bundle.loadable(), level).unwrap_or_else(|e| panic!("{name}, seed {seed}: {e}"));
                let mut run =
                    machine.run(&Stimulus::Spikes(train.clone()), &options).unwrap_or_else(|e| panic!("{name}, seed {seed}: {e}"));
                let found: Vec<_> = run.spikes.iter().map(|e| (e.population, e.step, e.neuron)).collect();
                assert!(found == expected, "{name}, seed {seed}: {} spikes, the reference has {}", found.len(), expected.len());
                assert_eq!((run.timing.is_some(), machine.level()), (level != Level::None, level));
                run.timing = None;
                assert!(*first.get_or_insert(run.clone()) == run, "{name}, seed {seed}: {level:?} differs");
            }
            ran += 1;
            fired += expected.len();
            cores += done.report.cores;
        }
        println!("{name}: {ran} nets, {fired} spikes, {cores} cores");
        assert!(ran > 8 && fired > 500, "{name}: {ran} nets, {fired} spikes, {cores} cores");
    }
}
