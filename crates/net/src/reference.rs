//! The reference interpreter: what a net does, in network steps, without chips, skews or cores.
//!
//! In: a net, a sample's spikes and drives. Out: spikes and potentials through an [`Observer`].
//! Invariant: docs/semantics.md, sections 1 to 3. A spike of step t acts in step t + delay; populations are computed in an order in
//! which delays of 0 run from earlier to later. Float sums add up by projection in net order, within it by delay ascending
//! (a projection with one delay has none of that), then by presynaptic index ascending, and the host's current last.
//! Cost: an addition a synaptic event; spikes are kept for as many steps as the longest delay that leaves their population.
//! Why: the plain loop that the chip image and the simulator are measured by. It shares no code with the simulator.

use crate::check::NetError;
use crate::drive::{Drive, fixed_drive, float_drive};
use crate::dynamics::{Counters, Dynamics, NeuronState, ValueError};
use crate::fixed::Fixed;
use crate::float::Float;
use crate::ids::PopulationId;
use crate::net::{Net, Number, Population, Projection, Role};
use crate::synapses::{Delays, FlatRow};
use spikec_data::{SpikeTrain, Stimulus};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Why a net or a sample can't be interpreted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the messages say what the fields are
pub enum ReferenceError {
    #[error(transparent)]
    Net(#[from] NetError),
    #[error(transparent)]
    Value(#[from] ValueError),
    #[error("no population of the cycle {} can be computed first: all its delays are 0", cycle.join(" -> "))]
    Cycle { cycle: Vec<String> },
    #[error("the sample has {found} {kind} channels, expected {expected}")]
    Width { kind: &'static str, found: u32, expected: usize },
    #[error("the sample has {found} frames of values, expected {expected} steps")]
    TooFewFrames { found: u32, expected: u32 },
    #[error("the sample is constant: how many steps?")]
    NoSteps,
}

impl ReferenceError {
    /// A remedy.
    pub fn hint(&self) -> String {
        match self {
            ReferenceError::Net(e) => return e.hint(),
            ReferenceError::Value(_) => "the file is damaged, or its registers are not those of a packed core",
            ReferenceError::Cycle { .. } => "give a projection of the cycle a delay of at least 1 step",
            ReferenceError::Width { .. } => "use data of the network's input shape",
            ReferenceError::TooFewFrames { .. } => "run fewer steps, or give a frame for each",
            ReferenceError::NoSteps => "give the number of steps with --steps",
        }
        .to_string()
    }
}

/// Watches a run. Called for each neuron population (not for inputs) in each network step, in computed order.
pub trait Observer<N: Dynamics> {
    /// `u` and `v` after the step (a neuron that fired is already reset), `fired` the neurons that fired, ascending (indices now).
    fn step(&mut self, t: u32, population: PopulationId, u: &[N::Value], v: &[N::Value], fired: &[u32]);
}

/// Synapses of a stored row with the same delay.
#[derive(Debug, Clone, Copy)]
struct Segment {
    delay: u16,
    /// Place among the row's synapses in the order of delays.
    start: u32,
    end: u32,
}

/// Where the delays of rows are.
enum Segments {
    /// One delay for all.
    Uniform,
    /// `of_row` is the kind of each row; segments `begins[kind]..begins[kind + 1]` are its own, delays ascending.
    Each { of_row: Vec<u32>, begins: Vec<u32>, segments: Vec<Segment> },
}

/// A projection as the loop reads it: posts and weights of shared rows, those of a row in the order of delays.
struct Table<'a, A: Clone> {
    pre: usize,
    /// Delays that occur, ascending.
    delays: Vec<u16>,
    rows: Vec<FlatRow>,
    segments: Segments,
    posts: Cow<'a, [u32]>,
    weights: Cow<'a, [A]>,
}

impl<'a, A: Copy> Table<'a, A> {
    fn new<N: Dynamics<Acting = A>>(rules: &N::Rules, projection: &'a Projection<N>) -> Self {
        let flat = projection.synapses.flat();
        let weights = N::acting(rules, &projection.format, flat.weights);
        let pre = projection.pre.index();
        let each = match flat.delays {
            Delays::Uniform(d) => {
                let posts = Cow::Borrowed(flat.posts);
                return Table { pre, delays: vec![*d], rows: flat.rows, segments: Segments::Uniform, posts, weights };
            }
            Delays::Each(each) => each,
        };
        // Shared rows are sorted once each.
        let mut known: BTreeMap<(u32, u32, u32), (u32, u32)> = BTreeMap::new();
        let (mut posts, mut acting): (Vec<u32>, Vec<A>) = (Vec::new(), Vec::new());
        let (mut begins, mut segments): (Vec<u32>, Vec<Segment>) = (Vec::new(), Vec::new());
        let mut delays = BTreeSet::new();
        let mut rows = flat.rows;
        let mut of_row = Vec::with_capacity(rows.len());
        for row in &mut rows {
            let next = (begins.len() as u32, posts.len() as u32);
            let (kind, start) = *known.entry((row.posts, row.weights, row.len)).or_insert_with(|| {
                let mut order: Vec<u32> = (0..row.len).collect();
                order.sort_by_key(|&k| each[(row.posts + k) as usize]);
                begins.push(segments.len() as u32);
                let first = segments.len();
                for (place, &k) in (0..).zip(&order) {
                    let delay = each[(row.posts + k) as usize];
                    match segments[first..].last_mut() {
                        Some(segment) if segment.delay == delay => segment.end = place + 1,
                        _ => {
                            delays.insert(delay);
                            segments.push(Segment { delay, start: place, end: place + 1 });
                        }
                    }
                }
                posts.extend(order.iter().map(|&k| flat.posts[(row.posts + k) as usize]));
                acting.extend(order.iter().map(|&k| weights[(row.weights + k) as usize]));
                next
            });
            (row.posts, row.weights) = (start, start);
            of_row.push(kind);
        }
        begins.push(segments.len() as u32);
        Table {
            pre,
            delays: delays.into_iter().collect(),
            rows,
            segments: Segments::Each { of_row, begins, segments },
            posts: posts.into(),
            weights: acting.into(),
        }
    }

    /// The base, relative posts and weights of the synapses that leave `pre` with `delay`.
    #[inline]
    fn row(&self, pre: u32, delay: u16) -> (usize, &[u32], &[A]) {
        let row = self.rows[pre as usize];
        let (start, end) = match &self.segments {
            Segments::Uniform => (0, row.len),
            Segments::Each { of_row, begins, segments } => {
                let kind = of_row[pre as usize] as usize;
                let segments = &segments[begins[kind] as usize..begins[kind + 1] as usize];
                match segments.binary_search_by_key(&delay, |s| s.delay) {
                    Ok(k) => (segments[k].start, segments[k].end),
                    Err(_) => (0, 0),
                }
            }
        };
        let place = |first: u32| (first + start) as usize..(first + end) as usize;
        (row.base as usize, &self.posts[place(row.posts)], &self.weights[place(row.weights)])
    }
}

/// What any interpreter of a net needs.
pub(crate) struct Frame {
    /// Neuron populations in computed order.
    pub order: Vec<usize>,
    /// For each population, the longest delay that leaves it.
    pub reach: Vec<usize>,
    /// Spike inputs.
    pub inputs: Vec<InputChannels>,
}

impl Frame {
    /// Checks the net.
    pub fn new<N: Dynamics>(net: &Net<N>) -> Result<Self, ReferenceError> {
        net.check()?;
        N::check(net)?;
        let order = computed_order(net).map_err(|cycle| ReferenceError::Cycle { cycle })?;
        let mut reach = vec![0; net.populations.len()];
        for p in net.projections.iter().filter(|p| !p.synapses.is_empty()) {
            let longest = &mut reach[p.pre.index()];
            *longest = (*longest).max(p.synapses.delay_bounds().1 as usize);
        }
        let mut first = 0u32;
        let mut inputs = Vec::new();
        for (i, p) in net.populations.iter().enumerate().filter(|(_, p)| matches!(p.role, Role::SpikeInput)) {
            inputs.push(InputChannels::of(i, p, first));
            first = first.saturating_add(p.trained_len() as u32);
        }
        Ok(Frame { order, reach, inputs })
    }
}

/// A net, ready to run any number of samples, from any number of threads.
pub struct Interpreter<'a, N: Dynamics> {
    net: &'a Net<N>,
    /// Neuron populations in computed order.
    order: Vec<usize>,
    /// For each population, the projections that end there, in net order.
    incoming: Vec<Vec<Table<'a, N::Acting>>>,
    /// For each population, the longest delay that leaves it.
    reach: Vec<usize>,
    /// Spike inputs.
    inputs: Vec<InputChannels>,
}

impl<'a, N: Dynamics> Interpreter<'a, N> {
    /// Checks the net and prepares its tables.
    ///
    /// Errors: a net that isn't well formed, values beyond the arithmetic, a cycle of populations whose delays are all 0.
    pub fn new(net: &'a Net<N>) -> Result<Self, ReferenceError> {
        let Frame { order, reach, inputs } = Frame::new(net)?;
        let mut incoming: Vec<Vec<_>> = net.populations.iter().map(|_| Vec::new()).collect();
        for p in net.projections.iter().filter(|p| !p.synapses.is_empty()) {
            incoming[p.post.index()].push(Table::new(&net.rules, p));
        }
        Ok(Interpreter { net, order, incoming, reach, inputs })
    }

