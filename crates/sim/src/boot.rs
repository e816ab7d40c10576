//! Booting: from a bundle's bits to a machine that can run.
//!
//! In: a [`Loadable`]. Out: a [`Machine`], or a [`BootError`] that names what is wrong.
//! Invariant: a machine that booted can't index out of its tables or overflow, whatever the bundle was.
//! Cost: linear in the image; memory too (see `fabric`).

use crate::check::Numbers;
use crate::fabric::{Cores, Fabric};
use crate::host::HostPlan;
use crate::layout::Layout;
use crate::neuron::{Kernel, Law};
use crate::record::Names;
use crate::timing::{Level, Plan};
use crate::utilization::{CoreUtilization, count};
use rayon::prelude::*;
use spikec_chip::codec::{CodecError, decode_core};
use spikec_chip::image::{CoreTables, Image};
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
    /// A family that can't be simulated.
    #[error("chips of the family {family} can't be simulated yet")]
    Family {
        /// Name of the family.
        family: &'static str,
    },
    /// The bits of a core can't be decoded.
    #[error("core {core}: {source}")]
    Decode {
        /// Physical core.
        core: u32,
        /// What the decoder says.
        source: CodecError,
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
    #[error("timing_ns: {what}: up to {need_ps} ps in one chip step, at most {limit_ps} ps are supported")]
    StepTime {
        /// Keys of `timing_ns`.
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
            BootError::TooBig { what, .. } if what.contains("shared lists") => "compile with --kernels unrolled".into(),
            BootError::TooBig { .. } => "use shorter delays, or simulate fewer cores".into(),
            _ => "the bundle is damaged or was made by another tool: compile again".into(),
        }
    }
}

/// A booted machine: immutable, shared by all threads of a batch.
#[derive(Debug)]
pub struct Machine {
    pub(crate) law: Law,
    pub(crate) kernel: Kernel,
    pub(crate) layout: Layout,
    pub(crate) fabric: Fabric,
    pub(crate) host: HostPlan,
    pub(crate) names: Names,
    /// Steps from now (the step after a spike) until a neuron's spike acts at delay 0.
    pub(crate) neuron_ahead: usize,
    /// The same for a host spike, from the step in which it is injected.
    pub(crate) input_ahead: usize,
    utilization: Vec<CoreUtilization>,
    /// Tables of the timing levels; none at level `None`.
    pub(crate) plan: Option<Plan>,
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
        let family = &bundle.target.family;
        if !matches!((family, bundle.image), (Family::Packed(_), Image::Packed(_))) {
            return Err(BootError::Family { family: family.name() });
        }
        let numbers = Numbers::new(bundle.target)?;
        let image = bundle.image.packed();
        for pair in image.cores.windows(2) {
            if pair[0].core >= pair[1].core {
                return Err(BootError::CoreOrder { core: pair[1].core, previous: pair[0].core });
            }
        }
        let decoded: Vec<Result<CoreTables, CodecError>> = image.cores.par_iter().map(|c| decode_core(c, bundle.target)).collect();
        let mut tables = Vec::with_capacity(decoded.len());
        let mut utilization = Vec::with_capacity(decoded.len());
        for (bits, core) in image.cores.iter().zip(decoded) {
            let core = core.map_err(|source| BootError::Decode { core: bits.core, source })?;
            crate::check::range(Spot::core(bits.core, "image", 0), "core", bits.core, 0, i128::from(numbers.total_cores) - 1)?;
            crate::check::range(Spot::core(bits.core, "tables", 0), "core", core.core, bits.core.into(), bits.core.into())?;
            utilization.push(count(bits, &core, bundle.target));
            tables.push(core);
        }
        let layout = Layout::new(&tables, &numbers)?;
        let cores = Cores { tables: &tables, layout: &layout, numbers: &numbers };
        let fabric = Fabric::new(cores, bundle.target, &bundle.host.input_axons, level != Level::None)?;
        let (names, skews) = Names::new(bundle.symbols, bundle.host, &layout)?;
        let host = HostPlan::new(bundle.host, bundle.symbols, &layout, &numbers, &skews)?;
        let plan = match level {
            Level::None => None,
            level => Some(Plan::new(level, cores, &fabric, &names, bundle.target)?),
        };
        Ok(Machine {
            law: numbers.law,
            kernel: Kernel::best(),
            layout,
            fabric,
            host,
            names,
            neuron_ahead: numbers.neuron_hop as usize - 1,
            input_ahead: numbers.input_hop as usize,
            utilization,
            plan,
        })
    }

    /// Used and available resources of each core, counted from the bits.
    pub fn utilization(&self) -> &[CoreUtilization] {
        &self.utilization
    }
}
