//! The spikec command line.
fn main() {}
