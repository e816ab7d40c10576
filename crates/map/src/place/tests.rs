//! Placements against counting by hand, recomputation and exhaustive search.

use super::anneal::{Annealer, Schedule, cost};
use super::level::{Flows, Leveller};
use super::sites::{Allowed, Board, Places};
use super::traffic::Graph;
use super::*;
use proptest::prelude::*;
use spikec_chip::target::Target;
use std::ops::Range;

fn mesh(width: u32, height: u32) -> Mesh {
    let mut mesh = Mesh::square(width);
    mesh.height = height;
    mesh
}

/// A mesh of chips of 2 x 2 routers with two cores each.
fn chips(columns: u32) -> Mesh {
    let mut mesh = Mesh::square(2);
    (mesh.cores_per_router, mesh.chip_columns) = (2, columns);
    mesh
}

fn request<'a>(traffic: &'a Traffic, mesh: &'a Mesh, cores: u32) -> Request<'a> {
    Request {
        traffic,
        mesh,
        cores,
        chips: None,
        pins: None,
        host: None,
        start: None,
        link_share: LINK_SHARE,
        seed: 1,
        effort: Effort::Fast,
    }
}

/// Traffic of a grid of width x height parts with their neighbours, in a shuffled numbering.
fn grid(width: u32, height: u32) -> Traffic {
    let n = width * height;
    let step = (n / 2..).find(|s| (2..n).all(|d| !(n.is_multiple_of(d) && s.is_multiple_of(d)))).unwrap_or(1);
    let id = |x: u32, y: u32| (y * width + x) * step % n;
    let mut list = Vec::new();
    for y in 0..height {
        for x in 0..width {
            if x + 1 < width {
                list.push((id(x, y), id(x + 1, y), 1.0));
            }
            if y + 1 < height {
                list.push((id(x, y + 1), id(x, y), 2.0));
            }
        }
    }
    Traffic::new(n, list).expect("small")
}

fn distinct(cores: &[u32]) -> bool {
    let mut sorted = cores.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).all(|w| w[0] != w[1])
}

#[test]
fn hops_and_links_are_counted_by_hand() {
    // 0 1 2
    // 3 4 5
    let t = Traffic::new(3, [(0, 1, 1.0), (0, 2, 2.0), (2, 0, 4.0)]).expect("small");
    let q = quality(&t, &mesh(3, 2), &[0, 1, 5]).expect("fits");
    // 0 -> 1: one hop. 0 -> 5: x twice, then y. 5 -> 0: back along the lower row, then up.
    assert_eq!((q.hops, q.hops_x, q.hops_y, q.hops_chip, q.longest), (1.0 + 6.0 + 12.0, 1.0 + 4.0 + 8.0, 2.0 + 4.0, 0.0, 3));
    assert_eq!(q.largest_link, 4.0);
    let t = Traffic::new(3, [(0, 1, 1.0), (0, 2, 2.0), (2, 0, 0.5)]).expect("small");
    assert_eq!(quality(&t, &mesh(3, 2), &[0, 1, 5]).expect("fits").largest_link, 3.0);
}

#[test]
fn borders_of_chips_are_counted_apart() {
    // Two chips side by side, 2 x 2 routers of two cores: core 0 at (0, 0), core 8 at (2, 0), core 15 at (3, 1).
    let t = Traffic::new(3, [(0, 1, 1.0), (0, 2, 2.0)]).expect("small");
    let q = quality(&t, &chips(2), &[0, 8, 15]).expect("fits");
    assert_eq!((q.hops, q.hops_x, q.hops_y, q.hops_chip), (10.0, 1.0 + 4.0, 2.0, 3.0));
    assert_eq!((q.off_chip, q.largest_link), (3.0, 3.0));
}

