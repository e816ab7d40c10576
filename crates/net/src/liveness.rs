//! Which neurons matter: those that something can reach and that can reach the output.
//!
//! In: a well-formed net. Out: a flag for each neuron and channel.
//! Invariant: a net without its dead neurons gives the same output spikes and, where a live output moves, the same potentials.
//! Cost: linear in the synapses.
//! Why: a neuron that nothing reaches never spikes, unless it fires alone (a constant source); one that reaches no output changes nothing.

use crate::fixed::{Fixed, FixedNeuron, FixedRules};
use crate::float::{FireRule, Float, FloatNeuron, FloatRules};
use crate::net::{Net, Number, Role};
use crate::synapses::Synapses;

/// What a neuron does without input.
pub trait Liveness: Number {
    /// May the neuron ever fire without input? True when unsure.
    fn fires_alone(rules: &Self::Rules, neuron: &Self::Neuron) -> bool;
    /// May its potential ever differ from 0 without input? Such an output stays, because a decoder may read its potential.
    fn moves_alone(neuron: &Self::Neuron) -> bool;
}

impl Liveness for Float {
    fn fires_alone(rules: &FloatRules, n: &FloatNeuron) -> bool {
        if n.threshold == f32::INFINITY {
            return false;
        }
        let (keep, bias, start, threshold) = (n.keep_v as f64, n.bias as f64, n.v_reset as f64, n.threshold as f64);
        if !(0.0..=1.0).contains(&keep) {
            return true;
        }
        if bias == 0.0 && start == 0.0 {
            // v stays exactly 0.
            return if rules.fire == FireRule::Greater { 0.0 > threshold } else { 0.0 >= threshold };
        }
        // v moves monotonically from its start to bias / (1 - keep).
        let first = keep * start + bias;
        if keep == 1.0 {
            return bias > 0.0 || first.max(start) + rounding(first, start) >= threshold;
        }
        let limit = bias / (1.0 - keep);
        first.max(limit) + rounding(first, limit) / (1.0 - keep) >= threshold
    }

    fn moves_alone(n: &FloatNeuron) -> bool {
        n.bias != 0.0 || n.v_reset != 0.0
    }
}

/// More than f32 rounding can add to a potential of this size in a step.
fn rounding(a: f64, b: f64) -> f64 {
    8.0 * f32::EPSILON as f64 * a.abs().max(b.abs())
}

impl Liveness for Fixed {
    /// Without input u stays 0 and v goes up from 0 by `v -> trunc(v * keep) + bias`, or down, or stays. It passes the
    /// threshold T unless some x <= T has `x - trunc(x * keep) >= bias`; that difference, `ceil(x * decay / 4096)`, is largest at T.
    fn fires_alone(rules: &FixedRules, n: &FixedNeuron) -> bool {
        let bias = n.bias.value() as i64;
        let threshold = (n.threshold as i64) << rules.threshold_shift.min(30);
        let lost = threshold * n.decay_v as i64;
        bias > 0 && threshold < rules.v_max as i64 && bias > (lost + 4095) / 4096
    }

    fn moves_alone(n: &FixedNeuron) -> bool {
        n.bias.mantissa != 0
    }
}

/// For each population, for each neuron or channel: is it live?
///
/// Live is what an input, a host projection or a constant source reaches and what reaches the output population; a neuron of the
/// output population is also live when its potential moves without input. Inputs are live when they reach a live neuron.
/// The net must be well formed ([`Net::check`]).
pub fn live<N: Liveness>(net: &Net<N>) -> Vec<Vec<bool>> {
    live_of(net, &Entering::new(net))
}

