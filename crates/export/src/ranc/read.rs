//! An input file of RANC's simulator as a bundle, with its packets as a sample.
//!
//! In: the bytes of an `input.json`, and a target of the crossbar family. Out: [`Imported`]: a bundle whose image is the file's cores, and the packets as spikes of channels.
//! Invariant: every row of the file that hears something, leaks or could fire by itself is a neuron of its own. The reference section is made from the cores (`Scaling::Exact`): a connection is a
//! synapse of the axon's weight from the axon's source, after the ticks of the destination; so the behaviour check runs on such a bundle, while the image check wants a network in floats.
//! An axon that a neuron sends to has that one source; every other axon with a connection or a packet is an input channel, by core and axon. All findings are reported at once, by core and neuron.
//! Why: networks that were made for RANC can be simulated, timed and measured here.

use serde::Deserialize;
use spikec_chip::bundle::{Bundle, Decoder, DecoderKind, Encoder, Host, Place, PopulationSymbols, Provenance, Symbols};
use spikec_chip::crossbar::{
    Crossbar as Spec, CrossbarImage, CrossbarReset, CrossbarRow, CrossbarTables, Destination, NegativeCompare, Overflow, encode_core,
};
use spikec_chip::image::Image;
use spikec_chip::target::{Family, Target};
use spikec_data::SpikeTrain;
use spikec_net::{
    Crossbar, CrossbarNeuron, CrossbarRules, Net, Population, PopulationId, PotentialOverflow, Projection, Quantized, Role, Scaling,
    Synapses,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Most findings that are listed.
const LISTED: usize = 50;
/// Most ticks of packets.
const MOST_TICKS: usize = 1 << 20;

/// A network of RANC as a bundle.
#[derive(Debug)]
pub struct Imported {
    /// The bundle.
    pub bundle: Bundle,
    /// The file's packets as spikes of the bundle's input channels; a step for each list, and as many more as ticks reach beyond.
    pub packets: SpikeTrain,
}

/// Why a file is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum RancError {
    /// It is no such JSON.
    #[error("line {line}, column {column}: {what}")]
    Json {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong.
        what: String,
    },
    /// A target of another family.
    #[error("target {target} is of the family {family}, RANC's networks need Crossbar")]
    Family {
        /// Name of the target.
        target: String,
        /// Its family.
        family: &'static str,
    },
    /// What the file says doesn't fit the target.
    #[error("{}", listed(.0))]
    Findings(Vec<RancFinding>),
}

impl RancError {
    /// A remedy.
    pub fn hint(&self) -> String {
        match self {
            RancError::Json { .. } => "give the input file of RANC's simulator: packets, output_bus and cores".into(),
            RancError::Family { .. } => "give --target ranc256_sim, or another one of RANC".into(),
            RancError::Findings(_) => {
                "give a target of the file's sizes (a derived one may say core.axons and the like); --pad fills up lists that are shorter, as RANC's simulator does"
                    .into()
            }
        }
    }
}

fn listed(findings: &[RancFinding]) -> String {
    let mut lines: Vec<String> = findings.iter().take(LISTED).map(ToString::to_string).collect();
    if findings.len() > LISTED {
        lines.push(format!("and {} more", findings.len() - LISTED));
    }
    lines.join("\n")
}

/// Where something stands in the file, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RancFinding {
    /// Column and row of the core.
    pub core: Option<(i64, i64)>,
    /// Neuron of the core.
    pub neuron: Option<usize>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for RancFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((x, y)) = self.core {
            write!(f, "core ({x},{y})")?;
            if let Some(neuron) = self.neuron {
                write!(f, ", neuron {neuron}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.what)
    }
}

#[derive(Deserialize)]
struct File {
    packets: Vec<Vec<Packet>>,
    output_bus: Bus,
    cores: Vec<Core>,
}

#[derive(Deserialize)]
struct Packet {
    destination_core: (i64, i64),
    destination_axon: i64,
    destination_tick: i64,
}

#[derive(Deserialize)]
struct Bus {
    coordinates: (i64, i64),
    num_outputs: i64,
}

#[derive(Deserialize)]
struct Core {
    coordinates: (i64, i64),
    axons: Vec<i64>,
    neurons: Vec<Neuron>,
    connections: Vec<Vec<i64>>,
}

#[derive(Deserialize)]
struct Neuron {
    reset_potential: i64,
    weights: Vec<i64>,
    leak: i64,
    positive_threshold: i64,
    negative_threshold: i64,
    destination_core_offset: (i64, i64),
    destination_axon: i64,
    destination_tick: i64,
    current_potential: i64,
    reset_mode: i64,
}

/// What is found on the way.
struct Reader<'a> {
    spec: &'a Spec,
    target: &'a Target,
    pad: bool,
    findings: Vec<RancFinding>,
}

