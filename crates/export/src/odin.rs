//! tinyODIN and ODIN: the writes of their SPI, and images of their memories.
//!
//! In: a bundle of the event crossbar family and, if wanted, a sample. Out: `spi.txt`, `neurons.mem`, `synapses.mem`, `host.json` and, with a sample, `events.json` and `expected.json`.
//! Invariant: a target whose numbers are not the chip's is refused; every byte of both memories is written.
//! Facts about the chips (addresses, fields, registers): docs/exports.md.

use crate::error::ExportError;
use crate::expected;
use crate::sample::Sample;
use serde::Serialize;
use spikec_chip::Loadable;
use spikec_chip::bundle::{Origin, Place};
use spikec_chip::event::{EventCrossbar, EventImage, EventSign, EventTables, decode};
use spikec_chip::image::Image;
use spikec_chip::target::Family;
use std::io::{self, Write};

#[cfg(test)]
mod tests;

/// Neurons and rows of both chips: their addresses have no more bits.
const SIZE: u32 = 256;
/// Bytes of a word of synapses.
const SYNAPSE_BYTES: usize = 4;
/// Address bits of a write to the memory of neurons, and of synapses.
const NEURON: u32 = 0x5_0000;
const SYNAPSE: u32 = 0x6_0000;

/// One of the two chips.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chip {
    /// tinyODIN.
    TinyOdin,
    /// ODIN, with its leaky integrate-and-fire neurons.
    Odin,
}

impl Chip {
    fn format(self) -> &'static str {
        match self {
            Chip::TinyOdin => "tinyodin-spi",
            Chip::Odin => "odin-spi",
        }
    }

    /// Bytes of a neuron's word.
    fn word_bytes(self) -> usize {
        match self {
            Chip::TinyOdin => 4,
            Chip::Odin => 16,
        }
    }
}

/// A write: 20 bits of address, 20 bits of data.
pub type SpiWrite = (u32, u32);

/// A bundle, ready to be written for tinyODIN or ODIN.
#[derive(Debug)]
pub struct Spi {
    chip: Chip,
    tables: EventTables,
    /// Words of neurons, the lowest byte first.
    neurons: Vec<Vec<u8>>,
    /// Words of 8 synapses.
    synapses: Vec<u32>,
    host: String,
    events: Option<String>,
    expected: Option<String>,
}

/// What the host has to do.
#[derive(Debug, Serialize)]
struct Host {
    target: String,
    default_steps: Option<u32>,
    max_skew: u32,
    /// Rows of each input channel.
    input_rows: Vec<Vec<u16>>,
    /// (channel, row, steps later).
    delayed_inputs: Vec<(u32, u16, u32)>,
    /// (neuron, row, steps later).
    reinject: Vec<(u16, u16, u32)>,
    /// Neuron of each output; null: it never spikes.
    outputs: Vec<Option<u16>>,
    output_skew: u32,
}

/// What the host sends of its own accord.
#[derive(Debug, Serialize)]
struct Events {
    sample: usize,
    network_steps: u32,
    /// For each chip step, the rows that inputs name, ascending. Those of neurons come in between, by `reinject`.
    rows: Vec<Vec<u16>>,
}

