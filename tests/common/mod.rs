//! What tests of the command line share.
#![allow(dead_code, reason = "each test binary uses a part")]

use assert_cmd::Command;
use std::path::{Path, PathBuf};

/// A file or folder of `examples/`.
pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

/// A folder with the Poisson example's files and a bundle of it.
pub fn compiled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["net.nir", "samples.npz"] {
        std::fs::copy(example("mnist-gradr-poisson").join(file), folder.path().join(file)).unwrap();
    }
    spikec(folder.path(), &["compile", "net.nir", "--target", "loihi1", "-o", "net.spkb", "--report", "report.json"]).ok();
    folder
}

/// Runs the binary in a folder.
pub fn spikec(folder: &Path, args: &[&str]) -> Run {
    let output = Command::cargo_bin("spikec").expect("built").current_dir(folder).args(args).output().expect("runs");
    Run {
        code: output.status.code().expect("no signal"),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// What a run of the binary gave.
pub struct Run {
    /// Exit code.
    pub code: i32,
    /// Stdout.
    pub out: String,
    /// Stderr.
    pub err: String,
}

impl Run {
    /// The run succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }
    /// The run failed with this code, said all of these, and did not panic.
    #[track_caller]
    pub fn fails(self, code: i32, says: &[&str]) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        for text in says {
            assert!(self.err.contains(text) || self.out.contains(text), "no `{text}` in\n{}\n{}", self.out, self.err);
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }
    /// Stdout as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}:\n{}", self.out))
    }
}