/// (place in the list of cores, row).
type Seat = (usize, usize);

/// A source of an axon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Feed {
    Nobody,
    /// (place in the list of cores, row), ticks.
    Neuron(usize, usize, u16),
    Many,
}

/// Reads an input file of RANC's simulator. `pad` fills up lists of axons and neurons that are shorter than the target's, as that simulator does. `steps` are the network steps
/// of a sample where nobody says; default: those of the packets.
///
/// # Errors
/// No such JSON, a target of another family, or anything that doesn't fit the target.
pub fn read(bytes: &[u8], name: &str, target: &Target, pad: bool, steps: Option<u32>) -> Result<Imported, RancError> {
    let Family::Crossbar(spec) = &target.family else {
        return Err(RancError::Family { target: target.name.clone(), family: target.family.name() });
    };
    let file: File = serde_json::from_slice(bytes).map_err(|e| RancError::Json {
        line: e.line(),
        column: e.column(),
        what: e.to_string().split(" at line").next().unwrap_or_default().to_string(),
    })?;
    let mut reader = Reader { spec, target, pad, findings: Vec::new() };
    let tables = reader.cores(&file);
    reader.bus(&file.output_bus);
    if !reader.findings.is_empty() {
        return Err(RancError::Findings(reader.findings));
    }
    let imported = reader.network(&file, tables, name, steps);
    if reader.findings.is_empty() { Ok(imported) } else { Err(RancError::Findings(reader.findings)) }
}

