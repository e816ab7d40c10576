//! `snn.yaml`: the mapped network.
//!
//! Invariant: edges whose unit is not their neuron's stand last, after [`MARKER`]; tests/external reads that line.
//! Cost: one line for each synapse.

use super::arch::quoted;
use super::plan::{Edge, Plan, Soma, Source, Unit};
use std::fmt;
use std::io::{self, Write};

/// Line before the edges of the other unit.
pub(super) const MARKER: &str = "    # other unit: ";

/// A number as SANA-FE reads it: a whole one without a point.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rust writes the shortest digits that give the same number again, never an exponent.
        if self.0 == 0.0 { f.write_str("0") } else { write!(f, "{}", self.0) }
    }
}

struct Attributes<'a>(&'a Soma);

impl fmt::Display for Attributes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.0;
        write!(f, "synapse_hw_name: {}, soma: {{threshold: {}", s.unit.name(), Number(s.threshold))?;
        for (key, value, default) in
            [("leak_decay", s.leak_decay, 1.0), ("input_decay", s.input_decay, 0.0), ("bias", s.bias, 0.0), ("potential", s.potential, 0.0)]
        {
            if value != default {
                write!(f, ", {key}: {}", Number(value))?;
            }
        }
        if s.refractory > 1 {
            write!(f, ", refractory_delay: {}", s.refractory)?;
        }
        f.write_str("}")
    }
}

pub(super) fn write(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "# Written by spikec {} for SANA-FE 2.2.9. coreK.C is compartment C of core K; v in units of 64.",
        env!("CARGO_PKG_VERSION")
    )?;
    writeln!(out, "network:")?;
    writeln!(out, "  name: {}", quoted(&plan.target.name))?;
    writeln!(out, "  groups:")?;
    for core in &plan.cores {
        let populations: Vec<String> = core.populations.iter().map(|n| quoted(n)).collect();
        writeln!(out, "    # populations: {}", populations.join(", "))?;
        writeln!(out, "    - name: core{}", core.tables.core)?;
        writeln!(out, "      attributes: [soma_hw_name: lif, dendrite_hw_name: sum, log_spikes: true]")?;
        writeln!(out, "      neurons:")?;
        let mut first = 0;
        for same in core.somas.chunk_by(|a, b| a == b) {
            let last = first + same.len() - 1;
            let range = if last > first { format!("{first}..{last}") } else { first.to_string() };
            writeln!(out, "        - {range}: [{}]", Attributes(&same[0]))?;
            first += same.len();
        }
    }
    if let Some(input) = &plan.input {
        writeln!(out, "    - name: input")?;
        writeln!(out, "      attributes: [dendrite_hw_name: sum]")?;
        writeln!(out, "      neurons:")?;
        for channel in 0..plan.channels() {
            write!(out, "        - {channel}: [soma_hw_name: \"input[{channel}]\"")?;
            if let Some(spikes) = input.spikes.get(channel).filter(|s| !s.is_empty()) {
                let bits: Vec<&str> = spikes.iter().map(|s| if *s { "1" } else { "0" }).collect();
                write!(out, ", spikes: [{}]", bits.join(", "))?;
            }
            writeln!(out, "]")?;
        }
    }
    edges(plan, out)?;
    writeln!(out, "mappings:")?;
    for core in &plan.cores {
        writeln!(out, "  - core{}: [core: {}.{}]", core.tables.core, core.tile, core.slot)?;
    }
    if let Some(input) = &plan.input {
        writeln!(out, "  - input: [core: {}.{}]", input.tile, input.slot)?;
    }
    Ok(())
}

fn edges(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    let mut any = false;
    let mut begin = |out: &mut dyn Write| if std::mem::replace(&mut any, true) { Ok(()) } else { writeln!(out, "  edges:") };
    let mut others = [0u64; 3];
    plan.edges(|e| {
        if other(plan, e) {
            others[e.unit.index()] += 1;
            return Ok(());
        }
        begin(out)?;
        edge(plan, out, e)
    })?;
    for unit in [Unit::Dense, Unit::Sparse, Unit::Conv] {
        if others[unit.index()] == 0 {
            continue;
        }
        begin(out)?;
        writeln!(out, "{MARKER}{}", unit.name())?;
        plan.edges(|e| if other(plan, e) && e.unit == unit { edge(plan, out, e) } else { Ok(()) })?;
    }
    if any { Ok(()) } else { writeln!(out, "  edges: []") }
}

/// The edge has another price than its neuron's unit, and could be given it.
fn other(plan: &Plan, e: &Edge) -> bool {
    let core = &plan.cores[e.core];
    !core.delayed && core.somas[usize::from(e.compartment)].unit != e.unit
}

fn edge(plan: &Plan, out: &mut dyn Write, e: &Edge) -> io::Result<()> {
    match e.from {
        Source::Channel(channel) => write!(out, "    - input.{channel}")?,
        Source::Compartment(k, index) => write!(out, "    - core{}.{index}", plan.cores[k].tables.core)?,
    }
    let core = &plan.cores[e.core];
    write!(out, " -> core{}.{}: [w: {}", core.tables.core, e.compartment, Number(e.weight))?;
    if core.delayed && e.delay > 0 {
        write!(out, ", d: {}", e.delay)?;
    }
    writeln!(out, "]")
}
