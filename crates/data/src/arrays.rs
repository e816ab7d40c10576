//! Arrays in numpy's formats.
//!
//! In: bytes of `.npy` (versions 1 to 3) and `.npz` files. Out: [`Array`]s in C order, and bytes of such files.
//! Invariant: `data.len()` is the product of `shape`; memory grows with the bytes that a file really holds, never with
//! what its headers claim. Cost: one pass over the payload; bytes (u1) are not copied.
//! Why an own header parser: `npyz` multiplies the axes unchecked and allocates the header's claimed length, so a hostile
//! file panics or exhausts memory. `npyz` is the independent reader and writer of the tests.
//!
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

mod header;
mod npz;

pub(crate) use npz::MAX_UNPACKED;
pub use npz::{read_npz, write_npz};

use header::Header;
use std::io::Read;

/// The first bytes of a `.npy` file.
pub(crate) const NPY_MAGIC: &[u8] = b"\x93NUMPY";

/// Elements of an array, in C order. Files may also hold 2-byte floats (`f2`): they are read into `F32`.
#[derive(Debug, Clone, PartialEq)]
pub enum ArrayData {
    /// `|b1`; in a file, every byte but 0 is true.
    Bool(Vec<bool>),
    /// `|u1`
    U8(Vec<u8>),
    /// `u2`
    U16(Vec<u16>),
    /// `u4`
    U32(Vec<u32>),
    /// `u8`
    U64(Vec<u64>),
    /// `|i1`
    I8(Vec<i8>),
    /// `i2`
    I16(Vec<i16>),
    /// `i4`
    I32(Vec<i32>),
    /// `i8`
    I64(Vec<i64>),
    /// `f4` or `f2`
    F32(Vec<f32>),
    /// `f8`
    F64(Vec<f64>),
}

/// An array in C order.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Length of each axis; empty for a scalar.
    pub shape: Vec<usize>,
    /// The elements; as many as the product of `shape`.
    pub data: ArrayData,
}

/// Evaluates `$body` with `$v` bound to the vector of any variant.
macro_rules! for_each_type {
    ($data:expr, $v:ident => $body:expr) => {
        match $data {
            ArrayData::Bool($v) => $body,
            ArrayData::U8($v) => $body,
            ArrayData::U16($v) => $body,
            ArrayData::U32($v) => $body,
            ArrayData::U64($v) => $body,
            ArrayData::I8($v) => $body,
            ArrayData::I16($v) => $body,
            ArrayData::I32($v) => $body,
            ArrayData::I64($v) => $body,
            ArrayData::F32($v) => $body,
            ArrayData::F64($v) => $body,
        }
    };
}

impl Array {
    /// Number of elements.
    pub fn len(&self) -> usize {
        for_each_type!(&self.data, v => v.len())
    }

    /// True when there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Some of the elements, as an array of one axis.
    ///
    /// # Panics
    /// When the range is not within the elements.
    pub fn part(&self, range: std::ops::Range<usize>) -> Array {
        macro_rules! of {
            ($($kind:ident),*) => {
                match &self.data {
                    $(ArrayData::$kind(v) => ArrayData::$kind(v[range.clone()].to_vec()),)*
                }
            };
        }
        let data = of!(Bool, U8, U16, U32, U64, I8, I16, I32, I64, F32, F64);
        Array { shape: vec![range.len()], data }
    }

