//! The routers of a crossbar chip, cycle by cycle: packets of one tick.
//!
//! In: for each core the packets of its neurons, for the host those that it sends. Out: when cores are done, when packets arrive.
//! Invariant: x first, then y. What happens in a cycle depends on the state before it alone (all units read, then all write), so the order in
//! which units are visited can't matter.
//! Cost: an event for each packet and router, and for each wait.
//! Why: docs/timing.md, section 7. A router has four ways and a way into its core; each way is a merge of buffers, and passes the first packet of
//! the first buffer that has one: through traffic, then turns or the host, then the core.

use crate::run_error::RunError;
use crate::timing::Area;
use spikec_chip::Router;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Ways of a router: east, west, to larger y, to smaller y, into the core.
const WAYS: usize = 5;
const EAST: usize = 0;
const WEST: usize = 1;
const UP: usize = 2;
const DOWN: usize = 3;
const HOME: usize = 4;
/// Buffers of a way. East, west: from the router before, the host, the core. Up, down: from the router before, east, west. Home: up, down.
const BUFFERS: usize = 3;
const FROM_HOST: usize = 1;
const FROM_CORE: usize = 2;
/// Most routers that are simulated one by one.
pub(super) const MOST_ROUTERS: u64 = 1 << 18;
/// No message.
pub(super) const NO_TAG: u32 = u32::MAX;

/// A packet that a sender makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet {
    /// Router in the area.
    pub to: u32,
    /// Cycle in which the sender has it, without waiting.
    pub made: u64,
    /// Its message, or [`NO_TAG`].
    pub tag: u32,
}

/// A packet in a buffer.
#[derive(Debug, Clone, Copy)]
struct Held {
    to: u32,
    tag: u32,
    /// Cycle from which the merge can take it.
    ready: u64,
}

#[derive(Debug, Default)]
struct Buffer {
    packets: VecDeque<Held>,
    /// Its sender waits for room.
    awaited: bool,
    /// Most packets at once.
    peak: u32,
}

/// A core or the host, sending.
#[derive(Debug)]
struct Sender {
    router: usize,
    from: usize,
    queue: VecDeque<Packet>,
    /// Cycles lost for want of room.
    late: u64,
    /// Cycle in which the last packet was taken.
    last: u64,
}

/// When a message was sent and done with.
pub(super) trait Listen {
    fn sent(&mut self, tag: u32, cycle: u64);
    fn arrived(&mut self, tag: u32, cycle: u64);
}

impl Listen for () {
    fn sent(&mut self, _: u32, _: u64) {}
    fn arrived(&mut self, _: u32, _: u64) {}
}

/// What a unit does in a cycle, decided on the state before it.
#[derive(Debug)]
enum Act {
    /// A sender's packet goes into its buffer.
    Send { sender: usize, buffer: usize, packet: Packet },
    /// The first packet of a buffer goes on: into another buffer, or home.
    Pass { buffer: usize, next: Option<usize> },
    /// Nothing, until there is room in a buffer.
    Await { buffer: usize },
    /// Nothing before a cycle.
    Later { unit: usize, cycle: u64 },
}

/// The routers of an area and their senders.
#[derive(Debug)]
pub(super) struct Mesh {
    area: Area,
    merge: u64,
    capacity: usize,
    /// `[router][way][buffer]`.
    buffers: Vec<Buffer>,
    /// `[router][way]`: cycle from which the merge is free.
    free: Vec<u64>,
    /// Of each core, and last of the host.
    senders: Vec<Sender>,
    /// Sender of each router's core.
    core_at: Vec<u32>,
    due: BinaryHeap<Reverse<(u64, usize)>>,
    now: Vec<usize>,
    acts: Vec<Act>,
    /// Packets that go into a buffer in this cycle.
    moved: Vec<(usize, Held)>,
    /// Cycle in which the last packet of the step came home; 0 without packets.
    pub last_arrival: u64,
    /// A way that passes a packet in every so many cycles only: (way, cycles).
    #[cfg(test)]
    pub slow: Option<(usize, u64)>,
}

impl Mesh {
    /// Of routers with a core each (`cores`: their routers), and the host's port.
    pub(super) fn new(area: Area, cores: &[u32], port: u32, merge: u64, capacity: u32) -> Mesh {
        let sender = |router: u32, from| Sender { router: router as usize, from, queue: VecDeque::new(), late: 0, last: 0 };
        let mut senders: Vec<Sender> = cores.iter().map(|&router| sender(router, FROM_CORE)).collect();
        senders.push(sender(port, FROM_HOST));
        let mut core_at = vec![cores.len() as u32; area.routers()];
        for (k, &router) in cores.iter().enumerate() {
            core_at[router as usize] = k as u32;
        }
        let ways = area.routers() * WAYS;
        let mut buffers = Vec::new();
        buffers.resize_with(ways * BUFFERS, Buffer::default);
        Mesh {
            area,
            merge,
            capacity: capacity as usize,
            buffers,
            free: vec![0; ways],
            senders,
            core_at,
            due: BinaryHeap::new(),
            now: Vec::new(),
            acts: Vec::new(),
            moved: Vec::new(),
            last_arrival: 0,
            #[cfg(test)]
            slow: None,
        }
    }

