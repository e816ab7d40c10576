//! Rows that the core has no room for, left out: what `--drop-inputs` does here, and what a refusal says that it would do.
//!
//! In: a lowered net, what samples tell of rates. Out: the net without the synapses of its least important rows.
//! Invariant: the core keeps as many rows as it holds, those of the largest expected squared effect on all that hear them (weights in units of
//! thresholds, times how often the source speaks); a row goes as a whole.
//! Cost: a sort of the rows.
//! Why nothing makes up for what is lost on average: neurons of this family have no bias.

use super::Row;
use crate::crossbar::measure::Measured;
use crate::drop::{Dropped, DroppedReport, each, offer, others, strip, weighed};
use crate::families::bases;
use crate::finding::Finding;
use crate::options::CompileOptions;
use spikec_chip::event::{EventCrossbar as Spec, EventSign};
use spikec_chip::target::Target;
use spikec_net::{Event, Float, Net};
use std::collections::{BTreeMap, BTreeSet};

/// The net with as many rows as the core holds; none where all fit.
pub fn without(net: &Net<Float>, measured: &Measured, spec: &Spec) -> Option<(Net<Float>, Dropped)> {
    let bases = bases(net);
    let by_row = *spec.weights.sign == EventSign::EachRow;
    let mut rows: BTreeMap<Row, f64> = BTreeMap::new();
    let mut row_of = each(net, &Row { source: 0, delay: 0, negative: false });
    for (p, row_of) in net.projections.iter().zip(&mut row_of) {
        for (i, (row, row_of)) in p.synapses.rows().zip(row_of).enumerate() {
            let source = bases[p.pre.index()] + i as u32;
            let rate = measured.rate(source);
            for ((post, weight, delay), row_of) in row.iter().zip(row_of) {
                let one = weighed(net, p, (post, weight), rate);
                *row_of = Row { source, delay: net.chip_delay(p, delay).max(0) as u32, negative: by_row && one.mean < 0.0 };
                *rows.entry(*row_of).or_default() += one.effect;
            }
        }
    }
    let room = *spec.core.rows as usize;
    if rows.len() <= room {
        return None;
    }
    let mut order: Vec<(Row, f64)> = rows.into_iter().collect();
    // The largest effect first, then the order of rows.
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let stay: BTreeSet<Row> = order[..room].iter().map(|r| r.0).collect();
    let kept = row_of.iter().map(|rows| rows.iter().map(|row| row.iter().map(|r| stay.contains(r)).collect()).collect()).collect();
    Some(strip(net, measured, &kept))
}

/// What was left out, and what the bundle declares: all synapses of the net that the chip lacks.
pub fn report(net: &Net<Float>, chip: &Net<Event>, dropped: &Dropped) -> DroppedReport {
    let absent = (net.synapse_count() - chip.synapse_count()) as u64;
    DroppedReport { synapses: dropped.synapses, neurons: dropped.neurons, share: dropped.share, absent }
}

/// Adds to the refusal of too many rows (C02) what else there is, measured: without the least important of them, on other built-in targets.
pub fn alternatives(findings: &mut [Finding], net: &Net<Float>, rest: (&Net<Float>, &Dropped), target: &Target, options: &CompileOptions) {
    let said: Vec<String> = std::iter::once(offer(net, rest, options)).chain(others(net, target)).collect();
    let said = format!(" [{}]", said.join("; "));
    findings.iter_mut().filter(|f| f.code == "C02").for_each(|f| f.remedy.push_str(&said));
}
