//! How many synapses each end of a projection has, without keeping them.
//!
//! In: a projection of a network as trained. Out: counts by neuron, and how many there would be if no weight were 0.
//! Why: a kernel's weights are few and its synapses many; masks are shown in synapses.

use crate::fold::fold;
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
        let terms = |operators: &[Operator]| {
            fold(&projection.name, pres, posts, operators, self.conventions.dt_s).and_then(|map| map.terms(&projection.name)).ok()
        };
        let kept = terms(&projection.operators)?;
        let mut fan_out = vec![0u32; pres];
        kept.columns.iter().for_each(|&c| fan_out[c as usize] += 1);
        let fan_in = kept.offsets.windows(2).map(|w| w[1] - w[0]).collect();
        let full: Vec<Operator> = projection.operators.iter().cloned().map(full).collect();
        Some(Wires { fan_out, fan_in, possible: terms(&full)?.columns.len() as u64 })
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
