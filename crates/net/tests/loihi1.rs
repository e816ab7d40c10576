//! The reference against golden vectors of Loihi 1 (Brian2Loihi): u, v and spikes of every neuron at every step.

use spikec_net::{Fixed, Interpreter, Observer, PopulationId};
use spikec_testkit::oracle::{Case, loihi1_cases};

/// Compares each step with the vectors, which record u and v after the reset, as an observer sees them.
struct Compare<'a> {
    case: &'a Case,
    spikes: Vec<Vec<Vec<u32>>>,
    neurons: usize,
    steps: usize,
}

impl Observer<Fixed> for Compare<'_> {
    fn step(&mut self, t: u32, population: PopulationId, u: &[i32], v: &[i32], fired: &[u32]) {
        let (p, t) = (population.index() - 1, t as usize);
        let place = || format!("case {}, population {p}, step {t}", self.case.seed);
        assert_eq!(fired, self.spikes[p][t], "spikes: {}", place());
        assert_eq!(u, self.case.u[p][t], "u: {}", place());
        assert_eq!(v, self.case.v[p][t], "v: {}", place());
        self.neurons += u.len();
        self.steps += 1;
    }
}

#[test]
fn acting_weights_are_those_of_the_vectors() {
    let mut weights = 0;
    for case in loihi1_cases() {
        let rules = case.net().rules;
        for p in &case.projections {
            let format = p.format();
            for (&given, &acts) in p.w.iter().zip(&p.w_act) {
                assert_eq!(rules.acting_weight(format.on_grid(given), format.exponent), acts, "case {}, weight {given}", case.seed);
                weights += 1;
            }
        }
    }
    assert!(weights > 10_000, "{weights}");
}

#[test]
fn every_neuron_is_equal_at_every_step() {
    let cases = loihi1_cases();
    assert_eq!(cases.len(), 27);
    let (mut spikes, mut neurons) = (0, 0);
    for case in &cases {
        let net = case.net();
        let by_step: Vec<_> = (0..case.populations.len()).map(|p| case.spikes_by_step(p)).collect();
        spikes += by_step.iter().flatten().map(Vec::len).sum::<usize>();
        let mut compare = Compare { case, spikes: by_step, neurons: 0, steps: 0 };
        let interpreter = Interpreter::new(&net).unwrap_or_else(|e| panic!("case {}: {e}", case.seed));
        let counters = interpreter.run(Some(&case.train()), &[], case.steps, &mut compare);
        assert_eq!((counters.u_wraps, counters.v_clips), (0, 0), "the vectors stay inside the registers");
        assert_eq!(compare.steps, case.steps as usize * case.populations.len());
        neurons += compare.neurons;
    }
    assert_eq!(spikes, 14_659);
    assert!(neurons > 100_000);
}