    /// The net.
    pub fn net(&self) -> &'a Net<N> {
        self.net
    }

    /// Neuron populations in an order in which delays of 0 run from earlier to later.
    pub fn order(&self) -> impl Iterator<Item = PopulationId> + '_ {
        self.order.iter().map(|&p| PopulationId::from(p))
    }

    /// Runs one sample for `steps` network steps from the initial state.
    ///
    /// Channels of `spikes` are those of the spike inputs as trained, one population after the other; spikes on channels
    /// that were removed or don't exist do nothing, and there are none beyond the train's end. At most one drive a population.
    pub fn run(&self, spikes: Option<&SpikeTrain>, drives: &[Drive<N::Analog>], steps: u32, observer: &mut impl Observer<N>) -> Counters {
        let populations = &self.net.populations;
        let mut counters = Counters::default();
        // What fired in the last steps: history[population][step modulo its length].
        let mut history: Vec<Vec<Vec<u32>>> = self.reach.iter().map(|&d| vec![Vec::new(); d + 1]).collect();
        let mut u: Vec<Vec<N::Value>> = populations.iter().map(|p| vec![N::Value::default(); p.neurons().len()]).collect();
        let mut v: Vec<Vec<N::Value>> = populations.iter().map(|p| p.neurons().iter().map(N::start).collect()).collect();
        let mut wait: Vec<Vec<u8>> = populations.iter().map(|p| vec![0; p.neurons().len()]).collect();
        let mut sums = vec![N::Sum::default(); populations.iter().map(|p| p.neurons().len()).max().unwrap_or(0)];
        for t in 0..steps {
            for input in &self.inputs {
                let p = input.population;
                let slot = t as usize % history[p].len();
                history[p][slot].clear();
                let Some(train) = spikes else { continue };
                input.append(train.at(t), &mut history[p][slot]);
            }
            for &p in &self.order {
                let neurons = populations[p].neurons();
                let sums = &mut sums[..neurons.len()];
                sums.fill(N::Sum::default());
                for table in &self.incoming[p] {
                    accumulate::<N>(table, &history[table.pre], t, sums);
                }
                let host = drives.iter().rfind(|d| d.post.index() == p).and_then(|d| d.at(t));
                let slot = t as usize % history[p].len();
                let fired = &mut history[p][slot];
                fired.clear();
                for (j, neuron) in neurons.iter().enumerate() {
                    let state = NeuronState { u: &mut u[p][j], v: &mut v[p][j], wait: &mut wait[p][j] };
                    let given = host.and_then(|frame| frame.get(j).copied());
                    if N::step(&self.net.rules, neuron, state, sums[j], given, &mut counters) {
                        fired.push(j as u32);
                    }
                }
                observer.step(t, PopulationId::from(p), &u[p], &v[p], fired);
            }
        }
        counters
    }

    /// Appends the channels (indices now) of the spike input `population` that spike in network step `t`, ascending.
    pub fn input_spikes(&self, train: &SpikeTrain, population: PopulationId, t: u32, out: &mut Vec<u32>) {
        if let Some(input) = self.inputs.iter().find(|i| i.population == population.index()) {
            input.append(train.at(t), out);
        }
    }

    /// Checks that a sample fits the net and the number of steps; the number of steps.
    fn check_sample(&self, stimulus: &Stimulus, steps: Option<u32>) -> Result<u32, ReferenceError> {
        let (kind, expected) = match stimulus {
            Stimulus::Spikes(_) => ("spike", self.net.spike_width()),
            Stimulus::Values(_) => ("value", self.net.value_width()),
        };
        let found = stimulus.width();
        if found as usize != expected {
            return Err(ReferenceError::Width { kind, found, expected });
        }
        let steps = steps.or(stimulus.steps()).ok_or(ReferenceError::NoSteps)?;
        match stimulus {
            Stimulus::Values(values) if values.frame_count() < if values.constant { 1 } else { steps } => {
                Err(ReferenceError::TooFewFrames { found: values.frame_count(), expected: steps })
            }
            _ => Ok(steps),
        }
    }
}

