//! The stopwatch: watches a run step by step and times it.
//!
//! In: before each update what the compartments hold, after it who fired and what the host sends. Out: a sample's timing and detail.
//! Invariant: reads the run's state and never writes it. Messages belong to the step in which they are sent, also those of a
//! sample's last step, which arrive after the last update and change nothing.
//! Cost: see the module's head; nothing is allocated in a step once the buffers have grown.

use super::costs::Events;
use super::links::LinkLoads;
use super::noc::{Emission, Noc, Probe, Trouble};
use super::plan::{Plan, UNNAMED};
use super::wave::Wave;
use super::{Bound, CoreStep, CoreTiming, LayerKind, LayerTiming, Level, LinkTiming, MessageEvent, SampleTiming, StepTiming};
use crate::boot::BootError;
use crate::packed::PackedMachine;
use crate::packed::routes::FanOut;
use crate::run_error::RunError;
use spikec_chip::target::Flush;

/// What the compartments hold before an update; all by lane.
pub(crate) struct Before<'a> {
    pub u: &'a [i32],
    pub v: &'a [i32],
    /// Empty when nothing is ever held.
    pub held: &'a [i32],
    pub bias: &'a [i32],
    /// 1 where a synapse reaches the lane in this step; cleared.
    pub touched: &'a mut [u8],
}

/// What the stopwatch records besides sums.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recording {
    pub core_steps: bool,
    pub messages: bool,
    pub wave: Option<Wave>,
}

/// Totals of a sample that are folded into the batch's.
#[derive(Debug, Default)]
pub(crate) struct Detail {
    pub cores: Vec<CoreTiming>,
    pub links: Vec<LinkTiming>,
    pub layers: Vec<LayerTiming>,
    pub core_steps: Vec<CoreStep>,
    pub messages: Vec<MessageEvent>,
    pub wave: Option<Wave>,
}

/// A core in the current step.
#[derive(Debug, Clone, Copy, Default)]
struct Now {
    active: u32,
    spikes: u32,
    messages_out: u32,
    messages_in: u32,
    ops: u64,
    generation: u64,
    processing: u64,
}

/// Times one sample after another; one for each thread.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    /// By lane: has something to do in this step.
    active: Vec<u8>,
    /// By lane: steps in which it had.
    updates: Vec<u32>,
    cores: Vec<Now>,
    loads: LinkLoads,
    link_totals: Vec<u64>,
    noc: Option<Noc>,
    emissions: Vec<Emission>,
    ranges: Vec<(u32, u32)>,
    /// (core, compartment, lane) of the lanes that fired.
    order: Vec<(u32, u16, u32)>,
    totals: Vec<CoreTiming>,
    timing: SampleTiming,
    recording: Recording,
    core_steps: Vec<CoreStep>,
    messages: Vec<MessageEvent>,
}

/// Notes when messages were sent and done with.
struct Notes<'a> {
    messages: &'a mut [MessageEvent],
    wave: Option<&'a mut Wave>,
    begin: u64,
}

impl Probe for Notes<'_> {
    fn sent(&mut self, time: u64, sender: usize, tag: u32) {
        if let Some(message) = self.messages.get_mut(tag as usize) {
            message.sent_ps = time;
        }
        if let Some(wave) = &mut self.wave {
            wave.sent(self.begin + time, sender);
        }
    }
    fn stalled(&mut self, from: u64, until: u64, sender: usize) {
        if let Some(wave) = &mut self.wave {
            wave.stalled(self.begin + from, self.begin + until, sender);
        }
    }
    fn received(&mut self, came: u64, start: u64, end: u64, core: usize, tag: u32) {
        if let Some(message) = self.messages.get_mut(tag as usize) {
            message.done_ps = end;
        }
        if let Some(wave) = &mut self.wave {
            wave.received(self.begin + came, self.begin + start, self.begin + end, core);
        }
    }
}

impl Stopwatch {
    pub(crate) fn new(machine: &PackedMachine, plan: &Plan, recording: Recording) -> Result<Stopwatch, BootError> {
        let lanes = machine.layout.lanes();
        let cores = machine.layout.cores.len();
        let noc = if plan.level == Level::Cycle { Some(plan.noc(&machine.layout.cores)?) } else { None };
        Ok(Stopwatch {
            active: vec![0; lanes],
            updates: vec![0; lanes],
            cores: vec![Now::default(); cores],
            loads: LinkLoads::new(plan.area),
            link_totals: vec![0; 4 * plan.area.routers()],
            noc,
            emissions: Vec::new(),
            ranges: vec![(0, 0); cores + 1],
            order: Vec::new(),
            totals: Vec::new(),
            timing: SampleTiming::default(),
            recording,
            core_steps: Vec::new(),
            messages: Vec::new(),
        })
    }

