//! The bundle as one file (`.spkb`): a zip archive of six stored sections.
//!
//! In: a [`Bundle`]. Out: bytes, or the reverse.
//! Invariant: `from_bytes(to_bytes(b)) == b`, and only what `to_bytes` writes is read: every flipped bit and every cut is refused.
//! The same bundle gives the same bytes.
//! Cost: linear in bytes, plus one decoding of the image.
//! Why this order: the version before anything else, so that a newer file is refused by its number; digests before parsing, so that
//! damage is named by section; agreement of the parts, so that consumers may index; last the re-encoding, which covers the
//! archive's own fields.

use crate::archive::{self, ArchiveEntry};
use crate::bundle::{Bundle, Provenance};
use crate::sections::{FramingError, image_from_bytes, image_to_bytes};
use crate::target::Target;
use crate::target_file::TargetError;
use crate::validate::BundleFinding;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Version of the format that this crate writes and reads.
pub const FORMAT_VERSION: u32 = 6;

/// Name of the first section.
pub const MANIFEST: &str = "manifest.ron";

/// Names of the sections in the order of the file.
pub const SECTIONS: [&str; 6] = [MANIFEST, "target.ron", "image.bin", "host.bin", "symbols.bin", "reference.bin"];

/// Why bytes are no bundle.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BundleError {
    /// The file doesn't start with a zip entry called `manifest.ron`.
    #[error("not a bundle: a .spkb file starts with a zip entry {MANIFEST:?}")]
    NotABundle,
    /// A version that this tool doesn't know.
    #[error("bundle format version {found}; this tool reads version {known}")]
    UnknownVersion {
        /// Version of the file.
        found: u32,
        /// Version that is read.
        known: u32,
    },
    /// The archive is cut or damaged outside its sections.
    #[error("container damaged at byte {offset}: expected {expected}")]
    Container {
        /// Byte of the file.
        offset: u64,
        /// What was expected there.
        expected: &'static str,
    },
    /// A section is missing.
    #[error("section {name:?} is missing")]
    MissingSection {
        /// Section.
        name: String,
    },
    /// A section that no bundle of this version has.
    #[error("section {name:?} is unknown")]
    UnknownSection {
        /// Section.
        name: String,
    },
    /// A section that is there twice.
    #[error("section {name:?} is there twice")]
    DuplicateSection {
        /// Section.
        name: String,
    },
    /// A section that doesn't have the digest of the manifest (or, for the manifest, of its header).
    #[error("section {section:?} is damaged: its digest is not the recorded one")]
    Digest {
        /// Section.
        section: String,
    },
    /// A section of text that can't be read.
    #[error("section {section:?}, line {line}, column {column}: {message}")]
    Text {
        /// Section.
        section: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What was found and expected.
        message: String,
    },
    /// The target's section can't be used.
    #[error("section \"target.ron\": {0}")]
    Target(TargetError),
    /// The image's section can't be read.
    #[error("section \"image.bin\": {0}")]
    Image(FramingError),
    /// A section of postcard data that can't be read.
    #[error("section {section:?}: {message}")]
    Data {
        /// Section.
        section: String,
        /// What is wrong.
        message: String,
    },
    /// The sections don't agree with each other.
    #[error("the bundle's parts disagree in {} places; first: {}", findings.len(), findings.first().map(ToString::to_string).unwrap_or_default())]
    Invalid {
        /// All disagreements.
        findings: Vec<BundleFinding>,
    },
    /// The content is readable, but not written as this version writes it.
    #[error("not as version {FORMAT_VERSION} writes it, from byte {offset} on ({})", section.as_deref().unwrap_or("container"))]
    NotCanonical {
        /// Section of the first difference; `None` = the container's own fields.
        section: Option<String>,
        /// First byte of the file that differs.
        offset: u64,
    },
}

