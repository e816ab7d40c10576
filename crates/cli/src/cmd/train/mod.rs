//! `spikec train`: a network from a recipe, with a folder that keeps the run.

mod budget;
mod folder;
mod pictures;

use crate::args::{NetworkArgs, TrainArgs};
use crate::failure::Failure;
use crate::files::{self, Files};
use crate::load;
use crate::save::NetworkFiles;
use budget::Packer;
use folder::Folder;
use indicatif::{ProgressBar, ProgressStyle};
use spikec_chip::bundle::DecoderKind;
use spikec_compile::SoftReset;
use spikec_import::Model;
use spikec_net::Network;
use spikec_train::data::{Samples, SamplesError};
use spikec_train::export;
use spikec_train::recipe::{Encoder, Recipe, RecipeError, Source, Target as Wanted};
use spikec_train::rewire::control::Usage;
use spikec_train::trainer::{Epoch, Test, TrainError, Trainer};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Runs the command.
pub fn run(args: &TrainArgs, json: bool) -> Result<u8, Failure> {
    let text = files::read_text(&args.recipe)?;
    let recipe = Recipe::read(&text).map_err(|e| recipe_failure(&args.recipe, &text, &e))?;
    let mut files = Files::reading(&[&args.recipe]);
    let net = NetworkFiles::claim(&args.output, &mut files)?;
    let mut read = |source: &Source, key: &str| samples(source, key, &args.recipe, &mut files);
    let train = read(&recipe.data.train, "data.train")?;
    // Read and checked now, so that nothing is found to be wrong at the end; looked at then.
    let test = recipe.data.test.as_ref().map(|s| read(s, "data.test")).transpose()?;
    let failed = |e: &TrainError| Failure::file(&args.recipe, e).hint(e.hint());
    let packer = Packer::of(&recipe, &args.recipe)?;
    let start = recipe.start.as_ref().map(|start| network(start, &args.recipe, &mut files)).transpose()?;
    let mut trainer = Trainer::starting(recipe, train, start.as_ref()).map_err(|e| failed(&e))?;
    if let Some(packer) = packer {
        let digest = packer.digest();
        packer.check(&export::network(&trainer.model, &trainer.recipe.name), &args.recipe)?;
        trainer = trainer.with_budget(Box::new(packer), digest);
    }
    let test = test.map(|samples| trainer.check_test(samples)).transpose().map_err(|e| failed(&e))?;
    net.check(&export::network(&trainer.model, &trainer.recipe.name), false)?;
    let mut folder = Folder::open(&args.output, args.resume, &text)?;
    let resumed = match folder.checkpoint()? {
        Some(bytes) => {
            trainer.restore(&bytes).map_err(|e| Failure::file(&folder.path(folder::CHECKPOINT), &e).hint(e.hint()))?;
            true
        }
        None => false,
    };
    folder.start(trainer.progress.epoch as usize)?;
    let bar = bar(&trainer);
    if resumed && !trainer.done() {
        let p = trainer.progress;
        say(&bar, format!("resumed after epoch {} and {} steps", p.epoch, p.in_epoch));
    }
    let began = Instant::now();
    let mut clock = Clock { epoch: Instant::now(), seen: 0, total: 0 };
    while !trainer.done() {
        let batch = trainer.recipe.batch.min(trainer.training_samples());
        let stopped = |e: TrainError| {
            bar.finish_and_clear();
            failed(&e)
        };
        let epoch = trainer.step().map_err(stopped)?;
        clock.seen += batch as u64;
        clock.total += batch as u64;
        let p = trainer.progress;
        bar.set_position(p.step);
        if let Some(epoch) = epoch {
            let line = clock.line(&epoch, &trainer, began);
            bar.set_message(line.clone());
            say(&bar, line);
            let seconds = clock.epoch.elapsed().as_secs_f64();
            folder.metrics(&epoch, seconds, clock.seen as f64 / seconds.max(1e-9))?;
            folder.network("last", &trainer, &args.output)?;
            if epoch.best {
                folder.network("best", &trainer, &args.output)?;
                folder.write(folder::BEST, &trainer.checkpoint().map_err(stopped)?)?;
            }
            pictures::draw(&folder, &trainer)?;
            folder.write(folder::CHECKPOINT, &trainer.checkpoint().map_err(stopped)?)?;
            (clock.epoch, clock.seen) = (Instant::now(), 0);
        } else if trainer.recipe.checkpoint_steps > 0 && p.in_epoch.is_multiple_of(trainer.recipe.checkpoint_steps) {
            folder.write(folder::CHECKPOINT, &trainer.checkpoint().map_err(stopped)?)?;
        }
    }
    bar.finish_and_clear();
    finish(args, trainer, &folder, net, test, json)
}

