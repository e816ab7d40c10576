//! SANA-FE 2.2.9: the architecture and the mapped network as its YAML.
//!
//! In: a bundle, and a sample. Out: [`SanaFe`], which writes `arch.yaml`, `snn.yaml` and (with a sample) `expected.json`.
//! Invariant: a group is a core and a neuron a compartment; potentials are in units of 64 of v, so that SANA-FE, which cuts them to
//! 1/64, cuts where the chip does.
//! Why: the facts about SANA-FE on which this rests are in docs/exports.md; tests/external checks them.

mod arch;
mod expected;
mod notes;
mod plan;
mod snn;
#[cfg(test)]
mod tests;

pub use crate::sample::Sample;
pub use notes::Note;

use crate::error::ExportError;
use expected::Expected;
use plan::Plan;
use spikec_chip::{Image, Loadable};
use spikec_sim::timing::Level;
use spikec_sim::{Machine, Record, RunOptions, SampleRun};
use std::io::{self, Write};

/// A bundle, ready to be written for SANA-FE.
#[derive(Debug)]
pub struct SanaFe {
    plan: Plan,
    expected: Option<Expected>,
}

impl SanaFe {
    /// Decodes a bundle and, with a sample, runs it.
    ///
    /// # Errors
    /// [`ExportError`] names what SANA-FE can't run.
    pub fn new(bundle: Loadable<'_>, sample: Option<Sample<'_>>) -> Result<SanaFe, ExportError> {
        if !matches!(bundle.image, Image::Packed(_)) {
            return Err(ExportError::Family { format: "sana-fe", found: bundle.image.family(), expected: "Packed" });
        }
        let machine = Machine::boot_timed(bundle, Level::Analytic)?;
        let run = sample.map(|s| run(&machine, &s)).transpose()?;
        let steps = run.as_ref().map(|r| r.steps);
        let mut plan = Plan::new(bundle, &machine, sample.map(|s| s.stimulus), steps)?;
        let expected = match (&sample, &run) {
            (Some(sample), Some(run)) => {
                plan.note(Note::overflows(&run.counters));
                Some(Expected::new(bundle, &plan, sample.index, run))
            }
            _ => None,
        };
        Ok(SanaFe { plan, expected })
    }

    /// What is not exact.
    pub fn notes(&self) -> &[Note] {
        &self.plan.notes
    }

    /// Groups, neurons and edges of the network.
    pub fn size(&self) -> (usize, usize, u64) {
        self.plan.size()
    }

    /// Writes the architecture.
    ///
    /// # Errors
    /// Where `out` fails.
    pub fn arch(&self, out: &mut dyn Write) -> io::Result<()> {
        arch::write(&self.plan, out)
    }

    /// Writes the mapped network.
    ///
    /// # Errors
    /// Where `out` fails.
    pub fn snn(&self, out: &mut dyn Write) -> io::Result<()> {
        snn::write(&self.plan, out)
    }

    /// What spikec expects of the sample, as JSON; none without a sample.
    pub fn expected(&self) -> Option<String> {
        self.expected.as_ref().map(Expected::json)
    }
}

fn run(machine: &Machine, sample: &Sample<'_>) -> Result<SampleRun, ExportError> {
    let record = Record { spikes: true, ..Record::default() };
    Ok(machine.run(sample.stimulus, &RunOptions { steps: sample.steps, record, ..RunOptions::default() })?)
}