    /// numpy's name of the element type, such as `uint8`.
    pub fn dtype_name(&self) -> &'static str {
        match self.data {
            ArrayData::Bool(_) => "bool",
            ArrayData::U8(_) => "uint8",
            ArrayData::U16(_) => "uint16",
            ArrayData::U32(_) => "uint32",
            ArrayData::U64(_) => "uint64",
            ArrayData::I8(_) => "int8",
            ArrayData::I16(_) => "int16",
            ArrayData::I32(_) => "int32",
            ArrayData::I64(_) => "int64",
            ArrayData::F32(_) => "float32",
            ArrayData::F64(_) => "float64",
        }
    }

    /// The elements as f32: float64 is rounded to nearest; `None` when an integer is not exact in f32.
    pub fn to_f32(&self) -> Option<Vec<f32>> {
        macro_rules! exact {
            ($v:expr) => {
                $v.iter().map(|&x| Some(x as f32).filter(|&y| y as i128 == x as i128)).collect()
            };
        }
        match &self.data {
            ArrayData::Bool(v) => Some(v.iter().map(|&x| f32::from(u8::from(x))).collect()),
            ArrayData::U8(v) => Some(v.iter().map(|&x| f32::from(x)).collect()),
            ArrayData::U16(v) => Some(v.iter().map(|&x| f32::from(x)).collect()),
            ArrayData::I8(v) => Some(v.iter().map(|&x| f32::from(x)).collect()),
            ArrayData::I16(v) => Some(v.iter().map(|&x| f32::from(x)).collect()),
            ArrayData::U32(v) => exact!(v),
            ArrayData::U64(v) => exact!(v),
            ArrayData::I32(v) => exact!(v),
            ArrayData::I64(v) => exact!(v),
            ArrayData::F32(v) => Some(v.clone()),
            ArrayData::F64(v) => Some(v.iter().map(|&x| x as f32).collect()),
        }
    }

    /// The elements as i64 (false = 0, true = 1); `None` when an element is not an integer in i64's range.
    pub fn to_i64(&self) -> Option<Vec<i64>> {
        const LIMIT: f64 = 9_223_372_036_854_775_808.0; // 2^63
        let exact = |x: f64| (x.trunc() == x && (-LIMIT..LIMIT).contains(&x)).then_some(x as i64);
        match &self.data {
            ArrayData::Bool(v) => Some(v.iter().map(|&x| i64::from(x)).collect()),
            ArrayData::U8(v) => Some(v.iter().map(|&x| i64::from(x)).collect()),
            ArrayData::U16(v) => Some(v.iter().map(|&x| i64::from(x)).collect()),
            ArrayData::U32(v) => Some(v.iter().map(|&x| i64::from(x)).collect()),
            ArrayData::U64(v) => v.iter().map(|&x| i64::try_from(x).ok()).collect(),
            ArrayData::I8(v) => Some(v.iter().map(|&x| i64::from(x)).collect()),
            ArrayData::I16(v) => Some(v.iter().map(|&x| i64::from(x)).collect()),
            ArrayData::I32(v) => Some(v.iter().map(|&x| i64::from(x)).collect()),
            ArrayData::I64(v) => Some(v.clone()),
            ArrayData::F32(v) => v.iter().map(|&x| exact(f64::from(x))).collect(),
            ArrayData::F64(v) => v.iter().map(|&x| exact(x)).collect(),
        }
    }

    /// The elements as bool; `None` for floats and when an integer is neither 0 nor 1.
    pub fn to_bool(&self) -> Option<Vec<bool>> {
        match &self.data {
            ArrayData::Bool(v) => Some(v.clone()),
            ArrayData::F32(_) | ArrayData::F64(_) => None,
            _ => self.to_i64()?.into_iter().map(|x| [false, true].get(usize::try_from(x).ok()?).copied()).collect(),
        }
    }
}

