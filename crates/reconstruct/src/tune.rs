//! Tuning a whole net on its grids: weights move between grid points, and biases move, until the outputs fire as the teacher's.
//!
//! In: a net in floats, where each weight stands on its grid, samples, the teacher's spike counts. Out: other grid points and biases.
//! Invariant: a weight that stands at 0 stays there, the others stay in their ranges; the same result on any number of threads.
//! Method: gradient descent through time on the squared distance of the counts; the step of a spike has the derivative of a smooth one
//! (Neftci, Mostafa, Zenke, IEEE Signal Processing Magazine 36, 2019), rounding that of the identity (Bengio, Leonard, Courville 2013); what
//! is known of a reset is that it happens. Adam (Kingma, Ba, ICLR 2015) with a rate that falls to 0 as half a cosine. No labels are used.
//! Cost: for each round and sample about three times the synaptic events, and the synapses of hidden neurons near their threshold.

use crate::record::Recording;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;
use spikec_data::Stimulus;
use spikec_net::{Builder, Drive, Float, Interpreter, Net, Observer, PopulationId, ReferenceError, ResetRule, Role, float_drive};

/// Rounds through the samples, where their cost allows.
const ROUNDS: usize = 30;
/// Fewer rounds are not worth their cost.
const LEAST_ROUNDS: usize = 2;
/// Additions that all rounds may cost.
const LARGEST_COST: f64 = 1e11;
/// Most weights for each output of each sample: with more, there is too little to learn from (measured: neither better nor worse at 2, worse at 18).
const MOST_WEIGHTS: usize = 2;
/// Numbers that a sample may keep.
const LARGEST_TRACE: usize = 1 << 26;
/// Samples of a step of descent, and those that one thread takes at a time (which the order of sums depends on).
const BATCH: usize = 100;
const CHUNK: usize = 10;
/// First step of Adam, as a share of the root mean square of a projection's weights, and its memories.
const LEARNING_RATE: f32 = 0.008;
const MEMORY: (f32, f32) = (0.9, 0.999);
/// Steepness of the smooth spike in 1 / threshold, and the least derivative that counts.
const STEEPNESS: f32 = 4.0;
const LEAST_DERIVATIVE: f32 = 0.01;
/// Farthest that a weight starts from its grid point, in grid steps: it stays the nearest.
const START: f32 = 0.49;
/// Weight of hidden neurons' counts: what keeps the net to the teacher's way where there are more weights than outputs to learn from.
const HIDDEN: f32 = 0.1;
const SEED: u64 = 0x5eed;

/// Where the weights of a projection stand.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Distance of grid points for each postsynaptic neuron, in weights of the net.
    pub steps: Vec<f32>,
    /// Smallest and largest multiple.
    pub range: (f32, f32),
    /// Multiple of each synapse.
    pub multiples: Vec<f32>,
}

/// A net tuned.
#[derive(Debug, Clone)]
pub struct Tuned {
    /// Multiples of each projection's synapses.
    pub multiples: Vec<Vec<f32>>,
    /// What was added to each population's biases.
    pub bias_changes: Vec<Vec<f32>>,
}

/// A projection on the way: only synapses that are not at 0.
struct Moving {
    /// Their indices in the net as given.
    index: Vec<u32>,
    /// Their postsynaptic neurons.
    posts: Vec<u32>,
    latent: Adam,
    rate: f32,
}

/// Values with their descent's memories.
struct Adam {
    x: Vec<f32>,
    mean: Vec<f32>,
    square: Vec<f32>,
}

impl Adam {
    fn new(x: Vec<f32>) -> Self {
        let n = x.len();
        Adam { x, mean: vec![0.0; n], square: vec![0.0; n] }
    }

