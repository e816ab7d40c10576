//! Who sends to which axon, and what one spike of each source causes.
//!
//! In: decoded cores and the host's input axons. Out: [`Routes`], and static [`FanOut`] tables for counters and timing.
//! Invariant: every route ends at an axon that exists; the tables don't outgrow the image by far.
//! Cost: linear in the output axons of all compartments.

use crate::boot::{BootError, Spot};
use crate::check::range;
use crate::packed::fabric::{Cores, small};
use crate::packed::layout::Layout;
use crate::packed::numbers::MAX_LINKS;
use spikec_chip::bundle::Place;
use spikec_chip::{Mesh, Router, Target};

/// Synapses that a message reads, by the kind of their entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct AxonOps {
    /// In dense entries, filler included.
    pub dense: u32,
    /// In sparse and run-length entries.
    pub sparse: u32,
    /// In entries that several input axons share, filler included.
    pub conv: u32,
}

impl AxonOps {
    pub(crate) fn add(&mut self, synapses: u32, dense: bool, shared: bool) {
        let kind = match (shared, dense) {
            (true, _) => &mut self.conv,
            (false, true) => &mut self.dense,
            (false, false) => &mut self.sparse,
        };
        *kind = kind.saturating_add(synapses);
    }
    pub(crate) fn all(&self) -> u64 {
        u64::from(self.dense) + u64::from(self.sparse) + u64::from(self.conv)
    }
}

/// What one message of a source does at its destination.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link {
    /// Position of the destination core.
    pub core: u32,
    /// Synapses that it reads.
    pub ops: AxonOps,
}

/// What one spike of a source causes in all.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FanOutSum {
    pub dense: u64,
    pub sparse: u64,
    pub conv: u64,
    pub hops_x: u64,
    pub hops_y: u64,
    pub hops_chip: u64,
}

impl FanOutSum {
    pub(crate) fn hops(&self) -> u64 {
        self.hops_x + self.hops_y + self.hops_chip
    }
}

/// Static fan-out of sources.
#[derive(Debug, Default)]
pub(crate) struct FanOut {
    offsets: Vec<u32>,
    /// All messages, by source.
    pub links: Vec<Link>,
    /// By source.
    pub sums: Vec<FanOutSum>,
}

impl FanOut {
    /// Range of `links` of a source.
    #[inline]
    pub(crate) fn range(&self, source: usize) -> std::ops::Range<usize> {
        self.offsets[source] as usize..self.offsets[source + 1] as usize
    }
    /// Messages of one spike of a source.
    #[inline]
    pub(crate) fn of(&self, source: usize) -> &[Link] {
        &self.links[self.range(source)]
    }
}

/// Axons of each source.
#[derive(Debug)]
pub(crate) struct Csr {
    offsets: Vec<u32>,
    axons: Vec<u32>,
}

impl Csr {
    pub(crate) fn of(&self, source: usize) -> &[u32] {
        &self.axons[self.offsets[source] as usize..self.offsets[source + 1] as usize]
    }
}

/// Who sends to which axon.
pub(crate) struct Routes {
    /// (position of the core, axon of that core).
    pub axons: Vec<(u32, u32)>,
    pub neurons: Csr,
    pub inputs: Csr,
    pub neuron_refs: Vec<u32>,
    pub input_refs: Vec<u32>,
}

