//! The quantized network as NIR: what the chip computes, in floats that are its integers.
//!
//! In: a bundle. Out: a NIR file. Invariant: a weight is as it acts, in units of the potential, and so are thresholds; each neuron fires at `v >= v_threshold` and a time
//! step is one network step (dt 1). Populations are flat, of the size as trained: a removed neuron has no synapse. Synapses of a longer delay go through a Delay; constants (leaks, biases) are an Affine's.
//! What NIR's neurons can't say is refused by name, or noted.
//! Cost: dense matrices.

use crate::error::ExportError;
use spikec_chip::Bundle;
use spikec_chip::target::Family;
use spikec_net::{
    Conventions, Crossbar, CrossbarNeuron, Discretization, Event, FireRule, Fixed, FixedNeuron, Net, Network, NeuronModel, Number,
    Operator, PopulationId, Quantized, ResetRule, Role, TrainedPopulation, TrainedProjection, TrainedRole,
};
use std::collections::BTreeMap;

#[cfg(test)]
mod tests;

/// Most entries of a dense matrix.
const MOST_ENTRIES: u64 = 1 << 27;

/// A NIR file, and what it doesn't say.
#[derive(Debug)]
pub struct Nir {
    /// The file.
    pub bytes: Vec<u8>,
    /// The network that it holds.
    pub network: Network,
    /// What is not exact.
    pub notes: Vec<String>,
}

/// A neuron as NIR has it.
#[derive(Debug, Clone, Copy)]
struct Plain {
    /// What u keeps; 0: no filter.
    keep_u: f64,
    /// What v keeps; 1: all.
    keep_v: f64,
    /// Added in each step.
    constant: f64,
    /// It fires from here on.
    threshold: f64,
    reset: f64,
    /// True where the threshold is taken away.
    linear: bool,
}

/// The bundle's reference section as a NIR file.
///
/// # Errors
/// A reference section that can't be read; neurons, delays or sizes that NIR can't say.
pub fn nir(bundle: &Bundle) -> Result<Nir, ExportError> {
    let unreadable = |e: &dyn std::fmt::Display| ExportError::Reference(e.to_string());
    let (network, notes) = match bundle.target.family {
        Family::Packed(_) => {
            let q = Quantized::<Fixed>::from_bytes(&bundle.reference).map_err(|e| unreadable(&e))?;
            q.net.check().map_err(|e| unreadable(&e))?;
            let notes = vec!["potentials and currents are not rounded, clipped or wrapped".to_string()];
            let rules = q.net.rules;
            let neuron = |n: &FixedNeuron| packed(n, rules.threshold_shift);
            (network(&q.net, &neuron, &|format, w| f64::from(rules.acting_weight(w, format.exponent)))?, notes)
        }
        Family::Crossbar(_) => {
            let q = Quantized::<Crossbar>::from_bytes(&bundle.reference).map_err(|e| unreadable(&e))?;
            q.net.check().map_err(|e| unreadable(&e))?;
            let notes = vec!["negative thresholds are left out, and potentials have no bounds".to_string()];
            (network(&q.net, &crossbar, &|(), w| f64::from(w))?, notes)
        }
        Family::EventCrossbar(_) => {
            let q = Quantized::<Event>::from_bytes(&bundle.reference).map_err(|e| unreadable(&e))?;
            q.net.check().map_err(|e| unreadable(&e))?;
            let notes = vec![
                "the inputs of a step are added up before a neuron fires: the chip asks after each event".to_string(),
                "potentials have no bounds".to_string(),
            ];
            let neuron = |n: &spikec_net::EventNeuron| {
                if n.leak != 0 || n.start != 0 {
                    return Err("a leak towards 0, or a start other than 0".to_string());
                }
                Ok(Plain { keep_u: 0.0, keep_v: 1.0, constant: 0.0, threshold: n.threshold.into(), reset: 0.0, linear: false })
            };
            (network(&q.net, &neuron, &|(), w| f64::from(w))?, notes)
        }
    };
    let bytes = spikec_import::write_nir(&network)?;
    Ok(Nir { bytes, network, notes })
}

fn packed(n: &FixedNeuron, shift: u8) -> Result<Plain, String> {
    if n.refractory > 1 {
        return Err(format!("a refractory period of {}", n.refractory));
    }
    Ok(Plain {
        keep_u: 1.0 - f64::from(n.decay_u) / 4096.0,
        keep_v: 1.0 - f64::from(n.decay_v) / 4096.0,
        constant: n.bias.value().into(),
        // Strictly above, in integers.
        threshold: (i64::from(n.threshold) << shift) as f64 + 1.0,
        reset: 0.0,
        linear: false,
    })
}

fn crossbar(n: &CrossbarNeuron) -> Result<Plain, String> {
    let CrossbarNeuron { leak, threshold, floor: _, reset, linear, start } = *n;
    if !linear && start != reset {
        return Err(format!("a start at {start} and a reset to {reset}"));
    }
    Ok(Plain { keep_u: 0.0, keep_v: 1.0, constant: leak.into(), threshold: threshold.into(), reset: start.into(), linear })
}

