//! lava-dl's `.net` files: layers in the integers of Loihi, as `export_hdf5` writes them.
//!
//! In: bytes (HDF5). Out: a net in registers: weights, decays, thresholds and biases are the file's own.
//! Invariant: a layer that isn't known, or a value that the registers can't hold, is refused by name.
//! Time: layers follow each other without net delay, each with the state of a new sample, as lava's do when each resets one step after
//! the one before it (docs/network-format.md, section 6). On the chip a layer is a step behind the one before it, as in lava.

mod file;
#[cfg(test)]
mod tests;

use crate::error::ImportError;
use crate::hdf5::RawArray;
use crate::shape::{Growth, population_len};
use crate::{ImportOptions, Imported, Model};
use file::{Layer, Neuron};
use spikec_net::{
    Axis, Bias, Builder, Conv, Fixed, FixedNeuron, FixedRules, GeometryError, HostProjection, Net, Population, PopulationId, Projection,
    Role, SignMode, Synapses, WeightFormat,
};

pub(crate) use file::is_netx;

/// Layers that can be read.
const KINDS: [&str; 5] = ["input", "dense", "conv", "flatten", "average"];
/// Neurons that can be read.
const NEURONS: [&str; 2] = ["CUBA", "LOIHI"];
/// Most synapses that convolutions may become: a small file could ask for any number.
const MAX_SYNAPSES: u64 = 1 << 26;
/// Most places of kernels, zeros included, that are looked at.
const MAX_PLACES: u64 = 1 << 32;
/// log2 of the units of v in a unit of weights and biases.
const UNIT: u8 = 6;
/// Threshold mantissa of neurons that add up and never fire: the largest of 17 bits.
const NEVER: u32 = (1 << 17) - 1;

type Neurons = Vec<FixedNeuron>;

fn bad(place: impl Into<String>, found: impl Into<String>, expected: impl Into<String>) -> ImportError {
    ImportError::BadValue { place: place.into(), found: found.into(), expected: expected.into() }
}

/// Reads a `.net` file.
///
/// # Errors
/// [`ImportError::NotNetx`] for HDF5 of another kind; what is missing or can't be held.
pub fn read_netx(bytes: &[u8], options: &ImportOptions) -> Result<Imported, ImportError> {
    let (layers, unread) = file::read_file(bytes)?;
    let mut warnings: Vec<String> = unread.iter().map(|name| format!("`{name}` is not known and was ignored")).collect();
    if options.dt_s.is_some() || options.convention.is_some() || options.discretization.is_some() {
        warnings.push("a net in registers has no continuous time: the step length, convention and discretization given are ignored".into());
    }
    let unknown: Vec<(String, String)> = layers.iter().enumerate().filter_map(|(k, l)| unknown(k, l)).collect();
    if !unknown.is_empty() {
        return Err(ImportError::NotExecutable { nodes: unknown, executable: KINDS.into_iter().chain(NEURONS).collect() });
    }
    let mut reader = Reader {
        net: Net {
            name: options.name.clone(),
            rules: FixedRules::default(),
            populations: Vec::new(),
            projections: Vec::new(),
            host_projections: Vec::new(),
            output: PopulationId::from(0),
        },
        shape: Vec::new(),
        delays: Vec::new(),
        growth: Growth::default(),
        synapses: 0,
        places: 0,
        warnings,
    };
    let count = layers.len();
    for (k, layer) in layers.into_iter().enumerate() {
        reader.layer(k, &layer, k + 1 == count)?;
    }
    if reader.net.projections.is_empty() && reader.net.host_projections.is_empty() {
        return Err(ImportError::NotNetx { missing: "a layer with weights".into() });
    }
    let Reader { mut net, warnings, .. } = reader;
    net.output = PopulationId::from(net.populations.len() - 1);
    Ok(Imported { model: Model::Registers(net), warnings })
}

/// The layer's name and kind, or that of its neurons, where they can't be read.
fn unknown(k: usize, layer: &Layer) -> Option<(String, String)> {
    let place = format!("layer/{k}");
    if !KINDS.contains(&layer.kind.as_str()) {
        return Some((place, layer.kind.clone()));
    }
    let neuron = layer.neuron.as_ref()?;
    if !NEURONS.contains(&neuron.kind.as_str()) {
        return Some((format!("{place}/neuron"), neuron.kind.clone()));
    }
    let graded = neuron.values.get("gradedSpike").and_then(|v| v.whole().ok()).is_some_and(|v| v.iter().any(|&x| x != 0));
    graded.then(|| (format!("{place}/neuron"), "graded spikes".into()))
}

