//! Worst cases of the registers of a fixed net (C14).
//!
//! In: a net in registers. Out: bounds for each population, and warnings where a register may overflow.
//! Invariant: bounds hold for any input, as long as no other register overflowed before: all synapses of one sign that
//! a neuron has act at once, in every step. Where the potential lives in u (`soft.rs`), a spike takes all but one step's input and the threshold away.
//! Cost: O(synapses).

use super::Registers;
use super::report::PopulationQuantized;
use crate::finding::Finding;
use spikec_chip::Target;
use spikec_net::{Fixed, Net};

/// Fills in the bounds of the reports (one for each population) and returns the warnings. `readout(population, neuron)` says which
/// neurons are not meant to fire, `name` what they are called; `soft` which have their potential in u, and the first projection that takes
/// thresholds from it.
pub fn apply(
    net: &Net<Fixed>,
    target: &Target,
    (readout, name): (&dyn Fn(usize, usize) -> bool, &str),
    (soft, first): (&dyn Fn(usize, usize) -> bool, usize),
    reports: &mut [PopulationQuantized],
) -> Vec<Finding> {
    let registers = Registers::of(target);
    let (mut up, mut down): (Vec<Vec<f64>>, Vec<Vec<f64>>) =
        net.populations.iter().map(|p| (vec![0f64; p.neurons().len()], vec![0f64; p.neurons().len()])).unzip();
    for p in &net.projections[..first] {
        let (up, down) = (&mut up[p.post.index()], &mut down[p.post.index()]);
        for (j, m, _) in p.synapses.rows().flat_map(|row| row.iter()) {
            let weight = net.rules.acting_weight(m, p.format.exponent) as f64;
            if weight > 0.0 { up[j as usize] += weight } else { down[j as usize] -= weight }
        }
    }
    let one = registers.decay_one as f64;
    let mut findings = Vec::new();
    for (p, population) in net.populations.iter().enumerate() {
        let limit_q = 2f64.powi(*target.packed().neuron.input_bits as i32);
        let limit_u = 2f64.powi(net.rules.u_bits as i32 - 1);
        let ceiling = (registers.threshold as f64 * 2f64.powi(net.rules.threshold_shift as i32)).min(net.rules.v_max as f64);
        let [mut q, mut u, mut above, mut below] = [(); 4].map(|()| Over::default());
        for (j, n) in population.neurons().iter().enumerate() {
            let firing = !readout(p, j);
            let threshold = n.threshold as f64 * 2f64.powi(net.rules.threshold_shift as i32);
            let steady_u = |q: f64| q * one / n.decay_u.max(1) as f64;
            let most_u = |q: f64| if soft(p, j) { q + threshold } else { steady_u(q) };
            let steady_v = |x: f64| if n.decay_v > 0 { Some(x * one / n.decay_v as f64) } else { (x == 0.0).then_some(0.0) };
            let bias = n.bias.value() as f64;
            let (rise, fall) = (most_u(up[p][j]) + bias.max(0.0), steady_u(down[p][j]) + (-bias).max(0.0));
            let top = if firing { Some(threshold * (1.0 - n.decay_v as f64 / one) + rise) } else { steady_v(rise) };
            let fall = steady_v(fall);
            let worst = up[p][j].max(down[p][j]);
            let report = &mut reports[p];
            report.bound_q = report.bound_q.max(worst);
            let worst_u = most_u(up[p][j]).max(steady_u(down[p][j]));
            report.bound_u = report.bound_u.max(worst_u);
            report.bound_v = report.bound_v.zip(top.zip(fall)).map(|(a, (b, c))| a.max(b).max(c));
            q.add(worst, limit_q);
            u.add(worst_u, limit_u);
            if !firing {
                above.add(top.unwrap_or(f64::INFINITY), ceiling + 1.0);
            }
            if let Some(fall) = fall {
                below.add(fall, -(net.rules.v_min as f64) + 1.0);
            }
        }
        let fewer = "only if that many inputs spike at once: watch the counter";
        findings.extend(q.finding(
            "q, input of one step (v units, worst case)",
            limit_q,
            &format!("{fewer} input_overflows"),
            &population.name,
        ));
        findings.extend(u.finding("u (v units, worst case)", limit_u, &format!("{fewer} u_wraps"), &population.name));
        findings.extend(below.finding(
            "v below zero (v units, worst case)",
            -(net.rules.v_min as f64),
            &format!("{fewer} v_clips"),
            &population.name,
        ));
        let remedy = "beyond the largest threshold v spikes and is reset: lower the weights, or use fewer steps";
        findings.extend(above.finding(&format!("v of {name} (v units, worst case)"), ceiling, remedy, &population.name));
    }
    findings
}

/// The worst of the values at or beyond a limit.
#[derive(Default)]
struct Over {
    neurons: usize,
    worst: f64,
}

impl Over {
    fn add(&mut self, value: f64, limit: f64) {
        if value >= limit {
            self.neurons += 1;
            self.worst = self.worst.max(value);
        }
    }
    fn finding(&self, what: &str, limit: f64, remedy: &str, layer: &str) -> Option<Finding> {
        let resource = format!("{what}, {} neurons", self.neurons);
        (self.neurons > 0).then(|| Finding::warning("C14", resource, self.worst, limit, remedy).layer(layer))
    }
}
