//! Random graphs of floats, the whole way: branches, skips, loops with delays, lags and relays, with hard and with soft reset; and what the image check
//! finds when their references are tampered with, the image along with them.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use spikec_chip::{Bundle, Target};
use spikec_compile::emit::{HostOptions, emit};
use spikec_compile::partition::{Search, partitioners};
use spikec_compile::place::{PlaceOptions, place};
use spikec_compile::{CompileError, CompileOptions, Compiled, Input, Partitioned, SoftReset, TimingPolicy};
use spikec_data::{SpikeTrain, Stimulus};
use spikec_net::*;
use spikec_sim::Machine;
use spikec_testkit::generate::random_spikes;
use spikec_verify::mutate::{all_mutators, catch};
use spikec_verify::{Given, check_behaviour, check_image};

/// loihi1 with another largest delay.
fn reaching(max_delay: u32) -> Target {
    let mut target = spikec_chip::find("loihi1").expect("built in");
    let packed = target.packed_mut();
    packed.synapse_memory.max_delay.value = max_delay;
    target.name = "short".into();
    assert!(target.check().is_empty(), "{:?}", target.check());
    target
}

/// What a graph is made of.
#[derive(Clone, Copy, Debug)]
struct Kind {
    reset: ResetRule,
    /// Largest delay of an edge.
    most: u16,
    /// Edges back have one step of delay too few for their hops.
    tight: bool,
}

/// A random graph: each population hears the one before it, some skip, some lead back; leaks, filtered currents, biases, readouts.
fn random_graph(seed: u64, kind: Kind) -> Net<Float> {
    let r = &mut ChaCha8Rng::seed_from_u64(seed);
    let soft = kind.reset == ResetRule::Subtract;
    let count = r.random_range(3..=7usize);
    let mut populations: Vec<Population<Float>> =
        vec![Population { name: "input".into(), shape: vec![5], origin: (0..5).collect(), skew: 0, role: Role::SpikeInput }];
    for p in 1..count {
        let n = r.random_range(2..=6u32);
        let (keep_u, keep_v) = ([0.0, 0.0, 0.5][r.random_range(0..3)], [0.5, 0.9, if soft { 0.96 } else { 1.0 }][r.random_range(0..3)]);
        let readout = p + 1 == count && r.random_bool(0.2);
        let neuron = |r: &mut ChaCha8Rng| FloatNeuron {
            keep_u: if soft { 0.0 } else { keep_u },
            keep_v,
            gain: r.random_range(0.5..1.5),
            bias: if !soft && r.random_bool(0.1) { r.random_range(0.0..0.4) } else { 0.0 },
            threshold: if readout { f32::INFINITY } else { r.random_range(0.5..2.0) },
            v_reset: if !soft && r.random_bool(0.2) { 0.125 } else { 0.0 },
        };
        let role = Role::Neurons((0..n).map(|_| neuron(r)).collect());
        populations.push(Population { name: format!("p{p}"), shape: vec![n], origin: (0..n).collect(), skew: 0, role });
    }
    let readout = populations[count - 1].neurons()[0].threshold == f32::INFINITY;
    let mut projections = Vec::new();
    for pre in 0..count {
        for post in 1..count {
            let back = post <= pre;
            let wanted = if post == pre + 1 { 1.0 } else { [0.4, 0.25][usize::from(back)] };
            if !r.random_bool(wanted) || (back && pre == 0) || (pre + 1 == count && readout) {
                continue;
            }
            let hops = if back { (pre - post + 1) as u16 } else { 0 };
            let least = if kind.tight && hops > 1 { hops - 1 } else { hops };
            let range = if r.random_bool(0.5) { least..=kind.most.max(least) } else { least..=least };
            let (a, b) = (populations[pre].len() as u32, populations[post].len() as u32);
            let pairs: Vec<(u32, u32)> = (0..a).flat_map(|i| (0..b).map(move |j| (i, j))).filter(|_| r.random_bool(0.7)).collect();
            let tuples = pairs.into_iter().map(|(i, j)| (i, j, r.random_range(-0.4..0.9f32), r.random_range(range.clone()))).collect();
            let synapses = Synapses::from_tuples(a as usize, tuples);
            let ends = (PopulationId::from(pre), PopulationId::from(post));
            projections.push(Projection { name: format!("{pre} to {post}"), pre: ends.0, post: ends.1, format: (), synapses });
        }
    }
    let rules = FloatRules { fire: [FireRule::Greater, FireRule::GreaterEqual][r.random_range(0..2)], reset: kind.reset };
    let output = PopulationId::from(count - 1);
    Net { name: "graph".into(), rules, populations, projections, host_projections: Vec::new(), output }
}