    /// Clears everything and times the host's spikes of step 0 where it sends them before the step.
    pub(crate) fn start(&mut self, machine: &PackedMachine, plan: &Plan, host: &[u32]) -> Result<(), RunError> {
        self.active.fill(0);
        self.updates.fill(0);
        self.link_totals.fill(0);
        self.core_steps.clear();
        self.messages.clear();
        if let Some(wave) = &mut self.recording.wave {
            wave.clear();
        }
        self.timing = SampleTiming::default();
        self.totals.clear();
        self.totals.extend(machine.layout.cores.iter().map(|&core| CoreTiming { core, ..CoreTiming::default() }));
        if let Some(noc) = &mut self.noc {
            noc.reset_counts();
        }
        if plan.load_phase {
            self.cores.fill(Now::default());
            let load = self.messages(machine, plan, -1, &[], host)?;
            self.timing.load_ps = load.time_ps;
            self.timing.time_ps = load.time_ps;
            self.timing.events += load.events;
        }
        Ok(())
    }

    /// Counts the compartments that have something to do.
    pub(crate) fn before_update(&mut self, plan: &Plan, before: Before<'_>) {
        self.cores.fill(Now::default());
        for s in &plan.segments {
            let at = s.start..s.end;
            let active = &mut self.active[at.clone()];
            let state = before.v[at.clone()].iter().zip(&before.bias[at.clone()]).zip(&mut before.touched[at.clone()]);
            for (flag, ((&v, &bias), touch)) in active.iter_mut().zip(state) {
                *flag = u8::from(v != 0) | u8::from(bias != 0) | *touch;
                *touch = 0;
            }
            if s.keeps_u {
                for (flag, &u) in active.iter_mut().zip(&before.u[at.clone()]) {
                    *flag |= u8::from(u != 0);
                }
            }
            if s.holds {
                for (flag, &held) in active.iter_mut().zip(&before.held[at.clone()]) {
                    *flag |= u8::from(held != 0);
                }
            }
            let mut count = 0;
            for (total, &flag) in self.updates[at].iter_mut().zip(&*active) {
                *total += u32::from(flag);
                count += u32::from(flag);
            }
            self.cores[s.core].active += count;
        }
    }

    /// Times the step: `fired` lanes send, and the host sends the spikes of `host`.
    pub(crate) fn after_update(
        &mut self,
        machine: &PackedMachine,
        plan: &Plan,
        chip_step: u32,
        fired: &[u32],
        host: &[u32],
    ) -> Result<(), RunError> {
        for (k, core) in self.cores.iter_mut().enumerate() {
            let compartments = machine.layout.lanes_of_core(k).len() as u64;
            core.generation = compartments * plan.costs.access + u64::from(core.active) * plan.costs.update;
        }
        let step = self.messages(machine, plan, chip_step as i32, fired, host)?;
        self.timing.time_ps = self.timing.time_ps.saturating_add(step.time_ps);
        self.timing.events += step.events;
        self.timing.steps.push(step);
        Ok(())
    }

