//! What quantizing did: errors, losses and worst cases, for people and for the JSON report.

use super::soft::SoftPopulation;
use super::tune::TuneReport;
use super::{QuantizeOptions, Quantizer};
use crate::finding::Finding;
use serde::Serialize;
use spikec_net::SignMode;

/// What quantizing did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QuantizeReport {
    /// Method; `None` when the registers were given.
    pub method: Option<Quantizer>,
    /// Width of the weights asked for; `None` when the registers were given.
    pub weight_bits: Option<u8>,
    /// Synapses left.
    pub synapses: u64,
    /// Synapses that are gone because their mantissa rounds to 0.
    pub vanished: u64,
    /// What the bundle declares: the largest distance of a mantissa from its ideal in the format's range, in grid steps.
    pub deviation_steps: f64,
    /// What tuning all layers together did; `None` where it was not done.
    pub tuned: Option<TuneReport>,
    /// Populations with soft reset, in net order.
    pub soft: Vec<SoftPopulation>,
    /// Each projection, in net order.
    pub projections: Vec<ProjectionQuantized>,
    /// Each population, in net order.
    pub populations: Vec<PopulationQuantized>,
    /// Warnings, sorted.
    pub findings: Vec<Finding>,
}

/// Weights of a projection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProjectionQuantized {
    /// Name.
    pub name: String,
    /// Width in bits.
    pub bits: u8,
    /// Exponent.
    pub exponent: i8,
    /// Signs.
    pub sign: SignMode,
    /// Synapses left.
    pub synapses: u64,
    /// Synapses that rounded to 0.
    pub vanished: u64,
    /// Synapses beyond the largest mantissa.
    pub clipped: u64,
    /// Largest distance of a mantissa from its ideal, in grid steps; clipped weights included.
    pub max_error_steps: f64,
    /// Largest distance of a mantissa from its ideal, moved into the format's range where it is beyond: rounding alone.
    pub deviation_steps: f64,
    /// Root mean square of that distance, vanished synapses included, in grid steps.
    pub rms_error_steps: f64,
    /// Root of (squared errors / squared weights), relative to each neuron's threshold.
    pub relative_error: f64,
}

impl ProjectionQuantized {
    /// C12 warnings: weights far beyond the largest mantissa.
    pub(super) fn findings(&self) -> Option<Finding> {
        let grid = spikec_net::WeightFormat { bits: self.bits, exponent: self.exponent, sign: self.sign }.grid_shift();
        let range = (256u32 >> grid) as f64;
        // The search for scales may clip; more than the whole range is no choice but a weight of many thresholds.
        (self.max_error_steps > range).then(|| {
            let remedy =
                "a weight is more than the largest register allows for this threshold: raise the threshold, or expect the largest weight";
            Finding::warning("C12", "weight beyond the largest mantissa (grid steps)", self.max_error_steps, range, remedy)
                .layer(&self.name)
        })
    }
}

/// Registers of a population.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PopulationQuantized {
    /// Name.
    pub name: String,
    /// Neurons; 0 for inputs.
    pub neurons: u32,
    /// Distinct threshold mantissas, ascending: the scale classes.
    pub thresholds: Vec<u32>,
    /// Largest relative error of a threshold.
    pub threshold_error: f64,
    /// Largest |share of u kept - as trained|.
    pub keep_u_error: f64,
    /// Largest |share of v kept - as trained|.
    pub keep_v_error: f64,
    /// Largest error of a constant bias, in v units.
    pub bias_error: f64,
    /// Worst case of |q| of a step: all inputs of one sign at once.
    pub bound_q: f64,
    /// Worst case of |u|: that input in every step; q / (1 - keep_u).
    pub bound_u: f64,
    /// Worst case of |v|; `None` = unbounded (no leak). Above, v is bounded by a threshold and one step; below, by the leak.
    pub bound_v: Option<f64>,
}

impl PopulationQuantized {
    pub(super) fn new(name: &str, neurons: usize) -> Self {
        PopulationQuantized {
            name: name.to_owned(),
            neurons: neurons as u32,
            thresholds: Vec::new(),
            threshold_error: 0.0,
            keep_u_error: 0.0,
            keep_v_error: 0.0,
            bias_error: 0.0,
            bound_q: 0.0,
            bound_u: 0.0,
            bound_v: Some(0.0),
        }
    }
}

impl QuantizeReport {
    /// The report of a family whose weights have no formats.
    pub(crate) fn none(synapses: u64, vanished: u64) -> Self {
        QuantizeReport { synapses, vanished, ..QuantizeReport::new(None, Vec::new(), Vec::new(), Vec::new()) }
    }
    pub(super) fn new(
        options: Option<&QuantizeOptions>,
        projections: Vec<ProjectionQuantized>,
        populations: Vec<PopulationQuantized>,
        findings: Vec<Finding>,
    ) -> Self {
        QuantizeReport {
            method: options.map(|o| o.method),
            weight_bits: options.map(|o| o.weight_bits),
            synapses: projections.iter().map(|p| p.synapses).sum(),
            vanished: projections.iter().map(|p| p.vanished).sum(),
            deviation_steps: projections.iter().map(|p| p.deviation_steps).fold(0.0, f64::max),
            tuned: None,
            soft: Vec::new(),
            projections,
            populations,
            findings,
        }
    }
}
