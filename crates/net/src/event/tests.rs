use super::*;
use crate::net::{Population, Projection, Role};
use crate::reference::Recorder;
use crate::synapses::Synapses;

fn population(name: &str, role: Role<Event>, n: u32) -> Population<Event> {
    Population { name: name.into(), shape: vec![n], origin: (0..n).collect(), skew: 0, role }
}

/// Two channels and two neurons; (pre, post, weight, delay) from the inputs, the same from the neurons to themselves.
fn net(thresholds: [i32; 2], leak: i32, input: Vec<(u32, u32, i32, u16)>, own: Vec<(u32, u32, i32, u16)>) -> Net<Event> {
    let neurons = thresholds.map(|threshold| EventNeuron { threshold, leak, start: 0 }).to_vec();
    let projection = |name: &str, pre: usize, tuples| Projection {
        name: name.into(),
        pre: PopulationId::from(pre),
        post: PopulationId::from(1),
        format: (),
        synapses: Synapses::from_tuples(2, tuples),
    };
    Net {
        name: "events".into(),
        rules: EventRules { v_min: -2048, v_max: 2047 },
        populations: vec![population("in", Role::SpikeInput, 2), population("a", Role::Neurons(neurons), 2)],
        projections: vec![projection("w", 0, input), projection("r", 1, own)],
        host_projections: vec![],
        output: PopulationId::from(1),
    }
}

/// Fired neurons and potentials after each step.
struct Trace(Vec<Step>);

type Step = (Vec<u32>, Vec<i32>);

impl Observer<Event> for Trace {
    fn step(&mut self, _: u32, _: PopulationId, _: &[i32], v: &[i32], fired: &[u32]) {
        self.0.push((fired.to_vec(), v.to_vec()));
    }
}

fn run(net: &Net<Event>, steps: &[&[u32]]) -> (Vec<Step>, u64) {
    let train = SpikeTrain::from_steps(2, steps.iter().map(|s: &&[u32]| s.to_vec()));
    let mut trace = Trace(Vec::new());
    let counters = EventInterpreter::new(net).unwrap().run(Some(&train), steps.len() as u32, &mut trace);
    (trace.0, counters.v_clips)
}

#[test]
fn the_order_of_events_matters() {
    // Up and then down: fires; the other way round it wouldn't.
    let up_down = net([5, 5], 0, vec![(0, 0, 6, 0), (1, 0, -3, 0), (0, 1, -3, 0), (1, 1, 6, 0)], vec![]);
    assert_eq!(run(&up_down, &[&[0, 1]]).0, [(vec![0], vec![-3, 3])]);
}

#[test]
fn a_neuron_may_fire_several_times_in_a_step_and_each_spike_is_an_event() {
    let chain = net([4, 100], 0, vec![(0, 0, 5, 0), (1, 0, 5, 0)], vec![(0, 1, 7, 1)]);
    assert_eq!(run(&chain, &[&[0, 0, 1], &[], &[]]).0, [(vec![0, 0, 0], vec![0, 0]), (vec![], vec![0, 21]), (vec![], vec![0, 21])]);
    let train = SpikeTrain::from_steps(2, vec![vec![0, 0, 1], vec![]]);
    let mut recorder = Recorder::new(&chain, true);
    let counters = EventInterpreter::new(&chain).unwrap().run(Some(&train), 2, &mut recorder);
    let run = recorder.finish(counters);
    assert_eq!((run.out_counts, run.first_spike, run.potentials), (vec![3, 0], vec![Some(0), None], vec![0.0, 21.0]));
}

#[test]
fn potentials_leak_towards_zero_and_saturate() {
    let n = net([3000, 3000], 4, vec![(0, 0, 1500, 0), (1, 0, -10, 0), (1, 1, -10, 0)], vec![]);
    let (trace, clips) = run(&n, &[&[1], &[], &[], &[0, 0]]);
    let potentials: Vec<&[i32]> = trace.iter().map(|s| s.1.as_slice()).collect();
    assert_eq!(potentials, [[-6, -6], [-2, -2], [0, 0], [2043, 0]]);
    assert_eq!(clips, 1, "2 * 1500 passes 2047 on its way");
}

#[test]
fn nets_beyond_the_arithmetic_are_refused() {
    let error = |n: &Net<Event>| EventInterpreter::new(n).err().unwrap().to_string();
    assert!(error(&net([0, 1], 0, vec![], vec![])).contains("population a, neuron 0: threshold is 0"));
    assert!(error(&net([1, 1], -1, vec![], vec![])).contains("leak is -1"));
    assert!(error(&net([1, 1], 0, vec![], vec![(0, 1, 1, 0), (1, 0, 1, 0)])).contains("cycle"));
}
