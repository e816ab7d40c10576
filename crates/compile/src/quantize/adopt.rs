//! A net that is in registers already: nothing is rounded, everything is checked.
//!
//! In: a lowered `Net<Fixed>`, well formed (`Net::check`). Out: the same net as [`Quantized`], or all its violations.
//! Invariant: only the rules change (to the target's). Cost: O(synapses).

use super::bounds;
use super::report::{PopulationQuantized, ProjectionQuantized, QuantizeReport};
use super::{QuantizeError, Registers, fixed_rules, refuse, sign_finding};
use crate::finding::{self, Finding};
use crate::pack::wiring::stored_signs;
use crate::relay::RelayReport;
use crate::retime::delay_findings;
use spikec_chip::Target;
use spikec_net::{Fixed, Net, Population, Projection, Quantized, Role, Scaling};
use std::collections::BTreeSet;

/// Takes a net in registers as it is, with the target's rules.
///
/// Errors: every register that the target can't hold (C11 delays, C12 weights, C13 neurons), one finding for each
/// population or projection and kind, with the worst value.
pub fn adopt(net: Net<Fixed>, network_digest: [u8; 32], target: &Target) -> Result<(Quantized, QuantizeReport), QuantizeError> {
    let delays = delay_findings(&net, target);
    let (q, mut report) = adopt_all(net, network_digest, target);
    report.findings.extend(delays);
    refuse((q, report))
}

/// As [`adopt`], but delays are taken as lowering found them, and what the target can't hold is moved into range and found in the report, so that later stages can look for more.
pub fn adopt_all(net: Net<Fixed>, network_digest: [u8; 32], target: &Target) -> (Quantized, QuantizeReport) {
    let registers = Registers::of(target);
    let mut findings: Vec<Finding> = net.projections.iter().flat_map(|p| weight_findings(p, target)).collect();
    findings.extend(net.populations.iter().flat_map(|p| neuron_findings(p, &registers)));
    let mut net = Net { rules: fixed_rules(target), ..net };
    if !findings.is_empty() {
        net.projections.iter_mut().for_each(|p| move_weights(p, target));
        net.populations.iter_mut().for_each(|p| move_neurons(p, &registers));
    }
    findings.extend(net.populations.iter().filter_map(|p| unreachable(p, &registers)));
    let mut populations: Vec<PopulationQuantized> = net.populations.iter().map(population_report).collect();
    let projections = net.projections.iter().map(projection_report).collect();
    let largest = |p: usize, j: usize| net.populations[p].neurons()[j].threshold == registers.threshold;
    findings.extend(bounds::apply(
        &net,
        target,
        (&largest, "neurons with the largest threshold"),
        (&|_, _| false, net.projections.len()),
        &mut populations,
    ));
    finding::sort(&mut findings);
    let report = QuantizeReport::new(None, projections, populations, findings);
    (Quantized { net, scaling: Scaling::Exact, network_digest }, report)
}

impl QuantizeReport {
    /// Adds the relays of a net: their populations, and the projections into them.
    pub(crate) fn add_relays(&mut self, net: &Net<Fixed>, relays: &RelayReport) {
        let (populations, projections) = (net.populations.len(), net.projections.len());
        let count = relays.populations.len();
        self.populations.extend(net.populations[populations - count..].iter().map(population_report));
        self.projections.extend(net.projections[projections - count..].iter().map(projection_report));
    }
}

/// Thresholds that v, clipped at `v_max`, never passes (C13). The largest register is the way to say so on purpose.
fn unreachable(population: &Population<Fixed>, registers: &Registers) -> Option<Finding> {
    let beyond = |t: u32| t > registers.reachable && t < registers.threshold;
    let thresholds = population.neurons().iter().map(|n| n.threshold).filter(|&t| beyond(t));
    let (count, most) = thresholds.fold((0, 0), |(count, most), t| (count + 1, most.max(t)));
    let resource = format!("threshold mantissa below v_max ({count} neurons never fire)");
    let remedy = "scale weights and thresholds together";
    (count > 0).then(|| Finding::warning("C13", resource, most.into(), registers.reachable.into(), remedy).layer(&population.name))
}

fn move_neurons(population: &mut Population<Fixed>, r: &Registers) {
    let Role::Neurons(neurons) = &mut population.role else { return };
    for n in neurons {
        n.decay_u = n.decay_u.clamp(r.decay_u.0 as u16, r.decay_u.1 as u16);
        n.decay_v = n.decay_v.clamp(r.decay_v.0 as u16, r.decay_v.1 as u16);
        n.threshold = n.threshold.clamp(1, r.threshold);
        n.refractory = n.refractory.clamp(r.refractory.0, r.refractory.1);
        n.bias.mantissa = n.bias.mantissa.clamp(-r.bias_mantissa, r.bias_mantissa);
        n.bias.exponent = n.bias.exponent.min(r.bias_exponent);
    }
}

fn move_weights(projection: &mut Projection<Fixed>, target: &Target) {
    let packed = target.packed();
    let format = &mut projection.format;
    format.bits = format.bits.clamp(1, packed.synapse_memory.weight_bits.iter().copied().max().unwrap_or(8).clamp(1, 8));
    format.exponent = format.exponent.clamp(packed.weights.exponent.0, packed.weights.exponent.1);
    let (least, most) = format.mantissa_range();
    // Rows that differed beyond the range may be equal now.
    projection.synapses = projection.synapses.map_weights(|_, _, m| format.on_grid(m.clamp(least, most)));
}

fn population_report(population: &Population<Fixed>) -> PopulationQuantized {
    let thresholds: BTreeSet<u32> = population.neurons().iter().map(|n| n.threshold).collect();
    PopulationQuantized {
        thresholds: thresholds.into_iter().collect(),
        ..PopulationQuantized::new(&population.name, population.neurons().len())
    }
}

pub(super) fn projection_report(projection: &Projection<Fixed>) -> ProjectionQuantized {
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
    if let Some(lacking) = stored_signs(format.sign).iter().find(|sign| !packed.weights.signs.contains(sign)) {
        findings.push(sign_finding(lacking, layer));
    }
    let (least, most) = *packed.weights.exponent;
    let mut exponent = Outside::default();
    exponent.add(format.exponent as f64, (least as f64, most as f64));
    findings.extend(exponent.finding("C12", "weight exponent", "scale weights and thresholds together", layer));
    let (mut mantissas, mut off_grid) = (Outside::default(), Outside::default());
    let (least, most) = format.mantissa_range();
    for &m in projection.synapses.rows().flat_map(|row| row.weights()) {
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
