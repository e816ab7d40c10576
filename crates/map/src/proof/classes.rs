//! Neurons with equal axons: the cores that a few classes of them need, exactly.
//!
//! In: a hypergraph, limits, costs. Out: a bound, with the numbers of its proof.
//! Invariant: what one core can hold of each class is counted as a core counts it (neurons, input axons, words by table), but for out
//! entries, of which each neuron pays its least; then every way to divide the classes among cores is tried.
//! Cost: cores * (members of the smaller classes, multiplied) * (what one core can hold of them), within the budget; beyond it prices
//! ([`super::prices`]) bound the same classes, and where even what one core can hold takes too long, the smallest class is left out.
//! Why: neurons of a dense layer are interchangeable, so a core is a count by class. Of the largest class only the most beside the others is
//! kept: a table over the counts of the others, and one core more is one step over it. Sums miss what words lose to rounding, and what a
//! small layer costs wherever it is put.

use super::prices::{Prices, prices};
use super::spread::Spread;
use super::{Budget, Proof, plural};
use crate::bounds::Bound;
use crate::hypergraph::Hypergraph;
use crate::limits::Limits;
use crate::state::Use;
use std::collections::BTreeMap;

/// Classes of a proof at most.
const CLASSES: usize = 6;
/// Groups of axons that enter the same classes: more are not tried.
const GROUPS: usize = 256;
/// Classes that are considered.
const CANDIDATES: usize = 64;
/// Choices of a core, and counts of classes, that are tabled.
const STATES: usize = 1 << 20;
/// Classes of one hash that are compared.
const COMPARED: usize = 8;

/// Interchangeable neurons.
#[derive(Debug, Clone)]
struct Class {
    members: Vec<u32>,
    /// Out entries of each at least.
    entries: u64,
    /// Level of each at least.
    level: u8,
    /// Bytes that each takes by itself at least.
    own: i64,
}

/// Axons that enter each class equally often.
#[derive(Debug)]
struct Group {
    axons: u64,
    /// One of them: its table of words is that of all.
    axon: u32,
    /// Synapses into a neuron of each class.
    synapses: Vec<u32>,
}

/// What one core can hold of some classes.
struct Core<'a> {
    limits: &'a Limits,
    classes: Vec<Class>,
    groups: Vec<Group>,
}

