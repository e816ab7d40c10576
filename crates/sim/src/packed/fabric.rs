//! The synapses, flattened for speed: each source has one list of (lane, acting weight) over all its destination cores.
//!
//! In: decoded cores and the host's input axons. Out: [`Fabric`] and static fan-out tables for the counters.
//! Invariant: every stored synapse is held once (an axon that several sources reach is held apart and referred to), so
//! memory is linear in the image, and in what the axons that share a list read of it, which is bounded; every lane is within the layout; no sum of one step's inputs can overflow i32.
//! Cost: one addition for each synapse of a spike; [`RUN_MIN`] or more neighbours (gaps of up to [`RUN_GAP`] - 1 lanes
//! filled with zeros) are added as slices.

use crate::boot::{BootError, Spot};
use crate::check::{MAX_CELLS, range};
use crate::packed::layout::Layout;
use crate::packed::numbers::{MAX_SHARED, Numbers};
use crate::packed::routes::{AxonOps, FanOut, Routes};
use spikec_chip::bundle::Place;
use spikec_chip::target::Compression;
use spikec_chip::{CoreTables, Target};

/// Shortest run that is added as a slice.
const RUN_MIN: usize = 8;
/// Neighbours in a run are at most this far apart.
const RUN_GAP: u32 = 3;

#[derive(Debug, Clone, Copy)]
struct Synapse {
    lane: u32,
    weight: i32,
}

/// Consecutive lanes.
#[derive(Debug, Clone, Copy)]
struct Run {
    lane: u32,
    start: u32,
    len: u32,
}

/// Synapses of one delay: ranges of `runs` and `singles`.
#[derive(Debug, Clone, Copy, Default)]
struct Group {
    delay: u32,
    runs: (u32, u32),
    singles: (u32, u32),
}

/// A neuron or an input channel.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Source {
    /// Most sources have only this group.
    first: Group,
    /// Range of `chunks`.
    rest: (u32, u32),
}

/// Dendritic accumulators: one slot of lanes for each chip step ahead.
#[derive(Debug)]
pub(crate) struct Ring {
    cells: Vec<i32>,
    /// 1 where a synapse reaches a lane, also one of weight 0; empty where nobody asks.
    touched: Vec<u8>,
    lanes: usize,
    slots: usize,
    now: usize,
}

impl Ring {
    pub(crate) fn new(lanes: usize, slots: usize, exact: bool) -> Ring {
        let cells = lanes * slots;
        Ring { cells: vec![0; cells], touched: vec![0; if exact { cells } else { 0 }], lanes, slots, now: 0 }
    }
    /// The inputs of the current step.
    pub(crate) fn current(&mut self) -> &mut [i32] {
        let at = self.slot(0);
        &mut self.cells[at..at + self.lanes]
    }
    /// The lanes that are reached in the current step; empty where nobody asks.
    pub(crate) fn touched(&mut self) -> &mut [u8] {
        let at = self.slot(0);
        if self.touched.is_empty() { &mut [] } else { &mut self.touched[at..at + self.lanes] }
    }
    /// Begin of a slot.
    #[inline]
    fn slot(&self, ahead: usize) -> usize {
        let at = self.now + ahead;
        (if at >= self.slots { at - self.slots } else { at }) * self.lanes
    }
    /// Goes to the next chip step; the current slot must be all zero.
    pub(crate) fn advance(&mut self) {
        self.now = if self.now + 1 == self.slots { 0 } else { self.now + 1 };
    }
    /// As after booting.
    pub(crate) fn clear(&mut self) {
        self.cells.fill(0);
        self.touched.fill(0);
        self.now = 0;
    }
}

