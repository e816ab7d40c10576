//! The rows of a population: for each neuron (or kernel), the weights that its potential wants, and how well weights on grids do.
//!
//! In: the net now, the net that teaches, what both heard. Out: [`Rows`], asked row by row.
//! Invariant: weights are in thresholds (1 brings a neuron from rest to its threshold); rows in the order of [`Features::rows`].
//! Cost: see [`crate::moments`]; a row whose support is not all features costs the cube of its support.

use crate::features::{Features, Synapse, Trains};
use crate::matrix;
use crate::moments::{Kernel, Moments};
use crate::own::{Importance, Own, Watched, potentials};
use crate::record::Recording;
use crate::round::{Factor, Grid, Row};
use crate::teacher::Teacher;
use crate::tied;
use crate::together::{FEW_ROWS, Heard, Together};
use spikec_net::{Float, FloatNeuron, Net, Population, PopulationId, Ties};

/// Most features of a population whose moments are taken: a matrix of that many squared is 256 MiB.
pub const LARGEST_FEATURES: usize = 8192;
/// Damping of moments, as a share of the mean diagonal.
pub const DAMPING: f32 = 0.01;
/// Largest support, of those that not all neurons share, whose factor is worth its cubic cost.
const LARGEST_FACTOR: usize = 1024;
/// How errors weigh in moments of a row's own.
const IMPORTANCE: Importance = Importance { width: 0.3, floor: 0.1 };

/// What a neuron's weights are measured in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// Factor from a weight to thresholds.
    pub factor: f32,
    /// Bias in thresholds a step, the reset at 0.
    pub bias: f32,
    /// The neuron can fire.
    pub fires: bool,
}

impl Scale {
    /// Of a neuron as trained.
    pub fn of(neuron: &FloatNeuron) -> Self {
        let unit = Self::unit(neuron);
        let bias = (neuron.bias + (neuron.keep_v - 1.0) * neuron.v_reset) / unit;
        Scale { factor: neuron.gain / unit, bias, fires: neuron.threshold.is_finite() }
    }

    /// What a threshold is, from the reset; 1 for a readout.
    pub fn unit(neuron: &FloatNeuron) -> f32 {
        if neuron.threshold.is_finite() { neuron.threshold - neuron.v_reset } else { 1.0 }
    }
}

/// A population's rows.
#[derive(Debug)]
pub struct Rows {
    /// What the population hears.
    pub features: Features,
    moments: Moments,
    /// Factor of the whole H, where some neuron hears all features.
    factor: Option<Factor>,
    now: Vec<Vec<(u32, f32)>>,
    teacher: Vec<Vec<(u32, f32)>>,
    /// The neurons hear what the teacher heard, with the same weights: they are the best.
    same: bool,
    own: Option<Together>,
    kernel: Kernel,
    scales: Vec<Scale>,
}

/// A row at work.
#[derive(Debug)]
pub struct Work {
    /// H over the support; `None` where it is the shared one.
    h: Option<Vec<f32>>,
    factor: Option<Factor>,
    own: Option<Own>,
    /// The best real weights.
    pub best: Vec<f32>,
    grid_of: Vec<u32>,
}

/// The memory of a population's neurons: the mean, where they differ.
pub fn mean_kernel(neurons: &[FloatNeuron]) -> Kernel {
    let mean = |of: fn(&FloatNeuron) -> f32| neurons.iter().map(of).sum::<f32>() / neurons.len().max(1) as f32;
    Kernel { keep_u: mean(|n| n.keep_u), keep_v: mean(|n| n.keep_v) }
}

/// The teacher's population of a population, and its neuron of each neuron; it has them all, by name and origin.
pub fn their_neurons(population: &Population<Float>, teacher: &Net<Float>) -> (PopulationId, Vec<u32>) {
    let at = teacher.populations.iter().position(|t| t.name == population.name).expect("the teacher has every population");
    let origin = &teacher.populations[at].origin;
    let neuron = |o: &u32| origin.binary_search(o).expect("the teacher has every neuron") as u32;
    (PopulationId::from(at), population.origin.iter().map(neuron).collect())
}

