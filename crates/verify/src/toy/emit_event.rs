//! A small net on an event crossbar: neurons dealt out, a row (or two of different sign) for each source and delay.

use super::emit_crossbar::{neurons, whole};
use crate::mutate::Random;
use spikec_chip::bundle::{Bundle, Place};
use spikec_chip::event::{EventSign, EventTables, EventWord, encode};
use spikec_chip::image::Image;
use spikec_chip::target::Target;
use spikec_net::*;
use std::collections::BTreeMap;

/// A whole small net on an event crossbar.
pub(super) fn emit(q: &Quantized<Event>, target: Target, r: &mut Random) -> Bundle {
    let net = &q.net;
    let spec = crate::event::spec(&target);
    let (rows, size) = (*spec.core.rows as usize, *spec.core.neurons as usize);
    let signed_rows = *spec.weights.sign == EventSign::EachRow;
    // Neurons of the core, in any order.
    let mut free: Vec<usize> = (0..size).collect();
    let mut places: BTreeMap<(usize, u32), Vec<Place>> = BTreeMap::new();
    let mut tables = EventTables {
        open_loop: true,
        last_neuron: 0,
        negative_rows: if signed_rows { vec![false; rows] } else { Vec::new() },
        neurons: vec![EventWord::unused(spec); size],
        weights: vec![0; rows * size],
    };
    for source in neurons(net) {
        let index = free.remove(r.below(free.len()));
        let EventNeuron { threshold, leak, start } = net.populations[source.0].neurons()[source.1 as usize];
        tables.neurons[index] = EventWord { potential: start as i16, threshold: threshold as u16, leak: leak as u8, disabled: false };
        tables.last_neuron = tables.last_neuron.max(index as u8);
        places.insert(source, vec![Place { core: 0, index: index as u16 }]);
    }
    // (source, chip delay, sign of the row): (neuron of the core, weight).
    type Key = ((usize, u32), i64, bool);
    let mut all: BTreeMap<Key, Vec<(u16, i32)>> = BTreeMap::new();
    for p in &net.projections {
        for (i, j, w, d) in p.synapses.iter() {
            let key = ((p.pre.index(), i), net.chip_delay(p, d), signed_rows && w < 0);
            all.entry(key).or_default().push((places[&(p.post.index(), j)][0].index, w));
        }
    }
    let mut sent: BTreeMap<(usize, u32), Vec<(Place, i64)>> = BTreeMap::new();
    let (mut next, mut last, count) = (0, None, all.len());
    for (k, ((source, delay, negative), weights)) in all.into_iter().enumerate() {
        // Rows of one source stay together, others may leave some free.
        let room = rows - next > count - k;
        next += usize::from(room && last != Some((source, delay)) && r.below(3) == 0);
        last = Some((source, delay));
        sent.entry(source).or_default().push((Place { core: 0, index: next as u16 }, delay));
        if signed_rows {
            tables.negative_rows[next] = negative;
        }
        for (neuron, weight) in weights {
            tables.weights[next * size + usize::from(neuron)] = weight as i8;
        }
        next += 1;
    }
    let image = encode(&tables, spec).expect("a toy fits");
    let sent = |source| sent.get(&source).cloned().unwrap_or_default();
    let bundle = whole(q, target.clone(), Image::EventCrossbar(image), &sent, &places, r);
    assert_eq!(bundle.validate(), []);
    bundle
}