/// Resource, need and limit.
type Over = (&'static str, u64, u64);

impl<'a> Core<'a> {
    /// `None` when there are too many kinds of axons.
    fn new(graph: &Hypergraph, limits: &'a Limits, classes: Vec<Class>) -> Option<Core<'a>> {
        let mut by_axon: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (c, class) in classes.iter().enumerate() {
            for (axon, n) in graph.synapses(class.members[0]) {
                by_axon.entry(axon).or_insert_with(|| vec![0; classes.len()])[c] = n;
            }
        }
        let mut groups: BTreeMap<(u8, Vec<u32>), Group> = BTreeMap::new();
        for (axon, synapses) in by_axon {
            let table = limits.class_of_axon.get(axon as usize).copied().unwrap_or(0);
            groups.entry((table, synapses.clone())).or_insert(Group { axons: 0, axon, synapses }).axons += 1;
            if groups.len() > GROUPS {
                return None;
            }
        }
        Some(Core { limits, classes, groups: groups.into_values().collect() })
    }

    /// Neurons of each class.
    fn members(&self) -> Vec<u32> {
        self.classes.iter().map(|c| c.members.len() as u32).collect()
    }

    /// The highest level present.
    fn level(&self, counts: &[u32]) -> u8 {
        self.classes.iter().zip(counts).filter(|(_, n)| **n > 0).map(|(c, _)| c.level).max().unwrap_or(0)
    }

    /// Most neurons beside the highest level present.
    fn places(&self, counts: &[u32]) -> u64 {
        let Some(levels) = &self.limits.levels else { return self.limits.neurons.into() };
        levels.most_neurons[usize::from(self.level(counts))].min(self.limits.neurons).into()
    }

    /// Bytes, and those that there are.
    fn bytes(&self, counts: &[u32], [neurons, in_slots, out_entries, words]: [u64; 4]) -> (u64, u64) {
        let Some(m) = &self.limits.memory else { return (0, 0) };
        let own = self.classes.iter().zip(counts).map(|(c, &n)| c.own * i64::from(n)).sum();
        let [neurons, in_slots, out_entries, words] = [neurons, in_slots, out_entries, words].map(|n| n as i64);
        (m.taken(&Use { neurons, in_slots, out_entries, words, own }, self.level(counts).into()) as u64, m.bytes.into())
    }

    /// Need and limit of each resource.
    fn needs(&self, counts: &[u32]) -> [Over; 5] {
        let neurons = counts.iter().map(|&n| u64::from(n)).sum();
        let entries = self.classes.iter().zip(counts).map(|(c, &n)| c.entries * u64::from(n)).sum();
        let (mut slots, mut words) = (0u64, 0u64);
        for group in &self.groups {
            let synapses = group.synapses.iter().zip(counts).fold(0u32, |sum, (&m, &n)| sum.saturating_add(m.saturating_mul(n)));
            if synapses > 0 {
                slots += group.axons;
                words += group.axons * u64::from(self.limits.words(group.axon, synapses));
            }
        }
        let l = self.limits;
        let (bytes, budget) = self.bytes(counts, [neurons, slots, entries, words]);
        [
            ("neurons", neurons, self.places(counts)),
            ("input axons", slots, l.in_slots.into()),
            ("out entries", entries, l.out_entries.into()),
            ("words", words, l.words.into()),
            ("bytes", bytes, budget),
        ]
    }

    fn over(&self, counts: &[u32]) -> Option<Over> {
        self.needs(counts).into_iter().find(|(_, need, limit)| need > limit)
    }

    /// The most of a class beside `counts` of the others, up to its size; `None` when not even the others fit.
    fn most(&self, class: usize, counts: &mut [u32]) -> Option<u32> {
        counts[class] = 0;
        if self.over(counts).is_some() {
            return None;
        }
        let (mut fits, mut fails) = (0, (self.classes[class].members.len() as u32).min(self.limits.neurons) + 1);
        while fails - fits > 1 {
            counts[class] = fits + (fails - fits) / 2;
            match self.over(counts) {
                None => fits = counts[class],
                Some(_) => fails = counts[class],
            }
        }
        counts[class] = 0;
        Some(fits)
    }
}

/// Classes of neurons with equal axons and equally many synapses from each, by their first neuron.
fn classes(graph: &Hypergraph, limits: &Limits, spread: &Spread) -> Vec<Class> {
    let hash = |v: u32| {
        let step = |h: u64, (axon, n): (u32, u32)| {
            (h ^ (u64::from(axon) << 20 ^ u64::from(n))).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
        };
        graph.synapses(v).fold(graph.in_axons(v).len() as u64, step)
    };
    let mut order: Vec<(u64, u32)> = (0..graph.neurons()).map(|v| (hash(v), v)).collect();
    order.sort_unstable();
    let mut classes: Vec<Class> = Vec::new();
    for same_hash in order.chunk_by(|a, b| a.0 == b.0) {
        let first = classes.len();
        for &(_, v) in same_hash {
            let equal = |c: &Class| graph.synapses(c.members[0]).eq(graph.synapses(v));
            let own = limits.memory.as_ref().map_or(0, |m| m.own(v));
            let (entries, level) = (spread.entries(graph, limits, v), limits.levels.as_ref().map_or(0, |l| l.of_neuron[v as usize]));
            match classes[first..].iter_mut().rev().take(COMPARED).find(|c| equal(c)) {
                Some(class) => {
                    class.members.push(v);
                    (class.entries, class.level, class.own) = (class.entries.min(entries), class.level.min(level), class.own.min(own));
                }
                None => classes.push(Class { members: vec![v], entries, level, own }),
            }
        }
    }
    classes.sort_unstable_by_key(|c| c.members[0]);
    classes
}

/// Classes worth a proof, the one with the most members first: those that fill most of a core's resources, as many as the choices of a core
/// allow. A class of which not even one neuron fits has no assignment and proves nothing.
fn chosen(graph: &Hypergraph, limits: &Limits, classes: Vec<Class>) -> Vec<Class> {
    let share = |c: &Class| {
        let v = c.members[0];
        let words: u64 = graph.synapses(v).map(|(a, n)| u64::from(limits.words(a, n))).sum();
        let part = |need: u64, limit: u32| need as f64 / f64::from(limit.max(1));
        let most = part(words, limits.words).max(part(graph.in_axons(v).len() as u64, limits.in_slots)).max(part(1, limits.neurons));
        most * c.members.len() as f64
    };
    let mut rated: Vec<(f64, Class)> =
        classes.into_iter().filter(|c| !graph.in_axons(c.members[0]).is_empty()).map(|c| (share(&c), c)).collect();
    rated.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.members[0].cmp(&b.1.members[0])));
    let mut chosen: Vec<(usize, Class)> = Vec::new();
    for (_, class) in rated.into_iter().take(CANDIDATES) {
        let core = Core::new(graph, limits, vec![class.clone()]);
        let Some(most) = core.and_then(|core| core.most(0, &mut [0])).filter(|&m| m > 0) else { continue };
        // Of the class with the most members only the most is kept.
        let class = (most as usize, class);
        let first = chosen.iter().chain([&class]).max_by_key(|c| c.1.members.len()).map_or(0, |c| c.0);
        let space = chosen.iter().chain([&class]).try_fold(1usize, |p, c| p.checked_mul(c.0 + 1));
        if space.is_some_and(|p| p / (first + 1) <= STATES) {
            chosen.push(class);
        }
        if chosen.len() == CLASSES {
            break;
        }
    }
    let mut chosen: Vec<Class> = chosen.into_iter().map(|c| c.1).collect();
    chosen.sort_by_key(|c| (std::cmp::Reverse(c.members.len()), c.members[0]));
    chosen
}