/// One whole number.
fn one(
    values: &std::collections::BTreeMap<&'static str, RawArray>,
    place: &str,
    key: &str,
    low: i64,
    high: i64,
) -> Result<Option<i64>, ImportError> {
    let Some(array) = values.get(key) else { return Ok(None) };
    let expected = || format!("a whole number from {low} to {high}");
    match array.whole().as_deref() {
        Ok(&[x]) if (low..=high).contains(&x) => Ok(Some(x)),
        Ok(&[x]) => Err(bad(format!("{place}/{key}"), x.to_string(), expected())),
        Ok(_) => Err(bad(format!("{place}/{key}"), format!("of shape {:?}", array.shape), expected())),
        Err(_) => Err(bad(format!("{place}/{key}"), "no whole number", expected())),
    }
}

fn missing(place: &str, key: &str) -> ImportError {
    ImportError::NotNetx { missing: format!("{place}/{key}") }
}

struct Reader {
    net: Net<Fixed>,
    /// Of what the last population gives, (channels, rows, columns) or flat.
    shape: Vec<u32>,
    /// Delays of the last population's spikes beyond the chain's; empty: none, one: of all.
    delays: Vec<u16>,
    growth: Growth,
    synapses: u64,
    places: u64,
    warnings: Vec<String>,
}

impl Reader {
    fn width(&self) -> usize {
        self.shape.iter().map(|&d| d as usize).product()
    }

    fn population(&mut self, name: &str, place: &str, shape: &[u32], role: Role<Fixed>) -> Result<(), ImportError> {
        let wide: Vec<u64> = shape.iter().map(|&d| d.into()).collect();
        let n = population_len(&wide)
            .ok_or_else(|| bad(format!("{place}/shape"), format!("{shape:?}"), "a shape with 1 to 16777216 elements"))?;
        self.growth.neurons(place, n)?;
        let origin = (0..n as u32).collect();
        self.net.populations.push(Population { name: name.into(), shape: shape.to_vec(), origin, skew: 0, role });
        self.shape = shape.to_vec();
        self.delays.clear();
        Ok(())
    }

    fn layer(&mut self, k: usize, layer: &Layer, last: bool) -> Result<(), ImportError> {
        let place = format!("layer/{k}");
        let shape = shape(layer, &place)?;
        match layer.kind.as_str() {
            "input" if k == 0 => self.input(layer, &place, &shape.ok_or_else(|| missing(&place, "shape"))?),
            "input" => Err(bad(&place, "an input layer after another", "layer/0")),
            "flatten" => {
                self.shape = vec![self.width() as u32];
                if k == 0 { Err(bad(&place, "a flatten layer before all others", "an input, dense or conv layer")) } else { Ok(()) }
            }
            "average" if last && k > 0 => {
                self.warnings.push(format!(
                    "`{place}` averages outputs, which is the decoder's work: add --decoder vote:G, G neurons a class (the layer before has {})",
                    self.width()
                ));
                Ok(())
            }
            "average" => Err(bad(&place, "an average layer before others", "one after all others")),
            "dense" => self.dense(layer, k, &place, shape),
            _ => self.conv(layer, k, &place, shape),
        }
    }

    /// Values become biases: of weight * value + bias.
    fn input(&mut self, layer: &Layer, place: &str, shape: &[u32]) -> Result<(), ImportError> {
        let number = |key: &str, default: i64| Ok(one(&layer.values, place, key, -4095, 4095)?.unwrap_or(default));
        let (weight, constant) = (number("weight", 1)?, number("bias", 0)?);
        let neuron = layer.neuron.as_ref().ok_or_else(|| missing(place, "neuron"))?;
        let neuron = registers(neuron, place)?.0;
        self.population("input", place, shape, Role::AnalogInput)?;
        let n = self.width();
        self.population("0_input", place, shape, Role::Neurons(vec![neuron; n]))?;
        self.net.host_projections.push(HostProjection {
            name: "0_input".into(),
            pre: PopulationId::from(0),
            post: PopulationId::from(1),
            offsets: (0..=n as u32).collect(),
            channels: (0..n as u32).collect(),
            weights: vec![weight as f32; n],
            constants: vec![constant as f64; n],
            gains: vec![f64::from(1u32 << UNIT); n],
            delay_steps: 0,
        });
        self.delay(layer, place)
    }

