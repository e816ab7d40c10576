//! The mesh at the cycle level: senders, routers with bounded buffers, receivers.
//!
//! In: what each core sends in a chip step and how long its receiver takes for it. Out: when everything was done, and who waited.
//! Invariant: every event happens at a whole picosecond; its consequences come at least one picosecond later, and events of one
//! picosecond are taken by unit number, so the visiting order can't matter. A message that has no room waits where it is.
//! Cost: one agenda entry for each message sent and each hop. docs/timing.md, section 3, is the law.
//! Why an event queue: a step lasts thousands of clock cycles in which most routers have nothing to do.

use super::agenda::{Agenda, MOST_UNITS, NEVER, TIME_LIMIT};
use super::costs::CostsPs;
use super::links::Area;
use spikec_chip::{Mesh, Router};
use std::collections::VecDeque;

/// Most ports that feed a router: one bit each in a mask.
const MOST_INPUTS: u32 = 64;
/// No unit.
const NONE: u32 = u32::MAX;

/// A message that a core or the host sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Emission {
    /// From the end of the sender's message before (or the step's begin) to the end of this one's generation.
    pub gap_ps: u64,
    /// Position of the destination core.
    pub to: u32,
    /// What it costs the receiver.
    pub service_ps: u64,
    /// Number for the probe.
    pub tag: u32,
}

/// What the step showed; nothing for a run that records nothing.
pub(crate) trait Probe {
    /// A message left its sender (core position, or the number of cores for the host).
    fn sent(&mut self, _time: u64, _sender: usize, _tag: u32) {}
    /// A sender found no room.
    fn stalled(&mut self, _from: u64, _until: u64, _sender: usize) {}
    /// A core takes a message from its queue at `start` and is done with it at `end`; it came at `came`.
    fn received(&mut self, _came: u64, _start: u64, _end: u64, _core: usize, _tag: u32) {}
}

impl Probe for () {}

/// The mesh can't be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooBig {
    pub what: &'static str,
    pub need: u64,
    pub limit: u64,
}

/// Why a step has no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing moves any more, but a message is left: in the buffer of this router.
    Stalled { router: Router, waiting: u64 },
    /// The step lasts longer than times can say.
    TooLong,
}

#[derive(Debug, Clone, Copy)]
struct Message {
    to: u32,
    tag: u32,
    service_ps: u64,
    /// When it is here and may go on.
    ready: u64,
}

/// A buffer at a router: from a neighbour, a core, or the host.
#[derive(Debug, Default)]
struct Buffer {
    queue: VecDeque<Message>,
    /// The port that waits for room here.
    waiting_port: Option<u32>,
    /// The sender that waits for room here.
    waiting_sender: Option<u32>,
    peak: u32,
}

/// A way out of a router: a link, or a core's receiver.
#[derive(Debug, Clone, Copy)]
struct Port {
    /// Buffers of the router whose first message wants out here, one bit each.
    wanted: u64,
    busy_until: u64,
    /// Waits for room downstream.
    blocked: bool,
    /// Where it leads: a buffer, or a receiver.
    to: Way,
    latency: u64,
    flit: u64,
    sent: u64,
}

#[derive(Debug, Clone, Copy)]
enum Way {
    Buffer(u32),
    Receiver(u32),
    Nowhere,
}

#[derive(Debug, Clone, Copy)]
struct Sender {
    buffer: u32,
    /// Range of the step's emissions that is left.
    next: u32,
    end: u32,
    /// When it last found no room; [`NEVER`] when it isn't waiting.
    since: u64,
    stalled: u64,
    done: u64,
}

#[derive(Debug)]
struct Receiver {
    free: u64,
    /// When the last messages were taken from the queue, as many as the queue holds.
    taken: VecDeque<u64>,
}

/// Who took how long in a step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StepTimes {
    /// When the last message was done with or sent.
    pub body_ps: u64,
    /// Of each core and, last, the host: when its last message was sent.
    pub sent_ps: Vec<u64>,
    /// Of each core and the host: time in which it found no room.
    pub stalled_ps: Vec<u64>,
    /// Of each core: when its last message was done with (0: none came).
    pub received_ps: Vec<u64>,
}

/// The mesh and its state.
#[derive(Debug)]
pub(crate) struct Noc {
    area: Area,
    inputs: u32,
    capacity: usize,
    credit: u64,
    local: u64,
    /// (router number, its x, its y, port of its receiver) of each core.
    places: Vec<Place>,
    buffers: Vec<Buffer>,
    ports: Vec<Port>,
    senders: Vec<Sender>,
    receivers: Vec<Receiver>,
    agenda: Agenda,
    waiting: u64,
    pub times: StepTimes,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    x: u32,
    y: u32,
    slot: u32,
}

