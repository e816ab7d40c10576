//! A trained model as a network of populations and projections, and as arrays with masks.
//!
//! In: a [`Model`]. Out: a [`Network`] whose absent synapses are exact zeros, bytes of a safetensors file.
//! Invariant: batch normalisation is folded after the mask, so that what is 0 stays 0; the order is that of network files (outputs, inputs),
//! channels first.

use crate::layers::{Kind, Layer, Linear, Norm};
use crate::model::Model;
use crate::neuron::{Neurons, Reset};
use crate::tensor::Shape;
use safetensors::tensor::{Dtype, TensorView};
use spikec_net::{
    Axis, BatchNorm, Conventions, Discretization, FireRule, Network, NeuronModel, Operator, Pool, PoolKind, PopulationId, ResetRule,
    TrainedPopulation, TrainedProjection, TrainedRole,
};

fn shape_of(shape: Shape, map: bool) -> Vec<u32> {
    let s = |n: usize| n as u32;
    if map { vec![s(shape.channels), s(shape.height), s(shape.width)] } else { vec![s(shape.len())] }
}

fn axes(map: Shape, kernel: usize, stride: usize, padding: usize) -> Vec<Axis> {
    let of =
        |size: usize| Axis { size: size as u32, kernel: kernel as u32, stride: stride as u32, dilation: 1, padding: [padding as u32; 2] };
    vec![of(map.height), of(map.width)]
}

/// From (inside, outputs) to (outputs, channels, taps), `inside` being taps by channels.
fn outside(weight: &[f32], channels: usize, outputs: usize) -> Vec<f32> {
    let inside = weight.len() / outputs;
    let taps = inside / channels;
    let mut out = Vec::with_capacity(weight.len());
    for o in 0..outputs {
        for c in 0..channels {
            out.extend((0..taps).map(|t| weight[(t * channels + c) * outputs + o]));
        }
    }
    out
}

/// The other way round: values of a network's operator, (outputs, channels, taps), in the order of the model's weights.
pub fn inside(values: &[f32], channels: usize, outputs: usize) -> Vec<f32> {
    let taps = values.len() / outputs / channels;
    let mut out = vec![0.0; values.len()];
    for o in 0..outputs {
        for c in 0..channels {
            for t in 0..taps {
                out[(t * channels + c) * outputs + o] = values[(o * channels + c) * taps + t];
            }
        }
    }
    out
}

fn model_of(neurons: &Neurons, n: usize) -> NeuronModel {
    let all = |x: f32| vec![x; n];
    // keep = 1 - dt / tau, gain = r dt / tau, dt = 1.
    let tau = 1.0 / (1.0 - neurons.keep);
    match neurons.firing {
        None => NeuronModel::Li { tau: all(tau), r: all(neurons.gain * tau), v_leak: all(0.0) },
        Some(f) if neurons.keep == 1.0 => NeuronModel::If { r: all(neurons.gain), v_threshold: all(f.threshold), v_reset: all(0.0) },
        Some(f) => NeuronModel::Lif {
            tau: all(tau),
            r: all(neurons.gain * tau),
            v_leak: all(0.0),
            v_threshold: all(f.threshold),
            v_reset: all(0.0),
        },
    }
}

/// Folds a normalisation into the matrix and the constant before it; false where there is none.
fn fold(norm: &Norm, operators: &mut Vec<Operator>, shape: Shape) -> bool {
    let at = match operators.last() {
        Some(Operator::Bias { .. }) => operators.len().wrapping_sub(2),
        _ => operators.len().wrapping_sub(1),
    };
    let c = norm.channels;
    let factor: Vec<f64> =
        (0..c).map(|k| f64::from(norm.factor.value[k]) / (f64::from(norm.variance[k]) + f64::from(norm.epsilon)).sqrt()).collect();
    let weight = match operators.get_mut(at) {
        Some(Operator::Linear { weight, .. }) => weight,
        Some(Operator::Conv(conv)) => &mut conv.weight,
        _ => return false,
    };
    let each = weight.len() / c;
    weight.iter_mut().enumerate().for_each(|(k, w)| *w = (f64::from(*w) * factor[k / each]) as f32 + 0.0);
    let places = shape.places();
    let before = match operators.get(at + 1) {
        Some(Operator::Bias { bias }) => bias.clone(),
        _ => vec![0.0; c * places],
    };
    let constant = |k: usize| {
        let c = k / places;
        (f64::from(norm.constant.value[c]) + factor[c] * (f64::from(before[k]) - f64::from(norm.mean[c]))) as f32
    };
    let bias = (0..before.len()).map(constant).collect();
    operators.truncate(at + 1);
    operators.push(Operator::Bias { bias });
    true
}

