//! Exact packing of one core: encodings, formats, profiles, and the count of every resource.
//!
//! In: neurons in compartment order and the [`Wiring`]. Out: [`CorePack`], the core's tables without its links to other cores.
//! Invariant: nothing is lost: the pack holds every synapse of its neurons once; limits are counted, never enforced here.
//! Cost: linear in the synapses for a pack. `Packer::largest` finds how many neurons of a row fit with a handful of packs:
//! compartments only grow, so the lists of fewer neurons are prefixes of those of more.

mod choose;
pub mod kernels;
pub mod share;
#[cfg(test)]
mod tests;
pub mod usage;
pub mod wiring;

use choose::{Lists, Plan, choose};
use kernels::Cluster;
use spikec_chip::cost;
use spikec_chip::image::{CompartmentProfile, InAxon, StoredSynapse, SynapseEntry, SynapseFormat, SynapseList};
use spikec_chip::target::{Compression, Packed, Sign, Target};
use spikec_net::{Fixed, Net, Quantized};
pub use usage::Usage;
use wiring::registers;
pub use wiring::{Incoming, NeuronRef, WeightClass, Wiring};

/// Compartment numbers are 16 bits wide in every image.
const MOST_COMPARTMENTS: usize = 1 << 16;

/// An input axon of a packed core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedAxon {
    /// Unit whose spikes it receives; an axon over the limit of words is several neighbours with one source.
    pub source: u32,
    /// The list that it reads, and where.
    pub axon: InAxon,
}

/// A list of synaptic memory of a packed core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedList {
    /// Words of synaptic memory.
    pub words: u32,
    /// Input axons that read it.
    pub readers: u32,
    /// Its entries.
    pub list: SynapseList,
}

/// A packed core without its output axons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorePack {
    /// Unit of each compartment.
    pub units: Vec<u32>,
    /// Delay width.
    pub delay_bits: u8,
    /// Synapse formats.
    pub formats: Vec<SynapseFormat>,
    /// Lists in the order in which input axons name them first.
    pub lists: Vec<PackedList>,
    /// Input axons by source.
    pub in_axons: Vec<PackedAxon>,
    /// Compartment profiles in the order of their first neuron.
    pub compartment_profiles: Vec<CompartmentProfile>,
    /// Threshold mantissas in the order of their first neuron.
    pub threshold_profiles: Vec<u32>,
    /// Compartment profile and threshold profile of each compartment.
    pub profiles: Vec<(u8, u8)>,
    /// Resources: need and limit.
    pub usage: Vec<Usage>,
}

impl CorePack {
    /// Words of synaptic memory.
    pub fn words(&self) -> u64 {
        self.lists.iter().map(|l| u64::from(l.words)).sum()
    }
    /// The list that an input axon reads.
    pub fn list(&self, axon: &PackedAxon) -> &PackedList {
        &self.lists[usize::from(axon.axon.list)]
    }
    /// Synapses that a spike of an input axon reads, filler included.
    pub fn synapses(&self, axon: &PackedAxon) -> usize {
        self.list(axon).list.len()
    }
}

/// A synapse of an axon's list but for its post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Synapse {
    class: u16,
    mantissa: i16,
    delay: u16,
}

/// Synapses from one source, posts ascending.
#[derive(Debug, Default)]
struct Axon {
    source: u32,
    posts: Vec<u16>,
    synapses: Vec<Synapse>,
    /// Whether there is more than one class.
    mixed: bool,
}

impl Axon {
    /// The synapses of the first `neurons` compartments.
    fn prefix(&self, neurons: usize) -> List<'_> {
        let n = match self.posts.last() {
            Some(&post) if usize::from(post) >= neurons => self.posts.partition_point(|&post| usize::from(post) < neurons),
            _ => self.posts.len(),
        };
        self.slice(0..n)
    }

    fn slice(&self, range: std::ops::Range<usize>) -> List<'_> {
        List { posts: &self.posts[range.clone()], synapses: &self.synapses[range], mixed: self.mixed }
    }
}

