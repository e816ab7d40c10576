//! The reference section of a crossbar against a network in floats: every register is the nearest to the float that it stands for.
//!
//! Such a chip has no decays: neurons keep their potential (keep_v = 1) and filter nothing (keep_u = 0), so that u is the input q. With V = v * v_units the
//! float step of docs/semantics.md, section 2, becomes the integer one if weight = w * gain * v_units, leak = bias * v_units, start and reset = v_reset * v_units, and V is at the register's threshold where v is at, or above, the
//! float's: with T = threshold * v_units, integers above T begin at floor(T) + 1 (fire rule `>`), those from T on at ceil(T) (`>=`). On event crossbars, whose neurons are reset to 0 and whose
//! potentials a time reference moves towards 0, v_reset * v_units must round to 0, and bias and leak be 0.
//!
//! A constant source, which keeps nothing and hears nothing, fires in every step: so does a row that starts at 0 and leaks its threshold or more (linear: exactly that) in each tick.
//!
//! Bounds, in units of V: weights, as far as the bundle declares from the ideal (one that the reference lacks acts as 0); thresholds, none from that of T or half a unit from T (`>=`) or T + 1 (`>`), which is T rounded first; start and
//! reset, half a unit; leaks, half a unit, and as far more as the bundle declares that reconstruction moved biases. A readout (infinite threshold) has the largest threshold of the
//! register. Where the bundle declares `dropped-inputs=N`, neurons whose synapses could need more axons than a core has (synapses times `axons-per-source`) may lack synapses
//! of any weight (on event crossbars: all neurons, where the sources could need more rows than the core has): they must lack N in all, and the verdict says how many, and what share of these neurons' squared weights. Resets are the network's: `Subtract` is linear, `ToValue` absolute (on event crossbars: to 0). The negative threshold stands for none: it is the least that the register holds and the potential can have. Where a potential can't be below
//! that (`<` and a register as wide as the potential) it never acts. Where it is compared by `<=`, the least potential of a sample of `default_steps` network steps (65,536 where the bundle doesn't say) must be above it: from 0, the start or the reset value down by the sum of all
//! negative weights and the leak in each step. Where the register is narrower than the potential (`truenorth`), neurons of which that can't be said are counted (`Rounding::reachable_floors`), as wraps and clips of potentials are counted at run time.
//!
//! In: the bundle and the network. Out: the verdict. Invariant: nothing of the compiler is used. Cost: linear in the synapses.

use super::*;
use crate::choices::Choices;
use crate::family::{Registers, reference};
use crate::given::trained::{SLACK, compare_scales};
use crate::image::{ImageVerdict, Rounding, VerifyError};
use spikec_chip::event::EventSign;
use spikec_chip::image::Image;
use spikec_chip::target::{Family, Target};
use spikec_net::{Crossbar, CrossbarNeuron, Event, EventNeuron, FireRule, Float, FloatNeuron, FloatRules, ResetRule, Scaling};
use std::collections::BTreeSet;

/// Network steps for which a negative threshold must stay out of reach where the bundle has no default.
const STEPS: u32 = 1 << 16;

/// A number whose weights are integers that act as they are.
pub(crate) trait Integers: Registers + Number<Weight = i32, Format = ()> {
    /// Compares a neuron's registers with the float neuron that they stand for.
    fn compare_neuron(law: &Law<'_, Self>, wanted: &FloatNeuron, found: &Self::Neuron, one: One, judge: &mut Judge);
    /// What a core has too few of, where it has.
    fn room(target: &Target) -> Room;
}

/// What a core has of what synapses need.
pub(crate) enum Room {
    /// Axons for the inputs of each neuron.
    Axons(u32),
    /// Rows for all sources together.
    Rows {
        /// How many.
        rows: u32,
        /// A source has one row for each sign.
        signed: bool,
    },
}

/// Given synapses of which one spike makes a neuron fire that nothing inhibits, whatever comes beside it.
struct Strikers<'a> {
    given: &'a Net<Float>,
    struck: &'a relays::Struck,
    /// Of each given neuron, whether something inhibits it.
    inhibited: Vec<Vec<bool>>,
}

