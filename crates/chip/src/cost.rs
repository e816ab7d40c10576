//! What a synapse, an axon and a neuron cost: the one place that knows.
//!
//! In: the target's numbers, a synapse format and the posts of an axon. Out: bits, words and entries.
//! Invariant: `axon_words` is the number of words that [`crate::codec::encode_core`] writes for the same entries.
//! Cost: linear in the posts; dense with filler: posts * synapses of an entry.
//! Why: partitioner, packer, codec and reports must never disagree about a bit. The formulas are NxTF's
//! (`SynapseGroup`, `SynEntry`): an entry is `[format id][count]`, a prefix index unless sparse, then for each synapse
//! `[weight][delay]` and an index (sparse), a skip (run-length) or nothing (dense).

use crate::image::SynapseFormat;
use crate::target::{Compression, PackedCore, SynapseMemory};
use std::ops::Range;

/// A part of an axon's posts that becomes one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Positions in the list of posts.
    pub range: Range<usize>,
    /// First compartment.
    pub first: u16,
    /// Synapses that are stored, filler included.
    pub stored: u16,
}

/// Smallest width of `widths` whose unsigned range holds `value`.
fn smallest(widths: &[u8], value: u32) -> Option<u8> {
    widths.iter().copied().filter(|&w| w >= 32 || u64::from(value) < 1u64 << w).min()
}

/// Smallest stored index width that holds `max_index`.
pub fn index_bits(m: &SynapseMemory, max_index: u32) -> Option<u8> {
    smallest(&m.index_bits, max_index)
}

/// Smallest stored skip width that holds `max_gap` absent compartments.
pub fn skip_bits(m: &SynapseMemory, max_gap: u32) -> Option<u8> {
    smallest(&m.skip_bits, max_gap)
}

/// Largest delay register of a delay width: 2^bits - 2; 0 for no bits.
pub fn delay_limit(bits: u8) -> u32 {
    if bits == 0 { 0 } else { (1u32 << bits.min(31)) - 2 }
}

/// Smallest stored delay width that reaches `max_delay` (in the register); `None` beyond the target's largest delay.
pub fn delay_bits(m: &SynapseMemory, max_delay: u32) -> Option<u8> {
    if max_delay > *m.max_delay {
        return None;
    }
    m.delay_bits.iter().copied().filter(|&w| max_delay <= delay_limit(w)).min()
}

/// Smallest stored weight width of at least `bits`.
pub fn stored_weight_bits(m: &SynapseMemory, bits: u8) -> Option<u8> {
    m.weight_bits.iter().copied().filter(|&w| w >= bits).min()
}

/// Dendritic accumulator slots that `compartments` take at a delay width (C11).
pub fn delay_slots(compartments: u32, delay_bits: u8) -> u64 {
    u64::from(compartments) << delay_bits.min(31)
}

/// Bits of an entry before its synapses: format id, count, and the prefix index unless sparse.
pub fn header_bits(m: &SynapseMemory, f: &SynapseFormat) -> u64 {
    let prefix = if f.compression == Compression::Sparse { 0 } else { u64::from(f.index_bits) };
    u64::from(*m.format_id_bits) + u64::from(*m.count_bits) + prefix
}

/// Bits of one synapse in an entry.
pub fn synapse_bits(f: &SynapseFormat) -> u64 {
    let place = match f.compression {
        Compression::Sparse => f.index_bits,
        Compression::RunLength => f.skip_bits,
        Compression::Dense => 0,
    };
    u64::from(f.weight_bits) + u64::from(f.delay_bits) + u64::from(place)
}

/// Bits of an entry with `stored` synapses, filler included.
pub fn entry_bits(m: &SynapseMemory, f: &SynapseFormat, stored: u32) -> u64 {
    header_bits(m, f) + u64::from(stored) * synapse_bits(f)
}

/// Cuts an axon's posts (ascending; equal ones are parallel synapses) into entries of one format, with the least bits.
///
/// Sparse: every `max_synapses_per_entry`. RunLength: also where a gap doesn't fit the skip. Dense: at every gap, or with
/// `fill` at the cuts for which zeros in the gaps and entry headers together take the least bits. Parallel synapses share an entry only if
/// sparse.
pub fn split(m: &SynapseMemory, f: &SynapseFormat, posts: &[u16], fill: bool) -> Vec<Section> {
    let most = (*m.max_synapses_per_entry).clamp(1, u32::from(u16::MAX)) as usize;
    if f.compression == Compression::Dense && fill {
        return split_filled(m, f, posts, most);
    }
    let joins = |a: u16, b: u16| match f.compression {
        Compression::Sparse => b >= a,
        Compression::RunLength => b > a && u64::from(b - a - 1) < 1u64 << f.skip_bits.min(16),
        Compression::Dense => u32::from(b) == u32::from(a) + 1,
    };
    let mut sections = Vec::new();
    let mut start = 0;
    for end in 1..=posts.len() {
        if end == posts.len() || end - start == most || !joins(posts[end - 1], posts[end]) {
            sections.push(Section { range: start..end, first: posts[start], stored: (end - start) as u16 });
            start = end;
        }
    }
    sections
}

/// Dense entries with filler: the cuts of least bits, by dynamic programming over the last entry's first post.
fn split_filled(m: &SynapseMemory, f: &SynapseFormat, posts: &[u16], most: usize) -> Vec<Section> {
    let (header, each) = (header_bits(m, f), synapse_bits(f));
    // best[j] = (least bits of the first j posts, first post of the last entry); ties: the longest last entry.
    let mut best: Vec<(u64, usize)> = vec![(0, 0)];
    for end in 1..=posts.len() {
        let last = posts[end - 1];
        let mut choice = (u64::MAX, end - 1);
        for start in (0..end).rev() {
            if start + 1 < end && posts[start] >= posts[start + 1] {
                break;
            }
            let span = usize::from(last - posts[start]) + 1;
            if span > most {
                break;
            }
            let bits = best[start].0 + header + span as u64 * each;
            if bits <= choice.0 {
                choice = (bits, start);
            }
        }
        best.push(choice);
    }
    let mut sections = Vec::new();
    let mut end = posts.len();
    while end > 0 {
        let start = best[end].1;
        sections.push(Section { range: start..end, first: posts[start], stored: posts[end - 1] - posts[start] + 1 });
        end = start;
    }
    sections.reverse();
    sections
}

/// Bits of a list of entries of one format.
pub fn list_bits(m: &SynapseMemory, f: &SynapseFormat, sections: &[Section]) -> u64 {
    sections.iter().map(|s| entry_bits(m, f, u32::from(s.stored))).sum()
}

/// Words of an axon's whole list (all its formats together): rounded up, and one more where fewer than
/// `terminator_min_free_bits` stay free for the terminator (NxTF: `bits % 64 == 0 or bits % 64 >= 59`).
pub fn words(m: &SynapseMemory, bits: u64) -> u32 {
    let needed = bits.saturating_add(u64::from(*m.terminator_min_free_bits));
    u32::try_from(needed.div_ceil(u64::from(*m.word_bits).max(1))).unwrap_or(u32::MAX)
}

/// Words of an axon whose posts are all of one format.
pub fn axon_words(m: &SynapseMemory, f: &SynapseFormat, posts: &[u16], fill: bool) -> u32 {
    words(m, list_bits(m, f, &split(m, f, posts, fill)))
}

/// Output axon entries of one message destination.
pub fn out_axon_entries(core: &PackedCore, off_chip: bool) -> u32 {
    let extra = if off_chip { *core.out_axon_cost_off_chip_extra } else { 0 };
    core.out_axon_cost_discrete.saturating_add(extra)
}
