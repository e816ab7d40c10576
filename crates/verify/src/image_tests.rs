use super::*;
use crate::difference::Value;
use crate::mutate::Random;
use crate::toy::{KINDS, Kind, Source, Toy};
use spikec_net::{Bias, FireRule, PopulationId, ResetRule, Role, Synapses, Weight};

/// The fields of the differences between a toy's bundle and another network with (the lie) the same digest.
fn fields_of(toy: &Toy, source: Source) -> Vec<Field> {
    let other = Toy { source, ..toy.clone() };
    let verdict = other.check(&toy.bundle).expect("nets of one kind can be compared");
    assert_eq!(verdict.total == 0, verdict.differences.is_empty());
    assert!(verdict.differences.iter().all(|d| d.side == Side::Network), "{:#?}", verdict.differences);
    verdict.differences.iter().map(|d| d.field).collect()
}

fn registers(toy: &Toy) -> Net<Fixed> {
    match &toy.source {
        Source::Registers(net) => net.clone(),
        Source::Trained(_) => panic!("a toy in floats"),
    }
}
fn floats(toy: &Toy) -> Net<Float> {
    match &toy.source {
        Source::Trained(net) => net.clone(),
        Source::Registers(_) => panic!("a toy in registers"),
    }
}
/// Index of a neuron of a population that the bundle kept, and its neuron.
fn kept(toy: &Toy, population: usize) -> usize {
    toy.quantized().net.populations[population].origin[0] as usize
}
fn neuron<N: spikec_net::Number>(net: &mut Net<N>, population: usize, k: usize) -> &mut N::Neuron {
    match &mut net.populations[population].role {
        Role::Neurons(n) => &mut n[k],
        _ => panic!("inputs"),
    }
}
/// A synapse (projection, index) of the given net whose ends were kept.
fn kept_synapse<N: spikec_net::Number>(toy: &Toy, net: &Net<N>) -> (usize, usize) {
    let reference = toy.quantized().net;
    let has = |p: PopulationId, i: u32| reference.population(p).origin.binary_search(&i).is_ok();
    for (k, p) in net.projections.iter().enumerate() {
        if let Some(s) = p.synapses.iter().position(|(i, j, ..)| has(p.pre, i) && has(p.post, j)) {
            return (k, s);
        }
    }
    panic!("no kept synapse")
}
fn change_delay<W: Weight>(s: &mut Synapses<W>, k: usize) {
    let mut all: Vec<(u32, u32, W, u16)> = s.iter().collect();
    all[k].3 += 1;
    *s = Synapses::from_tuples(s.pres(), all);
}

#[test]
fn another_network_in_registers_is_refused() {
    for seed in 0..12 {
        let toy = Toy::new(Kind::Registers, seed);
        let given = registers(&toy);
        assert_eq!(fields_of(&toy, Source::Registers(given.clone())), []);
        let h = kept(&toy, 1);
        let expect = |field: Field, change: &dyn Fn(&mut Net<Fixed>)| {
            let mut net = given.clone();
            change(&mut net);
            let fields = fields_of(&toy, Source::Registers(net));
            assert!(fields.contains(&field), "{seed}: expected {field}, found {fields:?}");
        };
        expect(Field::Threshold, &|n| neuron(n, 1, h).threshold += 1);
        expect(Field::DecayU, &|n| neuron(n, 1, h).decay_u -= 1);
        expect(Field::DecayV, &|n| neuron(n, 1, h).decay_v ^= 1);
        expect(Field::Refractory, &|n| neuron(n, 1, h).refractory += 1);
        expect(Field::Bias, &|n| neuron(n, 1, h).bias = Bias { mantissa: 701, exponent: 0 });
        expect(Field::Rules, &|n| n.rules.v_max -= 1);
        expect(Field::Shape, &|n| n.populations[1].shape = vec![1, 1, n.populations[1].shape[1]]);
        expect(Field::Name, &|n| n.populations[2].name.push('x'));
        let (p, s) = kept_synapse(&toy, &given);
        expect(Field::Mantissa, &|n| n.projections[p].synapses.weights_mut()[s] ^= 16);
        expect(Field::Delay, &|n| change_delay(&mut n.projections[p].synapses, s));
        expect(Field::Format, &|n| n.projections[p].format.exponent += 1);
        expect(Field::Synapse, &|n| {
            let mut all: Vec<_> = n.projections[p].synapses.iter().collect();
            all.remove(s);
            n.projections[p].synapses = Synapses::from_tuples(n.populations[n.projections[p].pre.index()].len(), all);
        });
        expect(Field::Synapse, &|n| {
            let mut all: Vec<_> = n.projections[p].synapses.iter().collect();
            let (i, j, w, _) = all[s];
            all.push((i, j, w, 9));
            n.projections[p].synapses = Synapses::from_tuples(n.populations[n.projections[p].pre.index()].len(), all);
        });
    }
}

