//! Why a network takes the cores that it takes, and why not one core less.
//!
//! In: a `Quantized`, the target, and the use of each core of a compilation. Out: [`Explanation`]: lower bounds with an argument, and where
//! they leave a gap, how full the cores are.
//! Invariant: the limits that bounds are drawn from are those of the best encoding that any core could have, so that a bound holds whatever
//! the packer does; nothing here decides anything.
//! Cost: linear in the synapses, and what [`spikec_map::proof`] takes.

use crate::driver::CoreUsage;
use crate::pack::Wiring;
use crate::pack::kernels::Kernels;
use crate::partition::{View, lower_bounds};
use serde::Serialize;
use spikec_chip::cost;
use spikec_chip::image::SynapseFormat;
use spikec_chip::target::{Compression, Sign, SynapseMemory, Target};
use spikec_map::bounds::Bound;
use spikec_map::hypergraph::Hypergraph;
use spikec_map::limits::Limits;
use spikec_map::proof::{Certificate, WORK, certificate_named};
use spikec_net::Quantized;

/// A limit that nothing reaches.
const FREE: u32 = 1 << 30;
/// Steps that a table of words takes at most; beyond, its entries are bounded more loosely.
const TABLE: usize = 40_000_000;

/// Use of a resource over all cores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Total {
    /// Resource.
    pub resource: &'static str,
    /// Used on all cores together.
    pub used: u64,
    /// What all these cores have.
    pub available: u64,
    /// Used on the fullest core.
    pub fullest: u64,
    /// What one core has.
    pub per_core: u64,
}

/// How many cores, how many at least, and what lies between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Cores that the compilation takes.
    pub cores: u32,
    /// Lower bounds and their argument.
    pub certificate: Certificate,
    /// True when no partition takes fewer cores.
    pub optimal: bool,
    /// Resources that a core has much of, the fullest of all cores together first.
    pub totals: Vec<Total>,
    /// Why not one core less: the proof, or what is known about the gap.
    pub one_less: Vec<String>,
}

/// Explains a partition by the use of its cores, with the net's [`certificate`].
pub fn explain(certificate: Certificate, usage: &[CoreUsage]) -> Explanation {
    let cores = usage.len() as u32;
    let totals = totals(usage);
    let optimal = u64::from(cores) == certificate.best;
    let one_less = if optimal { certificate.argument.clone() } else { gap(cores, &certificate, &totals) };
    Explanation { cores, certificate, optimal, totals, one_less }
}

/// Lower bounds of the number of cores, with their argument. With `copies`, neurons may stand on several cores: what a core holds is
/// bounded all the same, for it fits without the copies too, but its neurons' out entries may be on other cores.
pub fn certificate(q: &Quantized, target: &Target, copies: bool, kernels: Kernels) -> Certificate {
    let wiring = Wiring::new(q, target, kernels);
    let (graph, mut limits) = problem(q, &wiring, target);
    if copies {
        (limits.out_entries, limits.out_per_neuron) = (FREE, FREE);
        limits.memory.iter_mut().for_each(|memory| memory.out_entry = 0);
    }
    let populations: Vec<&str> = q.net.populations.iter().filter(|p| !p.is_input() && !p.is_empty()).map(|p| p.name.as_str()).collect();
    let name = |v: u32| {
        let layer = graph.layers().partition_point(|l| l.first <= v);
        layer.checked_sub(1).map_or_else(String::new, |l| populations[l].to_string())
    };
    let mut found = certificate_named(&graph, &limits, &name, WORK);
    for bound in lower_bounds(q, target, kernels) {
        let (resource, cores) = (bound.resource, bound.cores);
        if cores > found.best {
            (found.best, found.binding) = (cores, resource.into());
            found.argument = vec![
                format!("The network needs {} {resource}, a core has {}: at least {cores} cores.", bound.need, bound.per_core),
                format!("So {} cores are not enough.", cores - 1),
            ];
        } else if bound.code != "C08" {
            // The certificate has it.
            continue;
        }
        found.bounds.push(Bound { resource, need: bound.need, per_core: bound.per_core, cores });
    }
    found
}