fn network<N: Number>(
    net: &Net<N>,
    neuron: &dyn Fn(&N::Neuron) -> Result<Plain, String>,
    acting: &dyn Fn(&N::Format, N::Weight) -> f64,
) -> Result<Network, ExportError> {
    let refuse = |place: String, what: String| Err(ExportError::Nir { place, what });
    if let Some(h) = net.host_projections.first() {
        return refuse(h.name.clone(), "biases that the host computes from values".into());
    }
    let mut linear: Option<bool> = None;
    let mut populations = Vec::with_capacity(net.populations.len());
    let mut constants: Vec<Vec<f32>> = Vec::with_capacity(net.populations.len());
    for p in &net.populations {
        let trained = p.trained_len();
        let mut constant = vec![0.0f32; trained];
        let role = match &p.role {
            Role::SpikeInput | Role::AnalogInput => TrainedRole::Input,
            Role::Neurons(neurons) => {
                let mut all: Vec<Option<Plain>> = vec![None; trained];
                for (&index, n) in p.origin.iter().zip(neurons) {
                    let place = format!("{}[{index}]", p.name);
                    let plain = match neuron(n) {
                        Ok(plain) => plain,
                        Err(what) => return refuse(place, what),
                    };
                    if *linear.get_or_insert(plain.linear) != plain.linear {
                        return refuse(place, "two kinds of reset in one network".into());
                    }
                    constant[index as usize] = plain.constant as f32;
                    all[index as usize] = Some(plain);
                }
                TrainedRole::Neurons(model(&p.name, &all)?)
            }
        };
        populations.push(TrainedPopulation { name: p.name.clone(), shape: vec![trained as u32], role });
        constants.push(constant);
    }
    let mut projections = Vec::new();
    for p in &net.projections {
        // A matrix for each delay.
        let mut by_delay: BTreeMap<u16, Vec<(u32, u32, f64)>> = BTreeMap::new();
        for (i, j, w, d) in p.synapses.iter() {
            by_delay.entry(d).or_default().push((i, j, acting(&p.format, w)));
        }
        let (pre, post) = (net.population(p.pre), net.population(p.post));
        let (inputs, outputs) = (pre.trained_len(), post.trained_len());
        if inputs as u64 * outputs as u64 > MOST_ENTRIES {
            return refuse(p.name.clone(), format!("a dense matrix of {outputs} x {inputs}, at most {MOST_ENTRIES} entries are written"));
        }
        for (delay, synapses) in by_delay {
            let mut weight = vec![0.0f32; inputs * outputs];
            for (i, j, w) in synapses {
                let (i, j) = (pre.origin[i as usize] as usize, post.origin[j as usize] as usize);
                weight[j * inputs + i] += w as f32;
            }
            let mut operators = Vec::new();
            if delay > 0 {
                operators.push(Operator::Delay { delay: vec![f32::from(delay); inputs] });
            }
            operators.push(Operator::Linear { outputs: outputs as u32, inputs: inputs as u32, weight });
            let constant = &mut constants[p.post.index()];
            if constant.iter().any(|&c| c != 0.0) {
                operators.push(Operator::Bias { bias: std::mem::replace(constant, vec![0.0; outputs]) });
            }
            let name = if delay > 0 { format!("{} +{delay}", p.name) } else { p.name.clone() };
            projections.push(TrainedProjection { name, pre: p.pre, post: p.post, operators, delay_steps: 0 });
        }
    }
    for (p, constant) in net.populations.iter().zip(&constants) {
        if let Some(index) = constant.iter().position(|&c| c != 0.0) {
            return refuse(format!("{}[{index}]", p.name), "a constant of a population that no projection reaches".into());
        }
    }
    let reset = if linear == Some(true) { ResetRule::Subtract } else { ResetRule::ToValue };
    Ok(Network {
        name: net.name.clone(),
        conventions: Conventions {
            name: "spikec".into(),
            dt_s: 1.0,
            fire: FireRule::GreaterEqual,
            reset,
            discretization: Discretization::Euler,
        },
        populations,
        projections,
        output: PopulationId(net.output.0),
    })
}

/// One model for a population. A neuron that was removed is as the first that was not, and hears nothing.
fn model(name: &str, all: &[Option<Plain>]) -> Result<NeuronModel, ExportError> {
    let first = all.iter().flatten().next().copied();
    let Some(first) = first else {
        let n = all.len();
        return Ok(NeuronModel::If { r: vec![1.0; n], v_threshold: vec![1.0; n], v_reset: vec![0.0; n] });
    };
    let all: Vec<Plain> = all.iter().map(|p| p.unwrap_or(Plain { constant: 0.0, ..first })).collect();
    let values = |of: &dyn Fn(&Plain) -> f64| all.iter().map(|p| of(p) as f32).collect::<Vec<f32>>();
    let (v_threshold, v_reset) = (values(&|p| p.threshold), values(&|p| p.reset));
    let (filters, leaks) = (all.iter().any(|p| p.keep_u != 0.0), all.iter().any(|p| p.keep_v != 1.0));
    let ones = vec![1.0; all.len()];
    if !filters && !leaks {
        return Ok(NeuronModel::If { r: ones, v_threshold, v_reset });
    }
    let refuse = |what: &str| Err(ExportError::Nir { place: name.into(), what: what.into() });
    if all.iter().any(|p| p.keep_v == 1.0) {
        return refuse("neurons that filter or leak beside ones that keep their potential: NIR's time constants are finite");
    }
    // keep = 1 - dt / tau with dt = 1; the gain dt / tau is made up for by r and w_in.
    let tau_mem = values(&|p| 1.0 / (1.0 - p.keep_v));
    let r = tau_mem.clone();
    let v_leak = vec![0.0; all.len()];
    if !filters {
        return Ok(NeuronModel::Lif { tau: tau_mem, r, v_leak, v_threshold, v_reset });
    }
    if all.iter().any(|p| p.keep_u == 1.0) {
        return refuse("a current that keeps all: NIR's time constants are finite");
    }
    if all.iter().any(|p| p.constant != 0.0) {
        return refuse("a bias of a neuron that filters its current: NIR's constants would be filtered too");
    }
    let tau_syn = values(&|p| 1.0 / (1.0 - p.keep_u));
    let w_in = tau_syn.clone();
    Ok(NeuronModel::CubaLif { tau_syn, tau_mem, r, v_leak, v_threshold, v_reset, w_in })
}
