//! What holds for every method: signs, counts, targets.

use super::*;
use proptest::prelude::*;
use rand::Rng;

fn recipe(epochs: u32, rest: &str) -> Recipe {
    Recipe::read(&format!("(steps: 1, epochs: {epochs}, data: (train: Npz(\"x\")), layers: [], {rest})")).unwrap_or_else(|e| panic!("{e}"))
}

fn parameters(seed: u64, sizes: &[usize]) -> Vec<Parameter> {
    let mut random = stream(seed, Purpose::Init, &[7]);
    let mut draw = |n: usize| (0..n).map(|_| random.random_range(-0.1f32..0.1)).collect();
    let mut all: Vec<Parameter> = sizes.iter().map(|&n| Parameter::new("w".into(), Role::Weight, draw(n))).collect();
    all.push(Parameter::new("b".into(), Role::Other, draw(9)));
    all
}

/// Steps with gradients that pull each weight to a point of its own, and some noise; `look` sees each step.
fn run(recipe: &Recipe, all: &mut [Parameter], steps_in_epoch: u64, mut look: impl FnMut(&Rewiring, &[Parameter])) -> Rewiring {
    let mut rewiring = Rewiring::new(recipe, &mut all.iter_mut().collect::<Vec<_>>()).unwrap();
    let mut random = stream(3, Purpose::Noise, &[]);
    let goals: Vec<Vec<f32>> = all.iter().map(|p| p.value.iter().map(|_| random.random_range(-0.3f32..0.3)).collect()).collect();
    for step in 0..u64::from(recipe.epochs) * steps_in_epoch {
        for (p, goals) in all.iter_mut().zip(&goals) {
            for ((g, w), goal) in p.gradient.iter_mut().zip(&p.value).zip(goals) {
                *g = w - goal + random.random_range(-0.2f32..0.2);
            }
        }
        let clock = Clock { epoch: (step / steps_in_epoch) as u32, step, steps_in_epoch };
        rewiring.step(&mut all.iter_mut().collect::<Vec<_>>(), 1.0, clock, recipe.epochs);
        look(&rewiring, all);
    }
    rewiring
}

