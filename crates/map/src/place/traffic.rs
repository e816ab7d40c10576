//! Messages between parts.
//!
//! In: (from, to, rate) in any order. Out: [`Traffic`], directed; [`Graph`], undirected, for distances, which are the same both ways.
//! Invariant: rows ascend and name each partner once; no part sends to itself; rates are finite and positive.
//! Cost: O(pairs log pairs) to build.

use super::PlaceError;

/// Most parts of a [`Traffic`].
pub const MAX_PARTS: u32 = 1 << 22;
/// Largest rate of one message, in spikes a step.
pub const MAX_RATE: f64 = 1e30;

/// Directed messages between parts, as rows by sender.
#[derive(Debug, Clone, PartialEq)]
pub struct Traffic {
    first: Vec<usize>,
    to: Vec<u32>,
    rate: Vec<f64>,
}

impl Traffic {
    /// Joins messages of the same pair and leaves out those of a part to itself and those of rate 0.
    ///
    /// `messages`: sender, receiver, rate in spikes a step (summed over the axons of the pair), in any order.
    ///
    /// # Errors
    /// Too many parts, a part that does not exist, or a rate that is not a number from 0 to [`MAX_RATE`].
    pub fn new(parts: u32, messages: impl IntoIterator<Item = (u32, u32, f64)>) -> Result<Traffic, PlaceError> {
        if parts > MAX_PARTS {
            return Err(PlaceError::Parts { parts, most: MAX_PARTS });
        }
        let mut list = Vec::new();
        for (from, to, rate) in messages {
            if let Some(&part) = [from, to].iter().find(|&&p| p >= parts) {
                return Err(PlaceError::NoPart { part, parts });
            }
            if !(0.0..=MAX_RATE).contains(&rate) {
                return Err(PlaceError::Rate { from, to, rate });
            }
            if from != to && rate > 0.0 {
                list.push((from, to, rate));
            }
        }
        // The sort keeps the order of equal pairs, so that a sum does not depend on anything but the input.
        list.sort_by_key(|&(from, to, _)| (from, to));
        list.dedup_by(|next, kept| {
            let same = (next.0, next.1) == (kept.0, kept.1);
            if same {
                kept.2 += next.2;
            }
            same
        });
        let mut first = vec![0usize; parts as usize + 1];
        for m in &list {
            first[m.0 as usize + 1] += 1;
        }
        for k in 1..first.len() {
            first[k] += first[k - 1];
        }
        Ok(Traffic { first, to: list.iter().map(|m| m.1).collect(), rate: list.iter().map(|m| m.2).collect() })
    }

    /// Number of parts.
    pub fn parts(&self) -> usize {
        self.first.len() - 1
    }

    /// Number of (from, to) pairs.
    pub fn pairs(&self) -> usize {
        self.to.len()
    }

    /// Receivers of a part with their rates, ascending; none for a part that does not exist.
    pub fn from(&self, part: u32) -> impl Iterator<Item = (u32, f64)> + '_ {
        let row = match self.first.get(part as usize..).unwrap_or_default() {
            [a, b, ..] => *a..*b,
            _ => 0..0,
        };
        self.to[row.clone()].iter().copied().zip(self.rate[row].iter().copied())
    }

    /// All messages as (from, to, rate), by sender and receiver.
    pub fn messages(&self) -> impl Iterator<Item = (u32, u32, f64)> + '_ {
        (0..self.parts() as u32).flat_map(|from| self.from(from).map(move |(to, rate)| (from, to, rate)))
    }

    /// Spikes a step between different parts.
    pub fn total(&self) -> f64 {
        self.rate.iter().sum()
    }
}

/// A partner of a part, with the rate both ways.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Edge {
    pub to: u32,
    pub weight: f32,
}

/// Undirected partners of each part; the largest weight is 1.
#[derive(Debug, Clone)]
pub(super) struct Graph {
    first: Vec<usize>,
    edges: Vec<Edge>,
    /// Rate of weight 1.
    pub scale: f64,
    /// Weight of each part's messages from the host's router; empty: none.
    pub host: Vec<f32>,
    /// That router.
    pub port: [i16; 2],
}

