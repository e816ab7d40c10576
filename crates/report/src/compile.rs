//! A compilation for people: one table of the chip, one line for each layer, what binds.

use crate::table::{count, percent, table};
use crate::utilization::{self, CoreUse, Use};
use spikec_compile::drop::DroppedReport;
use spikec_compile::{CompileReport, CopiesReport};

/// Warnings shown before the rest is only counted.
const WARNINGS_SHOWN: usize = 5;

/// The report as text.
pub fn text(r: &CompileReport) -> String {
    let mut out = table(
        &["layer", "neurons", "of trained", "synapses on chip", "host terms", "cores", "skew"],
        r.layers.iter().map(|l| {
            vec![
                l.name.clone(),
                count(l.neurons),
                count(l.trained),
                count(l.synapses_on_chip),
                count(l.host_terms),
                l.cores.to_string(),
                l.skew.to_string(),
            ]
        }),
    );
    out.push('\n');
    let projections = &r.quantization.projections;
    if r.quantization.weight_bits.is_some() && !projections.is_empty() {
        out.push_str(&table(
            &["weights", "bits", "levels", "exponent", "synapses", "vanished", "clipped", "rms error (steps)", "relative error"],
            projections.iter().map(|p| {
                // Mixed signs drop the lowest bit of the magnitude; the stored width keeps 2^bits levels.
                vec![
                    p.name.clone(),
                    p.bits.to_string(),
                    (1u32 << p.bits).to_string(),
                    p.exponent.to_string(),
                    count(p.synapses),
                    count(p.vanished),
                    count(p.clipped),
                    format!("{:.3}", p.rms_error_steps),
                    percent(p.relative_error, 1.0),
                ]
            }),
        ));
        out.push('\n');
    }
    if let Some(x) = &r.crossbar {
        out.push_str(&format!(
            "{}: {} of {} cores, {} synapses as {} connections, {} axons, {} rows of neurons ({} repeat a neuron for another destination)\n",
            r.target,
            r.cores,
            r.board_cores,
            count(r.synapses_on_chip),
            count(x.connections),
            count(x.axons),
            count(x.rows),
            count(x.repeated)
        ));
        out.push_str(&format!(
            "weights: sums of up to {} levels of each neuron, error {} of the weights, {} vanished\n",
            x.weights.axons_per_source,
            percent(x.weights.relative, 1.0),
            count(x.weights.vanished)
        ));
        if x.splitters > 0 {
            let without = x.cores_of_copies.map_or("copies alone don't fit".to_string(), |n| format!("copies alone take {n} cores"));
            out.push_str(&format!("splitters: {} neurons repeat others for their destinations; {without}\n", count(x.splitters)));
        }
        if x.gathers > 0 {
            out.push_str(&format!("gathers: {} neurons hear for others that have more sources than a core has axons\n", count(x.gathers)));
        }
        out.push_str(&dropped(x.dropped.as_ref(), "axons"));
    } else if let Some(e) = &r.event {
        out.push_str(&format!(
            "{}: {} synapses in {} rows ({} of input channels), {} neurons\nweights: error {} of the weights, {} vanished, {} clipped\n",
            r.target,
            count(r.synapses_on_chip),
            e.rows,
            e.input_rows,
            e.last_neuron + 1,
            percent(e.weights.relative, 1.0),
            count(e.weights.vanished),
            count(e.weights.clipped)
        ));
        out.push_str(&dropped(e.dropped.as_ref(), "rows"));
    } else {
        out.push_str(&memory(r));
    }
    if let Some(s) = &r.shared {
        out.push_str(&format!(
            "kernels: {} input axons of {} cores read {} shared lists of {} words, which would be {} unrolled\n",
            count(s.in_axons),
            s.cores,
            count(s.lists),
            count(s.words),
            count(s.unshared_words)
        ));
    }
    let cores = r.core_usage.iter().map(|c| CoreUse {
        core: c.core,
        resources: c.resources.iter().map(|u| Use { resource: u.resource, used: u.used, available: u.available }).collect(),
    });
    let cores: Vec<CoreUse> = cores.collect();
    out.push_str(&utilization::text(&cores));
    for l in &r.lowering.lags {
        out.push_str(&format!("lag: {} acts {} network step(s) later than in the network\n", l.projection, l.steps));
    }
    for p in &r.quantization.soft {
        let leak = if p.leak > 0.0 { format!("; {} of a potential leaks in a step", percent(p.leak, 1.0)) } else { String::new() };
        let (neurons, synapses) = (count(p.neurons.into()), count(p.synapses));
        out.push_str(&format!("soft reset: {neurons} neurons of {}, {synapses} synapses onto themselves take a threshold{leak}\n", p.name));
    }
    let relays = &r.lowering.relays;
    for p in &relays.projections {
        out.push_str(&format!(
            "relays: {} synapses of {} leave relay neurons, {} at most on the way: {} chip steps, the chip's synapses reach {}\n",
            count(p.synapses),
            p.name,
            p.relays,
            p.chip_delay,
            p.limit
        ));
    }
    if relays.neurons > 0 {
        out.push_str(&format!("relays: {} neurons in all\n", count(relays.neurons)));
    }
    if let Some(c) = &r.copies {
        out.push_str(&copies(c));
    }
    if let Some(u) = &r.binds {
        out.push_str(&format!("what binds: {} ({} of {} on the fullest core)\n", u.resource, count(u.used), count(u.available)));
    }
    for warning in r.warnings.iter().take(WARNINGS_SHOWN) {
        out.push_str(&format!("{warning}\n"));
    }
    if r.warnings.len() > WARNINGS_SHOWN {
        out.push_str(&format!("and {} warnings more (--report has them all)\n", r.warnings.len() - WARNINGS_SHOWN));
    }
    out
}

