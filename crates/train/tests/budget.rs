//! A budget in the loop: the target moves until the network fits, and dear synapses become fewer.

use spikec_net::Network;
use spikec_train::data::Samples;
use spikec_train::recipe::{Quantize, Recipe};
use spikec_train::rewire::control::{Budget, Usage};
use spikec_train::trainer::Trainer;

/// Synapses cost 1, from the second half of the pixels 6.
struct Prices;

const ALLOWED: f64 = 300.0;

fn price(k: usize, inputs: u32) -> f32 {
    if inputs == 64 && k % 64 >= 32 { 6.0 } else { 1.0 }
}

fn weights(network: &Network) -> Vec<(&[f32], u32)> {
    let operators = network.projections.iter().flat_map(|p| &p.operators);
    operators
        .filter_map(|o| if let spikec_net::Operator::Linear { weight, inputs, .. } = o { Some((&weight[..], *inputs)) } else { None })
        .collect()
}

impl Budget for Prices {
    fn marginal_costs(&mut self, network: &Network) -> Result<Option<Vec<Vec<f32>>>, String> {
        Ok(Some(weights(network).iter().map(|(w, n)| (0..w.len()).map(|k| price(k, *n)).collect()).collect()))
    }
    fn usage(&mut self, network: &Network) -> Result<Usage, String> {
        let of =
            |(w, n): &(&[f32], u32)| w.iter().enumerate().filter(|(_, w)| **w != 0.0).map(|(k, _)| f64::from(price(k, *n))).sum::<f64>();
        let used = weights(network).iter().map(of).sum::<f64>();
        Ok(Usage { words: used as u64, cores: Some(1), share: used / ALLOWED, fits: used <= ALLOWED })
    }
}

/// Images of 8 x 8 whose left and right halves both tell the class.
fn samples() -> Samples {
    let (n, mut state) = (512u32, 7u64);
    let mut random = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % 100
    };
    let labels: Vec<u8> = (0..n).map(|k| (k % 4) as u8).collect();
    let images: Vec<u8> = labels
        .iter()
        .flat_map(|&c| {
            (0..64).map(|p| if random() < if p / 8 % 4 == u64::from(c) { 80 } else { 10 } { 200 } else { 0 }).collect::<Vec<_>>()
        })
        .collect();
    let header = |shape: &[u32]| [vec![0, 0, 8, shape.len() as u8], shape.iter().flat_map(|d| d.to_be_bytes()).collect()].concat();
    Samples::from_idx(&[header(&[n, 8, 8]), images].concat(), &[header(&[n]), labels].concat()).unwrap()
}

