//! The step of a crossbar neuron (docs/semantics.md, section 10).
//!
//! In: the potential and the sum of the weights of its active axons. Out: the new potential, and whether it fires.
//! Why: the law stands here a second time, written apart from the reference interpreter, so that comparing them proves something.

use spikec_chip::crossbar::{Crossbar, CrossbarReset, CrossbarRow, NegativeCompare, Overflow};

/// Bits of a potential that nothing bounds but the host's integers.
const HOST_BITS: u8 = 32;

/// What all neurons of a chip share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Law {
    /// Bits above a potential's in 64.
    above: u32,
    saturates: bool,
    /// The floor itself counts as below it.
    inclusive: bool,
}

/// A neuron's registers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub leak: i32,
    pub threshold: i32,
    pub floor: i32,
    pub reset: i32,
    pub linear: bool,
    pub start: i32,
}

impl Row {
    pub(super) fn of(row: &CrossbarRow) -> Row {
        Row {
            leak: row.leak,
            threshold: row.positive_threshold,
            floor: row.negative_threshold,
            reset: row.reset,
            linear: row.mode == CrossbarReset::Linear,
            start: row.potential,
        }
    }
}

impl Law {
    pub(super) fn new(spec: &Crossbar) -> Law {
        let bits = match *spec.neuron.overflow {
            Overflow::Unbounded => HOST_BITS,
            _ => *spec.neuron.potential_bits,
        };
        Law {
            above: 64 - u32::from(bits.clamp(1, HOST_BITS)),
            saturates: *spec.neuron.overflow == Overflow::Saturate,
            inclusive: *spec.neuron.negative_compare == NegativeCompare::LessEqual,
        }
    }

    /// What a potential is in its bits.
    #[inline]
    fn hold(self, v: i64) -> i64 {
        if self.saturates {
            let most = i64::MAX >> self.above;
            v.clamp(-most - 1, most)
        } else {
            (v << self.above) >> self.above
        }
    }

    /// A tick of a neuron: true where it fires. `changed` counts potentials that don't fit their bits.
    #[inline]
    pub(super) fn tick(self, n: &Row, v: &mut i32, inputs: i64, changed: &mut u64) -> bool {
        let exact = i64::from(*v) + inputs + i64::from(n.leak);
        let held = self.hold(exact);
        *changed += u64::from(held != exact);
        let fires = held >= i64::from(n.threshold);
        let beyond = held < i64::from(n.floor) || (self.inclusive && held == i64::from(n.floor));
        let passed = if fires { n.threshold } else { n.floor };
        if fires || beyond {
            let after = match (n.linear, fires) {
                (true, _) => held - i64::from(passed),
                (false, true) => i64::from(n.reset),
                (false, false) => -i64::from(n.reset),
            };
            *v = self.hold(after) as i32;
        } else {
            *v = held as i32;
        }
        fires
    }
}
