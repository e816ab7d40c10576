//! What the host sends to axons: spikes of channels, at once or later, and spikes of neurons that it sends back.
//!
//! In: the bundle's host section. Out: for a chip step the axons that the host's spikes reach.
//! Invariant: every axon, channel and neuron named here exists; a neuron's spike comes back a step later at the earliest.

use crate::boot::{BootError, Spot};
use crate::check::range;
use crate::record::FindLane;
use crate::run::Feed;
use spikec_chip::bundle::{Host, Origin};
use std::collections::BTreeMap;

/// Longest delay of an injection in chip steps.
const MAX_DELAY: u32 = 65_535;

/// Axons that the host's channels enter, and neurons whose spikes it sends back.
#[derive(Debug)]
pub(crate) struct Arrivals {
    /// Of each channel: axons in the chip step of the spike.
    now: Vec<Vec<u32>>,
    /// (delay, (channel, axon) ascending), by delay.
    later: Vec<(u32, Vec<(u32, u32)>)>,
    /// (delay, lane of the neuron, axon), ascending.
    pub returns: Vec<(u32, u32, u32)>,
}

impl Arrivals {
    pub(crate) fn channels(&self) -> usize {
        self.now.len()
    }

    /// Calls `each(axon)` for every spike of the host that acts in a chip step.
    pub(crate) fn at(&self, feed: &Feed<'_>, chip_step: u32, mut each: impl FnMut(u32)) {
        for &channel in feed.at(chip_step) {
            self.now[channel as usize].iter().for_each(|&axon| each(axon));
        }
        for (delay, list) in &self.later {
            let Some(step) = chip_step.checked_sub(*delay) else { break };
            for &channel in feed.at(step) {
                let from = list.partition_point(|e| e.0 < channel);
                list[from..].iter().take_while(|e| e.0 == channel).for_each(|e| each(e.1));
            }
        }
    }

    /// Checks the host's places: `axon` and `neuron` find the number of an axon and the lane of a neuron.
    pub(crate) fn new(host: &Host, axon: FindLane<'_>, neuron: FindLane<'_>) -> Result<Arrivals, BootError> {
        let mut now = Vec::with_capacity(host.input_axons.len());
        for (channel, places) in host.input_axons.iter().enumerate() {
            now.push(places.iter().map(|&p| axon(Spot::host("input_axons", channel), p)).collect::<Result<Vec<u32>, _>>()?);
        }
        let mut later = BTreeMap::<u32, Vec<(u32, u32)>>::new();
        let mut returns = Vec::new();
        for (k, injection) in host.injections.iter().enumerate() {
            let spot = Spot::host("injections", k);
            let (delay, to) = (injection.delay_steps, axon(spot, injection.to)?);
            match injection.from {
                Origin::Channel(channel) => {
                    range(spot, "channel", channel, 0, now.len() as i128 - 1)?;
                    range(spot, "delay_steps", delay, 0, MAX_DELAY.into())?;
                    later.entry(delay).or_default().push((channel, to));
                }
                Origin::Neuron(place) => {
                    range(spot, "delay_steps (from a neuron)", delay, 1, MAX_DELAY.into())?;
                    returns.push((delay, neuron(spot, place)?, to));
                }
            }
        }
        let mut later: Vec<_> = later.into_iter().collect();
        later.iter_mut().for_each(|(_, list)| list.sort_unstable());
        returns.sort_unstable();
        Ok(Arrivals { now, later, returns })
    }
}