    /// Sends the messages of a step and sums up what it took.
    fn messages(
        &mut self,
        machine: &PackedMachine,
        plan: &Plan,
        chip_step: i32,
        fired: &[u32],
        host: &[u32],
    ) -> Result<StepTiming, RunError> {
        let costs = &plan.costs;
        let mut events = Events::default();
        let first_message = self.messages.len();
        let noted = self.recording.messages || self.recording.wave.is_some();
        for &lane in fired {
            let k = machine.layout.core_of[lane as usize] as usize;
            let range = machine.fabric.neuron_fan_out.range(lane as usize);
            let sum = &machine.fabric.neuron_fan_out.sums[lane as usize];
            add_fan_out(&mut events, sum);
            events.messages_out += range.len() as u64;
            let core = &mut self.cores[k];
            core.spikes += 1;
            core.messages_out += range.len() as u32;
            core.generation += costs.spike_out + range.len() as u64 * costs.axon_out;
            self.receive(&machine.fabric.neuron_fan_out, &plan.neuron_services, range);
            self.loads.add(&plan.neuron_loads, lane as usize);
        }
        let mut host_ps = 0;
        for &channel in host {
            let range = machine.fabric.input_fan_out.range(channel as usize);
            add_fan_out(&mut events, &machine.fabric.input_fan_out.sums[channel as usize]);
            events.host_messages += range.len() as u64;
            host_ps += range.len() as u64 * costs.host_spike;
            self.receive(&machine.fabric.input_fan_out, &plan.input_services, range);
            self.loads.add(&plan.input_loads, channel as usize);
        }
        events.messages_in = events.messages_out + events.host_messages;
        events.neuron_spikes = fired.len() as u64;
        if chip_step >= 0 {
            events.neuron_accesses = machine.layout.lane_of.len() as u64;
            events.neuron_updates = self.cores.iter().map(|c| u64::from(c.active)).sum();
        }
        let longest = |of: fn(&Now) -> u64| {
            let (mut at, mut most) = (0, 0);
            for (k, core) in self.cores.iter().enumerate() {
                if of(core) > most {
                    (at, most) = (k, of(core));
                }
            }
            (most, at)
        };
        let (generation_ps, generation_core) = longest(|c| c.generation);
        let (processing_ps, processing_core) = longest(|c| c.processing);
        let (mut link_ps, mut busiest) = (0, None);
        self.loads.drain(|number, messages| {
            self.link_totals[number] += messages;
            let flit = if plan.area.leaves_chip(number, &plan.mesh) { costs.chip_link } else { costs.link };
            let busy = messages.saturating_mul(flit);
            if busy > link_ps {
                (link_ps, busiest) = (busy, Some(number));
            }
        });
        let sums = generation_ps.max(processing_ps).max(host_ps);
        let mut body = sums;
        if plan.level == Level::Cycle || noted {
            self.emit(machine, plan, chip_step, fired, host, noted);
            if plan.level == Level::Cycle {
                body = self.cycle(plan, first_message, noted, chip_step)?.max(sums);
            }
        }
        let name = |k: usize| machine.layout.cores.get(k).copied().unwrap_or(0);
        let shares = [generation_ps, processing_ps, body - sums, host_ps, costs.barrier];
        let longest = (0..5).rev().max_by_key(|&k| shares[k]).unwrap_or(0);
        let bound = Bound::ALL[longest];
        match bound {
            // The load phase is no chip step.
            _ if chip_step < 0 => {}
            Bound::Compute if generation_ps > 0 => self.totals[generation_core].critical_steps += 1,
            Bound::Memory => self.totals[processing_core].critical_steps += 1,
            _ => {}
        }
        for (total, core) in self.totals.iter_mut().zip(&self.cores) {
            total.generation_ps = total.generation_ps.saturating_add(core.generation);
            total.processing_ps = total.processing_ps.saturating_add(core.processing);
        }
        if self.recording.core_steps && chip_step >= 0 {
            self.note_cores(chip_step as u32);
        }
        Ok(StepTiming {
            time_ps: body + costs.barrier,
            barrier_ps: costs.barrier,
            generation_ps,
            generation_core: name(generation_core),
            processing_ps,
            processing_core: name(processing_core),
            host_ps,
            link_ps,
            link: busiest.map(|n| plan.area.link(n)),
            bound,
            events,
        })
    }

    /// The work of messages at their destinations.
    #[inline]
    fn receive(&mut self, fan_out: &FanOut, services: &[u64], range: std::ops::Range<usize>) {
        let cores = &mut self.cores[..];
        for (link, service) in fan_out.links[range.clone()].iter().zip(&services[range.clone()]) {
            cores[link.core as usize].processing += service;
        }
        // The counts are only shown core by core.
        if self.recording.core_steps {
            for link in &fan_out.links[range] {
                let core = &mut cores[link.core as usize];
                core.messages_in += 1;
                core.ops += link.ops.all();
            }
        }
    }

