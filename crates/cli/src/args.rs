//! The raw arguments, exactly as typed. The commands and `load` resolve them.

mod data;
mod fit;
mod mapping;
mod train;

use clap::{Args, Parser, Subcommand, ValueEnum};
pub use data::{
    ChannelsArg, CodingArgs, DataCommand, EventFormatArg, EventsArgs, FrameCodingArg, FramesArgs, IdxArgs, NegativeArg, OutOfRangeArg,
    PolarityOrderArg, RandomArgs, SeveralArg, StartArg,
};
pub use fit::{FitArgs, SaliencyArg, width};
pub use mapping::*;
use std::path::PathBuf;
pub use train::TrainArgs;

/// Compile trained, pruned spiking neural networks onto neuromorphic chips.
#[derive(Debug, Parser)]
#[command(
    name = "spikec",
    version,
    about,
    propagate_version = true,
    max_term_width = 110,
    after_help = "Exit codes: 0 yes; 1 no (does not verify); 2 bad usage or input; 3 does not fit; 101 a bug of ours."
)]
pub struct Cli {
    /// Machine-readable result on stdout.
    #[arg(long, global = true)]
    pub json: bool,
    /// Worker threads, at most 1024 (results never depend on it); default: one for each processor.
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Will it fit? Lists every finding, with a remedy; exit 3 if not.
    Check(CheckArgs),
    /// Compile a network into a chip image (one .spkb bundle).
    Compile(CompileArgs),
    /// Fit a network into a budget: the best one that uses no more cores, chips, synapses or memory.
    Fit(Box<FitArgs>),
    /// Train a network from a recipe, pruning while it learns.
    Train(TrainArgs),
    /// Run a bundle on data with the simulator, which sees the bundle's bits alone.
    Simulate(SimulateArgs),
    /// Prove that a bundle is the network: its image statically, its behaviour spike for spike.
    Verify(VerifyArgs),
    /// Partition and place a bare hypergraph (the benchmark format): no network, no bundle.
    Map(MapArgs),
    /// Show a network, a bundle or a target; compare two.
    Inspect(InspectArgs),
    /// Write a bundle down in another tool's format.
    Export(ExportArgs),
    /// A network made for RANC as a bundle.
    ImportRanc(ImportRancArgs),
    /// Real data files into DATA.npz.
    #[command(subcommand)]
    Data(DataCommand),
    /// One network on several chips, side by side: cores, memory, latency, energy, accuracy.
    Explore(ExploreArgs),
    /// Chip descriptions: list, show, check.
    #[command(subcommand)]
    Target(TargetCommand),
    /// The main job on the built-in example, end to end.
    Quickstart(QuickstartArgs),
    /// Shell completions on stdout.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// `spikec explore`.
#[derive(Debug, Clone, Args)]
#[command(mut_arg("target", |a| a.required(false).hide(true).default_value("")))]
pub struct ExploreArgs {
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Chips: built-in names (`spikec target list`) or .ron files, with commas between them.
    #[arg(long, value_name = "T,T", value_delimiter = ',', required = true)]
    pub targets: Vec<String>,
    /// Samples to run; with labels the table has accuracies.
    #[arg(long, value_name = "DATA.npz")]
    pub input: Option<PathBuf>,
    /// Only the first N samples.
    #[arg(long, value_name = "N")]
    pub samples: Option<usize>,
    #[command(flatten)]
    pub mapping: MappingArgs,
}

/// `spikec check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The network.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Mapping.
    #[command(flatten)]
    pub mapping: MappingArgs,
    /// Say how many cores it takes, how many at least, and why not one core less.
    #[arg(long)]
    pub explain: bool,
}

/// `spikec compile`.
#[derive(Debug, Args)]
pub struct CompileArgs {
    /// The network.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Mapping.
    #[command(flatten)]
    pub mapping: MappingArgs,
    /// At most this much synaptic memory, in bytes (whole words), with --layer-bits auto.
    #[arg(long, value_name = "BYTES")]
    pub memory: Option<u64>,
    /// At most this many cores, with --layer-bits auto.
    #[arg(long, value_name = "N")]
    pub cores: Option<u32>,
    /// The bundle to write.
    #[arg(long, short, value_name = "OUT.spkb")]
    pub output: PathBuf,
    /// Write the whole report as JSON.
    #[arg(long, value_name = "R.json")]
    pub report: Option<PathBuf>,
    /// Write which neurons are on which core, to be edited and given back with --placement.
    #[arg(long, value_name = "PLACEMENT.ron")]
    pub write_placement: Option<PathBuf>,
}

/// Level of timing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TimingArg {
    /// Spikes and counters only.
    None,
    /// Time and energy by sums: the slowest core and the barrier make a step.
    Analytic,
    /// Time and energy with every message on its way through cores, routers and buffers.
    Cycle,
}

