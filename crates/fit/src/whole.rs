//! Removals of whole sources from dense layers: input channels and neurons, with all their synapses.
//!
//! In: layers in which every neuron hears every feature. Out: a [`Course`] like any other.
//! Invariant: what is left is dense, so that entries without indices hold it. `None` where a layer is not dense.
//! Method: optimal brain surgeon on columns: all rows of a layer share the inverse, and a column costs the sum over rows of `w^2 / [H^-1]`.
//! Cost: neurons features + features^2 multiplications a removal.

use crate::layer::Layer;
use crate::list::Lists;
use crate::sculpt::{At, Cost, Course, Options};
use spikec_net::PopulationId;

/// A layer that loses columns and rows.
struct Dense {
    population: PopulationId,
    n: usize,
    /// Inverse of the moments, n x n.
    inverse: Vec<f32>,
    /// Weights, rows x n.
    weights: Vec<f32>,
    /// Columns and rows that are left.
    columns: Vec<bool>,
    rows: Vec<bool>,
    /// Sum over rows of importance times squared weight, by column; as of the last removal.
    power: Vec<f32>,
}

/// A channel or neuron: the columns of its spikes, and the row that it is.
struct Source {
    columns: Vec<(usize, usize)>,
    row: Option<(usize, usize)>,
    there: bool,
}

/// A course of whole removals.
pub fn course(layers: &[Layer], options: &Options, cost: Cost) -> Option<Course> {
    let dense = |l: &Layer| l.moments.count > 0 && l.rows.iter().all(|r| r.len() == l.moments.count);
    if layers.is_empty() || !layers.iter().all(dense) {
        return None;
    }
    let mut state: Vec<Dense> = layers
        .iter()
        .map(|l| {
            let n = l.moments.count;
            let mut weights = vec![0f32; l.rows.len() * n];
            for (j, row) in l.rows.iter().enumerate() {
                l.features.rows[j].iter().zip(row).for_each(|(s, &w)| weights[j * n + s.feature as usize] = w);
            }
            Dense {
                population: l.population,
                n,
                inverse: l.inverse(),
                weights,
                columns: vec![true; n],
                rows: vec![true; l.rows.len()],
                power: vec![0.0; n],
            }
        })
        .collect();
    let mut sources = sources(layers, options.output);
    let axons = match cost {
        Cost::Synapses => usize::MAX,
        Cost::Words(target, _) => *target.packed().core.in_axons as usize,
    };
    let mut course = Course::default();
    let mut error = 0.0;
    let order = from_the_output(layers, options.output);
    // (layer, row) that spikes on each column, of other layers.
    let mut drives: Vec<Vec<(usize, usize, usize)>> = vec![Vec::new(); layers.len()];
    for s in &sources {
        if let Some((from, row)) = s.row {
            s.columns.iter().filter(|c| c.0 != from).for_each(|&(l, column)| drives[l].push((from, row, column)));
        }
    }
    loop {
        weigh(&mut state, &order, &drives, options);
        let costs = Costs::new(&state, cost);
        course.steps.push((course.removed.len() as u32, costs.all, error));
        // A dense row that hears more axons than a core has can't be placed: where there are such rows, columns of theirs go first.
        let too_wide = |l: usize| state[l].columns.iter().filter(|c| **c).count() > axons;
        let wide: Vec<bool> = (0..state.len()).map(too_wide).collect();
        let price = |s: &Source| -> Option<(f64, f64)> {
            if wide.contains(&true) && !s.columns.iter().any(|&(l, _)| wide[l]) {
                return None;
            }
            let loss: f64 = s.columns.iter().map(|&(l, c)| f64::from(state[l].power[c] / state[l].inverse[c * state[l].n + c])).sum();
            let mut saved: f64 = s.columns.iter().map(|&(l, _)| costs.list[l]).sum();
            if let Some((l, _)) = s.row {
                saved += costs.row[l];
            }
            (s.there && saved > 0.0).then(|| (loss / saved, loss))
        };
        let prices: Vec<Option<(f64, f64)>> = sources.iter().map(price).collect();
        let best = (0..sources.len())
            .filter(|&k| prices[k].is_some())
            .min_by(|&a, &b| prices[a].unwrap_or_default().0.total_cmp(&prices[b].unwrap_or_default().0));
        let Some(best) = best else { break };
        error += prices[best].map_or(0.0, |p| p.1);
        sources[best].there = false;
        for &(l, c) in &sources[best].columns {
            take_column(&mut state[l], c);
            let rows = &state[l].rows;
            course.removed.extend((0..rows.len()).filter(|&j| rows[j]).map(|j| at(layers, l, j, c)));
        }
        if let Some((l, j)) = sources[best].row {
            let columns = &state[l].columns;
            course.removed.extend((0..columns.len()).filter(|&c| columns[c]).map(|c| at(layers, l, j, c)));
            state[l].rows[j] = false;
            let n = state[l].n;
            state[l].weights[j * n..(j + 1) * n].fill(0.0);
        }
    }
    Some(course)
}

