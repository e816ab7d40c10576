//! The mask of a network as read: weights that are not zero.

use super::{Layer, Population, Wiring};
use spikec_import::Model;
use spikec_net::{Fixed, Net, Network, Operator, TrainedProjection, TrainedRole, Wires};

/// Counts the synapses of a network file.
pub fn of_model(model: &Model) -> Wiring {
    match model {
        Model::Trained(n) => trained(n),
        Model::Registers(n) => registers(n),
    }
}

fn trained(n: &Network) -> Wiring {
    let populations: Vec<Population> = n
        .populations
        .iter()
        .map(|p| Population { name: p.name.clone(), shape: p.shape.clone(), input: p.role == TrainedRole::Input })
        .collect();
    let layers = n
        .projections
        .iter()
        .flat_map(|p| {
            let matrices = |o: &Operator| {
                matches!(o, Operator::Linear { .. } | Operator::Bias { .. } | Operator::Scale { .. } | Operator::Reshape { .. })
            };
            if p.operators.iter().all(matrices) { chain(p, populations[p.pre.index()].len()) } else { vec![folded(n, p, &populations)] }
        })
        .collect();
    Wiring { populations, layers, output: n.output.index() }
}

/// One layer for a chain with kernels or windows: its synapses as they will be folded, none where they can't be.
fn folded(n: &Network, p: &TrainedProjection, populations: &[Population]) -> Layer {
    let (pre, post) = (p.pre.index(), p.post.index());
    let (pres, posts) = (populations[pre].len(), populations[post].len());
    let none = Wires { fan_out: vec![0; pres], fan_in: vec![0; posts], possible: 0 };
    let Wires { fan_out, fan_in, possible } = n.wires(p).unwrap_or(none);
    Layer { name: p.name.clone(), pre, post, first: true, last: true, on_host: false, possible, fan_out, fan_in }
}

/// A layer for each matrix of a chain; a chain without one joins neurons one to one.
fn chain(p: &TrainedProjection, pres: usize) -> Vec<Layer> {
    let matrices: Vec<(usize, &[f32])> = p
        .operators
        .iter()
        .filter_map(|o| match o {
            Operator::Linear { inputs, weight, .. } => Some((*inputs as usize, weight.as_slice())),
            _ => None,
        })
        .collect();
    let layer = |name: String, first: bool, last: bool, possible: usize, fan_out: Vec<u32>, fan_in: Vec<u32>| Layer {
        name,
        pre: p.pre.index(),
        post: p.post.index(),
        first,
        last,
        on_host: false,
        possible: possible as u64,
        fan_out,
        fan_in,
    };
    if matrices.is_empty() {
        return vec![layer(p.name.clone(), true, true, pres, vec![1; pres], vec![1; pres])];
    }
    let of_matrix = |(k, &(inputs, weight)): (usize, &(usize, &[f32]))| {
        let mut fan_out = vec![0u32; inputs];
        let mut fan_in = Vec::with_capacity(weight.len() / inputs.max(1));
        for row in weight.chunks(inputs.max(1)) {
            let mut stay = 0;
            for (of_input, _) in fan_out.iter_mut().zip(row).filter(|(_, w)| **w != 0.0) {
                *of_input += 1;
                stay += 1;
            }
            fan_in.push(stay);
        }
        let name = if matrices.len() == 1 { p.name.clone() } else { format!("{}[{k}]", p.name) };
        layer(name, k == 0, k + 1 == matrices.len(), weight.len(), fan_out, fan_in)
    };
    matrices.iter().enumerate().map(of_matrix).collect()
}

fn registers(n: &Net<Fixed>) -> Wiring {
    let populations: Vec<Population> =
        n.populations.iter().map(|p| Population { name: p.name.clone(), shape: p.shape.clone(), input: p.is_input() }).collect();
    let layers = n
        .projections
        .iter()
        .map(|p| {
            let (pre, post) = (p.pre.index(), p.post.index());
            let (pres, posts) = (populations[pre].len(), populations[post].len());
            let (mut fan_out, mut fan_in) = (vec![0u32; pres], vec![0u32; posts]);
            let (from, to) = (&n.population(p.pre).origin, &n.population(p.post).origin);
            for (i, j, _, _) in p.synapses.iter().filter(|s| s.2 != 0) {
                fan_out[from[i as usize] as usize] += 1;
                fan_in[to[j as usize] as usize] += 1;
            }
            let possible = pres as u64 * posts as u64;
            Layer { name: p.name.clone(), pre, post, first: true, last: true, on_host: false, possible, fan_out, fan_in }
        })
        .collect();
    Wiring { populations, layers, output: n.output.index() }
}
