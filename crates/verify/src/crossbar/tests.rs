use crate::difference::{Field, Side};
use crate::mutate::Random;
use crate::toy::{Chip, IntegerToy};
use crate::{VerifyError, check_behaviour, check_image, loss};
use spikec_chip::bundle::Bundle;
use spikec_chip::crossbar::{CrossbarRow, CrossbarTables, decode_core, encode_core};
use spikec_chip::image::Image;
use spikec_chip::target::Family;
use spikec_data::{DataSet, SpikeTrain, Stimulus};
use spikec_net::{
    Crossbar, CrossbarNeuron, CrossbarRules, Event, FireRule, Float, Net, PotentialOverflow, Quantized, ResetRule, Role, Synapses, live,
};
use spikec_sim::Machine;

/// The fields of the differences between a toy's bundle and another network with (the lie) the same digest.
fn fields_of(toy: &IntegerToy, net: Net<Float>) -> Vec<Field> {
    let other = IntegerToy { net, ..toy.clone() };
    let verdict = other.check(&toy.bundle).expect("nets of one kind can be compared");
    assert!(verdict.differences.iter().all(|d| d.side == Side::Network), "{:#?}", verdict.differences);
    verdict.differences.iter().map(|d| d.field).collect()
}

/// A live neuron of the hidden population.
fn kept(net: &Net<Float>) -> usize {
    live(net)[1].iter().position(|&alive| alive).expect("something lives")
}

fn neuron(net: &mut Net<Float>, j: usize) -> &mut spikec_net::FloatNeuron {
    match &mut net.populations[1].role {
        Role::Neurons(n) => &mut n[j],
        _ => panic!("inputs"),
    }
}

#[test]
fn another_network_is_refused() {
    for (chip, seed) in Chip::ALL.into_iter().flat_map(|chip| (0..8).map(move |seed| (chip, seed))) {
        let toy = IntegerToy::new(chip, seed);
        assert_eq!(fields_of(&toy, toy.net.clone()), []);
        let j = kept(&toy.net);
        let expect = |field: Field, change: &dyn Fn(&mut Net<Float>)| {
            let mut net = toy.net.clone();
            change(&mut net);
            let fields = fields_of(&toy, net);
            assert!(fields.contains(&field), "{chip:?} {seed}: expected {field}, found {fields:?}");
        };
        expect(Field::Threshold, &|n| neuron(n, j).threshold += 0.1);
        expect(Field::Threshold, &|n| neuron(n, j).threshold = f32::INFINITY);
        expect(Field::DecayV, &|n| neuron(n, j).keep_v = 0.99);
        expect(Field::DecayU, &|n| neuron(n, j).keep_u = 0.01);
        expect(Field::Leak, &|n| neuron(n, j).bias -= 0.05);
        let event = matches!(chip, Chip::TinyOdin | Chip::Odin);
        expect(if event { Field::ResetValue } else { Field::Potential }, &|n| neuron(n, j).v_reset -= 0.3);
        expect(Field::Reset, &|n| {
            let subtracts = n.rules.reset == ResetRule::Subtract;
            n.rules.reset = if subtracts { ResetRule::ToValue } else { ResetRule::Subtract };
        });
        let alive = live(&toy.net);
        let (p, s) = toy
            .net
            .projections
            .iter()
            .enumerate()
            .find_map(|(k, p)| {
                Some((k, p.synapses.iter().position(|s| alive[p.pre.index()][s.0 as usize] && alive[p.post.index()][s.1 as usize])?))
            })
            .expect("a kept synapse");
        expect(Field::Weight, &|n| n.projections[p].synapses.weights_mut()[s] += 0.2);
        expect(Field::Synapse, &|n| {
            let mut all: Vec<_> = n.projections[p].synapses.iter().collect();
            all[s].3 += 1;
            n.projections[p].synapses = Synapses::from_tuples(n.projections[p].synapses.pres(), all);
        });
        expect(Field::Shape, &|n| n.populations[1].shape = vec![1, 1, n.populations[1].shape[1]]);
    }
}

