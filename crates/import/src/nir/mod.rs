//! NIR 1.0 (`.nir`): HDF5 with `node/{type, nodes, edges, metadata}` and `version`.
//!
//! In: bytes. Out: a [`Network`], and warnings.
//! Invariant: graphs of executable nodes only, each loop through neurons; anything else is an error that names the node.
//! Why: parameters stay as in the file (rounded to f32); what NIR can't say comes from [`crate::conventions`].

mod chains;
mod file;
mod graph;
mod kinds;
mod nodes;
mod order;
mod spatial;
#[cfg(test)]
mod tests;
pub(crate) mod write;

use crate::error::ImportError;
use crate::{ImportOptions, conventions};
use spikec_net::{Conventions, Discretization, FireRule, Network, Operator, ResetRule, TrainedProjection};
use std::collections::BTreeMap;

/// Keys of `node/metadata`.
mod keys {
    pub const NAME: &str = "name";
    pub const DT: &str = "dt";
    pub const CONVENTION: &str = "spikec_convention";
    pub const FIRE: &str = "spikec_fire";
    pub const RESET: &str = "spikec_reset";
    pub const DISCRETIZATION: &str = "spikec_discretization";
}

/// Values of [`keys::FIRE`].
const FIRE: [(&str, FireRule); 2] = [(">", FireRule::Greater), (">=", FireRule::GreaterEqual)];
/// Values of [`keys::RESET`].
const RESET: [(&str, ResetRule); 2] = [("value", ResetRule::ToValue), ("subtract", ResetRule::Subtract)];
/// Values of [`keys::DISCRETIZATION`].
const DISCRETIZATION: [(&str, Discretization); 2] = [("euler", Discretization::Euler), ("exact", Discretization::Exact)];

fn meaning<T: Copy>(table: &[(&str, T)], text: &str) -> Option<T> {
    table.iter().find(|(t, _)| *t == text).map(|(_, v)| *v)
}

/// Reads a NIR file. Returns the network and warnings.
///
/// # Errors
/// See [`ImportError`].
pub fn read_nir(bytes: &[u8], options: &ImportOptions) -> Result<(Network, Vec<String>), ImportError> {
    let file = file::read_file(bytes)?;
    let mut warnings = Vec::new();
    if let Some(v) = &file.version
        && !(v.starts_with("0.") || v.starts_with("1."))
    {
        warnings.push(format!("NIR version {v} is newer than 1.x"));
    }
    let name = match (&options.name, file.metadata.get(keys::NAME)) {
        (given, Some(own)) if given.is_empty() => own.clone(),
        (given, _) => given.clone(),
    };
    // The graph first: a file that can't be run at all shouldn't ask for options.
    let mut repairs = options.repair_edges.then(Vec::new);
    let parts = chains::build(graph::flatten(file.graph, repairs.as_mut())?)?;
    let conventions = conventions_of(&file.metadata, options)?;
    warnings.extend(repairs.unwrap_or_default());
    warnings.extend(parts.warnings);
    warnings.extend(parts.projections.iter().filter_map(|p| off_grid(p, conventions.dt_s)));
    let network = Network { name, conventions, populations: parts.populations, projections: parts.projections, output: parts.output };
    Ok((network, warnings))
}

/// Delays that are rounded to whole steps by more than a thousandth of one.
fn off_grid(p: &TrainedProjection, dt_s: f64) -> Option<String> {
    let delays = p.operators.iter().filter_map(|o| if let Operator::Delay { delay } = o { Some(delay) } else { None });
    let off = |d: &f32| {
        let steps = f64::from(*d) / dt_s;
        (steps - steps.round_ties_even()).abs()
    };
    let most = delays.flatten().map(off).fold(0.0, f64::max);
    (most > 1e-3).then(|| format!("projection `{}`: delays are rounded to whole steps of {dt_s}, by up to {most:.3} steps", p.name))
}

/// The options win over the file's metadata, those over the default convention.
fn conventions_of(metadata: &BTreeMap<String, String>, options: &ImportOptions) -> Result<Conventions, ImportError> {
    let meta = |key: &str| metadata.get(key).map(|s| s.trim());
    let dt_s = match (options.dt_s, meta(keys::DT)) {
        (Some(dt), _) => positive(dt, &dt.to_string(), "option dt")?,
        (None, Some(text)) => positive(text.parse().unwrap_or(f64::NAN), text, "node/metadata/dt")?,
        (None, None) => return Err(ImportError::NoDt),
    };
    let mut c = conventions::NIR.with_dt(dt_s);
    if let Some(name) = &options.convention {
        c = conventions::find(name)?.with_dt(dt_s);
    } else {
        c.name = meta(keys::CONVENTION).unwrap_or(&c.name).to_string();
        c.fire = meta(keys::FIRE).and_then(|t| meaning(&FIRE, t)).unwrap_or(c.fire);
        c.reset = meta(keys::RESET).and_then(|t| meaning(&RESET, t)).unwrap_or(c.reset);
        c.discretization = meta(keys::DISCRETIZATION).and_then(|t| meaning(&DISCRETIZATION, t)).unwrap_or(c.discretization);
    }
    c.discretization = options.discretization.unwrap_or(c.discretization);
    Ok(c)
}

pub(crate) fn positive(value: f64, text: &str, place: &'static str) -> Result<f64, ImportError> {
    if value.is_finite() && value > 0.0 { Ok(value) } else { Err(ImportError::BadDt { found: text.into(), place }) }
}