fn options(kind: Kind) -> CompileOptions {
    CompileOptions {
        partitioner: "sequential".into(),
        copies: spikec_compile::Copies::None,
        timing: if kind.tight { TimingPolicy::AllowLag } else { TimingPolicy::Exact },
        ..CompileOptions::default()
    }
}

/// At most one spike of a channel in a step.
fn single_spikes(seed: u64, width: u32, steps: u32) -> SpikeTrain {
    let train = random_spikes(seed, width, steps, 0.4);
    let once = |t| {
        let mut channels = train.at(t).to_vec();
        channels.dedup();
        channels
    };
    SpikeTrain::from_steps(width, (0..steps).map(once).collect::<Vec<_>>())
}

/// Compiles; `None` where nothing reaches the output, or a loop without any slack stays too tight.
fn compiled(net: &Net<Float>, target: &Target, kind: Kind) -> Option<Compiled> {
    match spikec_compile::compile(Input::Trained { net, digest: [7; 32] }, target, &options(kind), &mut |_| ()) {
        Ok(compiled) => Some(compiled),
        Err(CompileError::NothingLeft(_)) => None,
        Err(e) => panic!("{e}"),
    }
}

/// What graphs of a kind had: bundles, relays, lags, neurons of soft reset, spikes.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    bundles: usize,
    relays: u64,
    lags: usize,
    soft: u64,
    spikes: u64,
}

/// Compiles random graphs, checks the image of each, and its spikes against the interpreter of the reference, each population later by its skew.
fn graphs(seeds: std::ops::Range<u64>, target: &Target, kind: Kind) -> Seen {
    let mut seen = Seen::default();
    for seed in seeds {
        let net = random_graph(seed, kind);
        let Some(compiled) = compiled(&net, target, kind) else { continue };
        let bundle = Bundle::from_bytes(&compiled.bundle.to_bytes()).unwrap_or_else(|e| panic!("{e}"));
        let image = check_image(&bundle, &Given::Trained { net: &net, digest: [7; 32] }).unwrap_or_else(|e| panic!("{seed}: {e}"));
        assert!(image.holds(), "{seed} {kind:?}: {:?}", image.differences);
        assert_eq!(image.checked.relays, compiled.report.lowering.relays.neurons);
        assert_eq!(image.checked.soft, compiled.report.quantization.soft.iter().map(|p| u64::from(p.neurons)).sum::<u64>());
        let machine = Machine::boot(bundle.loadable()).unwrap_or_else(|e| panic!("{e}"));
        let steps = 60 + u32::from(kind.most);
        let sample = Stimulus::Spikes(single_spikes(seed, 5, steps));
        let behaviour = check_behaviour(&bundle, &machine, &[sample], None, &|| ()).unwrap_or_else(|e| panic!("{seed}: {e}"));
        assert!(behaviour.holds(), "{seed} {kind:?}: {behaviour:?}");
        seen.bundles += 1;
        seen.relays += image.checked.relays;
        seen.lags += compiled.report.lowering.lags.len();
        seen.soft += image.checked.soft;
        seen.spikes += behaviour.spikes;
    }
    eprintln!("{kind:?}: {seen:?}");
    assert!(seen.bundles > 30 && seen.spikes > 1000, "{seen:?}");
    seen
}

const HARD: Kind = Kind { reset: ResetRule::ToValue, most: 12, tight: false };
const SOFT: Kind = Kind { reset: ResetRule::Subtract, most: 12, tight: false };

#[test]
fn graphs_of_floats_keep_their_timing() {
    let loihi1 = reaching(62);
    assert_eq!(graphs(0..60, &loihi1, HARD).relays, 0);
    assert!(graphs(100..160, &loihi1, Kind { most: 200, ..HARD }).relays > 500);
    assert!(graphs(200..260, &reaching(2), HARD).relays > 500);
    assert!(graphs(300..360, &loihi1, Kind { tight: true, most: 0, ..HARD }).lags > 20);
}

