//! A network as read: layers, parameters, conventions.

use crate::mask::{self, MaskView};
use crate::table::{count, percent, table};
use serde::Serialize;
use spikec_import::Model;
use spikec_net::{Axis, FireRule, Net, Network, Operator, ResetRule, TrainedRole, fixed::Fixed};

/// How the network was understood, in two lines: what it is, and what its file can't say.
pub fn header(network: &Network) -> String {
    let c = &network.conventions;
    format!(
        "network {}: {} neurons, {} weights that are not zero\nconvention {}: fires at v {} threshold, {} reset, {:?} steps of dt = {}",
        network.name,
        count(network.populations.iter().filter(|p| p.role != TrainedRole::Input).map(|p| p.len() as u64).sum()),
        count(network.projections.iter().map(|p| weights(&p.operators).0).sum()),
        c.name,
        match c.fire {
            FireRule::Greater => ">",
            FireRule::GreaterEqual => ">=",
        },
        match c.reset {
            ResetRule::ToValue => "hard",
            ResetRule::Subtract => "soft",
        },
        c.discretization,
        c.dt_s
    )
}

/// (not zero, all) weights of a chain.
fn weights(operators: &[Operator]) -> (u64, u64) {
    operators
        .iter()
        .filter_map(Operator::weights)
        .fold((0, 0), |(nonzero, all), weight| (nonzero + weight.iter().filter(|&&w| w != 0.0).count() as u64, all + weight.len() as u64))
}

/// A network for people and programs.
#[derive(Debug, Serialize)]
pub struct NetworkView {
    /// Name.
    pub name: String,
    /// `trained` (floats) or `registers` (chip integers).
    pub kind: &'static str,
    /// Convention, where floats.
    pub conventions: Option<spikec_net::Conventions>,
    /// Populations.
    pub populations: Vec<PopulationView>,
    /// Projections.
    pub projections: Vec<ProjectionView>,
    /// Which synapses stay.
    pub mask: MaskView,
    /// Name of the output population.
    pub output: String,
    /// BLAKE3 of the network, hex.
    pub digest: String,
}

/// A population.
#[derive(Debug, Serialize)]
pub struct PopulationView {
    /// Name.
    pub name: String,
    /// Shape.
    pub shape: Vec<u32>,
    /// Model.
    pub model: String,
    /// Parameter, smallest and largest value.
    pub parameters: Vec<(String, f64, f64)>,
}

/// A projection.
#[derive(Debug, Serialize)]
pub struct ProjectionView {
    /// Name.
    pub name: String,
    /// Presynaptic population.
    pub pre: String,
    /// Postsynaptic population.
    pub post: String,
    /// Operators or weight format.
    pub operators: String,
    /// Weights that are not zero.
    pub weights: u64,
    /// All weights that the matrices could hold.
    pub possible: u64,
    /// Smallest and largest net delay in network steps.
    pub delay_steps: (u32, u32),
}

/// The view of a model.
pub fn view(model: &Model) -> NetworkView {
    match model {
        Model::Trained(n) => trained(n, mask::of_model(model).view()),
        Model::Registers(n) => registers(n, mask::of_model(model).view()),
    }
}

fn range(name: &str, values: impl IntoIterator<Item = f64>) -> (String, f64, f64) {
    let (lo, hi) = values.into_iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)));
    (name.to_string(), lo, hi)
}

fn trained(n: &Network, mask: MaskView) -> NetworkView {
    let name = |id: spikec_net::PopulationId| n.populations[id.index()].name.clone();
    NetworkView {
        name: n.name.clone(),
        kind: "trained",
        conventions: Some(n.conventions.clone()),
        populations: n
            .populations
            .iter()
            .map(|p| {
                let (model, parameters) = match &p.role {
                    TrainedRole::Input => ("input".to_string(), Vec::new()),
                    TrainedRole::Neurons(m) => {
                        let range = |(name, v): (&str, &[f32])| range(name, v.iter().map(|&x| f64::from(x)));
                        (m.name().to_string(), m.parameters().into_iter().map(range).collect())
                    }
                };
                PopulationView { name: p.name.clone(), shape: p.shape.clone(), model, parameters }
            })
            .collect(),
        projections: n
            .projections
            .iter()
            .map(|p| {
                let operators: Vec<String> = p.operators.iter().map(described).collect();
                let (nonzero, all) = weights(&p.operators);
                ProjectionView {
                    name: p.name.clone(),
                    pre: name(p.pre),
                    post: name(p.post),
                    operators: operators.join(", "),
                    weights: nonzero,
                    possible: all,
                    delay_steps: (p.delay_steps, p.delay_steps),
                }
            })
            .collect(),
        mask,
        output: name(n.output),
        digest: hex(&n.digest()),
    }
}

fn times(sizes: impl IntoIterator<Item = u32>) -> String {
    sizes.into_iter().map(|n| n.to_string()).collect::<Vec<_>>().join("x")
}

