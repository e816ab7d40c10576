use crate::driver::{CompileError, Compiled, Input, check, compile};
use crate::options::CompileOptions;
use crate::testnets::{channels, population, projection, random_net, random_spikes};
use spikec_chip::bundle::{Bundle, Origin};
use spikec_chip::event::decode;
use spikec_chip::image::Image;
use spikec_chip::target::{Family, Target};
use spikec_data::{SpikeTrain, Stimulus};
use spikec_net::{Event, EventInterpreter, Float, FloatNeuron, Net, Observer, PopulationId, Quantized, ResetRule, Role};
use std::collections::BTreeMap;

fn target(name: &str) -> Target {
    spikec_chip::find(name).unwrap()
}

/// A random net of neurons that an event crossbar can be.
fn net(seed: u64) -> Net<Float> {
    let mut net = random_net(seed);
    net.rules.reset = ResetRule::ToValue;
    for p in &mut net.populations {
        let Role::Neurons(neurons) = &mut p.role else { continue };
        for n in neurons {
            let threshold = if n.threshold < f32::INFINITY { n.threshold } else { 1.0 };
            *n = FloatNeuron { keep_u: 0.0, keep_v: 1.0, threshold, v_reset: 0.0, bias: 0.0, ..*n };
        }
    }
    net
}

fn compiled(net: &Net<Float>, target: &Target, options: &CompileOptions) -> Result<Compiled, CompileError> {
    compile(Input::Trained { net, digest: [7; 32] }, target, options, &mut |_| ())
}

type Spikes = Vec<BTreeMap<(u32, u32), u32>>;

/// How often each (network step, neuron) of each population spikes, by the bits alone.
fn run_bits(bundle: &Bundle, train: &SpikeTrain, steps: u32) -> Spikes {
    let (Image::EventCrossbar(image), Family::EventCrossbar(spec)) = (&bundle.image, &bundle.target.family) else {
        panic!("no event crossbar")
    };
    let tables = decode(image, spec).unwrap();
    assert!(tables.open_loop);
    let n = tables.neurons.len();
    let (least, most) = spec.potential_range();
    let mut v: Vec<i32> = tables.neurons.iter().map(|w| w.potential.into()).collect();
    // Events by (chip step, row).
    let mut events: BTreeMap<(u32, u16), u32> = BTreeMap::new();
    let mut spikes: Spikes = vec![BTreeMap::new(); bundle.symbols.populations.len()];
    for step in 0..steps + bundle.host.max_skew {
        for &channel in if step < steps { train.at(step) } else { &[] } {
            for row in &bundle.host.input_axons[channel as usize] {
                *events.entry((step, row.index)).or_default() += 1;
            }
            for i in bundle.host.injections.iter().filter(|i| i.from == Origin::Channel(channel)) {
                *events.entry((step + i.delay_steps, i.to.index)).or_default() += 1;
            }
        }
        let now: Vec<(u16, u32)> = events.range((step, 0)..(step + 1, 0)).map(|(&(_, row), &times)| (row, times)).collect();
        let mut fired: BTreeMap<u16, u32> = BTreeMap::new();
        for (row, times) in now {
            for _ in 0..times {
                for (k, word) in tables.neurons.iter().enumerate().take(usize::from(tables.last_neuron) + 1) {
                    v[k] = (v[k] + i32::from(tables.weights[usize::from(row) * n + k])).clamp(least, most);
                    if v[k] >= i32::from(word.threshold) {
                        v[k] = 0;
                        *fired.entry(k as u16).or_default() += u32::from(!word.disabled);
                    }
                }
            }
        }
        for (k, word) in tables.neurons.iter().enumerate() {
            v[k] -= v[k].signum() * v[k].abs().min(word.leak.into());
        }
        for i in &bundle.host.injections {
            if let Origin::Neuron(place) = i.from
                && let Some(times) = fired.get(&place.index)
            {
                *events.entry((step + i.delay_steps, i.to.index)).or_default() += times;
            }
        }
        for (p, symbols) in bundle.symbols.populations.iter().enumerate() {
            for (neuron, place) in &symbols.neurons {
                if let (Some(t), Some(&times)) = (step.checked_sub(symbols.skew).filter(|&t| t < steps), fired.get(&place.index)) {
                    spikes[p].insert((t, *neuron), times);
                }
            }
        }
    }
    spikes
}

struct Count<'a>(&'a Net<Event>, Spikes);

