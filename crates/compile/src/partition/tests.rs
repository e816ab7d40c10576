use super::*;
use crate::fixednets::*;
use crate::{CompileOptions, Input, check};
use rand::{Rng, SeedableRng};
use spikec_net::{FixedNeuron, Role, SignMode, WeightFormat};

fn propose(q: &Quantized, target: &Target) -> Vec<Vec<NeuronRef>> {
    Sequential { effort: Effort::Default, kernels: Kernels::Auto }.propose(q, target).parts
}

fn sizes(parts: &[Vec<NeuronRef>]) -> Vec<usize> {
    parts.iter().map(|p| p.len()).collect()
}

/// Codes, cores and resources of all findings for these parts.
fn refused(q: &Quantized, parts: Vec<Vec<NeuronRef>>, target: &Target) -> Vec<Finding> {
    Partitioned::new(q, parts, target).expect_err("must not fit").findings
}

/// All neurons of the net on one core.
fn together(q: &Quantized) -> Vec<Vec<NeuronRef>> {
    let populations = q.net.populations.iter().enumerate().filter(|(_, p)| !p.is_input());
    let all = populations.flat_map(|(p, population)| {
        (0..population.len() as u32).map(move |neuron| NeuronRef { population: PopulationId::from(p), neuron })
    });
    vec![all.collect()]
}

/// The only finding is `code` of `resource` on core 0 with that need and limit; and the sequential partitioner gets round it,
/// in `cores` cores.
fn split_by(q: &Quantized, target: &Target, (code, resource): (&str, &str), (need, limit): (u64, u64), cores: usize) {
    let findings = refused(q, together(q), target);
    let seen: Vec<_> = findings.iter().map(|f| (f.code, f.resource.as_str(), f.core, f.need, f.limit)).collect();
    assert_eq!(seen, [(code, resource, Some(0), need as f64, limit as f64)]);
    assert!(findings[0].layer.is_some() && !findings[0].remedy.is_empty(), "{}", findings[0]);
    let parts = propose(q, target);
    assert_eq!(parts.len(), cores, "{code}: {:?}", sizes(&parts));
    if let Err(e) = Partitioned::new(q, parts, target) {
        panic!("{e}");
    }
}

#[test]
fn the_dense_mnist_net_takes_six_even_cores() {
    let (q, target) = (mnist(800, all_to_all(784, 800), all_to_all(800, 10)), loihi());
    assert_eq!(q.net.synapse_count(), 635_200);
    let start = std::time::Instant::now();
    let parts = propose(&q, &target);
    eprintln!("dense MNIST net: proposed in {:?}", start.elapsed());
    assert_eq!(sizes(&parts), [135; 6]);
    let partitioned = Partitioned::new(&q, parts, &target).unwrap_or_else(|e| panic!("{e}"));
    // 135 dense synapses of 8 bits in entries of 10 + 8 bits for 60: 1134 bits and a terminator, 18 words.
    assert_eq!(partitioned.parts()[0].pack.words(), 784 * 18);
    // Ten outputs of 80 bits and a header of 18: 2 words for each of 800 hidden neurons; 125 hidden neurons: 17 words.
    assert_eq!(partitioned.parts()[5].pack.words(), 784 * 17 + 800 * 2);
}

#[test]
fn the_sparse_mnist_net_takes_one_core() {
    // 5 % of the weights; half of the hidden neurons are dead.
    let q = mnist(400, sparse(1, 784, 400, 32_424), sparse(2, 400, 10, 1_545));
    let target = loihi();
    let parts = propose(&q, &target);
    assert_eq!(sizes(&parts), [410]);
    assert!(Partitioned::new(&q, parts, &target).is_ok());
}

#[test]
fn a_recurrent_net_takes_sixteen_even_cores() {
    let (q, target) = (recurrent(3, 4096, 40), loihi());
    let parts = propose(&q, &target);
    assert_eq!(sizes(&parts), [256; 16]);
    assert!(Partitioned::new(&q, parts, &target).is_ok());
}

#[test]
fn without_balance_the_first_cores_are_full() {
    let (q, target) = (mnist(800, all_to_all(784, 800), all_to_all(800, 10)), loihi());
    let parts = Sequential { effort: Effort::Fast, kernels: Kernels::Auto }.propose(&q, &target).parts;
    // 152 posts: 1216 bits and 3 headers of 18 make 20 words; 20 * 784 is the most below 16383.
    assert_eq!(sizes(&parts), [152, 152, 152, 152, 152, 50]);
}

