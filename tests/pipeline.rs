//! The whole way, network to simulated bundle: the Loihi 1 oracle vectors, random nets against the reference, and verdicts
//! on networks that differ in one number.

use spikec_chip::{Bundle, Target};
use spikec_compile::{CompileOptions, Input};
use spikec_data::Stimulus;
use spikec_net::{Bias, Fixed, Net, PopulationId, Role};
use spikec_sim::{Energy, Level, Machine, Record, RunOptions};
use spikec_testkit::{generate, oracle};
use spikec_verify::{Given, check_behaviour, check_image};

fn loihi1() -> Target {
    spikec_chip::find("loihi1").expect("built in")
}

/// loihi1 with cores of a few compartments, so that small nets spread over many cores.
fn small() -> Target {
    let mut target = loihi1();
    let packed = target.packed_mut();
    packed.core.compartments.value = 8;
    packed.core.in_axons.value = 200;
    packed.core.out_axon_entries.value = 128;
    packed.core.out_axons_per_neuron.value = 128;
    target.name = "small".into();
    assert!(target.check().is_empty(), "{:?}", target.check());
    target
}

/// loihi2 with a core of `bytes`, of which `seed` says what things take.
fn of_bytes(bytes: u32, seed: u64) -> Target {
    let mut target = spikec_chip::find("loihi2").expect("built in");
    let p = target.packed_mut();
    let of = |k: u64, most: u64| (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(9 * k as u32) % (most + 1)) as u32;
    (p.core.core_bytes.value, p.core.program_bytes.value) = (bytes, of(1, 200));
    (p.core.neuron_bytes.value, p.core.current_bytes.value, p.core.delay_slot_bytes.value) = (of(2, 40), of(3, 8), of(4, 3));
    (p.core.in_axon_bytes.value, p.core.out_axon_entry_bytes.value) = (of(5, 8), of(6, 8));
    p.synapse_memory.usable_words.value = (bytes - p.core.program_bytes.value) / 16;
    p.synapse_memory.max_words_per_axon.value = p.synapse_memory.usable_words.value.min(256);
    target.name = format!("loihi2 of {bytes} bytes");
    assert!(target.check().is_empty(), "{:?}", target.check());
    target
}

/// Compiles a net in registers; the bundle goes through its bytes.
fn bundle_of(net: &Net<Fixed>, target: &Target, remove_dead: bool) -> Result<Bundle, spikec_compile::CompileError> {
    let options = CompileOptions { remove_dead, ..CompileOptions::default() };
    let compiled = spikec_compile::compile(Input::Registers { net, digest: net.digest() }, target, &options, &mut |_| ())?;
    let bytes = compiled.bundle.to_bytes();
    let read = Bundle::from_bytes(&bytes).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(read, compiled.bundle);
    Ok(read)
}

fn cores(bundle: &Bundle) -> usize {
    let image = bundle.image.packed();
    image.cores.len()
}

#[test]
fn oracle_vectors_are_equal_in_u_v_and_spikes_through_the_bundle() {
    let cases = oracle::loihi1_cases();
    assert_eq!(cases.len(), 27);
    let mut split = 0;
    for case in &cases {
        let mut net = case.net();
        let stimulus = Stimulus::Spikes(case.train());
        let options = RunOptions {
            steps: Some(case.steps),
            record: Record { spikes: true, potentials: true, ..Record::default() },
            ..RunOptions::default()
        };
        let neurons: Vec<usize> = (0..net.populations.len()).filter(|&p| !net.populations[p].is_input()).collect();
        for target in [loihi1(), small()] {
            for (k, &p) in neurons.iter().enumerate() {
                // Every population in turn is the output, whose states are recorded.
                net.output = PopulationId::from(p);
                let bundle = bundle_of(&net, &target, false).unwrap_or_else(|e| panic!("case {} on {}: {e}", case.seed, target.name));
                split += usize::from(cores(&bundle) > 1);
                let machine = Machine::boot(bundle.loadable()).unwrap_or_else(|e| panic!("{e}"));
                let run = machine.run(&stimulus, &options).unwrap_or_else(|e| panic!("{e}"));
                let place = format!("case {}, population {k}, {}", case.seed, target.name);
                assert_eq!(run.output_currents, case.u[k], "u, {place}");
                let mut spikes = vec![Vec::new(); case.steps as usize];
                for s in run.spikes.iter().filter(|s| s.population as usize == p) {
                    spikes[s.step as usize].push(s.neuron);
                }
                assert_eq!(spikes, case.spikes_by_step(k), "spikes, {place}");
                assert_eq!(run.output_potentials, case.v[k], "v, {place}");
            }
        }
    }
    assert!(split > 20, "only {split} bundles had more than one core");
}

