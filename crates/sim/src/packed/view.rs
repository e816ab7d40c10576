//! What others need to know of the law to write a bundle down in another form: acting weights, and biases over time.
//!
//! In: the target's numbers, a machine and a sample. Out: integers in v units.
//! Invariant: these are the numbers that the simulator itself uses; nothing here computes them a second time.

use crate::boot::{AnyMachine, BootError, Machine};
use crate::check::MAX_CHIP_STEPS;
use crate::counters::Counters;
use crate::packed::PackedMachine;
use crate::packed::numbers::Numbers;
use crate::run_error::RunError;
use spikec_chip::Target;
use spikec_data::Values;

/// Arithmetic of a target.
#[derive(Debug, Clone, Copy)]
pub struct Arithmetic(Numbers);

impl Arithmetic {
    /// Reads and checks the target.
    ///
    /// # Errors
    /// [`BootError::Range`] names the number that the simulator refuses.
    pub fn new(target: &Target) -> Result<Arithmetic, BootError> {
        Ok(Arithmetic(Numbers::new(target)?))
    }

    /// What a stored weight adds, in v units.
    pub fn acting_weight(&self, mantissa: i16, exponent: i8) -> i32 {
        self.0.acting(mantissa, exponent) << self.0.law.align
    }

    /// Threshold of a mantissa, in v units.
    pub fn threshold(&self, mantissa: u32) -> i32 {
        self.0.threshold(mantissa)
    }
}

/// A bias that the host changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BiasChange {
    /// Chip step before which it is written.
    pub chip_step: u32,
    /// Physical core.
    pub core: u32,
    /// Compartment of the core.
    pub compartment: u16,
    /// New bias in v units.
    pub bias: i32,
}

impl Machine {
    /// Every change of a bias in a sample of `steps` network steps, by chip step, core and compartment; before the sample all are 0. `values`
    /// are the sample's, for a bundle whose host turns values into biases; without them only the constant biases are written.
    ///
    /// # Errors
    /// [`RunError`] where the values don't suit the bundle, or the sample is too long; or the chip has no biases.
    pub fn bias_changes(&self, values: Option<&Values>, steps: u32) -> Result<Vec<BiasChange>, RunError> {
        match &self.0 {
            AnyMachine::Packed(m) => m.bias_changes(values, steps),
            _ => Err(RunError::NotInFamily { what: "a bias", family: self.family() }),
        }
    }
}

impl PackedMachine {
    fn bias_changes(&self, values: Option<&Values>, steps: u32) -> Result<Vec<BiasChange>, RunError> {
        if let Some(values) = values.filter(|v| v.width != self.io.input_width) {
            return Err(RunError::Width { found: values.width, expected: self.io.input_width });
        }
        let chip_steps = u64::from(steps) + u64::from(self.io.max_skew);
        if chip_steps > MAX_CHIP_STEPS {
            return Err(RunError::TooManySteps { found: chip_steps, limit: MAX_CHIP_STEPS });
        }
        let mut changes = Vec::new();
        let mut before = vec![0; self.layout.lanes()];
        let mut biases = before.clone();
        let mut counters = Counters::default();
        for chip_step in 0..chip_steps as u32 {
            let writes = counters.host_writes;
            self.host.write_biases(chip_step.into(), steps, values, &mut biases, &mut counters);
            if counters.host_writes == writes {
                continue;
            }
            for (k, &core) in self.layout.cores.iter().enumerate() {
                for (compartment, &lane) in self.layout.lanes_of_core(k).iter().enumerate() {
                    let bias = biases[lane as usize];
                    if bias != before[lane as usize] {
                        changes.push(BiasChange { chip_step, core, compartment: compartment as u16, bias });
                    }
                }
            }
            before.clone_from(&biases);
        }
        Ok(changes)
    }
}
