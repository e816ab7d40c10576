//! Ties: weights that are one weight in many places, as those of a convolution.
//!
//! In: a net in floats. Out: [`Ties`] of a population whose shape has channels and places, if everything that reaches it is tied.
//! Invariant: equal taps of a channel have equal weights, bit for bit, wherever they are; a place may lack a tap (at a border, or where a single
//! synapse was removed). Ties are found, not declared: whatever was folded into a projection (pooling, batch normalization, a mask on the
//! kernel) keeps them or breaks them by what it does.
//! Cost: a look into a table of taps for each stored synapse (rows that are shifts of one that was seen are not read again), for each stride that
//! its shapes allow; a stride that is wrong ends at the first two weights that differ, or where it has more weights than the best one.

use crate::float::{Float, FloatNeuron};
use crate::ids::{PopulationId, ProjectionId};
use crate::net::{Net, Population, Projection, Role};
use crate::synapses::Row;
use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};

/// Largest stride that is looked for.
const LARGEST_STRIDE: i32 = 16;

/// Channels over places: the last two axes of a shape (or the last one), and what is before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Map {
    channels: u32,
    extent: [i32; 2],
}

impl Map {
    /// Of a shape with `axes` axes of places.
    fn of(shape: &[u32], axes: usize) -> Option<Map> {
        let at = shape.len().checked_sub(axes)?;
        let extent = match shape[at..] {
            [w] => [1, w],
            [h, w] => [h, w],
            _ => return None,
        };
        let channels = shape[..at].iter().try_fold(1u32, |a, &b| a.checked_mul(b))?;
        let extent = [i32::try_from(extent[0]).ok()?, i32::try_from(extent[1]).ok()?];
        (channels > 0 && extent.iter().all(|&e| e > 0)).then_some(Map { channels, extent })
    }

    /// Channel and place of a neuron, by its index as trained.
    fn place(&self, neuron: u32) -> (u32, [i32; 2]) {
        let (w, size) = (self.extent[1] as u32, (self.extent[0] * self.extent[1]) as u32);
        let rest = neuron % size;
        (neuron / size, [(rest / w) as i32, (rest % w) as i32])
    }

    fn neuron(&self, channel: u32, place: [i32; 2]) -> Option<u32> {
        let within = place.iter().zip(self.extent).all(|(&x, e)| (0..e).contains(&x));
        within.then(|| channel * (self.extent[0] * self.extent[1]) as u32 + (place[0] * self.extent[1] + place[1]) as u32)
    }
}

/// Where a weight of a kernel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tap {
    /// Net delay in network steps.
    pub delay: u16,
    /// Channel of the presynaptic population.
    pub channel: u32,
    /// Place relative to the postsynaptic neuron's, in steps of the finer map.
    pub at: [i32; 2],
}

/// The kernels of one projection.
#[derive(Debug, Clone, PartialEq)]
pub struct Kernels {
    /// The projection.
    pub projection: ProjectionId,
    pre: Map,
    post: Map,
    /// For each axis (a, b): a tap is at a * pre - b * post.
    strides: [(i32, i32); 2],
    /// (postsynaptic channel, tap), ascending.
    taps: Vec<(u32, Tap)>,
    weights: Vec<f32>,
}

impl Kernels {
    /// (postsynaptic channel, tap) of each weight, ascending.
    pub fn taps(&self) -> &[(u32, Tap)] {
        &self.taps
    }
    /// Weights in the order of [`Kernels::taps`].
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }
    fn tap(&self, pre: u32, post: u32, delay: u16) -> (u32, Tap) {
        let ((channel, from), (of, to)) = (self.pre.place(pre), self.post.place(post));
        let along = |k: usize| self.strides[k].0 * from[k] - self.strides[k].1 * to[k];
        (of, Tap { delay, channel, at: [along(0), along(1)] })
    }
    /// Index of the weight of a synapse; neurons by their indices as trained. `None` for what is no synapse of the kernels.
    pub fn index(&self, pre: u32, post: u32, delay: u16) -> Option<usize> {
        self.taps.binary_search(&self.tap(pre, post, delay)).ok()
    }
    /// The presynaptic neuron (by its index as trained) that `tap` means for the postsynaptic neuron `post`; `None` beyond the border.
    pub fn source(&self, tap: Tap, post: u32) -> Option<u32> {
        let to = self.post.place(post).1;
        let along = |k: usize| {
            let (a, b) = self.strides[k];
            let x = tap.at[k] + b * to[k];
            (x % a == 0).then_some(x / a)
        };
        self.pre.neuron(tap.channel, [along(0)?, along(1)?])
    }
}

