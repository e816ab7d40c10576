//! How often each axon enters each core.
//!
//! In: additions and removals of synapses. Out: counts of (axon, core) pairs, and the cores of an axon.
//! Invariant: an axon is listed on a core exactly while its count there is not 0.
//! Cost: a table where axons x cores is small (one step for each question), else a list for each axon (as many steps as it has cores; one for hubs).

use crate::hypergraph::Hypergraph;

/// Counts of (axon, core) pairs.
pub trait Pairs: Send {
    /// Synapses of `axon` on `core`.
    fn count(&self, axon: u32, core: u32) -> u32;
    /// Adds synapses; the count before.
    fn add(&mut self, axon: u32, core: u32, synapses: u32) -> u32;
    /// Removes synapses that are there; the count after.
    fn remove(&mut self, axon: u32, core: u32, synapses: u32) -> u32;
    /// Cores that the axon enters.
    fn cores_of(&self, axon: u32) -> u32;
    /// Calls `f(core, synapses)` for each core that the axon enters, in no particular but a repeatable order.
    fn each(&self, axon: u32, f: impl FnMut(u32, u32));
    /// For each core that any of `axons` enters, how many do: `(core, axons)` is added to `hits`, in no particular but a repeatable order.
    /// `scratch` has an entry for each core, all 0, and is left so. Axons that enter very many cores may be left out, for they say nothing about
    /// any of them, and cores to which more than `most_new` of those looked at would be new. Returns how many were looked at.
    fn gather(&self, axons: &[u32], most_new: u32, hits: &mut Vec<(u32, u32)>, scratch: &mut [u32]) -> u32;
    /// How many of a neuron's axons, of those that `gather` looks at, enter its core only for it.
    fn alone(&self, graph: &Hypergraph, neuron: u32, core: u32) -> u32;
}

/// A table of axons by cores.
///
/// Beside the counts stand two bits for each pair: present, and there with one synapse only. A visit to a neuron reads the bits alone.
#[derive(Debug, Clone)]
pub struct Table {
    cores: usize,
    counts: Vec<u16>,
    /// Words of bits for each axon: first those of `present`, then those of `single`.
    width: usize,
    bits: Vec<u64>,
    entered: Vec<u16>,
}

/// Entries of a [`Table`] up to which it is taken: 256 MiB of counts.
const LARGEST_TABLE: u64 = 128 << 20;

/// Bits of the sum of presences over the axons of a neuron.
const PLANES: usize = 16;

/// Each bit of a number below 16 in the lowest place of 16 bits.
const SPREAD: [u64; 16] = {
    let mut table = [0u64; 16];
    let mut i = 0;
    while i < 16 {
        let mut k = 0;
        while k < 4 {
            table[i] |= ((i as u64 >> k) & 1) << (16 * k);
            k += 1;
        }
        i += 1;
    }
    table
};

/// Carry and sum of three words, bit by bit.
fn add3(a: u64, b: u64, c: u64) -> (u64, u64) {
    let half = a ^ b;
    (a & b | half & c, half ^ c)
}

/// Cores up to which their sums are read one by one.
const FEW: u32 = 8;

/// The places whose sum is `least` or more; `planes[p]` holds bit p of each sum.
fn at_least(planes: &[u64], least: u32) -> u64 {
    if least >> planes.len() != 0 {
        return 0;
    }
    let (mut more, mut same) = (0, u64::MAX);
    for (p, &plane) in planes.iter().enumerate().rev() {
        if least >> p & 1 == 1 {
            same &= plane;
        } else {
            more |= same & plane;
            same &= !plane;
        }
    }
    more | same
}

impl Table {
    /// True when a table serves: small, and no count beyond its field.
    pub fn serves(graph: &Hypergraph, cores: u32) -> bool {
        u64::from(graph.axons()) * u64::from(cores) <= LARGEST_TABLE
            && (0..graph.axons()).all(|a| graph.out_neurons(a).len() <= usize::from(u16::MAX))
            && (0..graph.neurons()).all(|v| graph.in_axons(v).len() < 1 << PLANES)
            && !graph.has_parallel()
    }

    /// No synapse on any core.
    pub fn new(graph: &Hypergraph, cores: u32) -> Table {
        let (axons, cores) = (graph.axons() as usize, cores as usize);
        let width = cores.div_ceil(64);
        Table { cores, counts: vec![0; axons * cores], width, bits: vec![0; axons * width * 2], entered: vec![0; axons] }
    }

