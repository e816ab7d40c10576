//! What is written, decided once: cores, somas, the input core, synapse units and biases.
//!
//! In: a bundle that booted, and a sample. Out: [`Plan`]. Invariant: the files are functions of the plan alone.
//! Cost: one pass over the synapses of all messages; the edges themselves are made again from the tables when they are written.

use super::notes::Note;
use crate::error::ExportError;
use spikec_chip::bundle::{Encoder, Place};
use spikec_chip::target::{Compression, Target};
use spikec_chip::{CoreTables, Loadable, Mesh, decode_core};
use spikec_data::{SpikeTrain, Stimulus, latency, rate};
use spikec_sim::{Arithmetic, BiasChange, Machine};

/// Steps beyond the shortest that SANA-FE's `accumulator_with_delay` holds.
const MAX_DELAY: u32 = 5;
/// Compartments that SANA-FE's models hold.
const MAX_COMPARTMENTS: usize = 1024;
/// SANA-FE cuts potentials to 1/64.
const V_UNIT: f64 = 64.0;
/// Largest potential that a bias is made up for with, in v units.
const LARGEST_V: i64 = 1 << 29;

/// Which synapse unit reads an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Dense,
    Sparse,
    /// Entries that several input axons share.
    Conv,
}

impl Unit {
    pub(super) fn name(self) -> &'static str {
        match self {
            Unit::Dense => "dense",
            Unit::Sparse => "sparse",
            Unit::Conv => "conv",
        }
    }

    /// All units, the first of equally frequent ones first.
    pub(super) const ALL: [Unit; 3] = [Unit::Sparse, Unit::Dense, Unit::Conv];

    /// Position in [`Unit::ALL`].
    pub(super) fn index(self) -> usize {
        match self {
            Unit::Sparse => 0,
            Unit::Dense => 1,
            Unit::Conv => 2,
        }
    }

    /// The most frequent one, and how many have another.
    fn of(counts: [u64; 3]) -> (Unit, u64) {
        let best = (0..3).fold(0, |best, k| if counts[k] > counts[best] { k } else { best });
        (Unit::ALL[best], counts.iter().sum::<u64>() - counts[best])
    }
}

/// A compartment; v in SANA-FE's units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Soma {
    pub threshold: f64,
    pub leak_decay: f64,
    pub input_decay: f64,
    pub refractory: u8,
    pub bias: f64,
    /// Potential before the first step, which makes up for a bias that begins later.
    pub potential: f64,
    /// Of its synapses, all or most.
    pub unit: Unit,
}

/// A core of the image.
#[derive(Debug)]
pub(super) struct Core {
    pub tables: CoreTables,
    /// Input axons of each list.
    pub readers: Vec<u32>,
    /// SANA-FE's tile.
    pub tile: u32,
    pub slot: u32,
    /// Some synapse into it has a delay.
    pub delayed: bool,
    pub somas: Vec<Soma>,
    /// Populations whose neurons it holds.
    pub populations: Vec<String>,
}

/// The core that stands for the host.
#[derive(Debug)]
pub(super) struct Input {
    pub tile: u32,
    pub slot: u32,
    /// Spikes of each channel by network step; empty without a sample.
    pub spikes: Vec<Vec<bool>>,
    /// Spikes of all channels by network step.
    pub counts: Vec<u32>,
}

/// Where an edge begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Channel(usize),
    /// Position of the core, and compartment.
    Compartment(usize, usize),
}

/// A synapse.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    pub from: Source,
    /// Position of the core.
    pub core: usize,
    pub compartment: u16,
    pub weight: f64,
    pub delay: u32,
    pub unit: Unit,
}

/// See the module's head.
#[derive(Debug)]
pub(super) struct Plan {
    pub target: Target,
    pub mesh: Mesh,
    /// SANA-FE's step of chip step 0: 1 where the host's first spikes are sent before it.
    pub lead: u32,
    pub cores: Vec<Core>,
    pub input: Option<Input>,
    pub notes: Vec<Note>,
    pub biases: Vec<BiasChange>,
    input_axons: Vec<Vec<Place>>,
    arithmetic: Arithmetic,
    /// Steps beyond the shortest of an input's and of a neuron's spike.
    ahead: (u32, u32),
}

/// v units in SANA-FE's.
pub(super) fn volts(v: i32) -> f64 {
    f64::from(v) / V_UNIT
}

