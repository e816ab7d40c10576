//! The mesh at the cycle level: senders, routers with bounded buffers, receivers.
//!
//! In: what each core sends in a chip step and how long its receiver takes for it. Out: when each sent and received, and who waited.
//! Invariant: every event happens at a whole picosecond; its consequences come at least one picosecond later, and events of one
//! picosecond are taken by unit number, so the visiting order can't matter. A message that has no room waits where it is.
//! Cost: one agenda entry for each hop and one for the way into the core. docs/timing.md, section 3, is the law.
//! Why an event queue: a step lasts thousands of clock cycles in which most routers have nothing to do. Sending needs no event of its own:
//! when a message leaves its core's buffer, it is known when the next one was or will be sent.

use super::agenda::{Agenda, MOST_UNITS, NEVER, TIME_LIMIT};
use super::costs::CostsPs;
use super::links::Area;
use spikec_chip::{Mesh, Router};
use std::collections::VecDeque;

/// Most ports that feed a router: one bit each in a mask.
const MOST_INPUTS: u32 = 64;
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

/// A way into a router: from a neighbour, a core, or the host. Its first message is held here.
#[derive(Debug, Clone, Copy)]
struct Input {
    /// First message; `ready` is [`NEVER`] when there is none.
    first: Message,
    /// Where it stands: column and row of the router, its first port, and which of its inputs this is.
    x: u32,
    y: u32,
    ports: u32,
    bit: u32,
    /// Port of the first message.
    port: u32,
    from: From,
}

#[derive(Debug, Clone, Copy)]
enum From {
    /// A neighbour's link: the buffer of that number behind the port.
    Link { buffer: u32, port: u32 },
    /// A sender.
    Sender(u32),
    /// Nobody.
    Nobody,
}

/// Messages behind a link, but for the first.
#[derive(Debug, Default)]
struct Buffer {
    queue: VecDeque<Message>,
    /// With the first one.
    len: u32,
    /// From when the place that was left last can be taken; the others were left a flit earlier or more.
    room: u64,
    peak: u32,
}

/// A way out of a router: a link, or a core's receiver.
#[derive(Debug, Clone, Copy)]
struct Port {
    /// Inputs of the router whose first message wants out here, one bit each.
    wanted: u64,
    busy_until: u64,
    /// Waits for room downstream.
    blocked: bool,
    /// First input of the router.
    inputs: u32,
    to: Way,
    latency: u64,
    flit: u64,
    sent: u64,
}

#[derive(Debug, Clone, Copy)]
enum Way {
    /// A neighbour's input, and its buffer.
    Link {
        input: u32,
        buffer: u32,
    },
    Receiver(u32),
    Nowhere,
}

/// When the last messages left a place that holds `capacity` of them.
#[derive(Debug)]
struct Ring {
    times: Vec<u64>,
    at: usize,
}

impl Ring {
    fn new() -> Ring {
        Ring { times: Vec::new(), at: 0 }
    }
    fn clear(&mut self) {
        self.times.clear();
        self.at = 0;
    }
    /// When the message left whose place the next one takes; none while places are left that were never taken.
    #[inline]
    fn oldest(&self, capacity: usize) -> Option<u64> {
        if self.times.len() < capacity { None } else { self.times.get(self.at).copied() }
    }
    #[inline]
    fn push(&mut self, time: u64, capacity: usize) {
        if self.times.len() < capacity {
            self.times.push(time);
        } else {
            self.times[self.at] = time;
            self.at = if self.at + 1 == capacity { 0 } else { self.at + 1 };
        }
    }
}

#[derive(Debug)]
struct Sender {
    input: u32,
    /// The step's emissions that are left after the one at the router.
    next: u32,
    end: u32,
    /// When the last one was sent.
    done: u64,
    stalled: u64,
    /// When its last messages left the buffer.
    left: Ring,
}

#[derive(Debug)]
struct Receiver {
    free: u64,
    /// When the last messages were taken from the queue.
    taken: Ring,
}

/// Who took how long in a step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StepTimes {
    /// Of each core and, last, the host: when its last message was sent.
    pub sent_ps: Vec<u64>,
    /// Of each core and the host: time in which it found no room.
    pub stalled_ps: Vec<u64>,
    /// Of each core: when its last message was done with (0: none came).
    pub received_ps: Vec<u64>,
}

impl StepTimes {
    /// When the last message was sent.
    pub(crate) fn last_sent_ps(&self) -> u64 {
        self.sent_ps.iter().copied().max().unwrap_or(0)
    }
    /// When the last message was done with.
    pub(crate) fn last_received_ps(&self) -> u64 {
        self.received_ps.iter().copied().max().unwrap_or(0)
    }
}

