//! Choice of encodings: which compression each axon's list takes, which skip width and which formats the core has.
//!
//! In: the lists of a core (posts of one axon and one weight class). Out: [`Plan`].
//! Invariant: every bit comes from `chip::cost`; the plan's formats are within the target's limit whenever merging widths
//! and dropping compressions can reach it.
//! Cost: a few passes over the posts. Why: words are rounded up for each axon, so the bits of all its lists are summed first.

use super::wiring::WeightClass;
use spikec_chip::cost::{self, Section};
use spikec_chip::image::SynapseFormat;
use spikec_chip::target::{Compression, SynapseMemory};

/// A compression that is not available or not allowed costs this.
const NEVER: u32 = u32::MAX;
/// Compressions in the order in which equal costs are decided.
const COMPRESSIONS: [Compression; 3] = [Compression::Sparse, Compression::RunLength, Compression::Dense];

/// Field widths that a whole core shares, and its weight classes.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Weight classes of the core, after merging.
    pub classes: Vec<WeightClass>,
    /// From the net's weight class to the core's.
    pub class_of: Vec<u16>,
    /// For each class of the core: which of Sparse, RunLength, Dense may be used.
    pub allowed: Vec<[bool; 3]>,
    /// Position of the skip width in the target's list.
    pub skip: usize,
    /// Width of indices.
    pub index_bits: u8,
    /// Width of delays.
    pub delay_bits: u8,
}

impl Plan {
    /// The format of a class under a compression.
    pub fn format(&self, m: &SynapseMemory, class: u16, compression: Compression) -> SynapseFormat {
        let c = self.classes[class as usize];
        let skip_bits = if compression == Compression::RunLength { m.skip_bits.get(self.skip).copied().unwrap_or(0) } else { 0 };
        let (weight_bits, sign, exponent) = (c.bits, c.sign, c.exponent);
        SynapseFormat { weight_bits, index_bits: self.index_bits, skip_bits, delay_bits: self.delay_bits, compression, sign, exponent }
    }

    /// Number of formats that are allowed.
    pub fn format_count(&self) -> usize {
        self.allowed.iter().flatten().filter(|&&a| a).count()
    }

    /// The cheapest allowed compression of a list, its bits and its sections.
    pub fn encode(&self, m: &SynapseMemory, class: u16, posts: &[u16]) -> (SynapseFormat, Vec<Section>, u64) {
        let mut best: Option<(SynapseFormat, Vec<Section>, u64)> = None;
        for (k, &compression) in COMPRESSIONS.iter().enumerate() {
            if !self.allowed[class as usize][k] {
                continue;
            }
            let f = self.format(m, class, compression);
            for fill in [false, true] {
                if fill && compression != Compression::Dense {
                    continue;
                }
                let least = best.as_ref().map_or(u64::MAX, |b| b.2);
                if fill && filled_at_least(m, &f, posts) >= least {
                    continue;
                }
                let sections = cost::split(m, &f, posts, fill);
                let bits = cost::list_bits(m, &f, &sections);
                if bits < least {
                    best = Some((f, sections, bits));
                }
            }
        }
        best.expect("every class of a plan has a compression")
    }
}

/// A lower bound of the bits of dense entries with filler: every gap is filled or cut, whichever is cheaper.
fn filled_at_least(m: &SynapseMemory, f: &SynapseFormat, posts: &[u16]) -> u64 {
    let (header, each) = (cost::header_bits(m, f), cost::synapse_bits(f));
    let most = u64::from(*m.max_synapses_per_entry).max(1);
    let n = posts.len() as u64;
    let gaps: u64 = posts.windows(2).map(|w| (u64::from(w[1] - w[0]).saturating_sub(1) * each).min(header)).sum();
    (n * each + header + gaps).max(n * each + n.div_ceil(most) * header)
}

/// Bits of every list of a core under every compression.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// (axon, class) of each list; the lists of an axon are neighbours.
    keys: Vec<(u32, u16)>,
    /// For each list: sparse, dense, then run-length under each skip width.
    bits: Vec<u32>,
    stride: usize,
}