/// Takes the best network, tests it and writes it.
fn finish(
    args: &TrainArgs,
    mut trainer: Trainer,
    folder: &Folder,
    net: NetworkFiles,
    test: Option<Test>,
    json: bool,
) -> Result<u8, Failure> {
    let chosen = match trainer.progress.best {
        Some((epoch, _)) => {
            let best = folder.path(folder::BEST);
            trainer.restore(&files::read(&best)?).map_err(|e| Failure::file(&best, &e).hint(e.hint()))?;
            epoch
        }
        None => trainer.recipe.epochs,
    };
    let tested = test.map(|samples| trainer.test(&samples));
    let network = export::network(&trainer.model, &trainer.recipe.name);
    files::put_all(net.fill(&network)?)?;
    let synapses = trainer.rewiring.count(&trainer.model.parameters());
    let connectivity = synapses as f64 / trainer.rewiring.weights() as f64;
    let used = if trainer.recipe.sparsity.budget().is_some() { trainer.usage().map(Some) } else { Ok(None) };
    let used = used.map_err(|e| Failure::file(&args.recipe, &e).hint(e.hint()))?;
    let accuracy = tested.map(|t| t.correct as f64 / t.samples.max(1) as f64);
    let over = trainer.progress.best.is_none();
    let result = serde_json::json!({
        "network": args.output, "run": folder.path(""), "epoch": chosen, "synapses": synapses, "weights": trainer.rewiring.weights(),
        "connectivity": connectivity, "test_accuracy": accuracy, "test_samples": tested.map(|t| t.samples), "meets_target": !over,
        "budget": used,
    });
    folder.write("result.json", super::to_json(&result).as_bytes())?;
    if json {
        super::print_json(&result);
        return Ok(0);
    }
    let mut text = format!(
        "{}: network of epoch {chosen}, {synapses} of {} weights are synapses ({:.2} %)\n",
        NetworkFiles::names(&args.output),
        trainer.rewiring.weights(),
        100.0 * connectivity
    );
    if let Some(used) = used {
        text += &format!("{}\n", taken(&used));
    }
    if let Some((accuracy, t)) = accuracy.zip(tested) {
        text += &format!("test accuracy {:.2} % ({} of {})\n", 100.0 * accuracy, t.correct, t.samples);
    }
    if over && used.is_some() {
        text += "no epoch that was counted fits the budget: train longer, raise sparsity.penalty, or set sparsity.settle\n";
    } else if over {
        text +=
            "no epoch had as few synapses as the target: train longer, raise sparsity.penalty, or set sparsity.steer and sparsity.settle\n";
    }
    text += &next(args, &trainer.recipe, &network);
    super::print(&text);
    Ok(0)
}

/// What to do with the network.
fn next(args: &TrainArgs, recipe: &Recipe, network: &Network) -> String {
    let coding = match recipe.data.encoder {
        Encoder::Direct { .. } => " --input-coding bias",
        Encoder::Poisson { .. } | Encoder::Latency { .. } => " --input-coding spikes",
        Encoder::Given => "",
    };
    let decoder = match budget::decoder(recipe) {
        DecoderKind::Potential => " --decoder potential".into(),
        DecoderKind::Vote(vote) => format!(" --decoder vote:{vote}"),
        _ => String::new(),
    };
    let (target, bits) = match recipe.sparsity.budget() {
        Some(Wanted::Budget { target, weight_bits, .. }) => (budget::target_name(target, &args.recipe), *weight_bits),
        _ => ("loihi1".into(), recipe.quantize.as_ref().map_or(8, |q| q.bits)),
    };
    let mut chip = if bits == 8 { target } else { format!("{target} --weight-bits {bits}") };
    let layers = recipe.quantize.iter().flat_map(|q| &q.layers);
    for (layer, bits) in layers {
        // A projection has the names of all that it was made of.
        let named = network.projections.iter().find(|p| p.name.split('+').any(|part| part == layer));
        // What analog values reach is computed on the host.
        if named.is_some_and(|p| p.pre.index() == 0) && matches!(recipe.data.encoder, Encoder::Direct { .. }) {
            continue;
        }
        chip += &format!(" --layer-bits {}={bits}", named.map_or(layer, |p| &p.name));
    }
    let reset = if budget::soft_reset(recipe) == SoftReset::Leak { " --reset leak" } else { "" };
    let net = args.output.display();
    format!("next: spikec compile {net} --target {chip}{coding}{decoder}{reset} --steps {} -o OUT.spkb", recipe.steps)
}

