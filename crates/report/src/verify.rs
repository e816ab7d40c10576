//! A verification for people and programs.

use crate::table::{count, percent};
use serde::Serialize;
use spikec_verify::{BehaviourVerdict, ImageVerdict, LossReport};

/// Differences shown before the rest is only counted.
const SHOWN: usize = 10;

/// The three answers of the verifier, never mixed.
#[derive(Debug, Serialize)]
pub struct VerifyReport {
    /// Are the bits the network?
    pub image: ImageVerdict,
    /// Do both engines spike alike? Only with data.
    pub behaviour: Option<BehaviourVerdict>,
    /// What did rounding cost? Only with data, and only for a network in floats.
    pub loss: Option<LossReport>,
}

impl VerifyReport {
    /// True when nothing that was checked differs; the loss is no part of it.
    pub fn holds(&self) -> bool {
        self.image.holds() && self.behaviour.as_ref().is_none_or(|b| b.holds())
    }

    /// The report as text.
    pub fn text(&self) -> String {
        let c = &self.image.checked;
        let mut out = if self.image.holds() {
            format!(
                "image: equal. {} synapses, {} compartments on {} cores, {} host terms, {} input channels compared with the network; {} removed neurons and channels are dead\n",
                count(c.synapses),
                count(c.compartments),
                count(c.cores),
                count(c.host_terms),
                count(c.input_channels),
                count(c.removed_neurons)
            )
        } else {
            format!("image: {} differ\n", count(self.image.total))
        };
        if self.image.holds() && c.copies > 0 {
            out.push_str(&format!(
                "copies: {} of the compartments are copies of neurons, each with all that its neuron has\n",
                count(c.copies)
            ));
        }
        if self.image.holds() && c.soft > 0 {
            out.push_str(&format!("soft reset: {} of the neurons take a threshold from their own current after a spike\n", count(c.soft)));
        }
        if self.image.holds() && c.relays > 0 {
            out.push_str(&format!(
                "relays: {} of the neurons only repeat others, for delays, destinations or sources that no neuron has alone\n",
                count(c.relays)
            ));
        }
        if c.dropped > 0 {
            out.push_str(&format!(
                "dropped: {} synapses of the network are not on the chip, whose cores have no room for them; their neurons lost {} of their squared weights\n",
                count(c.dropped),
                percent(self.image.rounding.dropped_share, 1.0)
            ));
        }
        for d in self.image.differences.iter().take(SHOWN) {
            out.push_str(&format!("  {d}\n"));
        }
        if self.image.total > SHOWN as u64 {
            out.push_str(&format!("  and {} more\n", count(self.image.total - SHOWN as u64)));
        }
        let r = &self.image.rounding;
        if r.declared_steps > 0.0 {
            out.push_str(&format!("rounding: weights within {:.3} grid steps ({:.3} declared)", r.weight_steps, r.declared_steps));
            if r.clipped_weights > 0 {
                out.push_str(&format!("; {} beyond their format's range, the farthest by {:.2}", count(r.clipped_weights), r.clip_steps));
            }
            out.push('\n');
        }
        out.push_str(&format!("under: {}\n", self.image.choices.line()));
        match &self.behaviour {
            None => out.push_str("behaviour: not checked (give --input DATA.npz)\n"),
            Some(b) => {
                let word = if b.holds() { "equal" } else { "DIVERGES" };
                out.push_str(&format!(
                    "behaviour: {word}. {} of {} samples, {} network steps, {} spikes, the same in image and network\n",
                    count(b.equal as u64),
                    count(b.samples as u64),
                    count(b.steps),
                    count(b.spikes)
                ));
                if let Some(d) = &b.first_divergence {
                    out.push_str(&format!("  first divergence: {d}\n"));
                }
            }
        }
        if let Some(l) = &self.loss {
            if let (Some(float), Some(quantized)) = (l.float_accuracy, l.quantized_accuracy) {
                out.push_str(&format!("accuracy: float {:.2} %, on the chip {:.2} %\n", 100.0 * float, 100.0 * quantized));
            }
            out.push_str(&format!(
                "loss: same class for {:.2} % of {} samples, {:.3} spikes apart a sample\n",
                100.0 * l.agreement,
                count(l.samples as u64),
                l.spike_count_distance
            ));
        }
        out
    }
}
