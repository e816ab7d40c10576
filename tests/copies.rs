//! Copies of neurons, the whole way: the same spikes with and without them, what they save, and what only fits with them.

use spikec_chip::{Bundle, Target};
use spikec_compile::{CompileError, CompileOptions, Compiled, Copies, Input, Placement};
use spikec_data::Stimulus;
use spikec_net::{Bias, Fixed, FixedNeuron, FixedRules, Net, Population, PopulationId, Projection, Role, SignMode, Synapses, WeightFormat};
use spikec_sim::{BatchRun, Energy, Level, Machine, Record, RunOptions};
use spikec_testkit::generate;
use spikec_verify::mutate::{Caught, Random, all_mutators, catch};
use spikec_verify::{Given, check_behaviour, check_image};
use std::collections::{BTreeMap, BTreeSet};

/// loihi1 with small cores on chips of `width` x 2 routers.
fn board(width: u32, chips: u32, compartments: u32, in_axons: u32) -> Target {
    let mut target = spikec_chip::find("loihi1").expect("built in");
    let packed = target.packed_mut();
    packed.core.compartments.value = compartments;
    packed.core.in_axons.value = in_axons;
    packed.core.out_axon_entries.value = 200;
    packed.core.out_axons_per_neuron.value = 128;
    (target.topology.width.value, target.topology.height.value) = (width, 2);
    (target.topology.chips.value, target.topology.chip_columns.value) = (chips, chips);
    target.name = "small".into();
    assert!(target.check().is_empty(), "{:?}", target.check());
    target
}

fn compile(net: &Net<Fixed>, target: &Target, options: &CompileOptions) -> Result<Compiled, CompileError> {
    spikec_compile::compile(Input::Registers { net, digest: net.digest() }, target, options, &mut |_| ())
}

fn run(bundle: &Bundle, samples: &[Stimulus]) -> BatchRun {
    let machine = Machine::boot_timed(bundle.loadable(), Level::Analytic).unwrap_or_else(|e| panic!("{e}"));
    let options = RunOptions { steps: Some(20), record: Record { spikes: true, ..Record::default() }, ..RunOptions::default() };
    machine.run_batch(samples, &options, &|| ()).unwrap_or_else(|e| panic!("{e}"))
}

/// What a user sees of a run.
fn seen(run: &BatchRun) -> Vec<impl PartialEq + std::fmt::Debug + use<>> {
    run.samples
        .iter()
        .map(|s| (s.spikes.clone(), s.out_counts.clone(), s.first_spike.clone(), s.potentials.clone(), s.prediction))
        .collect()
}

/// Image and behaviour; the number of copies.
fn verified(net: &Net<Fixed>, bundle: &Bundle, samples: &[Stimulus]) -> u64 {
    assert_eq!(&Bundle::from_bytes(&bundle.to_bytes()).unwrap_or_else(|e| panic!("{e}")), bundle);
    let given = Given::Registers { net, digest: net.digest() };
    let image = check_image(bundle, &given).unwrap_or_else(|e| panic!("{e}"));
    assert!(image.holds(), "{:?}", image.differences);
    let machine = Machine::boot(bundle.loadable()).unwrap_or_else(|e| panic!("{e}"));
    let behaviour = check_behaviour(bundle, &machine, samples, Some(20), &|| ()).unwrap_or_else(|e| panic!("{e}"));
    assert!(behaviour.holds(), "{:?}", behaviour.first_divergence);
    image.checked.copies
}

/// Adds random copies to a placement, each on a core that reads the neuron.
fn with_copies(net: &Net<Fixed>, placement: &Placement, percent: usize, rng: &mut Random) -> (Placement, u64) {
    let mut core_of: BTreeMap<(String, u32), u32> = BTreeMap::new();
    for core in &placement.cores {
        for (layer, runs) in &core.neurons {
            core_of.extend(runs.iter().flat_map(|r| r.0..r.1).map(|index| ((layer.clone(), index), core.core)));
        }
    }
    let mut readers: BTreeSet<(u32, String, u32)> = BTreeSet::new();
    for p in &net.projections {
        let (pre, post) = (net.population(p.pre), net.population(p.post));
        for (i, j, ..) in p.synapses.iter().filter(|s| !pre.is_input() && s.2 != 0) {
            // Dead neurons are on no core.
            let core = core_of.get(&(post.name.clone(), j)).filter(|_| core_of.contains_key(&(pre.name.clone(), i)));
            readers.extend(core.map(|&core| (core, pre.name.clone(), i)));
        }
    }
    let (mut placement, mut count) = (placement.clone(), 0);
    for core in &mut placement.cores {
        for (_, layer, index) in readers.iter().filter(|r| r.0 == core.core && core_of[&(r.1.clone(), r.2)] != r.0) {
            if rng.below(100) < percent {
                core.copies.push((layer.clone(), vec![(*index, index + 1)]));
                count += 1;
            }
        }
    }
    (placement, count)
}

