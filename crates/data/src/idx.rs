//! IDX files, the format of MNIST.
//!
//! In: bytes, gzipped or not. Out: an array of unsigned bytes. Memory grows with the bytes that the file really holds.
//! Format: <http://yann.lecun.com/exdb/mnist/>: two zero bytes, a type, a rank, big-endian lengths, elements in C order.

use crate::arrays::{Array, ArrayData};
use flate2::read::MultiGzDecoder;
use std::io::Read;

/// Why bytes are not an IDX file of unsigned bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum IdxError {
    #[error("not an IDX file: expected bytes 00 00, a type and a rank, found {found:02x?}")]
    Magic { found: Vec<u8> },
    #[error("IDX element type 0x{found:02x}, expected 0x08 (unsigned bytes)")]
    Type { found: u8 },
    #[error("IDX file of rank {found}, expected 1 to 8")]
    Rank { found: u8 },
    #[error("the {part} of the IDX file ends early: expected {expected} bytes, found {found}")]
    Truncated { part: &'static str, expected: u64, found: u64 },
    #[error("the IDX file is longer than its shape {shape:?} says: expected {expected} bytes of data")]
    Excess { shape: Vec<u32>, expected: u64 },
    #[error("IDX shape {shape:?} needs more than 2^63 bytes")]
    Shape { shape: Vec<u32> },
    #[error("IDX shape {shape:?} needs {expected} bytes unpacked, expected at most {limit} in a gzipped file")]
    Unpacked { shape: Vec<u32>, expected: u64, limit: u64 },
    #[error("the gzip stream is corrupt: {reason}")]
    Gzip { reason: String },
}

impl IdxError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            IdxError::Truncated { .. } | IdxError::Excess { .. } | IdxError::Gzip { .. } => {
                "the file is damaged or its transfer was cut off: copy it again".into()
            }
            IdxError::Unpacked { .. } => "gunzip the file first, or split it".into(),
            _ => "give an IDX file of unsigned bytes, such as MNIST's images and labels, gzipped or not".into(),
        }
    }
}

/// Reads an IDX file of unsigned bytes (IDX1 labels, IDX3 images), gunzipped when it starts with gzip's magic.
///
/// # Errors
/// Any [`IdxError`].
pub fn read_idx(bytes: &[u8]) -> Result<Array, IdxError> {
    if bytes.starts_with(&[0x1f, 0x8b]) { read(MultiGzDecoder::new(bytes), MAX_UNPACKED) } else { read(bytes, u64::MAX) }
}

/// Most bytes that a gzipped file is unpacked to (gzip can expand 1032 times).
const MAX_UNPACKED: u64 = 1 << 31;

fn read(mut stream: impl Read, limit: u64) -> Result<Array, IdxError> {
    let mut at_most = |limit: u64| {
        let mut data = Vec::new();
        match stream.by_ref().take(limit).read_to_end(&mut data) {
            Ok(_) => Ok(data),
            Err(e) => Err(IdxError::Gzip { reason: e.to_string() }),
        }
    };
    let magic = at_most(4)?;
    let &[0, 0, kind, rank] = magic.as_slice() else {
        return Err(IdxError::Magic { found: magic });
    };
    if kind != 8 {
        return Err(IdxError::Type { found: kind });
    }
    if !(1..=8).contains(&rank) {
        return Err(IdxError::Rank { found: rank });
    }
    let expected = 4 * u64::from(rank);
    let lengths = at_most(expected)?;
    if (lengths.len() as u64) < expected {
        return Err(IdxError::Truncated { part: "header", expected, found: lengths.len() as u64 });
    }
    let shape: Vec<u32> = lengths.as_chunks::<4>().0.iter().map(|&c| u32::from_be_bytes(c)).collect();
    let expected = match shape.iter().try_fold(1u64, |n, &axis| n.checked_mul(u64::from(axis))) {
        Some(n) if n >> 63 == 0 => n,
        _ => return Err(IdxError::Shape { shape }),
    };
    if expected > limit {
        return Err(IdxError::Unpacked { shape, expected, limit });
    }
    let data = at_most(expected + 1)?;
    let found = data.len() as u64;
    match found {
        _ if found < expected => Err(IdxError::Truncated { part: "data", expected, found }),
        _ if found > expected => Err(IdxError::Excess { shape, expected }),
        _ => Ok(Array { shape: shape.iter().map(|&axis| axis as usize).collect(), data: ArrayData::U8(data) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const FILE: [u8; 18] = [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6];

    #[test]
    fn reads_plain_and_gzipped() {
        let expected = Array { shape: vec![2, 3], data: ArrayData::U8(vec![1, 2, 3, 4, 5, 6]) };
        assert_eq!(read_idx(&FILE).unwrap(), expected);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(&FILE).unwrap();
        let gzip = gzip.finish().unwrap();
        assert_eq!(read_idx(&gzip).unwrap(), expected);
        let error = read(FILE.as_slice(), 5).unwrap_err();
        assert_eq!(error, IdxError::Unpacked { shape: vec![2, 3], expected: 6, limit: 5 });
        for n in 0..gzip.len() {
            assert!(read_idx(&gzip[..n]).is_err(), "{n} bytes of gzip");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for n in 0..FILE.len() {
            let error = read_idx(&FILE[..n]).unwrap_err();
            let expected = match n {
                0..4 => IdxError::Magic { found: FILE[..n].to_vec() },
                4..12 => IdxError::Truncated { part: "header", expected: 8, found: n as u64 - 4 },
                _ => IdxError::Truncated { part: "data", expected: 6, found: n as u64 - 12 },
            };
            assert_eq!(error, expected);
        }
        assert_eq!(read_idx(&[FILE.as_slice(), &[0]].concat()), Err(IdxError::Excess { shape: vec![2, 3], expected: 6 }));
        assert_eq!(read_idx(&[0, 0, 13, 1, 0, 0, 0, 0]), Err(IdxError::Type { found: 13 }));
        assert_eq!(read_idx(&[0, 0, 8, 9]), Err(IdxError::Rank { found: 9 }));
        let huge = [&[0, 0, 8, 3][..], &[255; 12]].concat();
        assert_eq!(read_idx(&huge), Err(IdxError::Shape { shape: vec![u32::MAX; 3] }));
        let claims = [&[0, 0, 8, 1][..], &[255; 4]].concat();
        assert_eq!(read_idx(&claims), Err(IdxError::Truncated { part: "data", expected: u64::from(u32::MAX), found: 0 }));
    }
}