    fn bit(&mut self, axon: u32, core: u32, single: bool) -> (&mut u64, u64) {
        let at = (2 * axon as usize + usize::from(single)) * self.width + core as usize / 64;
        (&mut self.bits[at], 1 << (core % 64))
    }

    fn set(&mut self, axon: u32, core: u32, single: bool, value: bool) {
        let (word, bit) = self.bit(axon, core, single);
        if value { *word |= bit } else { *word &= !bit }
    }
}

impl Pairs for Table {
    #[inline]
    fn count(&self, axon: u32, core: u32) -> u32 {
        self.counts[axon as usize * self.cores + core as usize].into()
    }
    #[inline]
    fn add(&mut self, axon: u32, core: u32, synapses: u32) -> u32 {
        let count = &mut self.counts[axon as usize * self.cores + core as usize];
        let before = *count;
        *count += synapses as u16;
        let after = *count;
        if before == 0 {
            self.entered[axon as usize] += 1;
            self.set(axon, core, false, true);
        }
        if before < 2 {
            self.set(axon, core, true, after == 1);
        }
        before.into()
    }
    #[inline]
    fn remove(&mut self, axon: u32, core: u32, synapses: u32) -> u32 {
        let count = &mut self.counts[axon as usize * self.cores + core as usize];
        *count -= synapses as u16;
        let after = *count;
        if after == 0 {
            self.entered[axon as usize] -= 1;
            self.set(axon, core, false, false);
        }
        if after < 2 {
            self.set(axon, core, true, after == 1);
        }
        after.into()
    }
    #[inline]
    fn cores_of(&self, axon: u32) -> u32 {
        self.entered[axon as usize].into()
    }
    #[inline]
    fn each(&self, axon: u32, mut f: impl FnMut(u32, u32)) {
        let start = 2 * axon as usize * self.width;
        for (w, &word) in self.bits[start..start + self.width].iter().enumerate() {
            let mut left = word;
            while left != 0 {
                let core = w as u32 * 64 + left.trailing_zeros();
                f(core, self.count(axon, core));
                left &= left - 1;
            }
        }
    }
    #[inline]
    fn gather(&self, axons: &[u32], most_new: u32, hits: &mut Vec<(u32, u32)>, _: &mut [u32]) -> u32 {
        let least = (axons.len() as u32).saturating_sub(most_new).max(1);
        for w in 0..self.width {
            let word = |axon: u32| self.bits[2 * axon as usize * self.width + w];
            // planes[p] holds bit p of the sum of each of 64 cores; eight words at a time go through a tree of adders.
            let mut planes = [0u64; PLANES];
            let mut used = 3;
            for eight in axons.chunks(8) {
                let mut x = [0u64; 8];
                for (x, &axon) in x.iter_mut().zip(eight) {
                    *x = word(axon);
                }
                let (twos_a, ones) = add3(planes[0], x[0], x[1]);
                let (twos_b, ones) = add3(ones, x[2], x[3]);
                let (fours_a, twos) = add3(planes[1], twos_a, twos_b);
                let (twos_a, ones) = add3(ones, x[4], x[5]);
                let (twos_b, ones) = add3(ones, x[6], x[7]);
                let (fours_b, twos) = add3(twos, twos_a, twos_b);
                let (mut carry, fours) = add3(planes[2], fours_a, fours_b);
                (planes[0], planes[1], planes[2]) = (ones, twos, fours);
                let mut p = 3;
                while carry != 0 {
                    (planes[p], carry) = (planes[p] ^ carry, planes[p] & carry);
                    p += 1;
                }
                used = used.max(p);
            }
            let planes = &planes[..used];
            let mut left = at_least(planes, least);
            if left.count_ones() <= FEW {
                while left != 0 {
                    let lane = left.trailing_zeros();
                    let sum = planes.iter().rev().fold(0, |sum, plane| 2 * sum + (plane >> lane & 1) as u32);
                    hits.push((w as u32 * 64 + lane, sum));
                    left &= left - 1;
                }
                continue;
            }
            for byte in (0..8).filter(|byte| left >> (8 * byte) & 0xff != 0) {
                // The sums of eight cores, 16 bits each.
                let mut sums = [0u64; 2];
                for (p, plane) in planes.iter().enumerate() {
                    let bits = (plane >> (8 * byte)) as usize;
                    sums[0] |= SPREAD[bits & 15] << p;
                    sums[1] |= SPREAD[bits >> 4 & 15] << p;
                }
                for k in (0..8).filter(|k| left >> (8 * byte + k) & 1 != 0) {
                    let sum = (sums[k / 4] >> (16 * (k % 4))) as u16;
                    hits.push(((w * 64 + 8 * byte + k) as u32, sum.into()));
                }
            }
        }
        axons.len() as u32
    }
    fn alone(&self, graph: &Hypergraph, neuron: u32, core: u32) -> u32 {
        let at = core as usize / 64 + self.width;
        graph.in_axons(neuron).iter().map(|&a| (self.bits[2 * a as usize * self.width + at] >> (core % 64) & 1) as u32).sum()
    }
}