impl Noc {
    /// The mesh between `cores` (physical numbers) and the host's port.
    pub(crate) fn new(mesh: &Mesh, area: Area, cores: &[u32], costs: &CostsPs, capacity: u32) -> Result<Noc, TooBig> {
        let per_router = mesh.cores_per_router;
        // A buffer for each neighbour and core, and one for the host.
        let inputs = per_router + 5;
        if inputs > MOST_INPUTS {
            return Err(TooBig {
                what: "cores at a router (timing level cycle)",
                need: per_router.into(),
                limit: (MOST_INPUTS - 5).into(),
            });
        }
        let outputs = per_router + 4;
        let units = area.routers() as u64 * u64::from(outputs) + cores.len() as u64 + 1;
        if units > MOST_UNITS as u64 {
            return Err(TooBig { what: "ports of the mesh (timing level cycle)", need: units, limit: MOST_UNITS as u64 });
        }
        let mut buffers = Vec::new();
        buffers.resize_with(area.routers() * inputs as usize, Buffer::default);
        let mut ports = Vec::with_capacity(area.routers() * outputs as usize);
        for r in 0..area.routers() {
            let (x, y) = (r as u32 % area.width, r as u32 / area.width);
            for direction in 0..4u32 {
                let number = 4 * r + direction as usize;
                let neighbour = match direction {
                    0 => (x + 1 < area.width).then(|| r + 1),
                    1 => (x > 0).then(|| r - 1),
                    2 => (y + 1 < area.height).then(|| r + area.width as usize),
                    _ => (y > 0).then(|| r - area.width as usize),
                };
                let leaves = area.leaves_chip(number, mesh);
                ports.push(Port {
                    wanted: 0,
                    busy_until: 0,
                    blocked: false,
                    to: neighbour.map_or(Way::Nowhere, |n| Way::Buffer(n as u32 * inputs + direction)),
                    latency: match (leaves, direction) {
                        (true, _) => costs.hop_chip,
                        (false, 0 | 1) => costs.hop_x,
                        (false, _) => costs.hop_y,
                    },
                    flit: if leaves { costs.chip_link } else { costs.link },
                    sent: 0,
                });
            }
            let local =
                Port { wanted: 0, busy_until: 0, blocked: false, to: Way::Nowhere, latency: costs.local_port, flit: costs.link, sent: 0 };
            ports.extend((0..per_router).map(|_| local));
        }
        let mut places = Vec::with_capacity(cores.len());
        let mut senders = Vec::with_capacity(cores.len() + 1);
        let sender = |buffer| Sender { buffer, next: 0, end: 0, since: NEVER, stalled: 0, done: 0 };
        for (k, &core) in cores.iter().enumerate() {
            let (router, slot) = (area.index(mesh.router(core)) as u32, mesh.slot(core));
            places.push(Place { x: router % area.width, y: router / area.width, slot });
            ports[(router * outputs + 4 + slot) as usize].to = Way::Receiver(k as u32);
            senders.push(sender(router * inputs + 4 + slot));
        }
        senders.push(sender(area.index(mesh.host_port()) as u32 * inputs + inputs - 1));
        let receivers =
            cores.iter().map(|_| Receiver { free: 0, taken: VecDeque::with_capacity((capacity as usize).min(1 << 10)) }).collect();
        let agenda = Agenda::new(ports.len() + senders.len());
        Ok(Noc {
            area,
            inputs,
            capacity: capacity as usize,
            credit: costs.link,
            local: costs.local_port,
            places,
            buffers,
            ports,
            senders,
            receivers,
            agenda,
            waiting: 0,
            times: StepTimes::default(),
        })
    }

