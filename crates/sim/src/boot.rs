//! Booting: from a bundle's bits to a machine that can run.
//!
//! In: a [`Loadable`]. Out: a [`Machine`], or a [`BootError`] that names what is wrong.
//! Invariant: a machine that booted can't index out of its tables or overflow, whatever the bundle was.
//! Cost: linear in the image; memory too (see `fabric`).

use crate::crossbar::CrossbarMachine;
use crate::event::EventMachine;
use crate::packed::PackedMachine;
use crate::timing::Level;
use crate::utilization::CoreUtilization;
use spikec_chip::codec::CodecError;
use spikec_chip::crossbar::CrossbarError;
use spikec_chip::event::EventError;
use spikec_chip::image::Image;
use spikec_chip::target::Family;
use spikec_chip::{Loadable, TargetFinding};
use std::fmt;

/// A table entry of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// Physical core, where the table is a core's.
    pub core: Option<u32>,
    /// Table.
    pub table: &'static str,
    /// Entry of the table.
    pub index: usize,
}

impl Spot {
    pub(crate) fn core(core: u32, table: &'static str, index: usize) -> Spot {
        Spot { core: Some(core), table, index }
    }
    pub(crate) fn host(table: &'static str, index: usize) -> Spot {
        Spot { core: None, table, index }
    }
    pub(crate) fn target() -> Spot {
        Spot { core: None, table: "target", index: 0 }
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(core) = self.core {
            write!(f, "core {core}, ")?;
        }
        match self.table {
            "target" | "host" | "decoder" | "symbols" => f.write_str(self.table),
            table => write!(f, "{table} {}", self.index),
        }
    }
}

/// Why a bundle does not boot.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The target's numbers can't be used together.
    #[error("target: {0}")]
    Target(TargetFinding),
    /// The image is of another family than the target.
    #[error("the image is of the family {image}, the target of {target}")]
    Family {
        /// Family of the image.
        image: &'static str,
        /// Family of the target.
        target: &'static str,
    },
    /// The bits of a core can't be decoded.
    #[error("core {core}: {source}")]
    Decode {
        /// Physical core.
        core: u32,
        /// What the decoder says.
        source: CodecError,
    },
    /// The bits of a core of the crossbar family can't be decoded.
    #[error("{0}")]
    Crossbar(CrossbarError),
    /// The bits of an event crossbar can't be decoded.
    #[error("event crossbar: {0}")]
    Event(EventError),
    /// A neuron's spikes lead beyond the mesh.
    #[error("core {core}, neuron {neuron}: its destination lies at router ({x}, {y}), beyond the mesh of {width} x {height}")]
    OffMesh {
        /// Physical core.
        core: u32,
        /// Neuron of the core.
        neuron: usize,
        /// Column.
        x: i64,
        /// Row.
        y: i64,
        /// Routers in x.
        width: u32,
        /// Routers in y.
        height: u32,
    },
    /// A core stands where the output bus is.
    #[error("core {core} stands at the router of the output bus")]
    OnBus {
        /// Physical core.
        core: u32,
    },
    /// Cores are not ascending.
    #[error("core {core} stands after core {previous}; cores must ascend")]
    CoreOrder {
        /// The core.
        core: u32,
        /// The one before.
        previous: u32,
    },
    /// A number is out of range.
    #[error("{spot}: {field} is {found}, expected {}", expected(*low, *high))]
    Range {
        /// Where.
        spot: Spot,
        /// Field.
        field: &'static str,
        /// Its value.
        found: i128,
        /// Smallest value allowed.
        low: i128,
        /// Largest value allowed.
        high: i128,
    },
    /// Something refers to a core that the image hasn't.
    #[error("{spot}: core {core} is not in the image")]
    NoCore {
        /// Where.
        spot: Spot,
        /// The missing core.
        core: u32,
    },
    /// Something refers to an axon or compartment that its core hasn't.
    #[error("{spot}: core {core} has {count} {kind}s, but {kind} {index} is referred to")]
    NoPlace {
        /// Where.
        spot: Spot,
        /// "input axon" or "compartment".
        kind: &'static str,
        /// Physical core.
        core: u32,
        /// The missing one.
        index: u16,
        /// How many there are.
        count: usize,
    },
    /// A host map drives a compartment that no population has.
    #[error("{spot}: compartment {compartment} of core {core} belongs to no population")]
    NoSymbol {
        /// Where.
        spot: Spot,
        /// Physical core.
        core: u32,
        /// Compartment.
        compartment: u16,
    },
    /// The host sends spikes of neurons back on chips that need no host for that.
    #[error("{spot}: spikes of neurons are not sent back by the host on chips of this family")]
    NoReturn {
        /// Where.
        spot: Spot,
    },
    /// NaN or infinite.
    #[error("{spot}: {field} must be finite")]
    NotFinite {
        /// Where.
        spot: Spot,
        /// Field.
        field: &'static str,
    },
    /// A compartment could get an input beyond 32 bits in one step.
    #[error("core {core}, compartment {compartment}: its weights add up to {sum} units, more than {}", i32::MAX)]
    FanIn {
        /// Physical core.
        core: u32,
        /// Compartment.
        compartment: usize,
        /// Sum of the magnitudes of its weights, in units of the weights' alignment.
        sum: u64,
    },
    /// The target's times are too long to be added up.
    #[error("the target's times: {what}: up to {need_ps} ps in one chip step, at most {limit_ps} ps are supported")]
    StepTime {
        /// Keys of `timing_ns` or `timing_cycles`.
        what: &'static str,
        /// Longest time.
        need_ps: u64,
        /// Longest time supported.
        limit_ps: u64,
    },
    /// The machine would take too much memory.
    #[error("{what}: {need} needed, at most {limit} supported")]
    TooBig {
        /// Table.
        what: &'static str,
        /// Entries needed.
        need: u64,
        /// Most entries supported.
        limit: u64,
    },
}