/// Cores of an axon beyond which a list is not gathered.
const LONG: usize = 64;

/// Cores that an axon may enter beyond which it is a hub.
const HUB: usize = 512;

/// Hubs that there are at most, those with the most cores: a place for each of them and each core is held.
const MOST_HUBS: usize = 1024;

/// The place of a core that a hub does not enter.
const NOWHERE: u32 = u32::MAX;

/// A list of cores for each axon.
///
/// A list is walked to find a core in it, but for hubs (the constant source of biases enters all cores), which hold where each core is.
#[derive(Debug, Clone)]
pub struct Lists {
    /// First entry of each axon; it has as many as it enters neurons, for it can't enter more cores.
    offsets: Vec<usize>,
    used: Vec<u32>,
    entries: Vec<(u32, u32)>,
    /// Axons that are hubs, ascending, and where each core is in the list of each: `NOWHERE` or beyond the end for one that it does not enter.
    hubs: Vec<u32>,
    places: Vec<Vec<u32>>,
}

impl Lists {
    /// No synapse on any core.
    pub fn new(graph: &Hypergraph, cores: u32) -> Lists {
        let mut offsets = vec![0usize; graph.axons() as usize + 1];
        for a in 0..graph.axons() {
            offsets[a as usize + 1] = offsets[a as usize] + graph.out_neurons(a).len().min(cores as usize);
        }
        let entries = vec![(0, 0); *offsets.last().expect("one more than axons")];
        let room = |a: u32| offsets[a as usize + 1] - offsets[a as usize];
        let mut hubs: Vec<u32> = (0..graph.axons()).filter(|&a| room(a) > HUB).collect();
        hubs.sort_by_key(|&a| std::cmp::Reverse(room(a)));
        hubs.truncate(MOST_HUBS);
        hubs.sort_unstable();
        let places = vec![Vec::new(); hubs.len()];
        Lists { used: vec![0; graph.axons() as usize], offsets, entries, hubs, places }
    }

    #[inline]
    fn list(&self, axon: u32) -> &[(u32, u32)] {
        let start = self.offsets[axon as usize];
        &self.entries[start..start + self.used[axon as usize] as usize]
    }

    /// Which of the hubs an axon is; few are long enough to be one.
    #[inline]
    fn hub(&self, axon: u32) -> Option<usize> {
        let room = self.offsets[axon as usize + 1] - self.offsets[axon as usize];
        if room > HUB { self.hubs.binary_search(&axon).ok() } else { None }
    }

    /// Where a core is in an axon's list.
    #[inline]
    fn find(&self, axon: u32, core: u32) -> Option<usize> {
        match self.hub(axon) {
            Some(hub) => self.places[hub].get(core as usize).filter(|&&at| at != NOWHERE).map(|&at| at as usize),
            None => self.list(axon).iter().position(|e| e.0 == core),
        }
    }

    /// Notes where a core of a hub's list is now.
    #[inline]
    fn put(&mut self, axon: u32, core: u32, at: u32) {
        if let Some(hub) = self.hub(axon) {
            let places = &mut self.places[hub];
            if places.len() <= core as usize {
                places.resize(core as usize + 1, NOWHERE);
            }
            places[core as usize] = at;
        }
    }
}