/// All synapses.
#[derive(Debug, Default)]
pub(crate) struct Fabric {
    runs: Vec<Run>,
    run_weights: Vec<i32>,
    singles: Vec<Synapse>,
    groups: Vec<Group>,
    /// Ranges of `groups`.
    chunks: Vec<(u32, u32)>,
    /// By lane.
    pub neurons: Vec<Source>,
    /// By input channel.
    pub inputs: Vec<Source>,
    pub neuron_fan_out: FanOut,
    pub input_fan_out: FanOut,
    /// Synapses of weight 0 are kept and runs have no gaps, so that what is added to is what is reached.
    pub exact: bool,
    /// Accumulator slots.
    pub slots: usize,
    /// Largest possible input of one step from neurons, in units.
    pub neuron_sum: u64,
    /// The same from inputs that spike once.
    pub input_sum: u64,
}

/// Asks for a cache line ahead of its use; changes no result.
#[inline]
fn fetch<T>(item: Option<&T>) {
    #[cfg(target_arch = "x86_64")]
    if let Some(item) = item {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the pointer comes from a reference, and a prefetch reads nothing that the program sees.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(item).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = item;
}

impl Fabric {
    /// Fetches a neuron's entry; it fired and will be delivered in the next step.
    #[inline]
    pub(crate) fn fetch_source(&self, lane: usize) {
        fetch(self.neurons.get(lane));
    }

    /// Fetches the beginning of a neuron's synapses; it will be delivered soon.
    #[inline]
    pub(crate) fn fetch_synapses(&self, lane: usize) {
        let (from, to) = self.neurons[lane].first.singles;
        for k in (from..to.min(from + 48)).step_by(64 / size_of::<Synapse>()) {
            fetch(self.singles.get(k as usize));
        }
    }

    /// Adds a spike's weights; `ahead` is the hop (from the current step) before delay registers count.
    #[inline]
    pub(crate) fn deliver(&self, source: &Source, ahead: usize, ring: &mut Ring) {
        if self.exact {
            self.deliver_as::<true>(source, ahead, ring);
        } else {
            self.deliver_as::<false>(source, ahead, ring);
        }
    }

    #[inline]
    fn deliver_as<const EXACT: bool>(&self, source: &Source, ahead: usize, ring: &mut Ring) {
        self.add::<EXACT>(&source.first, ahead, ring);
        for &(from, to) in &self.chunks[source.rest.0 as usize..source.rest.1 as usize] {
            for group in &self.groups[from as usize..to as usize] {
                self.add::<EXACT>(group, ahead, ring);
            }
        }
    }

    #[inline]
    fn add<const EXACT: bool>(&self, group: &Group, ahead: usize, ring: &mut Ring) {
        let at = ring.slot(ahead + group.delay as usize);
        let slot = &mut ring.cells[at..at + ring.lanes];
        let touched = if EXACT { &mut ring.touched[at..at + ring.lanes] } else { &mut [] };
        for run in &self.runs[group.runs.0 as usize..group.runs.1 as usize] {
            let weights = &self.run_weights[run.start as usize..][..run.len as usize];
            for (cell, weight) in slot[run.lane as usize..][..weights.len()].iter_mut().zip(weights) {
                *cell = cell.wrapping_add(*weight);
            }
            if EXACT {
                touched[run.lane as usize..][..weights.len()].fill(1);
            }
        }
        for synapse in &self.singles[group.singles.0 as usize..group.singles.1 as usize] {
            let cell = &mut slot[synapse.lane as usize];
            *cell = cell.wrapping_add(synapse.weight);
            if EXACT {
                touched[synapse.lane as usize] = 1;
            }
        }
    }

    /// Checks all routes and synapses and flattens them.
    pub(crate) fn new(cores: Cores<'_>, target: &Target, input_axons: &[Vec<Place>], exact: bool) -> Result<Fabric, BootError> {
        let layout = cores.layout;
        let routes = Routes::new(cores, target, input_axons)?;
        let mut fabric = Fabric { exact, ..Fabric::default() };
        let (ops, max_delay) = fabric.survey(cores, &routes)?;
        let ahead = (cores.numbers.neuron_hop - 1).max(cores.numbers.input_hop) as usize;
        fabric.slots = ahead + max_delay as usize + 1;
        let cells = fabric.slots as u64 * layout.lanes() as u64;
        if cells > MAX_CELLS {
            return Err(BootError::TooBig { what: "accumulator cells", need: cells, limit: MAX_CELLS });
        }
        // An axon with one source joins that source's list; any other is stored once, for itself.
        let mut shared: Vec<Option<(u32, u32)>> = vec![None; routes.axons.len()];
        let mut list = Vec::new();
        for (axon, at) in routes.axons.iter().enumerate() {
            if routes.neuron_refs[axon] + routes.input_refs[axon] > 1 {
                cores.collect(*at, exact, &mut list);
                let from = fabric.groups.len();
                let groups = fabric.store(&mut list)?;
                fabric.groups.extend(groups);
                shared[axon] = Some((small(from)?, small(fabric.groups.len())?));
            }
        }
        for lane in 0..layout.lanes() {
            let source = fabric.source(cores, &routes, &shared, routes.neurons.of(lane), &mut list)?;
            fabric.neurons.push(source);
        }
        for channel in 0..input_axons.len() {
            let source = fabric.source(cores, &routes, &shared, routes.inputs.of(channel), &mut list)?;
            fabric.inputs.push(source);
        }
        (fabric.neuron_fan_out, fabric.input_fan_out) = routes.fan_outs(&ops, layout, target);
        Ok(fabric)
    }

    /// Checks every synapse; gives the synapses that each axon reads and the largest delay, and bounds the inputs' sums.
    fn survey(&mut self, cores: Cores<'_>, routes: &Routes) -> Result<(Vec<AxonOps>, u32), BootError> {
        let Cores { tables, layout, numbers } = cores;
        let mut ops = vec![AxonOps::default(); routes.axons.len()];
        let mut max_delay = 0;
        let mut sums = vec![(0u64, 0u64); layout.lanes()];
        let readers: Vec<Vec<u32>> = tables.iter().map(CoreTables::readers).collect();
        let again = |(core, readers): (&CoreTables, &Vec<u32>)| -> u64 {
            core.lists.iter().zip(readers).map(|(list, &n)| list.len() as u64 * u64::from(n.saturating_sub(1))).sum()
        };
        let need = tables.iter().zip(&readers).map(again).fold(0, u64::saturating_add);
        if need > MAX_SHARED {
            return Err(BootError::TooBig { what: "synapses of shared lists", need, limit: MAX_SHARED });
        }
        for (axon, &(k, index)) in routes.axons.iter().enumerate() {
            let core = &tables[k as usize];
            let in_axon = core.in_axons[index as usize];
            let shared = readers[k as usize].get(usize::from(in_axon.list)).is_some_and(|&n| n > 1);
            let lanes = layout.lanes_of_core(k as usize);
            let spot = Spot::core(core.core, "input axon", index as usize);
            let refs = (u64::from(routes.neuron_refs[axon]), u64::from(routes.input_refs[axon]));
            for entry in &core.list(in_axon).entries {
                range(spot, "format", entry.format, 0, core.formats.len() as i128 - 1)?;
                let format = &core.formats[usize::from(entry.format)];
                let exponent = format.exponent;
                ops[axon].add(small(entry.synapses.len())?, format.compression == Compression::Dense, shared);
                for synapse in &entry.synapses {
                    let compartment = in_axon.compartment(synapse);
                    range(spot, "compartment of a synapse", compartment as u64, 0, lanes.len() as i128 - 1)?;
                    max_delay = max_delay.max(u32::from(synapse.delay));
                    let size = u64::from(numbers.acting(synapse.mantissa, exponent).unsigned_abs());
                    let sum = &mut sums[lanes[compartment] as usize];
                    sum.0 = sum.0.saturating_add(size.saturating_mul(refs.0));
                    sum.1 = sum.1.saturating_add(size.saturating_mul(refs.1));
                }
            }
        }
        for (k, core) in layout.cores.iter().enumerate() {
            for (index, &lane) in layout.lanes_of_core(k).iter().enumerate() {
                let (neurons, inputs) = sums[lane as usize];
                let sum = neurons.saturating_add(inputs);
                if sum > i32::MAX as u64 {
                    return Err(BootError::FanIn { core: *core, compartment: index, sum });
                }
                self.neuron_sum = self.neuron_sum.max(neurons);
                self.input_sum = self.input_sum.max(inputs);
            }
        }
        Ok((ops, max_delay))
    }

    /// Flattens the axons of one source.
    fn source(
        &mut self,
        cores: Cores<'_>,
        routes: &Routes,
        shared: &[Option<(u32, u32)>],
        axons: &[u32],
        list: &mut Vec<(u32, Synapse)>,
    ) -> Result<Source, BootError> {
        let from = self.chunks.len();
        for &axon in axons {
            match shared[axon as usize] {
                Some(chunk) => self.chunks.push(chunk),
                None => cores.collect(routes.axons[axon as usize], self.exact, list),
            }
        }
        let mut groups = self.store(list)?.into_iter();
        let first = groups.next().unwrap_or_default();
        if groups.len() > 0 {
            let start = small(self.groups.len())?;
            self.groups.extend(groups);
            self.chunks.push((start, small(self.groups.len())?));
        }
        Ok(Source { first, rest: (small(from)?, small(self.chunks.len())?) })
    }

    /// Stores a list of (delay, synapse), empties it, and gives its groups by ascending delay.
    fn store(&mut self, list: &mut Vec<(u32, Synapse)>) -> Result<Vec<Group>, BootError> {
        list.sort_unstable_by_key(|(delay, s)| (*delay, s.lane, s.weight));
        list.dedup_by(|later, kept| {
            let same = later.0 == kept.0 && later.1.lane == kept.1.lane;
            if same {
                kept.1.weight += later.1.weight;
            }
            same
        });
        let mut groups = Vec::new();
        for part in list.chunk_by(|a, b| a.0 == b.0) {
            let (runs, singles) = (self.runs.len(), self.singles.len());
            let gap = if self.exact { 1 } else { RUN_GAP };
            for near in part.chunk_by(|a, b| b.1.lane - a.1.lane <= gap) {
                if near.len() < RUN_MIN {
                    self.singles.extend(near.iter().map(|(_, s)| *s));
                    continue;
                }
                let (lane, last) = (near[0].1.lane, near[near.len() - 1].1.lane);
                let start = self.run_weights.len();
                let len = last - lane + 1;
                self.run_weights.resize(start + len as usize, 0);
                for (_, s) in near {
                    self.run_weights[start + (s.lane - lane) as usize] = s.weight;
                }
                self.runs.push(Run { lane, start: small(start)?, len });
            }
            groups.push(Group {
                delay: part[0].0,
                runs: (small(runs)?, small(self.runs.len())?),
                singles: (small(singles)?, small(self.singles.len())?),
            });
        }
        small(self.run_weights.len())?;
        list.clear();
        Ok(groups)
    }
}

/// The decoded cores and where their compartments stand.
#[derive(Clone, Copy)]
pub(crate) struct Cores<'a> {
    pub tables: &'a [CoreTables],
    pub layout: &'a Layout,
    pub numbers: &'a Numbers,
}

impl Cores<'_> {
    /// Appends an axon's synapses that act (weight not 0), or all of them.
    fn collect(&self, (k, index): (u32, u32), all: bool, list: &mut Vec<(u32, Synapse)>) {
        let core = &self.tables[k as usize];
        let lanes = self.layout.lanes_of_core(k as usize);
        let axon = core.in_axons[index as usize];
        for entry in &core.list(axon).entries {
            let exponent = core.formats[usize::from(entry.format)].exponent;
            for s in &entry.synapses {
                let weight = self.numbers.acting(s.mantissa, exponent);
                if weight != 0 || all {
                    list.push((s.delay.into(), Synapse { lane: lanes[axon.compartment(s)], weight }));
                }
            }
        }
    }
}

/// A table index as u32.
pub(crate) fn small(n: usize) -> Result<u32, BootError> {
    u32::try_from(n).map_err(|_| BootError::TooBig { what: "table of synapses", need: n as u64, limit: u32::MAX.into() })
}