impl BundleError {
    /// The section that the error is in, where it is in one.
    pub fn section(&self) -> Option<&str> {
        match self {
            BundleError::MissingSection { name } | BundleError::UnknownSection { name } | BundleError::DuplicateSection { name } => {
                Some(name)
            }
            BundleError::Digest { section } | BundleError::Text { section, .. } | BundleError::Data { section, .. } => Some(section),
            BundleError::Target(_) => Some("target.ron"),
            BundleError::Image(_) => Some("image.bin"),
            BundleError::NotCanonical { section, .. } => section.as_deref(),
            BundleError::NotABundle | BundleError::UnknownVersion { .. } | BundleError::Container { .. } | BundleError::Invalid { .. } => {
                None
            }
        }
    }

    /// A remedy.
    pub fn hint(&self) -> String {
        match self {
            BundleError::NotABundle => "give a file that `spikec compile` wrote".into(),
            BundleError::UnknownVersion { .. } => "use the version of spikec that wrote the file, or compile again".into(),
            BundleError::Target(error) => error.hint(),
            BundleError::Invalid { .. } => "compile again; the file was made by hand or by a faulty tool".into(),
            _ => "the file was damaged or changed after it was written: copy it again, or compile again".into(),
        }
    }
}

/// The manifest section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format_version: u32,
    tool: String,
    target: String,
    network: String,
    network_digest: String,
    options: Vec<(String, String)>,
    seed: u64,
    sections: Vec<SectionRecord>,
}

/// What every version's manifest starts with.
#[derive(Deserialize)]
struct ManifestHead {
    format_version: u32,
}

/// A section as the manifest records it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SectionRecord {
    name: String,
    bytes: u64,
    blake3: String,
}

impl SectionRecord {
    fn of(name: &str, data: &[u8]) -> Self {
        SectionRecord { name: name.into(), bytes: data.len() as u64, blake3: blake3::hash(data).to_hex().to_string() }
    }
}

fn text<T: DeserializeOwned>(section: &str, data: &[u8]) -> Result<T, BundleError> {
    ron::de::from_bytes(data).map_err(|e| BundleError::Text {
        section: section.into(),
        line: e.span.start.line,
        column: e.span.start.col,
        message: e.code.to_string(),
    })
}

fn data<T: DeserializeOwned>(section: &str, bytes: &[u8]) -> Result<T, BundleError> {
    let error = |message: String| BundleError::Data { section: section.into(), message };
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(|e| error(e.to_string()))?;
    if rest.is_empty() { Ok(value) } else { Err(error(format!("{} bytes too many", rest.len()))) }
}

fn container(e: archive::ArchiveError) -> BundleError {
    BundleError::Container { offset: e.offset as u64, expected: e.expected }
}

