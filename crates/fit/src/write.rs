//! A fitted net back into the network's own file form: zeros where synapses went.
//!
//! In: the network as trained, its elaboration, the fitted net. Out: a network of the same operators with other weights.
//! Invariant: elaborating it gives the fitted net up to the rounding of f32. Cost: the network's own matrices.

use spikec_net::{Float, Net, Network, Operator, PopulationId};
use thiserror::Error;

/// Why a fitted net can't be written back.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WriteBack {
    /// A chain that is not one matrix.
    #[error("projection {0} is a chain with {1} matrices: only a chain with one can be written back")]
    Matrices(String, usize),
    /// A chain with an operator that shares its weights, or moves values.
    #[error(
        "projection {0} has a {1}: a fit changes synapses one by one, and they can't be written back as it; unroll it into a Linear first"
    )]
    Operator(String, &'static str),
    /// A projection that the network file does not have.
    #[error("projection {0} was made when the network was read: its weights have no place in the file")]
    Made(String),
    /// A scale of 0, which no weight passes.
    #[error("projection {0} scales neuron {1} by 0: no weight passes it")]
    Scale(String, u32),
    /// A neuron whose bias has no place.
    #[error("population {0}: a changed bias has no place in a network whose neurons filter their current or have no gain")]
    Bias(String),
}

/// Can what a fit changes be written back?
///
/// # Errors
/// The first operator that is neither a matrix nor works elementwise.
pub fn check(network: &Network) -> Result<(), WriteBack> {
    network.projections.iter().try_for_each(|p| {
        let other = p
            .operators
            .iter()
            .find(|o| !matches!(o, Operator::Linear { .. } | Operator::Bias { .. } | Operator::Scale { .. } | Operator::Reshape { .. }));
        other.map_or(Ok(()), |o| Err(WriteBack::Operator(p.name.clone(), o.kind())))
    })
}

/// The network with the weights and biases of `fitted`; `plain` is the network's own elaboration.
///
/// # Errors
/// Chains that can't hold them.
pub fn network_of(network: &Network, plain: &Net<Float>, fitted: &Net<Float>) -> Result<Network, WriteBack> {
    let mut out = network.clone();
    let mut changes: Vec<Option<Vec<f64>>> = plain
        .populations
        .iter()
        .zip(&fitted.populations)
        .map(|(p, f)| {
            let moved: Vec<f64> = p.neurons().iter().zip(f.neurons()).map(|(p, f)| f64::from(f.bias) - f64::from(p.bias)).collect();
            moved.iter().any(|m| *m != 0.0).then_some(moved)
        })
        .collect();
    for (projection, before) in fitted.projections.iter().zip(&plain.projections) {
        let change = changes[projection.post.index()].take();
        if projection.synapses == before.synapses && change.is_none() {
            continue;
        }
        let Some(trained) = out.projections.iter_mut().find(|t| t.name == projection.name) else {
            return Err(WriteBack::Made(projection.name.clone()));
        };
        check(network)?;
        let matrices: Vec<usize> =
            (0..trained.operators.len()).filter(|&o| matches!(trained.operators[o], Operator::Linear { .. })).collect();
        let [at] = matrices[..] else { return Err(WriteBack::Matrices(projection.name.clone(), matrices.len())) };
        let (outputs, inputs) = match &trained.operators[at] {
            Operator::Linear { outputs, inputs, .. } => (*outputs as usize, *inputs as usize),
            _ => unreachable!("it is a matrix"),
        };
        // What diagonals before and after the matrix multiply a weight by.
        let factors = |operators: &[Operator], n: usize| {
            let mut factors = vec![1f64; n];
            for operator in operators {
                if let Operator::Scale { scale } = operator {
                    factors.iter_mut().zip(scale).for_each(|(f, &s)| *f *= f64::from(s));
                }
            }
            factors
        };
        let (before_it, after_it) = (factors(&trained.operators[..at], inputs), factors(&trained.operators[at + 1..], outputs));
        let mut weight = vec![0f32; outputs * inputs];
        for (i, j, w, _) in projection.synapses.iter() {
            let factor = before_it[i as usize] * after_it[j as usize];
            if factor == 0.0 {
                return Err(WriteBack::Scale(projection.name.clone(), j));
            }
            weight[j as usize * inputs + i as usize] = if factor == 1.0 { w } else { (f64::from(w) / factor) as f32 };
        }
        trained.operators[at] = Operator::Linear { outputs: outputs as u32, inputs: inputs as u32, weight };
        if let Some(change) = change {
            let population = plain.population(projection.post);
            let mut bias = vec![0f32; outputs];
            for (j, (neuron, &change)) in population.neurons().iter().zip(&change).enumerate() {
                if change == 0.0 {
                    continue;
                }
                let factor = f64::from(neuron.gain) * after_it[j];
                if neuron.keep_u != 0.0 || factor == 0.0 {
                    return Err(WriteBack::Bias(population.name.clone()));
                }
                bias[j] = (change / factor) as f32;
            }
            match trained.operators.get_mut(at + 1) {
                Some(Operator::Bias { bias: own }) => own.iter_mut().zip(bias).for_each(|(own, b)| *own += b),
                _ => trained.operators.insert(at + 1, Operator::Bias { bias }),
            }
        }
    }
    let unwritten = changes.iter().position(Option::is_some);
    match unwritten {
        Some(p) => Err(WriteBack::Bias(plain.population(PopulationId::from(p)).name.clone())),
        None => Ok(out),
    }
}
