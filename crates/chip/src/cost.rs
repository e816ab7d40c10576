//! What a synapse, an axon and a neuron cost: the one place that knows.
//!
//! In: the target's numbers, a synapse format and the posts of an axon. Out: bits, words and entries.
//! Invariant: `axon_words` is the number of words that [`crate::codec::encode_core`] writes for the same entries.
//! Cost: linear in the posts; dense with filler: posts * synapses of an entry.
//! Why: partitioner, packer, codec and reports must never disagree about a bit. The formulas are NxTF's
//! (`SynapseGroup`, `SynEntry`): an entry is `[format id][count]`, a prefix index unless sparse, then for each synapse
//! `[weight][delay]` and an index (sparse), a skip (run-length) or nothing (dense). A target may round each entry up (nengo-loihi does).

use crate::image::{Compartment, CoreTables, SynapseFormat};
use crate::target::{Compression, NeuronSpec, Packed, PackedCore, SynapseMemory};
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

/// `bits` of entries, rounded up to where the next entry may start.
pub fn aligned(m: &SynapseMemory, bits: u64) -> u64 {
    let align = u64::from(*m.entry_align_bits);
    if align <= 1 { bits } else { bits.next_multiple_of(align) }
}

/// Bits of an entry with `stored` synapses, filler and alignment included.
pub fn entry_bits(m: &SynapseMemory, f: &SynapseFormat, stored: u32) -> u64 {
    aligned(m, header_bits(m, f) + u64::from(stored) * synapse_bits(f))
}

/// Cuts an axon's posts (ascending; equal ones are parallel synapses) into entries of one format: with the least bits, except that entries
/// without filler are made as long as they can be, also where `entry_align_bits` would favour shorter ones.
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
            let bits = best[start].0 + entry_bits(m, f, span as u32);
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

/// Bits of `stored` synapses that only the largest entry cuts: [`split`] and [`list_bits`] where no gap does.
pub fn uncut_bits(m: &SynapseMemory, f: &SynapseFormat, stored: u32) -> u64 {
    let most = (*m.max_synapses_per_entry).clamp(1, u32::from(u16::MAX));
    let rest = if stored.is_multiple_of(most) { 0 } else { entry_bits(m, f, stored % most) };
    u64::from(stored / most) * entry_bits(m, f, most) + rest
}

/// Words of an axon's whole list (all its formats together): rounded up, and one more where fewer than
/// `terminator_min_free_bits` stay free for the terminator (NxTF: `bits % 64 == 0 or bits % 64 >= 59`). Without terminators an empty list
/// takes none.
pub fn words(m: &SynapseMemory, bits: u64) -> u32 {
    let needed = bits.saturating_add(u64::from(*m.terminator_min_free_bits));
    u32::try_from(needed.div_ceil(u64::from(*m.word_bits).max(1))).unwrap_or(u32::MAX)
}

/// Words of an axon whose posts are all of one format.
pub fn axon_words(m: &SynapseMemory, f: &SynapseFormat, posts: &[u16], fill: bool) -> u32 {
    words(m, list_bits(m, f, &split(m, f, posts, fill)))
}

/// What a synapse that a message reads is charged as: time and energy have a price for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// In a list that several input axons share, filler included.
    Conv,
    /// In a dense entry, filler included.
    Dense,
    /// In a sparse or run-length entry.
    Sparse,
}

impl Read {
    /// Of an entry of this compression, in a list that several input axons share or in one of its own.
    pub fn of(shared: bool, compression: Compression) -> Read {
        match (shared, compression) {
            (true, _) => Read::Conv,
            (false, Compression::Dense) => Read::Dense,
            (false, Compression::Sparse | Compression::RunLength) => Read::Sparse,
        }
    }
}

/// Output axon entries of one message destination.
pub fn out_axon_entries(core: &PackedCore, off_chip: bool) -> u32 {
    let extra = if off_chip { *core.out_axon_cost_off_chip_extra } else { 0 };
    core.out_axon_cost_discrete.saturating_add(extra)
}

/// What a core's budget of bytes is charged for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Charged {
    /// Compartments.
    pub compartments: u64,
    /// Compartments whose current u outlives a step ([`keeps_current`]).
    pub currents: u64,
    /// Delay width of the core.
    pub delay_bits: u8,
    /// Input axons.
    pub in_axons: u64,
    /// Output axon entries.
    pub out_entries: u64,
    /// Words of synaptic memory.
    pub words: u64,
}

