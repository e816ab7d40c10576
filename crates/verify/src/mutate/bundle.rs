//! Faults in the bundle's own fields, the host section, symbols and provenance.

use super::{Edit, Mutator, Nudge, Random, choose, fields};
use spikec_chip::bundle::{
    BiasWrite, Bundle, Decoder, DecoderKind, Encoder, Host, HostMap, Injection, Origin, Place, PopulationSymbols, Provenance, Symbols,
};
use spikec_chip::image::Image;

fn bundle(b: &mut Bundle, r: &mut Random, edit: Edit<Bundle>) -> bool {
    edit(b, r)
}
fn host(b: &mut Bundle, r: &mut Random, edit: Edit<Host>) -> bool {
    edit(&mut b.host, r)
}
fn map(b: &mut Bundle, r: &mut Random, edit: Edit<HostMap>) -> bool {
    choose(&mut b.host.maps, r, edit)
}
fn bias_write(b: &mut Bundle, r: &mut Random, edit: Edit<BiasWrite>) -> bool {
    choose(&mut b.host.bias_writes, r, edit)
}
fn injection(b: &mut Bundle, r: &mut Random, edit: Edit<Injection>) -> bool {
    choose(&mut b.host.injections, r, edit)
}
fn decoder(b: &mut Bundle, r: &mut Random, edit: Edit<Decoder>) -> bool {
    edit(&mut b.host.decoder, r)
}
fn symbols(b: &mut Bundle, r: &mut Random, edit: Edit<Symbols>) -> bool {
    edit(&mut b.symbols, r)
}
fn population(b: &mut Bundle, r: &mut Random, edit: Edit<PopulationSymbols>) -> bool {
    choose(&mut b.symbols.populations, r, edit)
}
fn place(b: &mut Bundle, r: &mut Random, edit: Edit<Place>) -> bool {
    let mut places: Vec<&mut Place> =
        b.symbols.populations.iter_mut().flat_map(|p| p.neurons.iter_mut().chain(&mut p.copies)).map(|(_, place)| place).collect();
    places.extend(b.host.input_axons.iter_mut().flatten());
    places.extend(b.host.maps.iter_mut().flat_map(|m| &mut m.targets));
    places.extend(b.host.bias_writes.iter_mut().map(|w| &mut w.place));
    places.extend(b.host.injections.iter_mut().map(|i| &mut i.to));
    places.extend(b.host.decoder.outputs.iter_mut().flatten());
    let k = r.below(places.len());
    places.get_mut(k).is_some_and(|p| edit(p, r))
}
fn provenance(b: &mut Bundle, r: &mut Random, edit: Edit<Provenance>) -> bool {
    edit(&mut b.provenance, r)
}

/// Takes one element away.
fn lose<T>(list: &mut Vec<T>, r: &mut Random) -> bool {
    let k = r.below(list.len());
    !list.is_empty() && {
        list.remove(k);
        true
    }
}

/// Swaps two neighbours that differ.
fn swap<T: PartialEq>(list: &mut [T], r: &mut Random) -> bool {
    if list.len() < 2 {
        return false;
    }
    let k = r.below(list.len() - 1);
    list.swap(k, k + 1);
    list[k] != list[k + 1]
}

fn other_encoder(encoder: &mut Encoder, r: &mut Random) -> bool {
    *encoder = match (&*encoder, r.below(2)) {
        (Encoder::Spikes, 0) => Encoder::Bias,
        (Encoder::Spikes, _) => Encoder::Rate { full_scale: 1.0 },
        (Encoder::Bias, 0) => Encoder::Spikes,
        (Encoder::Bias, _) => Encoder::Latency { full_scale: 1.0 },
        (Encoder::Rate { .. } | Encoder::Latency { .. }, 0) => Encoder::Spikes,
        (Encoder::Rate { .. } | Encoder::Latency { .. }, _) => Encoder::Bias,
    };
    true
}

fn other_decoder(kind: &mut DecoderKind) -> bool {
    *kind = match kind {
        DecoderKind::Count => DecoderKind::FirstSpike,
        DecoderKind::FirstSpike => DecoderKind::Potential,
        DecoderKind::Vote(group) => DecoderKind::Vote(*group + 1),
        DecoderKind::Potential => DecoderKind::Spikes,
        DecoderKind::Spikes => DecoderKind::Vote(1),
    };
    true
}

/// Swaps two outputs' places, or forgets one.
fn other_outputs(outputs: &mut [Option<Place>], r: &mut Random) -> bool {
    if r.below(2) == 0 {
        return swap(outputs, r);
    }
    let k = r.below(outputs.len());
    outputs.get_mut(k).is_some_and(|o| o.take().is_some())
}

