//! `.npz` files: a zip file with one `.npy` an array.
//!
//! Entries whose names don't end in `.npy` are passed over. Entries that share bytes are refused, and all arrays together are
//! unpacked to [`MAX_UNPACKED`] bytes at most (deflate can expand a file 1032 times), or to the file's own size if that is more.

use super::{Array, ArrayError, Budget, read_stream, write_npy};
use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Most bytes of all arrays of a compressed file.
pub(crate) const MAX_UNPACKED: u64 = 1 << 31;

/// Reads every array of a `.npz` file; names without `.npy`.
///
/// # Errors
/// Any [`ArrayError`]; of several, the first entry's.
pub fn read_npz(bytes: &[u8]) -> Result<BTreeMap<String, Array>, ArrayError> {
    read_npz_within(bytes, MAX_UNPACKED.max(bytes.len() as u64))
}

/// As [`read_npz`], with another limit of bytes.
pub(super) fn read_npz_within(bytes: &[u8], limit: u64) -> Result<BTreeMap<String, Array>, ArrayError> {
    let mut budget = Budget { left: limit, limit };
    let broken =
        |e: zip::result::ZipError| cut_entry(bytes).unwrap_or_else(|| ArrayError::Zip { bytes: bytes.len() as u64, reason: e.to_string() });
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
    if zip.has_overlapping_files().map_err(broken)? {
        return Err(ArrayError::Overlap);
    }
    let mut arrays = BTreeMap::new();
    for k in 0..zip.len() {
        let file = match zip.name_for_index(k) {
            Some(name) => name.map_err(broken)?.into_owned(),
            None => continue,
        };
        let Some(name) = file.strip_suffix(".npy") else { continue };
        let entry = zip.by_index(k).map_err(|e| ArrayError::Corrupt { array: name.to_owned(), reason: e.to_string() })?;
        arrays.insert(name.to_owned(), read_stream(entry, name, &mut budget)?);
    }
    Ok(arrays)
}

/// Finds the first entry whose data run past the end of the file, from the local headers (APPNOTE.TXT 4.3.7), for a file
/// whose directory (at its end) is lost. `None` when there is none or an entry doesn't say its size.
fn cut_entry(bytes: &[u8]) -> Option<ArrayError> {
    let u16_at = |at: usize| Some(usize::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
    let u32_at = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let mut at = 0usize;
    while bytes.get(at..)?.starts_with(b"PK\x03\x04") {
        let name_at = at + 30;
        let extra_at = name_at + u16_at(at + 26)?;
        let data_at = extra_at + u16_at(at + 28)?;
        let name = String::from_utf8_lossy(bytes.get(name_at..extra_at)?);
        let mut expected = u64::from(u32_at(at + 18)?);
        if expected == u64::from(u32::MAX) && u16_at(extra_at)? == 1 && u16_at(extra_at + 2)? >= 16 {
            // Zip64 extra field: uncompressed size, then compressed size.
            expected = u64::from_le_bytes(bytes.get(extra_at + 12..extra_at + 20)?.try_into().ok()?);
        }
        if u16_at(at + 6)? & 8 != 0 && expected == 0 {
            return None;
        }
        let found = bytes.len().saturating_sub(data_at) as u64;
        if found < expected {
            let array = name.strip_suffix(".npy").unwrap_or(&name).to_owned();
            return Some(ArrayError::Truncated { array, part: "compressed data", expected, found });
        }
        at = data_at.checked_add(usize::try_from(expected).ok()?)?;
    }
    None
}

/// Writes arrays as a `.npz` file, deflated, with fixed timestamps: the same bytes for the same arrays.
///
/// # Panics
/// When two names are the same or a name is longer than a zip file can hold (64 KiB).
pub fn write_npz(arrays: &[(&str, Array)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, array) in arrays {
        let bytes = write_npy(array);
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(zip::DateTime::default())
            .large_file(bytes.len() > 1 << 31);
        zip.start_file(format!("{name}.npy"), options).expect("names of arrays are different and short");
        zip.write_all(&bytes).expect("memory takes every write");
    }
    zip.finish().expect("memory takes every write").into_inner()
}
