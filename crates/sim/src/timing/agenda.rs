//! The agenda of the cycle level: at most one pending time for each unit, and the next one.
//!
//! Invariant: of units due at the same time the lowest number comes first, whatever the order in which they were entered.
//! Cost: a change or a look-up of the next takes log2(units) steps in one small array (a winner tree).

/// No time.
pub(crate) const NEVER: u64 = u64::MAX;
/// Bits of a unit's number in a key.
const UNIT_BITS: u32 = 20;
/// Most units.
pub(crate) const MOST_UNITS: usize = 1 << UNIT_BITS;
/// Times are below this (ps within a step).
pub(crate) const TIME_LIMIT: u64 = 1 << (63 - UNIT_BITS);

/// Pending times.
#[derive(Debug, Clone)]
pub(crate) struct Agenda {
    /// `keys[1]` is the next; unit k is leaf `leaves + k`. A key is time << 20 | unit.
    keys: Vec<u64>,
    leaves: usize,
}

impl Agenda {
    /// No unit is due.
    pub(crate) fn new(units: usize) -> Agenda {
        debug_assert!(units <= MOST_UNITS);
        let leaves = units.next_power_of_two().max(2);
        Agenda { keys: vec![NEVER; 2 * leaves], leaves }
    }

    /// The unit that is due next, and its time, which is struck off.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<(u64, usize)> {
        let key = self.keys[1];
        if key == NEVER {
            return None;
        }
        let unit = (key & (MOST_UNITS as u64 - 1)) as usize;
        self.enter(unit, NEVER);
        Some((key >> UNIT_BITS, unit))
    }

    /// The unit is due at `time` (below [`TIME_LIMIT`]) or when it was due anyway, if that is earlier.
    #[inline]
    pub(crate) fn due(&mut self, unit: usize, time: u64) {
        let key = time << UNIT_BITS | unit as u64;
        if key < self.keys[self.leaves + unit] {
            self.enter(unit, key);
        }
    }

    #[inline]
    fn enter(&mut self, unit: usize, key: u64) {
        let mut at = self.leaves + unit;
        self.keys[at] = key;
        while at > 1 {
            let best = self.keys[at].min(self.keys[at ^ 1]);
            at /= 2;
            if self.keys[at] == best {
                break;
            }
            self.keys[at] = best;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    #[test]
    fn times_come_in_order_and_ties_by_number() {
        let mut agenda = Agenda::new(5);
        for (unit, time) in [(4, 7), (2, 7), (0, 9), (3, 1)] {
            agenda.due(unit, time);
        }
        agenda.due(0, 12);
        agenda.due(4, 6);
        let order: Vec<_> = std::iter::from_fn(|| agenda.pop()).collect();
        assert_eq!(order, [(1, 3), (6, 4), (7, 2), (9, 0)]);
    }

    #[test]
    fn it_sorts_like_a_sorted_set() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let mut agenda = Agenda::new(37);
        let mut set = std::collections::BTreeSet::new();
        let mut due = [None; 37];
        for _ in 0..5000 {
            if rng.random_bool(0.6) {
                let (unit, time) = (rng.random_range(0..37usize), rng.random_range(0..500u64));
                agenda.due(unit, time);
                if due[unit].is_none_or(|t| time < t) {
                    if let Some(old) = due[unit].replace(time) {
                        set.remove(&(old, unit));
                    }
                    set.insert((time, unit));
                }
            } else {
                let next = set.pop_first();
                if let Some((_, unit)) = next {
                    due[unit] = None;
                }
                assert_eq!(agenda.pop(), next);
            }
        }
    }
}
