//! A core's tables as bits, and back.
//!
//! Invariant: `decode_core(encode_core(t)) == t`, and only what `encode_core` writes is read.
//! docs/bundle-format.md, section 4, is the law for every field; a row's fields stand in the order of RANC's CSRAM.

use super::{Crossbar, CrossbarCoreImage, CrossbarReset, CrossbarRow, CrossbarTables, Destination};
use crate::bits::{BitReader, BitWriter, from_twos, to_twos, words_of};
use crate::field::{FieldProblem, count, within};
use std::fmt;

/// A table of a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CrossbarTable {
    /// Types of axons.
    Types,
    /// Rows of neurons.
    Rows,
}

impl fmt::Display for CrossbarTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CrossbarTable::Types => "axon",
            CrossbarTable::Rows => "neuron",
        })
    }
}

/// Tables that are no image, or bits that are no tables.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("core {core}, {table} {record}: {problem}")]
pub struct CrossbarError {
    /// Physical core.
    pub core: u32,
    /// Table.
    pub table: CrossbarTable,
    /// Record of the table, from 0.
    pub record: u32,
    /// What is wrong.
    pub problem: CrossbarProblem,
}

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CrossbarProblem {
    /// A field or a count.
    #[error(transparent)]
    Field(#[from] FieldProblem),
    /// Connections out of order.
    #[error("connections are not ascending axons below {axons}")]
    Connections {
        /// Axons of the core.
        axons: u32,
    },
    /// A reset that the target lacks.
    #[error("reset mode {0:?} is not one of the target's")]
    Reset(CrossbarReset),
}

/// A field of `bits` bits, two's complement.
fn signed(field: &'static str, value: i32, bits: u8) -> Result<u64, FieldProblem> {
    Ok(to_twos(within(field, value.into(), -(1i64 << (bits - 1)), (1i64 << (bits - 1)) - 1)?, bits))
}

fn below(field: &'static str, found: u32, count: u32) -> Result<u64, FieldProblem> {
    Ok(within(field, found.into(), 0, i64::from(count) - 1)? as u64)
}

/// The error at a record.
fn at<P: Into<CrossbarProblem>>(core: u32, table: CrossbarTable, record: usize) -> impl FnOnce(P) -> CrossbarError {
    move |problem| CrossbarError { core, table, record: record as u32, problem: problem.into() }
}

/// The bits of a core.
///
/// # Errors
/// A value that its field can't hold, or another number of axons or neurons than the core has.
pub fn encode_core(tables: &CrossbarTables, spec: &Crossbar) -> Result<CrossbarCoreImage, CrossbarError> {
    let core = tables.core;
    count("axons", tables.types.len(), *spec.core.axons as usize).map_err(at(core, CrossbarTable::Types, 0))?;
    count("neurons", tables.neurons.len(), *spec.core.neurons as usize).map_err(at(core, CrossbarTable::Rows, 0))?;
    let mut types = BitWriter::default();
    for (i, &t) in tables.types.iter().enumerate() {
        types.put(below("type", t.into(), *spec.core.axon_types).map_err(at(core, CrossbarTable::Types, i))?, spec.type_bits());
    }
    let mut rows = BitWriter::default();
    for (i, row) in tables.neurons.iter().enumerate() {
        put_row(&mut rows, row, spec).map_err(at(core, CrossbarTable::Rows, i))?;
    }
    Ok(CrossbarCoreImage { core: tables.core, types: types.finish(), rows: rows.finish() })
}

/// Appends a row, its lowest bit first.
fn put_row(out: &mut BitWriter, row: &CrossbarRow, spec: &Crossbar) -> Result<(), CrossbarProblem> {
    let (n, r) = (&spec.neuron, &spec.routing);
    count("weights", row.weights.len(), *spec.core.axon_types as usize)?;
    if !n.resets.contains(&row.mode) {
        return Err(CrossbarProblem::Reset(row.mode));
    }
    let d = &row.destination;
    // Delays reach the last slot but one: a spike can't come into the slot that is being read.
    out.put(below("delay", d.delay.into(), *r.max_delay + 1)?, spec.delay_bits());
    out.put(below("destination axon", d.axon.into(), (*spec.core.axons).max(*r.outputs))?, spec.axon_bits());
    out.put(signed("dy", d.dy, *r.offset_bits)?, *r.offset_bits);
    out.put(signed("dx", d.dx, *r.offset_bits)?, *r.offset_bits);
    out.put(u64::from(row.mode == CrossbarReset::Linear), 1);
    out.put(signed("negative threshold", row.negative_threshold, *n.threshold_bits)?, *n.threshold_bits);
    out.put(signed("positive threshold", row.positive_threshold, *n.threshold_bits)?, *n.threshold_bits);
    out.put(signed("leak", row.leak, *n.leak_bits)?, *n.leak_bits);
    for &weight in row.weights.iter().rev() {
        out.put(signed("weight", weight, *n.weight_bits)?, *n.weight_bits);
    }
    out.put(signed("reset value", row.reset, *n.potential_bits)?, *n.potential_bits);
    out.put(signed("potential", row.potential, *n.potential_bits)?, *n.potential_bits);
    let axons = *spec.core.axons;
    let ascending = row.connections.windows(2).all(|w| w[0] < w[1]) && row.connections.last().is_none_or(|&a| u32::from(a) < axons);
    if !ascending {
        return Err(CrossbarProblem::Connections { axons });
    }
    let mut next = row.connections.iter().peekable();
    for axon in 0..axons {
        out.put(u64::from(next.next_if(|&&a| u32::from(a) == axon).is_some()), 1);
    }
    Ok(())
}

/// The tables of a core.
///
/// # Errors
/// Another number of bits than the core has, or a value beyond its range.
pub fn decode_core(image: &CrossbarCoreImage, spec: &Crossbar) -> Result<CrossbarTables, CrossbarError> {
    let core = image.core;
    let (axons, neurons) = (*spec.core.axons as usize, *spec.core.neurons as usize);
    count("bits of axon types", image.types.len(), axons * usize::from(spec.type_bits())).map_err(at(core, CrossbarTable::Types, 0))?;
    count("bits of rows", image.rows.len(), neurons * spec.row_bits()).map_err(at(core, CrossbarTable::Rows, 0))?;
    let words = words_of(&image.types);
    let mut reader = BitReader::new(&words, 0..image.types.len());
    let mut types = Vec::with_capacity(axons);
    for i in 0..axons {
        let found = reader.take(spec.type_bits()).unwrap_or_default() as u32;
        types.push(below("type", found, *spec.core.axon_types).map_err(at(core, CrossbarTable::Types, i))? as u8);
    }
    let words = words_of(&image.rows);
    let mut reader = BitReader::new(&words, 0..image.rows.len());
    let mut rows = Vec::with_capacity(neurons);
    for i in 0..neurons {
        rows.push(take_row(&mut reader, spec).map_err(at(core, CrossbarTable::Rows, i))?);
    }
    Ok(CrossbarTables { core: image.core, types, neurons: rows })
}

fn take_row(bits: &mut BitReader, spec: &Crossbar) -> Result<CrossbarRow, CrossbarProblem> {
    // The number of bits was checked: no field is missing.
    let mut take = |width: u8| bits.take(width).unwrap_or_default();
    let (n, r) = (&spec.neuron, &spec.routing);
    let delay = below("delay", take(spec.delay_bits()) as u32, *r.max_delay + 1)? as u8;
    let axon = below("destination axon", take(spec.axon_bits()) as u32, (*spec.core.axons).max(*r.outputs))? as u16;
    let mut signed = |width: u8| from_twos(take(width), width) as i32;
    let dy = signed(*r.offset_bits);
    let dx = signed(*r.offset_bits);
    let mode = if signed(1) == 0 { CrossbarReset::Absolute } else { CrossbarReset::Linear };
    if !n.resets.contains(&mode) {
        return Err(CrossbarProblem::Reset(mode));
    }
    let negative_threshold = signed(*n.threshold_bits);
    let positive_threshold = signed(*n.threshold_bits);
    let leak = signed(*n.leak_bits);
    let mut weights: Vec<i32> = (0..*spec.core.axon_types).map(|_| signed(*n.weight_bits)).collect();
    weights.reverse();
    let reset = signed(*n.potential_bits);
    let potential = signed(*n.potential_bits);
    let connections = (0..*spec.core.axons).filter(|_| signed(1) != 0).map(|a| a as u16).collect();
    let destination = Destination { dx, dy, axon, delay };
    Ok(CrossbarRow { connections, potential, reset, weights, leak, positive_threshold, negative_threshold, mode, destination })
}
