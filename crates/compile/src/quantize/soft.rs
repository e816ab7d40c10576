//! Soft reset on a chip that resets to zero: the potential lives in the current, which a spike leaves as it is.
//!
//! In: a float net whose spikes subtract the threshold. Out: registers in which u is the potential and v its copy of the moment, and for each such
//! neuron synapses onto itself that take the threshold away in the next step. Invariant: docs/semantics.md, section 9; whatever is not that law
//! is found (C13). Cost: O(neurons).
//! Why: of a neuron's state a hard reset leaves only u. What u can't carry (a filtered current, a potential that never leaks on a chip whose
//! currents do, currents that the host writes as biases) has no exact form with a second neuron either, for a spike of that gives back one fixed amount.

use super::Registers;
use super::neuron::Shifted;
use crate::finding::Finding;
use serde::Serialize;
use spikec_chip::Target;
use spikec_chip::cost::stored_weight_bits;
use spikec_chip::target::Sign;
use spikec_data::{Decode, Stimulus, predict};
use spikec_net::{
    FireRule, Fixed, FixedNeuron, FixedRules, Float, FloatRules, Interpreter, Net, Population, PopulationId, Projection, ResetRule,
    SignMode, Synapses, WeightFormat,
};

/// What may stand for a reset by subtraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum SoftReset {
    /// Subtraction, within the rounding of registers.
    #[default]
    Exact,
    /// Subtraction, and potentials that don't leak may leak as slowly as the target's currents can.
    Leak,
}

/// A population whose potentials live in its currents.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SoftPopulation {
    /// Name.
    pub name: String,
    /// Its neurons that do.
    pub neurons: u32,
    /// Synapses of these onto themselves.
    pub synapses: u64,
    /// Share of the potential that is lost in a step and would not be in the network; 0 where there is none.
    pub leak: f64,
}

/// Most samples by which alternatives are measured.
const MEASURED: usize = 200;

/// The share that the current keeps stands for what the potential keeps; v keeps as little as it can.
pub(super) fn into_current(n: Shifted, registers: &Registers) -> Shifted {
    let decay = ((1.0 - n.keep_v) * registers.decay_one as f64).round();
    let (least, most) = registers.decay_u;
    Shifted {
        keep_u: n.keep_v,
        keep_v: 0.0,
        decay_u: decay.clamp(f64::from(least), f64::from(most)) as u16,
        decay_v: registers.decay_v.1.min(registers.decay_one) as u16,
        soft: true,
        ..n
    }
}

/// The leak that `into_current` adds, where a register can't keep as much as the network does: beyond its rounding.
fn added_leak(keep: f32, registers: &Registers) -> f64 {
    let (ideal, least) = ((1.0 - f64::from(keep)) * registers.decay_one as f64, f64::from(registers.decay_u.0));
    if least - ideal > 0.5 { (least - ideal) / registers.decay_one as f64 } else { 0.0 }
}

/// Why a neuron's subtraction has no form on the chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unheld {
    Filtered,
    Driven,
    Start,
    Deaf,
    Leak,
}

impl Unheld {
    const ALL: [Unheld; 5] = [Unheld::Filtered, Unheld::Driven, Unheld::Start, Unheld::Deaf, Unheld::Leak];

