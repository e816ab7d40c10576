//! What goes into a network and what comes out: samples, spike trains, recordings of events, .npz files and host encoders.
//!
//! In: bytes of `.npz`, `.npy`, IDX and event files. Out: [`DataSet`]s of [`Stimulus`]es, and bytes of `.npz` files.
//! Invariant: nothing here knows a network or a chip; nothing here touches the file system.

pub mod arrays;
pub mod dataset;
pub mod decode;
pub mod encode;
pub mod events;
pub mod host;
pub mod idx;
pub mod stimulus;

pub use arrays::{Array, ArrayData, ArrayError, read_npy, read_npz, write_npy, write_npz};
pub use dataset::{DataError, DataSet};
pub use decode::{Decode, predict, settled};
pub use encode::{delta, latency, poisson, poisson_frames, rate};
pub use events::{Binning, Event, EventColumns, EventError, read_atis, read_table};
pub use host::{BiasRegister, bias_register, host_sum};
pub use idx::{IdxError, read_idx};
pub use stimulus::{SpikeTrain, Stimulus, Values};
