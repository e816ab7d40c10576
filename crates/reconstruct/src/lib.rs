//! Layer-wise reconstruction: chooses weights, integers or zeros, so that what neurons see changes least.
//!
//! In: nets, and calibration samples without labels. Out: for each neuron, weights on a grid or fewer weights, and its bias.
//! Invariant: nothing here knows a chip; grids and costs are given. The same result on any number of threads.
//! Why: quantizing and pruning are the same problem, which values to allow differs.

pub mod features;
pub mod matrix;
pub mod moments;
pub mod own;
pub mod record;
pub mod remove;
pub mod round;
pub mod rows;
pub mod teacher;
mod tied;
mod together;
pub mod tune;

pub use features::{Features, Trains};
pub use moments::{Kernel, Moments};
pub use record::Recording;
pub use round::Grid;
pub use rows::{Ears, Rows, Scale, is_gate, mean_kernel, their_neurons};
pub use teacher::Teacher;
