//! The header of a `.npy` file: magic, version, and a Python dict with `descr`, `fortran_order` and `shape`.
//!
//! In: a stream. Out: a [`Header`] whose sizes are checked. Invariant: no recursion; at most [`MAX_TEXT`] bytes are read.

use super::{Array, ArrayData, ArrayError, Element, NPY_MAGIC, read_at_most};
use std::io::Read;

/// Longest header text read (a header of version 1.0 can't be longer).
const MAX_TEXT: u64 = 65_535;
/// Most axes of an array (numpy's own limit).
const MAX_AXES: usize = 64;

/// What a header says.
pub(super) struct Header {
    pub element: Element,
    pub big_endian: bool,
    pub fortran_order: bool,
    pub shape: Vec<usize>,
    /// Bytes of all elements; below 2^63.
    pub data_bytes: u64,
}

impl Header {
    /// Reads a header; the stream then stands at the first element.
    pub fn read(stream: &mut impl Read, array: &str) -> Result<Header, ArrayError> {
        let name = || array.to_owned();
        let mut exactly = |expected: u64, part| {
            let bytes = read_at_most(stream, expected, array)?;
            let found = bytes.len() as u64;
            if found < expected {
                return Err(ArrayError::Truncated { array: name(), part, expected, found });
            }
            Ok(bytes)
        };
        let magic = exactly(6, "magic")?;
        if magic != NPY_MAGIC {
            return Err(ArrayError::Magic { array: name(), found: magic });
        }
        let version = exactly(2, "version")?;
        let claimed = match (version[0], version[1]) {
            (1, 0) => exactly(2, "header length")?.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b)),
            (2 | 3, 0) => exactly(4, "header length")?.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b)),
            (major, minor) => return Err(ArrayError::Version { array: name(), major, minor }),
        };
        if claimed > MAX_TEXT {
            return Err(ArrayError::HeaderSize { array: name(), claimed, limit: MAX_TEXT });
        }
        let text = exactly(claimed, "header")?;
        Dict { text: &text, at: 0, array }.parse()
    }
}

/// A cursor over the header's text.
struct Dict<'a> {
    text: &'a [u8],
    at: usize,
    array: &'a str,
}