fn recipe(more: &str) -> Recipe {
    let text = format!(
        "(steps: 6, batch: 8, epochs: 60, data: (train: Npz(\"-\"), validation: 64, encoder: Poisson()), \
         layers: [Linear(outputs: 40), Lif(), Linear(outputs: 4), Lif()], optimizer: Adam(lr: 0.005), \
         sparsity: GradR(target: Budget(target: \"prices\", memory: 300, every: 1), penalty: 0.1, steer: 30{more}))"
    );
    Recipe::read(&text).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn training_meets_a_budget_and_spares_what_is_dear() {
    let mut trainer = Trainer::new(recipe(""), samples()).unwrap().with_budget(Box::new(Prices), [0; 32]);
    let mut last = None;
    while !trainer.done() {
        last = trainer.step().unwrap().or(last);
    }
    let last = last.unwrap();
    let share = last.budget.unwrap().share;
    assert!(share < 1.15 && share > 0.3, "{share}");
    assert!(trainer.progress.best.is_some(), "no epoch met the budget");
    let network = spikec_train::export::network(&trainer.model, "net");
    let (first, _) = weights(&network)[0];
    let count = |dear: bool| first.iter().enumerate().filter(|(k, w)| **w != 0.0 && (k % 64 >= 32) == dear).count();
    assert!(2 * count(true) < count(false), "{} dear, {} cheap", count(true), count(false));
    assert!(last.accuracy > 0.8, "{last:?}");
}

/// The synapses that settle fill the budget, and a run that goes on from a checkpoint ends the same; none is best but what was counted and fits.
#[test]
fn settling_fills_a_budget_and_resumes() {
    settling_fills(None);
}

/// The same where weights learn on a grid from when they begin to settle.
#[test]
fn settling_fills_a_budget_on_a_grid_and_resumes() {
    settling_fills(Some(Quantize { bits: 8, from: 13, layers: Default::default() }));
}

fn settling_fills(quantize: Option<Quantize>) {
    let text = |trainer: Trainer| trainer.with_budget(Box::new(Prices), [0; 32]);
    let recipe = || {
        let mut recipe = recipe(", settle: 3");
        recipe.quantize = quantize.clone();
        // Still beyond the budget when synapses settle.
        recipe.epochs = 16;
        if let spikec_train::recipe::Sparsity::GradR { steer, target: spikec_train::recipe::Target::Budget { every, .. }, .. } =
            &mut recipe.sparsity
        {
            (*steer, *every) = (12, 2);
        }
        recipe
    };
    let mut whole = text(Trainer::new(recipe(), samples()).unwrap());
    let (mut epochs, mut cut, mut there) = (Vec::new(), Vec::new(), Vec::new());
    while !whole.done() {
        epochs.extend(whole.step().unwrap());
        // The first step of the 14th epoch to the last one before the synapses have settled.
        if whole.progress.step > 13 * 56 && !whole.rewiring.settled {
            there.push((whole.rewiring.count(&whole.model.parameters()), whole.rewiring.wanted()));
        }
        if matches!(whole.progress.step, 7 | 300 | 740 | 800) {
            cut.push(whole.checkpoint().unwrap());
        }
    }
    // What is beyond the first count goes by and by (on a grid a weak one may be 0 and come back).
    let (all, wanted) = there[0];
    assert!(there.len() == 55 && all > wanted + wanted / 10, "{there:?}");
    assert!(there.iter().all(|(n, w)| *n >= wanted && *w == wanted) && there.is_sorted_by(|a, b| a.0 + 8 >= b.0), "{there:?}");
    assert!(there.last().unwrap().0 < wanted + (all - wanted) / 8, "{there:?}");
    for (k, e) in epochs.iter().enumerate() {
        assert_eq!(e.budget.is_some(), (k + 1) % 2 == 0 || k >= 13, "epoch {}", k + 1);
        assert!(!e.best || e.budget.is_some_and(|u| u.fits), "{e:?}");
    }
    let settled: Vec<f64> = epochs[13..].iter().map(|e| e.budget.unwrap().share).collect();
    assert!(settled.iter().all(|s| (0.93..=1.0).contains(s)), "{settled:?}");
    assert!(epochs[13..].iter().any(|e| e.best));
    assert_eq!(cut.len(), 4);
    for bytes in cut {
        let mut other = text(Trainer::new(recipe(), samples()).unwrap());
        other.restore(&bytes).unwrap();
        while !other.done() {
            other.step().unwrap();
        }
        assert!(other.checkpoint().unwrap() == whole.checkpoint().unwrap(), "a resumed run went elsewhere");
    }
}

/// A budget that no network keeps, and one that nothing counts.
#[test]
fn a_budget_that_cannot_be_kept_is_said() {
    struct None;
    impl Budget for None {
        fn marginal_costs(&mut self, _: &Network) -> Result<Option<Vec<Vec<f32>>>, String> {
            Ok(Option::None)
        }
        fn usage(&mut self, _: &Network) -> Result<Usage, String> {
            Ok(Usage { words: 9, cores: Some(2), share: 9.0, fits: false })
        }
    }
    let of = || {
        let mut recipe = recipe("");
        recipe.epochs = 2;
        if let spikec_train::recipe::Sparsity::GradR { steer, settle, .. } = &mut recipe.sparsity {
            (*steer, *settle) = (1, 1);
        }
        Trainer::new(recipe, samples()).unwrap()
    };
    let end = |mut trainer: Trainer| loop {
        if let Err(e) = trainer.step() {
            return e.to_string();
        }
    };
    assert!(end(of()).contains("nothing was given to count it"));
    assert!(end(of().with_budget(Box::new(None), [0; 32])).contains("not even a network of few synapses"));
    let mut direct = recipe("");
    direct.data.encoder = spikec_train::recipe::Encoder::Direct { mean: 0.0, std: 1.0 };
    let error = Trainer::new(direct, samples()).err().unwrap();
    assert!(error.to_string().contains("data.encoder") && error.hint().contains("Poisson"), "{error}");
}
