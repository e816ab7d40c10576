//! What goes wrong, as the user reads it: what, where, and a remedy, with an exit code.

use spikec_compile::{Finding, finding_lines};
use std::fmt::Display;
use std::path::Path;

/// Exit code: a check said no.
pub const NO: u8 = 1;
/// Exit code: bad usage or input.
pub const BAD_INPUT: u8 = 2;
/// Exit code: the network does not fit.
pub const DOES_NOT_FIT: u8 = 3;

/// A failed command.
#[derive(Debug)]
pub struct Failure {
    /// Exit code.
    pub code: u8,
    /// What went wrong, with its place.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// A rendered excerpt of the file, if it is text.
    pub excerpt: Option<String>,
    /// What the target can't hold, where that is why.
    pub findings: Vec<Finding>,
}

impl Failure {
    /// Bad usage or input.
    pub fn input(message: impl Display) -> Self {
        Failure { code: BAD_INPUT, message: message.to_string(), hint: None, excerpt: None, findings: Vec::new() }
    }
    /// Bad input in a file.
    pub fn file(path: &Path, error: impl Display) -> Self {
        Self::input(format!("{}: {error}", path.display()))
    }
    /// Adds a remedy.
    pub fn hint(mut self, hint: impl Display) -> Self {
        let hint = hint.to_string();
        self.hint = (!hint.is_empty()).then_some(hint);
        self
    }
    /// Sets the exit code.
    pub fn code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }
    /// Adds an excerpt of `text` with a caret at (line, column), both from 1.
    pub fn caret(mut self, path: &Path, text: &str, line: usize, column: usize, message: &str) -> Self {
        self.excerpt = caret(path, text, line, column, message);
        self
    }
    /// Adds what the target can't hold; each is printed on its line.
    pub fn findings(mut self, findings: &[Finding]) -> Self {
        self.findings = findings.to_vec();
        self
    }
    /// Prints to stderr.
    pub fn print(&self) {
        use crate::cmd::plain;
        eprintln!("error: {}", plain(&self.message));
        for line in finding_lines(&self.findings) {
            eprintln!("  {}", plain(&line));
        }
        if let Some(excerpt) = &self.excerpt {
            eprint!("{}", plain(excerpt));
        }
        if let Some(hint) = &self.hint {
            eprintln!("hint: {}", plain(hint));
        }
    }
    /// The failure as JSON, for `--json`.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({ "error": self.message, "hint": self.hint, "exit_code": self.code, "findings": self.findings })
    }
}

fn caret(path: &Path, text: &str, line: usize, column: usize, message: &str) -> Option<String> {
    use ariadne::{CharSet, Config, Label, Report, ReportKind, Source};
    let mut offset = 0; // in characters
    for (k, l) in text.split_inclusive('\n').enumerate() {
        if k + 1 == line {
            offset += column.saturating_sub(1).min(l.trim_end_matches(['\n', '\r']).chars().count().saturating_sub(1));
            break;
        }
        offset += l.chars().count();
    }
    let name = path.display().to_string();
    let span = (name.as_str(), offset..offset + 1);
    let mut out = Vec::new();
    Report::build(ReportKind::Error, span.clone())
        .with_config(Config::default().with_color(false).with_char_set(CharSet::Ascii))
        .with_message("here")
        .with_label(Label::new(span).with_message(message))
        .finish()
        .write((name.as_str(), Source::from(text)), &mut out)
        .ok()?;
    // The first line repeats "Error: here": the place starts after it.
    let text = String::from_utf8(out).ok()?;
    Some(text.split_once('\n').map_or(String::new(), |(_, rest)| rest.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caret_points_at_the_place() {
        let shown = caret(Path::new("a.ron"), "first\nsecond line\n", 2, 8, "no such key").unwrap();
        assert!(shown.contains("a.ron:2:8"), "{shown}");
        assert!(shown.contains("second line") && shown.contains("no such key"), "{shown}");
    }

    #[test]
    fn caret_beyond_the_end_does_not_panic() {
        let _ = caret(Path::new("a.ron"), "", 9, 9, "x");
        let _ = caret(Path::new("a.ron"), "abc", 1, 99, "x");
    }
}
