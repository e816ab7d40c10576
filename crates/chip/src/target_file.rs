//! Target files: reading them, and the built-in ones.
//!
//! In: RON text, a whole target or one derived from a built-in one ([`crate::target_derived`]). Out: a [`Target`] whose numbers agree with each other, or the place and the findings.
//! Invariant: a target from [`Target::from_ron`] or [`find`] has passed [`Target::check`].

use crate::target::*;
use crate::target_check::TargetFinding;
use crate::target_derived;

/// Why a target can't be had.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TargetError {
    /// The text is no target: a syntax error, an unknown, missing or repeated key, a value of the wrong type.
    #[error("target file, line {line}, column {column}: {message}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What was found and expected.
        message: String,
    },
    /// The numbers contradict each other.
    #[error("target {name:?}: {} of its numbers can't be used; first: {}", findings.len(), findings.first().map(ToString::to_string).unwrap_or_default())]
    Contradictory {
        /// Name of the target.
        name: String,
        /// All findings, sorted by key.
        findings: Vec<TargetFinding>,
    },
    /// No built-in target has the name.
    #[error("no target is called {name:?}; known: {}", known.join(", "))]
    UnknownName {
        /// The name.
        name: String,
        /// Names of the built-in targets.
        known: Vec<String>,
    },
    /// A derived target of a base that is not built in.
    #[error("target file, line {line}, column {column}: base: found {base:?}, expected one of {}", known.join(", "))]
    UnknownBase {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// Base of the file.
        base: String,
        /// Names of the built-in targets.
        known: Vec<String>,
    },
    /// A target that is derived from itself.
    #[error("the bases of the target go in a circle: {}", chain.join(", "))]
    BaseCycle {
        /// Names, each the base of the one before.
        chain: Vec<String>,
    },
    /// The base of a derived target can't be had.
    #[error("base {base:?}: {error}")]
    Base {
        /// Name of the base.
        base: String,
        /// What is wrong with it.
        error: Box<TargetError>,
    },
    /// A derived target that changes a number which no target has.
    #[error("target file, line {line}, column {column}: found the key {key:?}, expected one of {}", known.join(", "))]
    UnknownKey {
        /// Line of the value, from 1.
        line: usize,
        /// Column of the value, from 1.
        column: usize,
        /// The key.
        key: String,
        /// Keys of the same group, or all groups.
        known: Vec<String>,
    },
}

impl TargetError {
    /// A remedy.
    pub fn hint(&self) -> String {
        match self {
            TargetError::Syntax { .. } => "compare the file with targets/loihi1.ron; docs/target-format.md lists every key".into(),
            TargetError::Contradictory { findings, .. } => {
                findings.iter().map(|f| format!("set {} to {}", f.key, f.expected)).collect::<Vec<_>>().join("; ")
            }
            TargetError::UnknownName { .. } => "give a name of the list, or the path of a .ron file".into(),
            TargetError::UnknownBase { .. } | TargetError::BaseCycle { .. } => {
                "name a built-in target as the base (`spikec target list`), or write the whole target".into()
            }
            TargetError::Base { error, .. } => error.hint(),
            TargetError::UnknownKey { .. } => "write keys as `spikec target show` does; docs/target-format.md lists them".into(),
        }
    }

    /// Line, column and what is wrong there, for an error that has a place in the file.
    pub fn place(&self) -> Option<(usize, usize, String)> {
        match self {
            TargetError::Syntax { line, column, message } => Some((*line, *column, message.clone())),
            TargetError::UnknownBase { line, column, .. } => Some((*line, *column, "no built-in target has this name".into())),
            TargetError::UnknownKey { line, column, key, .. } => Some((*line, *column, format!("no target has a number {key:?}"))),
            _ => None,
        }
    }
}

/// Built-in targets: (name, RON text), sorted by name.
pub fn builtin() -> &'static [(&'static str, &'static str)] {
    &[
        ("loihi1", include_str!("../../../targets/loihi1.ron")),
        ("loihi1_nahuku32", include_str!("../../../targets/loihi1_nahuku32.ron")),
        ("loihi1_nengo", include_str!("../../../targets/loihi1_nengo.ron")),
        ("loihi1_pohoiki", include_str!("../../../targets/loihi1_pohoiki.ron")),
        ("loihi1_strict", include_str!("../../../targets/loihi1_strict.ron")),
        ("loihi2", include_str!("../../../targets/loihi2.ron")),
        ("odin", include_str!("../../../targets/odin.ron")),
        ("ranc256", include_str!("../../../targets/ranc256.ron")),
        ("ranc256_sim", include_str!("../../../targets/ranc256_sim.ron")),
        ("tiny", include_str!("../../../targets/tiny.ron")),
        ("tinyodin", include_str!("../../../targets/tinyodin.ron")),
        ("truenorth", include_str!("../../../targets/truenorth.ron")),
    ]
}

/// The built-in target of that name.
pub fn find(name: &str) -> Result<Target, TargetError> {
    match builtin().iter().find(|(known, _)| *known == name) {
        Some((_, text)) => Target::from_ron(text),
        None => {
            let known = builtin().iter().map(|(known, _)| (*known).to_string()).collect();
            Err(TargetError::UnknownName { name: name.into(), known })
        }
    }
}