/// Table over the counts of all classes but the first.
struct Counts {
    sizes: Vec<u32>,
}

impl Counts {
    fn states(&self) -> Option<usize> {
        self.sizes.iter().try_fold(1usize, |p, &n| p.checked_mul(n as usize + 1))
    }
    fn index(&self, counts: &[u32]) -> usize {
        self.sizes.iter().zip(counts).fold(0, |at, (&size, &n)| at * (size as usize + 1) + n as usize)
    }
    /// The counts after these, the last class fastest; false after the last.
    fn next(&self, counts: &mut [u32]) -> bool {
        for (n, &size) in counts.iter_mut().zip(&self.sizes).rev() {
            if *n < size {
                *n += 1;
                return true;
            }
            *n = 0;
        }
        false
    }
}

/// A core's choice: counts of the other classes, and the most of the first beside them.
struct Choice {
    others: Vec<u32>,
    first: i64,
}

/// A proof by classes of more than `least` cores.
pub(super) fn proof(
    graph: &Hypergraph,
    limits: &Limits,
    spread: &Spread,
    least: u64,
    name: &dyn Fn(u32) -> String,
    budget: &mut Budget,
) -> Option<Proof> {
    let mut chosen = chosen(graph, limits, classes(graph, limits, spread));
    while !chosen.is_empty() {
        // Each neuron on a core of its own proves no more than this.
        if chosen.iter().map(|c| c.members.len() as u64).sum::<u64>() <= least {
            return None;
        }
        let core = Core::new(graph, limits, chosen.clone())?;
        if let Some(choices) = choices(&core, budget) {
            if let Some((cores, table)) = cover(&core, &choices, least, budget) {
                let argument = || argument(graph, &core, &told(&core, cores, &table), name);
                return (cores > least).then(|| Proof { bound: result(&core, cores), argument: argument() });
            }
            let whole: Vec<Vec<u32>> = choices.iter().map(|c| [&[c.first as u32][..], &c.others].concat()).collect();
            let prices = prices(&whole, &core.members()).filter(|p| p.cores() > least)?;
            let argument = argument(graph, &core, &valued(&prices), name);
            return Some(Proof { bound: result(&core, prices.cores()), argument });
        }
        chosen.pop();
    }
    None
}

fn result(core: &Core, cores: u64) -> Bound {
    let need = core.classes.iter().map(|c| c.members.len() as u64).sum();
    let counts = &mut vec![0; core.classes.len()];
    let per_core = core.most(0, counts).unwrap_or(0).into();
    Bound { resource: "classes of equal neurons", need, per_core, cores }
}

/// All choices of a core that no other choice beats; `None` beyond the budget.
fn choices(core: &Core, budget: &mut Budget) -> Option<Vec<Choice>> {
    let mut alone = vec![0; core.classes.len()];
    let mut sizes = Vec::new();
    for class in 1..core.classes.len() {
        alone.fill(0);
        sizes.push(core.most(class, &mut alone)?);
    }
    let space = Counts { sizes };
    let steps = u64::from(u32::BITS - (core.classes[0].members.len() as u32).leading_zeros()) + 1;
    let states = space.states().filter(|&s| s <= STATES)?;
    if !budget.take(states as u64 * steps * (core.groups.len() as u64 + 2)) {
        return None;
    }
    let mut most = Vec::with_capacity(states);
    let mut counts = vec![0; core.classes.len()];
    loop {
        most.push(core.most(0, &mut counts).map_or(-1, i64::from));
        if !space.next(&mut counts[1..]) {
            break;
        }
    }
    let mut choices = Vec::new();
    let mut others = vec![0; space.sizes.len()];
    for &first in &most {
        let beaten = (0..others.len()).any(|c| {
            let mut more = others.clone();
            more[c] += 1;
            more[c] <= space.sizes[c] && most[space.index(&more)] >= first
        });
        if first >= 0 && !beaten {
            choices.push(Choice { others: others.clone(), first });
        }
        space.next(&mut others);
    }
    Some(choices)
}