    fn of(n: &spikec_net::FloatNeuron, driven: bool, registers: &Registers, policy: SoftReset) -> Option<Unheld> {
        match () {
            () if n.keep_u != 0.0 => Some(Unheld::Filtered),
            () if driven => Some(Unheld::Driven),
            () if n.v_reset != 0.0 => Some(Unheld::Start),
            () if n.gain == 0.0 || n.bias != 0.0 => Some(Unheld::Deaf),
            () if policy == SoftReset::Exact && added_leak(n.keep_v, registers) > 0.0 => Some(Unheld::Leak),
            () => None,
        }
    }
    fn text(self) -> (&'static str, &'static str) {
        match self {
            Unheld::Filtered => (
                "neurons with soft reset (v - threshold) whose current is filtered too",
                "a hard reset clears the potential, and the current is taken: compile with --reset hard, or train with hard reset",
            ),
            Unheld::Driven => (
                "neurons with soft reset (v - threshold) that the host drives by biases",
                "use --input-coding rate or latency, so that their input is spikes, or compile with --reset hard",
            ),
            Unheld::Start => (
                "neurons with soft reset (v - threshold) that don't start at 0",
                "set v_reset to 0 (a soft reset doesn't use it but at the start), or compile with --reset hard",
            ),
            Unheld::Deaf => (
                "neurons with soft reset (v - threshold) and a bias that no gain takes in",
                "change the neurons' parameters (r, w_in), or compile with --reset hard",
            ),
            Unheld::Leak => (
                "neurons with soft reset (v - threshold) that keep more of their potential than a current can",
                "let them leak (--reset leak), or reset to zero (--reset hard)",
            ),
        }
    }
}

/// Neurons whose soft reset the chip can't make (C13), with alternatives: what they do to the outputs is measured where there are samples. And
/// those that leak, by the policy's leave, as warnings.
pub(super) fn findings(net: &Net<Float>, rules: &FixedRules, registers: &Registers, target: &Target, policy: SoftReset) -> Vec<Finding> {
    let mut findings = Vec::new();
    let exact = format(rules, 1, target).is_some_and(|(_, shift, _)| shift == 0);
    for (k, p) in net.populations.iter().enumerate() {
        let driven = net.host_projections.iter().any(|h| h.post.index() == k);
        let soft: Vec<_> = p.neurons().iter().filter(|n| net.rules.subtracts(n)).collect();
        if soft.is_empty() {
            continue;
        }
        let unheld: Vec<Unheld> = soft.iter().filter_map(|n| Unheld::of(n, driven, registers, policy)).collect();
        for what in Unheld::ALL {
            let count = unheld.iter().filter(|&&u| u == what).count();
            let (resource, remedy) = what.text();
            if count > 0 {
                findings.push(Finding::error("C13", resource, count as f64, 0.0, remedy).layer(&p.name));
            }
        }
        if !exact {
            let remedy = "the target has no negative weights that are fine enough: compile with --reset hard";
            findings.push(Finding::error("C12", "weights that take exactly a threshold away", 1.0, 0.0, remedy).layer(&p.name));
        }
        let hop = *target.topology.neuron_hop_steps;
        if hop > 1 {
            let remedy = "a spike comes back too late to be subtracted in the next step: compile with --reset hard";
            findings
                .push(Finding::error("C11", "chip steps of a synapse that subtracts a threshold", hop.into(), 1.0, remedy).layer(&p.name));
        }
        let leak = soft.iter().map(|n| added_leak(n.keep_v, registers)).fold(0.0, f64::max);
        if policy == SoftReset::Leak && leak > 0.0 {
            let remedy = "currents leak on this chip: compare with the network on data (verify), or use --reset hard";
            let resource = "share of the potential that is lost in a step, and isn't in the network";
            findings.push(Finding::warning("C13", resource, leak, 0.0, remedy).layer(&p.name));
        }
    }
    findings
}

/// True for what `findings` refuses.
fn is_ours(f: &Finding) -> bool {
    Unheld::ALL.iter().any(|u| f.resource == u.text().0)
}

