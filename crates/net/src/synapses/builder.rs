//! Rows into templates.
//!
//! In: rows in order. Out: [`Synapses`] in which equal ones are stored once.
//! Invariant: a row is shared only after its content was compared; the same rows give the same tables. A file can't slow the search down: a row
//! looks at [`PROBES`] places of a table at most and compares itself with [`COMPARED`] rows at most, and is stored for itself after that.

use super::{Delays, Placed, Synapses, Template, Weight, stored};

/// Places of a table that are looked at.
const PROBES: usize = 64;
/// Rows of the same hash that a row is compared with.
const COMPARED: usize = 4;

/// A set of numbers by the hashes of what they stand for: open addressing, half full at most. A place holds a hash and a number.
#[derive(Debug, Default)]
struct Table {
    places: Vec<u64>,
    used: usize,
}

const FREE: u64 = u64::MAX;

impl Table {
    /// The known number for which `same` holds; else `number` is what later ones find.
    fn intern(&mut self, hash: u32, number: u32, same: impl Fn(u32) -> bool) -> u32 {
        if self.used * 2 >= self.places.len() {
            self.grow();
        }
        let mask = self.places.len() - 1;
        let mut compared = 0;
        for probe in 0..PROBES {
            let place = &mut self.places[(hash as usize).wrapping_add(probe) & mask];
            if *place == FREE {
                *place = u64::from(hash) << 32 | u64::from(number);
                self.used += 1;
                break;
            }
            if (*place >> 32) as u32 == hash {
                let known = *place as u32;
                if same(known) {
                    return known;
                }
                compared += 1;
                if compared == COMPARED {
                    break;
                }
            }
        }
        number
    }

    fn grow(&mut self) {
        let size = (self.places.len() * 2).max(64);
        let old = std::mem::replace(&mut self.places, vec![FREE; size]);
        self.used = 0;
        for entry in old.into_iter().filter(|&e| e != FREE) {
            let hash = (entry >> 32) as usize;
            let free = (0..PROBES).map(|probe| hash.wrapping_add(probe) & (size - 1)).find(|&place| self.places[place] == FREE);
            if let Some(place) = free {
                self.places[place] = entry;
                self.used += 1;
            }
        }
    }
}

/// Four sums side by side, so that no multiplication waits for the last one.
fn hash(seed: u64, numbers: impl ExactSizeIterator<Item = u32>) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let step = |sum: u64, n: u64| (sum.rotate_left(23) ^ n).wrapping_mul(ODD);
    let mut sums = [seed, 1, 2, 3].map(|s| step(numbers.len() as u64, s));
    let mut numbers = numbers;
    while numbers.len() >= 4 {
        for sum in &mut sums {
            *sum = step(*sum, numbers.next().unwrap_or(0).into());
        }
    }
    for n in numbers {
        sums[0] = step(sums[0], n.into());
    }
    sums.into_iter().fold(seed, step)
}

/// The upper half, into which multiplications carry.
fn upper(hash: u64) -> u32 {
    (hash.wrapping_mul(0xd6e8_feb8_6659_fd93) >> 32) as u32
}

/// Takes rows by presynaptic neuron, from the first on.
#[derive(Debug)]
pub struct Builder<W> {
    made: Synapses<W>,
    /// Delay of the first synapse of all.
    first_delay: Option<u16>,
    patterns: Table,
    templates: Table,
    /// The open row.
    posts: Vec<u32>,
    weights: Vec<W>,
    delays: Vec<u16>,
}

impl<W: Weight> Default for Builder<W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<W: Weight> Builder<W> {
    /// Without rows.
    pub fn new() -> Self {
        Builder {
            made: Synapses::default(),
            first_delay: None,
            patterns: Table::default(),
            templates: Table::default(),
            posts: Vec::new(),
            weights: Vec::new(),
            delays: Vec::new(),
        }
    }

    /// Adds a synapse to the open row. Posts ascend, and of equal posts delays.
    #[inline]
    pub fn push(&mut self, post: u32, weight: W, delay: u16) {
        self.posts.push(post);
        self.weights.push(weight);
        self.delays.push(delay);
    }

    /// Synapses of the rows that ended.
    pub fn len(&self) -> usize {
        self.made.len
    }
    /// True where no row with a synapse ended.
    pub fn is_empty(&self) -> bool {
        self.made.len == 0
    }
    /// Weights that the rows so far take.
    pub fn stored(&self) -> usize {
        self.made.weights.len()
    }

