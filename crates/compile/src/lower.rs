//! Lowering: dead neurons go, what is left is compacted, and every population gets its skew.
//!
//! In: a net as elaborated (`origin` the identity, skews 0). Out: the same net as it will stand on the chip.
//! Invariant: the outputs of the network don't change; `origin` still names the neurons as trained; a population that
//! loses all its neurons keeps its place, so that ids stay; a projection without synapses goes.
//! Cost: O(neurons + synapses).
//! Why: a neuron without a live way in, or without a way to the output, costs memory and does nothing.

use crate::finding::{self, Finding};
use crate::relay::RelayReport;
use crate::retime::{self, RetimeError, TightLoop};
use serde::Serialize;
use spikec_chip::Target;
use spikec_net::{Builder, Entering, HostProjection, Liveness, Net, NetError, Number, Population, Role, Synapses, Weight, live_of};
use thiserror::Error;

/// What lowering does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LowerOptions {
    /// Removes neurons and input channels without effect on the output.
    pub remove_dead: bool,
    /// What becomes of loops with less net delay than hops.
    pub timing: TimingPolicy,
}

/// What becomes of a loop that has less net delay than hops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimingPolicy {
    /// It is refused.
    #[default]
    Exact,
    /// Its longest edge gets the missing steps, and that is declared.
    AllowLag,
}

/// A projection that acts later than in the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lag {
    /// Name of the projection.
    pub projection: String,
    /// Network steps added to the delays of its synapses.
    pub steps: u16,
}

impl Default for LowerOptions {
    fn default() -> Self {
        LowerOptions { remove_dead: true, timing: TimingPolicy::Exact }
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
    /// Neurons that repeat spikes for delays beyond the chip's; made after quantizing.
    pub relays: RelayReport,
    /// Projections that act later than in the network, because the policy allows it.
    pub lags: Vec<Lag>,
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
    /// Not a well-formed net.
    #[error(transparent)]
    Net(#[from] NetError),
    /// Loops and delays that the chip can't time, C11; sorted, at least one.
    #[error("{}", finding::first(.0))]
    Findings(Vec<Finding>),
}

impl LowerError {
    /// A remedy.
    pub fn hint(&self) -> String {
        match self {
            LowerError::Net(e) => e.hint(),
            LowerError::Findings(findings) => findings[0].remedy.clone(),
        }
    }
    /// The findings, where there are any.
    pub fn findings(&self) -> &[Finding] {
        match self {
            LowerError::Findings(findings) => findings,
            LowerError::Net(_) => &[],
        }
    }
}

/// A lowered net, with what stands in its way.
#[derive(Debug, Clone, PartialEq)]
pub struct Lowered<N: Number> {
    /// The net.
    pub net: Net<N>,
    /// What was done.
    pub report: LowerReport,
    /// C11; empty where the chip can time the net.
    pub findings: Vec<Finding>,
    /// False where a loop leaves the populations without skews: all of them are 0.
    pub timed: bool,
}

/// Removes what is dead, compacts, and sets the skews.
///
/// Errors: a net that is not well formed; a loop with less net delay than hops; delays that no register holds.
pub fn lower<N: Liveness>(net: Net<N>, target: &Target, options: &LowerOptions) -> Result<(Net<N>, LowerReport), LowerError> {
    let lowered = lower_all(net, target, options)?;
    if lowered.findings.is_empty() { Ok((lowered.net, lowered.report)) } else { Err(LowerError::Findings(lowered.findings)) }
}

/// As [`lower`], but goes on where the chip can't time the net, so that later stages can look for more.
///
/// Errors: a net that is not well formed.
pub fn lower_all<N: Liveness>(mut net: Net<N>, target: &Target, options: &LowerOptions) -> Result<Lowered<N>, NetError> {
    net.check()?;
    let entering = Entering::new(&net);
    let all = || net.populations.iter().map(|p| vec![true; p.len()]).collect();
    let keep = if options.remove_dead { live_of(&net, &entering) } else { all() };
    let way_out = entering.ways_out(&net);
    drop(entering);
    let before: Vec<(String, u64)> = net.projections.iter().map(|p| (p.name.clone(), p.synapses.len() as u64)).collect();
    let (mut lowered, kept_projections) = compact(&mut net, &keep);
    let mut findings = Vec::new();
    let mut lags = Vec::new();
    let skews = loop {
        match retime::skews(&lowered, target) {
            Err(RetimeError::Infeasible(tight)) if options.timing == TimingPolicy::AllowLag && add_lag(&mut lowered, &tight, &mut lags) => {
            }
            found => break found,
        }
    };
    let timed = skews.is_ok();
    match skews {
        Ok(skews) => lowered.populations.iter_mut().zip(skews).for_each(|(population, skew)| population.skew = skew),
        Err(e) => findings.push(untimed(&e)),
    }
    finding::sort(&mut findings);
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
        synapses: (before[k].1, p.synapses.len() as u64),
        net_delay: p.synapses.delay_bounds(),
        chip_delay: retime::chip_delay_range(&lowered, p),
    });
    let dropped = (0..before.len()).filter(|k| kept_projections.binary_search(k).is_err());
    let report = LowerReport {
        populations: populations.collect(),
        projections: projections.collect(),
        dropped_projections: dropped.map(|k| before[k].0.clone()).collect(),
        synapses: (before.iter().map(|b| b.1).sum(), lowered.synapse_count() as u64),
        host_terms: (net.host_term_count() as u64, lowered.host_term_count() as u64),
        relays: RelayReport::default(),
        lags,
    };
    Ok(Lowered { net: lowered, report, findings, timed })
}

