//! Scales: how many units of v a float unit becomes, for each neuron, and the exponent of each projection.
//!
//! In: the neurons of a population in the chip's coordinates and the weights that reach them. Out: `v_units`, and the
//! exponents in the formats.
//! Invariant: levels (thresholds in mantissas, see the law in the parent module) are integers within the register where
//! thresholds are finite, and at most as many as the population's classes.
//! Cost: O(synapses * 80) for `RowScale`, O(synapses) for `MaxAbs`.
//!
//! **Exponents.** A projection whose weights (relative to thresholds) are 2^k times smaller than the largest one's gets
//! an exponent smaller by k. The base exponent is 0, or the smallest at which every neuron's level can be [`LEVEL_GOAL`] or
//! more without clipping a weight, so that one mantissa of the threshold is 0.1 % or less. It is lowered while that level
//! passes the threshold register or a constant bias its own, or u could wrap in the worst case (every input of one sign
//! in every step; where potentials live in u, always), but no further than is free: at `-grid_shift` the smallest mantissa still acts without rounding.
//!
//! **Levels.** `MaxAbs`: the largest at which no weight of the population clips. `RowScale`: the error of each neuron
//! (sum of squared weight errors, in thresholds) at levels on a grid; the best set of classes by greedy choice and exchange; each
//! class then moved to the best level nearby; each neuron takes its best class. A level may clip a few large weights.
//! Neurons that share a kernel share a level, that of one which hears all of it: the kernel stays one kernel.
//! A neuron's constant bias must fit its register; where the host drives the population, a bias of two thresholds must.
//! A population without synapses gets [`LEVEL_GOAL`]: a bias then reaches eight thresholds in steps of 1/65536.

use super::neuron::Prepared;
use super::weights::sign_of;
use super::{QuantizeOptions, Quantizer, Registers, Signs, sign_finding};
use crate::finding::Finding;
use rayon::prelude::*;
use spikec_chip::Target;
use spikec_chip::target::Sign;
use spikec_net::{FireRule, FixedRules, Float, Net, PopulationId, ProjectionId, SignMode, Synapses, Ties, WeightFormat};

/// A level at which the rounding of thresholds is not felt any more.
pub const LEVEL_GOAL: f64 = 1024.0;
/// Levels tried in the search for classes.
const GRID: usize = 64;
/// Neurons that vote in the search for classes; all of them choose among the classes.
const VOTERS: usize = 2048;
/// The same where a level's error is costly to find.
const GRID_COSTLY: usize = 24;
const VOTERS_COSTLY: usize = 128;
/// A level may be this many times the largest one that doesn't clip.
const CLIP: f64 = 4.0;

/// The weights that reach a population by one projection, by postsynaptic neuron.
pub struct Incoming {
    /// The projection.
    pub projection: ProjectionId,
    /// Format; its exponent is set by [`v_units`].
    pub format: WeightFormat,
    /// By postsynaptic neuron `weight * gain / unit`: weights in thresholds (readouts: in units of v).
    x: Synapses<f32>,
}

impl Incoming {
    fn row(&self, j: usize) -> &[f32] {
        self.x.row(j).weights()
    }
}

/// What the levels of a population must respect.
pub struct Goal<'a> {
    /// Rules of the target.
    pub rules: &'a FixedRules,
    /// Registers of the target.
    pub registers: &'a Registers,
    /// The target.
    pub target: &'a Target,
    /// Fire rule.
    pub fire: FireRule,
    /// The host writes the population's biases.
    pub driven: bool,
    /// Levels that the population may have.
    pub classes: usize,
    /// Kernels of the population: all neurons of a channel get one level.
    pub ties: Option<&'a Ties>,
}

impl Goal<'_> {
    /// The neuron that speaks for neuron j.
    fn leader(&self, j: usize) -> usize {
        self.ties.map_or(j, |ties| ties.leaders[ties.channel_of[j] as usize] as usize)
    }
}

/// What level 1 is worth for each neuron, in float units of v: its threshold; 1 for readouts; the largest threshold for
/// all where potentials are compared.
pub fn units(prepared: &Prepared, comparable: bool) -> Vec<f64> {
    let finite = |t: f64| if t.is_finite() { t } else { 0.0 };
    let largest = prepared.neurons.iter().map(|n| finite(n.threshold)).fold(0.0, f64::max);
    let unit = |t: f64| match (comparable, t.is_finite()) {
        (true, _) if largest > 0.0 => largest,
        (false, true) => t,
        _ => 1.0,
    };
    prepared.neurons.iter().map(|n| unit(n.threshold)).collect()
}

