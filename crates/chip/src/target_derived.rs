//! Target files that name another target and give only the numbers that differ.
//!
//! In: RON text `Derived(base: .., name: .., description: .., changes: {..})` and the targets that can be named. Out: the whole target.
//! Invariant: a target has no trace of how its file was written: all numbers have their values and sources, and nothing later asks for a base.
//! Why: chips and boards of one kind differ in a few of a hundred numbers, and copies drift apart.

use crate::target::Target;
use crate::target_file::TargetError;
use ron::value::RawValue;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use std::collections::BTreeSet;
use std::fmt;

/// A derived target file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Derived<'a> {
    #[serde(borrow)]
    base: &'a RawValue,
    name: String,
    description: String,
    #[serde(borrow)]
    changes: Changes<'a>,
}

/// Keys and the RON text of their values, in the order of the file.
struct Changes<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Changes<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Changes<'de>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a map from keys to numbers with their sources")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Changes(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// Reads a target file, whole or derived from one of `known` (name, text). `chain` are the targets that led here.
pub(crate) fn read(text: &str, known: &[(&str, &str)], chain: &[&str]) -> Result<Target, TargetError> {
    match whole(text) {
        Ok(target) => Ok(target),
        Err(e) => match e.code {
            ron::Error::ExpectedDifferentStructName { found, .. } if found == "Derived" => derive(text, known, chain),
            _ => Err(syntax(&e, None)),
        },
    }
}

/// Reads a whole target, as bundles hold it.
pub(crate) fn read_whole(text: &str) -> Result<Target, TargetError> {
    whole(text).map_err(|e| syntax(&e, None))
}

fn whole(text: &str) -> Result<Target, ron::error::SpannedError> {
    ron::from_str(text)
}

fn derive(text: &str, known: &[(&str, &str)], chain: &[&str]) -> Result<Target, TargetError> {
    let derived: Derived = ron::from_str(text).map_err(|e| syntax(&e, None))?;
    let (line, column) = place(text, derived.base);
    let base: String = derived.base.into_rust().map_err(|e| within(&e, (line, column), "base"))?;
    let chain: Vec<&str> = chain.iter().copied().chain([base.as_str()]).collect();
    if chain[..chain.len() - 1].contains(&base.as_str()) {
        return Err(TargetError::BaseCycle { chain: chain.iter().map(ToString::to_string).collect() });
    }
    let Some((_, base_text)) = known.iter().find(|(name, _)| *name == base) else {
        let known = known.iter().map(|(name, _)| (*name).to_string()).collect();
        return Err(TargetError::UnknownBase { line, column, base, known });
    };
    let mut target = read(base_text, known, &chain).map_err(|e| match e {
        TargetError::BaseCycle { .. } | TargetError::Base { .. } => e,
        error => TargetError::Base { base: base.clone(), error: Box::new(error) },
    })?;
    target.name = derived.name;
    target.description = derived.description;
    let mut seen = BTreeSet::new();
    for (key, value) in derived.changes.0 {
        let (line, column) = place(text, value);
        match target.set_number(&key, value.get_ron()) {
            Some(Ok(())) => {}
            Some(Err(e)) => return Err(within(&e, (line, column), &key)),
            None => return Err(TargetError::UnknownKey { line, column, known: alike(&target, &key), key }),
        }
        if !seen.insert(key.clone()) {
            return Err(TargetError::Syntax { line, column, message: format!("{key}: found a second time, expected once") });
        }
    }
    Ok(target)
}

/// Keys of the group that `key` names, or the groups where it names none.
fn alike(target: &Target, key: &str) -> Vec<String> {
    let keys: Vec<String> = target.numbers().into_iter().map(|n| n.key).collect();
    let group = |key: &str| key.split_once('.').map_or(key, |(group, _)| group).to_string();
    let same: Vec<String> = keys.iter().filter(|k| group(k) == group(key)).cloned().collect();
    if !same.is_empty() {
        return same;
    }
    let mut groups: Vec<String> = keys.iter().map(|k| format!("{}.*", group(k))).collect();
    groups.dedup();
    groups
}