impl Spi {
    /// Decodes a bundle and, with a sample, lists its events.
    ///
    /// # Errors
    /// Another family, a target whose numbers are not the chip's, or a sample that doesn't fit.
    pub fn new(bundle: Loadable<'_>, chip: Chip, sample: Option<Sample<'_>>) -> Result<Spi, ExportError> {
        let format = chip.format();
        let (spec, image) = match (&bundle.target.family, bundle.image) {
            (Family::EventCrossbar(spec), Image::EventCrossbar(image)) => (spec, image),
            (family, _) => return Err(ExportError::Family { format, found: family.name(), expected: "EventCrossbar" }),
        };
        check(spec, chip)?;
        let tables = decode(image, spec)?;
        let neurons = match chip {
            Chip::TinyOdin => plain_words(image, spec),
            Chip::Odin => tables.neurons.iter().map(odin_word).collect(),
        };
        let word = |from: usize| number((from..from + 8 * SYNAPSE_BYTES).map(|k| image.synapses[k])) as u32;
        let synapses = (0..image.synapses.len()).step_by(8 * SYNAPSE_BYTES).map(word).collect();
        let events = match &sample {
            Some(sample) => {
                let sent = sample.sent(&bundle, false)?;
                let rows = sent.places.iter().map(|of| {
                    let mut rows: Vec<u16> = of.iter().map(|p| p.index).collect();
                    rows.sort_unstable();
                    rows
                });
                Some(text(&Events { sample: sample.index, network_steps: sent.steps, rows: rows.collect() }))
            }
            None => None,
        };
        let expected = sample.map(|s| expected::json(bundle, format, &s)).transpose()?;
        Ok(Spi { chip, tables, neurons, synapses, host: text(&host(&bundle)), events, expected })
    }

    /// All writes, in their order: activity gated, registers, neurons, synapses, the loop closed where the image's is, activity on.
    pub fn writes(&self) -> Vec<SpiWrite> {
        // A word that is half written can make the neuron fire: the loop stays open until all is written.
        let mut out = vec![(0, 1), (1, 1)];
        match self.chip {
            // Spikes leave from the neuron at once; events stop after the last neuron.
            Chip::TinyOdin => out.extend([(2, 0), (3, u32::from(self.tables.last_neuron))]),
            Chip::Odin => {
                for (k, signs) in self.tables.negative_rows.chunks(16).enumerate() {
                    out.push((2 + k as u32, number(signs.iter().copied()) as u32));
                }
                // No bursts, spikes from the neuron at once, no monitor, no learning; weights count whatever their mapping bit says.
                out.extend([(18, 0), (19, 0), (20, 0), (21, 0), (22, 0), (23, 0), (24, 1), (25, 0)]);
            }
        }
        for (n, word) in self.neurons.iter().enumerate() {
            out.extend(word.iter().enumerate().map(|(byte, &value)| (NEURON | (byte as u32) << 8 | n as u32, u32::from(value))));
        }
        for (k, word) in self.synapses.iter().enumerate() {
            let bytes = word.to_le_bytes();
            out.extend(bytes.iter().enumerate().map(|(byte, &value)| (SYNAPSE | (byte as u32) << 13 | k as u32, u32::from(value))));
        }
        if !self.tables.open_loop {
            out.push((1, 0));
        }
        out.push((0, 0));
        out
    }

    /// Neurons that are not disabled, and synapses that are not 0.
    pub fn size(&self) -> (usize, usize) {
        (self.tables.neurons.iter().filter(|n| !n.disabled).count(), self.tables.weights.iter().filter(|w| **w != 0).count())
    }

    /// Writes `spi.txt`: address and data of a write a line, hexadecimal.
    ///
    /// # Errors
    /// Where `out` fails.
    pub fn spi(&self, out: &mut dyn Write) -> io::Result<()> {
        self.writes().into_iter().try_for_each(|(address, data)| writeln!(out, "{address:05x} {data:05x}"))
    }

    /// Writes `neurons.mem`: a word a line, hexadecimal.
    ///
    /// # Errors
    /// Where `out` fails.
    pub fn neurons(&self, out: &mut dyn Write) -> io::Result<()> {
        for word in &self.neurons {
            let digits: String = word.iter().rev().map(|b| format!("{b:02x}")).collect();
            writeln!(out, "{digits}")?;
        }
        Ok(())
    }

    /// Writes `synapses.mem`: a word of 8 synapses a line, hexadecimal.
    ///
    /// # Errors
    /// Where `out` fails.
    pub fn synapses(&self, out: &mut dyn Write) -> io::Result<()> {
        self.synapses.iter().try_for_each(|word| writeln!(out, "{word:08x}"))
    }

    /// `host.json`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// `events.json`; none without a sample.
    pub fn events(&self) -> Option<&str> {
        self.events.as_deref()
    }

