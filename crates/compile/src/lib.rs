//! The compiler: lower, quantize, partition, place, emit.
