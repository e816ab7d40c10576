use super::*;
use crate::fixed::{Bias, FixedNeuron, FixedRules, SignMode, WeightFormat};
use crate::float::{FireRule, FloatNeuron, FloatRules, ResetRule};
use crate::net::{HostProjection, Population};
use crate::synapses::Synapses;
use spikec_data::Values;

fn population<N: Number>(name: &str, n: u32, role: Role<N>) -> Population<N> {
    Population { name: name.into(), shape: vec![n], origin: (0..n).collect(), skew: 0, role }
}

/// Fires in the step in which a spike of weight 2 arrives, and forgets.
fn relay(n: u32) -> Role<Fixed> {
    let neuron = FixedNeuron { decay_u: 4096, decay_v: 4096, threshold: 1, refractory: 1, bias: Bias::default() };
    Role::Neurons(vec![neuron; n as usize])
}

fn project(name: &str, pre: u32, post: u32, pres: usize, synapses: &[(u32, u32, i16, u16)]) -> Projection<Fixed> {
    Projection {
        name: name.into(),
        pre: PopulationId(pre),
        post: PopulationId(post),
        format: WeightFormat { bits: 8, exponent: 0, sign: SignMode::Mixed },
        synapses: Synapses::from_tuples(pres, synapses.to_vec()),
    }
}

fn net(populations: Vec<Population<Fixed>>, projections: Vec<Projection<Fixed>>) -> Net<Fixed> {
    let output = PopulationId::from(populations.len() - 1);
    Net { name: "net".into(), rules: FixedRules::default(), populations, projections, host_projections: vec![], output }
}

fn spikes_of(net: &Net<Fixed>, train: &SpikeTrain, steps: u32) -> Vec<Vec<Vec<u32>>> {
    run_sample(&Interpreter::new(net).unwrap(), Some(train), &[], steps, true).spikes
}

/// Steps in which neuron `j` fired.
fn steps_of(spikes: &[Vec<u32>], j: u32) -> Vec<usize> {
    (0..spikes.len()).filter(|&t| spikes[t].contains(&j)).collect()
}

#[test]
fn spikes_cross_layers_within_a_step_whatever_the_order_of_populations() {
    // in -> b -> a, the output declared before the hidden layer.
    let mut net = net(
        vec![population("in", 1, Role::SpikeInput), population("a", 1, relay(1)), population("b", 1, relay(1))],
        vec![project("ba", 2, 1, 1, &[(0, 0, 2, 0)]), project("in", 0, 2, 1, &[(0, 0, 2, 0)])],
    );
    net.output = PopulationId(1);
    let train = SpikeTrain::from_steps(1, [vec![], vec![0], vec![], vec![0]]);
    let spikes = spikes_of(&net, &train, 6);
    assert_eq!((steps_of(&spikes[1], 0), steps_of(&spikes[2], 0)), (vec![1, 3], vec![1, 3]));
    assert!(spikes[0].is_empty(), "inputs aren't recorded");
}

#[test]
fn each_synapse_has_its_delay() {
    let synapses = [(0, 0, 2, 0), (0, 1, 2, 3), (0, 2, 2, 7), (0, 2, 2, 1), (1, 0, 2, 3), (1, 2, 2, 0)];
    let net = net(vec![population("in", 2, Role::SpikeInput), population("out", 3, relay(3))], vec![project("p", 0, 1, 2, &synapses)]);
    let train = SpikeTrain::from_steps(2, [vec![0], vec![], vec![], vec![], vec![0, 1]]);
    let spikes = spikes_of(&net, &train, 10);
    assert_eq!(steps_of(&spikes[1], 0), [0, 4, 7]);
    assert_eq!(steps_of(&spikes[1], 1), [3, 7]);
    assert_eq!(steps_of(&spikes[1], 2), [1, 4, 5, 7], "the spike of step 4 would act in step 11");
}

#[test]
fn a_loop_of_delay_one_keeps_a_spike_alive() {
    let net = net(
        vec![population("in", 1, Role::SpikeInput), population("a", 1, relay(1)), population("b", 1, relay(1))],
        vec![project("in", 0, 1, 1, &[(0, 0, 2, 0)]), project("ab", 1, 2, 1, &[(0, 0, 2, 0)]), project("ba", 2, 1, 1, &[(0, 0, 2, 2)])],
    );
    let spikes = spikes_of(&net, &SpikeTrain::from_steps(1, [vec![], vec![0]]), 8);
    assert_eq!((steps_of(&spikes[1], 0), steps_of(&spikes[2], 0)), (vec![1, 3, 5, 7], vec![1, 3, 5, 7]));
}

