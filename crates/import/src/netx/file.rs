//! HDF5 of a lava-dl file into plain layers.
//!
//! In: bytes. Out: [`Layer`]s in the order of their numbers, with the datasets that are known; nothing is interpreted yet.
//! Invariant: as `crate::hdf5`.

use crate::error::ImportError;
use crate::hdf5::{Budget, RawArray, RawValues, corrupt, numbers, open, text, with_root};
use hdf5_reader::group::Group;
use std::collections::BTreeMap;

/// Datasets of a layer.
const LAYER: [&str; 13] = [
    "shape",
    "inFeatures",
    "outFeatures",
    "inChannels",
    "outChannels",
    "kernelSize",
    "weight",
    "bias",
    "delay",
    "stride",
    "padding",
    "dilation",
    "groups",
];
/// Datasets of a neuron.
const NEURON: [&str; 6] = ["iDecay", "vDecay", "vThMant", "refDelay", "wgtExp", "gradedSpike"];
/// Those that say nothing about the chip: the same threshold again, and the shape of a gradient.
const NO_MATTER: [&str; 3] = ["theta", "tauRho", "scaleRho"];

/// A layer as in the file.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Layer {
    pub kind: String,
    pub values: BTreeMap<&'static str, RawArray>,
    pub neuron: Option<Neuron>,
}

/// A layer's neurons.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Neuron {
    pub kind: String,
    pub values: BTreeMap<&'static str, RawArray>,
}

/// The layers, and what else there is.
pub(super) fn read_file(bytes: &[u8]) -> Result<(Vec<Layer>, Vec<String>), ImportError> {
    with_root(bytes, |root, budget| {
        let (groups, _) = root.member_names().map_err(corrupt("/"))?;
        if !groups.iter().any(|g| g == "layer") {
            return Err(ImportError::NotNetx { missing: "layer".into() });
        }
        let (members, _) = root.group("layer").and_then(|g| g.members()).map_err(corrupt("layer"))?;
        Budget::take(&budget.nodes, members.len() as u64, "layer", "layers")?;
        let mut numbered = BTreeMap::new();
        for member in &members {
            let n = member.name().parse::<usize>().ok().filter(|n| *n < members.len());
            let Some(n) = n else {
                return Err(ImportError::BadValue {
                    place: format!("layer/{}", member.name()),
                    found: format!("one of {} layers", members.len()),
                    expected: format!("a number from 0 to {}", members.len().saturating_sub(1)),
                });
            };
            numbered.insert(n, member);
        }
        let mut unread = Vec::new();
        let mut layers = Vec::new();
        for (n, group) in numbered {
            layers.push(layer(group, &format!("layer/{n}"), budget, &mut unread)?);
        }
        if layers.len() != members.len() {
            return Err(ImportError::NotNetx { missing: format!("layer/{}", layers.len()) });
        }
        Ok((layers, unread))
    })
}

/// What a file of the network's root groups looks like from outside.
pub(crate) fn is_netx(bytes: &[u8]) -> bool {
    with_root(bytes, |root, _| Ok(root.member_names().is_ok_and(|(groups, _)| groups.iter().any(|g| g == "layer")))).unwrap_or(false)
}

fn layer(group: &Group, place: &str, budget: &Budget, unread: &mut Vec<String>) -> Result<Layer, ImportError> {
    let (groups, datasets) = group.member_names().map_err(corrupt(place))?;
    let kind = kind(group, place, &datasets, budget)?;
    let values = datasets_of(group, place, &datasets, &LAYER, budget, unread)?;
    let neuron = match groups.iter().any(|g| g == "neuron") {
        false => None,
        true => {
            let place = format!("{place}/neuron");
            let group = group.group("neuron").map_err(corrupt(&place))?;
            let (_, datasets) = group.member_names().map_err(corrupt(&place))?;
            let kind = self::kind(&group, &place, &datasets, budget)?;
            Some(Neuron { kind, values: datasets_of(&group, &place, &datasets, &NEURON, budget, unread)? })
        }
    };
    Ok(Layer { kind, values, neuron })
}

fn kind(group: &Group, place: &str, datasets: &[String], budget: &Budget) -> Result<String, ImportError> {
    if !datasets.iter().any(|d| d == "type") {
        return Err(ImportError::NotNetx { missing: format!("{place}/type") });
    }
    text(&open(group, "type", place)?, &format!("{place}/type"), budget)
}

fn datasets_of(
    group: &Group,
    place: &str,
    datasets: &[String],
    known: &[&'static str],
    budget: &Budget,
    unread: &mut Vec<String>,
) -> Result<BTreeMap<&'static str, RawArray>, ImportError> {
    let mut found = BTreeMap::new();
    for name in datasets.iter().filter(|d| *d != "type" && !NO_MATTER.contains(&d.as_str())) {
        match known.iter().find(|k| *k == name) {
            Some(known) => {
                found.insert(*known, numbers(&open(group, name, &format!("{place}/{name}"))?, place, name, budget)?);
            }
            None if unread.len() < 32 => unread.push(format!("{place}/{name}")),
            None => {}
        }
    }
    Ok(found)
}

impl RawArray {
    /// Whole numbers; the index of the first that is none.
    pub(super) fn whole(&self) -> Result<Vec<i64>, usize> {
        match &self.values {
            RawValues::Int(v) => Ok(v.clone()),
            RawValues::Text(_) => Err(0),
            RawValues::Float(v) => {
                let whole = |x: f32| (x.fract() == 0.0 && x.abs() < 1e9).then_some(x as i64);
                v.iter().enumerate().map(|(k, &x)| whole(x).ok_or(k)).collect()
            }
        }
    }
}
