//! `spikec explore`: one network on several chips, side by side.

use crate::args::ExploreArgs;
use crate::cmd::compile::Job;
use crate::failure::{DOES_NOT_FIT, Failure};
use crate::files::Files;
use crate::load;
use rayon::prelude::*;
use serde::Serialize;
use spikec_chip::Target;
use spikec_chip::target::Family;
use spikec_compile::{CompileReport, Compiled};
use spikec_data::DataSet;
use spikec_sim::{Level, Machine, RunOptions};

/// Samples that are timed.
const TIMED: usize = 50;

/// A network on a chip.
#[derive(Debug, Serialize)]
struct Row {
    target: String,
    family: &'static str,
    /// Why there is no bundle: the first finding; what follows is 0 then.
    refused: Option<String>,
    cores: u32,
    board_cores: u32,
    /// Bytes of memory that are taken: words, or all that is charged to the cores' budget of bytes; crossings of the cores that are used; or rows.
    memory_bytes: u64,
    /// Steps from an input to the output.
    skew: u32,
    /// Mean time of a sample, in nanoseconds, by the analytic level; none without data.
    latency_ns: Option<f64>,
    /// Mean energy of a sample, in nanojoules.
    energy_nj: Option<f64>,
    /// Times and energies of the target that are guesses: latency and energy are no better.
    guessed: u32,
    /// Share of the labels that the bundle gets right.
    accuracy: Option<f64>,
    /// Share of the samples in which the bundle says the same as the network as trained.
    agreement: Option<f64>,
}

/// Runs the command.
pub fn run(args: &ExploreArgs, json: bool) -> Result<u8, Failure> {
    let mut files = Files::reading(&[]);
    let set = args.input.as_deref().map(|p| load::data(p, args.samples)).transpose()?;
    let mut jobs = Vec::with_capacity(args.targets.len());
    for target in &args.targets {
        let mut mapping = args.mapping.clone();
        mapping.target.clone_from(target);
        jobs.push(Job::resolve(&args.network, &mapping, &mut files)?);
    }
    if let (Some(set), Some(path), Some(job)) = (&set, &args.input, jobs.first())
        && set.width as usize != job.prepared.data_width()
    {
        let message = format!("has {} channels, the network has {} inputs", set.width, job.prepared.data_width());
        return Err(Failure::file(path, message).hint("give data of this network"));
    }
    let trained = match (&set, jobs.first()) {
        (Some(set), Some(job)) => job.trained_predictions(set)?,
        _ => None,
    };
    let rows: Vec<Result<Row, Failure>> = jobs.par_iter().map(|job| row(job, set.as_ref(), trained.as_deref())).collect();
    let rows = rows.into_iter().collect::<Result<Vec<Row>, Failure>>()?;
    if json {
        super::print_json(&rows);
    } else {
        super::print(&jobs[0].header());
        super::print(&text(&rows));
    }
    Ok(if rows.iter().all(|r| r.refused.is_some()) { DOES_NOT_FIT } else { 0 })
}

fn row(job: &Job, set: Option<&DataSet>, trained: Option<&[u32]>) -> Result<Row, Failure> {
    let target = &job.target;
    let mut row = Row {
        target: target.name.clone(),
        family: target.family.name(),
        refused: None,
        cores: 0,
        board_cores: target.usable_cores(),
        memory_bytes: 0,
        skew: 0,
        latency_ns: None,
        energy_nj: None,
        guessed: 0,
        accuracy: None,
        agreement: None,
    };
    let Compiled { bundle, report, .. } = match job.quietly() {
        Ok(compiled) => compiled,
        // What an option or the file does wrong is no property of the chip.
        Err(e) if !e.does_not_fit() && !e.of_target() => return Err(job.failure(&e)),
        Err(e) => {
            row.refused = Some(e.findings().first().map_or_else(|| e.to_string(), |f| f.to_string()));
            return Ok(row);
        }
    };
    (row.cores, row.skew, row.memory_bytes) = (report.cores, report.max_skew, memory(target, &report));
    if let Some(set) = set {
        let failed = |e: &dyn std::fmt::Display| Failure::input(format!("target {}: {e}", target.name));
        let run = RunOptions { steps: job.options.default_steps, ..RunOptions::default() };
        let timed = Machine::boot_timed(bundle.loadable(), Level::Analytic).map_err(|e| failed(&e))?;
        let few = &set.samples[..set.samples.len().min(TIMED)];
        let batch = timed.run_batch(few, &run, &|| ()).map_err(|e| failed(&e))?;
        let view = spikec_report::run::RunReport::new(&timed, &batch, &run, None, &bundle);
        if let Some(timing) = &view.timing {
            row.latency_ns = Some(timing.latency_per_inference.mean_ps / 1e3);
            row.energy_nj = Some(timing.energy_per_inference.mean_pj / 1e3);
            row.guessed = timing.figures.guess;
        }
        let machine = Machine::boot(bundle.loadable()).map_err(|e| failed(&e))?;
        let all = machine.run_batch(&set.samples, &run, &|| ()).map_err(|e| failed(&e))?.samples;
        let share = |right: usize| right as f64 / all.len().max(1) as f64;
        row.accuracy = set.labels.as_ref().map(|l| share(all.iter().zip(l).filter(|(s, l)| i64::from(s.prediction) == **l).count()));
        row.agreement = trained.map(|t| share(all.iter().zip(t).filter(|(s, t)| s.prediction == **t).count()));
    }
    Ok(row)
}

/// Bytes of memory.
fn memory(target: &Target, report: &CompileReport) -> u64 {
    match &target.family {
        Family::Packed(_) => report.memory_bytes(target),
        Family::Crossbar(x) => u64::from(report.cores) * u64::from(*x.core.axons) * u64::from(*x.core.neurons) / 8,
        Family::EventCrossbar(x) => {
            let rows = report.event.as_ref().map_or(0, |e| e.rows);
            u64::from(rows) * u64::from(*x.core.neurons) * u64::from(*x.weights.stored_bits) / 8
        }
    }
}

fn text(rows: &[Row]) -> String {
    let number = |value: Option<f64>, digits: usize| value.map_or("-".into(), |v| format!("{v:.digits$}"));
    let share = |value: Option<f64>| value.map_or("-".into(), |v| format!("{:.2} %", 100.0 * v));
    let heads = ["target", "family", "cores", "memory (kB)", "skew", "latency (us)", "energy (nJ)", "accuracy", "agreement"];
    let mut out = spikec_report::table::table(
        &heads,
        rows.iter().map(|r| {
            let blank = r.refused.is_some();
            let or = |text: String| if blank { "-".to_string() } else { text };
            vec![
                r.target.clone(),
                r.family.into(),
                if blank { "does not fit".into() } else { format!("{} of {}", r.cores, r.board_cores) },
                or(format!("{:.1}", r.memory_bytes as f64 / 1e3)),
                or(r.skew.to_string()),
                number(r.latency_ns.map(|ns| ns / 1e3), 2),
                number(r.energy_nj, 1),
                share(r.accuracy),
                share(r.agreement),
            ]
        }),
    );
    for r in rows {
        if let Some(why) = &r.refused {
            out.push_str(&format!("\n{}: {why}", r.target));
        }
        if r.guessed > 0 {
            out.push_str(&format!("\n{}: latency and energy are by {} guessed figures (confidence: guess)", r.target, r.guessed));
        }
    }
    out
}