/// The hypergraph of a network, and what a core holds of it at best.
fn problem(q: &Quantized, wiring: &Wiring, target: &Target) -> (Hypergraph, Limits) {
    let memory = &target.packed().synapse_memory;
    let View { mut graph, limits, axon_units, .. } = View::without_words(q, wiring, target, &[]);
    let widest_delay = memory.delay_bits.iter().copied().max().unwrap_or(0);
    let mut of_unit = vec![Widths::default(); wiring.units() as usize];
    for s in wiring.neuron_units().flat_map(|u| wiring.incoming(u)) {
        let delay = cost::delay_bits(memory, s.delay.into()).unwrap_or(widest_delay);
        of_unit[s.source as usize].add(s.class, wiring.classes()[s.class as usize].bits, delay);
    }
    let widths: Vec<Widths> = axon_units.iter().map(|&u| of_unit[u as usize]).collect();
    let places = limits.neurons;
    let mut parallel = (0..graph.neurons()).flat_map(|v| graph.synapses(v)).map(|(_, n)| n).max().unwrap_or(1);
    if parallel as usize * places as usize > TABLE {
        // Tables that long are not made: one synapse of those that are parallel counts.
        let rows = || (0..graph.neurons()).map(|v| graph.in_axons(v));
        let offsets = std::iter::once(0)
            .chain(rows().scan(0, |sum, row| {
                *sum += row.len();
                Some(*sum)
            }))
            .collect();
        graph = Hypergraph::new(graph.inputs(), offsets, rows().flatten().copied().collect(), graph.layers().to_vec());
        parallel = 1;
    }
    let (words_of, class_of_axon) = tables(&widths, |widths| words_table(memory, widths, places, parallel));
    // Axons that share words have no least of their own.
    let (words_of, class_of_axon) = if wiring.shares() { (vec![vec![0]], Vec::new()) } else { (words_of, class_of_axon) };
    (graph, Limits { off_chip_extra: 0, words_of, class_of_axon, ..limits })
}

/// The narrowest fields of an axon's synapses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Widths {
    weight: u8,
    delay: u8,
    /// The weight class of all; `Err(true)` for several, `Err(false)` without synapses.
    class: Result<u16, bool>,
}

impl Default for Widths {
    fn default() -> Self {
        Widths { weight: u8::MAX, delay: u8::MAX, class: Err(false) }
    }
}

impl Widths {
    fn add(&mut self, class: u16, weight: u8, delay: u8) {
        let same = self.class == Ok(class) || self.class == Err(false);
        (self.weight, self.delay) = (self.weight.min(weight), self.delay.min(delay));
        self.class = if same { Ok(class) } else { Err(true) };
    }
    /// What a table of words depends on: several classes are several lists.
    fn key(&self) -> (u8, u8, bool) {
        (self.weight, self.delay, self.class.is_ok())
    }
}

/// A table of words for each kind of axon, and the table of each axon. An axon without synapses has any.
fn tables(widths: &[Widths], table: impl Fn((u8, u8, bool)) -> Vec<u32>) -> (Vec<Vec<u32>>, Vec<u8>) {
    let mut kinds: Vec<(u8, u8, bool)> = widths.iter().filter(|w| w.class != Err(false)).map(Widths::key).collect();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.len() > 256 || kinds.is_empty() {
        // An axon's table is a byte: one stands for all, with the least of both widths.
        let least = (kinds.iter().map(|w| w.0).min().unwrap_or(0), kinds.iter().map(|w| w.1).min().unwrap_or(0), false);
        return (vec![table(least)], Vec::new());
    }
    let class_of_axon = widths.iter().map(|w| kinds.binary_search(&w.key()).unwrap_or(0) as u8).collect();
    (kinds.into_iter().map(table).collect(), class_of_axon)
}