impl<'a> Strikers<'a> {
    fn of(given: &'a Net<Float>, struck: &'a relays::Struck) -> Strikers<'a> {
        let mut inhibited: Vec<Vec<bool>> = given.populations.iter().map(|p| p.neurons().iter().map(|n| n.bias < 0.0).collect()).collect();
        for p in given.projections.iter().filter(|_| !struck.is_empty()) {
            let neurons = given.population(p.post).neurons();
            let negative = p.synapses.iter().filter(|s| s.2 * neurons[s.1 as usize].gain < 0.0);
            negative.for_each(|s| inhibited[p.post.index()][s.1 as usize] = true);
        }
        Strikers { given, struck, inhibited }
    }

    fn strikes(&self, (_, _, population, neuron): (usize, u32, usize, u32), weight: f32) -> bool {
        let n = &self.given.populations[population].neurons()[neuron as usize];
        let (w, needed) = (f64::from(weight) * f64::from(n.gain), f64::from(n.threshold) - f64::from(n.v_reset));
        let fires = if self.given.rules.fire == FireRule::Greater { w > needed } else { w >= needed };
        fires && self.given.rules.reset == ResetRule::ToValue && !self.inhibited[population][neuron as usize]
    }
}

/// Synapses that the chip may lack, for its cores have no axons or rows for them.
struct Lacking {
    /// Of each given neuron, whether it may lack some.
    crowded: Vec<Vec<bool>>,
    /// How many the bundle says that it lacks; none: it doesn't say that it lacks any.
    declared: Option<u64>,
    /// Squared weights, in units of thresholds, of what is lacking and of all at these neurons.
    lost: f64,
    all: f64,
}

impl Lacking {
    fn of<N: Integers>(given: &Net<Float>, kept: &Kept, bundle: &Bundle, differences: &mut Differences) -> Lacking {
        let mut crowded: Vec<Vec<bool>> = given.populations.iter().map(|p| vec![false; p.neurons().len()]).collect();
        let value = |name: &str| bundle.provenance.options.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let declared = match value("dropped-inputs").map(|text| (text, text.parse::<u64>())) {
            Some((_, Ok(n))) => Some(n),
            Some((text, Err(_))) => {
                differences.push(|| Difference {
                    side: SIDE,
                    at: item("dropped inputs"),
                    field: Field::Count,
                    found: text.into(),
                    expected: "a number of synapses".into(),
                });
                None
            }
            None => None,
        };
        if declared.is_some() {
            let between = |p: &'_ Projection<Float>| {
                let (pre, post) = (&kept[p.pre.index()], &kept[p.post.index()]);
                p.synapses.iter().filter(|s| pre[s.0 as usize].is_some() && post[s.1 as usize].is_some()).collect::<Vec<_>>()
            };
            match N::room(&bundle.target) {
                Room::Axons(axons) => {
                    let each = value("axons-per-source").and_then(|n| n.parse::<u64>().ok()).unwrap_or(1);
                    let mut inputs: Vec<Vec<u64>> = given.populations.iter().map(|p| vec![0; p.neurons().len()]).collect();
                    for p in &given.projections {
                        between(p).into_iter().for_each(|s| inputs[p.post.index()][s.1 as usize] += 1);
                    }
                    for (crowded, inputs) in crowded.iter_mut().flatten().zip(inputs.iter().flatten()) {
                        *crowded = inputs.saturating_mul(each) > u64::from(axons);
                    }
                }
                // A source could need a row for each population that hears it, and each delay, at most.
                Room::Rows { rows, signed } => {
                    let key = |p: &Projection<Float>, (pre, post, weight, delay): (u32, u32, f32, u16)| {
                        let gain = given.population(p.post).neurons()[post as usize].gain;
                        (p.pre, pre, p.post, delay, signed && weight * gain < 0.0)
                    };
                    let needed: BTreeSet<_> =
                        given.projections.iter().flat_map(|p| between(p).into_iter().map(move |s| key(p, s))).collect();
                    if needed.len() > rows as usize {
                        crowded.iter_mut().flatten().for_each(|c| *c = true);
                    }
                }
            }
        }
        Lacking { crowded, declared, lost: 0.0, all: 0.0 }
    }

    /// Whether a given neuron may lack a synapse of this weight, which it does where `found` is none; counts it.
    fn counts(&mut self, (population, neuron): (usize, usize), n: &FloatNeuron, weight: f32, found: bool, checked: &mut Checked) -> bool {
        if !self.crowded[population][neuron] {
            return false;
        }
        let square = (f64::from(weight) * f64::from(n.gain) / f64::from(n.threshold)).powi(2);
        self.all += square;
        if !found {
            self.lost += square;
            checked.dropped += 1;
        }
        !found
    }
}