impl Reader<'_> {
    fn find(&mut self, core: Option<(i64, i64)>, neuron: Option<usize>, what: impl Into<String>) {
        self.findings.push(RancFinding { core, neuron, what: what.into() });
    }

    fn count(&mut self, core: (i64, i64), neuron: Option<usize>, what: &str, found: usize, expected: usize, may_be_less: bool) {
        if found != expected && !(may_be_less && found < expected) {
            self.find(Some(core), neuron, format!("found {found} {what}, expected {expected}"));
        }
    }

    fn within(&mut self, core: (i64, i64), neuron: Option<usize>, what: &str, found: i64, range: (i64, i64)) {
        if !(range.0..=range.1).contains(&found) {
            self.find(Some(core), neuron, format!("{what}: found {found}, expected {} ..= {}", range.0, range.1));
        }
    }

    fn bus(&mut self, bus: &Bus) {
        let (x, y) = *self.spec.routing.output_bus;
        if bus.coordinates != (i64::from(x), i64::from(y)) {
            let (a, b) = bus.coordinates;
            self.find(None, None, format!("output bus: found ({a},{b}), the target's is ({x},{y})"));
        }
        let most = i64::from(*self.spec.routing.outputs);
        if !(1..=most).contains(&bus.num_outputs) {
            self.find(None, None, format!("output bus: found {} outputs, expected 1 ..= {most}", bus.num_outputs));
        }
    }

    /// The tables of all cores, ascending.
    fn cores(&mut self, file: &File) -> Vec<CrossbarTables> {
        let (width, height) = (i64::from(*self.target.topology.width), i64::from(*self.target.topology.height));
        let mut all: BTreeMap<u32, CrossbarTables> = BTreeMap::new();
        for core in &file.cores {
            let at = core.coordinates;
            let before = self.findings.len();
            if !((0..width).contains(&at.0) && (0..height).contains(&at.1)) {
                self.find(Some(at), None, format!("expected a core of the {width} x {height} grid"));
            }
            if (at.0, at.1) == (i64::from(self.spec.routing.output_bus.0), i64::from(self.spec.routing.output_bus.1)) {
                self.find(Some(at), None, "the target's output bus stands there");
            }
            let tables = self.core(core);
            if self.findings.len() == before {
                let number = (at.1 * width + at.0) as u32;
                if all.insert(number, CrossbarTables { core: number, ..tables }).is_some() {
                    self.find(Some(at), None, "stands twice in the file");
                }
            }
        }
        all.into_values().collect()
    }

    fn core(&mut self, core: &Core) -> CrossbarTables {
        let at = core.coordinates;
        let (axons, neurons) = (*self.spec.core.axons as usize, *self.spec.core.neurons as usize);
        let kinds = *self.spec.core.axon_types as usize;
        self.count(at, None, "axons", core.axons.len(), axons, self.pad);
        self.count(at, None, "neurons", core.neurons.len(), neurons, self.pad);
        self.count(at, None, "lists of connections", core.connections.len(), core.neurons.len(), false);
        for (axon, &kind) in core.axons.iter().enumerate() {
            self.within(at, None, &format!("type of axon {axon}"), kind, (0, kinds as i64 - 1));
        }
        let mut types: Vec<u8> = core.axons.iter().map(|&k| k as u8).collect();
        types.resize(axons, 0);
        let mut rows = vec![CrossbarRow::unused(self.spec); neurons];
        for (j, neuron) in core.neurons.iter().enumerate() {
            let before = self.findings.len();
            let row = self.row(at, j, neuron, core.connections.get(j));
            if self.findings.len() == before
                && let Some(slot) = rows.get_mut(j)
                && acts(&row)
            {
                *slot = row;
            }
        }
        CrossbarTables { core: 0, types, neurons: rows }
    }

    fn row(&mut self, at: (i64, i64), j: usize, n: &Neuron, connections: Option<&Vec<i64>>) -> CrossbarRow {
        let (spec, some) = (self.spec, Some(j));
        let bits = |bits: u8| (-(1i64 << (bits - 1)), (1i64 << (bits - 1)) - 1);
        let kinds = *spec.core.axon_types as usize;
        self.count(at, some, "weights", n.weights.len(), kinds, self.pad);
        let s = &spec.neuron;
        for &weight in &n.weights {
            self.within(at, some, "weight", weight, bits(*s.weight_bits));
        }
        let (dx, dy) = n.destination_core_offset;
        for (what, found, range) in [
            ("reset_potential", n.reset_potential, bits(*s.potential_bits)),
            ("current_potential", n.current_potential, bits(*s.potential_bits)),
            ("leak", n.leak, bits(*s.leak_bits)),
            ("positive_threshold", n.positive_threshold, bits(*s.threshold_bits)),
            ("negative_threshold", n.negative_threshold, bits(*s.threshold_bits)),
            ("destination_core_offset in x", dx, bits(*spec.routing.offset_bits)),
            ("destination_core_offset in y", dy, bits(*spec.routing.offset_bits)),
            ("destination_axon", n.destination_axon, (0, i64::from((*spec.core.axons).max(*spec.routing.outputs)) - 1)),
            ("destination_tick", n.destination_tick, (0, i64::from(*spec.routing.max_delay))),
            ("reset_mode", n.reset_mode, (0, 1)),
        ] {
            self.within(at, some, what, found, range);
        }
        let mode = if n.reset_mode == 1 { CrossbarReset::Linear } else { CrossbarReset::Absolute };
        if !spec.neuron.resets.contains(&mode) {
            self.find(Some(at), some, format!("reset_mode {}: the target has no such reset", n.reset_mode));
        }
        let connections = connections.map_or(&[][..], |c| &c[..]);
        self.count(at, some, "connections", connections.len(), *spec.core.axons as usize, self.pad);
        for &c in connections {
            self.within(at, some, "connection", c, (0, 1));
        }
        let mut weights: Vec<i32> = n.weights.iter().map(|&w| w as i32).collect();
        weights.resize(kinds, 0);
        CrossbarRow {
            connections: connections.iter().enumerate().filter(|(_, c)| **c == 1).map(|(a, _)| a as u16).collect(),
            potential: n.current_potential as i32,
            reset: n.reset_potential as i32,
            weights,
            leak: n.leak as i32,
            positive_threshold: n.positive_threshold as i32,
            negative_threshold: n.negative_threshold as i32,
            mode,
            destination: Destination { dx: dx as i32, dy: dy as i32, axon: n.destination_axon as u16, delay: n.destination_tick as u8 },
        }
    }

    fn at(&self, core: u32) -> (i64, i64) {
        let width = *self.target.topology.width;
        (i64::from(core % width), i64::from(core / width))
    }

    /// What feeds each axon of each core, and the row of each output.
    fn follow(&mut self, tables: &[CrossbarTables], outputs: usize) -> (Vec<Vec<Feed>>, Vec<Option<Seat>>) {
        let (width, height) = (i64::from(*self.target.topology.width), i64::from(*self.target.topology.height));
        let bus = (i64::from(self.spec.routing.output_bus.0), i64::from(self.spec.routing.output_bus.1));
        let mut feeds: Vec<Vec<Feed>> = tables.iter().map(|t| vec![Feed::Nobody; t.types.len()]).collect();
        let mut outs: Vec<Option<Seat>> = vec![None; outputs];
        for (k, core) in tables.iter().enumerate() {
            let at = self.at(core.core);
            for (j, row) in core.neurons.iter().enumerate().filter(|(_, row)| !row.is_unused(self.spec)) {
                let d = row.destination;
                let to = (at.0 + i64::from(d.dx), at.1 + i64::from(d.dy));
                if to == bus {
                    match outs.get_mut(usize::from(d.axon)) {
                        Some(slot @ None) => *slot = Some((k, j)),
                        Some(Some(_)) => self.find(Some(at), Some(j), format!("output {} of the bus has another neuron", d.axon)),
                        None => self.find(Some(at), Some(j), format!("found output {}, the bus has {outputs}", d.axon)),
                    }
                    continue;
                }
                let inside = (0..width).contains(&to.0) && (0..height).contains(&to.1);
                let core = if inside { tables.binary_search_by_key(&((to.1 * width + to.0) as u32), |t| t.core).ok() } else { None };
                match core.and_then(|c| feeds[c].get_mut(usize::from(d.axon))) {
                    Some(slot @ Feed::Nobody) => *slot = Feed::Neuron(k, j, 1 + u16::from(d.delay)),
                    Some(slot) => *slot = Feed::Many,
                    None => self.find(
                        Some(at),
                        Some(j),
                        format!("found a destination of core ({},{}) axon {}, expected an axon of a core of the file", to.0, to.1, d.axon),
                    ),
                }
            }
        }
        for (core, feeds) in tables.iter().zip(&feeds) {
            for (axon, _) in feeds.iter().enumerate().filter(|(_, f)| **f == Feed::Many) {
                let at = self.at(core.core);
                self.find(Some(at), None, format!("axon {axon}: several neurons send to it, expected one source"));
            }
        }
        (feeds, outs)
    }

    fn network(&mut self, file: &File, tables: Vec<CrossbarTables>, name: &str, steps: Option<u32>) -> Imported {
        let outputs = file.output_bus.num_outputs as usize;
        let (feeds, outs) = self.follow(&tables, outputs);
        // Channels: axons with a packet or a connection, and no neuron that sends to them.
        let mut channels: BTreeSet<(u32, u16)> = BTreeSet::new();
        for (k, core) in tables.iter().enumerate() {
            let heard: BTreeSet<u16> = core.neurons.iter().flat_map(|row| row.connections.iter().copied()).collect();
            channels.extend(heard.into_iter().filter(|&a| feeds[k][usize::from(a)] == Feed::Nobody).map(|a| (core.core, a)));
        }
        let packets = self.packets(file, &tables, &feeds, &mut channels);
        let channels: Vec<(u32, u16)> = channels.into_iter().collect();
        let number = |place: &(u32, u16)| channels.binary_search(place).unwrap_or_default() as u32;
        let train = SpikeTrain::from_steps(
            channels.len() as u32,
            packets.iter().map(|places| {
                let mut of: Vec<u32> = places.iter().map(number).collect();
                of.sort_unstable();
                of.dedup();
                of
            }),
        );
        // Neurons: hidden ones by core and row, outputs by their number.
        let is_output: BTreeSet<(usize, usize)> = outs.iter().flatten().copied().collect();
        let hidden: Vec<(usize, usize)> = tables
            .iter()
            .enumerate()
            .flat_map(|(k, core)| (0..core.neurons.len()).map(move |j| (k, j)))
            .filter(|&(k, j)| !tables[k].neurons[j].is_unused(self.spec) && !is_output.contains(&(k, j)))
            .collect();
        let output: Vec<(u32, (usize, usize))> = outs.iter().enumerate().filter_map(|(i, o)| o.map(|o| (i as u32, o))).collect();
        if output.is_empty() {
            self.find(None, None, "no neuron sends to the output bus: there is nothing to read");
        }
        let seats = [hidden.clone(), output.iter().map(|o| o.1).collect::<Vec<_>>()];
        let mut index: BTreeMap<(usize, usize), (u32, u32)> = BTreeMap::new();
        for (p, of) in seats.iter().enumerate() {
            index.extend(of.iter().enumerate().map(|(n, &seat)| (seat, (p as u32 + 1, n as u32))));
        }
        let neuron = |&(k, j): &(usize, usize)| register(&tables[k].neurons[j]);
        let population = |name: &str, trained: usize, origin: Vec<u32>, role| Population {
            name: name.into(),
            shape: vec![trained as u32],
            origin,
            skew: 0,
            role,
        };
        let all = |n: usize| (0..n as u32).collect::<Vec<u32>>();
        let populations = vec![
            population("input", channels.len(), all(channels.len()), Role::SpikeInput),
            population("hidden", hidden.len(), all(hidden.len()), Role::Neurons(seats[0].iter().map(neuron).collect())),
            population("output", outputs, output.iter().map(|o| o.0).collect(), Role::Neurons(seats[1].iter().map(neuron).collect())),
        ];
        type Tuples = Vec<(u32, u32, i32, u16)>;
        let mut synapses: BTreeMap<(u32, u32), Tuples> = BTreeMap::new();
        for (k, core) in tables.iter().enumerate() {
            for (j, row) in core.neurons.iter().enumerate() {
                let Some(&(post, to)) = index.get(&(k, j)) else { continue };
                for &axon in &row.connections {
                    let weight = row.weights[usize::from(core.types[usize::from(axon)])];
                    let (pre, from, delay) = match feeds[k][usize::from(axon)] {
                        Feed::Nobody => (0, number(&(core.core, axon)), 0),
                        Feed::Neuron(k, j, delay) => match index.get(&(k, j)) {
                            Some(&(pre, from)) => (pre, from, delay),
                            None => continue,
                        },
                        Feed::Many => continue,
                    };
                    synapses.entry((pre, post)).or_default().push((from, to, weight, delay));
                }
            }
        }
        let size = |p: u32| populations[p as usize].len();
        let projections = synapses.into_iter().map(|((pre, post), tuples)| Projection {
            name: format!("{}-{}", populations[pre as usize].name, populations[post as usize].name),
            pre: PopulationId(pre),
            post: PopulationId(post),
            format: (),
            synapses: Synapses::from_tuples(size(pre), tuples),
        });
        let n = &self.spec.neuron;
        let rules = CrossbarRules {
            potential_bits: *n.potential_bits,
            overflow: if *n.overflow == Overflow::Saturate { PotentialOverflow::Saturate } else { PotentialOverflow::Wrap },
            floor_inclusive: *n.negative_compare == NegativeCompare::LessEqual,
        };
        let projections: Vec<Projection<Crossbar>> = projections.collect();
        let net = Net { name: name.into(), rules, populations, projections, host_projections: Vec::new(), output: PopulationId(2) };
        let place = |&(k, j): &(usize, usize)| Place { core: tables[k].core, index: j as u16 };
        let symbols = |p: usize, seats: &[(usize, usize)]| PopulationSymbols {
            name: net.populations[p].name.clone(),
            shape: net.populations[p].shape.clone(),
            skew: 0,
            input: p == 0,
            neurons: net.populations[p].origin.iter().zip(seats).map(|(&i, seat)| (i, place(seat))).collect(),
            copies: Vec::new(),
        };
        let host = Host {
            input_width: channels.len() as u32,
            encoder: Encoder::Spikes,
            input_axons: channels.iter().map(|&(core, index)| vec![Place { core, index }]).collect(),
            injections: Vec::new(),
            maps: Vec::new(),
            bias_writes: Vec::new(),
            default_steps: steps.or(Some(train.steps()).filter(|&t| t > 0)),
            max_skew: 0,
            decoder: Decoder { kind: DecoderKind::Count, outputs: outs.iter().map(|o| o.as_ref().map(place)).collect(), skew: 0 },
        };
        let symbols = Symbols { populations: vec![symbols(0, &[]), symbols(1, &seats[0]), symbols(2, &seats[1])], output: 2 };
        let network_digest = net.digest();
        let quantized = Quantized { net, scaling: Scaling::Exact, network_digest };
        let mut cores = Vec::with_capacity(tables.len());
        for table in &tables {
            match encode_core(table, self.spec) {
                Ok(core) => cores.push(core),
                Err(e) => self.find(Some(self.at(table.core)), None, e.to_string()),
            }
        }
        let provenance = Provenance {
            tool: format!("spikec {}", env!("CARGO_PKG_VERSION")),
            network_name: name.into(),
            network_digest: network_digest.iter().map(|b| format!("{b:02x}")).collect(),
            options: vec![("import".into(), "ranc-json".into())],
            seed: 0,
        };
        let image = Image::Crossbar(CrossbarImage { cores });
        let bundle = Bundle { target: self.target.clone(), image, host, symbols, provenance, reference: quantized.to_bytes() };
        Imported { bundle, packets: train }
    }

    /// (core, axon) of the packets of each network step.
    fn packets(
        &mut self,
        file: &File,
        tables: &[CrossbarTables],
        feeds: &[Vec<Feed>],
        channels: &mut BTreeSet<(u32, u16)>,
    ) -> Vec<Vec<(u32, u16)>> {
        let (width, axons) = (i64::from(*self.target.topology.width), i64::from(*self.spec.core.axons));
        let slots = i64::from(*self.spec.core.delay_slots);
        if file.packets.len() > MOST_TICKS {
            self.find(None, None, format!("found {} lists of packets, at most {MOST_TICKS} are read", file.packets.len()));
            return Vec::new();
        }
        let mut steps: Vec<Vec<(u32, u16)>> = vec![Vec::new(); file.packets.len()];
        for (t, packets) in file.packets.iter().enumerate() {
            for packet in packets {
                let (x, y) = packet.destination_core;
                let (axon, tick) = (packet.destination_axon, packet.destination_tick);
                let known = (0..width).contains(&x) && (0..=i64::from(u32::MAX) / width).contains(&y);
                let core = if known { tables.binary_search_by_key(&((y * width + x) as u32), |c| c.core).ok() } else { None };
                let Some(k) = core.filter(|_| (0..axons).contains(&axon) && (0..slots).contains(&tick)) else {
                    self.find(
                        Some((x, y)),
                        None,
                        format!("packet of tick {t}: found axon {axon}, tick {tick}, expected an axon of a core of the file and a tick below {slots}"),
                    );
                    continue;
                };
                if feeds[k][axon as usize] != Feed::Nobody {
                    self.find(Some((x, y)), None, format!("packet of tick {t}: axon {axon} has a neuron that sends to it"));
                    continue;
                }
                let step = t + tick as usize;
                if steps.len() <= step {
                    steps.resize(step + 1, Vec::new());
                }
                let place = (tables[k].core, axon as u16);
                channels.insert(place);
                steps[step].push(place);
            }
        }
        steps
    }
}

fn register(row: &CrossbarRow) -> CrossbarNeuron {
    CrossbarNeuron {
        leak: row.leak,
        threshold: row.positive_threshold,
        floor: row.negative_threshold,
        reset: row.reset,
        linear: row.mode == CrossbarReset::Linear,
        start: row.potential,
    }
}

/// False for a row that hears nothing and never fires: without inputs and leak its potential is what it is, or goes to the reset value's negative, or up to 0
/// at most by what the negative threshold takes away.
fn acts(row: &CrossbarRow) -> bool {
    let quiet = row.connections.is_empty() && row.leak == 0 && row.positive_threshold > 0;
    let highest = row.potential.max(0).max(row.reset.saturating_neg());
    let floor = row.negative_threshold;
    let never = floor <= 0 && highest < row.positive_threshold;
    !(quiet && never)
}
