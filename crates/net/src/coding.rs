//! Input coding: how analog inputs reach the chip.
//!
//! In: an elaborated net and the coding asked for. Out: the net whose inputs are of that kind.
//! Invariant: with `Rate` and `Latency` no analog input and no host projection is left; the encoder of
//! `spikec_data::encode` makes the two channels of each value (channel i positive, channel width + i negative).

use crate::constant::add_constants;
use crate::float::Float;
use crate::net::{HostProjection, Net, Projection, Role};
use crate::synapses::Builder;

/// How a sample's data become input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum InputCoding {
    /// The data are spikes.
    Spikes,
    /// The host turns values into biases.
    Bias,
    /// Values become spike rates.
    Rate {
        /// Value that spikes in every step.
        full_scale: f64,
    },
    /// Values become the time of one spike.
    Latency {
        /// Value that spikes in step 0.
        full_scale: f64,
    },
}

/// Why inputs can't be coded that way.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs)] // the messages say what the fields are
pub enum CodingError {
    #[error("input {population} carries values, not spikes")]
    NotSpikes { population: String },
    #[error("input {population} carries spikes, not values")]
    NotValues { population: String },
    #[error("full scale is {full_scale}: expected a finite number above 0")]
    FullScale { full_scale: f64 },
    #[error("there are several inputs, {first} and {second}: their channels can't be split into positive and negative ones together")]
    SeveralInputs { first: String, second: String },
    #[error("input {population} of shape {shape:?} is too large to double its channels")]
    TooLarge { population: String, shape: Vec<u32> },
    #[error("projection {projection} has a delay of {delay_steps} steps, more than {}", u16::MAX)]
    DelayTooLong { projection: String, delay_steps: u32 },
    #[error("projection {projection}: weight {weight} times full scale {full_scale} is beyond the range of f32")]
    WeightNotFinite { projection: String, weight: f32, full_scale: f64 },
    #[error("projection {projection}: the constant {constant} of neuron {neuron} of {population} is beyond the range of f32")]
    ConstantNotFinite { projection: String, population: String, neuron: usize, constant: f64 },
}

impl CodingError {
    /// A remedy.
    pub fn hint(&self) -> String {
        match self {
            CodingError::NotSpikes { .. } => "give spikes as data, or choose --input-coding bias, rate or latency",
            CodingError::NotValues { .. } => "choose --input-coding spikes, or give values as data",
            CodingError::FullScale { .. } => "give the largest magnitude that the data reach",
            CodingError::SeveralInputs { .. } => "join the inputs into one population, or use --input-coding bias",
            CodingError::TooLarge { .. } => "use --input-coding bias",
            CodingError::DelayTooLong { .. } => "check the unit of the delay and --dt",
            CodingError::WeightNotFinite { .. } | CodingError::ConstantNotFinite { .. } => "scale the parameters to a smaller range",
        }
        .to_string()
    }
}

/// Gives the net inputs of the kind that `coding` needs.
///
/// `Spikes` and `Bias` change nothing and check that every input is of that kind. `Rate` and `Latency` turn the analog input
/// into a spike input of shape `[2, ..shape]` (positive channels, then negative ones) and its host projections into
/// projections with weights `w * full_scale` and `-w * full_scale` (f64, rounded once), appended to the others; their
/// constants go into the bias as `gain * constant`, or come from a constant source where the neuron has current memory (keep_u != 0) or a
/// spike subtracts. Errors: inputs of the wrong kind, several inputs to split, numbers beyond f32.
pub fn code_inputs(mut net: Net<Float>, coding: InputCoding) -> Result<Net<Float>, CodingError> {
    let full_scale = match coding {
        InputCoding::Spikes => {
            return match net.populations.iter().find(|p| p.role == Role::AnalogInput) {
                Some(p) => Err(CodingError::NotSpikes { population: p.name.clone() }),
                None => Ok(net),
            };
        }
        InputCoding::Bias => {
            return match net.populations.iter().find(|p| p.role == Role::SpikeInput) {
                Some(p) => Err(CodingError::NotValues { population: p.name.clone() }),
                None => Ok(net),
            };
        }
        InputCoding::Rate { full_scale } | InputCoding::Latency { full_scale } => full_scale,
    };
    if !(full_scale.is_finite() && full_scale > 0.0) {
        return Err(CodingError::FullScale { full_scale });
    }
    if let Some(p) = net.populations.iter().find(|p| p.role == Role::SpikeInput) {
        return Err(CodingError::NotValues { population: p.name.clone() });
    }
    let mut inputs = net.populations.iter_mut().filter(|p| p.role == Role::AnalogInput);
    let Some(input) = inputs.next() else { return Ok(net) };
    if let Some(second) = inputs.next() {
        return Err(CodingError::SeveralInputs { first: input.name.clone(), second: second.name.clone() });
    }
    let trained = input.trained_len() as u64;
    if 2 * trained > u32::MAX as u64 {
        return Err(CodingError::TooLarge { population: input.name.clone(), shape: input.shape.clone() });
    }
    input.role = Role::SpikeInput;
    input.shape.insert(0, 2);
    input.origin = input.origin.iter().copied().chain(input.origin.iter().map(|o| o + trained as u32)).collect();
    let channels = input.origin.len() / 2;
    for host in std::mem::take(&mut net.host_projections) {
        net.projections.push(spiking(&host, channels, full_scale)?);
        move_constants(&mut net, &host)?;
    }
    Ok(net)
}

