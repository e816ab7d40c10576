//! Messages between cores: what an assignment sends in a step.
//!
//! In: an assignment and the rate of each axon. Out: (from, to, rate) for each pair of cores.
//! Invariant: one message for each spike and destination core (unicast); those of a neuron to its own core and of external inputs are left out.
//! Cost: linear in the synapses.

use crate::hypergraph::Hypergraph;

/// Rate of the messages between two different cores, by sender, then receiver. `rates` has an entry for each axon.
pub fn messages(graph: &Hypergraph, parts: &[u32], cores: u32, rates: &[f32]) -> Vec<(u32, u32, f64)> {
    let mut members: Vec<Vec<u32>> = vec![Vec::new(); cores as usize];
    for (v, &core) in parts.iter().enumerate() {
        members[core as usize].push(v as u32);
    }
    let mut seen = vec![u32::MAX; cores as usize];
    let mut sums = vec![0f64; cores as usize];
    let mut all = Vec::new();
    for (from, list) in members.iter().enumerate() {
        let mut touched: Vec<u32> = Vec::new();
        for &v in list {
            let axon = graph.axon(v);
            for &post in graph.out_neurons(axon) {
                let to = parts[post as usize];
                if to != from as u32 && std::mem::replace(&mut seen[to as usize], v) != v {
                    if sums[to as usize] == 0.0 {
                        touched.push(to);
                    }
                    sums[to as usize] += f64::from(rates[axon as usize]);
                }
            }
        }
        touched.sort_unstable();
        touched.dedup();
        all.extend(touched.into_iter().map(|to| (from as u32, to, std::mem::take(&mut sums[to as usize]))));
    }
    all
}

/// Rate of the messages that the host sends to each core: those of the external inputs.
pub fn host_messages(graph: &Hypergraph, parts: &[u32], cores: u32, rates: &[f32]) -> Vec<f64> {
    let mut sums = vec![0f64; cores as usize];
    let mut seen = vec![u32::MAX; cores as usize];
    for axon in 0..graph.inputs() {
        for &post in graph.out_neurons(axon) {
            let to = parts[post as usize] as usize;
            if std::mem::replace(&mut seen[to], axon) != axon {
                sums[to] += f64::from(rates[axon as usize]);
            }
        }
    }
    sums
}
