//! Emitting: the placed net as a bundle.
//!
//! In: [`Quantized`] and [`Placed`]. Out: [`Bundle`]. Invariant: it cannot fail, because [`Placed`] is the proof that everything fits; a
//! failure here is our bug and panics. Nothing is chosen here: cores, encodings and numbers are those of the placement.
//! Cost: linear in synapses.

use crate::families;
use crate::partition::Link;
use crate::place::Placed;
use spikec_chip::bundle::{BiasWrite, Bundle, Decoder, DecoderKind, Encoder, Host, HostMap, Place, Provenance};
use spikec_chip::image::{Compartment, CoreTables, Image, OutAxon, PackedImage};
use spikec_chip::{Target, encode_core};
use spikec_net::{HostProjection, PopulationId, Quantized, Role};

/// What the host does besides what the net says.
#[derive(Debug, Clone, PartialEq)]
pub struct HostOptions {
    /// From data to spikes and biases.
    pub encoder: Encoder,
    /// From outputs to a class.
    pub decoder: DecoderKind,
    /// Network steps where data and user don't say.
    pub default_steps: Option<u32>,
}

/// Makes the bundle.
pub fn emit(q: &Quantized, placed: &Placed, target: &Target, host: HostOptions, provenance: Provenance) -> Bundle {
    let emitter = Emitter { q, placed };
    let cores = placed
        .parts_by_core()
        .into_iter()
        .map(|part| encode_core(&emitter.core(part), target).unwrap_or_else(|e| panic!("a placed part can't be encoded: {e}")))
        .collect();
    Bundle {
        target: target.clone(),
        image: Image::Packed(PackedImage { cores }),
        host: emitter.host(host),
        symbols: families::symbols(&q.net, &|p, k| emitter.places(p, k)),
        provenance,
        reference: q.to_bytes(),
    }
}

struct Emitter<'a> {
    q: &'a Quantized,
    placed: &'a Placed,
}

