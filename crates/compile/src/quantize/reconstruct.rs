//! Layer-wise reconstruction: the mantissas, levels and biases with which each neuron's potential changes least while samples run.
//!
//! In: the lowered net, samples without labels, the net that teaches (the lowered net itself, or the one that it was pruned from). Out: as
//! [`super::quantize_all`].
//! Invariant: zeros stay zero; what the chip holds is what is rounded to. Populations are taken in computed order, each hearing the spikes
//! of the quantized ones before it. Cost: features^2 columns + neurons features^2 times the levels tried.
//! Method: `spikec_reconstruct`. Neurons that share a kernel are one row, and go on sharing it.

use super::neuron::Shifted;
use super::scale::{self, Slot};
use super::{Draft, QuantizeError, QuantizeOptions, QuantizeReport, Quantizer, bias_limits};
use crate::finding::{self, Finding};
use rayon::prelude::*;
use spikec_chip::Target;
use spikec_data::Stimulus;
use spikec_net::{Float, Interpreter, Net, PopulationId, ProjectionId, Quantized, Ties};
use spikec_reconstruct::rows::LARGEST_FEATURES;
use spikec_reconstruct::{Ears, Features, Grid, Recording, Rows, Scale, Teacher, is_gate};
use std::borrow::Cow;

/// Times that coordinate descent goes through a row.
const SWEEPS: usize = 20;

/// What reconstruction learns from.
#[derive(Debug, Clone, Copy)]
pub struct Guide<'a> {
    /// Samples; labels are not needed.
    pub samples: &'a [Stimulus],
    /// Network steps of samples that don't say.
    pub steps: Option<u32>,
    /// The net whose potentials are wanted, as it ran on the samples; its populations are those of the net to be quantized, by name and
    /// origin. `None`: that net itself.
    pub teacher: Option<&'a Teacher<'a>>,
}

/// As [`super::quantize_all`], with the guide's samples where the method uses them.
///
/// # Errors
/// As [`super::quantize_all`]; samples that do not fit the net.
pub fn reconstruct_all(
    net: &Net<Float>,
    network_digest: [u8; 32],
    target: &Target,
    options: &QuantizeOptions,
    guide: &Guide,
) -> Result<(Quantized, QuantizeReport), QuantizeError> {
    let mut draft = Draft::new(net, target, options)?;
    // What is refused is not worth the time.
    let refused = finding::errors(&draft.findings).is_some();
    if options.method == Quantizer::Reconstruct && !guide.samples.is_empty() && !refused {
        let own;
        let teacher = match guide.teacher {
            Some(teacher) => teacher,
            None => {
                own = Teacher::run(Cow::Borrowed(net), guide.samples, guide.steps)?;
                &own
            }
        };
        let order: Vec<PopulationId> = Interpreter::new(net)?.order().collect();
        for p in order {
            let mut pres = net.projections.iter().filter(|q| q.post == p && !q.synapses.is_empty()).map(|q| q.pre).peekable();
            if pres.peek().is_none() || is_gate(net, p) {
                continue;
            }
            let ties = Ears::ties(net, p, teacher.net());
            let features = match &ties {
                Some(ties) => ties.tap_count(),
                None => Features::at_most(net, p).max(Features::at_most(teacher.net(), p)),
            };
            if features > LARGEST_FEATURES {
                let remedy = "its weights are rounded by row scale";
                let layer = &net.population(p).name;
                let finding = Finding::warning("C12", "axons to reconstruct with", features as f64, LARGEST_FEATURES as f64, remedy);
                draft.findings.push(finding.layer(layer));
                continue;
            }
            let itself = pres.all(|pre| net.population(pre).is_input()) && std::ptr::eq(net, teacher.net());
            let heard = if itself || ties.is_none() && teacher.heard_by_both(net, p).is_some() {
                None
            } else {
                let (now, _) = draft.build(network_digest);
                Some(Recording::of_registers(&now.net, guide.samples, guide.steps, bias_limits(target))?)
            };
            draft.reconstruct(p, ties, teacher, heard.as_ref());
        }
        if options.tune {
            draft.tune(guide, teacher)?;
        }
    }
    Ok(draft.build(network_digest))
}

/// Grids at a level, in thresholds.
fn grids(slots: &[Slot], level: f64) -> Vec<Grid> {
    slots.iter().map(|s| Grid { step: (1.0 / (level * s.steps)) as f32, least: s.least, most: s.most }).collect()
}