impl Lists {
    /// Empties the lists for a memory.
    pub fn reset(&mut self, m: &SynapseMemory) {
        self.keys.clear();
        self.bits.clear();
        self.stride = 2 + m.skip_bits.len();
    }

    /// Costs one list. Lists of an axon must come one after the other.
    pub fn push(&mut self, m: &SynapseMemory, plan: &Plan, axon: u32, class: u16, posts: &[u16]) {
        self.keys.push((axon, class));
        let row = self.bits.len();
        self.bits.resize(row + self.stride, NEVER);
        let row = &mut self.bits[row..];
        let narrow = |bits: u64| u32::try_from(bits).unwrap_or(NEVER - 1);
        let has = |c| m.compressions.contains(&c);
        let (mut widest, mut ascending) = (1, true);
        for w in posts.windows(2) {
            widest = widest.max(w[1] - w[0]);
            ascending &= w[1] > w[0];
        }
        let absent = u32::from(widest) - 1;
        // Most lists have no gap that cuts an entry: then their number of synapses is enough.
        let bits = |f: &SynapseFormat, cut: bool| {
            if cut { cost::list_bits(m, f, &cost::split(m, f, posts, false)) } else { cost::uncut_bits(m, f, posts.len() as u32) }
        };
        if has(Compression::Sparse) {
            row[0] = narrow(bits(&plan.format(m, class, Compression::Sparse), false));
        }
        if has(Compression::RunLength) {
            let needed = cost::skip_bits(m, absent);
            for (s, &skip_bits) in m.skip_bits.iter().enumerate() {
                let f = SynapseFormat { skip_bits, ..plan.format(m, class, Compression::RunLength) };
                row[2 + s] = narrow(bits(&f, !ascending || needed.is_none_or(|n| n > skip_bits)));
            }
        }
        if has(Compression::Dense) {
            let f = plan.format(m, class, Compression::Dense);
            let cut = !ascending || absent > 0;
            row[1] = narrow(bits(&f, cut));
            if cut && filled_at_least(m, &f, posts) < u64::from(row[1]) {
                row[1] = row[1].min(narrow(cost::list_bits(m, &f, &cost::split(m, &f, posts, true))));
            }
        }
    }

    /// Position in [`COMPRESSIONS`] and bits of the cheapest allowed compression of a list.
    fn best(&self, list: usize, allowed: &[bool; 3], skip: usize) -> (usize, u32) {
        let row = &self.bits[list * self.stride..(list + 1) * self.stride];
        let run = row.get(2 + skip).copied().unwrap_or(NEVER);
        let mut best = (0, NEVER);
        for (k, bits) in [row[0], run, row[1]].into_iter().enumerate() {
            if allowed[k] && (bits < best.1 || best.1 == NEVER) {
                best = (k, bits);
            }
        }
        best
    }

    /// (axon, bits) of every axon under a plan.
    pub fn axon_bits(&self, plan: &Plan) -> Vec<(u32, u64)> {
        let mut out: Vec<(u32, u64)> = Vec::new();
        for (i, &(axon, class)) in self.keys.iter().enumerate() {
            let bits = u64::from(self.best(i, &plan.allowed[class as usize], plan.skip).1);
            match out.last_mut().filter(|last| last.0 == axon) {
                Some(last) => last.1 += bits,
                None => out.push((axon, bits)),
            }
        }
        out
    }

    /// Words of the core under `allowed` and `skip` (axons not yet cut in two), and the formats that are used.
    fn total(&self, m: &SynapseMemory, allowed: &[[bool; 3]], skip: usize) -> (u64, Vec<[bool; 3]>) {
        let mut used = vec![[false; 3]; allowed.len()];
        let mut words = 0u64;
        let mut bits = 0u64;
        for (i, &(axon, class)) in self.keys.iter().enumerate() {
            let (k, b) = self.best(i, &allowed[class as usize], skip);
            used[class as usize][k] = true;
            bits += u64::from(b);
            if self.keys.get(i + 1).is_none_or(|next| next.0 != axon) {
                words += u64::from(cost::words(m, bits));
                bits = 0;
            }
        }
        (words, used)
    }

