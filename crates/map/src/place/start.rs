//! First placements: along a Hilbert curve, and from coordinates that are pressed onto the cores.
//!
//! In: the board, allowed cores, an order or coordinates of the parts. Out: a core for each part.
//! Invariant: every part gets a core of its range, no core twice.
//! Cost: O(n log^2 n) for parts and cores.

use super::sites::{Allowed, Board, Point};
use crate::tiles;
use std::ops::Range;

/// Parts of one range with the cores that they may fill.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub range: Range<u32>,
    /// Ascending.
    pub parts: Vec<u32>,
}

/// Deepest nesting of ranges.
const DEPTH: usize = 16;

/// Parts by range, short ranges first; None when ranges overlap without one holding the other, or nest deeply (each level costs a pass).
pub(super) fn groups(allowed: &Allowed) -> Option<Vec<Group>> {
    let mut order: Vec<u32> = (0..allowed.ranges.len() as u32).collect();
    let key = |p: &u32| {
        let r = &allowed.ranges[*p as usize];
        (r.start, std::cmp::Reverse(r.end))
    };
    order.sort_by_key(key);
    let mut groups: Vec<Group> = Vec::new();
    let mut open: Vec<u32> = Vec::new();
    for p in order {
        let range = allowed.ranges[p as usize].clone();
        match groups.last_mut() {
            Some(g) if g.range == range => g.parts.push(p),
            _ => {
                open.retain(|&end| end > range.start);
                if open.len() >= DEPTH || open.iter().any(|&end| end < range.end) {
                    return None;
                }
                open.push(range.end);
                groups.push(Group { range, parts: vec![p] });
            }
        }
    }
    groups.sort_by_key(|g| (g.range.len(), g.range.start));
    Some(groups)
}

/// Fills groups one after the other: `fill` gets parts and free cores (at least as many), and returns a core for each part.
pub(super) fn by_group(board: &Board, groups: &[Group], mut fill: impl FnMut(&[u32], Vec<u32>) -> Vec<u32>) -> Vec<u32> {
    let parts = groups.iter().map(|g| g.parts.len()).sum();
    let (mut result, mut used) = (vec![0u32; parts], vec![false; board.at.len()]);
    for g in groups {
        let free = g.range.clone().filter(|&c| !used[c as usize]).collect();
        for (&part, core) in g.parts.iter().zip(fill(&g.parts, free)) {
            result[part as usize] = core;
            used[core as usize] = true;
        }
    }
    result
}

/// Parts in the given order on a compact set of cores along a Hilbert curve.
pub(super) fn hilbert(board: &Board, groups: &[Group]) -> Vec<u32> {
    by_group(board, groups, |parts, free| {
        let mut cores = compact(board, free, parts.len());
        let low = [0, 1].map(|k| cores.iter().map(|&c| board.at[c as usize][k]).min().unwrap_or(0));
        let offset = |c: u32| [0, 1].map(|k| (board.at[c as usize][k] - low[k]) as u32);
        let side = cores.iter().flat_map(|&c| offset(c)).max().map_or(1, |m| (m + 1).next_power_of_two());
        cores.sort_by_cached_key(|&c| {
            let [x, y] = offset(c);
            (tiles::hilbert(side, x, y), c)
        });
        cores
    })
}

/// At least `n` of the cores: those of the smallest square at the corner of their box.
fn compact(board: &Board, mut cores: Vec<u32>, n: usize) -> Vec<u32> {
    let at = |c: u32| board.at[c as usize];
    let low = [0, 1].map(|k| cores.iter().map(|&c| at(c)[k]).min().unwrap_or(0));
    let reach = |c: u32| (at(c)[0] - low[0]).max(at(c)[1] - low[1]);
    let mut by_reach: Vec<i16> = cores.iter().map(|&c| reach(c)).collect();
    by_reach.sort_unstable();
    if let Some(&most) = n.checked_sub(1).and_then(|k| by_reach.get(k)) {
        cores.retain(|&c| reach(c) <= most);
    }
    cores
}

/// Presses coordinates onto cores: cores are halved along their longer side again and again, and the parts by the coordinate of that side.
///
/// `at`: coordinates of all parts.
pub(super) fn press(board: &Board, groups: &[Group], at: &[[f64; 2]]) -> Vec<u32> {
    by_group(board, groups, |parts, free| {
        let mut cores = compact(board, free, parts.len());
        let mut items: Vec<u32> = (0..parts.len() as u32).collect();
        let mut result = vec![0; parts.len()];
        let coordinates: Vec<[f64; 2]> = parts.iter().map(|&p| at[p as usize]).collect();
        press_into(board, &coordinates, &mut items, &mut cores, &mut result);
        result
    })
}

fn press_into(board: &Board, at: &[[f64; 2]], items: &mut [u32], cores: &mut [u32], result: &mut [u32]) {
    if items.is_empty() {
        return;
    }
    if cores.len() == 1 || items.len() == 1 {
        // The middle one of the cores.
        result[items[0] as usize] = cores[cores.len() / 2];
        return;
    }
    let point = |c: u32| board.at[c as usize];
    let extent = [0, 1].map(|k| {
        let of = |c: &u32| point(*c)[k];
        cores.iter().map(of).max().unwrap_or(0) - cores.iter().map(of).min().unwrap_or(0)
    });
    let axis = usize::from(extent[1] > extent[0]);
    let key = |p: Point| (p[axis], p[1 - axis]);
    cores.sort_by_key(|&c| (key(point(c)), c));
    let mut half = cores.len() / 2;
    // Whole columns, where there is one that ends near the middle.
    let line = |k: usize| point(cores[k])[axis];
    if line(half - 1) == line(half) && extent[axis] > 0 {
        let (mut a, mut b) = (half, half);
        while a > 0 && line(a - 1) == line(half) {
            a -= 1;
        }
        while b < cores.len() && line(b) == line(half) {
            b += 1;
        }
        half = if a > 0 && (half - a <= b - half || b == cores.len()) { a } else { b };
    }
    items.sort_by(|&a, &b| at[a as usize][axis].total_cmp(&at[b as usize][axis]).then(a.cmp(&b)));
    let share = (items.len() * half + cores.len() / 2) / cores.len();
    let share = share.clamp(items.len().saturating_sub(cores.len() - half), half.min(items.len()));
    let (low, high) = items.split_at_mut(share);
    let (left, right) = cores.split_at_mut(half);
    press_into(board, at, low, left, result);
    press_into(board, at, high, right, result);
}