    /// Step number `step` (from 1) along a gradient.
    fn step(&mut self, gradient: &[f32], rate: f32, step: i32) {
        let (keep, keep_square) = MEMORY;
        let (c, c_square) = (1.0 - keep.powi(step), 1.0 - keep_square.powi(step));
        for (((x, m), s), &g) in self.x.iter_mut().zip(&mut self.mean).zip(&mut self.square).zip(gradient) {
            *m = keep * *m + (1.0 - keep) * g;
            *s = keep_square * *s + (1.0 - keep_square) * g * g;
            *x -= rate * (*m / c) / ((*s / c_square).sqrt() + 1e-8);
        }
    }
}

/// Gradients: by projection's synapse and population's neuron.
#[derive(Clone)]
struct Gradient {
    weights: Vec<Vec<f32>>,
    biases: Vec<Vec<f32>>,
}

/// What the teacher did, and how much it matters.
struct Wanted<'a> {
    recording: &'a Recording,
    /// Spikes of each sample and neuron, by population: samples x neurons; `None` for populations that don't count.
    counts: Vec<Option<Vec<u16>>>,
    /// Weight of a neuron's squared distance, by population.
    importance: Vec<Vec<f32>>,
}

impl<'a> Wanted<'a> {
    /// `theirs[p]` is the teacher's population of population p, and its neuron of each neuron.
    fn of(net: &Net<Float>, recording: &'a Recording, theirs: &[(PopulationId, Vec<u32>)]) -> Result<Self, ReferenceError> {
        let importance = importances(net)?;
        let count = |(p, population): (usize, &spikec_net::Population<Float>)| {
            if population.is_input() || importance[p].iter().all(|i| *i == 0.0) {
                return None;
            }
            let (of, neurons) = &theirs[p];
            let most = neurons.iter().map(|&j| j as usize + 1).max().unwrap_or(0);
            let mut here = vec![u32::MAX; most];
            neurons.iter().enumerate().for_each(|(j, &their)| here[their as usize] = j as u32);
            let n = neurons.len();
            let mut counts = vec![0u16; recording.samples() * n];
            for (s, counts) in counts.chunks_mut(n.max(1)).enumerate() {
                for column in recording.of_sample(s) {
                    for &j in recording.fired(*of, column) {
                        if let Some(&j) = here.get(j as usize).filter(|j| **j != u32::MAX) {
                            counts[j as usize] = counts[j as usize].saturating_add(1);
                        }
                    }
                }
            }
            Some(counts)
        };
        let counts = net.populations.iter().enumerate().map(count).collect();
        Ok(Wanted { recording, counts, importance })
    }

    /// Gradient of each neuron's spikes, for a sample in which neurons fired `trace.fired`.
    fn missed(&self, sample: usize, trace: &Trace, share: f32) -> Vec<Vec<f32>> {
        let of_population = |(p, counts): (usize, &Option<Vec<u16>>)| {
            let Some(counts) = counts else { return Vec::new() };
            let n = self.importance[p].len();
            let mut missed: Vec<f32> = counts[sample * n..(sample + 1) * n].iter().map(|&c| -f32::from(c)).collect();
            trace.fired[p].iter().flatten().for_each(|&j| missed[j as usize] += 1.0);
            missed.iter_mut().zip(&self.importance[p]).for_each(|(m, i)| *m *= share * i);
            missed
        };
        self.counts.iter().enumerate().map(of_population).collect()
    }
}

/// Weight of a squared error in each neuron's spike count: 1 for outputs, a share of what the spikes do to the potentials of others before.
fn importances(net: &Net<Float>) -> Result<Vec<Vec<f32>>, ReferenceError> {
    let mut of: Vec<Vec<f32>> = net.populations.iter().map(|p| vec![0.0; p.neurons().len()]).collect();
    of[net.output.index()].fill(1.0);
    let order: Vec<PopulationId> = Interpreter::new(net)?.order().collect();
    for &p in order.iter().rev() {
        for projection in net.projections.iter().filter(|q| q.pre == p && q.post != p && !q.synapses.is_empty()) {
            let s = &projection.synapses;
            let neurons = net.population(projection.post).neurons();
            for (i, row) in s.rows().enumerate() {
                let square = |(post, w, _): (u32, f32, u16)| {
                    let n = &neurons[post as usize];
                    let w = w * n.gain / (n.threshold - n.v_reset);
                    if w.is_finite() { w * w * of[projection.post.index()][post as usize] } else { 0.0 }
                };
                let sum: f32 = row.iter().map(square).sum();
                if p != net.output {
                    of[p.index()][i] += HIDDEN * sum;
                }
            }
        }
    }
    Ok(of)
}