/// What to record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RecordArg {
    /// Every spike of every population.
    Spikes,
    /// Potentials of the output population after each network step (of other neurons: --neurons).
    Potentials,
    /// Every message (with timing).
    Messages,
    /// Time and energy of every chip step (with timing).
    Steps,
    /// What every core did in every chip step (with timing).
    Cores,
}

/// When a sample ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UntilArg {
    /// When no later spike can change its prediction.
    Decision,
}

/// `spikec simulate`.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// The bundle.
    #[arg(value_name = "OUT.spkb")]
    pub bundle: PathBuf,
    /// The data.
    #[arg(long, short, value_name = "DATA.npz")]
    pub input: PathBuf,
    /// Only the first N samples.
    #[arg(long, value_name = "N")]
    pub samples: Option<usize>,
    /// Network steps of a sample; default: the data's, else the bundle's.
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub steps: Option<u32>,
    /// Level of timing; the spikes are the same at each.
    #[arg(long, value_name = "LEVEL", default_value = "none")]
    pub timing: TimingArg,
    /// End each sample early.
    #[arg(long, value_name = "WHEN")]
    pub until: Option<UntilArg>,
    /// What to record into the output file.
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    pub record: Vec<RecordArg>,
    /// Record potentials and currents of these neurons: a population, all of it or :A..B (without B), or :i,j (may be given
    /// several times).
    #[arg(long, value_name = "POP[:A..B|:i,j]")]
    pub neurons: Vec<String>,
    /// Show what these compartments do in every chip step of the first sample.
    #[arg(long, value_name = "CORE:COMPARTMENT", value_delimiter = ',', value_parser = place)]
    pub watch: Vec<(u32, u16)>,
    /// Write spike counts, predictions and recordings.
    #[arg(long, short, value_name = "RUN.npz")]
    pub output: Option<PathBuf>,
    /// Write everything that was counted, timed and reckoned as JSON.
    #[arg(long, value_name = "R.json")]
    pub report: Option<PathBuf>,
    /// Write the accuracy after each network step as JSON.
    #[arg(long, value_name = "C.json")]
    pub curve: Option<PathBuf>,
    /// Write the waveform of cores in one sample (with --timing cycle), for GTKWave and its like.
    #[arg(long, value_name = "FILE.vcd")]
    pub vcd: Option<PathBuf>,
    /// Cores in the waveform; default: the first 16 in use.
    #[arg(long, value_name = "CORES", value_delimiter = ',', requires = "vcd")]
    pub vcd_cores: Vec<u32>,
    /// Sample of the waveform, from 0.
    #[arg(long, value_name = "K", default_value_t = 0, requires = "vcd")]
    pub vcd_sample: usize,
}

/// `CORE:COMPARTMENT`.
fn place(text: &str) -> Result<(u32, u16), String> {
    let parsed = text.split_once(':').and_then(|(core, compartment)| Some((core.parse().ok()?, compartment.parse().ok()?)));
    parsed.ok_or_else(|| "expected CORE:COMPARTMENT, two numbers such as 0:17".into())
}

/// `spikec verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The network.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// The bundle.
    #[arg(value_name = "OUT.spkb")]
    pub bundle: PathBuf,
    /// Data for the behaviour check and the loss.
    #[arg(long, short, value_name = "DATA.npz")]
    pub input: Option<PathBuf>,
    /// Measure the loss against this network, such as the one that the network was fitted from; default: the network itself.
    #[arg(long, value_name = "TRAINED", requires = "input")]
    pub trained: Option<PathBuf>,
    /// Only the first N samples.
    #[arg(long, value_name = "N", requires = "input")]
    pub samples: Option<usize>,
    /// Network steps of a sample; default: the data's, else the bundle's.
    #[arg(long, value_name = "T", requires = "input", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub steps: Option<u32>,
}

/// A way to assign neurons to cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StrategyArg {
    /// Last layer first, tiles along the shapes (needs shapes).
    Tiles,
    /// Last layer first, layers grown by overlap (needs layers without loops).
    Layers,
    /// All neurons grown by overlap, then annealed.
    Overlap,
}

impl From<StrategyArg> for spikec_map::portfolio::Strategy {
    fn from(arg: StrategyArg) -> Self {
        match arg {
            StrategyArg::Tiles => Self::Tiles,
            StrategyArg::Layers => Self::Layers,
            StrategyArg::Overlap => Self::Overlap,
        }
    }
}

/// `spikec map`.
#[derive(Debug, Args)]
pub struct MapArgs {
    /// The instance (docs/map-format.md).
    #[arg(value_name = "INSTANCE.npz")]
    pub instance: PathBuf,
    /// Chip: a built-in name or a .ron file; what its cores hold counts, the mesh is a square as large as needed.
    #[arg(long, short, value_name = "T")]
    pub target: String,
    /// Effort of the search.
    #[arg(long, value_name = "E", default_value = "default")]
    pub effort: EffortArg,
    /// Seed.
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// One strategy alone; default: those that suit the instance.
    #[arg(long, value_name = "P")]
    pub partitioner: Option<StrategyArg>,
    /// Do not use the layers' shapes.
    #[arg(long)]
    pub no_shapes: bool,
    /// Write the core of each neuron and the place of each core.
    #[arg(long, short, value_name = "MAP.npz")]
    pub output: Option<PathBuf>,
    /// Write the report as JSON.
    #[arg(long, value_name = "R.json")]
    pub report: Option<PathBuf>,
}