/// The weights that reach population `post`, with formats of the given width and exponent 0.
///
/// A projection with both signs where the target lacks mixed formats is found (C12).
pub fn incoming(
    net: &Net<Float>,
    post: PopulationId,
    prepared: &Prepared,
    comparable: bool,
    options: &QuantizeOptions,
    target: &Target,
    findings: &mut Vec<Finding>,
) -> Vec<Incoming> {
    let factors: Vec<f64> = prepared.neurons.iter().zip(units(prepared, comparable)).map(|(n, unit)| n.gain / unit).collect();
    let projections = net.projections.iter().enumerate().filter(|(_, p)| p.post == post);
    let transpose = |(k, p): (usize, &spikec_net::Projection<Float>)| {
        let x = p.synapses.transposed(factors.len(), |_, post, weight| (weight as f64 * factors[post as usize]) as f32);
        let seen = x.distinct_weights();
        let mode = sign_of(seen.iter().any(|&w| w > 0.0), seen.iter().any(|&w| w < 0.0));
        let bits = options.bits(&p.name);
        let sign = supported(mode, bits, options.signs, target).unwrap_or_else(|| {
            findings.push(sign_finding(SignMode::Mixed, &p.name));
            SignMode::Split
        });
        let format = WeightFormat { bits, exponent: 0, sign };
        Incoming { projection: ProjectionId::from(k), format, x }
    };
    projections.map(transpose).collect()
}

/// The sign mode itself, or one of both signs, whichever the target has. One bit can't hold two signs and zero.
fn supported(mode: SignMode, bits: u8, signs: Signs, target: &Target) -> Option<SignMode> {
    let has = |sign: Sign| target.packed().weights.signs.contains(&sign);
    let split = has(Sign::Excitatory) && has(Sign::Inhibitory);
    match mode {
        SignMode::Excitatory if has(Sign::Excitatory) => Some(mode),
        SignMode::Inhibitory if has(Sign::Inhibitory) => Some(mode),
        _ if split && (signs == Signs::Split || bits == 1) => Some(SignMode::Split),
        _ => (has(Sign::Mixed) && bits > 1).then_some(SignMode::Mixed),
    }
}

/// Errors of a neuron at each of some levels, given the ranges of what reaches it.
pub type Errors<'a> = dyn Fn(&[Slot], usize, &[f64]) -> Vec<f64> + Sync + 'a;

/// Scales of all neurons of a population; sets the exponents of `incoming`. `errors` judges levels; `None`: by the weights' squared errors.
pub fn v_units(
    prepared: &Prepared,
    incoming: &mut [Incoming],
    goal: &Goal,
    method: Quantizer,
    comparable: bool,
    errors: Option<&Errors>,
) -> Vec<f64> {
    let units = units(prepared, comparable);
    let mut caps: Vec<f64> = (0..units.len()).map(|j| cap(prepared, units[j], j, goal)).collect();
    (0..units.len()).for_each(|j| caps[goal.leader(j)] = caps[goal.leader(j)].min(caps[j]));
    set_exponents(prepared, incoming, goal, &caps);
    let level_unit = 2f64.powi(goal.rules.threshold_shift as i32);
    let of_weights = |slots: &[Slot], j: usize, levels: &[f64]| levels.iter().map(|&l| slots.iter().map(|s| s.error(j, l)).sum()).collect();
    let (grid, voters) = if errors.is_some() { (GRID_COSTLY, VOTERS_COSTLY) } else { (GRID, VOTERS) };
    let slots = incoming.iter().map(|i| Slot::new(i, goal.rules)).collect();
    let search = Search { slots, caps: &caps, errors: errors.unwrap_or(&of_weights), grid, voters };
    let leaders: Vec<usize> = (0..units.len()).filter(|&j| goal.leader(j) == j).collect();
    let (finite, infinite): (Vec<usize>, Vec<usize>) = leaders.iter().partition(|&&j| prepared.neurons[j].threshold.is_finite());
    let classes = if method == Quantizer::MaxAbs || comparable { 1 } else { goal.classes };
    // The register of a level is one less where >= fires.
    let least = if goal.fire == FireRule::GreaterEqual { 2.0 } else { 1.0 };
    let mut levels = vec![0.0; units.len()];
    let groups = if comparable {
        vec![(leaders, !finite.is_empty(), 1)]
    } else {
        // The readouts' threshold takes a profile too.
        let rest = classes - (classes > 1 && !infinite.is_empty()) as usize;
        vec![(finite, true, rest), (infinite, false, 1)]
    };
    for (members, integer, classes) in groups.into_iter().filter(|g| !g.0.is_empty()) {
        let snap = |level: f64| if integer { level.round().max(least) } else { level };
        for (&j, level) in members.iter().zip(search.levels(&members, classes, method, &snap)) {
            levels[j] = level;
        }
    }
    (0..units.len()).map(|j| levels[goal.leader(j)] * level_unit / units[j]).collect()
}