#[test]
fn cycles_without_delay_are_named() {
    let net = net(
        vec![
            population("in", 1, Role::SpikeInput),
            population("a", 1, relay(1)),
            population("b", 1, relay(1)),
            population("c", 1, relay(1)),
        ],
        vec![
            project("in", 0, 1, 1, &[(0, 0, 2, 0)]),
            project("ab", 1, 2, 1, &[(0, 0, 2, 0)]),
            project("ba", 2, 1, 1, &[(0, 0, 2, 0)]),
            project("bc", 2, 3, 1, &[(0, 0, 2, 0)]),
        ],
    );
    let error = Interpreter::new(&net).err().unwrap();
    assert_eq!(error, ReferenceError::Cycle { cycle: vec!["b".into(), "a".into(), "b".into()] });
    assert!(error.to_string().contains("b -> a -> b"), "{error}");
    let mut own = net.clone();
    own.projections = vec![project("aa", 1, 1, 1, &[(0, 0, 2, 0)])];
    assert_eq!(Interpreter::new(&own).err().unwrap(), ReferenceError::Cycle { cycle: vec!["a".into(), "a".into()] });
    own.projections = vec![project("aa", 1, 1, 1, &[])];
    assert!(Interpreter::new(&own).is_ok(), "without synapses there is no cycle");
}

#[test]
fn channels_are_as_trained_and_repeat() {
    let mut net = net(
        vec![population("x", 2, Role::SpikeInput), population("y", 3, Role::SpikeInput), population("out", 2, relay(2))],
        vec![project("p", 0, 2, 1, &[(0, 0, 1, 0)]), project("q", 1, 2, 2, &[(0, 1, 2, 0), (1, 1, -2, 0)])],
    );
    net.populations[0].origin = vec![1];
    net.populations[1].origin = vec![0, 2];
    // Channel 1 is x[1]; 2, 3, 4 are y[0], y[1] (removed), y[2]. A weight of 1 isn't on the grid but acts as 64: two of them pass the threshold.
    let train = SpikeTrain::from_steps(6, [vec![1], vec![1, 1], vec![2], vec![3], vec![2, 4], vec![0, 5], vec![2, 2, 4]]);
    let spikes = spikes_of(&net, &train, 7);
    assert_eq!((steps_of(&spikes[2], 0), steps_of(&spikes[2], 1)), (vec![1], vec![2, 6]));
}

#[test]
fn results_are_by_index_as_trained() {
    let mut net = net(
        vec![population("in", 2, Role::SpikeInput), population("out", 2, relay(2))],
        vec![project("p", 0, 1, 2, &[(0, 0, 2, 0), (1, 1, 1, 0)])],
    );
    net.populations[1].shape = vec![2, 2];
    net.populations[1].origin = vec![1, 2];
    let train = SpikeTrain::from_steps(2, [vec![1], vec![0], vec![0, 1]]);
    let run = run_sample(&Interpreter::new(&net).unwrap(), Some(&train), &[], 3, false);
    assert_eq!(run.out_counts, [0, 2, 0, 0]);
    assert_eq!(run.first_spike, [None, Some(1), None, None]);
    assert_eq!(run.potentials, [0.0, 0.0, 64.0, 0.0]);
    assert!(run.spikes.is_empty());
}

#[test]
fn samples_are_checked_and_drives_act_in_their_steps() {
    let mut net = net(vec![population("values", 1, Role::AnalogInput), population("out", 1, relay(1))], vec![]);
    net.host_projections.push(HostProjection {
        name: "h".into(),
        pre: PopulationId(0),
        post: PopulationId(1),
        offsets: vec![0, 1],
        channels: vec![0],
        weights: vec![1.0],
        constants: vec![0.0],
        gains: vec![65.0],
        delay_steps: 2,
    });
    let interpreter = Interpreter::new(&net).unwrap();
    let registers = (4095, 7);
    let sample = |values, steps| interpreter.sample(&Stimulus::Values(values), steps, registers, true);
    let constant = Values { width: 1, frames: vec![1.0], constant: true };
    let (run, saturations) = sample(constant.clone(), Some(5)).unwrap();
    assert_eq!((steps_of(&run.spikes[1], 0), saturations), (vec![2, 3, 4], 0));
    let frames = Values { width: 1, frames: vec![1.0, 0.0, 1e6, 1.0], constant: false };
    let (run, saturations) = sample(frames.clone(), None).unwrap();
    assert_eq!((run.spikes[1].len(), steps_of(&run.spikes[1], 0), saturations), (4, vec![2], 1));
    assert_eq!(sample(frames.clone(), Some(8)).unwrap_err(), ReferenceError::TooFewFrames { found: 4, expected: 8 });
    let (drives, _) = fixed_drive(&net, &frames, 4095, 7);
    let run = run_sample(&interpreter, None, &drives, 8, true);
    assert_eq!(steps_of(&run.spikes[1], 0), [2, 4, 5], "no frame, no drive");
    assert_eq!(sample(constant, None).unwrap_err(), ReferenceError::NoSteps);
    let wide = Values { width: 2, frames: vec![1.0; 2], constant: true };
    assert_eq!(sample(wide, Some(1)).unwrap_err(), ReferenceError::Width { kind: "value", found: 2, expected: 1 });
    let train = Stimulus::Spikes(SpikeTrain::from_steps(1, [vec![0]]));
    assert_eq!(
        interpreter.sample(&train, None, registers, false).unwrap_err(),
        ReferenceError::Width { kind: "spike", found: 1, expected: 0 }
    );
}

