//! Latencies counted by hand, and what must hold for any traffic.

use super::*;
use crate::timing::costs::CostsPs;
use proptest::prelude::*;
use spikec_chip::Mesh;

#[path = "noc_naive.rs"]
mod naive;

use spikec_chip::target::Target;

fn loihi1() -> Target {
    spikec_chip::find("loihi1").unwrap()
}

/// A mesh of all routers between the cores; the host is at router (0, 0).
fn noc(target: &Target, cores: &[u32]) -> (Noc, CostsPs) {
    let mesh = Mesh::new(&target.topology);
    let costs = CostsPs::new(target, 1);
    let area = Area::around(cores.iter().map(|&c| mesh.router(c)).chain([mesh.host_port()]));
    (Noc::new(&mesh, area, cores, &costs, *target.topology.link_buffer).unwrap(), costs)
}

/// Runs: each sender's (gap, destination, service) list; the host is the last sender.
fn run(noc: &mut Noc, senders: &[&[(u64, u32, u64)]], probe: &mut Log) -> Result<StepTimes, Trouble> {
    let mut emissions = Vec::new();
    let mut ranges = Vec::new();
    for list in senders {
        let begin = emissions.len() as u32;
        for &(gap_ps, to, service_ps) in *list {
            emissions.push(Emission { gap_ps, to, service_ps, tag: emissions.len() as u32 });
        }
        ranges.push((begin, emissions.len() as u32));
    }
    noc.run(&emissions, &ranges, probe)?;
    Ok(noc.times.clone())
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Log {
    sent: Vec<(u64, usize, u32)>,
    stalls: Vec<(u64, u64, usize)>,
    received: Vec<(u64, u64, u64, usize, u32)>,
}

impl Probe for Log {
    fn sent(&mut self, time: u64, sender: usize, tag: u32) {
        self.sent.push((time, sender, tag));
    }
    fn stalled(&mut self, from: u64, until: u64, sender: usize) {
        self.stalls.push((from, until, sender));
    }
    fn received(&mut self, came: u64, start: u64, end: u64, core: usize, tag: u32) {
        self.received.push((came, start, end, core, tag));
    }
}

// loihi1: local port 2200 ps, hop in x 4100, in y 6500, flit 1000.

#[test]
fn one_spike_over_k_hops() {
    let target = loihi1();
    // Cores 0, 1 at router (0, 0); 4 at (1, 0); 12 at (3, 0); 32 + 8 = 40 at (2, 1); 127 at (7, 3).
    for (to, hops) in [(1, 0), (4, 4100), (12, 3 * 4100), (40, 2 * 4100 + 6500), (127, 7 * 4100 + 3 * 6500)] {
        let (mut noc, _) = noc(&target, &[0, to]);
        let times = run(&mut noc, &[&[(44_800, 1, 19_800)], &[], &[]], &mut Log::default()).unwrap();
        assert_eq!(times.last_received_ps(), 44_800 + 2 * 2200 + hops + 19_800, "to core {to}");
        assert_eq!((times.sent_ps[0], times.received_ps[1]), (44_800, times.last_received_ps()));
        // And back.
        let times = run(&mut noc, &[&[], &[(44_800, 0, 19_800)], &[]], &mut Log::default()).unwrap();
        assert_eq!(times.last_received_ps(), 44_800 + 2 * 2200 + hops + 19_800, "from core {to}");
    }
}

#[test]
fn a_hop_between_chips_takes_its_own_time() {
    let mut target = loihi1();
    target.topology.chips.value = 2;
    target.topology.chip_columns.value = 2;
    // Core 31 at router (7, 0) of chip 0, core 128 at (8, 0): the first of chip 1.
    let (mut noc, _) = noc(&target, &[31, 128]);
    let times = run(&mut noc, &[&[(10_000, 1, 1000), (0, 1, 1000)], &[], &[]], &mut Log::default()).unwrap();
    // The second message waits for the first one's flit: 10 ns on this link; nothing else takes longer.
    assert_eq!(times.last_received_ps(), 10_000 + 2200 + 10_000 + 41_000 + 2200 + 1000);
}

#[test]
fn two_messages_collide_on_a_link() {
    let target = loihi1();
    // Cores 0 and 1 share router (0, 0) and both send to router (1, 0), at the same time, to different cores.
    let (mut noc, _) = noc(&target, &[0, 1, 4, 5]);
    let mut log = Log::default();
    run(&mut noc, &[&[(5000, 2, 100)], &[(5000, 3, 100)], &[], &[], &[]], &mut log).unwrap();
    let way = 5000 + 2 * 2200 + 4100;
    assert_eq!(log.received, [(way, way, way + 100, 2, 0), (way + 1000, way + 1000, way + 1100, 3, 1)]);
    // One picosecond earlier wins, whatever the numbers.
    let mut log = Log::default();
    run(&mut noc, &[&[(5001, 2, 100)], &[(5000, 3, 100)], &[], &[], &[]], &mut log).unwrap();
    assert_eq!(log.received[0].0, way);
    assert_eq!((log.received[0].3, log.received[1].0), (3, way + 1000));
    // On different links nothing collides.
    let (mut noc, _) = super::tests::noc(&target, &[0, 1, 4, 32]);
    let mut log = Log::default();
    run(&mut noc, &[&[(5000, 2, 100)], &[(5000, 3, 100)], &[], &[], &[]], &mut log).unwrap();
    assert_eq!(log.received.iter().map(|r| r.0).collect::<Vec<_>>(), [way, 5000 + 2 * 2200 + 6500]);
}

#[test]
fn a_full_buffer_stalls_its_sender() {
    let mut target = loihi1();
    target.topology.link_buffer.value = 1;
    let (mut noc, _) = noc(&target, &[0, 1]);
    // Core 1 takes 100 ns a message, core 0 makes one in 1 ns. With buffers of one message: the receiver holds one in work and one
    // waiting, the router one, and the fourth has no room.
    let four = [(1000, 1, 100_000); 4];
    let mut log = Log::default();
    let times = run(&mut noc, &[&four, &[], &[]], &mut log).unwrap();
    // 0 is sent at 1000, is at the router at 3200, starts at the receiver at 5400 and is done at 105_400.
    // 1 finds the router's buffer full at 2000; 0 leaves it at 3200, the room is known at 4200; at the router 6400, at the receiver 8600.
    // It starts at 105_400. 2 is made at 5200, has room at 7400, and is at the router at 9600: the receiver's one place is taken until
    // 105_400. 3 is made at 8400 and has room when 2 leaves (105_400) and a flit has gone: 106_400.
    assert_eq!(log.sent.iter().map(|s| s.0).collect::<Vec<_>>(), [1000, 4200, 7400, 106_400]);
    assert_eq!(log.stalls, [(2000, 4200, 0), (5200, 7400, 0), (8400, 106_400, 0)]);
    assert_eq!(times.stalled_ps, [2200 + 2200 + 98_000, 0, 0]);
    assert_eq!(times.last_received_ps(), 5400 + 4 * 100_000);
    assert_eq!(times.received_ps, [0, 405_400]);
}

#[test]
fn room_behind_a_link_is_seen_a_flit_later() {
    let mut target = loihi1();
    target.topology.link_buffer.value = 1;
    // Cores 0 and 1 at router (0, 0) both send over the link to router (1, 0), whose buffer holds one message.
    let (mut noc, _) = noc(&target, &[0, 1, 4, 5]);
    for gap in [4100, 4600, 5099] {
        let mut log = Log::default();
        run(&mut noc, &[&[(1000, 2, 10)], &[(1000 + gap, 3, 10)], &[], &[], &[]], &mut log).unwrap();
        // The first is at the link at 3200, behind it at 7300, leaves there at once; its place can be taken from 8300 on.
        assert_eq!(log.received[0].0, 7300 + 2200);
        assert_eq!(log.received[1].0, (3200 + gap).max(8300) + 4100 + 2200, "gap {gap}");
    }
}

#[test]
fn the_host_sends_from_its_port() {
    let (mut noc, costs) = noc(&loihi1(), &[0, 4]);
    let times = run(&mut noc, &[&[], &[], &[(costs.host_spike, 1, 1000), (costs.host_spike, 0, 1000)]], &mut Log::default()).unwrap();
    assert_eq!(times.received_ps, [5100 * 2 + 4400 + 1000, 5100 + 4400 + 4100 + 1000]);
}

#[test]
fn a_stall_is_found_and_named() {
    let (mut noc, _) = noc(&loihi1(), &[0, 8]);
    // The link from router (1, 0) to (2, 0) is cut.
    noc.cut(4);
    let error = run(&mut noc, &[&[(10, 1, 10), (10, 1, 10)], &[], &[]], &mut Log::default()).unwrap_err();
    assert_eq!(error, Trouble::Stalled { router: Router { x: 1, y: 0 }, waiting: 2 });
}

#[test]
fn times_beyond_the_limit_are_refused() {
    let (mut noc, _) = noc(&loihi1(), &[0, 1]);
    for gap in [TIME_LIMIT, TIME_LIMIT - 1, u64::MAX] {
        assert_eq!(run(&mut noc, &[&[(gap, 1, 10)], &[], &[]], &mut Log::default()), Err(Trouble::TooLong));
    }
    // Links so slow that messages queue beyond the limit: an end, and no loop.
    let mut target = loihi1();
    let p = target.packed_mut();
    (p.timing_ns.link_flit.value, target.topology.flits_per_spike.value) = (1e9, 1024);
    let (mut slow, _) = super::tests::noc(&target, &[0, 4]);
    assert_eq!(run(&mut slow, &[&[(5, 1, 10); 3], &[], &[]], &mut Log::default()), Err(Trouble::TooLong));
    // The mesh is usable afterwards.
    assert!(run(&mut noc, &[&[(5, 1, 10)], &[], &[]], &mut Log::default()).is_ok());
}

#[test]
fn too_many_cores_at_a_router_are_refused() {
    let mut target = loihi1();
    target.topology.cores_per_router.value = 60;
    let mesh = Mesh::new(&target.topology);
    let area = Area { x: 0, y: 0, width: 1, height: 1 };
    let error = Noc::new(&mesh, area, &[0], &CostsPs::new(&target, 1), 16).unwrap_err();
    assert_eq!((error.need, error.limit), (60, 59));
}

/// (gap, destination, service) of each message of each sender.
type Lists = Vec<Vec<(u64, u32, u64)>>;

fn traffic() -> impl Strategy<Value = (Lists, u32)> {
    let list = prop::collection::vec((0u64..5000, 0u32..8, 0u64..60_000), 0..40);
    // Buffers of more than 16 messages grow to their size.
    (prop::collection::vec(list, 9), prop_oneof![4 => 1u32..6, 1 => Just(20u32)])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Every message arrives once, after its shortest way; a core's messages from one sender stay in order; the step is no
    /// shorter than its busiest sender or receiver; the same again gives the same.
    #[test]
    fn messages_are_conserved((lists, buffer) in traffic()) {
        let mut target = loihi1();
        target.topology.link_buffer.value = buffer;
        let cores = [0, 1, 6, 33, 40, 41, 70, 99];
        let (mut noc, costs) = noc(&target, &cores);
        let mesh = Mesh::new(&target.topology);
        let senders: Vec<&[(u64, u32, u64)]> = lists.iter().map(Vec::as_slice).collect();
        let mut log = Log::default();
        let times = run(&mut noc, &senders, &mut log).unwrap();
        let flat: Vec<(usize, (u64, u32, u64))> =
            lists.iter().enumerate().flat_map(|(k, l)| l.iter().map(move |m| (k, *m))).collect();
        let mut seen = vec![false; flat.len()];
        let mut left = vec![0; flat.len()];
        for &(time, sender, tag) in &log.sent {
            prop_assert_eq!(flat[tag as usize].0, sender);
            left[tag as usize] = time;
        }
        let mut last = std::collections::BTreeMap::new();
        for &(came, start, end, core, tag) in &log.received {
            let (sender, (_, to, service)) = flat[tag as usize];
            prop_assert!(!std::mem::replace(&mut seen[tag as usize], true));
            prop_assert_eq!(core as u32, to);
            prop_assert!(start >= came && end == start + service);
            let from = cores.get(sender).map_or(mesh.host_port(), |&c| mesh.router(c));
            let hops = mesh.hops(from, mesh.router(cores[core]));
            let way = 2 * costs.local_port + u64::from(hops.x) * costs.hop_x + u64::from(hops.y) * costs.hop_y;
            prop_assert!(came >= left[tag as usize] + way);
            if let Some(earlier) = last.insert((sender, core), tag) {
                prop_assert!(earlier < tag);
            }
        }
        prop_assert!(seen.iter().all(|&s| s));
        for (k, list) in lists.iter().enumerate() {
            let sum: u64 = list.iter().map(|m| m.0).sum();
            prop_assert!(list.is_empty() || times.sent_ps[k] == sum + times.stalled_ps[k]);
        }
        for core in 0..cores.len() {
            let sum: u64 = flat.iter().filter(|f| f.1.1 as usize == core).map(|f| f.1.2).sum();
            prop_assert!(times.received_ps[core] >= sum);
        }
        let mut again = Log::default();
        prop_assert_eq!(&run(&mut noc, &senders, &mut again).unwrap().received_ps, &times.received_ps);
        prop_assert_eq!(again, log);
    }

    /// The plainest mesh that follows the law does the same, message by message, also over the borders of chips and with long messages.
    #[test]
    fn the_plain_mesh_does_the_same((lists, buffer) in traffic(), flits in 1u32..4, board in any::<bool>()) {
        let mut target = loihi1();
        target.topology.link_buffer.value = buffer;
        target.topology.flits_per_spike.value = flits;
        let mut cores = [0, 1, 6, 33, 40, 41, 70, 99];
        if board {
            // Four chips of 2 x 2 routers: most ways cross a border.
            (target.topology.width.value, target.topology.height.value) = (2, 2);
            (target.topology.chips.value, target.topology.chip_columns.value) = (4, 2);
            cores = [0, 1, 6, 17, 20, 33, 45, 63];
        }
        let (mut noc, _) = noc(&target, &cores);
        let senders: Vec<&[(u64, u32, u64)]> = lists.iter().map(Vec::as_slice).collect();
        let mut log = Log::default();
        run(&mut noc, &senders, &mut log).unwrap();
        log.received.sort_by_key(|r| r.4);
        let (received, sent, peaks) = naive::run(&target, &cores, &senders);
        prop_assert_eq!(&log.received, &received);
        log.sent.sort_by_key(|s| s.2);
        prop_assert_eq!(log.sent.iter().map(|s| s.0).collect::<Vec<_>>(), sent.concat());
        let link = |number: usize| (noc.area.router(number / 4), number as u32 % 4);
        let found = (0..4 * noc.area.routers()).map(|n| (link(n), noc.peak(n))).filter(|f| f.1 > 0);
        prop_assert_eq!(found.map(|((r, d), peak)| ((r.x, r.y, d), peak)).collect::<naive::Peaks>(), peaks);
    }

    /// With more room nothing gets slower at the senders.
    #[test]
    fn room_never_makes_senders_wait((lists, _) in traffic()) {
        let mut target = loihi1();
        target.topology.link_buffer.value = 1 << 12;
        let (mut noc, _) = noc(&target, &[0, 1, 6, 33, 40, 41, 70, 99]);
        let senders: Vec<&[(u64, u32, u64)]> = lists.iter().map(Vec::as_slice).collect();
        let times = run(&mut noc, &senders, &mut Log::default()).unwrap();
        prop_assert!(times.stalled_ps.iter().all(|&s| s == 0));
    }
}
