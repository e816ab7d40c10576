//! What a network file can't say: fire rule, reset rule and discretization, by framework.
//!
//! In: a name. Out: one row of [`ALL`].
//! Invariant: the first row, [`NIR`], is the default of every reader.
//! Why: NIR stores differential equations; the frameworks that write it differ in how they step them.

use crate::error::ImportError;
use spikec_net::{Conventions, Discretization, FireRule, ResetRule};

/// How a framework steps its neurons by default.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Convention {
    /// Name, as in `--convention`.
    pub name: &'static str,
    /// Fires at `>` or `>=` the threshold.
    pub fire: FireRule,
    /// What a spike does to the potential.
    pub reset: ResetRule,
    /// How continuous time becomes steps.
    pub discretization: Discretization,
    /// Where this was read, and what the row can't express.
    pub source: &'static str,
}

/// The equations of NIR itself, stepped with forward Euler.
pub const NIR: Convention = Convention {
    name: "nir",
    fire: FireRule::Greater,
    reset: ResetRule::ToValue,
    discretization: Discretization::Euler,
    source: "NIR 1.0, nir/ir/neuron.py: z = 1 where v > v_threshold, then v = v_reset; Euler as most of its frameworks (Pedersen et al. 2024)",
};

/// Every known convention.
pub const ALL: [Convention; 6] = [
    NIR,
    Convention {
        name: "spikingjelly",
        fire: FireRule::GreaterEqual,
        reset: ResetRule::ToValue,
        discretization: Discretization::Euler,
        source: "SpikingJelly activation_based: surrogate.heaviside is x >= 0; BaseNode has v_reset = 0 (hard) and LIFNode v += (x - (v - v_reset)) / tau by default",
    },
    Convention {
        name: "snntorch",
        fire: FireRule::Greater,
        reset: ResetRule::Subtract,
        discretization: Discretization::Euler,
        source: "snnTorch: surrogate forward is x > 0; Leaky has reset_mechanism = subtract by default (applied one step later unless reset_delay = False); beta = 1 - dt / tau",
    },
    Convention {
        name: "norse",
        fire: FireRule::Greater,
        reset: ResetRule::ToValue,
        discretization: Discretization::Euler,
        source: "Norse: functional/heaviside.py is 0 for x <= 0; functional/lif.py: dv = dt / tau_mem ((v_leak - v) + i), v = (1 - z) v + z v_reset",
    },
    Convention {
        name: "sinabs",
        fire: FireRule::GreaterEqual,
        reset: ResetRule::Subtract,
        discretization: Discretization::Exact,
        source: "Sinabs: SingleSpike is v - threshold >= 0, MembraneSubtract, alpha = exp(-1 / tau) by default; its MultiSpike (several spikes a step) can't be expressed",
    },
    Convention {
        name: "lava",
        fire: FireRule::Greater,
        reset: ResetRule::ToValue,
        discretization: Discretization::Euler,
        source: "Lava proc/lif/models.py: v = v (1 - dv) + u + bias, s = v > vth, v[s] = 0",
    },
];

/// The convention called `name`.
///
/// # Errors
/// [`ImportError::UnknownConvention`], which lists all names.
pub fn find(name: &str) -> Result<&'static Convention, ImportError> {
    ALL.iter().find(|c| c.name == name).ok_or_else(|| ImportError::UnknownConvention { name: name.into(), known: names() })
}

/// All names, in the order of [`ALL`].
pub fn names() -> Vec<&'static str> {
    ALL.iter().map(|c| c.name).collect()
}

impl Convention {
    /// The conventions of a network with step `dt_s` (seconds).
    pub fn with_dt(&self, dt_s: f64) -> Conventions {
        Conventions { name: self.name.into(), dt_s, fire: self.fire, reset: self.reset, discretization: self.discretization }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_fires_above_and_resets_hard() {
        assert_eq!((NIR.fire, NIR.reset, NIR.discretization), (FireRule::Greater, ResetRule::ToValue, Discretization::Euler));
        assert_eq!(find("nir").unwrap(), &ALL[0]);
    }

    #[test]
    fn unknown_name_lists_all() {
        let text = find("brian").unwrap_err().to_string();
        for name in names() {
            assert!(text.contains(name), "{text}");
        }
    }

    #[test]
    fn names_differ() {
        let mut n = names();
        n.sort();
        n.dedup();
        assert_eq!(n.len(), ALL.len());
    }
}