/// What turns a float neuron into registers.
pub(crate) struct Law<'a, N: Number> {
    given: &'a FloatRules,
    rules: &'a N::Rules,
    target: &'a Target,
    bias_deviation: f64,
    steps: u32,
}

/// One neuron.
#[derive(Debug, Clone, Copy)]
pub(crate) struct One {
    /// Units of V for one of v.
    units: f64,
    /// Sum of its negative weights.
    inhibition: i64,
    /// Whether any synapse of the network ends at it.
    hears: bool,
    skew: u32,
}

/// Where verdicts go.
pub(crate) struct Judge<'a> {
    at: &'a dyn Fn() -> At,
    differences: &'a mut Differences,
    rounding: &'a mut Rounding,
}

impl Judge<'_> {
    fn near(&mut self, field: Field, found: i32, ideal: f64, reach: f64) {
        let reach = reach + SLACK * ideal.abs().max(1.0);
        let distance = (f64::from(found) - ideal).abs();
        if distance.is_nan() || distance > reach {
            let (at, expected) = (self.at, Value::Within(ideal - reach, ideal + reach));
            self.differences.push(|| Difference { side: SIDE, at: at(), field, found: found.into(), expected });
        }
    }

    fn same<T: PartialEq + Into<Value>>(&mut self, field: Field, found: T, expected: T) {
        self.differences.compare(SIDE, field, found, expected, self.at);
    }

    /// Neither current nor potential decays.
    fn keeps(&mut self, wanted: &FloatNeuron) {
        self.same(Field::DecayU, 0.0, f64::from(wanted.keep_u));
        self.same(Field::DecayV, 1.0, f64::from(wanted.keep_v));
    }

    /// The register is that of T, the threshold in units of V, or that of T rounded to a whole unit.
    fn threshold(&mut self, fire: FireRule, wanted: &FloatNeuron, found: i32, units: f64, never: i64) {
        if wanted.threshold == f32::INFINITY {
            return self.same(Field::Threshold, i64::from(found), never);
        }
        let t = f64::from(wanted.threshold) * units;
        let slack = SLACK * t.abs().max(1.0);
        // A T that is no integer by its last bits alone may be taken for one.
        let near = if t == t.round() { 0.0 } else { 1e-9 * t.abs().max(1.0) };
        let greater = fire == FireRule::Greater;
        let exact = |t: f64| if greater { t.floor() + 1.0 } else { t.ceil() };
        let rounded = t + f64::from(u8::from(greater));
        let found_at = f64::from(found);
        let (low, high) = (exact(t - near).min(rounded - 0.5 - slack), exact(t + near).max(rounded + 0.5 + slack));
        let (is_exact, moved) = ((exact(t - near)..=exact(t + near)).contains(&found_at), (found_at - rounded).abs());
        if !is_exact {
            self.rounding.threshold_steps = self.rounding.threshold_steps.max(moved);
        }
        if !(is_exact || moved <= 0.5 + slack) {
            let (at, expected) = (self.at, Value::Within(low, high));
            self.differences.push(|| Difference { side: SIDE, at: at(), field: Field::Threshold, found: found.into(), expected });
        }
    }

    fn bias(&mut self, wanted: &FloatNeuron, found: i32, units: f64, deviation: f64) {
        let ideal = f64::from(wanted.bias) * units;
        let moved = (f64::from(found) - ideal).abs();
        self.rounding.bias_moved = self.rounding.bias_moved.max(moved / units);
        self.near(Field::Leak, found, ideal, 0.5 + deviation * units);
    }

    fn reset(&mut self, found: ResetRule, wanted: ResetRule, readout: bool) {
        let text = |rule| if rule == ResetRule::Subtract { "subtract" } else { "to a value" };
        if !readout {
            self.same(Field::Reset, text(found), text(wanted));
        }
    }
}

