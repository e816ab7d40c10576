//! Random networks on random crossbars and event crossbars: what the compiler makes verifies and behaves.

use spikec_chip::Target;
use spikec_chip::target::Family;
use spikec_compile::{CompileOptions, Input, compile};
use spikec_data::{SpikeTrain, Stimulus};
use spikec_net::{
    FireRule, Float, FloatNeuron, FloatRules, Net, Population, PopulationId, Projection, ResetRule, Role, Synapses, code_inputs,
};
use spikec_sim::{Machine, Record, RunOptions};
use spikec_verify::{Given, ImageVerdict, check_behaviour, check_image};

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

/// Random nets with delays of up to 40 steps, loops among them, on crossbars of random sizes: relays and splitters verify and behave.
#[test]
fn relays_and_splitters_verify_and_behave() {
    const STEPS: u32 = 60;
    let (mut made, mut relays, mut splitters, mut spikes) = (0, 0, 0, 0);
    for seed in 0..90u64 {
        let mut r = Random(seed * 77 + 5);
        let mut net = net(&mut r, false);
        for p in net.projections.iter_mut().filter(|p| p.name != "in-h") {
            let later = |d: u16, r: &mut Random| if r.below(3) == 0 { d + r.below(38) as u16 } else { d };
            let tuples = p.synapses.iter().map(|(i, j, w, d)| (i, j, w, later(d, &mut r))).collect();
            p.synapses = Synapses::from_tuples(p.synapses.pres(), tuples);
        }
        let mut target = target(["ranc256", "ranc256_sim", "truenorth"][seed as usize % 3]);
        let Family::Crossbar(spec) = &mut target.family else { unreachable!() };
        (spec.core.axons.value, spec.core.neurons.value) = (24 + r.below(60) as u32, 3 + r.below(20) as u32);
        let options = CompileOptions { default_steps: Some(STEPS), ..CompileOptions::default() };
        let digest = net.digest();
        let Ok(compiled) = compile(Input::Trained { net: &net, digest }, &target, &options, &mut |_| ()) else { continue };
        made += 1;
        let verdict = check_image(&compiled.bundle, &Given::Trained { net: &net, digest }).expect("it can be checked");
        let lines: Vec<String> = verdict.differences.iter().map(ToString::to_string).collect();
        assert!(verdict.holds(), "{seed}: {lines:#?}");
        let report = compiled.report.crossbar.expect("it is a crossbar");
        assert_eq!(verdict.checked.relays, compiled.report.lowering.relays.neurons + report.splitters, "{seed}");
        (relays, splitters) = (relays + compiled.report.lowering.relays.neurons, splitters + report.splitters);
        let machine = Machine::boot(compiled.bundle.loadable()).expect("what is compiled boots");
        let width = compiled.bundle.host.input_width;
        let step = |r: &mut Random| (0..width).filter(|_| r.below(2) == 0).collect::<Vec<u32>>();
        let train = SpikeTrain::from_steps(width, (0..STEPS).map(|_| step(&mut r)).collect::<Vec<_>>());
        let verdict = check_behaviour(&compiled.bundle, &machine, &[Stimulus::Spikes(train)], None, &|| ()).expect("the sample fits");
        assert!(verdict.holds(), "{seed}: {}", verdict.first_divergence.expect("it diverges"));
        spikes += verdict.spikes;
    }
    println!("{made} nets, {relays} relays, {splitters} splitters, {spikes} spikes");
    assert!(
        made > 30 && relays > 300 && splitters > 30 && spikes > 5_000,
        "{made} nets, {relays} relays, {splitters} splitters, {spikes} spikes"
    );
}

/// 100 channels onto 12 neurons, and those onto 3, with cores of 64 axons.
fn wide(r: &mut Random) -> (Net<Float>, Target) {
    let mut wide = net(r, false);
    let neurons =
        |n: usize| Role::Neurons(vec![FloatNeuron { keep_u: 0.0, keep_v: 1.0, gain: 1.0, bias: 0.0, threshold: 1.0, v_reset: 0.0 }; n]);
    let mut dense = |name: &str, (pre, post): (u32, u32), (n, m): (u32, u32)| {
        let tuples =
            (0..n).flat_map(|i| (0..m).map(move |j| (i, j))).map(|(i, j)| (i, j, if r.real() > -0.2 { 0.2 } else { -0.2 }, 0)).collect();
        let synapses = Synapses::from_tuples(n as usize, tuples);
        Projection { name: name.into(), pre: PopulationId(pre), post: PopulationId(post), format: (), synapses }
    };
    wide.projections = vec![dense("in-h", (0, 1), (100, 12)), dense("h-o", (1, 2), (12, 3))];
    for (p, (n, role)) in wide.populations.iter_mut().zip([(100, Role::SpikeInput), (12, neurons(12)), (3, neurons(3))]) {
        (p.shape, p.origin, p.role) = (vec![n], (0..n).collect(), role);
    }
    (wide, target("ranc256"))
}