    fn dense(&mut self, layer: &Layer, k: usize, place: &str, shape: Option<Vec<u32>>) -> Result<(), ImportError> {
        let count = |key: &str| one(&layer.values, place, key, 1, 1 << 24);
        let (weight, given) = weights(layer, place)?;
        let outputs = match (count("outFeatures")?, given.as_slice()) {
            (Some(n), _) => n as usize,
            (None, &[n, ..]) => n as usize,
            (None, []) => return Err(missing(place, "outFeatures")),
        };
        let inputs = match count("inFeatures")? {
            Some(n) => n as usize,
            None => weight.len().checked_div(outputs).unwrap_or(0),
        };
        if outputs.checked_mul(inputs) != Some(weight.len()) {
            return Err(bad(format!("{place}/weight"), format!("of shape {given:?}"), format!("a matrix ({outputs}, {inputs})")));
        }
        if k == 0 {
            self.population("input", place, &[inputs as u32], Role::SpikeInput)?;
        }
        if inputs != self.width() {
            let expected = format!("{}, the neurons of the layer before", self.width());
            return Err(bad(format!("{place}/inFeatures"), inputs.to_string(), expected));
        }
        let shape = shape.unwrap_or_else(|| vec![outputs as u32]);
        if shape.iter().map(|&d| u64::from(d)).product::<u64>() != outputs as u64 {
            return Err(bad(format!("{place}/shape"), format!("{shape:?}"), format!("{outputs} elements")));
        }
        let mut synapses = Builder::new();
        for i in 0..inputs {
            for j in 0..outputs {
                let w = weight[j * inputs + i];
                if w != 0 {
                    synapses.push(j as u32, w, 0);
                }
            }
            synapses.end_row();
        }
        self.neurons(layer, k, place, &shape, (synapses.finish(), &weight), outputs)
    }

    fn conv(&mut self, layer: &Layer, k: usize, place: &str, shape: Option<Vec<u32>>) -> Result<(), ImportError> {
        if k == 0 {
            return Err(bad(place, "a convolution before all other layers", "an input layer, which says how large the input is"));
        }
        let &[c, h, w] = self.shape.as_slice() else {
            return Err(bad(place, format!("a convolution of a tensor of shape {:?}", self.shape), "(channels, rows, columns)"));
        };
        let pair = |key: &str, default: u32| match layer.values.get(key) {
            None => Ok([default; 2]),
            Some(array) => match array.whole().as_deref() {
                Ok(&[a]) if (0..1 << 24).contains(&a) => Ok([a as u32; 2]),
                Ok(&[a, b] | &[a, b, _]) if (0..1 << 24).contains(&a) && (0..1 << 24).contains(&b) => Ok([a as u32, b as u32]),
                _ => Err(bad(format!("{place}/{key}"), format!("of shape {:?}", array.shape), "one or two whole numbers from 0")),
            },
        };
        let (stride, padding, dilation) = (pair("stride", 1)?, pair("padding", 0)?, pair("dilation", 1)?);
        let groups = one(&layer.values, place, "groups", 1, 1 << 24)?.unwrap_or(1) as u32;
        let (kernel, given) = weights(layer, place)?;
        // The kernels of layers with time as a last axis.
        let (&([outputs, _, rows, columns] | [outputs, _, rows, columns, 1]), true) =
            (given.as_slice(), given.iter().all(|&d| d < 1 << 24))
        else {
            let expected = "a kernel (output channels, input channels, rows, columns)";
            return Err(bad(format!("{place}/weight"), format!("of shape {given:?}"), expected));
        };
        let axis = |size: u32, kernel: u64, a: usize| Axis {
            size,
            kernel: kernel as u32,
            stride: stride[a],
            dilation: dilation[a],
            padding: [padding[a]; 2],
        };
        let axes = vec![axis(h, rows, 0), axis(w, columns, 1)];
        let weight = kernel.iter().map(|&w| f32::from(w)).collect();
        let conv = Conv { channels: c, outputs: outputs as u32, groups, axes, weight };
        let misfit = |e: GeometryError| {
            let found = format!("a kernel {given:?} in {groups} groups, stride {stride:?}, padding {padding:?}, dilation {dilation:?}");
            bad(place, found, format!("one that goes with an input of shape {:?}: {e}", self.shape))
        };
        let output = conv.output_shape().map_err(misfit)?;
        if shape.as_ref().is_some_and(|s| *s != output) {
            return Err(bad(format!("{place}/shape"), format!("{shape:?}"), format!("{output:?}, what the kernel gives")));
        }
        self.synapses = self.synapses.saturating_add(conv.synapse_count().map_err(misfit)?);
        if self.synapses > MAX_SYNAPSES {
            let (what, found) = ("synapses of convolutions up to here", self.synapses);
            return Err(ImportError::TooLarge { place: place.into(), what, found, limit: MAX_SYNAPSES });
        }
        let places = [kernel.len() as u64, output[1].into(), output[2].into()].into_iter().fold(1u64, u64::saturating_mul);
        self.places = self.places.saturating_add(places);
        if self.places > MAX_PLACES {
            let (what, found) = ("places of kernels up to here", self.places);
            return Err(ImportError::TooLarge { place: place.into(), what, found, limit: MAX_PLACES });
        }
        let synapses = conv.synapses().map_err(misfit)?.map_stored(|w| w as i16);
        self.neurons(layer, k, place, &output, (synapses, &kernel), outputs as usize)
    }

