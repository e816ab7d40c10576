//! The packed family (Loihi 1 and its like): from a bundle's bits to a machine that can run.
//!
//! In: a [`Loadable`]. Out: a [`PackedMachine`], or a [`BootError`] that names what is wrong.
//! Invariant: a machine that booted can't index out of its tables or overflow, whatever the bundle was.
//! Cost: linear in the image; memory too (see `fabric`).

pub(crate) mod fabric;
pub(crate) mod host;
pub(crate) mod layout;
pub(crate) mod neuron;
pub(crate) mod numbers;
pub(crate) mod routes;
mod run;
mod utilization;
pub(crate) mod view;

use crate::boot::{BootError, Spot};
use crate::check::range;
use crate::io::Io;
use crate::record::Names;
use crate::timing::{Level, Plan};
use crate::utilization::CoreUtilization;
use fabric::{Cores, Fabric};
use host::HostPlan;
use layout::Layout;
use neuron::{Kernel, Law};
use numbers::Numbers;
use rayon::prelude::*;
use spikec_chip::codec::{CodecError, decode_core};
use spikec_chip::image::{CoreTables, PackedImage};
use spikec_chip::{Loadable, bundle::Place};

/// A booted machine of the packed family.
#[derive(Debug)]
pub(crate) struct PackedMachine {
    pub(crate) law: Law,
    pub(crate) kernel: Kernel,
    pub(crate) layout: Layout,
    pub(crate) fabric: Fabric,
    pub(crate) io: Io,
    pub(crate) host: HostPlan,
    pub(crate) names: Names,
    /// Steps from now (the step after a spike) until a neuron's spike acts at delay 0.
    pub(crate) neuron_ahead: usize,
    /// The same for a host spike, from the step in which it is injected.
    pub(crate) input_ahead: usize,
    pub(crate) utilization: Vec<CoreUtilization>,
    /// Tables of the timing levels; none at level `None`.
    pub(crate) plan: Option<Plan>,
}

impl PackedMachine {
    /// Decodes and checks a bundle whose target was checked.
    pub(crate) fn boot(bundle: Loadable<'_>, image: &PackedImage, level: Level) -> Result<PackedMachine, BootError> {
        let numbers = Numbers::new(bundle.target)?;
        for pair in image.cores.windows(2) {
            if pair[0].core >= pair[1].core {
                return Err(BootError::CoreOrder { core: pair[1].core, previous: pair[0].core });
            }
        }
        let decoded: Vec<Result<CoreTables, CodecError>> = image.cores.par_iter().map(|c| decode_core(c, bundle.target)).collect();
        let mut tables = Vec::with_capacity(decoded.len());
        let mut used = Vec::with_capacity(decoded.len());
        for (bits, core) in image.cores.iter().zip(decoded) {
            let core = core.map_err(|source| BootError::Decode { core: bits.core, source })?;
            range(Spot::core(bits.core, "image", 0), "core", bits.core, 0, i128::from(numbers.total_cores) - 1)?;
            range(Spot::core(bits.core, "tables", 0), "core", core.core, bits.core.into(), bits.core.into())?;
            used.push(utilization::count(bits, &core, bundle.target));
            tables.push(core);
        }
        let layout = Layout::new(&tables, &numbers)?;
        let cores = Cores { tables: &tables, layout: &layout, numbers: &numbers };
        let fabric = Fabric::new(cores, bundle.target, &bundle.host.input_axons, level != Level::None)?;
        let find = |spot: Spot, place: Place| layout.lane(spot, place);
        let (names, skews) = Names::new(bundle.symbols, bundle.host, layout.lanes(), &find)?;
        let io = Io::new(bundle.host, bundle.symbols, &find)?;
        let host = HostPlan::new(bundle.host, &layout, &numbers, &skews)?;
        let plan = match level {
            Level::None => None,
            level => Some(Plan::new(level, cores, &fabric, &names, bundle.target)?),
        };
        Ok(PackedMachine {
            law: numbers.law,
            kernel: Kernel::best(),
            layout,
            fabric,
            io,
            host,
            names,
            neuron_ahead: numbers.neuron_hop as usize - 1,
            input_ahead: numbers.input_hop as usize,
            utilization: used,
            plan,
        })
    }
}
