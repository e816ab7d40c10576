//! `spikec simulate`: a bundle on data, from its bits alone.

mod choose;

use crate::args::{SimulateArgs, TimingArg};
use crate::failure::Failure;
use crate::files::Files;
use crate::{load, progress};
use spikec_chip::Bundle;
use spikec_data::{DataSet, write_npz};
use spikec_report::recording::{Recording, arrays};
use spikec_report::run::RunReport;
use spikec_report::waveform;
use spikec_sim::{BatchRun, Level, Machine, Record, RunError, RunOptions};
use std::path::Path;

/// Cores in a waveform where none are named.
const WAVE_CORES: usize = 16;

/// Runs the command.
pub fn run(args: &SimulateArgs, json: bool) -> Result<u8, Failure> {
    choose::check(args)?;
    let mut files = Files::reading(&[&args.bundle, &args.input]);
    let mut create = |path: &Option<std::path::PathBuf>| path.as_deref().map(|p| files.output(p)).transpose();
    let (output, report_file, curve_file, vcd_file) =
        (create(&args.output)?, create(&args.report)?, create(&args.curve)?, create(&args.vcd)?);
    let bundle = load::bundle(&args.bundle)?;
    let set = load::data(&args.input, args.samples)?;
    load::check_labels(&set, &args.input, &bundle)?;
    let options = choose::options(args, &bundle)?;
    let level = choose::level(args.timing);
    let machine = boot(&bundle, &args.bundle, level)?;
    let recording = Recording { options: &options, steps: args.record.contains(&crate::args::RecordArg::Steps), level };
    let plain = RunOptions { record: Record::default(), probes: Vec::new(), curve: false, ..options.clone() };
    choose::check_memory(&recording, &machine, &bundle, &set, || {
        let machine = boot(&bundle, &args.bundle, Level::None)?;
        let counted = batch(&machine, &set, &plain, &args.input)?.totals;
        Ok((counted.neuron_spikes, counted.messages.saturating_add(counted.host_spikes)))
    })?;
    let watched_places = choose::watch(args, &set, &bundle)?;
    let watch = RunOptions { watch: watched_places.clone(), ..plain.clone() };
    let watched = match set.samples.first() {
        Some(first) if !watched_places.is_empty() => {
            let run = machine.run(first, &watch).map_err(|e| failure(&e, args))?;
            spikec_report::watch::watched(&run, &watched_places, &bundle.symbols)
        }
        _ => Vec::new(),
    };
    let wave = if args.vcd.is_some() { Some(wave(args, &machine, &bundle, &set, &plain)?) } else { None };
    let batch = batch(&machine, &set, &options, &args.input)?;
    let mut report = RunReport::new(&machine, &batch, &options, set.labels.as_deref(), &bundle);
    report.watch = watched;

    // Everything is made before the first file is put in its place.
    let mut files = Vec::new();
    if let Some(file) = output {
        let cores: Vec<u32> = machine.utilization().iter().map(|c| c.core).collect();
        files.push((file, write_npz(&arrays(&batch, &recording, &cores, &bundle.target))));
    }
    if let Some(file) = report_file {
        files.push((file, super::to_json(&report).into_bytes()));
    }
    if let (Some(file), Some(curve)) = (curve_file, &report.curve) {
        files.push((file, super::to_json(curve).into_bytes()));
    }
    files.extend(vcd_file.zip(wave));
    for (file, bytes) in files {
        file.commit(&bytes)?;
    }
    if json {
        super::print_json(&report);
    } else {
        super::print(&report.text());
        super::print(next(args));
    }
    Ok(0)
}

/// What to do next.
fn next(args: &SimulateArgs) -> &'static str {
    match args.timing {
        TimingArg::None => "Next: add --timing analytic for latency and energy",
        TimingArg::Analytic => "Next: --timing cycle sends every message through the mesh; --report R.json has every core, link and step",
        TimingArg::Cycle if args.report.is_none() => {
            "Next: --report R.json has every core, link and step; --vcd W.vcd draws cores over time"
        }
        TimingArg::Cycle => "Next: --vcd W.vcd draws cores over time; -o RUN.npz --record messages has every message",
    }
}

/// Boots a bundle's loadable part.
pub fn boot(bundle: &Bundle, path: &Path, level: Level) -> Result<Machine, Failure> {
    Machine::boot_timed(bundle.loadable(), level).map_err(|e| Failure::file(path, &e).hint(e.hint()))
}

/// Runs all samples with a progress bar.
pub fn batch(machine: &Machine, set: &DataSet, options: &RunOptions, path: &Path) -> Result<BatchRun, Failure> {
    let bar = progress::samples("simulating", set.samples.len());
    let run = machine.run_batch(&set.samples, options, &|| bar.inc(1)).map_err(|e| Failure::file(path, &e).hint(e.hint()));
    bar.finish_and_clear();
    run
}

/// An error of one sample's run: what the bundle hasn't is the bundle's, anything else the data's.
fn failure(error: &RunError, args: &SimulateArgs) -> Failure {
    let path = if matches!(error, RunError::Unknown { .. } | RunError::NotInFamily { .. }) { &args.bundle } else { &args.input };
    Failure::file(path, error).hint(error.hint())
}

/// The waveform of a sample as a VCD file.
fn wave(args: &SimulateArgs, machine: &Machine, bundle: &Bundle, set: &DataSet, options: &RunOptions) -> Result<Vec<u8>, Failure> {
    let k = args.vcd_sample;
    let Some(sample) = set.samples.get(k) else {
        return Err(Failure::file(&args.input, format_args!("--vcd-sample {k}: there are {} samples", set.samples.len()))
            .hint(format!("name one of 0 to {}", set.samples.len().saturating_sub(1))));
    };
    let mut cores = args.vcd_cores.clone();
    if cores.is_empty() {
        cores.extend(machine.utilization().iter().take(WAVE_CORES).map(|c| c.core));
    }
    cores.sort_unstable();
    cores.dedup();
    // The events are the same without timing.
    let counted = boot(bundle, &args.bundle, Level::None)?.run(sample, options).map_err(|e| failure(&e, args))?.counters;
    let of_cores: Vec<_> = counted.per_core.iter().filter(|c| cores.binary_search(&c.core).is_ok()).collect();
    let changes = waveform::changes(&of_cores, counted.chip_steps);
    if changes > waveform::MOST_CHANGES {
        return Err(Failure::input(format!(
            "--vcd: the waveform could have {changes} changes, at most {} are supported",
            waveform::MOST_CHANGES
        ))
        .hint("name fewer cores with --vcd-cores, or give fewer --steps"));
    }
    let (_, wave) = machine.run_wave(sample, options, &cores).map_err(|e| failure(&e, args))?;
    let about = format!("{} on {}, sample {k}", bundle.provenance.network_name, bundle.target.name);
    waveform::vcd(&wave, &about).map_err(|e| Failure::input(format!("--vcd: {e}")))
}
