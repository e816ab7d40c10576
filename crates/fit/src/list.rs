//! What the synapses of one axon take in a core's memory.
//!
//! In: the posts of an axon (compartments, ascending) and the width of weights. Out: bits and words, in the cheapest of the chip's encodings.
//! Invariant: the sizes of entries are those of `spikec_chip::cost`. Cost: linear in the posts, for each encoding.
//! Why: the packer chooses few formats for a whole core; here each list takes its own best, which is what a list can save.

use spikec_chip::Target;
use spikec_chip::cost;
use spikec_chip::image::SynapseFormat;
use spikec_chip::target::{Compression, Sign, SynapseMemory};

/// Lists of an axon cost what the smooth part says beyond this many words: there, a word is not won by one synapse.
const SMOOTH_WORDS: f64 = 4.0;

/// Sizes of lists of one width.
#[derive(Debug, Clone)]
pub struct Lists<'a> {
    memory: &'a SynapseMemory,
    formats: Vec<SynapseFormat>,
}

impl<'a> Lists<'a> {
    /// For weights of `bits` bits without delays, in cores of up to `compartments` neurons.
    pub fn new(target: &'a Target, bits: u8, compartments: u32) -> Self {
        let memory = &target.packed().synapse_memory;
        let weight_bits = cost::stored_weight_bits(memory, bits).unwrap_or(bits);
        let index_bits = cost::index_bits(memory, compartments.saturating_sub(1)).unwrap_or(16);
        let mut formats = Vec::new();
        for &compression in memory.compressions.iter() {
            let skips: &[u8] = if compression == Compression::RunLength { &memory.skip_bits } else { &[0] };
            for &skip_bits in skips {
                formats.push(SynapseFormat {
                    weight_bits,
                    index_bits,
                    skip_bits,
                    delay_bits: 0,
                    compression,
                    sign: Sign::Mixed,
                    exponent: 0,
                });
            }
        }
        Lists { memory, formats }
    }

    /// Bits of the cheapest encoding of posts (ascending).
    pub fn bits(&self, posts: &[u32]) -> u64 {
        if posts.is_empty() {
            return 0;
        }
        self.formats.iter().map(|f| self.bits_as(f, posts)).min().unwrap_or(u64::MAX)
    }

    /// In one format; dense entries are filled where that is cheaper than another entry.
    fn bits_as(&self, f: &SynapseFormat, posts: &[u32]) -> u64 {
        let m = self.memory;
        let (header, each) = (cost::header_bits(m, f), cost::synapse_bits(f));
        let most = u64::from((*m.max_synapses_per_entry).max(1));
        if f.compression == Compression::Sparse {
            let n = posts.len() as u64;
            return n.div_ceil(most) * header + n * each;
        }
        // How many absent compartments an entry may pass over, and what each takes.
        let (reach, filler) = match f.compression {
            Compression::Dense => (header / each.max(1), each),
            _ => ((1u64 << f.skip_bits.min(31)) - 1, 0),
        };
        let (mut bits, mut stored) = (header + each, 1);
        for pair in posts.windows(2) {
            let gap = u64::from(pair[1] - pair[0]).saturating_sub(1);
            let filled = if filler > 0 { gap } else { 0 };
            if gap > reach || stored + filled + 1 > most {
                bits += header + each;
                stored = 1;
            } else {
                bits += gap * filler + each;
                stored += filled + 1;
            }
        }
        bits
    }

    /// Words of one synapse of a long list.
    pub fn words_of_one(&self) -> f64 {
        let bits = self.formats.iter().map(cost::synapse_bits).min().unwrap_or(1);
        bits as f64 / f64::from(*self.memory.word_bits)
    }

    /// Words of a list, not whole where it is long.
    pub fn cost(&self, posts: &[u32]) -> f64 {
        if posts.is_empty() {
            return 0.0;
        }
        let bits = self.bits(posts);
        let smooth = (bits + u64::from(*self.memory.terminator_min_free_bits)) as f64 / f64::from(*self.memory.word_bits);
        if smooth > SMOOTH_WORDS { smooth + 0.5 } else { f64::from(cost::words(self.memory, bits)) }
    }
}