#[test]
fn the_best_effort_finds_an_order_that_takes_fewer_cores() {
    // Neurons of two kinds in turn, each kind with 3000 inputs of its own: a core has axons for one kind.
    let mut b = Builder::new();
    let input = b.input(6000);
    let layer = b.neurons("layer", 0, vec![NEURON; 8]);
    b.connect((input, layer), MIXED8, (0..6000).flat_map(|i| (0..4).map(move |j| (i, 2 * j + i / 3000, 2, 0))).collect());
    let (q, target) = (b.build(), loihi());
    assert_eq!(sizes(&propose(&q, &target)), [1; 8]);
    let parts = Sequential { effort: Effort::Best, kernels: Kernels::Auto }.propose(&q, &target).parts;
    assert_eq!(sizes(&parts), [4; 2]);
    assert!(Partitioned::new(&q, parts, &target).is_ok());
}

/// A layer of `n` neurons fed by `n` channels one to one.
fn one_to_one(neurons: Vec<FixedNeuron>) -> Quantized {
    let n = neurons.len() as u32;
    let mut b = Builder::new();
    let input = b.input(n);
    let layer = b.neurons("layer", 0, neurons);
    b.connect((input, layer), MIXED8, (0..n).map(|i| (i, i, 2, 0)).collect());
    b.build()
}

#[test]
fn c01_compartments() {
    let target = changed(|p| p.core.compartments.value = 100);
    split_by(&one_to_one(vec![NEURON; 201]), &target, ("C01", "compartments"), (201, 100), 3);
    assert_eq!(sizes(&propose(&one_to_one(vec![NEURON; 201]), &target)), [67; 3]);
}

#[test]
fn c02_input_axons() {
    let mut b = Builder::new();
    let input = b.input(4098);
    let layer = b.neurons("layer", 0, vec![NEURON; 2]);
    b.connect((input, layer), MIXED8, (0..4098).map(|i| (i, i % 2, 2, 0)).collect());
    split_by(&b.build(), &loihi(), ("C02", "input axons"), (4098, 4096), 2);
}

#[test]
fn c02_a_neuron_with_too_many_inputs_is_named() {
    let mut b = Builder::new();
    let input = b.input(5000);
    let layer = b.neurons("wide", 0, vec![NEURON; 2]);
    b.connect((input, layer), MIXED8, (0..5000).map(|i| (i, 1, 2, 0)).chain([(0, 0, 2, 0)]).collect());
    let (q, target) = (b.build(), loihi());
    let parts = propose(&q, &target);
    assert_eq!(sizes(&parts), [1, 1]);
    let findings = refused(&q, parts, &target);
    assert_eq!(findings.len(), 1);
    let expected = "error C02 core 1, wide: input axons: need 5000, limit 4096; neuron 1 alone needs more than a core: prune its fan-in of 5000 synapses";
    assert_eq!(findings[0].to_string(), expected);
}

/// What no core holds is known before any search, by layer.
#[test]
fn c02_layers_of_neurons_with_too_many_inputs_are_named_at_once() {
    let mut b = Builder::new();
    let input = b.input(5000);
    let first = b.neurons("first", 0, vec![NEURON; 3]);
    let second = b.neurons("second", 0, vec![NEURON; 2]);
    // Neuron 0 hears some twice, which takes no axon more.
    let some = (0..4096).map(|i| (i, 0, 2, 0)).chain((0..10).map(|i| (i, 0, 4, 3)));
    b.connect((input, first), MIXED8, some.chain((0..4500).map(|i| (i, 1, 2, 0))).chain((0..5000).map(|i| (i, 2, 2, 0))).collect());
    b.connect((input, second), MIXED8, (0..4097).map(|i| (i, 1, 2, 0)).chain([(0, 0, 2, 0)]).collect());
    let q = b.build();
    let options = CompileOptions { remove_dead: false, ..CompileOptions::default() };
    let input = Input::Registers { net: &q.net, digest: [0; 32] };
    let found = check(input, &loihi(), &options).expect("a question that makes sense");
    let said: Vec<String> = found.iter().filter(|f| f.code == "C02").map(|f| f.to_string()).collect();
    let remedy = |neurons: &str, share: &str| {
        format!(
            "{neurons} neurons alone need more than a core, and no board has larger ones: prune their fan-in (to {share} % where it is largest), or give \
             them fewer inputs (a pool before a convolution is part of its kernel)"
        )
    };
    let expected = [
        format!("error C02 first: input axons of one neuron: need 5000, limit 4096; {}", remedy("2 of its 3", "81.9")),
        format!("error C02 second: input axons of one neuron: need 4097, limit 4096; {}", remedy("1 of its 2", "99.9")),
    ];
    assert_eq!(said, expected);
}