impl Pairs for Lists {
    #[inline]
    fn count(&self, axon: u32, core: u32) -> u32 {
        self.find(axon, core).map_or(0, |at| self.list(axon)[at].1)
    }
    #[inline]
    fn add(&mut self, axon: u32, core: u32, synapses: u32) -> u32 {
        let start = self.offsets[axon as usize];
        match self.find(axon, core) {
            Some(at) => {
                let before = self.entries[start + at].1;
                self.entries[start + at].1 += synapses;
                before
            }
            None => {
                let at = self.used[axon as usize];
                self.entries[start + at as usize] = (core, synapses);
                self.used[axon as usize] += 1;
                self.put(axon, core, at);
                0
            }
        }
    }
    #[inline]
    fn remove(&mut self, axon: u32, core: u32, synapses: u32) -> u32 {
        let start = self.offsets[axon as usize];
        let at = self.find(axon, core).expect("only synapses that are there are removed");
        self.entries[start + at].1 -= synapses;
        let after = self.entries[start + at].1;
        if after == 0 {
            let last = start + self.used[axon as usize] as usize - 1;
            self.entries[start + at] = self.entries[last];
            self.used[axon as usize] -= 1;
            self.put(axon, self.entries[start + at].0, at as u32);
            self.put(axon, core, NOWHERE);
        }
        after
    }
    #[inline]
    fn cores_of(&self, axon: u32) -> u32 {
        self.used[axon as usize]
    }
    #[inline]
    fn each(&self, axon: u32, mut f: impl FnMut(u32, u32)) {
        for &(core, count) in self.list(axon) {
            f(core, count);
        }
    }
    #[inline]
    fn gather(&self, axons: &[u32], most_new: u32, hits: &mut Vec<(u32, u32)>, scratch: &mut [u32]) -> u32 {
        let start = hits.len();
        let mut looked = 0;
        for &axon in axons {
            let list = self.list(axon);
            if list.len() > LONG {
                continue;
            }
            looked += 1;
            for &(core, _) in list {
                if scratch[core as usize] == 0 {
                    hits.push((core, 0));
                }
                scratch[core as usize] += 1;
            }
        }
        let mut kept = start;
        for at in start..hits.len() {
            let core = hits[at].0;
            let sum = std::mem::take(&mut scratch[core as usize]);
            if looked - sum <= most_new {
                hits[kept] = (core, sum);
                kept += 1;
            }
        }
        hits.truncate(kept);
        looked
    }
    fn alone(&self, graph: &Hypergraph, neuron: u32, core: u32) -> u32 {
        let short = |axon: u32| self.used[axon as usize] as usize <= LONG;
        graph.synapses(neuron).filter(|&(a, m)| short(a) && self.count(a, core) == m).count() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    /// Hubs and short lists count as a plain map does, however synapses come and go.
    #[test]
    fn lists_count_as_a_plain_map_does() {
        const NEURONS: u32 = 2_000;
        let mut random = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(5);
        // Axon 0 reaches every neuron, the others few.
        let axons: Vec<u32> = (0..NEURONS).flat_map(|v| [0, 1 + v / 40 % 5].into_iter().take(if v % 40 == 0 { 2 } else { 1 })).collect();
        let offsets = (0..=NEURONS as usize).map(|v| v + v.div_ceil(40)).collect();
        let graph = Hypergraph::new(6, offsets, axons, Vec::new());
        let mut lists = Lists::new(&graph, u32::MAX);
        assert_eq!(lists.hubs, [0]);
        let mut plain = std::collections::BTreeMap::<(u32, u32), u32>::new();
        for _ in 0..20_000 {
            let axon = if random.random_bool(0.7) { 0 } else { random.random_range(1..6) };
            let core = random.random_range(0..if axon == 0 { 900 } else { 10 });
            let held = plain.entry((axon, core)).or_insert(0);
            assert_eq!(lists.count(axon, core), *held);
            if *held > 0 && random.random_bool(0.6) {
                let less = random.random_range(1..=*held);
                *held -= less;
                assert_eq!(lists.remove(axon, core, less), *held);
            } else {
                let more = random.random_range(1..4);
                assert_eq!(lists.add(axon, core, more), *held);
                *held += more;
            }
            if *held == 0 {
                plain.remove(&(axon, core));
            }
        }
        for axon in 0..6 {
            let mut found = Vec::new();
            lists.each(axon, |core, count| found.push((core, count)));
            found.sort_unstable();
            let wanted: Vec<_> = plain.iter().filter(|(k, _)| k.0 == axon).map(|(k, &n)| (k.1, n)).collect();
            assert_eq!(found, wanted);
            assert_eq!(lists.cores_of(axon) as usize, wanted.len());
        }
    }
}
