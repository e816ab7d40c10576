//! Latencies counted by hand, and a second mesh that does nothing but follow docs/timing.md cycle by cycle.

use super::*;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

/// (cycle sent, cycle arrived) by message.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Log(Vec<(u64, u64)>);

impl Listen for Log {
    fn sent(&mut self, tag: u32, cycle: u64) {
        self.0[tag as usize].0 = cycle;
    }
    fn arrived(&mut self, tag: u32, cycle: u64) {
        self.0[tag as usize].1 = cycle;
    }
}

fn area(width: u32, height: u32) -> Area {
    Area { x: 0, y: 0, width, height }
}

/// Loads (sender, router, cycle) as messages 0 .. and runs.
fn run(mesh: &mut Mesh, packets: &[(usize, u32, u64)]) -> Log {
    let mut log = Log(vec![(0, 0); packets.len()]);
    for (tag, &(sender, to, made)) in packets.iter().enumerate() {
        mesh.load(sender, [Packet { to, made, tag: tag as u32 }]);
    }
    mesh.run(0, &mut log).unwrap();
    log
}

/// RANC: a neuron of 256 axons takes 258 cycles; the first packet leaves its router at 262, and is three merges from the core next to it.
#[test]
fn the_first_packet_leaves_at_262() {
    let mut mesh = Mesh::new(area(2, 1), &[0, 1], 0, 2, 4);
    assert_eq!(run(&mut mesh, &[(0, 1, 258)]).0, [(258, 262 + 3 * 2)]);
    assert_eq!(mesh.last_arrival, 268);
    // To itself: east, up, home.
    assert_eq!(run(&mut mesh, &[(0, 0, 258)]).0, [(258, 258 + 4 * 2)]);
}

#[test]
fn the_host_sends_16_packets_in_31_cycles() {
    let mut mesh = Mesh::new(area(1, 1), &[0], 0, 2, 4);
    let packets: Vec<_> = (0..16).map(|k| (1, 0, 2 * k)).collect();
    run(&mut mesh, &packets);
    assert_eq!((mesh.last_sent(1) + 1, mesh.late(1)), (31, 0));
}

/// RANC's RTL takes 247,935 cycles where all 256 neurons fire east into a port that is read every 1000 cycles, eight places away. Ours has
/// four places before the link and four behind it.
#[test]
fn a_slow_port_stalls_the_core() {
    let mut mesh = Mesh::new(area(3, 1), &[0], 0, 2, 4);
    let packets: Vec<_> = (1..=256).map(|n| (0, 2, n * 258)).collect();
    run(&mut mesh, &packets);
    assert_eq!(mesh.late(0), 0);
    mesh.slow = Some((WAYS + EAST, 1000));
    run(&mut mesh, &packets);
    let cycles = 66_051 + mesh.late(0);
    assert_eq!(cycles, 248_005);
    assert_eq!(mesh.peak(EAST), 4, "behind the link east of router 0");
}

#[test]
fn through_traffic_goes_first() {
    // Core 0's packets come through router 1, whose core sends at the same time.
    let mut mesh = Mesh::new(area(3, 1), &[0, 1], 0, 2, 4);
    let log = run(&mut mesh, &[(0, 2, 0), (0, 2, 2), (1, 2, 2), (1, 2, 4)]).0;
    // At cycle 4 both are at the merge of router 1.
    let order: Vec<u64> = log.iter().map(|l| l.1).collect();
    assert_eq!(order, [12, 14, 16, 18]);
}

/// As docs/timing.md says, one cycle after the other.
struct Naive {
    area: Area,
    merge: u64,
    capacity: usize,
    buffers: Vec<VecDeque<(u32, u32, u64)>>,
    free: Vec<u64>,
    queues: Vec<VecDeque<Packet>>,
    late: Vec<u64>,
    /// First cycle of a sender's next packet.
    next: Vec<u64>,
}