#[test]
fn random_copies_change_no_spike() {
    let (mut compiled, mut copied, mut caught) = (0, 0, BTreeSet::new());
    for seed in 0..80u64 {
        let mut rng = Random::new(seed);
        let analog = seed % 4 == 3;
        let net = if analog { generate::random_analog_net(seed, 12) } else { generate::random_fixed_net(seed, 12) };
        let width: usize = net.populations.iter().filter(|p| p.is_input()).map(|p| p.trained_len()).sum();
        let samples: Vec<Stimulus> = (0..2)
            .map(|k| match analog {
                true => Stimulus::Values(generate::random_values(seed * 10 + k, width as u32, Some(20))),
                false => Stimulus::Spikes(generate::random_spikes(seed * 10 + k, width as u32, 20, 0.2)),
            })
            .collect();
        // Half of them on boards, where chips matter.
        let mut target = if seed % 2 == 0 { board(8, 1, 4, 200) } else { board(2, 4, 4, 200) };
        let options = CompileOptions {
            encoder: if analog { spikec_chip::bundle::Encoder::Bias } else { spikec_chip::bundle::Encoder::Spikes },
            copies: Copies::None,
            ..CompileOptions::default()
        };
        let Ok(plain) = compile(&net, &target, &options) else { continue };
        let without = run(&plain.bundle, &samples);
        assert_eq!(plain.report.copies, None);
        // The file alone gives the same bundle.
        let given = |placement: Placement| CompileOptions { placement: Some(placement), ..options.clone() };
        assert_eq!(compile(&net, &target, &given(plain.placement.clone())).unwrap().bundle, plain.bundle);
        // Room for the copies.
        let packed = target.packed_mut();
        packed.core.compartments.value = 40;
        for percent in [30, 100] {
            let (placement, count) = with_copies(&net, &plain.placement, percent, &mut rng);
            let with = match compile(&net, &target, &given(placement.clone())) {
                Ok(with) => with,
                Err(e) => {
                    assert!(e.findings().iter().all(|f| f.code.starts_with('C')), "seed {seed}: {:?}", e.findings());
                    continue;
                }
            };
            compiled += 1;
            copied += count;
            assert_eq!(verified(&net, &with.bundle, &samples), count, "seed {seed}");
            assert_eq!(with.report.copies.map_or(0, |c| c.copies), count);
            // Recordings are the primary's, and nobody's spikes change.
            let ran = run(&with.bundle, &samples);
            assert_eq!(seen(&ran), seen(&without), "seed {seed}");
            // Compartments are counted as what they are.
            let neurons = without.totals.neuron_accesses / without.totals.chip_steps;
            assert_eq!(ran.totals.neuron_accesses / ran.totals.chip_steps, neurons + count, "seed {seed}");
            // A placement is written as it was read, layer by layer.
            let again = compile(&net, &target, &given(with.placement)).unwrap();
            assert_eq!(again.bundle, with.bundle);
            let given = Given::Registers { net: &net, digest: net.digest() };
            for mutator in all_mutators().iter().filter(|m| m.name.starts_with("copy") || m.name.ends_with(".copies")) {
                let Some(mutant) = (mutator.apply)(&with.bundle, seed) else { continue };
                let found = catch(&with.bundle, &mutant, &given);
                assert_ne!(found, Caught::Nothing, "seed {seed}: {}", mutator.name);
                caught.insert(mutator.name);
            }
        }
    }
    println!("{compiled} bundles with {copied} copies");
    assert!(compiled > 60 && copied > 300, "{compiled} bundles with {copied} copies");
    assert_eq!(caught.len(), 5, "{caught:?}");
}

/// Layers in a chain, one to one and shifted, and a source that fires in every step and reaches all of them; `inputs` channels drive the first.
fn with_source(layers: u32, neurons: u32) -> Net<Fixed> {
    let neuron = FixedNeuron { decay_u: 4096, decay_v: 128, threshold: 40, refractory: 1, bias: Bias { mantissa: 0, exponent: 0 } };
    let population = |name: String, n: u32, role| Population { name, shape: vec![n], origin: (0..n).collect(), skew: 0, role };
    let mut populations = vec![population("input".into(), neurons, Role::SpikeInput)];
    let source = FixedNeuron { threshold: 1, bias: Bias { mantissa: 100, exponent: 0 }, ..neuron };
    populations.push(population("source".into(), 1, Role::Neurons(vec![source])));
    populations.extend((0..layers).map(|l| population(format!("layer{l}"), neurons, Role::Neurons(vec![neuron; neurons as usize]))));
    let format = WeightFormat { bits: 8, exponent: 0, sign: SignMode::Mixed };
    let mut projections = Vec::new();
    let mut connect = |pre: u32, post: u32, synapses: Vec<(u32, u32, i16, u16)>| {
        let pres = if pre == 1 { 1 } else { neurons as usize };
        let synapses = Synapses::from_tuples(pres, synapses);
        projections.push(Projection { name: format!("{pre}-{post}"), pre: PopulationId(pre), post: PopulationId(post), format, synapses });
    };
    for l in 0..layers {
        let before = if l == 0 { 0 } else { l + 1 };
        connect(before, l + 2, (0..neurons).flat_map(|i| [(i, i, 30, 0), (i, (i + 1) % neurons, 20, 0)]).collect());
        connect(1, l + 2, (0..neurons).map(|j| (0, j, 6 + 2 * (j % 5) as i16, 0)).collect());
    }
    let output = PopulationId(layers + 1);
    Net { name: "source".into(), rules: FixedRules::default(), populations, projections, host_projections: Vec::new(), output }
}