/// Another number of synapses that were left out than `absent`, none, and one that no number is, are found by `check`.
fn declaration_is_checked(bundle: &spikec_chip::Bundle, absent: u64, check: &dyn Fn(&spikec_chip::Bundle) -> ImageVerdict) {
    for (change, wanted) in [("+1", "dropped inputs"), ("none", "weight"), ("text", "dropped inputs")] {
        let verdict = check(&misdeclared(bundle, change, absent));
        let found = verdict.differences.iter().any(|d| d.to_string().contains(wanted));
        assert!(!verdict.holds() && found, "{change}: {:?}", verdict.differences);
    }
}

/// The bundle with another declaration of what was left out, none, or one that is no number.
fn misdeclared(bundle: &spikec_chip::Bundle, change: &str, absent: u64) -> spikec_chip::Bundle {
    let mut lying = bundle.clone();
    let options = &mut lying.provenance.options;
    let at = options.iter().position(|(name, _)| name == "dropped-inputs").expect("it is declared");
    match change {
        "+1" => options[at].1 = (absent + 1).to_string(),
        "text" => options[at].1 = "many".into(),
        _ => drop(options.remove(at)),
    }
    lying
}

#[test]
fn inputs_that_are_left_out_are_declared_and_told() {
    let (net, target) = wide(&mut Random(3));
    let digest = net.digest();
    let input = Input::Trained { net: &net, digest };
    let sample = |r: &mut Random| {
        Stimulus::Spikes(SpikeTrain::from_steps(
            100,
            (0..12).map(|_| (0..100).filter(|_| r.below(5) == 0).collect()).collect::<Vec<Vec<u32>>>(),
        ))
    };
    let calibration: Vec<Stimulus> = (0..20).map(|k| sample(&mut Random(k))).collect();
    for calibration in [Vec::new(), calibration] {
        let options =
            CompileOptions { default_steps: Some(12), calibration: calibration.into(), weight_error: 9.0, ..CompileOptions::default() };
        let refused = compile(input, &target, &options, &mut |_| ()).expect_err("100 sources fit 64 axons");
        let text = refused.hint();
        let samples = !options.calibration.is_empty();
        let said = ["--drop-inputs would leave", "of 1236 synapses out", "targets whose cores take 100 sources of a neuron: loihi1,"];
        assert!(said.iter().all(|s| text.contains(s)) && text.contains("of 20 samples") == samples, "{text}");
        let options = CompileOptions { drop_inputs: true, ..options };
        let done = compile(input, &target, &options, &mut |_| ()).expect("64 axons hold what is left");
        let report = done.report.crossbar.as_ref().and_then(|x| x.dropped).expect("something is left out");
        assert!(report.neurons == 12 && report.synapses >= 12 * 36 && (0.0..0.6).contains(&report.share), "{report:?}");
        let check = |bundle: &spikec_chip::Bundle| check_image(bundle, &Given::Trained { net: &net, digest }).expect("it can be checked");
        let verdict = check(&done.bundle);
        let lines: Vec<String> = verdict.differences.iter().map(ToString::to_string).collect();
        assert!(verdict.holds(), "{lines:#?}");
        assert_eq!(verdict.checked.dropped, report.absent);
        assert!(
            report.absent >= report.synapses
                && verdict.rounding.dropped_share > 0.0
                && verdict.choices.line().contains("synapses left out")
        );
        declaration_is_checked(&done.bundle, report.absent, &check);
    }
    // What fits loses nothing.
    let fits = Target { name: "fits".into(), ..spikec_chip::find("ranc256").expect("it is built in") };
    let options = CompileOptions { drop_inputs: true, default_steps: Some(12), weight_error: 9.0, ..CompileOptions::default() };
    let done = compile(input, &fits, &options, &mut |_| ()).expect("256 axons hold 100 sources");
    let plain = compile(input, &fits, &CompileOptions { drop_inputs: false, ..options.clone() }, &mut |_| ()).expect("they do");
    assert_eq!(done.report.crossbar.expect("it is a crossbar").dropped.filter(|d| d.synapses == 0), None);
    assert_eq!(plain.report.crossbar.expect("it is a crossbar").dropped, None);
}

