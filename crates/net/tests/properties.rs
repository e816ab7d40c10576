//! Properties of random nets: liveness, generators, elaboration and the order of populations.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use spikec_data::Stimulus;
use spikec_net::{
    Dynamics, HostProjection, InputCoding, InputKind, Interpreter, Liveness, Net, Operator, Population, Projection, ReferenceRun, Role,
    Synapses, code_inputs, float_drive, live, run_sample,
};
use spikec_testkit::generate::*;

/// The net without the neurons and channels that `keep` doesn't mark.
fn without_dead<N: Dynamics>(net: &Net<N>, keep: &[Vec<bool>]) -> Net<N> {
    let now: Vec<Vec<Option<u32>>> = keep
        .iter()
        .map(|flags| {
            let mut next = 0..;
            flags.iter().map(|&k| if k { next.next() } else { None }).collect()
        })
        .collect();
    let kept = |p: usize, values: &[u32]| -> Vec<u32> { (0..values.len()).filter(|&i| keep[p][i]).map(|i| values[i]).collect() };
    let populations = net.populations.iter().enumerate().map(|(p, population)| {
        let role = match &population.role {
            Role::Neurons(n) => Role::Neurons((0..n.len()).filter(|&i| keep[p][i]).map(|i| n[i].clone()).collect()),
            role => role.clone(),
        };
        Population { origin: kept(p, &population.origin), role, ..population.clone() }
    });
    let projections = net.projections.iter().map(|p| {
        let (pre, post) = (&now[p.pre.index()], &now[p.post.index()]);
        let tuples = p.synapses.iter().filter_map(|(i, j, w, d)| Some((pre[i as usize]?, post[j as usize]?, w, d)));
        let synapses = Synapses::from_tuples(pre.iter().flatten().count(), tuples.collect());
        Projection { synapses, ..p.clone() }
    });
    let host_projections = net.host_projections.iter().map(|h| {
        let (pre, post) = (&now[h.pre.index()], &now[h.post.index()]);
        let mut out = HostProjection { offsets: vec![0], channels: vec![], weights: vec![], constants: vec![], gains: vec![], ..h.clone() };
        for j in (0..post.len()).filter(|&j| post[j].is_some()) {
            for k in h.offsets[j] as usize..h.offsets[j + 1] as usize {
                out.channels.push(pre[h.channels[k] as usize].expect("a channel with a live post is live"));
                out.weights.push(h.weights[k]);
            }
            out.offsets.push(out.channels.len() as u32);
            out.constants.push(h.constants[j]);
            out.gains.push(h.gains[j]);
        }
        out
    });
    Net {
        populations: populations.collect(),
        projections: projections.collect(),
        host_projections: host_projections.collect(),
        ..net.clone()
    }
}

/// Both runs give the same outputs, except the potential of outputs that were removed and so stay at rest.
fn same_outputs(before: &ReferenceRun, after: &ReferenceRun) {
    assert_eq!(before.out_counts, after.out_counts);
    assert_eq!(before.first_spike, after.first_spike);
    assert_eq!(before.potentials, after.potentials);
}

/// Removes the dead and returns their number.
fn removal_changes_nothing<N: Dynamics + Liveness>(net: &Net<N>, run: impl Fn(&Net<N>) -> ReferenceRun) -> usize {
    let flags = live(net);
    let smaller = without_dead(net, &flags);
    smaller.check().unwrap();
    same_outputs(&run(net), &run(&smaller));
    let again: usize = live(&smaller).iter().flatten().filter(|l| !**l).count();
    assert_eq!(again, 0, "what is left is live");
    flags.iter().flatten().filter(|l| !**l).count()
}

