//! A budget in the loop: the target moves until the network fits, and dear synapses become fewer.

use spikec_net::Network;
use spikec_train::data::Samples;
use spikec_train::recipe::Recipe;
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
        Ok(Usage { used: weights(network).iter().map(of).sum(), allowed: ALLOWED })
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

#[test]
fn training_meets_a_budget_and_spares_what_is_dear() {
    let recipe = Recipe::read(
        "(steps: 6, batch: 8, epochs: 60, data: (train: Npz(\"-\"), validation: 64, encoder: Direct(mean: 0.2, std: 0.4)), \
         layers: [Linear(outputs: 40), Lif(), Linear(outputs: 4), Lif()], optimizer: Adam(lr: 0.005), \
         sparsity: GradR(target: Connectivity(0.5), penalty: 0.1, steer: 30))",
    )
    .unwrap();
    let mut trainer = Trainer::new(recipe, samples()).unwrap().with_budget(Box::new(Prices), 1);
    let mut last = None;
    while !trainer.done() {
        last = trainer.step().unwrap().or(last);
    }
    let last = last.unwrap();
    let (used, allowed) = last.budget.unwrap();
    assert!(used < 1.15 * allowed && used > 0.3 * allowed, "{used} of {allowed}");
    assert!(trainer.progress.best.is_some(), "no epoch met the budget");
    let network = spikec_train::export::network(&trainer.model, "net");
    let (first, _) = weights(&network)[0];
    let count = |dear: bool| first.iter().enumerate().filter(|(k, w)| **w != 0.0 && (k % 64 >= 32) == dear).count();
    assert!(2 * count(true) < count(false), "{} dear, {} cheap", count(true), count(false));
    assert!(last.accuracy > 0.8, "{last:?}");
}
