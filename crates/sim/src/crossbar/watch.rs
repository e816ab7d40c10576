//! Times a run on a crossbar chip (docs/timing.md, section 7).
//!
//! In: which axons are read, which neurons fire and what the host sends, tick by tick. Out: a sample's timing and detail.
//! Invariant: watches and never acts. Packets belong to the tick in which they are sent, synapses to the tick in which they are read, and who sent
//! the packet that made the axon active has caused them: units, cores with the host, layers and steps add up to the same energy.
//! Cost: `analytic` a few additions a spike; `cycle` an event for each packet and router.

use super::CrossbarMachine;
use super::boot::Exit;
use super::mesh::{Listen, Mesh, NO_TAG, Packet};
use crate::boot::BootError;
use crate::check::STEP_LIMIT_PS;
use crate::run_error::RunError;
use crate::timing::{
    Area, Bound, CoreStep, CoreTiming, Detail, Events, LayerKind, LayerTiming, Level, LinkLoads, LinkTiming, LoadChanges, MessageEvent,
    SampleTiming, StepTiming, ps,
};
use spikec_chip::crossbar::Crossbar;
use spikec_chip::{Router, Target};

/// What timing needs to know of a machine, made once at boot.
#[derive(Debug)]
pub(super) struct Plan {
    pub level: Level,
    area: Area,
    /// Router of each core in the area.
    routers: Vec<u32>,
    port: u32,
    bus: u32,
    bus_core: u32,
    /// What a spike adds to the loads of the links, by lane.
    neuron_loads: LoadChanges,
    /// The same of a host's packet, by core.
    host_loads: LoadChanges,
    /// Layer of each lane: a population, or the last but one.
    layers: Vec<u32>,
    cycle_ps: u64,
    /// Ticks are at least this far apart.
    tick_ps: u64,
    tick_cycles: u64,
    /// Cycles of a neuron.
    neuron_cycles: u64,
    merge: u64,
    capacity: u32,
}

impl Plan {
    pub(super) fn new(level: Level, machine: &CrossbarMachine, target: &Target, spec: &Crossbar) -> Result<Plan, BootError> {
        let width = *target.topology.width;
        let router = |core: u32| Router { x: core % width, y: core / width };
        let (bus, port) = (*spec.routing.output_bus, *target.topology.host_port);
        let (bus, port) = (Router { x: bus.0, y: bus.1 }, Router { x: port.0, y: port.1 });
        let sent = machine.exits.iter().any(|e| matches!(e, Exit::Bus));
        let ends = [port].into_iter().chain(sent.then_some(bus));
        let area = Area::around(machine.cores.iter().map(|&c| router(c)).chain(ends));
        let index = |r: Router| area.index(r) as u32;
        let routers: Vec<u32> = machine.cores.iter().map(|&c| index(router(c))).collect();
        let bus_at = if sent { index(bus) } else { 0 };
        let ways = machine.exits.iter().enumerate().map(|(lane, exit)| {
            let to = match *exit {
                Exit::None => None,
                Exit::Core { axon, .. } => Some(routers[axon as usize / machine.axons]),
                Exit::Bus => Some(bus_at),
            };
            (routers[lane / machine.neurons], to)
        });
        let neuron_loads = LoadChanges::of_ways(area, ways)?;
        let host_loads = LoadChanges::of_ways(area, routers.iter().map(|&r| (index(port), Some(r))))?;
        let unnamed = machine.names.layers().count() as u32;
        let layers = machine.names.populations(machine.exits.len()).into_iter().map(|p| p.min(unnamed)).collect();
        let t = &spec.timing_cycles;
        let plan = Plan {
            level,
            area,
            routers,
            port: index(port),
            bus: bus_at,
            bus_core: bus.y * width + bus.x,
            neuron_loads,
            host_loads,
            layers,
            cycle_ps: ps(*t.cycle_ns).max(1),
            tick_ps: ps(*t.tick_ns),
            tick_cycles: spec.tick_cycles(),
            neuron_cycles: u64::from(*spec.core.axons) + u64::from(*t.per_neuron),
            merge: (*t.merge).into(),
            capacity: *target.topology.link_buffer,
        };
        let need = plan.tick_cycles.saturating_mul(plan.cycle_ps);
        if need > STEP_LIMIT_PS {
            return Err(BootError::StepTime { what: "the cycles of a tick", need_ps: need, limit_ps: STEP_LIMIT_PS });
        }
        let routers = area.routers() as u64;
        if level == Level::Cycle && routers > super::mesh::MOST_ROUTERS {
            let limit = super::mesh::MOST_ROUTERS;
            return Err(BootError::TooBig { what: "routers at level cycle", need: routers, limit });
        }
        Ok(plan)
    }