/// Tunes `net`, whose weights are where it would like to stand, from where it stands (`standing`, by projection). `wanted` are the
/// teacher's spikes, `theirs[p]` its population and neurons for population p and its neurons. `None` where there is nothing to tune by, or it would cost too much.
///
/// # Errors
/// A net or samples that can't be interpreted.
pub fn tune(
    net: &Net<Float>,
    standing: &[Standing],
    samples: &[Stimulus],
    default_steps: Option<u32>,
    recording: &Recording,
    theirs: &[(PopulationId, Vec<u32>)],
) -> Result<Option<Tuned>, ReferenceError> {
    let neurons = net.population(net.output).neurons();
    let sane = standing.iter().all(|s| s.steps.iter().all(|s| s.is_finite() && *s != 0.0));
    if samples.is_empty() || !sane || neurons.iter().any(|n| n.threshold.is_infinite()) {
        return Ok(None);
    }
    let (mut student, mut moving) = start(net, standing);
    if student.synapse_count() > MOST_WEIGHTS * samples.len() * neurons.len() {
        return Ok(None);
    }
    let rounds = rounds(&student, samples.len(), recording);
    let longest = (0..recording.samples()).map(|s| recording.of_sample(s).len()).max().unwrap_or(0);
    if rounds < LEAST_ROUNDS || longest.saturating_mul(student.neuron_count()) > LARGEST_TRACE {
        return Ok(None);
    }
    let wanted = Wanted::of(&student, recording, theirs)?;
    let mut biases: Vec<(Adam, f32)> = (0..net.populations.len()).map(|p| start_biases(&student, &moving, p)).collect();
    let mut order: Vec<usize> = (0..samples.len()).collect();
    let mut random = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let all_steps = rounds * samples.len().div_ceil(BATCH);
    let mut step = 0;
    for _ in 0..rounds {
        order.shuffle(&mut random);
        for batch in order.chunks(BATCH) {
            let gradient = gradient(&student, samples, batch, default_steps, &wanted)?;
            let fall = 0.5 * (1.0 + (std::f32::consts::PI * step as f32 / all_steps as f32).cos());
            step += 1;
            for (q, moving) in moving.iter_mut().enumerate() {
                moving.latent.step(&gradient.weights[q], moving.rate * fall, step);
                let synapses = &mut student.projections[q].synapses;
                let on_grid = on_grid(moving, &standing[q]);
                synapses.weights_mut().iter_mut().zip(on_grid).for_each(|(w, (_, value))| *w = value);
            }
            for (p, (biases, rate)) in biases.iter_mut().enumerate() {
                biases.step(&gradient.biases[p], *rate * fall, step);
                if let Role::Neurons(neurons) = &mut student.populations[p].role {
                    neurons.iter_mut().zip(&biases.x).for_each(|(n, &b)| n.bias = b);
                }
            }
        }
    }
    let multiples = moving.iter().zip(standing).map(|(moving, standing)| {
        let mut out = vec![0f32; standing.multiples.len()];
        let on_grid = on_grid(moving, standing);
        moving.index.iter().zip(on_grid).for_each(|(&k, (multiple, _))| out[k as usize] = multiple);
        out
    });
    let changes = |(p, (tuned, _)): (usize, &(Adam, f32))| -> Vec<f32> {
        net.populations[p].neurons().iter().zip(&tuned.x).map(|(n, &b)| b - n.bias).collect()
    };
    Ok(Some(Tuned { multiples: multiples.collect(), bias_changes: biases.iter().enumerate().map(changes).collect() }))
}