/// A population of kernels.
#[derive(Debug, Clone, PartialEq)]
pub struct Ties {
    /// Channel of each neuron, as numbered here: channels without neurons are not counted.
    pub channel_of: Vec<u32>,
    /// A neuron of each channel with as many synapses as any.
    pub leaders: Vec<u32>,
    /// The channel as trained of each channel.
    pub channels: Vec<u32>,
    /// By projection.
    pub kernels: Vec<Kernels>,
}

impl Ties {
    /// Places of the population's map: neuron `place` of channel c is `c * places + place`, as trained.
    pub fn places(&self) -> u32 {
        let [h, w] = self.kernels[0].post.extent;
        (h * w) as u32
    }

    /// Different taps of all projections: the longest kernel that there can be.
    pub fn tap_count(&self) -> usize {
        let of = |kernels: &Kernels| {
            let mut taps: Vec<Tap> = kernels.taps.iter().map(|t| t.1).collect();
            taps.sort_unstable();
            taps.dedup();
            taps.len()
        };
        self.kernels.iter().map(of).sum()
    }

    /// What each synapse of a projection gets, in their order, of what each weight of its kernels gets.
    ///
    /// # Panics
    /// Where the projection is none of the ties of `net`.
    pub fn spread<T: Copy>(&self, net: &Net<Float>, projection: ProjectionId, of_weights: &[T]) -> Vec<T> {
        let kernels = self.kernels.iter().find(|k| k.projection == projection).expect("a projection of the population");
        let of = net.projection(projection);
        let (from, to) = (&net.population(of.pre).origin, &net.population(of.post).origin);
        let weight = |(pre, post, _, delay)| kernels.index(from[pre as usize], to[post as usize], delay).expect("a synapse has its tap");
        of.synapses.iter().map(|s| of_weights[weight(s)]).collect()
    }

    /// The ties of population `p`; `None` where there are none.
    pub fn of(net: &Net<Float>, p: PopulationId) -> Option<Ties> {
        let population = net.population(p);
        let projections = || net.projections.iter().enumerate().filter(|(_, q)| q.post == p && !q.synapses.is_empty());
        // Shapes don't say whether their first axis is one of places: where it is, there are fewer weights. Maps of two axes come first, for
        // those of one have very many weights where they are wrong, and stop as soon as they have more.
        let mut best: Option<(Map, Vec<Kernels>, usize)> = None;
        for axes in [2, 1] {
            let Some(map) = Map::of(&population.shape, axes).filter(|m| m.extent != [1, 1] && population.shape.len() > 1) else { continue };
            if !alike(population, map) {
                continue;
            }
            let mut room = best.as_ref().map_or(usize::MAX, |b| b.2);
            let of_one = |(k, q)| {
                let found = kernels(net, ProjectionId::from(k), q, map, axes, room)?;
                room -= found.taps.len();
                Some(found)
            };
            if let Some(found) = projections().map(of_one).collect::<Option<Vec<_>>>().filter(|found| !found.is_empty()) {
                let taps = found.iter().map(|k| k.taps.len()).sum();
                best = Some((map, found, taps));
            }
        }
        let (map, kernels, _) = best?;
        Some(number(net, p, map, kernels))
    }
}

/// Do neurons of a channel differ in nothing but their biases?
fn alike(population: &Population<Float>, map: Map) -> bool {
    let Role::Neurons(neurons) = &population.role else { return false };
    let mut of_channel: Vec<Option<&FloatNeuron>> = vec![None; map.channels as usize];
    population.origin.iter().zip(neurons).all(|(&o, n)| {
        let first = *of_channel[map.place(o).0 as usize].get_or_insert(n);
        FloatNeuron { bias: 0.0, ..*first } == FloatNeuron { bias: 0.0, ..*n }
    })
}

