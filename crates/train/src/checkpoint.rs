//! Checkpoints: all that a run needs to go on, in one file.
//!
//! Format: a BLAKE3 hash of the rest (32 bytes), then a safetensors file whose metadata has the scalars as JSON under `run`.
//! Invariant: what is read back is bit for bit what was written; bytes that are cut or changed are refused.

use crate::layers::Layer;
use crate::loss::Judged;
use crate::rewire::Synapses;
use crate::trainer::{Progress, TrainError, Trainer};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Version of the format.
const FORMAT: u32 = 3;

/// Why a checkpoint is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Cut off, or changed.
    #[error("is damaged: its checksum is not that of its content")]
    Damaged,
    /// Of another version of this program.
    #[error("is of format {0}, expected {FORMAT}")]
    Format(u32),
    /// Of another recipe.
    #[error("was made with another recipe: `{key}` was {before}, now it is {now}")]
    Recipe {
        /// First key that differs.
        key: String,
        /// Its value in the checkpoint.
        before: String,
        /// Its value now.
        now: String,
    },
    /// Of other data.
    #[error("was made with other training samples, from another start, or for another chip")]
    Data,
    /// Parts are missing.
    #[error("lacks {0}")]
    Lacks(String),
    /// Whole, but no run can have written it.
    #[error("says what no run of this recipe says: {what} is {found}, expected {expected}")]
    Impossible {
        /// Field or array.
        what: String,
        /// What stands there.
        found: String,
        /// What could.
        expected: String,
    },
}

impl CheckpointError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            CheckpointError::Recipe { .. } | CheckpointError::Data => {
                "resume with the recipe and data that the run was started with, or start another run with another output"
            }
            _ => "start the run anew, without --resume and with another output",
        }
    }
}

/// The scalars; floats as their bits.
#[derive(Debug, Serialize, Deserialize)]
struct Run {
    format: u32,
    recipe: String,
    data: String,
    epoch: u32,
    in_epoch: u64,
    step: u64,
    loss: u64,
    correct: u64,
    samples: u64,
    best: Option<(u32, u64)>,
    settled: bool,
    penalty: u32,
    target: u64,
    before: u64,
}

/// Names and bytes of everything that changes, in a fixed order.
fn visit(trainer: &mut Trainer, mut each: impl FnMut(String, Slot)) {
    let Trainer { model, rewiring, .. } = trainer;
    for (k, p) in model.parameters_mut().into_iter().enumerate() {
        each(format!("{k}.value"), Slot::Floats(&mut p.value));
    }
    for (k, (moments, synapses)) in rewiring.moments.iter_mut().zip(&mut rewiring.synapses).enumerate() {
        each(format!("{k}.first"), Slot::Floats(&mut moments.first));
        each(format!("{k}.second"), Slot::Floats(&mut moments.second));
        match synapses {
            Synapses::All => {}
            Synapses::Signed { strength, sign, cost } => {
                each(format!("{k}.strength"), Slot::Floats(strength));
                each(format!("{k}.sign"), Slot::Signs(sign));
                each(format!("{k}.cost"), Slot::Floats(cost));
            }
            Synapses::Soft { theta, width } => {
                each(format!("{k}.theta"), Slot::Floats(theta));
                each(format!("{k}.width"), Slot::Floats(width));
            }
            Synapses::Masked(mask) => each(format!("{k}.mask"), Slot::Mask(mask)),
        }
    }
    if let Some(grid) = &mut rewiring.grid {
        each("grid".into(), Slot::Floats(&mut grid.step));
        for (k, fine) in grid.fine.iter_mut().enumerate() {
            each(format!("{k}.fine"), Slot::Floats(fine));
        }
    }
    for (k, layer) in model.layers.iter_mut().enumerate() {
        if let Layer::Norm(norm) = layer {
            each(format!("norm{k}.mean"), Slot::Floats(&mut norm.mean));
            each(format!("norm{k}.variance"), Slot::Floats(&mut norm.variance));
        }
    }
}

