//! Findings: what does not fit, or may not, and what to do about it.
//!
//! In: a check of any stage. Out: a [`Finding`], one line for people and fields for reports.
//! Invariant: codes `C01`.. are those of docs/target-format.md; a list is sorted with [`sort`] before it is shown.

use serde::Serialize;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The chip can't do this: no bundle is made.
    Error,
    /// The chip can, with a loss or a risk that the user should know.
    Warning,
}

/// A limit that is broken or close.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Constraint, `C01`...
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// Core (a part before placement, a physical core after).
    pub core: Option<u32>,
    /// Population or projection.
    pub layer: Option<String>,
    /// What is short or out of range, with its unit: `synaptic memory words`, `delay register (chip steps)`.
    pub resource: String,
    /// What would be needed.
    pub need: f64,
    /// What there is.
    pub limit: f64,
    /// What the user can do.
    pub remedy: String,
}

impl Finding {
    /// An error without a place; add one with [`Finding::core`] or [`Finding::layer`].
    pub fn error(code: &'static str, resource: impl Into<String>, need: f64, limit: f64, remedy: impl Into<String>) -> Self {
        Finding { code, severity: Severity::Error, core: None, layer: None, resource: resource.into(), need, limit, remedy: remedy.into() }
    }
    /// A warning without a place.
    pub fn warning(code: &'static str, resource: impl Into<String>, need: f64, limit: f64, remedy: impl Into<String>) -> Self {
        Finding { severity: Severity::Warning, ..Finding::error(code, resource, need, limit, remedy) }
    }
    /// The same finding on core `core`.
    pub fn core(self, core: u32) -> Self {
        Finding { core: Some(core), ..self }
    }
    /// The same finding in the population or projection `layer`.
    pub fn layer(self, layer: impl Into<String>) -> Self {
        Finding { layer: Some(layer.into()), ..self }
    }
}

impl Finding {
    /// The line of this finding at `cores`, which need what `need` says.
    fn line(&self, cores: Option<String>, need: impl fmt::Display) -> String {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let place: Vec<String> = cores.into_iter().chain(self.layer.clone()).collect();
        let place = if place.is_empty() { String::new() } else { format!(" {}", place.join(", ")) };
        let remedy = if self.remedy.is_empty() { String::new() } else { format!("; {}", self.remedy) };
        format!("{severity} {}{place}: {}: need {need}, limit {}{remedy}", self.code, self.resource, Number(self.limit))
    }
}

impl fmt::Display for Finding {
    /// One line: `error C02 core 3, fc1: input axons: need 5000, limit 4096; split the layer`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line(self.core.map(|core| format!("core {core}")), Number(self.need)))
    }
}

/// Cores with the same finding that have lines of their own; beyond, they share one.
const OWN_LINES: usize = 3;

/// Lines for people, in the order of the findings. What many cores of a layer lack is one line, where the first of them stands:
/// `error C03 1537 cores (0, 2, 5, ...), conv1: output axon entries: need 4100 to 6600, limit 4096`.
pub fn lines(findings: &[Finding]) -> Vec<String> {
    let key = |f: &Finding| (f.severity, f.code, f.layer.clone(), f.resource.clone(), f.limit.to_bits(), f.remedy.clone());
    let mut groups: HashMap<_, Vec<&Finding>> = HashMap::new();
    for f in findings.iter().filter(|f| f.core.is_some()) {
        groups.entry(key(f)).or_default().push(f);
    }
    let line = |f: &Finding| {
        let group = f.core.and_then(|_| groups.get(&key(f))).filter(|group| group.len() > OWN_LINES);
        let Some(group) = group else { return Some(f.to_string()) };
        if !std::ptr::eq(group[0], f) {
            return None;
        }
        let first: Vec<String> = group.iter().take(OWN_LINES).filter_map(|f| f.core).map(|core| core.to_string()).collect();
        let cores = format!("{} cores ({}, ...)", group.len(), first.join(", "));
        let (least, most) = group.iter().fold((f.need, f.need), |(a, b), f| (a.min(f.need), b.max(f.need)));
        Some(if least == most {
            f.line(Some(cores), Number(most))
        } else {
            f.line(Some(cores), format_args!("{} to {}", Number(least), Number(most)))
        })
    };
    findings.iter().filter_map(line).collect()
}