/// A part of an axon's list.
#[derive(Debug, Clone, Copy)]
struct List<'a> {
    posts: &'a [u16],
    synapses: &'a [Synapse],
    mixed: bool,
}

/// What a number of neurons needs, before anything is written.
#[derive(Debug, Clone)]
pub(crate) struct Need {
    plan: Plan,
    /// Axons by the list that they read.
    clusters: Vec<Cluster>,
    /// Words of synaptic memory.
    pub words: u64,
    /// Input axons, those of long lists counted as often as they are cut.
    pub in_axons: u64,
    /// Words of the longest axon.
    pub longest_axon: u32,
    /// Bytes of the core's budget, with the output axon entries that were charged; 0 without a budget.
    pub bytes: u64,
    /// (source, input axons) of axons that are cut.
    pub cut: Vec<(u32, u32)>,
}

/// Scratch for lists of one class.
#[derive(Debug, Default)]
struct Scratch {
    posts: Vec<u16>,
    synapses: Vec<Synapse>,
}

/// Calls `f(class, list)` for the part of each class of an axon, by class.
fn each_class(list: List, class_of: &[u16], scratch: &mut Scratch, mut f: impl FnMut(u16, List)) {
    let Some(first) = list.synapses.first() else { return };
    if !list.mixed {
        return f(class_of[first.class as usize], list);
    }
    let mut classes: Vec<u16> = list.synapses.iter().map(|s| class_of[s.class as usize]).collect();
    classes.sort_unstable();
    classes.dedup();
    for class in classes {
        scratch.posts.clear();
        scratch.synapses.clear();
        for (&post, &s) in list.posts.iter().zip(list.synapses).filter(|(_, s)| class_of[s.class as usize] == class) {
            scratch.posts.push(post);
            scratch.synapses.push(s);
        }
        f(class, List { posts: &scratch.posts, synapses: &scratch.synapses, mixed: false });
    }
}

/// Collects the neurons of a core and packs them.
pub(crate) struct Packer<'a> {
    wiring: &'a Wiring,
    net: &'a Net<Fixed>,
    target: &'a Packed,
    /// For each unit: position in `axons` plus one, 0 = no axon.
    slot: Vec<u32>,
    axons: Vec<Axon>,
    used: usize,
    units: Vec<u32>,
    compartment_profiles: Vec<CompartmentProfile>,
    threshold_profiles: Vec<u32>,
    profiles: Vec<(usize, usize)>,
    max_delay: u32,
    least_bits: u64,
    /// Largest delay of the neurons up to each.
    delays: Vec<u32>,
    /// Neurons up to each whose current outlives a step.
    currents: Vec<u32>,
    /// Output axon entries of the neurons up to each, as they were charged.
    entries: Vec<u64>,
    /// First compartment that a class of the net enters, `u32::MAX` = none.
    class_first: Vec<u32>,
    /// (sign, exponent) of the classes seen: no two of them can share a format.
    kinds: Vec<(Sign, i8)>,
    lists: Lists,
    scratch: Scratch,
}

impl<'a> Packer<'a> {
    /// An empty core.
    pub fn new(q: &'a Quantized, wiring: &'a Wiring, target: &'a Target) -> Self {
        Packer {
            wiring,
            net: &q.net,
            target: target.packed(),
            slot: vec![0; wiring.units() as usize],
            axons: Vec::new(),
            used: 0,
            units: Vec::new(),
            compartment_profiles: Vec::new(),
            threshold_profiles: Vec::new(),
            profiles: Vec::new(),
            max_delay: 0,
            least_bits: 0,
            delays: Vec::new(),
            currents: Vec::new(),
            entries: Vec::new(),
            class_first: vec![u32::MAX; wiring.classes().len()],
            kinds: Vec::new(),
            lists: Lists::default(),
            scratch: Scratch::default(),
        }
    }

    /// Takes all neurons out.
    pub fn clear(&mut self) {
        for axon in &self.axons[..self.used] {
            self.slot[axon.source as usize] = 0;
        }
        self.used = 0;
        self.units.clear();
        self.compartment_profiles.clear();
        self.threshold_profiles.clear();
        self.profiles.clear();
        self.max_delay = 0;
        self.least_bits = 0;
        self.delays.clear();
        self.currents.clear();
        self.entries.clear();
        self.class_first.fill(u32::MAX);
        self.kinds.clear();
    }

