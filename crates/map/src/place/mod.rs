//! Placement: which physical core each part gets.