#[test]
fn another_network_in_floats_is_refused() {
    for (kind, seed) in [Kind::Spikes, Kind::Bias, Kind::Rate, Kind::Latency].into_iter().flat_map(|k| (0..8).map(move |s| (k, s))) {
        let toy = Toy::new(kind, seed);
        let given = floats(&toy);
        assert_eq!(fields_of(&toy, Source::Trained(given.clone())), []);
        let h = kept(&toy, 1);
        let expect = |field: Field, change: &dyn Fn(&mut Net<Float>)| {
            let mut net = given.clone();
            change(&mut net);
            let fields = fields_of(&toy, Source::Trained(net));
            assert!(fields.contains(&field), "{kind:?} {seed}: expected {field}, found {fields:?}");
        };
        // Thresholds are 400 mantissas: half a step is 1/800. A mantissa of 2 is at most 1/100 of a threshold.
        expect(Field::Threshold, &|n| neuron(n, 1, h).threshold *= 1.01);
        expect(Field::Threshold, &|n| neuron(n, 1, h).threshold = f32::INFINITY);
        expect(Field::DecayV, &|n| neuron(n, 1, h).keep_v -= 0.001);
        expect(if kind == Kind::Bias { Field::HostConstant } else { Field::Bias }, &|n| neuron(n, 1, h).bias += 0.01);
        let mut soft = given.clone();
        soft.rules.reset = ResetRule::Subtract;
        let fields = fields_of(&toy, Source::Trained(soft));
        assert!(fields.iter().any(|f| [Field::Reset, Field::DecayV, Field::Bias, Field::Count].contains(f)), "{kind:?} {seed}: {fields:?}");
        expect(Field::Threshold, &|n| {
            n.rules.fire = if n.rules.fire == FireRule::Greater { FireRule::GreaterEqual } else { FireRule::Greater };
        });
        if kind == Kind::Spikes {
            expect(Field::DecayU, &|n| neuron(n, 1, h).keep_u += 0.001);
        }
        let (p, s) = kept_synapse(&toy, &given);
        expect(Field::Mantissa, &|n| n.projections[p].synapses.weights_mut()[s] += 0.1);
        expect(Field::Synapse, &|n| change_delay(&mut n.projections[p].synapses, s));
        if kind == Kind::Bias {
            let row = given.host_projections[0].offsets[h] as usize..given.host_projections[0].offsets[h + 1] as usize;
            expect(Field::HostConstant, &|n| n.host_projections[0].constants[h] += 1e-6);
            expect(Field::HostGain, &|n| n.host_projections[0].gains[h] *= 1.0 + 1e-9);
            expect(Field::Delay, &|n| n.host_projections[0].delay_steps += 1);
            if !row.is_empty() {
                let weight = |n: &mut Net<Float>| {
                    let w = &mut n.host_projections[0].weights[row.start];
                    *w = f32::from_bits(w.to_bits() ^ 1);
                };
                expect(Field::HostWeights, &weight);
            }
        }
    }
}

#[test]
fn the_digest_must_be_the_networks() {
    for kind in KINDS {
        let toy = Toy::new(kind, 1);
        let other = Toy { digest: [7; 32], ..toy.clone() };
        let verdict = other.check(&toy.bundle).unwrap();
        assert_eq!((verdict.total, verdict.differences[0].field), (1, Field::Digest), "{kind:?}");
    }
}

