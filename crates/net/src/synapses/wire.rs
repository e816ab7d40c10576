//! Synapses as bytes.
//!
//! In: synapses, or what a file says they are. Out: their compact form (docs/bundle-format.md, section 8), or the logical one for digests.
//! Invariant: what is read is consistent: every table refers into the next, and no row ends beyond 2^32. Few bytes can declare many
//! synapses, so their number is bounded by [`MAX_SYNAPSES`]; memory is linear in the bytes.

use super::{Builder, Delays, MAX_SYNAPSES, Placed, Synapses, Template, Weight};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

/// A sequence that is made while it is written.
struct Sequence<F>(F);

impl<F: Fn() -> I, I: Iterator<Item: Serialize>> Serialize for Sequence<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0())
    }
}

impl<W: Weight + Serialize> Serialize for Synapses<W> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut s = serializer.serialize_struct("Synapses", 6)?;
        let rows = || {
            let (mut next, mut last) = (0, 0);
            self.rows.iter().map(move |row| {
                let coded = (next - row.template, i64::from(row.base) - last);
                last = row.base.into();
                next += u32::from(row.template == next);
                coded
            })
        };
        s.serialize_field("rows", &Sequence(rows))?;
        let templates = || {
            let mut next = 0;
            self.templates.iter().map(move |t| {
                let coded = next - t.pattern;
                next += u32::from(coded == 0);
                coded
            })
        };
        s.serialize_field("templates", &Sequence(templates))?;
        s.serialize_field("lengths", &Sequence(|| self.patterns.windows(2).map(|w| w[1] - w[0])))?;
        let gaps = || {
            let (mut starts, mut last) = (self.patterns.iter().copied().peekable(), 0);
            self.posts.iter().enumerate().map(move |(k, &post)| {
                while starts.next_if(|&s| s as usize <= k).is_some() {
                    last = 0;
                }
                let gap = post.wrapping_sub(last);
                last = post;
                gap
            })
        };
        s.serialize_field("gaps", &Sequence(gaps))?;
        s.serialize_field("delays", &self.delays)?;
        s.serialize_field("weights", &self.weights)?;
        s.end()
    }
}

/// Synapses as the bytes have them (docs/bundle-format.md, section 8): tables that nothing has compared yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "W: Weight + Serialize + serde::de::DeserializeOwned")]
pub struct Tables<W> {
    /// For each presynaptic neuron, the next new template less its own, and its base less the last one's.
    pub rows: Vec<(u32, i64)>,
    /// For each template, the next new pattern less its own.
    pub templates: Vec<u32>,
    /// Posts of each pattern.
    pub lengths: Vec<u32>,
    /// For each pattern 0 and the gaps between its posts.
    pub gaps: Vec<u32>,
    /// Net delays.
    pub delays: Delays,
    /// Of each template, a weight for each post.
    pub weights: Vec<W>,
}

/// What is wrong with tables of synapses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the messages say what the variants are
pub enum TableError {
    #[error("the lengths of the patterns are not those of the posts")]
    Lengths,
    #[error("the weights are not one for each post of the templates")]
    Weights,
    #[error("pattern {0} does not begin at its base")]
    Base(usize),
    #[error("pattern {0} has a post beyond 2^32")]
    Pattern(usize),
    #[error("the delays are not one for each post")]
    Delays,
    #[error("there is a delay, and no synapse")]
    Delay,
    #[error("template {0} is of an unknown pattern")]
    UnknownPattern(usize),
    #[error("a pattern is of no template")]
    UnusedPattern,
    #[error("row {0} is of an unknown template")]
    UnknownTemplate(usize),
    #[error("a template is of no row")]
    UnusedTemplate,
    #[error("row {0} ends beyond 2^32, or begins before 0")]
    Row(usize),
    #[error("row {0} has no synapse and a base other than 0")]
    EmptyRow(usize),
    #[error("there are more than {} synapses in a projection", MAX_SYNAPSES)]
    TooMany,
}

/// Numbers in the order of their first use, given as the distance from the next new one.
struct Numbers {
    next: u32,
    known: usize,
}

impl Numbers {
    fn number(&mut self, back: u32) -> Option<u32> {
        let number = self.next.checked_sub(back).filter(|&n| (n as usize) < self.known)?;
        self.next += u32::from(back == 0);
        Some(number)
    }

    fn all_used(&self) -> bool {
        self.next as usize == self.known
    }
}

