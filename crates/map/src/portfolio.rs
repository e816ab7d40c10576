//! The portfolio: strategies propose, the best legal assignment wins.
//!
//! In: a hypergraph, limits and options. Out: [`Mapping`], a core for each neuron.
//! Invariant: the same input and options give the same result, on any number of threads; effort is counted in visits, not in time.
//! Cost: linear in the synapses for nets whose layers have an order; for others, `Effort` visits of each neuron.
//! Why: no strategy is best everywhere. Nets whose layers have an order are packed last layer first, along tiles where shapes are known; nets with
//! loops grow by overlap, and annealing makes room where every slot is needed.

use crate::bounds::lower_bounds;
use crate::hypergraph::Hypergraph;
use crate::layered::{Layered, reverse_order};
use crate::limits::Limits;
use crate::overlap::overlap;
use crate::pairs::{Lists, Pairs};
use crate::repair::{Repair, compact};
use crate::state::{State, Use};
use serde::Serialize;

/// How hard to search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effort {
    /// A first good result.
    Fast,
    /// Annealed.
    #[default]
    Default,
    /// Annealed for long.
    Best,
}

/// A way to assign neurons to cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Last layer first, tiles along the shapes.
    Tiles,
    /// Last layer first, layers grown by overlap.
    Layers,
    /// All neurons grown by overlap, then annealed.
    Overlap,
}

impl Strategy {
    /// All strategies, in the order in which ties are decided.
    pub const ALL: [Strategy; 3] = [Strategy::Tiles, Strategy::Layers, Strategy::Overlap];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Tiles => "tiles",
            Strategy::Layers => "layers",
            Strategy::Overlap => "overlap",
        }
    }
}

/// Options of a mapping.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// One strategy; `None`: the portfolio.
    pub strategy: Option<Strategy>,
    /// Effort.
    pub effort: Effort,
    /// Seed.
    pub seed: u64,
}

/// A core for each neuron.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Core of each neuron.
    pub parts: Vec<u32>,
    /// Cores.
    pub cores: u32,
    /// Input slots of all cores.
    pub in_slots: u64,
    /// True when every core is within its limits.
    pub legal: bool,
    /// Strategy that found it.
    pub strategy: Strategy,
}

/// Why a strategy does not suit a net.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsuited {
    /// No layer has a known shape.
    NoShapes,
    /// A layer feeds itself, or layers feed one another in a loop.
    Loops,
}

/// Whether a strategy can be used on a net; [`map`] takes [`Strategy::Overlap`] where it can't.
///
/// # Errors
/// What the net lacks.
pub fn suits(graph: &Hypergraph, strategy: Strategy) -> Result<(), Unsuited> {
    suited(graph, reverse_order(graph).is_some(), strategy)
}

fn suited(graph: &Hypergraph, ordered: bool, strategy: Strategy) -> Result<(), Unsuited> {
    match strategy {
        Strategy::Overlap => Ok(()),
        Strategy::Tiles | Strategy::Layers if !ordered => Err(Unsuited::Loops),
        Strategy::Tiles if graph.layers().iter().all(|l| l.shape.is_none()) => Err(Unsuited::NoShapes),
        Strategy::Tiles | Strategy::Layers => Ok(()),
    }
}

/// Synapses up to which annealing is tried where the layers' order did not help.
const AFFORDABLE: usize = 1 << 21;

/// True when every neuron would fit a core of its own, the others wherever they like.
pub(crate) fn fits_alone(graph: &Hypergraph, limits: &Limits) -> bool {
    (0..graph.neurons()).all(|v| {
        let words: u64 = graph.synapses(v).map(|(axon, synapses)| u64::from(limits.words(axon, synapses))).sum();
        let sends = !graph.out_neurons(graph.axon(v)).is_empty();
        let alone = Use {
            neurons: 1,
            in_slots: graph.in_axons(v).len() as i64,
            out_entries: if sends { limits.entry_cost.into() } else { 0 },
            words: words as i64,
            own: limits.memory.as_ref().map_or(0, |m| m.own(v)),
        };
        let level = limits.levels.as_ref().map_or(0, |levels| levels.of_neuron[v as usize].into());
        graph.in_axons(v).len() as u64 <= limits.in_slots.into()
            && words <= limits.words.into()
            && (!sends || limits.entry_cost <= limits.out_entries)
            && limits.bytes_fit(&alone, level)
    })
}

