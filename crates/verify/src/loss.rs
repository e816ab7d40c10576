//! The loss: what rounding to registers does to answers, measured on data.
//!
//! In: the float net as elaborated (before input coding), the bundle, samples and labels. Out: [`LossReport`].
//! Invariant: both nets run in the reference interpreter, so that the difference is the rounding's (and the input coding's, and that of declared lags) alone.
//! Cost: two runs a sample. Why: a bundle may be proved to be its reference and still answer worse than the network as trained.

use crate::behave::{Reference, network_steps};
use crate::image::{VerifyError, reference};
use rayon::prelude::*;
use serde::Serialize;
use spikec_chip::bundle::Bundle;
use spikec_data::{DataSet, Stimulus, predict};
use spikec_net::{Dynamics, Float, Interpreter, Net, Observer, PopulationId, Recorder, ReferenceRun, float_drive};

/// Mean firing rates of a population, in spikes a neuron and network step, over the neurons that the bundle keeps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PopulationRate {
    /// Name.
    pub name: String,
    /// Neurons compared.
    pub neurons: usize,
    /// In floats.
    pub float_rate: f64,
    /// In registers.
    pub quantized_rate: f64,
    /// Mean over the neurons of the distance of their mean rates.
    pub distance: f64,
}

/// Float net against registers, on data.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LossReport {
    /// Samples.
    pub samples: usize,
    /// Share of samples whose class is the label; `None` without labels.
    pub float_accuracy: Option<f64>,
    /// The same in registers.
    pub quantized_accuracy: Option<f64>,
    /// Share of samples that get the same class.
    pub agreement: f64,
    /// Mean over samples and outputs of the distance of their spike counts.
    pub spike_count_distance: f64,
    /// Populations of neurons, in net order.
    pub populations: Vec<PopulationRate>,
}

/// A run's outputs, and the spikes of every neuron.
struct Counting<'a> {
    outputs: Recorder<'a>,
    counts: Vec<Vec<u32>>,
}

impl<N: Dynamics> Observer<N> for Counting<'_> {
    fn step(&mut self, t: u32, population: PopulationId, u: &[N::Value], v: &[N::Value], fired: &[u32]) {
        for &j in fired {
            self.counts[population.index()][j as usize] += 1;
        }
        Observer::<N>::step(&mut self.outputs, t, population, u, v, fired);
    }
}

impl<'a> Counting<'a> {
    fn new<N: Dynamics>(net: &'a Net<N>) -> Self {
        Counting { outputs: Recorder::new(net, false), counts: net.populations.iter().map(|p| vec![0; p.len()]).collect() }
    }
}

/// One sample's share of the report.
struct Share {
    classes: (u32, u32),
    count_distance: f64,
    /// Spikes a step of each kept neuron: (float, registers), by population.
    rates: Vec<Vec<(f64, f64)>>,
}

/// Runs both nets on every sample. `float` is the net before input coding: its inputs are what the data are.
///
/// Errors: nets that don't fit, samples that don't fit, another number of labels than samples.
pub fn loss(
    float: &Net<Float>,
    bundle: &Bundle,
    set: &DataSet,
    steps: Option<u32>,
    on_done: &(dyn Fn() + Sync),
) -> Result<LossReport, VerifyError> {
    let samples = &set.samples;
    if let Some(labels) = &set.labels
        && labels.len() != samples.len()
    {
        return Err(VerifyError::Labels { found: labels.len(), expected: samples.len() });
    }
    let quantized = reference(bundle)?;
    let fixed = Reference::new(bundle, &quantized.net)?;
    let plain = Interpreter::new(float).map_err(|e| VerifyError::Interpreter(e.to_string()))?;
    let kept = kept_neurons(float, &fixed)?;
    let shares = samples
        .par_iter()
        .enumerate()
        .map(|(k, stimulus)| {
            let share = share(&plain, &fixed, &kept, k, stimulus, steps);
            on_done();
            share
        })
        .collect::<Vec<_>>();
    let shares = shares.into_iter().collect::<Result<Vec<Share>, _>>()?;
    let n = samples.len().max(1) as f64;
    let share_of = |holds: &dyn Fn(usize, &Share) -> bool| shares.iter().enumerate().filter(|(k, s)| holds(*k, s)).count() as f64 / n;
    let accuracy = |class: fn(&Share) -> u32| set.labels.as_ref().map(|labels| share_of(&|k, s| i64::from(class(s)) == labels[k]));
    let populations = quantized.net.populations.iter().take(kept.len()).enumerate().filter(|(_, p)| !p.is_input());
    Ok(LossReport {
        samples: samples.len(),
        float_accuracy: accuracy(|s| s.classes.0),
        quantized_accuracy: accuracy(|s| s.classes.1),
        agreement: share_of(&|_, s| s.classes.0 == s.classes.1),
        spike_count_distance: shares.iter().map(|s| s.count_distance).sum::<f64>() / n,
        populations: populations.map(|(p, population)| population_rate(&population.name, p, population.len(), &shares)).collect(),
    })
}