#[test]
fn a_neuron_that_matters_can_not_be_left_out() {
    let (mut removed, mut refused) = (0, 0);
    for seed in 0..120 {
        let toy = Toy::new(Kind::Registers, seed);
        let verdict = toy.check(&toy.bundle).unwrap();
        removed += verdict.checked.removed_neurons;
        // The same bundle, given a net in which a removed neuron is alive: a bias that fires, and a way to a kept output.
        let mut net = registers(&toy);
        let reference = toy.quantized().net;
        let dead = (0..net.populations[1].len() as u32).find(|i| reference.populations[1].origin.binary_search(i).is_err());
        let (Some(dead), Some(&output)) = (dead, reference.populations[2].origin.first()) else { continue };
        neuron(&mut net, 1, dead as usize).bias = Bias { mantissa: 4095, exponent: 7 };
        let p = net.projections.iter().position(|p| p.name == "h-o").unwrap();
        let mut all: Vec<_> = net.projections[p].synapses.iter().collect();
        let weight = net.projections[p].format.mantissa_range().1.max(net.projections[p].format.mantissa_range().0);
        all.push((dead, output, weight, 0));
        net.projections[p].synapses = Synapses::from_tuples(net.populations[1].len(), all);
        assert!(fields_of(&toy, Source::Registers(net)).contains(&Field::RemovedNeuron), "{seed}");
        refused += 1;
    }
    assert!(removed > 0 && refused > 3, "{removed} removed, {refused} refused");
}

#[test]
fn kinds_are_not_mixed_up() {
    let (a, b) = (Toy::new(Kind::Registers, 1), Toy::new(Kind::Spikes, 1));
    assert!(matches!(a.check(&b.bundle), Err(VerifyError::Kind { given: "registers", .. })));
    assert!(matches!(b.check(&a.bundle), Err(VerifyError::Kind { given: "floats", .. })));
}

#[test]
fn damaged_references_are_refused_without_a_panic() {
    for kind in KINDS {
        let toy = Toy::new(kind, 4);
        let mut r = Random::new(11);
        for _ in 0..400 {
            let mut bundle = toy.bundle.clone();
            for _ in 0..1 + r.below(3) {
                let k = r.below(bundle.reference.len());
                bundle.reference[k] ^= 1 << r.below(8);
            }
            if r.below(8) == 0 {
                bundle.reference.truncate(r.below(toy.bundle.reference.len()));
            }
            let caught = toy.with_given(&bundle, |given| crate::mutate::catch(&toy.bundle, &bundle, given));
            if caught == crate::mutate::Caught::Nothing {
                // Scales may move as far as rounding allows; nothing else may.
                let q = Quantized::from_bytes(&bundle.reference).unwrap();
                assert_eq!((q.net, q.network_digest), (toy.quantized().net, toy.digest), "{kind:?}");
            }
        }
    }
}

#[test]
fn weights_within_the_declared_deviation_pass_and_beyond_it_fail() {
    let toy = Toy::new(Kind::Spikes, 5);
    let verdict = toy.check(&toy.bundle).unwrap();
    assert!(verdict.rounding.weight_steps > 0.1 && verdict.rounding.weight_steps <= 0.5);
    assert!(verdict.rounding.threshold_steps < 1e-6 && verdict.rounding.decay_steps <= 1.0);
    let with = |deviation: f64| {
        let mut bundle = toy.bundle.clone();
        let mut q = toy.quantized();
        let Scaling::Scaled { deviation_steps, .. } = &mut q.scaling else { panic!("a toy in floats is scaled") };
        *deviation_steps = deviation;
        bundle.reference = q.to_bytes();
        toy.check(&bundle).unwrap()
    };
    assert!(with(verdict.rounding.weight_steps).holds());
    let tight = with(verdict.rounding.weight_steps * 0.9);
    assert!(tight.differences.iter().all(|d| d.field == Field::Mantissa) && !tight.holds());
    assert!(matches!(tight.differences[0].expected, Value::Within(..)));
    for nonsense in [-0.5, f64::NAN, f64::INFINITY] {
        assert!(!with(nonsense).holds(), "{nonsense}");
    }
}

