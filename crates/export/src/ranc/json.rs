//! The input of RANC's simulator: `input.json` and `config.json`.

use super::bound::{overflow, range};
use super::cores;
use crate::error::ExportError;
use crate::expected;
use crate::sample::{Sample, Sent};
use spikec_chip::Loadable;
use spikec_chip::bundle::Place;
use spikec_chip::crossbar::{Crossbar, CrossbarReset, CrossbarRow, CrossbarTables, NegativeCompare, Overflow};
use spikec_chip::mesh::Mesh;
use std::io::{self, Write};

/// A bundle, ready to be written for RANC's simulator.
#[derive(Debug)]
pub struct RancJson {
    spec: Crossbar,
    size: (u32, u32),
    tables: Vec<CrossbarTables>,
    /// Of each tick: (column, row, axon).
    packets: Vec<Vec<(u32, u32, u16)>>,
    expected: Option<String>,
}

impl RancJson {
    /// Decodes a bundle and, with a sample, makes its packets.
    ///
    /// # Errors
    /// Another family, a sample that doesn't fit, or a neuron whose potential may leave the bits of the target.
    pub fn new(bundle: Loadable<'_>, sample: Option<Sample<'_>>) -> Result<RancJson, ExportError> {
        let (spec, tables) = cores(&bundle, "ranc-json")?;
        let sent = sample.map(|s| s.sent(&bundle, true)).transpose()?;
        let mesh = Mesh::new(&bundle.target.topology);
        if *spec.neuron.overflow != Overflow::Unbounded {
            let ticks = sent.as_ref().map(|s| s.steps + bundle.host.max_skew);
            for core in &tables {
                for (neuron, row) in core.neurons.iter().enumerate().filter(|(_, row)| !row.is_unused(spec)) {
                    if let Some(potential) = overflow(row, &core.types, spec, ticks) {
                        let (router, (least, most)) = (mesh.router(core.core), range(spec));
                        return Err(ExportError::Overflow { at: (router.x, router.y), neuron, potential, least, most });
                    }
                }
            }
        }
        let expected = sample.map(|s| expected::json(bundle, "ranc-json", &s)).transpose()?;
        // RANC's packets begin at its first router.
        let place = |p: &Place| {
            let router = mesh.router(p.core);
            (router.x, router.y, p.index)
        };
        let packets = sent.map_or(Vec::new(), |Sent { places, .. }| places.iter().map(|of| of.iter().map(place).collect()).collect());
        let topology = &bundle.target.topology;
        Ok(RancJson { spec: spec.clone(), size: (*topology.width, *topology.height), tables, packets, expected })
    }

    /// Cores, neurons that are used, and packets.
    pub fn size(&self) -> (usize, usize, usize) {
        let used = self.tables.iter().flat_map(|t| &t.neurons).filter(|row| !row.is_unused(&self.spec));
        (self.tables.len(), used.count(), self.packets.iter().map(Vec::len).sum())
    }

    /// What spikec expects of the sample; none without one.
    pub fn expected(&self) -> Option<&str> {
        self.expected.as_deref()
    }

    /// Writes the simulator's parameters.
    ///
    /// # Errors
    /// Where `out` fails.
    pub fn config(&self, out: &mut dyn Write) -> io::Result<()> {
        let (core, reset) = (&self.spec.core, u8::from(*self.spec.neuron.negative_compare == NegativeCompare::LessEqual));
        let numbers: [(&str, u32); 10] = [
            ("num_neurons", *core.neurons),
            ("num_axons", *core.axons),
            ("num_cores_x", self.size.0),
            ("num_cores_y", self.size.1),
            ("num_weights", *core.axon_types),
            ("max_tick_offset", *core.delay_slots),
            ("neuron_reset_type", reset.into()),
            ("neuron_block_trace_verbosity", 0),
            ("core_controller_trace_verbosity", 0),
            ("scheduler_trace_verbosity", 0),
        ];
        let lines: Vec<String> = numbers.iter().map(|(key, value)| format!("  \"{key}\": {value}")).collect();
        writeln!(out, "{{\n{}\n}}", lines.join(",\n"))
    }

    /// Writes packets, output bus and cores.
    ///
    /// # Errors
    /// Where `out` fails.
    pub fn input(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{{\n\"packets\": [")?;
        // The simulator looks at the first list in any case.
        let none = [Vec::new()];
        let ticks = if self.packets.is_empty() { &none[..] } else { &self.packets };
        for (t, packets) in ticks.iter().enumerate() {
            let all: Vec<String> = packets
                .iter()
                .map(|(x, y, axon)| format!("{{\"destination_core\": [{x}, {y}], \"destination_axon\": {axon}, \"destination_tick\": 0}}"))
                .collect();
            writeln!(out, "[{}]{}", all.join(", "), comma(t, ticks.len()))?;
        }
        let (x, y) = *self.spec.routing.output_bus;
        writeln!(out, "],\n\"output_bus\": {{\"coordinates\": [{x}, {y}], \"num_outputs\": {}}},", *self.spec.routing.outputs)?;
        writeln!(out, "\"cores\": [")?;
        for (k, core) in self.tables.iter().enumerate() {
            self.core(core, out)?;
            writeln!(out, "{}", comma(k, self.tables.len()))?;
        }
        writeln!(out, "]\n}}")
    }

    fn core(&self, core: &CrossbarTables, out: &mut dyn Write) -> io::Result<()> {
        let (x, y) = (core.core % self.size.0, core.core / self.size.0);
        writeln!(out, "{{\"coordinates\": [{x}, {y}],\n\"axons\": [{}],\n\"neurons\": [", list(core.types.iter()))?;
        for (j, row) in core.neurons.iter().enumerate() {
            let CrossbarRow {
                connections: _,
                potential,
                reset,
                weights,
                leak,
                positive_threshold,
                negative_threshold,
                mode,
                destination: d,
            } = row;
            writeln!(
                out,
                "{{\"reset_potential\": {reset}, \"weights\": [{}], \"leak\": {leak}, \"positive_threshold\": {positive_threshold}, \
                 \"negative_threshold\": {negative_threshold}, \"destination_core_offset\": [{}, {}], \"destination_axon\": {}, \
                 \"destination_tick\": {}, \"current_potential\": {potential}, \"reset_mode\": {}}}{}",
                list(weights.iter()),
                d.dx,
                d.dy,
                d.axon,
                d.delay,
                u8::from(*mode == CrossbarReset::Linear),
                comma(j, core.neurons.len())
            )?;
        }
        writeln!(out, "],\n\"connections\": [")?;
        for (j, row) in core.neurons.iter().enumerate() {
            let mut bits = vec![0u8; core.types.len()];
            row.connections.iter().for_each(|&a| bits[usize::from(a)] = 1);
            writeln!(out, "[{}]{}", list(bits.iter()), comma(j, core.neurons.len()))?;
        }
        write!(out, "]}}")
    }
}

/// A comma after all but the last.
fn comma(k: usize, count: usize) -> &'static str {
    if k + 1 < count { "," } else { "" }
}

fn list<T: ToString>(values: impl Iterator<Item = T>) -> String {
    values.map(|v| v.to_string()).collect::<Vec<_>>().join(",")
}