impl<W: Weight> Tables<W> {
    /// The synapses, if the tables fit each other. Memory is linear in them.
    pub fn synapses(self) -> Result<Synapses<W>, TableError> {
        let Tables { rows, templates, lengths, gaps: mut posts, delays, weights } = self;
        let mut patterns = Vec::with_capacity(lengths.len() + 1);
        patterns.push(0u32);
        for (number, &length) in lengths.iter().enumerate() {
            let start = patterns[number];
            let end = start.checked_add(length).filter(|&end| end as usize <= posts.len()).ok_or(TableError::Lengths)?;
            let mut last = 0u32;
            for (k, post) in posts[start as usize..end as usize].iter_mut().enumerate() {
                if k == 0 && *post != 0 {
                    return Err(TableError::Base(number));
                }
                last = last.checked_add(*post).ok_or(TableError::Pattern(number))?;
                *post = last;
            }
            patterns.push(end);
        }
        if patterns[lengths.len()] as usize != posts.len() {
            return Err(TableError::Lengths);
        }
        if matches!(&delays, Delays::Each(each) if each.len() != posts.len()) {
            return Err(TableError::Delays);
        }
        if posts.is_empty() && delays != Delays::Uniform(0) {
            return Err(TableError::Delay);
        }
        let mut numbers = Numbers { next: 0, known: lengths.len() };
        let mut start = 0u32;
        let placed = |(number, back): (usize, u32)| {
            let pattern = numbers.number(back).ok_or(TableError::UnknownPattern(number))?;
            let template = Template { pattern, start };
            let end = start.checked_add(lengths[pattern as usize]).filter(|&end| end as usize <= weights.len());
            start = end.ok_or(TableError::Weights)?;
            Ok(template)
        };
        let templates = templates.into_iter().enumerate().map(placed).collect::<Result<Vec<_>, TableError>>()?;
        if start as usize != weights.len() {
            return Err(TableError::Weights);
        }
        if !numbers.all_used() {
            return Err(TableError::UnusedPattern);
        }
        let mut numbers = Numbers { next: 0, known: templates.len() };
        let (mut base, mut len) = (0i64, 0u64);
        let placed = |(number, (back, step)): (usize, (u32, i64))| {
            let template = numbers.number(back).ok_or(TableError::UnknownTemplate(number))?;
            base = base.checked_add(step).filter(|&b| (0..=u32::MAX.into()).contains(&b)).ok_or(TableError::Row(number))?;
            let pattern = templates[template as usize].pattern as usize;
            let posts = &posts[patterns[pattern] as usize..patterns[pattern + 1] as usize];
            match posts.last() {
                None if base != 0 => return Err(TableError::EmptyRow(number)),
                Some(last) if (base as u32).checked_add(*last).is_none() => return Err(TableError::Row(number)),
                _ => {}
            }
            len += posts.len() as u64;
            if len > MAX_SYNAPSES { Err(TableError::TooMany) } else { Ok(Placed { template, base: base as u32 }) }
        };
        let rows = rows.into_iter().enumerate().map(placed).collect::<Result<Vec<_>, TableError>>()?;
        if !numbers.all_used() {
            return Err(TableError::UnusedTemplate);
        }
        Ok(Synapses { rows, templates, patterns, posts, delays, weights, len: len as usize })
    }
}

impl<W: Weight> Synapses<W> {
    /// Whether the tables are those that a [`Builder`] makes of the rows: the same synapses can be stored in other ways. Takes the time of all synapses.
    pub fn is_canonical(&self) -> bool {
        let mut builder = Builder::new();
        self.rows().for_each(|row| builder.push_row(row.iter()));
        let Synapses { rows, templates, patterns, posts, delays, weights, len: _ } = builder.finish();
        let same = |a: &[W], b: &[W]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.bits() == b.bits());
        rows == self.rows
            && templates == self.templates
            && patterns == self.patterns
            && posts == self.posts
            && delays == self.delays
            && same(&weights, &self.weights)
    }
}

/// The logical synapses as lists: where each row begins (`pres + 1` indices), posts, weights, delays. Digests are over this form, so that they
/// don't depend on how synapses are stored.
pub(crate) struct Logical<'a, W>(pub &'a Synapses<W>);

impl<W: Weight + Serialize> Serialize for Logical<'_, W> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// Delays by logical synapse.
        #[derive(Serialize)]
        enum Listed<T> {
            Uniform(u16),
            Each(T),
        }
        let synapses = self.0;
        let mut s = serializer.serialize_struct("Synapses", 4)?;
        let offsets = || {
            let mut end = 0u64;
            let ends = synapses.rows().map(move |row| {
                end += row.len() as u64;
                end
            });
            Counted { left: synapses.pres() + 1, of: std::iter::once(0).chain(ends) }
        };
        s.serialize_field("offsets", &Sequence(offsets))?;
        let posts = || Counted { left: synapses.len, of: synapses.rows().flat_map(|row| row.posts()) };
        s.serialize_field("posts", &Sequence(posts))?;
        let weights = || Counted { left: synapses.len, of: synapses.rows().flat_map(|row| row.weights().iter().copied()) };
        s.serialize_field("weights", &Sequence(weights))?;
        let each = || {
            let delays = synapses.rows().flat_map(|row| (0..row.len()).map(move |k| row.delay(k)));
            Counted { left: synapses.len, of: delays }
        };
        let delays = match synapses.uniform_delay() {
            Some(d) => Listed::Uniform(d),
            None => Listed::Each(Sequence(each)),
        };
        s.serialize_field("delays", &delays)?;
        s.end()
    }
}

/// An iterator whose length is known.
struct Counted<I> {
    left: usize,
    of: I,
}

impl<I: Iterator> Iterator for Counted<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.left = self.left.saturating_sub(1);
        self.of.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}
