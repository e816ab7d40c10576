//! Lowering: dead neurons go, what is left is compacted, and every population gets its skew.
//!
//! In: a net as elaborated (`origin` the identity, skews 0). Out: the same net as it will stand on the chip.
//! Invariant: the outputs of the network don't change; `origin` still names the neurons as trained; a population that
//! loses all its neurons keeps its place, so that ids stay; a projection without synapses goes.
//! Cost: O(neurons + synapses).
//! Why: a neuron without a live way in, or without a way to the output, costs memory and does nothing.

use crate::finding::{self, Finding};
use crate::retime::{self, RetimeError};
use serde::Serialize;
use spikec_chip::Target;
use spikec_net::{Delays, HostProjection, Liveness, Net, Number, Population, PopulationId, Projection, Role, Synapses, live};
use thiserror::Error;

/// What lowering does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LowerOptions {
    /// Removes neurons and input channels without effect on the output.
    pub remove_dead: bool,
}

impl Default for LowerOptions {
    fn default() -> Self {
        LowerOptions { remove_dead: true }
    }
}

/// What lowering did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LowerReport {
    /// Each population, in net order.
    pub populations: Vec<PopulationLowered>,
    /// Each projection that is left, in net order.
    pub projections: Vec<ProjectionLowered>,
    /// Names of the projections that lost all their synapses.
    pub dropped_projections: Vec<String>,
    /// Synapses on the chip before and after.
    pub synapses: (u64, u64),
    /// Terms of the host's maps before and after.
    pub host_terms: (u64, u64),
}

/// What became of a population.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PopulationLowered {
    /// Name.
    pub name: String,
    /// Neurons or channels as trained.
    pub trained: u32,
    /// Neurons or channels left.
    pub kept: u32,
    /// Removed because no path leads to the output population.
    pub no_way_out: u32,
    /// Removed because nothing that can spike leads to it (a way out there is).
    pub no_way_in: u32,
    /// Kept without a synapse or host term, because their bias alone may make them fire.
    pub constants: u32,
    /// Network step t is computed in chip step t + skew.
    pub skew: u32,
}

/// Delays of a projection that is left.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProjectionLowered {
    /// Name.
    pub name: String,
    /// Synapses before and after.
    pub synapses: (u64, u64),
    /// Smallest and largest net delay, in network steps.
    pub net_delay: (u16, u16),
    /// Smallest and largest chip delay, in chip steps.
    pub chip_delay: (i64, i64),
}

/// Why a net can't be lowered.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum LowerError {
    /// No skews.
    #[error(transparent)]
    Retime(#[from] RetimeError),
    /// Delays beyond the chip's, C11; sorted, at least one.
    #[error("{}{}", .0[0], more(.0.len()))]
    Delays(Vec<Finding>),
}

fn more(findings: usize) -> String {
    if findings > 1 { format!(" (and {} more)", findings - 1) } else { String::new() }
}

impl LowerError {
    /// A remedy.
    pub fn hint(&self) -> String {
        match self {
            LowerError::Retime(e) => e.hint(),
            LowerError::Delays(findings) => findings[0].remedy.clone(),
        }
    }
    /// The findings, where there are any.
    pub fn findings(&self) -> &[Finding] {
        match self {
            LowerError::Retime(_) => &[],
            LowerError::Delays(findings) => findings,
        }
    }
}

