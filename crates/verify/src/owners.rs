//! Which neuron of the reference stands where in the image, of any family.
//!
//! In: a bundle's symbols, the reference net, the cores of the image. Out: [`Owners`], both ways, and the differences in places. Invariant: nothing is read from
//! the reference but names and sizes. Cost: linear in the neurons.

use crate::difference::{At, Difference, Differences, Field, NeuronName, Side, Value};
use spikec_chip::bundle::{Bundle, Place};
use spikec_net::{Net, Number, Role};
use std::collections::BTreeMap;

/// A neuron or input channel of the reference net, by its index now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Cell {
    pub population: u32,
    pub neuron: u32,
}

/// A compartment of a neuron: the neuron's own (0), or that of a copy (from 1 on, in the order of the symbols).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Seat {
    pub cell: Cell,
    pub nth: u32,
}

/// The name of a cell.
pub(crate) fn name<N: Number>(net: &Net<N>, cell: Cell) -> NeuronName {
    let p = &net.populations[cell.population as usize];
    NeuronName { population: cell.population, name: p.name.clone(), index: p.origin[cell.neuron as usize] }
}

/// Where neurons are, both ways.
pub(crate) struct Owners {
    pub cores: Vec<u32>,
    owners: Vec<Vec<Option<Seat>>>,
    /// Place of each neuron of each population; empty for inputs.
    pub places: Vec<Vec<Option<Place>>>,
    /// Places of the copies of neurons that have some.
    pub copies: BTreeMap<Cell, Vec<Place>>,
    /// True where a core may hold a neuron several times.
    beside: bool,
}

/// The cores of an image, ascending, and the compartments of each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seats<'a> {
    /// (physical core, compartments).
    pub cores: &'a [(u32, usize)],
    /// True where a core may hold a neuron several times.
    pub beside: bool,
}

impl Owners {
    /// Binds compartments to neurons through the symbols, and reports where a compartment is not one neuron's, or a neuron has none.
    pub fn new<N: Number>(bundle: &Bundle, net: &Net<N>, seats: Seats, differences: &mut Differences) -> Self {
        let mut all = Owners {
            beside: seats.beside,
            cores: seats.cores.iter().map(|c| c.0).collect(),
            owners: seats.cores.iter().map(|c| vec![None; c.1]).collect(),
            places: net.populations.iter().map(|p| vec![None; p.neurons().len()]).collect(),
            copies: BTreeMap::new(),
        };
        for (k, (p, symbols)) in net.populations.iter().zip(&bundle.symbols.populations).enumerate() {
            let mut after = None;
            for &(index, place) in &symbols.neurons {
                if after.is_some_and(|a| a >= index) {
                    all.report(k, p.name.as_str(), (index, place), index.into(), "indices as trained, ascending".into(), differences);
                }
                after = Some(index);
                all.bind(net, k, (index, place), false, differences);
            }
            for (neuron, place) in all.places[k].iter().enumerate() {
                if place.is_none() {
                    let cell = Cell { population: k as u32, neuron: neuron as u32 };
                    let at = || At { neuron: Some(name(net, cell)), ..At::default() };
                    differences.push(|| Difference {
                        side: Side::Symbols,
                        at: at(),
                        field: Field::Place,
                        found: Value::Absent,
                        expected: "a compartment".into(),
                    });
                }
            }
            let mut after = None;
            for &(index, place) in &symbols.copies {
                if after.is_some_and(|a| a >= (index, place)) {
                    let found = place_text(place).into();
                    all.report(k, p.name.as_str(), (index, place), found, "copies by index and place, ascending".into(), differences);
                }
                after = Some((index, place));
                all.bind(net, k, (index, place), true, differences);
            }
        }
        all
    }

    fn report(&self, k: usize, name: &str, (index, place): (u32, Place), found: Value, expected: Value, differences: &mut Differences) {
        let neuron = Some(NeuronName { population: k as u32, name: name.into(), index });
        let at = At { core: Some(place.core), compartment: Some(place.index), neuron, ..At::default() };
        differences.push(|| Difference { side: Side::Symbols, at, field: Field::Place, found, expected });
    }

