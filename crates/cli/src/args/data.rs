//! The arguments of `spikec data`, exactly as typed.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// `spikec data`.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// IDX files (MNIST and its like).
    Idx(IdxArgs),
    /// Images and stacks of frames in .npy and .npz files.
    Frames(FramesArgs),
    /// Recordings of event cameras: N-MNIST .bin, text tables, arrays of events.
    Events(EventsArgs),
    /// Random spikes: each channel fires with the same probability in each step.
    Random(RandomArgs),
}

/// `spikec data random`.
#[derive(Debug, Args)]
pub struct RandomArgs {
    /// Channels.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    pub channels: u32,
    /// Steps of a sample.
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub steps: u32,
    /// Probability of a spike of one channel in one step.
    #[arg(long, value_name = "P")]
    pub rate: f32,
    /// Samples.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub samples: u32,
    /// Seed.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// The file to write.
    #[arg(long, short, value_name = "DATA.npz")]
    pub output: PathBuf,
}

/// How images become input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FrameCodingArg {
    /// Analog values (value / full scale - mean) / std.
    Direct,
    /// Spikes: each pixel fires with probability value / full scale in each step.
    Poisson,
    /// Regular spikes: value / full scale of them a step.
    Rate,
    /// One spike a pixel, earlier for larger values.
    Latency,
    /// Spikes where a value changes by the threshold: a channel for rises, one for falls.
    Delta,
}

/// What negative values become in the spiking codings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NegativeArg {
    /// The first one ends the command.
    Error,
    /// Spikes of channels of their own, after those of all pixels.
    Channels,
}

/// What `data idx` and `data frames` share.
#[derive(Debug, Args)]
pub struct CodingArgs {
    /// Labels: IDX1 (also .gz), .npy, .npz, or text with a class a line.
    #[arg(long, value_name = "LABELS")]
    pub labels: Option<PathBuf>,
    /// How images become input.
    #[arg(long, value_name = "C", default_value = "direct")]
    pub coding: FrameCodingArg,
    /// The value that counts as 1; default: 255 for unsigned bytes, else 1.
    #[arg(long, value_name = "V")]
    pub full_scale: Option<f32>,
    /// Mean of the direct coding; default: 0.1307 (MNIST's) for `idx`, 0 for `frames`.
    #[arg(long, allow_hyphen_values = true)]
    pub mean: Option<f32>,
    /// Standard deviation of the direct coding; default: 0.3081 (MNIST's) for `idx`, 1 for `frames`.
    #[arg(long)]
    pub std: Option<f32>,
    /// Steps of spikes; default: 8, or a step for each frame (--per-step).
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub steps: Option<u32>,
    /// Seed of the Poisson coding.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Change of a value (1 = full scale) that makes a spike in the delta coding.
    #[arg(long, value_name = "V", default_value_t = 0.1)]
    pub threshold: f64,
    /// The delta coding starts from the first frame, not from 0.
    #[arg(long)]
    pub from_first: bool,
    /// What negative values become in the codings poisson, rate and latency.
    #[arg(long, value_name = "N", default_value = "error")]
    pub negative: NegativeArg,
    /// Only the first N images.
    #[arg(long, value_name = "N")]
    pub samples: Option<usize>,
    /// The file to write.
    #[arg(long, short, value_name = "DATA.npz")]
    pub output: PathBuf,
}

/// `spikec data idx`.
#[derive(Debug, Args)]
pub struct IdxArgs {
    /// Images (IDX3, also .gz).
    #[arg(value_name = "IMAGES")]
    pub images: PathBuf,
    /// How they become input.
    #[command(flatten)]
    pub coding: CodingArgs,
}

/// `spikec data frames`.
#[derive(Debug, Args)]
pub struct FramesArgs {
    /// Images: .npy, .npz (labels are taken from it too) or IDX.
    #[arg(value_name = "IMAGES")]
    pub images: PathBuf,
    /// The array of a .npz file; default: the only one beside the labels.
    #[arg(long, value_name = "NAME")]
    pub key: Option<String>,
    /// The array is (samples, steps, ...): a frame for each step, not one image a sample.
    #[arg(long)]
    pub per_step: bool,
    /// How they become input.
    #[command(flatten)]
    pub coding: CodingArgs,
}

/// What a file of events is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EventFormatArg {
    /// By the end of the file's name.
    Auto,
    /// N-MNIST: records of 5 bytes (.bin).
    Nmnist,
    /// A line for each event (.csv, .txt).
    Csv,
    /// Arrays x, y, t, p, and offsets where there are several recordings (.npz).
    Npz,
    /// The same arrays in the group `events` or in the root (.h5, .hdf5).
    Hdf5,
}

