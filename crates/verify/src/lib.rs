//! The verifier: does the image behave as the network does?
//!
//! In: a bundle, the network as given, and samples. Out: verdicts with typed, placed differences.
//! Invariant: nothing of the compiler is used, and simulator and reference are only asked, never helped.
//! [`check_image`] proves without running, [`check_behaviour`] runs both engines side by side, and [`loss()`]
//! measures what rounding did to accuracy: three questions that are never mixed.

pub mod behave;
mod cause;
pub mod choices;
mod crossbar;
pub mod difference;
mod event;
mod family;
mod given;
mod host;
pub mod image;
pub mod loss;
#[cfg(any(test, feature = "mutate"))]
pub mod mutate;
mod owners;
mod records;
mod resolve;
#[cfg(test)]
mod toy;
pub mod wellformed;

pub use behave::{BehaviourVerdict, Divergence, What, check_behaviour};
pub use cause::LikelyCause;
pub use choices::Choices;
pub use difference::{At, DIFFERENCES_KEPT, Difference, Field, NeuronName, Side, Value};
pub use image::{Checked, Given, ImageVerdict, Rounding, VerifyError, check_image};
pub use loss::{LossReport, PopulationRate, loss};