/// The mesh and its state.
#[derive(Debug)]
pub(crate) struct Noc {
    area: Area,
    outputs: u32,
    capacity: usize,
    credit: u64,
    local: u64,
    places: Vec<Place>,
    inputs: Vec<Input>,
    buffers: Vec<Buffer>,
    ports: Vec<Port>,
    senders: Vec<Sender>,
    receivers: Vec<Receiver>,
    agenda: Agenda,
    pub times: StepTimes,
}

/// Where a core is: its router's column and row, and which of the router's cores it is.
#[derive(Debug, Clone, Copy)]
struct Place {
    x: u32,
    y: u32,
    slot: u32,
}

const NO_MESSAGE: Message = Message { to: 0, tag: 0, service_ps: 0, ready: NEVER };

impl Noc {
    /// The mesh between `cores` (physical numbers) and the host's port.
    pub(crate) fn new(mesh: &Mesh, area: Area, cores: &[u32], costs: &CostsPs, capacity: u32) -> Result<Noc, TooBig> {
        let per_router = mesh.cores_per_router;
        // An input for each neighbour and core, and one for the host.
        let per_inputs = per_router + 5;
        if per_inputs > MOST_INPUTS {
            return Err(TooBig {
                what: "cores at a router (timing level cycle)",
                need: per_router.into(),
                limit: (MOST_INPUTS - 5).into(),
            });
        }
        let outputs = per_router + 4;
        let units = area.routers() as u64 * u64::from(outputs);
        if units > MOST_UNITS as u64 {
            return Err(TooBig { what: "ports of the mesh (timing level cycle)", need: units, limit: MOST_UNITS as u64 });
        }
        let mut inputs = Vec::with_capacity(area.routers() * per_inputs as usize);
        let mut ports = Vec::with_capacity(area.routers() * outputs as usize);
        let mut buffers = Vec::new();
        buffers.resize_with(4 * area.routers(), Buffer::default);
        for r in 0..area.routers() as u32 {
            let (x, y) = (r % area.width, r / area.width);
            let neighbour = |direction: u32| match direction {
                0 => (x + 1 < area.width).then(|| r + 1),
                1 => (x > 0).then(|| r - 1),
                2 => (y + 1 < area.height).then(|| r + area.width),
                _ => (y > 0).then(|| r - area.width),
            };
            for bit in 0..per_inputs {
                // Input `direction` holds what goes in that direction: it comes from the neighbour on the other side.
                let from = match (bit < 4).then(|| neighbour(bit ^ 1)).flatten() {
                    Some(n) => From::Link { buffer: 4 * r + bit, port: n * outputs + bit },
                    None => From::Nobody,
                };
                inputs.push(Input { first: NO_MESSAGE, x, y, ports: r * outputs, bit, port: 0, from });
            }
            for direction in 0..4 {
                let leaves = area.leaves_chip((4 * r + direction) as usize, mesh);
                ports.push(Port {
                    wanted: 0,
                    busy_until: 0,
                    blocked: false,
                    inputs: r * per_inputs,
                    to: neighbour(direction)
                        .map_or(Way::Nowhere, |n| Way::Link { input: n * per_inputs + direction, buffer: 4 * n + direction }),
                    latency: match (leaves, direction) {
                        (true, _) => costs.hop_chip,
                        (false, 0 | 1) => costs.hop_x,
                        (false, _) => costs.hop_y,
                    },
                    flit: if leaves { costs.chip_link } else { costs.link },
                    sent: 0,
                });
            }
            ports.extend((0..per_router).map(|_| Port {
                wanted: 0,
                busy_until: 0,
                blocked: false,
                inputs: r * per_inputs,
                to: Way::Nowhere,
                latency: costs.local_port,
                flit: costs.link,
                sent: 0,
            }));
        }
        let mut places = Vec::with_capacity(cores.len());
        let mut senders = Vec::with_capacity(cores.len() + 1);
        let mut sender = |inputs: &mut Vec<Input>, input: u32| {
            inputs[input as usize].from = From::Sender(senders.len() as u32);
            senders.push(Sender { input, next: 0, end: 0, done: 0, stalled: 0, left: Ring::new() });
        };
        for (k, &core) in cores.iter().enumerate() {
            let (router, slot) = (area.index(mesh.router(core)) as u32, mesh.slot(core));
            places.push(Place { x: router % area.width, y: router / area.width, slot });
            ports[(router * outputs + 4 + slot) as usize].to = Way::Receiver(k as u32);
            sender(&mut inputs, router * per_inputs + 4 + slot);
        }
        sender(&mut inputs, area.index(mesh.host_port()) as u32 * per_inputs + per_inputs - 1);
        Ok(Noc {
            area,
            outputs,
            capacity: capacity as usize,
            credit: costs.link,
            local: costs.local_port,
            places,
            agenda: Agenda::new(ports.len()),
            inputs,
            buffers,
            ports,
            senders,
            receivers: cores.iter().map(|_| Receiver { free: 0, taken: Ring::new() }).collect(),
            times: StepTimes::default(),
        })
    }

