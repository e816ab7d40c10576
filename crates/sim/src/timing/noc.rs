//! The mesh at the cycle level: senders, routers with bounded buffers, receivers.
//!
//! In: what each core sends in a chip step and how long its receiver takes for it. Out: when each sent and received, and who waited.
//! Invariant: every event happens at a whole picosecond; its consequences come at least one picosecond later, and events of one
//! picosecond are taken by unit number, so the visiting order can't matter. A message that has no room waits where it is.
//! Cost: one agenda entry for each hop and one for the way into the core. docs/timing.md, section 3, is the law.
//! Why an event queue: a step lasts thousands of clock cycles in which most routers have nothing to do. Units are the inputs of routers: the
//! next event is the first message of an input that is ready to go, and nearly always it goes at once. Sending needs no event of its own:
//! when a message leaves its core's buffer, it is known when the next one was or will be sent. Links and receivers, cores and
//! neighbours take the same instructions, since nobody can guess which comes next.

use super::agenda::{self, Agenda, NEVER, TIME_LIMIT, View};
use super::links::Area;
use super::ways::Ways;
use spikec_chip::Router;
use std::hint::select_unpredictable;

/// No sender, no input.
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
    /// Somebody listens.
    const LISTENS: bool = true;
    /// A message left its sender (core position, or the number of cores for the host).
    fn sent(&mut self, _time: u64, _sender: usize, _tag: u32) {}
    /// A sender found no room.
    fn stalled(&mut self, _from: u64, _until: u64, _sender: usize) {}
    /// A core takes a message from its queue at `start` and is done with it at `end`; it came at `came`.
    fn received(&mut self, _came: u64, _start: u64, _end: u64, _core: usize, _tag: u32) {}
}

impl Probe for () {
    const LISTENS: bool = false;
}

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
    /// When it is at the router, if its sender need not wait for room longer than before.
    arrival: u64,
    service_ps: u64,
    /// Position of its core.
    to: u32,
    tag: u32,
    /// Port by which it leaves the router that it is at.
    port: u32,
}

/// A place in a buffer.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// What is in it; nothing of interest in a receiver's queue.
    message: Message,
    /// When it can be taken again; [`NEVER`] while that is not known.
    room: u64,
}

/// Nothing was here yet. (No sender is late for a message that comes at the limit.)
const EMPTY: Place = Place { message: Message { arrival: TIME_LIMIT, service_ps: 0, to: 0, tag: 0, port: 0 }, room: 0 };

/// The places of a buffer or queue in `Noc::places`, which are taken and left in turn.
#[derive(Debug, Clone, Copy, Default)]
struct Ring {
    at: u32,
    begin: u32,
    end: u32,
}

impl Ring {
    fn new(begin: usize, end: usize) -> Ring {
        Ring { at: begin as u32, begin: begin as u32, end: end as u32 }
    }
    #[inline]
    fn advance(&mut self) {
        let next = self.at + 1;
        self.at = select_unpredictable(next == self.end, self.begin, next);
    }
    fn len(self) -> u32 {
        self.end - self.begin
    }
}

/// A way into a router, with its buffer: from a neighbour, a core, or the host.
#[derive(Debug, Clone, Copy, Default)]
struct Input {
    /// Place of its first message. A sender's messages lie side by side, also those that are not sent yet.
    first: Ring,
    /// Messages; of a sender, also those that are not sent yet.
    len: u32,
    /// Length at which the port upstream waits; no length for a sender.
    full: u32,
    /// Most messages behind the link so far.
    peak: u32,
    /// The port that feeds it.
    upstream: u32,
    /// A sender's message takes the place of the one that many messages before.
    back: u32,
    sender: u32,
    /// When the last message left, as a key.
    left: u64,
    /// What a sender's messages are late by: the time in which it found no room.
    late: u64,
    /// All bits for a sender that can find no room, else none.
    sends: u64,
}

impl Input {
    /// A sender's next message, if there is one, finds no room before that time. Gives when it is at the router.
    #[cold]
    fn stall<P: Probe>(&mut self, arrival: u64, room: u64, local: u64, probe: &mut P) -> u64 {
        if self.len == 0 {
            return arrival;
        }
        probe.stalled(arrival - local, room - local, self.sender as usize);
        self.late += room - arrival;
        room
    }
}