/// The largest level of neuron j whose threshold and biases fit their registers.
fn cap(prepared: &Prepared, unit: f64, j: usize, goal: &Goal) -> f64 {
    let neuron = &prepared.neurons[j];
    let level_unit = 2f64.powi(goal.rules.threshold_shift as i32);
    let bias = neuron.bias.abs() / unit;
    let bias = if goal.driven { bias.max(2.0) } else { bias };
    let level = if bias > 0.0 { goal.registers.bias_max() / (level_unit * bias) } else { f64::INFINITY };
    if neuron.threshold.is_finite() { level.min(goal.registers.reachable as f64 * unit / neuron.threshold) } else { level }
}

/// Sets the exponents by the rule of the module's head.
fn set_exponents(prepared: &Prepared, incoming: &mut [Incoming], goal: &Goal, caps: &[f64]) {
    let (least, most) = *goal.target.packed().weights.exponent;
    let rules = goal.rules;
    // Range of a projection: its largest weight per largest mantissa.
    let ranges: Vec<f64> = incoming
        .iter()
        .map(|i| i.x.distinct_weights().iter().fold(0f32, |a, x| a.max(x.abs())) as f64 / largest_mantissa(i.format))
        .collect();
    let widest = ranges.iter().copied().fold(0.0, f64::max);
    if widest <= 0.0 || !widest.is_finite() {
        return;
    }
    let smaller: Vec<i32> = ranges.iter().map(|&r| if r > 0.0 { (widest / r).log2().floor().min(30.0) as i32 } else { 0 }).collect();
    let free: Vec<i32> = incoming.iter().map(|i| -(i.format.grid_shift() as i32)).collect();
    let exponent = |k: usize, base: i32| (base - smaller[k]).max(free[k]).clamp(least as i32, most as i32) as i8;
    // The level at which no weight clips, and the worst u in levels, of the neurons that have synapses.
    let largest: Vec<Vec<f64>> = incoming.iter().map(|i| (0..caps.len()).map(|j| largest_of(i.row(j))).collect()).collect();
    let sums: Vec<f64> = (0..caps.len()).map(|j| worst_sum(incoming, j)).collect();
    let level = |base: i32| {
        let clipless = |j: usize| {
            let of = |k: usize| largest_mantissa(incoming[k].format) / largest[k][j] * shifted(exponent(k, base), rules);
            (0..incoming.len()).map(of).fold(f64::INFINITY, f64::min)
        };
        (0..caps.len()).map(clipless).fold(f64::INFINITY, f64::min)
    };
    let fits = |base: i32| {
        let level = level(base);
        (0..caps.len()).all(|j| {
            let n = &prepared.neurons[j];
            // A potential that lives in u: one step's input and the threshold, for a spike takes the rest away.
            let kept = if n.soft { 1.0 + 1.0 / sums[j].max(f64::MIN_POSITIVE) } else { goal.registers.decay_one as f64 / n.decay_u as f64 };
            let u = sums[j] * level * 2f64.powi(rules.threshold_shift as i32) * kept;
            let v = if n.threshold.is_infinite() && n.decay_v > 0 { u * goal.registers.decay_one as f64 / n.decay_v as f64 } else { 0.0 };
            level <= caps[j] && u < 2f64.powi(rules.u_bits as i32 - 1) && v < rules.v_max as f64
        })
    };
    let wanted = |base: &i32| level(*base) >= LEVEL_GOAL;
    let fires = prepared.neurons.iter().any(|n| n.threshold.is_finite());
    // A potential that lives in u wraps where another is clipped: it gets all the room below zero that there is.
    let soft = prepared.neurons.iter().any(|n| n.soft);
    let lowest = free.iter().copied().min().unwrap_or(0).max(least as i32);
    let mut base = match fires {
        _ if soft => lowest,
        true => (0..=most as i32).find(wanted).unwrap_or(most as i32),
        false => 0,
    };
    while base > lowest && !fits(base) {
        base -= 1;
    }
    for (k, i) in incoming.iter_mut().enumerate() {
        i.format.exponent = exponent(k, base);
    }
}