#[test]
fn dead_neurons_can_go() {
    let (mut removed, mut spikes) = (0, 0);
    for seed in 0..150 {
        let net = random_fixed_net(seed, 12);
        let train = random_spikes(seed, net.spike_width() as u32, 30, 0.2);
        removed += removal_changes_nothing(&net, |net| {
            let run = run_sample(&Interpreter::new(net).unwrap(), Some(&train), &[], 30, false);
            assert!(run.out_counts.len() == net.population(net.output).trained_len());
            run
        });
        spikes += run_sample(&Interpreter::new(&net).unwrap(), Some(&train), &[], 30, false).out_counts.iter().sum::<u32>();
        let net = random_analog_net(seed, 12);
        let values = Stimulus::Values(random_values(seed, net.value_width() as u32, (seed % 2 == 0).then_some(20)));
        removed +=
            removal_changes_nothing(&net, |net| Interpreter::new(net).unwrap().sample(&values, Some(20), (4095, 7), false).unwrap().0);
        let net = random_float_net(seed);
        let train = random_spikes(seed, net.spike_width() as u32, 30, 0.2);
        removed += removal_changes_nothing(&net, |net| run_sample(&Interpreter::new(net).unwrap(), Some(&train), &[], 30, false));
    }
    assert!(removed > 500 && spikes > 1000, "{removed} removed, {spikes} spikes: the nets must be alive, but not all of them");
}

#[test]
fn generated_nets_cover_what_they_promise() {
    let (mut wraps, mut clips, mut overflows, mut zeros, mut own, mut parallel) = (0, 0, 0, 0, 0, 0);
    for seed in 0..200 {
        let net = random_fixed_net(seed, 16);
        assert_eq!(net, random_fixed_net(seed, 16));
        let train = random_spikes(seed, net.spike_width() as u32, 40, 0.3);
        let counters = run_sample(&Interpreter::new(&net).unwrap(), Some(&train), &[], 40, false).counters;
        (wraps, clips, overflows) = (wraps + counters.u_wraps, clips + counters.v_clips, overflows + counters.input_overflows);
        for p in &net.projections {
            let (low, high) = p.format.mantissa_range();
            let mut last = None;
            for (i, j, w, _) in p.synapses.iter() {
                assert!((low..=high).contains(&w) && p.format.on_grid(w) == w);
                zeros += (w == 0) as u32;
                own += (p.pre == p.post && i == j) as u32;
                parallel += (last == Some((i, j))) as u32;
                last = Some((i, j));
            }
        }
    }
    for (count, what) in [(wraps, "wraps"), (clips, "clips"), (overflows, "overflows")] {
        assert!(count > 10, "{count} {what}");
    }
    for (count, what) in [(zeros, "zero weights"), (own, "own synapses"), (parallel, "parallel synapses")] {
        assert!(count > 10, "{count} {what}");
    }
}

