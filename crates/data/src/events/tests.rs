//! Readers and binning of events.