/// Adds the steps that a loop misses to its edge of the largest delay, the one that closes it in most networks. False where that can't be.
fn add_lag<N: Number>(net: &mut Net<N>, tight: &TightLoop, lags: &mut Vec<Lag>) -> bool {
    let delay = |name: &String| net.projections.iter().find(|p| p.name == *name).map_or(0, |p| p.synapses.delay_bounds().0);
    let Some(name) = tight.projections.iter().rev().max_by_key(|name| delay(name)) else { return false };
    let Ok(steps) = u16::try_from(tight.hop_steps - tight.net_delay_steps) else { return false };
    if !net.lag(name, steps) {
        return false;
    }
    match lags.iter_mut().find(|l| l.projection == *name) {
        Some(lag) => lag.steps += steps,
        None => lags.push(Lag { projection: name.clone(), steps }),
    }
    true
}

/// Why there are no skews, as a finding.
fn untimed(error: &RetimeError) -> Finding {
    let (resource, need, limit) = match error {
        RetimeError::Infeasible(tight) => {
            (format!("chip steps of the loop {tight} within its net delay"), tight.hop_steps as f64, tight.net_delay_steps as f64)
        }
        RetimeError::Overflow { population, skew } => (format!("skew of {population} (chip steps)"), *skew as f64, f64::from(u32::MAX)),
    };
    Finding::error("C11", resource, need, limit, error.hint())
}