impl Bundle {
    /// Sections after the manifest, in the order of [`SECTIONS`].
    fn payload(&self) -> [(&'static str, Vec<u8>); 5] {
        let postcard = "host and symbols have no type that postcard refuses";
        [
            (SECTIONS[1], self.target.to_ron().into_bytes()),
            (SECTIONS[2], image_to_bytes(&self.image)),
            (SECTIONS[3], postcard::to_stdvec(&self.host).expect(postcard)),
            (SECTIONS[4], postcard::to_stdvec(&self.symbols).expect(postcard)),
            (SECTIONS[5], self.reference.clone()),
        ]
    }

    fn manifest(&self, payload: &[(&str, Vec<u8>)]) -> String {
        let Provenance { tool, network_name, network_digest, options, seed } = self.provenance.clone();
        let manifest = Manifest {
            format_version: FORMAT_VERSION,
            tool,
            target: self.target.name.clone(),
            network: network_name,
            network_digest,
            options,
            seed,
            sections: payload.iter().map(|(name, data)| SectionRecord::of(name, data)).collect(),
        };
        let config = ron::ser::PrettyConfig::new().new_line("\n").indentor("  ").depth_limit(2);
        ron::ser::to_string_pretty(&manifest, config).expect("a manifest has no type that RON refuses") + "\n"
    }

    /// The manifest section: version, origin, and length and digest of each section.
    pub fn manifest_text(&self) -> String {
        self.manifest(&self.payload())
    }

    /// The file.
    ///
    /// A bundle that [`Bundle::validate`] finds fault with can be written, but not read again.
    pub fn to_bytes(&self) -> Vec<u8> {
        let payload = self.payload();
        let manifest = self.manifest(&payload);
        let mut entries = vec![(MANIFEST, manifest.as_bytes())];
        entries.extend(payload.iter().map(|(name, data)| (*name, data.as_slice())));
        archive::write(&entries)
    }

    /// Reads a file.
    ///
    /// Errors: the first of: no bundle, unknown version, cut or damaged container, wrong sections, wrong digest, unreadable section, parts
    /// that disagree, not the bytes that `to_bytes` writes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Bundle, BundleError> {
        let first = match archive::entry(bytes, 0) {
            Ok(Some((first, _))) if first.name == MANIFEST => first,
            Err(e) if bytes.starts_with(b"PK\x03\x04") => return Err(container(e)),
            _ => return Err(BundleError::NotABundle),
        };
        if !first.intact() {
            return Err(BundleError::Digest { section: MANIFEST.into() });
        }
        let head: ManifestHead = text(MANIFEST, first.data)?;
        if head.format_version != FORMAT_VERSION {
            return Err(BundleError::UnknownVersion { found: head.format_version, known: FORMAT_VERSION });
        }
        let manifest: Manifest = text(MANIFEST, first.data)?;
        let entries = archive::entries(bytes).map_err(container)?;
        check_names(&entries)?;
        for entry in &entries[1..] {
            let recorded = manifest.sections.iter().find(|s| s.name == entry.name);
            if recorded != Some(&SectionRecord::of(&entry.name, entry.data)) {
                return Err(BundleError::Digest { section: entry.name.clone() });
            }
        }
        let target_text =
            std::str::from_utf8(entries[1].data).map_err(|e| BundleError::Data { section: SECTIONS[1].into(), message: e.to_string() })?;
        let bundle = Bundle {
            target: Target::from_whole_ron(target_text).map_err(BundleError::Target)?,
            image: image_from_bytes(entries[2].data).map_err(BundleError::Image)?,
            host: data(SECTIONS[3], entries[3].data)?,
            symbols: data(SECTIONS[4], entries[4].data)?,
            reference: entries[5].data.to_vec(),
            provenance: Provenance {
                tool: manifest.tool,
                network_name: manifest.network,
                network_digest: manifest.network_digest,
                options: manifest.options,
                seed: manifest.seed,
            },
        };
        let findings = bundle.validate();
        if !findings.is_empty() {
            return Err(BundleError::Invalid { findings });
        }
        check_canonical(&bundle, bytes, &entries)?;
        Ok(bundle)
    }
}

/// The file is what `to_bytes` writes; else the first section that isn't, the manifest and the archive's own fields last.
fn check_canonical(bundle: &Bundle, bytes: &[u8], entries: &[ArchiveEntry]) -> Result<(), BundleError> {
    let payload = bundle.payload();
    let manifest = bundle.manifest(&payload);
    let mut sections: Vec<(&str, &[u8])> = payload.iter().map(|(name, data)| (*name, data.as_slice())).collect();
    let same = |a: &[u8], b: &[u8]| a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let found = entries[1..].iter().chain(&entries[..1]);
    sections.push((MANIFEST, manifest.as_bytes()));
    for (entry, (name, expected)) in found.zip(&sections) {
        if entry.data != *expected {
            let offset = (entry.offset + same(entry.data, expected)) as u64;
            return Err(BundleError::NotCanonical { section: Some((*name).into()), offset });
        }
    }
    sections.rotate_right(1);
    let canonical = archive::write(&sections);
    if canonical == bytes { Ok(()) } else { Err(BundleError::NotCanonical { section: None, offset: same(&canonical, bytes) as u64 }) }
}

