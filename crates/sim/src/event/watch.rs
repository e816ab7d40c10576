//! Times a run on an event crossbar (docs/timing.md, section 8).
//!
//! In: each event with the spikes that it causes, each time reference. Out: a sample's timing and detail.
//! Invariant: watches and never acts. The core does one thing at a time, so both levels give the same times; `cycle` notes those of events too.

use super::EventMachine;
use crate::boot::BootError;
use crate::check::STEP_LIMIT_PS;
use crate::run_error::RunError;
use crate::timing::{
    Bound, CoreStep, CoreTiming, Detail, Events, LayerKind, LayerTiming, Level, MessageEvent, SampleTiming, StepTiming, ps,
};
use spikec_chip::event::EventCrossbar;

/// What timing needs to know of a machine, made once at boot.
#[derive(Debug)]
pub(super) struct Plan {
    pub level: Level,
    cycle_ps: u64,
    /// Cycles of an event that enters from the host.
    push: u64,
    /// Cycles of an event that is taken and causes no spike.
    event: u64,
    /// Cycles of a spike.
    spike: u64,
    /// Cycles of a time reference's handshake, and of the time reference.
    handshake: u64,
    reference: u64,
    /// Layer of each lane.
    layers: Vec<u32>,
    /// Populations.
    populations: usize,
}

impl Plan {
    pub(super) fn new(
        level: Level,
        spec: &EventCrossbar,
        last_neuron: u8,
        layers: Vec<u32>,
        populations: usize,
    ) -> Result<Plan, BootError> {
        let t = &spec.timing_cycles;
        let reference = spec.event_cycles(last_neuron, 0);
        let plan = Plan {
            level,
            cycle_ps: ps(*t.cycle_ns).max(1),
            push: (*t.push).into(),
            event: u64::from(*t.pop) + reference,
            spike: (*t.per_spike).into(),
            handshake: (*t.reference).into(),
            reference,
            layers: layers.into_iter().map(|p| p.min(populations as u32)).collect(),
            populations,
        };
        let need = (plan.push + plan.event + plan.handshake + plan.reference).saturating_mul(plan.cycle_ps);
        if need > STEP_LIMIT_PS {
            return Err(BootError::StepTime { what: "the cycles of an event", need_ps: need, limit_ps: STEP_LIMIT_PS });
        }
        Ok(plan)
    }
}

/// Times one sample after another; one for each thread.
#[derive(Debug)]
pub(super) struct Watch {
    /// Cycles of the core, and of the host, in this step.
    core: u64,
    host: u64,
    step: Events,
    layers: Vec<LayerTiming>,
    total: CoreTiming,
    timing: SampleTiming,
    record: (bool, bool),
    core_steps: Vec<CoreStep>,
    messages: Vec<MessageEvent>,
}

impl Watch {
    /// `core_steps`, `messages`: what is recorded.
    pub(super) fn new(core_steps: bool, messages: bool) -> Watch {
        Watch {
            core: 0,
            host: 0,
            step: Events::default(),
            layers: Vec::new(),
            total: CoreTiming::default(),
            timing: SampleTiming::default(),
            record: (core_steps, messages),
            core_steps: Vec::new(),
            messages: Vec::new(),
        }
    }

    pub(super) fn start(&mut self, machine: &EventMachine) {
        let layer = |kind, name| LayerTiming { kind, name, events: Events::default() };
        self.layers.clear();
        self.layers.extend(machine.names.layers().map(|name| layer(LayerKind::Population, name)));
        self.layers.push(layer(LayerKind::Unnamed, "unnamed".into()));
        self.layers.push(layer(LayerKind::Host, "input".into()));
        self.total = CoreTiming::default();
        self.timing = SampleTiming::default();
        self.core_steps.clear();
        self.messages.clear();
    }

    /// Events of a source: a neuron, or none for the host's channels.
    pub(super) fn caused(&mut self, machine: &EventMachine, plan: &Plan, lane: Option<usize>, events: u64) {
        let layer = lane.map_or(plan.populations + 1, |lane| plan.layers[lane] as usize);
        self.layers[layer].events.synapses_dense += events * machine.updated as u64;
    }

