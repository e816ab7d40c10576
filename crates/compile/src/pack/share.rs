//! Which projection the words of synaptic memory belong to.
//!
//! In: the quantized net, the parts. Out: words for each projection, in net order.
//! Invariant: they add up to the words of all parts. An axon's words are its projection's; where several share an axon, each has its share of the
//! bits of their synapses. Cost: linear in the stored synapses.

use crate::partition::Partitioned;
use spikec_chip::Target;
use spikec_chip::cost;
use spikec_net::{Projection, Quantized};

/// Words of synaptic memory of each projection, copies of neurons included.
pub fn words_by_projection(q: &Quantized, partitioned: &Partitioned, target: &Target) -> Vec<u64> {
    let projections = &q.net.projections;
    let memory = &target.packed().synapse_memory;
    let wiring = partitioned.wiring();
    let mut shares = vec![0f64; projections.len()];
    let mut total = 0u64;
    let mut bits = vec![0u64; projections.len()];
    for part in partitioned.parts() {
        total += part.pack.words();
        let posts: Vec<usize> = part.pack.units.iter().map(|&unit| wiring.reference(unit).population.index()).collect();
        for axon in &part.pack.in_axons {
            let pre = wiring.reference(axon.source).population.index();
            bits.fill(0);
            // Shared words are divided among those who read them.
            let list = part.pack.list(axon);
            for entry in &list.list.entries {
                let format = &part.pack.formats[usize::from(entry.format)];
                let joins = |p: &Projection<_>, post: usize| p.pre.index() == pre && p.post.index() == post;
                let same = |p: &Projection<spikec_net::Fixed>| {
                    p.format.exponent == format.exponent && cost::stored_weight_bits(memory, p.format.bits) == Some(format.weight_bits)
                };
                let mut last: Option<(usize, Option<usize>)> = None;
                for synapse in &entry.synapses {
                    let post = posts[axon.axon.compartment(synapse)];
                    let found = match last {
                        Some((population, found)) if population == post => found,
                        _ => {
                            let own = projections.iter().position(|p| joins(p, post) && same(p));
                            own.or_else(|| projections.iter().position(|p| joins(p, post)))
                        }
                    };
                    last = Some((post, found));
                    // Filler may stand where no projection goes.
                    if let Some(p) = found {
                        bits[p] += cost::synapse_bits(format).max(1);
                    }
                }
            }
            let all: u64 = bits.iter().sum();
            let words = f64::from(list.words) / f64::from(list.readers.max(1));
            for (share, &bits) in shares.iter_mut().zip(&bits).filter(|(_, bits)| **bits > 0) {
                *share += words * (bits as f64 / all as f64);
            }
        }
    }
    whole(&shares, total)
}

/// Shares as whole numbers with this sum: those with the largest rests are rounded up.
fn whole(shares: &[f64], total: u64) -> Vec<u64> {
    let mut out: Vec<u64> = shares.iter().map(|s| s.floor() as u64).collect();
    let mut order: Vec<usize> = (0..shares.len()).filter(|&p| shares[p] > 0.0).collect();
    order.sort_by(|&a, &b| shares[b].fract().total_cmp(&shares[a].fract()).then(a.cmp(&b)));
    let missing = total.saturating_sub(out.iter().sum()) as usize;
    for &p in order.iter().cycle().take(if order.is_empty() { 0 } else { missing }) {
        out[p] += 1;
    }
    // Sums of shares may end a hair above a whole number.
    let mut over = out.iter().sum::<u64>().saturating_sub(total);
    for &p in order.iter().rev() {
        let less = over.min(out[p]);
        out[p] -= less;
        over -= less;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn shares_add_up() {
        assert_eq!(whole(&[1.5, 2.25, 0.25], 4), [2, 2, 0]);
        assert_eq!(whole(&[0.0, 3.0], 3), [0, 3]);
        assert_eq!(whole(&[2.999_999, 0.000_001], 3), [3, 0]);
        assert_eq!(whole(&[], 0), Vec::<u64>::new());
    }
}