fn number(net: &Net<Float>, p: PopulationId, map: Map, kernels: Vec<Kernels>) -> Ties {
    let population = net.population(p);
    let as_trained: Vec<u32> = population.origin.iter().map(|&o| map.place(o).0).collect();
    let mut channels = as_trained.clone();
    channels.sort_unstable();
    channels.dedup();
    let channel_of: Vec<u32> = as_trained.iter().map(|c| channels.partition_point(|other| other < c) as u32).collect();
    let mut synapses = vec![0u32; channel_of.len()];
    for q in net.projections.iter().filter(|q| q.post == p) {
        q.synapses.iter().for_each(|(_, post, _, _)| synapses[post as usize] += 1);
    }
    let mut leaders = vec![u32::MAX; channels.len()];
    for (j, &c) in channel_of.iter().enumerate() {
        let leader = &mut leaders[c as usize];
        if *leader == u32::MAX || synapses[j] > synapses[*leader as usize] {
            *leader = j as u32;
        }
    }
    Ties { channel_of, leaders, channels, kernels }
}

/// Strides (a, b) that an axis may have, for extents before and after.
fn strides(pre: i32, post: i32) -> Vec<(i32, i32)> {
    let most = |long: i32, short: i32| (long.div_euclid(short) + 1).min(LARGEST_STRIDE);
    let mut out = vec![(1, 1)];
    out.extend((2..=most(pre, post)).map(|s| (1, s)));
    out.extend((2..=most(post, pre)).map(|s| (s, 1)));
    out
}

/// The kernels of a projection at the strides that leave the fewest weights, if there is one for every two synapses and `most` of them at most.
fn kernels(net: &Net<Float>, id: ProjectionId, projection: &Projection<Float>, post: Map, axes: usize, most: usize) -> Option<Kernels> {
    let pre = Map::of(&net.population(projection.pre).shape, axes)?;
    let mut best: Option<Kernels> = None;
    for &down in &strides(pre.extent[0], post.extent[0]) {
        for &across in &strides(pre.extent[1], post.extent[1]) {
            let most = best.as_ref().map_or(most.min(projection.synapses.len() / 2), |b| b.taps.len().saturating_sub(1));
            let empty = Kernels { projection: id, pre, post, strides: [down, across], taps: Vec::new(), weights: Vec::new() };
            if let Some(found) = gather(net, projection, empty, most) {
                best = Some(found);
            }
        }
    }
    best
}

/// Rows that say the same as one that was looked at: a row's template, shifted with its presynaptic neuron, gives the same taps.
struct Shifts {
    post: Map,
    /// Posts are numbered as trained but for channels that are gone, so that a template's shape is the same wherever it is.
    whole: bool,
    /// (template, channel before, first post's channel, difference of places).
    seen: HashSet<(u32, u32, u32, [i32; 2])>,
    /// How far a template's posts go from its first one.
    reach: HashMap<u32, [(i32, i32); 2]>,
}

impl Shifts {
    fn of(post: Map, origin: &[u32]) -> Self {
        let size = (post.extent[0] * post.extent[1]) as usize;
        let channel = |c: &[u32]| c[0].is_multiple_of(size as u32) && c[size - 1] - c[0] + 1 == size as u32;
        let whole = origin.len().is_multiple_of(size) && origin.chunks(size).all(channel);
        Shifts { post, whole, seen: HashSet::new(), reach: HashMap::new() }
    }