impl Integers for Crossbar {
    fn room(target: &Target) -> Room {
        Room::Axons(*crate::crossbar::spec(target).core.axons)
    }

    fn compare_neuron(law: &Law<'_, Self>, wanted: &FloatNeuron, found: &CrossbarNeuron, one: One, judge: &mut Judge) {
        let CrossbarNeuron { leak, threshold, floor, reset, linear, start } = *found;
        let threshold_bits = *crate::crossbar::spec(law.target).neuron.threshold_bits;
        let half = 1i64 << (threshold_bits - 1);
        if !one.hears && constant(law.given.fire, wanted) {
            // It fires in every step, and so must the row: from its start, and from where a spike leaves it.
            let fires = start == 0 && threshold >= 1 && if linear { leak == threshold } else { leak >= threshold && reset == 0 };
            let text = |fires: bool| if fires { "a spike in every step" } else { "a neuron that may be silent" };
            return judge.same(Field::Leak, text(fires), text(true));
        }
        judge.keeps(wanted);
        judge.threshold(law.given.fire, wanted, threshold, one.units, half - 1);
        judge.bias(wanted, leak, one.units, law.bias_deviation);
        let readout = wanted.threshold == f32::INFINITY;
        let rule = if linear { ResetRule::Subtract } else { ResetRule::ToValue };
        judge.reset(rule, law.given.reset, readout);
        let v_reset = f64::from(wanted.v_reset) * one.units;
        judge.near(Field::Potential, start, v_reset, 0.5);
        // A linear reset, and one that never comes, don't read the value.
        if reset != 0 || !(linear || readout) {
            judge.near(Field::ResetValue, reset, v_reset, 0.5);
        }
        let (least, _) = law.rules.range();
        let none = least.max(-half);
        judge.same(Field::Floor, i64::from(floor), none);
        if (law.rules.floor_inclusive || none > least) && !unreached(law, found, one) {
            judge.rounding.reachable_floors += 1;
            if law.rules.floor_inclusive {
                let (at, expected) = (judge.at, format!("below all potentials of {} network steps", law.steps));
                judge.differences.push(|| Difference {
                    side: SIDE,
                    at: at(),
                    field: Field::Floor,
                    found: floor.into(),
                    expected: expected.into(),
                });
            }
        }
    }
}

/// Whether a float neuron without synapses fires in every step: a constant source (docs/semantics.md, section 2).
fn constant(fire: FireRule, n: &FloatNeuron) -> bool {
    let above = if fire == FireRule::Greater { n.bias > n.threshold } else { n.bias >= n.threshold };
    (n.keep_u, n.keep_v, n.v_reset) == (0.0, 0.0, 0.0) && above
}

/// Whether no potential of the sample is at the negative threshold.
fn unreached(law: &Law<Crossbar>, n: &CrossbarNeuron, one: One) -> bool {
    let from = i64::from(n.start).min(if n.linear { 0 } else { n.reset.into() }).min(0);
    let step = one.inhibition + i64::from(n.leak.min(0));
    let ticks = i64::from(law.steps) + i64::from(one.skew);
    from.saturating_add(step.saturating_mul(ticks)) > i64::from(n.floor)
}

