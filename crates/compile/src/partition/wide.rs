//! Neurons that no core holds, whatever shares it with them.
//!
//! In: a net's wiring and the target. Out: a finding (C02) for each layer with neurons of more sources than a core has input axons.
//! Cost: linear in the synapses of such layers. Why: no search has to run to know, and the layers that must change are named all at once.

use crate::finding::Finding;
use crate::pack::Wiring;
use spikec_chip::target::Target;
use spikec_net::Quantized;

/// One finding for each layer; empty where every neuron has input axons enough on a core of its own.
pub(crate) fn too_wide(q: &Quantized, wiring: &Wiring, target: &Target) -> Vec<Finding> {
    let most = u64::from(*target.packed().core.in_axons).min(1 << 16);
    let mut seen = vec![u32::MAX; wiring.units() as usize];
    let mut layers: Vec<(usize, u64, u64)> = Vec::new();
    for unit in wiring.neuron_units().filter(|&u| wiring.fan_in(u) as u64 > most) {
        let new = wiring.incoming(unit).filter(|s| std::mem::replace(&mut seen[s.source as usize], unit) != unit);
        let sources = new.count() as u64;
        if sources <= most {
            continue;
        }
        let population = wiring.reference(unit).population.index();
        match layers.last_mut() {
            Some(last) if last.0 == population => (last.1, last.2) = (last.1.max(sources), last.2 + 1),
            _ => layers.push((population, sources, 1)),
        }
    }
    let finding = |(population, sources, neurons): (usize, u64, u64)| {
        let population = &q.net.populations[population];
        let share = (1000 * most / sources) as f64 / 10.0;
        let remedy = format!(
            "{neurons} of its {} neurons alone need more than a core, and no board has larger ones: prune their fan-in (to {share:.1} % where it is \
             largest), or give them fewer inputs (a pool before a convolution is part of its kernel)",
            population.len()
        );
        Finding::error("C02", "input axons of one neuron", sources as f64, most as f64, remedy).layer(&*population.name)
    };
    layers.into_iter().map(finding).collect()
}
