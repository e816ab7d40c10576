//! `spikec simulate`: a bundle on data, from its bits alone.

use crate::args::{RecordArg, SimulateArgs, TimingArg};
use crate::failure::Failure;
use crate::files::Files;
use crate::{load, progress};
use spikec_data::{Array, ArrayData, DataSet, write_npz};
use spikec_report::run::RunReport;
use spikec_sim::{BatchRun, Machine, Record, RunOptions};

/// Runs the command.
pub fn run(args: &SimulateArgs, json: bool) -> Result<u8, Failure> {
    let TimingArg::None = args.timing;
    let record = Record {
        spikes: args.record.contains(&RecordArg::Spikes),
        potentials: args.record.contains(&RecordArg::Potentials),
        ..Record::default()
    };
    if (record.spikes || record.potentials) && args.output.is_none() {
        return Err(Failure::input("--record needs a file to record into").hint("add -o RUN.npz"));
    }
    let mut files = Files::reading(&[&args.bundle, &args.input]);
    let output = args.output.as_deref().map(|p| files.output(p)).transpose()?;
    let report_file = args.report.as_deref().map(|p| files.output(p)).transpose()?;
    let bundle = load::bundle(&args.bundle)?;
    let set = load::data(&args.input, args.samples)?;
    load::check_labels(&set, &args.input, &bundle)?;
    let machine = boot(&bundle, &args.bundle)?;
    let options = RunOptions { steps: args.steps, record, ..RunOptions::default() };
    let batch = batch(&machine, &set, &options, &args.input)?;
    let report = RunReport::new(&machine, &batch, set.labels.as_deref(), &bundle);
    if let Some(output) = output {
        output.commit(&run_npz(&batch, &options)?)?;
    }
    if let Some(file) = report_file {
        file.commit(super::to_json(&report).as_bytes())?;
    }
    if json {
        super::print_json(&report);
    } else {
        super::print(&report.text());
    }
    Ok(0)
}

/// Boots a bundle's loadable part.
pub fn boot(bundle: &spikec_chip::Bundle, path: &std::path::Path) -> Result<Machine, Failure> {
    Machine::boot(bundle.loadable()).map_err(|e| Failure::file(path, &e).hint(e.hint()))
}

/// Runs all samples with a progress bar.
pub fn batch(machine: &Machine, set: &DataSet, options: &RunOptions, path: &std::path::Path) -> Result<BatchRun, Failure> {
    let bar = progress::samples("simulating", set.samples.len());
    let run = machine.run_batch(&set.samples, options, &|| bar.inc(1)).map_err(|e| Failure::file(path, &e).hint(e.hint()));
    bar.finish_and_clear();
    run
}

/// RUN.npz: counts, predictions and recordings (docs/run-format.md).
fn run_npz(batch: &BatchRun, options: &RunOptions) -> Result<Vec<u8>, Failure> {
    let n = batch.samples.len();
    let outputs = batch.samples.first().map_or(0, |s| s.out_counts.len());
    let flat = |f: &dyn Fn(&spikec_sim::SampleRun) -> Vec<u32>| -> Vec<u32> { batch.samples.iter().flat_map(f).collect() };
    let mut arrays = vec![
        ("out_spike_counts", Array { shape: vec![n, outputs], data: ArrayData::U32(flat(&|s| s.out_counts.clone())) }),
        ("prediction", Array { shape: vec![n], data: ArrayData::U32(flat(&|s| vec![s.prediction])) }),
    ];
    if options.record.spikes {
        let events: usize = batch.samples.iter().map(|s| s.spikes.len()).sum();
        let column = |data: Vec<u32>| Array { shape: vec![events], data: ArrayData::U32(data) };
        let sample = batch.samples.iter().enumerate().flat_map(|(k, s)| std::iter::repeat_n(k as u32, s.spikes.len())).collect();
        arrays.push(("events_sample", column(sample)));
        arrays.push(("events_t", column(flat(&|s| s.spikes.iter().map(|e| e.step).collect()))));
        arrays.push(("events_chip_step", column(flat(&|s| s.spikes.iter().map(|e| e.chip_step).collect()))));
        arrays.push(("events_population", column(flat(&|s| s.spikes.iter().map(|e| e.population).collect()))));
        arrays.push(("events_i", column(flat(&|s| s.spikes.iter().map(|e| e.neuron).collect()))));
    }
    if options.record.potentials {
        let steps = batch.samples.first().map_or(0, |s| s.output_potentials.len());
        if batch.samples.iter().any(|s| s.output_potentials.len() != steps) {
            return Err(Failure::input("the samples have different lengths: potentials need one").hint("give --steps T"));
        }
        let data: Vec<i32> = batch.samples.iter().flat_map(|s| s.output_potentials.iter().flatten().copied()).collect();
        arrays.push(("potentials", Array { shape: vec![n, steps, outputs], data: ArrayData::I32(data) }));
    }
    Ok(write_npz(&arrays))
}