#[test]
fn thresholds_of_both_fire_rules() {
    // T is a whole number where the threshold is 0.5 or 1 and units are 64: the two rules have different registers.
    let mut seen = 0;
    for seed in 0..30 {
        let toy = IntegerToy::new(Chip::Ranc, seed);
        let j = kept(&toy.net);
        let mut net = toy.net.clone();
        let whole = [0.5, 1.0].contains(&neuron(&mut net, j).threshold);
        net.rules.fire = if net.rules.fire == FireRule::Greater { FireRule::GreaterEqual } else { FireRule::Greater };
        if whole {
            assert!(fields_of(&toy, net).contains(&Field::Threshold), "{seed}");
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen}");
}

/// Edits the tables of the first core.
fn edited(bundle: &Bundle, edit: impl FnOnce(&mut CrossbarTables)) -> Bundle {
    let mut bundle = bundle.clone();
    let Family::Crossbar(spec) = bundle.target.family.clone() else { panic!("another family") };
    let Image::Crossbar(image) = &mut bundle.image else { panic!("another family") };
    let mut tables = decode_core(&image.cores[0], &spec).expect("it decodes");
    edit(&mut tables);
    image.cores[0] = encode_core(&tables, &spec).expect("it encodes");
    bundle
}

#[test]
fn differences_name_core_neuron_source_and_both_values() {
    let toy = IntegerToy::new(Chip::Ranc, 4);
    let Family::Crossbar(spec) = &toy.bundle.target.family else { panic!("another family") };
    let line = |bundle: &Bundle| {
        let verdict = toy.check(bundle).expect("it can be checked");
        verdict.differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let mut expected = String::new();
    let changed = edited(&toy.bundle, |t| {
        let k = (0..t.neurons.len()).find(|&k| !t.neurons[k].connections.is_empty()).expect("a row that hears something");
        let axon = t.neurons[k].connections[0];
        let kind = usize::from(t.types[usize::from(axon)]);
        let before = t.neurons[k].weights[kind];
        t.neurons[k].weights[kind] += 1;
        expected = format!("core {} compartment {k} ", t.core);
        let weight = format!("weight: found {}, expected {before}", before + 1);
        expected = format!("{expected}|{weight}");
    });
    let text = line(&changed);
    let (place, weight) = expected.split_once('|').expect("two parts");
    assert!(text.lines().any(|l| l.contains(place) && l.contains("->") && l.contains(weight)), "{text}");
    // A row of no neuron.
    let changed = edited(&toy.bundle, |t| {
        let k = t.neurons.iter().rposition(|row| row.is_unused(spec)).expect("a free row");
        t.neurons[k].leak = 1;
    });
    assert!(line(&changed).contains("found a row that is used, of no neuron, expected a neuron of the symbols, or the unused row"));
    // A connection to an axon that nobody sends to.
    let changed = edited(&toy.bundle, |t| {
        let axon = *t.neurons.iter().flat_map(|row| &row.connections).max().expect("a connection") + 1;
        let row = t.neurons.iter_mut().find(|row| row.weights[0] != 0).expect("a row with a weight");
        row.connections.push(axon);
    });
    assert!(line(&changed).contains("sources of the input axon: found none, and a connection, expected one"), "{}", line(&changed));
    // Two spikes of one source to one axon, with different delays.
    let changed = edited(&toy.bundle, |t| {
        let bus = |row: &CrossbarRow| row.destination.axon < 20 && row.destination.delay == 0;
        let k = t.neurons.iter().rposition(|row| !row.is_unused(spec) && !bus(row)).expect("a copy");
        let other = t.neurons.iter().position(|row| !row.is_unused(spec) && row.destination != t.neurons[k].destination);
        let other = other.expect("another row");
        t.neurons[other].destination = t.neurons[k].destination;
    });
    assert!(line(&changed).contains("found more than one source or delay, expected one"), "{}", line(&changed));
}

#[test]
fn what_a_row_does_before_its_first_step_is_asked() {
    // The output population has skew 1: with a leak of 8 a row must begin 8 below the start.
    let mut seen = 0;
    for seed in 0..40 {
        let toy = IntegerToy::new(Chip::TrueNorth, seed);
        let q: Quantized<Crossbar> = toy.quantized();
        let output = &q.net.populations[2];
        assert_eq!(output.skew, 1);
        let Some(k) = output.neurons().iter().position(|n| n.leak != 0) else { continue };
        let (n, place) = (output.neurons()[k], toy.bundle.symbols.populations[2].neurons[k].1);
        let mut bundle = toy.bundle.clone();
        let Family::Crossbar(spec) = toy.bundle.target.family.clone() else { panic!("another family") };
        let Image::Crossbar(image) = &mut bundle.image else { panic!("another family") };
        let core = image.cores.iter_mut().find(|c| c.core == place.core).expect("its core");
        let mut tables = decode_core(core, &spec).expect("it decodes");
        let row = &mut tables.neurons[usize::from(place.index)];
        assert_eq!(row.potential, n.start - n.leak);
        row.potential = n.start;
        *core = encode_core(&tables, &spec).expect("it encodes");
        let fields: Vec<Field> = toy.check(&bundle).expect("it can be checked").differences.iter().map(|d| d.field).collect();
        assert_eq!(fields, [Field::Potential], "{seed}");
        seen += 1;
    }
    assert!(seen > 5, "{seen}");
}

#[test]
fn a_floor_that_may_be_reached_is_no_floor() {
    // RANC's simulator resets at the negative threshold itself: one step of -2^31 would do.
    let toy = IntegerToy::new(Chip::RancSim, 1);
    let mut q: Quantized<Crossbar> = toy.quantized();
    let mut bundle = toy.bundle.clone();
    bundle.host.default_steps = Some(1 << 24);
    for p in &mut q.net.projections {
        p.synapses = p.synapses.map_weights(|_, _, w| if w < 0 { -200 } else { w });
    }
    bundle.reference = q.to_bytes();
    let verdict = toy.check(&bundle).expect("it can be checked");
    assert!(verdict.differences.iter().any(|d| d.field == Field::Floor), "{:#?}", verdict.differences);
    assert_eq!(toy.check(&toy.bundle).expect("it can be checked").rounding.reachable_floors, 0);
    // TrueNorth's is counted: its register is narrower than the potential.
    let toy = IntegerToy::new(Chip::TrueNorth, 1);
    let mut long = toy.bundle.clone();
    long.host.default_steps = Some(1 << 24);
    let verdict = toy.check(&long).expect("it can be checked");
    assert!(verdict.holds() && verdict.rounding.reachable_floors > 0, "{:?}", verdict.rounding);
}

#[test]
fn kinds_and_families_are_not_mixed_up() {
    let (a, b) = (IntegerToy::new(Chip::Ranc, 0), IntegerToy::new(Chip::Odin, 0));
    let mixed = Bundle { image: b.bundle.image.clone(), ..a.bundle.clone() };
    assert!(matches!(a.check(&mixed), Err(VerifyError::Family { image: "EventCrossbar", target: "Crossbar" })));
    let mixed = Bundle { reference: b.bundle.reference.clone(), ..a.bundle.clone() };
    assert!(a.check(&mixed).is_err());
    let mut exact: Quantized<Crossbar> = a.quantized();
    exact.scaling = spikec_net::Scaling::Exact;
    let mixed = Bundle { reference: exact.to_bytes(), ..a.bundle.clone() };
    assert!(matches!(check_image(&mixed, &a.given()), Err(VerifyError::Kind { given: "floats", .. })));
}

#[test]
fn damaged_references_are_refused_without_a_panic() {
    for chip in [Chip::Ranc, Chip::TinyOdin] {
        let toy = IntegerToy::new(chip, 2);
        let mut r = Random::new(9);
        for _ in 0..300 {
            let mut bundle = toy.bundle.clone();
            let k = r.below(bundle.reference.len());
            bundle.reference[k] ^= 1 << r.below(8);
            // What holds has the same registers: only scales and declared distances may be a little other.
            let held = toy.check(&bundle).is_ok_and(|verdict| verdict.holds());
            let same = match chip {
                Chip::Ranc => held && Quantized::<Crossbar>::from_bytes(&bundle.reference).ok().map(|q| q.net) == Some(toy.quantized().net),
                _ => held && Quantized::<Event>::from_bytes(&bundle.reference).ok().map(|q| q.net) == Some(toy.quantized().net),
            };
            assert_eq!(held, same, "{chip:?}: byte {k} is not read");
        }
    }
}

/// Runs the reference and a copy of it that is a little wrong.
#[test]
fn references_run_and_rounding_costs_little() {
    for chip in Chip::ALL {
        let (mut spikes, mut distance) = (0.0, 0.0);
        for seed in 0..10 {
            let toy = IntegerToy::new(chip, seed);
            let mut r = Random::new(seed);
            let samples = (0..6).map(|_| toy.sample(&mut r, 10)).collect();
            let set = DataSet { width: toy.bundle.host.input_width, samples, labels: None };
            let report = loss(&toy.net, &toy.bundle, &set, None, &|| ()).expect("the samples fit");
            spikes += report.populations.iter().map(|p| p.quantized_rate).sum::<f64>();
            distance += report.populations.iter().map(|p| p.distance).sum::<f64>();
        }
        // An event crossbar fires at each event, the network once a step.
        let event = matches!(chip, Chip::TinyOdin | Chip::Odin);
        assert!(spikes > 1.0, "{chip:?}: {spikes}");
        assert!(event || distance < 0.25 * spikes, "{chip:?}: {distance} of {spikes}");
    }
}

#[test]
fn toys_behave_as_their_reference() {
    for chip in Chip::ALL {
        let mut spikes = 0;
        for seed in 0..20 {
            let toy = IntegerToy::new(chip, seed);
            let machine = Machine::boot(toy.bundle.loadable()).expect("a toy boots");
            let mut r = Random::new(seed);
            let samples: Vec<Stimulus> = (0..4).map(|_| toy.sample(&mut r, 12)).collect();
            let verdict = check_behaviour(&toy.bundle, &machine, &samples, None, &|| ()).expect("the samples fit");
            assert!(verdict.holds(), "{chip:?} {seed}: {}", verdict.first_divergence.expect("it diverges"));
            spikes += verdict.spikes;
        }
        assert!(spikes > 200, "{chip:?}: only {spikes} spikes were compared");
    }
}

#[test]
fn a_divergence_has_its_cause() {
    let toy = IntegerToy::new(Chip::Ranc, 4);
    let machine = Machine::boot(toy.bundle.loadable()).expect("a toy boots");
    // The reference says otherwise: all thresholds are one spike away.
    let mut q: Quantized<Crossbar> = toy.quantized();
    for p in &mut q.net.populations {
        if let Role::Neurons(n) = &mut p.role {
            n.iter_mut().for_each(|n| n.threshold = 1);
        }
    }
    let lying = Bundle { reference: q.to_bytes(), ..toy.bundle.clone() };
    let width = toy.bundle.host.input_width;
    let all = Stimulus::Spikes(SpikeTrain::from_steps(width, vec![(0..width).collect::<Vec<u32>>(); 6]));
    let verdict = check_behaviour(&lying, &machine, &[all], None, &|| ()).expect("the sample fits");
    let divergence = verdict.first_divergence.expect("it diverges");
    assert!(matches!(divergence.likely_cause, crate::LikelyCause::Image(_)), "{divergence}");
    assert!(divergence.core.is_some() && divergence.to_string().contains("threshold"), "{divergence}");
}

#[test]
fn relays_repeat_and_nothing_else() {
    let rules = CrossbarRules { potential_bits: 9, overflow: PotentialOverflow::Wrap, floor_inclusive: false };
    let relay = CrossbarNeuron { leak: 0, threshold: 1, floor: -256, reset: 0, linear: false, start: 0 };
    let repeats = |n: &CrossbarNeuron, w: i32| <Crossbar as crate::family::Registers>::repeats(&rules, n, &(), w);
    assert!(repeats(&relay, 1) && repeats(&relay, 255) && repeats(&CrossbarNeuron { linear: true, ..relay }, 1));
    assert!(!repeats(&relay, 0) && !repeats(&relay, 256), "silent, or wrapped");
    assert!(!repeats(&CrossbarNeuron { linear: true, ..relay }, 2), "something stays");
    assert!(!repeats(&CrossbarNeuron { leak: 1, ..relay }, 1) && !repeats(&CrossbarNeuron { start: 1, ..relay }, 1));
    assert!(!repeats(&CrossbarNeuron { reset: 1, ..relay }, 1) && !repeats(&CrossbarNeuron { floor: 1, ..relay }, 1));
    let at = CrossbarRules { floor_inclusive: true, ..rules };
    assert!(!<Crossbar as crate::family::Registers>::repeats(&at, &CrossbarNeuron { floor: 0, ..relay }, &(), 1));
    let neuron = spikec_net::EventNeuron { threshold: 1, leak: 0, start: 0 };
    let rules = spikec_net::EventRules { v_min: -8, v_max: 7 };
    assert!(!<Event as crate::family::Registers>::repeats(&rules, &neuron, &(), 1), "events have an order");
}

#[test]
fn gathers_are_ors_and_strikes_make_fire() {
    use crate::family::Registers;
    let rules = CrossbarRules { potential_bits: 9, overflow: PotentialOverflow::Wrap, floor_inclusive: false };
    let gather = CrossbarNeuron { leak: 0, threshold: 1, floor: -256, reset: 0, linear: false, start: 0 };
    let gathers = |n: &CrossbarNeuron, weights: &[i32]| Crossbar::gathers(&rules, n, weights);
    assert!(gathers(&gather, &[1; 255]) && gathers(&gather, &[100, 155]));
    assert!(!gathers(&gather, &[1; 256]) && !gathers(&gather, &[200, 56]), "all of them would wrap");
    assert!(!gathers(&gather, &[1, 0]) && !gathers(&gather, &[1, -1]), "one of them is silent");
    assert!(!gathers(&CrossbarNeuron { linear: true, ..gather }, &[1, 1]), "two leave one behind");
    assert!(!gathers(&CrossbarNeuron { threshold: 2, ..gather }, &[1, 1]), "both are needed");
    assert!(!gathers(&CrossbarNeuron { leak: 1, ..gather }, &[1, 1]), "it fires by itself");
    let post = CrossbarNeuron { threshold: 20, reset: -3, start: 2, ..gather };
    assert!(Crossbar::strikes(&post, 23) && !Crossbar::strikes(&post, 22), "from the reset value");
    assert!(!Crossbar::strikes(&CrossbarNeuron { start: -4, ..post }, 23), "from the start");
    assert!(
        !Crossbar::strikes(&CrossbarNeuron { leak: -1, ..post }, 100) && !Crossbar::strikes(&CrossbarNeuron { linear: true, ..post }, 100)
    );
    // Packed chips and events have none.
    let neuron = spikec_net::EventNeuron { threshold: 1, leak: 0, start: 0 };
    assert!(!Event::gathers(&spikec_net::EventRules { v_min: -8, v_max: 7 }, &neuron, &[1, 1]) && !Event::strikes(&neuron, 7));
}

#[test]
fn strikes_are_hindered_by_inhibition_and_by_bits_that_wrap() {
    use crate::family::Registers;
    use spikec_net::{Population, PopulationId, Projection};
    let hindered = |overflow, threshold: i32, weights: [i32; 2]| {
        let post = CrossbarNeuron { leak: 0, threshold, floor: -256, reset: 0, linear: false, start: 0 };
        let population =
            |name: &str, n: u32, role| Population { name: name.into(), shape: vec![n], origin: (0..n).collect(), skew: 0, role };
        let synapses = Synapses::from_tuples(2, vec![(0, 0, weights[0], 0), (1, 0, weights[1], 0)]);
        let net: Net<Crossbar> = Net {
            name: "two".into(),
            rules: CrossbarRules { potential_bits: 9, overflow, floor_inclusive: false },
            populations: vec![population("in", 2, Role::SpikeInput), population("post", 1, Role::Neurons(vec![post]))],
            projections: vec![Projection { name: "w".into(), pre: PopulationId(0), post: PopulationId(1), format: (), synapses }],
            host_projections: vec![],
            output: PopulationId(1),
        };
        Crossbar::hindered(&net)[1][0]
    };
    let (wrap, saturate) = (PotentialOverflow::Wrap, PotentialOverflow::Saturate);
    assert!(!hindered(wrap, 60, [60, 60]) && !hindered(wrap, 86, [85, 85]));
    assert!(hindered(wrap, 127, [128, 128]) && hindered(wrap, 86, [85, 86]), "both at once come out below zero, or may");
    assert!(!hindered(saturate, 127, [128, 128]) && hindered(saturate, 10, [10, -1]) && hindered(wrap, 10, [-1, 10]));
}
