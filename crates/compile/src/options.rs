//! What a compilation is asked for.
//!
//! In: nothing. Out: [`CompileOptions`], and the net that teaches as they say. Invariant: the defaults compile any net.

use crate::copies::Copies;
use crate::driver::CompileError;
use crate::lower::{LowerOptions, TimingPolicy, lower_all};
use crate::pack::kernels::Kernels;
use crate::partition::{Effort, PARTITIONERS};
use crate::pins::Pin;
use crate::placement::Placement;
use crate::quantize::{QuantizeError, Quantizer, Signs, SoftReset};
use spikec_chip::Target;
use spikec_chip::bundle::{DecoderKind, Encoder};
use spikec_data::Stimulus;
use spikec_net::{Float, Net};
use spikec_reconstruct::Teacher;
use std::borrow::Cow;
use std::sync::Arc;

/// Options of a compilation.
#[derive(Debug, Clone)]
pub struct CompileOptions {
    /// Stored width of a weight in bits (not for registers).
    pub weight_bits: u8,
    /// Widths of projections by name, where they have their own (not for registers).
    pub layer_bits: Vec<(String, u8)>,
    /// Tune all layers together after reconstruction (not for registers).
    pub tune: bool,
    /// How projections of both signs are stored (not for registers).
    pub signs: Signs,
    /// Quantizer (not for registers).
    pub quantizer: Quantizer,
    /// The net whose potentials reconstruction wants, as it ran on the calibration samples ([`teacher`]); `None`: the net itself.
    pub teacher: Option<Arc<Teacher<'static>>>,
    /// How data become spikes and biases; the net's inputs are coded accordingly by the caller.
    pub encoder: Encoder,
    /// From outputs to a class.
    pub decoder: DecoderKind,
    /// Network steps where data and user don't say.
    pub default_steps: Option<u32>,
    /// Name of the partitioner.
    pub partitioner: String,
    /// Effort.
    pub effort: Effort,
    /// Layers that must be on certain cores.
    pub pins: Vec<Pin>,
    /// Samples whose spikes tell how much neurons talk; none: all alike.
    pub calibration: Arc<Vec<Stimulus>>,
    /// A placement to use as it is, instead of a partitioner.
    pub placement: Option<Placement>,
    /// Whether neurons may stand on several cores; a given placement says so itself.
    pub copies: Copies,
    /// Whether input axons share words where their lists are translates of each other.
    pub kernels: Kernels,
    /// Removes neurons without effect.
    pub remove_dead: bool,
    /// What becomes of loops with less net delay than hops.
    pub timing: TimingPolicy,
    /// What may stand for a reset by subtraction (not for registers).
    pub soft_reset: SoftReset,
    /// Axons of a core by which a source may enter it (crossbars only); none: those of the truest weights that fit.
    pub axons_per_source: Option<u32>,
    /// Neurons with more sources than a core has axons lose their least important inputs instead of being refused (crossbars only).
    pub drop_inputs: bool,
    /// Root mean square of the weights' errors that a layer may have, as a share of its weights' (crossbars and event crossbars only).
    pub weight_error: f64,
    /// Seed.
    pub seed: u64,
    /// Options as the user gave them, for the bundle's provenance.
    pub provenance: Vec<(String, String)>,
}

impl Default for CompileOptions {
    fn default() -> Self {
        CompileOptions {
            weight_bits: 8,
            layer_bits: Vec::new(),
            tune: false,
            signs: Signs::default(),
            quantizer: Quantizer::default(),
            teacher: None,
            encoder: Encoder::Spikes,
            decoder: DecoderKind::Count,
            default_steps: None,
            partitioner: PARTITIONERS[0].into(),
            effort: Effort::default(),
            pins: Vec::new(),
            calibration: Arc::default(),
            placement: None,
            copies: Copies::default(),
            kernels: Kernels::default(),
            remove_dead: true,
            timing: TimingPolicy::Exact,
            soft_reset: SoftReset::Exact,
            axons_per_source: None,
            drop_inputs: false,
            weight_error: 0.5,
            seed: 0,
            provenance: Vec::new(),
        }
    }
}

impl CompileOptions {
    /// What lowering needs to know.
    pub(crate) fn lowering(&self) -> LowerOptions {
        LowerOptions { remove_dead: self.remove_dead, timing: self.timing }
    }
}

/// A net as it teaches those that it was pruned to: lowered for the target, and run on the options' calibration samples. It is elaborated
/// and coded like they are.
///
/// # Errors
/// A net that the target's family has no way to express, or that can't be interpreted; samples that do not fit it.
pub fn teacher(net: &Net<Float>, target: &Target, options: &CompileOptions) -> Result<Teacher<'static>, CompileError> {
    let lowered = lower_all(net.clone(), target, &options.lowering())?;
    Ok(Teacher::run(Cow::Owned(lowered.net), &options.calibration, options.default_steps).map_err(QuantizeError::from)?)
}
