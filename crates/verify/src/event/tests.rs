use super::*;
use crate::toy::{Chip, IntegerToy};

fn edited(bundle: &Bundle, edit: impl FnOnce(&mut EventTables)) -> Bundle {
    let mut bundle = bundle.clone();
    let spec = spec(&bundle.target).clone();
    let mut tables = decode(image(&bundle), &spec).expect("it decodes");
    edit(&mut tables);
    bundle.image = Image::EventCrossbar(encode(&tables, &spec).expect("it encodes"));
    bundle
}

fn lines(toy: &IntegerToy, bundle: &Bundle) -> String {
    let verdict = toy.check(bundle).expect("it can be checked");
    verdict.differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The rows that a source names, and one that none does.
fn rows(toy: &IntegerToy) -> (Vec<u16>, u16) {
    let host = &toy.bundle.host;
    let mut named: Vec<u16> = host.input_axons.iter().flatten().map(|p| p.index).collect();
    named.extend(host.injections.iter().map(|i| i.to.index));
    named.sort_unstable();
    let free = (0..64).find(|row| !named.contains(row)).expect("a free row");
    (named, free)
}

#[test]
fn differences_name_neuron_source_and_both_values() {
    let toy = IntegerToy::new(Chip::TinyOdin, 3);
    let (named, free) = rows(&toy);
    let neuron = usize::from(toy.bundle.symbols.populations[1].neurons[0].1.index);
    let size = *spec(&toy.bundle.target).core.neurons as usize;
    let changed = edited(&toy.bundle, |t| t.weights[usize::from(free) * size + neuron] = 1);
    let text = lines(&toy, &changed);
    assert!(
        text.contains(&format!("core 0 input axon {free}: sources of the input axon: found none, and a weight, expected one")),
        "{text}"
    );
    let row = named.iter().map(|&r| usize::from(r)).find(|row| {
        let t = decode(image(&toy.bundle), spec(&toy.bundle.target)).expect("it decodes");
        t.weights[row * size + neuron] != 0
    });
    let row = row.expect("the neuron hears something");
    let mut weights = (0, 0);
    let changed = edited(&toy.bundle, |t| {
        let w = &mut t.weights[row * size + neuron];
        weights = (*w + 1, *w);
        *w += 1;
    });
    let text = lines(&toy, &changed);
    let expected = format!("compartment {neuron} ");
    assert!(
        text.lines()
            .any(|l| l.contains(&expected) && l.contains("->") && l.contains(&format!("found {}, expected {}", weights.0, weights.1))),
        "{text}"
    );
    let changed = edited(&toy.bundle, |t| t.open_loop = false);
    assert_eq!(lines(&toy, &changed), "image:: open loop: found 0, expected 1");
    let changed = edited(&toy.bundle, |t| t.neurons[neuron].disabled = true);
    assert!(lines(&toy, &changed).contains("disabled: found 1, expected 0"));
}

#[test]
fn rows_out_of_order_are_another_network() {
    for seed in 0..10 {
        let toy = IntegerToy::new(Chip::TinyOdin, seed);
        let (named, _) = rows(&toy);
        let (a, b) = (named[0], named[1]);
        let size = *spec(&toy.bundle.target).core.neurons as usize;
        // Rows and their sources change places: the same synapses in another order.
        let mut changed = edited(&toy.bundle, |t| {
            for n in 0..size {
                t.weights.swap(usize::from(a) * size + n, usize::from(b) * size + n);
            }
        });
        let swap = |place: &mut Place| {
            if place.index == a {
                place.index = b;
            } else if place.index == b {
                place.index = a;
            }
        };
        changed.host.input_axons.iter_mut().flatten().for_each(swap);
        changed.host.injections.iter_mut().for_each(|i| swap(&mut i.to));
        changed.host.injections.sort_unstable();
        let verdict = toy.check(&changed).expect("it can be checked");
        assert!(verdict.total > 0 && verdict.differences.iter().all(|d| d.field == Field::RowOrder), "{:#?}", verdict.differences);
    }
}

#[test]
fn a_potential_at_the_threshold_would_fire_at_any_event() {
    let toy = IntegerToy::new(Chip::Odin, 2);
    let place = toy.bundle.symbols.populations[1].neurons[0].1;
    let mut q: Quantized<Event> = toy.quantized();
    let start = q.net.populations[1].neurons()[0].threshold;
    if let spikec_net::Role::Neurons(n) = &mut q.net.populations[1].role {
        n[0].start = start;
    }
    let mut changed = edited(&toy.bundle, |t| t.neurons[usize::from(place.index)].potential = start as i16);
    changed.reference = q.to_bytes();
    assert!(lines(&toy, &changed).contains("any event would fire it"));
}

#[test]
fn two_synapses_of_one_delay_are_two_events() {
    let toy = IntegerToy::new(Chip::TinyOdin, 2);
    let mut q: Quantized<Event> = toy.quantized();
    let p = &mut q.net.projections[0];
    let (i, j, w, d) = p.synapses.iter().next().expect("a synapse");
    let mut all: Vec<_> = p.synapses.iter().collect();
    all[0].2 = w + 1;
    all.push((i, j, -1, d));
    p.synapses = spikec_net::Synapses::from_tuples(p.synapses.pres(), all);
    let changed = Bundle { reference: q.to_bytes(), ..toy.bundle.clone() };
    assert!(lines(&toy, &changed).contains("expected one: each is an event"));
}