    /// An event is processed; `pushed`: the host sent it.
    #[inline]
    pub(super) fn event(&mut self, machine: &EventMachine, plan: &Plan, chip_step: u32, pushed: bool, spikes: &[u16]) {
        let updated = machine.updated as u64;
        let begin = self.core + self.host;
        if pushed {
            self.host += plan.push;
            self.step.host_messages += 1;
            self.step.messages_in += 1;
        }
        self.core += plan.event + plan.spike * spikes.len() as u64;
        self.step.synapses_dense += updated;
        self.step.neuron_spikes += spikes.len() as u64;
        self.step.messages_out += spikes.len() as u64;
        for &n in spikes {
            let layer = &mut self.layers[plan.layers[usize::from(n)] as usize].events;
            layer.neuron_spikes += 1;
            layer.messages_out += 1;
        }
        if self.record.1 && pushed {
            let times = if plan.level == Level::Cycle { [begin, self.core + self.host] } else { [0; 2] };
            let [sent_ps, done_ps] = times.map(|t| t.saturating_mul(plan.cycle_ps));
            let from = -1;
            self.messages.push(MessageEvent { chip_step: chip_step as i32, from, to: 0, synapses: updated as u32, sent_ps, done_ps });
        }
    }

    /// A step ends with a time reference.
    pub(super) fn after(&mut self, machine: &EventMachine, plan: &Plan, chip_step: u32) -> Result<(), RunError> {
        self.host += plan.handshake;
        self.core += plan.reference;
        self.step.neuron_accesses = machine.updated as u64;
        self.step.neuron_updates = machine.updated as u64;
        let (generation_ps, host_ps) = (self.core.saturating_mul(plan.cycle_ps), self.host.saturating_mul(plan.cycle_ps));
        let time_ps = generation_ps.saturating_add(host_ps);
        if time_ps > STEP_LIMIT_PS {
            return Err(RunError::StepTooLong { chip_step: chip_step as i32 });
        }
        let events = std::mem::take(&mut self.step);
        let bound = if host_ps > generation_ps { Bound::Host } else { Bound::Compute };
        self.total.generation_ps = self.total.generation_ps.saturating_add(generation_ps);
        self.total.critical_steps += u64::from(bound == Bound::Compute);
        if self.record.0 {
            self.core_steps.push(CoreStep {
                chip_step,
                core: 0,
                updates: machine.updated as u32,
                spikes: events.neuron_spikes as u32,
                messages_out: events.messages_out as u32,
                messages_in: events.messages_in as u32,
                synaptic_ops: events.synapses_dense,
                generation_ps,
                processing_ps: 0,
                stalled_ps: 0,
            });
        }
        self.timing.time_ps = self.timing.time_ps.saturating_add(time_ps);
        self.timing.events += events;
        self.timing.steps.push(StepTiming {
            time_ps,
            barrier_ps: 0,
            generation_ps,
            generation_core: 0,
            processing_ps: 0,
            processing_core: 0,
            host_ps,
            link_ps: 0,
            link: None,
            bound,
            events,
        });
        (self.core, self.host) = (0, 0);
        Ok(())
    }

    /// Sums up the sample.
    ///
    /// # Errors
    /// [`RunError::RunTooLong`] where its time is beyond what times can say.
    pub(super) fn finish(&mut self, machine: &EventMachine, plan: &Plan) -> Result<(SampleTiming, Detail), RunError> {
        if self.timing.time_ps > i64::MAX as u64 {
            return Err(RunError::RunTooLong);
        }
        let steps = self.timing.steps.len() as u64;
        for &layer in &plan.layers[..machine.updated] {
            let events = &mut self.layers[layer as usize].events;
            events.neuron_accesses += steps;
            events.neuron_updates += steps;
        }
        let all = self.timing.events;
        let host = &mut self.layers[plan.populations + 1].events;
        host.host_messages += all.host_messages;
        host.messages_in += all.host_messages;
        self.total.events = Events { host_messages: 0, ..all };
        let mut layers = std::mem::take(&mut self.layers);
        layers.retain(|l| l.events != Events::default());
        let detail = Detail {
            cores: vec![self.total],
            links: Vec::new(),
            layers,
            core_steps: std::mem::take(&mut self.core_steps),
            messages: std::mem::take(&mut self.messages),
            wave: None,
        };
        Ok((std::mem::take(&mut self.timing), detail))
    }
}
