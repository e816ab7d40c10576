//! The host section and the symbols against the reference section.
//!
//! In: a bundle, its reference net, and where the neurons are. Out: differences. Invariant: every spike, bias and answer that
//! the host makes is one that the reference makes: the same channel, term, order, constant, gain and step. Cost: linear.

use crate::difference::{At, Difference, Differences, Field, NeuronName, Side, Value};
use crate::image::Checked;
use crate::owners::{Cell, Owners, Seat, name, place_text};
use crate::resolve::bias_value;
use spikec_chip::bundle::{Bundle, Decoder, DecoderKind, Encoder, HostMap, Place, PopulationSymbols, Provenance};
use spikec_net::{Fixed, HostProjection, Net, Number, Population, Quantized, Role};
use std::collections::BTreeSet;

fn item(text: impl Into<String>) -> At {
    At { item: Some(text.into()), ..At::default() }
}

pub(crate) fn list(values: &[u32]) -> Value {
    let shown: Vec<String> = values.iter().map(u32::to_string).collect();
    Value::Text(format!("({})", shown.join(", ")))
}

/// The digest as provenance holds it.
pub(crate) fn hex(digest: &[u8; 32]) -> String {
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

/// Populations by name, shape and skew; the output; digest and name of the network.
pub(crate) fn compare_symbols<N: Number>(bundle: &Bundle, quantized: &Quantized<N>, differences: &mut Differences) {
    let net = &quantized.net;
    let symbols = &bundle.symbols;
    let side = Side::Symbols;
    differences.compare(side, Field::Count, symbols.populations.len(), net.populations.len(), || item("populations"));
    differences.compare(side, Field::Output, symbols.output, net.output.0, At::default);
    for (p, s) in net.populations.iter().zip(&symbols.populations) {
        let PopulationSymbols { name, shape, skew, input, neurons: _, copies: _ } = s; // places: see `Owners::new`
        let at = || item(p.name.clone());
        differences.compare(side, Field::Name, name.as_str(), p.name.as_str(), at);
        if *shape != p.shape {
            differences.push(|| Difference { side, at: at(), field: Field::Shape, found: list(shape), expected: list(&p.shape) });
        }
        differences.compare(side, Field::Skew, *skew, p.skew, at);
        let kind = |input| if input { "input" } else { "neurons" };
        differences.compare(side, Field::Role, kind(*input), kind(p.is_input()), at);
    }
    let Provenance { tool: _, network_name, network_digest, options: _, seed: _ } = &bundle.provenance;
    differences.compare(side, Field::Name, network_name.as_str(), net.name.as_str(), || item("provenance"));
    differences.compare(side, Field::Digest, network_digest.as_str(), hex(&quantized.network_digest).as_str(), || item("provenance"));
    compare_options(bundle, differences);
}

/// Options of the compilation that name a choice must name the one that the host section holds.
fn compare_options(bundle: &Bundle, differences: &mut Differences) {
    let (coding, full_scale) = match &bundle.host.encoder {
        Encoder::Spikes => ("spikes", None),
        Encoder::Bias => ("bias", None),
        Encoder::Rate { full_scale } => ("rate", Some(*full_scale)),
        Encoder::Latency { full_scale } => ("latency", Some(*full_scale)),
    };
    let decoder = match bundle.host.decoder.kind {
        DecoderKind::Count => "count".to_string(),
        DecoderKind::FirstSpike => "first-spike".to_string(),
        DecoderKind::Vote(group) => format!("vote:{group}"),
        DecoderKind::Potential => "potential".to_string(),
        DecoderKind::Spikes => "spikes".to_string(),
    };
    for (option, value) in &bundle.provenance.options {
        let (field, found, holds) = match option.as_str() {
            "input-coding" => (Field::Encoder, coding.to_string(), value == coding),
            "full-scale" => {
                let found = full_scale.map_or_else(|| "none".to_string(), |x| x.to_string());
                (Field::Encoder, found, value.parse::<f64>().ok() == full_scale)
            }
            "decoder" => (Field::Decoder, decoder.clone(), *value == decoder),
            _ => continue,
        };
        if !holds {
            differences.push(|| Difference {
                side: Side::Host,
                at: item(format!("option {option}")),
                field,
                found: found.into(),
                expected: value.as_str().into(),
            });
        }
    }
}

/// Encoder, input channels, maps, biases, decoder and skews.
pub(crate) fn compare_host(bundle: &Bundle, net: &Net<Fixed>, owners: &Owners, differences: &mut Differences, checked: &mut Checked) {
    compare_inputs(bundle, net, differences, checked);
    differences.compare(Side::Host, Field::Injections, bundle.host.injections.len(), 0, At::default);
    compare_maps(bundle, net, owners, differences, checked);
    compare_biases(bundle, net, owners, differences, checked);
    compare_decoder(bundle, net, owners, differences);
    differences.compare(Side::Host, Field::MaxSkew, bundle.host.max_skew, net.max_skew(), At::default);
}

/// The encoder fits the roles of the inputs, and the widths agree.
pub(crate) fn compare_inputs<N: Number>(bundle: &Bundle, net: &Net<N>, differences: &mut Differences, checked: &mut Checked) {
    let host = &bundle.host;
    let side = Side::Host;
    let spikes: Vec<&Population<N>> = net.populations.iter().filter(|p| matches!(p.role, Role::SpikeInput)).collect();
    let analog: Vec<&Population<N>> = net.populations.iter().filter(|p| matches!(p.role, Role::AnalogInput)).collect();
    let (spike_width, value_width) = (net.spike_width(), net.value_width());
    let encoder = |found: &str, expected: &str, differences: &mut Differences| {
        differences.push(|| Difference { side, at: At::default(), field: Field::Encoder, found: found.into(), expected: expected.into() });
    };
    if !spikes.is_empty() && !analog.is_empty() {
        encoder("spiking and analog inputs", "inputs of one kind", differences);
    }
    let width = match &host.encoder {
        Encoder::Spikes => {
            if !analog.is_empty() {
                encoder("spikes", "bias: the inputs are analog", differences);
            }
            spike_width
        }
        Encoder::Bias => {
            if !spikes.is_empty() {
                encoder("bias", "spikes, rate or latency: the inputs spike", differences);
            }
            value_width
        }
        Encoder::Rate { full_scale } | Encoder::Latency { full_scale } => {
            if !(full_scale.is_finite() && *full_scale > 0.0) {
                encoder(&full_scale.to_string(), "a positive full scale", differences);
            }
            // Channel i and width + i are the two signs of value i: one input population of shape [2, ..].
            if !analog.is_empty() || spikes.len() != 1 || spikes[0].shape.first() != Some(&2) {
                encoder("rate or latency", "one spiking input population of shape (2, ..)", differences);
            }
            spike_width / 2
        }
    };
    differences.compare(side, Field::InputWidth, host.input_width as usize, width, At::default);
    differences.compare(side, Field::InputChannels, host.input_axons.len(), spike_width, At::default);
    // Which axons each channel reaches is compared with the synapses behind them.
    checked.input_channels = spike_width as u64;
}

fn compare_maps(bundle: &Bundle, net: &Net<Fixed>, owners: &Owners, differences: &mut Differences, checked: &mut Checked) {
    differences.compare(Side::Host, Field::Count, bundle.host.maps.len(), net.host_projections.len(), || item("host maps"));
    for (map, h) in bundle.host.maps.iter().zip(&net.host_projections) {
        compare_map(map, h, net, owners, differences);
        checked.host_terms += h.weights.len() as u64;
    }
}

fn compare_map(map: &HostMap, h: &HostProjection, net: &Net<Fixed>, owners: &Owners, differences: &mut Differences) {
    let side = Side::Host;
    let at = || item(h.name.clone());
    let HostMap { name: map_name, first_channel, delay_steps, targets, offsets, channels, weights, constants, gains } = map;
    differences.compare(side, Field::Name, map_name.as_str(), h.name.as_str(), at);
    let before = net.populations[..h.pre.index()].iter().filter(|p| matches!(p.role, Role::AnalogInput));
    let first = before.map(|p| p.trained_len()).sum::<usize>();
    differences.compare(side, Field::FirstChannel, *first_channel as usize, first, at);
    differences.compare(side, Field::Delay, *delay_steps, h.delay_steps, at);
    let lengths = [
        ("offsets", offsets.len(), targets.len() + 1),
        ("constants", constants.len(), targets.len()),
        ("gains", gains.len(), targets.len()),
        ("channels", channels.len(), weights.len()),
        ("terms", offsets.last().map_or(0, |&o| o as usize), weights.len()),
    ];
    let mut sound = offsets.first() == Some(&0) && offsets.is_sorted();
    for (what, found, expected) in lengths {
        sound &= differences.compare(side, Field::Count, found, expected, || item(format!("{} {what}", h.name)));
    }
    if !sound {
        differences.push(|| Difference {
            side,
            at: at(),
            field: Field::HostChannels,
            found: "rows that don't partition the terms".into(),
            expected: "ascending offsets from 0".into(),
        });
        return;
    }
    let origin = &net.population(h.pre).origin;
    let seats = |j: usize| owners.seats(Cell { population: h.post.0, neuron: j as u32 });
    let mut row_of: Vec<Vec<Option<usize>>> = (0..net.population(h.post).len()).map(|j| vec![None; seats(j) as usize]).collect();
    for (k, &place) in targets.iter().enumerate() {
        let seat = owners.owner(place).filter(|s| s.cell.population == h.post.0);
        let cell = seat.map(|s| s.cell);
        let slot = seat.map(|s| &mut row_of[s.cell.neuron as usize][s.nth as usize]);
        match slot {
            Some(slot @ None) => *slot = Some(k),
            Some(Some(_)) | None => {
                let expected = if cell.is_some() { "each target once" } else { "a compartment of the map's population" };
                differences.push(|| Difference {
                    side,
                    at: At { core: Some(place.core), compartment: Some(place.index), neuron: cell.map(|c| name(net, c)), ..at() },
                    field: Field::Place,
                    found: place_text(place).into(),
                    expected: expected.into(),
                });
            }
        }
    }
    let rows = row_of.iter().enumerate().flat_map(|(j, rows)| rows.iter().enumerate().map(move |(nth, row)| (j, nth, row)));
    for (j, nth, row) in rows {
        let cell = Cell { population: h.post.0, neuron: j as u32 };
        let place = owners.place(Seat { cell, nth: nth as u32 });
        let at = || At { core: place.map(|p| p.core), compartment: place.map(|p| p.index), neuron: Some(name(net, cell)), ..at() };
        let Some(k) = *row else {
            differences.push(|| Difference {
                side,
                at: at(),
                field: Field::Place,
                found: Value::Absent,
                expected: "a target of the map".into(),
            });
            continue;
        };
        let terms = offsets[k] as usize..offsets[k + 1] as usize;
        let wanted = h.offsets[j] as usize..h.offsets[j + 1] as usize;
        let wanted_channels: Vec<u32> = h.channels[wanted.clone()].iter().map(|&c| origin[c as usize]).collect();
        if channels[terms.clone()] != wanted_channels {
            differences.push(|| Difference {
                side,
                at: at(),
                field: Field::HostChannels,
                found: list(&channels[terms.clone()]),
                expected: list(&wanted_channels),
            });
        } else if let Some((a, b)) = first_other(&weights[terms], &h.weights[wanted]) {
            differences.push(|| Difference {
                side,
                at: at(),
                field: Field::HostWeights,
                found: (a as f64).into(),
                expected: (b as f64).into(),
            });
        }
        for (field, found, expected) in [(Field::HostConstant, constants[k], h.constants[j]), (Field::HostGain, gains[k], h.gains[j])] {
            if found.to_bits() != expected.to_bits() {
                differences.push(|| Difference { side, at: at(), field, found: found.into(), expected: expected.into() });
            }
        }
    }
}

/// The first pair of weights that are not the same bits.
pub(crate) fn first_other(a: &[f32], b: &[f32]) -> Option<(f32, f32)> {
    a.iter().zip(b).find(|(a, b)| a.to_bits() != b.to_bits()).map(|(&a, &b)| (a, b))
}

/// The constant bias of each neuron and copy is written once, before its first network step. A zero bias needs no write, and neither does one
/// that a host map without delay replaces in every step.
fn compare_biases(bundle: &Bundle, net: &Net<Fixed>, owners: &Owners, differences: &mut Differences, checked: &mut Checked) {
    let mut written: BTreeSet<Place> = BTreeSet::new();
    for w in &bundle.host.bias_writes {
        let at = |cell: Option<Cell>| At {
            core: Some(w.place.core),
            compartment: Some(w.place.index),
            neuron: cell.map(|c| name(net, c)),
            ..At::default()
        };
        checked.bias_writes += 1;
        let found = || bias_value(w.mantissa, w.exponent);
        let Some(Seat { cell, .. }) = owners.owner(w.place) else {
            differences.push(|| Difference {
                side: Side::Host,
                at: at(None),
                field: Field::Bias,
                found: found(),
                expected: "a neuron's compartment".into(),
            });
            continue;
        };
        let p = &net.populations[cell.population as usize];
        if !written.insert(w.place) {
            differences.push(|| Difference {
                side: Side::Host,
                at: at(Some(cell)),
                field: Field::Bias,
                found: "two writes".into(),
                expected: "one".into(),
            });
        }
        let bias = p.neurons()[cell.neuron as usize].bias;
        if (w.mantissa, w.exponent) != (bias.mantissa, bias.exponent) {
            let expected = bias_value(bias.mantissa, bias.exponent);
            differences.push(|| Difference { side: Side::Host, at: at(Some(cell)), field: Field::Bias, found: found(), expected });
        }
        differences.compare(Side::Host, Field::BiasStep, w.chip_step, p.skew, || at(Some(cell)));
    }
    for (k, p) in net.populations.iter().enumerate() {
        if net.host_projections.iter().any(|h| h.post.index() == k && h.delay_steps == 0) {
            continue;
        }
        let cell = |j: usize| Cell { population: k as u32, neuron: j as u32 };
        let biased = p.neurons().iter().enumerate().filter(|(_, n)| n.bias.mantissa != 0);
        let places = biased.flat_map(|(j, n)| (0..owners.seats(cell(j))).map(move |nth| (j, n, Seat { cell: cell(j), nth })));
        for (j, n, seat) in places {
            let place = owners.place(seat);
            if place.is_some_and(|place| written.contains(&place)) {
                continue;
            }
            differences.push(|| Difference {
                side: Side::Host,
                at: At {
                    core: place.map(|p| p.core),
                    compartment: place.map(|p| p.index),
                    neuron: Some(NeuronName { population: k as u32, name: p.name.clone(), index: p.origin[j] }),
                    ..At::default()
                },
                field: Field::Bias,
                found: Value::Absent,
                expected: bias_value(n.bias.mantissa, n.bias.exponent),
            });
        }
    }
}

pub(crate) fn compare_decoder<N: Number>(bundle: &Bundle, net: &Net<N>, owners: &Owners, differences: &mut Differences) {
    let side = Side::Host;
    let p = net.population(net.output);
    let Decoder { kind, outputs, skew } = &bundle.host.decoder;
    differences.compare(side, Field::Skew, *skew, p.skew, || item("decoder"));
    differences.compare(side, Field::Count, outputs.len(), p.trained_len(), || item("decoder outputs"));
    for (index, &output) in outputs.iter().enumerate() {
        let neuron = p.origin.binary_search(&(index as u32)).ok();
        let place = neuron.and_then(|n| owners.places[net.output.index()][n]);
        if output != place {
            let text = |place: Option<_>| place.map_or(Value::Absent, |p| place_text(p).into());
            differences.push(|| Difference {
                side,
                at: At {
                    neuron: Some(NeuronName { population: net.output.0, name: p.name.clone(), index: index as u32 }),
                    ..item("decoder")
                },
                field: Field::Place,
                found: text(output),
                expected: text(place),
            });
        }
    }
    if let DecoderKind::Vote(group) = kind
        && (*group == 0 || !p.trained_len().is_multiple_of(*group as usize))
    {
        differences.push(|| Difference {
            side,
            at: item("decoder"),
            field: Field::Decoder,
            found: format!("vote:{group}").into(),
            expected: format!("groups that divide {} outputs", p.trained_len()).into(),
        });
    }
}