/// A way out of a router: a link, or a core's receiver.
#[derive(Debug, Clone, Copy, Default)]
struct Port {
    /// When it can send again: it is not busy, there is room downstream, and nobody waits. [`NEVER`] while that is not known.
    free: u64,
    latency: u64,
    flit: u64,
    /// When its receiver is done.
    done: u64,
    /// All bits for a link: the place that a message takes is free when it leaves. None for a receiver: the place is free when the
    /// message's processing starts, so it is always known when.
    link: u64,
    /// Place downstream that the next message takes.
    place: Ring,
    /// Place after which the buffer grows.
    grows: u32,
    /// Input that it feeds; of a receiver an input that is none.
    to: u32,
    /// First port of the router downstream, and its row in the table of ways.
    there: u32,
    row: u32,
}

/// What is seldom needed of a port.
#[derive(Debug, Clone, Copy, Default)]
struct Side {
    /// Inputs of its router whose first message waits for it, one bit each.
    waiting: u64,
    /// When it can send again, while somebody waits.
    free: u64,
    /// First input of its router.
    inputs: u32,
    /// The receiver's core.
    core: u32,
    /// Places of the buffer downstream.
    places: u32,
    /// It leads somewhere.
    open: bool,
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

impl Side {
    /// A message waits for the port, which is not free. Gives its input's key.
    #[cold]
    fn join(&mut self, port: &mut Port, bit: u64, unit: usize) -> u64 {
        let first = self.waiting == 0;
        self.waiting |= bit;
        if !first {
            return NEVER;
        }
        self.free = port.free;
        port.free = NEVER;
        agenda::at(self.free, unit)
    }