    /// The layer's population and the projection onto it; biases are for each of `channels`.
    fn neurons(
        &mut self,
        layer: &Layer,
        k: usize,
        place: &str,
        shape: &[u32],
        (synapses, weights): (Synapses<i16>, &[i16]),
        channels: usize,
    ) -> Result<(), ImportError> {
        let (neuron, exponent) = match &layer.neuron {
            Some(neuron) => registers(neuron, place)?,
            None => {
                self.warnings.push(format!(
                    "`{place}` has no neurons: it is read as potentials that add up and never fire (threshold {NEVER}); use --decoder potential"
                ));
                (FixedNeuron { decay_u: 4096, decay_v: 0, threshold: NEVER, refractory: 1, bias: Bias::default() }, 0)
            }
        };
        let format = format(weights, exponent).ok_or_else(|| {
            bad(format!("{place}/weight"), "odd numbers beside -256", "whole numbers from -255 to 255, or even ones from -256")
        })?;
        let pre = PopulationId::from(self.net.populations.len() - 1);
        let delays = self.delays.clone();
        let neurons = self.biased(layer, place, neuron, shape, channels)?;
        let name = format!("{k}_{}", layer.kind);
        self.population(&name, place, shape, Role::Neurons(neurons))?;
        let delay = |i: usize| match delays.as_slice() {
            [] => 0,
            &[d] => d,
            each => each[i],
        };
        let synapses = match delays.is_empty() {
            true => synapses,
            false => {
                let mut delayed = Builder::new();
                for (i, row) in synapses.rows().enumerate() {
                    delayed.push_row(row.iter().map(|(post, weight, _)| (post, weight, delay(i))));
                }
                delayed.finish()
            }
        };
        self.net.projections.push(Projection { name, pre, post: PopulationId::from(self.net.populations.len() - 1), format, synapses });
        self.delay(layer, place)
    }

    fn biased(&self, layer: &Layer, place: &str, neuron: FixedNeuron, shape: &[u32], channels: usize) -> Result<Neurons, ImportError> {
        let n: usize = shape.iter().map(|&d| d as usize).product();
        let Some(array) = layer.values.get("bias") else { return Ok(vec![neuron; n]) };
        let place = format!("{place}/bias");
        let values = array.whole().map_err(|k| bad(format!("{place}[{k}]"), "no whole number", "a whole number"))?;
        if values.len() != 1 && values.len() != channels {
            return Err(bad(&place, format!("of shape {:?}", array.shape), format!("{channels} numbers, or one")));
        }
        let mut biases = Vec::with_capacity(values.len());
        for (k, &b) in values.iter().enumerate() {
            let mantissa = i16::try_from(b).map_err(|_| bad(format!("{place}[{k}]"), b.to_string(), "-32768 to 32767"))?;
            biases.push(if b == 0 { Bias::default() } else { Bias { mantissa, exponent: UNIT } });
        }
        let each = n / values.len().max(1);
        Ok((0..n).map(|j| FixedNeuron { bias: biases[j / each.max(1)], ..neuron }).collect())
    }

