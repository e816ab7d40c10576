//! The net whose potentials are wanted, with what it did on the samples.
//!
//! In: a net in floats, samples. Out: [`Teacher`], and what a population of another net hears where that comes from inputs alone.
//! Invariant: inputs spike for every net alike, so their moments are taken once, however many nets the teacher teaches: those of fewer
//! features are a part of them. Cost: see [`crate::moments`], once for each population that hears inputs alone.

use crate::features::{Features, Trains};
use crate::moments::{Kernel, Moments, Raw};
use crate::record::Recording;
use crate::rows::their_neurons;
use spikec_data::Stimulus;
use spikec_net::{Float, Net, PopulationId, ReferenceError};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Most features of a population whose moments are kept for the next net: a matrix of that many squared is 64 MiB.
const LARGEST_KEPT: usize = 4096;

/// A net that teaches others, with what it did.
#[derive(Debug)]
pub struct Teacher<'a> {
    net: Cow<'a, Net<Float>>,
    recording: Cow<'a, Recording>,
    /// Sums over what populations hear, by population.
    kept: Mutex<BTreeMap<usize, Arc<Kept>>>,
}

/// What was summed up, and for which memory of the neurons.
#[derive(Debug)]
struct Kept {
    kernel: Kernel,
    trains: Trains,
    raw: Raw,
}

impl<'a> Teacher<'a> {
    /// A net with its recording.
    pub fn of(net: &'a Net<Float>, recording: &'a Recording) -> Self {
        Teacher { net: Cow::Borrowed(net), recording: Cow::Borrowed(recording), kept: Mutex::default() }
    }

    /// Runs a net; `steps` is for samples that don't say.
    ///
    /// # Errors
    /// A net that can't be interpreted, or a sample that doesn't fit it.
    pub fn run(net: Cow<'a, Net<Float>>, samples: &[Stimulus], steps: Option<u32>) -> Result<Self, ReferenceError> {
        let recording = Cow::Owned(Recording::of_floats(&net, samples, steps)?);
        Ok(Teacher { net, recording, kept: Mutex::default() })
    }

    /// The net.
    pub fn net(&self) -> &Net<Float> {
        &self.net
    }
    /// What it did.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// The teacher's feature of each feature of population `p` of `net`, where both hear inputs alone; `None` where the net hears
    /// something else, or something that the teacher doesn't hear.
    pub fn heard_by_both(&self, net: &Net<Float>, p: PopulationId) -> Option<Vec<u32>> {
        if net.projections.iter().any(|q| q.post == p && !q.synapses.is_empty() && !net.population(q.pre).is_input()) {
            return None;
        }
        let theirs = self.net.populations.iter().position(|t| t.name == net.population(p).name)?;
        self.same_features(net, &Features::of(net, p), &Features::of(&self.net, PopulationId::from(theirs)))
    }

    /// The teacher's feature (of `there`) of each feature `here` of a net; `None` where the teacher lacks one.
    pub(crate) fn same_features(&self, net: &Net<Float>, here: &Features, there: &Features) -> Option<Vec<u32>> {
        let mut of = Vec::with_capacity(here.count);
        for block in &here.blocks {
            let name = &net.projection(block.projection).name;
            let their_block = there.blocks.iter().find(|b| self.net.projection(b.projection).name == *name)?;
            let pre = net.population(block.pre);
            let their_pre = self.net.population(their_block.pre);
            if their_pre.name != pre.name || pre.origin.iter().any(|o| their_pre.origin.binary_search(o).is_err()) {
                return None;
            }
            let (_, neurons) = their_neurons(pre, &self.net);
            for &(delay, i) in &block.sources {
                let at = their_block.sources.binary_search(&(delay, neurons[i as usize])).ok()?;
                of.push(their_block.first + at as u32);
            }
        }
        Some(of)
    }

    /// Moments of the teacher's features `features`, which a population hears that hears as the teacher's population `theirs` does, and
    /// their spikes.
    pub(crate) fn moments(
        &self,
        theirs: PopulationId,
        there: &Features,
        features: &[u32],
        kernel: Kernel,
        damping: f32,
    ) -> (Moments, Trains) {
        let found = self.kept.lock().expect("no thread panics with it").get(&theirs.index()).filter(|k| k.kernel == kernel).cloned();
        let kept = found.unwrap_or_else(|| {
            let trains = Trains::of(there, &self.recording);
            let raw = Raw::of(&trains, None, kernel);
            let kept = Arc::new(Kept { kernel, trains, raw });
            if there.count <= LARGEST_KEPT {
                self.kept.lock().expect("no thread panics with it").insert(theirs.index(), kept.clone());
            }
            kept
        });
        (kept.raw.part(features).profiled(damping), kept.trains.part(features))
    }
}
