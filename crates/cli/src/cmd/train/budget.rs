//! A budget of a chip, counted by the compiler while a network trains.
//!
//! In: the recipe's budget, networks as they stand. Out: what each takes as packed, and what a synapse costs at each place.
//! Invariant: what fits was compiled with the options of the command that [`next`](super::next) names. What is far beyond the budget is
//! estimated by its lists' sizes and not compiled: it fits by no count.

use crate::failure::Failure;
use crate::load;
use spikec_chip::Target;
use spikec_chip::bundle::DecoderKind;
use spikec_chip::target::Family;
use spikec_compile::{CompileError, CompileOptions, Input, SoftReset, compile};
use spikec_fit::list::Lists;
use spikec_net::{Float, InputKind, Net, Network, Operator};
use spikec_train::neuron::Reset;
use spikec_train::recipe::{Layer, Loss, Recipe, Target as Wanted};
use spikec_train::rewire::control::{Budget, Usage};
use std::path::Path;

/// Estimated share of a budget from which on a network is not compiled.
const FAR: f64 = 1.3;
/// Share that is said of what does not fit though its words would.
const BEYOND: f64 = 1.02;
/// Share that is said of a network in which nothing reaches the output: more synapses are wanted.
const SILENT: f64 = 0.5;

/// Counts by compiling.
pub struct Packer {
    target: Target,
    cores: Option<u32>,
    words: Option<u64>,
    options: CompileOptions,
}

impl Packer {
    /// For a recipe's budget; `None` where it has none. The chip's file, if it is one, lies relative to the recipe.
    pub fn of(recipe: &Recipe, path: &Path) -> Result<Option<Self>, Failure> {
        let Some(Wanted::Budget { target, cores, memory, weight_bits, .. }) = recipe.sparsity.budget() else { return Ok(None) };
        let target = load::target(&target_name(target, path))?;
        if !matches!(target.family, Family::Packed(_)) {
            let (name, family) = (&target.name, target.family.name());
            let message = format!("`sparsity.target.target` is {name} of the family {family}, expected one of the family Packed");
            return Err(Failure::file(path, message).hint("budgets are counted in words: `spikec target list` names the chips"));
        }
        if let Some(cores) = cores
            && *cores > target.total_cores()
        {
            let message = format!("`sparsity.target.cores` is {cores}, but {} has {} cores", target.name, target.total_cores());
            return Err(Failure::file(path, message).hint("give a smaller number, or another target"));
        }
        let options = CompileOptions {
            weight_bits: *weight_bits,
            decoder: decoder(recipe),
            default_steps: Some(recipe.steps),
            soft_reset: soft_reset(recipe),
            ..CompileOptions::default()
        };
        Ok(Some(Packer { target, cores: *cores, words: *memory, options }))
    }

    /// The chip can be this network, however little is left of it: neurons, and bits of weights.
    ///
    /// # Errors
    /// What it can't be; what is only too large is no error.
    pub fn check(&self, network: &Network, path: &Path) -> Result<(), Failure> {
        let thin = thin(network);
        let net = thin.elaborate(InputKind::Spikes).map_err(|e| Failure::file(path, &e).hint(e.hint()))?;
        let input = Input::Trained { net: &net, digest: thin.digest() };
        let Err(e) = compile(input, &self.target, &self.options, &mut |_| ()) else { return Ok(()) };
        let cannot = |what: String, remedy: String| {
            let message = format!("`sparsity.target`: {} can't be this network, however much is pruned: {what}", self.target.name);
            Err(Failure::file(path, message).hint(remedy))
        };
        match e.beyond_registers() {
            Some(f) => {
                cannot(f.to_string(), format!("change the layers, or take another target (of a network that is there: {})", f.remedy))
            }
            None if e.does_not_fit() || matches!(e, CompileError::NothingLeft(_)) => Ok(()),
            None => cannot(e.to_string(), format!("{} (here: sparsity.target.weight_bits)", e.hint())),
        }
    }

    /// What decides the counts, to be told apart when a run is resumed.
    pub fn digest(&self) -> [u8; 32] {
        *blake3::hash(self.target.to_ron().as_bytes()).as_bytes()
    }

    /// Largest share of a limit that these words are.
    fn share(&self, words: f64) -> f64 {
        let core = f64::from(*self.target.packed().synapse_memory.usable_words);
        let of_cores = self.cores.map(|c| words / (f64::from(c) * core));
        let of_words = self.words.map(|w| words / w as f64);
        of_cores.into_iter().chain(of_words).fold(0.0, f64::max)
    }

    fn lists(&self, net: &Net<Float>) -> Lists<'_> {
        let compartments = (*self.target.packed().core.compartments).min(net.neuron_count() as u32).max(1);
        Lists::new(&self.target, self.options.weight_bits, compartments)
    }
}

/// A target's name, or its file, which lies relative to the recipe at `path`.
pub fn target_name(target: &str, path: &Path) -> String {
    let place = || path.parent().unwrap_or(Path::new("")).join(target).to_string_lossy().into_owned();
    if load::is_target_file(target) { place() } else { target.into() }
}

/// The decoder that the loss trains for.
pub fn decoder(recipe: &Recipe) -> DecoderKind {
    match (recipe.loss, recipe.vote) {
        (Loss::CrossEntropySum | Loss::CrossEntropyLast, _) => DecoderKind::Potential,
        (_, 1) => DecoderKind::Count,
        (_, vote) => DecoderKind::Vote(vote as u32),
    }
}