    /// Number of neurons.
    pub fn len(&self) -> usize {
        self.units.len()
    }

    /// Adds a neuron as the next compartment; the first 65536 only. True while no cheap bound is passed.
    pub fn push(&mut self, unit: u32) -> bool {
        if self.units.len() == MOST_COMPARTMENTS {
            return false;
        }
        let post = self.units.len() as u16;
        self.units.push(unit);
        let neuron = registers(self.net, self.wiring.reference(unit));
        let profile = CompartmentProfile { decay_u: neuron.decay_u, decay_v: neuron.decay_v, refractory: neuron.refractory };
        self.profiles.push((intern(&mut self.compartment_profiles, profile), intern(&mut self.threshold_profiles, neuron.threshold)));
        for s in self.wiring.incoming(unit) {
            let slot = &mut self.slot[s.source as usize];
            if *slot == 0 {
                if self.used == self.axons.len() {
                    self.axons.push(Axon::default());
                }
                let axon = &mut self.axons[self.used];
                (axon.source, axon.mixed) = (s.source, false);
                axon.posts.clear();
                axon.synapses.clear();
                self.used += 1;
                *slot = self.used as u32;
            }
            let axon = &mut self.axons[*slot as usize - 1];
            axon.mixed |= axon.synapses.last().is_some_and(|last| last.class != s.class);
            axon.posts.push(post);
            axon.synapses.push(Synapse { class: s.class, mantissa: s.mantissa, delay: s.delay });
            self.max_delay = self.max_delay.max(s.delay.into());
            let class = self.wiring.classes()[s.class as usize];
            self.least_bits += u64::from(class.bits);
            if self.class_first[s.class as usize] == u32::MAX {
                self.class_first[s.class as usize] = post.into();
                intern(&mut self.kinds, (class.sign, class.exponent));
            }
        }
        self.delays.push(self.max_delay);
        let keeps = u32::from(cost::keeps_current(&self.target.neuron, neuron.decay_u));
        self.currents.push(self.currents.last().unwrap_or(&0) + keeps);
        self.entries.push(self.entries.last().copied().unwrap_or(0));
        self.within_bounds()
    }

    /// Charges the last neuron with output axon entries: they count in [`Need::bytes`], and nowhere else.
    pub fn charge(&mut self, entries: u64) {
        if let Some(sum) = self.entries.last_mut() {
            *sum = sum.saturating_add(entries);
        }
    }

    /// What a number of neurons are charged with.
    fn charged(&self, neurons: usize, delay_bits: u8, in_axons: u64, words: u64) -> cost::Charged {
        let last = neurons.checked_sub(1);
        cost::Charged {
            compartments: neurons as u64,
            currents: last.map_or(0, |last| self.currents[last].into()),
            delay_bits,
            in_axons,
            out_entries: last.map_or(0, |last| self.entries[last]),
            words,
        }
    }

    /// False when the neurons cannot fit, however they are packed.
    fn within_bounds(&self) -> bool {
        let (core, memory) = (&self.target.core, &self.target.synapse_memory);
        let n = self.units.len() as u64;
        // Axons that share words have no least of their own.
        let apart = self.least_bits.div_ceil(u64::from(*memory.word_bits).max(1)).max(self.used as u64);
        let words = if self.wiring.shares() { 0 } else { apart };
        let least = memory.delay_bits.iter().copied().min().unwrap_or(0);
        let bytes = || cost::core_bytes(self.target, &self.charged(self.units.len(), least, self.used as u64, words));
        cost::budget(core).is_none_or(|budget| bytes() <= budget)
            && n <= u64::from(*core.compartments)
            && (self.wiring.shares() || cost::index_bits(memory, n as u32 - 1).is_some())
            && self.used as u64 <= u64::from(*core.in_axons)
            && cost::delay_slots(n as u32, self.delay_bits(self.max_delay)) <= u64::from(*core.delay_slots_total)
            && self.compartment_profiles.len() as u64 <= u64::from(*core.compartment_profiles)
            && self.threshold_profiles.len() as u64 <= u64::from(*core.threshold_profiles)
            && self.kinds.len() as u64 <= u64::from(*memory.max_formats)
            && words <= u64::from(*memory.usable_words)
    }

