//! Synapses of a projection, as stencils: rows that are equal up to where they begin are stored once.
//!
//! In: rows from a [`Builder`]. Out: rows by presynaptic neuron, or transposed ones.
//! Invariant: posts ascend within a row (equal posts: by delay). A row is a *template* and a base: the template's weights belong to the posts of
//! its *pattern*, which are relative to the base, the row's first post. Templates and patterns are numbered in the order of their first use.
//! Cost: memory is linear in the templates' synapses plus 8 bytes a row (and 12 a template); time is linear in the logical synapses.
//! Why: in row-major shapes the rows of a convolution are one list, shifted, for all places of a channel but those near its border, so that a
//! layer's memory is that of its kernel and not of its map. Sharing is found, not declared: pooling, one-to-one links, constants and dense
//! matrices (one pattern) have it as well, whatever made them.

mod builder;
#[cfg(test)]
mod tests;
mod wire;

pub use builder::Builder;
pub(crate) use wire::Logical;
pub use wire::{TableError, Tables};

use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::ops::Range;

/// Most synapses of a projection that is read from a file: more are refused, however few bytes declare them.
pub const MAX_SYNAPSES: u64 = 1 << 30;

/// A weight that rows can be compared by.
pub trait Weight: 'static + Copy + PartialEq + Debug + Send + Sync {
    /// Its bits: equal only for equal weights (0.0 and -0.0 differ).
    fn bits(self) -> u32;
}

impl Weight for f32 {
    fn bits(self) -> u32 {
        self.to_bits()
    }
}

impl Weight for i16 {
    fn bits(self) -> u32 {
        self as u16 as u32
    }
}

impl Weight for i32 {
    fn bits(self) -> u32 {
        self as u32
    }
}

/// Connections without weights.
impl Weight for () {
    fn bits(self) -> u32 {
        0
    }
}

/// Net delays in network steps: a spike of step t acts in step t + delay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delays {
    /// The same for all.
    Uniform(u16),
    /// One for each post of the patterns.
    Each(Vec<u16>),
}

/// Where a row is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Placed {
    template: u32,
    base: u32,
}

/// The weights of a pattern's posts, from `start` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Template {
    pattern: u32,
    start: u32,
}

/// Synapses of a projection by presynaptic neuron. Two are equal where their logical synapses are, however they are stored.
#[derive(Debug, Clone)]
pub struct Synapses<W> {
    /// One for each presynaptic neuron.
    rows: Vec<Placed>,
    templates: Vec<Template>,
    /// `patterns[p]..patterns[p + 1]` are the posts of pattern p.
    patterns: Vec<u32>,
    /// Relative to a row's base.
    posts: Vec<u32>,
    delays: Delays,
    weights: Vec<W>,
    /// Logical synapses.
    len: usize,
}

/// Delays of a row.
#[derive(Debug, Clone, Copy)]
enum RowDelays<'a> {
    All(u16),
    Each(&'a [u16]),
}

/// The synapses of a presynaptic neuron.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a, W> {
    base: u32,
    posts: &'a [u32],
    weights: &'a [W],
    delays: RowDelays<'a>,
}

impl<'a, W: Copy> Row<'a, W> {
    /// Number of synapses.
    pub fn len(&self) -> usize {
        self.posts.len()
    }
    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.posts.is_empty()
    }
    /// The first post; 0 without synapses.
    pub fn base(&self) -> u32 {
        self.base
    }
    /// Posts less [`Row::base`].
    pub fn relative_posts(&self) -> &'a [u32] {
        self.posts
    }
    /// Postsynaptic neurons, ascending.
    pub fn posts(&self) -> impl ExactSizeIterator<Item = u32> + use<'a, W> {
        let base = self.base;
        self.posts.iter().map(move |&p| base + p)
    }
    /// Weights in the order of the posts.
    pub fn weights(&self) -> &'a [W] {
        self.weights
    }
    /// Postsynaptic neuron of the row's synapse `k`.
    pub fn post(&self, k: usize) -> u32 {
        self.base + self.posts[k]
    }
    /// Weight of the row's synapse `k`.
    pub fn weight(&self, k: usize) -> W {
        self.weights[k]
    }
    /// Net delay of the row's synapse `k`.
    pub fn delay(&self, k: usize) -> u16 {
        match self.delays {
            RowDelays::All(d) => d,
            RowDelays::Each(each) => each[k],
        }
    }
    /// Some of the synapses; the base stays.
    fn part(&self, range: Range<usize>) -> Self {
        let delays = match self.delays {
            RowDelays::All(d) => RowDelays::All(d),
            RowDelays::Each(each) => RowDelays::Each(&each[range.clone()]),
        };
        Row { base: self.base, posts: &self.posts[range.clone()], weights: &self.weights[range], delays }
    }
    /// (post, weight, delay) of each synapse.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u32, W, u16)> + use<'a, W> {
        let (base, delays) = (self.base, self.delays);
        let delay = move |k: usize| match delays {
            RowDelays::All(d) => d,
            RowDelays::Each(each) => each[k],
        };
        self.posts.iter().zip(self.weights).enumerate().map(move |(k, (&post, &weight))| (base + post, weight, delay(k)))
    }
}

