//! The agenda of the cycle level: at most one pending time for each unit, and the next one.
//!
//! Invariant: of units due at the same time the lowest number comes first, whatever the order in which they were entered.
//! Cost: log4(units) nodes of four keys, to strike off a unit and enter it anew or to enter one, without branches that depend on times.
//! Why: a binary heap's branches are guessed wrong half of the time. What is entered is compared on its way up in a register with keys
//! that were there before, so that the next key follows two instructions a level after the one that is entered.

/// No time.
pub(crate) const NEVER: u64 = u64::MAX;
/// Bits of a unit's number in a key.
const UNIT_BITS: u32 = 20;
/// Most units.
pub(crate) const MOST_UNITS: usize = 1 << UNIT_BITS;
/// Times are at most this (ps within a step).
pub(crate) const TIME_LIMIT: u64 = 1 << (63 - UNIT_BITS);

/// Keys side by side in a node.
const FAN: usize = 4;

/// Time (at most [`TIME_LIMIT`] and as much again, or so) and unit as one number.
#[inline]
pub(crate) fn key(time: u64, unit: usize) -> u64 {
    time << UNIT_BITS | unit as u64
}

/// The same for a time that may be [`NEVER`].
pub(crate) fn at(time: u64, unit: usize) -> u64 {
    if time == NEVER { NEVER } else { key(time, unit) }
}

/// Time and unit of a key.
#[inline]
pub(crate) fn split(key: u64) -> (u64, usize) {
    (key >> UNIT_BITS, key as usize % MOST_UNITS)
}

/// Pending times.
#[derive(Debug, Clone)]
pub(crate) struct Agenda {
    /// The root, then level by level; entry e of node n is the least of node `FAN * n + e + 1`, in the last level a unit's key.
    nodes: Vec<[u64; FAN]>,
    /// First entry of the last level.
    units: usize,
}

impl Agenda {
    /// No unit is due.
    pub(crate) fn new(units: usize) -> Agenda {
        debug_assert!(units <= MOST_UNITS);
        let wanted = units.div_ceil(FAN).max(1);
        let (mut first, mut width) = (0, 1);
        while width < wanted {
            first += width;
            width *= FAN;
        }
        Agenda { nodes: vec![[NEVER; FAN]; first + wanted], units: first * FAN }
    }

    /// No unit is due any more.
    pub(crate) fn clear(&mut self) {
        self.nodes.fill([NEVER; FAN]);
    }

    /// To use it.
    #[inline]
    pub(crate) fn view(&mut self) -> View<'_> {
        View { nodes: &mut self.nodes, units: self.units }
    }
}

/// An agenda in use. (A slice, since the length of a vector would be looked up at every node.)
pub(crate) struct View<'a> {
    nodes: &'a mut [[u64; FAN]],
    units: usize,
}

impl View<'_> {
    /// The least key, or [`NEVER`].
    pub(crate) fn first(&self) -> u64 {
        self.nodes[0].iter().copied().min().unwrap_or(NEVER)
    }

    /// A unit's key is `key` from now on. Gives the least key of all.
    #[inline]
    pub(crate) fn replace(&mut self, unit: usize, key: u64) -> u64 {
        let (mut at, mut least) = (self.units + unit, key);
        loop {
            let (n, e) = (at / FAN, at % FAN);
            let node = &mut self.nodes[n];
            node[e] = least;
            least = node[e ^ 1].min(node[e ^ 2]).min(node[e ^ 3]).min(least);
            if n == 0 {
                return least;
            }
            at = n - 1;
        }
    }

    /// A unit's key is `key` from now on, if that is less than before.
    #[inline]
    pub(crate) fn due(&mut self, unit: usize, key: u64) {
        let mut at = self.units + unit;
        loop {
            let (n, e) = (at / FAN, at % FAN);
            let entry = &mut self.nodes[n][e];
            *entry = key.min(*entry);
            if n == 0 {
                return;
            }
            at = n - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    fn pop(agenda: &mut Agenda) -> Option<(u64, usize)> {
        let first = agenda.view().first();
        if first == NEVER {
            return None;
        }
        let (time, unit) = split(first);
        let next = agenda.view().replace(unit, NEVER);
        assert_eq!(next, agenda.view().first());
        Some((time, unit))
    }

    #[test]
    fn times_come_in_order_and_ties_by_number() {
        let mut agenda = Agenda::new(5);
        for (unit, time) in [(4, 7), (2, 7), (0, 9), (3, 1)] {
            agenda.view().due(unit, key(time, unit));
        }
        agenda.view().due(0, key(12, 0));
        agenda.view().due(4, key(6, 4));
        let order: Vec<_> = std::iter::from_fn(|| pop(&mut agenda)).collect();
        assert_eq!(order, [(1, 3), (6, 4), (7, 2), (9, 0)]);
    }

    #[test]
    fn it_sorts_like_a_sorted_set() {
        for units in [1, 4, 5, 16, 17, 37, 64, 65, 300] {
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
            let mut agenda = Agenda::new(units);
            let mut set = std::collections::BTreeSet::new();
            let mut due = vec![None; units];
            for _ in 0..3000 {
                let (unit, time) = (rng.random_range(0..units), rng.random_range(0..500u64));
                match rng.random_range(0..10) {
                    0..5 => {
                        agenda.view().due(unit, key(time, unit));
                        if due[unit].is_none_or(|t| time < t) {
                            if let Some(old) = due[unit].replace(time) {
                                set.remove(&(old, unit));
                            }
                            set.insert((time, unit));
                        }
                    }
                    5..7 => {
                        if let Some(old) = due[unit].replace(time) {
                            set.remove(&(old, unit));
                        }
                        set.insert((time, unit));
                        assert_eq!(Some(split(agenda.view().replace(unit, key(time, unit)))), set.first().copied());
                    }
                    _ => {
                        let next = set.pop_first();
                        if let Some((_, unit)) = next {
                            due[unit] = None;
                        }
                        assert_eq!(pop(&mut agenda), next);
                    }
                }
            }
            agenda.clear();
            assert_eq!(pop(&mut agenda), None);
        }
    }
}