    /// Width of the delays; the widest that exists where none is enough (counted under C11).
    fn delay_bits(&self, max_delay: u32) -> u8 {
        let memory = &self.target.synapse_memory;
        cost::delay_bits(memory, max_delay).unwrap_or_else(|| memory.delay_bits.iter().copied().max().unwrap_or(0))
    }

    /// Counts what the first `neurons` compartments need.
    pub fn need(&mut self, neurons: usize) -> Need {
        if !self.wiring.shares() {
            return self.need_with(neurons, None).0;
        }
        let most = (*self.target.synapse_memory.max_axon_base).min(u32::from(u16::MAX)) as u16;
        let (shared, merged) = self.need_with(neurons, Some(most));
        // With all widths and compressions there are, shared lists never take more; which formats are given up is a guess.
        if !merged {
            return shared;
        }
        let (own, _) = self.need_with(neurons, None);
        if (self.fits(&shared), own.words) >= (self.fits(&own), shared.words) { shared } else { own }
    }

    /// What they need with shared lists (`most_base`: the largest base) or without, and whether formats had to be given up.
    fn need_with(&mut self, neurons: usize, most_base: Option<u16>) -> (Need, bool) {
        let memory = &self.target.synapse_memory;
        let (clusters, largest_index) = kernels::clusters(&self.axons[..self.used], neurons, most_base);
        let mut classes: Vec<WeightClass> = Vec::new();
        let mut class_of = vec![u16::MAX; self.class_first.len()];
        for (i, class) in self.wiring.classes().iter().enumerate().filter(|(i, _)| (self.class_first[*i] as usize) < neurons) {
            class_of[i] = classes.len() as u16;
            classes.push(*class);
        }
        let has = |c| memory.compressions.contains(&c);
        let available = [has(Compression::Sparse), has(Compression::RunLength) && !memory.skip_bits.is_empty(), has(Compression::Dense)];
        let widest = memory.index_bits.iter().copied().max().unwrap_or(0);
        let plan = Plan {
            allowed: vec![available; classes.len()],
            classes,
            class_of,
            skip: 0,
            index_bits: cost::index_bits(memory, largest_index).unwrap_or(widest),
            delay_bits: self.delay_bits(neurons.checked_sub(1).map_or(0, |last| self.delays[last])),
        };
        let (axons, scratch) = (&self.axons[..self.used], &mut self.scratch);
        let (plan, merged) = choose(memory, plan, &mut self.lists, |plan, lists| {
            lists.reset(memory);
            for (i, cluster) in clusters.iter().enumerate() {
                each_class(axons[cluster.axon as usize].prefix(neurons), &plan.class_of, scratch, |class, list| {
                    lists.push(memory, plan, i as u32, class, list.posts);
                });
            }
        });
        let (mut words, mut in_axons, mut longest_axon, mut cut) = (0, 0, 0, Vec::new());
        for (cluster, bits) in self.lists.axon_bits(&plan) {
            let Cluster { axon, members } = &clusters[cluster as usize];
            let whole = cost::words(memory, bits);
            if whole <= *memory.max_words_per_axon {
                words += u64::from(whole);
                in_axons += members.len() as u64;
                longest_axon = longest_axon.max(whole);
                continue;
            }
            let pieces = pieces(self.target, &plan, &self.axons[*axon as usize], neurons, whole, &mut self.scratch);
            for piece in &pieces {
                words += u64::from(piece.1);
                longest_axon = longest_axon.max(piece.1);
            }
            in_axons += (pieces.len() * members.len()) as u64;
            cut.extend(members.iter().map(|m| (self.axons[m.0 as usize].source, pieces.len() as u32)));
        }
        let bytes = cost::core_bytes(self.target, &self.charged(neurons, plan.delay_bits, in_axons, words));
        (Need { plan, clusters, words, in_axons, longest_axon, bytes, cut }, merged)
    }

