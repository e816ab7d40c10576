//! The raw arguments, exactly as typed. The commands and `load` resolve them.

mod data;
mod fit;
mod train;

use clap::{Args, Parser, Subcommand, ValueEnum};
pub use data::{
    ChannelsArg, CodingArgs, DataCommand, EventFormatArg, EventsArgs, FrameCodingArg, FramesArgs, IdxArgs, NegativeArg, OutOfRangeArg,
    PolarityOrderArg, RandomArgs, SeveralArg, StartArg,
};
pub use fit::{FitArgs, SaliencyArg, width};
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

/// Options that say how a network file is read.
#[derive(Debug, Clone, Args)]
pub struct NetworkArgs {
    /// The network: a .nir or .net file, or a .ron model beside its arrays.
    #[arg(value_name = "NET")]
    pub network: PathBuf,
    /// Length of a network step in the file's unit of time (seconds in NIR); overrides the file's own.
    #[arg(long, value_name = "S")]
    pub dt: Option<f64>,
    /// What NIR can't say (fires at > or >=, kind of reset): the framework that the network comes from.
    #[arg(long, value_name = "C", value_parser = ["nir", "spikingjelly", "snntorch", "norse", "sinabs", "lava"])]
    pub convention: Option<String>,
    /// How continuous time becomes steps (default: the convention's).
    #[arg(long, value_name = "D")]
    pub discretization: Option<DiscretizationArg>,
    /// Edges of a NIR graph may name nodes loosely (`lif` for `lif1`) where one node alone fits; what is changed is reported.
    #[arg(long)]
    pub repair_edges: bool,
}

/// How continuous time becomes steps.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum DiscretizationArg {
    /// Forward Euler.
    Euler,
    /// Exact exponential.
    Exact,
}

/// How data become spikes or currents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CodingArg {
    /// The kind of the calibration data where given, else spikes.
    Auto,
    /// The data are spikes.
    Spikes,
    /// Analog values become bias registers, computed by the host for each sample.
    #[value(alias = "direct")]
    Bias,
    /// Analog values become spike rates, so that the first layer runs on the chip.
    Rate,
    /// Analog values become spike times, so that the first layer runs on the chip.
    Latency,
}

/// Widths of layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerBitsArg {
    /// A layer's own width.
    Width(String, u8),
    /// A search finds the others'.
    Auto,
}

/// A number above 0.
fn positive(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|v: &f64| v.is_finite() && *v > 0.0).ok_or_else(|| format!("`{text}` is no number above 0"))
}

/// `LAYER=N` or `auto`.
fn layer_bits(text: &str) -> Result<LayerBitsArg, String> {
    if text == "auto" {
        return Ok(LayerBitsArg::Auto);
    }
    let (layer, bits) = text.rsplit_once('=').ok_or("expected LAYER=N, or auto")?;
    let bits = bits.parse().map_err(|_| format!("`{bits}` is no number of bits"))?;
    if (1..=8).contains(&bits) { Ok(LayerBitsArg::Width(layer.to_owned(), bits)) } else { Err(format!("{bits} bits: expected 1 to 8")) }
}

/// Quantization method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum QuantizerArg {
    /// One scale for a layer, from the largest weight.
    MaxAbs,
    /// Scales of neurons in the chip's threshold classes, of least squared weight error.
    RowScale,
    /// Weights, scales and biases of least error in the neurons' potentials while the calibration data run.
    Reconstruct,
}

/// How projections of both signs are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SignsArg {
    /// In entries of mixed signs, where the sign takes a bit of each weight.
    Mixed,
    /// In excitatory and inhibitory entries: twice the levels for the same width, for more entries.
    Split,
}

/// Effort of the search, in work units (never in seconds).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EffortArg {
    /// A first good mapping.
    Fast,
    /// Annealed, placed and settled.
    Default,
    /// For long, with more starts.
    Best,
}

/// Copies of neurons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CopiesArg {
    /// Each neuron on one core.
    None,
    /// Neurons on several cores where it saves energy or output axons.
    Auto,
}

/// Words of synaptic memory that input axons share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KernelsArg {
    /// Shared where the network repeats lists of weights, as convolutions do.
    Auto,
    /// Shared wherever two lists of a core are equal but for an offset.
    Shared,
    /// Each input axon has a list of its own.
    Unrolled,
}

/// What becomes of loops that the chip can't time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TimingPolicyArg {
    /// Refused, by name.
    Exact,
    /// Their longest edge acts later, as the bundle declares.
    AllowLag,
}

/// What may stand for a reset by subtraction, on chips that reset to zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ResetArg {
    /// Subtraction, or a refusal.
    Exact,
    /// Subtraction, and potentials that don't leak may leak as slowly as the chip's currents can.
    Leak,
    /// A reset to zero: another network, as the bundle declares.
    Hard,
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

