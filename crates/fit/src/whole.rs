//! Removals of whole sources from dense layers: input channels and neurons, with all their synapses.
//!
//! In: layers in which every neuron hears every feature. Out: a [`Course`] like any other.
//! Invariant: what is left is dense, so that entries without indices hold it. `None` where a layer is not dense.
//! Method: optimal brain surgeon on columns: all rows of a layer share the inverse, and a column costs the sum over rows of `w^2 / [H^-1]`.
//! Cost: neurons features + features^2 multiplications a removal.

use crate::layer::Layer;
use crate::list::Lists;
use crate::sculpt::{At, Cost, Course, Options};
use spikec_chip::Target;
use spikec_net::PopulationId;

/// How the cores of a budget are dealt out, where a layer hears more than the axons of a core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Neurons of each layer that stay, at most.
    pub neurons: Vec<usize>,
    /// Parts of each layer, each of which hears axons of its own.
    pub parts: Vec<usize>,
}

impl Plan {
    /// Nothing is dealt out: all neurons of a layer hear the same.
    pub fn whole(layers: usize) -> Self {
        Plan { neurons: vec![usize::MAX; layers], parts: vec![1; layers] }
    }

    /// The ways to deal `cores` cores out: some to the output layer, the others to the hidden ones by their neurons. None where every layer
    /// finds room in one core's axons.
    pub fn of_cores(layers: &[Layer], output: PopulationId, target: &Target, cores: usize) -> Vec<Self> {
        let core = &target.packed().core;
        let (axons, compartments) = (*core.in_axons as usize, *core.compartments as usize);
        if layers.iter().all(|l| l.moments.count <= axons) || cores <= layers.len() {
            return Vec::new();
        }
        let hidden: usize = layers.iter().filter(|l| l.population != output).map(|l| l.rows.len()).sum();
        let outputs = layers.iter().find(|l| l.population == output).map_or(0, |l| l.rows.len());
        let of_output = |given: usize| -> Option<Plan> {
            let rest = cores.checked_sub(given)?;
            let mut plan = Plan { neurons: Vec::new(), parts: Vec::new() };
            for layer in layers {
                let n = layer.rows.len();
                let parts = if layer.population == output { given } else { (rest * n / hidden.max(1)).min(n.div_ceil(compartments)) };
                plan.neurons.push(if layer.population == output { n } else { parts * compartments });
                plan.parts.push(parts);
            }
            let fits =
                plan.parts.iter().zip(layers).all(|(&parts, l)| parts > 0 && (l.population != output || parts * compartments >= outputs));
            fits.then_some(plan)
        };
        (1..=outputs.min(cores / 2)).filter_map(of_output).collect()
    }
}

/// A part of a layer that loses columns and rows.
#[derive(Clone)]
struct Dense {
    layer: usize,
    n: usize,
    /// Inverse of the moments, n x n.
    inverse: Vec<f32>,
    /// Weights, rows of the layer x n; 0 for rows of other parts.
    weights: Vec<f32>,
    /// Columns, and rows of this part, that are left.
    columns: Vec<bool>,
    rows: Vec<bool>,
    /// Sum over rows of importance times squared weight, by column; as of the last removal.
    power: Vec<f32>,
}

/// A channel or neuron: the columns of its spikes (by layer), and the row that it is.
struct Source {
    columns: Vec<(usize, usize)>,
    row: Option<(usize, usize)>,
    there: bool,
}

/// A course of whole removals.
pub fn course(layers: &[Layer], options: &Options, cost: Cost, plan: &Plan) -> Option<Course> {
    let dense = |l: &Layer| l.moments.count > 0 && l.rows.iter().all(|r| r.len() == l.moments.count);
    if layers.is_empty() || !layers.iter().all(dense) {
        return None;
    }
    let mut state = State::new(layers, options, cost);
    state.deal(plan);
    state.run();
    Some(state.course)
}

/// What may go next.
#[derive(Clone, Copy)]
enum Turn {
    /// A channel or neuron.
    Source(usize),
    /// What one part hears of it.
    Column(usize, usize),
}

struct State<'a> {
    layers: &'a [Layer],
    options: &'a Options,
    cost: Cost<'a>,
    parts: Vec<Dense>,
    sources: Vec<Source>,
    /// Source of each column, by layer.
    source_of: Vec<Vec<usize>>,
    /// Layers from the output backwards.
    order: Vec<usize>,
    course: Course,
    error: f64,
}

impl<'a> State<'a> {
    fn new(layers: &'a [Layer], options: &'a Options, cost: Cost<'a>) -> Self {
        let parts: Vec<Dense> = layers
            .iter()
            .enumerate()
            .map(|(layer, l)| {
                let n = l.moments.count;
                let mut weights = vec![0f32; l.rows.len() * n];
                for (j, row) in l.rows.iter().enumerate() {
                    l.features.rows[j].iter().zip(row).for_each(|(s, &w)| weights[j * n + s.feature as usize] = w);
                }
                let (columns, rows) = (vec![true; n], vec![true; l.rows.len()]);
                Dense { layer, n, inverse: l.inverse(), weights, columns, rows, power: vec![0.0; n] }
            })
            .collect();
        let sources = sources(layers, options.output);
        let mut source_of: Vec<Vec<usize>> = layers.iter().map(|l| vec![0; l.moments.count]).collect();
        for (k, s) in sources.iter().enumerate() {
            s.columns.iter().for_each(|&(l, c)| source_of[l][c] = k);
        }
        let order = from_the_output(layers, options.output);
        State { layers, options, cost, parts, sources, source_of, order, course: Course::default(), error: 0.0 }
    }

