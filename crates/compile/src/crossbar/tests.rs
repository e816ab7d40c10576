use super::measure::Measured;
use super::search::Choice;
use super::split::Splits;
use super::{emit, quantize};
use crate::driver::{CompileError, Compiled, Input, check, compile};
use crate::emit::HostOptions;
use crate::families::provenance;
use crate::lower::{LowerOptions, lower_all};
use crate::options::CompileOptions;
use crate::testnets::{channels, population, projection, random_net, random_spikes, rng};
use spikec_chip::bundle::{Bundle, DecoderKind, Encoder, Origin};
use spikec_chip::crossbar::{CrossbarReset, CrossbarTables, decode_core};
use spikec_chip::image::Image;
use spikec_chip::target::{Family, Target};
use spikec_data::{SpikeTrain, Stimulus};
use spikec_net::{
    Crossbar, FireRule, Float, FloatNeuron, FloatRules, Interpreter, Net, Observer, PopulationId, Quantized, ResetRule, Role, Synapses,
};
use std::collections::{BTreeMap, BTreeSet};

fn target(name: &str) -> Target {
    spikec_chip::find(name).unwrap()
}

/// Cores of a few axons and neurons, so that small nets spread over many.
fn small() -> Target {
    let mut target = target("ranc256");
    let Family::Crossbar(spec) = &mut target.family else { unreachable!() };
    (spec.core.axons.value, spec.core.neurons.value) = (64, 20);
    spec.routing.outputs.value = 64;
    target
}

fn integrate_and_fire(threshold: f32) -> FloatNeuron {
    FloatNeuron { keep_u: 0.0, keep_v: 1.0, gain: 1.0, bias: 0.0, threshold, v_reset: 0.0 }
}

/// A random net of neurons that a crossbar can be.
fn net(seed: u64) -> Net<Float> {
    let mut net = random_net(seed);
    net.rules.reset = if seed.is_multiple_of(2) { ResetRule::ToValue } else { ResetRule::Subtract };
    for p in &mut net.populations {
        let Role::Neurons(neurons) = &mut p.role else { continue };
        for n in neurons {
            let threshold = if n.threshold < f32::INFINITY { n.threshold } else { 1.0 };
            let v_reset = if seed.is_multiple_of(2) { n.v_reset } else { 0.0 };
            *n = FloatNeuron { keep_u: 0.0, keep_v: 1.0, threshold, v_reset, ..*n };
        }
    }
    net
}

fn compiled(net: &Net<Float>, target: &Target, options: &CompileOptions) -> Result<Compiled, CompileError> {
    compile(Input::Trained { net, digest: [7; 32] }, target, options, &mut |_| ())
}

/// Spikes of each population and network step, by the bits alone: a plain loop over the rows of all cores.
fn run_bits(bundle: &Bundle, train: &SpikeTrain, steps: u32) -> Vec<BTreeSet<(u32, u32)>> {
    let (Image::Crossbar(image), Family::Crossbar(spec)) = (&bundle.image, &bundle.target.family) else { panic!("no crossbar") };
    let cores: Vec<CrossbarTables> = image.cores.iter().map(|c| decode_core(c, spec).unwrap()).collect();
    let width = *bundle.target.topology.width as i32;
    let mut waiting: BTreeSet<(u32, u32, u16)> = BTreeSet::new();
    let mut v: BTreeMap<(u32, usize), i64> = BTreeMap::new();
    let owner: BTreeMap<(u32, u16), (usize, u32)> = (bundle.symbols.populations.iter().enumerate())
        .flat_map(|(p, s)| s.neurons.iter().map(move |&(n, place)| ((place.core, place.index), (p, n))))
        .collect();
    let mut spikes = vec![BTreeSet::new(); bundle.symbols.populations.len()];
    for tick in 0..steps + bundle.host.max_skew {
        for &channel in if tick < steps { train.at(tick) } else { &[] } {
            waiting.extend(bundle.host.input_axons[channel as usize].iter().map(|a| (tick, a.core, a.index)));
            let later = bundle.host.injections.iter().filter(|i| i.from == Origin::Channel(channel));
            waiting.extend(later.map(|i| (tick + i.delay_steps, i.to.core, i.to.index)));
        }
        let mut sent = Vec::new();
        for core in &cores {
            for (k, row) in core.neurons.iter().enumerate() {
                let v = v.entry((core.core, k)).or_insert(row.potential.into());
                let active = row.connections.iter().filter(|&&a| waiting.contains(&(tick, core.core, a)));
                *v += active.map(|&a| i64::from(row.weights[usize::from(core.types[usize::from(a)])])).sum::<i64>() + i64::from(row.leak);
                *v = (*v + 256).rem_euclid(512) - 256;
                let linear = row.mode == CrossbarReset::Linear;
                if *v >= row.positive_threshold.into() {
                    *v = if linear { *v - i64::from(row.positive_threshold) } else { row.reset.into() };
                    let d = row.destination;
                    let to = core.core as i32 + d.dx + d.dy * width;
                    sent.push((tick + 1 + u32::from(d.delay), to as u32, d.axon));
                    if let Some(&(p, n)) = owner.get(&(core.core, k as u16)) {
                        let skew = bundle.symbols.populations[p].skew;
                        if let Some(t) = tick.checked_sub(skew).filter(|&t| t < steps) {
                            spikes[p].insert((t, n));
                        }
                    }
                } else if *v < row.negative_threshold.into() {
                    panic!("the floor is never reached with 9 bits");
                }
            }
        }
        waiting.extend(sent);
    }
    spikes
}