#[test]
fn graphs_of_floats_with_soft_reset_keep_their_timing() {
    let loihi1 = reaching(62);
    assert!(graphs(0..60, &loihi1, SOFT).soft > 500);
    let relayed = graphs(200..260, &reaching(2), SOFT);
    assert!(relayed.relays > 500 && relayed.soft > 500);
    assert!(graphs(300..360, &loihi1, Kind { tight: true, most: 0, ..SOFT }).lags > 20);
}

/// Kinds whose bundles have what the mutators of other tests don't meet.
fn kinds() -> [(Target, Kind); 4] {
    let loihi1 = reaching(62);
    [
        (reaching(2), HARD),
        (loihi1.clone(), Kind { tight: true, most: 0, ..HARD }),
        (loihi1, SOFT),
        (reaching(2), Kind { tight: true, ..SOFT }),
    ]
}

#[test]
fn every_mutant_of_bundles_with_relays_lags_and_soft_resets_is_caught() {
    let mut applied = 0;
    for (k, (target, kind)) in kinds().into_iter().enumerate() {
        let bundles = (0..40).filter_map(|seed| {
            let net = random_graph(seed + 1000 * k as u64, kind);
            let compiled = compiled(&net, &target, kind)?;
            let lowering = &compiled.report.lowering;
            let has = if kind.tight { !lowering.lags.is_empty() } else { lowering.relays.neurons > 0 || kind.reset == ResetRule::Subtract };
            has.then_some((net, compiled.bundle))
        });
        let mut bundles_seen = 0;
        for (net, bundle) in bundles.take(4) {
            let given = Given::Trained { net: &net, digest: [7; 32] };
            assert!(check_image(&bundle, &given).unwrap().holds());
            bundles_seen += 1;
            for mutator in all_mutators() {
                for seed in 0..2 {
                    let Some(mutant) = (mutator.apply)(&bundle, seed) else { continue };
                    applied += 1;
                    let caught = catch(&bundle, &mutant, &given);
                    assert!(caught.suffices(mutator.catch), "{kind:?} {} (seed {seed}): {caught:?}", mutator.name);
                }
            }
        }
        assert_eq!(bundles_seen, 4, "{kind:?}");
    }
    eprintln!("{applied} mutants");
    assert!(applied > 1000, "only {applied} mutants");
}

/// A bundle of a reference as it is, whatever it says: its bits are the reference's.
fn bundle_of(q: &Quantized, target: &Target, like: &Bundle) -> Option<Bundle> {
    let search = Search::default();
    let strategies = partitioners("sequential", &search, q.net.synapse_count())?;
    let partitioned = Partitioned::new(q, strategies[0].propose(q, target), target).ok()?;
    let placed = place(partitioned, target, &PlaceOptions { effort: search.effort, seed: 0, rates: &[] }).ok()?;
    let host = HostOptions { encoder: like.host.encoder.clone(), decoder: like.host.decoder.kind, default_steps: like.host.default_steps };
    Some(emit(q, &placed, target, host, like.provenance.clone()))
}

/// One synapse of a projection, changed; `None` where it can't be.
fn with_synapse(p: &Projection<Fixed>, pres: usize, k: usize, edit: impl Fn(&mut (u32, u32, i16, u16))) -> Option<Projection<Fixed>> {
    let mut tuples: Vec<_> = p.synapses.iter().collect();
    let before = tuples[k];
    edit(&mut tuples[k]);
    let (least, most) = p.format.mantissa_range();
    let held = (least..=most).contains(&tuples[k].2) && tuples[k].2 != 0;
    (tuples[k] != before && held).then(|| Projection { synapses: Synapses::from_tuples(pres, tuples), ..p.clone() })
}

