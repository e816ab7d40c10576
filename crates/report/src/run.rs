//! What a simulation did: accuracy, latency and energy, spikes, synaptic operations, utilization.

use crate::curve::Curve;
use crate::table::{count, table};
use crate::timing::TimingReport;
use crate::utilization::{self, CoreUse};
use crate::watch::Watched;
use crate::{timing_text, watch};
use serde::Serialize;
use spikec_chip::Bundle;
use spikec_sim::{BatchRun, Counters, Machine, RunOptions};

/// A simulation's report.
#[derive(Debug, Serialize)]
pub struct RunReport {
    /// Network that the bundle was compiled from.
    pub network: String,
    /// Target.
    pub target: String,
    /// Samples run.
    pub samples: usize,
    /// Samples with a label.
    pub labelled: usize,
    /// Of these, samples whose prediction is the label.
    pub correct: usize,
    /// `correct / labelled`; none without labels.
    pub accuracy: Option<f64>,
    /// Class of each sample.
    pub predictions: Vec<u32>,
    /// Steps until the prediction was settled; none where samples ran to their end.
    pub until_decision: Option<UntilDecision>,
    /// Sums over all samples.
    pub totals: Counters,
    /// Spikes of compartments / (compartments in use * chip steps); none without compartments.
    pub firing_share: Option<f64>,
    /// What each core uses of each resource.
    pub utilization: Vec<CoreUse>,
    /// Time and energy; none without timing.
    pub timing: Option<TimingReport>,
    /// Watched compartments in one sample.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub watch: Vec<Watched>,
    /// Accuracy after each step, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curve: Option<Curve>,
}

/// How early the samples ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct UntilDecision {
    /// Samples that ended before their last network step.
    pub samples_that_ended_early: usize,
    /// Fewest network steps run.
    pub min_network_steps: u32,
    /// Mean of the network steps run.
    pub mean_network_steps: f64,
    /// Most network steps run.
    pub max_network_steps: u32,
    /// Mean of the network steps that the samples have.
    pub mean_network_steps_of_whole_samples: f64,
    /// Chip steps run.
    pub chip_steps: u64,
    /// Chip steps of whole samples.
    pub chip_steps_of_whole_samples: u64,
}

impl UntilDecision {
    fn new(batch: &BatchRun, max_skew: u32) -> Self {
        let run: Vec<u32> = batch.samples.iter().map(|s| s.decided_after.unwrap_or(s.steps)).collect();
        let n = run.len().max(1) as f64;
        let mean = |list: &mut dyn Iterator<Item = u32>| list.map(f64::from).sum::<f64>() / n;
        UntilDecision {
            samples_that_ended_early: batch.samples.iter().zip(&run).filter(|(s, run)| **run < s.steps).count(),
            min_network_steps: run.iter().copied().min().unwrap_or(0),
            mean_network_steps: mean(&mut run.iter().copied()),
            max_network_steps: run.iter().copied().max().unwrap_or(0),
            mean_network_steps_of_whole_samples: mean(&mut batch.samples.iter().map(|s| s.steps)),
            chip_steps: batch.totals.chip_steps,
            chip_steps_of_whole_samples: batch.samples.iter().map(|s| u64::from(s.steps) + u64::from(max_skew)).sum(),
        }
    }

    fn text(&self) -> String {
        let saved =
            self.chip_steps_of_whole_samples.saturating_sub(self.chip_steps) as f64 / self.chip_steps_of_whole_samples.max(1) as f64;
        let mut out = format!(
            "decided after {:.2} of {:.2} network steps on average ({} to {}): {:.1} % of the chip steps saved\n",
            self.mean_network_steps,
            self.mean_network_steps_of_whole_samples,
            self.min_network_steps,
            self.max_network_steps,
            100.0 * saved
        );
        if self.samples_that_ended_early == 0 {
            out.push_str("no prediction was settled before its last step; decoders `potential` and `spikes` never are\n");
        }
        out
    }
}

