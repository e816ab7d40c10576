//! Is a net from a file a net at all? Lengths, indices and ranges, before anything indexes into it.
//!
//! In: a net (the reference section's, or the given one). Out: the first fault. Invariant: a net that passes can be walked
//! by every check and by the reference interpreter without a panic. Cost: one pass. Why: the reference section is bytes
//! from a file, and a digest only says that nobody changed them by accident.

use spikec_chip::target::Target;
use spikec_net::{Delays, Fixed, HostProjection, Net, Number, Population, PopulationId, Projection, Role, Synapses};
use thiserror::Error;

/// A part of a net.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The net itself.
    Net,
    /// A population.
    Population(u32),
    /// A projection.
    Projection(u32),
    /// A host projection.
    HostProjection(u32),
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Part::Net => f.write_str("the net"),
            Part::Population(k) => write!(f, "population {k}"),
            Part::Projection(k) => write!(f, "projection {k}"),
            Part::HostProjection(k) => write!(f, "host projection {k}"),
        }
    }
}

/// Why a net is none.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{part}: {what}: found {found}, expected {expected}")]
pub struct Malformed {
    /// Where.
    pub part: Part,
    /// The quantity.
    pub what: &'static str,
    /// Its value.
    pub found: i64,
    /// The value or bound that it breaks.
    pub expected: i64,
}

fn equal(part: Part, what: &'static str, found: usize, expected: usize) -> Result<(), Malformed> {
    if found == expected { Ok(()) } else { Err(Malformed { part, what, found: found as i64, expected: expected as i64 }) }
}

fn below(part: Part, what: &'static str, found: u64, bound: u64) -> Result<(), Malformed> {
    if found < bound { Ok(()) } else { Err(Malformed { part, what, found: found as i64, expected: bound.saturating_sub(1) as i64 }) }
}

fn within(part: Part, what: &'static str, found: i64, low: i64, high: i64) -> Result<(), Malformed> {
    if found < low {
        Err(Malformed { part, what, found, expected: low })
    } else if found > high {
        Err(Malformed { part, what, found, expected: high })
    } else {
        Ok(())
    }
}

/// Largest size of a population as trained.
const MAX_TRAINED: u64 = u32::MAX as u64;

/// Checks lengths and indices of any net.
pub fn check_net<N: Number>(net: &Net<N>) -> Result<(), Malformed> {
    let count = net.populations.len() as u64;
    below(Part::Net, "output population", net.output.0 as u64, count)?;
    for (k, p) in net.populations.iter().enumerate() {
        check_population(p, Part::Population(k as u32))?;
    }
    if net.population(net.output).is_input() {
        return Err(Malformed { part: Part::Net, what: "inputs as output population", found: net.output.0 as i64, expected: -1 });
    }
    let mut skews = 0u64;
    for p in &net.populations {
        skews = skews.max(p.skew as u64);
    }
    below(Part::Net, "largest skew", skews, 1 << 31)?;
    for (k, p) in net.projections.iter().enumerate() {
        check_projection(net, p, Part::Projection(k as u32))?;
    }
    for (k, p) in net.host_projections.iter().enumerate() {
        check_host_projection(net, p, Part::HostProjection(k as u32))?;
    }
    Ok(())
}

fn check_population<N: Number>(p: &Population<N>, part: Part) -> Result<(), Malformed> {
    let mut trained: u64 = 1;
    for &s in &p.shape {
        trained = trained.saturating_mul(s as u64);
    }
    below(part, "size as trained", trained, MAX_TRAINED + 1)?;
    for (k, &i) in p.origin.iter().enumerate() {
        below(part, "index as trained", i as u64, trained)?;
        if k > 0 && p.origin[k - 1] >= i {
            return Err(Malformed { part, what: "index as trained that does not ascend", found: i as i64, expected: p.origin[k - 1] as i64 + 1 });
        }
    }
    match &p.role {
        Role::Neurons(n) => equal(part, "neurons", n.len(), p.origin.len()),
        Role::SpikeInput | Role::AnalogInput => equal(part, "skew of inputs", p.skew as usize, 0),
    }
}

fn population<N: Number>(net: &Net<N>, id: PopulationId, part: Part, what: &'static str) -> Result<&Population<N>, Malformed> {
    below(part, what, id.0 as u64, net.populations.len() as u64)?;
    Ok(net.population(id))
}

fn check_offsets(offsets: &[u32], rows: usize, terms: usize, part: Part) -> Result<(), Malformed> {
    equal(part, "row offsets", offsets.len(), rows + 1)?;
    equal(part, "first row offset", offsets[0] as usize, 0)?;
    for w in offsets.windows(2) {
        below(part, "row offset that descends", w[0] as u64, w[1] as u64 + 1)?;
    }
    equal(part, "last row offset", offsets[rows] as usize, terms)
}