/// The net on its grids, without synapses at 0, and what will move.
fn start(net: &Net<Float>, standing: &[Standing]) -> (Net<Float>, Vec<Moving>) {
    let mut student = net.clone();
    let mut moving = Vec::with_capacity(standing.len());
    for (projection, standing) in student.projections.iter_mut().zip(standing) {
        let given = &projection.synapses;
        let mut left = Builder::new();
        let (mut index, mut latent, mut posts) = (Vec::new(), Vec::new(), Vec::new());
        for (row, start) in given.rows().zip(given.starts()) {
            for (k, (post, weight, delay)) in (start..).zip(row.iter()).filter(|(k, _)| standing.multiples[*k] != 0.0) {
                let (step, multiple) = (standing.steps[post as usize], standing.multiples[k]);
                index.push(k as u32);
                posts.push(post);
                latent.push((weight / step).clamp(multiple - START, multiple + START) * step);
                left.push(post, multiple * step, delay);
            }
            left.end_row();
        }
        projection.synapses = left.finish();
        let weights = projection.synapses.weights_mut();
        let mean_square = weights.iter().map(|w| w * w).sum::<f32>() / weights.len().max(1) as f32;
        moving.push(Moving { index, posts, latent: Adam::new(latent), rate: LEARNING_RATE * mean_square.sqrt() });
    }
    (student, moving)
}

/// Biases of a population, and how fast they move: as what its incoming weights, as the mean, do to the potential.
fn start_biases(net: &Net<Float>, moving: &[Moving], p: usize) -> (Adam, f32) {
    let neurons = net.populations[p].neurons();
    let gain = neurons.iter().map(|n| n.gain.abs()).sum::<f32>() / neurons.len().max(1) as f32;
    let incoming = net.projections.iter().zip(moving).filter(|(q, _)| q.post.index() == p && !q.synapses.is_empty());
    let rates: Vec<f32> = incoming.map(|(_, m)| m.rate * gain).collect();
    let rate = rates.iter().sum::<f32>() / rates.len().max(1) as f32;
    (Adam::new(neurons.iter().map(|n| n.bias).collect()), rate)
}

/// Multiple and weight of each moving synapse.
fn on_grid<'a>(moving: &'a Moving, standing: &'a Standing) -> impl Iterator<Item = (f32, f32)> + 'a {
    let (least, most) = standing.range;
    moving.latent.x.iter().zip(&moving.posts).map(move |(&x, &post)| {
        let step = standing.steps[post as usize];
        let multiple = (x / step).round().clamp(least, most);
        (multiple, multiple * step)
    })
}

/// Rounds that the cost allows.
fn rounds(net: &Net<Float>, samples: usize, taught: &Recording) -> usize {
    let mut cost = 0f64;
    for p in net.projections.iter().filter(|p| !p.synapses.is_empty()) {
        let pre = net.population(p.pre);
        let mean_row = p.synapses.len() as f64 / pre.len().max(1) as f64;
        // Forward and for weights, where spikes are; back to all that may nearly fire.
        cost += 2.0 * mean_row * taught.spikes(p.pre) as f64;
        if !pre.is_input() {
            cost += p.synapses.len() as f64 * taught.columns() as f64;
        }
    }
    cost += 8.0 * net.neuron_count() as f64 * taught.columns() as f64;
    // Weights move once a batch, each chunk's gradients are added.
    cost += (BATCH / CHUNK + 10) as f64 * net.synapse_count() as f64 * samples.div_ceil(BATCH) as f64;
    ((LARGEST_COST / cost.max(1.0)) as usize).min(ROUNDS)
}

/// What happened in one sample.
struct Trace {
    /// By population: potential before a reset, step by step.
    before_reset: Vec<Vec<f32>>,
    /// By population: potential after the last step.
    last: Vec<Vec<f32>>,
    /// By population and step.
    fired: Vec<Vec<Vec<u32>>>,
}

struct Watch<'a> {
    net: &'a Net<Float>,
    trace: Trace,
}

