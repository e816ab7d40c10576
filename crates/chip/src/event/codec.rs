//! The core's tables as bits, and back.
//!
//! Invariant: `decode(encode(t)) == t`, and only what `encode` writes is read. docs/bundle-format.md, section 4, is the law for every field.

use super::{EventCrossbar, EventImage, EventSign, EventTables, EventWord};
use crate::bits::{BitReader, BitWriter, bits_for, from_twos, to_twos, words_of};
use crate::field::{FieldProblem, count, within};
use std::fmt;

/// A table of the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventTable {
    /// Registers of the core.
    Registers,
    /// Words of neurons.
    Neurons,
    /// Rows of synapses.
    Rows,
}

impl fmt::Display for EventTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EventTable::Registers => "registers",
            EventTable::Neurons => "neuron",
            EventTable::Rows => "row",
        })
    }
}

/// Tables that are no image, or bits that are no tables.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{table} {record}: {problem}")]
pub struct EventError {
    /// Table.
    pub table: EventTable,
    /// Record of the table, from 0.
    pub record: u32,
    /// What is wrong.
    pub problem: EventProblem,
}

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventProblem {
    /// A field or a count.
    #[error(transparent)]
    Field(#[from] FieldProblem),
    /// A weight whose sign is not its row's.
    #[error("neuron {neuron}: a weight of {weight} in a row of the other sign")]
    Sign {
        /// Neuron.
        neuron: u32,
        /// Its weight.
        weight: i8,
    },
    /// Bits that no field has.
    #[error("unused bits that are not 0")]
    Unused,
}

/// Rows that have a sign of their own.
fn signed_rows(spec: &EventCrossbar) -> usize {
    if *spec.weights.sign == EventSign::EachRow { *spec.core.rows as usize } else { 0 }
}

fn last_bits(spec: &EventCrossbar) -> u8 {
    bits_for(u64::from(*spec.core.neurons) - 1)
}

/// The error at a record.
fn at<P: Into<EventProblem>>(table: EventTable, record: usize) -> impl FnOnce(P) -> EventError {
    move |problem| EventError { table, record: record as u32, problem: problem.into() }
}

/// The bits of the core.
///
/// # Errors
/// A value that its field can't hold, or another number of neurons, rows or weights than the core has.
pub fn encode(tables: &EventTables, spec: &EventCrossbar) -> Result<EventImage, EventError> {
    let (neurons, rows) = (*spec.core.neurons as usize, *spec.core.rows as usize);
    let mut registers = BitWriter::default();
    registers.put(tables.open_loop.into(), 1);
    let last = within("last neuron", tables.last_neuron.into(), 0, neurons as i64 - 1).map_err(at(EventTable::Registers, 0))?;
    registers.put(last as u64, last_bits(spec));
    count("signs of rows", tables.negative_rows.len(), signed_rows(spec)).map_err(at(EventTable::Registers, 0))?;
    for &negative in &tables.negative_rows {
        registers.put(negative.into(), 1);
    }
    count("neurons", tables.neurons.len(), neurons).map_err(at(EventTable::Neurons, 0))?;
    let mut words = BitWriter::default();
    for (i, word) in tables.neurons.iter().enumerate() {
        put_word(&mut words, word, spec).map_err(at(EventTable::Neurons, i))?;
        words.pad_to((i + 1) * *spec.neuron.word_bits as usize);
    }
    count("weights", tables.weights.len(), rows * neurons).map_err(at(EventTable::Rows, 0))?;
    let mut synapses = BitWriter::default();
    for (row, weights) in tables.weights.chunks(neurons).enumerate() {
        let negative = tables.negative_rows.get(row).copied();
        for (neuron, &weight) in weights.iter().enumerate() {
            let field = weight_field(weight, negative, neuron, spec).map_err(at(EventTable::Rows, row))?;
            synapses.put(field, *spec.weights.stored_bits);
        }
    }
    Ok(EventImage { registers: registers.finish(), neurons: words.finish(), synapses: synapses.finish() })
}

fn put_word(out: &mut BitWriter, word: &EventWord, spec: &EventCrossbar) -> Result<(), EventProblem> {
    let n = &spec.neuron;
    let (least, most) = spec.potential_range();
    let potential = within("potential", word.potential.into(), least.into(), most.into())?;
    out.put(to_twos(potential, *n.potential_bits), *n.potential_bits);
    out.put(within("threshold", word.threshold.into(), 0, (1 << *n.threshold_bits) - 1)? as u64, *n.threshold_bits);
    out.put(within("leak", word.leak.into(), 0, (1 << *n.leak_bits) - 1)? as u64, *n.leak_bits);
    out.put(word.disabled.into(), 1);
    Ok(())
}

fn weight_field(weight: i8, negative_row: Option<bool>, neuron: usize, spec: &EventCrossbar) -> Result<u64, EventProblem> {
    let (least, most) = spec.weight_range();
    within("weight", weight.into(), least.into(), most.into())?;
    Ok(match negative_row {
        None => to_twos(weight.into(), *spec.weights.weight_bits),
        Some(negative) => {
            if weight != 0 && (weight < 0) != negative {
                return Err(EventProblem::Sign { neuron: neuron as u32, weight });
            }
            u64::from(weight.unsigned_abs())
        }
    })
}

/// The tables of the core.
///
/// # Errors
/// Another number of bits than the core has, a value beyond its range, or unused bits that are not 0.
pub fn decode(image: &EventImage, spec: &EventCrossbar) -> Result<EventTables, EventError> {
    let (neurons, rows) = (*spec.core.neurons as usize, *spec.core.rows as usize);
    let signs = signed_rows(spec);
    count("bits of registers", image.registers.len(), 1 + usize::from(last_bits(spec)) + signs).map_err(at(EventTable::Registers, 0))?;
    count("bits of neurons", image.neurons.len(), neurons * *spec.neuron.word_bits as usize).map_err(at(EventTable::Neurons, 0))?;
    let stored = *spec.weights.stored_bits;
    count("bits of synapses", image.synapses.len(), rows * neurons * usize::from(stored)).map_err(at(EventTable::Rows, 0))?;
    let words = words_of(&image.registers);
    let mut bits = BitReader::new(&words, 0..image.registers.len());
    let open_loop = bits.take(1) == Some(1);
    let last = bits.take(last_bits(spec)).unwrap_or_default() as i64;
    let last_neuron = within("last neuron", last, 0, neurons as i64 - 1).map_err(at(EventTable::Registers, 0))? as u8;
    let negative_rows: Vec<bool> = (0..signs).map(|_| bits.take(1) == Some(1)).collect();
    let words = words_of(&image.neurons);
    let mut all = Vec::with_capacity(neurons);
    let word_bits = *spec.neuron.word_bits as usize;
    for i in 0..neurons {
        let mut bits = BitReader::new(&words, i * word_bits..(i + 1) * word_bits);
        all.push(take_word(&mut bits, spec).map_err(at(EventTable::Neurons, i))?);
    }
    let words = words_of(&image.synapses);
    let mut bits = BitReader::new(&words, 0..image.synapses.len());
    let width = *spec.weights.weight_bits;
    let mut weights = Vec::with_capacity(rows * neurons);
    for row in 0..rows {
        let negative = negative_rows.get(row).copied();
        for _ in 0..neurons {
            let field = bits.take(stored).unwrap_or_default();
            if field >> width != 0 {
                return Err(at(EventTable::Rows, row)(EventProblem::Unused));
            }
            weights.push(match negative {
                None => from_twos(field, width) as i8,
                Some(true) => -(field as i8),
                Some(false) => field as i8,
            });
        }
    }
    Ok(EventTables { open_loop, last_neuron, negative_rows, neurons: all, weights })
}

fn take_word(bits: &mut BitReader, spec: &EventCrossbar) -> Result<EventWord, EventProblem> {
    let n = &spec.neuron;
    let mut take = |width: u8| bits.take(width).unwrap_or_default();
    let field = take(*n.potential_bits);
    let potential = if *n.signed { from_twos(field, *n.potential_bits) as i16 } else { field as i16 };
    let threshold = take(*n.threshold_bits) as u16;
    let leak = take(*n.leak_bits) as u8;
    let disabled = take(1) == 1;
    let used = u32::from(*n.potential_bits) + u32::from(*n.threshold_bits) + u32::from(*n.leak_bits) + 1;
    for _ in used..*n.word_bits {
        if take(1) != 0 {
            return Err(EventProblem::Unused);
        }
    }
    Ok(EventWord { potential, threshold, leak, disabled })
}
