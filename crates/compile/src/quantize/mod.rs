//! Quantizing: from floats to the chip's registers.
//!
//! In: a lowered `Net<Float>` and the target; or a net in registers ([`adopt`]). Out: [`Quantized`] and a report.
//! Invariant: zeros stay zero; mantissas are on their format's grid and act without another rounding; registers are in
//! range; every float unit of v of neuron j is `v_units[j]` register units. Nothing after this stage rounds.
//! Cost: O(synapses * 100) multiplications for the search of scales, on all cores.
//!
//! **The law.** The scale of a neuron is free: weights, threshold and bias can be multiplied together. With
//! `v' = v - v_reset` (the chip resets to 0) the float step of docs/semantics.md becomes
//! `v' = keep_v v' + gain u + (bias + (keep_v - 1) v_reset)`, spike at `v' > threshold - v_reset`. A **level** is a
//! neuron's threshold in threshold mantissas; `v_units = level * 2^threshold_shift / (threshold - v_reset)`: the
//! threshold is always exact, and the weights alone are rounded: `mantissa = w * gain * v_units / 2^(align_shift + exponent)`.
//! u is kept in the same units, so `gain` sits in the weights and a kept u follows the same linear law.
//!
//! **Fire rule.** The chip fires at `v > mantissa * 2^threshold_shift`. For `>` the mantissa is the level. For `>=` it
//! is the level less 1: a sum of weights that is exactly the threshold fires, and a v in the last mantissa below it
//! fires too early, which is a relative error below `1 / level` (levels are 1024 and more where the exponents allow).
//!
//! **Readouts** (infinite threshold) have one scale for the whole population, so that their potentials can be compared,
//! and the largest threshold. **Scales** and exponents: see `scale.rs`.
//!
//! Why clustering: a core has few threshold profiles (8 on Loihi 1), so the levels of all populations together are few.

mod adopt;
mod bounds;
pub(crate) mod lost;
#[cfg(test)]
mod measured;
mod neuron;
mod reconstruct;
mod report;
mod scale;
mod soft;
#[cfg(test)]
mod tests;
mod tune;
mod weights;

pub use adopt::{adopt, adopt_all};
pub use lost::Lost;
pub use reconstruct::{Guide, reconstruct_all};
pub use report::{PopulationQuantized, ProjectionQuantized, QuantizeReport};
pub(crate) use soft::agreement;
pub(crate) use soft::measure as measure_soft_resets;
pub use soft::{SoftPopulation, SoftReset};
pub use tune::TuneReport;

use crate::finding::{self, Finding};
use neuron::Prepared;
use rayon::prelude::*;
use scale::Incoming;
use serde::Serialize;
use spikec_chip::Target;
use spikec_net::{
    Fixed, FixedRules, Float, HostProjection, Net, Population, PopulationId, Quantized, ReferenceError, Role, Scaling, Ties, WeightFormat,
};
use thiserror::Error;

/// How weights and the scale of each neuron are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantizer {
    /// One level a population, from its largest weight: nothing is clipped.
    MaxAbs,
    /// As many levels as the threshold profiles allow; each neuron takes the one of least squared weight error, which may clip.
    #[default]
    RowScale,
    /// Weights, levels and biases of least error in the neurons' potentials while calibration samples run ([`reconstruct_all`]); without
    /// samples as [`Quantizer::RowScale`].
    Reconstruct,
}

/// How a projection with weights of both signs is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signs {
    /// In entries of mixed signs, where the sign takes a bit of each weight.
    #[default]
    Mixed,
    /// In excitatory and inhibitory entries: twice the levels for the same width, for more entries.
    Split,
}

/// How to quantize.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuantizeOptions {
    /// Width of the weights in bits, 1 ..= 8, sign included where a projection has both signs.
    pub weight_bits: u8,
    /// Widths of projections by name, where they have their own.
    pub layer_bits: Vec<(String, u8)>,
    /// How projections of both signs are stored.
    pub signs: Signs,
    /// Method.
    pub method: Quantizer,
    /// Tune all layers together after reconstruction.
    pub tune: bool,
    /// The potentials of the output population will be compared (decoder `potential`): one scale for all its neurons.
    pub comparable_outputs: bool,
    /// What may stand for a reset by subtraction.
    pub soft_reset: SoftReset,
}