/// Words that n synapses of an axon take at least, of weights and delays this wide, at most `parallel` into each of `places` neurons: of all
/// ways to cut them into entries, each under the compression that suits it best. Sparse entries of one list are not cut at will, but each
/// as long as it can be, unless the axon itself is cut.
fn words_table(memory: &SynapseMemory, (weight_bits, delay_bits, one_list): (u8, u8, bool), places: u32, parallel: u32) -> Vec<u32> {
    let most = places as usize * parallel as usize;
    let longest = (*memory.max_synapses_per_entry).clamp(1, u32::from(u16::MAX)) as usize;
    let least = |bits: &[u8]| bits.iter().copied().min().unwrap_or(0);
    let format = |compression, index_bits| {
        let skip_bits = if compression == Compression::RunLength { least(&memory.skip_bits) } else { 0 };
        SynapseFormat { weight_bits, index_bits, skip_bits, delay_bits, compression, sign: Sign::Mixed, exponent: 0 }
    };
    // Bits of an entry of n synapses, under any compression but perhaps sparse.
    let entry = |index_bits, n: u32, sparse: bool| {
        let all = memory.compressions.iter().filter(|&&c| sparse || c != Compression::Sparse);
        all.map(|&c| cost::entry_bits(memory, &format(c, index_bits), n)).min()
    };
    // Least bits of 0 ..= end synapses; `None` without such a compression.
    let cut_at_will = |index_bits, end: usize, sparse: bool| -> Option<Vec<u64>> {
        let entries: Vec<u64> = (1..=longest.min(end) as u32).map(|k| entry(index_bits, k, sparse)).collect::<Option<_>>()?;
        if end * entries.len() > TABLE {
            return Some((0..=end as u64).map(|m| m * u64::from(weight_bits)).collect());
        }
        let mut bits = vec![0u64; end + 1];
        for m in 1..=end {
            bits[m] = (1..=entries.len().min(m)).map(|k| bits[m - k] + entries[k - 1]).min()?;
        }
        Some(bits)
    };
    // n synapses have n / parallel posts at least, and an index must reach the last.
    let width =
        |n: usize| cost::index_bits(memory, (n.div_ceil(parallel as usize) as u32).saturating_sub(1)).unwrap_or(least(&memory.index_bits));
    let greatest = |bits: &[u8]| bits.iter().copied().max().unwrap_or(0);
    let widest = SynapseFormat {
        weight_bits: greatest(&memory.weight_bits).max(weight_bits),
        delay_bits: greatest(&memory.delay_bits).max(delay_bits),
        ..format(Compression::Sparse, greatest(&memory.index_bits))
    };
    let has_sparse = memory.compressions.contains(&Compression::Sparse);
    let mut words = vec![0u32; most + 1];
    let mut n = 1;
    while n <= most {
        let index_bits = width(n);
        let end = (n..=most).take_while(|&m| width(m) == index_bits).last().unwrap_or(n);
        let any = cut_at_will(index_bits, end, true);
        let others = if one_list && has_sparse { cut_at_will(index_bits, end, false) } else { None };
        for m in n..=end {
            let least = any.as_ref().map_or(0, |bits| bits[m]);
            let whole = others.as_ref().map_or(u64::MAX, |bits| bits[m]).min(if one_list && has_sparse {
                cost::uncut_bits(memory, &format(Compression::Sparse, index_bits), m as u32)
            } else {
                least
            });
            // Where fields as wide as can be make the list too long for one axon, its pieces are lists of their own.
            let cut = cost::words(memory, cost::uncut_bits(memory, &widest, m as u32)) > *memory.max_words_per_axon;
            words[m] = cost::words(memory, if cut { least } else { whole });
        }
        n = end + 1;
    }
    words
}

/// Sums over cores of the resources that a core has much of, the fullest first.
fn totals(usage: &[CoreUsage]) -> Vec<Total> {
    let mut totals: Vec<Total> = Vec::new();
    for u in usage.iter().flat_map(|c| &c.resources).filter(|u| ["C01", "C02", "C03", "C05", "C27"].contains(&u.code)) {
        match totals.iter_mut().find(|t| t.resource == u.resource) {
            Some(t) => (t.used, t.available, t.fullest) = (t.used + u.used, t.available + u.available, t.fullest.max(u.used)),
            None => {
                let (resource, used, available) = (u.resource, u.used, u.available);
                totals.push(Total { resource, used, available, fullest: used, per_core: available });
            }
        }
    }
    totals.sort_by(|a, b| (u128::from(b.used) * u128::from(a.available)).cmp(&(u128::from(a.used) * u128::from(b.available))));
    totals
}