fn population_rate(name: &str, population: usize, neurons: usize, shares: &[Share]) -> PopulationRate {
    let n = shares.len().max(1) as f64;
    let (mut float_rate, mut quantized_rate, mut distance) = (0.0, 0.0, 0.0);
    for j in 0..neurons {
        let sum = |side: fn(&(f64, f64)) -> f64| shares.iter().map(|s| side(&s.rates[population][j])).sum::<f64>() / n;
        let (a, b) = (sum(|r| r.0), sum(|r| r.1));
        float_rate += a;
        quantized_rate += b;
        distance += (a - b).abs();
    }
    let mean = |x: f64| x / neurons.max(1) as f64;
    PopulationRate {
        name: name.into(),
        neurons,
        float_rate: mean(float_rate),
        quantized_rate: mean(quantized_rate),
        distance: mean(distance),
    }
}

/// For each population and kept neuron, its index in the float net. The bundle may have populations more, after all others: input
/// coding may need a constant source, and the chip relays. The float net may have one more: its constant source, where the bundle resets to zero.
fn kept_neurons(float: &Net<Float>, fixed: &Reference) -> Result<Vec<Vec<usize>>, VerifyError> {
    let (found, expected) = (float.populations.len(), fixed.net.populations.len());
    let lone = |p: &spikec_net::Population<Float>| p.trained_len() == 1 && !p.is_input();
    let fewer = expected < found && !(expected + 1 == found && float.populations.last().is_some_and(lone));
    if fewer || float.output != fixed.net.output {
        return Err(VerifyError::Populations { found, expected });
    }
    let mut kept = Vec::with_capacity(found);
    // A constant source and a relay are no pair.
    for (f, q) in float.populations.iter().zip(&fixed.net.populations).take_while(|(f, q)| f.name == q.name) {
        let find = |&index: &u32| f.origin.binary_search(&index).ok();
        let of_population: Option<Vec<usize>> = if q.is_input() { Some(Vec::new()) } else { q.origin.iter().map(find).collect() };
        kept.push(of_population.ok_or(VerifyError::Populations { found, expected })?);
    }
    Ok(kept)
}

fn share(
    plain: &Interpreter<Float>,
    fixed: &Reference,
    kept: &[Vec<usize>],
    sample: usize,
    stimulus: &Stimulus,
    steps: Option<u32>,
) -> Result<Share, VerifyError> {
    let inputs = fixed.inputs(sample, stimulus, steps)?;
    let mut registers = Counting::new(fixed.net);
    fixed.watch(&inputs, &mut registers);
    let (floats, counts) = run_float(plain, fixed.bundle, sample, stimulus, steps)?;
    let quantized = registers.outputs.finish(Default::default());
    let class = |run: &ReferenceRun| predict(fixed.bundle.host.decoder.kind.into(), &run.out_counts, &run.first_spike, &run.potentials);
    let outputs = floats.out_counts.len().max(1) as f64;
    let distances = floats.out_counts.iter().zip(&quantized.out_counts).map(|(a, b)| f64::from(a.abs_diff(*b)));
    let rate = |count: u32| f64::from(count) / f64::from(inputs.steps);
    let rates = kept.iter().enumerate().map(|(p, neurons)| {
        let pairs = neurons.iter().enumerate().map(|(j, &i)| (rate(counts[p][i]), rate(registers.counts[p][j])));
        pairs.collect()
    });
    Ok(Share { classes: (class(&floats), class(&quantized)), count_distance: distances.sum::<f64>() / outputs, rates: rates.collect() })
}

