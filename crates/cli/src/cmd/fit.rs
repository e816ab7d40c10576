//! `spikec fit`: the best network within a budget, and the frontier of budgets.

use crate::args::{FitArgs, SaliencyArg};
use crate::cmd::compile::{Job, refuse_auto};
use crate::failure::{DOES_NOT_FIT, Failure};
use crate::files::{self, Files};
use crate::load::{self, Coding, Prepared};
use crate::progress;
use crate::save::NetworkFiles;
use rayon::prelude::*;
use spikec_chip::cost;
use spikec_chip::target::Family;
use spikec_compile::{CompileOptions, Input, Signs, compile};
use spikec_data::DataSet;
use spikec_fit::budget::Budget;
use spikec_fit::fit::{FILL, File, Filed, FitFailure, FitOptions, Fitted, Fitter, Method, Width};
use spikec_fit::frontier::Point;
use spikec_fit::sculpt::Saliency;
use spikec_fit::write::network_of;
use spikec_net::{Float, InputCoding, InputKind, Net, Network, code_inputs};
use spikec_sim::{Level, Machine, RunOptions};
use std::sync::Arc;

/// Steps of the default ladder.
const LADDER: u32 = 10;
/// Samples that are timed for a point of the frontier.
const TIMED: usize = 32;

/// Share of a budget of the ladder that is enough: what a point shows is what it takes.
const ENOUGH: f64 = 0.9;

/// Runs the command.
pub fn run(args: &FitArgs, json: bool) -> Result<u8, Failure> {
    let mut files = Files::reading(&[]);
    let output = args.output.as_deref().map(|p| NetworkFiles::claim(p, &mut files)).transpose()?;
    let mut create = |path: &Option<std::path::PathBuf>| path.as_deref().map(|p| files.output(p)).transpose();
    let (bundle_file, report_file, plot_file) = (create(&args.bundle)?, create(&args.report)?, create(&args.plot)?);
    if let Some(balance) = args.balance.iter().find(|b| !(b.is_finite() && **b > 0.0)) {
        return Err(Failure::input(format!("--balance {balance}: expected a positive number")));
    }
    refuse_auto(&args.mapping, "give --widths: the best of them is taken")?;
    let mut mapping = args.mapping.clone();
    mapping.calibration = mapping.calibration.or_else(|| args.input.clone());
    if mapping.calibration.is_none() {
        return Err(Failure::input("fit needs samples to fit the network to")
            .hint("give --input DATA.npz: some hundred training samples; labels are not needed"));
    }
    let budget = budget(args);
    if budget.is_empty() && !args.frontier {
        return Err(failure(&FitFailure::NoBudget));
    }
    args.test.as_deref().into_iter().try_for_each(|p| files.read_also(p))?;
    let job = Job::resolve(&args.network, &mapping, &mut files)?;
    if !matches!(job.target.family, Family::Packed(_)) {
        let (name, family) = (&job.target.name, job.target.family.name());
        return Err(Failure::input(format!(
            "target {name}: found the family {family}, expected Packed: budgets are counted in its words and axons"
        ))
        .hint("fit for a target of the packed family (`spikec target list`), or train the network for this chip"));
    }
    if args.limits.iter().any(|l| l.0 == "C27") && cost::budget(&job.target.packed().core).is_none() {
        let name = &job.target.name;
        return Err(Failure::input(format!("--limit C27: target {name} has no bytes that all of a core shares (core.core_bytes)"))
            .hint("limit its resources one by one: C01, C02, C03, C05; or give --memory"));
    }
    let Prepared::Trained { network, net, plain, .. } = &job.prepared else {
        return Err(Failure::file(&args.network.network, "is a network in chip integers: its weights are final")
            .hint("fit the network that it was made from"));
    };
    if matches!(job.coding, Coding::Rate(_) | Coding::Latency(_)) {
        return Err(Failure::input(format!("--input-coding {}: a fitted first layer has no place in the file", job.coding.name()))
            .hint("use spikes, or bias"));
    }
    let unrolled = args.unroll.then(|| unrolled(network, job.coding)).transpose().map_err(|e| Failure::file(&args.network.network, e))?;
    let (network, plain, net) = unrolled.as_ref().map_or((&**network, plain, net), |(network, plain, net)| (network, plain, net));
    spikec_fit::write::check(network, plain).map_err(|e| Failure::file(&args.network.network, e.to_string()))?;
    output.as_ref().map_or(Ok(()), |files| files.check(network, args.bundle.is_some()))?;
    let file = |fitted: &Net<Float>| filed(network, plain, fitted, job.coding);
    if args.frontier {
        let points = frontier(args, &job, net, &file)?;
        if let Some(file) = plot_file {
            let title = format!("{} on {}", net.name, job.target.name);
            file.commit(spikec_report::fit::frontier_svg(&title, &points).as_bytes())?;
        }
        if let Some(file) = report_file {
            file.commit(super::to_json(&points).as_bytes())?;
        }
        if json {
            super::print_json(&points);
        } else {
            super::print(&job.header());
            super::print(&spikec_report::fit::frontier_text(&points));
        }
        return Ok(0);
    }
    let options = options(args, &job, &["3/5", "4/5", "2/4s"]);
    let bar = progress::stages();
    let mut say = |stage: &str| {
        bar.set_message(stage.to_string());
        bar.tick();
    };
    let fitted = Fitter::new(net, &job.target, &job.options.calibration, options, std::slice::from_ref(&budget), &file, &mut say)
        .and_then(|fitter| fitter.fit(&budget, &mut say));
    bar.finish_and_clear();
    let fitted = fitted.map_err(|e| failure(&e))?;
    let mut written = output.map_or(Ok(Vec::new()), |files| files.fill(&fitted.filed.network))?;
    if let Some(file) = bundle_file {
        written.push(file.fill(|out| out.write_all(&fitted.compiled.bundle.to_bytes()))?);
    }
    if let Some(file) = report_file {
        written.push(file.fill(|out| out.write_all(super::to_json(&report(&fitted)).as_bytes()))?);
    }
    files::put_all(written)?;
    if json {
        super::print_json(&report(&fitted));
    } else {
        super::print(&job.header());
        super::print(&spikec_report::fit::text(&fitted.report));
        super::print(&spikec_report::compile::text(&fitted.compiled.report));
        super::print(&next(args));
    }
    Ok(0)
}