struct Spikes<'a>(&'a Net<Crossbar>, Vec<BTreeSet<(u32, u32)>>);

impl Observer<Crossbar> for Spikes<'_> {
    fn step(&mut self, t: u32, p: PopulationId, _: &[i32], _: &[i32], fired: &[u32]) {
        let origin = &self.0.population(p).origin;
        self.1[p.index()].extend(fired.iter().map(|&j| (t, origin[j as usize])));
    }
}

/// The bits do what the reference says, spike for spike, and both resemble the floats.
#[test]
fn random_nets_on_bits_equal_the_reference() {
    let (mut ran, mut fired, mut repeated, mut injected, mut cores) = (0, 0, 0, 0, 0);
    for seed in 0..120 {
        let net = net(seed);
        let samples: Vec<Stimulus> = (0..3).map(|k| random_spikes(&net, 100 * seed + k, 20)).collect();
        let calibration = if seed % 3 == 0 { samples.clone() } else { Vec::new() };
        let options = CompileOptions { calibration: calibration.into(), default_steps: Some(20), ..CompileOptions::default() };
        let target = if seed % 4 == 3 { target("ranc256") } else { small() };
        let done = match compiled(&net, &target, &options) {
            Ok(done) => done,
            Err(CompileError::Findings(f)) if f.iter().all(|f| ["C11", "C13", "C17", "C18"].contains(&f.code)) => continue,
            Err(CompileError::NothingLeft(_)) => continue,
            Err(e) => panic!("seed {seed}: {e}"),
        };
        let bundle = Bundle::from_bytes(&done.bundle.to_bytes()).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        assert_eq!(bundle, done.bundle);
        let reference = Quantized::<Crossbar>::from_bytes(&bundle.reference).unwrap().net;
        let interpreter = Interpreter::new(&reference).unwrap();
        for sample in &samples {
            let Stimulus::Spikes(train) = sample else { unreachable!() };
            let mut wanted = Spikes(&reference, vec![BTreeSet::new(); reference.populations.len()]);
            interpreter.run(Some(train), &[], 20, &mut wanted);
            assert_eq!(run_bits(&bundle, train, 20), wanted.1, "seed {seed}");
            fired += wanted.1.iter().map(BTreeSet::len).sum::<usize>();
        }
        let report = done.report.crossbar.unwrap();
        (ran, repeated, injected) = (ran + 1, repeated + report.repeated, injected + bundle.host.injections.len());
        cores += u64::from(done.report.cores);
    }
    assert!(
        ran > 60 && fired > 10_000 && repeated > 100 && injected > 10 && cores > 2 * ran,
        "{ran} {fired} {repeated} {injected} {cores}"
    );
}

