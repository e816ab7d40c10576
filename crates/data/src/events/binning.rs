//! Events to network steps and channels.
//!
//! Invariant: every event is counted in exactly one of [`Tally`]'s spikes, merged, early, late, cropped and outside.
//! Cost: a sort of the recording's events.

use super::Event;
use crate::stimulus::SpikeTrain;

/// The channels of a pixel. A channel's index is `(block * rows + y) * columns + x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    /// Two blocks: events of polarity 0 in the first, of polarity 1 in the second.
    OffOn,
    /// Two blocks: events of polarity 1 in the first, of polarity 0 in the second.
    OnOff,
    /// One block for both polarities.
    Merged,
}

/// A part of the camera's picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Crop {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
}

/// The time at which step 0 starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Microseconds, in the clock of the recording.
    At(i64),
    /// The earliest event of each recording.
    FirstEvent,
}

/// How events become spikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binning {
    /// Columns of the camera.
    pub width: u32,
    /// Rows of the camera.
    pub height: u32,
    /// Only this part; coordinates count from its corner.
    pub crop: Option<Crop>,
    /// Side of the squares of pixels that become one; those at the right and lower edge may be smaller.
    pub downscale: u32,
    /// Channels of a pixel.
    pub channels: Channels,
    /// Microseconds of a network step.
    pub bin_us: u64,
    /// When step 0 starts.
    pub start: Start,
    /// Network steps.
    pub steps: u32,
    /// Events of one channel in one step are as many spikes, not one.
    pub each: bool,
    /// Events outside of the camera are left out and counted, not refused.
    pub drop_outside: bool,
}

/// What became of the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Events read.
    pub events: u64,
    /// Spikes made.
    pub spikes: u64,
    /// Events beyond the first of a channel in a step, which made no spike.
    pub merged: u64,
    /// Events before step 0.
    pub early: u64,
    /// Events after the last step.
    pub late: u64,
    /// Events outside of the part that is kept.
    pub cropped: u64,
    /// Events outside of the camera.
    pub outside: u64,
    /// Events earlier than the one before them in the file (they are binned like any other).
    pub disordered: u64,
}

impl Tally {
    /// Adds another recording's counts.
    pub fn add(&mut self, other: &Tally) {
        let Tally { events, spikes, merged, early, late, cropped, outside, disordered } = other;
        self.events += events;
        self.spikes += spikes;
        self.merged += merged;
        self.early += early;
        self.late += late;
        self.cropped += cropped;
        self.outside += outside;
        self.disordered += disordered;
    }
}

/// Why events can't be binned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum BinError {
    #[error(
        "a picture of {width} x {height} pixels, a step of {bin_us} us, {steps} steps, squares of {downscale}: expected at least 1 each"
    )]
    Nothing { width: u32, height: u32, bin_us: u64, steps: u32, downscale: u32 },
    #[error("the part {}x{}+{}+{} is empty or not within the {width} x {height} pixels of the camera", crop.width, crop.height, crop.x, crop.y)]
    Crop { crop: Crop, width: u32, height: u32 },
    #[error("{channels} channels, the limit is {limit}")]
    Channels { channels: u64, limit: u64 },
    #[error("event {event} is at x = {x}, y = {y}, expected x below {width} and y below {height}")]
    Outside { event: usize, x: u32, y: u32, width: u32, height: u32 },
}

impl BinError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            BinError::Nothing { .. } => "give positive numbers",
            BinError::Crop { .. } => "give WIDTHxHEIGHT+X+Y within the camera",
            BinError::Channels { .. } => "crop the picture, or scale it down",
            BinError::Outside { .. } => {
                "check --width, --height and the format; --out-of-range drop leaves such events out and counts them"
            }
        }
    }
}

/// Most channels: those that a file of spikes may have.
const MAX_CHANNELS: u64 = u32::MAX as u64 - 7;