/// Adds to the remedies of refused soft resets what the alternatives do to the outputs, measured on samples.
pub(crate) fn measure(
    findings: &mut [Finding],
    net: &Net<Float>,
    target: &Target,
    samples: &[Stimulus],
    steps: Option<u32>,
    decode: Decode,
) {
    if !findings.iter().any(is_ours) || samples.is_empty() {
        return;
    }
    let samples = &samples[..samples.len().min(MEASURED)];
    let registers = Registers::of(target);
    let leaky = |mut net: Net<Float>| {
        let most = 1.0 - f64::from(registers.decay_u.0) / registers.decay_one as f64;
        for p in &mut net.populations {
            if let spikec_net::Role::Neurons(neurons) = &mut p.role {
                neurons.iter_mut().filter(|n| net.rules.subtracts(n)).for_each(|n| n.keep_v = n.keep_v.min(most as f32));
            }
        }
        net
    };
    let hard = Net { rules: FloatRules { reset: ResetRule::ToValue, ..net.rules }, ..net.clone() };
    let leak = findings.iter().any(|f| f.resource == Unheld::Leak.text().0).then(|| leaky(net.clone()));
    let Some(wanted) = outputs(net, samples, steps, decode) else { return };
    let effect = |net: &Net<Float>| {
        let found = outputs(net, samples, steps, decode)?;
        let same = wanted.iter().zip(&found).filter(|(a, b)| a.0 == b.0).count();
        let distance = |(a, b): (&Outputs, &Outputs)| a.1.iter().zip(&b.1).map(|(&x, &y)| u64::from(x.abs_diff(y))).sum::<u64>();
        let apart = wanted.iter().zip(&found).map(distance).sum::<u64>() as f64 / samples.len() as f64;
        let spikes = wanted.iter().map(|w| w.1.iter().map(|&n| u64::from(n)).sum::<u64>()).sum::<u64>() as f64 / samples.len() as f64;
        Some(format!(
            "same class for {:.1} %, {apart:.1} of {spikes:.1} output spikes apart a sample",
            100.0 * same as f64 / samples.len() as f64
        ))
    };
    let said =
        [("hard", Some(hard)), ("leak", leak)].into_iter().filter_map(|(name, net)| Some(format!("--reset {name}: {}", effect(&net?)?)));
    let said = format!(" [floats, {} samples: {}]", samples.len(), said.collect::<Vec<_>>().join("; "));
    findings.iter_mut().filter(|f| is_ours(f)).for_each(|f| f.remedy.push_str(&said));
}

/// Of the first samples, how many there are and the share in which both nets give one class; `None` where none can be run.
pub(crate) fn agreement(
    nets: (&Net<Float>, &Net<Float>),
    samples: &[Stimulus],
    steps: Option<u32>,
    decode: Decode,
) -> Option<(usize, f64)> {
    let samples = &samples[..samples.len().min(MEASURED)];
    let (a, b) = (outputs(nets.0, samples, steps, decode)?, outputs(nets.1, samples, steps, decode)?);
    let same = a.iter().zip(&b).filter(|(a, b)| a.0 == b.0).count();
    (!samples.is_empty()).then(|| (samples.len(), same as f64 / samples.len() as f64))
}

/// Class and output spikes of a sample.
type Outputs = (u32, Vec<u32>);

fn outputs(net: &Net<Float>, samples: &[Stimulus], steps: Option<u32>, decode: Decode) -> Option<Vec<Outputs>> {
    let interpreter = Interpreter::new(net).ok()?;
    let run = |s: &Stimulus| {
        let run = interpreter.sample(s, steps.or(s.steps()), false).ok()?;
        Some((predict(decode, &run.out_counts, &run.first_spike, &run.potentials), run.out_counts))
    };
    use rayon::prelude::*;
    samples.par_iter().map(run).collect()
}