impl Interpreter<'_, Float> {
    /// Runs a sample of spikes or values; `steps` overrides the sample's own length.
    pub fn sample(&self, stimulus: &Stimulus, steps: Option<u32>, record: bool) -> Result<ReferenceRun, ReferenceError> {
        let steps = self.check_sample(stimulus, steps)?;
        Ok(match stimulus {
            Stimulus::Spikes(train) => run_sample(self, Some(train), &[], steps, record),
            Stimulus::Values(values) => run_sample(self, None, &float_drive(self.net, values), steps, record),
        })
    }
}

impl Interpreter<'_, Fixed> {
    /// Runs a sample of spikes or values, and counts the saturated biases; `steps` overrides the sample's own length,
    /// `mantissa_max` and `exponent_max` are those of the target's bias registers.
    pub fn sample(
        &self,
        stimulus: &Stimulus,
        steps: Option<u32>,
        (mantissa_max, exponent_max): (i16, u8),
        record: bool,
    ) -> Result<(ReferenceRun, u64), ReferenceError> {
        let steps = self.check_sample(stimulus, steps)?;
        Ok(match stimulus {
            Stimulus::Spikes(train) => (run_sample(self, Some(train), &[], steps, record), 0),
            Stimulus::Values(values) => {
                let (drives, saturations) = fixed_drive(self.net, values, mantissa_max, exponent_max);
                (run_sample(self, None, &drives, steps, record), saturations)
            }
        })
    }
}