fn next(args: &FitArgs) -> String {
    let Some(path) = args.output.as_deref() else { return String::new() };
    let (out, all) = (path.display(), NetworkFiles::names(path));
    let trained = args.network.network.display();
    match &args.bundle {
        Some(bundle) => {
            let bundle = bundle.display();
            format!("{all}, {bundle} written. Next: spikec verify {out} {bundle} --trained {trained} --input DATA.npz")
        }
        None => format!("{all} written. Give --bundle OUT.spkb for the chip image with the widths and scales that were chosen"),
    }
}

fn report(fitted: &Fitted<Network>) -> serde_json::Value {
    serde_json::json!({ "fit": fitted.report, "compile": fitted.compiled.report })
}

fn budget(args: &FitArgs) -> Budget {
    Budget { cores: args.cores, chips: args.chips, synapses: args.synapses, memory_bytes: args.memory, core_limits: args.limits.clone() }
}

fn method(args: &FitArgs) -> Method {
    let saliency = match args.saliency {
        SaliencyArg::Magnitude => Saliency::Magnitude,
        SaliencyArg::LayerMagnitude => Saliency::LayerMagnitude,
        SaliencyArg::Activity => Saliency::Activity,
        SaliencyArg::SecondOrder => Saliency::SecondOrder,
    };
    Method { saliency, chip_cost: !args.plain && !budget(args).is_of_synapses(), reconstruct: !args.no_refit, tune: !args.no_tune }
}

fn options(args: &FitArgs, job: &Job, widths: &[&str]) -> FitOptions {
    let width = |(bits, output_bits, split)| Width { bits, output_bits, signs: if split { Signs::Split } else { Signs::Mixed } };
    let widths = match &args.widths[..] {
        [] => widths.iter().map(|w| width(crate::args::width(w).expect("ours are well formed"))).collect(),
        given => given.iter().copied().map(width).collect(),
    };
    let mut compile = job.options.clone();
    let chosen = ["weight-bits", "signs", "quantizer"];
    compile.provenance.retain(|(name, _)| !chosen.contains(&name.as_str()));
    FitOptions { method: method(args), widths, balances: args.balance.clone(), unroll: args.unroll, fill: FILL, compile }
}