impl Emitter<'_> {
    fn place(&self, population: PopulationId, neuron: u32) -> Place {
        let (part, compartment) = self.placed.partitioned().place(population, neuron).expect("every neuron has a part");
        Place { core: self.placed.core(part), index: compartment }
    }

    /// Places of a neuron, and of its copies by core.
    fn places(&self, population: PopulationId, neuron: u32) -> Vec<Place> {
        let partitioned = self.placed.partitioned();
        let seats = partitioned.copies_of(partitioned.wiring().unit(population, neuron));
        let mut places = vec![self.place(population, neuron)];
        places.extend(seats.iter().map(|s| Place { core: self.placed.core(s.part), index: s.compartment }));
        places[1..].sort_unstable();
        places
    }

    /// Physical input axons of links, by core.
    fn axons(&self, links: impl Iterator<Item = Link>) -> Vec<Place> {
        let mut axons: Vec<Place> = links.map(|l| Place { core: self.placed.core(l.part), index: l.in_axon }).collect();
        axons.sort_unstable();
        axons
    }

    fn core(&self, part: u32) -> CoreTables {
        let pack = &self.placed.partitioned().parts()[part as usize].pack;
        let mut out_axons: Vec<OutAxon> = Vec::new();
        let mut compartments = Vec::with_capacity(pack.units.len());
        for (&unit, &(profile, threshold_profile)) in pack.units.iter().zip(&pack.profiles) {
            let start = out_axons.len();
            let sent = self.placed.partitioned().sent(unit, part);
            out_axons.extend(self.axons(sent).into_iter().map(|a| OutAxon { core: a.core, in_axon: a.index }));
            compartments.push(Compartment {
                profile,
                threshold_profile,
                // The host writes biases when the population's first step comes.
                bias_mantissa: 0,
                bias_exponent: 0,
                out_axon_start: start as u16,
                out_axon_count: (out_axons.len() - start) as u16,
            });
        }
        CoreTables {
            core: self.placed.core(part),
            delay_bits: pack.delay_bits,
            formats: pack.formats.clone(),
            lists: pack.lists.iter().map(|l| l.list.clone()).collect(),
            in_axons: pack.in_axons.iter().map(|a| a.axon).collect(),
            compartment_profiles: pack.compartment_profiles.clone(),
            threshold_profiles: pack.threshold_profiles.clone(),
            compartments,
            out_axons,
        }
    }

    fn host(&self, options: HostOptions) -> Host {
        let net = &self.q.net;
        let wiring = self.placed.partitioned().wiring();
        let mut input_axons = Vec::new();
        let (mut first_channel, mut analog_width) = (vec![0u32; net.populations.len()], 0u32);
        let mut spiking_width = 0u32;
        for (p, population) in net.populations.iter().enumerate() {
            let id = PopulationId::from(p);
            match population.role {
                Role::SpikeInput => {
                    let mut channels = vec![Vec::new(); population.trained_len()];
                    for (k, &origin) in population.origin.iter().enumerate() {
                        let links = self.placed.partitioned().links(wiring.unit(id, k as u32));
                        channels[origin as usize] = self.axons(links.iter().copied());
                    }
                    spiking_width += channels.len() as u32;
                    input_axons.extend(channels);
                }
                Role::AnalogInput => {
                    first_channel[p] = analog_width;
                    analog_width += population.trained_len() as u32;
                }
                Role::Neurons(_) => {}
            }
        }
        let maps = net.host_projections.iter().map(|h| self.map(h, first_channel[h.pre.index()])).collect();
        let mut bias_writes = Vec::new();
        for (p, population) in net.populations.iter().enumerate() {
            let id = PopulationId::from(p);
            if net.host_projections.iter().any(|h| h.post == id && h.delay_steps == 0) {
                continue; // its map, whose constants hold the bias, writes from the first step on
            }
            for (k, neuron) in population.neurons().iter().enumerate().filter(|(_, n)| n.bias.mantissa != 0) {
                let (mantissa, exponent) = (neuron.bias.mantissa, neuron.bias.exponent);
                let places = self.places(id, k as u32);
                bias_writes.extend(places.into_iter().map(|place| BiasWrite { chip_step: population.skew, place, mantissa, exponent }));
            }
        }
        let output = net.population(net.output);
        let mut outputs = vec![None; output.trained_len()];
        for (k, &origin) in output.origin.iter().enumerate() {
            outputs[origin as usize] = Some(self.place(net.output, k as u32));
        }
        let input_width = match options.encoder {
            Encoder::Spikes => spiking_width,
            Encoder::Bias => analog_width,
            Encoder::Rate { .. } | Encoder::Latency { .. } => spiking_width / 2,
        };
        Host {
            input_width,
            encoder: options.encoder,
            input_axons,
            injections: Vec::new(),
            maps,
            bias_writes,
            default_steps: options.default_steps,
            max_skew: net.max_skew(),
            decoder: Decoder { kind: options.decoder, outputs, skew: output.skew },
        }
    }

    /// The map of a projection: a target for each neuron, then one for each copy with the same terms.
    fn map(&self, h: &HostProjection, first_channel: u32) -> HostMap {
        let net = &self.q.net;
        let origin = &net.population(h.pre).origin;
        let mut map = HostMap {
            name: h.name.clone(),
            first_channel,
            delay_steps: h.delay_steps,
            targets: (0..net.population(h.post).len() as u32).map(|k| self.place(h.post, k)).collect(),
            offsets: h.offsets.clone(),
            channels: h.channels.iter().map(|&c| origin[c as usize]).collect(),
            weights: h.weights.clone(),
            constants: h.constants.clone(),
            gains: h.gains.clone(),
        };
        for k in 0..net.population(h.post).len() {
            let terms = h.offsets[k] as usize..h.offsets[k + 1] as usize;
            for &place in &self.places(h.post, k as u32)[1..] {
                map.targets.push(place);
                map.channels.extend(h.channels[terms.clone()].iter().map(|&c| origin[c as usize]));
                map.weights.extend(&h.weights[terms.clone()]);
                map.offsets.push(map.channels.len() as u32);
                map.constants.push(h.constants[k]);
                map.gains.push(h.gains[k]);
            }
        }
        map
    }
}