#[test]
fn a_reference_that_declares_a_gigantic_net_is_refused_without_listing_it() {
    const N: u32 = 4200;
    let toy = Toy::new(Kind::Registers, 3);
    let mut q = toy.quantized();
    let last = q.net.populations.len();
    let grown = |p: &spikec_net::Population<spikec_net::Fixed>, role| spikec_net::Population {
        shape: vec![N],
        origin: (0..N).collect(),
        role,
        ..p.clone()
    };
    let neuron = q.net.populations[1].neurons()[0];
    let (input, neurons) =
        (grown(&q.net.populations[0], Role::SpikeInput), grown(&q.net.populations[1], Role::Neurons(vec![neuron; N as usize])));
    q.net.populations.extend([input, neurons]);
    let mut projection = q.net.projections[0].clone();
    let (least, most) = projection.format.mantissa_range();
    let weight = if most > 0 { most } else { least };
    let mut rows = spikec_net::Builder::new();
    (0..N).for_each(|_| rows.push_row((0..N).map(|post| (post, weight, 9))));
    (projection.pre, projection.post) = (PopulationId::from(last), PopulationId::from(last + 1));
    projection.synapses = rows.finish();
    q.net.projections.push(projection);
    let reference = q.to_bytes();
    assert!(reference.len() < 200_000, "{}", reference.len());
    let bundle = spikec_chip::Bundle { reference, ..toy.bundle.clone() };
    let verdict = toy.check(&bundle).unwrap();
    let all = |d: &crate::Difference| d.field == Field::Synapse && format!("{:?}", d.expected).contains("in all");
    assert!(verdict.differences.iter().any(all), "{:?}", verdict.differences);
}

/// Neurons after those of the network are relays or a difference; a list of what leaves them must not be made either.
#[test]
fn a_reference_that_declares_a_gigantic_net_of_relays_is_refused_without_listing_it() {
    const N: u32 = 4200;
    let toy = Toy::new(Kind::Registers, 3);
    let mut q = toy.quantized();
    let last = q.net.populations.len();
    let relay = spikec_net::FixedNeuron { decay_u: 4096, decay_v: 0, threshold: 1, refractory: 1, bias: Bias::default() };
    let mut relays = q.net.populations[1].clone();
    (relays.name, relays.shape, relays.origin, relays.role) =
        ("R".into(), vec![N], (0..N).collect(), Role::Neurons(vec![relay; N as usize]));
    q.net.populations.push(relays);
    // The output has as many neurons, so that a row of few weights stands for many synapses.
    let output = &mut q.net.populations[2];
    let neuron = output.neurons()[0];
    (output.shape, output.origin, output.role) = (vec![N], (0..N).collect(), Role::Neurons(vec![neuron; N as usize]));
    let dense = |weight: i16, rows: usize, full: usize| {
        let mut builder = spikec_net::Builder::new();
        (0..rows).for_each(|row| builder.push_row((0..if row < full { N } else { 0 }).map(|post| (post, weight, 0))));
        builder.finish()
    };
    let mut projection = q.net.projections[0].clone();
    projection.format = spikec_net::WeightFormat { bits: 8, exponent: 0, sign: spikec_net::SignMode::Mixed };
    let mut leaving = projection.clone();
    (leaving.name, leaving.pre, leaving.post, leaving.synapses) =
        ("X".into(), PopulationId::from(last), PopulationId(2), dense(2, N as usize, N as usize));
    let inputs = q.net.populations[0].len();
    (projection.name, projection.pre, projection.post, projection.synapses) =
        ("R".into(), PopulationId(0), PopulationId::from(last), dense(100, inputs, 1));
    q.net.projections = vec![leaving, projection];
    let reference = q.to_bytes();
    assert!(reference.len() < 200_000, "{}", reference.len());
    let bundle = spikec_chip::Bundle { reference, ..toy.bundle.clone() };
    let verdict = toy.check(&bundle).unwrap();
    let all = |d: &crate::Difference| d.field == Field::Synapse && format!("{:?}", d.expected).contains("in all");
    assert!(!verdict.holds() && (verdict.total > 100 || verdict.differences.iter().any(all)), "{:?}", verdict.differences);
    // The network was not looked at: there was no list to compare it with.
    assert_eq!((verdict.checked.synapses, verdict.checked.relays, verdict.checked.given_synapses), (0, 0, 0));
}

