//! Fits a hypergraph of axons and neurons onto cores, and the cores onto the mesh.
//!
//! In: a hypergraph (each axon is a hyperedge over its postsynaptic neurons), what a core holds, and the board's mesh. Out: a core for each
//! neuron, and a physical core for each of those.
//! Invariant: knows neither networks nor weights: the compiler and the benchmark's files use it alike. A result is a proposal; whoever uses it
//! counts again.

pub mod anneal;
pub mod board;
pub mod bounds;
pub mod check;
pub mod grow;
pub mod heal;
pub mod hypergraph;
pub mod instance;
pub mod layered;
pub mod limits;
pub mod mapper;
pub mod messages;
pub mod overlap;
pub mod pages;
pub mod pairs;
pub mod place;
pub mod portfolio;
pub mod proof;
pub mod region;
pub mod regional;
pub mod repair;
pub mod settle;
pub mod state;
pub mod tiles;