#[test]
fn values_beyond_the_arithmetic_are_refused() {
    let sound = net(vec![population("in", 1, Role::SpikeInput), population("out", 2, relay(2))], vec![]);
    type Damage = fn(&mut Net<Fixed>);
    fn neuron(net: &mut Net<Fixed>) -> &mut FixedNeuron {
        match &mut net.populations[1].role {
            Role::Neurons(n) => &mut n[1],
            _ => panic!("the output has neurons"),
        }
    }
    let cases: &[(Damage, &str)] = &[
        (|n| neuron(n).decay_u = 4097, "population out, neuron 1: decay_u is 4097"),
        (|n| neuron(n).decay_v = u16::MAX, "decay_v"),
        (|n| neuron(n).bias.exponent = 17, "bias exponent"),
        (|n| n.rules.u_bits = 0, "u_bits"),
        (|n| n.rules.v_min = n.rules.v_max + 1, "v_min"),
        (|n| n.rules.align_shift = 22, "align_shift"),
        (|n| n.rules.weight_limit_bits = 200, "weight_limit_bits"),
        (|n| n.rules.input_bits = 63, "input_bits"),
        (|n| n.rules.threshold_shift = 64, "threshold_shift"),
    ];
    assert!(Interpreter::new(&sound).is_ok());
    for (damage, expected) in cases {
        let mut damaged = sound.clone();
        damage(&mut damaged);
        let error = Interpreter::new(&damaged).err().expect(expected).to_string();
        assert!(error.contains(expected), "{error:?} does not say {expected:?}");
    }
}

#[test]
fn float_sums_add_up_in_the_order_of_the_law() {
    // 1e8 + 1 - 1e8 is 0 in f32, 1e8 - 1e8 + 1 is 1: the order can be seen.
    let neuron = FloatNeuron { keep_u: 0.0, keep_v: 0.0, gain: 1.0, bias: 0.0, threshold: f32::INFINITY, v_reset: 0.25 };
    let project = |pre: u32, synapses: Vec<(u32, u32, f32, u16)>, pres| Projection::<Float> {
        name: "p".into(),
        pre: PopulationId(pre),
        post: PopulationId(2),
        format: (),
        synapses: Synapses::from_tuples(pres, synapses),
    };
    let mut net = Net {
        name: "net".into(),
        rules: FloatRules { fire: FireRule::Greater, reset: ResetRule::ToValue },
        populations: vec![
            population("x", 2, Role::SpikeInput),
            population("y", 1, Role::SpikeInput),
            population("out", 1, Role::Neurons(vec![neuron])),
        ],
        projections: vec![project(1, vec![(0, 0, -1e8, 0)], 1), project(0, vec![(0, 0, 1e8, 0), (1, 0, 1.0, 0)], 2)],
        host_projections: vec![],
        output: PopulationId(2),
    };
    let train = SpikeTrain::from_steps(3, [vec![0, 1, 2]]);
    let potential = |net: &Net<Float>| {
        let stimulus = Stimulus::Spikes(train.clone());
        Interpreter::new(net).unwrap().sample(&stimulus, Some(1), false).unwrap().potentials[0]
    };
    assert_eq!(potential(&net), 1.0, "y first: -1e8 + 1e8 + 1");
    net.projections.swap(0, 1);
    assert_eq!(potential(&net), 0.0, "x first: 1e8 + 1 - 1e8");
    let nothing = Interpreter::new(&net).unwrap().sample(&Stimulus::Spikes(train), Some(0), false).unwrap();
    assert_eq!(nothing.potentials, [0.0]);
}

#[test]
fn channels_are_where_lowering_left_them() {
    let input = |left: Vec<u32>, trained: u32| Population::<Float> {
        name: "x".into(),
        shape: vec![trained],
        origin: left,
        skew: 0,
        role: Role::SpikeInput,
    };
    for (left, trained) in [((0..9).collect::<Vec<u32>>(), 9), (vec![1, 4, 5, 8], 9), (vec![1, 4, 5, 8], 1_000)] {
        let channels = InputChannels::of(3, &input(left.clone(), trained), 100);
        let spikes: Vec<u32> = [0, 99].into_iter().chain(100..100 + trained).chain([100 + trained, u32::MAX]).collect();
        let mut now = vec![7];
        channels.append(&spikes, &mut now);
        let all: Vec<u32> = std::iter::once(7).chain(0..left.len() as u32).collect();
        assert_eq!(now, all, "{left:?} of {trained}");
        let mut one = Vec::new();
        channels.append(&[104, 106], &mut one);
        assert_eq!(one, if left.len() == 9 { vec![4, 6] } else { vec![1] });
    }
}