/// Input of `pres` channels onto one neuron, which is the output.
fn one_neuron(weights: &[f32], neuron: FloatNeuron) -> Net<Float> {
    let synapses = weights.iter().enumerate().map(|(i, &w)| (i as u32, 0, w, 0)).collect();
    Net {
        name: "one".into(),
        rules: FloatRules { fire: FireRule::GreaterEqual, reset: ResetRule::ToValue },
        populations: vec![channels(weights.len() as u32), population("out", vec![neuron])],
        projections: vec![projection("w", (0, 1), weights.len(), synapses)],
        host_projections: vec![],
        output: PopulationId::from(1),
    }
}

#[test]
fn sources_take_as_many_axons_as_there_is_room_for() {
    let axons = |sources: usize, given: Option<u32>| {
        let weights: Vec<f32> =
            (0..sources).map(|i| (0.05 + ((i * 37) % 101) as f32 / 101.0) * if i % 2 == 0 { 0.02 } else { -0.02 }).collect();
        let options = CompileOptions { axons_per_source: given, ..CompileOptions::default() };
        compiled(&one_neuron(&weights, integrate_and_fire(1.0)), &target("ranc256"), &options).map(|c| c.report.crossbar.unwrap().weights)
    };
    let four = axons(64, None).unwrap();
    assert_eq!(four.axons_per_source, 4);
    let fewer = [100, 180, 256].map(|n| axons(n, None).unwrap().axons_per_source);
    assert!(fewer.is_sorted_by(|a, b| a >= b) && fewer[2] < 4, "{fewer:?}");
    let one = axons(64, Some(1)).unwrap();
    assert!(one.relative > 1.5 * four.relative, "{one:?} {four:?}");
    let even: Vec<f32> = (0..257).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
    let refused = compiled(&one_neuron(&even, integrate_and_fire(1.0)), &target("ranc256"), &CompileOptions::default());
    let Err(CompileError::Findings(findings)) = &refused else {
        panic!("257 sources fit 256 axons: {:?}", refused.map(|c| c.report.crossbar))
    };
    assert!(findings.iter().any(|f| f.code == "C17" && f.to_string().contains("257")), "{findings:?}");
    assert!(matches!(axons(64, Some(5)), Err(CompileError::AxonsPerSource { found: 5, most: 4 })));
    assert!(axons(64, Some(0)).unwrap_err().to_string().contains("found 0, expected 1 to 4"));
}

#[test]
fn neurons_that_the_chip_can_not_be_are_all_named() {
    let findings = |neuron: FloatNeuron| {
        let net = one_neuron(&[1.0], neuron);
        let found = check(Input::Trained { net: &net, digest: [0; 32] }, &target("ranc256"), &CompileOptions::default()).unwrap();
        found.iter().map(|f| format!("{} {}", f.code, f.resource)).collect::<Vec<_>>()
    };
    let base = integrate_and_fire(1.0);
    assert_eq!(
        findings(FloatNeuron { keep_v: 0.5, keep_u: 0.2, ..base }),
        ["C13 neurons whose potential decays by a factor", "C13 neurons with a current that lasts"]
    );
    assert_eq!(findings(integrate_and_fire(f32::INFINITY)), ["C13 neurons that never fire"]);
    assert_eq!(findings(FloatNeuron { v_reset: 1.0, ..base }), ["C13 neurons whose threshold is not above their reset value"]);
    assert_eq!(findings(base), Vec::<String>::new());
    let net = one_neuron(&[1.0], base);
    let options = CompileOptions { tune: true, ..CompileOptions::default() };
    assert_eq!(
        compiled(&net, &target("truenorth"), &options).unwrap_err().to_string(),
        "--tune means nothing for target truenorth, a chip of the family Crossbar"
    );
}

#[test]
fn potentials_that_may_wrap_are_a_warning_and_twenty_bits_saturate() {
    let net = one_neuron(&[0.9, 0.8, -0.9, -0.8], integrate_and_fire(1.0));
    let warned = |name: &str| compiled(&net, &target(name), &CompileOptions::default()).unwrap().report.warnings.len();
    assert_eq!(["ranc256", "truenorth"].map(warned), [1, 0]);
}

