//! Which width each layer got and why, for people.

use crate::table::{count, percent, table};
use spikec_fit::widths::{Loss, WidthsReport};
use std::fmt::Write;

/// The report as text.
pub fn text(report: &WidthsReport) -> String {
    let what = match &report.loss {
        Loss::OutputDistance => "squared distance of the outputs' spike counts on samples held back, beyond that of the widest".to_owned(),
        Loss::WeightError { because } => format!("squared weight error as a share of the layer's squared weights ({because})"),
    };
    let number = |loss: f64| match loss {
        0.0 => "0".to_owned(),
        _ if loss < 0.001 => format!("{loss:.1e}"),
        _ => format!("{loss:.3}"),
    };
    // The words and loss of each width, and what was taken.
    let mut headers = vec!["layer".to_owned(), "bits".to_owned(), "words".to_owned(), "loss".to_owned()];
    headers.extend(report.widths.iter().map(|w| format!("at {w}")));
    let rows = report.layers.iter().map(|l| {
        let mut row = vec![l.name.clone(), l.bits.to_string(), count(l.words), l.loss.map_or("given".into(), number)];
        row.extend(report.widths.iter().map(|w| match l.tried.iter().find(|t| t.bits == *w) {
            Some(t) => t.words.zip(t.loss).map_or("does not fit".into(), |(words, loss)| format!("{} / {}", count(words), number(loss))),
            None => String::new(),
        }));
        row
    });
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    let mut out = format!("words / loss of each width; loss: {what}\n");
    out.push_str(&table(&headers, rows));
    out.push('\n');
    let chosen: Vec<&str> = report.layers.iter().filter(|l| l.loss.is_some()).map(|l| l.name.as_str()).collect();
    let named = |bits: &[u8]| chosen.iter().zip(bits).map(|(name, bits)| format!("{name}={bits}")).collect::<Vec<_>>().join(" ");
    if report.candidates.len() > 1 {
        let rows = report.candidates.iter().map(|c| {
            vec![
                named(&c.bits),
                count(c.words),
                number(c.loss),
                c.score.map_or("-".into(), |s| percent(s.agreement, 1.0)),
                c.score.map_or("-".into(), |s| format!("{:.3}", s.distance)),
                [(c.taken, "taken"), (c.uniform, "one width")].iter().filter(|f| f.0).map(|f| f.1).collect::<Vec<_>>().join(", "),
            ]
        });
        out.push_str(&table(&["compared", "words", "losses added up", "same class", "count distance", ""], rows));
        out.push('\n');
    }
    for u in &report.limits {
        let _ = writeln!(out, "limit: {} of {} {}", count(u.used), count(u.allowed), u.what);
    }
    match &report.next_wider {
        None => out.push_str("no layer gains by more bits\n"),
        Some(wider) => {
            let missed = wider.uses.iter().filter(|u| u.used > u.allowed);
            let missed: Vec<String> =
                missed.map(|u| format!("{} {}, {} too many", count(u.used), u.what, count(u.used - u.allowed))).collect();
            let missed = wider.finding.clone().unwrap_or_else(|| format!("uses {}", missed.join("; ")));
            let _ = writeln!(out, "the next wider choice, {}: {missed}", named(&wider.bits));
        }
    }
    out
}
