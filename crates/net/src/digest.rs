//! Digests: which network a bundle was made from.
//!
//! In: a network as given. Out: BLAKE3 of its canonical encoding: every field but the name in the order of its declaration, lengths
//! before sequences, numbers little-endian, floats by their bits.
//! Invariant: two networks have the same digest only if every field but the name is equal (0.0 and -0.0 differ); a new field doesn't
//! compile here. Why not the name: it is the file's where the file holds none, and a copy of a file is the same network.

use crate::float::{FireRule, ResetRule};
use crate::ids::PopulationId;
use crate::net::{Net, Number, Projection};
use crate::network::{Conventions, Discretization, Network, NeuronModel, Operator, TrainedPopulation, TrainedProjection, TrainedRole};
use crate::operators::{Axis, BatchNorm, Conv, ConvTranspose, Place, Pool, PoolKind};
use crate::synapses::Logical;
use serde::Serialize;

struct Encoder(blake3::Hasher);

impl Encoder {
    fn tag(&mut self, tag: u8) {
        self.0.update(&[tag]);
    }
    fn number(&mut self, n: u64) {
        self.0.update(&n.to_le_bytes());
    }
    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text.as_bytes());
    }
    fn shape(&mut self, shape: &[u32]) {
        self.number(shape.len() as u64);
        shape.iter().for_each(|&s| self.number(s as u64));
    }
    fn floats(&mut self, values: &[f32]) {
        self.number(values.len() as u64);
        let mut bytes = [0u8; 4096];
        for chunk in values.chunks(bytes.len() / 4) {
            for (place, value) in bytes.chunks_exact_mut(4).zip(chunk) {
                place.copy_from_slice(&value.to_bits().to_le_bytes());
            }
            self.0.update(&bytes[..chunk.len() * 4]);
        }
    }

    fn axes(&mut self, axes: &[Axis]) {
        self.number(axes.len() as u64);
        for Axis { size, kernel, stride, dilation, padding: [before, after] } in axes {
            [size, kernel, stride, dilation, before, after].into_iter().for_each(|&n| self.number(n as u64));
        }
    }

    fn conventions(&mut self, c: &Conventions) {
        let Conventions { name, dt_s, fire, reset, discretization } = c;
        self.text(name);
        self.number(dt_s.to_bits());
        self.tag(match fire {
            FireRule::Greater => 0,
            FireRule::GreaterEqual => 1,
        });
        self.tag(match reset {
            ResetRule::ToValue => 0,
            ResetRule::Subtract => 1,
        });
        self.tag(match discretization {
            Discretization::Euler => 0,
            Discretization::Exact => 1,
        });
    }

    fn model(&mut self, model: &NeuronModel) {
        let (tag, arrays): (u8, Vec<&[f32]>) = match model {
            NeuronModel::Lif { tau, r, v_leak, v_threshold, v_reset } => (0, vec![tau, r, v_leak, v_threshold, v_reset]),
            NeuronModel::If { r, v_threshold, v_reset } => (1, vec![r, v_threshold, v_reset]),
            NeuronModel::CubaLif { tau_syn, tau_mem, r, v_leak, v_threshold, v_reset, w_in } => {
                (2, vec![tau_syn, tau_mem, r, v_leak, v_threshold, v_reset, w_in])
            }
            NeuronModel::Li { tau, r, v_leak } => (3, vec![tau, r, v_leak]),
            NeuronModel::CubaLi { tau_syn, tau_mem, r, v_leak, w_in } => (4, vec![tau_syn, tau_mem, r, v_leak, w_in]),
            NeuronModel::Threshold { v_threshold } => (5, vec![v_threshold]),
            NeuronModel::Or => (6, vec![]),
        };
        self.tag(tag);
        arrays.into_iter().for_each(|a| self.floats(a));
    }

    fn operator(&mut self, operator: &Operator) {
        match operator {
            Operator::Linear { outputs, inputs, weight } => {
                self.tag(0);
                self.number(*outputs as u64);
                self.number(*inputs as u64);
                self.floats(weight);
            }
            Operator::Bias { bias } => {
                self.tag(1);
                self.floats(bias);
            }
            Operator::Scale { scale } => {
                self.tag(2);
                self.floats(scale);
            }
            Operator::Reshape { shape } => {
                self.tag(3);
                self.shape(shape);
            }
            Operator::Conv(Conv { channels, outputs, groups, axes, weight }) => {
                self.tag(4);
                self.shape(&[*channels, *outputs, *groups]);
                self.axes(axes);
                self.floats(weight);
            }
            Operator::ConvTranspose(ConvTranspose { channels, outputs, groups, axes, output_padding, weight }) => {
                self.tag(5);
                self.shape(&[*channels, *outputs, *groups]);
                self.axes(axes);
                self.shape(output_padding);
                self.floats(weight);
            }
            Operator::Pool(Pool { kind, channels, axes }) => {
                self.tag(6);
                self.tag(match kind {
                    PoolKind::Sum => 0,
                    PoolKind::Average => 1,
                    PoolKind::AverageInside => 2,
                });
                self.number(*channels as u64);
                self.axes(axes);
            }
            Operator::BatchNorm(BatchNorm { weight, bias, mean, variance, epsilon }) => {
                self.tag(7);
                [weight, bias, mean, variance].into_iter().for_each(|v| self.floats(v));
                self.number(epsilon.to_bits());
            }
            Operator::Place(Place { size, at, whole }) => {
                self.tag(8);
                [size, at, whole].into_iter().for_each(|v| self.shape(v));
            }
            Operator::Delay { delay } => {
                self.tag(9);
                self.floats(delay);
            }
        }
    }
}

