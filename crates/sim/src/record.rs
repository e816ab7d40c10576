//! Recordings: which neuron of the network a lane is, and what was seen of it.
//!
//! In: the bundle's symbols. Out: [`SpikeEvent`]s by population and index as trained.
//! Invariant: input populations have no compartments: their spikes are the stimulus and are not recorded.
//! Cost: only when asked for.

use crate::boot::{BootError, Spot};
use crate::check::range;
use crate::run_error::RunError;
use serde::Serialize;
use spikec_chip::bundle::{Host, Place, PopulationSymbols, Symbols};

/// What to record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Record {
    /// Spikes of all neurons.
    pub spikes: bool,
    /// The output population's v after each network step.
    pub potentials: bool,
    /// Every core in every chip step (with timing).
    pub core_steps: bool,
    /// Every message (with timing).
    pub messages: bool,
    /// Spikes of the copies of neurons.
    pub copies: bool,
}

/// A neuron of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// Population, in the order of the network.
    pub population: u32,
    /// Index as trained.
    pub neuron: u32,
}

/// A watched compartment in a chip step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WatchEvent {
    /// Chip step.
    pub chip_step: u32,
    /// Physical core.
    pub core: u32,
    /// Compartment of the core.
    pub compartment: u16,
    /// Sum of the acting weights that arrived.
    pub input: i64,
    /// u after the update.
    pub u: i32,
    /// v after the update and reset.
    pub v: i32,
    /// It fired.
    pub fired: bool,
}

/// A spike of a neuron of the network. Sorted by population, step, neuron; a neuron that stands in several compartments
/// gives one event; one that fires several times in a step (event crossbars) one for each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SpikeEvent {
    /// Chip step.
    pub chip_step: u32,
    /// Network step of its population: chip step - skew.
    pub step: u32,
    /// Population, in the order of the network.
    pub population: u32,
    /// Index as trained.
    pub neuron: u32,
}

/// A spike of a copy of a neuron. Sorted by population, step, neuron, core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CopyEvent {
    /// The neuron's spike, as the neuron's own compartment gives it.
    pub spike: SpikeEvent,
    /// Physical core of the copy.
    pub core: u32,
    /// Its compartment.
    pub compartment: u16,
}

/// Number of neurons of a population as trained.
pub(crate) fn size(p: &PopulationSymbols) -> u64 {
    p.shape.iter().fold(1u64, |n, &d| n.saturating_mul(d.into()))
}

/// Finds the lane of a place; refuses a place that the image hasn't.
pub(crate) type FindLane<'a> = &'a dyn Fn(Spot, Place) -> Result<u32, BootError>;

/// Names of the lanes.
#[derive(Debug)]
pub(crate) struct Names {
    /// Name and skew of each population.
    populations: Vec<String>,
    sizes: Vec<u64>,
    skews: Vec<u32>,
    /// (lane, population, neuron), sorted: a lane may stand for several neurons.
    names: Vec<(u32, u32, u32)>,
    /// The same of copies, with their places.
    copies: Vec<(u32, u32, u32, Place)>,
}

impl Names {
    /// Checks the symbols. Also gives the skew of each lane that has a name.
    pub(crate) fn new(symbols: &Symbols, host: &Host, lanes: usize, find: FindLane<'_>) -> Result<(Names, Vec<Option<u32>>), BootError> {
        let mut skews = vec![None; lanes];
        let (mut names, mut copies) = (Vec::new(), Vec::new());
        for (k, p) in symbols.populations.iter().enumerate() {
            let spot = Spot::host("symbols: population", k);
            range(spot, "skew", p.skew, 0, host.max_skew.into())?;
            for (nth, (neuron, place)) in p.neurons.iter().chain(&p.copies).enumerate() {
                range(spot, "neuron", *neuron, 0, i128::from(size(p)) - 1)?;
                let lane = find(spot, *place)?;
                if nth < p.neurons.len() {
                    names.push((lane, k as u32, *neuron));
                } else {
                    copies.push((lane, k as u32, *neuron, *place));
                }
                let first = *skews[lane as usize].get_or_insert(p.skew);
                range(spot, "skew of a compartment that another population uses too", p.skew, first.into(), first.into())?;
            }
        }
        names.sort_unstable();
        names.dedup();
        copies.sort_unstable();
        copies.dedup();
        let populations = symbols.populations.iter().map(|p| p.name.clone()).collect();
        let sizes = symbols.populations.iter().map(size).collect();
        Ok((Names { populations, sizes, skews: symbols.populations.iter().map(|p| p.skew).collect(), names, copies }, skews))
    }

