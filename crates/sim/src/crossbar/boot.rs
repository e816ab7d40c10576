//! From bits to a machine: tables laid out for reading by axon, every destination and place checked.

use super::CrossbarMachine;
use super::law::{Law, Row};
use super::watch::Plan;
use crate::arrivals::Arrivals;
use crate::boot::{BootError, Spot};
use crate::check::{MAX_CELLS, range, topology};
use crate::io::Io;
use crate::record::Names;
use crate::timing::Level;
use crate::utilization::CoreUtilization;
use rayon::prelude::*;
use spikec_chip::bundle::Place;
use spikec_chip::crossbar::{Crossbar, CrossbarCoreImage, CrossbarImage, Destination, decode_core};
use spikec_chip::{Loadable, Mesh, Router};

/// Where a neuron's spikes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Nowhere: the neuron is not used.
    None,
    /// To an axon, `ahead` ticks later.
    Core { axon: u32, ahead: u32 },
    /// To the output bus.
    Bus,
}

/// A core's tables, laid out.
struct Laid {
    types: Vec<u8>,
    crossings: Vec<u64>,
    degrees: Vec<u32>,
    weights: Vec<i32>,
    rows: Vec<Row>,
    used: Vec<u16>,
    destinations: Vec<Destination>,
    utilization: CoreUtilization,
}

fn lay(image: &CrossbarCoreImage, spec: &Crossbar) -> Result<Laid, BootError> {
    let tables = decode_core(image, spec).map_err(BootError::Crossbar)?;
    let (axons, neurons, types) = (*spec.core.axons as usize, *spec.core.neurons as usize, *spec.core.axon_types as usize);
    let words = neurons.div_ceil(64);
    let mut laid = Laid {
        types: tables.types,
        crossings: vec![0; axons * words],
        degrees: vec![0; axons],
        weights: vec![0; types * neurons],
        rows: Vec::with_capacity(neurons),
        used: Vec::new(),
        destinations: Vec::with_capacity(neurons),
        utilization: CoreUtilization { core: image.core, resources: Vec::new() },
    };
    let mut connections = 0;
    for (n, row) in tables.neurons.iter().enumerate() {
        for &axon in &row.connections {
            laid.crossings[usize::from(axon) * words + n / 64] |= 1 << (n % 64);
            laid.degrees[usize::from(axon)] += 1;
        }
        connections += row.connections.len() as u64;
        for (k, &weight) in row.weights.iter().enumerate() {
            laid.weights[k * neurons + n] = weight;
        }
        laid.rows.push(Row::of(row));
        laid.destinations.push(row.destination);
        if !row.is_unused(spec) {
            laid.used.push(n as u16);
        }
    }
    let heard = laid.degrees.iter().filter(|d| **d > 0).count();
    laid.utilization.resources = vec![
        ("neuron_rows", laid.used.len() as u64, neurons as u64),
        ("axons", heard as u64, axons as u64),
        ("connections", connections, (axons * neurons) as u64),
    ];
    Ok(laid)
}

/// The mesh as destinations see it.
struct Grid {
    width: u32,
    height: u32,
    bus: u32,
    outputs: u32,
    axons: u32,
}

impl Grid {
    /// Where a neuron's spikes go, and the hops.
    fn exit(&self, cores: &[u32], core: u32, neuron: usize, d: &Destination) -> Result<(Exit, (u32, u32)), BootError> {
        let (x, y) = (i64::from(core % self.width) + i64::from(d.dx), i64::from(core / self.width) + i64::from(d.dy));
        if !(0..i64::from(self.width)).contains(&x) || !(0..i64::from(self.height)).contains(&y) {
            return Err(BootError::OffMesh { core, neuron, x, y, width: self.width, height: self.height });
        }
        let (to, spot) = (y as u32 * self.width + x as u32, Spot::core(core, "neuron", neuron));
        let hops = (d.dx.unsigned_abs(), d.dy.unsigned_abs());
        if to == self.bus {
            range(spot, "output of the bus", d.axon, 0, i128::from(self.outputs) - 1)?;
            return Ok((Exit::Bus, hops));
        }
        let k = cores.binary_search(&to).map_err(|_| BootError::NoCore { spot, core: to })?;
        range(spot, "axon of the destination", d.axon, 0, i128::from(self.axons) - 1)?;
        Ok((Exit::Core { axon: k as u32 * self.axons + u32::from(d.axon), ahead: 1 + u32::from(d.delay) }, hops))
    }
}

fn limit(what: &'static str, factors: [usize; 3]) -> Result<(), BootError> {
    let need = factors.iter().fold(1u64, |n, &f| n.saturating_mul(f as u64));
    if need > MAX_CELLS { Err(BootError::TooBig { what, need, limit: MAX_CELLS }) } else { Ok(()) }
}