    /// Runs one step: sender k sends `emissions[ranges[k]]` in order; receiver k takes nothing before `ready[k]`. Results are in `times`.
    pub(crate) fn run<P: Probe>(
        &mut self,
        emissions: &[Emission],
        ranges: &[(u32, u32)],
        ready: &[u64],
        probe: &mut P,
    ) -> Result<(), Trouble> {
        for port in &mut self.ports {
            port.busy_until = 0;
        }
        for (receiver, &ready) in self.receivers.iter_mut().zip(ready) {
            receiver.free = ready;
            receiver.taken.clear();
        }
        self.times.received_ps.clear();
        self.times.received_ps.resize(self.receivers.len(), 0);
        let first_sender = self.ports.len();
        for (k, (sender, &(next, end))) in self.senders.iter_mut().zip(ranges).enumerate() {
            *sender = Sender { buffer: sender.buffer, next, end, since: NEVER, stalled: 0, done: 0 };
            if next < end {
                let time = emissions[next as usize].gap_ps;
                if time >= TIME_LIMIT {
                    return Err(Trouble::TooLong);
                }
                self.agenda.due(first_sender + k, time);
            }
        }
        while let Some((time, unit)) = self.agenda.pop() {
            if unit < first_sender {
                self.grant(time, unit as u32, probe);
            } else {
                self.send(time, unit - first_sender, emissions, probe);
            }
            if time >= TIME_LIMIT / 2 {
                self.clear();
                return Err(Trouble::TooLong);
            }
        }
        if self.waiting > 0 {
            let at = self.buffers.iter().position(|b| !b.queue.is_empty()).unwrap_or(0);
            let trouble = Trouble::Stalled { router: self.area.router(at / self.inputs as usize), waiting: self.waiting };
            self.clear();
            return Err(trouble);
        }
        self.times.sent_ps.clear();
        self.times.sent_ps.extend(self.senders.iter().map(|s| s.done));
        self.times.stalled_ps.clear();
        self.times.stalled_ps.extend(self.senders.iter().map(|s| s.stalled));
        self.times.body_ps = self.times.sent_ps.iter().chain(&self.times.received_ps).copied().max().unwrap_or(0);
        Ok(())
    }

    /// A step without messages.
    pub(crate) fn rest(&mut self) {
        self.times.body_ps = 0;
        for (times, count) in [
            (&mut self.times.sent_ps, self.senders.len()),
            (&mut self.times.stalled_ps, self.senders.len()),
            (&mut self.times.received_ps, self.receivers.len()),
        ] {
            times.clear();
            times.resize(count, 0);
        }
    }

    /// Empties the mesh after trouble.
    fn clear(&mut self) {
        while self.agenda.pop().is_some() {}
        for buffer in &mut self.buffers {
            *buffer = Buffer::default();
        }
        for port in &mut self.ports {
            (port.wanted, port.blocked) = (0, false);
        }
        self.waiting = 0;
    }

    /// Port of a router by which a message goes on.
    #[inline]
    fn way(&self, router: u32, to: u32) -> u32 {
        let (x, y) = (router % self.area.width, router / self.area.width);
        let place = self.places[to as usize];
        let port = if place.x != x {
            u32::from(place.x < x)
        } else if place.y != y {
            2 + u32::from(place.y < y)
        } else {
            4 + place.slot
        };
        router * (self.inputs - 1) + port
    }

    /// The first message of a buffer wants to go on.
    #[inline]
    fn want(&mut self, buffer: u32, message: Message) {
        let (router, input) = (buffer / self.inputs, buffer % self.inputs);
        let p = self.way(router, message.to);
        let port = &mut self.ports[p as usize];
        port.wanted |= 1 << input;
        if !port.blocked {
            self.agenda.due(p as usize, message.ready.max(port.busy_until));
        }
    }

    /// A sender has a message ready.
    fn send<P: Probe>(&mut self, time: u64, k: usize, emissions: &[Emission], probe: &mut P) {
        let sender = &mut self.senders[k];
        let b = sender.buffer;
        let buffer = &mut self.buffers[b as usize];
        if buffer.queue.len() >= self.capacity {
            sender.since = time;
            buffer.waiting_sender = Some(k as u32);
            return;
        }
        if sender.since != NEVER {
            sender.stalled += time - sender.since;
            probe.stalled(sender.since, time, k);
            sender.since = NEVER;
        }
        let e = &emissions[sender.next as usize];
        let message = Message { to: e.to, tag: e.tag, service_ps: e.service_ps, ready: time + self.local };
        buffer.queue.push_back(message);
        buffer.peak = buffer.peak.max(buffer.queue.len() as u32);
        let first = buffer.queue.len() == 1;
        self.waiting += 1;
        probe.sent(time, k, e.tag);
        sender.done = time;
        sender.next += 1;
        if sender.next < sender.end {
            let next = time.saturating_add(emissions[sender.next as usize].gap_ps).min(TIME_LIMIT - 1);
            self.agenda.due(self.ports.len() + k, next);
        }
        if first {
            self.want(b, message);
        }
    }

