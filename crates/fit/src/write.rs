//! A fitted net back into the network's own file form: zeros where synapses went.
//!
//! In: the network as trained, its elaboration, the fitted net. Out: a network of the same operators with other weights.
//! Invariant: elaborating it gives the fitted net up to the rounding of f32. Cost: the network's own matrices.

use spikec_net::{Conv, Float, Net, Network, NeuronModel, Operator, PopulationId, Ties, TrainedRole};
use thiserror::Error;

/// Why a fitted net can't be written back.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WriteBack {
    /// A chain that is not one matrix.
    #[error("projection {0} is a chain with {1} matrices and kernels: only a chain with one can be written back")]
    Matrices(String, usize),
    /// A chain with an operator that shares its weights, or moves values.
    #[error(
        "projection {0} has a {1}: a fit changes synapses one by one, or kernels, and they can't be written back as it; take synapses one by one (fit --unroll)"
    )]
    Operator(String, &'static str),
    /// A projection that the network file does not have.
    #[error("projection {0} was made when the network was read: its weights have no place in the file")]
    Made(String),
    /// A kernel whose places are not alike.
    #[error(
        "projection {0}: the neurons that its kernel reaches differ within a channel (in threshold, leak, gain or scale), or hear something else \
         that is no kernel, so that the kernel can't be pruned as one; take synapses one by one (fit --unroll)"
    )]
    Untied(String),
    /// Synapses of one weight of a kernel that have become different.
    #[error("projection {0}: synapses of one weight of its kernel went different ways")]
    Kernel(String),
    /// A scale of 0, which no weight passes.
    #[error("projection {0} scales neuron {1} by 0: no weight passes it")]
    Scale(String, u32),
    /// A neuron whose bias has no place.
    #[error("population {0}: a changed bias has no place in a network whose neurons filter their current or have no gain")]
    Bias(String),
}

/// A matrix, or a kernel whose places stay tied.
fn is_matrix(operator: &Operator) -> bool {
    matches!(operator, Operator::Linear { .. } | Operator::Conv(_))
}

/// (output, number of the weight) of each synapse of a kernel, and where those of each input begin.
type Numbers = (Vec<(u32, u32)>, Vec<usize>);

/// A matrix that gets other weights.
struct Matrix {
    outputs: usize,
    inputs: usize,
    /// `None` for a matrix.
    kernel: Option<Numbers>,
    weights: usize,
}

impl Matrix {
    fn of(operator: &Operator) -> Option<Self> {
        match operator {
            Operator::Linear { outputs, inputs, .. } => {
                let (outputs, inputs) = (*outputs as usize, *inputs as usize);
                Some(Matrix { outputs, inputs, kernel: None, weights: outputs * inputs })
            }
            Operator::Conv(conv) => {
                // The same kernel with numbers for weights says where each weight goes; f32 holds whole numbers up to 2^24.
                let weights = conv.weight.len();
                if weights >= 1 << 24 {
                    return None;
                }
                let numbered = Conv { weight: (1..=weights).map(|k| k as f32).collect(), ..conv.clone() };
                let synapses = numbered.synapses().ok()?;
                let outputs = conv.output_shape().ok()?.iter().map(|&d| d as usize).product();
                let numbers = synapses.iter().map(|(_, post, number, _)| (post, number as u32 - 1)).collect();
                Some(Matrix { outputs, inputs: synapses.starts().len() - 1, kernel: Some((numbers, synapses.starts())), weights })
            }
            _ => None,
        }
    }

    /// Index of the weight from input `i` to output `j`.
    fn index(&self, i: u32, j: u32) -> Option<usize> {
        match &self.kernel {
            None => Some(j as usize * self.inputs + i as usize),
            Some((numbers, starts)) => {
                let row = &numbers[starts[i as usize]..starts[i as usize + 1]];
                row.binary_search_by_key(&j, |n| n.0).ok().map(|at| row[at].1 as usize)
            }
        }
    }
}

/// Can what a fit changes be written back?
///
/// `plain` is the network's own elaboration.
///
/// # Errors
/// The first operator that is neither a matrix, a kernel nor works elementwise; a kernel that can't go as one.
pub fn check(network: &Network, plain: &Net<Float>) -> Result<(), WriteBack> {
    check_operators(network)?;
    for trained in &network.projections {
        let many = |o: &Operator| matches!(o, Operator::Conv(c) if c.output_shape().is_ok_and(|s| s[1..].iter().any(|&d| d > 1)));
        let unrolled = plain.projections.iter().find(|p| p.name == trained.name && trained.operators.iter().any(many));
        if unrolled.is_some_and(|p| Ties::of(plain, p.post).is_none()) {
            return Err(WriteBack::Untied(trained.name.clone()));
        }
    }
    Ok(())
}

fn check_operators(network: &Network) -> Result<(), WriteBack> {
    network.projections.iter().try_for_each(|p| {
        let fits = |o: &&Operator| {
            is_matrix(o) || matches!(o, Operator::Bias { .. } | Operator::Scale { .. } | Operator::Reshape { .. } | Operator::BatchNorm(_))
        };
        // Max pooling: the fit leaves it as it is.
        let fixed = matches!(network.populations[p.post.index()].role, TrainedRole::Neurons(NeuronModel::Or));
        let other = p.operators.iter().find(|o| !fixed && !fits(o));
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
        check_operators(network)?;
        let matrices: Vec<usize> = (0..trained.operators.len()).filter(|&o| is_matrix(&trained.operators[o])).collect();
        let [at] = matrices[..] else { return Err(WriteBack::Matrices(projection.name.clone(), matrices.len())) };
        let Some(matrix) = Matrix::of(&trained.operators[at]) else {
            return Err(WriteBack::Operator(projection.name.clone(), trained.operators[at].kind()));
        };
        let (outputs, inputs) = (matrix.outputs, matrix.inputs);
        // What diagonals before and after the matrix multiply a weight by.
        let factors = |operators: &[Operator], n: usize| {
            let mut factors = vec![1f64; n];
            for operator in operators {
                match operator {
                    Operator::Scale { scale } => factors.iter_mut().zip(scale).for_each(|(f, &s)| *f *= f64::from(s)),
                    Operator::BatchNorm(norm) => {
                        let of_channel = norm.factors();
                        let places = (n / of_channel.len().max(1)).max(1);
                        factors.chunks_mut(places).zip(of_channel).for_each(|(c, s)| c.iter_mut().for_each(|f| *f *= s));
                    }
                    _ => {}
                }
            }
            factors
        };
        let (before_it, after_it) = (factors(&trained.operators[..at], inputs), factors(&trained.operators[at + 1..], outputs));
        let mut weight = vec![0f32; matrix.weights];
        for (i, j, w, _) in projection.synapses.iter() {
            let factor = before_it[i as usize] * after_it[j as usize];
            if factor == 0.0 {
                return Err(WriteBack::Scale(projection.name.clone(), j));
            }
            let value = if factor == 1.0 { w } else { (f64::from(w) / factor) as f32 };
            let known = matrix.index(i, j).and_then(|k| weight.get_mut(k)).ok_or_else(|| WriteBack::Kernel(projection.name.clone()))?;
            if *known != 0.0 && *known != value {
                return Err(WriteBack::Kernel(projection.name.clone()));
            }
            *known = value;
        }
        match &mut trained.operators[at] {
            Operator::Conv(conv) => conv.weight = weight,
            other => *other = Operator::Linear { outputs: outputs as u32, inputs: inputs as u32, weight },
        }
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