/// The synapses that take thresholds away, in as many projections as they have exponents, and what became of the population.
///
/// Of neuron j with the threshold `level` in threshold mantissas (that of the network, whatever the fire rule made of the register), they weigh
/// `-round(level * (4096 - decay_u) / 4096)` units of 2^threshold_shift in all.
pub(super) fn projections(
    rules: &FixedRules,
    given: (&FloatRules, &Population<Float>),
    (id, neurons): (PopulationId, &[FixedNeuron]),
    target: &Target,
) -> Option<(Vec<Projection<Fixed>>, SoftPopulation)> {
    let (float_rules, population) = given;
    let registers = Registers::of(target);
    let one = u64::from(registers.decay_one);
    let mut rest = vec![0u64; neurons.len()];
    let (mut count, mut leak) = (0, 0f64);
    for ((rest, n), given) in rest.iter_mut().zip(neurons).zip(population.neurons()).filter(|(_, given)| float_rules.subtracts(given)) {
        let level = u64::from(n.threshold) + u64::from(float_rules.fire == FireRule::GreaterEqual);
        let kept = one - u64::from(n.decay_u).min(one);
        *rest = ((level << rules.threshold_shift) * kept + ((one << rules.align_shift) >> 1)) / (one << rules.align_shift);
        count += 1;
        leak = leak.max(added_leak(given.keep_v, &registers));
    }
    if count == 0 {
        return None;
    }
    let mut out = Vec::new();
    while let Some(&most) = rest.iter().max().filter(|&&most| most > 0) {
        let Some((format, shift, largest)) = format(rules, most, target) else { break };
        let mut synapses = Vec::new();
        for (j, rest) in rest.iter_mut().enumerate() {
            let multiple = (*rest >> shift).min(largest);
            if multiple > 0 {
                *rest -= multiple << shift;
                synapses.push((j as u32, j as u32, -((multiple as i16) << format.grid_shift()), 1));
            }
        }
        out.push(Projection {
            name: format!("{} soft reset", population.name),
            pre: id,
            post: id,
            format,
            synapses: Synapses::from_tuples(neurons.len(), synapses),
        });
    }
    let synapses = out.iter().map(|p| p.synapses.len() as u64).sum();
    Some((out, SoftPopulation { name: population.name.clone(), neurons: count, synapses, leak }))
}

/// The finest format of which one synapse takes `most` units of 2^align_shift away, or else the coarsest that no limit clips; with the log2 of its
/// grid in these units, and the largest multiple of that. `None` on a chip without negative weights.
fn format(rules: &FixedRules, most: u64, target: &Target) -> Option<(WeightFormat, u32, u64)> {
    let packed = target.packed();
    let sign = if packed.weights.signs.contains(&Sign::Inhibitory) { SignMode::Inhibitory } else { SignMode::Mixed };
    let bits = (1..=8u8).rev().find(|&b| stored_weight_bits(&packed.synapse_memory, b).is_some())?;
    let plain = WeightFormat { bits, exponent: 0, sign };
    let grid = plain.grid_shift();
    let largest = (-i64::from(plain.mantissa_range().0)) as u64 >> grid;
    let limit = ((1u64 << rules.weight_limit_bits) - (1 << rules.align_shift)) >> rules.align_shift;
    let (first, last) = *packed.weights.exponent;
    let held = (0..32u32).filter_map(|shift| {
        let exponent = i8::try_from(i64::from(shift) - i64::from(grid)).ok()?;
        let in_range = (first..=last).contains(&exponent) && 1 << shift <= limit;
        in_range.then(|| (WeightFormat { exponent, ..plain }, shift, largest.min(limit >> shift)))
    });
    let mut held = held.peekable();
    let mut coarsest = *held.peek()?;
    for format in held {
        if coarsest.2 << coarsest.1 >= most {
            break;
        }
        coarsest = format;
    }
    Some(coarsest)
}

#[cfg(test)]
mod tests {
    use super::super::{QuantizeError, QuantizeOptions, Quantizer, quantize};
    use super::*;
    use crate::finding::Severity;
    use crate::fixednets::changed;
    use crate::testnets::{channels, loihi, population, projection, random_spikes, rng};
    use proptest::prelude::*;
    use rand::Rng;
    use spikec_net::{FloatNeuron, HostProjection, Observer, Role};

    const IF: FloatNeuron = FloatNeuron { keep_u: 0.0, keep_v: 1.0, gain: 1.0, bias: 0.0, threshold: 1.0, v_reset: 0.0 };

    fn rules() -> FixedRules {
        FixedRules::default()
    }