fn active(all: &[Parameter]) -> u64 {
    all.iter().filter(|p| p.role == Role::Weight).map(|p| p.value.iter().filter(|w| **w != 0.0).count() as u64).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn grad_r_keeps_signs_and_regrows(seed in 0u64..1000, target in 0.02f64..0.9, penalty in 0.05f32..0.6) {
        let recipe = recipe(1, &format!("optimizer: Adam(lr: 0.01), sparsity: GradR(target: Connectivity({target}), penalty: {penalty})"));
        let mut all = parameters(seed, &[700, 90]);
        let signs: Vec<Vec<bool>> = all.iter().map(|p| p.value.iter().map(|w| *w < 0.0).collect()).collect();
        let mut was = vec![false; 700];
        let mut regrown = 0;
        run(&recipe, &mut all, 300, |_, all| {
            for (p, signs) in all.iter().zip(&signs).filter(|(p, _)| p.role == Role::Weight) {
                assert!(p.value.iter().zip(signs).all(|(w, s)| *w == 0.0 || (*w < 0.0) == *s), "a sign changed");
                assert!(p.value.iter().all(|w| w.to_bits() != (-0.0f32).to_bits()), "a zero has a sign");
            }
            for (was, w) in was.iter_mut().zip(&all[0].value) {
                regrown += usize::from(*was && *w != 0.0);
                *was = *w == 0.0;
            }
        });
        prop_assert!(regrown > 0);
    }

    #[test]
    fn deep_r_keeps_its_number(seed in 0u64..1000, target in 50u64..700, temperature in 0f32..1e-3) {
        let recipe = recipe(1, &format!(
            "seed: {seed}, optimizer: Adam(lr: 0.01), sparsity: DeepR(target: Synapses({target}), penalty: 0.1, temperature: {temperature})"));
        let mut all = parameters(seed, &[700, 90]);
        let mut masks = std::collections::BTreeSet::new();
        run(&recipe, &mut all, 100, |_, all| {
            assert_eq!(active(all), target);
            masks.insert(all[0].value.iter().map(|w| *w != 0.0).collect::<Vec<_>>());
        });
        prop_assert!(masks.len() > 1, "nothing was rewired");
    }

    #[test]
    fn magnitude_reaches_its_number_and_never_regrows(seed in 0u64..1000, target in 1u64..700, by_layer: bool) {
        let recipe = recipe(4, &format!("optimizer: Adam(lr: 0.01), sparsity: Magnitude(target: Synapses({target}), from: 1, until: 3, every: 7, by_layer: {by_layer})"));
        let mut all = parameters(seed, &[700, 90]);
        let mut before = 790;
        run(&recipe, &mut all, 70, |_, all| {
            let now = active(all);
            assert!(now <= before);
            before = now;
        });
        // By layer, each layer's share is rounded.
        prop_assert!(active(&all).abs_diff(target) <= u64::from(by_layer));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn stds_reaches_its_number_and_regrows_until_then(seed in 0u64..1000, target in 1u64..700, by_layer: bool) {
        let recipe = recipe(4, &format!("optimizer: Adam(lr: 0.01), sparsity: Stds(target: Synapses({target}), from: 1, until: 3, every: 7, by_layer: {by_layer})"));
        let mut all = parameters(seed, &[700, 90]);
        let (mut mask, mut was, mut grown, mut turned, mut signs) = (None, vec![false; 700], 0, 0, vec![0f32; 700]);
        run(&recipe, &mut all, 70, |rewiring, all| {
            let now: Vec<bool> = all[0].value.iter().map(|w| *w == 0.0).collect();
            if rewiring.settled {
                assert_eq!(*mask.get_or_insert(now.clone()), now, "a synapse came or went");
            } else {
                let Synapses::Soft { theta, width: [width] } = &rewiring.synapses[0] else { panic!() };
                for (w, theta) in all[0].value.iter().zip(theta) {
                    assert_eq!(*w, if theta.abs() > *width { theta.signum() * (theta.abs() - width) } else { 0.0 });
                }
            }
            grown += was.iter().zip(&now).filter(|(was, now)| **was && !**now).count();
            was = now;
            for (sign, w) in signs.iter_mut().zip(&all[0].value).filter(|(_, w)| **w != 0.0) {
                turned += usize::from(*sign * w.signum() < 0.0);
                *sign = w.signum();
            }
            assert!(all[0].value.iter().all(|w| w.to_bits() != (-0.0f32).to_bits()), "a zero has a sign");
        });
        prop_assert!(mask.is_some() && grown > 0 && turned > 0);
        prop_assert!(active(&all).abs_diff(target) <= u64::from(by_layer));
    }
}

/// Plain descent of the hidden values, step by step, as the paper's formula says.
#[test]
fn stds_is_its_formula() {
    let recipe = recipe(1, "optimizer: Sgd(lr: 0.125), sparsity: Stds(target: Synapses(20), until: 1, every: 25)");
    let mut all = parameters(5, &[64]);
    let mut rewiring = Rewiring::new(&recipe, &mut all.iter_mut().collect::<Vec<_>>()).unwrap();
    let mut theta = all[0].value.clone();
    let mut random = stream(3, Purpose::Noise, &[]);
    let mut width = 0f32;
    for step in 0..99u64 {
        all[0].gradient.iter_mut().for_each(|g| *g = random.random_range(-0.2f32..0.2));
        theta.iter_mut().zip(&all[0].gradient).for_each(|(t, g)| *t -= 0.125 * g);
        rewiring.step(&mut all.iter_mut().collect::<Vec<_>>(), 1.0, Clock { epoch: 0, step, steps_in_epoch: 100 }, 1);
        if (step + 1).is_multiple_of(25) {
            let progress = (step + 1) as f64 / 100.0;
            let stays = (64.0 * (20.0 / 64.0 + 44.0 / 64.0 * (1.0 - progress).powi(3))).round() as usize;
            let mut sizes: Vec<f32> = theta.iter().map(|t| t.abs()).collect();
            sizes.sort_unstable_by(f32::total_cmp);
            width = width.max(sizes[64 - stays - 1]);
        }
        let expected: Vec<f32> = theta.iter().map(|t| if t.abs() > width { t.signum() * (t.abs() - width) } else { 0.0 }).collect();
        assert_eq!(all[0].value, expected, "step {step}");
    }
}

/// Without a gradient, strengths end up around the prior's centre, and none is a synapse: with noise, its share above 0 is the target.
#[test]
fn grad_r_approaches_the_target_of_its_prior() {
    for target in [0.3, 0.7] {
        let recipe = recipe(1, &format!("optimizer: Sgd(lr: 0.0002), sparsity: GradR(target: Connectivity({target}), penalty: 10.0)"));
        let mut all = parameters(5, &[4000]);
        let mut rewiring = Rewiring::new(&recipe, &mut all.iter_mut().collect::<Vec<_>>()).unwrap();
        let mut random = stream(3, Purpose::Noise, &[]);
        let mut shares = Vec::new();
        for step in 0..3000 {
            // Noise of the size at which a walk with the pull `lr penalty` spreads as the prior does: variance 2 lr a step (Langevin).
            let size = (2.0f32 / 0.0002).sqrt();
            for g in &mut all[0].gradient {
                *g = size * crate::random::normals(&mut random).0;
            }
            rewiring.step(&mut all.iter_mut().collect::<Vec<_>>(), 1.0, Clock { epoch: 0, step, steps_in_epoch: 3000 }, 1);
            if step >= 1500 {
                shares.push(active(&all) as f64 / 4000.0);
            }
        }
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        assert!((mean - target).abs() < 0.03, "{mean} of the weights are synapses, the prior says {target}");
    }
}

#[test]
fn steering_and_settling_reach_the_number() {
    let recipe = recipe(6, "optimizer: Adam(lr: 0.01), sparsity: GradR(target: Synapses(60), penalty: 0.01, steer: 4, settle: 1)");
    let mut all = parameters(5, &[1900, 100]);
    let mut mask = None;
    let end = run(&recipe, &mut all, 500, |rewiring, all| {
        if rewiring.settled {
            let now: Vec<bool> = all[0].value.iter().map(|w| *w != 0.0).collect();
            assert_eq!(*mask.get_or_insert(now.clone()), now, "a synapse came or went");
        }
    });
    assert!(end.control.penalty > 0.01, "the penalty was too small for the target");
    assert!(end.settled && active(&all) == 60, "{} synapses", active(&all));
}

/// From many synapses: what is beyond the target goes by the cube of the time left, nothing comes, and neither does in the steps after.
#[test]
fn settling_far_above_the_number_takes_its_time() {
    let recipe = recipe(6, "optimizer: Adam(lr: 0.01), sparsity: GradR(target: Synapses(60), penalty: 0.01, settle: 3)");
    let mut all = parameters(5, &[1900, 100]);
    let (first, last) = (3 * 500, 3 * 500 + 499);
    let (mut step, mut start, mut was) = (0u64, 0, Vec::new());
    let end = run(&recipe, &mut all, 500, |rewiring, all| {
        let now: Vec<bool> = all[..2].iter().flat_map(|p| p.value.iter().map(|w| *w != 0.0)).collect();
        assert_eq!(rewiring.settled, step >= last);
        if step < first {
            start = active(all);
        } else {
            assert!(was.iter().zip(&now).all(|(was, now)| *was || !*now), "a synapse came in step {step}");
            let left = 1.0 - ((step.min(last) - first) / 25 * 25) as f64 / 499.0;
            let wanted = if step < last { 60.0 + (start - 60) as f64 * left.powi(3) } else { 60.0 };
            assert!((active(all) as f64 - wanted).abs() <= 2.0, "{} synapses in step {step}, {wanted} expected", active(all));
        }
        (step, was) = (step + 1, now);
    });
    assert!(start > 600, "{start} synapses are not far above");
    assert!(end.settled && active(&all) == 60);
}

#[test]
fn weights_learn_on_a_grid_by_every_method() {
    for sparsity in [
        "Dense",
        "GradR(target: Synapses(300), penalty: 0.01, steer: 3, settle: 2)",
        "DeepR(target: Synapses(300), penalty: 0.01)",
        "Magnitude(target: Synapses(300), until: 3, every: 20)",
        "Stds(target: Synapses(300), until: 3, every: 20)",
    ] {
        let recipe = recipe(6, &format!("optimizer: Adam(lr: 0.01), quantize: (bits: 3, from: 2), sparsity: {sparsity}"));
        let mut all = parameters(5, &[900, 100]);
        let mut seen = [false; 2];
        let end = run(&recipe, &mut all, 100, |rewiring, all| {
            let grid = rewiring.grid.as_ref().expect("the recipe has one");
            let on = grid.step[0] > 0.0;
            seen[usize::from(on)] = true;
            for ((p, step), fine) in all.iter().zip(&grid.step).zip(&grid.fine).filter(|(_, fine)| on && !fine.is_empty()) {
                for (w, fine) in p.value.iter().zip(fine) {
                    let level = w / step;
                    assert!((level - level.round()).abs() < 1e-3 && level.abs() < 3.5, "{sparsity}: {w} on a grid of {step}");
                    assert!(w.to_bits() != (-0.0f32).to_bits() && (*fine != 0.0 || *w == 0.0), "{sparsity}: {fine} became {w}");
                    let held = fine.clamp(-3.0 * step, 3.0 * step);
                    assert!((w - held).abs() <= 0.501 * step, "{sparsity}: {fine} became {w} on a grid of {step}");
                }
            }
        });
        assert_eq!(seen, [true; 2], "{sparsity}");
        let grid = end.grid.expect("the recipe has one");
        // Biases have no grid; what a method prunes is pruned behind the grid as well.
        assert!(grid.step[2] == 0.0 && grid.fine[2].is_empty());
        let behind = grid.fine.iter().flatten().filter(|w| **w != 0.0).count() as u64;
        assert!(active(&all) <= behind && (sparsity == "Dense" || behind <= 330), "{sparsity}: {} of {behind}", active(&all));
        assert!(active(&all) > behind / 4, "{sparsity}: the grid ate {} of {behind}", behind - active(&all));
    }
}

/// A layer that had no weight when its step was chosen gets one when a weight comes back.
#[test]
fn an_empty_layer_comes_back_on_its_grid() {
    let recipe = recipe(6, "quantize: (bits: 3)");
    let mut all = [Parameter::new("w".into(), Role::Weight, vec![0.0; 5])];
    let mut grid = Grid::new(recipe.quantize.as_ref().unwrap(), &all.iter_mut().collect::<Vec<_>>()).unwrap();
    let mut all: Vec<&mut Parameter> = all.iter_mut().collect();
    grid.put(&mut all, true);
    grid.lift(&mut all);
    all[0].value[2] = 0.3;
    grid.put(&mut all, false);
    assert!(grid.step[0] > 0.0 && (all[0].value[2] - 0.3).abs() < 0.01, "{:?}", all[0].value);
}

#[test]
fn soft_deep_r_walks_within_its_bounds() {
    let recipe = recipe(1, "optimizer: Adam(lr: 0.01), sparsity: SoftDeepR(penalty: 1.0, temperature: 1e-2, least: -0.05)");
    let mut all = parameters(5, &[700]);
    let (mut grown, mut was, mut lowest) = (0, vec![false; 700], 0f32);
    let end = run(&recipe, &mut all, 200, |rewiring, all| {
        let Synapses::Signed { strength, .. } = &rewiring.synapses[0] else { panic!() };
        assert!(strength.iter().all(|t| *t >= -0.05), "a strength is below the least");
        assert!(strength.iter().zip(&all[0].value).all(|(t, w)| (*t > 0.0) == (*w != 0.0)));
        lowest = strength.iter().fold(lowest, |l, t| l.min(*t));
        grown += was.iter().zip(&all[0].value).filter(|(was, w)| **was && **w != 0.0).count();
        was = all[0].value.iter().map(|w| *w == 0.0).collect();
    });
    assert!(grown > 0 && active(&all) < 700 && end.wanted() == 700);
    assert_eq!(lowest, -0.05, "no strength reached its bound");
}