impl Draft<'_> {
    /// Chooses levels, mantissas and biases of population `p`, which hears `heard` (`None`: what the teacher heard), by kernels where it has `ties`.
    fn reconstruct(&mut self, p: PopulationId, ties: Option<Ties>, teacher: &Teacher, heard: Option<&Recording>) {
        let net = self.net;
        let comparable = self.options.comparable_outputs && p == net.output;
        let units = scale::units(&self.prepared[p.index()], comparable);
        let scale = |(n, &unit): (&Shifted, &f64)| Scale {
            factor: (n.gain / unit) as f32,
            bias: (n.bias / unit) as f32,
            fires: n.threshold.is_finite(),
        };
        let of_neurons: Vec<Scale> = self.prepared[p.index()].neurons.iter().zip(&units).map(scale).collect();
        let rows = Rows::of(net, p, ties.as_ref(), teacher, heard, Ears::scales(ties.as_ref(), of_neurons));
        // The row of a neuron, and a neuron of a row.
        let row_of = |j: usize| ties.as_ref().map_or(j, |t| t.channel_of[j] as usize);
        let neuron_of = |row: usize| ties.as_ref().map_or(row, |t| t.leaders[row] as usize);

        let prepared = &self.prepared[p.index()];
        let mut incoming = scale::incoming(net, p, prepared, comparable, self.options, self.target, &mut Vec::new());
        let driven = net.host_projections.iter().any(|h| h.post == p);
        let goal = scale::Goal {
            rules: &self.rules,
            registers: &self.registers,
            target: self.target,
            fire: net.rules.fire,
            driven,
            classes: self.classes[p.index()],
            ties: ties.as_ref(),
        };
        let errors = |slots: &[Slot], j: usize, levels: &[f64]| -> Vec<f64> {
            let work = rows.work(row_of(j), false);
            levels.iter().map(|&level| f64::from(rows.round(&work, &grids(slots, level), 0).1)).collect()
        };
        let v_units = scale::v_units(prepared, &mut incoming, &goal, self.options.method, comparable, Some(&errors));

        let level_unit = 2f64.powi(i32::from(self.rules.threshold_shift));
        let slots: Vec<Slot> = incoming.iter().map(|i| Slot::new(i, &self.rules)).collect();
        let chosen: Vec<(Vec<f32>, f32)> = (0..rows.len())
            .into_par_iter()
            .map(|row| {
                let j = neuron_of(row);
                let grids = grids(&slots, v_units[j] * units[j] / level_unit);
                let work = rows.work(row, true);
                let (steps, _) = rows.round(&work, &grids, SWEEPS);
                let change = rows.bias_change(row, &work, &Rows::values(&work, &grids, &steps));
                (steps, change)
            })
            .collect();
        let formats: Vec<_> = incoming.iter().map(|i| (i.projection, i.format)).collect();
        let weights = |block: usize, projection: ProjectionId| match &ties {
            Some(ties) => ties.kernels[block].taps().len(),
            None => net.projection(projection).synapses.len(),
        };
        let mut mantissas: Vec<Vec<i16>> = formats.iter().enumerate().map(|(block, f)| vec![0; weights(block, f.0)]).collect();
        for (row, (steps, _)) in rows.features.rows.iter().zip(&chosen) {
            for (s, &steps) in row.iter().zip(steps) {
                let block = s.block as usize;
                mantissas[block][s.index as usize] = steps as i16 * (1i16 << formats[block].1.grid_shift());
            }
        }
        for ((projection, format), mantissas) in formats.into_iter().zip(mantissas) {
            self.formats[projection.index()] = format;
            self.chosen[projection.index()] = Some(match &ties {
                Some(ties) => ties.spread(net, projection, &mantissas),
                None => mantissas,
            });
        }
        for (j, (neuron, unit)) in self.prepared[p.index()].neurons.iter_mut().zip(&units).enumerate() {
            // A bias doesn't add up where the potential lives in the current.
            let moved = if neuron.soft { 0.0 } else { f64::from(chosen[row_of(j)].1) * unit };
            neuron.bias += moved;
            self.bias_deviation = self.bias_deviation.max(moved.abs());
        }
        self.v_units[p.index()] = v_units;
    }
}
