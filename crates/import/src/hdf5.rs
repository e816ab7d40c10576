//! HDF5 that nobody has checked yet: datasets into numbers and texts.
//!
//! In: bytes. Out: a file's root group, and what its datasets hold.
//! Invariant: whatever the bytes are, the reading ends, with memory bounded by [`Budget`].
//! Why: NIR and lava-dl's files are both HDF5; the HDF5 library trusts what it reads.

use crate::error::ImportError;
use hdf5_reader::error::ByteOrder;
use hdf5_reader::group::Group;
use hdf5_reader::{Dataset, Datatype, Hdf5File, OpenOptions, StringSize, VarLenKind};
use std::cell::Cell;

/// First bytes of an HDF5 file.
pub(crate) const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";
/// Groups that one file may have.
const MAX_NODES: u64 = 1 << 16;
/// Bytes of one name.
pub(crate) const MAX_NAME: usize = 4096;
/// Decoded bytes for each byte of the file: deflate gives at most 1032.
const MAX_EXPANSION: u64 = 1032;
/// Decoded bytes whatever the size of the file.
const MIN_BUDGET: u64 = 1 << 20;
const MAX_BUDGET: u64 = 1 << 33;

/// A numeric dataset.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RawArray {
    pub shape: Vec<u64>,
    pub values: RawValues,
}

/// Values in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RawValues {
    Float(Vec<f32>),
    Int(Vec<i64>),
    /// Where a parameter may be a text.
    Text(String),
}

impl RawValues {
    /// As f32, rounded to nearest.
    pub fn into_f32(self) -> Vec<f32> {
        match self {
            RawValues::Float(v) => v,
            RawValues::Int(v) => v.into_iter().map(|x| x as f32).collect(),
            RawValues::Text(_) => Vec::new(),
        }
    }

    /// No number and no text.
    pub fn is_empty(&self) -> bool {
        match self {
            RawValues::Float(v) => v.is_empty(),
            RawValues::Int(v) => v.is_empty(),
            RawValues::Text(text) => text.is_empty(),
        }
    }
}

/// What may still be read.
pub(crate) struct Budget {
    pub bytes: Cell<u64>,
    pub nodes: Cell<u64>,
}

impl Budget {
    pub fn take(cell: &Cell<u64>, amount: u64, place: &str, what: &'static str) -> Result<(), ImportError> {
        let left = cell.get();
        if amount > left {
            return Err(ImportError::TooLarge { place: place.into(), what, found: amount, limit: left });
        }
        cell.set(left - amount);
        Ok(())
    }
}

pub(crate) fn corrupt(place: &str) -> impl Fn(hdf5_reader::error::Error) -> ImportError + '_ {
    move |e| ImportError::Corrupt { place: place.into(), detail: e.to_string() }
}

/// Reads a file with `read`, which gets the root group and what may be read.
///
/// # Errors
/// [`ImportError::Corrupt`] also where the HDF5 library panics.
pub(crate) fn with_root<T>(
    bytes: &[u8],
    read: impl FnOnce(&Group, &Budget) -> Result<T, ImportError> + std::panic::UnwindSafe,
) -> Result<T, ImportError> {
    std::panic::catch_unwind(|| {
        if !bytes.starts_with(&SIGNATURE) {
            return Err(ImportError::NotHdf5);
        }
        let size = (bytes.len() as u64).saturating_mul(MAX_EXPANSION).clamp(MIN_BUDGET, MAX_BUDGET);
        let budget = Budget { bytes: Cell::new(size), nodes: Cell::new(MAX_NODES) };
        let limit = usize::try_from(size).unwrap_or(usize::MAX);
        let options = OpenOptions::default().with_max_read_bytes(limit).with_max_chunk_bytes(limit).with_chunk_cache_bytes(0);
        let file = Hdf5File::from_vec_with_options(bytes.to_vec(), options).map_err(corrupt("/"))?;
        read(&file.root_group().map_err(corrupt("/"))?, &budget)
    })
    .unwrap_or_else(|_| Err(ImportError::Corrupt { place: "/".into(), detail: "the HDF5 reader gave up on its structure".into() }))
}

