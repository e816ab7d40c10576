//! One sample's input.

/// Spikes of the input channels of one sample, by network step.
///
/// Invariant: `offsets.len() == steps + 1`, `offsets[0] == 0`, ascending; `channels` of one step ascend
/// (a channel that appears k times delivers k spikes in that step); every channel is below `width`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpikeTrain {
    /// Number of input channels.
    pub width: u32,
    /// `offsets[t]..offsets[t + 1]` is the range of step t in `channels`.
    pub offsets: Vec<u32>,
    /// Channel indices.
    pub channels: Vec<u32>,
}

impl SpikeTrain {
    /// A train of no steps.
    pub fn empty(width: u32) -> Self {
        SpikeTrain { width, offsets: vec![0], channels: Vec::new() }
    }

    /// Ends a step: the channels pushed since the last end (ascending) are its spikes.
    ///
    /// # Panics
    /// When there are more than `u32::MAX` spikes.
    pub fn end_step(&mut self) {
        self.offsets.push(u32::try_from(self.channels.len()).expect("fewer than 2^32 spikes in a sample"));
    }

    /// Builds a train from the channels of each step; sorts every step.
    pub fn from_steps(width: u32, steps: impl IntoIterator<Item = Vec<u32>>) -> Self {
        let mut train = SpikeTrain::empty(width);
        for mut step in steps {
            step.sort_unstable();
            train.channels.extend_from_slice(&step);
            train.end_step();
        }
        train
    }

    /// Number of network steps that the train covers.
    pub fn steps(&self) -> u32 {
        self.offsets.len().saturating_sub(1) as u32
    }

    /// Channels that spike in network step `t`; empty beyond the end.
    pub fn at(&self, t: u32) -> &[u32] {
        let t = t as usize;
        if t + 1 >= self.offsets.len() {
            return &[];
        }
        &self.channels[self.offsets[t] as usize..self.offsets[t + 1] as usize]
    }
}

/// Analog values of one sample: constant over the sample (one frame) or one frame a step.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Values {
    /// Values in a frame.
    pub width: u32,
    /// Frames one after the other; `frames.len()` is a multiple of `width`.
    pub frames: Vec<f32>,
    /// True when the single frame holds for every step.
    pub constant: bool,
}

impl Values {
    /// Number of frames stored (1 when constant).
    pub fn frame_count(&self) -> u32 {
        if self.width == 0 { 0 } else { (self.frames.len() / self.width as usize) as u32 }
    }

    /// The frame of network step `t`: the only one when constant; `None` beyond the end.
    pub fn frame(&self, t: u32) -> Option<&[f32]> {
        let k = if self.constant { 0 } else { t as usize };
        let w = self.width as usize;
        self.frames.get(k * w..(k + 1) * w)
    }
}

/// One sample's input: spikes or analog values.
#[derive(Debug, Clone, PartialEq)]
pub enum Stimulus {
    /// Spikes of the input channels.
    Spikes(SpikeTrain),
    /// Analog values of the input channels.
    Values(Values),
}

impl Stimulus {
    /// Number of input channels.
    pub fn width(&self) -> u32 {
        match self {
            Stimulus::Spikes(s) => s.width,
            Stimulus::Values(v) => v.width,
        }
    }

    /// Network steps that the sample covers by itself; `None` for constant values.
    pub fn steps(&self) -> Option<u32> {
        match self {
            Stimulus::Spikes(s) => Some(s.steps()),
            Stimulus::Values(v) if v.constant => None,
            Stimulus::Values(v) => Some(v.frame_count()),
        }
    }
}