impl Network {
    /// BLAKE3 of the network's canonical encoding, its name left out.
    pub fn digest(&self) -> [u8; 32] {
        let Network { name: _, conventions, populations, projections, output } = self;
        let mut e = Encoder(blake3::Hasher::new());
        e.text("spikec network 2");
        e.conventions(conventions);
        e.number(populations.len() as u64);
        for TrainedPopulation { name, shape, role } in populations {
            e.text(name);
            e.shape(shape);
            match role {
                TrainedRole::Input => e.tag(0),
                TrainedRole::Neurons(model) => {
                    e.tag(1);
                    e.model(model);
                }
            }
        }
        e.number(projections.len() as u64);
        for TrainedProjection { name, pre, post, operators, delay_steps } in projections {
            e.text(name);
            e.number(pre.0 as u64);
            e.number(post.0 as u64);
            e.number(operators.len() as u64);
            operators.iter().for_each(|o| e.operator(o));
            e.number(*delay_steps as u64);
        }
        e.number(output.0 as u64);
        e.0.finalize().into()
    }
}

/// A projection with every synapse by itself.
#[derive(Serialize)]
#[serde(bound = "")]
struct Listed<'a, N: Number> {
    name: &'a str,
    pre: PopulationId,
    post: PopulationId,
    format: &'a N::Format,
    synapses: Logical<'a, N::Weight>,
}

impl<'a, N: Number> Listed<'a, N> {
    fn of(projection: &'a Projection<N>) -> Self {
        let Projection { name, pre, post, format, synapses } = projection;
        Listed { name, pre: *pre, post: *post, format, synapses: Logical(synapses) }
    }
}

impl<N: Number> Net<N> {
    /// BLAKE3 of the net's postcard encoding with the synapses listed one by one, its name left out.
    pub fn digest(&self) -> [u8; 32] {
        let Net { name: _, rules, populations, projections, host_projections, output } = self;
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"spikec net 2");
        let writer = std::io::BufWriter::with_capacity(1 << 16, hasher);
        let projections: Vec<_> = projections.iter().map(Listed::of).collect();
        let content = (rules, populations, projections, host_projections, output);
        let writer = postcard::to_io(&content, writer).expect("a hasher takes every byte, and a net has no type that postcard refuses");
        writer.into_inner().expect("a hasher takes every byte").finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elaborate::InputKind;
    use crate::ids::PopulationId;

    fn network() -> Network {
        let one = vec![1.0f32; 2];
        let population = |name: &str, role| TrainedPopulation { name: name.into(), shape: vec![2, 1], role };
        Network {
            name: "net".into(),
            conventions: Conventions {
                name: "c".into(),
                dt_s: 1.0,
                fire: FireRule::Greater,
                reset: ResetRule::ToValue,
                discretization: Discretization::Euler,
            },
            populations: vec![
                population("in", TrainedRole::Input),
                population(
                    "out",
                    TrainedRole::Neurons(NeuronModel::If { r: one.clone(), v_threshold: one.clone(), v_reset: vec![0.0; 2] }),
                ),
            ],
            projections: vec![TrainedProjection {
                name: "fc".into(),
                pre: PopulationId(0),
                post: PopulationId(1),
                operators: vec![
                    Operator::Reshape { shape: vec![2] },
                    Operator::Linear { outputs: 2, inputs: 2, weight: vec![1.0, 2.0, 3.0, 4.0] },
                    Operator::Scale { scale: one.clone() },
                    Operator::Bias { bias: vec![0.0; 2] },
                ],
                delay_steps: 0,
            }],
            output: PopulationId(1),
        }
    }

    const AXES: [Axis; 2] = [
        Axis { size: 3, kernel: 3, stride: 1, dilation: 1, padding: [1, 1] },
        Axis { size: 4, kernel: 3, stride: 1, dilation: 1, padding: [1, 1] },
    ];

    fn conv() -> Operator {
        Operator::Conv(Conv { channels: 1, outputs: 1, groups: 1, axes: AXES.into(), weight: vec![1.0] })
    }

    fn transposed(output_padding: [u32; 2]) -> Operator {
        let (axes, output_padding) = (AXES.into(), output_padding.into());
        Operator::ConvTranspose(ConvTranspose { channels: 1, outputs: 1, groups: 1, axes, output_padding, weight: vec![1.0] })
    }