    /// What spikec expects of the sample; none without one.
    pub fn expected(&self) -> Option<&str> {
        self.expected.as_deref()
    }
}

fn text(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string(value).unwrap_or_default();
    text.push('\n');
    text
}

fn host(bundle: &Loadable<'_>) -> Host {
    let host = bundle.host;
    let rows = |places: &Vec<Place>| places.iter().map(|p| p.index).collect();
    let (mut delayed_inputs, mut reinject) = (Vec::new(), Vec::new());
    for i in &host.injections {
        match i.from {
            Origin::Channel(channel) => delayed_inputs.push((channel, i.to.index, i.delay_steps)),
            Origin::Neuron(place) => reinject.push((place.index, i.to.index, i.delay_steps)),
        }
    }
    Host {
        target: bundle.target.name.clone(),
        default_steps: host.default_steps,
        max_skew: host.max_skew,
        input_rows: host.input_axons.iter().map(rows).collect(),
        delayed_inputs,
        reinject,
        outputs: host.decoder.outputs.iter().map(|o| o.map(|p| p.index)).collect(),
        output_skew: host.decoder.skew,
    }
}

/// The numbers of the target are the chip's.
fn check(spec: &EventCrossbar, chip: Chip) -> Result<(), ExportError> {
    let (c, w, n) = (&spec.core, &spec.weights, &spec.neuron);
    let (weight, sign, potential, signed, threshold) = match chip {
        Chip::TinyOdin => (4, EventSign::EachWeight, 12, true, 12),
        Chip::Odin => (3, EventSign::EachRow, 8, false, 8),
    };
    let numbers: [(&'static str, u32, u32); 9] = [
        ("neurons", *c.neurons, SIZE),
        ("rows", *c.rows, SIZE),
        ("stored bits of a synapse", (*w.stored_bits).into(), 4),
        ("bits of a weight", (*w.weight_bits).into(), weight),
        ("bits of a word", *n.word_bits, 8 * chip.word_bytes() as u32),
        ("bits of a potential", (*n.potential_bits).into(), potential),
        ("bits of a threshold", (*n.threshold_bits).into(), threshold),
        ("bits of a leak", (*n.leak_bits).into(), 7),
        ("signs of potentials", (*n.signed).into(), signed.into()),
    ];
    let differs = |quantity, found: String, expected: String| Err(ExportError::Target { format: chip.format(), quantity, found, expected });
    if let Some(&(quantity, found, expected)) = numbers.iter().find(|n| n.1 != n.2) {
        return differs(quantity, found.to_string(), expected.to_string());
    }
    if *w.sign != sign {
        return differs("a sign of weights", format!("{:?}", *w.sign), format!("{sign:?}"));
    }
    Ok(())
}

/// The first bit is the lowest.
fn number(bits: impl Iterator<Item = bool>) -> u64 {
    bits.enumerate().map(|(k, bit)| u64::from(bit) << k).sum()
}

/// tinyODIN's words are the image's.
fn plain_words(image: &EventImage, spec: &EventCrossbar) -> Vec<Vec<u8>> {
    let bytes = |range: std::ops::Range<usize>| -> Vec<u8> {
        range.step_by(8).map(|from| number((from..from + 8).map(|k| image.neurons[k])) as u8).collect()
    };
    let bits = *spec.neuron.word_bits as usize;
    (0..*spec.core.neurons as usize).map(|n| bytes(n * bits..(n + 1) * bits)).collect()
}

/// ODIN's word of a leaky integrate-and-fire neuron: model 1 (bit 0), leak (1-7) and whether there is one (8), threshold (9-16), potential (70-77), disabled (127);
/// learning off (17), the rest 0.
fn odin_word(n: &spikec_chip::event::EventWord) -> Vec<u8> {
    let leaks = u128::from(n.leak > 0);
    let potential = u128::from(n.potential.unsigned_abs());
    let word = 1 | u128::from(n.leak) << 1 | leaks << 8 | u128::from(n.threshold) << 9 | potential << 70 | u128::from(n.disabled) << 127;
    word.to_le_bytes().to_vec()
}