    /// What a tick waits for the next one where nothing stalls.
    pub(super) fn wait_ps(&self) -> u64 {
        self.tick_ps.saturating_sub(self.tick_cycles * self.cycle_ps)
    }

    fn host_layer(&self, layers: usize) -> usize {
        layers - 1
    }
}

/// A core in the current tick.
#[derive(Debug, Clone, Copy, Default)]
struct Now {
    spikes: u32,
    messages_in: u32,
    ops: u64,
}

/// Times one sample after another; one for each thread.
#[derive(Debug)]
pub(super) struct Watch {
    /// Who made an axon active, `[slot][axon of all cores]`: a layer.
    owners: Vec<u32>,
    cores: Vec<Now>,
    loads: LinkLoads,
    link_totals: Vec<u64>,
    mesh: Option<Mesh>,
    step: Events,
    totals: Vec<CoreTiming>,
    layers: Vec<LayerTiming>,
    timing: SampleTiming,
    record: (bool, bool),
    core_steps: Vec<CoreStep>,
    messages: Vec<MessageEvent>,
}

struct Notes<'a> {
    messages: &'a mut [MessageEvent],
    cycle_ps: u64,
}

impl Listen for Notes<'_> {
    fn sent(&mut self, tag: u32, cycle: u64) {
        self.messages[tag as usize].sent_ps = cycle.saturating_mul(self.cycle_ps);
    }
    fn arrived(&mut self, tag: u32, cycle: u64) {
        self.messages[tag as usize].done_ps = cycle.saturating_mul(self.cycle_ps);
    }
}

impl Watch {
    /// `core_steps`, `messages`: what is recorded.
    pub(super) fn new(machine: &CrossbarMachine, plan: &Plan, core_steps: bool, messages: bool) -> Watch {
        let mesh = (plan.level == Level::Cycle).then(|| Mesh::new(plan.area, &plan.routers, plan.port, plan.merge, plan.capacity));
        Watch {
            owners: vec![0; machine.slots * machine.cores.len() * machine.axons],
            cores: vec![Now::default(); machine.cores.len()],
            loads: LinkLoads::new(plan.area),
            link_totals: vec![0; 4 * plan.area.routers()],
            mesh,
            step: Events::default(),
            totals: Vec::new(),
            layers: Vec::new(),
            timing: SampleTiming::default(),
            record: (core_steps, messages),
            core_steps: Vec::new(),
            messages: Vec::new(),
        }
    }

    /// Clears everything and times what the host sends before tick 0.
    pub(super) fn start(&mut self, machine: &CrossbarMachine, plan: &Plan, host: &[u32]) -> Result<(), RunError> {
        self.link_totals.fill(0);
        self.core_steps.clear();
        self.messages.clear();
        self.timing = SampleTiming::default();
        self.totals.clear();
        self.totals.extend(machine.cores.iter().map(|&core| CoreTiming { core, ..CoreTiming::default() }));
        let layer = |kind, name| LayerTiming { kind, name, events: Events::default() };
        self.layers.clear();
        self.layers.extend(machine.names.layers().map(|name| layer(LayerKind::Population, name)));
        self.layers.push(layer(LayerKind::Unnamed, "unnamed".into()));
        self.layers.push(layer(LayerKind::Host, "input".into()));
        if let Some(mesh) = &mut self.mesh {
            mesh.reset_peaks();
        }
        self.begin();
        let load = self.end_step(machine, plan, -1, &[], host)?;
        self.timing.load_ps = load.time_ps;
        self.timing.time_ps = load.time_ps;
        self.timing.events += load.events;
        Ok(())
    }