/// A neuron that nothing hears any more keeps a row, whose spikes go to an axon without connections.
#[test]
fn neurons_that_lose_their_synapses_by_rounding_stay_and_do_nothing() {
    let mut net = one_neuron(&[1.0], integrate_and_fire(1.0));
    net.populations.insert(1, population("mid", vec![integrate_and_fire(1.0); 3]));
    net.output = PopulationId::from(2);
    net.projections = vec![
        projection("in", (0, 1), 1, vec![(0, 0, 1.0, 0), (0, 1, 1.0, 0), (0, 2, 1.0, 0)]),
        projection("out", (1, 2), 3, vec![(0, 0, 1.0, 0), (1, 0, 1e-6, 0), (2, 0, 0.5, 0)]),
    ];
    let done = compiled(&net, &target("ranc256"), &CompileOptions::default()).unwrap();
    assert_eq!(done.report.crossbar.as_ref().unwrap().weights.vanished, 1);
    assert_eq!(done.bundle.validate(), []);
    let (Image::Crossbar(image), Family::Crossbar(spec)) = (&done.bundle.image, &done.bundle.target.family) else { panic!() };
    let tables = decode_core(&image.cores[0], spec).unwrap();
    let place = done.bundle.symbols.populations[1].neurons[1].1;
    let to = tables.neurons[usize::from(place.index)].destination;
    assert_eq!((to.dx, to.dy), (0, 0));
    assert!(tables.neurons.iter().all(|row| !row.connections.contains(&to.axon)));
    let train = SpikeTrain::from_steps(1, vec![vec![0]; 4]);
    assert_eq!(run_bits(&done.bundle, &train, 4)[1].len(), 12);
}

/// One weight that is the threshold, whatever that is: the neuron fires for each spike.
#[test]
fn weights_that_reach_the_threshold_exactly_do_so_on_chip() {
    for threshold in [0.1, 0.3, 0.7, 1.0, 1.1, 3.0, 57.3] {
        let net = one_neuron(&[threshold], integrate_and_fire(threshold));
        let done = compiled(&net, &target("ranc256"), &CompileOptions::default()).unwrap();
        let train = SpikeTrain::from_steps(1, vec![vec![0]; 5]);
        assert_eq!(run_bits(&done.bundle, &train, 5)[1].len(), 5, "{threshold}");
    }
}

/// The net with delays of up to `most` steps on some of its synapses, and a loop on its first layer.
fn delayed(seed: u64, most: u16) -> Net<Float> {
    use rand::Rng;
    let (mut net, mut r) = (net(seed), rng(seed));
    let later = |r: &mut rand_chacha::ChaCha8Rng, d: u16| if r.random_bool(0.4) { d + r.random_range(0..=most) } else { d };
    for p in &mut net.projections {
        let tuples = p.synapses.iter().map(|(i, j, w, d)| (i, j, w, later(&mut r, d))).collect();
        p.synapses = Synapses::from_tuples(p.synapses.pres(), tuples);
    }
    let n = net.populations[1].len() as u32;
    let ends = (0..n).flat_map(|i| (0..n).map(move |j| (i, j)));
    let loops: Vec<_> = ends.filter(|_| r.random_bool(0.4)).collect();
    let synapses = loops.into_iter().map(|(i, j)| (i, j, r.random_range(-0.6..0.9), r.random_range(2..=most.max(2)))).collect();
    net.projections.push(projection("own loop", (1, 1), n as usize, synapses));
    net
}

/// Spikes by the reference.
fn run_reference(bundle: &Bundle, train: &SpikeTrain, steps: u32) -> Vec<BTreeSet<(u32, u32)>> {
    let reference = Quantized::<Crossbar>::from_bytes(&bundle.reference).unwrap().net;
    let mut seen = Spikes(&reference, vec![BTreeSet::new(); reference.populations.len()]);
    Interpreter::new(&reference).unwrap().run(Some(train), &[], steps, &mut seen);
    seen.1
}