    /// Lists what each sender sends, in the order of its compartments, with the time that each message takes to make.
    fn emit(&mut self, machine: &PackedMachine, plan: &Plan, chip_step: i32, fired: &[u32], host: &[u32], noted: bool) {
        let costs = &plan.costs;
        let fan_out = &machine.fabric.neuron_fan_out;
        self.emissions.clear();
        self.ranges.fill((0, 0));
        self.order.clear();
        self.order.extend(fired.iter().map(|&lane| (machine.layout.core_of[lane as usize], plan.compartments[lane as usize], lane)));
        self.order.sort_unstable();
        let note = |messages: &mut Vec<MessageEvent>, from: i32, to: u32, synapses: u64| {
            if !noted {
                return 0;
            }
            let to = machine.layout.cores[to as usize];
            messages.push(MessageEvent { chip_step, from, to, synapses: synapses as u32, sent_ps: 0, done_ps: 0 });
            messages.len() as u32 - 1
        };
        for of_core in self.order.chunk_by(|a, b| a.0 == b.0) {
            let k = of_core[0].0 as usize;
            let (lanes, from) = (machine.layout.lanes_of_core(k), machine.layout.cores[k] as i32);
            let begin = self.emissions.len() as u32;
            let (mut gap, mut next) = (0, 0);
            for group in of_core.chunk_by(|a, b| usize::from(a.1) / plan.group == usize::from(b.1) / plan.group) {
                let end = ((usize::from(group[0].1) / plan.group + 1) * plan.group).min(lanes.len());
                let active: u64 = if plan.in_row[k] {
                    let first = lanes[next] as usize;
                    self.active[first..first + (end - next)].iter().map(|&flag| u64::from(flag)).sum()
                } else {
                    lanes[next..end].iter().map(|&lane| u64::from(self.active[lane as usize])).sum()
                };
                gap += (end - next) as u64 * costs.access + active * costs.update + group.len() as u64 * costs.spike_out;
                next = end;
                for &(_, _, lane) in group {
                    let range = fan_out.range(lane as usize);
                    let links = fan_out.links[range.clone()].iter().zip(&plan.neuron_services[range]);
                    self.emissions.extend(links.map(|(link, &service_ps)| {
                        let tag = note(&mut self.messages, from, link.core, link.ops.all());
                        let gap_ps = std::mem::take(&mut gap) + costs.axon_out;
                        Emission { gap_ps, to: link.core, service_ps, tag }
                    }));
                }
            }
            self.ranges[k] = (begin, self.emissions.len() as u32);
        }
        let begin = self.emissions.len() as u32;
        for &channel in host {
            for i in machine.fabric.input_fan_out.range(channel as usize) {
                let link = &machine.fabric.input_fan_out.links[i];
                let tag = note(&mut self.messages, -1, link.core, link.ops.all());
                let service_ps = plan.input_services[i];
                self.emissions.push(Emission { gap_ps: costs.host_spike, to: link.core, service_ps, tag });
            }
        }
        if let Some(host) = self.ranges.last_mut() {
            *host = (begin, self.emissions.len() as u32);
        }
    }

    /// Runs the mesh; gives the time until everything was done, without the barrier.
    fn cycle(&mut self, plan: &Plan, first_message: usize, noted: bool, chip_step: i32) -> Result<u64, RunError> {
        let Some(noc) = &mut self.noc else { return Ok(0) };
        let begin = self.timing.time_ps;
        let result = if noted {
            let wave = self.recording.wave.as_mut();
            let mut notes = Notes { messages: &mut self.messages, wave, begin };
            noc.run(&self.emissions, &self.ranges, &mut notes)
        } else if self.emissions.is_empty() {
            noc.rest();
            Ok(())
        } else {
            noc.run(&self.emissions, &self.ranges, &mut ())
        };
        result.map_err(|trouble| match trouble {
            Trouble::Stalled { router, waiting } => RunError::Stalled { chip_step, x: router.x, y: router.y, waiting },
            Trouble::TooLong => RunError::StepTooLong { chip_step },
        })?;
        let (sent, received) = (noc.times.last_sent_ps(), noc.times.last_received_ps());
        let mut updated = sent;
        for (k, core) in self.cores.iter().enumerate() {
            let done = core.generation + noc.times.stalled_ps[k];
            updated = updated.max(done);
            self.totals[k].stalled_ps = self.totals[k].stalled_ps.saturating_add(noc.times.stalled_ps[k]);
            if let Some(wave) = &mut self.recording.wave {
                wave.updated(begin, begin + done, k);
            }
        }
        let body = match plan.flush {
            Flush::AfterUpdate => updated + received.saturating_sub(sent),
            Flush::WithUpdate => updated.max(received),
        };
        if let Some(wave) = &mut self.recording.wave {
            wave.step(chip_step, begin, begin + body, begin + body + plan.costs.barrier);
        }
        if !self.recording.messages {
            self.messages.truncate(first_message);
        }
        Ok(body)
    }

    fn note_cores(&mut self, chip_step: u32) {
        for (k, core) in self.cores.iter().enumerate() {
            let stalled_ps = self.noc.as_ref().map_or(0, |noc| noc.times.stalled_ps[k]);
            self.core_steps.push(CoreStep {
                chip_step,
                core: k as u32,
                updates: core.active,
                spikes: core.spikes,
                messages_out: core.messages_out,
                messages_in: core.messages_in,
                synaptic_ops: core.ops,
                generation_ps: core.generation,
                processing_ps: core.processing,
                stalled_ps,
            });
        }
    }