/// At every timing level the spikes and counters are the same, a step lasts at least as long as its busiest core and the barrier,
/// energy is counts times the target's figures, and the parts add up.
fn every_level_agrees(bundle: &Bundle, machine: &Machine, samples: &[Stimulus]) {
    let options = RunOptions { steps: Some(20), record: Record { spikes: true, ..Record::default() }, ..RunOptions::default() };
    let plain = machine.run_batch(samples, &options, &|| ()).unwrap_or_else(|e| panic!("{e}"));
    let mut events = Vec::new();
    for level in [Level::Analytic, Level::Cycle] {
        let timed = Machine::boot_timed(bundle.loadable(), level).unwrap_or_else(|e| panic!("{e}"));
        let mut batch = timed.run_batch(samples, &options, &|| ()).unwrap_or_else(|e| panic!("{e}"));
        let total = batch.timing.take().expect("timed");
        for run in &mut batch.samples {
            let timing = run.timing.take().expect("timed");
            for step in &timing.steps {
                assert!(step.time_ps >= step.generation_ps.max(step.processing_ps).max(step.host_ps) + step.barrier_ps);
            }
            assert_eq!(timing.time_ps, timing.load_ps + timing.steps.iter().map(|s| s.time_ps).sum::<u64>());
        }
        assert_eq!(batch, plain, "watching changes nothing");
        let e = &total.events;
        let figures = &bundle.target.packed().energy_pj;
        let expected = e.neuron_accesses as f64 * *figures.neuron_access
            + e.neuron_updates as f64 * *figures.neuron_update
            + e.neuron_spikes as f64 * *figures.spike_out
            + e.messages_out as f64 * *figures.axon_out
            + e.messages_in as f64 * *figures.axon_in
            + e.synapses_dense as f64 * *figures.synapse_dense
            + e.synapses_sparse as f64 * *figures.synapse_sparse
            + e.hops_x as f64 * *figures.hop_x
            + e.hops_y as f64 * *figures.hop_y
            + e.hops_chip as f64 * *figures.hop_chip
            + e.host_messages as f64 * *figures.host_spike;
        assert!((Energy::of(e, &bundle.target).chip_pj() - expected).abs() <= 1e-9 * expected);
        assert_eq!(e.messages_in, plain.totals.messages + plain.totals.host_spikes, "every message arrives");
        assert_eq!(e.hops_x + e.hops_y + e.hops_chip, total.links.iter().map(|l| l.messages).sum::<u64>());
        events.push(total.events);
    }
    assert_eq!(events[0], events[1]);
}