impl<W> Default for Synapses<W> {
    /// No rows.
    fn default() -> Self {
        Synapses {
            rows: Vec::new(),
            templates: Vec::new(),
            patterns: vec![0],
            posts: Vec::new(),
            delays: Delays::Uniform(0),
            weights: Vec::new(),
            len: 0,
        }
    }
}

impl<W: Weight> Synapses<W> {
    /// From (pre, post, weight, delay) tuples in any order; stable for equal keys (pre, post, delay). Tuples of presynaptic neurons from
    /// `pres` on have no row and are left out.
    pub fn from_tuples(pres: usize, mut tuples: Vec<(u32, u32, W, u16)>) -> Self {
        tuples.sort_by_key(|&(i, j, _, d)| (i, j, d));
        let mut builder = Builder::new();
        let mut rest = tuples.into_iter().peekable();
        for pre in 0..pres {
            while let Some((_, post, weight, delay)) = rest.next_if(|t| t.0 as usize == pre) {
                builder.push(post, weight, delay);
            }
            builder.end_row();
        }
        builder.finish()
    }

    /// Number of presynaptic neurons.
    pub fn pres(&self) -> usize {
        self.rows.len()
    }
    /// Number of synapses.
    pub fn len(&self) -> usize {
        self.len
    }
    /// True when there is no synapse.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Number of different rows, up to where they begin.
    pub fn templates(&self) -> usize {
        self.templates.len()
    }
    /// Number of weights that are stored.
    pub fn stored(&self) -> usize {
        self.weights.len()
    }
    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        let delays = match &self.delays {
            Delays::Uniform(_) => 0,
            Delays::Each(each) => 2 * each.capacity(),
        };
        8 * (self.rows.capacity() + self.templates.capacity())
            + 4 * (self.patterns.capacity() + self.posts.capacity())
            + size_of::<W>() * self.weights.capacity()
            + delays
    }

    fn posts_of(&self, template: Template) -> Range<usize> {
        let p = template.pattern as usize;
        self.patterns[p] as usize..self.patterns[p + 1] as usize
    }

    fn template(&self, template: u32, base: u32) -> Row<'_, W> {
        let template = self.templates[template as usize];
        let posts = self.posts_of(template);
        let start = template.start as usize;
        Row {
            base,
            posts: &self.posts[posts.clone()],
            weights: &self.weights[start..start + posts.len()],
            delays: match &self.delays {
                Delays::Uniform(d) => RowDelays::All(*d),
                Delays::Each(each) => RowDelays::Each(&each[posts]),
            },
        }
    }

    /// The synapses of presynaptic neuron `pre`.
    pub fn row(&self, pre: usize) -> Row<'_, W> {
        let Placed { template, base } = self.rows[pre];
        self.template(template, base)
    }
    /// Number of the template of a row: rows of one template are equal up to their base.
    pub(crate) fn template_of(&self, pre: usize) -> u32 {
        self.rows[pre].template
    }
    /// All rows, by presynaptic neuron.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Row<'_, W>> {
        self.rows.iter().map(|p| self.template(p.template, p.base))
    }
    /// All synapses as (pre, post, weight, delay).
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32, W, u16)> + '_ {
        self.rows().enumerate().flat_map(|(i, row)| row.iter().map(move |(j, w, d)| (i as u32, j, w, d)))
    }
    /// Where each row begins among all synapses in the order of [`Synapses::iter`]: `pres + 1` indices.
    pub fn starts(&self) -> Vec<usize> {
        let mut starts = Vec::with_capacity(self.rows.len() + 1);
        starts.push(0);
        let mut end = 0;
        starts.extend(self.rows().map(|row| {
            end += row.len();
            end
        }));
        starts
    }
    /// Every weight that occurs, at least once.
    pub fn distinct_weights(&self) -> &[W] {
        &self.weights
    }
    /// Every weight that occurs, with its net delay, at least once: synapses of lists that rows share come once.
    pub fn distinct_synapses(&self) -> impl Iterator<Item = (W, u16)> + '_ {
        let lists = (0..self.templates.len() as u32).map(|t| self.template(t, 0));
        lists.flat_map(|row| row.iter().map(|(_, weight, delay)| (weight, delay)))
    }
    /// The net delay of all synapses, where it is the same; 0 without synapses.
    pub fn uniform_delay(&self) -> Option<u16> {
        match self.delays {
            Delays::Uniform(d) => Some(d),
            Delays::Each(_) => None,
        }
    }
    /// Smallest and largest net delay; (0, 0) when empty.
    pub fn delay_bounds(&self) -> (u16, u16) {
        match &self.delays {
            Delays::Uniform(d) => (*d, *d),
            Delays::Each(each) => (each.iter().copied().min().unwrap_or(0), each.iter().copied().max().unwrap_or(0)),
        }
    }
    /// Makes all net delays longer; false, and nothing done, where one would be beyond 16 bits.
    pub fn lag(&mut self, steps: u16) -> bool {
        if self.delay_bounds().1.checked_add(steps).is_none() {
            return false;
        }
        match &mut self.delays {
            _ if self.len == 0 => {}
            Delays::Uniform(d) => *d += steps,
            Delays::Each(each) => each.iter_mut().for_each(|d| *d += steps),
        }
        true
    }

    /// The same connections with the weights `f(weight)`: each stored weight is asked for once.
    pub fn map_stored<U: Weight>(&self, f: impl FnMut(W) -> U) -> Synapses<U> {
        Synapses {
            rows: self.rows.clone(),
            templates: self.templates.clone(),
            patterns: self.patterns.clone(),
            posts: self.posts.clone(),
            delays: self.delays.clone(),
            weights: self.weights.iter().copied().map(f).collect(),
            len: self.len,
        }
    }

    /// The same connections with the weights `f(pre, post, weight)`. Rows whose new weights are equal are stored once again.
    pub fn map_weights<U: Weight>(&self, mut f: impl FnMut(u32, u32, W) -> U) -> Synapses<U> {
        let mut builder = Builder::new();
        for (pre, row) in self.rows().enumerate() {
            row.iter().for_each(|(post, weight, delay)| builder.push(post, f(pre as u32, post, weight), delay));
            builder.end_row();
        }
        builder.finish()
    }

    /// All weights in the order of [`Synapses::iter`], to change them one by one: no row shares its weights with another from then on.
    pub fn weights_mut(&mut self) -> &mut [W] {
        let alone = self.weights.len() == self.len && self.rows.iter().enumerate().all(|(i, row)| row.template as usize == i);
        if !alone {
            let starts = self.starts();
            let weights = self.rows().flat_map(|row| row.weights().iter().copied()).collect();
            let pattern = |row: &Placed| self.templates[row.template as usize].pattern;
            self.templates =
                self.rows.iter().zip(&starts).map(|(row, &start)| Template { pattern: pattern(row), start: stored(start) }).collect();
            self.rows.iter_mut().enumerate().for_each(|(i, row)| row.template = i as u32);
            self.weights = weights;
        }
        &mut self.weights
    }

    /// The same synapses by postsynaptic neuron: row j of `posts` holds what enters neuron j, its "posts" are the presynaptic neurons. The new
    /// weight is `f(pre, post, weight)`. No list of all synapses is made: the posts are done in parts of a few million synapses.
    pub fn transposed<U: Weight>(&self, posts: usize, f: impl Fn(u32, u32, W) -> U) -> Synapses<U> {
        const PART: u64 = 1 << 21;
        let mut fan_in = vec![0u32; posts];
        self.rows().for_each(|row| row.posts().for_each(|j| fan_in[j as usize] += 1));
        let mut builder = Builder::new();
        let Some((pre, post, weight, delay)) = self.iter().next() else {
            (0..posts).for_each(|_| builder.end_row());
            return builder.finish();
        };
        let blank = (pre, f(pre, post, weight), delay);
        let (mut entering, mut next) = (Vec::new(), Vec::new());
        let mut first = 0;
        while first < posts {
            next.clear();
            let (mut end, mut size) = (first, 0u64);
            while end < posts && (end == first || size + u64::from(fan_in[end]) <= PART) {
                next.push(size as usize);
                size += u64::from(fan_in[end]);
                end += 1;
            }
            entering.resize(size as usize, blank);
            for (pre, row) in self.rows().enumerate() {
                let (low, high) = ((first as u32).saturating_sub(row.base), (end as u32).saturating_sub(row.base));
                let from = if low == 0 { 0 } else { row.posts.partition_point(|&p| p < low) };
                let whole = row.posts.last().is_none_or(|&last| last < high);
                let to = if whole { row.posts.len() } else { row.posts.partition_point(|&p| p < high) };
                for (post, weight, delay) in row.part(from..to).iter() {
                    let slot = &mut next[post as usize - first];
                    entering[*slot] = (pre as u32, f(pre as u32, post, weight), delay);
                    *slot += 1;
                }
            }
            // A slot has become the end of its post's entries.
            let mut start = 0;
            for &stop in &next {
                builder.push_all(&entering[start..stop]);
                start = stop;
            }
            first = end;
        }
        builder.finish()
    }

    /// The first row whose posts are out of order or not below `limit`, with that post.
    pub(crate) fn misplaced(&self, limit: usize) -> Option<(usize, u32)> {
        let disorder: Vec<Option<u32>> = (0..self.patterns.len() - 1)
            .map(|p| {
                let range = self.patterns[p] as usize..self.patterns[p + 1] as usize;
                let key = |k: usize| match &self.delays {
                    Delays::Uniform(_) => (self.posts[k], 0),
                    Delays::Each(each) => (self.posts[k], each[k]),
                };
                range.clone().skip(1).find(|&k| key(k - 1) > key(k)).map(|k| self.posts[k])
            })
            .collect();
        let broken = |(pre, row): (usize, &Placed)| {
            let template = self.templates[row.template as usize];
            if let Some(post) = disorder[template.pattern as usize] {
                return Some((pre, row.base.saturating_add(post)));
            }
            let last = self.posts[self.posts_of(template)].last()?;
            let beyond = u64::from(row.base) + u64::from(*last) >= limit as u64;
            beyond.then_some((pre, row.base.saturating_add(*last)))
        };
        self.rows.iter().enumerate().find_map(broken)
    }
}

