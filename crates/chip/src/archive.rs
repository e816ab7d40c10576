//! The zip archive around a bundle: entries stored, nothing variable.
//!
//! In: names and bytes. Out: the archive, or the entries of one.
//! Invariant: the same entries give the same bytes (stored, 1980-01-01, no extra fields, no comment); reading looks at local headers
//! only, and the container's check by re-encoding covers the rest.
//! Cost: linear.
//! Why: a library's archive bytes change with its version, and the bytes of a bundle are compared. Layout: PKWARE APPNOTE 6.3.

const LOCAL: &[u8; 4] = b"PK\x03\x04";
const CENTRAL: &[u8; 4] = b"PK\x01\x02";
const END: &[u8; 4] = b"PK\x05\x06";
/// Bytes of a local header before the name.
const LOCAL_BYTES: usize = 30;
/// 1980-01-01 in DOS form.
const DATE: u16 = 0x21;

/// An entry of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArchiveEntry<'a> {
    pub(crate) name: String,
    pub(crate) data: &'a [u8],
    pub(crate) crc: u32,
    /// Position of the data in the archive.
    pub(crate) offset: usize,
}

impl ArchiveEntry<'_> {
    /// True when the data have the header's checksum.
    pub(crate) fn intact(&self) -> bool {
        crc32(self.data) == self.crc
    }
}

/// Where an archive isn't as expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ArchiveError {
    pub(crate) offset: usize,
    pub(crate) expected: &'static str,
}

const fn crc_table() -> [u32; 256] {
    let mut table = [0u32; 256];
    let mut i = 0;
    while i < 256 {
        let mut c = i as u32;
        let mut k = 0;
        while k < 8 {
            c = if c & 1 == 1 { 0xEDB8_8320 ^ (c >> 1) } else { c >> 1 };
            k += 1;
        }
        table[i] = c;
        i += 1;
    }
    table
}

/// CRC-32 of ISO 3309, reflected polynomial 0xEDB88320.
pub(crate) fn crc32(data: &[u8]) -> u32 {
    static TABLE: [u32; 256] = crc_table();
    !data.iter().fold(!0u32, |c, &b| TABLE[usize::from(c as u8 ^ b)] ^ (c >> 8))
}

/// The fields that local and central header share, from "version needed" to the length of the extra field.
fn common(out: &mut Vec<u8>, name: &str, data: &[u8]) {
    let size = u32::try_from(data.len()).expect("a section of a bundle is below 4 GiB");
    for field in [10u16, 0, 0, 0, DATE] {
        out.extend(field.to_le_bytes());
    }
    for field in [crc32(data), size, size] {
        out.extend(field.to_le_bytes());
    }
    out.extend((name.len() as u16).to_le_bytes());
    out.extend(0u16.to_le_bytes());
}

/// Writes an archive.
pub(crate) fn write(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::with_capacity(entries.iter().map(|(_, data)| data.len() + 200).sum());
    let mut central = Vec::new();
    for (name, data) in entries {
        let offset = u32::try_from(out.len()).expect("a bundle is below 4 GiB");
        out.extend(LOCAL);
        common(&mut out, name, data);
        out.extend(name.as_bytes());
        out.extend(*data);

        central.extend(CENTRAL);
        central.extend(10u16.to_le_bytes());
        common(&mut central, name, data);
        // Comment length, disk, internal attributes; external attributes.
        central.extend([0u8; 6]);
        central.extend([0u8; 4]);
        central.extend(offset.to_le_bytes());
        central.extend(name.as_bytes());
    }
    let start = u32::try_from(out.len()).expect("a bundle is below 4 GiB");
    out.extend(&central);
    out.extend(END);
    out.extend([0u8; 4]);
    let count = entries.len() as u16;
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend((central.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend(0u16.to_le_bytes());
    out
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The entry whose local header stands at `at`, and the position after its data; `None` where another header stands.
pub(crate) fn entry(bytes: &[u8], at: usize) -> Result<Option<(ArchiveEntry<'_>, usize)>, ArchiveError> {
    let error = |offset, expected| ArchiveError { offset, expected };
    let rest = bytes.get(at..).unwrap_or_default();
    if !rest.starts_with(LOCAL) {
        return if rest.starts_with(CENTRAL) || rest.starts_with(END) { Ok(None) } else { Err(error(at, "a zip header")) };
    }
    if rest.len() < LOCAL_BYTES {
        return Err(error(bytes.len(), "the rest of a zip header"));
    }
    if u16_at(rest, 8) != 0 {
        return Err(error(at + 8, "an entry that is stored, not compressed"));
    }
    let size = u32_at(rest, 18) as usize;
    let data = LOCAL_BYTES + usize::from(u16_at(rest, 26)) + usize::from(u16_at(rest, 28));
    let name = rest.get(LOCAL_BYTES..LOCAL_BYTES + usize::from(u16_at(rest, 26)));
    match (name, rest.get(data..data + size)) {
        (Some(name), Some(content)) => {
            let name = String::from_utf8_lossy(name).into_owned();
            Ok(Some((ArchiveEntry { name, data: content, crc: u32_at(rest, 14), offset: at + data }, at + data + size)))
        }
        _ => Err(error(bytes.len(), "the rest of a zip entry")),
    }
}

/// All entries by their local headers, in the order of the archive.
pub(crate) fn entries(bytes: &[u8]) -> Result<Vec<ArchiveEntry<'_>>, ArchiveError> {
    let mut entries = Vec::new();
    let mut at = 0;
    while let Some((next, end)) = entry(bytes, at)? {
        entries.push(next);
        at = end;
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Read};

    #[test]
    fn checksum_of_the_standard_vector() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn a_standard_reader_opens_it() {
        let content: Vec<u8> = (0..1000u32).map(|i| i as u8).collect();
        let bytes = write(&[("a.txt", b"hello"), ("b.bin", &content), ("empty", b"")]);
        let mut zip = zip::ZipArchive::new(Cursor::new(&bytes)).unwrap();
        assert_eq!(zip.len(), 3);
        for (i, (name, data)) in [("a.txt", b"hello".as_slice()), ("b.bin", &content), ("empty", b"")].into_iter().enumerate() {
            let mut file = zip.by_index(i).unwrap();
            assert_eq!(file.name().unwrap(), name);
            let time = file.last_modified().unwrap();
            assert_eq!((time.year(), time.month(), time.day(), time.hour()), (1980, 1, 1, 0));
            let mut read = Vec::new();
            file.read_to_end(&mut read).unwrap();
            assert_eq!(read, data);
        }
    }

    #[test]
    fn entries_come_back() {
        let bytes = write(&[("x", b"12"), ("y", b"")]);
        let found = entries(&bytes).unwrap();
        assert_eq!(found.iter().map(|e| (e.name.as_str(), e.data)).collect::<Vec<_>>(), [("x", b"12".as_slice()), ("y", b"")]);
        assert!(found.iter().all(ArchiveEntry::intact));
        for cut in 0..bytes.len() {
            let shorter = entries(&bytes[..cut]);
            assert!(shorter.is_err() || shorter.unwrap().len() == 2, "{cut}");
        }
    }
}
