//! An assignment of neurons to cores, with every resource counted as neurons come and go.
//!
//! In: assignments and moves. Out: use of each core, and the price of a move before it is made.
//! Invariant: after any sequence of assignments the counts are those of a recount (`State::recount`, property test).
//! Cost: a move takes as many steps as the neuron has axons (times the cores of each, where pairs are lists).
//! Why: out entries couple the cores: a neuron that enters a new core takes an entry on the core of each of its sources.

use crate::hypergraph::Hypergraph;
use crate::limits::{Limits, Memory};
use crate::pairs::Pairs;

/// No core.
pub const NONE: u32 = u32::MAX;

/// Use of a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Use {
    /// Neurons.
    pub neurons: i64,
    /// Input axons.
    pub in_slots: i64,
    /// Output axon entries.
    pub out_entries: i64,
    /// Words of synaptic memory.
    pub words: i64,
    /// Bytes that its neurons take each by itself ([`Memory::own`]).
    pub own: i64,
}

/// Neurons on cores.
pub struct State<'a, P> {
    /// The hypergraph.
    pub graph: &'a Hypergraph,
    /// The limits.
    pub limits: &'a Limits,
    /// Pairs.
    pub pairs: P,
    part: Vec<u32>,
    uses: Vec<Use>,
    /// What each neuron takes beside what the hypergraph says, on whatever core; empty: nothing.
    fixed: &'a [Use],
    /// Chip of each core; empty: one chip.
    chips: Vec<u32>,
    /// For each labelling and core: neurons of each label.
    labels: Vec<Vec<u32>>,
    /// For each labelling and core: labels present.
    present: Vec<Vec<u32>>,
    /// For each core: neurons of each level.
    levels: Vec<u32>,
}

impl<'a, P: Pairs> State<'a, P> {
    /// All neurons unassigned. `chips` is the chip of each core; empty for one chip.
    pub fn new(graph: &'a Hypergraph, limits: &'a Limits, pairs: P, cores: u32, chips: Vec<u32>) -> Self {
        let cores = cores as usize;
        State {
            graph,
            limits,
            pairs,
            part: vec![NONE; graph.neurons() as usize],
            uses: vec![Use::default(); cores],
            fixed: &[],
            chips,
            labels: limits.labels.iter().map(|l| vec![0; cores * usize::from(l.kinds)]).collect(),
            present: limits.labels.iter().map(|_| vec![0; cores]).collect(),
            levels: limits.levels.as_ref().map_or(Vec::new(), |l| vec![0; cores * l.most_neurons.len()]),
        }
    }

    /// The same, with what each neuron takes beside what the hypergraph says, on whatever core it is. Nothing is assigned yet.
    pub fn with_fixed(self, fixed: &'a [Use]) -> Self {
        State { fixed, ..self }
    }

    /// What a neuron takes on any core, beside what the hypergraph says.
    pub fn fixed(&self, neuron: u32) -> Use {
        self.fixed.get(neuron as usize).copied().unwrap_or_default()
    }

    /// Adds what is fixed of a neuron to a core, or takes it away.
    fn count_fixed(&mut self, neuron: u32, core: u32, times: i64) {
        if let Some(fixed) = self.fixed.get(neuron as usize) {
            let used = &mut self.uses[core as usize];
            used.in_slots += times * fixed.in_slots;
            used.words += times * fixed.words;
        }
    }

    /// Cores.
    pub fn cores(&self) -> u32 {
        self.uses.len() as u32
    }
    /// Chip of each core; empty for one chip.
    pub fn chips(&self) -> &[u32] {
        &self.chips
    }
    /// Opens one core more on a chip. All cores of a state on several chips are opened so, or were given with it.
    pub fn open_on(&mut self, chip: u32) -> u32 {
        self.chips.push(chip);
        self.open()
    }
    /// Opens one core more; pairs must have been made for as many.
    pub fn open(&mut self) -> u32 {
        self.uses.push(Use::default());
        for (l, labels) in self.limits.labels.iter().enumerate() {
            self.labels[l].extend(std::iter::repeat_n(0, usize::from(labels.kinds)));
            self.present[l].push(0);
        }
        if let Some(levels) = &self.limits.levels {
            self.levels.extend(std::iter::repeat_n(0, levels.most_neurons.len()));
        }
        self.uses.len() as u32 - 1
    }
    /// Core of a neuron; [`NONE`] while it has none.
    pub fn part(&self, neuron: u32) -> u32 {
        self.part[neuron as usize]
    }
    /// Core of every neuron.
    pub fn parts(&self) -> &[u32] {
        &self.part
    }
    /// Core of every neuron, the state let go.
    pub fn into_parts(self) -> Vec<u32> {
        self.part
    }
    /// Use of a core.
    pub fn used(&self, core: u32) -> Use {
        self.uses[core as usize]
    }
    /// Input slots of all cores.
    pub fn in_slots(&self) -> i64 {
        self.uses.iter().map(|u| u.in_slots).sum()
    }