    /// A tick begins.
    pub(super) fn begin(&mut self) {
        self.cores.fill(Now::default());
        self.step = Events::default();
    }

    /// A packet makes an axon active in a slot; `lane`: of the neuron that sent it, none for the host.
    pub(super) fn activates(&mut self, plan: &Plan, cell: usize, lane: Option<usize>) {
        self.owners[cell] = lane.map_or(plan.host_layer(self.layers.len()) as u32, |lane| plan.layers[lane]);
    }

    /// An active axon is read.
    #[inline]
    pub(super) fn reads(&mut self, core: usize, cell: usize, synapses: u64) {
        self.step.synapses_dense += synapses;
        self.cores[core].ops += synapses;
        self.totals[core].events.synapses_dense += synapses;
        self.layers[self.owners[cell] as usize].events.synapses_dense += synapses;
    }

    /// Ends a tick: `fired` neurons send, and the host sends to the axons `host` for the next tick.
    pub(super) fn after(
        &mut self,
        machine: &CrossbarMachine,
        plan: &Plan,
        chip_step: u32,
        fired: &[u32],
        host: &[u32],
    ) -> Result<(), RunError> {
        let step = self.end_step(machine, plan, chip_step as i32, fired, host)?;
        self.timing.time_ps = self.timing.time_ps.saturating_add(step.time_ps);
        self.timing.overruns += u64::from(plan.tick_ps > 0 && step.time_ps > plan.tick_ps);
        self.timing.events += step.events;
        self.timing.steps.push(step);
        Ok(())
    }

    fn end_step(
        &mut self,
        machine: &CrossbarMachine,
        plan: &Plan,
        chip_step: i32,
        fired: &[u32],
        host: &[u32],
    ) -> Result<StepTiming, RunError> {
        let ticks = chip_step >= 0;
        let first_message = self.messages.len();
        let mut ports = Ports { out: 0, bus: 0 };
        for &lane in fired {
            self.sends(machine, plan, lane as usize, chip_step, &mut ports);
        }
        for &axon in host {
            self.host_sends(machine, plan, axon as usize, chip_step);
        }
        let mut events = self.step;
        if ticks {
            events.neuron_accesses = machine.used.iter().map(|u| u.len() as u64).sum();
            events.neuron_updates = (machine.cores.len() * machine.neurons) as u64;
        }
        let link = self.links();
        let into = self.cores.iter().map(|c| u64::from(c.messages_in)).max().unwrap_or(0);
        let port = [link.0, into, u64::from(ports.out), ports.bus, host.len() as u64].into_iter().max().unwrap_or(0);
        let cycles = |n: u64| n.saturating_mul(plan.cycle_ps);
        let generation_ps = if ticks && !machine.cores.is_empty() { cycles(plan.tick_cycles) } else { 0 };
        let host_ps = cycles((host.len() as u64 * plan.merge).saturating_sub(plan.merge - 1));
        let link_ps = cycles(port * plan.merge);
        let sums = generation_ps.max(host_ps);
        let mut body = sums.max(link_ps);
        let mut slowest = 0;
        if let Some(mesh) = &mut self.mesh {
            load(mesh, machine, plan, fired, host, if self.record.1 { first_message as u32 } else { NO_TAG });
            let mut notes = Notes { messages: &mut self.messages, cycle_ps: plan.cycle_ps };
            mesh.run(chip_step, &mut notes)?;
            let late = (0..machine.cores.len()).map(|k| mesh.late(k)).max().unwrap_or(0);
            slowest = (0..machine.cores.len()).find(|&k| mesh.late(k) == late).unwrap_or(0);
            let sent = if host.is_empty() { 0 } else { mesh.last_sent(machine.cores.len()) + 1 };
            let done = if ticks { plan.tick_cycles + late } else { 0 };
            body = cycles(done.max(mesh.last_arrival).max(sent)).max(sums);
            for (k, total) in self.totals.iter_mut().enumerate() {
                total.stalled_ps = total.stalled_ps.saturating_add(cycles(mesh.late(k)));
            }
        }
        if body > STEP_LIMIT_PS {
            return Err(RunError::StepTooLong { chip_step });
        }
        let time_ps = if ticks { body.max(plan.tick_ps) } else { body };
        let shares = [generation_ps, 0, body - sums, host_ps, time_ps - body];
        let bound = Bound::ALL[(0..5).rev().max_by_key(|&k| shares[k]).unwrap_or(0)];
        if ticks {
            self.cores_done(machine, plan, chip_step as u32, generation_ps, (bound == Bound::Compute).then_some(slowest));
        }
        let core = machine.cores.get(slowest).copied().unwrap_or(0);
        Ok(StepTiming {
            time_ps,
            barrier_ps: time_ps - body,
            generation_ps,
            generation_core: core,
            processing_ps: 0,
            processing_core: core,
            host_ps,
            link_ps,
            link: link.1.map(|n| plan.area.link(n)),
            bound,
            events,
        })
    }