/// Output format of `inspect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// `spikec inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// A network (.nir, .net, .ron), a bundle (.spkb) or a target (.ron or a built-in name).
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Output format.
    #[arg(long, value_name = "F", default_value = "text")]
    pub format: FormatArg,
    /// Show what differs from another file of the same kind; exit 1 if anything does.
    #[arg(long, value_name = "OTHER")]
    pub diff: Option<PathBuf>,
    /// Of a bundle: every synapse of every core as well.
    #[arg(long)]
    pub synapses: bool,
    /// Of a network or a bundle: one layer alone, with a picture of the synapses that stay of each input.
    #[arg(long, value_name = "LAYER", conflicts_with_all = ["diff", "synapses"])]
    pub mask: Option<String>,
    /// Rows and columns of the picture, such as 28x28, where the inputs' shape doesn't say (several channels are added).
    #[arg(long, value_name = "ROWSxCOLUMNS", requires = "mask", value_parser = grid)]
    pub grid: Option<(usize, usize)>,
    /// Write the picture.
    #[arg(long, value_name = "OUT.svg", requires = "mask")]
    pub svg: Option<PathBuf>,
}

/// `ROWSxCOLUMNS`.
fn grid(text: &str) -> Result<(usize, usize), String> {
    let parsed = text.split_once('x').and_then(|(rows, columns)| Some((rows.parse().ok()?, columns.parse().ok()?)));
    parsed.filter(|&(rows, columns)| rows > 0 && columns > 0).ok_or_else(|| "expected ROWSxCOLUMNS, two numbers such as 28x28".into())
}

/// Formats of other tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormatArg {
    /// SANA-FE 2.2.9: arch.yaml, snn.yaml and, with a sample, expected.json.
    SanaFe,
    /// RANC's simulator: input.json, config.json and, with a sample, expected.json.
    RancJson,
    /// RANC's RTL: csram_NNN.mem and tc_NNN.mem of every core of the grid ($readmemb) and, with a sample, events.json and expected.json.
    RancMem,
    /// tinyODIN: spi.txt, neurons.mem, synapses.mem ($readmemh), host.json and, with a sample, events.json and expected.json.
    TinyodinSpi,
    /// ODIN: the same files.
    OdinSpi,
    /// The quantized network as NIR: net.nir.
    Nir,
}

/// `spikec export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The bundle.
    #[arg(value_name = "OUT.spkb")]
    pub bundle: PathBuf,
    /// Format.
    #[arg(long, value_name = "F")]
    pub format: ExportFormatArg,
    /// Folder for the files; it is made if it is not there.
    #[arg(long, short, value_name = "DIR")]
    pub output: PathBuf,
    /// Data: one sample's input becomes part of the network.
    #[arg(long, short, value_name = "DATA.npz")]
    pub input: Option<PathBuf>,
    /// Which sample, from 0.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "input")]
    pub sample: usize,
    /// Network steps of the sample; default: the data's, else the bundle's.
    #[arg(long, value_name = "T", requires = "input", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub steps: Option<u32>,
}

/// `spikec import-ranc`.
#[derive(Debug, Args)]
pub struct ImportRancArgs {
    /// An input file of RANC's simulator: packets, output_bus, cores.
    #[arg(value_name = "INPUT.json")]
    pub file: PathBuf,
    /// A chip of the crossbar family: a built-in name or a .ron file.
    #[arg(long, value_name = "T", default_value = "ranc256_sim")]
    pub target: String,
    /// The bundle.
    #[arg(long, short, value_name = "OUT.spkb")]
    pub output: PathBuf,
    /// The file's packets as data, one sample.
    #[arg(long, value_name = "DATA.npz")]
    pub data: Option<PathBuf>,
    /// Fill up lists of axons, neurons, weights and connections that are shorter than the target's, as RANC's simulator does.
    #[arg(long)]
    pub pad: bool,
    /// Network steps of a sample; default: those of the packets.
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub steps: Option<u32>,
}

/// `spikec target`.
#[derive(Debug, Subcommand)]
pub enum TargetCommand {
    /// The built-in chips.
    List,
    /// Every number of a chip with its source and confidence.
    Show {
        /// A built-in name or a .ron file.
        target: String,
    },
    /// Check a chip description itself.
    Check {
        /// A built-in name or a .ron file.
        target: String,
    },
}

/// `spikec quickstart`.
#[derive(Debug, Args)]
pub struct QuickstartArgs {
    /// Folder for the bundle.
    #[arg(long, short, value_name = "DIR", default_value = "quickstart-out")]
    pub output: PathBuf,
}
