//! Checks that the parts of a bundle agree, so that a reader may index without asking.
//!
//! In: a [`Bundle`]. Out: all findings: target, image, routes, host, symbols.
//! Invariant: in a bundle without findings every core decodes, every route and place exists, every offset array is
//! ascending and as long as its lists, every channel is below the input's width, and every number is finite.
//! Cost: one decoding of the image.

use crate::bundle::*;
use crate::codec::{CodecError, decode_core};
use crate::crossbar::{self, Crossbar, CrossbarError, CrossbarImage};
use crate::event::{self, EventError};
use crate::image::{Image, PackedImage};
use crate::target::Family;
use crate::target_check::TargetFinding;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

/// Largest skew that a bundle may have.
pub const MAX_SKEW: u32 = 65_535;
/// Largest default number of network steps that a bundle may have.
pub const MAX_DEFAULT_STEPS: u32 = 1 << 24;

/// Two parts of a bundle that don't agree.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BundleFinding {
    /// The target contradicts itself.
    #[error("target: {0}")]
    Target(TargetFinding),
    /// A core doesn't decode.
    #[error("image: {0}")]
    Image(CodecError),
    /// A core of the crossbar family doesn't decode.
    #[error("image: {0}")]
    CrossbarImage(CrossbarError),
    /// The event crossbar doesn't decode.
    #[error("image: {0}")]
    EventImage(EventError),
    /// Cores out of order.
    #[error("image: core {found} after core {previous}")]
    CoreOrder {
        /// Core before.
        previous: u32,
        /// Core.
        found: u32,
    },
    /// An output axon whose destination is not in the image.
    #[error("image: core {core}, output axon {record}: no input axon {in_axon} of core {to}")]
    Route {
        /// Core that sends.
        core: u32,
        /// Output axon.
        record: u32,
        /// Core that receives.
        to: u32,
        /// Input axon that is missing there.
        in_axon: u16,
    },
    /// A place that is not in the image.
    #[error("{list} {record}: the image has no core {}, {} {}", place.core, if *axon { "input axon" } else { "compartment" }, place.index)]
    Place {
        /// Path of the list.
        list: String,
        /// Element of the list.
        record: u64,
        /// The place.
        place: Place,
        /// True when the place is an input axon, false when it is a compartment.
        axon: bool,
    },
    /// A value that contradicts the rest.
    #[error("{list} {record}: found {found}, expected {expected}")]
    Value {
        /// Path of the field or list.
        list: String,
        /// Element of the list; 0 where it is no list.
        record: u64,
        /// What stands there.
        found: String,
        /// What would do.
        expected: String,
    },
}

impl Bundle {
    /// Everything in which the parts of the bundle disagree; empty = consumers may index safely.
    pub fn validate(&self) -> Vec<BundleFinding> {
        let broken: Vec<_> = self.target.check().into_iter().map(BundleFinding::Target).collect();
        if !broken.is_empty() {
            return broken;
        }
        let mut v = Validator { bundle: self, cores: BTreeMap::new(), findings: Vec::new() };
        v.image();
        v.host();
        v.maps();
        v.decoder();
        v.symbols();
        v.findings
    }
}

struct Validator<'a> {
    bundle: &'a Bundle,
    /// (input axons, compartments) of each core; `None` where it doesn't decode.
    cores: BTreeMap<u32, Option<(usize, usize)>>,
    findings: Vec<BundleFinding>,
}

