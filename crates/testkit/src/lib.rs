//! Generators, mutators and oracle readers for the tests of the other crates.