/// What differs from 1 (strides, dilations) or 0 (padding) in a window.
fn window(axes: &[Axis]) -> String {
    let mut out = format!("{} on {}", times(axes.iter().map(|a| a.kernel)), times(axes.iter().map(|a| a.size)));
    for (name, of) in [("stride", (|a| a.stride) as fn(&Axis) -> u32), ("dilation", |a| a.dilation)] {
        if axes.iter().any(|a| of(a) != 1) {
            out.push_str(&format!(", {name} {}", times(axes.iter().map(of))));
        }
    }
    if axes.iter().any(|a| a.padding != [0, 0]) {
        let of =
            |a: &Axis| if a.padding[0] == a.padding[1] { a.padding[0].to_string() } else { format!("{}+{}", a.padding[0], a.padding[1]) };
        out.push_str(&format!(", padding {}", axes.iter().map(of).collect::<Vec<_>>().join("x")));
    }
    out
}

/// An operator in a few words.
fn described(operator: &Operator) -> String {
    let kind = operator.kind();
    let conv = |channels: u32, outputs: u32, groups: u32, axes: &[Axis]| {
        let groups = if groups == 1 { String::new() } else { format!(", {groups} groups") };
        format!("{kind} {channels} to {outputs} ({}{groups})", window(axes))
    };
    match operator {
        Operator::Linear { outputs, inputs, .. } => format!("Linear {outputs}x{inputs}"),
        Operator::Reshape { shape } => format!("Reshape {shape:?}"),
        Operator::Conv(c) => conv(c.channels, c.outputs, c.groups, &c.axes),
        Operator::ConvTranspose(c) => conv(c.channels, c.outputs, c.groups, &c.axes),
        Operator::Pool(p) => format!("{kind} ({})", window(&p.axes)),
        Operator::Place(p) => format!("Place {:?} at {:?} of {:?}", p.size, p.at, p.whole),
        Operator::Delay { delay } => {
            let (lo, hi) = delay.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), &d| (lo.min(d), hi.max(d)));
            if lo == hi { format!("Delay {lo}") } else { format!("Delay {lo} .. {hi}") }
        }
        Operator::Bias { .. } | Operator::Scale { .. } | Operator::BatchNorm(_) => kind.into(),
    }
}

fn registers(n: &Net<Fixed>, mask: MaskView) -> NetworkView {
    let name = |id: spikec_net::PopulationId| n.population(id).name.clone();
    NetworkView {
        name: n.name.clone(),
        kind: "registers",
        conventions: None,
        populations: n
            .populations
            .iter()
            .map(|p| {
                let neurons = p.neurons();
                let parameters = if neurons.is_empty() {
                    Vec::new()
                } else {
                    vec![
                        range("decay_u", neurons.iter().map(|x| x.decay_u as f64)),
                        range("decay_v", neurons.iter().map(|x| x.decay_v as f64)),
                        range("threshold", neurons.iter().map(|x| x.threshold as f64)),
                        range("refractory", neurons.iter().map(|x| x.refractory as f64)),
                        range("bias", neurons.iter().map(|x| x.bias.value() as f64)),
                    ]
                };
                let model = if p.is_input() { "input".to_string() } else { "chip neuron".to_string() };
                PopulationView { name: p.name.clone(), shape: p.shape.clone(), model, parameters }
            })
            .collect(),
        projections: n
            .projections
            .iter()
            .map(|p| {
                let (lo, hi) = p.synapses.delay_bounds();
                ProjectionView {
                    name: p.name.clone(),
                    pre: name(p.pre),
                    post: name(p.post),
                    operators: format!("{:?}, {} bits, exponent {}", p.format.sign, p.format.bits, p.format.exponent),
                    weights: p.synapses.len() as u64,
                    possible: n.population(p.pre).trained_len() as u64 * n.population(p.post).trained_len() as u64,
                    delay_steps: (lo as u32, hi as u32),
                }
            })
            .collect(),
        mask,
        output: name(n.output),
        digest: hex(&n.digest()),
    }
}

/// The view as text.
pub fn text(v: &NetworkView) -> String {
    let mut out = format!("network {} ({}), output {}, digest {}\n", v.name, v.kind, v.output, &v.digest[..16.min(v.digest.len())]);
    if let Some(c) = &v.conventions {
        out.push_str(&format!("convention {}: dt {}, fires {:?}, reset {:?}, {:?}\n", c.name, c.dt_s, c.fire, c.reset, c.discretization));
    }
    let shape = |s: &[u32]| s.iter().map(|d| d.to_string()).collect::<Vec<_>>().join("x");
    out.push_str(&table(
        &["population", "shape", "model", "parameters (smallest .. largest)"],
        v.populations.iter().map(|p| {
            let parameters: Vec<String> =
                p.parameters.iter().map(|(n, lo, hi)| if lo == hi { format!("{n} {lo}") } else { format!("{n} {lo} .. {hi}") }).collect();
            vec![p.name.clone(), shape(&p.shape), p.model.clone(), parameters.join(", ")]
        }),
    ));
    out.push('\n');
    out.push_str(&table(
        &["projection", "from", "to", "operators", "weights", "connectivity", "delay"],
        v.projections.iter().map(|p| {
            let (lo, hi) = p.delay_steps;
            vec![
                p.name.clone(),
                p.pre.clone(),
                p.post.clone(),
                p.operators.clone(),
                count(p.weights),
                percent(p.weights as f64, p.possible as f64),
                if lo == hi { lo.to_string() } else { format!("{lo}..{hi}") },
            ]
        }),
    ));
    out.push('\n');
    out.push_str(&mask::text(&v.mask));
    out
}

/// Bytes as hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