/// Does each synapse of population `p` make its neuron fire alone, as those of max pooling do? Then its weights have nothing to make up for.
pub fn is_gate(net: &Net<Float>, p: PopulationId) -> bool {
    let fires = |post: u32, weight: f32| {
        let n = &net.population(p).neurons()[post as usize];
        n.keep_v == 0.0 && weight * n.gain + n.bias > n.threshold
    };
    net.projections.iter().filter(|q| q.post == p).all(|q| q.synapses.iter().all(|(_, post, weight, _)| fires(post, weight)))
}

/// How a population hears: by neurons, or by kernels.
#[derive(Debug, Clone)]
pub struct Ears {
    /// What the rows hear.
    pub features: Features,
    /// Where rows are kernels.
    pub ties: Option<Ties>,
}

impl Ears {
    /// Of population `p`, whose ties, if they count, are `ties`.
    pub fn of(net: &Net<Float>, p: PopulationId, ties: Option<Ties>) -> Self {
        let features = match &ties {
            Some(ties) => tied::features(net, ties),
            None => Features::of(net, p),
        };
        Ears { features, ties }
    }
    /// Weights of a row in thresholds, by feature.
    pub fn weights(&self, net: &Net<Float>, row: usize, factor: f32) -> Vec<(u32, f32)> {
        let weight = |s: &Synapse| match &self.ties {
            Some(ties) => ties.kernels[s.block as usize].weights()[s.index as usize],
            None => self.features.blocks[s.block as usize].weight(net, s),
        };
        self.features.rows[row].iter().map(|s| (s.feature, weight(s) * factor)).collect()
    }
    /// The spikes of the features.
    pub fn trains(&self, net: &Net<Float>, recording: &Recording) -> Trains {
        match &self.ties {
            Some(ties) => tied::trains(net, ties, recording),
            None => Trains::of(&self.features, recording),
        }
    }
    /// Columns in which each row's neuron (or neurons, at their places) fired.
    fn fired(&self, net: &Net<Float>, p: PopulationId, recording: &Recording) -> Vec<Vec<u32>> {
        if let Some(ties) = &self.ties {
            return tied::fired(net, p, ties, recording);
        }
        let mut of = vec![Vec::new(); net.population(p).len()];
        for c in 0..recording.columns() {
            recording.fired(p, c).iter().for_each(|&j| of[j as usize].push(c as u32));
        }
        of
    }
    /// The rows here of the rows of a net with the same origins, of whose neurons these are `neurons`.
    fn rows_of(&self, other: &Ears, neurons: Vec<u32>) -> Vec<u32> {
        match (&self.ties, &other.ties) {
            (Some(here), Some(there)) => {
                let row = |c: &u32| here.channels.binary_search(c).expect("the teacher has every channel") as u32;
                there.channels.iter().map(row).collect()
            }
            _ => neurons,
        }
    }
    /// The ties of population `p` of a net, if its teacher's population has such ties as well.
    pub fn ties(net: &Net<Float>, p: PopulationId, teacher: &Net<Float>) -> Option<Ties> {
        let here = Ties::of(net, p)?;
        if std::ptr::eq(net, teacher) {
            return Some(here);
        }
        let there = Ties::of(teacher, their_neurons(net.population(p), teacher).0)?;
        let known = here.channels.iter().all(|c| there.channels.binary_search(c).is_ok());
        (known && here.places() == there.places()).then_some(here)
    }
    /// The scale of each row, from those of the neurons.
    pub fn scales(ties: Option<&Ties>, of_neurons: Vec<Scale>) -> Vec<Scale> {
        match ties {
            Some(ties) => ties.leaders.iter().map(|&j| of_neurons[j as usize]).collect(),
            None => of_neurons,
        }
    }
}

