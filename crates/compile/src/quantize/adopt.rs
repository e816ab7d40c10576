//! A net that is in registers already: nothing is rounded, everything is checked.
//!
//! In: a lowered `Net<Fixed>`, well formed (`Net::check`). Out: the same net as [`Quantized`], or all its violations.
//! Invariant: only the rules change (to the target's). Cost: O(synapses).

use super::bounds;
use super::report::{PopulationQuantized, ProjectionQuantized, QuantizeReport};
use super::{QuantizeError, Registers, fixed_rules};
use crate::finding::{self, Finding};
use crate::retime::delay_findings;
use spikec_chip::Target;
use spikec_chip::target::Sign;
use spikec_net::{Fixed, Net, Population, Projection, Quantized, Scaling, SignMode};
use std::collections::BTreeSet;

/// Takes a net in registers as it is, with the target's rules.
///
/// Errors: every register that the target can't hold (C11 delays, C12 weights, C13 neurons), one finding for each
/// population or projection and kind, with the worst value.
pub fn adopt(net: Net<Fixed>, network_digest: [u8; 32], target: &Target) -> Result<(Quantized, QuantizeReport), QuantizeError> {
    let registers = Registers::of(target);
    let mut findings = delay_findings(&net, target);
    findings.extend(net.projections.iter().flat_map(|p| weight_findings(p, target)));
    findings.extend(net.populations.iter().flat_map(|p| neuron_findings(p, &registers)));
    if !findings.is_empty() {
        finding::sort(&mut findings);
        return Err(QuantizeError::Registers(findings));
    }
    let net = Net { rules: fixed_rules(target), ..net };
    let mut populations: Vec<PopulationQuantized> = net.populations.iter().map(population_report).collect();
    let projections = net.projections.iter().map(projection_report).collect();
    let mut findings = bounds::apply(&net, target, &mut populations);
    finding::sort(&mut findings);
    let report = QuantizeReport::new(None, projections, populations, findings);
    Ok((Quantized { net, scaling: Scaling::Exact, network_digest }, report))
}

fn population_report(population: &Population<Fixed>) -> PopulationQuantized {
    let thresholds: BTreeSet<u32> = population.neurons().iter().map(|n| n.threshold).collect();
    PopulationQuantized {
        thresholds: thresholds.into_iter().collect(),
        ..PopulationQuantized::new(&population.name, population.neurons().len())
    }
}

fn projection_report(projection: &Projection<Fixed>) -> ProjectionQuantized {
    let format = projection.format;
    ProjectionQuantized {
        name: projection.name.clone(),
        bits: format.bits,
        exponent: format.exponent,
        sign: format.sign,
        synapses: projection.synapses.len() as u64,
        vanished: 0,
        clipped: 0,
        max_error_steps: 0.0,
        deviation_steps: 0.0,
        rms_error_steps: 0.0,
        relative_error: 0.0,
    }
}

/// Values beyond a range: how many, and the one that is farthest out with the end that it passes.
#[derive(Default)]
struct Outside {
    count: usize,
    farthest: Option<(f64, f64)>,
}

impl Outside {
    fn add(&mut self, value: f64, (least, most): (f64, f64)) {
        let end = if value < least { least } else { most };
        if (least..=most).contains(&value) {
            return;
        }
        self.count += 1;
        if self.farthest.is_none_or(|(found, limit)| (value - end).abs() > (found - limit).abs()) {
            self.farthest = Some((value, end));
        }
    }
    fn finding(&self, code: &'static str, what: &str, remedy: &str, layer: &str) -> Option<Finding> {
        let (found, limit) = self.farthest?;
        Some(Finding::error(code, format!("{what} ({} values)", self.count), found, limit, remedy).layer(layer))
    }
}

/// C12.
fn weight_findings(projection: &Projection<Fixed>, target: &Target) -> Vec<Finding> {
    let packed = target.packed();
    let format = projection.format;
    let layer = &projection.name;
    let widest = packed.synapse_memory.weight_bits.iter().copied().max().unwrap_or(0).min(8);
    if !(1..=widest).contains(&format.bits) {
        let remedy = "use a weight width that the target stores";
        return vec![Finding::error("C12", "weight bits", format.bits as f64, widest as f64, remedy).layer(layer)];
    }
    let mut findings = Vec::new();
    let sign = match format.sign {
        SignMode::Mixed => Sign::Mixed,
        SignMode::Excitatory => Sign::Excitatory,
        SignMode::Inhibitory => Sign::Inhibitory,
    };
    if !packed.weights.signs.contains(&sign) {
        let resource = format!("formats of sign mode {sign:?}");
        findings.push(Finding::error("C12", resource, 1.0, 0.0, "use a sign mode that the target has").layer(layer));
    }
    let (least, most) = *packed.weights.exponent;
    let mut exponent = Outside::default();
    exponent.add(format.exponent as f64, (least as f64, most as f64));
    findings.extend(exponent.finding("C12", "weight exponent", "scale weights and thresholds together", layer));
    let (mut mantissas, mut off_grid) = (Outside::default(), Outside::default());
    let (least, most) = format.mantissa_range();
    for &m in &projection.synapses.weights {
        mantissas.add(m as f64, (least as f64, most as f64));
        if (least..=most).contains(&m) && format.on_grid(m) != m {
            off_grid.add(m as f64, (format.on_grid(m) as f64, format.on_grid(m) as f64));
        }
    }
    findings.extend(mantissas.finding("C12", "weight mantissa", "use more weight bits, another sign mode or a larger exponent", layer));
    let remedy = "round the mantissas to multiples of the format's grid: models of the chip disagree on others";
    findings.extend(off_grid.finding("C12", "weight mantissa off the grid", remedy, layer));
    findings
}

/// C13.
fn neuron_findings(population: &Population<Fixed>, registers: &Registers) -> Vec<Finding> {
    let range = |(a, b): (u32, u32)| (a as f64, b as f64);
    let most = registers.bias_mantissa as f64;
    let (least_wait, most_wait) = registers.refractory;
    let mut checks = [
        ("decay of u", "use a decay that the register holds", range(registers.decay_u), Outside::default()),
        ("decay of v", "use a decay that the register holds", range(registers.decay_v), Outside::default()),
        ("threshold mantissa", "scale weights and thresholds together", range((1, registers.threshold)), Outside::default()),
        ("refractory period (steps)", "use a period that the register holds", (least_wait as f64, most_wait as f64), Outside::default()),
        ("bias mantissa", "use a larger bias exponent", (-most, most), Outside::default()),
        ("bias exponent", "scale biases, weights and thresholds together", (0.0, registers.bias_exponent as f64), Outside::default()),
    ];
    for n in population.neurons() {
        let values =
            [n.decay_u as f64, n.decay_v as f64, n.threshold as f64, n.refractory as f64, n.bias.mantissa as f64, n.bias.exponent as f64];
        for ((_, _, range, outside), value) in checks.iter_mut().zip(values) {
            outside.add(value, *range);
        }
    }
    checks.iter().filter_map(|(what, remedy, _, outside)| outside.finding("C13", what, remedy, &population.name)).collect()
}
