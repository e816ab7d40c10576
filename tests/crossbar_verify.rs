//! Random networks on random crossbars and event crossbars: what the compiler makes verifies and behaves.

use spikec_chip::Target;
use spikec_chip::target::Family;
use spikec_compile::driver::{CompileOptions, Input, compile};
use spikec_data::{SpikeTrain, Stimulus};
use spikec_net::{
    FireRule, Float, FloatNeuron, FloatRules, Net, Population, PopulationId, Projection, ResetRule, Role, Synapses, code_inputs,
};
use spikec_sim::Machine;
use spikec_verify::{Given, check_behaviour, check_image};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
    fn real(&mut self) -> f32 {
        self.below(2001) as f32 / 1000.0 - 1.0
    }
}

/// in -> h -> o, h -> h after steps, and in -> o.
fn net(r: &mut Random, event: bool) -> Net<Float> {
    let reset = if event || r.below(2) == 0 { ResetRule::ToValue } else { ResetRule::Subtract };
    let fire = if r.below(2) == 0 { FireRule::Greater } else { FireRule::GreaterEqual };
    let sizes = [4 + r.below(6), 4 + r.below(8), 2 + r.below(4)];
    let mut neurons = |n: u64| -> Role<Float> {
        let one = |r: &mut Random| FloatNeuron {
            keep_u: 0.0,
            keep_v: 1.0,
            gain: [1.0, 0.5][r.below(2) as usize],
            bias: if event || reset == ResetRule::Subtract { 0.0 } else { [0.0, 0.0, 0.06, -0.04][r.below(4) as usize] },
            threshold: [1.0, 0.7, 1.5][r.below(3) as usize],
            v_reset: 0.0,
        };
        Role::Neurons((0..n).map(|_| one(r)).collect())
    };
    let (h, o) = (neurons(sizes[1]), neurons(sizes[2]));
    let population =
        |name: &str, n: u64, role| Population { name: name.into(), shape: vec![n as u32], origin: (0..n as u32).collect(), skew: 0, role };
    let populations = vec![population("in", sizes[0], Role::SpikeInput), population("h", sizes[1], h), population("o", sizes[2], o)];
    let mut projections = Vec::new();
    for (name, pre, post, delays) in [("in-h", 0, 1, [0, 0]), ("h-o", 1, 2, [0, 3]), ("h-h", 1, 1, [1, 2]), ("in-o", 0, 2, [0, 4])] {
        let mut tuples = Vec::new();
        for i in 0..sizes[pre] as u32 {
            for j in 0..sizes[post] as u32 {
                if r.below(2) == 0 {
                    tuples.push((i, j, r.real() + 0.2, delays[r.below(2) as usize]));
                }
            }
        }
        let synapses = Synapses::from_tuples(sizes[pre] as usize, tuples);
        projections.push(Projection { name: name.into(), pre: pre.into(), post: post.into(), format: (), synapses });
    }
    let rules = FloatRules { fire, reset };
    Net { name: "random".into(), rules, populations, projections, host_projections: Vec::new(), output: PopulationId(2) }
}

/// The chip, on crossbars with fewer axons and neurons a core.
fn target(name: &str) -> Target {
    let mut target = spikec_chip::find(name).expect("it is built in");
    if let Family::Crossbar(spec) = &mut target.family {
        (spec.core.axons.value, spec.core.neurons.value) = (64, 24);
    }
    target
}

#[test]
fn what_is_compiled_verifies_and_behaves() {
    for name in ["ranc256", "ranc256_sim", "truenorth", "tinyodin", "odin"] {
        let target = target(name);
        let event = matches!(target.family, Family::EventCrossbar(_));
        let (mut made, mut synapses, mut spikes) = (0, 0, 0);
        for seed in 0..40 {
            let mut r = Random(seed * 31 + name.len() as u64);
            let net = net(&mut r, event);
            let options = CompileOptions { default_steps: Some(12), ..CompileOptions::default() };
            let digest = net.digest();
            let Ok(compiled) = compile(Input::Trained { net: &net, digest }, &target, &options, &mut |_| ()) else { continue };
            made += 1;
            let coded = code_inputs(net.clone(), spikec_net::InputCoding::Spikes).expect("spikes are spikes");
            let verdict = check_image(&compiled.bundle, &Given::Trained { net: &coded, digest }).expect("it can be checked");
            let lines: Vec<String> = verdict.differences.iter().map(ToString::to_string).collect();
            assert!(verdict.holds(), "{name} {seed}: {lines:#?}");
            synapses += verdict.checked.synapses;
            let machine = Machine::boot(compiled.bundle.loadable()).expect("what is compiled boots");
            let width = compiled.bundle.host.input_width;
            let step = |r: &mut Random| (0..width).filter(|_| r.below(2) == 0).collect::<Vec<u32>>();
            let samples: Vec<Stimulus> = (0..3)
                .map(|_| Stimulus::Spikes(SpikeTrain::from_steps(width, (0..12).map(|_| step(&mut r)).collect::<Vec<_>>())))
                .collect();
            let verdict = check_behaviour(&compiled.bundle, &machine, &samples, None, &|| ()).expect("the samples fit");
            assert!(verdict.holds(), "{name} {seed}: {}", verdict.first_divergence.expect("it diverges"));
            spikes += verdict.spikes;
        }
        assert!(made > 20 && synapses > 500, "{name}: {made} of 40 compiled, {synapses} synapses");
        assert!(spikes > 500, "{name}: only {spikes} spikes were compared");
    }
}