/// `n` neurons that all reach each other.
fn complete(n: u32) -> Quantized {
    let mut b = Builder::new();
    let all = b.neurons("all", 0, vec![NEURON; n as usize]);
    let synapses = (0..n).flat_map(|i| (0..n).map(move |j| (i, j, 2, 1))).collect();
    b.connect((all, all), MIXED8, synapses);
    b.build()
}

#[test]
fn c03_output_axon_entries() {
    // On two cores, everyone reaches both: 5 neurons have 10 entries.
    let target = changed(|p| {
        p.core.out_axon_entries.value = 8;
        p.core.out_axons_per_neuron.value = 8;
        p.core.compartments.value = 6;
    });
    let q = complete(10);
    let halves: Vec<Vec<NeuronRef>> = together(&q)[0].chunks(5).map(|c| c.to_vec()).collect();
    let findings = refused(&q, halves, &target);
    let seen: Vec<_> = findings.iter().map(|f| (f.code, f.core, f.need, f.limit)).collect();
    assert_eq!(seen, [("C03", Some(0), 10.0, 8.0), ("C03", Some(1), 10.0, 8.0)]);
    // Blocks of 4 neurons that reach each other and the next block: next-fit takes 6 at first; 4 a core have 8 entries.
    four_blocks_take_a_core_each(&target);
}

/// 4 blocks of 4 neurons that reach their own and the next block.
fn four_blocks_take_a_core_each(target: &Target) {
    let mut b = Builder::new();
    let all = b.neurons("blocks", 0, vec![NEURON; 16]);
    let near = |i: u32, j: u32| j / 4 == i / 4 || j / 4 == (i / 4 + 1) % 4;
    b.connect((all, all), MIXED8, (0..16).flat_map(|i| (0..16).filter(move |&j| near(i, j)).map(move |j| (i, j, 2, 1))).collect());
    let q = b.build();
    let parts = propose(&q, target);
    assert_eq!(sizes(&parts), [4; 4]);
    assert!(Partitioned::new(&q, parts, target).is_ok());
}

#[test]
fn c03_counts_more_for_other_chips() {
    let mut target = changed(|p| p.core.out_axon_entries.value = 511);
    target.topology.width.value = 1;
    target.topology.height.value = 1;
    target.topology.cores_per_router.value = 2;
    target.topology.chips.value = 2;
    // 256 neurons on each of 3 cores that all reach a neuron of the last core, on the second chip: 2 entries each from the first.
    let mut b = Builder::new();
    let all = b.neurons("all", 0, vec![NEURON; 768]);
    b.connect((all, all), MIXED8, (0..768).map(|i| (i, 767, 2, 1)).collect());
    let q = b.build();
    let thirds: Vec<Vec<NeuronRef>> = together(&q)[0].chunks(256).map(|c| c.to_vec()).collect();
    let findings = refused(&q, thirds, &target);
    let seen: Vec<_> = findings.iter().map(|f| (f.code, f.core, f.need, f.limit)).collect();
    assert_eq!(seen, [("C03", Some(0), 512.0, 511.0), ("C03", Some(1), 512.0, 511.0)]);
}

#[test]
fn c04_output_axons_of_one_neuron() {
    let target = changed(|p| {
        p.core.out_axons_per_neuron.value = 2;
        p.core.compartments.value = 2;
    });
    let mut b = Builder::new();
    let first = b.neurons("first", 0, vec![NEURON; 2]);
    let second = b.neurons("second", 1, vec![NEURON; 6]);
    b.connect((first, second), MIXED8, all_to_all(1, 6));
    let q = b.build();
    let parts = propose(&q, &target);
    let findings = refused(&q, parts, &target);
    let seen: Vec<_> = findings.iter().map(|f| (f.code, f.core, f.layer.as_deref(), f.need, f.limit)).collect();
    assert_eq!(seen, [("C04", Some(0), Some("first"), 3.0, 2.0)]);
}