#[test]
fn hostile_requests_are_refused() {
    let t = grid(3, 3);
    let m = Mesh::square(3);
    assert_eq!(place(&request(&t, &m, 8)), Err(PlaceError::NoRoom { parts: 9, cores: 8 }));
    assert_eq!(place(&request(&t, &m, u32::MAX)), Err(PlaceError::Cores { cores: u32::MAX, most: MAX_CORES }));
    assert_eq!(place(&Request { chips: Some(&[0; 8]), ..request(&t, &m, 9) }), Err(PlaceError::Length { given: 8, parts: 9 }));
    assert_eq!(place(&Request { chips: Some(&[7; 9]), ..request(&t, &m, 9) }), Err(PlaceError::NoCore { part: 0 }));
    let pins: Vec<Range<u32>> = vec![2..4; 9];
    assert_eq!(place(&Request { pins: Some(&pins), ..request(&t, &m, 9) }), Err(PlaceError::NoCore { part: 2 }));
    for (width, columns) in [(0, 1), (3, 0), (u32::MAX, 1), (1 << 14, u32::MAX)] {
        let mut m = Mesh::square(width);
        m.chip_columns = columns;
        assert_eq!(place(&request(&t, &m, 9)), Err(PlaceError::Mesh));
        assert_eq!(quality(&t, &m, &[0; 9]), Err(PlaceError::Mesh));
    }
    assert_eq!(quality(&t, &m, &[0; 9]), Err(PlaceError::Twice { core: 0, parts: [0, 1] }));
    assert_eq!(quality(&t, &m, &[0; 8]), Err(PlaceError::Length { given: 8, parts: 9 }));
    assert!(quality(&t, &m, &[0, 1, 2, 3, 4, 5, 6, 7, u32::MAX]).is_err());
    let none = Traffic::new(0, []).expect("empty");
    assert_eq!(place(&request(&none, &m, 0)), Ok(vec![]));
    assert_eq!(quality(&none, &m, &[]), Ok(Quality::default()));
    let silent = Traffic::new(4, []).expect("silent");
    assert!(distinct(&place(&request(&silent, &m, 9)).expect("fits")));
}

#[test]
fn small_cases_reach_the_optimum() {
    let m = mesh(3, 2);
    for seed in 0..8u64 {
        let list = (0..6u32).flat_map(|a| (0..6).map(move |b| (a, b, ((u64::from(a * 7 + b * 3) + seed) * 37 % 11) as f64)));
        let t = Traffic::new(6, list).expect("small");
        let mut best = f64::INFINITY;
        let mut cores = [0, 1, 2, 3, 4, 5];
        permute(&mut cores, 0, &mut |c| best = best.min(quality(&t, &m, c).expect("fits").hops));
        let found = place(&Request { link_share: 0.0, effort: Effort::Default, seed, ..request(&t, &m, 6) }).expect("fits");
        let hops = quality(&t, &m, &found).expect("fits").hops;
        assert!((hops - best).abs() < 1e-6 * best, "{hops} for {best}");
    }
}

fn permute(cores: &mut [u32; 6], k: usize, f: &mut impl FnMut(&[u32])) {
    if k == cores.len() {
        return f(cores);
    }
    for i in k..cores.len() {
        cores.swap(k, i);
        permute(cores, k + 1, f);
        cores.swap(k, i);
    }
}

#[test]
fn a_grid_finds_its_place() {
    // Each message takes one hop in the best placement.
    let t = grid(8, 8);
    let m = Mesh::square(8);
    let cores = place(&Request { effort: Effort::Default, ..request(&t, &m, 64) }).expect("fits");
    let q = quality(&t, &m, &cores).expect("fits");
    assert_eq!(q.hops, t.total());
}

#[test]
fn few_parts_on_a_large_board_stay_together() {
    let t = grid(3, 3);
    let m = Mesh::square(300);
    let cores = place(&request(&t, &m, 90_000)).expect("fits");
    assert_eq!(quality(&t, &m, &cores).expect("fits").hops, t.total());
}

#[test]
fn many_parts_are_placed_by_tiles() {
    let t = grid(50, 50);
    for (side, cores) in [(50, 2500), (60, 2501)] {
        let m = Mesh::square(side);
        let cores = place(&Request { link_share: 0.0, ..request(&t, &m, cores) }).expect("fits");
        let q = quality(&t, &m, &cores).expect("fits");
        assert!(q.hops < 2.5 * t.total(), "{} for {}", q.hops, t.total());
    }
}

