//! What timing needs to know of a machine, made once at boot.
//!
//! In: the decoded cores and the flattened fabric. Out: [`Plan`].
//! Invariant: everything here follows from the bits and the target; the functional simulation does not read it.
//! Cost: eight bytes for each message of a spike, and eight for each change of a link's load on its way.

use super::Level;
use super::agenda::TIME_LIMIT;
use super::costs::CostsPs;
use super::links::{Area, LoadChanges};
use super::noc::Noc;
use crate::boot::BootError;
use crate::packed::fabric::{Cores, Fabric};
use crate::packed::layout::IDLE;
use crate::record::Names;
use spikec_chip::target::{Flush, Target};
use spikec_chip::{Mesh, Router};

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
    /// Receiver's time for each message of `neuron_fan_out.links`.
    pub neuron_services: Vec<u64>,
    /// The same for `input_fan_out.links`.
    pub input_services: Vec<u64>,
    /// What one spike adds to the loads of the links, by lane.
    pub neuron_loads: LoadChanges,
    /// The same by input channel.
    pub input_loads: LoadChanges,
    pub segments: Vec<Segment>,
    /// Compartment of its core, by lane.
    pub compartments: Vec<u16>,
    /// Of each core: its compartments' lanes follow each other.
    pub in_row: Vec<bool>,
    /// Population of each lane that has one: that of its first name.
    pub populations: Vec<u32>,
    pub group: usize,
    pub flush: Flush,
    /// The host's spikes act in the step for which they are given: it sends them during the step before.
    pub load_phase: bool,
    pub capacity: u32,
}

/// No population.
pub(crate) const UNNAMED: u32 = u32::MAX;

impl Plan {
    /// Of a machine that is about to boot at a timing level other than `None`.
    pub(crate) fn new(level: Level, cores: Cores<'_>, fabric: &Fabric, names: &Names, target: &Target) -> Result<Plan, BootError> {
        let Cores { layout, numbers, .. } = cores;
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
        let in_row = (0..layout.cores.len()).map(|k| layout.lanes_of_core(k).windows(2).all(|w| w[0] + 1 == w[1])).collect();
        let services = |links: &[crate::packed::routes::Link]| links.iter().map(|l| costs.service(&l.ops)).collect::<Vec<u64>>();
        let routers: Vec<u32> = home.map(|r| area.index(r) as u32).collect();
        let port = area.index(mesh.host_port()) as u32;
        let of_core = |core: u32| routers.get(core as usize).copied().unwrap_or(port);
        let neuron_loads = LoadChanges::new(area, &fabric.neuron_fan_out, &routers, |lane| of_core(layout.core_of[lane]))?;
        let input_loads = LoadChanges::new(area, &fabric.input_fan_out, &routers, |_| port)?;
        let plan = Plan {
            level,
            neuron_services: services(&fabric.neuron_fan_out.links),
            input_services: services(&fabric.input_fan_out.links),
            costs,
            target: target.clone(),
            mesh,
            area,
            neuron_loads,
            input_loads,
            segments,
            compartments,
            in_row,
            populations: names.populations(lanes),
            group: *target.packed().core.update_group as usize,
            flush: *target.topology.flush,
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

    /// Refuses a target whose longest step, each message's way through an empty mesh included, is beyond what times hold. (A step that
    /// waits longer still is found when it runs.)
    fn check_step_time(&self, cores: Cores<'_>) -> Result<(), BootError> {
        let c = &self.costs;
        let limit = TIME_LIMIT / 4;
        let refuse = |what, need| if need > limit { Err(BootError::StepTime { what, need_ps: need, limit_ps: limit }) } else { Ok(()) };
        let compartments = cores.layout.lane_of.len() as u64;
        let each = c.access.saturating_add(c.update).saturating_add(c.spike_out);
        refuse("neuron_access, neuron_update and spike_out of all compartments", compartments.saturating_mul(each))?;
        let sum = |list: &[u64]| list.iter().fold(0u64, |a, b| a.saturating_add(*b));
        refuse("axon_in and synapse times of all messages", sum(&self.neuron_services).saturating_add(sum(&self.input_services)))?;
        let (out, host) = (self.neuron_services.len() as u64, self.input_services.len() as u64);
        refuse(
            "axon_out and host_spike of all messages",
            (out.saturating_mul(c.axon_out)).saturating_add(host.saturating_mul(c.host_spike)),
        )?;
        refuse("barrier_by_tiles", c.barrier)?;
        if self.level == Level::Cycle {
            let hops = u64::from(self.area.width) + u64::from(self.area.height);
            let flit = c.link.max(c.chip_link);
            let way = c.hop_x.max(c.hop_y).max(c.hop_chip).saturating_add(flit).saturating_mul(hops);
            refuse(
                "hop_x, hop_y, hop_chip, local_port and flits_per_spike times link_flit of a way",
                way.saturating_add(2 * c.local_port),
            )?;
        }
        Ok(())
    }
}