    /// Sums up the sample: `counts` spikes of each lane, `input_counts` of each channel, and the host's bias writes.
    pub(crate) fn finish(
        &mut self,
        machine: &PackedMachine,
        plan: &Plan,
        counts: &[u32],
        input_counts: &[u32],
        bias_writes: u64,
    ) -> (SampleTiming, Detail) {
        let steps = self.timing.steps.len() as u64;
        let writes = bias_writes + machine.layout.lane_of.len() as u64;
        self.timing.events.host_writes = writes;
        self.timing.host_write_ps = writes.saturating_mul(plan.costs.host_write);
        let mut layers: Vec<LayerTiming> =
            (machine.names.layers()).map(|name| LayerTiming { kind: LayerKind::Population, name, events: Events::default() }).collect();
        let unnamed = layers.len();
        layers.push(LayerTiming { kind: LayerKind::Unnamed, name: "unnamed".into(), events: Events::default() });
        layers.push(LayerTiming {
            kind: LayerKind::Host,
            name: "input".into(),
            events: Events { host_writes: writes, ..Events::default() },
        });
        for segment in &plan.segments {
            for (lane, &count) in counts.iter().enumerate().take(segment.end).skip(segment.start) {
                let events = self.lane_events(machine, lane, count, steps);
                let layer = plan.populations[lane];
                layers[if layer == UNNAMED { unnamed } else { layer as usize }].events += events;
                // The receivers' share is counted where it is done.
                let sent = Events { messages_in: 0, synapses_dense: 0, synapses_sparse: 0, synapses_conv: 0, ..events };
                self.totals[segment.core].events += sent;
                self.arrive(&machine.fabric.neuron_fan_out, lane, count);
            }
        }
        for (channel, &count) in input_counts.iter().enumerate().filter(|c| *c.1 > 0) {
            let fan_out = &machine.fabric.input_fan_out;
            let messages = fan_out.range(channel).len() as u64;
            let n = u64::from(count);
            let mut events = Events { host_messages: n * messages, messages_in: n * messages, ..Events::default() };
            add_times(&mut events, &fan_out.sums[channel], n);
            layers[unnamed + 1].events += events;
            self.arrive(fan_out, channel, count);
        }
        layers.retain(|l| l.events != Events::default());
        let mut links = Vec::new();
        for (number, &messages) in self.link_totals.iter().enumerate().filter(|l| *l.1 > 0) {
            let leaves = plan.area.leaves_chip(number, &plan.mesh);
            let busy = if leaves { plan.costs.chip_link } else { plan.costs.link };
            links.push(LinkTiming {
                link: plan.area.link(number),
                messages,
                flits: messages * u64::from(*plan.target.topology.flits_per_spike),
                busy_ps: messages.saturating_mul(busy),
                peak_queue: self.noc.as_ref().map_or(0, |noc| noc.peak(number)),
            });
        }
        let detail = Detail {
            cores: std::mem::take(&mut self.totals),
            links,
            layers,
            core_steps: std::mem::take(&mut self.core_steps),
            messages: std::mem::take(&mut self.messages),
            wave: self.recording.wave.clone(),
        };
        (std::mem::take(&mut self.timing), detail)
    }

    fn lane_events(&self, machine: &PackedMachine, lane: usize, spikes: u32, steps: u64) -> Events {
        let fan_out = &machine.fabric.neuron_fan_out;
        let n = u64::from(spikes);
        let messages = n * fan_out.range(lane).len() as u64;
        let mut events = Events {
            neuron_accesses: steps,
            neuron_updates: u64::from(self.updates[lane]),
            neuron_spikes: n,
            messages_out: messages,
            messages_in: messages,
            ..Events::default()
        };
        add_times(&mut events, &fan_out.sums[lane], n);
        events
    }

    fn arrive(&mut self, fan_out: &FanOut, source: usize, count: u32) {
        let n = u64::from(count);
        if n == 0 {
            return;
        }
        for link in fan_out.of(source) {
            let events = &mut self.totals[link.core as usize].events;
            events.messages_in += n;
            events.synapses_dense += n * u64::from(link.ops.dense);
            events.synapses_sparse += n * u64::from(link.ops.sparse);
            events.synapses_conv += n * u64::from(link.ops.conv);
        }
    }
}

fn add_fan_out(events: &mut Events, sum: &crate::packed::routes::FanOutSum) {
    add_times(events, sum, 1);
}

fn add_times(events: &mut Events, sum: &crate::packed::routes::FanOutSum, n: u64) {
    events.synapses_dense += n * sum.dense;
    events.synapses_sparse += n * sum.sparse;
    events.synapses_conv += n * sum.conv;
    events.hops_x += n * sum.hops_x;
    events.hops_y += n * sum.hops_y;
    events.hops_chip += n * sum.hops_chip;
}
