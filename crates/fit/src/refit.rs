//! A net without some of its synapses, the others made to do their work.
//!
//! In: the net as trained with what it did, which synapses stay. Out: a net with fewer synapses, other weights and biases.
//! Invariant: populations and neurons are those of the net as trained; no synapse is new. Populations are taken in computed order, each
//! hearing what the pruned ones before it fire. Cost: see `spikec_reconstruct::rows`.

use crate::layer::Layer;
use rayon::prelude::*;
use spikec_data::Stimulus;
use spikec_net::{Builder, Float, Interpreter, Net, PopulationId, ReferenceError, Role, Synapses};
use spikec_reconstruct::{Ears, Recording, Rows, Scale, Teacher, is_gate};

/// Which synapses stay: by layer, row, position (see [`Layer::rows`]).
pub type Kept = Vec<Vec<Vec<bool>>>;

/// All synapses of some layers.
pub fn all(layers: &[Layer]) -> Kept {
    layers.iter().map(|l| l.rows.iter().map(|r| vec![true; r.len()]).collect()).collect()
}

/// The net with the synapses that stay, as trained.
pub fn pruned(net: &Net<Float>, layers: &[Layer], kept: &Kept) -> Net<Float> {
    let mut stays: Vec<Vec<bool>> = net.projections.iter().map(|p| vec![true; p.synapses.len()]).collect();
    for (layer, kept) in layers.iter().zip(kept) {
        if let Some(ties) = &layer.ties {
            for (b, kernels) in ties.kernels.iter().enumerate() {
                let mut weights = vec![true; kernels.taps().len()];
                for (row, kept) in layer.features.rows.iter().zip(kept) {
                    row.iter().zip(kept).filter(|(s, _)| s.block as usize == b).for_each(|(s, &kept)| weights[s.index as usize] = kept);
                }
                stays[kernels.projection.index()] = ties.spread(net, kernels.projection, &weights);
            }
            continue;
        }
        for (row, kept) in layer.features.rows.iter().zip(kept) {
            for (s, &kept) in row.iter().zip(kept) {
                let projection = layer.features.blocks[s.block as usize].projection;
                stays[projection.index()][s.index as usize] = kept;
            }
        }
    }
    let mut out = net.clone();
    for (projection, stays) in out.projections.iter_mut().zip(&stays) {
        projection.synapses = filter(&projection.synapses, |k| stays[k]);
    }
    out
}

fn filter(synapses: &Synapses<f32>, stays: impl Fn(usize) -> bool) -> Synapses<f32> {
    let mut out = Builder::new();
    for (row, start) in synapses.rows().zip(synapses.starts()) {
        out.push_row((start..).zip(row.iter()).filter(|(k, _)| stays(*k)).map(|(_, synapse)| synapse));
    }
    out.finish()
}

/// Samples with their steps.
#[derive(Debug, Clone, Copy)]
pub struct Samples<'a> {
    /// The samples.
    pub samples: &'a [Stimulus],
    /// Network steps of samples that don't say.
    pub steps: Option<u32>,
}

/// The pruned net, refitted to the teacher.
///
/// # Errors
/// A net or samples that can't be interpreted.
pub fn refit(teacher: &Teacher, mut net: Net<Float>, samples: Samples) -> Result<Net<Float>, ReferenceError> {
    let order: Vec<PopulationId> = Interpreter::new(&net)?.order().collect();
    for p in order {
        let mut pres = net.projections.iter().filter(|q| q.post == p && !q.synapses.is_empty()).map(|q| q.pre).peekable();
        if pres.peek().is_none() {
            continue;
        }
        let inputs_alone = pres.all(|pre| net.population(pre).is_input());
        if is_gate(&net, p) {
            continue;
        }
        let heard = match inputs_alone {
            true => None,
            false => Some(Recording::of_floats(&net, samples.samples, samples.steps)?),
        };
        let neurons = net.population(p).neurons();
        let ties = Ears::ties(&net, p, teacher.net());
        let scales = Ears::scales(ties.as_ref(), neurons.iter().map(Scale::of).collect());
        let rows = Rows::of(&net, p, ties.as_ref(), teacher, heard.as_ref(), scales.clone());
        let best: Vec<(Vec<f32>, f32)> = (0..rows.len())
            .into_par_iter()
            .map(|j| {
                let work = rows.work(j, true);
                let change = rows.bias_change(j, &work, &work.best);
                (work.best, change)
            })
            .collect();
        let changes: Vec<f32> = best.iter().map(|b| b.1).collect();
        for (b, block) in rows.features.blocks.iter().enumerate() {
            // A weight of exactly 0 would be no synapse.
            let usable = |x: f32| x.is_finite() && x != 0.0;
            let refitted = rows.features.rows.iter().zip(&best).zip(&scales).flat_map(|((row, (best, _)), scale)| {
                row.iter().zip(best).filter(|(s, _)| s.block as usize == b).map(|(s, x)| (s.index as usize, x / scale.factor))
            });
            match &ties {
                Some(ties) => {
                    let mut weights = ties.kernels[b].weights().to_vec();
                    refitted.filter(|r| usable(r.1)).for_each(|(k, x)| weights[k] = x);
                    let mut weights = ties.spread(&net, block.projection, &weights).into_iter();
                    let synapses = &mut net.projections[block.projection.index()].synapses;
                    *synapses = synapses.map_weights(|_, _, w| weights.next().unwrap_or(w));
                }
                None => {
                    let weights = net.projections[block.projection.index()].synapses.weights_mut();
                    refitted.filter(|r| usable(r.1)).for_each(|(k, x)| weights[k] = x);
                }
            }
        }
        let row_of = |j: usize| ties.as_ref().map_or(j, |t| t.channel_of[j] as usize);
        // A neuron that hears nothing has nothing to make up for: with a bias of its own it might begin to fire.
        let mut hears = vec![false; net.population(p).len()];
        for q in net.projections.iter().filter(|q| q.post == p) {
            q.synapses.iter().for_each(|(_, post, _, _)| hears[post as usize] = true);
        }
        if let Role::Neurons(neurons) = &mut net.populations[p.index()].role {
            for (j, n) in neurons.iter_mut().enumerate().filter(|(j, _)| hears[*j]) {
                let change = changes[row_of(j)];
                if change.is_finite() {
                    n.bias += change * Scale::unit(n);
                }
            }
        }
    }
    Ok(net)
}