#[test]
fn c05_synaptic_memory() {
    let q = mnist(160, all_to_all(784, 160), all_to_all(160, 10));
    let findings = refused(&q, together(&q), &loihi());
    let seen: Vec<_> = findings.iter().map(|f| (f.code, f.layer.as_deref(), f.need, f.limit)).collect();
    // 160 * 8 + 3 * 18 bits: 21 words; and 2 words for each of 160 hidden neurons.
    assert_eq!(seen, [("C05", Some("hidden+output"), (784 * 21 + 160 * 2) as f64, 16383.0)]);
    assert_eq!(sizes(&propose(&q, &loihi())), [85; 2]);
}

#[test]
fn c06_long_lists_take_two_axons() {
    // 1024 neurons, each with 3 parallel synapses of 8 bits from one channel: more than 256 words.
    let mut b = Builder::new();
    let input = b.input(1);
    let layer = b.neurons("layer", 0, vec![NEURON; 1024]);
    b.connect((input, layer), MIXED8, (0..1024).flat_map(|j| [(0, j, 2, 0), (0, j, 4, 0), (0, j, 6, 0)]).collect());
    let (q, target) = (b.build(), loihi());
    let partitioned = Partitioned::new(&q, together(&q), &target).unwrap_or_else(|e| panic!("{e}"));
    let links = partitioned.links(0);
    assert!(links.len() > 1 && links.iter().all(|l| l.part == 0), "{links:?}");
    let pack = &partitioned.parts()[0].pack;
    assert!(pack.in_axons.iter().all(|a| a.source == 0));
    assert!(pack.lists.iter().all(|l| l.words <= 256), "{:?}", pack.lists.iter().map(|l| l.words).collect::<Vec<_>>());
    assert_eq!(pack.in_axons.iter().map(|a| pack.synapses(a)).sum::<usize>(), 3072);
    // One synapse takes 10 + 8 + 10 bits: it can't be cut.
    let narrow = changed(|p| {
        p.synapse_memory.word_bits.value = 8;
        p.synapse_memory.max_words_per_axon.value = 3;
    });
    let findings = refused(&one_to_one(vec![NEURON; 2]), together(&one_to_one(vec![NEURON; 2])), &narrow);
    let seen: Vec<_> = findings.iter().map(|f| (f.code, f.need, f.limit)).collect();
    assert_eq!(seen, [("C06", 4.0, 3.0)]);
}

#[test]
fn c07_entries_are_cut() {
    let mut b = Builder::new();
    let input = b.input(1);
    let layer = b.neurons("layer", 0, vec![NEURON; 121]);
    b.connect((input, layer), MIXED8, all_to_all(1, 121));
    let (q, target) = (b.build(), loihi());
    let partitioned = Partitioned::new(&q, together(&q), &target).unwrap_or_else(|e| panic!("{e}"));
    let part = &partitioned.parts()[0];
    let lengths: Vec<usize> = part.pack.lists[0].list.entries.iter().map(|e| e.synapses.len()).collect();
    assert_eq!(lengths, [60, 60, 1]);
    assert!(part.usage.iter().any(|u| (u.code, u.used, u.available) == ("C07", 60, 60)));
}