impl Naive {
    fn run(&mut self, routers: &[(u32, usize)], log: &mut Log) {
        let names = Mesh::new(self.area, &[], 0, self.merge, self.capacity as u32);
        for cycle in 0.. {
            if self.buffers.iter().all(VecDeque::is_empty) && self.queues.iter().all(VecDeque::is_empty) {
                return;
            }
            assert!(cycle < 1_000_000);
            let room: Vec<bool> = self.buffers.iter().map(|b| b.len() < self.capacity).collect();
            let mut moves = Vec::new();
            for unit in (0..self.free.len()).filter(|&u| self.free[u] <= cycle) {
                let slots = unit * BUFFERS..(unit + 1) * BUFFERS;
                let Some(from) = slots.clone().find(|&b| self.buffers[b].front().is_some_and(|p| p.2 <= cycle)) else { continue };
                let next = names.next(unit, self.buffers[from][0].0 as usize);
                if next.is_none_or(|n| room[n]) {
                    moves.push((unit, from, next));
                }
            }
            let mut sends = Vec::new();
            for (k, &(router, slot)) in routers.iter().enumerate() {
                let Some(packet) = self.queues[k].front().copied() else { continue };
                if packet.made + self.late[k] > cycle || self.next[k] > cycle {
                    continue;
                }
                let west = packet.to % self.area.width < router % self.area.width;
                let buffer = (router as usize * WAYS + usize::from(west)) * BUFFERS + slot;
                if room[buffer] {
                    sends.push((k, buffer, packet));
                }
            }
            for (unit, from, next) in moves {
                let (to, tag, _) = self.buffers[from].pop_front().unwrap();
                self.free[unit] = cycle + self.merge;
                match next {
                    Some(next) => self.buffers[next].push_back((to, tag, cycle + self.merge)),
                    None => log.0[tag as usize].1 = cycle + self.merge,
                }
            }
            for (k, buffer, packet) in sends {
                self.queues[k].pop_front();
                self.late[k] = cycle - packet.made;
                self.next[k] = cycle + 1;
                log.0[packet.tag as usize].0 = cycle;
                self.buffers[buffer].push_back((packet.to, packet.tag, cycle + self.merge));
            }
        }
    }
}

#[test]
fn random_traffic_is_what_the_naive_mesh_makes_of_it() {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
    for round in 0..60 {
        let area = area(rng.random_range(1..5), rng.random_range(1..5));
        let n = area.routers();
        let (merge, capacity) = (rng.random_range(1..4), rng.random_range(1..5));
        let mut cores: Vec<u32> = (0..n as u32).collect();
        cores.shuffle(&mut rng);
        cores.truncate(rng.random_range(1..=n));
        let port = rng.random_range(0..n as u32);
        let hot = rng.random_range(0..n as u32);
        let mut packets = Vec::new();
        for sender in 0..=cores.len() {
            let mut made = rng.random_range(0..20);
            for _ in 0..rng.random_range(0..40) {
                let to = if rng.random_bool(0.5) { hot } else { rng.random_range(0..n as u32) };
                packets.push((sender, to, made));
                made += rng.random_range(1..6);
            }
        }
        let mut mesh = Mesh::new(area, &cores, port, merge, capacity);
        let found = run(&mut mesh, &packets);
        let senders = cores.len() + 1;
        let mut naive = Naive {
            area,
            merge,
            capacity: capacity as usize,
            buffers: vec![VecDeque::new(); n * WAYS * BUFFERS],
            free: vec![0; n * WAYS],
            queues: vec![VecDeque::new(); senders],
            late: vec![0; senders],
            next: vec![0; senders],
        };
        for (tag, &(sender, to, made)) in packets.iter().enumerate() {
            naive.queues[sender].push_back(Packet { to, made, tag: tag as u32 });
        }
        let routers: Vec<(u32, usize)> = cores.iter().map(|&r| (r, FROM_CORE)).chain([(port, FROM_HOST)]).collect();
        let mut expected = Log(vec![(0, 0); packets.len()]);
        naive.run(&routers, &mut expected);
        assert_eq!(found, expected, "round {round}");
        assert_eq!((0..senders).map(|k| mesh.late(k)).collect::<Vec<_>>(), naive.late, "round {round}");
        assert_eq!(mesh.last_arrival, expected.0.iter().map(|l| l.1).max().unwrap_or(0));
        // Cores in another order send the same packets at the same times.
        let mut order: Vec<usize> = (0..cores.len()).collect();
        order.shuffle(&mut rng);
        let moved: Vec<u32> = order.iter().map(|&k| cores[k]).collect();
        let place = |k: usize| order.iter().position(|&o| o == k).unwrap_or(cores.len());
        let again: Vec<_> = packets.iter().map(|&(sender, to, made)| (place(sender), to, made)).collect();
        let mut other = Mesh::new(area, &moved, port, merge, capacity);
        assert_eq!(run(&mut other, &again), found, "round {round}");
        assert!((0..4 * n).all(|link| other.peak(link) == mesh.peak(link)), "round {round}");
    }
}