impl Charged {
    /// Of a core's tables; `out_entries` and `words` as they were counted from them.
    pub fn of(t: &CoreTables, out_entries: u64, words: u64, neuron: &NeuronSpec) -> Charged {
        let profile = |c: &Compartment| t.compartment_profiles.get(usize::from(c.profile));
        let keeps = |c: &&Compartment| profile(c).is_some_and(|p| keeps_current(neuron, p.decay_u));
        Charged {
            compartments: t.compartments.len() as u64,
            currents: t.compartments.iter().filter(keeps).count() as u64,
            delay_bits: t.delay_bits,
            in_axons: t.in_axons.len() as u64,
            out_entries,
            words,
        }
    }
}

/// True for a decay of u that leaves something of it to the next step.
pub fn keeps_current(neuron: &NeuronSpec, decay_u: u16) -> bool {
    u64::from(decay_u) < 1u64 << (*neuron.decay_bits).min(63)
}

/// The budget of a core in bytes; `None` where the target has none.
pub fn budget(core: &PackedCore) -> Option<u64> {
    Some(u64::from(*core.core_bytes)).filter(|&bytes| bytes > 0)
}

/// Bytes of a word of synaptic memory, where there is a budget: words are whole bytes then.
pub fn word_bytes(m: &SynapseMemory) -> u32 {
    *m.word_bits / 8
}