    fn pool(kind: PoolKind) -> Operator {
        Operator::Pool(Pool { kind, channels: 1, axes: AXES.into() })
    }

    fn norm(epsilon: f64) -> Operator {
        let one = vec![1.0f32; 2];
        Operator::BatchNorm(BatchNorm { weight: one.clone(), bias: one.clone(), mean: one.clone(), variance: one, epsilon })
    }

    #[test]
    fn every_change_changes_the_digest() {
        type Change = fn(&mut Network);
        let changes: &[Change] = &[
            |n| n.conventions.name.push('x'),
            |n| n.conventions.dt_s = 2.0,
            |n| n.conventions.fire = FireRule::GreaterEqual,
            |n| n.conventions.reset = ResetRule::Subtract,
            |n| n.conventions.discretization = Discretization::Exact,
            |n| n.populations[0].name.push('x'),
            |n| n.populations[0].shape = vec![1, 2],
            |n| n.populations[0].role = n.populations[1].role.clone(),
            |n| {
                let r = vec![1.0f32; 2];
                n.populations[1].role = TrainedRole::Neurons(NeuronModel::Li { tau: r.clone(), r, v_leak: vec![0.0; 2] });
            },
            |n| n.populations[1].role = TrainedRole::Neurons(NeuronModel::Threshold { v_threshold: vec![1.0; 2] }),
            |n| n.populations[1].role = TrainedRole::Neurons(NeuronModel::Or),
            |n| n.projections[0].name.push('x'),
            |n| n.projections[0].pre = PopulationId(1),
            |n| n.projections[0].post = PopulationId(0),
            |n| n.projections[0].delay_steps = 1,
            |n| n.projections[0].operators[0] = Operator::Reshape { shape: vec![1, 2] },
            |n| n.projections[0].operators[1] = Operator::Linear { outputs: 2, inputs: 2, weight: vec![1.0, 2.0, 3.0, 4.000001] },
            |n| n.projections[0].operators[1] = Operator::Linear { outputs: 1, inputs: 4, weight: vec![1.0, 2.0, 3.0, 4.0] },
            |n| n.projections[0].operators[2] = Operator::Bias { bias: vec![1.0; 2] },
            |n| n.projections[0].operators[3] = Operator::Bias { bias: vec![0.0, -0.0] },
            |n| n.output = PopulationId(0),
            |n| n.projections[0].operators[0] = conv(),
            |n| n.projections[0].operators[0] = transposed([0, 0]),
            |n| n.projections[0].operators[0] = transposed([0, 1]),
            |n| n.projections[0].operators[0] = pool(PoolKind::Sum),
            |n| n.projections[0].operators[0] = pool(PoolKind::Average),
            |n| n.projections[0].operators[0] = pool(PoolKind::AverageInside),
            |n| n.projections[0].operators[0] = norm(1e-5),
            |n| n.projections[0].operators[0] = norm(1e-3),
            |n| n.projections[0].operators[0] = Operator::Place(Place { size: vec![1], at: vec![0], whole: vec![2] }),
            |n| n.projections[0].operators[0] = Operator::Place(Place { size: vec![1], at: vec![1], whole: vec![2] }),
            |n| n.projections[0].operators[0] = Operator::Delay { delay: vec![1.0; 2] },
        ];
        // Every field of a convolution by itself.
        let fields: &[fn(&mut Conv)] = &[
            |c| c.channels = 2,
            |c| c.outputs = 2,
            |c| c.groups = 2,
            |c| c.weight[0] = 2.0,
            |c| c.axes[0].size = 2,
            |c| c.axes[0].kernel = 2,
            |c| c.axes[0].stride = 2,
            |c| c.axes[0].dilation = 2,
            |c| c.axes[0].padding[0] = 2,
            |c| c.axes[0].padding[1] = 2,
            |c| c.axes.rotate_left(1),
        ];
        let mut seen = vec![network().digest()];
        let mut renamed = network();
        renamed.name.push('x');
        assert_eq!(seen[0], renamed.digest());
        for (i, change) in changes.iter().enumerate() {
            let mut changed = network();
            change(&mut changed);
            let digest = changed.digest();
            assert!(!seen.contains(&digest), "change {i}");
            seen.push(digest);
        }
        for (i, field) in fields.iter().enumerate() {
            let mut changed = network();
            let Operator::Conv(mut c) = conv() else { unreachable!() };
            field(&mut c);
            changed.projections[0].operators[0] = Operator::Conv(c);
            let digest = changed.digest();
            assert!(!seen.contains(&digest), "field {i}");
            seen.push(digest);
        }
    }

    #[test]
    fn a_net_differs_by_one_weight() {
        let net = network().elaborate(InputKind::Spikes).unwrap();
        let mut other = net.clone();
        other.name.push('x');
        assert_eq!(net.digest(), other.digest());
        other.projections[0].synapses.weights_mut()[3] += 1.0;
        assert_ne!(net.digest(), other.digest());
    }
}
