//! `Connectome(...)`: a list of edges and the registers of its neurons, as a net in the chip's integers.
//!
//! In: which neuron reaches which with how many synapses. Out: one population of neurons, a projection of its excitatory and one of
//! its inhibitory synapses, and, if asked for, an input channel for each neuron.
//! Invariant: whatever is clipped, rounded, merged or left out is counted in a warning; the same file and seed give the same net.
//! Cost: sorts the edges once.

mod list;
#[cfg(test)]
mod tests;

use crate::ImportOptions;
use crate::error::ImportError;
use crate::model::arrays::ArrayFiles;
use crate::model::schema::{Connectome, ConnectomeInput, Value};
use crate::model::{name_or, registers};
use crate::shape::population_len;
use list::Edges;
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use spikec_net::{Fixed, FixedRules, Net, Population, PopulationId, Projection, Role, SignMode, Synapses, WeightFormat};

fn bad(place: &str, found: impl Into<String>, expected: impl Into<String>) -> ImportError {
    ImportError::BadValue { place: place.into(), found: found.into(), expected: expected.into() }
}

/// The net of a `Connectome` file.
pub(crate) fn net(
    file: Connectome,
    options: &ImportOptions,
    arrays: &mut ArrayFiles,
    warnings: &mut Vec<String>,
) -> Result<Net<Fixed>, ImportError> {
    if options.dt_s.is_some() || options.convention.is_some() || options.discretization.is_some() {
        warnings.push("a net in registers has no continuous time: the step length, convention and discretization given are ignored".into());
    }
    let format = |sign| registers::checked_format(file.weight_bits, file.weight_exponent, sign, "weights");
    let formats = [format(SignMode::Excitatory)?, format(SignMode::Inhibitory)?];
    let scale = match file.scale.unwrap_or(1.0) {
        s if s.is_finite() && s > 0.0 => s,
        s => return Err(bad("scale", s.to_string(), "a number > 0")),
    };
    if i64::from(file.delay) > registers::MAX_DELAY {
        return Err(bad("delay", file.delay.to_string(), format!("0 to {}", registers::MAX_DELAY)));
    }
    let edges = list::read(&file, arrays)?;
    let n = population_len(&[edges.neurons as u64])
        .ok_or_else(|| bad("edges", format!("a list of {} neurons", edges.neurons), "1 to 16777216 neurons"))?;
    arrays.growth.neurons("edges", n)?;
    let r = &file.neuron;
    let values = [&r.decay_u, &r.decay_v, &r.threshold, &r.refractory, &r.bias_mantissa, &r.bias_exponent];
    let neurons = registers::neurons(values, "neuron", n, arrays)?;
    let inhibitory = inhibitory(&file, n, arrays)?;
    let signed = signed(edges, inhibitory.as_deref(), warnings)?;
    let population = |name: &str, n: usize, role| Population {
        name: name.into(),
        shape: vec![n as u32],
        origin: (0..n as u32).collect(),
        skew: 0,
        role,
    };
    let mut net = Net {
        name: name_or(file.name, options),
        rules: FixedRules::default(),
        populations: Vec::new(),
        projections: Vec::new(),
        host_projections: Vec::new(),
        output: PopulationId::from(0),
    };
    let input = file.input.as_ref().map(|input| channels(input, n, arrays)).transpose()?;
    if let Some((channels, synapses, format)) = input {
        net.populations.push(population("input", channels, Role::SpikeInput));
        net.output = PopulationId::from(1);
        net.projections.push(Projection { name: "input".into(), pre: PopulationId::from(0), post: net.output, format, synapses });
    }
    net.populations.push(population("neurons", n, Role::Neurons(neurons)));
    for (name, format) in ["excitatory", "inhibitory"].into_iter().zip(formats) {
        let held = held(&signed, format, scale, file.delay + 1, name, warnings);
        if !held.is_empty() {
            let synapses = Synapses::from_tuples(n, held);
            net.projections.push(Projection { name: name.into(), pre: net.output, post: net.output, format, synapses });
        }
    }
    Ok(net)
}

/// Which neurons are inhibitory; `None`: the weights' signs say it.
fn inhibitory(file: &Connectome, n: usize, arrays: &mut ArrayFiles) -> Result<Option<Vec<bool>>, ImportError> {
    let mut is = vec![false; n];
    match (file.inhibitory_share, &file.inhibitory) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(bad("inhibitory", "there beside `inhibitory_share`", "one of the two")),
        (Some(share), None) => {
            if !(0.0..=1.0).contains(&share) {
                return Err(bad("inhibitory_share", share.to_string(), "0 to 1"));
            }
            let mut random = SplitMix64::seed_from_u64(file.seed);
            let mut draws: Vec<(u64, usize)> = (0..n).map(|k| (random.next_u64(), k)).collect();
            draws.sort_unstable();
            let share = (share * n as f64).round() as usize;
            draws.iter().take(share).for_each(|&(_, k)| is[k] = true);
        }
        (None, Some(listed)) => {
            let listed = match listed {
                Value::Number(x) => &Value::List(vec![*x]),
                other => other,
            };
            arrays.integers("inhibitory", listed, None, 0, n as i64 - 1)?.iter().for_each(|&k| is[k as usize] = true);
        }
    }
    Ok(Some(is))
}

