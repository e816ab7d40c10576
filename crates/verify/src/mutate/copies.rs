//! Faults of copies: what is right in a neuron's own compartment is wrong in one copy of it.

use super::{Catch, Mutator, Random};
use spikec_chip::bundle::{Bundle, Place};
use spikec_chip::codec::{decode_core, encode_core};
use spikec_chip::image::{CoreTables, Image, OutAxon, StoredSynapse};

/// A random copy: its population, index as trained, and place.
fn copy(bundle: &Bundle, r: &mut Random) -> Option<(usize, u32, Place)> {
    let populations = bundle.symbols.populations.iter().enumerate();
    let all: Vec<_> = populations.flat_map(|(p, s)| s.copies.iter().map(move |&(index, place)| (p, index, place))).collect();
    all.get(r.below(all.len())).copied()
}

/// Edits the tables of a core.
fn tables(bundle: &mut Bundle, core: u32, edit: impl FnOnce(&mut CoreTables) -> bool) -> bool {
    let Image::Packed(image) = &mut bundle.image else { return false };
    let Some(bits) = image.cores.iter_mut().find(|c| c.core == core) else { return false };
    let Ok(mut tables) = decode_core(bits, &bundle.target) else { return false };
    edit(&mut tables) && encode_core(&tables, &bundle.target).map(|again| *bits = again).is_ok()
}

/// One synapse of one copy is missing.
fn lost_synapse(bundle: &Bundle, seed: u64) -> Option<Bundle> {
    let (mut mutant, mut r) = (bundle.clone(), Random::new(seed));
    let (_, _, place) = copy(bundle, &mut r)?;
    let done = tables(&mut mutant, place.core, |t| {
        let mut found = Vec::new();
        for axon in &t.in_axons {
            let at = |s: &StoredSynapse| axon.compartment(s) == usize::from(place.index) && s.mantissa != 0;
            for (k, entry) in t.list(*axon).entries.iter().enumerate().filter(|(_, e)| e.synapses.len() > 1) {
                found.extend(entry.synapses.iter().position(at).map(|s| (axon.list, k, s)));
            }
        }
        let Some(&(list, entry, synapse)) = found.get(r.below(found.len())) else { return false };
        // A zero in its place: the entry stays as it is stored.
        t.lists[usize::from(list)].entries[entry].synapses[synapse].mantissa = 0;
        true
    });
    done.then_some(mutant)
}

/// A message that one compartment of a neuron sends is sent by another one as well.
fn doubled_route(bundle: &Bundle, seed: u64) -> Option<Bundle> {
    let (mut mutant, mut r) = (bundle.clone(), Random::new(seed));
    let (population, index, place) = copy(bundle, &mut r)?;
    let symbols = &bundle.symbols.populations[population];
    let own = symbols.neurons.iter().find(|n| n.0 == index)?.1;
    let (from, to) = if r.below(2) == 0 { (own, place) } else { (place, own) };
    let mut sent: Vec<OutAxon> = Vec::new();
    tables(&mut mutant, from.core, |t| {
        let Some(c) = t.compartments.get(usize::from(from.index)) else { return false };
        let start = usize::from(c.out_axon_start);
        sent.extend(t.out_axons.get(start..start + usize::from(c.out_axon_count)).unwrap_or_default());
        false
    });
    let k = r.below(sent.len());
    let again = *sent.get(k)?;
    let done = tables(&mut mutant, to.core, |t| {
        let at = usize::from(to.index);
        let Some(c) = t.compartments.get_mut(at) else { return false };
        t.out_axons.insert(usize::from(c.out_axon_start), again);
        c.out_axon_count += 1;
        t.compartments[at + 1..].iter_mut().for_each(|c| c.out_axon_start += 1);
        true
    });
    done.then_some(mutant)
}

/// The host writes the bias of the neuron, but not of its copy.
fn lost_bias(bundle: &Bundle, seed: u64) -> Option<Bundle> {
    let (mut mutant, mut r) = (bundle.clone(), Random::new(seed));
    let (_, _, place) = copy(bundle, &mut r)?;
    // Before a map without delay a constant bias never acts.
    let host = &mut mutant.host;
    let at = host.bias_writes.iter().position(|w| w.place == place).filter(|_| host.maps.is_empty())?;
    host.bias_writes.remove(at);
    Some(mutant)
}

/// The host's map drives the neuron, but not its copy.
fn lost_target(bundle: &Bundle, seed: u64) -> Option<Bundle> {
    let (mut mutant, mut r) = (bundle.clone(), Random::new(seed));
    let (_, _, place) = copy(bundle, &mut r)?;
    let map = mutant.host.maps.iter_mut().find(|m| m.targets.contains(&place))?;
    let at = map.targets.iter().position(|&t| t == place)?;
    let terms = map.offsets[at] as usize..map.offsets[at + 1] as usize;
    map.targets.remove(at);
    map.constants.remove(at);
    map.gains.remove(at);
    map.channels.drain(terms.clone());
    map.weights.drain(terms.clone());
    map.offsets.remove(at);
    map.offsets[at..].iter_mut().for_each(|o| *o -= terms.len() as u32);
    Some(mutant)
}

pub(super) fn push(out: &mut Vec<Mutator>) {
    type Apply = fn(&Bundle, u64) -> Option<Bundle>;
    let all: [(&'static str, Apply); 4] = [
        ("copy: a synapse", lost_synapse),
        ("copy: a doubled route", doubled_route),
        ("copy: a bias", lost_bias),
        ("copy: a target of a map", lost_target),
    ];
    out.extend(all.map(|(name, apply)| Mutator { name, catch: Catch::Refusal, apply }));
}
