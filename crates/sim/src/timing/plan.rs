//! What timing needs to know of a machine, made once at boot.
//!
//! In: the decoded cores and the flattened fabric. Out: [`Plan`].
//! Invariant: everything here follows from the bits and the target; the functional simulation does not read it.
//! Cost: four bytes for each stored synapse, eight for each message of a spike.

use super::Level;
use super::agenda::TIME_LIMIT;
use super::costs::CostsPs;
use super::links::Area;
use super::noc::Noc;
use crate::boot::BootError;
use crate::fabric::{Cores, Fabric, small};
use crate::layout::IDLE;
use crate::record::Names;
use spikec_chip::target::{Accumulation, Target};
use spikec_chip::{Mesh, Router};

/// Bits of a lane in a touch.
const LANE_BITS: u32 = 24;

/// A synapse as an input that reaches a compartment: lane and delay register.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Touch(u32);

impl Touch {
    #[inline]
    pub(crate) fn lane(self) -> usize {
        (self.0 & ((1 << LANE_BITS) - 1)) as usize
    }
    #[inline]
    pub(crate) fn delay(self) -> usize {
        (self.0 >> LANE_BITS) as usize
    }
}

/// Consecutive lanes of one core and class.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub start: usize,
    pub end: usize,
    /// Position of the core.
    pub core: usize,
    /// u outlives a step.
    pub keeps_u: bool,
    pub holds: bool,
}

/// Static tables of the timing levels.
#[derive(Debug)]
pub(crate) struct Plan {
    pub level: Level,
    pub costs: CostsPs,
    pub target: Target,
    pub mesh: Mesh,
    pub area: Area,
    /// Router number (in the area) of each core.
    pub routers: Vec<u32>,
    pub port: u32,
    /// Receiver's time for each message of `neuron_fan_out.links`.
    pub neuron_services: Vec<u64>,
    /// The same for `input_fan_out.links`.
    pub input_services: Vec<u64>,
    touch_offsets: Vec<u32>,
    touches: Vec<Touch>,
    pub segments: Vec<Segment>,
    /// Compartment of its core, by lane.
    pub compartments: Vec<u16>,
    /// Population of each lane that has one: that of its first name.
    pub populations: Vec<u32>,
    pub group: usize,
    pub after_update: bool,
    /// Accumulator slots of the fabric.
    pub slots: usize,
    /// The host's spikes act in the step for which they are given: it sends them during the step before.
    pub load_phase: bool,
    pub capacity: u32,
}

/// No population.
pub(crate) const UNNAMED: u32 = u32::MAX;

impl Plan {
    /// Of a machine that is about to boot at a timing level other than `None`.
    pub(crate) fn new(level: Level, cores: Cores<'_>, fabric: &Fabric, names: &Names, target: &Target) -> Result<Plan, BootError> {
        let Cores { tables, layout, numbers } = cores;
        let mesh = Mesh::new(&target.topology);
        let fed = !fabric.input_fan_out.links.is_empty();
        let home = layout.cores.iter().map(|&core| mesh.router(core));
        let used: Vec<Router> = home.clone().chain((fed || layout.cores.is_empty()).then_some(mesh.host_port())).collect();
        let mut tiles = used.clone();
        tiles.sort_unstable();
        tiles.dedup();
        // The host's port belongs to the area even if nothing is fed: its sender has a place.
        let area = Area::around(used.iter().copied().chain([mesh.host_port()]));
        let costs = CostsPs::new(target, tiles.len() as u32);
        let lanes = layout.lanes();
        if lanes > 1 << LANE_BITS {
            return Err(BootError::TooBig { what: "compartments (with timing)", need: lanes as u64, limit: 1 << LANE_BITS });
        }
        let mut touch_offsets = vec![0];
        let mut touches = Vec::new();
        for &(k, index) in &fabric.axons {
            let lanes = layout.lanes_of_core(k as usize);
            for entry in &tables[k as usize].in_axons[index as usize].entries {
                touches.extend(entry.synapses.iter().map(|s| Touch(lanes[usize::from(s.compartment)] | u32::from(s.delay) << LANE_BITS)));
            }
            touch_offsets.push(small(touches.len())?);
        }
        let mut segments: Vec<Segment> = Vec::new();
        for class in &layout.classes {
            let from = segments.len();
            for lane in class.start..class.end {
                let core = layout.core_of[lane];
                if core == IDLE {
                    break;
                }
                match segments[from..].last_mut().filter(|s| s.core == core as usize) {
                    Some(segment) => segment.end = lane + 1,
                    None => segments.push(Segment {
                        start: lane,
                        end: lane + 1,
                        core: core as usize,
                        keeps_u: class.params.keep_u != 0,
                        holds: class.params.hold > 0,
                    }),
                }
            }
        }
        let mut compartments = vec![0; lanes];
        for k in 0..layout.cores.len() {
            for (index, &lane) in layout.lanes_of_core(k).iter().enumerate() {
                compartments[lane as usize] = index as u16;
            }
        }
        let services = |links: &[crate::routes::Link]| links.iter().map(|l| costs.service(l.ops.dense, l.ops.sparse)).collect::<Vec<u64>>();
        let plan = Plan {
            level,
            neuron_services: services(&fabric.neuron_fan_out.links),
            input_services: services(&fabric.input_fan_out.links),
            costs,
            target: target.clone(),
            mesh,
            area,
            routers: home.map(|r| area.index(r) as u32).collect(),
            port: area.index(mesh.host_port()) as u32,
            touch_offsets,
            touches,
            segments,
            compartments,
            populations: names.populations(lanes),
            group: *target.packed().core.update_group as usize,
            after_update: *target.packed().core.accumulation == Accumulation::AfterUpdate,
            slots: fabric.slots,
            load_phase: numbers.input_hop == 0 && fed,
            capacity: *target.topology.link_buffer,
        };
        plan.check_step_time(cores)?;
        if level == Level::Cycle {
            plan.noc(&layout.cores)?;
        }
        Ok(plan)
    }

    /// A mesh at rest.
    pub(crate) fn noc(&self, cores: &[u32]) -> Result<Noc, BootError> {
        let too_big = |t: super::noc::TooBig| BootError::TooBig { what: t.what, need: t.need, limit: t.limit };
        Noc::new(&self.mesh, self.area, cores, &self.costs, self.capacity).map_err(too_big)
    }

    /// Inputs that a message of an axon brings.
    #[inline]
    pub(crate) fn touches(&self, axon: u32) -> &[Touch] {
        &self.touches[self.touch_offsets[axon as usize] as usize..self.touch_offsets[axon as usize + 1] as usize]
    }

    /// Refuses a target whose longest step is beyond what times hold.
    fn check_step_time(&self, cores: Cores<'_>) -> Result<(), BootError> {
        let c = &self.costs;
        let sum = |list: &[u64]| list.iter().fold(0u64, |a, b| a.saturating_add(*b));
        let messages = (self.neuron_services.len() + self.input_services.len()) as u64;
        let each = c.axon_out.max(c.host_spike).saturating_add(2 * c.local_port);
        let most = sum(&self.neuron_services)
            .saturating_add(sum(&self.input_services))
            .saturating_add(messages.saturating_mul(each))
            .saturating_add((cores.layout.lanes() as u64).saturating_mul(c.access.saturating_add(c.update).saturating_add(c.spike_out)))
            .saturating_add(c.barrier);
        // Half of the limit is left for the ways through the mesh.
        if most > TIME_LIMIT / 4 {
            return Err(BootError::TooBig { what: "picoseconds of the longest step", need: most, limit: TIME_LIMIT / 4 });
        }
        Ok(())
    }
}
