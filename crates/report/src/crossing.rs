//! A bundle of a chip whose synapses are crossings (crossbars, event crossbars) as text.
//!
//! In: a bundle of one of these families. Out: [`CrossingView`]: manifest, host, populations, and what stands in each core.
//! Invariant: everything is decoded from the image's bits; rows that are not used are left out.

use crate::bundle::{HostView, PopulationView};
use crate::table::{count, table};
use serde::Serialize;
use spikec_chip::bundle::{Bundle, Injection, Origin};
use spikec_chip::crossbar::{self, CrossbarError, CrossbarReset, CrossbarRow};
use spikec_chip::event::{self, EventError};
use spikec_chip::image::Image;
use spikec_chip::target::Family;

/// Bits that are no tables.
#[derive(Debug, thiserror::Error)]
pub enum CrossingError {
    /// Of a crossbar.
    #[error(transparent)]
    Crossbar(#[from] CrossbarError),
    /// Of an event crossbar.
    #[error(transparent)]
    Event(#[from] EventError),
    /// A family whose synapses are entries of words.
    #[error("the bundle is of the family {0}")]
    Family(&'static str),
}

/// A bundle for people and programs.
#[derive(Debug, Serialize)]
pub struct CrossingView {
    /// The manifest, as stored.
    pub manifest: String,
    /// Target name.
    pub target: String,
    /// What the host does.
    pub host: HostView,
    /// What the host sends beside its input axons, one line each.
    pub injections: Vec<String>,
    /// Populations.
    pub populations: Vec<PopulationView>,
    /// Cores.
    pub cores: Vec<CrossingCore>,
}

/// A core.
#[derive(Debug, Serialize)]
pub struct CrossingCore {
    /// Physical core.
    pub core: u32,
    /// Neurons (rows of them) that are used.
    pub neurons: u64,
    /// Axons (rows of synapses) that are used.
    pub axons: u64,
    /// Synapses that are stored.
    pub synapses: u64,
    /// Registers of the core, one line each.
    pub registers: Vec<String>,
    /// Neurons that are used, one line each.
    pub rows: Vec<String>,
    /// Every synapse, if asked for.
    pub crossings: Option<Vec<String>>,
}

/// Decodes a bundle.
///
/// # Errors
/// Bits that are no tables; another family.
pub fn view(bundle: &Bundle, synapses: bool) -> Result<CrossingView, CrossingError> {
    let cores = match (&bundle.image, &bundle.target.family) {
        (Image::Crossbar(image), Family::Crossbar(spec)) => {
            let mut cores = Vec::with_capacity(image.cores.len());
            for core in &image.cores {
                cores.push(of_crossbar(&crossbar::decode_core(core, spec)?, spec, synapses));
            }
            cores
        }
        (Image::EventCrossbar(image), Family::EventCrossbar(spec)) => vec![of_event(&event::decode(image, spec)?, spec, synapses)],
        (image, _) => return Err(CrossingError::Family(image.family())),
    };
    Ok(CrossingView {
        manifest: bundle.manifest_text(),
        target: bundle.target.name.clone(),
        host: HostView::new(&bundle.host),
        injections: bundle.host.injections.iter().map(injection).collect(),
        populations: PopulationView::all(bundle),
        cores,
    })
}

fn injection(i: &Injection) -> String {
    let from = match i.from {
        Origin::Channel(channel) => format!("channel {channel}"),
        Origin::Neuron(place) => format!("core {}, neuron {}", place.core, place.index),
    };
    format!("{from} -> core {}, axon {}, {} steps later", i.to.core, i.to.index, i.delay_steps)
}

fn of_crossbar(t: &crossbar::CrossbarTables, spec: &crossbar::Crossbar, synapses: bool) -> CrossingCore {
    let used = || t.neurons.iter().enumerate().filter(|(_, row)| !row.is_unused(spec));
    let line = |(k, row): (usize, &CrossbarRow)| {
        let d = row.destination;
        let reset = match row.mode {
            CrossbarReset::Absolute => format!("to {}", row.reset),
            CrossbarReset::Linear => "by the threshold".into(),
        };
        format!(
            "{k}: {} connections, weights {:?}, leak {}, thresholds {} and {}, reset {reset}, starts at {}, to ({:+}, {:+}) axon {} after {}",
            row.connections.len(),
            row.weights,
            row.leak,
            row.positive_threshold,
            row.negative_threshold,
            row.potential,
            d.dx,
            d.dy,
            d.axon,
            d.delay + 1
        )
    };
    let mut heard = vec![false; t.types.len()];
    used().flat_map(|(_, row)| &row.connections).for_each(|&a| heard[usize::from(a)] = true);
    let types: Vec<String> = (0..*spec.core.axon_types as u8)
        .map(|kind| t.types.iter().zip(&heard).filter(|(t, heard)| **t == kind && **heard).count().to_string())
        .collect();
    let crossings = |(k, row): (usize, &CrossbarRow)| {
        let line = |&a: &u16| format!("axon {a} -> neuron {k}: {}", row.weights[usize::from(t.types[usize::from(a)])]);
        row.connections.iter().map(line).collect::<Vec<_>>()
    };
    CrossingCore {
        core: t.core,
        neurons: used().count() as u64,
        axons: heard.iter().filter(|h| **h).count() as u64,
        synapses: used().map(|(_, row)| row.connections.len() as u64).sum(),
        registers: vec![format!("axons of each type: {}", types.join(", "))],
        rows: used().map(line).collect(),
        crossings: synapses.then(|| used().flat_map(crossings).collect()),
    }
}

fn of_event(t: &event::EventTables, spec: &event::EventCrossbar, synapses: bool) -> CrossingCore {
    let n = t.neurons.len();
    let unused = event::EventWord::unused(spec);
    let used = || t.neurons.iter().enumerate().filter(|(_, word)| **word != unused);
    let rows = || t.weights.chunks(n).enumerate();
    let line = |(k, word): (usize, &event::EventWord)| {
        let disabled = if word.disabled { ", disabled" } else { "" };
        format!("{k}: threshold {}, leak {}, starts at {}{disabled}", word.threshold, word.leak, word.potential)
    };
    let crossings = |(row, weights): (usize, &[i8])| {
        weights.iter().enumerate().filter(|(_, w)| **w != 0).map(|(k, w)| format!("row {row} -> neuron {k}: {w}")).collect::<Vec<_>>()
    };
    let mut registers = vec![format!("open loop: {}", t.open_loop), format!("last neuron: {}", t.last_neuron)];
    if !t.negative_rows.is_empty() {
        registers.push(format!("rows of negative weights: {}", t.negative_rows.iter().filter(|r| **r).count()));
    }
    CrossingCore {
        core: 0,
        neurons: used().count() as u64,
        axons: rows().filter(|(_, weights)| weights.iter().any(|w| *w != 0)).count() as u64,
        synapses: t.weights.iter().filter(|w| **w != 0).count() as u64,
        registers,
        rows: used().map(line).collect(),
        crossings: synapses.then(|| rows().flat_map(crossings).collect()),
    }
}

/// The view as text.
pub fn text(v: &CrossingView) -> String {
    let mut out = v.manifest.clone();
    out.push('\n');
    out.push_str(&v.host.text());
    for line in &v.injections {
        out.push_str(&format!("host sends {line}\n"));
    }
    out.push_str(&table(
        &["population", "shape", "skew", "on chip", "rows"],
        v.populations.iter().map(|p| {
            let shape = p.shape.iter().map(|d| d.to_string()).collect::<Vec<_>>().join("x");
            vec![p.name.clone(), shape, p.skew.to_string(), count(p.on_chip), count(p.on_chip + p.copies.len() as u64)]
        }),
    ));
    out.push('\n');
    for c in &v.cores {
        let (neurons, axons, synapses) = (count(c.neurons), count(c.axons), count(c.synapses));
        out.push_str(&format!("\ncore {}: {neurons} neurons, {axons} axons, {synapses} synapses\n", c.core));
        c.registers.iter().for_each(|line| out.push_str(&format!("  {line}\n")));
        c.rows.iter().for_each(|line| out.push_str(&format!("  neuron {line}\n")));
        c.crossings.iter().flatten().for_each(|line| out.push_str(&format!("  {line}\n")));
    }
    out
}
