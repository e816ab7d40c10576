//! The agenda of the cycle level: at most one pending time for each unit, and the next one.
//!
//! Invariant: of units due at the same time the lowest number comes first, whatever the order in which they were entered.
//! Cost: log8(units) nodes of eight keys, to take the next or to enter one, without branches that depend on times.
//! Why: most meshes have some dozen ports, and a binary heap's branches are guessed wrong half of the time.

/// No time.
pub(crate) const NEVER: u64 = u64::MAX;
/// Bits of a unit's number in a key.
const UNIT_BITS: u32 = 20;
/// Most units.
pub(crate) const MOST_UNITS: usize = 1 << UNIT_BITS;
/// Times are below this (ps within a step).
pub(crate) const TIME_LIMIT: u64 = 1 << (63 - UNIT_BITS);

/// Keys side by side in a node.
const FAN: usize = 8;

/// Pending times.
#[derive(Debug, Clone)]
pub(crate) struct Agenda {
    /// Levels from the units' keys (time << 20 | unit) up to one node; entry k of a level is the least of node k of the level below.
    levels: Vec<Vec<[u64; FAN]>>,
}

impl Agenda {
    /// No unit is due.
    pub(crate) fn new(units: usize) -> Agenda {
        debug_assert!(units <= MOST_UNITS);
        let mut levels = Vec::new();
        let mut nodes = units.div_ceil(FAN).max(1);
        loop {
            levels.push(vec![[NEVER; FAN]; nodes]);
            if nodes == 1 {
                return Agenda { levels };
            }
            nodes = nodes.div_ceil(FAN);
        }
    }

    /// The unit that is due next, and its time, which is struck off.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<(u64, usize)> {
        let key = least(&self.levels.last()?[0]);
        if key == NEVER {
            return None;
        }
        let unit = (key & (MOST_UNITS as u64 - 1)) as usize;
        let (mut at, mut value) = (unit, NEVER);
        for level in &mut self.levels {
            let node = &mut level[at / FAN];
            node[at % FAN] = value;
            value = least(node);
            at /= FAN;
        }
        Some((key >> UNIT_BITS, unit))
    }

    /// The unit is due at `time` (at most just below [`TIME_LIMIT`]) or when it was due anyway, if that is earlier.
    #[inline]
    pub(crate) fn due(&mut self, unit: usize, time: u64) {
        let key = time.min(TIME_LIMIT - 1) << UNIT_BITS | unit as u64;
        let mut at = unit;
        for level in &mut self.levels {
            let entry = &mut level[at / FAN][at % FAN];
            *entry = key.min(*entry);
            at /= FAN;
        }
    }
}

#[inline]
fn least(node: &[u64; FAN]) -> u64 {
    let [a, b, c, d, e, f, g, h] = *node;
    a.min(b).min(c.min(d)).min(e.min(f).min(g.min(h)))
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