impl RunReport {
    /// From a run with these options.
    pub fn new(machine: &Machine, batch: &BatchRun, options: &RunOptions, labels: Option<&[i64]>, bundle: &Bundle) -> Self {
        let predictions: Vec<u32> = batch.samples.iter().map(|s| s.prediction).collect();
        let labelled = labels.map_or(0, |l| l.len().min(predictions.len()));
        let correct = labels.map_or(0, |l| l.iter().zip(&predictions).filter(|(l, p)| **l == **p as i64).count());
        RunReport {
            network: bundle.provenance.network_name.clone(),
            target: bundle.target.name.clone(),
            samples: predictions.len(),
            labelled,
            correct,
            accuracy: (labelled > 0).then(|| correct as f64 / labelled as f64),
            predictions,
            until_decision: options.until_decision.then(|| UntilDecision::new(batch, bundle.host.max_skew)),
            totals: batch.totals.clone(),
            firing_share: (batch.totals.neuron_accesses > 0)
                .then(|| batch.totals.neuron_spikes as f64 / batch.totals.neuron_accesses as f64),
            utilization: utilization::of_cores(machine.utilization()),
            timing: TimingReport::new(batch, &bundle.target),
            watch: Vec::new(),
            curve: options.curve.then(|| Curve::new(batch, labels, bundle)),
        }
    }

    /// The report as text.
    pub fn text(&self) -> String {
        let mut out = self.headline();
        out.push_str(&self.counts());
        if let Some(share) = self.firing_share {
            out.push_str(&format!("firing: {:.2} % of the compartments in a chip step\n", 100.0 * share));
        }
        out.push_str(&self.registers());
        out.push_str(&utilization::text(&self.utilization));
        if let Some(timing) = &self.timing {
            out.push_str(&timing_text::text(timing, &self.target));
        }
        for watched in &self.watch {
            out.push_str(&watch::text(watched));
        }
        out
    }

    /// Accuracy, latency, energy.
    fn headline(&self) -> String {
        let mut out = format!(
            "simulated {} samples of {} on {}, {} chip steps\n",
            count(self.samples as u64),
            self.network,
            self.target,
            count(self.totals.chip_steps)
        );
        if let Some(accuracy) = self.accuracy {
            out.push_str(&format!(
                "accuracy {:.2} % ({} of {})\n",
                100.0 * accuracy,
                count(self.correct as u64),
                count(self.labelled as u64)
            ));
        }
        if let Some(u) = &self.until_decision {
            out.push_str(&u.text());
        }
        if let Some(curve) = &self.curve {
            out.push_str(&curve.text());
        }
        if let Some(timing) = &self.timing {
            out.push_str(&timing_text::headline(timing));
        }
        out
    }

    fn counts(&self) -> String {
        let t = &self.totals;
        let n = self.samples.max(1) as f64;
        let each = |x: u64| match x as f64 / n {
            mean if mean >= 1000.0 => count(mean.round() as u64),
            mean => format!("{mean:.1}"),
        };
        let rows = [
            ("synaptic operations", t.synaptic_ops),
            ("neuron spikes", t.neuron_spikes),
            ("host spikes", t.host_spikes),
            ("messages", t.messages),
            ("hops", t.hops),
            ("neuron accesses", t.neuron_accesses),
            ("bias writes", t.host_writes),
        ];
        table(&["count", "total", "a sample"], rows.iter().map(|(name, x)| vec![name.to_string(), count(*x), each(*x)])) + "\n"
    }

    fn registers(&self) -> String {
        let t = &self.totals;
        let trouble = [
            ("wraps of u", t.u_wraps),
            ("clips of v", t.v_clips),
            ("input overflows", t.input_overflows),
            ("bias saturations", t.bias_saturations),
        ];
        let seen: Vec<String> = trouble.iter().filter(|(_, x)| *x > 0).map(|(name, x)| format!("{name}: {}", count(*x))).collect();
        let mut out =
            if seen.is_empty() { "no register overflowed\n".into() } else { format!("registers overflowed: {}\n", seen.join(", ")) };
        let lost = [("came to axons that were active already", t.merged_spikes), ("found no room in the scheduler", t.dropped_events)];
        for (why, n) in lost.iter().filter(|l| l.1 > 0) {
            out.push_str(&format!("spikes lost: {} {why}\n", count(*n)));
        }
        out
    }
}