/// Removes what is dead, compacts, and sets the skews.
///
/// Errors: a loop with less net delay than hops; delays that no register holds.
pub fn lower<N: Liveness>(net: Net<N>, target: &Target, options: &LowerOptions) -> Result<(Net<N>, LowerReport), LowerError> {
    let keep = if options.remove_dead { live(&net) } else { net.populations.iter().map(|p| vec![true; p.len()]).collect() };
    let way_out = ways_out(&net);
    let before: Vec<u64> = net.projections.iter().map(|p| p.synapses.len() as u64).collect();
    let (mut lowered, kept_projections) = compact(&net, &keep);
    for (population, skew) in retime::skews(&lowered, target)?.into_iter().enumerate() {
        lowered.populations[population].skew = skew;
    }
    let mut findings = retime::delay_findings(&lowered, target);
    if !findings.is_empty() {
        finding::sort(&mut findings);
        return Err(LowerError::Delays(findings));
    }
    let constants = constants(&lowered);
    let populations = (0..net.populations.len()).map(|p| {
        let dead = |out: bool| (0..keep[p].len()).filter(|&i| !keep[p][i] && way_out[p][i] == out).count() as u32;
        PopulationLowered {
            name: net.populations[p].name.clone(),
            trained: net.populations[p].trained_len() as u32,
            kept: lowered.populations[p].len() as u32,
            no_way_out: dead(false),
            no_way_in: dead(true),
            constants: constants[p],
            skew: lowered.populations[p].skew,
        }
    });
    let projections = lowered.projections.iter().zip(&kept_projections).map(|(p, &k)| ProjectionLowered {
        name: p.name.clone(),
        synapses: (before[k], p.synapses.len() as u64),
        net_delay: p.synapses.delay_bounds(),
        chip_delay: retime::chip_delay_range(&lowered, p),
    });
    let dropped = (0..net.projections.len()).filter(|k| kept_projections.binary_search(k).is_err());
    let report = LowerReport {
        populations: populations.collect(),
        projections: projections.collect(),
        dropped_projections: dropped.map(|k| net.projections[k].name.clone()).collect(),
        synapses: (net.synapse_count() as u64, lowered.synapse_count() as u64),
        host_terms: (net.host_term_count() as u64, lowered.host_term_count() as u64),
    };
    Ok((lowered, report))
}

/// Which neurons have a path of synapses to the output population, itself included.
fn ways_out<N: Number>(net: &Net<N>) -> Vec<Vec<bool>> {
    // Synapses and host terms by postsynaptic neuron: (pre population, pre neuron).
    let mut sources: Vec<Vec<Vec<(PopulationId, u32)>>> = net.populations.iter().map(|p| vec![Vec::new(); p.len()]).collect();
    for p in &net.projections {
        for (i, j, _, _) in p.synapses.iter() {
            sources[p.post.index()][j as usize].push((p.pre, i));
        }
    }
    for h in &net.host_projections {
        for (j, row) in h.offsets.windows(2).enumerate() {
            let channels = &h.channels[row[0] as usize..row[1] as usize];
            sources[h.post.index()][j].extend(channels.iter().map(|&c| (h.pre, c)));
        }
    }
    let mut reached: Vec<Vec<bool>> = net.populations.iter().map(|p| vec![false; p.len()]).collect();
    reached[net.output.index()].fill(true);
    let mut open: Vec<(PopulationId, u32)> = (0..net.population(net.output).len() as u32).map(|j| (net.output, j)).collect();
    while let Some((p, j)) = open.pop() {
        for &(q, i) in &sources[p.index()][j as usize] {
            if !std::mem::replace(&mut reached[q.index()][i as usize], true) {
                open.push((q, i));
            }
        }
    }
    reached
}

/// How many neurons of each population no synapse and no host term reaches, but their bias alone may make fire.
fn constants<N: Liveness>(net: &Net<N>) -> Vec<u32> {
    let mut driven: Vec<Vec<bool>> = net.populations.iter().map(|p| vec![false; p.len()]).collect();
    for p in &net.projections {
        for &j in &p.synapses.posts {
            driven[p.post.index()][j as usize] = true;
        }
    }
    for h in &net.host_projections {
        for (j, row) in h.offsets.windows(2).enumerate() {
            driven[h.post.index()][j] |= row[1] > row[0];
        }
    }
    let alone = |(p, driven): (&Population<N>, &Vec<bool>)| {
        p.neurons().iter().zip(driven).filter(|(n, d)| !**d && N::fires_alone(&net.rules, n)).count() as u32
    };
    net.populations.iter().zip(&driven).map(alone).collect()
}

