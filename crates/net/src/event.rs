//! The registers of event crossbars (tinyODIN, ODIN), and the interpreter of their nets: neurons that are updated at every event.
//!
//! In: a net, a sample's spikes. Out: spikes through an [`Observer`].
//! Invariant: docs/semantics.md, section 11. The events of a network step reach a neuron in ascending order of (population, neuron) of
//! their source, repeated spikes one after the other; each adds its weight, and the neuron fires at once where it reaches its threshold, so that it
//! may fire several times in a step. When all events of the step are over, every potential leaks towards 0.
//! Why a loop of its own: order within a step is the law here; `reference` adds a step's inputs up.

use crate::dynamics::{Counters, Dynamics, NeuronState, ValueError};
use crate::ids::PopulationId;
use crate::liveness::Liveness;
use crate::net::{Net, Number};
use crate::reference::{Frame, InputChannels, Observer, ReferenceError};
use serde::{Deserialize, Serialize};
use spikec_data::SpikeTrain;
use std::borrow::Cow;

/// Rules shared by all neurons of a net for an event crossbar; they come from the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRules {
    /// Least potential (saturating).
    pub v_min: i32,
    /// Largest potential (saturating).
    pub v_max: i32,
}

/// Registers of a neuron.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventNeuron {
    /// It fires at this potential and above; at least 1.
    pub threshold: i32,
    /// What the end of a step takes from the potential's magnitude, which stops at 0; not negative.
    pub leak: i32,
    /// Potential at the start.
    pub start: i32,
}

/// The number system of event crossbars.
#[derive(Debug, Clone, PartialEq)]
pub struct Event;

impl Number for Event {
    type Weight = i32;
    type Neuron = EventNeuron;
    type Format = ();
    type Rules = EventRules;
}

impl Event {
    /// Adds the weight of one event; true where the neuron fires. `clips` counts potentials that were clipped.
    #[inline]
    fn event(rules: &EventRules, n: &EventNeuron, v: &mut i32, weight: i32, clips: &mut u64) -> bool {
        let sum = v.saturating_add(weight);
        let held = sum.clamp(rules.v_min, rules.v_max);
        *clips += u64::from(held != sum);
        let fires = held >= n.threshold;
        *v = if fires { 0 } else { held };
        fires
    }

    /// The end of a step.
    #[inline]
    fn leak(n: &EventNeuron, v: &mut i32) {
        *v = if *v < 0 { v.saturating_add(n.leak).min(0) } else { (*v - n.leak).max(0) };
    }
}

impl Dynamics for Event {
    type Acting = i32;
    type Sum = i64;
    type Value = i32;
    type Analog = ();

    fn check(net: &Net<Self>) -> Result<(), ValueError> {
        let r = net.rules;
        if r.v_min > 0 || r.v_max < 1 {
            let value = i64::from(if r.v_min > 0 { r.v_min } else { r.v_max });
            return Err(ValueError { place: "rules".into(), quantity: "v_min or v_max", value, expected: "a range around 0" });
        }
        for p in &net.populations {
            for (i, n) in p.neurons().iter().enumerate() {
                let values = [("threshold", n.threshold, n.threshold >= 1, "at least 1"), ("leak", n.leak, n.leak >= 0, "at least 0")];
                if let Some(&(quantity, value, _, expected)) = values.iter().find(|v| !v.2) {
                    return Err(ValueError {
                        place: format!("population {}, neuron {i}", p.name),
                        quantity,
                        value: value.into(),
                        expected,
                    });
                }
            }
        }
        Ok(())
    }

    fn acting<'a>(_: &EventRules, _: &(), weights: &'a [i32]) -> Cow<'a, [i32]> {
        Cow::Borrowed(weights)
    }

    fn add(sum: &mut i64, weight: i32) {
        *sum += i64::from(weight);
    }

    fn start(neuron: &EventNeuron) -> i32 {
        neuron.start
    }

    /// One event with the summed weights, and the end of a step: what a neuron does that gets at most one event a step.
    fn step(rules: &EventRules, n: &EventNeuron, state: NeuronState<'_, i32>, q: i64, _: Option<()>, counters: &mut Counters) -> bool {
        let fires = Event::event(rules, n, state.v, q.clamp(i32::MIN.into(), i32::MAX.into()) as i32, &mut counters.v_clips);
        Event::leak(n, state.v);
        fires
    }
}

impl Liveness for Event {
    /// A potential only moves towards 0 without events.
    fn fires_alone(_: &EventRules, _: &EventNeuron) -> bool {
        false
    }

    fn moves_alone(n: &EventNeuron) -> bool {
        n.start != 0
    }
}