impl Plan {
    /// `machine` was booted from `bundle`; `steps` are the sample's.
    pub(super) fn new(bundle: Loadable<'_>, machine: &Machine, sample: Option<&Stimulus>, steps: Option<u32>) -> Result<Plan, ExportError> {
        let target = bundle.target.clone();
        let mesh = Mesh::new(&target.topology);
        let fed = bundle.host.input_axons.iter().any(|axons| !axons.is_empty());
        let (input_hop, neuron_hop) = (*target.topology.input_hop_steps, *target.topology.neuron_hop_steps);
        let mut plan = Plan {
            arithmetic: Arithmetic::new(&target)?,
            lead: u32::from(fed && input_hop == 0),
            cores: Vec::new(),
            input: None,
            notes: Vec::new(),
            biases: Vec::new(),
            input_axons: bundle.host.input_axons.clone(),
            ahead: (input_hop.saturating_sub(1), neuron_hop.saturating_sub(1)),
            mesh,
            target,
        };
        let image = bundle.image.packed();
        for bits in &image.cores {
            let tables = decode_core(bits, bundle.target)?;
            plan.add_core(tables)?;
        }
        for population in &bundle.symbols.populations {
            for (_, place) in population.neurons.iter().chain(&population.copies) {
                if let Some(k) = plan.position(place.core) {
                    let names = &mut plan.cores[k].populations;
                    if names.last() != Some(&population.name) {
                        names.push(population.name.clone());
                    }
                }
            }
        }
        plan.survey()?;
        let values = match sample {
            Some(Stimulus::Values(values)) if bundle.host.encoder == Encoder::Bias => Some(values),
            _ => None,
        };
        if !bundle.host.maps.is_empty() && values.is_none() {
            plan.notes.push(Note::NoValues);
        }
        plan.biases = machine.bias_changes(values, steps.unwrap_or(1))?;
        plan.place_biases()?;
        if fed {
            let coded = match (sample, &bundle.host.encoder, steps) {
                (Some(Stimulus::Spikes(train)), _, Some(steps)) => Some((train.clone(), steps)),
                (Some(Stimulus::Values(v)), Encoder::Rate { full_scale }, Some(steps)) => Some((rate(v, steps, *full_scale), steps)),
                (Some(Stimulus::Values(v)), Encoder::Latency { full_scale }, Some(steps)) => Some((latency(v, steps, *full_scale), steps)),
                _ => None,
            };
            plan.input = Some(plan.input_core(coded)?);
        }
        Ok(plan)
    }

    /// Adds a note, if there is one.
    pub(super) fn note(&mut self, note: Option<Note>) {
        self.notes.extend(note);
    }

    /// Groups, neurons and edges.
    pub(super) fn size(&self) -> (usize, usize, u64) {
        let channels = self.input.as_ref().map_or(0, |_| self.input_axons.len());
        let neurons: usize = self.cores.iter().map(|c| c.somas.len()).sum();
        let mut edges = 0;
        let Ok(()) = self.edges(|_| {
            edges += 1;
            Ok::<(), std::convert::Infallible>(())
        });
        (self.cores.len() + usize::from(self.input.is_some()), neurons + channels, edges)
    }

    /// Channels of the input core.
    pub(super) fn channels(&self) -> usize {
        self.input_axons.len()
    }

    /// Position of a physical core.
    pub(super) fn position(&self, core: u32) -> Option<usize> {
        self.cores.binary_search_by_key(&core, |c| c.tables.core).ok()
    }

    /// SANA-FE numbers tiles column by column.
    fn tile(&self, x: u32, y: u32) -> u32 {
        x * self.mesh.height + y
    }

    fn add_core(&mut self, tables: CoreTables) -> Result<(), ExportError> {
        let core = tables.core;
        let chip = core / self.mesh.cores_per_chip();
        if chip != 0 {
            return Err(ExportError::OtherChip { core, chip });
        }
        let found = tables.compartments.len();
        if found == 0 {
            return Err(ExportError::EmptyCore { core });
        }
        if found > MAX_COMPARTMENTS {
            return Err(ExportError::Compartments { core, found, limit: MAX_COMPARTMENTS });
        }
        let one = f64::from(1u32 << *self.target.packed().neuron.decay_bits);
        let kept = |decay: u16| (one - f64::from(decay)) / one;
        let mut somas = Vec::with_capacity(found);
        for c in &tables.compartments {
            let profile = &tables.compartment_profiles[usize::from(c.profile)];
            somas.push(Soma {
                threshold: volts(self.arithmetic.threshold(tables.threshold_profiles[usize::from(c.threshold_profile)])),
                leak_decay: kept(profile.decay_v),
                input_decay: kept(profile.decay_u),
                refractory: profile.refractory,
                bias: 0.0,
                potential: 0.0,
                unit: Unit::Sparse,
            });
        }
        let router = self.mesh.router(core);
        let (tile, slot) = (self.tile(router.x, router.y), self.mesh.slot(core));
        let readers = tables.readers();
        self.cores.push(Core { tables, readers, tile, slot, delayed: false, somas, populations: Vec::new() });
        Ok(())
    }