/// Edges (source, target, weight) ascending, several from one neuron to another added up, with the signs of their sources.
fn signed(edges: Edges, inhibitory: Option<&[bool]>, warnings: &mut Vec<String>) -> Result<Vec<(u32, u32, f64)>, ImportError> {
    let Edges { sources, targets, weights, .. } = edges;
    if weights.is_none() {
        warnings.push("the list of edges has no weights: every edge counts 1".into());
    }
    let weight = |k: usize| weights.as_ref().map_or(1.0, |w| w[k]);
    let given = sources.len();
    let mut all = Vec::with_capacity(given);
    for (k, (&i, &j)) in sources.iter().zip(&targets).enumerate() {
        let w = weight(k);
        let w = match inhibitory {
            Some(_) if w < 0.0 => {
                let expected =
                    "a number >= 0: `inhibitory` and `inhibitory_share` say which neurons inhibit (leave them away where the signs do)";
                return Err(bad(&format!("weight of edge {k}"), w.to_string(), expected));
            }
            Some(is) if is[i as usize] => -w,
            _ => w,
        };
        all.push((i, j, w));
    }
    // Stable: sums are in the order of the file.
    all.sort_by_key(|&(i, j, _)| (i, j));
    all.dedup_by(|next, kept| {
        let same = (next.0, next.1) == (kept.0, kept.1);
        if same {
            kept.2 += next.2;
        }
        same
    });
    if all.len() < given {
        warnings.push(format!(
            "{} of {given} edges repeat another from the same neuron to the same: their weights were added up",
            given - all.len()
        ));
    }
    Ok(all)
}

/// Synapses of the format's sign with the mantissas that it holds.
fn held(
    edges: &[(u32, u32, f64)],
    format: WeightFormat,
    scale: f64,
    delay: u16,
    name: &str,
    warnings: &mut Vec<String>,
) -> Vec<(u32, u32, i16, u16)> {
    let grid = f64::from(1u16 << format.grid_shift());
    let (least, most) = format.mantissa_range();
    let limit = f64::from(most.max(-least));
    let sign = if format.sign == SignMode::Inhibitory { -1.0 } else { 1.0 };
    let (mut clipped, mut rounded, mut zero, mut largest) = (0, 0, 0, 0.0f64);
    let mut out = Vec::new();
    let given = edges.iter().filter(|e| e.2 * sign > 0.0);
    for &(i, j, w) in given.clone() {
        let ideal = w * sign * scale;
        largest = largest.max(w * sign);
        let on_grid = (ideal / grid).round_ties_even() * grid;
        let mantissa = on_grid.min(limit);
        clipped += usize::from(on_grid > limit);
        rounded += usize::from(on_grid <= limit && on_grid > 0.0 && on_grid != ideal);
        zero += usize::from(mantissa == 0.0);
        if mantissa > 0.0 {
            out.push((i, j, (sign * mantissa) as i16, delay));
        }
    }
    let given = given.count();
    if clipped > 0 {
        warnings.push(format!(
            "`{name}`: {clipped} of {given} weights are beyond {limit} and were clipped to it (the largest is {}); `scale: {:.3}` would hold them all",
            largest * scale,
            (limit / largest * 1000.0).floor() / 1000.0
        ));
    }
    if rounded > 0 {
        warnings.push(format!("`{name}`: {rounded} of {given} weights were rounded to multiples of {grid}"));
    }
    if zero > 0 {
        warnings.push(format!("`{name}`: {zero} of {given} weights are nearer to 0 than to {grid} and were left out"));
    }
    out
}

type Channels = (usize, Synapses<i16>, WeightFormat);

/// One channel for each neuron that is named, in their order; without names for all.
fn channels(input: &ConnectomeInput, n: usize, arrays: &mut ArrayFiles) -> Result<Channels, ImportError> {
    let sign = match input.weight {
        1..=255 => SignMode::Excitatory,
        -255..=-1 => SignMode::Inhibitory,
        _ => return Err(bad("input.weight", input.weight.to_string(), "-255 to 255, not 0")),
    };
    let format = registers::checked_format(8, input.weight_exponent, sign, "input")?;
    let posts = match &input.neurons {
        None => (0..n as i64).collect(),
        Some(listed) => arrays.integers("input.neurons", listed, None, 0, n as i64 - 1)?,
    };
    if posts.is_empty() {
        return Err(bad("input.neurons", "an empty list", "at least one neuron"));
    }
    arrays.growth.neurons("input.neurons", posts.len())?;
    let tuples = posts.iter().enumerate().map(|(i, &j)| (i as u32, j as u32, input.weight, 0)).collect();
    Ok((posts.len(), Synapses::from_tuples(posts.len(), tuples), format))
}