/// Options of mapping, shared by `check` and `compile`.
#[derive(Debug, Clone, Args)]
pub struct MappingArgs {
    /// Chip: a built-in name (`spikec target list`) or a .ron file.
    #[arg(long, short, value_name = "T")]
    pub target: String,
    /// Data for calibration, without labels: weights are chosen by what neurons do with it (--quantizer), cores by how much they talk; it
    /// tells the kind of input and the scale of analog values.
    #[arg(long, value_name = "DATA.npz")]
    pub calibration: Option<PathBuf>,
    /// Stored width of a weight in bits.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=8))]
    pub weight_bits: u8,
    /// Width of one layer's weights, by the projection's name; repeatable. `auto` (compile only): the widths of all other layers with which
    /// the bundle keeps --memory or --cores and the network changes least, none above --weight-bits.
    #[arg(long, value_name = "LAYER=N|auto", value_parser = layer_bits)]
    pub layer_bits: Vec<LayerBitsArg>,
    /// After reconstruction, tune all layers together on their grids until the outputs fire as the trained network's on the calibration
    /// data (some thousand samples; no labels).
    #[arg(long, requires = "calibration")]
    pub tune: bool,
    /// How projections of both signs are stored.
    #[arg(long, value_name = "S", default_value = "mixed")]
    pub signs: SignsArg,
    /// Quantization method; default: reconstruct where there are calibration data, else row-scale.
    #[arg(long, value_name = "Q")]
    pub quantizer: Option<QuantizerArg>,
    /// How the data become spikes or currents.
    #[arg(long, value_name = "C", default_value = "auto")]
    pub input_coding: CodingArg,
    /// Value that spikes in every step (rate) or at once (latency); default: the largest of the calibration data.
    #[arg(long, value_name = "X")]
    pub full_scale: Option<f64>,
    /// From output spikes to a class: count, first-spike, vote:G, potential, spikes.
    #[arg(long, value_name = "D", default_value = "count")]
    pub decoder: String,
    /// Network steps of a sample where the data don't say.
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub steps: Option<u32>,
    /// Effort of the search.
    #[arg(long, value_name = "E", default_value = "default")]
    pub effort: EffortArg,
    /// Partitioner: portfolio, sequential, tiles, layers, overlap, blocks.
    #[arg(long, value_name = "P", default_value = "portfolio")]
    pub partitioner: String,
    /// Keep a layer on certain physical cores, such as fc1=0..3 (0, 1, 2 and 3; may be given several times).
    #[arg(long = "pin", value_name = "LAYER=CORE..CORE", value_parser = pin)]
    pub pins: Vec<spikec_compile::Pin>,
    /// Use this placement (as `compile --write-placement` writes it) instead of a partitioner; it is checked like any other.
    #[arg(long, value_name = "PLACEMENT.ron")]
    pub placement: Option<PathBuf>,
    /// Copies of neurons on other cores, so that messages need not go far (with --placement: those of the file).
    #[arg(long, value_name = "C", default_value = "auto")]
    pub copies: CopiesArg,
    /// Words of synaptic memory that input axons of a core share, as the places of a convolution's kernel can.
    #[arg(long, value_name = "K", default_value = "auto")]
    pub kernels: KernelsArg,
    /// Axons by which a source may enter a core of a crossbar chip: more leave room for fewer sources [default: those of the truest weights that fit].
    #[arg(long, value_name = "N")]
    pub axons_per_source: Option<u32>,
    /// Error of a layer's weights, as a share of their root mean square, that is allowed on crossbars and event crossbars, whose weights have few levels.
    #[arg(long, value_name = "E", default_value_t = 0.5, value_parser = positive)]
    pub weight_error: f64,
    /// Loops with fewer steps of delay than the chip needs.
    #[arg(long, value_name = "P", default_value = "exact")]
    pub timing_policy: TimingPolicyArg,
    /// Soft reset (a spike subtracts the threshold): exact or refused, with a leak, or to zero instead. With --calibration a refusal says what the
    /// others do to the outputs.
    #[arg(long, value_name = "R", default_value = "exact")]
    pub reset: ResetArg,
    /// Keep neurons that can never matter.
    #[arg(long)]
    pub keep_dead: bool,
    /// Seed.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
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

/// `LAYER=CORE..CORE`, both ends included.
fn pin(text: &str) -> Result<spikec_compile::Pin, String> {
    let parsed = text.rsplit_once('=').and_then(|(layer, range)| {
        let (first, last) = range.split_once("..").unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        (!layer.is_empty() && first <= last && last < u32::MAX).then(|| spikec_compile::Pin { layer: layer.into(), cores: first..last + 1 })
    });
    parsed.ok_or_else(|| "expected LAYER=CORE..CORE, such as fc1=0..3, the first core not after the last".into())
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
    /// RANC's RTL: csram_NNN.mem and tc_NNN.mem of every core of the grid ($readmemb).
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