    /// Lane (none for a neuron that was removed) and skew of each neuron.
    pub(crate) fn find(&self, probes: &[Probe]) -> Result<Vec<(Option<u32>, u32)>, RunError> {
        let unknown = |what: String, known: String| RunError::Unknown { what, known };
        let mut by_neuron: Vec<(u32, u32, u32)> = Vec::new();
        if !probes.is_empty() {
            by_neuron.extend(self.names.iter().map(|&(lane, population, neuron)| (population, neuron, lane)));
            by_neuron.sort_unstable();
        }
        let find = |&Probe { population, neuron }: &Probe| {
            let Some((&size, &skew)) = self.sizes.get(population as usize).zip(self.skews.get(population as usize)) else {
                return Err(unknown(format!("population {population}"), format!("{} populations", self.sizes.len())));
            };
            if u64::from(neuron) >= size {
                let name = &self.populations[population as usize];
                return Err(unknown(format!("neuron {neuron} of {name}"), format!("the neurons 0 to {}", size.saturating_sub(1))));
            }
            let at = by_neuron.partition_point(|n| (n.0, n.1) < (population, neuron));
            let lane = by_neuron.get(at).filter(|n| (n.0, n.1) == (population, neuron)).map(|n| n.2);
            Ok((lane, skew))
        };
        probes.iter().map(find).collect()
    }

    /// Names of the populations.
    pub(crate) fn layers(&self) -> impl Iterator<Item = String> + '_ {
        self.populations.iter().cloned()
    }

    /// Population of each lane, that of its first name, or of the neuron that it is a copy of; `u32::MAX` for a lane without one.
    pub(crate) fn populations(&self, lanes: usize) -> Vec<u32> {
        let mut populations = vec![u32::MAX; lanes];
        let copies = self.copies.iter().map(|c| (c.0, c.1));
        for (lane, population) in copies.rev().chain(self.names.iter().rev().map(|n| (n.0, n.1))) {
            populations[lane as usize] = population;
        }
        populations
    }

    /// As [`Names::record`], for copies.
    pub(crate) fn record_copies(&self, chip_step: u32, steps: u32, fired: &[u32], events: &mut Vec<CopyEvent>) {
        for &lane in fired.iter().filter(|_| !self.copies.is_empty()) {
            let from = self.copies.partition_point(|c| c.0 < lane);
            for &(_, population, neuron, place) in self.copies[from..].iter().take_while(|c| c.0 == lane) {
                let step = chip_step.checked_sub(self.skews[population as usize]).filter(|&step| step < steps);
                events.extend(step.map(|step| CopyEvent {
                    spike: SpikeEvent { chip_step, step, population, neuron },
                    core: place.core,
                    compartment: place.index,
                }));
            }
        }
    }

    /// Appends the spikes of the lanes that fired in a chip step, where they lie within the `steps` network steps.
    pub(crate) fn record(&self, chip_step: u32, steps: u32, fired: &[u32], events: &mut Vec<SpikeEvent>) {
        for &lane in fired {
            let from = self.names.partition_point(|n| n.0 < lane);
            for &(_, population, neuron) in self.names[from..].iter().take_while(|n| n.0 == lane) {
                match chip_step.checked_sub(self.skews[population as usize]) {
                    Some(step) if step < steps => events.push(SpikeEvent { chip_step, step, population, neuron }),
                    _ => {}
                }
            }
        }
    }
}

/// Sorts a sample's events; drops those of one neuron in several compartments.
pub(crate) fn finish(events: &mut Vec<SpikeEvent>) {
    events.sort_unstable_by_key(|e| (e.population, e.step, e.neuron));
    events.dedup();
}

/// Sorts a sample's events and keeps them all: where a neuron may fire several times in a step.
pub(crate) fn finish_repeated(events: &mut [SpikeEvent]) {
    events.sort_unstable_by_key(|e| (e.population, e.step, e.neuron));
}

/// Sorts the events of copies.
pub(crate) fn finish_copies(events: &mut [CopyEvent]) {
    events.sort_unstable_by_key(|e| (e.spike.population, e.spike.step, e.spike.neuron, e.core, e.compartment));
}