/// The least cores that hold all, and the table of one core less (-1 where even the others don't fit); `None` beyond the budget.
fn cover(core: &Core, choices: &[Choice], least: u64, budget: &mut Budget) -> Option<(u64, Vec<i64>)> {
    let goal = core.classes[0].members.len() as i64;
    let space = Counts { sizes: core.members()[1..].to_vec() };
    let states = space.states().filter(|&s| s <= STATES)?;
    let step = states as u64 * choices.len() as u64 * core.classes.len() as u64;
    if step.saturating_mul(least + 1) > budget.0 {
        return None;
    }
    let mut table = vec![-1i64; states];
    table[0] = 0;
    let mut cores = 0;
    while budget.take(step) {
        let mut next = vec![-1i64; states];
        let mut counts = vec![0u32; space.sizes.len()];
        let mut rest = counts.clone();
        for value in &mut next {
            for choice in choices {
                for ((r, &n), &o) in rest.iter_mut().zip(&counts).zip(&choice.others) {
                    *r = n.saturating_sub(o);
                }
                let before = table[space.index(&rest)];
                if before >= 0 {
                    *value = (*value).max(before + choice.first);
                }
            }
            space.next(&mut counts);
        }
        cores += 1;
        if next[states - 1] >= goal {
            return Some((cores, table));
        }
        table = next;
    }
    None
}

fn letter(class: usize) -> char {
    char::from(b'A' + class as u8)
}

/// "11 A", "2 B and 1 C".
fn list(amounts: impl Iterator<Item = String>) -> String {
    amounts.collect::<Vec<_>>().join(" and ")
}

/// What one core less holds.
fn told(core: &Core, cores: u64, table: &[i64]) -> String {
    let members = core.members();
    let others = list((1..members.len()).map(|c| format!("all {} of {}", members[c], letter(c))));
    let (less, least) = (plural(cores - 1, "core"), plural(cores, "core"));
    match table.last() {
        Some(&held) if held >= 0 => {
            let places = if others.is_empty() { String::new() } else { format!(" when {others} have a place too") };
            format!(
                "{less} hold {held} of the {} neurons of A at most{places}, over all ways to divide them: at least {least}.",
                members[0]
            )
        }
        _ => format!("{less} don't even hold {others}: at least {least}."),
    }
}

/// What all neurons and what those of a core are worth.
fn valued(prices: &Prices) -> String {
    let each = list(prices.of_class.iter().enumerate().map(|(c, p)| format!("{p} for one of {}", letter(c))));
    format!(
        "With prices of {each}, no core holds more than {} is worth, and all neurons are worth {}: at least {}.",
        prices.core,
        prices.all,
        plural(prices.cores(), "core")
    )
}

/// The proof in words: the classes, what one core holds, and the conclusion.
fn argument(graph: &Hypergraph, core: &Core, conclusion: &str, name: &dyn Fn(u32) -> String) -> Vec<String> {
    let mut lines = Vec::new();
    for (c, class) in core.classes.iter().enumerate() {
        let (v, size) = (class.members[0], class.members.len() as u64);
        let axons = graph.in_axons(v).len();
        let same = if size > 1 { "each with the same" } else { "with" };
        lines.push(format!("{}: {} of {}, {same} {axons} input axons.", letter(c), plural(size, "neuron"), name(v)));
    }
    let members = core.members();
    for c in 0..members.len() {
        let mut counts = vec![0; members.len()];
        let most = core.most(c, &mut counts).unwrap_or(0);
        counts[c] = most;
        let words = core.needs(&counts)[3].1;
        counts[c] += 1;
        let why = match core.over(&counts) {
            Some((resource, need, limit)) if most < members[c] => format!("{} would need {need} of {limit} {resource}", counts[c]),
            _ => format!("all there are, in {words} words"),
        };
        lines.push(format!("A core holds {most} of {} at most: {why}.", letter(c)));
    }
    for c in 1..members.len() {
        let beside = |n: u32| {
            let mut counts = vec![0; members.len()];
            counts[c] = n;
            core.most(0, &mut counts).map(|most| format!("Beside {n} of {} it holds {most} of A at most.", letter(c)))
        };
        lines.extend(beside(1));
        lines.extend(beside(members[c]).filter(|_| members[c] > 1));
    }
    lines.push(conclusion.into());
    let chosen: usize = core.classes.iter().map(|c| c.members.len()).sum();
    if chosen < graph.neurons() as usize {
        lines.push(format!("The other {} can only add to that.", plural(u64::from(graph.neurons()) - chosen as u64, "neuron")));
    }
    lines
}
