//! Trains pruned spiking networks: explicit backpropagation through time, Gradient Rewiring and its rivals.
//!
//! In: a [`recipe::Recipe`], bytes of data files. Out: networks with exact zeros, metrics, checkpoints.
//! Invariant: the same recipe and data give the same bytes, on any number of threads and however often a run was stopped and resumed
//! (on processors of one kind: dense products are fused where the processor can). Nothing here touches the file system.

pub mod checkpoint;
pub mod data;
pub mod export;
pub mod layers;
pub mod loss;
pub mod model;
pub mod neuron;
pub mod optim;
pub mod product;
pub mod random;
pub mod recipe;
pub mod rewire;
mod simd;
pub mod sparse;
pub mod start;
pub mod surrogate;
pub mod tensor;
pub mod trainer;