/// A tampered reference: one thing about one relay, lag or soft reset is another.
fn tamper(q: &Quantized, given: usize, what: usize, r: &mut ChaCha8Rng) -> Option<Quantized> {
    let mut out = q.clone();
    let net = &mut out.net;
    let ours = |p: &Projection<Fixed>| p.post.index() >= given || p.pre.index() >= given || p.name.ends_with(" soft reset");
    let candidates: Vec<usize> =
        (0..net.projections.len()).filter(|&k| ours(&net.projections[k]) && !net.projections[k].synapses.is_empty()).collect();
    let k = *candidates.get(r.random_range(0..candidates.len().max(1)))?;
    let p = net.projections[k].clone();
    let (pre, post) = (p.pre.index(), p.post.index());
    let (pres, posts) = (net.populations[pre].len(), net.populations[post].len() as u32);
    let s = r.random_range(0..p.synapses.len());
    let neuron = p.synapses.iter().nth(s)?.1 as usize;
    let grid = 1i16 << p.format.grid_shift();
    let registers = |net: &mut Net<Fixed>, edit: &dyn Fn(&mut FixedNeuron)| {
        let Role::Neurons(neurons) = &mut net.populations[post].role else { return false };
        let before = neurons[neuron];
        edit(&mut neurons[neuron]);
        neurons[neuron] != before
    };
    let soft = p.name.ends_with(" soft reset");
    let done = match what {
        0 => with_synapse(&p, pres, s, |t| t.3 += 1).map(|p| net.projections[k] = p).is_some(),
        1 => with_synapse(&p, pres, s, |t| t.1 = (t.1 + 1) % posts).map(|p| net.projections[k] = p).is_some(),
        2 => with_synapse(&p, pres, s, |t| t.0 = (t.0 + 1) % pres as u32).map(|p| net.projections[k] = p).is_some(),
        // A relay may have any weight that makes it fire; what is taken may not.
        3 => soft && with_synapse(&p, pres, s, |t| t.2 += grid).map(|p| net.projections[k] = p).is_some(),
        4 => {
            soft && {
                net.projections.remove(k);
                true
            }
        }
        // Taken twice.
        5 => {
            soft && {
                let tuples: Vec<_> = p.synapses.iter().collect();
                net.projections[k].synapses = Synapses::from_tuples(pres, tuples.iter().copied().chain([tuples[s]]).collect());
                true
            }
        }
        6 => (soft || post >= given) && registers(net, &|n| n.refractory = 2),
        7 => (soft || post >= given) && registers(net, &|n| n.bias.mantissa = 5),
        8 => soft && registers(net, &|n| n.decay_u = if n.decay_u > 2000 { n.decay_u - 2 } else { n.decay_u + 2 }),
        9 => soft && registers(net, &|n| n.decay_v = 2048),
        10 => post >= given && registers(net, &|n| n.threshold = 1 << 16),
        11 => soft && registers(net, &|n| n.threshold += 2),
        _ => unreachable!("no such tampering"),
    };
    done.then_some(out)
}

#[test]
fn references_that_are_tampered_with_are_no_networks() {
    const WAYS: usize = 12;
    let mut caught = [0usize; WAYS];
    for (k, (target, kind)) in kinds().into_iter().enumerate() {
        for seed in 0..30 {
            let net = random_graph(seed + 5000 * k as u64, kind);
            let Some(compiled) = compiled(&net, &target, kind) else { continue };
            let q = <Quantized>::from_bytes(&compiled.bundle.reference).unwrap();
            let given = Given::Trained { net: &net, digest: [7; 32] };
            // As it is, it holds, so what is found below is what was done.
            assert!(check_image(&bundle_of(&q, &target, &compiled.bundle).unwrap(), &given).unwrap().holds());
            for (what, caught) in caught.iter_mut().enumerate() {
                let r = &mut ChaCha8Rng::seed_from_u64(seed * 100 + what as u64);
                let Some(tampered) = tamper(&q, net.populations.len(), what, r) else { continue };
                // What no chip can hold, or no stage can time, is no bundle.
                if tampered.net.check().is_err() || tampered.net.projections.iter().any(|p| !timed(&tampered.net, p, &target)) {
                    continue;
                }
                let Some(bundle) = bundle_of(&tampered, &target, &compiled.bundle) else { continue };
                let holds = check_image(&bundle, &given).is_ok_and(|v| v.holds());
                assert!(!holds, "{kind:?}, seed {seed}: tampering {what} is not found");
                *caught += 1;
            }
        }
    }
    eprintln!("caught: {caught:?}");
    assert!(caught.iter().all(|&n| n >= 5), "{caught:?}");
}

/// Every chip delay has a register.
fn timed(net: &Net<Fixed>, p: &Projection<Fixed>, target: &Target) -> bool {
    let hop = if net.population(p.pre).is_input() { *target.topology.input_hop_steps } else { *target.topology.neuron_hop_steps };
    let register = |d| net.chip_delay(p, d) - i64::from(hop);
    p.synapses.iter().all(|(_, _, _, d)| (0..=i64::from(*target.packed().synapse_memory.max_delay)).contains(&register(d)))
}