    /// Gives sender `k` (the last is the host) its packets of the step, in the order in which it makes them.
    pub(super) fn load(&mut self, k: usize, packets: impl IntoIterator<Item = Packet>) {
        self.senders[k].queue.extend(packets);
    }

    /// Cycles that sender `k` lost in the step for want of room.
    pub(super) fn late(&self, k: usize) -> u64 {
        self.senders[k].late
    }

    /// Cycle in which the last packet of sender `k` was taken.
    pub(super) fn last_sent(&self, k: usize) -> u64 {
        self.senders[k].last
    }

    /// Most packets that waited behind a link (`4 * router + direction`, as `timing::links` numbers them) since this was forgotten.
    pub(super) fn peak(&self, link: usize) -> u32 {
        let (router, way) = (link / 4, link % 4);
        self.neighbour(router, way).map_or(0, |next| self.buffers[(next * WAYS + way) * BUFFERS].peak)
    }

    /// Forgets what was counted.
    pub(super) fn reset_peaks(&mut self) {
        self.buffers.iter_mut().for_each(|b| b.peak = 0);
    }

    /// Sends all packets that were loaded, from an empty mesh to an empty mesh.
    ///
    /// # Errors
    /// [`RunError::Stalled`] where packets are left and nothing moves.
    pub(super) fn run(&mut self, chip_step: i32, listen: &mut impl Listen) -> Result<(), RunError> {
        self.last_arrival = 0;
        self.free.fill(0);
        self.due.clear();
        let ways = self.free.len();
        for (k, s) in self.senders.iter_mut().enumerate() {
            (s.late, s.last) = (0, 0);
            if let Some(first) = s.queue.front() {
                self.due.push(Reverse((first.made, ways + k)));
            }
        }
        while let Some(&Reverse((cycle, _))) = self.due.peek() {
            let mut now = std::mem::take(&mut self.now);
            while let Some(&Reverse((_, unit))) = self.due.peek().filter(|d| d.0.0 == cycle) {
                self.due.pop();
                // Units of a cycle come out ascending.
                if now.last() != Some(&unit) {
                    now.push(unit);
                }
            }
            let mut acts = std::mem::take(&mut self.acts);
            acts.extend(now.iter().filter_map(|&unit| if unit < ways { self.way(unit, cycle) } else { self.sender(unit - ways, cycle) }));
            for act in &acts {
                if let Act::Await { buffer } = *act {
                    self.buffers[buffer].awaited = true;
                }
            }
            for act in acts.drain(..) {
                self.write(act, cycle, listen);
            }
            // All that left is gone before anything comes in.
            let mut moved = std::mem::take(&mut self.moved);
            moved.drain(..).for_each(|(buffer, packet)| self.put(buffer, packet));
            self.moved = moved;
            now.clear();
            (self.now, self.acts) = (now, acts);
        }
        self.stalled(chip_step)
    }

    fn stalled(&self, chip_step: i32) -> Result<(), RunError> {
        let waiting: u64 = self.buffers.iter().map(|b| b.packets.len() as u64).sum::<u64>()
            + self.senders.iter().map(|s| s.queue.len() as u64).sum::<u64>();
        if waiting == 0 {
            return Ok(());
        }
        let at = self.buffers.iter().position(|b| !b.packets.is_empty()).map_or(0, |b| b / (WAYS * BUFFERS));
        let Router { x, y } = self.area.router(at);
        Err(RunError::Stalled { chip_step, x, y, waiting })
    }

    /// What a merge does.
    fn way(&self, unit: usize, cycle: u64) -> Option<Act> {
        let buffers = unit * BUFFERS..(unit + 1) * BUFFERS;
        if self.free[unit] > cycle {
            return None; // It was told to look again when it is free.
        }
        #[cfg(test)]
        if let Some((_, period)) = self.slow.filter(|s| s.0 == unit && !cycle.is_multiple_of(s.1)) {
            return Some(Act::Later { unit, cycle: cycle.next_multiple_of(period) });
        }
        let first = |b: &usize| self.buffers[*b].packets.front().is_some_and(|p| p.ready <= cycle);
        let buffer = match buffers.clone().find(first) {
            Some(buffer) => buffer,
            None => {
                let next = buffers.filter_map(|b| self.buffers[b].packets.front().map(|p| p.ready)).min()?;
                return Some(Act::Later { unit, cycle: next });
            }
        };
        let to = self.buffers[buffer].packets.front()?.to as usize;
        let next = self.next(unit, to);
        match next {
            Some(next) if self.full(next) => Some(Act::Await { buffer: next }),
            _ => Some(Act::Pass { buffer, next }),
        }
    }

