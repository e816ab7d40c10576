//! Emitting a crossbar's bundle.
//!
//! In: [`Wired`], its parts and their cores. Out: the bundle. Invariant: it cannot fail, because having the parts is the proof that they fit;
//! offsets were checked when the cores were chosen. Nothing is chosen here.

use super::partition::{Link, Partitioned};
use super::quantize::Wired;
use crate::emit::HostOptions;
use crate::families;
use spikec_chip::bundle::{Bundle, Place, Provenance};
use spikec_chip::crossbar::{Crossbar as Spec, CrossbarImage, CrossbarReset, CrossbarRow, CrossbarTables, Destination, encode_core};
use spikec_chip::image::Image;
use spikec_chip::target::Target;

/// Parts on cores.
pub struct Emitter<'a> {
    /// The net.
    pub wired: &'a Wired,
    /// Its parts.
    pub partitioned: &'a Partitioned,
    /// Physical core of each part.
    pub cores: &'a [u32],
    /// The target.
    pub target: &'a Target,
    /// The target's family.
    pub spec: &'a Spec,
}

impl Emitter<'_> {
    /// Makes the bundle.
    pub fn emit(&self, host: HostOptions, provenance: Provenance) -> Bundle {
        let mut order: Vec<usize> = (0..self.cores.len()).collect();
        order.sort_by_key(|&p| self.cores[p]);
        let cores = order
            .into_iter()
            .map(|p| encode_core(&self.core(p), self.spec).unwrap_or_else(|e| panic!("a part that fits can't be encoded: {e}")))
            .collect();
        let net = &self.wired.quantized.net;
        let links = |unit| {
            let place = |l: &Link| (Place { core: self.cores[l.part as usize], index: l.axon as u16 }, l.delay);
            self.partitioned.links(unit).iter().map(place).collect()
        };
        Bundle {
            target: self.target.clone(),
            image: Image::Crossbar(CrossbarImage { cores }),
            host: families::host(net, host, &links, &|unit| self.places(unit)[0], false),
            symbols: families::symbols(net, &|p, k| self.places(self.wired.bases[p.index()] + k)),
            provenance,
            reference: self.wired.quantized.to_bytes(),
        }
    }

    /// Offset from one core to a router.
    fn offset(&self, from: u32, to: (u32, u32)) -> (i32, i32) {
        let width = *self.target.topology.width;
        (to.0 as i32 - (from % width) as i32, to.1 as i32 - (from / width) as i32)
    }

    fn router(&self, core: u32) -> (u32, u32) {
        let width = *self.target.topology.width;
        (core % width, core / width)
    }

    /// Population and neuron of a unit.
    fn neuron(&self, unit: u32) -> (usize, usize) {
        let p = self.wired.bases.partition_point(|&b| b <= unit) - 1;
        (p, (unit - self.wired.bases[p]) as usize)
    }

    fn core(&self, p: usize) -> CrossbarTables {
        let part = &self.partitioned.parts()[p];
        let core = self.cores[p];
        let mut types = vec![0u8; *self.spec.core.axons as usize];
        for (t, key) in types.iter_mut().zip(&part.axons) {
            *t = key.kind;
        }
        let mut neurons = Vec::with_capacity(*self.spec.core.neurons as usize);
        let net = &self.wired.quantized.net;
        for &unit in &part.units {
            let (population, j) = self.neuron(unit);
            let n = &net.populations[population].neurons()[j];
            let axon = |key| part.axons.binary_search(&key).expect("the part has every axon of its neurons") as u16;
            let mut connections: Vec<u16> = self.wired.inputs[unit as usize].iter().flat_map(super::partition::keys).map(axon).collect();
            connections.sort_unstable();
            // The leak acts in every tick, also before the population's first step: there it only makes up for what the potential starts below.
            let before = net.populations[population].skew as i32 * n.leak;
            let row = CrossbarRow {
                connections,
                potential: n.start - before,
                reset: n.reset,
                weights: self.wired.weights[unit as usize].clone(),
                leak: n.leak,
                positive_threshold: n.threshold,
                negative_threshold: n.floor,
                mode: if n.linear { CrossbarReset::Linear } else { CrossbarReset::Absolute },
                destination: Destination::default(),
            };
            neurons.extend(self.destinations(unit, core).into_iter().map(|destination| CrossbarRow { destination, ..row.clone() }));
        }
        neurons.resize(*self.spec.core.neurons as usize, CrossbarRow::unused(self.spec));
        CrossbarTables { core, types, neurons }
    }

    /// Destinations of a unit's rows: the bus first for an output. A neuron that nothing hears sends to the axon of its own core behind the last
    /// that carries anything: it is connected to nothing.
    fn destinations(&self, unit: u32, core: u32) -> Vec<Destination> {
        let (population, j) = self.neuron(unit);
        let net = &self.wired.quantized.net;
        let mut all = Vec::new();
        if population == net.output.index() {
            let (dx, dy) = self.offset(core, *self.spec.routing.output_bus);
            all.push(Destination { dx, dy, axon: net.populations[population].origin[j] as u16, delay: 0 });
        }
        for link in self.partitioned.links(unit) {
            let (dx, dy) = self.offset(core, self.router(self.cores[link.part as usize]));
            all.push(Destination { dx, dy, axon: link.axon as u16, delay: (link.delay - 1) as u8 });
        }
        if all.is_empty() {
            let (part, _) = self.partitioned.seat(unit).expect("every neuron has a part");
            let axon = self.partitioned.parts()[part as usize].axons.len() as u16;
            all.push(Destination { dx: 0, dy: 0, axon, delay: 0 });
        }
        all
    }

    /// The rows of a neuron, the one that the symbols name first.
    fn places(&self, unit: u32) -> Vec<Place> {
        let (part, at) = self.partitioned.seat(unit).expect("every neuron has a part");
        let (core, rows) = (self.cores[part as usize], &self.partitioned.parts()[part as usize].rows);
        (rows[at]..rows[at + 1]).map(|row| Place { core, index: row as u16 }).collect()
    }
}