pub(crate) fn open(group: &Group, name: &str, place: &str) -> Result<Dataset, ImportError> {
    group.dataset(name).map_err(corrupt(place))
}

/// Decoded bytes of a numeric dataset, in the file's byte order.
pub(crate) fn raw_bytes<'d>(dataset: &'d Dataset, place: &str, budget: &Budget) -> Result<(Vec<u8>, &'d Datatype), ImportError> {
    let len = dataset.raw_byte_len().map_err(corrupt(place))?;
    Budget::take(&budget.bytes, len as u64, place, "bytes")?;
    Ok((dataset.read_raw_bytes().map_err(corrupt(place))?, dataset.dtype()))
}

/// Splits into elements of N bytes in little-endian order.
pub(crate) fn elements<const N: usize>(raw: &[u8], order: ByteOrder) -> impl Iterator<Item = [u8; N]> + '_ {
    raw.chunks_exact(N).map(move |c| {
        let mut b = [0; N];
        b.copy_from_slice(c);
        if order == ByteOrder::BigEndian {
            b.reverse();
        }
        b
    })
}

fn decode_ints(raw: &[u8], size: u8, signed: bool, order: ByteOrder) -> Option<Vec<i64>> {
    Some(match (size, signed) {
        (1, true) => elements(raw, order).map(|b| i8::from_le_bytes(b).into()).collect(),
        (1, false) => elements(raw, order).map(|b| u8::from_le_bytes(b).into()).collect(),
        (2, true) => elements(raw, order).map(|b| i16::from_le_bytes(b).into()).collect(),
        (2, false) => elements(raw, order).map(|b| u16::from_le_bytes(b).into()).collect(),
        (4, true) => elements(raw, order).map(|b| i32::from_le_bytes(b).into()).collect(),
        (4, false) => elements(raw, order).map(|b| u32::from_le_bytes(b).into()).collect(),
        (8, true) => elements(raw, order).map(i64::from_le_bytes).collect(),
        (8, false) => elements(raw, order).map(|b| i64::try_from(u64::from_le_bytes(b)).ok()).collect::<Option<_>>()?,
        _ => return None,
    })
}

fn decode(raw: &[u8], dtype: &Datatype) -> Option<RawValues> {
    Some(match dtype {
        Datatype::FloatingPoint { size, byte_order } => RawValues::Float(match size {
            2 => elements(raw, *byte_order).map(|b| crate::half::f16_to_f32(u16::from_le_bytes(b))).collect(),
            4 => elements(raw, *byte_order).map(f32::from_le_bytes).collect(),
            8 => elements(raw, *byte_order).map(|b| f64::from_le_bytes(b) as f32).collect(),
            _ => return None,
        }),
        Datatype::FixedPoint { size, signed, byte_order } => RawValues::Int(decode_ints(raw, *size, *signed, *byte_order)?),
        // h5py's bool.
        Datatype::Enum { base, .. } if matches!(**base, Datatype::FixedPoint { .. }) => return decode(raw, base),
        _ => return None,
    })
}

pub(crate) fn decode_f64(raw: &[u8], dtype: &Datatype) -> Option<f64> {
    match dtype {
        Datatype::FloatingPoint { size: 8, byte_order } => elements(raw, *byte_order).map(f64::from_le_bytes).next(),
        _ => match decode(raw, dtype)? {
            RawValues::Float(v) => v.first().map(|&x| x.into()),
            RawValues::Int(v) => v.first().map(|&x| x as f64),
            RawValues::Text(_) => None,
        },
    }
}

