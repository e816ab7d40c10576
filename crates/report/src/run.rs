//! What a simulation did: accuracy, spikes, synaptic operations, utilization.

use crate::table::{bar, count, percent, table};
use serde::Serialize;
use spikec_chip::Bundle;
use spikec_sim::{BatchRun, CoreUtilization, Counters, Machine};

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
    /// Sums over all samples.
    pub totals: Counters,
    /// What each core uses of each resource.
    pub utilization: Vec<CoreUtilization>,
}

impl RunReport {
    /// From a run.
    pub fn new(machine: &Machine, batch: &BatchRun, labels: Option<&[i64]>, bundle: &Bundle) -> Self {
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
            totals: batch.totals.clone(),
            utilization: machine.utilization().to_vec(),
        }
    }

    /// The report as text.
    pub fn text(&self) -> String {
        let t = &self.totals;
        let n = self.samples.max(1) as f64;
        let each = |x: u64| format!("{:.1}", x as f64 / n);
        let mut out = format!(
            "simulated {} samples of {} on {}, {} chip steps\n",
            count(self.samples as u64),
            self.network,
            self.target,
            count(t.chip_steps)
        );
        if let Some(accuracy) = self.accuracy {
            out.push_str(&format!(
                "accuracy {:.2} % ({} of {})\n",
                100.0 * accuracy,
                count(self.correct as u64),
                count(self.labelled as u64)
            ));
        }
        let rows = [
            ("synaptic operations", t.synaptic_ops),
            ("neuron spikes", t.neuron_spikes),
            ("host spikes", t.host_spikes),
            ("messages", t.messages),
            ("hops", t.hops),
            ("neuron updates", t.neuron_updates),
            ("host writes", t.host_writes),
        ];
        out.push_str(&table(&["count", "total", "a sample"], rows.iter().map(|(name, x)| vec![name.to_string(), count(*x), each(*x)])));
        out.push('\n');
        let trouble = [
            ("wraps of u", t.u_wraps),
            ("clips of v", t.v_clips),
            ("input overflows", t.input_overflows),
            ("bias saturations", t.bias_saturations),
        ];
        let seen: Vec<String> = trouble.iter().filter(|(_, x)| *x > 0).map(|(name, x)| format!("{name}: {}", count(*x))).collect();
        out.push_str(&if seen.is_empty() {
            "no register overflowed\n".into()
        } else {
            format!("registers overflowed: {}\n", seen.join(", "))
        });
        let cores: Vec<_> = self.utilization.iter().map(|c| (c.core, c.resources.clone())).collect();
        out.push_str(&utilization(&cores));
        out
    }
}

/// True for what a core holds much of; tables of a few records (formats, profiles) are full without being short.
fn counted(resource: &str) -> bool {
    !["profile", "format", "longest", "of one neuron", "indices", "entry"].iter().any(|small| resource.contains(small))
        || resource.contains("entries")
}

/// A core with (resource, used, available).
pub type CoreRow = (u32, Vec<(&'static str, u64, u64)>);

/// One line a core: the fullest resource, drawn, and the others in figures.
pub fn utilization(cores: &[CoreRow]) -> String {
    const SHOWN: usize = 16;
    let share = |used: u64, available: u64| if available == 0 { 0.0 } else { used as f64 / available as f64 };
    let mut rows = Vec::new();
    for (core, resources) in cores.iter().take(SHOWN) {
        let Some(&(name, used, available)) =
            resources.iter().filter(|r| counted(r.0)).max_by(|a, b| share(a.1, a.2).total_cmp(&share(b.1, b.2)))
        else {
            continue;
        };
        let s = share(used, available);
        rows.push(vec![
            core.to_string(),
            name.to_string(),
            format!("{} / {}", count(used), count(available)),
            percent(used as f64, available as f64),
            format!("{:<20}", bar(s, 20)),
        ]);
    }
    let mut out = table(&["core", "fullest resource", "used / available", "", ""], rows);
    out.push('\n');
    if cores.len() > SHOWN {
        out.push_str(&format!("and {} cores more (--json has them all)\n", cores.len() - SHOWN));
    }
    out
}
