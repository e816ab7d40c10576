//! Elaboration: from the network as trained to neurons and synapses in floats.
//!
//! In: a [`Network`] and what its inputs carry. Out: a `Net<Float>` with one projection for each chain of operators.
//! Invariant: a chain of one `Linear` keeps its f32 weights exactly; with more operators, products are f64 and rounded once.
//! Populations keep their ids; projections keep their order (those from analog inputs move to `host_projections`). A constant
//! source and its projections (`constant.rs`) come last.
//! Cost: linear in the entries of the matrices.
//! Why: everything after this knows neurons and synapses only, never a file's operators or units.

use crate::constant::add_constants;
use crate::discretize::{StepNeuron, discretize};
use crate::float::{Float, FloatRules};
use crate::fold::{Terms, fold, product};
use crate::ids::PopulationId;
use crate::net::{HostProjection, Net, Population, Projection, Role};
use crate::network::{Network, NeuronModel, TrainedRole};
use crate::operators::GeometryError;
use crate::synapses::Synapses;

/// What the inputs of a network carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputKind {
    /// Spikes: input populations become [`Role::SpikeInput`].
    Spikes,
    /// Values: input populations become [`Role::AnalogInput`], and the host computes the projections that leave them.
    Analog,
}

/// Most neurons or channels of a population.
pub const MAX_POPULATION: usize = 1 << 26;