    /// Entries of a destination.
    fn entries(&self, from: u32, to: u32) -> i64 {
        let off_chip = !self.chips.is_empty() && self.chips[from as usize] != self.chips[to as usize];
        i64::from(self.limits.entry_cost) + if off_chip { i64::from(self.limits.off_chip_extra) } else { 0 }
    }

    /// Out entries of a neuron if it sat on `core`, its posts where they are.
    pub fn out_entries(&self, neuron: u32, core: u32) -> i64 {
        let axon = self.graph.axon(neuron);
        let fixed = self.fixed(neuron).out_entries;
        if self.chips.is_empty() {
            return fixed + i64::from(self.pairs.cores_of(axon)) * i64::from(self.limits.entry_cost);
        }
        let mut sum = fixed;
        self.pairs.each(axon, |to, _| sum += self.entries(core, to));
        sum
    }

    /// Bytes that a neuron takes by itself.
    fn own(&self, neuron: u32) -> i64 {
        self.limits.memory.as_ref().map_or(0, |m: &Memory| m.own(neuron))
    }

    /// Puts an unassigned neuron on a core, within limits or not.
    pub fn assign(&mut self, neuron: u32, core: u32) {
        let graph = self.graph;
        for (axon, synapses) in graph.synapses(neuron) {
            let before = self.pairs.add(axon, core, synapses);
            let used = &mut self.uses[core as usize];
            used.words += i64::from(self.limits.words(axon, before + synapses)) - i64::from(self.limits.words(axon, before));
            if before == 0 {
                used.in_slots += 1;
                self.charge(axon, core, 1);
            }
        }
        self.part[neuron as usize] = core;
        self.count_fixed(neuron, core, 1);
        let (entries, own) = (self.out_entries(neuron, core), self.own(neuron));
        let used = &mut self.uses[core as usize];
        (used.out_entries, used.neurons, used.own) = (used.out_entries + entries, used.neurons + 1, used.own + own);
        for (l, labels) in self.limits.labels.iter().enumerate() {
            let count = &mut self.labels[l][core as usize * usize::from(labels.kinds) + usize::from(labels.of_neuron[neuron as usize])];
            *count += 1;
            self.present[l][core as usize] += u32::from(*count == 1);
        }
        if let Some(levels) = &self.limits.levels {
            self.levels[core as usize * levels.most_neurons.len() + usize::from(levels.of_neuron[neuron as usize])] += 1;
        }
    }

    /// Takes a neuron off its core.
    pub fn unassign(&mut self, neuron: u32) {
        let graph = self.graph;
        let core = self.part[neuron as usize];
        let (entries, own) = (self.out_entries(neuron, core), self.own(neuron));
        let used = &mut self.uses[core as usize];
        (used.out_entries, used.neurons, used.own) = (used.out_entries - entries, used.neurons - 1, used.own - own);
        self.count_fixed(neuron, core, -1);
        self.part[neuron as usize] = NONE;
        for (axon, synapses) in graph.synapses(neuron) {
            let after = self.pairs.remove(axon, core, synapses);
            let used = &mut self.uses[core as usize];
            used.words += i64::from(self.limits.words(axon, after)) - i64::from(self.limits.words(axon, after + synapses));
            if after == 0 {
                used.in_slots -= 1;
                self.charge(axon, core, -1);
            }
        }
        for (l, labels) in self.limits.labels.iter().enumerate() {
            let count = &mut self.labels[l][core as usize * usize::from(labels.kinds) + usize::from(labels.of_neuron[neuron as usize])];
            *count -= 1;
            self.present[l][core as usize] -= u32::from(*count == 0);
        }
        if let Some(levels) = &self.limits.levels {
            self.levels[core as usize * levels.most_neurons.len() + usize::from(levels.of_neuron[neuron as usize])] -= 1;
        }
    }

    /// Charges (or returns) the entries of `axon` into `core` to the core of its source.
    fn charge(&mut self, axon: u32, core: u32, times: i64) {
        let Some(source) = self.graph.source(axon) else { return };
        let from = self.part[source as usize];
        if from != NONE {
            self.uses[from as usize].out_entries += times * self.entries(from, core);
        }
    }

    /// Neurons that a core may hold, given the levels on it and one neuron more.
    pub fn most_neurons(&self, core: u32, more: Option<u32>) -> i64 {
        let Some(levels) = &self.limits.levels else { return self.limits.neurons.into() };
        levels.most_neurons[self.level(core, more) as usize].min(self.limits.neurons).into()
    }

    /// The highest level on a core, and of one neuron more.
    pub fn level(&self, core: u32, more: Option<u32>) -> u32 {
        let Some(levels) = &self.limits.levels else { return 0 };
        let kinds = levels.most_neurons.len();
        let counts = &self.levels[core as usize * kinds..(core as usize + 1) * kinds];
        counts.iter().rposition(|&c| c > 0).unwrap_or(0).max(more.map_or(0, |v| levels.of_neuron[v as usize].into())) as u32
    }