/// 500 channels of which each makes `any` fire, 40 of which `mixed` hears too, beside weak ones that add up; a chain behind them.
fn ors(reset: ResetRule, fire: FireRule, negative: bool, delay: u16) -> Net<Float> {
    let neuron = FloatNeuron { keep_u: 0.0, keep_v: 1.0, gain: 1.0, bias: 0.0, threshold: 1.0, v_reset: 0.0 };
    let population = |name: &str, n: u32, role| Population { name: name.into(), shape: vec![n], origin: (0..n).collect(), skew: 0, role };
    let neurons = |n: u32| Role::Neurons(vec![neuron; n as usize]);
    let mut strong: Vec<(u32, u32, f32, u16)> =
        (0..500).map(|i| (i, 0, 1.0 + (i % 7) as f32 * 0.3 + 0.01, delay * (i % 3) as u16)).collect();
    strong.extend((0..400).map(|i| (i, 1, if i % 10 == 0 || i > 200 { 1.5 } else { 0.23 }, 0)));
    if negative {
        strong[7].2 = -0.1;
    }
    let projection = |name: &str, pre: u32, post: u32, pres: usize, tuples| Projection {
        name: name.into(),
        pre: PopulationId(pre),
        post: PopulationId(post),
        format: (),
        synapses: Synapses::from_tuples(pres, tuples),
    };
    Net {
        name: "ors".into(),
        rules: FloatRules { fire, reset },
        populations: vec![population("in", 500, Role::SpikeInput), population("or", 2, neurons(2)), population("o", 2, neurons(2))],
        projections: vec![
            projection("in-or", 0, 1, 500, strong),
            projection("or-o", 1, 2, 2, vec![(0, 0, 0.6, 0), (1, 1, 0.7, 0), (0, 1, 0.4, 1)]),
            projection("in-o", 0, 2, 500, vec![(3, 0, 0.5, 0), (4, 1, -0.5, 2)]),
        ],
        host_projections: Vec::new(),
        output: PopulationId(2),
    }
}