#[test]
fn the_result_does_not_depend_on_threads() {
    let t = grid(7, 5);
    let m = Mesh::square(6);
    let run = |threads: usize, effort| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| place(&Request { effort, ..request(&t, &m, 36) }).expect("fits"))
    };
    for effort in [Effort::Fast, Effort::Default] {
        assert_eq!(run(1, effort), run(4, effort));
    }
    let chains = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        let board = Board::new(&m, 36).expect("small");
        let graph = Graph::new(&t);
        let (allowed, any) = Allowed::new(&board, 35, None, None).expect("fits");
        pool.install(|| chains::<0>(&graph, &board, &allowed, &Places::new(&board, any), 7, (5, &Schedule::new(&graph, 100_000))).core)
    };
    assert_eq!(chains(1), chains(4));
}

#[test]
fn the_second_stage_lowers_the_largest_link() {
    // A star: everything goes to part 0; and pairs that could make room.
    let n = 64;
    let list = (1..n).flat_map(|p| [(p, 0, 1.0), (p, n - p, 0.3)]);
    let t = Traffic::new(n, list).expect("small");
    let m = Mesh::square(8);
    let q = |share| quality(&t, &m, &place(&Request { link_share: share, ..request(&t, &m, 64) }).expect("fits")).expect("fits");
    let (without, with) = (q(0.0), q(0.5));
    assert!(with.largest_link <= without.largest_link);
    let value = |q: &Quality| q.hops / without.hops + 0.5 * q.largest_link / without.largest_link;
    assert!(value(&with) <= value(&without) + 1e-9, "{with:?} {without:?}");
}

#[test]
fn chips_follow_the_clusters() {
    // Six clusters of eight parts in a row; numbered so that part p is in cluster p % 6. Neighbouring clusters exchange a little.
    let of = |c: u32, k: u32| k * 6 + c;
    let mut list = Vec::new();
    for c in 0..6 {
        for a in 0..8 {
            list.extend((0..8).map(|b| (of(c, a), of(c, b), 1.0)));
            if c < 5 {
                list.push((of(c, a), of(c + 1, a), 0.1));
            }
        }
    }
    let t = Traffic::new(48, list).expect("small");
    let m = chips(3);
    let chip = assign_chips(&t, &m, 9, 8, 3, Effort::Fast).expect("fits");
    for p in 0..48 {
        assert_eq!(chip[p], chip[p % 6], "part {p} is apart from its cluster");
    }
    let far = (0..5).map(|c| m.hops(m.router(chip[c] * 8), m.router(chip[c + 1] * 8)).chip).sum::<u32>();
    assert_eq!(far, 5, "neighbouring clusters are on neighbouring chips");
    assert_eq!(chip, assign_chips(&t, &m, 9, 8, 3, Effort::Fast).expect("fits"));
}

#[test]
fn chips_are_few_and_not_too_full() {
    let t = grid(5, 5);
    let m = chips(4);
    for (capacity, need) in [(1, 25), (3, 9), (8, 4), (25, 1), (u32::MAX, 1)] {
        let chip = assign_chips(&t, &m, 32, capacity, 1, Effort::Fast).expect("fits");
        let mut counts = [0u32; 32];
        chip.iter().for_each(|&c| counts[c as usize] += 1);
        assert!(counts.iter().all(|&n| n <= capacity));
        assert_eq!(counts.iter().filter(|&&n| n > 0).count(), need);
    }
    assert_eq!(assign_chips(&t, &m, 3, 8, 1, Effort::Fast), Err(PlaceError::NoRoom { parts: 25, cores: 24 }));
    assert_eq!(assign_chips(&t, &m, 0, 0, 1, Effort::Fast), Err(PlaceError::NoRoom { parts: 25, cores: 0 }));
    assert_eq!(assign_chips(&t, &Mesh::square(0), 1, 64, 1, Effort::Fast), Err(PlaceError::Mesh));
    assert!(assign_chips(&t, &m, u32::MAX, u32::MAX, 1, Effort::Fast).is_ok());
    let none = Traffic::new(0, []).expect("empty");
    assert_eq!(assign_chips(&none, &m, 0, 0, 1, Effort::Fast), Ok(vec![]));
}