/// The sections are those of [`SECTIONS`], each once, in order.
fn check_names(entries: &[ArchiveEntry]) -> Result<(), BundleError> {
    for (i, entry) in entries.iter().enumerate() {
        let name = entry.name.clone();
        if !SECTIONS.contains(&name.as_str()) {
            return Err(BundleError::UnknownSection { name });
        }
        if entries[..i].iter().any(|e| e.name == name) {
            return Err(BundleError::DuplicateSection { name });
        }
    }
    for name in SECTIONS {
        if !entries.iter().any(|e| e.name == name) {
            return Err(BundleError::MissingSection { name: name.into() });
        }
    }
    match entries.iter().zip(SECTIONS).find(|(e, name)| e.name != *name) {
        Some((e, _)) => Err(BundleError::Container { offset: e.offset as u64, expected: "sections in the order of the format" }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{small_analog_bundle, small_bundle};

    /// Positions of the sections' bytes in a file.
    fn ranges(bytes: &[u8]) -> Vec<(String, std::ops::Range<usize>)> {
        archive::entries(bytes).unwrap().iter().map(|e| (e.name.clone(), e.offset..e.offset + e.data.len())).collect()
    }

    /// The file with other sections, digests and checksums being right.
    fn rebuilt(bytes: &[u8], change: impl Fn(&str, &[u8]) -> Vec<u8>) -> Vec<u8> {
        let mut sections: Vec<(String, Vec<u8>)> =
            archive::entries(bytes).unwrap().iter().map(|e| (e.name.clone(), change(&e.name, e.data))).collect();
        let mut manifest = String::from_utf8(sections[0].1.clone()).unwrap();
        for (old, (name, data)) in archive::entries(bytes).unwrap().iter().zip(&sections).skip(1) {
            let (old, new) = (SectionRecord::of(name, old.data), SectionRecord::of(name, data));
            manifest = manifest.replace(&old.blake3, &new.blake3);
            let line = |r: &SectionRecord| format!("name: \"{name}\", bytes: {}", r.bytes);
            manifest = manifest.replace(&line(&old), &line(&new));
        }
        sections[0].1 = manifest.into_bytes();
        archive::write(&sections.iter().map(|(n, d)| (n.as_str(), d.as_slice())).collect::<Vec<_>>())
    }

    #[test]
    fn bundles_come_back() {
        for bundle in [small_bundle(), small_analog_bundle()] {
            let bytes = bundle.to_bytes();
            assert_eq!(Bundle::from_bytes(&bytes).unwrap(), bundle);
            assert_eq!(bundle.to_bytes(), bytes);
            assert_eq!(rebuilt(&bytes, |_, data| data.to_vec()), bytes);
        }
    }

    #[test]
    fn the_manifest_names_everything() {
        let bundle = small_bundle();
        let bytes = bundle.to_bytes();
        let text = bundle.manifest_text();
        assert_eq!(archive::entries(&bytes).unwrap()[0].data, text.as_bytes());
        assert!(text.starts_with("(\n  format_version: 6,\n  tool: \"spikec 0.1.0\",\n  target: \"loihi1\",\n"), "{text}");
        for (name, range) in &ranges(&bytes)[1..] {
            let line = format!("(name: \"{name}\", bytes: {}, blake3: \"{}\")", range.len(), blake3::hash(&bytes[range.clone()]).to_hex());
            assert!(text.contains(&line), "{line}\n{text}");
        }
    }

    #[test]
    fn every_flipped_bit_is_found_and_its_section_named() {
        for bundle in [small_bundle(), small_analog_bundle()] {
            let bytes = bundle.to_bytes();
            let ranges = ranges(&bytes);
            for at in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << (at % 8);
                let error = Bundle::from_bytes(&damaged).expect_err("a flipped bit");
                if let Some((name, _)) = ranges.iter().find(|(_, r)| r.contains(&at)) {
                    assert_eq!(error.section(), Some(name.as_str()), "byte {at}: {error}");
                }
            }
        }
    }

    #[test]
    fn every_cut_and_every_addition_is_found() {
        let bytes = small_bundle().to_bytes();
        for cut in 0..bytes.len() {
            assert!(Bundle::from_bytes(&bytes[..cut]).is_err(), "{cut}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(Bundle::from_bytes(&longer), Err(BundleError::NotCanonical { section: None, offset: bytes.len() as u64 }));
        assert_eq!(Bundle::from_bytes(b"not a bundle"), Err(BundleError::NotABundle));
    }

    #[test]
    fn another_version_is_refused_by_its_number_before_all_else() {
        let manifest = b"(format_version: 27, wheels: [1, 2], sections: \"elsewhere\")";
        let bytes = archive::write(&[(MANIFEST, manifest), ("novelty.bin", b"?")]);
        let error = Bundle::from_bytes(&bytes).unwrap_err();
        assert_eq!(error, BundleError::UnknownVersion { found: 27, known: FORMAT_VERSION });
        assert_eq!(error.to_string(), "bundle format version 27; this tool reads version 6");
    }

    #[test]
    fn sections_must_be_the_right_ones() {
        let bytes = small_bundle().to_bytes();
        let entries = archive::entries(&bytes).unwrap();
        let all: Vec<(&str, &[u8])> = entries.iter().map(|e| (e.name.as_str(), e.data)).collect();
        let with = |entries: &[(&str, &[u8])]| Bundle::from_bytes(&archive::write(entries)).unwrap_err();
        let mut fewer = all.clone();
        fewer.remove(3);
        assert_eq!(with(&fewer), BundleError::MissingSection { name: "host.bin".into() });
        let mut twice = all.clone();
        twice.push(all[2]);
        assert_eq!(with(&twice), BundleError::DuplicateSection { name: "image.bin".into() });
        let mut more = all.clone();
        more.push(("extra.bin", b""));
        assert_eq!(with(&more), BundleError::UnknownSection { name: "extra.bin".into() });
        let mut swapped = all.clone();
        swapped.swap(2, 3);
        assert!(matches!(with(&swapped), BundleError::Container { .. }));
        assert_eq!(with(&[all[1]]), BundleError::NotABundle);
    }

    /// Content with the right digests that isn't what the encoder writes, or that can't be.
    #[test]
    fn right_digests_alone_are_not_enough() {
        let bytes = small_bundle().to_bytes();
        let changed = |section: &'static str, change: fn(&[u8]) -> Vec<u8>| {
            Bundle::from_bytes(&rebuilt(&bytes, |name, data| if name == section { change(data) } else { data.to_vec() })).unwrap_err()
        };
        let spaced = changed("target.ron", |d| [d, b"\n"].concat());
        assert_eq!(spaced.section(), Some("target.ron"), "{spaced}");
        assert!(matches!(spaced, BundleError::NotCanonical { .. }));
        assert!(matches!(changed("target.ron", |_| b"(".to_vec()), BundleError::Target(TargetError::Syntax { .. })));
        assert!(matches!(changed("target.ron", |_| vec![0xff]), BundleError::Data { .. }));
        assert!(matches!(changed("image.bin", |d| d[..d.len() - 1].to_vec()), BundleError::Image(_)));
        let host = changed("host.bin", |d| [d, &[0]].concat());
        assert_eq!(host, BundleError::Data { section: "host.bin".into(), message: "1 bytes too many".into() });
        // A sequence that claims 2^63 elements.
        let hostile = changed("symbols.bin", |_| [&[0xff; 9][..], &[0x01]].concat());
        assert_eq!(hostile.section(), Some("symbols.bin"));
        let manifest = Bundle::from_bytes(&rebuilt(&bytes, |name, data| {
            let text = String::from_utf8_lossy(data);
            if name == MANIFEST { text.replace("target: \"loihi1\"", "target: \"loihi2\"").into_bytes() } else { data.to_vec() }
        }));
        assert_eq!(manifest.unwrap_err().section(), Some("manifest.ron"));
    }

    #[test]
    fn parts_that_disagree_are_all_named() {
        let mut bundle = small_bundle();
        bundle.host.input_axons[0][0].index = 2;
        bundle.host.decoder.outputs[0] = None;
        bundle.symbols.populations[2].skew = 0;
        match Bundle::from_bytes(&bundle.to_bytes()) {
            Err(BundleError::Invalid { findings }) => assert_eq!(findings.len(), 3, "{findings:?}"),
            other => panic!("{other:?}"),
        }
    }
}
