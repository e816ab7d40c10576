//! Where each compartment's state stands.
//!
//! In: the decoded cores. Out: a lane (position in the state arrays) for each compartment, and the classes of equal parameters.
//! Invariant: a class's lanes are consecutive and fill whole chunks of [`LANES`]; within a class, lanes ascend with
//! (core, compartment). Idle lanes fill the last chunk: they get no input and no bias, so they never fire.
//! Cost: linear in the compartments.

use crate::boot::{BootError, Spot};
use crate::check::range;
use crate::packed::neuron::{Class, LANES, Params};
use crate::packed::numbers::Numbers;
use spikec_chip::CoreTables;
use spikec_chip::bundle::Place;
use std::collections::BTreeMap;

/// Marks a lane without a compartment.
pub(crate) const IDLE: u32 = u32::MAX;

/// The compartments of all cores in one array of lanes.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Physical core numbers, ascending.
    pub cores: Vec<u32>,
    /// `bases[k]..bases[k + 1]`: the compartments of core k in `lane_of`.
    pub bases: Vec<usize>,
    /// Lane of each compartment.
    pub lane_of: Vec<u32>,
    /// Position in `cores` of each lane's core; [`IDLE`] for filling.
    pub core_of: Vec<u32>,
    /// Compartments of equal parameters, covering all lanes.
    pub classes: Vec<Class>,
}

impl Layout {
    /// Checks every compartment's registers and arranges the lanes.
    pub(crate) fn new(tables: &[CoreTables], numbers: &Numbers) -> Result<Layout, BootError> {
        let mut bases = vec![0];
        let mut class_ids: BTreeMap<Params, usize> = BTreeMap::new();
        let mut members: Vec<(Params, Vec<(usize, u32)>)> = Vec::new();
        let mut flat = 0;
        for (k, core) in tables.iter().enumerate() {
            for (index, compartment) in core.compartments.iter().enumerate() {
                let spot = Spot::core(core.core, "compartment", index);
                range(spot, "profile", compartment.profile, 0, core.compartment_profiles.len() as i128 - 1)?;
                range(spot, "threshold_profile", compartment.threshold_profile, 0, core.threshold_profiles.len() as i128 - 1)?;
                let one = 1u32 << numbers.law.decay_bits;
                let profile = &core.compartment_profiles[usize::from(compartment.profile)];
                let spot = Spot::core(core.core, "compartment profile", compartment.profile.into());
                range(spot, "decay_u", profile.decay_u, 0, one.into())?;
                range(spot, "decay_v", profile.decay_v, 0, one.into())?;
                range(spot, "refractory", profile.refractory, 1, 255)?;
                let mantissa = core.threshold_profiles[usize::from(compartment.threshold_profile)];
                let params = Params {
                    keep_u: one - u32::from(profile.decay_u),
                    keep_v: one - u32::from(profile.decay_v),
                    threshold: numbers.threshold(mantissa),
                    hold: i32::from(profile.refractory) - 1,
                };
                let class = *class_ids.entry(params).or_insert(members.len());
                if class == members.len() {
                    members.push((params, Vec::new()));
                }
                members[class].1.push((flat, k as u32));
                flat += 1;
            }
            bases.push(flat);
        }
        let mut lane_of = vec![0; flat];
        let mut core_of = Vec::with_capacity(flat.next_multiple_of(LANES));
        let mut classes = Vec::with_capacity(members.len());
        for (params, members) in members {
            let start = core_of.len();
            for (flat, core) in members {
                lane_of[flat] = core_of.len() as u32;
                core_of.push(core);
            }
            core_of.resize(core_of.len().next_multiple_of(LANES), IDLE);
            classes.push(Class { start, end: core_of.len(), params });
        }
        Ok(Layout { cores: tables.iter().map(|t| t.core).collect(), bases, lane_of, core_of, classes })
    }

    /// Number of lanes, filling included.
    pub(crate) fn lanes(&self) -> usize {
        self.core_of.len()
    }

    /// Position of a physical core.
    pub(crate) fn core_index(&self, core: u32) -> Option<usize> {
        self.cores.binary_search(&core).ok()
    }

    /// Lanes of a core's compartments.
    pub(crate) fn lanes_of_core(&self, k: usize) -> &[u32] {
        &self.lane_of[self.bases[k]..self.bases[k + 1]]
    }

    /// Lane of a compartment; refused when core or compartment don't exist.
    pub(crate) fn lane(&self, spot: Spot, place: Place) -> Result<u32, BootError> {
        let k = self.core_index(place.core).ok_or(BootError::NoCore { spot, core: place.core })?;
        let lanes = self.lanes_of_core(k);
        lanes.get(usize::from(place.index)).copied().ok_or(BootError::NoPlace {
            spot,
            kind: "compartment",
            core: place.core,
            index: place.index,
            count: lanes.len(),
        })
    }
}
