//! A budget in the loop of training: what the network takes moves the target, scales penalties, and says how many synapses stay in the end.
//!
//! In: the recipe's budget, and a [`Budget`] that counts. Out: the control's target, costs, the number of synapses to settle on.
//! Invariant: all that the next step depends on is in the checkpoint: the target (while synapses settle, the number that stays), the costs, and the strengths.

use super::{TrainError, Trainer};
use crate::export;
use crate::layers::{Layer, Role};
use crate::recipe::Target;
use crate::rewire::Synapses;
use crate::rewire::control::{Budget, Usage};

/// Share of a budget that is filled when the synapses settle: what rounds to 0 on the chip changes until the end.
const FILLED: f64 = 0.99;
/// Guesses of how many synapses fit before the rest is halved.
const GUESSES: u32 = 4;

impl Trainer {
    /// Lets `budget` count what the recipe's budget allows; `digest` is of all that decides its counts.
    pub fn with_budget(mut self, budget: Box<dyn Budget>, digest: [u8; 32]) -> Self {
        self.budget = Some(budget);
        self.digest = *blake3::Hasher::new().update(&self.digest).update(&digest).finalize().as_bytes();
        self
    }

    /// What the network as it stands takes of the budget.
    ///
    /// # Errors
    /// No budget, or one that can't be counted.
    pub fn usage(&mut self) -> Result<Usage, TrainError> {
        let network = export::network(&self.model, &self.recipe.name);
        let epoch = self.progress.epoch + u32::from(self.progress.in_epoch > 0);
        let failed = |why| TrainError::Budget { epoch, why };
        let budget = self.budget.as_mut().ok_or_else(|| failed("nothing was given to count it".into()))?;
        budget.usage(&network).map_err(failed)
    }

    /// Before the first step of all, the target; before synapses begin to settle, and before they have settled, how many stay.
    pub(super) fn before_step(&mut self) -> Result<(), TrainError> {
        if self.progress.step == 0 {
            let usage = self.usage()?;
            self.aim(usage)?;
        }
        let settling = self.rewiring.settling(self.clock(), self.recipe.epochs);
        if settling.is_some_and(|at| at.begins() || at.ends()) {
            let most = self.most_that_fit()?;
            self.rewiring.settle_on(most);
        }
        Ok(())
    }

    /// After `epoch` epochs: what the network takes, where it is time to count. While synapses come and go, the target moves.
    pub(super) fn weigh(&mut self, epoch: u32) -> Result<Option<Usage>, TrainError> {
        let Some(Target::Budget { every, .. }) = self.recipe.sparsity.budget() else { return Ok(None) };
        if !epoch.is_multiple_of(*every) && epoch < self.recipe.epochs && !self.rewiring.settled {
            return Ok(None);
        }
        let usage = self.usage()?;
        if !self.rewiring.settled && self.rewiring.settling(self.clock(), self.recipe.epochs).is_none() {
            self.aim(usage)?;
        }
        Ok(Some(usage))
    }

    fn aim(&mut self, usage: Usage) -> Result<(), TrainError> {
        let found = self.rewiring.count(&self.model.parameters()) as f64 / self.rewiring.weights() as f64;
        self.rewiring.control.aim(usage.share, found);
        let network = export::network(&self.model, &self.recipe.name);
        let epoch = self.progress.epoch;
        let failed = |why| TrainError::Budget { epoch, why };
        let costs = self.budget.as_mut().map(|b| b.marginal_costs(&network)).transpose().map_err(failed)?;
        if let Some(costs) = costs.flatten() {
            self.set_costs(&costs).map_err(failed)?;
        }
        Ok(())
    }

    /// The largest number of synapses with which the network fits when the weakest go or others grow, within one in 200.
    fn most_that_fit(&mut self) -> Result<u64, TrainError> {
        let before: Vec<Vec<f32>> = self.model.parameters().iter().map(|p| p.value.clone()).collect();
        let all = self.rewiring.strong();
        // At most twice as many: what grows is not worth much more.
        let (mut low, mut high, mut next) = (0, (2 * all).min(self.rewiring.weights()) + 1, all);
        let mut most = 0;
        for round in 0.. {
            self.rewiring.show_strongest(&mut self.model.parameters_mut(), next);
            let (usage, there) = (self.usage(), self.rewiring.count(&self.model.parameters()));
            self.model.parameters_mut().into_iter().zip(&before).for_each(|(p, before)| p.value.clone_from(before));
            let usage = usage?;
            // What does not fit and yet takes less than all has too few synapses to say anything.
            let silent = !usage.fits && usage.share < 1.0;
            let fits = usage.fits && usage.share <= FILLED;
            if fits {
                // Fewer than asked for, where no more would grow.
                most = most.max(there);
            }
            if silent || fits {
                low = next
            } else {
                high = next
            }
            if high - low <= 1.max(high / 200) {
                break;
            }
            // As many as fit where words are in proportion, but inside of what is known.
            let guess = (next as f64 * FILLED / usage.share.max(1e-9)) as u64;
            let known = low + 1..high;
            next = if round < GUESSES && known.contains(&guess) { guess } else { low + (high - low) / 2 };
        }
        if most == 0 {
            let why = "not even a network of few synapses fits it: it is too small for the network's neurons".into();
            return Err(TrainError::Budget { epoch: self.progress.epoch + 1, why });
        }
        Ok(most)
    }

    /// Penalties in proportion to costs, whose mean is 1.
    fn set_costs(&mut self, costs: &[Vec<f32>]) -> Result<(), String> {
        let shapes = self.model.layers.iter().filter_map(|layer| match layer {
            Layer::Linear(l) => Some((l.inputs, l.outputs)),
            Layer::Conv(l) => Some((l.map.channels, l.outputs)),
            _ => None,
        });
        let parameters = self.model.parameters();
        let weights: Vec<usize> = (0..parameters.len()).filter(|&k| parameters[k].role == Role::Weight).collect();
        if costs.len() != weights.len() || costs.iter().zip(&weights).any(|(c, &k)| c.len() != parameters[k].value.len()) {
            return Err("its costs are not one for each weight".into());
        }
        let (total, n) = costs.iter().flatten().fold((0f64, 0u64), |(s, n), &c| (s + f64::from(c), n + 1));
        let mean = total / n.max(1) as f64;
        if !(mean.is_finite() && mean > 0.0) || costs.iter().flatten().any(|c| !(c.is_finite() && *c >= 0.0)) {
            return Err("its costs are not finite and positive".into());
        }
        for ((costs, &k), (channels, outputs)) in costs.iter().zip(&weights).zip(shapes) {
            if let Synapses::Signed { cost, .. } = &mut self.rewiring.synapses[k] {
                *cost = export::inside(costs, channels, outputs).iter().map(|c| (f64::from(*c) / mean) as f32).collect();
            }
        }
        Ok(())
    }
}