/// Adds to `sums` the weights of the spikes that act in step `t`.
fn accumulate<N: Dynamics>(table: &Table<N::Acting>, history: &[Vec<u32>], t: u32, sums: &mut [N::Sum]) {
    for &delay in table.delays.iter().take_while(|&&d| d as u32 <= t) {
        for &pre in &history[(t - delay as u32) as usize % history.len()] {
            let (base, posts, weights) = table.row(pre, delay);
            let sums = &mut sums[base..];
            for (&post, &weight) in posts.iter().zip(weights) {
                N::add(&mut sums[post as usize], weight);
            }
        }
    }
}

/// The channels of a spike input, now and among those of all inputs as trained.
pub(crate) struct InputChannels {
    /// The population.
    pub population: usize,
    /// Its first channel as trained.
    first: u32,
    trained: u32,
    now: Places,
}

/// Where channels are that were numbered as trained.
enum Places {
    /// Where they were.
    Same,
    /// By channel as trained, [`GONE`] where it was removed.
    Table(Vec<u32>),
    /// The channels that are left, ascending: where a table would be much longer.
    Left(Vec<u32>),
}

/// A channel that was removed.
const GONE: u32 = u32::MAX;
/// A table has at most so many entries for each channel that is left.
const SPARSEST_TABLE: usize = 64;

impl InputChannels {
    fn of<N: Number>(population: usize, input: &Population<N>, first: u32) -> Self {
        let (trained, left) = (input.trained_len(), input.origin.len());
        let now = if left == trained {
            Places::Same
        } else if trained / SPARSEST_TABLE > left {
            Places::Left(input.origin.clone())
        } else {
            let mut places = vec![GONE; trained];
            input.origin.iter().zip(0..).for_each(|(&origin, now)| places[origin as usize] = now);
            Places::Table(places)
        };
        InputChannels { population, first, trained: trained as u32, now }
    }

    /// Appends the channels (now) that spike, given those of all inputs as trained.
    pub fn append(&self, spikes: &[u32], out: &mut Vec<u32>) {
        let of_population = spikes.iter().filter_map(|&c| c.checked_sub(self.first)).filter(|&c| c < self.trained);
        match &self.now {
            Places::Same => out.extend(of_population),
            Places::Table(places) => out.extend(of_population.map(|c| places[c as usize]).filter(|&c| c != GONE)),
            Places::Left(left) => out.extend(of_population.filter_map(|c| left.binary_search(&c).ok()).map(|now| now as u32)),
        }
    }
}