/// Largest mantissa that both ends of the range reach.
fn largest_mantissa(format: WeightFormat) -> f64 {
    (256 - (1 << format.grid_shift())) as f64
}

/// Levels that one unit of the mantissa adds to u.
fn shifted(exponent: i8, rules: &FixedRules) -> f64 {
    2f64.powi(exponent as i32 + rules.align_shift as i32 - rules.threshold_shift as i32)
}

fn largest_of(row: &[f32]) -> f64 {
    row.iter().fold(0f32, |a, x| a.max(x.abs())) as f64
}

/// The larger of the sums of positive and negative weights of neuron j.
fn worst_sum(incoming: &[Incoming], j: usize) -> f64 {
    let (mut up, mut down) = (0f64, 0f64);
    for &x in incoming.iter().flat_map(|i| i.row(j)) {
        if x > 0.0 { up += x as f64 } else { down -= x as f64 }
    }
    up.max(down)
}

/// A projection's weights with its range in grid steps.
pub struct Slot<'a> {
    incoming: &'a Incoming,
    /// Grid steps per level and unit of x.
    pub steps: f64,
    /// Smallest multiple of the grid.
    pub least: f32,
    /// Largest multiple of the grid.
    pub most: f32,
    /// The most steps that both ends of the range reach.
    clipless: f64,
}

impl<'a> Slot<'a> {
    /// Of a projection whose exponent is set.
    pub fn new(incoming: &'a Incoming, rules: &FixedRules) -> Self {
        let grid = 1i16 << incoming.format.grid_shift();
        let (least, most) = rules.mantissa_range(incoming.format);
        let steps = 1.0 / (shifted(incoming.format.exponent, rules) * grid as f64);
        let clipless = largest_mantissa(incoming.format) / grid as f64;
        Slot { incoming, steps, least: (least / grid) as f32, most: (most / grid) as f32, clipless }
    }
    /// Sum of the squared errors of neuron j's weights at `level`.
    fn error(&self, j: usize, level: f64) -> f64 {
        let scale = (level * self.steps) as f32;
        // Adding and subtracting 1.5 * 2^23 rounds to an integer; eight sums, so that the compiler can use vectors.
        const ROUND: f32 = 12_582_912.0;
        let squared = |x: f32| {
            let ideal = x * scale;
            let rounded = (ideal.max(self.least).min(self.most) + ROUND) - ROUND;
            (rounded - ideal) * (rounded - ideal)
        };
        let mut sums = [0f32; 8];
        let chunks = self.incoming.row(j).chunks_exact(8);
        let rest: f32 = chunks.remainder().iter().map(|&x| squared(x)).sum();
        for chunk in chunks {
            for (sum, &x) in sums.iter_mut().zip(chunk) {
                *sum += squared(x);
            }
        }
        (sums.iter().sum::<f32>() + rest) as f64 / (scale as f64 * scale as f64)
    }
}

/// The search for levels.
struct Search<'a> {
    slots: Vec<Slot<'a>>,
    caps: &'a [f64],
    errors: &'a Errors<'a>,
    /// Levels tried.
    grid: usize,
    /// Neurons that vote.
    voters: usize,
}

