//! Findings: what does not fit, or may not, and what to do about it.
//!
//! In: a check of any stage. Out: a [`Finding`], one line for people and fields for reports.
//! Invariant: codes `C01`.. are those of docs/target-format.md; a list is sorted with [`sort`] before it is shown.

use serde::Serialize;
use std::cmp::Ordering;
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

impl fmt::Display for Finding {
    /// One line: `error C02 core 3, fc1: input axons: need 5000, limit 4096; split the layer`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity} {}", self.code)?;
        if let Some(core) = self.core {
            write!(f, " core {core}")?;
        }
        if let Some(layer) = &self.layer {
            write!(f, "{} {layer}", if self.core.is_some() { "," } else { "" })?;
        }
        write!(f, ": {}: need {}, limit {}", self.resource, Number(self.need), Number(self.limit))?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "; {}", self.remedy) }
    }
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