#[test]
fn random_nets_run_as_their_reference_and_verify() {
    let (mut compiled, mut tight_ones, mut split, mut refused) = (0, 0, 0, 0);
    for seed in 0..60 {
        let analog = seed % 4 == 3;
        let net = if analog { generate::random_analog_net(seed, 12) } else { generate::random_fixed_net(seed, 12) };
        let width: usize = net.populations.iter().filter(|p| p.is_input()).map(|p| p.trained_len()).sum();
        let samples: Vec<Stimulus> = (0..3)
            .map(|k| match analog {
                true => Stimulus::Values(generate::random_values(seed * 10 + k, width as u32, Some(20))),
                false => Stimulus::Spikes(generate::random_spikes(seed * 10 + k, width as u32, 20, 0.2)),
            })
            .collect();
        let tight = of_bytes(600 + 90 * (seed as u32 % 50), seed);
        for target in [loihi1(), small(), tight] {
            let options = CompileOptions {
                encoder: if analog { spikec_chip::bundle::Encoder::Bias } else { spikec_chip::bundle::Encoder::Spikes },
                ..CompileOptions::default()
            };
            let given = Given::Registers { net: &net, digest: net.digest() };
            let bundle = match spikec_compile::compile(Input::Registers { net: &net, digest: net.digest() }, &target, &options, &mut |_| ())
            {
                Ok(c) => c.bundle,
                Err(e) => {
                    // What does not compile says why.
                    assert!(!e.to_string().is_empty());
                    continue;
                }
            };
            compiled += 1;
            let budget = *target.packed().core.core_bytes;
            if budget > 0 {
                (tight_ones, split) = (tight_ones + 1, split + usize::from(cores(&bundle) > 1));
                refused += usize::from(one_byte_less(&bundle, budget));
            }
            let verdict = check_image(&bundle, &given).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            assert!(verdict.holds(), "seed {seed} on {}: {:?}", target.name, verdict.differences);
            let machine = Machine::boot(bundle.loadable()).unwrap_or_else(|e| panic!("{e}"));
            every_level_agrees(&bundle, &machine, &samples);
            let behaviour = check_behaviour(&bundle, &machine, &samples, Some(20), &|| ()).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            assert!(behaviour.holds(), "seed {seed} on {}: {:?}", target.name, behaviour.first_divergence);
        }
    }
    assert!(compiled >= 90, "only {compiled} of 180 compiled");
    let seen = format!("{tight_ones} compiled for a budget of bytes, {split} of them on several cores, {refused} refused with a byte less");
    assert!(tight_ones >= 30 && split >= 10 && refused >= 10, "{seen}");
}

/// What the machine counts from the image keeps the budget, and a budget of a byte less than the fullest core's is refused. False where the limit of
/// words alone contradicts it.
fn one_byte_less(bundle: &Bundle, budget: u32) -> bool {
    let machine = Machine::boot(bundle.loadable()).unwrap_or_else(|e| panic!("{e}"));
    let bytes = |c: &spikec_sim::CoreUtilization| c.resources.iter().find(|r| r.0 == "core_bytes").map_or((0, 0), |r| (r.1, r.2));
    let used: Vec<(u64, u64)> = machine.utilization().iter().map(bytes).collect();
    assert!(used.iter().all(|&(used, available)| used <= available && available == u64::from(budget)), "{used:?}");
    let most = used.iter().map(|u| u.0).max().unwrap_or(0);
    let mut short = bundle.clone();
    let p = short.target.packed_mut();
    p.core.core_bytes.value = most as u32 - 1;
    if !short.target.check().is_empty() {
        return false;
    }
    let refused = Bundle::from_bytes(&short.to_bytes()).expect_err("a core has a byte too many").to_string();
    let why = format!("bytes of the core's memory: {most} needed, limit {}", most - 1);
    assert!(refused.contains(&why), "{refused}");
    true
}