#[test]
fn c27_bytes_that_all_of_a_core_shares() {
    // 20 bytes of a neuron, its slot, an input axon, a word: 34 each, beside 100 of the program.
    let target = changed(|p| {
        (p.core.core_bytes.value, p.core.program_bytes.value, p.core.neuron_bytes.value) = (3500, 100, 20);
        (p.core.delay_slot_bytes.value, p.core.in_axon_bytes.value, p.core.current_bytes.value) = (2, 4, 7);
        (p.synapse_memory.usable_words.value, p.synapse_memory.max_words_per_axon.value) = (425, 256);
    });
    assert_eq!(target.check(), []);
    split_by(&one_to_one(vec![NEURON; 201]), &target, ("C27", "bytes of the core's memory"), (100 + 201 * 34, 3500), 3);
    assert_eq!(sizes(&propose(&one_to_one(vec![NEURON; 200]), &target)), [100; 2]);
    // A current takes 7 more: 82 neurons with one.
    let leaky = FixedNeuron { decay_u: 4095, ..NEURON };
    split_by(&one_to_one(vec![leaky; 83]), &target, ("C27", "bytes of the core's memory"), (100 + 83 * 41, 3500), 2);
    assert!(Partitioned::new(&one_to_one(vec![leaky; 82]), together(&one_to_one(vec![leaky; 82])), &target).is_ok());
    // One neuron alone is too much: it is named.
    let mut b = Builder::new();
    let input = b.input(300);
    let layer = b.neurons("wide", 0, vec![NEURON; 2]);
    b.connect((input, layer), MIXED8, (0..300).map(|i| (i, 1, 2, 0)).chain([(0, 0, 2, 0)]).collect());
    let q = b.build();
    let findings = refused(&q, propose(&q, &target), &target);
    let expected = "error C27 core 1, wide: bytes of the core's memory: need 3722, limit 3500; neuron 1 alone needs more than a core: prune its fan-in of 300 synapses, or store narrower weights (--weight-bits)";
    assert_eq!(findings.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
}

#[test]
fn c27_output_axons_share_the_bytes() {
    let target = changed(|p| {
        (p.core.core_bytes.value, p.core.neuron_bytes.value) = (229, 10);
        (p.core.in_axon_bytes.value, p.core.out_axon_entry_bytes.value) = (4, 6);
        p.synapse_memory.max_axon_base.value = 0;
        (p.synapse_memory.usable_words.value, p.synapse_memory.max_words_per_axon.value) = (28, 28);
    });
    // On two cores, everyone reaches both: 5 neurons of 10 bytes, 10 axons with their words, 10 entries.
    let q = complete(10);
    let halves: Vec<Vec<NeuronRef>> = together(&q)[0].chunks(5).map(|c| c.to_vec()).collect();
    let findings = refused(&q, halves.clone(), &target);
    let seen: Vec<_> = findings.iter().map(|f| (f.code, f.core, f.need, f.limit)).collect();
    assert_eq!(seen, [("C27", Some(0), 230.0, 229.0), ("C27", Some(1), 230.0, 229.0)]);
    let mut enough = target.clone();
    enough.packed_mut().core.core_bytes.value = 230;
    assert!(Partitioned::new(&q, halves, &enough).is_ok());
    // Blocks of 4 that reach each other and the next block: 6 fit without their entries, 4 with them.
    four_blocks_take_a_core_each(&target);
}

/// Whatever the budget: what any partitioner proposes and the recount takes is what the codec writes, byte for byte.
#[test]
fn every_partitioner_keeps_budgets_of_any_size() {
    let (mut fit, mut split) = (0, 0);
    for seed in 0..60u64 {
        let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let n = rng.random_range(10..60);
        let mut q = recurrent(seed, n, rng.random_range(1..n as usize / 2));
        if let Role::Neurons(neurons) = &mut q.net.populations[1].role {
            neurons.iter_mut().for_each(|neuron| neuron.decay_u = if rng.random() { 4096 } else { 7 });
        }
        let target = changed(|p| {
            let c = &mut p.core;
            (c.program_bytes.value, c.neuron_bytes.value, c.current_bytes.value) = (64, rng.random_range(0..40), rng.random_range(0..9));
            (c.delay_slot_bytes.value, c.in_axon_bytes.value) = (rng.random_range(0..4), rng.random_range(0..8));
            (c.out_axon_entry_bytes.value, c.core_bytes.value) = (rng.random_range(0..8), rng.random_range(300..6000));
            let words = (c.core_bytes.value - 64) / 8;
            (p.synapse_memory.usable_words.value, p.synapse_memory.max_words_per_axon.value) = (words, words.min(256));
        });
        for name in PARTITIONERS.into_iter().filter(|name| suits(name, &q, &target).is_ok()) {
            for partitioner in partitioners(name, &Search::default(), q.net.synapse_count()).unwrap() {
                let Ok(partitioned) = Partitioned::new(&q, partitioner.propose(&q, &target), &target) else { continue };
                let cores = (0..partitioned.parts().len() as u32).collect::<Vec<_>>();
                (fit, split) = (fit + 1, split + usize::from(cores.len() > 1));
                for part in partitioned.parts() {
                    let of = |code| part.usage.iter().find(|u| u.code == code).unwrap();
                    let (bytes, entries) = (of("C27"), of("C03").used);
                    let keeps = part.pack.units.iter().filter(|&&u| {
                        let n = partitioned.wiring().reference(u);
                        q.net.population(n.population).neurons()[n.neuron as usize].decay_u < 4096
                    });
                    let core = &target.packed().core;
                    let slots = (part.pack.units.len() as u64) << part.pack.delay_bits;
                    let sum = [
                        (1, *core.program_bytes),
                        (part.pack.units.len() as u64, *core.neuron_bytes),
                        (keeps.count() as u64, *core.current_bytes),
                        (slots, *core.delay_slot_bytes),
                        (part.pack.in_axons.len() as u64, *core.in_axon_bytes),
                        (entries, *core.out_axon_entry_bytes),
                        (part.pack.words(), 8),
                    ];
                    assert_eq!(bytes.used, sum.iter().map(|&(n, each)| n * u64::from(each)).sum::<u64>(), "seed {seed}, {name}");
                    assert!(bytes.used <= bytes.available);
                }
            }
        }
    }
    assert!(fit > 100 && split > 60, "{fit} fit, {split} on several cores");
}

/// Eight layers with weights of different exponents, from one channel each.
fn exponents() -> Quantized {
    let mut b = Builder::new();
    let input = b.input(8);
    for k in 0..8 {
        let layer = b.neurons(&format!("layer{k}"), 0, vec![NEURON; 2]);
        b.connect((input, layer), WeightFormat { exponent: k as i8 - 4, ..MIXED8 }, vec![(k, 0, 2, 0), (k, 1, 2, 0)]);
    }
    b.build()
}

#[test]
fn c08_formats() {
    split_by(&exponents(), &loihi(), ("C08", "synapse formats"), (8, 7), 2);
}

#[test]
fn c08_widths_merge_before_a_core_is_split() {
    // Ten kinds of weights: widths 1 to 5 of two signs. Merging widths leaves few enough.
    let mut b = Builder::new();
    let input = b.input(10);
    let layer = b.neurons("layer", 0, vec![NEURON; 100]);
    for k in 0..10u32 {
        let sign = if k % 2 == 0 { SignMode::Excitatory } else { SignMode::Inhibitory };
        let format = WeightFormat { bits: 1 + (k / 2) as u8, exponent: 0, sign };
        let mantissa = if k % 2 == 0 { 128 } else { -128 };
        // Every third post: run-length; every post of some: dense.
        b.connect((input, layer), format, (0..100).step_by(1 + (k % 3) as usize).map(|j| (k, j, mantissa, 0)).collect());
    }
    let (q, target) = (b.build(), loihi());
    let partitioned = Partitioned::new(&q, together(&q), &target).unwrap_or_else(|e| panic!("{e}"));
    let formats = &partitioned.parts()[0].pack.formats;
    assert!(formats.len() <= 7, "{formats:?}");
    let all_widths = changed(|p| p.synapse_memory.max_formats.value = 15);
    let free = Partitioned::new(&q, together(&q), &all_widths).unwrap_or_else(|e| panic!("{e}"));
    assert!(free.parts()[0].pack.formats.len() >= 10);
    assert!(free.parts()[0].pack.words() <= partitioned.parts()[0].pack.words());
}

#[test]
fn c09_profiles_and_thresholds() {
    let decays = (0..33).map(|k| FixedNeuron { decay_v: k, ..NEURON }).collect();
    split_by(&one_to_one(decays), &loihi(), ("C09", "compartment profiles"), (33, 32), 2);
    let thresholds = (0..18).map(|k| FixedNeuron { threshold: k, ..NEURON }).collect();
    split_by(&one_to_one(thresholds), &loihi(), ("C09", "threshold profiles"), (18, 8), 3);
}

#[test]
fn c10_rules_that_a_core_shares() {
    let mut q = one_to_one(vec![NEURON; 2]);
    q.net.rules.v_min = -5;
    let findings = refused(&q, together(&q), &loihi());
    let seen: Vec<_> = findings.iter().map(|f| (f.code, f.resource.as_str(), f.need, f.limit)).collect();
    assert_eq!(seen, [("C10", "smallest v, one value for a core", -5.0, -8388607.0)]);
}

#[test]
fn c11_delays() {
    let delayed = |n: u32, delay: u16| {
        let mut b = Builder::new();
        let input = b.input(n);
        let layer = b.neurons("layer", 0, vec![NEURON; n as usize]);
        b.connect((input, layer), MIXED8, (0..n).map(|i| (i, i, 2, delay)).collect());
        b.build()
    };
    // Delay 7 needs 4 bits: 16 slots a compartment, 512 compartments.
    split_by(&delayed(513, 7), &loihi(), ("C11", "dendritic accumulator slots"), (513 * 16, 8192), 2);
    assert!(Partitioned::new(&delayed(1024, 6), together(&delayed(1024, 6)), &loihi()).is_ok());
    let q = delayed(2, 63);
    let findings = refused(&q, together(&q), &loihi());
    let seen: Vec<_> = findings.iter().map(|f| (f.code, f.resource.as_str(), f.need, f.limit)).collect();
    assert_eq!(seen, [("C11", "delay register (chip steps)", 63.0, 62.0)]);
    // A spike that would have to arrive before it is sent.
    let mut b = Builder::new();
    let first = b.neurons("first", 0, vec![NEURON; 1]);
    let second = b.neurons("second", 0, vec![NEURON; 1]);
    b.connect((first, second), MIXED8, vec![(0, 0, 2, 0)]);
    let q = b.build();
    let findings = refused(&q, together(&q), &loihi());
    let seen: Vec<_> = findings.iter().map(|f| (f.code, f.layer.as_deref(), f.need, f.limit)).collect();
    assert_eq!(seen, [("C11", Some("projection0"), 0.0, 1.0)]);
}

#[test]
fn c12_and_c13_registers() {
    let broken = |change: fn(&mut Quantized)| {
        let mut q = one_to_one(vec![NEURON; 2]);
        change(&mut q);
        let findings = refused(&q, together(&q), &loihi());
        findings.iter().map(|f| format!("{} {} {} {}", f.code, f.resource, f.need, f.limit)).collect::<Vec<_>>()
    };
    fn neuron(q: &mut Quantized) -> &mut FixedNeuron {
        match &mut q.net.populations[1].role {
            spikec_net::Role::Neurons(n) => &mut n[1],
            _ => unreachable!(),
        }
    }
    assert_eq!(broken(|q| q.net.projections[0].format.exponent = 8), ["C12 largest weight exponent 8 7"]);
    assert_eq!(broken(|q| q.net.projections[0].synapses.weights_mut()[0] = 3), ["C12 weight mantissas off the grid 1 0"]);
    assert_eq!(broken(|q| q.net.projections[0].synapses.weights_mut()[0] = 256), ["C12 largest weight mantissa 256 254"]);
    assert_eq!(broken(|q| neuron(q).threshold = 1 << 17), ["C13 largest threshold mantissa 131072 131071"]);
    assert_eq!(broken(|q| neuron(q).decay_u = 0), ["C13 smallest decay of u 0 1"]);
    assert_eq!(broken(|q| neuron(q).decay_v = 4096), ["C13 largest decay of v 4096 4095"]);
    assert_eq!(broken(|q| neuron(q).refractory = 0), ["C13 smallest refractory period (steps) 0 1"]);
    assert_eq!(
        broken(|q| neuron(q).bias = spikec_net::Bias { mantissa: 4096, exponent: 8 }),
        ["C13 largest bias exponent 8 7", "C13 largest bias mantissa 4096 4095"]
    );
}

#[test]
fn c15_indices() {
    let target = changed(|p| p.synapse_memory.index_bits.value = vec![6]);
    split_by(&one_to_one(vec![NEURON; 65]), &target, ("C15", "indices of compartments"), (65, 64), 2);
}

#[test]
fn c16_cores_of_the_board() {
    let mut target = changed(|p| p.core.compartments.value = 4);
    target.topology.width.value = 1;
    target.topology.height.value = 1;
    let q = one_to_one(vec![NEURON; 17]);
    let findings = refused(&q, propose(&q, &target), &target);
    let seen: Vec<_> = findings.iter().map(|f| (f.code, f.resource.as_str(), f.core, f.need, f.limit)).collect();
    assert_eq!(seen, [("C16", "cores of the board", None, 5.0, 4.0)]);
    let bound = lower_bounds(&q, &target, Kernels::Auto);
    assert_eq!(bound.iter().map(|b| (b.code, b.cores)).max_by_key(|b| b.1), Some(("C01", 5)));
}

#[test]
fn every_neuron_has_one_place() {
    let (q, target) = (one_to_one(vec![NEURON; 4]), loihi());
    let n = |population: u32, neuron: u32| NeuronRef { population: PopulationId(population), neuron };
    let found = |parts: Vec<Vec<NeuronRef>>| {
        let findings = refused(&q, parts, &target);
        findings.iter().map(|f| (f.code, f.need)).collect::<Vec<_>>()
    };
    assert_eq!(found(vec![vec![n(1, 0), n(1, 1)]]), [("P01", 2.0)]);
    assert_eq!(found(vec![vec![n(1, 0), n(1, 1)], vec![n(1, 1), n(1, 2), n(1, 3), n(1, 0)]]), [("P02", 2.0)]);
    let unknown = vec![vec![n(1, 0), n(1, 1), n(1, 2), n(1, 3), n(1, 4), n(0, 0), n(2, 0)]];
    assert_eq!(found(unknown), [("P03", 3.0)]);
    assert_eq!(found(vec![vec![n(1, 0), n(1, 1), n(1, 2), n(1, 3)], vec![]]), [("P04", 0.0)]);
    assert_eq!(found(vec![]), [("P01", 4.0)]);
}

#[test]
fn several_violations_are_all_reported_in_order() {
    let target = changed(|p| {
        p.core.compartments.value = 3;
        p.core.in_axons.value = 3;
        p.synapse_memory.usable_words.value = 3;
        p.core.threshold_profiles.value = 1;
    });
    let q = one_to_one((0..4).map(|k| FixedNeuron { threshold: k, ..NEURON }).collect());
    let codes: Vec<_> = refused(&q, together(&q), &target).iter().map(|f| f.code).collect();
    assert_eq!(codes, ["C01", "C02", "C05", "C09"]);
}

#[test]
fn tensors_go_by_tiles_with_channels_innermost() {
    let mut b = Builder::new();
    b.tensor("conv", 0, &[4, 4, 6]);
    let q = b.build();
    // A core of 16: tiles of 2 x 2 positions with 4 channels each.
    let target = changed(|p| p.core.compartments.value = 16);
    let parts = propose(&q, &target);
    assert_eq!(sizes(&parts), [16; 6]);
    let at = |c: u32, y: u32, x: u32| NeuronRef { population: PopulationId(0), neuron: (c * 4 + y) * 6 + x };
    assert_eq!(parts[0][..6], [at(0, 0, 0), at(1, 0, 0), at(2, 0, 0), at(3, 0, 0), at(0, 0, 1), at(1, 0, 1)]);
    assert_eq!(parts[0][15], at(3, 1, 1));
    assert_eq!(parts[1][0], at(0, 0, 2));
    assert_eq!(parts[3][0], at(0, 2, 0));
}

#[test]
fn populations_share_cores() {
    let q = mnist(20, sparse(5, 784, 20, 3000), all_to_all(20, 10));
    assert_eq!(sizes(&propose(&q, &loihi())), [30]);
}

/// A convolution over one axis has two axes: channels and places. It is cut no worse than one whose rows are said to be one.
#[test]
fn channels_over_one_axis_are_channels() {
    let blocks = |(channels, outputs, places): (u32, u32, u32), shape: &[u32], target: &Target| {
        let mut b = Builder::new();
        let input = b.input(channels * (places + 2));
        let layer = b.tensor("conv", 0, shape);
        let weight = |o: u32, c: u32, k: u32| 2 * (((o * 31 + c * 7 + k).wrapping_mul(0x9e37_79b1) >> 16) % 100) as i16 + 2;
        let of = |o: u32, x: u32| {
            (0..channels).flat_map(move |c| (0..3).map(move |k| (c * (places + 2) + x + k, o * places + x, weight(o, c, k), 0)))
        };
        b.connect((input, layer), MIXED8, (0..outputs).flat_map(|o| (0..places).flat_map(move |x| of(o, x))).collect());
        let q = b.build();
        Blocks { search: Search { kernels: Kernels::Shared, ..Search::default() } }
            .propose_within(&q, target, usize::MAX)
            .map(|p| p.parts.len())
    };
    let mut fewer = 0;
    for (case, words, in_axons) in [((4, 12, 50), 60, 200), ((8, 24, 40), 120, 200), ((6, 30, 64), 200, 150), ((3, 40, 90), 80, 120)] {
        let target = changed(|p| {
            p.core.compartments.value = 300;
            p.core.in_axons.value = in_axons;
            p.synapse_memory.usable_words.value = words;
        });
        let (outputs, places) = (case.1, case.2);
        let said = blocks(case, &[outputs, 1, places], &target).expect("it can be cut");
        let found = blocks(case, &[outputs, places], &target).expect("it can be cut");
        let rows = blocks(case, &[1, outputs, places], &target).expect("it can be cut");
        eprintln!("{case:?}: {said} {found} {rows}");
        assert!(found <= said.min(rows), "{case:?}: {found} parts, {said} as channels, {rows} as rows");
        fewer += usize::from(found < rows);
    }
    assert!(fewer > 0);
}