impl Validator<'_> {
    fn require(&mut self, list: &str, record: usize, found: impl Display, holds: bool, expected: impl Display) {
        if !holds {
            let (found, expected) = (found.to_string(), expected.to_string());
            self.findings.push(BundleFinding::Value { list: list.into(), record: record as u64, found, expected });
        }
    }

    fn length(&mut self, list: &str, found: usize, expected: usize) -> bool {
        self.require(list, 0, format_args!("{found} elements"), found == expected, format_args!("{expected}"));
        found == expected
    }

    fn finite(&mut self, list: &str, values: impl IntoIterator<Item = f64>) {
        for (i, value) in values.into_iter().enumerate() {
            self.require(list, i, value, value.is_finite(), "a finite number");
        }
    }

    fn place(&mut self, list: &str, record: usize, place: Place, axon: bool) {
        let exists = match self.cores.get(&place.core) {
            Some(Some((axons, compartments))) => usize::from(place.index) < if axon { *axons } else { *compartments },
            Some(None) => true, // The core has a finding of its own.
            None => false,
        };
        if !exists {
            self.findings.push(BundleFinding::Place { list: list.into(), record: record as u64, place, axon });
        }
    }

    fn image(&mut self) {
        match (&self.bundle.image, &self.bundle.target.family) {
            (Image::Packed(image), Family::Packed(_)) => self.packed(image),
            (Image::Crossbar(image), Family::Crossbar(spec)) => self.crossbar(image, spec),
            (Image::EventCrossbar(image), Family::EventCrossbar(spec)) => match event::decode(image, spec) {
                Ok(_) => {
                    self.cores.insert(0, Some((*spec.core.rows as usize, *spec.core.neurons as usize)));
                }
                Err(error) => {
                    self.cores.insert(0, None);
                    self.findings.push(BundleFinding::EventImage(error));
                }
            },
            (image, family) => {
                self.require("image", 0, image.family(), false, format_args!("{}, the family of the target", family.name()));
            }
        }
    }

    fn crossbar(&mut self, image: &CrossbarImage, spec: &Crossbar) {
        self.order(image.cores.iter().map(|c| c.core));
        let topology = &self.bundle.target.topology;
        let (width, bus) = (*topology.width, *spec.routing.output_bus);
        let bus = bus.1 * width + bus.0;
        let mut decoded = Vec::new();
        for core in &image.cores {
            let there = core.core < self.bundle.target.total_cores() && core.core != bus;
            self.require("image", 0, format_args!("core {}", core.core), there, "a core of the target that is not the output bus");
            let tables = crossbar::decode_core(core, spec);
            self.cores.insert(core.core, tables.is_ok().then_some((*spec.core.axons as usize, *spec.core.neurons as usize)));
            match tables {
                Ok(tables) => decoded.push(tables),
                Err(error) => self.findings.push(BundleFinding::CrossbarImage(error)),
            }
        }
        for tables in decoded {
            let (x, y) = ((tables.core % width) as i64, (tables.core / width) as i64);
            for (record, row) in tables.neurons.iter().enumerate().filter(|(_, row)| !row.is_unused(spec)) {
                let (x, y) = (x + i64::from(row.destination.dx), y + i64::from(row.destination.dy));
                let inside = (0..i64::from(width)).contains(&x) && (0..i64::from(*topology.height)).contains(&y);
                let to = if inside { y as u32 * width + x as u32 } else { u32::MAX };
                let axons = if to == bus { *spec.routing.outputs } else { *spec.core.axons };
                if !(to == bus || self.cores.contains_key(&to)) || u32::from(row.destination.axon) >= axons {
                    let (core, record, in_axon) = (tables.core, record as u32, row.destination.axon);
                    self.findings.push(BundleFinding::Route { core, record, to, in_axon });
                }
            }
        }
    }

    fn order(&mut self, cores: impl Iterator<Item = u32>) {
        let cores: Vec<u32> = cores.collect();
        for w in cores.windows(2).filter(|w| w[0] >= w[1]) {
            self.findings.push(BundleFinding::CoreOrder { previous: w[0], found: w[1] });
        }
    }

    fn packed(&mut self, image: &PackedImage) {
        self.order(image.cores.iter().map(|c| c.core));
        let mut routes = Vec::new();
        for core in &image.cores {
            match decode_core(core, &self.bundle.target) {
                Ok(tables) => {
                    self.cores.insert(core.core, Some((tables.in_axons.len(), tables.compartments.len())));
                    routes.push((core.core, tables.out_axons));
                }
                Err(error) => {
                    self.cores.insert(core.core, None);
                    self.findings.push(BundleFinding::Image(error));
                }
            }
        }
        for (core, out_axons) in routes {
            for (i, o) in out_axons.iter().enumerate() {
                let there = match self.cores.get(&o.core) {
                    Some(Some((axons, _))) => usize::from(o.in_axon) < *axons,
                    Some(None) => true,
                    None => false,
                };
                if !there {
                    self.findings.push(BundleFinding::Route { core, record: i as u32, to: o.core, in_axon: o.in_axon });
                }
            }
        }
    }

    fn host(&mut self) {
        let host = &self.bundle.host;
        let width = u64::from(host.input_width);
        let channels = match host.encoder {
            Encoder::Spikes => width,
            Encoder::Bias => 0,
            Encoder::Rate { full_scale } | Encoder::Latency { full_scale } => {
                self.require("host.encoder", 0, full_scale, full_scale.is_finite() && full_scale > 0.0, "a full scale above 0");
                2 * width
            }
        };
        let found = host.input_axons.len() as u64;
        self.require("host.input_axons", 0, format_args!("{found} channels"), found == channels, format_args!("{channels}"));
        for (channel, places) in host.input_axons.iter().enumerate() {
            for &place in places {
                self.place("host.input_axons", channel, place, true);
            }
        }
        let maps = host.maps.len();
        let fits = maps == 0 || host.encoder == Encoder::Bias;
        self.require("host.maps", 0, format_args!("{maps} maps"), fits, "none, as the encoder makes spikes");
        self.injections();
        let steps = host.default_steps.unwrap_or(0);
        self.require("host.default_steps", 0, steps, steps <= MAX_DEFAULT_STEPS, format_args!("at most {MAX_DEFAULT_STEPS}"));
        let Family::Packed(packed) = &self.bundle.target.family else {
            let writes = host.bias_writes.len();
            self.require(
                "host.bias_writes",
                0,
                format_args!("{writes} writes"),
                writes == 0,
                "none: neurons of this family have no bias registers",
            );
            self.require("host.maps", 0, format_args!("{maps} maps"), maps == 0, "none: neurons of this family have no bias registers");
            return;
        };
        let neuron = &packed.neuron;
        let mantissa_max = (1i32 << (*neuron.bias_mantissa_bits - 1)) - 1;
        for (i, w) in host.bias_writes.iter().enumerate() {
            self.place("host.bias_writes", i, w.place, false);
            let mantissa = i32::from(w.mantissa);
            self.require(
                "host.bias_writes",
                i,
                mantissa,
                mantissa.abs() <= mantissa_max,
                format_args!("a mantissa of at most {mantissa_max}"),
            );
            let most = *neuron.bias_exponent_max;
            self.require("host.bias_writes", i, w.exponent, w.exponent <= most, format_args!("an exponent of at most {most}"));
            self.require(
                "host.bias_writes",
                i,
                w.chip_step,
                w.chip_step <= host.max_skew,
                format_args!("a chip step of at most {}", host.max_skew),
            );
        }
    }

    fn injections(&mut self) {
        let host = &self.bundle.host;
        let (count, channels) = (host.injections.len(), host.input_axons.len());
        let packed = matches!(self.bundle.target.family, Family::Packed(_));
        self.require(
            "host.injections",
            0,
            format_args!("{count} injections"),
            count == 0 || !packed,
            "none: synapses of this family hold delays",
        );
        for (i, injection) in host.injections.iter().enumerate() {
            self.place("host.injections", i, injection.to, true);
            let least = match injection.from {
                Origin::Neuron(place) => {
                    self.place("host.injections", i, place, false);
                    1
                }
                Origin::Channel(channel) => {
                    self.require("host.injections", i, channel, (channel as usize) < channels, format_args!("a channel below {channels}"));
                    0
                }
            };
            let delay = injection.delay_steps;
            self.require(
                "host.injections",
                i,
                delay,
                (least..=MAX_SKEW).contains(&delay),
                format_args!("a delay of {least} to {MAX_SKEW}"),
            );
            let ascending = i == 0 || host.injections[i - 1] < *injection;
            self.require("host.injections", i, "disorder", ascending, "ascending injections, none twice");
        }
    }

    fn maps(&mut self) {
        let host = &self.bundle.host;
        for (i, map) in host.maps.iter().enumerate() {
            let path = |field: &str| format!("host.maps[{i}].{field}");
            let targets = map.targets.len();
            for (k, &place) in map.targets.iter().enumerate() {
                self.place(&path("targets"), k, place, false);
            }
            self.length(&path("constants"), map.constants.len(), targets);
            self.length(&path("gains"), map.gains.len(), targets);
            self.length(&path("weights"), map.weights.len(), map.channels.len());
            self.finite(&path("constants"), map.constants.iter().copied());
            self.finite(&path("gains"), map.gains.iter().copied());
            self.finite(&path("weights"), map.weights.iter().map(|&w| w.into()));
            for (k, &channel) in map.channels.iter().enumerate() {
                let absolute = u64::from(map.first_channel) + u64::from(channel);
                let most = host.input_width;
                self.require(&path("channels"), k, absolute, absolute < most.into(), format_args!("a channel below {most}"));
            }
            if !self.length(&path("offsets"), map.offsets.len(), targets + 1) {
                continue;
            }
            let (first, last) = (map.offsets[0], map.offsets[targets]);
            self.require(&path("offsets"), 0, first, first == 0, "0");
            self.require(
                &path("offsets"),
                targets,
                last,
                last as usize == map.channels.len(),
                format_args!("{} terms", map.channels.len()),
            );
            for k in 0..targets {
                let (start, end) = (map.offsets[k] as usize, map.offsets[k + 1] as usize);
                self.require(&path("offsets"), k + 1, end, start <= end, format_args!("at least {start}"));
                let ascending = map.channels.get(start..end).is_none_or(|c| c.is_sorted());
                self.require(&path("targets"), k, "channels in disorder", ascending, "ascending channels");
            }
        }
    }

    fn decoder(&mut self) {
        let Host { decoder, max_skew, .. } = &self.bundle.host;
        for (i, place) in decoder.outputs.iter().enumerate() {
            if let Some(place) = *place {
                self.place("host.decoder.outputs", i, place, false);
            }
        }
        self.require("host.decoder.kind", 0, "vote:0", decoder.kind != DecoderKind::Vote(0), "groups of at least 1 output");
        self.require("host.decoder.skew", 0, decoder.skew, decoder.skew <= *max_skew, format_args!("at most {max_skew}"));
        self.require("host.max_skew", 0, max_skew, *max_skew <= MAX_SKEW, format_args!("at most {MAX_SKEW}"));
    }

    fn symbols(&mut self) {
        let Bundle { symbols, host, .. } = self.bundle;
        for (i, p) in symbols.populations.iter().enumerate() {
            let path = |field: &str| format!("symbols.populations[{i}].{field}");
            let size = p.shape.iter().try_fold(1u64, |n, &d| n.checked_mul(d.into())).filter(|&n| n <= 1 << 32);
            self.require(&path("shape"), 0, format_args!("{:?}", p.shape), size.is_some(), "at most 2^32 neurons");
            self.require(&path("skew"), 0, p.skew, p.skew <= host.max_skew, format_args!("at most {}", host.max_skew));
            let placed = p.neurons.len();
            self.require(&path("neurons"), 0, format_args!("{placed} places"), !p.input || placed == 0, "no places for input channels");
            for (k, &(neuron, place)) in p.neurons.iter().enumerate() {
                self.place(&path("neurons"), k, place, false);
                let size = size.unwrap_or(u64::MAX);
                self.require(&path("neurons"), k, neuron, u64::from(neuron) < size, format_args!("an index below {size}"));
                let ascending = k == 0 || p.neurons[k - 1].0 < neuron;
                self.require(&path("neurons"), k, neuron, ascending, "ascending indices");
            }
        }
        for (i, p) in symbols.populations.iter().enumerate().filter(|(_, p)| !p.copies.is_empty()) {
            let path = format!("symbols.populations[{i}].copies");
            let mut cores: BTreeSet<(u32, u32)> = p.neurons.iter().map(|(neuron, place)| (*neuron, place.core)).collect();
            for (k, &(neuron, place)) in p.copies.iter().enumerate() {
                self.place(&path, k, place, false);
                let known = p.neurons.binary_search_by_key(&neuron, |n| n.0).is_ok();
                self.require(&path, k, neuron, known, "an index that has a place");
                self.require(&path, k, neuron, k == 0 || p.copies[k - 1] < (neuron, place), "ascending indices and places");
                // A crossbar neuron has one destination: what has several stands several times in its core.
                let alone = cores.insert((neuron, place.core)) || matches!(self.bundle.target.family, Family::Crossbar(_));
                self.require(&path, k, format_args!("core {}", place.core), alone, "a core without the same neuron");
            }
        }
        let largest = symbols.populations.iter().map(|p| p.skew).chain([host.decoder.skew]).max().unwrap_or(0);
        self.require("host.max_skew", 0, host.max_skew, host.max_skew == largest, format_args!("{largest}, the largest skew"));
        let Some(output) = symbols.populations.get(symbols.output as usize).filter(|p| !p.input) else {
            self.require("symbols.output", 0, symbols.output, false, "the index of a population that is no input");
            return;
        };
        let size = output.shape.iter().fold(1u64, |n, &d| n.saturating_mul(d.into()));
        let outputs = host.decoder.outputs.len();
        self.require("host.decoder.outputs", 0, format_args!("{outputs} outputs"), outputs as u64 == size, format_args!("{size}"));
        let places: BTreeMap<u32, Place> = output.neurons.iter().copied().collect();
        for (i, &place) in host.decoder.outputs.iter().enumerate() {
            let expected = places.get(&(i as u32)).copied();
            let text = |place: Option<Place>| place.map_or("no place".into(), |p| format!("core {}, compartment {}", p.core, p.index));
            self.require("host.decoder.outputs", i, text(place), place == expected, format_args!("{}, as in the symbols", text(expected)));
        }
        let skew = host.decoder.skew;
        self.require("host.decoder.skew", 0, skew, skew == output.skew, format_args!("{}, the output population's", output.skew));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::OutAxon;
    use crate::testing::{small_analog_bundle, small_bundle};

    #[test]
    fn good_bundles_have_no_findings() {
        assert_eq!(small_bundle().validate(), []);
        assert_eq!(small_analog_bundle().validate(), []);
        for encoder in [Encoder::Rate { full_scale: 2.0 }, Encoder::Latency { full_scale: 0.5 }] {
            let mut bundle = small_bundle();
            bundle.host.encoder = encoder;
            bundle.host.input_axons.resize(6, vec![]);
            assert_eq!(bundle.validate(), []);
        }
    }

    /// Each change makes the bundle disagree with itself, and a finding names the list.
    #[test]
    fn each_disagreement_is_named() {
        type Change = fn(&mut Bundle);
        let cases: &[(Change, &str)] = &[
            (|b| b.target.topology.width.value = 0, "topology.width"),
            (|b| cores(b).swap(0, 1), "core 2 after core 9"),
            (
                |b| {
                    cores(b).pop();
                },
                "core 2, output axon 0: no input axon 0 of core 9",
            ),
            (|b| cores(b)[1].in_axons.clear(), "core 9, input axon 0: 0 bits"),
            (|b| b.host.input_axons[0][0].core = 3, "host.input_axons 0: the image has no core 3, input axon 0"),
            (|b| b.host.input_axons[2][1].index = 2, "host.input_axons 2: the image has no core 2, input axon 2"),
            (|b| b.host.input_width = 4, "host.input_axons 0: found 3 channels, expected 4"),
            (|b| b.host.encoder = Encoder::Rate { full_scale: 1.0 }, "host.input_axons 0: found 3 channels, expected 6"),
            (|b| b.host.encoder = Encoder::Latency { full_scale: f64::NAN }, "host.encoder"),
            (|b| b.host.encoder = Encoder::Rate { full_scale: 0.0 }, "host.encoder"),
            (|b| b.host.encoder = Encoder::Bias, "host.input_axons 0: found 3 channels, expected 0"),
            (|b| b.host.maps = small_analog_bundle().host.maps, "host.maps 0: found 1 maps, expected none"),
            (|b| b.host.bias_writes[0].place.index = 2, "host.bias_writes 0: the image has no core 9, compartment 2"),
            (|b| b.host.bias_writes[0].mantissa = i16::MIN, "host.bias_writes 0: found -32768"),
            (|b| b.host.bias_writes[0].exponent = 8, "host.bias_writes 0: found 8"),
            (|b| b.host.bias_writes[0].chip_step = 2, "host.bias_writes 0: found 2"),
            (|b| b.host.default_steps = Some(u32::MAX), "host.default_steps"),
            (|b| b.host.max_skew = 2, "host.max_skew 0: found 2, expected 1"),
            (
                |b| {
                    b.host.max_skew = 70_000;
                    b.host.decoder.skew = 70_000;
                    b.symbols.populations[2].skew = 70_000
                },
                "host.max_skew 0: found 70000",
            ),
            (|b| b.host.decoder.outputs[2] = Some(Place { core: 9, index: 2 }), "host.decoder.outputs 2"),
            (
                |b| {
                    b.host.decoder.outputs.pop();
                },
                "host.decoder.outputs 0: found 2 outputs, expected 3",
            ),
            (|b| b.host.decoder.outputs.swap(0, 2), "host.decoder.outputs 0: found core 9, compartment 1, expected core 9, compartment 0"),
            (|b| b.host.decoder.outputs[0] = None, "host.decoder.outputs 0: found no place"),
            (|b| b.host.decoder.kind = DecoderKind::Vote(0), "host.decoder.kind"),
            (|b| b.host.decoder.skew = 0, "host.decoder.skew 0: found 0, expected 1"),
            (|b| b.symbols.output = 3, "symbols.output"),
            (|b| b.symbols.output = 0, "symbols.output"),
            (|b| b.symbols.populations[1].shape = vec![3], "symbols.populations[1].neurons 1: found 3, expected an index below 3"),
            (|b| b.symbols.populations[1].shape = vec![u32::MAX; 3], "symbols.populations[1].shape"),
            (|b| b.symbols.populations[1].skew = 5, "symbols.populations[1].skew"),
            (|b| b.symbols.populations[1].input = true, "symbols.populations[1].neurons 0: found 2 places"),
            (|b| b.symbols.populations[1].neurons.swap(0, 1), "symbols.populations[1].neurons 1: found 0, expected ascending"),
            (
                |b| b.symbols.populations[1].copies = vec![(1, Place { core: 9, index: 0 })],
                "copies 0: found 1, expected an index that has a place",
            ),
            (
                |b| b.symbols.populations[1].copies = vec![(0, Place { core: 2, index: 1 })],
                "copies 0: found core 2, expected a core without",
            ),
            (
                |b| b.symbols.populations[1].copies = vec![(0, Place { core: 9, index: 2 })],
                "copies 0: the image has no core 9, compartment 2",
            ),
            (
                |b| b.symbols.populations[1].copies = [3, 0].map(|n| (n, Place { core: 9, index: 0 })).to_vec(),
                "copies 1: found 0, expected ascending",
            ),
            (|b| b.symbols.populations[2].neurons[0].1.core = 1, "symbols.populations[2].neurons 0: the image has no core 1"),
        ];
        check(cases, small_bundle);
        let maps: &[(Change, &str)] = &[
            (|b| b.host.maps[0].targets[1].index = 2, "host.maps[0].targets 1: the image has no core 2, compartment 2"),
            (
                |b| {
                    b.host.maps[0].constants.pop();
                },
                "host.maps[0].constants 0: found 1 elements, expected 2",
            ),
            (|b| b.host.maps[0].gains.push(1.0), "host.maps[0].gains 0: found 3 elements, expected 2"),
            (
                |b| {
                    b.host.maps[0].weights.pop();
                },
                "host.maps[0].weights 0: found 2 elements, expected 3",
            ),
            (|b| b.host.maps[0].weights[1] = f32::INFINITY, "host.maps[0].weights 1: found inf"),
            (|b| b.host.maps[0].constants[1] = f64::NAN, "host.maps[0].constants 1: found NaN"),
            (|b| b.host.maps[0].gains[0] = f64::NAN, "host.maps[0].gains 0: found NaN"),
            (|b| b.host.maps[0].channels[1] = 3, "host.maps[0].channels 1: found 3, expected a channel below 3"),
            (|b| b.host.maps[0].first_channel = u32::MAX, "host.maps[0].channels 0: found 4294967295"),
            (|b| b.host.maps[0].channels.swap(0, 1), "host.maps[0].targets 0: found channels in disorder"),
            (
                |b| {
                    b.host.maps[0].offsets.pop();
                },
                "host.maps[0].offsets 0: found 2 elements, expected 3",
            ),
            (|b| b.host.maps[0].offsets.clear(), "host.maps[0].offsets 0: found 0 elements, expected 3"),
            (|b| b.host.maps[0].offsets[0] = 1, "host.maps[0].offsets 0: found 1, expected 0"),
            (|b| b.host.maps[0].offsets[1] = u32::MAX, "host.maps[0].offsets 2: found 3, expected at least 4294967295"),
            (|b| b.host.maps[0].offsets[2] = 2, "host.maps[0].offsets 2: found 2, expected 3 terms"),
        ];
        check(maps, small_analog_bundle);

        fn cores(b: &mut Bundle) -> &mut Vec<crate::image::CoreImage> {
            &mut b.image.packed_mut().cores
        }
        fn check(cases: &[(Change, &str)], bundle: fn() -> Bundle) {
            for (i, (change, text)) in cases.iter().enumerate() {
                let mut changed = bundle();
                change(&mut changed);
                let findings = changed.validate();
                assert!(findings.iter().any(|f| f.to_string().contains(text)), "case {i}, {text}: {findings:#?}");
            }
        }
    }

    #[test]
    fn a_route_to_a_missing_axon_is_found() {
        let mut bundle = small_bundle();
        let target = bundle.target.clone();
        let image = bundle.image.packed_mut();
        let mut tables = decode_core(&image.cores[0], &target).unwrap();
        tables.out_axons[1] = OutAxon { core: 9, in_axon: 2 };
        image.cores[0] = crate::codec::encode_core(&tables, &target).unwrap();
        assert_eq!(bundle.validate(), [BundleFinding::Route { core: 2, record: 1, to: 9, in_axon: 2 }]);
    }
}