    /// True when the need is within the limits that depend on the encoding (C02, C05, C06, C08, C27).
    pub fn fits(&self, need: &Need) -> bool {
        let memory = &self.target.synapse_memory;
        cost::budget(&self.target.core).is_none_or(|budget| need.bytes <= budget)
            && need.words <= u64::from(*memory.usable_words)
            && need.in_axons <= u64::from(*self.target.core.in_axons)
            && need.longest_axon <= *memory.max_words_per_axon
            && need.plan.format_count() <= *memory.max_formats as usize
    }

    /// The largest number of neurons up to `most` that fits, at least one (which may not fit). `most` is at least 1.
    ///
    /// It is the largest where more neurons need more. With shared words they may need less (one more makes lists translates of each other); then this
    /// is a number that fits and whose next one doesn't, or the first probe that fits.
    pub fn largest(&mut self, most: usize) -> (usize, Need) {
        // What grows with the neurons: bytes where all share them, else words.
        let budget = cost::budget(&self.target.core);
        let usable = budget.map_or_else(|| f64::from(*self.target.synapse_memory.usable_words), |bytes| bytes as f64);
        let size = |need: &Need| if budget.is_some() { need.bytes as f64 } else { need.words as f64 };
        let need = self.need(most);
        if most <= 1 || self.fits(&need) {
            return (most, need);
        }
        let (mut low, mut low_size, mut found) = (0, 0.0, None);
        let (mut high, mut high_size) = (most, size(&need));
        let mut round = 0;
        while high - low > 1 {
            // They grow almost in proportion to the neurons: interpolate, and halve when that does not get on.
            let share = (usable - low_size) / (high_size - low_size);
            let guess = if round < 3 && high_size > usable { low + (share * (high - low) as f64) as usize } else { low + (high - low) / 2 };
            let guess = guess.clamp(low + 1, high - 1);
            round += 1;
            let need = self.need(guess);
            if self.fits(&need) {
                (low, low_size, found) = (guess, size(&need), Some(need));
            } else {
                (high, high_size) = (guess, size(&need));
            }
        }
        match found {
            Some(need) => (low, need),
            None => (1, self.need(1)),
        }
    }

    /// Packs all neurons.
    pub fn pack(&mut self) -> CorePack {
        let neurons = self.units.len();
        let need = self.need(neurons);
        let memory = &self.target.synapse_memory;
        let plan = &need.plan;
        // Formats in the order of their first entry: one that is allowed but never the cheapest takes no record.
        let mut formats: Vec<SynapseFormat> = Vec::new();
        // (axon, base, cluster), by source.
        let members = need.clusters.iter().enumerate().flat_map(|(k, c)| c.members.iter().map(move |&(axon, base)| (axon, base, k)));
        let mut order: Vec<(u32, u16, usize)> = members.collect();
        order.sort_unstable_by_key(|m| self.axons[m.0 as usize].source);
        let mut lists: Vec<PackedList> = Vec::new();
        let mut in_axons = Vec::with_capacity(need.in_axons as usize);
        let mut written: Vec<std::ops::Range<usize>> = vec![0..0; need.clusters.len()];
        let mut longest_entry = 0;
        for (member, base, k) in order {
            let source = self.axons[member as usize].source;
            if !written[k].is_empty() {
                for list in written[k].clone() {
                    lists[list].readers += 1;
                    in_axons.push(PackedAxon { source, axon: InAxon { list: list as u16, base } });
                }
                continue;
            }
            let start = lists.len();
            let cluster = &need.clusters[k];
            let (axon, own_base) = (&self.axons[cluster.axon as usize], cluster.base());
            let whole = list_words(self.target, plan, axon.prefix(neurons), &mut self.scratch);
            for (range, words) in pieces(self.target, plan, axon, neurons, whole, &mut self.scratch) {
                let mut entries = Vec::new();
                each_class(axon.slice(range), &plan.class_of, &mut self.scratch, |class, list| {
                    let (format, sections, _) = plan.encode(memory, class, list.posts);
                    let id = intern(&mut formats, format) as u8;
                    for section in sections {
                        longest_entry = longest_entry.max(u64::from(section.stored));
                        entries.push(SynapseEntry { format: id, synapses: stored(&list, section.range, format.compression, own_base) });
                    }
                });
                in_axons.push(PackedAxon { source, axon: InAxon { list: lists.len() as u16, base } });
                lists.push(PackedList { words, readers: 1, list: SynapseList { entries } });
            }
            written[k] = start..lists.len();
        }
        let usage = usage::of_core(
            self.target,
            &usage::CoreNeed {
                compartments: neurons as u64,
                in_axons: need.in_axons,
                words: need.words,
                longest_axon: need.longest_axon.into(),
                longest_entry,
                formats: formats.len() as u64,
                compartment_profiles: self.compartment_profiles.len() as u64,
                threshold_profiles: self.threshold_profiles.len() as u64,
                max_delay: self.max_delay.into(),
                delay_slots: cost::delay_slots(neurons as u32, plan.delay_bits),
                bytes: need.bytes,
            },
        );
        CorePack {
            units: self.units.clone(),
            delay_bits: plan.delay_bits,
            formats,
            lists,
            in_axons,
            compartment_profiles: self.compartment_profiles.clone(),
            threshold_profiles: self.threshold_profiles.clone(),
            profiles: self.profiles.iter().map(|&(p, t)| (p as u8, t as u8)).collect(),
            usage,
        }
    }
}