/// What is known where no bound is as large as the number of cores.
fn gap(cores: u32, certificate: &Certificate, totals: &[Total]) -> Vec<String> {
    let mut lines = certificate.argument.clone();
    lines.push(format!("No bound excludes {} cores: whether one core less is enough is not known.", cores.saturating_sub(1)));
    if let Some(t) = totals.first() {
        let share = |available: u64| 100.0 * t.used as f64 / available.max(1) as f64;
        let less = t.available - t.per_core.min(t.available);
        lines.push(format!(
            "The fullest resource over all cores is {}: {} of {} used, {:.1} % left ({} of {} on the fullest core).",
            t.resource,
            t.used,
            t.available,
            100.0 - share(t.available),
            t.fullest,
            t.per_core
        ));
        if share(less) > 100.0 {
            lines.push(format!("One core less would have to save {} of it by placing neurons together that share more.", t.used - less));
        } else {
            lines.push(format!("One core less would be {:.1} % full of it, if neurons could be divided at will.", share(less)));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixednets::{Builder, MIXED8, NEURON, all_to_all, changed, mnist};
    use crate::partition::{NeuronRef, Partitioned};
    use crate::testnets::{random_net, rng};
    use crate::{CompileOptions, Input, compile};
    use rand::Rng;
    use spikec_chip::target::Packed;
    use spikec_net::{FixedNeuron, WeightFormat};

    /// Fewest cores over all partitions; `None` when none fits.
    fn fewest(q: &Quantized, target: &Target) -> Option<u64> {
        let neurons: Vec<NeuronRef> =
            Wiring::new(q, target, Kernels::Auto).neuron_units().map(|u| Wiring::new(q, target, Kernels::Auto).reference(u)).collect();
        let mut best = None;
        let mut stack = vec![(Vec::<usize>::new(), 0)];
        while let Some((places, cores)) = stack.pop() {
            if best.is_some_and(|b| cores as u64 >= b) {
                continue;
            }
            if places.len() < neurons.len() {
                stack.extend((0..=cores).rev().map(|core| ([&places[..], &[core]].concat(), cores.max(core + 1))));
                continue;
            }
            let of = |core: usize| neurons.iter().zip(&places).filter(|(_, p)| **p == core).map(|(n, _)| *n).collect::<Vec<_>>();
            if Partitioned::new(q, (0..cores).map(of).collect::<Vec<_>>(), target).is_ok() {
                best = Some(cores as u64);
            }
        }
        best
    }

    /// Bytes that a core's things share, a little more than one neuron with so many inputs takes.
    fn budget(p: &mut Packed, r: &mut rand_chacha::ChaCha8Rng, inputs: u32) {
        let bytes = [64, 12, 5, 3, 4, 6].map(|most| r.random_range(0..=most));
        let c = &mut p.core;
        (c.program_bytes.value, c.neuron_bytes.value, c.current_bytes.value) = (bytes[0], bytes[1], bytes[2]);
        (c.delay_slot_bytes.value, c.in_axon_bytes.value, c.out_axon_entry_bytes.value) = (bytes[3], bytes[4], bytes[5]);
        let alone = bytes[0] + bytes[1] + bytes[2] + 8 * bytes[3] + inputs * (bytes[4] + 8) + 2 * bytes[5];
        c.core_bytes.value = alone + r.random_range(0..=3 * alone);
    }

    #[test]
    fn no_partition_beats_a_bound() {
        let (mut fit, mut met) = (0, 0);
        for seed in 0..150 {
            let mut r = rng(seed);
            let (inputs, hidden, outputs) = (r.random_range(2..8u32), r.random_range(1..5u32), r.random_range(1..3u32));
            let mut b = Builder::new();
            let input = b.input(inputs);
            let neuron = |r: &mut rand_chacha::ChaCha8Rng| {
                let decay_u = if r.random_bool(0.5) { 4096 } else { 100 };
                FixedNeuron { threshold: 100 + r.random_range(0..3), decay_u, ..NEURON }
            };
            let middle = b.neurons("middle", 0, (0..hidden).map(|_| neuron(&mut r)).collect());
            let output = b.neurons("output", 1, (0..outputs).map(|_| neuron(&mut r)).collect());
            let density = r.random_range(0.3..1.0);
            let narrow = WeightFormat { bits: r.random_range(2..=8), ..MIXED8 };
            for (pair, (pres, posts), format) in
                [((input, middle), (inputs, hidden), MIXED8), ((middle, output), (hidden, outputs), narrow)]
            {
                let mut synapses = Vec::new();
                for (i, j) in (0..pres).flat_map(|i| (0..posts).map(move |j| (i, j))) {
                    for _ in 0..if r.random_bool(density) { 1 + u32::from(r.random_bool(0.2)) } else { 0 } {
                        let grid = 1i16 << format.grid_shift();
                        synapses.push((i, j, grid * r.random_range(1..3), r.random_range(0..3u16) * u16::from(r.random_bool(0.4))));
                    }
                }
                b.connect(pair, format, synapses);
            }
            let q = b.build();
            let target = changed(|p| {
                p.core.compartments.value = r.random_range(1..5);
                p.core.in_axons.value = inputs + r.random_range(0..4);
                p.core.out_axon_entries.value = r.random_range(2..8);
                p.core.threshold_profiles.value = r.random_range(1..4);
                p.core.delay_slots_total.value = r.random_range(4..16);
                p.synapse_memory.usable_words.value = inputs + r.random_range(0..8);
                p.synapse_memory.entry_align_bits.value = if r.random_bool(0.3) { 64 } else { 1 };
                if r.random_bool(0.3) {
                    p.synapse_memory.compressions.value = vec![Compression::Sparse];
                    p.synapse_memory.max_words_per_axon.value = r.random_range(1..4);
                }
                if r.random_bool(0.4) {
                    budget(p, &mut r, inputs);
                }
            });
            let found = certificate(&q, &target, false, Kernels::Auto);
            if let Some(fewest) = fewest(&q, &target) {
                (fit, met) = (fit + 1, met + u32::from(found.best == fewest));
                assert!(found.bounds.iter().all(|b| b.cores <= fewest), "seed {seed}: {fewest} are enough: {found:?}");
            }
        }
        println!("{fit} nets fit, {met} bounds met");
        assert!(fit > 40 && met * 2 > fit, "{fit} nets fit, {met} bounds met");
    }

    #[test]
    fn compiled_nets_take_no_fewer_cores_than_their_certificate() {
        let mut compiled = 0;
        for seed in 0..60 {
            let net = random_net(seed);
            let mut r = rng(seed);
            let target = changed(|p| {
                p.core.compartments.value = r.random_range(4..24);
                p.core.in_axons.value = r.random_range(16..60);
                p.synapse_memory.usable_words.value = r.random_range(30..120);
                p.synapse_memory.max_words_per_axon.value = 30;
                if r.random_bool(0.4) {
                    p.synapse_memory.compressions.value = vec![Compression::Sparse];
                    p.synapse_memory.entry_align_bits.value = 64;
                }
                if seed % 3 == 1 {
                    budget(p, &mut r, 20);
                }
            });
            let (input, options) = (Input::Trained { net: &net, digest: [0; 32] }, CompileOptions::default());
            let Ok(result) = compile(input, &target, &options, &mut |_| ()) else { continue };
            compiled += 1;
            let e = &result.report.certificate;
            assert_eq!(e.cores, result.report.cores);
            assert!(e.certificate.best <= e.cores.into(), "seed {seed}: {e:?}");
            assert_eq!(e.optimal, e.certificate.best == u64::from(e.cores));
            let simple = result.report.lower_bounds.iter().map(|b| b.cores).max().unwrap();
            assert!(e.certificate.best >= simple, "seed {seed}: {e:?}");
        }
        assert!(compiled > 15, "{compiled}");
    }

    #[test]
    fn dense_layers_are_explained_by_name() {
        let q = mnist(800, all_to_all(784, 800), all_to_all(800, 10));
        let target = spikec_chip::target_file::find("loihi1_nengo").unwrap();
        let found = certificate(&q, &target, false, Kernels::Auto);
        println!("{}", found.argument.join("\n"));
        assert_eq!((found.best, found.binding.as_str()), (13, "classes of equal neurons"));
        assert!(found.argument.contains(&"A: 800 neurons of hidden, each with the same 784 input axons.".into()), "{found:?}");
        assert!(found.argument.iter().all(|l| !l.contains("layer ")), "{found:?}");
        let usage =
            |used| CoreUsage { core: 0, resources: vec![crate::pack::Usage { code: "C05", resource: "words", used, available: 100 }] };
        let e = explain(certificate(&q, &target, false, Kernels::Auto), &[usage(90), usage(60)]);
        assert!(!e.optimal && e.totals[0].used == 150 && e.totals[0].fullest == 90);
        assert!(e.one_less.iter().any(|l| l.contains("25.0 % left (90 of 100 on the fullest core)")), "{e:?}");
    }
}