impl QuantizeOptions {
    /// Width of the weights of a projection.
    pub fn bits(&self, projection: &str) -> u8 {
        self.layer_bits.iter().find(|(layer, _)| layer == projection).map_or(self.weight_bits, |l| l.1)
    }
}

impl Default for QuantizeOptions {
    fn default() -> Self {
        QuantizeOptions {
            weight_bits: 8,
            layer_bits: Vec::new(),
            signs: Signs::default(),
            method: Quantizer::default(),
            tune: false,
            comparable_outputs: false,
            soft_reset: SoftReset::default(),
        }
    }
}

/// Why a net can't be quantized.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum QuantizeError {
    /// The width of weights is not possible.
    #[error("weight bits: found {found}, expected 1 to {max}")]
    WeightBits {
        /// As asked.
        found: u8,
        /// Widest of the target.
        max: u8,
    },
    /// A width for a layer that is none.
    #[error("weight bits of layer `{found}`: the network has no such projection")]
    Layer {
        /// As asked.
        found: String,
        /// Projections of the net.
        names: Vec<String>,
    },
    /// Calibration samples that do not fit the net.
    #[error("calibration: {0}")]
    Calibration(#[from] ReferenceError),
    /// What the chip can't express or hold; sorted, at least one.
    #[error("{}", finding::first(.0))]
    Findings(Vec<Finding>),
}

impl QuantizeError {
    /// A remedy.
    pub fn hint(&self) -> String {
        match self {
            QuantizeError::WeightBits { max, .. } => format!("choose --weight-bits 1 to {max}"),
            QuantizeError::Layer { names, .. } => format!("one of: {}", names.join(", ")),
            QuantizeError::Calibration(e) => e.hint(),
            QuantizeError::Findings(findings) => findings[0].remedy.clone(),
        }
    }
    /// The findings, where there are any.
    pub fn findings(&self) -> &[Finding] {
        match self {
            QuantizeError::Findings(findings) => findings,
            _ => &[],
        }
    }
}

/// The fixed-point rules of a target.
pub fn fixed_rules(target: &Target) -> FixedRules {
    let (weights, neuron) = (&target.packed().weights, &target.packed().neuron);
    FixedRules {
        align_shift: *weights.align_shift,
        weight_limit_bits: *weights.limit_bits,
        input_bits: *neuron.input_bits,
        u_bits: *neuron.u_bits,
        v_min: *neuron.v_min,
        v_max: *neuron.v_max,
        threshold_shift: *neuron.threshold_shift,
    }
}

/// Largest mantissa and exponent of the target's bias registers.
pub fn bias_limits(target: &Target) -> (i16, u8) {
    let neuron = &target.packed().neuron;
    let mantissa = (1i32 << neuron.bias_mantissa_bits.saturating_sub(1).min(15)) - 1;
    (mantissa.min(i32::from(i16::MAX)) as i16, *neuron.bias_exponent_max)
}

/// Ranges of the target's neuron registers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Registers {
    /// Denominator of the decays.
    pub decay_one: u32,
    /// Smallest and largest effective decay of u.
    pub decay_u: (u32, u32),
    /// Smallest and largest effective decay of v.
    pub decay_v: (u32, u32),
    /// Largest threshold mantissa.
    pub threshold: u32,
    /// Largest one that v can pass, which is clipped at `v_max`; at least 1.
    pub reachable: u32,
    /// Largest bias mantissa.
    pub bias_mantissa: i16,
    /// Largest bias exponent.
    pub bias_exponent: u8,
    /// Smallest and largest refractory period.
    pub refractory: (u8, u8),
}