/// What a network takes of a chip.
fn taken(used: &Usage) -> String {
    let words = spikec_report::table::count(used.words);
    let of = format!("{:.1} % of the budget", 100.0 * used.share);
    match used.cores {
        Some(1) => format!("{words} words on 1 core, {of}"),
        Some(cores) => format!("{words} words on {cores} cores, {of}"),
        None => format!("about {words} words, {of}"),
    }
}

/// Times of the run.
struct Clock {
    epoch: Instant,
    seen: u64,
    total: u64,
}

impl Clock {
    fn line(&self, e: &Epoch, trainer: &Trainer, began: Instant) -> String {
        let rate = self.total as f64 / began.elapsed().as_secs_f64().max(1e-9);
        let left = u64::from(trainer.recipe.epochs - e.epoch) as f64 * trainer.training_samples() as f64 / rate.max(1e-9);
        let budget = e.budget.map_or(String::new(), |used| format!(", {}", taken(&used)));
        let validation = e.validation_accuracy.map_or(String::new(), |a| format!(", validation {:.2} %", 100.0 * a));
        format!(
            "epoch {}/{}: loss {:.5}, accuracy {:.2} %{validation}, connectivity {:.2} %{budget}, {rate:.0} images/s, {} left",
            e.epoch,
            trainer.recipe.epochs,
            e.loss,
            100.0 * e.accuracy,
            100.0 * e.connectivity,
            minutes(left)
        )
    }
}

fn minutes(seconds: f64) -> String {
    let s = seconds.round() as u64;
    if s >= 3600 { format!("{}:{:02} h", s / 3600, s / 60 % 60) } else { format!("{}:{:02} min", s / 60, s % 60) }
}

/// A line above the bar, or where there is none.
fn say(bar: &ProgressBar, line: String) {
    if bar.is_hidden() {
        eprintln!("{line}");
    } else {
        bar.println(line);
    }
}

fn bar(trainer: &Trainer) -> ProgressBar {
    let style = ProgressStyle::with_template("[{bar:30}] {pos}/{len} steps, {eta} left").unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(u64::from(trainer.recipe.epochs) * trainer.steps_in_epoch()).with_style(style);
    bar.set_position(trainer.progress.step);
    bar
}

/// Reads samples; paths are relative to the recipe's folder.
fn samples(source: &Source, key: &str, recipe: &Path, files: &mut Files) -> Result<Samples, Failure> {
    let place = |p: &PathBuf| recipe.parent().unwrap_or(Path::new("")).join(p);
    let mut read = |p: &Path| files.read_also(p).and_then(|()| files::read(p));
    let (path, samples) = match source {
        Source::Idx { images, labels } => {
            let (images, labels) = (place(images), place(labels));
            let made = Samples::from_idx(&read(&images)?, &read(&labels)?);
            let at = if matches!(made, Err(SamplesError::Idx("labels", _))) { labels } else { images };
            (at, made)
        }
        Source::Npz(path) => {
            let path = place(path);
            let made = Samples::from_npz(&read(&path)?);
            (path, made)
        }
    };
    samples.map_err(|e| Failure::file(&path, format_args!("{e} ({key} of the recipe)")).hint(e.hint()))
}

/// Reads the network that training starts from; its path is relative to the recipe's folder.
fn network(start: &Path, recipe: &Path, files: &mut Files) -> Result<Network, Failure> {
    let network = recipe.parent().unwrap_or(Path::new("")).join(start);
    files.read_also(&network)?;
    let args = NetworkArgs { network, dt: None, convention: None, discretization: None, repair_edges: false };
    match load::network(&args)?.0 {
        Model::Trained(network) => Ok(network),
        Model::Registers(_) => {
            Err(Failure::file(&args.network, "is in a chip's integers, expected a network in floats (`start` of the recipe)")
                .hint("start from the network that they were made from"))
        }
    }
}

fn recipe_failure(path: &Path, text: &str, e: &RecipeError) -> Failure {
    let failure = Failure::file(path, e).hint(e.hint());
    match e {
        RecipeError::Text { line, column, message } => failure.caret(path, text, *line, *column, message),
        RecipeError::Value { .. } => failure,
    }
}
