//! Unrolling: chains of kernels, pooling and matrices as one matrix each, so that every synapse has a weight of its own in the network's file.
//!
//! In: a network as trained. Out: a network with the same synapses, whose chains are at most a matrix and a bias.
//! Invariant: elaborating it gives the synapses of the given network, bit for bit, and its constants to the rounding of f32.
//! Cost: the matrix, zeros included, at most [`MOST_WEIGHTS`].

use crate::elaborate::ElaborateError;
use crate::fold::fold;
use crate::network::{Network, NeuronModel, Operator, TrainedProjection, TrainedRole};
use thiserror::Error;

/// Most weights of an unrolled matrix: 1 GiB.
pub const MOST_WEIGHTS: u64 = 1 << 28;

/// Why a network can't be unrolled.
#[derive(Debug, Error)]
pub enum UnrollError {
    /// Not a network.
    #[error(transparent)]
    Elaborate(#[from] ElaborateError),
    /// A matrix that is too large.
    #[error("projection {projection}: unrolled, it has {weights} weights, zeros included; expected at most {MOST_WEIGHTS}")]
    TooLarge {
        /// Projection.
        projection: String,
        /// Inputs times outputs.
        weights: u64,
    },
    /// Delays that a matrix can't hold.
    #[error("projection {0}: its synapses have different delays, which one matrix can't hold")]
    Delays(String),
}

impl Network {
    /// The same network with a matrix for every chain that has one or more, if some chain is more than that; chains into max pooling stay. Populations
    /// lose their shapes, but those that max pooling takes: NIR has no node that would make one from a matrix.
    ///
    /// # Errors
    /// Chains that don't fold, matrices beyond [`MOST_WEIGHTS`], synapses of a chain with delays of their own.
    pub fn unrolled(&self) -> Result<Network, UnrollError> {
        let fixed = |p: &TrainedProjection| {
            matches!(self.populations.get(p.post.index()).map(|p| &p.role), Some(TrainedRole::Neurons(NeuronModel::Or)))
        };
        let diagonal =
            |o: &Operator| matches!(o, Operator::Bias { .. } | Operator::Scale { .. } | Operator::Reshape { .. } | Operator::BatchNorm(_));
        let several = |p: &TrainedProjection| {
            let rest: Vec<&Operator> = p.operators.iter().filter(|o| !diagonal(o)).collect();
            !matches!(rest[..], [] | [Operator::Linear { .. }])
        };
        let mut out = self.clone();
        if !self.projections.iter().any(|p| several(p) && !fixed(p)) {
            return Ok(out);
        }
        for (k, p) in out.populations.iter_mut().enumerate() {
            let pooled = self.projections.iter().any(|q| fixed(q) && (q.pre.index() == k || q.post.index() == k));
            if !pooled {
                p.shape = p.shape.iter().try_fold(1u32, |n, &d| n.checked_mul(d)).map_or_else(|| p.shape.clone(), |n| vec![n]);
            }
        }
        for (projection, made) in self.projections.iter().zip(&mut out.projections).filter(|(p, _)| !fixed(p)) {
            let ends = (out.populations.get(projection.pre.index()), out.populations.get(projection.post.index()));
            let (Some(pre), Some(post)) = ends else { continue };
            let mut operators: Vec<Operator> = Vec::new();
            if projection.operators.iter().all(diagonal) {
                operators.extend(projection.operators.iter().filter(|o| !matches!(o, Operator::Reshape { .. })).cloned());
            } else {
                made.delay_steps = self.fold_into(projection, pre.len(), post.len(), &mut operators)?;
                if pre.shape.len() > 1 {
                    operators.insert(0, Operator::Reshape { shape: vec![pre.len() as u32] });
                }
            }
            if post.shape.len() > 1 || (pre.shape.len() > 1 && operators.iter().all(diagonal)) {
                operators.push(Operator::Reshape { shape: post.shape.clone() });
            }
            made.operators = operators;
            // One node of a file has one name: that of the chain's last node, which is no other's.
            if let Some((_, last)) = projection.name.rsplit_once('+').filter(|(_, last)| !self.projections.iter().any(|p| p.name == *last))
            {
                made.name = last.to_string();
            }
        }
        Ok(out)
    }