/// Delays beyond the slots of a destination become relays; the bits do what the reference says, and the network's own neurons spike as they do on a
/// chip whose destinations hold every delay.
#[test]
fn long_delays_become_relays_that_change_no_spike() {
    const STEPS: u32 = 70;
    let (mut ran, mut relays, mut fired, mut deepest) = (0, 0, 0, 0);
    for seed in 0..80 {
        let net = delayed(seed, 40);
        let train = random_spikes(&net, seed, STEPS);
        let mut target = small();
        let Family::Crossbar(spec) = &mut target.family else { unreachable!() };
        spec.routing.max_delay.value = [14, 14, 6, 3][seed as usize % 4];
        let mut patient = target.clone();
        let Family::Crossbar(spec) = &mut patient.family else { unreachable!() };
        (spec.routing.max_delay.value, spec.core.delay_slots.value) = (126, 128);
        let options = CompileOptions { default_steps: Some(STEPS), ..CompileOptions::default() };
        let Ok(done) = compiled(&net, &target, &options) else { continue };
        let Ok(whole) = compiled(&net, &patient, &options) else { continue };
        let bundle = Bundle::from_bytes(&done.bundle.to_bytes()).unwrap();
        assert_eq!((bundle.validate(), whole.report.lowering.relays.neurons), (vec![], 0));
        let Stimulus::Spikes(train) = &train else { unreachable!() };
        let found = run_bits(&bundle, train, STEPS);
        assert_eq!(found, run_reference(&bundle, train, STEPS), "seed {seed}");
        let given = net.populations.len();
        if done.report.crossbar.as_ref().unwrap().weights == whole.report.crossbar.as_ref().unwrap().weights {
            assert_eq!(found[..given], run_bits(&whole.bundle, train, STEPS)[..given], "seed {seed}");
            ran += 1;
        }
        let made = &done.report.lowering.relays;
        (relays, fired) = (relays + made.neurons, fired + found.iter().map(BTreeSet::len).sum::<usize>());
        deepest = made.projections.iter().map(|p| p.relays).max().unwrap_or(0).max(deepest);
    }
    assert!(ran > 40 && relays > 500 && fired > 20_000 && deepest > 5, "{ran} {relays} {fired} {deepest}");
}

/// Splitters for all neurons, whether they pay or not: the bits do what the reference says, and the network's own neurons spike as without.
#[test]
fn splitters_change_no_spike() {
    const STEPS: u32 = 40;
    let (mut ran, mut splitters, mut several, mut fired) = (0, 0, 0, 0);
    for seed in 0..60 {
        let net = if seed % 2 == 0 { net(seed) } else { delayed(seed, 20) };
        let train = random_spikes(&net, seed, STEPS);
        let mut target = small();
        let Family::Crossbar(spec) = &mut target.family else { unreachable!() };
        spec.core.neurons.value = [6, 20, 4][seed as usize % 3];
        let spec = spec.clone();
        let lowered = lower_all(net.clone(), &target, &LowerOptions::default()).unwrap();
        if lowered.net.population(lowered.net.output).is_empty() || !quantize::unheld(&lowered.net, &spec).is_empty() {
            continue;
        }
        let wired = quantize::quantize(&lowered.net, [0; 32], (&spec, 1 + seed as usize % 2), &Measured::default(), &[], &BTreeMap::new());
        let choice = Choice { target: &target, spec: &spec, effort: Default::default() };
        let of = |splits: &Splits| {
            let held = choice.attempt(&wired, splits).ok()?;
            let cores: Vec<u32> = (0..held.parts.parts().len() as u32).collect();
            let emitter = emit::Emitter { wired: &held.wired, partitioned: &held.parts, cores: &cores, target: &target, spec: &spec };
            let host = HostOptions { encoder: Encoder::Spikes, decoder: DecoderKind::Count, default_steps: Some(STEPS) };
            let provenance = provenance("n", [0; 32], &CompileOptions::default(), (&lowered.report, false), &[]);
            Some((emitter.emit(host, provenance), held.splitters, held.wired.quantized.net))
        };
        let Some((bundle, made, split)) = of(&Splits { least: vec![Some(2); net.populations.len()] }) else { continue };
        assert_eq!(bundle.validate(), []);
        let Stimulus::Spikes(train) = &train else { unreachable!() };
        let found = run_bits(&bundle, train, STEPS);
        assert_eq!(found, run_reference(&bundle, train, STEPS), "seed {seed}");
        if let Some((plain, none, _)) = of(&Splits::default()) {
            assert_eq!(
                (none, &found[..net.populations.len()]),
                (0, &run_bits(&plain, train, STEPS)[..net.populations.len()]),
                "seed {seed}"
            );
            ran += 1;
        }
        several += split.populations.iter().filter(|p| p.name.starts_with("splitter 2")).count();
        (splitters, fired) = (splitters + made, fired + found.iter().map(BTreeSet::len).sum::<usize>());
    }
    assert!(ran > 20 && splitters > 200 && several > 3 && fired > 4_000, "{ran} {splitters} {several} {fired}");
}