/// A number as people write it: integers plainly, fractions with four digits, infinity in words.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let x = self.0;
        if x == f64::INFINITY {
            f.write_str("no bound")
        } else if x.fract() == 0.0 && x.abs() < 1e15 {
            write!(f, "{x:.0}")
        } else if x != 0.0 && !(1e-3..1e6).contains(&x.abs()) {
            write!(f, "{x:.3e}")
        } else {
            write!(f, "{x:.4}")
        }
    }
}

/// Order for lists: errors first, then by code, core, layer, resource; the larger excess first.
pub fn order(a: &Finding, b: &Finding) -> Ordering {
    (a.severity, a.code, a.core, &a.layer, &a.resource)
        .cmp(&(b.severity, b.code, b.core, &b.layer, &b.resource))
        .then(b.need.total_cmp(&a.need))
}

/// Sorts findings by [`order`]; stable.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by(order);
}

/// The errors among findings, sorted; `None` where there are only warnings.
pub fn errors(findings: &[Finding]) -> Option<Vec<Finding>> {
    let mut errors: Vec<Finding> = findings.iter().filter(|f| f.severity == Severity::Error).cloned().collect();
    sort(&mut errors);
    (!errors.is_empty()).then_some(errors)
}

/// The first of a list of findings and how many follow it, for an error's one line.
pub(crate) fn first(findings: &[Finding]) -> String {
    let more = if findings.len() > 1 { format!(" (and {} more)", findings.len() - 1) } else { String::new() };
    findings.first().map_or(String::new(), |f| f.to_string()) + &more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_with_place_need_limit_and_remedy() {
        let f = Finding::error("C02", "input axons", 5000.0, 4096.0, "split the layer").core(3).layer("fc1");
        assert_eq!(f.to_string(), "error C02 core 3, fc1: input axons: need 5000, limit 4096; split the layer");
        let w = Finding::warning("C13", "decay error", 0.25, 1.5e-9, "").layer("lif1");
        assert_eq!(w.to_string(), "warning C13 lif1: decay error: need 0.2500, limit 1.500e-9");
        let v = Finding::warning("C14", "v", f64::INFINITY, 7.0, "");
        assert_eq!(v.to_string(), "warning C14: v: need no bound, limit 7");
    }

    #[test]
    fn many_cores_of_a_layer_share_a_line() {
        let on = |core: u32, layer: &str, need: f64| Finding::error("C03", "output axon entries", need, 4096.0, "").core(core).layer(layer);
        let list = [on(0, "a", 5000.0), on(1, "b", 4100.0), on(2, "a", 4200.0), on(3, "a", 6600.0), on(7, "a", 4099.0), on(8, "b", 4100.0)];
        let wanted = [
            "error C03 4 cores (0, 2, 3, ...), a: output axon entries: need 4099 to 6600, limit 4096",
            "error C03 core 1, b: output axon entries: need 4100, limit 4096",
            "error C03 core 8, b: output axon entries: need 4100, limit 4096",
        ];
        assert_eq!(lines(&list), wanted);
        let same: Vec<Finding> = (0..5).map(|core| on(core, "c", 5000.0)).collect();
        assert_eq!(lines(&same), ["error C03 5 cores (0, 1, 2, ...), c: output axon entries: need 5000, limit 4096"]);
        assert_eq!(lines(&[Finding::warning("C14", "v", 9.0, 7.0, "")]), ["warning C14: v: need 9, limit 7"]);
    }

    #[test]
    fn errors_come_first_then_codes_then_cores() {
        let mut list = vec![
            Finding::warning("C01", "a", 1.0, 0.0, ""),
            Finding::error("C05", "a", 1.0, 0.0, "").core(1),
            Finding::error("C05", "a", 2.0, 0.0, "").core(0),
            Finding::error("C02", "a", 1.0, 0.0, ""),
        ];
        sort(&mut list);
        let seen: Vec<_> = list.iter().map(|f| (f.code, f.core)).collect();
        assert_eq!(seen, [("C02", None), ("C05", Some(0)), ("C05", Some(1)), ("C01", None)]);
    }
}
