//! The arguments of `spikec fit`, exactly as typed.

use super::{MappingArgs, NetworkArgs};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// What makes a synapse worth keeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SaliencyArg {
    /// Its size, over all layers.
    Magnitude,
    /// Its size within its layer.
    LayerMagnitude,
    /// Its size times the activity of its axon.
    Activity,
    /// The error that the other weights can't make up for (optimal brain surgeon).
    SecondOrder,
}

/// `spikec fit`.
#[derive(Debug, Args)]
pub struct FitArgs {
    /// The network.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Mapping. --calibration is what the network is fitted to; labels are not needed.
    #[command(flatten)]
    pub mapping: MappingArgs,
    /// The same as --calibration.
    #[arg(long, value_name = "DATA.npz", conflicts_with = "calibration")]
    pub input: Option<PathBuf>,
    /// At most this many cores.
    #[arg(long, value_name = "N")]
    pub cores: Option<u32>,
    /// At most this many chips of the board.
    #[arg(long, value_name = "N")]
    pub chips: Option<u32>,
    /// At most this many synapses on the chip.
    #[arg(long, value_name = "N")]
    pub synapses: Option<u64>,
    /// At most this much synaptic memory, in bytes (whole words; 65528 is half a Loihi core). On a chip whose cores have a budget of bytes (loihi2): of all
    /// that is charged to it, neurons and axons too.
    #[arg(long, value_name = "BYTES")]
    pub memory: Option<u64>,
    /// At most this much of a resource of a core, by its code (`spikec check` names them): C02=1000; repeatable.
    #[arg(long = "limit", value_name = "CODE=N", value_parser = core_limit)]
    pub limits: Vec<(String, u64)>,
    /// What makes a synapse worth keeping.
    #[arg(long, value_name = "S", default_value = "second-order")]
    pub saliency: SaliencyArg,
    /// Weigh errors against synapses instead of words of memory.
    #[arg(long)]
    pub plain: bool,
    /// Take synapses of kernels and of chains with pooling one by one: the network is written back with a matrix for each.
    #[arg(long)]
    pub unroll: bool,
    /// Leave the weights that stay as they are (rounded), instead of making them do the work of the others.
    #[arg(long)]
    pub no_refit: bool,
    /// Leave out the last step, which tunes all layers together on their grids until the outputs fire as the trained network's.
    #[arg(long)]
    pub no_tune: bool,
    /// Widths to try, in bits: of all layers (3), or of the hidden ones and the output layer (3/5), `s` for split signs (2/4s); the best on
    /// samples held back is taken. Default: 3/5,4/5,2/4s; for a frontier 3/5.
    #[arg(long, value_name = "W,W", value_delimiter = ',', value_parser = width)]
    pub widths: Vec<(u8, u8, bool)>,
    /// Error of a neuron's potential against what its spikes do; several are tried.
    #[arg(long, value_name = "X,X", value_delimiter = ',', default_values = ["0.5"])]
    pub balance: Vec<f32>,
    /// The fitted network to write: NET.nir, or NET.ron with its weights and masks as arrays in NET.npz beside it, to be trained on.
    #[arg(long, short, value_name = "NET", required_unless_present = "frontier")]
    pub output: Option<PathBuf>,
    /// Fit to a ladder of memory budgets, by this method and by magnitude, and show what each loses and saves.
    #[arg(long, conflicts_with_all = ["output", "bundle", "cores", "chips", "synapses", "memory", "limits"])]
    pub frontier: bool,
    /// Budgets of the frontier, in bytes of synaptic memory; default: ten, from what the network takes as it is, each a smaller share.
    #[arg(long, value_name = "BYTES,BYTES", value_delimiter = ',', requires = "frontier")]
    pub ladder: Vec<u64>,
    /// Samples on which the frontier's networks are compared with the trained one (and with the labels, if there are any).
    #[arg(long, value_name = "TEST.npz", requires = "frontier")]
    pub test: Option<PathBuf>,
    /// Draw the frontier.
    #[arg(long, value_name = "F.svg", requires = "frontier")]
    pub plot: Option<PathBuf>,
    /// Write its bundle too.
    #[arg(long, value_name = "OUT.spkb")]
    pub bundle: Option<PathBuf>,
    /// Write the whole report as JSON.
    #[arg(long, value_name = "R.json")]
    pub report: Option<PathBuf>,
}

/// `N`, `N/M`, or either with an `s`.
pub fn width(text: &str) -> Result<(u8, u8, bool), String> {
    let (bits, split) = text.strip_suffix('s').map_or((text, false), |bits| (bits, true));
    let (hidden, output) = bits.split_once('/').unwrap_or((bits, bits));
    match (hidden.parse(), output.parse()) {
        (Ok(hidden), Ok(output)) if (1..=8).contains(&hidden) && (1..=8).contains(&output) => Ok((hidden, output, split)),
        _ => Err(format!("`{text}`: expected widths of 1 to 8 bits, such as 3, 3/5 or 2/4s")),
    }
}

/// `CODE=N`.
fn core_limit(text: &str) -> Result<(String, u64), String> {
    const CODES: [&str; 10] = ["C01", "C02", "C03", "C04", "C05", "C06", "C08", "C09", "C11", "C27"];
    let (code, limit) = text.split_once('=').ok_or("expected CODE=N, such as C02=1000")?;
    if !CODES.contains(&code) {
        return Err(format!("`{code}`: one of {}", CODES.join(", ")));
    }
    Ok((code.to_owned(), limit.parse().map_err(|_| format!("`{limit}` is no number"))?))
}
