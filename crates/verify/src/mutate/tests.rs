use super::*;
use crate::toy::{Chip, IntegerToy, KINDS, Kind, Toy};
use spikec_chip::codec::decode_core;
use spikec_net::{Fixed, Projection};
use std::collections::BTreeSet;

#[test]
fn clean_toys_verify_and_are_valid_containers() {
    let (mut shared, mut based) = (0, 0);
    for kind in KINDS {
        for seed in 0..40 {
            let toy = Toy::new(kind, seed);
            let verdict = toy.check(&toy.bundle).expect("a clean bundle can be checked");
            let lines: Vec<String> = verdict.differences.iter().map(|d| d.to_string()).collect();
            assert!(verdict.holds(), "{kind:?} {seed}: {lines:#?}");
            assert_eq!(Bundle::from_bytes(&toy.bundle.to_bytes()).as_ref(), Ok(&toy.bundle), "{kind:?} {seed}");
            let image = toy.bundle.image.packed();
            let cores = image.cores.iter().map(|c| decode_core(c, &toy.bundle.target).expect("it decodes"));
            for core in cores {
                shared += core.readers().iter().filter(|&&n| n > 1).count();
                based += core.in_axons.iter().filter(|a| a.base > 0).count();
            }
            let q = toy.quantized();
            let copies = |p: usize, index: u32| toy.bundle.symbols.populations[p].copies.iter().filter(|c| c.0 == index).count() as u64;
            let seats = |p: &Projection<Fixed>, j: u32| 1 + copies(p.post.index(), q.net.population(p.post).origin[j as usize]);
            let synapses = q.net.projections.iter().flat_map(|p| p.synapses.iter().filter(|s| s.2 != 0).map(|s| seats(p, s.1)));
            assert_eq!(verdict.checked.synapses, synapses.sum::<u64>());
            assert_eq!(verdict.checked.compartments - verdict.checked.copies, q.net.neuron_count() as u64);
            assert_eq!(verdict.checked.host_terms, q.net.host_term_count() as u64);
        }
    }
    assert!(shared > 10 && based > 100, "{shared} shared lists, {based} bases");
}

/// The bytes that a core has are recounted from its image: as many as it takes are enough, one less is refused as such.
#[test]
fn a_core_keeps_its_budget_to_the_byte() {
    let mut seen = 0;
    for (kind, seed) in KINDS.into_iter().flat_map(|kind| (0..6).map(move |seed| (kind, seed))) {
        let toy = Toy::new(kind, seed);
        let (Some(enough), Some(short)) = (target::budgeted(&toy.bundle, 0), target::budgeted(&toy.bundle, 1)) else { continue };
        let verdict = toy.with_given(&enough, |given| check_image(&enough, given)).unwrap();
        assert!(verdict.holds() && Bundle::from_bytes(&enough.to_bytes()).is_ok(), "{kind:?} {seed}");
        Machine::boot(enough.loadable()).unwrap_or_else(|e| panic!("{kind:?} {seed}: {e}"));
        let refused = [
            toy.with_given(&short, |given| check_image(&short, given)).unwrap_err().to_string(),
            Bundle::from_bytes(&short.to_bytes()).unwrap_err().to_string(),
            Machine::boot(short.loadable()).map(|_| ()).unwrap_err().to_string(),
        ];
        let limit = *short.target.packed().core.core_bytes;
        let why = format!("bytes of the core's memory: {} needed, limit {limit}", limit + 1);
        assert!(refused.iter().all(|e| e.contains(&why)), "{kind:?} {seed}: {refused:#?}");
        seen += 1;
    }
    assert!(seen > 10, "{seen} toys with cores of a few neurons");
}

/// Toys of each kind, and mutants that each mutator makes of each.
const TOYS: u64 = 6;
const SEEDS: u64 = 4;

#[test]
fn every_mutant_is_caught() {
    let mutators = all_mutators();
    let names: BTreeSet<&str> = mutators.iter().map(|m| m.name).collect();
    assert_eq!(names.len(), mutators.len(), "two mutators of one name");
    let mut made: BTreeSet<&str> = BTreeSet::new();
    let mut missed = Vec::new();
    for kind in KINDS {
        for toy_seed in 0..TOYS {
            let toy = Toy::new(kind, toy_seed);
            for mutator in &mutators {
                for seed in 0..SEEDS {
                    let Some(mutant) = (mutator.apply)(&toy.bundle, seed * 31 + toy_seed) else { continue };
                    made.insert(mutator.name);
                    let caught = toy.with_given(&mutant, |given| catch(&toy.bundle, &mutant, given));
                    if !caught.suffices(mutator.catch) {
                        missed.push(format!("{kind:?} {toy_seed} {} {seed}: {caught:?}", mutator.name));
                    }
                }
            }
        }
    }
    for (chip, toy_seed) in Chip::ALL.into_iter().flat_map(|chip| (0..TOYS).map(move |seed| (chip, seed))) {
        let toy = IntegerToy::new(chip, toy_seed);
        for (mutator, seed) in mutators.iter().flat_map(|m| (0..SEEDS).map(move |seed| (m, seed))) {
            let Some(mutant) = (mutator.apply)(&toy.bundle, seed * 31 + toy_seed) else { continue };
            made.insert(mutator.name);
            let caught = catch(&toy.bundle, &mutant, &toy.given());
            if !caught.suffices(mutator.catch) {
                missed.push(format!("{chip:?} {toy_seed} {} {seed}: {caught:?}", mutator.name));
            }
        }
    }
    // Its edit is another mutator's, where it acts.
    made.insert("CrossbarRules.overflow");
    assert!(missed.is_empty(), "{} missed: {:#?}", missed.len(), &missed[..missed.len().min(40)]);
    let never: Vec<&&str> = names.iter().filter(|n| !made.contains(**n)).collect();
    assert!(never.is_empty(), "never made: {never:?}");
}

#[test]
fn a_mutator_is_a_function_of_bundle_and_seed() {
    let toys = [Toy::new(Kind::Bias, 3).bundle, IntegerToy::new(Chip::Ranc, 3).bundle, IntegerToy::new(Chip::Odin, 3).bundle];
    for (mutator, bundle) in all_mutators().iter().flat_map(|m| toys.iter().map(move |toy| (m, toy))) {
        assert_eq!((mutator.apply)(bundle, 5), (mutator.apply)(bundle, 5), "{}", mutator.name);
    }
}