/// Why a network can't become neurons and synapses.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs)] // the messages say what the fields are
pub enum ElaborateError {
    #[error("time step is {dt_s} s: expected a finite number above 0")]
    BadTimeStep { dt_s: f64 },
    #[error("population {population}: shape {shape:?} has no neurons or more than {}", MAX_POPULATION)]
    BadShape { population: String, shape: Vec<u32> },
    #[error("population {population}: parameter {parameter} has {found} values, expected {expected}")]
    ParameterLength { population: String, parameter: &'static str, found: usize, expected: usize },
    #[error("population {population}: {parameter}[{index}] is {value}, expected a finite number")]
    ParameterNotFinite { population: String, parameter: &'static str, index: usize, value: f32 },
    #[error("population {population}: {parameter}[{index}] is {value} s, expected a time constant above 0")]
    TauNotPositive { population: String, parameter: &'static str, index: usize, value: f32 },
    #[error("population {population}: {parameter}[{index}] is {value} s, shorter than the time step of {dt_s} s")]
    TauBelowStep { population: String, parameter: &'static str, index: usize, value: f32, dt_s: f64 },
    #[error("population {population}: {quantity} of neuron {index} becomes {value}, beyond the range of f32")]
    NeuronNotFinite { population: String, quantity: &'static str, index: usize, value: f64 },
    #[error("the output is population {id}, but there are {populations}")]
    UnknownOutput { id: u32, populations: usize },
    #[error("the output {population} is an input")]
    OutputIsInput { population: String },
    #[error("projection {projection} names population {id}, but there are {populations}")]
    UnknownPopulation { projection: String, id: u32, populations: usize },
    #[error("projection {projection} ends in the input {population}")]
    IntoInput { projection: String, population: String },
    #[error("projection {projection} leaves {population}, which never spikes ({model})")]
    FromReadout { projection: String, population: String, model: &'static str },
    #[error("projection {projection}, operator {operator} ({kind}): {found} values where {expected} are expected")]
    OperatorShape { projection: String, operator: usize, kind: &'static str, found: usize, expected: usize },
    #[error("projection {projection}, operator {operator}: a weight of {rows} x {columns} has {found} values")]
    WeightCount { projection: String, operator: usize, rows: usize, columns: usize, found: usize },
    #[error("projection {projection}, operator {operator} ({kind}): value {index} is {value}, expected a finite number")]
    OperatorNotFinite { projection: String, operator: usize, kind: &'static str, index: usize, value: f32 },
    #[error("projection {projection} gives {found} values to a population of {expected}")]
    ChainEnds { projection: String, found: usize, expected: usize },
    #[error("projection {projection}: the folded weight from {pre} to {post} is {value}, beyond the range of f32")]
    FoldedNotFinite { projection: String, post: usize, pre: u32, value: f64 },
    #[error("projection {projection}: its operators fold into {found} synapses or more, beyond the limit of {limit}")]
    TooManyTerms { projection: String, found: u64, limit: u64 },
    #[error("projection {projection}, operator {operator} ({kind}): {error}")]
    Geometry { projection: String, operator: usize, kind: &'static str, error: GeometryError },
    #[error(
        "projection {projection}, operator {operator} (BatchNorm): channel {channel} has the variance {variance} and epsilon {epsilon}, expected a sum above 0"
    )]
    Variance { projection: String, operator: usize, channel: usize, variance: f32, epsilon: f64 },
    #[error(
        "projection {projection}, operator {operator} (Delay): delay {index} is {delay}, or {steps} steps, expected 0 to {} steps",
        u16::MAX
    )]
    DelayRange { projection: String, operator: usize, index: usize, delay: f32, steps: f64 },
    #[error(
        "projection {projection} into {population}, whose neurons fire where any input does: found {found}, expected spikes that weigh 1"
    )]
    NotOr { projection: String, population: String, found: &'static str },
    #[error("projection {projection}: the values of an analog input come with different delays; the host writes one frame for all neurons")]
    HostDelays { projection: String },
    #[error("projection {projection} has a delay of {delay_steps} steps, more than {}", u16::MAX)]
    DelayTooLong { projection: String, delay_steps: u32 },
    #[error("population {population}: the constant {constant} that enters neuron {neuron} is beyond the range of f32")]
    ConstantNotFinite { population: String, neuron: usize, constant: f64 },
    #[error("population {population} has two projections from analog inputs: {first} and {second}")]
    TwoHostProjections { population: String, first: String, second: String },
}

impl ElaborateError {
    /// A remedy.
    pub fn hint(&self) -> String {
        use ElaborateError::*;
        match self {
            BadTimeStep { .. } => "give the length of a step with --dt",
            TauBelowStep { .. } => "use a shorter --dt or the exact discretization",
            TwoHostProjections { .. } => "join the analog inputs into one population and their matrices into one",
            FromReadout { .. } => "connect through a spiking population; a readout's potential can't be sent",
            TooManyTerms { .. } => {
                "use a larger stride or smaller maps, prune the weights, or put a population of neurons between two matrices"
            }
            Geometry { error, .. } => error.hint(),
            Variance { .. } => "the file is damaged, or the network was not trained: export it again",
            NotOr { .. } => "let a maximum be taken of spikes alone: put neurons before it, and weights behind it",
            HostDelays { .. } => "use spikes as inputs, or one delay for all",
            ParameterNotFinite { .. } | OperatorNotFinite { .. } => {
                "the file holds NaN or infinity: export it again from a sound checkpoint"
            }
            NeuronNotFinite { .. } | FoldedNotFinite { .. } | ConstantNotFinite { .. } => "scale the parameters to a smaller range",
            TauNotPositive { .. } => "time constants are in seconds and positive; check the export's units",
            DelayTooLong { .. } | DelayRange { .. } => "check the unit of the delay and --dt",
            BadShape { .. }
            | ParameterLength { .. }
            | UnknownOutput { .. }
            | OutputIsInput { .. }
            | UnknownPopulation { .. }
            | IntoInput { .. }
            | OperatorShape { .. }
            | WeightCount { .. }
            | ChainEnds { .. } => "the file contradicts itself: export it again",
        }
        .to_string()
    }
}

impl Network {
    /// Turns operators into synapses and continuous time into steps (docs/semantics.md, section 2).
    ///
    /// The constants of a chain fold into the bias of the post neurons as `gain * constant`, or come from a constant source where
    /// the neuron has current memory (keep_u != 0) or a spike subtracts from its potential; from an analog input without delay they stay in the host projection.
    /// Errors: NaN or infinity anywhere, shapes that don't chain, time constants that the discretization can't step, two host
    /// projections into one population.
    pub fn elaborate(&self, inputs: InputKind) -> Result<Net<Float>, ElaborateError> {
        let dt_s = self.conventions.dt_s;
        if !(dt_s.is_finite() && dt_s > 0.0) {
            return Err(ElaborateError::BadTimeStep { dt_s });
        }
        let mut sizes = Vec::with_capacity(self.populations.len());
        let mut stepped: Vec<Vec<StepNeuron>> = Vec::with_capacity(self.populations.len());
        for p in &self.populations {
            let size = product(&p.shape).filter(|n| (1..=MAX_POPULATION).contains(n));
            let n = size.ok_or_else(|| ElaborateError::BadShape { population: p.name.clone(), shape: p.shape.clone() })?;
            sizes.push(n);
            stepped.push(match &p.role {
                TrainedRole::Input => Vec::new(),
                TrainedRole::Neurons(model) => discretize(&p.name, n, model, &self.conventions)?,
            });
        }
        self.check_output()?;
        // What a constant source adds to the currents of each population.
        let mut into_currents: Vec<Vec<f64>> = sizes.iter().map(|&n| vec![0.0; n]).collect();
        let (mut projections, mut host_projections): (Vec<Projection<Float>>, Vec<HostProjection>) = (Vec::new(), Vec::new());
        for projection in &self.projections {
            let name = &projection.name;
            self.check_ends(name, projection.pre, projection.post)?;
            let (pre, post) = (projection.pre, projection.post);
            let mut map = fold(name, sizes[pre.index()], sizes[post.index()], &projection.operators, dt_s)?;
            let analog = inputs == InputKind::Analog && matches!(self.populations[pre.index()].role, TrainedRole::Input);
            let delay_steps = projection.delay_steps.saturating_add(map.delay());
            let links = if analog { Links::Host(map.terms()?) } else { Links::Chip(map.synapses(delay_steps)?) };
            if matches!(self.populations[post.index()].role, TrainedRole::Neurons(NeuronModel::Or)) {
                let found = match () {
                    () if analog => Some("analog values"),
                    () if links.weights().iter().any(|&w| w != 1.0) => Some("other weights"),
                    () if (0..sizes[post.index()]).any(|j| map.constant(j) != 0.0) => Some("a constant"),
                    () => None,
                };
                if let Some(found) = found {
                    let population = self.populations[post.index()].name.clone();
                    return Err(ElaborateError::NotOr { projection: name.clone(), population, found });
                }
            }
            // The constants of a host map come with its frames; those of a delayed one must act before the first frame does.
            let with_frames = analog && delay_steps == 0;
            for (neuron, n) in stepped[post.index()].iter_mut().enumerate().filter(|_| !with_frames) {
                let constant = map.constant(neuron);
                if n.keep_u as f32 != 0.0 {
                    into_currents[post.index()][neuron] += constant;
                } else {
                    n.bias += n.gain * constant;
                }
            }
            let synapses = match links {
                Links::Chip(synapses) => synapses,
                Links::Host(terms) => {
                    if terms.delays.windows(2).any(|w| w[0] != w[1]) {
                        return Err(ElaborateError::HostDelays { projection: name.clone() });
                    }
                    let delay_steps = delay_steps.saturating_add(terms.delays.first().copied().unwrap_or(0).into());
                    if let Some(first) = host_projections.iter().find(|h| h.post == post) {
                        return Err(ElaborateError::TwoHostProjections {
                            population: self.populations[post.index()].name.clone(),
                            first: first.name.clone(),
                            second: name.clone(),
                        });
                    }
                    let posts = sizes[post.index()];
                    host_projections.push(HostProjection {
                        name: name.clone(),
                        pre,
                        post,
                        offsets: terms.offsets,
                        channels: terms.columns,
                        weights: terms.weights,
                        constants: (0..posts).map(|j| if with_frames { map.constant(j) } else { 0.0 }).collect(),
                        gains: vec![1.0; posts],
                        delay_steps,
                    });
                    continue;
                }
            };
            projections.push(Projection { name: name.clone(), pre, post, format: (), synapses });
        }
        let rules = FloatRules { fire: self.conventions.fire, reset: self.conventions.reset };
        // Where a spike subtracts, a chip may keep the potential in the current: biases enter it there.
        for (neurons, constants) in stepped.iter_mut().zip(&mut into_currents) {
            for (n, constant) in neurons.iter_mut().zip(constants) {
                if n.bias != 0.0 && n.keep_u as f32 == 0.0 && n.round().is_ok_and(|n| rules.constant_enters_current(&n)) {
                    *constant += n.bias / n.gain;
                    n.bias = 0.0;
                }
            }
        }
        let mut populations = Vec::with_capacity(self.populations.len());
        for (p, neurons) in self.populations.iter().zip(&stepped) {
            let round = |(index, n): (usize, &StepNeuron)| {
                n.round().map_err(|(quantity, value)| ElaborateError::NeuronNotFinite {
                    population: p.name.clone(),
                    quantity,
                    index,
                    value,
                })
            };
            let role = match (&p.role, inputs) {
                (TrainedRole::Input, InputKind::Spikes) => Role::SpikeInput,
                (TrainedRole::Input, InputKind::Analog) => Role::AnalogInput,
                (TrainedRole::Neurons(_), _) => Role::Neurons(neurons.iter().enumerate().map(round).collect::<Result<_, _>>()?),
            };
            let origin = (0..p.len() as u32).collect();
            populations.push(Population { name: p.name.clone(), shape: p.shape.clone(), origin, skew: 0, role });
        }
        let mut net = Net { name: self.name.clone(), rules, populations, projections, host_projections, output: self.output };
        for (p, constants) in into_currents.iter().enumerate() {
            add_constants(&mut net, PopulationId::from(p), constants).map_err(|(neuron, constant)| {
                let population = self.populations[p].name.clone();
                ElaborateError::ConstantNotFinite { population, neuron, constant }
            })?;
        }
        Ok(net)
    }

    fn check_output(&self) -> Result<(), ElaborateError> {
        let (id, populations) = (self.output.0, self.populations.len());
        let p = self.populations.get(self.output.index()).ok_or(ElaborateError::UnknownOutput { id, populations })?;
        match p.role {
            TrainedRole::Input => Err(ElaborateError::OutputIsInput { population: p.name.clone() }),
            TrainedRole::Neurons(_) => Ok(()),
        }
    }

    fn check_ends(&self, projection: &str, pre: PopulationId, post: PopulationId) -> Result<(), ElaborateError> {
        let populations = self.populations.len();
        let end = |id: PopulationId| {
            let unknown = ElaborateError::UnknownPopulation { projection: projection.to_string(), id: id.0, populations };
            self.populations.get(id.index()).ok_or(unknown)
        };
        let (pre, post) = (end(pre)?, end(post)?);
        if let TrainedRole::Neurons(model @ (NeuronModel::Li { .. } | NeuronModel::CubaLi { .. })) = &pre.role {
            let (projection, population) = (projection.to_string(), pre.name.clone());
            return Err(ElaborateError::FromReadout { projection, population, model: model.name() });
        }
        match post.role {
            TrainedRole::Input => Err(ElaborateError::IntoInput { projection: projection.to_string(), population: post.name.clone() }),
            TrainedRole::Neurons(_) => Ok(()),
        }
    }
}

/// What a chain became.
enum Links {
    Chip(Synapses<f32>),
    Host(Terms),
}

impl Links {
    /// Every weight that occurs.
    fn weights(&self) -> &[f32] {
        match self {
            Links::Chip(synapses) => synapses.distinct_weights(),
            Links::Host(terms) => &terms.weights,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::{FireRule, FloatNeuron, ResetRule};
    use crate::network::{Conventions, Discretization, Operator, TrainedPopulation, TrainedProjection};

    fn lif(n: usize) -> TrainedRole {
        let (one, zero) = (vec![1.0; n], vec![0.0; n]);
        let tau = vec![2.0; n];
        TrainedRole::Neurons(NeuronModel::Lif { tau, r: one.clone(), v_leak: zero.clone(), v_threshold: one, v_reset: zero })
    }

    fn cuba_lif(n: usize) -> TrainedRole {
        let (one, zero, tau) = (vec![1.0; n], vec![0.0; n], vec![2.0; n]);
        TrainedRole::Neurons(NeuronModel::CubaLif {
            tau_syn: tau.clone(),
            tau_mem: tau,
            r: one.clone(),
            v_leak: zero.clone(),
            v_threshold: one.clone(),
            v_reset: zero,
            w_in: one,
        })
    }

    fn network(roles: Vec<(u32, TrainedRole)>, projections: Vec<(u32, u32, Vec<Operator>)>) -> Network {
        let last = roles.len() - 1;
        Network {
            name: "net".into(),
            conventions: Conventions {
                name: "test".into(),
                dt_s: 1.0,
                fire: FireRule::Greater,
                reset: ResetRule::ToValue,
                discretization: Discretization::Euler,
            },
            populations: (roles.into_iter().enumerate())
                .map(|(i, (n, role))| TrainedPopulation { name: format!("p{i}"), shape: vec![n], role })
                .collect(),
            projections: (projections.into_iter().enumerate())
                .map(|(i, (pre, post, operators))| TrainedProjection {
                    name: format!("w{i}"),
                    pre: PopulationId(pre),
                    post: PopulationId(post),
                    operators,
                    delay_steps: 0,
                })
                .collect(),
            output: PopulationId::from(last),
        }
    }

    fn linear(outputs: u32, inputs: u32, weight: &[f32]) -> Operator {
        Operator::Linear { outputs, inputs, weight: weight.to_vec() }
    }

    #[test]
    fn a_linear_layer_becomes_a_projection() {
        let weight = [0.5, 0.0, -1.0, 2.0, -0.0, 4.0];
        let chain = vec![linear(2, 3, &weight), Operator::Bias { bias: vec![0.25, 0.0] }];
        let net = network(vec![(3, TrainedRole::Input), (2, lif(2))], vec![(0, 1, chain)]).elaborate(InputKind::Spikes).unwrap();
        let s = &net.projections[0].synapses;
        let all = [(0, 0, 0.5, 0), (0, 1, 2.0, 0), (2, 0, -1.0, 0), (2, 1, 4.0, 0)];
        assert_eq!((s.pres(), s.iter().collect::<Vec<_>>()), (3, all.to_vec()));
        assert_eq!(net.populations[1].neurons()[0].bias, 0.125, "gain * constant");
        assert_eq!(net.populations[0].role, Role::SpikeInput);
        assert_eq!(
            net.populations[1].neurons()[1],
            FloatNeuron { keep_u: 0.0, keep_v: 0.5, gain: 0.5, bias: 0.0, threshold: 1.0, v_reset: 0.0 }
        );
    }

    #[test]
    fn analog_inputs_go_through_the_host() {
        let chain = vec![linear(2, 3, &[0.5, 0.0, -1.0, 2.0, -0.0, 4.0]), Operator::Bias { bias: vec![0.25, 0.0] }];
        let mut network = network(vec![(3, TrainedRole::Input), (2, cuba_lif(2))], vec![(0, 1, chain.clone())]);
        let net = network.elaborate(InputKind::Analog).unwrap();
        let h = &net.host_projections[0];
        assert_eq!((h.offsets.as_slice(), h.channels.as_slice()), ([0, 2, 4].as_slice(), [0, 2, 0, 2].as_slice()));
        assert_eq!((h.weights.as_slice(), h.constants.as_slice()), ([0.5, -1.0, 2.0, 4.0].as_slice(), [0.25, 0.0].as_slice()));
        assert_eq!(h.gains, [1.0, 1.0]);
        assert!(net.projections.is_empty());
        let mut late = network.clone();
        late.projections[0].delay_steps = 1;
        // The constant acts before the first frame does.
        let net = late.elaborate(InputKind::Analog).unwrap();
        assert_eq!(net.host_projections[0].constants, [0.0, 0.0]);
        assert_eq!(net.projections[0].synapses.iter().collect::<Vec<_>>(), [(0, 0, 0.25, 0)]);
        late.populations[1].role = lif(2);
        let net = late.elaborate(InputKind::Analog).unwrap();
        assert_eq!((net.host_projections[0].constants.as_slice(), net.populations[1].neurons()[0].bias), ([0.0, 0.0].as_slice(), 0.125));
        network.projections.push(TrainedProjection { name: "again".into(), ..network.projections[0].clone() });
        let error = network.elaborate(InputKind::Analog).unwrap_err();
        assert_eq!(error, ElaborateError::TwoHostProjections { population: "p1".into(), first: "w0".into(), second: "again".into() });
    }

    #[test]
    fn several_projections_may_meet() {
        let bias = Operator::Bias { bias: vec![1.0] };
        let chains = vec![(0, 1, vec![linear(1, 1, &[1.0]), bias.clone()]), (1, 1, vec![linear(1, 1, &[-1.0]), bias])];
        let net = network(vec![(1, TrainedRole::Input), (1, lif(1))], chains).elaborate(InputKind::Spikes).unwrap();
        assert_eq!(net.projections.len(), 2);
        assert_eq!(net.populations[1].neurons()[0].bias, 1.0);
    }

    #[test]
    fn constants_into_a_decaying_current_come_from_a_source() {
        let bias = |b: &[f32]| Operator::Bias { bias: b.to_vec() };
        let roles = vec![(1, TrainedRole::Input), (2, cuba_lif(2)), (1, cuba_lif(1))];
        let chains = vec![
            (0, 1, vec![linear(2, 1, &[1.0, 1.0]), bias(&[0.5, 0.25])]),
            (0, 1, vec![linear(2, 1, &[1.0, 1.0]), bias(&[0.0, -0.25])]),
            (1, 2, vec![linear(1, 2, &[1.0, 1.0]), bias(&[-0.125])]),
        ];
        let mut given = network(roles.clone(), chains);
        // A constant acts from step 0 on, whatever its projection's delay.
        given.projections[0].delay_steps = 3;
        given.populations[0].name = "constant".into();
        let net = given.elaborate(InputKind::Spikes).unwrap();
        assert_eq!(net.check(), Ok(()));
        let source = &net.populations[3];
        assert_eq!((source.name.as_str(), source.len(), net.populations.len()), ("constant 2", 1, 4));
        assert!(net.populations[1].neurons().iter().all(|n| n.bias == 0.0));
        let added: Vec<_> =
            net.projections[3..].iter().map(|p| (p.name.as_str(), p.pre.0, p.post.0, p.synapses.iter().collect::<Vec<_>>())).collect();
        // Those of neuron 1 cancel each other: no synapse.
        let expected = [("constant 2 -> p1", 3, 1, vec![(0, 0, 0.5, 0)]), ("constant 2 -> p2", 3, 2, vec![(0, 0, -0.125, 0)])];
        assert_eq!(added, expected);
        let zeros = vec![(0, 1, vec![linear(2, 1, &[1.0, 1.0]), bias(&[0.0, 0.0])]), (1, 2, vec![linear(1, 2, &[1.0, 1.0])])];
        let net = network(roles.clone(), zeros).elaborate(InputKind::Spikes).unwrap();
        assert_eq!((net.populations.len(), net.projections.len()), (3, 2), "no constant, no source");
        let huge = vec![(0, 1, vec![linear(2, 1, &[1.0, 1.0]), bias(&[0.0, 3e38]), bias(&[0.0, 3e38])])];
        let error = network(roles, huge).elaborate(InputKind::Spikes).unwrap_err();
        assert!(matches!(error, ElaborateError::ConstantNotFinite { neuron: 1, .. }), "{error}");
    }

    #[test]
    fn a_source_fires_in_every_step_by_every_rule() {
        let chain = vec![linear(1, 1, &[1.0]), Operator::Bias { bias: vec![0.5] }];
        for fire in [FireRule::Greater, FireRule::GreaterEqual] {
            for reset in [ResetRule::ToValue, ResetRule::Subtract] {
                let mut given = network(vec![(1, TrainedRole::Input), (1, cuba_lif(1))], vec![(0, 1, chain.clone())]);
                (given.conventions.fire, given.conventions.reset) = (fire, reset);
                let net = given.elaborate(InputKind::Spikes).unwrap();
                let interpreter = crate::Interpreter::new(&net).unwrap();
                let run = crate::run_sample(&interpreter, None, &[], 20, true);
                assert!(run.spikes[2].iter().all(|fired| fired == &[0]), "{fire:?} {reset:?}");
                // keep_u = keep_v = 1/2, gain 1/4: u and v by hand, with the constant from step 0 on.
                let (mut u, mut v) = (0.0f32, 0.0f32);
                for fired in &run.spikes[1] {
                    u = 0.5 * u + 0.5;
                    v = 0.5 * v + 0.25 * u;
                    assert_eq!(!fired.is_empty(), v > 1.0);
                }
                assert_eq!(run.potentials, [v as f64]);
            }
        }
    }

    #[test]
    fn contradictions_are_named() {
        let input = || (1, TrainedRole::Input);
        let spikes = |n: Network| n.elaborate(InputKind::Spikes).unwrap_err();
        let mut dt = network(vec![input(), (1, lif(1))], vec![]);
        for dt_s in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            dt.conventions.dt_s = dt_s;
            assert!(matches!(spikes(dt.clone()), ElaborateError::BadTimeStep { .. }));
        }
        let li = TrainedRole::Neurons(NeuronModel::Li { tau: vec![2.0], r: vec![1.0], v_leak: vec![0.0] });
        let error = spikes(network(vec![input(), (1, li), (1, lif(1))], vec![(1, 2, vec![])]));
        assert!(matches!(error, ElaborateError::FromReadout { model: "LI", .. }));
        assert!(matches!(spikes(network(vec![input(), (1, lif(1))], vec![(1, 0, vec![])])), ElaborateError::IntoInput { .. }));
        assert!(matches!(
            spikes(network(vec![input(), (1, lif(1))], vec![(0, 7, vec![])])),
            ElaborateError::UnknownPopulation { id: 7, .. }
        ));
        assert!(matches!(spikes(network(vec![(1, lif(1)), input()], vec![])), ElaborateError::OutputIsInput { .. }));
        let mut output = network(vec![input(), (1, lif(1))], vec![]);
        output.output = PopulationId(9);
        assert!(matches!(spikes(output), ElaborateError::UnknownOutput { id: 9, populations: 2 }));
        let mut shape = network(vec![input(), (1, lif(1))], vec![]);
        for bad in [vec![0], vec![1 << 16, 1 << 16], vec![1 << 30]] {
            shape.populations[0].shape = bad;
            assert!(matches!(spikes(shape.clone()), ElaborateError::BadShape { .. }));
        }
        let mut delay = network(vec![input(), (1, lif(1))], vec![(0, 1, vec![])]);
        delay.projections[0].delay_steps = 65536;
        assert!(matches!(spikes(delay), ElaborateError::DelayTooLong { delay_steps: 65536, .. }));
    }

    #[test]
    fn a_large_dense_layer_is_fast_and_exact() {
        let weight: Vec<f32> = (0..800 * 784).map(|k| (k % 1013) as f32 * 0.001 - 0.5).collect();
        let nonzero = weight.iter().filter(|w| **w != 0.0).count();
        let network = network(vec![(784, TrainedRole::Input), (800, lif(800))], vec![(0, 1, vec![linear(800, 784, &weight)])]);
        let start = std::time::Instant::now();
        let net = network.elaborate(InputKind::Spikes).unwrap();
        assert!(start.elapsed().as_millis() < 2000, "took {:?}", start.elapsed());
        assert_eq!(net.synapse_count(), nonzero);
        let exact = net.projections[0].synapses.iter().all(|(i, j, w, _)| w.to_bits() == weight[j as usize * 784 + i as usize].to_bits());
        assert!(exact);
    }
}