    /// A neuron's packet: it, its hops, and who gets it.
    fn sends(&mut self, machine: &CrossbarMachine, plan: &Plan, lane: usize, chip_step: i32, ports: &mut Ports) {
        let core = lane / machine.neurons;
        let (x, y) = machine.hops[lane];
        let (to, synapses, into) = match machine.exits[lane] {
            Exit::Core { axon, .. } => {
                let to = axon as usize / machine.axons;
                (machine.cores[to], machine.degrees[axon as usize], Some(to))
            }
            _ => (plan.bus_core, 0, None),
        };
        let own = Events { neuron_spikes: 1, messages_out: 1, hops_x: x.into(), hops_y: y.into(), ..Events::default() };
        let received = u64::from(into.is_some());
        self.step += own;
        self.step.messages_in += received;
        self.totals[core].events += own;
        let layer = &mut self.layers[plan.layers[lane] as usize].events;
        *layer += own;
        layer.messages_in += received;
        self.cores[core].spikes += 1;
        ports.out = ports.out.max(self.cores[core].spikes);
        match into {
            Some(to) => {
                self.cores[to].messages_in += 1;
                self.totals[to].events.messages_in += 1;
            }
            None => ports.bus += 1,
        }
        self.loads.add(&plan.neuron_loads, lane);
        if self.record.1 {
            let from = machine.cores[core] as i32;
            self.messages.push(MessageEvent { chip_step, from, to, synapses, sent_ps: 0, done_ps: 0 });
        }
    }

    /// A packet of the host.
    fn host_sends(&mut self, machine: &CrossbarMachine, plan: &Plan, axon: usize, chip_step: i32) {
        let to = axon / machine.axons;
        let (x, y) = machine.host_hops[to];
        let own = Events { host_messages: 1, messages_in: 1, hops_x: x.into(), hops_y: y.into(), ..Events::default() };
        self.step += own;
        let host = plan.host_layer(self.layers.len());
        self.layers[host].events += own;
        self.cores[to].messages_in += 1;
        self.totals[to].events.messages_in += 1;
        self.loads.add(&plan.host_loads, to);
        if self.record.1 {
            let synapses = machine.degrees[axon];
            self.messages.push(MessageEvent { chip_step, from: -1, to: machine.cores[to], synapses, sent_ps: 0, done_ps: 0 });
        }
    }

    /// Packets on the busiest link, and which it is.
    fn links(&mut self) -> (u64, Option<usize>) {
        let mut most = (0, None);
        let totals = &mut self.link_totals;
        self.loads.drain(|number, packets| {
            totals[number] += packets;
            if packets > most.0 {
                most = (packets, Some(number));
            }
        });
        most
    }

