//! Target files: reading them, the built-in ones, and the list of numbers with their sources.
//!
//! In: RON text. Out: a [`Target`] whose numbers agree with each other, or the place and the findings.
//! Invariant: a target from [`Target::from_ron`] or [`find`] has passed [`Target::check`].

use crate::target::*;
use crate::target_check::TargetFinding;
use std::fmt::Debug;

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
        }
    }
}

/// Built-in targets: (name, RON text), sorted by name.
pub fn builtin() -> &'static [(&'static str, &'static str)] {
    &[("loihi1", include_str!("../../../targets/loihi1.ron")), ("loihi1_nengo", include_str!("../../../targets/loihi1_nengo.ron"))]
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

/// A number of a target with where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetNumber {
    /// Path of the key, as in the file.
    pub key: String,
    /// The value as text.
    pub value: String,
    /// Where it was read.
    pub source: String,
    /// How far it can be trusted.
    pub confidence: Confidence,
}

impl Target {
    /// Reads a target file and checks its numbers.
    pub fn from_ron(text: &str) -> Result<Self, TargetError> {
        let target = Self::parse_ron(text)?;
        let findings = target.check();
        if findings.is_empty() { Ok(target) } else { Err(TargetError::Contradictory { name: target.name, findings }) }
    }

    /// Reads a target file without checking its numbers.
    pub fn parse_ron(text: &str) -> Result<Self, TargetError> {
        ron::from_str(text).map_err(|e| TargetError::Syntax {
            line: e.span.start.line,
            column: e.span.start.col,
            message: e.code.to_string(),
        })
    }

    /// The target as a file, for bundles: the same text for the same target.
    pub fn to_ron(&self) -> String {
        let config = ron::ser::PrettyConfig::new().new_line("\n").indentor("  ").depth_limit(5);
        ron::ser::to_string_pretty(self, config).expect("a Target has no type that RON refuses")
    }

    /// All numbers in the order of the file.
    pub fn numbers(&self) -> Vec<TargetNumber> {
        let mut list = Numbers(Vec::new());
        list.topology(&self.topology);
        match &self.family {
            Family::Packed(p) => list.packed(p),
        }
        list.0
    }
}

struct Numbers(Vec<TargetNumber>);

/// Lists all fields of a struct; a field that is missing here doesn't compile.
macro_rules! list {
    ($self:ident, $path:literal, $value:expr, $type:ident { $($field:ident),* $(,)? }) => {{
        let $type { $($field),* } = $value;
        $( $self.push(concat!($path, ".", stringify!($field)), $field); )*
    }};
}

impl Numbers {
    fn push<T: Debug>(&mut self, key: &str, number: &Sourced<T>) {
        self.0.push(TargetNumber {
            key: key.into(),
            value: format!("{:?}", number.value),
            source: number.source.clone(),
            confidence: number.confidence,
        });
    }

    fn topology(&mut self, t: &Topology) {
        list!(
            self,
            "topology",
            t,
            Topology {
                kind,
                width,
                height,
                cores_per_router,
                chips,
                chip_columns,
                routing,
                cast,
                link_buffer,
                flits_per_spike,
                flush,
                host_port,
                input_hop_steps,
                neuron_hop_steps,
            }
        );
    }

    fn packed(&mut self, p: &Packed) {
        let Packed { core, synapse_memory, weights, neuron, timing_ns, energy_pj } = p;
        list!(
            self,
            "core",
            core,
            PackedCore {
                compartments,
                update_group,
                in_axons,
                out_axon_entries,
                out_axons_per_neuron,
                out_axon_cost_discrete,
                out_axon_cost_population,
                out_axon_cost_off_chip_extra,
                compartment_profiles,
                threshold_profiles,
                delay_slots_total,
            }
        );
        list!(
            self,
            "synapse_memory",
            synapse_memory,
            SynapseMemory {
                words,
                usable_words,
                word_bits,
                max_words_per_axon,
                terminator_min_free_bits,
                max_formats,
                format_id_bits,
                count_bits,
                max_synapses_per_entry,
                entry_align_bits,
                weight_bits,
                index_bits,
                skip_bits,
                delay_bits,
                max_delay,
                compressions,
            }
        );
        list!(self, "weights", weights, WeightSpec { signs, mantissa_bits, exponent, align_shift, limit_bits, off_grid, exponent_shift });
        list!(
            self,
            "neuron",
            neuron,
            NeuronSpec {
                model,
                input_bits,
                u_bits,
                u_overflow,
                v_overflow,
                v_min,
                v_max,
                decay_bits,
                decay_rounding,
                u_decay_offset,
                v_decay_offset,
                threshold_mantissa_bits,
                threshold_shift,
                compare,
                bias_mantissa_bits,
                bias_exponent_max,
                refractory,
                resets,
                soft_reset_compartments,
            }
        );
        list!(
            self,
            "timing_ns",
            timing_ns,
            TimingNs {
                neuron_access,
                neuron_update,
                spike_out,
                axon_out,
                axon_in,
                synapse_dense,
                synapse_sparse,
                synapse_conv,
                hop_x,
                hop_y,
                hop_chip,
                local_port,
                link_flit,
                chip_link_flit,
                barrier_by_tiles,
                host_write,
                host_spike,
            }
        );
        list!(
            self,
            "energy_pj",
            energy_pj,
            EnergyPj {
                neuron_access,
                neuron_update,
                spike_out,
                axon_out,
                axon_in,
                synapse_dense,
                synapse_sparse,
                synapse_conv,
                hop_x,
                hop_y,
                hop_chip,
                host_write,
                host_spike,
            }
        );
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
        for number in find("loihi1").unwrap().numbers() {
            let (group, key) = number.key.split_once('.').unwrap();
            for page in pages {
                let section =
                    page.split("\n## ").find(|s| s.starts_with(&format!("`{group}`"))).unwrap_or_else(|| panic!("no section {group}"));
                assert!(section.contains(&format!("| `{key}` |")), "{}", number.key);
            }
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = find("loihi9").unwrap_err();
        assert_eq!(error.to_string(), "no target is called \"loihi9\"; known: loihi1, loihi1_nengo");
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