/// Index of `value` in `list`, appended when new.
fn intern<T: PartialEq>(list: &mut Vec<T>, value: T) -> usize {
    list.iter().position(|v| *v == value).unwrap_or_else(|| {
        list.push(value);
        list.len() - 1
    })
}

/// Words of an axon with this list.
fn list_words(target: &Packed, plan: &Plan, list: List, scratch: &mut Scratch) -> u32 {
    let memory = &target.synapse_memory;
    let mut bits = 0;
    each_class(list, &plan.class_of, scratch, |class, list| bits += plan.encode(memory, class, list.posts).2);
    cost::words(memory, bits)
}

/// Cuts the list of an axon, `whole` words for the first `neurons` compartments, into the fewest parts of equal numbers of synapses that
/// keep the limit of words (C06): (positions, words) of each. One synapse is never cut.
fn pieces(
    target: &Packed,
    plan: &Plan,
    axon: &Axon,
    neurons: usize,
    whole: u32,
    scratch: &mut Scratch,
) -> Vec<(std::ops::Range<usize>, u32)> {
    let n = axon.prefix(neurons).posts.len();
    let most = (*target.synapse_memory.max_words_per_axon).max(1);
    let mut parts = (whole.div_ceil(most) as usize).clamp(1, n);
    if parts == 1 {
        return vec![(0..n, whole)];
    }
    loop {
        let bounds = |i: usize| i * n / parts;
        let cut: Vec<_> = (0..parts)
            .map(|i| {
                let range = bounds(i)..bounds(i + 1);
                let words = list_words(target, plan, axon.slice(range.clone()), scratch);
                (range, words)
            })
            .collect();
        if parts == n || cut.iter().all(|c| c.1 <= most) {
            return cut;
        }
        parts += 1;
    }
}

/// The stored synapses of a section, named from `base` on; dense sections get zeros for absent compartments.
fn stored(list: &List, range: std::ops::Range<usize>, compression: Compression, base: u16) -> Vec<StoredSynapse> {
    let synapses = list.posts[range.clone()].iter().zip(&list.synapses[range]);
    let synapses = synapses.map(|(&post, s)| StoredSynapse { index: post - base, mantissa: s.mantissa, delay: s.delay.min(255) as u8 });
    if compression != Compression::Dense {
        return synapses.collect();
    }
    let mut out: Vec<StoredSynapse> = Vec::with_capacity(synapses.len());
    for s in synapses {
        while let Some(last) = out.last().filter(|last| last.index + 1 < s.index) {
            out.push(StoredSynapse { index: last.index + 1, mantissa: 0, delay: 0 });
        }
        out.push(s);
    }
    out
}
