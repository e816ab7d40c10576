//! Why did a neuron diverge? Evidence first, then the shape of the divergence.
//!
//! In: the bundle, the divergence, the reference's states of the neuron, the simulator's spikes. Out: a [`LikelyCause`].
//! Invariant: a difference of the image check is evidence and comes first; the rest are hints and say so by their name.
//! Cost: one image check (bits against reference), only after a divergence.

use crate::behave::{Inputs, Parting, Probe, Reference, What};
use crate::difference::{Difference, Differences};
use crate::family::Registers;
use crate::image::Checked;
use serde::Serialize;
use spikec_net::Quantized;
use spikec_sim::SpikeEvent;
use std::fmt;

/// What a divergence is probably due to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum LikelyCause {
    /// The image check finds this difference at the neuron or at a synapse of it.
    Image(Box<Difference>),
    /// The image check finds differences, this the first, but none at this neuron.
    ImageElsewhere(Box<Difference>),
    /// The image can't be compared.
    Unreadable(String),
    /// The same spikes, this many steps later (negative: earlier): a delay or skew.
    Shifted(i64),
    /// A register was too small in this sample: the engines disagree about overflow.
    Overflow {
        /// Currents that wrapped.
        u_wraps: u64,
        /// Potentials that were clipped.
        v_clips: u64,
    },
    /// v is this far below the threshold where the simulator fires: a threshold, bias or decay.
    NearThreshold(i64),
    /// All spikes are equal: the decoder reads another place or step.
    Decoder,
    /// Nothing is known.
    Unknown,
}

impl fmt::Display for LikelyCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LikelyCause::Image(d) => write!(f, "{d}"),
            LikelyCause::ImageElsewhere(d) => write!(f, "an image that differs elsewhere ({d})"),
            LikelyCause::Unreadable(why) => write!(f, "an image that can't be compared ({why})"),
            LikelyCause::Shifted(steps) => write!(f, "a delay or skew: the same spikes come {steps} steps later"),
            LikelyCause::Overflow { u_wraps, v_clips } => {
                write!(f, "overflow: the reference counts {u_wraps} wraps of u and {v_clips} clips of v in this sample")
            }
            LikelyCause::NearThreshold(distance) => {
                write!(f, "threshold, bias or decay: the reference's v is {distance} below the threshold")
            }
            LikelyCause::Decoder => f.write_str("the decoder: all spikes are equal"),
            LikelyCause::Unknown => f.write_str("unknown: the image check finds nothing, the engines disagree about the step"),
        }
    }
}

/// Looks for the cause of a divergence.
pub(crate) fn find<N: Registers>(
    both: &Reference<N>,
    inputs: &Inputs<N>,
    parting: &Parting,
    probe: &Probe,
    events: &[SpikeEvent],
) -> LikelyCause {
    let mut differences = Differences::about(parting.population, parting.index);
    let quantized = Quantized::<N>::from_bytes(&both.bundle.reference);
    let compared = quantized
        .map_err(|e| e.to_string())
        .and_then(|q| N::compare_image(both.bundle, &q, &mut differences, &mut Checked::default()).map_err(|e| e.to_string()));
    if let Err(why) = compared {
        return LikelyCause::Unreadable(why);
    }
    if let Some(d) = differences.kept.into_iter().next() {
        return LikelyCause::Image(Box::new(d));
    }
    if let Some(d) = differences.elsewhere {
        return LikelyCause::ImageElsewhere(Box::new(d));
    }
    if parting.what != What::Spike {
        return LikelyCause::Decoder;
    }
    let mine = events.iter().filter(|e| (e.population, e.neuron) == (parting.population, parting.index));
    if let Some(steps) = shift(&probe.spikes, &mine.map(|e| e.step).collect::<Vec<_>>(), inputs.steps) {
        return LikelyCause::Shifted(steps);
    }
    let counters = both.run(inputs, false).counters;
    if counters.u_wraps + counters.v_clips > 0 {
        return LikelyCause::Overflow { u_wraps: counters.u_wraps, v_clips: counters.v_clips };
    }
    near_threshold(both, parting, probe).unwrap_or(LikelyCause::Unknown)
}

/// The shift that makes the reference's spikes the simulator's, spikes that leave the sample left out; at least two must agree.
pub(crate) fn shift(reference: &[u32], simulated: &[u32], steps: u32) -> Option<i64> {
    let (a, b) = (*reference.first()?, *simulated.first()?);
    let shift = i64::from(b) - i64::from(a);
    let moved: Vec<i64> = reference.iter().map(|&t| i64::from(t) + shift).filter(|&t| (0..i64::from(steps)).contains(&t)).collect();
    let agree = moved.len() >= 2 && moved.iter().copied().eq(simulated.iter().map(|&t| i64::from(t)));
    (shift != 0 && agree).then_some(shift)
}

fn near_threshold<N: Registers>(both: &Reference<N>, parting: &Parting, probe: &Probe) -> Option<LikelyCause> {
    let p = &both.net.populations[parting.population as usize];
    let n = &p.neurons()[p.origin.binary_search(&parting.index).ok()?];
    let (_, v) = probe.states.get(parting.step as usize)?;
    let (distance, reach) = N::gap(&both.net.rules, n, *v);
    (parting.reference == 0.0 && (0..reach).contains(&distance)).then_some(LikelyCause::NearThreshold(distance))
}

#[cfg(test)]
mod tests {
    use super::shift;

    #[test]
    fn a_shift_is_found_only_when_all_spikes_move_together() {
        assert_eq!(shift(&[1, 4, 5], &[2, 5, 6], 10), Some(1));
        assert_eq!(shift(&[1, 4, 9], &[2, 5], 10), Some(1));
        assert_eq!(shift(&[3, 4, 9], &[2, 3, 8], 10), Some(-1));
        assert_eq!(shift(&[1, 4], &[2, 6], 10), None);
        assert_eq!(shift(&[1, 4], &[1, 4], 10), None);
        assert_eq!(shift(&[1], &[2], 10), None);
        assert_eq!(shift(&[], &[2], 10), None);
    }
}