/// An index of a stored synapse. There are fewer than 2^32: their weights and posts alone would take 24 GiB, and readers stop long before.
fn stored(index: usize) -> u32 {
    u32::try_from(index).expect("fewer than 2^32 synapses are stored")
}

impl<W: Weight> PartialEq for Synapses<W> {
    fn eq(&self, other: &Self) -> bool {
        let same = |a: Row<W>, b: Row<W>| a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a == b);
        self.len == other.len && self.rows.len() == other.rows.len() && self.rows().zip(other.rows()).all(|(a, b)| same(a, b))
    }
}

/// A row as a loop reads it that runs over many: where its posts and weights are in [`Flat`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlatRow {
    /// First post.
    pub base: u32,
    /// Place of the first relative post.
    pub posts: u32,
    /// Place of the first weight.
    pub weights: u32,
    /// Number of synapses.
    pub len: u32,
}

/// The tables of [`Synapses`], for the interpreter.
pub(crate) struct Flat<'a, W> {
    pub rows: Vec<FlatRow>,
    /// Relative posts.
    pub posts: &'a [u32],
    pub weights: &'a [W],
    /// By place of a post.
    pub delays: &'a Delays,
}

impl<W: Weight> Synapses<W> {
    pub(crate) fn flat(&self) -> Flat<'_, W> {
        let row = |placed: &Placed| {
            let template = self.templates[placed.template as usize];
            let posts = self.posts_of(template);
            FlatRow { base: placed.base, posts: posts.start as u32, weights: template.start, len: posts.len() as u32 }
        };
        let rows = self.rows.iter().map(row).collect();
        Flat { rows, posts: &self.posts, weights: &self.weights, delays: &self.delays }
    }
}