fn run_float(
    plain: &Interpreter<Float>,
    bundle: &Bundle,
    sample: usize,
    stimulus: &Stimulus,
    steps: Option<u32>,
) -> Result<(ReferenceRun, Vec<Vec<u32>>), VerifyError> {
    let net = plain.net();
    let steps = network_steps(bundle, sample, stimulus, steps)?;
    let mut floats = Counting::new(net);
    let counters = match stimulus {
        Stimulus::Spikes(train) if net.spike_width() == train.width as usize => plain.run(Some(train), &[], steps, &mut floats),
        Stimulus::Values(values) if net.value_width() == values.width as usize => {
            plain.run(None, &float_drive(net, values), steps, &mut floats)
        }
        Stimulus::Spikes(train) => return Err(VerifyError::Width { sample, found: train.width, expected: net.spike_width() as u64 }),
        Stimulus::Values(values) => return Err(VerifyError::Width { sample, found: values.width, expected: net.value_width() as u64 }),
    };
    Ok((floats.outputs.finish(counters), floats.counts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutate::Random;
    use crate::toy::{Kind, Source, Toy};

    fn report(kind: Kind, seed: u64, labels: Option<Vec<i64>>) -> (LossReport, Toy, DataSet) {
        let toy = Toy::new(kind, seed);
        let mut r = Random::new(seed);
        let samples = (0..12).map(|_| toy.sample(&mut r, 10)).collect();
        let set = DataSet { width: toy.bundle.host.input_width, samples, labels };
        let Source::Trained(plain) = &toy.source else { panic!("a toy in floats") };
        let report = loss(plain, &toy.bundle, &set, None, &|| ()).expect("the samples fit");
        (report, toy, set)
    }

    #[test]
    fn rounding_of_toys_costs_little() {
        for kind in [Kind::Spikes, Kind::Bias] {
            let mut agreement = 0.0;
            for seed in 0..10 {
                let (report, ..) = report(kind, seed, None);
                agreement += report.agreement / 10.0;
                assert_eq!((report.samples, report.float_accuracy), (12, None));
                for p in &report.populations {
                    assert!(p.distance >= (p.float_rate - p.quantized_rate).abs() - 1e-12 && p.distance < 0.1, "{kind:?} {seed}: {p:?}");
                }
            }
            assert!(agreement > 0.9, "{kind:?}: {agreement}");
        }
    }

    #[test]
    fn accuracy_counts_labels_and_a_worse_net_is_worse() {
        let (first, toy, set) = report(Kind::Spikes, 2, None);
        let Source::Trained(plain) = &toy.source else { panic!("a toy in floats") };
        // Labels as the float net answers: it is right always, the registers as often as they agree.
        let interpreter = Interpreter::new(plain).unwrap();
        let kind = toy.bundle.host.decoder.kind.into();
        let label = |s: &Stimulus| {
            let run = interpreter.sample(s, None, false).unwrap();
            i64::from(predict(kind, &run.out_counts, &run.first_spike, &run.potentials))
        };
        let labels: Vec<i64> = set.samples.iter().map(label).collect();
        let labelled = DataSet { labels: Some(labels), ..set.clone() };
        let report = loss(plain, &toy.bundle, &labelled, None, &|| ()).unwrap();
        assert_eq!((report.float_accuracy, report.quantized_accuracy), (Some(1.0), Some(first.agreement)));
        let short = DataSet { labels: Some(vec![0]), ..set.clone() };
        assert!(matches!(loss(plain, &toy.bundle, &short, None, &|| ()), Err(VerifyError::Labels { found: 1, expected: 12 })));
        // Another net's thresholds: the rates part.
        let mut other = plain.clone();
        for p in &mut other.populations {
            if let spikec_net::Role::Neurons(n) = &mut p.role {
                n.iter_mut().for_each(|n| n.threshold *= 0.2);
            }
        }
        let worse = loss(&other, &toy.bundle, &set, None, &|| ()).unwrap();
        let distance = |r: &LossReport| r.populations.iter().map(|p| p.distance).sum::<f64>();
        assert!(distance(&worse) > distance(&report) + 0.05, "{worse:?} {report:?}");
        assert!(worse.spike_count_distance > report.spike_count_distance);
    }
}
