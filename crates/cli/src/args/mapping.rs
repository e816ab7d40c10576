//! Arguments that say how a network is read and put on a chip.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

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
    /// Where a neuron has more sources than a core of a crossbar chip has axons, or all neurons more than an event crossbar has rows, leave out the
    /// least important: those of the least expected squared effect, by the rates of --calibration. What is lost is reported, declared in the bundle and told by verify.
    #[arg(long)]
    pub drop_inputs: bool,
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

/// `LAYER=CORE..CORE`, both ends included.
fn pin(text: &str) -> Result<spikec_compile::Pin, String> {
    let parsed = text.rsplit_once('=').and_then(|(layer, range)| {
        let (first, last) = range.split_once("..").unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        (!layer.is_empty() && first <= last && last < u32::MAX).then(|| spikec_compile::Pin { layer: layer.into(), cores: first..last + 1 })
    });
    parsed.ok_or_else(|| "expected LAYER=CORE..CORE, such as fc1=0..3, the first core not after the last".into())
}