#[test]
fn a_leak_is_held_to_what_the_bundle_declares() {
    let n = FloatNeuron { keep_u: 0.0, keep_v: 1.0, gain: 1.0, bias: 0.0, threshold: 1.0, v_reset: 0.0 };
    let mut net = random_graph(3, SOFT);
    for p in net.populations.iter_mut().filter(|p| !p.is_input()) {
        p.role = Role::Neurons(vec![n; p.len()]);
    }
    let target = reaching(62);
    let digest = [7; 32];
    let refused = spikec_compile::compile(Input::Trained { net: &net, digest }, &target, &options(SOFT), &mut |_| ()).unwrap_err();
    assert!(refused.hint().contains("--reset leak"), "{refused}");
    let with = CompileOptions { soft_reset: SoftReset::Leak, provenance: vec![("reset".into(), "leak".into())], ..options(SOFT) };
    let compiled =
        spikec_compile::compile(Input::Trained { net: &net, digest }, &target, &with, &mut |_| ()).unwrap_or_else(|e| panic!("{e}"));
    assert!(spikec_report::compile::text(&compiled.report).contains("0.02 % of a potential leaks in a step"));
    let mut bundle = compiled.bundle;
    let given = Given::Trained { net: &net, digest };
    assert!(check_image(&bundle, &given).unwrap().holds());
    bundle.provenance.options.clear();
    let differences = check_image(&bundle, &given).unwrap().differences;
    assert!(!differences.is_empty() && differences.iter().all(|d| d.to_string().contains("decay of v")), "{differences:?}");
}

/// in -> a -> out, all soft; `extra` adds to it.
fn plain(a: FloatNeuron, extra: impl FnOnce(&mut Net<Float>)) -> Net<Float> {
    let population = |name: &str, n: u32, role| Population { name: name.into(), shape: vec![n], origin: (0..n).collect(), skew: 0, role };
    let dense = |name: &str, pre: usize, post: usize, sizes: (u32, u32)| Projection {
        name: name.into(),
        pre: pre.into(),
        post: post.into(),
        format: (),
        synapses: Synapses::from_tuples(
            sizes.0 as usize,
            (0..sizes.0).flat_map(|i| (0..sizes.1).map(move |j| (i, j, 0.3 + 0.1 * (i + 2 * j) as f32, 0))).collect(),
        ),
    };
    let mut net = Net {
        name: "plain".into(),
        rules: FloatRules { fire: FireRule::Greater, reset: ResetRule::Subtract },
        populations: vec![
            population("in", 2, Role::SpikeInput),
            population("a", 2, Role::Neurons(vec![a; 2])),
            population("out", 2, Role::Neurons(vec![a; 2])),
        ],
        projections: vec![dense("in a", 0, 1, (2, 2)), dense("a out", 1, 2, (2, 2))],
        host_projections: vec![],
        output: PopulationId(2),
    };
    extra(&mut net);
    net
}

const LEAKY: FloatNeuron = FloatNeuron { keep_u: 0.0, keep_v: 0.5, gain: 1.0, bias: 0.0, threshold: 1.0, v_reset: 0.0 };

/// A neuron that starts elsewhere, its threshold and bias shifted along, has the registers of one that starts at 0 and takes another amount at a spike.
#[test]
fn soft_resets_that_start_elsewhere_are_other_networks() {
    let target = reaching(62);
    let mut caught = 0;
    for seed in 0..20 {
        let net = random_graph(seed, SOFT);
        let Some(compiled) = compiled(&net, &target, SOFT) else { continue };
        let q = <Quantized>::from_bytes(&compiled.bundle.reference).unwrap();
        for (k, p) in net.populations.iter().enumerate() {
            let Some(j) = (0..p.neurons().len()).find(|&j| q.net.populations[k].origin.contains(&(j as u32))) else { continue };
            let mut other = net.clone();
            let Role::Neurons(neurons) = &mut other.populations[k].role else { continue };
            let n = &mut neurons[j];
            if n.threshold == f32::INFINITY {
                continue;
            }
            (n.v_reset, n.threshold, n.bias) = (0.125, n.threshold + 0.125, (1.0 - n.keep_v) * 0.125);
            let verdict = check_image(&compiled.bundle, &Given::Trained { net: &other, digest: [7; 32] }).unwrap();
            assert!(!verdict.holds(), "seed {seed}, population {k}");
            let start = |d: &spikec_verify::Difference| d.to_string().contains("0.125");
            assert!(verdict.differences.iter().any(start), "{:?}", verdict.differences);
            caught += 1;
        }
    }
    assert!(caught > 20, "{caught}");
}

