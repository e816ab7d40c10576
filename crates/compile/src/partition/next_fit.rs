//! Next-fit by exact packing, and the coupling of cores by output axons.
//!
//! In: units in an order. Out: ranges of it, one for each part.
//! Invariant: a part passes no limit that depends on its own neurons only (C01, C02, C05-C09, C11, C15; C27 but for its output axons) unless it is
//! one neuron.
//! Why: output axons (C03) depend on where all the others are. Splitting violators raises everybody's fan-out, so the packing is repeated
//! with the last round's fan-outs as one more resource; only what then remains is split.

use crate::pack::{Packer, Wiring};
use spikec_chip::cost;
use spikec_chip::target::Target;
use std::ops::Range;

/// Rounds of repacking with the fan-outs of the round before.
const ROUNDS: usize = 8;

/// Parts as ranges of an order.
#[derive(Debug, Clone)]
pub(super) struct Cut {
    /// One range for each part, in order, without gaps.
    pub ranges: Vec<Range<usize>>,
    /// For each part: (source, input axons) of axons that are cut.
    cut: Vec<Vec<(u32, u32)>>,
    /// For each part: bytes of everything but output axons; 0 without a budget.
    bytes: Vec<u64>,
    /// True when C03 and C27 hold everywhere.
    pub legal: bool,
}

/// The order to cut and what it is cut for.
pub(super) struct NextFit<'a> {
    pub wiring: &'a Wiring,
    pub target: &'a Target,
    pub order: &'a [u32],
}

impl NextFit<'_> {
    /// Packs with at most `cap` neurons a part until C03 and C27 hold, or the board is full.
    pub fn solve(&self, packer: &mut Packer, cap: usize) -> Cut {
        let mut proposal = self.pack(packer, cap, None);
        for _ in 0..ROUNDS {
            let entries = self.entries(&proposal);
            proposal.legal = self.violators(&proposal, &entries).is_empty();
            if proposal.legal || self.beyond_board(&proposal) {
                return proposal;
            }
            let next = self.pack(packer, cap, Some(&entries));
            if next.ranges == proposal.ranges {
                break;
            }
            proposal = next;
        }
        self.split(packer, proposal)
    }

    fn beyond_board(&self, proposal: &Cut) -> bool {
        proposal.ranges.len() as u64 > u64::from(self.target.total_cores())
    }

    /// One pass of next-fit; `entries` are output axon entries of each unit to reckon with.
    fn pack(&self, packer: &mut Packer, cap: usize, entries: Option<&[u32]>) -> Cut {
        let core = &self.target.packed().core;
        let limit = u64::from(*core.out_axon_entries);
        let (mut ranges, mut cut, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        let mut start = 0;
        while start < self.order.len() {
            packer.clear();
            let mut sum = 0u64;
            let mut most = 0;
            for &unit in &self.order[start..] {
                let sent = entries.map_or(0, |e| u64::from(e[unit as usize]));
                sum += sent;
                if most == cap || (most > 0 && sum > limit) || !packer.push(unit) {
                    break;
                }
                packer.charge(sent);
                most += 1;
            }
            if packer.len() == 0 {
                packer.push(self.order[start]);
            }
            let (taken, need) = packer.largest(most.max(1));
            ranges.push(start..start + taken);
            let sent: u64 = entries.map_or(0, |e| self.order[start..start + taken].iter().map(|&u| u64::from(e[u as usize])).sum());
            bytes.push(need.bytes.saturating_sub(sent * u64::from(*core.out_axon_entry_bytes)));
            cut.push(need.cut);
            start += taken;
        }
        Cut { ranges, cut, bytes, legal: false }
    }

    /// Output axon entries of each unit (0 for input channels).
    fn entries(&self, proposal: &Cut) -> Vec<u32> {
        let units = self.wiring.units() as usize;
        let core = &self.target.packed().core;
        let per_chip = self.target.topology.cores_per_chip().max(1) as usize;
        let costs = [cost::out_axon_entries(core, false), cost::out_axon_entries(core, true)];
        let mut chip = vec![usize::MAX; units];
        for (part, range) in proposal.ranges.iter().enumerate() {
            for &unit in &self.order[range.clone()] {
                chip[unit as usize] = part / per_chip;
            }
        }
        let mut entries = vec![0u32; units];
        let mut seen = vec![usize::MAX; units];
        for (part, range) in proposal.ranges.iter().enumerate() {
            let mut add = |source: u32, axons: u32| {
                let source = source as usize;
                if chip[source] != usize::MAX {
                    entries[source] += axons * costs[usize::from(chip[source] != part / per_chip)];
                }
            };
            for &unit in &self.order[range.clone()] {
                for s in self.wiring.incoming(unit) {
                    if std::mem::replace(&mut seen[s.source as usize], part) != part {
                        add(s.source, 1);
                    }
                }
            }
            for &(source, axons) in &proposal.cut[part] {
                add(source, axons - 1);
            }
        }
        entries
    }

    /// Parts that pass C03, or C27 with their output axons, and have more than one neuron.
    fn violators(&self, proposal: &Cut, entries: &[u32]) -> Vec<usize> {
        let core = &self.target.packed().core;
        let limit = u64::from(*core.out_axon_entries);
        let sum = |r: &Range<usize>| self.order[r.clone()].iter().map(|&u| u64::from(entries[u as usize])).sum::<u64>();
        let over = |i: usize| {
            let sent = sum(&proposal.ranges[i]);
            let bytes = proposal.bytes[i] + sent * u64::from(*core.out_axon_entry_bytes);
            sent > limit || cost::budget(core).is_some_and(|budget| bytes > budget)
        };
        (0..proposal.ranges.len()).filter(|&i| proposal.ranges[i].len() > 1 && over(i)).collect()
    }

    /// Splits violators in two, at half of their entries, and counts again until none is left or the board is full.
    fn split(&self, packer: &mut Packer, mut proposal: Cut) -> Cut {
        loop {
            let entries = self.entries(&proposal);
            let violators = self.violators(&proposal, &entries);
            proposal.legal = violators.is_empty();
            if proposal.legal || self.beyond_board(&proposal) {
                return proposal;
            }
            let mut next = Cut { ranges: Vec::new(), cut: Vec::new(), bytes: Vec::new(), legal: false };
            for (i, range) in proposal.ranges.iter().enumerate() {
                let mut halves = vec![range.clone()];
                if violators.binary_search(&i).is_ok() {
                    let total: u64 = self.order[range.clone()].iter().map(|&u| u64::from(entries[u as usize])).sum();
                    let mut sum = 0;
                    let half = self.order[range.clone()].iter().take_while(|&&u| {
                        sum += u64::from(entries[u as usize]);
                        2 * sum <= total
                    });
                    let middle = range.start + half.count().clamp(1, range.len() - 1);
                    halves = vec![range.start..middle, middle..range.end];
                }
                for half in halves {
                    packer.clear();
                    for &unit in &self.order[half.clone()] {
                        packer.push(unit);
                    }
                    let need = packer.need(half.len());
                    next.cut.push(need.cut);
                    next.bytes.push(need.bytes);
                    next.ranges.push(half);
                }
            }
            proposal = next;
        }
    }
}