impl Binning {
    /// Blocks, rows and columns of the channels.
    ///
    /// # Errors
    /// Any [`BinError`] but `Outside`.
    pub fn shape(&self) -> Result<[u32; 3], BinError> {
        let &Binning { width, height, bin_us, steps, downscale, .. } = self;
        if width == 0 || height == 0 || bin_us == 0 || steps == 0 || downscale == 0 {
            return Err(BinError::Nothing { width, height, bin_us, steps, downscale });
        }
        let part = self.part();
        let within = |from: u32, length: u32, all: u32| length > 0 && from.checked_add(length).is_some_and(|end| end <= all);
        if !within(part.x, part.width, width) || !within(part.y, part.height, height) {
            return Err(BinError::Crop { crop: part, width, height });
        }
        let blocks = if self.channels == Channels::Merged { 1 } else { 2 };
        let (rows, columns) = (part.height.div_ceil(downscale), part.width.div_ceil(downscale));
        let channels = (u64::from(rows) * u64::from(columns)).saturating_mul(blocks);
        if channels > MAX_CHANNELS {
            return Err(BinError::Channels { channels, limit: MAX_CHANNELS });
        }
        Ok([blocks as u32, rows, columns])
    }

    fn part(&self) -> Crop {
        self.crop.unwrap_or(Crop { x: 0, y: 0, width: self.width, height: self.height })
    }

    /// The spikes of one recording, whatever the order of its events. Step k is `start + k * bin_us` and what comes before
    /// the next step.
    ///
    /// # Errors
    /// Any [`BinError`].
    ///
    /// # Panics
    /// When there are more than `u32::MAX` spikes.
    pub fn bin(&self, events: &[Event]) -> Result<(SpikeTrain, Tally), BinError> {
        let [blocks, rows, columns] = self.shape()?;
        let part = self.part();
        let start = match self.start {
            Start::At(t) => t,
            Start::FirstEvent => events.iter().map(|e| e.t).min().unwrap_or(0),
        };
        let mut tally = Tally { events: events.len() as u64, ..Tally::default() };
        tally.disordered = events.windows(2).filter(|e| e[1].t < e[0].t).count() as u64;
        // Step, then channel.
        let mut keys: Vec<u64> = Vec::with_capacity(events.len());
        for (event, e) in events.iter().enumerate() {
            if e.x >= self.width || e.y >= self.height {
                if !self.drop_outside {
                    return Err(BinError::Outside { event, x: e.x, y: e.y, width: self.width, height: self.height });
                }
                tally.outside += 1;
                continue;
            }
            let (x, y) = match (e.x.checked_sub(part.x), e.y.checked_sub(part.y)) {
                (Some(x), Some(y)) if x < part.width && y < part.height => (x / self.downscale, y / self.downscale),
                _ => {
                    tally.cropped += 1;
                    continue;
                }
            };
            // In 128 bits: times are any 64-bit integers.
            let since = i128::from(e.t) - i128::from(start);
            let Ok(step) = u64::try_from(since.div_euclid(i128::from(self.bin_us))) else {
                tally.early += 1;
                continue;
            };
            if step >= u64::from(self.steps) {
                tally.late += 1;
                continue;
            }
            let block = match self.channels {
                Channels::OffOn => u32::from(e.on),
                Channels::OnOff => u32::from(!e.on),
                Channels::Merged => 0,
            };
            keys.push(step << 32 | u64::from((block * rows + y) * columns + x));
        }
        keys.sort_unstable();
        if !self.each {
            let before = keys.len();
            keys.dedup();
            tally.merged = (before - keys.len()) as u64;
        }
        tally.spikes = keys.len() as u64;
        let mut train = SpikeTrain::empty(blocks * rows * columns);
        train.channels.reserve_exact(keys.len());
        train.offsets.reserve_exact(self.steps as usize);
        let mut keys = keys.into_iter().peekable();
        for step in 0..u64::from(self.steps) {
            while let Some(key) = keys.next_if(|key| key >> 32 == step) {
                train.channels.push(key as u32);
            }
            train.end_step();
        }
        Ok((train, tally))
    }
}