    /// The skip width with the fewest words: (words, skip, formats used). Equal words: the first width.
    fn best_skip(&self, m: &SynapseMemory, allowed: &[[bool; 3]]) -> (u64, usize, Vec<[bool; 3]>) {
        let mut best: Option<(u64, usize, Vec<[bool; 3]>)> = None;
        for skip in 0..m.skip_bits.len().max(1) {
            let (words, used) = self.total(m, allowed, skip);
            if best.as_ref().is_none_or(|b| words < b.0) {
                best = Some((words, skip, used));
            }
        }
        best.expect("at least one round")
    }
}

/// Number of formats of a use table.
fn count(used: &[[bool; 3]]) -> usize {
    used.iter().flatten().filter(|&&u| u).count()
}

/// A cheaper-in-formats plan: words more for each format less, the plan, its words, formats used, whether classes were merged.
type Candidate = (f64, Plan, u64, Vec<[bool; 3]>, bool);

/// Chooses skip width, compressions and merged classes of a core.
///
/// `fill` costs all lists of the core under a plan. The returned plan allows exactly the formats that it uses; they are
/// more than the target's limit only when nothing is left to merge or drop. True: something was.
pub(super) fn choose(m: &SynapseMemory, mut plan: Plan, lists: &mut Lists, mut fill: impl FnMut(&Plan, &mut Lists)) -> (Plan, bool) {
    fill(&plan, lists);
    let (mut words, skip, mut used) = lists.best_skip(m, &plan.allowed);
    plan.skip = skip;
    let given_up = count(&used) > *m.max_formats as usize;
    while count(&used) > *m.max_formats as usize {
        let mut best: Option<Candidate> = None;
        let now = count(&used);
        let mut consider = |candidate: Plan, w: u64, u: Vec<[bool; 3]>, merged: bool| {
            let gain = now as f64 - count(&u) as f64;
            let price = if gain > 0.0 { (w as f64 - words as f64) / gain } else { f64::INFINITY };
            if best.as_ref().is_none_or(|b| price < b.0) {
                best = Some((price, candidate, w, u, merged));
            }
        };
        for (class, in_use) in used.iter().enumerate() {
            if plan.allowed[class].iter().filter(|&&a| a).count() < 2 {
                continue;
            }
            for k in (0..3).filter(|&k| in_use[k]) {
                let mut candidate = plan.clone();
                candidate.allowed[class][k] = false;
                let (w, skip, u) = lists.best_skip(m, &candidate.allowed);
                candidate.skip = skip;
                consider(candidate, w, u, false);
            }
        }
        for a in 0..used.len() {
            for b in a + 1..used.len() {
                let Some(mut candidate) = merge(&plan, a, b) else { continue };
                fill(&candidate, lists);
                let (w, skip, u) = lists.best_skip(m, &candidate.allowed);
                candidate.skip = skip;
                consider(candidate, w, u, true);
                fill(&plan, lists);
            }
        }
        let Some((_, next, w, u, merged)) = best else { break };
        plan = next;
        (words, used) = (w, u);
        if merged {
            fill(&plan, lists);
        }
    }
    plan.allowed = used;
    (plan, given_up)
}

/// The plan with classes `a` and `b` merged, if they differ in their widths only: the width becomes the larger one.
fn merge(plan: &Plan, a: usize, b: usize) -> Option<Plan> {
    let (x, y) = (plan.classes[a], plan.classes[b]);
    if (x.sign, x.exponent) != (y.sign, y.exponent) {
        return None;
    }
    let mut merged = plan.clone();
    merged.classes[a].bits = x.bits.max(y.bits);
    merged.classes.remove(b);
    for k in 0..3 {
        merged.allowed[a][k] |= plan.allowed[b][k];
    }
    merged.allowed.remove(b);
    for class in merged.class_of.iter_mut().filter(|c| **c != u16::MAX) {
        if *class as usize == b {
            *class = a as u16;
        } else if *class as usize > b {
            *class -= 1;
        }
    }
    Some(merged)
}
