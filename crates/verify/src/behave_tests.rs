use super::*;
use crate::difference::{Field, Side};
use crate::mutate::{Random, all_mutators};
use crate::toy::{KINDS, Kind, Toy};
use spikec_chip::codec::{decode_core, encode_core};
use spikec_chip::image::CoreTables;
use spikec_net::{Bias, FixedNeuron, FixedRules, Population, Projection, Quantized, Role, Scaling, SignMode, Synapses, WeightFormat};
use std::sync::atomic::{AtomicUsize, Ordering};

fn check(bundle: &Bundle, samples: &[Stimulus]) -> BehaviourVerdict {
    let machine = Machine::boot(bundle.loadable()).expect("the bundle boots");
    check_behaviour(bundle, &machine, samples, None, &|| ()).expect("the samples fit")
}

/// Edits the tables of every core.
fn edit_tables(bundle: &mut Bundle, mut edit: impl FnMut(&mut CoreTables)) {
    let image = bundle.image.packed_mut();
    for core in &mut image.cores {
        let mut tables = decode_core(core, &bundle.target).unwrap();
        edit(&mut tables);
        *core = encode_core(&tables, &bundle.target).unwrap();
    }
}

#[test]
fn toys_behave_as_their_reference() {
    for kind in KINDS {
        let mut spikes = 0;
        for seed in 0..30 {
            let toy = Toy::new(kind, seed);
            let mut r = Random::new(seed);
            let samples: Vec<Stimulus> = (0..4).map(|_| toy.sample(&mut r, 12)).collect();
            let done = AtomicUsize::new(0);
            let machine = Machine::boot(toy.bundle.loadable()).expect("a toy boots");
            let count = || {
                done.fetch_add(1, Ordering::Relaxed);
            };
            let verdict = check_behaviour(&toy.bundle, &machine, &samples, None, &count).expect("the samples fit");
            assert!(verdict.holds(), "{kind:?} {seed}: {}", verdict.first_divergence.unwrap());
            assert_eq!((verdict.samples, verdict.equal, done.into_inner()), (4, 4, 4));
            spikes += verdict.spikes;
        }
        assert!(spikes > 300, "{kind:?}: only {spikes} spikes were compared");
    }
}

/// x -> a -> b, one neuron each, thresholds 10: a fires when x spiked, b a step later on the chip, in the same network step.
fn chain() -> Bundle {
    let neuron = FixedNeuron { decay_u: 4096, decay_v: 0, threshold: 10, refractory: 1, bias: Bias::default() };
    let population = |name: &str, skew, role| Population { name: name.into(), shape: vec![1], origin: vec![0], skew, role };
    let projection = |name: &str, pre, post| Projection {
        name: name.into(),
        pre: PopulationId(pre),
        post: PopulationId(post),
        format: WeightFormat { bits: 8, exponent: 0, sign: SignMode::Mixed },
        synapses: Synapses::from_tuples(1, vec![(0, 0, 20, 0)]),
    };
    let net = Net {
        name: "chain".into(),
        rules: FixedRules::default(),
        populations: vec![
            population("x", 0, Role::SpikeInput),
            population("a", 0, Role::Neurons(vec![neuron])),
            population("b", 1, Role::Neurons(vec![neuron])),
        ],
        projections: vec![projection("x-a", 0, 1), projection("a-b", 1, 2)],
        host_projections: vec![],
        output: PopulationId(2),
    };
    let digest = net.digest();
    let quantized = Quantized { net, scaling: Scaling::Exact, network_digest: digest };
    crate::toy::emit(&quantized, Encoder::Spikes, &mut Random::new(0))
}

fn spikes_at(steps: u32, at: &[u32]) -> Stimulus {
    Stimulus::Spikes(SpikeTrain::from_steps(1, (0..steps).map(|t| if at.contains(&t) { vec![0] } else { vec![] })))
}

