//! Shapes of maps and blocks of activations.
//!
//! In: sizes. Out: [`Shape`] and [`Tensor`].
//! Invariant: `data` has `batch * steps * size` values; a row is one step of one sample, its steps follow each other; maps are stored
//! place by place with the channels of a place side by side (height, width, channels).

/// Channels and size of a map; a vector has one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Channels (of a vector: its length).
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Shape {
    /// A vector of length `n`.
    pub fn flat(n: usize) -> Self {
        Shape { channels: n, height: 1, width: 1 }
    }
    /// Values.
    pub fn len(&self) -> usize {
        self.channels * self.height * self.width
    }
    /// True when there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// A map with a place for each square window of side `kernel`, every `stride` places, with `padding` places of 0 around the map.
    pub fn windows(&self, kernel: usize, stride: usize, padding: usize) -> Self {
        let side = |n: usize| (n + 2 * padding - kernel) / stride + 1;
        Shape { channels: self.channels, height: side(self.height), width: side(self.width) }
    }
    /// Places of the map.
    pub fn places(&self) -> usize {
        self.height * self.width
    }
}

/// Activations, or gradients with respect to them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tensor {
    /// Samples.
    pub batch: usize,
    /// Steps of a sample; 1 where the value is the same in all.
    pub steps: usize,
    /// Values of a row.
    pub size: usize,
    /// The values, shape (batch, steps, size).
    pub data: Vec<f32>,
    /// The value that most of them have, where that is known (a normalised black pixel), else 0.
    pub background: f32,
}

impl Tensor {
    /// Takes this shape; what the values are is not said.
    pub fn reshape(&mut self, batch: usize, steps: usize, size: usize) {
        (self.batch, self.steps, self.size) = (batch, steps, size);
        self.background = 0.0;
        self.data.resize(batch * steps * size, 0.0);
    }
    /// Rows.
    pub fn rows(&self) -> usize {
        self.batch * self.steps
    }
    /// Values of a sample.
    pub fn sample(&self) -> usize {
        self.steps * self.size
    }
}
