//! Errors of the codec: core, table, record and what is wrong there.

use crate::target::Compression;
use std::fmt;

/// A table of a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Registers of the whole core.
    Registers,
    /// Synaptic memory; records are input axons.
    SynapseMemory,
    /// Input axons.
    InAxons,
    /// Synapse formats.
    Formats,
    /// Compartment profiles.
    CompartmentProfiles,
    /// Threshold profiles.
    ThresholdProfiles,
    /// Compartments.
    Compartments,
    /// Output axons.
    OutAxons,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Table::Registers => "registers",
            Table::SynapseMemory => "synaptic memory, input axon",
            Table::InAxons => "input axon",
            Table::Formats => "synapse format",
            Table::CompartmentProfiles => "compartment profile",
            Table::ThresholdProfiles => "threshold profile",
            Table::Compartments => "compartment",
            Table::OutAxons => "output axon",
        })
    }
}

/// Tables that are no image, or bits that are no tables.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("core {core}, {table} {record}: {problem}")]
pub struct CodecError {
    /// Physical core.
    pub core: u32,
    /// Table.
    pub table: Table,
    /// Record of the table, from 0.
    pub record: u32,
    /// What is wrong.
    pub problem: CodecProblem,
}

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecProblem {
    /// A value beyond its range.
    #[error("{field}: found {found}, expected {min} ..= {max}")]
    Value {
        /// Field.
        field: &'static str,
        /// Value.
        found: i64,
        /// Smallest that would do.
        min: i64,
        /// Largest that would do.
        max: i64,
    },
    /// A width, compression or sign that the target doesn't have.
    #[error("{field}: the target has no {found}")]
    Unsupported {
        /// Field.
        field: &'static str,
        /// What was found.
        found: String,
    },
    /// A mantissa that the format can't store exactly.
    #[error("mantissa {mantissa} is no multiple of {step}")]
    OffGrid {
        /// Mantissa.
        mantissa: i16,
        /// Grid of the format.
        step: i32,
    },
    /// More than the core holds.
    #[error("{resource}: {need} needed, limit {limit}")]
    TooMany {
        /// Resource.
        resource: &'static str,
        /// Needed.
        need: u64,
        /// Limit of the target.
        limit: u64,
    },
    /// Indices of an entry in an order that its compression can't store.
    #[error("index {found} after {previous} can't stand in one {compression:?} entry")]
    Order {
        /// Compression of the entry.
        compression: Compression,
        /// Index before.
        previous: u16,
        /// Index.
        found: u16,
    },
    /// A table of the wrong length.
    #[error("{found} bits, expected {expected}")]
    Length {
        /// Bits found.
        found: u64,
        /// Bits that the registers announce.
        expected: u64,
    },
    /// Lists are stored in the order of the axons without gaps.
    #[error("list at word {found}, expected at word {expected}")]
    Pointer {
        /// Word pointer.
        found: u64,
        /// End of the list before.
        expected: u64,
    },
    /// A list whose last word comes before its terminator.
    #[error("the list's {words} words end inside an entry or before the terminator")]
    Unterminated {
        /// Words of the list.
        words: u64,
    },
    /// A list with more or fewer words than its entries take.
    #[error("the list has {found} words, its entries take {expected}")]
    Words {
        /// Words of the list.
        found: u64,
        /// Words that its entries take.
        expected: u64,
    },
    /// A bit that must be 0.
    #[error("unused bit {bit} is set")]
    Padding {
        /// Position in the table.
        bit: u64,
    },
}

impl CodecError {
    /// A remedy.
    pub fn hint(&self) -> String {
        match &self.problem {
            CodecProblem::Value { .. } | CodecProblem::Unsupported { .. } => {
                "the tables need a value that the target has; see docs/target-format.md".into()
            }
            CodecProblem::OffGrid { .. } => "round the weights onto the format's grid, or store more weight bits".into(),
            CodecProblem::TooMany { .. } => "give the core fewer neurons, or compile for a target that holds more".into(),
            CodecProblem::Order { .. } => "start a new entry there, or store the synapses sparse".into(),
            CodecProblem::Length { .. }
            | CodecProblem::Pointer { .. }
            | CodecProblem::Unterminated { .. }
            | CodecProblem::Words { .. }
            | CodecProblem::Padding { .. } => "the image is damaged or of another target: compile again".into(),
        }
    }
}