    /// Delays of the layer's spikes: one, one for each channel, or one for each neuron.
    fn delay(&mut self, layer: &Layer, place: &str) -> Result<(), ImportError> {
        let Some(array) = layer.values.get("delay") else { return Ok(()) };
        let (place, n) = (format!("{place}/delay"), self.width());
        let values = array.whole().map_err(|k| bad(format!("{place}[{k}]"), "no whole number", "a whole number"))?;
        let channels = self.shape.first().map_or(1, |&c| c as usize);
        if ![1, channels, n].contains(&values.len()) {
            return Err(bad(&place, format!("of shape {:?}", array.shape), format!("1, {channels} or {n} numbers")));
        }
        let mut delays = Vec::with_capacity(values.len());
        for (k, &d) in values.iter().enumerate() {
            delays.push(u16::try_from(d).map_err(|_| bad(format!("{place}[{k}]"), d.to_string(), "0 to 65535"))?);
        }
        let each = n / delays.len().max(1);
        self.delays = if delays.len() == 1 { delays } else { (0..n).map(|i| delays[i / each]).collect() };
        Ok(())
    }
}

/// Sizes of a layer's tensor.
fn shape(layer: &Layer, place: &str) -> Result<Option<Vec<u32>>, ImportError> {
    let Some(array) = layer.values.get("shape") else { return Ok(None) };
    let sizes = array.whole().ok().filter(|v| (1..=8).contains(&v.len()));
    let sizes = sizes.and_then(|v| v.into_iter().map(|d| u32::try_from(d).ok().filter(|&d| d > 0)).collect());
    sizes.map(Some).ok_or_else(|| bad(format!("{place}/shape"), format!("{:?}", array.values), "1 to 8 sizes"))
}

/// Mantissas, and the shape of their array.
fn weights(layer: &Layer, place: &str) -> Result<(Vec<i16>, Vec<u64>), ImportError> {
    let array = layer.values.get("weight").ok_or_else(|| missing(place, "weight"))?;
    let wrong = |k: usize, found: String| bad(format!("{place}/weight[{k}]"), found, "a whole number from -256 to 255");
    let values = array.whole().map_err(|k| wrong(k, "no whole number".into()))?;
    match values.iter().position(|w| !(-256..=255).contains(w)) {
        Some(k) => Err(wrong(k, values[k].to_string())),
        None => Ok((values.into_iter().map(|w| w as i16).collect(), array.shape.clone())),
    }
}

/// Registers of a layer's neurons, without bias; and the exponent of the weights into them.
fn registers(neuron: &Neuron, place: &str) -> Result<(FixedNeuron, i8), ImportError> {
    let place = format!("{place}/neuron");
    let get = |key: &str, low: i64, high: i64, default: Option<i64>| {
        one(&neuron.values, &place, key, low, high)?.or(default).ok_or_else(|| missing(&place, key))
    };
    let decay_u = get("iDecay", 1, 4096, None)? as u16;
    let decay_v = get("vDecay", 0, 4096, None)? as u16;
    let threshold = get("vThMant", 0, 1 << 24, None)? as u32;
    let refractory = get("refDelay", 1, u8::MAX.into(), Some(1))? as u8;
    let exponent = get("wgtExp", -8, 7, Some(0))? as i8;
    Ok((FixedNeuron { decay_u, decay_v, threshold, refractory, bias: Bias::default() }, exponent))
}

/// The narrowest format that holds all weights as they are; `None`: there is none.
fn format(weights: &[i16], exponent: i8) -> Option<WeightFormat> {
    let all = weights.iter().fold(0, |all, w| all | w.unsigned_abs());
    let shift = all.trailing_zeros() as u8; // 16 where all are 0
    let (least, most) = weights.iter().fold((0, 0), |(a, b), &w| (a.min(w), b.max(w)));
    let (sign, bits) = match (least < 0, most > 0) {
        (false, true) => (SignMode::Excitatory, 8 - shift),
        (true, false) if least > -256 => (SignMode::Inhibitory, 8 - shift),
        (true, _) if (1..=8).contains(&shift) => (SignMode::Mixed, 9 - shift),
        (true, _) if least > -256 => (SignMode::Split, 8),
        (true, _) => return None,
        (false, false) => (SignMode::Mixed, 8),
    };
    Some(WeightFormat { bits, exponent, sign })
}