    /// Ends the row of the next presynaptic neuron.
    pub fn end_row(&mut self) {
        let base = self.posts.first().copied().unwrap_or(0);
        self.posts.iter_mut().for_each(|p| *p = p.wrapping_sub(base));
        self.made.len += self.posts.len();
        let template = match self.made.rows.last() {
            Some(last) if self.is_template(last.template) => last.template,
            _ => self.find(),
        };
        self.made.rows.push(Placed { template, base });
        self.posts.clear();
        self.weights.clear();
        self.delays.clear();
    }

    /// Adds a row of (post, weight, delay), posts ascending.
    pub fn push_row(&mut self, row: impl IntoIterator<Item = (u32, W, u16)>) {
        row.into_iter().for_each(|(post, weight, delay)| self.push(post, weight, delay));
        self.end_row();
    }

    /// Adds a row of which nothing is open yet.
    pub(super) fn push_all(&mut self, row: &[(u32, W, u16)]) {
        self.posts.extend(row.iter().map(|s| s.0));
        self.weights.extend(row.iter().map(|s| s.1));
        self.delays.extend(row.iter().map(|s| s.2));
        self.end_row();
    }

    /// Is the open row, but for its base, the pattern?
    fn is_pattern(&self, pattern: u32) -> bool {
        let made = &self.made;
        let range = made.patterns[pattern as usize] as usize..made.patterns[pattern as usize + 1] as usize;
        made.posts[range.clone()] == self.posts[..]
            && match &made.delays {
                Delays::Uniform(d) => self.delays.iter().all(|other| other == d),
                Delays::Each(each) => each[range] == self.delays[..],
            }
    }

    fn has_weights(&self, start: u32) -> bool {
        let stored = &self.made.weights[start as usize..start as usize + self.weights.len()];
        stored.iter().zip(&self.weights).all(|(a, b)| a.bits() == b.bits())
    }

    fn is_template(&self, template: u32) -> bool {
        let Template { pattern, start } = self.made.templates[template as usize];
        self.is_pattern(pattern) && self.has_weights(start)
    }

    /// The number of the open row's template, which is made where there is none.
    fn find(&mut self) -> u32 {
        let first = *self.first_delay.get_or_insert(self.delays.first().copied().unwrap_or(0));
        if self.posts.is_empty() && self.made.len == 0 {
            self.first_delay = None;
        }
        let like_first = self.delays.iter().all(|&d| d == first);
        match &mut self.made.delays {
            Delays::Uniform(d) if self.made.posts.is_empty() && like_first => *d = first,
            Delays::Uniform(d) if !like_first => self.made.delays = Delays::Each(vec![*d; self.made.posts.len()]),
            _ => {}
        }
        // A row is hashed without its delays where they are the first one, so that it doesn't matter when others came.
        let mut of_pattern = hash(0, self.posts.iter().copied());
        if !like_first {
            of_pattern = hash(of_pattern, self.delays.iter().map(|&d| d.into()));
        }
        let mut patterns = std::mem::take(&mut self.patterns);
        let next = self.made.patterns.len() as u32 - 1;
        let pattern = patterns.intern(upper(of_pattern), next, |known| self.is_pattern(known));
        self.patterns = patterns;
        if pattern == next {
            self.made.posts.extend_from_slice(&self.posts);
            if let Delays::Each(each) = &mut self.made.delays {
                each.extend_from_slice(&self.delays);
            }
            self.made.patterns.push(stored(self.made.posts.len()));
        }
        let of_template = hash(pattern.into(), self.weights.iter().map(|w| w.bits()));
        let mut templates = std::mem::take(&mut self.templates);
        let next = self.made.templates.len() as u32;
        let same = |known: u32| {
            let known = self.made.templates[known as usize];
            known.pattern == pattern && self.has_weights(known.start)
        };
        let template = templates.intern(upper(of_template), next, same);
        self.templates = templates;
        if template == next {
            self.made.templates.push(Template { pattern, start: stored(self.made.weights.len()) });
            self.made.weights.extend_from_slice(&self.weights);
        }
        template
    }

    /// The synapses of all rows that ended.
    pub fn finish(self) -> Synapses<W> {
        let mut made = self.made;
        made.rows.shrink_to_fit();
        made.templates.shrink_to_fit();
        made.patterns.shrink_to_fit();
        made.posts.shrink_to_fit();
        made.weights.shrink_to_fit();
        if let Delays::Each(each) = &mut made.delays {
            each.shrink_to_fit();
        }
        made
    }
}

/// A table of which any two entries differ, for tests.
#[cfg(test)]
pub(super) fn tests_table() -> impl FnMut(u32, u32) -> u32 {
    let mut table = Table::default();
    move |hash, number| table.intern(hash, number, |_| false)
}