impl Search<'_> {
    /// The largest level at which neuron j clips nothing; infinite without weights.
    fn clipless(&self, j: usize) -> f64 {
        let of = |s: &Slot| s.clipless / (largest_of(s.incoming.row(j)) * s.steps);
        self.slots.iter().map(of).fold(f64::INFINITY, f64::min)
    }
    /// Errors of neuron j at `levels`; beyond its cap larger than any other.
    fn errors(&self, j: usize, levels: &[f64]) -> Vec<f64> {
        let mut errors = (self.errors)(&self.slots, j, levels);
        for (error, &level) in errors.iter_mut().zip(levels).filter(|(_, l)| **l > self.caps[j] * (1.0 + 1e-9)) {
            *error = 1e30 * level;
        }
        errors
    }

    /// A level for each of `members`, at most `classes` distinct ones.
    fn levels(&self, members: &[usize], classes: usize, method: Quantizer, snap: &dyn Fn(f64) -> f64) -> Vec<f64> {
        let tops: Vec<f64> = members.iter().map(|&j| self.clipless(j)).collect();
        let cap = members.iter().map(|&j| self.caps[j]).fold(f64::INFINITY, f64::min);
        let safe = tops.iter().copied().fold(f64::INFINITY, f64::min).min(cap);
        if tops.iter().all(|t| t.is_infinite()) {
            return vec![snap(LEVEL_GOAL.min(cap.floor())); members.len()];
        }
        // Snapping may round up, which would clip; the slack covers the rounding of x to f32.
        let down = |level: f64| if snap(level) > level * (1.0 + 1e-6) { snap(level - 1.0) } else { snap(level) };
        if method == Quantizer::MaxAbs {
            return vec![down(safe); members.len()];
        }
        let highest =
            (members.iter().zip(&tops)).filter(|(_, t)| t.is_finite()).map(|(&j, t)| (t * CLIP).min(self.caps[j])).fold(safe, f64::max);
        let ratio = (highest / safe).powf(1.0 / (self.grid - 1) as f64);
        let mut grid: Vec<f64> = (0..self.grid).map(|g| snap(safe * ratio.powi(g as i32))).collect();
        grid[0] = down(safe);
        grid.dedup();
        let step = members.len().div_ceil(self.voters);
        let voters: Vec<usize> = members.iter().copied().step_by(step).collect();
        let table = self.table(&voters, &grid);
        let mut chosen: Vec<f64> = choose(&table, voters.len(), grid.len(), classes).into_iter().map(|g| grid[g]).collect();
        for _ in 0..2 {
            chosen = self.refine(&voters, &chosen, ratio, snap);
        }
        let table = self.table(members, &chosen);
        table.chunks(chosen.len()).map(|errors| chosen[best(errors)]).collect()
    }

    /// Errors of `neurons` at `levels`, row by row.
    fn table(&self, neurons: &[usize], levels: &[f64]) -> Vec<f64> {
        neurons.par_iter().flat_map_iter(|&j| self.errors(j, levels)).collect()
    }

    /// Moves each level to the best one within a grid step, for the neurons that prefer it.
    fn refine(&self, voters: &[usize], chosen: &[f64], ratio: f64, snap: &dyn Fn(f64) -> f64) -> Vec<f64> {
        let table = self.table(voters, chosen);
        let favourite: Vec<usize> = table.chunks(chosen.len()).map(best).collect();
        let moved = |(class, &level): (usize, &f64)| {
            let members: Vec<usize> = voters.iter().zip(&favourite).filter(|(_, f)| **f == class).map(|(&j, _)| j).collect();
            let mut nearby: Vec<f64> = (-8..=8).map(|t| snap(level * ratio.powf(t as f64 / 8.0))).collect();
            nearby.dedup();
            let table = self.table(&members, &nearby);
            let cost = |g: usize| table.iter().skip(g).step_by(nearby.len()).sum::<f64>();
            let here = nearby.iter().position(|&l| l == snap(level)).unwrap_or(0);
            let better = |a: usize, b: usize| if cost(b) < cost(a) { b } else { a };
            if members.is_empty() { level } else { nearby[(0..nearby.len()).fold(here, better)] }
        };
        chosen.iter().enumerate().map(moved).collect()
    }
}

/// Index of the smallest error, the first of equals.
fn best(errors: &[f64]) -> usize {
    (1..errors.len()).fold(0, |a, b| if errors[b] < errors[a] { b } else { a })
}

/// At most `classes` of the `levels` columns of `table` (`voters` rows) with a small sum of each row's least error:
/// greedy choice, then exchanges while they help.
fn choose(table: &[f64], voters: usize, levels: usize, classes: usize) -> Vec<usize> {
    let total = |least: &[f64], g: usize| (0..voters).map(|r| least[r].min(table[r * levels + g])).sum::<f64>();
    let add = |least: &[f64]| best(&(0..levels).map(|g| total(least, g)).collect::<Vec<_>>());
    let least_of = |chosen: &[usize]| -> Vec<f64> {
        let least = |r: usize| chosen.iter().map(|&g| table[r * levels + g]).fold(f64::MAX, f64::min);
        (0..voters).map(least).collect()
    };
    let mut chosen: Vec<usize> = Vec::new();
    while chosen.len() < classes.min(levels) {
        let next = add(&least_of(&chosen));
        if chosen.contains(&next) {
            break;
        }
        chosen.push(next);
    }
    for _ in 0..8 {
        let before = chosen.clone();
        for k in 0..chosen.len() {
            let mut others = chosen.clone();
            others.remove(k);
            let least = least_of(&others);
            let next = add(&least);
            if total(&least, next) < total(&least, chosen[k]) {
                chosen[k] = next;
            }
        }
        if chosen == before {
            break;
        }
    }
    chosen.sort_unstable();
    chosen
}