/// Traffic of up to 24 parts.
fn any_traffic() -> impl Strategy<Value = Traffic> {
    (2u32..24).prop_flat_map(|n| {
        let messages = proptest::collection::vec((0..n, 0..n, 0.0f64..10.0), 0..120);
        messages.prop_map(move |list| Traffic::new(n, list).expect("small"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn changes_are_exact(t in any_traffic(), seed: u64) {
        let m = chips(2);
        let board = Board::new(&m, 28).expect("small");
        let graph = Graph::new(&t);
        let (allowed, any) = Allowed::new(&board, t.parts(), None, None).expect("fits");
        let schedule = Schedule::new(&graph, 20_000);
        let mut a = Annealer::<0>::new(&graph, &board, &allowed, Places::new(&board, any), seed);
        for _ in 0..200 {
            if let Some((part, core)) = a.propose(4, &schedule) && let Some(change) = a.change_of_move(part, core) {
                let before = a.cost();
                a.places.swap(&board, part, core);
                prop_assert!((a.cost() - before - f64::from(change)).abs() < 1e-3);
                prop_assert_eq!(&a.places, &Places::new(&board, a.places.core.clone()));
            }
        }
        a.run(&schedule);
        prop_assert!((a.cost() * graph.scale - quality(&t, &m, &a.places.core).expect("fits").hops).abs() < 1e-3 * (1.0 + t.total()));
    }

    #[test]
    fn link_loads_are_exact(t in any_traffic(), seed: u64) {
        let m = chips(2);
        let board = Board::new(&m, 28).expect("small");
        let (graph, flows) = (Graph::new(&t), Flows::new(&t));
        let (allowed, any) = Allowed::new(&board, t.parts(), None, None).expect("fits");
        let mut l = Leveller::new(&flows, &graph, &board, &allowed, Places::new(&board, any), seed);
        for k in 0..100u32 {
            l.attempt((k * 7 + seed as u32 % 5) % t.parts() as u32, k * 11 % 28, 3.0);
            let q = quality(&t, &m, &l.places.core).expect("fits");
            prop_assert!((q.largest_link - l.links.largest()).abs() < 1e-6);
            prop_assert!((q.hops - l.hops()).abs() < 1e-3 * (1.0 + q.hops));
            let sum: f64 = l.links.load.iter().map(|load| (load / l.links.unit).powi(16)).sum();
            prop_assert!((sum - l.links.sum).abs() < 1e-6 * (1.0 + sum));
            if k % 10 == 0 {
                l.links.renew();
            }
        }
    }

    #[test]
    fn chips_and_pins_are_kept(t in any_traffic(), seed: u64, pinned in proptest::collection::vec(any::<(bool, u8)>(), 24)) {
        // Three chips of eight cores; part p on chip p / 8, some pinned to a core, some to a router's two cores.
        let m = chips(2);
        let n = t.parts() as u32;
        let chip: Vec<u32> = (0..n).map(|p| p / 8).collect();
        let pins: Vec<Range<u32>> = (0..n).map(|p| match pinned[p as usize] {
            (true, k) if k < 80 => p..p + 1,
            (true, k) if k < 160 => p / 2 * 2..p / 2 * 2 + 2,
            (true, _) => p.saturating_sub(3)..(p + 3).min(24),
            _ => 0..24,
        }).collect();
        let r = Request { chips: Some(&chip), pins: Some(&pins), seed, ..request(&t, &m, 24) };
        let cores = place(&r).expect("each part may take the core of its number");
        prop_assert!(distinct(&cores));
        for p in 0..n as usize {
            prop_assert!(pins[p].contains(&cores[p]) && cores[p] / 8 == chip[p]);
        }
        prop_assert_eq!(place(&r).expect("same"), cores);
    }
}

#[test]
fn a_real_board_is_placed() {
    let target: Target = spikec_chip::find("loihi1").expect("built in");
    let m = Mesh::new(&target.topology);
    let t = grid(16, 8);
    let cores = place(&request(&t, &m, m.cores_per_chip())).expect("fits");
    assert!(distinct(&cores));
    let board = Board::new(&m, m.cores_per_chip()).expect("fits");
    let graph = Graph::new(&t);
    let given = cost::<0>(&graph, &Places::new(&board, (0..128).collect()));
    assert!(cost::<0>(&graph, &Places::new(&board, cores)) < 0.5 * given);
}