#[test]
fn input_overflows_are_counted_alike_at_any_width() {
    let mut counts = std::collections::BTreeSet::new();
    for input_bits in [10, 16, 21] {
        let mut target = loihi1();
        let packed = target.packed_mut();
        packed.neuron.input_bits.value = input_bits;
        let (mut simulated, mut referred) = (0, 0);
        for seed in 0..20 {
            let net = generate::random_fixed_net(seed, 12);
            let Ok(bundle) = bundle_of(&net, &target, true) else { continue };
            let given = Given::Registers { net: &net, digest: net.digest() };
            assert!(check_image(&bundle, &given).unwrap_or_else(|e| panic!("{e}")).holds());
            let width: usize = net.populations.iter().filter(|p| p.is_input()).map(|p| p.trained_len()).sum();
            let stimulus = Stimulus::Spikes(generate::random_spikes(seed, width as u32, 20, 0.3));
            let machine = Machine::boot(bundle.loadable()).unwrap_or_else(|e| panic!("{e}"));
            let run = machine.run(&stimulus, &RunOptions::default()).unwrap_or_else(|e| panic!("{e}"));
            let reference = <spikec_net::Quantized>::from_bytes(&bundle.reference).expect("our own bundle").net;
            // With skews the chip also counts in steps that are no network steps.
            if reference.max_skew() > 0 {
                continue;
            }
            let interpreter = spikec_net::Interpreter::new(&reference).unwrap_or_else(|e| panic!("{e}"));
            let (wanted, _) = interpreter.sample(&stimulus, None, (4095, 7), false).unwrap_or_else(|e| panic!("{e}"));
            simulated += run.counters.input_overflows;
            referred += wanted.counters.input_overflows;
        }
        assert_eq!(simulated, referred, "{input_bits} bits");
        counts.insert(simulated);
    }
    assert!(counts.len() == 3 && !counts.contains(&0), "{counts:?}");
}