impl Routes {
    pub(crate) fn new(cores: Cores<'_>, target: &Target, input_axons: &[Vec<Place>]) -> Result<Routes, BootError> {
        let Cores { tables, layout, .. } = cores;
        let mut axons = Vec::new();
        let mut bases = Vec::with_capacity(tables.len());
        for (k, core) in tables.iter().enumerate() {
            bases.push(axons.len());
            axons.extend((0..core.in_axons.len()).map(|a| (k as u32, a as u32)));
        }
        let find = |spot, place: Place| -> Result<u32, BootError> {
            let k = layout.core_index(place.core).ok_or(BootError::NoCore { spot, core: place.core })?;
            let count = tables[k].in_axons.len();
            if usize::from(place.index) >= count {
                return Err(BootError::NoPlace { spot, kind: "input axon", core: place.core, index: place.index, count });
            }
            small(bases[k] + usize::from(place.index))
        };
        let mut neuron_refs = vec![0u32; axons.len()];
        let mut input_refs = vec![0u32; axons.len()];
        let mut of_lane: Vec<(usize, std::ops::Range<usize>)> = vec![(0, 0..0); layout.lanes()];
        let mut sent = 0u64;
        for (k, core) in tables.iter().enumerate() {
            for (index, c) in core.compartments.iter().enumerate() {
                let end = usize::from(c.out_axon_start) + usize::from(c.out_axon_count);
                let spot = Spot::core(core.core, "compartment", index);
                range(spot, "end of output axons", end as u64, 0, core.out_axons.len() as i128)?;
                of_lane[layout.lanes_of_core(k)[index] as usize] = (k, end - usize::from(c.out_axon_count)..end);
                sent += u64::from(c.out_axon_count);
            }
        }
        // Compartments may share output axons, but not so many that the tables outgrow the image by far.
        let limit = u64::from(*target.packed().core.out_axon_entries).saturating_mul(tables.len() as u64).min(MAX_LINKS);
        if sent > limit {
            return Err(BootError::TooBig { what: "output axons of all compartments", need: sent, limit });
        }
        let mut neurons = Csr { offsets: vec![0], axons: Vec::with_capacity(sent as usize) };
        for (k, entries) in of_lane {
            let core = &tables[k];
            for index in entries {
                let out = &core.out_axons[index];
                let axon = find(Spot::core(core.core, "output axon", index), Place { core: out.core, index: out.in_axon })?;
                neuron_refs[axon as usize] += 1;
                neurons.axons.push(axon);
            }
            neurons.offsets.push(small(neurons.axons.len())?);
        }
        let mut inputs = Csr { offsets: vec![0], axons: Vec::new() };
        for (channel, places) in input_axons.iter().enumerate() {
            for place in places {
                let axon = find(Spot::host("input_axons", channel), *place)?;
                input_refs[axon as usize] += 1;
                inputs.axons.push(axon);
            }
            inputs.offsets.push(small(inputs.axons.len())?);
        }
        Ok(Routes { axons, neurons, inputs, neuron_refs, input_refs })
    }

    /// Static fan-out of neurons (by lane) and of input channels.
    pub(crate) fn fan_outs(&self, ops: &[AxonOps], layout: &Layout, target: &Target) -> (FanOut, FanOut) {
        let mesh = Mesh::new(&target.topology);
        let home = |lane: usize| layout.cores.get(layout.core_of[lane] as usize).map_or(mesh.host_port(), |core| mesh.router(*core));
        let neurons = self.fan_out(&self.neurons, ops, layout, &mesh, home);
        let inputs = self.fan_out(&self.inputs, ops, layout, &mesh, |_| mesh.host_port());
        (neurons, inputs)
    }

    fn fan_out(&self, sources: &Csr, ops: &[AxonOps], layout: &Layout, mesh: &Mesh, home: impl Fn(usize) -> Router) -> FanOut {
        let link = |&axon: &u32| Link { core: self.axons[axon as usize].0, ops: ops[axon as usize] };
        let sums = (0..sources.offsets.len() - 1).map(|source| {
            let mut sum = FanOutSum::default();
            let from = home(source);
            for axon in sources.of(source) {
                let hops = mesh.hops(from, mesh.router(layout.cores[self.axons[*axon as usize].0 as usize]));
                sum.dense += u64::from(ops[*axon as usize].dense);
                sum.sparse += u64::from(ops[*axon as usize].sparse);
                sum.conv += u64::from(ops[*axon as usize].conv);
                sum.hops_x += u64::from(hops.x);
                sum.hops_y += u64::from(hops.y);
                sum.hops_chip += u64::from(hops.chip);
            }
            sum
        });
        FanOut { sums: sums.collect(), offsets: sources.offsets.clone(), links: sources.axons.iter().map(link).collect() }
    }
}