impl Observer<Float> for Watch<'_> {
    fn step(&mut self, _: u32, p: PopulationId, u: &[f32], v: &[f32], fired: &[u32]) {
        let trace = &mut self.trace;
        let (before, last) = (&mut trace.before_reset[p.index()], &mut trace.last[p.index()]);
        let at = before.len();
        before.extend_from_slice(v);
        let neurons = self.net.population(p).neurons();
        for &j in fired {
            let (j, n) = (j as usize, &neurons[j as usize]);
            before[at + j] = n.keep_v * last[j] + n.gain * u[j] + n.bias;
        }
        last.copy_from_slice(v);
        trace.fired[p.index()].push(fired.to_vec());
    }
}

/// Gradient of the mean squared distance of a batch.
fn gradient(
    net: &Net<Float>,
    samples: &[Stimulus],
    batch: &[usize],
    steps: Option<u32>,
    wanted: &Wanted,
) -> Result<Gradient, ReferenceError> {
    let interpreter = Interpreter::new(net)?;
    let order: Vec<usize> = interpreter.order().map(PopulationId::index).collect();
    let zero = Gradient {
        weights: net.projections.iter().map(|p| vec![0.0; p.synapses.len()]).collect(),
        biases: net.populations.iter().map(|p| vec![0.0; p.neurons().len()]).collect(),
    };
    let share = 2.0 / batch.len() as f32;
    let of_chunk = |chunk: &[usize]| {
        let mut sum = zero.clone();
        for &s in chunk {
            let columns = wanted.recording.of_sample(s).len() as u32;
            let trace = forward(net, &interpreter, &samples[s], steps.unwrap_or(columns));
            backward(net, &order, &trace, &wanted.missed(s, &trace, share), &mut sum);
        }
        sum
    };
    let parts: Vec<Gradient> = batch.par_chunks(CHUNK).map(of_chunk).collect();
    let mut sum = zero;
    let add = |a: &mut [Vec<f32>], b: &[Vec<f32>]| {
        a.par_iter_mut().zip(b).for_each(|(a, b)| a.iter_mut().zip(b).for_each(|(a, b)| *a += b));
    };
    for part in &parts {
        add(&mut sum.weights, &part.weights);
        add(&mut sum.biases, &part.biases);
    }
    Ok(sum)
}

fn forward(net: &Net<Float>, interpreter: &Interpreter<Float>, sample: &Stimulus, steps: u32) -> Trace {
    let populations = &net.populations;
    let trace = Trace {
        before_reset: populations.iter().map(|p| Vec::with_capacity(p.neurons().len() * steps as usize)).collect(),
        last: populations.iter().map(|p| p.neurons().iter().map(|n| n.v_reset).collect()).collect(),
        fired: vec![Vec::new(); populations.len()],
    };
    let mut watch = Watch { net, trace };
    let (train, drives): (_, Vec<Drive<f32>>) = match sample {
        Stimulus::Spikes(train) => (Some(train), Vec::new()),
        Stimulus::Values(values) => (None, float_drive(net, values)),
    };
    interpreter.run(train, &drives, steps, &mut watch);
    let mut trace = watch.trace;
    if let Some(train) = train {
        for (p, _) in populations.iter().enumerate().filter(|(_, p)| matches!(p.role, Role::SpikeInput)) {
            trace.fired[p] = (0..steps)
                .map(|t| {
                    let mut now = Vec::new();
                    interpreter.input_spikes(train, PopulationId::from(p), t, &mut now);
                    now
                })
                .collect();
        }
    }
    trace
}