    /// Binds one place of a neuron of population `k`.
    fn bind<N: Number>(&mut self, net: &Net<N>, k: usize, (index, place): (u32, Place), copy: bool, differences: &mut Differences) {
        let p = &net.populations[k];
        let refuse = |all: &Self, found: Value, expected: Value, differences: &mut Differences| {
            all.report(k, p.name.as_str(), (index, place), found, expected, differences);
        };
        let here = || place_text(place).into();
        let neuron = if p.is_input() { None } else { p.origin.binary_search(&index).ok() };
        let Some(neuron) = neuron else {
            return refuse(self, here(), "no such neuron in the reference".into(), differences);
        };
        let cell = Cell { population: k as u32, neuron: neuron as u32 };
        let own = self.places[k][neuron];
        if let Some(other) = own.filter(|_| !copy) {
            return refuse(self, here(), place_text(other).into(), differences);
        }
        let others = self.copies.get(&cell).into_iter().flatten().chain(&own);
        let beside = !self.beside && others.into_iter().any(|other| other.core == place.core);
        if copy && (own.is_none() || beside) {
            let expected = if beside { "copies of a neuron on different cores" } else { "a copy of a neuron that has a place" };
            return refuse(self, here(), expected.into(), differences);
        }
        let nth = if copy { 1 + self.copies.get(&cell).map_or(0, Vec::len) as u32 } else { 0 };
        let Some(slot) = self.slot(place) else {
            return refuse(self, here(), "a compartment of the image".into(), differences);
        };
        if let Some(other) = *slot {
            let other = name(net, other.cell).to_string();
            return refuse(self, here(), format!("a compartment of its own ({other} is there)").into(), differences);
        }
        *slot = Some(Seat { cell, nth });
        if copy {
            self.copies.entry(cell).or_default().push(place);
        } else {
            self.places[k][neuron] = Some(place);
        }
    }

    fn slot(&mut self, place: Place) -> Option<&mut Option<Seat>> {
        let k = self.cores.binary_search(&place.core).ok()?;
        self.owners[k].get_mut(place.index as usize)
    }

    /// The neuron at a place, and which of its compartments it is.
    pub fn owner(&self, place: Place) -> Option<Seat> {
        let k = self.cores.binary_search(&place.core).ok()?;
        self.owners[k].get(place.index as usize).copied().flatten()
    }

    /// The neuron at compartment `index` of the core at position `k`.
    pub fn owner_at(&self, k: usize, index: usize) -> Option<Seat> {
        self.owners[k][index]
    }

    /// Number of compartments that a neuron shall have: its own and its copies'.
    pub fn seats(&self, cell: Cell) -> u32 {
        1 + self.copies.get(&cell).map_or(0, Vec::len) as u32
    }

    /// Place of a compartment of a neuron; `None` where it has none.
    pub fn place(&self, seat: Seat) -> Option<Place> {
        match seat.nth {
            0 => self.places[seat.cell.population as usize][seat.cell.neuron as usize],
            nth => self.copies.get(&seat.cell)?.get(nth as usize - 1).copied(),
        }
    }

    /// Position among the image's cores of the one that a compartment of a neuron is on; `None` where it has none.
    pub fn position(&self, seat: Seat) -> Option<usize> {
        self.cores.binary_search(&self.place(seat)?.core).ok()
    }

    /// Number of copies.
    pub fn copy_count(&self) -> u64 {
        self.copies.values().map(|places| places.len() as u64).sum()
    }
}

pub(crate) fn place_text(place: Place) -> String {
    format!("core {} index {}", place.core, place.index)
}

/// The population and index now of each spiking input channel, channels as trained in population order; `None` = removed.
pub(crate) fn channels<N: Number>(net: &Net<N>) -> Vec<Option<Cell>> {
    let mut all = Vec::new();
    for (k, p) in net.populations.iter().enumerate() {
        if matches!(p.role, Role::SpikeInput) {
            let start = all.len();
            all.resize(start + p.trained_len(), None);
            for (neuron, &index) in p.origin.iter().enumerate() {
                all[start + index as usize] = Some(Cell { population: k as u32, neuron: neuron as u32 });
            }
        }
    }
    all
}