    /// Deals cores out, from the output backwards: what a layer no longer hears needs no place in the layer before.
    fn deal(&mut self, plan: &Plan) {
        for l in self.order.clone() {
            self.thin_out(l, plan.neurons[l]);
            self.split(l, plan.parts[l]);
            self.narrow(l);
        }
    }

    /// Takes neurons of least loss until a layer has `most`.
    fn thin_out(&mut self, l: usize, most: usize) {
        loop {
            self.weigh();
            let left: usize = self.parts.iter().filter(|p| p.layer == l).map(|p| p.rows.iter().filter(|r| **r).count()).sum();
            let of_layer = |k: &usize| self.sources[*k].there && self.sources[*k].row.is_some_and(|(at, _)| at == l);
            let candidates = (0..self.sources.len()).filter(of_layer);
            let best = candidates.min_by(|&a, &b| self.loss(Turn::Source(a)).total_cmp(&self.loss(Turn::Source(b))));
            let Some(best) = best.filter(|_| left > most) else { break };
            self.step(&Costs::new(&self.parts, self.cost));
            self.take(Turn::Source(best));
        }
    }

    /// Gives each part of a layer its neurons, in order.
    fn split(&mut self, l: usize, parts: usize) {
        let Some(at) = self.parts.iter().position(|p| p.layer == l).filter(|_| parts > 1) else { return };
        let whole = self.parts.remove(at);
        let left: Vec<usize> = (0..whole.rows.len()).filter(|&j| whole.rows[j]).collect();
        for own in left.chunks(left.len().div_ceil(parts).max(1)) {
            let mut piece = whole.clone();
            piece.rows.fill(false);
            own.iter().for_each(|&j| piece.rows[j] = true);
            for (j, row) in piece.weights.chunks_mut(piece.n).enumerate() {
                if !piece.rows[j] {
                    row.fill(0.0);
                }
            }
            self.parts.push(piece);
        }
    }

    /// Takes from each part of a layer, where there are several, what it can't hear. What one hears doesn't change another, so each loses
    /// its least.
    fn narrow(&mut self, l: usize) {
        let several = self.parts.iter().filter(|p| p.layer == l).count() > 1;
        loop {
            self.weigh();
            let wide: Vec<usize> = (0..self.parts.len()).filter(|&p| several && self.parts[p].layer == l && self.is_wide(p)).collect();
            if wide.is_empty() {
                break;
            }
            self.step(&Costs::new(&self.parts, self.cost));
            for p in wide {
                let columns = (0..self.parts[p].n).filter(|&c| self.parts[p].columns[c]).map(|c| Turn::Column(p, c));
                if let Some(least) = columns.min_by(|&a, &b| self.loss(a).total_cmp(&self.loss(b))) {
                    self.take(least);
                }
            }
        }
    }

    /// Whether the rows of a part hear more axons than a core has, so that they can't be placed.
    fn is_wide(&self, p: usize) -> bool {
        let axons = match self.cost {
            Cost::Synapses => usize::MAX,
            Cost::Words(target, _) => *target.packed().core.in_axons as usize,
        };
        self.parts[p].rows.contains(&true) && self.parts[p].columns.iter().filter(|c| **c).count() > axons
    }

    fn run(&mut self) {
        self.course.placeable = self.course.steps.len();
        let several: Vec<bool> = self.parts.iter().map(|p| self.parts.iter().filter(|q| q.layer == p.layer).count() > 1).collect();
        loop {
            self.weigh();
            let costs = Costs::new(&self.parts, self.cost);
            self.step(&costs);
            // Columns of what can't be placed go first.
            let wide: Vec<bool> = (0..self.parts.len()).map(|p| self.is_wide(p)).collect();
            if wide.contains(&true) {
                self.course.placeable = self.course.steps.len();
            }
            let mut turns: Vec<Turn> = (0..self.sources.len()).filter(|&k| self.sources[k].there).map(Turn::Source).collect();
            if wide.contains(&true) {
                let reaches = |t: &Turn| matches!(t, Turn::Source(k) if self.columns(*k).any(|(p, _)| wide[p]));
                turns.retain(reaches);
            }
            for p in (0..self.parts.len()).filter(|&p| several[p] && !wide.contains(&true)) {
                turns.extend((0..self.parts[p].n).filter(|&c| self.parts[p].columns[c]).map(|c| Turn::Column(p, c)));
            }
            let price = |&turn: &Turn| {
                let saved: f64 = match turn {
                    Turn::Column(p, _) => costs.list[p],
                    Turn::Source(k) => {
                        let of_columns: f64 = self.columns(k).map(|(p, _)| costs.list[p]).sum();
                        of_columns + self.sources[k].row.map_or(0.0, |(l, j)| self.part_of(l, j).map_or(0.0, |p| costs.row[p]))
                    }
                };
                (saved > 0.0).then(|| (self.loss(turn) / saved, turn))
            };
            let Some((_, best)) = turns.iter().filter_map(price).min_by(|a, b| a.0.total_cmp(&b.0)) else { break };
            self.take(best);
        }
    }