    /// Runs one step: sender k sends `emissions[ranges[k]]` in order. Results are in `times`.
    pub(crate) fn run<P: Probe>(&mut self, emissions: &[Emission], ranges: &[(u32, u32)], probe: &mut P) -> Result<(), Trouble> {
        self.rest();
        for port in &mut self.ports {
            port.busy_until = 0;
        }
        for buffer in &mut self.buffers {
            buffer.room = 0;
        }
        for receiver in &mut self.receivers {
            receiver.free = 0;
            receiver.taken.clear();
        }
        let mut left = 0u64;
        for (k, &(next, end)) in ranges.iter().enumerate() {
            let sender = &mut self.senders[k];
            (sender.next, sender.end, sender.done, sender.stalled) = (next, end, 0, 0);
            sender.left.clear();
            left += u64::from(end - next);
            let input = sender.input;
            self.send(k, 0, emissions, probe);
            self.want(input);
        }
        while let Some((time, port)) = self.agenda.pop() {
            if time >= TIME_LIMIT / 2 {
                self.clear();
                return Err(Trouble::TooLong);
            }
            left -= u64::from(self.grant(time, port as u32, emissions, probe));
        }
        if left > 0 {
            let at = self.inputs.iter().find(|i| i.first.ready != NEVER).map_or((0, 0), |i| (i.x, i.y));
            let router = Router { x: self.area.x + at.0, y: self.area.y + at.1 };
            self.clear();
            return Err(Trouble::Stalled { router, waiting: left });
        }
        for (k, sender) in self.senders.iter().enumerate() {
            (self.times.sent_ps[k], self.times.stalled_ps[k]) = (sender.done, sender.stalled);
        }
        Ok(())
    }

    /// A step without messages.
    pub(crate) fn rest(&mut self) {
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
        for input in &mut self.inputs {
            input.first = NO_MESSAGE;
        }
        for port in &mut self.ports {
            (port.wanted, port.blocked) = (0, false);
        }
    }

    /// A sender's next message becomes the first of its input, not before `after`.
    #[inline]
    fn send<P: Probe>(&mut self, k: usize, after: u64, emissions: &[Emission], probe: &mut P) {
        let sender = &mut self.senders[k];
        let input = &mut self.inputs[sender.input as usize];
        if sender.next == sender.end {
            input.first = NO_MESSAGE;
            return;
        }
        let e = &emissions[sender.next as usize];
        sender.next += 1;
        let made = sender.done.saturating_add(e.gap_ps).min(TIME_LIMIT - 1);
        let mut sent = made;
        if let Some(left) = sender.left.oldest(self.capacity) {
            // It takes the place of the message that left as many messages ago as the buffer holds.
            sent = made.max(left + self.credit);
            if sent > made {
                sender.stalled += sent - made;
                probe.stalled(made, sent, k);
            }
        }
        sender.done = sent;
        probe.sent(sent, k, e.tag);
        let ready = (sent + self.local).max(after).min(TIME_LIMIT - 1);
        input.first = Message { to: e.to, tag: e.tag, service_ps: e.service_ps, ready };
    }

    /// The first message of an input, if there is one, wants to go on: x first, then y, then into the core.
    #[inline]
    fn want(&mut self, number: u32) {
        let input = &mut self.inputs[number as usize];
        if input.first.ready == NEVER {
            return;
        }
        let place = self.places[input.first.to as usize];
        let way = if place.x != input.x {
            u32::from(place.x < input.x)
        } else if place.y != input.y {
            2 + u32::from(place.y < input.y)
        } else {
            4 + place.slot
        };
        input.port = input.ports + way;
        let port = &mut self.ports[input.port as usize];
        port.wanted |= 1 << input.bit;
        if !port.blocked {
            self.agenda.due(input.port as usize, input.first.ready.max(port.busy_until));
        }
    }