/// The network with a matrix for each chain, and its nets without and with the coding of the inputs.
fn unrolled(network: &Network, coding: Coding) -> Result<(Network, Net<Float>, Net<Float>), String> {
    let network = network.unrolled().map_err(|e| e.to_string())?;
    let (plain, net) = nets(&network, coding)?;
    Ok((network, plain, net))
}

/// The net of a network, without and with the coding of its inputs.
fn nets(network: &Network, coding: Coding) -> Result<(Net<Float>, Net<Float>), String> {
    let (kind, coded) = match coding {
        Coding::Spikes => (InputKind::Spikes, InputCoding::Spikes),
        _ => (InputKind::Analog, InputCoding::Bias),
    };
    let plain = network.elaborate(kind).map_err(|e| e.to_string())?;
    let net = code_inputs(plain.clone(), coded).map_err(|e| e.to_string())?;
    Ok((plain, net))
}

/// The fitted net as its file will be read.
fn filed(network: &Network, plain: &Net<Float>, fitted: &Net<Float>, coding: Coding) -> Result<Filed<Network>, String> {
    let network = network_of(network, plain, fitted).map_err(|e| e.to_string())?;
    let (_, net) = nets(&network, coding)?;
    Ok(Filed { digest: network.digest(), net, network })
}

fn failure(error: &FitFailure) -> Failure {
    let failure = Failure::input(error).hint(error.hint());
    match error {
        FitFailure::TooSmall(_) => failure.code(DOES_NOT_FIT),
        FitFailure::Compile(e) if e.does_not_fit() => failure.findings(e.findings()).code(DOES_NOT_FIT),
        _ => failure,
    }
}

/// Fits to every budget of the ladder, by the method asked for and by magnitude.
fn frontier(args: &FitArgs, job: &Job, net: &Net<Float>, file: &File<Network>) -> Result<Vec<Point>, Failure> {
    let test = args.test.as_deref().map(|p| load::data(p, None)).transpose()?;
    if let (Some(test), Some(path)) = (&test, &args.test)
        && test.width as usize != job.prepared.data_width()
    {
        let message = format!("has {} channels, the network has {} inputs", test.width, job.prepared.data_width());
        return Err(Failure::file(path, message).hint("test with data of this network"));
    }
    let test = test.as_ref().map(|set| Test::new(set, job)).transpose()?;
    let bar = progress::stages();
    let mut say = |stage: &str| {
        bar.set_message(stage.to_string());
        bar.tick();
    };
    let own = options(args, job, &["3/5"]);
    let ladder = if args.ladder.is_empty() { ladder(net, job, &own.widths)? } else { args.ladder.clone() };
    let magnitude = Method { saliency: Saliency::Magnitude, chip_cost: false, reconstruct: true, tune: !args.no_tune };
    let mut methods = vec![own.method];
    methods.extend((own.method != magnitude).then_some(magnitude));
    let mut points = Vec::new();
    let budgets: Vec<Budget> = ladder.iter().map(|&bytes| Budget { memory_bytes: Some(bytes), ..Budget::default() }).collect();
    for method in methods {
        let options = FitOptions { method, fill: ENOUGH, ..own.clone() };
        let fitter = Fitter::new(net, &job.target, &job.options.calibration, options, &budgets, file, &mut say).map_err(|e| failure(&e))?;
        let one = |(budget, &bytes): (&Budget, &u64)| -> Result<Option<Point>, Failure> {
            let mut say = |stage: &str| {
                bar.set_message(format!("{bytes} bytes, {}: {stage}", spikec_report::fit::method(&method)));
                bar.tick();
            };
            match fitter.fit(budget, &mut say) {
                Ok(fitted) => Ok(Some(point(&fitted, bytes, method, job, test.as_ref())?)),
                Err(FitFailure::TooSmall(_)) => Ok(None),
                Err(e) => Err(failure(&e)),
            }
        };
        let found: Vec<Result<Option<Point>, Failure>> = budgets.par_iter().zip(&ladder).map(one).collect();
        for point in found {
            points.extend(point?);
        }
    }
    bar.finish_and_clear();
    Ok(points)
}

