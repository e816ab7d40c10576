//! Why a network takes its cores: the lower bounds in a table, how full the cores are, and why not one core less.

use crate::table::{count, percent, table};
use spikec_compile::explain::Explanation;

/// The explanation as text.
pub fn text(e: &Explanation) -> String {
    let least = &e.certificate;
    let plural = if e.cores == 1 { "" } else { "s" };
    let mut out = format!("{} core{plural}, at least {} ({})", e.cores, least.best, least.binding);
    out += if e.optimal { ": no partition takes fewer\n" } else { ": fewer may be possible\n" };
    out.push_str(&table(
        &["lower bound by", "needed", "a core has", "cores at least"],
        least.bounds.iter().map(|b| vec![b.resource.to_string(), count(b.need), count(b.per_core), count(b.cores)]),
    ));
    out.push('\n');
    out.push_str(&table(
        &["all cores together", "used", "available", "", "fullest core"],
        e.totals.iter().map(|t| {
            let share = percent(t.used as f64, t.available as f64);
            vec![t.resource.to_string(), count(t.used), count(t.available), share, percent(t.fullest as f64, t.per_core as f64)]
        }),
    ));
    out.push('\n');
    out += "why not one core less:\n";
    for line in &e.one_less {
        out.push_str(&format!("  {line}\n"));
    }
    out
}