/// A bias acts on the copy of the potential, which adds nothing up: what the host writes is lost where a spike subtracts.
#[test]
fn soft_resets_that_the_host_drives_are_no_networks() {
    let target = reaching(62);
    let net = plain(LEAKY, |_| ());
    let compiled = compiled(&net, &target, SOFT).unwrap();
    let mut q = <Quantized>::from_bytes(&compiled.bundle.reference).unwrap();
    let Scaling::Scaled { v_units, .. } = &q.scaling else { panic!("rounded") };
    let map = |gains: Vec<f64>| HostProjection {
        name: "map".into(),
        pre: PopulationId(0),
        post: PopulationId(1),
        offsets: vec![0, 2, 4],
        channels: vec![0, 1, 0, 1],
        weights: vec![0.25, 0.5, 0.75, 1.0],
        constants: vec![0.0; 2],
        gains,
        delay_steps: 0,
    };
    let gains = v_units[1].clone();
    let mut given = net.clone();
    given.populations[0].role = Role::AnalogInput;
    given.projections.remove(0);
    given.host_projections.push(map(vec![1.0; 2]));
    q.net.populations[0].role = Role::AnalogInput;
    q.net.projections.remove(0);
    q.net.host_projections.push(map(gains));
    let mut like = compiled.bundle.clone();
    like.host.encoder = spikec_chip::bundle::Encoder::Bias;
    let bundle = bundle_of(&q, &target, &like).unwrap();
    let verdict = check_image(&bundle, &Given::Trained { net: &given, digest: [7; 32] }).unwrap();
    assert!(verdict.differences.iter().any(|d| d.to_string().contains("host")), "{:?}", verdict.differences);
}

#[test]
fn soft_resets_verify_whatever_is_left_of_them() {
    let target = reaching(62);
    let loops = |net: &mut Net<Float>| {
        let synapses = Synapses::from_tuples(2, vec![(0, 1, 0.5, 1), (1, 0, 0.5, 1)]);
        let (pre, post) = (PopulationId(2), PopulationId(2));
        net.projections.push(Projection { name: "out soft reset".into(), pre, post, format: (), synapses });
    };
    let dead = |net: &mut Net<Float>| {
        net.projections.truncate(1);
        net.projections[0].post = PopulationId(2);
        net.populations[2].role = Role::Neurons(vec![FloatNeuron { threshold: f32::INFINITY, ..LEAKY }; 2]);
    };
    let forgetful = FloatNeuron { keep_v: 0.00005, ..LEAKY };
    let cases = [
        ("nothing is taken away", plain(forgetful, |_| ()), 4),
        ("all that subtract are dead", plain(LEAKY, dead), 0),
        ("a loop with the name of ours", plain(LEAKY, loops), 4),
        ("a loop with the name of ours, and nothing is taken away", plain(forgetful, loops), 4),
        // A loop of that name without synapses is absent, and ours is not taken for it.
        (
            "an empty loop with the name of ours",
            plain(LEAKY, |net| {
                loops(net);
                net.projections[2].synapses = Synapses::from_tuples(2, vec![]);
            }),
            4,
        ),
    ];
    for (name, net, soft) in cases {
        let compiled = compiled(&net, &target, SOFT).unwrap();
        let verdict = check_image(&compiled.bundle, &Given::Trained { net: &net, digest: [7; 32] }).unwrap();
        assert!(verdict.holds(), "{name}: {:?}", verdict.differences);
        assert_eq!(verdict.checked.soft, soft, "{name}");
        let hard = Net { rules: FloatRules { reset: ResetRule::ToValue, ..net.rules }, ..net.clone() };
        let hard = spikec_compile::compile(Input::Trained { net: &hard, digest: [7; 32] }, &target, &options(HARD), &mut |_| ()).unwrap();
        let verdict = check_image(&hard.bundle, &Given::Trained { net: &net, digest: [7; 32] }).unwrap();
        // Where nothing lasts, how it is reset makes no difference.
        let nothing = soft == 0 || name.contains("nothing");
        assert_eq!(verdict.holds(), nothing, "{name}: {:?}", verdict.differences);
    }
}