fn spikes(net: &Net<Fixed>, count: u64) -> Vec<Stimulus> {
    (0..count).map(|k| Stimulus::Spikes(generate::random_spikes(k, net.spike_width() as u32, 20, 0.2))).collect()
}

#[test]
fn copies_of_a_source_save_hops_energy_and_entries() {
    let net = with_source(6, 160);
    // Input axons bind: compartments are free.
    let target = board(4, 8, 40, 14);
    let samples = spikes(&net, 4);
    let options = |copies| CompileOptions { copies, default_steps: Some(20), ..CompileOptions::default() };
    let plain = compile(&net, &target, &options(Copies::None)).unwrap();
    let with = compile(&net, &target, &options(Copies::Auto)).unwrap();
    assert_eq!(with.report.cores, plain.report.cores);
    let report = with.report.copies.expect("a source that reaches all chips pays");
    let before = report.without.expect("it fits without copies");
    assert!(report.neurons == 1 && report.copies >= 2, "{report:?}");
    assert!(report.with.out_entries < before.out_entries && report.with.hops < before.hops, "{report:?}");
    assert!(report.with.energy_pj < before.energy_pj && report.with.busiest_ns <= before.busiest_ns * (1.0 + 1e-9), "{report:?}");
    assert_eq!(report.with.compartments, before.compartments + report.copies);
    assert_eq!(verified(&net, &with.bundle, &samples), report.copies);
    // The simulator counts what the bundles do.
    let (a, b) = (run(&plain.bundle, &samples), run(&with.bundle, &samples));
    assert_eq!(seen(&a), seen(&b));
    let energy = |run: &BatchRun| Energy::of(&run.timing.as_ref().unwrap().events, &target);
    let (x, y) = (energy(&a), energy(&b));
    println!(
        "{} copies: {} hops instead of {}, {:.0} pJ instead of {:.0}",
        report.copies,
        b.totals.hops,
        a.totals.hops,
        y.chip_pj(),
        x.chip_pj()
    );
    assert!(b.totals.hops < a.totals.hops);
    assert!(y.chip_pj() + y.host_writes_pj < x.chip_pj() + x.host_writes_pj);
    // On any number of threads.
    let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
    for threads in [1, 3] {
        let again = pool(threads).install(|| compile(&net, &target, &options(Copies::Auto)).unwrap());
        assert_eq!(again.bundle.to_bytes(), with.bundle.to_bytes());
    }
}

/// A neuron that reaches more cores than one may, and a core with more output axons than it has.
#[test]
fn copies_make_nets_fit_that_pass_the_limits_of_output_axons() {
    let net = with_source(4, 120);
    let samples = spikes(&net, 2);
    let auto = CompileOptions::default();
    let none = CompileOptions { copies: Copies::None, ..auto.clone() };
    for (per_neuron, entries, code) in [(16, 200, "C04"), (30, 30, "C03")] {
        let mut target = board(8, 4, 40, 14);
        let packed = target.packed_mut();
        packed.core.out_axons_per_neuron.value = per_neuron;
        packed.core.out_axon_entries.value = entries;
        for partitioner in ["sequential", "portfolio"] {
            let with = |o: &CompileOptions| CompileOptions { partitioner: partitioner.into(), ..o.clone() };
            let refused = compile(&net, &target, &with(&none)).expect_err(code);
            assert!(refused.findings().iter().any(|f| f.code == code), "{code}, {partitioner}: {:?}", refused.findings());
            let fits = compile(&net, &target, &with(&auto)).unwrap_or_else(|e| panic!("{code}, {partitioner}: {:?}", e.findings()));
            let copies = verified(&net, &fits.bundle, &samples);
            assert!(copies >= 1, "{code}");
            let certificate = &fits.report.certificate;
            assert!(certificate.certificate.best <= u64::from(certificate.cores), "{code}, {partitioner}: {certificate:?}");
        }
    }
}