impl Graph {
    pub fn new(traffic: &Traffic) -> Graph {
        let list = traffic.messages().flat_map(|(a, b, r)| [(a, b, r), (b, a, r)]).collect();
        Graph::from_pairs(traffic.parts(), list)
    }

    /// From both directions of each edge, not yet joined.
    pub fn from_pairs(parts: usize, list: Vec<(u32, u32, f64)>) -> Graph {
        // Counting sort by receiver, then by sender, keeps the order of equal pairs.
        let list = by_key(parts, &list, |m| m.1);
        let mut list = by_key(parts, &list, |m| m.0);
        list.dedup_by(|next, kept| {
            let same = (next.0, next.1) == (kept.0, kept.1);
            if same {
                kept.2 += next.2;
            }
            same
        });
        let scale = list.iter().fold(0.0f64, |m, e| m.max(e.2));
        let scale = if scale > 0.0 { scale } else { 1.0 };
        let mut first = vec![0usize; parts + 1];
        for m in &list {
            first[m.0 as usize + 1] += 1;
        }
        for k in 1..first.len() {
            first[k] += first[k - 1];
        }
        Graph {
            first,
            edges: list.iter().map(|m| Edge { to: m.1, weight: (m.2 / scale) as f32 }).collect(),
            scale,
            host: Vec::new(),
            port: [0; 2],
        }
    }

    /// The same with the rate of each part's messages from the host, which enter at a router.
    pub fn with_host(mut self, rates: &[f64], port: [i16; 2]) -> Graph {
        self.host = rates.iter().map(|r| (r / self.scale) as f32).collect();
        self.port = port;
        self
    }

    /// Weight of a part's messages from the host.
    #[inline]
    pub fn host(&self, part: u32) -> f32 {
        self.host.get(part as usize).copied().unwrap_or(0.0)
    }

    pub fn parts(&self) -> usize {
        self.first.len() - 1
    }

    /// Both directions of each edge counted.
    pub fn edges(&self) -> usize {
        self.edges.len()
    }

    #[inline]
    pub fn of(&self, part: u32) -> &[Edge] {
        &self.edges[self.first[part as usize]..self.first[part as usize + 1]]
    }
}

fn by_key(parts: usize, list: &[(u32, u32, f64)], key: impl Fn(&(u32, u32, f64)) -> u32) -> Vec<(u32, u32, f64)> {
    let mut next = vec![0usize; parts + 1];
    for m in list {
        next[key(m) as usize + 1] += 1;
    }
    for k in 1..next.len() {
        next[k] += next[k - 1];
    }
    let mut sorted = vec![(0, 0, 0.0); list.len()];
    for m in list {
        let at = &mut next[key(m) as usize];
        sorted[*at] = *m;
        *at += 1;
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_joined_and_loops_dropped() {
        let t = Traffic::new(3, [(2, 0, 1.0), (0, 1, 0.5), (1, 1, 9.0), (0, 1, 0.25), (1, 0, 2.0), (1, 2, 0.0)]).expect("fits");
        assert_eq!(t.messages().collect::<Vec<_>>(), [(0, 1, 0.75), (1, 0, 2.0), (2, 0, 1.0)]);
        assert_eq!((t.parts(), t.pairs(), t.total()), (3, 3, 3.75));
        assert_eq!(t.from(3).count(), 0);
        assert_eq!(t.from(u32::MAX).count(), 0);
        let g = Graph::new(&t);
        assert_eq!(g.scale, 2.75);
        assert_eq!(g.of(0), [Edge { to: 1, weight: 1.0 }, Edge { to: 2, weight: (1.0 / 2.75) as f32 }]);
        assert_eq!(g.edges(), 4);
    }

    #[test]
    fn bad_messages_are_refused() {
        assert_eq!(Traffic::new(2, [(0, 2, 1.0)]), Err(PlaceError::NoPart { part: 2, parts: 2 }));
        for rate in [-1.0, f64::NAN, f64::INFINITY, 1e31] {
            assert!(matches!(Traffic::new(2, [(0, 1, rate)]), Err(PlaceError::Rate { from: 0, to: 1, .. })));
        }
        assert_eq!(Traffic::new(u32::MAX, []), Err(PlaceError::Parts { parts: u32::MAX, most: MAX_PARTS }));
        assert_eq!(Traffic::new(0, []).expect("empty").parts(), 0);
    }
}
