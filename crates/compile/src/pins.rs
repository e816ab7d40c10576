//! Pins: layers that the user wants on certain cores.
//!
//! In: `layer=first..end` as given. Out: populations with ranges of physical cores, or every contradiction.
//! Invariant: a core of a pinned layer holds neurons of layers with the same pin only.

use crate::finding::Finding;
use crate::place::Placed;
use spikec_chip::target::Target;
use spikec_net::{PopulationId, Quantized};
use std::ops::Range;

/// A layer and the physical cores that it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Name of the population.
    pub layer: String,
    /// Physical cores.
    pub cores: Range<u32>,
}

/// Pins by population, and every finding: an unknown layer (P10), an empty range or one beyond the board (P11), a layer pinned twice (P12).
pub(crate) fn resolve(q: &Quantized, target: &Target, pins: &[Pin]) -> (Vec<(PopulationId, Range<u32>)>, Vec<Finding>) {
    let mut resolved: Vec<(PopulationId, Range<u32>)> = Vec::new();
    let mut findings = Vec::new();
    let board = target.total_cores();
    for pin in pins {
        let found = q.net.populations.iter().position(|p| p.name == pin.layer && !p.is_input());
        let Some(found) = found else {
            let names: Vec<&str> = q.net.populations.iter().filter(|p| !p.is_input()).map(|p| p.name.as_str()).collect();
            let remedy = format!("layers of neurons are: {}", names.join(", "));
            findings.push(Finding::error("P10", "layers of that name to pin", 0.0, 1.0, remedy).layer(&*pin.layer));
            continue;
        };
        if pin.cores.is_empty() || pin.cores.end > board {
            let remedy = format!("pin to a range within 0..{board}");
            let finding = Finding::error("P11", "end of the pinned cores", pin.cores.end.into(), board.into(), remedy);
            findings.push(finding.layer(&*pin.layer));
            continue;
        }
        let id = PopulationId::from(found);
        match resolved.iter().find(|p| p.0 == id) {
            Some((_, other)) if *other != pin.cores => {
                let remedy =
                    format!("pinned to {}..{} and to {}..{}: give one of them", other.start, other.end, pin.cores.start, pin.cores.end);
                findings.push(Finding::error("P12", "pins of one layer", 2.0, 1.0, remedy).layer(&*pin.layer));
            }
            Some(_) => {}
            None => resolved.push((id, pin.cores.clone())),
        }
    }
    (resolved, findings)
}

/// Neurons of pinned layers on other cores (P13).
pub(crate) fn violations(q: &Quantized, placed: &Placed, pins: &[(PopulationId, Range<u32>)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, range) in pins {
        let (population, partitioned) = (q.net.population(*id), placed.partitioned());
        let own = (0..population.len() as u32).filter_map(|k| partitioned.place(*id, k)).map(|place| place.0);
        let of_layer = |unit: u32| partitioned.wiring().reference(unit).population == *id;
        let copies = partitioned.copies().iter().filter(|seat| of_layer(seat.unit)).map(|seat| seat.part);
        let outside = own.chain(copies).filter(|&part| !range.contains(&placed.core(part))).count();
        if outside > 0 {
            let remedy = format!("pin the layer to more than the cores {}..{}", range.start, range.end);
            findings.push(Finding::error("P13", "neurons beyond the pinned cores", outside as f64, 0.0, remedy).layer(&*population.name));
        }
    }
    findings
}
