//! What a run counts: plain data that can be added.
//!
//! In: spike counts of every source and its static fan-out. Out: [`Counters`].
//! Invariant: a spike's messages and synaptic operations count in the chip step in which it is sent, also those of a sample's last
//! step, which the chip processes before the host clears it.

use serde::Serialize;
use std::ops::AddAssign;

/// Events of one core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct CoreCounters {
    /// Physical core.
    pub core: u32,
    /// Messages that arrived, from neurons and from the host.
    pub messages_in: u64,
    /// Messages that its neurons sent.
    pub messages_out: u64,
    /// Synapses read (filler of dense entries included).
    pub synaptic_ops: u64,
    /// Spikes of its compartments.
    pub neuron_spikes: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Events of one sample, or of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Counters {
    /// Chip steps.
    pub chip_steps: u64,
    /// Synapses read (filler of dense entries included).
    pub synaptic_ops: u64,
    /// Spikes that the host injected, one for each input axon reached.
    pub host_spikes: u64,
    /// Bias registers that the host wrote (the clearing before a sample is not counted).
    pub host_writes: u64,
    /// Spikes of compartments.
    pub neuron_spikes: u64,
    /// Messages that neurons sent, one for each output axon of a spike.
    pub messages: u64,
    /// Router-to-router hops of the neurons' messages and of the host's spikes (from the host port).
    pub hops: u64,
    /// Compartments in use * chip steps.
    pub neuron_accesses: u64,
    /// Neuron updates in which u wrapped.
    pub u_wraps: u64,
    /// Neuron updates in which v was clipped.
    pub v_clips: u64,
    /// Neuron updates whose summed input passed the accumulator's width.
    pub input_overflows: u64,
    /// Biases beyond what the register holds.
    pub bias_saturations: u64,
    /// Spikes that came to an axon that was active already in that step, and so were lost (crossbar).
    #[serde(skip_serializing_if = "is_zero")]
    pub merged_spikes: u64,
    /// Spikes for which the scheduler had no room (event crossbar in closed loop).
    #[serde(skip_serializing_if = "is_zero")]
    pub dropped_events: u64,
    /// By core, ascending.
    pub per_core: Vec<CoreCounters>,
}

impl AddAssign<&Counters> for Counters {
    /// Adds the counters of a run of the same machine (or to the empty default).
    fn add_assign(&mut self, o: &Counters) {
        self.chip_steps += o.chip_steps;
        self.synaptic_ops += o.synaptic_ops;
        self.host_spikes += o.host_spikes;
        self.host_writes += o.host_writes;
        self.neuron_spikes += o.neuron_spikes;
        self.messages += o.messages;
        self.hops += o.hops;
        self.neuron_accesses += o.neuron_accesses;
        self.u_wraps += o.u_wraps;
        self.v_clips += o.v_clips;
        self.input_overflows += o.input_overflows;
        self.bias_saturations += o.bias_saturations;
        self.merged_spikes += o.merged_spikes;
        self.dropped_events += o.dropped_events;
        for core in &o.per_core {
            match self.per_core.binary_search_by_key(&core.core, |c| c.core) {
                Ok(k) => {
                    let mine = &mut self.per_core[k];
                    mine.messages_in += core.messages_in;
                    mine.messages_out += core.messages_out;
                    mine.synaptic_ops += core.synaptic_ops;
                    mine.neuron_spikes += core.neuron_spikes;
                }
                Err(k) => self.per_core.insert(k, *core),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_add_by_core() {
        let core = |core, n| CoreCounters { core, messages_in: n, messages_out: n + 1, synaptic_ops: n + 2, neuron_spikes: n + 3 };
        let mut a = Counters { chip_steps: 2, hops: 5, per_core: vec![core(1, 10), core(4, 20)], ..Counters::default() };
        let b = Counters { chip_steps: 3, v_clips: 7, per_core: vec![core(2, 1), core(4, 2)], ..Counters::default() };
        a += &b;
        assert_eq!((a.chip_steps, a.hops, a.v_clips), (5, 5, 7));
        let four = CoreCounters { core: 4, messages_in: 22, messages_out: 24, synaptic_ops: 26, neuron_spikes: 28 };
        assert_eq!(a.per_core, vec![core(1, 10), core(2, 1), four]);
    }
}