/// The model as a network called `name`.
pub fn network(model: &Model, name: &str) -> Network {
    // A map of one place is still a map in a network file.
    let mut map = model.input.places() > 1;
    let mut populations = vec![TrainedPopulation { name: "input".into(), shape: shape_of(model.input, map), role: TrainedRole::Input }];
    let mut projections = Vec::new();
    let mut operators: Vec<Operator> = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    let mut shape = model.input;
    let mut reset = ResetRule::ToValue;
    let mut join = |name: String, shape: Vec<u32>, role: NeuronModel, operators: Vec<Operator>, names: &mut Vec<&str>| {
        let pre = PopulationId::from(populations.len() - 1);
        let joined = if names.is_empty() { format!("to {name}") } else { names.join("+") };
        names.clear();
        populations.push(TrainedPopulation { name, shape, role: TrainedRole::Neurons(role) });
        let post = PopulationId::from(populations.len() - 1);
        projections.push(TrainedProjection { name: joined, pre, post, operators, delay_steps: 0 });
        post
    };
    let mut output = PopulationId::from(0);
    for ((layer, layer_name), &out) in model.layers.iter().zip(&model.names).zip(&model.shapes) {
        let before = shape;
        shape = out;
        let bias = |bias: &Option<crate::layers::Parameter>| {
            bias.as_ref().map(|b| Operator::Bias { bias: b.value.iter().flat_map(|&b| vec![b; out.places()]).collect() })
        };
        match layer {
            Layer::Linear(l) => {
                if std::mem::take(&mut map) {
                    operators.push(Operator::Reshape { shape: vec![l.inputs as u32] });
                    names.push("flatten");
                }
                operators.push(Operator::Linear {
                    outputs: l.outputs as u32,
                    inputs: l.inputs as u32,
                    weight: outside(&l.weight.value, l.inputs, l.outputs),
                });
                operators.extend(bias(&l.bias));
                names.push(layer_name);
            }
            Layer::Conv(l) => {
                operators.push(Operator::Conv(spikec_net::Conv {
                    channels: l.map.channels as u32,
                    outputs: l.outputs as u32,
                    groups: 1,
                    axes: axes(l.map, l.kernel, l.stride, l.padding),
                    weight: outside(&l.weight.value, l.map.channels, l.outputs),
                }));
                operators.extend(bias(&l.bias));
                names.push(layer_name);
            }
            Layer::Norm(norm) => {
                if !fold(norm, &mut operators, out) {
                    operators.push(Operator::BatchNorm(BatchNorm {
                        weight: norm.factor.value.clone(),
                        bias: norm.constant.value.clone(),
                        mean: norm.mean.clone(),
                        variance: norm.variance.clone(),
                        epsilon: norm.epsilon.into(),
                    }));
                    names.push(layer_name);
                }
            }
            Layer::Pool(pool) => {
                let kind = if pool.kind == Kind::Average { PoolKind::Average } else { PoolKind::Sum };
                operators.push(Operator::Pool(Pool {
                    kind,
                    channels: pool.map.channels as u32,
                    axes: axes(pool.map, pool.kernel, pool.stride, 0),
                }));
                names.push(layer_name);
                if pool.kind == Kind::Max {
                    // The maximum of spikes: neurons that fire when any of theirs does.
                    let chain = std::mem::take(&mut operators);
                    join(layer_name.clone(), shape_of(out, map), NeuronModel::Or, chain, &mut names);
                }
            }
            Layer::Flatten(flatten) if !flatten.inverse => {
                operators.push(Operator::Reshape { shape: vec![before.len() as u32] });
                names.push(layer_name);
                map = false;
            }
            Layer::Flatten(_) | Layer::Dropout(_) => {}
            Layer::Neurons(neurons) => {
                if neurons.firing.is_some_and(|f| f.reset == Reset::Soft) {
                    reset = ResetRule::Subtract;
                }
                let chain = std::mem::take(&mut operators);
                output = join(layer_name.clone(), shape_of(out, map), model_of(neurons, out.len()), chain, &mut names);
            }
        }
    }
    Network {
        name: name.into(),
        conventions: Conventions {
            name: if reset == ResetRule::ToValue { "spikingjelly" } else { "sinabs" }.into(),
            dt_s: 1.0,
            fire: FireRule::GreaterEqual,
            reset,
            discretization: Discretization::Euler,
        },
        populations,
        projections,
        output,
    }
}

/// All parameters and statistics as safetensors, in PyTorch's order and names (`fc1.weight`), and a mask of each weight (`fc1.mask`, bool).
pub fn arrays(model: &Model) -> Vec<u8> {
    let mut all: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    let floats = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    for (layer, name) in model.layers.iter().zip(&model.names) {
        let weight = match layer {
            Layer::Linear(Linear { inputs, outputs, weight, .. }) => {
                Some((outside(&weight.value, *inputs, *outputs), vec![*outputs, *inputs]))
            }
            Layer::Conv(l) => {
                let shape = vec![l.outputs, l.map.channels, l.kernel, l.kernel];
                Some((outside(&l.weight.value, l.map.channels, l.outputs), shape))
            }
            _ => None,
        };
        if let Some((weight, shape)) = &weight {
            all.push((format!("{name}.weight"), Dtype::F32, shape.clone(), floats(weight)));
            all.push((format!("{name}.mask"), Dtype::BOOL, shape.clone(), weight.iter().map(|w| u8::from(*w != 0.0)).collect()));
        }
        for p in layer.parameters().into_iter().skip(usize::from(weight.is_some())) {
            all.push((p.name.clone(), Dtype::F32, vec![p.value.len()], floats(&p.value)));
        }
        if let Layer::Norm(norm) = layer {
            all.push((format!("{name}.running_mean"), Dtype::F32, vec![norm.channels], floats(&norm.mean)));
            all.push((format!("{name}.running_var"), Dtype::F32, vec![norm.channels], floats(&norm.variance)));
        }
    }
    let views = all.iter().map(|(name, dtype, shape, bytes)| {
        (name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).expect("shapes are those of the arrays"))
    });
    safetensors::serialize(views, None).expect("names differ")
}
