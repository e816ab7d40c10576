//! `arch.yaml`: the target as an architecture.
//!
//! Invariant: the whole chip is written, whether used or not; the host's core stands beside the cores of its port's tile.

use super::plan::Plan;
use std::io::{self, Write};

/// A kind of core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// With a dendrite that delays.
    Delayed,
    /// The host's.
    Input,
}

/// A number with a power of ten, as the target has it.
struct Scaled(f64, i32);

impl std::fmt::Display for Scaled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}e{}", self.0, self.1)
    }
}

fn ns(x: f64) -> Scaled {
    Scaled(x, -9)
}

fn pj(x: f64) -> Scaled {
    Scaled(x, -12)
}

/// A text as a double-quoted scalar without anything that would need escaping.
pub(super) fn quoted(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || " _-.+".contains(c) { c } else { '_' };
    format!("\"{}\"", text.chars().map(plain).collect::<String>())
}

pub(super) fn write(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    let t = &plan.target.topology;
    let p = plan.target.packed();
    writeln!(
        out,
        "# Written by spikec {} for SANA-FE 2.2.9. Times in s, energies in J, as the target has them.",
        env!("CARGO_PKG_VERSION")
    )?;
    writeln!(out, "architecture:")?;
    writeln!(out, "  name: {}", quoted(&plan.target.name))?;
    writeln!(out, "  attributes:")?;
    writeln!(out, "    topology: mesh")?;
    writeln!(out, "    width: {}", *t.width)?;
    writeln!(out, "    height: {}", *t.height)?;
    writeln!(out, "    link_buffer_size: {}", *t.link_buffer)?;
    writeln!(out, "    sync_model: table")?;
    let barriers: Vec<String> = p.timing_ns.barrier_by_tiles.iter().map(|(tiles, x)| format!("{tiles}: {}", ns(*x))).collect();
    writeln!(out, "    latency_sync: {{{}}}", barriers.join(", "))?;
    writeln!(out, "  tile:")?;
    // Tiles that are not like all others.
    let mut special: Vec<u32> = plan.cores.iter().filter(|c| c.delayed).map(|c| c.tile).collect();
    special.extend(plan.input.as_ref().map(|input| input.tile));
    special.sort_unstable();
    special.dedup();
    let plain = vec![Kind::Plain; plan.mesh.cores_per_router as usize];
    let mut next = 0;
    for at in special {
        tiles(plan, out, next..at, &plain)?;
        tiles(plan, out, at..at + 1, &kinds(plan, at))?;
        next = at + 1;
    }
    tiles(plan, out, next..*t.width * *t.height, &plain)
}

/// Kinds of a tile's cores by slot.
fn kinds(plan: &Plan, tile: u32) -> Vec<Kind> {
    let mut kinds = vec![Kind::Plain; plan.mesh.cores_per_router as usize];
    for core in plan.cores.iter().filter(|c| c.tile == tile && c.delayed) {
        if let Some(kind) = kinds.get_mut(core.slot as usize) {
            *kind = Kind::Delayed;
        }
    }
    if plan.input.as_ref().is_some_and(|input| input.tile == tile) {
        kinds.push(Kind::Input);
    }
    kinds
}

fn tiles(plan: &Plan, out: &mut dyn Write, same: std::ops::Range<u32>, kinds: &[Kind]) -> io::Result<()> {
    if same.is_empty() {
        return Ok(());
    }
    let p = plan.target.packed();
    writeln!(out, "    - name: tile[{}..{}]", same.start, same.end - 1)?;
    writeln!(out, "      attributes:")?;
    let (t, e) = (&p.timing_ns, &p.energy_pj);
    for (way, time, energy) in
        [("north", *t.hop_y, *e.hop_y), ("east", *t.hop_x, *e.hop_x), ("south", *t.hop_y, *e.hop_y), ("west", *t.hop_x, *e.hop_x)]
    {
        writeln!(out, "        energy_{way}_hop: {}", pj(energy))?;
        writeln!(out, "        latency_{way}_hop: {}", ns(time))?;
    }
    writeln!(out, "      core:")?;
    let mut slot = 0;
    for run in kinds.chunk_by(|a, b| a == b) {
        core(plan, out, slot, run.len(), run[0])?;
        slot += run.len();
    }
    Ok(())
}