fn expected(low: i128, high: i128) -> String {
    match low.cmp(&high) {
        std::cmp::Ordering::Less => format!("{low} to {high}"),
        std::cmp::Ordering::Equal => low.to_string(),
        std::cmp::Ordering::Greater => "no value at all (the table is empty)".to_string(),
    }
}

impl BootError {
    /// A remedy.
    pub fn hint(&self) -> String {
        match self {
            BootError::Target(finding) => finding.hint(),
            BootError::Range { spot: Spot { table: "target", .. }, .. } => "mend the target file and compile again".into(),
            BootError::FanIn { .. } => "use a smaller weight exponent, or prune the neuron's inputs".into(),
            BootError::StepTime { .. } => "give smaller times in the target, in nanoseconds, and compile again".into(),
            BootError::TooBig { what, .. } if what.contains("cycle") => {
                "use --timing analytic, a smaller link_buffer or fewer routers".into()
            }
            BootError::TooBig { .. } => "use shorter delays, or simulate fewer cores".into(),
            _ => "the bundle is damaged or was made by another tool: compile again".into(),
        }
    }
}

/// A booted machine: immutable, shared by all threads of a batch. There is one for each family.
#[derive(Debug)]
pub struct Machine(pub(crate) AnyMachine);

/// The machine of a family.
#[derive(Debug)]
pub(crate) enum AnyMachine {
    Packed(Box<PackedMachine>),
    Crossbar(Box<CrossbarMachine>),
    Event(Box<EventMachine>),
}

impl Machine {
    /// Decodes and checks a bundle, for runs without timing.
    ///
    /// # Errors
    /// [`BootError`] names the first table entry that is wrong.
    pub fn boot(bundle: Loadable<'_>) -> Result<Machine, BootError> {
        Machine::boot_timed(bundle, Level::None)
    }

    /// Decodes and checks a bundle, for runs that are timed.
    ///
    /// # Errors
    /// [`BootError`] names the first table entry that is wrong, or what is too large to be timed.
    pub fn boot_timed(bundle: Loadable<'_>, level: Level) -> Result<Machine, BootError> {
        if let Some(finding) = bundle.target.check().into_iter().next() {
            return Err(BootError::Target(finding));
        }
        let any = match (&bundle.target.family, bundle.image) {
            (Family::Packed(_), Image::Packed(image)) => AnyMachine::Packed(Box::new(PackedMachine::boot(bundle, image, level)?)),
            (Family::Crossbar(spec), Image::Crossbar(image)) => {
                AnyMachine::Crossbar(Box::new(CrossbarMachine::boot(bundle, spec, image, level)?))
            }
            (Family::EventCrossbar(spec), Image::EventCrossbar(image)) => {
                AnyMachine::Event(Box::new(EventMachine::boot(bundle, spec, image, level)?))
            }
            (family, image) => return Err(BootError::Family { image: image.family(), target: family.name() }),
        };
        Ok(Machine(any))
    }

    /// Used and available resources of each core, counted from the bits.
    pub fn utilization(&self) -> &[CoreUtilization] {
        match &self.0 {
            AnyMachine::Packed(m) => &m.utilization,
            AnyMachine::Crossbar(m) => &m.utilization,
            AnyMachine::Event(m) => std::slice::from_ref(&m.utilization),
        }
    }

    /// Name of the machine's family, as in target files.
    pub fn family(&self) -> &'static str {
        match &self.0 {
            AnyMachine::Packed(_) => "Packed",
            AnyMachine::Crossbar(_) => "Crossbar",
            AnyMachine::Event(_) => "EventCrossbar",
        }
    }
}
