//! What goes into a network and what comes out: samples, spike trains, .npz files and host encoders.
//!
//! In: bytes of `.npz`, `.npy` and IDX files. Out: [`DataSet`]s of [`Stimulus`]es, and bytes of `.npz` files.
//! Invariant: nothing here knows a network or a chip; nothing here touches the file system.

pub mod stimulus;

pub use stimulus::{SpikeTrain, Stimulus, Values};