/// The channels of a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ChannelsArg {
    /// One for each polarity: (polarity, y, x).
    Polarity,
    /// One for both: (y, x).
    Merged,
}

/// Which polarity's channels come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PolarityOrderArg {
    /// Polarity 0 (darker), then 1 (brighter).
    OffOn,
    /// Polarity 1 (brighter), then 0 (darker).
    OnOff,
}

/// What several events of a channel in a step become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SeveralArg {
    /// One spike.
    One,
    /// A spike each.
    Each,
}

/// What happens to events outside of the camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutOfRangeArg {
    /// The first one ends the command.
    Error,
    /// They are left out and counted.
    Drop,
}

/// When step 0 starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartArg {
    /// At the first event of each recording.
    First,
    /// At this time.
    At(i64),
}

/// `spikec data events`.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Files of events, or folders of them (all below, by name).
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// What the files are.
    #[arg(long, value_name = "F", default_value = "auto")]
    pub format: EventFormatArg,
    /// Order of the columns of text tables, such as t,x,y,p (other names are passed over); default: their header, else t,x,y,p.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub columns: Option<Vec<String>>,
    /// Columns of the camera.
    #[arg(long, value_name = "N")]
    pub width: u32,
    /// Rows of the camera.
    #[arg(long, value_name = "N")]
    pub height: u32,
    /// Channels of a pixel.
    #[arg(long, value_name = "C", default_value = "polarity")]
    pub channels: ChannelsArg,
    /// Which polarity's channels come first.
    #[arg(long, value_name = "O", default_value = "off-on")]
    pub polarity_order: PolarityOrderArg,
    /// Length of a network step, such as 1ms or 500us.
    #[arg(long, value_name = "TIME", value_parser = duration_us, required_unless_present = "bin_us", conflicts_with = "bin_us")]
    pub bin: Option<u64>,
    /// The same in microseconds.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub bin_us: Option<u64>,
    /// Network steps; later events are left out and counted.
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub steps: u32,
    /// When step 0 starts, in microseconds, or `first` for each recording's first event.
    #[arg(long, value_name = "US|first", default_value = "0", value_parser = start, allow_hyphen_values = true)]
    pub offset: StartArg,
    /// Only this part of the picture: WIDTHxHEIGHT+X+Y.
    #[arg(long, value_name = "WxH+X+Y", value_parser = crop)]
    pub crop: Option<spikec_data::events::Crop>,
    /// Squares of K x K pixels become one.
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub downscale: u32,
    /// What several events of a channel in a step become.
    #[arg(long, value_name = "S", default_value = "one")]
    pub several: SeveralArg,
    /// What happens to events outside of the camera.
    #[arg(long, value_name = "R", default_value = "error")]
    pub out_of_range: OutOfRangeArg,
    /// Classes: a file (text, IDX, .npy, .npz), `folders` (the names of the files' folders) or `none`; default: those in the
    /// files, else the folders below a folder that is given.
    #[arg(long, value_name = "FILE|folders|none")]
    pub labels: Option<PathBuf>,
    /// Passes over the first N recordings.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub skip: usize,
    /// Only N recordings.
    #[arg(long, value_name = "N")]
    pub samples: Option<usize>,
    /// The file to write.
    #[arg(long, short, value_name = "DATA.npz")]
    pub output: PathBuf,
}

/// A time with its unit, in microseconds.
fn duration_us(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        _ => return Err("expected a whole number with a unit: us, ms or s, such as 1ms".into()),
    };
    let number: u64 = digits.parse().map_err(|_| "expected a whole number before the unit, such as 1ms")?;
    number.checked_mul(factor).filter(|&us| us > 0).ok_or_else(|| "expected a time from 1us up, below 2^64 us".into())
}

fn start(text: &str) -> Result<StartArg, String> {
    match text {
        "first" => Ok(StartArg::First),
        _ => text.parse().map(StartArg::At).map_err(|_| "expected microseconds (a whole number) or 'first'".into()),
    }
}

/// WIDTHxHEIGHT+X+Y.
fn crop(text: &str) -> Result<spikec_data::events::Crop, String> {
    let parse = || {
        let (width, rest) = text.split_once('x')?;
        let mut rest = rest.split('+').map(|n| n.parse().ok());
        let crop = spikec_data::events::Crop { width: width.parse().ok()?, height: rest.next()??, x: rest.next()??, y: rest.next()?? };
        rest.next().is_none().then_some(crop)
    };
    parse().ok_or_else(|| "expected WIDTHxHEIGHT+X+Y, such as 28x28+3+3".into())
}