/// A net for an event crossbar, ready to run any number of samples.
pub struct EventInterpreter<'a> {
    net: &'a Net<Event>,
    /// Neuron populations in computed order.
    order: Vec<usize>,
    /// For each population, the projections that end there, by presynaptic population.
    incoming: Vec<Vec<usize>>,
    /// For each population, the longest delay that leaves it.
    reach: Vec<usize>,
    /// Spike inputs.
    inputs: Vec<InputChannels>,
}

impl<'a> EventInterpreter<'a> {
    /// Checks the net and prepares its tables.
    ///
    /// # Errors
    /// A net that isn't well formed, values beyond the arithmetic, a cycle of populations whose delays are all 0.
    pub fn new(net: &'a Net<Event>) -> Result<Self, ReferenceError> {
        let Frame { order, reach, inputs } = Frame::new(net)?;
        let mut incoming: Vec<Vec<usize>> = vec![Vec::new(); net.populations.len()];
        for (k, p) in net.projections.iter().enumerate().filter(|(_, p)| !p.synapses.is_empty()) {
            incoming[p.post.index()].push(k);
        }
        for list in &mut incoming {
            list.sort_by_key(|&k| (net.projections[k].pre.index(), k));
        }
        Ok(EventInterpreter { net, order, incoming, reach, inputs })
    }

    /// The net.
    pub fn net(&self) -> &'a Net<Event> {
        self.net
    }

    /// Runs one sample for `steps` network steps; channels of `spikes` as for [`crate::Interpreter::run`]. A channel that spikes several times in a
    /// step, and a neuron that does, makes as many events.
    pub fn run(&self, spikes: Option<&SpikeTrain>, steps: u32, observer: &mut impl Observer<Event>) -> Counters {
        let populations = &self.net.populations;
        let mut counters = Counters::default();
        let mut history: Vec<Vec<Vec<u32>>> = self.reach.iter().map(|&d| vec![Vec::new(); d + 1]).collect();
        let mut v: Vec<Vec<i32>> = populations.iter().map(|p| p.neurons().iter().map(Event::start).collect()).collect();
        let u: Vec<Vec<i32>> = populations.iter().map(|p| vec![0; p.neurons().len()]).collect();
        let mut fired = Vec::new();
        for t in 0..steps {
            for input in &self.inputs {
                let p = input.population;
                let slot = t as usize % history[p].len();
                history[p][slot].clear();
                let Some(train) = spikes else { continue };
                input.append(train.at(t), &mut history[p][slot]);
            }
            for &p in &self.order {
                let neurons = populations[p].neurons();
                fired.clear();
                for events in self.events(p, t, &history) {
                    for (post, weight) in events.synapses {
                        if Event::event(&self.net.rules, &neurons[post as usize], &mut v[p][post as usize], weight, &mut counters.v_clips) {
                            fired.push(post);
                        }
                    }
                }
                for (neuron, v) in neurons.iter().zip(&mut v[p]) {
                    Event::leak(neuron, v);
                }
                fired.sort_unstable();
                let slot = t as usize % history[p].len();
                history[p][slot].clone_from(&fired);
                observer.step(t, PopulationId::from(p), &u[p], &v[p], &fired);
            }
        }
        counters
    }

    /// The events of step `t` that reach population `p`, in their order.
    fn events(&self, p: usize, t: u32, history: &[Vec<Vec<u32>>]) -> Vec<EventOf> {
        let mut events: Vec<EventOf> = Vec::new();
        for &k in &self.incoming[p] {
            let projection = &self.net.projections[k];
            let pre = projection.pre.index();
            let (least, most) = projection.synapses.delay_bounds();
            for delay in (least..=most).filter(|&d| u32::from(d) <= t) {
                for &neuron in &history[pre][(t - u32::from(delay)) as usize % history[pre].len()] {
                    let row = projection.synapses.row(neuron as usize);
                    let synapses: Vec<(u32, i32)> = row.iter().filter(|s| s.2 == delay).map(|(post, weight, _)| (post, weight)).collect();
                    if !synapses.is_empty() {
                        events.push(EventOf { key: (pre, neuron, delay), synapses });
                    }
                }
            }
        }
        // Stable: the spikes of one source stay together, projections in net order.
        events.sort_by_key(|e| e.key);
        events
    }
}

/// An event as a population gets it.
struct EventOf {
    /// (presynaptic population, neuron, delay).
    key: (usize, u32, u16),
    /// (neuron, weight).
    synapses: Vec<(u32, i32)>,
}

#[cfg(test)]
mod tests;