    /// A port may send the message that waited longest; true when it went into a core.
    fn grant<P: Probe>(&mut self, time: u64, p: u32, emissions: &[Emission], probe: &mut P) -> bool {
        let port = &mut self.ports[p as usize];
        if port.wanted == 0 {
            return false;
        }
        if time < port.busy_until {
            self.agenda.due(p as usize, port.busy_until);
            return false;
        }
        let mut number = port.inputs + port.wanted.trailing_zeros();
        let mut oldest = self.inputs[number as usize].first.ready;
        let mut second = NEVER;
        let mut others = port.wanted & (port.wanted - 1);
        while others != 0 {
            let k = port.inputs + others.trailing_zeros();
            others &= others - 1;
            let ready = self.inputs[k as usize].first.ready;
            second = second.min(ready.max(oldest));
            if ready < oldest {
                (oldest, number) = (ready, k);
            }
        }
        if oldest > time {
            self.agenda.due(p as usize, oldest);
            return false;
        }
        match port.to {
            Way::Link { buffer, .. } => {
                let b = &self.buffers[buffer as usize];
                if b.len as usize >= self.capacity {
                    port.blocked = true;
                    return false;
                }
                if b.len as usize + 1 == self.capacity && time < b.room {
                    self.agenda.due(p as usize, b.room);
                    return false;
                }
            }
            Way::Receiver(core) => {
                if let Some(taken) = self.receivers[core as usize].taken.oldest(self.capacity)
                    && taken > time
                {
                    self.agenda.due(p as usize, taken);
                    return false;
                }
            }
            // XY routes stay within the area: a message never wants out of it.
            Way::Nowhere => return false,
        }
        let message = self.inputs[number as usize].first;
        port.wanted &= !(1 << (number - port.inputs));
        port.busy_until = time + port.flit;
        port.sent += 1;
        let arrival = time + port.latency;
        let (to, busy_until) = (port.to, port.busy_until);
        self.leave(time, number, emissions, probe);
        if second != NEVER {
            self.agenda.due(p as usize, busy_until.max(second));
        }
        match to {
            Way::Link { input, buffer } => {
                let moved = Message { ready: arrival, ..message };
                let b = &mut self.buffers[buffer as usize];
                b.len += 1;
                b.peak = b.peak.max(b.len);
                if b.len == 1 {
                    self.inputs[input as usize].first = moved;
                    self.want(input);
                } else {
                    b.queue.push_back(moved);
                }
                false
            }
            Way::Receiver(core) => {
                let receiver = &mut self.receivers[core as usize];
                let start = arrival.max(receiver.free);
                receiver.free = (start + message.service_ps).min(TIME_LIMIT - 1);
                receiver.taken.push(start, self.capacity);
                self.times.received_ps[core as usize] = receiver.free;
                probe.received(arrival, start, receiver.free, core as usize, message.tag);
                true
            }
            Way::Nowhere => false,
        }
    }

    /// The first message of an input leaves: the next one comes first, and who waited for room may go on; both a flit later.
    #[inline]
    fn leave<P: Probe>(&mut self, time: u64, number: u32, emissions: &[Emission], probe: &mut P) {
        let again = time + self.credit;
        let input = &mut self.inputs[number as usize];
        match input.from {
            From::Sender(k) => {
                self.senders[k as usize].left.push(time, self.capacity);
                self.send(k as usize, again, emissions, probe);
            }
            From::Link { buffer, port } => {
                let b = &mut self.buffers[buffer as usize];
                b.len -= 1;
                b.room = again;
                input.first = match b.queue.pop_front() {
                    Some(next) => Message { ready: next.ready.max(again), ..next },
                    None => NO_MESSAGE,
                };
                let upstream = &mut self.ports[port as usize];
                if upstream.blocked {
                    upstream.blocked = false;
                    self.agenda.due(port as usize, again.max(upstream.busy_until));
                }
            }
            From::Nobody => input.first = NO_MESSAGE,
        }
        self.want(number);
    }

    /// Messages that crossed a link since the mesh was built, and the most that waited behind it (`4 * router + direction`).
    pub(crate) fn link(&self, number: usize) -> (u64, u32) {
        let p = number / 4 * self.outputs as usize + number % 4;
        let peak = match self.ports[p].to {
            Way::Link { buffer, .. } => self.buffers[buffer as usize].peak,
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
        let p = number / 4 * self.outputs as usize + number % 4;
        self.ports[p].to = Way::Nowhere;
    }
}

#[cfg(test)]
#[path = "noc_tests.rs"]
mod tests;
