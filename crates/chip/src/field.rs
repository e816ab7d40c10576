//! Fields and counts of the crossbar families' tables: what a record may hold.

/// What is wrong with a field or a count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldProblem {
    /// A value beyond its range.
    #[error("{field}: found {found}, expected {min} ..= {max}")]
    Value {
        /// Field.
        field: &'static str,
        /// What stands there.
        found: i64,
        /// Least.
        min: i64,
        /// Most.
        max: i64,
    },
    /// Another number of records or bits than the core has.
    #[error("found {found} {what}, expected {expected}")]
    Count {
        /// Records or bits.
        what: &'static str,
        /// How many there are.
        found: u64,
        /// How many there must be.
        expected: u64,
    },
}

/// A value of `min ..= max`.
pub(crate) fn within(field: &'static str, found: i64, min: i64, max: i64) -> Result<i64, FieldProblem> {
    if (min..=max).contains(&found) { Ok(found) } else { Err(FieldProblem::Value { field, found, min, max }) }
}

/// A number of records or bits.
pub(crate) fn count(what: &'static str, found: usize, expected: usize) -> Result<(), FieldProblem> {
    if found == expected { Ok(()) } else { Err(FieldProblem::Count { what, found: found as u64, expected: expected as u64 }) }
}