fn core(plan: &Plan, out: &mut dyn Write, first: usize, count: usize, kind: Kind) -> io::Result<()> {
    let p = plan.target.packed();
    let (t, e) = (&p.timing_ns, &p.energy_pj);
    let neurons = if kind == Kind::Input { plan.channels() } else { *p.core.compartments as usize };
    writeln!(out, "        - name: core[{first}..{}]", first + count - 1)?;
    writeln!(out, "          attributes:")?;
    writeln!(out, "            buffer_position: {}", if kind == Kind::Delayed { "dendrite" } else { "soma" })?;
    writeln!(out, "            buffer_inside_unit: {}", kind == Kind::Delayed)?;
    writeln!(out, "            max_neurons_supported: {neurons}")?;
    writeln!(out, "          axon_in:")?;
    unit(out, "axon_in", None, &[("energy_message_in", pj(*e.axon_in)), ("latency_message_in", ns(*t.axon_in))])?;
    writeln!(out, "          synapse:")?;
    let shares = plan.cores.iter().any(|c| c.readers.iter().any(|&n| n > 1));
    let conv = shares.then_some(("conv", *e.synapse_conv, *t.synapse_conv));
    let units = [("dense", *e.synapse_dense, *t.synapse_dense), ("sparse", *e.synapse_sparse, *t.synapse_sparse)];
    for (name, energy, time) in units.into_iter().chain(conv) {
        unit(out, name, Some("current_based"), &[("energy_process_spike", pj(energy)), ("latency_process_spike", ns(time))])?;
    }
    writeln!(out, "          dendrite:")?;
    let model = if kind == Kind::Delayed { "accumulator_with_delay" } else { "accumulator" };
    unit(out, "sum", Some(model), &[("energy_update", pj(0.0)), ("latency_update", ns(0.0))])?;
    writeln!(out, "          soma:")?;
    let soma = |access: (f64, f64), update: (f64, f64), spike: (f64, f64)| {
        [
            ("energy_access_neuron", pj(access.0)),
            ("latency_access_neuron", ns(access.1)),
            ("energy_update_neuron", pj(update.0)),
            ("latency_update_neuron", ns(update.1)),
            ("energy_spike_out", pj(spike.0)),
            ("latency_spike_out", ns(spike.1)),
        ]
    };
    let free = (0.0, 0.0);
    let (send, name) = if kind == Kind::Input {
        unit(out, &format!("input[0..{}]", neurons.max(1) - 1), Some("input"), &soma(free, free, free))?;
        ((*e.host_spike, *t.host_spike), "host")
    } else {
        let costs = soma((*e.neuron_access, *t.neuron_access), (*e.neuron_update, *t.neuron_update), (*e.spike_out, *t.spike_out));
        unit(out, "lif", Some("leaky_integrate_fire"), &costs)?;
        ((*e.axon_out, *t.axon_out), "axon_out")
    };
    writeln!(out, "          axon_out:")?;
    unit(out, name, None, &[("energy_message_out", pj(send.0)), ("latency_message_out", ns(send.1))])
}

fn unit(out: &mut dyn Write, name: &str, model: Option<&str>, costs: &[(&str, Scaled)]) -> io::Result<()> {
    writeln!(out, "            - name: {name}")?;
    writeln!(out, "              attributes:")?;
    if let Some(model) = model {
        writeln!(out, "                model: {model}")?;
    }
    for (key, value) in costs {
        writeln!(out, "                {key}: {value}")?;
    }
    Ok(())
}
