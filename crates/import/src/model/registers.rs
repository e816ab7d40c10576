//! `Registers(...)`: a net in the chip's integers.
//!
//! Weights are truncated toward zero onto their format's grid, as on the chip; synapses of weight 0 have no effect and
//! are left out. Both are counted in warnings.

use super::arrays::ArrayFiles;
use super::schema::{self, RegisterPopulation, RegisterProjection, Registers, SignMode};
use super::trained::checked_len;
use super::{name_or, population, unique};
use crate::ImportOptions;
use crate::error::ImportError;
use spikec_net::{Bias, Fixed, FixedNeuron, FixedRules, Net, Population, PopulationId, Projection, Role, Synapses, WeightFormat};

/// Largest delay register: with the step between neurons, a net delay fits u16.
pub(crate) const MAX_DELAY: i64 = u16::MAX as i64 - 1;
/// Thresholds shifted by 6 stay in i32.
const MAX_THRESHOLD: i64 = 1 << 24;
const MAX_BIAS_EXPONENT: i64 = 15;

/// The net of a `Registers` file.
pub(super) fn net(
    file: Registers,
    options: &ImportOptions,
    arrays: &mut ArrayFiles,
    warnings: &mut Vec<String>,
) -> Result<Net<Fixed>, ImportError> {
    let Registers { name, inputs, populations, projections, output } = file;
    if options.dt_s.is_some() || options.convention.is_some() || options.discretization.is_some() {
        warnings.push("a net in registers has no continuous time: the step length, convention and discretization given are ignored".into());
    }
    let input_names = inputs.iter().enumerate().map(|(k, i)| (format!("inputs[{k}].name"), i.name.as_str()));
    let own_names = populations.iter().enumerate().map(|(k, p)| (format!("populations[{k}].name"), p.name.as_str()));
    let index = unique(input_names.chain(own_names))?;
    let mut built = Vec::with_capacity(inputs.len() + populations.len());
    for (k, i) in inputs.iter().enumerate() {
        let place = format!("inputs[{k}].n");
        let n = checked_len(&place, &[i.n])?;
        arrays.growth.neurons(&place, n)?;
        built.push(Population { name: i.name.clone(), shape: vec![i.n], origin: (0..n as u32).collect(), skew: 0, role: Role::SpikeInput });
    }
    for (k, p) in populations.iter().enumerate() {
        let place = format!("populations[{k}]");
        let n = checked_len(&format!("{place}.shape"), &p.shape)?;
        arrays.growth.neurons(&place, n)?;
        let role = Role::Neurons(neurons(values(p), &place, n, arrays)?);
        built.push(Population { name: p.name.clone(), shape: p.shape.clone(), origin: (0..n as u32).collect(), skew: 0, role });
    }
    let neurons_expected = |k: usize, place: String| match built[k].is_input() {
        false => Ok(k),
        true => Err(ImportError::BadValue {
            place,
            found: format!("the input `{}`", built[k].name),
            expected: "a population of neurons".into(),
        }),
    };
    let mut links = Vec::with_capacity(projections.len());
    for (k, p) in projections.iter().enumerate() {
        let place = format!("projections[{k}]");
        let pre = population(&index, format!("{place}.pre"), &p.pre)?;
        let post = population(&index, format!("{place}.post"), &p.post)?;
        let post = neurons_expected(post, format!("{place}.post"))?;
        let name = p.name.clone().unwrap_or_else(|| format!("{} -> {}", p.pre, p.post));
        let format = weight_format(p, &place)?;
        let mut counts = Counts::default();
        let synapses = synapses(p, &place, format, [&built[pre], &built[post]], arrays, &mut counts)?;
        counts.warn(&name, format, warnings);
        links.push(Projection { name, pre: PopulationId::from(pre), post: PopulationId::from(post), format, synapses });
    }
    let out = population(&index, "output".into(), &output)?;
    let output = PopulationId::from(neurons_expected(out, "output".into())?);
    Ok(Net {
        name: name_or(name, options),
        rules: FixedRules::default(),
        populations: built,
        projections: links,
        host_projections: Vec::new(),
        output,
    })
}

fn values(p: &RegisterPopulation) -> Values<'_> {
    [&p.decay_u, &p.decay_v, &p.threshold, &p.refractory, &p.bias_mantissa, &p.bias_exponent]
}

/// Registers by name, in the order of [`FixedNeuron`]: decays of u and v, threshold, refractory steps, the bias's mantissa and exponent.
pub(crate) type Values<'a> = [&'a schema::Value; 6];

/// The registers of `n` neurons.
pub(crate) fn neurons(values: Values, place: &str, n: usize, arrays: &mut ArrayFiles) -> Result<Vec<FixedNeuron>, ImportError> {
    let [decay_u, decay_v, threshold, refractory, mantissa, exponent] = values;
    let mut get =
        |key: &str, value: &schema::Value, low: i64, high: i64| arrays.integers(&format!("{place}.{key}"), value, Some(n), low, high);
    let decay_u = get("decay_u", decay_u, 1, 4096)?;
    let decay_v = get("decay_v", decay_v, 0, 4096)?;
    let threshold = get("threshold", threshold, 0, MAX_THRESHOLD)?;
    let refractory = get("refractory", refractory, 1, u8::MAX.into())?;
    let mantissa = get("bias_mantissa", mantissa, i16::MIN.into(), i16::MAX.into())?;
    let exponent = get("bias_exponent", exponent, 0, MAX_BIAS_EXPONENT)?;
    Ok((0..n)
        .map(|k| FixedNeuron {
            decay_u: decay_u[k] as u16,
            decay_v: decay_v[k] as u16,
            threshold: threshold[k] as u32,
            refractory: refractory[k] as u8,
            bias: Bias { mantissa: mantissa[k] as i16, exponent: exponent[k] as u8 },
        })
        .collect())
}

