//! The folder of a training run.
//!
//! In: what a run says and makes. Out: `recipe.ron`, `metrics.jsonl` (a line an epoch, the same on every machine of a kind),
//! `times.jsonl`, `checkpoint`, and the last and the best network with its masks.
//! Invariant: every file is whole or the one before; a checkpoint is written last, so that what it claims is there.

use crate::failure::Failure;
use crate::files::{self, Output};
use serde::Serialize;
use spikec_train::export;
use spikec_train::trainer::{Epoch, Trainer};
use std::path::{Path, PathBuf};

/// The last checkpoint.
pub const CHECKPOINT: &str = "checkpoint";
/// The checkpoint of the best network.
pub const BEST: &str = "best.checkpoint";
/// Metrics.
pub const METRICS: &str = "metrics.jsonl";
const TIMES: &str = "times.jsonl";
const RECIPE: &str = "recipe.ron";

/// A run's folder.
pub struct Folder {
    path: PathBuf,
    metrics: String,
    times: String,
}

#[derive(Serialize)]
struct Times {
    epoch: u32,
    seconds: f64,
    images_per_second: f64,
}

impl Folder {
    /// The folder of network `net`: made, or there already to be resumed.
    pub fn open(net: &Path, resume: bool, recipe: &str) -> Result<Self, Failure> {
        let path = net.with_extension("run");
        let there = path.exists();
        if there && !resume {
            return Err(Failure::file(&path, "is there already: it keeps a run")
                .hint("--resume goes on with it; else name another output, or move the folder away"));
        }
        if !there && resume {
            return Err(Failure::file(&path, "is not there: nothing to resume").hint("leave --resume out to start the run"));
        }
        if !there {
            std::fs::create_dir(&path).map_err(|e| Failure::file(&path, format_args!("can't be made: {e}")))?;
        }
        let folder = Folder { path, metrics: String::new(), times: String::new() };
        if !folder.path(CHECKPOINT).exists() {
            folder.write(RECIPE, recipe.as_bytes())?;
        }
        Ok(folder)
    }

    /// A file of the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The last checkpoint, where there is one.
    pub fn checkpoint(&self) -> Result<Option<Vec<u8>>, Failure> {
        let path = self.path(CHECKPOINT);
        if path.exists() { files::read(&path).map(Some) } else { Ok(None) }
    }

    /// Keeps the metrics of the first `epochs` epochs: what came after the checkpoint comes again.
    pub fn start(&mut self, epochs: usize) -> Result<(), Failure> {
        let kept = |name: &str| -> Result<String, Failure> {
            let path = self.path(name);
            let text = if path.exists() { files::read_text(&path)? } else { String::new() };
            Ok(text.split_inclusive('\n').take(epochs).collect())
        };
        (self.metrics, self.times) = (kept(METRICS)?, kept(TIMES)?);
        if self.metrics.lines().count() != epochs {
            let what = format!("has {} lines, but the checkpoint was made after {epochs} epochs", self.metrics.lines().count());
            return Err(Failure::file(&self.path(METRICS), what).hint("the folder lost a file: start the run anew with another output"));
        }
        Ok(())
    }

    /// Writes a file whole.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        Output::create(&self.path(name))?.commit(bytes)
    }

    /// Adds an epoch.
    pub fn metrics(&mut self, epoch: &Epoch, seconds: f64, images_per_second: f64) -> Result<(), Failure> {
        self.metrics += &line(epoch);
        self.times += &line(&Times { epoch: epoch.epoch, seconds, images_per_second });
        self.write(METRICS, self.metrics.as_bytes())?;
        self.write(TIMES, self.times.as_bytes())
    }

    /// The metrics so far, a line each.
    pub fn lines(&self) -> impl Iterator<Item = serde_json::Value> + '_ {
        self.metrics.lines().filter_map(|l| serde_json::from_str(l).ok())
    }

    /// The network as it stands, in the format of `net`, and its arrays with masks: all of these files, or none.
    pub fn network(&self, name: &str, trainer: &Trainer, net: &Path) -> Result<(), Failure> {
        let extension = net.extension().unwrap_or_default();
        let path = self.path(name).with_extension(extension);
        let network = export::network(&trainer.model, &trainer.recipe.name);
        let written = spikec_import::write(&network, &path).map_err(|e| Failure::file(&path, &e).hint(e.hint()))?;
        let arrays = (self.path(&format!("{name}.safetensors")), export::arrays(&trainer.model));
        let fill = |(path, bytes): (PathBuf, Vec<u8>)| Output::create(&path)?.fill(|out| out.write_all(&bytes));
        files::put_all(written.into_iter().chain([arrays]).map(fill).collect::<Result<_, _>>()?)
    }
}

fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("metrics hold only strings as keys") + "\n"
}