/// Bytes of a core's budget that are taken; 0 where the target has none.
pub fn core_bytes(packed: &Packed, c: &Charged) -> u64 {
    let (core, m) = (&packed.core, &packed.synapse_memory);
    if budget(core).is_none() {
        return 0;
    }
    let slots = c.compartments.saturating_mul(1u64 << c.delay_bits.min(32));
    let of = |count: u64, bytes: u32| count.saturating_mul(bytes.into());
    [
        of(1, *core.program_bytes),
        of(c.compartments, *core.neuron_bytes),
        of(c.currents, *core.current_bytes),
        of(slots, *core.delay_slot_bytes),
        of(c.in_axons, *core.in_axon_bytes),
        of(c.out_entries, *core.out_axon_entry_bytes),
        of(c.words, word_bytes(m)),
    ]
    .into_iter()
    .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Sign;
    use crate::testing::{loihi1, loihi1_nengo, random_entries, random_format, targets};
    use proptest::prelude::*;
    use rand::SeedableRng;

    fn format(compression: Compression) -> SynapseFormat {
        SynapseFormat { weight_bits: 8, index_bits: 8, skip_bits: 0, delay_bits: 0, compression, sign: Sign::Mixed, exponent: 0 }
    }

    #[test]
    fn shared_lists_are_charged_as_such_whatever_their_entries() {
        let all = [Compression::Sparse, Compression::RunLength, Compression::Dense];
        assert_eq!(all.map(|c| Read::of(false, c)), [Read::Sparse, Read::Sparse, Read::Dense]);
        assert_eq!(all.map(|c| Read::of(true, c)), [Read::Conv; 3]);
    }

    #[test]
    fn dense_lists_counted_by_hand() {
        let target = loihi1();
        let m = &target.packed().synapse_memory;
        let f = format(Compression::Dense);
        let posts: Vec<u16> = (0..153).collect();
        // 60 + 60 + 32 synapses: 3 headers of 4 + 6 + 8 bits and 152 weights of 8.
        let sections = split(m, &f, &posts[..152], false);
        assert_eq!(sections.iter().map(|s| (s.first, s.stored)).collect::<Vec<_>>(), [(0, 60), (60, 60), (120, 32)]);
        assert_eq!(list_bits(m, &f, &sections), 1270);
        assert_eq!(axon_words(m, &f, &posts[..152], false), 20);
        assert_eq!(axon_words(m, &f, &posts, false), 21);
    }

    #[test]
    fn other_lists_counted_by_hand() {
        let target = loihi1();
        let m = &target.packed().synapse_memory;
        // 10 + 3 * (8 + 8) = 58 bits: 6 are free. One delay bit more in all: no room for the terminator.
        let sparse = format(Compression::Sparse);
        assert_eq!(entry_bits(m, &sparse, 3), 58);
        assert_eq!(axon_words(m, &sparse, &[3, 90, 90], false), 1);
        // Gaps 1 and 40: the second doesn't fit 5 bits, so two entries of 18 bits and 13 a synapse.
        let run = SynapseFormat { skip_bits: 5, ..format(Compression::RunLength) };
        let sections = split(m, &run, &[2, 4, 45], false);
        assert_eq!(sections.iter().map(|s| s.range.clone()).collect::<Vec<_>>(), [0..2, 2..3]);
        assert_eq!(list_bits(m, &run, &sections), 2 * 18 + 3 * 13);
        // A gap of 1 costs 8 bits as filler and 18 as a header; a gap of 3 costs 24.
        let dense = format(Compression::Dense);
        let filled = split(m, &dense, &[2, 4, 8], true);
        assert_eq!(filled.iter().map(|s| (s.first, s.stored)).collect::<Vec<_>>(), [(2, 3), (8, 1)]);
        assert_eq!(list_bits(m, &dense, &filled), 2 * 18 + 4 * 8);
    }

    #[test]
    fn the_terminator_takes_a_word_below_six_free_bits() {
        let target = loihi1();
        let m = &target.packed().synapse_memory;
        let expected = [(0, 1), (1, 1), (58, 1), (59, 2), (63, 2), (64, 2), (65, 2), (122, 2), (123, 3), (128, 3)];
        for (bits, count) in expected {
            assert_eq!(words(m, bits), count, "{bits} bits");
        }
    }

    /// nengo-loihi's rule: entries of up to 64 synapses of 18 bits behind 10 bits of header, each rounded up to 64 bits.
    #[test]
    fn nengo_lists_cost_as_nengo_counts_them() {
        let target = loihi1_nengo();
        let Packed { core, synapse_memory: m, .. } = target.packed();
        let up64 = |bits: u64| bits.div_ceil(64) * 64;
        let weight_bits = stored_weight_bits(m, 8).unwrap();
        let f = SynapseFormat { weight_bits, index_bits: index_bits(m, 0).unwrap(), ..format(Compression::Sparse) };
        for n in 0..=2000u64 {
            let rest = if n % 64 > 0 { up64((n % 64) * 18 + 10) } else { 0 };
            let expected = n / 64 * up64(64 * 18 + 10) + rest;
            let mut posts: Vec<u16> = (0..n as u16).map(|i| i * 7 % 1024).collect();
            posts.sort_unstable();
            assert_eq!(list_bits(m, &f, &split(m, &f, &posts, false)), expected, "{n} synapses");
            assert_eq!(uncut_bits(m, &f, n as u32), expected, "{n} synapses");
            assert_eq!(u64::from(axon_words(m, &f, &posts, false)) * 64, expected, "{n} synapses");
        }
        assert_eq!(u64::from(*m.usable_words) * u64::from(*m.word_bits), 1 << 20);
        assert_eq!((*core.compartments, *core.in_axons, *core.out_axon_entries, *core.out_axons_per_neuron), (1024, 4096, 4096, 4096));
        assert_eq!((out_axon_entries(core, false), out_axon_entries(core, true)), (1, 1));
    }

    #[test]
    fn smallest_widths() {
        let target = loihi1();
        let m = &target.packed().synapse_memory;
        assert_eq!([0, 63, 64, 1023, 1024].map(|i| index_bits(m, i)), [Some(6), Some(6), Some(7), Some(10), None]);
        assert_eq!([0, 3, 4, 31, 32].map(|g| skip_bits(m, g)), [Some(2), Some(2), Some(3), Some(5), None]);
        assert_eq!([0, 1, 6, 7, 62, 63].map(|d| delay_bits(m, d)), [Some(0), Some(3), Some(3), Some(4), Some(6), None]);
        assert_eq!([1, 6, 7, 8, 9].map(|b| stored_weight_bits(m, b)), [Some(1), Some(6), Some(8), Some(8), None]);
        assert_eq!(delay_slots(1024, 3), 8192);
        let core = &target.packed().core;
        assert_eq!((out_axon_entries(core, false), out_axon_entries(core, true)), (1, 2));
    }

    /// Least bits over all ways to cut, by trying each.
    fn brute_force(m: &SynapseMemory, f: &SynapseFormat, posts: &[u16], fill: bool) -> u64 {
        let most = *m.max_synapses_per_entry;
        let entry = |posts: &[u16]| -> Option<u64> {
            let gaps = || posts.windows(2).map(|w| i64::from(w[1]) - i64::from(w[0]) - 1);
            let stored = match f.compression {
                Compression::Sparse => Some(posts.len() as u32),
                Compression::RunLength => gaps().all(|g| g >= 0 && g < 1 << f.skip_bits).then_some(posts.len() as u32),
                Compression::Dense if fill => gaps().all(|g| g >= 0).then(|| u32::from(posts[posts.len() - 1] - posts[0]) + 1),
                Compression::Dense => gaps().all(|g| g == 0).then_some(posts.len() as u32),
            }?;
            (stored <= most).then(|| entry_bits(m, f, stored))
        };
        let mut least = u64::MAX;
        for cuts in 0..1u32 << posts.len().saturating_sub(1) {
            let mut start = 0;
            let mut bits = Some(0u64);
            for end in 1..=posts.len() {
                if end == posts.len() || cuts >> (end - 1) & 1 == 1 {
                    bits = bits.and_then(|b| Some(b + entry(&posts[start..end])?));
                    start = end;
                }
            }
            least = least.min(bits.unwrap_or(u64::MAX));
        }
        least
    }

    proptest! {
        #[test]
        fn split_takes_the_least_bits(
            mut posts in prop::collection::vec(0u16..40, 0..9),
            seed in any::<u64>(),
            most in 1u32..12,
            fill in any::<bool>(),
            aligned in any::<bool>(),
        ) {
            posts.sort_unstable();
            let mut target = loihi1();
            let f = random_format(&mut rand::rngs::StdRng::seed_from_u64(seed), &target);
            let p = target.packed_mut();
            p.synapse_memory.max_synapses_per_entry.value = most;
            let filled = fill && f.compression == Compression::Dense;
            p.synapse_memory.entry_align_bits.value = if filled && aligned { 16 } else { 1 };
            let m = &p.synapse_memory;
            let sections = split(m, &f, &posts, fill);
            prop_assert_eq!(list_bits(m, &f, &sections), brute_force(m, &f, &posts, fill));
            prop_assert!(sections.iter().all(|s| u32::from(s.stored) <= most && posts[s.range.start] == s.first));
            let covered: Vec<usize> = sections.iter().flat_map(|s| s.range.clone()).collect();
            prop_assert_eq!(covered, (0..posts.len()).collect::<Vec<_>>());
        }

        #[test]
        fn filler_never_costs_more_than_cuts(mut posts in prop::collection::btree_set(0u16..1024, 0..300), weight_bits in 1u8..=8) {
            let target = loihi1();
            let m = &target.packed().synapse_memory;
            let posts: Vec<u16> = std::mem::take(&mut posts).into_iter().collect();
            let f = SynapseFormat { weight_bits, index_bits: 10, ..format(Compression::Dense) };
            let cut = list_bits(m, &f, &split(m, &f, &posts, false));
            let filled = list_bits(m, &f, &split(m, &f, &posts, true));
            prop_assert!(filled <= cut);
        }

        #[test]
        fn the_codec_writes_as_many_words(posts in prop::collection::btree_set(0u16..1024, 0..300), seed in any::<u64>(), fill in any::<bool>(), which in 0usize..2) {
            use crate::image::*;
            let target = targets()[which].clone();
            let m = &target.packed().synapse_memory;
            let rng = &mut rand::rngs::StdRng::seed_from_u64(seed);
            let f = random_format(rng, &target);
            let posts: Vec<u16> = posts.into_iter().filter(|&p| u32::from(p) < 1 << f.index_bits).collect();
            let entries = random_entries(rng, &target, &[f], 0, &posts, 3, fill);
            let tables = CoreTables {
                core: 0,
                delay_bits: 3,
                formats: vec![f],
                lists: vec![SynapseList { entries }],
                in_axons: vec![InAxon { list: 0, base: 0 }],
                compartment_profiles: vec![CompartmentProfile { decay_u: 1, decay_v: 0, refractory: 1 }],
                threshold_profiles: vec![0],
                compartments: vec![
                    Compartment { profile: 0, threshold_profile: 0, bias_mantissa: 0, bias_exponent: 0, out_axon_start: 0, out_axon_count: 0 };
                    1024
                ],
                out_axons: vec![],
            };
            let image = crate::codec::encode_core(&tables, &target).unwrap();
            prop_assert_eq!(image.synapse_memory.len() as u32, 64 * axon_words(m, &f, &posts, fill));
        }
    }
}
