//! Lists of synaptic memory that several input axons of a core share.
//!
//! In: the lists of a core's axons, by compartment, and the largest base of an input axon. Out: [`Cluster`]s of axons whose lists are equal but
//! for an offset of their compartments, with the base of each.
//! Invariant: base + index is the compartment; indices are as small as the bases of a cluster allow. Without sharing every axon is a cluster of
//! its own with base 0.
//! Cost: linear in the synapses, and a sort of the axons.
//! Why: a convolution's neurons at one place of the kernel have the same weights everywhere, so its axons' lists are translates where compartments
//! stand in the order of the map. Two translates whose first posts are at most the largest base apart can read the same words.

use super::wiring::Wiring;
use super::{Axon, List};
use serde::Serialize;
use spikec_chip::target::Target;

/// Whether input axons share words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kernels {
    /// Where the target can and the net has many lists that are translates of others.
    #[default]
    Auto,
    /// Where the target can and two lists are translates.
    Shared,
    /// Never: every input axon has a list of its own.
    Unrolled,
}

/// Synapses of a list from which on its repetition counts for [`Kernels::Auto`]: shorter lists are alike by chance.
const LONG: u32 = 4;

/// Whether the cores of a net share words.
pub(super) fn shares(kernels: Kernels, wiring: &Wiring, target: &Target) -> bool {
    let able = *target.packed().synapse_memory.max_axon_base > 0;
    able && match kernels {
        Kernels::Auto => repeats(wiring),
        Kernels::Shared => true,
        Kernels::Unrolled => false,
    }
}

/// True when at least an eighth of the synapses are in long lists of sources that are translates of another source's, neurons standing in net order.
fn repeats(wiring: &Wiring) -> bool {
    // (hash, first post, synapses) of each source.
    let mut of_source = vec![(0u64, u32::MAX, 0u32); wiring.units() as usize];
    for post in wiring.neuron_units() {
        for s in wiring.incoming(post) {
            let (hash, first, synapses) = &mut of_source[s.source as usize];
            *first = (*first).min(post);
            *hash = mixed(*hash, post - *first, s.class, s.mantissa, s.delay);
            *synapses += 1;
        }
    }
    let mut lists: Vec<(u64, u32)> = of_source.iter().filter(|s| s.2 >= LONG).map(|s| (s.0, s.2)).collect();
    lists.sort_unstable();
    let again: u64 = lists.windows(2).filter(|w| w[0] == w[1]).map(|w| u64::from(w[1].1)).sum();
    again * 8 >= wiring.synapse_count() as u64 && again > 0
}

/// A hash with one synapse more (SplitMix64's finalizer: Steele, Lea and Flood, 2014).
fn mixed(hash: u64, offset: u32, class: u16, mantissa: i16, delay: u16) -> u64 {
    let synapse = u64::from(offset) << 48 ^ u64::from(class) << 32 ^ u64::from(mantissa as u16) << 16 ^ u64::from(delay);
    let mut z = (hash ^ synapse).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Axons that read the same list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cluster {
    /// The axon whose list is stored.
    pub axon: u32,
    /// (axon, base) of all, by first post; the stored one's is first in the order of axons.
    pub members: Vec<(u32, u16)>,
}

impl Cluster {
    /// Base of the axon whose list is stored.
    pub fn base(&self) -> u16 {
        self.members.iter().find(|m| m.0 == self.axon).map_or(0, |m| m.1)
    }
}

/// Clusters of the first `neurons` compartments' lists, by the axon that is stored, and the largest index in them. `most_base`: the largest base;
/// `None` without sharing.
pub(super) fn clusters(axons: &[Axon], neurons: usize, most_base: Option<u16>) -> (Vec<Cluster>, u32) {
    let lists = axons.iter().enumerate().map(|(i, axon)| (i as u32, axon.prefix(neurons))).filter(|(_, list)| !list.posts.is_empty());
    let Some(most_base) = most_base else {
        let own = lists.map(|(i, _)| Cluster { axon: i, members: vec![(i, 0)] }).collect();
        return (own, neurons.saturating_sub(1) as u32);
    };
    // (hash, synapses, first post, axon): translates are neighbours, by first post.
    let mut keys: Vec<(u64, usize, u16, u32)> = lists.map(|(i, list)| (hash(list), list.posts.len(), list.posts[0], i)).collect();
    keys.sort_unstable();
    let list = |axon: u32| axons[axon as usize].prefix(neurons);
    let (mut clusters, mut largest) = (Vec::new(), 0);
    for same in keys.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        // Lists of one hash are equal but for the rarest cases: open clusters are tried from the last.
        let mut open: Vec<Vec<(u16, u32)>> = Vec::new();
        for &(_, _, first, axon) in same {
            let fits = |c: &Vec<(u16, u32)>| first - c[0].0 <= most_base && equal(list(c[0].1), list(axon));
            match open.iter().rposition(fits) {
                Some(k) => open[k].push((first, axon)),
                None => open.push(vec![(first, axon)]),
            }
        }
        for members in open {
            let last = members[members.len() - 1].0;
            // The first post's index: as small as the last member's base allows.
            let index = last.saturating_sub(most_base);
            let posts = list(members[0].1).posts;
            largest = largest.max(u32::from(index) + u32::from(posts[posts.len() - 1] - posts[0]));
            let axon = members.iter().map(|m| m.1).min().unwrap_or(0);
            clusters.push(Cluster { axon, members: members.into_iter().map(|(first, axon)| (axon, first - index)).collect() });
        }
    }
    clusters.sort_unstable_by_key(|c| c.axon);
    (clusters, largest)
}

fn hash(list: List) -> u64 {
    let first = list.posts[0];
    let synapses = list.posts.iter().zip(list.synapses);
    synapses.fold(0, |hash, (&post, s)| mixed(hash, u32::from(post - first), s.class, s.mantissa, s.delay))
}

/// Equal but for an offset of the posts.
fn equal(a: List, b: List) -> bool {
    let offset = |l: List, k: usize| l.posts[k] - l.posts[0];
    a.posts.len() == b.posts.len() && a.synapses == b.synapses && (0..a.posts.len()).all(|k| offset(a, k) == offset(b, k))
}