    /// It is known when the port is free. Of the messages that wait for it, the one that waits longest is due then. Gives the key.
    #[cold]
    fn wake(&mut self, port: &mut Port, since: &[u64], agenda: &mut View<'_>) -> u64 {
        if self.waiting == 0 {
            return NEVER;
        }
        self.free = port.free;
        port.free = NEVER;
        let mut waiting = self.waiting;
        let mut oldest = (NEVER, 0);
        while waiting != 0 {
            let unit = (self.inputs + waiting.trailing_zeros()) as usize;
            waiting &= waiting - 1;
            oldest = oldest.min((since[unit], unit));
        }
        let key = agenda::at(self.free, oldest.1);
        agenda.due(oldest.1, key);
        key
    }
}

/// Why events are not taken any more.
enum Stop {
    /// There are none.
    Done,
    TooLong,
    /// The buffer behind a port should have more places.
    Grow(usize),
}

/// The mesh and its state.
#[derive(Debug)]
pub(crate) struct Noc {
    area: Area,
    outputs: u32,
    capacity: u32,
    credit: u64,
    local: u64,
    ways: Ways,
    /// Of all routers, by router; then one that is none.
    inputs: Vec<Input>,
    /// Router of each input.
    router: Vec<u32>,
    /// Since when each input's first message waits for its port.
    since: Vec<u64>,
    ports: Vec<Port>,
    sides: Vec<Side>,
    /// Input of each core, and last of the host.
    senders: Vec<u32>,
    /// Port of each core's receiver.
    receivers: Vec<u32>,
    /// Of the buffers, then the step's messages by sender.
    places: Vec<Place>,
    /// Places of this step.
    used: usize,
    agenda: Agenda,
    pub times: StepTimes,
}

impl Noc {
    /// Runs one step: sender k sends `emissions[ranges[k]]` in order. Results are in `times`.
    pub(crate) fn run<P: Probe>(&mut self, emissions: &[Emission], ranges: &[(u32, u32)], probe: &mut P) -> Result<(), Trouble> {
        self.begin();
        for (k, &(begin, end)) in ranges.iter().enumerate() {
            self.enter(k, &emissions[begin as usize..end as usize], probe);
        }
        // The place after a sender's last message is looked at.
        self.take(1).fill(EMPTY);
        loop {
            match self.flow(probe) {
                Stop::Done => return self.end(),
                Stop::TooLong => return Err(Trouble::TooLong),
                Stop::Grow(p) => self.grow(p),
            }
        }
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

    /// An empty mesh: buffers lie side by side.
    fn begin(&mut self) {
        self.rest();
        self.agenda.clear();
        for input in &mut self.inputs {
            (input.len, input.late, input.left, input.sends) = (0, 0, 0, 0);
        }
        let mut begin = 0;
        for (port, side) in self.ports.iter_mut().zip(&mut self.sides) {
            (port.free, port.done, side.waiting) = (0, 0, 0);
            let end = begin + if side.open { side.places as usize } else { 0 };
            port.place = Ring::new(begin, end);
            port.grows = if side.open && side.places < self.capacity { end as u32 - 1 } else { u32::MAX };
            self.inputs[port.to as usize].first = port.place;
            if !side.open {
                (port.free, port.link) = (NEVER, u64::MAX);
            }
            begin = end;
        }
        // It never holds a single message.
        if let Some(none) = self.inputs.last_mut() {
            none.len = 2;
        }
        self.used = 0;
        self.take(begin).fill(EMPTY);
    }

    /// So many more places, with whatever was in them.
    fn take(&mut self, count: usize) -> &mut [Place] {
        let begin = self.used;
        self.used += count;
        if self.places.len() < self.used {
            self.places.resize(self.used, EMPTY);
        }
        &mut self.places[begin..self.used]
    }

    /// A sender has these messages.
    fn enter<P: Probe>(&mut self, k: usize, emissions: &[Emission], probe: &mut P) {
        if emissions.len() > self.capacity as usize {
            // The first ones take places that are free.
            self.take(self.capacity as usize).fill(EMPTY);
        }
        let (unit, begin) = (self.senders[k] as usize, self.used);
        self.take(emissions.len());
        let input = &mut self.inputs[unit];
        input.len = emissions.len() as u32;
        (input.back, input.sends) = if emissions.len() > self.capacity as usize { (self.capacity, u64::MAX) } else { (0, 0) };
        input.first = Ring { at: begin as u32, begin: 0, end: u32::MAX };
        let (mut made, local, router, ways) = (0u64, self.local, self.router[unit], &self.ways);
        let (ports, row) = (router * self.outputs, router * ways.stride);
        for (place, e) in self.places[begin..].iter_mut().zip(emissions) {
            made = made.saturating_add(e.gap_ps).min(TIME_LIMIT / 2);
            let port = ports + ways.way(row, e.to);
            place.message = Message { arrival: made + local, service_ps: e.service_ps, to: e.to, tag: e.tag, port };
        }
        self.times.sent_ps[k] = made;
        if !emissions.is_empty() {
            let message = self.places[begin].message;
            probe.sent(message.arrival - local, k, message.tag);
            self.agenda.view().due(unit, agenda::key(message.arrival, unit));
        }
    }

    /// Takes one event after another: the first message of an input is ready to go.
    fn flow<P: Probe>(&mut self, probe: &mut P) -> Stop {
        let (credit, local) = (self.credit, self.local);
        let (inputs, ports, places) = (&mut self.inputs[..], &mut self.ports[..], &mut self.places[..]);
        let (sides, since, ways) = (&mut self.sides[..], &mut self.since[..], &self.ways);
        let mut agenda = self.agenda.view();
        let mut event = agenda.first();
        while event != NEVER {
            let (mut time, unit) = agenda::split(event);
            let input = &mut inputs[unit];
            let here = input.first.at as usize;
            let place = &mut places[here];
            let p = place.message.port as usize;
            let port = &mut ports[p];
            let mut woken = false;
            if port.place.at == port.grows {
                return Stop::Grow(p);
            }
            if port.free > time {
                if port.link == 0 {
                    // A receiver's room is known beforehand, and who comes later goes later.
                    time = port.free;
                } else {
                    let side = &mut sides[p];
                    let bit = 1 << (unit as u32 - side.inputs);
                    woken = side.waiting & bit != 0;
                    if !woken {
                        event = agenda.replace(unit, side.join(port, bit, unit));
                        since[unit] = time;
                        continue;
                    }
                    side.waiting ^= bit;
                }
            }
            if time >= TIME_LIMIT / 2 {
                return Stop::TooLong;
            }

            // It leaves. The next one comes first a flit later; a sender may have to wait for room.
            let again = time + credit;
            place.room = again;
            input.first.advance();
            input.left = agenda::key(time, unit);
            let (len, full, upstream) = (input.len, input.full, input.upstream);
            input.len = len - 1;
            let at = input.first.at as usize;
            let following = &places[at].message;
            let mut arrival = following.arrival + input.late;
            let room = (places[at - input.back as usize].room & input.sends) + local;
            if room > arrival {
                arrival = input.stall(arrival, room, local, probe);
            }
            if P::LISTENS && input.sender != NONE && len > 1 {
                probe.sent(arrival - local, input.sender as usize, following.tag);
            }
            let key = select_unpredictable(len > 1, agenda::key(arrival.max(again), unit), NEVER);
            let mut next = agenda.replace(unit, key);
            if len == full {
                let port = &mut ports[upstream as usize];
                let last = if port.place.at == port.place.begin { port.place.end } else { port.place.at } - 1;
                let sent = places[last as usize].message.arrival - port.latency;
                port.free = again.max(sent + port.flit);
                next = next.min(sides[upstream as usize].wake(port, since, &mut agenda));
            }

            // It goes on: into the buffer behind a link, or into a core.
            let port = &mut ports[p];
            let arrival = time + port.latency;
            let start = arrival.max(port.done);
            let message = places[here].message;
            port.done = start + message.service_ps;
            let moved = Message { arrival, port: port.there + ways.way(port.row, message.to), ..message };
            places[port.place.at as usize] = Place { message: moved, room: start | port.link };
            port.place.advance();
            port.free = (time + port.flit).max(places[port.place.at as usize].room);
            if P::LISTENS && port.link == 0 {
                probe.received(arrival, start, port.done, sides[p].core as usize, message.tag);
            }
            let to = port.to as usize;
            if woken {
                next = next.min(sides[p].wake(port, since, &mut agenda));
            }
            let behind = &mut inputs[to];
            behind.len += 1;
            // The last one that left may have done so beforehand.
            let stays = behind.left > event;
            behind.peak = behind.peak.max(behind.len + u32::from(stays));
            if behind.len == 1 {
                let ready = if stays { arrival.max(agenda::split(behind.left).0 + credit) } else { arrival };
                let key = agenda::key(ready, to);
                agenda.due(to, key);
                next = next.min(key);
            }
            event = next;
        }
        Stop::Done
    }

    /// A buffer whose last place is about to be taken for the first time gets twice as many, at the end.
    #[cold]
    fn grow(&mut self, p: usize) {
        let (port, side) = (&mut self.ports[p], &mut self.sides[p]);
        let (old, begin) = (port.place, self.places.len());
        side.places = self.capacity.min(2 * old.len());
        self.places.extend_from_within(old.begin as usize..old.end as usize);
        self.places.resize(begin + side.places as usize, EMPTY);
        self.used = self.places.len();
        let ring = Ring::new(begin, self.used);
        port.grows = if side.places < self.capacity { ring.end - 1 } else { u32::MAX };
        for moved in [&mut port.place, &mut self.inputs[port.to as usize].first] {
            *moved = Ring { at: moved.at - old.begin + ring.begin, ..ring };
        }
    }

    /// Nothing moves any more: sums up.
    fn end(&mut self) -> Result<(), Trouble> {
        if let Some(none) = self.inputs.last_mut() {
            none.len = 0;
        }
        if let Some(unit) = self.inputs.iter().position(|i| i.len > 0) {
            let router = self.area.router(self.router[unit] as usize);
            return Err(Trouble::Stalled { router, waiting: self.inputs.iter().map(|i| u64::from(i.len)).sum() });
        }
        for (k, &unit) in self.senders.iter().enumerate() {
            let late = self.inputs[unit as usize].late;
            self.times.sent_ps[k] += late;
            self.times.stalled_ps[k] = late;
        }
        for (received, &port) in self.times.received_ps.iter_mut().zip(&self.receivers) {
            *received = self.ports[port as usize].done;
        }
        Ok(())
    }

    /// The most messages that waited behind a link (`4 * router + direction`) since this was forgotten.
    pub(crate) fn peak(&self, number: usize) -> u32 {
        let p = number / 4 * self.outputs as usize + number % 4;
        if self.sides[p].open { self.inputs[self.ports[p].to as usize].peak } else { 0 }
    }

    /// Forgets what was counted.
    pub(crate) fn reset_counts(&mut self) {
        self.inputs.iter_mut().for_each(|i| i.peak = 0);
    }

    /// Breaks a link, so that a test sees a stall.
    #[cfg(test)]
    pub(crate) fn cut(&mut self, number: usize) {
        self.sides[number / 4 * self.outputs as usize + number % 4].open = false;
    }
}

#[path = "noc_build.rs"]
mod build;
#[cfg(test)]
#[path = "noc_tests.rs"]
mod tests;