/// Moves the constants of a host projection into the biases of its post neurons, or to a constant source.
fn move_constants(net: &mut Net<Float>, host: &HostProjection) -> Result<(), CodingError> {
    let rules = net.rules;
    let population = &mut net.populations[host.post.index()];
    let name = population.name.clone();
    let not_finite = |(neuron, constant): (usize, f64)| CodingError::ConstantNotFinite {
        projection: host.name.clone(),
        population: name.clone(),
        neuron,
        constant,
    };
    let Role::Neurons(neurons) = &mut population.role else { return Ok(()) };
    let mut into_currents = vec![0.0; neurons.len()];
    for (neuron, n) in neurons.iter_mut().enumerate() {
        let constant = host.constants[neuron] * host.gains[neuron];
        if constant == 0.0 {
            continue;
        }
        if rules.constant_enters_current(n) {
            into_currents[neuron] = constant;
            continue;
        }
        n.bias = (n.bias as f64 + n.gain as f64 * constant) as f32;
        if !n.bias.is_finite() {
            return Err(not_finite((neuron, constant)));
        }
    }
    add_constants(net, host.post, &into_currents).map_err(not_finite)
}

/// The projection from the doubled channels that stands for `host`.
fn spiking(host: &HostProjection, channels: usize, full_scale: f64) -> Result<Projection<Float>, CodingError> {
    let delay = u16::try_from(host.delay_steps)
        .map_err(|_| CodingError::DelayTooLong { projection: host.name.clone(), delay_steps: host.delay_steps })?;
    let mut offsets = vec![0u32; channels + 1];
    for &c in &host.channels {
        offsets[c as usize + 1] += 1;
    }
    for c in 0..channels {
        offsets[c + 1] += offsets[c];
    }
    let mut next = offsets.clone();
    let (mut posts, mut weights) = (vec![0u32; host.channels.len()], vec![0f32; host.channels.len()]);
    for post in 0..host.gains.len() {
        for k in host.offsets[post] as usize..host.offsets[post + 1] as usize {
            let slot = &mut next[host.channels[k] as usize];
            let weight = (host.weights[k] as f64 * host.gains[post] * full_scale) as f32;
            if !weight.is_finite() {
                return Err(CodingError::WeightNotFinite { projection: host.name.clone(), weight: host.weights[k], full_scale });
            }
            posts[*slot as usize] = post as u32;
            weights[*slot as usize] = weight;
            *slot += 1;
        }
    }
    // Products that underflowed to zero are absent; then the same rows once more with the other sign.
    let mut builder = Builder::new();
    for sign in [1.0, -1.0] {
        for c in 0..channels {
            let row = offsets[c] as usize..offsets[c + 1] as usize;
            builder.push_row(row.filter(|&k| weights[k] != 0.0).map(|k| (posts[k], sign * weights[k], delay)));
        }
    }
    Ok(Projection { name: host.name.clone(), pre: host.pre, post: host.post, format: (), synapses: builder.finish() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PopulationId;
    use crate::float::{FireRule, FloatNeuron, FloatRules, ResetRule};
    use crate::net::Population;

    fn net(keep_u: f32) -> Net<Float> {
        let neuron = FloatNeuron { keep_u, keep_v: 0.5, gain: 0.5, bias: 0.25, threshold: 1.0, v_reset: 0.0 };
        let population = |name: &str, shape, role, n| Population { name: name.into(), shape, origin: (0..n).collect(), skew: 0, role };
        Net {
            name: "net".into(),
            rules: FloatRules { fire: FireRule::Greater, reset: ResetRule::ToValue },
            populations: vec![
                population("in", vec![1, 3], Role::AnalogInput, 3),
                population("out", vec![2], Role::Neurons(vec![neuron; 2]), 2),
            ],
            projections: vec![],
            host_projections: vec![HostProjection {
                name: "fc".into(),
                pre: PopulationId(0),
                post: PopulationId(1),
                offsets: vec![0, 2, 4],
                channels: vec![0, 2, 1, 2],
                weights: vec![1.0, -2.0, 0.5, 1e-45],
                constants: vec![4.0, 0.0],
                gains: vec![1.0, 1.0],
                delay_steps: 2,
            }],
            output: PopulationId(1),
        }
    }

    #[test]
    fn values_become_two_channels_each() {
        for coding in [InputCoding::Rate { full_scale: 0.25 }, InputCoding::Latency { full_scale: 0.25 }] {
            let net = code_inputs(net(0.0), coding).unwrap();
            assert_eq!(net.check(), Ok(()));
            assert!(net.host_projections.is_empty());
            assert_eq!((&net.populations[0].role, net.populations[0].shape.as_slice()), (&Role::SpikeInput, [2, 1, 3].as_slice()));
            assert_eq!(net.populations[0].origin, [0, 1, 2, 3, 4, 5]);
            let synapses: Vec<_> = net.projections[0].synapses.iter().collect();
            let expected = [(0, 0, 0.25, 2), (1, 1, 0.125, 2), (2, 0, -0.5, 2), (3, 0, -0.25, 2), (4, 1, -0.125, 2), (5, 0, 0.5, 2)];
            assert_eq!(synapses, expected, "1e-45 / 4 is zero and absent");
            assert_eq!(net.populations[1].neurons()[0].bias, 2.25);
            assert_eq!(net.populations[1].neurons()[1].bias, 0.25);
        }
    }

    #[test]
    fn constants_into_a_filtered_current_come_from_one_source() {
        let mut given = net(0.5);
        let (mut population, mut host) = (given.populations[1].clone(), given.host_projections[0].clone());
        (population.name, host.name, host.post) = ("second".into(), "fc2".into(), PopulationId(2));
        given.populations.push(population);
        given.host_projections.push(host);
        let coded = code_inputs(given, InputCoding::Rate { full_scale: 1.0 }).unwrap();
        assert_eq!(coded.check(), Ok(()));
        let names: Vec<&str> = coded.projections.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["fc", "constant -> out", "fc2", "constant -> second"]);
        assert_eq!((coded.populations.len(), coded.projections[1].pre, coded.projections[3].pre), (4, PopulationId(3), PopulationId(3)));
        assert_eq!(coded.projections[1].synapses.iter().collect::<Vec<_>>(), [(0, 0, 4.0, 0)]);
        assert_eq!(coded.populations[1].neurons()[0].bias, 0.25);
    }

    #[test]
    fn kinds_are_checked() {
        let rate = InputCoding::Rate { full_scale: 1.0 };
        assert!(matches!(code_inputs(net(0.0), InputCoding::Spikes), Err(CodingError::NotSpikes { .. })));
        assert_eq!(code_inputs(net(0.0), InputCoding::Bias).unwrap(), net(0.0));
        let spiking = code_inputs(net(0.0), rate).unwrap();
        assert_eq!(code_inputs(spiking.clone(), InputCoding::Spikes).unwrap(), spiking);
        assert!(matches!(code_inputs(spiking.clone(), InputCoding::Bias), Err(CodingError::NotValues { .. })));
        assert!(matches!(code_inputs(spiking, rate), Err(CodingError::NotValues { .. })));
        for full_scale in [0.0, -1.0, f64::NAN] {
            assert!(matches!(code_inputs(net(0.0), InputCoding::Latency { full_scale }), Err(CodingError::FullScale { .. })));
        }
        let mut huge = net(0.5);
        huge.host_projections[0].constants[0] = 1e39;
        assert!(matches!(code_inputs(huge, rate), Err(CodingError::ConstantNotFinite { neuron: 0, .. })));
        let mut two = net(0.0);
        two.populations.push(two.populations[0].clone());
        assert!(matches!(code_inputs(two, rate), Err(CodingError::SeveralInputs { .. })));
        let huge = InputCoding::Rate { full_scale: 1e300 };
        assert!(matches!(code_inputs(net(0.0), huge), Err(CodingError::WeightNotFinite { .. })));
        let mut late = net(0.0);
        late.host_projections[0].delay_steps = 70_000;
        assert!(matches!(code_inputs(late, rate), Err(CodingError::DelayTooLong { delay_steps: 70_000, .. })));
    }
}