/// How many neurons of each population no synapse and no host term reaches, but their bias alone may make fire.
fn constants<N: Liveness>(net: &Net<N>) -> Vec<u32> {
    let mut driven: Vec<Vec<bool>> = net.populations.iter().map(|p| vec![false; p.len()]).collect();
    for p in &net.projections {
        p.synapses.rows().for_each(|row| row.posts().for_each(|j| driven[p.post.index()][j as usize] = true));
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

/// The net with only the neurons and channels of `keep`, and the indices of the projections that are left; takes the net's projections.
fn compact<N: Number>(net: &mut Net<N>, keep: &[Vec<bool>]) -> (Net<N>, Vec<usize>) {
    let renumber: Vec<Vec<Option<u32>>> = keep.iter().map(|k| new_indices(k)).collect();
    let kept_of = |(p, k): (&Population<N>, &Vec<bool>)| Population {
        name: p.name.clone(),
        shape: p.shape.clone(),
        origin: kept(&p.origin, k),
        skew: p.skew,
        role: match &p.role {
            Role::SpikeInput => Role::SpikeInput,
            Role::AnalogInput => Role::AnalogInput,
            Role::Neurons(neurons) => Role::Neurons(kept(neurons, k)),
        },
    };
    let populations = net.populations.iter().zip(keep).map(kept_of).collect();
    let (mut projections, mut indices) = (Vec::new(), Vec::new());
    for (k, mut p) in std::mem::take(&mut net.projections).into_iter().enumerate() {
        let (pre, post) = (&renumber[p.pre.index()], &renumber[p.post.index()]);
        if !pre.iter().chain(post).all(Option::is_some) {
            p.synapses = compact_synapses(&p.synapses, pre, post);
        }
        if !p.synapses.is_empty() {
            projections.push(p);
            indices.push(k);
        }
    }
    let host = net.host_projections.iter().map(|h| compact_host(h, &renumber[h.pre.index()], &keep[h.post.index()]));
    let lowered = Net {
        name: net.name.clone(),
        rules: net.rules.clone(),
        populations,
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
fn compact_synapses<W: Weight>(synapses: &Synapses<W>, pre: &[Option<u32>], post: &[Option<u32>]) -> Synapses<W> {
    let mut out = Builder::new();
    for (row, _) in synapses.rows().zip(pre).filter(|(_, kept)| kept.is_some()) {
        out.push_row(row.iter().filter_map(|(j, weight, delay)| post[j as usize].map(|j| (j, weight, delay))));
    }
    out.finish()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantize::{QuantizeOptions, quantize};
    use crate::testnets::{channels, loihi, population, projection, random_net, random_spikes};
    use proptest::prelude::*;
    use spikec_net::{FireRule, Fixed, Float, FloatNeuron, FloatRules, Interpreter, PopulationId, Projection, ResetRule};

    const LIF: FloatNeuron = FloatNeuron { keep_u: 0.0, keep_v: 0.5, gain: 0.5, bias: 0.0, threshold: 1.0, v_reset: 0.0 };

    fn net(populations: Vec<Population<Float>>, projections: Vec<Projection<Float>>) -> Net<Float> {
        Net {
            name: "net".into(),
            rules: FloatRules { fire: FireRule::Greater, reset: ResetRule::ToValue },
            output: PopulationId::from(populations.len() - 1),
            populations,
            projections,
            host_projections: Vec::new(),
        }
    }

    /// input(3) -> hidden(5) -> out(2): hidden 0 on the path, 1 without a way in, 2 without a way out, 3 a constant source, 4 neither.
    fn small() -> Net<Float> {
        let mut hidden = vec![LIF; 5];
        hidden[3].bias = 2.0;
        net(
            vec![channels(3), population("hidden", hidden), population("out", vec![LIF; 2])],
            vec![
                projection("a", (0, 1), 3, vec![(0, 0, 1.0, 0), (1, 2, 1.0, 0)]),
                projection("b", (1, 2), 5, vec![(0, 0, 1.0, 0), (1, 0, 1.0, 0), (3, 0, -1.0, 1)]),
                projection("gone", (0, 2), 3, vec![(2, 1, 1.0, 0)]),
            ],
        )
    }

    #[test]
    fn dead_neurons_go_and_are_counted_by_reason() {
        let mut trained = small();
        trained.projections.pop();
        let (lowered, report) = lower(trained, &loihi(), &LowerOptions::default()).unwrap();
        assert_eq!(lowered.populations.iter().map(|p| p.origin.clone()).collect::<Vec<_>>(), [vec![0], vec![0, 3], vec![0]]);
        let counts: Vec<_> =
            report.populations.iter().map(|p| (p.trained, p.kept, p.no_way_out, p.no_way_in, p.constants, p.skew)).collect();
        assert_eq!(counts, [(3, 1, 2, 0, 0, 0), (5, 2, 2, 1, 1, 0), (2, 1, 0, 1, 0, 1)]);
        assert_eq!(lowered.projections[1].synapses.iter().collect::<Vec<_>>(), [(0, 0, 1.0, 0), (1, 0, -1.0, 1)]);
        assert_eq!((report.synapses, report.projections[1].chip_delay), ((5, 3), (1, 2)));
    }

    #[test]
    fn a_projection_that_loses_all_synapses_goes_but_its_populations_stay() {
        let mut trained = small();
        trained.output = PopulationId(1);
        let (lowered, report) = lower(trained, &loihi(), &LowerOptions::default()).unwrap();
        assert_eq!(report.dropped_projections, ["b", "gone"]);
        assert_eq!(lowered.populations.len(), 3);
        assert!(lowered.populations[2].is_empty());
    }

    #[test]
    fn nothing_is_removed_when_not_asked() {
        let trained = small();
        let (lowered, report) = lower(trained.clone(), &loihi(), &LowerOptions { remove_dead: false, ..LowerOptions::default() }).unwrap();
        assert_eq!(lowered.projections, trained.projections);
        assert!(report.populations.iter().all(|p| p.kept == p.trained && p.no_way_in + p.no_way_out == 0));
    }

    #[test]
    fn a_tight_loop_is_named() {
        let trained = net(
            vec![channels(1), population("a", vec![LIF]), population("b", vec![LIF])],
            vec![
                projection("in", (0, 1), 1, vec![(0, 0, 1.0, 0)]),
                projection("ab", (1, 2), 1, vec![(0, 0, 1.0, 0)]),
                projection("ba", (2, 1), 1, vec![(0, 0, 1.0, 1)]),
            ],
        );
        let error = lower(trained, &loihi(), &LowerOptions::default()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("a -[ab]-> b") && text.contains("b -[ba]-> a"), "{text}");
        assert!(text.contains("C11") && text.contains("need 2, limit 1"), "{text}");
        assert!(error.hint().contains("1 more step"), "{}", error.hint());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn outputs_do_not_change_and_delays_suffice(seed in any::<u64>()) {
            let (target, trained) = (loihi(), random_net(seed));
            let (lowered, report) = lower(trained.clone(), &target, &LowerOptions::default()).unwrap();
            prop_assert!(lowered.check().is_ok());
            let sample = random_spikes(&trained, seed ^ 1, 25);
            let run = |net: &Net<Float>| Interpreter::new(net).unwrap().sample(&sample, None, false).unwrap();
            let (before, after) = (run(&trained), run(&lowered));
            prop_assert_eq!(&before.out_counts, &after.out_counts);
            prop_assert_eq!(&before.first_spike, &after.first_spike);
            prop_assert_eq!(&before.potentials, &after.potentials);
            for p in &lowered.projections {
                let hop = retime::hop_steps(&lowered, p, &target) as i64;
                prop_assert!(p.synapses.iter().all(|(_, _, _, d)| lowered.chip_delay(p, d) >= hop));
            }
            for (p, line) in lowered.populations.iter().zip(&report.populations) {
                prop_assert_eq!(line.kept + line.no_way_in + line.no_way_out, line.trained);
                prop_assert_eq!(p.len() as u32, line.kept);
            }
            // The same in registers: their dead neurons change nothing either.
            let (whole, _) = lower(trained, &target, &LowerOptions { remove_dead: false, ..LowerOptions::default() }).unwrap();
            let registers = quantize(&whole, [0; 32], &target, &QuantizeOptions::default()).unwrap().0.net;
            let run = |net: &Net<Fixed>| Interpreter::new(net).unwrap().sample(&sample, None, (4095, 7), false).unwrap().0;
            let (before, after) = (run(&registers), run(&lower(registers.clone(), &target, &LowerOptions::default()).unwrap().0));
            prop_assert_eq!((before.out_counts, before.first_spike, before.potentials), (after.out_counts, after.first_spike, after.potentials));
            // Lowering again finds nothing more to remove.
            let (again, _) = lower(lowered.clone(), &target, &LowerOptions::default()).unwrap();
            prop_assert_eq!(again, lowered);
        }
    }
}