/// Cores beyond the lower bound, as a share, up to which no other strategy is tried.
const CLOSE: f64 = 1.15;

/// Maps; `progress` hears what is tried.
pub fn map(graph: &Hypergraph, limits: &Limits, options: &Options, progress: &mut dyn FnMut(&str)) -> Mapping {
    let order = reverse_order(graph);
    let applies = |s: Strategy| suited(graph, order.is_some(), s).is_ok();
    let chosen: Vec<Strategy> = match options.strategy {
        Some(s) if applies(s) => vec![s],
        Some(_) => vec![Strategy::Overlap],
        None if options.effort == Effort::Best => Strategy::ALL.into_iter().filter(|&s| applies(s)).collect(),
        // A strategy that knows more about the net leaves nothing to those that know less.
        None if applies(Strategy::Tiles) => vec![Strategy::Tiles],
        None => Strategy::ALL.into_iter().filter(|&s| applies(s)).collect(),
    };
    let mut best: Option<Mapping> = None;
    let least = lower_bounds(graph, limits).iter().map(|b| b.cores).max().unwrap_or(1);
    // Where none of these fits, the others may.
    let others = Strategy::ALL.into_iter().filter(|&s| applies(s) && options.strategy.is_none() && !chosen.contains(&s));
    let affordable = |s: Strategy| s != Strategy::Overlap || graph.pins() <= AFFORDABLE;
    let others: Vec<Strategy> = others.filter(|&s| affordable(s) && fits_alone(graph, limits)).collect();
    for (k, &strategy) in chosen.iter().chain(&others).enumerate() {
        if k >= chosen.len() && best.as_ref().is_some_and(|b| b.legal) {
            break;
        }
        // Annealing is for what the layers leave far from the bound.
        let close = |m: &Mapping| m.legal && f64::from(m.cores) <= CLOSE * least as f64;
        if options.strategy.is_none() && options.effort != Effort::Best && best.as_ref().is_some_and(close) {
            break;
        }
        progress(strategy.name());
        let mapping = match (&order, strategy) {
            (Some(order), Strategy::Tiles | Strategy::Layers) => ordered(graph, limits, order, strategy, least),
            _ => overlap(graph, limits, options),
        };
        let rank = |m: &Mapping| (!m.legal, m.cores, m.in_slots);
        if best.as_ref().is_none_or(|b| rank(&mapping) < rank(b)) {
            best = Some(mapping);
        }
    }
    best.expect("at least one strategy applies")
}

/// Cores beyond the lower bound that are worth messages that stay near: 3 %.
const NEAR: f64 = 1.03;
/// Shares of thinning that are tried, until the cores are near the lower bound.
const SHARES: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

fn ordered(graph: &Hypergraph, limits: &Limits, order: &[usize], strategy: Strategy, least: u64) -> Mapping {
    let mut layered = Layered::new(graph, limits, order.to_vec(), strategy == Strategy::Tiles);
    let mut best: Option<Mapping> = None;
    for share in SHARES {
        let mut state = State::new(graph, limits, Lists::new(graph, u32::MAX), 0, Vec::new());
        layered.pack(&mut state, share);
        let mapping = finish(state, strategy, graph.neurons());
        let near = f64::from(mapping.cores) <= NEAR * least as f64;
        let same = best.as_ref().is_some_and(|b| b.parts == mapping.parts);
        if best.as_ref().is_none_or(|b| (!mapping.legal, mapping.cores) < (!b.legal, b.cores)) {
            best = Some(mapping);
        }
        if same || best.as_ref().is_some_and(|b| b.legal) && near {
            break;
        }
    }
    best.expect("at least one share")
}

/// Repairs what is beyond a limit (opening `spare` cores at most), empties what others can take in, and numbers the cores.
pub(crate) fn finish<P: Pairs>(mut state: State<P>, strategy: Strategy, spare: u32) -> Mapping {
    let mut repair = Repair::new(state.cores());
    let legal = repair.legalise(&mut state, spare);
    if legal {
        repair.dissolve(&mut state);
    }
    let in_slots = state.in_slots() as u64;
    let cores = state.cores();
    let mut parts = state.into_parts();
    let cores = compact(&mut parts, cores);
    Mapping { parts, cores, in_slots, legal, strategy }
}