/// The chain applied to `x` in f64, operator by operator.
fn apply(operators: &[Operator], mut x: Vec<f64>) -> Vec<f64> {
    for operator in operators {
        x = match operator {
            Operator::Linear { inputs, weight, .. } => {
                weight.chunks(*inputs as usize).map(|row| row.iter().zip(&x).map(|(&w, &x)| w as f64 * x).sum()).collect()
            }
            Operator::Bias { bias } => x.iter().zip(bias).map(|(x, &b)| x + b as f64).collect(),
            Operator::Scale { scale } => x.iter().zip(scale).map(|(x, &s)| x * s as f64).collect(),
            Operator::Reshape { .. } => x,
            // The generator makes none: they have tests of their own.
            other => unreachable!("{}", other.kind()),
        };
    }
    x
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn folded_chains_equal_their_operators(seed in any::<u64>()) {
        let network = random_network(seed);
        let net = network.elaborate(InputKind::Spikes).unwrap();
        prop_assert_eq!(net.check(), Ok(()));
        for (trained, folded) in network.projections.iter().zip(&net.projections) {
            let (pre, posts) = (network.populations[trained.pre.index()].len(), network.populations[trained.post.index()].len());
            let constant = apply(&trained.operators, vec![0.0; pre]);
            for i in 0..pre {
                let mut one = vec![0.0; pre];
                one[i] = 1.0;
                let column: Vec<f64> = apply(&trained.operators, one).iter().zip(&constant).map(|(y, c)| y - c).collect();
                let mut found = vec![0.0; posts];
                folded.synapses.row(i).iter().for_each(|(post, w, _)| found[post as usize] = w as f64);
                for (a, b) in column.iter().zip(&found) {
                    prop_assert!((a - b).abs() <= 1e-6 * (1.0 + a.abs()), "{} and {}", a, b);
                }
            }
        }
    }

    #[test]
    fn host_currents_equal_the_operators(seed in any::<u64>()) {
        let network = random_network(seed);
        let Ok(net) = network.elaborate(InputKind::Analog) else { return Ok(()) };
        let values = random_values(seed, net.value_width() as u32, None);
        for (drive, h) in float_drive(&net, &values).iter().zip(&net.host_projections) {
            let trained = network.projections.iter().find(|p| p.name == h.name).unwrap();
            let mut expected = apply(&trained.operators, values.frames.iter().map(|&x| x as f64).collect());
            if h.delay_steps > 0 {
                // The constants are in the neurons' biases.
                let constant = apply(&trained.operators, vec![0.0; values.frames.len()]);
                expected.iter_mut().zip(constant).for_each(|(x, c)| *x -= c);
            }
            for (&a, &b) in drive.frames[0].iter().zip(&expected) {
                prop_assert!((a as f64 - b).abs() <= 1e-5 * (1.0 + b.abs()), "{} and {}", a, b);
            }
        }
    }

    #[test]
    fn full_rate_is_the_current(seed in any::<u64>(), positive in any::<bool>()) {
        // A value of full scale spikes in every step: the rate-coded net must do what the analog net does with that constant value.
        let network = random_network(seed);
        let Ok(analog) = network.elaborate(InputKind::Analog) else { return Ok(()) };
        let Ok(coded) = code_inputs(analog.clone(), InputCoding::Rate { full_scale: 0.5 }) else { return Ok(()) };
        let width = analog.value_width() as u32;
        let value = if positive { 0.5f32 } else { -0.5 };
        let values = spikec_data::Values { width, frames: vec![value; width as usize], constant: true };
        let first = if positive { 0 } else { width };
        let train = spikec_data::SpikeTrain::from_steps(2 * width, vec![(first..first + width).collect::<Vec<_>>(); 12]);
        let steps = 1 + analog.host_projections.iter().map(|h| h.delay_steps).max().unwrap_or(0);
        let a = Interpreter::new(&analog).unwrap().sample(&Stimulus::Values(values), Some(steps), false).unwrap();
        let b = Interpreter::new(&coded).unwrap().sample(&Stimulus::Spikes(train), Some(steps), false).unwrap();
        for (x, y) in a.potentials.iter().zip(&b.potentials) {
            // A potential at the threshold may go either way; then one of them was reset.
            prop_assert!((x - y).abs() < 1e-4 || a.out_counts != b.out_counts, "{} and {}", x, y);
        }
    }

    #[test]
    fn the_order_of_populations_does_not_matter(seed in any::<u64>()) {
        let net = random_fixed_net(seed, 8);
        let last = net.populations.len() - 1;
        let mut turned = net.clone();
        turned.populations.reverse();
        turned.output.0 = last as u32 - turned.output.0;
        for p in &mut turned.projections {
            (p.pre.0, p.post.0) = (last as u32 - p.pre.0, last as u32 - p.post.0);
        }
        turned.projections.reverse();
        let train = random_spikes(seed, net.spike_width() as u32, 25, 0.3);
        let run = |net: &Net<_>| run_sample(&Interpreter::new(net).unwrap(), Some(&train), &[], 25, true);
        let (a, mut b) = (run(&net), run(&turned));
        b.spikes.reverse();
        prop_assert_eq!(a, b);
    }
}