pub(crate) fn numbers(dataset: &Dataset, node: &str, parameter: &str, budget: &Budget) -> Result<RawArray, ImportError> {
    let place = format!("{node}/{parameter}");
    let wrong = || ImportError::WrongType {
        node: node.into(),
        parameter: parameter.into(),
        found: type_name(dataset.dtype()),
        expected: "numbers (float16/32/64, integers or bool)",
    };
    if !matches!(dataset.dtype(), Datatype::FloatingPoint { .. } | Datatype::FixedPoint { .. } | Datatype::Enum { .. }) {
        return Err(wrong());
    }
    let (raw, dtype) = raw_bytes(dataset, &place, budget)?;
    Ok(RawArray { shape: dataset.shape().to_vec(), values: decode(&raw, dtype).ok_or_else(wrong)? })
}

pub(crate) fn type_name(dtype: &Datatype) -> String {
    match dtype {
        Datatype::FixedPoint { size, signed, .. } => {
            format!("a {} bit {} integer", *size as u32 * 8, if *signed { "signed" } else { "unsigned" })
        }
        Datatype::FloatingPoint { size, .. } => format!("a {} bit float", *size as u32 * 8),
        Datatype::String { .. } | Datatype::VarLen { .. } => "text".into(),
        Datatype::Compound { .. } => "a compound".into(),
        _ => "of another HDF5 class".into(),
    }
}

pub(crate) fn text(dataset: &Dataset, place: &str, budget: &Budget) -> Result<String, ImportError> {
    let mut all = strings(dataset, place, budget)?;
    match (all.pop(), all.is_empty()) {
        (Some(one), true) => Ok(one),
        _ => Err(ImportError::WrongShape {
            node: place.into(),
            parameter: dataset.name().into(),
            found: dataset.shape().to_vec(),
            expected: "one text".into(),
        }),
    }
}

/// Fixed-length and variable-length strings, each of at most [`MAX_NAME`] bytes.
pub(crate) fn strings(dataset: &Dataset, place: &str, budget: &Budget) -> Result<Vec<String>, ImportError> {
    let too_long =
        |found: usize| ImportError::TooLarge { place: place.into(), what: "bytes in a text", found: found as u64, limit: MAX_NAME as u64 };
    let variable = match dataset.dtype() {
        Datatype::String { size: StringSize::Fixed(n), .. } if *n as usize > MAX_NAME => return Err(too_long(*n as usize)),
        Datatype::String { size: StringSize::Fixed(_), .. } => false,
        Datatype::String { size: StringSize::Variable, .. } | Datatype::VarLen { kind: VarLenKind::String, .. } => true,
        other => {
            return Err(ImportError::WrongType {
                node: place.into(),
                parameter: dataset.name().into(),
                found: type_name(other),
                expected: "text",
            });
        }
    };
    let (raw, _) = raw_bytes(dataset, place, budget)?;
    let count = dataset.num_elements().map_err(corrupt(place))? as usize;
    if count == 0 {
        return Ok(Vec::new());
    }
    let size = raw.len() / count;
    if size == 0 {
        return Ok(vec![String::new(); count]);
    }
    let mut out = Vec::with_capacity(count);
    for element in raw.chunks_exact(size) {
        let bytes = if variable {
            // The reference starts with the length.
            let declared = element.first_chunk().map_or(0, |b| u32::from_le_bytes(*b)) as usize;
            if declared > MAX_NAME {
                return Err(too_long(declared));
            }
            Budget::take(&budget.bytes, declared as u64, place, "bytes")?;
            dataset.resolve_vlen_reference_bytes(element, 1).map_err(corrupt(place))?
        } else {
            element.to_vec()
        };
        let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
        let s = std::str::from_utf8(&bytes[..end])
            .map_err(|e| ImportError::Corrupt { place: place.into(), detail: format!("text is not UTF-8: {e}") })?;
        out.push(if variable { s.to_string() } else { s.trim_end_matches(' ').to_string() });
    }
    Ok(out)
}
