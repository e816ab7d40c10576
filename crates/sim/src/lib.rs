//! The simulator: boots a bundle from its bits alone and runs it.