    /// Whether a row with its first post (as numbered now) and that post's tap says nothing new.
    fn known(&mut self, template: u32, first: u32, row: &Row<f32>, tap: Tap) -> bool {
        if !self.whole {
            return false;
        }
        let (channel, at) = self.post.place(first);
        let post = self.post;
        let reach = *self.reach.entry(template).or_insert_with(|| {
            let mut reach = [(0, 0); 2];
            for to in row.posts().map(|j| post.place(j).1) {
                for k in 0..2 {
                    reach[k] = (reach[k].0.min(to[k] - at[k]), reach[k].1.max(to[k] - at[k]));
                }
            }
            reach
        });
        // A list that would go on in the next line of the map is another shape there.
        let inside = (0..2).all(|k| at[k] + reach[k].0 >= 0 && at[k] + reach[k].1 < post.extent[k]);
        inside && !self.seen.insert((template, tap.channel, channel, tap.at))
    }
}

/// The weights by tap; `None` where two synapses of a tap differ, or there are more than `most`.
fn gather(net: &Net<Float>, projection: &Projection<Float>, mut kernels: Kernels, most: usize) -> Option<Kernels> {
    let (from, to) = (&net.population(projection.pre).origin, &net.population(projection.post).origin);
    let mut weights: HashMap<(u32, Tap), f32> = HashMap::new();
    let mut shifts = Shifts::of(kernels.post, to);
    for (pre, row) in projection.synapses.rows().enumerate().filter(|(_, row)| !row.is_empty()) {
        let first = kernels.tap(from[pre], to[row.base() as usize], 0).1;
        if shifts.known(projection.synapses.template_of(pre), row.base(), &row, first) {
            continue;
        }
        for (post, weight, delay) in row.iter() {
            let known = *weights.entry(kernels.tap(from[pre], to[post as usize], delay)).or_insert(weight);
            if known.to_bits() != weight.to_bits() || weights.len() > most {
                return None;
            }
        }
    }
    let mut sorted: Vec<((u32, Tap), f32)> = weights.into_iter().collect();
    sorted.sort_unstable_by_key(|t| t.0);
    (kernels.taps, kernels.weights) = sorted.into_iter().unzip();
    Some(kernels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::{FireRule, FloatRules, ResetRule};
    use crate::network::Operator;
    use crate::operators::{Axis, Conv};
    use crate::synapses::Synapses;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus as Random;

    fn neuron(bias: f32) -> FloatNeuron {
        FloatNeuron { keep_u: 0.0, keep_v: 0.5, gain: 0.5, bias, threshold: 1.0, v_reset: 0.0 }
    }

    fn net(pre: &[u32], post: &[u32], synapses: Synapses<f32>) -> Net<Float> {
        let population = |name: &str, shape: &[u32], role: Role<Float>| {
            let origin = (0..shape.iter().product()).collect();
            Population { name: name.into(), shape: shape.into(), origin, skew: 0, role }
        };
        let n = post.iter().product::<u32>();
        Net {
            name: "tied".into(),
            rules: FloatRules { fire: FireRule::GreaterEqual, reset: ResetRule::ToValue },
            populations: vec![
                population("in", pre, Role::SpikeInput),
                population("out", post, Role::Neurons((0..n).map(|j| neuron(j as f32)).collect())),
            ],
            projections: vec![Projection { name: "k".into(), pre: PopulationId(0), post: PopulationId(1), format: (), synapses }],
            host_projections: Vec::new(),
            output: PopulationId(1),
        }
    }

    fn convolved(rng: &mut Random, rank: usize) -> (Net<Float>, Conv) {
        let axis = |rng: &mut Random| {
            let (kernel, dilation) = (rng.random_range(1..4), rng.random_range(1..3));
            let size = rng.random_range(dilation * (kernel - 1) + 4..dilation * (kernel - 1) + 12);
            // More padding than half a kernel would be rows of nothing.
            let most = dilation * (kernel - 1) / 2;
            let padding = [rng.random_range(0..=most), rng.random_range(0..=most)];
            Axis { size, kernel, stride: rng.random_range(1..4), dilation, padding }
        };
        let axes: Vec<Axis> = (0..rank).map(|_| axis(rng)).collect();
        let (channels, outputs) = (rng.random_range(1..4), rng.random_range(1..4));
        let n = outputs * channels * axes.iter().map(|a| a.kernel).product::<u32>();
        let weight = (0..n).map(|_| if rng.random_bool(0.3) { 0.0 } else { rng.random_range(-1.0..1.0) }).collect();
        let conv = Conv { channels, outputs, groups: 1, axes, weight };
        let inputs: Vec<u32> = std::iter::once(channels).chain(conv.axes.iter().map(|a| a.size)).collect();
        let (outputs, operators) = (conv.output_shape().unwrap(), [Operator::Conv(conv.clone())]);
        let count = |shape: &[u32]| shape.iter().product::<u32>() as usize;
        let mut folded = crate::fold::fold("k", count(&inputs), count(&outputs), &operators, 1.0).unwrap();
        (net(&inputs, &outputs, folded.synapses(0).unwrap()), conv)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn convolutions_are_tied_as_their_kernels(seed in any::<u64>(), rank in 1usize..=2) {
            let (net, conv) = convolved(&mut Random::seed_from_u64(seed), rank);
            let synapses = &net.projections[0].synapses;
            let positions: u32 = conv.output_shape().unwrap()[1..].iter().product();
            prop_assume!(positions > 8 && synapses.len() > 40);
            let kept = conv.weight.iter().filter(|w| **w != 0.0).count();
            let ties = Ties::of(&net, PopulationId(1)).expect("a convolution is tied");
            let kernels = &ties.kernels[0];
            prop_assert!(kernels.taps().len() <= kept, "{} taps, {} weights", kernels.taps().len(), kept);
            prop_assert_eq!(ties.channels.len(), conv.outputs as usize);
            // Every synapse has the weight of its tap, and a tap leads back to its presynaptic neuron.
            for (pre, post, weight, delay) in synapses.iter() {
                let k = kernels.index(pre, post, delay).unwrap();
                prop_assert_eq!(kernels.weights()[k], weight);
                prop_assert_eq!(kernels.source(kernels.taps()[k].1, post), Some(pre));
                prop_assert_eq!(kernels.taps()[k].0, ties.channel_of[post as usize]);
            }
        }

        #[test]
        fn one_other_weight_breaks_a_tie(seed in any::<u64>()) {
            let (mut net, conv) = convolved(&mut Random::seed_from_u64(seed), 2);
            let positions: u32 = conv.output_shape().unwrap()[1..].iter().product();
            let synapses = &mut net.projections[0].synapses;
            prop_assume!(positions > 8 && synapses.len() > 40);
            let k = seed as usize % synapses.len();
            let all: Vec<(u32, u32)> = synapses.iter().map(|s| (s.0, s.1)).collect();
            synapses.weights_mut()[k] += 2.0;
            let changed = synapses.iter().nth(k).unwrap();
            prop_assert_eq!(all[k], (changed.0, changed.1));
            if let Some(ties) = Ties::of(&net, PopulationId(1)) {
                // Only a weight that stands in one place can be another without breaking its kernel.
                let tap = ties.kernels[0].index(changed.0, changed.1, changed.3).unwrap();
                let others = net.projections[0].synapses.iter().filter(|s| ties.kernels[0].index(s.0, s.1, s.3) == Some(tap)).count();
                prop_assert_eq!(others, 1);
            }
        }
    }

    #[test]
    fn a_dense_layer_is_not_tied() {
        let mut rng = Random::seed_from_u64(3);
        let dense =
            |rng: &mut Random| Synapses::from_tuples(36, (0..36 * 32).map(|k| (k / 32, k % 32, rng.random_range(-1.0..1.0), 0)).collect());
        assert!(Ties::of(&net(&[1, 6, 6], &[2, 4, 4], dense(&mut rng)), PopulationId(1)).is_none());
        assert!(Ties::of(&net(&[36], &[32], dense(&mut rng)), PopulationId(1)).is_none());
    }

    #[test]
    fn other_thresholds_in_a_channel_break_a_tie() {
        let (mut net, _) = convolved(&mut Random::seed_from_u64(11), 2);
        assert!(Ties::of(&net, PopulationId(1)).is_some());
        if let Role::Neurons(neurons) = &mut net.populations[1].role {
            neurons[1].threshold = 2.0;
        }
        assert!(Ties::of(&net, PopulationId(1)).is_none());
    }
}