/// A line for inputs that were left out, where some were.
fn dropped(report: Option<&DroppedReport>, lacking: &str) -> String {
    report.map_or_else(String::new, |d| {
        format!(
            "dropped: {} inputs of {} neurons, for which a core has no {lacking}: {} of the energy of their weights\n",
            count(d.synapses),
            count(d.neurons),
            percent(d.share, 1.0)
        )
    })
}

/// The chip in one line, for chips whose synapses take words.
fn memory(r: &CompileReport) -> String {
    let bits = r.bits_per_synapse.map_or(String::new(), |b| format!(" ({b:.1} bits a synapse)"));
    format!(
        "{}: {} of {} cores, {} synapses on the chip in {} words of memory{bits}, {} terms on the host\n",
        r.target,
        r.cores,
        r.board_cores,
        count(r.synapses_on_chip),
        count(r.memory_words),
        count(r.host_terms)
    )
}

/// What copies do, in two lines.
fn copies(c: &CopiesReport) -> String {
    let mut out = format!("copies: {} of {} neurons", count(c.copies), count(c.neurons));
    let Some(before) = &c.without else { return out + "\n" };
    let less = |a: f64, b: f64| percent(b - a, b);
    let more = |a: u64, b: u64| format!("{}{}", if a < b { "-" } else { "+" }, count(a.abs_diff(b)));
    out.push_str(&format!(
        "; {:.1} hops a step instead of {:.1} (-{}), {:.3} nJ instead of {:.3} (-{}), estimated\n",
        c.with.hops,
        before.hops,
        less(c.with.hops, before.hops),
        c.with.energy_pj / 1e3,
        before.energy_pj / 1e3,
        less(c.with.energy_pj, before.energy_pj),
    ));
    out + &format!(
        "        output axon entries {}, input axons {}, words of memory {}\n",
        more(c.with.out_entries, before.out_entries),
        more(c.with.in_axons, before.in_axons),
        more(c.with.words, before.words)
    )
}