    fn cores_done(&mut self, machine: &CrossbarMachine, plan: &Plan, chip_step: u32, generation_ps: u64, critical: Option<usize>) {
        for (k, total) in self.totals.iter_mut().enumerate() {
            total.generation_ps = total.generation_ps.saturating_add(generation_ps);
            total.critical_steps += u64::from(critical == Some(k));
            if self.record.0 {
                let now = &self.cores[k];
                self.core_steps.push(CoreStep {
                    chip_step,
                    core: k as u32,
                    updates: machine.neurons as u32,
                    spikes: now.spikes,
                    messages_out: now.spikes,
                    messages_in: now.messages_in,
                    synaptic_ops: now.ops,
                    generation_ps,
                    processing_ps: 0,
                    stalled_ps: self.mesh.as_ref().map_or(0, |mesh| mesh.late(k).saturating_mul(plan.cycle_ps)),
                });
            }
        }
    }

    /// Sums up the sample.
    ///
    /// # Errors
    /// [`RunError::RunTooLong`] where its time is beyond what times can say.
    pub(super) fn finish(&mut self, machine: &CrossbarMachine, plan: &Plan) -> Result<(SampleTiming, Detail), RunError> {
        if self.timing.time_ps > i64::MAX as u64 {
            return Err(RunError::RunTooLong);
        }
        let steps = self.timing.steps.len() as u64;
        for (k, used) in machine.used.iter().enumerate() {
            let of_core = &mut self.totals[k].events;
            (of_core.neuron_accesses, of_core.neuron_updates) = (used.len() as u64 * steps, machine.neurons as u64 * steps);
            let unnamed = self.layers.len() - 2;
            self.layers[unnamed].events.neuron_updates += (machine.neurons - used.len()) as u64 * steps;
            for &n in used {
                let layer = &mut self.layers[plan.layers[k * machine.neurons + usize::from(n)] as usize].events;
                layer.neuron_accesses += steps;
                layer.neuron_updates += steps;
            }
        }
        let mut layers = std::mem::take(&mut self.layers);
        layers.retain(|l| l.events != Events::default());
        let mut links = Vec::new();
        for (number, &messages) in self.link_totals.iter().enumerate().filter(|l| *l.1 > 0) {
            links.push(LinkTiming {
                link: plan.area.link(number),
                messages,
                flits: messages,
                busy_ps: messages.saturating_mul(plan.merge.saturating_mul(plan.cycle_ps)),
                peak_queue: self.mesh.as_ref().map_or(0, |mesh| mesh.peak(number)),
            });
        }
        let detail = Detail {
            cores: std::mem::take(&mut self.totals),
            links,
            layers,
            core_steps: std::mem::take(&mut self.core_steps),
            messages: std::mem::take(&mut self.messages),
            wave: None,
        };
        Ok((std::mem::take(&mut self.timing), detail))
    }
}

/// Packets through ports that aren't counted by core.
struct Ports {
    /// The most that one core sends.
    out: u32,
    /// All that come to the output bus.
    bus: u64,
}

/// Gives the mesh the packets of a tick; `first` is the number of the first one's message.
fn load(mesh: &mut Mesh, machine: &CrossbarMachine, plan: &Plan, fired: &[u32], host: &[u32], first: u32) {
    let tag = |k: usize| if first == NO_TAG { NO_TAG } else { first + k as u32 };
    for (k, &lane) in fired.iter().enumerate() {
        let lane = lane as usize;
        let to = match machine.exits[lane] {
            Exit::Core { axon, .. } => plan.routers[axon as usize / machine.axons],
            _ => plan.bus,
        };
        let made = ((lane % machine.neurons) as u64 + 1) * plan.neuron_cycles;
        mesh.load(lane / machine.neurons, [Packet { to, made, tag: tag(k) }]);
    }
    let packet = |(k, &axon): (usize, &u32)| Packet {
        to: plan.routers[axon as usize / machine.axons],
        made: k as u64 * plan.merge,
        tag: tag(fired.len() + k),
    };
    mesh.load(machine.cores.len(), host.iter().enumerate().map(packet));
}