/// Why bytes are not an array, or not a set of arrays. `array` is the name in the `.npz`, empty for a plain `.npy`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum ArrayError {
    #[error("array '{array}': not numpy data: expected 6 bytes '\\x93NUMPY', found {found:02x?}")]
    Magic { array: String, found: Vec<u8> },
    #[error("array '{array}': .npy version {major}.{minor}, expected 1.0, 2.0 or 3.0")]
    Version { array: String, major: u8, minor: u8 },
    #[error("array '{array}': the {part} ends early: expected {expected} bytes, found {found}")]
    Truncated { array: String, part: &'static str, expected: u64, found: u64 },
    #[error("array '{array}': more data than its shape says: expected {expected} bytes, found at least {found}")]
    Excess { array: String, expected: u64, found: u64 },
    #[error("array '{array}': header claims {claimed} bytes, the limit is {limit}")]
    HeaderSize { array: String, claimed: u64, limit: u64 },
    #[error("array '{array}': header malformed at byte {at} of its text: expected {expected}")]
    Header { array: String, at: usize, expected: &'static str },
    #[error("array '{array}': element type '{dtype}' is not supported (expected b1, u1-u8, i1-i8, f2, f4 or f8)")]
    Dtype { array: String, dtype: String },
    #[error("array '{array}': shape {shape:?} needs more than 2^63 bytes")]
    Shape { array: String, shape: Vec<u64> },
    #[error("array '{array}': needs {needed} bytes unpacked, found {left} left of the {limit} that a compressed file may hold")]
    Unpacked { array: String, needed: u64, left: u64, limit: u64 },
    #[error("array '{array}': {axes} axes, the limit is {limit}")]
    Axes { array: String, axes: usize, limit: usize },
    #[error("array '{array}': its zip entry is corrupt: {reason}")]
    Corrupt { array: String, reason: String },
    #[error("not a whole .npz (zip) file of {bytes} bytes: {reason}")]
    Zip { bytes: u64, reason: String },
    #[error("entries of the .npz (zip) file overlap")]
    Overlap,
}

impl ArrayError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            ArrayError::Unpacked { .. } => {
                "split the file, use smaller types (spikes_packed, float32), or save it without compression".into()
            }
            ArrayError::Dtype { .. } => "save it with array.astype(numpy.float32) or an integer type".into(),
            ArrayError::Truncated { .. } | ArrayError::Corrupt { .. } | ArrayError::Zip { .. } => {
                "the file is damaged or its transfer was cut off: copy or write it again".into()
            }
            _ => "write the file again with numpy.save, numpy.savez or numpy.savez_compressed".into(),
        }
    }
}

/// Type of the elements in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    Bool,
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F16,
    F32,
    F64,
}

impl Element {
    /// Bytes of one element.
    fn size(self) -> u64 {
        match self {
            Element::Bool | Element::U8 | Element::I8 => 1,
            Element::U16 | Element::I16 | Element::F16 => 2,
            Element::U32 | Element::I32 | Element::F32 => 4,
            Element::U64 | Element::I64 | Element::F64 => 8,
        }
    }
}

/// Reads one `.npy` file; Fortran order is transposed to C order.
///
/// # Errors
/// Any [`ArrayError`] but those of zip files; `array` is empty.
pub fn read_npy(bytes: &[u8]) -> Result<Array, ArrayError> {
    read_stream(bytes, "", &mut Budget { left: u64::MAX, limit: u64::MAX })
}

/// Bytes that may still be unpacked.
#[derive(Debug, Clone, Copy)]
struct Budget {
    left: u64,
    limit: u64,
}

/// Reads one `.npy` from a stream to the stream's end; nothing beyond the budget is unpacked.
fn read_stream(mut stream: impl Read, array: &str, budget: &mut Budget) -> Result<Array, ArrayError> {
    let header = Header::read(&mut stream, array)?;
    let expected = header.data_bytes;
    let Some(left) = budget.left.checked_sub(expected) else {
        return Err(ArrayError::Unpacked { array: array.to_owned(), needed: expected, left: budget.left, limit: budget.limit });
    };
    budget.left = left;
    let data = read_at_most(&mut stream, expected + 1, array)?;
    let found = data.len() as u64;
    let array = array.to_owned();
    match found {
        _ if found < expected => Err(ArrayError::Truncated { array, part: "data", expected, found }),
        _ if found > expected => Err(ArrayError::Excess { array, expected, found }),
        _ => Ok(decode(data, header)),
    }
}

/// Reads up to `limit` bytes; allocates as they come.
fn read_at_most(stream: &mut impl Read, limit: u64, array: &str) -> Result<Vec<u8>, ArrayError> {
    let mut data = Vec::new();
    match stream.take(limit).read_to_end(&mut data) {
        Ok(_) => Ok(data),
        Err(e) => Err(ArrayError::Corrupt { array: array.to_owned(), reason: e.to_string() }),
    }
}