impl Registers {
    pub(crate) fn of(target: &Target) -> Self {
        let n = &target.packed().neuron;
        let one = 1u32 << *n.decay_bits;
        let decay = |offset: u16| (offset as u32, offset as u32 + one - 1);
        let threshold = (1u32 << *n.threshold_mantissa_bits) - 1;
        let reachable = (i64::from(*n.v_max) - 1) >> *n.threshold_shift;
        Registers {
            decay_one: one,
            decay_u: decay(*n.u_decay_offset),
            decay_v: decay(*n.v_decay_offset),
            threshold,
            reachable: reachable.clamp(1, i64::from(threshold)) as u32,
            bias_mantissa: bias_limits(target).0,
            bias_exponent: bias_limits(target).1,
            refractory: *n.refractory,
        }
    }
    /// Largest bias in units of v.
    pub(crate) fn bias_max(&self) -> f64 {
        self.bias_mantissa as f64 * 2f64.powi(self.bias_exponent as i32)
    }
}

/// Rounds a lowered net into the target's registers.
///
/// `network_digest` is the digest of the network as given. The result's populations, projections and host projections
/// are those of `net`, in its order; synapses whose mantissa rounds to 0 are gone (a projection may be left empty).
/// Errors: everything that the chip can't express. What it can only express roughly is a warning of the report.
pub fn quantize(
    net: &Net<Float>,
    network_digest: [u8; 32],
    target: &Target,
    options: &QuantizeOptions,
) -> Result<(Quantized, QuantizeReport), QuantizeError> {
    refuse(quantize_all(net, network_digest, target, options)?)
}

/// What was quantized, if no finding is an error.
fn refuse((q, report): (Quantized, QuantizeReport)) -> Result<(Quantized, QuantizeReport), QuantizeError> {
    match finding::errors(&report.findings) {
        None => Ok((q, report)),
        Some(errors) => Err(QuantizeError::Findings(errors)),
    }
}

/// As [`quantize`], but what the chip can't express is replaced by something that it can and found in the report, so that
/// later stages can look for more.
///
/// Errors: a width of weights that is not possible.
pub fn quantize_all(
    net: &Net<Float>,
    network_digest: [u8; 32],
    target: &Target,
    options: &QuantizeOptions,
) -> Result<(Quantized, QuantizeReport), QuantizeError> {
    Ok(Draft::new(net, target, options)?.build(network_digest))
}

/// A net on its way into registers: what was decided about each number.
pub(crate) struct Draft<'a> {
    net: &'a Net<Float>,
    target: &'a Target,
    options: &'a QuantizeOptions,
    rules: FixedRules,
    registers: Registers,
    /// Neurons in the chip's coordinates; reconstruction moves their biases.
    prepared: Vec<Prepared>,
    /// Scales a population may have.
    classes: Vec<usize>,
    /// Kernels, by population.
    ties: Vec<Option<Ties>>,
    /// By projection.
    formats: Vec<WeightFormat>,
    /// By population.
    v_units: Vec<Vec<f64>>,
    /// Mantissas of each projection's synapses where they are not just the nearest.
    chosen: Vec<Option<Vec<i16>>>,
    /// Largest move of a bias, in float units of v.
    bias_deviation: f64,
    /// What tuning did.
    tuned: Option<TuneReport>,
    findings: Vec<Finding>,
}