/// As [`live`], of a net whose [`Entering`] is there already.
pub fn live_of<N: Liveness>(net: &Net<N>, entering: &Entering) -> Vec<Vec<bool>> {
    let none = || -> Vec<Vec<bool>> { net.populations.iter().map(|p| vec![false; p.len()]).collect() };
    // Forwards: what may ever be other than at rest.
    let mut moved = none();
    let mut work: Vec<(usize, u32)> = Vec::new();
    let reach = |flags: &mut Vec<Vec<bool>>, work: &mut Vec<(usize, u32)>, p: usize, i: u32| {
        if !std::mem::replace(&mut flags[p][i as usize], true) {
            work.push((p, i));
        }
    };
    for (p, population) in net.populations.iter().enumerate() {
        match &population.role {
            Role::SpikeInput | Role::AnalogInput => (0..population.len() as u32).for_each(|i| reach(&mut moved, &mut work, p, i)),
            Role::Neurons(neurons) => {
                let output = p == net.output.index();
                for (i, n) in neurons.iter().enumerate() {
                    if N::fires_alone(&net.rules, n) || (output && N::moves_alone(n)) {
                        reach(&mut moved, &mut work, p, i as u32);
                    }
                }
            }
        }
    }
    for h in &net.host_projections {
        for j in 0..h.constants.len() {
            if h.offsets[j] < h.offsets[j + 1] || h.constants[j] != 0.0 {
                reach(&mut moved, &mut work, h.post.index(), j as u32);
            }
        }
    }
    let mut leaving: Vec<Vec<usize>> = vec![Vec::new(); net.populations.len()];
    for (k, projection) in net.projections.iter().enumerate() {
        leaving[projection.pre.index()].push(k);
    }
    while let Some((p, i)) = work.pop() {
        for &k in &leaving[p] {
            let projection = &net.projections[k];
            projection.synapses.row(i as usize).posts().for_each(|j| reach(&mut moved, &mut work, projection.post.index(), j));
        }
    }
    // Backwards from the outputs, over what moves.
    let mut live = none();
    let output = net.output.index();
    (0..live[output].len() as u32).filter(|&i| moved[output][i as usize]).for_each(|i| reach(&mut live, &mut work, output, i));
    while let Some((p, j)) = work.pop() {
        for (pre, from) in &entering.0[p] {
            from.row(j as usize).posts().filter(|&i| moved[*pre][i as usize]).for_each(|i| reach(&mut live, &mut work, *pre, i));
        }
    }
    for h in &net.host_projections {
        for j in 0..h.constants.len() {
            if !live[h.post.index()][j] {
                continue;
            }
            for &c in &h.channels[h.offsets[j] as usize..h.offsets[j + 1] as usize] {
                live[h.pre.index()][c as usize] = true;
            }
        }
    }
    live
}

/// What ends at each population: the pre population and, by postsynaptic neuron, the presynaptic ones.
#[derive(Debug)]
pub struct Entering(Vec<Vec<(usize, Synapses<()>)>>);

impl Entering {
    /// Of a well-formed net.
    pub fn new<N: Number>(net: &Net<N>) -> Self {
        let mut entering: Vec<Vec<_>> = net.populations.iter().map(|_| Vec::new()).collect();
        for p in &net.projections {
            let from = p.synapses.transposed(net.population(p.post).len(), |_, _, _| ());
            entering[p.post.index()].push((p.pre.index(), from));
        }
        Entering(entering)
    }