pub(super) fn push(out: &mut Vec<Mutator>) {
    fields!(out, Bundle, bundle, {
        target: Statement => |b, r| b.target.name.nudge(r),
        image: Refusal => |b, r| {
            match &mut b.image {
                Image::Packed(image) => lose(&mut image.cores, r),
                Image::Crossbar(image) => lose(&mut image.cores, r),
                Image::EventCrossbar(image) => image.neurons.pop().is_some(),
            }
        },
        host: Refusal => |b, _| std::mem::take(&mut b.host.input_axons).iter().any(|a| !a.is_empty()),
        symbols: Refusal => |b, r| lose(&mut b.symbols.populations, r),
        provenance: Refusal => |b, _| !std::mem::take(&mut b.provenance.network_digest).is_empty(),
        reference: Refusal => |b, r| lose(&mut b.reference, r),
    });
    fields!(out, Host, host, {
        input_width: Refusal,
        encoder: Refusal => |h, r| other_encoder(&mut h.encoder, r),
        input_axons: Refusal => |h, r| if r.below(2) == 0 { swap(&mut h.input_axons, r) } else { h.input_axons.nudge(r) },
        injections: Refusal => |h, r| {
            if !h.injections.is_empty() {
                return if r.below(2) == 0 { lose(&mut h.injections, r) } else { swap(&mut h.injections, r) };
            }
            let to = h.input_axons.iter().flatten().next().copied();
            h.injections.extend(to.map(|to| Injection { from: Origin::Channel(0), to, delay_steps: r.below(3) as u32 }));
            to.is_some()
        },
        maps: Refusal => |h, r| lose(&mut h.maps, r),
        // Before a map without delay a constant bias never acts: losing one there loses nothing.
        bias_writes: Refusal => |h, r| h.maps.is_empty() && lose(&mut h.bias_writes, r),
        default_steps: Statement,
        max_skew: Refusal,
        decoder: Statement => |h, _| other_decoder(&mut h.decoder.kind),
    });
    fields!(out, HostMap, map, {
        name: Refusal,
        first_channel: Refusal,
        delay_steps: Refusal,
        targets: Refusal => |m, r| swap(&mut m.targets, r) && rows_differ(m),
        offsets: Refusal,
        channels: Refusal,
        weights: Refusal,
        constants: Refusal,
        gains: Refusal,
    });
    fields!(out, BiasWrite, bias_write, {
        chip_step: Refusal,
        place: Refusal,
        mantissa: Refusal,
        exponent: Refusal,
    });
    fields!(out, Injection, injection, {
        from: Refusal => |i, r| match &mut i.from {
            Origin::Channel(channel) => channel.nudge(r),
            Origin::Neuron(place) => place.nudge(r),
        },
        to: Refusal,
        delay_steps: Refusal,
    });
    fields!(out, Decoder, decoder, {
        kind: Statement => |d, _| other_decoder(&mut d.kind),
        outputs: Refusal => |d, r| other_outputs(&mut d.outputs, r),
        skew: Refusal,
    });
    fields!(out, Symbols, symbols, {
        populations: Refusal => |s, r| swap(&mut s.populations, r),
        output: Refusal,
    });
    fields!(out, PopulationSymbols, population, {
        name: Refusal,
        shape: Refusal,
        skew: Refusal,
        input: Refusal,
        neurons: Refusal => |p, r| if r.below(2) == 0 { lose(&mut p.neurons, r) } else { p.neurons.nudge(r) },
        copies: Refusal => |p, r| if r.below(2) == 0 { lose(&mut p.copies, r) } else { p.copies.nudge(r) },
    });
    fields!(out, Place, place, {
        core: Refusal,
        index: Refusal,
    });
    fields!(out, Provenance, provenance, {
        tool: Statement,
        network_name: Refusal,
        network_digest: Refusal,
        options: Statement,
        seed: Statement,
    });
    out.push(Mutator { name: "Encoder.full_scale", catch: super::Catch::Refusal, apply: other_full_scale });
}

/// Whether the map's rows all differ: two targets with equal rows may change places.
fn rows_differ(m: &HostMap) -> bool {
    let row = |k: usize| {
        let terms = m.offsets[k] as usize..m.offsets[k + 1] as usize;
        (m.channels[terms.clone()].to_vec(), m.weights[terms].to_vec(), m.constants[k], m.gains[k])
    };
    (1..m.targets.len()).all(|k| row(k - 1) != row(k))
}

fn other_full_scale(bundle: &Bundle, seed: u64) -> Option<Bundle> {
    let mut mutant = bundle.clone();
    match &mut mutant.host.encoder {
        Encoder::Rate { full_scale } | Encoder::Latency { full_scale } => full_scale.nudge(&mut Random::new(seed)).then_some(mutant),
        Encoder::Spikes | Encoder::Bias => None,
    }
}