impl CrossbarMachine {
    /// Decodes and checks a bundle whose target was checked.
    pub(crate) fn boot(bundle: Loadable<'_>, spec: &Crossbar, image: &CrossbarImage, level: Level) -> Result<CrossbarMachine, BootError> {
        let t = &bundle.target.topology;
        let total = topology(t)?;
        let (axons, neurons, types) = (*spec.core.axons as usize, *spec.core.neurons as usize, *spec.core.axon_types as usize);
        let (slots, count) = (*spec.core.delay_slots as usize, image.cores.len());
        let bus = spec.routing.output_bus.1 * *t.width + spec.routing.output_bus.0;
        if let Some(pair) = image.cores.windows(2).find(|w| w[0].core >= w[1].core) {
            return Err(BootError::CoreOrder { core: pair[1].core, previous: pair[0].core });
        }
        for core in &image.cores {
            range(Spot::core(core.core, "image", 0), "core", core.core, 0, i128::from(total) - 1)?;
            if core.core == bus {
                return Err(BootError::OnBus { core: bus });
            }
        }
        limit("words of crossings", [count, axons, neurons.div_ceil(64)])?;
        limit("weights", [count, types, neurons])?;
        limit("axons and slots", [count, axons, slots])?;
        let laid: Vec<Result<Laid, BootError>> = image.cores.par_iter().map(|core| lay(core, spec)).collect();
        let cores: Vec<u32> = image.cores.iter().map(|c| c.core).collect();
        let grid = Grid { width: *t.width, height: *t.height, bus, outputs: *spec.routing.outputs, axons: *spec.core.axons };
        let lane = |spot: Spot, place: Place| at(&cores, spot, place, "neuron", neurons);
        let (names, _) = Names::new(bundle.symbols, bundle.host, count * neurons, &lane)?;
        let io = Io::new(bundle.host, bundle.symbols, &lane)?;
        let spot = Spot::host("host", 0);
        range(spot, "bias writes (not in this family)", bundle.host.bias_writes.len() as u64, 0, 0)?;
        range(spot, "maps (not in this family)", bundle.host.maps.len() as u64, 0, 0)?;
        let axon = |spot: Spot, place: Place| at(&cores, spot, place, "input axon", axons);
        let arrivals = Arrivals::new(bundle.host, &axon, &|spot, _| Err(BootError::NoReturn { spot }))?;
        let mesh = Mesh::new(t);
        let (port, router) = (mesh.host_port(), |core: u32| Router { x: core % *t.width, y: core / *t.width });
        let to_core = |&core: &u32| (router(core).x.abs_diff(port.x), router(core).y.abs_diff(port.y));
        let mut m = CrossbarMachine {
            law: Law::new(spec),
            axons,
            neurons,
            types,
            slots,
            used: Vec::with_capacity(count),
            rows: Vec::with_capacity(count * neurons),
            weights: Vec::with_capacity(count * types * neurons),
            type_of: Vec::with_capacity(count * axons),
            crossings: Vec::with_capacity(count * axons * neurons.div_ceil(64)),
            degrees: Vec::with_capacity(count * axons),
            exits: vec![Exit::None; count * neurons],
            hops: vec![(0, 0); count * neurons],
            host_hops: cores.iter().map(to_core).collect(),
            cores,
            arrivals,
            io,
            names,
            utilization: Vec::with_capacity(count),
            plan: None,
        };
        for (k, laid) in laid.into_iter().enumerate() {
            let laid = laid?;
            for &n in &laid.used {
                let lane = k * neurons + usize::from(n);
                let destination = &laid.destinations[usize::from(n)];
                (m.exits[lane], m.hops[lane]) = grid.exit(&m.cores, m.cores[k], usize::from(n), destination)?;
            }
            m.used.push(laid.used);
            m.rows.extend(laid.rows);
            m.weights.extend(laid.weights);
            m.type_of.extend(laid.types);
            m.crossings.extend(laid.crossings);
            m.degrees.extend(laid.degrees);
            m.utilization.push(laid.utilization);
        }
        if level != Level::None {
            m.plan = Some(Plan::new(level, &m, bundle.target, spec)?);
        }
        Ok(m)
    }
}

/// Number of a place, `core position * count + index`.
fn at(cores: &[u32], spot: Spot, place: Place, kind: &'static str, count: usize) -> Result<u32, BootError> {
    let k = cores.binary_search(&place.core).map_err(|_| BootError::NoCore { spot, core: place.core })?;
    if usize::from(place.index) >= count {
        return Err(BootError::NoPlace { spot, kind, core: place.core, index: place.index, count });
    }
    Ok((k * count + usize::from(place.index)) as u32)
}