    /// Adds the matrix of a chain, and its constants, to `operators`; the chain's delay in network steps.
    fn fold_into(
        &self,
        projection: &TrainedProjection,
        inputs: usize,
        outputs: usize,
        operators: &mut Vec<Operator>,
    ) -> Result<u32, UnrollError> {
        let name = &projection.name;
        let weights = (inputs as u64).saturating_mul(outputs as u64);
        if weights > MOST_WEIGHTS {
            return Err(UnrollError::TooLarge { projection: name.clone(), weights });
        }
        let mut map = fold(name, inputs, outputs, &projection.operators, self.conventions.dt_s)?;
        let mut weight = vec![0f32; inputs * outputs];
        let mut uniform = true;
        map.each_column(|input, terms| {
            for &(output, delay, value) in terms {
                uniform &= delay == 0;
                weight[output as usize * inputs + input] = value;
            }
            Ok(())
        })?;
        if !uniform {
            return Err(UnrollError::Delays(name.clone()));
        }
        operators.push(Operator::Linear { outputs: outputs as u32, inputs: inputs as u32, weight });
        let bias: Vec<f32> = (0..outputs).map(|j| map.constant(j) as f32).collect();
        if bias.iter().any(|b| *b != 0.0) {
            operators.push(Operator::Bias { bias });
        }
        Ok(projection.delay_steps.saturating_add(map.delay()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::{FireRule, ResetRule};
    use crate::network::{Conventions, Discretization, TrainedPopulation};
    use crate::{Axis, Conv, InputKind, Pool, PoolKind, PopulationId};

    fn network(operators: Vec<Operator>, output: Vec<u32>) -> Network {
        let n = output.iter().product::<u32>() as usize;
        let model = NeuronModel::If { r: vec![1.0; n], v_threshold: vec![1.0; n], v_reset: vec![0.0; n] };
        let population = |name: &str, shape: Vec<u32>, role| TrainedPopulation { name: name.into(), shape, role };
        Network {
            name: "net".into(),
            conventions: Conventions {
                name: "test".into(),
                dt_s: 1.0,
                fire: FireRule::GreaterEqual,
                reset: ResetRule::ToValue,
                discretization: Discretization::Euler,
            },
            populations: vec![population("in", vec![1, 4, 4], TrainedRole::Input), population("out", output, TrainedRole::Neurons(model))],
            projections: vec![TrainedProjection {
                name: "chain".into(),
                pre: PopulationId(0),
                post: PopulationId(1),
                operators,
                delay_steps: 1,
            }],
            output: PopulationId(1),
        }
    }

    fn axes(kernel: u32, stride: u32) -> Vec<Axis> {
        vec![Axis { size: 4, kernel, stride, dilation: 1, padding: [0, 0] }; 2]
    }

    fn conv() -> Operator {
        let weight = (1..=18).map(|k| k as f32 * 0.1 - 0.65).collect();
        Operator::Conv(Conv { channels: 1, outputs: 2, groups: 1, axes: axes(3, 1), weight })
    }

    #[test]
    fn chains_become_one_matrix_with_the_same_synapses() {
        let pool = Operator::Pool(Pool { kind: PoolKind::Average, channels: 1, axes: axes(2, 2) });
        let bias = |n: usize| Operator::Bias { bias: (0..n).map(|k| k as f32 * 0.25).collect() };
        let linear = Operator::Linear { outputs: 3, inputs: 8, weight: (0..24).map(|k| (k % 5) as f32 - 2.0).collect() };
        for (operators, shape) in
            [(vec![conv(), bias(8)], vec![2, 2, 2]), (vec![conv(), bias(8), linear], vec![3]), (vec![pool], vec![1, 2, 2])]
        {
            let given = network(operators, shape);
            let unrolled = given.unrolled().unwrap();
            let kinds: Vec<&str> = unrolled.projections[0].operators.iter().map(Operator::kind).collect();
            assert!(kinds[0] == "Linear" && kinds[1..].iter().all(|k| *k == "Bias"), "{kinds:?}");
            let mut expected = given.elaborate(InputKind::Spikes).unwrap();
            for (p, n) in expected.populations.iter_mut().zip(&unrolled.populations) {
                p.shape = vec![p.shape.iter().product()];
                assert_eq!(n.shape, p.shape);
            }
            assert_eq!(unrolled.elaborate(InputKind::Spikes).unwrap(), expected);
            assert_eq!(unrolled.unrolled().unwrap(), unrolled);
        }
    }
}
