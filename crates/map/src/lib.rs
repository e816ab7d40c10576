//! Fits a hypergraph of axons and neurons onto cores, and the cores onto the mesh.
//!
//! In: a hypergraph (each axon is a hyperedge over its postsynaptic neurons), what a core holds, and the board's mesh. Out: a core for each
//! neuron, and a physical core for each of those.
//! Invariant: knows neither networks nor weights: the compiler and the benchmark's files use it alike. A result is a proposal; whoever uses it
//! counts again.

pub mod place;