impl Integers for Event {
    fn room(target: &Target) -> Room {
        let spec = crate::event::spec(target);
        Room::Rows { rows: *spec.core.rows, signed: *spec.weights.sign == EventSign::EachRow }
    }

    fn compare_neuron(law: &Law<'_, Self>, wanted: &FloatNeuron, found: &EventNeuron, one: One, judge: &mut Judge) {
        let EventNeuron { threshold, leak, start } = *found;
        let never = (1i64 << *crate::event::spec(law.target).neuron.threshold_bits) - 1;
        judge.keeps(wanted);
        judge.threshold(law.given.fire, wanted, threshold, one.units, never);
        // A time reference moves a potential towards 0: no bias does.
        judge.bias(wanted, 0, one.units, law.bias_deviation);
        judge.same(Field::Leak, leak, 0);
        judge.reset(ResetRule::ToValue, law.given.reset, wanted.threshold == f32::INFINITY);
        judge.near(Field::ResetValue, 0, f64::from(wanted.v_reset) * one.units, 0.5);
        judge.same(Field::Potential, start, 0);
    }
}

/// Synapses that the image has room for.
fn crossings(bundle: &Bundle) -> u64 {
    match (&bundle.target.family, &bundle.image) {
        (Family::Crossbar(x), Image::Crossbar(image)) => image.cores.len() as u64 * u64::from(*x.core.axons) * u64::from(*x.core.neurons),
        (Family::EventCrossbar(x), _) => u64::from(*x.core.rows) * u64::from(*x.core.neurons),
        _ => u64::MAX,
    }
}

/// The image check of a family in integers.
pub(crate) fn check<N: Integers>(bundle: &Bundle, given: &Given) -> Result<ImageVerdict, VerifyError> {
    let quantized = reference::<N>(bundle)?;
    // Rows are declared once and shared: only as many synapses as the image has crossings are worth a list.
    let (synapses, crossings) = (quantized.net.synapse_count() as u64, crossings(bundle));
    if synapses > crossings {
        return Err(VerifyError::Reference(format!("it has {synapses} synapses, the image {crossings} crossings")));
    }
    if let Some(p) = quantized.net.projections.iter().find(|p| !p.synapses.is_canonical()) {
        return Err(VerifyError::Reference(format!("projection {}: its synapses are not stored as they would be written", p.name)));
    }
    let (mut differences, mut checked, mut rounding) = (Differences::default(), Checked::default(), Rounding::default());
    N::compare_image(bundle, &quantized, &mut differences, &mut checked)?;
    compare_digest(&quantized, given, &mut differences);
    let Given::Trained { net, .. } = given else {
        return Err(VerifyError::Kind { given: "registers", compiled: "floats" });
    };
    let Scaling::Scaled { .. } = &quantized.scaling else {
        return Err(VerifyError::Kind { given: "floats", compiled: "registers" });
    };
    net.check().map_err(VerifyError::MalformedNetwork)?;
    let mut struck = relays::Struck::new();
    let contracted = relays::contract(&quantized, net.populations.len(), &mut struck, &mut differences, &mut checked);
    let net = &*lagged(net, &bundle.provenance.options, &mut differences);
    if let Some(contracted) = contracted.as_deref() {
        compare(net, (contracted, &struck), bundle, &mut differences, &mut checked, &mut rounding);
    }
    Ok(ImageVerdict {
        differences: differences.kept,
        total: differences.total,
        checked,
        rounding,
        choices: Choices::of(bundle, &quantized),
    })
}

