//! What every neuron of a net did while calibration samples ran.
//!
//! In: a net and samples. Out: [`Recording`], the spikes of all populations by column; a column is one network step of one sample.
//! Invariant: columns of a sample are neighbours, samples in their order. Cost: a run of each sample, on all cores.

use rayon::prelude::*;
use spikec_data::Stimulus;
use spikec_net::dynamics::Dynamics;
use spikec_net::{Fixed, Float, Interpreter, Net, PopulationId, ReferenceError, ReferenceRun, Role};

/// Spikes of one population, column by column.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fired {
    /// `offsets[c]..offsets[c + 1]` are the neurons that fired in column c.
    offsets: Vec<u32>,
    /// Neurons, ascending in a column.
    neurons: Vec<u32>,
}

/// Spikes of all populations while samples ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// `starts[s]..starts[s + 1]` are the columns of sample s.
    starts: Vec<u32>,
    fired: Vec<Fired>,
    /// Spikes of each output as trained, for each sample.
    out_counts: Vec<Vec<u32>>,
}

impl Recording {
    /// Number of samples.
    pub fn samples(&self) -> usize {
        self.starts.len() - 1
    }
    /// Number of columns: the steps of all samples.
    pub fn columns(&self) -> usize {
        self.starts[self.samples()] as usize
    }
    /// Columns of a sample.
    pub fn of_sample(&self, sample: usize) -> std::ops::Range<usize> {
        self.starts[sample] as usize..self.starts[sample + 1] as usize
    }
    /// Neurons of `population` that fired in `column`, ascending.
    pub fn fired(&self, population: PopulationId, column: usize) -> &[u32] {
        let f = &self.fired[population.index()];
        &f.neurons[f.offsets[column] as usize..f.offsets[column + 1] as usize]
    }
    /// Spikes of a population in all columns.
    pub fn spikes(&self, population: PopulationId) -> usize {
        self.fired[population.index()].neurons.len()
    }
    /// Spikes of each output (index as trained), for each sample.
    pub fn out_counts(&self) -> &[Vec<u32>] {
        &self.out_counts
    }

    /// Mean over the samples of the squared distance between the outputs' spike counts and another recording's.
    pub fn count_distance(&self, other: &Recording) -> f64 {
        let square = |(&a, &b): (&u32, &u32)| (f64::from(a) - f64::from(b)).powi(2);
        let pairs = self.out_counts.iter().flatten().zip(other.out_counts.iter().flatten());
        pairs.map(square).sum::<f64>() / self.samples().max(1) as f64
    }

    /// Runs a net in floats; `steps` is for samples that don't say.
    ///
    /// # Errors
    /// A net that can't be interpreted, or a sample that doesn't fit it.
    pub fn of_floats(net: &Net<Float>, samples: &[Stimulus], steps: Option<u32>) -> Result<Self, ReferenceError> {
        record(net, samples, steps, |interpreter, sample, steps| interpreter.sample(sample, steps, true))
    }

    /// Runs a net in registers; `bias_limits` are the largest mantissa and exponent of the target's bias registers.
    ///
    /// # Errors
    /// As [`Recording::of_floats`].
    pub fn of_registers(
        net: &Net<Fixed>,
        samples: &[Stimulus],
        steps: Option<u32>,
        bias_limits: (i16, u8),
    ) -> Result<Self, ReferenceError> {
        record(net, samples, steps, |interpreter, sample, steps| Ok(interpreter.sample(sample, steps, bias_limits, true)?.0))
    }
}

/// The steps a sample runs for: its own, where it has them.
fn own_steps(sample: &Stimulus, steps: Option<u32>) -> Option<u32> {
    sample.steps().or(steps)
}

type Run<'a, N> = dyn Fn(&Interpreter<'_, N>, &Stimulus, Option<u32>) -> Result<ReferenceRun, ReferenceError> + Sync + 'a;

fn record<N: Dynamics>(
    net: &Net<N>,
    samples: &[Stimulus],
    steps: Option<u32>,
    run: impl Fn(&Interpreter<'_, N>, &Stimulus, Option<u32>) -> Result<ReferenceRun, ReferenceError> + Sync,
) -> Result<Recording, ReferenceError>
where
    for<'a> Interpreter<'a, N>: Sync,
{
    let interpreter = Interpreter::new(net)?;
    let run: &Run<'_, N> = &run;
    let mut recording = Recording {
        starts: vec![0],
        fired: net.populations.iter().map(|_| Fired { offsets: vec![0], neurons: Vec::new() }).collect(),
        out_counts: Vec::with_capacity(samples.len()),
    };
    // A batch at a time: what runs keep is larger than what is kept of them.
    for batch in samples.chunks(256) {
        let runs: Result<Vec<ReferenceRun>, ReferenceError> =
            batch.par_iter().map(|sample| run(&interpreter, sample, own_steps(sample, steps))).collect();
        for (sample, run) in batch.iter().zip(runs?) {
            recording.add(net, &interpreter, sample, run);
        }
    }
    Ok(recording)
}

impl Recording {
    fn add<N: Dynamics>(&mut self, net: &Net<N>, interpreter: &Interpreter<'_, N>, sample: &Stimulus, run: ReferenceRun) {
        let steps = run.spikes.iter().map(Vec::len).max().unwrap_or(0);
        for (p, population) in net.populations.iter().enumerate() {
            let fired = &mut self.fired[p];
            for t in 0..steps {
                match (&population.role, sample) {
                    (Role::SpikeInput, Stimulus::Spikes(train)) => {
                        interpreter.input_spikes(train, PopulationId::from(p), t as u32, &mut fired.neurons);
                    }
                    _ => {
                        if let Some(neurons) = run.spikes[p].get(t) {
                            fired.neurons.extend(neurons);
                        }
                    }
                }
                fired.offsets.push(fired.neurons.len() as u32);
            }
        }
        self.starts.push(self.starts[self.starts.len() - 1] + steps as u32);
        self.out_counts.push(run.out_counts);
    }
}