fn check_projection<N: Number>(net: &Net<N>, p: &Projection<N>, part: Part) -> Result<(), Malformed> {
    let pre = population(net, p.pre, part, "presynaptic population")?;
    let post = population(net, p.post, part, "postsynaptic population")?;
    if matches!(pre.role, Role::AnalogInput) {
        return Err(Malformed { part, what: "analog inputs as presynaptic population", found: p.pre.0 as i64, expected: -1 });
    }
    if post.is_input() {
        return Err(Malformed { part, what: "inputs as postsynaptic population", found: p.post.0 as i64, expected: -1 });
    }
    let Synapses { offsets, posts, weights, delays } = &p.synapses;
    check_offsets(offsets, pre.len(), posts.len(), part)?;
    equal(part, "weights", weights.len(), posts.len())?;
    if let Delays::Each(d) = delays {
        equal(part, "delays", d.len(), posts.len())?;
    }
    for &j in posts {
        below(part, "postsynaptic neuron", j as u64, post.len() as u64)?;
    }
    for i in 0..pre.len() {
        let row = p.synapses.row(i);
        for k in row.clone().skip(1) {
            let (a, b) = ((posts[k - 1], p.synapses.delay(k - 1)), (posts[k], p.synapses.delay(k)));
            if a > b {
                return Err(Malformed { part, what: "postsynaptic neuron that descends", found: b.0 as i64, expected: a.0 as i64 });
            }
        }
    }
    Ok(())
}

fn check_host_projection<N: Number>(net: &Net<N>, p: &HostProjection, part: Part) -> Result<(), Malformed> {
    let pre = population(net, p.pre, part, "input population")?;
    let post = population(net, p.post, part, "postsynaptic population")?;
    if !matches!(pre.role, Role::AnalogInput) {
        return Err(Malformed { part, what: "population that is no analog input", found: p.pre.0 as i64, expected: -1 });
    }
    if post.is_input() {
        return Err(Malformed { part, what: "inputs as postsynaptic population", found: p.post.0 as i64, expected: -1 });
    }
    check_offsets(&p.offsets, post.len(), p.weights.len(), part)?;
    equal(part, "channels", p.channels.len(), p.weights.len())?;
    equal(part, "constants", p.constants.len(), post.len())?;
    equal(part, "gains", p.gains.len(), post.len())?;
    for &c in &p.channels {
        below(part, "channel", c as u64, pre.trained_len() as u64)?;
    }
    for w in p.offsets.windows(2) {
        for k in w[0] as usize + 1..w[1] as usize {
            below(part, "channel that does not ascend", p.channels[k - 1] as u64, p.channels[k] as u64)?;
        }
    }
    Ok(())
}

/// Checks the registers of a fixed net against the target's ranges: formats, mantissas on their grid, decays, thresholds,
/// biases, refractory periods and the rules' widths.
pub fn check_registers(net: &Net<Fixed>, target: &Target) -> Result<(), Malformed> {
    let spec = target.packed();
    let (weights, neuron) = (&spec.weights, &spec.neuron);
    let r = &net.rules;
    within(Part::Net, "align shift", r.align_shift as i64, 0, 24)?;
    within(Part::Net, "weight limit bits", r.weight_limit_bits as i64, r.align_shift as i64, 30)?;
    within(Part::Net, "u bits", r.u_bits as i64, 2, 32)?;
    within(Part::Net, "threshold shift", r.threshold_shift as i64, 0, 24)?;
    within(Part::Net, "smallest v", r.v_min as i64, i32::MIN as i64, 0)?;
    within(Part::Net, "largest v", r.v_max as i64, 0, i32::MAX as i64)?;
    let (e_min, e_max) = *weights.exponent;
    for (k, p) in net.projections.iter().enumerate() {
        let part = Part::Projection(k as u32);
        within(part, "weight bits", p.format.bits as i64, 1, 8)?;
        within(part, "weight exponent", p.format.exponent as i64, (e_min as i64).max(-16), (e_max as i64).min(16))?;
        let (low, high) = p.format.mantissa_range();
        let grid = 1i16 << p.format.grid_shift();
        for &m in &p.synapses.weights {
            within(part, "weight mantissa", m as i64, low as i64, high as i64)?;
            equal(part, "weight mantissa off its grid by", (m % grid).unsigned_abs() as usize, 0)?;
        }
    }
    let register_max = (1i64 << (*neuron.decay_bits).min(15)) - 1;
    let (u0, v0) = (*neuron.u_decay_offset as i64, *neuron.v_decay_offset as i64);
    let threshold_max = (1i64 << (*neuron.threshold_mantissa_bits).min(31)) - 1;
    let bias_max = (1i64 << (*neuron.bias_mantissa_bits).clamp(1, 16).saturating_sub(1)) - 1;
    let (refractory_min, refractory_max) = *neuron.refractory;
    for (k, p) in net.populations.iter().enumerate() {
        let part = Part::Population(k as u32);
        for n in p.neurons() {
            within(part, "decay of u", n.decay_u as i64, u0, u0 + register_max)?;
            within(part, "decay of v", n.decay_v as i64, v0, v0 + register_max)?;
            within(part, "threshold", n.threshold as i64, 0, threshold_max)?;
            within(part, "refractory period", n.refractory as i64, (refractory_min as i64).max(1), refractory_max as i64)?;
            within(part, "bias mantissa", n.bias.mantissa as i64, -bias_max, bias_max)?;
            within(part, "bias exponent", n.bias.exponent as i64, 0, (*neuron.bias_exponent_max as i64).min(15))?;
        }
    }
    Ok(())
}