impl Rows {
    /// Rows of population `p` of `net`, taught by `teacher` (which has every population and neuron of `net`, by name and origin);
    /// `heard`: a recording of the net now, `None` where it hears what the teacher did ([`Teacher::heard_by_both`]). With `ties`, a row is a
    /// kernel. `scales` has one entry a row.
    ///
    /// # Panics
    /// Without `heard`, where the net hears something else than the teacher did.
    pub fn of(
        net: &Net<Float>,
        p: PopulationId,
        ties: Option<&Ties>,
        teacher: &Teacher,
        heard: Option<&Recording>,
        scales: Vec<Scale>,
    ) -> Self {
        let kernel = mean_kernel(net.population(p).neurons());
        let here = Ears::of(net, p, ties.cloned());
        let now: Vec<Vec<(u32, f32)>> = scales.iter().enumerate().map(|(j, s)| here.weights(net, j, s.factor)).collect();
        let (taught, their_net) = (teacher.recording(), teacher.net());
        let (moments, teacher_rows, same, own) = if std::ptr::eq(net, their_net) && heard.is_none() {
            (Moments::of(&here.trains(net, taught), None, kernel, DAMPING), now.clone(), true, None)
        } else {
            let (theirs, neurons) = their_neurons(net.population(p), their_net);
            let there = Ears::of(their_net, theirs, ties.map(|_| Ties::of(their_net, theirs).expect("a kernel was made from one")));
            let indices = there.rows_of(&here, neurons);
            let rows = indices.iter().zip(&scales).map(|(&row, s)| there.weights(their_net, row as usize, s.factor)).collect();
            let their_trains = there.trains(their_net, taught);
            let (moments, trains) = match (heard, ties) {
                (None, None) => {
                    let features = teacher.same_features(net, &here.features, &there.features);
                    let features = features.expect("the caller knows that both hear the same");
                    teacher.moments(theirs, &there.features, &features, kernel, DAMPING)
                }
                _ => {
                    let trains = here.trains(net, heard.unwrap_or(taught));
                    (Moments::of(&trains, Some(&their_trains), kernel, DAMPING), trains)
                }
            };
            let own = (!std::ptr::eq(net, their_net)).then(|| {
                let mut of = there.fired(their_net, theirs, taught);
                let fired = indices.iter().map(|&row| std::mem::take(&mut of[row as usize])).collect();
                Together::new(Heard { trains, their_trains, fired }, now.iter().map(Vec::len))
            });
            (moments, rows, false, own)
        };
        let features = here.features;
        let all = now.iter().any(|row| row.len() == features.count);
        let factor = all.then(|| Factor::of(&moments.now, moments.count));
        Rows { features, moments, factor, now, teacher: teacher_rows, same, own, kernel, scales }
    }

    /// Number of neurons.
    pub fn len(&self) -> usize {
        self.now.len()
    }
    /// True when the population has no neurons.
    pub fn is_empty(&self) -> bool {
        self.now.is_empty()
    }

    /// Row j by the moments that all share, or, where `careful`, by its own where it has some.
    pub fn work(&self, j: usize, careful: bool) -> Work {
        let (n, row) = (self.moments.count, &self.now[j]);
        let grid_of = self.features.rows[j].iter().map(|s| s.block).collect();
        if let Some(own) = self.own.as_ref().filter(|_| careful).and_then(|own| self.own(own, j)) {
            let factor = Factor::of(&own.h, row.len());
            let mut best = own.wanted.clone();
            factor.solve(&mut best);
            return Work { h: None, factor: Some(factor), own: Some(own), best, grid_of };
        }
        let support: Vec<usize> = row.iter().map(|r| r.0 as usize).collect();
        let (mut h, mut own_factor) = (None, None);
        if support.len() < n {
            let sub = matrix::part(&self.moments.now, n, support.iter().copied());
            own_factor = (support.len() <= LARGEST_FACTOR).then(|| Factor::of(&sub, support.len()));
            h = Some(sub);
        }
        let mut best: Vec<f32> = row.iter().map(|r| r.1).collect();
        let factor = if support.len() < n { own_factor.as_ref() } else { self.factor.as_ref() };
        if let (false, Some(factor)) = (self.same, factor) {
            best = self.moments.wanted(&self.teacher[j], row);
            factor.solve(&mut best);
        }
        Work { h, factor: own_factor, own: None, best, grid_of }
    }

