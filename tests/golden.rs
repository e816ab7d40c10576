//! A bundle that must not change by accident: its text and the digest of its bytes are committed.
//!
//! After an intended change of the format, of a target or of a stage: `SPIKEC_BLESS=1 cargo test -p spikec --test golden`, and look at the difference.

mod common;

use common::spikec;
use std::path::Path;

#[test]
fn the_tiny_bundle_is_as_committed() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(golden.join("tiny.ron"), folder.path().join("tiny.ron")).unwrap();
    spikec(folder.path(), &["compile", "tiny.ron", "--target", "loihi1", "--steps", "10", "--seed", "7", "-o", "tiny.spkb"]).ok();
    let bytes = std::fs::read(folder.path().join("tiny.spkb")).unwrap();
    let text = spikec(folder.path(), &["inspect", "tiny.spkb"]).ok().out;
    let found = format!("{} bytes, BLAKE3 {}\n\n{text}", bytes.len(), blake3::hash(&bytes).to_hex());
    let path = golden.join("tiny.txt");
    if std::env::var_os("SPIKEC_BLESS").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    if found != expected {
        let first = found.lines().zip(expected.lines()).position(|(a, b)| a != b);
        panic!("the bundle changed, first in line {first:?} (counted from 0); see the head of tests/golden.rs\n{found}");
    }
}