    /// A port may send its oldest message.
    fn grant<P: Probe>(&mut self, time: u64, p: u32, probe: &mut P) {
        let port = self.ports[p as usize];
        if port.wanted == 0 {
            return;
        }
        if time < port.busy_until {
            self.agenda.due(p as usize, port.busy_until);
            return;
        }
        let base = p / (self.inputs - 1) * self.inputs;
        let (mut oldest, mut input) = (NEVER, NONE);
        let mut left = port.wanted;
        while left != 0 {
            let k = left.trailing_zeros();
            left &= left - 1;
            if let Some(message) = self.buffers[(base + k) as usize].queue.front()
                && message.ready < oldest
            {
                (oldest, input) = (message.ready, k);
            }
        }
        if oldest > time {
            if oldest != NEVER {
                self.agenda.due(p as usize, oldest);
            }
            return;
        }
        match port.to {
            Way::Buffer(b) => {
                let buffer = &mut self.buffers[b as usize];
                if buffer.queue.len() >= self.capacity {
                    buffer.waiting_port = Some(p);
                    self.ports[p as usize].blocked = true;
                    return;
                }
            }
            Way::Receiver(core) => {
                let taken = &self.receivers[core as usize].taken;
                if taken.len() >= self.capacity && taken[0] > time {
                    self.agenda.due(p as usize, taken[0]);
                    return;
                }
            }
            // XY routes stay within the area: a message never wants out of it.
            Way::Nowhere => return,
        }
        let Some(message) = self.pop(time, base + input) else { return };
        let port = &mut self.ports[p as usize];
        port.busy_until = time + port.flit;
        port.sent += 1;
        if self.buffers[(base + input) as usize].queue.is_empty() {
            port.wanted &= !(1 << input);
        }
        let arrival = time + port.latency;
        match port.to {
            Way::Buffer(b) => {
                let moved = Message { ready: arrival, ..message };
                let buffer = &mut self.buffers[b as usize];
                buffer.queue.push_back(moved);
                buffer.peak = buffer.peak.max(buffer.queue.len() as u32);
                if buffer.queue.len() == 1 {
                    self.want(b, moved);
                }
            }
            Way::Receiver(core) => {
                let receiver = &mut self.receivers[core as usize];
                let start = arrival.max(receiver.free);
                receiver.free = (start + message.service_ps).min(TIME_LIMIT - 1);
                if receiver.taken.len() >= self.capacity {
                    receiver.taken.pop_front();
                }
                receiver.taken.push_back(start);
                self.times.received_ps[core as usize] = receiver.free;
                self.waiting -= 1;
                probe.received(arrival, start, receiver.free, core as usize, message.tag);
            }
            Way::Nowhere => {}
        }
        let port = &self.ports[p as usize];
        if port.wanted != 0 && !port.blocked {
            self.agenda.due(p as usize, port.busy_until);
        }
    }

    /// Takes the first message of a buffer: the next one wants on, and whoever waited for room may try again.
    fn pop(&mut self, time: u64, b: u32) -> Option<Message> {
        let again = time + self.credit;
        let buffer = &mut self.buffers[b as usize];
        let message = buffer.queue.pop_front()?;
        if let Some(k) = buffer.waiting_sender.take() {
            self.agenda.due(self.ports.len() + k as usize, again);
        }
        if let Some(p) = buffer.waiting_port.take() {
            let port = &mut self.ports[p as usize];
            port.blocked = false;
            self.agenda.due(p as usize, again.max(port.busy_until));
        }
        let buffer = &mut self.buffers[b as usize];
        if let Some(next) = buffer.queue.front_mut() {
            next.ready = next.ready.max(again);
            let next = *next;
            let p = self.way(b / self.inputs, message.to);
            if self.way(b / self.inputs, next.to) != p {
                self.ports[p as usize].wanted &= !(1 << (b % self.inputs));
            }
            self.want(b, next);
        }
        Some(message)
    }

    /// Messages that crossed a link since the mesh was built, and the most that waited behind it (`4 * router + direction`).
    pub(crate) fn link(&self, number: usize) -> (u64, u32) {
        let p = number / 4 * (self.inputs as usize - 1) + number % 4;
        let peak = match self.ports[p].to {
            Way::Buffer(b) => self.buffers[b as usize].peak,
            _ => 0,
        };
        (self.ports[p].sent, peak)
    }

    /// Forgets what was counted.
    pub(crate) fn reset_counts(&mut self) {
        for port in &mut self.ports {
            port.sent = 0;
        }
        for buffer in &mut self.buffers {
            buffer.peak = 0;
        }
    }

    /// Breaks a link, so that a test sees a stall.
    #[cfg(test)]
    pub(crate) fn cut(&mut self, number: usize) {
        let p = number / 4 * (self.inputs as usize - 1) + number % 4;
        self.ports[p].to = Way::Nowhere;
    }
}

#[cfg(test)]
#[path = "noc_tests.rs"]
mod tests;