impl<'a> Draft<'a> {
    /// Chooses scales from the weights alone.
    fn new(net: &'a Net<Float>, target: &'a Target, options: &'a QuantizeOptions) -> Result<Self, QuantizeError> {
        let widest = target.packed().synapse_memory.weight_bits.iter().copied().max().unwrap_or(0).min(8);
        let asked = std::iter::once(options.weight_bits).chain(options.layer_bits.iter().map(|l| l.1));
        if let Some(found) = asked.into_iter().find(|bits| !(1..=widest).contains(bits)) {
            return Err(QuantizeError::WeightBits { found, max: widest });
        }
        let (rules, registers) = (fixed_rules(target), Registers::of(target));
        let mut findings = rule_findings(net, &registers);
        findings.extend(soft::findings(net, &rules, &registers, target, options.soft_reset));
        findings.extend(host_findings(net));
        let prepared = neuron::prepare(net, &registers, &mut findings);
        let classes = allot(net, *target.packed().core.threshold_profiles as usize, options.method);
        let ties: Vec<Option<Ties>> = (0..net.populations.len()).into_par_iter().map(|p| Ties::of(net, PopulationId::from(p))).collect();
        let mut formats = vec![None; net.projections.len()];
        let mut v_units = Vec::new();
        for p in 0..net.populations.len() {
            let id = PopulationId::from(p);
            let comparable = options.comparable_outputs && id == net.output;
            let mut incoming = scale::incoming(net, id, &prepared[p], comparable, options, target, &mut findings);
            let driven = net.host_projections.iter().any(|h| h.post == id);
            let goal = scale::Goal {
                rules: &rules,
                registers: &registers,
                target,
                fire: net.rules.fire,
                driven,
                classes: classes[p],
                ties: ties[p].as_ref(),
            };
            v_units.push(scale::v_units(&prepared[p], &mut incoming, &goal, options.method, comparable, None));
            for Incoming { projection, format, .. } in &incoming {
                formats[projection.index()] = Some(*format);
            }
        }
        let formats = formats.into_iter().map(|f| f.expect("the post of a projection is a population of the net")).collect();
        let chosen = vec![None; net.projections.len()];
        Ok(Draft {
            net,
            target,
            options,
            rules,
            registers,
            prepared,
            classes,
            ties,
            formats,
            v_units,
            chosen,
            bias_deviation: 0.0,
            tuned: None,
            findings,
        })
    }

    /// Writes the registers.
    fn build(&self, network_digest: [u8; 32]) -> (Quantized, QuantizeReport) {
        let (net, rules) = (self.net, self.rules);
        let mut findings = self.findings.clone();
        let (mut populations, mut population_reports) = (Vec::new(), Vec::new());
        for ((population, prepared), units) in net.populations.iter().zip(&self.prepared).zip(&self.v_units) {
            let (role, report) = neuron::registers(net, population, prepared, units, &rules, &self.registers, &mut findings);
            populations.push(Population {
                name: population.name.clone(),
                shape: population.shape.clone(),
                origin: population.origin.clone(),
                skew: population.skew,
                role,
            });
            population_reports.push(report);
        }
        let (mut projections, mut projection_reports) = (Vec::new(), Vec::new());
        for ((projection, &format), chosen) in net.projections.iter().zip(&self.formats).zip(&self.chosen) {
            let post = projection.post.index();
            let (fixed, report) = weights::round(projection, format, &self.prepared[post], &self.v_units[post], &rules, chosen.as_deref());
            findings.extend(report.findings());
            projections.push(fixed);
            projection_reports.push(report);
        }
        let mut soft = Vec::new();
        for (k, p) in net.populations.iter().enumerate() {
            let registers = (PopulationId::from(k), Population::<Fixed>::neurons(&populations[k]));
            if let Some((own, population)) = soft::projections(&rules, (&net.rules, p), registers, self.target) {
                projection_reports.extend(own.iter().map(adopt::projection_report));
                projections.extend(own);
                soft.push(population);
            }
        }
        let host = |h: &HostProjection| host_projection(h, &self.prepared[h.post.index()], &self.v_units[h.post.index()]);
        let fixed = Net::<Fixed> {
            name: net.name.clone(),
            rules,
            populations,
            projections,
            host_projections: net.host_projections.iter().map(host).collect(),
            output: net.output,
        };
        let readout = |p: usize, j: usize| self.prepared[p].neurons[j].threshold.is_infinite();
        let in_current = |p: usize, j: usize| self.prepared[p].neurons[j].soft;
        let soft_resets = (&in_current as &dyn Fn(usize, usize) -> bool, net.projections.len());
        findings.extend(bounds::apply(&fixed, self.target, (&readout, "a readout"), soft_resets, &mut population_reports));
        finding::sort(&mut findings);
        let report = QuantizeReport {
            tuned: self.tuned,
            soft,
            ..QuantizeReport::new(Some(self.options), projection_reports, population_reports, findings)
        };
        let deviation_steps = report.deviation_steps;
        let scaling = Scaling::Scaled { v_units: self.v_units.clone(), deviation_steps, bias_deviation: self.bias_deviation };
        (Quantized { net: fixed, scaling, network_digest }, report)
    }
}