/// Layers of 64 neurons, each of which hears all of the layer before; `own`: the first hears itself too, so many steps later.
fn dense(layers: usize, own: Option<u16>) -> Net<Float> {
    use rand::Rng;
    const N: u32 = 64;
    let (mut populations, mut projections) = (vec![channels(N)], Vec::new());
    let mut r = rng(1);
    let mut all = |delay: u16| -> Vec<_> {
        let ends = (0..N).flat_map(|i| (0..N).map(move |j| (i, j)));
        ends.map(|(i, j)| (i, j, if r.random_bool(0.55) { 0.4 } else { -0.4 }, delay)).collect()
    };
    for layer in 0..layers as u32 {
        populations.push(population(&format!("layer{layer}"), vec![integrate_and_fire(1.0); N as usize]));
        projections.push(projection(&format!("fc{layer}"), (layer, layer + 1), N as usize, all(0)));
    }
    if let Some(delay) = own {
        projections.push(projection("own", (1, 1), N as usize, all(delay)));
    }
    let rules = FloatRules { fire: FireRule::GreaterEqual, reset: ResetRule::ToValue };
    Net { name: "dense".into(), rules, output: PopulationId::from(layers), populations, projections, host_projections: vec![] }
}

/// Cores of 20 rows: a layer of 64 takes 4, whose 4 destinations a neuron before them has, which copies make 13 cores, and those 64.
#[test]
fn splitters_are_chosen_where_they_take_fewer_cores_or_copies_do_not_fit() {
    let mut target = small();
    let Family::Crossbar(spec) = &mut target.family else { unreachable!() };
    spec.core.axons.value = 128;
    let run = |net: &Net<Float>| {
        let done = compiled(net, &target, &CompileOptions { axons_per_source: Some(1), weight_error: 9.0, ..CompileOptions::default() })?;
        let Stimulus::Spikes(train) = random_spikes(net, 3, 12) else { unreachable!() };
        let found = run_bits(&done.bundle, &train, 12);
        assert_eq!(found, run_reference(&done.bundle, &train, 12));
        assert!(found.iter().map(BTreeSet::len).sum::<usize>() > 100);
        Ok::<_, CompileError>((done.report.cores, done.report.crossbar.unwrap(), done.report.max_skew))
    };
    let (cores, report, skew) = run(&dense(1, None)).unwrap();
    assert_eq!((cores, report.splitters, report.cores_of_copies, skew), (4, 0, None, 0));
    let (cores, report, skew) = run(&dense(3, None)).unwrap();
    assert_eq!((report.cores_of_copies, skew), (Some(80), 3), "63 + 13 + 4 cores; splitters for the second layer alone");
    assert!(cores < 40 && report.splitters == 64, "{cores} {}", report.splitters);
    let (cores, report, _) = run(&dense(5, None)).unwrap();
    assert!(report.cores_of_copies.is_none() && cores < 80 && report.splitters >= 192, "{cores} {}", report.splitters);
    // A layer that hears itself stands on 4 cores or more, and so has destinations that need more: copies never end.
    let (cores, report, _) = run(&dense(1, Some(2))).unwrap();
    assert!(report.cores_of_copies.is_none() && cores < 40 && report.splitters >= 64, "{cores} {}", report.splitters);
    let refused = run(&dense(1, Some(1))).unwrap_err();
    let named = |f: &crate::Finding| f.code == "C18" && f.remedy.contains("splitters can't serve own: its loop has no slack of a step");
    assert!(refused.findings().iter().any(named), "{refused:?}");
}