/// Neuron populations in an order in which every delay of 0 runs from earlier to later (Kahn; the smallest id first),
/// or the names along a cycle of such delays, the first name again at the end.
fn computed_order<N: Number>(net: &Net<N>) -> Result<Vec<usize>, Vec<String>> {
    let n = net.populations.len();
    let mut next: Vec<Vec<usize>> = vec![Vec::new(); n];
    let mut before = vec![0usize; n];
    for p in net.projections.iter().filter(|p| !p.synapses.is_empty() && p.synapses.delay_bounds().0 == 0) {
        if !net.population(p.pre).is_input() {
            next[p.pre.index()].push(p.post.index());
            before[p.post.index()] += 1;
        }
    }
    let mut ready: BTreeSet<usize> = (0..n).filter(|&i| before[i] == 0).collect();
    let mut order = Vec::with_capacity(n);
    while let Some(i) = ready.pop_first() {
        order.push(i);
        for &j in &next[i] {
            before[j] -= 1;
            if before[j] == 0 {
                ready.insert(j);
            }
        }
    }
    let Some(stuck) = (0..n).find(|&i| before[i] > 0) else {
        order.retain(|&i| !net.populations[i].is_input());
        return Ok(order);
    };
    // Every population that is left has one before it that is left too: walking back must return to where it was.
    let mut path = vec![stuck];
    loop {
        let last = path[path.len() - 1];
        let back = (0..n).find(|&i| before[i] > 0 && next[i].contains(&last)).expect("something holds this population up");
        if let Some(start) = path.iter().position(|&i| i == back) {
            let mut cycle: Vec<String> = path[start..].iter().rev().map(|&i| net.populations[i].name.clone()).collect();
            cycle.push(cycle[0].clone());
            return Err(cycle);
        }
        path.push(back);
    }
}

/// Result of one sample. `out_*` and `potentials` are by index as trained of the output population; a removed neuron has 0 and `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReferenceRun {
    /// Spikes of each output.
    pub out_counts: Vec<u32>,
    /// First network step in which each output fired.
    pub first_spike: Vec<Option<u32>>,
    /// Potential of each output after the last step.
    pub potentials: Vec<f64>,
    /// `spikes[population][step]` = neurons that fired, ascending (indices now); inputs have none. Empty unless recorded.
    pub spikes: Vec<Vec<Vec<u32>>>,
    /// Registers that were too small.
    pub counters: Counters,
}

/// An observer that gathers a [`ReferenceRun`].
#[derive(Debug)]
pub struct Recorder<'a> {
    origin: &'a [u32],
    output: PopulationId,
    record: bool,
    run: ReferenceRun,
}

impl<'a> Recorder<'a> {
    /// A recorder for runs of `net`; `record` keeps every spike of every population.
    pub fn new<N: Number>(net: &'a Net<N>, record: bool) -> Self {
        let output = net.population(net.output);
        let n = output.trained_len();
        let spikes = if record { vec![Vec::new(); net.populations.len()] } else { Vec::new() };
        let run = ReferenceRun {
            out_counts: vec![0; n],
            first_spike: vec![None; n],
            potentials: vec![0.0; n],
            spikes,
            counters: Counters::default(),
        };
        Recorder { origin: &output.origin, output: net.output, record, run }
    }

    /// What was gathered.
    pub fn finish(self, counters: Counters) -> ReferenceRun {
        ReferenceRun { counters, ..self.run }
    }
}

impl<N: Dynamics> Observer<N> for Recorder<'_> {
    fn step(&mut self, t: u32, population: PopulationId, _: &[N::Value], v: &[N::Value], fired: &[u32]) {
        if self.record {
            self.run.spikes[population.index()].push(fired.to_vec());
        }
        if population != self.output {
            return;
        }
        for &j in fired {
            let trained = self.origin[j as usize] as usize;
            self.run.out_counts[trained] += 1;
            self.run.first_spike[trained].get_or_insert(t);
        }
        for (&trained, &v) in self.origin.iter().zip(v) {
            self.run.potentials[trained as usize] = v.into();
        }
    }
}

/// Runs one sample (see [`Interpreter::run`]) and gathers its result; `record` keeps every spike.
pub fn run_sample<N: Dynamics>(
    interpreter: &Interpreter<'_, N>,
    spikes: Option<&SpikeTrain>,
    drives: &[Drive<N::Analog>],
    steps: u32,
    record: bool,
) -> ReferenceRun {
    let mut recorder = Recorder::new(interpreter.net, record);
    let counters = interpreter.run(spikes, drives, steps, &mut recorder);
    recorder.finish(counters)
}

#[cfg(test)]
mod tests;