impl Dict<'_> {
    fn parse(mut self) -> Result<Header, ArrayError> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        self.token(b"{", "'{'")?;
        while !self.accept(b"}") {
            let key_at = self.at;
            let key = self.string()?;
            self.token(b":", "':'")?;
            match key.as_str() {
                "descr" => descr = Some(self.descr()?),
                "fortran_order" => fortran_order = Some(self.boolean()?),
                "shape" => shape = Some(self.shape()?),
                _ => {
                    self.at = key_at;
                    return Err(self.error("one of the keys 'descr', 'fortran_order', 'shape'"));
                }
            }
            if !self.accept(b",") {
                self.token(b"}", "',' or '}'")?;
                break;
            }
        }
        self.skip_space();
        if self.at != self.text.len() {
            return Err(self.error("the end of the header"));
        }
        let (element, big_endian) = descr.ok_or_else(|| self.error("the key 'descr'"))?;
        let fortran_order = fortran_order.ok_or_else(|| self.error("the key 'fortran_order'"))?;
        let shape = shape.ok_or_else(|| self.error("the key 'shape'"))?;
        let bytes = shape.iter().try_fold(element.size(), |n, &axis| n.checked_mul(axis));
        let axes = shape.iter().map(|&axis| usize::try_from(axis).ok()).collect::<Option<Vec<_>>>();
        match (bytes, axes) {
            (Some(data_bytes), Some(shape)) if data_bytes >> 63 == 0 => {
                Ok(Header { element, big_endian, fortran_order, shape, data_bytes })
            }
            _ => Err(ArrayError::Shape { array: self.array.to_owned(), shape }),
        }
    }

    fn error(&self, expected: &'static str) -> ArrayError {
        ArrayError::Header { array: self.array.to_owned(), at: self.at, expected }
    }

    fn skip_space(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    fn accept(&mut self, token: &[u8]) -> bool {
        self.skip_space();
        let found = self.text[self.at..].starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn token(&mut self, token: &[u8], expected: &'static str) -> Result<(), ArrayError> {
        if self.accept(token) { Ok(()) } else { Err(self.error(expected)) }
    }

    fn string(&mut self) -> Result<String, ArrayError> {
        let quote = match () {
            _ if self.accept(b"'") => b'\'',
            _ if self.accept(b"\"") => b'"',
            _ => return Err(self.error("a string")),
        };
        let rest = &self.text[self.at..];
        let Some(length) = rest.iter().position(|&b| b == quote) else {
            return Err(self.error("a closing quote"));
        };
        self.at += length + 1;
        Ok(String::from_utf8_lossy(&rest[..length]).into_owned())
    }

    fn boolean(&mut self) -> Result<bool, ArrayError> {
        if self.accept(b"True") {
            return Ok(true);
        }
        self.token(b"False", "True or False").map(|()| false)
    }

    /// Element type and whether it is big endian.
    fn descr(&mut self) -> Result<(Element, bool), ArrayError> {
        let unsupported = |dtype| ArrayError::Dtype { array: self.array.to_owned(), dtype };
        if self.text[self.at..].trim_ascii_start().starts_with(b"[") {
            return Err(unsupported("structured".into()));
        }
        let array = self.array.to_owned();
        let descr = self.string()?;
        let (order, kind) = descr.split_at_checked(1).unwrap_or(("", ""));
        let element = match kind {
            "b1" => Element::Bool,
            "u1" => Element::U8,
            "i1" => Element::I8,
            "u2" => Element::U16,
            "u4" => Element::U32,
            "u8" => Element::U64,
            "i2" => Element::I16,
            "i4" => Element::I32,
            "i8" => Element::I64,
            "f2" => Element::F16,
            "f4" => Element::F32,
            "f8" => Element::F64,
            _ => return Err(ArrayError::Dtype { array, dtype: descr }),
        };
        match order {
            "<" => Ok((element, false)),
            ">" => Ok((element, true)),
            "|" | "=" if element.size() == 1 => Ok((element, false)),
            _ => Err(ArrayError::Dtype { array, dtype: descr }),
        }
    }

    fn shape(&mut self) -> Result<Vec<u64>, ArrayError> {
        let mut shape = Vec::new();
        self.token(b"(", "'('")?;
        while !self.accept(b")") {
            shape.push(self.axis()?);
            if shape.len() > MAX_AXES {
                return Err(ArrayError::Axes { array: self.array.to_owned(), axes: shape.len(), limit: MAX_AXES });
            }
            if !self.accept(b",") {
                self.token(b")", "',' or ')'")?;
                break;
            }
        }
        Ok(shape)
    }

    /// A number below 2^64; Python 2 wrote a long as `28L`.
    fn axis(&mut self) -> Result<u64, ArrayError> {
        self.skip_space();
        let digits = self.text[self.at..].iter().take_while(|b| b.is_ascii_digit()).count();
        let text = std::str::from_utf8(&self.text[self.at..self.at + digits]).unwrap_or("");
        let axis = text.parse().map_err(|_| self.error("a length below 2^64"))?;
        self.at += digits;
        self.accept(b"L");
        Ok(axis)
    }
}

/// The header of an array, padded with spaces so that the elements start at a multiple of 64 bytes.
pub(super) fn write(array: &Array) -> Vec<u8> {
    let descr = match array.data {
        ArrayData::Bool(_) => "|b1",
        ArrayData::U8(_) => "|u1",
        ArrayData::U16(_) => "<u2",
        ArrayData::U32(_) => "<u4",
        ArrayData::U64(_) => "<u8",
        ArrayData::I8(_) => "|i1",
        ArrayData::I16(_) => "<i2",
        ArrayData::I32(_) => "<i4",
        ArrayData::I64(_) => "<i8",
        ArrayData::F32(_) => "<f4",
        ArrayData::F64(_) => "<f8",
    };
    let axes: Vec<String> = array.shape.iter().map(usize::to_string).collect();
    let comma = if axes.len() == 1 { "," } else { "" };
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}{comma}), }}", axes.join(", "));
    let before = NPY_MAGIC.len() + 4;
    while !(before + text.len() + 1).is_multiple_of(64) {
        text.push(' ');
    }
    text.push('\n');
    let length = u16::try_from(text.len()).expect("an array has few enough axes for a version 1.0 header");
    let mut bytes = NPY_MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend(length.to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}