/// The net with only the neurons and channels of `keep`, and the indices of the projections that are left.
fn compact<N: Number>(net: &Net<N>, keep: &[Vec<bool>]) -> (Net<N>, Vec<usize>) {
    let renumber: Vec<Vec<Option<u32>>> = keep.iter().map(|k| new_indices(k)).collect();
    let populations = net.populations.iter().zip(keep).map(|(p, k)| Population {
        name: p.name.clone(),
        shape: p.shape.clone(),
        origin: kept(&p.origin, k),
        skew: p.skew,
        role: match &p.role {
            Role::SpikeInput => Role::SpikeInput,
            Role::AnalogInput => Role::AnalogInput,
            Role::Neurons(neurons) => Role::Neurons(kept(neurons, k)),
        },
    });
    let (mut projections, mut indices) = (Vec::new(), Vec::new());
    for (k, p) in net.projections.iter().enumerate() {
        let synapses = compact_synapses(&p.synapses, &renumber[p.pre.index()], &renumber[p.post.index()]);
        if !synapses.is_empty() {
            projections.push(Projection { name: p.name.clone(), pre: p.pre, post: p.post, format: p.format.clone(), synapses });
            indices.push(k);
        }
    }
    let host = net.host_projections.iter().map(|h| compact_host(h, &renumber[h.pre.index()], &keep[h.post.index()]));
    let lowered = Net {
        name: net.name.clone(),
        rules: net.rules.clone(),
        populations: populations.collect(),
        projections,
        host_projections: host.filter(|h| !h.constants.is_empty()).collect(),
        output: net.output,
    };
    (lowered, indices)
}

fn new_indices(keep: &[bool]) -> Vec<Option<u32>> {
    let mut next = 0;
    let number = |&k: &bool| {
        next += k as u32;
        k.then(|| next - 1)
    };
    keep.iter().map(number).collect()
}

fn kept<T: Clone>(values: &[T], keep: &[bool]) -> Vec<T> {
    values.iter().zip(keep).filter(|(_, k)| **k).map(|(v, _)| v.clone()).collect()
}

/// Synapses between kept neurons, renumbered; order and delays stay.
fn compact_synapses<W: Copy>(synapses: &Synapses<W>, pre: &[Option<u32>], post: &[Option<u32>]) -> Synapses<W> {
    let mut out = Synapses { offsets: vec![0], posts: Vec::new(), weights: Vec::new(), delays: Delays::Uniform(0) };
    let mut delays = Vec::new();
    for (i, _) in pre.iter().enumerate().filter(|(_, kept)| kept.is_some()) {
        for k in synapses.row(i) {
            if let Some(j) = post[synapses.posts[k] as usize] {
                out.posts.push(j);
                out.weights.push(synapses.weights[k]);
                delays.push(synapses.delay(k));
            }
        }
        out.offsets.push(out.posts.len() as u32);
    }
    out.delays = as_delays(delays);
    out
}

/// `Uniform` where all delays are equal.
pub(crate) fn as_delays(delays: Vec<u16>) -> Delays {
    let first = delays.first().copied().unwrap_or(0);
    if delays.iter().all(|&d| d == first) { Delays::Uniform(first) } else { Delays::Each(delays) }
}

/// Rows of kept posts, terms of kept channels. A dead channel of a live post can't be: a term makes it live.
fn compact_host(host: &HostProjection, channel: &[Option<u32>], keep: &[bool]) -> HostProjection {
    let mut out = HostProjection {
        name: host.name.clone(),
        pre: host.pre,
        post: host.post,
        offsets: vec![0],
        channels: Vec::new(),
        weights: Vec::new(),
        constants: kept(&host.constants, keep),
        gains: kept(&host.gains, keep),
        delay_steps: host.delay_steps,
    };
    for (row, _) in host.offsets.windows(2).zip(keep).filter(|(_, k)| **k) {
        for k in row[0] as usize..row[1] as usize {
            if let Some(c) = channel[host.channels[k] as usize] {
                out.channels.push(c);
                out.weights.push(host.weights[k]);
            }
        }
        out.offsets.push(out.channels.len() as u32);
    }
    out
}