    /// Which neurons and channels have a path of synapses or host terms to the output population, itself included.
    pub fn ways_out<N: Number>(&self, net: &Net<N>) -> Vec<Vec<bool>> {
        let mut reached: Vec<Vec<bool>> = net.populations.iter().map(|p| vec![false; p.len()]).collect();
        let output = net.output.index();
        reached[output].fill(true);
        let mut open: Vec<(usize, u32)> = (0..reached[output].len() as u32).map(|j| (output, j)).collect();
        while let Some((p, j)) = open.pop() {
            let hosts = net.host_projections.iter().filter(|h| h.post.index() == p);
            let terms = hosts.map(|h| (h.pre.index(), &h.channels[h.offsets[j as usize] as usize..h.offsets[j as usize + 1] as usize]));
            for (q, channels) in terms {
                channels.iter().for_each(|&i| reached[q][i as usize] = true);
            }
            for (q, from) in &self.0[p] {
                for i in from.row(j as usize).posts() {
                    if !std::mem::replace(&mut reached[*q][i as usize], true) {
                        open.push((*q, i));
                    }
                }
            }
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamics::{Counters, Dynamics, NeuronState};
    use crate::fixed::{Bias, SignMode, WeightFormat};
    use crate::float::ResetRule;
    use crate::ids::PopulationId;
    use crate::net::{HostProjection, Population, Projection};

    fn fires_in<N: Dynamics>(rules: &N::Rules, neuron: &N::Neuron, steps: usize) -> bool {
        let (mut u, mut v, mut wait) = (N::Value::default(), N::start(neuron), 0);
        (0..steps).any(|_| {
            let state = NeuronState { u: &mut u, v: &mut v, wait: &mut wait };
            N::step(rules, neuron, state, N::Sum::default(), None, &mut Counters::default())
        })
    }

    #[test]
    fn register_neurons_fire_alone_exactly_when_they_do() {
        let rules = FixedRules { v_max: 5000, ..FixedRules::default() };
        let (mut firing, mut silent) = (0, 0);
        for decay_v in [0, 1, 7, 100, 1024, 2048, 4095, 4096] {
            for threshold in [0, 1, 2, 40, 77, 78, 79] {
                for mantissa in [-5, 0, 1, 2, 3, 4, 16, 17, 63, 64, 65, 400, 3000] {
                    let bias = Bias { mantissa, exponent: 0 };
                    let neuron = FixedNeuron { decay_u: 0, decay_v, threshold, refractory: 1, bias };
                    let fires = fires_in::<Fixed>(&rules, &neuron, 10_000);
                    assert_eq!(Fixed::fires_alone(&rules, &neuron), fires, "{neuron:?}");
                    if fires { firing += 1 } else { silent += 1 }
                }
            }
        }
        assert!(firing > 100 && silent > 100);
    }

    #[test]
    fn float_neurons_that_fire_alone_are_all_found() {
        let mut missed_silent = 0;
        for fire in [FireRule::Greater, FireRule::GreaterEqual] {
            let rules = FloatRules { fire, reset: ResetRule::ToValue };
            for keep_v in [-0.5, 0.0, 0.3, 0.5, 0.9, 0.999, 1.0, 1.1] {
                for bias in [-0.5, 0.0, 0.001, 0.1, 0.3, 0.5, 0.7, 1.0, 1.5] {
                    for v_reset in [-1.0, 0.0, 0.5, 1.2] {
                        for threshold in [0.0, 0.6, 1.0, f32::INFINITY] {
                            let neuron = FloatNeuron { keep_u: 0.5, keep_v, gain: 1.0, bias, threshold, v_reset };
                            let (says, fires) = (Float::fires_alone(&rules, &neuron), fires_in::<Float>(&rules, &neuron, 20_000));
                            assert!(says || !fires, "{neuron:?} {fire:?}");
                            missed_silent += (says && !fires && (0.0..=1.0).contains(&keep_v)) as u32;
                        }
                    }
                }
            }
        }
        assert!(missed_silent < 60, "{missed_silent} silent neurons are thought to fire");
    }

    #[test]
    fn paths_decide() {
        let neuron =
            |bias| FixedNeuron { decay_u: 4096, decay_v: 0, threshold: 1, refractory: 1, bias: Bias { mantissa: bias, exponent: 0 } };
        let population = |name: &str, n: u32, role: Role<Fixed>| Population {
            name: name.into(),
            shape: vec![n],
            origin: (0..n).collect(),
            skew: 0,
            role,
        };
        let project = |pre, post, pres, synapses: &[(u32, u32)]| Projection {
            name: "p".into(),
            pre: PopulationId(pre),
            post: PopulationId(post),
            format: WeightFormat { bits: 8, exponent: 0, sign: SignMode::Mixed },
            synapses: Synapses::from_tuples(pres, synapses.iter().map(|&(i, j)| (i, j, 2i16, 1)).collect()),
        };
        let net = Net {
            name: "net".into(),
            rules: FixedRules::default(),
            populations: vec![
                population("in", 3, Role::SpikeInput),
                // 0: on the path; 1: no way in; 2: no way out; 3: constant source; 4 and 5: a loop that nothing enters; 6: host
                population("hidden", 7, Role::Neurons([0, -3, 0, 1, 0, 0, 0].map(neuron).to_vec())),
                // 0: reached; 1: not reached, 2: not reached but its potential moves; 3: from the constant source; 4: by the loop; 5: host
                population("out", 6, Role::Neurons([0, 0, -1, 0, 0, 0].map(neuron).to_vec())),
                population("values", 3, Role::AnalogInput),
            ],
            projections: vec![
                project(0, 1, 3, &[(0, 0), (1, 2)]),
                project(1, 1, 7, &[(4, 5), (5, 4), (0, 0)]),
                project(1, 2, 7, &[(0, 0), (1, 1), (3, 3), (4, 4), (6, 5)]),
            ],
            host_projections: vec![HostProjection {
                name: "h".into(),
                pre: PopulationId(3),
                post: PopulationId(1),
                offsets: vec![0, 0, 0, 1, 1, 1, 1, 2],
                channels: vec![0, 1],
                weights: vec![1.0; 2],
                constants: vec![0.0; 7],
                gains: vec![1.0; 7],
                delay_steps: 0,
            }],
            output: PopulationId(2),
        };
        net.check().unwrap();
        let [input, hidden, out, values] = live(&net).try_into().unwrap();
        assert_eq!(input, [true, false, false]);
        assert_eq!(hidden, [true, false, false, true, false, false, true]);
        assert_eq!(out, [true, false, true, true, false, true]);
        assert_eq!(values, [false, true, false]);
    }
}