fn decode(bytes: Vec<u8>, header: Header) -> Array {
    macro_rules! numbers {
        ($kind:ident, $t:ty) => {{
            let (chunks, _) = bytes.as_chunks::<{ size_of::<$t>() }>();
            let from = if header.big_endian { <$t>::from_be_bytes } else { <$t>::from_le_bytes };
            ArrayData::$kind(chunks.iter().map(|&c| from(c)).collect())
        }};
    }
    let data = match header.element {
        Element::Bool => ArrayData::Bool(bytes.iter().map(|&b| b != 0).collect()),
        Element::U8 => ArrayData::U8(bytes),
        Element::I8 => ArrayData::I8(bytes.iter().map(|&b| b.cast_signed()).collect()),
        Element::U16 => numbers!(U16, u16),
        Element::U32 => numbers!(U32, u32),
        Element::U64 => numbers!(U64, u64),
        Element::I16 => numbers!(I16, i16),
        Element::I32 => numbers!(I32, i32),
        Element::I64 => numbers!(I64, i64),
        Element::F32 => numbers!(F32, f32),
        Element::F64 => numbers!(F64, f64),
        Element::F16 => {
            let (chunks, _) = bytes.as_chunks::<2>();
            let from = if header.big_endian { u16::from_be_bytes } else { u16::from_le_bytes };
            ArrayData::F32(chunks.iter().map(|&c| half_to_f32(from(c))).collect())
        }
    };
    let shape = header.shape;
    let data = if header.fortran_order && shape.len() > 1 { transposed(data, &shape) } else { data };
    Array { shape, data }
}

/// IEEE 754 binary16 to binary32 (exact).
fn half_to_f32(h: u16) -> f32 {
    let sign = if h >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(h >> 10 & 31);
    let fraction = f32::from(h & 1023);
    match exponent {
        0 => sign * fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * (1024.0 + fraction) * 2f32.powi(exponent - 25),
    }
}

/// Elements in Fortran order (first axis fastest) put into C order.
fn transposed(data: ArrayData, shape: &[usize]) -> ArrayData {
    macro_rules! all {
        ($($kind:ident),*) => {
            match data {
                $(ArrayData::$kind(v) => ArrayData::$kind(transpose(&v, shape)),)*
            }
        };
    }
    all!(Bool, U8, U16, U32, U64, I8, I16, I32, I64, F32, F64)
}

fn transpose<T: Copy>(from: &[T], shape: &[usize]) -> Vec<T> {
    let mut strides = vec![1; shape.len()];
    for axis in 1..shape.len() {
        strides[axis] = strides[axis - 1] * shape[axis - 1];
    }
    let mut index = vec![0; shape.len()];
    let mut source = 0;
    let mut to = Vec::with_capacity(from.len());
    for _ in 0..from.len() {
        to.push(from[source]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            source += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            source -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    to
}

/// Writes an array as a `.npy` file (version 1.0, little endian, C order), as numpy does.
pub fn write_npy(array: &Array) -> Vec<u8> {
    let mut bytes = header::write(array);
    macro_rules! little_endian {
        ($v:expr) => {
            bytes.extend($v.iter().flat_map(|x| x.to_le_bytes()))
        };
    }
    match &array.data {
        ArrayData::Bool(v) => bytes.extend(v.iter().map(|&x| u8::from(x))),
        ArrayData::U8(v) => bytes.extend_from_slice(v),
        ArrayData::U16(v) => little_endian!(v),
        ArrayData::U32(v) => little_endian!(v),
        ArrayData::U64(v) => little_endian!(v),
        ArrayData::I8(v) => little_endian!(v),
        ArrayData::I16(v) => little_endian!(v),
        ArrayData::I32(v) => little_endian!(v),
        ArrayData::I64(v) => little_endian!(v),
        ArrayData::F32(v) => little_endian!(v),
        ArrayData::F64(v) => little_endian!(v),
    }
    bytes
}

#[cfg(test)]
mod tests;