/// The network with the strongest weight of each row alone: one input for each neuron, one weight for each channel of a kernel.
fn thin(network: &Network) -> Network {
    let mut thin = network.clone();
    for operator in thin.projections.iter_mut().flat_map(|p| &mut p.operators) {
        let (weight, outputs) = match operator {
            Operator::Linear { weight, outputs, .. } => (weight, *outputs),
            Operator::Conv(c) => (&mut c.weight, c.outputs),
            _ => continue,
        };
        let row = weight.len() / (outputs as usize).max(1);
        for row in weight.chunks_mut(row.max(1)) {
            let strongest = (0..row.len()).max_by(|&a, &b| row[a].abs().total_cmp(&row[b].abs()));
            row.iter_mut().enumerate().for_each(|(k, w)| *w = if Some(k) == strongest { *w } else { 0.0 });
        }
    }
    thin
}

/// What stands for soft reset: of neurons without a leak no current can hold what a spike leaves.
pub fn soft_reset(recipe: &Recipe) -> SoftReset {
    let keeps = recipe.layers.iter().any(|layer| matches!(layer, Layer::If { reset: Reset::Soft, .. }));
    if keeps { SoftReset::Leak } else { SoftReset::Exact }
}

/// Words of the lists of a net's projection `name`, or of all.
fn words_of(net: &Net<Float>, name: Option<&str>, lists: &Lists) -> f64 {
    let rows = net.projections.iter().filter(|p| name.is_none_or(|name| p.name == name)).flat_map(|p| p.synapses.rows());
    rows.map(|row| lists.cost(&row.posts().collect::<Vec<_>>())).sum()
}

/// What a synapse of a matrix (outputs, inputs) costs: its part of its axon's list, or what it would add to it.
fn of_matrix(weight: &[f32], inputs: usize, lists: &Lists, word_bits: f64) -> Vec<f32> {
    let outputs = weight.len() / inputs;
    let mut costs = vec![0.0; weight.len()];
    for i in 0..inputs {
        let posts: Vec<u32> = (0..outputs as u32).filter(|&o| weight[o as usize * inputs + i] != 0.0).collect();
        let there = lists.cost(&posts) / posts.len().max(1) as f64;
        let first_absent = (0..outputs as u32).find(|o| posts.binary_search(o).is_err());
        let absent = match first_absent {
            Some(o) if posts.is_empty() => lists.cost(&[o]),
            Some(o) => {
                let mut more = posts.clone();
                more.push(o);
                more.sort_unstable();
                lists.bits(&more).saturating_sub(lists.bits(&posts)) as f64 / word_bits
            }
            None => 0.0,
        };
        for o in 0..outputs {
            costs[o * inputs + i] = if weight[o * inputs + i] != 0.0 { there } else { absent } as f32;
        }
    }
    costs
}

impl Budget for Packer {
    fn usage(&mut self, network: &Network) -> Result<Usage, String> {
        let net = network.elaborate(InputKind::Spikes).map_err(|e| e.to_string())?;
        let lists = self.lists(&net);
        let estimate = words_of(&net, None, &lists);
        let far = Usage { words: estimate as u64, cores: None, share: self.share(estimate), fits: false };
        if far.share > FAR {
            return Ok(far);
        }
        let input = Input::Trained { net: &net, digest: network.digest() };
        match compile(input, &self.target, &self.options, &mut |_| ()) {
            Ok(compiled) => {
                let (words, cores) = (compiled.report.memory_words, compiled.report.cores);
                let share = self.share(words as f64);
                let fits = share <= 1.0 && self.cores.is_none_or(|most| cores <= most);
                Ok(Usage { words, cores: Some(cores), share: if fits { share } else { share.max(BEYOND) }, fits })
            }
            Err(CompileError::NothingLeft(_)) => Ok(Usage { words: 0, cores: Some(0), share: SILENT, fits: false }),
            Err(e) if e.does_not_fit() && e.beyond_registers().is_none() => Ok(Usage { share: far.share.max(BEYOND), ..far }),
            Err(e) => Err(format!("{e} ({})", e.hint())),
        }
    }

    fn marginal_costs(&mut self, network: &Network) -> Result<Option<Vec<Vec<f32>>>, String> {
        let net = network.elaborate(InputKind::Spikes).map_err(|e| e.to_string())?;
        let lists = self.lists(&net);
        let word_bits = f64::from(*self.target.packed().synapse_memory.word_bits);
        let mut costs = Vec::new();
        for projection in &network.projections {
            let mut direct = true;
            for operator in &projection.operators {
                match operator {
                    Operator::Linear { inputs, weight, .. } if direct => {
                        costs.push(of_matrix(weight, *inputs as usize, &lists, word_bits));
                    }
                    _ => {
                        // Its weights are in several lists: each costs its part of all of them.
                        if let Some(weight) = operator.weights() {
                            let there = weight.iter().filter(|w| **w != 0.0).count().max(1);
                            let each = words_of(&net, Some(&projection.name), &lists).max(lists.words_of_one()) / there as f64;
                            costs.push(vec![each as f32; weight.len()]);
                        }
                    }
                }
                direct &= matches!(operator, Operator::Reshape { .. });
            }
        }
        Ok(Some(costs))
    }
}
