//! Accuracy over time: what the outputs would answer after each network step.
//!
//! In: a batch run with `curve`. Out: [`Curve`].
//! Invariant: a sample that ended earlier keeps its last prediction, time and energy in later points; with labels, only labelled
//! samples count.

use crate::timing::load_events;
use serde::Serialize;
use spikec_chip::Bundle;
use spikec_chip::target::Target;
use spikec_sim::timing::Energy;
use spikec_sim::{BatchRun, SampleTiming};

/// The curve.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Curve {
    /// Network that the bundle was compiled from.
    pub network: String,
    /// Target.
    pub target: String,
    /// What predictions are compared with: `labels`, or `last step` where the data have none.
    pub compared_with: &'static str,
    /// By network steps, from 1.
    pub points: Vec<CurvePoint>,
}

/// After some network steps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CurvePoint {
    /// Network steps.
    pub steps: u32,
    /// `correct / labelled`.
    pub accuracy: f64,
    /// Predictions that are right (without labels: that are the last step's).
    pub correct: usize,
    /// Samples that are compared.
    pub labelled: usize,
    /// Mean time until then; none without timing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_time_ps: Option<f64>,
    /// Mean energy until then, without the host's register writes; none without timing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_energy_pj: Option<f64>,
}

impl Curve {
    /// Of a batch whose predictions were kept after each step.
    pub fn new(batch: &BatchRun, labels: Option<&[i64]>, bundle: &Bundle) -> Self {
        let most = batch.samples.iter().map(|s| s.curve.len()).max().unwrap_or(0);
        let expected: Vec<i64> = match labels {
            Some(labels) => labels.to_vec(),
            None => batch.samples.iter().map(|s| i64::from(s.prediction)).collect(),
        };
        let labelled = expected.len().min(batch.samples.len());
        let skew = bundle.host.decoder.skew as usize;
        let until: Vec<Vec<(f64, f64)>> =
            batch.samples.iter().filter_map(|s| s.timing.as_ref()).map(|t| sums(t, skew, most, &bundle.target)).collect();
        let mean = |k: usize, of: fn(&(f64, f64)) -> f64| {
            (!until.is_empty()).then(|| until.iter().map(|sums| of(&sums[k])).sum::<f64>() / until.len() as f64)
        };
        let point = |k: usize| {
            let predictions = batch.samples.iter().map(|s| s.curve.get(k).or(s.curve.last()).copied().unwrap_or(s.prediction));
            let correct = predictions.zip(&expected).filter(|(p, l)| i64::from(*p) == **l).count();
            CurvePoint {
                steps: k as u32 + 1,
                accuracy: correct as f64 / labelled.max(1) as f64,
                correct,
                labelled,
                mean_time_ps: mean(k, |s| s.0),
                mean_energy_pj: mean(k, |s| s.1),
            }
        };
        Curve {
            network: bundle.provenance.network_name.clone(),
            target: bundle.target.name.clone(),
            compared_with: if labels.is_some() { "labels" } else { "last step" },
            points: (0..most).map(point).collect(),
        }
    }

    /// One line: a bar for each step.
    pub fn text(&self) -> String {
        const SHOWN: usize = 40;
        let Some(last) = self.points.last() else { return String::new() };
        let what = if self.compared_with == "labels" { "accuracy" } else { "agreement with the last step" };
        let near = self.points.iter().rposition(|p| (p.accuracy - last.accuracy).abs() > 0.01).map_or(1, |k| k + 2);
        let every = self.points.len().div_ceil(SHOWN);
        let blocks: String = self.points.iter().step_by(every).map(|p| column(p.accuracy)).collect();
        format!(
            "{what} after 1 to {} steps {blocks} {:.2} % to {:.2} %; within 1 % of the end from step {near} on\n",
            self.points.len(),
            100.0 * self.points[0].accuracy,
            100.0 * last.accuracy
        )
    }
}

/// A block whose height is a share.
fn column(share: f64) -> char {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    BLOCKS[((share * 8.0).ceil() as usize).clamp(1, 8) - 1]
}

/// Time and energy of a sample until the outputs' network steps 0, 1, ... are done.
fn sums(t: &SampleTiming, skew: usize, most: usize, target: &Target) -> Vec<(f64, f64)> {
    let mut time = t.load_ps as f64;
    let mut energy = Energy::of(&load_events(t), target).chip_pj();
    let mut sums = Vec::with_capacity(most);
    for chip_step in 0..most + skew {
        if let Some(step) = t.steps.get(chip_step) {
            time += step.time_ps as f64;
            energy += Energy::of(&step.events, target).chip_pj();
        }
        if chip_step >= skew {
            sums.push((time, energy));
        }
    }
    sums
}