impl Target {
    /// Reads a target file and checks its numbers.
    pub fn from_ron(text: &str) -> Result<Self, TargetError> {
        Self::parse_ron(text)?.checked()
    }

    fn checked(self) -> Result<Self, TargetError> {
        let findings = self.check();
        if findings.is_empty() { Ok(self) } else { Err(TargetError::Contradictory { name: self.name, findings }) }
    }

    /// Reads a target file without checking its numbers.
    pub fn parse_ron(text: &str) -> Result<Self, TargetError> {
        target_derived::read(text, builtin(), &[])
    }

    /// Reads a whole target and checks its numbers: a bundle's, which no base may change.
    pub(crate) fn from_whole_ron(text: &str) -> Result<Self, TargetError> {
        target_derived::read_whole(text)?.checked()
    }

    /// The target as a file, for bundles: the same text for the same target.
    pub fn to_ron(&self) -> String {
        let config = ron::ser::PrettyConfig::new().new_line("\n").indentor("  ").depth_limit(5);
        ron::ser::to_string_pretty(self, config).expect("a Target has no type that RON refuses")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_target_is_read_and_checked() {
        for (name, text) in builtin() {
            let target = Target::from_ron(text).unwrap();
            assert_eq!(target.name, *name);
            assert_eq!(find(name).unwrap(), target);
            assert_eq!(Target::from_ron(&target.to_ron()).unwrap(), target);
        }
    }

    #[test]
    fn every_number_of_the_file_is_listed() {
        let text = builtin()[0].1;
        let target = Target::from_ron(text).unwrap();
        let numbers = target.numbers();
        assert_eq!(numbers.len(), text.matches("confidence:").count());
        let port = numbers.iter().find(|n| n.key == "topology.host_port").unwrap();
        assert_eq!((port.value.as_str(), port.confidence), ("(0, 0)", Confidence::Assumed));
        let access = numbers.iter().find(|n| n.key == "timing_ns.neuron_access").unwrap();
        assert_eq!((access.value.as_str(), access.confidence), ("6.0", Confidence::Calibrated));
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place() {
        let text = builtin()[0].1.replace("    topology: (\n", "    topology: (\n        wheels: 3,\n");
        let line = text.lines().position(|l| l.contains("wheels")).unwrap() + 1;
        match Target::from_ron(&text) {
            Err(TargetError::Syntax { line: found, column, message }) => {
                assert_eq!(found, line);
                assert!(column > 8 && message.contains("wheels"), "{column}: {message}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_missing_source_and_a_wrong_type_are_refused() {
        let text = builtin()[0].1;
        let bare = text.replacen("(value: 8, source: \"SF arch/loihi.yaml: 8x4 routers\", confidence: Calibrated)", "8", 1);
        assert_ne!(bare, text);
        assert!(matches!(Target::from_ron(&bare), Err(TargetError::Syntax { .. })));
        let negative = text.replacen("value: 1024", "value: -1", 1);
        assert!(matches!(Target::from_ron(&negative), Err(TargetError::Syntax { .. })));
    }

    #[test]
    fn every_key_is_documented() {
        let pages = [include_str!("../../../docs/target-format.md"), include_str!("../../../targets/README.md")];
        for number in find("loihi2").unwrap().numbers() {
            let (group, key) = number.key.split_once('.').unwrap();
            for page in pages {
                let section =
                    page.split("\n## ").find(|s| s.starts_with(&format!("`{group}`"))).unwrap_or_else(|| panic!("no section {group}"));
                assert!(section.contains(&format!("| `{key}` |")), "{}", number.key);
            }
        }
    }

    #[test]
    fn every_key_of_the_crossbar_families_is_documented() {
        let page = include_str!("../../../docs/target-format.md");
        for (name, section) in [("ranc256", "## The crossbar family"), ("tinyodin", "## The event crossbar family")] {
            let section = page.split(section).nth(1).unwrap().split("\n## ").next().unwrap();
            for number in find(name).unwrap().numbers().iter().filter(|n| !n.key.starts_with("topology.")) {
                assert!(section.contains(&format!("| `{}` |", number.key)), "{}", number.key);
            }
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = find("loihi9").unwrap_err();
        assert_eq!(
            error.to_string(),
            "no target is called \"loihi9\"; known: loihi1, loihi1_nahuku32, loihi1_nengo, loihi1_pohoiki, loihi1_strict, loihi2, odin, ranc256, ranc256_sim, tiny, tinyodin, truenorth"
        );
    }

    #[test]
    fn contradictions_are_all_reported() {
        let text = builtin()[0].1.replacen("value: 16383", "value: 20000", 1).replacen("(0, 0)", "(8, 0)", 1);
        match Target::from_ron(&text) {
            Err(TargetError::Contradictory { findings, .. }) => {
                let keys: Vec<_> = findings.iter().map(|f| f.key.as_str()).collect();
                assert_eq!(keys, ["synapse_memory.usable_words", "topology.host_port"]);
            }
            other => panic!("{other:?}"),
        }
    }
}