    /// Every synapse of every message, by source: the input's channels, then the cores' compartments.
    pub(super) fn edges<E>(&self, mut f: impl FnMut(&Edge) -> Result<(), E>) -> Result<(), E> {
        for (channel, axons) in self.input_axons.iter().enumerate() {
            for axon in axons {
                self.axon_edges(Source::Channel(channel), *axon, self.ahead.0, &mut f)?;
            }
        }
        for (k, core) in self.cores.iter().enumerate() {
            for index in 0..core.tables.compartments.len() {
                for axon in self.axons(k, index) {
                    self.axon_edges(Source::Compartment(k, index), axon, self.ahead.1, &mut f)?;
                }
            }
        }
        Ok(())
    }

    /// Input axons that a compartment sends to.
    fn axons(&self, k: usize, compartment: usize) -> impl Iterator<Item = Place> + '_ {
        let tables = &self.cores[k].tables;
        let c = &tables.compartments[compartment];
        let start = usize::from(c.out_axon_start);
        tables.out_axons[start..start + usize::from(c.out_axon_count)].iter().map(|o| Place { core: o.core, index: o.in_axon })
    }

    fn axon_edges<E>(&self, from: Source, to: Place, ahead: u32, f: &mut impl FnMut(&Edge) -> Result<(), E>) -> Result<(), E> {
        // Booting has checked that every axon that is sent to exists.
        let Some(k) = self.position(to.core) else { return Ok(()) };
        let tables = &self.cores[k].tables;
        let axon = tables.in_axons[usize::from(to.index)];
        let shared = self.cores[k].readers[usize::from(axon.list)] > 1;
        for entry in &tables.list(axon).entries {
            let format = &tables.formats[usize::from(entry.format)];
            let unit = match (shared, format.compression) {
                (true, _) => Unit::Conv,
                (false, Compression::Dense) => Unit::Dense,
                (false, _) => Unit::Sparse,
            };
            for s in &entry.synapses {
                let weight = volts(self.arithmetic.acting_weight(s.mantissa, format.exponent));
                f(&Edge { from, core: k, compartment: axon.compartment(s) as u16, weight, delay: u32::from(s.delay) + ahead, unit })?;
            }
        }
        Ok(())
    }

    /// Chooses synapse units and dendrites, and notes what is not exact.
    fn survey(&mut self) -> Result<(), ExportError> {
        let mut counts: Vec<Vec<[u64; 3]>> = self.cores.iter().map(|c| vec![[0; 3]; c.somas.len()]).collect();
        let mut delayed = vec![false; self.cores.len()];
        self.edges(|edge| {
            counts[edge.core][usize::from(edge.compartment)][edge.unit.index()] += 1;
            delayed[edge.core] |= edge.delay > 0;
            if edge.delay > MAX_DELAY {
                let core = self.cores[edge.core].tables.core;
                return Err(ExportError::Delay { core, compartment: edge.compartment, found: edge.delay, limit: MAX_DELAY });
            }
            Ok(())
        })?;
        let (mut mixed, mut synapses) = (0, 0);
        for ((core, counts), delayed) in self.cores.iter_mut().zip(&counts).zip(delayed) {
            core.delayed = delayed;
            if delayed {
                // SANA-FE's dendrite knows a synapse by its number in its unit: two units would mix up their delays.
                let all = counts.iter().fold([0; 3], |a, c| [a[0] + c[0], a[1] + c[1], a[2] + c[2]]);
                let (unit, others) = Unit::of(all);
                core.somas.iter_mut().for_each(|s| s.unit = unit);
                if others > 0 {
                    self.notes.push(Note::OnePrice { core: core.tables.core, synapses: others });
                }
                continue;
            }
            for (soma, counts) in core.somas.iter_mut().zip(counts) {
                let (unit, others) = Unit::of(*counts);
                soma.unit = unit;
                mixed += usize::from(others > 0);
                synapses += others;
            }
        }
        if mixed > 0 {
            self.notes.push(Note::TwoPrices { compartments: mixed, synapses });
        }
        let (joined, silent) = self.odd_messages();
        self.note((joined > 0).then_some(Note::Joined { messages: joined }));
        self.note((silent > 0).then_some(Note::Silent { messages: silent }));
        let currents = self.somas(|s| s.input_decay != 0.0);
        self.note(currents.map(|(compartments, core, compartment)| Note::Currents { compartments, core, compartment }));
        let held = self.somas(|s| s.refractory > 1);
        self.note(held.map(|(compartments, core, compartment)| Note::Held { compartments, core, compartment }));
        Ok(())
    }

    /// How many compartments are so, and the first.
    fn somas(&self, is: impl Fn(&Soma) -> bool) -> Option<(usize, u32, u16)> {
        let mut found = None;
        for core in &self.cores {
            for (index, _) in core.somas.iter().enumerate().filter(|s| is(s.1)) {
                found.get_or_insert((0, core.tables.core, index as u16)).0 += 1;
            }
        }
        found
    }

    /// Messages that SANA-FE joins with another of the same source, and such that read no synapse.
    fn odd_messages(&self) -> (u64, u64) {
        let (mut joined, mut silent) = (0, 0);
        let mut seen = Vec::new();
        let mut source = |axons: &mut dyn Iterator<Item = Place>| {
            seen.clear();
            for axon in axons {
                let Some(k) = self.position(axon.core) else { continue };
                let tables = &self.cores[k].tables;
                if tables.list(tables.in_axons[usize::from(axon.index)]).is_empty() {
                    silent += 1;
                } else {
                    seen.push(k);
                }
            }
            let all = seen.len();
            seen.sort_unstable();
            seen.dedup();
            joined += (all - seen.len()) as u64;
        };
        for axons in &self.input_axons {
            source(&mut axons.iter().copied());
        }
        for (k, core) in self.cores.iter().enumerate() {
            for index in 0..core.somas.len() {
                source(&mut self.axons(k, index));
            }
        }
        (joined, silent)
    }

    /// Gives somas their biases, and the potentials that make up for those which SANA-FE lets act too early.
    fn place_biases(&mut self) -> Result<(), ExportError> {
        let mut given: Vec<Vec<bool>> = self.cores.iter().map(|c| vec![false; c.somas.len()]).collect();
        let mut early = None;
        let one = 1i64 << *self.target.packed().neuron.decay_bits;
        for change in &self.biases {
            let BiasChange { chip_step, core, compartment, bias } = *change;
            let Some(k) = self.position(core) else { continue };
            if std::mem::replace(&mut given[k][usize::from(compartment)], true) {
                return Err(ExportError::BiasChanges { core, compartment, chip_step });
            }
            let soma = &mut self.cores[k].somas[usize::from(compartment)];
            soma.bias = volts(bias);
            let keep = (soma.leak_decay * one as f64) as i64;
            match potential_before(bias, self.lead + chip_step, (soma.threshold * V_UNIT) as i64, keep, one) {
                Some(v) => soma.potential = v as f64 / V_UNIT,
                None => early.get_or_insert((0, core, compartment)).0 += 1,
            }
        }
        self.note(early.map(|(compartments, core, compartment)| Note::Early { compartments, core, compartment }));
        Ok(())
    }

    fn input_core(&self, coded: Option<(SpikeTrain, u32)>) -> Result<Input, ExportError> {
        let port = self.mesh.host_port();
        let mut spikes = Vec::new();
        let mut counts = Vec::new();
        if let Some((train, steps)) = coded {
            spikes = vec![Vec::new(); self.input_axons.len()];
            for step in 0..steps {
                let channels = train.at(step);
                counts.push(channels.len() as u32);
                for same in channels.chunk_by(|a, b| a == b) {
                    if same.len() > 1 {
                        return Err(ExportError::SpikesTwice { channel: same[0], times: same.len(), step });
                    }
                    // The run has checked the train.
                    if let Some(channel) = spikes.get_mut(same[0] as usize) {
                        channel.resize(step as usize, false);
                        channel.push(true);
                    }
                }
            }
        }
        Ok(Input { tile: self.tile(port.x, port.y), slot: self.mesh.cores_per_router, spikes, counts })
    }
}

/// Potential from which a compartment that gets `bias` for `steps` steps too many comes to 0 without a spike; SANA-FE does not leak in its
/// first step. None where there is none.
pub(super) fn potential_before(bias: i32, steps: u32, threshold: i64, keep: i64, one: i64) -> Option<i64> {
    let bias = i64::from(bias);
    if steps == 0 || bias == 0 {
        return Some(0);
    }
    if keep == 0 {
        // Nothing is carried from one step to the next.
        return (bias <= threshold).then_some(0);
    }
    let mut v = 0;
    for left in (0..steps).rev() {
        if v > threshold {
            return None;
        }
        v -= bias;
        if left > 0 {
            // The smallest magnitude that decays to v.
            v = v.signum() * (v.abs() * one + keep - 1).div_euclid(keep);
        }
        if v.abs() > LARGEST_V {
            return None;
        }
    }
    Some(v)
}