    /// Input, and one or two populations of neurons with soft reset, the second with a loop onto the first.
    fn random_net(seed: u64, keep: f32) -> Net<Float> {
        let mut r = rng(seed);
        let fire = if r.random_bool(0.5) { FireRule::Greater } else { FireRule::GreaterEqual };
        let mut populations = vec![channels(r.random_range(2..8))];
        for k in 0..r.random_range(1..=2usize) {
            let threshold = r.random_range(0.5..3.0f32);
            let neuron = |r: &mut rand_chacha::ChaCha8Rng| FloatNeuron { keep_v: keep, gain: r.random_range(0.5..1.5), threshold, ..IF };
            populations.push(population(&format!("p{k}"), (0..r.random_range(1..8)).map(|_| neuron(&mut r)).collect()));
        }
        let mut projections = Vec::new();
        let ends: Vec<(u32, u32, u16)> =
            if populations.len() == 3 { vec![(0, 1, 0), (1, 2, 0), (2, 1, 2), (1, 1, 1)] } else { vec![(0, 1, 0), (1, 1, 3)] };
        for (pre, post, delay) in ends {
            let mut synapses = Vec::new();
            for i in 0..populations[pre as usize].len() as u32 {
                for j in 0..populations[post as usize].len() as u32 {
                    if r.random_bool(0.6) {
                        // Weights of several thresholds: potentials stay above the threshold for some steps.
                        synapses.push((i, j, r.random_range(-1.5..3.0f32), delay));
                    }
                }
            }
            projections.push(projection(&format!("{pre} {post}"), (pre, post), populations[pre as usize].len(), synapses));
        }
        Net {
            name: format!("soft {seed}"),
            rules: FloatRules { fire, reset: ResetRule::Subtract },
            output: PopulationId::from(populations.len() - 1),
            populations,
            projections,
            host_projections: Vec::new(),
        }
    }

    /// Spikes of all populations, step by step, and the largest |v| of each step's neurons.
    #[derive(Default)]
    struct Spikes(Vec<(u32, u32, Vec<u32>)>);

    impl Observer<Fixed> for Spikes {
        fn step(&mut self, t: u32, p: PopulationId, _: &[i32], _: &[i32], fired: &[u32]) {
            self.0.push((t, p.0, fired.to_vec()));
        }
    }

    /// The law of a reset by subtraction, written down: v keeps its share, adds what acts, fires, and loses the level. Without its own synapses.
    fn by_subtraction(q: &Net<Fixed>, given: &Net<Float>, train: &spikec_data::SpikeTrain, steps: u32) -> Vec<(u32, u32, Vec<u32>)> {
        let mut v: Vec<Vec<i64>> = q.populations.iter().map(|p| vec![0; p.len()]).collect();
        let mut fired: Vec<Vec<Vec<u32>>> = q.populations.iter().map(|_| Vec::new()).collect();
        let mut out = Vec::new();
        for t in 0..steps {
            fired[0].push(train.at(t).to_vec());
            for p in 1..q.populations.len() {
                let mut sums = vec![0i64; v[p].len()];
                for s in q.projections.iter().filter(|s| s.post.index() == p && !s.name.ends_with(" soft reset")) {
                    for (i, j, m, d) in s.synapses.iter().filter(|s| u32::from(s.3) <= t) {
                        let of = &fired[s.pre.index()][(t - u32::from(d)) as usize];
                        let times = of.iter().filter(|&&x| x == i).count() as i64;
                        sums[j as usize] += times * i64::from(q.rules.acting_weight(m, s.format.exponent));
                    }
                }
                let mut now = Vec::new();
                for (j, n) in q.populations[p].neurons().iter().enumerate() {
                    let x = v[p][j];
                    v[p][j] = x.signum() * ((x.abs() * (4096 - i64::from(n.decay_u))) >> 12) + sums[j];
                    if v[p][j] > i64::from(n.threshold) << 6 {
                        let level = i64::from(n.threshold) + i64::from(given.rules.fire == FireRule::GreaterEqual);
                        v[p][j] -= level << 6;
                        now.push(j as u32);
                    }
                }
                out.push((t, p as u32, now.clone()));
                fired[p].push(now);
            }
        }
        out
    }