    fn step(&mut self, costs: &Costs) {
        self.course.steps.push((self.course.removed.len() as u32, costs.all, self.error));
    }

    /// Columns of a source that are left: part, column.
    fn columns(&self, source: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        let of = move |(l, c): (usize, usize)| {
            (0..self.parts.len()).filter(move |&p| self.parts[p].layer == l && self.parts[p].columns[c]).map(move |p| (p, c))
        };
        self.sources[source].columns.iter().flat_map(move |&at| of(at))
    }

    /// The part that neuron j of layer l is in.
    fn part_of(&self, l: usize, j: usize) -> Option<usize> {
        (0..self.parts.len()).find(|&p| self.parts[p].layer == l && self.parts[p].rows[j])
    }

    fn loss(&self, turn: Turn) -> f64 {
        let of = |(p, c): (usize, usize)| {
            let part = &self.parts[p];
            f64::from(part.power[c] / part.inverse[c * part.n + c])
        };
        match turn {
            Turn::Column(p, c) => of((p, c)),
            Turn::Source(k) => self.columns(k).map(of).sum(),
        }
    }

    fn take(&mut self, turn: Turn) {
        self.error += self.loss(turn);
        let (columns, source): (Vec<(usize, usize)>, usize) = match turn {
            Turn::Column(p, c) => (vec![(p, c)], self.source_of[self.parts[p].layer][c]),
            Turn::Source(k) => (self.columns(k).collect(), k),
        };
        for (p, c) in columns {
            let part = &mut self.parts[p];
            take_column(part, c);
            let gone = (0..part.rows.len()).filter(|&j| part.rows[j]).map(|j| at(self.layers, part.layer, j, c));
            self.course.removed.extend(gone);
        }
        if self.columns(source).next().is_some() {
            return;
        }
        self.sources[source].there = false;
        if let Some((l, j)) = self.sources[source].row
            && let Some(p) = self.part_of(l, j)
        {
            let part = &mut self.parts[p];
            let gone = (0..part.n).filter(|&c| part.columns[c]).map(|c| at(self.layers, l, j, c));
            self.course.removed.extend(gone);
            part.rows[j] = false;
            part.weights[j * part.n..(j + 1) * part.n].fill(0.0);
        }
    }

    /// Importance of rows from what they drive, and power of columns.
    fn weigh(&mut self) {
        let output = |l: &Layer| if l.population == self.options.output { 1.0 } else { 0.0 };
        let mut importance: Vec<Vec<f32>> = self.layers.iter().map(|l| vec![output(l); l.rows.len()]).collect();
        for &l in &self.order {
            for part in self.parts.iter_mut().filter(|p| p.layer == l) {
                part.power.fill(0.0);
                for j in (0..part.rows.len()).filter(|&j| part.rows[j]) {
                    let i = importance[l][j];
                    part.power.iter_mut().zip(&part.weights[j * part.n..(j + 1) * part.n]).for_each(|(p, w)| *p += i * w * w);
                }
                for (c, &source) in self.source_of[l].iter().enumerate() {
                    if let Some((from, row)) = self.sources[source].row.filter(|(from, _)| *from != l) {
                        importance[from][row] += self.options.balance * part.power[c];
                    }
                }
            }
        }
    }
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

fn take_column(d: &mut Dense, c: usize) {
    let n = d.n;
    let mut column: Vec<f32> = d.inverse[c * n..(c + 1) * n].to_vec();
    // What is gone must not come back by rounding.
    column.iter_mut().zip(&d.columns).filter(|(_, left)| !**left).for_each(|(x, _)| *x = 0.0);
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
}

/// Cost of a column (its list) and of a row (a synapse of each list), by part.
struct Costs {
    list: Vec<f64>,
    row: Vec<f64>,
    all: f64,
}

impl Costs {
    fn new(state: &[Dense], cost: Cost) -> Self {
        let left = |flags: &[bool]| flags.iter().filter(|f| **f).count();
        let mut costs = Costs { list: Vec::new(), row: Vec::new(), all: 0.0 };
        // Compartments of a core that each part's posts are spread over.
        let neurons: usize = state.iter().map(|d| left(&d.rows)).sum();
        for d in state {
            let (rows, columns) = (left(&d.rows), left(&d.columns));
            let (list, each) = match cost {
                Cost::Synapses => (rows as f64, 1.0),
                Cost::Words(target, bits) => {
                    let most = *target.packed().core.compartments;
                    let lists = Lists::new(target, bits[d.layer], (neurons as u32).clamp(1, most));
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