    /// What a core or the host does.
    fn sender(&self, k: usize, cycle: u64) -> Option<Act> {
        let s = &self.senders[k];
        let packet = *s.queue.front()?;
        let made = packet.made + s.late;
        if made > cycle {
            return Some(Act::Later { unit: self.free.len() + k, cycle: made });
        }
        let width = self.area.width as usize;
        let way = if (packet.to as usize % width) < s.router % width { WEST } else { EAST };
        let buffer = (s.router * WAYS + way) * BUFFERS + s.from;
        Some(if self.full(buffer) { Act::Await { buffer } } else { Act::Send { sender: k, buffer, packet } })
    }

    fn full(&self, buffer: usize) -> bool {
        self.buffers[buffer].packets.len() >= self.capacity
    }

    fn neighbour(&self, router: usize, way: usize) -> Option<usize> {
        let (width, height) = (self.area.width as usize, self.area.height as usize);
        let (x, y) = (router % width, router / width);
        match way {
            EAST if x + 1 < width => Some(router + 1),
            WEST if x > 0 => Some(router - 1),
            UP if y + 1 < height => Some(router + width),
            DOWN if y > 0 => Some(router - width),
            _ => None,
        }
    }

    /// Buffer into which a way passes a packet for router `to`; none where it is home.
    fn next(&self, unit: usize, to: usize) -> Option<usize> {
        let (router, way) = (unit / WAYS, unit % WAYS);
        let width = self.area.width as usize;
        let in_column = to % width == router % width;
        let turn = match way {
            EAST | WEST if in_column => Some((if to / width >= router / width { UP } else { DOWN }, 1 + way)),
            UP | DOWN if to / width == router / width => Some((HOME, way - UP)),
            HOME => return None,
            _ => None,
        };
        match turn {
            Some((way, slot)) => Some((router * WAYS + way) * BUFFERS + slot),
            // Packets for routers of the area never leave it.
            None => self.neighbour(router, way).map(|next| (next * WAYS + way) * BUFFERS),
        }
    }

    fn write(&mut self, act: Act, cycle: u64, listen: &mut impl Listen) {
        match act {
            Act::Await { .. } => {}
            Act::Later { unit, cycle } => self.due.push(Reverse((cycle, unit))),
            Act::Send { sender, buffer, packet } => {
                let unit = self.free.len() + sender;
                let s = &mut self.senders[sender];
                s.queue.pop_front();
                s.late += cycle - (packet.made + s.late);
                s.last = cycle;
                if let Some(next) = s.queue.front() {
                    // A sender hands over one packet in a cycle.
                    self.due.push(Reverse(((next.made + s.late).max(cycle + 1), unit)));
                }
                if packet.tag != NO_TAG {
                    listen.sent(packet.tag, cycle);
                }
                self.moved.push((buffer, Held { to: packet.to, tag: packet.tag, ready: cycle + self.merge }));
            }
            Act::Pass { buffer, next } => {
                let unit = buffer / BUFFERS;
                let Some(packet) = self.buffers[buffer].packets.pop_front() else { return };
                let done = cycle + self.merge;
                self.free[unit] = done;
                self.due.push(Reverse((done, unit)));
                if std::mem::take(&mut self.buffers[buffer].awaited) {
                    let sender = self.feeds(buffer);
                    self.due.push(Reverse((cycle + 1, sender)));
                }
                match next {
                    Some(next) => self.moved.push((next, Held { ready: done, ..packet })),
                    None => {
                        self.last_arrival = self.last_arrival.max(done);
                        if packet.tag != NO_TAG {
                            listen.arrived(packet.tag, done);
                        }
                    }
                }
            }
        }
    }

    fn put(&mut self, buffer: usize, packet: Held) {
        let b = &mut self.buffers[buffer];
        b.packets.push_back(packet);
        b.peak = b.peak.max(b.packets.len() as u32);
        self.due.push(Reverse((packet.ready, buffer / BUFFERS)));
    }

    /// The unit that fills a buffer.
    fn feeds(&self, buffer: usize) -> usize {
        let (unit, slot) = (buffer / BUFFERS, buffer % BUFFERS);
        let (router, way) = (unit / WAYS, unit % WAYS);
        let back = [WEST, EAST, DOWN, UP];
        match (way, slot) {
            (HOME, slot) => router * WAYS + UP + slot,
            (way, 0) => self.neighbour(router, back[way]).unwrap_or(router) * WAYS + way,
            (EAST | WEST, FROM_HOST) => self.free.len() + self.senders.len() - 1,
            (EAST | WEST, _) => self.free.len() + self.core_at[router] as usize,
            (_, slot) => router * WAYS + slot - 1,
        }
    }
}

#[cfg(test)]
#[path = "mesh_tests.rs"]
mod tests;