    fn run(q: &Net<Fixed>, train: &spikec_data::SpikeTrain, steps: u32) -> Vec<(u32, u32, Vec<u32>)> {
        let mut spikes = Spikes::default();
        let counters = Interpreter::new(q).unwrap().run(Some(train), &[], steps, &mut spikes);
        assert_eq!((counters.u_wraps, counters.v_clips), (0, 0));
        spikes.0
    }

    fn quantized(net: &Net<Float>, target: &Target, policy: SoftReset) -> Net<Fixed> {
        let options = QuantizeOptions { method: Quantizer::MaxAbs, soft_reset: policy, ..QuantizeOptions::default() };
        quantize(net, [0; 32], target, &options).unwrap().0.net
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        /// Where currents can keep all and v nothing, the chip's neurons subtract, bit for bit.
        #[test]
        fn without_leaks_the_spikes_are_those_of_subtraction(seed in any::<u64>()) {
            let target = changed(|p| (p.neuron.u_decay_offset.value, p.neuron.v_decay_offset.value) = (0, 1));
            let net = random_net(seed, 1.0);
            let q = quantized(&net, &target, SoftReset::Exact);
            let Stimulus::Spikes(train) = random_spikes(&net, seed ^ 7, 60) else { panic!() };
            let found = run(&q, &train, 60);
            prop_assert!(found == by_subtraction(&q, &net, &train, 60));
        }

        /// What is taken is the level to half a mantissa, in synapses that the format holds, one for each exponent.
        #[test]
        fn the_synapses_take_the_level(level in 1u32..1 << 17, decay_u in 1u16..=4096, greater in any::<bool>()) {
            let fire = if greater { FireRule::Greater } else { FireRule::GreaterEqual };
            let neuron = FixedNeuron { decay_u, decay_v: 4095, threshold: level, refractory: 1, bias: Default::default() };
            let given = (&FloatRules { fire, reset: ResetRule::Subtract }, &population("p", vec![IF]));
            let (made, report) = projections(&rules(), given, (PopulationId(1), &[neuron]), &loihi()).unwrap();
            let level = f64::from(level + u32::from(!greater));
            let taken: i32 = made.iter().flat_map(|p| p.synapses.iter().map(|s| rules().acting_weight(s.2, p.format.exponent))).sum();
            let ideal = level * (1.0 - f64::from(decay_u) / 4096.0);
            prop_assert!((f64::from(-taken) / 64.0 - ideal).abs() <= 0.5, "{taken} {ideal}");
            prop_assert_eq!(report.synapses, made.len() as u64);
            for p in &made {
                let (least, most) = p.format.mantissa_range();
                prop_assert!(p.synapses.iter().all(|(i, j, m, d)| (i, j, d) == (0, 0, 1) && (least..=most).contains(&m) && p.format.on_grid(m) == m));
            }
        }
    }

    /// On loihi1 v keeps 1/4096, decays round, and so does the subtraction: few spikes are other than those of floats, and far fewer than with a
    /// hard reset.
    #[test]
    fn with_leaks_the_spikes_are_almost_those_of_floats() {
        let (mut all, mut soft, mut hard) = (0, 0, 0);
        for seed in 0..200 {
            let net = random_net(seed, [0.5, 0.9, 0.96][seed as usize % 3]);
            let Stimulus::Spikes(train) = random_spikes(&net, seed ^ 7, 60) else { panic!() };
            let counts = |counts: Vec<u32>| counts;
            let floats =
                |net: &Net<Float>| counts(spikec_net::run_sample(&Interpreter::new(net).unwrap(), Some(&train), &[], 60, false).out_counts);
            let q = quantized(&net, &loihi(), SoftReset::Exact);
            let chip = counts(spikec_net::run_sample(&Interpreter::new(&q).unwrap(), Some(&train), &[], 60, false).out_counts);
            let wanted = floats(&net);
            let apart = |a: &[u32]| a.iter().zip(&wanted).map(|(x, y)| x.abs_diff(*y)).sum::<u32>();
            all += wanted.iter().sum::<u32>();
            soft += apart(&chip);
            hard += apart(&floats(&Net { rules: FloatRules { reset: ResetRule::ToValue, ..net.rules }, ..net.clone() }));
        }
        eprintln!("{all} spikes; apart: {soft} on the chip, {hard} with a hard reset in floats");
        assert!(all > 10_000 && soft * 50 < all && soft * 10 < hard, "{all} {soft} {hard}");
    }

