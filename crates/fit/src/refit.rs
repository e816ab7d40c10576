//! A net without some of its synapses, the others made to do their work.
//!
//! In: the net as trained with what it did, which synapses stay. Out: a net with fewer synapses, other weights and biases.
//! Invariant: populations and neurons are those of the net as trained; no synapse is new. Populations are taken in computed order, each
//! hearing what the pruned ones before it fire. Cost: see `spikec_reconstruct::rows`.

use crate::layer::Layer;
use rayon::prelude::*;
use spikec_data::Stimulus;
use spikec_net::{Builder, Float, Interpreter, Net, PopulationId, ReferenceError, Role, Synapses};
use spikec_reconstruct::{Recording, Rows, Scale};

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
pub fn refit(teacher: &Net<Float>, taught: &Recording, mut net: Net<Float>, samples: Samples) -> Result<Net<Float>, ReferenceError> {
    let order: Vec<PopulationId> = Interpreter::new(&net)?.order().collect();
    for p in order {
        let mut pres = net.projections.iter().filter(|q| q.post == p && !q.synapses.is_empty()).map(|q| q.pre).peekable();
        if pres.peek().is_none() {
            continue;
        }
        let heard = match pres.all(|pre| net.population(pre).is_input()) {
            true => None,
            false => Some(Recording::of_floats(&net, samples.samples, samples.steps)?),
        };
        let neurons = net.population(p).neurons();
        let scales: Vec<Scale> = neurons.iter().map(Scale::of).collect();
        let rows = Rows::of(&net, p, (teacher, taught), heard.as_ref(), scales.clone());
        let best: Vec<(Vec<f32>, f32)> = (0..rows.len())
            .into_par_iter()
            .map(|j| {
                let work = rows.work(j, true);
                let change = rows.bias_change(j, &work, &work.best);
                (work.best, change)
            })
            .collect();
        let mut changes = Vec::with_capacity(best.len());
        for (j, (row, (best, change))) in rows.features.rows.iter().zip(best).enumerate() {
            for (s, x) in row.iter().zip(best) {
                let projection = rows.features.blocks[s.block as usize].projection;
                let weight = &mut net.projections[projection.index()].synapses.weights_mut()[s.index as usize];
                let refitted = x / scales[j].factor;
                // A weight of exactly 0 would be no synapse.
                if refitted.is_finite() && refitted != 0.0 {
                    *weight = refitted;
                }
            }
            changes.push(change);
        }
        if let Role::Neurons(neurons) = &mut net.populations[p.index()].role {
            neurons.iter_mut().zip(changes).filter(|(_, c)| c.is_finite()).for_each(|(n, change)| n.bias += change * Scale::unit(n));
        }
    }
    Ok(net)
}
