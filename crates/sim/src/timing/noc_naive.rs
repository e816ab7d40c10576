//! The mesh of docs/timing.md, section 3, as plainly as it can be written: at every turn all ports are looked at, and the earliest grant
//! is made. For tests: the event-driven mesh must do the same.

use spikec_chip::target::Target;
use spikec_chip::{Mesh, Router};
use std::collections::{BTreeMap, VecDeque};

/// Where a message comes into a router: from the neighbour in a direction of travel, from a core's slot, or from the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum From {
    Link(u32),
    Core(u32),
    Host,
}

/// Where it leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum To {
    Link(u32),
    Core(u32),
}

#[derive(Debug, Clone, Copy)]
struct Message {
    to: usize,
    tag: u32,
    service: u64,
    arrived: u64,
}

#[derive(Debug, Default)]
struct Buffer {
    queue: VecDeque<Message>,
    came: usize,
    left: Vec<u64>,
}

type At = (u32, u32);

/// (came, start, end, core, tag) of a message.
type Received = (u64, u64, u64, usize, u32);

/// The most messages that were behind each link, by column, row and direction.
pub(super) type Peaks = BTreeMap<(u32, u32, u32), u32>;

/// Every message, by tag; when each sender sent each of its messages; and the peaks.
pub(super) fn run(target: &Target, cores: &[u32], lists: &[&[(u64, u32, u64)]]) -> (Vec<Received>, Vec<Vec<u64>>, Peaks) {
    let mesh = Mesh::new(&target.topology);
    let t = &target.packed().timing_ns;
    let ps = |ns: f64| (ns * 1000.0).round() as u64;
    let capacity = *target.topology.link_buffer as usize;
    let credit = ps(*t.link_flit) * u64::from(*target.topology.flits_per_spike);
    let local = ps(*t.local_port);
    let at = |r: Router| (r.x, r.y);
    let home: Vec<(At, u32)> = cores.iter().map(|&c| (at(mesh.router(c)), mesh.slot(c))).collect();
    let senders: Vec<(At, From)> =
        home.iter().map(|&(r, slot)| (r, From::Core(slot))).chain([(at(mesh.host_port()), From::Host)]).collect();

    let mut buffers: BTreeMap<(At, From), Buffer> = BTreeMap::new();
    let mut busy: BTreeMap<(At, To), u64> = BTreeMap::new();
    let mut taken: Vec<Vec<u64>> = vec![Vec::new(); cores.len()];
    let mut free = vec![0u64; cores.len()];
    let mut sent: Vec<Vec<u64>> = vec![Vec::new(); senders.len()];
    let mut received = Vec::new();
    let mut peaks = Peaks::new();
    let first_tag = |k: usize| lists[..k].iter().map(|l| l.len() as u32).sum::<u32>();
    loop {
        // Whatever can be sent is sent, as far as it is known when.
        for (k, &place) in senders.iter().enumerate() {
            let buffer = buffers.entry(place).or_default();
            while let Some(&(gap, to, service)) = lists[k].get(sent[k].len()) {
                let i = sent[k].len();
                let made = sent[k].last().copied().unwrap_or(0) + gap;
                let time = match i.checked_sub(capacity) {
                    None => made,
                    Some(before) => match buffer.left.get(before) {
                        Some(left) => made.max(left + credit),
                        None => break,
                    },
                };
                sent[k].push(time);
                buffer.came += 1;
                buffer.queue.push_back(Message { to: to as usize, tag: first_tag(k) + i as u32, service, arrived: time + local });
            }
        }
        // The earliest grant of any port: (time, router row and column, port, input).
        let mut wanted: BTreeMap<(At, To), Vec<(u64, From)>> = BTreeMap::new();
        for (&(r, from), buffer) in &buffers {
            let Some(first) = buffer.queue.front() else { continue };
            let ready = buffer.left.last().map_or(first.arrived, |left| first.arrived.max(left + credit));
            let (goal, slot) = home[first.to];
            let to = match (goal.0.cmp(&r.0), goal.1.cmp(&r.1)) {
                (std::cmp::Ordering::Greater, _) => To::Link(0),
                (std::cmp::Ordering::Less, _) => To::Link(1),
                (_, std::cmp::Ordering::Greater) => To::Link(2),
                (_, std::cmp::Ordering::Less) => To::Link(3),
                _ => To::Core(slot),
            };
            wanted.entry((r, to)).or_default().push((ready, from));
        }
        let next = |(x, y): At, direction: u32| match direction {
            0 => (x + 1, y),
            1 => (x - 1, y),
            2 => (x, y + 1),
            _ => (x, y - 1),
        };
        let mut best: Option<(u64, At, To, From)> = None;
        for (&(r, to), heads) in &wanted {
            let room = match to {
                To::Link(d) => {
                    let empty = Buffer::default();
                    let behind = buffers.get(&(next(r, d), From::Link(d))).unwrap_or(&empty);
                    match behind.came.checked_sub(capacity) {
                        None => Some(0),
                        Some(before) => behind.left.get(before).map(|left| left + credit),
                    }
                }
                To::Core(slot) => {
                    let core = home.iter().position(|h| *h == (r, slot)).unwrap();
                    Some(taken[core].len().checked_sub(capacity).map_or(0, |before| taken[core][before]))
                }
            };
            let Some(room) = room else { continue };
            let earliest = heads.iter().map(|h| h.0).min().unwrap();
            let time = room.max(earliest).max(busy.get(&(r, to)).copied().unwrap_or(0));
            let from = heads.iter().filter(|h| h.0 <= time).min().unwrap().1;
            if best.is_none_or(|b| (time, r.1, r.0, to) < (b.0, b.1.1, b.1.0, b.2)) {
                best = Some((time, r, to, from));
            }
        }
        let Some((time, r, to, from)) = best else { break };
        let buffer = buffers.get_mut(&(r, from)).unwrap();
        let message = buffer.queue.pop_front().unwrap();
        buffer.left.push(time);
        let border = |d: u32| match d {
            0 => mesh.border_x(r.0),
            1 => mesh.border_x(r.0 - 1),
            2 => mesh.border_y(r.1),
            _ => mesh.border_y(r.1 - 1),
        };
        match to {
            To::Link(d) => {
                let (hop, flit) = match (border(d), d) {
                    (true, _) => (ps(*t.hop_chip), ps(*t.chip_link_flit) * u64::from(*target.topology.flits_per_spike)),
                    (false, 0 | 1) => (ps(*t.hop_x), credit),
                    (false, _) => (ps(*t.hop_y), credit),
                };
                busy.insert((r, to), time + flit);
                let behind = buffers.entry((next(r, d), From::Link(d))).or_default();
                behind.came += 1;
                behind.queue.push_back(Message { arrived: time + hop, ..message });
                let peak = peaks.entry((r.0, r.1, d)).or_default();
                *peak = (*peak).max(behind.queue.len() as u32);
            }
            To::Core(_) => {
                busy.insert((r, to), time + credit);
                let came = time + local;
                let start = came.max(free[message.to]);
                free[message.to] = start + message.service;
                taken[message.to].push(start);
                received.push((came, start, free[message.to], message.to, message.tag));
            }
        }
    }
    received.sort_by_key(|r| r.4);
    (received, sent, peaks)
}