/// Adds one sample's gradient; `missed` is that of each neuron's spikes, by population.
fn backward(net: &Net<Float>, order: &[usize], trace: &Trace, missed: &[Vec<f32>], sum: &mut Gradient) {
    let populations = &net.populations;
    let steps = trace.fired[net.output.index()].len();
    let sizes: Vec<usize> = populations.iter().map(|p| p.neurons().len()).collect();
    // Gradient of each neuron's input in each step; of its current and of its potential, from the step after.
    let mut of_input: Vec<Vec<f32>> = sizes.iter().map(|n| vec![0.0; n * steps]).collect();
    let mut of_u: Vec<Vec<f32>> = sizes.iter().map(|&n| vec![0.0; n]).collect();
    let mut of_v = of_u.clone();
    let mut outgoing: Vec<Vec<usize>> = vec![Vec::new(); populations.len()];
    for (q, projection) in net.projections.iter().enumerate().filter(|(_, p)| !p.synapses.is_empty()) {
        outgoing[projection.pre.index()].push(q);
    }
    for t in (0..steps).rev() {
        for &p in order.iter().rev() {
            let n = sizes[p];
            let neurons = populations[p].neurons();
            let mut fired = trace.fired[p][t].iter().peekable();
            for j in 0..n {
                let neuron = &neurons[j];
                let fires = fired.next_if(|f| **f as usize == j).is_some();
                let mut dv = if fires && net.rules.reset == ResetRule::ToValue { 0.0 } else { of_v[p][j] };
                if neuron.threshold.is_finite() {
                    let unit = (neuron.threshold - neuron.v_reset).abs().max(f32::MIN_POSITIVE);
                    let distance = STEEPNESS * (trace.before_reset[p][t * n + j] - neuron.threshold) / unit;
                    let derivative = 1.0 / (1.0 + distance * distance);
                    if derivative >= LEAST_DERIVATIVE {
                        let mut of_spike = missed[p].get(j).copied().unwrap_or(0.0);
                        for &q in &outgoing[p] {
                            of_spike += pulled(net, q, j, t, steps, &of_input);
                        }
                        dv += of_spike * derivative / unit;
                    }
                }
                let du = dv * neuron.gain + neuron.keep_u * of_u[p][j];
                of_u[p][j] = du;
                of_v[p][j] = neuron.keep_v * dv;
                of_input[p][t * n + j] = du;
                sum.biases[p][j] += dv;
            }
        }
    }
    for (q, projection) in net.projections.iter().enumerate().filter(|(_, p)| !p.synapses.is_empty()) {
        let (s, post) = (&projection.synapses, projection.post.index());
        let (gradient, starts) = (&mut sum.weights[q], s.starts());
        for (t, fired) in trace.fired[projection.pre.index()].iter().enumerate() {
            for &i in fired {
                let row = s.row(i as usize);
                let row_gradient = &mut gradient[starts[i as usize]..starts[i as usize + 1]];
                match s.uniform_delay() {
                    Some(d) => {
                        let at = t + usize::from(d);
                        if at < steps {
                            let of_input = &of_input[post][at * sizes[post]..(at + 1) * sizes[post]][row.base() as usize..];
                            row_gradient.iter_mut().zip(row.relative_posts()).for_each(|(g, &j)| *g += of_input[j as usize]);
                        }
                    }
                    None => {
                        for (g, (j, _, delay)) in row_gradient.iter_mut().zip(row.iter()) {
                            let at = t + usize::from(delay);
                            if at < steps {
                                *g += of_input[post][at * sizes[post] + j as usize];
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Gradient of a spike of neuron `i` in step `t` through projection `q`.
fn pulled(net: &Net<Float>, q: usize, i: usize, t: usize, steps: usize, of_input: &[Vec<f32>]) -> f32 {
    let (s, post) = (&net.projections[q].synapses, net.projections[q].post.index());
    let (n, of_input) = (net.populations[post].neurons().len(), &of_input[post]);
    let row = s.row(i);
    match s.uniform_delay() {
        Some(d) => {
            let at = t + usize::from(d);
            if at >= steps {
                return 0.0;
            }
            let of_input = &of_input[at * n..(at + 1) * n][row.base() as usize..];
            row.relative_posts().iter().zip(row.weights()).map(|(&j, &w)| w * of_input[j as usize]).sum()
        }
        None => {
            let one = |(j, w, delay): (u32, f32, u16)| {
                let at = t + usize::from(delay);
                if at < steps { w * of_input[at * n + j as usize] } else { 0.0 }
            };
            row.iter().map(one).sum()
        }
    }
}
