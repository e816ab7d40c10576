//! The last step of reconstruction: all layers together are moved on their grids until the outputs fire as the teacher's.
//!
//! In: a draft whose scales are chosen. Out: the draft with other mantissas and biases, where the registers then do better on the samples.
//! Invariant: scales and formats stay, no synapse comes back. Method and cost: `spikec_reconstruct::tune`.

use super::reconstruct::Guide;
use super::weights::ideal_mantissa;
use super::{Draft, QuantizeError, bias_limits};
use crate::finding::Finding;
use serde::Serialize;
use spikec_net::Role;
use spikec_reconstruct::tune::{Standing, Tuned, tune};
use spikec_reconstruct::{Recording, Teacher, their_neurons};

/// What tuning did: the mean squared distance of the outputs' spike counts from the teacher's, on the calibration samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TuneReport {
    /// Before.
    pub before: f64,
    /// After; where it isn't less, everything was left as it was.
    pub after: f64,
}

impl Draft<'_> {
    /// Tunes, if there is something to tune by and its cost is bearable.
    pub(super) fn tune(&mut self, guide: &Guide, teacher: &Teacher) -> Result<(), QuantizeError> {
        if self.ties.iter().any(Option::is_some) {
            // Single synapses would move away from their kernels.
            let kernels = self.ties.iter().filter(|t| t.is_some()).count();
            self.untuned("layers of kernels", kernels, "leave out --tune: a network with kernels is not tuned");
            return Ok(());
        }
        let taught = teacher.recording();
        let (before_net, _) = self.build([0; 32]);
        let limits = bias_limits(self.target);
        let before = Recording::of_registers(&before_net.net, guide.samples, guide.steps, limits)?.count_distance(taught);
        let standing: Vec<Standing> = (0..self.net.projections.len()).map(|q| self.standing(q)).collect();
        let mut here = self.net.clone();
        for (population, prepared) in here.populations.iter_mut().zip(&self.prepared) {
            if let Role::Neurons(neurons) = &mut population.role {
                for (neuron, moved) in neurons.iter_mut().zip(&prepared.neurons) {
                    neuron.bias = (moved.bias - (moved.keep_v - 1.0) * f64::from(neuron.v_reset)) as f32;
                }
            }
        }
        let theirs: Vec<_> = self.net.populations.iter().map(|p| their_neurons(p, teacher.net())).collect();
        let Some(tuned) = tune(&here, &standing, guide.samples, guide.steps, taught, &theirs)? else {
            self.untuned("samples", guide.samples.len(), "leave out --tune: there is nothing to tune by, or it would take too long");
            return Ok(());
        };
        let kept = (self.prepared.clone(), self.chosen.clone(), self.bias_deviation);
        self.stand(tuned);
        let (after_net, _) = self.build([0; 32]);
        let after = Recording::of_registers(&after_net.net, guide.samples, guide.steps, limits)?.count_distance(taught);
        if after >= before {
            (self.prepared, self.chosen, self.bias_deviation) = kept;
        }
        self.tuned = Some(TuneReport { before, after });
        Ok(())
    }

    /// Finds that nothing was tuned, which was asked for (C12).
    fn untuned(&mut self, what: &str, count: usize, remedy: &str) {
        let resource = format!("{what}, for which nothing is tuned");
        self.findings.push(Finding::warning("C12", resource, count as f64, 0.0, remedy));
    }

    /// Where the weights of projection `q` stand.
    fn standing(&self, q: usize) -> Standing {
        let (projection, format) = (&self.net.projections[q], self.formats[q]);
        let post = projection.post.index();
        let grid = f64::from(1i16 << format.grid_shift());
        let (least, most) = self.rules.mantissa_range(format);
        let range = (least as f32 / grid as f32, most as f32 / grid as f32);
        let of = |w: f32, j: usize| ideal_mantissa(w, self.prepared[post].neurons[j].gain, self.v_units[post][j], format, &self.rules);
        let steps = (0..self.prepared[post].neurons.len()).map(|j| (grid / of(1.0, j)) as f32).collect();
        let nearest = |(_, post, weight, _): (u32, u32, f32, u16)| {
            let ideal = of(weight, post as usize) / grid;
            (ideal.round() as f32).clamp(range.0, range.1)
        };
        let multiples = match &self.chosen[q] {
            Some(mantissas) => mantissas.iter().map(|&m| f32::from(m) / grid as f32).collect(),
            None => projection.synapses.iter().map(nearest).collect(),
        };
        Standing { steps, range, multiples }
    }

    /// Takes what was tuned.
    fn stand(&mut self, tuned: Tuned) {
        for ((chosen, format), multiples) in self.chosen.iter_mut().zip(&self.formats).zip(tuned.multiples) {
            let grid = 1i16 << format.grid_shift();
            *chosen = Some(multiples.into_iter().map(|m| m as i16 * grid).collect());
        }
        for ((prepared, changes), population) in self.prepared.iter_mut().zip(tuned.bias_changes).zip(&self.net.populations) {
            let changed = prepared.neurons.iter_mut().zip(changes).zip(population.neurons());
            for ((neuron, change), given) in changed.filter(|((n, _), _)| !n.soft) {
                neuron.bias += f64::from(change);
                let as_trained = f64::from(given.bias) + (neuron.keep_v - 1.0) * f64::from(given.v_reset);
                self.bias_deviation = self.bias_deviation.max((neuron.bias - as_trained).abs());
            }
        }
    }
}
