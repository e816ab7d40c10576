//! Builds the mesh of the cycle level.
//!
//! In: the board's mesh, the used area of it, the cores, and what they cost. Out: [`Noc`].
//! Invariant: the inputs of a router follow each other in the order in which equals are taken: from the neighbours, from cores, from the
//! host. There are no inputs where nothing comes from.

use super::super::agenda::MOST_UNITS;
use super::super::costs::CostsPs;
use super::super::ways::{Seat, neighbour};
use super::*;
use spikec_chip::Mesh;

/// Most inputs of a router: one bit each in a mask.
const MOST_INPUTS: u32 = 64;
/// Places of a buffer at first; it grows to its capacity when more are needed.
const PLACES: u32 = 16;

impl Noc {
    /// The mesh between `cores` (physical numbers) and the host's port.
    pub(crate) fn new(mesh: &Mesh, area: Area, cores: &[u32], costs: &CostsPs, capacity: u32) -> Result<Noc, TooBig> {
        let per_router = mesh.cores_per_router;
        // An input for each neighbour and core, and one for the host.
        if per_router + 5 > MOST_INPUTS {
            return Err(TooBig {
                what: "cores at a router (timing level cycle)",
                need: per_router.into(),
                limit: (MOST_INPUTS - 5).into(),
            });
        }
        let outputs = per_router + 4;
        let units = area.routers() as u64 * u64::from(outputs);
        if units > MOST_UNITS as u64 {
            return Err(TooBig { what: "ports of the mesh (timing level cycle)", need: units, limit: MOST_UNITS as u64 });
        }
        // Which core sits where: by router and port.
        let mut cores_at = vec![None; units as usize];
        for (k, &core) in cores.iter().enumerate() {
            cores_at[area.index(mesh.router(core)) * outputs as usize + 4 + mesh.slot(core) as usize] = Some(k as u32);
        }
        let host = area.index(mesh.host_port()) as u32;
        let mut noc = Noc {
            area,
            outputs,
            capacity,
            credit: costs.link.min(TIME_LIMIT / 2),
            local: costs.local_port.min(TIME_LIMIT / 4),
            ways: Ways::default(),
            inputs: Vec::new(),
            router: Vec::new(),
            since: Vec::new(),
            ports: Vec::with_capacity(units as usize),
            sides: Vec::with_capacity(units as usize),
            senders: vec![0; cores.len() + 1],
            receivers: vec![0; cores.len()],
            places: Vec::new(),
            used: 0,
            agenda: Agenda::new(0),
            times: StepTimes::default(),
        };
        let seat = |r: u32, port: u32| Seat { x: r % area.width, y: r / area.width, port };
        let mut seats = vec![Seat::default(); cores.len()];
        for (k, &core) in cores.iter().enumerate() {
            seats[k] = seat(area.index(mesh.router(core)) as u32, 4 + mesh.slot(core));
        }
        let ways = Ways::new(seats, (0..area.routers() as u32).map(|r| seat(r, 0)).collect());
        let stride = ways.stride;
        noc.ways = ways;
        let sender = |k: usize| Input { sender: k as u32, full: u32::MAX, ..Input::default() };
        for r in 0..area.routers() as u32 {
            let inputs = noc.inputs.len() as u32;
            for direction in 0..4 {
                // It holds what goes in that direction: it comes from the neighbour on the other side.
                if let Some(n) = neighbour(area, r, direction ^ 1) {
                    noc.inputs.push(Input { full: capacity, upstream: n * outputs + direction, sender: NONE, ..Input::default() });
                }
            }
            for way in 0..outputs {
                let number = r * outputs + way;
                let leaves = way < 4 && area.leaves_chip((4 * r + way) as usize, mesh);
                let latency = match (leaves, way) {
                    (true, _) => costs.hop_chip,
                    (false, 0 | 1) => costs.hop_x,
                    (false, 2 | 3) => costs.hop_y,
                    (false, _) => costs.local_port,
                };
                let there = if way < 4 { neighbour(area, r, way) } else { None };
                let core = cores_at[number as usize];
                noc.ports.push(Port {
                    latency: latency.min(TIME_LIMIT / 4),
                    flit: if leaves { costs.chip_link } else { costs.link }.min(TIME_LIMIT / 2),
                    link: if way < 4 { u64::MAX } else { 0 },
                    to: NONE,
                    there: there.unwrap_or(0) * outputs,
                    row: there.unwrap_or(0) * stride,
                    ..Port::default()
                });
                let open = core.is_some() || there.is_some();
                noc.sides.push(Side { inputs, core: core.unwrap_or(NONE), places: PLACES.min(capacity), open, ..Side::default() });
                if let Some(k) = core.map(|k| k as usize) {
                    noc.receivers[k] = number;
                    noc.senders[k] = noc.inputs.len() as u32;
                    noc.inputs.push(sender(k));
                }
            }
            if r == host {
                noc.senders[cores.len()] = noc.inputs.len() as u32;
                noc.inputs.push(sender(cores.len()));
            }
            noc.router.resize(noc.inputs.len(), r);
        }
        let none = noc.inputs.len() as u32;
        for (unit, input) in noc.inputs.iter().enumerate().filter(|i| i.1.sender == NONE) {
            noc.ports[input.upstream as usize].to = unit as u32;
        }
        noc.ports.iter_mut().filter(|p| p.to == NONE).for_each(|p| p.to = none);
        noc.inputs.push(Input { sender: NONE, ..Input::default() });
        noc.since = vec![0; noc.inputs.len()];
        noc.agenda = Agenda::new(noc.inputs.len());
        Ok(noc)
    }
}