    #[test]
    fn what_has_no_form_is_refused_by_name_with_its_alternatives() {
        let net = |n: FloatNeuron| Net {
            name: "net".into(),
            rules: FloatRules { fire: FireRule::Greater, reset: ResetRule::Subtract },
            output: PopulationId(1),
            populations: vec![channels(2), population("a", vec![n])],
            projections: vec![projection("w", (0, 1), 2, vec![(0, 0, 0.4, 0), (1, 0, 0.7, 0)])],
            host_projections: Vec::new(),
        };
        let leaky = FloatNeuron { keep_v: 0.5, ..IF };
        let refuse = |net: &Net<Float>, target: &Target, policy| {
            let options = QuantizeOptions { soft_reset: policy, ..QuantizeOptions::default() };
            match quantize(net, [0; 32], target, &options) {
                Ok(_) => String::new(),
                Err(QuantizeError::Findings(f)) => f.iter().map(|f| format!("{f}\n")).collect(),
                Err(e) => panic!("{e}"),
            }
        };
        let exact = |n| refuse(&net(n), &loihi(), SoftReset::Exact);
        assert_eq!(exact(leaky), "");
        assert!(exact(FloatNeuron { keep_u: 0.5, ..leaky }).contains("whose current is filtered too"));
        assert!(exact(FloatNeuron { v_reset: 0.25, ..leaky }).contains("don't start at 0"));
        assert!(exact(FloatNeuron { bias: 0.25, ..leaky }).contains("a bias that no gain takes in"));
        assert!(exact(IF).contains("more of their potential than a current can") && exact(IF).contains("--reset leak"));
        assert_eq!(refuse(&net(IF), &loihi(), SoftReset::Leak), "");
        // A threshold that a step forgets, and a readout, have nothing to subtract from.
        assert_eq!(exact(FloatNeuron { keep_v: 0.0, ..IF }), "");
        assert_eq!(exact(FloatNeuron { threshold: f32::INFINITY, ..IF }), "");
        let mut driven = net(leaky);
        driven.populations.push(spikec_net::Population { name: "x".into(), role: Role::AnalogInput, ..channels(1) });
        driven.host_projections.push(HostProjection {
            name: "h".into(),
            pre: PopulationId(2),
            post: PopulationId(1),
            offsets: vec![0, 1],
            channels: vec![0],
            weights: vec![1.0],
            constants: vec![0.0],
            gains: vec![1.0],
            delay_steps: 0,
        });
        assert!(refuse(&driven, &loihi(), SoftReset::Exact).contains("--input-coding rate"));
        let mut far = loihi();
        far.topology.neuron_hop_steps.value = 2;
        assert!(refuse(&net(leaky), &far, SoftReset::Exact).contains("C11 a: chip steps of a synapse that subtracts a threshold"));
        let coarse = changed(|p| p.weights.exponent.value = (1, 7));
        assert!(refuse(&net(leaky), &coarse, SoftReset::Exact).contains("C12 a: weights that take exactly a threshold away"));
        // With samples, the effect of the alternatives is said.
        let samples = vec![random_spikes(&net(IF), 3, 40), random_spikes(&net(IF), 4, 40)];
        let mut findings = findings(&net(IF), &rules(), &Registers::of(&loihi()), &loihi(), SoftReset::Exact);
        measure(&mut findings, &net(IF), &loihi(), &samples, None, Decode::Count);
        assert_eq!(findings.len(), 1);
        let said = &findings[0].remedy;
        assert!(findings[0].severity == Severity::Error && said.contains("2 samples: --reset hard: same class for 100.0 %"), "{said}");
        assert!(said.contains("--reset leak: same class for 100.0 %, 0.0 of "), "{said}");
    }
}