#[test]
fn a_divergence_is_located() {
    let clean = chain();
    let samples = [spikes_at(6, &[]), spikes_at(6, &[3]), spikes_at(6, &[1, 4])];
    assert!(check(&clean, &samples).holds());
    // a's weight is lost on the chip: in sample 1, step 3, a doesn't fire.
    let mut broken = clean.clone();
    let symbols = &clean.symbols.populations;
    let (a, b) = (symbols[1].neurons[0].1, symbols[2].neurons[0].1);
    edit_tables(&mut broken, |t| {
        for s in t.lists.iter_mut().flat_map(|x| &mut x.entries).flat_map(|e| &mut e.synapses) {
            if (t.core, s.index) == (a.core, a.index) {
                s.mantissa = 10;
            }
        }
    });
    let verdict = check(&broken, &samples);
    let d = verdict.first_divergence.unwrap();
    assert_eq!((verdict.samples, verdict.equal), (3, 1));
    assert_eq!((d.sample, d.what, d.step, d.chip_step), (1, What::Spike, 3, 3));
    assert_eq!((d.neuron.name.as_str(), d.neuron.index, d.core, d.compartment), ("a", 0, Some(a.core), Some(a.index)));
    assert_eq!((d.reference, d.simulated, d.u, d.v), (1.0, 0.0, Some(20 << 6), Some(0)));
    let LikelyCause::Image(cause) = &d.likely_cause else { panic!("{:?}", d.likely_cause) };
    assert_eq!((cause.side, cause.field, cause.found.to_string()), (Side::Image, Field::Mantissa, "10".into()));
    // b's threshold is higher on the chip; the chip step is one later than the network step.
    let mut broken = clean.clone();
    edit_tables(&mut broken, |t| {
        if t.core == b.core {
            t.threshold_profiles.push(500);
            t.compartments[b.index as usize].threshold_profile = t.threshold_profiles.len() as u8 - 1;
        }
    });
    let d = check(&broken, &samples).first_divergence.unwrap();
    assert_eq!((d.sample, d.step, d.chip_step, d.neuron.name.as_str()), (1, 3, 4, "b"));
    let LikelyCause::Image(cause) = &d.likely_cause else { panic!("{:?}", d.likely_cause) };
    assert_eq!((cause.field, cause.found.to_string(), cause.expected.to_string()), (Field::Threshold, "500".into(), "10".into()));
    let line = d.to_string();
    assert!(line.starts_with("sample 1, network step 3 (chip step 4), b[0]"), "{line}");
}

#[test]
fn a_decoder_that_looks_elsewhere_is_found() {
    let mut broken = chain();
    broken.host.decoder.outputs[0] = Some(broken.symbols.populations[1].neurons[0].1);
    // a fires in chip steps 0 and 3; the decoder counts from b's skew, chip step 1, on.
    let d = check(&broken, &[spikes_at(6, &[0, 3])]).first_divergence.unwrap();
    assert_eq!((d.what, d.neuron.name.as_str(), d.reference, d.simulated), (What::Count, "b", 2.0, 1.0));
    let LikelyCause::Image(cause) = &d.likely_cause else { panic!("{:?}", d.likely_cause) };
    assert_eq!((cause.side, cause.field), (Side::Host, Field::Place));
}

#[test]
fn the_verdict_does_not_depend_on_threads_and_names_the_lowest_sample() {
    let toy = Toy::new(Kind::Registers, 2);
    let mut broken = toy.bundle.clone();
    edit_tables(&mut broken, |t| t.threshold_profiles.iter_mut().for_each(|m| *m += 40));
    let mut r = Random::new(9);
    let samples: Vec<Stimulus> = (0..150).map(|_| toy.sample(&mut r, 10)).collect();
    let run = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| check(&broken, &samples));
    let verdict = run(1);
    assert_eq!(verdict, run(4));
    let first = verdict.first_divergence.unwrap().sample;
    assert!(check(&broken, &samples[..first]).holds());
    assert!(!check(&broken, &samples[first..=first]).holds());
}

/// What the image check lets pass behaves: the converse of `every_mutant_is_caught`, for mutants that boot.
#[test]
fn what_behaves_differently_never_verifies() {
    let mut differing = 0;
    for kind in KINDS {
        for toy_seed in 0..4 {
            let toy = Toy::new(kind, toy_seed);
            let mut r = Random::new(toy_seed);
            let samples: Vec<Stimulus> = (0..3).map(|_| toy.sample(&mut r, 8)).collect();
            for mutator in all_mutators() {
                let Some(mutant) = (mutator.apply)(&toy.bundle, toy_seed) else { continue };
                let Ok(machine) = Machine::boot(mutant.loadable()) else { continue };
                let Ok(verdict) = check_behaviour(&mutant, &machine, &samples, None, &|| ()) else { continue };
                if !verdict.holds() {
                    differing += 1;
                    let image = toy.check(&mutant);
                    assert!(!image.is_ok_and(|v| v.holds()), "{kind:?} {toy_seed} {}: {}", mutator.name, verdict.first_divergence.unwrap());
                }
            }
        }
    }
    assert!(differing > 100, "only {differing} mutants behaved differently");
}

#[test]
fn samples_that_do_not_fit_are_refused() {
    let bundle = chain();
    let machine = Machine::boot(bundle.loadable()).unwrap();
    let wide = Stimulus::Spikes(SpikeTrain::from_steps(2, vec![vec![1]]));
    let e = check_behaviour(&bundle, &machine, &[spikes_at(2, &[0]), wide], None, &|| ()).unwrap_err();
    assert!(matches!(e, VerifyError::Sample { sample: 1, .. }), "{e}");
}