    /// Out entries that a core can have beside its neurons, axons and words.
    pub fn most_entries(&self, core: u32) -> i64 {
        if self.limits.memory.is_none() {
            return self.limits.out_entries.into();
        }
        self.limits.entries_beside(&self.uses[core as usize], self.level(core, None))
    }

    /// True when a core has the bytes for `used`, and one neuron more where it is given.
    fn bytes_fit(&self, core: u32, used: &Use, more: Option<u32>) -> bool {
        self.limits.memory.is_none() || self.limits.bytes_fit(used, self.level(core, more))
    }

    /// True when the labels of a core leave room for a neuron.
    pub fn labels_fit(&self, neuron: u32, core: u32) -> bool {
        self.limits.labels.iter().enumerate().all(|(l, labels)| {
            let count = self.labels[l][core as usize * usize::from(labels.kinds) + usize::from(labels.of_neuron[neuron as usize])];
            self.present[l][core as usize] + u32::from(count == 0) <= labels.most
        })
    }

    /// Labels of a core beyond those that it may hold.
    pub fn labels_over(&self, core: u32) -> u32 {
        self.present.iter().zip(&self.limits.labels).map(|(p, l)| p[core as usize].saturating_sub(l.most)).sum()
    }

    /// True when a core is within all limits but those of single neurons.
    pub fn within(&self, core: u32) -> bool {
        let (used, limits) = (self.uses[core as usize], self.limits);
        used.neurons <= self.most_neurons(core, None)
            && used.in_slots <= limits.in_slots.into()
            && used.out_entries <= limits.out_entries.into()
            && used.words <= limits.words.into()
            && self.bytes_fit(core, &used, None)
            && self.present.iter().zip(&limits.labels).all(|(p, l)| p[core as usize] <= l.most)
    }

    /// What assigning an unassigned neuron would add to a core, the entries of its sources on that same core included; entries on other
    /// cores are in [`State::sources_fit`].
    pub fn added(&self, neuron: u32, core: u32) -> Use {
        let mut add = Use { neurons: 1, out_entries: self.out_entries(neuron, core), own: self.own(neuron), ..self.fixed(neuron) };
        for (axon, synapses) in self.graph.synapses(neuron) {
            let before = self.pairs.count(axon, core);
            add.words += i64::from(self.limits.words(axon, before + synapses)) - i64::from(self.limits.words(axon, before));
            if before == 0 {
                add.in_slots += 1;
                if let Some(source) = self.graph.source(axon)
                    && (self.part[source as usize] == core || source == neuron)
                {
                    add.out_entries += self.entries(core, core);
                }
            }
        }
        add
    }

    /// True when a neuron has no more destinations than a neuron may have.
    pub fn destinations_fit(&self, neuron: u32) -> bool {
        self.pairs.cores_of(self.graph.axon(neuron)) <= self.limits.out_per_neuron
    }

    /// True when the new entries that assigning `neuron` to `core` causes fit the cores of its sources, and no source gets more destinations
    /// than it may have. `scratch` has an entry for each core, all 0, and is left so.
    pub fn sources_fit(&self, neuron: u32, core: u32, scratch: &mut [i64]) -> bool {
        let few = |&axon: &u32| {
            self.graph.source(axon).is_none() || self.pairs.cores_of(axon) < self.limits.out_per_neuron || self.pairs.count(axon, core) > 0
        };
        let mut fit = self.limits.out_per_neuron >= self.cores() || self.graph.in_axons(neuron).iter().all(few);
        let each = |f: &mut dyn FnMut(u32, i64)| {
            for &axon in self.graph.in_axons(neuron) {
                if let Some(source) = self.graph.source(axon) {
                    let from = self.part[source as usize];
                    if from != NONE && from != core && self.pairs.count(axon, core) == 0 {
                        f(from, self.entries(from, core));
                    }
                }
            }
        };
        each(&mut |from, entries| {
            scratch[from as usize] += entries;
            fit &= self.uses[from as usize].out_entries + scratch[from as usize] <= self.most_entries(from);
        });
        each(&mut |from, _| scratch[from as usize] = 0);
        fit
    }

    /// True when a core stays within its limits with `add` more.
    pub fn room(&self, neuron: u32, core: u32, add: Use) -> bool {
        let (used, limits) = (self.uses[core as usize], self.limits);
        let both = Use {
            neurons: used.neurons + add.neurons,
            in_slots: used.in_slots + add.in_slots,
            out_entries: used.out_entries + add.out_entries,
            words: used.words + add.words,
            own: used.own + add.own,
        };
        both.neurons <= self.most_neurons(core, Some(neuron))
            && both.in_slots <= limits.in_slots.into()
            && both.out_entries <= limits.out_entries.into()
            && both.words <= limits.words.into()
            && self.bytes_fit(core, &both, Some(neuron))
            && self.labels_fit(neuron, core)
    }
}
