//! Features: what a population of neurons listens to. A feature is an axon with a delay; each synapse multiplies one.
//!
//! In: a net and a population; a recording. Out: [`Features`], and the spikes of each feature as they arrive ([`Trains`]).
//! Invariant: features are numbered by projection, delay and presynaptic neuron; synapses of different projections never share one,
//! for their weights have formats of their own. Cost: O(synapses) and O(spikes).

use crate::record::Recording;
use spikec_net::{Net, Number, PopulationId, ProjectionId};

/// The features of one projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The projection.
    pub projection: ProjectionId,
    /// Where its spikes come from.
    pub pre: PopulationId,
    /// (delay in network steps, presynaptic neuron) of each feature, ascending; feature `first + k` is `sources[k]`.
    pub sources: Vec<(u16, u32)>,
    /// First feature.
    pub first: u32,
    /// Where the synapses of each presynaptic neuron begin.
    starts: Vec<usize>,
}

impl Block {
    /// Of a projection whose features are the taps of a kernel.
    pub(crate) fn of_taps(projection: ProjectionId, pre: PopulationId, first: u32) -> Self {
        Block { projection, pre, sources: Vec::new(), first, starts: Vec::new() }
    }

    /// The weight of a synapse of the block, in the net that it was made from or one with the same synapses.
    pub fn weight<N: Number>(&self, net: &Net<N>, synapse: &Synapse) -> N::Weight {
        let pre = self.sources[(synapse.feature - self.first) as usize].1 as usize;
        net.projection(self.projection).synapses.row(pre).weight(synapse.index as usize - self.starts[pre])
    }
}

/// What a population listens to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Features {
    /// By projection.
    pub blocks: Vec<Block>,
    /// For each neuron of the population: (feature, block, synapse of the block's projection), ascending.
    pub rows: Vec<Vec<Synapse>>,
    /// Number of features.
    pub count: usize,
}

/// A synapse of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Synapse {
    /// The feature that it multiplies.
    pub feature: u32,
    /// Its block.
    pub block: u32,
    /// Its index in the projection's synapses.
    pub index: u32,
}

impl Features {
    /// How many features `post` has at most: sources of its projections, for each delay.
    pub fn at_most<N: Number>(net: &Net<N>, post: PopulationId) -> usize {
        let of = |p: &spikec_net::Projection<N>| match p.synapses.uniform_delay() {
            Some(_) => p.synapses.rows().filter(|row| !row.is_empty()).count(),
            None => p.synapses.len(),
        };
        net.projections.iter().filter(|p| p.post == post).map(of).sum()
    }

    /// Features of `post` that at least one synapse multiplies.
    pub fn of<N: Number>(net: &Net<N>, post: PopulationId) -> Self {
        let mut features = Features { blocks: Vec::new(), rows: vec![Vec::new(); net.population(post).len()], count: 0 };
        for (k, projection) in net.projections.iter().enumerate().filter(|(_, p)| p.post == post) {
            let synapses = &projection.synapses;
            let mut sources: Vec<(u16, u32)> = synapses.iter().map(|(i, _, _, delay)| (delay, i)).collect();
            sources.sort_unstable();
            sources.dedup();
            let (block, first) = (features.blocks.len() as u32, features.count as u32);
            for (index, (i, post, _, delay)) in synapses.iter().enumerate() {
                let at = sources.binary_search(&(delay, i)).expect("every synapse's source was gathered");
                features.rows[post as usize].push(Synapse { feature: first + at as u32, block, index: index as u32 });
            }
            features.count += sources.len();
            let (projection, pre, starts) = (ProjectionId::from(k), projection.pre, synapses.starts());
            features.blocks.push(Block { projection, pre, sources, first, starts });
        }
        for row in &mut features.rows {
            row.sort_unstable();
        }
        features
    }
}

/// Spikes of each feature in the columns in which they act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trains {
    /// `starts[s]..starts[s + 1]` are the columns of sample s.
    pub starts: Vec<u32>,
    /// `offsets[f]..offsets[f + 1]` are the spikes of feature f.
    pub offsets: Vec<u32>,
    /// Columns, ascending for each feature.
    pub columns: Vec<u32>,
}

impl Trains {
    /// The spikes of `features` in a recording; those that would act after a sample's end are not there.
    pub fn of(features: &Features, recording: &Recording) -> Self {
        let starts: Vec<u32> = (0..=recording.samples()).map(|s| if s == 0 { 0 } else { recording.of_sample(s - 1).end as u32 }).collect();
        let (mut offsets, mut columns) = (vec![0u32], Vec::new());
        for block in &features.blocks {
            // The spikes of each neuron, by sample and step.
            let pres = block.sources.iter().map(|s| s.1 + 1).max().unwrap_or(0) as usize;
            let mut by_neuron: Vec<Vec<u32>> = vec![Vec::new(); pres];
            for column in 0..recording.columns() {
                for &i in recording.fired(block.pre, column) {
                    if let Some(list) = by_neuron.get_mut(i as usize) {
                        list.push(column as u32);
                    }
                }
            }
            for &(delay, i) in &block.sources {
                let mut sample = 0;
                for &column in &by_neuron[i as usize] {
                    while starts[sample + 1] <= column {
                        sample += 1;
                    }
                    let acts = column + u32::from(delay);
                    if acts < starts[sample + 1] {
                        columns.push(acts);
                    }
                }
                offsets.push(columns.len() as u32);
            }
        }
        Trains { starts, offsets, columns }
    }

    /// The spikes of some features.
    pub fn part(&self, features: &[u32]) -> Self {
        let mut part = Trains { starts: self.starts.clone(), offsets: vec![0], columns: Vec::new() };
        for &f in features {
            part.columns.extend(self.of_feature(f as usize));
            part.offsets.push(part.columns.len() as u32);
        }
        part
    }

    /// Number of columns.
    pub fn column_count(&self) -> usize {
        *self.starts.last().expect("there is a start at 0") as usize
    }

    /// Number of features.
    pub fn features(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Columns in which a feature's spikes act.
    pub fn of_feature(&self, feature: usize) -> &[u32] {
        &self.columns[self.offsets[feature] as usize..self.offsets[feature + 1] as usize]
    }
}