    /// Moments of row j's own, where they are worth their cost.
    fn own(&self, together: &Together, j: usize) -> Option<Own> {
        let (row, scale) = (&self.now[j], self.scales[j]);
        let costly = self.now.len() <= FEW_ROWS && row.len() > LARGEST_FACTOR;
        let heard = together.taken().filter(|_| !row.is_empty() && scale.fires && !costly)?;
        let fired = heard.fired(j);
        let potential = potentials(&heard.their_trains, &self.teacher[j], scale.bias, self.kernel, &fired);
        let weight = potential.iter().map(|&v| IMPORTANCE.weight(v)).collect();
        let (features, prior): (Vec<u32>, Vec<f32>) = row.iter().copied().unzip();
        Some(Own::of(&heard.trains, self.kernel, &Watched { fired, potential, weight }, &features, &prior, DAMPING))
    }

    /// Rounds row j onto `grids` (one a block), with up to `sweeps` of coordinate descent; grid steps and error.
    pub fn round(&self, work: &Work, grids: &[Grid], sweeps: usize) -> (Vec<f32>, f32) {
        let (h, factor) = match (&work.own, &work.h) {
            (Some(own), _) => (&own.h[..], work.factor.as_ref()),
            (None, Some(h)) => (&h[..], work.factor.as_ref()),
            (None, None) => (&self.moments.now[..], self.factor.as_ref()),
        };
        let row = Row { h, best: &work.best, grid_of: &work.grid_of };
        let nearest = || -> Vec<f32> { work.best.iter().zip(&work.grid_of).map(|(&x, &g)| grids[g as usize].nearest(x)).collect() };
        let descended = |mut steps: Vec<f32>| {
            let error = row.descend(grids, &mut steps, sweeps.max(2));
            (steps, error)
        };
        match factor {
            None => descended(nearest()),
            Some(factor) if sweeps == 0 => row.nearest_plane(factor, grids),
            Some(factor) => {
                // Seldom the better start, but then by much: where ranges clip.
                let (plain, planned) = (descended(nearest()), descended(row.nearest_plane(factor, grids).0));
                if plain.1 < planned.1 { plain } else { planned }
            }
        }
    }

    /// Weights of grid steps.
    pub fn values(work: &Work, grids: &[Grid], steps: &[f32]) -> Vec<f32> {
        steps.iter().zip(&work.grid_of).map(|(s, &g)| s * grids[g as usize].step).collect()
    }

    /// The least and the largest bias with which row j fires as often as the teacher's neuron did, where both are reset when the teacher's
    /// fired.
    ///
    /// Why: fewer weights follow the potential less far from its mean, so that the bias of least squares makes a neuron fire too seldom.
    fn matching_biases(&self, j: usize, values: &[f32]) -> Option<(f32, f32)> {
        let own = &self.own.as_ref()?.all;
        let spikes = own.fired[j].len();
        let fired = own.fired(j);
        let weights: Vec<(u32, f32)> = self.now[j].iter().zip(values).map(|(r, &x)| (r.0, x)).collect();
        let v = potentials(&own.trains, &weights, 0.0, self.kernel, &fired);
        let ramp = potentials(&own.trains, &[], 1.0, self.kernel, &fired);
        // The bias at which each column fires.
        let mut needs: Vec<f32> = v.iter().zip(&ramp).filter(|(_, r)| **r > 0.0).map(|(v, r)| (1.0 - v) / r).collect();
        if spikes == 0 || spikes >= needs.len() {
            return None;
        }
        let (_, low, rest) = needs.select_nth_unstable_by(spikes - 1, f32::total_cmp);
        let (low, high) = (*low, rest.iter().copied().fold(f32::INFINITY, f32::min));
        (low.is_finite() && high.is_finite()).then_some((low, high))
    }

    /// The change of row j's bias, in thresholds a step, that makes most up for its weights being `values`.
    pub fn bias_change(&self, j: usize, work: &Work, values: &[f32]) -> f32 {
        match &work.own {
            Some(own) => own.bias(values).map_or(0.0, |least_squares| {
                let (low, high) = self.matching_biases(j, values).unwrap_or((least_squares, least_squares));
                least_squares.max(low).min(high) - self.scales[j].bias
            }),
            None => {
                let features = self.now[j].iter().map(|r| r.0 as usize);
                let teacher = self.teacher[j].iter().map(|&(f, w)| (f as usize, w));
                self.moments.bias.change(teacher, features.zip(values.iter().copied()))
            }
        }
    }
}