impl Observer<Event> for Count<'_> {
    fn step(&mut self, t: u32, p: PopulationId, _: &[i32], _: &[i32], fired: &[u32]) {
        for &j in fired {
            *self.1[p.index()].entry((t, self.0.population(p).origin[j as usize])).or_default() += 1;
        }
    }
}

/// The bits do what the reference says, spike for spike, several in a step included.
#[test]
fn random_nets_on_bits_equal_the_reference() {
    let (mut ran, mut fired, mut several, mut later) = (0, 0, 0, 0);
    for seed in 0..120 {
        let net = net(seed);
        let samples: Vec<Stimulus> = (0..3).map(|k| random_spikes(&net, 100 * seed + k, 20)).collect();
        let calibration = if seed % 3 == 0 { samples.clone() } else { Vec::new() };
        let options = CompileOptions { calibration: calibration.into(), default_steps: Some(20), ..CompileOptions::default() };
        let done = match compiled(&net, &target(if seed.is_multiple_of(2) { "tinyodin" } else { "odin" }), &options) {
            Ok(done) => done,
            Err(CompileError::Findings(f)) if f.iter().all(|f| ["C02", "C11", "C17"].contains(&f.code)) => continue,
            Err(CompileError::NothingLeft(_)) => continue,
            Err(e) => panic!("seed {seed}: {e}"),
        };
        let bundle = Bundle::from_bytes(&done.bundle.to_bytes()).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        assert_eq!(bundle, done.bundle);
        let reference = Quantized::<Event>::from_bytes(&bundle.reference).unwrap().net;
        let interpreter = EventInterpreter::new(&reference).unwrap();
        for sample in &samples {
            let Stimulus::Spikes(train) = sample else { unreachable!() };
            let mut wanted = Count(&reference, vec![BTreeMap::new(); reference.populations.len()]);
            interpreter.run(Some(train), 20, &mut wanted);
            assert_eq!(run_bits(&bundle, train, 20), wanted.1, "seed {seed}");
            fired += wanted.1.iter().map(BTreeMap::len).sum::<usize>();
            several += wanted.1.iter().flat_map(|s| s.values()).filter(|&&n| n > 1).count();
        }
        (ran, later) = (ran + 1, later + bundle.host.injections.iter().filter(|i| i.delay_steps > 1).count());
    }
    assert!(ran > 80 && fired > 5_000 && several > 100 && later > 20, "{ran} {fired} {several} {later}");
}

#[test]
fn what_the_core_can_not_hold_is_named() {
    let findings = |neurons: usize, sources: u32, weight: fn(u32) -> f32, chip: &str| {
        let neuron = FloatNeuron { keep_u: 0.0, keep_v: 1.0, gain: 1.0, bias: 0.0, threshold: 1.0, v_reset: 0.0 };
        let synapses = (0..sources).flat_map(|i| (0..neurons as u32).map(move |j| (i, j, weight(i + j), 0))).collect();
        let net = Net {
            name: "full".into(),
            rules: random_net(0).rules,
            populations: vec![channels(sources), population("out", vec![neuron; neurons])],
            projections: vec![projection("w", (0, 1), sources as usize, synapses)],
            host_projections: vec![],
            output: PopulationId::from(1),
        };
        let found = check(Input::Trained { net: &net, digest: [0; 32] }, &target(chip), &CompileOptions::default()).unwrap();
        found.iter().map(|f| format!("{} {} {} of {}", f.code, f.resource, f.need, f.limit)).collect::<Vec<_>>()
    };
    let both = |k: u32| if k.is_multiple_of(2) { 0.5 } else { -0.5 };
    assert_eq!(findings(256, 256, |_| 0.5, "tinyodin"), Vec::<String>::new());
    assert_eq!(findings(257, 257, |_| 0.5, "tinyodin"), ["C01 neurons 257 of 256", "C02 rows of the synapse memory 257 of 256"]);
    assert_eq!(findings(2, 128, both, "odin"), Vec::<String>::new());
    assert_eq!(findings(2, 129, both, "odin"), ["C02 rows of the synapse memory 258 of 256"]);
    let mut leaky = net(1);
    let Role::Neurons(neurons) = &mut leaky.populations[1].role else { unreachable!() };
    neurons.iter_mut().for_each(|n| (n.keep_v, n.bias) = (0.5, 0.1));
    leaky.rules.reset = ResetRule::Subtract;
    let found = check(Input::Trained { net: &leaky, digest: [0; 32] }, &target("odin"), &CompileOptions::default()).unwrap();
    assert_eq!(found.iter().filter(|f| f.code == "C13").count(), 3, "{found:?}");
}