/// An array of a run.
enum Slot<'a> {
    Floats(&'a mut [f32]),
    Signs(&'a mut [i8]),
    Mask(&'a mut [bool]),
}

impl Trainer {
    /// All that the run needs to go on from here.
    ///
    /// # Errors
    /// A parameter, statistic or moment that is not finite: such a run can't go on.
    pub fn checkpoint(&mut self) -> Result<Vec<u8>, TrainError> {
        self.check_finite()?;
        let p = self.progress;
        let run = Run {
            format: FORMAT,
            recipe: serde_json::to_string(&self.recipe).expect("recipes are plain"),
            data: blake3::Hash::from_bytes(self.digest).to_hex().to_string(),
            epoch: p.epoch,
            in_epoch: p.in_epoch,
            step: p.step,
            loss: p.judged.loss.to_bits(),
            correct: p.judged.correct,
            samples: p.judged.samples,
            best: p.best.map(|(epoch, score)| (epoch, score.to_bits())),
            settled: self.rewiring.settled,
            penalty: self.rewiring.control.penalty.to_bits(),
            target: self.rewiring.control.target.to_bits(),
            before: self.rewiring.control.before.to_bits(),
        };
        let mut arrays: Vec<(String, Dtype, Vec<u8>)> = Vec::new();
        visit(self, |name, slot| {
            arrays.push(match slot {
                Slot::Floats(v) => (name, Dtype::F32, v.iter().flat_map(|x| x.to_le_bytes()).collect()),
                Slot::Signs(v) => (name, Dtype::I8, v.iter().map(|x| *x as u8).collect()),
                Slot::Mask(v) => (name, Dtype::BOOL, v.iter().map(|x| u8::from(*x)).collect()),
            });
        });
        let views = arrays.iter().map(|(name, dtype, bytes)| {
            let n = bytes.len() / if *dtype == Dtype::F32 { 4 } else { 1 };
            (name.as_str(), TensorView::new(*dtype, vec![n], bytes).expect("as many bytes as values need"))
        });
        let json = serde_json::to_string(&run).expect("plain values");
        let metadata = HashMap::from([("run".to_string(), json)]);
        let body = safetensors::serialize(views, Some(metadata)).expect("names differ");
        Ok([blake3::hash(&body).as_bytes(), &body[..]].concat())
    }

    /// Goes on from a checkpoint of this recipe and these samples.
    ///
    /// # Errors
    /// Any [`CheckpointError`]; the run is then not to be used.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), CheckpointError> {
        let (hash, body) = bytes.split_at_checked(32).ok_or(CheckpointError::Damaged)?;
        if blake3::hash(body).as_bytes() != hash {
            return Err(CheckpointError::Damaged);
        }
        let (_, metadata) = SafeTensors::read_metadata(body).map_err(|_| CheckpointError::Damaged)?;
        let file = SafeTensors::deserialize(body).map_err(|_| CheckpointError::Damaged)?;
        let text = metadata.metadata().as_ref().and_then(|m| m.get("run")).ok_or(CheckpointError::Damaged)?;
        let format = serde_json::from_str::<serde_json::Value>(text).ok().and_then(|v| v.get("format")?.as_u64());
        if format != Some(FORMAT.into()) {
            return Err(CheckpointError::Format(format.unwrap_or(0) as u32));
        }
        let run: Run = serde_json::from_str(text).map_err(|_| CheckpointError::Damaged)?;
        // As texts: reading a float from JSON may change its last bit.
        let now = serde_json::to_string(&self.recipe).expect("recipes are plain");
        if run.recipe != now {
            let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap_or_default();
            let (before, now) = (parsed(&run.recipe), parsed(&now));
            let key = difference(&before, &now).unwrap_or_default();
            let of = |value: &serde_json::Value| value.get(&key).map_or("absent".into(), ToString::to_string);
            return Err(CheckpointError::Recipe { before: of(&before), now: of(&now), key });
        }
        if run.data != blake3::Hash::from_bytes(self.digest).to_hex().to_string() {
            return Err(CheckpointError::Data);
        }
        self.check(&run)?;
        let mut lacking = None;
        let mut impossible = None;
        visit(self, |name, slot| {
            let Ok(view) = file.tensor(&name) else {
                lacking.get_or_insert(name);
                return;
            };
            let (bytes, expected) = (
                view.data(),
                match &slot {
                    Slot::Floats(v) => (Dtype::F32, v.len()),
                    Slot::Signs(v) => (Dtype::I8, v.len()),
                    Slot::Mask(v) => (Dtype::BOOL, v.len()),
                },
            );
            if view.dtype() != expected.0 || view.shape() != [expected.1] {
                lacking.get_or_insert(name);
                return;
            }
            let good = match &slot {
                Slot::Floats(_) => bytes.as_chunks::<4>().0.iter().all(|&b| f32::from_le_bytes(b).is_finite()),
                Slot::Signs(_) => bytes.iter().all(|&b| matches!(b as i8, 1 | -1)),
                Slot::Mask(_) => true,
            };
            if !good {
                impossible.get_or_insert(name);
                return;
            }
            match slot {
                Slot::Floats(v) => v.iter_mut().zip(bytes.as_chunks::<4>().0).for_each(|(x, &b)| *x = f32::from_le_bytes(b)),
                Slot::Signs(v) => v.iter_mut().zip(bytes).for_each(|(x, &b)| *x = b as i8),
                Slot::Mask(v) => v.iter_mut().zip(bytes).for_each(|(x, &b)| *x = b != 0),
            }
        });
        if let Some(name) = lacking {
            return Err(CheckpointError::Lacks(name));
        }
        if let Some(name) = impossible {
            return Err(impossible_value(name, "a value that is none", "finite numbers, and signs of 1 or -1"));
        }
        self.progress = Progress {
            epoch: run.epoch,
            in_epoch: run.in_epoch,
            step: run.step,
            judged: Judged { loss: f64::from_bits(run.loss), correct: run.correct, samples: run.samples },
            best: run.best.map(|(epoch, score)| (epoch, f64::from_bits(score))),
        };
        self.rewiring.settled = run.settled;
        self.rewiring.control.penalty = f32::from_bits(run.penalty);
        self.rewiring.control.target = f64::from_bits(run.target);
        self.rewiring.control.before = f64::from_bits(run.before);
        Ok(())
    }

    /// The scalars can be those of a run of this recipe.
    fn check(&self, run: &Run) -> Result<(), CheckpointError> {
        let (epochs, steps) = (self.recipe.epochs, self.steps_in_epoch());
        let at_most = |what: &str, found: u64, most: u64| {
            if found <= most { Ok(()) } else { Err(impossible_value(what, found, format!("at most {most}"))) }
        };
        at_most("epoch", run.epoch.into(), epochs.into())?;
        // The last epoch has no steps after it.
        at_most("in_epoch", run.in_epoch, if run.epoch < epochs { steps - 1 } else { 0 })?;
        let step = u64::from(run.epoch) * steps + run.in_epoch;
        if run.step != step {
            return Err(impossible_value("step", run.step, step.to_string()));
        }
        at_most("samples", run.samples, run.in_epoch.saturating_mul(self.recipe.batch as u64))?;
        at_most("correct", run.correct, run.samples)?;
        at_most("best", run.best.map_or(0, |b| b.0.into()), run.epoch.into())?;
        let penalty = f32::from_bits(run.penalty);
        let (target, before) = (f64::from_bits(run.target), f64::from_bits(run.before));
        if !(f64::from_bits(run.loss).is_finite() && run.best.is_none_or(|b| !f64::from_bits(b.1).is_nan())) {
            return Err(impossible_value("loss or best", "no number", "a number"));
        }
        if !(penalty.is_finite() && penalty >= 0.0 && target > 0.0 && target <= 1.0 && before > 0.0 && before <= 1.0) {
            let found = format!("{penalty}, {target}, {before}");
            return Err(impossible_value("penalty, target and connectivity", found, "finite, and shares above 0 and up to 1"));
        }
        Ok(())
    }
}

fn impossible_value(what: impl Into<String>, found: impl ToString, expected: impl Into<String>) -> CheckpointError {
    CheckpointError::Impossible { what: what.into(), found: found.to_string(), expected: expected.into() }
}

/// The first key of two recipes that differs.
fn difference(a: &serde_json::Value, b: &serde_json::Value) -> Option<String> {
    let (a, b) = (a.as_object()?, b.as_object()?);
    a.keys().chain(b.keys()).find(|k| a.get(*k).map(ToString::to_string) != b.get(*k).map(ToString::to_string)).cloned()
}

#[cfg(test)]
mod tests;
