//! Which neurons have splitters, and the parts that come of it: the fewest cores of a few choices.
//!
//! In: [`Wired`], timed. Out: [`Held`]: the net with relays and splitters, on parts that fit; or every limit that is broken with copies alone.
//! Invariant: splitters are chosen only where they take fewer cores than copies, or where copies don't fit; timing stays exact, for a projection whose loop
//! has no slack for one more chip step keeps its copies.
//! Cost: a partition for each choice: of all neurons by their number of destinations, then of each population on its own.

use super::partition::{self, Partitioned};
use super::quantize::Wired;
use super::relays::relayed;
use super::split::Splits;
use crate::finding::Finding;
use crate::partition::Effort;
use crate::relay::RelayReport;
use crate::retime::skews_with_slack;
use spikec_chip::crossbar::Crossbar as Spec;
use spikec_chip::target::Target;
use spikec_net::Projection;

/// Destinations from which on a neuron may have a splitter; the last choice is more than a core has rows.
const LEAST: [u32; 3] = [2, 9, 65];
/// Work of a partition (synapses, and the square of each layer) beyond which splitters are looked for only where copies don't fit.
const MOST_WORK: usize = 1 << 26;
/// Populations that are tried one by one.
const MOST_POPULATIONS: usize = 24;

/// A net on parts.
pub struct Held {
    /// The net, with relays and splitters.
    pub wired: Wired,
    /// Its parts.
    pub parts: Partitioned,
    /// Relays for delays.
    pub relays: RelayReport,
    /// Splitters.
    pub splitters: u64,
    /// Cores with copies alone; none where these don't fit.
    pub cores_of_copies: Option<u32>,
}

impl Held {
    fn cores(&self) -> usize {
        self.parts.parts().len()
    }
}

/// What a net is held by.
pub struct Choice<'a> {
    /// Target.
    pub target: &'a Target,
    /// Its family.
    pub spec: &'a Spec,
    /// Effort.
    pub effort: Effort,
}

impl Choice<'_> {
    /// Holds a net.
    ///
    /// # Errors
    /// What copies alone break.
    pub fn hold(&self, wired: &Wired) -> Result<Held, Vec<Finding>> {
        let copies = self.attempt(wired, &Splits::default());
        let net = &wired.quantized.net;
        let populations = net.populations.len();
        let work = net.populations.iter().map(|p| p.neurons().len().pow(2)).fold(net.synapse_count(), usize::saturating_add);
        let much = work > MOST_WORK;
        let (mut best, refused) = match copies {
            Ok(held) => {
                if held.cores() == 1 || much || self.effort == Effort::Fast || held.parts.repeated() == 0 {
                    return Ok(held);
                }
                (Some(held), Vec::new())
            }
            // More rows don't help where axons are short.
            Err(findings) if findings.iter().any(|f| f.code != "C18") => return Err(findings),
            Err(findings) => (None, findings),
        };
        let of_copies = best.as_ref().map(|held| held.cores() as u32);
        let mut chosen = Splits::default();
        let take = |splits: Splits, best: &mut Option<Held>, chosen: &mut Splits| {
            let Ok(held) = self.attempt(wired, &splits) else { return };
            if held.splitters > 0 && best.as_ref().is_none_or(|b| held.cores() < b.cores()) {
                (*best, *chosen) = (Some(held), splits);
            }
        };
        for least in LEAST.into_iter().chain([*self.spec.core.neurons / 2 + 1, *self.spec.core.neurons + 1]) {
            take(Splits { least: vec![Some(least); populations] }, &mut best, &mut chosen);
        }
        for p in (0..populations).filter(|&p| populations <= MOST_POPULATIONS && !net.populations[p].is_input()) {
            if best.is_none() || much {
                break;
            }
            let mut splits = if chosen.any() { chosen.clone() } else { Splits { least: vec![None; populations] } };
            splits.least[p] = if splits.least[p].is_some() { None } else { Some(LEAST[0]) };
            take(splits, &mut best, &mut chosen);
        }
        match best {
            Some(held) => Ok(Held { cores_of_copies: of_copies, ..held }),
            None => Err(self.named(wired, refused)),
        }
    }

    /// The net with relays and these splitters.
    pub(super) fn attempt(&self, wired: &Wired, splits: &Splits) -> Result<Held, Vec<Finding>> {
        let timed = if splits.any() { self.retimed(wired, splits).0 } else { wired.clone() };
        let early = super::early_leaks(&timed);
        if !early.is_empty() {
            return Err(early);
        }
        let (relayed, relays) = relayed(timed, self.target, self.spec)?;
        let (wired, parts, splitters) = partition::partition(&relayed, self.spec, splits)?;
        Ok(Held { wired, parts, relays, splitters, cores_of_copies: None })
    }

    /// The net with skews that give splitters their chip step, and names of the projections that have no slack for it.
    fn retimed(&self, wired: &Wired, splits: &Splits) -> (Wired, Vec<String>) {
        let net = &wired.quantized.net;
        let split = |p: &Projection<_>| !net.population(p.pre).is_input() && splits.least[p.pre.index()].is_some();
        let wanted: Vec<bool> = net.projections.iter().map(split).collect();
        let mut longer = wanted.clone();
        let Some(skews) = skews_with_slack(net, self.target, &mut longer) else { return (wired.clone(), Vec::new()) };
        let tight = net.projections.iter().enumerate().filter(|(k, _)| wanted[*k] && !longer[*k]);
        let tight = tight.map(|(_, p)| p.name.clone()).collect();
        let mut timed = wired.clone();
        let of = |unit: u32| wired.bases.partition_point(|&b| b <= unit) - 1;
        let later = |p: usize| i64::from(skews[p]) - i64::from(net.populations[p].skew);
        for (unit, own) in timed.inputs.iter_mut().enumerate().filter(|(_, own)| !own.is_empty()) {
            let post = later(of(unit as u32));
            for input in own.iter_mut() {
                input.delay = (i64::from(input.delay) + post - later(of(input.source))) as u32;
            }
            own.sort_unstable();
        }
        timed.quantized.net.populations.iter_mut().zip(&skews).for_each(|(p, &skew)| p.skew = skew);
        (timed, tight)
    }

    /// The findings, with the names of the projections whose loops leave no step for a splitter.
    fn named(&self, wired: &Wired, mut findings: Vec<Finding>) -> Vec<Finding> {
        let all = Splits { least: vec![Some(LEAST[0]); wired.quantized.net.populations.len()] };
        let tight = self.retimed(wired, &all).1;
        if !tight.is_empty() {
            let tight = tight.join(", ");
            findings.iter_mut().for_each(|f| {
                f.remedy =
                    format!("{}; splitters can't serve {tight}: its loop has no slack of a step, give it one more step of delay", f.remedy);
            });
        }
        findings
    }
}
