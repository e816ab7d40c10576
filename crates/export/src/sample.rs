//! A sample, and the spikes that the host makes of it.

use crate::error::ExportError;
use spikec_chip::Loadable;
use spikec_chip::bundle::{Encoder, Origin, Place};
use spikec_data::{SpikeTrain, Stimulus, latency, rate};

/// The sample that is exported with a bundle.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// Its number in the data, for the record.
    pub index: usize,
    /// Its input.
    pub stimulus: &'a Stimulus,
    /// Network steps; `None`: as the data say, else the bundle's default.
    pub steps: Option<u32>,
}

/// What the host sends in each chip step, and how long the sample is.
#[derive(Debug)]
pub(crate) struct Sent {
    /// Network steps.
    pub steps: u32,
    /// For each chip step, the input axons (or rows) of the channels that spike for it, by channel; `input_axons` before injections.
    pub places: Vec<Vec<Place>>,
}

impl Sample<'_> {
    /// The spikes of a sample's channels. `once` refuses channels that spike more than once in a step.
    pub(crate) fn sent(&self, bundle: &Loadable<'_>, once: bool) -> Result<Sent, ExportError> {
        let host = bundle.host;
        let steps = self.steps.or(self.stimulus.steps()).or(host.default_steps).filter(|&t| t > 0).ok_or(ExportError::Steps)?;
        let width = self.stimulus.width();
        if width != host.input_width {
            let (found, expected) = (format!("{width} channels"), format!("{}", host.input_width));
            return Err(ExportError::Sample { found, expected });
        }
        let train: SpikeTrain = match (&host.encoder, self.stimulus) {
            (Encoder::Spikes, Stimulus::Spikes(train)) => train.clone(),
            (Encoder::Rate { full_scale }, Stimulus::Values(values)) => rate(values, steps, *full_scale),
            (Encoder::Latency { full_scale }, Stimulus::Values(values)) => latency(values, steps, *full_scale),
            (Encoder::Spikes, Stimulus::Values(_)) => {
                return Err(ExportError::Sample { found: "values".into(), expected: "spikes".into() });
            }
            (_, Stimulus::Spikes(_)) => return Err(ExportError::Sample { found: "spikes".into(), expected: "values".into() }),
            (Encoder::Bias, Stimulus::Values(_)) => {
                return Err(ExportError::Sample { found: "values that become biases".into(), expected: "spikes".into() });
            }
        };
        let channels = host.injections.iter().filter(|i| matches!(i.from, Origin::Channel(_)));
        let longest = channels.map(|i| i.delay_steps).max().unwrap_or(0);
        let mut places = vec![Vec::new(); steps as usize + host.max_skew.max(longest) as usize];
        for t in 0..steps {
            let spikes = train.at(t);
            if let Some(pair) = spikes.windows(2).find(|pair| once && pair[0] == pair[1]) {
                return Err(ExportError::Repeated { channel: pair[0], step: t });
            }
            for &channel in spikes {
                places[t as usize].extend(host.input_axons.get(channel as usize).into_iter().flatten());
                let from = Origin::Channel(channel);
                let first = host.injections.partition_point(|i| i.from < from);
                for injection in host.injections[first..].iter().take_while(|i| i.from == from) {
                    places[t as usize + injection.delay_steps as usize].push(injection.to);
                }
            }
        }
        Ok(Sent { steps, places })
    }
}