fn compare<N: Integers>(
    given: &Net<Float>,
    (quantized, struck): (&Quantized<N>, &relays::Struck),
    bundle: &Bundle,
    differences: &mut Differences,
    checked: &mut Checked,
    rounding: &mut Rounding,
) {
    let Scaling::Scaled { v_units, deviation_steps, bias_deviation } = &quantized.scaling else { return };
    let reference = &quantized.net;
    (rounding.declared_steps, rounding.declared_bias) = (*deviation_steps, *bias_deviation);
    for (declared, expected) in [(*deviation_steps, "a distance in units of the weights"), (*bias_deviation, "a potential")] {
        if !(declared >= 0.0 && declared.is_finite()) {
            let field = Field::Deviation;
            differences.push(|| Difference { side: SIDE, at: At::default(), field, found: declared.into(), expected: expected.into() });
        }
    }
    let Some(kept) = compare_populations(given, reference, differences, checked) else { return };
    if !compare_scales(reference, v_units, differences) {
        return;
    }
    let steps = bundle.host.default_steps.unwrap_or(STEPS);
    let law = Law { given: &given.rules, rules: &reference.rules, target: &bundle.target, bias_deviation: *bias_deviation, steps };
    let inhibition = inhibition(reference);
    let mut hears: Vec<Vec<bool>> = given.populations.iter().map(|p| vec![false; p.neurons().len()]).collect();
    for p in &given.projections {
        p.synapses.rows().for_each(|row| row.posts().for_each(|post| hears[p.post.index()][post as usize] = true));
    }
    for (k, (g, r)) in given.populations.iter().zip(&reference.populations).enumerate() {
        for (j, (wanted, kept)) in g.neurons().iter().zip(&kept[k]).enumerate() {
            let Some(n) = kept.map(|n| n as usize).filter(|&n| n < r.neurons().len()) else { continue };
            let at = || At { neuron: Some(given_name(given, k, j)), ..At::default() };
            let one = One { units: v_units[k][n], inhibition: inhibition[k][n], hears: hears[k][j], skew: r.skew };
            N::compare_neuron(&law, wanted, &r.neurons()[n], one, &mut Judge { at: &at, differences, rounding });
        }
    }
    let strikers = Strikers::of(given, struck);
    let mut lacking = Lacking::of::<N>(given, &kept, bundle, differences);
    let given = &*without_vanished(given, reference, &kept, (v_units, *deviation_steps), &mut lacking, checked);
    for (g, r) in pair_projections(given, reference, &kept, differences) {
        let index = reference.projections.iter().position(|p| std::ptr::eq(p, r));
        let gathered = (&strikers, index.unwrap_or(usize::MAX));
        let units = (v_units.as_slice(), *deviation_steps);
        compare_weights((given, reference), (g, r), &kept, units, gathered, &mut lacking, (differences, checked, rounding));
    }
    if let Some(declared) = lacking.declared {
        differences.compare(SIDE, Field::Count, checked.dropped as i64, declared.min(i64::MAX as u64) as i64, || item("dropped inputs"));
        rounding.dropped_share = if lacking.all > 0.0 { lacking.lost / lacking.all } else { 0.0 };
    }
    // There is no register for what a host map would write: the reference has none, and what the network has is missing.
    pair_host_projections(given, reference, &kept, differences);
}

