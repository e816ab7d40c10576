//! What calibration samples tell a crossbar's quantizer: how often sources speak, and how far potentials go.
//!
//! In: the lowered net in floats, samples. Out: [`Measured`].
//! Invariant: nothing but means and extremes over whole samples leaves; without samples all sources speak alike and ranges are worst cases of a step.
//! Cost: a run of the float interpreter and an addition a synaptic event, at most [`SAMPLES`] samples.

use crate::families::bases;
use spikec_data::Stimulus;
use spikec_net::{Float, FloatNeuron, Interpreter, Net, Observer, PopulationId};

/// Samples that are run.
const SAMPLES: usize = 200;
/// What potentials may go beyond what the samples showed.
const MARGIN: f64 = 1.25;
/// Least rate: what never spoke in a few samples may still speak.
const LEAST: f64 = 1e-3;
/// Steps of the worst input that a range without samples holds, downwards.
const STEPS_DOWN: f64 = 2.0;

/// Rates of sources and extremes of potentials.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// Spikes a step of each unit; empty without samples.
    rates: Vec<f64>,
    /// Largest |v| of each unit before its reset; empty without samples.
    extremes: Vec<f64>,
}

impl Measured {
    /// Measures; knows nothing without samples that fit the net.
    pub fn new(net: &Net<Float>, samples: &[Stimulus], steps: Option<u32>) -> Measured {
        let Ok(interpreter) = Interpreter::new(net) else { return Measured::default() };
        let bases = bases(net);
        let units = *bases.last().unwrap_or(&0) as usize;
        let mut watch = Watch {
            net,
            bases: &bases,
            interpreter: &interpreter,
            counts: vec![0; units],
            extremes: vec![0.0; units],
            history: Vec::new(),
            before: Vec::new(),
            train: None,
        };
        let mut all = 0u64;
        for sample in samples.iter().take(SAMPLES) {
            let Stimulus::Spikes(train) = sample else { continue };
            let Some(steps) = steps.or(sample.steps()).filter(|&t| t > 0) else { continue };
            if sample.width() as usize != net.spike_width() {
                continue;
            }
            watch.begin(train);
            interpreter.run(Some(train), &[], steps, &mut watch);
            all += u64::from(steps);
        }
        if all == 0 {
            return Measured::default();
        }
        let rates = watch.counts.iter().map(|&n| (n as f64 / all as f64).max(LEAST)).collect();
        Measured { rates, extremes: watch.extremes }
    }

    /// True where samples were run.
    pub fn known(&self) -> bool {
        !self.rates.is_empty()
    }

    /// Spikes a step of a unit; 1 where nothing is known.
    pub fn rate(&self, unit: u32) -> f64 {
        self.rates.get(unit as usize).copied().unwrap_or(1.0)
    }

    /// Largest potential, of either sign, that a neuron shall hold, in float units; `weights` are those of its synapses.
    pub fn range(&self, unit: usize, neuron: &FloatNeuron, weights: impl Iterator<Item = f64>) -> f64 {
        let threshold = f64::from(neuron.threshold);
        match self.extremes.get(unit) {
            Some(&extreme) => MARGIN * extreme.max(threshold),
            None => {
                let (mut up, mut down) = (0.0, 0.0);
                weights.for_each(|w| if w > 0.0 { up += w } else { down -= w });
                (threshold + up).max(STEPS_DOWN * down)
            }
        }
    }
}

/// Counts spikes and follows potentials before their reset.
struct Watch<'a> {
    net: &'a Net<Float>,
    bases: &'a [u32],
    interpreter: &'a Interpreter<'a, Float>,
    counts: Vec<u64>,
    extremes: Vec<f64>,
    /// Fired neurons of each population and step, inputs included.
    history: Vec<Vec<Vec<u32>>>,
    /// Potentials after the step before.
    before: Vec<Vec<f32>>,
    train: Option<&'a spikec_data::SpikeTrain>,
}

impl<'a> Watch<'a> {
    fn begin(&mut self, train: &'a spikec_data::SpikeTrain) {
        self.history = vec![Vec::new(); self.net.populations.len()];
        self.before = self.net.populations.iter().map(|p| p.neurons().iter().map(|n| n.v_reset).collect()).collect();
        self.train = Some(train);
    }

    /// Spikes of the inputs up to step `t`.
    fn hear_inputs(&mut self, t: u32) {
        for (p, population) in self.net.populations.iter().enumerate().filter(|(_, p)| p.is_input()) {
            while self.history[p].len() <= t as usize {
                let mut spikes = Vec::new();
                if let Some(train) = self.train {
                    self.interpreter.input_spikes(train, PopulationId::from(p), self.history[p].len() as u32, &mut spikes);
                }
                spikes.iter().for_each(|&k| self.counts[(self.bases[p] + k) as usize] += 1);
                self.history[p].push(spikes);
            }
            debug_assert_eq!(population.len(), (self.bases[p + 1] - self.bases[p]) as usize);
        }
    }
}

impl Observer<Float> for Watch<'_> {
    fn step(&mut self, t: u32, population: PopulationId, _: &[f32], v: &[f32], fired: &[u32]) {
        self.hear_inputs(t);
        let p = population.index();
        self.history[p].push(fired.to_vec());
        fired.iter().for_each(|&j| self.counts[(self.bases[p] + j) as usize] += 1);
        let neurons = self.net.populations[p].neurons();
        // The potential before the reset: what the inputs of the step made of the last one.
        let mut sums = vec![0.0f32; neurons.len()];
        for projection in self.net.projections.iter().filter(|q| q.post == population) {
            let pre = projection.pre.index();
            let (least, most) = projection.synapses.delay_bounds();
            for delay in (least..=most).filter(|&d| u32::from(d) <= t) {
                let Some(spikes) = self.history[pre].get((t - u32::from(delay)) as usize) else { continue };
                for &i in spikes {
                    for (post, weight, _) in projection.synapses.row(i as usize).iter().filter(|s| s.2 == delay) {
                        sums[post as usize] += weight;
                    }
                }
            }
        }
        for (j, n) in neurons.iter().enumerate() {
            let high = n.keep_v * self.before[p][j] + n.gain * sums[j] + n.bias;
            let extreme = &mut self.extremes[self.bases[p] as usize + j];
            *extreme = extreme.max(f64::from(high.abs()));
        }
        self.before[p].copy_from_slice(v);
    }
}