/// Bytes of the budgets: what the net takes unpruned at the first width, then each a smaller share, down to a thirtieth of a core.
fn ladder(net: &Net<Float>, job: &Job, widths: &[Width]) -> Result<Vec<u64>, Failure> {
    let options = CompileOptions { weight_bits: widths[0].bits, calibration: Arc::default(), ..job.options.clone() };
    let whole = compile(Input::Trained { net, digest: [0; 32] }, &job.target, &options, &mut |_| ());
    let packed = job.target.packed();
    let word_bytes = u64::from(*packed.synapse_memory.word_bits) / 8;
    let core = u64::from(*packed.synapse_memory.usable_words);
    let words = whole.as_ref().map_or(core, |c| c.report.memory_words);
    // What is charged beside the words stays, where cores have a budget of bytes.
    let beside = whole.as_ref().map_or(0, |c| c.report.memory_bytes(&job.target).saturating_sub(words * word_bytes));
    let whole = words.max(64) as f64;
    let least = (core as f64 / 32.0).min(whole / 4.0);
    let ratio = (least / whole).powf(1.0 / f64::from(LADDER - 1));
    Ok((0..LADDER).map(|k| (whole * ratio.powi(k as i32)).round() as u64 * word_bytes + beside).collect())
}

/// Samples to measure on, with what the trained network says to them.
struct Test<'a> {
    set: &'a DataSet,
    trained: Vec<u32>,
}

impl<'a> Test<'a> {
    fn new(set: &'a DataSet, job: &Job) -> Result<Self, Failure> {
        Ok(Test { set, trained: job.trained_predictions(set)?.expect("the network is in floats") })
    }
}

fn point(fitted: &Fitted<Network>, allowed_bytes: u64, method: Method, job: &Job, test: Option<&Test>) -> Result<Point, Failure> {
    let (bundle, report) = (&fitted.compiled.bundle, &fitted.compiled.report);
    let trouble = |e: &dyn std::fmt::Display| Failure::input(format!("the fitted bundle can't be run: {e}"));
    let timed = Machine::boot_timed(bundle.loadable(), Level::Analytic).map_err(|e| trouble(&e))?;
    let run = RunOptions { steps: job.options.default_steps, ..RunOptions::default() };
    let samples = test.map_or(&*job.options.calibration, |t| &t.set.samples);
    let few = &samples[..samples.len().min(TIMED)];
    let batch = timed.run_batch(few, &run, &|| ()).map_err(|e| trouble(&e))?;
    let events = batch.totals.synaptic_ops as f64 / few.len() as f64;
    let report_of = spikec_report::run::RunReport::new(&timed, &batch, &run, None, bundle);
    let timing = report_of.timing.as_ref();
    let (mut accuracy, mut agreement) = (None, None);
    if let Some(test) = test {
        let machine = Machine::boot(bundle.loadable()).map_err(|e| trouble(&e))?;
        let predictions: Vec<u32> =
            machine.run_batch(&test.set.samples, &run, &|| ()).map_err(|e| trouble(&e))?.samples.iter().map(|s| s.prediction).collect();
        let share = |right: usize| right as f64 / predictions.len().max(1) as f64;
        agreement = Some(share(predictions.iter().zip(&test.trained).filter(|(a, b)| a == b).count()));
        accuracy = test.set.labels.as_ref().map(|l| share(predictions.iter().zip(l).filter(|(p, l)| i64::from(**p) == **l).count()));
    }
    Ok(Point {
        method,
        allowed_bytes,
        memory_bytes: report.memory_bytes(&job.target),
        words: report.memory_words,
        width: fitted.report.width,
        cores: report.cores,
        synapses: report.synapses_on_chip,
        score: fitted.report.score,
        accuracy,
        agreement,
        synaptic_ops: events,
        energy_pj: timing.map_or(0.0, |t| t.energy_per_inference.mean_pj),
        latency_ps: timing.map_or(0.0, |t| t.latency_per_inference.mean_ps),
    })
}