#[test]
fn synapses_are_the_same_however_many_are_compared_at_once() {
    let mut r = Random::new(5);
    let (mut several, mut differing) = (0, 0);
    for (kind, seed) in KINDS.into_iter().flat_map(|k| (0..20).map(move |s| (k, s))) {
        let toy = Toy::new(kind, seed);
        for mutate in [false, true] {
            let (mut q, target) = (toy.quantized(), &toy.bundle.target);
            let k = r.below(q.net.projections.len());
            if let Some(p) = q.net.projections.get_mut(k).filter(|_| mutate) {
                change_delay(&mut p.synapses, 0);
            }
            let tables = resolve::decode(&toy.bundle).unwrap();
            let compared = |listed: u64| {
                let mut differences = Differences::default();
                let cores: Vec<(u32, usize)> = tables.iter().map(|t| (t.core, t.compartments.len())).collect();
                let seats = Seats { cores: &cores, beside: false };
                let owners = Owners::new(&toy.bundle, &q.net, seats, &mut differences);
                let feeds = resolve::feeds(&toy.bundle, &q.net, &tables, &owners, &mut differences);
                let count = resolve::compare_synapses_by(listed, (&q.net, target), &tables, (&owners, &feeds), &mut differences);
                (count, differences.total)
            };
            let whole = compared(u64::MAX);
            assert_eq!(compared(0), whole, "{kind:?} {seed}");
            several += usize::from(tables.len() > 1);
            differing += usize::from(whole.1 > 0);
        }
    }
    assert!(several > 20 && differing > 20, "{several} {differing}");
}

#[test]
fn many_differences_are_counted_and_the_first_kept() {
    let toy = Toy::new(Kind::Registers, 3);
    let mut net = registers(&toy);
    for p in &mut net.projections {
        assert!(p.synapses.lag(5));
    }
    let verdict = Toy { source: Source::Registers(net), ..toy.clone() }.check(&toy.bundle).unwrap();
    assert_eq!(verdict.total, toy.quantized().net.synapse_count() as u64);
    assert_eq!(verdict.differences.len() as u64, verdict.total.min(crate::DIFFERENCES_KEPT as u64));
}

/// Before a delayed map acts, a neuron has its own bias; a map without delay replaces it in every step.
#[test]
fn a_bias_before_a_delayed_map_must_be_written() {
    let (mut needless, mut needed) = (0, 0);
    for seed in 0..40 {
        let toy = Toy::new(Kind::Bias, seed);
        let net = toy.quantized().net;
        let driven: Vec<_> = toy.bundle.symbols.populations[1].neurons.iter().map(|n| n.1).collect();
        let mut bundle = toy.bundle.clone();
        bundle.host.bias_writes.retain(|w| !driven.contains(&w.place));
        if bundle == toy.bundle {
            continue;
        }
        let verdict = toy.check(&bundle).unwrap();
        match net.host_projections[0].delay_steps {
            0 => {
                assert!(verdict.holds(), "{seed}");
                needless += 1;
            }
            _ => {
                assert!(!verdict.holds() && verdict.differences.iter().all(|d| (d.side, d.field) == (Side::Host, Field::Bias)), "{seed}");
                needed += 1;
            }
        }
    }
    assert!(needless > 2 && needed > 2, "{needless} {needed}");
}

#[test]
fn lists_that_are_read_too_often_are_refused_before_they_are_followed() {
    let shares = |toy: &Toy| {
        let tables = resolve::decode(&toy.bundle).unwrap();
        assert!(resolve::bounded(&tables, 1000, 1000).is_ok());
        let refused = |limit, of_core| {
            resolve::bounded(&tables, limit, of_core).is_err_and(|e| e.to_string().contains("input axons that share lists read"))
        };
        assert_eq!(refused(0, 1000), refused(1000, 0));
        refused(0, 1000)
    };
    assert!((0..60).any(|seed| shares(&Toy::new(Kind::Registers, seed))));
}
