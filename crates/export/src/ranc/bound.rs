//! Can a potential leave the bits of the target? Intervals, tick by tick.
//!
//! In: a row. Out: the first potential beyond the range, if any. Invariant: every potential that the row can have lies in the interval: each connected axon may be
//! active in any tick, whatever the others are. Cost: a few ticks a row where potentials settle, else as many as the sample has.

use spikec_chip::crossbar::{Crossbar, CrossbarReset, CrossbarRow, NegativeCompare};

/// Ticks after which a potential that still moves is said to move for ever, where no sample says how long it has.
const SETTLED: u32 = 1 << 13;

/// Least and largest potential of the target.
pub(super) fn range(spec: &Crossbar) -> (i64, i64) {
    let half = 1i64 << (*spec.neuron.potential_bits - 1);
    (-half, half - 1)
}

/// The first potential beyond the range that a row may have in so many ticks (`None`: any number).
pub(super) fn overflow(row: &CrossbarRow, types: &[u8], spec: &Crossbar, ticks: Option<u32>) -> Option<i64> {
    let (least, most) = range(spec);
    let heard = || row.connections.iter().map(|&a| i64::from(row.weights[usize::from(types[usize::from(a)])]));
    let leak = i64::from(row.leak);
    let (down, up) = (heard().map(|w| w.min(0)).sum::<i64>() + leak, heard().map(|w| w.max(0)).sum::<i64>() + leak);
    let (threshold, floor) = (i64::from(row.positive_threshold), i64::from(row.negative_threshold));
    let reset = i64::from(row.reset);
    let beyond = |v: i64| !(least..=most).contains(&v);
    let (mut low, mut high) = (i64::from(row.potential), i64::from(row.potential));
    for tick in 0.. {
        if ticks.is_some_and(|t| tick >= t) {
            return None;
        }
        let (from, to) = (low + down, high + up);
        if let Some(v) = [from, to].into_iter().find(|&v| beyond(v)) {
            return Some(v);
        }
        // Least and largest potential after the tick, the present ones among them.
        let mut after = (low, high);
        let mut may_be = |v: i64| after = (after.0.min(v), after.1.max(v));
        let floor_acts = match *spec.neuron.negative_compare {
            NegativeCompare::Less => floor - 1,
            NegativeCompare::LessEqual => floor,
        };
        // What fires, what is beyond the floor, and what stays: the ends of each part.
        if to >= threshold {
            match row.mode {
                CrossbarReset::Absolute => may_be(reset),
                CrossbarReset::Linear => {
                    may_be(from.max(threshold) - threshold);
                    may_be(to - threshold);
                }
            }
        }
        let below = to.min(threshold - 1).min(floor_acts);
        if from <= below {
            match row.mode {
                CrossbarReset::Absolute => may_be(-reset),
                CrossbarReset::Linear => {
                    may_be(from - floor);
                    may_be(below - floor);
                }
            }
        }
        let (stay_from, stay_to) = (from.max(floor_acts + 1), to.min(threshold - 1));
        if stay_from <= stay_to {
            may_be(stay_from);
            may_be(stay_to);
        }
        let next = after;
        if let Some(v) = [next.0, next.1].into_iter().find(|&v| beyond(v)) {
            return Some(v);
        }
        if next == (low, high) {
            return None;
        }
        if tick >= SETTLED && ticks.is_none() {
            // It moves on, by as much as a tick can add.
            return Some(if next.0 < low { least - 1 } else { most + 1 });
        }
        (low, high) = next;
    }
    None
}