/// The network without projections that the reference lacks because all their weights may be 0 within the declared distance, or their posts lack inputs.
fn without_vanished<'a, N: Integers>(
    given: &'a Net<Float>,
    reference: &Net<N>,
    kept: &Kept,
    (v_units, deviation): (&[Vec<f64>], f64),
    lacking: &mut Lacking,
    checked: &mut Checked,
) -> std::borrow::Cow<'a, Net<Float>> {
    let vanished = |g: &Projection<Float>| {
        let there = reference.projections.iter().any(|r| r.name == g.name && (r.pre, r.post) == (g.pre, g.post));
        let small = |(i, j, weight, _): (u32, u32, f32, u16)| {
            let (Some(_), Some(n)) = (kept[g.pre.index()][i as usize], kept[g.post.index()][j as usize]) else { return true };
            let gain = f64::from(given.population(g.post).neurons()[j as usize].gain);
            let units = v_units.get(g.post.index()).and_then(|u| u.get(n as usize)).copied().unwrap_or(f64::NAN);
            lacking.crowded[g.post.index()][j as usize] || (f64::from(weight) * gain * units).abs() <= deviation + SLACK
        };
        !there && g.synapses.iter().all(small)
    };
    let gone: Vec<bool> = given.projections.iter().map(vanished).collect();
    if !gone.contains(&true) {
        return std::borrow::Cow::Borrowed(given);
    }
    let mut rest = given.clone();
    let mut gone = gone.into_iter();
    rest.projections.retain(|g| {
        let gone = gone.next() == Some(true);
        if gone {
            let between = |(i, j, _, _): &(u32, u32, f32, u16)| {
                kept[g.pre.index()][*i as usize].is_some() && kept[g.post.index()][*j as usize].is_some()
            };
            for (_, j, weight, _) in g.synapses.iter().filter(between) {
                checked.given_synapses += 1;
                let ends = (g.post.index(), j as usize);
                lacking.counts(ends, &given.population(g.post).neurons()[j as usize], weight, false, checked);
            }
        }
        !gone
    });
    std::borrow::Cow::Owned(rest)
}

/// For each neuron, the sum of its negative weights: what a step can take at most, as a source spikes once in it.
fn inhibition<N: Number<Weight = i32>>(net: &Net<N>) -> Vec<Vec<i64>> {
    let mut all: Vec<Vec<i64>> = net.populations.iter().map(|p| vec![0; p.neurons().len()]).collect();
    for p in &net.projections {
        for (_, post, weight, _) in p.synapses.iter() {
            all[p.post.index()][post as usize] += i64::from(weight.min(0));
        }
    }
    all
}

/// Every given synapse between kept neurons acts as the reference's does, within the declared distance; one that the reference lacks acts as zero. The
/// reference has no other.
fn compare_weights<N: Integers>(
    nets: (&Net<Float>, &Net<N>),
    pair: (&Projection<Float>, &Projection<N>),
    kept: &Kept,
    (v_units, deviation): (&[Vec<f64>], f64),
    (strikers, index): (&Strikers, usize),
    lacking: &mut Lacking,
    (differences, checked, rounding): (&mut Differences, &mut Checked, &mut Rounding),
) {
    let ((given, reference), (g, r)) = (nets, pair);
    let r_neurons = reference.population(r.post).neurons();
    side_by_side(nets, pair, kept, differences, &mut |s, differences| {
        checked.given_synapses += 1;
        let (at, neurons) = (s.ends.1 as usize, given.population(g.post).neurons());
        if lacking.counts((g.post.index(), at), &neurons[at], s.given, s.found.is_some(), checked) {
            return;
        }
        // One of several that a gather stands for: its weight in the network makes the neuron fire as well, and no more than that is compared.
        let ends = (g.pre.index(), s.ends.0, g.post.index(), s.ends.1);
        let pre = kept[g.pre.index()][s.ends.0 as usize].unwrap_or(u32::MAX);
        if strikers.struck.contains(&(index, pre, s.post))
            && s.found.is_some_and(|w| N::strikes(&r_neurons[s.post as usize], w))
            && strikers.strikes(ends, s.given)
        {
            return;
        }
        let gain = f64::from(given.population(g.post).neurons()[s.ends.1 as usize].gain);
        let ideal = f64::from(s.given) * gain * v_units[r.post.index()][s.post as usize];
        let steps = (f64::from(s.found.unwrap_or(0)) - ideal).abs();
        rounding.weight_steps = rounding.weight_steps.max(steps);
        if steps.is_nan() || steps > deviation + SLACK * ideal.abs().max(1.0) {
            let at = || synapse_at(given, g, s.ends.0, s.ends.1);
            let expected = Value::Within(ideal - deviation, ideal + deviation);
            differences.push(|| Difference { side: SIDE, at: at(), field: Field::Weight, found: s.found.into(), expected });
        }
    });
}
