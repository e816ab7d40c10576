//! How many synapses each end of a projection has, without keeping them.
//!
//! In: a projection of a network as trained. Out: counts by neuron, and how many there would be if no weight were 0.
//! Why: a kernel's weights are few and its synapses many; masks are shown in synapses.

use crate::elaborate::ElaborateError;
use crate::fold::{Term, fold};
use crate::network::{Network, Operator, TrainedProjection};

/// Synapses of a projection, counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wires {
    /// Of each presynaptic neuron or channel.
    pub fan_out: Vec<u32>,
    /// Of each postsynaptic neuron.
    pub fan_in: Vec<u32>,
    /// Synapses if no weight were 0.
    pub possible: u64,
}

impl Network {
    /// The synapses of `projection`; `None` where it can't be elaborated.
    pub fn wires(&self, projection: &TrainedProjection) -> Option<Wires> {
        let (pres, posts) = (self.populations.get(projection.pre.index())?.len(), self.populations.get(projection.post.index())?.len());
        let (mut fan_out, mut fan_in) = (vec![0u32; pres], vec![0u32; posts]);
        let count = |operators: &[Operator], take: &mut dyn FnMut(usize, &[Term<f32>])| -> Result<(), ElaborateError> {
            let mut map = fold(&projection.name, pres, posts, operators, self.conventions.dt_s)?;
            map.each_column(|column, terms| {
                take(column, terms);
                Ok(())
            })
        };
        count(&projection.operators, &mut |column, terms| {
            fan_out[column] = terms.len() as u32;
            terms.iter().for_each(|&(row, ..)| fan_in[row as usize] += 1);
        })
        .ok()?;
        let full: Vec<Operator> = projection.operators.iter().cloned().map(full).collect();
        let mut possible = 0;
        count(&full, &mut |_, terms| possible += terms.len() as u64).ok()?;
        Some(Wires { fan_out, fan_in, possible })
    }
}

/// The operator without a weight that is 0.
fn full(mut operator: Operator) -> Operator {
    match &mut operator {
        Operator::Linear { weight, .. } | Operator::Scale { scale: weight } => weight.fill(1.0),
        Operator::Conv(c) => c.weight.fill(1.0),
        Operator::ConvTranspose(c) => c.weight.fill(1.0),
        Operator::BatchNorm(n) => {
            n.weight.fill(1.0);
            n.variance.fill(1.0);
        }
        Operator::Bias { .. } | Operator::Reshape { .. } | Operator::Pool(_) | Operator::Place(_) | Operator::Delay { .. } => {}
    }
    operator
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::{FireRule, ResetRule};
    use crate::ids::PopulationId;
    use crate::network::{Conventions, Discretization, TrainedPopulation, TrainedRole};
    use crate::operators::{Axis, Conv};

    #[test]
    fn synapses_are_counted_as_they_are_folded() {
        let axis = Axis { size: 4, kernel: 3, stride: 1, dilation: 1, padding: [1, 1] };
        let conv = Conv { channels: 1, outputs: 1, groups: 1, axes: vec![axis], weight: vec![1.0, 0.0, 2.0] };
        let population = |name: &str| TrainedPopulation { name: name.into(), shape: vec![1, 4], role: TrainedRole::Input };
        let projection = TrainedProjection {
            name: "conv".into(),
            pre: PopulationId(0),
            post: PopulationId(1),
            operators: vec![Operator::Conv(conv), Operator::Scale { scale: vec![1.0, 1.0, 1.0, 0.0] }],
            delay_steps: 0,
        };
        let network = Network {
            name: "net".into(),
            conventions: Conventions {
                name: "nir".into(),
                dt_s: 1.0,
                fire: FireRule::Greater,
                reset: ResetRule::ToValue,
                discretization: Discretization::Euler,
            },
            populations: vec![population("in"), population("out")],
            projections: vec![projection.clone()],
            output: PopulationId(1),
        };
        let wires = network.wires(&projection).unwrap();
        assert_eq!(wires, Wires { fan_out: vec![1, 2, 1, 1], fan_in: vec![1, 2, 2, 0], possible: 10 });
        let elsewhere = TrainedProjection { post: PopulationId(2), ..projection };
        assert_eq!(network.wires(&elsewhere), None);
    }
}
