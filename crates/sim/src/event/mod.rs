//! The event crossbar family (tinyODIN, ODIN): one core whose neurons are updated at every event.
//!
//! In: the image's bits and the host section. Out: an [`EventMachine`] that runs samples.
//! Invariant: docs/semantics.md, section 11; a machine that booted can't index out of its tables or overflow, whatever the bundle was.
//! Cost: an event costs an update of each neuron; events and spikes of a step are bounded.

mod run;
mod watch;

use crate::arrivals::Arrivals;
use crate::boot::{BootError, Spot};
use crate::check::{range, topology};
use crate::io::Io;
use crate::record::Names;
use crate::timing::Level;
use crate::utilization::CoreUtilization;
use spikec_chip::Loadable;
use spikec_chip::bundle::Place;
use spikec_chip::event::{EventCrossbar, EventImage, EventWord, decode};
use watch::Plan;

/// Most events of a chip step: where every spike makes several, they grow from step to step without end.
const MOST_EVENTS: u64 = 1 << 20;
/// Most spikes of a chip step, which the host has to keep.
const MOST_SPIKES: u64 = 1 << 22;

/// A booted event crossbar. A lane is a neuron.
#[derive(Debug)]
pub(crate) struct EventMachine {
    /// The only core.
    cores: [u32; 1],
    /// Least and largest potential.
    range: (i32, i32),
    /// Neurons that an event or a time reference updates.
    updated: usize,
    neurons: Vec<EventWord>,
    /// `[row][neuron]`.
    weights: Vec<i8>,
    rows: usize,
    /// Events that the scheduler holds; none in open loop, where spikes go to the host alone.
    scheduler: Option<usize>,
    arrivals: Arrivals,
    io: Io,
    names: Names,
    pub(crate) utilization: CoreUtilization,
    plan: Option<Plan>,
}

impl EventMachine {
    /// Decodes and checks a bundle whose target was checked.
    pub(crate) fn boot(bundle: Loadable<'_>, spec: &EventCrossbar, image: &EventImage, level: Level) -> Result<EventMachine, BootError> {
        topology(&bundle.target.topology)?;
        let tables = decode(image, spec).map_err(BootError::Event)?;
        let (neurons, rows) = (tables.neurons.len(), *spec.core.rows as usize);
        let lane = |spot: Spot, place: Place| at(spot, place, "neuron", neurons);
        let (names, _) = Names::new(bundle.symbols, bundle.host, neurons, &lane)?;
        let io = Io::new(bundle.host, bundle.symbols, &lane)?;
        let spot = Spot::host("host", 0);
        range(spot, "bias writes (not in this family)", bundle.host.bias_writes.len() as u64, 0, 0)?;
        range(spot, "maps (not in this family)", bundle.host.maps.len() as u64, 0, 0)?;
        let arrivals = Arrivals::new(bundle.host, &|spot, place| at(spot, place, "row", rows), &lane)?;
        let updated = spec.updated(tables.last_neuron) as usize;
        let scheduler = (!tables.open_loop).then_some(*spec.core.fifo_depth as usize);
        if scheduler.is_some() {
            // A spike is an event of the row of its neuron's number.
            range(Spot::core(0, "image", 0), "updated neurons in closed loop", updated as u64, 0, rows as i128)?;
        }
        let unused = EventWord::unused(spec);
        let used = tables.neurons.iter().filter(|w| **w != unused).count();
        let fed = tables.weights.chunks(neurons.max(1)).filter(|row| row.iter().any(|w| *w != 0)).count();
        let synapses = tables.weights.iter().filter(|w| **w != 0).count();
        let resources = vec![
            ("neurons", used as u64, neurons as u64),
            ("synapse_rows", fed as u64, rows as u64),
            ("synapses", synapses as u64, (rows * neurons) as u64),
        ];
        let plan = match level {
            Level::None => None,
            level => Some(Plan::new(level, spec, tables.last_neuron, names.populations(neurons), names.layers().count())?),
        };
        Ok(EventMachine {
            cores: [0],
            range: spec.potential_range(),
            updated,
            neurons: tables.neurons,
            weights: tables.weights,
            rows,
            scheduler,
            arrivals,
            io,
            names,
            utilization: CoreUtilization { core: 0, resources },
            plan,
        })
    }
}

/// Number of a place of the only core.
fn at(spot: Spot, place: Place, kind: &'static str, count: usize) -> Result<u32, BootError> {
    if place.core != 0 {
        return Err(BootError::NoCore { spot, core: place.core });
    }
    if usize::from(place.index) >= count {
        return Err(BootError::NoPlace { spot, kind, core: 0, index: place.index, count });
    }
    Ok(place.index.into())
}