/// A recurrent net with delays, biases and a second layer, and its variants that differ in one number.
fn variants() -> (Net<Fixed>, Vec<(&'static str, Net<Fixed>)>) {
    // The first seed whose net survives whole and has every kind of number to change.
    let net = (0..500).map(|s| generate::random_fixed_net(s, 10)).find(|n| {
        n.projections.len() >= 2
            && n.populations.iter().any(|p| p.neurons().iter().any(|x| x.bias.mantissa != 0))
            && spikec_net::live(n).iter().flatten().all(|&alive| alive)
            && bundle_of(n, &loihi1(), true).is_ok()
    });
    let net = net.expect("a seed below 500 gives such a net");
    let mut out: Vec<(&'static str, Net<Fixed>)> = Vec::new();
    let grid = 1i16 << net.projections[0].format.grid_shift();
    let mut weight = net.clone();
    let w = &mut weight.projections[0].synapses.weights_mut()[0];
    *w = if *w > 0 { *w - grid } else { *w + grid };
    out.push(("weight", weight));
    let change = |f: &dyn Fn(&mut spikec_net::FixedNeuron)| {
        let mut other = net.clone();
        let biased = |n: &spikec_net::FixedNeuron| n.bias.mantissa != 0;
        for p in &mut other.populations {
            if let Role::Neurons(neurons) = &mut p.role
                && let Some(n) = neurons.iter_mut().find(|n| biased(n))
            {
                f(n);
                break;
            }
        }
        other
    };
    out.push(("threshold", change(&|n| n.threshold += 1)));
    out.push(("decay of u", change(&|n| n.decay_u = if n.decay_u > 1 { n.decay_u - 1 } else { 2 })));
    out.push(("decay of v", change(&|n| n.decay_v = if n.decay_v > 0 { n.decay_v - 1 } else { 1 })));
    out.push(("bias", change(&|n| n.bias = Bias { mantissa: n.bias.mantissa - n.bias.mantissa.signum(), ..n.bias })));
    out.push(("refractory period", change(&|n| n.refractory += 1)));
    let mut delay = net.clone();
    let s = &mut delay.projections[0].synapses;
    let all = s.iter().enumerate().map(|(k, (i, j, w, d))| (i, j, w, d + u16::from(k == 0))).collect();
    *s = spikec_net::Synapses::from_tuples(s.pres(), all);
    out.push(("delay", delay));
    (net, out)
}

#[test]
fn a_bundle_of_one_net_fails_against_a_net_one_number_apart() {
    let (net, variants) = variants();
    for target in [loihi1(), small()] {
        let Ok(bundle) = bundle_of(&net, &target, true) else { continue };
        let own = check_image(&bundle, &Given::Registers { net: &net, digest: net.digest() }).unwrap_or_else(|e| panic!("{e}"));
        assert!(own.holds(), "{:?}", own.differences);
        for (what, other) in &variants {
            assert_ne!(other, &net, "{what}");
            let given = Given::Registers { net: other, digest: other.digest() };
            match check_image(&bundle, &given) {
                Ok(verdict) => {
                    assert!(!verdict.holds(), "one {what} apart and not found");
                    // The digest alone is no answer: the number itself must be named.
                    assert!(verdict.total >= 2, "one {what} apart: only {:?}", verdict.differences);
                }
                Err(e) => panic!("one {what} apart: {e}"),
            }
        }
    }
}

#[test]
fn a_host_map_one_entry_apart_fails() {
    let found = (0..200).map(|s| generate::random_analog_net(s, 10)).find_map(|net| {
        let options = CompileOptions { encoder: spikec_chip::bundle::Encoder::Bias, ..CompileOptions::default() };
        let compiled =
            spikec_compile::compile(Input::Registers { net: &net, digest: net.digest() }, &loihi1(), &options, &mut |_| ()).ok()?;
        (!net.host_projections.is_empty() && spikec_net::live(&net).iter().flatten().all(|&a| a)).then_some((net, compiled.bundle))
    });
    let (net, bundle) = found.expect("a seed below 200 gives such a net");
    let mut other = net.clone();
    other.host_projections[0].weights[0] *= 1.0001;
    let verdict = check_image(&bundle, &Given::Registers { net: &other, digest: other.digest() }).unwrap_or_else(|e| panic!("{e}"));
    assert!(verdict.total >= 2, "{:?}", verdict.differences);
}

#[test]
fn every_mutation_of_a_compiled_bundle_is_caught() {
    let (net, _) = variants();
    let given = Given::Registers { net: &net, digest: net.digest() };
    for target in [loihi1(), small()] {
        let Ok(bundle) = bundle_of(&net, &target, true) else { continue };
        let mut applied = 0;
        for mutator in spikec_verify::mutate::all_mutators() {
            for seed in 0..3 {
                let Some(mutant) = (mutator.apply)(&bundle, seed) else { continue };
                applied += 1;
                let caught = spikec_verify::mutate::catch(&bundle, &mutant, &given);
                assert!(caught.suffices(mutator.catch), "{} (seed {seed}): {caught:?}", mutator.name);
            }
        }
        assert!(applied > 50, "only {applied} mutants");
    }
}

#[test]
fn renumbering_neurons_leaves_the_spikes_unchanged() {
    for seed in 0..10 {
        let net = generate::random_fixed_net(seed, 8);
        let Ok(bundle) = bundle_of(&net, &loihi1(), false) else { continue };
        // Reverse the neurons of every population: posts, pres and parameters go along.
        let mut turned = net.clone();
        for p in &mut turned.populations {
            if let Role::Neurons(n) = &mut p.role {
                n.reverse();
            }
        }
        let index = |id: PopulationId, i: u32| {
            let p = net.population(id);
            if p.is_input() { i } else { p.len() as u32 - 1 - i }
        };
        for p in &mut turned.projections {
            let tuples = p.synapses.iter().map(|(i, j, w, d)| (index(p.pre, i), index(p.post, j), w, d)).collect();
            p.synapses = spikec_net::Synapses::from_tuples(net.population(p.pre).len(), tuples);
        }
        let Ok(other) = bundle_of(&turned, &small(), false) else { continue };
        let width: usize = net.populations.iter().filter(|p| p.is_input()).map(|p| p.trained_len()).sum();
        let stimulus = Stimulus::Spikes(generate::random_spikes(seed, width as u32, 25, 0.3));
        let options = RunOptions { steps: Some(25), record: Record { spikes: true, ..Record::default() }, ..RunOptions::default() };
        let spikes = |bundle: &Bundle, turn: bool| {
            let run = Machine::boot(bundle.loadable()).expect("boots").run(&stimulus, &options).expect("runs");
            let mut all: Vec<(u32, u32, u32)> = run
                .spikes
                .iter()
                .map(|s| (s.population, s.step, if turn { index(PopulationId(s.population), s.neuron) } else { s.neuron }))
                .collect();
            all.sort_unstable();
            all
        };
        assert_eq!(spikes(&bundle, false), spikes(&other, true), "seed {seed}");
    }
}