/// Refractory periods that no trained neuron has (C13).
fn rule_findings(net: &Net<Float>, registers: &Registers) -> Vec<Finding> {
    let least = registers.refractory.0;
    let remedy = "trained neurons lose no step after a spike: choose a target with the refractory period 1";
    let finding =
        |p: &Population<Float>| Finding::error("C13", "smallest refractory period (steps)", least.into(), 1.0, remedy).layer(&p.name);
    net.populations.iter().filter(|p| least > 1 && !p.neurons().is_empty()).map(finding).collect()
}

/// Host projections into filtered currents, which a bias can't stand for, and into neurons that hear nothing (C13).
fn host_findings(net: &Net<Float>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for host in &net.host_projections {
        let population = net.population(host.post);
        let kept = population.neurons().iter().map(|n| n.keep_u).fold(0.0, f32::max);
        if kept != 0.0 {
            let resource = format!("share of the current that {} keeps, under a host map into the bias", population.name);
            let remedy = "use --input-coding rate or latency, so that the input layer runs on the chip";
            findings.push(Finding::error("C13", resource, kept.into(), 0.0, remedy).layer(&host.name));
        }
        let deaf = population.neurons().iter().filter(|n| n.gain == 0.0).count();
        if deaf > 0 {
            let remedy = "no register holds a gain of 0: change the neurons' parameters (r, w_in), or dt";
            findings
                .push(Finding::error("C13", "neurons of gain 0 that the host drives", deaf as f64, 0.0, remedy).layer(&population.name));
        }
    }
    findings
}

/// A sign mode that the target's formats lack (C12).
pub(crate) fn sign_finding(sign: impl std::fmt::Debug, layer: &str) -> Finding {
    let remedy = "choose a target whose formats have this sign mode";
    Finding::error("C12", format!("projections of sign mode {sign:?}"), 1.0, 0.0, remedy).layer(layer)
}

/// Number of levels for each population: one for each that has neurons, and the rest of `profiles` by neuron count
/// (largest remainder, the earlier population first). Inputs get 0. More populations than profiles: one each, and the
/// partitioner keeps them apart.
fn allot(net: &Net<Float>, profiles: usize, method: Quantizer) -> Vec<usize> {
    let counts: Vec<usize> = net.populations.iter().map(|p| p.neurons().len()).collect();
    let mut classes: Vec<usize> = counts.iter().map(|&n| (n > 0) as usize).collect();
    let used: usize = classes.iter().sum();
    if method == Quantizer::MaxAbs || used >= profiles {
        return classes;
    }
    let (rest, total) = (profiles - used, counts.iter().sum::<usize>());
    let mut remainders = Vec::new();
    let mut left = rest;
    for (p, &n) in counts.iter().enumerate().filter(|(_, n)| **n > 0) {
        classes[p] += n * rest / total;
        left -= n * rest / total;
        remainders.push((n * rest % total, p));
    }
    remainders.sort_by_key(|&(remainder, p)| (std::cmp::Reverse(remainder), p));
    for (_, p) in remainders.into_iter().take(left) {
        classes[p] += 1;
    }
    classes
}

/// The host's map with its sums in units of v: `gain` and scale go into the gains, the neuron's own bias into the constant.
fn host_projection(host: &HostProjection, post: &Prepared, v_units: &[f64]) -> HostProjection {
    let mut out = host.clone();
    for (j, neuron) in post.neurons.iter().enumerate() {
        out.gains[j] = host.gains[j] * neuron.gain * v_units[j];
        if neuron.bias != 0.0 {
            out.constants[j] = host.constants[j] + neuron.bias / (host.gains[j] * neuron.gain);
        }
    }
    out
}

/// Role of an input population in registers.
fn input_role(role: &Role<Float>) -> Role<Fixed> {
    match role {
        Role::AnalogInput => Role::AnalogInput,
        _ => Role::SpikeInput,
    }
}
