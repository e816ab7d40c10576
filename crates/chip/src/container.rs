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
pub const FORMAT_VERSION: u32 = 1;

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
            BundleError::MissingSection { name } | BundleError::UnknownSection { name } | BundleError::DuplicateSection { name } => Some(name),
            BundleError::Digest { section } | BundleError::Text { section, .. } | BundleError::Data { section, .. } => Some(section),
            BundleError::Target(_) => Some("target.ron"),
            BundleError::Image(_) => Some("image.bin"),
            BundleError::NotCanonical { section, .. } => section.as_deref(),
            BundleError::NotABundle | BundleError::UnknownVersion { .. } | BundleError::Container { .. } | BundleError::Invalid { .. } => None,
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
        let target_text = std::str::from_utf8(entries[1].data).map_err(|e| BundleError::Data { section: SECTIONS[1].into(), message: e.to_string() })?;
        let bundle = Bundle {
            target: Target::from_ron(target_text).map_err(BundleError::Target)?,
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
        let canonical = bundle.to_bytes();
        if canonical != bytes {
            let same = canonical.iter().zip(bytes).take_while(|(a, b)| a == b).count();
            let section = entries.iter().find(|e| (e.offset..e.offset + e.data.len()).contains(&same));
            return Err(BundleError::NotCanonical { section: section.map(|e| e.name.clone()), offset: same as u64 });
        }
        Ok(bundle)
    }
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