/// Line and column of a value in the text that it was borrowed from, from 1.
fn place(text: &str, value: &RawValue) -> (usize, usize) {
    let at = (value.get_ron().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    (line, before.rsplit('\n').next().unwrap_or_default().chars().count() + 1)
}

fn syntax(e: &ron::error::SpannedError, key: Option<&str>) -> TargetError {
    let message = key.map_or_else(|| e.code.to_string(), |key| format!("{key}: {}", e.code));
    TargetError::Syntax { line: e.span.start.line, column: e.span.start.col, message }
}

/// An error in the text of one value that starts at `start`.
fn within(e: &ron::error::SpannedError, start: (usize, usize), key: &str) -> TargetError {
    match syntax(e, Some(key)) {
        TargetError::Syntax { line: 1, column, message } => TargetError::Syntax { line: start.0, column: start.1 + column - 1, message },
        TargetError::Syntax { line, column, message } => TargetError::Syntax { line: start.0 + line - 1, column, message },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target_file::{builtin, find};

    fn file(base: &str, changes: &str) -> String {
        format!(
            "// A board.\nDerived(\n    base: {base},\n    name: \"mine\",\n    description: \"of one's own\",\n    changes: {{\n{changes}    }},\n)\n"
        )
    }

    fn error(text: &str) -> TargetError {
        let error = Target::from_ron(text).unwrap_err();
        assert!(!error.hint().is_empty());
        error
    }

    #[test]
    fn changes_replace_the_numbers_of_the_base() {
        let text = file(
            "\"loihi1\"",
            "        \"topology.chips\": (value: 2, source: \"a \\\"board\\\"\", confidence: Public),
        // Twice as many.
        \"core.in_axons\": (
            value: 8192, source: \"s\", confidence: Assumed,
        ),
        \"topology.kind\": (value: ConcentratedMesh, source: \"s\", confidence: Assumed),
        \"topology.host_port\": (value: (1, 2), source: \"s\", confidence: Assumed),
        \"weights.signs\": (value: [Mixed], source: \"s\", confidence: MeasuredOnRtl),
        \"timing_ns.barrier_by_tiles\": (value: [(1, 5.0)], source: \"s\", confidence: Assumed),\n",
        );
        let target = Target::from_ron(&text).unwrap();
        let base = find("loihi1").unwrap();
        assert_eq!((target.name.as_str(), target.description.as_str()), ("mine", "of one's own"));
        assert_eq!((*target.topology.chips, target.topology.chips.source.as_str()), (2, "a \"board\""));
        assert_eq!((*target.packed().core.in_axons, *target.topology.host_port), (8192, (1, 2)));
        assert_eq!(target.packed().weights.signs.confidence, crate::target::Confidence::MeasuredOnRtl);
        let differ = target.numbers().into_iter().zip(base.numbers()).filter(|(a, b)| a != b).count();
        assert_eq!(differ, 6);
        // What a bundle holds needs no base.
        assert_eq!(read_whole(&target.to_ron()).unwrap(), target);
    }

    #[test]
    fn every_number_can_be_changed() {
        let numbers = find("loihi1").unwrap().numbers();
        for n in &numbers {
            let text = file("\"loihi1\"", &format!("\"{}\": (value: {}, source: \"new\", confidence: Assumed)\n", n.key, n.value));
            let changed = Target::from_ron(&text).unwrap_or_else(|e| panic!("{e}"));
            let differ: Vec<_> = changed.numbers().into_iter().filter(|c| !numbers.contains(c)).collect();
            assert_eq!(differ.len(), 1, "{}", n.key);
            assert_eq!((differ[0].source.as_str(), &differ[0].value), ("new", &n.value));
        }
    }

    #[test]
    fn the_base_may_be_derived_itself() {
        for (name, _) in builtin() {
            let target = Target::from_ron(&file(&format!("{name:?}"), "")).unwrap();
            assert_eq!(target.numbers(), find(name).unwrap().numbers());
        }
    }

    #[test]
    fn an_unknown_base_names_its_place_and_the_known_ones() {
        let error = error(&file("\"loihi9\"", ""));
        assert!(
            error.to_string().starts_with("target file, line 3, column 11: base: found \"loihi9\", expected one of loihi1, "),
            "{error}"
        );
        assert_eq!(error.place().map(|(line, column, _)| (line, column)), Some((3, 11)));
    }

    #[test]
    fn a_cycle_of_bases_is_named() {
        let (a, b) = (file("\"b\"", ""), file("\"a\"", ""));
        let known = [("a", a.as_str()), ("b", b.as_str())];
        let error = read(&file("\"a\"", ""), &known, &[]).unwrap_err();
        assert_eq!(error, TargetError::BaseCycle { chain: ["a", "b", "a"].map(String::from).to_vec() });
        assert_eq!(error.to_string(), "the bases of the target go in a circle: a, b, a");
        let itself = [("c", &*file("\"c\"", "").leak())];
        assert!(matches!(read(itself[0].1, &itself, &["c"]), Err(TargetError::BaseCycle { .. })));
    }

    #[test]
    fn a_broken_base_is_named() {
        let known = [("a", "Target()")];
        let error = read(&file("\"a\"", ""), &known, &[]).unwrap_err();
        assert!(error.to_string().starts_with("base \"a\": target file, line 1"), "{error}");
    }

    #[test]
    fn unknown_keys_and_wrong_values_name_their_place() {
        let unknown = error(&file("\"loihi1\"", "\n\"core.wheels\": (value: 3, source: \"s\", confidence: Public),\n"));
        let text = unknown.to_string();
        assert!(
            text.starts_with("target file, line 8, column 16: found the key \"core.wheels\", expected one of core.compartments, "),
            "{text}"
        );
        let group = error(&file("\"loihi1\"", "\"wheels\": (value: 3, source: \"s\", confidence: Public),\n")).to_string();
        assert!(
            group.ends_with("expected one of topology.*, core.*, synapse_memory.*, weights.*, neuron.*, timing_ns.*, energy_pj.*"),
            "{group}"
        );
        let cases = [
            ("\"core.in_axons\": (value: \"many\", source: \"s\", confidence: Public),", (7, 18..34), "core.in_axons: Expected integer"),
            ("\"core.in_axons\": (value: -1, source: \"s\", confidence: Public),", (7, 18..34), "core.in_axons: "),
            (
                "\"core.in_axons\":\n (\n value: 1, confidence: Public),",
                (9, 1..40),
                "core.in_axons: Unexpected missing field named `source`",
            ),
            ("\"core.in_axons\": 7,", (7, 18..20), "core.in_axons: Expected"),
            (
                "\"weights.signs\": (value: [Both], source: \"s\", confidence: Public),",
                (7, 18..34),
                "weights.signs: Unexpected variant named `Both`",
            ),
            (
                "\"core.in_axons\": (value: 1, unit: 3, source: \"s\", confidence: Public),",
                (7, 18..40),
                "core.in_axons: Unexpected field named `unit`",
            ),
        ];
        for (change, (line, columns), start) in cases {
            let error = error(&file("\"loihi1\"", &format!("{change}\n")));
            let (at, column, message) = error.place().unwrap();
            assert!(at == line && columns.contains(&column) && message.starts_with(start), "{error}");
        }
        let one = "\"core.in_axons\": (value: 9, source: \"s\", confidence: Public),\n";
        let twice = error(&file("\"loihi1\"", &one.repeat(2))).to_string();
        assert_eq!(twice, "target file, line 8, column 18: core.in_axons: found a second time, expected once");
        assert!(matches!(error(&file("7", "")), TargetError::Syntax { line: 3, column: 11, .. }));
        assert!(matches!(error("Derived(base: \"loihi1\", name: \"a\")"), TargetError::Syntax { .. }));
        assert!(matches!(error("Other(base: \"loihi1\")"), TargetError::Syntax { .. }));
        let bare = file("\"loihi1\"", "\"core.in_axons\": (value: 9, source: \" \", confidence: Public)\n");
        assert!(matches!(error(&bare), TargetError::Contradictory { .. }));
    }

    #[test]
    fn a_bundle_never_holds_a_derived_target() {
        assert!(matches!(read_whole(&file("\"loihi1\"", "")), Err(TargetError::Syntax { .. })));
    }
}
