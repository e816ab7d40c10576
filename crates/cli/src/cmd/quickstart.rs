//! `spikec quickstart`: the main job on the example that is built into the binary.

use super::compile::Job;
use crate::args::{
    CodingArg, CopiesArg, EffortArg, KernelsArg, MappingArgs, NetworkArgs, QuantizerArg, QuickstartArgs, ResetArg, SignsArg,
    TimingPolicyArg,
};
use crate::failure::{Failure, NO};
use crate::files::{Files, Output};
use crate::load;
use spikec_data::DataSet;
use spikec_report::run::RunReport;
use spikec_sim::{Level, RunOptions};
use std::path::Path;

const NETWORK: &[u8] = include_bytes!("../../../../examples/quickstart/net.nir");
const SAMPLES: &[u8] = include_bytes!("../../../../examples/quickstart/samples.npz");

/// Runs the command.
pub fn run(args: &QuickstartArgs, json: bool) -> Result<u8, Failure> {
    let say = |text: &str| {
        if !json {
            super::print(text);
        }
    };
    std::fs::create_dir_all(&args.output)
        .map_err(|e| Failure::file(&args.output, format_args!("can't be made: {e}")).hint("name a folder with -o"))?;
    let at = |name: &str| args.output.join(name);
    let (net, data, out) = (at("net.nir"), at("samples.npz"), at("mnist.spkb"));
    Output::create(&net)?.commit(NETWORK)?;
    Output::create(&data)?.commit(SAMPLES)?;
    say("A network pruned by Gradient Rewiring (784-800-10, MNIST, Poisson-coded input) and 500 test images it has not seen.\n");

    say(&format!("$ spikec compile {} --target loihi1 -o {}", net.display(), out.display()));
    let network = NetworkArgs { network: net.clone(), dt: None, convention: None, discretization: None, repair_edges: false };
    let mapping = MappingArgs {
        target: "loihi1".into(),
        calibration: None,
        weight_bits: 8,
        layer_bits: Vec::new(),
        tune: false,
        signs: SignsArg::Mixed,
        quantizer: Some(QuantizerArg::RowScale),
        input_coding: CodingArg::Auto,
        full_scale: None,
        decoder: "count".into(),
        steps: None,
        effort: EffortArg::Default,
        partitioner: "portfolio".into(),
        pins: Vec::new(),
        placement: None,
        copies: CopiesArg::Auto,
        kernels: KernelsArg::Auto,
        axons_per_source: None,
        drop_inputs: false,
        weight_error: 0.5,
        timing_policy: TimingPolicyArg::Exact,
        reset: ResetArg::Exact,
        keep_dead: false,
        seed: 0,
    };
    let output = Output::create(&out)?;
    let job = Job::resolve(&network, &mapping, &mut Files::default())?;
    let compiled = job.compile()?;
    output.commit(&compiled.bundle.to_bytes())?;
    say(&job.header());
    say(&spikec_report::compile::text(&compiled.report));

    // From here on only the files count.
    let bundle = load::bundle(&out)?;
    let set: DataSet = load::data(&data, None)?;
    say(&format!("$ spikec simulate {} --input {} --timing analytic", out.display(), data.display()));
    let machine = super::simulate::boot(&bundle, &out, Level::Analytic)?;
    let options = RunOptions::default();
    let batch = super::simulate::batch(&machine, &set, &options, &data)?;
    let run = RunReport::new(&machine, &batch, &options, set.labels.as_deref(), &bundle);
    say(&run.text());

    say(&format!("$ spikec verify {} {} --input {}", net.display(), out.display(), data.display()));
    let verdict = super::verify::verify(&bundle, &out, (&job.prepared, &job.prepared), Some((&set, Path::new(&data))), None)?;
    say(&verdict.text());
    if json {
        super::print_json(&serde_json::json!({ "compile": compiled.report, "simulate": run, "verify": verdict }));
    }
    say(&format!("Everything is in {}. Next: spikec inspect {}", args.output.display(), out.display()));
    Ok(if verdict.holds() { 0 } else { NO })
}
