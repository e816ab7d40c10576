//! Damaged files: every one ends in a network or in an error, soon, and without a panic.

use spikec_import::{ImportError, ImportOptions, read, read_nir};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn sample(name: &str) -> Vec<u8> {
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/nir").join(name)).unwrap()
}

fn options() -> ImportOptions {
    ImportOptions { dt_s: Some(1.0), ..Default::default() }
}

/// A small generator (Knuth's MMIX), so that every run is the same.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) % n as u64) as usize
    }
}

const FILES: [&str; 7] =
    ["written_by_nir.nir", "old_contiguous.nir", "fixed_strings.nir", "nested.nir", "branches.nir", "spatial.nir", "loop.nir"];

/// Reads `rounds` damaged copies of each sample; returns how many were still readable.
fn mutate(rounds: usize, seed: u64) -> usize {
    let mut random = Random(seed);
    let mut readable = 0;
    for name in FILES {
        let whole = sample(name);
        // Unused space is large in such small files: damage where there is something.
        let used: Vec<usize> = (0..whole.len()).filter(|&k| whole[k] != 0).collect();
        for _ in 0..rounds {
            let mut bytes = whole.clone();
            match random.below(4) {
                0 => bytes.truncate(random.below(bytes.len())),
                1 => bytes[used[random.below(used.len())]] ^= 1 << random.below(8),
                2 => {
                    for _ in 0..1 + random.below(8) {
                        bytes[used[random.below(used.len())]] = random.below(256) as u8;
                    }
                }
                _ => {
                    // A length or an address becomes huge.
                    let at = used[random.below(used.len())];
                    let end = (at + 1 + random.below(8)).min(bytes.len());
                    bytes[at..end].fill(0xff);
                }
            }
            let start = Instant::now();
            readable += usize::from(read_nir(&bytes, &options()).is_ok());
            assert!(start.elapsed() < Duration::from_secs(20), "{name} took {:?}", start.elapsed());
        }
    }
    readable
}

#[test]
fn damaged_hdf5_never_panics() {
    let readable = mutate(60, 1);
    assert!(readable > 0 && readable < 420, "{readable} of 420 damaged files could be read");
}

/// `cargo test -p spikec-import --test hostile -- --ignored`
#[test]
#[ignore = "70,000 files"]
fn damaged_hdf5_never_panics_long() {
    for seed in 2..12 {
        assert!(mutate(1000, seed) < 7000);
    }
}

#[test]
fn every_short_file_is_an_error() {
    let whole = sample("nested.nir");
    for len in (0..512).chain((512..whole.len()).step_by(997)) {
        let e = read_nir(&whole[..len], &options()).unwrap_err();
        assert!(!e.to_string().is_empty() && !e.hint().is_empty());
    }
}

#[test]
fn a_graph_inside_of_itself_ends() {
    let e = read_nir(&sample("endless.nir"), &options()).unwrap_err();
    assert!(matches!(&e, ImportError::TooDeep { node, limit: 32 } if node.starts_with("a/a/")), "{e}");
}

#[test]
fn damaged_ron_never_panics() {
    let text = r#"Trained(dt: 1.0, populations: [(name: "a", shape: [2], neurons: Input),
        (name: "b", shape: [1], neurons: Lif(tau: 2, v_threshold: 1.0))],
        projections: [(pre: "a", post: "b", chain: [Linear(weight: [1, 2])])], output: "b")"#;
    let none = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
    read(Path::new("m.ron"), text.as_bytes(), &options(), &none).unwrap();
    let mut random = Random(7);
    let alphabet = b"()[]{},:\"\\/*09.-aZ\n\xff";
    for _ in 0..2000 {
        let mut bytes = text.as_bytes().to_vec();
        match random.below(3) {
            0 => bytes.truncate(random.below(bytes.len())),
            1 => {
                let at = random.below(bytes.len());
                bytes[at] = alphabet[random.below(alphabet.len())];
            }
            _ => bytes.insert(random.below(bytes.len()), alphabet[random.below(alphabet.len())]),
        }
        let _ = read(Path::new("m.ron"), &bytes, &options(), &none);
    }
    let deep = format!("Trained(populations: {}", "[".repeat(100_000));
    assert!(read(Path::new("m.ron"), deep.as_bytes(), &options(), &none).is_err());
}

#[test]
fn small_files_cannot_ask_for_much_memory() {
    let none = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
    let error = |text: &str| read(Path::new("m.ron"), text.as_bytes(), &options(), &none).unwrap_err().to_string();
    let many: String = (0..100).map(|k| format!("(name: \"i{k}\", n: 10000000),")).collect();
    let e = error(&format!("Registers(inputs: [{many}], populations: [], projections: [], output: \"x\")"));
    assert!(e.contains("limit"), "{e}");
    let e = error("Registers(inputs: [(name: \"i\", n: 4294967295)], populations: [], projections: [], output: \"x\")");
    assert!(e.contains("inputs[0].n"), "{e}");
    let chain = "Scale(scale: 1),".repeat(100);
    let e = error(&format!(
        "Trained(dt: 1, populations: [(name: \"a\", shape: [4000, 4000], neurons: Input), (name: \"b\", shape: [1], neurons: Li(tau: 1))],
         projections: [(pre: \"a\", post: \"b\", chain: [{chain}])], output: \"b\")"
    ));
    assert!(e.contains("repeated"), "{e}");
}