/// Sources of which each alone makes a neuron fire may be gathered: more of them than a core has axons are no refusal, and nothing changes.
#[test]
fn sources_that_strike_are_gathered() {
    const STEPS: u32 = 30;
    let compiled = |net: &Net<Float>, target: &str| {
        let options =
            CompileOptions { default_steps: Some(STEPS), axons_per_source: Some(1), weight_error: 9.0, ..CompileOptions::default() };
        let target = spikec_chip::find(target).expect("it is built in");
        compile(Input::Trained { net, digest: net.digest() }, &target, &options, &mut |_| ())
    };
    for (k, target) in ["ranc256", "ranc256_sim", "truenorth"].into_iter().enumerate() {
        for fire in [FireRule::Greater, FireRule::GreaterEqual] {
            let net = ors(ResetRule::ToValue, fire, false, k as u16);
            let done = compiled(&net, target).unwrap_or_else(|e| panic!("{target}: {e}"));
            assert!(
                done.report.crossbar.as_ref().is_some_and(|x| x.gathers >= 2 + u64::from(k > 0)),
                "{target}: {:?}",
                done.report.crossbar
            );
            let given = Given::Trained { net: &net, digest: net.digest() };
            let verdict = check_image(&done.bundle, &given).expect("it can be checked");
            let lines: Vec<String> = verdict.differences.iter().map(ToString::to_string).collect();
            assert!(verdict.holds(), "{target}: {lines:#?}");
            // A network in which one of them doesn't strike, or a neuron is inhibited, is another.
            for change in [0.2f32, -0.5] {
                let mut other = net.clone();
                other.projections[0].synapses.weights_mut()[0] = change;
                let digest = net.digest();
                let verdict = check_image(&done.bundle, &Given::Trained { net: &other, digest }).expect("it can be checked");
                assert!(!verdict.holds(), "{target}: a weight of {change} is no strike");
            }
            let machine = Machine::boot(done.bundle.loadable()).expect("what is compiled boots");
            let mut r = Random(k as u64);
            let share = [40, 4, 400][k];
            let step = |r: &mut Random| (0..500).filter(|_| r.below(share) == 0).collect::<Vec<u32>>();
            let samples: Vec<Stimulus> = (0..3)
                .map(|_| Stimulus::Spikes(SpikeTrain::from_steps(500, (0..STEPS).map(|_| step(&mut r)).collect::<Vec<_>>())))
                .collect();
            let verdict = check_behaviour(&done.bundle, &machine, &samples, None, &|| ()).expect("the samples fit");
            assert!(verdict.holds() && verdict.spikes > 60, "{target}: {:?}", verdict.first_divergence.map(|d| d.to_string()));
            // On the chip the first neuron is the OR of its 500 sources, each at its own delay, and nothing else.
            let record = Record { spikes: true, ..Record::default() };
            let run = RunOptions { record, steps: Some(STEPS), ..RunOptions::default() };
            for sample in &samples {
                let Stimulus::Spikes(train) = sample else { unreachable!() };
                let later = |t: u32, i: u32| t.checked_sub((k as u32) * (i % 3)).is_some_and(|t| train.at(t).contains(&i));
                let expected: Vec<u32> = (0..STEPS).filter(|&t| (0..500).any(|i| later(t, i))).collect();
                let spikes = machine.run(sample, &run).expect("it runs").spikes;
                let found: Vec<u32> = spikes.iter().filter(|e| (e.population, e.neuron) == (1, 0)).map(|e| e.step).collect();
                assert_eq!(found, expected, "{target}");
            }
        }
        // A spike that takes the threshold away leaves what is above it; and an inhibited neuron may not fire.
        for net in [ors(ResetRule::Subtract, FireRule::Greater, false, 0), ors(ResetRule::ToValue, FireRule::Greater, true, 0)] {
            let refused = compiled(&net, target).expect_err("no gather is exact");
            assert!(refused.findings().iter().any(|f| f.code == "C17" && f.resource.starts_with("axons of one neuron")), "{refused}");
        }
    }
}

#[test]
fn rows_that_an_event_crossbar_lacks_are_declared_and_told() {
    let (net, _) = wide(&mut Random(4));
    let digest = net.digest();
    let input = Input::Trained { net: &net, digest };
    for name in ["tinyodin", "odin"] {
        let mut small = spikec_chip::find(name).expect("it is built in");
        let Family::EventCrossbar(spec) = &mut small.family else { panic!("{name} is an event crossbar") };
        spec.core.rows.value = 64;
        let options = CompileOptions { default_steps: Some(12), weight_error: 9.0, ..CompileOptions::default() };
        let refused = compile(input, &small, &options, &mut |_| ()).expect_err("112 sources fit 64 rows").hint();
        assert!(refused.contains("--drop-inputs would leave") && refused.contains("targets whose cores take 100 sources"), "{refused}");
        let options = CompileOptions { drop_inputs: true, ..options };
        let done = compile(input, &small, &options, &mut |_| ()).expect("64 rows hold what is left");
        let event = done.report.event.as_ref().expect("it is an event crossbar");
        let report = event.dropped.expect("something is left out");
        assert!(event.rows <= 64 && report.synapses > 0 && (0.0..1.0).contains(&report.share), "{report:?}");
        let check = |bundle: &spikec_chip::Bundle| check_image(bundle, &Given::Trained { net: &net, digest }).expect("it can be checked");
        let verdict = check(&done.bundle);
        let lines: Vec<String> = verdict.differences.iter().map(ToString::to_string).collect();
        assert!(verdict.holds() && verdict.checked.dropped == report.absent, "{lines:#?}");
        declaration_is_checked(&done.bundle, report.absent, &check);
    }
    // What fits loses nothing, and may not say that it does.
    let options = CompileOptions { drop_inputs: true, default_steps: Some(12), weight_error: 9.0, ..CompileOptions::default() };
    let fits = spikec_chip::find("tinyodin").expect("it is built in");
    let mut done = compile(input, &fits, &options, &mut |_| ()).expect("256 rows hold 112 sources");
    assert_eq!(done.report.event.expect("it is an event crossbar").dropped, None);
    done.bundle.provenance.options.push(("dropped-inputs".into(), "3".into()));
    assert!(!check_image(&done.bundle, &Given::Trained { net: &net, digest }).expect("it can be checked").holds());
}