fn at(layers: &[Layer], l: usize, j: usize, column: usize) -> At {
    // Dense rows hear every feature once, in order.
    debug_assert_eq!(layers[l].features.rows[j][column].feature as usize, column);
    At { layer: l as u32, row: j as u32, position: column as u32 }
}

fn sources(layers: &[Layer], output: PopulationId) -> Vec<Source> {
    let mut keys: Vec<(PopulationId, u32)> = Vec::new();
    let mut columns: Vec<((PopulationId, u32), (usize, usize))> = Vec::new();
    for (l, layer) in layers.iter().enumerate() {
        for block in &layer.features.blocks {
            for (k, &(_, i)) in block.sources.iter().enumerate() {
                columns.push(((block.pre, i), (l, block.first as usize + k)));
                keys.push((block.pre, i));
            }
        }
    }
    keys.sort_unstable();
    keys.dedup();
    columns.sort_unstable();
    let row = |(p, i): (PopulationId, u32)| layers.iter().position(|l| l.population == p).map(|l| (l, i as usize));
    keys.into_iter()
        .map(|key| {
            let (start, end) = (columns.partition_point(|c| c.0 < key), columns.partition_point(|c| c.0 <= key));
            Source { columns: columns[start..end].iter().map(|c| c.1).collect(), row: row(key).filter(|_| key.0 != output), there: true }
        })
        .collect()
}

/// Layers from the output backwards, as far as they are ordered.
fn from_the_output(layers: &[Layer], output: PopulationId) -> Vec<usize> {
    let mut order: Vec<usize> = (0..layers.len()).filter(|&l| layers[l].population == output).collect();
    let mut k = 0;
    while k < order.len() {
        for block in &layers[order[k]].features.blocks {
            if let Some(l) = layers.iter().position(|l| l.population == block.pre).filter(|l| !order.contains(l)) {
                order.push(l);
            }
        }
        k += 1;
    }
    order
}

/// Importance of rows from what they drive, and power of columns.
fn weigh(state: &mut [Dense], order: &[usize], drives: &[Vec<(usize, usize, usize)>], options: &Options) {
    let mut importance: Vec<Vec<f32>> =
        state.iter().map(|d| vec![if d.population == options.output { 1.0 } else { 0.0 }; d.rows.len()]).collect();
    for &l in order {
        let d = &mut state[l];
        d.power.fill(0.0);
        for j in (0..d.rows.len()).filter(|&j| d.rows[j]) {
            let i = importance[l][j];
            d.power.iter_mut().zip(&d.weights[j * d.n..(j + 1) * d.n]).for_each(|(p, w)| *p += i * w * w);
        }
        for &(from, row, column) in &drives[l] {
            importance[from][row] += options.balance * state[l].power[column];
        }
    }
}

fn take_column(d: &mut Dense, c: usize) {
    let n = d.n;
    let column: Vec<f32> = d.inverse[c * n..(c + 1) * n].to_vec();
    let diagonal = column[c].max(f32::MIN_POSITIVE);
    for row in d.weights.chunks_mut(n) {
        let factor = row[c] / diagonal;
        if factor != 0.0 {
            row.iter_mut().zip(&column).for_each(|(w, x)| *w -= factor * x);
        }
        row[c] = 0.0;
    }
    for (row, &x) in d.inverse.chunks_mut(n).zip(&column) {
        let factor = x / diagonal;
        if factor != 0.0 {
            row.iter_mut().zip(&column).for_each(|(a, y)| *a -= factor * y);
        }
    }
    d.inverse[c * n + c] = 1.0;
    d.columns[c] = false;
    // What is gone must not come back by rounding.
    for k in (0..n).filter(|&k| !d.columns[k]) {
        d.weights.chunks_mut(n).for_each(|row| row[k] = 0.0);
    }
}

/// Cost of a column (its list) and of a row (a synapse of each list), by layer.
struct Costs {
    list: Vec<f64>,
    row: Vec<f64>,
    all: f64,
}

impl Costs {
    fn new(state: &[Dense], cost: Cost) -> Self {
        let left = |flags: &[bool]| flags.iter().filter(|f| **f).count();
        let neurons: usize = state.iter().map(|d| left(&d.rows)).sum();
        let mut costs = Costs { list: Vec::new(), row: Vec::new(), all: 0.0 };
        for (l, d) in state.iter().enumerate() {
            let (rows, columns) = (left(&d.rows), left(&d.columns));
            let (list, each) = match cost {
                Cost::Synapses => (rows as f64, 1.0),
                Cost::Words(target, bits) => {
                    let most = *target.packed().core.compartments;
                    let lists = Lists::new(target, bits[l], (neurons as u32).clamp(1, most));
                    let of = |n: usize| lists.cost(&(0..n as u32).collect::<Vec<_>>());
                    // Over ten posts, so that the steps of words don't show.
                    (of(rows), (of(rows + 10) - of(rows)).max(0.0) / 10.0)
                }
            };
            costs.all += list * columns as f64;
            costs.list.push(list);
            costs.row.push(each * columns as f64);
        }
        costs
    }
}