fn weight_format(p: &RegisterProjection, place: &str) -> Result<WeightFormat, ImportError> {
    let sign = match p.sign_mode {
        SignMode::Mixed => spikec_net::SignMode::Mixed,
        SignMode::Excitatory => spikec_net::SignMode::Excitatory,
        SignMode::Inhibitory => spikec_net::SignMode::Inhibitory,
        SignMode::Split => spikec_net::SignMode::Split,
    };
    checked_format(p.weight_bits, p.weight_exponent, sign, place)
}

/// A format whose width and exponent weights can have.
pub(crate) fn checked_format(bits: u8, exponent: i8, sign: spikec_net::SignMode, place: &str) -> Result<WeightFormat, ImportError> {
    let bad = |key: &str, found: i64, expected: &str| ImportError::BadValue {
        place: format!("{place}.{key}"),
        found: found.to_string(),
        expected: expected.into(),
    };
    if !(1..=8).contains(&bits) {
        return Err(bad("weight_bits", bits.into(), "1 to 8"));
    }
    if !(-8..=7).contains(&exponent) {
        return Err(bad("weight_exponent", exponent.into(), "-8 to 7"));
    }
    Ok(WeightFormat { bits, exponent, sign })
}

#[derive(Default)]
struct Counts {
    given: usize,
    truncated: usize,
    zero: usize,
}

impl Counts {
    fn warn(&self, projection: &str, format: WeightFormat, warnings: &mut Vec<String>) {
        let Counts { given, truncated, zero } = self;
        if *truncated > 0 {
            let grid = 1 << format.grid_shift();
            warnings
                .push(format!("`{projection}`: {truncated} of {given} weights are no multiples of {grid} and were truncated toward zero"));
        }
        if *zero > 0 {
            warnings.push(format!("`{projection}`: {zero} of {given} synapses have weight 0 and were left out"));
        }
    }
}

fn synapses(
    p: &RegisterProjection,
    place: &str,
    format: WeightFormat,
    [pre, post]: [&Population<Fixed>; 2],
    arrays: &mut ArrayFiles,
    counts: &mut Counts,
) -> Result<Synapses<i16>, ImportError> {
    let place = |key: &str| format!("{place}.synapses.{key}");
    let (low, high) = match format.sign {
        spikec_net::SignMode::Mixed => (-256, 255),
        spikec_net::SignMode::Excitatory => (0, 255),
        spikec_net::SignMode::Inhibitory => (-255, 0),
        spikec_net::SignMode::Split => (-255, 255),
    };
    // A step passes between neurons even where the register holds 0.
    let hop = u16::from(!pre.is_input());
    let mut tuples = Vec::new();
    let mut add = |i: u32, j: u32, w: i64, delay: i64| {
        counts.given += 1;
        let on_grid = format.on_grid(w as i16);
        counts.truncated += usize::from(i64::from(on_grid) != w);
        if on_grid == 0 {
            counts.zero += 1;
        } else {
            tuples.push((i, j, on_grid, hop + delay as u16));
        }
    };
    match &p.synapses {
        schema::Synapses::Coo { pre_index, post_index, weight, delay } => {
            let pres = arrays.integers(&place("pre_index"), pre_index, None, 0, pre.len() as i64 - 1)?;
            let n = pres.len();
            if n > u32::MAX as usize {
                return Err(ImportError::TooLarge { place: place("pre_index"), what: "synapses", found: n as u64, limit: u32::MAX.into() });
            }
            let posts = arrays.integers(&place("post_index"), post_index, Some(n), 0, post.len() as i64 - 1)?;
            let weights = arrays.integers(&place("weight"), weight, Some(n), low, high)?;
            let delays = arrays.integers(&place("delay"), delay, Some(n), 0, MAX_DELAY)?;
            for k in 0..n {
                add(pres[k] as u32, posts[k] as u32, weights[k], delays[k]);
            }
        }
        schema::Synapses::Dense { weight, mask, delay } => {
            let shape = [post.len(), pre.len()];
            let weights = arrays.integer_matrix(&place("weight"), weight, shape, low, high)?;
            let keep = mask.as_ref().map(|m| arrays.mask(&place("mask"), m, &shape)).transpose()?;
            let delays = match delay {
                schema::Value::Number(_) => arrays.integers(&place("delay"), delay, Some(1), 0, MAX_DELAY)?,
                _ => arrays.integer_matrix(&place("delay"), delay, shape, 0, MAX_DELAY)?,
            };
            for (k, &w) in weights.iter().enumerate() {
                // A zero of a matrix is no synapse.
                if w != 0 && keep.as_ref().is_none_or(|m| m[k]) {
                    let delay = delays[if delays.len() == 1 { 0 } else { k }];
                    add((k % pre.len()) as u32, (k / pre.len()) as u32, w, delay);
                }
            }
        }
    }
    Ok(Synapses::from_tuples(pre.len(), tuples))
}
